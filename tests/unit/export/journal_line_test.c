/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/journal_line.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "../support/failing_alloc.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FIELD(n, v)                                                                                \
    {                                                                                              \
        .name = (n), .value = (v), .length = sizeof(v) - 1                                         \
    }

static void writes_plain_values_behind_an_equals_sign(void **state)
{
    (void)state;
    const struct journal_field fields[] = {FIELD("MESSAGE", "p99=2 ms"), FIELD("PRIORITY", "6"),
                                           FIELD("LORIS_UNIT", "")};
    _cleanup_text_ struct text text = {0};
    assert_int_equal(journal_line_format(&text, fields, COUNT(fields)), 0);
    assert_string_equal(text.bytes, "MESSAGE=p99=2 ms\nPRIORITY=6\nLORIS_UNIT=\n");
}

static void a_newline_cannot_smuggle_a_field_in(void **state)
{
    (void)state;
    const struct journal_field fields[] = {FIELD("LORIS_COMM", "x\n_UID=0"), FIELD("Z", "\0\xff")};
    const char expected[] = "LORIS_COMM\n\x8\0\0\0\0\0\0\0x\n_UID=0\nZ=\0\xff\n";
    _cleanup_text_ struct text text = {0};
    assert_int_equal(journal_line_format(&text, fields, COUNT(fields)), 0);
    assert_int_equal(text.length, sizeof(expected) - 1);
    assert_memory_equal(text.bytes, expected, text.length);
}

static void refuses_names_that_journald_drops(void **state)
{
    (void)state;
    static const char *const names[] = {
        "",         "_PID",
        "0A",       "lower",
        "A-B",      "A=B",
        "A B",      "A\nB",
        "\xc3\x84", "A23456789012345678901234567890123456789012345678901234567890ABCDE" /* 65 */};
    _cleanup_text_ struct text text = {0};
    for (size_t i = 0; i < COUNT(names); i++) {
        const struct journal_field fields[] = {FIELD("MESSAGE", "m"), {names[i], "v", 1}};
        assert_int_equal(journal_line_format(&text, fields, COUNT(fields)), -EINVAL);
        assert_int_equal(text.length, 0);
    }
    const struct journal_field longest = {names[9] + 1, "v", 1};
    assert_int_equal(journal_line_format(&text, &longest, 1), -EINVAL); /* a digit first */
    const struct journal_field fits =
        FIELD("A2345678901234567890123456789012345678901234567890123456789_64CH", "v");
    assert_int_equal(journal_line_format(&text, &fits, 1), 0);
    assert_int_equal(journal_line_format(&text, &fits, 0), -EINVAL);
}

static void bounds_an_entry(void **state)
{
    (void)state;
    static char large[JOURNAL_ENTRY_BYTES_MAX];
    struct journal_field fields[JOURNAL_FIELDS_MAX + 1];
    for (size_t i = 0; i < COUNT(fields); i++)
        fields[i] = (struct journal_field)FIELD("N", "v");
    _cleanup_text_ struct text text = {0};
    assert_int_equal(journal_line_format(&text, fields, JOURNAL_FIELDS_MAX + 1), -E2BIG);
    assert_int_equal(journal_line_format(&text, fields, JOURNAL_FIELDS_MAX), 0);
    text_clear(&text);
    fields[0] = (struct journal_field){"N", large, sizeof(large) - 3};
    assert_int_equal(journal_line_format(&text, fields, 1), 0);
    assert_int_equal(text.length, sizeof(large));
    text_clear(&text);
    fields[0].length++;
    assert_int_equal(journal_line_format(&text, fields, 1), -E2BIG);
    assert_int_equal(text.length, 0);
}

static void format_once(void *context)
{
    (void)context;
    const struct journal_field fields[] = {FIELD("MESSAGE", "a\nb"), FIELD("PRIORITY", "6")};
    _cleanup_text_ struct text text = {0};
    int r = journal_line_format(&text, fields, COUNT(fields));
    assert_true(r == 0 || r == -ENOMEM);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_in_range(failing_alloc_each(format_once, NULL), 2, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_plain_values_behind_an_equals_sign),
        cmocka_unit_test(a_newline_cannot_smuggle_a_field_in),
        cmocka_unit_test(refuses_names_that_journald_drops),
        cmocka_unit_test(bounds_an_entry),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

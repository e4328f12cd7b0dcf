/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../support/failing_alloc.h"

#include <setjmp.h>

#include <cmocka.h>

#include "base/text.h"

static void appends_and_terminates(void **state)
{
    (void)state;
    _cleanup_text_ struct text text = {0};
    text_append(&text, "", 0);
    assert_null(text.bytes);
    text_append_string(&text, "redis");
    text_append_format(&text, "-%d.%s", 7, "service");
    assert_string_equal(text.bytes, "redis-7.service");
    assert_int_equal(text.length, strlen(text.bytes));
    text_append(&text, "a\0b", 3);
    assert_int_equal(text.length, 18);
    text_clear(&text);
    assert_int_equal(text.length, 0);
    assert_string_equal(text.bytes, "");
    assert_int_equal(text.failed, 0);
}

static void grows_through_every_length(void **state)
{
    (void)state;
    _cleanup_text_ struct text text = {0};
    for (unsigned i = 0; i < 3000; i++) {
        text_append_format(&text, "%c", 'a' + (int)(i % 26));
        assert_int_equal(text.length, i + 1);
    }
    for (unsigned i = 0; i < 3000; i++)
        assert_int_equal(text.bytes[i], 'a' + (int)(i % 26));
    text_append_format(&text, "%5000s", "x"); /* longer than what is left, in one piece */
    assert_int_equal(text.failed, 0);
    assert_int_equal(text.length, 8000);
    assert_int_equal(text.bytes[7999], 'x');
}

static void refuses_what_exceeds_max_bytes_once_and_for_all(void **state)
{
    (void)state;
    _cleanup_text_ struct text text = {.max_bytes = 10};
    text_append_string(&text, "0123456789");
    assert_int_equal(text.failed, 0);
    text_append_string(&text, "x");
    assert_int_equal(text.failed, -E2BIG);
    assert_string_equal(text.bytes, "0123456789");
    text_clear(&text);
    text_append_string(&text, "01234567");
    text_append_format(&text, "%d", 1234);
    assert_int_equal(text.failed, -E2BIG);
    text_append_string(&text, "8"); /* would fit, but what came before it is missing */
    assert_int_equal(text.length, 8);
    assert_string_equal(text.bytes, "01234567");
    text_clear(&text);
    text_append_string(&text, "again");
    assert_string_equal(text.bytes, "again");
}

static void fill_text(void *context)
{
    (void)context;
    _cleanup_text_ struct text text = {0};
    for (int i = 0; i < 200; i++)
        text_append_format(&text, "%d,", i);
    assert_true(text.failed == 0 || text.failed == -ENOMEM);
    if (text.bytes)
        assert_int_equal(strlen(text.bytes), text.length);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_in_range(failing_alloc_each(fill_text, NULL), 2, 20);
}

static void knows_well_formed_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t left, expected;
    } cases[] = {
        {"a", 1, 1},
        {"a", 0, 0},
        {"\xc3\xa4", 2, 2},
        {"\xc3\xa4", 1, 0},
        {"\xc0\x80", 2, 0},
        {"\xc1\xbf", 2, 0},
        {"\xc3\x41", 2, 0},
        {"\x80", 1, 0},
        {"\xe2\x82\xac", 3, 3},
        {"\xe0\x9f\xbf", 3, 0},
        {"\xe0\xa0\x80", 3, 3},
        {"\xed\xa0\x80", 3, 0},
        {"\xed\x9f\xbf", 3, 3},
        {"\xef\xbf\xbf", 3, 3},
        {"\xf0\x9f\x98\x80", 4, 4},
        {"\xf0\x9f\x98\x80", 3, 0},
        {"\xf0\x8f\xbf\xbf", 4, 0},
        {"\xf4\x8f\xbf\xbf", 4, 4},
        {"\xf4\x90\x80\x80", 4, 0},
        {"\xf5\x80\x80\x80", 4, 0},
        {"\xff", 1, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(text_utf8_bytes(cases[i].bytes, cases[i].left), cases[i].expected);
}

static void sanitizes_what_a_terminal_would_obey(void **state)
{
    (void)state;
    char out[17];
    text_sanitize("redis-server", 16, out);
    assert_string_equal(out, "redis-server");
    text_sanitize("0123456789abcdefNOT", 16, out);
    assert_string_equal(out, "0123456789abcdef");
    text_sanitize("a\x1b[31m\n\x7f", 16, out);
    assert_string_equal(out, "a?[31m??");
    text_sanitize("\xc2\x9b"
                  "x\xc3\xa4",
                  16, out); /* C1 CSI goes, an umlaut stays */
    assert_string_equal(out, "??x\xc3\xa4");
    text_sanitize("\xe2\x80\xae"
                  "cod",
                  16, out); /* right-to-left override */
    assert_string_equal(out, "???cod");
    text_sanitize("\xe2\x82\xac", 2, out); /* cut inside a character, as the kernel cuts a comm */
    assert_string_equal(out, "??");
    char in_place[] = "x\x01y";
    text_sanitize(in_place, 3, in_place);
    assert_string_equal(in_place, "x?y");
    text_sanitize("", 16, out);
    assert_string_equal(out, "");
}

static void appends_names_that_are_not_trusted(void **state)
{
    (void)state;
    _cleanup_text_ struct text text = {0};
    text_append_sanitized(&text, "");
    assert_int_equal(text.length, 0);
    text_append_string(&text, "\033[1m");
    text_append_sanitized(&text, "a\033b\xff");
    assert_string_equal(text.bytes, "\033[1ma?b?");
    text.max_bytes = text.length;
    text_append_sanitized(&text, "more");
    assert_true(text.failed);
    assert_string_equal(text.bytes, "\033[1ma?b?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_and_terminates),
        cmocka_unit_test(grows_through_every_length),
        cmocka_unit_test(refuses_what_exceeds_max_bytes_once_and_for_all),
        cmocka_unit_test(survives_every_failed_allocation),
        cmocka_unit_test(knows_well_formed_utf8),
        cmocka_unit_test(sanitizes_what_a_terminal_would_obey),
        cmocka_unit_test(appends_names_that_are_not_trusted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

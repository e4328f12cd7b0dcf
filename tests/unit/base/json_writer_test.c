/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "../support/failing_alloc.h"

#include <math.h>
#include <setjmp.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/json_writer.h"

static void writes_commas_and_nesting(void **state)
{
    (void)state;
    _cleanup_text_ struct text text = {0};
    struct json_writer json = {.text = &text};
    json_begin_object(&json, NULL);
    json_string_z(&json, "a", "b");
    json_begin_array(&json, "list");
    json_u64(&json, NULL, UINT64_MAX);
    json_i64(&json, NULL, INT64_MIN);
    json_begin_object(&json, NULL);
    json_end_object(&json);
    json_begin_array(&json, NULL);
    json_end_array(&json);
    json_end_array(&json);
    json_bool(&json, "yes", true);
    json_bool(&json, "no", false);
    json_raw(&json, "raw", "[1]");
    json_string_z(&json, "none", NULL);
    json_end_object(&json);
    assert_string_equal(text.bytes, "{\"a\":\"b\",\"list\":[18446744073709551615,"
                                    "-9223372036854775808,{},[]],\"yes\":true,\"no\":false,"
                                    "\"raw\":[1],\"none\":null}");
    text_append(&text, "\n", 1); /* JSON lines: no comma between values at the top */
    size_t second = text.length;
    json_u64(&json, NULL, 2);
    assert_string_equal(text.bytes + second, "2");
}

static void escapes_strings(void **state)
{
    (void)state;
    static const struct {
        const char *value, *expected;
    } cases[] = {
        {"", "\"\""},
        {"plain", "\"plain\""},
        {"\"\\/", "\"\\\"\\\\/\""},
        {"\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\""},
        {"a\x01z\x1f", "\"a\\u0001z\\u001f\""},
        {"\x7f", "\"\\u007f\""},
        {"\xc2\x9b[0m", "\"\\u009b[0m\""},
        {"\xc2\xa0", "\"\xc2\xa0\""},
        {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""},
        {"a\xff"
         "b",
         "\"a\xef\xbf\xbd"
         "b\""},
        {"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_text_ struct text text = {0};
        struct json_writer json = {.text = &text};
        json_string_z(&json, NULL, cases[i].value);
        assert_string_equal(text.bytes, cases[i].expected);
    }
    _cleanup_text_ struct text text = {0};
    struct json_writer json = {.text = &text};
    json_string_n(&json, NULL, "a\0b", 3);
    assert_string_equal(text.bytes, "\"a\\u0000b\"");
}

/* Every two-byte string, in the middle of others, must parse, and to itself where it is text. */
static void another_parser_reads_every_pair_of_bytes(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        char bytes[5] = {'x', (char)(pair >> 8), (char)pair, 'y', 0};
        _cleanup_text_ struct text text = {0};
        struct json_writer json = {.text = &text};
        json_begin_array(&json, NULL);
        json_string_n(&json, NULL, bytes, 4);
        json_end_array(&json);
        json_t *parsed = json_loadb(text.bytes, text.length, JSON_ALLOW_NUL, NULL);
        assert_non_null(parsed);
        const json_t *string = json_array_get(parsed, 0);
        bool valid = (text_utf8_bytes(bytes + 1, 2) == 2) ||
                     (text_utf8_bytes(bytes + 1, 1) == 1 && text_utf8_bytes(bytes + 2, 1) == 1);
        if (valid) {
            assert_int_equal(json_string_length(string), 4);
            assert_memory_equal(json_string_value(string), bytes, 4);
        } else {
            assert_non_null(
                memmem(json_string_value(string), json_string_length(string), "\xef\xbf\xbd", 3));
        }
        json_decref(parsed);
    }
}

static void writes_finite_numbers_and_null(void **state)
{
    (void)state;
    static const struct {
        double value;
        int digits;
        const char *expected;
    } cases[] = {
        {0, 6, "0.0"},
        {1234.5, 6, "1234.5"},
        {10.0, 6, "10.0"},
        {0.0055, 4, "0.0055"},
        {1.0 / 3, 3, "0.333"},
        {1e300, 6, "1e+300"},
        {0.1, 17, "0.10000000000000001"},
        {2.5, 0, "2.0"},
        {0.1, 99, "0.10000000000000001"},
        {NAN, 6, "null"},
        {INFINITY, 6, "null"},
        {-INFINITY, 6, "null"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_text_ struct text text = {0};
        struct json_writer json = {.text = &text};
        json_double(&json, NULL, cases[i].value, cases[i].digits);
        assert_string_equal(text.bytes, cases[i].expected);
    }
}

static void too_deep_nesting_fails_without_writing_outside(void **state)
{
    (void)state;
    _cleanup_text_ struct text text = {0};
    struct json_writer json = {.text = &text};
    for (int i = 0; i < JSON_DEPTH_MAX; i++)
        json_begin_array(&json, NULL);
    assert_int_equal(text.failed, 0);
    json_begin_object(&json, NULL);
    assert_int_equal(text.failed, -E2BIG);
    json_string_z(&json, "k", "v");
    for (int i = 0; i < JSON_DEPTH_MAX + 5; i++)
        json_end_array(&json);
    assert_int_equal(json.depth, 0);
}

static void write_document(void *context)
{
    (void)context;
    _cleanup_text_ struct text text = {0};
    struct json_writer json = {.text = &text};
    json_begin_array(&json, NULL);
    for (int i = 0; i < 100; i++)
        json_string_z(&json, NULL, "a \"name\" \xff");
    json_end_array(&json);
    assert_true(text.failed == -ENOMEM || (text.failed == 0 && text.length > 100));
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    assert_in_range(failing_alloc_each(write_document, NULL), 2, 20);
}

/* Rounding half-way cases apart, the short way of writing numbers agrees with printf's. */
static void doubles_agree_with_printf(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252ull;
    for (int i = 0; i < 200000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        double value = ldexp((double)(random >> 11), -53 + (int)(random % 60) - 20);
        int digits = 1 + (int)(random % 9);
        char expected[64];
        _cleanup_text_ struct text text = {0};
        struct json_writer json = {.text = &text};
        json_double(&json, NULL, value, digits);
        snprintf(expected, sizeof(expected), "%.*g", digits, value);
        double got = strtod(text.bytes, NULL), wanted = strtod(expected, NULL);
        if (fabs(got - wanted) > fabs(wanted) * 1e-14 && /* unless half-way: next digit decides */
            fabs(fabs(got - value) - fabs(wanted - value)) > fabs(value) * 1e-12)
            fail_msg("%.17g with %d digits: %s instead of %s", value, digits, text.bytes, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_agree_with_printf),
        cmocka_unit_test(writes_commas_and_nesting),
        cmocka_unit_test(escapes_strings),
        cmocka_unit_test(another_parser_reads_every_pair_of_bytes),
        cmocka_unit_test(writes_finite_numbers_and_null),
        cmocka_unit_test(too_deep_nesting_fails_without_writing_outside),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

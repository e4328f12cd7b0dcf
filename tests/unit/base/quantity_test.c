/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/quantity.h"

#define UNTOUCHED 4711u

struct parse_case {
    const char *string;
    int status;
    uint64_t value;
};

static void check_parses(int (*parse)(const char *, uint64_t *), const struct parse_case *cases,
                         size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t value = UNTOUCHED;
        int status = parse(cases[i].string, &value);
        uint64_t expected = cases[i].status == 0 ? cases[i].value : UNTOUCHED;
        if (status != cases[i].status || value != expected)
            fail_msg("'%s' gave %d and %llu", cases[i].string, status, (unsigned long long)value);
    }
}

#define CHECK_PARSES(parse, cases) check_parses(parse, cases, sizeof(cases) / sizeof(cases[0]))

static void parses_unsigned_numbers_strictly(void **state)
{
    (void)state;
    static const struct parse_case cases[] = {
        {"0", 0, 0},
        {"007", 0, 7},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", -ERANGE, 0},
        {"99999999999999999999999", -ERANGE, 0},
        {"", -EINVAL, 0},
        {" 1", -EINVAL, 0},
        {"1 ", -EINVAL, 0},
        {"-1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
        {"0x10", -EINVAL, 0},
        {"99999999999999999999999x", -EINVAL, 0},
    };
    CHECK_PARSES(parse_u64, cases);
}

static void parses_durations_with_a_unit(void **state)
{
    (void)state;
    static const struct parse_case cases[] = {
        {"1ns", 0, 1},
        {"250ms", 0, 250000000},
        {"3us", 0, 3000},
        {"10s", 0, 10000000000},
        {"1.5m", 0, 90000000000},
        {"2h", 0, 7200000000000},
        {"1d", 0, 86400000000000},
        {"0s", 0, 0},
        {"0.1s", 0, 100000000},
        {"1.9ns", 0, 1},
        {"0.000000000000000001d", 0, 0},
        {"18446744073709551615ns", 0, UINT64_MAX},
        {"18446744073.709551615s", 0, UINT64_MAX},
        {"18446744073.709551616s", -ERANGE, 0},
        {"300000d", -ERANGE, 0},
        {"99999999999999999999s", -ERANGE, 0},
        {"10", -EINVAL, 0},
        {"0", -EINVAL, 0},
        {"", -EINVAL, 0},
        {"s", -EINVAL, 0},
        {".5s", -EINVAL, 0},
        {"1.s", -EINVAL, 0},
        {"1.0000000000000000000s", -EINVAL, 0},
        {"1,5s", -EINVAL, 0},
        {"-1s", -EINVAL, 0},
        {"1 s", -EINVAL, 0},
        {"1S", -EINVAL, 0},
        {"1sec", -EINVAL, 0},
        {"1s ", -EINVAL, 0},
        {"nans", -EINVAL, 0},
        {"99999999999999999999furlongs", -EINVAL, 0},
    };
    CHECK_PARSES(parse_duration_ns, cases);
}

static void parses_bytes_with_or_without_a_unit(void **state)
{
    (void)state;
    static const struct parse_case cases[] = {
        {"4096", 0, 4096},
        {"0", 0, 0},
        {"1B", 0, 1},
        {"1kB", 0, 1000},
        {"1KiB", 0, 1024},
        {"100MB", 0, 100000000},
        {"64MiB", 0, 64ull << 20},
        {"1GB", 0, 1000000000},
        {"1.5GiB", 0, 3ull << 29},
        {"17179869183GiB", 0, 17179869183ull << 30},
        {"17179869184GiB", -ERANGE, 0},
        {"1.5", -EINVAL, 0},
        {"64mib", -EINVAL, 0},
        {"64M", -EINVAL, 0},
        {"MiB", -EINVAL, 0},
        {"-1", -EINVAL, 0},
    };
    CHECK_PARSES(parse_bytes, cases);
}

static void formats_durations_with_three_digits(void **state)
{
    (void)state;
    static const struct {
        uint64_t ns;
        const char *expected;
    } cases[] = {
        {0, "0 ns"},
        {87, "87 ns"},
        {999, "999 ns"},
        {1000, "1.00 us"},
        {1234567, "1.23 ms"},
        {9994, "9.99 us"},
        {9996, "10.0 us"},
        {99949, "99.9 us"},
        {99950, "100 us"},
        {999499, "999 us"},
        {999500, "1.00 ms"},
        {12345678901, "12.3 s"},
        {119000000000, "119 s"},
        {120000000000, "2.00 m"},
        {7200000000000, "2.00 h"},
        {172800000000000, "2.00 d"},
        {UINT64_MAX, "213504 d"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[16];
        format_duration(cases[i].ns, out);
        assert_string_equal(out, cases[i].expected);
    }
}

static void formats_stay_within_their_width(void **state)
{
    (void)state;
    uint64_t value = 1;
    for (int i = 0; i < 4000; i++) {
        char out[16];
        format_duration(value, out);
        assert_true(strlen(out) <= 8);
        format_bytes(value, out);
        assert_true(strlen(out) <= 8);
        format_count((double)value, out);
        assert_true(strlen(out) <= 7);
        uint64_t next = value + value / 90 + 1;
        value = next > value ? next : 1;
    }
}

static void formats_bytes_in_binary_units(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *expected;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1258291, "1.2 MiB"},
        {123ull << 20, "123 MiB"},
        {(1ull << 20) - 1, "1.0 MiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[16];
        format_bytes(cases[i].bytes, out);
        assert_string_equal(out, cases[i].expected);
    }
}

static void formats_counts_and_rates(void **state)
{
    (void)state;
    static const struct {
        double count;
        const char *expected;
    } cases[] = {
        {0, "0"},          {87, "87"},         {0.25, "0.25"},      {0.001, "0.00"},
        {12.34, "12.3"},   {999.4, "999"},     {999.6, "1.00 k"},   {12345, "12.3 k"},
        {2.1e6, "2.10 M"}, {1.5e19, "15.0 E"}, {1e22, ">999 E"},    {-1, "-"},
        {NAN, "-"},        {INFINITY, "-"},    {DBL_MAX, ">999 E"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[16];
        format_count(cases[i].count, out);
        assert_string_equal(out, cases[i].expected);
    }
}

static void any_decimal_point_becomes_a_dot(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"-1.25e-06", "-1.25e-06"},
        {"12", "12"},
        {"1,5", "1.5"},
        {"0\xd9\xab"
         "25",
         "0.25"},
        {"-1,2e+30", "-1.2e+30"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char number[32];
        strcpy(number, cases[i][0]);
        quantity_force_decimal_point(number);
        assert_string_equal(number, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_unsigned_numbers_strictly),
        cmocka_unit_test(parses_durations_with_a_unit),
        cmocka_unit_test(parses_bytes_with_or_without_a_unit),
        cmocka_unit_test(formats_durations_with_three_digits),
        cmocka_unit_test(formats_stay_within_their_width),
        cmocka_unit_test(formats_bytes_in_binary_units),
        cmocka_unit_test(formats_counts_and_rates),
        cmocka_unit_test(any_decimal_point_becomes_a_dot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

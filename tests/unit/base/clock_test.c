/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"

static void formats_rfc3339_with_milliseconds(void **state)
{
    (void)state;
    char out[32];
    clock_format_utc(0, out);
    assert_string_equal(out, "1970-01-01T00:00:00.000Z");
    clock_format_utc(1795158000123999999u, out);
    assert_string_equal(out, "2026-11-20T07:00:00.123Z");
    clock_format_utc(UINT64_MAX, out);
    assert_string_equal(out, "2554-07-21T23:34:33.709Z");
}

static void ignores_the_time_zone(void **state)
{
    (void)state;
    setenv("TZ", "UTC-9", 1);
    tzset();
    char out[32];
    clock_format_utc(1000000000, out);
    unsetenv("TZ");
    tzset();
    assert_string_equal(out, "1970-01-01T00:00:01.000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_rfc3339_with_milliseconds),
        cmocka_unit_test(ignores_the_time_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

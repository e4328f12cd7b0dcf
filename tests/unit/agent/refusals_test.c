/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/refusals.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool is_news(struct refusals *refusals, const char *target, const char *what,
                    unsigned *ret_repeated)
{
    struct diag diag = {0};
    diag_set(&diag, ENOENT, "%s", what);
    return refusals_is_news(refusals, target, &diag, ret_repeated);
}

static void one_reason_is_said_once_and_the_others_are_counted(void **state)
{
    (void)state;
    struct refusals refusals = {0};
    unsigned repeated = 7;
    assert_true(is_news(&refusals, "user:a:x", "no library named 'a'", &repeated));
    assert_int_equal(repeated, 0);
    assert_false(is_news(&refusals, "user:a:y", "no library named 'a'", &repeated));
    assert_false(is_news(&refusals, "user:a:z", "no library named 'a'", &repeated));
    assert_true(is_news(&refusals, "user:b:x", "no library named 'b'", &repeated));
    assert_int_equal(repeated, 2);
    assert_int_equal(refusals.repeated, 0);
    assert_true(is_news(&refusals, "user:a:x", "no library named 'a'", &repeated));
    assert_int_equal(repeated, 0);
}

static void a_reason_that_begins_with_its_target_is_compared_behind_it(void **state)
{
    (void)state;
    struct refusals refusals = {0};
    unsigned repeated;
    assert_true(is_news(&refusals, "kernel:a", "kernel:a: no kprobes here", &repeated));
    assert_false(is_news(&refusals, "kernel:b", "kernel:b: no kprobes here", &repeated));
    assert_true(is_news(&refusals, "kernel:c", "kernel:cc: no kprobes here", &repeated));
    assert_int_equal(repeated, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_reason_is_said_once_and_the_others_are_counted),
        cmocka_unit_test(a_reason_that_begins_with_its_target_is_compared_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

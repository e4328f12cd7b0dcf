/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/diag.h"

static void returns_the_errno_and_clears_the_hint(void **state)
{
    (void)state;
    struct diag diag = {0};
    diag_hint(&diag, "try %s", "this");
    assert_string_equal(diag.hint, "try this");
    assert_int_equal(diag_set(&diag, ENOENT, "no function %s", "x"), -ENOENT);
    assert_string_equal(diag.what, "no function x");
    assert_string_equal(diag.hint, "");
    assert_int_equal(diag_set(NULL, EPERM, "unheard"), -EPERM);
    diag_hint(NULL, "unheard");
}

static void a_terminal_sees_no_control_characters(void **state)
{
    (void)state;
    struct diag diag = {0};
    diag_set(&diag, EINVAL, "bad\n%s", "\x1b[2J\x7f");
    for (const char *at = diag.what; *at; at++)
        assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
    assert_non_null(strstr(diag.what, "[2J"));
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    char name[2000];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct diag diag = {0};
    diag_set(&diag, EINVAL, "%s", name);
    diag_hint(&diag, "%s", name);
    assert_int_equal(strlen(diag.what), sizeof(diag.what) - 1);
    assert_int_equal(strlen(diag.hint), sizeof(diag.hint) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(returns_the_errno_and_clears_the_hint),
        cmocka_unit_test(a_terminal_sees_no_control_characters),
        cmocka_unit_test(long_messages_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

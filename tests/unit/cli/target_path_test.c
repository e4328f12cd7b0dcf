/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/target_path.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char here[PATH_MAX];

static void assert_resolves(const char *target, const char *expected)
{
    char *resolved = NULL;
    struct diag diag;
    assert_int_equal(target_path_resolve(target, &resolved, &diag), 0);
    assert_string_equal(resolved, expected);
    free(resolved);
}

static void leaves_what_names_no_relative_path(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "",
        "user:",
        "user:libc.so.6:malloc",
        "user:/usr/bin/x:f",
        "user:pid:12:f/g",
        "usdt:libc.so.6:a:b..c",
        "kernel:vfs_*",
        "kernel:a/b",
        "syscall:openat",
        "word/with/slash",
    };
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        assert_resolves(targets[i], targets[i]);
}

static void makes_relative_paths_absolute(void **state)
{
    (void)state;
    char expected[PATH_MAX + 64];
    snprintf(expected, sizeof(expected), "user:%s/a.out:f", here);
    assert_resolves("user:./a.out:f", expected);
    snprintf(expected, sizeof(expected), "usdt:%s/a.out:p:b..e", here);
    assert_resolves("usdt:.//a.out:p:b..e", expected);
    snprintf(expected, sizeof(expected), "heap:%s/a.out", here);
    assert_resolves("heap:./a.out", expected);
}

static void says_which_folder_is_missing(void **state)
{
    (void)state;
    char *resolved = NULL;
    struct diag diag;
    assert_int_equal(target_path_resolve("user:./no/such/a.out:f", &resolved, &diag), -ENOENT);
    assert_non_null(strstr(diag.what, "./no/such/a.out"));
    char longest[PATH_MAX + 64];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    memcpy(longest, "user:./", 7);
    assert_int_equal(target_path_resolve(longest, &resolved, &diag), -ENAMETOOLONG);
    assert_null(resolved);
}

int main(void)
{
    if (!realpath(".", here))
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_what_names_no_relative_path),
        cmocka_unit_test(makes_relative_paths_absolute),
        cmocka_unit_test(says_which_folder_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

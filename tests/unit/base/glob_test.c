/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/glob.h"

static void globs_match_like_fnmatch(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *string;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"*", "", true},
        {"**", "abc", true},
        {"vfs_*", "vfs_read", true},
        {"vfs_*", "vfs_", true},
        {"vfs_*", "vf", false},
        {"*read", "vfs_read", true},
        {"*read", "vfs_reads", false},
        {"*re*ad*", "pre-read-ahead", true},
        {"a*b*c", "aXbYcZc", true},
        {"a*b*c", "aXbYcZ", false},
        {"t?p", "tcp", true},
        {"t?p", "tp", false},
        {"?", "", false},
        {"tcp_[rs]end", "tcp_send", true},
        {"tcp_[!rs]end", "tcp_send", false},
        {"tcp_[^rs]end", "tcp_lend", true},
        {"[a-cx]1", "b1", true},
        {"[a-cx]1", "d1", false},
        {"[]]", "]", true},
        {"[!]]", "]", false},
        {"[]-a]", "^", true},
        {"[a-]", "-", true},
        {"[[:digit:]]*", "7up", true},
        {"[[:digit:][:upper:]]", "Q", true},
        {"[[:digit:]]", "q", false},
        {"[[:nothing:]]", "n", false},
        {"[ab", "[ab", true},
        {"[ab", "a", false},
        {"[", "[", true},
        {"*[", "x[", true},
        {"\\*", "\\abc", true},
        {"\\*", "*", false},
        {"user:*:ngx_*", "user:/usr/sbin/nginx:ngx_http", true},
        {"kworker*", "kworker/0:1", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (glob_matches(cases[i].pattern, cases[i].string) != cases[i].matches)
            fail_msg("%s on %s", cases[i].pattern, cases[i].string);
    assert_true(glob_is("vfs_*"));
    assert_true(glob_is("a?"));
    assert_true(glob_is("[a]"));
    assert_false(glob_is("vfs_read"));
}

static void a_hostile_glob_ends_soon(void **state)
{
    (void)state;
    char pattern[400], string[2001];
    for (size_t i = 0; i + 2 < sizeof(pattern); i += 2)
        memcpy(pattern + i, "*a", 3);
    pattern[sizeof(pattern) - 2] = 'b';
    pattern[sizeof(pattern) - 1] = '\0';
    memset(string, 'a', sizeof(string) - 1);
    string[sizeof(string) - 1] = '\0';
    assert_false(glob_matches(pattern, string));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_match_like_fnmatch),
        cmocka_unit_test(a_hostile_glob_ends_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

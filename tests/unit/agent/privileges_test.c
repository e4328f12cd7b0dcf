/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/privileges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void assert_described(uint64_t set, const char *wanted)
{
    _cleanup_text_ struct text text = {0};
    privileges_describe(set, &text);
    assert_string_equal(text.bytes, wanted);
}

static void names_what_is_held(void **state)
{
    (void)state;
    assert_described(0, "none");
    assert_described(PRIVILEGE(CAP_BPF), "bpf");
    assert_described(PRIVILEGES_ATTACH, "dac_read_search, sys_ptrace, syslog, perfmon, bpf");
    assert_described(1ull << 63, "none");
}

static void names_every_capability(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= CAP_CHECKPOINT_RESTORE; i++)
        assert_non_null(privileges_name(i));
    assert_null(privileges_name(CAP_CHECKPOINT_RESTORE + 1));
    assert_null(privileges_name(64));
}

/* In a child, for nothing comes back. As another user than root there is nothing to give up. */
static int give_up_in_child(uint64_t keep)
{
    uint64_t before = privileges_held();
    if (privileges_forbid_new() || privileges_keep(keep))
        return 1;
    if (privileges_held() != (before & keep))
        return 2;
    if (privileges_keep(~0ull) || privileges_held() != (before & keep))
        return 3;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : 4;
}

static void gives_up_for_good_all_but_what_is_kept(void **state)
{
    (void)state;
    const uint64_t kept[] = {PRIVILEGES_ATTACH | PRIVILEGES_LISTEN, PRIVILEGE(CAP_CHOWN), 0};
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(give_up_in_child(kept[i]));
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_what_is_held),
        cmocka_unit_test(names_every_capability),
        cmocka_unit_test(gives_up_for_good_all_but_what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

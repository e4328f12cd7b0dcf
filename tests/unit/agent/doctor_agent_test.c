/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_machine.h"

#define SOCKET "/run/loris/loris.sock"

static void a_configuration_is_fine_broken_missing_or_hidden(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "agent.configuration", DOCTOR_OK, "loris.yaml: fine, 0 targets");
    struct diag refusal = {0};
    diag_set(&refusal, EINVAL, "loris.yaml:3:1: no such key");
    diag_hint(&refusal, "did you mean targets");
    fake->machine.config_error = -EINVAL;
    fake->machine.config_refusal = &refusal;
    assert_finds(fake, "agent.configuration", DOCTOR_FAIL, "loris.yaml:3:1");
    assert_string_equal(find(fake, "agent.configuration").remedy, "did you mean targets");
    fake->machine.config_error = -EACCES;
    assert_finds(fake, "agent.configuration", DOCTOR_UNKNOWN, "Permission denied");
    fake->machine.config_path = NULL;
    assert_finds(fake, "agent.configuration", DOCTOR_ABSENT, "no /etc/loris/loris.yaml");
}

static void a_target_that_was_refused_is_a_failure(void **state)
{
    struct fake_machine *fake = *state;
    struct diag refusal = {0};
    diag_set(&refusal, ENOENT, "no function foo");
    diag_hint(&refusal, "nearest name: fo");
    struct doctor_target targets[] = {
        {.text = "syscall:read", .attached = true},
        {.text = "user:libc.so.6:foo", .refusal = &refusal},
    };
    fake->machine.targets = targets;
    fake->machine.targets_count = 1;
    assert_finds(fake, "agent.targets", DOCTOR_OK, "1 asked for, 1 attached");
    fake->machine.targets_count = 2;
    assert_finds(fake, "agent.targets", DOCTOR_FAIL,
                 "1 of 2 cannot be watched: user:libc.so.6:foo; no function foo");
    assert_string_equal(find(fake, "agent.targets").remedy, "nearest name: fo");
    targets[1].optional = true;
    assert_finds(fake, "agent.targets", DOCTOR_OK, "2 asked for, 1 attached");
}

/* Of a file that no agent has read yet. */
static void a_target_is_hopeless_where_its_kind_is_not_taken(void **state)
{
    struct fake_machine *fake = *state;
    const struct doctor_target targets[] = {
        {.text = "kernel:vfs_read"},          {.text = "kernel:vfs_write"},
        {.text = "kernel:vfs_open"},          {.text = "kernel:vfs_llseek"},
        {.text = "usdt:libc.so.6:libc:a..b"}, {.text = "syscall:read"},
    };
    fake->machine.targets = targets;
    fake->machine.targets_count = 6;
    assert_finds(fake, "agent.targets", DOCTOR_OK, "6 asked for");
    fake->survey.kinds[ATTACH_FENTRY].taken = false;
    fake->survey.kinds[ATTACH_KPROBE_SESSION].taken = false;
    fake->survey.kinds[ATTACH_KPROBE_MULTI].taken = false;
    assert_finds(fake, "agent.targets", DOCTOR_OK, "6 asked for");
    fake->survey.kinds[ATTACH_KPROBE].taken = false;
    assert_finds(
        fake, "agent.targets", DOCTOR_FAIL,
        "4 of 6 cannot be watched: kernel:vfs_read, kernel:vfs_write, kernel:vfs_open, ...");
    fake->survey.marks.taken = false;
    assert_finds(fake, "agent.targets", DOCTOR_FAIL, "5 of 6");
    fake->survey.core.taken = false; /* attach.programs says it */
    assert_finds(fake, "agent.targets", DOCTOR_OK, "6 asked for");
}

static void who_may_ask_is_told(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "agent.group", DOCTOR_OK, "the group loris may ask the agent: adm");
    fake->machine.group_members = "";
    assert_finds(fake, "agent.group", DOCTOR_OK, "it is empty");
    fake->machine.has_group = false;
    assert_finds(fake, "agent.group", DOCTOR_WARNING, "there is no group loris");
    fake->machine.socket_group = "";
    assert_finds(fake, "agent.group", DOCTOR_OK, "root alone");
}

static void a_socket_has_its_place_mode_and_group(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "agent.socket", DOCTOR_OK, SOCKET ", mode 660");
    fake->machine.group_gid = getegid() + 1;
    assert_finds(fake, "agent.socket", DOCTOR_WARNING, "does not belong to the group loris");
    fake->machine.has_group = false;
    assert_finds(fake, "agent.socket", DOCTOR_OK, SOCKET);
    take_away(fake, SOCKET);
    assert_finds(fake, "agent.socket", DOCTOR_ABSENT, "none at " SOCKET);
    put_socket(fake, SOCKET, 0666);
    assert_finds(fake, "agent.socket", DOCTOR_WARNING, "open to everybody (mode 666)");
    take_away(fake, SOCKET);
    put(fake, SOCKET, "no socket");
    assert_finds(fake, "agent.socket", DOCTOR_FAIL, "is no socket");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MACHINE(a_configuration_is_fine_broken_missing_or_hidden),
        ON_MACHINE(a_target_that_was_refused_is_a_failure),
        ON_MACHINE(a_target_is_hopeless_where_its_kind_is_not_taken),
        ON_MACHINE(who_may_ask_is_told),
        ON_MACHINE(a_socket_has_its_place_mode_and_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_machine.h"

#define MOUNTS       "/proc/self/mountinfo"
#define GROUP        "/sys/fs/cgroup/system.slice/loris.service/"
#define V2_MOUNT     "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
#define V1_MOUNT     "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
#define STATUS(bits) "Name:\tx\nCapEff:\t" bits "\nSeccomp:\t0\n"

static void hierarchies_are_told_apart(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "host.cgroups", DOCTOR_OK, "v2: units come from /sys/fs/cgroup");
    put(fake, MOUNTS, V1_MOUNT V2_MOUNT);
    assert_finds(fake, "host.cgroups", DOCTOR_OK, "hybrid");
    put(fake, MOUNTS, V1_MOUNT);
    assert_finds(fake, "host.cgroups", DOCTOR_WARNING, "v1 only");
    put(fake, MOUNTS, "");
    assert_finds(fake, "host.cgroups", DOCTOR_WARNING, "none are mounted");
    put(fake, MOUNTS, "\xff\xfe - - - cgroup2\n\n- cgroup2");
    assert_finds(fake, "host.cgroups", DOCTOR_WARNING, "none are mounted");
    take_away(fake, MOUNTS);
    assert_finds(fake, "host.cgroups", DOCTOR_UNKNOWN, "No such file");
}

static void the_least_limit_above_the_agent_counts(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "host.memory", DOCTOR_OK, "charged: no limit; the budget is 64.0 MiB");
    put(fake, GROUP "memory.max", "134217728\n");
    assert_finds(fake, "host.memory", DOCTOR_OK, "charged: 128 MiB");
    put(fake, "/sys/fs/cgroup/system.slice/memory.max", "33554432\n");
    assert_finds(fake, "host.memory", DOCTOR_WARNING, "may have 32.0 MiB, the budget is 64.0 MiB");
    put(fake, "/sys/fs/cgroup/system.slice/memory.max", "9223372036854771712\n"); /* none */
    assert_finds(fake, "host.memory", DOCTOR_OK, "charged: 128 MiB");
    put(fake, GROUP "memory.max", "plenty\n");
    assert_finds(fake, "host.memory", DOCTOR_UNKNOWN, "cannot read the memory limit");
    put(fake, "/proc/self/cgroup", "12:pids:/\n1:name=systemd:/x\n0::/\n");
    assert_finds(fake, "host.memory", DOCTOR_OK, "no limit of a cgroup to be seen");
    put(fake, "/proc/self/cgroup", "12:pids:/\n");
    assert_finds(fake, "host.memory", DOCTOR_OK, "no limit of a cgroup to be seen");
    put(fake, "/proc/self/cgroup", "");
    assert_finds(fake, "host.memory", DOCTOR_OK, "no limit of a cgroup to be seen");
    take_away(fake, "/proc/self/cgroup");
    assert_finds(fake, "host.memory", DOCTOR_OK, "no limit of a cgroup to be seen");
}

static void tracefs_may_be_in_either_place(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "host.tracefs", DOCTOR_OK, "mounted on /sys/kernel/tracing");
    take_away(fake, "/sys/kernel/tracing");
    assert_finds(fake, "host.tracefs", DOCTOR_ABSENT, "not mounted");
    put(fake, "/sys/kernel/debug/tracing/available_filter_functions", "");
    assert_finds(fake, "host.tracefs", DOCTOR_OK, "mounted on /sys/kernel/debug/tracing");
    put(fake, "/sys/kernel/tracing", "a file, no folder");
    assert_finds(fake, "host.tracefs", DOCTOR_UNKNOWN, "Not a directory");
}

static void few_open_files_are_a_warning(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "host.files", DOCTOR_OK, "65536");
    fake->machine.files_max = 1024;
    assert_finds(fake, "host.files", DOCTOR_WARNING, "1024");
}

static void other_tracers_are_news_and_no_trouble(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "host.tracers", DOCTOR_OK, "programs: 12, links: 7, probes among these: 3");
    assert_string_equal(find(fake, "host.tracers").consequence, "");
    fake->census.probing_links = 5000;
    fake->census.is_cut = true;
    assert_finds(fake, "host.tracers", DOCTOR_OK, "5000 and more");
    assert_non_null(strstr(find(fake, "host.tracers").remedy, "bpftool"));
    fake->machine.census = NULL;
    assert_finds(fake, "host.tracers", DOCTOR_UNKNOWN, "CAP_SYS_ADMIN");
}

static void debug_files_are_not_needed(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "host.debug-files", DOCTOR_OK, "adds names");
    take_away(fake, "/usr/lib/debug");
    assert_finds(fake, "host.debug-files", DOCTOR_ABSENT, "nor debuginfod are needed");
}

static void a_missing_right_has_its_consequence(void **state)
{
    struct fake_machine *fake = *state;
    static const struct {
        const char *check;
        const char *without; /* CapEff less this one and less CAP_SYS_ADMIN */
        enum doctor_result result;
    } cases[] = {
        {"rights.bpf", STATUS("000000ffffdfffff"), DOCTOR_OK},
        {"rights.sys-admin", STATUS("000001ffffdfffff"), DOCTOR_OK},
        {"rights.bpf", STATUS("0000017fffdfffff"), DOCTOR_FAIL},
        {"rights.perfmon", STATUS("000001bfffdfffff"), DOCTOR_FAIL},
        {"rights.sys-ptrace", STATUS("000001fffff7ffff"), DOCTOR_WARNING},
        {"rights.dac-read-search", STATUS("000001fffffffff9"), DOCTOR_WARNING},
        {"rights.syslog", STATUS("000001fbffffffff"), DOCTOR_ABSENT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_finds(fake, cases[i].check, DOCTOR_OK, "held");
        put(fake, "/proc/self/status", cases[i].without);
        assert_finds(fake, cases[i].check, cases[i].result, "held");
        put(fake, "/proc/self/status", STATUS("000001ffffffffff"));
    }
}

static void the_great_right_stands_in_for_the_small_ones(void **state)
{
    struct fake_machine *fake = *state;
    put(fake, "/proc/self/status", STATUS("0000000000200000"));
    assert_finds(fake, "rights.bpf", DOCTOR_OK, "CAP_SYS_ADMIN, which includes it");
    assert_finds(fake, "rights.perfmon", DOCTOR_OK, "CAP_SYS_ADMIN, which includes it");
    assert_finds(fake, "rights.sys-ptrace", DOCTOR_WARNING, "not held");
    put(fake, "/proc/self/status", STATUS("0000000000000002"));
    assert_finds(fake, "rights.dac-read-search", DOCTOR_OK, "CAP_DAC_OVERRIDE, which includes it");
}

/* A unit or a container took them away: that is no user who sees too little. */
static void root_without_rights_is_a_failure(void **state)
{
    struct fake_machine *fake = *state;
    put(fake, "/proc/self/status", STATUS("0000000000000000"));
    fake->survey = (struct attach_survey){0};
    assert_false(doctor_is_limited(&fake->machine));
    assert_finds(fake, "rights.bpf", DOCTOR_FAIL, "not held");
    assert_finds(fake, "rights.perfmon", DOCTOR_FAIL, "not held");
}

static void without_uprobe_multi_user_functions_need_the_great_right(void **state)
{
    struct fake_machine *fake = *state;
    put(fake, "/proc/self/status", STATUS("000001ffffdfffff"));
    fake->survey.kinds[ATTACH_UPROBE_MULTI].taken = false;
    assert_finds(fake, "rights.sys-admin", DOCTOR_WARNING, "not held");
}

/* An ordinary user's private agent: what it lacks says nothing of the service. */
static void an_ordinary_user_sees_no_failure(void **state)
{
    struct fake_machine *fake = *state;
    put(fake, "/proc/self/status", STATUS("0000000000000000"));
    fake->survey = (struct attach_survey){0};
    diag_set(&fake->survey.core.refusal, EPERM, "cannot load the maps: %s", strerror(EPERM));
    fake->machine.is_root = false;
    assert_true(doctor_is_limited(&fake->machine));
    assert_finds(fake, "rights.bpf", DOCTOR_UNKNOWN, "not held by who looks");
    assert_finds(fake, "attach.programs", DOCTOR_UNKNOWN, "cannot load the maps");
    assert_finds(fake, "attach.uprobe", DOCTOR_UNKNOWN, "not tried");
    assert_finds(fake, "hazard.nop5-red-zone", DOCTOR_UNKNOWN, "not tried");
    assert_finds(fake, "attach.cost", DOCTOR_UNKNOWN, "not tried");
}

static void rights_that_cannot_be_read_are_unknown(void **state)
{
    struct fake_machine *fake = *state;
    static const char *const contents[] = {"", "CapEff:\t1\n", "Name:\tx\nCapEff:\t\n",
                                           "Name:\tx\nCapEff:\tzz\n",
                                           "Name:\tx\nCapEff:\tfffffffffffffffffffff\n"};
    for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
        put(fake, "/proc/self/status", contents[i]);
        assert_finds(fake, "rights.bpf", DOCTOR_UNKNOWN, "cannot read the capabilities");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MACHINE(hierarchies_are_told_apart),
        ON_MACHINE(the_least_limit_above_the_agent_counts),
        ON_MACHINE(tracefs_may_be_in_either_place),
        ON_MACHINE(few_open_files_are_a_warning),
        ON_MACHINE(other_tracers_are_news_and_no_trouble),
        ON_MACHINE(debug_files_are_not_needed),
        ON_MACHINE(a_missing_right_has_its_consequence),
        ON_MACHINE(the_great_right_stands_in_for_the_small_ones),
        ON_MACHINE(root_without_rights_is_a_failure),
        ON_MACHINE(without_uprobe_multi_user_functions_need_the_great_right),
        ON_MACHINE(an_ordinary_user_sees_no_failure),
        ON_MACHINE(rights_that_cannot_be_read_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

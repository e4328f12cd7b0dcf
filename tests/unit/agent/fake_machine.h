/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For the tests of doctor*.c: a machine on which all is well, made of files below a folder. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/doctor.h"

#define ON_MACHINE(test) cmocka_unit_test_setup_teardown(test, make_machine, remove_machine)

struct fake_machine {
    char root[64];
    struct attach_survey survey;
    struct bpf_census census;
    struct doctor_machine machine;
};

static const struct {
    const char *path;
    const char *content;
} good_files[] = {
    {"/proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu sse sse2\n"},
    {"/proc/self/cgroup", "0::/system.slice/loris.service\n"},
    {"/proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"},
    {"/proc/self/status", "Name:\tlorisd\nCapEff:\t000001ffffffffff\nSeccomp:\t0\n"},
    {"/proc/sys/kernel/kptr_restrict", "0\n"},
    {"/proc/sys/kernel/perf_event_paranoid", "-1\n"},
    {"/proc/sys/kernel/unprivileged_bpf_disabled", "2\n"},
    {"/proc/sys/net/core/bpf_jit_enable", "1\n"},
    {"/proc/sys/net/core/bpf_jit_harden", "0\n"},
    {"/sys/devices/system/clocksource/clocksource0/available_clocksource", "tsc hpet acpi_pm\n"},
    {"/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n"},
    {"/sys/fs/cgroup/system.slice/loris.service/memory.max", "max\n"},
    {"/sys/kernel/btf/vmlinux", "\x9f\xeb\x01"},
    {"/sys/kernel/security/lockdown", "[none] integrity confidentiality\n"},
    {"/sys/kernel/tracing/available_filter_functions", "vfs_read\n"},
    {"/usr/lib/debug/.build-id/00/file.debug", "ELF"},
};
#define GOOD_FILES (sizeof(good_files) / sizeof(good_files[0]))

static inline void path_of(const struct fake_machine *fake, const char *path, char out[PATH_MAX])
{
    assert_in_range(snprintf(out, PATH_MAX, "%s%s", fake->root, path), 1, PATH_MAX - 1);
}

static inline void make_folders(const char *whole)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof(folder), "%s", whole);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(folder, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
}

static inline void put_bytes(const struct fake_machine *fake, const char *path, const void *bytes,
                             size_t length)
{
    char whole[PATH_MAX];
    path_of(fake, path, whole);
    make_folders(whole);
    int fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, length), length);
    close(fd);
}

static inline void put(const struct fake_machine *fake, const char *path, const char *content)
{
    put_bytes(fake, path, content, strlen(content));
}

/* A file, or a folder with all that is in it. */
static inline void take_away(const struct fake_machine *fake, const char *path)
{
    char whole[PATH_MAX], command[PATH_MAX + 16];
    path_of(fake, path, whole);
    snprintf(command, sizeof(command), "rm -rf '%s'", whole);
    assert_int_equal(system(command), 0);
}

static inline void put_socket(const struct fake_machine *fake, const char *path, mode_t mode)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char whole[PATH_MAX];
    path_of(fake, path, whole);
    make_folders(whole);
    assert_true(strlen(whole) < sizeof(address.sun_path));
    strcpy(address.sun_path, whole);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(chmod(whole, mode), 0);
    close(fd);
}

static inline void take_everything(struct attach_survey *survey)
{
    survey->core.taken = true;
    survey->marks.taken = true;
    for (unsigned i = 0; i < ATTACH_KINDS; i++)
        survey->kinds[i].taken = true;
    for (unsigned i = 0; i < TRACEPOINT_GROUPS; i++)
        survey->tracepoints[i].taken = true;
    for (unsigned i = 0; i < HAZARDS; i++)
        survey->hazards.tried[i] = true;
    survey->user_kind = ATTACH_UPROBE_SESSION;
    for (unsigned i = 0; i < CALIBRATION_PLACES; i++)
        survey->user_costs[i] = (struct calibration_cost){
            .cost_ns = i == CALIBRATION_STEPPED ? 2500 : 800, .source = CALIBRATION_MEASURED};
}

static inline int make_machine(void **state)
{
    struct fake_machine *fake = calloc(1, sizeof(*fake));
    assert_non_null(fake);
    strcpy(fake->root, "/tmp/loris-doctor-test.XXXXXX");
    assert_non_null(mkdtemp(fake->root));
    for (size_t i = 0; i < GOOD_FILES; i++)
        put(fake, good_files[i].path, good_files[i].content);
    put_socket(fake, "/run/loris/loris.sock", 0660);
    take_everything(&fake->survey);
    fake->census = (struct bpf_census){.programs = 12, .links = 7, .probing_links = 3};
    fake->machine = (struct doctor_machine){
        .root = fake->root,
        .release = "6.12.1",
        .is_root = true,
        .survey = &fake->survey,
        .census = &fake->census,
        .clock_ns = 25,
        .files_max = 65536,
        .memory_budget_bytes = 64u << 20,
        .socket_path = "/run/loris/loris.sock",
        .socket_group = "loris",
        .has_group = true,
        .group_gid = getegid(),
        .group_members = "adm",
        .config_path = "/etc/loris/loris.yaml",
    };
    *state = fake;
    return 0;
}

static inline int remove_machine(void **state)
{
    take_away(*state, "");
    free(*state);
    return 0;
}

/* What one check finds. */
struct wanted_finding {
    const char *check;
    struct doctor_finding finding;
    unsigned times;
};

static inline void keep_wanted(const struct doctor_finding *finding, void *context)
{
    struct wanted_finding *wanted = context;
    if (strcmp(finding->check, wanted->check) != 0)
        return;
    wanted->finding = *finding;
    wanted->times++;
}

static inline struct doctor_finding find(const struct fake_machine *fake, const char *check)
{
    struct wanted_finding wanted = {.check = check};
    doctor_run(&fake->machine, keep_wanted, &wanted);
    if (wanted.times != 1)
        fail_msg("%s was found %u times", check, wanted.times);
    return wanted.finding;
}

/* says: in what was found. */
static inline void assert_finds(const struct fake_machine *fake, const char *check,
                                enum doctor_result result, const char *says)
{
    struct doctor_finding finding = find(fake, check);
    if (finding.result != result || !strstr(finding.found, says))
        fail_msg("%s: wanted %s \"%s\", got %s \"%s\"", check, doctor_result_name(result), says,
                 doctor_result_name(finding.result), finding.found);
    bool is_trouble = result == DOCTOR_WARNING || result == DOCTOR_FAIL;
    if (is_trouble && (!finding.consequence[0] || !finding.remedy[0]) &&
        strcmp(check, "agent.targets") != 0)
        fail_msg("%s is %s without saying what follows and what to do", check,
                 doctor_result_name(result));
}

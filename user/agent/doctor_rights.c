/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of the capabilities of the one who attaches, each with what it is for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/doctor_internal.h"

#define STATUS_PATH "/proc/self/status"

static int read_effective(const struct doctor_machine *machine, uint64_t *ret_effective)
{
    _cleanup_free_ char *status = NULL;
    int error = doctor_read(machine, STATUS_PATH, &status);
    if (error)
        return error;
    const char *line = strstr(status, "\nCapEff:");
    char *end = NULL;
    if (!line)
        return -EINVAL;
    line += strlen("\nCapEff:");
    errno = 0;
    uint64_t effective = strtoull(line, &end, 16);
    if (errno || end == line || (*end && *end != '\n'))
        return -EINVAL;
    *ret_effective = effective;
    return 0;
}

int doctor_has_capability(const struct doctor_machine *machine, unsigned number)
{
    uint64_t effective = 0;
    int error = read_effective(machine, &effective);
    return error ? error : (int)(effective >> number & 1);
}

struct right {
    unsigned number;
    const char *name;
    enum doctor_result without; /* where CAP_SYS_ADMIN does not stand in for it */
    bool is_in_admin;
    const char *purpose;
    const char *consequence;
};

static void check_right(const struct doctor_machine *machine, const struct right *right,
                        struct doctor_finding *finding)
{
    uint64_t effective = 0;
    int error = read_effective(machine, &effective);
    if (error) {
        doctor_unread(finding, "the capabilities in " STATUS_PATH, error);
        return;
    }
    if (effective >> right->number & 1) {
        doctor_found(finding, DOCTOR_OK, "held: %s", right->purpose);
    } else if (right->is_in_admin && effective >> CAP_SYS_ADMIN & 1) {
        doctor_found(finding, DOCTOR_OK, "not held, but CAP_SYS_ADMIN, which includes it: %s",
                     right->purpose);
    } else if (doctor_is_limited(machine)) {
        doctor_found(finding, DOCTOR_UNKNOWN, "not held by who looks: %s", right->purpose);
        doctor_remedy(finding, "run loris doctor as root, or ask the running agent, which has "
                               "rights of its own");
    } else {
        doctor_found(finding, right->without, "not held: %s", right->purpose);
        doctor_means(finding, "%s", right->consequence);
        doctor_remedy(finding, "add %s to CapabilityBoundingSet= of loris.service, or run as root",
                      right->name);
    }
}

static void check_bpf(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const struct right right = {CAP_BPF,
                                       "CAP_BPF",
                                       DOCTOR_FAIL,
                                       true,
                                       "maps and programs of every kind",
                                       "nothing can be loaded"};
    check_right(machine, &right, finding);
}

static void check_perfmon(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const struct right right = {CAP_PERFMON,
                                       "CAP_PERFMON",
                                       DOCTOR_FAIL,
                                       true,
                                       "tracing programs: tracepoints, kprobes, fentry, uprobes",
                                       "nothing can be attached"};
    check_right(machine, &right, finding);
}

static void check_sys_admin(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    struct right right = {CAP_SYS_ADMIN,
                          "CAP_SYS_ADMIN",
                          DOCTOR_ABSENT,
                          false,
                          "single uprobes on kernels since 6.16 and their fixes, the iterator over "
                          "open calls, runs that the kernel left out",
                          "user functions need uprobe-multi, which needs CAP_BPF and CAP_PERFMON "
                          "only and is taken here"};
    if (machine->survey->core.taken && !machine->survey->kinds[ATTACH_UPROBE_MULTI].taken) {
        right.without = DOCTOR_WARNING;
        right.consequence = "user functions cannot be watched: this kernel has no uprobe-multi";
    }
    check_right(machine, &right, finding);
}

static void check_sys_ptrace(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const struct right right = {
        CAP_SYS_PTRACE,
        "CAP_SYS_PTRACE",
        DOCTOR_WARNING,
        false,
        "reading what processes of others have mapped: user:pid:N, programs in containers",
        "user:pid:N of other users' processes is refused"};
    check_right(machine, &right, finding);
}

static void check_dac_read(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const struct right right = {
        CAP_DAC_READ_SEARCH,
        "CAP_DAC_READ_SEARCH",
        DOCTOR_WARNING,
        false,
        "reading programs and libraries that their owners show to nobody, and tracefs",
        "such objects, and the list of kernel functions, cannot be read"};
    check_right(machine, &right, finding);
}

static void check_syslog(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const struct right right = {CAP_SYSLOG,
                                       "CAP_SYSLOG",
                                       DOCTOR_ABSENT,
                                       false,
                                       "addresses in /proc/kallsyms",
                                       "kernel functions are found by name all the same"};
    check_right(machine, &right, finding);
}

const struct doctor_check doctor_rights_checks[] = {
    {"rights.bpf", check_bpf},
    {"rights.perfmon", check_perfmon},
    {"rights.sys-admin", check_sys_admin},
    {"rights.sys-ptrace", check_sys_ptrace},
    {"rights.dac-read-search", check_dac_read},
    {"rights.syslog", check_syslog},
    {NULL, NULL},
};

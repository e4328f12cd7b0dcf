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

#define NO_STAND_IN 63 /* no capability has this number */

struct right {
    const char *check;
    const char *name;
    unsigned number;
    unsigned stand_in;          /* a capability that includes it */
    enum doctor_result without; /* what it is not to have it */
    const char *purpose;
    const char *consequence;
};

static const struct right rights[] = {
    {"rights.bpf", "CAP_BPF", CAP_BPF, CAP_SYS_ADMIN, DOCTOR_FAIL,
     "maps and programs of every kind", "nothing can be loaded"},
    {"rights.perfmon", "CAP_PERFMON", CAP_PERFMON, CAP_SYS_ADMIN, DOCTOR_FAIL,
     "tracing programs: tracepoints, kprobes, fentry, uprobes", "nothing can be attached"},
    {"rights.sys-admin", "CAP_SYS_ADMIN", CAP_SYS_ADMIN, NO_STAND_IN, DOCTOR_ABSENT,
     "single uprobes on kernels since 6.16 and their fixes",
     "user functions need uprobe-multi, which CAP_BPF and CAP_PERFMON are enough for"},
    {"rights.sys-ptrace", "CAP_SYS_PTRACE", CAP_SYS_PTRACE, NO_STAND_IN, DOCTOR_WARNING,
     "reading what processes of others have mapped: user:pid:N, programs in containers",
     "user:pid:N of other users' processes is refused"},
    {"rights.dac-read-search", "CAP_DAC_READ_SEARCH", CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE,
     DOCTOR_WARNING, "reading programs and libraries that their owners show to nobody, and tracefs",
     "such objects, and the list of kernel functions, cannot be read"},
    {"rights.syslog", "CAP_SYSLOG", CAP_SYSLOG, NO_STAND_IN, DOCTOR_ABSENT,
     "addresses in /proc/kallsyms", "kernel functions are found by name all the same"},
};

static const struct right *right_of(const struct doctor_finding *finding)
{
    const struct right *right = rights;
    while (strcmp(right->check, finding->check) != 0)
        right++;
    return right;
}

static void tell_missing(const struct right *right, struct doctor_finding *finding)
{
    doctor_found(finding, right->without, "not held: %s", right->purpose);
    doctor_means(finding, "%s", right->consequence);
    doctor_remedy(finding, "add %s to CapabilityBoundingSet= of loris.service, or run as root",
                  right->name);
}

/* A running agent gives it up where the kernel lets it. */
static void tell_without_sys_admin(const struct doctor_machine *machine, const struct right *right,
                                   struct doctor_finding *finding)
{
    const struct attach_survey *survey = machine->survey;
    bool takes_many = survey->kinds[ATTACH_UPROBE_MULTI].taken;
    if (survey->core.taken && takes_many) {
        doctor_found(finding, DOCTOR_OK, "not held, nor needed: this kernel has uprobe-multi");
        return;
    }
    tell_missing(right, finding);
    if (survey->core.taken) {
        finding->result = DOCTOR_WARNING;
        doctor_means(finding, "user functions may be refused: this kernel has no uprobe-multi, "
                              "which does without");
    }
}

static void check_right(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    const struct right *right = right_of(finding);
    uint64_t effective = 0;
    int error = read_effective(machine, &effective);
    if (error) {
        doctor_unread(finding, "the capabilities in " STATUS_PATH, error);
    } else if (effective >> right->number & 1) {
        doctor_found(finding, DOCTOR_OK, "held: %s", right->purpose);
    } else if (effective >> right->stand_in & 1) {
        doctor_found(finding, DOCTOR_OK, "not held, but %s, which includes it: %s",
                     right->stand_in == CAP_SYS_ADMIN ? "CAP_SYS_ADMIN" : "CAP_DAC_OVERRIDE",
                     right->purpose);
    } else if (doctor_is_limited(machine)) {
        doctor_found(finding, DOCTOR_UNKNOWN, "not held by who looks: %s", right->purpose);
        doctor_remedy(finding, "run loris doctor as root, or ask the running agent, which has "
                               "rights of its own");
    } else if (right->number == CAP_SYS_ADMIN) {
        tell_without_sys_admin(machine, right, finding);
    } else {
        tell_missing(right, finding);
    }
}

const struct doctor_check doctor_rights_checks[] = {
    {"rights.bpf", check_right},
    {"rights.perfmon", check_right},
    {"rights.sys-admin", check_right},
    {"rights.sys-ptrace", check_right},
    {"rights.dac-read-search", check_right},
    {"rights.syslog", check_right},
    {NULL, NULL},
};

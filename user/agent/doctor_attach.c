/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of the ways to attach, as the survey found them, and of what a call then costs. */
#include <errno.h>
#include <string.h>

#include "agent/doctor_internal.h"
#include "base/quantity.h"

#define STEPPED_DEAR 5000 /* ns */

static const enum attach_kind user_ladder[] = {ATTACH_UPROBE_SESSION, ATTACH_UPROBE_MULTI,
                                               ATTACH_UPROBE, ATTACH_AUTO};
static const enum attach_kind kernel_ladder[] = {ATTACH_FENTRY, ATTACH_KPROBE_SESSION,
                                                 ATTACH_KPROBE_MULTI, ATTACH_KPROBE, ATTACH_AUTO};

/* For more functions than fentry is good for. */
static const enum attach_kind many_ladder[] = {ATTACH_KPROBE_SESSION, ATTACH_KPROBE_MULTI,
                                               ATTACH_KPROBE, ATTACH_FENTRY, ATTACH_AUTO};

/* The best of a ladder that is taken, or ATTACH_AUTO. */
static enum attach_kind best_of(const struct attach_survey *survey, const enum attach_kind *ladder)
{
    while (*ladder != ATTACH_AUTO && !survey->kinds[*ladder].taken)
        ladder++;
    return *ladder;
}

/* Nothing was tried without the maps and the first programs. True: the finding says so. */
static bool was_not_tried(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    if (machine->survey->core.taken)
        return false;
    doctor_found(finding, DOCTOR_UNKNOWN, "not tried: see attach.programs");
    return true;
}

static void check_programs(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    const struct survey_outcome *core = &machine->survey->core;
    if (core->taken) {
        doctor_found(finding, DOCTOR_OK, "maps and programs are loaded");
        return;
    }
    bool limited = doctor_is_limited(machine);
    doctor_found(finding, limited ? DOCTOR_UNKNOWN : DOCTOR_FAIL, "%s", core->refusal.what);
    doctor_means(finding,
                 limited ? "what this kernel takes could not be tried" : "nothing can be watched");
    doctor_remedy(finding, "%s",
                  limited ? "run loris doctor as root, or start the agent and ask it"
                          : core->refusal.hint);
}

/* One way to attach. */
struct way {
    const char *check;
    enum attach_kind kind;
    const enum attach_kind *ladder; /* of what is used instead; NULL: nothing is */
    const char *purpose;
    const char *remedy;
};

static const struct way ways[] = {
    {"attach.uprobe-session", ATTACH_UPROBE_SESSION, user_ladder,
     "one link for many functions, calls can be skipped at the entry",
     "kernels since 6.13 have it"},
    {"attach.uprobe-multi", ATTACH_UPROBE_MULTI, user_ladder, "one link for many functions",
     "kernels since 6.6 have it"},
    {"attach.uprobe", ATTACH_UPROBE, user_ladder,
     "a link for each function; detaching takes up to 0.5 s each",
     "a kernel with CONFIG_UPROBE_EVENTS; since 6.16 it needs CAP_SYS_ADMIN, too"},
    {"attach.uprobe-exits", ATTACH_UPROBE_EXITS, NULL,
     "entries and return instructions, for code that throws exceptions",
     "what attach.uprobe needs"},
    {"attach.fentry", ATTACH_FENTRY, kernel_ladder,
     "up to a few kernel functions, at the least cost",
     "a kernel with CONFIG_FUNCTION_TRACER and BTF that is not locked down"},
    {"attach.kprobe-session", ATTACH_KPROBE_SESSION, many_ladder,
     "one link for many kernel functions", "kernels since 6.10 with CONFIG_FPROBE=y have it"},
    {"attach.kprobe-multi", ATTACH_KPROBE_MULTI, many_ladder,
     "one link for many kernel functions, two programs",
     "kernels since 5.18 with CONFIG_FPROBE=y have it"},
    {"attach.kprobe", ATTACH_KPROBE, kernel_ladder, "a link for each kernel function",
     "a kernel with CONFIG_KPROBES that is not locked down"},
};

static const struct way *way_of(const struct doctor_finding *finding)
{
    const struct way *way = ways;
    while (strcmp(way->check, finding->check) != 0)
        way++;
    return way;
}

static void check_way(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    const struct way *way = way_of(finding);
    const struct survey_outcome *outcome = &machine->survey->kinds[way->kind];
    if (was_not_tried(machine, finding))
        return;
    if (outcome->taken) {
        doctor_found(finding, DOCTOR_OK, "taken: %s", way->purpose);
        return;
    }
    doctor_found(finding, DOCTOR_ABSENT, "refused: %s", outcome->refusal.what);
    enum attach_kind instead = way->ladder ? best_of(machine->survey, way->ladder) : ATTACH_AUTO;
    if (instead != ATTACH_AUTO)
        doctor_means(finding, "%s is used instead: nothing needs to be done",
                     attach_kind_name(instead));
    doctor_remedy(finding, "%s", way->remedy);
}

static void check_user_functions(const struct doctor_machine *machine,
                                 struct doctor_finding *finding)
{
    enum attach_kind best = best_of(machine->survey, user_ladder);
    if (was_not_tried(machine, finding))
        return;
    if (best != ATTACH_AUTO) {
        doctor_found(finding, DOCTOR_OK, "through %s", attach_kind_name(best));
        return;
    }
    doctor_found(finding, DOCTOR_WARNING, "no way to attach is taken");
    doctor_means(finding, "user:, usdt: and heap: targets cannot be watched");
    doctor_remedy(finding, "a kernel with CONFIG_UPROBES; see attach.uprobe*");
}

static void check_kernel_functions(const struct doctor_machine *machine,
                                   struct doctor_finding *finding)
{
    enum attach_kind best = best_of(machine->survey, kernel_ladder);
    enum attach_kind many = best_of(machine->survey, many_ladder);
    if (was_not_tried(machine, finding))
        return;
    if (best != ATTACH_AUTO) {
        doctor_found(finding, DOCTOR_OK, "through %s, many at once through %s",
                     attach_kind_name(best), attach_kind_name(many));
        return;
    }
    doctor_found(finding, DOCTOR_WARNING, "no way to attach is taken");
    doctor_means(finding, "kernel: targets cannot be watched; syscall: and span: targets can");
    doctor_remedy(finding, "a kernel with kprobes or fentry that is not locked down; see "
                           "attach.fentry and attach.kprobe*");
}

/* What has no other way than its own. */
static void tell(const struct doctor_machine *machine, const struct survey_outcome *outcome,
                 const char *taken, enum doctor_result refused, struct doctor_finding *finding)
{
    if (was_not_tried(machine, finding))
        return;
    if (outcome->taken)
        doctor_found(finding, DOCTOR_OK, "taken: %s", taken);
    else
        doctor_found(finding, refused, "refused: %s", outcome->refusal.what);
}

static void check_marks(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    tell(machine, &machine->survey->marks, "usdt: targets can be watched", DOCTOR_WARNING, finding);
    if (finding->result != DOCTOR_WARNING)
        return;
    doctor_means(finding, "usdt: targets cannot be watched");
    doctor_remedy(finding, "what attach.uprobe needs");
}

static void check_syscalls(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    tell(machine, &machine->survey->tracepoints[TRACEPOINTS_SYSCALLS],
         "raw tracepoints sys_enter and sys_exit", DOCTOR_WARNING, finding);
    if (finding->result != DOCTOR_WARNING)
        return;
    doctor_means(finding, "syscall: targets cannot be watched");
    doctor_remedy(finding, "a kernel with CONFIG_FTRACE_SYSCALLS");
}

static void check_processes(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    tell(machine, &machine->survey->tracepoints[TRACEPOINTS_LIFE],
         "tracepoints that tell who starts, renames, ends", DOCTOR_FAIL, finding);
    if (finding->result != DOCTOR_FAIL)
        return;
    doctor_means(finding, "nothing can be watched: calls could not be told by process");
    doctor_remedy(finding, "a kernel with the sched_process_* tracepoints");
}

static void check_spans(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    static const char *const names[] = {"block-io", "run-queue", "softirq", "irq"};
    char taken[64] = "", refused[64] = "";
    const struct diag *why = NULL;
    if (was_not_tried(machine, finding))
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct survey_outcome *outcome = &machine->survey->tracepoints[i];
        char *list = outcome->taken ? taken : refused;
        size_t length = strlen(list);
        snprintf(list + length, sizeof(taken) - length, "%s%s", length ? ", " : "", names[i]);
        if (!outcome->taken && !why)
            why = &outcome->refusal;
    }
    if (!why) {
        doctor_found(finding, DOCTOR_OK, "taken: BTF tracepoints of %s", taken);
        return;
    }
    doctor_found(finding, DOCTOR_WARNING, "taken: %s; refused: %s (%s)", taken[0] ? taken : "none",
                 refused, why->what);
    doctor_means(finding, "span: targets of these names cannot be watched");
    doctor_remedy(finding, "a kernel that has these tracepoints");
}

static void check_cost(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    const struct attach_survey *survey = machine->survey;
    const struct calibration_cost *emulated = &survey->user_costs[CALIBRATION_PUSH];
    const struct calibration_cost *stepped = &survey->user_costs[CALIBRATION_STEPPED];
    _cleanup_free_ char *processor = NULL;
    char cheap[16], dear[16];
    if (was_not_tried(machine, finding))
        return;
    if (emulated->source != CALIBRATION_MEASURED || stepped->source != CALIBRATION_MEASURED) {
        doctor_found(finding, DOCTOR_UNKNOWN, "it could not be measured");
        doctor_means(finding, "the governor assumes a cost, and the bias is not taken off");
        return;
    }
    bool is_virtual =
        doctor_read(machine, "/proc/cpuinfo", &processor) == 0 && strstr(processor, " hypervisor");
    bool is_dear = stepped->cost_ns > STEPPED_DEAR;
    format_duration(emulated->cost_ns, cheap);
    format_duration(stepped->cost_ns, dear);
    doctor_found(finding, is_dear ? DOCTOR_WARNING : DOCTOR_OK,
                 "%s a call of a user function where the kernel emulates the probed instruction, "
                 "%s where it single-steps it%s",
                 cheap, dear, is_virtual ? "; this is a virtual machine" : "");
    if (!is_dear)
        return;
    doctor_means(finding, "functions whose first instructions cannot be emulated are dear to "
                          "watch; the governor thins them the sooner");
    doctor_remedy(finding, "loris list PATTERN --placement tells what each function costs; bare "
                           "metal steps several times faster");
}

const struct doctor_check doctor_attach_checks[] = {
    {"attach.programs", check_programs},
    {"attach.processes", check_processes},
    {"attach.syscalls", check_syscalls},
    {"attach.spans", check_spans},
    {"attach.user-functions", check_user_functions},
    {"attach.uprobe-session", check_way},
    {"attach.uprobe-multi", check_way},
    {"attach.uprobe", check_way},
    {"attach.uprobe-exits", check_way},
    {"attach.usdt", check_marks},
    {"attach.kernel-functions", check_kernel_functions},
    {"attach.fentry", check_way},
    {"attach.kprobe-session", check_way},
    {"attach.kprobe-multi", check_way},
    {"attach.kprobe", check_way},
    {"attach.cost", check_cost},
    {NULL, NULL},
};

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checks of what is known to harm targets: whether this kernel does it, and how it is avoided. */
#include "agent/doctor_internal.h"

static bool was_not_tried(const struct doctor_machine *machine, enum hazard hazard,
                          struct doctor_finding *finding)
{
    if (machine->survey->hazards.tried[hazard])
        return false;
    doctor_found(finding, DOCTOR_UNKNOWN, "not tried: see attach.programs");
    return true;
}

static void check_trampoline(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    if (was_not_tried(machine, HAZARD_FILTERED_TRAMPOLINE, finding))
        return;
    if (!machine->survey->hazards.present[HAZARD_FILTERED_TRAMPOLINE]) {
        doctor_found(finding, DOCTOR_OK,
                     "not here: a child under a seccomp filter survived a "
                     "return probe");
        return;
    }
    doctor_found(finding, DOCTOR_WARNING,
                 "here: a return probe ends programs whose seccomp filter "
                 "does not know its system call");
    doctor_means(finding, "loris probes entries and return instructions instead (uprobe-exits), "
                          "and refuses functions whose exits are not sure");
    doctor_remedy(finding, "kernels since 6.14 are mended (cf6cb56ef244)");
}

static void check_red_zone(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    if (was_not_tried(machine, HAZARD_NOP5_RED_ZONE, finding))
        return;
    if (!machine->survey->hazards.present[HAZARD_NOP5_RED_ZONE]) {
        doctor_found(finding, DOCTOR_OK,
                     "not here: a child kept its red zone under a probe on a "
                     "five-byte nop");
        return;
    }
    doctor_found(finding, DOCTOR_WARNING,
                 "here: a probe on a five-byte nop overwrites what leaf "
                 "functions keep below the stack pointer");
    doctor_means(finding, "loris refuses static marks on such nops, and probes functions "
                          "elsewhere");
    doctor_remedy(finding, "--force watches such a mark where you know that it is in no leaf "
                           "function");
}

static void check_multi_pid(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    (void)machine;
    doctor_found(finding, DOCTOR_OK,
                 "avoided: some kernels lose other threads of a process that "
                 "uprobe-multi filters by; loris filters in its programs");
}

static void check_exceptions(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    (void)machine;
    doctor_found(finding, DOCTOR_OK,
                 "avoided: every kernel ends a C++ program whose exception "
                 "passes a return probe; loris probes return instructions in "
                 "objects that unwind (uprobe-exits)");
}

static void check_go(const struct doctor_machine *machine, struct doctor_finding *finding)
{
    (void)machine;
    doctor_found(finding, DOCTOR_OK,
                 "refused: Go moves stacks, with the return addresses that a "
                 "return probe changed; --force overrides");
}

const struct doctor_check doctor_hazard_checks[] = {
    {"hazard.seccomp-trampoline", check_trampoline},
    {"hazard.nop5-red-zone", check_red_zone},
    {"hazard.multi-pid-filter", check_multi_pid},
    {"hazard.exceptions", check_exceptions},
    {"hazard.go", check_go},
    {NULL, NULL},
};

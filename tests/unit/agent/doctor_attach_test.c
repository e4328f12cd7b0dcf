/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake_machine.h"

static void refuse(struct fake_machine *fake, enum attach_kind kind, const char *why)
{
    fake->survey.kinds[kind].taken = false;
    diag_set(&fake->survey.kinds[kind].refusal, EOPNOTSUPP, "%s", why);
}

static void assert_means(const struct fake_machine *fake, const char *check, const char *says)
{
    struct doctor_finding finding = find(fake, check);
    if (!strstr(finding.consequence, says))
        fail_msg("%s means \"%s\", wanted \"%s\"", check, finding.consequence, says);
}

static void each_way_that_is_taken_is_fine(void **state)
{
    struct fake_machine *fake = *state;
    static const char *const checks[] = {
        "attach.uprobe-session", "attach.uprobe-multi", "attach.uprobe",
        "attach.uprobe-exits",   "attach.fentry",       "attach.kprobe-session",
        "attach.kprobe-multi",   "attach.kprobe",       "attach.usdt",
        "attach.syscalls",       "attach.spans",        "attach.processes",
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
        assert_finds(fake, checks[i], DOCTOR_OK, "taken");
    assert_finds(fake, "attach.programs", DOCTOR_OK, "loaded");
    assert_finds(fake, "attach.user-functions", DOCTOR_OK, "uprobe-session");
    assert_finds(fake, "attach.kernel-functions", DOCTOR_OK,
                 "through fentry, many at once through kprobe-session");
}

/* As on 6.1: no sessions, no multi links. */
static void what_is_refused_names_what_is_used_instead(void **state)
{
    struct fake_machine *fake = *state;
    refuse(fake, ATTACH_UPROBE_SESSION, "no such link");
    assert_finds(fake, "attach.uprobe-session", DOCTOR_ABSENT, "refused: no such link");
    assert_means(fake, "attach.uprobe-session", "uprobe-multi is used instead");
    refuse(fake, ATTACH_UPROBE_MULTI, "no such link");
    assert_means(fake, "attach.uprobe-session", "uprobe is used instead");
    refuse(fake, ATTACH_KPROBE_MULTI, "no fprobe");
    refuse(fake, ATTACH_KPROBE_SESSION, "no fprobe");
    assert_finds(fake, "attach.kprobe-multi", DOCTOR_ABSENT, "refused: no fprobe");
    assert_means(fake, "attach.kprobe-multi", "kprobe is used instead");
    refuse(fake, ATTACH_FENTRY, "locked down");
    assert_means(fake, "attach.fentry", "kprobe is used instead");
    assert_finds(fake, "attach.kernel-functions", DOCTOR_OK,
                 "through kprobe, many at once through kprobe");
}

static void without_any_way_a_family_is_a_warning(void **state)
{
    struct fake_machine *fake = *state;
    for (unsigned i = 0; i < ATTACH_KINDS; i++)
        refuse(fake, (enum attach_kind)i, "no");
    assert_finds(fake, "attach.kernel-functions", DOCTOR_WARNING, "no way");
    assert_finds(fake, "attach.user-functions", DOCTOR_WARNING, "no way");
    assert_means(fake, "attach.kprobe", "");
    assert_null(strstr(find(fake, "attach.kprobe").consequence, "instead"));
    fake->survey.marks = (struct survey_outcome){0};
    assert_finds(fake, "attach.usdt", DOCTOR_WARNING, "refused");
}

static void spans_are_told_one_by_one(void **state)
{
    struct fake_machine *fake = *state;
    fake->survey.tracepoints[TRACEPOINTS_SOFTIRQ].taken = false;
    diag_set(&fake->survey.tracepoints[TRACEPOINTS_SOFTIRQ].refusal, ENOENT, "no softirq_entry");
    assert_finds(fake, "attach.spans", DOCTOR_WARNING,
                 "taken: block-io, run-queue, irq; refused: softirq (no softirq_entry)");
    for (unsigned i = 0; i < TRACEPOINT_GROUPS; i++)
        fake->survey.tracepoints[i].taken = false;
    assert_finds(fake, "attach.spans", DOCTOR_WARNING, "taken: none");
    assert_finds(fake, "attach.syscalls", DOCTOR_WARNING, "refused");
    assert_finds(fake, "attach.processes", DOCTOR_FAIL, "refused");
}

static void root_without_programs_is_a_failure(void **state)
{
    struct fake_machine *fake = *state;
    fake->survey = (struct attach_survey){0};
    diag_set(&fake->survey.core.refusal, EPERM, "cannot load the maps");
    diag_hint(&fake->survey.core.refusal, "lockdown");
    assert_false(doctor_is_limited(&fake->machine));
    assert_finds(fake, "attach.programs", DOCTOR_FAIL, "cannot load the maps");
    assert_string_equal(find(fake, "attach.programs").remedy, "lockdown");
}

static void dear_steps_are_a_warning(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "attach.cost", DOCTOR_OK, "800 ns a call");
    fake->survey.user_costs[CALIBRATION_STEPPED].cost_ns = 9700;
    put(fake, "/proc/cpuinfo", "flags\t\t: fpu hypervisor sse\n");
    assert_finds(fake, "attach.cost", DOCTOR_WARNING, "9.70 us where it single-steps it");
    assert_finds(fake, "attach.cost", DOCTOR_WARNING, "virtual machine");
    take_away(fake, "/proc/cpuinfo");
    assert_finds(fake, "attach.cost", DOCTOR_WARNING, "9.70 us");
    fake->survey.user_costs[CALIBRATION_STEPPED].source = CALIBRATION_ASSUMED;
    assert_finds(fake, "attach.cost", DOCTOR_UNKNOWN, "could not be measured");
}

static void hazards_say_what_loris_does(void **state)
{
    struct fake_machine *fake = *state;
    assert_finds(fake, "hazard.seccomp-trampoline", DOCTOR_OK, "not here");
    assert_finds(fake, "hazard.nop5-red-zone", DOCTOR_OK, "not here");
    assert_finds(fake, "hazard.multi-pid-filter", DOCTOR_OK, "avoided");
    assert_finds(fake, "hazard.exceptions", DOCTOR_OK, "avoided");
    assert_finds(fake, "hazard.go", DOCTOR_OK, "refused");
    fake->survey.hazards.present[HAZARD_FILTERED_TRAMPOLINE] = true;
    fake->survey.hazards.present[HAZARD_NOP5_RED_ZONE] = true;
    assert_finds(fake, "hazard.seccomp-trampoline", DOCTOR_WARNING, "here");
    assert_means(fake, "hazard.seccomp-trampoline", "uprobe-exits");
    assert_finds(fake, "hazard.nop5-red-zone", DOCTOR_WARNING, "here");
    assert_means(fake, "hazard.nop5-red-zone", "refuses static marks");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_MACHINE(each_way_that_is_taken_is_fine),
        ON_MACHINE(what_is_refused_names_what_is_used_instead),
        ON_MACHINE(without_any_way_a_family_is_a_warning),
        ON_MACHINE(spans_are_told_one_by_one),
        ON_MACHINE(root_without_programs_is_a_failure),
        ON_MACHINE(dear_steps_are_a_warning),
        ON_MACHINE(hazards_say_what_loris_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/attach_survey.h"

#include <errno.h>
#include <string.h>

#include "base/ownership.h"
#include "probe/attach_error.h"
#include "probe/bpf_link.h"

/* Enough for one probe and the calibration's. */
static const struct kernel_side_config small_side = {
    .probes_max = 1,
    .sketch_pages = 64,
    .waits_max = 64,
    .samples_log2 = 7,
    .rare_ring_bytes = 4096,
};

#define FUNCTION      "vfs_read"
#define PROGRAMS_EACH 2

/* What measures through a kind; a return program follows its entry program. */
static const struct {
    enum attach_kind kind;
    enum kernel_program programs[PROGRAMS_EACH];
} measuring[] = {
    {ATTACH_UPROBE_SESSION, {KERNEL_USER_SESSION, KERNEL_USER_SESSION}},
    {ATTACH_UPROBE_MULTI, {KERNEL_UMULTI_ENTRY, KERNEL_UMULTI_RETURN}},
    {ATTACH_UPROBE, {KERNEL_USER_ENTRY, KERNEL_USER_RETURN}},
    {ATTACH_KPROBE_SESSION, {KERNEL_KERN_SESSION, KERNEL_KERN_SESSION}},
    {ATTACH_KPROBE_MULTI, {KERNEL_KMULTI_ENTRY, KERNEL_KMULTI_RETURN}},
    {ATTACH_KPROBE, {KERNEL_KPROBE_ENTRY, KERNEL_KPROBE_RETURN}},
};
#define MEASURING_COUNT (sizeof(measuring) / sizeof(measuring[0]))

struct surveyor {
    struct kernel_side *side;
    struct attach_trials trials;
    struct attach_survey *survey;
};

static void note(struct survey_outcome *outcome, int error, const struct diag *diag)
{
    outcome->taken = !error;
    if (!error)
        return;
    outcome->refusal = *diag;
    if (!diag->what[0])
        diag_set(&outcome->refusal, -error, "%s", attach_error_text(error));
}

static int load_both(struct surveyor *surveyor, const enum kernel_program programs[PROGRAMS_EACH],
                     struct diag *diag)
{
    int fd = kernel_side_program(surveyor->side, programs[0], diag);
    if (fd >= 0)
        fd = kernel_side_program(surveyor->side, programs[1], diag);
    return fd < 0 ? fd : 0;
}

static int try_kind(struct surveyor *surveyor, enum attach_kind kind,
                    const enum kernel_program programs[PROGRAMS_EACH], struct diag *diag)
{
    int error = attach_kind_try(&surveyor->trials, surveyor->side, kind, diag);
    return error ? error : load_both(surveyor, programs, diag);
}

static void try_kinds(struct surveyor *surveyor, bool only_kernel)
{
    for (size_t i = 0; i < MEASURING_COUNT; i++) {
        struct diag diag = {0};
        enum attach_kind kind = measuring[i].kind;
        if (only_kernel && kind >= ATTACH_UPROBE)
            continue;
        int error = try_kind(surveyor, kind, measuring[i].programs, &diag);
        note(&surveyor->survey->kinds[kind], error, &diag);
    }
}

static int link_fentry(struct surveyor *surveyor, struct diag *diag)
{
    _cleanup_close_ int entry_fd = -1;
    _cleanup_close_ int exit_fd = -1;
    int error = kernel_side_load_fentry(surveyor->side, FUNCTION, &entry_fd, &exit_fd, diag);
    if (error)
        return error;
    _cleanup_close_ int exit_link = bpf_link_tracing(exit_fd, 0, true);
    _cleanup_close_ int entry_link =
        exit_link < 0 ? exit_link : bpf_link_tracing(entry_fd, 0, false);
    return entry_link < 0 ? entry_link : 0;
}

static void try_fentry(struct surveyor *surveyor)
{
    struct diag diag = {0};
    int error = link_fentry(surveyor, &diag);
    note(&surveyor->survey->kinds[ATTACH_FENTRY], error, &diag);
}

static void try_tracepoints(struct surveyor *surveyor)
{
    struct attach_survey *survey = surveyor->survey;
    struct tracepoint_groups groups = {0};
    for (unsigned i = 0; i < TRACEPOINT_GROUPS; i++) {
        struct diag diag = {0};
        enum tracepoint_group_kind kind = (enum tracepoint_group_kind)i;
        int error = tracepoint_groups_use(&groups, surveyor->side, kind, &diag);
        note(&survey->tracepoints[kind], error, &diag);
    }
    survey->kinds[ATTACH_RAW_TRACEPOINT] = survey->tracepoints[TRACEPOINTS_SYSCALLS];
    tracepoint_groups_done(&groups);
}

/* What has two places of one operation: through multi links, else through single ones. */
static void try_two_places(struct surveyor *surveyor,
                           const enum kernel_program multi[PROGRAMS_EACH],
                           const enum kernel_program single[PROGRAMS_EACH],
                           struct survey_outcome *outcome)
{
    struct diag diag = {0};
    int error = try_kind(surveyor, ATTACH_UPROBE_MULTI, multi, &diag);
    if (error)
        error = try_kind(surveyor, ATTACH_UPROBE, single, &diag);
    note(outcome, error, &diag);
}

static void try_marks_and_exits(struct surveyor *surveyor)
{
    static const enum kernel_program marks[][PROGRAMS_EACH] = {
        {KERNEL_MMARK_BEGIN, KERNEL_MMARK_END}, {KERNEL_MARK_BEGIN, KERNEL_MARK_END}};
    static const enum kernel_program exits[][PROGRAMS_EACH] = {
        {KERNEL_UMULTI_ENTRY, KERNEL_UMULTI_EXIT}, {KERNEL_USER_ENTRY, KERNEL_USER_EXIT}};
    struct attach_survey *survey = surveyor->survey;
    try_two_places(surveyor, marks[0], marks[1], &survey->marks);
    try_two_places(surveyor, exits[0], exits[1], &survey->kinds[ATTACH_UPROBE_EXITS]);
}

static void choose_user_kind(struct surveyor *surveyor)
{
    struct attach_survey *survey = surveyor->survey;
    for (size_t i = 0; i < MEASURING_COUNT && survey->user_kind == ATTACH_AUTO; i++)
        if (survey->kinds[measuring[i].kind].taken && measuring[i].kind >= ATTACH_UPROBE)
            survey->user_kind = measuring[i].kind;
}

static void measure_places(struct surveyor *surveyor)
{
    struct attach_survey *survey = surveyor->survey;
    static const enum calibration_place places[] = {CALIBRATION_PUSH, CALIBRATION_NOP,
                                                    CALIBRATION_STEPPED};
    _cleanup_(calibration_free_cleanup) struct calibration *calibration = NULL;
    if (survey->user_kind == ATTACH_AUTO ||
        calibration_new(surveyor->side, &surveyor->trials, &calibration))
        return;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct diag diag = {0};
        (void)!calibration_measure(calibration, survey->user_kind, places[i], &diag);
        survey->user_costs[places[i]] =
            calibration_cost_of(calibration, survey->user_kind, places[i]);
    }
}

/* Where that fails, survey->core says why. */
static struct kernel_side *open_side(struct attach_survey *survey)
{
    struct diag diag = {0};
    struct kernel_side *side = NULL;
    *survey = (struct attach_survey){0};
    int error = kernel_side_open(&small_side, &side, &diag);
    note(&survey->core, error, &diag);
    return side;
}

void attach_survey_run(const struct attach_trials *known, struct attach_survey *ret_survey)
{
    _cleanup_(kernel_side_free_cleanup) struct kernel_side *side = open_side(ret_survey);
    if (!side)
        return;
    struct surveyor surveyor = {.side = side, .survey = ret_survey};
    if (known)
        surveyor.trials = *known;
    try_kinds(&surveyor, false);
    try_fentry(&surveyor);
    try_tracepoints(&surveyor);
    try_marks_and_exits(&surveyor);
    for (unsigned i = 0; i < HAZARDS; i++)
        (void)hazards_present(&ret_survey->hazards, (enum hazard)i);
    choose_user_kind(&surveyor);
    measure_places(&surveyor);
}

void attach_survey_kernel(struct attach_survey *ret_survey)
{
    _cleanup_(kernel_side_free_cleanup) struct kernel_side *side = open_side(ret_survey);
    if (!side)
        return;
    struct surveyor surveyor = {.side = side, .survey = ret_survey};
    try_kinds(&surveyor, true);
    try_fentry(&surveyor);
}

bool attach_survey_takes_kernel_functions(const struct attach_survey *survey)
{
    return survey->kinds[ATTACH_FENTRY].taken || survey->kinds[ATTACH_KPROBE_SESSION].taken ||
           survey->kinds[ATTACH_KPROBE_MULTI].taken || survey->kinds[ATTACH_KPROBE].taken;
}

void attach_survey_costs(struct attach_survey *ret_survey)
{
    _cleanup_(kernel_side_free_cleanup) struct kernel_side *side = open_side(ret_survey);
    if (!side)
        return;
    struct surveyor surveyor = {.side = side, .survey = ret_survey};
    for (size_t i = 0; i < MEASURING_COUNT && ret_survey->user_kind == ATTACH_AUTO; i++) {
        struct diag diag = {0};
        enum attach_kind kind = measuring[i].kind;
        if (kind >= ATTACH_UPROBE && !try_kind(&surveyor, kind, measuring[i].programs, &diag))
            ret_survey->user_kind = kind;
    }
    measure_places(&surveyor);
}

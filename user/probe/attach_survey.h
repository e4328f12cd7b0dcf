/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What this machine takes of all that loris can attach, and what a probe costs: tried, not asked.
 */
#pragma once

#include "probe/attach_kind.h"
#include "probe/calibration.h"
#include "probe/hazards.h"
#include "probe/tracepoint_group.h"

struct survey_outcome {
    bool taken;
    struct diag refusal; /* why not; no `what`: it was not tried */
};

struct attach_survey {
    /* The maps and the first programs; nothing below was tried where they are refused. */
    struct survey_outcome core;
    struct survey_outcome kinds[ATTACH_KINDS]; /* but ATTACH_AUTO and ATTACH_TRACEPOINTS */
    struct survey_outcome tracepoints[TRACEPOINT_GROUPS];
    struct survey_outcome marks;
    struct hazards hazards;
    /* The best kind for user functions; costs stay assumed where it cannot be measured. */
    enum attach_kind user_kind; /* ATTACH_AUTO: none is taken */
    struct calibration_cost user_costs[CALIBRATION_PLACES];
};

/*
 * Loads every group of programs over small maps of its own, makes a link of each kind, and takes
 * all of it away again; other processes meet a probe on a kernel function for a moment. Takes 0.3
 * to 2 s. known: what was tried before on this kernel, or NULL.
 */
void attach_survey_run(const struct attach_trials *known, struct attach_survey *ret_survey);

/* Tries the kinds for kernel functions alone, in about 0.1 s; fills core and those. */
void attach_survey_kernel(struct attach_survey *ret_survey);
/* Whether any of them is taken. */
bool attach_survey_takes_kernel_functions(const struct attach_survey *survey);
/* Measures the kinds of places of user functions alone, in about 0.1 s; fills core, user_kind,
 * user_costs. */
void attach_survey_costs(struct attach_survey *ret_survey);

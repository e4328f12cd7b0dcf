/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Measures on the running machine what a probe costs, and how much of that lies inside the time it
 * measures. By its nature this module reads the clock and keeps the CPU busy for milliseconds.
 */
#pragma once

#include <stdint.h>

#include "probe/attach_kind.h"
#include "probe/calibration_code.h"

/*
 * What is measured are our own programs on a probe id of their own, with calls that are counted
 * and never sampled. User functions lie in a private page, so no other process meets the probes;
 * the syscall is a number that no kernel has; only the kernel function is everybody's.
 *
 * Each place of a kind is measured when it is first asked for. Links to user functions stay until
 * the end, so that measuring again takes a millisecond; those to the kernel function do not.
 */

enum calibration_source {
    CALIBRATION_ASSUMED, /* could not be measured: no bias, and a cost from elsewhere */
    CALIBRATION_MEASURED,
};

struct calibration_cost {
    uint32_t cost_ns;    /* that a call takes longer */
    uint32_t skipped_ns; /* the same when its entry decides not to measure it */
    uint32_t bias_ns;    /* of cost_ns what lies inside the measured time */
    enum calibration_source source;
};

struct calibration;

/* The side, and what was tried on it before, must live longer. Attaches nothing yet. */
int calibration_new(struct kernel_side *side, struct attach_trials *trials,
                    struct calibration **ret_calibration) _must_check_;
/* Detaching takes tens of milliseconds, and some more for each perf uprobe. */
void calibration_free(struct calibration *calibration);
DEFINE_CLEANUP(struct calibration *, calibration_free);

/*
 * Measures a place from scratch: 1,000 calls and some more, 3 to 25 ms, and as long again for
 * attaching when it is the first of its kind. The place matters to user functions and marks alone.
 * For system calls their tracepoints must be attached. An error leaves the cost assumed.
 */
int calibration_measure(struct calibration *calibration, enum attach_kind kind,
                        enum calibration_place place, struct diag *reterr_diag) _must_check_;
/*
 * Looks again, in about 1 ms, at a place that was measured. ret_drift_ratio: how far the bias has
 * moved from what was believed. -ENODATA: it was not measured, or cannot be measured again.
 */
int calibration_refresh(struct calibration *calibration, enum attach_kind kind,
                        enum calibration_place place, double *ret_drift_ratio) _must_check_;

/* Whether a measurement was tried, with whatever outcome. */
bool calibration_is_known(const struct calibration *calibration, enum attach_kind kind,
                          enum calibration_place place);
struct calibration_cost calibration_cost_of(const struct calibration *calibration,
                                            enum attach_kind kind, enum calibration_place place);

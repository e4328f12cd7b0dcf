/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From noisy timings to the cost and the bias of a probe; pure arithmetic. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The same number of calls twice: bare, and right after with a probe on them. */
struct cost_estimate_chunk {
    uint64_t bare_ns;
    uint64_t probed_ns;
};

/* What a call lost, by the median chunk, since what disturbs a chunk must not count; never below
 * zero. Reorders the chunks. */
double cost_estimate_slowdown_ns(struct cost_estimate_chunk *chunks, size_t count, unsigned calls);

/*
 * Of what some rounds found, the median; but the least, where that is smaller by far: the others
 * were disturbed all along, or their instructions are another matter to this kernel. Reorders.
 */
double cost_estimate_of_rounds_ns(double *rounds_ns, size_t count);

/* The median of a sketch, met bucket by bucket from below, placed inside its bucket by rank. */
struct cost_estimate_median {
    uint64_t total; /* calls in the sketch; set before the first bucket */
    uint64_t seen;
    double value_ns;
    bool found;
};
void cost_estimate_median_add(struct cost_estimate_median *median, uint32_t bucket, uint64_t count);

/*
 * The bias after a new measurement and the one before it. A smaller one counts at once, because too
 * large a bias takes time from real calls; to a larger one it rises when two in a row have said so,
 * as far as both did. before_ns 0: nothing is believed yet.
 */
uint32_t cost_estimate_follow_ns(uint32_t before_ns, double last_ns, double measured_ns);
/* How far a measurement lies from what was believed, as a ratio of that; 0 when nothing was. */
double cost_estimate_drift_ratio(uint32_t before_ns, double measured_ns);

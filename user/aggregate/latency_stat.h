/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of a set of calls: count, errors, sum, extremes and their sketch. */
#pragma once

#include <stdbool.h>

#include "aggregate/sketch.h"

/*
 * A record of weight w is one call that was measured and stands for w calls, itself included: the
 * others of a thinned probe went by unmeasured. Counts, sums and buckets are those of all w.
 */
struct latency_stat {
    uint64_t count;
    uint64_t errors;
    uint64_t sum_ns; /* saturates */
    uint64_t min_ns; /* UINT64_MAX when empty */
    uint64_t max_ns;
    uint64_t thinned_square; /* sum of w * (w - 1) over all records: 0 when nothing was thinned */
    struct sketch sketch;
};

void latency_stat_init(struct latency_stat *stat);
void latency_stat_done(struct latency_stat *stat);
void latency_stat_clear(struct latency_stat *stat);
/* A call that stands for `weight` calls, at least 1. -ENOMEM records nothing. */
int latency_stat_record(struct latency_stat *stat, uint64_t latency_ns, bool error,
                        uint32_t weight) _must_check_;
/* All of latency_stat_record but the sketch. */
void latency_stat_count(struct latency_stat *stat, uint64_t latency_ns, bool error,
                        uint32_t weight);
int latency_stat_merge(struct latency_stat *into, const struct latency_stat *from) _must_check_;
/* As sketch_quantiles, clamped to [min, max]. */
void latency_stat_quantiles(const struct latency_stat *stat, const double *quantiles, size_t n,
                            uint64_t *ret_values_ns);

/*
 * How far the true rank of a quantile may lie from the rank asked for because calls were thinned:
 * half the width of its 95 % interval, as a share of the calls, 0 .. 1. 0 when nothing was thinned.
 *
 * Each gap of w calls is represented by one of them (Horvitz and Thompson 1952: by its weight). Of
 * the w calls, a share q lies below the quantile, whichever are measured: what the one says, w or
 * 0, less what the w calls hold has the variance
 *
 *     (w - 1)^2 q(1 - q) + (w - 1) q(1 - q) = w(w - 1) q(1 - q)
 *
 * of the measured call's share counted w - 1 times too often, and of the others', left out. Gaps
 * are drawn independently, so these add up to thinned_square * q(1 - q), at most a quarter of it
 * (q = 0.5). The sum of the weights is the number of calls itself, without error.
 */
double latency_stat_rank_error(const struct latency_stat *stat);

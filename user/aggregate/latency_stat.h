/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is known of a set of calls: count, errors, sum, extremes and their sketch. */
#pragma once

#include <stdbool.h>

#include "aggregate/sketch.h"

struct latency_stat {
    uint64_t count;
    uint64_t errors;
    uint64_t sum_ns; /* saturates */
    uint64_t min_ns; /* UINT64_MAX when empty */
    uint64_t max_ns;
    struct sketch sketch;
};

void latency_stat_init(struct latency_stat *stat);
void latency_stat_done(struct latency_stat *stat);
void latency_stat_clear(struct latency_stat *stat);
/* -ENOMEM records nothing. */
int latency_stat_record(struct latency_stat *stat, uint64_t latency_ns, bool error) _must_check_;
int latency_stat_merge(struct latency_stat *into, const struct latency_stat *from) _must_check_;
/* As sketch_quantiles, clamped to [min, max]. */
void latency_stat_quantiles(const struct latency_stat *stat, const double *quantiles, size_t n,
                            uint64_t *ret_values_ns);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aggregate/latency_stat.h"

#include <math.h>

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

void latency_stat_init(struct latency_stat *stat)
{
    *stat = (struct latency_stat){.min_ns = UINT64_MAX};
}

void latency_stat_done(struct latency_stat *stat)
{
    sketch_done(&stat->sketch);
    latency_stat_init(stat);
}

void latency_stat_clear(struct latency_stat *stat)
{
    sketch_clear(&stat->sketch);
    struct sketch empty = stat->sketch; /* its resolution stays */
    latency_stat_init(stat);
    stat->sketch = empty;
}

void latency_stat_count(struct latency_stat *stat, uint64_t latency_ns, bool error, uint32_t weight)
{
    uint64_t sum_ns;
    if (__builtin_mul_overflow(latency_ns, weight, &sum_ns))
        sum_ns = UINT64_MAX;
    stat->count = saturating_add(stat->count, weight);
    stat->errors = saturating_add(stat->errors, error ? weight : 0);
    stat->sum_ns = saturating_add(stat->sum_ns, sum_ns);
    stat->thinned_square = saturating_add(stat->thinned_square, weight * (uint64_t)(weight - 1));
    if (latency_ns < stat->min_ns)
        stat->min_ns = latency_ns;
    if (latency_ns > stat->max_ns)
        stat->max_ns = latency_ns;
}

int latency_stat_record(struct latency_stat *stat, uint64_t latency_ns, bool error, uint32_t weight)
{
    int status = sketch_record(&stat->sketch, loris_sketch_bucket(latency_ns), weight);
    if (status < 0)
        return status;
    latency_stat_count(stat, latency_ns, error, weight);
    return 0;
}

int latency_stat_merge(struct latency_stat *into, const struct latency_stat *from)
{
    int status = sketch_merge(&into->sketch, &from->sketch);
    if (status < 0)
        return status;
    into->count = saturating_add(into->count, from->count);
    into->errors = saturating_add(into->errors, from->errors);
    into->sum_ns = saturating_add(into->sum_ns, from->sum_ns);
    into->thinned_square = saturating_add(into->thinned_square, from->thinned_square);
    if (from->min_ns < into->min_ns)
        into->min_ns = from->min_ns;
    if (from->max_ns > into->max_ns)
        into->max_ns = from->max_ns;
    return 0;
}

void latency_stat_quantiles(const struct latency_stat *stat, const double *quantiles, size_t n,
                            uint64_t *ret_values_ns)
{
    sketch_quantiles(&stat->sketch, quantiles, n, ret_values_ns);
    if (stat->min_ns > stat->max_ns)
        return;
    for (size_t i = 0; i < n; i++) {
        if (ret_values_ns[i] < stat->min_ns)
            ret_values_ns[i] = stat->min_ns;
        if (ret_values_ns[i] > stat->max_ns)
            ret_values_ns[i] = stat->max_ns;
    }
}

double latency_stat_rank_error(const struct latency_stat *stat)
{
    static const double deviations = 1.96, worst = 0.5; /* sqrt(q(1 - q)) at q = 0.5 */
    if (stat->thinned_square == 0 || stat->count == 0)
        return 0;
    double error = deviations * worst * sqrt((double)stat->thinned_square) / (double)stat->count;
    return error < 1 ? error : 1;
}

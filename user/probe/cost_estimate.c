/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/cost_estimate.h"

#include <math.h>
#include <stdlib.h>

#include "loris/sketch.h"

#define SMALLER_BY_FAR 0.9

static int compare_loss(const void *left, const void *right)
{
    const struct cost_estimate_chunk *a = left, *b = right;
    int64_t lost_a = (int64_t)(a->probed_ns - a->bare_ns);
    int64_t lost_b = (int64_t)(b->probed_ns - b->bare_ns);
    return (lost_a > lost_b) - (lost_a < lost_b);
}

double cost_estimate_slowdown_ns(struct cost_estimate_chunk *chunks, size_t count, unsigned calls)
{
    if (count == 0 || calls == 0)
        return 0;
    qsort(chunks, count, sizeof(*chunks), compare_loss);
    const struct cost_estimate_chunk *middle = &chunks[(count - 1) / 2];
    int64_t lost_ns = (int64_t)(middle->probed_ns - middle->bare_ns);
    return lost_ns > 0 ? (double)lost_ns / calls : 0;
}

static int compare_ns(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

double cost_estimate_of_rounds_ns(double *rounds_ns, size_t count)
{
    if (count == 0)
        return 0;
    qsort(rounds_ns, count, sizeof(*rounds_ns), compare_ns);
    double middle_ns = rounds_ns[(count - 1) / 2];
    return rounds_ns[0] < SMALLER_BY_FAR * middle_ns ? rounds_ns[0] : middle_ns;
}

/* The lower end of a bucket; see loris/sketch.h for the layout. */
static double bucket_begin_ns(uint32_t bucket)
{
    return exp2(((double)bucket - LORIS_PAGE_BUCKETS) / LORIS_PAGE_BUCKETS);
}

void cost_estimate_median_add(struct cost_estimate_median *median, uint32_t bucket, uint64_t count)
{
    double rank = (double)median->total / 2;
    double before = (double)median->seen;
    median->seen += count;
    if (median->found || count == 0 || (double)median->seen < rank)
        return;
    median->found = true;
    double low_ns = bucket ? bucket_begin_ns(bucket) : 0;
    double high_ns = bucket ? bucket_begin_ns(bucket + 1) : 0;
    median->value_ns = low_ns + (high_ns - low_ns) * (rank - before) / (double)count;
}

static uint32_t whole_ns(double ns)
{
    return ns <= 0 ? 0 : ns >= UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

uint32_t cost_estimate_follow_ns(uint32_t before_ns, double last_ns, double measured_ns)
{
    uint32_t now_ns = whole_ns(measured_ns);
    if (before_ns == 0 || now_ns <= before_ns)
        return now_ns;
    uint32_t both_ns = whole_ns(fmin(last_ns, measured_ns));
    return both_ns > before_ns ? both_ns : before_ns;
}

double cost_estimate_drift_ratio(uint32_t before_ns, double measured_ns)
{
    return before_ns ? fabs(measured_ns - before_ns) / before_ns : 0;
}

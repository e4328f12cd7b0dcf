/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One counter per power of two, allocated with the probe: where calls go when memory is out. */
#include "aggregate/series_internal.h"

#include <assert.h>
#include <math.h>

static void add_bucket(struct series_reserve *reserve, uint32_t bucket, uint64_t count)
{
    uint64_t *counter = &reserve->counters[bucket / LORIS_PAGE_BUCKETS];
    *counter = series_saturating_add(*counter, count);
}

static void on_sketch_bucket(double lower_ns, double upper_ns, uint64_t count, void *context)
{
    (void)lower_ns;
    uint32_t page = 0;
    if (upper_ns > 1) {
        /* upper = fraction * 2^exponent with fraction in [1/2, 1), and page e is (2^(e-1), 2^e] */
        int exponent;
        double fraction = frexp(upper_ns, &exponent);
        page = (uint32_t)(fraction == 0.5 ? exponent - 1 : exponent);
    }
    add_bucket(context, page * LORIS_PAGE_BUCKETS, count);
}

static struct series *reserve_home(const struct series_table *table, struct series *series)
{
    if (series->reserve)
        return series;
    uint32_t id = series_store_find(table, series_other_key(series->key.probe));
    assert(id != SERIES_NONE);
    return series_at(table, id);
}

static void add_scalars(struct series_table *table, struct series *home,
                        const struct latency_stat *stat)
{
    series_add_scalars(&home->settled, stat);
    table->figures.coarse_calls += stat->count;
}

void series_reserve_absorb(struct series_table *table, struct series *series,
                           const struct latency_stat *stat)
{
    if (stat->count == 0)
        return;
    struct series *home = reserve_home(table, series);
    sketch_walk(&stat->sketch, on_sketch_bucket, home->reserve);
    add_scalars(table, home, stat);
}

void series_reserve_absorb_pending(struct series_table *table, struct series *series,
                                   const struct series_pending *pending)
{
    if (pending->count == 0)
        return;
    struct series *home = reserve_home(table, series);
    for (uint8_t i = 0; i < pending->count; i++)
        add_bucket(home->reserve, pending->buckets[i], 1);
    struct latency_stat scalars = series_pending_scalars(pending);
    add_scalars(table, home, &scalars);
}

void series_reserve_add(struct series_table *table, struct series *series, uint32_t bucket,
                        const struct latency_stat *call)
{
    struct series *home = reserve_home(table, series);
    add_bucket(home->reserve, bucket, call->count);
    add_scalars(table, home, call);
}

int series_reserve_unpack(const struct series_reserve *reserve, struct sketch *into)
{
    for (uint32_t page = 0; page < LORIS_SKETCH_PAGES; page++) {
        if (!reserve->counters[page])
            continue;
        while (into->halvings < SKETCH_HALVINGS_MAX)
            sketch_halve(into);
        uint32_t bucket = page == 0 ? LORIS_PAGE_BUCKETS - 1 : page * LORIS_PAGE_BUCKETS;
        int status = sketch_record(into, bucket, reserve->counters[page]);
        if (status < 0)
            return status;
    }
    return 0;
}

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

void series_reserve_absorb(struct series_table *table, struct series *series,
                           const struct latency_stat *stat, const uint16_t *pending,
                           uint8_t pending_count)
{
    if (stat->count == 0)
        return;
    struct series *home = reserve_home(table, series);
    sketch_walk(&stat->sketch, on_sketch_bucket, home->reserve);
    for (uint8_t i = 0; i < pending_count; i++)
        add_bucket(home->reserve, pending[i], 1);

    struct latency_stat scalars = *stat;
    scalars.sketch = (struct sketch){0};
    int status = latency_stat_merge(&home->settled, &scalars);
    (void)status; /* an empty sketch needs no memory */
    table->figures.coarse_calls += stat->count;
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

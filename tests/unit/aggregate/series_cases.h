/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables to test on, calls to fill them with, and what must hold of them at any time. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "aggregate/series_internal.h"
#include "aggregate/series_table.h"
#include "record_call.h"

#define SECOND 1000000000ull

static uint64_t random_state;

static inline uint64_t random_u64(void)
{
    random_state += 0x9e3779b97f4a7c15ull; /* splitmix64 */
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

static inline uint64_t random_below(uint64_t bound)
{
    return random_u64() % bound;
}

/* Mostly like a real function, at times anything. */
static inline uint64_t random_latency(void)
{
    if (random_below(50) == 0)
        return random_u64() >> random_below(64) >> 8; /* a million of them do not overflow a sum */
    return 200 + random_below(2000) * random_below(20);
}

/* 50 names in 8 units: process p is of name p % 50, name n of unit n % 8. */
static inline struct series_key parent(struct series_key key, void *context)
{
    (void)context;
    uint64_t id = key.level == SERIES_PROCESS ? key.who % 50 : key.who % 8;
    return (struct series_key){key.probe, key.level + 1, id};
}

static inline struct series_table *new_table(uint64_t max_bytes, uint64_t idle_ns, uint64_t seed)
{
    struct series_table_config config = {
        .max_bytes = max_bytes,
        .idle_ns = idle_ns,
        .slice_ns = 10 * SECOND,
        .slices = 6,
        .parent = parent,
        .hash_seed = seed,
    };
    struct series_table *table = NULL;
    assert_int_equal(series_table_new(&config, &table), 0);
    return table;
}

static inline struct series_key process(uint32_t probe, uint64_t pid)
{
    return (struct series_key){probe, SERIES_PROCESS, pid};
}

static inline uint64_t count_of(const struct series_table *table, struct series_key key)
{
    const struct series *series = series_table_find(table, key);
    return series ? series_table_count(series) : 0;
}

/* --- what the figures say is what there is ------------------------------------------------------
 */

static inline uint64_t walked_bytes(const struct series_table *table)
{
    uint64_t bytes = series_block_bytes(sizeof(*table)) +
                     series_block_bytes((table->slot_mask + 1ull) * sizeof(*table->slots)) +
                     (SERIES_CHUNK * sizeof(struct series) + 80) * table->chunk_count;
    if (table->chunks)
        bytes += series_block_bytes(table->chunk_capacity * sizeof(*table->chunks));
    if (table->probes)
        bytes += series_block_bytes(table->probe_capacity * sizeof(*table->probes));
    for (uint32_t id = 0; id < table->count; id++) {
        const struct series *series = series_at(table, id);
        bytes +=
            sketch_heap_bytes(&series->open.sketch) + sketch_heap_bytes(&series->settled.sketch);
        for (const struct series_slice *slice = series->slices; slice; slice = slice->next)
            bytes += series_slice_block_bytes(slice);
        if (series->reserve)
            bytes += series_block_bytes(sizeof(*series->reserve));
    }
    return bytes;
}

static inline void assert_sound(const struct series_table *table)
{
    assert_int_equal(walked_bytes(table), series_table_figures(table).bytes);
    for (uint32_t id = 0; id < table->count; id++) {
        const struct series *series = series_at(table, id);
        assert_ptr_equal(series_table_find(table, series->key), series);
        assert_int_equal(sketch_count(&series->open.sketch), series->open.count);
        assert_true(series->pending.count <= SERIES_PENDING);
        assert_true(series->pending.errors <= series->pending.count);
    }
}

/* --- sums ------------------------------------------------------------------------------------- */

static inline void bucket_sum(double lower_ns, double upper_ns, uint64_t count, void *context)
{
    *(double *)context += (lower_ns + upper_ns) * (double)count;
}

static inline void assert_stats_equal(const struct latency_stat *is,
                                      const struct latency_stat *expected)
{
    assert_int_equal(is->count, expected->count);
    assert_int_equal(is->errors, expected->errors);
    assert_int_equal(is->sum_ns, expected->sum_ns);
    assert_int_equal(is->min_ns, expected->min_ns);
    assert_int_equal(is->max_ns, expected->max_ns);
    assert_int_equal(is->thinned_square, expected->thinned_square);
    assert_int_equal(sketch_count(&is->sketch), expected->count);
    if (is->sketch.halvings == expected->sketch.halvings) {
        double sums[2] = {0, 0};
        sketch_walk(&is->sketch, bucket_sum, &sums[0]);
        sketch_walk(&expected->sketch, bucket_sum, &sums[1]);
        assert_true(sums[0] == sums[1]);
    }
}

struct summing {
    const struct series_table *table;
    struct latency_stat stat;
};

static inline void add_totals(const struct series *series, void *context)
{
    struct summing *summing = context;
    uint64_t window_ns;
    assert_int_equal(series_table_window(summing->table, series, 0, 0, &summing->stat, &window_ns),
                     0);
}

static inline void assert_probe_sums(const struct series_table *table, uint32_t probe,
                                     const struct latency_stat *expected)
{
    struct summing summing = {.table = table};
    latency_stat_init(&summing.stat);
    series_table_walk(table, probe, add_totals, &summing);
    assert_stats_equal(&summing.stat, expected);
    latency_stat_done(&summing.stat);
}

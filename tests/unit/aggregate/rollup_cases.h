/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tables of one probe to read rows from, with process, name and unit known for each call. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregate/rollup.h"
#include "record_call.h"

#define SECOND 1000000000ull
#define PROBE  3u

static uint64_t random_state;

static inline uint64_t random_below(uint64_t bound)
{
    random_state += 0x9e3779b97f4a7c15ull; /* splitmix64 */
    uint64_t z = random_state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return (z ^ z >> 31) % bound;
}

/* Process p has name p % 10, name n is in unit n % 3. */
static inline struct series_key parent(struct series_key key, void *context)
{
    (void)context;
    uint64_t id = key.level == SERIES_PROCESS ? key.who % 10 : key.who % 3;
    return (struct series_key){key.probe, key.level + 1, id};
}

static inline struct series_key by_process(struct series_key key, void *context)
{
    (void)context;
    return key;
}

static inline struct series_key by_unit(struct series_key key, void *context)
{
    while (key.level < SERIES_UNIT)
        key = parent(key, context);
    return key;
}

static inline struct series_key by_none(struct series_key key, void *context)
{
    (void)context;
    return (struct series_key){.probe = key.probe, .level = SERIES_OTHER};
}

static inline struct series_table *new_table(uint64_t max_bytes)
{
    struct series_table_config config = {
        .max_bytes = max_bytes, .slice_ns = SECOND, .slices = 6, .parent = parent, .hash_seed = 5};
    struct series_table *table = NULL;
    assert_int_equal(series_table_new(&config, &table), 0);
    assert_int_equal(series_table_add_probe(table, PROBE), 0);
    assert_int_equal(series_table_add_probe(table, PROBE + 1), 0);
    return table;
}

static inline struct series_key key_of(uint32_t level, uint64_t who)
{
    return (struct series_key){PROBE, level, who};
}

static inline void record_times(struct series_table *table, uint64_t pid, uint64_t times,
                                uint64_t latency_ns, bool error, uint64_t now_ns)
{
    while (times-- > 0)
        record_call(table, key_of(SERIES_PROCESS, pid), latency_ns, error, now_ns);
}

static inline void count_in_kernel(struct series_table *table, uint64_t times, uint64_t latency_ns,
                                   uint64_t errors, uint64_t now_ns)
{
    struct latency_stat delta;
    latency_stat_init(&delta);
    for (uint64_t i = 0; i < times; i++)
        assert_int_equal(latency_stat_record(&delta, latency_ns, i < errors, 1), 0);
    series_table_merge(table, key_of(SERIES_UNATTRIBUTED, 0), &delta, now_ns);
    latency_stat_done(&delta);
}

static inline struct rollup *read_rows(const struct series_table *table, uint64_t window_ns,
                                       uint64_t now_ns, rollup_group_fn group)
{
    struct rollup *rollup = NULL;
    assert_int_equal(rollup_new(table, PROBE, window_ns, now_ns, group, NULL, &rollup), 0);
    return rollup;
}

static inline const struct rollup_row *find_row(const struct rollup *rollup, uint32_t level,
                                                uint64_t who)
{
    for (size_t i = 0; i < rollup->row_count; i++)
        if (rollup->rows[i].key.level == level && rollup->rows[i].key.who == who)
            return &rollup->rows[i];
    return NULL;
}

static inline uint64_t row_count(const struct rollup *rollup, uint32_t level, uint64_t who)
{
    const struct rollup_row *row = find_row(rollup, level, who);
    return row ? row->stat.count : 0;
}

/* All rows in one. */
static inline struct latency_stat sum_of(const struct rollup *rollup)
{
    struct latency_stat sum;
    latency_stat_init(&sum);
    for (size_t i = 0; i < rollup->row_count; i++)
        assert_int_equal(latency_stat_merge(&sum, &rollup->rows[i].stat), 0);
    return sum;
}

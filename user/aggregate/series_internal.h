/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The series table's inside, shared by series_*.c only. */
#pragma once

#include "aggregate/series_table.h"

/* Calls whose bucket waits to be put into a sketch: pages are then touched once for many calls,
 * and a process that makes only a few calls never needs one. */
#define SERIES_PENDING 48
/* Series per block of the store. */
#define SERIES_CHUNK 16
#define SERIES_NONE  UINT32_MAX

/* A slice that is over, packed: see series_slice.c. */
struct series_slice {
    struct series_slice *next;
    uint64_t epoch; /* slice number: time / slice_ns */
    uint32_t length;
    uint8_t halvings;
    uint8_t bytes[];
};

/* What OTHER and UNATTRIBUTED count in when there is no memory. The calls' count, errors, sum and
 * extremes are in `settled`. Counter 0: 0 and 1 ns; counter p + 1: (2^p, 2^(p+1)]. */
struct series_reserve {
    uint64_t counters[LORIS_SKETCH_PAGES];
};

/*
 * A series' calls are spread over these, each call being in one of them:
 *
 *     open      of the slice open_epoch; their latest buckets wait in `pending`, so that the
 *               sketch has open.count - pending_count of them
 *     settled   of earlier slices
 *     reserve   in settled's count, not in its sketch
 *
 * What is in the window but not open is once more in `slices`. A record touches two or three cache
 * lines of the series and, once in SERIES_PENDING times, its sketch.
 */
struct series {
    struct series_key key;
    uint64_t last_ns; /* of the last record or merge */
    uint64_t open_epoch;
    uint64_t serial;
    uint32_t hash;
    uint8_t pending_count;
    bool referenced; /* since the hand came by */
    struct latency_stat open;
    uint16_t pending[SERIES_PENDING];
    struct latency_stat settled;
    struct series_slice *slices;    /* latest epoch first; owned */
    struct series_reserve *reserve; /* OTHER and UNATTRIBUTED only; owned */
};
_Static_assert(sizeof(struct series) == 320, "a series is five cache lines");

struct series_table {
    struct series_table_config config;
    uint64_t hash_keys[2];
    uint32_t *slots; /* open addressing: tag << 24 | id + 1, 0 is empty */
    uint32_t slot_mask;

    struct series **chunks; /* ids 0 .. count - 1 are used, without holes */
    uint32_t chunk_count, chunk_capacity;
    uint32_t count;
    uint32_t evict_hand, sweep_hand;

    uint32_t *probes;
    uint32_t probe_count, probe_capacity;
    uint64_t reserved_bytes; /* what add_probe takes, of all probes */

    uint64_t first_ns, now_ns;
    uint64_t epoch, epoch_end_ns;
    uint64_t next_serial;
    bool started; /* first_ns is set */
    bool starved; /* over the limit, and there was nothing left to give up */
    struct series_table_figures figures;
};

static inline uint64_t series_saturating_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* What glibc takes for a block. */
static inline uint64_t series_block_bytes(size_t bytes)
{
    uint64_t chunk = (bytes + 8 + 15) & ~(uint64_t)15;
    return chunk < 32 ? 32 : chunk;
}

static inline void series_charge(struct series_table *table, uint64_t bytes)
{
    table->figures.bytes += bytes;
    if (table->figures.bytes > table->figures.bytes_peak)
        table->figures.bytes_peak = table->figures.bytes;
}

static inline void series_discharge(struct series_table *table, uint64_t bytes)
{
    table->figures.bytes -= bytes;
}

static inline struct series *series_at(const struct series_table *table, uint32_t id)
{
    return &table->chunks[id / SERIES_CHUNK][id % SERIES_CHUNK];
}

static inline bool series_keys_equal(struct series_key a, struct series_key b)
{
    return a.who == b.who && a.probe == b.probe && a.level == b.level;
}

static inline struct series_key series_other_key(uint32_t probe)
{
    return (struct series_key){.probe = probe, .level = SERIES_OTHER};
}

/* --- series_store.c: where series lie and how they are found -----------------------------------
 */

int series_store_init(struct series_table *table) _must_check_;
void series_store_done(struct series_table *table);
uint32_t series_store_find(const struct series_table *table, struct series_key key);
/* Bytes that one more series would take beyond what is there, at its peak. */
uint64_t series_store_growth(const struct series_table *table);
/* -ENOMEM. The key is not there yet. */
int series_store_add(struct series_table *table, struct series_key key,
                     uint32_t *ret_id) _must_check_;
/* Forgets the series without freeing what it owns; the last series moves to its id. */
void series_store_remove(struct series_table *table, uint32_t id);

/* --- series_slice.c: packed slices --------------------------------------------------------------
 */

/* All three: NULL without memory. The stat is not empty. `pack` takes the calls from its sketch,
 * `pack_pending` from these buckets, which it sorts; the sketch is empty then. */
struct series_slice *series_slice_pack(const struct latency_stat *stat, uint64_t epoch);
struct series_slice *series_slice_pack_pending(const struct latency_stat *stat, uint16_t *pending,
                                               uint8_t pending_count, uint64_t epoch);
struct series_slice *series_slice_join(const struct series_slice *a, const struct series_slice *b);
int series_slice_unpack(const struct series_slice *slice, struct latency_stat *into) _must_check_;
static inline uint64_t series_slice_block_bytes(const struct series_slice *slice)
{
    return series_block_bytes(sizeof(*slice) + slice->length);
}

/* --- series_reserve.c: counting without memory ---------------------------------------------------
 */

/* Adds the stat, and the buckets that its sketch does not have yet, to the reserve of `series`, or
 * of its probe's OTHER. Never fails. */
void series_reserve_absorb(struct series_table *table, struct series *series,
                           const struct latency_stat *stat, const uint16_t *pending,
                           uint8_t pending_count);
int series_reserve_unpack(const struct series_reserve *reserve, struct sketch *into) _must_check_;

/* --- series_window.c: a call's way through open slice, window and totals ------------------------
 */

void series_window_set_time(struct series_table *table, uint64_t now_ns);
/* Makes the open slice that of the table's time; frees slices that left the window. */
void series_window_roll(struct series_table *table, struct series *series);
/* The series was rolled. Needs no memory that could be missing. */
void series_window_record(struct series_table *table, struct series *series, uint64_t latency_ns,
                          bool error);
void series_window_merge(struct series_table *table, struct series *series,
                         const struct latency_stat *stat);
/* Takes over all of `orphan`, which is in no store any more. */
void series_window_absorb(struct series_table *table, struct series *into, struct series *orphan);
/* One halving of all its sketches; false when there is none left. */
bool series_window_halve(struct series_table *table, struct series *series, uint8_t max_halvings);
/* Frees what the series owns. */
void series_window_done(struct series_table *table, struct series *series);

/* --- series_fold.c: what leaves, and when --------------------------------------------------------
 */

/* The series of the key, made if need be; without room for it, the finest ancestor there is.
 * NULL when the probe was not added. */
struct series *series_fold_series_for(struct series_table *table, struct series_key key);
void series_fold_up(struct series_table *table, uint32_t id, bool make_parent);
/* Folds idle series, else rolls; true when the series is gone. */
bool series_fold_if_idle(struct series_table *table, uint32_t id);
bool series_fold_make_room(struct series_table *table, uint64_t bytes);
/* Gives up memory in a few steps when the table is near or over its budget. */
void series_fold_shrink(struct series_table *table);

/* What a single operation may take before memory is given up again stays below this. */
static inline uint64_t series_fold_slack(const struct series_table *table)
{
    return table->config.max_bytes / 64 + 4096;
}

/* Over this the table gives up whatever it can; so it never gets over max_bytes. */
static inline uint64_t series_fold_limit(const struct series_table *table)
{
    return table->config.max_bytes - series_fold_slack(table);
}

/* Over this it begins, politely. */
static inline uint64_t series_fold_target(const struct series_table *table)
{
    return table->config.max_bytes - 2 * series_fold_slack(table);
}

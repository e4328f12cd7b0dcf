/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The series table's inside, shared by series_*.c only. */
#pragma once

#include <stddef.h>

#include "aggregate/series_table.h"

/* Calls that wait to be put into a sketch: as many as fit into two cache lines with what a record
 * needs. Pages are then touched once for many calls, and a process that makes only a few calls
 * never needs one. */
#define SERIES_PENDING 35
/* Series per block of the store. */
#define SERIES_CHUNK 16
#define SERIES_NONE  UINT32_MAX

/* Slices that a table can tell apart: ten seconds each, for eleven million years. */
#define SERIES_EPOCH_BITS 45

/* A slice that is over, packed: see series_slice.c. */
struct series_slice {
    struct series_slice *next;
    uint64_t epoch : SERIES_EPOCH_BITS; /* slice number: time / slice_ns */
    uint64_t halvings : 3;
    uint64_t length : 16; /* at most 13 bytes for each of 4162 buckets and 60 more */
    uint8_t bytes[];
};
_Static_assert(sizeof(struct series_slice) == 16, "short, for there are many");

/* What OTHER and UNATTRIBUTED count in when there is no memory. The calls' count, errors, sum and
 * extremes are in `settled`. Counter 0: 0 and 1 ns; counter p + 1: (2^p, 2^(p+1)]. */
struct series_reserve {
    uint64_t counters[LORIS_SKETCH_PAGES];
};

/* The latest calls of weight 1 and at most UINT32_MAX ns, with their own sums. */
struct series_pending {
    uint64_t sum_ns;
    uint32_t min_ns; /* UINT32_MAX when empty */
    uint32_t max_ns;
    uint8_t count;
    uint8_t errors;
    uint16_t buckets[SERIES_PENDING];
};

/*
 * A series' calls are spread over these, each call being in one of them:
 *
 *     pending   the latest of the open slice
 *     open      the others of the open slice, which is that of the time last_ns
 *     settled   of earlier slices
 *     reserve   in settled's count, not in its sketch
 *
 * What is in the window but not open is once more in `slices`. A record touches the two cache lines
 * down to `pending` and, once in SERIES_PENDING times, the others and the open sketch.
 */
struct series {
    struct series_key key;
    uint64_t last_ns;               /* of the last record or merge */
    struct series_reserve *reserve; /* OTHER and UNATTRIBUTED only; owned */
    uint32_t hash;
    bool referenced; /* since the hand came by */
    struct series_pending pending;
    struct latency_stat open;
    struct latency_stat settled;
    struct series_slice *slices; /* latest epoch first; owned */
    uint64_t serial;
};
#define SERIES_LINE_BYTES 64
_Static_assert(offsetof(struct series, open) == 2 * SERIES_LINE_BYTES, "a record has two lines");
_Static_assert(sizeof(struct series) == 5 * SERIES_LINE_BYTES, "a series has five lines");

struct series_table {
    struct series_table_config config;
    uint64_t hash_keys[2];
    uint32_t *slots; /* open addressing: tag << 24 | id + 1, 0 is empty */
    uint32_t slot_mask;

    struct series **chunks; /* ids 0 .. count - 1 are used, without holes */
    uint32_t chunk_count, chunk_capacity;
    uint32_t count;
    uint32_t evict_hand, sweep_hand;
    uint32_t moves; /* series that came, went or moved: pointers from before are not good */

    uint32_t *probes;
    uint32_t probe_count, probe_capacity;
    uint64_t reserved_bytes; /* what add_probe takes, of all probes */

    uint64_t first_ns, now_ns;
    uint64_t epoch, epoch_begin_ns, epoch_end_ns; /* of the slice of now_ns */
    uint64_t next_serial;
    bool started; /* first_ns is set */
    bool starved; /* over the limit, and there was nothing left to give up */
    uint32_t looks_in_vain;
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
    return !((a.who ^ b.who) | (a.probe ^ b.probe) | (a.level ^ b.level));
}

static inline struct series_key series_other_key(uint32_t probe)
{
    return (struct series_key){.probe = probe, .level = SERIES_OTHER};
}

/* --- pending ----------------------------------------------------------------------------------
 */

static inline void series_pending_clear(struct series_pending *pending)
{
    pending->sum_ns = 0;
    pending->min_ns = UINT32_MAX;
    pending->max_ns = 0;
    pending->count = 0;
    pending->errors = 0;
}

static inline bool series_pending_takes(const struct series_sample *sample)
{
    return !(sample->latency_ns >> 32 | (sample->weight - 1));
}

/* Room for it is there. */
static inline void series_pending_add(struct series_pending *pending, uint32_t latency_ns,
                                      bool error)
{
    pending->buckets[pending->count++] = (uint16_t)loris_sketch_bucket(latency_ns);
    pending->errors += error;
    pending->sum_ns += latency_ns;
    pending->min_ns = latency_ns < pending->min_ns ? latency_ns : pending->min_ns;
    pending->max_ns = latency_ns > pending->max_ns ? latency_ns : pending->max_ns;
}

/* What is pending as a stat, with an empty sketch. */
static inline struct latency_stat series_pending_scalars(const struct series_pending *pending)
{
    return (struct latency_stat){
        .count = pending->count,
        .errors = pending->errors,
        .sum_ns = pending->sum_ns,
        .min_ns = pending->count ? pending->min_ns : UINT64_MAX,
        .max_ns = pending->max_ns,
    };
}

/* Never fails: an empty sketch needs no memory. */
static inline void series_add_scalars(struct latency_stat *into, const struct latency_stat *stat)
{
    struct latency_stat scalars = *stat;
    scalars.sketch = (struct sketch){0};
    int status = latency_stat_merge(into, &scalars);
    (void)status;
}

/* Calls of the slice that is not over yet. */
static inline uint64_t series_open_count(const struct series *series)
{
    return series_saturating_add(series->open.count, series->pending.count);
}

/* --- series_table.c ----------------------------------------------------------------------------
 */

/* The series that a call of this key goes to, made at need and rolled; NULL when the probe was not
 * added. */
struct series *series_table_to_fill(struct series_table *table, struct series_key key);

/* --- series_store.c: where series lie and how they are found -----------------------------------
 */

/* Of an index entry; what else the entry has is the tag, which is not 0. */
#define SERIES_ID_BITS 24
#define SERIES_ID_MASK ((1u << SERIES_ID_BITS) - 1)

static inline uint64_t series_multiply_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* After wyhash (Wang Yi) and XXH3 (Yann Collet): both words keyed, one wide multiplication, and an
 * avalanche that makes every bit fit for the slot. */
static inline uint64_t series_hash_key(const struct series_table *table, struct series_key key)
{
    uint64_t what = (uint64_t)key.level << 32 | key.probe;
    uint64_t hash = series_multiply_fold(what ^ table->hash_keys[0], key.who ^ table->hash_keys[1]);
    hash ^= key.who; /* the product forgets one word when the other meets its key */
    hash ^= hash >> 37;
    hash *= 0x165667919e3779f9ULL;
    return hash ^ hash >> 32;
}

static inline uint32_t series_tag_of(uint64_t hash)
{
    return (uint32_t)(hash >> 32 | 1u << 31) & ~SERIES_ID_MASK;
}

int series_store_init(struct series_table *table) _must_check_;
void series_store_done(struct series_table *table);
uint32_t series_store_find(const struct series_table *table, struct series_key key);
/* The first series whose tag is that of the hash, without a look at its key; NULL: there is none,
 * so neither is the key. */
static inline struct series *series_store_guess(const struct series_table *table, uint64_t hash)
{
    const uint32_t *slots = table->slots;
    uint32_t tag = series_tag_of(hash), mask = table->slot_mask, at = (uint32_t)hash & mask;
    /* Nearly always it is one of the first two, taken without a branch. */
    uint32_t first = slots[at], second = slots[(at + 1) & mask];
    uint32_t entry = (first & ~SERIES_ID_MASK) == tag ? first : second;
    while ((entry & ~SERIES_ID_MASK) != tag) {
        if (!slots[at])
            return NULL;
        at = (at + 1) & mask;
        entry = slots[at];
    }
    return series_at(table, (entry & SERIES_ID_MASK) - 1);
}
/* Bytes that one more series would take beyond what is there, at its peak. */
uint64_t series_store_growth(const struct series_table *table);
/* -ENOMEM. The key is not there yet. */
int series_store_add(struct series_table *table, struct series_key key,
                     uint32_t *ret_id) _must_check_;
/* Forgets the series without freeing what it owns; the last series moves to its id. */
void series_store_remove(struct series_table *table, uint32_t id);

/* --- series_slice.c: packed slices --------------------------------------------------------------
 */

/* All three: NULL without memory. Stat and pending are not empty; pending buckets are sorted. */
struct series_slice *series_slice_pack(const struct latency_stat *stat, uint64_t epoch);
struct series_slice *series_slice_pack_pending(struct series_pending *pending, uint8_t halvings,
                                               uint64_t epoch);
struct series_slice *series_slice_join(const struct series_slice *a, const struct series_slice *b);
int series_slice_unpack(const struct series_slice *slice, struct latency_stat *into) _must_check_;
static inline uint64_t series_slice_block_bytes(const struct series_slice *slice)
{
    return series_block_bytes(sizeof(*slice) + slice->length);
}

/* --- series_reserve.c: counting without memory ---------------------------------------------------
 */

/* All three add to the reserve of `series`, or of its probe's OTHER, and never fail; `add` a single
 * call, whose stat has an empty sketch. */
void series_reserve_absorb(struct series_table *table, struct series *series,
                           const struct latency_stat *stat);
void series_reserve_absorb_pending(struct series_table *table, struct series *series,
                                   const struct series_pending *pending);
void series_reserve_add(struct series_table *table, struct series *series, uint32_t bucket,
                        const struct latency_stat *call);
int series_reserve_unpack(const struct series_reserve *reserve, struct sketch *into) _must_check_;

/* --- series_window.c: a call's way through open slice, window and totals ------------------------
 */

void series_window_set_time(struct series_table *table, uint64_t now_ns);
/* Moves what is pending into the open sketch, if there is memory for it. */
void series_window_flush(struct series_table *table, struct series *series);
/* Makes the open slice that of the table's time; frees slices that left the window. */
void series_window_roll(struct series_table *table, struct series *series);
/* The series was rolled. Needs no memory that could be missing. */
void series_window_record(struct series_table *table, struct series *series,
                          const struct series_sample *sample);
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

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All series of all probes: bounded by bytes, folding upward what it evicts, so sums never shrink.
 */
#pragma once

#include <stdbool.h>

#include "aggregate/latency_stat.h"

/*
 * Whom a series is about, from fine to coarse; what leaves a level is folded into the next one:
 *
 *     PROCESS      who = pid << 32 | start_tick
 *     NAME         who = unit id << 32 | comm id      exited processes of one name in one unit
 *     UNIT         who = unit id << 32
 *     OTHER        who = 0                            the rest of the probe
 *     UNATTRIBUTED who = 0                            calls from the kernel-side sketch
 *
 * OTHER and UNATTRIBUTED are never evicted or folded: there is exactly one of each per probe.
 */
enum series_level {
    SERIES_PROCESS = 0,
    SERIES_NAME = 1,
    SERIES_UNIT = 2,
    SERIES_OTHER = 3,
    SERIES_UNATTRIBUTED = 4,
};

struct series_key {
    uint32_t probe;
    uint32_t level; /* enum series_level */
    uint64_t who;
};

#define SERIES_SLICES_MAX    60
#define SERIES_MAX_BYTES_MIN (64u * 1024)

/* Opaque. A pointer is good until the table is next changed. */
struct series;

/* The key one level up for a key below OTHER; called while folding, must be cheap and total. A key
 * of another probe, or not of a coarser level, is taken as OTHER. */
typedef struct series_key (*series_parent_fn)(struct series_key key, void *context);

struct series_table_config {
    uint64_t max_bytes; /* of everything the table allocates; at least SERIES_MAX_BYTES_MIN */
    uint64_t idle_ns;   /* series below OTHER without a call for so long are folded; 0: never */
    uint64_t slice_ns;  /* e.g. 10 s; not 0, and no time is beyond 2^45 of them */
    uint32_t slices;    /* closed slices kept beside the open one: 1 .. SERIES_SLICES_MAX, e.g. 6 */
    series_parent_fn parent; /* NULL: everything folds into OTHER */
    void *parent_context;
    uint64_t hash_seed;
};

struct series_table_figures {
    uint64_t series_count;
    uint64_t bytes; /* as glibc's allocator takes them, its own overhead included */
    uint64_t bytes_peak;
    uint64_t max_bytes;
    uint64_t hits;   /* records that found their series */
    uint64_t misses; /* records that made one, or had to go to a coarser one */
    uint64_t folded_idle;
    uint64_t folded_evicted;
    uint64_t folded_asked; /* by series_table_fold */
    uint64_t halvings;
    uint64_t records; /* samples, whatever their weight */
    uint64_t merges;
    uint64_t coarse_calls;  /* calls that found no memory: counted and summed, their latency known
                               to a power of two */
    uint64_t window_lost;   /* those of them that a sliding window misses; totals have them */
    uint64_t refused_calls; /* of probes that were not added */
};

struct series_table;

/* -EINVAL for a configuration out of range. */
int series_table_new(const struct series_table_config *config,
                     struct series_table **ret_table) _must_check_;
void series_table_free(struct series_table *table);
DEFINE_CLEANUP(struct series_table *, series_table_free);

/* Makes the probe's OTHER and UNATTRIBUTED series with their reserve (1.6 KiB); needed before the
 * first record of a probe. -EEXIST; -ENOSPC when the budget has no room for one more probe: these
 * series may take half of it. */
int series_table_add_probe(struct series_table *table, uint32_t probe) _must_check_;
/* Drops all series of a probe. */
void series_table_remove_probe(struct series_table *table, uint32_t probe);

/* A call, and how many it stands for. */
struct series_sample {
    struct series_key key;
    uint64_t latency_ns;
    uint32_t weight; /* at least 1 */
    bool error;
};

/*
 * Adds calls, in their order. now_ns (any monotonic clock; a step back counts as standing still)
 * selects the slice. Never loses a call: when memory is short it folds idle series, halves large
 * sketches, evicts (CLOCK: Corbato 1968), and at last counts calls in the reserve of OTHER, one
 * counter per power of two, which was allocated with the probe. Amortised O(1) for each, at most 64
 * steps of the hand.
 */
void series_table_record(struct series_table *table, const struct series_sample *samples,
                         size_t count, uint64_t now_ns);
/* The same for a ready-made stat (a delta of the kernel-side sketch). */
void series_table_merge(struct series_table *table, struct series_key key,
                        const struct latency_stat *stat, uint64_t now_ns);

/* Folds one series one level up (a process that exited). No-op when absent, OTHER or above. */
void series_table_fold(struct series_table *table, struct series_key key, uint64_t now_ns);
/* As series_table_fold for every probe's series of that level and who. O(probes). */
void series_table_fold_who(struct series_table *table, uint32_t level, uint64_t who,
                           uint64_t now_ns);
/* Visits up to max_series series in turn: folds what is idle, closes slices whose time is over,
 * frees those that left the window; also shrinks the table when it is over its budget. */
void series_table_sweep(struct series_table *table, uint64_t now_ns, uint32_t max_series);

const struct series *series_table_find(const struct series_table *table, struct series_key key);
/* Calls back for every series of the probe (or of all: UINT32_MAX). O(series of all probes). The
 * callback must not change the table. */
typedef void (*series_fn)(const struct series *series, void *context);
void series_table_walk(const struct series_table *table, uint32_t probe, series_fn on_series,
                       void *context);
struct series_key series_table_key(const struct series *series);
/* Calls since start. */
uint64_t series_table_count(const struct series *series);
/* Tells a series from one of the same key that was folded before it: never used twice. */
uint64_t series_table_serial(const struct series *series);

/*
 * Adds to `into` the slices that lie in (now - window, now], oldest partly covered slice included;
 * window 0: the totals since start. Windows up to slices * slice_ns are covered completely, longer
 * ones as far back as slices go. ret_window_ns: the time really covered, not reaching back before
 * the first now_ns that the table saw. -ENOMEM leaves `into` with a part of it.
 */
int series_table_window(const struct series_table *table, const struct series *series,
                        uint64_t window_ns, uint64_t now_ns, struct latency_stat *into,
                        uint64_t *ret_window_ns) _must_check_;

/* A smaller budget than before makes the table shrink over the next records and sweeps; less than
 * SERIES_MAX_BYTES_MIN counts as that. */
void series_table_set_max_bytes(struct series_table *table, uint64_t max_bytes);
struct series_table_figures series_table_figures(const struct series_table *table);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counts of allocators by group: of processes that live, of what ended ones left, of an answer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aggregate/sketch.h"
#include "base/ownership.h"
#include "loris/heap.h"

enum heap_level {
    HEAP_PROCESS, /* who: pid << 32 | start_tick */
    HEAP_UNIT,    /* who: the unit's id; 0: others */
    HEAP_ALL,     /* who: 0 */
};

struct heap_key {
    uint32_t target;
    uint32_t level; /* enum heap_level */
    uint64_t who;
};

#define HEAP_GROWTH_POINTS 8

/* What was live at some moments, the newest last. */
struct heap_growth {
    uint64_t at_ns[HEAP_GROWTH_POINTS];
    int64_t live_bytes[HEAP_GROWTH_POINTS];
    uint32_t count;
};

struct heap_group {
    struct heap_key key;
    struct loris_heap_row counts; /* ids: of the last row that was set, 0 in sums */
    struct sketch sizes;
    struct heap_growth growth;
    double growth_bytes_per_s; /* of an answer */
};

struct heap_table;

/* At most groups_max; what comes then goes to HEAP_UNIT 0 of its target, for which there is always
 * room. -ENOMEM. */
int heap_table_new(uint32_t groups_max, uint64_t hash_seed,
                   struct heap_table **ret_table) _must_check_;
void heap_table_free(struct heap_table *table);
DEFINE_CLEANUP(struct heap_table *, heap_table_free);

/* The group of the key, made when it is new; see heap_table_new for another's. Valid until the next
 * call that makes or removes one. NULL: no memory. */
struct heap_group *heap_table_get(struct heap_table *table, struct heap_key key);
struct heap_group *heap_table_find(struct heap_table *table, struct heap_key key); /* may be NULL */
void heap_table_remove(struct heap_table *table, struct heap_key key);
void heap_table_remove_target(struct heap_table *table, uint32_t target);
size_t heap_table_count(const struct heap_table *table);
struct heap_group *heap_table_at(struct heap_table *table, size_t index); /* below the count */
uint64_t heap_table_bytes(const struct heap_table *table);

/* Adds the counts of one to another; live ones only with_live, for the dead hold nothing. */
void heap_counts_add(struct loris_heap_row *into, const struct loris_heap_row *from,
                     bool with_live);
uint64_t heap_counts_calls(const struct loris_heap_row *counts); /* of what allocates */
uint64_t heap_counts_failures(const struct loris_heap_row *counts);
uint64_t heap_counts_succeeded(const struct loris_heap_row *counts);

/* Remembers what is live, as often as it takes to look back window_ns. */
void heap_growth_observe(struct heap_growth *growth, int64_t live_bytes, uint64_t now_ns,
                         uint64_t window_ns);
/* From window_ns ago, or since it is known, to now; 0 in the first half second. */
double heap_growth_per_s(const struct heap_growth *growth, int64_t live_bytes, uint64_t now_ns,
                         uint64_t window_ns);

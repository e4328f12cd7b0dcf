/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aggregate/heap_table.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"

#define SECOND_NS 1e9
#define LEAST_S   0.5 /* what grew in less is no rate */

struct heap_table {
    struct heap_group *groups; /* dense */
    size_t count;
    size_t capacity;
    uint32_t groups_max;
    uint64_t hash_seed;
    uint32_t *index; /* open addressing; group plus one, 0 empty */
    uint32_t mask;
};

int heap_table_new(uint32_t groups_max, uint64_t hash_seed, struct heap_table **ret_table)
{
    _cleanup_(heap_table_free_cleanup) struct heap_table *table = calloc(1, sizeof(*table));
    if (!table)
        return -ENOMEM;
    uint32_t slots = 16;
    /* One group more for each target. */
    while (slots < 2 * (groups_max + LORIS_HEAP_TARGETS_MAX))
        slots *= 2;
    table->groups_max = groups_max;
    table->hash_seed = hash_seed;
    table->mask = slots - 1;
    table->index = calloc(slots, sizeof(*table->index));
    if (!table->index)
        return -ENOMEM;
    *ret_table = take_ptr(table);
    return 0;
}

void heap_table_free(struct heap_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->count; i++)
        sketch_done(&table->groups[i].sizes);
    free(table->groups);
    free(table->index);
    free(table);
}

static bool same_key(struct heap_key left, struct heap_key right)
{
    return left.target == right.target && left.level == right.level && left.who == right.who;
}

/* The slot of the key, or the empty one where it would go. */
static uint32_t slot_of(const struct heap_table *table, struct heap_key key)
{
    uint32_t slot = (uint32_t)hash_bytes(&key, sizeof(key), table->hash_seed) & table->mask;
    while (table->index[slot] && !same_key(table->groups[table->index[slot] - 1].key, key))
        slot = (slot + 1) & table->mask;
    return slot;
}

static bool make_room(struct heap_table *table)
{
    if (table->count < table->capacity)
        return true;
    size_t capacity = table->capacity ? 2 * table->capacity : 8;
    struct heap_group *groups = reallocarray(table->groups, capacity, sizeof(*groups));
    if (!groups)
        return false;
    table->groups = groups;
    table->capacity = capacity;
    return true;
}

struct heap_group *heap_table_find(struct heap_table *table, struct heap_key key)
{
    uint32_t found = table->index[slot_of(table, key)];
    return found ? &table->groups[found - 1] : NULL;
}

struct heap_group *heap_table_get(struct heap_table *table, struct heap_key key)
{
    struct heap_group *found = heap_table_find(table, key);
    if (found)
        return found;
    if (table->count >= table->groups_max && (key.level != HEAP_UNIT || key.who != 0))
        return heap_table_get(table, (struct heap_key){key.target, HEAP_UNIT, 0});
    /* Targets come and go, but no more than these are there at one time. */
    if (table->count >= table->groups_max + LORIS_HEAP_TARGETS_MAX || !make_room(table))
        return NULL;
    struct heap_group *group = &table->groups[table->count];
    *group = (struct heap_group){.key = key};
    table->index[slot_of(table, key)] = (uint32_t)++table->count;
    return group;
}

/* What lies behind a hole may be nearer to where it belongs. */
static void close_hole(struct heap_table *table, uint32_t hole)
{
    table->index[hole] = 0;
    for (uint32_t at = (hole + 1) & table->mask; table->index[at]; at = (at + 1) & table->mask) {
        uint32_t moved = table->index[at];
        table->index[at] = 0;
        table->index[slot_of(table, table->groups[moved - 1].key)] = moved;
    }
}

void heap_table_remove(struct heap_table *table, struct heap_key key)
{
    uint32_t slot = slot_of(table, key);
    uint32_t found = table->index[slot];
    if (!found)
        return;
    sketch_done(&table->groups[found - 1].sizes);
    close_hole(table, slot);
    /* The last one takes its place. */
    if (found < table->count) {
        table->index[slot_of(table, table->groups[table->count - 1].key)] = found;
        table->groups[found - 1] = table->groups[table->count - 1];
    }
    table->count--;
}

void heap_table_remove_target(struct heap_table *table, uint32_t target)
{
    for (size_t i = table->count; i > 0; i--)
        if (table->groups[i - 1].key.target == target)
            heap_table_remove(table, table->groups[i - 1].key);
}

size_t heap_table_count(const struct heap_table *table)
{
    return table->count;
}

struct heap_group *heap_table_at(struct heap_table *table, size_t index)
{
    return &table->groups[index];
}

uint64_t heap_table_bytes(const struct heap_table *table)
{
    uint64_t bytes = sizeof(*table) + table->capacity * sizeof(*table->groups) +
                     (table->mask + 1ull) * sizeof(*table->index);
    for (size_t i = 0; i < table->count; i++)
        bytes += sketch_heap_bytes(&table->groups[i].sizes);
    return bytes;
}

/* --- counts ---------------------------------------------------------------------------------- */

static uint64_t larger(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

void heap_counts_add(struct loris_heap_row *into, const struct loris_heap_row *from, bool with_live)
{
    for (size_t i = 0; i < LORIS_HEAP_FUNCTIONS; i++)
        into->calls[i] += from->calls[i];
    for (size_t i = 0; i < LORIS_HEAP_RELEASES; i++)
        into->failures[i] += from->failures[i];
    into->bytes += from->bytes;
    into->freed_bytes += from->freed_bytes;
    into->live_bytes += with_live ? from->live_bytes : 0;
    into->live_count += with_live ? from->live_count : 0;
    into->frees += from->frees;
    into->frees_older += from->frees_older;
    into->frees_null += from->frees_null;
    into->released_by_realloc += from->released_by_realloc;
    into->resized += from->resized;
    into->resized_older += from->resized_older;
    into->untracked += from->untracked;
    into->vanished += from->vanished;
    /* What lived at a process's end went with it. */
    if (!with_live && from->live_count > 0)
        into->vanished += (uint64_t)from->live_count;
    into->size_min_inverted = larger(into->size_min_inverted, from->size_min_inverted);
    into->size_max = larger(into->size_max, from->size_max);
    into->unsketched += from->unsketched;
}

uint64_t heap_counts_calls(const struct loris_heap_row *counts)
{
    uint64_t calls = 0;
    for (size_t i = 0; i < LORIS_HEAP_RELEASES; i++)
        calls += counts->calls[i];
    return calls;
}

uint64_t heap_counts_failures(const struct loris_heap_row *counts)
{
    uint64_t failures = 0;
    for (size_t i = 0; i < LORIS_HEAP_RELEASES; i++)
        failures += counts->failures[i];
    return failures;
}

uint64_t heap_counts_succeeded(const struct loris_heap_row *counts)
{
    uint64_t without = heap_counts_failures(counts) + counts->released_by_realloc;
    uint64_t calls = heap_counts_calls(counts);
    return calls > without ? calls - without : 0; /* counters of calls that go on disagree */
}

/* --- growth ---------------------------------------------------------------------------------- */

void heap_growth_observe(struct heap_growth *growth, int64_t live_bytes, uint64_t now_ns,
                         uint64_t window_ns)
{
    /* The oldest is as old as the window when the newest is about to be followed by another. */
    uint64_t interval_ns = window_ns / (HEAP_GROWTH_POINTS - 2);
    if (growth->count && now_ns - growth->at_ns[growth->count - 1] < interval_ns)
        return;
    if (growth->count == HEAP_GROWTH_POINTS) {
        growth->count--;
        memmove(growth->at_ns, growth->at_ns + 1, growth->count * sizeof(growth->at_ns[0]));
        memmove(growth->live_bytes, growth->live_bytes + 1,
                growth->count * sizeof(growth->live_bytes[0]));
    }
    growth->at_ns[growth->count] = now_ns;
    growth->live_bytes[growth->count++] = live_bytes;
}

double heap_growth_per_s(const struct heap_growth *growth, int64_t live_bytes, uint64_t now_ns,
                         uint64_t window_ns)
{
    uint32_t at = 0;
    if (!growth->count)
        return 0;
    while (at + 1 < growth->count && now_ns - growth->at_ns[at + 1] >= window_ns)
        at++;
    uint64_t from_ns = growth->at_ns[at];
    int64_t before = growth->live_bytes[at];
    double seconds = now_ns > from_ns ? (double)(now_ns - from_ns) / SECOND_NS : 0;
    return seconds >= LEAST_S ? (double)(live_bytes - before) / seconds : 0;
}

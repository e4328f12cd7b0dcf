/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What leaves the table, when, and where to.
 *
 * A fold takes the series out and adds all it has to one that is above it on the chain of parents,
 * so calls only ever move up a chain and OTHER at its end takes everything: the sums over a probe
 * do not change. Under pressure a hand (CLOCK) goes round: idle series are folded, large sketches
 * halved, what was not used since the last round is folded, what was used gets another round.
 */
#include "aggregate/series_internal.h"

#include <errno.h>

/* Pressure takes at most so much resolution: 2.2 % error. */
#define HALVINGS_MAX 2
#define LARGE_BYTES  1024u

#define STEPS_NEAR   4u  /* of the hand per record, near the budget */
#define STEPS_OVER   64u /* and over it */
#define STEPS_POLITE 16u /* of which so many spare what was used lately */

/* --- up the chain ----------------------------------------------------------------------------- */

static struct series_key parent_of(const struct series_table *table, struct series_key key)
{
    struct series_key other = series_other_key(key.probe);
    if (key.level + 1 >= SERIES_OTHER || !table->config.parent)
        return other;
    struct series_key parent = table->config.parent(key, table->config.parent_context);
    if (parent.probe != key.probe || parent.level <= key.level || parent.level >= SERIES_OTHER)
        return other;
    return parent;
}

static bool make_series(struct series_table *table, struct series_key key, uint32_t *ret_id)
{
    return series_fold_make_room(table, series_store_growth(table)) &&
           series_store_add(table, key, ret_id) == 0;
}

/* The nearest ancestor there is, or the parent made if asked for; there is always OTHER. Does not
 * fold others: it is used in the middle of a fold. */
static struct series *ancestor_of(struct series_table *table, struct series_key key,
                                  bool make_parent)
{
    for (;;) {
        key = parent_of(table, key);
        uint32_t id = series_store_find(table, key);
        if (id != SERIES_NONE)
            return series_at(table, id);
        uint64_t bytes = table->figures.bytes + series_store_growth(table);
        if (make_parent && bytes <= series_fold_limit(table) &&
            series_store_add(table, key, &id) == 0)
            return series_at(table, id);
        make_parent = false;
    }
}

struct series *series_fold_series_for(struct series_table *table, struct series_key key)
{
    uint32_t id;
    if (series_store_find(table, series_other_key(key.probe)) == SERIES_NONE)
        return NULL;
    if (key.level < SERIES_OTHER && !table->starved && make_series(table, key, &id))
        return series_at(table, id);
    return ancestor_of(table, key, false);
}

void series_fold_up(struct series_table *table, uint32_t id, bool make_parent)
{
    /* Out of the store first: its place is then free for the parent. */
    struct series orphan = *series_at(table, id);
    series_store_remove(table, id);
    struct series *into = ancestor_of(table, orphan.key, make_parent);
    series_window_absorb(table, into, &orphan);
}

bool series_fold_if_idle(struct series_table *table, uint32_t id)
{
    struct series *series = series_at(table, id);
    uint64_t idle_ns = table->config.idle_ns;
    if (series->key.level < SERIES_OTHER && idle_ns > 0 &&
        table->now_ns - series->last_ns >= idle_ns) {
        table->figures.folded_idle++;
        series_fold_up(table, id, true);
        return true;
    }
    series_window_roll(table, series);
    return false;
}

/* --- pressure --------------------------------------------------------------------------------- */

static bool is_large(const struct series_table *table, const struct series *series)
{
    uint64_t bytes =
        sketch_heap_bytes(&series->open.sketch) + sketch_heap_bytes(&series->settled.sketch);
    return bytes >= LARGE_BYTES && bytes > 2 * table->figures.bytes / table->count;
}

/* One series. force: it is folded if it can be. */
static void hand_step(struct series_table *table, bool force)
{
    if (table->evict_hand >= table->count)
        table->evict_hand = 0;
    uint32_t id = table->evict_hand;
    if (series_fold_if_idle(table, id))
        return; /* another one has moved to this place */

    struct series *series = series_at(table, id);
    bool bottom = series->key.level >= SERIES_OTHER, used = series->referenced;
    bool over = table->figures.bytes > series_fold_limit(table);
    series->referenced = false;
    if (!force && is_large(table, series) && series_window_halve(table, series, HALVINGS_MAX)) {
        table->evict_hand++;
        return;
    }
    if (bottom && over)
        series_window_halve(table, series, SKETCH_HALVINGS_MAX);
    if (bottom || (used && !force)) {
        table->evict_hand++;
        return;
    }
    table->figures.folded_evicted++;
    series_fold_up(table, id, !force && !over);
}

bool series_fold_make_room(struct series_table *table, uint64_t bytes)
{
    uint64_t limit = series_fold_limit(table);
    for (uint32_t i = 0; i < STEPS_OVER && table->figures.bytes + bytes > limit; i++) {
        if (table->count == 0)
            return false;
        hand_step(table, i >= STEPS_POLITE);
    }
    return table->figures.bytes + bytes <= limit;
}

void series_fold_shrink(struct series_table *table)
{
    uint64_t before = table->figures.bytes, target = series_fold_target(table);
    if (before <= target) {
        table->starved = false;
        return;
    }
    if (table->starved && ++table->looks_in_vain % STEPS_OVER != 0)
        return; /* looked just now */
    bool over = before > series_fold_limit(table);
    uint32_t steps = over ? STEPS_OVER : STEPS_NEAR;
    for (uint32_t i = 0; i < steps && table->count > 0 && table->figures.bytes > target; i++)
        hand_step(table, over && i >= STEPS_POLITE);
    uint64_t after = table->figures.bytes;
    table->starved = after >= before && after > series_fold_limit(table);
}

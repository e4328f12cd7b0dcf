/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aggregate/series_table.h"

#include <errno.h>
#include <string.h>

#include "aggregate/series_internal.h"

#define PROBES_MIN 8u

/* --- life ------------------------------------------------------------------------------------- */

int series_table_new(const struct series_table_config *config, struct series_table **ret_table)
{
    if (config->max_bytes < SERIES_MAX_BYTES_MIN || config->slice_ns == 0 || config->slices == 0 ||
        config->slices > SERIES_SLICES_MAX)
        return -EINVAL;
    _cleanup_(series_table_free_cleanup) struct series_table *table = calloc(1, sizeof(*table));
    if (!table)
        return -ENOMEM;
    table->config = *config;
    series_charge(table, series_block_bytes(sizeof(*table)));
    int status = series_store_init(table);
    if (status < 0)
        return status;
    *ret_table = take_ptr(table);
    return 0;
}

void series_table_free(struct series_table *table)
{
    if (!table)
        return;
    for (uint32_t id = 0; id < table->count; id++)
        series_window_done(table, series_at(table, id));
    series_store_done(table);
    free(table->probes);
    free(table);
}

/* --- probes ----------------------------------------------------------------------------------- */

static int reserve_probe_place(struct series_table *table)
{
    if (table->probe_count < table->probe_capacity)
        return 0;
    uint32_t capacity = table->probe_capacity ? table->probe_capacity * 2 : PROBES_MIN;
    uint32_t *probes = reallocarray(table->probes, capacity, sizeof(*probes));
    if (!probes)
        return -ENOMEM;
    series_charge(table, series_block_bytes(capacity * sizeof(*probes)));
    if (table->probes)
        series_discharge(table, series_block_bytes(table->probe_capacity * sizeof(*probes)));
    table->probes = probes;
    table->probe_capacity = capacity;
    return 0;
}

static int add_bottom_series(struct series_table *table, struct series_key key)
{
    _cleanup_free_ struct series_reserve *reserve = calloc(1, sizeof(*reserve));
    if (!reserve)
        return -ENOMEM;
    uint32_t id;
    int status = series_store_add(table, key, &id);
    if (status < 0)
        return status;
    series_charge(table, series_block_bytes(sizeof(*reserve)));
    series_at(table, id)->reserve = take_ptr(reserve);
    return 0;
}

static void remove_series(struct series_table *table, uint32_t id)
{
    series_window_done(table, series_at(table, id));
    series_store_remove(table, id);
}

static uint64_t bytes_of_a_probe(void)
{
    return 2 * (sizeof(struct series) + series_block_bytes(sizeof(struct series_reserve)));
}

int series_table_add_probe(struct series_table *table, uint32_t probe)
{
    struct series_key other = series_other_key(probe);
    struct series_key unattributed = {.probe = probe, .level = SERIES_UNATTRIBUTED};
    if (series_store_find(table, other) != SERIES_NONE)
        return -EEXIST;

    uint64_t bytes = bytes_of_a_probe();
    if (table->reserved_bytes + bytes > table->config.max_bytes / 2 ||
        !series_fold_make_room(table, bytes + series_store_growth(table)))
        return -ENOSPC;
    int status = reserve_probe_place(table);
    if (status < 0)
        return status;
    status = add_bottom_series(table, other);
    if (status < 0)
        return status;
    status = add_bottom_series(table, unattributed);
    if (status < 0) {
        remove_series(table, series_store_find(table, other));
        return status;
    }
    table->probes[table->probe_count++] = probe;
    table->reserved_bytes += bytes;
    return 0;
}

void series_table_remove_probe(struct series_table *table, uint32_t probe)
{
    uint32_t at = 0;
    while (at < table->probe_count && table->probes[at] != probe)
        at++;
    if (at == table->probe_count)
        return;
    table->probes[at] = table->probes[--table->probe_count];
    table->reserved_bytes -= bytes_of_a_probe();
    /* From the end: what moves into the hole was looked at before. */
    for (uint32_t id = table->count; id-- > 0;)
        if (series_at(table, id)->key.probe == probe)
            remove_series(table, id);
    table->starved = false;
}

/* --- calls ------------------------------------------------------------------------------------ */

struct series *series_table_to_fill(struct series_table *table, struct series_key key)
{
    uint32_t id = series_store_find(table, key);
    struct series *series;
    if (id != SERIES_NONE) {
        series = series_at(table, id);
        series->referenced = true;
        table->figures.hits++;
    } else {
        series = series_fold_series_for(table, key);
        table->figures.misses++;
        if (!series)
            return NULL;
    }
    series_window_roll(table, series);
    series->last_ns = table->now_ns;
    return series;
}

void series_table_merge(struct series_table *table, struct series_key key,
                        const struct latency_stat *stat, uint64_t now_ns)
{
    if (stat->count == 0)
        return;
    table->figures.merges++;
    series_window_set_time(table, now_ns);
    struct series *series = series_table_to_fill(table, key);
    if (!series) {
        table->figures.refused_calls += stat->count;
        return;
    }
    series_window_merge(table, series, stat);
    series_fold_shrink(table);
}

/* --- leaving ---------------------------------------------------------------------------------- */

static void fold_key(struct series_table *table, struct series_key key)
{
    uint32_t id = series_store_find(table, key);
    if (id == SERIES_NONE)
        return;
    table->figures.folded_asked++;
    series_fold_up(table, id, true);
}

void series_table_fold(struct series_table *table, struct series_key key, uint64_t now_ns)
{
    series_window_set_time(table, now_ns);
    if (key.level < SERIES_OTHER)
        fold_key(table, key);
    series_fold_shrink(table);
}

void series_table_fold_who(struct series_table *table, uint32_t level, uint64_t who,
                           uint64_t now_ns)
{
    series_window_set_time(table, now_ns);
    if (level >= SERIES_OTHER)
        return;
    for (uint32_t i = 0; i < table->probe_count; i++)
        fold_key(table, (struct series_key){table->probes[i], level, who});
    series_fold_shrink(table);
}

void series_table_sweep(struct series_table *table, uint64_t now_ns, uint32_t max_series)
{
    series_window_set_time(table, now_ns);
    uint32_t visits = max_series < table->count ? max_series : table->count;
    for (; visits > 0 && table->count > 0; visits--) {
        if (table->sweep_hand >= table->count)
            table->sweep_hand = 0;
        if (!series_fold_if_idle(table, table->sweep_hand))
            table->sweep_hand++;
    }
    table->starved = false; /* look again */
    series_fold_shrink(table);
}

void series_table_set_max_bytes(struct series_table *table, uint64_t max_bytes)
{
    table->config.max_bytes = max_bytes < SERIES_MAX_BYTES_MIN ? SERIES_MAX_BYTES_MIN : max_bytes;
    table->starved = false;
}

/* --- answers ---------------------------------------------------------------------------------- */

const struct series *series_table_find(const struct series_table *table, struct series_key key)
{
    uint32_t id = series_store_find(table, key);
    return id == SERIES_NONE ? NULL : series_at(table, id);
}

void series_table_walk(const struct series_table *table, uint32_t probe, series_fn on_series,
                       void *context)
{
    for (uint32_t id = 0; id < table->count; id++) {
        const struct series *series = series_at(table, id);
        if (probe == UINT32_MAX || series->key.probe == probe)
            on_series(series, context);
    }
}

struct series_key series_table_key(const struct series *series)
{
    return series->key;
}

uint64_t series_table_count(const struct series *series)
{
    return series_saturating_add(series_open_count(series), series->settled.count);
}

uint64_t series_table_serial(const struct series *series)
{
    return series->serial;
}

struct series_table_figures series_table_figures(const struct series_table *table)
{
    struct series_table_figures figures = table->figures;
    figures.series_count = table->count;
    figures.max_bytes = table->config.max_bytes;
    return figures;
}

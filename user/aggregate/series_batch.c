/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many calls at once. With many series nearly every step of a call is a cache miss: its slot, its
 * series, and when its series has no room left the open sketch, its pages' addresses, its pages. So
 * each step is taken for a number of calls and only asks for what the next one needs; by then it is
 * there.
 */
#include "aggregate/series_internal.h"

/* Samples looked up together. */
#define RUN 64u
/* Series without room left that are emptied together; more wait for their next call. */
#define FULL_MAX 32u

struct batch {
    struct series_table *table;
    struct series *full[FULL_MAX];
    uint32_t full_count;
    uint32_t moves; /* pointers are good while the table's is the same */
};

static void prefetch_lines(const void *memory, unsigned lines)
{
    for (unsigned i = 0; i < lines; i++)
        __builtin_prefetch((const char *)memory + i * SERIES_LINE_BYTES, 1);
}

/* Where the series of the samples are likely to be; NULL: not there. */
static void guess_series(const struct series_table *table, const struct series_sample *samples,
                         size_t count, struct series **ret_guesses)
{
    uint64_t hashes[RUN];
    for (size_t i = 0; i < count; i++) {
        hashes[i] = series_hash_key(table, samples[i].key);
        __builtin_prefetch(&table->slots[(uint32_t)hashes[i] & table->slot_mask]);
    }
    for (size_t i = 0; i < count; i++) {
        ret_guesses[i] = series_store_guess(table, hashes[i]);
        prefetch_lines(ret_guesses[i], 2);
    }
}

/* Takes the usual sample: of a series that is there, in its open slice, with room for it. */
static bool try_record(struct batch *batch, struct series *series,
                       const struct series_sample *sample)
{
    const struct series_table *table = batch->table;
    if (!series || !series_keys_equal(series->key, sample->key) ||
        series->last_ns < table->epoch_begin_ns || series->pending.count == SERIES_PENDING ||
        !series_pending_takes(sample))
        return false;
    series->referenced = true;
    series->last_ns = table->now_ns;
    series_pending_add(&series->pending, (uint32_t)sample->latency_ns, sample->error);
    if (series->pending.count == SERIES_PENDING && batch->full_count < FULL_MAX) {
        batch->full[batch->full_count++] = series;
        prefetch_lines(&series->open, 2);
    }
    return true;
}

/* Any sample. */
static void record_one(struct series_table *table, const struct series_sample *sample)
{
    struct series *series = series_table_to_fill(table, sample->key);
    if (!series) {
        table->figures.refused_calls += sample->weight;
        return;
    }
    series_window_record(table, series, sample);
    if (table->figures.bytes > series_fold_target(table))
        series_fold_shrink(table);
}

static void record_run(struct batch *batch, const struct series_sample *samples, size_t count)
{
    struct series_table *table = batch->table;
    struct series *guesses[RUN];
    uint32_t moves = table->moves;
    uint64_t hits = 0;
    if (batch->moves != moves) {
        batch->moves = moves;
        batch->full_count = 0;
    }
    guess_series(table, samples, count, guesses);
    for (size_t i = 0; i < count; i++) {
        if (moves == table->moves && try_record(batch, guesses[i], &samples[i]))
            hits++;
        else
            record_one(table, &samples[i]);
    }
    table->figures.hits += hits;
}

static void empty_full(struct batch *batch)
{
    struct series *const *full = batch->full;
    if (batch->moves != batch->table->moves)
        return;
    for (uint32_t i = 0; i < batch->full_count; i++)
        prefetch_lines(full[i]->open.sketch.pages, 2);
    for (uint32_t i = 0; i < batch->full_count; i++)
        sketch_prefetch(&full[i]->open.sketch);
    for (uint32_t i = 0; i < batch->full_count; i++)
        if (full[i]->pending.count == SERIES_PENDING)
            series_window_flush(batch->table, full[i]);
}

void series_table_record(struct series_table *table, const struct series_sample *samples,
                         size_t count, uint64_t now_ns)
{
    struct batch batch = {.table = table, .moves = table->moves};
    series_window_set_time(table, now_ns);
    for (size_t at = 0; at < count; at += RUN)
        record_run(&batch, samples + at, count - at < RUN ? count - at : RUN);
    empty_full(&batch);
    table->figures.records += count;
    if (table->figures.bytes > series_fold_target(table))
        series_fold_shrink(table);
}

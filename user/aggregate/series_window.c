/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A call enters the open slice, mostly waiting in `pending` first. When the slice's time is
 * over its sketch is packed for the window and merged into the totals (`settled`). Every step that
 * needs memory has a second way that needs none: the reserve.
 */
#include "aggregate/series_internal.h"

#include <errno.h>

#include "aggregate/sketch_page.h"

void series_window_set_time(struct series_table *table, uint64_t now_ns)
{
    if (!table->started) {
        table->started = true;
        table->first_ns = now_ns;
    }
    if (now_ns > table->now_ns)
        table->now_ns = now_ns;
    if (table->now_ns >= table->epoch_end_ns) {
        uint64_t slice_ns = table->config.slice_ns;
        table->epoch = table->now_ns / slice_ns;
        table->epoch_begin_ns = table->epoch * slice_ns;
        if (__builtin_mul_overflow(table->epoch + 1, slice_ns, &table->epoch_end_ns))
            table->epoch_end_ns = UINT64_MAX;
    }
}

/* --- memory in and out --------------------------------------------------------------------------
 */

static void charge_change(struct series_table *table, uint64_t before, const struct sketch *sketch)
{
    uint64_t after = sketch_heap_bytes(sketch);
    if (after > before)
        series_charge(table, after - before);
    else
        series_discharge(table, before - after);
}

static int merge_stat(struct series_table *table, struct latency_stat *into,
                      const struct latency_stat *from)
{
    uint64_t before = sketch_heap_bytes(&into->sketch);
    int status = latency_stat_merge(into, from);
    charge_change(table, before, &into->sketch);
    return status;
}

static void clear_stat(struct series_table *table, struct latency_stat *stat)
{
    series_discharge(table, sketch_heap_bytes(&stat->sketch));
    latency_stat_clear(stat);
}

static void free_slice(struct series_table *table, struct series_slice *slice)
{
    series_discharge(table, series_slice_block_bytes(slice));
    free(slice);
}

void series_window_done(struct series_table *table, struct series *series)
{
    clear_stat(table, &series->open);
    clear_stat(table, &series->settled);
    while (series->slices) {
        struct series_slice *slice = series->slices;
        series->slices = slice->next;
        free_slice(table, slice);
    }
    if (series->reserve) {
        series_discharge(table, series_block_bytes(sizeof(*series->reserve)));
        free(series->reserve);
        series->reserve = NULL;
    }
}

bool series_window_halve(struct series_table *table, struct series *series, uint8_t max_halvings)
{
    struct sketch *sketches[] = {&series->open.sketch, &series->settled.sketch};
    uint8_t target = sketches[0]->halvings;
    if (sketches[1]->halvings < target)
        target = sketches[1]->halvings;
    if (++target > max_halvings)
        return false;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t before = sketch_heap_bytes(sketches[i]);
        if (sketches[i]->halvings < target)
            sketch_halve(sketches[i]);
        charge_change(table, before, sketches[i]);
    }
    table->figures.halvings++;
    return true;
}

/* --- the open slice ------------------------------------------------------------------------------
 */

static int put_bucket(const struct series_table *table, struct sketch *sketch, uint32_t bucket,
                      uint32_t count)
{
    if (sketch_try_record(sketch, bucket, count))
        return 0;
    if (bucket >= LORIS_PAGE_BUCKETS && table->starved)
        return -ENOMEM;
    return sketch_record(sketch, bucket, count);
}

static void take_back(struct sketch *sketch, uint32_t bucket)
{
    if (bucket < LORIS_PAGE_BUCKETS) {
        --*(bucket == 0 ? &sketch->zeros : &sketch->ones);
        return;
    }
    uint64_t bit = 1ULL << (bucket / LORIS_PAGE_BUCKETS - 1), counts[LORIS_PAGE_BUCKETS];
    struct sketch_page *page = sketch->pages[sketch_page_position(sketch->touched, bit)];
    unsigned slots = LORIS_PAGE_BUCKETS >> sketch->halvings;
    sketch_page_load(page, slots, counts);
    counts[(bucket % LORIS_PAGE_BUCKETS) >> sketch->halvings]--;
    sketch_page_store(page, slots, counts);
}

/* Puts all buckets into the sketch, or with -ENOMEM none. */
static int put_buckets(struct series_table *table, struct sketch *sketch, const uint16_t *buckets,
                       unsigned count)
{
    uint64_t before = sketch_heap_bytes(sketch);
    unsigned put = 0;
    int status = 0;
    while (put < count && status == 0) {
        put += sketch_try_record_each(sketch, buckets + put, count - put);
        if (put == count)
            break;
        status = put_bucket(table, sketch, buckets[put], 1);
        put += status == 0;
    }
    charge_change(table, before, sketch);
    while (status < 0 && put > 0)
        take_back(sketch, buckets[--put]);
    return status;
}

/* Moves what is pending into `into`: all of it, or with -ENOMEM none. */
static int flush(struct series_table *table, struct series *series, struct latency_stat *into)
{
    struct series_pending *pending = &series->pending;
    int status = put_buckets(table, &into->sketch, pending->buckets, pending->count);
    if (status < 0)
        return status;
    struct latency_stat scalars = series_pending_scalars(pending);
    series_add_scalars(into, &scalars);
    series_pending_clear(pending);
    return 0;
}

void series_window_flush(struct series_table *table, struct series *series)
{
    int status = flush(table, series, &series->open);
    (void)status; /* it stays pending */
}

static void reserve_open(struct series_table *table, struct series *series)
{
    series_reserve_absorb(table, series, &series->open);
    series_reserve_absorb_pending(table, series, &series->pending);
    series_pending_clear(&series->pending);
    clear_stat(table, &series->open);
}

/* Gives the open slice to the reserve, window included. */
static void spill(struct series_table *table, struct series *series)
{
    table->figures.window_lost += series_open_count(series);
    reserve_open(table, series);
}

/* A call that `pending` is not made for. */
static void record_at_once(struct series_table *table, struct series *series,
                           const struct series_sample *sample)
{
    uint32_t bucket = loris_sketch_bucket(sample->latency_ns);
    struct sketch *sketch = &series->open.sketch;
    uint64_t before = sketch_heap_bytes(sketch);
    int status = put_bucket(table, sketch, bucket, sample->weight);
    charge_change(table, before, sketch);
    if (status == 0) {
        latency_stat_count(&series->open, sample->latency_ns, sample->error, sample->weight);
        return;
    }
    struct latency_stat call;
    latency_stat_init(&call);
    latency_stat_count(&call, sample->latency_ns, sample->error, sample->weight);
    series_reserve_add(table, series, bucket, &call);
    table->figures.window_lost += sample->weight;
}

void series_window_record(struct series_table *table, struct series *series,
                          const struct series_sample *sample)
{
    if (!series_pending_takes(sample)) {
        record_at_once(table, series, sample);
        return;
    }
    if (series->pending.count == SERIES_PENDING && flush(table, series, &series->open) < 0)
        spill(table, series); /* without this call, which is not counted yet */
    series_pending_add(&series->pending, (uint32_t)sample->latency_ns, sample->error);
}

void series_window_merge(struct series_table *table, struct series *series,
                         const struct latency_stat *stat)
{
    if (!table->starved && merge_stat(table, &series->open, stat) == 0)
        return;
    series_reserve_absorb(table, series, stat);
    table->figures.window_lost += stat->count;
}

/* --- closing -------------------------------------------------------------------------------------
 */

static uint64_t open_epoch(const struct series_table *table, const struct series *series)
{
    return series->last_ns / table->config.slice_ns;
}

static bool in_window(const struct series_table *table, uint64_t epoch)
{
    return table->epoch <= epoch || table->epoch - epoch <= table->config.slices;
}

static void link_slice(struct series *series, struct series_slice *slice)
{
    struct series_slice **at = &series->slices;
    while (*at && (*at)->epoch > slice->epoch)
        at = &(*at)->next;
    slice->next = *at;
    *at = slice;
}

static void expire(struct series_table *table, struct series *series)
{
    struct series_slice **at = &series->slices;
    while (*at && in_window(table, (*at)->epoch))
        at = &(*at)->next;
    while (*at) {
        struct series_slice *slice = *at;
        *at = slice->next;
        free_slice(table, slice);
    }
}

static bool sketch_is_empty(const struct sketch *sketch)
{
    return !sketch->touched && !sketch->zeros && !sketch->ones;
}

/* Keeps what the window needs of the open slice; false when there is no memory for it. */
static bool keep_slice(struct series_table *table, struct series *series)
{
    uint64_t epoch = open_epoch(table, series);
    if (!in_window(table, epoch))
        return true;
    struct series_slice *slice = NULL;
    if (table->starved)
        return false;
    if (series->pending.count == 0)
        slice = series_slice_pack(&series->open, epoch);
    else if (series->open.count == 0)
        slice = series_slice_pack_pending(&series->pending, series->open.sketch.halvings, epoch);
    if (!slice)
        return false;
    series_charge(table, series_slice_block_bytes(slice));
    link_slice(series, slice);
    return true;
}

/* The open slice becomes part of the totals; -ENOMEM: it stays. */
static int settle(struct series_table *table, struct series *series)
{
    struct latency_stat *open = &series->open, *settled = &series->settled;
    if (series->pending.count > 0)
        return -ENOMEM;
    if (sketch_is_empty(&settled->sketch) && settled->count == 0 &&
        settled->sketch.halvings <= open->sketch.halvings) {
        uint8_t halvings = open->sketch.halvings;
        *settled = *open;
        latency_stat_init(open);
        open->sketch.halvings = halvings;
        return 0;
    }
    int status = merge_stat(table, settled, open);
    if (status == 0)
        clear_stat(table, open);
    return status;
}

static void close_open(struct series_table *table, struct series *series)
{
    /* Few calls are packed as they wait, and put straight into the sketch of the totals; when a
     * flush fails, keep_slice and settle see what is still pending. */
    bool few = series->open.count == 0;
    int status = few ? 0 : flush(table, series, &series->open);
    if (!keep_slice(table, series))
        table->figures.window_lost += series_open_count(series);
    if (few)
        status = flush(table, series, &series->settled);
    if (status < 0 || settle(table, series) < 0)
        reserve_open(table, series);
    while (series->open.sketch.halvings < series->settled.sketch.halvings)
        sketch_halve(&series->open.sketch);
}

void series_window_roll(struct series_table *table, struct series *series)
{
    if (series->last_ns >= table->epoch_begin_ns)
        return;
    if (series_open_count(series) > 0)
        close_open(table, series);
    expire(table, series);
}

/* --- folding -------------------------------------------------------------------------------------
 */

static void absorb_settled(struct series_table *table, struct series *into, struct series *orphan)
{
    if (orphan->settled.count == 0)
        return;
    if (into->settled.count == 0 &&
        into->settled.sketch.halvings <= orphan->settled.sketch.halvings) {
        into->settled = orphan->settled;
        latency_stat_init(&orphan->settled);
        return;
    }
    if (merge_stat(table, &into->settled, &orphan->settled) < 0)
        series_reserve_absorb(table, into, &orphan->settled);
}

static void absorb_open(struct series_table *table, struct series *into, struct series *orphan)
{
    struct series_pending *to = &into->pending, *from = &orphan->pending;
    /* Room for what is pending first, so that only calls of `into` are spilt. */
    if (to->count + from->count > SERIES_PENDING && flush(table, into, &into->open) < 0)
        spill(table, into);
    /* The few calls of a short life are all pending: then this allocates nothing. */
    if (orphan->open.count > 0 && merge_stat(table, &into->open, &orphan->open) < 0) {
        table->figures.window_lost += orphan->open.count;
        series_reserve_absorb(table, into, &orphan->open);
    }
    for (uint8_t i = 0; i < from->count; i++)
        to->buckets[to->count++] = from->buckets[i];
    to->errors += from->errors;
    to->sum_ns += from->sum_ns;
    to->min_ns = from->min_ns < to->min_ns ? from->min_ns : to->min_ns;
    to->max_ns = from->max_ns > to->max_ns ? from->max_ns : to->max_ns;
    series_pending_clear(from);
}

/* Slices move over as they are, or joined with that of the same time. Without memory for joining
 * two of one time stay side by side. */
static void absorb_slices(struct series_table *table, struct series *into, struct series *orphan)
{
    struct series_slice **at = &into->slices;
    while (orphan->slices) {
        struct series_slice *slice = orphan->slices;
        orphan->slices = slice->next;
        while (*at && (*at)->epoch > slice->epoch)
            at = &(*at)->next;
        struct series_slice *joined = NULL;
        if (*at && (*at)->epoch == slice->epoch)
            joined = series_slice_join(*at, slice);
        if (!joined) {
            slice->next = *at;
            *at = slice;
            continue;
        }
        series_charge(table, series_slice_block_bytes(joined));
        struct series_slice *old = *at;
        joined->next = old->next;
        *at = joined;
        free_slice(table, old);
        free_slice(table, slice);
    }
}

void series_window_absorb(struct series_table *table, struct series *into, struct series *orphan)
{
    series_window_roll(table, into);
    series_window_roll(table, orphan);
    absorb_settled(table, into, orphan);
    absorb_open(table, into, orphan);
    absorb_slices(table, into, orphan);
    if (orphan->last_ns > into->last_ns)
        into->last_ns = orphan->last_ns;
    series_window_done(table, orphan);
}

/* --- answers -------------------------------------------------------------------------------------
 */

static int unpack_open(const struct series *series, struct latency_stat *into)
{
    const struct series_pending *pending = &series->pending;
    int status = latency_stat_merge(into, &series->open);
    for (uint8_t i = 0; i < pending->count && status == 0; i++)
        status = sketch_record(&into->sketch, pending->buckets[i], 1);
    struct latency_stat scalars = series_pending_scalars(pending);
    series_add_scalars(into, &scalars);
    return status;
}

static int unpack_totals(const struct series *series, struct latency_stat *into)
{
    int status = latency_stat_merge(into, &series->settled);
    if (status == 0 && series->reserve)
        status = series_reserve_unpack(series->reserve, &into->sketch);
    return status < 0 ? status : unpack_open(series, into);
}

int series_table_window(const struct series_table *table, const struct series *series,
                        uint64_t window_ns, uint64_t now_ns, struct latency_stat *into,
                        uint64_t *ret_window_ns)
{
    uint64_t from_ns = table->started ? table->first_ns : now_ns;
    int status;
    if (window_ns == 0) {
        status = unpack_totals(series, into);
    } else {
        uint64_t slice_ns = table->config.slice_ns, epoch = now_ns / slice_ns;
        uint64_t oldest = now_ns >= window_ns ? (now_ns - window_ns + 1) / slice_ns : 0;
        if (epoch > table->config.slices && oldest < epoch - table->config.slices)
            oldest = epoch - table->config.slices;
        if (oldest * slice_ns > from_ns)
            from_ns = oldest * slice_ns;
        status = open_epoch(table, series) >= oldest ? unpack_open(series, into) : 0;
        for (const struct series_slice *slice = series->slices;
             slice && slice->epoch >= oldest && status == 0; slice = slice->next)
            status = series_slice_unpack(slice, into);
    }
    if (status == 0)
        *ret_window_ns = now_ns > from_ns ? now_ns - from_ns : 0;
    return status;
}

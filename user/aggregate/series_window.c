/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A call enters the open slice, its bucket first waiting in `pending`. When the slice's time is
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

static int put_bucket(const struct series_table *table, struct sketch *sketch, uint32_t bucket)
{
    if (sketch_try_record(sketch, bucket))
        return 0;
    if (bucket >= LORIS_PAGE_BUCKETS && table->starved)
        return -ENOMEM;
    return sketch_record(sketch, bucket, 1);
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

/* Pages lie scattered: fetching them all at once costs little more than fetching one. */
static void prefetch_pages(const struct sketch *sketch)
{
    struct sketch_page *const *page = sketch->pages;
    for (uint64_t rest = sketch->touched; rest; rest &= rest - 1, page++) {
        __builtin_prefetch(*page, 1);
        __builtin_prefetch((const char *)*page + 64, 1);
    }
}

/* Puts what is pending into `sketch`: all of it, or with -ENOMEM none. */
static int flush(struct series_table *table, struct series *series, struct sketch *sketch)
{
    uint64_t before = sketch_heap_bytes(sketch);
    int status = 0;
    uint8_t put = 0;
    prefetch_pages(sketch);
    for (; put < series->pending_count; put++) {
        status = put_bucket(table, sketch, series->pending[put]);
        if (status < 0)
            break;
    }
    charge_change(table, before, sketch);
    if (status < 0) {
        while (put > 0)
            take_back(sketch, series->pending[--put]);
        return status;
    }
    series->pending_count = 0;
    return 0;
}

static void reserve_open(struct series_table *table, struct series *series)
{
    series_reserve_absorb(table, series, &series->open, series->pending, series->pending_count);
    series->pending_count = 0;
    clear_stat(table, &series->open);
}

/* Gives the open slice to the reserve, window included. */
static void spill(struct series_table *table, struct series *series)
{
    table->figures.window_lost += series->open.count;
    reserve_open(table, series);
}

static void add_pending(struct series_table *table, struct series *series, uint32_t bucket)
{
    if (series->pending_count == SERIES_PENDING && flush(table, series, &series->open.sketch) < 0)
        spill(table, series); /* without this call, which is not counted yet */
    series->pending[series->pending_count++] = (uint16_t)bucket;
}

void series_window_record(struct series_table *table, struct series *series, uint64_t latency_ns,
                          bool error)
{
    add_pending(table, series, loris_sketch_bucket(latency_ns));
    struct latency_stat *open = &series->open;
    open->count++;
    open->errors += error;
    open->sum_ns = series_saturating_add(open->sum_ns, latency_ns);
    if (latency_ns < open->min_ns)
        open->min_ns = latency_ns;
    if (latency_ns > open->max_ns)
        open->max_ns = latency_ns;
}

void series_window_merge(struct series_table *table, struct series *series,
                         const struct latency_stat *stat)
{
    if (!table->starved && merge_stat(table, &series->open, stat) == 0)
        return;
    series_reserve_absorb(table, series, stat, NULL, 0);
    table->figures.window_lost += stat->count;
}

/* --- closing -------------------------------------------------------------------------------------
 */

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
    if (!in_window(table, series->open_epoch))
        return true;
    struct series_slice *slice = NULL;
    if (table->starved)
        return false;
    if (series->pending_count == 0)
        slice = series_slice_pack(&series->open, series->open_epoch);
    else if (sketch_is_empty(&series->open.sketch))
        slice = series_slice_pack_pending(&series->open, series->pending, series->pending_count,
                                          series->open_epoch);
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
    if (series->pending_count > 0)
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
    bool few = sketch_is_empty(&series->open.sketch);
    int status = few ? 0 : flush(table, series, &series->open.sketch);
    if (!keep_slice(table, series))
        table->figures.window_lost += series->open.count;
    if (few)
        status = flush(table, series, &series->settled.sketch);
    if (status < 0 || settle(table, series) < 0)
        reserve_open(table, series);
    while (series->open.sketch.halvings < series->settled.sketch.halvings)
        sketch_halve(&series->open.sketch);
}

void series_window_roll(struct series_table *table, struct series *series)
{
    if (series->open_epoch == table->epoch)
        return;
    if (series->open.count > 0)
        close_open(table, series);
    series->open_epoch = table->epoch;
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
        series_reserve_absorb(table, into, &orphan->settled, NULL, 0);
}

static void absorb_open(struct series_table *table, struct series *into, struct series *orphan)
{
    if (orphan->open.count == 0)
        return;
    /* Room for the orphan's pending buckets first, so that only calls of `into` are spilt. */
    if (into->pending_count + orphan->pending_count > SERIES_PENDING &&
        flush(table, into, &into->open.sketch) < 0)
        spill(table, into);
    /* The few calls of a short life have no sketch: then this allocates nothing. */
    if (merge_stat(table, &into->open, &orphan->open) < 0) {
        table->figures.window_lost += orphan->open.count;
        series_reserve_absorb(table, into, &orphan->open, orphan->pending, orphan->pending_count);
        return;
    }
    for (uint8_t i = 0; i < orphan->pending_count; i++)
        into->pending[into->pending_count++] = orphan->pending[i];
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
    int status = latency_stat_merge(into, &series->open);
    for (uint8_t i = 0; i < series->pending_count && status == 0; i++)
        status = sketch_record(&into->sketch, series->pending[i], 1);
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
        status = series->open_epoch >= oldest ? unpack_open(series, into) : 0;
        for (const struct series_slice *slice = series->slices;
             slice && slice->epoch >= oldest && status == 0; slice = slice->next)
            status = series_slice_unpack(slice, into);
    }
    if (status == 0)
        *ret_window_ns = now_ns > from_ns ? now_ns - from_ns : 0;
    return status;
}

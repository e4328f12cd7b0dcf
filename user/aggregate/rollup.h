/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answer rows: the series of one probe, grouped, and the numbers derived from a row. */
#pragma once

#include "aggregate/series_table.h"

struct rollup_row {
    struct series_key key;
    struct latency_stat stat;
    uint64_t window_ns; /* the time it covers */
    uint64_t serial;    /* of its only series when that has the row's key, else 0 */
    bool estimated;
};

/* Rows with calls only, the busiest first, equally busy ones by key. */
struct rollup {
    uint64_t now_ns;
    uint64_t window_ns;
    size_t row_count;
    struct rollup_row rows[];
};

/* The row that a series belongs to: identity for rows by process, to UNIT, or everything to OTHER
 * for a single row. Must keep the probe. */
typedef struct series_key (*rollup_group_fn)(struct series_key key, void *context);

/*
 * Reads the series of a probe. window_ns 0: since start.
 *
 * Calls from the kernel-side sketch are in the probe's UNATTRIBUTED series. A grouping that takes
 * its key elsewhere (all to OTHER) merges them exactly. One that leaves it gives them a row of
 * their own, which rollup_spread makes part of the others. O(series log series).
 */
int rollup_new(const struct series_table *table, uint32_t probe, uint64_t window_ns,
               uint64_t now_ns, rollup_group_fn group, void *context,
               struct rollup **ret_rollup) _must_check_;
void rollup_free(struct rollup *rollup);
DEFINE_CLEANUP(struct rollup *, rollup_free);

/*
 * Takes an earlier reading since start, grouped alike, out of a later one: what remains are the
 * calls between the two. Both are as rollup_new left them, before rollup_spread.
 *
 * Counts, errors, sums, thinned squares and every bucket, each summed over the rows, are exactly
 * those of the calls between. Whatever is missing in a row because it was folded upward meanwhile
 * is taken out of the rows on its chain of parents; a row in which that met a shortage is marked
 * estimated. Calls made before such a fold are in the row that they were folded to. One thing goes
 * unnoticed: when a part of a row of several series (by unit) moved up and as many new calls came,
 * those are taken for the old ones, and the row above has that many more.
 *
 * Minimum and maximum of a row that had calls earlier are known as bounds of its lowest and
 * highest bucket only, narrowed to the row's extremes since start.
 *
 * parent as in series_table_config. -ENOMEM leaves a `now` that can only be freed.
 */
int rollup_subtract(struct rollup *now, const struct rollup *earlier, series_parent_fn parent,
                    void *context) _must_check_;

/*
 * Spreads the UNATTRIBUTED row over the others, if there are any, and marks them estimated: their
 * counts, errors and sums grow in proportion, rounded so that they add up to the probe's exactly.
 * An error or sum that no attributed call has goes by count. A row's rank error is that of its
 * attributed calls, which answer for all: its thinned square grows with the square of its count.
 * Sketches stay those of the attributed
 * calls, as the row's best guess, so that sketch_count() is less than stat.count. With nothing
 * attributed, the one row UNATTRIBUTED remains as it is.
 */
void rollup_spread(struct rollup *rollup);

/* Keeps the busiest max_rows (0: all); the others become part of the row OTHER, so that sums stay.
 * -ENOMEM leaves a rollup that can only be freed. */
int rollup_cut(struct rollup *rollup, size_t max_rows) _must_check_;

struct derived {
    uint64_t mean_ns, min_ns, max_ns; /* 0 without calls */
    uint64_t p50_ns, p90_ns, p95_ns, p99_ns, p999_ns;
    double error_ratio;
    double rate_per_s;  /* 0 when the window is empty, as is concurrency */
    double concurrency; /* calls in progress on average: sum / window */
    double relative_error;
};

void rollup_derive(const struct rollup_row *row, struct derived *ret_derived);

/* Order of rows; for the modules of rollup. */
void rollup_sort(struct rollup *rollup);
/* As if the errors beyond a row's count had been of others. */
void rollup_level_errors(struct rollup *rollup);

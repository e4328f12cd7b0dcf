/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "aggregate/rollup.h"

#include <errno.h>

/* --- reading ---------------------------------------------------------------------------------- */

struct member {
    struct series_key row;
    const struct series *series;
};

struct member_list {
    struct member *members;
    size_t count, capacity;
    rollup_group_fn group;
    void *context;
    bool no_memory;
};

static void on_series(const struct series *series, void *context)
{
    struct member_list *list = context;
    if (list->no_memory || series_table_count(series) == 0)
        return;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        struct member *members = reallocarray(list->members, capacity, sizeof(*members));
        if (!members) {
            list->no_memory = true;
            return;
        }
        list->members = members;
        list->capacity = capacity;
    }
    struct series_key row = list->group(series_table_key(series), list->context);
    list->members[list->count++] = (struct member){row, series};
}

static int compare_keys(const struct series_key *a, const struct series_key *b)
{
    if (a->level != b->level)
        return a->level < b->level ? -1 : 1;
    return a->who < b->who ? -1 : a->who > b->who;
}

static int compare_members(const void *a, const void *b)
{
    return compare_keys(&((const struct member *)a)->row, &((const struct member *)b)->row);
}

static int compare_rows(const void *a, const void *b)
{
    const struct rollup_row *left = a, *right = b;
    if (left->stat.count != right->stat.count)
        return left->stat.count > right->stat.count ? -1 : 1;
    return compare_keys(&left->key, &right->key);
}

void rollup_sort(struct rollup *rollup)
{
    if (rollup->row_count > 1)
        qsort(rollup->rows, rollup->row_count, sizeof(rollup->rows[0]), compare_rows);
}

static size_t count_rows(const struct member_list *list)
{
    size_t rows = 0;
    for (size_t i = 0; i < list->count; i++)
        rows += i == 0 || compare_members(&list->members[i - 1], &list->members[i]) != 0;
    return rows;
}

static bool is_own_row(const struct member *member)
{
    struct series_key key = series_table_key(member->series);
    return compare_keys(&key, &member->row) == 0;
}

/* Members are sorted by row; rows without calls in the window give their place to the next. */
static int fill_rows(struct rollup *rollup, const struct series_table *table, uint64_t window_ns,
                     const struct member_list *list)
{
    for (size_t i = 0, next; i < list->count; i = next) {
        struct rollup_row *row = &rollup->rows[rollup->row_count];
        *row = (struct rollup_row){.key = list->members[i].row};
        latency_stat_init(&row->stat);
        rollup->row_count++;
        for (next = i;
             next < list->count && compare_members(&list->members[i], &list->members[next]) == 0;
             next++) {
            int status = series_table_window(table, list->members[next].series, window_ns,
                                             rollup->now_ns, &row->stat, &row->window_ns);
            if (status < 0)
                return status;
        }
        if (next == i + 1 && is_own_row(&list->members[i]))
            row->serial = series_table_serial(list->members[i].series);
        rollup->window_ns = row->window_ns;
        if (row->stat.count == 0) {
            latency_stat_done(&row->stat);
            rollup->row_count--;
        }
    }
    return 0;
}

int rollup_new(const struct series_table *table, uint32_t probe, uint64_t window_ns,
               uint64_t now_ns, rollup_group_fn group, void *context, struct rollup **ret_rollup)
{
    struct member_list list = {.group = group, .context = context};
    series_table_walk(table, probe, on_series, &list);
    _cleanup_free_ struct member *members = list.members;
    if (list.no_memory)
        return -ENOMEM;
    if (list.count > 1)
        qsort(members, list.count, sizeof(*members), compare_members);

    _cleanup_(rollup_free_cleanup) struct rollup *rollup =
        calloc(1, sizeof(*rollup) + count_rows(&list) * sizeof(rollup->rows[0]));
    if (!rollup)
        return -ENOMEM;
    rollup->now_ns = now_ns;
    int status = fill_rows(rollup, table, window_ns, &list);
    if (status < 0)
        return status;
    rollup_sort(rollup);
    *ret_rollup = take_ptr(rollup);
    return 0;
}

void rollup_free(struct rollup *rollup)
{
    if (!rollup)
        return;
    for (size_t i = 0; i < rollup->row_count; i++)
        latency_stat_done(&rollup->rows[i].stat);
    free(rollup);
}

/* --- spreading -------------------------------------------------------------------------------- */

static uint64_t saturating_add(uint64_t a, uint64_t b)
{
    uint64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* Deals out an amount in proportion to weights, a piece at a time: rounding the running total
 * instead of each piece makes the pieces add up. */
struct dealer {
    uint64_t amount;
    uint64_t weights; /* of all pieces; not 0 */
    uint64_t weights_done;
    uint64_t dealt;
};

static uint64_t deal(struct dealer *dealer, uint64_t weight)
{
    dealer->weights_done = saturating_add(dealer->weights_done, weight);
    uint64_t until =
        (uint64_t)((unsigned __int128)dealer->amount * dealer->weights_done / dealer->weights);
    uint64_t piece = until - dealer->dealt;
    dealer->dealt = until;
    return piece;
}

void rollup_level_errors(struct rollup *rollup)
{
    uint64_t excess = 0;
    for (size_t i = 0; i < rollup->row_count; i++) {
        struct latency_stat *stat = &rollup->rows[i].stat;
        if (stat->errors > stat->count) {
            excess = saturating_add(excess, stat->errors - stat->count);
            stat->errors = stat->count;
        }
    }
    for (size_t i = 0; i < rollup->row_count && excess > 0; i++) {
        struct latency_stat *stat = &rollup->rows[i].stat;
        uint64_t room = stat->count - stat->errors;
        uint64_t more = excess < room ? excess : room;
        stat->errors += more;
        excess -= more;
    }
}

/* Keeps the rank error while the count grows. */
static void stretch_thinned(struct latency_stat *stat, uint64_t count_before)
{
    double growth = (double)stat->count / (double)count_before;
    double stretched = (double)stat->thinned_square * growth * growth;
    if (stat->thinned_square > 0)
        stat->thinned_square = stretched < 0x1p63 ? (uint64_t)stretched : UINT64_MAX;
}

static void deal_out(struct rollup *rollup, const struct latency_stat *unattributed,
                     const struct latency_stat *attributed)
{
    bool errors_by_count = attributed->errors == 0, sums_by_count = attributed->sum_ns == 0;
    struct dealer count = {.amount = unattributed->count, .weights = attributed->count};
    struct dealer errors = {.amount = unattributed->errors,
                            .weights = errors_by_count ? attributed->count : attributed->errors};
    struct dealer sum = {.amount = unattributed->sum_ns,
                         .weights = sums_by_count ? attributed->count : attributed->sum_ns};
    for (size_t i = 0; i < rollup->row_count; i++) {
        struct latency_stat *stat = &rollup->rows[i].stat;
        struct latency_stat own = *stat;
        stat->count = saturating_add(own.count, deal(&count, own.count));
        stat->errors =
            saturating_add(own.errors, deal(&errors, errors_by_count ? own.count : own.errors));
        stat->sum_ns =
            saturating_add(own.sum_ns, deal(&sum, sums_by_count ? own.count : own.sum_ns));
        stretch_thinned(stat, own.count);
        rollup->rows[i].estimated = true;
    }
    rollup_level_errors(rollup);
}

void rollup_spread(struct rollup *rollup)
{
    size_t at = rollup->row_count;
    struct latency_stat attributed = {0};
    for (size_t i = 0; i < rollup->row_count; i++) {
        const struct rollup_row *row = &rollup->rows[i];
        if (row->key.level == SERIES_UNATTRIBUTED) {
            at = i;
            continue;
        }
        attributed.count = saturating_add(attributed.count, row->stat.count);
        attributed.errors = saturating_add(attributed.errors, row->stat.errors);
        attributed.sum_ns = saturating_add(attributed.sum_ns, row->stat.sum_ns);
    }
    if (at == rollup->row_count || attributed.count == 0)
        return;
    struct latency_stat unattributed = rollup->rows[at].stat;
    rollup->rows[at] = rollup->rows[--rollup->row_count];
    rollup_sort(rollup); /* what rounding gives to whom does not depend on the hole */
    deal_out(rollup, &unattributed, &attributed);
    latency_stat_done(&unattributed);
    rollup_sort(rollup);
}

/* --- derived ---------------------------------------------------------------------------------- */

static uint64_t mean_of(const struct latency_stat *stat)
{
    uint64_t mean = stat->sum_ns / stat->count;
    if (stat->sum_ns % stat->count >= stat->count - stat->count / 2)
        mean++;
    /* Of an estimate, or after a subtraction, it might lie outside. */
    if (mean < stat->min_ns)
        return stat->min_ns;
    return mean > stat->max_ns ? stat->max_ns : mean;
}

void rollup_derive(const struct rollup_row *row, struct derived *ret_derived)
{
    const struct latency_stat *stat = &row->stat;
    *ret_derived = (struct derived){.relative_error = sketch_relative_error(&stat->sketch)};
    if (stat->count == 0)
        return;
    static const double quantiles[] = {0.5, 0.9, 0.95, 0.99, 0.999};
    uint64_t values[5];
    latency_stat_quantiles(stat, quantiles, 5, values);
    ret_derived->p50_ns = values[0];
    ret_derived->p90_ns = values[1];
    ret_derived->p95_ns = values[2];
    ret_derived->p99_ns = values[3];
    ret_derived->p999_ns = values[4];
    ret_derived->mean_ns = mean_of(stat);
    ret_derived->min_ns = stat->min_ns;
    ret_derived->max_ns = stat->max_ns;
    ret_derived->error_ratio = (double)stat->errors / (double)stat->count;
    if (row->window_ns > 0) {
        ret_derived->rate_per_s = (double)stat->count * 1e9 / (double)row->window_ns;
        ret_derived->concurrency = (double)stat->sum_ns / (double)row->window_ns;
    }
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/top_row.h"

#include <errno.h>
#include <string.h>

#include "base/glob.h"
#include "cli/json_field.h"
#include "cli/series_view.h"

static const char *const sort_names[TOP_SORTS] = {"p50",   "p99",    "max",  "rate",
                                                  "count", "errors", "time", "name"};

static const struct {
    const char *name, *key;
} latencies[TOP_LATENCIES] = {
    [TOP_MIN] = {"MIN", "min_ns"}, [TOP_MEAN] = {"MEAN", "mean_ns"},  [TOP_P50] = {"P50", "p50_ns"},
    [TOP_P90] = {"P90", "p90_ns"}, [TOP_P95] = {"P95", "p95_ns"},     [TOP_P99] = {"P99", "p99_ns"},
    [TOP_MAX] = {"MAX", "max_ns"}, [TOP_P999] = {"P99.9", "p999_ns"},
};

const char *top_latency_name(enum top_latency latency)
{
    return latencies[latency].name;
}

const char *top_sort_name(enum top_sort sort)
{
    return sort_names[sort];
}

enum top_sort top_sort_find(const char *name)
{
    unsigned sort = 0;
    while (sort < TOP_SORTS && strcmp(sort_names[sort], name) != 0)
        sort++;
    return (enum top_sort)sort;
}

static void read_figures(const json_t *series, struct top_figures *figures)
{
    *figures = (struct top_figures){
        .count = json_field_u64(series, "count"),
        .errors = json_field_u64(series, "errors"),
        .rate_per_s = json_field_number(series, "rate_per_s"),
        .error_ratio = json_field_number(series, "error_ratio"),
        .concurrency = json_field_number(series, "concurrency"),
        .time_share = json_field_number(series, "time_share"),
        .window_s = json_field_number(series, "window_s"),
        .relative_error = json_field_number(series, "relative_error"),
        .rank_error = json_field_number(series, "rank_error"),
        .count_error = json_field_number(series, "count_error"),
        .observed = json_field_has(series, "observed") ? json_field_number(series, "observed") : 1,
        .in_flight = json_field_u64(series, "in_flight"),
        .oldest_ns = json_field_u64(series, "oldest_ns"),
        .waiting = json_field_u64(series, "waiting"),
        .lost = json_field_u64(series, "lost"),
        .is_estimated = json_field_bool(series, "estimated"),
    };
    for (unsigned i = 0; i < TOP_LATENCIES; i++)
        figures->latency_ns[i] = json_field_u64(series, latencies[i].key);
    figures->total_ns = (double)figures->count * (double)figures->latency_ns[TOP_MEAN];
}

static int read_names(const json_t *series, struct top_row *row)
{
    char who[SERIES_WHO_BYTES] = "";
    const json_t *group = json_object_get(series, "group");
    if (group)
        series_view_format_who(group, who);
    const char *const names[] = {json_field_string(series, "probe"),
                                 json_field_string(group, "kind"), json_field_string(group, "unit"),
                                 who};
    const char **const kept[] = {&row->probe, &row->kind, &row->unit, &row->who};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        row->names_bytes += strlen(names[i]) + 1;
    char *at = row->names = malloc(row->names_bytes);
    if (!at)
        return -ENOMEM;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        *kept[i] = at;
        at = stpcpy(at, names[i]) + 1;
    }
    return 0;
}

static void remember(struct top_row *row, uint64_t p99_ns)
{
    memmove(row->p99_ns, row->p99_ns + 1, sizeof(row->p99_ns) - sizeof(row->p99_ns[0]));
    row->p99_ns[TOP_HISTORY - 1] = (float)p99_ns;
}

int top_row_new(const json_t *series, struct top_row **ret_row)
{
    _cleanup_(top_row_free_cleanup) struct top_row *row = calloc(1, sizeof(*row));
    if (!row)
        return -ENOMEM;
    int r = read_names(series, row);
    if (r < 0)
        return r;
    read_figures(series, &row->figures);
    remember(row, row->figures.latency_ns[TOP_P99]);
    *ret_row = take_ptr(row);
    return 0;
}

void top_row_free(struct top_row *row)
{
    if (!row)
        return;
    free(row->names);
    free(row);
}

void top_row_update(struct top_row *row, const struct top_row *next)
{
    row->figures = next->figures;
    row->absent = 0;
    remember(row, row->figures.latency_ns[TOP_P99]);
}

void top_row_skip(struct top_row *row)
{
    remember(row, 0);
}

int top_row_compare(const struct top_row *left, const struct top_row *right)
{
    size_t shorter =
        left->names_bytes < right->names_bytes ? left->names_bytes : right->names_bytes;
    int order = memcmp(left->names, right->names, shorter);
    if (order != 0)
        return order;
    return (left->names_bytes > right->names_bytes) - (left->names_bytes < right->names_bytes);
}

static double rank_of(const struct top_figures *figures, enum top_sort sort)
{
    switch (sort) {
    case TOP_BY_P50:
        return (double)figures->latency_ns[TOP_P50];
    case TOP_BY_P99:
        return (double)figures->latency_ns[TOP_P99];
    case TOP_BY_MAX:
        return (double)figures->latency_ns[TOP_MAX];
    case TOP_BY_RATE:
        return figures->rate_per_s;
    case TOP_BY_COUNT:
        return (double)figures->count;
    case TOP_BY_ERRORS:
        return (double)figures->errors;
    case TOP_BY_TIME:
        return figures->total_ns;
    case TOP_BY_NAME:
    case TOP_SORTS:
        break;
    }
    return 0;
}

int top_row_rank(const struct top_row *left, const struct top_row *right, enum top_sort sort)
{
    double left_rank = rank_of(&left->figures, sort), right_rank = rank_of(&right->figures, sort);
    if (left_rank != right_rank)
        return left_rank > right_rank ? -1 : 1;
    return top_row_compare(left, right);
}

bool top_row_matches(const struct top_row *row, const char *filter)
{
    return strcasestr(row->probe, filter) || strcasestr(row->who, filter) ||
           (glob_is(filter) &&
            (glob_matches(filter, row->probe) || glob_matches(filter, row->who)));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/series_view.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "cli/json_field.h"
#include "cli/table.h"

static const struct table_column columns[] = {
    {"PROBE", .is_name = true},
    {"WHO", .is_name = true},
    {"COUNT", .is_right = true},
    {"RATE/s", .is_right = true, .giving = 2},
    {"ERR%", .is_right = true, .giving = 3},
    {"MEAN", .is_right = true, .giving = 4},
    {"P50", .is_right = true, .giving = 1},
    {"P90", .is_right = true, .giving = 6},
    {"P99", .is_right = true},
    {"P99.9", .is_right = true, .giving = 5},
    {"MAX", .is_right = true},
};
#define COLUMN_COUNT (sizeof(columns) / sizeof(columns[0]))
#define WHO_COLUMN   1

void series_view_format_exact(uint64_t count, char out[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
    size_t used = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
}

void series_view_format_percent(double ratio, int digits, char out[32])
{
    double percent = 100 * ratio;
    if (percent < 99.5)
        snprintf(out, 32, "%.*g %%", digits, percent);
    else
        snprintf(out, 32, "%.0f %%", percent);
}

void series_view_format_who(const json_t *group, char out[SERIES_WHO_BYTES])
{
    const char *kind = json_field_string(group, "kind");
    const char *comm = json_field_string(group, "comm");
    const char *unit = json_field_string(group, "unit");
    if (strcmp(kind, "unattributed") == 0)
        snprintf(out, SERIES_WHO_BYTES, "(not attributed)");
    else if (strcmp(kind, "other") == 0)
        snprintf(out, SERIES_WHO_BYTES, "(other)");
    else if (json_field_has(group, "pid"))
        snprintf(out, SERIES_WHO_BYTES, "%s[%llu]", comm,
                 (unsigned long long)json_field_u64(group, "pid"));
    else if (comm[0])
        snprintf(out, SERIES_WHO_BYTES, "%s (ended)", comm);
    else if (unit[0])
        snprintf(out, SERIES_WHO_BYTES, "%s", unit);
    else
        snprintf(out, SERIES_WHO_BYTES, "-");
}

static void error_cell(struct table *table, const json_t *series)
{
    char cell[32];
    double percent = 100.0 * json_field_number(series, "error_ratio");
    if (json_field_u64(series, "errors") == 0 || !isfinite(percent))
        snprintf(cell, sizeof(cell), "0");
    else if (percent < 0.01)
        snprintf(cell, sizeof(cell), "<0.01");
    else
        snprintf(cell, sizeof(cell), percent < 10.0 ? "%.2f" : "%.1f", percent);
    table_cell(table, cell);
}

static void duration_cell(struct table *table, const json_t *series, const char *key)
{
    char cell[16] = "-";
    if (json_field_has(series, key))
        format_duration(json_field_u64(series, key), cell);
    table_cell(table, cell);
}

static void add_row(struct table *table, const json_t *series, bool without_who)
{
    char cell[SERIES_WHO_BYTES];
    table_cell(table, json_field_string(series, "probe"));
    if (!without_who) {
        series_view_format_who(json_object_get(series, "group"), cell);
        table_cell(table, cell);
    }
    char count[32], rate[16];
    series_view_format_exact(json_field_u64(series, "count"), count);
    table_cell(table, count);
    format_count(json_field_number(series, "rate_per_s"), rate);
    table_cell(table, rate);
    error_cell(table, series);
    static const char *const durations[] = {"mean_ns", "p50_ns",  "p90_ns",
                                            "p99_ns",  "p999_ns", "max_ns"};
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
        duration_cell(table, series, durations[i]);
}

void series_view_print(const json_t *reply, const struct series_view *view, struct text *out)
{
    const json_t *series = json_object_get(reply, "series");
    if (json_array_size(series) == 0) {
        series_view_footer(reply, out);
        return;
    }
    struct table_column shown[COLUMN_COUNT];
    size_t shown_count = 0;
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (i != WHO_COLUMN || !view->without_who)
            shown[shown_count++] = columns[i];
    _cleanup_(table_free_cleanup) struct table *table = NULL;
    int r = table_new(shown, shown_count, &table);
    if (r < 0) {
        out->failed = r;
        return;
    }
    for (size_t i = 0; i < json_array_size(series); i++)
        add_row(table, json_array_get(series, i), view->without_who);
    table_print(table, view->width, 0, view->emphasise, out);
    series_view_footer(reply, out);
}

uint64_t series_view_calls(const json_t *reply)
{
    const json_t *series = json_object_get(reply, "series");
    uint64_t calls = 0;
    for (size_t i = 0; i < json_array_size(series); i++)
        calls += json_field_u64(json_array_get(series, i), "count");
    return calls;
}

void series_view_json(const json_t *reply, struct text *out)
{
    const json_t *series = json_object_get(reply, "series");
    for (size_t i = 0; i < json_array_size(series); i++)
        json_field_dump(json_array_get(series, i), out);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/alert_view.h"

#include <errno.h>
#include <string.h>

#include "cli/json_field.h"
#include "cli/series_view.h"
#include "cli/table.h"

#define COLUMNS(table) (sizeof(table) / sizeof((table)[0]))
#define SECONDS_LENGTH 19 /* of "2026-11-20T14:52:10" */

static const struct table_column active_columns[] = {
    {.title = "STATE"},
    {"SEVERITY", .giving = 2},
    {"ALERT", .is_name = true},
    {"PROBE", .is_name = true},
    {"WHO", .is_name = true, .giving = 3},
    {"VALUE", .is_right = true},
    {"LIMIT", .giving = 1},
    {"SINCE", .giving = 4},
};

static const struct table_column history_columns[] = {
    {.title = "TIME"},           {.title = "STATE"},         {"SEVERITY", .giving = 2},
    {"ALERT", .is_name = true},  {"PROBE", .is_name = true}, {"WHO", .is_name = true, .giving = 3},
    {"VALUE", .is_right = true}, {"LIMIT", .giving = 1},
};

static const struct table_column rule_columns[] = {
    {"ALERT", .is_name = true},
    {.title = "STATE"},
    {"SEVERITY", .giving = 2},
    {"PROBE", .is_name = true},
    {.title = "METRIC"},
    {.title = "LIMIT"},
    {"VALUE", .is_right = true},
    {"CALLS", .is_right = true, .giving = 4},
    {"FIRING", .is_right = true, .giving = 3},
};

void alert_view_value(const json_t *object, const char *key, char out[32])
{
    const char *unit = json_field_string(object, "value_unit");
    double value = json_field_number(object, key);
    char number[16];
    snprintf(out, 32, "-");
    if (!json_field_has(object, key) || !(value >= 0) || value > 1e18)
        return;
    if (strcmp(unit, "ns") == 0)
        format_duration((uint64_t)value, number);
    else if (strcmp(unit, "bytes") == 0 || strcmp(unit, "bytes_per_s") == 0)
        format_bytes((uint64_t)value, number);
    else
        format_count(strcmp(unit, "ratio") == 0 ? 100 * value : value, number);
    snprintf(out, 32, "%s%s", number,
             strcmp(unit, "ratio") == 0 ? " %"
             : strstr(unit, "per_s")    ? "/s"
                                        : "");
}

void alert_view_limit(const json_t *object, char out[48])
{
    char value[32];
    alert_view_value(object, "threshold", value);
    snprintf(out, 48, "%.8s %s", json_field_string(object, "condition"), value);
}

/* "postgres[71]", "redis.service", "sh (ended)"; by none it is everybody */
static void who_cell(struct table *table, const json_t *group)
{
    const char *kind = json_field_string(group, "kind");
    const char *comm = json_field_string(group, "comm");
    _cleanup_text_ struct text who = {0};
    if (strcmp(kind, "process") == 0)
        text_append_format(&who, "%s[%llu]", comm,
                           (unsigned long long)json_field_u64(group, "pid"));
    else if (strcmp(kind, "name") == 0)
        text_append_format(&who, "%s (ended)", comm);
    else if (strcmp(kind, "unit") == 0)
        text_append_string(&who, json_field_string(group, "unit"));
    else if (kind[0])
        text_append_string(&who, strcmp(kind, "other") == 0 ? "(other)" : "(not attributed)");
    table_cell(table, who.length ? who.bytes : "");
}

static void time_cell(struct table *table, const json_t *alert, const char *key)
{
    char time[SECONDS_LENGTH + 2];
    snprintf(time, sizeof(time), "%.*sZ", SECONDS_LENGTH, json_field_string(alert, key));
    table_cell(table, json_field_has(alert, key) ? time : "-");
}

static void alert_cells(struct table *table, const json_t *alert)
{
    char value[32], limit[48];
    alert_view_value(alert, "value", value);
    alert_view_limit(alert, limit);
    table_cell(table, json_field_string(alert, "state"));
    table_cell(table, json_field_string(alert, "severity"));
    table_cell(table, json_field_string(alert, "alert"));
    table_cell(table, json_field_string(alert, "probe"));
    who_cell(table, json_object_get(alert, "group"));
    table_cell(table, value);
    table_cell(table, limit);
}

static void active_row(struct table *table, const json_t *alert)
{
    alert_cells(table, alert);
    time_cell(table, alert, "active_since");
}

static void history_row(struct table *table, const json_t *alert)
{
    time_cell(table, alert, "time");
    alert_cells(table, alert);
}

static void rule_row(struct table *table, const json_t *rule)
{
    char value[32], limit[48], count[32] = "-", firing[32];
    const char *state = json_field_string(rule, "state");
    alert_view_value(rule, "value", value);
    alert_view_limit(rule, limit);
    if (json_field_has(rule, "count"))
        series_view_format_exact(json_field_u64(rule, "count"), count);
    series_view_format_exact(json_field_u64(rule, "firing"), firing);
    table_cell(table, json_field_string(rule, "alert"));
    table_cell(table, strcmp(state, "inactive") == 0 ? "ok" : state);
    table_cell(table, json_field_string(rule, "severity"));
    table_cell(table, json_field_string(rule, "probe"));
    table_cell(table, json_field_string(rule, "metric"));
    table_cell(table, limit);
    table_cell(table, value);
    table_cell(table, count);
    table_cell(table, firing);
}

static void print_rows(const json_t *rows, const struct table_column *columns, size_t count,
                       void (*row)(struct table *table, const json_t *object), unsigned width,
                       bool emphasise, struct text *out)
{
    _cleanup_(table_free_cleanup) struct table *table = NULL;
    if (table_new(columns, count, &table) < 0) {
        out->failed = -ENOMEM;
        return;
    }
    for (size_t i = 0; i < json_array_size(rows); i++)
        row(table, json_array_get(rows, i));
    table_print(table, width, 0, emphasise, out);
}

void alert_view_active(const json_t *reply, unsigned width, bool emphasise, struct text *out)
{
    print_rows(json_object_get(reply, "alerts"), active_columns, COLUMNS(active_columns),
               active_row, width, emphasise, out);
}

void alert_view_history(const json_t *reply, unsigned width, bool emphasise, struct text *out)
{
    print_rows(json_object_get(reply, "alerts"), history_columns, COLUMNS(history_columns),
               history_row, width, emphasise, out);
}

void alert_view_rules(const json_t *reply, unsigned width, bool emphasise, struct text *out)
{
    print_rows(json_object_get(reply, "rules"), rule_columns, COLUMNS(rule_columns), rule_row,
               width, emphasise, out);
}

void alert_view_footer(const json_t *reply, struct text *out)
{
    static const struct {
        const char *state, *words;
    } states[] = {{"firing", "firing"},
                  {"pending", "pending"},
                  {"unknown", "without data"},
                  {"inactive", "ok"}};
    const json_t *rules = json_object_get(reply, "rules");
    size_t count = json_array_size(rules);
    text_append_format(out, "%zu rule%s", count, count == 1 ? "" : "s");
    const char *before = ": ";
    for (size_t i = 0; i < COLUMNS(states); i++) {
        size_t of_state = 0;
        for (size_t j = 0; j < count; j++)
            of_state +=
                strcmp(json_field_string(json_array_get(rules, j), "state"), states[i].state) == 0;
        if (of_state == 0)
            continue;
        text_append_format(out, "%s%zu %s", before, of_state, states[i].words);
        before = ", ";
    }
    uint64_t overflow = 0;
    for (size_t i = 0; i < count; i++)
        overflow += json_field_u64(json_array_get(rules, i), "overflow");
    if (overflow)
        text_append_format(out, "; %llu times there was no room for one more alert",
                           (unsigned long long)overflow);
    uint64_t held_back = json_field_u64(reply, "held_back");
    if (held_back)
        text_append_format(out, "; %llu change%s held back", (unsigned long long)held_back,
                           held_back == 1 ? "" : "s");
    text_append(out, "\n", 1);
}

void alert_view_change(const json_t *alert, struct text *out)
{
    char message[2048];
    const char *text = json_field_string(alert, "message");
    size_t length = strnlen(text, sizeof(message) - 1);
    text_sanitize(text, length, message);
    text_append_format(out, "%.*sZ  %-8.8s  %-8.8s  %.127s: %s\n", SECONDS_LENGTH,
                       json_field_string(alert, "time"), json_field_string(alert, "state"),
                       json_field_string(alert, "severity"), json_field_string(alert, "alert"),
                       message);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/series_json.h"

static const char *level_name(uint32_t level)
{
    switch (level) {
    case SERIES_PROCESS:
        return "process";
    case SERIES_NAME:
        return "name";
    case SERIES_UNIT:
        return "unit";
    case SERIES_UNATTRIBUTED:
        return "unattributed";
    default:
        return "other";
    }
}

static void write_group(struct json_writer *json, const struct series_json *series)
{
    uint32_t level = series->row->key.level;
    json_begin_object(json, "group");
    json_string_z(json, "kind", level_name(level));
    if (level == SERIES_PROCESS)
        json_u64(json, "pid", series->pid);
    if (level <= SERIES_NAME && series->comm)
        json_string_z(json, "comm", series->comm);
    if (level <= SERIES_UNIT && series->unit)
        json_string_z(json, "unit", series->unit);
    json_end_object(json);
}

static void write_latencies(struct json_writer *json, const struct derived *derived)
{
    json_u64(json, "mean_ns", derived->mean_ns);
    json_u64(json, "min_ns", derived->min_ns);
    json_u64(json, "p50_ns", derived->p50_ns);
    json_u64(json, "p90_ns", derived->p90_ns);
    json_u64(json, "p95_ns", derived->p95_ns);
    json_u64(json, "p99_ns", derived->p99_ns);
    json_u64(json, "p999_ns", derived->p999_ns);
    json_u64(json, "max_ns", derived->max_ns);
}

void series_json_write(struct json_writer *json, const char *key, const struct series_json *series)
{
    const struct latency_stat *stat = &series->row->stat;
    struct derived derived;
    rollup_derive(series->row, &derived);
    json_begin_object(json, key);
    json_string_z(json, "schema", SERIES_JSON_SCHEMA);
    json_string_z(json, "time", series->time);
    json_double(json, "window_s", (double)series->row->window_ns / 1e9, 9);
    json_string_z(json, "probe", series->probe);
    if (series->grouped)
        write_group(json, series);
    json_u64(json, "count", stat->count);
    json_double(json, "rate_per_s", derived.rate_per_s, 6);
    json_u64(json, "errors", stat->errors);
    json_double(json, "error_ratio", derived.error_ratio, 6);
    json_double(json, "concurrency", derived.concurrency, 6);
    json_double(json, "time_share", series->time_share, 6);
    if (stat->count > 0)
        write_latencies(json, &derived);
    json_double(json, "relative_error", derived.relative_error, 4);
    double rank_error = latency_stat_rank_error(stat);
    if (rank_error > 0)
        json_double(json, "rank_error", rank_error, 4);
    if (series->observed < 1)
        json_double(json, "observed", series->observed, 4);
    if (series->count_error > 0)
        json_double(json, "count_error", series->count_error, 4);
    if (series->has_in_flight) {
        json_u64(json, "in_flight", series->in_flight);
        if (series->oldest_ns)
            json_u64(json, "oldest_ns", series->oldest_ns);
    }
    if (series->waiting)
        json_u64(json, "waiting", series->waiting);
    json_u64(json, "lost", series->lost);
    json_bool(json, "estimated",
              series->row->estimated || rank_error > 0 || series->count_error > 0);
    if (series->final)
        json_bool(json, "final", true);
    json_end_object(json);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a rule may look at: names of metrics, their units, and values as people write them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/rollup.h"
#include "base/ownership.h"

/* In the order of their names' table: of calls, of heaps, and of the agent itself, which only its
 * own rules use. */
enum alert_metric {
    ALERT_P50,
    ALERT_P90,
    ALERT_P95,
    ALERT_P99,
    ALERT_P999,
    ALERT_MEAN,
    ALERT_MIN,
    ALERT_MAX,
    ALERT_RATE,
    ALERT_COUNT,
    ALERT_ERROR_RATIO,
    ALERT_CONCURRENCY,
    ALERT_TIME_SHARE,
    ALERT_OLDEST,
    ALERT_METRICS_OF_CALLS,
    ALERT_LIVE_BYTES = ALERT_METRICS_OF_CALLS,
    ALERT_LIVE_COUNT,
    ALERT_GROWTH,
    ALERT_METRICS_OF_RULES,
    ALERT_CACHE_HIT_RATIO = ALERT_METRICS_OF_RULES,
    ALERT_MEMORY,
    ALERT_DRAIN,
    ALERT_RETRIES,
    ALERT_LOSSES,
    ALERT_METRICS,
};

enum alert_unit {
    ALERT_UNIT_NS,
    ALERT_UNIT_RATIO,
    ALERT_UNIT_PER_S,
    ALERT_UNIT_BYTES,
    ALERT_UNIT_BYTES_PER_S,
    ALERT_UNIT_NUMBER,
};

/* What is known of a series when its rule is looked at. */
struct alert_row {
    struct derived derived;
    uint64_t count;
    double time_share; /* of all rows that the rule looks at */
    uint64_t oldest_ns;
};

/* "p99", "live_bytes", ...: the words of `metric:`, not the agent's own. -EINVAL */
int alert_metric_parse(const char *word, enum alert_metric *ret_metric) _must_check_;
const char *alert_metric_name(enum alert_metric metric);
enum alert_unit alert_metric_unit(enum alert_metric metric);
/* "ns", "ratio", "per_s", "bytes", "bytes_per_s", "number" */
const char *alert_unit_name(enum alert_unit unit);
/* Says nothing of a series without calls: a quantile, a mean, a ratio. */
bool alert_metric_needs_calls(enum alert_metric metric);
/* Is known of a probe, not of who called it. */
bool alert_metric_is_of_probe(enum alert_metric metric);
/* Of a metric of calls. */
double alert_metric_value(enum alert_metric metric, const struct alert_row *row);

/* "200ms", "5%", "1000/s", "64MiB", "1MiB/s", "3": in ns, as a ratio, a second, in bytes. -EINVAL:
 * not in the metric's unit; -ERANGE: no such value (above 100 %). */
int alert_metric_parse_value(enum alert_metric metric, const char *text,
                             double *ret_value) _must_check_;
/* What belongs there: "a time, for example 200ms". */
const char *alert_metric_expected(enum alert_metric metric);
/* "312 ms", "5.2 %", "1.20 k/s", "64.0 MiB", "3". */
void alert_metric_format_value(enum alert_metric metric, double value, char out[32]);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert/alert_metric.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/quantity.h"

#define DIGITS_MAX 15 /* a double holds them exactly */

struct metric {
    const char *name;
    enum alert_unit unit;
    bool needs_calls;
    bool is_of_probe;
};

static const struct metric metrics[] = {
    [ALERT_P50] = {.name = "p50", .unit = ALERT_UNIT_NS, .needs_calls = true},
    [ALERT_P90] = {.name = "p90", .unit = ALERT_UNIT_NS, .needs_calls = true},
    [ALERT_P95] = {.name = "p95", .unit = ALERT_UNIT_NS, .needs_calls = true},
    [ALERT_P99] = {.name = "p99", .unit = ALERT_UNIT_NS, .needs_calls = true},
    [ALERT_P999] = {.name = "p99.9", .unit = ALERT_UNIT_NS, .needs_calls = true},
    [ALERT_MEAN] = {.name = "mean", .unit = ALERT_UNIT_NS, .needs_calls = true},
    [ALERT_MIN] = {.name = "min", .unit = ALERT_UNIT_NS, .needs_calls = true},
    [ALERT_MAX] = {.name = "max", .unit = ALERT_UNIT_NS, .needs_calls = true},
    [ALERT_RATE] = {.name = "rate", .unit = ALERT_UNIT_PER_S},
    [ALERT_COUNT] = {.name = "count", .unit = ALERT_UNIT_NUMBER},
    [ALERT_ERROR_RATIO] = {.name = "error_ratio", .unit = ALERT_UNIT_RATIO, .needs_calls = true},
    [ALERT_CONCURRENCY] = {.name = "concurrency", .unit = ALERT_UNIT_NUMBER},
    [ALERT_TIME_SHARE] = {.name = "time_share", .unit = ALERT_UNIT_RATIO, .needs_calls = true},
    [ALERT_OLDEST] = {.name = "oldest", .unit = ALERT_UNIT_NS, .is_of_probe = true},
    [ALERT_LIVE_BYTES] = {.name = "live_bytes", .unit = ALERT_UNIT_BYTES},
    [ALERT_LIVE_COUNT] = {.name = "live_count", .unit = ALERT_UNIT_NUMBER},
    [ALERT_GROWTH] = {.name = "growth", .unit = ALERT_UNIT_BYTES_PER_S},
    [ALERT_CACHE_HIT_RATIO] = {.name = "cache_hit_ratio",
                               .unit = ALERT_UNIT_RATIO,
                               .needs_calls = true},
    [ALERT_MEMORY] = {.name = "memory", .unit = ALERT_UNIT_BYTES},
    [ALERT_DRAIN] = {.name = "drain", .unit = ALERT_UNIT_NS},
    [ALERT_RETRIES] = {.name = "retries", .unit = ALERT_UNIT_NUMBER},
    [ALERT_LOSSES] = {.name = "losses", .unit = ALERT_UNIT_NUMBER},
};
static_assert(sizeof(metrics) / sizeof(metrics[0]) == ALERT_METRICS, "every metric has its entry");

static const struct {
    const char *name;
    const char *expected;
} units[] = {
    [ALERT_UNIT_NS] = {"ns", "a time, for example 200ms"},
    [ALERT_UNIT_RATIO] = {"ratio", "a share from 0% to 100%, for example 5%"},
    [ALERT_UNIT_PER_S] = {"per_s", "calls a second, for example 1000/s"},
    [ALERT_UNIT_BYTES] = {"bytes", "a size, for example 64MiB"},
    [ALERT_UNIT_BYTES_PER_S] = {"bytes_per_s", "bytes a second, for example 1MiB/s"},
    [ALERT_UNIT_NUMBER] = {"number", "a number, for example 20 or 0.5"},
};

int alert_metric_parse(const char *word, enum alert_metric *ret_metric)
{
    for (unsigned i = 0; i < ALERT_METRICS_OF_RULES; i++) {
        if (strcmp(metrics[i].name, word) == 0) {
            *ret_metric = (enum alert_metric)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *alert_metric_name(enum alert_metric metric)
{
    return metrics[metric].name;
}

enum alert_unit alert_metric_unit(enum alert_metric metric)
{
    return metrics[metric].unit;
}

const char *alert_unit_name(enum alert_unit unit)
{
    return units[unit].name;
}

bool alert_metric_needs_calls(enum alert_metric metric)
{
    return metrics[metric].needs_calls;
}

bool alert_metric_is_of_probe(enum alert_metric metric)
{
    return metrics[metric].is_of_probe;
}

double alert_metric_value(enum alert_metric metric, const struct alert_row *row)
{
    const struct derived *derived = &row->derived;
    switch (metric) {
    case ALERT_P50:
        return (double)derived->p50_ns;
    case ALERT_P90:
        return (double)derived->p90_ns;
    case ALERT_P95:
        return (double)derived->p95_ns;
    case ALERT_P99:
        return (double)derived->p99_ns;
    case ALERT_P999:
        return (double)derived->p999_ns;
    case ALERT_MEAN:
        return (double)derived->mean_ns;
    case ALERT_MIN:
        return (double)derived->min_ns;
    case ALERT_MAX:
        return (double)derived->max_ns;
    case ALERT_RATE:
        return derived->rate_per_s;
    case ALERT_COUNT:
        return (double)row->count;
    case ALERT_ERROR_RATIO:
        return derived->error_ratio;
    case ALERT_CONCURRENCY:
        return derived->concurrency;
    case ALERT_TIME_SHARE:
        return row->time_share;
    case ALERT_OLDEST:
        return (double)row->oldest_ns;
    default:
        return NAN; /* not of calls */
    }
}

/* DIGITS[.DIGITS] and then exactly the suffix. */
static int parse_decimal(const char *text, const char *suffix, double *ret_value)
{
    uint64_t digits = 0, scale = 1;
    unsigned count = 0;
    bool in_fraction = false;
    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !in_fraction && count > 0); text++) {
        if (*text == '.') {
            in_fraction = true;
            if (text[1] < '0' || text[1] > '9')
                return -EINVAL;
            continue;
        }
        if (++count > DIGITS_MAX)
            return -ERANGE;
        digits = digits * 10 + (uint64_t)(*text - '0');
        scale *= in_fraction ? 10 : 1;
    }
    while (count > 0 && *text == ' ')
        text++;
    if (count == 0 || strcmp(text, suffix) != 0)
        return -EINVAL;
    *ret_value = (double)digits / (double)scale;
    return 0;
}

/* A size and then "/s". */
static int parse_bytes_per_s(const char *text, uint64_t *ret_bytes)
{
    char size[32];
    size_t length = strlen(text);
    if (length < strlen("/s") || length >= sizeof(size) || strcmp(text + length - 2, "/s") != 0)
        return -EINVAL;
    memcpy(size, text, length - 2);
    size[length - 2] = '\0';
    return parse_bytes(size, ret_bytes);
}

int alert_metric_parse_value(enum alert_metric metric, const char *text, double *ret_value)
{
    uint64_t whole = 0;
    double value = 0;
    int r;
    switch (metrics[metric].unit) {
    case ALERT_UNIT_NS:
        r = parse_duration_ns(text, &whole);
        value = (double)whole;
        break;
    case ALERT_UNIT_BYTES:
        r = parse_bytes(text, &whole);
        value = (double)whole;
        break;
    case ALERT_UNIT_BYTES_PER_S:
        r = parse_bytes_per_s(text, &whole);
        value = (double)whole;
        break;
    case ALERT_UNIT_RATIO:
        r = parse_decimal(text, "%", &value);
        value /= 100;
        if (r == 0 && value > 1)
            r = -ERANGE;
        break;
    case ALERT_UNIT_PER_S:
        r = parse_decimal(text, "/s", &value);
        break;
    default:
        r = parse_decimal(text, "", &value);
        break;
    }
    if (r == 0)
        *ret_value = value;
    return r;
}

const char *alert_metric_expected(enum alert_metric metric)
{
    return units[metrics[metric].unit].expected;
}

void alert_metric_format_value(enum alert_metric metric, double value, char out[32])
{
    char number[16];
    switch (metrics[metric].unit) {
    case ALERT_UNIT_NS:
        format_duration((uint64_t)value, number);
        break;
    case ALERT_UNIT_BYTES:
    case ALERT_UNIT_BYTES_PER_S:
        format_bytes((uint64_t)value, number);
        break;
    default:
        format_count(metrics[metric].unit == ALERT_UNIT_RATIO ? 100 * value : value, number);
        break;
    }
    enum alert_unit unit = metrics[metric].unit;
    bool is_per_s = unit == ALERT_UNIT_PER_S || unit == ALERT_UNIT_BYTES_PER_S;
    const char *suffix = unit == ALERT_UNIT_RATIO ? " %" : is_per_s ? "/s" : "";
    snprintf(out, 32, "%s%s", number, suffix);
}

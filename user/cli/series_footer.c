/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The line below a table: what its numbers cover. */
#include <errno.h>
#include <string.h>

#include "cli/json_field.h"
#include "cli/series_view.h"

struct coverage {
    uint64_t calls;
    uint64_t not_attributed;
    uint64_t lost;
    uint64_t in_flight;
    uint64_t oldest_ns;
    double relative_error;
    double rank_error, count_error; /* the largest */
    double observed;                /* the least */
    double window_s;
    bool is_estimated;
    uint64_t waiting;
    json_t *lost_by_probe, *in_flight_by_probe, *waiting_by_probe;
};

/* Losses and open calls belong to a probe, and stand in each of its lines: counts them once. */
static void count_once(json_t *by_probe, const char *probe, uint64_t value, uint64_t *total)
{
    uint64_t known = json_field_u64(by_probe, probe);
    if (value <= known)
        return;
    *total += value - known;
    json_field_set_u64(by_probe, probe, value);
}

static double larger(double left, double right)
{
    return left > right ? left : right;
}

static void cover(struct coverage *coverage, const json_t *series)
{
    const char *probe = json_field_string(series, "probe");
    const char *kind = json_field_string(json_object_get(series, "group"), "kind");
    uint64_t count = json_field_u64(series, "count");
    uint64_t oldest_ns = json_field_u64(series, "oldest_ns");
    double relative_error = json_field_number(series, "relative_error");
    coverage->calls += count;
    if (strcmp(kind, "unattributed") == 0)
        coverage->not_attributed += count;
    count_once(coverage->lost_by_probe, probe, json_field_u64(series, "lost"), &coverage->lost);
    count_once(coverage->in_flight_by_probe, probe, json_field_u64(series, "in_flight"),
               &coverage->in_flight);
    count_once(coverage->waiting_by_probe, probe, json_field_u64(series, "waiting"),
               &coverage->waiting);
    if (oldest_ns > coverage->oldest_ns)
        coverage->oldest_ns = oldest_ns;
    double window_s = json_field_number(series, "window_s");
    if (window_s > coverage->window_s)
        coverage->window_s = window_s;
    if (relative_error > coverage->relative_error)
        coverage->relative_error = relative_error;
    coverage->rank_error = larger(coverage->rank_error, json_field_number(series, "rank_error"));
    coverage->count_error = larger(coverage->count_error, json_field_number(series, "count_error"));
    if (json_field_has(series, "observed") &&
        json_field_number(series, "observed") < coverage->observed)
        coverage->observed = json_field_number(series, "observed");
    coverage->is_estimated |= json_field_bool(series, "estimated");
}

/* " in 8.00 s", nothing when it is not known. */
static void format_window(double window_s, char out[32])
{
    char duration[16];
    out[0] = '\0';
    if (window_s <= 0)
        return;
    format_duration((uint64_t)(window_s * 1e9), duration);
    snprintf(out, 32, " in %s", duration);
}

static void print_calls(const struct coverage *coverage, size_t shown, uint64_t truncated,
                        struct text *out)
{
    char calls[32], all[32], number[32], window[32];
    const char *plural = coverage->calls == 1 ? "" : "s";
    series_view_format_exact(coverage->calls, calls);
    format_window(coverage->window_s, window);
    if (coverage->lost > 0) {
        series_view_format_exact(coverage->calls + coverage->lost, all);
        series_view_format_exact(coverage->lost, number);
        text_append_format(out, "covers %s of %s calls%s, %s were lost", calls, all, window,
                           number);
    } else if (coverage->waiting > 0 && coverage->observed >= 1 && truncated == 0) {
        series_view_format_exact(coverage->calls + coverage->waiting, all);
        series_view_format_exact(coverage->waiting, number);
        text_append_format(out,
                           "covers %s of %s calls%s, %s wait for a timed one to stand for them",
                           calls, all, window, number);
    } else if (truncated > 0 || coverage->calls == 1) {
        text_append_format(out, "covers %s call%s%s", calls, plural, window);
    } else {
        text_append_format(out, "%s %s calls%s",
                           coverage->observed < 1 ? "stands for" : "covers all", calls, window);
    }
    if (truncated > 0) {
        series_view_format_exact(shown, number);
        series_view_format_exact(truncated + shown, all);
        text_append_format(out, "; %s of %s lines", number, all);
    }
}

static void print_open_calls(const struct coverage *coverage, struct text *out)
{
    char number[32], age[16];
    if (coverage->in_flight == 0)
        return;
    series_view_format_exact(coverage->in_flight, number);
    text_append_format(out, "; %s in flight", number);
    if (coverage->oldest_ns == 0)
        return;
    format_duration(coverage->oldest_ns, age);
    text_append_format(out, " (oldest %s)", age);
}

static void print_estimated(const struct coverage *coverage, struct text *out)
{
    char percent[32];
    series_view_format_percent(coverage->rank_error, 2, percent);
    if (coverage->rank_error > 0)
        text_append_format(out, "; not every call was timed: ranks within %s", percent);
    series_view_format_percent(coverage->count_error, 2, percent);
    if (coverage->count_error > 0)
        text_append_format(out, "%s counts within %s", coverage->rank_error > 0 ? "," : ";",
                           percent);
    if (coverage->observed < 1)
        text_append_format(out, "; attached %.3g %% of the time", 100 * coverage->observed);
    if (!coverage->is_estimated || coverage->rank_error > 0 || coverage->count_error > 0)
        return;
    text_append_string(out, "; breakdown estimated");
    if (coverage->not_attributed == 0)
        return;
    double share = 100.0 * (double)coverage->not_attributed / (double)coverage->calls;
    if (share < 0.1)
        text_append_string(out, " (less than 0.1 % of calls counted in the kernel)");
    else
        text_append_format(out, " (%.*f %% of calls counted in the kernel)", share < 10.0, share);
}

void series_view_footer(const json_t *reply, struct text *out)
{
    const json_t *series = json_object_get(reply, "series");
    size_t count = json_array_size(series);
    uint64_t truncated = json_field_u64(reply, "truncated");
    _cleanup_json_ json_t *lost_by_probe = json_object();
    _cleanup_json_ json_t *in_flight_by_probe = json_object();
    _cleanup_json_ json_t *waiting_by_probe = json_object();
    if (!lost_by_probe || !in_flight_by_probe || !waiting_by_probe) {
        out->failed = -ENOMEM;
        return;
    }
    struct coverage coverage = {.lost_by_probe = lost_by_probe,
                                .in_flight_by_probe = in_flight_by_probe,
                                .waiting_by_probe = waiting_by_probe,
                                .observed = 1};
    for (size_t i = 0; i < count; i++)
        cover(&coverage, json_array_get(series, i));
    if (coverage.calls == 0 && coverage.lost == 0)
        text_append_string(out, "no calls");
    else
        print_calls(&coverage, count, truncated, out);
    if (coverage.calls > 0 && coverage.relative_error > 0.0)
        text_append_format(out, "; quantiles within %.2f %%", 100.0 * coverage.relative_error);
    print_open_calls(&coverage, out);
    print_estimated(&coverage, out);
    text_append(out, "\n", 1);
}

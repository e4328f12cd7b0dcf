/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert_cases.h"

#include <errno.h>

#include "alert/alert_template.h"

static void every_metric_is_found_by_its_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ALERT_METRICS_OF_RULES; i++) {
        enum alert_metric metric;
        assert_int_equal(alert_metric_parse(alert_metric_name((enum alert_metric)i), &metric), 0);
        assert_int_equal(metric, i);
    }
    enum alert_metric metric;
    assert_int_equal(alert_metric_parse("memory", &metric), -EINVAL); /* the agent's own */
    assert_int_equal(alert_metric_parse("", &metric), -EINVAL);
}

static void every_metric_reads_its_own_number(void **state)
{
    (void)state;
    const struct alert_row row = {
        .derived = {.p50_ns = 1,
                    .p90_ns = 2,
                    .p95_ns = 3,
                    .p99_ns = 4,
                    .p999_ns = 5,
                    .mean_ns = 6,
                    .min_ns = 7,
                    .max_ns = 8,
                    .rate_per_s = 9,
                    .error_ratio = 11,
                    .concurrency = 12},
        .count = 10,
        .time_share = 13,
        .oldest_ns = 14,
    };
    for (unsigned i = 0; i < ALERT_METRICS_OF_CALLS; i++)
        assert_true(alert_metric_value((enum alert_metric)i, &row) == i + 1);
}

static void assert_value(enum alert_metric metric, const char *text, double expected,
                         const char *formatted)
{
    double value = -1;
    char out[32];
    assert_int_equal(alert_metric_parse_value(metric, text, &value), 0);
    if (value < expected * (1 - 1e-12) || value > expected * (1 + 1e-12))
        fail_msg("%s is %g, not %g", text, value, expected);
    alert_metric_format_value(metric, value, out);
    assert_string_equal(out, formatted);
}

static void values_have_the_units_of_their_metric(void **state)
{
    (void)state;
    assert_value(ALERT_P99, "200ms", 200e6, "200 ms");
    assert_value(ALERT_MAX, "1.5s", 1.5e9, "1.50 s");
    assert_value(ALERT_ERROR_RATIO, "5%", 0.05, "5 %");
    assert_value(ALERT_ERROR_RATIO, "0.1 %", 0.001, "0.10 %");
    assert_value(ALERT_TIME_SHARE, "100%", 1, "100 %");
    assert_value(ALERT_RATE, "1000/s", 1000, "1.00 k/s");
    assert_value(ALERT_RATE, "0.5/s", 0.5, "0.50/s");
    assert_value(ALERT_CONCURRENCY, "2.5", 2.5, "2.50");
    assert_value(ALERT_COUNT, "0", 0, "0");
    assert_value(ALERT_LIVE_BYTES, "1GiB", 1073741824, "1.0 GiB");
    assert_value(ALERT_GROWTH, "1.5MiB/s", 1572864, "1.5 MiB/s");
    assert_value(ALERT_MEMORY, "64MiB", 67108864, "64.0 MiB");
}

static void refuses_values_of_other_units(void **state)
{
    (void)state;
    double value;
    static const char *const wrong[] = {"", "%", ".5%", "5.%", "5%%", "-5%", "5", "1e3%", "0x5%"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(alert_metric_parse_value(ALERT_ERROR_RATIO, wrong[i], &value), -EINVAL);
    assert_int_equal(alert_metric_parse_value(ALERT_ERROR_RATIO, "100.1%", &value), -ERANGE);
    assert_int_equal(alert_metric_parse_value(ALERT_COUNT, "9999999999999999", &value), -ERANGE);
    assert_int_equal(alert_metric_parse_value(ALERT_GROWTH, "1MiB", &value), -EINVAL);
    assert_int_equal(alert_metric_parse_value(ALERT_GROWTH, "/s", &value), -EINVAL);
    assert_int_equal(alert_metric_parse_value(ALERT_P99, "5%", &value), -EINVAL);
    assert_int_equal(alert_metric_parse_value(ALERT_RATE, "5 s", &value), -EINVAL);
    assert_int_equal(alert_metric_parse_value(ALERT_COUNT, "inf", &value), -EINVAL);
}

/* --- templates -------------------------------------------------------------------------------- */

static void assert_filled(const char *template, const char *expected)
{
    struct alert_rule rule = slow_rule("slow");
    assert_int_equal(alert_rule_add_label(&rule, "team", "db"), 0);
    const struct alert_template_values values = {
        .rule = &rule,
        .value = 312e6,
        .count = 40,
        .window_ns = 60 * S,
        .probe = "user:a:b",
        .group = "x[71]",
        .pid = 71,
        .comm = "x\n\x1b[31m",
        .unit = NULL,
    };
    size_t at = 0;
    struct diag diag;
    struct text out = {0};
    assert_int_equal(alert_template_check(&rule, template, &at, &diag), 0);
    alert_template_fill(template, &values, &out);
    assert_string_equal(out.length ? out.bytes : "", expected);
    text_done(&out);
    alert_rule_done(&rule);
}

static void fills_in_every_placeholder(void **state)
{
    (void)state;
    assert_filled("{alert} {severity} {metric} {value} {threshold} {count} {window}",
                  "slow warning p99 312 ms 200 ms 40 60.0 s");
    assert_filled("{probe}|{group}|{pid}|{labels.team}", "user:a:b|x[71]|71|db");
    assert_filled("{unit}", "");
    assert_filled("", "");
    assert_filled("{{value}} is {value}}}", "{value} is 312 ms}");
    assert_filled("{value}{value}", "312 ms312 ms");
}

static void a_strangers_name_cannot_break_out(void **state)
{
    (void)state;
    assert_filled("<{comm}>", "<x??[31m>");
}

static void says_where_a_template_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *template;
        size_t at;
        const char *why;
    } wrong[] = {
        {"ab {valu} c", 3, "unknown placeholder {valu}"},
        {"{labels.area}", 0, "no such label"},
        {"{labels.}", 0, "unknown placeholder"},
        {"{}", 0, "unknown placeholder {}"},
        {"{value", 0, "stands alone"},
        {"value}", 5, "stands alone"},
        {"{a{value}", 0, "stands alone"},
        {"{{{value}}", 9, "stands alone"},
    };
    struct alert_rule rule = slow_rule("slow");
    assert_int_equal(alert_rule_add_label(&rule, "team", "db"), 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        size_t at = 99;
        struct diag diag = {0};
        if (alert_template_check(&rule, wrong[i].template, &at, &diag) != -EINVAL ||
            at != wrong[i].at || !strstr(diag.what, wrong[i].why) || !diag.hint[0])
            fail_msg("%s: at %zu: %s", wrong[i].template, at, diag.what);
    }
    alert_rule_done(&rule);
}

/* --- identity --------------------------------------------------------------------------------- */

static void a_fingerprint_is_of_what_decides_not_of_what_is_said(void **state)
{
    (void)state;
    struct alert_rule rule = slow_rule("slow"), other = slow_rule("slow");
    uint64_t fingerprint = alert_rule_fingerprint(&rule);
    assert_int_equal(alert_rule_add_annotation(&other, "summary", "x"), 0);
    other.origin.line = 12;
    assert_int_equal(alert_rule_fingerprint(&other), fingerprint);
    /* Written down: state that was saved by this version must be found by the next. */
    assert_int_equal(fingerprint, 0xb1d03ca56329af71);
#define CHANGED(field, value)                                                                      \
    do {                                                                                           \
        struct alert_rule changed = slow_rule("slow");                                             \
        changed.field = value;                                                                     \
        assert_int_not_equal(alert_rule_fingerprint(&changed), fingerprint);                       \
    } while (0)
    CHANGED(metric, ALERT_P95);
    CHANGED(severity, ALERT_INFO);
    CHANGED(by, ALERT_BY_UNIT);
    CHANGED(is_below, true);
    CHANGED(threshold, 1);
    CHANGED(has_clear, true);
    CHANGED(for_ns, 1);
    CHANGED(keep_firing_ns, 1);
    CHANGED(window_ns, 1);
    CHANGED(min_count, 1);
    CHANGED(name[0], 'S');
    CHANGED(probe[0], 'U');
#undef CHANGED
    alert_rule_done(&other);
}

static void labels_are_part_of_the_identity_in_any_order(void **state)
{
    (void)state;
    struct alert_rule left = slow_rule("slow"), right = slow_rule("slow");
    assert_int_equal(alert_rule_add_label(&left, "b", "1"), 0);
    assert_int_equal(alert_rule_add_label(&left, "a", "2"), 0);
    assert_false(alert_rule_same_identity(&left, &right));
    assert_int_equal(alert_rule_add_label(&right, "a", "2"), 0);
    assert_int_equal(alert_rule_add_label(&right, "b", "1"), 0);
    assert_true(alert_rule_same_identity(&left, &right));
    assert_int_equal(alert_rule_fingerprint(&left), alert_rule_fingerprint(&right));
    assert_int_equal(alert_rule_add_label(&right, "b", "3"), -EEXIST);
    alert_rule_done(&left);
    alert_rule_done(&right);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_is_found_by_its_name),
        cmocka_unit_test(every_metric_reads_its_own_number),
        cmocka_unit_test(values_have_the_units_of_their_metric),
        cmocka_unit_test(refuses_values_of_other_units),
        cmocka_unit_test(fills_in_every_placeholder),
        cmocka_unit_test(a_strangers_name_cannot_break_out),
        cmocka_unit_test(says_where_a_template_is_wrong),
        cmocka_unit_test(a_fingerprint_is_of_what_decides_not_of_what_is_said),
        cmocka_unit_test(labels_are_part_of_the_identity_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

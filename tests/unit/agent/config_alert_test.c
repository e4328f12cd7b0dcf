/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config_folder.h"

#define RULE(more) "alerts:\n- {alert: slow, probe: syscall:read, metric: p99, " more "}\n"

static void reads_every_key_of_a_rule(void **state)
{
    _cleanup_(config_free_cleanup) struct config *config = load_text(*state, every_key);
    assert_int_equal(config->alerting.interval_ns, 1000000000);
    assert_int_equal(config->alerting.notice_interval_ns, 300000000000);
    assert_int_equal(config->alerting.history, 10);
    assert_false(config->alerting.self);
    assert_false(config->alerting.journal);
    assert_string_equal(config->alerting.file, "-");
    assert_string_equal(config->alerting.state, "");
    assert_int_equal(config->rules_count, 1);
    const struct alert_rule *rule = &config->rules[0];
    assert_string_equal(rule->name, "slow");
    assert_string_equal(rule->probe, "user:libpq.so.5:PQ*");
    assert_int_equal(rule->metric, ALERT_P999);
    assert_int_equal(rule->severity, ALERT_CRITICAL);
    assert_int_equal(rule->by, ALERT_BY_UNIT);
    assert_false(rule->is_below);
    assert_true(rule->has_clear);
    assert_true(rule->threshold == 200e6 && rule->clear == 150e6);
    assert_int_equal(rule->for_ns, 300000000000);
    assert_int_equal(rule->keep_firing_ns, 600000000000);
    assert_int_equal(rule->window_ns, 60000000000);
    assert_int_equal(rule->min_count, 20);
    assert_string_equal(rule->labels[0].name, "area");
    assert_string_equal(rule->labels[1].text, "db");
    assert_int_equal(config->alerting.layout, LINE_LAYOUT_ECS);
    assert_string_equal(rule->annotations[0].text,
                        "{probe} takes {value} in {unit}, {labels.team}");
    assert_int_equal(rule->origin.line, 31);
}

static void what_is_left_out_has_a_default(void **state)
{
    _cleanup_(config_free_cleanup) struct config *config = load_text(*state, RULE("below: 1us"));
    const struct alert_rule *rule = &config->rules[0];
    assert_int_equal(rule->severity, ALERT_WARNING);
    assert_int_equal(rule->by, ALERT_BY_NONE);
    assert_true(rule->is_below);
    assert_false(rule->has_clear);
    assert_int_equal(rule->for_ns + rule->keep_firing_ns + rule->window_ns + rule->min_count, 0);
    assert_true(config->alerting.self && config->alerting.journal);
    assert_int_equal(config->alerting.interval_ns, 10000000000);
    assert_string_equal(config->alerting.state, "/var/lib/loris/alerts.state");
    assert_string_equal(config->alerting.file, "");
}

static void refuses_incomplete_rules(void **state)
{
    assert_refused(*state, "alerts: {alert: x}\n", "1:9", "is not a list", "a list of rules");
    assert_refused(*state, "alerts: [x]\n", "1:10", "does not belong here", "alert:, probe:");
    assert_refused(*state, "alerts:\n- {probe: a, metric: p99, above: 1s}\n", "2:3",
                   "has no key alert:", "slow-queries");
    assert_refused(*state, "alerts:\n- {alert: a, metric: p99, above: 1s}\n", "2:3",
                   "has no key probe:", "PQexec");
    assert_refused(*state, "alerts:\n- {alert: a, probe: b, above: 1s}\n", "2:3",
                   "has no key metric:", "p99");
    assert_refused(*state, RULE("for: 1s"), "2:3", "has no key above:", "or below:");
    assert_refused(*state, RULE("abov: 1s"), "2:51", "unknown key abov", "did you mean above?");
    assert_refused(*state, "alerts:\n- {alert: loris-x, probe: b, metric: p99, above: 1s}\n",
                   "2:11", "is a name of the agent's own", "does not begin with loris-");
}

static void refuses_wrong_values_by_the_metrics_unit(void **state)
{
    assert_refused(*state, RULE("above: 200"), "2:58", "above: \"200\" is no value of p99",
                   "a time, for example 200ms");
    assert_refused(*state, RULE("above: 5%"), "2:58", "is no value of p99", "200ms");
    assert_refused(*state, RULE("above: 2s, below: 1s"), "2:62", "exclude each other", "one of");
#define METRIC(metric, limits) "alerts:\n- {alert: a, probe: b, metric: " metric ", " limits "}\n"
    assert_refused(*state, METRIC("p98", "above: 1s"), "2:32", "\"p98\" is not a metric", "p99.9");
    assert_refused(*state, METRIC("memory", "above: 1MB"), "2:32", "is not a metric", "oldest");
    assert_refused(*state, METRIC("error_ratio", "above: 101%"), "2:52", "is out of range", "100%");
    assert_refused(*state, METRIC("error_ratio", "above: 0.05"), "2:52", "no value of error_ratio",
                   "5%");
    assert_refused(*state, METRIC("rate", "below: 1000"), "2:45", "no value of rate", "1000/s");
    assert_refused(*state, METRIC("count", "above: 1/s"), "2:46", "no value of count", "20 or 0.5");
    assert_refused(*state, METRIC("oldest", "above: 1s, by: unit"), "2:55",
                   "oldest is not known by unit", "by: none");
#undef METRIC
}

static void refuses_a_clear_on_the_wrong_side(void **state)
{
    assert_refused(*state, RULE("above: 1s, clear: 2s"), "2:69", "is on the wrong side",
                   "below that of above:");
    assert_refused(*state, RULE("above: 1s, clear: 1s"), "2:69", "is on the wrong side", "below");
    assert_refused(*state, RULE("below: 1s, clear: 900ms"), "2:69", "is on the wrong side",
                   "above that of below:");
}

static void refuses_other_wrong_keys(void **state)
{
    assert_refused(*state, RULE("above: 1s, severity: page"), "2:72", "is not a severity", "info");
    assert_refused(*state, RULE("above: 1s, by: pod"), "2:66", "is not a grouping", "unit or none");
    assert_refused(*state, RULE("above: 1s, min_count: 0"), "2:73", "is out of range", "20");
    assert_refused(*state, RULE("above: 1s, window: 5m"), "2:3", "looks back longer than",
                   "60.0 s");
    assert_refused(*state, RULE("above: 1s, for: 5"), "2:67", "is not understood", "5m");
    assert_refused(*state, RULE("above: 1s, labels: [a]"), "2:70", "does not belong", "team");
    assert_refused(*state, RULE("above: 1s, labels: {9a: b}"), "2:71", "9a is not a name",
                   "letters");
    assert_refused(*state, "alerting: {file: alerts}\n", "1:18", "is not an absolute path",
                   "stdout");
    assert_refused(*state, "alerting: {state: \"-\"}\n", "1:19", "is not an absolute path", "none");
    assert_refused(*state, "alerting: {interval: 1ms}\n", "1:22", "is out of range", "100ms");
    assert_refused(*state, "alerting: {sef: true}\n", "1:12", "unknown key sef", "self?");
}

static void points_at_the_placeholder_that_is_wrong(void **state)
{
    assert_refused(*state, RULE("above: 1s, annotations: {a: \"now {valeu}\"}"), "2:84",
                   "a: unknown placeholder {valeu}", "alert, severity, metric, value");
    assert_refused(*state, RULE("above: 1s, annotations: {a: \"é {labels.x}\"}"), "2:82",
                   "{labels.x}: the rule has no such label", "labels:");
    assert_refused(*state, RULE("above: 1s, annotations: {a: \"50 } or\"}"), "2:83",
                   "a brace stands alone", "{{ and }}");
    assert_refused(*state, RULE("above: 1s, annotations: {a: \"{value\"}"), "2:80",
                   "a brace stands alone", "{value}");
}

static void names_both_places_of_a_rule_that_is_there_twice(void **state)
{
    const struct folder *folder = *state;
    make_conf_d(folder);
    write_file(folder, "loris.yaml", "\n" RULE("above: 1s, labels: {a: b}"));
    write_file(folder, "conf.d/x.yaml", RULE("below: 2s, labels: {a: b}"));
    struct diag diag;
    assert_int_equal(refused(folder, &diag), -EINVAL);
    assert_non_null(strstr(diag.what, "/conf.d/x.yaml:2:3: slow is there already"));
    assert_non_null(strstr(diag.hint, "loris.yaml:3;"));

    /* another severity or label is another rule */
    write_file(folder, "conf.d/x.yaml", RULE("above: 2s, severity: critical, labels: {a: b}"));
    config_free(load(folder));
    write_file(folder, "conf.d/x.yaml", RULE("above: 2s"));
    config_free(load(folder));
}

static void refuses_more_rules_than_it_looks_at(void **state)
{
    static char big[ALERT_RULES_MAX * 80];
    size_t at = (size_t)sprintf(big, "alerts:\n");
    for (unsigned i = 0; i < ALERT_RULES_MAX; i++)
        at += (size_t)sprintf(big + at, "- {alert: r%u, probe: b, metric: p50, above: 1s}\n", i);
    config_free(load_text(*state, big));
    sprintf(big + at, "- {alert: x, probe: b, metric: p50, above: 1s}\n");
    assert_refused(*state, big, "514:3", "one rule too many", "at most 512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(reads_every_key_of_a_rule),
        IN_FOLDER(what_is_left_out_has_a_default),
        IN_FOLDER(refuses_incomplete_rules),
        IN_FOLDER(refuses_wrong_values_by_the_metrics_unit),
        IN_FOLDER(refuses_a_clear_on_the_wrong_side),
        IN_FOLDER(refuses_other_wrong_keys),
        IN_FOLDER(points_at_the_placeholder_that_is_wrong),
        IN_FOLDER(names_both_places_of_a_rule_that_is_there_twice),
        IN_FOLDER(refuses_more_rules_than_it_looks_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/config_alert.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "agent/config_target.h"
#include "alert/alert_template.h"

#define MS  1000000ull
#define S   (1000 * MS)
#define MIN (60 * S)
#define H   (60 * MIN)
#define D   (24 * H)

#define METRIC_EXPECTED                                                                            \
    "p50, p90, p95, p99, p99.9, mean, min, max, rate, count, error_ratio, concurrency, "           \
    "time_share, oldest, live_bytes, live_count or growth"
#define RULE_EXPECTED                                                                              \
    "a mapping with alert:, probe:, metric:, and above: or below:; see alerts in loris.yaml"
#define LABEL_NAME_EXPECTED "letters, digits and _, at most 63, not beginning with a digit"

/* --- alerting: -------------------------------------------------------------------------------- */

static int read_file(struct config_reader *reader, const struct config_yaml_node *node, void *into)
{
    struct config_alerting *alerting = into;
    return config_value_none_or_lines(reader, node, alerting->file, sizeof(alerting->file));
}

static int read_state(struct config_reader *reader, const struct config_yaml_node *node, void *into)
{
    struct config_alerting *alerting = into;
    return config_value_none_or_path(reader, node, alerting->state, sizeof(alerting->state),
                                     "an absolute path, for example " CONFIG_ALERT_STATE
                                     ", or none");
}

static int read_layout(struct config_reader *reader, const struct config_yaml_node *node,
                       void *into)
{
    struct config_alerting *alerting = into;
    return config_value_layout(reader, node, &alerting->layout);
}

#define SETTING(name) .offset = offsetof(struct config_alerting, name)

static const struct config_key alerting_keys[] = {
    {"interval", CONFIG_VALUE_DURATION, SETTING(interval_ns), .min = 100 * MS, .max = H,
     .expected = "a time from 100ms to 1h, for example 10s"},
    {"notice_interval", CONFIG_VALUE_DURATION, SETTING(notice_interval_ns), .min = 0, .max = D,
     .expected = "a time from 0s to 1d, for example 1m"},
    {"history", CONFIG_VALUE_COUNT, SETTING(history), .min = 1, .max = 1000,
     .expected = "a number of changes from 1 to 1000"},
    {"self", CONFIG_VALUE_BOOL, SETTING(self), .expected = "true or false"},
    {"journal", CONFIG_VALUE_BOOL, SETTING(journal), .expected = "true or false"},
    {"file", CONFIG_VALUE_CUSTOM, .read = read_file},
    {"layout", CONFIG_VALUE_CUSTOM, .read = read_layout},
    {"state", CONFIG_VALUE_CUSTOM, .read = read_state},
    {.name = NULL},
};

int config_alert_read_settings(struct config_reader *reader, const struct config_yaml_node *node,
                               void *into)
{
    struct config *config = into;
    return config_value_read_mapping(reader, node, alerting_keys, &config->alerting);
}

/* --- one rule --------------------------------------------------------------------------------- */

/* Keys whose meaning depends on others are read when all are there. */
static int read_later(struct config_reader *reader, const struct config_yaml_node *node, void *into)
{
    (void)reader;
    (void)node;
    (void)into;
    return 0;
}

static const struct config_yaml_node *find_key(const struct config_yaml_node *rule, const char *key)
{
    const struct config_yaml_node *child = rule->first_child;
    while (child && strcmp(child->key, key) != 0)
        child = child->next;
    return child;
}

static int read_metric(struct config_reader *reader, const struct config_yaml_node *node,
                       void *into)
{
    struct alert_rule *rule = into;
    const char *text = NULL;
    int r = config_value_scalar(reader, node, METRIC_EXPECTED, &text);
    if (r < 0)
        return r;
    if (alert_metric_parse(text, &rule->metric) < 0)
        return config_value_error(reader, node, "is not a metric", METRIC_EXPECTED);
    return 0;
}

static int read_severity(struct config_reader *reader, const struct config_yaml_node *node,
                         void *into)
{
    struct alert_rule *rule = into;
    const char *text = NULL, *expected = "info, warning or critical";
    int r = config_value_scalar(reader, node, expected, &text);
    if (r < 0)
        return r;
    if (alert_severity_parse(text, &rule->severity) < 0)
        return config_value_error(reader, node, "is not a severity", expected);
    return 0;
}

static int read_by(struct config_reader *reader, const struct config_yaml_node *node, void *into)
{
    struct alert_rule *rule = into;
    const char *text = NULL, *expected = "process, unit or none";
    int r = config_value_scalar(reader, node, expected, &text);
    if (r < 0)
        return r;
    if (alert_by_parse(text, &rule->by) < 0)
        return config_value_error(reader, node, "is not a grouping", expected);
    return 0;
}

#define FIELD(name) .offset = offsetof(struct alert_rule, name)

static const struct config_key rule_keys[] = {
    {"alert", CONFIG_VALUE_TEXT, FIELD(name), .max = ALERT_NAME_BYTES,
     .expected = "a name of at most 127 bytes, for example slow-queries"},
    {"probe", CONFIG_VALUE_TEXT, FIELD(probe), .max = ALERT_PROBE_BYTES,
     .expected = "a probe or a glob, for example user:libpq.so.5:PQexec"},
    {"metric", CONFIG_VALUE_CUSTOM, .read = read_metric},
    {"above", CONFIG_VALUE_CUSTOM, .read = read_later},
    {"below", CONFIG_VALUE_CUSTOM, .read = read_later},
    {"clear", CONFIG_VALUE_CUSTOM, .read = read_later},
    {"for", CONFIG_VALUE_DURATION, FIELD(for_ns), .max = 30 * D,
     .expected = "a time from 0s to 30d, for example 5m"},
    {"keep_firing_for", CONFIG_VALUE_DURATION, FIELD(keep_firing_ns), .max = 30 * D,
     .expected = "a time from 0s to 30d, for example 5m"},
    {"min_count", CONFIG_VALUE_COUNT, FIELD(min_count), .min = 1, .max = 1000000000,
     .expected = "a number of calls, for example 20"},
    {"window", CONFIG_VALUE_DURATION, FIELD(window_ns), .min = S, .max = D,
     .expected = "a time from 1s up to slices times length of window:, for example 1m"},
    {"by", CONFIG_VALUE_CUSTOM, .read = read_by},
    {"severity", CONFIG_VALUE_CUSTOM, .read = read_severity},
    {"labels", CONFIG_VALUE_CUSTOM, .read = read_later},
    {"annotations", CONFIG_VALUE_CUSTOM, .read = read_later},
    {.name = NULL},
};

static int missing(struct config_reader *reader, const struct config_yaml_node *node,
                   const char *key, const char *example)
{
    int r =
        config_yaml_error(reader->diag, reader->file, node->place, "the rule has no key %s:", key);
    diag_hint(reader->diag, "expected %s: for example %s", key, example);
    return r;
}

static int read_limit(struct config_reader *reader, const struct config_yaml_node *node,
                      const struct alert_rule *rule, double *value)
{
    const char *text = NULL, *expected = alert_metric_expected(rule->metric);
    int r = config_value_scalar(reader, node, expected, &text);
    if (r < 0)
        return r;
    r = alert_metric_parse_value(rule->metric, text, value);
    if (r == -ERANGE)
        return config_value_error(reader, node, "is out of range", expected);
    if (r < 0) {
        char problem[64];
        snprintf(problem, sizeof(problem), "is no value of %s", alert_metric_name(rule->metric));
        return config_value_error(reader, node, problem, expected);
    }
    return 0;
}

static int read_limits(struct config_reader *reader, const struct config_yaml_node *node,
                       struct alert_rule *rule)
{
    const struct config_yaml_node *above = find_key(node, "above");
    const struct config_yaml_node *below = find_key(node, "below");
    const struct config_yaml_node *clear = find_key(node, "clear");
    if (!above && !below)
        return missing(reader, node, "above", "above: 200ms, or below:");
    if (above && below) {
        int r = config_yaml_error(reader->diag, reader->file, below->key_place,
                                  "above: and below: exclude each other");
        diag_hint(reader->diag, "expected one of them; two rules can watch both sides");
        return r;
    }
    rule->is_below = below;
    rule->has_clear = clear;
    int r = read_limit(reader, above ? above : below, rule, &rule->threshold);
    if (r == 0 && clear)
        r = read_limit(reader, clear, rule, &rule->clear);
    if (r < 0)
        return r;
    if (!alert_rule_clear_fits(rule))
        return config_value_error(reader, clear, "is on the wrong side",
                                  rule->is_below ? "a value above that of below:"
                                                 : "a value below that of above:");
    return 0;
}

static bool is_label_name(const char *name)
{
    size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
    return name[length] == '\0' && length > 0 && length < ALERT_LABEL_BYTES &&
           !(name[0] >= '0' && name[0] <= '9');
}

/* Name and text of one label or annotation. */
static int read_pair(struct config_reader *reader, const struct config_yaml_node *node,
                     size_t text_max, const char **ret_text)
{
    if (!is_label_name(node->key)) {
        int r = config_yaml_error(reader->diag, reader->file, node->key_place,
                                  "%.80s is not a name of a label or annotation", node->key);
        diag_hint(reader->diag, "expected " LABEL_NAME_EXPECTED);
        return r;
    }
    char expected[32];
    snprintf(expected, sizeof(expected), "a text below %zu bytes", text_max);
    int r = config_value_scalar(reader, node, expected, ret_text);
    if (r < 0)
        return r;
    return strlen(*ret_text) < text_max ? 0
                                        : config_value_error(reader, node, "is too long", expected);
}

static int pair_error(struct config_reader *reader, const struct config_yaml_node *node, int error,
                      unsigned max)
{
    if (error == -ENOMEM)
        return diag_set(reader->diag, ENOMEM, "not enough memory for the rules");
    int r = config_yaml_error(reader->diag, reader->file, node->key_place, "%.60s is one too many",
                              node->key);
    diag_hint(reader->diag, "at most %u in one rule", max);
    return r;
}

static int read_labels(struct config_reader *reader, const struct config_yaml_node *labels,
                       struct alert_rule *rule)
{
    if (labels && labels->kind != CONFIG_YAML_MAPPING)
        return config_value_error(reader, labels, "does not belong here",
                                  "a mapping of names to texts, for example {team: storage}");
    for (const struct config_yaml_node *node = labels ? labels->first_child : NULL; node;
         node = node->next) {
        const char *text = NULL;
        int r = read_pair(reader, node, ALERT_LABEL_TEXT_BYTES, &text);
        if (r < 0)
            return r;
        r = alert_rule_add_label(rule, node->key, text);
        if (r < 0)
            return pair_error(reader, node, r, ALERT_LABELS_MAX);
    }
    return 0;
}

/* Where in the file byte `at` of a text stands. Of one on several lines, or with escapes, its
 * beginning has to do. */
static struct config_yaml_place place_within(const struct config_yaml_node *node, size_t at)
{
    struct config_yaml_place place = node->place;
    if (strpbrk(node->text, "\n\\\"'"))
        return place;
    place.column += !node->plain;
    for (size_t i = 0; i < at; i++)
        place.column += ((unsigned char)node->text[i] & 0xc0) != 0x80;
    return place;
}

static int read_annotations(struct config_reader *reader,
                            const struct config_yaml_node *annotations, struct alert_rule *rule)
{
    if (annotations && annotations->kind != CONFIG_YAML_MAPPING)
        return config_value_error(
            reader, annotations, "does not belong here",
            "a mapping of names to texts, for example {summary: \"{probe} takes {value}\"}");
    for (const struct config_yaml_node *node = annotations ? annotations->first_child : NULL; node;
         node = node->next) {
        const char *text = NULL;
        int r = read_pair(reader, node, ALERT_TEXT_BYTES, &text);
        if (r < 0)
            return r;
        struct diag why = {0};
        size_t at = 0;
        if (alert_template_check(rule, text, &at, &why)) {
            r = config_yaml_error(reader->diag, reader->file, place_within(node, at), "%.60s: %s",
                                  node->key, why.what);
            diag_hint(reader->diag, "%s", why.hint);
            return r;
        }
        r = alert_rule_add_annotation(rule, node->key, text);
        if (r < 0)
            return pair_error(reader, node, r, ALERT_ANNOTATIONS_MAX);
    }
    return 0;
}

static int read_rule(struct config_reader *reader, const struct config_yaml_node *node,
                     struct alert_rule *rule)
{
    if (node->kind != CONFIG_YAML_MAPPING)
        return config_value_error(reader, node, "does not belong here", RULE_EXPECTED);
    int r = config_value_read_mapping(reader, node, rule_keys, rule);
    if (r < 0)
        return r;
    if (!rule->name[0])
        return missing(reader, node, "alert", "alert: slow-queries");
    if (!rule->probe[0])
        return missing(reader, node, "probe", "probe: user:libpq.so.5:PQexec");
    if (strncmp(rule->name, ALERT_OWN_PREFIX, strlen(ALERT_OWN_PREFIX)) == 0)
        return config_value_error(reader, find_key(node, "alert"), "is a name of the agent's own",
                                  "a name that does not begin with " ALERT_OWN_PREFIX);
    const struct config_yaml_node *by = find_key(node, "by");
    if (!find_key(node, "metric"))
        return missing(reader, node, "metric", "metric: p99");
    if (by && rule->by != ALERT_BY_NONE && alert_metric_is_of_probe(rule->metric)) {
        r = config_yaml_error(reader->diag, reader->file, by->place, "%s is not known by %s",
                              alert_metric_name(rule->metric), by->text);
        diag_hint(reader->diag, "expected by: none, which is the default");
        return r;
    }
    r = read_limits(reader, node, rule);
    if (r == 0)
        r = read_labels(reader, find_key(node, "labels"), rule);
    return r < 0 ? r : read_annotations(reader, find_key(node, "annotations"), rule);
}

/* --- alerts: ---------------------------------------------------------------------------------- */

/* Takes what the rule owns. */
static int add_rule(struct config_reader *reader, const struct config_yaml_node *node,
                    struct config *config, struct alert_rule *rule)
{
    const struct config_target_origin *origin = reader->context;
    for (size_t i = 0; i < config->rules_count; i++) {
        const struct alert_rule *first = &config->rules[i];
        if (!alert_rule_same_identity(first, rule))
            continue;
        if (origin->preset && first->origin.file != origin->file)
            return 0; /* the operator's own, or an earlier preset's, stays */
        int r = config_yaml_error(reader->diag, reader->file, node->place,
                                  "%.127s is there already, with the same severity and labels",
                                  rule->name);
        diag_hint(reader->diag, "the first is in %.300s:%u; give one another name or label",
                  config->files[first->origin.file], first->origin.line);
        return r;
    }
    if (config->rules_count == ALERT_RULES_MAX) {
        int r = config_yaml_error(reader->diag, reader->file, node->place, "one rule too many");
        diag_hint(reader->diag, "at most %d; a glob in probe: stands for many probes",
                  ALERT_RULES_MAX);
        return r;
    }
    struct alert_rule *grown = reallocarray(config->rules, config->rules_count + 1, sizeof(*grown));
    if (!grown)
        return diag_set(reader->diag, ENOMEM, "not enough memory for the rules");
    config->rules = grown;
    config->rules[config->rules_count++] = *rule;
    *rule = (struct alert_rule){0};
    return 0;
}

int config_alert_read_list(struct config_reader *reader, const struct config_yaml_node *node,
                           void *into)
{
    struct config *config = into;
    const struct config_target_origin *origin = reader->context;
    if (node->kind != CONFIG_YAML_LIST)
        return config_value_error(reader, node, "is not a list",
                                  "a list of rules, each " RULE_EXPECTED);
    int r = 0;
    for (const struct config_yaml_node *item = node->first_child; item && r == 0;
         item = item->next) {
        _cleanup_(alert_rule_done) struct alert_rule rule = {
            .severity = ALERT_WARNING,
            .by = ALERT_BY_NONE,
            .origin = {origin->file, item->place.line, item->place.column},
        };
        r = read_rule(reader, item, &rule);
        if (r == 0)
            r = add_rule(reader, item, config, &rule);
    }
    return r;
}

int config_alert_check(const struct config *config, struct diag *reterr_diag)
{
    uint64_t longest_ns = config->window_slices * config->window_slice_ns;
    for (size_t i = 0; i < config->rules_count; i++) {
        const struct alert_rule *rule = &config->rules[i];
        if (rule->window_ns <= longest_ns)
            continue;
        char longest[16];
        format_duration(longest_ns, longest);
        int r =
            config_yaml_error(reterr_diag, config->files[rule->origin.file],
                              (struct config_yaml_place){rule->origin.line, rule->origin.column},
                              "%.127s looks back longer than the agent remembers", rule->name);
        diag_hint(reterr_diag, "window: of a rule is at most slices times length of window: %s",
                  longest);
        return r;
    }
    return 0;
}

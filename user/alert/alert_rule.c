/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert/alert_rule.h"

#include <errno.h>
#include <string.h>

#include "base/hash.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const severity_names[] = {
    [ALERT_INFO] = "info",
    [ALERT_WARNING] = "warning",
    [ALERT_CRITICAL] = "critical",
};

static const char *const by_names[] = {
    [ALERT_BY_PROCESS] = "process",
    [ALERT_BY_UNIT] = "unit",
    [ALERT_BY_NONE] = "none",
};

static int index_of(const char *const *names, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], word) == 0)
            return (int)i;
    return -EINVAL;
}

int alert_severity_parse(const char *word, enum alert_severity *ret_severity)
{
    int found = index_of(severity_names, COUNT(severity_names), word);
    if (found < 0)
        return found;
    *ret_severity = (enum alert_severity)found;
    return 0;
}

const char *alert_severity_name(enum alert_severity severity)
{
    return severity_names[severity];
}

int alert_by_parse(const char *word, enum alert_by *ret_by)
{
    int found = index_of(by_names, COUNT(by_names), word);
    if (found < 0)
        return found;
    *ret_by = (enum alert_by)found;
    return 0;
}

static void free_pairs(struct alert_pair *pairs, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        free(pairs[i].name);
        free(pairs[i].text);
    }
    *count = 0;
}

void alert_rule_done(struct alert_rule *rule)
{
    free_pairs(rule->labels, &rule->labels_count);
    free_pairs(rule->annotations, &rule->annotations_count);
}

/* At that place of the array, behind which there is room. */
static int insert_pair(struct alert_pair *pairs, size_t *count, size_t at, const char *name,
                       const char *text)
{
    _cleanup_free_ char *own_name = strdup(name);
    _cleanup_free_ char *own_text = strdup(text);
    if (!own_name || !own_text)
        return -ENOMEM;
    memmove(&pairs[at + 1], &pairs[at], (*count - at) * sizeof(pairs[0]));
    pairs[at] = (struct alert_pair){take_ptr(own_name), take_ptr(own_text)};
    ++*count;
    return 0;
}

int alert_rule_add_label(struct alert_rule *rule, const char *name, const char *text)
{
    size_t at = 0;
    while (at < rule->labels_count && strcmp(rule->labels[at].name, name) < 0)
        at++;
    if (at < rule->labels_count && strcmp(rule->labels[at].name, name) == 0)
        return -EEXIST;
    if (rule->labels_count == ALERT_LABELS_MAX)
        return -ENOSPC;
    return insert_pair(rule->labels, &rule->labels_count, at, name, text);
}

int alert_rule_add_annotation(struct alert_rule *rule, const char *name, const char *text)
{
    for (size_t i = 0; i < rule->annotations_count; i++)
        if (strcmp(rule->annotations[i].name, name) == 0)
            return -EEXIST;
    if (rule->annotations_count == ALERT_ANNOTATIONS_MAX)
        return -ENOSPC;
    return insert_pair(rule->annotations, &rule->annotations_count, rule->annotations_count, name,
                       text);
}

bool alert_rule_same_identity(const struct alert_rule *left, const struct alert_rule *right)
{
    if (strcmp(left->name, right->name) != 0 || left->severity != right->severity ||
        left->labels_count != right->labels_count)
        return false;
    for (size_t i = 0; i < left->labels_count; i++)
        if (strcmp(left->labels[i].name, right->labels[i].name) != 0 ||
            strcmp(left->labels[i].text, right->labels[i].text) != 0)
            return false;
    return true;
}

static uint64_t mix_text(uint64_t hash, const char *text)
{
    return hash_bytes(text, strlen(text) + 1, hash);
}

uint64_t alert_rule_fingerprint(const struct alert_rule *rule)
{
    const struct {
        uint64_t words[8];
        double limits[2];
    } condition = {
        .words = {rule->severity, rule->by, rule->is_below, rule->has_clear, rule->for_ns,
                  rule->keep_firing_ns, rule->window_ns, rule->min_count},
        .limits = {rule->threshold, rule->has_clear ? rule->clear : 0},
    };
    uint64_t hash = hash_bytes(&condition, sizeof(condition), 0);
    hash = mix_text(hash, rule->name);
    hash = mix_text(hash, rule->probe);
    hash = mix_text(hash, alert_metric_name(rule->metric));
    for (size_t i = 0; i < rule->labels_count; i++)
        hash = mix_text(mix_text(hash, rule->labels[i].name), rule->labels[i].text);
    return hash;
}

bool alert_rule_holds(const struct alert_rule *rule, double value, bool is_firing)
{
    double limit = is_firing && rule->has_clear ? rule->clear : rule->threshold;
    return rule->is_below ? value < limit : value > limit;
}

bool alert_rule_clear_fits(const struct alert_rule *rule)
{
    return !rule->has_clear ||
           (rule->is_below ? rule->clear > rule->threshold : rule->clear < rule->threshold);
}

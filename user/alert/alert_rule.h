/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One alert rule: a condition on a metric of a probe, how long, how bad, and what to say. */
#pragma once

#include <stddef.h>

#include "alert/alert_metric.h"

#define ALERT_NAME_BYTES       128
#define ALERT_PROBE_BYTES      512
#define ALERT_LABEL_BYTES      64  /* of its name */
#define ALERT_LABEL_TEXT_BYTES 256 /* of its value */
#define ALERT_TEXT_BYTES       1024
#define ALERT_LABELS_MAX       16
#define ALERT_ANNOTATIONS_MAX  8
#define ALERT_OWN_PREFIX       "loris-" /* names of the agent's own rules */
#define ALERT_RULES_MAX        512

enum alert_severity {
    ALERT_INFO,
    ALERT_WARNING,
    ALERT_CRITICAL,
};

/* Whom one alert of the rule is about. */
enum alert_by {
    ALERT_BY_PROCESS,
    ALERT_BY_UNIT,
    ALERT_BY_NONE,
};

struct alert_pair {
    char *name;
    char *text;
};

/* Where it was written; file is an index of whoever read it. Line 0: built in. */
struct alert_origin {
    uint32_t file;
    uint32_t line;
    uint32_t column;
};

struct alert_rule {
    char name[ALERT_NAME_BYTES];
    char probe[ALERT_PROBE_BYTES]; /* glob over probe names */
    enum alert_metric metric;
    enum alert_severity severity;
    enum alert_by by;
    bool is_below;    /* true below the threshold, else above; at it: neither */
    bool has_clear;   /* of a firing alert, the condition holds up to there */
    double threshold; /* in the metric's unit */
    double clear;
    uint64_t for_ns;
    uint64_t keep_firing_ns;
    uint64_t window_ns;                         /* 0: the agent's */
    uint64_t min_count;                         /* fewer calls say nothing */
    struct alert_pair labels[ALERT_LABELS_MAX]; /* by name, ascending; owned */
    size_t labels_count;
    struct alert_pair annotations[ALERT_ANNOTATIONS_MAX]; /* as written; owned */
    size_t annotations_count;
    struct alert_origin origin;
};

/* Frees what the rule owns. */
void alert_rule_done(struct alert_rule *rule);
/* Copies name and text into the next free place, labels in order. -EEXIST, -ENOSPC, -ENOMEM */
int alert_rule_add_label(struct alert_rule *rule, const char *name, const char *text) _must_check_;
int alert_rule_add_annotation(struct alert_rule *rule, const char *name,
                              const char *text) _must_check_;

/* Same name, severity and labels: whoever receives the alerts could not tell them apart. */
bool alert_rule_same_identity(const struct alert_rule *left, const struct alert_rule *right);
/* Of identity and condition: rules of one fingerprint share their state, across a reload and a
 * restart. What is said (annotations) and where it was written do not count. */
uint64_t alert_rule_fingerprint(const struct alert_rule *rule);

/* Does the value meet the condition? A firing alert has its own threshold: `clear`. */
bool alert_rule_holds(const struct alert_rule *rule, double value, bool is_firing);
/* clear lies where the condition does not hold. */
bool alert_rule_clear_fits(const struct alert_rule *rule);

/* "info", "warning", "critical"; "process", "unit", "none". -EINVAL */
int alert_severity_parse(const char *word, enum alert_severity *ret_severity) _must_check_;
const char *alert_severity_name(enum alert_severity severity);
int alert_by_parse(const char *word, enum alert_by *ret_by) _must_check_;

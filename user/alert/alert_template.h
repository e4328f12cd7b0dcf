/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Annotations: text with {placeholders}, which are filled in with what an alert knows. */
#pragma once

#include "alert/alert_rule.h"
#include "base/diag.h"
#include "base/text.h"

/*
 * {alert} {severity} {metric} {value} {threshold} {count} {window} {probe} {group} {pid} {comm}
 * {unit} {labels.NAME}; {{ and }} are braces. value and threshold come with their unit; unit is the
 * systemd unit; what does not apply is empty.
 */

/* What stands for them. Strings may be NULL: empty. */
struct alert_template_values {
    const struct alert_rule *rule;
    double value;
    uint64_t count;
    uint64_t window_ns;
    const char *probe;
    const char *group;
    uint32_t pid;
    const char *comm;
    const char *unit;
};

/* Every placeholder is known, and its label there. -EINVAL: not, or a brace stands alone;
 * reterr_at: where, in bytes from the start. */
int alert_template_check(const struct alert_rule *rule, const char *text, size_t *reterr_at,
                         struct diag *reterr_diag) _must_check_;
/* Of a text that was checked. What strangers chose (comm, probe, unit) is sanitized. */
void alert_template_fill(const char *text, const struct alert_template_values *values,
                         struct text *out);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert/alert_template.h"

#include <errno.h>
#include <string.h>

#define LABEL_PREFIX "labels."

enum placeholder {
    ALERT,
    SEVERITY,
    METRIC,
    VALUE,
    THRESHOLD,
    COUNT,
    WINDOW,
    PROBE,
    GROUP,
    PID,
    COMM,
    UNIT,
    PLACEHOLDERS,
    LABEL, /* labels.NAME */
};

static const char *const names[PLACEHOLDERS] = {
    [ALERT] = "alert",   [SEVERITY] = "severity", [METRIC] = "metric",
    [VALUE] = "value",   [COUNT] = "count",       [THRESHOLD] = "threshold",
    [WINDOW] = "window", [PROBE] = "probe",       [GROUP] = "group",
    [PID] = "pid",       [COMM] = "comm",         [UNIT] = "unit",
};

/* The next piece of a template: text, or a placeholder. */
struct piece {
    const char *bytes;
    size_t length;
    bool is_placeholder;
    enum placeholder placeholder;
    const char *label; /* its text */
};

static const char *label_text(const struct alert_rule *rule, const char *name, size_t length)
{
    for (size_t i = 0; i < rule->labels_count; i++)
        if (strlen(rule->labels[i].name) == length &&
            memcmp(rule->labels[i].name, name, length) == 0)
            return rule->labels[i].text;
    return NULL;
}

static int find_placeholder(const struct alert_rule *rule, struct piece *piece)
{
    size_t prefix = strlen(LABEL_PREFIX);
    if (piece->length > prefix && memcmp(piece->bytes, LABEL_PREFIX, prefix) == 0) {
        piece->placeholder = LABEL;
        piece->label = label_text(rule, piece->bytes + prefix, piece->length - prefix);
        return piece->label ? 0 : -EINVAL;
    }
    for (unsigned i = 0; i < PLACEHOLDERS; i++) {
        if (strlen(names[i]) == piece->length &&
            memcmp(names[i], piece->bytes, piece->length) == 0) {
            piece->placeholder = (enum placeholder)i;
            return 0;
        }
    }
    return -EINVAL;
}

/* Takes one piece off *at, which is not at its end. -EINVAL: what is there is no piece; then it
 * is in ret_piece for a message, empty for a brace that stands alone. */
static int next_piece(const struct alert_rule *rule, const char **at, struct piece *ret_piece)
{
    const char *from = *at;
    *ret_piece = (struct piece){.bytes = from, .length = strcspn(from, "{}")};
    if (ret_piece->length > 0) {
        *at = from + ret_piece->length;
        return 0;
    }
    if (from[0] == from[1]) { /* a doubled brace */
        ret_piece->length = 1;
        *at = from + 2;
        return 0;
    }
    const char *end = from[0] == '{' ? strpbrk(from + 1, "{}") : NULL;
    if (!end || *end != '}')
        return -EINVAL;
    ret_piece->is_placeholder = true;
    ret_piece->bytes = from + 1;
    ret_piece->length = (size_t)(end - from) - 1;
    *at = end + 1;
    return find_placeholder(rule, ret_piece);
}

int alert_template_check(const struct alert_rule *rule, const char *text, size_t *reterr_at,
                         struct diag *reterr_diag)
{
    const char *at = text;
    while (*at) {
        const char *from = at;
        struct piece piece;
        if (next_piece(rule, &at, &piece) == 0)
            continue;
        *reterr_at = (size_t)(from - text);
        if (!piece.is_placeholder) {
            diag_set(reterr_diag, EINVAL, "a brace stands alone");
            diag_hint(reterr_diag, "expected a placeholder such as {value}; {{ and }} are braces");
        } else if (piece.placeholder == LABEL) {
            diag_set(reterr_diag, EINVAL, "{%.*s}: the rule has no such label",
                     (int)(piece.length < 80 ? piece.length : 80), piece.bytes);
            diag_hint(reterr_diag, "expected one of the names below labels:");
        } else {
            diag_set(reterr_diag, EINVAL, "unknown placeholder {%.*s}",
                     (int)(piece.length < 80 ? piece.length : 80), piece.bytes);
            diag_hint(reterr_diag,
                      "expected alert, severity, metric, value, threshold, count, window, probe, "
                      "group, pid, comm, unit or labels.NAME");
        }
        return -EINVAL;
    }
    return 0;
}

static void append_stranger(struct text *out, const char *name)
{
    if (name)
        text_append_sanitized(out, name);
}

static void append_duration(struct text *out, uint64_t ns)
{
    char duration[16];
    format_duration(ns, duration);
    text_append_string(out, duration);
}

static void append_value(struct text *out, const struct alert_rule *rule, double value)
{
    char formatted[32];
    alert_metric_format_value(rule->metric, value, formatted);
    text_append_string(out, formatted);
}

static void fill_piece(const struct piece *piece, const struct alert_template_values *values,
                       struct text *out)
{
    const struct alert_rule *rule = values->rule;
    switch (piece->placeholder) {
    case ALERT:
        text_append_string(out, rule->name);
        break;
    case SEVERITY:
        text_append_string(out, alert_severity_name(rule->severity));
        break;
    case METRIC:
        text_append_string(out, alert_metric_name(rule->metric));
        break;
    case VALUE:
        append_value(out, rule, values->value);
        break;
    case THRESHOLD:
        append_value(out, rule, rule->threshold);
        break;
    case COUNT:
        text_append_format(out, "%llu", (unsigned long long)values->count);
        break;
    case WINDOW:
        append_duration(out, values->window_ns);
        break;
    case PROBE:
        append_stranger(out, values->probe);
        break;
    case GROUP:
        append_stranger(out, values->group);
        break;
    case PID:
        if (values->pid)
            text_append_format(out, "%u", values->pid);
        break;
    case COMM:
        append_stranger(out, values->comm);
        break;
    case UNIT:
        append_stranger(out, values->unit);
        break;
    case LABEL:
        text_append_string(out, piece->label);
        break;
    case PLACEHOLDERS:
        break;
    }
}

void alert_template_fill(const char *text, const struct alert_template_values *values,
                         struct text *out)
{
    const char *at = text;
    while (*at) {
        struct piece piece;
        if (next_piece(values->rule, &at, &piece))
            return; /* was checked */
        if (piece.is_placeholder)
            fill_piece(&piece, values, out);
        else
            text_append(out, piece.bytes, piece.length);
    }
}

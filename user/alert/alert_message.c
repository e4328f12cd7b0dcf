/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert/alert_message.h"

#include <string.h>

#include "alert/alert_template.h"

static void append_name(struct text *out, const char *name)
{
    text_append_sanitized(out, name ? name : "?");
}

void alert_message_who(const struct alert_subject *subject, struct text *out)
{
    switch (subject->whom) {
    case ALERT_OF_ALL:
        break;
    case ALERT_OF_PROCESS:
        append_name(out, subject->comm);
        text_append_format(out, "[%u]", subject->pid);
        break;
    case ALERT_OF_NAME:
        append_name(out, subject->comm);
        text_append_string(out, " (ended)");
        break;
    case ALERT_OF_UNIT:
        append_name(out, subject->unit);
        break;
    case ALERT_OF_OTHER:
        text_append_string(out, "(other)");
        break;
    case ALERT_OF_UNATTRIBUTED:
        text_append_string(out, "(not attributed)");
        break;
    }
}

void alert_message_annotation(const struct alert_rule *rule, const struct alert *alert, size_t nth,
                              uint64_t window_ns, struct text *out)
{
    _cleanup_text_ struct text who = {0};
    alert_message_who(&alert->subject, &who);
    const struct alert_template_values values = {
        .rule = rule,
        .value = alert->value,
        .count = alert->count,
        .window_ns = rule->window_ns ? rule->window_ns : window_ns,
        .probe = alert->subject.probe,
        .group = who.bytes,
        .pid = alert->subject.pid,
        .comm = alert->subject.comm,
        .unit = alert->subject.unit,
    };
    alert_template_fill(rule->annotations[nth].text, &values, out);
}

static void write_sentence(const struct alert_rule *rule, const struct alert *alert,
                           struct text *out)
{
    char value[32], threshold[32];
    alert_metric_format_value(rule->metric, alert->value, value);
    alert_metric_format_value(rule->metric, rule->threshold, threshold);
    text_append_format(out, "%s of ", alert_metric_name(rule->metric));
    append_name(out, alert->subject.probe);
    if (alert->subject.whom != ALERT_OF_ALL) {
        text_append_string(out, " for ");
        alert_message_who(&alert->subject, out);
    }
    bool holds = alert->state.phase != ALERT_INACTIVE;
    text_append_format(out, " %s %s, %s%s %s", alert->sight == ALERT_SEES_NOTHING ? "was" : "is",
                       value, holds ? "" : "no longer ", rule->is_below ? "below" : "above",
                       threshold);
}

void alert_message_write(const struct alert_rule *rule, const struct alert *alert,
                         uint64_t window_ns, struct text *out)
{
    size_t summary = 0;
    while (summary < rule->annotations_count &&
           strcmp(rule->annotations[summary].name, "summary") != 0)
        summary++;
    bool has_ended = alert->state.phase == ALERT_INACTIVE;
    bool sees_nothing = alert->sight == ALERT_SEES_NOTHING;
    if (summary < rule->annotations_count && !has_ended)
        alert_message_annotation(rule, alert, summary, window_ns, out);
    else if (alert->is_ruleless)
        text_append_string(out, "the rule is gone or asks for something else now");
    else if (has_ended && alert->is_gone)
        text_append_string(out, "the process has ended");
    else if (has_ended && sees_nothing)
        text_append_string(out, "given up without data");
    else
        write_sentence(rule, alert, out);
    if (alert->state.phase == ALERT_UNKNOWN)
        text_append_string(out, "; no data since");
}

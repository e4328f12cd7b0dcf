/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "export/alert_json.h"

#include "alert/alert_message.h"
#include "base/clock.h"

/* When it was, as people count. */
static uint64_t wall_of(const struct alert_clock *clock, uint64_t time_ns)
{
    uint64_t ago_ns = clock->now_ns - time_ns;
    return ago_ns < clock->wall_ns ? clock->wall_ns - ago_ns : 0;
}

static void write_time(struct json_writer *json, const char *key, const struct alert_clock *clock,
                       uint64_t time_ns)
{
    char time[32];
    clock_format_utc(wall_of(clock, time_ns), time);
    json_string_z(json, key, time);
}

static void write_text(struct json_writer *json, const char *key, const struct text *text)
{
    json_string_z(json, key, text->length ? text->bytes : "");
}

static const char *whom_name(enum alert_whom whom)
{
    static const char *const names[] = {
        [ALERT_OF_ALL] = "all",     [ALERT_OF_PROCESS] = "process",
        [ALERT_OF_NAME] = "name",   [ALERT_OF_UNIT] = "unit",
        [ALERT_OF_OTHER] = "other", [ALERT_OF_UNATTRIBUTED] = "unattributed",
    };
    return names[whom];
}

static void write_subject(struct json_writer *json, const struct alert_subject *subject)
{
    json_string_z(json, "probe", subject->probe);
    if (subject->whom == ALERT_OF_ALL)
        return;
    json_begin_object(json, "group");
    json_string_z(json, "kind", whom_name(subject->whom));
    if (subject->whom == ALERT_OF_PROCESS)
        json_u64(json, "pid", subject->pid);
    if (subject->comm)
        json_string_z(json, "comm", subject->comm);
    if (subject->unit)
        json_string_z(json, "unit", subject->unit);
    json_end_object(json);
}

static const char *state_name(const struct alert *alert)
{
    return alert->state.phase == ALERT_INACTIVE ? "resolved" : alert_phase_name(alert->state.phase);
}

/* The condition. */
static void write_limits(struct json_writer *json, const struct alert_rule *rule,
                         const struct alert_clock *clock)
{
    json_string_z(json, "metric", alert_metric_name(rule->metric));
    json_string_z(json, "condition", rule->is_below ? "below" : "above");
    json_double(json, "threshold", rule->threshold, 15);
    if (rule->has_clear)
        json_double(json, "clear", rule->clear, 15);
    json_string_z(json, "value_unit", alert_unit_name(alert_metric_unit(rule->metric)));
    json_double(json, "window_s",
                (double)(rule->window_ns ? rule->window_ns : clock->window_ns) / 1e9, 9);
}

static void write_value(struct json_writer *json, enum alert_metric metric, double value,
                        uint64_t count)
{
    json_double(json, "value", value, alert_metric_unit(metric) == ALERT_UNIT_RATIO ? 6 : 15);
    json_u64(json, "count", count);
}

static void write_labels(struct json_writer *json, const struct alert_rule *rule)
{
    json_begin_object(json, "labels");
    for (size_t i = 0; i < rule->labels_count; i++)
        json_string_z(json, rule->labels[i].name, rule->labels[i].text);
    json_end_object(json);
}

static void write_annotations(struct json_writer *json, const struct alert_rule *rule,
                              const struct alert *alert, uint64_t window_ns)
{
    json_begin_object(json, "annotations");
    for (size_t i = 0; i < rule->annotations_count; i++) {
        _cleanup_text_ struct text text = {.max_bytes = 2 * ALERT_TEXT_BYTES};
        alert_message_annotation(rule, alert, i, window_ns, &text);
        write_text(json, rule->annotations[i].name, &text);
    }
    json_end_object(json);
}

/* What a single alert is, without what frames it. */
static void write_alert(struct json_writer *json, const struct alert_rule *rule,
                        const struct alert *alert, const struct alert_clock *clock)
{
    const struct alert_state *state = &alert->state;
    write_subject(json, &alert->subject);
    write_limits(json, rule, clock);
    write_value(json, rule->metric, alert->value, alert->count);
    write_time(json, "active_since", clock, state->active_ns);
    if (state->fired_ns >= state->active_ns && state->phase != ALERT_PENDING)
        write_time(json, "fired_at", clock, state->fired_ns);
    if (state->phase == ALERT_UNKNOWN)
        write_time(json, "unknown_since", clock, state->unknown_ns);
    if (rule->labels_count)
        write_labels(json, rule);
    if (rule->annotations_count)
        write_annotations(json, rule, alert, clock->window_ns);
}

void alert_json_write(struct json_writer *json, const char *key, const struct alert_rule *rule,
                      const struct alert *alert, const struct alert_clock *clock, uint64_t seq)
{
    _cleanup_text_ struct text message = {.max_bytes = 2 * ALERT_TEXT_BYTES};
    alert_message_write(rule, alert, clock->window_ns, &message);
    json_begin_object(json, key);
    json_string_z(json, "schema", ALERT_JSON_SCHEMA);
    write_time(json, "time", clock, clock->now_ns);
    if (seq)
        json_u64(json, "seq", seq);
    json_string_z(json, "alert", rule->name);
    json_string_z(json, "state", state_name(alert));
    json_string_z(json, "severity", alert_severity_name(rule->severity));
    write_text(json, "message", &message);
    write_alert(json, rule, alert, clock);
    json_end_object(json);
}

void alert_json_write_rule(struct json_writer *json, const char *key,
                           const struct alert_rule_view *view, const struct alert_clock *clock)
{
    const struct alert_rule *rule = view->rule;
    json_begin_object(json, key);
    json_string_z(json, "alert", rule->name);
    json_string_z(json, "state", alert_phase_name(view->phase));
    json_string_z(json, "severity", alert_severity_name(rule->severity));
    json_string_z(json, "probe", rule->probe);
    write_limits(json, rule, clock);
    if (view->has_value)
        write_value(json, rule->metric, view->value, view->count);
    json_u64(json, "firing", view->firing);
    json_u64(json, "pending", view->pending);
    json_u64(json, "unknown", view->unknown);
    json_u64(json, "overflow", view->overflow);
    if (rule->labels_count)
        write_labels(json, rule);
    json_end_object(json);
}

static const char *kind_name(enum alert_notice_kind kind)
{
    static const char *const names[] = {
        [ALERT_NOTICE_FIRING] = "firing",
        [ALERT_NOTICE_RESOLVED] = "resolved",
        [ALERT_NOTICE_UNKNOWN] = "unknown",
        [ALERT_NOTICE_HELD_BACK] = "held_back",
    };
    return names[kind];
}

void alert_json_headline(const struct alert_notice *notice, uint64_t window_ns, struct text *out)
{
    text_append_string(out, notice->rule->name);
    if (notice->count) {
        text_append_format(out, " is %s%s: ", kind_name(notice->kind),
                           notice->alerts[0]->state.phase == ALERT_PENDING ? " and pending again"
                                                                           : "");
        alert_message_write(notice->rule, notice->alerts[0], window_ns, out);
    }
    if (notice->count > 1)
        text_append_format(out, ", and %zu more", notice->count - 1);
    if (notice->held_back)
        text_append_format(
            out, "%s %llu change%s held back",
            notice->count ? ";" : " goes up and down:", (unsigned long long)notice->held_back,
            notice->held_back == 1 ? "" : "s");
}

/* The others, named with their values. */
static void write_more(struct json_writer *json, const struct alert_notice *notice)
{
    json_begin_array(json, "more");
    for (size_t i = 1; i < notice->count && i <= ALERT_JSON_MORE_MAX; i++) {
        const struct alert *alert = notice->alerts[i];
        json_begin_object(json, NULL);
        write_subject(json, &alert->subject);
        write_value(json, notice->rule->metric, alert->value, alert->count);
        json_end_object(json);
    }
    json_end_array(json);
}

void alert_json_write_notice(struct json_writer *json, const char *key,
                             const struct alert_notice *notice, const struct alert_clock *clock)
{
    const struct alert_rule *rule = notice->rule;
    _cleanup_text_ struct text headline = {.max_bytes = 2 * ALERT_TEXT_BYTES};
    alert_json_headline(notice, clock->window_ns, &headline);
    json_begin_object(json, key);
    json_string_z(json, "schema", ALERT_JSON_SCHEMA);
    write_time(json, "time", clock, clock->now_ns);
    json_string_z(json, "kind", kind_name(notice->kind));
    json_string_z(json, "alert", rule->name);
    if (notice->count) /* what is told, also of one that was held back and is pending again */
        json_string_z(json, "state", kind_name(notice->kind));
    json_string_z(json, "severity", alert_severity_name(rule->severity));
    write_text(json, "message", &headline);
    if (notice->count)
        write_alert(json, rule, notice->alerts[0], clock);
    json_u64(json, "alerts", notice->count);
    json_u64(json, "held_back", notice->held_back);
    if (notice->count > 1)
        write_more(json, notice);
    json_end_object(json);
}

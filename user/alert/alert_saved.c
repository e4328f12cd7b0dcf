/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert/alert_saved.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define FINGERPRINT_DIGITS 16

/* As much as can be read back: what is older was saved more than once. */
static void write_age(struct json_writer *json, const char *key, uint64_t now_ns, uint64_t time_ns)
{
    uint64_t age_ns = now_ns - time_ns;
    json_u64(json, key, age_ns < ALERT_SAVED_AGE_MAX_NS ? age_ns : ALERT_SAVED_AGE_MAX_NS);
}

static void write_alert(struct json_writer *json, uint64_t fingerprint, const struct alert *alert,
                        uint64_t now_ns)
{
    const struct alert_subject *subject = &alert->subject;
    const struct alert_state *state = &alert->state;
    char rule[FINGERPRINT_DIGITS + 1];
    snprintf(rule, sizeof(rule), "%016llx", (unsigned long long)fingerprint);
    json_begin_object(json, NULL);
    json_string_z(json, "rule", rule);
    json_u64(json, "whom", subject->whom);
    json_string_z(json, "probe", subject->probe);
    json_u64(json, "pid", subject->pid);
    json_u64(json, "start_tick", subject->start_tick);
    if (subject->comm)
        json_string_z(json, "comm", subject->comm);
    if (subject->unit)
        json_string_z(json, "unit", subject->unit);
    json_string_z(json, "state", alert_phase_name(state->phase));
    json_string_z(json, "told", alert_phase_name(alert->told));
    json_double(json, "value", alert->value, 17);
    json_u64(json, "count", alert->count);
    write_age(json, "active_ns", now_ns, state->active_ns);
    if (state->phase != ALERT_PENDING)
        write_age(json, "fired_ns", now_ns, state->fired_ns);
    if (state->is_kept)
        write_age(json, "kept_ns", now_ns, state->kept_ns);
    if (state->phase == ALERT_UNKNOWN)
        write_age(json, "unknown_ns", now_ns, state->unknown_ns);
    json_end_object(json);
}

void alert_saved_write(struct json_writer *json, const char *key, const struct alert_book *book,
                       uint64_t now_ns)
{
    json_begin_array(json, key);
    for (size_t i = 0; i < alert_book_rules(book); i++) {
        struct alert_rule_view view;
        alert_book_view(book, i, &view);
        for (size_t j = 0; j < view.alerts_count; j++)
            write_alert(json, view.fingerprint, view.alerts[j], now_ns);
    }
    json_end_array(json);
}

/* --- reading: a file that anybody may have damaged -------------------------------------------- */

struct reading {
    struct alert_book *book;
    uint64_t now_ns;
    uint64_t away_ns;
    uint64_t patience_ns;
};

static bool read_u64(const json_t *object, const char *key, uint64_t max, uint64_t *ret_value)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) > max)
        return false;
    *ret_value = (uint64_t)json_integer_value(value);
    return true;
}

/* How long ago, with `more` time added; absent leaves *time_ns as it is. */
static bool read_age(const json_t *object, const char *key, const struct reading *reading,
                     uint64_t more_ns, uint64_t *time_ns)
{
    uint64_t age_ns = 0;
    if (!json_object_get(object, key))
        return true;
    if (!read_u64(object, key, ALERT_SAVED_AGE_MAX_NS, &age_ns))
        return false;
    if (more_ns > ALERT_SAVED_AGE_MAX_NS - age_ns)
        more_ns = ALERT_SAVED_AGE_MAX_NS - age_ns;
    *time_ns = reading->now_ns - age_ns - more_ns;
    return true;
}

/* NULL when it is absent; false: not a name. */
static bool read_name(const json_t *object, const char *key, const char **ret_name)
{
    const json_t *value = json_object_get(object, key);
    *ret_name = NULL;
    if (!value)
        return true;
    if (!json_is_string(value) || json_string_length(value) >= ALERT_PROBE_BYTES ||
        strlen(json_string_value(value)) != json_string_length(value))
        return false;
    *ret_name = json_string_value(value);
    return true;
}

static bool read_phase(const json_t *object, const char *key, enum alert_phase *ret_phase)
{
    const char *name = NULL;
    int phase = read_name(object, key, &name) && name ? alert_phase_parse(name) : -1;
    if (phase < 0)
        return false;
    *ret_phase = (enum alert_phase)phase;
    return true;
}

static bool read_subject(const json_t *object, struct alert_subject *ret_subject)
{
    uint64_t whom = 0, pid = 0, start_tick = 0;
    if (!read_u64(object, "whom", ALERT_OF_UNATTRIBUTED, &whom) ||
        !read_u64(object, "pid", UINT32_MAX, &pid) ||
        !read_u64(object, "start_tick", UINT32_MAX, &start_tick) ||
        !read_name(object, "probe", &ret_subject->probe) || !ret_subject->probe ||
        !read_name(object, "comm", &ret_subject->comm) ||
        !read_name(object, "unit", &ret_subject->unit))
        return false;
    ret_subject->whom = (enum alert_whom)whom;
    ret_subject->pid = (uint32_t)pid;
    ret_subject->start_tick = (uint32_t)start_tick;
    return true;
}

static bool read_fingerprint(const json_t *object, uint64_t *ret_fingerprint)
{
    const char *name = NULL;
    if (!read_name(object, "rule", &name) || !name || strlen(name) != FINGERPRINT_DIGITS ||
        strspn(name, "0123456789abcdef") != FINGERPRINT_DIGITS)
        return false;
    *ret_fingerprint = strtoull(name, NULL, 16);
    return true;
}

static bool read_times(const json_t *object, const struct reading *reading,
                       struct alert_state *state)
{
    bool is_pending = state->phase == ALERT_PENDING;
    state->active_ns = state->fired_ns = state->unknown_ns = reading->now_ns;
    state->kept_ns = 0;
    if (!read_age(object, "active_ns", reading, is_pending ? 0 : reading->away_ns,
                  &state->active_ns) ||
        !read_age(object, "fired_ns", reading, reading->away_ns, &state->fired_ns) ||
        !read_age(object, "kept_ns", reading, 0, &state->kept_ns) ||
        !read_age(object, "unknown_ns", reading, 0, &state->unknown_ns))
        return false;
    state->is_kept = state->kept_ns > 0 && state->phase == ALERT_FIRING;
    return true;
}

static bool read_alert(const json_t *object, const struct reading *reading, struct alert *ret_alert,
                       uint64_t *ret_fingerprint)
{
    const json_t *value = json_object_get(object, "value");
    if (!read_fingerprint(object, ret_fingerprint) || !read_subject(object, &ret_alert->subject) ||
        !read_phase(object, "state", &ret_alert->state.phase) ||
        !read_phase(object, "told", &ret_alert->told) || ret_alert->told == ALERT_PENDING ||
        !read_times(object, reading, &ret_alert->state) || !json_is_number(value) ||
        !(json_number_value(value) >= 0) || !isfinite(json_number_value(value)) ||
        !read_u64(object, "count", INT64_MAX, &ret_alert->count))
        return false;
    ret_alert->value = json_number_value(value);
    return true;
}

static void restore(const json_t *object, const struct reading *reading,
                    struct alert_saved_figures *figures)
{
    struct alert alert = {0};
    uint64_t fingerprint = 0;
    if (!read_alert(object, reading, &alert, &fingerprint)) {
        figures->refused++;
        return;
    }
    if (alert.state.phase == ALERT_PENDING && reading->away_ns > ALERT_SAVED_PENDING_MAX_NS)
        return; /* begins anew, if it still is so */
    alert.state.patience_ns = reading->now_ns + reading->patience_ns;
    int error = alert_book_restore(reading->book, fingerprint, &alert);
    figures->restored += error == 0;
    figures->ruleless += error == -ENOENT;
    figures->refused += error && error != -ENOENT;
}

struct alert_saved_figures alert_saved_read(const json_t *array, struct alert_book *book,
                                            uint64_t now_ns, uint64_t away_ns, uint64_t patience_ns)
{
    const struct reading reading = {book, now_ns, away_ns, patience_ns};
    struct alert_saved_figures figures = {0};
    for (size_t i = 0; i < json_array_size(array); i++)
        restore(json_array_get(array, i), &reading, &figures);
    return figures;
}

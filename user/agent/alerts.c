/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/alerts.h"

#include <errno.h>
#include <string.h>

#include "agent/alert_file.h"
#include "agent/alert_look.h"
#include "agent/line_output.h"
#include "agent/log.h"
#include "alert/alert_saved.h"
#include "base/clock.h"
#include "export/journal_sink.h"

#define STATE_VERSION 1

/* The book's time: never so early that the age of what was saved would not fit before it. */
#define EPOCH_NS ALERT_SAVED_AGE_MAX_NS

/* While something is pending or firing, how old it is is saved so often. */
#define SAVE_NS (60 * (uint64_t)1000000000)

struct alerts {
    struct agent *agent;
    struct alert_book *book;
    struct alert_history *history;
    struct line_output *output;       /* NULL: nobody wants to be told */
    struct line_output *fresh_output; /* of a reload that is not finished */
    bool is_reopening;                /* the reload has another one, or none */
    struct alert_self *self;          /* NULL: switched off */
    struct alert_rule *own;           /* the configuration's; owned */
    size_t own_count;
    const struct alert_rule **rules; /* all, in the book's order */
    size_t rules_count;
    sd_event_source *timer;
    uint64_t saved_ns;
    bool is_changed; /* since it was saved */
    bool save_has_failed;
};

static uint64_t book_now_ns(void)
{
    return agent_now_ns() + EPOCH_NS;
}

static struct alert_clock clock_at(const struct agent *agent, uint64_t now_ns)
{
    return (struct alert_clock){
        .now_ns = now_ns,
        .wall_ns = clock_now_ns(CLOCK_REALTIME),
        .window_ns = agent->config->window_slices * agent->config->window_slice_ns,
    };
}

const struct alert_book *alerts_book(const struct agent *agent)
{
    return agent->alerts ? agent->alerts->book : NULL;
}

const struct alert_history *alerts_history(const struct agent *agent)
{
    return agent->alerts->history;
}

struct alert_clock alerts_clock(const struct agent *agent)
{
    return clock_at(agent, book_now_ns());
}

static bool is_gone(const struct alert_subject *subject, void *context)
{
    const struct agent *agent = ((const struct alerts *)context)->agent;
    const struct process_id id = {subject->pid, subject->start_tick};
    /* Without the pump nobody tells of processes. */
    if (subject->whom != ALERT_OF_PROCESS || id.pid == 0 || !agent->drain_timer)
        return false;
    const struct process *process = process_table_find(agent->processes, id);
    return !process || process->exited;
}

/* --- what changed ----------------------------------------------------------------------------- */

static void on_change(const struct alert_rule *rule, const struct alert *alert, uint64_t now_ns,
                      void *context)
{
    struct alerts *alerts = context;
    const struct alert_clock clock = clock_at(alerts->agent, now_ns);
    _cleanup_text_ struct text text = {0};
    struct json_writer json = {.text = &text};
    alert_json_write(&json, NULL, rule, alert, &clock, alert_history_next(alerts->history));
    if (!text.failed)
        alert_history_add(alerts->history, rule->name, text.bytes);
    alerts->is_changed = true;
}

/* Of packaging/systemd/loris.catalog. */
static const char *const message_ids[] = {
    [ALERT_NOTICE_FIRING] = "c941837eee354fe8b93acd1400d19ff8",
    [ALERT_NOTICE_RESOLVED] = "691812f4af984baa8d952fc22b3d4eaa",
    [ALERT_NOTICE_UNKNOWN] = "a1d045117414407d9697cdc64ae98749",
    [ALERT_NOTICE_HELD_BACK] = "da35ccc442f042f593a0b94383f54870",
};

/* Where stderr is the journal and alerts go there anyway, once is enough. */
static bool goes_to_the_log(const struct alerts *alerts)
{
    return !alerts->agent->config->alerting.journal || !getenv("JOURNAL_STREAM");
}

static void on_notice(const struct alert_notice *notice, uint64_t now_ns, void *context)
{
    struct alerts *alerts = context;
    const struct alert_clock clock = clock_at(alerts->agent, now_ns);
    _cleanup_text_ struct text text = {0};
    struct json_writer json = {.text = &text};
    alert_json_write_notice(&json, NULL, notice, &clock);
    if (alerts->output && !text.failed)
        line_output_add_as(alerts->output, message_ids[notice->kind], text.bytes, text.length);
    alerts->is_changed = true;
    if (!goes_to_the_log(alerts))
        return;
    text_clear(&text);
    alert_json_headline(notice, clock.window_ns, &text);
    log_line(notice->kind == ALERT_NOTICE_FIRING ? LOG_WARNING : LOG_NOTICE, "alert %s",
             text.length ? text.bytes : notice->rule->name);
}

static int open_output(const struct agent *agent, const struct config_alerting *alerting,
                       struct line_output **ret_output, struct diag *reterr_diag)
{
    const struct line_output_config output = {
        .name = "alerts",
        .path = alerting->file,
        .layout = alerting->layout,
        /* where there is no journald, nothing is missing */
        .journal = alerting->journal && access(JOURNAL_SOCKET_PATH, F_OK) == 0,
        .message_id = message_ids[ALERT_NOTICE_FIRING],
    };
    if (!output.path[0] && !output.journal)
        return 0;
    int error = line_output_open(agent->event, &output, ret_output, reterr_diag);
    if (error)
        diag_hint(reterr_diag, "its folder must be there; see alerting.file");
    return error;
}

static void send_notices(struct alerts *alerts)
{
    if (alerts->output)
        alerts->agent->retries += line_output_send(alerts->output) < 0;
}

/* --- saved state ------------------------------------------------------------------------------ */

static void write_state(const struct alerts *alerts, struct text *out)
{
    struct json_writer json = {.text = out};
    uint64_t wall_ns = clock_now_ns(CLOCK_REALTIME);
    char time[32];
    clock_format_utc(wall_ns, time);
    json_begin_object(&json, NULL);
    json_u64(&json, "version", STATE_VERSION);
    json_string_z(&json, "saved_at", time);
    json_u64(&json, "saved_ns", wall_ns);
    alert_saved_write(&json, "alerts", alerts->book, book_now_ns());
    alert_history_save(alerts->history, &json, "history");
    json_end_object(&json);
    text_append_string(out, "\n");
}

static void save(struct alerts *alerts)
{
    const char *path = alerts->agent->config->alerting.state;
    _cleanup_text_ struct text state = {.max_bytes = ALERT_FILE_BYTES_MAX};
    alerts->saved_ns = book_now_ns();
    if (!path[0])
        return;
    write_state(alerts, &state);
    int error = state.failed ? state.failed : alert_file_write(path, state.bytes, state.length);
    if (error && !alerts->save_has_failed)
        log_line(LOG_WARNING, "the state of alerts is not kept in %s: %s; see alerting.state", path,
                 strerror(-error));
    alerts->agent->retries += error != 0;
    alerts->save_has_failed = error;
    alerts->is_changed = error;
}

static void restore_alerts(struct alerts *alerts, const json_t *state)
{
    const struct agent *agent = alerts->agent;
    uint64_t wall_ns = clock_now_ns(CLOCK_REALTIME);
    json_int_t saved_ns = json_integer_value(json_object_get(state, "saved_ns"));
    /* A clock that was set back makes it no time at all. */
    uint64_t away_ns = saved_ns > 0 && (uint64_t)saved_ns < wall_ns ? wall_ns - saved_ns : 0;
    uint64_t patience_ns = agent->config->window_slices * agent->config->window_slice_ns +
                           agent->config->alerting.interval_ns;
    struct alert_saved_figures figures = alert_saved_read(
        json_object_get(state, "alerts"), alerts->book, book_now_ns(), away_ns, patience_ns);
    alert_history_restore(alerts->history, json_object_get(state, "history"));
    if (figures.restored)
        log_line(LOG_INFO, "alerts go on where they were: %zu", figures.restored);
    if (figures.ruleless)
        log_line(LOG_NOTICE, "alerts whose rules are gone or others now are forgotten: %zu",
                 figures.ruleless);
    if (figures.refused)
        log_line(LOG_WARNING, "%zu of the alerts could not be restored from %s", figures.refused,
                 agent->config->alerting.state);
}

static void restore(struct alerts *alerts)
{
    const char *path = alerts->agent->config->alerting.state;
    json_t *state = NULL;
    int error = path[0] ? alert_file_read(path, &state) : -ENOENT;
    if (error == -ENOENT)
        return;
    json_int_t version = json_integer_value(json_object_get(state, "version"));
    if (error == -EBADMSG || (!error && version != STATE_VERSION))
        log_line(LOG_WARNING, "%s is damaged or of another version: alerts begin anew", path);
    else if (error)
        log_line(LOG_WARNING, "%s cannot be read: %s; alerts begin anew", path, strerror(-error));
    else
        restore_alerts(alerts, state);
    json_decref(state);
}

/* --- the timer -------------------------------------------------------------------------------- */

/* Without rules, or with nothing to look at and nothing to wait for, there is no wake-up. */
static bool needs_timer(const struct alerts *alerts)
{
    return alerts->rules_count > 0 &&
           (alerts->agent->drain_timer || alert_book_is_busy(alerts->book));
}

static int on_interval(sd_event_source *source, uint64_t usec, void *context)
{
    struct alerts *alerts = context;
    struct agent *agent = alerts->agent;
    (void)usec;
    alert_look(agent, alerts->book, alerts->rules, alerts->rules_count, alerts->self);
    uint64_t now_ns = book_now_ns();
    alerts->is_changed |= alert_book_finish(alerts->book, now_ns);
    send_notices(alerts);
    if (alerts->is_changed ||
        (alert_book_is_busy(alerts->book) && now_ns - alerts->saved_ns >= SAVE_NS))
        save(alerts);
    if (!needs_timer(alerts))
        return 0;
    int error =
        sd_event_source_set_time_relative(source, agent->config->alerting.interval_ns / 1000);
    return error < 0 ? error : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int arm(struct alerts *alerts)
{
    uint64_t interval_us = alerts->agent->config->alerting.interval_ns / 1000;
    int enabled = SD_EVENT_OFF;
    if (!needs_timer(alerts))
        return 0;
    if (!alerts->timer)
        return sd_event_add_time_relative(alerts->agent->event, &alerts->timer, CLOCK_MONOTONIC,
                                          interval_us, 0, on_interval, alerts);
    int error = sd_event_source_get_enabled(alerts->timer, &enabled);
    if (error < 0 || enabled != SD_EVENT_OFF)
        return error < 0 ? error : 0;
    error = sd_event_source_set_time_relative(alerts->timer, interval_us);
    return error < 0 ? error : sd_event_source_set_enabled(alerts->timer, SD_EVENT_ONESHOT);
}

void alerts_wake(struct agent *agent)
{
    if (agent->alerts && arm(agent->alerts) < 0)
        log_line(LOG_WARNING, "alert rules are not looked at: there is no timer for it");
}

/* --- rules ------------------------------------------------------------------------------------ */

/* Rules of a configuration with the agent's own, before they are in use. */
struct rule_set {
    struct alert_self *self;
    const struct alert_rule **rules;
    size_t count;
};

static int gather_rules(const struct config *config, struct rule_set *ret_set)
{
    _cleanup_(alert_self_free_cleanup) struct alert_self *self = NULL;
    int error = config->alerting.self ? alert_self_new(config, &self) : 0;
    if (error)
        return error;
    size_t own = self ? alert_self_rules(self) : 0;
    const struct alert_rule **rules = calloc(config->rules_count + own + 1, sizeof(*rules));
    if (!rules)
        return -ENOMEM;
    for (size_t i = 0; i < config->rules_count; i++)
        rules[i] = &config->rules[i];
    for (size_t i = 0; i < own; i++)
        rules[config->rules_count + i] = alert_self_rule(self, i);
    alert_look_sort(rules, config->rules_count + own);
    *ret_set = (struct rule_set){take_ptr(self), rules, config->rules_count + own};
    return 0;
}

static void free_own(struct alert_rule *own, size_t count)
{
    for (size_t i = 0; i < count; i++)
        alert_rule_done(&own[i]);
    free(own);
}

/* The book goes over to the configuration's rules, which are taken out of it. -ENOMEM: the old ones
 * stay. */
static int take_rules(struct alerts *alerts, struct config *config)
{
    struct rule_set set = {0};
    int error = gather_rules(config, &set);
    if (!error)
        error = alert_book_set_rules(alerts->book, set.rules, set.count, book_now_ns());
    if (error) {
        alert_self_free(set.self);
        free(set.rules);
        return error;
    }
    if (set.self && alerts->self)
        alert_self_inherit(set.self, alerts->self);
    free_own(alerts->own, alerts->own_count);
    alert_self_free(alerts->self);
    free(alerts->rules);
    alerts->own = take_ptr(config->rules);
    alerts->own_count = config->rules_count;
    config->rules_count = 0;
    alerts->self = set.self;
    alerts->rules = set.rules;
    alerts->rules_count = set.count;
    return 0;
}

/* --- life ------------------------------------------------------------------------------------- */

static void free_alerts(struct alerts *alerts)
{
    sd_event_source_disable_unref(alerts->timer);
    line_output_close(alerts->output);
    line_output_close(alerts->fresh_output);
    alert_book_free(alerts->book);
    alert_history_free(alerts->history);
    alert_self_free(alerts->self);
    free_own(alerts->own, alerts->own_count);
    free(alerts->rules);
    free(alerts);
}

int alerts_start(struct agent *agent, struct diag *reterr_diag)
{
    struct config_alerting *alerting = &agent->config->alerting;
    struct alerts *alerts = calloc(1, sizeof(*alerts));
    if (!alerts)
        return diag_set(reterr_diag, ENOMEM, "out of memory for alerts");
    const struct alert_listener listener = {is_gone, on_change, on_notice, alerts};
    alerts->agent = agent;
    alerts->saved_ns = book_now_ns();
    int error = open_output(agent, alerting, &alerts->output, reterr_diag);
    if (error) {
        free_alerts(alerts);
        return error;
    }
    error = alert_book_new(&listener, alerting->notice_interval_ns, &alerts->book);
    if (!error)
        error = alert_history_new(alerting->history, &alerts->history);
    if (!error)
        error = take_rules(alerts, agent->config);
    if (!error) {
        restore(alerts);
        error = arm(alerts);
    }
    if (error < 0) {
        free_alerts(alerts);
        return diag_set(reterr_diag, -error, "cannot set up alerts: %s", strerror(-error));
    }
    agent->alerts = alerts;
    return 0;
}

void alerts_stop(struct agent *agent)
{
    struct alerts *alerts = take_ptr(agent->alerts);
    if (!alerts)
        return;
    if (alerts->is_changed || alert_book_is_busy(alerts->book))
        save(alerts);
    free_alerts(alerts);
}

int alerts_reload_begin(struct agent *agent, const struct config *fresh, struct diag *reterr_diag)
{
    const struct config_alerting *old = &agent->config->alerting;
    struct alerts *alerts = agent->alerts;
    if (!alerts)
        return 0;
    alerts->is_reopening = strcmp(old->file, fresh->alerting.file) != 0 ||
                           old->journal != fresh->alerting.journal ||
                           old->layout != fresh->alerting.layout;
    return alerts->is_reopening
               ? open_output(agent, &fresh->alerting, &alerts->fresh_output, reterr_diag)
               : 0;
}

void alerts_reload_cancel(struct agent *agent)
{
    if (agent->alerts)
        line_output_close(take_ptr(agent->alerts->fresh_output));
}

void alerts_reload_finish(struct agent *agent, struct config *fresh)
{
    struct alerts *alerts = agent->alerts;
    if (!alerts)
        return;
    bool had_self = alerts->self;
    if (take_rules(alerts, fresh))
        log_line(LOG_ERR, "out of memory: the old alert rules stay");
    if (alerts->self && !had_self)
        alert_self_begin(alerts->self, agent);
    send_notices(alerts); /* those who listened until now are told which rules are gone */
    if (alerts->is_reopening) {
        line_output_close(alerts->output);
        alerts->output = take_ptr(alerts->fresh_output);
    }
    if (alert_history_set_max(alerts->history, fresh->alerting.history))
        log_line(LOG_WARNING, "out of memory: the alerts' history keeps its length");
    alert_book_set_notice_interval(alerts->book, fresh->alerting.notice_interval_ns);
    alerts->is_changed = true;
    if (fresh->alerting.interval_ns != agent->config->alerting.interval_ns)
        alerts->timer = sd_event_source_disable_unref(alerts->timer);
}

void alerts_reopen(struct agent *agent)
{
    if (agent->alerts && agent->alerts->output && line_output_reopen(agent->alerts->output))
        log_line(LOG_ERR, "cannot open %s again", agent->config->alerting.file);
}

const struct line_output *alerts_output(const struct agent *agent)
{
    return agent->alerts ? agent->alerts->output : NULL;
}

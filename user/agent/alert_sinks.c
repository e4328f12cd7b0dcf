/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/alert_sinks.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "agent/log.h"
#include "alert/alert_message.h"
#include "export/journal_sink.h"
#include "export/line_file.h"

struct alert_sinks {
    struct line_file *file;       /* NULL: none */
    struct journal_sink *journal; /* the same */
    sd_event_source *flush;
};

/* --- journald --------------------------------------------------------------------------------- */

static int on_journal_ready(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct alert_sinks *sinks = context;
    (void)fd;
    (void)events;
    (void)!journal_sink_flush(sinks->journal); /* what fails is in its figures */
    if (journal_sink_figures(sinks->journal).pending == 0)
        sd_event_source_set_enabled(source, SD_EVENT_OFF);
    return 0;
}

static const char *message_id(enum alert_notice_kind kind)
{
    static const char *const ids[] = {
        [ALERT_NOTICE_FIRING] = ALERT_MESSAGE_ID_FIRING,
        [ALERT_NOTICE_RESOLVED] = ALERT_MESSAGE_ID_RESOLVED,
        [ALERT_NOTICE_UNKNOWN] = ALERT_MESSAGE_ID_UNKNOWN,
        [ALERT_NOTICE_HELD_BACK] = ALERT_MESSAGE_ID_HELD_BACK,
    };
    return ids[kind];
}

/* syslog's levels: LOG_CRIT, LOG_WARNING, LOG_NOTICE, LOG_INFO */
static const char *priority(const struct alert_notice *notice)
{
    static const char *const levels[] = {
        [ALERT_INFO] = "6", [ALERT_WARNING] = "4", [ALERT_CRITICAL] = "2"};
    if (notice->kind == ALERT_NOTICE_FIRING)
        return levels[notice->rule->severity];
    return notice->kind == ALERT_NOTICE_UNKNOWN ? "4" : "5";
}

/* The fields of one entry, their values in one text. */
struct entry {
    struct text values;
    struct {
        char name[JOURNAL_FIELD_NAME_MAX + 1];
        size_t offset, length;
    } fields[JOURNAL_FIELDS_MAX];
    size_t count;
};

static void add_field(struct entry *entry, const char *name, const char *value)
{
    if (!value || !value[0] || entry->count == JOURNAL_FIELDS_MAX)
        return;
    snprintf(entry->fields[entry->count].name, sizeof(entry->fields[0].name), "%s", name);
    entry->fields[entry->count].offset = entry->values.length;
    entry->fields[entry->count].length = strlen(value);
    text_append_string(&entry->values, value);
    entry->count++;
}

static void add_number(struct entry *entry, const char *name, double value)
{
    _cleanup_text_ struct text number = {0};
    struct json_writer json = {.text = &number};
    json_double(&json, NULL, value, 15);
    add_field(entry, name, number.failed ? NULL : number.bytes);
}

/* LORIS_LABEL_TEAM; a label whose name is too long for journald is in the JSON line only. */
static void add_labels(struct entry *entry, const struct alert_rule *rule)
{
    for (size_t i = 0; i < rule->labels_count; i++) {
        char name[ALERT_LABEL_BYTES + 16];
        int length = snprintf(name, sizeof(name), "LORIS_LABEL_%s", rule->labels[i].name);
        for (char *at = name; *at; at++)
            *at = *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
        if (length <= JOURNAL_FIELD_NAME_MAX)
            add_field(entry, name, rule->labels[i].text);
    }
}

static void add_alert(struct entry *entry, const struct alert_notice *notice)
{
    const struct alert *alert = notice->alerts[0];
    _cleanup_text_ struct text who = {0};
    alert_message_who(&alert->subject, &who);
    add_field(entry, "LORIS_PROBE", alert->subject.probe);
    add_field(entry, "LORIS_WHO", who.bytes);
    add_field(entry, "LORIS_COMM", alert->subject.comm);
    add_field(entry, "LORIS_UNIT", alert->subject.unit);
    if (alert->subject.whom == ALERT_OF_PROCESS)
        add_number(entry, "LORIS_PID", alert->subject.pid);
    add_number(entry, "LORIS_VALUE", alert->value);
    add_number(entry, "LORIS_COUNT", (double)alert->count);
}

static int tell_journal(struct alert_sinks *sinks, const struct alert_notice *notice,
                        const struct alert_clock *clock)
{
    const struct alert_rule *rule = notice->rule;
    _cleanup_text_ struct text headline = {0};
    struct entry *entry = calloc(1, sizeof(*entry));
    if (!entry)
        return -ENOMEM;
    alert_json_headline(notice, clock->window_ns, &headline);
    add_field(entry, "MESSAGE", headline.bytes);
    add_field(entry, "MESSAGE_ID", message_id(notice->kind));
    add_field(entry, "PRIORITY", priority(notice));
    add_field(entry, "SYSLOG_IDENTIFIER", "lorisd");
    add_field(entry, "LORIS_KIND", alert_json_kind(notice->kind));
    add_field(entry, "LORIS_ALERT", rule->name);
    add_field(entry, "LORIS_SEVERITY", alert_severity_name(rule->severity));
    add_field(entry, "LORIS_METRIC", alert_metric_name(rule->metric));
    add_field(entry, "LORIS_CONDITION", rule->is_below ? "below" : "above");
    add_number(entry, "LORIS_THRESHOLD", rule->threshold);
    add_field(entry, "LORIS_VALUE_UNIT", alert_unit_name(alert_metric_unit(rule->metric)));
    add_number(entry, "LORIS_ALERTS", (double)notice->count);
    add_number(entry, "LORIS_HELD_BACK", (double)notice->held_back);
    if (notice->count)
        add_alert(entry, notice);
    add_labels(entry, rule);
    struct journal_field fields[JOURNAL_FIELDS_MAX];
    for (size_t i = 0; i < entry->count; i++)
        fields[i] = (struct journal_field){entry->fields[i].name,
                                           entry->values.bytes + entry->fields[i].offset,
                                           entry->fields[i].length};
    int error =
        entry->values.failed ? -ENOMEM : journal_sink_write(sinks->journal, fields, entry->count);
    text_done(&entry->values);
    free(entry);
    if (!error && journal_sink_figures(sinks->journal).pending > 0)
        sd_event_source_set_enabled(sinks->flush, SD_EVENT_ON);
    return error;
}

/* --- both ------------------------------------------------------------------------------------- */

static int open_journal(sd_event *event, struct alert_sinks *sinks)
{
    int error = journal_sink_open(JOURNAL_SOCKET_PATH, &sinks->journal);
    if (error)
        return error;
    error = sd_event_add_io(event, &sinks->flush, journal_sink_fd(sinks->journal), EPOLLOUT,
                            on_journal_ready, sinks);
    if (error >= 0)
        error = sd_event_source_set_enabled(sinks->flush, SD_EVENT_OFF);
    return error < 0 ? error : 0;
}

int alert_sinks_open(sd_event *event, const struct config_alerting *alerting,
                     struct alert_sinks **ret_sinks, struct diag *reterr_diag)
{
    _cleanup_(alert_sinks_close_cleanup) struct alert_sinks *sinks = calloc(1, sizeof(*sinks));
    if (!sinks)
        return diag_set(reterr_diag, ENOMEM, "out of memory for alerts");
    int error = alerting->file[0] ? line_file_open(alerting->file, &sinks->file) : 0;
    if (error) {
        diag_set(reterr_diag, -error, "cannot write alerts to %.300s: %s", alerting->file,
                 strerror(-error));
        diag_hint(reterr_diag, "its folder must be there; see alerting.file");
        return error;
    }
    error = alerting->journal ? open_journal(event, sinks) : 0;
    if (error)
        return diag_set(reterr_diag, -error, "cannot reach journald: %s", strerror(-error));
    *ret_sinks = take_ptr(sinks);
    return 0;
}

void alert_sinks_close(struct alert_sinks *sinks)
{
    if (!sinks)
        return;
    sd_event_source_disable_unref(sinks->flush);
    if (sinks->journal)
        (void)!journal_sink_flush(sinks->journal);
    journal_sink_close(sinks->journal);
    line_file_close(sinks->file);
    free(sinks);
}

int alert_sinks_reopen(struct alert_sinks *sinks)
{
    return sinks->file ? line_file_reopen(sinks->file) : 0;
}

static int tell_file(struct alert_sinks *sinks, const struct alert_notice *notice,
                     const struct alert_clock *clock)
{
    _cleanup_text_ struct text line = {0};
    alert_json_line(notice, clock, &line);
    if (line.failed || line.length == 0)
        return -ENOMEM;
    return line_file_write(sinks->file, line.bytes, line.length);
}

unsigned alert_sinks_tell(struct alert_sinks *sinks, const struct alert_notice *notice,
                          const struct alert_clock *clock)
{
    unsigned told = 0, failed = 0;
    int error = sinks->file ? tell_file(sinks, notice, clock) : 0;
    if (error)
        log_line(LOG_WARNING, "an alert could not be written: %s", strerror(-error));
    told += sinks->file && !error;
    failed += sinks->file && error;
    error = sinks->journal ? tell_journal(sinks, notice, clock) : 0;
    bool has_journal = sinks->journal && error != -ENOENT && error != -ECONNREFUSED;
    if (has_journal && error)
        log_line(LOG_WARNING, "an alert could not be told to journald: %s", strerror(-error));
    told += has_journal && !error;
    failed += has_journal && error;
    if (told == 0) {
        _cleanup_text_ struct text headline = {0};
        alert_json_headline(notice, clock->window_ns, &headline);
        log_line(notice->kind == ALERT_NOTICE_FIRING ? LOG_WARNING : LOG_NOTICE, "alert %s",
                 headline.length ? headline.bytes : notice->rule->name);
    }
    return failed;
}

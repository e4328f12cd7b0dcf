/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attach and Detach: what root may change at run time. */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "agent/answer_preset.h"
#include "agent/answers.h"
#include "agent/log.h"
#include "agent/service_manager.h"
#include "agent/steer.h"

#define LOOK_NS   50000000
#define HOT_RATIO 0.01 /* of a CPU: worth a word before it goes on */

/* Reads the filter; false: answered. */
static bool read_filter(struct varlink_call *call, const json_t *filter, struct config_filter *into)
{
    const char *comm = NULL, *unit = NULL;
    if (!filter || json_is_null(filter))
        return true;
    const json_t *pids = json_object_get(filter, "pids");
    size_t count = json_array_size(pids);
    bool fine = json_is_object(filter) && count <= CONFIG_FILTER_PIDS_MAX &&
                (!pids || json_is_null(pids) || json_is_array(pids));
    for (size_t i = 0; fine && i < count; i++) {
        const json_t *pid = json_array_get(pids, i);
        fine = json_is_integer(pid) && json_integer_value(pid) > 0 &&
               json_integer_value(pid) <= INT_MAX;
        if (fine)
            into->pids[into->pids_count++] = (int32_t)json_integer_value(pid);
    }
    if (!fine) {
        varlink_call_invalid_parameter(call, "filter");
        return false;
    }
    if (!answer_string(call, filter, "comm", &comm) ||
        !answer_string(call, filter, "unit", &unit) ||
        !answer_bool(call, filter, "follow", &into->follow))
        return false;
    if ((comm && strlen(comm) >= sizeof(into->comm)) ||
        (unit && strlen(unit) >= sizeof(into->unit))) {
        varlink_call_invalid_parameter(call, comm && strlen(comm) >= sizeof(into->comm) ? "comm"
                                                                                        : "unit");
        return false;
    }
    snprintf(into->comm, sizeof(into->comm), "%s", comm ? comm : "");
    snprintf(into->unit, sizeof(into->unit), "%s", unit ? unit : "");
    return true;
}

static bool read_target(struct varlink_call *call, const json_t *given, struct config_target *into)
{
    const char *text = NULL, *errors = NULL, *attach = NULL, *sample = NULL;
    if (!json_is_object(given)) {
        varlink_call_invalid_parameter(call, "targets");
        return false;
    }
    if (!answer_string(call, given, "target", &text) ||
        !answer_string(call, given, "errors", &errors) ||
        !answer_string(call, given, "attach", &attach) ||
        !answer_string(call, given, "sample", &sample) ||
        !answer_bool(call, given, "force", &into->force))
        return false;
    if (!text || strlen(text) >= sizeof(into->text)) {
        varlink_call_invalid_parameter(call, "target");
        return false;
    }
    snprintf(into->text, sizeof(into->text), "%s", text);
    into->has_error_rule = errors != NULL;
    into->has_sample = sample != NULL;
    struct diag diag = {0};
    if (errors && config_error_rule_parse(errors, &into->error_rule)) {
        diag_set(&diag, EINVAL, "no rule for errors is called '%s'", errors);
        diag_hint(&diag, "choose never, negative, negative-int, zero, nonzero or errno");
    } else if (attach && attach_kind_parse(attach, &into->attach)) {
        diag_set(&diag, EINVAL, "no way to attach is called '%s'", attach);
        diag_hint(&diag, "choose auto, uprobe-session, uprobe-multi, uprobe, uprobe-exits, fentry, "
                         "kprobe, kprobe-multi, kprobe-session, raw-tracepoint or tracepoints");
    } else if (sample && config_sample_parse(sample, &into->sample_shift)) {
        diag_set(&diag, EINVAL, "'%s' is no share of calls", sample);
        diag_hint(&diag, "choose 1/N with a power of two from 1 to 1024, for example 1/128");
    }
    if (!diag.what[0])
        return true;
    varlink_call_error(call, "TargetFailed", &diag);
    return false;
}

static void write_messages(struct json_writer *json, const struct attach_report *report,
                           const struct diag *failure)
{
    const char *at = report->messages.bytes;
    json_begin_array(json, "messages");
    if (failure->what[0])
        json_string_z(json, NULL, failure->what);
    for (uint32_t i = 0; !report->messages.failed && i < report->messages_count; i++) {
        json_string_z(json, NULL, at);
        at += strlen(at) + 1;
    }
    if (report->messages_held) {
        char line[64];
        snprintf(line, sizeof(line), "... and %u more like these", report->messages_held);
        json_string_z(json, NULL, line);
    }
    json_end_array(json);
}

static uint32_t attach_one(struct agent *agent, const struct config_target *target,
                           struct json_writer *results, struct diag *ret_last_failure)
{
    struct diag diag = {0};
    _cleanup_(attach_report_done) struct attach_report report = {0};
    int error = answer_preset_of(target->text) ? answer_preset_attach(agent, target, &report, &diag)
                                               : targets_attach(agent, target, &report, &diag);
    if (error) {
        *ret_last_failure = diag;
        targets_forget_refused(agent, target->text);
    } else {
        diag.what[0] = '\0';
    }
    service_manager_step(agent->manager);
    json_begin_object(results, NULL);
    json_string_z(results, "target", target->text);
    json_u64(results, "attached", report.attached);
    json_u64(results, "refused", report.refused);
    write_messages(results, &report, &diag);
    json_end_object(results);
    return report.attached;
}

/* Attaches one after the other; what fails is told, and the others go on. Presets come last: what
 * was asked for by itself is watched as it was asked for. */
static uint32_t attach_all(struct agent *agent, const struct config_target *targets, size_t count,
                           struct json_writer *results, struct diag *ret_last_failure)
{
    uint32_t attached = 0;
    for (int presets = 0; presets <= 1; presets++)
        for (size_t i = 0; i < count; i++)
            if ((answer_preset_of(targets[i].text) != NULL) == presets)
                attached += attach_one(agent, &targets[i], results, ret_last_failure);
    return attached;
}

/* Counts for a moment what the probes that were just attached would cost. */
static void look(struct agent *agent)
{
    const struct timespec moment = {.tv_nsec = LOOK_NS};
    steer_begin_look(agent->steer);
    nanosleep(&moment, NULL);
    int error = steer_end_look(agent->steer);
    if (error)
        log_line(LOG_WARNING, "some probes do not measure: %s", strerror(-error));
}

struct hot_writer {
    struct agent *agent;
    struct json_writer *json;
};

static void write_hot(const struct probe *probe, void *context)
{
    struct hot_writer *writer = context;
    struct steer_figures figures = steer_figures(writer->agent->steer, probe);
    char setting[96];
    if (!probe->attached || figures.full_cost_ratio < HOT_RATIO)
        return;
    steer_describe(figures.setting, setting);
    json_begin_object(writer->json, NULL);
    json_string_z(writer->json, "probe", probe->name);
    json_double(writer->json, "rate_per_s", figures.rate_per_s, 6);
    json_double(writer->json, "cost", figures.full_cost_ratio, 6);
    json_string_z(writer->json, "setting", setting);
    json_end_object(writer->json);
}

void answer_attach(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct agent *agent = context;
    const json_t *given = json_object_get(parameters, "targets");
    size_t count = json_array_size(given);
    if (!json_is_array(given) || count == 0 || count > CONFIG_TARGETS_MAX) {
        varlink_call_invalid_parameter(call, "targets");
        return;
    }
    struct config_filter filter = {0};
    if (!read_filter(call, json_object_get(parameters, "filter"), &filter))
        return;
    bool looks = false;
    if (!answer_bool(call, parameters, "look", &looks))
        return;
    struct diag failure = {0};
    _cleanup_free_ struct config_target *targets = calloc(count, sizeof(*targets));
    if (!targets) {
        diag_set(&failure, ENOMEM, "out of memory");
        varlink_call_error(call, "Failed", &failure);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!read_target(call, json_array_get(given, i), &targets[i]))
            return;
        targets[i].filter = filter;
        targets[i].look = looks;
    }
    _cleanup_text_ struct text results_text = {0};
    struct json_writer results = {.text = &results_text};
    json_begin_array(&results, NULL);
    uint32_t attached = attach_all(agent, targets, count, &results, &failure);
    json_end_array(&results);
    if (attached == 0 || results_text.failed) {
        varlink_call_error(call, "TargetFailed", &failure);
        return;
    }
    if (looks)
        look(agent);
    struct json_writer *json = varlink_call_begin_reply(call);
    struct hot_writer hot = {agent, json};
    json_raw(json, "results", results_text.bytes);
    json_u64(json, "attached", attached);
    json_begin_array(json, "hot");
    if (looks)
        probe_set_walk(agent->probes, write_hot, &hot);
    json_end_array(json);
    varlink_call_reply(call);
}

void answer_detach(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct agent *agent = context;
    const json_t *given = json_object_get(parameters, "targets");
    uint64_t detached = 0;
    for (size_t i = 0; i < json_array_size(given); i++) {
        const char *text = json_string_value(json_array_get(given, i));
        if (!text) {
            varlink_call_invalid_parameter(call, "targets");
            return;
        }
        struct diag diag = {0};
        if (!answer_preset_of(text))
            detached += targets_detach(agent, text);
        else if (answer_preset_detach(agent, text, &detached, &diag)) {
            varlink_call_error(call, "TargetFailed", &diag);
            return;
        }
        service_manager_step(agent->manager);
    }
    if (!json_is_array(given)) {
        varlink_call_invalid_parameter(call, "targets");
        return;
    }
    struct json_writer *json = varlink_call_begin_reply(call);
    json_u64(json, "detached", detached);
    varlink_call_reply(call);
}

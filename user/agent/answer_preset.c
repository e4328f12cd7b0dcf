/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/answer_preset.h"

#include <errno.h>
#include <string.h>

#include "agent/config_preset.h"
#include "agent/refusals.h"
#include "agent/service_manager.h"
#include "base/glob.h"

const char *answer_preset_of(const char *text)
{
    size_t length = strlen(CONFIG_PRESET_PREFIX);
    return strncmp(text, CONFIG_PRESET_PREFIX, length) == 0 ? text + length : NULL;
}

/* --- Attach, Detach --------------------------------------------------------------------------- */

/* What the preset says of a target, and what the asker says of them all. */
static struct config_target merge(const struct config_target *preset,
                                  const struct config_target *asked)
{
    struct config_target target = *preset;
    if (asked->has_error_rule) {
        target.has_error_rule = true;
        target.error_rule = asked->error_rule;
    }
    if (asked->has_sample)
        target.sample_shift = asked->sample_shift;
    if (asked->attach != ATTACH_AUTO)
        target.attach = asked->attach;
    target.force |= asked->force;
    target.look = asked->look;
    if (!config_filter_is_empty(&asked->filter))
        target.filter = asked->filter;
    return target;
}

static void add_repeated(struct attach_report *report, unsigned count)
{
    if (count)
        attach_report_add(report, "... and %u more for the same reason", count);
}

static void add_refusal(struct attach_report *report, struct refusals *refusals, const char *text,
                        const struct diag *why)
{
    unsigned repeated;
    report->refused++;
    if (!refusals_is_news(refusals, text, why, &repeated))
        return;
    add_repeated(report, repeated);
    bool named = strstr(why->what, text);
    attach_report_add(report, "%s%s%s", named ? "" : text, named ? "" : ": ", why->what);
}

static void add_messages(struct attach_report *report, const struct attach_report *added)
{
    const char *at = added->messages.bytes;
    for (uint32_t i = 0; !added->messages.failed && i < added->messages_count; i++) {
        attach_report_add(report, "%s", at);
        at += strlen(at) + 1;
    }
    report->messages_held += added->messages_held;
    report->attached += added->attached;
    report->refused += added->refused;
}

int answer_preset_attach(struct agent *agent, const struct config_target *asked,
                         struct attach_report *report, struct diag *reterr_diag)
{
    _cleanup_(config_preset_done) struct config_preset preset = {0};
    int r = config_preset_load(agent->config, answer_preset_of(asked->text), &preset, reterr_diag);
    if (r < 0)
        return r;
    struct refusals refusals = {0};
    struct diag last = {0};
    for (size_t i = 0; i < preset.content->targets_count; i++) {
        const struct config_target target = merge(&preset.content->targets[i], asked);
        _cleanup_(attach_report_done) struct attach_report one = {0};
        struct diag why = {0};
        r = targets_attach(agent, &target, &one, &why);
        service_manager_step(agent->manager);
        if (r == 0) {
            add_messages(report, &one);
            continue;
        }
        targets_forget_refused(agent, target.text);
        if (r == -EEXIST) /* another preset's, or the asker's own */
            continue;
        last = why;
        add_refusal(report, &refusals, target.text, &why);
    }
    add_repeated(report, refusals.repeated);
    if (report->attached > 0)
        return 0;
    if (!last.what[0])
        return diag_set(reterr_diag, EEXIST, "everything in %s is watched already", asked->text);
    diag_set(reterr_diag, ENOENT, "nothing of %s could be attached", asked->text);
    diag_hint(reterr_diag, "the last of it: %s", last.what);
    return -ENOENT;
}

int answer_preset_detach(struct agent *agent, const char *text, uint64_t *count,
                         struct diag *reterr_diag)
{
    _cleanup_(config_preset_done) struct config_preset preset = {0};
    int r = config_preset_load(agent->config, answer_preset_of(text), &preset, reterr_diag);
    if (r < 0)
        return r;
    for (size_t i = 0; i < preset.content->targets_count; i++) {
        const char *target = preset.content->targets[i].text;
        if (config_target_find(agent->config, target))
            continue;
        *count += targets_detach(agent, target);
        service_manager_step(agent->manager);
    }
    return 0;
}

/* --- List ------------------------------------------------------------------------------------- */

static void write_entry(struct json_writer *json, const char *target, const char *kind,
                        const char *note)
{
    json_begin_object(json, NULL);
    json_string_z(json, "target", target);
    json_string_z(json, "kind", kind);
    if (*note)
        json_string_z(json, "note", note);
    json_end_object(json);
}

/* Every preset that matches, the broken ones with what is wrong. */
static int write_presets(const struct config *config, const char *pattern, uint64_t limit,
                         struct json_writer *json, uint64_t *ret_total)
{
    _cleanup_(config_preset_names_done) struct config_preset_names names = {0};
    int r = config_preset_names_find(config, &names);
    if (r < 0)
        return r;
    uint64_t total = 0;
    for (size_t i = 0; i < names.count; i++) {
        if (!glob_matches(pattern, names.names[i]) || total++ >= limit)
            continue;
        _cleanup_(config_preset_done) struct config_preset preset = {0};
        char text[sizeof(CONFIG_PRESET_PREFIX) + CONFIG_PRESET_BYTES];
        struct diag why = {0};
        snprintf(text, sizeof(text), CONFIG_PRESET_PREFIX "%s", names.names[i]);
        r = config_preset_load(config, names.names[i], &preset, &why);
        write_entry(json, text, "preset", r < 0 ? why.what : preset.description);
    }
    *ret_total = total;
    return 0;
}

static void describe(const struct config_target *target, char note[96])
{
    char errors[40] = "", sample[24] = "";
    if (target->has_error_rule)
        snprintf(errors, sizeof(errors), "errors: %s", config_error_rule_name(target->error_rule));
    if (target->sample_shift)
        snprintf(sample, sizeof(sample), "sample: 1/%u", 1u << target->sample_shift);
    snprintf(note, 96, "%s%s%s", errors, *errors && *sample ? ", " : "", sample);
}

static void describe_rule(const struct alert_rule *rule, char note[ALERT_PROBE_BYTES + 128])
{
    char threshold[32];
    alert_metric_format_value(rule->metric, rule->threshold, threshold);
    snprintf(note, ALERT_PROBE_BYTES + 128, "%s: %s of %s %s %s",
             alert_severity_name(rule->severity), alert_metric_name(rule->metric), rule->probe,
             rule->is_below ? "below" : "above", threshold);
}

static void write_rule(struct json_writer *json, const struct alert_rule *rule)
{
    char text[ALERT_NAME_BYTES + 8], note[ALERT_PROBE_BYTES + 128];
    snprintf(text, sizeof(text), "alert:%s", rule->name);
    describe_rule(rule, note);
    write_entry(json, text, "alert", note);
}

/* The targets of one preset, then its alert rules. */
static int write_content(const struct config *config, const char *name, uint64_t limit,
                         struct json_writer *json, uint64_t *ret_total, struct diag *reterr_diag)
{
    _cleanup_(config_preset_done) struct config_preset preset = {0};
    int r = config_preset_load(config, name, &preset, reterr_diag);
    if (r < 0)
        return r;
    for (size_t i = 0; i < preset.content->targets_count && i < limit; i++) {
        const struct config_target *target = &preset.content->targets[i];
        char note[96];
        describe(target, note);
        write_entry(json, target->text, "target", note);
    }
    uint64_t total = preset.content->targets_count;
    for (size_t i = 0; i < preset.content->rules_count; i++)
        if (total++ < limit)
            write_rule(json, &preset.content->rules[i]);
    *ret_total = total;
    return 0;
}

void answer_preset_list(struct varlink_call *call, struct agent *agent, const char *pattern,
                        uint64_t limit)
{
    const char *name = answer_preset_of(pattern);
    _cleanup_text_ struct text found = {0};
    struct json_writer writer = {.text = &found};
    struct diag diag = {0};
    uint64_t total = 0;
    json_begin_array(&writer, NULL);
    int r = glob_is(name) ? write_presets(agent->config, name, limit, &writer, &total)
                          : write_content(agent->config, name, limit, &writer, &total, &diag);
    json_end_array(&writer);
    if (r == 0)
        r = found.failed;
    if (r < 0) {
        if (!diag.what[0])
            diag_set(&diag, -r, "the presets cannot be listed: %s", strerror(-r));
        varlink_call_error(call, "TargetFailed", &diag);
        return;
    }
    struct json_writer *json = varlink_call_begin_reply(call);
    json_raw(json, "found", found.bytes);
    json_u64(json, "total", total);
    varlink_call_reply(call);
}

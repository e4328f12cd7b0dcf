/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Taking over a changed configuration while everything runs, or changing nothing. */
#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/alerts.h"
#include "agent/answers.h"
#include "agent/config_alert.h"
#include "agent/log.h"
#include "agent/privileges.h"
#include "agent/service_manager.h"
#include "agent/steer.h"

static void add_name(char *names, size_t size, bool is_different, const char *name)
{
    size_t length = strlen(names);
    if (is_different)
        snprintf(names + length, size - length, "%s%s", length ? ", " : "", name);
}

/* What tables and maps were made by stays as it is, and the agent goes on to say so. */
static void keep_until_restart(const struct agent *agent, struct config *fresh)
{
    const struct config *now = agent->config;
    char names[256] = "";
#define KEEP(field, name)                                                                          \
    do {                                                                                           \
        add_name(names, sizeof(names), fresh->field != now->field, name);                          \
        fresh->field = now->field;                                                                 \
    } while (0)
    KEEP(memory_budget_bytes, "memory_budget");
    KEEP(window_slices, "window.slices");
    KEEP(window_slice_ns, "window.length");
    KEEP(idle_ttl_ns, "idle_ttl");
    KEEP(ring_latency_bytes, "rings.latency");
    KEEP(ring_rare_bytes, "rings.rare");
    KEEP(processes_max, "processes_max");
    KEEP(probes_max, "probes_max");
    KEEP(drain_min_ns, "drain.min");
    KEEP(drain_max_ns, "drain.max");
#undef KEEP
    add_name(names, sizeof(names),
             !agent->socket_was_given && strcmp(fresh->socket_path, now->socket_path) != 0,
             "socket");
    add_name(names, sizeof(names), strcmp(fresh->socket_group, now->socket_group) != 0,
             "socket_group");
    memcpy(fresh->socket_path, now->socket_path, sizeof(fresh->socket_path));
    memcpy(fresh->socket_group, now->socket_group, sizeof(fresh->socket_group));
    if (names[0])
        log_line(LOG_WARNING, "a change of %s needs a restart: the old value stays", names);
}

/* Rules were checked against the window of their file, which may not be the one that holds. */
static int fit_to_what_stays(const struct agent *agent, struct config *fresh,
                             struct diag *reterr_diag)
{
    keep_until_restart(agent, fresh);
    int error = config_alert_check(fresh, reterr_diag);
    if (error)
        diag_hint(reterr_diag, "a longer window: of the agent holds after a restart");
    return error;
}

/* Opens what the new configuration names, and only then closes the old. */
static int change_summaries(struct agent *agent, struct config *fresh, struct diag *reterr_diag)
{
    struct config *old = agent->config;
    if (strcmp(old->summaries_path, fresh->summaries_path) == 0 &&
        old->summaries_layout == fresh->summaries_layout &&
        old->summaries_journal == fresh->summaries_journal)
        return 0;
    struct line_output *output = take_ptr(agent->summaries);
    sd_event_source *timer = take_ptr(agent->summary_timer);
    agent->config = fresh;
    int error = summaries_start(agent, reterr_diag);
    agent->config = old;
    if (error) {
        summaries_stop(agent);
        agent->summaries = output;
        agent->summary_timer = timer;
        return error;
    }
    sd_event_source_disable_unref(timer);
    line_output_close(output);
    return 0;
}

/* Privileges that were given up do not come back. */
static void warn_of_single_probes(const struct config *fresh)
{
    if (privileges_held() & PRIVILEGES_SINGLE_PROBES)
        return;
    for (size_t i = 0; i < fresh->targets_count; i++)
        if (attach_kind_is_single(fresh->targets[i].attach))
            log_line(LOG_WARNING,
                     "%s asks for single probes: the privilege that some kernels want for them was "
                     "given up, a restart brings it back",
                     fresh->targets[i].text);
}

static void take_over(struct agent *agent, struct config *fresh)
{
    warn_of_single_probes(fresh);
    if (agent->budget_was_given)
        fresh->overhead_budget_ratio = agent->config->overhead_budget_ratio;
    else if (agent->steer)
        steer_set_budget(agent->steer, fresh->overhead_budget_ratio);
    targets_reload(agent, fresh);
    alerts_reload_finish(agent, fresh);
    bool other_interval = fresh->interval_ns != agent->config->interval_ns;
    config_free(agent->config);
    agent->config = fresh;
    alerts_wake(agent);
    if (agent->summary_timer && other_interval &&
        sd_event_source_set_time_relative(agent->summary_timer, fresh->interval_ns / 1000) < 0)
        log_line(LOG_WARNING, "the new interval of summaries holds after the next ones");
    log_line(LOG_NOTICE, "configuration read again: %zu target%s", fresh->targets_count,
             fresh->targets_count == 1 ? "" : "s");
}

int reload_configuration(struct agent *agent, struct diag *reterr_diag)
{
    _cleanup_(config_free_cleanup) struct config *fresh = NULL;
    if (!agent->config_path)
        return diag_set(reterr_diag, EOPNOTSUPP, "a private agent has no configuration to read");
    service_manager_reloading(agent->manager);
    int error = config_load(agent->config_path, &fresh, reterr_diag);
    if (!error)
        error = fit_to_what_stays(agent, fresh, reterr_diag);
    if (!error)
        error = alerts_reload_begin(agent, fresh, reterr_diag);
    if (!error)
        error = change_summaries(agent, fresh, reterr_diag);
    if (error)
        alerts_reload_cancel(agent);
    if (!error)
        take_over(agent, take_ptr(fresh));
    else
        log_line(LOG_ERR, "the new configuration changes nothing: %s%s%s", reterr_diag->what,
                 reterr_diag->hint[0] ? "; " : "", reterr_diag->hint);
    agent->reload_failure = error ? *reterr_diag : (struct diag){0};
    service_manager_reloaded(agent->manager);
    return error;
}

void answer_reload(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct agent *agent = context;
    struct diag diag = {0};
    (void)parameters;
    if (reload_configuration(agent, &diag)) {
        varlink_call_error(call, "Failed", &diag);
        return;
    }
    struct json_writer *json = varlink_call_begin_reply(call);
    json_u64(json, "targets", agent->config->targets_count);
    json_u64(json, "refused", targets_refused(agent));
    varlink_call_reply(call);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Targets at run time: filters, attaching, detaching, and following the configuration. */
#include <errno.h>
#include <string.h>

#include "agent/agent.h"
#include "agent/heap.h"
#include "agent/kmem.h"
#include "agent/log.h"
#include "agent/open_call_table.h"
#include "agent/refusals.h"
#include "agent/service_manager.h"

#define PREPARE_US 20000

static int resolve_unit(struct agent *agent, const char *unit, struct process_filter *filter,
                        struct diag *reterr_diag)
{
    int error = cgroup_units_find(agent->units, unit, &filter->cgroup_id, &filter->cgroup_level);
    if (error) { /* it may have started just now */
        pump_catch_up(agent);
        error = cgroup_units_find(agent->units, unit, &filter->cgroup_id, &filter->cgroup_level);
    }
    if (!error)
        return 0;
    diag_set(reterr_diag, ENOENT, "no unit or cgroup '%s' is there now", unit);
    diag_hint(reterr_diag, "a unit has a cgroup only while it runs; try: systemctl status %s",
              unit);
    return -ENOENT;
}

/* Sets up the kernel's filter for what was wanted; 0 for everybody. */
static int make_filter(struct agent *agent, const struct config_target *wanted,
                       const struct target *target, uint8_t *ret_filter, struct diag *reterr_diag)
{
    const struct config_filter *asked = &wanted->filter;
    struct process_filter filter = {
        .pids = asked->pids,
        .pids_count = asked->pids_count,
        .comm = asked->comm[0] ? asked->comm : NULL,
        .unit = asked->unit[0] ? asked->unit : NULL,
        .follow = asked->follow,
    };
    if (target->object_pid && filter.pids_count == 0) {
        filter.pids = &target->object_pid;
        filter.pids_count = 1;
    }
    *ret_filter = 0;
    if (asked->unit[0]) {
        int error = resolve_unit(agent, asked->unit, &filter, reterr_diag);
        if (error)
            return error;
    }
    if (!filter.pids_count && !filter.comm && !filter.cgroup_id)
        return 0;
    return process_filters_add(&agent->filters, agent->kernel, &filter, ret_filter, reterr_diag);
}

static struct agent_target **find_target(struct agent *agent, const char *text)
{
    for (size_t i = 0; i < agent->targets_count; i++)
        if (strcmp(agent->targets[i]->wanted.text, text) == 0)
            return &agent->targets[i];
    return NULL;
}

static int remember_target(struct agent *agent, const struct config_target *wanted,
                           struct agent_target **ret_target)
{
    struct agent_target **known = find_target(agent, wanted->text);
    if (known) {
        *ret_target = *known;
        return 0;
    }
    struct agent_target **targets =
        reallocarray(agent->targets, agent->targets_count + 1, sizeof(*targets));
    if (!targets)
        return -ENOMEM;
    agent->targets = targets;
    struct agent_target *target = calloc(1, sizeof(*target));
    if (!target)
        return -ENOMEM;
    target->wanted = *wanted;
    agent->targets[agent->targets_count++] = target;
    *ret_target = target;
    return 0;
}

static void forget_target(struct agent *agent, struct agent_target **found)
{
    struct agent_target *target = *found;
    process_filters_remove(&agent->filters, agent->kernel, target->filter);
    *found = agent->targets[--agent->targets_count];
    free(target);
}

/* Probes that hold on to nothing any more: their numbers were read, their ids become free. */
struct release_list {
    uint32_t ids[64];
    size_t count;
};

static void collect_detached(const struct probe *probe, void *context)
{
    struct release_list *list = context;
    if (!probe->attached && list->count < sizeof(list->ids) / sizeof(list->ids[0]))
        list->ids[list->count++] = probe->id;
}

static void release_detached(struct agent *agent)
{
    struct release_list list;
    do {
        list.count = 0;
        probe_set_walk(agent->probes, collect_detached, &list);
        for (size_t i = 0; i < list.count; i++) {
            series_table_remove_probe(agent->series, list.ids[i]);
            kernel_counters_forget(agent->counters, list.ids[i]);
            if (probe_set_release(agent->probes, list.ids[i]))
                return; /* tried again with the next change */
        }
    } while (list.count > 0);
}

/* A configured one: what is asked for through the socket and refused is forgotten. */
static bool waits_for_unit(const struct agent_target *target)
{
    return !target->attached && target->wanted.filter.unit[0];
}

/* While a target waits for its unit, the pump must tell of new cgroups. */
static void stop_when_idle(struct agent *agent)
{
    if (!agent->probes || probe_set_attached(agent->probes) > 0 || !heap_is_idle(agent) ||
        !kmem_is_idle(agent))
        return;
    for (size_t i = 0; i < agent->targets_count; i++)
        if (waits_for_unit(agent->targets[i]))
            return;
    pump_stop(agent);
}

static int attach_by_kind(struct agent *agent, const struct attach_request *request,
                          struct attach_report *report, struct diag *reterr_diag)
{
    switch (request->target.kind) {
    case TARGET_HEAP:
        return heap_attach(agent, request, report, reterr_diag);
    case TARGET_KMEM:
        return kmem_attach(agent, request, report, reterr_diag);
    default:
        return probe_set_attach(agent->probes, request, report, reterr_diag);
    }
}

static int attach_wanted(struct agent *agent, const struct config_target *wanted,
                         uint8_t *ret_filter, struct attach_report *report,
                         struct diag *reterr_diag)
{
    struct attach_request request = {
        .attach = wanted->attach,
        .has_error_rule = wanted->has_error_rule,
        .error_rule = wanted->error_rule,
        .force = wanted->force,
        .look = wanted->look,
    };
    int error = target_parse(wanted->text, &request.target, reterr_diag);
    if (!error)
        error = make_filter(agent, wanted, &request.target, &request.filter, reterr_diag);
    if (error)
        return error;
    error = attach_by_kind(agent, &request, report, reterr_diag);
    if (error)
        process_filters_remove(&agent->filters, agent->kernel, request.filter);
    else
        *ret_filter = request.filter;
    return error;
}

static int start(struct agent *agent, struct diag *reterr_diag)
{
    int error = agent_ready_kernel(agent, reterr_diag);
    if (error)
        return error;
    error = pump_start(agent);
    return error ? diag_set(reterr_diag, -error, "cannot follow what the kernel tells: %s",
                            strerror(-error))
                 : 0;
}

/*
 * The iterators over open calls are loaded a moment after the first probe, and not by the first who
 * asks: loading reads the kernel's types, which takes memory and time that nobody expects then.
 */
static int on_prepare(sd_event_source *source, uint64_t usec, void *context)
{
    struct agent *agent = context;
    (void)source;
    (void)usec;
    agent->prepare = sd_event_source_disable_unref(agent->prepare);
    (void)!kernel_side_program(agent->kernel, KERNEL_EACH_OPEN, NULL);
    if (open_call_table_has_sessions(agent))
        (void)!kernel_side_program(agent->kernel, KERNEL_EACH_SESSION, NULL);
    return 0;
}

static void prepare_soon(struct agent *agent)
{
    if (!agent->prepare)
        (void)!sd_event_add_time_relative(agent->event, &agent->prepare, CLOCK_MONOTONIC,
                                          PREPARE_US, 0, on_prepare, agent);
}

const struct config_target *targets_wanted(struct agent *agent, const char *text)
{
    struct agent_target **found = find_target(agent, text);
    return found ? &(*found)->wanted : NULL;
}

int targets_attach(struct agent *agent, const struct config_target *wanted,
                   struct attach_report *report, struct diag *reterr_diag)
{
    struct agent_target *target = NULL;
    struct agent_target **known = find_target(agent, wanted->text);
    if (known && (*known)->attached)
        return diag_set(reterr_diag, EEXIST, "%s is watched already", wanted->text);
    int error = start(agent, reterr_diag);
    if (!error && remember_target(agent, wanted, &target))
        error = diag_set(reterr_diag, ENOMEM, "out of memory");
    if (error) {
        stop_when_idle(agent);
        return error;
    }
    /* What the configuration says of a target that it asks for as well: only that it may be
     * missing. The other knobs are the asker's, and they stand when it comes to watching. */
    struct config_target asked = *wanted;
    asked.optional = target->wanted.optional;
    target->wanted.sample_shift = asked.sample_shift; /* read while it is attached */
    error = attach_wanted(agent, &asked, &target->filter, report, reterr_diag);
    if (error) {
        if (reterr_diag && config_target_equal(&target->wanted, &asked))
            target->refusal = *reterr_diag;
        release_detached(agent);
        stop_when_idle(agent);
        return error;
    }
    target->wanted = asked;
    target->attached = true;
    target->refusal = (struct diag){0};
    release_detached(agent); /* functions that matched and were refused */
    folders_follow(agent);
    prepare_soon(agent);
    return 0;
}

uint32_t targets_detach(struct agent *agent, const char *text)
{
    struct agent_target **found = find_target(agent, text);
    if (!found)
        return 0;
    uint32_t detached = agent->probes ? probe_set_detach(agent->probes, text) : 0;
    if (!detached && (heap_detach(agent, text) || kmem_detach(agent, text)))
        detached = 1;
    if (detached) {
        pump_catch_up(agent);
        release_detached(agent);
    }
    forget_target(agent, found);
    folders_follow(agent);
    stop_when_idle(agent);
    return detached;
}

void targets_forget_refused(struct agent *agent, const char *text)
{
    struct agent_target **found = find_target(agent, text);
    if (!found || (*found)->attached || config_target_find(agent->config, text))
        return;
    forget_target(agent, found);
    stop_when_idle(agent);
}

static void print_messages(const struct attach_report *report, int priority)
{
    const char *at = report->messages.bytes;
    for (uint32_t i = 0; i < report->messages_count; i++) {
        log_line(priority, "%s", at);
        at += strlen(at) + 1;
    }
    if (report->messages_held)
        log_line(priority, "... and %u more like these", report->messages_held);
}

static void say_repeated(unsigned count)
{
    if (count)
        log_line(LOG_NOTICE, "not watched either, for the same reason: %u more", count);
}

static void say_refused(const struct config_target *wanted, const struct diag *diag,
                        struct refusals *refusals)
{
    unsigned repeated;
    if (wanted->optional && !refusals_is_news(refusals, wanted->text, diag, &repeated))
        return;
    if (wanted->optional)
        say_repeated(repeated);
    bool named = strstr(diag->what, wanted->text);
    log_line(wanted->optional ? LOG_NOTICE : LOG_WARNING, "not watched: %s%s%s%s%s",
             named ? "" : wanted->text, named ? "" : ": ", diag->what, diag->hint[0] ? "; " : "",
             diag->hint);
}

static void attach_configured(struct agent *agent, const struct config_target *wanted,
                              struct refusals *refusals)
{
    struct diag diag = {0};
    _cleanup_(attach_report_done) struct attach_report report = {0};
    int error = targets_attach(agent, wanted, &report, &diag);
    service_manager_step(agent->manager);
    if (error) {
        say_refused(wanted, &diag, refusals);
        return;
    }
    say_repeated(refusals->repeated);
    *refusals = (struct refusals){0};
    log_line(LOG_INFO, "%s is watched: %u probe%s", wanted->text, report.attached,
             report.attached == 1 ? "" : "s");
    print_messages(&report, LOG_NOTICE);
}

void targets_attach_configured(struct agent *agent)
{
    struct refusals refusals = {0};
    for (size_t i = 0; i < agent->config->targets_count; i++)
        attach_configured(agent, &agent->config->targets[i], &refusals);
    say_repeated(refusals.repeated);
}

size_t targets_refused(const struct agent *agent)
{
    size_t refused = 0;
    for (size_t i = 0; i < agent->targets_count; i++)
        refused += !agent->targets[i]->attached && !agent->targets[i]->wanted.optional;
    return refused;
}

static bool takes(struct agent *agent, enum attach_kind kind)
{
    return attach_kind_try(probe_set_trials(agent->probes), agent->kernel, kind, NULL) == 0;
}

bool targets_need_single_probes(struct agent *agent)
{
    for (size_t i = 0; i < agent->config->targets_count; i++)
        if (attach_kind_is_single(agent->config->targets[i].attach))
            return true;
    bool many_user = takes(agent, ATTACH_UPROBE_SESSION) || takes(agent, ATTACH_UPROBE_MULTI);
    /* A kernel without kprobes offers nothing to keep a privilege for. */
    bool many_kernel = takes(agent, ATTACH_KPROBE_MULTI) || !takes(agent, ATTACH_KPROBE);
    return !many_user || !many_kernel;
}

/* --- units that come and go ------------------------------------------------------------------- */

static int on_retry(sd_event_source *source, void *context)
{
    struct agent *agent = context;
    (void)source;
    agent->retry = sd_event_source_disable_unref(agent->retry);
    for (size_t i = 0; i < agent->targets_count; i++) {
        const struct config_target wanted = agent->targets[i]->wanted;
        uint64_t cgroup_id;
        uint32_t level;
        if (waits_for_unit(agent->targets[i]) &&
            !cgroup_units_find(agent->units, wanted.filter.unit, &cgroup_id, &level))
            attach_configured(agent, &wanted, &(struct refusals){0});
        agent->retries += waits_for_unit(agent->targets[i]);
    }
    return 0;
}

/* The unit of a filter has another cgroup after each start. */
static void follow_unit(struct agent *agent, const struct agent_target *target)
{
    const char *unit = target->wanted.filter.unit;
    uint64_t cgroup_id = 0;
    uint32_t level = 0;
    if (cgroup_units_find(agent->units, unit, &cgroup_id, &level) ||
        cgroup_id == process_filters_cgroup(&agent->filters, target->filter))
        return;
    int error =
        process_filters_retarget(&agent->filters, agent->kernel, target->filter, cgroup_id, level);
    if (error)
        log_line(LOG_WARNING, "%s has started again and cannot be followed: %s", unit,
                 strerror(-error));
    else
        log_line(LOG_INFO, "%s has started again: its filter follows", unit);
}

void targets_on_cgroup(struct agent *agent, uint64_t cgroup_id, const char *path)
{
    char unit[256];
    bool retry = false;
    cgroup_unit_of_path(path, unit);
    for (size_t i = 0; i < agent->targets_count; i++) {
        const struct agent_target *target = agent->targets[i];
        const char *wanted = target->wanted.filter.unit;
        if (!wanted[0] || (strcmp(wanted, unit) != 0 && strcmp(wanted, path) != 0))
            continue;
        if (!target->attached)
            retry = true;
        else if (process_filters_cgroup(&agent->filters, target->filter) != cgroup_id)
            follow_unit(agent, target);
    }
    /* Later, not from within a pass over the rings. */
    if (retry && !agent->retry &&
        sd_event_add_defer(agent->event, &agent->retry, on_retry, agent) < 0)
        log_line(LOG_WARNING, "out of memory to watch what waits for %s", unit);
}

void targets_reload(struct agent *agent, const struct config *fresh)
{
    /* Backwards, because forgetting one moves the last into its place. */
    for (size_t i = agent->targets_count; i > 0; i--) {
        char text[TARGET_TEXT_MAX];
        const struct config_target *old = &agent->targets[i - 1]->wanted;
        const struct config_target *now = config_target_find(fresh, old->text);
        if (now && config_target_equal(old, now) && agent->targets[i - 1]->attached)
            continue;
        if (!now && !config_target_find(agent->config, old->text))
            continue; /* attached through the socket, not ours to end */
        snprintf(text, sizeof(text), "%s", old->text);
        if (agent->targets[i - 1]->attached)
            log_line(LOG_INFO, "%s is no longer watched, or differently", text);
        targets_detach(agent, text);
        service_manager_step(agent->manager);
    }
    struct refusals refusals = {0};
    for (size_t i = 0; i < fresh->targets_count; i++)
        if (!find_target(agent, fresh->targets[i].text))
            attach_configured(agent, &fresh->targets[i], &refusals);
    say_repeated(refusals.repeated);
}

void targets_done(struct agent *agent)
{
    for (size_t i = 0; i < agent->targets_count; i++)
        free(agent->targets[i]);
    free(agent->targets);
    agent->retry = sd_event_source_disable_unref(agent->retry);
    agent->prepare = sd_event_source_disable_unref(agent->prepare);
    process_filters_done(&agent->filters);
}

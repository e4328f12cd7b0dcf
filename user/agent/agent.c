/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/agent.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "agent/alerts.h"
#include "agent/calibrate.h"
#include "agent/heap.h"
#include "agent/kmem.h"
#include "agent/log.h"
#include "agent/memory.h"
#include "agent/service_manager.h"
#include "agent/steer.h"
#include "base/clock.h"
#include "base/hash.h"

#define BITE_RECORDS 65536

uint64_t agent_now_ns(void)
{
    return clock_now_ns(CLOCK_MONOTONIC);
}

double agent_cpu_s(void)
{
    return (double)clock_now_ns(CLOCK_PROCESS_CPUTIME_ID) / 1e9;
}

int agent_new(struct config *config, const char *config_path, struct agent **ret_agent)
{
    struct agent *agent = calloc(1, sizeof(*agent));
    if (!agent) {
        config_free(config);
        return -ENOMEM;
    }
    _cleanup_(agent_free_cleanup) struct agent *owned = agent;
    agent->config = config;
    agent->config_path = config_path;
    agent->started_ns = agent_now_ns();
    int cpus = libbpf_num_possible_cpus();
    agent->sizing = sizing_of(config, cpus > 0 ? (uint32_t)cpus : 1);
    int error = sd_event_default(&agent->event);
    if (error < 0)
        return error;
    *ret_agent = take_ptr(owned);
    return 0;
}

void agent_free(struct agent *agent)
{
    if (!agent)
        return;
    service_manager_free(agent->manager);
    alerts_stop(agent);
    summaries_stop(agent);
    folders_done(agent);
    varlink_server_free(agent->server);
    answers_done(agent);
    pump_stop(agent);
    heap_done(agent);
    kmem_done(agent);
    steer_free(agent->steer);
    calibrate_free(agent->calibrator);
    probe_set_free(agent->probes);
    targets_done(agent);
    drain_free(agent->drain);
    kernel_counters_free(agent->counters);
    series_table_free(agent->series);
    process_table_free(agent->processes);
    cgroup_units_free(agent->units);
    kernel_side_free(agent->kernel);
    free(agent->probe_states);
    free(agent->survey);
    config_free(agent->config);
    sd_event_unref(agent->event);
    free(agent);
}

static int admit_probe(const struct probe *probe, void *context)
{
    struct agent *agent = context;
    agent->probe_states[probe->id] =
        (struct agent_probe){.attached_ns = agent_now_ns(), .stretch = 1};
    return series_table_add_probe(agent->series, probe->id);
}

static void on_enable(const struct probe *probe, struct loris_probe_knobs *knobs, void *context)
{
    struct agent *agent = context;
    calibrate_enable(agent->calibrator, probe, knobs);
    steer_enable(agent->steer, probe, knobs);
}

static int make_tables(struct agent *agent)
{
    const struct config *config = agent->config;
    uint64_t seed = hash_seed();
    const struct series_table_config series_config = {
        .max_bytes = config->memory_budget_bytes / 2,
        .idle_ns = config->idle_ttl_ns,
        .slice_ns = config->window_slice_ns,
        .slices = config->window_slices,
        .parent = pump_parent,
        .parent_context = agent,
        .hash_seed = seed,
    };
    const struct process_table_config process_config = {
        .max_processes = agent->sizing.processes_max,
        .max_names = agent->sizing.names_max,
        .hash_seed = seed,
    };
    agent->probe_states = calloc(agent->sizing.kernel.probes_max, sizeof(*agent->probe_states));
    if (!agent->probe_states)
        return -ENOMEM;
    int error = series_table_new(&series_config, &agent->series);
    if (!error)
        error = process_table_new(&process_config, &agent->processes);
    if (!error)
        error = cgroup_units_new(agent->sizing.cgroups_max, seed, &agent->units);
    if (error)
        return error;
    error = cgroup_units_scan(agent->units);
    if (error)
        log_line(LOG_NOTICE, "no unified cgroup hierarchy to learn units from: %s",
                 strerror(-error));
    return 0;
}

int agent_ready_kernel(struct agent *agent, struct diag *reterr_diag)
{
    if (agent->steer)
        return 0;
    const struct drain_config drain_config = {
        .interval_min_ns = agent->config->drain_min_ns,
        .interval_max_ns = agent->config->drain_max_ns,
        .bite_records = BITE_RECORDS,
    };
    int error = 0;
    if (!agent->kernel)
        error = kernel_side_open(&agent->sizing.kernel, &agent->kernel, reterr_diag);
    if (error)
        return error;
    if (!agent->series)
        error = make_tables(agent);
    if (!error && !agent->drain)
        error = drain_new(agent->kernel, &drain_config, &agent->drain);
    if (!error && !agent->counters)
        error = kernel_counters_new(agent->kernel, &agent->counters);
    if (!error && !agent->probes)
        error = probe_set_new(agent->kernel, hash_seed(), admit_probe, agent, &agent->probes);
    if (!error && !agent->calibrator)
        error = calibrate_new(agent->kernel, agent->probes, &agent->calibrator);
    if (!error)
        error = steer_new(agent, &agent->steer);
    if (error)
        return diag_set(reterr_diag, -error, "cannot set up the tables: %s", strerror(-error));
    probe_set_on_enable(agent->probes, on_enable, agent);
    malloc_trim(0);
    memory_steer(agent);
    return 0;
}

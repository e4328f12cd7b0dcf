/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the rings into the tables: the timed drain, process life, and the once-a-second upkeep. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "agent/agent.h"
#include "agent/alerts.h"
#include "agent/calibrate.h"
#include "agent/heap.h"
#include "agent/kmem.h"
#include "agent/log.h"
#include "agent/memory.h"
#include "agent/service_manager.h"
#include "agent/steer.h"
#include "ingest/task_walk.h"

#define SECOND_NS 1000000000ull

/* An exited process keeps its own rows for so long: its last calls may still wait in a ring, and
 * whoever looks wants to see it. */
#define LINGER_NS (5 * SECOND_NS)

/* Between looks at the watched files, beside what their folders tell. */
#define LOOK_NS (10 * SECOND_NS)

#define REAP_MAX     4096
#define SWEEP_MAX    4096
#define CATCH_UP_MAX 64 /* passes: a storm must not hold up an answer for ever */
#define UPKEEP_NS    SECOND_NS

static uint64_t who_of(uint32_t pid, uint32_t start_tick)
{
    return (uint64_t)pid << 32 | start_tick;
}

/* The fold order: a process into those of its name in its unit, these into the unit, the rest. */
struct series_key pump_parent(struct series_key key, void *context)
{
    struct agent *agent = context;
    struct series_key parent = {.probe = key.probe, .level = SERIES_OTHER};
    if (key.level == SERIES_PROCESS) {
        const struct process_id id = {(uint32_t)(key.who >> 32), (uint32_t)key.who};
        const struct process *process = process_table_find(agent->processes, id);
        if (process) {
            parent.level = SERIES_NAME;
            parent.who = (uint64_t)process->unit_id << 32 | process->comm_id;
        }
    } else if (key.level == SERIES_NAME) {
        parent.level = SERIES_UNIT;
        parent.who = key.who & ~0xffffffffull;
    }
    return parent;
}

struct pump_pass {
    struct agent *agent;
    uint64_t now_ns;
};

/* The probe's state, or NULL for a record of a probe that has gone. */
static struct agent_probe *state_of(const struct agent *agent,
                                    const struct loris_latency_event *event)
{
    const struct probe *probe = probe_set_find(agent->probes, event->probe);
    return probe && probe_owns_generation(probe, event->generation)
               ? &agent->probe_states[event->probe]
               : NULL;
}

static void on_latencies(const struct loris_latency_event *latencies, uint32_t count, void *context)
{
    struct pump_pass *pass = context;
    struct agent *agent = pass->agent;
    struct series_sample samples[EVENT_BATCH_MAX];
    uint32_t current = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct loris_latency_event *event = &latencies[i];
        struct agent_probe *state = state_of(agent, event);
        if (!state) {
            agent->unknown_latencies++;
            continue;
        }
        uint32_t weight = event->weight * state->stretch;
        state->decoded += event->weight;
        state->unobserved += weight - event->weight;
        samples[current++] = (struct series_sample){
            .key = {event->probe, SERIES_PROCESS, who_of(event->pid, event->start_tick)},
            .latency_ns = event->latency_ns,
            .weight = weight,
            .error = event->flags & LORIS_LATENCY_ERROR,
        };
    }
    series_table_record(agent->series, samples, current, pass->now_ns);
}

static void on_process(const struct loris_process_event *event, void *context)
{
    struct pump_pass *pass = context;
    struct agent *agent = pass->agent;
    const struct process_id id = {event->pid, event->start_tick};
    const struct process_id parent = {event->parent_pid, event->parent_start_tick};
    /* Rings are read one CPU after the other: a fork that comes after what the child did on another
     * one tells of its parent, but no longer of its name and unit. */
    bool is_late = event->edge == LORIS_PROCESS_FORK && process_table_knows(agent->processes, id);
    const char *comm = is_late ? NULL : event->comm;
    const char *unit = is_late ? NULL : cgroup_units_name(agent->units, event->cgroup_id);
    /* Without memory the process stays unknown, and its calls fold into (other). */
    (void)!process_table_update(agent->processes, id, parent, comm, unit, pass->now_ns);
    if (event->edge == LORIS_PROCESS_EXIT)
        process_table_exit(agent->processes, id, pass->now_ns);
}

static void on_cgroup(const struct loris_cgroup_event *event, void *context)
{
    struct pump_pass *pass = context;
    struct agent *agent = pass->agent;
    char path[LORIS_CGROUP_PATH_BYTES + 1] = "";
    memcpy(path, event->path, event->path_bytes);
    if (event->edge == LORIS_CGROUP_RMDIR)
        return; /* processes that were in it may still be named; the table is bounded */
    (void)!cgroup_units_add(agent->units, event->cgroup_id, path);
    if (event->edge == LORIS_CGROUP_MKDIR)
        targets_on_cgroup(agent, event->cgroup_id, path);
    if (event->edge == LORIS_CGROUP_MIGRATE) {
        const struct process_id id = {event->pid, event->start_tick};
        const char *unit = cgroup_units_name(agent->units, event->cgroup_id);
        if (process_table_find(agent->processes, id))
            (void)!process_table_update(agent->processes, id, (struct process_id){0}, NULL, unit,
                                        pass->now_ns);
    }
}

static void fold_process(const struct process *process, void *context)
{
    struct pump_pass *pass = context;
    series_table_fold_who(pass->agent->series, SERIES_PROCESS,
                          who_of(process->id.pid, process->id.start_tick), pass->now_ns);
}

/* Room is made in the process table: its series move up while its name is still known. */
static void on_forget(const struct process *process, void *context)
{
    struct pump_pass pass = {context, agent_now_ns()};
    fold_process(process, &pass);
}

/* --- the kernel-side sketches ---------------------------------------------------------------- */

struct counted {
    uint32_t stretch; /* what each call stands for */
    struct latency_stat fine;
    struct latency_stat coarse;
    int error;
};

static void on_bucket(uint32_t bucket, uint64_t count, bool is_coarse, void *context)
{
    struct counted *counted = context;
    struct latency_stat *stat = is_coarse ? &counted->coarse : &counted->fine;
    uint64_t stretch = counted->stretch;
    if (sketch_record(&stat->sketch, bucket, count * stretch))
        counted->error = -ENOMEM;
    stat->count += count * stretch;
    stat->thinned_square += count * stretch * (stretch - 1);
}

/* The kernel knows the extremes of all calls so far; those of the gain are known exactly when they
 * moved, else as the bounds of its lowest and highest bucket. */
static void set_extremes(struct latency_stat *stat, const struct kernel_gain *gain)
{
    uint64_t low_ns = 0, high_ns = 0;
    if (!sketch_extremes(&stat->sketch, &low_ns, &high_ns))
        return;
    stat->min_ns = gain->min_moved || low_ns < gain->min_ns ? gain->min_ns : low_ns;
    stat->max_ns = gain->max_moved || high_ns > gain->max_ns ? gain->max_ns : high_ns;
}

/* Moves what the kernel counted since the last look into the probe's unattributed series. */
static void take_counted(struct pump_pass *pass, const struct probe *probe)
{
    struct agent *agent = pass->agent;
    struct agent_probe *state = &agent->probe_states[probe->id];
    struct counted counted = {.stretch = state->stretch};
    struct kernel_gain gain = {0};
    latency_stat_init(&counted.fine);
    latency_stat_init(&counted.coarse);
    for (int i = 0; i < SKETCH_HALVINGS_MAX; i++)
        sketch_halve(&counted.coarse.sketch);
    int error = kernel_counters_take(agent->counters, probe->id, on_bucket, &counted, &gain);
    if (!error && gain.count > 0) {
        const struct series_key key = {.probe = probe->id, .level = SERIES_UNATTRIBUTED};
        struct latency_stat *main = counted.fine.count ? &counted.fine : &counted.coarse;
        set_extremes(&counted.fine, &gain);
        set_extremes(&counted.coarse, &gain);
        main->errors = gain.errors * counted.stretch;
        main->sum_ns = gain.sum_ns * counted.stretch;
        state->unobserved += gain.count * (counted.stretch - 1);
        if (counted.fine.count)
            series_table_merge(agent->series, key, &counted.fine, pass->now_ns);
        if (counted.coarse.count)
            series_table_merge(agent->series, key, &counted.coarse, pass->now_ns);
    }
    if (counted.error)
        log_line(LOG_WARNING, "out of memory while reading the counts of %s", probe->name);
    latency_stat_done(&counted.fine);
    latency_stat_done(&counted.coarse);
}

/* --- the loop -------------------------------------------------------------------------------- */

static bool drain_once(struct agent *agent)
{
    uint64_t began_ns = agent_now_ns();
    struct pump_pass pass = {agent, began_ns};
    const struct event_sink sink = {on_latencies, on_process, on_cgroup, &pass};
    bool more = drain_pass(agent->drain, &sink, began_ns);
    uint64_t took_ns = agent_now_ns() - began_ns;
    drain_took(agent->drain, took_ns);
    if (took_ns > agent->drain_longest_ns)
        agent->drain_longest_ns = took_ns;
    return more;
}

static void reap_processes(struct pump_pass *pass)
{
    struct agent *agent = pass->agent;
    uint64_t drained_ns = drain_complete_ns(agent->drain);
    if (pass->now_ns < LINGER_NS)
        return;
    uint64_t before_ns = pass->now_ns - LINGER_NS;
    if (before_ns > drained_ns)
        before_ns = drained_ns;
    process_table_reap(agent->processes, before_ns, REAP_MAX, fold_process, pass);
}

static void on_ledger(uint32_t id, const struct loris_ledger *ledger, void *context)
{
    struct pump_pass *pass = context;
    const struct probe *probe = probe_set_find(pass->agent->probes, id);
    if (probe && ledger->counted + ledger->ring_full)
        take_counted(pass, probe);
}

static void on_ledger_upkeep(uint32_t id, const struct loris_ledger *ledger, void *context)
{
    struct pump_pass *pass = context;
    struct agent_probe *state = &pass->agent->probe_states[id];
    uint64_t calls = ledger->entered + loris_ledger_waiting(ledger);
    double seconds = (double)(pass->now_ns - pass->agent->upkeep_ns) / (double)SECOND_NS;
    if (seconds > 0)
        state->rate_per_s =
            (double)(calls > state->rate_count ? calls - state->rate_count : 0) / seconds;
    state->rate_count = calls;
    pass->agent->calls += calls;
    on_ledger(id, ledger, context);
}

static void read_ledgers(struct pump_pass *pass, kernel_ledger_fn on_each)
{
    int error = kernel_counters_walk(pass->agent->counters, probe_set_end(pass->agent->probes),
                                     on_each, pass);
    if (error)
        log_line(LOG_WARNING, "the kernel's counters cannot be read: %s", strerror(-error));
}

static void upkeep(struct agent *agent)
{
    struct pump_pass pass = {agent, agent_now_ns()};
    agent->calls = 0;
    read_ledgers(&pass, on_ledger_upkeep);
    double cpu_s = agent_cpu_s();
    double seconds = (double)(pass.now_ns - agent->upkeep_ns) / (double)SECOND_NS;
    agent->cpu_ratio = agent->upkeep_ns ? (cpu_s - agent->upkeep_cpu_s) / seconds : 0;
    agent->upkeep_cpu_s = cpu_s;
    agent->upkeep_ns = pass.now_ns;
    heap_upkeep(agent, pass.now_ns); /* while the names of what ended are known */
    kmem_upkeep(agent, pass.now_ns);
    reap_processes(&pass);
    series_table_sweep(agent->series, pass.now_ns, SWEEP_MAX);
    calibrate_upkeep(agent->calibrator, pass.now_ns);
    memory_steer(agent);
    if (pass.now_ns - agent->look_ns > LOOK_NS) {
        agent->look_ns = pass.now_ns;
        folders_look(agent);
    }
    service_manager_upkeep(agent->manager);
}

static int on_drain_timer(sd_event_source *source, uint64_t usec, void *context)
{
    struct agent *agent = context;
    (void)usec;
    bool more = drain_once(agent);
    uint64_t now_ns = agent_now_ns();
    steer_tick(agent->steer, now_ns);
    if (now_ns - agent->upkeep_ns >= UPKEEP_NS)
        upkeep(agent);
    uint64_t next_us = more ? 0 : drain_interval_ns(agent->drain) / 1000;
    int error = sd_event_source_set_time_relative(source, next_us);
    return error < 0 ? error : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* A ring or a log is half full: do not wait for the timer. */
static int on_ring_half_full(sd_event_source *source, int fd, uint32_t events, void *context)
{
    struct agent *agent = context;
    (void)source;
    (void)fd;
    (void)events;
    agent->wakeups++;
    int error = sd_event_source_set_time_relative(agent->drain_timer, 0);
    return error < 0 ? error : 0;
}

void pump_catch_up(struct agent *agent)
{
    if (!agent->kernel)
        return;
    for (int i = 0; i < CATCH_UP_MAX && drain_once(agent); i++)
        ;
    struct pump_pass pass = {agent, agent_now_ns()};
    read_ledgers(&pass, on_ledger);
}

/* Edge-triggered: a ring with data is always ready, and only the kernel side's wake-up counts. */
static int listen_to_ring(struct agent *agent, int fd)
{
    sd_event_source *source = NULL;
    int error =
        sd_event_add_io(agent->event, &source, fd, EPOLLIN | EPOLLET, on_ring_half_full, agent);
    if (error < 0)
        return error;
    agent->ring_sources[agent->ring_sources_count++] = source;
    return 0;
}

static int listen_to_rings(struct agent *agent)
{
    uint32_t cpus = kernel_side_cpus(agent->kernel);
    agent->ring_sources = calloc(cpus, sizeof(sd_event_source *));
    if (!agent->ring_sources)
        return -ENOMEM;
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        int error = listen_to_ring(agent, kernel_side_rare_ring(agent->kernel, cpu));
        if (error)
            return error;
    }
    return 0;
}

int pump_start(struct agent *agent)
{
    if (agent->drain_timer)
        return 0;
    struct diag diag = {0};
    /* First follow, then look: a process that begins in between is seen twice, not never. */
    int error = probe_set_follow_life(agent->probes, true, &diag);
    if (error)
        log_line(LOG_WARNING, "processes cannot be followed, names may be missing: %s", diag.what);
    (void)!cgroup_units_scan(agent->units); /* of units that came while nobody followed */
    struct pump_pass pass = {agent, agent_now_ns()};
    process_table_on_forget(agent->processes, on_forget, agent);
    error = task_walk_processes(agent->kernel, on_process, &pass);
    if (error)
        log_line(LOG_WARNING, "running processes cannot be listed: %s", strerror(-error));
    error = listen_to_rings(agent);
    if (!error)
        error = sd_event_add_time_relative(agent->event, &agent->drain_timer, CLOCK_MONOTONIC,
                                           agent->config->drain_min_ns / 1000, 1, on_drain_timer,
                                           agent);
    if (error < 0)
        return error;
    alerts_wake(agent);
    return 0;
}

void pump_stop(struct agent *agent)
{
    for (size_t i = 0; i < agent->ring_sources_count; i++)
        sd_event_source_disable_unref(agent->ring_sources[i]);
    free(take_ptr(agent->ring_sources));
    agent->ring_sources_count = 0;
    agent->drain_timer = sd_event_source_disable_unref(agent->drain_timer);
    if (agent->probes)
        (void)!probe_set_follow_life(agent->probes, false, NULL);
}

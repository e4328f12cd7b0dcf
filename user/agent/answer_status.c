/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Status and OpenCalls: what is attached, what it costs, where every call went. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/utsname.h>

#include "agent/agent.h"
#include "agent/alerts.h"
#include "agent/answers.h"
#include "agent/heap.h"
#include "agent/kmem.h"
#include "agent/memory.h"
#include "agent/open_call_table.h"
#include "agent/probe_ledger.h"
#include "agent/steer.h"

/* Below this many processes forgotten early nobody misses their names. */
#define FORGOTTEN_SHARE 100

static void write_ledger(struct json_writer *json, const struct probe_ledger *ledger)
{
    const struct loris_ledger *kernel = &ledger->kernel;
    uint64_t submitted = loris_ledger_submitted(kernel);
    json_begin_object(json, "ledger");
    json_u64(json, "entered", kernel->entered);
    json_u64(json, "returned", kernel->returned);
    json_u64(json, "abandoned", ledger->abandoned);
    json_u64(json, "in_flight", ledger->in_flight);
    json_u64(json, "waiting", loris_ledger_waiting(kernel));
    json_u64(json, "sampled", submitted + kernel->ring_full);
    json_u64(json, "submitted", submitted);
    json_u64(json, "ring_full", kernel->ring_full);
    json_u64(json, "counted", kernel->counted);
    json_u64(json, "decoded", ledger->decoded);
    json_u64(json, "malformed", ledger->malformed);
    json_u64(json, "unobserved", ledger->unobserved);
    json_u64(json, "in_series", ledger->in_series);
    json_u64(json, "too_deep", kernel->too_deep);
    json_u64(json, "no_storage", kernel->no_storage);
    json_u64(json, "unmatched", kernel->unmatched);
    json_u64(json, "inherited", kernel->inherited);
    json_u64(json, "filtered", kernel->filtered);
    json_bool(json, "closes", ledger->closes);
    json_end_object(json);
}

struct status_writer {
    struct agent *agent;
    struct json_writer *json;
    const struct open_call_table *open_calls;
};

static void write_cost(const struct status_writer *writer, const struct probe *probe)
{
    struct json_writer *json = writer->json;
    if (!probe->attached)
        return;
    struct steer_figures figures = steer_figures(writer->agent->steer, probe);
    char setting[96];
    steer_describe(figures.setting, setting);
    json_u64(json, "thin_shift", probe->knobs.thin_shift);
    json_double(json, "attached_ratio", figures.attached_ratio, 6);
    json_begin_object(json, "cost");
    json_u64(json, "call_ns", (uint64_t)figures.cost.full_ns);
    json_u64(json, "reduced_ns", (uint64_t)figures.cost.reduced_ns);
    json_double(json, "cpu_ratio", figures.cost_ratio, 6);
    json_bool(json, "measured", figures.cost_is_measured);
    json_string_z(json, "setting", setting);
    json_end_object(json);
}

static void write_probe(const struct probe *probe, void *context)
{
    struct status_writer *writer = context;
    struct json_writer *json = writer->json;
    struct probe_ledger ledger;
    if (probe_ledger_read(writer->agent, probe, writer->open_calls, &ledger))
        return;
    json_begin_object(json, NULL);
    json_string_z(json, "probe", probe->name);
    json_string_z(json, "target", probe->target);
    json_string_z(json, "state", probe->attached ? "attached" : "detached");
    json_string_z(json, "attach", attach_kind_name(probe->attach));
    json_u64(json, "sites", probe->sites);
    if (probe->object[0]) {
        json_string_z(json, "object", probe->object);
        json_u64(json, "offset", probe->offset);
    }
    if (probe->placement.instruction[0])
        answer_write_placement(json, &probe->placement);
    json_double(json, "rate_per_s", writer->agent->probe_states[probe->id].rate_per_s, 6);
    json_u64(json, "bias_ns", probe->knobs.bias_ns);
    json_u64(json, "sample_shift", probe->knobs.sample_shift);
    write_cost(writer, probe);
    write_ledger(json, &ledger);
    json_end_object(json);
}

/* A target that was asked for and is not attached stands for its probes. */
static void write_refused(struct json_writer *json, const struct agent_target *target)
{
    json_begin_object(json, NULL);
    json_string_z(json, "probe", target->wanted.text);
    json_string_z(json, "target", target->wanted.text);
    json_string_z(json, "state", "refused");
    json_u64(json, "sites", 0);
    json_string_z(json, "reason", target->refusal.what);
    if (target->refusal.hint[0])
        json_string_z(json, "hint", target->refusal.hint);
    json_u64(json, "bias_ns", 0);
    json_u64(json, "sample_shift", 0);
    const struct probe_ledger none = {.closes = true};
    write_ledger(json, &none);
    json_end_object(json);
}

static void write_owner(struct json_writer *json, const char *owner, uint64_t bytes,
                        uint64_t entries)
{
    json_begin_object(json, NULL);
    json_string_z(json, "owner", owner);
    json_u64(json, "bytes", bytes);
    if (entries)
        json_u64(json, "entries", entries);
    json_end_object(json);
}

static void write_memory(struct agent *agent, struct json_writer *json)
{
    uint64_t resident = memory_resident_bytes();
    uint64_t known = 0;
    json_begin_array(json, "memory");
    if (agent->kernel) {
        write_owner(json, "kernel maps", agent->map_bytes, 0);
        if (agent->counters)
            write_owner(json, "threads in kernel", kernel_counters_storage_bytes(agent->counters),
                        0);
        struct series_table_figures series = series_table_figures(agent->series);
        struct process_table_figures processes = process_table_figures(agent->processes);
        uint64_t units = cgroup_units_bytes(agent->units);
        uint64_t counters = kernel_counters_bytes(agent->counters);
        write_owner(json, "series", series.bytes, series.series_count);
        write_owner(json, "processes", processes.bytes, processes.processes);
        write_owner(json, "units", units, 0);
        write_owner(json, "counters", counters, 0);
        uint64_t allocations = heap_bytes(agent);
        if (allocations)
            write_owner(json, "allocations", allocations, 0);
        known = series.bytes + processes.bytes + units + counters + allocations;
    }
    write_owner(json, "program", resident > known ? resident - known : 0, 0);
    json_end_array(json);
}

static void write_cache(struct json_writer *json, const char *name, uint64_t entries,
                        uint64_t bytes, uint64_t hits, uint64_t misses, uint64_t evicted)
{
    json_begin_object(json, NULL);
    json_string_z(json, "name", name);
    json_u64(json, "entries", entries);
    json_u64(json, "bytes", bytes);
    json_u64(json, "hits", hits);
    json_u64(json, "misses", misses);
    if (hits + misses)
        json_double(json, "hit_ratio", (double)hits / (double)(hits + misses), 4);
    json_u64(json, "evicted", evicted);
    json_end_object(json);
}

static void write_caches(struct agent *agent, struct json_writer *json)
{
    json_begin_array(json, "caches");
    if (agent->series) {
        struct series_table_figures series = series_table_figures(agent->series);
        struct process_table_figures processes = process_table_figures(agent->processes);
        write_cache(json, "series", series.series_count, series.bytes, series.hits, series.misses,
                    series.folded_evicted);
        write_cache(json, "processes", processes.processes, processes.bytes, processes.hits,
                    processes.misses, processes.forgotten);
    }
    json_end_array(json);
}

static void write_drain(struct agent *agent, struct json_writer *json)
{
    struct drain_figures figures = {0};
    struct loris_rare_ledger rare = {0};
    if (agent->drain)
        figures = drain_figures(agent->drain);
    if (agent->counters)
        (void)!kernel_counters_rare(agent->counters, &rare);
    json_begin_object(json, "drain");
    json_double(json, "interval_ms", (double)figures.interval_ns / 1e6, 6);
    json_u64(json, "drains", figures.passes);
    json_u64(json, "records", figures.events.latencies + figures.events.rare);
    json_u64(json, "malformed",
             figures.events.malformed + figures.broken + agent->unknown_latencies);
    json_u64(json, "wakeups", agent->wakeups);
    json_u64(json, "last_us", figures.last_ns / 1000);
    json_u64(json, "longest_us", figures.longest_ns / 1000);
    json_double(json, "fill_ratio_peak", figures.fill_peak, 4);
    json_u64(json, "rare_lost", rare.ring_full);
    json_end_object(json);
}

/* Health in one word, and why: ok, or degraded by what was lost or could not be attached. */
static void write_health(struct agent *agent, struct json_writer *json)
{
    struct text reasons_text = {0};
    struct json_writer reasons = {.text = &reasons_text};
    unsigned count = 0;
    char line[2 * TARGET_TEXT_MAX + 64];
    json_begin_array(&reasons, NULL);
    for (size_t i = 0; i < agent->targets_count; i++) {
        const struct agent_target *target = agent->targets[i];
        if (target->attached || target->wanted.optional)
            continue;
        snprintf(line, sizeof(line), "%s is not watched: %s", target->wanted.text,
                 target->refusal.what);
        json_string_z(&reasons, NULL, line);
        count++;
    }
    uint64_t used = memory_used_bytes(agent);
    if (used > agent->config->memory_budget_bytes) {
        snprintf(line, sizeof(line), "memory is over its budget");
        json_string_z(&reasons, NULL, line);
        count++;
    }
    double budget = agent->config->overhead_budget_ratio;
    if (agent->steer && steer_total_cost(agent->steer) > budget) {
        snprintf(line, sizeof(line), "the probes cost %.2f %% of a CPU, over the budget of %.2f %%",
                 100 * steer_total_cost(agent->steer), 100 * budget);
        json_string_z(&reasons, NULL, line);
        count++;
    }
    struct loris_rare_ledger rare = {0};
    if (agent->counters && kernel_counters_rare(agent->counters, &rare) == 0 &&
        rare.ring_full * FORGOTTEN_SHARE > rare.submitted) {
        snprintf(line, sizeof(line), "%llu process events were lost: some names are missing",
                 (unsigned long long)rare.ring_full);
        json_string_z(&reasons, NULL, line);
        count++;
    }
    if (rare.follow_failed) {
        snprintf(line, sizeof(line), "%llu children could not be followed by a filter",
                 (unsigned long long)rare.follow_failed);
        json_string_z(&reasons, NULL, line);
        count++;
    }
    struct text output = {0};
    if (agent->summaries)
        line_output_describe_failure(agent->summaries, &output);
    if (alerts_output(agent))
        line_output_describe_failure(alerts_output(agent), &output);
    if (output.length) {
        json_string_z(&reasons, NULL, output.bytes);
        count++;
    }
    text_done(&output);
    json_end_array(&reasons);
    json_string_z(json, "health", count ? "degraded" : "ok");
    json_raw(json, "reasons", reasons_text.failed ? "[]" : reasons_text.bytes);
    text_done(&reasons_text);
}

static void write_attach_kinds(struct agent *agent, struct json_writer *json)
{
    bool seen[ATTACH_KINDS] = {false};
    uint32_t probes_max = agent->probes ? agent->sizing.kernel.probes_max : 0;
    for (uint32_t id = 0; id < probes_max; id++) {
        const struct probe *probe = probe_set_find(agent->probes, id);
        if (probe && probe->attached)
            seen[probe->attach] = true;
    }
    json_begin_array(json, "attach_kinds");
    for (unsigned kind = 0; kind < ATTACH_KINDS; kind++)
        if (seen[kind])
            json_string_z(json, NULL, attach_kind_name((enum attach_kind)kind));
    json_end_array(json);
    json_begin_array(json, "refused");
    for (size_t i = 0; i < agent->targets_count; i++)
        if (!agent->targets[i]->attached)
            json_string_z(json, NULL, agent->targets[i]->wanted.text);
    json_end_array(json);
}

static void write_overhead(struct agent *agent, struct json_writer *json)
{
    double budget = agent->config->overhead_budget_ratio;
    json_begin_object(json, "overhead");
    if (isfinite(budget))
        json_double(json, "budget", budget, 6);
    json_double(json, "probes", agent->steer ? steer_total_cost(agent->steer) : 0, 6);
    if (agent->heap || agent->kmem)
        json_double(json, "allocators", heap_cost(agent) + kmem_cost(agent), 6);
    json_double(json, "agent", agent->cpu_ratio, 6);
    if (agent->steer)
        steer_write_steps(agent->steer, json, "steps");
    json_end_object(json);
}

static void write_probes(struct agent *agent, struct json_writer *json)
{
    _cleanup_(open_call_table_done) struct open_call_table open_calls = {0};
    struct status_writer writer = {agent, json, &open_calls};
    pump_catch_up(agent); /* what came so far cost system calls, which may be watched */
    json_begin_array(json, "probes");
    if (agent->probes && open_call_table_read(agent, &open_calls) == 0)
        probe_set_walk(agent->probes, write_probe, &writer);
    for (size_t i = 0; i < agent->targets_count; i++)
        if (!agent->targets[i]->attached)
            write_refused(json, agent->targets[i]);
    json_end_array(json);
}

static void write_outputs(const struct agent *agent, struct json_writer *json)
{
    json_begin_array(json, "outputs");
    if (agent->summaries)
        line_output_write_status(agent->summaries, json);
    if (alerts_output(agent))
        line_output_write_status(alerts_output(agent), json);
    json_end_array(json);
}

void answer_status(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct agent *agent = context;
    bool with_probes = true;
    if (!answer_bool(call, parameters, "probes", &with_probes))
        return;
    struct utsname kernel = {0};
    uname(&kernel);
    pump_catch_up(agent);
    struct json_writer *json = varlink_call_begin_reply(call);
    json_string_z(json, "version", LORIS_VERSION);
    json_string_z(json, "kernel", kernel.release);
    write_health(agent, json);
    json_i64(json, "pid", getpid());
    json_double(json, "uptime_s", (double)(agent_now_ns() - agent->started_ns) / 1e9, 9);
    json_double(json, "cpu_s", agent_cpu_s(), 9);
    json_u64(json, "memory_budget", agent->config->memory_budget_bytes);
    json_u64(json, "memory_used", memory_used_bytes(agent));
    write_memory(agent, json);
    write_caches(agent, json);
    write_drain(agent, json);
    write_overhead(agent, json);
    json_u64(json, "kernel_missed", agent->probes ? probe_set_missed(agent->probes) : 0);
    write_attach_kinds(agent, json);
    json_u64(json, "probes_attached", agent->probes ? probe_set_attached(agent->probes) : 0);
    json_u64(json, "series", agent->series ? series_table_figures(agent->series).series_count : 0);
    if (with_probes) {
        write_probes(agent, json);
    } else {
        json_begin_array(json, "probes");
        json_end_array(json);
    }
    write_outputs(agent, json);
    varlink_call_reply(call);
}

struct open_call_writer {
    struct agent *agent;
    struct json_writer *json;
    uint64_t now_ns;
};

static void write_open_call(const struct open_call_writer *writer,
                            const struct loris_open_call *call)
{
    const struct probe *probe = probe_set_find(writer->agent->probes, call->probe);
    const struct process_id id = {call->pid, call->start_tick};
    const struct process *process = process_table_find(writer->agent->processes, id);
    if (!probe)
        return;
    json_begin_object(writer->json, NULL);
    json_string_z(writer->json, "probe", probe->name);
    json_u64(writer->json, "pid", call->pid);
    json_u64(writer->json, "tid", call->tid);
    if (process)
        json_string_z(writer->json, "comm", process->comm);
    json_u64(writer->json, "age_ns",
             writer->now_ns > call->start_ns ? writer->now_ns - call->start_ns : 0);
    json_end_object(writer->json);
}

void answer_open_calls(struct varlink_call *call, const json_t *parameters, void *context)
{
    struct agent *agent = context;
    uint64_t limit = 1000;
    if (!answer_u64(call, parameters, "limit", &limit))
        return;
    _cleanup_(open_call_table_done) struct open_call_table open_calls = {0};
    pump_catch_up(agent);
    if (agent->probes && open_call_table_read(agent, &open_calls)) {
        struct diag diag = {0};
        diag_set(&diag, ENOMEM, "out of memory for the list of open calls");
        varlink_call_error(call, "Failed", &diag);
        return;
    }
    struct open_call_writer writer = {agent, varlink_call_begin_reply(call), agent_now_ns()};
    json_begin_array(writer.json, "calls");
    size_t listed = open_calls.count < limit ? open_calls.count : limit;
    for (size_t i = 0; i < listed; i++)
        write_open_call(&writer, &open_calls.calls[i]);
    json_end_array(writer.json);
    json_u64(writer.json, "truncated", open_calls.total - listed);
    varlink_call_reply(call);
}

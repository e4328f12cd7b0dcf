/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Status and OpenCalls: what is attached, what it costs, where every call went. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <sys/utsname.h>

#include "agent/agent.h"
#include "agent/alerts.h"
#include "agent/answers.h"
#include "agent/heap.h"
#include "agent/kmem.h"
#include "agent/memory.h"
#include "agent/open_call_table.h"
#include "agent/privileges.h"
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

static void write_memory(struct agent *agent, struct json_writer *json)
{
    struct memory_figures figures[MEMORY_OWNERS];
    uint64_t used = memory_by_owner(agent, figures);
    json_u64(json, "memory_budget", agent->config->memory_budget_bytes);
    json_u64(json, "memory_used", used);
    json_begin_array(json, "memory");
    for (unsigned i = 0; i < MEMORY_OWNERS; i++) {
        if (!figures[i].peak)
            continue;
        json_begin_object(json, NULL);
        json_string_z(json, "owner", memory_owner_name((enum memory_owner)i));
        json_u64(json, "bytes", figures[i].bytes);
        if (figures[i].entries)
            json_u64(json, "entries", figures[i].entries);
        json_u64(json, "peak", figures[i].peak);
        if (figures[i].limit)
            json_u64(json, "limit", figures[i].limit);
        json_end_object(json);
    }
    json_end_array(json);
    json_u64(json, "memory_peak", agent->memory_peak);
}

/* What a cache did since the start. */
struct cache_figures {
    const char *name;
    uint64_t entries, bytes, hits, misses, evicted;
    uint64_t limit, limit_bytes; /* of entries, or of bytes; 0: the other */
};

static void write_cache(struct json_writer *json, const struct cache_figures *cache)
{
    json_begin_object(json, NULL);
    json_string_z(json, "name", cache->name);
    json_u64(json, "entries", cache->entries);
    json_u64(json, "bytes", cache->bytes);
    json_u64(json, "hits", cache->hits);
    json_u64(json, "misses", cache->misses);
    if (cache->hits + cache->misses)
        json_double(json, "hit_ratio", (double)cache->hits / (double)(cache->hits + cache->misses),
                    4);
    json_u64(json, "evicted", cache->evicted);
    if (cache->limit)
        json_u64(json, "limit", cache->limit);
    if (cache->limit_bytes)
        json_u64(json, "limit_bytes", cache->limit_bytes);
    json_end_object(json);
}

static void write_caches(const struct agent *agent, struct json_writer *json)
{
    json_begin_array(json, "caches");
    if (agent->series && agent->processes && agent->units) {
        struct series_table_figures series = series_table_figures(agent->series);
        struct process_table_figures processes = process_table_figures(agent->processes);
        struct cgroup_units_figures units = cgroup_units_figures(agent->units);
        const struct cache_figures caches[] = {
            {"series", series.series_count, series.bytes, series.hits, series.misses,
             series.folded_evicted, 0, series.max_bytes},
            {"processes", processes.processes, processes.bytes - processes.names_bytes,
             processes.hits, processes.misses, processes.forgotten, processes.max_processes, 0},
            {"units", units.cgroups, units.bytes, units.hits, units.misses, units.forgotten,
             units.max_cgroups, 0},
            /* Never evicted: what finds no room is called (other), each time anew. */
            {"names", processes.names, processes.names_bytes, processes.names_hit,
             processes.names + processes.names_refused, 0, processes.max_names, 0},
        };
        for (size_t i = 0; i < sizeof(caches) / sizeof(caches[0]); i++)
            write_cache(json, &caches[i]);
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
    if (figures.passes)
        json_double(
            json, "records_per_drain",
            (double)(figures.events.latencies + figures.events.rare) / (double)figures.passes, 4);
    json_end_object(json);
}

/* --- health ---------------------------------------------------------------------------------- */

/* Why it is not ok, and for each reason what to do; two arrays, so that the first stays what it
 * always was. */
struct health {
    struct text reasons_text, remedies_text;
    struct json_writer reasons, remedies;
    unsigned count;
};

static void health_done(struct health *health)
{
    text_done(&health->reasons_text);
    text_done(&health->remedies_text);
}

static void _printf_(3, 4)
    add_reason(struct health *health, const char *remedy, const char *format, ...)
{
    char line[2 * TARGET_TEXT_MAX + 64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    json_string_z(&health->reasons, NULL, line);
    json_string_z(&health->remedies, NULL, remedy);
    health->count++;
}

static void look_at_targets(const struct agent *agent, struct health *health)
{
    for (size_t i = 0; i < agent->targets_count; i++) {
        const struct agent_target *target = agent->targets[i];
        const char *text = target->wanted.text;
        const char *why = target->refusal.what;
        if (target->attached || target->wanted.optional)
            continue;
        if (strncmp(why, text, strlen(text)) == 0 && strncmp(why + strlen(text), ": ", 2) == 0)
            why += strlen(text) + 2; /* told once is enough */
        add_reason(health,
                   target->refusal.hint[0] ? target->refusal.hint
                                           : "loris doctor tells what can be attached here",
                   "%s is not watched: %s", text, why);
    }
}

static void look_at_budgets(const struct agent *agent, struct health *health)
{
    double budget = agent->config->overhead_budget_ratio;
    if (memory_used_bytes(agent) > agent->config->memory_budget_bytes)
        add_reason(health, "loris status --memory tells who holds it; raise memory_budget",
                   "memory is over its budget");
    if (agent->steer && steer_total_cost(agent->steer) > budget)
        add_reason(health,
                   "loris status --probes tells which probes cost most; watch less, or raise "
                   "overhead_budget",
                   "the probes cost %.2f %% of a CPU, over the budget of %.2f %%",
                   100 * steer_total_cost(agent->steer), 100 * budget);
}

static void look_at_losses(const struct agent *agent, struct health *health)
{
    struct loris_rare_ledger rare = {0};
    if (!agent->counters || kernel_counters_rare(agent->counters, &rare))
        return;
    if (rare.ring_full * FORGOTTEN_SHARE > rare.submitted)
        add_reason(health, "set a larger rings.rare, and restart the agent",
                   "%llu process events were lost: some names are missing",
                   (unsigned long long)rare.ring_full);
    if (rare.follow_failed)
        add_reason(health, "narrow the filter: it follows more processes than it has room for",
                   "%llu children could not be followed by a filter",
                   (unsigned long long)rare.follow_failed);
}

static void look_at_output(const struct line_output *output, struct health *health)
{
    _cleanup_text_ struct text failing = {0};
    if (output)
        line_output_describe_failure(output, &failing);
    if (failing.length)
        add_reason(health, "make room, or let the agent write there; it tries again by itself",
                   "%s", failing.bytes);
}

/* In one word: ok, or degraded by what was lost or could not be attached. */
unsigned answer_write_health(const struct agent *agent, struct json_writer *json)
{
    _cleanup_(health_done) struct health health = {0};
    health.reasons.text = &health.reasons_text;
    health.remedies.text = &health.remedies_text;
    json_begin_array(&health.reasons, NULL);
    json_begin_array(&health.remedies, NULL);
    look_at_targets(agent, &health);
    look_at_budgets(agent, &health);
    look_at_losses(agent, &health);
    look_at_output(agent->summaries, &health);
    look_at_output(alerts_output(agent), &health);
    json_end_array(&health.reasons);
    json_end_array(&health.remedies);
    json_string_z(json, "health", health.count ? "degraded" : "ok");
    bool failed = health.reasons_text.failed || health.remedies_text.failed;
    json_raw(json, "reasons", failed ? "[]" : health.reasons_text.bytes);
    json_raw(json, "remedies", failed ? "[]" : health.remedies_text.bytes);
    return health.count;
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

static void write_capabilities(struct json_writer *json)
{
    uint64_t held = privileges_held();
    const char *name;
    json_begin_array(json, "capabilities");
    for (unsigned i = 0; (name = privileges_name(i)); i++)
        if (held & PRIVILEGE(i))
            json_string_z(json, NULL, name);
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
    (void)answer_write_health(agent, json);
    json_i64(json, "pid", getpid());
    json_double(json, "uptime_s", (double)(agent_now_ns() - agent->started_ns) / 1e9, 9);
    json_double(json, "cpu_s", agent_cpu_s(), 9);
    write_memory(agent, json);
    write_caches(agent, json);
    write_drain(agent, json);
    write_overhead(agent, json);
    json_u64(json, "kernel_missed", agent->probes ? probe_set_missed(agent->probes) : 0);
    write_attach_kinds(agent, json);
    write_capabilities(json);
    if (agent->reload_failure.what[0])
        json_string_z(json, "reload_failure", agent->reload_failure.what);
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

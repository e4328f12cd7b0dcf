/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/open_call_table.h"

#include <errno.h>
#include <string.h>

static void add_listed(struct open_call_table *table, const struct loris_open_call *call)
{
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? 2 * table->capacity : 64;
        if (capacity > OPEN_CALLS_LISTED_MAX)
            capacity = OPEN_CALLS_LISTED_MAX;
        if (capacity <= table->count)
            return;
        struct loris_open_call *calls = reallocarray(table->calls, capacity, sizeof(*calls));
        if (!calls)
            return;
        table->calls = calls;
        table->capacity = capacity;
    }
    table->calls[table->count++] = *call;
}

struct reading {
    struct open_call_table *table;
    uint32_t probes_max;
};

static void on_open_call(const struct loris_open_call *call, void *context)
{
    struct reading *reading = context;
    struct open_call_table *table = reading->table;
    if (call->probe >= reading->probes_max || call->start_ns == 0)
        return;
    table->total++;
    table->per_probe[call->probe] += call->weight;
    uint64_t *oldest = &table->oldest_ns[call->probe];
    if (*oldest == 0 || call->start_ns < *oldest)
        *oldest = call->start_ns;
    add_listed(table, call);
}

static int by_start(const void *left, const void *right)
{
    const struct loris_open_call *a = left, *b = right;
    return (a->start_ns > b->start_ns) - (a->start_ns < b->start_ns);
}

bool open_call_table_has_sessions(const struct agent *agent)
{
    for (uint32_t id = 0; id < agent->sizing.kernel.probes_max; id++) {
        const struct probe *probe = probe_set_find(agent->probes, id);
        if (probe && probe->attach == ATTACH_UPROBE_SESSION)
            return true;
    }
    return false;
}

static void add_count(const struct series *series, void *context)
{
    struct reading *reading = context;
    uint32_t probe = series_table_key(series).probe;
    if (probe < reading->probes_max)
        reading->table->in_series[probe] += series_table_count(series);
}

static void on_ledger(uint32_t probe, const struct loris_ledger *ledger, void *context)
{
    bool *any_open = context;
    (void)probe;
    *any_open |= ledger->entered > ledger->returned + ledger->abandoned;
}

/* Whether there is anything to look for: the walk over all tasks is the dear part. */
static bool has_open_calls(const struct agent *agent)
{
    bool any_open = false;
    int error =
        kernel_counters_walk(agent->counters, probe_set_end(agent->probes), on_ledger, &any_open);
    return error || any_open;
}

int open_call_table_read(struct agent *agent, struct open_call_table *table)
{
    uint32_t probes_max = agent->sizing.kernel.probes_max;
    struct reading reading = {table, probes_max};
    table->per_probe = calloc(probes_max, sizeof(*table->per_probe));
    table->oldest_ns = calloc(probes_max, sizeof(*table->oldest_ns));
    table->in_series = calloc(probes_max, sizeof(*table->in_series));
    if (!table->per_probe || !table->oldest_ns || !table->in_series)
        return -ENOMEM;
    series_table_walk(agent->series, UINT32_MAX, add_count, &reading);
    if (!has_open_calls(agent))
        return 0;
    bool sessions = open_call_table_has_sessions(agent);
    int error = task_walk_open_calls(agent->kernel, sessions, on_open_call, &reading);
    table->sessions_known = sessions && !error;
    if (table->count)
        qsort(table->calls, table->count, sizeof(*table->calls), by_start);
    return 0;
}

void open_call_table_done(struct open_call_table *table)
{
    free(table->calls);
    free(table->per_probe);
    free(table->oldest_ns);
    free(table->in_series);
    *table = (struct open_call_table){0};
}

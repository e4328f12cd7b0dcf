/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/heap.h"

/* Kept free for what is allocated between two looks. */
#define SLACK_DIVISOR 16

/* Of what the other owners leave, the series may have this share: an answer about all of them
 * takes as much again while it is made and sent. */
#define SERIES_SHARE_PERCENT 40

static uint64_t resident_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    _cleanup_fclose_ FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%llu %llu", &size, &resident) != 2)
        return 0;
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t memory_used_bytes(const struct agent *agent)
{
    uint64_t kernel_bytes = agent->map_bytes;
    if (agent->counters)
        kernel_bytes += kernel_counters_storage_bytes(agent->counters);
    /* The logs are in both. */
    uint64_t mapped = agent->drain ? drain_mapped_bytes(agent->drain) : 0;
    uint64_t resident = resident_bytes();
    return (resident > mapped ? resident - mapped : 0) + kernel_bytes;
}

const char *memory_owner_name(enum memory_owner owner)
{
    static const char *const names[MEMORY_OWNERS] = {
        [MEMORY_KERNEL_MAPS] = "kernel maps",
        [MEMORY_KERNEL_THREADS] = "threads in kernel",
        [MEMORY_SERIES] = "series",
        [MEMORY_PROCESSES] = "processes",
        [MEMORY_UNITS] = "units",
        [MEMORY_COUNTERS] = "counters",
        [MEMORY_ALLOCATIONS] = "allocations",
        [MEMORY_PROGRAM] = "program",
    };
    return names[owner];
}

static void fill_tables(const struct agent *agent, struct memory_figures figures[MEMORY_OWNERS])
{
    struct series_table_figures series = series_table_figures(agent->series);
    struct process_table_figures processes = process_table_figures(agent->processes);
    struct cgroup_units_figures units = cgroup_units_figures(agent->units);
    figures[MEMORY_SERIES] = (struct memory_figures){
        .bytes = series.bytes, .entries = series.series_count, .limit = series.max_bytes};
    figures[MEMORY_PROCESSES] =
        (struct memory_figures){.bytes = processes.bytes, .entries = processes.processes};
    figures[MEMORY_UNITS] = (struct memory_figures){.bytes = units.bytes, .entries = units.cgroups};
}

uint64_t memory_by_owner(struct agent *agent, struct memory_figures figures[MEMORY_OWNERS])
{
    uint64_t used = memory_used_bytes(agent);
    uint64_t known = 0;
    memset(figures, 0, MEMORY_OWNERS * sizeof(*figures));
    figures[MEMORY_KERNEL_MAPS].bytes = agent->map_bytes;
    if (agent->series && agent->processes && agent->units)
        fill_tables(agent, figures);
    if (agent->counters) {
        figures[MEMORY_KERNEL_THREADS].bytes = kernel_counters_storage_bytes(agent->counters);
        figures[MEMORY_COUNTERS].bytes = kernel_counters_bytes(agent->counters);
    }
    figures[MEMORY_ALLOCATIONS].bytes = heap_bytes(agent);
    for (unsigned i = 0; i < MEMORY_PROGRAM; i++)
        known += figures[i].bytes;
    /* Tables may hold pages that were never touched; then the sum is what they say. */
    figures[MEMORY_PROGRAM].bytes = used > known ? used - known : 0;
    used = known + figures[MEMORY_PROGRAM].bytes;
    for (unsigned i = 0; i < MEMORY_OWNERS; i++) {
        if (figures[i].bytes > agent->owner_peaks[i])
            agent->owner_peaks[i] = figures[i].bytes;
        figures[i].peak = agent->owner_peaks[i];
    }
    if (used > agent->memory_peak)
        agent->memory_peak = used;
    return used;
}

void memory_steer(struct agent *agent)
{
    uint64_t budget = agent->config->memory_budget_bytes;
    uint64_t usable = budget - budget / SLACK_DIVISOR;
    agent->map_bytes = agent->kernel ? kernel_side_map_bytes(agent->kernel) : 0;
    uint64_t used = memory_used_bytes(agent);
    struct series_table_figures figures = series_table_figures(agent->series);
    if (used > usable) { /* freed blocks may only wait in the allocator */
        malloc_trim(0);
        used = memory_used_bytes(agent);
    }
    agent->memory_used = used;
    struct memory_figures owners[MEMORY_OWNERS];
    (void)memory_by_owner(agent, owners); /* for the peaks */
    uint64_t others = used > figures.bytes ? used - figures.bytes : 0;
    uint64_t left = usable > others ? (usable - others) * SERIES_SHARE_PERCENT / 100 : 0;
    if (left < agent->sizing.series_min_bytes)
        left = agent->sizing.series_min_bytes;
    series_table_set_max_bytes(agent->series, left);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/memory.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

/* Kept free for what is allocated between two looks. */
#define SLACK_DIVISOR 16

/* Of what the other owners leave, the series may have this share: an answer about all of them
 * takes as much again while it is made and sent. */
#define SERIES_SHARE_PERCENT 40

uint64_t memory_resident_bytes(void)
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
    uint64_t resident = memory_resident_bytes();
    return (resident > mapped ? resident - mapped : 0) + kernel_bytes;
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
    uint64_t others = used > figures.bytes ? used - figures.bytes : 0;
    uint64_t left = usable > others ? (usable - others) * SERIES_SHARE_PERCENT / 100 : 0;
    if (left < agent->sizing.series_min_bytes)
        left = agent->sizing.series_min_bytes;
    series_table_set_max_bytes(agent->series, left);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who a task is, and whether a probe's filter lets it in. */
#pragma once

#include "kernel_compat.bpf.h"
#include "maps.bpf.h"

static __always_inline u32 task_start_tick(const struct task_struct *task)
{
    return (u32)(task->group_leader->start_boottime >> LORIS_START_TICK_SHIFT);
}

static __always_inline bool comm_equals(const char *comm, const char *wanted)
{
    for (int at = 0; at < LORIS_COMM_BYTES; at++) {
        if (comm[at] != wanted[at])
            return false;
        if (!comm[at])
            break;
    }
    return true;
}

/* Filter 0 admits everybody; a filter that cannot be read admits nobody. */
static __always_inline bool filter_admits(u32 filter_id, struct task_struct *task)
{
    if (filter_id == 0)
        return true;
    const struct loris_filter *filter = bpf_map_lookup_elem(&filters, &filter_id);
    if (!filter)
        return false;
    if (filter->flags & LORIS_FILTER_PIDS) {
        u32 pid = task->tgid;
        const u32 *mask = bpf_map_lookup_elem(&filter_pids, &pid);
        if (!mask || !(*mask & (1u << (filter_id & (LORIS_FILTERS_MAX - 1)))))
            return false;
    }
    if (filter->flags & LORIS_FILTER_CGROUP &&
        !task_under_cgroup(task, filter->cgroup_level, filter->cgroup_id))
        return false;
    if (filter->flags & LORIS_FILTER_COMM) {
        char comm[LORIS_COMM_BYTES];
        /* Loaded directly, it costs a start a millisecond for each program (see processes.bpf.c).
         */
        struct task_struct *leader = BPF_CORE_READ(task, group_leader);
        if (bpf_probe_read_kernel(comm, sizeof(comm), &leader->comm) ||
            !comm_equals(comm, filter->comm))
            return false;
    }
    return true;
}

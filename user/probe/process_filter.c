/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "probe/process_filter.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

static uint32_t bit_of(uint8_t id)
{
    return 1u << id;
}

static int add_pid(int pids_fd, int32_t pid, uint32_t bit, struct diag *reterr_diag)
{
    uint32_t key = (uint32_t)pid;
    uint32_t mask = 0;
    if (pid <= 0 || (kill(pid, 0) && errno == ESRCH))
        return diag_set(reterr_diag, ESRCH, "no process %d", pid);
    (void)bpf_map_lookup_elem(pids_fd, &key, &mask);
    mask |= bit;
    if (bpf_map_update_elem(pids_fd, &key, &mask, BPF_ANY))
        return diag_set(reterr_diag, errno, "cannot filter by process %d: %s", pid,
                        strerror(errno));
    return 0;
}

/* Takes the bit out of every listed process; those left without any are removed. */
static void remove_pids(int pids_fd, uint32_t bit)
{
    uint32_t key = 0, next = 0;
    bool more = bpf_map_get_next_key(pids_fd, NULL, &next) == 0;
    while (more) {
        uint32_t mask = 0;
        key = next;
        more = bpf_map_get_next_key(pids_fd, &key, &next) == 0;
        if (bpf_map_lookup_elem(pids_fd, &key, &mask) || !(mask & bit))
            continue;
        mask &= ~bit;
        if (mask)
            (void)bpf_map_update_elem(pids_fd, &key, &mask, BPF_EXIST);
        else
            (void)bpf_map_delete_elem(pids_fd, &key);
    }
}

static int set_follow(struct kernel_side *side, uint32_t bit, bool follow)
{
    struct loris_control control = kernel_side_control(side);
    if (follow)
        control.filter_follow_mask |= bit;
    else
        control.filter_follow_mask &= ~bit;
    return kernel_side_set_control(side, &control);
}

int process_filters_add(struct process_filters *filters, struct kernel_side *side,
                        const struct process_filter *filter, uint8_t *ret_id,
                        struct diag *reterr_diag)
{
    uint32_t id = 1;
    while (id < LORIS_FILTERS_MAX && filters->used & bit_of((uint8_t)id))
        id++;
    if (id == LORIS_FILTERS_MAX)
        return diag_set(reterr_diag, ENOSPC, "all %d filters are in use", LORIS_FILTERS_MAX - 1);
    uint32_t bit = bit_of((uint8_t)id);
    struct loris_filter kernel_filter = {
        .flags = (filter->pids_count ? (uint32_t)LORIS_FILTER_PIDS : 0) |
                 (filter->cgroup_id ? (uint32_t)LORIS_FILTER_CGROUP : 0) |
                 (filter->comm ? (uint32_t)LORIS_FILTER_COMM : 0) |
                 (filter->follow ? (uint32_t)LORIS_FILTER_FOLLOW : 0),
        .cgroup_level = filter->cgroup_level,
        .cgroup_id = filter->cgroup_id,
    };
    if (filter->comm)
        strncpy(kernel_filter.comm, filter->comm, sizeof(kernel_filter.comm) - 1);
    int pids_fd = kernel_side_map(side, KERNEL_MAP_FILTER_PIDS);
    int error = set_follow(side, bit, filter->follow);
    for (size_t i = 0; !error && i < filter->pids_count; i++)
        error = add_pid(pids_fd, filter->pids[i], bit, reterr_diag);
    if (!error &&
        bpf_map_update_elem(kernel_side_map(side, KERNEL_MAP_FILTERS), &id, &kernel_filter, 0))
        error = diag_set(reterr_diag, errno, "cannot set a filter: %s", strerror(errno));
    filters->used |= bit;
    if (error) {
        process_filters_remove(filters, side, (uint8_t)id);
        return error;
    }
    *ret_id = (uint8_t)id;
    return 0;
}

void process_filters_remove(struct process_filters *filters, struct kernel_side *side, uint8_t id)
{
    uint32_t bit = bit_of(id);
    if (id == 0 || !(filters->used & bit))
        return;
    (void)!set_follow(side, bit, false);
    remove_pids(kernel_side_map(side, KERNEL_MAP_FILTER_PIDS), bit);
    filters->used &= ~bit;
}

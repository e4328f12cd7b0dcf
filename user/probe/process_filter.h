/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Filters by process that the kernel side applies before a call is measured. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/kernel_side.h"

#define PROCESS_FILTER_PIDS_MAX 64

struct process_filter {
    const int32_t *pids; /* none: every process */
    size_t pids_count;   /* at most PROCESS_FILTER_PIDS_MAX */
    const char *comm;    /* of the process leader; NULL: any */
    const char *unit;    /* what cgroup_id was found by; NULL: nothing */
    uint64_t cgroup_id;  /* 0: any */
    uint32_t cgroup_level;
    bool follow; /* processes that listed ones fork are listed as well */
};

struct process_filter_use;

/* Zero-initialise. */
struct process_filters {
    /* By id, owned; NULL: free. Id 0 stands for everybody. */
    struct process_filter_use *uses[LORIS_FILTERS_MAX];
};

/* Frees the memory; what the kernel holds goes with its maps. */
void process_filters_done(struct process_filters *filters);
/* Sets up a filter in the kernel, or shares an equal one, whose processes all still live. ret_id:
 * for attach_request.filter; each add is undone by one remove. -ENOSPC: all are in use; -ESRCH: a
 * pid that does not exist; -EINVAL: a pid that is a thread; -E2BIG: too many pids. */
int process_filters_add(struct process_filters *filters, struct kernel_side *side,
                        const struct process_filter *filter, uint8_t *ret_id,
                        struct diag *reterr_diag) _must_check_;
void process_filters_remove(struct process_filters *filters, struct kernel_side *side, uint8_t id);
/* The cgroup that a filter lets in; 0: any. */
uint64_t process_filters_cgroup(const struct process_filters *filters, uint8_t id);
/* Lets another cgroup in, for all who share the filter: its unit was started again. */
int process_filters_retarget(struct process_filters *filters, struct kernel_side *side, uint8_t id,
                             uint64_t cgroup_id, uint32_t cgroup_level) _must_check_;

/* Whether pid is a process that lives: -ESRCH, or -EINVAL for a thread that is none, with a diag.
 */
int process_filter_check_pid(int32_t pid, struct diag *reterr_diag) _must_check_;

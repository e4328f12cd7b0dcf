/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Filters by process that the kernel side applies before a call is measured. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/kernel_side.h"

struct process_filter {
    const int32_t *pids; /* none: every process */
    size_t pids_count;
    const char *comm;   /* of the process leader; NULL: any */
    uint64_t cgroup_id; /* 0: any */
    uint32_t cgroup_level;
    bool follow; /* processes that listed ones fork are listed as well */
};

struct process_filters {
    uint32_t used; /* bit per filter id; id 0 stands for everybody */
};

/* Sets up a filter in the kernel. ret_id: for attach_request.filter. -ENOSPC: all are in use;
 * -ESRCH: a pid that does not exist. */
int process_filters_add(struct process_filters *filters, struct kernel_side *side,
                        const struct process_filter *filter, uint8_t *ret_id,
                        struct diag *reterr_diag) _must_check_;
void process_filters_remove(struct process_filters *filters, struct kernel_side *side, uint8_t id);

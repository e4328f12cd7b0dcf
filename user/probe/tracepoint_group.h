/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tracepoint programs that several probes share: attached while anybody uses their group. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/kernel_side.h"
#include "probe/link_set.h"

enum tracepoint_group_kind {
    TRACEPOINTS_BLOCK_IO, /* the first four in the order of enum loris_span */
    TRACEPOINTS_RUN_QUEUE,
    TRACEPOINTS_SOFTIRQ,
    TRACEPOINTS_IRQ,
    TRACEPOINTS_SYSCALLS,
    TRACEPOINTS_LIFE, /* of processes and cgroups */
    TRACEPOINT_GROUPS,
};

struct tracepoint_group {
    uint32_t users;
    bool paused; /* it has users, and its links are closed for a while */
    struct link_set links;
};

struct tracepoint_groups {
    struct tracepoint_group groups[TRACEPOINT_GROUPS];
};

/* -EOPNOTSUPP: this kernel lacks one of the group's tracepoints (for LIFE: those of cgroups may be
 * missing). */
int tracepoint_groups_use(struct tracepoint_groups *groups, struct kernel_side *side,
                          enum tracepoint_group_kind kind, struct diag *reterr_diag) _must_check_;
void tracepoint_groups_leave(struct tracepoint_groups *groups, enum tracepoint_group_kind kind);
/* Closes the links and makes them again, while the users stay. -ENOENT: nobody uses the group. */
int tracepoint_groups_pause(struct tracepoint_groups *groups,
                            enum tracepoint_group_kind kind) _must_check_;
int tracepoint_groups_resume(struct tracepoint_groups *groups, struct kernel_side *side,
                             enum tracepoint_group_kind kind,
                             struct diag *reterr_diag) _must_check_;
void tracepoint_groups_done(struct tracepoint_groups *groups);

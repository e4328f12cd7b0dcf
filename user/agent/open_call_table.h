/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Calls in flight, oldest first. */
#pragma once

#include "agent/agent.h"
#include "ingest/task_walk.h"

#define OPEN_CALLS_LISTED_MAX 10000

struct open_call_table {
    struct loris_open_call *calls; /* oldest first, at most OPEN_CALLS_LISTED_MAX */
    size_t count;
    size_t capacity;
    uint64_t total;      /* also those not listed */
    uint64_t *per_probe; /* by id */
    uint64_t *oldest_ns; /* start of the oldest by id, 0: none */
    uint64_t *in_series; /* calls that the series of a probe hold, by id */
    bool sessions_known; /* calls of uprobe sessions are among them */
};

/* Walks all tasks and all series; open calls that this kernel cannot list are not there. -ENOMEM.
 */
int open_call_table_read(struct agent *agent, struct open_call_table *table) _must_check_;
/* Whether probes are attached whose open calls the kernel keeps. */
bool open_call_table_has_sessions(const struct agent *agent);
void open_call_table_done(struct open_call_table *table);

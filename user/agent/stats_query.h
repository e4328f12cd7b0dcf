/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes the rows of an answer: which series, over which time, grouped how; and the marks. */
#pragma once

#include "agent/agent.h"
#include "export/series_json.h"

struct open_call_table;

struct stats_query {
    const char *probe_glob; /* NULL: all */
    enum config_group by;
    uint64_t window_ns; /* sliding window */
    bool since_start;   /* instead */
    bool since_mark;    /* instead, and sets the connection's mark anew */
    bool final;
    bool with_uncalled; /* by none: probes without a call have a row, too */
    uint32_t pid;       /* 0: all */
    uint64_t limit;
    uint64_t connection; /* whose mark */
    /* Read just now, after a drain, for several answers; NULL: both are done for this one. */
    const struct open_call_table *open_calls;
};

struct stats_answer {
    struct series_json *series; /* busiest first by summed time */
    size_t count;
    size_t truncated;
    struct rollup **rollups; /* own the rows */
    char time[32];           /* that of all series */
    size_t rollups_count;
};

/* Drains first, so that the answer covers every call that returned before.
 * -ENOMEM. */
int stats_answer_make(struct agent *agent, const struct stats_query *query,
                      struct stats_answer *ret_answer) _must_check_;
void stats_answer_done(struct stats_answer *answer);

int stats_mark_set(struct agent *agent, uint64_t connection, enum config_group by) _must_check_;
/* The connection has a mark of this grouping. */
bool stats_mark_fits(const struct agent *agent, uint64_t connection, enum config_group by);
void stats_mark_forget(struct agent *agent, uint64_t connection);
void stats_mark_forget_first(struct agent *agent);

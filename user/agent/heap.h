/* SPDX-License-Identifier: GPL-2.0-or-later */
/* heap: targets at run time: attaching, what ended processes leave, and what it all costs. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aggregate/heap_table.h"
#include "ingest/heap_counters.h"
#include "probe/hazards.h"
#include "probe/heap_watch.h"
#include "probe/link_set.h"
#include "probe/probe_set.h"

struct agent;

/* A target that is attached. */
struct heap_target {
    uint32_t id;              /* of loris_heap_key; 0: the slot is free */
    struct heap_watch *watch; /* NULL: its file was rewritten, and cannot be watched again yet */
    struct heap_watch *older; /* of the file that was there before */
    struct attach_request request;
    uint64_t calls; /* at the last upkeep */
    double rate_per_s;
    double cost_ratio; /* of one CPU */
    bool is_dear_told;
    uint64_t wait_ns; /* between two looks for a file that can be watched; 0: it is watched */
    uint64_t look_ns; /* the next one */
};

struct agent_heap {
    struct heap_target targets[LORIS_HEAP_TARGETS_MAX]; /* by slot */
    uint32_t generation;                                /* of the last target's id */
    struct link_set life; /* follows processes while there is a target */
    struct hazards hazards;
    struct heap_counters *counters;
    struct heap_table *live;   /* rows at the last upkeep; HEAP_PROCESS */
    struct heap_table *folded; /* what ended processes left; HEAP_UNIT */
    bool sweep_due;            /* address spaces went since the last sweep began */
    bool is_sweeping;
    uint64_t upkeep_ns;
};

/* Attaches a heap: target and makes what it needs when it is the first. */
int heap_attach(struct agent *agent, const struct attach_request *request,
                struct attach_report *report, struct diag *reterr_diag) _must_check_;
/* False: there is no such target. Its numbers go. */
bool heap_detach(struct agent *agent, const char *text);
void heap_done(struct agent *agent);
bool heap_is_idle(const struct agent *agent); /* nothing is attached */
/* Once a second, and before an answer: reads the rows, folds what ended, takes out blocks that went
 * with their processes. */
void heap_upkeep(struct agent *agent, uint64_t now_ns);
double heap_cost(const struct agent *agent); /* share of one CPU */
uint64_t heap_bytes(const struct agent *agent);
struct heap_target *heap_target_find(struct agent_heap *heap, uint32_t id); /* may be NULL */
/* The unit of a process, as HEAP_UNIT's who. */
uint64_t heap_unit_of(struct agent *agent, uint32_t pid, uint32_t start_tick);

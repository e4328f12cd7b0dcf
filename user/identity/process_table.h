/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who a pid is or was: name, unit, parent; and the fold order process -> name -> unit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ownership.h"

struct process_id {
    uint32_t pid;
    uint32_t start_tick; /* loris/event.h */
};

struct process {
    struct process_id id;
    struct process_id parent;
    char comm[17];    /* sanitized */
    uint32_t comm_id; /* interned comm */
    uint32_t unit_id; /* interned unit */
    bool exited;
    uint64_t exited_ns;
};

struct process_table_config {
    uint32_t max_processes; /* 1 .. 2^24 - 1, live and remembered; the least recently exited is
                               forgotten first, then the least recently updated or found (CLOCK) */
    uint32_t max_names;     /* 0 .. 2^24 - 1; interned comms and unit names each, ids are kept for
                               ever; the rest becomes "(other)" */
    uint64_t hash_seed;
};

struct process_table_figures {
    uint64_t processes, processes_live, names, bytes;
    uint64_t hits, misses;  /* of process_table_find */
    uint64_t forgotten;     /* evicted before they exited */
    uint64_t names_refused; /* updates whose comm or unit became "(other)" */
    uint64_t names_hit;     /* updates whose comm or unit was known */
    uint64_t max_processes, max_names, names_bytes;
};

/* 68 to 76 bytes a process, in steps, and the names. A table never shrinks. */
struct process_table;

int process_table_new(const struct process_table_config *config,
                      struct process_table **ret_table) _must_check_;
void process_table_free(struct process_table *table);
DEFINE_CLEANUP(struct process_table *, process_table_free);

/*
 * A process was forked, execed, renamed, moved or found running. unit is its cgroup's unit name
 * (cgroup_units_name). comm (16 bytes or up to its NUL) and unit are sanitized here; NULL keeps
 * what is known. The parent is that of the first update that has one. Once exited, a process stays
 * as it is: what comes then is an older record from another CPU's ring. -ENOMEM when there is no
 * memory even after forgetting.
 */
int process_table_update(struct process_table *table, struct process_id id,
                         struct process_id parent, const char *comm, const char *unit,
                         uint64_t now_ns) _must_check_;
/* No-op when unknown: update first, the fork's record may still wait in another CPU's ring.
 * now_ns does not decrease from call to call. */
void process_table_exit(struct process_table *table, struct process_id id, uint64_t now_ns);

/* Looks on while a process is still in the table; may find, but not update, exit or reap. */
typedef void (*process_fn)(const struct process *process, void *context);
/* Forgets processes that exited before `before_ns`, at most max; calls back for each before it is
 * gone, so that its series can be folded. Returns how many. O(1) when there is nothing to do. */
uint32_t process_table_reap(struct process_table *table, uint64_t before_ns, uint32_t max,
                            process_fn on_reap, void *context);
/* Called with a process that has to be forgotten to make room (its series are folded then). */
void process_table_on_forget(struct process_table *table, process_fn on_forget, void *context);

/* One hash probe; valid until the next update or reap. */
const struct process *process_table_find(struct process_table *table, struct process_id id);
/* Whether it is in the table; no look-up that counts. */
bool process_table_knows(const struct process_table *table, struct process_id id);
/* Interned strings by id; id 0 is "(other)". Never NULL. */
const char *process_table_comm(const struct process_table *table, uint32_t comm_id);
const char *process_table_unit(const struct process_table *table, uint32_t unit_id);
struct process_table_figures process_table_figures(const struct process_table *table);

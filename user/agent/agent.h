/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The agent: owns all stages, the event loop and the life cycle; the only place that sees all. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "agent/config.h"
#include "agent/line_output.h"
#include "agent/sizing.h"
#include "aggregate/series_table.h"
#include "identity/cgroup_units.h"
#include "identity/process_table.h"
#include "ingest/drain.h"
#include "ingest/kernel_counters.h"
#include "probe/probe_set.h"
#include "probe/process_filter.h"
#include "query/varlink_server.h"

/* A filter and who asked for it, so that it goes when its last target goes. */
struct agent_target {
    struct config_target wanted;
    uint8_t filter;
    bool attached;
    struct diag refusal; /* why not */
};

/* What the agent's side of a probe's ledger counts. */
struct agent_probe {
    uint64_t attached_ns; /* CLOCK_MONOTONIC */
    uint64_t decoded;
    uint64_t malformed;
    uint8_t wanted_shift; /* sample_shift of its target */
    uint32_t stretch;     /* what each call stands for, itself included */
    /* Calls that are in the series for those that nobody saw, while the probe was detached for part
     * of the time. */
    uint64_t unobserved;
    uint64_t detached_ns;       /* that it was detached for a while, in sum */
    uint64_t unobserved_before; /* at the end of the last burst */
    double unobserved_variance; /* of that number, as the bursts disagree */
    double unobserved_unsure;   /* of it, what was estimated before the bursts could be compared */
    double unobserved_missed;   /* as a share of that, what may have been called beside */
    double unobserved_doubt;    /* what it may be off by beside, 95 % */
    uint64_t rate_count;        /* calls at the last rate sample */
    double rate_per_s;
};

/* Who holds memory; memory.h. */
enum memory_owner {
    MEMORY_KERNEL_MAPS,
    MEMORY_KERNEL_THREADS,
    MEMORY_SERIES,
    MEMORY_PROCESSES,
    MEMORY_UNITS,
    MEMORY_COUNTERS,
    MEMORY_ALLOCATIONS, /* what heap targets tell of */
    MEMORY_PROGRAM,     /* what no other owner has */
    MEMORY_OWNERS,
};

struct agent_heap;
struct agent_kmem;
struct agent_mark;
struct alerts;
struct attach_survey;
struct folder_watch;
struct service_manager;

struct agent {
    sd_event *event;
    struct config *config;
    const char *config_path; /* NULL: private agent */
    bool socket_was_given;   /* on the command line: the configuration's does not matter */
    bool budget_was_given;   /* the same */
    struct sizing sizing;
    uint64_t started_ns; /* CLOCK_MONOTONIC */
    int exit_code;

    /* Made when the first target comes. */
    struct kernel_side *kernel;
    struct probe_set *probes;
    struct drain *drain;
    struct kernel_counters *counters;
    struct series_table *series;
    struct process_table *processes;
    struct cgroup_units *units;
    struct agent_probe *probe_states; /* by id */
    struct process_filters filters;
    struct calibrator *calibrator;
    struct steer *steer;
    struct agent_heap *heap; /* heap.h; made when the first such target comes */
    struct agent_kmem *kmem; /* kmem.h; the same */

    struct agent_target **targets; /* attached and refused ones */
    size_t targets_count;

    struct service_manager *manager; /* NULL: nobody to tell */
    struct varlink_server *server;
    struct line_output *summaries;
    struct alerts *alerts; /* NULL: a private agent has none */
    struct agent_mark *marks;
    struct attach_survey *survey; /* made by the first Doctor */
    struct folder_watch *folders;
    size_t folders_count;

    sd_event_source *drain_timer;
    sd_event_source *summary_timer;
    sd_event_source *refresh_timer;
    sd_event_source *prepare;  /* what the first question would wait for */
    sd_event_source *retry;    /* a unit came that refused targets wait for */
    uint64_t refresh_asked_ns; /* since when it is due */
    sd_event_source **ring_sources;
    size_t ring_sources_count;

    struct diag reload_failure; /* why the last reload changed nothing; empty when it did */

    uint64_t look_ns;           /* last time that watched files were looked at */
    uint64_t upkeep_ns;         /* last time of the once-a-second work */
    double upkeep_cpu_s;        /* agent_cpu_s() then */
    double cpu_ratio;           /* that the agent took between the last two, of one CPU */
    uint64_t drain_longest_ns;  /* pass since alerts looked at it */
    uint64_t retries;           /* attempts to attach or to write that failed, to be made again */
    uint64_t wakeups;           /* by half-full rings and logs */
    uint64_t memory_used;       /* at the last upkeep */
    uint64_t map_bytes;         /* of all kernel maps, then: reading it takes a file for each */
    uint64_t calls;             /* of all probes that are there, at the last upkeep */
    uint64_t unknown_latencies; /* records of probes that do not exist */

    uint64_t memory_peak; /* the most that any look found, and of each owner */
    uint64_t owner_peaks[MEMORY_OWNERS];
};

uint64_t agent_now_ns(void);
double agent_cpu_s(void); /* that this process has taken */

/* --- agent.c --- */
int agent_new(struct config *config, const char *config_path,
              struct agent **ret_agent) _must_check_;
void agent_free(struct agent *agent);
DEFINE_CLEANUP(struct agent *, agent_free);
/* Loads the kernel side and makes the tables, once. */
int agent_ready_kernel(struct agent *agent, struct diag *reterr_diag) _must_check_;

/* --- pump.c: from the rings into the tables --- */
int pump_start(struct agent *agent) _must_check_;
void pump_stop(struct agent *agent);
/* Takes over everything that was submitted by now, and the kernel-side sketches. */
void pump_catch_up(struct agent *agent);
struct series_key pump_parent(struct series_key key, void *context);

/* --- targets.c --- */
int targets_attach(struct agent *agent, const struct config_target *wanted,
                   struct attach_report *report, struct diag *reterr_diag) _must_check_;
uint32_t targets_detach(struct agent *agent, const char *text);
/* A target that was refused need not stay in the status. */
void targets_forget_refused(struct agent *agent, const char *text);
/* What was asked for by this text, or NULL. */
const struct config_target *targets_wanted(struct agent *agent, const char *text);
/* Attaches what the configuration asks for; says what is refused. */
void targets_attach_configured(struct agent *agent);
void targets_reload(struct agent *agent, const struct config *fresh);
/* How many should be watched and are not. */
size_t targets_refused(const struct agent *agent);
/* Whether functions are or will be attached through single probes: the kernel takes no link for
 * many, or the configuration asks for them. May try the kernel, which takes up to 0.1 s. */
bool targets_need_single_probes(struct agent *agent);
/* A cgroup is there: filters of its unit follow, refused targets that wait for it are tried. */
void targets_on_cgroup(struct agent *agent, uint64_t cgroup_id, const char *path);
void targets_done(struct agent *agent);

/* --- folders.c: notices replaced files --- */
void folders_follow(struct agent *agent);
/* Looks whether files were replaced, where no folder told of it: a flipped symbolic link, a folder
 * made anew. */
void folders_look(struct agent *agent);
void folders_done(struct agent *agent);

/* --- answers --- */
extern const struct varlink_method agent_methods[];
void answers_connection_closed(uint64_t connection_id, void *context);
void answers_done(struct agent *agent);

/* --- reload.c --- */
/* Takes the configuration over that is in its file now. On failure nothing has changed; all is
 * logged and told to the service manager. -EOPNOTSUPP: a private agent has none. */
int reload_configuration(struct agent *agent, struct diag *reterr_diag) _must_check_;

/* --- summaries.c --- */
int summaries_start(struct agent *agent, struct diag *reterr_diag) _must_check_;
void summaries_stop(struct agent *agent);

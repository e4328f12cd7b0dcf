/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by the files of probe_set and those that attach one kind of target each. */
#pragma once

#include "probe/hazards.h"
#include "probe/linked_places.h"
#include "probe/place_list.h"
#include "probe/probe_set.h"
#include "probe/tracepoint_group.h"
#include "probe/watched_file.h"

/* A target and what holds it attached. */
struct watch {
    struct attach_request request;
    uint32_t *probes; /* ids, in the order in which they were made */
    size_t probes_count;
    size_t probes_capacity;
    uint32_t groups; /* bit per enum tracepoint_group_kind that it uses */
    /* user and usdt targets by path or soname */
    char *path; /* that the object was resolved to last */
    struct watched_files files;
    /* the files that a process had mapped; or one that stands for the kernel */
    struct watched_file *others;
    size_t others_count;
};

struct probe_entry {
    struct probe probe; /* strings owned here */
    char *name, *target, *object;
    struct watch *watch; /* NULL: detached */
    bool own_links;      /* none of its places is linked together with others */
    uint32_t round;      /* of the last walk over places that came by */
};

/* Probes whose links a process apart is closing: until then their ids must not be others'. */
struct detaching {
    int done_fd;
    uint32_t *ids;
    size_t count;
};

struct probe_set {
    struct kernel_side *side;
    probe_admit_fn on_admit;
    void *context;
    probe_enable_fn on_enable;
    void *enable_context;
    uint64_t hash_seed;
    struct probe_entry **entries; /* by id, NULL when free */
    uint32_t *name_index;         /* open addressing by name; id + 1, 0 empty */
    uint32_t name_mask;
    uint16_t *generations; /* by id: how often it was used before */
    bool *held;            /* by id: see struct detaching */
    struct detaching *detachings;
    size_t detachings_count;
    uint32_t capacity;
    uint32_t lowest_free; /* no id below is free */
    uint32_t end;         /* of the ids used so far */
    uint32_t attached;
    uint32_t round;
    struct watch **watches;
    size_t watches_count;
    struct tracepoint_groups tracepoints;
    struct attach_trials trials;
    struct hazards hazards;
};

/* --- watch_files.c --------------------------------------------------------------------------- */

/* All files of the watch, one after the other; NULL after the last. */
struct watched_file *watch_file_at(struct watch *watch, size_t index);
/* Takes the file, and leaves it empty. -ENOMEM. */
int watch_add_other(struct watch *watch, struct watched_file *file) _must_check_;
/* Closes all links and forgets all files. */
void watch_let_go(struct watch *watch);

/* --- probe_entry.c: ids, names and knobs --------------------------------------------------- */

void probe_entry_free(struct probe_entry *entry);
DEFINE_CLEANUP(struct probe_entry *, probe_entry_free);
/*
 * The probe of this name within the watch, made when it is new. -EEXIST: another target has it,
 * -ENOSPC: no free id, or no room for its series.
 */
int probe_set_make(struct probe_set *set, struct watch *watch, const char *name, const char *object,
                   uint32_t *ret_id, struct diag *reterr_diag) _must_check_;
/* Counts a place of the probe, attached by this kind. */
void probe_set_placed(struct probe_set *set, const struct attach_place *place,
                      enum attach_kind kind);
/* Remembers where the first entry probe goes and why; called before probe_set_placed. */
void probe_set_tell_placement(struct probe_set *set, uint32_t id,
                              const struct placement *placement);
/* Takes back one place. */
void probe_set_unplaced(struct probe_set *set, uint32_t id);
/* The kernel side gets the knobs of these probes, in one system call where it can. */
int probe_set_write_knobs(struct probe_set *set, const uint32_t *ids, size_t count) _must_check_;
/* Stops these probes, which are the watch's no more. */
void probe_set_mark_detached(struct probe_set *set, const uint32_t *ids, size_t count);

/* Keeps the ids from others until done_fd, which it takes, is at its end. */
void probe_set_hold_ids(struct probe_set *set, int done_fd, const uint32_t *ids, size_t count);
void probe_set_forget_held(struct probe_set *set);

/* --- probe_pause.c: links that come and go ------------------------------------------------- */

/* Makes the links that the file's places lack, but for those of paused probes. The job's links are
 * not looked at. */
int probe_set_link(struct probe_set *set, struct watched_file *file, const struct attach_job *job,
                   struct diag *reterr_diag) _must_check_;
/* Tries again what could not be linked after an isolation. */
void probe_set_mend(struct probe_set *set, struct watch *watch);
/* Whether the probe's places must not be linked with those of others. */
bool probe_set_is_own(const struct probe_set *set, uint32_t id);

/* --- probe_set.c --------------------------------------------------------------------------- */

/* Lets the watch's probes that got a place count from now on; returns how many did. */
uint32_t probe_set_enable(struct probe_set *set, struct watch *watch);
int probe_set_attach_by_kind(struct probe_set *set, struct watch *watch,
                             struct attach_report *report, struct diag *reterr_diag) _must_check_;
/* Whether this kernel has the hazard; tries it the first time. */
bool probe_set_has_hazard(struct probe_set *set, enum hazard hazard);

/* --- one kind of target each --------------------------------------------------------------- */

/* Each resolves the watch's target, makes its probes and links them. */
int watch_attach_user(struct probe_set *set, struct watch *watch, struct attach_report *report,
                      struct diag *reterr_diag) _must_check_;
int watch_attach_usdt(struct probe_set *set, struct watch *watch, struct attach_report *report,
                      struct diag *reterr_diag) _must_check_;
int watch_attach_kernel(struct probe_set *set, struct watch *watch, struct attach_report *report,
                        struct diag *reterr_diag) _must_check_;
/* Syscalls and spans share their tracepoints; the probe_set keeps those links. */
int watch_attach_syscalls(struct probe_set *set, struct watch *watch, struct attach_report *report,
                          struct diag *reterr_diag) _must_check_;
int watch_attach_span(struct probe_set *set, struct watch *watch, struct attach_report *report,
                      struct diag *reterr_diag) _must_check_;
/* Of the probe's tracepoints; TRACEPOINT_GROUPS: it has none. */
enum tracepoint_group_kind watch_group_of(const struct probe *probe);
/* Takes a probe out of the kernel's tables of syscalls and spans. */
void watch_clear_tables(struct kernel_side *side, const struct probe *probe);

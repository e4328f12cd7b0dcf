/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Shared by probe_set.c and the files that attach one kind of target each. */
#pragma once

#include "probe/attach_places.h"
#include "probe/hazards.h"
#include "probe/link_set.h"
#include "probe/place_list.h"
#include "probe/probe_set.h"
#include "probe/tracepoint_group.h"
#include "probe/watched_file.h"

/* A target and what holds it attached. */
struct watch {
    struct attach_request request;
    struct link_set links; /* but those of files */
    uint32_t *probes;      /* ids, in the order in which they were made */
    size_t probes_count;
    size_t probes_capacity;
    uint32_t groups; /* bit per enum tracepoint_group_kind that it uses */
    /* user and usdt targets by path or soname */
    char *path; /* that the object was resolved to last */
    struct watched_files files;
};

struct kernel_side *probe_set_side(struct probe_set *set);
struct tracepoint_groups *probe_set_tracepoints(struct probe_set *set);
struct attach_trials *probe_set_trials(struct probe_set *set);
/* Whether this kernel has the hazard; tries it the first time. */
bool probe_set_has_hazard(struct probe_set *set, enum hazard hazard);

/*
 * The probe of this name within the watch, made when it is new. -EEXIST: another target has it,
 * -ENOSPC: no free id, or no room for its series. ret_name: the name, owned by the probe.
 */
int probe_set_make(struct probe_set *set, struct watch *watch, const char *name, const char *object,
                   uint32_t *ret_id, struct diag *reterr_diag) _must_check_;
/* Counts a place of the probe, attached by this kind. */
void probe_set_placed(struct probe_set *set, uint32_t id, enum attach_kind kind, uint64_t offset);
/* Takes back one place. */
void probe_set_unplaced(struct probe_set *set, uint32_t id);

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
/* Takes a probe out of the kernel's tables of syscalls and spans. */
void watch_clear_tables(struct kernel_side *side, const struct probe *probe);

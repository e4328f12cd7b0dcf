/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An allocator that is watched: the functions of one object, or of all that a process has mapped,
 * and what holds them attached. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/attach_kind.h"
#include "probe/attach_report.h"
#include "probe/probe_placement.h"
#include "probe/target.h"

struct heap_watch_request {
    const struct target *target; /* TARGET_HEAP */
    enum attach_kind attach;     /* auto, uprobe-multi or uprobe */
    uint32_t heap_target;        /* of the cookies, see loris/heap.h */
    uint8_t filter;
    bool force;        /* return probes where an exception may pass */
    bool spare_return; /* return probes end programs on this kernel */
    struct placement_options placement;
};

struct heap_watch;

/* Attaches; the report holds what was refused besides. -ENOENT: no function that allocates;
 * -EOPNOTSUPP, ... with a diag. */
int heap_watch_new(struct kernel_side *side, struct attach_trials *trials,
                   const struct heap_watch_request *request, struct attach_report *report,
                   struct heap_watch **ret_watch, struct diag *reterr_diag) _must_check_;
/* Detaches. */
void heap_watch_free(struct heap_watch *watch);
DEFINE_CLEANUP(struct heap_watch *, heap_watch_free);

enum heap_watch_state {
    HEAP_WATCH_CURRENT,
    HEAP_WATCH_REPLACED,  /* its path means another file by now; processes may run on the old one */
    HEAP_WATCH_REWRITTEN, /* its places may be anywhere: it must be let go at once */
};
enum heap_watch_state heap_watch_state(const struct heap_watch *watch);

/* Functions that are attached. */
uint32_t heap_watch_functions(const struct heap_watch *watch);
enum attach_kind heap_watch_kind(const struct heap_watch *watch);
/* The file, "" for those of a process. */
const char *heap_watch_path(const struct heap_watch *watch);

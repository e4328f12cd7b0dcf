/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The rungs of the attach ladder, and which of them this kernel really takes. */
#pragma once

#include <stdbool.h>

#include "base/diag.h"
#include "probe/kernel_side.h"

enum attach_kind {
    ATTACH_AUTO, /* the ladder chooses */
    ATTACH_FENTRY,
    ATTACH_KPROBE,
    ATTACH_KPROBE_MULTI,
    ATTACH_KPROBE_SESSION,
    ATTACH_UPROBE,
    ATTACH_UPROBE_MULTI,
    ATTACH_UPROBE_SESSION,
    ATTACH_UPROBE_EXITS, /* entry and return instructions; leaves the return address alone */
    ATTACH_RAW_TRACEPOINT,
    ATTACH_TRACEPOINTS, /* BTF tracepoints of a span */
    ATTACH_KINDS,
};

/* "fentry", "uprobe-multi", ... */
const char *attach_kind_name(enum attach_kind kind);
int attach_kind_parse(const char *word, enum attach_kind *ret_kind) _must_check_; /* -EINVAL */

/* One link a place, through perf events. */
static inline bool attach_kind_is_single(enum attach_kind kind)
{
    return kind == ATTACH_UPROBE || kind == ATTACH_KPROBE;
}

/* What was tried before, since removing a trial probe takes 20 to 40 ms. Zero at first. */
struct attach_trials {
    bool tried[ATTACH_KINDS];
    int outcome[ATTACH_KINDS];
    struct diag refusal[ATTACH_KINDS];
};

/* Tries user-function kinds on a function of this program, kernel kinds on one that every kernel
 * has; the first time takes milliseconds. -EOPNOTSUPP with the reason. */
int attach_kind_try(struct attach_trials *trials, struct kernel_side *side, enum attach_kind kind,
                    struct diag *reterr_diag) _must_check_;
/* The kernel took a link of this kind, which is better than a trial. */
void attach_kind_took(struct attach_trials *trials, enum attach_kind kind);
bool attach_kind_refused(const struct attach_trials *trials, enum attach_kind kind);

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Attaches many places of one file, or many kernel functions, with as few links as the kernel
 * takes. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe/attach_kind.h"
#include "probe/link_set.h"

struct attach_place {
    uint64_t offset;    /* user: where the probe sits in the file */
    uint64_t semaphore; /* user: file offset of the mark's semaphore, 0 without one */
    const char *name;   /* for messages; kernel: the function */
    uint32_t probe;
};

/* A place that the kernel refused; the others go on. */
typedef void (*attach_refused_fn)(const struct attach_place *place, int error, void *context);

struct attach_job {
    struct kernel_side *side;
    struct attach_trials *trials;
    struct link_set *links;
    attach_refused_fn on_refused;
    void *context;
};

/*
 * Each attaches all places of one kind, or says with -EOPNOTSUPP that this kernel lacks the kind
 * (nothing is left attached then). Where some places are refused, the range is halved until they
 * are found, so n places with r bad ones take about r log n links.
 */
int attach_user_functions(const struct attach_job *job, enum attach_kind kind, const char *path,
                          const struct attach_place *places, size_t count,
                          struct diag *reterr_diag) _must_check_;
/* Entries and their exits, which are places as well: of the same probes, in any number. */
int attach_user_exits(const struct attach_job *job, const char *path,
                      const struct attach_place *entries, size_t entry_count,
                      const struct attach_place *exits, size_t exit_count,
                      struct diag *reterr_diag) _must_check_;
int attach_user_marks(const struct attach_job *job, const char *path,
                      const struct attach_place *begins, size_t begin_count,
                      const struct attach_place *ends, size_t end_count,
                      struct diag *reterr_diag) _must_check_;
/* Of allocators: multi or single links to three sets of places, the last two of which may be
 * empty. Frees are entered only; what cannot have a return probe has exits. */
struct heap_places {
    const struct attach_place *entries, *returns, *exits;
    size_t entry_count, return_count, exit_count;
};
int attach_heap_functions(const struct attach_job *job, enum attach_kind kind, const char *path,
                          const struct heap_places *places, struct diag *reterr_diag) _must_check_;
int attach_kernel_functions(const struct attach_job *job, enum attach_kind kind,
                            const struct attach_place *places, size_t count,
                            struct diag *reterr_diag) _must_check_;

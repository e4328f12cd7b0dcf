/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What could be watched: everything that a target pattern means, with the target to give. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "probe/probe_placement.h"

#define LISTING_LIMIT_DEFAULT 1000

struct listing {
    const char *target;   /* what to give to watch */
    const char *kind;     /* "syscall", "kernel", "user", "usdt", "span" */
    const char *object;   /* path; NULL where there is none: offset and size are 0 then */
    uint64_t file_offset; /* of the function or mark */
    uint64_t size_bytes;  /* 0: unknown */
    const char *note;     /* why it is refused, or what to know; NULL: nothing */
    const struct placement *placement; /* NULL: not asked for, or no user function */
};

struct listing_request {
    const char *pattern;
    size_t limit;
    const struct placement_options *placement; /* NULL: do not ask where probes would go */
};

/* Over all that matched, beyond the limit too. */
struct listing_totals {
    size_t matched;
    size_t placed; /* functions of which the place was asked for */
    size_t cheap_at_entry;
    size_t cheap;
};

/* The listing is valid during the call. */
typedef void (*listing_fn)(const struct listing *listing, void *context);

/*
 * pattern: kernel:GLOB, user:OBJECT[:GLOB], user:pid:N[:GLOB], usdt:OBJECT[:GLOB], syscall:GLOB,
 * span:GLOB, or a word or glob alone, which is looked for among syscalls, spans and kernel
 * functions. Calls back for the first limit of them. Reads files: up to seconds for a large object
 * and a C++ pattern.
 * -ENOENT with the nearest names when there is nothing; -EINVAL for what is no pattern.
 */
int listing_find(const struct listing_request *request, listing_fn on_listing, void *context,
                 struct listing_totals *ret_totals, struct diag *reterr_diag) _must_check_;

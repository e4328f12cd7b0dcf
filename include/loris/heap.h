/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel side counts of allocators: one row for each process and target. */
#pragma once

#include <linux/types.h>

#define LORIS_HEAP_TARGETS_MAX 16 /* watched at one time */

/* Which of a family of functions was called; the order is that of the answers. */
enum loris_heap_function {
    LORIS_HEAP_MALLOC = 0,
    LORIS_HEAP_CALLOC,
    LORIS_HEAP_REALLOC,
    LORIS_HEAP_REALLOCARRAY,
    LORIS_HEAP_POSIX_MEMALIGN,
    LORIS_HEAP_ALIGNED_ALLOC,
    LORIS_HEAP_MEMALIGN,
    LORIS_HEAP_VALLOC,
    LORIS_HEAP_PVALLOC,
    LORIS_HEAP_NEW,
    LORIS_HEAP_FREE, /* from here on: only entered */
    LORIS_HEAP_DELETE,
    LORIS_HEAP_FUNCTIONS,
};

#define LORIS_HEAP_RELEASES LORIS_HEAP_FREE

/*
 * The cookie of an attached place: function, filter, and the target, which is a slot below
 * LORIS_HEAP_TARGETS_MAX and a generation that tells it from former targets of the slot.
 */
#define LORIS_HEAP_FUNCTION_BITS 4
#define LORIS_HEAP_FILTER_BITS   5
#define LORIS_HEAP_SLOT_BITS     4
#define LORIS_HEAP_TARGET_SHIFT  (LORIS_HEAP_FUNCTION_BITS + LORIS_HEAP_FILTER_BITS)

static inline __u32 loris_heap_cookie(__u32 target, __u32 filter, __u32 function)
{
    return target << LORIS_HEAP_TARGET_SHIFT | filter << LORIS_HEAP_FUNCTION_BITS | function;
}

struct loris_heap_key {
    __u32 target;
    __u32 pid;
    __u32 start_tick; /* loris/event.h */
};

/*
 * Counts since the target was attached. At rest, with allocations = calls of what allocates -
 * failures - released_by_realloc:
 *
 *     live_count = allocations - resized - untracked - frees - vanished
 *     calls[FREE] + calls[DELETE] + released_by_realloc = frees + frees_older + frees_null
 *
 * A block is in the table of blocks, or it is untracked because that was full.
 */
struct loris_heap_row {
    __u64 id;    /* never another row's */
    __u64 space; /* of the address space: another one after an exec; never another row's */
    __u32 exited;
    __u32 reserved;
    __u64 calls[LORIS_HEAP_FUNCTIONS]; /* that returned; of releases: that were entered */
    __u64 failures[LORIS_HEAP_RELEASES];
    __u64 bytes; /* asked for by what succeeded */
    __u64 freed_bytes;
    __s64 live_bytes;
    __s64 live_count;
    __u64 frees;
    __u64 frees_older; /* of blocks that nobody saw being allocated */
    __u64 frees_null;
    __u64 released_by_realloc; /* realloc(block, 0) that gave it back */
    __u64 resized;             /* a known block became another or grew */
    __u64 resized_older;       /* the same of a block that nobody saw being allocated */
    __u64 untracked;
    __u64 vanished;          /* blocks that went without a free: their address came again, exec */
    __u64 size_min_inverted; /* ~min, so that zero means none */
    __u64 size_max;
    __u64 unsketched; /* sizes for which the table of sizes had no room */
};

/* A block of a process that is alive. */
struct loris_heap_block {
    __u64 address;
    __u64 space;
};

/* How often a size was asked for: a bucket of loris/sketch.h. */
struct loris_heap_size {
    __u64 row;
    __u32 bucket;
    __u32 reserved;
};

/*
 * Per target slot, summed over CPUs. At rest: entered = returned + abandoned + in flight, and
 * returned + released = calls over all rows, folded ones included, + rowless.
 */
struct loris_heap_ledger {
    __u64 entered; /* calls that allocate, outermost ones */
    __u64 returned;
    __u64 abandoned; /* left by longjmp, or the thread ended; not those of new, which failed */
    __u64 released;  /* calls that free */
    __u64 nested;    /* within, or on behalf of, a call that is counted */
    __u64 rowless;   /* part of returned and released: the table of processes had no room */
    __u64 filtered;
    __u64 too_deep;   /* part of abandoned */
    __u64 no_storage; /* of the thread; those that allocate are part of abandoned */
};

_Static_assert(sizeof(struct loris_heap_key) == 12, "heap key layout");
_Static_assert(sizeof(struct loris_heap_row) == 24 + 8 * (12 + 10 + 15), "heap row layout");
_Static_assert(sizeof(struct loris_heap_ledger) == 9 * 8, "heap ledger layout");
_Static_assert(sizeof(struct loris_heap_block) == 16, "heap block layout");
_Static_assert(sizeof(struct loris_heap_size) == 16, "heap size layout");

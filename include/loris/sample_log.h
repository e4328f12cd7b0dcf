/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The per-CPU logs through which samples reach the agent: rings of fixed-size records. */
#pragma once

#include <linux/types.h>

/*
 * Two mapped arrays. `sample_logs` has one struct loris_sample_log a CPU; `samples` has `capacity`
 * records a CPU, record p of a CPU lying at cpu * capacity + p % capacity.
 *
 * Why not a BPF ring buffer: records of one size need no header, and reserving and submitting one
 * there are two calls and a lock, which cost the traced thread twice what is here (an exchange and
 * four stores; measured 40 ns less of 210).
 *
 * Writers are programs on that CPU, which may interrupt and preempt one another: each takes a
 * position by exchanging `reserved` for its successor, fills the record, and stores its first eight
 * bytes last, with the lap bit that this pass over the ring has. The reader takes records in order
 * up to the first whose lap bit is that of the pass before: not reserved yet, or still being
 * filled. A record is never written before `consumed` says that it has been read.
 */
struct loris_sample_log {
    /* Written by the kernel side. */
    __u64 reserved;      /* positions handed out since the start */
    __u64 woken_at;      /* `consumed` plus one, when the reader was last woken */
    __u32 capacity_log2; /* of the records of this CPU; set by the agent before the start */
    __u32 padding[11];
    /* Written by the reader, on a cache line of its own. */
    __u64 consumed;
    __u64 padding2[7];
};

_Static_assert(sizeof(struct loris_sample_log) == 128, "sample log layout");

/* The lap bit of records on this position: 1 on the first pass, so that zeroes are no record. */
static inline __u32 loris_sample_lap(__u64 position, __u32 capacity_log2)
{
    return (__u32)(~(position >> capacity_log2) & 1);
}

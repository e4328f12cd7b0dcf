/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the agent tells the kernel side: knobs of a probe, process filters, limits. */
#pragma once

#include <linux/types.h>

#define LORIS_PROBES_MAX     8192 /* upper bound of `probes_max` */
#define LORIS_FILTERS_MAX    32   /* filter 0 means "everybody" */
#define LORIS_SYSCALLS_MAX   1024 /* syscall numbers 0 .. 1023 */
#define LORIS_OPEN_CALLS_MAX 64   /* nested open calls of one thread that are timed */
#define LORIS_SAMPLE_NEVER   32   /* sample_shift that means: count only */
#define LORIS_THIN_MAX       10   /* thin_shift: gaps of up to 2^11 - 1 calls */

/* How a return value says "failed". Values are compared as 64-bit signed unless noted. */
enum loris_error_rule {
    LORIS_ERROR_NEVER = 0,
    LORIS_ERROR_NEGATIVE = 1,     /* ret < 0, 64 bits */
    LORIS_ERROR_NEGATIVE_INT = 2, /* (int)ret < 0 */
    LORIS_ERROR_ZERO = 3,         /* ret == 0, NULL */
    LORIS_ERROR_NONZERO = 4,      /* (int)ret != 0 */
    LORIS_ERROR_ERRNO = 5,        /* -4095 <= ret < 0, as the kernel returns errors */
};

enum loris_probe_state {
    LORIS_PROBE_OFF = 0,
    LORIS_PROBE_ON = 1,
    LORIS_PROBE_LOOK = 2, /* entries are counted as waiting, nothing is measured */
};

struct loris_probe_knobs {
    __u8 enabled; /* enum loris_probe_state */
    __u8 error_rule;
    __u8 sample_shift; /* one timed call of 2^shift becomes a sample, the others are counted */
    __u8 filter;       /* index into the filters, 0 = none */
    __u32 bias_ns;     /* subtracted from every latency, never below zero */
    __u16 generation;  /* of the id: tells calls of a former probe that are still open */
    __u8 thin_shift;   /* sessions: one call of 2^shift is timed and stands for those before it */
    __u8 reserved;
};

/* An open call remembers its probe and the generation of its id: probe | generation << 16. */
#define LORIS_TAG_PROBE_BITS 16

enum loris_filter_flag {
    LORIS_FILTER_PIDS = 1 << 0,   /* the process is in filter_pids with this filter's bit */
    LORIS_FILTER_CGROUP = 1 << 1, /* the process is in cgroup_id or below it */
    LORIS_FILTER_COMM = 1 << 2,   /* the process leader's comm is comm */
    LORIS_FILTER_FOLLOW = 1 << 3, /* children of listed pids are listed when they are forked */
};

/* All set conditions must hold. */
struct loris_filter {
    __u32 flags;
    __u32 cgroup_level; /* depth of cgroup_id below the root */
    __u64 cgroup_id;
    char comm[16]; /* NUL padded */
};

_Static_assert(sizeof(struct loris_probe_knobs) == 12, "knobs layout");
_Static_assert(sizeof(struct loris_filter) == 32, "filter layout");

/* The one record of settings that belong to no probe. */
struct loris_control {
    __u32 rare_ring_half; /* half the bytes of one ring */
    __u32 reserved;
    __u32 filter_follow_mask;   /* bits of the filters whose pids pass on to their children */
    __u32 user_session_program; /* program id, tells our return instances from strangers' */
};

_Static_assert(sizeof(struct loris_control) == 16, "control layout");

/* Index of a built-in span in span_probes, whose value is the probe plus one, 0 when unwatched. */
enum loris_span {
    LORIS_SPAN_BLOCK_IO = 0,
    LORIS_SPAN_RUN_QUEUE = 1,
    LORIS_SPAN_SOFTIRQ = 2,
    LORIS_SPAN_IRQ = 3,
    LORIS_SPANS_MAX = 4,
};

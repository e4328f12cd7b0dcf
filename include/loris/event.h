/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records that the kernel side writes into the rings; the agent trusts tag and length only. */
#pragma once

#include <linux/types.h>

/* Every record starts with its tag. A reader checks tag and length, counts a bad one, goes on. */
enum loris_event_tag {
    LORIS_EVENT_LATENCY = 1,
    LORIS_EVENT_PROCESS = 2,
    LORIS_EVENT_CGROUP = 3,
};

enum loris_latency_flag {
    LORIS_LATENCY_ERROR = 1 << 0, /* the return value met the probe's error rule */
    LORIS_LATENCY_LAP = 1 << 7,   /* see loris/sample_log.h */
};

/* Calls that one sample of a thinned probe may stand for. */
#define LORIS_WEIGHT_MAX 4095

/* start_tick: when the process began, CLOCK_BOOTTIME in 2^20 ns, low 32 bits. With the pid it
 * names one process for 52 days. */
#define LORIS_START_TICK_SHIFT 20

/* One returned call, a record of loris/sample_log.h. */
struct loris_latency_event {
    __u8 tag;
    __u8 flags;
    __u16 generation; /* of the probe's id */
    __u16 probe;
    __u16 weight; /* calls it stands for, itself included: 1 .. LORIS_WEIGHT_MAX */
    __u32 pid;
    __u32 start_tick;
    __u64 latency_ns;
};

enum loris_process_edge {
    LORIS_PROCESS_FORK = 1,
    LORIS_PROCESS_EXEC = 2,
    LORIS_PROCESS_EXIT = 3,
    LORIS_PROCESS_PRESENT = 4, /* found running by the task iterator */
    LORIS_PROCESS_RENAME = 5,  /* the leader changed its comm */
};

#define LORIS_COMM_BYTES 16

/* One edge in the life of a process (never of a mere thread); rare family. */
struct loris_process_event {
    __u8 tag;
    __u8 edge;
    __u16 reserved;
    __u32 pid;
    __u32 start_tick;
    __u32 parent_pid;
    __u32 parent_start_tick;
    __u32 reserved2;
    __u64 cgroup_id;
    char comm[LORIS_COMM_BYTES]; /* not trusted to end in NUL */
};

enum loris_cgroup_edge {
    LORIS_CGROUP_MKDIR = 1,
    LORIS_CGROUP_RMDIR = 2,
    LORIS_CGROUP_MIGRATE = 3, /* pid/start_tick moved to cgroup_id */
};

#define LORIS_CGROUP_PATH_BYTES 224

/* A cgroup came or went; rare family. */
struct loris_cgroup_event {
    __u8 tag;
    __u8 edge;
    __u16 path_bytes; /* used bytes of path, without NUL */
    __u32 pid;
    __u32 start_tick;
    __u32 reserved;
    __u64 cgroup_id;
    char path[LORIS_CGROUP_PATH_BYTES]; /* below the root of the unified hierarchy */
};

_Static_assert(sizeof(struct loris_latency_event) == 24, "latency record layout");
_Static_assert(sizeof(struct loris_process_event) == 48, "process record layout");
_Static_assert(sizeof(struct loris_cgroup_event) == 248, "cgroup record layout");

/* One open call, as the in-flight iterators write it to their seq_file. */
struct loris_open_call {
    __u16 probe;
    __u16 weight; /* as in loris_latency_event */
    __u32 pid;
    __u32 tid;
    __u32 start_tick;
    __u64 start_ns; /* CLOCK_MONOTONIC */
};

_Static_assert(sizeof(struct loris_open_call) == 24, "open call layout");

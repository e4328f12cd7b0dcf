/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Declarations of the shared maps and the shapes of their values; maps.bpf.c defines them. */
#pragma once

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "loris/event.h"
#include "loris/knobs.h"
#include "loris/ledger.h"
#include "loris/sample_log.h"
#include "loris/sketch.h"

/* Ids of the sketch pages of one probe, 0 where none is allocated. */
struct sketch_directory {
    u32 page[LORIS_SKETCH_PAGES + 1];
};

struct sketch_page {
    u64 count[LORIS_PAGE_BUCKETS];
};

/* Calls that found no free page: one counter per power of two. */
struct sketch_coarse {
    u64 count[LORIS_SKETCH_PAGES];
};

/* Kernel stacks lie within so many bits of address (THREAD_SIZE without KASAN). */
#define KERNEL_STACK_BITS 14

#define NO_PROBE 0xffffffffu /* also no tag */

enum open_call_flag {
    OPEN_CALL_USER = 1 << 0,  /* of user space: an exec ends it */
    OPEN_CALL_STACK = 1 << 1, /* frame is a user stack pointer: the call ends when that is passed */
    OPEN_CALL_KERNEL = 1 << 2, /* frame is a kernel stack pointer: the same, on one stack */
    OPEN_CALL_MARK = 1 << 3,   /* of static marks */
};

/* A call that has been entered and has not returned. */
struct open_call {
    u64 start_ns;
    u64 frame; /* names the activation: stack pointer, or the trampoline's frame */
    u32 tag;   /* of the probe */
    u32 flags;
};

/* Open calls of one thread, innermost last. */
struct open_calls {
    u32 depth;
    u32 is_counted; /* in the rare ledger's stacks_made */
    struct open_call call[LORIS_OPEN_CALLS_MAX];
};

/* See open_slot.bpf.h. */
#define OPEN_SLOTS_LOG2 12

struct open_slot {
    u64 start_ns;
    u32 owner;   /* id of the thread that has it; 0: free */
    u32 tag;     /* of the probe */
    u32 spilled; /* tasks that found it taken, and are open elsewhere */
    u32 reserved;
};

/* The one syscall a thread is in, when its slot was another's. */
struct open_syscall {
    u64 start_ns;
    u32 tag;
    u16 is_open;
    u16 is_counted; /* in the rare ledger's slots_made */
};

/* A wait that belongs to something else than the current thread. */
struct open_wait {
    u64 start_ns;
    u32 pid;
    u32 start_tick;
    u32 tag;
    u32 reserved;
};

/* The interrupt that a CPU serves. */
struct open_interrupt {
    u64 start_ns; /* 0: none */
    u32 tag;
    u32 reserved;
};

/* Consumer position, plus one, at which this CPU's ring last woke the reader. */
struct ring_wake {
    u64 rare;
};

/* Map types: bpftool's linker compares a declaration with its definition member by member. */
struct ring {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
};

struct ring_family_map {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(u32));
    __array(values, struct ring);
};

#define MAP_OF(name, map_type, entries, flags, key_type, value_type)                               \
    struct name {                                                                                  \
        __uint(type, map_type);                                                                    \
        __uint(max_entries, entries);                                                              \
        __uint(map_flags, flags);                                                                  \
        __type(key, key_type);                                                                     \
        __type(value, value_type);                                                                 \
    }

MAP_OF(sample_logs_map, BPF_MAP_TYPE_ARRAY, 1, BPF_F_MMAPABLE, u32, struct loris_sample_log);
MAP_OF(samples_map, BPF_MAP_TYPE_ARRAY, 1, BPF_F_MMAPABLE, u32, struct loris_latency_event);
MAP_OF(control_map, BPF_MAP_TYPE_ARRAY, 1, 0, u32, struct loris_control);
MAP_OF(probe_knobs_map, BPF_MAP_TYPE_ARRAY, 1, 0, u32, struct loris_probe_knobs);
MAP_OF(probe_ledger_map, BPF_MAP_TYPE_PERCPU_ARRAY, 1, 0, u32, struct loris_ledger);
MAP_OF(rare_ledger_map, BPF_MAP_TYPE_PERCPU_ARRAY, 1, 0, u32, struct loris_rare_ledger);
MAP_OF(ring_wake_map, BPF_MAP_TYPE_PERCPU_ARRAY, 1, 0, u32, struct ring_wake);
MAP_OF(sketch_dir_map, BPF_MAP_TYPE_ARRAY, 1, 0, u32, struct sketch_directory);
MAP_OF(sketch_coarse_map, BPF_MAP_TYPE_ARRAY, 1, 0, u32, struct sketch_coarse);
MAP_OF(sketch_page_map, BPF_MAP_TYPE_PERCPU_ARRAY, 1, 0, u32, struct sketch_page);
MAP_OF(filters_map, BPF_MAP_TYPE_ARRAY, LORIS_FILTERS_MAX, 0, u32, struct loris_filter);
MAP_OF(filter_pids_map, BPF_MAP_TYPE_HASH, 16384, BPF_F_NO_PREALLOC, u32, u32);
MAP_OF(open_calls_map, BPF_MAP_TYPE_TASK_STORAGE, 0, BPF_F_NO_PREALLOC, int, struct open_calls);
MAP_OF(open_syscall_map, BPF_MAP_TYPE_TASK_STORAGE, 0, BPF_F_NO_PREALLOC, int, struct open_syscall);
MAP_OF(open_slots_map, BPF_MAP_TYPE_ARRAY, 1 << OPEN_SLOTS_LOG2, 0, u32, struct open_slot);
MAP_OF(open_wait_map, BPF_MAP_TYPE_HASH, 1, 0, u64, struct open_wait);
/* Keyed by span; only the interrupt spans use their slot. */
MAP_OF(open_interrupt_map, BPF_MAP_TYPE_PERCPU_ARRAY, LORIS_SPANS_MAX, 0, u32,
       struct open_interrupt);
MAP_OF(syscall_probes_map, BPF_MAP_TYPE_ARRAY, LORIS_SYSCALLS_MAX, 0, u32, u32);
MAP_OF(span_probes_map, BPF_MAP_TYPE_ARRAY, LORIS_SPANS_MAX, 0, u32, u32);

/* Free sketch pages; a stack, so that a page still in the cache is used again first. */
struct sketch_free_map {
    __uint(type, BPF_MAP_TYPE_STACK);
    __uint(max_entries, 1);
    __uint(key_size, 0);
    __uint(value_size, sizeof(u32));
};

extern struct sample_logs_map sample_logs SEC(".maps");
extern struct samples_map samples SEC(".maps");
extern struct ring_family_map rare_rings SEC(".maps");
extern struct ring_wake_map ring_wakes SEC(".maps");
extern struct control_map control SEC(".maps");
extern struct probe_knobs_map probe_knobs SEC(".maps");
extern struct probe_ledger_map probe_ledger SEC(".maps");
extern struct rare_ledger_map rare_ledger SEC(".maps");
extern struct sketch_dir_map sketch_dirs SEC(".maps");
extern struct sketch_coarse_map sketch_coarses SEC(".maps");
extern struct sketch_page_map sketch_pages SEC(".maps");
extern struct sketch_free_map sketch_free SEC(".maps");
extern struct filters_map filters SEC(".maps");
extern struct filter_pids_map filter_pids SEC(".maps");
extern struct open_calls_map call_stacks SEC(".maps");
extern struct open_calls_map mark_stacks SEC(".maps"); /* static marks: begins may lack an end */
extern struct open_slots_map syscall_slots SEC(".maps");
extern struct open_syscall_map syscall_open SEC(".maps");
extern struct open_slots_map runqueue_slots SEC(".maps");
extern struct open_wait_map runqueue_open SEC(".maps");
extern struct open_wait_map request_open SEC(".maps");
extern struct open_interrupt_map interrupt_open SEC(".maps");
extern struct syscall_probes_map syscall_probes SEC(".maps");
extern struct span_probes_map span_probes SEC(".maps");

static __always_inline u32 tag_of(u32 probe, const struct loris_probe_knobs *knobs)
{
    return probe | (u32)knobs->generation << LORIS_TAG_PROBE_BITS;
}

static __always_inline u32 tag_probe(u32 tag)
{
    return tag & ((1u << LORIS_TAG_PROBE_BITS) - 1);
}

static __always_inline const struct loris_probe_knobs *knobs_of(u32 probe)
{
    return bpf_map_lookup_elem(&probe_knobs, &probe);
}

/* False: the probe of this call has gone, and its id may be another's. */
static __always_inline bool tag_is_current(u32 tag)
{
    const struct loris_probe_knobs *knobs = knobs_of(tag_probe(tag));
    return knobs && tag_of(tag_probe(tag), knobs) == tag;
}

/* A copy, zero when it cannot be read, which cannot be. */
static __always_inline struct loris_control control_now(void)
{
    u32 zero = 0;
    struct loris_control *found = bpf_map_lookup_elem(&control, &zero);
    return found ? *found : (struct loris_control){};
}

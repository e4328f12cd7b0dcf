/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The loaded kernel side: maps, rings and programs, each group of programs loaded on first use. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"

#include "loris/knobs.h"

struct kernel_side_config {
    uint32_t probes_max;      /* 1 .. LORIS_PROBES_MAX */
    uint32_t sketch_pages;    /* pages of 64 counters, per CPU, for calls that are not sampled */
    uint32_t waits_max;       /* tasks in run queues, and requests, timed at one moment */
    uint32_t samples_log2;    /* capacity of the sample log of each CPU, in records */
    uint32_t rare_ring_bytes; /* per CPU; a power of two, at least a page */
    /* What takes memory from the first heap or kmem target on, each at least 1: */
    uint32_t heap_blocks_max; /* that are alive at one moment */
    uint32_t heap_rows_max;   /* processes, times targets */
    uint32_t heap_sizes_max;  /* different sizes (buckets), times processes */
    uint32_t kmem_caches_max;
};

enum kernel_map {
    KERNEL_MAP_SAMPLE_LOGS,
    KERNEL_MAP_SAMPLES,
    KERNEL_MAP_RARE_RINGS,
    KERNEL_MAP_RING_WAKES,
    KERNEL_MAP_CONTROL,
    KERNEL_MAP_PROBE_KNOBS,
    KERNEL_MAP_PROBE_LEDGER,
    KERNEL_MAP_RARE_LEDGER,
    KERNEL_MAP_SKETCH_DIRS,
    KERNEL_MAP_SKETCH_COARSES,
    KERNEL_MAP_SKETCH_PAGES,
    KERNEL_MAP_SKETCH_FREE,
    KERNEL_MAP_FILTERS,
    KERNEL_MAP_FILTER_PIDS,
    KERNEL_MAP_CALL_STACKS,
    KERNEL_MAP_MARK_STACKS,
    KERNEL_MAP_SYSCALL_SLOTS,
    KERNEL_MAP_SYSCALL_OPEN,
    KERNEL_MAP_RUNQUEUE_SLOTS,
    KERNEL_MAP_RUNQUEUE_OPEN,
    KERNEL_MAP_REQUEST_OPEN,
    KERNEL_MAP_INTERRUPT_OPEN,
    KERNEL_MAP_SYSCALL_PROBES,
    KERNEL_MAP_SPAN_PROBES,
    KERNEL_MAPS_SHARED, /* those below come with the first program that uses them */
    KERNEL_MAP_HEAP_ROWS = KERNEL_MAPS_SHARED,
    KERNEL_MAP_HEAP_BLOCKS,
    KERNEL_MAP_HEAP_SIZES,
    KERNEL_MAP_HEAP_LEDGERS,
    KERNEL_MAP_HEAP_LAST_ID,
    KERNEL_MAP_HEAP_TARGETS,
    KERNEL_MAP_HEAP_THREADS,
    KERNEL_MAP_KMEM_SLABS,
    KERNEL_MAP_KMEM_CACHES,
    KERNEL_MAP_KMEM_PAGES,
    KERNEL_MAP_KMEM_LEDGERS,
    KERNEL_MAPS,
};

enum kernel_program {
    /* tracepoints and iterators */
    KERNEL_SYSCALL_ENTRY,
    KERNEL_SYSCALL_EXIT,
    KERNEL_REQUEST_ISSUE,
    KERNEL_REQUEST_REQUEUE,
    KERNEL_REQUEST_COMPLETE,
    KERNEL_WAKEUP,
    KERNEL_WAKEUP_NEW,
    KERNEL_SWITCH,
    KERNEL_SOFTIRQ_ENTRY,
    KERNEL_SOFTIRQ_EXIT,
    KERNEL_IRQ_ENTRY,
    KERNEL_IRQ_EXIT,
    KERNEL_PROCESS_FORK,
    KERNEL_PROCESS_EXEC,
    KERNEL_PROCESS_EXIT,
    KERNEL_PROCESS_RENAME,
    KERNEL_CGROUP_MKDIR,
    KERNEL_CGROUP_RMDIR,
    KERNEL_CGROUP_ATTACH,
    KERNEL_EACH_PROCESS,
    KERNEL_EACH_OPEN,
    /* user functions and marks */
    KERNEL_USER_ENTRY,
    KERNEL_USER_RETURN,
    KERNEL_USER_EXIT,
    KERNEL_UMULTI_ENTRY,
    KERNEL_UMULTI_RETURN,
    KERNEL_UMULTI_EXIT,
    KERNEL_MARK_BEGIN,
    KERNEL_MARK_END,
    KERNEL_MMARK_BEGIN,
    KERNEL_MMARK_END,
    /* kernel functions */
    KERNEL_KPROBE_ENTRY,
    KERNEL_KPROBE_RETURN,
    KERNEL_KMULTI_ENTRY,
    KERNEL_KMULTI_RETURN,
    /* sessions */
    KERNEL_USER_SESSION,
    KERNEL_KERN_SESSION,
    KERNEL_EACH_SESSION,
    /* allocators */
    KERNEL_HEAP_ENTRY,
    KERNEL_HEAP_RETURN,
    KERNEL_HEAP_EXIT,
    KERNEL_MHEAP_ENTRY,
    KERNEL_MHEAP_RETURN,
    KERNEL_MHEAP_EXIT,
    KERNEL_HEAP_EXEC,
    KERNEL_HEAP_THREAD_EXIT,
    KERNEL_CACHE_ALLOC,
    KERNEL_CACHE_FREE,
    KERNEL_KMALLOC,
    KERNEL_KFREE,
    KERNEL_PAGE_ALLOC,
    KERNEL_PAGE_FREE,
    KERNEL_PROGRAMS,
};

/* Attach types that the installed headers may not know (include/uapi/linux/bpf.h). */
enum {
    KERNEL_ATTACH_KPROBE_MULTI = 42,
    KERNEL_ATTACH_UPROBE_MULTI = 48,
    KERNEL_ATTACH_KPROBE_SESSION = 56,
    KERNEL_ATTACH_UPROBE_SESSION = 57,
};

struct kernel_side;

/* Loads maps and the core programs. -EPERM (who may), -ENOENT (no BTF), others with a diag. */
int kernel_side_open(const struct kernel_side_config *config, struct kernel_side **ret_side,
                     struct diag *reterr_diag) _must_check_;
void kernel_side_free(struct kernel_side *side);
DEFINE_CLEANUP(struct kernel_side *, kernel_side_free);

/* A borrowed fd; -1: the map has not come yet. */
int kernel_side_map(const struct kernel_side *side, enum kernel_map map);
/* A borrowed fd; the program's group is loaded on first use. -EOPNOTSUPP with the reason when this
 * kernel refuses it; it is not tried again. */
int kernel_side_program(struct kernel_side *side, enum kernel_program program,
                        struct diag *reterr_diag) _must_check_;
/* Loads a pair of programs for one kernel function; both fds are the caller's. The second
 * function's copy costs no relocation. -EOPNOTSUPP, -ENOENT (not in BTF). */
int kernel_side_load_fentry(struct kernel_side *side, const char *function, int *ret_entry_fd,
                            int *ret_exit_fd, struct diag *reterr_diag) _must_check_;

uint32_t kernel_side_cpus(const struct kernel_side *side);
int kernel_side_rare_ring(const struct kernel_side *side, uint32_t cpu); /* a borrowed fd */
const struct kernel_side_config *kernel_side_config(const struct kernel_side *side);

int kernel_side_set_knobs(struct kernel_side *side, uint32_t probe,
                          const struct loris_probe_knobs *knobs) _must_check_;
/* Changes one field of the control record through the kept copy. */
int kernel_side_set_control(struct kernel_side *side,
                            const struct loris_control *control) _must_check_;
struct loris_control kernel_side_control(const struct kernel_side *side);
/* Zeroes all that the kernel side knows of a probe, frees its sketch pages, and gives the id its
 * next generation, so that calls still open are nobody's. Its links must be closed before. */
int kernel_side_reset_probe(struct kernel_side *side, uint32_t probe,
                            uint16_t next_generation) _must_check_;

/* Empties an array or a hash that no attached program uses. */
int kernel_side_clear_map(struct kernel_side *side, enum kernel_map map) _must_check_;
/* Zeroes the counters of a probe that is off. */
int kernel_side_clear_ledger(struct kernel_side *side, uint32_t probe) _must_check_;

/* Runs that the kernel left out, of all programs but those of fentry. */
uint64_t kernel_side_missed(const struct kernel_side *side);
/* Bytes of all maps and rings as the kernel accounts them. */
uint64_t kernel_side_map_bytes(const struct kernel_side *side);
/* The bytes that a configuration will take, before it is loaded; without what heap and kmem targets
 * take from the first of them on. */
uint64_t kernel_side_estimate_bytes(const struct kernel_side_config *config, uint32_t cpus);

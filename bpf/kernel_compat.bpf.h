/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The only place that knows how kernels differ. */
#pragma once

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* A store that is seen after all stores before it. Plain on x86-64, which keeps their order. */
#ifdef __TARGET_ARCH_x86
#define store_last(to, value)                                                                      \
    do {                                                                                           \
        barrier(); /* the compiler may move plain stores beyond a volatile one */                  \
        *(volatile typeof(*(to)) *)(to) = (value);                                                 \
    } while (0)
#else
/* Fully ordered; stores with release came in 6.15. */
#define store_last(to, value) ((void)__sync_lock_test_and_set(to, value))
#endif

/*
 * Whether the tracepoints of slab caches have the cache as an argument: 11e9734bcb6a
 * ("mm/slab_common: unify NUMA and UMA version of tracepoints"), 6.1. Before, that of frees has its
 * name there (3544de8ee6e4, 5.13), an address as well, and that of allocations a size.
 */
static __always_inline bool tracepoints_tell_cache(void)
{
    return bpf_core_type_exists(struct trace_event_raw_kmem_cache_alloc);
}

/* x86: the thread entered the kernel through a 32-bit entry, whose syscall numbers differ. */
#define COMPAT_TS_COMPAT 0x0002

static __always_inline bool task_in_compat_syscall(const struct task_struct *task)
{
    return task->thread_info.status & COMPAT_TS_COMPAT;
}

/*
 * Whether the task is in the cgroup of this id, which lies `level` below the root, or beneath it.
 * 7f203bc89eb6 ("cgroup: Replace cgroup->ancestor_ids[] with ->ancestors[]"), 6.1.
 */
static __always_inline bool task_under_cgroup(const struct task_struct *task, u32 level, u64 id)
{
    struct cgroup *own = BPF_CORE_READ(task, cgroups, dfl_cgrp);
    u64 found = 0;
    if (level > 255 || (u32)BPF_CORE_READ(own, level) < level)
        return false;
    if (bpf_core_field_exists(own->ancestors)) {
        struct cgroup *ancestor = NULL;
        bpf_probe_read_kernel(&ancestor, sizeof(ancestor),
                              (void *)own + bpf_core_field_offset(own->ancestors) +
                                  level * sizeof(void *));
        found = BPF_CORE_READ(ancestor, kn, id);
    } else {
        struct cgroup___before_6_1 *old = (void *)own;
        bpf_probe_read_kernel(&found, sizeof(found),
                              (void *)own + bpf_core_field_offset(old->ancestor_ids) +
                                  level * sizeof(u64));
    }
    return found == id;
}

/* fa2c3254d7cf ("sched/tracing: Don't re-read p->state when emitting sched_switch event"), 5.18,
 * inserted prev_state before prev in the tracepoint's arguments; 9c2136be0878, 5.19, moved it to
 * the end, where older kernels have nothing. Reading the task's own state serves them all. */
static __always_inline bool task_is_runnable(const struct task_struct *task)
{
    return task->__state == 0;
}

/* on_cpu is an int up to 6.18 and one byte in 7.2, which a plain access cannot be relocated to. */
static __always_inline bool task_is_on_cpu(const struct task_struct *task)
{
    u64 on_cpu = 0;
    bpf_probe_read_kernel(&on_cpu, bpf_core_field_size(task->on_cpu),
                          (const void *)task + bpf_core_field_offset(task->on_cpu));
    return on_cpu;
}

/* Whether a uprobe session's cookies lie where they did when sessions came (6.13): see
 * session.bpf.c. */
static __always_inline bool session_context_is_known(void)
{
    return bpf_core_field_exists(struct bpf_uprobe_multi_run_ctx, session_ctx.data) &&
           bpf_core_field_exists(struct bpf_uprobe_multi_run_ctx, uprobe) &&
           bpf_core_type_exists(struct return_consumer);
}

/*
 * From e00931c02568 ("bpf: Enable private stack for eligible subprogs"), 6.13, on, a program of
 * BPF_PROG_TYPE_KPROBE that uses 64 bytes of stack or more gets one stack for each CPU. Programs on
 * uprobes can be preempted where the kernel is (PREEMPT_LAZY), and whoever hits the same probe on
 * that CPU next overwrites what they have there: pointers too, so that the kernel crashes (7.2).
 * Nothing guards them, as it does all others. A program with a tail call keeps the task's stack;
 * this is one that the verifier sees never to be taken, and removes.
 */
#define keep_task_stack()                                                                          \
    asm volatile(                                                                                  \
        "r0 = 0\n if r0 == 0 goto +1\n call %[tail_call]" ::[tail_call] "i"(BPF_FUNC_tail_call)    \
        : "r0")

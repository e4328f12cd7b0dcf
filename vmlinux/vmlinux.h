/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few kernel types that the kernel side reads, written by hand; CO-RE finds the real offsets.
 */
#pragma once

#define __VMLINUX_H__ /* makes bpf_tracing.h use the kernel's register names */

#include <linux/bpf.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;
typedef _Bool bool;
#define true 1
#define false 0
#ifndef NULL
#define NULL ((void *)0)
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct pt_regs {
    unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8;
    unsigned long ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};

typedef struct {
    int counter;
} atomic_t;

struct list_head {
    struct list_head *next, *prev;
};

struct thread_info {
    u32 status;
};

struct kernfs_node {
    u64 id;
};

struct cgroup_root {
    int hierarchy_id;
};

struct cgroup {
    int level;
    struct kernfs_node *kn;
    struct cgroup_root *root;
    struct cgroup *ancestors[]; /* since 6.1 */
};

struct cgroup___before_6_1 {
    int level;
    u64 ancestor_ids[];
};

struct css_set {
    struct cgroup *dfl_cgrp;
};

struct signal_struct {
    atomic_t live;
};

struct bpf_prog_aux {
    u32 id;
};

struct bpf_prog {
    struct bpf_prog_aux *aux;
};

struct bpf_link {
    struct bpf_prog *prog;
};

struct bpf_uprobe_multi_link {
    struct bpf_link link;
};

struct uprobe_consumer {
    struct list_head cons_node;
    u64 id;
};

struct bpf_uprobe {
    struct bpf_uprobe_multi_link *link;
    u64 cookie;
    struct uprobe_consumer consumer;
};

struct uprobe {
    struct list_head consumers;
};

struct hprobe {
    struct uprobe *uprobe;
};

struct return_consumer {
    u64 cookie;
    u64 id;
};

struct return_instance {
    struct hprobe hprobe;
    unsigned long stack;
    int cons_cnt;
    struct return_instance *next;
    struct return_consumer consumer;
    struct return_consumer *extra_consumers;
};

struct uprobe_task {
    unsigned int depth;
    struct return_instance *return_instances;
};

struct bpf_run_ctx;

struct bpf_session_run_ctx {
    void *data;
};

struct bpf_uprobe_multi_run_ctx {
    struct bpf_session_run_ctx session_ctx;
    struct bpf_uprobe *uprobe;
};

struct xol_area {
    unsigned long vaddr; /* of the page that uprobes add to a process */
};

struct uprobes_state {
    struct xol_area *xol_area;
};

struct mm_struct {
    struct uprobes_state uprobes_state;
};

struct task_struct {
    struct bpf_run_ctx *bpf_ctx;
    struct thread_info thread_info;
    int on_cpu;
    unsigned int flags;
    int pid;
    int tgid;
    u64 start_time;
    u64 start_boottime;
    struct task_struct *group_leader;
    struct task_struct *real_parent;
    struct mm_struct *mm;
    char comm[16];
    struct signal_struct *signal;
    struct css_set *cgroups;
    struct uprobe_task *utask;
    unsigned int __state; /* since 5.14 */
};

struct seq_file;

struct bpf_iter_meta {
    struct seq_file *seq;
};

struct bpf_iter__task {
    struct bpf_iter_meta *meta;
    struct task_struct *task;
};

struct request {
    unsigned int __data_len; /* bytes not completed yet */
};

struct linux_binprm;

/* Of a tracepoint that names its cache, since 6.1. */
struct trace_event_raw_kmem_cache_alloc {
    unsigned long call_site;
};

struct kmem_cache {
    unsigned int object_size;
    const char *name;
};

#pragma clang attribute pop

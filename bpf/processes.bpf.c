/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of processes and cgroups: names for the agent, filters that follow, calls that end. */
#include "open_calls.bpf.h"
#include "open_syscalls.bpf.h"

/*
 * Pointers are followed with bpf_probe_read_kernel here: for each that is loaded directly, kernels
 * from 6.4 (6fcd486b3a0a, "bpf: Refactor RCU enforcement in the verifier") to 6.18 search their
 * whole BTF by name, up to a millisecond of a start. These events are rare, so the calls do not
 * matter.
 */
static __always_inline u32 task_start_tick_read(struct task_struct *task)
{
    return (u32)(BPF_CORE_READ(task, group_leader, start_boottime) >> LORIS_START_TICK_SHIFT);
}

static __always_inline void fill_process(struct loris_process_event *event, u32 edge,
                                         struct task_struct *task)
{
    struct task_struct *leader = BPF_CORE_READ(task, group_leader);
    struct task_struct *parent = BPF_CORE_READ(task, real_parent);
    event->tag = LORIS_EVENT_PROCESS;
    event->edge = edge;
    event->reserved = 0;
    event->reserved2 = 0;
    event->pid = task->tgid;
    event->start_tick = task_start_tick_read(task);
    event->parent_pid = BPF_CORE_READ(parent, tgid);
    event->parent_start_tick = task_start_tick_read(parent);
    event->cgroup_id = BPF_CORE_READ(leader, cgroups, dfl_cgrp, kn, id);
    BPF_CORE_READ_INTO(&event->comm, leader, comm);
}

static __always_inline void emit_process(u32 edge, struct task_struct *task)
{
    void *ring;
    struct loris_process_event *event = emit_reserve_rare(sizeof(*event), &ring);
    if (!event)
        return;
    fill_process(event, edge, task);
    emit_submit_rare(event, ring);
}

SEC("tp_btf/sched_process_fork")
int on_process_fork(u64 *ctx)
{
    struct task_struct *parent = (struct task_struct *)ctx[0];
    struct task_struct *child = (struct task_struct *)ctx[1];
    if (child->pid != child->tgid)
        return 0;
    u32 parent_pid = parent->tgid;
    u32 follow = control_now().filter_follow_mask;
    u32 *mask = follow ? bpf_map_lookup_elem(&filter_pids, &parent_pid) : NULL;
    if (mask && *mask & follow) {
        u32 child_pid = child->tgid;
        u32 inherited = *mask & follow;
        struct loris_rare_ledger *rare = rare_ledger_here();
        if (bpf_map_update_elem(&filter_pids, &child_pid, &inherited, BPF_ANY) && rare)
            ledger_add(rare->follow_failed, 1);
    }
    emit_process(LORIS_PROCESS_FORK, child);
    return 0;
}

/* Functions of their own, which the verifier walks once each: that is most of what it walks. */

/* False (zero): there is no such call, nor one above it. */
__weak __noinline int abandon_call_at(struct open_calls *calls, u32 index, u32 only_user)
{
    if (!calls || index >= calls->depth)
        return 0;
    struct open_call *call = open_call_at(calls, index);
    if (only_user && !(call->flags & OPEN_CALL_USER))
        return 1;
    tag_abandon(call->tag);
    call->tag = NO_PROBE;
    call->frame = 0;
    return 1;
}

/*
 * Abandons the calls a thread leaves open: those of user space at an exec, all when it ends. They
 * stay as tombstones, without a probe and below every stack pointer, which the next user call
 * pops: kernel calls above them (the exec itself) are still open.
 */
__weak __noinline int abandon_calls(struct open_calls *calls, u32 only_user)
{
    for (u32 i = 0; calls && i < LORIS_OPEN_CALLS_MAX; i++)
        if (!abandon_call_at(calls, i, only_user))
            break;
    return 0;
}

static __always_inline void abandon_open_calls(void *stacks, struct task_struct *task,
                                               bool only_user)
{
    struct open_calls *calls = bpf_task_storage_get(stacks, task, NULL, 0);
    struct loris_rare_ledger *rare = rare_ledger_here();
    if (!calls)
        return;
    if (!only_user && calls->is_counted && rare)
        ledger_add(rare->stacks_gone, 1);
    abandon_calls(calls, only_user);
}

static __always_inline void abandon_open_syscall(struct task_struct *task)
{
    struct open_syscall *spilled = bpf_task_storage_get(&syscall_open, task, NULL, 0);
    struct loris_rare_ledger *rare = rare_ledger_here();
    u32 tag;
    u64 start_ns;
    if (spilled && spilled->is_counted && rare)
        ledger_add(rare->slots_gone, 1);
    if (open_syscall_end(task, &tag, &start_ns))
        tag_abandon(tag);
}

SEC("tp_btf/sched_process_exec")
int on_process_exec(u64 *ctx)
{
    struct task_struct *task = (struct task_struct *)ctx[0];
    u32 old_tid = ctx[1]; /* of the thread that called; from now on it has the leader's */
    if (old_tid != (u32)task->pid)
        open_syscall_move(task, old_tid);
    abandon_open_calls(&call_stacks, task, true);
    abandon_open_calls(&mark_stacks, task, true);
    emit_process(LORIS_PROCESS_EXEC, task);
    return 0;
}

SEC("tp_btf/sched_process_exit")
int on_process_exit(u64 *ctx)
{
    struct task_struct *task = (struct task_struct *)ctx[0];
    abandon_open_calls(&call_stacks, task, false);
    abandon_open_calls(&mark_stacks, task, false);
    abandon_open_syscall(task);
    /* The count has been lowered for this thread already: zero means that it was the last. */
    if (BPF_CORE_READ(task, signal, live.counter) != 0)
        return 0;
    u32 pid = task->tgid;
    bpf_map_delete_elem(&filter_pids, &pid);
    emit_process(LORIS_PROCESS_EXIT, task);
    return 0;
}

/* An exec renames as well, and is told by its own event, which comes after the new name is set. */
SEC("tp_btf/task_rename")
int on_process_rename(u64 *ctx)
{
    struct task_struct *task = (struct task_struct *)ctx[0];
    void *ring;
    if (task->pid != task->tgid)
        return 0;
    struct loris_process_event *event = emit_reserve_rare(sizeof(*event), &ring);
    if (!event)
        return 0;
    fill_process(event, LORIS_PROCESS_RENAME, task);
    bpf_probe_read_kernel_str(event->comm, sizeof(event->comm), (const void *)ctx[1]);
    emit_submit_rare(event, ring);
    return 0;
}

static __always_inline void emit_cgroup(u32 edge, struct cgroup *cgroup, const char *path, u32 pid,
                                        u32 start_tick)
{
    void *ring;
    /* Only the unified hierarchy, whose number is 0, is what cgroup ids mean. */
    if (BPF_CORE_READ(cgroup, root, hierarchy_id) != 0)
        return;
    struct loris_cgroup_event *event = emit_reserve_rare(sizeof(*event), &ring);
    if (!event)
        return;
    event->tag = LORIS_EVENT_CGROUP;
    event->edge = edge;
    event->pid = pid;
    event->start_tick = start_tick;
    event->reserved = 0;
    event->cgroup_id = BPF_CORE_READ(cgroup, kn, id);
    long bytes = bpf_probe_read_kernel_str(event->path, sizeof(event->path), path);
    event->path_bytes = bytes > 0 ? bytes - 1 : 0;
    emit_submit_rare(event, ring);
}

SEC("tp_btf/cgroup_mkdir")
int on_cgroup_mkdir(u64 *ctx)
{
    emit_cgroup(LORIS_CGROUP_MKDIR, (struct cgroup *)ctx[0], (const char *)ctx[1], 0, 0);
    return 0;
}

SEC("tp_btf/cgroup_rmdir")
int on_cgroup_rmdir(u64 *ctx)
{
    emit_cgroup(LORIS_CGROUP_RMDIR, (struct cgroup *)ctx[0], (const char *)ctx[1], 0, 0);
    return 0;
}

SEC("tp_btf/cgroup_attach_task")
int on_cgroup_attach(u64 *ctx)
{
    struct task_struct *task = (struct task_struct *)ctx[2];
    if (task->pid == task->tgid)
        emit_cgroup(LORIS_CGROUP_MIGRATE, (struct cgroup *)ctx[0], (const char *)ctx[1], task->tgid,
                    task_start_tick_read(task));
    return 0;
}

/* Every process that runs when the agent starts, in the shape of a fork. */
SEC("iter/task")
int on_each_process(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    if (!task || task->pid != task->tgid)
        return 0;
    struct loris_process_event event = {};
    fill_process(&event, LORIS_PROCESS_PRESENT, task);
    bpf_seq_write(ctx->meta->seq, &event, sizeof(event));
    return 0;
}

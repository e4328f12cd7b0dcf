/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The open calls that this project keeps itself: stacks of threads, and syscalls. */
#include "open_calls.bpf.h"
#include "open_syscalls.bpf.h"

/*
 * Both return how many bytes of *ret_call are to be written, which are none for a call of a probe
 * that has gone; -1: there is no such call, nor one above it. The verifier walks each once, and
 * their callers straight on, because how much is written is no branch.
 */

__weak __noinline int open_call_of(u32 tag, u64 start_ns, struct loris_open_call *ret_call)
{
    if (!ret_call || !tag_is_current(tag))
        return 0;
    ret_call->probe = tag_probe(tag);
    ret_call->start_ns = start_ns;
    return sizeof(*ret_call);
}

__weak __noinline int open_call_in_stack(struct open_calls *calls, u32 index,
                                         struct loris_open_call *ret_call)
{
    if (!calls || !ret_call || index >= calls->depth)
        return -1;
    const struct open_call *call = open_call_at(calls, index);
    return open_call_of(call->tag, call->start_ns, ret_call);
}

static __always_inline void write_open_syscall(struct seq_file *seq, struct task_struct *task,
                                               struct loris_open_call *out)
{
    struct open_syscall *spilled = bpf_task_storage_get(&syscall_open, task, NULL, 0);
    struct open_slot *slot = open_slot_of(&syscall_slots, task->pid);
    u32 bytes = 0;
    if (slot && open_slot_is_of(slot, task->pid))
        bytes = open_call_of(slot->tag, slot->start_ns, out);
    else if (spilled && spilled->is_open)
        bytes = open_call_of(spilled->tag, spilled->start_ns, out);
    if (bytes <= sizeof(*out))
        bpf_seq_write(seq, out, bytes);
}

static __always_inline void write_open_calls(struct seq_file *seq, void *stacks,
                                             struct task_struct *task, struct loris_open_call *out)
{
    struct open_calls *calls = bpf_task_storage_get(stacks, task, NULL, 0);
    for (u32 i = 0; calls && i < LORIS_OPEN_CALLS_MAX; i++) {
        u32 bytes = open_call_in_stack(calls, i, out);
        if (bytes > sizeof(*out))
            break;
        bpf_seq_write(seq, out, bytes);
    }
}

/* Every open call that this object can see: stacks and syscalls. */
SEC("iter/task")
int on_each_open(struct bpf_iter__task *ctx)
{
    struct task_struct *task = ctx->task;
    struct loris_open_call out = {};
    if (!task)
        return 0;
    out.pid = task->tgid;
    out.tid = task->pid;
    out.start_tick = task_start_tick(task);
    out.weight = 1;
    struct seq_file *seq = ctx->meta->seq;
    write_open_syscall(seq, task, &out);
    write_open_calls(seq, &call_stacks, task, &out);
    write_open_calls(seq, &mark_stacks, task, &out);
    return 0;
}

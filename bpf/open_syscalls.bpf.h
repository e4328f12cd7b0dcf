/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The syscall that a thread is in: its slot, or its own storage where that is another's. */
#pragma once

#include "call.bpf.h"
#include "open_slot.bpf.h"

/* Ends what is in the thread's own storage. False: nothing is. */
static __always_inline bool open_syscall_unspill(struct open_slot *slot, struct task_struct *task,
                                                 u32 *ret_tag, u64 *ret_start_ns)
{
    struct open_syscall *open = bpf_task_storage_get(&syscall_open, task, NULL, 0);
    if (!open || !open->is_open)
        return false;
    open->is_open = 0;
    __sync_fetch_and_add(&slot->spilled, -1);
    *ret_tag = open->tag;
    *ret_start_ns = open->start_ns;
    return true;
}

/* False: no memory. */
static __always_inline bool open_syscall_spill(struct open_slot *slot, struct task_struct *task,
                                               u32 tag, u64 start_ns)
{
    struct open_syscall *open =
        bpf_task_storage_get(&syscall_open, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (!open)
        return false;
    if (!open->is_counted) {
        struct loris_rare_ledger *rare = rare_ledger_here();
        open->is_counted = 1;
        if (rare)
            ledger_add(rare->slots_made, 1);
    }
    __sync_fetch_and_add(&slot->spilled, 1);
    open->tag = tag;
    open->is_open = 1;
    open->start_ns = start_ns;
    return true;
}

/* Ends the syscall that the thread is in. False: it is in none that is measured. */
static __always_inline bool open_syscall_end(struct task_struct *task, u32 *ret_tag,
                                             u64 *ret_start_ns)
{
    struct open_slot *slot = open_slot_of(&syscall_slots, task->pid);
    if (!slot)
        return false;
    if (open_slot_is_of(slot, task->pid)) {
        *ret_tag = slot->tag;
        *ret_start_ns = slot->start_ns;
        open_slot_give_back(slot);
        return true;
    }
    return slot->spilled && open_syscall_unspill(slot, task, ret_tag, ret_start_ns);
}

/* The thread goes on under another id: what it has open goes along. */
static __always_inline void open_syscall_move(struct task_struct *task, u32 old_tid)
{
    struct open_slot *from = open_slot_of(&syscall_slots, old_tid);
    struct open_slot *to = open_slot_of(&syscall_slots, task->pid);
    bool again;
    if (!from || !to || from == to)
        return;
    if (!open_slot_is_of(from, old_tid)) {
        struct open_syscall *spilled = bpf_task_storage_get(&syscall_open, task, NULL, 0);
        if (spilled && spilled->is_open) {
            __sync_fetch_and_add(&from->spilled, -1);
            __sync_fetch_and_add(&to->spilled, 1);
        }
        return;
    }
    u32 tag = from->tag;
    u64 start_ns = from->start_ns;
    open_slot_give_back(from);
    if (!open_slot_take(to, task->pid, &again)) {
        open_syscall_spill(to, task, tag, start_ns);
        return;
    }
    to->tag = tag;
    to->start_ns = start_ns;
}

/* Begins a syscall; one that is still open has lost its exit. False: no memory. */
static __always_inline bool open_syscall_begin(struct task_struct *task, u32 tag)
{
    u32 stale_tag;
    u64 stale_ns;
    bool again = false;
    struct open_slot *slot = open_slot_of(&syscall_slots, task->pid);
    if (!slot)
        return false;
    if (slot->spilled && open_syscall_unspill(slot, task, &stale_tag, &stale_ns))
        tag_abandon(stale_tag);
    if (!open_slot_take(slot, task->pid, &again))
        return open_syscall_spill(slot, task, tag, bpf_ktime_get_ns());
    if (again)
        tag_abandon(slot->tag);
    slot->tag = tag;
    slot->start_ns = bpf_ktime_get_ns();
    return true;
}

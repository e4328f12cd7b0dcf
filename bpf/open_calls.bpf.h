/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The stack of open calls of a thread, for attachments that have no session cookie. */
#pragma once

#include "call.bpf.h"

/*
 * Only the thread itself writes its stack, and what interrupts it is done before it goes on, so
 * the one rule is: reserve the slot (depth) before filling it, and read it before giving it back.
 * An interrupt in between uses slots above and leaves the depth as it found it.
 *
 * User stacks grow down: once a function is entered at stack pointer S, every open user call below
 * S is gone (longjmp, exception), and counted as abandoned.
 */

static __always_inline struct open_call *open_call_at(struct open_calls *calls, u32 index)
{
    return &calls->call[index & (LORIS_OPEN_CALLS_MAX - 1)];
}

/*
 * The loops and what they do are functions of their own, which the verifier walks once each; the
 * callers' fast paths look at the innermost call only and rarely get here.
 */

/* Abandons one call; zero when there is none at that index, nor above it. */
__weak __noinline int open_calls_abandon(struct open_calls *calls, u32 index)
{
    if (!calls || index >= *(volatile u32 *)&calls->depth)
        return 0;
    tag_abandon(open_call_at(calls, index)->tag);
    return 1;
}

/* Abandons the calls from `keep` on. */
__weak __noinline int open_calls_cut(struct open_calls *calls, u32 keep)
{
    if (!calls)
        return 0;
    for (u32 i = 0; i < LORIS_OPEN_CALLS_MAX; i++)
        if (!open_calls_abandon(calls, keep + i))
            break;
    calls->depth = keep;
    return 0;
}

enum open_call_fate {
    OPEN_CALL_LASTS, /* and so do all below it */
    OPEN_CALL_STAYS, /* but those below it may be gone */
    OPEN_CALL_GONE,
};

/* The fate of one call when the probe enters at the stack pointer. */
__weak __noinline int open_call_fate(struct open_calls *calls, u32 index, u32 tag,
                                     u64 stack_pointer, u32 kind)
{
    if (!calls || index >= *(volatile u32 *)&calls->depth)
        return OPEN_CALL_STAYS;
    const struct open_call *call = open_call_at(calls, index);
    if (!(call->flags & kind) || call->frame > stack_pointer)
        return OPEN_CALL_LASTS;
    if (kind == OPEN_CALL_KERNEL && (call->frame ^ stack_pointer) >> KERNEL_STACK_BITS)
        return OPEN_CALL_LASTS;
    return call->frame < stack_pointer || call->tag == tag ? OPEN_CALL_GONE : OPEN_CALL_STAYS;
}

/*
 * How many calls are left when the probe enters at the stack pointer: calls below it on the same
 * stack are gone, and so is a call of the same probe at it, which was left without a return
 * (longjmp, exception; in the kernel a return probe that was missed). Another probe's call at it
 * may have tail-called. kind: OPEN_CALL_STACK or OPEN_CALL_KERNEL.
 */
__weak __noinline int open_calls_alive(struct open_calls *calls, u32 tag, u64 stack_pointer,
                                       u32 kind)
{
    if (!calls)
        return 0;
    u32 alive = calls->depth;
    for (u32 i = LORIS_OPEN_CALLS_MAX; i > 0; i--) {
        int fate = open_call_fate(calls, i - 1, tag, stack_pointer, kind);
        if (fate == OPEN_CALL_LASTS)
            break;
        if (fate == OPEN_CALL_GONE)
            alive = i - 1;
    }
    return alive;
}

/* One more than the place of the innermost call of the probe with this frame (any when 0). */
static __always_inline u32 open_calls_search(struct open_calls *calls, u32 tag, u64 frame)
{
    for (u32 i = LORIS_OPEN_CALLS_MAX; i > 0; i--) {
        u32 index = i - 1;
        barrier_var(index); /* a bounded index, not a pointer that walks backwards */
        const struct open_call *call = open_call_at(calls, index);
        if (i <= *(volatile u32 *)&calls->depth && call->tag == tag &&
            (!frame || call->frame == frame))
            return i;
    }
    return 0;
}

/* Whether it is a call of the probe with this frame (any when 0). */
__weak __noinline int open_call_matches(struct open_calls *calls, u32 index, u32 tag, u64 frame)
{
    if (!calls || index >= *(volatile u32 *)&calls->depth)
        return 0;
    const struct open_call *call = open_call_at(calls, index);
    return call->tag == tag && (!frame || call->frame == frame);
}

/* The same, walked by the verifier once. The frame must be a number: no pointer gets in here. */
__weak __noinline int open_calls_find(struct open_calls *calls, u32 tag, u64 frame)
{
    for (u32 i = LORIS_OPEN_CALLS_MAX; calls && i > 0; i--)
        if (open_call_matches(calls, i - 1, tag, frame))
            return i;
    return 0;
}

/* Drops the innermost call when it is this very activation, begun again without an end. */
static __always_inline void open_calls_drop_top(void *stacks, u32 tag, struct task_struct *task,
                                                u64 frame)
{
    struct open_calls *calls = bpf_task_storage_get(stacks, task, NULL, 0);
    if (!calls || calls->depth == 0)
        return;
    u32 depth = calls->depth;
    const struct open_call *top = open_call_at(calls, depth - 1);
    if (top->tag != tag || top->frame != frame)
        return;
    tag_abandon(top->tag);
    calls->depth = depth - 1;
}

/* Drops the calls that cannot be open any more when the probe enters at the stack pointer. */
static __always_inline void open_calls_unwind(struct open_calls *calls, u32 tag, u64 stack_pointer,
                                              u32 kind)
{
    u32 depth = calls->depth;
    if (depth == 0)
        return;
    const struct open_call *top = open_call_at(calls, depth - 1);
    if (top->flags & kind && top->frame <= stack_pointer) {
        u32 alive = open_calls_alive(calls, tag, stack_pointer, kind);
        if (alive < depth)
            open_calls_cut(calls, alive);
    }
}

/* The thread's stack of open calls, made when it has none. */
static __always_inline struct open_calls *open_calls_of(void *stacks, struct task_struct *task)
{
    struct open_calls *calls =
        bpf_task_storage_get(stacks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (calls && !calls->is_counted) {
        struct loris_rare_ledger *rare = rare_ledger_here();
        calls->is_counted = 1;
        if (rare)
            ledger_add(rare->stacks_made, 1);
    }
    return calls;
}

/* Opens a call that call_enter() let in; it is abandoned at once when it cannot be timed. */
static __always_inline void open_calls_push(void *stacks, const struct call_site *site,
                                            struct task_struct *task, u64 frame, u32 flags)
{
    struct open_calls *calls = open_calls_of(stacks, task);
    if (!calls) {
        call_abandon(site, &site->ledger->no_storage, 1);
        return;
    }
    u32 tag = call_tag(site);
    u32 kind = flags & (OPEN_CALL_STACK | OPEN_CALL_KERNEL);
    if (kind)
        open_calls_unwind(calls, tag, frame, kind);
    /* Nothing unwinds marks: where so many have begun, most have lost their end. */
    if (flags & OPEN_CALL_MARK && calls->depth >= LORIS_OPEN_CALLS_MAX)
        open_calls_cut(calls, 0);
    u32 depth = calls->depth;
    if (depth >= LORIS_OPEN_CALLS_MAX) {
        call_abandon(site, &site->ledger->too_deep, 1);
        return;
    }
    struct open_call *call = open_call_at(calls, depth);
    *(volatile u32 *)&calls->depth = depth + 1;
    call->frame = frame;
    call->tag = tag;
    call->flags = flags;
    call->start_ns = bpf_ktime_get_ns();
}

/*
 * Closes the innermost open call of the probe with this frame (any frame when 0) and those above
 * it, which can only have been skipped. Returns its start time, 0 when there is none: the call
 * began before the attachment.
 */
static __always_inline u64 open_calls_pop(void *stacks, u32 tag, struct task_struct *task,
                                          u64 frame, bool frame_is_pointer)
{
    struct open_calls *calls = bpf_task_storage_get(stacks, task, NULL, 0);
    if (!calls)
        return 0;
    u32 depth = calls->depth;
    if (depth == 0)
        return 0;
    const struct open_call *call = open_call_at(calls, depth - 1);
    if (call->tag != tag || (frame && call->frame != frame)) {
        u32 found = frame_is_pointer ? open_calls_search(calls, tag, frame)
                                     : (u32)open_calls_find(calls, tag, frame);
        if (!found)
            return 0;
        open_calls_cut(calls, found);
        depth = found;
        call = open_call_at(calls, depth - 1);
    }
    u64 start_ns = call->start_ns;
    *(volatile u32 *)&calls->depth = depth - 1;
    return start_ns;
}

static __always_inline void open_calls_enter(void *stacks, u32 probe, u64 frame, u32 flags)
{
    struct call_site site;
    struct task_struct *task = bpf_get_current_task_btf();
    if (call_enter(probe, task, &site))
        open_calls_push(stacks, &site, task, frame, flags);
}

static __always_inline void open_calls_return(void *stacks, u32 probe, u64 frame,
                                              bool frame_is_pointer, s64 value)
{
    u64 now_ns = bpf_ktime_get_ns();
    struct call_site site;
    if (!call_site_find(probe, &site))
        return;
    struct task_struct *task = bpf_get_current_task_btf();
    u64 start_ns = open_calls_pop(stacks, call_tag(&site), task, frame, frame_is_pointer);
    if (start_ns)
        call_return(&site, task->tgid, task_start_tick(task), start_ns, now_ns, value);
    else
        ledger_add(site.ledger->unmatched, 1);
}

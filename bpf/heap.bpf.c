/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Allocators of user space: what was asked for, what failed, and what is still held. */
#include "heap_tables.bpf.h"

#include <bpf/bpf_tracing.h>

struct heap_rows_map heap_rows SEC(".maps");
struct heap_blocks_map heap_blocks SEC(".maps");
struct heap_sizes_map heap_sizes SEC(".maps");
struct heap_ledger_map heap_ledgers SEC(".maps");
struct heap_last_id_map heap_last_id SEC(".maps");
struct heap_targets_map heap_targets SEC(".maps");
struct heap_threads_map heap_threads SEC(".maps");

/* --- calls ----------------------------------------------------------------------------------- */

static __always_inline struct open_allocation *open_at(struct heap_thread *thread, u32 index)
{
    return &thread->open[index & (OPEN_MAX - 1)];
}

static __always_inline bool is_realloc(u32 function)
{
    return function == LORIS_HEAP_REALLOC || function == LORIS_HEAP_REALLOCARRAY;
}

/* The old block is another's as soon as realloc has freed it, so it was taken out at the entry. */
static __always_inline void end_failed(struct loris_heap_row *row,
                                       const struct open_allocation *call, u32 function)
{
    bool is_released = is_realloc(function) && call->size == 0 && call->old_address;
    if (is_released) {
        ledger_add(row->released_by_realloc, 1);
        if (!call->is_old_known) {
            ledger_add(row->frees_older, 1);
            return;
        }
        ledger_add(row->frees, 1);
        ledger_add(row->freed_bytes, call->old_size);
        ledger_add(row->live_bytes, -call->old_size);
        ledger_add(row->live_count, -1);
        return;
    }
    if (function < LORIS_HEAP_RELEASES)
        ledger_add(row->failures[function], 1);
    if (call->is_old_known && !put_block(row, call->old_address, call->old_size)) {
        ledger_add(row->live_bytes, -call->old_size);
        ledger_add(row->live_count, -1);
        ledger_add(row->vanished, 1);
    }
}

static __always_inline void end_succeeded(struct loris_heap_row *row,
                                          const struct open_allocation *call, u32 function,
                                          u64 address)
{
    ledger_add(row->bytes, call->size);
    sketch_size(row, call->size);
    if (call->is_old_known) {
        ledger_add(row->resized, 1);
        ledger_add(row->freed_bytes, call->old_size);
        ledger_add(row->live_bytes, -call->old_size);
        ledger_add(row->live_count, -1);
    } else if (is_realloc(function) && call->old_address) {
        ledger_add(row->resized_older, 1);
    }
    if (!put_block(row, address, call->size)) {
        ledger_add(row->untracked, 1);
        return;
    }
    ledger_add(row->live_bytes, call->size);
    ledger_add(row->live_count, 1);
}

/* A call that returned `address`, 0: it failed. Functions of their own are walked once. */
__weak __noinline int end_allocation(struct open_allocation *call, u64 address)
{
    if (!call)
        return 0;
    u32 function = cookie_function(call->cookie);
    struct loris_heap_row *row = row_here(call->cookie);
    struct loris_heap_ledger *ledger = ledger_of_cookie(call->cookie);
    if (ledger) {
        ledger_add(ledger->returned, 1);
        ledger_add(ledger->rowless, !row);
    }
    if (!row)
        return 0;
    if (function < LORIS_HEAP_FUNCTIONS)
        ledger_add(row->calls[function], 1);
    if (address)
        end_succeeded(row, call, function, address);
    else
        end_failed(row, call, function);
    return 0;
}

/* False: the target of this call has gone, and its slot may be another's. */
static __always_inline bool target_is_current(u32 cookie)
{
    u32 slot = cookie_target(cookie) & (LORIS_HEAP_TARGETS_MAX - 1);
    const u32 *target = bpf_map_lookup_elem(&heap_targets, &slot);
    return target && *target == cookie_target(cookie);
}

/* A call that will not return: an exception out of new means that it failed. */
__weak __noinline int leave_allocation(struct open_allocation *call)
{
    if (!call || !target_is_current(call->cookie))
        return 0;
    if (cookie_function(call->cookie) == LORIS_HEAP_NEW)
        return end_allocation(call, 0);
    struct loris_heap_ledger *ledger = ledger_of_cookie(call->cookie);
    struct loris_heap_row *row = call->is_old_known ? row_here(call->cookie) : NULL;
    if (ledger)
        ledger_add(ledger->abandoned, 1);
    if (row) {
        ledger_add(row->live_bytes, -call->old_size);
        ledger_add(row->live_count, -1);
        ledger_add(row->vanished, 1);
    }
    return 0;
}

/* Whether it is where return probes lead to, ours or another's, that came after the entry. */
static __always_inline bool is_trampoline(u64 address)
{
    struct task_struct *task = bpf_get_current_task_btf();
    u64 page = BPF_CORE_READ(task, mm, uprobes_state.xol_area, vaddr);
    return page && address - page < 4096;
}

/*
 * Drops what cannot be open any more when the thread is at the stack pointer, with a function of
 * its own (NO_PROBE: none). User stacks grow down: a call below is gone, one at the same place is
 * when it is of the same function, or of a target that has gone, whose returns nobody sees; another
 * may have tail-called. What an exception may have left is gone when its return address is no
 * longer where it was, nor a return probe in its place.
 */
__weak __noinline int is_gone(struct open_allocation *call, u64 stack_pointer, u32 cookie)
{
    u64 now = 0;
    if (!call || call->frame < stack_pointer)
        return 1;
    if (call->frame == stack_pointer)
        return call->cookie == cookie || !target_is_current(call->cookie);
    if (!call->return_address)
        return 0;
    return bpf_probe_read_user(&now, sizeof(now), (void *)call->frame) ||
           (now != call->return_address && !is_trampoline(now));
}

__weak __noinline int drop_gone(struct heap_thread *thread, u64 stack_pointer, u32 cookie)
{
    for (u32 i = OPEN_MAX; thread && i > 0; i--) {
        u32 index = i - 1;
        barrier_var(index);
        if (index >= thread->depth)
            continue;
        struct open_allocation *call = open_at(thread, index);
        if (!is_gone(call, stack_pointer, cookie))
            break;
        leave_allocation(call);
        thread->depth = index;
    }
    return 0;
}

/* One more than the place of the target's open call; 0: it has none. */
__weak __noinline int find_open(struct heap_thread *thread, u32 target)
{
    for (u32 i = OPEN_MAX; thread && i > 0; i--) {
        u32 index = i - 1;
        barrier_var(index);
        if (index < thread->depth && cookie_target(open_at(thread, index)->cookie) == target)
            return i;
    }
    return 0;
}

/* calloc(n, size): what overflows is more than there is. */
static __always_inline u64 product(u64 count, u64 size)
{
    u64 most = size ? ~0ull / size : ~0ull;
    barrier_var(most); /* else the compiler wants 128 bits */
    return count > most ? ~0ull : count * size;
}

/* What a probe reads of its context, at once: the compiler would else compute with its address,
 * which the verifier does not allow. */
struct arguments {
    u64 stack_pointer;
    u64 first, second, third;
};

static __always_inline struct arguments arguments_of(struct pt_regs *ctx)
{
    struct arguments arguments = {PT_REGS_SP(ctx), PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx),
                                  PT_REGS_PARM3(ctx)};
    barrier_var(arguments.stack_pointer);
    barrier_var(arguments.first);
    barrier_var(arguments.second);
    barrier_var(arguments.third);
    return arguments;
}

static __always_inline void read_arguments(const struct arguments *given,
                                           struct open_allocation *call)
{
    switch (cookie_function(call->cookie)) {
    case LORIS_HEAP_CALLOC:
        call->size = product(given->first, given->second);
        return;
    case LORIS_HEAP_REALLOCARRAY:
        call->old_address = given->first;
        call->size = product(given->second, given->third);
        return;
    case LORIS_HEAP_REALLOC:
        call->old_address = given->first;
        call->size = given->second;
        return;
    case LORIS_HEAP_POSIX_MEMALIGN:
        call->old_address = given->first;
        call->size = given->third;
        return;
    case LORIS_HEAP_ALIGNED_ALLOC:
    case LORIS_HEAP_MEMALIGN:
        call->size = given->second;
        return;
    default:
        call->size = given->first;
    }
}

static __always_inline void begin_allocation(const struct arguments *given,
                                             struct heap_thread *thread,
                                             struct loris_heap_ledger *ledger, u32 cookie)
{
    u32 depth = thread->depth;
    thread->freed = 0; /* it may come back */
    if (depth >= OPEN_MAX) {
        ledger_add(ledger->too_deep, 1);
        ledger_add(ledger->abandoned, 1);
        return;
    }
    struct open_allocation *call = open_at(thread, depth);
    *call = (struct open_allocation){.frame = given->stack_pointer, .cookie = cookie};
    read_arguments(given, call);
    if (cookie_function(cookie) == LORIS_HEAP_NEW)
        bpf_probe_read_user(&call->return_address, sizeof(call->return_address),
                            (void *)call->frame);
    if (is_realloc(cookie_function(cookie)) && call->old_address) {
        struct loris_heap_row *row = row_here(cookie);
        call->is_old_known = row && take_block(row, call->old_address, &call->old_size);
    }
    thread->depth = depth + 1;
}

/* A free in the target's own allocation call is that call's affair, unless it is of another block
 * that is known; so is the free that a delete calls, and the delete that a delete calls. */
static __always_inline void release(struct heap_thread *thread, struct loris_heap_ledger *ledger,
                                    u32 cookie, const struct arguments *given, u32 open)
{
    struct loris_heap_row *row = row_here(cookie);
    u64 address = given->first;
    u64 size = 0;
    if (!row) {
        ledger_add(ledger->released, 1);
        ledger_add(ledger->rowless, 1);
        return;
    }
    /* A delete that jumps to another, or calls free, is at the same place of the stack or below. */
    bool is_repeated = address && thread->freed == address &&
                       thread->freed_target == cookie_target(cookie) &&
                       given->stack_pointer <= thread->freed_frame;
    bool is_of_realloc = open && open_at(thread, open - 1)->old_address == address &&
                         is_realloc(cookie_function(open_at(thread, open - 1)->cookie));
    bool is_known = address && !is_of_realloc && take_block(row, address, &size);
    if (!is_known && (open || is_repeated)) {
        ledger_add(ledger->nested, 1);
        return;
    }
    thread->freed = address;
    thread->freed_frame = given->stack_pointer;
    thread->freed_target = cookie_target(cookie);
    ledger_add(ledger->released, 1);
    u32 function = cookie_function(cookie);
    if (function < LORIS_HEAP_FUNCTIONS)
        ledger_add(row->calls[function], 1);
    if (!is_known) {
        ledger_add(*(address ? &row->frees_older : &row->frees_null), 1);
        return;
    }
    ledger_add(row->frees, 1);
    ledger_add(row->freed_bytes, size);
    ledger_add(row->live_bytes, -size);
    ledger_add(row->live_count, -1);
}

static __always_inline struct heap_thread *thread_of(struct task_struct *task)
{
    struct heap_thread *thread =
        bpf_task_storage_get(&heap_threads, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (thread && !thread->is_counted) {
        struct loris_rare_ledger *rare = rare_ledger_here();
        thread->is_counted = 1;
        if (rare)
            ledger_add(rare->slots_made, THREAD_SLOTS);
    }
    return thread;
}

static __always_inline int enter(struct pt_regs *ctx)
{
    keep_task_stack();
    const struct arguments given = arguments_of(ctx);
    u32 cookie = bpf_get_attach_cookie(ctx);
    struct task_struct *task = bpf_get_current_task_btf();
    struct loris_heap_ledger *ledger = ledger_of_cookie(cookie);
    if (!ledger)
        return 0;
    if (!filter_admits(cookie_filter(cookie), task)) {
        ledger_add(ledger->filtered, 1);
        return 0;
    }
    bool is_release = cookie_function(cookie) >= LORIS_HEAP_RELEASES;
    struct heap_thread *thread = thread_of(task);
    if (!thread) {
        ledger_add(ledger->no_storage, 1);
        ledger_add(ledger->entered, !is_release);
        ledger_add(ledger->abandoned, !is_release);
        return 0;
    }
    if (thread->depth)
        drop_gone(thread, given.stack_pointer, cookie);
    u32 open = thread->depth ? find_open(thread, cookie_target(cookie)) : 0;
    if (is_release) {
        release(thread, ledger, cookie, &given, open);
    } else if (open) {
        ledger_add(ledger->nested, 1);
    } else {
        ledger_add(ledger->entered, 1);
        begin_allocation(&given, thread, ledger, cookie);
    }
    return 0;
}

/* What a call gave its caller; 0: it failed. */
static __always_inline u64 result_of(u64 value, const struct open_allocation *call)
{
    u64 address = 0;
    if (cookie_function(call->cookie) != LORIS_HEAP_POSIX_MEMALIGN)
        return value;
    if ((u32)value == 0)
        bpf_probe_read_user(&address, sizeof(address), (void *)call->old_address);
    return address;
}

/* Returns of nested calls, and of those entered before the attachment, find no open call. */
static __always_inline int leave(struct pt_regs *ctx, u64 frame)
{
    keep_task_stack();
    u64 value = PT_REGS_RC(ctx);
    barrier_var(value);
    u32 cookie = bpf_get_attach_cookie(ctx);
    struct task_struct *task = bpf_get_current_task_btf();
    struct heap_thread *thread = bpf_task_storage_get(&heap_threads, task, NULL, 0);
    if (!thread || !thread->depth)
        return 0;
    drop_gone(thread, frame, NO_PROBE);
    u32 open = find_open(thread, cookie_target(cookie));
    if (!open)
        return 0;
    struct open_allocation *call = open_at(thread, open - 1);
    if (call->frame != frame)
        return 0;
    end_allocation(call, result_of(value, call));
    /* A call of another target that tail-called this one is still open below, none is above. */
    thread->depth = open - 1;
    return 0;
}

SEC("uprobe")
int on_heap_entry(struct pt_regs *ctx)
{
    return enter(ctx);
}

SEC("uretprobe")
int on_heap_return(struct pt_regs *ctx)
{
    return leave(ctx, PT_REGS_SP(ctx) - sizeof(long));
}

SEC("uprobe")
int on_heap_exit(struct pt_regs *ctx)
{
    return leave(ctx, PT_REGS_SP(ctx));
}

/* The same for uprobe.multi links; the agent sets their expected attach type. */
SEC("uprobe")
int on_mheap_entry(struct pt_regs *ctx)
{
    return enter(ctx);
}

SEC("uretprobe")
int on_mheap_return(struct pt_regs *ctx)
{
    return leave(ctx, PT_REGS_SP(ctx) - sizeof(long));
}

SEC("uprobe")
int on_mheap_exit(struct pt_regs *ctx)
{
    return leave(ctx, PT_REGS_SP(ctx));
}

/* --- the life of processes ------------------------------------------------------------------- */

static __always_inline void leave_all(struct task_struct *task)
{
    struct heap_thread *thread = bpf_task_storage_get(&heap_threads, task, NULL, 0);
    if (thread && thread->depth)
        drop_gone(thread, ~0ull, NO_PROBE);
}

/* The process's row of the target in a slot; NULL: it has none. */
static __always_inline struct loris_heap_row *row_in_slot(struct task_struct *task, u32 slot)
{
    u32 *target = bpf_map_lookup_elem(&heap_targets, &slot);
    if (!target || !*target)
        return NULL;
    struct task_struct *leader = BPF_CORE_READ(task, group_leader);
    u64 start_ns = BPF_CORE_READ(leader, start_boottime);
    const struct loris_heap_key key = {*target, task->tgid,
                                       (u32)(start_ns >> LORIS_START_TICK_SHIFT)};
    return bpf_map_lookup_elem(&heap_rows, &key);
}

/* The blocks went with the address space; who sweeps the table finds them by its number, and waits
 * while there is none. */
static __always_inline void empty_space(struct loris_heap_row *row)
{
    store_last(&row->space, 0);
    row->space = next_id();
    ledger_add(row->vanished, row->live_count);
    row->live_count = 0;
    row->live_bytes = 0;
}

SEC("tp_btf/sched_process_exec")
int on_heap_exec(u64 *ctx)
{
    struct task_struct *task = (struct task_struct *)ctx[0];
    leave_all(task);
    for (u32 slot = 0; slot < LORIS_HEAP_TARGETS_MAX; slot++) {
        struct loris_heap_row *row = row_in_slot(task, slot);
        if (row)
            empty_space(row);
    }
    return 0;
}

SEC("tp_btf/sched_process_exit")
int on_heap_thread_exit(u64 *ctx)
{
    struct task_struct *task = (struct task_struct *)ctx[0];
    struct heap_thread *thread = bpf_task_storage_get(&heap_threads, task, NULL, 0);
    struct loris_rare_ledger *rare = rare_ledger_here();
    leave_all(task);
    if (thread && thread->is_counted && rare)
        ledger_add(rare->slots_gone, THREAD_SLOTS);
    /* The count has been lowered for this thread already: zero means that it was the last. */
    if (BPF_CORE_READ(task, signal, live.counter) != 0)
        return 0;
    for (u32 slot = 0; slot < LORIS_HEAP_TARGETS_MAX; slot++) {
        struct loris_heap_row *row = row_in_slot(task, slot);
        if (row)
            row->exited = 1;
    }
    return 0;
}

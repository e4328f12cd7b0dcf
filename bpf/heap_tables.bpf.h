/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables of allocators: rows of processes, sizes, and blocks that live. */
#pragma once

#include "identity.bpf.h"
#include "ledger.bpf.h"
#include "loris/heap.h"

/* Targets whose calls one thread can have open: libstdc++'s new within it libc's malloc. */
#define OPEN_MAX 4

struct open_allocation {
    u64 frame;          /* stack pointer at the entry, which names the activation */
    u64 return_address; /* of new, that exceptions leave; else 0 */
    u64 size;
    u64 old_address; /* of realloc; posix_memalign: where the result is written to */
    u64 old_size;    /* of realloc: of the known block that it was given */
    u32 cookie;
    u32 is_old_known;
};

/* What a thread's storage takes, in units of the rare ledger's slots (128 bytes): the element, and
 * the head that a task's first one brings. */
#define THREAD_SLOTS 6

struct heap_thread {
    u32 depth;
    u32 is_counted; /* in the rare ledger's slots_made */
    u32 reserved;
    u32 freed_target; /* of the last free of this thread, its block and stack pointer */
    u64 freed;
    u64 freed_frame;
    struct open_allocation open[OPEN_MAX];
};

/* The agent sets the sizes of what is 1. */
MAP_OF(heap_rows_map, BPF_MAP_TYPE_HASH, 1, 0, struct loris_heap_key, struct loris_heap_row);
MAP_OF(heap_blocks_map, BPF_MAP_TYPE_HASH, 1, 0, struct loris_heap_block, u64);
MAP_OF(heap_sizes_map, BPF_MAP_TYPE_HASH, 1, 0, struct loris_heap_size, u64);
MAP_OF(heap_ledger_map, BPF_MAP_TYPE_PERCPU_ARRAY, LORIS_HEAP_TARGETS_MAX, 0, u32,
       struct loris_heap_ledger);
MAP_OF(heap_last_id_map, BPF_MAP_TYPE_ARRAY, 1, 0, u32, u64); /* of rows and address spaces */
MAP_OF(heap_targets_map, BPF_MAP_TYPE_ARRAY, LORIS_HEAP_TARGETS_MAX, 0, u32, u32); /* 0: none */
MAP_OF(heap_threads_map, BPF_MAP_TYPE_TASK_STORAGE, 0, BPF_F_NO_PREALLOC, int, struct heap_thread);

extern struct heap_rows_map heap_rows SEC(".maps");
extern struct heap_blocks_map heap_blocks SEC(".maps");
extern struct heap_sizes_map heap_sizes SEC(".maps");
extern struct heap_ledger_map heap_ledgers SEC(".maps");
extern struct heap_last_id_map heap_last_id SEC(".maps");
extern struct heap_targets_map heap_targets SEC(".maps");
extern struct heap_threads_map heap_threads SEC(".maps");

static __always_inline u32 cookie_function(u32 cookie)
{
    return cookie & ((1u << LORIS_HEAP_FUNCTION_BITS) - 1);
}

static __always_inline u32 cookie_filter(u32 cookie)
{
    return cookie >> LORIS_HEAP_FUNCTION_BITS & ((1u << LORIS_HEAP_FILTER_BITS) - 1);
}

static __always_inline u32 cookie_target(u32 cookie)
{
    return cookie >> LORIS_HEAP_TARGET_SHIFT;
}

static __always_inline struct loris_heap_ledger *ledger_of_cookie(u32 cookie)
{
    u32 slot = cookie_target(cookie) & (LORIS_HEAP_TARGETS_MAX - 1);
    return bpf_map_lookup_elem(&heap_ledgers, &slot);
}

/* --- rows ------------------------------------------------------------------------------------ */

static const struct loris_heap_row empty_row;

static __always_inline u64 next_id(void)
{
    u32 zero = 0;
    u64 *last_id = bpf_map_lookup_elem(&heap_last_id, &zero);
    return last_id ? __sync_fetch_and_add(last_id, 1) + 1 : 0;
}

/* The ids come after the row is there, because two threads may make it at once. */
static __always_inline struct loris_heap_row *make_row(const struct loris_heap_key *key)
{
    bpf_map_update_elem(&heap_rows, key, &empty_row, BPF_NOEXIST);
    struct loris_heap_row *row = bpf_map_lookup_elem(&heap_rows, key);
    if (row && !row->id)
        __sync_val_compare_and_swap(&row->id, 0, next_id());
    if (row && !row->space)
        __sync_val_compare_and_swap(&row->space, 0, next_id());
    return row;
}

/* The row of the current process; NULL: there is no room for it. */
static __always_inline struct loris_heap_row *row_here(u32 cookie)
{
    struct task_struct *task = bpf_get_current_task_btf();
    const struct loris_heap_key key = {cookie_target(cookie), task->tgid, task_start_tick(task)};
    struct loris_heap_row *row = bpf_map_lookup_elem(&heap_rows, &key);
    return row && row->id && row->space ? row : make_row(&key);
}

static __always_inline void sketch_size(struct loris_heap_row *row, u64 size)
{
    const struct loris_heap_size key = {.row = row->id, .bucket = sketch_bucket(size)};
    u64 *count = bpf_map_lookup_elem(&heap_sizes, &key);
    if (!count) {
        const u64 none = 0;
        bpf_map_update_elem(&heap_sizes, &key, &none, BPF_NOEXIST);
        count = bpf_map_lookup_elem(&heap_sizes, &key);
    }
    if (count)
        ledger_add(*count, 1);
    else
        ledger_add(row->unsketched, 1);
    ledger_raise(&row->size_min_inverted, ~size);
    ledger_raise(&row->size_max, size);
}

/* --- blocks ---------------------------------------------------------------------------------- */

/* Takes a block out of the table; false: it is not there. Who deletes it has it: of two frees at
 * once, one. */
static __always_inline bool take_block(struct loris_heap_row *row, u64 address, u64 *ret_size)
{
    const struct loris_heap_block key = {.address = address, .space = row->space};
    u64 *size = bpf_map_lookup_elem(&heap_blocks, &key);
    if (!size)
        return false;
    *ret_size = *size;
    return bpf_map_delete_elem(&heap_blocks, &key) == 0;
}

/* False: the table is full. */
static __always_inline bool put_block(struct loris_heap_row *row, u64 address, u64 size)
{
    const struct loris_heap_block key = {.address = address, .space = row->space};
    u64 vanished;
    if (take_block(row, address, &vanished)) {
        ledger_add(row->live_bytes, -vanished);
        ledger_add(row->live_count, -1);
        ledger_add(row->vanished, 1);
    }
    return bpf_map_update_elem(&heap_blocks, &key, &size, BPF_ANY) == 0;
}

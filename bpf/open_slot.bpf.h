/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a task has open of a kind of which it can have one: found by a look into an array. */
#pragma once

#include "kernel_compat.bpf.h"
#include "maps.bpf.h"

/*
 * Task storage costs 20 to 30 ns a look and a hash five times that, on both edges. So a task first
 * tries the slot that its thread id falls on; ids are given in turn, so neighbours do not clash.
 * Whoever exchanges its owner from nobody to itself has it until the other edge. Who finds it taken
 * by another task keeps its state elsewhere, and is counted in `spilled` for as long, so that its
 * other edge knows where to look.
 *
 * Only the owner writes to a slot it has, and the edges of one task follow one another, so nothing
 * else needs to be exchanged.
 */
static __always_inline struct open_slot *open_slot_of(void *slots, u32 tid)
{
    u32 index = tid % (1 << OPEN_SLOTS_LOG2);
    return bpf_map_lookup_elem(slots, &index);
}

/* True: the task has the slot from now on, or has had it already (*ret_again). */
static __always_inline bool open_slot_take(struct open_slot *slot, u32 tid, bool *ret_again)
{
    u32 owner = *(volatile u32 *)&slot->owner;
    *ret_again = owner == tid;
    return owner == tid || (owner == 0 && __sync_val_compare_and_swap(&slot->owner, 0, tid) == 0);
}

static __always_inline bool open_slot_is_of(const struct open_slot *slot, u32 tid)
{
    return *(volatile u32 *)&slot->owner == tid;
}

static __always_inline void open_slot_give_back(struct open_slot *slot)
{
    store_last(&slot->owner, 0);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The only place that reserves ring space and submits. */
#pragma once

#include "maps.bpf.h"

/*
 * A wake-up costs the traced thread about 1 µs, a submit without one about 20 ns. So the reader is
 * woken only when a ring is half full, and only once until it has moved on: a stopped reader must
 * not tax every call. Timed drains do the rest.
 */
static __always_inline u64 submit_flags(void *ring, u32 half, u64 *woken_at)
{
    if (bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) < half)
        return BPF_RB_NO_WAKEUP;
    u64 position = bpf_ringbuf_query(ring, BPF_RB_CONS_POS) + 1;
    if (*woken_at == position)
        return BPF_RB_NO_WAKEUP;
    *woken_at = position;
    return BPF_RB_FORCE_WAKEUP;
}

static __always_inline struct ring_wake *ring_wake_here(void)
{
    u32 zero = 0;
    return bpf_map_lookup_elem(&ring_wakes, &zero);
}

/* False: the ring has no room, and the caller counts the call instead. */
static __always_inline bool emit_latency(u32 probe, u32 generation, u32 pid, u32 start_tick,
                                         u64 latency_ns, bool error)
{
    u32 cpu = bpf_get_smp_processor_id();
    void *ring = bpf_map_lookup_elem(&latency_rings, &cpu);
    struct ring_wake *wake = ring_wake_here();
    if (!ring || !wake)
        return false;
    struct loris_latency_event *event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
    if (!event)
        return false;
    event->tag = LORIS_EVENT_LATENCY;
    event->flags = error ? LORIS_LATENCY_ERROR : 0;
    event->generation = generation;
    event->probe = probe;
    event->weight = 1;
    event->pid = pid;
    event->start_tick = start_tick;
    event->latency_ns = latency_ns;
    bpf_ringbuf_submit(event, submit_flags(ring, control_now().latency_ring_half, &wake->latency));
    return true;
}

/* A rare event is filled in place: reserve, fill, submit; NULL is counted as lost here. */
static __always_inline void *emit_reserve_rare(u64 size, void **ret_ring)
{
    u32 cpu = bpf_get_smp_processor_id();
    u32 zero = 0;
    void *ring = bpf_map_lookup_elem(&rare_rings, &cpu);
    struct loris_rare_ledger *ledger = bpf_map_lookup_elem(&rare_ledger, &zero);
    if (!ring || !ledger)
        return NULL;
    void *event = bpf_ringbuf_reserve(ring, size, 0);
    if (!event) {
        __sync_fetch_and_add(&ledger->ring_full, 1);
        return NULL;
    }
    __sync_fetch_and_add(&ledger->submitted, 1);
    *ret_ring = ring;
    return event;
}

static __always_inline void emit_submit_rare(void *event, void *ring)
{
    struct ring_wake *wake = ring_wake_here();
    u64 unused = 0;
    bpf_ringbuf_submit(
        event, submit_flags(ring, control_now().rare_ring_half, wake ? &wake->rare : &unused));
}

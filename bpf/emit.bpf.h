/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The only place that takes room in the sample logs and rings, and wakes the reader. */
#pragma once

#include "kernel_compat.bpf.h"
#include "maps.bpf.h"

/*
 * A wake-up costs the traced thread about 1 µs, a record without one about 20 ns. So the reader is
 * woken only when a log or ring is half full, and only once until it has moved on: a stopped reader
 * must not tax every call. Timed drains do the rest.
 */

static __always_inline void *rare_ring_here(void)
{
    u32 cpu = bpf_get_smp_processor_id();
    return bpf_map_lookup_elem(&rare_rings, &cpu);
}

/* --- samples --------------------------------------------------------------------------------- */

/* Looking how full a log is means reading what the reader writes: one record of so many does. */
#define SAMPLES_BETWEEN_LOOKS 32

/* The rings are what the reader can wait for: a discarded record of one wakes it. */
static __always_inline void sample_log_wake(struct loris_sample_log *log, u64 written)
{
    u64 consumed = *(volatile u64 *)&log->consumed;
    if (written - consumed < (1ull << log->capacity_log2) / 2 || log->woken_at == consumed + 1)
        return;
    void *ring = rare_ring_here();
    void *nothing = ring ? bpf_ringbuf_reserve(ring, sizeof(u64), 0) : NULL;
    if (!nothing)
        return; /* full, so its own records have woken the reader */
    log->woken_at = consumed + 1;
    bpf_ringbuf_discard(nothing, BPF_RB_FORCE_WAKEUP);
}

/* Contexts that nest on one CPU: a thread, a softirq, an interrupt, an NMI. */
#define SAMPLE_TRIES 4

/* False: the log has no room, and the caller counts the call instead. */
static __always_inline bool emit_latency(const struct loris_latency_event *event)
{
    u32 cpu = bpf_get_smp_processor_id();
    struct loris_sample_log *log = bpf_map_lookup_elem(&sample_logs, &cpu);
    if (!log)
        return false;
    u32 capacity_log2 = log->capacity_log2;
    u64 capacity = 1ull << capacity_log2;
    for (int tries = 0; tries < SAMPLE_TRIES; tries++) {
        u64 position = *(volatile u64 *)&log->reserved;
        /* Signed: since the position was read, others may have filled, and the reader emptied. */
        if ((s64)(position - *(volatile u64 *)&log->consumed) >= (s64)capacity)
            return false;
        u32 index = cpu * capacity + (position & (capacity - 1));
        struct loris_latency_event *sample = bpf_map_lookup_elem(&samples, &index);
        if (!sample)
            return false;
        if (__sync_val_compare_and_swap(&log->reserved, position, position + 1) != position)
            continue;
        sample->pid = event->pid;
        sample->start_tick = event->start_tick;
        sample->latency_ns = event->latency_ns;
        u64 lap = loris_sample_lap(position, capacity_log2) ? LORIS_LATENCY_LAP : 0;
        u64 head = event->tag | (event->flags | lap) << 8 | (u64)event->generation << 16 |
                   (u64)event->probe << 32 | (u64)event->weight << 48;
        store_last((u64 *)sample, head);
        if ((position + 1) % SAMPLES_BETWEEN_LOOKS == 0)
            sample_log_wake(log, position + 1);
        return true;
    }
    return false;
}

/* --- rare events ----------------------------------------------------------------------------- */

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

/* A rare event is filled in place: reserve, fill, submit; NULL is counted as lost here. */
static __always_inline void *emit_reserve_rare(u64 size, void **ret_ring)
{
    u32 zero = 0;
    void *ring = rare_ring_here();
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
    u32 zero = 0;
    struct ring_wake *wake = bpf_map_lookup_elem(&ring_wakes, &zero);
    u64 unused = 0;
    bpf_ringbuf_submit(
        event, submit_flags(ring, control_now().rare_ring_half, wake ? &wake->rare : &unused));
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes latency records into a running agent's rings, much faster than probes could. */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "loris/event.h"
#include "loris/ledger.h"
#include "source_job.h"

/* Both are the agent's: bench_source puts their fds here before it loads this. */
struct inner_ring {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
    __uint(max_entries, 1);
    __uint(key_size, sizeof(u32));
    __array(values, struct inner_ring);
} latency_rings SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 1);
    __type(key, u32);
    __type(value, struct loris_ledger);
} probe_ledger SEC(".maps");

struct source_job job;

/* Spreads the numbers (Knuth, The Art of Computer Programming, 6.4). */
#define GOLDEN 0x9e3779b97f4a7c15ull

static __always_inline u64 wake_flags(void *ring)
{
    if (bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) < bpf_ringbuf_query(ring, BPF_RB_RING_SIZE) / 2)
        return BPF_RB_NO_WAKEUP;
    u64 position = bpf_ringbuf_query(ring, BPF_RB_CONS_POS) + 1;
    if (job.woken_at == position)
        return BPF_RB_NO_WAKEUP;
    job.woken_at = position;
    return BPF_RB_FORCE_WAKEUP;
}

/* From 1 to 17 us, short ones more often: buckets of five powers of two. */
static __always_inline u64 made_latency_ns(u64 random)
{
    return 1000 + ((random & 0x3fff) >> (random >> 14 & 7));
}

static long write_record(u32 index, void *context)
{
    u32 cpu = *(u32 *)context;
    void *ring = bpf_map_lookup_elem(&latency_rings, &cpu);
    if (!ring)
        return 1;
    u64 scattered = (job.sequence + index) * GOLDEN;
    struct loris_latency_event *event = bpf_ringbuf_reserve(ring, sizeof(*event), 0);
    if (!event) {
        job.ring_full++;
        return 0;
    }
    event->tag = LORIS_EVENT_LATENCY;
    event->flags = 0;
    event->generation = job.generation;
    event->probe = job.probe;
    event->weight = 1;
    event->pid = SOURCE_PID_FIRST + (u32)((scattered >> 32) * job.processes >> 32);
    event->start_tick = 1;
    event->latency_ns = made_latency_ns(scattered);
    bpf_ringbuf_submit(event, wake_flags(ring));
    job.submitted++;
    return 0;
}

/* The agent's ledger must close: these calls were entered, and returned. */
SEC("raw_tp")
int write_records(void *ctx)
{
    u32 cpu = bpf_get_smp_processor_id();
    u32 probe = job.probe;
    u64 submitted = job.submitted;
    struct loris_ledger *ledger = bpf_map_lookup_elem(&probe_ledger, &probe);
    if (!ledger)
        return 1;
    bpf_loop(job.records, write_record, &cpu, 0);
    job.sequence += job.records;
    ledger->entered += job.submitted - submitted;
    ledger->returned += job.submitted - submitted;
    ledger->submitted += job.submitted - submitted;
    return 0;
}

char LICENSE[] SEC("license") = "GPL";

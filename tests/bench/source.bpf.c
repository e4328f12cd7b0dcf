/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes latency records into a running agent's logs, much faster than probes could. */
#include "emit.bpf.h"

#include "source_job.h"

/* All are the agent's: bench_source puts their fds here before it loads this. */
struct sample_logs_map sample_logs SEC(".maps");
struct samples_map samples SEC(".maps");
struct ring_family_map rare_rings SEC(".maps");
struct probe_ledger_map probe_ledger SEC(".maps");

struct source_job job;

/* Spreads the numbers (Knuth, The Art of Computer Programming, 6.4). */
#define GOLDEN 0x9e3779b97f4a7c15ull

/* From 1 to 17 us, short ones more often: buckets of five powers of two. */
static __always_inline u64 made_latency_ns(u64 random)
{
    return 1000 + ((random & 0x3fff) >> (random >> 14 & 7));
}

static long write_record(u32 index, void *unused)
{
    u64 scattered = (job.sequence + index) * GOLDEN;
    const struct loris_latency_event event = {
        .tag = LORIS_EVENT_LATENCY,
        .generation = job.generation,
        .probe = job.probe,
        .weight = 1,
        .pid = SOURCE_PID_FIRST + (u32)((scattered >> 32) * job.processes >> 32),
        .start_tick = 1,
        .latency_ns = made_latency_ns(scattered),
    };
    if (emit_latency(&event))
        job.submitted++;
    else
        job.log_full++;
    return 0;
}

/* The agent's ledger must close: these calls were entered, and returned. */
SEC("raw_tp")
int write_records(void *ctx)
{
    u32 probe = job.probe;
    u64 submitted = job.submitted;
    struct loris_ledger *ledger = bpf_map_lookup_elem(&probe_ledger, &probe);
    if (!ledger)
        return 1;
    bpf_loop(job.records, write_record, NULL, 0);
    job.sequence += job.records;
    ledger->entered += job.submitted - submitted;
    ledger->returned += job.submitted - submitted;
    return 0;
}

char LICENSE[] SEC("license") = "GPL";

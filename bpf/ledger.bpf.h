/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counting in the kernel: ledger slots and the kernel-side sketch. */
#pragma once

#include "maps.bpf.h"

/*
 * Counters are per CPU, so they are uncontended, and atomic, so that neither preemption nor an
 * interrupt between load and store can lose an increment: programs on uprobes are preemptible and
 * kernel functions run in any context. An uncontended locked add costs about 5 ns.
 */
#define ledger_add(counter, amount) ((void)__sync_fetch_and_add(&(counter), (amount)))

static __always_inline struct loris_ledger *ledger_of(u32 probe)
{
    return bpf_map_lookup_elem(&probe_ledger, &probe);
}

static __always_inline struct loris_rare_ledger *rare_ledger_here(void)
{
    u32 zero = 0;
    return bpf_map_lookup_elem(&rare_ledger, &zero);
}

/* Raises a per-CPU maximum. Only a context that nests in this one can race, so few tries do. */
static __always_inline void ledger_raise(u64 *maximum, u64 value)
{
    for (int tries = 0; tries < 4; tries++) {
        u64 before = *(volatile u64 *)maximum;
        if (before >= value || __sync_val_compare_and_swap(maximum, before, value) == before)
            return;
    }
}

/* The id of the page that counts this power of two, allocated on first use; 0: none is free. */
static __always_inline u32 sketch_page_id(u32 probe, u32 page)
{
    struct sketch_directory *directory = bpf_map_lookup_elem(&sketch_dirs, &probe);
    if (!directory || page >= LORIS_SKETCH_PAGES)
        return 0;
    u32 id = directory->page[page];
    if (id)
        return id;
    if (bpf_map_pop_elem(&sketch_free, &id))
        return 0;
    u32 winner = __sync_val_compare_and_swap(&directory->page[page], 0, id);
    if (!winner)
        return id;
    bpf_map_push_elem(&sketch_free, &id, 0);
    return winner;
}

/* Of its own as well: the verifier would follow each of its ways to a bucket through all below. */
__weak __noinline u32 sketch_bucket(u64 latency_ns)
{
    return loris_sketch_bucket(latency_ns);
}

/*
 * Counts `weight` calls in the kernel-side sketch, whatever happens: without a page, coarsely. A
 * function of its own, because the verifier would walk its many paths again wherever it is called.
 */
__weak __noinline int sketch_count(u32 probe, u64 latency_ns, u32 weight, u32 error)
{
    struct loris_ledger *ledger = ledger_of(probe);
    if (!ledger)
        return 0;
    /* Before the page: who reads the page and then the sums finds no call without its time. */
    if (error)
        ledger_add(ledger->sketch_errors, weight);
    ledger_add(ledger->sketch_sum_ns, latency_ns * weight);
    ledger_raise(&ledger->sketch_min_inverted, ~latency_ns);
    ledger_raise(&ledger->sketch_max_ns, latency_ns);
    u32 bucket = sketch_bucket(latency_ns);
    u32 page = bucket / LORIS_PAGE_BUCKETS;
    barrier_var(page); /* so that the verifier sees the bound check on what is used */
    u32 id = sketch_page_id(probe, page);
    struct sketch_page *counters = id ? bpf_map_lookup_elem(&sketch_pages, &id) : NULL;
    if (counters) {
        ledger_add(counters->count[bucket % LORIS_PAGE_BUCKETS], weight);
    } else {
        struct sketch_coarse *coarse = bpf_map_lookup_elem(&sketch_coarses, &probe);
        if (coarse && page < LORIS_SKETCH_PAGES)
            ledger_add(coarse->count[page], weight);
        ledger_add(ledger->sketch_coarse, weight);
    }
    return 0;
}

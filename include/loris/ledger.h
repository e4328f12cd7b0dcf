/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Per-probe counters of the kernel side: where every call went. */
#pragma once

#include <linux/types.h>

/*
 * At rest these close exactly, per probe, summed over CPUs:
 *
 *     entered   = returned + abandoned + in flight
 *     returned  = submitted + ring_full + counted
 *     submitted = decoded + malformed                     (decoded, malformed: the agent's side)
 *     decoded + counted + ring_full + unobserved
 *                                   = calls held by all series of the probe, folded ones included
 *
 * Unobserved is the agent's estimate of what was called while the probe was detached for a while.
 *
 * A call is a sample (submitted) or a count in the kernel-side sketch: because of sample_shift
 * (counted) or because the ring had no room (ring_full). Submitted is what is left of returned
 * when these two are taken off: one counter less on every call's way.
 *
 * All are in calls. Where a probe is thinned (thin_shift), one call is timed and stands for those
 * that entered on its CPU since the last timed one: it counts with their number, everywhere. Those
 * that no timed call stands for yet are `waiting`, and in none of the sums.
 *
 * A uprobe session keeps the start time in the kernel's own return instance, so its abandoned
 * calls are seen as what is neither returned nor in flight; `abandoned` here is then only what
 * was known to be lost at its entry (too_deep).
 */
struct loris_ledger {
    __u64 entered;
    __u64 returned;
    __u64 abandoned;
    __u64 thin; /* thinned probes: calls waiting << 32 | the wait that makes the next one timed */
    __u64 ring_full;
    __u64 counted;
    /* Of the calls in the kernel-side sketch (counted + ring_full): */
    __u64 sketch_errors;
    __u64 sketch_sum_ns;
    __u64 sketch_min_inverted; /* ~min, so that zero means none and both extremes are a maximum */
    __u64 sketch_max_ns;
    __u64 sketch_coarse; /* calls whose page could not be allocated: they are in `coarse` */
    /* Why calls were not measured, part of abandoned: */
    __u64 too_deep;   /* nested deeper than the kernel or the stack of open calls follows */
    __u64 no_storage; /* no memory for the start time */
    /* Seen and rightly left out, in none of the sums above: */
    __u64 unmatched; /* a return whose entry came before the attachment */
    __u64 inherited; /* a return in a child of a fork inside the call */
    __u64 filtered;  /* an entry that the probe's filter turned away */
};

static inline __u64 loris_ledger_waiting(const struct loris_ledger *ledger)
{
    return ledger->thin >> 32;
}

/* Calls whose record was put into a ring; of a sum over CPUs. */
static inline __u64 loris_ledger_submitted(const struct loris_ledger *ledger)
{
    return ledger->returned - ledger->ring_full - ledger->counted;
}

/* Counters that belong to no probe. */
struct loris_rare_ledger {
    __u64 submitted;
    __u64 ring_full;
    __u64 follow_failed; /* children that a filter should have followed */
    /* Task storage, which the kernel does not account to the map: threads that have it. */
    __u64 stacks_made;
    __u64 stacks_gone;
    __u64 slots_made;
    __u64 slots_gone;
};

_Static_assert(sizeof(struct loris_ledger) == 16 * 8, "ledger layout");
_Static_assert(sizeof(struct loris_rare_ledger) == 7 * 8, "rare ledger layout");

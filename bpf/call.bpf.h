/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One measured call: what every kind of attachment does at its two edges. */
#pragma once

#include "emit.bpf.h"
#include "identity.bpf.h"
#include "ledger.bpf.h"

/* Kernel-internal codes that restart a syscall are not failures of it. */
#define ERESTART_FIRST 512
#define ERESTART_LAST  516
#define ERRNO_LAST     4095

static __always_inline bool return_is_error(u32 rule, s64 value)
{
    switch (rule) {
    case LORIS_ERROR_NEGATIVE:
        return value < 0;
    case LORIS_ERROR_NEGATIVE_INT:
        return (s32)value < 0;
    case LORIS_ERROR_ZERO:
        return value == 0;
    case LORIS_ERROR_NONZERO:
        return (s32)value != 0;
    case LORIS_ERROR_ERRNO:
        return value < 0 && value >= -ERRNO_LAST &&
               !(value <= -ERESTART_FIRST && value >= -ERESTART_LAST);
    default:
        return false;
    }
}

/* What both edges of a call need of its probe. */
struct call_site {
    const struct loris_probe_knobs *knobs;
    struct loris_ledger *ledger;
    u32 probe;
};

static __always_inline bool call_site_find(u32 probe, struct call_site *ret_site)
{
    ret_site->probe = probe;
    ret_site->knobs = knobs_of(probe);
    ret_site->ledger = ledger_of(probe);
    return ret_site->knobs && ret_site->ledger;
}

static __always_inline u32 call_tag(const struct call_site *site)
{
    return tag_of(site->probe, site->knobs);
}

/* Whether calls of the probe are measured for this task. */
static __always_inline bool call_admitted(u32 probe, struct task_struct *task,
                                          struct call_site *ret_site)
{
    if (!call_site_find(probe, ret_site))
        return false;
    if (ret_site->knobs->enabled != LORIS_PROBE_ON) {
        if (ret_site->knobs->enabled == LORIS_PROBE_LOOK)
            ledger_add(ret_site->ledger->thin, 1ull << 32);
        return false;
    }
    if (!filter_admits(ret_site->knobs->filter, task)) {
        ledger_add(ret_site->ledger->filtered, 1);
        return false;
    }
    return true;
}

/* Decides at its entry whether a call is measured, and counts it. */
static __always_inline bool call_enter(u32 probe, struct task_struct *task,
                                       struct call_site *ret_site)
{
    if (!call_admitted(probe, task, ret_site))
        return false;
    ledger_add(ret_site->ledger->entered, 1);
    return true;
}

/* A call that was entered and cannot be timed. */
static __always_inline void call_abandon(const struct call_site *site, u64 *reason, u32 weight)
{
    ledger_add(*reason, weight);
    ledger_add(site->ledger->abandoned, weight);
}

/* An open call that will not return any more; not if its probe has gone. */
static __always_inline void tag_abandon(u32 tag)
{
    struct loris_ledger *ledger = tag_is_current(tag) ? ledger_of(tag_probe(tag)) : NULL;
    if (ledger)
        ledger_add(ledger->abandoned, 1);
}

/*
 * Of a thinned probe: how many calls this one stands for, 0 when it is left to a later one. The
 * gap between timed calls is drawn at random from [1, 2^(shift + 1) - 1], so that no rhythm of the
 * program can hide from it; its mean is 2^shift. Every call that enters is waited for exactly once:
 * the word holds both numbers, and who takes what has gathered exchanges it whole. Whoever comes in
 * between makes the exchange fail, and then his own call waits for the next one.
 */
static __always_inline u32 call_thin(struct loris_ledger *ledger, u32 shift)
{
    u64 before = __sync_fetch_and_add(&ledger->thin, 1ull << 32);
    u32 waiting = (before >> 32) + 1;
    u32 gap = before;
    if (waiting < gap)
        return 0;
    u32 weight = waiting < LORIS_WEIGHT_MAX ? waiting : LORIS_WEIGHT_MAX;
    u32 next_gap = 1 + bpf_get_prandom_u32() % ((2u << (shift & 15)) - 1);
    u64 seen = (u64)waiting << 32 | gap;
    u64 left = (u64)(waiting - weight) << 32 | next_gap;
    return __sync_val_compare_and_swap(&ledger->thin, seen, left) == seen ? weight : 0;
}

/* Records a call of the process (pid, start_tick) that took so long: a sample, or a count. */
static __always_inline void call_record(const struct call_site *site, u32 weight, u32 pid,
                                        u32 start_tick, u64 latency_ns, s64 value)
{
    const struct loris_probe_knobs *knobs = site->knobs;
    struct loris_ledger *ledger = site->ledger;
    bool error = return_is_error(knobs->error_rule, value);
    u64 bias_ns = knobs->bias_ns;
    latency_ns = latency_ns > bias_ns ? latency_ns - bias_ns : 0;
    ledger_add(ledger->returned, weight);

    u32 shift = knobs->sample_shift;
    if (shift && (shift >= LORIS_SAMPLE_NEVER || bpf_get_prandom_u32() & ((1u << shift) - 1))) {
        ledger_add(ledger->counted, weight);
    } else {
        const struct loris_latency_event event = {
            .tag = LORIS_EVENT_LATENCY,
            .flags = error ? LORIS_LATENCY_ERROR : 0,
            .generation = knobs->generation,
            .probe = site->probe,
            .weight = weight,
            .pid = pid,
            .start_tick = start_tick,
            .latency_ns = latency_ns,
        };
        if (emit_latency(&event))
            return;
        ledger_add(ledger->ring_full, weight);
    }
    sketch_count(site->probe, latency_ns, weight, error);
}

/* A call of the process that began at start_ns and returns now. */
static __always_inline void call_return(const struct call_site *site, u32 pid, u32 start_tick,
                                        u64 start_ns, u64 now_ns, s64 value)
{
    /* Clocks of two CPUs may disagree by some ns: never a latency of 584 years. */
    call_record(site, 1, pid, start_tick, now_ns > start_ns ? now_ns - start_ns : 0, value);
}

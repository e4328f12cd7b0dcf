/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One measured call: what every kind of attachment does at its two edges. */
#pragma once

#include "emit.bpf.h"
#include "identity.bpf.h"
#include "ledger.bpf.h"

static __always_inline const struct loris_probe_knobs *knobs_of(u32 probe)
{
    return bpf_map_lookup_elem(&probe_knobs, &probe);
}

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

/* Decides at its entry whether a call is measured, and counts it. NULL: not measured. */
static __always_inline struct loris_ledger *call_enter(u32 probe, struct task_struct *task)
{
    const struct loris_probe_knobs *knobs = knobs_of(probe);
    if (!knobs || !knobs->enabled)
        return NULL;
    struct loris_ledger *ledger = ledger_of(probe);
    if (!ledger)
        return NULL;
    if (!filter_admits(knobs->filter, task)) {
        ledger_add(ledger->filtered, 1);
        return NULL;
    }
    ledger_add(ledger->entered, 1);
    return ledger;
}

/* A returned call of the process (pid, start_tick): a sample, or a count. */
static __always_inline void call_return(u32 probe, struct loris_ledger *ledger, u32 pid,
                                        u32 start_tick, u64 latency_ns, s64 value)
{
    const struct loris_probe_knobs *knobs = knobs_of(probe);
    if (!knobs)
        return;
    bool error = return_is_error(knobs->error_rule, value);
    u64 bias_ns = knobs->bias_ns;
    latency_ns = latency_ns > bias_ns ? latency_ns - bias_ns : 0;
    ledger_add(ledger->returned, 1);

    u32 shift = knobs->sample_shift;
    if (shift && (shift >= LORIS_SAMPLE_NEVER || bpf_get_prandom_u32() & ((1u << shift) - 1))) {
        ledger_add(ledger->counted, 1);
    } else if (emit_latency(probe, knobs->generation, pid, start_tick, latency_ns, error)) {
        ledger_add(ledger->submitted, 1);
        return;
    } else {
        ledger_add(ledger->ring_full, 1);
    }
    sketch_count(probe, latency_ns, error);
}

/* Clocks of two CPUs may disagree by some ns: never a latency of 584 years. */
static __always_inline u64 elapsed_ns(u64 start_ns, u64 now_ns)
{
    return now_ns > start_ns ? now_ns - start_ns : 0;
}

static __always_inline void call_return_current(u32 probe, struct loris_ledger *ledger,
                                                u64 start_ns, u64 now_ns, s64 value)
{
    struct task_struct *task = bpf_get_current_task_btf();
    call_return(probe, ledger, task->tgid, task_start_tick(task), elapsed_ns(start_ns, now_ns),
                value);
}

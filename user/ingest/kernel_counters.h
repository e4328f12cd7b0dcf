/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads the kernel side's counters: ledgers, and what its sketches gained since the last look. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "loris/ledger.h"
#include "probe/kernel_side.h"

struct kernel_counters;

int kernel_counters_new(const struct kernel_side *side,
                        struct kernel_counters **ret_counters) _must_check_;
void kernel_counters_free(struct kernel_counters *counters);
DEFINE_CLEANUP(struct kernel_counters *, kernel_counters_free);

/* The ledger of a probe, summed over CPUs; extremes are the maxima. One system call. */
int kernel_counters_ledger(struct kernel_counters *counters, uint32_t probe,
                           struct loris_ledger *ret_ledger) _must_check_;
/* The ledgers of probes 0 .. end - 1 that were ever called, in order; a system call for many. */
typedef void (*kernel_ledger_fn)(uint32_t probe, const struct loris_ledger *ledger, void *context);
int kernel_counters_walk(struct kernel_counters *counters, uint32_t end, kernel_ledger_fn on_ledger,
                         void *context) _must_check_;
/* What the rare rings took and lost, all CPUs. */
int kernel_counters_rare(struct kernel_counters *counters,
                         struct loris_rare_ledger *ret_ledger) _must_check_;

/* Gained by the kernel-side sketch of one probe. */
struct kernel_gain {
    uint64_t count; /* calls in the buckets reported, coarse ones included */
    uint64_t errors;
    uint64_t sum_ns;
    uint64_t min_ns; /* of all calls counted so far, not of the gain */
    uint64_t max_ns;
    bool min_moved; /* the gain holds the call of min_ns */
    bool max_moved;
    bool coarse; /* some calls are known by their power of two only */
};

/* bucket: of loris_sketch_bucket; is_coarse: only its power of two is meant. */
typedef void (*kernel_bucket_fn)(uint32_t bucket, uint64_t count, bool is_coarse, void *context);

/*
 * Reports the buckets that grew since the last take. At rest count equals the growth of
 * counted + ring_full; while calls go on it may lag by those under way. -ENOMEM and others report
 * nothing, and the gain comes with the next take.
 */
int kernel_counters_take(struct kernel_counters *counters, uint32_t probe,
                         kernel_bucket_fn on_bucket, void *context,
                         struct kernel_gain *ret_gain) _must_check_;
/* Forgets what was taken, when the kernel side was reset for the probe. */
void kernel_counters_forget(struct kernel_counters *counters, uint32_t probe);
/* Of the threads' own storage in the kernel, which is not accounted to its map. */
uint64_t kernel_counters_storage_bytes(struct kernel_counters *counters);
uint64_t kernel_counters_bytes(const struct kernel_counters *counters);

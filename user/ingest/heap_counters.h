/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and tidies what the kernel side holds of allocators. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ownership.h"
#include "loris/heap.h"
#include "probe/kernel_side.h"

struct heap_counters;

/* The side must live longer; its heap maps have come. -ENOMEM. */
int heap_counters_new(const struct kernel_side *side,
                      struct heap_counters **ret_counters) _must_check_;
void heap_counters_free(struct heap_counters *counters);
DEFINE_CLEANUP(struct heap_counters *, heap_counters_free);

/* Every row, even one whose ids are 0 because they are being made. */
typedef void (*heap_row_fn)(const struct loris_heap_key *key, const struct loris_heap_row *row,
                            void *context);
int heap_counters_rows(struct heap_counters *counters, heap_row_fn on_row,
                       void *context) _must_check_;
/* Every size of every row. True: it is read for the last time, and is taken out. */
typedef bool (*heap_size_fn)(const struct loris_heap_size *size, uint64_t count, void *context);
int heap_counters_sizes(struct heap_counters *counters, heap_size_fn on_size,
                        void *context) _must_check_;
/* Of a process that has ended. */
int heap_counters_remove_row(struct heap_counters *counters,
                             const struct loris_heap_key *key) _must_check_;

/*
 * Takes out blocks of address spaces that are gone, some thousands in one call; goes on where the
 * last call ended. ret_at_end: it has seen the last block.
 */
typedef bool (*heap_space_fn)(uint64_t space, void *context); /* whether it lives */
int heap_counters_sweep(struct heap_counters *counters, heap_space_fn lives, void *context,
                        bool *ret_at_end) _must_check_;

/* Sums over CPUs. */
int heap_counters_ledger(struct heap_counters *counters, uint32_t slot,
                         struct loris_heap_ledger *ret_ledger) _must_check_;
int heap_counters_clear_ledger(struct heap_counters *counters, uint32_t slot) _must_check_;
/* Ids of rows and address spaces made from now on are above it. */
int heap_counters_last_id(struct heap_counters *counters, uint64_t *ret_id) _must_check_;
/* The target of a slot, whose rows the ends of processes are told to; 0: none. */
int heap_counters_set_target(struct heap_counters *counters, uint32_t slot,
                             uint32_t target) _must_check_;

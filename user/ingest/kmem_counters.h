/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads what the kernel side counts of the kernel's own allocators. */
#pragma once

#include <stdint.h>

#include "base/ownership.h"
#include "loris/kmem.h"
#include "probe/kernel_side.h"

/* Sums over CPUs. key: see loris/kmem.h; cache: of a slab cache, else NULL. */
typedef void (*kmem_slab_fn)(uint64_t key, const struct loris_kmem_counts *counts,
                             const struct loris_kmem_cache *cache, void *context);
/* -ENOMEM, or what the map says. Its programs have been loaded. */
int kmem_counters_slabs(const struct kernel_side *side, kmem_slab_fn on_slab,
                        void *context) _must_check_;
int kmem_counters_order(const struct kernel_side *side, uint32_t order,
                        struct loris_kmem_counts *ret_counts) _must_check_;
int kmem_counters_ledger(const struct kernel_side *side,
                         struct loris_kmem_ledger *ret_ledger) _must_check_;
/* Begins from nothing; no program of the kind may be attached. */
int kmem_counters_clear_slabs(const struct kernel_side *side) _must_check_;
int kmem_counters_clear_orders(const struct kernel_side *side) _must_check_;

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's own allocators: slab objects by cache, pages by order. No object is followed. */
#include "loris/kmem.h"
#include "kernel_compat.bpf.h"
#include "ledger.bpf.h"

#include <bpf/bpf_core_read.h>

/* The agent sets the sizes of what is 1. */
MAP_OF(kmem_slabs_map, BPF_MAP_TYPE_PERCPU_HASH, 1, 0, u64, struct loris_kmem_counts);
MAP_OF(kmem_caches_map, BPF_MAP_TYPE_HASH, 1, 0, u64, struct loris_kmem_cache);
MAP_OF(kmem_pages_map, BPF_MAP_TYPE_PERCPU_ARRAY, LORIS_KMEM_ORDERS, 0, u32,
       struct loris_kmem_counts);
MAP_OF(kmem_ledger_map, BPF_MAP_TYPE_PERCPU_ARRAY, 1, 0, u32, struct loris_kmem_ledger);

struct kmem_slabs_map kmem_slabs SEC(".maps");
struct kmem_caches_map kmem_caches SEC(".maps");
struct kmem_pages_map kmem_pages SEC(".maps");
struct kmem_ledger_map kmem_ledgers SEC(".maps");

/* What kmalloc(0) gives; with NULL below, it is nothing to free. */
#define ZERO_SIZE_POINTER 16

static const struct loris_kmem_counts no_counts;

/* The names come first: who reads the counts finds whose they are. */
static __always_inline void name_cache(struct kmem_cache *cache)
{
    u64 key = (u64)cache;
    struct loris_kmem_cache named = {.object_bytes = BPF_CORE_READ(cache, object_size)};
    const char *name = BPF_CORE_READ(cache, name);
    bpf_probe_read_kernel_str(named.name, sizeof(named.name), name);
    bpf_map_update_elem(&kmem_caches, &key, &named, BPF_ANY);
}

static __always_inline struct loris_kmem_counts *counts_of(u64 key, struct kmem_cache *cache)
{
    struct loris_kmem_counts *counts = bpf_map_lookup_elem(&kmem_slabs, &key);
    if (counts)
        return counts;
    if (cache)
        name_cache(cache);
    bpf_map_update_elem(&kmem_slabs, &key, &no_counts, BPF_NOEXIST);
    return bpf_map_lookup_elem(&kmem_slabs, &key);
}

static __always_inline struct loris_kmem_ledger *kmem_ledger_here(void)
{
    u32 zero = 0;
    return bpf_map_lookup_elem(&kmem_ledgers, &zero);
}

static __always_inline void count_call(struct loris_kmem_counts *counts, const void *object,
                                       u64 bytes)
{
    struct loris_kmem_ledger *ledger = counts ? NULL : kmem_ledger_here();
    if (ledger)
        ledger_add(ledger->unnamed_calls, 1);
    if (!counts)
        return;
    if (!object) {
        ledger_add(counts->failures, 1);
        return;
    }
    ledger_add(counts->calls, 1);
    ledger_add(counts->bytes, bytes);
}

static __always_inline void count_free(struct loris_kmem_counts *counts)
{
    struct loris_kmem_ledger *ledger = counts ? NULL : kmem_ledger_here();
    if (counts)
        ledger_add(counts->frees, 1);
    else if (ledger)
        ledger_add(ledger->unnamed_frees, 1);
}

/* These are raw tracepoints, because 6.1 lets no BTF program read an argument of type const void *.
 */
static __always_inline struct loris_kmem_counts *counts_of_cache(u64 cache)
{
    return tracepoints_tell_cache() ? counts_of(cache, (struct kmem_cache *)cache) : NULL;
}

SEC("raw_tp/kmem_cache_alloc")
int on_cache_alloc(struct bpf_raw_tracepoint_args *ctx)
{
    count_call(counts_of_cache(ctx->args[2]), (const void *)ctx->args[1], 0);
    return 0;
}

SEC("raw_tp/kmem_cache_free")
int on_cache_free(struct bpf_raw_tracepoint_args *ctx)
{
    count_free(counts_of_cache(ctx->args[2]));
    return 0;
}

SEC("raw_tp/kmalloc")
int on_kmalloc(struct bpf_raw_tracepoint_args *ctx)
{
    u64 asked = ctx->args[2], given = ctx->args[3];
    /* What fails was given nothing: it counts with what was asked for. */
    count_call(counts_of(given ? given : asked, NULL), (const void *)ctx->args[1], asked);
    return 0;
}

SEC("raw_tp/kfree")
int on_kfree(struct bpf_raw_tracepoint_args *ctx)
{
    if (ctx->args[1] > ZERO_SIZE_POINTER)
        count_free(counts_of(LORIS_KMEM_KFREE, NULL));
    return 0;
}

static __always_inline struct loris_kmem_counts *counts_of_order(u32 order)
{
    return bpf_map_lookup_elem(&kmem_pages, &order);
}

SEC("tp_btf/mm_page_alloc")
int on_page_alloc(u64 *ctx)
{
    u32 order = ctx[1];
    count_call(counts_of_order(order), (const void *)ctx[0], 4096ull << (order & 31));
    return 0;
}

SEC("tp_btf/mm_page_free")
int on_page_free(u64 *ctx)
{
    u32 order = ctx[1];
    count_free(counts_of_order(order));
    return 0;
}

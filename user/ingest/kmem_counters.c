/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/kmem_counters.h"

#include <bpf/bpf.h>
#include <errno.h>

static struct loris_kmem_counts sum_counts(const struct loris_kmem_counts *each, uint32_t cpus)
{
    struct loris_kmem_counts sum = {0};
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        sum.calls += each[cpu].calls;
        sum.failures += each[cpu].failures;
        sum.frees += each[cpu].frees;
        sum.bytes += each[cpu].bytes;
    }
    return sum;
}

int kmem_counters_slabs(const struct kernel_side *side, kmem_slab_fn on_slab, void *context)
{
    uint32_t cpus = kernel_side_cpus(side);
    uint32_t left = kernel_side_config(side)->kmem_caches_max;
    int slabs_fd = kernel_side_map(side, KERNEL_MAP_KMEM_SLABS);
    int caches_fd = kernel_side_map(side, KERNEL_MAP_KMEM_CACHES);
    _cleanup_free_ struct loris_kmem_counts *each = calloc(cpus, sizeof(*each));
    if (!each)
        return -ENOMEM;
    /* Nothing is ever taken out while programs are attached, so the walk ends. */
    uint64_t key;
    for (const uint64_t *last = NULL; left > 0; left--, last = &key) {
        struct loris_kmem_cache cache;
        if (bpf_map_get_next_key(slabs_fd, last, &key))
            return errno == ENOENT ? 0 : -errno;
        if (bpf_map_lookup_elem(slabs_fd, &key, each))
            return -errno;
        bool is_named = LORIS_KMEM_IS_CACHE(key) && !bpf_map_lookup_elem(caches_fd, &key, &cache);
        const struct loris_kmem_counts counts = sum_counts(each, cpus);
        on_slab(key, &counts, is_named ? &cache : NULL, context);
    }
    return 0;
}

int kmem_counters_order(const struct kernel_side *side, uint32_t order,
                        struct loris_kmem_counts *ret_counts)
{
    uint32_t cpus = kernel_side_cpus(side);
    _cleanup_free_ struct loris_kmem_counts *each = calloc(cpus, sizeof(*each));
    if (!each)
        return -ENOMEM;
    if (bpf_map_lookup_elem(kernel_side_map(side, KERNEL_MAP_KMEM_PAGES), &order, each))
        return -errno;
    *ret_counts = sum_counts(each, cpus);
    return 0;
}

int kmem_counters_ledger(const struct kernel_side *side, struct loris_kmem_ledger *ret_ledger)
{
    uint32_t zero = 0, cpus = kernel_side_cpus(side);
    struct loris_kmem_ledger sum = {0};
    _cleanup_free_ struct loris_kmem_ledger *each = calloc(cpus, sizeof(*each));
    if (!each)
        return -ENOMEM;
    if (bpf_map_lookup_elem(kernel_side_map(side, KERNEL_MAP_KMEM_LEDGERS), &zero, each))
        return -errno;
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        sum.unnamed_calls += each[cpu].unnamed_calls;
        sum.unnamed_frees += each[cpu].unnamed_frees;
    }
    *ret_ledger = sum;
    return 0;
}

static int clear_hash(int fd)
{
    uint64_t key;
    while (bpf_map_get_next_key(fd, NULL, &key) == 0)
        if (bpf_map_delete_elem(fd, &key) && errno != ENOENT)
            return -errno;
    return 0;
}

static int clear_entry(int fd, uint32_t key, size_t value_bytes, uint32_t cpus)
{
    _cleanup_free_ char *zeroes = calloc(cpus, value_bytes);
    if (!zeroes)
        return -ENOMEM;
    return bpf_map_update_elem(fd, &key, zeroes, BPF_ANY) ? -errno : 0;
}

int kmem_counters_clear_slabs(const struct kernel_side *side)
{
    int error = clear_hash(kernel_side_map(side, KERNEL_MAP_KMEM_SLABS));
    if (!error)
        error = clear_hash(kernel_side_map(side, KERNEL_MAP_KMEM_CACHES));
    return error ? error
                 : clear_entry(kernel_side_map(side, KERNEL_MAP_KMEM_LEDGERS), 0,
                               sizeof(struct loris_kmem_ledger), kernel_side_cpus(side));
}

int kmem_counters_clear_orders(const struct kernel_side *side)
{
    int fd = kernel_side_map(side, KERNEL_MAP_KMEM_PAGES);
    int error = 0;
    for (uint32_t order = 0; order < LORIS_KMEM_ORDERS && !error; order++)
        error = clear_entry(fd, order, sizeof(struct loris_kmem_counts), kernel_side_cpus(side));
    return error;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/heap_counters.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#define BATCH         1024 /* elements of one system call; a bucket never holds so many */
#define SWEEP_BATCHES 32   /* of one sweep */
#define ROW_BATCH     64

/* One of the hash maps, read in batches. */
struct batches {
    int fd;
    uint32_t position;
    bool is_begun;
    bool is_at_end;
};

struct heap_counters {
    const struct kernel_side *side;
    struct batches sweep;
    /* Scratch. */
    struct loris_heap_block blocks[BATCH];
    struct loris_heap_size sizes[BATCH];
    struct loris_heap_size done[BATCH];
    struct loris_heap_key keys[ROW_BATCH];
    struct loris_heap_row rows[ROW_BATCH];
    uint64_t values[BATCH];
    struct loris_heap_ledger ledgers[]; /* one per CPU */
};

int heap_counters_new(const struct kernel_side *side, struct heap_counters **ret_counters)
{
    struct heap_counters *counters =
        calloc(1, sizeof(*counters) + kernel_side_cpus(side) * sizeof(counters->ledgers[0]));
    if (!counters)
        return -ENOMEM;
    counters->side = side;
    *ret_counters = counters;
    return 0;
}

void heap_counters_free(struct heap_counters *counters)
{
    free(counters);
}

static int map_fd(const struct heap_counters *counters, enum kernel_map map)
{
    return kernel_side_map(counters->side, map);
}

/* How many elements came, none at the end. */
static int next_batch(struct batches *batches, void *keys, void *values, uint32_t max)
{
    uint32_t count = max;
    if (batches->is_at_end)
        return 0;
    int failed = bpf_map_lookup_batch(batches->fd, batches->is_begun ? &batches->position : NULL,
                                      &batches->position, keys, values, &count, NULL);
    int error = failed ? errno : 0;
    batches->is_begun = true;
    if (error && error != ENOENT)
        return -error;
    batches->is_at_end = error == ENOENT;
    return (int)count;
}

int heap_counters_rows(struct heap_counters *counters, heap_row_fn on_row, void *context)
{
    struct batches batches = {.fd = map_fd(counters, KERNEL_MAP_HEAP_ROWS)};
    int count = 0;
    while (!batches.is_at_end &&
           (count = next_batch(&batches, counters->keys, counters->rows, ROW_BATCH)) >= 0)
        for (int i = 0; i < count; i++)
            on_row(&counters->keys[i], &counters->rows[i], context);
    return count < 0 ? count : 0;
}

/* Elements that went in between are no failure. */
static int delete_each(int fd, const void *keys, size_t key_bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bpf_map_delete_elem(fd, (const char *)keys + i * key_bytes) && errno != ENOENT)
            return -errno;
    return 0;
}

int heap_counters_sizes(struct heap_counters *counters, heap_size_fn on_size, void *context)
{
    struct batches batches = {.fd = map_fd(counters, KERNEL_MAP_HEAP_SIZES)};
    int count = 0, error = 0;
    while (!error && !batches.is_at_end &&
           (count = next_batch(&batches, counters->sizes, counters->values, BATCH)) >= 0) {
        size_t done = 0;
        for (int i = 0; i < count; i++)
            if (on_size(&counters->sizes[i], counters->values[i], context))
                counters->done[done++] = counters->sizes[i];
        error = delete_each(batches.fd, counters->done, sizeof(counters->done[0]), done);
    }
    return count < 0 ? count : error;
}

int heap_counters_remove_row(struct heap_counters *counters, const struct loris_heap_key *key)
{
    return delete_each(map_fd(counters, KERNEL_MAP_HEAP_ROWS), key, sizeof(*key), 1);
}

int heap_counters_sweep(struct heap_counters *counters, heap_space_fn lives, void *context,
                        bool *ret_at_end)
{
    struct batches *sweep = &counters->sweep;
    if (!sweep->is_begun || sweep->is_at_end)
        *sweep = (struct batches){.fd = map_fd(counters, KERNEL_MAP_HEAP_BLOCKS)};
    for (int batch = 0; batch < SWEEP_BATCHES && !sweep->is_at_end; batch++) {
        int count = next_batch(sweep, counters->blocks, counters->values, BATCH);
        if (count < 0)
            return count;
        size_t dead = 0;
        for (int i = 0; i < count; i++)
            if (!lives(counters->blocks[i].space, context))
                counters->blocks[dead++] = counters->blocks[i];
        int error = delete_each(sweep->fd, counters->blocks, sizeof(counters->blocks[0]), dead);
        if (error)
            return error;
    }
    *ret_at_end = sweep->is_at_end;
    return 0;
}

int heap_counters_ledger(struct heap_counters *counters, uint32_t slot,
                         struct loris_heap_ledger *ret_ledger)
{
    struct loris_heap_ledger sum = {0};
    if (bpf_map_lookup_elem(map_fd(counters, KERNEL_MAP_HEAP_LEDGERS), &slot, counters->ledgers))
        return -errno;
    for (uint32_t cpu = 0; cpu < kernel_side_cpus(counters->side); cpu++) {
        const struct loris_heap_ledger *one = &counters->ledgers[cpu];
        sum.entered += one->entered;
        sum.returned += one->returned;
        sum.abandoned += one->abandoned;
        sum.released += one->released;
        sum.nested += one->nested;
        sum.rowless += one->rowless;
        sum.filtered += one->filtered;
        sum.too_deep += one->too_deep;
        sum.no_storage += one->no_storage;
    }
    *ret_ledger = sum;
    return 0;
}

int heap_counters_clear_ledger(struct heap_counters *counters, uint32_t slot)
{
    memset(counters->ledgers, 0, kernel_side_cpus(counters->side) * sizeof(counters->ledgers[0]));
    return bpf_map_update_elem(map_fd(counters, KERNEL_MAP_HEAP_LEDGERS), &slot, counters->ledgers,
                               BPF_ANY)
               ? -errno
               : 0;
}

int heap_counters_last_id(struct heap_counters *counters, uint64_t *ret_id)
{
    uint32_t zero = 0;
    return bpf_map_lookup_elem(map_fd(counters, KERNEL_MAP_HEAP_LAST_ID), &zero, ret_id) ? -errno
                                                                                         : 0;
}

int heap_counters_set_target(struct heap_counters *counters, uint32_t slot, uint32_t target)
{
    int fd = map_fd(counters, KERNEL_MAP_HEAP_TARGETS);
    return bpf_map_update_elem(fd, &slot, &target, BPF_ANY) ? -errno : 0;
}

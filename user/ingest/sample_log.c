/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/sample_log.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct sample_log {
    struct loris_sample_log *logs; /* by CPU; mapped */
    struct loris_latency_event *samples;
    size_t logs_bytes;
    size_t samples_bytes;
    uint32_t capacity_log2;
};

static size_t whole_pages(size_t bytes)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

static int map_array(int fd, size_t bytes, int protection, void **ret_mapped)
{
    void *mapped = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED)
        return -errno;
    *ret_mapped = mapped;
    return 0;
}

int sample_log_new(int logs_fd, int samples_fd, uint32_t cpus, uint32_t capacity_log2,
                   struct sample_log **ret_log)
{
    _cleanup_(sample_log_free_cleanup) struct sample_log *log = calloc(1, sizeof(*log));
    if (!log)
        return -ENOMEM;
    log->capacity_log2 = capacity_log2;
    log->logs_bytes = whole_pages(cpus * sizeof(*log->logs));
    log->samples_bytes = whole_pages(((size_t)cpus << capacity_log2) * sizeof(*log->samples));
    void *mapped = NULL;
    int error = map_array(logs_fd, log->logs_bytes, PROT_READ | PROT_WRITE, &mapped);
    if (error)
        return error;
    log->logs = mapped;
    error = map_array(samples_fd, log->samples_bytes, PROT_READ, &mapped);
    if (error)
        return error;
    log->samples = mapped;
    *ret_log = take_ptr(log);
    return 0;
}

void sample_log_free(struct sample_log *log)
{
    if (!log)
        return;
    if (log->logs)
        munmap(log->logs, log->logs_bytes);
    if (log->samples)
        munmap(log->samples, log->samples_bytes);
    free(log);
}

/* The record's first eight bytes were stored last: with their lap bit the rest is there. */
static bool is_complete(const struct loris_latency_event *event, uint32_t lap)
{
    const uint64_t *head = (const uint64_t *)event;
    uint8_t flags = (uint8_t)(__atomic_load_n(head, __ATOMIC_ACQUIRE) >> 8);
    return (flags & LORIS_LATENCY_LAP ? 1 : 0) == lap;
}

const struct loris_latency_event *sample_log_peek(const struct sample_log *log, uint32_t cpu,
                                                  uint32_t max, uint32_t *ret_count)
{
    uint64_t capacity = 1ull << log->capacity_log2;
    uint64_t position = sample_log_consumed(log, cpu);
    uint64_t from = position & (capacity - 1);
    uint32_t lap = loris_sample_lap(position, log->capacity_log2);
    uint64_t until_end = capacity - from;
    uint32_t most = max < until_end ? max : (uint32_t)until_end;
    const struct loris_latency_event *first = log->samples + cpu * capacity + from;
    uint32_t count = 0;
    while (count < most && is_complete(&first[count], lap))
        count++;
    *ret_count = count;
    return first;
}

void sample_log_consume(struct sample_log *log, uint32_t cpu, uint32_t count)
{
    uint64_t consumed = sample_log_consumed(log, cpu);
    __atomic_store_n(&log->logs[cpu].consumed, consumed + count, __ATOMIC_RELEASE);
}

uint64_t sample_log_reserved(const struct sample_log *log, uint32_t cpu)
{
    return __atomic_load_n(&log->logs[cpu].reserved, __ATOMIC_ACQUIRE);
}

uint64_t sample_log_consumed(const struct sample_log *log, uint32_t cpu)
{
    return __atomic_load_n(&log->logs[cpu].consumed, __ATOMIC_RELAXED);
}

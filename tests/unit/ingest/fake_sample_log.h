/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sample logs in two memory files, and the slow obvious writer: see loris/sample_log.h. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loris/event.h"
#include "loris/sample_log.h"

struct fake_sample_log {
    int logs_fd, samples_fd;
    uint32_t cpus, capacity_log2;
    struct loris_sample_log *logs;
    struct loris_latency_event *samples;
};

static inline uint64_t fake_sample_log_capacity(const struct fake_sample_log *log)
{
    return 1ull << log->capacity_log2;
}

static inline void *fake_sample_log_file(const char *name, uint64_t bytes, int *ret_fd)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    assert(fd >= 0);
    int status = ftruncate(fd, (off_t)bytes);
    assert(status == 0);
    (void)status;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert(memory != MAP_FAILED);
    *ret_fd = fd;
    return memory;
}

static inline uint64_t fake_sample_log_bytes(const struct fake_sample_log *log)
{
    return log->cpus * fake_sample_log_capacity(log) * sizeof(*log->samples);
}

static inline void fake_sample_log_init(struct fake_sample_log *log, uint32_t cpus,
                                        uint32_t capacity_log2)
{
    *log = (struct fake_sample_log){.cpus = cpus, .capacity_log2 = capacity_log2};
    log->logs = fake_sample_log_file("logs", cpus * sizeof(*log->logs), &log->logs_fd);
    log->samples = fake_sample_log_file("samples", fake_sample_log_bytes(log), &log->samples_fd);
    for (uint32_t cpu = 0; cpu < cpus; cpu++)
        log->logs[cpu].capacity_log2 = capacity_log2;
}

static inline void fake_sample_log_done(struct fake_sample_log *log)
{
    munmap(log->logs, log->cpus * sizeof(*log->logs));
    munmap(log->samples, fake_sample_log_bytes(log));
    close(log->logs_fd);
    close(log->samples_fd);
}

static inline struct loris_latency_event *fake_sample_log_at(const struct fake_sample_log *log,
                                                             uint32_t cpu, uint64_t position)
{
    uint64_t capacity = fake_sample_log_capacity(log);
    return &log->samples[cpu * capacity + position % capacity];
}

/* Fills what was reserved: the first eight bytes last, with the lap bit. */
static inline void fake_sample_log_commit(struct fake_sample_log *log, uint32_t cpu,
                                          uint64_t position,
                                          const struct loris_latency_event *event)
{
    struct loris_latency_event *sample = fake_sample_log_at(log, cpu, position);
    struct loris_latency_event head = *event;
    uint64_t word;
    head.flags = (__u8)(head.flags & ~LORIS_LATENCY_LAP);
    if (loris_sample_lap(position, log->capacity_log2))
        head.flags |= LORIS_LATENCY_LAP;
    sample->pid = event->pid;
    sample->start_tick = event->start_tick;
    sample->latency_ns = event->latency_ns;
    memcpy(&word, &head, sizeof(word));
    __atomic_store_n((uint64_t *)(void *)sample, word, __ATOMIC_RELEASE);
}

/* All was read up to this position, at least a capacity: as after so many records. */
static inline void fake_sample_log_begin_at(struct fake_sample_log *log, uint32_t cpu,
                                            uint64_t position)
{
    const struct loris_latency_event old = {.tag = LORIS_EVENT_LATENCY, .weight = 1};
    for (uint64_t at = position - fake_sample_log_capacity(log); at < position; at++)
        fake_sample_log_commit(log, cpu, at, &old);
    log->logs[cpu].consumed = log->logs[cpu].reserved = position;
}

/* False: no room. */
static inline bool fake_sample_log_reserve(struct fake_sample_log *log, uint32_t cpu,
                                           uint64_t *ret_position)
{
    struct loris_sample_log *one = &log->logs[cpu];
    uint64_t consumed = __atomic_load_n(&one->consumed, __ATOMIC_ACQUIRE);
    if (one->reserved - consumed >= fake_sample_log_capacity(log))
        return false;
    *ret_position = one->reserved;
    __atomic_store_n(&one->reserved, one->reserved + 1, __ATOMIC_RELEASE);
    return true;
}

/* A record from begin to end. */
static inline bool fake_sample_log_submit(struct fake_sample_log *log, uint32_t cpu,
                                          const struct loris_latency_event *event)
{
    uint64_t position = 0;
    if (!fake_sample_log_reserve(log, cpu, &position))
        return false;
    fake_sample_log_commit(log, cpu, position, event);
    return true;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel side of one CPU that lies in memory files, and the producer of its samples. */
#pragma once

#include "../unit/ingest/fake_ring.h"
#include "../unit/ingest/fake_sample_log.h"
#include "probe/kernel_side.h"

#define MEMORY_LOG_LOG2    15
#define MEMORY_LOG_RECORDS (1u << MEMORY_LOG_LOG2)
#define MEMORY_RARE_BYTES  4096u

struct kernel_side {
    struct kernel_side_config config;
    struct fake_sample_log log;
    struct fake_ring rare; /* always empty */
};

uint32_t kernel_side_cpus(const struct kernel_side *side)
{
    (void)side;
    return 1;
}

const struct kernel_side_config *kernel_side_config(const struct kernel_side *side)
{
    return &side->config;
}

int kernel_side_map(const struct kernel_side *side, enum kernel_map map)
{
    return map == KERNEL_MAP_SAMPLES ? side->log.samples_fd : side->log.logs_fd;
}

int kernel_side_rare_ring(const struct kernel_side *side, uint32_t cpu)
{
    (void)cpu;
    return side->rare.fd;
}

static void memory_log_open(struct kernel_side *side)
{
    side->config.samples_log2 = MEMORY_LOG_LOG2;
    side->config.rare_ring_bytes = MEMORY_RARE_BYTES;
    fake_sample_log_init(&side->log, 1, MEMORY_LOG_LOG2);
    fake_ring_init(&side->rare, MEMORY_RARE_BYTES);
}

static void memory_log_close(struct kernel_side *side)
{
    fake_sample_log_done(&side->log);
    fake_ring_done(&side->rare);
}

/* Fills the empty log with the events from `next` on, which start again at their end, each standing
 * for `weight` calls. Returns what comes next. */
static uint32_t memory_log_fill(struct kernel_side *side, const struct loris_latency_event *events,
                                uint32_t count, uint32_t next, uint16_t weight)
{
    struct loris_latency_event event;
    do {
        event = events[next];
        event.weight = weight;
    } while (fake_sample_log_submit(&side->log, 0, &event) && (next = (next + 1) % count, true));
    return next;
}

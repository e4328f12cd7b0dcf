/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A kernel side whose logs and rings lie in memory files. Include it before the .c file of the
 * module under test: from there on the names of probe/kernel_side.h are those of this one.
 */
#pragma once

#define kernel_side_cpus      fake_kernel_side_cpus
#define kernel_side_config    fake_kernel_side_config
#define kernel_side_map       fake_kernel_side_map
#define kernel_side_rare_ring fake_kernel_side_rare_ring

#include "fake_ring.h"
#include "fake_sample_log.h"
#include "probe/kernel_side.h"

#define FAKE_CPUS_MAX 4

struct kernel_side {
    struct kernel_side_config config;
    struct fake_sample_log samples;
    struct fake_ring rare[FAKE_CPUS_MAX];
};

uint32_t kernel_side_cpus(const struct kernel_side *side)
{
    return side->samples.cpus;
}

const struct kernel_side_config *kernel_side_config(const struct kernel_side *side)
{
    return &side->config;
}

int kernel_side_map(const struct kernel_side *side, enum kernel_map map)
{
    return map == KERNEL_MAP_SAMPLES       ? side->samples.samples_fd
           : map == KERNEL_MAP_SAMPLE_LOGS ? side->samples.logs_fd
                                           : -1;
}

int kernel_side_rare_ring(const struct kernel_side *side, uint32_t cpu)
{
    return side->rare[cpu].fd;
}

static inline void fake_kernel_side_init(struct kernel_side *side, uint32_t cpus,
                                         uint32_t samples_log2, uint32_t rare_ring_bytes)
{
    assert(cpus <= FAKE_CPUS_MAX);
    side->config.samples_log2 = samples_log2;
    side->config.rare_ring_bytes = rare_ring_bytes;
    fake_sample_log_init(&side->samples, cpus, samples_log2);
    for (uint32_t cpu = 0; cpu < cpus; cpu++)
        fake_ring_init(&side->rare[cpu], rare_ring_bytes);
}

static inline void fake_kernel_side_done(struct kernel_side *side)
{
    for (uint32_t cpu = 0; cpu < side->samples.cpus; cpu++)
        fake_ring_done(&side->rare[cpu]);
    fake_sample_log_done(&side->samples);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "agent/sizing.h"

#include "loris/event.h"
#include "loris/heap.h"
#include "loris/ledger.h"
#include "loris/sketch.h"

#define KIB 1024ull
#define MIB (1024 * KIB)

#define PROCESS_BYTES 80

/* Elements of hash maps: header, key, value, up to two bucket heads. */
#define HEAP_BLOCK_BYTES (48 + 16 + 8 + 32)
#define HEAP_ROW_BYTES   (48 + 16 + sizeof(struct loris_heap_row) + 32)
#define HEAP_SIZE_BYTES  (48 + 16 + 8 + 32)

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static uint32_t power_of_two_below(uint64_t value)
{
    uint32_t power = 4096;
    while (2ull * power <= value && power < (1u << 30))
        power *= 2;
    return power;
}

/* Per CPU; all of a kind together take at most this share of the budget. */
static uint32_t ring_bytes(uint64_t budget, uint32_t cpus, uint64_t share)
{
    return power_of_two_below(clamp(budget / share / cpus, 4 * KIB, MIB));
}

/* Where there is room, a log holds 10 ms of ten million samples a second. */
static uint32_t log_bytes(uint64_t budget, uint32_t cpus)
{
    bool is_roomy = budget / cpus >= 16 * MIB;
    uint64_t most = is_roomy ? 4 * MIB : MIB;
    return power_of_two_below(clamp(budget / (is_roomy ? 8 : 32) / cpus, 4 * KIB, most));
}

/* The most records, as a power of two, that fit. */
static uint32_t samples_log2(uint32_t bytes)
{
    return 31 - (uint32_t)__builtin_clz(bytes / (uint32_t)sizeof(struct loris_latency_event));
}

struct sizing sizing_of(const struct config *config, uint32_t cpus)
{
    uint64_t budget = config->memory_budget_bytes;
    uint64_t probe_bytes = cpus * sizeof(struct loris_ledger) + 8 + (LORIS_SKETCH_PAGES + 1) * 4 +
                           LORIS_SKETCH_PAGES * 8;
    uint64_t page_bytes = (uint64_t)cpus * LORIS_PAGE_BUCKETS * 8;
    struct sizing sizing = {
        .kernel =
            {
                .probes_max = (uint32_t)clamp(
                    config->probes_max, 1, clamp(budget / 24 / probe_bytes, 512, LORIS_PROBES_MAX)),
                .sketch_pages = (uint32_t)clamp(budget / 64 / page_bytes, 64, 16384),
                .waits_max = (uint32_t)clamp(budget / 64 / 208, 1024, 65536),
                .samples_log2 = samples_log2(config->ring_latency_bytes ? config->ring_latency_bytes
                                                                        : log_bytes(budget, cpus)),
                .rare_ring_bytes = config->ring_rare_bytes ? config->ring_rare_bytes
                                                           : ring_bytes(budget, cpus, 64),
                .heap_blocks_max = (uint32_t)clamp(budget / 12 / HEAP_BLOCK_BYTES, 4096, 4u << 20),
                .heap_rows_max = (uint32_t)clamp(budget / 96 / HEAP_ROW_BYTES, 256, 65536),
                .heap_sizes_max = (uint32_t)clamp(budget / 96 / HEAP_SIZE_BYTES, 4096, 1u << 20),
                .kmem_caches_max = 1024,
            },
        .processes_max = config->processes_max
                             ? config->processes_max
                             : (uint32_t)clamp(budget / 10 / PROCESS_BYTES, 1024, 4u << 20),
        .names_max = (uint32_t)clamp(budget / 4096, 1024, 65536),
        .cgroups_max = (uint32_t)clamp(budget / 16384, 512, 16384),
        .series_min_bytes = clamp(budget / 16, 256 * KIB, budget),
        .answer_rows_max = (uint32_t)clamp(budget / 6144, 1024, 1u << 20),
        .queued_bytes_max = clamp(budget / 8, 2 * MIB, 64 * MIB),
    };
    return sizing;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/drain.h"

#include <errno.h>

#include "ingest/ring_reader.h"
#include "ingest/sample_log.h"

#define FILL_HIGH 0.25
#define FILL_LOW  (1.0 / 16)

struct drain {
    struct drain_config config;
    uint32_t cpus;
    uint32_t rare_bytes;
    uint64_t log_records; /* capacity of one */
    struct sample_log *samples;
    struct ring_reader **rare; /* per CPU */
    uint32_t next_cpu;         /* where the next bite begins, so that no CPU starves */
    uint64_t complete_ns;
    struct drain_figures figures;
};

static int open_rings(struct drain *drain, const struct kernel_side *side)
{
    drain->rare = calloc(drain->cpus, sizeof(*drain->rare));
    if (!drain->rare)
        return -ENOMEM;
    for (uint32_t cpu = 0; cpu < drain->cpus; cpu++) {
        int error =
            ring_reader_new(kernel_side_rare_ring(side, cpu), drain->rare_bytes, &drain->rare[cpu]);
        if (error)
            return error;
    }
    return 0;
}

int drain_new(const struct kernel_side *side, const struct drain_config *config,
              struct drain **ret_drain)
{
    _cleanup_(drain_free_cleanup) struct drain *drain = calloc(1, sizeof(*drain));
    uint32_t samples_log2 = kernel_side_config(side)->samples_log2;
    if (!drain)
        return -ENOMEM;
    drain->config = *config;
    drain->cpus = kernel_side_cpus(side);
    drain->rare_bytes = kernel_side_config(side)->rare_ring_bytes;
    drain->log_records = 1ull << samples_log2;
    drain->figures.interval_ns = config->interval_max_ns;
    int error = sample_log_new(kernel_side_map(side, KERNEL_MAP_SAMPLE_LOGS),
                               kernel_side_map(side, KERNEL_MAP_SAMPLES), drain->cpus, samples_log2,
                               &drain->samples);
    if (!error)
        error = open_rings(drain, side);
    if (error)
        return error;
    *ret_drain = take_ptr(drain);
    return 0;
}

void drain_free(struct drain *drain)
{
    if (!drain)
        return;
    for (uint32_t cpu = 0; drain->rare && cpu < drain->cpus; cpu++)
        ring_reader_free(drain->rare[cpu]);
    free(drain->rare);
    sample_log_free(drain->samples);
    free(drain);
}

/* Of the fullest log or ring, 0 .. 1. */
static double find_fill(const struct drain *drain)
{
    double fill = 0;
    for (uint32_t cpu = 0; cpu < drain->cpus; cpu++) {
        uint64_t samples =
            sample_log_reserved(drain->samples, cpu) - sample_log_consumed(drain->samples, cpu);
        double log_fill = (double)samples / (double)drain->log_records;
        double ring_fill = (double)ring_reader_pending(drain->rare[cpu]) / drain->rare_bytes;
        fill = log_fill > fill ? log_fill : fill;
        fill = ring_fill > fill ? ring_fill : fill;
    }
    return fill;
}

static void adapt_interval(struct drain *drain, double fill)
{
    uint64_t interval_ns = drain->figures.interval_ns;
    if (fill > FILL_HIGH)
        interval_ns /= 2;
    else if (fill < FILL_LOW)
        interval_ns += interval_ns / 2;
    if (interval_ns < drain->config.interval_min_ns)
        interval_ns = drain->config.interval_min_ns;
    if (interval_ns > drain->config.interval_max_ns)
        interval_ns = drain->config.interval_max_ns;
    drain->figures.interval_ns = interval_ns;
}

/* Both take what was there when the pass began, at most `left` records; false: some stayed. */

static bool drain_ring(struct drain *drain, struct ring_reader *reader, uint32_t *left,
                       const struct event_sink *sink)
{
    struct ring_span span = {0};
    uint64_t until = ring_reader_produced(reader);
    while (*left > 0 && ring_reader_consumed(reader) < until) {
        uint32_t taken = ring_reader_take(reader, until, *left, &span);
        if (taken > 0)
            event_decode_rare(&span, sink, &drain->figures.events);
        ring_reader_release(reader);
        *left -= taken;
        if (taken == 0)
            break; /* the next record is being written */
    }
    return ring_reader_consumed(reader) >= until;
}

static bool drain_log(struct drain *drain, uint32_t cpu, uint32_t *left,
                      const struct event_sink *sink)
{
    struct sample_log *log = drain->samples;
    uint64_t until = sample_log_reserved(log, cpu);
    uint64_t waiting;
    while (*left > 0 && (waiting = until - sample_log_consumed(log, cpu)) > 0) {
        uint32_t most = *left < EVENT_BATCH_MAX ? *left : EVENT_BATCH_MAX;
        uint32_t taken = 0;
        const struct loris_latency_event *samples =
            sample_log_peek(log, cpu, waiting < most ? (uint32_t)waiting : most, &taken);
        if (taken == 0)
            break; /* the next record is being written */
        event_decode_samples(samples, taken, sink, &drain->figures.events);
        sample_log_consume(log, cpu, taken);
        *left -= taken;
    }
    return sample_log_consumed(log, cpu) == until;
}

bool drain_pass(struct drain *drain, const struct event_sink *sink, uint64_t began_ns)
{
    uint32_t left = drain->config.bite_records;
    double fill = find_fill(drain);
    if (fill > drain->figures.fill_peak)
        drain->figures.fill_peak = fill;
    adapt_interval(drain, fill);

    bool complete = true;
    for (uint32_t cpu = 0; cpu < drain->cpus; cpu++)
        complete &= drain_ring(drain, drain->rare[cpu], &left, sink);
    for (uint32_t i = 0; i < drain->cpus; i++)
        complete &= drain_log(drain, (drain->next_cpu + i) % drain->cpus, &left, sink);
    drain->next_cpu = (drain->next_cpu + 1) % drain->cpus;
    if (complete)
        drain->complete_ns = began_ns;
    drain->figures.passes++;
    return left == 0;
}

void drain_took(struct drain *drain, uint64_t duration_ns)
{
    drain->figures.last_ns = duration_ns;
    if (duration_ns > drain->figures.longest_ns)
        drain->figures.longest_ns = duration_ns;
}

uint64_t drain_complete_ns(const struct drain *drain)
{
    return drain->complete_ns;
}

uint64_t drain_interval_ns(const struct drain *drain)
{
    return drain->figures.interval_ns;
}

uint64_t drain_mapped_bytes(const struct drain *drain)
{
    uint64_t records = 0, ring_bytes = 0;
    for (uint32_t cpu = 0; cpu < drain->cpus; cpu++) {
        uint64_t written = sample_log_reserved(drain->samples, cpu);
        uint64_t written_bytes = ring_reader_produced(drain->rare[cpu]);
        records += written < drain->log_records ? written : drain->log_records;
        ring_bytes += written_bytes < drain->rare_bytes ? written_bytes : drain->rare_bytes;
    }
    return records * sizeof(struct loris_latency_event) + ring_bytes;
}

struct drain_figures drain_figures(const struct drain *drain)
{
    struct drain_figures figures = drain->figures;
    for (uint32_t cpu = 0; cpu < drain->cpus; cpu++)
        figures.broken += ring_reader_broken(drain->rare[cpu]);
    return figures;
}

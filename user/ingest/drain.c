/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/drain.h"

#include <errno.h>

#include "ingest/ring_reader.h"

#define FILL_HIGH 0.25
#define FILL_LOW  (1.0 / 16)

struct drain {
    struct drain_config config;
    uint32_t cpus;
    uint32_t latency_bytes;
    uint32_t rare_bytes;
    struct ring_reader **latency; /* per CPU */
    struct ring_reader **rare;
    uint32_t next_cpu; /* where the next bite begins, so that no CPU starves */
    uint64_t complete_ns;
    struct drain_figures figures;
};

static int open_family(struct drain *drain, const struct kernel_side *side,
                       int (*ring_fd)(const struct kernel_side *, uint32_t), uint32_t bytes,
                       struct ring_reader ***ret_readers)
{
    *ret_readers = calloc(drain->cpus, sizeof(**ret_readers));
    if (!*ret_readers)
        return -ENOMEM;
    for (uint32_t cpu = 0; cpu < drain->cpus; cpu++) {
        int error = ring_reader_new(ring_fd(side, cpu), bytes, &(*ret_readers)[cpu]);
        if (error)
            return error;
    }
    return 0;
}

int drain_new(const struct kernel_side *side, const struct drain_config *config,
              struct drain **ret_drain)
{
    _cleanup_(drain_free_cleanup) struct drain *drain = calloc(1, sizeof(*drain));
    if (!drain)
        return -ENOMEM;
    drain->config = *config;
    drain->cpus = kernel_side_cpus(side);
    drain->latency_bytes = kernel_side_config(side)->latency_ring_bytes;
    drain->rare_bytes = kernel_side_config(side)->rare_ring_bytes;
    drain->figures.interval_ns = config->interval_max_ns;
    int error =
        open_family(drain, side, kernel_side_latency_ring, drain->latency_bytes, &drain->latency);
    if (!error)
        error = open_family(drain, side, kernel_side_rare_ring, drain->rare_bytes, &drain->rare);
    if (error)
        return error;
    *ret_drain = take_ptr(drain);
    return 0;
}

static void close_family(struct ring_reader **readers, uint32_t cpus)
{
    for (uint32_t cpu = 0; readers && cpu < cpus; cpu++)
        ring_reader_free(readers[cpu]);
    free(readers);
}

void drain_free(struct drain *drain)
{
    if (!drain)
        return;
    close_family(drain->latency, drain->cpus);
    close_family(drain->rare, drain->cpus);
    free(drain);
}

struct pass {
    const struct event_sink *sink;
    struct event_figures *figures;
};

static void on_record(const void *record, size_t length, void *context)
{
    struct pass *pass = context;
    event_decode(record, length, pass->sink, pass->figures);
}

/* The fullest ring of a family, 0 .. 1. */
static double fill_of(struct ring_reader **readers, uint32_t cpus, uint32_t bytes)
{
    uint64_t most = 0;
    for (uint32_t cpu = 0; cpu < cpus; cpu++) {
        uint64_t pending = ring_reader_pending(readers[cpu]);
        most = pending > most ? pending : most;
    }
    return (double)most / bytes;
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

/* Takes what was there when the pass began, at most `left` records; false: some stayed. */
static bool drain_ring(struct ring_reader *reader, uint32_t *left, struct pass *pass)
{
    uint64_t until = ring_reader_produced(reader);
    while (*left > 0 && ring_reader_consumed(reader) < until) {
        uint32_t taken = ring_reader_consume(reader, *left, on_record, pass);
        *left -= taken;
        if (taken == 0)
            break; /* the next record is being written */
    }
    return ring_reader_consumed(reader) >= until;
}

bool drain_pass(struct drain *drain, const struct event_sink *sink, uint64_t began_ns)
{
    struct pass pass = {sink, &drain->figures.events};
    uint32_t left = drain->config.bite_records;
    double fill = fill_of(drain->latency, drain->cpus, drain->latency_bytes);
    double rare_fill = fill_of(drain->rare, drain->cpus, drain->rare_bytes);
    fill = rare_fill > fill ? rare_fill : fill;
    if (fill > drain->figures.fill_peak)
        drain->figures.fill_peak = fill;
    adapt_interval(drain, fill);

    bool complete = true;
    for (uint32_t cpu = 0; cpu < drain->cpus; cpu++)
        complete &= drain_ring(drain->rare[cpu], &left, &pass);
    for (uint32_t i = 0; i < drain->cpus; i++)
        complete &= drain_ring(drain->latency[(drain->next_cpu + i) % drain->cpus], &left, &pass);
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

struct drain_figures drain_figures(const struct drain *drain)
{
    struct drain_figures figures = drain->figures;
    for (uint32_t cpu = 0; cpu < drain->cpus; cpu++)
        figures.broken +=
            ring_reader_broken(drain->latency[cpu]) + ring_reader_broken(drain->rare[cpu]);
    return figures;
}

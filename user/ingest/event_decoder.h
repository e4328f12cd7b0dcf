/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From records of logs and rings to typed events: checks them, counts what is malformed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "ingest/ring_reader.h"
#include "loris/event.h"

/* The sink gets at most so many latencies at once. */
#define EVENT_BATCH_MAX 256u

struct event_sink {
    void (*on_latencies)(const struct loris_latency_event *latencies, uint32_t count,
                         void *context);
    void (*on_process)(const struct loris_process_event *event, void *context);
    void (*on_cgroup)(const struct loris_cgroup_event *event, void *context);
    void *context;
};

struct event_figures {
    uint64_t latencies;
    uint64_t rare;
    uint64_t malformed;
};

/* Both hand what is well formed to the sink, in its order, and count. */

/* Samples of one log, at most EVENT_BATCH_MAX. */
void event_decode_samples(const struct loris_latency_event *samples, uint32_t count,
                          const struct event_sink *sink, struct event_figures *figures);
/* Rare events of one ring. */
void event_decode_rare(const struct ring_span *span, const struct event_sink *sink,
                       struct event_figures *figures);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/event_decoder.h"

#include <assert.h>
#include <stdbool.h>

static bool decode_rare(const void *record, size_t length, const struct event_sink *sink)
{
    uint8_t tag = length > 0 ? *(const uint8_t *)record : 0;
    if (tag == LORIS_EVENT_PROCESS && length == sizeof(struct loris_process_event)) {
        const struct loris_process_event *event = record;
        if (event->edge < LORIS_PROCESS_FORK || event->edge > LORIS_PROCESS_RENAME)
            return false;
        sink->on_process(event, sink->context);
        return true;
    }
    if (tag == LORIS_EVENT_CGROUP && length == sizeof(struct loris_cgroup_event)) {
        const struct loris_cgroup_event *event = record;
        if (event->edge < LORIS_CGROUP_MKDIR || event->edge > LORIS_CGROUP_MIGRATE ||
            event->path_bytes >= LORIS_CGROUP_PATH_BYTES)
            return false;
        sink->on_cgroup(event, sink->context);
        return true;
    }
    return false;
}

static bool is_latency(const struct loris_latency_event *event)
{
    return event->tag == LORIS_EVENT_LATENCY && event->weight - 1u < LORIS_WEIGHT_MAX;
}

void event_decode_samples(const struct loris_latency_event *samples, uint32_t count,
                          const struct event_sink *sink, struct event_figures *figures)
{
    assert(count <= EVENT_BATCH_MAX);
    for (uint32_t first = 0; first < count;) {
        uint32_t end = first;
        while (end < count && is_latency(&samples[end]))
            end++;
        if (end > first)
            sink->on_latencies(&samples[first], end - first, sink->context);
        figures->latencies += end - first;
        figures->malformed += end < count;
        first = end + 1;
    }
}

void event_decode_rare(const struct ring_span *span, const struct event_sink *sink,
                       struct event_figures *figures)
{
    for (uint32_t i = 0; i < span->count; i++) {
        bool fine = decode_rare(span->first + i * ring_span_step(span->length), span->length, sink);
        *(fine ? &figures->rare : &figures->malformed) += 1;
    }
}

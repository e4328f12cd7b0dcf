/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ingest/event_decoder.h"

#include <stdbool.h>

static bool decode_rare(const void *record, size_t length, uint8_t tag,
                        const struct event_sink *sink)
{
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

void event_decode(const void *record, size_t length, const struct event_sink *sink,
                  struct event_figures *figures)
{
    const uint8_t *tag = record;
    const struct loris_latency_event *latency = record;
    if (length == sizeof(*latency) && *tag == LORIS_EVENT_LATENCY && latency->weight >= 1 &&
        latency->weight <= LORIS_WEIGHT_MAX) {
        sink->on_latency(latency, sink->context);
        figures->latencies++;
    } else if (length >= 1 && decode_rare(record, length, *tag, sink)) {
        figures->rare++;
    } else {
        figures->malformed++;
    }
}

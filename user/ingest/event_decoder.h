/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From ring records to typed events: checks tag and length, counts what is malformed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "loris/event.h"

struct event_sink {
    void (*on_latency)(const struct loris_latency_event *event, void *context);
    void (*on_process)(const struct loris_process_event *event, void *context);
    void (*on_cgroup)(const struct loris_cgroup_event *event, void *context);
    void *context;
};

struct event_figures {
    uint64_t latencies;
    uint64_t rare;
    uint64_t malformed;
};

/* Calls the sink at most once; counts. The record may have any content, length and alignment of
 * eight. */
void event_decode(const void *record, size_t length, const struct event_sink *sink,
                  struct event_figures *figures);

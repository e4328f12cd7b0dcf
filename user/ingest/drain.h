/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Empties all rings in bounded bites, and decides when to look again. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "ingest/event_decoder.h"
#include "probe/kernel_side.h"

struct drain_config {
    uint64_t interval_min_ns;
    uint64_t interval_max_ns;
    uint32_t bite_records; /* at most so many records of one pass */
};

struct drain_figures {
    uint64_t passes;
    uint64_t interval_ns;
    uint64_t last_ns;    /* duration of the last pass */
    uint64_t longest_ns; /* of any pass */
    double fill_peak;    /* fullest ring found, 0 .. 1, since the start */
    uint64_t broken;     /* ring records with an impossible length */
    struct event_figures events;
};

struct drain;

int drain_new(const struct kernel_side *side, const struct drain_config *config,
              struct drain **ret_drain) _must_check_;
void drain_free(struct drain *drain);
DEFINE_CLEANUP(struct drain *, drain_free);

/*
 * One pass: first the rare rings (who is there), then the logs of samples, each CPU in turn.
 * Returns true when records are left: come back at once. began_ns: the time now, CLOCK_MONOTONIC.
 *
 * A pass that leaves nothing has handed over every record that was submitted before it began: see
 * drain_complete_ns.
 */
bool drain_pass(struct drain *drain, const struct event_sink *sink, uint64_t began_ns);
/* Tells how long the pass took. */
void drain_took(struct drain *drain, uint64_t duration_ns);
/* All records submitted before this time have been handed over. */
uint64_t drain_complete_ns(const struct drain *drain);
/*
 * Time until the next pass. The fullest ring steers it: above a quarter it is halved, below a
 * sixteenth it grows by half, within the configured bounds.
 */
uint64_t drain_interval_ns(const struct drain *drain);
/* Of the kernel's logs and rings, what is mapped here and was touched. */
uint64_t drain_mapped_bytes(const struct drain *drain);
struct drain_figures drain_figures(const struct drain *drain);

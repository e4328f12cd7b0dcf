/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps the probes within overhead_budget: reads what they cost, turns their knobs, and attaches
 * the dearest for part of the time only. The decisions are governor.h's. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agent/burst.h"
#include "agent/governor.h"
#include "base/json_writer.h"
#include "probe/probe_set.h"

struct agent;
struct steer;

int steer_new(struct agent *agent, struct steer **ret_steer) _must_check_;
void steer_free(struct steer *steer);
DEFINE_CLEANUP(struct steer *, steer_free);

/* A probe is about to be enabled: sets the knobs that its target asks for. */
void steer_enable(struct steer *steer, const struct probe *probe, struct loris_probe_knobs *knobs);
/* When the counters were last looked at so long ago: looks again, and decides. Cheap otherwise. */
void steer_tick(struct steer *steer, uint64_t now_ns);
/*
 * Probes that were attached to look first: between the two, their entries are counted and nothing
 * else, and at the end what they would cost is decided on, before they measure.
 */
void steer_begin_look(struct steer *steer);
int steer_end_look(struct steer *steer) _must_check_;
/* The budget of the configuration is another. */
void steer_set_budget(struct steer *steer, double budget);

struct steer_figures {
    double rate_per_s; /* of calls while attached */
    double cost_ratio; /* share of one CPU; that of a shared tracepoint is its probes' together */
    double full_cost_ratio; /* what it would be with every call timed */
    struct governor_cost cost;
    bool cost_is_measured;
    struct governor_setting setting;
    double attached_ratio;    /* of the time, by its setting */
    uint64_t detached_ns;     /* that it was detached for a while so far, in sum */
    uint64_t gap_ns;          /* that it is detached by now, 0 when it is attached */
    struct burst_error error; /* of the number of calls; 0 unless it is attached part of the time */
};
struct steer_figures steer_figures(const struct steer *steer, const struct probe *probe);
double steer_total_cost(const struct steer *steer);
/* "1 call of 64 is timed, attached 1/16 of the time" */
void steer_describe(struct governor_setting setting, char out[96]);
/* The last steps, latest first, as a JSON array. */
void steer_write_steps(const struct steer *steer, struct json_writer *json, const char *key);

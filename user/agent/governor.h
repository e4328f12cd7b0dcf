/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Decides how much detail each probe may cost, so that all of them stay within one budget. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/ownership.h"

/*
 * Pure: rates and costs come in, levels go out; whoever calls it reads counters, turns knobs and
 * knows the time.
 *
 * A unit is what can be turned down by itself: a probe, or tracepoints that several probes share.
 * Its level is how far it has been turned down, each level one step of
 *
 *     units whose entry can skip the return (sessions): time one call of 2, 4, ... 128;
 *     the others: count every call in the kernel, send none;
 *     then, both: attach for a half, a quarter, ... a 1024th of the time.
 *
 * Detail goes before truth: up to the last kind of step every call is still counted.
 */
#define GOVERNOR_THIN_STEPS 7
#define GOVERNOR_DUTY_STEPS 10
/* Attached for part of the time, a session times one call of 16 in some of its bursts, and all of
 * them in the others: see agent/burst.h. */
#define GOVERNOR_DUTY_THIN 4

/* What one call costs the machine, reader included. */
struct governor_cost {
    double full_ns;    /* timed, and sent to the agent */
    double reduced_ns; /* skipped at its entry, or counted in the kernel */
    bool skips;        /* its entry can skip the return */
};

/* What a call costs in a burst: arm 0 is the cheap one. */
double governor_arm_ns(const struct governor_cost *cost, unsigned arm);

struct governor_setting {
    uint8_t thin_shift; /* of struct loris_probe_knobs */
    bool count_only;
    uint8_t duty_log2; /* attached for 2^-duty_log2 of the time; 0: always */
};

struct governor_step {
    uint32_t unit;
    uint32_t level_before, level_after;
    struct governor_setting before, after;
    double rate_per_s; /* while attached */
    /* Shares of one CPU, as predicted at that rate: */
    double cost_before, cost_after;
    double total_before; /* of all units */
};

struct governor;

/* budget: share of one CPU. -ENOMEM. */
int governor_new(uint32_t units_max, double budget, struct governor **ret_governor) _must_check_;
void governor_free(struct governor *governor);
DEFINE_CLEANUP(struct governor *, governor_free);

void governor_set_budget(struct governor *governor, double budget);
/* The unit is there from now on, at level 0; forgets what it was before. */
void governor_add(struct governor *governor, uint32_t unit, struct governor_cost cost);
void governor_remove(struct governor *governor, uint32_t unit);
/* Cost was calibrated anew. */
void governor_set_cost(struct governor *governor, uint32_t unit, struct governor_cost cost);

/* The unit had so many calls while it was attached for so long. */
void governor_observe(struct governor *governor, uint32_t unit, uint64_t calls,
                      uint64_t attached_ns);

typedef void (*governor_step_fn)(const struct governor_step *step, void *context);
/*
 * Over the budget: turns the dearest unit down, again and again, until the prediction is within
 * nine tenths of it. Under seven tenths, and GOVERNOR_HOLD_NS after it last was over: turns units
 * up by one level each where the prediction stays there and they were observed since. O(units).
 * Calls on_step once for each unit that changed.
 */
#define GOVERNOR_HOLD_NS 5000000000ull
void governor_decide(struct governor *governor, uint64_t now_ns, governor_step_fn on_step,
                     void *context);

struct governor_setting governor_setting(const struct governor *governor, uint32_t unit);
/* Calls a second while attached. */
double governor_rate(const struct governor *governor, uint32_t unit);
/* Share of one CPU that the unit takes as it is set now. */
double governor_unit_cost(const struct governor *governor, uint32_t unit);
double governor_total_cost(const struct governor *governor);

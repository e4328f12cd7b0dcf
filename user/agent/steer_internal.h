/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The inside of steer.h, shared by steer*.c only. */
#pragma once

#include <systemd/sd-event.h>

#include "agent/agent.h"
#include "agent/burst.h"
#include "agent/steer.h"

#define STEER_STEPS_KEPT   32
#define STEER_STEPS_LOGGED 8 /* of one decision; the rest is told as a number */

/* One unit of the probe set. */
struct steered {
    bool present; /* at the last look */
    bool seen;    /* by the look that goes on */
    bool starts;  /* bursts, when the decision is made */
    bool is_measured;
    uint64_t since_ns;      /* attached */
    uint64_t seen_since_ns; /* the same, of the probe that has the id now */
    struct governor_cost cost;
    uint64_t calls; /* of all its probes, now and at the last look */
    uint64_t calls_before;
    uint64_t looked_ns;
    struct burst burst;
    sd_event_source *timer; /* NULL: attached all the time */
    struct steer *steer;
};

struct steer_kept_step {
    char time[32];
    char name[TARGET_TEXT_MAX];
    struct governor_step step;
};

struct steer {
    struct agent *agent;
    struct governor *governor;
    struct steered *units;
    uint32_t units_max;
    uint32_t bursting; /* units attached for part of the time */
    uint64_t ticked_ns;
    struct steer_kept_step steps[STEER_STEPS_KEPT];
    uint64_t step_count;
    uint32_t logged; /* in the decision that goes on */
};

/* --- steer.c --- */

uint32_t steer_unit_of(const struct steer *steer, const struct probe *probe);
/* Sets the knobs of the unit's probes. */
void steer_turn(struct steer *steer, uint32_t index, struct governor_setting setting);
/* False: the kernel's counters cannot be read. */
bool steer_read_calls(struct steer *steer) _must_check_;
/* What the unit had at the last reading and not at the one that this was asked for last. */
uint64_t steer_calls_since(struct steered *unit);

/* --- steer_bursts.c --- */

/* Detaches the units that start, all at once, and attaches each from time to time. */
void steer_bursts_start(struct steer *steer);
/* Attaches for good, unless the unit has gone. */
void steer_bursts_stop(struct steer *steer, uint32_t index);

/* --- steer_report.c --- */

void steer_keep_step(struct steer *steer, const struct governor_step *step);

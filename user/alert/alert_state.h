/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The states of one alert: inactive, pending, firing, unknown, and how time moves between them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* A firing alert of which nothing is seen any more is given up after so long without data. */
#define ALERT_UNKNOWN_KEEP_NS (15 * 60 * (uint64_t)1000000000)

enum alert_phase {
    ALERT_INACTIVE,
    ALERT_PENDING,
    ALERT_FIRING,
    ALERT_UNKNOWN, /* was firing; there is no data to tell whether it still would */
};

/* What one evaluation sees. */
enum alert_sight {
    ALERT_SEES_FALSE,
    ALERT_SEES_TRUE,
    ALERT_SEES_NOTHING, /* no series, no calls, or fewer than min_count */
};

struct alert_timing {
    uint64_t for_ns;
    uint64_t keep_firing_ns;
};

/* All zero is inactive. Times are those of the evaluations at which it happened. */
struct alert_state {
    enum alert_phase phase;
    bool is_kept;        /* firing only because of keep_firing_for */
    uint64_t active_ns;  /* the condition is true since: began to be pending */
    uint64_t fired_ns;   /* began to fire */
    uint64_t kept_ns;    /* is_kept since */
    uint64_t unknown_ns; /* unknown since */
    /* After a restart the windows are empty for a while: until then, to see nothing means
     * nothing. 0: no such time. */
    uint64_t patience_ns;
};

/*
 * One evaluation. What Prometheus (rules/alerting.go) does where there is data:
 *
 *  - true: inactive becomes pending, active from now; pending for at least `for` fires, with
 *    for = 0 in the same evaluation. A firing alert stays, and is no longer kept.
 *  - false, once: pending becomes inactive, and the next time starts anew. A firing alert resolves,
 *    unless keep_firing_for has not passed since the first evaluation that was not true.
 *
 * Without data Prometheus would do as if it were false: the series is gone. So does loris where it
 * knows that it is (a process that ended). Where it does not,
 *
 *  - pending becomes inactive: it was nobody's business yet;
 *  - firing goes on for keep_firing_for, then is unknown, not resolved;
 *  - unknown fires again with the next true evaluation, whatever `for` says, for it never ended;
 *    resolves with the next false one; is given up after ALERT_UNKNOWN_KEEP_NS.
 *
 * now_ns never steps back.
 */
void alert_state_step(struct alert_state *state, const struct alert_timing *timing,
                      enum alert_sight sight, uint64_t now_ns);

/* "inactive", "pending", "firing", "unknown"; -1: none of them. */
const char *alert_phase_name(enum alert_phase phase);
int alert_phase_parse(const char *word);

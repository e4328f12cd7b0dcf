/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "alert/alert_state.h"

#include <string.h>

static const char *const names[] = {
    [ALERT_INACTIVE] = "inactive",
    [ALERT_PENDING] = "pending",
    [ALERT_FIRING] = "firing",
    [ALERT_UNKNOWN] = "unknown",
};

const char *alert_phase_name(enum alert_phase phase)
{
    return names[phase];
}

int alert_phase_parse(const char *word)
{
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], word) == 0)
            return (int)i;
    return -1;
}

/* Of a firing alert that is not seen to be true: keep_firing_for holds it. */
static bool is_kept(struct alert_state *state, const struct alert_timing *timing, uint64_t now_ns)
{
    if (timing->keep_firing_ns == 0)
        return false;
    if (!state->is_kept)
        state->kept_ns = now_ns;
    state->is_kept = now_ns - state->kept_ns < timing->keep_firing_ns;
    return state->is_kept;
}

static void see_true(struct alert_state *state, const struct alert_timing *timing, uint64_t now_ns)
{
    state->is_kept = false;
    if (state->phase == ALERT_UNKNOWN)
        state->phase = ALERT_FIRING;
    if (state->phase == ALERT_INACTIVE) {
        state->phase = ALERT_PENDING;
        state->active_ns = now_ns;
    }
    if (state->phase == ALERT_PENDING && now_ns - state->active_ns >= timing->for_ns) {
        state->phase = ALERT_FIRING;
        state->fired_ns = now_ns;
    }
}

static void see_nothing(struct alert_state *state, const struct alert_timing *timing,
                        uint64_t now_ns)
{
    if (state->phase == ALERT_PENDING) {
        state->phase = ALERT_INACTIVE;
    } else if (state->phase == ALERT_FIRING && !is_kept(state, timing, now_ns)) {
        state->phase = ALERT_UNKNOWN;
        state->unknown_ns = now_ns;
    } else if (state->phase == ALERT_UNKNOWN &&
               now_ns - state->unknown_ns >= ALERT_UNKNOWN_KEEP_NS) {
        state->phase = ALERT_INACTIVE;
    }
}

void alert_state_step(struct alert_state *state, const struct alert_timing *timing,
                      enum alert_sight sight, uint64_t now_ns)
{
    if (sight == ALERT_SEES_NOTHING && now_ns < state->patience_ns)
        return;
    if (sight == ALERT_SEES_TRUE)
        see_true(state, timing, now_ns);
    else if (sight == ALERT_SEES_NOTHING)
        see_nothing(state, timing, now_ns);
    else if (state->phase != ALERT_FIRING || !is_kept(state, timing, now_ns))
        state->phase = ALERT_INACTIVE;
    if (state->phase != ALERT_FIRING)
        state->is_kept = false;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the agent still does its work: the decision alone, from two looks at the drain. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* After this much more than the drain's interval, a pass is overdue. */
#define WATCHDOG_GRACE_NS 1000000000ull

/* What the drain had done by a moment. */
struct watchdog_look {
    bool draining; /* something is attached, so there is a drain at all */
    uint64_t passes;
    uint64_t records;     /* handed over, so far */
    uint64_t complete_ns; /* everything that was submitted before was handed over */
    uint64_t interval_ns; /* until the next pass */
};

/*
 * Whether the drain got on between two looks, the later of which is now. Progress is to be up to
 * date or, when there is more to do than time, to hand over records. With nothing attached there is
 * nothing to drain: that somebody looks is all that can be asked for.
 */
bool watchdog_sees_progress(const struct watchdog_look *before, const struct watchdog_look *now,
                            uint64_t now_ns);

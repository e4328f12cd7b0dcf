# SPDX-License-Identifier: GPL-2.0-or-later
"""One line of the table: who, what it costs, and the ratio of ours to it."""

import spread

OURS = "loris"
OURS_SAMPLED = "loris, sample 1/128"


def of(row, case, contender, unit, samples, ratio=None, **more):
    """ratio: samples of ours divided by theirs."""
    entry = {"row": row, "case": case, "contender": contender, "unit": unit,
             "value": spread.figure(samples), **more}
    if ratio:
        entry["ratio"] = spread.figure(ratio)
    return entry


def refused(row, case, contender, reason):
    """It could not be measured here; the reason is the line."""
    return {"row": row, "case": case, "contender": contender, "reason": str(reason)}


def of_outcome(row, case, outcome, unit="ns added a call", notes=None):
    """A line for each contender of interleaved rounds: what it adds, and loris' ratio to it."""
    lines = []
    ours = outcome.added(OURS) if OURS in outcome.samples else None
    for name in outcome.samples:
        added = outcome.added(name)
        ratio = spread.paired_ratios(ours, added) if ours and name != OURS else None
        more = {"rounds": len(added), "discarded": outcome.discarded}
        if notes and notes.get(name):
            more["note"] = notes[name]
        lines.append(of(row, case, name, unit, added, ratio, **more))
    bare = of(row, case, "bare loop", unit.replace(" added", ""), outcome.bare)
    return [bare, *lines]

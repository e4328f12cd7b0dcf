# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of how costs grow: with the number of functions watched, and with the CPUs that call."""

import contextlib
import os
import pathlib
import shutil
import time

import agents
import entries
import rounds
from rows_calls import FLOOR, spec, syscall_guard
from target import PROGRAM, Floor, Target, scratch_folder

# As many functions as each pattern matches; CALLED is in all of them.
PATTERNS = {1: "grow_0000", 10: "grow_000?", 100: "grow_00??", 1000: "grow_0???",
            2000: "grow_????"}
CALLED = "grow_0000"
UNPROBED = "push_f"
TIMES = 5


def growth(bench):
    """Cost of a call, attach and detach while 1 to 2,000 functions are watched."""
    lines = []
    measured = {}
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(scratch_folder()))
        plain = stack.enter_context(Target())
        for count, pattern in PATTERNS.items():
            bench.say(f"growth: {count}")
            # A copy of the program is another file, with probes of its own.
            copy = folder / f"target_{count}"
            shutil.copy(PROGRAM, copy)
            target = stack.enter_context(Target(program=copy))
            agent = stack.enter_context(agents.start())
            lines += _attach_times(agent, target, count, f"user:{copy}:{pattern}")
            agent.attach(f"user:{copy}:{pattern}")
            measured[f"{count} watched"] = lambda target=target: target.measure(f"call {CALLED}")
        outcome = rounds.interleave(lambda: plain.measure(f"call {UNPROBED}"), measured,
                                    bench.rounds, bench.progress, guards=[syscall_guard(plain)])
    first = outcome.added("1 watched")
    for name in outcome.samples:
        added = outcome.added(name)
        lines.append(entries.of("growth", "a call", name, "ns added a call", added,
                                [one / other for one, other in zip(first, added)],
                                note="ratio: with one watched to with so many"))
    return lines


def _attach_times(agent, target, count, pattern):
    """Attach and detach, ours and the empty link, in turn."""
    offsets = [target.offset(f"grow_{number:04}") for number in range(count)]
    times = {(edge, who): [] for edge in ("attach", "detach") for who in (entries.OURS, FLOOR)}
    for _ in range(TIMES):
        begin = time.monotonic()
        reply = agent.attach(pattern)
        attached = time.monotonic()
        agent.call("Detach", targets=[pattern])
        times["attach", entries.OURS].append(1000 * (attached - begin))
        times["detach", entries.OURS].append(1000 * (time.monotonic() - attached))
        if reply["attached"] != count:
            raise AssertionError(f"{pattern}: {reply['attached']} attached, not {count}")
        floor = Floor("session", target.program, offsets)
        floor.close()
        times["attach", FLOOR].append(floor.attach_ns / 1e6)
        times["detach", FLOOR].append(floor.detach_ns / 1e6)
    lines = []
    for (edge, who), samples in times.items():
        ratio = None
        if who != entries.OURS:
            ratio = [one / other for one, other in zip(times[edge, entries.OURS], samples)]
        lines.append(entries.of("growth", f"{edge} {count}", who, "ms", samples, ratio))
    return lines


OURS_COPY, FLOOR_COPY = "push_0", "push_1"


def cpus(bench):
    """A call while 1 thread, and as many as there are CPUs (2 at least), call at once."""
    bench.say("cpus")
    lines = []
    with Target(pinned=False) as target, agents.start() as agent:
        agent.attach(spec(OURS_COPY))
        floor = Floor("session", PROGRAM, [target.offset(FLOOR_COPY)])
        try:
            for threads in (1, max(2, os.cpu_count())):
                case = f"{threads} thread{'s' if threads > 1 else ''}"
                outcome = rounds.interleave(
                    lambda: target.measure(f"call {UNPROBED}"),
                    {entries.OURS: lambda: target.measure(f"threads {threads} {OURS_COPY}"),
                     FLOOR: lambda: target.measure(f"threads {threads} {FLOOR_COPY}")},
                    bench.rounds, bench.progress, guards=[syscall_guard(target)])
                lines += entries.of_outcome("cpus", case, outcome)
        finally:
            floor.close()
    return lines

# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of how long it takes until the first number, and until a probe stands."""

import os
import time

import agents
import entries
import peers
import spread
from children import Child, Failed
from target import PROGRAM, Target, wait_probed

FUNCTION = "push_0"
OURS_GOVERNED = "loris, default budget: looks first"
INTERVAL_S = 1  # what all are asked for; taken off


def start(bench):
    """From exec to the first number of a function that is called all the time."""
    bench.say("start")
    lines = []
    samples = {}
    with Target() as target:
        for name, command, environment in _contenders(bench, lines):
            samples[name] = []
            for _ in range(bench.rounds if name == entries.OURS else min(bench.rounds, 5)):
                target.busy(FUNCTION)
                try:
                    samples[name].append(_first_number_ms(command, environment))
                except Failed as reason:
                    lines.append(entries.refused("start", "first number", name, reason))
                    del samples[name]
                    break
    ours = spread.median(samples[entries.OURS])
    for name, times in samples.items():
        ratio = None if name == entries.OURS else [ours / one for one in times]
        lines.append(entries.of("start", "first number", name, "ms", times, ratio,
                                note=f"asked for after {INTERVAL_S} s, which is taken off"))
    return lines + _exec_to_attached(bench)


def _watch_command(budget):
    return [agents.LORIS, "watch", "--json", "--by", "none", "--budget", budget, "-d",
            f"{INTERVAL_S}s", f"user:{PROGRAM}:{FUNCTION}"]


def _contenders(bench, lines):
    """(name, command, environment) of those that can run."""
    makers = {
        entries.OURS: lambda: (_watch_command("none"), {}),
        OURS_GOVERNED: lambda: (_watch_command(agents.DEFAULT_BUDGET), {}),
        peers.FUNCLATENCY: lambda: peers.funclatency_once(PROGRAM, FUNCTION, INTERVAL_S),
        peers.FUNCLATENCY_BCC: lambda: peers.funclatency_bcc_once(PROGRAM, FUNCTION, INTERVAL_S),
        peers.BPFTRACE: lambda: peers.bpftrace_once("bookworm", PROGRAM, FUNCTION, INTERVAL_S),
        peers.BPFTRACE_NEW: lambda: peers.bpftrace_once("trixie", PROGRAM, FUNCTION, INTERVAL_S),
    }
    found = []
    for name in [entries.OURS, OURS_GOVERNED, *bench.chosen(list(makers)[2:])]:
        try:
            found.append((name, *makers[name]()))
        except peers.Missing as reason:
            lines.append(entries.refused("start", "first number", name, reason))
    return found


def _is_number(line):
    """A line of a histogram or a JSON object, no heading."""
    return line.startswith("{") or peers.counted(line) is not None


def _first_number_ms(command, environment):
    """On a terminal, where every tool shows its lines at once."""
    ours, theirs = os.openpty()
    begin = time.monotonic()
    with Child(command, environment=environment, terminal=theirs) as child:
        os.close(theirs)
        said = ""
        try:
            while not any(_is_number(line.strip("\r")) for line in said.split("\n")[:-1]):
                said += os.read(ours, 65536).decode(errors="replace")
        except OSError:  # EIO: it has ended
            lines = [line for line in said.splitlines() if line.strip()]
            raise Failed(lines[-1] if lines else f"{child.name} printed nothing") from None
        finally:
            os.close(ours)
        return 1000 * (time.monotonic() - begin - INTERVAL_S)


def _exec_to_attached(bench):
    """lorisd with one user function in its configuration, until the breakpoint is in memory."""
    times = []
    with Target() as target, agents.support.scratch() as folder:
        target.note_untouched(FUNCTION)
        config = folder / "loris.yaml"
        config.write_text(f"targets:\n  - user:{PROGRAM}:{FUNCTION}\n")
        for _ in range(bench.rounds):
            begin = time.monotonic()
            with Child([agents.LORISD, "--config", config, "--socket", folder / "s"]):
                wait_probed(target, FUNCTION)
                times.append(1000 * (time.monotonic() - begin))
    return [entries.of("start", "exec to attached", entries.OURS, "ms", times,
                       note="looked for every 2 ms")]

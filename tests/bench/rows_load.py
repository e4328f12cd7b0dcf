# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of what the agent costs: CPU and memory by events and by series, its limit, its answers."""

import json
import os
import subprocess
import time

import agents
import entries
import spread
from children import Failed, wait_until
from target import PROGRAM, PROGRAMS, Source, Target

PROBE = f"user:{PROGRAM}:grow_0000"
MIB = 1 << 20


def _watch_cpu(agent, seconds_each, times, work):
    """Per cent of one CPU, while work(seconds) runs: a figure each time."""
    shares = []
    for _ in range(times):
        begin, cpu = time.monotonic(), agents.run_seconds(agent.pid)
        work(seconds_each)
        shares.append(100 * (agents.run_seconds(agent.pid) - cpu) / (time.monotonic() - begin))
    return shares


def _rss(agent):
    return [agents.resident_bytes(agent.pid) / MIB]


def label(number):
    return f"{number // 1_000_000} M" if number >= 1_000_000 else f"{number // 1000} k"


# --- events --------------------------------------------------------------------------------------

EVENT_RATES = (10_000, 100_000, 1_000_000)
RATE_MISSED_MAX = 0.02


def events(bench):
    """CPU and memory of the agent at 10 k, 100 k and 1 M getppid a second."""
    lines = []
    for rate in EVENT_RATES:
        bench.say(f"events: {label(rate)}/s")
        case = f"{label(rate)}/s"
        with Target() as target, agents.start() as agent:
            agent.attach("syscall:getppid")
            target.pace(rate, 500)
            made = []
            began = time.monotonic()
            shares = _watch_cpu(agent, 1, 5, lambda seconds: made.append(
                target.pace(rate, 1000 * seconds)))
            reached = sum(made) / (time.monotonic() - began)
            note = f"{reached:,.0f} calls/s" if reached < (1 - RATE_MISSED_MAX) * rate else ""
            drain = agent.status(probes=False)["drain"]
            lines += [
                entries.of("events", case, "CPU of lorisd", "%", shares, note=note),
                entries.of("events", case, "RSS of lorisd", "MiB", _rss(agent),
                           note=f"{drain['drains']} drains, {drain['wakeups']} wake-ups"),
            ]
    return lines


# --- series --------------------------------------------------------------------------------------

SERIES = (1_000, 10_000, 100_000)
SERIES_RATE = 100_000
FILL_RATE, FILL_EACH = 1_000_000, 100  # before: so many calls of each series


def _source(agent):
    """Writes records of PROBE, which must be attached: the agent takes no others."""
    agent.attach(PROBE)
    return Source(agents.map_ids(agent), _probe_id(agent), os.cpu_count() - 1)


def _probe_id(agent):
    """Of a fresh agent's only probe: ids are given from 0."""
    if len(agent.probes()) != 1:
        raise Failed(f"the agent has {len(agent.probes())} probes, not one")
    return 0


def _settle(agent, wanted):
    """Until the agent has read all records; Failed when some came to nothing."""
    def read():
        ledger = agent.probe(PROBE)["ledger"]
        return ledger if ledger["decoded"] >= wanted else None
    ledger = wait_until(read, 20, f"{wanted} records are decoded")
    if ledger["decoded"] != wanted:
        raise Failed(f"{ledger['decoded']} records decoded of {wanted} written")
    return ledger


def series(bench):
    """CPU and memory of the agent at 1 k, 10 k and 100 k series, 100 k records a second."""
    lines = []
    for count in SERIES:
        bench.say(f"series: {label(count)}")
        case = f"{label(count)} series"
        with agents.start() as agent, _source(agent) as source:
            written = source.run(FILL_RATE, count, count * FILL_EACH * 1000 // FILL_RATE)[
                "submitted"]
            made = []
            shares = _watch_cpu(agent, 1, 3, lambda seconds: made.append(
                source.run(SERIES_RATE, count, 1000 * seconds)["submitted"]))
            _settle(agent, written + sum(made))
            status = agent.status(probes=False)
            note = f"{status['series']} series kept, {status['memory_used'] / MIB:.1f} MiB of " \
                   f"{status['memory_budget'] / MIB:.0f} used"
            lines += [entries.of("series", case, "CPU of lorisd", "%", shares),
                      entries.of("series", case, "RSS of lorisd", "MiB", _rss(agent), note=note)]
    return lines


# --- the limit -----------------------------------------------------------------------------------

RING_RATES = (1, 2, 4, 6, 8, 10, 12, 15, 20, 25, 30)  # M/s
RING_SERIES = (1_000, 10_000)
LARGE_LOGS = "rings: {latency: 4MiB}\n"
RING_GOAL = 10
RING_SECONDS = 5
RING_ATTEMPTS = 3
RATE_REACHED = 0.9  # of the wanted rate; below, the source itself is the limit


def ring(bench):
    """The highest rate of records from one CPU that loses none; 10 M/s for 5 s."""
    lines = []
    cases = [(f"{label(count)} series", count, "") for count in RING_SERIES]
    for case, count, config in [*cases, ("1 k series, logs of 4 MiB", 1_000, LARGE_LOGS)]:
        bench.say(f"ring: {case}")
        with agents.start(config) as agent, _source(agent) as source:
            # What else runs here is no limit of theirs; and the source has a CPU to itself.
            agents.prefer(agent.pid)
            agents.prefer(source.child.pid)
            os.sched_setaffinity(agent.pid, set(range(os.cpu_count() - 1)) or {0})
            bursts = _Bursts(agent, source, count)
            bursts.run(1, 0.5)  # the series are made
            best, why = 0, "the source can write no faster"
            for rate in RING_RATES:
                done = bursts.best(rate, 1)
                if done["submitted"] + done["log_full"] < RATE_REACHED * rate * 1e6:
                    break
                if done["log_full"]:
                    why = f"at {rate} M/s {done['log_full']:,} met a full log; {_queued(done)}"
                    break
                best = done["submitted"] / 1e6
            lines.append(entries.of("ring", case, "highest rate without loss", "M/s", [best],
                                    note=why))
            longest_ms = agent.status(probes=False)["drain"]["longest_us"] / 1000
            lines += _sustained(f"10 M/s, {case}", bursts.best(RING_GOAL, RING_SECONDS),
                                f"longest drain so far {longest_ms:.1f} ms")
            bursts.settle()
    return lines


class _Bursts:
    """Runs of the source, and what the agent did meanwhile."""

    def __init__(self, agent, source, series_count):
        self.agent, self.source, self.series_count = agent, source, series_count
        self.written = 0

    def run(self, rate, seconds):
        pid = self.agent.pid
        begin, cpu, wait = time.monotonic(), agents.run_seconds(pid), agents.wait_seconds(pid)
        done = self.source.run(rate * 1_000_000, self.series_count, int(1000 * seconds))
        done["share"] = (agents.run_seconds(pid) - cpu) / (time.monotonic() - begin)
        done["queued_s"] = agents.wait_seconds(pid) - wait
        done["seconds"] = seconds
        self.written += done["submitted"]
        return done

    def best(self, rate, seconds):
        """Of a few attempts the one that lost least: what others of this machine take away in one
        of them is no limit of the agent's."""
        attempts = []
        while len(attempts) < RING_ATTEMPTS and not any(
                done["log_full"] == 0 for done in attempts):
            attempts.append(self.run(rate, seconds))
        found = min(attempts, key=lambda done: done["log_full"])
        found["attempts"] = len(attempts)
        return found

    def settle(self):
        _settle(self.agent, self.written)


def _queued(done):
    return f"lorisd waited {1000 * done['queued_s']:.0f} ms for a CPU"


def _sustained(case, done, more):
    note = (f"{done['submitted'] / done['seconds'] / 1e6:.2f} M/s came through; writing took "
            f"{done['inside_s'] / done['seconds']:.0%}; {_queued(done)}; "
            f"attempt {done['attempts']}; {more}")
    # What it lost it did not read: the CPU that all of them would have taken is what counts.
    wanted = RING_GOAL * 1e6 * done["seconds"]
    share = done["share"] * wanted / max(done["submitted"], 1)
    return [entries.of("ring", case, "samples lost", "samples", [done["log_full"]], note=note),
            entries.of("ring", case, "CPU of lorisd", "%", [100 * share],
                       note=f"{100 * done['share']:.1f} % for those that came through")]


# --- user side -----------------------------------------------------------------------------------


def record(bench):
    """Decode, look up and record in user space, from record_bench."""
    program = PROGRAMS / "record_bench"
    if not program.exists():
        return [entries.refused("record", "all", entries.OURS, "record_bench is not built")]
    bench.say("record")
    done = subprocess.run([program, str(bench.rounds)], capture_output=True, text=True, timeout=600)
    if done.returncode:
        raise Failed(f"record_bench: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    lines = []
    for one in found:
        case = f"{label(one['series'])} series"
        if one["row"] == "memory":
            lines.append(entries.of("record", case, "memory of a series", "bytes",
                                    [one["bytes_per_series"]]))
            continue
        ours = [other for other in found if other["row"] == entries.OURS
                and all(other.get(key) == one.get(key) for key in ("series", "order"))]
        ratio = None
        if ours and one["row"] != entries.OURS:
            ratio = [ours[0]["ns_per_sample"] / one["ns_per_sample"]]
        lines.append(entries.of("record", f"{case}, {one['order']}", one["row"], "ns a sample",
                                [one["ns_per_sample"]], ratio))
    return lines


# --- idle, answers -------------------------------------------------------------------------------

IDLE_SECONDS = 5
ANSWERS = 50


def idle(bench):
    """Wake-ups of an agent that watches nothing, and of one whose target nobody calls."""
    bench.say("idle")
    lines = []
    for case, target in (("nothing attached", None), ("attached, nobody calls", PROBE)):
        with agents.start() as agent:
            if target:
                agent.attach(target)
            time.sleep(2)  # what starting left to do
            before = agents.context_switches(agent.pid)
            time.sleep(IDLE_SECONDS)
            woken = (agents.context_switches(agent.pid) - before) / IDLE_SECONDS
            lines.append(entries.of("idle", case, "wake-ups", "/s", [woken]))
    return lines


def stats(bench):
    """`loris stats --json` at 10 k series, 50 times."""
    bench.say("stats")
    with agents.start() as agent, _source(agent) as source:
        done = source.run(FILL_RATE, 10_000, 1000)
        _settle(agent, done["submitted"])
        times = []
        for _ in range(ANSWERS):
            begin = time.monotonic()
            said = agents.support.loris("stats", "--json", "--by", "process", "--socket",
                                        agent.socket_path, "--window", "60s")
            times.append(1000 * (time.monotonic() - begin))
            if said.returncode or not said.stdout:
                raise Failed(f"loris stats: {said.stderr.strip()[-300:]}")
    rows = len(said.stdout.splitlines())
    note = f"p95 {spread.quantile(times, 0.95):.1f} ms, {rows} lines"
    return [entries.of("stats", "10 k series", "loris stats --json", "ms", times, note=note)]

# SPDX-License-Identifier: GPL-2.0-or-later
"""The program that is watched: measures its own calls on request."""

import os
import pathlib
import tempfile

from children import Child, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "build/bench"
PROGRAM = PROGRAMS / "bench_target"

BATCHES = 15
BATCH_NS = 1_000_000
BATCH_CALLS = (10, 1_000_000)


class _Talker:
    """A program of ours that answers, and ends with the context."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.end()


class Target(_Talker):
    """pinned: to the last CPU, for a call may cost half as much again where others work, and a
    wanderer is measured now here, now there."""

    def __init__(self, library_folder=None, program=PROGRAM, pinned=True):
        environment = {"LD_LIBRARY_PATH": str(library_folder)} if library_folder else None
        self.program = program
        self.child = Child([program], talks=True, environment=environment)
        self.pid = self.child.pid
        if pinned:
            os.sched_setaffinity(self.pid, {max(os.sched_getaffinity(0))})
        self.calls = {}  # of each function: how often it was called
        self.batch_calls = {}
        self.untouched = {}

    def measure(self, what, batches=BATCHES):
        """ns a call. what: `getppid`, `heap`, `call NAME` or `threads N NAME`."""
        calls = self.batch_calls.get(what)
        if not calls:  # so many that a batch takes its time, from a first look
            ns = max(self.run(what, 20, 5), 1.0)
            ns = max(self.run(what, max(20, int(BATCH_NS / 10 / ns)), 5), 1.0)
            calls = min(max(int(BATCH_NS / ns), BATCH_CALLS[0]), BATCH_CALLS[1])
            self.batch_calls[what] = calls
        return self.run(what, calls, batches)

    def run(self, what, calls, batches):
        words = what.split()
        threads = int(words[1]) if words[0] == "threads" else 1
        self.calls[words[-1]] = self.calls.get(words[-1], 0) + threads * calls * batches
        return float(self.child.ask(f"{what} {calls} {batches}"))

    def forget(self, what):
        """Its cost has changed: the next measurement looks anew how many calls fit a batch."""
        self.batch_calls.pop(what, None)

    def offset(self, function):
        return int(self.child.ask(f"offset {function}"))

    def note_untouched(self, *functions):
        for function in functions:
            self.untouched[function] = self.child.ask(f"bytes {function}")

    def is_probed(self, function):
        """Whether somebody put a breakpoint into the function."""
        return self.child.ask(f"bytes {function}") != self.untouched[function]

    def pace(self, rate_per_s, ms):
        return int(self.child.ask(f"pace {rate_per_s} {ms}"))

    def steady(self, function, ms, usual_ns):
        """Share of its CPU time that a function lost to what comes now and then, which makes calls
        several times slower than the usual, over so long."""
        calls, cpu_ns, lost_ns = map(
            int, self.child.ask(f"steady {function} {ms} {usual_ns}").split())
        self.calls[function] = self.calls.get(function, 0) + calls
        return lost_ns / cpu_ns

    def busy(self, function):
        self.child.ask(f"busy {function}")


class Floor:
    """Empty programs, attached until close()."""

    def __init__(self, kind, path=None, offsets=()):
        place = [path, *offsets] if path else []
        self.child = Child([PROGRAMS / "bench_floor", kind, *place], talks=True)
        self.attach_ns = int(self.child.line().split()[1])
        self.detach_ns = None

    def close(self):
        self.child.close_stdin()
        self.detach_ns = int(self.child.line().split()[1])
        self.child.end()


class Source(_Talker):
    """Writes records into an agent's logs; see bench_source.c."""

    MAPS = ("sample_logs", "samples", "rare_rings", "probe_ledger", "probe_knobs")

    def __init__(self, map_ids, probe_id, cpu):
        wanted = [map_ids[name] for name in self.MAPS]
        self.child = Child([PROGRAMS / "bench_source", *wanted, probe_id, cpu], talks=True)
        self.child.line()

    def run(self, rate_per_s, processes, ms):
        answer = self.child.ask(f"{rate_per_s} {processes} {ms}").split()
        return {"submitted": int(answer[0]), "log_full": int(answer[1]),
                "inside_s": int(answer[2]) / 1e9}


def wait_probed(target, function, peer=None, seconds=30):
    """Until a probe stands in the function, or the peer that should put it there has ended."""
    def stands():
        if peer and peer.process.poll() is not None:
            return True
        return target.is_probed(function)
    wait_until(stands, seconds, f"a probe stands in {function}")


def scratch_folder():
    return tempfile.TemporaryDirectory(prefix="loris-bench-")

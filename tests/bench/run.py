#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures loris beside other tools, as root, in one run; `make bench` builds what it needs.

    tests/bench/run.py [ROW...]            all rows, or those named; --list shows them
    tests/bench/run.py --compare A B       whether the ratios of two runs agree

Figures go to build/bench/results.json and .md. Missed goals are reported and are no failure; a
measurement that broke is one.
"""

import argparse
import datetime
import json
import os
import pathlib
import signal
import sys
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import agents  # noqa: E402  (found through the path above)
import children  # noqa: E402
import machine  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
import rows_calls  # noqa: E402
import rows_governed  # noqa: E402
import rows_growth  # noqa: E402
import rows_load  # noqa: E402
import rows_start  # noqa: E402
from target import PROGRAMS  # noqa: E402

ROWS = {
    "user": rows_calls.user,
    "syscall": rows_calls.syscall,
    "heap": rows_calls.heap,
    "events": rows_load.events,
    "series": rows_load.series,
    "ring": rows_load.ring,
    "record": rows_load.record,
    "idle": rows_load.idle,
    "start": rows_start.start,
    "stats": rows_load.stats,
    "growth": rows_growth.growth,
    "cpus": rows_growth.cpus,
    "governed": rows_governed.governed,
}
ROUNDS = 11


class Bench:
    """What rows are told, and what they say."""

    def __init__(self, options):
        self.rounds = options.rounds
        self.only = options.peer
        self.libc = _libc_path()
        self.is_terminal = sys.stderr.isatty()

    def chosen(self, names):
        return [name for name in names if not self.only or any(part in name for part in self.only)]

    def say(self, text):
        print(text, file=sys.stderr, flush=True)

    def progress(self, text):
        if self.is_terminal:
            print(f"\r  {text}  \r", end="", file=sys.stderr, flush=True)


def _libc_path():
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
        if line.endswith("/libc.so.6"):
            return line.split()[-1]
    return "/lib/x86_64-linux-gnu/libc.so.6"


def _now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


QUIET_S = 60


def _wait_for_quiet(bench):
    """How many still trace all system calls after a while; their cost would be measured along."""
    end = time.monotonic() + QUIET_S
    if agents.syscall_tracers():
        bench.say("waiting: somebody traces system calls")
    while time.monotonic() < end and agents.syscall_tracers():
        time.sleep(1)
    return agents.syscall_tracers()


def measure(bench, names):
    run = {"schema": "loris.bench/1", "begin": _now(), "rounds": bench.rounds,
           "machine": machine.describe(), "tools": peers.versions(), "entries": [], "failures": [],
           "warnings": []}
    for name in names:
        before = _wait_for_quiet(bench)
        try:
            run["entries"] += ROWS[name](bench)
        except Exception as failure:  # whatever it is, the other rows are still worth their time
            run["failures"].append(f"{name}: {type(failure).__name__}: {failure}")
            bench.say("".join(traceback.format_exception(failure)))
        if before or agents.syscall_tracers():
            run["warnings"].append(f"{name}: somebody else traced system calls meanwhile, which "
                                   "makes every probe of user functions dearer")
    run["end"] = _now()
    run["machine"]["load_end"] = machine.load()
    return run


def compare(paths):
    first, second = (json.loads(pathlib.Path(path).read_text()) for path in paths)
    lines, disagreeing = report.compare(first, second)
    print("\n".join(lines))
    compared = sum(not line.startswith(report.ONLY) for line in lines)
    print(f"{disagreeing} of {compared} ratios disagree")
    return 1 if disagreeing else 0


def _ended(number, _frame):
    sys.exit(128 + number)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", metavar="ROW")
    parser.add_argument("--list", action="store_true", help="the rows, one a line")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--peer", action="append",
                        help="only tools whose name has this in it; repeat for more")
    parser.add_argument("--output", type=pathlib.Path, default=PROGRAMS / "results.json")
    parser.add_argument("--compare", nargs=2, metavar=("A", "B"))
    options = parser.parse_args()
    if options.list:
        for name, function in ROWS.items():
            print(f"{name:<8}  {function.__doc__.splitlines()[0]}")
        return 0
    if options.compare:
        return compare(options.compare)
    unknown = [name for name in options.rows if name not in ROWS]
    if unknown:
        parser.error(f"no row {unknown[0]}; there are {', '.join(ROWS)}")
    if os.geteuid() != 0:
        parser.error("this attaches probes: run it as root")
    signal.signal(signal.SIGTERM, _ended)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & has it ignored
    bench = Bench(options)
    try:
        run = measure(bench, options.rows or list(ROWS))
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    finally:
        children.end_all()
    report.write(run, options.output)
    print(report.markdown(run))
    print(f"written: {options.output} and {options.output.with_suffix('.md')}", file=sys.stderr)
    return 1 if run["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())

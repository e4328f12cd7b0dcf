# SPDX-License-Identifier: GPL-2.0-or-later
"""What the project wants to reach, judged on the figures of one run."""

import peers
import rows_calls
import rows_governed
from entries import OURS, OURS_SAMPLED


class NotMeasured(Exception):
    pass


class Found:
    """Look-ups in the entries of a run."""

    def __init__(self, lines):
        self.lines = {(line["row"], line["case"], line["contender"]): line for line in lines
                      if "reason" not in line}

    def line(self, row, case, contender):
        line = self.lines.get((row, case, contender))
        if not line:
            raise NotMeasured()
        return line

    def ratio(self, row, case, contender):
        """Ours to theirs."""
        line = self.line(row, case, contender)
        if "ratio" not in line:
            raise NotMeasured()
        return line["ratio"]["median"]

    def value(self, row, case, contender=OURS):
        return self.line(row, case, contender)["value"]["median"]

    def worst_ratio(self, row, case, contenders):
        """The highest over those that ran."""
        found = []
        for contender in contenders:
            try:
                found.append(self.ratio(row, case, contender))
            except NotMeasured:
                continue
        if not found:
            raise NotMeasured()
        return max(found)


def _over_raw(found):
    return (found.value("syscall", "getppid")
            - found.value("syscall", "getppid", rows_calls.FLOOR_RAW_CLOCK))


def _by_case(case):
    return [
        (f"user function, {case}: to the empty session",
         lambda found: found.ratio("user", case, rows_calls.FLOOR), 1.15),
        (f"user function, {case}: to libbpf-tools funclatency",
         lambda found: found.ratio("user", case, peers.FUNCLATENCY), 0.87),
        (f"user function, {case}: to bpftrace hist, the cheaper of two",
         lambda found: found.worst_ratio("user", case, (peers.BPFTRACE, peers.BPFTRACE_NEW)),
         0.75),
        (f"user function, {case}: sampled 1/128 to full",
         lambda found: 1 / found.ratio("user", case, OURS_SAMPLED), 0.62),
    ]


# name, the figure, its highest allowed value; a unit where it is no ratio.
GOALS = [
    *_by_case("push"),
    *_by_case("nop5"),
    ("user function, endbr64: to the empty session in the same place",
     lambda found: found.ratio("user", "endbr64", rows_calls.FLOOR), 1.15),
    ("user function, endbr64: sampled 1/128 to full",
     lambda found: 1 / found.ratio("user", "endbr64", OURS_SAMPLED), 0.62),
    ("user function, endbr64: to the cheapest peer",
     lambda found: found.worst_ratio("user", "endbr64", peers.ON_FUNCTIONS), 0.15),
    ("malloc + free: to memleak-bpfcc",
     lambda found: found.ratio("heap", "malloc+free", peers.MEMLEAK), 0.15),
    ("syscall: above the empty pair with two clock reads", _over_raw, 65, "ns"),
    ("syscall: to bpftrace hist, the cheaper of two",
     lambda found: found.worst_ratio("syscall", "getppid", (peers.BPFTRACE, peers.BPFTRACE_NEW)),
     0.30),
    ("syscall: to libbpf-tools syscount -L",
     lambda found: found.ratio("syscall", "getppid", peers.SYSCOUNT), 0.65),
    ("10 M samples/s for 5 s: lost to a full log",
     lambda found: found.value("ring", "10 M/s, 1 k series", "samples lost"), 0, "samples"),
    ("10 M samples/s for 5 s: the reader's CPU",
     lambda found: found.value("ring", "10 M/s, 1 k series", "CPU of lorisd"), 60, "%"),
    ("decode, look up, record: 1 k series, uniform",
     lambda found: found.value("record", "1 k series, uniform"), 15, "ns"),
    ("decode, look up, record: 10 k series, uniform",
     lambda found: found.value("record", "10 k series, uniform"), 25, "ns"),
    ("decode, look up, record: 100 k series, uniform",
     lambda found: found.value("record", "100 k series, uniform"), 100, "ns"),
    ("budget of 1 %: what the program loses",
     lambda found: found.value("governed", "push, budget 1%", rows_governed.LOST), 2, "%"),
    ("agent RSS at 10 k series",
     lambda found: found.value("series", "10 k series", "RSS of lorisd"), 32, "MiB"),
    ("idle agent: wake-ups",
     lambda found: found.value("idle", "nothing attached", "wake-ups"), 0, "/s"),
    ("start: lorisd from exec to attached",
     lambda found: found.value("start", "exec to attached", OURS), 100, "ms"),
    ("2,000 user functions: attach",
     lambda found: found.value("growth", "attach 2000", OURS), 200, "ms"),
    ("2,000 user functions: detach",
     lambda found: found.value("growth", "detach 2000", OURS), 500, "ms"),
]


def judge(lines):
    """One verdict a goal; beyond: how far over the limit, as a share of it."""
    found = Found(lines)
    verdicts = []
    for name, figure, limit, *unit in GOALS:
        verdict = {"name": name, "limit": limit, "unit": unit[0] if unit else "x"}
        try:
            value = figure(found)
            verdict |= {"value": value, "state": "met" if value <= limit else "missed"}
            if limit:
                verdict["beyond"] = value / limit - 1
        except (NotMeasured, ZeroDivisionError):
            verdict["state"] = "not measured"
        verdicts.append(verdict)
    return verdicts

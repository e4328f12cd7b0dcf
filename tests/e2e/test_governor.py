# SPDX-License-Identifier: GPL-2.0-or-later
"""The budget: held under any load, with totals as right as they are said to be."""

import json
import re

from support import (Agent, Running, Watching, check_ledger, expect, expect_equal, limit, user,
                     tries, wait_for, watch)


def _slices(ramp):
    """The lines that `ramp` prints until it says that it is done."""
    found = []
    while (line := ramp.line()) != "done":
        found.append(json.loads(line))
    return found


@tries(3)
@limit(120)
def holds_its_budget_while_the_load_doubles_to_the_machines_limit():
    budget, step_s, steps = 0.05, 5, 9
    target = user("ramp", "measured")
    with Agent(budget="5%") as agent:
        agent.attach(target)
        with Running("ramp", "rate=20000", f"step_ms={step_s * 1000}", f"steps={steps}") as ramp:
            ramp.go()
            slices = _slices(ramp)
            truth = ramp.finish()
        total = agent.stats(target)[0]
        status = agent.status()
    # By the slow-down of the program itself, from the fourth second of each step on.
    costs = [sum(one["cost"] for one in slices[step * step_s + 3:(step + 1) * step_s]) / 2
             for step in range(steps)]
    expect(max(costs) < 2 * budget + 0.02, f"shares of a CPU: {costs}")
    expect(status["overhead"]["steps"], "no step was taken")
    check_ledger(status["probes"][0]["ledger"])
    # A load that doubles under the bursts is the hardest to estimate: here only no nonsense.
    error = abs(total["count"] - truth["calls"]) / total["count"]
    expect(error <= 3 * total["count_error"],
           f"{total['count']} calls of {truth['calls']}: {total}")
    return (f"budget {budget:.0%}, cost in turn {' '.join(f'{cost:.1%}' for cost in costs)}; "
            f"count off by {error:.1%}, {total['count_error']:.1%} was said")


@tries(3)
@limit(60)
def estimates_a_steady_load_within_the_error_that_it_says():
    target = user("ramp", "measured")
    with Agent(budget="3%") as agent:
        agent.attach(target)
        with Running("ramp", "rate=200000", "step_ms=15000", "steps=1") as ramp:
            ramp.go()
            _slices(ramp)
            truth = ramp.finish()
        total = agent.stats(target)[0]
        check_ledger(agent.settled(target)["ledger"])
    expect(total["observed"] < 1, f"attached all the time: {total}")
    error = abs(total["count"] - truth["calls"]) / total["count"]
    expect(error <= total["count_error"] < 2,
           f"{total['count']} calls of {truth['calls']}: {total}")
    return f"off by {error:.1%}, {total['count_error']:.1%} was said, seen {total['observed']:.1%}"


def counts_every_call_of_a_thinned_probe():
    target = user("many_calls", "work")
    with Agent() as agent:
        agent.attach(target, sample="1/64")
        with Running("many_calls", "calls=250000", "threads=4") as calls:
            truth = calls.run_to_end()
        probe = agent.settled(target, entered=truth["calls"] - 4096)
        ledger = probe["ledger"]
        check_ledger(ledger, abandoned=0, in_flight=0)
        expect_equal(ledger["entered"] + ledger["waiting"], truth["calls"], "calls accounted for")
        expect(ledger["waiting"] < 2 * 128, f"waiting for a timed call: {ledger}")
        total = agent.stats(target)[0]
        expect_equal(total["count"], ledger["entered"], "calls in the answer")
        expect(0 < total["rank_error"] < 0.02 and total["estimated"], f"what is said: {total}")
        return f"rank error {total['rank_error']:.2%}, {ledger['waiting']} calls wait"


def thinned_quantiles_are_as_right_as_they_say():
    values = [10_000 + 7 * (i * 7919 % 5000) for i in range(20000)]
    watched = watch("--sample", "1/8", "--by", "none", user("spin", "spin_for"),
                    command=["sh", "-c", "i=0; printf '%s\\n' " + " ".join(map(str, values))
                             + f" | {user('spin', '').split(':')[1]}"])
    total = watched.final[0]
    ordered = sorted(values)
    for key, quantile in (("p50_ns", 0.5), ("p90_ns", 0.9)):
        low = ordered[int(len(ordered) * max(0, quantile - total["rank_error"]))]
        high = ordered[min(len(ordered) - 1,
                           int(len(ordered) * (quantile + total["rank_error"])))]
        # a spin ends up to a clock read late, and what preempts it makes it longer
        expect(low * 0.98 <= total[key] <= high * 1.1 + 200,
               f"{key} {total[key]} outside {low} to {high}: {total}")


@limit(60)
def says_what_is_hot_before_it_goes_on():
    with Running("ramp", "rate=2000000", "step_ms=8000", "steps=1") as ramp:
        ramp.go()
        with Watching("--budget", "1%", "-p", ramp.pid, user("ramp", "measured")) as watching:
            wait_for(lambda: "about" in watching.stderr(), what="the watch warns")
            said = watching.stderr()
            watching.stop()
        expect(re.search(r"ramp:measured: .* calls/s( in 1 process)?, about .* % of a CPU; .*timed",
                         said), f"the warning: {said}")


@limit(60)
def gives_detail_back_when_the_load_is_gone():
    target = user("ramp", "measured")
    with Agent(budget="2%") as agent:
        agent.attach(target)
        with Running("ramp", "rate=100000", "step_ms=2000", "steps=1") as ramp:
            ramp.go()
            wait_for(lambda: agent.probe(target)["thin_shift"] > 0
                     or agent.probe(target)["attached_ratio"] < 1, what="the probe is turned down")
            _slices(ramp)
            ramp.finish()
        wait_for(lambda: agent.probe(target)["cost"]["setting"] == "every call timed", 40,
                 "all detail is back")


@limit(60)
def governs_the_tracepoints_of_all_syscalls():
    with Agent(budget="1%") as agent:
        agent.attach("syscall:getppid")
        with Running("many_calls", "kind=syscall", "calls=10000000", "threads=1") as calls:
            calls.go()
            wait_for(lambda: agent.probe("syscall:getppid")["attached_ratio"] < 1, 3,
                     "syscalls are watched for part of the time")
            calls.line("done")
            calls.finish()
        total = agent.stats("syscall:getppid")[0]
        expect(total["observed"] < 1 and total["estimated"], f"what is said: {total}")
        check_ledger(agent.settled("syscall:getppid")["ledger"])


def without_a_budget_nothing_is_turned_down():
    target = user("many_calls", "work")
    with Agent() as agent:
        agent.attach(target)
        with Running("many_calls", "calls=500000", "threads=2") as calls:
            calls.run_to_end()
        status = agent.status()
        expect_equal(status["overhead"]["steps"], [], "steps")
        expect_equal("budget" in status["overhead"], False, "a budget")

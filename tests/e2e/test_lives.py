# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes that come and go: names, folding, bounds."""

import contextlib
import os
import subprocess

from support import (Agent, Running, Skip, check_ledger, expect, expect_equal, limit,
                     memory_figures, run_workload, scratch, user, wait_for, workload)

MIB = 1 << 20


@limit(120)
def names_ten_thousand_processes_that_lived_a_millisecond():
    processes, calls, names = 10000, 3, 50
    target = user("short_lived", "work")
    with scratch() as folder, Agent() as agent:
        agent.attach(target)
        truth = run_workload("short_lived", f"processes={processes}", f"calls={calls}",
                             f"names={names}", "at_a_time=8", "live_ns=500000",
                             f"folder={folder}")
        expect_equal(truth["healthy"], processes, "processes that ended as planned")
        probe = agent.settled(target, entered=processes * calls)
        check_ledger(probe["ledger"], entered=processes * calls, returned=processes * calls,
                     abandoned=0)
        by_name = {}
        for line in agent.stats(target, by="process"):
            name = line["group"].get("comm", "")
            by_name[name] = by_name.get(name, 0) + line["count"]
    expect_equal(sum(by_name.values()), processes * calls, "calls over all names")
    wanted = processes // names * calls
    right = sum(min(by_name.get(f"life_{number:03d}", 0), wanted) for number in range(names))
    share = right / (processes * calls)
    others = {name: count for name, count in by_name.items() if not name.startswith("life_")}
    expect(share >= 0.999, f"{share:.4%} of the calls have the right name; others: {others}")
    return f"{share:.3%} of the calls have the right name"


@limit(120)
def stays_under_its_memory_budget_with_fifty_thousand_processes():
    target = user("churn", "work")
    with Agent("memory_budget: 16MiB\n") as agent:
        agent.attach(target)
        with Running("churn", "processes=50000", "at_a_time=4", "names=400",
                     "keep=200") as churn:
            churn.go()
            peak = 0

            def kept():
                nonlocal peak
                peak = max(peak, memory_figures(agent)["total"])
                return agent.probe(target)["ledger"]["entered"] >= 50000
            wait_for(kept, 90, "50,000 calls were entered")
            churn.line("keeping")
            probe = agent.settled(target, entered=50000)
            check_ledger(probe["ledger"], entered=50000, returned=50000, in_series=50000)
            for by in ("process", "unit", "none"):
                expect_equal(agent.total(target, by=by), 50000, f"sum by {by}")
            churn.go()
            churn.line("done")
            churn.finish()
        figures = memory_figures(agent)
        status = agent.status(probes=False)
        peak = max(peak, figures["total"])
        expect(peak <= 16 * MIB, f"peak of {peak} bytes is over 16 MiB; now {figures}, "
                                 f"the agent says {status['memory']}")
        return (f"peak {peak / MIB:.1f} MiB, now resident {figures['resident'] / MIB:.1f} + maps "
                f"{figures['kernel'] / MIB:.1f}; the agent says {status['memory_used'] / MIB:.1f}")


def follows_a_process_through_rename_and_exec():
    target = user("churn", "work")
    with Agent() as agent:
        agent.attach(target)
        run_workload("churn", "processes=40", "names=2", "calls=5", "at_a_time=1")
        agent.settled(target, entered=200)
        names = {}
        for line in agent.stats(target, by="process"):
            name = line["group"].get("comm")
            names[name] = names.get(name, 0) + line["count"]
        expect_equal(sum(names.values()), 200, f"calls in {names}")
        expect(set(names) <= {"churn", "churn_0", "churn_1"}, f"names: {names}")


def knows_processes_that_ran_before_the_agent():
    with Running("many_calls", "calls=50") as early, Agent() as agent:
        target = user("many_calls", "work")
        agent.attach(target)
        early.run_to_end()
        agent.settled(target, entered=50)
        lines = agent.stats(target, by="process")
        expect_equal([line["group"].get("comm") for line in lines], ["many_calls"],
                     "names of early processes")


def names_a_process_that_execs_on_another_cpu_than_it_was_forked_on():
    """Rings are read one CPU after the other, so the fork's record comes last."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        raise Skip("there is one CPU only")
    target = user("steady", "slow")
    with Agent(check_clean=False) as agent, contextlib.ExitStack() as running:
        agent.attach(target)
        os.sched_setaffinity(0, {cpus[-1]})
        for _ in range(10):
            process = subprocess.Popen([workload("steady")], stdin=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL,
                                       preexec_fn=lambda: os.sched_setaffinity(0, {cpus[0]}))
            running.enter_context(process)  # ends its stdin, and with that the process
        wait_for(lambda: len(agent.stats(target, by="process")) == 10, what="ten processes")
        names = {line["group"].get("comm") for line in agent.stats(target, by="process")}
    expect_equal(names, {"steady"}, "names of what called")

# SPDX-License-Identifier: GPL-2.0-or-later
"""Full speed against small rings and a stopped agent: nothing is lost from totals."""

import json
import os
import pathlib
import signal
import subprocess
import time

from support import (ROOT, Agent, check_ledger, expect, expect_equal, limit, need, run_workload,
                     scratch, user, workload)

SUPPRESSIONS = pathlib.Path(__file__).parent / "valgrind.supp"

SMALL_RINGS = "rings:\n  latency: 64KiB\n  rare: 64KiB\n"


def _storm(seconds, threads, after_start):
    with scratch() as folder:
        truth_path = folder / "truth"
        process = subprocess.Popen([workload("storm"), f"seconds={seconds}", f"threads={threads}",
                                    f"truth={truth_path}"])
        try:
            after_start()
            expect_equal(process.wait(seconds + 30), 0, "exit status of the storm")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        return json.loads(truth_path.read_text())


@limit(90)
def loses_nothing_while_the_agent_is_stopped_for_five_seconds():
    target = user("storm", "work")
    with Agent(SMALL_RINGS) as agent:
        agent.attach(target)

        def stall():
            os.kill(agent.pid, signal.SIGSTOP)
            time.sleep(5)  # the length of the stall is what is tested
            os.kill(agent.pid, signal.SIGCONT)
        truth = _storm(7, 2, stall)
        probe = agent.settled(target, entered=truth["calls"])
        ledger = probe["ledger"]
        check_ledger(ledger, entered=truth["calls"], returned=truth["calls"], abandoned=0,
                     in_flight=0, in_series=truth["calls"])
        expect(ledger["ring_full"] > 0, f"the rings never filled: {ledger}")
        total = agent.stats(target, by="none")
        expect_equal(total[0]["count"], truth["calls"], "calls in the total")
        expect_equal(total[0]["estimated"], False, "the total is estimated")
        expect_equal(total[0]["lost"], 0, "calls the total lost")
        expect(0 <= total[0]["p50_ns"] <= total[0]["p99_ns"] <= total[0]["max_ns"], f"{total[0]}")
        parts = agent.stats(target, by="process")
        expect_equal(sum(part["count"] for part in parts), truth["calls"], "sum by process")
        expect(any(part["estimated"] for part in parts),
               f"no part of the breakdown is said to be estimated: {parts}")
        return (f"{truth['calls']} calls, {ledger['ring_full']} while a ring was full, "
                f"p99 {total[0]['p99_ns']} ns")


@limit(60)
def keeps_up_with_a_storm_when_it_is_not_stopped():
    target = user("storm", "work")
    with Agent() as agent:
        agent.attach(target)
        truth = _storm(4, 2, lambda: None)
        probe = agent.settled(target, entered=truth["calls"])
        check_ledger(probe["ledger"], entered=truth["calls"], returned=truth["calls"],
                     in_series=truth["calls"])
        share = probe["ledger"]["ring_full"] / truth["calls"]
        drain = agent.status()["drain"]
        return (f"{truth['calls']} calls, {share:.2%} met a full ring, {drain['wakeups']} wake-ups "
                f"for {drain['records']} records")


@limit(60)
def counts_a_storm_of_syscalls_from_small_rings():
    with Agent(SMALL_RINGS) as agent:
        agent.attach("syscall:getppid")
        run_workload("many_calls", "kind=syscall", "calls=3000000", "threads=4")
        probe = agent.settled("syscall:getppid", entered=3000000)
        check_ledger(probe["ledger"], abandoned=0)
        expect(agent.total("syscall:getppid") >= 3000000, "all calls are in the series")


@limit(60)
def closes_while_probes_come_and_go_in_a_storm():
    target = user("storm", "work")
    with Agent(SMALL_RINGS) as agent:
        def toggle():
            for _ in range(10):
                agent.attach(target)
                agent.attach(user("many_calls", "work"))
                agent.call("Detach", targets=[target])
                agent.call("Detach", targets=[user("many_calls", "work")])
            agent.attach(target)
        _storm(5, 2, toggle)
        probe = agent.settled(target)
        check_ledger(probe["ledger"], in_flight=0)


@limit(90)
def runs_clean_under_valgrind():
    need("valgrind")
    with scratch() as folder:
        log = folder / "valgrind.log"
        with Agent(SMALL_RINGS, wrapper=["valgrind", "--quiet", "--leak-check=full",
                                         "--error-exitcode=99", f"--log-file={log}",
                                         f"--suppressions={SUPPRESSIONS}"]) as agent:
            agent.attach("syscall:getppid", user("many_calls", "work"))
            run_workload("many_calls", "calls=5000")
            agent.settled(user("many_calls", "work"), entered=5000)
            agent.stats(by="process")
            status = agent.stop(seconds=60)
        # valgrind 3.19 does not know all of bpf(2) and says so.
        text = "\n".join(line for line in log.read_text().splitlines()
                         if "unhandled eBPF command" not in line)
        expect(status == 0 and "lost in loss record" not in text,
               f"exit status {status}, valgrind said:\n{text[-3000:]}")

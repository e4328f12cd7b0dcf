# SPDX-License-Identifier: GPL-2.0-or-later
"""What the agent says, how fast, and the summaries it writes."""

import json
import random
import time

from support import (Agent, Running, expect, expect_equal, limit, loris, run_workload, scratch,
                     user, wait_for, watch)


@limit(90)
def answers_with_ten_thousand_series():
    target = user("churn", "work")
    with Agent("memory_budget: 256MiB\n") as agent:
        agent.attach(target)
        with Running("churn", "processes=10000", "at_a_time=10001", "keep=10000") as churn:
            churn.go()
            churn.line("keeping")
            agent.settled(target, entered=10000, seconds=60)
            times = []
            for _ in range(40):
                begin = time.monotonic()
                done = loris("--socket", agent.socket_path, "stats", "--json", "--since-start")
                times.append(time.monotonic() - begin)
                expect_equal(done.returncode, 0, f"exit status ({done.stderr[:300]})")
            rows = done.stdout.count("\n")
            in_agent = []
            for _ in range(40):
                begin = time.monotonic()
                agent.stats(target, by="process")
                in_agent.append(time.monotonic() - begin)
            churn.go()
            churn.line("done")
            churn.finish()
    times.sort()
    in_agent.sort()
    return (f"{rows} lines, loris stats --json: p95 {times[37] * 1000:.0f} ms, median "
            f"{times[20] * 1000:.0f} ms; over the socket with python's parser: p95 "
            f"{in_agent[37] * 1000:.0f} ms")


@limit(60)
def writes_summaries_and_opens_the_file_again_on_sighup():
    with scratch() as folder:
        file = folder / "summaries.json"
        target = user("many_calls", "work")
        config = f"interval: 1s\nsummaries:\n  file: {file}\n  by: none\ntargets:\n  - {target}\n"

        def lines(path):
            text = path.read_text() if path.exists() else ""
            return [json.loads(line) for line in text.splitlines(True) if line.endswith("\n")]

        with Agent(config) as agent:
            run_workload("many_calls", "calls=1000")
            wait_for(lambda: any(line["probe"] == target and line["count"] for line in lines(file)),
                     what="a summary of the calls")
            for line in lines(file):
                expect_equal(line["schema"], "loris.series/1", "schema")
            moved = folder / "summaries.json.1"
            file.rename(moved)
            run_workload("many_calls", "calls=1000")
            agent.process.send_signal(1)
            wait_for(lambda: file.exists(), what="the file is there again")
            # Rounds without a call may write nothing, so calls go on.
            def new_lines():
                run_workload("many_calls", "calls=10")
                return lines(file)
            wait_for(new_lines, what="summaries in the new file")
            old = len(lines(moved))
            run_workload("many_calls", "calls=10")
            wait_for(lambda: len(lines(file)) > 1 or not run_workload("many_calls", "calls=10"),
                     what="more summaries")
            expect_equal(len(lines(moved)), old, "lines of the file that was moved away")


def status_tells_health_memory_and_ways_to_attach():
    with Agent() as agent:
        agent.attach("syscall:getppid")
        status = agent.status()
        expect_equal(status["health"], "ok", f"health ({status['reasons']})")
        expect(0 < status["memory_used"] <= status["memory_budget"], "memory")
        expect(status["attach_kinds"], "ways to attach")
        expect_equal(sum(owner["bytes"] for owner in status["memory"]), status["memory_used"],
                     "the owners' bytes add up")
        for option in ("--probes", "--memory", "--json"):
            done = loris("--socket", agent.socket_path, "status", option)
            expect_equal(done.returncode, 0, f"status {option} ({done.stderr})")
        expect("health" in json.loads(done.stdout), "status --json is one object")


@limit(60)
def marks_make_exact_intervals():
    target = user("many_calls", "work")
    with Agent() as agent:
        agent.attach(target)
        run_workload("many_calls", "calls=100")
        agent.settled(target, entered=100)
        for calls in (7, 11, 13):
            agent.call("SetMark", by="none")
            run_workload("many_calls", f"calls={calls}")
            agent.settled(target)
            lines = agent.call("Stats", probe=target, by="none", since_mark=True)["series"]
            expect_equal(sum(line["count"] for line in lines), calls, "calls since the mark")
        expect_equal(agent.total(target), 131, "calls since the start")


@limit(90)
def quantiles_agree_with_what_the_program_saw_itself():
    """Spins of 100 us to 10 ms, log-normal; the program's own clock is inside the probe, so the
    measured latency may exceed its figure by what the probe and the call cost."""
    random.seed(7)
    values = sorted(min(10_000_000, max(100_000, int(random.lognormvariate(12.5, 0.7))))
                    for _ in range(8000))
    random.shuffle(values)
    with scratch() as folder:
        (folder / "values").write_text("\n".join(map(str, values)))
        watched = watch("--by", "none", user("spin", "spin_for"),
                        command=("spin", f"input={folder}/values"), timeout=80)
    final, truth = watched.final[0], watched.truth
    expect_equal(final["count"], truth["calls"], "calls")
    for key in ("min_ns", "p50_ns", "p90_ns", "p95_ns", "p99_ns"):
        low = truth[key] * (1 - 0.0055)
        high = (truth[key] + 3000) * (1 + 0.0055) * 1.005  # a preemption moves a rank or two
        expect(low <= final[key] <= high, f"{key}: {final[key]}, the program saw {truth[key]}")
    expect(final["relative_error"] <= 0.0055, "relative_error")

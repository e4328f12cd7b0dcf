# SPDX-License-Identifier: GPL-2.0-or-later
"""Control flow that breaks naive return probes: right counts, no stale frame, healthy targets."""

import subprocess

from support import (Agent, Running, check_ledger, expect, expect_equal, run_workload, user,
                     wait_for)

KERNEL_RETURN_DEPTH = 64  # MAX_URETPROBE_DEPTH: deeper returns of one thread are not seen


def _observed(name, functions, *options, **knobs):
    """Runs a workload under an agent; returns its truth and the settled probe of each function."""
    with Agent() as agent:
        agent.attach(*[user(name, function) for function in functions], **knobs)
        truth = run_workload(name, *options)
        probes = {}
        for function in functions:
            probes[function] = agent.settled(user(name, function))
            probes[function]["count"] = agent.total(user(name, function))
        return truth, probes


def gives_one_latency_to_each_level_of_a_recursion():
    truth, probes = _observed("recursion", ["descend"], "depth=40", "rounds=500")
    check_ledger(probes["descend"]["ledger"], entered=truth["calls"], returned=truth["calls"],
                 abandoned=0, in_flight=0)
    expect_equal(probes["descend"]["count"], 20000, "calls")


def accounts_for_recursion_deeper_than_the_kernel_follows():
    truth, probes = _observed("recursion", ["descend"], "depth=200", "rounds=50")
    expect_equal(truth["calls"], 10000, "the workload itself is well")
    ledger = probes["descend"]["ledger"]
    check_ledger(ledger, entered=10000, in_flight=0)
    expect(ledger["returned"] >= KERNEL_RETURN_DEPTH * 50, f"the outer 64 levels: {ledger}")
    expect_equal(ledger["too_deep"], 10000 - ledger["returned"], f"too deep in {ledger}")


def counts_calls_that_a_longjmp_skipped_as_abandoned():
    truth, probes = _observed("longjmp_out", ["skipped", "work"], "depth=5", "after=10",
                              "rounds=1000")
    check_ledger(probes["skipped"]["ledger"], entered=truth["skipped"], returned=0,
                 abandoned=truth["skipped"], in_flight=0)
    check_ledger(probes["work"]["ledger"], entered=truth["calls"], returned=truth["calls"],
                 abandoned=0, in_flight=0)


def survives_deep_longjmps_again_and_again():
    truth, probes = _observed("longjmp_out", ["skipped", "work"], "depth=60", "after=3",
                              "rounds=300")
    check_ledger(probes["work"]["ledger"], entered=900, returned=900)
    check_ledger(probes["skipped"]["ledger"], entered=18000, returned=0, abandoned=18000)


def lets_cpp_exceptions_pass_through_probed_frames():
    truth, probes = _observed("throws", ["risky", "passes_on"], "calls=9000", "every=3")
    expect_equal((truth["thrown"], truth["returned"]), (3000, 6000), "what the program saw")
    for function in ("risky", "passes_on"):
        check_ledger(probes[function]["ledger"], entered=9000, returned=6000, abandoned=3000,
                     in_flight=0)


def measures_the_parent_of_a_fork_and_leaves_the_child_well():
    truth, probes = _observed("fork_inside", ["forks", "work"], "rounds=200", "child_calls=5")
    expect_equal(truth["children_healthy"], 200, "children that ended as planned")
    check_ledger(probes["forks"]["ledger"], entered=200, returned=200, abandoned=0, in_flight=0)
    check_ledger(probes["work"]["ledger"], entered=1200, returned=1200, abandoned=0, in_flight=0)


def drops_the_calls_of_threads_that_end_inside():
    truth, probes = _observed("thread_exits_inside", ["never_returns", "work"], "threads=400",
                              "before=3")
    expect_equal(truth["joined"], 400, "threads that ended as planned")
    check_ledger(probes["never_returns"]["ledger"], entered=400, returned=0, abandoned=400,
                 in_flight=0)
    check_ledger(probes["work"]["ledger"], entered=1600, returned=1600, abandoned=0)


def drops_the_call_that_an_exec_ended():
    truth, probes = _observed("exec_inside", ["replaces_itself", "work"], "left=20", "calls=10")
    expect_equal(truth["execs"], 20, "the program went through all its lives")
    check_ledger(probes["replaces_itself"]["ledger"], entered=20, returned=0, abandoned=20,
                 in_flight=0)
    check_ledger(probes["work"]["ledger"], entered=210, returned=210, abandoned=0)


def shows_calls_that_are_still_open_with_their_age():
    with Agent() as agent, Running("blocked", "threads=3") as blocked:
        agent.attach(user("blocked", "blocked"))
        blocked.go()
        blocked.line("inside")
        wait_for(lambda: agent.probe(user("blocked", "blocked"))["ledger"]["in_flight"] == 3,
                 what="three calls are in flight")
        calls = wait_for(lambda: [call for call in agent.call("OpenCalls")["calls"]
                                  if call["pid"] == blocked.pid], what="open calls are listed")
        expect_equal(len(calls), 3, "open calls")
        expect(all(0 < call["age_ns"] < 60e9 for call in calls), f"ages: {calls}")
        older = calls[0]["age_ns"]
        wait_for(lambda: [call for call in agent.call("OpenCalls")["calls"]
                          if call["pid"] == blocked.pid and call["age_ns"] > older],
                 what="they grow older")
        blocked.go()
        blocked.line("done")
        probe = agent.settled(user("blocked", "blocked"), entered=3)
        check_ledger(probe["ledger"], entered=3, returned=3, in_flight=0)
        expect_equal(agent.total(user("blocked", "blocked")), 3, "calls after they returned")


def calls_that_are_open_when_the_target_dies_are_abandoned():
    with Agent() as agent, Running("blocked", "threads=4") as blocked:
        agent.attach(user("blocked", "blocked"))
        blocked.go()
        blocked.line("inside")
        blocked.process.kill()
        blocked.process.wait()
        probe = agent.settled(user("blocked", "blocked"), entered=4)
        check_ledger(probe["ledger"], entered=4, returned=0, abandoned=4, in_flight=0)


def a_call_that_began_before_the_attachment_is_left_out():
    with Agent() as agent, Running("blocked", "threads=2") as blocked:
        blocked.go()
        blocked.line("inside")
        agent.attach(user("blocked", "blocked"))
        blocked.go()
        blocked.line("done")
        blocked.finish()
        # A later call shows that the probe works; the two early ones are in no sum.
        run_workload("blocked", "threads=1", "seconds=0")
        probe = agent.settled(user("blocked", "blocked"), entered=1)
        check_ledger(probe["ledger"], entered=1, returned=1, in_flight=0)


def stays_exact_when_the_probe_goes_while_calls_are_open():
    target = user("blocked", "blocked")
    with Agent() as agent, Running("blocked", "threads=3") as blocked:
        agent.attach(target, user("many_calls", "work"))
        blocked.go()
        blocked.line("inside")
        agent.call("Detach", targets=[target])
        blocked.go()
        blocked.line("done")
        expect_equal(blocked.finish()["status"], 0, "exit status of the target")
        run_workload("many_calls", "calls=10")
        agent.settled(user("many_calls", "work"), entered=10)


def calls_of_a_former_probe_are_not_taken_for_those_of_the_next():
    """The id of a detached probe is used again while its calls are still open."""
    for attach in ("uprobe-multi", "uprobe-exits", "uprobe-session"):
        former, following = user("blocked", "blocked"), user("many_calls", "work")
        with Agent() as agent, Running("blocked", "threads=3") as blocked:
            agent.attach(former, attach=attach)
            blocked.go()
            blocked.line("inside")
            agent.call("Detach", targets=[former])
            agent.attach(following, attach=attach)
            run_workload("many_calls", "calls=10")
            blocked.go()
            blocked.line("done")
            blocked.finish()
            probe = agent.settled(following, entered=10)
            check_ledger(probe["ledger"], entered=10, returned=10, abandoned=0, in_flight=0)


def syscalls_of_a_former_probe_are_not_taken_for_those_of_the_next():
    with Agent() as agent:
        agent.attach("syscall:read")
        with Running("many_calls", "calls=5") as waiting:  # its gate waits in a read
            wait_for(lambda: agent.probe("syscall:read")["ledger"]["in_flight"] > 0, 10,
                     "a read is open")
            agent.call("Detach", targets=["syscall:read"])
            agent.attach("syscall:acct")
            waiting.run_to_end()
        check_ledger(agent.settled("syscall:acct")["ledger"], abandoned=0, in_flight=0)


def follows_the_exec_of_another_thread():
    # The thread goes on as the leader: with its id, and out of the call that it was in.
    program = ("import os, threading; threading.Thread(target=os.execv, "
               "args=('/bin/true', ['true'])).start(); threading.Event().wait()")
    with Agent() as agent:
        agent.attach("syscall:execve", filter={"comm": "python3"})
        for _ in range(5):
            subprocess.run(["python3", "-c", program], check=True, timeout=20)
        ledger = agent.settled("syscall:execve", entered=5)["ledger"]
        check_ledger(ledger, abandoned=0, in_flight=0)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Harmless: nothing stays behind, nothing leaks, nothing wakes up without a reason."""

import os
import signal
import subprocess
import time

from support import (ROOT, Agent, Running, Watching, bpf_ids, check_ledger, context_switches,
                     cpu_seconds, descendants, expect, expect_equal, expect_nothing_left, limit,
                     open_files, resident_bytes, run_workload, tries, user, wait_for, watch)


def _attached(agent):
    agent.attach("syscall:getppid", user("many_calls", "work"), "span:run-queue")
    run_workload("many_calls", "calls=1000")


def leaves_nothing_after_sigterm():
    with Agent() as agent:
        _attached(agent)
        expect_equal(agent.stop(signal.SIGTERM), 0, "exit status after SIGTERM")
        expect(not agent.socket_path.exists(), "the socket is still there")


def leaves_nothing_after_ctrl_c():
    with Agent() as agent:
        _attached(agent)
        expect_equal(agent.stop(signal.SIGINT), 0, "exit status after SIGINT")


def leaves_nothing_after_a_crash():
    with Agent() as agent:
        _attached(agent)
        expect_equal(agent.stop(signal.SIGSEGV), -signal.SIGSEGV, "exit status after SIGSEGV")
        run_workload("many_calls", "calls=1000")


def leaves_nothing_after_kill_9():
    with Agent() as agent:
        _attached(agent)
        expect_equal(agent.stop(signal.SIGKILL), -signal.SIGKILL, "exit status after SIGKILL")
        run_workload("many_calls", "calls=1000")


def starts_again_on_the_socket_of_a_killed_agent():
    with Agent() as agent:
        agent.stop(signal.SIGKILL)
        again = subprocess.Popen(agent.process.args, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=agent.errors)
        agent.process, agent.pid = again, again.pid
        agent.wait_ready()
        expect_equal(agent.stop(), 0, "exit status of the second one")


def watch_killed_with_9_takes_its_agent_with_it():
    before = bpf_ids()
    with Watching(user("many_calls", "work")) as watching:
        watching.wait_attached()
        children = descendants(watching.process.pid)
        expect(children, "the watch has a private agent")
        watching.process.kill()
        watching.process.wait()
    wait_for(lambda: not any(os.path.exists(f"/proc/{child}") for child in children),
             what="the private agent ends with its watch")
    expect_nothing_left(before)


@limit(500)
def two_hundred_starts_and_stops_leak_nothing():
    """Attachment cycles inside one agent, then as many whole agents."""
    before = bpf_ids()
    with Agent() as agent:
        target = user("many_calls", "work")

        def cycle():
            agent.attach(target, "syscall:getppid")
            agent.call("Detach", targets=[target, "syscall:getppid"])
        for _ in range(20):
            cycle()  # caches fill
        files, resident = open_files(agent.pid), resident_bytes(agent.pid)
        for _ in range(180):
            cycle()
        expect_equal(open_files(agent.pid), files, "open files after 200 cycles")
        grown = resident_bytes(agent.pid) - resident
        expect(grown < 512 * 1024, f"resident memory grew by {grown} bytes")
        run_workload("many_calls", "calls=100")
        agent.attach(target)
        run_workload("many_calls", "calls=100")
        check_ledger(agent.settled(target, entered=100)["ledger"])
    begin = time.monotonic()
    for _ in range(200):
        with Agent(check_clean=False) as agent:
            agent.attach(target)
    expect_nothing_left(before)
    return f"200 whole starts and stops took {(time.monotonic() - begin) / 200 * 1000:.0f} ms each"


def does_not_wake_up_with_nothing_attached():
    with Agent() as agent:
        def calm():
            switches = context_switches(agent.pid)
            time.sleep(1)
            return context_switches(agent.pid) == switches
        wait_for(calm, 15, "the agent comes to rest")
        switches = context_switches(agent.pid)
        time.sleep(10)  # the period is what is tested
        woken = context_switches(agent.pid) - switches
        expect(woken <= 5, f"{woken} context switches in 10 s")
        return f"{woken} context switches in 10 s"


@tries(3)
@limit(60)
def costs_little_on_an_idle_machine_with_the_default_configuration():
    shipped = next((path for path in (ROOT / "packaging").rglob("loris.yaml")), None)
    config = shipped.read_text() if shipped else "targets:\n  - syscall:*\n  - span:run-queue\n"
    with Agent(config) as agent:
        time.sleep(2)
        begin = cpu_seconds(agent.pid)
        time.sleep(10)  # the period is what is tested
        share = (cpu_seconds(agent.pid) - begin) / 10
        expect(share < 0.005, f"{share:.2%} of a CPU")
        return f"{share:.2%} of a CPU{'' if shipped else ' (no shipped configuration)'}"


def a_target_is_unharmed_when_the_agent_is_killed_inside_its_calls():
    with Agent() as agent, Running("blocked", "threads=4") as blocked:
        agent.attach(user("blocked", "blocked"))
        blocked.go()
        blocked.line("inside")
        agent.stop(signal.SIGKILL)
        blocked.go()
        blocked.line("done")
        expect_equal(blocked.finish()["status"], 0, "exit status of the target")


def refuses_a_second_agent_on_its_socket():
    with Agent() as agent:
        second = subprocess.run(agent.process.args, stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=20)
        expect_equal(second.returncode, 1, f"exit status ({second.stderr})")
        expect(str(agent.socket_path) in second.stderr, f"the path is not named: {second.stderr}")
        expect(len(second.stderr.strip().splitlines()) <= 3, f"one clear line: {second.stderr}")
        agent.status()


def a_watch_leaves_a_running_agent_alone():
    with Agent() as agent:
        agent.attach("syscall:getppid")
        watched = watch("--by", "none", user("many_calls", "work"),
                        command=("many_calls", "calls=100"))
        expect_equal(watched.total(), 100, "calls of the watch")
        expect_equal(list(agent.probes()), ["syscall:getppid"], "probes of the agent")

# SPDX-License-Identifier: GPL-2.0-or-later
"""Filters by process, name and unit: who is counted, over restarts, and how many there may be."""

import contextlib
import os
import pathlib
import subprocess
import threading

from support import (Agent, Running, Skip, VarlinkError, expect, expect_equal, run_workload, user,
                     wait_for)

FILTERS_MAX = 31

SYSCALLS = ("getppid getpgid getsid getpriority sched_getparam sched_getscheduler sched_yield "
            "getrlimit times sysinfo syslog capget personality statfs fstatfs sync umask chroot "
            "acct sethostname setdomainname getitimer setitimer alarm pause utime mknod uselib "
            "ustat sysfs mlock munlock mlockall munlockall vhangup pivot_root settimeofday mount "
            "umount2 swapon").split()


def _cgroup_root():
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        fields, rest = line.split(" - ", 1)
        point = fields.split()[4]
        if rest.startswith("cgroup2 ") and os.access(f"{point}/cgroup.procs", os.W_OK):
            return pathlib.Path(point)
    raise Skip("no unified cgroup hierarchy that we may write to")


class _Unit:
    """A cgroup named like a unit. It is this test's own and is removed at the end."""

    def __init__(self, suffix="service"):
        self.name = f"loris-e2e-{os.getpid()}.{suffix}"
        self.path = _cgroup_root() / self.name

    def start(self):
        self.path.mkdir()

    def stop(self):
        # The kernel lets go of the last process a moment after it was waited for.
        def removed():
            with contextlib.suppress(OSError):
                self.path.rmdir()
            return not self.path.exists()
        wait_for(removed, what=f"{self.path} is empty")

    def run(self, calls):
        """So many calls of work() from within the unit."""
        with Running("many_calls", f"calls={calls}") as running:
            (self.path / "cgroup.procs").write_text(str(running.pid))
            return running.run_to_end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.path.exists():
            self.stop()


def _refusal(agent, target, **filter):
    try:
        reply = agent.call("Attach", targets=[{"target": target}], filter=filter)
    except VarlinkError as error:
        return f"{error.message}; {error.hint}"
    raise AssertionError(f"attached with {filter}: {reply}")


def a_filter_by_unit_follows_a_restart_of_the_unit():
    target = user("many_calls", "work")
    with _Unit() as unit, Agent() as agent:
        unit.start()
        agent.attach(target, filter={"unit": unit.name})
        for start in range(1, 4):
            unit.run(100)
            run_workload("many_calls", "calls=50")  # somebody else
            agent.settled(target, entered=start * 100)
            expect_equal(agent.total(target), start * 100, f"calls after {start} starts")
            unit.stop()
            unit.start()
            wait_for(lambda: agent.stderr().count("has started again") >= start,
                     what="the filter follows the unit")
        expect(agent.probe(target)["ledger"]["filtered"] >= 150, "somebody else was filtered")


def a_filter_by_path_follows_as_well_for_all_who_share_it():
    target, other = user("many_calls", "work"), user("errors", "fails_null")
    with _Unit("slice") as unit, Agent() as agent:
        unit.start()
        agent.attach(target, other, "syscall:getppid", filter={"unit": f"/{unit.name}"})
        unit.stop()
        unit.start()
        wait_for(lambda: "has started again" in agent.stderr(), what="the filter follows")
        expect_equal(agent.stderr().count("has started again"), 1, "filters that were moved")
        unit.run(100)
        agent.settled(target, entered=100)
        expect_equal(agent.total(target), 100, "calls")


def a_configured_target_is_watched_once_its_unit_starts():
    target = user("many_calls", "work")
    with _Unit() as unit:
        config = f"targets:\n  - target: {target}\n    filter:\n      unit: {unit.name}\n"
        with Agent(config) as agent:
            probe = agent.probe(target)
            expect_equal(probe["state"], "refused", "state without the unit")
            expect(unit.name in probe["reason"], f"reason {probe['reason']}")
            unit.start()
            wait_for(lambda: agent.probe(target)["state"] == "attached",
                     what="the target is attached when its unit starts")
            unit.run(100)
            run_workload("many_calls", "calls=50")
            agent.settled(target, entered=100)
            expect_equal(agent.total(target), 100, "calls")


def _follows_life(agent):
    """Whether the agent holds links, which without any probe are those of processes and cgroups."""
    names = []
    for file in os.listdir(f"/proc/{agent.pid}/fd"):
        with contextlib.suppress(OSError):
            names.append(os.readlink(f"/proc/{agent.pid}/fd/{file}"))
    return any(name.startswith(("anon_inode:bpf_link", "anon_inode:bpf-link",
                                "anon_inode:bpf-raw-tracepoint")) for name in names)


def an_agent_follows_cgroups_only_while_a_target_waits_for_its_unit():
    target = user("many_calls", "work")
    with _Unit() as unit, Agent() as agent:
        said = _refusal(agent, target, unit=unit.name)
        expect(unit.name in said, said)
        expect_equal(agent.status()["probes"], [], "probes in the status")
        wait_for(lambda: not _follows_life(agent), what="the agent has nothing to wait for")
        agent.config_path.write_text(
            f"targets:\n  - target: {target}\n    filter:\n      unit: {unit.name}\n")
        agent.process.send_signal(1)
        wait_for(lambda: _follows_life(agent), what="the agent waits for the unit")
        agent.config_path.write_text("")
        agent.process.send_signal(1)
        wait_for(lambda: not _follows_life(agent), what="the target is gone")


def many_targets_share_one_filter():
    targets = [f"syscall:{name}" for name in SYSCALLS]
    with Running("many_calls", "calls=200", "kind=syscall") as running, Agent() as agent:
        agent.attach(*targets, filter={"pids": [running.pid]})
        agent.call("Detach", targets=targets[2:])
        run_workload("many_calls", "calls=300", "kind=syscall")
        running.run_to_end()
        # Nobody reads its parent's pid as often as the workload; the C library may, once.
        agent.settled(targets[0], entered=200)
        expect(200 <= agent.total(targets[0]) < 210, f"{agent.total(targets[0])} calls counted")
        said = _refusal(agent, targets[-1], pids=[running.pid])
        expect("no process" in said, f"a pid of nobody shares a filter: {said}")


def says_when_all_filters_are_in_use_and_takes_one_that_is_free_again():
    targets = [f"syscall:{name}" for name in SYSCALLS]
    with Agent() as agent:
        for at in range(FILTERS_MAX):
            agent.attach(targets[at], filter={"comm": f"nobody-{at}"})
        said = _refusal(agent, targets[FILTERS_MAX], comm="nobody-else")
        expect(f"all {FILTERS_MAX} filters are in use" in said, said)
        agent.attach(targets[FILTERS_MAX], filter={"comm": "nobody-7"})
        agent.call("Detach", targets=[targets[7]])
        said = _refusal(agent, targets[FILTERS_MAX + 1], comm="nobody-else")
        expect("in use" in said, f"a filter that another target has was free: {said}")
        agent.call("Detach", targets=[targets[FILTERS_MAX]])
        agent.attach(targets[FILTERS_MAX + 1], filter={"comm": "nobody-else"})


def refuses_pids_of_threads_and_of_the_dead():
    target = "syscall:getppid"
    stop = threading.Event()
    tids = []
    thread = threading.Thread(target=lambda: (tids.append(threading.get_native_id()), stop.wait()))
    thread.start()
    zombie = subprocess.Popen(["true"])
    try:
        wait_for(lambda: tids, what="the thread runs")
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        with Agent() as agent:
            said = _refusal(agent, target, pids=[tids[0]])
            expect(f"{tids[0]} is a thread of process {os.getpid()}" in said, said)
            expect(f"give {os.getpid()}" in said, said)
            said = _refusal(agent, target, pids=[os.getpid(), zombie.pid])
            expect(f"process {zombie.pid} has ended" in said, said)
            said = _refusal(agent, target, pids=[4194303])
            expect("no process 4194303" in said, said)
            expect_equal(agent.status()["probes_attached"], 0, "probes attached")
            agent.attach(target, filter={"pids": [os.getpid()]})
    finally:
        stop.set()
        thread.join()
        zombie.wait()

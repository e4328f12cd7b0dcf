# SPDX-License-Identifier: GPL-2.0-or-later
"""What a probe costs is not taken for the function's own time.

Known durations, so no test of speed. But the cost moves with the machine's load, and a probe whose
instruction is single-stepped, for 10 us in a virtual machine, costs each process some percent more
or less. So such probes are known to 6 % of their bias, each figure has a few tries, and the figures
are printed.
"""

import contextlib
import subprocess

from support import Agent, expect, limit, open_files, run_workload, user, watch

KINDS = ("uprobe-session", "uprobe-multi", "uprobe", "uprobe-exits")
STARTS = ("push", "nop5", "mov")
DURATIONS = {5000: 2000, 50000: 500, 5000000: 25}  # ns: calls
EMPTY_NS_MAX = 50
SYSCALL_NS_MAX = 100
BIAS_RATIO = 0.06
TRIES = 8


def _slack_ns():
    """By start: what each figure may be wrong by."""
    targets = {start: user("known_spin", f"empty_{start}") for start in STARTS}
    with Agent() as agent:
        agent.attach(*targets.values())
        return {start: max(EMPTY_NS_MAX, BIAS_RATIO * agent.probe(name)["bias_ns"])
                for start, name in targets.items()}


def _measure(kind, start, ns):
    """(p50 of the empty function, p50 of the spin, its truth)."""
    names = {what: user("known_spin", f"{what}_{start}") for what in ("empty", "spin")}
    watched = watch("--by", "none", "--attach", kind, *names.values(),
                    command=("known_spin", f"start={start}", f"ns={ns}", f"calls={DURATIONS[ns]}"))
    p50 = {line["probe"]: line["p50_ns"] for line in watched.final}
    expect(set(p50) == set(names.values()), f"{kind} is not there: {watched.stderr}")
    return p50[names["empty"]], p50[names["spin"]], watched.truth["p50_ns"]


def _check(kind, start, ns, slack_ns, wrong):
    """Tries until both figures have been right; returns a line about it."""
    empty_fits = spin_fits = False
    tried = []
    while len(tried) < TRIES and not (empty_fits and spin_fits):
        empty_ns, spin_ns, truth_ns = _measure(kind, start, ns)
        empty_fits = empty_fits or empty_ns <= slack_ns
        spin_fits = spin_fits or abs(spin_ns - truth_ns) <= max(slack_ns, 0.02 * truth_ns)
        tried.append(f"{spin_ns - truth_ns:+} ({empty_ns})")
    line = f"{kind} {start} {ns} ns: {' '.join(tried)}"
    if not (empty_fits and spin_fits):
        wrong.append(line)
    return line


def _check_all(durations, kinds=KINDS, starts=STARTS):
    wrong, slack_ns = [], _slack_ns()
    lines = [_check(kind, start, ns, slack_ns[start], wrong) for kind in kinds for start in starts
             for ns in durations]
    expect(not wrong, "error of the spin's p50 (p50 of an empty function), in ns:\n"
           + "\n".join(wrong))
    return "error (empty) in ns\n" + "\n".join(lines)


@limit(300)
def measures_5_us_and_nothing_by_every_way_to_attach():
    return _check_all([5000])


@limit(300)
def measures_50_us_and_5_ms_by_every_way_to_attach():
    return _check_all([50000, 5000000], starts=("push", "mov"))


@contextlib.contextmanager
def _busy_neighbour():
    neighbour = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.wait()


@limit(300)
def measures_5_us_beside_a_busy_neighbour():
    with _busy_neighbour():
        return _check_all([5000], kinds=("uprobe-session", "uprobe-exits"), starts=("push", "mov"))


def measures_little_of_a_cheap_syscall():
    # The bias ends where the kernel looks the number up; getppid itself takes some 40 ns more.
    tried = []
    while len(tried) < TRIES and min(tried, default=SYSCALL_NS_MAX + 1) > SYSCALL_NS_MAX:
        watched = watch("--by", "none", "syscall:getppid",
                        command=("many_calls", "kind=syscall", "calls=20000"))
        tried.append(watched.final[0]["p50_ns"])
    expect(tried[-1] <= SYSCALL_NS_MAX, f"p50 of getppid: {tried}")
    return f"p50 of getppid: {tried}"


def prints_the_bias_of_each_probe():
    targets = {start: user("known_spin", f"empty_{start}") for start in STARTS}
    with Agent() as agent:
        agent.attach(*targets.values(), "syscall:getppid")
        bias_ns = {start: agent.probe(name)["bias_ns"] for start, name in targets.items()}
        expect(all(bias_ns.values()), f"a probe without bias: {bias_ns}")
        # Other ways over the instruction cost differently, on any machine.
        expect(bias_ns["push"] != bias_ns["nop5"], f"the same for both: {bias_ns}")
        expect(agent.probe("syscall:getppid")["bias_ns"] > 0, "a system call without bias")
        return f"{bias_ns}"


@limit(120)
def calibrating_again_and_again_holds_on_to_nothing():
    target = user("known_spin", "empty_mov")
    with Agent() as agent:
        def use():
            agent.attach(target)
            run_workload("known_spin", "start=mov", "calls=1", "empty=100")
            agent.settled(target, entered=100)
            agent.call("Detach", targets=[target])
        use()  # the first time, links and the page stay for the next
        before = open_files(agent.pid)
        for _ in range(5):
            use()
        expect(open_files(agent.pid) <= before,
               f"{before} descriptors became {open_files(agent.pid)}")

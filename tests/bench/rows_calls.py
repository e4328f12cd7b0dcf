# SPDX-License-Identifier: GPL-2.0-or-later
"""Rows of what one call costs: user functions, a syscall, malloc and free, all at full speed."""

import contextlib
import pathlib
import shutil
import time

import agents
import entries
import peers
import rounds
from children import Failed, wait_until
from target import PROGRAM, Floor, Target, scratch_folder, wait_probed

STARTS = ("push", "endbr64", "nop5")
BARE = "f"  # the copy that nobody probes

FLOOR = "floor: empty session"
FLOOR_SKIP = "floor: empty session, return skipped"
FLOOR_CLOCK = "floor: session, cookie, clock"
FLOOR_ENTRY = "floor: empty session at the very entry"
FLOOR_MULTI = "floor: empty uprobe.multi pair"
FLOOR_PERF = "floor: empty perf pair"
FLOOR_RAW = "floor: empty raw_tp pair"
FLOOR_RAW_CLOCK = "floor: raw_tp pair, two clock reads"

# Which copy of a function is whose.
FLOORS = {FLOOR: ("2", "session"), FLOOR_SKIP: ("3", "session_skip"),
          FLOOR_CLOCK: ("4", "session_clock"), FLOOR_MULTI: ("5", "multi"),
          FLOOR_PERF: ("6", "perf"), FLOOR_ENTRY: ("b", "session")}
COPIES = {peers.FUNCLATENCY: "7", peers.FUNCLATENCY_BCC: "8", peers.BPFTRACE: "9",
          peers.BPFTRACE_NEW: "a"}
OURS_COPY, SAMPLED_COPY = "0", "1"
SAMPLED, SAMPLED_SHIFT = "1/128", 7

CALLS_MISSED_MAX = 0.01  # a tool that saw fewer calls measured something else


def spec(function):
    return f"user:{PROGRAM}:{function}"


def user(bench):
    """A user function: what each tool adds to a call, for three kinds of first instruction."""
    lines = []
    for case in STARTS:
        bench.say(f"user: {case}")
        with contextlib.ExitStack() as stack:
            lines += _user_case(bench, stack, case)
    return lines


def _user_case(bench, stack, case):
    target = stack.enter_context(Target())
    functions = [f"{case}_{number:x}" for number in range(16)]
    target.note_untouched(*functions)
    attached, refused = {}, []

    def attach(name, copy, start):
        try:
            start(f"{case}_{copy}")
            wait_probed(target, f"{case}_{copy}", running.get(name))
            if name in running and running[name].process.poll() is not None:
                raise Failed(running[name].last_words())
            attached[name] = f"{case}_{copy}"
        except (Failed, peers.Missing) as reason:
            refused.append(entries.refused("user", case, name, reason))

    running = {}
    agent = stack.enter_context(agents.start())
    attach(entries.OURS, OURS_COPY, lambda function: agent.attach(spec(function)))
    attach(entries.OURS_SAMPLED, SAMPLED_COPY,
           lambda function: agent.attach(spec(function), sample=SAMPLED))
    moved = agents.placed(agent.probe(spec(attached[entries.OURS])))

    def start_floor(kind, place):
        def start(function):
            floor = Floor(kind, PROGRAM, [target.offset(function) + place])
            stack.callback(floor.close)
        return start
    for name, (copy, kind) in FLOORS.items():
        if name != FLOOR_ENTRY or moved:
            attach(name, copy, start_floor(kind, 0 if name == FLOOR_ENTRY else moved))

    def start_peer(name):
        def start(function):
            running[name] = peers.ON_FUNCTIONS[name](PROGRAM, function)
            stack.callback(running[name].end)
        return start
    for name in bench.chosen(peers.ON_FUNCTIONS):
        attach(name, COPIES[name], start_peer(name))

    time.sleep(1)  # a tool's second probe comes a moment after its first
    target.calls.clear()
    outcome = rounds.interleave(
        lambda: target.measure(f"call {case}_{BARE}"),
        {name: lambda function=function: target.measure(f"call {function}")
         for name, function in attached.items()},
        bench.rounds, bench.progress, guards=[syscall_guard(target)])
    notes = _check_counts(agent, target, attached, running)
    notes[entries.OURS] = f"at +{moved}; " + _bias_note(agent, attached[entries.OURS])
    return entries.of_outcome("user", case, outcome, notes=notes) + refused


def syscall_guard(target):
    """Probes of user functions return through a system call: somebody else who traces those would
    be measured along."""
    return lambda: target.measure("getppid")


def _check_counts(agent, target, attached, running):
    """Every tool saw the calls that were made; else its figure means nothing."""
    notes = {}
    for name, shift in ((entries.OURS, 0), (entries.OURS_SAMPLED, SAMPLED_SHIFT)):
        probe, made = agent.probe(spec(attached[name])), target.calls[attached[name]]
        seen = probe["ledger"]["entered"] + probe["ledger"].get("waiting", 0)
        if abs(seen - made) > CALLS_MISSED_MAX * made:
            raise Failed(f"the agent saw {seen} of {made} calls of {attached[name]}")
        if probe.get("thin_shift", 0) != shift or probe["sample_shift"]:
            raise Failed(f"{attached[name]} was not measured as it was asked for: {probe}")
    for name, child in running.items():
        if name not in attached:
            continue
        seen = peers.counted(child.end())
        made = target.calls[attached[name]]
        if seen is None:
            notes[name] = "printed no histogram"
        elif seen < (1 - CALLS_MISSED_MAX) * made:
            notes[name] = f"saw {seen / made:.1%} of the calls"
    return notes


def _bias_note(agent, function):
    series = agent.stats(spec(function), by="none")
    bias_ns = agent.probe(spec(function))["bias_ns"]
    return f"p50 of the empty function {series[0]['p50_ns']} ns, bias_ns {bias_ns}"


# --- syscalls ------------------------------------------------------------------------------------

SYSCALL = "syscall:getppid"
SEEN_NS = 100  # what a tool on syscalls adds at the very least
LOOKS = 3


def syscall(bench):
    """getppid: tools that hook syscalls hook all, so each is attached for its turn only."""
    bench.say("syscall")
    lines = []
    with Target() as target, agents.start() as agent:
        turns = {
            entries.OURS: lambda: _turn_ours(target, agent),
            FLOOR_RAW: lambda: _turn_floor(target, "syscall"),
            FLOOR_RAW_CLOCK: lambda: _turn_floor(target, "syscall_clock"),
        }
        bare_ns = target.measure("getppid")
        for name in bench.chosen(peers.ON_SYSCALLS):
            def turn(name=name):
                return _turn_peer(target, peers.ON_SYSCALLS[name], bare_ns)
            try:
                turn()
                turns[name] = turn
            except (Failed, peers.Missing) as reason:
                lines.append(entries.refused("syscall", "getppid", name, reason))
        outcome = rounds.interleave(lambda: target.measure("getppid"), turns, bench.rounds,
                                    bench.progress)
    return entries.of_outcome("syscall", "getppid", outcome) + lines


def _turn_ours(target, agent):
    before = target.calls["getppid"]
    agent.attach(SYSCALL)
    try:
        ns = target.measure("getppid")
        made, entered = target.calls["getppid"] - before, agent.probe(SYSCALL)["ledger"]["entered"]
        if entered < made:
            raise Failed(f"the agent saw {entered} of {made} calls of getppid")
        return ns
    finally:
        agent.call("Detach", targets=[SYSCALL])


def _turn_floor(target, kind):
    floor = Floor(kind)
    try:
        return target.measure("getppid")
    finally:
        floor.close()


def _turn_peer(target, start, bare_ns):
    """Attached once calls have become slower; it says so in no other way."""
    slow_looks = 0
    with start(target.pid) as child:
        def slower():
            nonlocal slow_looks
            if child.process.poll() is not None:
                raise Failed(child.last_words())
            slow = target.run("getppid", 200, 21) > bare_ns + SEEN_NS
            slow_looks = slow_looks + 1 if slow else 0
            return slow_looks >= LOOKS
        wait_until(slower, 20, f"{child.name} slows getppid down")
        time.sleep(0.2)  # the other tracepoint
        target.forget("getppid")
        ns = target.measure("getppid")
        target.forget("getppid")
        return ns


# --- malloc and free -----------------------------------------------------------------------------

HEAP = ("malloc", "free")


def heap(bench):
    """malloc + free of glibc; each contender has a process with its own copy of the library."""
    bench.say("heap")
    lines = []
    with scratch_folder() as folder, contextlib.ExitStack() as stack:
        def own(name):
            place = pathlib.Path(folder) / name
            place.mkdir()
            library = place / "libc.so.6"
            shutil.copy(bench.libc, library)
            return stack.enter_context(Target(place)), library
        bare, _ = own("bare")
        measured = {}

        ours, library = own("loris")
        agent = stack.enter_context(agents.start())
        agent.attach(*[f"user:{library}:{name}" for name in HEAP])
        measured[entries.OURS] = ours
        probes = [agent.probe(f"user:{library}:{name}") for name in HEAP]
        places = [agents.placed(probe) for probe in probes]
        offsets = [probe["offset"] + place for probe, place in zip(probes, places)]
        notes = {entries.OURS: ", ".join(f"{name} at +{place}"
                                         for name, place in zip(HEAP, places))}

        floored, copied = own("floor")
        try:
            stack.callback(Floor("session", copied, offsets).close)
            measured[FLOOR] = floored
        except Failed as reason:
            lines.append(entries.refused("heap", "malloc+free", FLOOR, reason))
        for name in bench.chosen([peers.MEMLEAK]):
            try:
                watched, copied = own("memleak")
                _attach_memleak(stack, watched, copied, measured, name)
            except (Failed, peers.Missing) as reason:
                lines.append(entries.refused("heap", "malloc+free", name, reason))
        outcome = rounds.interleave(
            lambda: bare.measure("heap"),
            {name: lambda target=target: target.measure("heap")
             for name, target in measured.items()}, bench.rounds, bench.progress,
            guards=[syscall_guard(bare)])
        for name in HEAP:
            ledger = agent.probe(f"user:{library}:{name}")["ledger"]
            if ledger["entered"] < ours.calls["heap"]:
                raise Failed(f"the agent saw {ledger['entered']} of {ours.calls['heap']} {name}s")
    return entries.of_outcome("heap", "malloc+free", outcome, "ns added a pair", notes) + lines


def _attach_memleak(stack, watched, library, measured, name):
    before_ns = watched.measure("heap")
    child = peers.memleak(watched.pid, library)
    stack.callback(child.end)

    def slower():
        if child.process.poll() is not None:
            raise Failed(child.last_words())
        return watched.run("heap", 50, 5) > before_ns + 10 * SEEN_NS
    wait_until(slower, 30, "memleak slows malloc down")
    time.sleep(1)  # it attaches to a dozen functions, one after the other
    watched.forget("heap")
    measured[name] = watched

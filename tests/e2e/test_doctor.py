# SPDX-License-Identifier: GPL-2.0-or-later
"""loris doctor against what this machine really does; loris status and its figures."""

import json
import os
import pathlib
import re
import shutil
import subprocess

from support import (LORIS, LORISD, Agent, bpf_ids, bpf_objects, expect, expect_equal,
                     expect_nothing_left, limit, loris, need, run_workload, scratch, user,
                     wait_for)

NOWHERE = ["--socket", "/nowhere/at/all"]
RESULTS = {"ok", "absent", "warning", "fail", "unknown"}


def _checks(done):
    """{name: check} of `loris doctor --json`, every line looked at."""
    found = {}
    for line in done.stdout.splitlines():
        check = json.loads(line)
        expect_equal(list(check)[:4], ["schema", "time", "check", "result"], "the first keys")
        expect_equal(check["schema"], "loris.check/1", "schema")
        expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", check["time"]), check)
        expect(check["result"] in RESULTS and check["found"], check)
        expect(check["check"] not in found, f"{check['check']} twice")
        found[check["check"]] = check
    expect(len(found) > 40, f"{len(found)} checks ({done.stderr})")
    return found


def _doctor(*options, status=0):
    done = loris(*(options or NOWHERE), "doctor", "--json")
    checks = _checks(done)
    expect_equal(done.returncode, status, f"exit status, with {_troubles(checks)}")
    return checks


def _troubles(checks):
    return {name: check["found"] for name, check in checks.items()
            if check["result"] in ("fail", "unknown")}


def _attaches(kind, target):
    done = loris("watch", "--json", "-d", "50ms", "--budget", "none", "--attach", kind, target)
    return done.returncode == 0


@limit(90)
def says_of_each_way_to_attach_what_attaching_does():
    checks = _doctor()
    work = user("many_calls", "work")
    targets = {"uprobe-session": work, "uprobe-multi": work, "uprobe": work, "uprobe-exits": work,
               "fentry": "kernel:vfs_read", "kprobe": "kernel:vfs_read",
               "kprobe-multi": "kernel:vfs_read", "kprobe-session": "kernel:vfs_read"}
    taken = {kind: _attaches(kind, target) for kind, target in targets.items()}
    said = {kind: checks[f"attach.{kind}"]["result"] == "ok" for kind in targets}
    expect_equal(said, taken, "what doctor says is taken")
    spans = all(_attaches("auto", f"span:{name}")
                for name in ("block-io", "run-queue", "softirq", "irq"))
    expect_equal(checks["attach.spans"]["result"] == "ok", spans, "spans")
    expect_equal(checks["attach.syscalls"]["result"] == "ok",
                 _attaches("auto", "syscall:getppid"), "system calls")
    kernel = any(taken[kind] for kind in targets if targets[kind].startswith("kernel:"))
    expect_equal(checks["attach.kernel-functions"]["result"], "ok" if kernel else "warning",
                 "kernel functions")
    return f"taken: {', '.join(kind for kind in taken if taken[kind])}"


def agrees_with_the_files_of_this_machine():
    checks = _doctor()
    expect(os.uname().release in checks["kernel.version"]["found"], checks["kernel.version"])
    expect_equal(checks["kernel.types"]["result"] == "ok",
                 os.path.exists("/sys/kernel/btf/vmlinux"), "types")
    clock = pathlib.Path("/sys/devices/system/clocksource/clocksource0/current_clocksource")
    expect(clock.read_text().strip() in checks["kernel.clock"]["found"], checks["kernel.clock"])
    unified = " - cgroup2 " in pathlib.Path("/proc/self/mountinfo").read_text()
    expect_equal(checks["host.cgroups"]["result"] == "ok", unified, "cgroups")
    effective = int(re.search(r"CapEff:\s*(\w+)",
                              pathlib.Path("/proc/self/status").read_text()).group(1), 16)
    for name, bit in (("sys-ptrace", 19), ("sys-admin", 21), ("syslog", 34), ("bpf", 39)):
        expect_equal(checks[f"rights.{name}"]["found"].startswith("held"),
                     bool(effective >> bit & 1), f"CAP {name}")
    costs = re.findall(r"([\d.]+) (ns|us)", checks["attach.cost"]["found"])
    emulated, stepped = [float(number) * (1000 if unit == "us" else 1) for number, unit in costs]
    expect(100 < emulated < stepped < 1e6, f"costs {checks['attach.cost']}")


def _programs_since(before):
    return {prog.get("name") for prog in bpf_objects("prog") if prog["id"] not in before["prog"]}


def leaves_nothing_attached():
    before = bpf_ids()
    _doctor()
    expect_nothing_left(before)
    with Agent() as agent:
        agent.attach("syscall:getppid")
        wait_for(lambda: "on_each_open" in _programs_since(agent.before),
                 what="the agent has loaded what its first answers need")
        inside = bpf_ids()
        _doctor("--socket", agent.socket_path)
        expect_nothing_left(inside)
        expect_equal(agent.probe("syscall:getppid")["state"], "attached", "its own probe")


def a_running_agent_tells_of_its_targets_and_goes_on():
    target = user("many_calls", "work")
    with Agent("targets:\n  - target: user:/nowhere/at/all:f\n  - target: syscall:getppid\n") as agent:
        agent.attach(target)
        checks = _doctor("--socket", agent.socket_path, status=1)
        expect_equal(checks["agent.answers"]["result"], "ok", "agent.answers")
        expect_equal(checks["agent.socket"]["result"], "ok", "agent.socket")
        expect_equal(checks["agent.targets"]["result"], "fail", "agent.targets")
        expect("1 of 3" in checks["agent.targets"]["found"], checks["agent.targets"])
        # It has given up what it does not need.
        expect_equal(checks["host.tracers"]["result"], "unknown", "what others run")
        expect("nor needed" in checks["rights.sys-admin"]["found"], checks["rights.sys-admin"])
        run_workload("many_calls", "calls=1000")
        agent.settled(target, entered=1000)
        expect_equal(agent.total(target), 1000, "calls after the checks")
        agent.config_path.write_text("targts: []\n")
        checks = _doctor("--socket", agent.socket_path, status=1)
        expect_equal(checks["agent.configuration"]["result"], "fail", "a broken file")
        expect("loris.yaml:1:1" in checks["agent.configuration"]["found"], "its place")


def _as_nobody(folder, *arguments):
    for binary in (LORIS, LORISD):
        shutil.copy(binary, folder)
    folder.chmod(0o755)
    return subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           str(folder / "loris"), *map(str, arguments)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


def an_ordinary_user_learns_what_shows_without_root():
    need("setpriv")
    with scratch() as folder:
        done = _as_nobody(folder, *NOWHERE, "doctor", "--json")
        checks = _checks(done)
        expect_equal(done.returncode, 4, f"exit status ({done.stderr}) with {_troubles(checks)}")
        for name in ("attach.programs", "attach.uprobe", "rights.bpf", "host.tracers"):
            expect_equal(checks[name]["result"], "unknown", name)
        for name in ("kernel.version", "kernel.types"):
            expect_equal(checks[name]["result"], "ok", name)
        done = _as_nobody(folder, *NOWHERE, "doctor")
        expect("shows as root only" in done.stdout.splitlines()[-1], done.stdout[-200:])


def a_member_of_the_group_gets_the_agents_answer():
    need("setpriv")
    with Agent() as agent, scratch() as folder:
        agent.folder.chmod(0o755)
        os.chown(agent.socket_path, 0, 65534)  # as the group loris would have it
        done = _as_nobody(folder, "--socket", agent.socket_path, "doctor", "--json")
        checks = _checks(done)
        expect_equal(done.returncode, 0, f"exit status with {_troubles(checks)}")
        expect_equal(checks["attach.programs"]["result"], "ok", "attach.programs")
        expect_equal(checks["agent.answers"]["result"], "ok", "agent.answers")
        os.chown(agent.socket_path, 0, 0)
        done = _as_nobody(folder, "--socket", agent.socket_path, "doctor", "--json")
        expect_equal(done.returncode, 4, "exit status of one who may not ask")
        expect_equal(_checks(done)["agent.answers"]["result"], "warning", "agent.answers")


def _on_terminal(columns, *arguments):
    """Its lines, as a terminal so wide gets them."""
    command = " ".join(map(str, [f"stty cols {columns};", "NO_COLOR=1", LORIS, *arguments]))
    done = subprocess.run(["script", "-qec", command, "/dev/null"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30)
    return done.stdout.replace("\r", "").splitlines()


def lines_fit_the_terminal():
    need("script")
    lines = _on_terminal(80, *NOWHERE, "doctor")
    expect(len(lines) > 50, f"{len(lines)} lines")
    wide = [line for line in lines if len(line) > 80]
    expect_equal(wide, [], "lines that are too wide")
    expect("checks:" in lines[-1] and "loris can work here" in lines[-1], lines[-1])


# --- status --------------------------------------------------------------------------------------


def status_tells_peaks_limits_and_hits():
    target = user("many_calls", "work")
    with Agent() as agent:
        agent.attach(target)
        run_workload("many_calls", "calls=5000")
        agent.settled(target, entered=5000)
        status = agent.status()
        expect_equal(sum(owner["bytes"] for owner in status["memory"]), status["memory_used"],
                     "the owners' bytes")
        expect(status["memory_used"] <= status["memory_peak"], "peak")
        for owner in status["memory"]:
            expect(owner["bytes"] <= owner["peak"], f"peak of {owner}")
        caches = {cache["name"]: cache for cache in status["caches"]}
        expect_equal(set(caches), {"series", "processes", "units", "names"}, "caches")
        series = caches["series"]
        expect(series["hits"] >= 4900 and series["misses"] >= 1, f"look-ups of series {series}")
        for cache in caches.values():
            expect(cache.get("limit", 0) + cache.get("limit_bytes", 0) > 0, f"limit of {cache}")
            expect(cache["bytes"] > 0, f"bytes of {cache}")
        expect(caches["names"]["hits"] > 0 and caches["units"]["hits"] > 0, caches)
        drain = status["drain"]
        expect(abs(drain["records_per_drain"] - drain["records"] / drain["drains"])
               <= 0.01 * drain["records_per_drain"] + 0.01, f"drain {drain}")


def status_says_what_to_do_about_what_is_wrong():
    with Agent("targets:\n  - target: user:/nowhere/at/all:f\n"
               "  - target: user:/nowhere/else:f\n    optional: true\n") as agent:
        status = agent.status()
        expect_equal(status["health"], "degraded", "health")
        expect_equal(len(status["reasons"]), 1, f"reasons {status['reasons']}")
        expect_equal(len(status["remedies"]), 1, "remedies")
        done = loris("--socket", agent.socket_path, "status")
        expect_equal(done.returncode, 1, "exit status")
        lines = done.stdout.splitlines()
        expect_equal(lines[0], "degraded", "the first word")
        expect("/nowhere/at/all" in lines[1] and lines[2].startswith("    hint: "), lines[:3])
        expect_equal(done.stdout.count("/nowhere/at/all:f"), 1, "times that it is told")
        expect("refused   user:/nowhere/else:f" in done.stdout, "the optional one")


def status_shows_where_probes_are_on_wide_and_narrow_terminals():
    need("script")
    target = user("many_calls", "work")
    with Agent() as agent:
        agent.attach(target)
        probe = agent.probe(target)
        place = f"{os.path.basename(probe['object'])}+{probe['offset']:#x}"
        done = loris("--socket", agent.socket_path, "status", "--probes")
        expect(place in done.stdout, f"{place} in {done.stdout}")
        for columns in (80, 120):
            lines = _on_terminal(columns, "--socket", agent.socket_path, "status", "--probes")
            table = lines[lines.index("") + 1:]
            expect(table[0].startswith("PROBE") and len(table) == 2, table)
            for line in table:
                expect(len(line) <= columns, f"{len(line)} columns: {line}")
            expect("STATE" in table[0] and "RETURNED" in table[0], table[0])


def a_budget_of_several_cpus_is_taken_everywhere():
    with Agent(budget="250%") as agent:
        expect_equal(agent.status()["overhead"]["budget"], 2.5, "budget")
    done = loris("watch", "-d", "50ms", "--budget", "250%", "syscall:getppid")
    expect_equal(done.returncode, 0, f"watch ({done.stderr})")
    for arguments in (["watch", "-d", "50ms", "--budget", "200000%", "syscall:getppid"],):
        expect(loris(*arguments).returncode != 0, "more CPUs than any machine has")


def lists_predict_costs_and_warn_of_kernels_that_take_none():
    done = loris("list", "--json", "--placement", user("prologues", "p_*"))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    rows = [row for row in rows if "placement" in row]
    cheap = [row["cost_ns"] for row in rows if row["placement"]["emulated"]]
    dear = [row["cost_ns"] for row in rows if not row["placement"]["emulated"]]
    expect(cheap and dear and max(cheap) < min(dear), f"costs {cheap} and {dear}")
    kernel = _doctor()["attach.kernel-functions"]["result"] == "ok"
    done = loris("list", "kernel:vfs_read")
    expect_equal(done.returncode, 0, f"list ({done.stderr})")
    expect_equal("takes neither fentry nor kprobes" in done.stderr, not kernel, done.stderr)


def ways_to_attach_are_all_named_in_the_hint():
    done = loris("watch", "--attach", "wish", "-d", "50ms", "syscall:getppid")
    for kind in ("uprobe-session", "fentry", "raw-tracepoint", "tracepoints"):
        expect(re.search(rf"\b{kind}\b", done.stderr), f"{kind} in {done.stderr}")

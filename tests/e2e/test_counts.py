# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts are exact: every call of every kind of target, once."""

import json
import re
import subprocess

from support import (ROOT, Agent, Running, Skip, Watching, check_ledger, expect, expect_equal,
                     limit, loris, need, run_workload, scratch, user, wait_for, watch, workload)

SERIES_KEYS = {"schema", "time", "window_s", "probe", "count", "rate_per_s", "errors",
               "concurrency", "relative_error", "lost", "estimated"}


@limit(90)
def counts_a_million_calls_of_four_threads():
    watched = watch("--by", "none", user("many_calls", "work"),
                    command=("many_calls", "calls=1000000", "threads=4"), timeout=80)
    expect_equal(len(watched.final), 1, "final lines with --by none")
    expect_equal(watched.total(), 1000000, "calls counted")
    expect_equal(watched.truth["calls"], 1000000, "calls made")
    expect_equal(watched.final[0]["lost"], 0, "lost")


@limit(90)
def counts_a_million_syscalls_of_four_threads():
    watched = watch("--by", "none", "syscall:getppid",
                    command=("many_calls", "kind=syscall", "calls=1000000", "threads=4"),
                    timeout=80)
    expect_equal(watched.total("syscall:getppid"), 1000000, "calls counted")


@limit(120)
def closes_the_ledger_of_a_million_calls():
    with Agent() as agent:
        agent.attach(user("many_calls", "work"), "syscall:getppid")
        run_workload("many_calls", "calls=1000000", "threads=4")
        run_workload("many_calls", "calls=1000000", "threads=4", "kind=syscall")
        probe = agent.settled(user("many_calls", "work"), entered=1000000)
        check_ledger(probe["ledger"], entered=1000000, returned=1000000, abandoned=0,
                     in_flight=0, in_series=1000000)
        # Others on this machine may ask for their parent, too.
        probe = agent.settled("syscall:getppid", entered=1000000)
        check_ledger(probe["ledger"], abandoned=0)
        by_name = {line["group"].get("comm"): line["count"]
                   for line in agent.stats("syscall:getppid", by="process")}
        # The total is exact; a name may come a moment after the first calls.
        expect(sum(by_name.values()) >= 1000000, f"syscalls of all in {by_name}")
        expect(999000 <= by_name.get("many_calls", 0) <= 1000000, f"syscalls by name: {by_name}")


@limit(120)
def counts_the_same_by_every_way_to_attach():
    notes = []
    for kind in ("uprobe-session", "uprobe-exits", "uprobe-multi", "uprobe"):
        watched = watch("--by", "none", "--attach", kind, user("many_calls", "work"),
                        command=("many_calls", "calls=20000", "threads=4"), expect_status=None)
        if watched.status != 0 and "attach" in watched.stderr:
            notes.append(f"{kind}: {watched.stderr.strip().splitlines()[0]}")
            continue
        expect_equal(watched.total(), 20000, f"calls counted by {kind}")
        notes.append(f"{kind}: exact")
    expect(any("exact" in note for note in notes), f"nothing could be attached: {notes}")
    return "\n".join(notes)


@limit(90)
def counts_two_thousand_functions_of_one_glob():
    watched = watch("--by", "none", user("many_functions", "fn_*"),
                    command=("many_functions", "rounds=5"), timeout=80)
    counts = {line["probe"].rsplit(":", 1)[1]: line["count"] for line in watched.final}
    for number in range(2000):
        name = f"fn_{number:04d}"
        expect_equal(counts.get(name), 5 * (number % 7 + 1), f"calls of {name}")
    expect_equal(watched.total(), watched.truth["calls"], "calls in all")


def counts_errors_by_each_rule():
    rules = {"fails_negative": "negative", "fails_negative_int": "negative-int",
             "fails_null": "zero", "fails_nonzero": "nonzero"}
    with Agent() as agent:
        for function, rule in rules.items():
            agent.attach(user("errors", function), errors=rule)
        truth = run_workload("errors", "calls=10000", "every=7")
        for function in rules:
            agent.settled(user("errors", function), entered=10000)
            series = agent.stats(user("errors", function))
            expect_equal(series[0]["count"], 10000, f"calls of {function}")
            expect_equal(series[0]["errors"], truth["errors"], f"errors of {function}")
            ratio = truth["errors"] / 10000
            expect(abs(series[0]["error_ratio"] - ratio) < 1e-4, f"error_ratio of {function}")


def counts_failed_syscalls():
    watched = watch("--by", "none", "syscall:openat", command=["cat", "/nowhere/at/all"],
                    expect_status=None)
    expect(watched.total("syscall:openat", "errors") >= 1, f"no failed openat: {watched.final}")


def pairs_static_marks():
    target = f"usdt:{workload('sdt_marks')}:loris_test:op_begin..op_end"
    watched = watch("--by", "none", target, command=("sdt_marks", "calls=10000"))
    expect_equal(watched.total(), 10000, "operations")
    nested = watch("--by", "none", target, command=("sdt_marks", "calls=3000", "nested=3"))
    expect_equal(nested.total(), 12000, "nested operations")


def totals_name_a_target_that_nobody_called():
    called = user("many_calls", "work")
    watched = watch("--by", "none", called, "syscall:acct", command=("many_calls", "calls=7"))
    counts = {line["probe"]: line["count"] for line in watched.final}
    expect_equal(counts, {called: 7, "syscall:acct": 0}, "totals")
    none = [line for line in watched.final if line["count"] == 0][0]
    expect("p50_ns" not in none, f"no percentile of nothing: {none}")


def prints_the_documented_fields_and_a_line_each_interval():
    watched = watch("--by", "process", "-i", "1s", user("spin", "spin_for"),
                    command=["sh", "-c", f"yes 20000 | head -n 150000 | {workload('spin')}"])
    expect(len(watched.lines) > len(watched.final) >= 1, "interval lines and final ones")
    for line in watched.lines:
        missing = SERIES_KEYS - set(line)
        expect(not missing, f"{missing} missing in {line}")
        expect_equal(line["schema"], "loris.series/1", "schema")
        expect(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["time"]), line["time"])
    final = watched.final[0]
    expect_equal(final["count"], 150000, "calls")
    expect_equal(final["group"]["comm"], "spin", "who called")
    expect(final["group"].get("pid") or final["group"]["kind"] == "name", f"{final['group']}")
    order = [final[key] for key in ("min_ns", "p50_ns", "p90_ns", "p95_ns", "p99_ns", "p999_ns",
                                    "max_ns")]
    expect_equal(order, sorted(order), "min <= p50 <= ... <= max")
    # the bias is that of a median call, and calls differ with what else the machine does
    expect(final["min_ns"] >= 20000 * 0.98, f"a call took less than 20 us: {final}")
    intervals = sum(line["count"] for line in watched.lines if not line.get("final"))
    expect(intervals <= 150000, f"the intervals hold {intervals} calls of 150000")


def ends_with_the_command_and_reports_its_status():
    watched = watch("--by", "none", user("many_calls", "work"),
                    command=("many_calls", "calls=1000", "status=3"), expect_status=None)
    expect_equal(watched.total(), 1000, "calls before the command failed")
    expect("3" in watched.stderr and "status" in watched.stderr,
           f"the exit status is not in the message: {watched.stderr}")


def sees_the_first_instruction_of_the_command():
    # main is called exactly once, before anything could be attached from outside.
    watched = watch("--by", "none", user("many_calls", "main"), command=("many_calls", "calls=1"))
    expect_equal(watched.total(), 1, "calls of main")


def watches_only_the_process_that_was_asked_for():
    with Running("many_calls", "calls=5000") as wanted, Running("many_calls") as other:
        with Watching("--by", "none", "-p", wanted.pid, user("many_calls", "work")) as watching:
            watching.wait_attached()
            other.run_to_end()
            wanted.run_to_end()
            watched = watching.stop()
    expect_equal(watched.total(), 5000, "calls of the one process")


def follows_children_of_the_command():
    script = f"{workload('many_calls')} calls=100; {workload('many_calls')} calls=200"
    watched = watch("--by", "none", user("many_calls", "work"), command=["sh", "-c", script])
    expect_equal(watched.total(), 300, "calls of both children")


def covers_processes_that_start_later():
    with Watching("--by", "process", user("many_calls", "work")) as watching:
        watching.wait_attached()
        for calls in (10, 20, 30):
            run_workload("many_calls", f"calls={calls}")
        watched = watching.stop()
    expect_equal(watched.total(), 60, "calls of three later processes")


def finds_objects_by_soname_and_by_pid():
    # free() of libc: the count is whatever it is, both ways must agree with the whole path.
    with Running("many_calls", "calls=777") as running:
        with Agent() as agent:
            agent.attach("user:libc.so.6:pthread_create")
            agent.attach(f"user:pid:{running.pid}:work")
            running.run_to_end()
            names = [probe for probe in agent.probes() if probe.endswith(":work")]
            expect_equal(len(names), 1, f"probes of work in {list(agent.probes())}")
            agent.settled(names[0], entered=777)
            expect_equal(agent.total(names[0]), 777, "calls by pid")
            created = agent.settled("user:libc.so.6:pthread_create", entered=4)
            expect(created["ledger"]["entered"] >= 4, "threads created")


def groups_by_process_unit_and_none_with_the_same_sum():
    with Agent() as agent:
        agent.attach(user("many_calls", "work"))
        for calls in (100, 200, 400):
            run_workload("many_calls", f"calls={calls}")
        name = user("many_calls", "work")
        agent.settled(name, entered=700)
        for by in ("process", "unit", "none"):
            expect_equal(agent.total(name, by=by), 700, f"sum by {by}")


def detaches_at_run_time_and_leaves_the_others():
    target = user("many_calls", "work")
    with Agent() as agent:
        agent.attach(target, user("errors", "fails_null"))
        run_workload("many_calls", "calls=100")
        agent.settled(target, entered=100)
        expect(agent.call("Detach", targets=[target])["detached"] >= 1, "something was detached")
        run_workload("many_calls", "calls=50")
        run_workload("errors", "calls=10")
        agent.settled(user("errors", "fails_null"), entered=10)
        expect_equal(agent.total(user("errors", "fails_null")), 10, "calls of the other")
        left = [line for line in agent.stats(target) if line["count"] > 100]
        expect(not left, f"calls were counted after the detachment: {left}")


@limit(90)
def attaches_a_library_again_when_it_is_replaced():
    need("gcc")
    source = str(ROOT / "tests/e2e/workloads/library/plugin.c")
    with scratch() as folder:
        library = folder / "libplugin.so"

        def build(*defines):
            # A new inode, as a package manager makes it.
            subprocess.run(["gcc", "-O1", "-fPIC", "-shared", *defines, source, "-o",
                            str(library) + ".new"], check=True)
            (folder / "libplugin.so.new").rename(library)

        build()
        with Agent() as agent:
            agent.attach(f"user:{library}:plugin_work")
            host = subprocess.Popen([workload("plugin_host")], stdin=subprocess.PIPE,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

            def tell(line, answer):
                host.stdin.write(line + "\n")
                host.stdin.flush()
                expect_equal(host.stdout.readline().strip(), answer, f"answer to {line}")

            def calls():
                return agent.total(f"user:{library}:plugin_work*")

            expect_equal(host.stdout.readline().strip(), "ready", "the host")
            tell(f"open {library}", "opened")
            tell("call 100", "called")
            wait_for(lambda: calls() == 100, what="100 calls of the first library")
            tell("close", "closed")
            build("-DPLUGIN_SECOND")
            tell(f"open {library}", "opened")
            made = 100

            def sees_new_calls():
                nonlocal made
                tell("call 10", "called")
                made += 10
                return calls() > 100
            wait_for(sees_new_calls, 20, "calls of the new library are seen")
            before, seen = made, calls()
            tell("call 50", "called")
            wait_for(lambda: calls() - seen >= 50, what="50 calls of the new library")
            expect(calls() <= before + 50, "no call is counted twice")
            host.communicate("end\n", timeout=10)


def keeps_names_of_clones_under_the_function():
    # A function whose only symbol is a clone is found by its plain name.
    need("gcc")
    with scratch() as folder:
        source = folder / "clone.c"
        source.write_text("""
#include <stdlib.h>
__attribute__((noinline)) static long part(long a, long b) {
    for (long i = 0; i < b; i++) __asm__ volatile("" : "+r"(a)); return a; }
int main(int argc, char **argv) {
    long n = atol(argv[1]), sum = 0; (void)argc;
    for (long i = 0; i < n; i++) sum += part(i, 3);
    return sum == -1; }
""")
        subprocess.run(["gcc", "-O2", "-g", str(source), "-o", str(folder / "clone")], check=True)
        names = subprocess.run(["nm", str(folder / "clone")], capture_output=True, text=True)
        if not re.search(r"part\.(constprop|isra)", names.stdout):
            raise Skip("this compiler made no clone")
        watched = watch("--by", "none", f"user:{folder}/clone:part",
                        command=[str(folder / "clone"), "500"])
        expect_equal(watched.total(), 500, "calls of the clone")


def lists_what_could_be_watched():
    listed = loris("list", "--json", user("many_calls", "wor*"))
    expect_equal(listed.returncode, 0, f"exit status ({listed.stderr})")
    found = [json.loads(line) for line in listed.stdout.splitlines()]
    expect(any(item.get("target", "").endswith(":work") for item in found), f"{listed.stdout}")
    listed = loris("list", "--json", "syscall:getppid")
    expect("syscall:getppid" in listed.stdout, listed.stdout)
    for pattern in ("span:*", f"usdt:{workload('sdt_marks')}:*"):
        listed = loris("list", "--json", pattern)
        expect(listed.returncode == 0 and listed.stdout.strip(), f"{pattern}: {listed.stderr}")

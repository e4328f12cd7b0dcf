# SPDX-License-Identifier: GPL-2.0-or-later
"""Allocators: every number of a known workload, and real programs' own word for it."""

import contextlib
import json
import os
import pathlib
import re
import resource
import shutil
import subprocess

from own_library import LIBRARIES, own_library, through
from support import (Agent, Skip, VarlinkError, expect, expect_equal, loris, scratch,
                     wait_for, workload)


def _heap_rows(agent, **question):
    return agent.call("Heap", **question)["rows"]


def _row_of(agent, pid):
    rows = _heap_rows(agent, pid=pid)
    expect(len(rows) <= 1, f"{len(rows)} rows of one process")
    return rows[0] if rows else {}


def _ledger_of(agent):
    """The only target's, once nothing is in flight."""
    def at_rest():
        [target] = agent.call("Heap")["targets"]
        return target["ledger"] if target["ledger"]["in_flight"] == 0 else None
    return wait_for(at_rest, what="no allocation is in flight")


def _refusal(agent, target, filter=None, **knobs):
    more = {"filter": filter} if filter else {}
    try:
        agent.call("Attach", targets=[{"target": target, **knobs}], **more)
    except VarlinkError as error:
        return str(error)
    raise AssertionError(f"{target} was attached")


def _identities_hold(row):
    functions = row["functions"]
    frees = sum(functions.get(name, {"calls": 0})["calls"] for name in ("free", "delete"))
    succeeded = row["calls"] - row["failures"] - row["freed_by_realloc"]
    expect_equal(frees + row["freed_by_realloc"],
                 row["frees"] + row["frees_older"] + row["frees_null"], "where every free went")
    expect_equal(row["live_count"], succeeded - row["resized"] - row["untracked"] - row["frees"]
                 - row["vanished"], "blocks that live")


def _gained(before, after, key):
    return after[key] - before.get(key, 0)


def _functions_gained(before, after):
    """{name: (calls, failures)}"""
    old = before.get("functions", {})
    changed = {}
    for name, now in after["functions"].items():
        was = old.get(name, {"calls": 0, "failures": 0})
        change = (now["calls"] - was["calls"], now.get("failures", 0) - was.get("failures", 0))
        if change != (0, 0):
            changed[name] = change
    return changed


def _difference(library, *options, agent=None, name="heap"):
    """What the workload did between its gates: the rows before and after."""
    with contextlib.ExitStack() as stack:
        if agent is None:
            agent = stack.enter_context(Agent()).wait_ready()
            agent.attach(f"heap:{library}")
        running = stack.enter_context(through(library, name, *options))
        before = _row_of(agent, running.pid)
        running.go()
        running.line("done")
        after = _row_of(agent, running.pid)
        truth = running.finish()
        _identities_hold(after)
        return before, after, truth


def counts_every_allocation_its_bytes_and_what_is_left_of_them():
    with own_library("libc.so.6") as library:
        before, after, truth = _difference(library, "n=1000")
    expect_equal(_functions_gained(before, after),
                 {"malloc": (1000, 0), "free": (500, 0)}, "calls")
    expect_equal(_gained(before, after, "bytes"), 500500, "bytes asked for")
    expect_equal(_gained(before, after, "live_count"), 500, "blocks that live")
    expect_equal(_gained(before, after, "live_bytes"), 250500, "bytes that live")
    expect_equal(_gained(before, after, "frees_older"), 0, "frees of older blocks")
    expect_equal((after["size_min"], after["size_max"]), (1, 8000), "least and greatest size")
    expect(not after["estimated"], "exact")
    # glibc's own word: a header of 8 bytes for each block, rounded up to 16, at least 32.
    live = after["live_bytes"]
    expect(live <= truth["in_use"] <= live + 24 * after["live_count"] + 2 * 4096 + 8192,
           f"{live} bytes live, mallinfo2 says {truth['in_use']}")
    return f"{live} bytes live, mallinfo2 says {truth['in_use']}"


def knows_each_function_and_each_way_to_fail():
    with own_library("libc.so.6") as library:
        before, after, _ = _difference(library, "mode=all", "n=1")
    expect_equal(_functions_gained(before, after), {
        "malloc": (5, 1),
        "calloc": (2, 1),
        "realloc": (14, 1),        # 11 that grow, one fails, of NULL, to 0
        "reallocarray": (2, 1),
        "posix_memalign": (2, 1),
        "aligned_alloc": (2, 0),   # memalign is the same function
        "valloc": (1, 0),
        "pvalloc": (1, 0),
        "free": (11, 0),
    }, "calls and failures")
    expect_equal(_gained(before, after, "live_count"), 0, "blocks that live")
    expect_equal(_gained(before, after, "live_bytes"), 0, "bytes that live")
    expect_equal(_gained(before, after, "resized"), 12, "blocks that realloc changed")
    expect_equal(_gained(before, after, "freed_by_realloc"), 1, "realloc(block, 0)")
    expect_equal(_gained(before, after, "frees_null"), 1, "free(NULL)")
    expect_equal(_gained(before, after, "frees_older"), 0, "frees of older blocks")
    grown = sum(100 * 2 ** i for i in range(11))
    sizes = (100 + 200 + 50 + grown + 300 + 400 + 8 + 500 + 640 + 1280 + 2560 + 5000 + 6000)
    expect_equal(_gained(before, after, "bytes"), sizes, "bytes of what succeeded")


def counts_frees_of_blocks_that_it_never_saw_apart():
    with own_library("libc.so.6") as library, through(library, "heap", "mode=older",
                                                      "n=700") as running:
        with Agent().wait_ready() as agent:
            agent.attach(f"heap:{library}")
            running.go()
            running.line("done")
            row = _row_of(agent, running.pid)
            expect_equal(row["frees_older"], 700, "frees of older blocks")
            expect_equal((row["live_bytes"], row["live_count"], row["frees"]), (0, 0, 0),
                         "what lives, and was freed")
            _identities_hold(row)
            running.finish()


def a_block_may_be_freed_by_another_thread():
    with own_library("libc.so.6") as library:
        before, after, _ = _difference(library, "mode=thread", "n=400")
    # The C library's own: a thread's tables.
    own_count = _gained(before, after, "live_count")
    expect(0 <= own_count <= 3, f"{own_count} blocks live")
    expect(_gained(before, after, "frees") >= 401, f"{_gained(before, after, 'frees')} frees")


def two_threads_at_once_lose_nothing():
    with own_library("libc.so.6") as library, Agent() as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        before, after, _ = _difference(library, "mode=hammer", "n=100000", "older=1", "threads=4",
                                    agent=agent)
        ledger = _ledger_of(agent)
        mallocs = _functions_gained(before, after)["malloc"][0]
        expect(400000 <= mallocs <= 400016, f"{mallocs} calls of malloc")
        expect_equal(ledger["entered"], ledger["returned"], "calls entered and returned")
        expect_equal((ledger["rowless"], ledger["too_deep"], ledger["no_storage"]), (0, 0, 0),
                     "calls that found no room")
        expect(_gained(before, after, "frees") >= 400000, "frees")
        expect(_gained(before, after, "live_count") <= 16, "blocks that live")


def a_child_that_frees_its_parents_blocks_takes_nothing_from_either():
    with own_library("libc.so.6") as library, Agent() as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        before, after, _ = _difference(library, "mode=fork", "n=300", agent=agent)
        expect_equal(_gained(before, after, "live_count"), 0, "the parent's blocks")
        expect_equal(_gained(before, after, "frees_older"), 0, "the parent's frees of older blocks")
        rows = _heap_rows(agent, by="none")
        expect_equal(rows[0]["frees_older"], 300, "the child's frees of its parent's blocks")


def an_exec_takes_its_blocks_and_keeps_its_counts():
    with own_library("libc.so.6") as library, Agent() as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        with through(library, "heap", "mode=exec", "n=500") as running:
            before = _row_of(agent, running.pid)
            running.go()
            running.line("ready")  # of the new program: n is 1,000
            after = _row_of(agent, running.pid)
            _identities_hold(after)
            expect_equal(before["live_count"], 501, "blocks before the exec")
            expect_equal(after["live_count"], 1001, "blocks after the exec")
            expect_equal(_gained(before, after, "vanished"), 501, "blocks that went with the exec")
            running.go()
            running.line("done")


def what_ended_processes_counted_stays_and_what_they_held_goes():
    with own_library("libc.so.6") as library, Agent() as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        for _ in range(3):
            _difference(library, "n=100", agent=agent)
        rows = _heap_rows(agent, by="none")
        expect_equal(len(rows), 1, "rows of everybody")
        expect(rows[0]["functions"]["malloc"]["calls"] >= 3 * 200, "calls of the dead")
        expect_equal((rows[0]["live_count"], rows[0]["live_bytes"]), (0, 0), "what the dead hold")
        expect_equal(rows[0]["size_max"], 4096, "the greatest size")
        expect_equal([row.get("group", {}).get("pid") for row in _heap_rows(agent)], [None],
                     "whose rows there are")
        _identities_hold(rows[0])


def blocks_of_ended_processes_leave_the_table():
    """It holds some 50,000: six processes that leave 30,000 each fit only when it is tidied."""
    with own_library("libc.so.6") as library, Agent() as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        for _ in range(6):
            def fits():
                with through(library, "heap", "mode=none", "n=30000") as running:
                    row = _row_of(agent, running.pid)
                    running.go()
                    running.line("done")
                    return row["untracked"] == 0
            wait_for(fits, what="there is room for 30,000 blocks")


def says_how_many_blocks_found_no_room():
    with own_library("libc.so.6") as library, Agent("memory_budget: 24MiB\n") as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        before, after, _ = _difference(library, "mode=none", "n=60000", agent=agent)
        expect(before["untracked"] > 0, "some found no room")
        expect_equal(before["live_count"] + before["untracked"], 60001, "blocks with and without")
        expect(before["estimated"], "it says so")
        status = agent.status(probes=False)
        expect(status["memory_used"] <= status["memory_budget"],
               f"{status['memory_used']} bytes of {status['memory_budget']}")


def calls_of_processes_without_a_row_are_in_the_ledger():
    with own_library("libc.so.6") as library, Agent("memory_budget: 24MiB\n") as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        with through(library, "heap", "mode=crowd", "n=800", "older=1") as running:
            running.go()
            running.line("done")
            ledger = _ledger_of(agent)
            [row] = _heap_rows(agent, by="none")
            calls = sum(function["calls"] for function in row["functions"].values())
            expect(ledger["rowless"] > 0, f"some found no room: {ledger}")
            expect_equal(ledger["returned"] + ledger["released"], calls + ledger["rowless"],
                         "every call is in a row or found none")
            expect(calls + ledger["rowless"] >= 800 * 5, "calls")
            _identities_hold(row)
    return f"{ledger['rowless']} calls found no row"


def new_and_delete_in_all_their_forms():
    with own_library("libstdc++.so.6") as library:
        before, after, _ = _difference(library, "n=50", "failures=20", "leaks=7", name="heap_cxx")
    calls = 50 * 6 + 20 * 3 + 7
    expect_equal(after["functions"], {"new": {"calls": calls, "failures": 40},
                                      "delete": {"calls": 50 * 6 + 20}}, "calls")
    expect_equal((after["live_count"], after["live_bytes"]), (7, 7000), "what lives")
    expect_equal(after["bytes"], 50 * 280 + 20 * 8 + 7000, "bytes asked for")
    expect_equal((after["frees"], after["frees_older"]), (50 * 6 + 20, 0), "frees")


def a_return_probe_on_new_changes_no_number():
    with own_library("libstdc++.so.6") as cxx, Agent() as agent:
        libc = pathlib.Path(shutil.copy(LIBRARIES / "libc.so.6", cxx.parent))
        agent.wait_ready()
        agent.attach(f"heap:{cxx}", force=True)
        agent.attach(f"heap:{libc}")
        with through(cxx, "heap_cxx", "n=30", "leaks=5") as running:
            running.go()
            running.line("done")
            [row] = _heap_rows(agent, pid=running.pid, object=str(cxx))
            expect_equal(row["functions"]["new"], {"calls": 30 * 6 + 5, "failures": 0}, "new")
            expect_equal((row["live_count"], row["live_bytes"]), (5, 5000), "what lives")
            expect_equal(row["frees_older"], 0, "frees of older blocks")
            _identities_hold(row)


def new_within_malloc_counts_once_for_each_target():
    with own_library("libstdc++.so.6") as cxx, Agent() as agent:
        libc = pathlib.Path(shutil.copy(LIBRARIES / "libc.so.6", cxx.parent))
        agent.wait_ready()
        agent.attach(f"heap:{cxx}", f"heap:{libc}")
        with through(cxx, "heap_cxx", "n=30", "leaks=5") as running:
            running.go()
            running.line("done")
            rows = {row["target"]: row for row in _heap_rows(agent, pid=running.pid)}
            of_new, of_malloc = rows[f"heap:{cxx}"], rows[f"heap:{libc}"]
            expect_equal(of_new["calls"], 30 * 6 + 5, "calls of new")
            expect_equal(of_new["live_bytes"], 5000, "bytes of new that live")
            expect(of_malloc["calls"] >= of_new["calls"], "each is a malloc as well")
            for row in rows.values():
                _identities_hold(row)


def a_process_is_all_the_allocators_that_it_has():
    with own_library("libstdc++.so.6") as cxx, Agent() as agent:
        libc = shutil.copy(LIBRARIES / "libc.so.6", cxx.parent)
        with through(cxx, "heap_cxx", "n=40", "leaks=5") as running:
            agent.wait_ready()
            agent.attach(f"heap:pid:{running.pid}")
            running.go()
            running.line("done")
            row = _row_of(agent, running.pid)
            expect_equal(row["functions"]["new"]["calls"], 40 * 6 + 5, f"calls of new ({libc})")
            # 245 of new's would be malloc's as well; the dynamic linker has some of its own.
            own = row["functions"].get("malloc", {"calls": 0})["calls"]
            expect(own <= 4, f"{own} calls of malloc")
            expect(5 <= row["live_count"] <= 5 + own, f"{row['live_count']} blocks live")
            expect_equal(row["frees_older"], 0, "frees of older blocks")
            _identities_hold(row)


def single_probes_do_the_same_where_there_are_no_multi_links():
    with own_library("libc.so.6") as library, \
            Agent(f"targets:\n  - {{target: 'heap:{library}', attach: uprobe}}\n") as agent:
        agent.wait_ready()
        expect_equal(agent.call("Heap")["targets"][0]["attach"], "uprobe", "how it is attached")
        before, after, _ = _difference(library, "n=200", agent=agent)
        expect_equal(_functions_gained(before, after)["malloc"], (200, 0), "calls")
        expect_equal(_gained(before, after, "live_count"), 100, "blocks that live")


def a_filter_lets_only_its_processes_count():
    with own_library("libc.so.6") as library, Agent() as agent:
        agent.wait_ready()
        with through(library, "heap", "n=100") as wanted, through(library, "heap",
                                                                   "n=100") as other:
            agent.attach(f"heap:{library}", filter={"pids": [wanted.pid]})
            for running in (wanted, other):
                running.go()
                running.line("done")
            expect_equal([row["group"]["pid"] for row in _heap_rows(agent)], [wanted.pid],
                         "whose rows there are")


def detaching_leaves_nothing_and_attaching_again_begins_anew():
    with own_library("libc.so.6") as library, Agent() as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        _difference(library, "n=100", agent=agent)
        expect_equal(agent.call("Detach", targets=[f"heap:{library}"])["detached"], 1, "detached")
        expect_equal(agent.call("Heap")["targets"], [], "targets")
        agent.attach(f"heap:{library}")
        expect_equal(_heap_rows(agent), [], "rows of the new target")
        before, after, _ = _difference(library, "n=100", agent=agent)
        expect_equal(_gained(before, after, "live_count"), 50, "blocks that live")


def comes_and_goes_under_load_and_harms_nobody():
    """Exceptions pass, calls are open whenever the probes go, and no number is of another time."""
    with own_library("libstdc++.so.6") as cxx, Agent() as agent:
        libc = pathlib.Path(shutil.copy(LIBRARIES / "libc.so.6", cxx.parent))
        targets = [f"heap:{cxx}", f"heap:{libc}"]
        agent.wait_ready()
        with through(cxx, "heap_cxx", "n=20000", "failures=20000") as throws, \
                through(libc, "heap", "mode=hammer", "n=300000", "older=1") as hammers:
            throws.go()
            hammers.go()
            for _ in range(6):
                agent.attach(*targets)
                for target in agent.call("Heap")["targets"]:
                    ledger = target["ledger"]
                    expect(ledger["in_flight"] <= 4, f"threads in flight: {ledger}")
                    expect_equal(ledger["abandoned"], 0, "calls without an end")
                agent.call("Detach", targets=targets)
            for running in (throws, hammers):
                running.line("done")
                expect_equal(running.finish()["status"], 0, "exit status")


def follows_a_library_that_is_replaced():
    with own_library("libc.so.6") as library, Agent() as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        with through(library, "heap", "n=10") as on_the_old:
            fresh = library.with_name("fresh")
            shutil.copy(library, fresh)
            os.rename(fresh, library)
            wait_for(lambda: "its file has changed" in agent.stderr(), what="the agent notices")
            before, after, _ = _difference(library, "n=100", agent=agent)
            expect_equal(_gained(before, after, "live_count"), 50, "blocks of the new one")
            on_the_old.go()
            on_the_old.line("done")
            expect_equal(_row_of(agent, on_the_old.pid)["functions"]["malloc"]["calls"], 20,
                         "calls of the old one")


def lets_go_of_a_library_that_is_written_to():
    with own_library("libc.so.6") as library, Agent() as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        code = library.read_bytes()
        library.write_bytes(b"no library")
        wait_for(lambda: "cannot be watched" in agent.stderr(), what="the agent lets go")
        expect_equal(agent.call("Heap")["targets"][0].get("attach"), None, "how it is attached")
        library.write_bytes(code)
        wait_for(lambda: agent.call("Heap")["targets"][0].get("attach"), what="it is there again")
        before, after, _ = _difference(library, "n=100", agent=agent)
        expect_equal(_gained(before, after, "live_count"), 50, "blocks of the new one")


def a_new_library_that_is_written_to_leaves_the_old_one_watched():
    with own_library("libc.so.6") as library, Agent() as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        with through(library, "heap", "n=10") as on_the_old:
            code = library.read_bytes()
            fresh = library.with_name("fresh")
            shutil.copy(library, fresh)
            os.rename(fresh, library)
            wait_for(lambda: "its file has changed;" in agent.stderr(), what="the agent notices")
            library.write_bytes(b"no library")
            wait_for(lambda: "cannot be watched" in agent.stderr(), what="the agent lets go")
            library.write_bytes(code)
            wait_for(lambda: agent.call("Heap")["targets"][0].get("attach"),
                     what="it is there again")
            on_the_old.go()
            on_the_old.line("done")
            expect_equal(_row_of(agent, on_the_old.pid)["functions"]["malloc"]["calls"], 20,
                         "calls of the old one")


def says_what_cannot_be_watched():
    with Agent() as agent:
        agent.wait_ready()
        for target, words in (("heap:/no/such/file", "No such file"),
                              (f"heap:{workload('spin')}", "no function that allocates"),
                              ("kmem:slub", "slab or pages")):
            expect(words in _refusal(agent, target), f"{target}: {_refusal(agent, target)}")


def says_what_allocators_have_no_use_for():
    with Agent() as agent:
        agent.wait_ready()
        expect("by itself" in _refusal(agent, "heap:libc.so.6", errors="zero"), "errors")
        expect("takes no filter" in _refusal(agent, "kmem:pages", filter={"comm": "x"}), "filter")
        listed = loris("list", "heap:libc.so.6")
        expect_equal(listed.returncode, 1, "exit status of list")
        expect("is a target as it stands" in listed.stderr, listed.stderr)


def loris_heap_prints_what_the_agent_counts():
    with own_library("libc.so.6") as library, Agent(f"targets:\n  - heap:{library}\n") as agent:
        agent.wait_ready()
        with through(library, "heap", "n=1000") as running:
            running.go()
            running.line("done")
            socket = ("--socket", agent.socket_path)
            table = loris("heap", *socket)
            expect_equal(table.returncode, 0, f"exit status ({table.stderr})")
            expect(re.search(rf"\[{running.pid}\] +276 KiB +1,501 ", table.stdout), table.stdout)
            line = json.loads(loris("heap", "--json", "libc*", *socket).stdout or "null")
            expect(line is None, "no object has that name")
            line = json.loads(loris("heap", "--json", *socket).stdout.splitlines()[0])
            expect_equal((line["schema"], line["group"]["pid"]), ("loris.heap/1", running.pid),
                         "whose line it is")
    refused = loris("watch", "heap:libc.so.6")
    expect_equal(refused.returncode, 2, "exit status of watch")
    expect("loris heap" in refused.stderr, refused.stderr)


# --- real programs -------------------------------------------------------------------------------


def python_holds_what_its_allocator_says():
    """mallinfo2 counts headers and rounding as well; both before and after a known load."""
    program = """
import ctypes, sys
libc = ctypes.CDLL("libc.so.6")
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]
libc.mallinfo2.restype = Info
def in_use():
    info = libc.mallinfo2()
    return info.uordblks + info.hblkhd
for load in (0, 1):
    held = [bytes(10000 + i) for i in range(2000 * load)]
    print(in_use(), flush=True)
    sys.stdin.readline()
"""
    with own_library("libc.so.6") as library, Agent() as agent:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        process = subprocess.Popen(
            ["/usr/bin/python3", "-S", "-c", program], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, "LD_LIBRARY_PATH": str(library.parent), "PYTHONMALLOC": "malloc"})
        try:
            seen = []
            for _ in range(2):
                in_use = int(process.stdout.readline())
                row = _row_of(agent, process.pid)
                _identities_hold(row)
                expect(not row["estimated"], f"exact: {row}")
                seen.append((in_use, row["live_bytes"], row["live_count"]))
                process.stdin.write("\n")
                process.stdin.flush()
        finally:
            process.kill()
            process.wait()
    for in_use, live, count in seen:
        # Each block has 8 bytes of header and is rounded up to 16, at least 32; freed ones that
        # the threads' caches keep count as in use there.
        expect(live <= in_use <= live + 24 * count + 300000,
               f"mallinfo2 says {in_use}, loris {live} bytes in {count} blocks")
    grown = [after - before for before, after in zip(seen[0], seen[1])]
    expect(abs(grown[0] - grown[1]) <= 24 * grown[2] + 100000, f"grown by {grown}")
    return f"in use {seen[1][0]}, live {seen[1][1]} in {seen[1][2]} blocks"


def redis_holds_what_it_says():
    server = shutil.which("redis-server")
    if not server or not shutil.which("redis-benchmark"):
        raise Skip("redis is not installed")
    needed = subprocess.run(["ldd", server], capture_output=True, text=True).stdout
    name = "libjemalloc.so.2" if "libjemalloc" in needed else "libc.so.6"
    with own_library(name) as library, Agent("memory_budget: 128MiB\n") as agent, scratch() as home:
        agent.wait_ready()
        agent.attach(f"heap:{library}")
        socket = home / "redis.sock"
        process = subprocess.Popen(
            [server, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(home),
             "--activedefrag", "no"], stdout=subprocess.DEVNULL,
            env={**os.environ, "LD_LIBRARY_PATH": str(library.parent)})
        try:
            wait_for(socket.exists, what="redis listens")
            load = subprocess.run(["redis-benchmark", "-s", str(socket), "-t", "set,lpush", "-n",
                                   "20000", "-r", "5000", "-d", "200", "-q"], capture_output=True,
                                  timeout=50)
            expect_equal(load.returncode, 0, "redis-benchmark's exit status")
            said = subprocess.run(["redis-cli", "-s", str(socket), "info", "memory"],
                                  capture_output=True, text=True, timeout=20).stdout
            used = int(re.search(r"^used_memory:(\d+)", said, re.M).group(1))
            row = _row_of(agent, process.pid)
            _identities_hold(row)
            expect(not row["estimated"], "every block was followed")
            # used_memory counts the sizes of jemalloc's classes, at most a quarter more.
            expect(0.75 * used <= row["live_bytes"] <= 1.1 * used,
                   f"redis says {used}, loris {row['live_bytes']}")
            return (f"{name}: redis says {used} bytes, loris {row['live_bytes']} in "
                    f"{row['live_count']} blocks after {row['calls']} calls")
        finally:
            process.terminate()
            process.wait()


# --- the kernel ----------------------------------------------------------------------------------


def _kmem(agent, kind, name):
    key = "name" if kind == "slab" else "order"
    for row in agent.call("Kmem")["rows"]:
        if row["kind"] == kind and row.get(key) == name:
            return row
    return {"calls": 0, "frees": 0, "live_count": 0, "live_bytes": 0}


def open_files_are_objects_of_their_cache():
    with Agent() as agent:
        agent.wait_ready()
        agent.attach("kmem:slab")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
        before = _kmem(agent, "slab", "filp")
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(4000)]
        held = _kmem(agent, "slab", "filp")
        grown = held["live_count"] - before["live_count"]
        for file in files:
            os.close(file)

        def gone():
            now = _kmem(agent, "slab", "filp")
            return now["live_count"] - held["live_count"] <= -3800
        expect(3900 <= grown <= 4500, f"4,000 open files are {grown} objects")
        expect_equal(held["live_bytes"], held["live_count"] * held["object_bytes"], "their bytes")
        wait_for(gone, what="closed files leave their cache")
        return f"4,000 open files: {grown} objects"


def pages_are_counted_by_order():
    """Touched memory comes page by page; huge pages are forbidden."""
    with Agent() as agent:
        agent.wait_ready()
        agent.attach("kmem:pages")
        before = _kmem(agent, "pages", 0)
        touch = ("import ctypes, mmap\n"
                 "m = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
                 "m.madvise(mmap.MADV_NOHUGEPAGE)\n"
                 "for at in range(0, len(m), 4096): m[at] = 1\n"
                 "print('touched', flush=True)\n"
                 "input()\n")
        process = subprocess.Popen(["/usr/bin/python3", "-c", touch], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        try:
            expect_equal(process.stdout.readline().strip(), "touched", "what it says")
            held = _kmem(agent, "pages", 0)
            calls = held["calls"] - before["calls"]
            expect(calls >= 16384, f"{calls} pages for 16,384 that were touched")
            expect_equal(held["bytes"], held["calls"] * 4096, "their bytes")
        finally:
            process.kill()
            process.wait()
        wait_for(lambda: _kmem(agent, "pages", 0)["frees"] - held["frees"] >= 16384,
                 what="its pages are freed")
        return f"{calls} pages for 16,384 that were touched"


def the_kernels_memory_takes_no_filter_and_can_be_detached():
    with Agent() as agent:
        agent.wait_ready()
        refusal = _refusal(agent, "kmem:slab", filter={"pids": [os.getpid()]})
        expect("takes no filter" in refusal, refusal)
        agent.attach("kmem:slab", "kmem:pages")
        expect(agent.call("Kmem", limit=3)["truncated"] > 0, "a limit is one")
        shown = loris("heap", "--kernel", "--limit", "5", "--socket", agent.socket_path)
        expect_equal(len(shown.stdout.splitlines()), 7, f"lines: {shown.stdout}")
        expect_equal(agent.call("Detach", targets=["kmem:slab", "kmem:pages"])["detached"], 2,
                     "detached")
        expect_equal(agent.call("Kmem")["rows"], [], "rows")

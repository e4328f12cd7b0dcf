# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad input gets one clear line and changes nothing."""

import contextlib
import os
import re
import shutil
import subprocess
import time

from support import (LORIS, LORISD, Agent, Client, VarlinkError, bpf_ids, cpu_seconds, expect,
                     expect_equal, expect_nothing_left, limit, loris, need, resident_bytes,
                     run_workload, scratch, user, wait_for, workload)

MESSAGE_LINES_MAX = 3  # what, and perhaps a hint


def _refused(arguments, status, *parts, **options):
    """loris ARGUMENTS fails with this status, says each part, briefly, and leaves nothing."""
    before = bpf_ids()
    done = loris(*arguments, timeout=30, **options)
    what = f"loris {' '.join(map(str, arguments))}"
    expect_equal(done.returncode, status, f"exit status of {what} ({done.stderr.strip()})")
    for part in parts:
        expect(re.search(part, done.stderr), f"{what} does not say {part!r}: {done.stderr!r}")
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    expect(1 <= len(lines) <= MESSAGE_LINES_MAX, f"{what} says {len(lines)} lines: {lines}")
    expect(not done.stdout.strip(), f"{what} prints data: {done.stdout[:200]}")
    expect_nothing_left(before, 5)
    return done


def refuses_an_unknown_kind_of_target():
    _refused(["watch", "-d", "1s", "wibble:vfs_read"], 1, "wibble")


def asks_for_a_target_and_knows_its_options():
    before = bpf_ids()
    for arguments, part in ((["watch"], "TARGET"), (["watch", "--wibble", "syscall:openat"],
                                                    "wibble"), (["wibble"], "wibble"),
                            (["watch", "-d", "abc", "syscall:openat"], "abc"),
                            (["watch", "-d", "10x", "syscall:openat"], "10x"),
                            (["watch", "-i", "0s", "syscall:openat"], "0s"),
                            (["watch", "-p", "0", "syscall:openat"], "0"),
                            (["watch", "-p", "abc", "syscall:openat"], "abc"),
                            (["watch", "--by", "wibble", "syscall:openat"], "wibble"),
                            (["watch", "--attach", "wibble", "syscall:openat"], "wibble")):
        done = loris(*arguments, timeout=20)
        # Words for ways to attach are the agent's business.
        wanted = (1, 2) if "--attach" in arguments else (2,)
        expect(done.returncode in wanted,
               f"exit status {done.returncode} of loris {arguments} ({done.stderr})")
        expect(part in done.stderr, f"loris {arguments} does not say {part}: {done.stderr}")
    expect_nothing_left(before, 5)


def a_bare_word_gets_the_likely_kind():
    done = loris("watch", "-d", "1s", "openat")
    expect(done.returncode in (1, 2), f"exit status {done.returncode}")
    expect("syscall:openat" in done.stderr, f"no likely kind: {done.stderr}")


def names_the_nearest_function_of_an_object():
    _refused(["watch", "-d", "1s", user("many_calls", "wrok")], 1, "wrok", r"\bwork\b")


def names_the_nearest_syscall():
    _refused(["watch", "-d", "1s", "syscall:opneat"], 1, "opneat", r"\bopenat\b")


def names_the_nearest_span():
    _refused(["watch", "-d", "1s", "span:run-quue"], 1, "run-quue", r"run-queue")


def names_the_nearest_mark():
    target = f"usdt:{workload('sdt_marks')}:loris_test:op_begn..op_end"
    _refused(["watch", "-d", "1s", target], 1, "op_begn", r"op_begin")


def says_when_an_object_does_not_exist():
    _refused(["watch", "-d", "1s", "user:/nowhere/at/all:work"], 1, "/nowhere/at/all")
    _refused(["watch", "-d", "1s", "user:libwibble.so.9:work"], 1, "libwibble.so.9")


def says_when_an_object_is_no_executable():
    _refused(["watch", "-d", "1s", "user:/etc/passwd:work"], 1, "/etc/passwd", "(?i)ELF")
    _refused(["watch", "-d", "1s", "user:/etc:work"], 1, "/etc")


def says_when_a_binary_is_stripped():
    need("strip")
    with scratch() as folder:
        stripped = folder / "stripped"
        shutil.copy(workload("many_calls"), stripped)
        subprocess.run(["strip", str(stripped)], check=True)
        _refused(["watch", "-d", "1s", f"user:{stripped}:work"], 1, "stripped|no symbol")


def says_when_a_process_does_not_exist():
    _refused(["watch", "-d", "1s", "user:pid:4194303:work"], 1, "4194303")


def says_what_kernel_functions_this_kernel_refuses():
    done = loris("watch", "-d", "1s", "--by", "none", "kernel:vfs_read", timeout=30)
    if done.returncode == 0:
        return "this kernel lets us attach to kernel functions"
    expect_equal(done.returncode, 1, f"exit status ({done.stderr})")
    expect("vfs_read" in done.stderr, done.stderr)
    return f"said: {done.stderr.strip().splitlines()[0]}"


def refuses_when_the_command_cannot_be_run():
    _refused(["watch", user("many_calls", "work"), "--", "/nowhere/at/all"], 1, "/nowhere/at/all")


def says_that_root_is_needed():
    need("setpriv")
    with scratch() as folder:
        # The tree may lie where nobody else can look.
        for binary in (LORIS, LORISD):
            shutil.copy(binary, folder)
        folder.chmod(0o755)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                               str(folder / "loris"), "watch", "-d", "1s", "syscall:openat"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
        expect_equal(done.returncode, 4, f"exit status ({done.stderr})")
        expect(re.search("root|permi|CAP_", done.stderr), done.stderr)


def says_that_no_agent_is_reachable():
    for command in (["stats"], ["status"]):
        done = loris("--socket", "/nowhere/at/all", *command)
        expect_equal(done.returncode, 3, f"exit status of {command} ({done.stderr})")
        expect("/nowhere/at/all" in done.stderr, done.stderr)


def refuses_a_socket_path_that_is_too_long():
    path = "/tmp/" + "x" * 120
    with scratch() as folder:
        (folder / "loris.yaml").write_text("")
        done = subprocess.run([LORISD, "--config", str(folder / "loris.yaml"), "--socket", path],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    expect(done.returncode in (1, 2), f"exit status {done.returncode}")
    expect(re.search("107|long", done.stderr), done.stderr)
    done = loris("--socket", path, "status")
    expect(done.returncode in (2, 3), f"exit status {done.returncode}")


BAD_CONFIGURATIONS = [
    ("a tab", "targets:\n\t- syscall:openat\n", r":2:\d+"),
    ("not YAML", "targets: [syscall:openat\n", r":\d+:\d+"),
    ("an unknown key", "memory_budgett: 64MiB\n", r":1:1.*memory_budgett"),
    ("a duplicate key", "interval: 10s\ninterval: 20s\n", r":2:1.*interval"),
    ("an unknown nested key", "rings:\n  latencyy: 64KiB\n", r":2:3.*latencyy"),
    ("too small a number", "memory_budget: 1KiB\n", r":1:16"),
    ("too large a number", "probes_max: 99999999\n", r":1:13"),
    ("a negative number", "probes_max: -1\n", r":1:13"),
    ("an unknown unit", "interval: 10parsecs\n", r":1:11.*10parsecs"),
    ("a wrong kind of value", "rings: 64KiB\n", r":1:8"),
    ("a list for a number", "memory_budget: [1, 2]\n", r":1:16"),
    ("an anchor", "interval: &x 10s\n", r":1:\d+"),
    ("a wrong target", "targets:\n  - wibble:vfs_read\n", r":2:5.*wibble"),
    ("a wrong attach kind", "targets:\n  - target: syscall:openat\n    attach: wibble\n",
     r":3:13.*wibble"),
    ("two documents", "interval: 10s\n---\ninterval: 20s\n", r":2:\d+"),
    ("control characters", "socket: \"/tmp/\\u0001\"\n", r":1:\d+"),
    ("not UTF-8", b"socket: \xff\xfe\n", r":\d+"),
]


def refuses_bad_configurations_with_file_line_and_column():
    with scratch() as folder:
        path = folder / "bad.yaml"
        for what, text, pattern in BAD_CONFIGURATIONS:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
            for command in ([LORISD, "--config", str(path), "--socket", str(folder / "s")],
                            [LORIS, "check-config", str(path)]):
                done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                      text=True, timeout=20)
                said = f"{os.path.basename(command[0])} on {what}"
                expect_equal(done.returncode, 6 if command[0] == LORISD else 1,
                             f"exit status of {said} ({done.stderr})")
                expect(re.search(re.escape(str(path)) + pattern, done.stderr),
                       f"{said} does not say {pattern}: {done.stderr!r}")


def says_when_the_configuration_cannot_be_read():
    done = subprocess.run([LORISD, "--config", "/nowhere/at/all.yaml"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20)
    expect_equal(done.returncode, 6, "exit status")
    expect("/nowhere/at/all.yaml" in done.stderr, done.stderr)


def a_bad_file_on_reload_changes_nothing():
    target = user("many_calls", "work")
    with Agent(f"targets:\n  - {target}\n") as agent:
        run_workload("many_calls", "calls=100")
        agent.settled(target, entered=100)
        agent.config_path.write_text("targets:\n  - wibble:nothing\n")
        agent.process.send_signal(1)
        wait_for(lambda: "wibble" in agent.stderr(), what="the bad file is reported")
        run_workload("many_calls", "calls=100")
        agent.settled(target, entered=200)
        expect_equal(agent.total(target), 200, "calls before and after the bad file")


def a_reload_whose_summaries_cannot_be_opened_changes_nothing():
    target, other = user("many_calls", "work"), user("errors", "fails_null")
    with scratch() as folder:
        config = f"interval: 1s\nsummaries:\n  file: {folder}/%s\ntargets:\n  - %s\n"
        with Agent(config % ("first", target)) as agent:
            agent.config_path.write_text(config % ("nowhere/second", other))
            agent.process.send_signal(1)
            wait_for(lambda: "changes nothing" in agent.stderr(), what="the reload is refused")
            line = [said for said in agent.stderr().splitlines() if "changes nothing" in said][0]
            expect(f"{folder}/nowhere/second" in line, line)
            expect(other not in agent.probes(), "a target of the refused configuration")
            run_workload("many_calls", "calls=100")
            agent.settled(target, entered=100)
            size = (folder / "first").stat().st_size
            wait_for(lambda: (folder / "first").stat().st_size > size,
                     what="summaries are still written where they were")
            # And a folder later, the same file is fine.
            (folder / "nowhere").mkdir()
            agent.process.send_signal(1)
            wait_for(lambda: other in agent.probes(), what="the second reload is taken")
            expect((folder / "nowhere/second").exists(), "the new summaries file")
            open_paths = [os.readlink(f"/proc/{agent.pid}/fd/{fd}")
                          for fd in os.listdir(f"/proc/{agent.pid}/fd")]
            expect(str(folder / "first") not in open_paths, "the old file is closed")
            expect(str(folder / "nowhere/second") in open_paths, "the new file is open")


def a_reload_names_what_needs_a_restart():
    with Agent("memory_budget: 32MiB\n") as agent:
        agent.process.send_signal(1)
        wait_for(lambda: "read again" in agent.stderr(), what="the reload is done")
        expect("restart" not in agent.stderr(), f"nothing has changed: {agent.stderr()}")
        agent.config_path.write_text(
            "memory_budget: 64MiB\nwindow:\n  slices: 3\n  length: 5s\nprobes_max: 100\n"
            "rings:\n  latency: 64KiB\n  rare: 64KiB\ndrain:\n  min: 20ms\n  max: 500ms\n"
            "processes_max: 5000\nidle_ttl: 1h\nsocket_group: none\ninterval: 5s\n"
            "targets:\n  - syscall:getppid\n")
        agent.process.send_signal(1)
        wait_for(lambda: agent.stderr().count("read again") == 2, what="the reload is done")
        lines = [line for line in agent.stderr().splitlines() if "needs a restart" in line]
        expect_equal(len(lines), 1, "lines about a restart")
        for name in ("memory_budget", "window.slices", "window.length", "probes_max",
                     "rings.latency", "rings.rare", "drain.min", "drain.max", "processes_max",
                     "idle_ttl", "socket_group"):
            expect(re.search(rf"[ ,]{re.escape(name)}[ ,]", lines[0]), f"{name} in {lines[0]}")
        expect(not re.search(r"\bsocket[ ,]|interval", lines[0]), lines[0])
        expect_equal(agent.status()["memory_budget"], 32 << 20, "the budget that holds")
        expect("syscall:getppid" in agent.probes(), "what can change has changed")


def a_refusal_over_the_socket_takes_nothing_from_a_configured_target():
    """It stays in the status with its own reason, and as optional as it was."""
    target = "user:/nowhere/at/all:work"
    with Agent(f"targets:\n  - target: {target}\n    optional: true\n") as agent:
        before = agent.probe(target)
        expect_equal(before["state"], "refused", "state")
        for knobs in ({}, {"attach": "kprobe"}):
            try:
                agent.call("Attach", targets=[{"target": target, **knobs}])
                raise AssertionError("attached what does not exist")
            except VarlinkError:
                pass
            probe = agent.probe(target)
            expect_equal(probe["reason"], before["reason"], "its reason")
            expect_equal(agent.status()["health"], "ok", "health with an optional target missing")


def as_many_files_as_allowed_may_be_open():
    with scratch() as folder:
        wrapper = folder / "few-files"
        wrapper.write_text('#!/bin/sh\nulimit -Sn 200\nexec "$@"\n')
        wrapper.chmod(0o755)
        with Agent(wrapper=[str(wrapper)]) as agent:
            line = re.search(r"Max open files\s+(\d+)\s+(\d+)",
                             open(f"/proc/{agent.pid}/limits").read())
            expect_equal(line.group(1), line.group(2), "soft and hard limit of open files")


def reloads_targets_and_keeps_what_did_not_change():
    target, other = user("many_calls", "work"), user("errors", "fails_null")
    with Agent(f"targets:\n  - {target}\n") as agent:
        run_workload("many_calls", "calls=100")
        agent.settled(target, entered=100)
        agent.config_path.write_text(f"targets:\n  - {target}\n  - {other}\n")
        agent.process.send_signal(1)
        wait_for(lambda: other in agent.probes(), what="the new target is attached")
        run_workload("many_calls", "calls=50")
        run_workload("errors", "calls=30")
        agent.settled(target, entered=150)
        agent.settled(other, entered=30)
        expect_equal(agent.total(target), 150, "calls of the kept target")
        agent.config_path.write_text(f"targets:\n  - {other}\n")
        agent.process.send_signal(1)
        wait_for(lambda: agent.probes().get(target, {}).get("state") != "attached",
                 what="the old target is detached")
        expect_equal(agent.total(other), 30, "calls of the other target")


def attach_over_the_socket_refuses_and_changes_nothing():
    with Agent() as agent:
        for target, part in ((user("many_calls", "wrok"), "wrok"), ("wibble:x", "wibble"),
                             ("syscall:", "syscall"), ("", ""), ("user:" + "x" * 5000, "")):
            try:
                reply = agent.call("Attach", targets=[{"target": target}])
                expect_equal(reply["attached"], 0, f"attached for {target!r}")
                said = " ".join(reply["results"][0]["messages"])
            except VarlinkError as error:
                said = f"{error.message} {error.hint} {error.parameters}"
            expect(part in said, f"{target!r} is refused without {part!r}: {said}")
        expect_equal(agent.status()["probes_attached"], 0, "probes attached")


def only_root_may_change_anything():
    need("setpriv", "python3")
    script = """
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall(json.dumps({"method": "org.loris.Agent.Attach", "parameters":
          {"targets": [{"target": "syscall:getppid"}]}}).encode() + b"\\0")
print(s.recv(65536).split(b"\\0")[0].decode())
"""
    with Agent() as agent:
        agent.folder.chmod(0o755)
        agent.socket_path.chmod(0o666)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                               "python3", "-c", script, str(agent.socket_path)],
                              capture_output=True, text=True, timeout=20)
        expect("PermissionDenied" in done.stdout, f"{done.stdout} {done.stderr}")
        expect_equal(agent.status()["probes_attached"], 0, "probes attached")


def refuses_go_code_unless_forced():
    """A binary with Go's build marks; the machine needs no Go for it."""
    need("gcc")
    with scratch() as folder:
        source = folder / "go.c"
        source.write_text("""
__attribute__((section(".note.go.buildid"), used)) static const char note[] =
    "\\4\\0\\0\\0\\4\\0\\0\\0\\4\\0\\0\\0Go\\0\\0wxyz";
__attribute__((section(".gopclntab"), used)) static const char table[64] = {1};
__attribute__((noinline)) long work(long x) { __asm__ volatile("" : "+r"(x)); return x; }
int main(void) { return (int)work(0); }
""")
        subprocess.run(["gcc", "-O1", str(source), "-o", str(folder / "go")], check=True)
        _refused(["watch", "-d", "1s", f"user:{folder}/go:work"], 1, r"\bGo\b", "force")


@limit(30)
def a_client_with_garbage_is_answered_or_dropped_and_hurts_nobody():
    garbage = [b"\0", b"\0" * 1000, b"not json\0", b"{\0", b"[]\0", b"null\0", b"{}\0", b"7\0",
               b'{"method":7}\0', b'{"method":"org.loris.Agent.Wibble"}\0',
               b'{"method":"org.loris.Agent.Stats","parameters":7}\0',
               b'{"method":"org.loris.Agent.Stats","parameters":{"by":"wibble"}}\0',
               b'{"method":"org.loris.Agent.Stats","parameters":{"limit":-1}}\0',
               b'{"method":"org.loris.Agent.Stats","parameters":{"window_ns":1e99}}\0',
               b'{"method":"org.loris.Agent.Attach"}\0', b"\xff\xfe\0",
               b'{"method":"' + b"[" * 20000 + b'"}\0', b"[" * 20000 + b"\0",
               b"x" * 4000000]
    with Agent() as agent:
        for message in garbage:
            with Client(agent.socket_path, timeout=5) as client:
                try:
                    client.socket.sendall(message)
                    client.socket.shutdown(1)
                    while client.receive() is not None:
                        pass
                except (BrokenPipeError, ConnectionResetError):
                    pass
            agent.status()
        # An unterminated message that just stays open.
        with Client(agent.socket_path) as client:
            client.socket.sendall(b'{"method":')
            agent.status()


@limit(30)
def an_unknown_method_gets_the_varlink_error():
    with Agent() as agent:
        for method, error in (("org.loris.Agent.Wibble", "MethodNotFound"),
                              ("org.wibble.X", "InterfaceNotFound")):
            try:
                agent.call(method)
                raise AssertionError(f"{method} was answered")
            except VarlinkError as answer:
                expect(error in answer.name, f"{method}: {answer}")
        described = agent.call("org.varlink.service.GetInterfaceDescription",
                               interface="org.loris.Agent")
        expect("method Stats" in described["description"], "the description holds the methods")
        expect("org.loris.Agent" in agent.call("org.varlink.service.GetInfo")["interfaces"],
               "GetInfo names the interface")


@limit(60)
def a_client_that_never_reads_stops_nobody():
    with Agent() as agent:
        agent.attach("syscall:*")
        with Client(agent.socket_path, timeout=2) as deaf:
            try:
                for _ in range(3000):
                    deaf.send({"method": "org.loris.Agent.Status", "parameters": {"probes": True}})
            except OSError:
                pass  # full, or thrown out: both are fine
            for _ in range(20):
                agent.status()
        figures = agent.status(probes=False)
        expect(figures["memory_used"] <= figures["memory_budget"], f"{figures['memory_used']}")


@limit(90)
def sixty_clients_that_never_read_stay_within_the_budget():
    budget = 16 << 20
    request = b'{"method":"org.loris.Agent.Status","parameters":{"probes":true}}\0' * 300
    with Agent("memory_budget: 16MiB\n") as agent, contextlib.ExitStack() as clients:
        agent.attach("syscall:*")
        before = resident_bytes(agent.pid)
        deaf = [clients.enter_context(Client(agent.socket_path, timeout=0.01)) for _ in range(60)]
        for client in deaf:
            with contextlib.suppress(OSError):  # what does not fit now may wait
                client.socket.sendall(request)

        def quiet():
            seconds = cpu_seconds(agent.pid)
            time.sleep(0.3)
            return cpu_seconds(agent.pid) - seconds < 0.1
        wait_for(quiet, 50, "all wait for clients that never read")
        grown = resident_bytes(agent.pid) - before
        figures = agent.status(probes=False)
        expect(grown <= 8 << 20, f"{grown >> 10} KiB more for clients that never read")
        expect(figures["memory_used"] <= budget,
               f"{figures['memory_used'] >> 10} KiB of {budget >> 10} KiB")
        return f"{grown >> 10} KiB more, {figures['memory_used'] >> 10} KiB in all"


@limit(60)
def more_clients_than_it_serves_are_turned_away():
    with Agent() as agent:
        clients = []
        try:
            for _ in range(600):
                try:
                    clients.append(Client(agent.socket_path, timeout=2))
                except OSError:
                    break
            agent.status()
        finally:
            for client in clients:
                client.close()

        def served():
            try:
                with Client(agent.socket_path, timeout=5) as client:
                    return client.call("Status")
            except OSError:
                return None
        wait_for(served, what="new clients are served")

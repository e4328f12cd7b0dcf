# SPDX-License-Identifier: GPL-2.0-or-later
"""A service among others: what it tells systemd, reloads and restarts that lose nothing."""

import grp
import json
import os
import pathlib
import re
import signal
import subprocess
import time

from service_manager import ServiceManager
from support import (LORISD, ROOT, Agent, Client, VarlinkError, bpf_ids, check_ledger,
                     context_switches, expect, expect_equal, expect_nothing_left, limit, loris,
                     need, note_stderr, run_workload, scratch, tries, user, wait_for, watch,
                     workload)

UNITS = ROOT / "packaging/systemd"
USAGE, NOT_CONFIGURED = 2, 6


class Steps:
    """The workload that calls when it is told to."""

    def __init__(self, *options):
        self.process = subprocess.Popen([workload("steps"), *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, bufsize=1)
        expect_equal(self.process.stdout.readline().strip(), "ready", "what steps says")

    def tell(self, line):
        """Returns how many calls were made in all (but those of threads that still run)."""
        self.process.stdin.write(line + "\n")
        return int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def _config(*targets, more=""):
    return f"{more}targets:\n" + "".join(f"  - {target}\n" for target in targets)


def _reload(agent):
    return loris("reload", "--socket", agent.socket_path)


# --- what it tells systemd -----------------------------------------------------------------------


def tells_when_it_is_ready_reloads_and_stops():
    target = user("steps", "work")
    with ServiceManager() as manager, Agent(_config(target), env=manager.env) as agent:
        manager.wait_for_states("READY")
        probes = agent.probes()
        expect_equal(probes[target]["state"], "attached", "the target when it is ready")
        expect_equal(manager.status(), "watching 1 function, 0 calls, healthy", "STATUS")
        before_us = time.monotonic_ns() // 1000
        agent.process.send_signal(signal.SIGHUP)
        manager.wait_for_states("READY", "RELOADING", "READY")
        reloading = manager.with_key("RELOADING")[0]
        expect(before_us <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000,
               f"the time of the reload: {reloading}")
        expect_equal(_reload(agent).returncode, 0, "exit status of loris reload")
        expect_equal(manager.states()[3:], ["RELOADING", "READY"],
                     "told before the command ends")
        agent.stop()
        manager.wait_for_states(*["READY", "RELOADING"] * 2, "READY", "STOPPING")
        expect_equal(manager.with_key("WATCHDOG"), [], "pings that nobody asked for")


def is_ready_and_says_so_when_targets_are_refused():
    targets = [user("steps", "work"), user("steps", "no_such_function")]
    with ServiceManager() as manager, Agent(_config(*targets), env=manager.env) as agent:
        manager.wait_for_states("READY")
        expect_equal(manager.status(), "watching 1 function, 0 calls, degraded: 1 of 2 targets is "
                                       "not watched, see `loris status`", "STATUS")
        done = _reload(agent)
        expect_equal(done.returncode, 0, "exit status of a reload whose targets are refused")
        expect("1 of them cannot be watched" in done.stderr, done.stderr)
        agent.config_path.write_text(_config(targets[0]))
        _reload(agent)
        wait_for(lambda: manager.status().endswith("healthy"), what="healthy again")


def keeps_the_calls_in_its_status():
    target = user("steps", "work")
    with ServiceManager() as manager, Agent(_config(target), env=manager.env) as agent, \
            Steps() as steps:
        steps.tell("calls 1234")

        def told():
            _reload(agent)  # else it is told every 30 s
            return manager.status() == "watching 1 function, 1.23 k calls, healthy"
        wait_for(told, what="the calls are in the status")


def asks_for_time_while_it_attaches():
    targets = [user("steps", "work"), "syscall:getppid", "span:run-queue"]
    with ServiceManager(watchdog_s=60) as manager, Agent(_config(*targets), env=manager.env) as agent:
        manager.wait_for_states("READY")
        ready = manager.with_key("READY")[0]
        asked = [message for message in manager.with_key("EXTEND_TIMEOUT_USEC")
                 if message.came <= ready.came]
        expect_equal(len(asked), len(targets), "requests for more time")
        # systemd's watchdog begins with the first ping, and starting may take longer.
        expect(not any("WATCHDOG" in message for message in asked), f"pings too early: {asked}")
        agent.config_path.write_text(_config(*targets, "syscall:getuid"))
        _reload(agent)
        expect(manager.with_key("WATCHDOG"), "no ping between the targets of a reload")
        for method, targets in (("Attach", [{"target": "syscall:getgid"},
                                            {"target": "preset:processes"}]),
                                ("Detach", ["syscall:getgid", "preset:processes"])):
            asked = time.monotonic()
            agent.call(method, targets=targets)
            expect(len(manager.pings_after(asked)) > len(targets),
                   f"pings between the targets of {method} and of its preset")


def a_wrong_file_on_reload_fails_and_is_said():
    target = user("steps", "work")
    with ServiceManager() as manager, Agent(_config(target), env=manager.env) as agent, \
            Steps() as steps:
        steps.tell("calls 100")
        agent.config_path.write_text("targets: [wibble:nothing]\n")
        done = _reload(agent)
        expect_equal(done.returncode, 1, "exit status of loris reload")
        place = f"{agent.config_path}:1:11"
        expect(place in done.stderr, f"the command says where: {done.stderr}")
        expect(place in manager.status() and "changed nothing" in manager.status(),
               f"STATUS says where: {manager.status()}")
        said = loris("--socket", agent.socket_path, "status").stdout
        expect(f"changed nothing: {place}" in said, f"loris status says where: {said}")
        expect_equal(manager.states(), ["READY", "RELOADING", "READY"], "it goes on")
        steps.tell("calls 100")
        agent.settled(target, entered=200)
        expect_equal(agent.total(target), 200, "calls before and after the wrong file")
        agent.config_path.write_text(_config(target))
        expect_equal(_reload(agent).returncode, 0, "exit status with the right file")
        expect(manager.status().endswith("healthy"), f"STATUS afterwards: {manager.status()}")
        expect("reload_failure" not in agent.status(), "loris status afterwards")


def only_root_may_reload():
    with Agent() as agent:
        os.chmod(agent.folder, 0o755)
        os.chmod(agent.socket_path, 0o666)
        pid = os.fork()
        if pid == 0:
            os.setuid(65534)
            try:
                Client(agent.socket_path).call("Reload")
            except VarlinkError as error:
                os._exit(0 if "PermissionDenied" in error.name else 1)
            os._exit(2)
        expect_equal(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, "nobody is refused")


def a_private_agent_leaves_the_service_manager_of_its_caller_alone():
    with ServiceManager(watchdog_s=0.3) as manager:
        watched = watch("--by", "none", user("steps", "work"), command=("many_calls", "calls=10"),
                        env={**os.environ, **manager.env})
        expect_equal(watched.status, 0, "exit status of the watch")
        expect_equal(manager.messages, [], "what it said")


# --- the watchdog --------------------------------------------------------------------------------


def _pings(manager, count, seconds=20):
    """Waits for so many from now on."""
    begin = time.monotonic()
    wait_for(lambda: len(manager.pings_after(begin)) >= count, seconds, f"{count} pings")
    came = [message.came for message in manager.pings_after(begin)]
    return max(after - before for before, after in zip(came, came[1:]))


@tries(3)
def feeds_the_watchdog_while_it_drains_and_while_it_is_idle():
    with ServiceManager(watchdog_s=0.9) as manager, Agent(env=manager.env) as agent:
        idle = _pings(manager, 4)
        agent.attach("span:run-queue")
        busy = _pings(manager, 4)
        expect(max(idle, busy) < 0.9, f"longest pauses {idle:.2f} s idle, {busy:.2f} s draining")
        agent.call("Detach", targets=["span:run-queue"])
        wait_for(lambda: not agent.status()["probes_attached"], what="nothing is attached")
        wait_for(lambda: _wakeups(agent, 2) <= 12, 20, "only pings wake an idle agent")
        return f"longest pauses {idle:.2f} s idle, {busy:.2f} s draining, of 0.9 s"


def _wakeups(agent, seconds):
    before = context_switches(agent.pid)
    time.sleep(seconds)  # the period is what is tested
    return context_switches(agent.pid) - before


def a_stopped_agent_does_not_feed_the_watchdog():
    with ServiceManager(watchdog_s=0.6) as manager, Agent(env=manager.env) as agent:
        agent.attach("span:run-queue")
        _pings(manager, 2)
        agent.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic() + 0.1
        time.sleep(1.2)  # the period is what is tested
        expect_equal(manager.pings_after(stopped), [], "pings of a stopped process")
        agent.process.send_signal(signal.SIGCONT)
        _pings(manager, 2)


def _function_address(pid, name):
    """Of a function of lorisd, in the process, and its first bytes' place in memory."""
    symbols = subprocess.run(["nm", LORISD], capture_output=True, text=True, check=True).stdout
    offset = int(re.search(rf"^([0-9a-f]+) [tT] {name}$", symbols, re.MULTILINE).group(1), 16)
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    first = next(line for line in maps if line.endswith("/lorisd"))
    return int(first.split("-")[0], 16) + offset


def does_not_feed_the_watchdog_when_its_drain_gets_nowhere():
    """The code that takes over records returns at once, while all else goes on."""
    need("nm")
    xor_eax_ret = b"\x31\xc0\xc3"
    with ServiceManager(watchdog_s=1.5) as manager, \
            Agent(_config("span:run-queue"), env=manager.env) as agent:
        _pings(manager, 2)
        address = _function_address(agent.pid, "drain_pass")
        with open(f"/proc/{agent.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(address)
            code = memory.read(len(xor_eax_ret))
            memory.seek(address)
            memory.write(xor_eax_ret)
            wait_for(lambda: "no longer taken over" in agent.stderr(), what="it notices")
            noticed = time.monotonic()
            agent.call("Status", probes=False)  # the loop goes on
            time.sleep(1.5)  # the period is what is tested
            expect_equal(manager.pings_after(noticed), [], "pings of a stuck drain")
            memory.seek(address)
            memory.write(code)
        _pings(manager, 2)


# --- reloads and restarts ------------------------------------------------------------------------


@limit(120)
def a_hundred_reloads_under_load_lose_no_call():
    """One target stays while others come and go; every call is counted in its series."""
    target = user("steps", "work")
    others = (["syscall:getppid", user("many_calls", "work")],
              ["syscall:getuid", "syscall:getppid", "span:run-queue"], [])
    with Agent(_config(target)) as agent, Steps("threads=2") as steps:
        steps.tell("begin")
        begin = time.monotonic()
        for i in range(100):
            agent.config_path.write_text(_config(target, *others[i % 3]))
            reply = agent.call("Reload")
            expect_equal((reply["targets"], reply["refused"]), (1 + len(others[i % 3]), 0),
                         f"what reload {i} watches")
        took = time.monotonic() - begin
        total = steps.tell("end")
        ledger = agent.settled(target, entered=total)["ledger"]
        check_ledger(ledger, entered=total, returned=total, in_series=total)
        expect_equal(agent.total(target), total, "calls of all reloads")
        expect(total > 100_000, f"only {total} calls in {took:.1f} s")
        return f"{total:,} calls, {took / 100 * 1000:.0f} ms a reload"


@limit(180)
def a_hundred_restarts_under_load_account_for_every_call():
    """What agents counted and what was called while none was there is what was called. Half of the
    agents end by SIGKILL; a second program calls all the time."""
    target = user("steps", "work")
    counted = unseen = total = 0
    config = _config(target, "syscall:getppid")
    before = bpf_ids()
    with Steps() as steps, \
            subprocess.Popen(["nice", workload("many_calls"), "kind=syscall", "calls=2000000000",
                              "threads=1"]) as load:
        try:
            begin = time.monotonic()
            for i in range(100):
                with Agent(config, check_clean=False) as agent:
                    total = steps.tell(f"calls {500 + i}")
                    wait_for(lambda: agent.total(target) == 500 + i, 10,
                             f"agent {i} counts every call")
                    counted += agent.total(target)
                    expect(agent.total("syscall:getppid") > 0, "the load is seen")
                    if i % 2:
                        agent.stop(signal.SIGKILL)
                total = steps.tell("calls 77")  # nobody watches
                unseen += 77
            took = time.monotonic() - begin
            expect_equal(counted + unseen, total, "calls")
            expect(load.poll() is None, "the load ran all the time")
        finally:
            load.kill()
    expect_nothing_left(before)
    return f"{counted:,} counted, {unseen:,} unseen; {took / 100 * 1000:.0f} ms a round"


# --- starting --------------------------------------------------------------------------------------


def _started(*arguments, wrapper=()):
    done = subprocess.run([*wrapper, LORISD, *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20)
    note_stderr("lorisd", done.stderr)
    return done


def what_a_restart_cannot_mend_has_an_exit_status_that_systemd_knows():
    unit = (UNITS / "loris.service").read_text()
    final = re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE).group(1).split()
    with scratch() as folder:
        bad, nowhere = folder / "bad.yaml", folder / "nowhere.yaml"
        (folder / "empty.yaml").write_text("")
        bad.write_text("wibble: 1\n")
        nowhere.write_text(f"socket: {folder}/s\nsummaries: {{file: {folder}/none/lines}}\n")
        for what, arguments, status in (
                ("no configuration", ["--config", folder / "none.yaml"], NOT_CONFIGURED),
                ("a wrong one", ["--config", bad], NOT_CONFIGURED),
                ("a folder that is not there", ["--config", nowhere], NOT_CONFIGURED),
                ("a socket in a folder that is not there",
                 ["--config", folder / "empty.yaml", "--socket", folder / "no/such/s"],
                 NOT_CONFIGURED),
                ("a wrong budget", ["--config", nowhere, "--budget", "7"], USAGE),
                ("an unknown option", ["--wibble"], USAGE)):
            done = _started(*arguments)
            expect_equal(done.returncode, status, f"exit status with {what} ({done.stderr})")
            expect(str(status) in final, f"{status} is not in RestartPreventExitStatus")
            expect(len(done.stderr.strip().splitlines()) <= 2, f"one clear line: {done.stderr}")


def says_what_is_wrong_with_a_folder_it_cannot_write():
    need("unshare")
    with scratch() as folder:
        (folder / "c.yaml").write_text("")
        script = (f"mount --bind {folder} {folder} && mount -o remount,bind,ro {folder} && "
                  f"exec {LORISD} --config {folder}/c.yaml --socket {folder}/run/s")
        done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                              timeout=20)
        expect_equal(done.returncode, 1, f"exit status ({done.stderr})")
        expect("Read-only file system" in done.stderr and f"{folder}/run" in done.stderr,
               done.stderr)


def starts_without_its_group_for_root_alone():
    with Agent("socket_group: loris-no-such-group\n") as agent:
        expect("no group 'loris-no-such-group'" in agent.stderr(), agent.stderr())
        expect_equal(agent.socket_path.stat().st_gid, 0, "the socket's group")


def gives_the_socket_to_its_group():
    with Agent("socket_group: daemon\n") as agent:
        expect_equal(agent.socket_path.stat().st_gid, grp.getgrnam("daemon").gr_gid, "the group")
        expect_equal(agent.socket_path.stat().st_mode & 0o777, 0o660, "the mode")


# --- privileges ------------------------------------------------------------------------------------


def _status_fields(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


ATTACHING = ["dac_read_search", "sys_ptrace", "syslog", "perfmon", "bpf"]
NUMBERS = {"chown": 0, "dac_read_search": 2, "sys_ptrace": 19, "sys_admin": 21, "syslog": 34,
           "perfmon": 38, "bpf": 39}


def _expect_capabilities(agent, names):
    expect_equal(sorted(agent.status(probes=False)["capabilities"]), sorted(names), "Status says")
    fields = _status_fields(agent.pid)
    wanted = sum(1 << NUMBERS[name] for name in names)
    for which in ("CapPrm", "CapEff"):
        expect_equal(int(fields[which], 16), wanted, which)
    for which in ("CapInh", "CapAmb"):
        expect_equal(int(fields[which], 16), 0, which)
    expect_equal(fields["NoNewPrivs"], "1", "NoNewPrivs")


def gives_up_what_attaching_does_not_need():
    target = user("steps", "work")
    with Agent(_config(target)) as agent, Steps() as steps:
        kinds = agent.status()["attach_kinds"]
        multi = bool({"uprobe-session", "uprobe-multi"} & set(kinds))
        _expect_capabilities(agent, ATTACHING + ([] if multi else ["sys_admin"]))
        expect("keeps the capabilities dac_read_search" in agent.stderr(), agent.stderr())
        # What comes later needs no more.
        agent.config_path.write_text(_config(target, "syscall:getppid", "span:block-io"))
        expect_equal(agent.call("Reload"), {"targets": 3, "refused": 0}, "the reload")
        steps.tell("calls 10")
        agent.settled(target, entered=10)


def keeps_what_a_forced_kind_needs():
    target = user("steps", "work")
    with Agent(_config(f"{{target: '{target}', attach: uprobe}}")) as agent, Steps() as steps:
        _expect_capabilities(agent, ATTACHING + ["sys_admin"])
        steps.tell("calls 10")
        expect_equal(agent.settled(target, entered=10)["attach"], "uprobe", "the kind")


def _bounding_set():
    """Of the unit with its drop-in for kernels that have uprobe.multi."""
    text = (UNITS / "loris.service").read_text()
    names = set(re.search(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE).group(1).split())
    less = (UNITS / "no-sys-admin.conf").read_text()
    return names - {re.search(r"^CapabilityBoundingSet=~(.*)$", less, re.MULTILINE).group(1)}


def measures_everything_with_the_bounding_set_of_the_unit():
    """User functions, marks, system calls, spans; programs of other users that root without more
    may not read; processes of theirs; without CAP_SYS_ADMIN."""
    need("setpriv")
    names = _bounding_set()
    expect("CAP_SYS_ADMIN" not in names, f"the bounding set: {names}")
    allowed = ",".join("+" + name.removeprefix("CAP_").lower() for name in sorted(names))
    wrapper = ["setpriv", f"--bounding-set=-all,{allowed}", "--inh-caps=-all", "--no-new-privs"]
    with scratch() as folder:
        os.chmod(folder, 0o755)
        theirs = folder / "theirs"
        theirs.mkdir(mode=0o700)
        program = theirs / "steps"
        program.write_bytes(pathlib.Path(workload("steps")).read_bytes())
        program.chmod(0o700)
        for path in (theirs, program):
            os.chown(path, 65534, 65534)
        marks = f"usdt:{workload('sdt_marks')}:loris_test:op_begin..op_end"
        with Agent(_config(marks, "syscall:getppid", "span:run-queue"), wrapper=wrapper) as agent, \
                subprocess.Popen(["setpriv", "--reuid=65534", "--clear-groups", str(program)],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                 bufsize=1) as other:
            expect_equal(other.stdout.readline().strip(), "ready", "what the other user's says")
            _expect_capabilities(agent, ATTACHING)
            kinds = agent.status()["attach_kinds"]
            expect("uprobe-multi" in kinds, f"marks are attached: {kinds}, {agent.stderr()}")
            by_pid = f"user:pid:{other.pid}:work"
            agent.attach(by_pid)
            other.stdin.write("calls 321\n")
            expect_equal(other.stdout.readline().strip(), "321", "calls of the other user's")
            agent.settled(by_pid, entered=321)
            expect_equal(agent.total(by_pid, by="process"), 321, "calls of the process")
            agent.attach(f"user:{program}:main")
            run_workload("sdt_marks", "calls=123")
            agent.settled(marks, entered=123)
            run_workload("many_calls", "kind=syscall", "calls=456", "threads=1")
            wait_for(lambda: agent.total("syscall:getppid") >= 456, what="system calls")
            other.kill()


# --- files -----------------------------------------------------------------------------------------


def _logrotate_config(folder, postrotate):
    """The shipped one, for a folder of ours and without systemctl."""
    text = (ROOT / "packaging/loris.logrotate").read_text()
    text, replaced = re.subn(r"(?ms)(^ *postrotate\n).*?(^ *endscript)",
                             lambda found: f"{found[1]}        {postrotate}\n{found[2]}", text)
    expect_equal(replaced, 1, "postrotate scripts")
    path = folder / "logrotate.conf"
    path.write_text(text.replace("/var/log/loris", str(folder / "log")))
    path.chmod(0o644)
    return path


def logrotate_accepts_the_shipped_file():
    need("/usr/sbin/logrotate")
    with scratch() as folder:
        done = subprocess.run(["/usr/sbin/logrotate", "-d", "-s", str(folder / "state"),
                               str(ROOT / "packaging/loris.logrotate")],
                              capture_output=True, text=True)
        expect_equal(done.returncode, 0, f"exit status ({done.stderr})")
        expect("error" not in done.stderr.lower(), done.stderr)
    text = (ROOT / "packaging/loris.logrotate").read_text()
    command = re.search(r"systemctl kill (--\S+ --\S+) loris.service", text).group(0)
    done = subprocess.run([*command.split(), "--version"], capture_output=True, text=True)
    expect_equal(done.returncode, 0, f"systemctl knows its options ({done.stderr})")


@tries(3)
def a_rotation_loses_and_doubles_no_line():
    """Rotated every moment, once with a configuration that is being edited."""
    need("/usr/sbin/logrotate")
    with scratch() as folder:
        logs = folder / "log"
        logs.mkdir(mode=0o750)
        lines = logs / "summaries.jsonl"
        config = (f"interval: 1s\nsummaries: {{file: {lines}, by: none}}\n"
                  "targets: [span:run-queue, 'syscall:epoll_wait']\n")
        with Agent(config) as agent:
            rotate = ["/usr/sbin/logrotate", "-f", "-s", str(folder / "state"),
                      str(_logrotate_config(folder, f"kill -USR1 {agent.pid}"))]
            for i in range(4):
                if i == 2:
                    agent.config_path.write_text("targets: [half\n")
                size = lines.stat().st_size if lines.exists() else 0
                wait_for(lambda: lines.exists() and lines.stat().st_size > size,
                         what="the next line")
                done = subprocess.run(rotate, capture_output=True, text=True)
                expect_equal(done.returncode, 0, f"logrotate ({done.stderr})")
                wait_for(lines.exists, what="the file is opened anew")
            wait_for(lambda: lines.stat().st_size > 0, what="a line after the last rotation")
            expect("changes nothing" not in agent.stderr(), "a rotation read the configuration")
        read = subprocess.run(["zcat", "-f", *sorted(map(str, logs.iterdir()))],
                              capture_output=True, text=True, check=True).stdout.splitlines()
        found = [(json.loads(line)["time"], json.loads(line)["probe"]) for line in read]
        expect_equal(len(found), len(set(found)), "lines, each once")
        rounds = sorted(time_.rstrip("Z") for time_, probe in found if probe == "span:run-queue")
        expect(len(rounds) >= 5, f"rounds: {rounds}")
        seconds = [float(time_[-6:]) + 60 * float(time_[-9:-7]) for time_ in rounds]
        gaps = [(after - before) % 3600 for before, after in zip(seconds, seconds[1:])]
        expect(max(gaps) < 1.9, f"a round is missing: {gaps}")
        return f"{len(found)} lines in {len(list(logs.iterdir()))} files"


def users_and_folders_are_made_as_the_unit_wants_them():
    need("systemd-sysusers", "systemd-tmpfiles")
    with scratch() as folder:
        (folder / "etc").mkdir()
        (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        (folder / "etc/group").write_text("root:x:0:\n")
        for command in (["systemd-sysusers", f"--root={folder}", str(UNITS / "loris.sysusers")],
                        ["systemd-tmpfiles", f"--root={folder}", "--create",
                         str(UNITS / "loris.tmpfiles")]):
            done = subprocess.run(command, capture_output=True, text=True)
            expect_equal(done.returncode, 0, f"{command[0]} ({done.stderr})")
        gid = int(re.search(r"^loris:[^:]*:(\d+):", (folder / "etc/group").read_text(),
                            re.MULTILINE).group(1))
        unit = (UNITS / "loris.service").read_text()
        state = int(re.search(r"^StateDirectoryMode=(\d+)$", unit, re.MULTILINE).group(1), 8)
        for name, mode, group in (("run", 0o755, 0), ("var/lib", state, 0), ("var/log", 0o2750, gid)):
            found = (folder / name / "loris").stat()
            expect_equal((oct(found.st_mode & 0o7777), found.st_uid, found.st_gid),
                         (oct(mode), 0, group), name)


def the_preset_leaves_it_disabled():
    need("systemctl")
    with scratch() as folder:
        for name, source in (("system/loris.service", "loris.service"),
                             ("system-preset/80-loris.preset", "loris.preset")):
            path = folder / "usr/lib/systemd" / name
            path.parent.mkdir(parents=True)
            path.write_text((UNITS / source).read_text())
        done = subprocess.run(["systemctl", f"--root={folder}", "preset", "loris.service"],
                              capture_output=True, text=True)
        expect_equal(done.returncode, 0, f"systemctl preset ({done.stderr})")
        state = subprocess.run(["systemctl", f"--root={folder}", "is-enabled", "loris.service"],
                               capture_output=True, text=True)
        expect_equal(state.stdout.strip(), "disabled", "the state after presets")

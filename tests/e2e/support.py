# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end tests stand on: agents, watches, workloads, and what the kernel says of us.

Tests wait for output or state, never for time alone.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

# Tests take everything from here.
from expectations import (Skip, expect, expect_equal, limit, need, note_stderr,  # noqa: F401
                          said, tries, wait_for)
from kernel_state import (ROOT, bpf_ids, bpf_objects, context_switches,  # noqa: F401
                          cpu_seconds, expect_nothing_left, leftovers, memory_figures, open_files,
                          owners, resident_bytes)
from ledger import check_ledger, ledger_errors  # noqa: F401
from varlink import Client, VarlinkError  # noqa: F401

BINARIES = pathlib.Path(os.environ.get("LORIS_BINARIES", ROOT / "build/release"))
LORIS = str(BINARIES / "loris")
LORISD = str(BINARIES / "lorisd")
WORKLOADS = pathlib.Path(os.environ.get("LORIS_WORKLOADS", ROOT / "build/workloads"))


@contextlib.contextmanager
def scratch():
    folder = tempfile.mkdtemp(prefix="loris-e2e-")
    try:
        yield pathlib.Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- workloads -----------------------------------------------------------------------------------


def workload(name):
    """Its path; run.py lets it be a copy of its own, which no other run on this machine calls."""
    path = WORKLOADS / name
    expect(path.exists(), f"{path} is not built: make workloads")
    return str(path)


def user(name, function):
    return f"user:{workload(name)}:{function}"


class Running:
    """A workload that was started with pause=1: it stands at a gate until go() is called."""

    def __init__(self, name, *options, executable=None):
        self.folder = tempfile.mkdtemp(prefix="loris-workload-")
        self.truth_path = os.path.join(self.folder, "truth")
        self.process = subprocess.Popen(
            [executable or workload(name), *options, "pause=1", f"truth={self.truth_path}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.pid = self.process.pid
        self.line("ready")

    def line(self, wanted=None):
        line = self.process.stdout.readline().strip()
        if wanted is not None:
            expect_equal(line, wanted, f"what {self.process.args[0]} says")
        return line

    def go(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def truth(self):
        with open(self.truth_path) as file:
            return json.load(file)

    def finish(self, seconds=60):
        """Through the last gate; returns the truth."""
        with contextlib.suppress(BrokenPipeError):
            self.go()
        self.process.stdin.close()
        self.process.wait(seconds)
        truth = self.truth()
        truth["status"] = self.process.returncode
        return truth

    def run_to_end(self, seconds=60):
        self.go()
        self.line("done")
        return self.finish(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def run_workload(name, *options, timeout=120):
    """Runs a workload to its end; returns its truth."""
    done = subprocess.run([workload(name), *options], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout)
    expect_equal(done.returncode, 0, f"{name}'s exit status ({done.stderr.strip()})")
    return json.loads(done.stderr.splitlines()[-1])


# --- loris watch ---------------------------------------------------------------------------------


def unbudgeted(arguments):
    """Workloads call as fast as they can: where a test says nothing of a budget, there is none, so
    that every call is measured."""
    arguments = list(map(str, arguments))
    return arguments if "--budget" in arguments else ["--budget", "none", *arguments]


class Watched:
    def __init__(self, status, stdout, stderr, truth):
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        self.truth = truth
        self.lines = [json.loads(line) for line in stdout.splitlines() if line.strip()]
        self.final = [line for line in self.lines if line.get("final")]

    def total(self, probe=None, key="count"):
        return sum(line[key] for line in self.final if probe in (None, line["probe"]))


def loris(*arguments, timeout=60, stdin=subprocess.DEVNULL, **options):
    """Runs the command line; returns the CompletedProcess with text."""
    done = subprocess.run([LORIS, *map(str, arguments)], stdin=stdin, capture_output=True,
                          text=True, timeout=timeout, **options)
    note_stderr("loris " + " ".join(map(str, arguments)), done.stderr)
    return done


def watch(*arguments, command=None, expect_status=0, timeout=60, **options):
    """`loris watch --json ARGUMENTS [-- COMMAND]`. command: a list; a workload is a tuple of its
    name and options, and its truth is read."""
    with scratch() as folder:
        data = folder / "series"  # stdout belongs to the command, too
        line = [LORIS, "watch", "--json", "-o", str(data), *unbudgeted(arguments)]
        truth_path = None
        if isinstance(command, tuple):
            truth_path = folder / "truth"
            command = [workload(command[0]), *command[1:], f"truth={truth_path}"]
        if command:
            line += ["--", *map(str, command)]
        done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, **options)
        note_stderr(" ".join(line[1:]), done.stderr)
        truth = None
        if truth_path and truth_path.exists():
            truth = json.loads(truth_path.read_text())
        if expect_status is not None:
            expect_equal(done.returncode, expect_status,
                         f"exit status of loris watch ({done.stderr.strip()[-600:]})")
        series = data.read_text() if data.exists() else ""
        return Watched(done.returncode, series, done.stderr, truth)


class Watching:
    """`loris watch` in the background. Its stderr is a terminal, where it says when it is ready."""

    def __init__(self, *arguments):
        self.folder = tempfile.mkdtemp(prefix="loris-watching-")
        self.data = os.path.join(self.folder, "series")
        self.arguments = [LORIS, "watch", "--json", "-o", self.data, *unbudgeted(arguments)]
        self.terminal, theirs = os.openpty()
        os.set_blocking(self.terminal, False)
        self.said = b""
        try:
            self.process = subprocess.Popen(self.arguments, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=theirs)
        finally:
            os.close(theirs)

    def stderr(self):
        with contextlib.suppress(OSError):  # EIO: nobody holds the other end any more
            while part := os.read(self.terminal, 65536):
                self.said += part
        return self.said.decode(errors="replace").replace("\r", "")

    def wait_attached(self):
        wait_for(lambda: "watching" in self.stderr() or self.process.poll() is not None,
                 what="the watch says that it is watching")
        expect(self.process.poll() is None, f"loris watch ended early: {self.stderr()}")

    def stop(self, seconds=30):
        """Ctrl-C; returns what was printed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        status = self.process.wait(seconds)
        series = pathlib.Path(self.data)
        return Watched(status, series.read_text() if series.exists() else "", self.stderr(), None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        note_stderr(" ".join(self.arguments[1:]), self.stderr())
        os.close(self.terminal)
        shutil.rmtree(self.folder, ignore_errors=True)


def descendants(pid):
    """Process ids below pid."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
                parent = int(stat.rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry))
    found, queue = set(), [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            if child not in found:
                found.add(child)
                queue.append(child)
    return found


# --- the agent -----------------------------------------------------------------------------------


class Agent:
    """lorisd with a private socket and configuration. Use as a context manager.

    config: YAML text; budget: as lorisd --budget; env: more of its environment. Leaving the context
    stops it and checks that nothing of it is left.
    """

    def __init__(self, config="", wrapper=(), check_clean=True, budget="none", env=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="loris-agent-"))
        self.socket_path = self.folder / "s"
        self.config_path = self.folder / "loris.yaml"
        self.config_path.write_text(config)
        self.check_clean = check_clean
        self.before = bpf_ids() if check_clean else None  # takes a moment
        self.errors = open(self.folder / "stderr", "w+b")
        self.client = None
        self.process = subprocess.Popen(
            [*wrapper, LORISD, "--config", str(self.config_path), "--socket",
             str(self.socket_path), "--budget", budget],
            stdin=subprocess.DEVNULL, stdout=open(self.folder / "stdout", "wb"),
            stderr=self.errors, env={**os.environ, **(env or {})})
        self.pid = self.process.pid

    def stderr(self):
        return (self.folder / "stderr").read_text(errors="replace")

    def wait_ready(self, seconds=30):
        def answers():
            expect(self.process.poll() is None,
                   f"lorisd ended with {self.process.returncode}: {self.stderr()[-2000:]}")
            try:
                self.client = Client(self.socket_path)
            except OSError:
                return False
            return True
        wait_for(answers, seconds, "the agent answers on its socket")
        self.call("Status")
        return self

    def call(self, method, **parameters):
        return self.client.call(method, **parameters)

    def attach(self, *targets, filter=None, **knobs):
        """Attaches; every target must come up. knobs: errors, attach, force for all targets."""
        wanted = [{"target": target, **knobs} for target in targets]
        parameters = {"targets": wanted}
        if filter:
            parameters["filter"] = filter
        reply = self.call("Attach", **parameters)
        for result in reply["results"]:
            expect(result["attached"] > 0, f"not attached: {result}")
        return reply

    def status(self, probes=True):
        return self.call("Status", probes=probes)

    def probes(self):
        return {probe["probe"]: probe for probe in self.status()["probes"]}

    def probe(self, name):
        found = [probe for probe in self.status()["probes"] if name in (probe["probe"],
                                                                        probe["target"])]
        expect(len(found) == 1, f"{len(found)} probes are named {name}")
        return found[0]

    def settled(self, name, entered=None, seconds=20):
        """The probe once its ledger closes (and `entered` calls came in), all records decoded."""
        def rests():
            probe = self.probe(name)
            ledger = probe["ledger"]
            if entered is not None and ledger["entered"] < entered:
                return None
            return probe if not ledger_errors(ledger) else None
        try:
            return wait_for(rests, seconds, f"the ledger of {name} closes")
        except AssertionError as error:
            ledger = self.probe(name)["ledger"]
            raise AssertionError(f"{error}: {ledger_errors(ledger)} in {ledger}") from None

    def stats(self, probe=None, by="none", window_ns=0, **more):
        """Series since the start unless window_ns says otherwise."""
        parameters = {"by": by, "window_ns": window_ns, **more}
        if probe:
            parameters["probe"] = probe
        return self.call("Stats", **parameters)["series"]

    def total(self, probe, by="none", key="count"):
        return sum(series[key] for series in self.stats(probe, by))

    def stop(self, how=signal.SIGTERM, seconds=20):
        """Ends it with a signal; returns its exit status."""
        if self.client:
            self.client.close()
            self.client = None
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(seconds)
        if self.check_clean:
            expect_nothing_left(self.before)
        return status

    def __enter__(self):
        return self.wait_ready()

    def __exit__(self, kind, *_):
        try:
            if self.process.poll() is None:
                status = self.stop()
                if kind is None:
                    expect_equal(status, 0, "exit status of lorisd")
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            note_stderr("lorisd", self.stderr())
            self.errors.close()
            shutil.rmtree(self.folder, ignore_errors=True)



# SPDX-License-Identifier: GPL-2.0-or-later
"""rsyslog, syslog-ng and journald as real processes in a scratch folder: started by hand, ended
by the test, reading the configuration that is shipped as a sample."""

import collections
import contextlib
import json
import os
import pathlib
import subprocess
import sys

from expectations import Skip, expect, note_stderr, wait_for
from kernel_state import ROOT

sys.path.insert(0, str(ROOT / "tests"))
import debian_archive  # noqa: E402  (found through the path above)

SAMPLES = ROOT / "packaging/log-aggregation"
# The two packages conflict with each other, and each would become the system's log daemon.
PACKAGES = pathlib.Path(os.environ.get("LORIS_PACKAGE_CACHE", ROOT / "build/packages"))

# Where each layout keeps what the samples pick: the names of the loris layout are in the samples.
NAMES = {
    "loris": {},
    "ecs": {"run": "agent.ephemeral_id", "seq": "event.sequence", "time": "@timestamp",
            "probe": "loris.probe", "group.unit": "loris.group.unit", "p99_ns": "loris.p99_ns"},
    "otel": {"run": "Resource.service.instance.id", "seq": "Attributes.loris.seq",
             "time": "Timestamp", "probe": "Attributes.loris.probe",
             "group.unit": "Attributes.loris.group.unit",
             "p99_ns": "Attributes.loris.p99_ns"},
}


def _unpacked(package):
    try:
        return debian_archive.unpack(["bookworm"], [package], PACKAGES / package, closure=True)
    except debian_archive.Unavailable as reason:
        raise Skip(str(reason)) from None


class Collector:
    """One of the two, following `source`. figures: what it wrote of each line."""

    def __init__(self, folder, source, layout):
        self.folder = folder / self.name
        self.folder.mkdir()
        self.root = _unpacked(self.package)
        self.figures_path = self.folder / "figures.jsonl"
        self.unparsed_path = self.folder / "unparsed"
        sample = (SAMPLES / f"{self.name}-loris.conf").read_text()
        for was, now in (("/var/log/loris/summaries.jsonl", source),
                         ("/var/log/loris-figures.jsonl", self.figures_path),
                         ("/var/log/loris-unparsed.log", self.unparsed_path)):
            expect(was in sample, f"the sample for {self.name} names {was}")
            sample = sample.replace(was, str(now))
        for was, now in NAMES[layout].items():
            place = self.place(was)
            expect(place in sample, f"the sample for {self.name} picks {was}")
            sample = sample.replace(place, self.place(now))
        config = self.folder / "conf"
        config.write_text(self.frame() + sample)
        libraries = f"{self.root}/usr/lib/x86_64-linux-gnu"
        environment = {**os.environ,
                       "LD_LIBRARY_PATH": f"{libraries}:{self.root}/usr/lib/syslog-ng"}
        self.errors = open(self.folder / "stderr", "wb")
        self.process = subprocess.Popen(self.command(config), env=environment,
                                        stdin=subprocess.DEVNULL, stdout=self.errors,
                                        stderr=self.errors)

    def figures(self):
        if not self.figures_path.exists():
            return []
        whole = self.figures_path.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.split(b"\n") if line]

    def unparsed(self):
        return self.unparsed_path.read_text() if self.unparsed_path.exists() else ""

    def counts(self):
        """How often each (run, seq) came."""
        return collections.Counter((line["run"], int(line["seq"])) for line in self.figures())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.close()
        note_stderr(self.name, (self.folder / "stderr").read_text(errors="replace"))


class Rsyslog(Collector):
    name = package = "rsyslog"

    @staticmethod
    def place(path):
        """Objects are left by `!`; what is flat in OpenTelemetry keeps its dots."""
        head, _, rest = path.partition(".")
        if head in ("Attributes", "Resource"):
            return f'name="$!{head}!{rest}"'
        return 'name="$!' + path.replace(".", "!") + '"'

    def frame(self):
        return f'global(workDirectory="{self.folder}")\n'

    def command(self, config):
        libraries = f"{self.root}/usr/lib/x86_64-linux-gnu/rsyslog"
        return [f"{self.root}/usr/sbin/rsyslogd", "-n", "-f", config, "-i", self.folder / "pid",
                "-M", libraries]


class SyslogNg(Collector):
    name, package = "syslog-ng", "syslog-ng-core"

    @staticmethod
    def place(path):
        return "${.loris." + path + "}"

    def frame(self):
        return "@version: 3.38\n"

    def command(self, config):
        return [f"{self.root}/usr/sbin/syslog-ng", "-F", "--no-caps", "-f", config,
                "-R", self.folder / "persist", "-p", self.folder / "pid",
                "-c", self.folder / "control",
                f"--module-path={self.root}/usr/lib/syslog-ng/3.38"]


class Journald:
    """A journald of its own, in a mount namespace where /run is its own. inside: what starts a
    program there."""

    SETTINGS = "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nReadKMsg=no\nAudit=no\n"
    SETUP = ("set -e\n"
             "mount -t tmpfs -o mode=755 loris-e2e /run\n"
             "mkdir -p /run/systemd/journal /run/log/journal /run/systemd/journald.conf.d\n"
             "cp \"$1\" /run/systemd/journald.conf.d/loris.conf\n"
             "exec /lib/systemd/systemd-journald\n")

    def __init__(self, folder):
        machine = pathlib.Path("/etc/machine-id")
        if not machine.exists() or len(machine.read_text().strip()) != 32:
            raise Skip("journald needs an /etc/machine-id")
        settings = folder / "journald.conf"
        settings.write_text(self.SETTINGS)
        self.errors = open(folder / "journald-stderr", "w+b")
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", self.SETUP, "journald",
             settings], stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)
        self.inside = ("nsenter", f"--mount=/proc/{self.process.pid}/ns/mnt")
        socket = pathlib.Path(f"/proc/{self.process.pid}/root/run/systemd/journal/socket")
        wait_for(lambda: socket.exists() or self.process.poll() is not None,
                 what="journald listens")
        expect(self.process.poll() is None, f"journald ended: {self.said()}")

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def entries(self, *matches):
        done = subprocess.run([*self.inside, "journalctl", "-q", "-o", "json", "--all",
                               "--directory=/run/log/journal", *matches],
                              capture_output=True, check=True, timeout=60)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        note_stderr("journald", self.said())
        self.errors.close()

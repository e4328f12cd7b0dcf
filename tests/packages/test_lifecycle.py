# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian package lives and dies: install, run, upgrade, remove, purge, in a real Debian."""

import contextlib
import pathlib
import re
import subprocess
import tempfile

from built import deb, version
from debian_root import DebianRoot
from expectations import expect, expect_equal, limit

OLD = "0.0.9"
CONFIG = "etc/loris/loris.yaml"
UNIT = "loris.service"
# What dpkg and debhelper's scripts leave of any package that came and went, and the group, whose
# number must not come to mean somebody else.
KEPT = re.compile(r"/var/lib/dpkg/.*|/var/log/(dpkg\.log|apt/.*|alternatives\.log)|/var/cache/.*"
                  r"|/etc/(group|gshadow)-?|/etc/\.pwd\.lock|/etc/ld\.so\.cache"
                  r"|/var/lib/systemd(/deb-systemd-helper-(en|mask)abled|/catalog(/database)?)?")


def _depends():
    return subprocess.run(["dpkg-deb", "-f", str(deb()), "Depends"], check=True, text=True,
                          capture_output=True).stdout.strip()


def _older(folder):
    """The package as an earlier version might have been: another default, a file that went."""
    tree = folder / "older"
    subprocess.run(["dpkg-deb", "-R", str(deb()), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {version()}", f"Version: {OLD}"))
    config = tree / CONFIG
    config.write_text(config.read_text().replace("idle_ttl: 10m", "idle_ttl: 20m"))
    (tree / "usr/share/loris/went.txt").write_text("of the older version only\n")
    archive = folder / f"loris_{OLD}_amd64.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(archive)], check=True,
                   capture_output=True)
    return archive


@contextlib.contextmanager
def _debian():
    # In memory: a layer on a layer of another kind may be refused, and dpkg syncs what it writes.
    with tempfile.TemporaryDirectory(prefix="loris-debian-", dir="/dev/shm") as folder:
        root = DebianRoot(folder, _depends())
        root.older, root.newer = root.copy_in(_older(pathlib.Path(folder))), root.copy_in(deb())
        yield root


def _status(root):
    done = root.try_run("dpkg-query", "-W", "-f", "${Status} ${Version}", "loris")
    return done.stdout


def _left(root):
    return [path for path in root.changed() if not KEPT.fullmatch(path)]


@limit(240)
def an_installed_package_runs_on_what_it_depends_on():
    with _debian() as root:
        root.run("dpkg", "-i", root.newer)
        expect_equal(root.run("loris", "version").strip(), f"loris {version()}", "loris")
        expect("fine" in root.run("loris", "check-config", f"/{CONFIG}"), "its configuration")
        expect_equal(root.run("stat", "-c", "%U:%G %a", f"/{CONFIG}").strip(), "root:root 644",
                     "who may write the configuration")
        root.run("getent", "group", "loris")
        # The command line finds the agent that came with it, and that finds its libraries.
        said = root.run("loris", "watch", "--by", "none", "--json", "syscall:getpid",
                        "syscall:openat", "--", "sh", "-c", "true")
        expect('"probe":"syscall:openat"' in said, f"nothing was measured: {said}")
        expect_equal(root.run("systemd-analyze", "--man=no", "verify", UNIT), "",
                     "what systemd says of the unit")
        expect_equal(root.try_run("systemctl", "is-enabled", UNIT).stdout.strip(), "disabled",
                     "the service after installation")


@limit(240)
def an_upgrade_keeps_what_the_operator_and_the_agent_wrote():
    with _debian() as root:
        root.run("dpkg", "-i", root.older)
        expect((root.path / "usr/share/loris/went.txt").exists(), "the older version is not there")
        config = root.path / CONFIG
        written = {config: config.read_text() + "\ndrain: {min: 20ms, max: 1s}\n",
                   root.path / "etc/loris/conf.d/site.yaml": "interval: 20s\n",
                   root.path / "var/lib/loris/alerts.state": '{"alerts":[]}\n',
                   root.path / "var/log/loris/summaries.jsonl": '{"schema":"loris.series/1"}\n'}
        written[config] = written[config].replace("drain: {min: 10ms, max: 1s}\n", "")
        for path, text in written.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        root.run("systemctl", "enable", UNIT)
        # Both sides changed the file, and nobody is there to ask: the operator's stays.
        root.run("dpkg", "--force-confdef", "--force-confold", "-i", root.newer)
        expect_equal(_status(root), f"install ok installed {version()}", "the package")
        for path, text in written.items():
            expect_equal(path.read_text(), text, str(path.relative_to(root.path)))
        offered = config.with_name("loris.yaml.dpkg-dist")
        expect("idle_ttl: 10m" in offered.read_text(), "the new default is not beside it")
        expect("fine" in root.run("loris", "check-config", f"/{CONFIG}"), "the kept configuration")
        expect(not (root.path / "usr/share/loris/went.txt").exists(), "an old file is left")
        expect_equal(root.run("systemctl", "is-enabled", UNIT).strip(), "enabled",
                     "the service after the upgrade")


@limit(240)
def an_upgrade_brings_the_new_default_where_nothing_was_changed():
    with _debian() as root:
        root.run("dpkg", "-i", root.older)
        root.run("dpkg", "-i", root.newer)
        expect("idle_ttl: 10m" in (root.path / CONFIG).read_text(), "the older default is left")
        expect_equal(list((root.path / "etc/loris").glob("*.dpkg-*")), [], "copies of it")
        root.run("dpkg", "-P", "loris")
        expect_equal(_left(root), [], "what a purged package leaves that was never changed")


@limit(240)
def removing_keeps_the_configuration_and_purging_leaves_nothing():
    with _debian() as root:
        root.run("dpkg", "-i", root.newer)
        root.run("systemctl", "enable", UNIT)
        for path in ("etc/loris/conf.d/site.yaml", "var/lib/loris/alerts.state",
                     "var/log/loris/summaries.jsonl"):
            (root.path / path).parent.mkdir(parents=True, exist_ok=True)
            (root.path / path).write_text("{}\n")
        (root.path / CONFIG).write_text("interval: 20s\n")

        root.run("dpkg", "-r", "loris")
        left = [path for path in _left(root)
                if not re.match(r"/etc/loris|/var/(lib|log)/loris|/etc/logrotate\.d/loris"
                                r"|/etc/systemd/system|/run/loris"
                                r"|/var/lib/systemd/deb-systemd-helper", path)]
        expect_equal(left, [], "what a removed package leaves, beside its data")
        root.run("dpkg", "-i", root.newer)
        expect_equal((root.path / CONFIG).read_text(), "interval: 20s\n",
                     "the configuration after it came again")

        root.run("dpkg", "-P", "loris")
        left = _left(root)
        # A file that the operator put into conf.d is his.
        expect_equal(left, ["/etc/loris", "/etc/loris/conf.d", "/etc/loris/conf.d/site.yaml"],
                     "what a purged package leaves")
        root.run("getent", "group", "loris")


@limit(240)
def the_service_is_started_by_the_operator_alone_and_survives_an_upgrade():
    """A running service manager needs a machine of its own; here, what it would be told."""
    with _debian() as root:
        told = root.path / "var/tmp/told"
        (root.path / "run/systemd/system").mkdir(parents=True)
        invoke = root.path / "usr/bin/deb-systemd-invoke"
        invoke.parent.mkdir(parents=True)
        invoke.write_text('#!/bin/sh\necho "$@" >>/var/tmp/told\n')
        invoke.chmod(0o755)

        def does(*command):
            told.parent.mkdir(parents=True, exist_ok=True)
            told.write_text("")
            root.run(*command)
            return told.read_text().splitlines()

        expect_equal(does("dpkg", "-i", root.older), [], "what installing tells the manager")
        expect_equal(does("dpkg", "-i", root.newer), [f"try-restart {UNIT}"],
                     "what an upgrade tells the manager")
        expect_equal(does("dpkg", "-r", "loris"), [f"stop {UNIT}"], "what removing tells it")

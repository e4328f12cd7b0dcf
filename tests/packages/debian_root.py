# SPDX-License-Identifier: GPL-2.0-or-later
"""A minimal Debian to install into: made once, and each test writes into a layer of its own."""

import os
import pathlib
import shutil
import subprocess

import debian_archive
from built import FOLDER
from expectations import Skip, expect, need

BASE = FOLDER / "debian"    # with what the package depends on, as `depends` beside it says
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive",
               "LC_ALL": "C.UTF-8", "HOME": "/root",
               **{name: value for name, value in os.environ.items() if name.endswith("_proxy")}}


def _release():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        name, _, value = line.partition("=")
        if name == "VERSION_CODENAME":
            return value.strip('"')
    raise Skip("this system has no VERSION_CODENAME, so which Debian to take is not known")


def _make_base(depends):
    need("debootstrap")
    try:
        mirror = debian_archive.mirrors()["main"]
    except debian_archive.Unavailable as reason:
        raise Skip(str(reason)) from reason
    folder = BASE.with_suffix(".new")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _may_fail(f"no Debian from {mirror}", ["debootstrap", "--variant=minbase", _release(),
                                           str(folder), mirror])
    shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
    for step in (["update"], ["satisfy", depends], ["clean"]):
        command = ["apt-get", "-q", "-y", "--no-install-recommends", *step]
        _may_fail(f"no {depends}", _inside(folder, f'root={folder}', command))
    (folder / "depends").write_text(depends)
    shutil.rmtree(BASE, ignore_errors=True)
    folder.rename(BASE)


def _may_fail(what, command):
    """What needs the archive is skipped without it."""
    done = subprocess.run(command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, text=True,
                          capture_output=True)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
        raise Skip(f"{what}: {command[0]} says {said[-1]}")


def _inside(folder, get_root, command):
    """A mount namespace of its own, with what a running system has; nothing stays mounted.
    get_root: shell code that leaves in $root what becomes the root."""
    script = (f'set -e; cd "$1"; shift; {get_root}; mount -t proc proc "$root/proc"; '
              'mount --rbind /sys "$root/sys"; mount --bind /dev/null "$root/dev/null"; '
              'exec chroot "$root" "$@"')
    return ["unshare", "--mount", "sh", "-c", script, "sh", str(folder), *map(str, command)]


class DebianRoot:
    """With the packages that are depended on. path: the layer with all that is new here, which
    may be read and written while nothing runs."""

    def __init__(self, folder, depends):
        if not (BASE / "depends").exists() or (BASE / "depends").read_text() != depends:
            _make_base(depends)
        self.folder = pathlib.Path(folder)
        self.path = self.folder / "upper"
        for part in ("upper", "work", "root", "upper/tmp"):
            (self.folder / part).mkdir(exist_ok=True)

    def try_run(self, *command):
        overlay = (f"root=root; mount -t overlay overlay -o lowerdir='{BASE}',upperdir=upper,"
                   "workdir=work root")
        return subprocess.run(_inside(self.folder, overlay, command), env=ENVIRONMENT, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True)

    def run(self, *command):
        done = self.try_run(*command)
        expect(done.returncode == 0,
               f"{' '.join(map(str, command))}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def copy_in(self, archive):
        """The archive's path inside."""
        shutil.copy(archive, self.path / "tmp")
        return f"/tmp/{pathlib.Path(archive).name}"

    def changed(self):
        """Paths of what is not as it was before anything ran here, but for /tmp."""
        found = []
        for folder, subfolders, names in os.walk(self.path):
            inside = os.path.relpath(folder, self.path)
            for name in [*names, *subfolders]:
                path = os.path.normpath(os.path.join(inside, name))
                if not path.startswith("tmp") and _state(self.path / path) != _state(BASE / path):
                    found.append("/" + path)
        return sorted(found)


def _state(path):
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return "none"
    kind = f"{status.st_mode:o} {status.st_uid}:{status.st_gid}"
    if os.path.islink(path):
        return f"{kind} {os.readlink(path)}"
    if os.path.isfile(path):
        with open(path, "rb") as file:
            return f"{kind} {file.read()}"
    return kind

# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian packages of any suite: downloaded and unpacked into a folder, never installed.

apt works on a private state of its own, so the machine's package lists stay as they are; only
its proxies, mirrors and keys are used.
"""

import pathlib
import re
import shutil
import subprocess

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Unavailable(Exception):
    """The package cannot be had here; who wanted it is skipped, not failed."""


def unpack(suites, packages, folder, closure=False):
    """Unpacks packages of the suites below folder/root, once; returns that root.

    With closure, all that they depend on as well: for programs that run on their own libraries.
    """
    folder = pathlib.Path(folder).resolve()
    done = folder / "complete"
    root = folder / "root"
    if done.exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    try:
        apt = PrivateApt(folder / "apt", suites)
        apt.run("apt-get", "update")
        if closure:
            apt.run("apt-get", "-y", "--no-install-recommends", "--download-only", "install",
                    *packages)
        else:
            apt.run("apt-get", "download", *packages, cwd=apt.folder / "archives")
        for archive in sorted((apt.folder / "archives").glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(archive), str(root)], check=True,
                           capture_output=True, text=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        raise Unavailable(f"{' '.join(packages)} of {suites[0]}: {last_line(error)}") from error
    shutil.rmtree(folder / "apt")
    done.touch()
    return root


class PrivateApt:
    def __init__(self, folder, suites):
        self.folder = folder
        for part in ("lists/partial", "archives/partial", "etc"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        named = mirrors()
        lines = []
        for suite in suites:
            mirror = named.get("security" if suite.endswith("-security") else "main")
            if mirror:
                lines.append(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
        (folder / "etc" / "sources.list").write_text("".join(lines))

    def run(self, tool, *arguments, cwd=None):
        options = {
            "Dir::State": self.folder,
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder,
            "Dir::Etc::sourcelist": self.folder / "etc" / "sources.list",
            "Dir::Etc::sourceparts": "-",
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "root",
        }
        command = [tool, "-q", *[f"-o{key}={value}" for key, value in options.items()], *arguments]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300,
                              check=True)
        return done.stdout


def mirrors():
    """The mirrors this machine itself uses for Debian."""
    named = {}
    places = [pathlib.Path("/etc/apt/sources.list"),
              *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    for place in places:
        if not place.is_file():
            continue
        text = re.sub(r"#.*", "", place.read_text(errors="replace"))
        for uri in re.findall(r"https?://\S+", text):
            uri = uri.rstrip("/")
            if uri.endswith("/debian-security"):
                named["security"] = uri
            elif uri.endswith("/debian"):
                named["main"] = uri
    if "main" not in named:
        raise Unavailable("this machine's apt sources name no Debian mirror")
    return named


def last_line(error):
    text = getattr(error, "stderr", None) or str(error)
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

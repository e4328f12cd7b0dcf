# SPDX-License-Identifier: GPL-2.0-or-later
"""Packages of the tree as it is: built once for what it holds, and taken from build/ after that."""

import hashlib
import pathlib
import shutil
import subprocess

from expectations import expect, need

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build/packages"
SOURCES = ["Makefile", "README.md", "LICENSE", "bpf", "include", "packaging", "user", "vmlinux"]


def version():
    text = (ROOT / "Makefile").read_text()
    return text.partition("VERSION := ")[2].split()[0]


def build(kind, folder, cwd=ROOT, environment=None):
    """kind: deb or rpm. Runs what `make deb` or `make rpm` run."""
    need("scdoc", *{"deb": ["dpkg-buildpackage", "dh"], "rpm": ["rpmbuild"]}[kind])
    command = ["sh", "packaging/build-" + kind + ".sh", version(), str(folder)]
    done = subprocess.run(command, cwd=cwd, env=environment, text=True, capture_output=True)
    expect(done.returncode == 0, done.stderr)


def _key():
    total = hashlib.sha256()
    for top in SOURCES:
        for path in sorted([ROOT / top, *(ROOT / top).rglob("*")]):
            if path.is_file() and path.suffix not in (".o", ".d"):
                total.update(f"{path.relative_to(ROOT)} {path.stat().st_mode:o}\0".encode())
                total.update(path.read_bytes())
    return total.hexdigest()[:16]


def packages(kind):
    """The folder with the packages of this tree."""
    folder = FOLDER / kind
    stamp = folder / f"of-{_key()}"
    if not stamp.exists():
        shutil.rmtree(folder, ignore_errors=True)
        build(kind, folder)
        stamp.touch()
    return folder


def deb():
    return packages("deb") / f"loris_{version()}_amd64.deb"


def changes():
    return packages("deb") / f"loris_{version()}_amd64.changes"


def rpm():
    return packages("rpm") / f"loris-{version()}-1.x86_64.rpm"

# SPDX-License-Identifier: GPL-2.0-or-later
"""The tools loris is measured against: where they are, how they are started, what they counted."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

from children import Child
from target import PROGRAMS, ROOT

sys.path.insert(0, str(ROOT / "tests"))
import debian_archive  # noqa: E402  (found through the path above)

PACKAGES = PROGRAMS / "packages"
SEARCH = "/usr/sbin:/usr/bin:/sbin:/bin"

FUNCLATENCY = "libbpf-tools funclatency"
FUNCLATENCY_BCC = "bpfcc funclatency"
BPFTRACE = "bpftrace (bookworm) hist"
BPFTRACE_NEW = "bpftrace (trixie) hist"
SYSCOUNT = "libbpf-tools syscount -L"
MEMLEAK = "memleak-bpfcc"
PERF_TRACE = "perf trace -s"
STRACE = "strace -c"

HIST = ("{start} {{ @s[tid] = nsecs; }} "
        "{end} /@s[tid]/ {{ @h = hist(nsecs - @s[tid]); delete(@s[tid]); }}")


class Missing(Exception):
    """The tool cannot run here; the text says why."""


def _program(name, package):
    path = shutil.which(name, path=SEARCH)
    if not path:
        raise Missing(f"{name} is not installed (package {package})")
    return path


def _bpftrace(release):
    """The command line up to its options."""
    if release == "bookworm":
        return [_program("bpftrace", "bpftrace")]
    root = _unpacked("trixie-bpftrace", ["trixie"], ["bpftrace"], closure=True)
    libraries = next(root.glob("usr/lib/*/libc.so.6")).parent
    loader = next(libraries.glob("ld-linux*.so*"))
    return [str(loader), "--library-path", str(libraries), str(root / "usr/bin/bpftrace")]


def _unpacked(folder, suites, packages, closure=False):
    try:
        root = debian_archive.unpack(suites, packages, PACKAGES / folder, closure)
    except debian_archive.Unavailable as reason:
        raise Missing(str(reason)) from None
    for unwanted in root.rglob("*.d"):  # the Makefile reads what is called so below build/
        if unwanted.is_dir():
            shutil.rmtree(unwanted)
        else:
            unwanted.unlink()
    return root


def _kernel_headers():
    """bcc compiles against kernel headers; those of Debian's kernel do where there are none for
    this one, for the tools used here read no kernel structs but the registers."""
    own = pathlib.Path("/lib/modules") / os.uname().release / "build"
    if own.exists() or os.path.exists("/sys/kernel/kheaders.tar.xz"):
        return {}
    merged = PACKAGES / "kernel-headers/merged"
    if not merged.exists():
        said = subprocess.run(["apt-cache", "depends", "linux-headers-cloud-amd64"],
                              capture_output=True, text=True).stdout
        flavour = re.search(r"(linux-headers-\d\S*)-cloud-amd64", said)
        if not flavour:
            raise Missing("no kernel headers for bcc: apt knows no linux-headers-cloud-amd64")
        common, own_part = f"{flavour[1]}-common", f"{flavour[1]}-cloud-amd64"
        root = _unpacked("kernel-headers", ["bookworm", "bookworm-security"], [common, own_part])
        growing = merged.with_name("merging")
        shutil.rmtree(growing, ignore_errors=True)
        for part in (common, own_part):
            shutil.copytree(root / "usr/src" / part, growing, dirs_exist_ok=True, symlinks=True,
                            ignore=shutil.ignore_patterns("scripts", "tools"))
        growing.rename(merged)
    return {"BCC_KERNEL_SOURCE": str(merged)}


# --- starting them: each returns a Child, or raises Missing --------------------------------------


def _bpftrace_function(release):
    def start(path, function):
        program = HIST.format(start=f"uprobe:{path}:{function}", end=f"uretprobe:{path}:{function}")
        return Child([*_bpftrace(release), "-e", program])
    return start


def _bpftrace_syscall(release):
    def start(_pid):
        program = HIST.format(start="tracepoint:syscalls:sys_enter_getppid",
                              end="tracepoint:syscalls:sys_exit_getppid")
        return Child([*_bpftrace(release), "-e", program])
    return start


def _funclatency(path, function):
    return Child([_program("funclatency", "libbpf-tools"), f"{path}:{function}"])


def _funclatency_bcc(path, function):
    program = _program("funclatency-bpfcc", "bpfcc-tools")
    return Child([program, f"{path}:{function}"], environment=_kernel_headers())


def _syscount(_pid):
    return Child([_program("syscount", "libbpf-tools"), "-L"])


def _perf_trace(pid):
    return Child([_program("perf", "linux-perf"), "trace", "-s", "-p", pid])


def _strace(pid):
    return Child([_program("strace", "strace"), "-c", "-f", "-p", pid])


def memleak(pid, library):
    return Child([_program("memleak-bpfcc", "bpfcc-tools"), "-p", pid, "-O", library, 3600],
                 environment=_kernel_headers())


# What times a function, given the file and the name; and what times syscalls, given a pid.
ON_FUNCTIONS = {
    FUNCLATENCY: _funclatency,
    FUNCLATENCY_BCC: _funclatency_bcc,
    BPFTRACE: _bpftrace_function("bookworm"),
    BPFTRACE_NEW: _bpftrace_function("trixie"),
}
ON_SYSCALLS = {
    BPFTRACE: _bpftrace_syscall("bookworm"),
    BPFTRACE_NEW: _bpftrace_syscall("trixie"),
    SYSCOUNT: _syscount,
    PERF_TRACE: _perf_trace,
    STRACE: _strace,
}


def counted(output):
    """Calls in the histogram that a tool printed, None when it printed none."""
    rows = re.findall(r"^\s*\d+ -> \d+\s*: (\d+)|^[\[(][^|]*?[\])]\s+(\d+) \|", output, re.M)
    return sum(int(one or other) for one, other in rows) if rows else None


# --- command line and environment of those that print once, after so many seconds -----------------


def funclatency_once(path, function, seconds):
    return [_program("funclatency", "libbpf-tools"), "-d", seconds, f"{path}:{function}"], {}


def funclatency_bcc_once(path, function, seconds):
    program = _program("funclatency-bpfcc", "bpfcc-tools")
    return [program, "-d", seconds, f"{path}:{function}"], _kernel_headers()


def bpftrace_once(release, path, function, seconds):
    program = HIST.format(start=f"uprobe:{path}:{function}", end=f"uretprobe:{path}:{function}")
    program += f" interval:s:{seconds} {{ print(@h); exit(); }}"
    return [*_bpftrace(release), "-e", program], {}


def versions():
    """What each tool says of itself."""
    asked = {
        "bpftrace (bookworm)": lambda: [*_bpftrace("bookworm"), "--version"],
        "bpftrace (trixie)": lambda: [*_bpftrace("trixie"), "--version"],
        "perf": lambda: [_program("perf", "linux-perf"), "--version"],
        "strace": lambda: [_program("strace", "strace"), "--version"],
        "libbpf-tools": lambda: ["dpkg-query", "-W", "-f", "${Version}", "libbpf-tools"],
        "bpfcc-tools": lambda: ["dpkg-query", "-W", "-f", "${Version}", "bpfcc-tools"],
        "libc": lambda: ["dpkg-query", "-W", "-f", "${Version}", "libc6"],
        "loris": lambda: [ROOT / "build/release/lorisd", "--version"],
    }
    found = {}
    for name, command in asked.items():
        try:
            done = subprocess.run(command(), capture_output=True, text=True, timeout=20)
            lines = (done.stdout or done.stderr).splitlines()
            found[name] = lines[0].strip() if lines else "?"
        except (Missing, OSError, subprocess.TimeoutExpired) as reason:
            found[name] = str(reason)
    return found

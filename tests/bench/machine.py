# SPDX-License-Identifier: GPL-2.0-or-later
"""What the figures were taken on."""

import os
import pathlib
import re
import subprocess


def _first(pattern, path):
    try:
        found = re.search(pattern, pathlib.Path(path).read_text(), re.M)
    except OSError:
        return "?"
    return found[1].strip() if found else "?"


def _hypervisor():
    done = None
    try:
        done = subprocess.run(["systemd-detect-virt", "--vm"], capture_output=True, text=True)
    except OSError:
        pass
    if done and done.stdout.strip():
        return done.stdout.strip()
    return "some" if " hypervisor" in _first(r"^flags\s*:(.*)$", "/proc/cpuinfo") else "none seen"


def load():
    return " ".join(f"{figure:.2f}" for figure in os.getloadavg())


def describe():
    system = os.uname()
    memory_kib = _first(r"^MemTotal:\s*(\d+)", "/proc/meminfo")
    return {
        "cpu": _first(r"^model name\s*:(.*)$", "/proc/cpuinfo"),
        "cpus": os.cpu_count(),
        "mhz": _first(r"^cpu MHz\s*:(.*)$", "/proc/cpuinfo"),
        "memory_gib": round(int(memory_kib) / 2**20, 1) if memory_kib.isdigit() else "?",
        "hypervisor": _hypervisor(),
        "kernel": f"{system.release} {system.machine}",
        "distribution": _first(r'^PRETTY_NAME="?([^"\n]*)', "/etc/os-release"),
        "bpf_jit": _first(r"(\d+)", "/proc/sys/net/core/bpf_jit_enable"),
        "load": load(),
    }

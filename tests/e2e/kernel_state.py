# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel holds of us and what a process costs."""

import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

from expectations import expect_equal, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
BPFTOOL = shutil.which("bpftool", path="/usr/sbin:/usr/bin:/sbin:/bin") or "bpftool"


def bpf_objects(kind):
    """What bpftool lists: kind is prog, link or map. It stumbles over what goes away meanwhile."""
    for _ in range(20):
        done = subprocess.run([BPFTOOL, "-j", kind, "show"], capture_output=True, text=True)
        if done.returncode == 0:
            break
        time.sleep(0.05)
    expect_equal(done.returncode, 0, f"bpftool {kind} ({done.stderr.strip()})")
    listed = json.loads(done.stdout or "[]")
    return listed if isinstance(listed, list) else []


def holders():
    """{(kind, id): pids} of the BPF objects that processes hold by descriptors. bpftool would tell
    with an iterator of its own, which not every build has."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/fd/*"):
        try:
            if not os.readlink(path).startswith("anon_inode:bpf"):
                continue
            told = pathlib.Path(path.replace("/fd/", "/fdinfo/")).read_text()
        except OSError:  # the descriptor or its process went away
            continue
        for kind, number in re.findall(r"^(map|prog|link)_id:\t(\d+)$", told, re.MULTILINE):
            found.setdefault((kind, int(number)), set()).add(int(path.split("/")[2]))
    return found


def bpf_ids():
    return {kind: {item["id"] for item in bpf_objects(kind)} for kind in ("prog", "link", "map")}


def map_names():
    """Names of our maps, cut as the kernel cuts them."""
    names = set()
    for source in (ROOT / "bpf").glob("*.bpf.c"):
        names |= set(re.findall(r"\b(\w+) SEC\(\"\.maps\"\)", source.read_text()))
    return {name[:15] for name in names}


def leftovers(before):
    """Programs, links and maps of ours that came after `before` and that nobody else holds."""
    found = []
    ours = set()
    maps = map_names()
    held = holders()

    def abandoned(kind, item):
        return all(in_our_group(pid) for pid in held.get((kind, item["id"]), ()))

    for prog in bpf_objects("prog"):
        if prog["id"] not in before["prog"] and prog.get("name", "").startswith("on_"):
            ours.add(prog["id"])
            if abandoned("prog", prog):
                found.append(f"prog {prog['id']} {prog['name']}")
    for link in bpf_objects("link"):
        if link["id"] not in before["link"] and link.get("prog_id") in ours and abandoned("link", link):
            found.append(f"link {link['id']} {link.get('type')}")
    for item in bpf_objects("map"):
        if item["id"] not in before["map"] and item.get("name") in maps and abandoned("map", item):
            found.append(f"map {item['id']} {item['name']}")
    return found


def in_our_group(pid):
    """Whether a process that holds something was started by this test, or is gone."""
    try:
        return os.getpgid(pid) == os.getpgid(0)
    except ProcessLookupError:
        return True


def expect_nothing_left(before, seconds=20):
    """The kernel frees BPF objects a moment after their last reference; then none may remain.

    What appears from now on is somebody else's: whoever made ours has ended."""
    suspects = set(leftovers(before))
    try:
        wait_for(lambda: not suspects & set(leftovers(before)), seconds,
                 "nothing of ours remains in the kernel")
    except AssertionError as error:
        left = sorted(suspects & set(leftovers(before)))
        raise AssertionError(f"{error}: {left}") from None


def memory_figures(agent):
    """Bytes: resident without ring pages (they are the kernel's maps), kernel maps, both."""
    resident = 0
    ring_pages = False
    for line in pathlib.Path(f"/proc/{agent.pid}/smaps").read_text().splitlines():
        if re.match(r"^[0-9a-f]+-[0-9a-f]+ ", line):
            ring_pages = "bpf-map" in line or "bpf_map" in line
        elif line.startswith("Rss:") and not ring_pages:
            resident += int(line.split()[1]) * 1024
    held = holders()  # all but the programs' constants, some KB
    kernel = sum(int(item.get("bytes_memlock", 0)) for item in bpf_objects("map")
                 if agent.pid in held.get(("map", item["id"]), ()))
    return {"resident": resident, "kernel": kernel, "total": resident + kernel}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def context_switches(pid):
    total = 0
    for status in pathlib.Path(f"/proc/{pid}/task").glob("*/status"):
        total += sum(int(number) for number in
                     re.findall(r"ctxt_switches:\s*(\d+)", status.read_text()))
    return total


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_bytes(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmRSS:\s*(\d+)", text).group(1)) * 1024

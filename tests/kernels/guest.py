# SPDX-License-Identifier: GPL-2.0-or-later
"""A Debian kernel in qemu's TCG emulator with our programs in an initramfs.

The guest runs a list of shell cases. What they print comes back over a second serial port, the
kernel's own log over the first. Hardware virtualisation is never used: it hangs on hosts that are
guests themselves, and times inside the emulator mean nothing anyway. Two things of qemu 7.2's
emulator are avoided: cmpxchg16b, which goes wrong (6.12's slab allocator panics at boot), and one
host thread for each CPU, where patching kernel text now and then hangs. Without that instruction
newer kernels give no memory to callers that cannot wait (kmalloc_nolock), which is where task
storage gets its own from, but from caches under debugging they do: hence slab_debug.
"""

import gzip
import os
import pathlib
import re
import shutil
import subprocess

BUSYBOX = "/bin/busybox"
MARK = "@@loris"

INIT = """#!/bin/sh
export PATH=/bin:/sbin TMPDIR=/tmp HOME=/tmp
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/shm /run /tmp
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t tracefs trace /sys/kernel/tracing
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup /sys/fs/cgroup
ip link set lo up
stty -F /dev/ttyS1 raw -echo 2>/dev/null
exec 3>/dev/ttyS1
echo "{mark} kernel $(uname -r)" >&3
for case in /cases/*.sh; do
    name=$(basename "$case" .sh)
    rm -rf /tmp/*
    echo "{mark} begin $name" >&3
    echo "loris case $name" > /dev/kmsg
    limit=$(cat "/cases/$name.limit")
    ( cd /tmp; timeout -s KILL "$limit" sh "$case" ) >/tmp/.out 2>/tmp/.err </dev/null
    status=$?
    cat /tmp/.out >&3
    printf '\\n{mark} stderr %s\\n' "$name" >&3
    tail -c 8192 /tmp/.err >&3
    printf '\\n' >&3
    echo "{mark} end $name $status" >&3
done
echo "{mark} done" >&3
exec 3>&-
sync
poweroff -f
"""


class GuestFailed(Exception):
    """The machine panicked, hung or never came up; the text holds the end of its log.

    outputs: what its cases printed until then, as boot() returns it.
    """

    def __init__(self, text, outputs):
        super().__init__(text)
        self.outputs = outputs


class CaseOutput:
    def __init__(self, name):
        self.name = name
        self.stdout = []
        self.stderr = []
        self.status = None  # None: the machine ended before the case did


def boot(kernel, binaries, cases, folder, limit_s=300, cpus=2):
    """Runs cases ({name: (script, seconds)}) in order. Returns (uname -r, {name: CaseOutput}).

    binaries: {path in the guest: path here}; the libraries they need are added.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / "initramfs.gz"
    _build_initramfs(image, folder / "tree", binaries, cases)
    log, results = folder / "console.log", folder / "results.log"
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=single", "-cpu", "max,cx16=off",
               "-smp", str(cpus),
               "-m", "1536", "-nodefaults", "-no-reboot", "-display", "none", "-net", "none",
               "-kernel", str(kernel), "-initrd", str(image),
               "-append", "console=ttyS0 quiet loglevel=5 panic=-1 oops=panic mitigations=off"
                          " random.trust_cpu=on slab_debug=F,kmalloc-*",
               "-serial", f"file:{log}", "-serial", f"file:{results}"]
    machine = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    ended = True
    try:
        machine.wait(timeout=limit_s)
    except subprocess.TimeoutExpired:
        ended = False
    finally:
        machine.kill()
        machine.wait()
    said = _text(machine.stdout.read())
    return _read_results(_text(log), _text(results), said, ended, limit_s)


def _text(source):
    if isinstance(source, pathlib.Path):
        source = source.read_bytes() if source.exists() else b""
    return source.decode(errors="replace").replace("\r", "")


def _read_results(log, results, said, ended, limit_s):
    release, outputs, lines, done = None, {}, None, False
    current = None
    for line in results.splitlines():
        word = line.split()
        if not line.startswith(MARK):
            if lines is not None and line:
                lines.append(line)
        elif len(word) < 2 or (len(word) < 3 and word[1] != "done"):
            break  # the machine died while it wrote this
        elif word[1] == "kernel":
            release = word[2]
        elif word[1] == "begin":
            current = outputs[word[2]] = CaseOutput(word[2])
            lines = current.stdout
        elif word[1] == "stderr":
            lines = current.stderr
        elif word[1] == "end":
            current.status, lines = int(word[3]) if len(word) > 3 else None, None
        elif word[1] == "done":
            done = True
    tail = "\n".join(log.splitlines()[-40:])
    trouble = re.search(r"Kernel panic|BUG: |Oops|general protection|WARNING: .*|rcu: INFO.*stall",
                        log)
    if trouble:
        where = f" in {current.name}" if current else ""
        raise GuestFailed(f"kernel trouble{where}: {trouble.group(0)}\n{tail}", outputs)
    if not ended:
        where = f" in {current.name}" if current else " before its first case"
        raise GuestFailed(f"the machine did not end within {limit_s} s, it was{where}\n{tail}",
                          outputs)
    if release is None or not done:
        raise GuestFailed(f"the machine ended early: {said.strip()}\n{tail}", outputs)
    return release, outputs


def _build_initramfs(image, tree, binaries, cases):
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("bin", "sbin", "proc", "sys", "dev", "tmp", "run", "etc", "cases", "lib64",
                 "var/log"):
        (tree / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, tree / "bin/busybox")
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True)
    for applet in applets.stdout.split():
        if applet != "busybox":
            (tree / "bin" / applet).symlink_to("busybox")
    (tree / "etc/passwd").write_text("root:x:0:0:root:/tmp:/bin/sh\n"
                                     "nobody:x:65534:65534:nobody:/tmp:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\nnogroup:x:65534:\n")
    for inside, outside in binaries.items():
        _add_file(tree, inside, outside)
        for library in _libraries(outside):
            _add_file(tree, library, library)
    for name, (script, seconds) in cases.items():
        (tree / "cases" / f"{name}.sh").write_text(script)
        (tree / "cases" / f"{name}.limit").write_text(f"{seconds}\n")
    (tree / "init").write_text(INIT.replace("{mark}", MARK))
    (tree / "init").chmod(0o755)
    names = subprocess.run(["find", ".", "-print0"], cwd=tree, capture_output=True, check=True)
    archive = subprocess.run(["cpio", "--null", "-o", "-H", "newc", "--quiet", "-R", "0:0"],
                             cwd=tree, input=names.stdout, capture_output=True, check=True)
    image.write_bytes(gzip.compress(archive.stdout, compresslevel=1))
    shutil.rmtree(tree)


def _add_file(tree, inside, outside):
    target = tree / str(inside).lstrip("/")
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(os.path.realpath(outside), target)


def _libraries(binary):
    """What the dynamic linker loads for a binary, and what it may dlopen; nothing if static."""
    listed = subprocess.run(["ldd", str(binary)], capture_output=True, text=True)
    found = set(re.findall(r"(/\S+\.so\S*)", listed.stdout))
    if found:
        names = re.findall(rb"\0(lib[a-z]+\.so\.\d+)\0", pathlib.Path(binary).read_bytes())
        folders = {os.path.dirname(path) for path in found}
        found |= {os.path.join(folder, name.decode()) for name in names for folder in folders
                  if os.path.exists(os.path.join(folder, name.decode()))}
    return sorted(found)

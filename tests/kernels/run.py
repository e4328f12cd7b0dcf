#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Boots Debian kernels in an emulator and runs the cases of cases.py in them.

    tests/kernels/run.py [--kernel 6.1]... [--cache DIR] [--binaries DIR] [PATTERN...]

Kernels are downloaded once into the cache folder (build/kernels, or $LORIS_KERNEL_CACHE), never
installed. One that cannot be had is a skip.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import cases  # noqa: E402  (found through the path above)
import debian_kernel  # noqa: E402
import guest  # noqa: E402

UNSTEADY_MAX = 2  # failures that may be tried again
GUEST_PROGRAMS = ["qemu-system-x86_64", "cpio", "ldd", "dpkg", "gcc"]
WORKLOADS_FROM_E2E = ["heap", "many_calls", "recursion"]


def build_workloads(folder):
    """Static programs: the only reads and faults of the process are its own. {guest path: path}"""
    folder.mkdir(parents=True, exist_ok=True)
    shared = ROOT / "tests/e2e/workloads"
    sources = [*sorted((HERE / "workloads").glob("*.c")),
               *[shared / f"{name}.c" for name in WORKLOADS_FROM_E2E]]
    programs = {}
    for source in sources:
        program = folder / source.stem
        subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-Wall", "-Wextra",
                        "-static", "-pthread", f"-I{shared}", str(source), "-o", str(program)],
                       check=True)
        programs[f"/opt/{source.stem}"] = program
    return programs


def run_kernel(series, chosen, programs, options, counts):
    """Returns the entries of `chosen` that failed; all, when the machine did."""
    failed = []

    def report(outcome, name, text=""):
        counts[outcome] += 1
        print(f"{outcome} {series}: {name}" + (f"\n    {text}" if text else ""), flush=True)

    try:
        kernel = debian_kernel.fetch(series, options.cache)
    except debian_kernel.Unavailable as reason:
        report("skip", "kernel", str(reason))
        return failed
    scripts = {f"{number:02d}_{name}": (script, seconds)
               for number, (name, seconds, script, _) in enumerate(chosen)}
    print(f"     {series}: {len(chosen)} cases in an emulated machine, a minute or two", flush=True)
    begin = time.monotonic()
    folder = tempfile.mkdtemp(prefix="loris-guest-")
    outputs = {}
    try:
        release, outputs = guest.boot(kernel, programs, scripts, folder, options.limit)
        print(f"     {series}: booted {release}, {time.monotonic() - begin:.1f} s in all")
    except guest.GuestFailed as failure:
        report("fail", "machine", str(failure).replace("\n", "\n    "))
        outputs = failure.outputs
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for label, entry in zip(scripts, chosen):
        name, _, _, check = entry
        output = outputs.get(label)
        sentence = name.replace("_", " ")
        if output is None or output.status is None:
            report("fail", sentence, "the machine ended before it")
            failed.append(entry)
            continue
        try:
            check(cases.Report(output, series))
            report("pass", sentence)
        except cases.Skipped as reason:
            report("skip", sentence, str(reason))
        except Exception as failure:  # a check may meet any nonsense in the output
            said = "\n    ".join(output.stderr[-15:] + output.stdout[-3:])
            report("fail", sentence, f"{type(failure).__name__}: {failure}\n    {said[-3000:]}")
            failed.append(entry)
    return failed


def run_kernel_steadily(series, chosen, programs, options, counts):
    """An emulated machine on a busy one is slow: a few failures run again, in a machine of their
    own."""
    failures = counts["fail"]
    failed = run_kernel(series, chosen, programs, options, counts)
    if not 0 < len(failed) <= UNSTEADY_MAX:
        return
    counts["fail"] = failures
    for name, *_ in failed:
        print(f"unsteady: {series}: {name.replace('_', ' ')}\n    failed, and runs again")
    run_kernel(series, failed, programs, options, counts)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", action="append", help="6.1 (default), 6.12 or sid")
    parser.add_argument("--cache", default=os.environ.get("LORIS_KERNEL_CACHE",
                                                          str(ROOT / "build/kernels")))
    parser.add_argument("--binaries", default=str(ROOT / "build/release"))
    parser.add_argument("--limit", type=int, default=900, help="seconds for one machine")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()

    counts = {"pass": 0, "fail": 0, "skip": 0}
    missing = [program for program in GUEST_PROGRAMS if not shutil.which(program)]
    if not os.path.exists(guest.BUSYBOX):
        missing.append("busybox-static")
    chosen = [entry for entry in cases.CASES
              if not options.patterns or any(part in entry[0] for part in options.patterns)]
    if missing:
        counts["skip"] = 1
        print(f"skip kernels: not installed: {', '.join(missing)}")
    else:
        binaries = pathlib.Path(options.binaries)
        bpftool = shutil.which("bpftool", path="/usr/sbin:/usr/bin:/sbin:/bin")
        programs = {"/bin/loris": binaries / "loris", "/bin/lorisd": binaries / "lorisd",
                    "/bin/bpftool": bpftool,
                    **build_workloads(pathlib.Path(options.cache) / "workloads")}
        absent = [str(path) for path in programs.values() if not path or not os.path.exists(path)]
        if absent:
            sys.exit(f"not built or not installed: {', '.join(absent)}")
        for series in options.kernel or ["6.1"]:
            run_kernel_steadily(series, chosen, programs, options, counts)
    print(f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    return 1 if counts["fail"] else 0


if __name__ == "__main__":
    sys.exit(main())

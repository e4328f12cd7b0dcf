#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs the end-to-end tests as root, one after another, each in a process group of its own.

    tests/e2e/run.py [PATTERN...]    only tests whose file or name contains a pattern
    tests/e2e/run.py --list          what there is

A test is a public function of a test_*.py; its name is a sentence. Raising Skip skips it. A few
failures are tried again at the end; what passes then is told of as unsteady.
"""

import importlib
import inspect
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import support  # noqa: E402  (found through the path above)

DEFAULT_LIMIT_S = 60
UNSTEADY_MAX = 3  # failures of one run that may be tried again: others use the machine, too


def discover(patterns, folder=HERE):
    """[(file, function)] in the order in which they are written."""
    found = []
    for path in sorted(folder.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in vars(module).items():
            if (name.startswith("_") or not inspect.isfunction(function)
                    or function.__module__ != path.stem):
                continue
            label = f"{path.stem[5:]}: {name.replace('_', ' ')}"
            if not patterns or any(part in label or part in name for part in patterns):
                found.append((label, function))
    return found


def run_in_child(function, pipe):
    """Runs the test and reports through the pipe; never returns."""
    os.setpgid(0, 0)
    result = {"outcome": "pass", "text": ""}
    try:
        note = function()
        result["text"] = str(note) if note else ""
    except support.Skip as reason:
        result = {"outcome": "skip", "text": str(reason)}
    except BaseException as failure:
        why = f"{type(failure).__name__}: {failure}".splitlines()[0]
        result = {"outcome": "fail", "text": f"{why}\n{traceback.format_exc(limit=-4)}"}
        for label, said in support.said()[-4:]:
            if said.strip():
                result["text"] += f"--- {label} said:\n{said.strip()[-3000:]}\n"
    with os.fdopen(pipe, "w") as out:
        json.dump(result, out)
    os._exit(0)


def run_one(function):
    """The last of as many tries as the test has; the earlier ones are told of."""
    failures = ""
    for _ in range(getattr(function, "tries", 1)):
        result = run_once(function)
        if result["outcome"] != "fail":
            return {**result, "text": result["text"] + failures}
        failures += "\nan earlier try: " + result["text"].splitlines()[0]
    return result


def run_once(function):
    limit_s = getattr(function, "limit_s", DEFAULT_LIMIT_S)
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        run_in_child(function, writing)
    os.close(writing)
    os.set_blocking(reading, False)
    end = time.monotonic() + limit_s
    text, ended = b"", False
    try:
        while not ended and time.monotonic() < end:
            ended = os.waitpid(child, os.WNOHANG)[0] == child
            text += _drain(reading)
            if not ended:
                time.sleep(0.02)
    finally:
        # What the test started and did not end is in its group, whether it passed or hung.
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:
            pass
    text += _drain(reading)
    os.close(reading)
    if not ended:
        os.waitpid(child, 0)
        return {"outcome": "fail", "text": f"took longer than its limit of {limit_s} s"}
    return json.loads(text) if text else {"outcome": "fail", "text": "the test process died"}


def _drain(pipe):
    text = b""
    try:
        while True:
            part = os.read(pipe, 1 << 16)
            if not part:
                return text
            text += part
    except BlockingIOError:
        return text


def main(arguments):
    tests = discover([argument for argument in arguments if not argument.startswith("--")])
    if "--list" in arguments:
        for label, _ in tests:
            print(label)
        return 0
    if os.geteuid() != 0:
        print("the end-to-end tests attach to the kernel and need root", file=sys.stderr)
        return 2
    if not os.path.exists(support.LORISD):
        print(f"{support.LORISD} is not built", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="loris-workloads-") as folder:
        # Probes sit on inodes: on copies of our own, no other run is counted.
        os.chmod(folder, 0o755)
        support.WORKLOADS = pathlib.Path(
            shutil.copytree(support.WORKLOADS, os.path.join(folder, "bin")))
        return run_all(tests)


def report(label, result, seconds):
    text = result["text"].rstrip()
    if result["outcome"] == "skip":
        text = f"skip: {text}"
    indented = "".join(f"\n                 {line}" for line in text.splitlines())
    print(f"{result['outcome']} {seconds:6.1f} s  {label}{indented}", flush=True)


def run_each(tests):
    """{outcome: [(label, function)]}"""
    found = {"pass": [], "fail": [], "skip": []}
    for label, function in tests:
        begin = time.monotonic()
        result = run_one(function)
        report(label, result, time.monotonic() - begin)
        found[result["outcome"]].append((label, function))
    return found


def run_all(tests):
    found = run_each(tests)
    passed, failed = len(found["pass"]), len(found["fail"])
    if 0 < failed <= UNSTEADY_MAX:
        print("what failed, again:", flush=True)
        again = run_each(found["fail"])
        for label, _ in again["pass"]:
            print(f"unsteady: {label}\n                 failed, and passed when it ran again")
        passed, failed = passed + len(again["pass"]), failed - len(again["pass"])
    print(f"{passed} passed, {failed} failed, {len(found['skip'])} skipped")
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

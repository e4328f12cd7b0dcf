# SPDX-License-Identifier: GPL-2.0-or-later
"""What a test says: skip, limit, wait, expect."""

import os
import shutil
import time

# stderr of every agent and watch this test started, shown when it fails.
_said = []


class Skip(Exception):
    """The test cannot run here; the text says why and is counted."""


def limit(seconds):
    """The longest a test may take; 60 s otherwise."""
    def mark(function):
        function.limit_s = seconds
        return function
    return mark


def tries(count):
    """For what is measured on a machine that others use: one of `count` tries has to pass."""
    def mark(function):
        function.tries = count
        return function
    return mark


def need(*programs):
    for program in programs:
        if not (shutil.which(program) or os.path.exists(program)):
            raise Skip(f"{program} is not installed")


def note_stderr(label, text):
    _said.append((label, text))


def said():
    return _said


def wait_for(predicate, seconds=20, what=None):
    """The first true answer of predicate, asked again and again; fails after seconds."""
    end = time.monotonic() + seconds
    pause = 0.005
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s still not: {what or predicate.__name__}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def expect(condition, message):
    if not condition:
        raise AssertionError(message)


def expect_equal(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")

# SPDX-License-Identifier: GPL-2.0-or-later
"""The processes the bench starts: all are ended with it, each by its pid."""

import contextlib
import ctypes
import os
import signal
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_running = []


class Failed(Exception):
    """A child did not do what it was started for; the text says why."""


def _end_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Child:
    """A process in a session of its own, so that Ctrl-C reaches the bench alone.

    talks: its stdout is read line by line; otherwise stdout and stderr go to one file.
    """

    def __init__(self, command, talks=False, environment=None, terminal=None):
        self.output = tempfile.TemporaryFile(prefix="loris-bench-")
        self.text = None  # all of its output, once it has ended
        self.name = os.path.basename(command[0])
        out = subprocess.PIPE if talks else terminal or self.output
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=out, stderr=self.output if talks or not terminal else terminal,
            env={**os.environ, **(environment or {})}, start_new_session=True,
            preexec_fn=_end_with_parent)
        self.pid = self.process.pid
        _running.append(self)

    def said(self):
        """What its file holds so far."""
        self.output.seek(0)
        return self.output.read().decode(errors="replace")

    def last_words(self):
        lines = [line.strip() for line in self.said().splitlines() if line.strip()]
        return lines[-1] if lines else f"{self.name} ended with {self.process.poll()}"

    def line(self):
        """Its next line. Failed when it has ended."""
        line = self.process.stdout.readline().decode()
        if not line:
            self.process.wait()
            raise Failed(self.last_words())
        return line.strip()

    def ask(self, request):
        try:
            self.process.stdin.write(request.encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed(self.last_words()) from None
        answer = self.line()
        if answer.startswith("error"):
            raise Failed(f"{self.name}: {answer}")
        return answer

    def close_stdin(self):
        self.process.stdin.close()

    def end(self, how=signal.SIGINT, seconds=15):
        """Ends it, with SIGKILL when it does not heed; returns what it wrote."""
        if self.text is not None:
            return self.text
        _running.remove(self)
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()
        self.text = self.said()
        self.output.close()
        return self.text

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def end_all():
    for child in list(_running):
        child.end(signal.SIGTERM, seconds=5)


def wait_until(condition, seconds, what):
    """The first true answer of condition; Failed after seconds."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed(f"after {seconds} s still not: {what}")
        time.sleep(0.002)

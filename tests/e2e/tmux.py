# SPDX-License-Identifier: GPL-2.0-or-later
"""A terminal of known size with a shell in it, whose screen can be read: a private tmux."""

import os
import pathlib
import shutil
import subprocess
import tempfile
import unicodedata

from expectations import expect, need, wait_for

PROMPT = "ready$"


def columns(line):
    """How wide a terminal shows it."""
    return sum(0 if unicodedata.combining(character) else
               2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in line)


class Terminal:
    def __init__(self, width=80, height=24, **environment):
        need("tmux")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="loris-tmux-"))
        given = {**os.environ, "LC_ALL": "C.UTF-8", "PS1": PROMPT + " ", **environment}
        for name in ("TMUX", "NO_COLOR", "COLUMNS", "LINES"):
            if name not in environment:
                given.pop(name, None)
        self.tmux("new-session", "-d", "-x", str(width), "-y", str(height),
                  "bash", "--norc", "--noprofile", env=given)
        wait_for(lambda: PROMPT in self.text(), what="the shell's prompt")

    def tmux(self, *arguments, env=None):
        done = subprocess.run(
            ["tmux", "-u", "-S", str(self.folder / "s"), "-f", "/dev/null", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, timeout=20)
        expect(done.returncode == 0, f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout

    def keys(self, *keys):
        """By tmux's names: Enter, Escape, C-c, Down; what is no name is typed."""
        self.tmux("send-keys", *keys)

    def type(self, text):
        self.tmux("send-keys", "-l", "--", text)

    def run(self, line):
        self.type(line)
        self.keys("Enter")

    def lines(self):
        return self.tmux("capture-pane", "-p").split("\n")[:-1]

    def text(self):
        return "\n".join(self.lines())

    def coloured_text(self):
        return self.tmux("capture-pane", "-p", "-e")

    def wait(self, predicate, what, seconds=15):
        """The lines, once predicate(lines) holds."""
        seen = []

        def holds():
            seen[:] = self.lines()
            return predicate(seen)
        try:
            wait_for(holds, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen is\n" + "\n".join(seen)) from None
        return seen

    def wait_text(self, text, seconds=15):
        return self.wait(lambda lines: any(text in line for line in lines),
                         f"{text!r} on the screen", seconds)

    def resize(self, width, height):
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def flag(self, name):
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    def child(self):
        """Process id of what the shell runs in the foreground."""
        shell = self.flag("pane_pid")
        with open(f"/proc/{shell}/task/{shell}/children") as file:
            children = file.read().split()
        return int(children[-1]) if children else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["tmux", "-S", str(self.folder / "s"), "kill-server"],
                       stdin=subprocess.DEVNULL, capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

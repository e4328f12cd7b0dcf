# SPDX-License-Identifier: GPL-2.0-or-later
"""An interactive shell on a terminal of its own, whose line is typed with the Tab key in it."""

import os
import pty
import re
import select
import shutil
import signal
import time

from expectations import expect

HOME, TAB = "\x01", "\t"  # Ctrl-A in the emacs key map, which both shells are told to use
PROMPT = "loris-prompt> "
LIMIT_S = 20


class ShellSession:
    """shell: bash or zsh. setup: lines to run first. folder: where it is, and its home."""

    def __init__(self, shell, setup, folder, path):
        flags = {"bash": ["--noprofile", "--norc", "-i"], "zsh": ["-f", "-i"]}[shell]
        environment = {"PATH": path, "HOME": str(folder), "TERM": "dumb", "PS1": PROMPT,
                       "LC_ALL": "C.UTF-8", "COLUMNS": "400"}
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(shutil.which(shell), [shell, *flags], environment)
        self.unread = ""
        self._await(PROMPT)
        for line in setup:
            self.run(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)

    def run(self, line):
        """What the shell prints for a line."""
        os.write(self.terminal, f"{line}; printf '\\n%s-%s\\n' end mark\n".encode())
        text = self._await("end-mark")
        self._await(PROMPT)
        return text

    def completed(self, typed):
        """The line that Tab makes of what was typed, as the shell then takes it: its words."""
        # Keys are taken one after the other, so what follows Tab waits for the completion.
        keys = f"{typed}{TAB}{HOME}printf '<%s>' begin-mark \n"
        os.write(self.terminal, keys.encode())
        self._await("<begin-mark>")
        words = re.match(r"(?:<[^>]*>)*", self._await(PROMPT)).group()
        return words[1:-1].split("><")

    def _await(self, wanted):
        """What is printed up to `wanted`; the rest waits for the next call."""
        end = time.monotonic() + LIMIT_S
        while wanted not in self.unread:
            ready = select.select([self.terminal], [], [], max(0, end - time.monotonic()))[0]
            expect(ready, f"the shell did not print {wanted!r} but {self.unread!r}")
            self.unread += os.read(self.terminal, 1 << 16).decode(errors="replace")
        text, _, self.unread = self.unread.partition(wanted)
        return text

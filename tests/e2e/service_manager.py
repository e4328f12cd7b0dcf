# SPDX-License-Identifier: GPL-2.0-or-later
"""The receiving end of sd_notify(3), as systemd has it: a datagram socket."""

import contextlib
import os
import socket
import tempfile
import threading
import time

from expectations import wait_for


class Message(dict):
    """NAME=VALUE lines of one datagram, and when it came (CLOCK_MONOTONIC, in s)."""

    def __init__(self, text, came):
        super().__init__(line.split("=", 1) for line in text.splitlines())
        self.came = came


class ServiceManager:
    """env: what a service gets that it starts. messages: all so far, in their order."""

    def __init__(self, watchdog_s=None):
        self.folder = tempfile.mkdtemp(prefix="loris-notify-")
        self.path = os.path.join(self.folder, "notify")
        self.env = {"NOTIFY_SOCKET": self.path}
        if watchdog_s:
            self.env["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.messages = []
        self.thread = threading.Thread(target=self._receive, daemon=True)
        self.thread.start()

    def _receive(self):
        while text := self.socket.recv(65536):
            self.messages.append(Message(text.decode(), time.monotonic()))

    def with_key(self, *keys):
        return [message for message in self.messages if any(key in message for key in keys)]

    def states(self):
        """What was told of the life of the service, in its order."""
        names = ("READY", "RELOADING", "STOPPING")
        return [name for message in self.messages for name in names if name in message]

    def status(self):
        """The last STATUS, or ""."""
        said = self.with_key("STATUS")
        return said[-1]["STATUS"] if said else ""

    def wait_for_states(self, *wanted, seconds=20):
        wait_for(lambda: self.states() == list(wanted), seconds,
                 f"the service says {wanted} (it said {self.states()})")

    def pings_after(self, moment):
        return [message for message in self.with_key("WATCHDOG") if message.came > moment]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # an empty datagram ends the thread
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ending:
                ending.sendto(b"", self.path)
        self.thread.join(5)
        self.socket.close()
        os.unlink(self.path)
        os.rmdir(self.folder)

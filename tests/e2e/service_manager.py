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
    """env: what a service gets that it starts."""

    def __init__(self, watchdog_s=None):
        self.folder = tempfile.mkdtemp(prefix="loris-notify-")
        self.path = os.path.join(self.folder, "notify")
        self.env = {"NOTIFY_SOCKET": self.path}
        if watchdog_s:
            self.env["WATCHDOG_USEC"] = str(int(watchdog_s * 1e6))
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.received = []
        self.thread = threading.Thread(target=self._receive, daemon=True)
        self.thread.start()

    def _receive(self):
        while text := self.socket.recv(65536):
            self.received.append(Message(text.decode(), time.monotonic()))

    def _send(self, text):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(text, self.path)

    @property
    def messages(self):
        """All that were sent before now: those that come before a mark of our own."""
        mark = f"MARK={time.monotonic_ns()}"
        self._send(mark.encode())
        name, value = mark.split("=")
        wait_for(lambda: any(message.get(name) == value for message in self.received),
                 what="the mark comes")
        return [message for message in self.received if name not in message]

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
        wait_for(lambda: self.states() == list(wanted), seconds, f"the service says {wanted}")

    def pings_after(self, moment):
        return [message for message in self.with_key("WATCHDOG") if message.came > moment]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):  # an empty datagram ends the thread
            self._send(b"")
        self.thread.join(5)
        self.socket.close()
        os.unlink(self.path)
        os.rmdir(self.folder)

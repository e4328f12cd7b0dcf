# SPDX-License-Identifier: GPL-2.0-or-later
"""A varlink client in a page: JSON and NUL over a unix socket."""

import json
import socket

from expectations import expect

INTERFACE = "org.loris.Agent"


class VarlinkError(Exception):
    def __init__(self, name, parameters):
        super().__init__(f"{name}: {parameters}")
        self.name = name
        self.parameters = parameters
        self.message = (parameters or {}).get("message", "")
        self.hint = (parameters or {}).get("hint", "")


class Client:
    """One connection to the agent's socket."""

    def __init__(self, path, timeout=30):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.rest = b""

    def send(self, request):
        self.socket.sendall(json.dumps(request).encode() + b"\0")

    def receive(self):
        """The next message, None at the end of the stream."""
        while b"\0" not in self.rest:
            got = self.socket.recv(1 << 18)
            if not got:
                return None
            self.rest += got
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        if "." not in method:
            method = f"{INTERFACE}.{method}"
        self.send({"method": method, "parameters": parameters})
        reply = self.receive()
        expect(reply is not None, f"the agent closed the connection on {method}")
        if "error" in reply:
            raise VarlinkError(reply["error"], reply.get("parameters"))
        return reply.get("parameters", {})

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

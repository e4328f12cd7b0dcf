# SPDX-License-Identifier: GPL-2.0-or-later
"""Libraries that only the processes of one test have mapped."""

import contextlib
import os
import pathlib
import shutil

from support import Running, scratch

LIBRARIES = pathlib.Path("/lib/x86_64-linux-gnu")


@contextlib.contextmanager
def own_library(name):
    """A copy that only those load who are told to: nobody else's calls are in its numbers."""
    with scratch() as folder:
        path = pathlib.Path(shutil.copy((LIBRARIES / name).resolve(), folder / name))
        yield path


@contextlib.contextmanager
def through(library, name, *options):
    """A workload that uses the library, at its gate."""
    before = os.environ.get("LD_LIBRARY_PATH")
    os.environ["LD_LIBRARY_PATH"] = str(library.parent)
    try:
        running = Running(name, *options)
    finally:
        os.environ.pop("LD_LIBRARY_PATH")
        if before is not None:
            os.environ["LD_LIBRARY_PATH"] = before
    with running:
        yield running

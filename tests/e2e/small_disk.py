# SPDX-License-Identifier: GPL-2.0-or-later
"""A disk of a few pages, which nobody else sees."""

import contextlib
import ctypes
import subprocess

from expectations import expect_equal


def _keep_mounts_private():
    """They go with the test's processes, even if it is killed."""
    clone_newns = 0x00020000
    expect_equal(ctypes.CDLL(None).unshare(clone_newns), 0, "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)


@contextlib.contextmanager
def small_disk(folder, options):
    _keep_mounts_private()
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "loris-e2e", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", disk], check=True)

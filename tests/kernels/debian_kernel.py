# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian kernel packages for the emulator: downloaded into a cache folder, never installed."""

import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from debian_archive import PrivateApt, Unavailable, last_line  # noqa: E402  (through that path)

# Which suites hold a kernel series. Security comes with its suite: it has the newest of a series.
SUITES = {
    "6.1": ["bookworm", "bookworm-security"],
    "6.12": ["bookworm-backports"],
    "sid": ["sid"],
}


def fetch(series, cache):
    """Path of the vmlinuz of a series ('6.1'), downloaded at most once per cache folder."""
    folder = pathlib.Path(cache).resolve() / f"debian-{series}"
    found = _kernel_in(folder)
    if found:
        return found
    if series not in SUITES:
        raise Unavailable(f"no Debian suite is known for kernel {series}")
    apt = PrivateApt(folder / "apt", SUITES[series])
    try:
        apt.run("apt-get", "update")
        package = _package_with_image(apt)
        apt.run("apt-get", "download", package, cwd=folder)
        archives = sorted(folder.glob("linux-*.deb"))
        subprocess.run(["dpkg", "-x", str(archives[-1]), str(folder / "root")], check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        raise Unavailable(f"kernel {series} cannot be downloaded: {last_line(error)}") from error
    for archive in archives:
        archive.unlink()
    shutil.rmtree(folder / "apt")
    found = _kernel_in(folder)
    if not found:
        raise Unavailable(f"package {package} holds no vmlinuz")
    return found


def _kernel_in(folder):
    # Newer suites keep it with the modules.
    images = sorted([*folder.glob("root/boot/vmlinuz-*"),
                     *folder.glob("root/usr/lib/modules/*/vmlinuz")])
    return images[-1] if images else None


def _package_with_image(apt):
    """What the meta package depends on; the image lies in linux-binary-* in newer suites."""
    listing = apt.run("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests",
                      "--no-conflicts", "--no-breaks", "--no-replaces", "--no-enhances",
                      "linux-image-cloud-amd64")
    names = set(re.findall(r"^(linux-(?:image|binary)-\d\S*cloud-amd64)$", listing, re.M))
    if not names:
        raise Unavailable("linux-image-cloud-amd64 depends on no image here")
    binaries = [name for name in names if name.startswith("linux-binary-")]
    return sorted(binaries or names, key=_version_of)[-1]


def _version_of(name):
    return [int(number) for number in re.findall(r"\d+", name.split("cloud")[0])]

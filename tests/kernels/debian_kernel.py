# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian kernel packages for the emulator: downloaded into a cache folder, never installed.

apt works on a private state of its own, so the machine's package lists stay as they are; only
its proxies, mirrors and keys are used.
"""

import pathlib
import re
import shutil
import subprocess

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Which suites hold a kernel series. Security comes with its suite: it has the newest of a series.
SUITES = {
    "6.1": ["bookworm", "bookworm-security"],
    "6.12": ["bookworm-backports"],
    "sid": ["sid"],
}


class Unavailable(Exception):
    """The kernel cannot be had here; the run is skipped, not failed."""


def fetch(series, cache):
    """Path of the vmlinuz of a series ('6.1'), downloaded at most once per cache folder."""
    folder = pathlib.Path(cache).resolve() / f"debian-{series}"
    found = _kernel_in(folder)
    if found:
        return found
    if series not in SUITES:
        raise Unavailable(f"no Debian suite is known for kernel {series}")
    apt = _PrivateApt(folder / "apt", SUITES[series])
    try:
        apt.run("apt-get", "update")
        package = _package_with_image(apt)
        apt.run("apt-get", "download", package, cwd=folder)
        archives = sorted(folder.glob("linux-*.deb"))
        subprocess.run(["dpkg", "-x", str(archives[-1]), str(folder / "root")], check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
        raise Unavailable(f"kernel {series} cannot be downloaded: {_last_line(error)}") from error
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


class _PrivateApt:
    def __init__(self, folder, suites):
        self.folder = folder
        for part in ("lists/partial", "archives/partial", "etc"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        mirrors = _mirrors()
        lines = []
        for suite in suites:
            mirror = mirrors.get("security" if suite.endswith("-security") else "main")
            if mirror:
                lines.append(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
        (folder / "etc" / "sources.list").write_text("".join(lines))

    def run(self, tool, *arguments, cwd=None):
        options = {
            "Dir::State": self.folder,
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder,
            "Dir::Etc::sourcelist": self.folder / "etc" / "sources.list",
            "Dir::Etc::sourceparts": "-",
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "root",
        }
        command = [tool, "-q", *[f"-o{key}={value}" for key, value in options.items()], *arguments]
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300,
                              check=True)
        return done.stdout


def _mirrors():
    """The mirrors this machine itself uses for Debian."""
    mirrors = {}
    places = [pathlib.Path("/etc/apt/sources.list"),
              *sorted(pathlib.Path("/etc/apt/sources.list.d").glob("*"))]
    for place in places:
        if not place.is_file():
            continue
        text = re.sub(r"#.*", "", place.read_text(errors="replace"))
        for uri in re.findall(r"https?://\S+", text):
            uri = uri.rstrip("/")
            if uri.endswith("/debian-security"):
                mirrors["security"] = uri
            elif uri.endswith("/debian"):
                mirrors["main"] = uri
    if "main" not in mirrors:
        raise Unavailable("this machine's apt sources name no Debian mirror")
    return mirrors


def _last_line(error):
    text = getattr(error, "stderr", None) or str(error)
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__

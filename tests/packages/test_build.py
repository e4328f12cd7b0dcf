# SPDX-License-Identifier: GPL-2.0-or-later
"""What `make deb`, `make rpm` and `make install` make."""

import os
import re
import shutil
import subprocess

from built import ROOT, build, changes, deb, packages, rpm, version
from expectations import expect, expect_equal, limit, need
from support import scratch


def _run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    expect(done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")
    return done.stdout


@limit(300)
def lintian_finds_no_errors_and_no_warnings():
    need("lintian")
    said = _run("lintian", "--allow-root", "--fail-on", "error,warning", "--no-tag-display-limit",
                str(changes()))
    expect_equal(said, "", "what lintian says")


@limit(300)
def the_programs_are_hardened_by_what_the_build_log_says():
    """PIE, immediate binding, read-only relocations, fortified and stack-protected code."""
    need("blhc")
    log = packages("deb") / "build.log"
    # What clang compiles here runs in the kernel, whose verifier is the hardening.
    said = _run("blhc", "--all", "--ignore-line", ".*-target bpf.*", str(log))
    expect_equal(said, "", "what blhc says")


@limit(300)
def a_build_elsewhere_gives_the_same_bytes():
    first = packages("deb")
    with scratch() as folder:
        tree = folder / "another-place" / "tree"
        _run("sh", "packaging/export-tree.sh", str(tree), cwd=ROOT)
        environment = {**os.environ, "TZ": "Pacific/Apia", "LC_ALL": "C", "LANGUAGE": "fr"}
        os.umask(0o027)
        build("deb", tree / "build/deb", tree, environment)
        names = sorted(path.name for path in first.glob("*.deb"))
        expect_equal(len(names), 2, "packages")
        for name in names:
            expect_equal((tree / "build/deb" / name).read_bytes() == (first / name).read_bytes(),
                         True, f"{name} is the same")
    return ", ".join(names)


def _deb_files(archive):
    listing = _run("dpkg-deb", "-c", archive).splitlines()
    return {line.split(None, 5)[5].lstrip(".") for line in listing if not line.startswith("d")}


def _plain(path):
    """Where a file would be if both packagers had the same customs; None: only one has it."""
    if re.search(r"/changelog\.gz$|/copyright$|/LICENSE$", path):
        return None
    path = re.sub(r"^/lib/systemd/", "/usr/lib/systemd/", path)
    path = path.replace("/zsh/vendor-completions/", "/zsh/site-functions/")
    return path.removesuffix(".gz")


@limit(300)
def the_rpm_holds_what_the_deb_holds():
    need("rpm")
    of_deb = {_plain(path) for path in _deb_files(deb())}
    listing = _run("rpm", "-qp", "--queryformat", "[%{FILEMODES:perms} %{FILENAMES}\n]", rpm())
    of_rpm = {_plain(line.split(None, 1)[1]) for line in listing.splitlines()
              if not line.startswith("d")}
    expect_equal(of_rpm - {None}, of_deb - {None}, "files of the rpm")
    expect({"/usr/sbin/lorisd", "/usr/bin/loris", "/etc/loris/loris.yaml",
            "/usr/lib/systemd/system/loris.service"} <= of_rpm, f"files: {of_rpm}")
    conffiles = _run("rpm", "-qpc", rpm()).split()
    expect_equal(sorted(conffiles), sorted(_run("dpkg-deb", "-I", deb(), "conffiles").split()),
                 "configuration files")
    return f"{len(of_deb) - 1} files"


@limit(300)
def both_packages_carry_the_version_of_the_makefile():
    need("rpm")
    expect_equal(_run("dpkg-deb", "-f", deb(), "Version").strip(), version(), "the deb's")
    expect_equal(_run("rpm", "-qp", "--queryformat", "%{VERSION}", rpm()), version(), "the rpm's")
    with scratch() as folder:
        _run("dpkg-deb", "-x", deb(), str(folder))
        said = _run(f"{folder}/usr/bin/loris", "version")
        expect_equal(said.strip(), f"loris {version()}", "the program's")


@limit(300)
def building_packages_leaves_the_tree_as_it_was():
    packages("deb")
    packages("rpm")
    expect(not (ROOT / "debian").exists(), "there is a debian/ beside the Makefile")
    allowed = {"bpf", "build", "include", "packaging", "tests", "user", "vmlinux", "Makefile",
               "README.md", "LICENSE"}
    extra = [path.name for path in ROOT.iterdir()
             if path.name not in allowed and not path.name.startswith(".")]
    expect_equal(extra, [], "files beside the Makefile")


# --- without a package ---------------------------------------------------------------------------


def _make(target, destination, *settings):
    return _run("make", "-C", str(ROOT), target, f"DESTDIR={destination}", *settings)


def _tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")
                  if not path.is_dir() or path.is_symlink())


@limit(300)
def uninstall_removes_all_that_install_has_put_there():
    with scratch() as folder:
        destination = folder / "with a blank"
        for settings in ([], ["PREFIX=/usr", "SYSCONFDIR=/usr/etc"]):
            _make("install", destination, *settings)
            expect(len(_tree(destination)) > 12, f"installed: {_tree(destination)}")
            _make("install", destination, *settings)  # again, over itself
            _make("uninstall", destination, *settings)
            expect_equal(_tree(destination), [], "files that are left")
            left = [str(path) for path in destination.rglob("loris*")]
            expect_equal(left, [], "folders of loris that are left")
            shutil.rmtree(destination)


@limit(300)
def install_and_uninstall_leave_what_the_operator_wrote():
    with scratch() as folder:
        config = folder / "etc/loris/loris.yaml"
        config.parent.mkdir(parents=True)
        config.write_text("interval: 20s\n")
        _make("install", folder)
        expect_equal(config.read_text(), "interval: 20s\n", "the configuration after install")
        (config.parent / "conf.d/site.yaml").write_text("interval: 30s\n")
        _make("uninstall", folder)
        expect_equal(_tree(folder), ["etc/loris/conf.d/site.yaml", "etc/loris/loris.yaml"],
                     "files that are left")


@limit(300)
def what_is_installed_names_the_places_where_it_is():
    with scratch() as folder:
        _make("install", folder, "PREFIX=/opt/loris", "SYSCONFDIR=/opt/etc")
        unit = (folder / "opt/loris/lib/systemd/system/loris.service").read_text()
        expect("ExecStart=/opt/loris/sbin/lorisd --config /opt/etc/loris/loris.yaml" in unit, unit)
        expect("@" not in re.sub(r"#.*|@[a-z-]+", "", unit), f"a place was not filled in: {unit}")
        modes = {path: oct((folder / path).stat().st_mode & 0o777) for path in _tree(folder)}
        programs = {"opt/loris/bin/loris", "opt/loris/sbin/lorisd"}
        wrong = [path for path, mode in modes.items()
                 if mode != ("0o755" if path in programs else "0o644")]
        expect_equal(wrong, [], "files with another mode")

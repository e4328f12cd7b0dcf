# SPDX-License-Identifier: GPL-2.0-or-later
"""The manual pages: well-formed, complete, nothing in them that is not, and their examples run."""

import os
import re
import subprocess

from built import ROOT
from expectations import expect, expect_equal, limit, need
from support import LORIS, LORISD, Agent, scratch

SOURCES = ROOT / "packaging/man"
PAGES = ROOT / "build/man"
# Options of other programs that the pages name.
OTHERS = {"--now", "--catalog"}


def _pages():
    """Built, all of them: {"loris.1": its roff text}."""
    need("scdoc")
    done = subprocess.run(["make", "-C", str(ROOT), "man"], capture_output=True, text=True)
    expect(done.returncode == 0, done.stderr)
    names = sorted(path.name.removesuffix(".scd") for path in SOURCES.glob("*.scd"))
    expect({"loris.1", "lorisd.8", "loris.yaml.5", "loris-presets.7"} <= set(names), f"{names}")
    return {name: (PAGES / name).read_text() for name in names}


def _said(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    expect(done.returncode == 0, f"{' '.join(command)}: {done.stderr}")
    return done.stdout


def _plain(page):
    """As a reader sees it: overstrikes undone."""
    return re.sub(".\b", "", _said("mandoc", "-T", "utf8", "-O", "width=200", str(PAGES / page)))


def _options(text):
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))


def _blocks(page, section):
    """The literal blocks of a section of a page's source."""
    text = (SOURCES / f"{page}.scd").read_text()
    part = re.search(rf"^# {section}$(.*?)(?=^# )", text, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```\n(.*?)^```$", part.group(1), re.MULTILINE | re.DOTALL)


def _commands():
    overview = _said(LORIS, "--help")
    return [line.split()[0] for line in
            overview.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()]


@limit(180)
def mandoc_and_groff_have_nothing_to_say():
    need("mandoc", "man")
    for page in _pages():
        done = subprocess.run(["mandoc", "-T", "lint", str(PAGES / page)], capture_output=True,
                              text=True)
        expect_equal(done.stdout + done.stderr, "", f"mandoc of {page}")
        done = subprocess.run(["man", "--warnings", "-l", str(PAGES / page)], capture_output=True,
                              text=True, env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
        expect_equal(done.stderr, "", f"groff of {page}")


@limit(180)
def every_command_and_option_of_loris_is_in_its_page():
    _pages()
    need("mandoc")
    text = _plain("loris.1")
    for command in _commands():
        part = re.search(rf"^ +{command}: (.*?)(?=^   ?[a-z-]+: |^[A-Z])", text,
                         re.MULTILINE | re.DOTALL)
        expect(part, f"{command} has no part of its own")
        said = _said(LORIS, "help", command)
        listed = said.partition("\nOptions:\n")[2].partition("\n\n")[0]
        options = {word.rstrip(",") for line in listed.splitlines() for word in line.split()[:2]
                   if word.startswith("--")}
        common = {"--json", "--socket", "--help"}
        missing = sorted(options - common - _options(part.group(1)))
        expect_equal(missing, [], f"options of {command} that are not in its part")
        expect(common <= _options(text), "options of every command")
    return f"{len(_commands())} commands"


@limit(180)
def pages_name_no_option_that_is_not():
    pages = _pages()
    need("mandoc")
    known = OTHERS | _options(_said(LORISD, "--help")) | _options(_said(LORIS, "--help"))
    for command in _commands():
        known |= _options(_said(LORIS, "help", command))
    for page in pages:
        expect_equal(sorted(_options(_plain(page)) - known), [], f"unknown options in {page}")


def options_of_lorisd_are_those_of_its_page():
    text = (SOURCES / "lorisd.8.scd").read_text()
    part = text.partition("# OPTIONS\n")[2].partition("\n# ")[0]
    explained = set(re.findall(r"^(?:\*-\w\*, )?\*(--[a-z-]+)\*", part, re.MULTILINE))
    expect_equal(explained, _options(_said(LORISD, "--help").partition("Examples:")[0]), "options")


def the_page_of_presets_has_every_preset():
    _pages()
    need("mandoc")
    text = _plain("loris-presets.7")
    names = sorted(path.stem for path in (ROOT / "packaging/presets").glob("*.yaml"))
    missing = [name for name in names if not re.search(rf"^ +{re.escape(name)}$", text, re.M)]
    expect_equal(missing, [], "presets that are not in the page")
    return f"{len(names)} presets"


def pages_refer_to_each_other_as_they_are_called():
    pages = _pages()
    for page in pages:
        for name, section in re.findall(r"\*(loris[\w.-]*)\*\((\d)\)",
                                        (SOURCES / f"{page}.scd").read_text()):
            expect(f"{name}.{section}" in pages, f"{page} refers to {name}({section})")


@limit(180)
def examples_of_loris_run_as_they_stand():
    lines = [line for block in _blocks("loris.1", "EXAMPLES") for line in block.splitlines()]
    expect(len(lines) >= 5 and all(line.startswith("loris ") for line in lines), f"{lines}")
    with Agent("targets: [syscall:openat, span:run-queue]\n") as agent, scratch() as folder:
        agent.wait_ready()
        program = folder / "loris"
        program.write_text(f'#!/bin/sh\nexec {LORIS} --socket {agent.socket_path} "$@"\n')
        program.chmod(0o755)
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        for line in lines:
            done = subprocess.run(["bash", "-c", line], capture_output=True, text=True,
                                  env=environment, cwd=folder, stdin=subprocess.DEVNULL)
            expect(done.returncode == 0 and done.stdout + done.stderr,
                   f"{line}: exit status {done.returncode}, {done.stderr}")
    return f"{len(lines)} examples"


def examples_of_the_configuration_are_valid():
    blocks = _blocks("loris.yaml.5", "EXAMPLES")
    expect(len(blocks) >= 3, "examples")
    with scratch() as folder:
        for block in blocks:
            path = folder / "loris.yaml"
            path.write_text(block)
            _said(LORISD, "--check-config", str(path))
    return f"{len(blocks)} examples"

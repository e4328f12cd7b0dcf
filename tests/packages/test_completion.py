# SPDX-License-Identifier: GPL-2.0-or-later
"""Completion in real shells: bash and zsh on a terminal with the Tab key, fish by its own list."""

import contextlib
import os
import subprocess

from expectations import expect, expect_equal, need
from shell_session import ShellSession
from support import LORIS, Agent, scratch

SHELLS = ("bash", "zsh", "fish")
PATH = f"{os.path.dirname(LORIS)}:/usr/bin:/bin"

# What is typed, and the words of the line after Tab. Each has one answer only.
LINES = {
    "loris wat": ["loris", "watch"],
    "loris check-c": ["loris", "check-config"],
    "loris --js": ["loris", "--json"],
    "loris --json stat": ["loris", "--json", "stat"],  # stats or status
    "loris --json top --sort ti": ["loris", "--json", "top", "--sort", "time"],
    "loris stats --by pr": ["loris", "stats", "--by", "process"],
    "loris stats --by=un": ["loris", "stats", "--by=unit"],
    "loris watch --errors negative-": ["loris", "watch", "--errors", "negative-int"],
    "loris watch --pla": ["loris", "watch", "--pla"],  # an option of list, not of watch
    "loris list --pla": ["loris", "list", "--placement"],
    "loris stats --since-": ["loris", "stats", "--since-start"],
    "loris watch --limit ": ["loris", "watch", "--limit"],  # any number: nothing is offered
    "loris help compl": ["loris", "help", "completion"],
    "loris completion fi": ["loris", "completion", "fish"],
    "loris check-config own": ["loris", "check-config", "own file.yaml"],
    "loris watch -o own": ["loris", "watch", "-o", "own file.yaml"],
    "loris --socket own": ["loris", "--socket", "own file.yaml"],
    "loris watch sysc": ["loris", "watch", "syscall:"],
    "loris watch span:block": ["loris", "watch", "span:block-io"],
    "loris watch syscall:openat -d 1s span:run-": ["loris", "watch", "syscall:openat", "-d", "1s",
                                                   "span:run-queue"],
    "loris watch 'syscall:name_to_h": ["loris", "watch", "syscall:name_to_handle_at"],
    "loris list user:libc.so.6:malloc_us": ["loris", "list", "user:libc.so.6:malloc_usable_size"],
    "loris list user:libc.so.": ["loris", "list", "user:libc.so.6"],
    "loris watch span:irq -- ./a-tool-o": ["loris", "watch", "span:irq", "--", "./a-tool-of-mine"],
}


@contextlib.contextmanager
def _folder():
    with scratch() as folder:
        (folder / "own file.yaml").touch()
        (folder / "a-tool-of-mine").touch()
        (folder / "a-tool-of-mine").chmod(0o755)
        for shell in SHELLS:
            script = subprocess.run([LORIS, "completion", shell], check=True, capture_output=True)
            (folder / f"loris.{shell}").write_bytes(script.stdout)
        yield folder


def _setup(shell, folder):
    if shell == "bash":
        return ["set -o emacs; bind 'set enable-bracketed-paste off'", f". {folder}/loris.bash"]
    # As the package installs it: found by name in a folder of fpath.
    (folder / "functions").mkdir()
    (folder / "loris.zsh").rename(folder / "functions/_loris")
    return ["bindkey -e; unset zle_bracketed_paste; unsetopt prompt_sp",
            f"fpath=({folder}/functions $fpath); autoload -U compinit; compinit -u -D"]


def _check_lines(shell):
    need(shell)
    with _folder() as folder, ShellSession(shell, _setup(shell, folder), folder, PATH) as session:
        wrong = []
        for typed, wanted in LINES.items():
            got = session.completed(typed)
            # zsh closes what it completed with a blank or not; words are what counts
            if got != wanted:
                wrong.append(f"{typed!r} became {got}, not {wanted}")
        expect(not wrong, "\n".join(wrong))
        return f"{len(LINES)} lines"


def bash_completes_what_is_typed():
    return _check_lines("bash")


def zsh_completes_what_is_typed():
    return _check_lines("zsh")


def _fish(folder, line, path=PATH):
    """What fish offers for the last word of a line."""
    command = f"source {folder}/loris.fish; complete -C {_quoted(line)}"
    done = subprocess.run(["fish", "--no-config", "-c", command], cwd=folder, text=True,
                          capture_output=True, env={"PATH": path, "HOME": str(folder)})
    expect_equal(done.stderr, "", "what fish complains of")
    return [offer.split("\t")[0] for offer in done.stdout.splitlines()]


def _quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def fish_completes_what_is_typed():
    need("fish")
    with _folder() as folder:
        wrong = []
        for typed, wanted in LINES.items():
            offers, last = _fish(folder, typed), wanted[-1]
            if typed.split()[-1].lstrip("'").rpartition("=")[2] == last.rpartition("=")[2]:
                continue  # nothing, or more than one
            if [offer.lstrip("'") for offer in offers] != [last]:
                wrong.append(f"{typed!r} is offered {offers}, not {last!r}")
        expect(not wrong, "\n".join(wrong))
        expect_equal(sorted(_fish(folder, "loris completion ")), sorted(SHELLS), "shells")
        expect_equal(_fish(folder, "loris watch --limit "), [], "numbers")
        offers = _fish(folder, "loris ")
        expect({"watch", "stats", "help"} <= set(offers), f"commands: {offers}")
        expect("a-tool-of-mine" not in offers, "files are offered where a command is written")


def every_command_and_option_of_the_help_is_offered():
    """The scripts and the help come from one table; nothing may fall through on the way."""
    need("fish")
    overview = subprocess.run([LORIS, "--help"], capture_output=True, text=True).stdout
    commands = [line.split()[0] for line in
                overview.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()]
    with _folder() as folder, ShellSession("bash", _setup("bash", folder), folder,
                                           PATH) as bash:
        expect_equal(sorted(set(_fish(folder, "loris "))), sorted(commands), "commands of fish")
        for command in commands:
            text = subprocess.run([LORIS, "help", command], capture_output=True, text=True).stdout
            listed = text.partition("\nOptions:\n")[2].partition("\n\n")[0]
            wanted = {word.rstrip(",") for line in listed.splitlines()
                      for word in line[:26].split() if word.startswith("--")}
            offered = set(_fish(folder, f"loris {command} --"))
            expect_equal(offered, wanted, f"options of {command} in fish")
            said = bash.run(f"reply=; _loris_options {command}; echo offers $reply")
            words = {word for word in said.rpartition("offers words")[2].split()
                     if word.startswith("--")}
            expect_equal(words, wanted, f"options of {command} in bash")


def names_of_the_running_agent_complete():
    need("bash", "fish")
    with Agent("targets: [syscall:openat]\n") as agent, _folder() as folder:
        (folder / "bin").mkdir()
        program = folder / "bin/loris"
        program.write_text(f'#!/bin/sh\nexec {LORIS} --socket {agent.socket_path} "$@"\n')
        program.chmod(0o755)
        path = f"{folder}/bin:{PATH}"
        expect_equal(_fish(folder, "loris stats sys", path), ["syscall:openat"], "probes in fish")
        with ShellSession("bash", _setup("bash", folder), folder, path) as session:
            expect_equal(session.completed("loris stats sys"),
                         ["loris", "stats", "syscall:openat"], "probes in bash")


def hostile_names_are_words_and_nothing_more():
    """A symbol of a stranger's program may look like a command; who presses Tab may be root."""
    need("bash", "zsh", "fish")
    names = ["$(touch${IFS}owned)", "`touch${IFS}owned`",
             ";touch\\owned", "'\"$HOME", "*", "a&b|c"]
    with _folder() as folder:
        (folder / "bin").mkdir()
        program = folder / "bin/loris"
        program.write_text(f"#!/bin/sh\necho TARGET\ncat {folder}/name\n")
        program.chmod(0o755)
        path = f"{folder}/bin:{PATH}"
        for shell in ("bash", "zsh"):
            with ShellSession(shell, _setup(shell, folder), folder, path) as session:
                for name in names:
                    (folder / "name").write_text(f"user:/srv/a:{name}\n")
                    expect_equal(session.completed("loris list user:/srv/a:"),
                                 ["loris", "list", f"user:/srv/a:{name}"], f"the line in {shell}")
        for name in names:
            (folder / "name").write_text(f"user:/srv/a:{name}\n")
            expect_equal(_fish(folder, "loris list user:/srv/a:", path), [f"user:/srv/a:{name}"],
                         "what fish offers")
        expect(not (folder / "owned").exists(), "pressing Tab has run a symbol's name")


def the_bash_script_passes_shellcheck():
    need("shellcheck")
    with _folder() as folder:
        # SC2154: `reply` is of the caller; SC2086, SC2068: lists of words that the table wrote
        done = subprocess.run(["shellcheck", "-s", "bash", "-e", "SC2154,SC2086,SC2034",
                               f"{folder}/loris.bash"], capture_output=True, text=True)
        expect_equal(done.returncode, 0, done.stdout)

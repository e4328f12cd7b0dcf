# SPDX-License-Identifier: GPL-2.0-or-later
"""loris top in a real terminal, by what its screen shows."""

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess

from support import (LORIS, Agent, Running, expect, expect_equal, loris, scratch, user, wait_for,
                     workload)
from tmux import PROMPT, Terminal, columns

BLOCKS = "▁▂▃▄▅▆▇█"
FUNCTIONS = ("slow", "quick", "fails")


def _config():
    return "targets:\n" + "".join(
        f"  - {{target: '{user('steady', name)}', errors: negative}}\n" for name in FUNCTIONS)


def _command(agent, *arguments):
    return shlex.join([LORIS, "--socket", str(agent.socket_path), "top", *arguments])


@contextlib.contextmanager
def _measuring(executable=None):
    """An agent that watches a steady workload."""
    with (Agent(_config(), check_clean=False) as agent,
          Running("steady", executable=executable) as steady):
        steady.go()
        wait_for(lambda: len(agent.stats()) == len(FUNCTIONS), what="calls of every function")
        yield agent


@contextlib.contextmanager
def _top(*arguments, width=80, height=24, executable=None, **environment):
    with _measuring(executable) as agent:
        with Terminal(width, height, **environment) as terminal:
            terminal.run(_command(agent, *arguments))
            terminal.wait(_selected, "rows")
            yield terminal, agent


def _row(lines, name):
    found = [line for line in lines if re.search(rf":{name}\b", line) and "filter" not in line]
    return found[0] if found else None


def _order(lines):
    found = (re.search(r":(slow|quick|fails) ", line) for line in lines)
    return [match.group(1) for match in found if match]


def _wait_order(terminal, order, what):
    return terminal.wait(lambda lines: _order(lines) == order, what)


def _selected(lines):
    return [line for line in lines if line.startswith("> ")]


def _ns(text):
    value, unit = text.split()
    return float(value) * {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}[unit]


def _marks(lines, name="slow"):
    line = _row(lines, name)
    return sum(character in BLOCKS for character in line) if line else 0


def shows_at_80x24_which_probe_is_slow():
    with _top() as (terminal, agent):
        few = _marks(terminal.wait(lambda lines: _marks(lines) > 0, "a mark of the trend"))
        lines = terminal.wait(lambda lines: _marks(lines) >= few + 3, "a longer trend")
        expect_equal(len(lines), 24, "lines")
        for line in lines:
            expect(columns(line) <= 80, f"wider than the screen: {line!r}")
        expect(re.match(r"loris top  ok  last \S+ s, every 1 s +\d\d:\d\d:\d\dZ$", lines[0]),
               f"title: {lines[0]!r}")
        expect(re.match(r"\S+( k)? calls/s   0 lost   3 probes cost \d+\.\d\d % CPU", lines[1]),
               f"totals: {lines[1]!r}")
        expect(lines[2].startswith("all probes") and lines[2].endswith("3 rows"), lines[2])
        heads, slow = lines[3], _row(lines, "slow")
        expect(_selected(lines) == [slow] == [lines[4]], f"slow is not on top: {lines}")
        expect(slow.startswith("> user:/tmp/"), f"its beginning is not readable: {slow!r}")
        # Each figure ends where its title ends.
        for title, pattern in (("P50", r"\d+ [mun]?s"), (r"P99(?! TREND)", r"\d+ [mun]?s"),
                               ("RATE", r" [\d.]+/s"), ("ERR%", r" [\d.]+"),
                               ("TIME%", r" [\d.]+")):
            end = re.search(title, heads).end()
            expect(re.search(pattern + "$", slow[:end]), f"{title} is not below its title: "
                   f"{heads!r} {slow!r}")
            expect(slow[end:end + 1] in ("", " "), f"{title} goes on: {slow!r}")
        end = re.search(r"P99(?! TREND)", heads).end()
        p99 = slow[end - 7:end].strip()
        truth = agent.stats(user("steady", "slow"), window_ns=10**10)[0]["p99_ns"]
        expect(2e6 <= _ns(p99) < 1e9 and 0.2 < _ns(p99) / truth < 5,
               f"p99 is shown as {p99}, the agent says {truth} ns")
        expect("? help" in lines[23] and "q quit" in lines[23], f"keys: {lines[23]!r}")
        return "\n".join(["", *lines])


def sorts_by_keys():
    with _top("--sort", "name") as (terminal, _):
        _wait_order(terminal, ["fails", "quick", "slow"], "sorted by name")
        terminal.keys("r")
        _wait_order(terminal, ["slow", "quick", "fails"], "turned around")
        terminal.keys("5")
        lines = terminal.wait(lambda lines: _order(lines)[:1] == ["quick"], "sorted by count")
        expect("▼COUNT" in lines[3], f"no sign at the title: {lines[3]!r}")
        terminal.keys("6")
        # A quarter of them fail; of the first few calls it may be more.
        terminal.wait(lambda lines: _order(lines)[:1] == ["fails"] and "▼ERR%" in lines[3]
                      and 20 < float(_row(lines, "fails").split()[-1]) < 30, "sorted by errors")
        terminal.keys("2")
        terminal.wait(lambda lines: _order(lines)[:1] == ["slow"] and "▼P99" in lines[3],
                      "sorted by p99")
        terminal.keys("s")
        terminal.wait(lambda lines: "▼MAX" in lines[3], "the next sort key")
        # The selected row keeps the cursor, wherever it goes.
        terminal.keys("8", "Down")
        terminal.wait(lambda lines: ":quick" in "".join(_selected(lines)), "quick is selected")
        terminal.keys("5")
        lines = terminal.wait(lambda lines: _order(lines)[:1] == ["quick"], "sorted by count")
        expect(_selected(lines) == [lines[4]], f"the cursor left its row: {lines}")


def filters_while_one_types():
    with _top() as (terminal, _):
        terminal.keys("/")
        terminal.wait_text("filter: _")
        terminal.type("SLO")
        lines = _wait_order(terminal, ["slow"], "only slow is left")
        expect("filter: SLO_" in lines[23] and "1 of 3 rows, filter SLO" in lines[2], f"{lines}")
        for _ in range(3):
            terminal.keys("BSpace")
        terminal.wait(lambda lines: len(_order(lines)) == 3, "all are back")
        terminal.type("*:[fq]*")
        terminal.keys("Enter")
        terminal.wait(lambda lines: sorted(_order(lines)) == ["fails", "quick"] and
                      "? help" in lines[23], "what the glob matches")
        terminal.keys("Escape")
        terminal.wait(lambda lines: len(_order(lines)) == 3, "Esc clears the filter")


def goes_from_probe_to_unit_to_process():
    with _top("--filter", ":slow") as (terminal, agent):
        terminal.keys("Enter")
        lines = terminal.wait(lambda lines: re.match(r"all probes › user:.*:slow ", lines[2]) and
                              _selected(lines), "the units of slow")
        expect("WHO" in lines[3] and "PROBE" not in lines[3], f"titles: {lines[3]!r}")
        unit = _selected(lines)[0].split()[1]
        terminal.keys("Enter")
        pid = agent.stats(user("steady", "slow"), by="process")[0]["group"]["pid"]
        lines = terminal.wait(lambda lines: f"[{pid}]" in "".join(_selected(lines)), "processes")
        expect(re.match(rf"all probes › user:.* › {re.escape(unit)} ", lines[2]), lines[2])
        terminal.keys("Enter")  # nothing below: all about it
        lines = terminal.wait_text("p99 trend")
        text = "\n".join(lines)
        for pattern in (re.escape(user("steady", "slow")[:60]), rf"who +\S+\[{pid}\]",
                        r"P99\.9 +\d[\d.]* ms", r"MIN +2\.\d+ ms", r"errors +0 \(0 %\)",
                        r"in flight +\d", r"observed +all the time", r"lost +0",
                        r"quantiles +within 0\.\d\d %", r"breakdown +exact", f"[{BLOCKS}]"):
            expect(re.search(pattern, text), f"{pattern} is not in the details:\n{text}")
        terminal.keys("Escape")
        terminal.wait(lambda lines: f"[{pid}]" in "".join(_selected(lines)), "processes again")
        terminal.keys("BSpace")
        terminal.wait(lambda lines: "›" in lines[2] and lines[2].count("›") == 1, "a level up")
        terminal.keys("Escape")
        lines = terminal.wait(lambda lines: lines[2].startswith("all probes  "), "all probes")
        expect_equal(_order(lines), ["slow"], "rows behind the filter of before")


def explains_its_keys():
    with _top() as (terminal, _):
        terminal.keys("?")
        lines = terminal.wait_text("Ctrl-C")
        for line in lines:
            expect(columns(line) <= 80, f"wider than the screen: {line!r}")
        expect(any("filter" in line for line in lines), f"help: {lines}")
        terminal.keys("?")
        terminal.wait_text(":slow")


def stands_still_while_paused():
    with _top("-i", "200ms") as (terminal, agent):
        terminal.keys("p")
        paused = terminal.wait_text("PAUSED")
        with Running("steady", "us=30000") as other:
            other.go()
            target = user("steady", "slow")
            calls = agent.total(target)
            wait_for(lambda: agent.total(target) > calls + 50, what="many calls more")
            terminal.keys("/")  # what needs no answer goes on
            terminal.type("slow")
            lines = _wait_order(terminal, ["slow"], "filtered while paused")
            expect_equal(_row(lines, "slow"), _row(paused, "slow"), "figures while paused")
            terminal.keys("Escape", "p")
            terminal.wait(lambda lines: "PAUSED" not in lines[0] and
                          _row(lines, "slow") != _row(paused, "slow"), "figures move again")


def fits_when_the_terminal_is_resized():
    with _top() as (terminal, _):
        for width, height, wanted in ((40, 10, " P99"), (200, 50, "P99.9"), (30, 6, " P99"),
                                      (20, 5, "too small: 30x6"), (80, 24, "P50")):
            terminal.resize(width, height)
            lines = terminal.wait(lambda lines: len(lines) == height and
                                  any(wanted in line for line in lines), f"{width}x{height}")
            for line in lines:
                expect(columns(line) <= width, f"wider than {width}: {line!r}")
        terminal.wait_text("? help")


def scrolls_when_there_are_more_rows_than_lines():
    with Agent(f"targets: ['{user('many_functions', 'fn_00*')}']\n", check_clean=False) as agent:
        subprocess.run([workload("many_functions")], stdin=subprocess.DEVNULL, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=30)
        rows = len(agent.stats())
        expect(rows > 40, f"only {rows} functions were called")
        with Terminal(80, 24) as terminal:
            terminal.run(_command(agent, "--sort", "name"))
            first = terminal.wait(lambda lines: len(_selected(lines)) == 1, "rows")
            terminal.keys("End")
            last = terminal.wait(lambda lines: _selected(lines) == [lines[22]], "the last row")
            expect(_selected(first) != _selected(last), "the last row is the first one")
            terminal.keys("PPage", "Up")
            terminal.wait(lambda lines: _selected(lines) == [lines[4]] and
                          _selected(lines) != _selected(first), "twenty rows up")
            terminal.keys("Home")
            lines = terminal.wait(lambda lines: _selected(lines) == [lines[4]] and
                                  lines[4][:20] == first[4][:20], "the top again")
            expect("rows" in lines[2], lines[2])
        return f"{rows} rows"


def works_without_colour_and_without_utf8():
    with _top() as (terminal, _):
        expect("\033[32m" in terminal.coloured_text(), "health has no colour")
    with _top(NO_COLOR="1") as (terminal, _):
        expect(not re.search(r"\033\[[\d;]*3[1-7]m", terminal.coloured_text()), "there is colour")
        expect(re.search(r"\033\[[\d;]*7m(\033\[[\d;]*m)*>", terminal.coloured_text()),
               "the selected row is not to be seen")
    for environment in ({"TERM": "vt100"}, {"LC_ALL": "C"}):
        with _measuring() as agent, Terminal() as terminal:
            setting = " ".join(f"{name}={value}" for name, value in environment.items())
            terminal.run(f"{setting} {_command(agent)}")
            lines = terminal.wait_text("? help")
            lines = terminal.wait(lambda lines: _row(lines, "slow"), "rows")
            if "LC_ALL" in environment:
                expect("\n".join(lines).isascii(), f"not ASCII: {lines}")
                expect(re.search(r"user:/tmp.*\.\..*:slow +[.:=+*#@-]", _row(lines, "slow")),
                       f"row: {_row(lines, 'slow')!r}")
            expect(not re.search(r"\033\[[\d;]*3[1-7]m", terminal.coloured_text())
                   or "TERM" not in environment, "a vt100 has no colour")
            terminal.keys("q")
            terminal.wait(lambda lines: lines[-1] or PROMPT in "".join(lines), "the shell")


def says_when_a_terminal_cannot_show_it():
    with _measuring() as agent:
        for kind, reason in (("dumb", "cannot move its cursor"), ("", "is not known")):
            with Terminal() as terminal:
                terminal.run(f"TERM={kind} {_command(agent)}; echo status $?")
                lines = terminal.wait_text("status 1")
                text = "".join(lines)
                expect(reason in text and "hint: loris top --once" in text, f"{kind}: {text}")
        done = loris("--socket", agent.socket_path, "top")
        expect_equal(done.returncode, 1, "exit status without a terminal")
        expect("stdout is no terminal" in done.stderr and "--once" in done.stderr, done.stderr)


def _stty(path):
    return f"stty -a >{path}.new; mv {path}.new {path}"


def _ends(terminal, agent, folder, end, what):
    """Whether the terminal is after it what it was before."""
    terminal.run(f"clear; echo before; {_stty(folder / 'before')}")
    wait_for((folder / "before").exists, what="stty")
    terminal.run(_command(agent))
    terminal.wait_text("? help")
    expect_equal(terminal.flag("alternate_on"), "1", "alternate screen while it runs")
    end(terminal)
    terminal.wait(lambda lines: any(line.startswith("before") for line in lines),
                  f"what was on the screen before, after {what}")
    terminal.wait(lambda lines: [line for line in lines if line][-1].startswith(PROMPT),
                  f"the prompt after {what}")
    expect_equal(terminal.flag("alternate_on"), "0", f"alternate screen after {what}")
    expect_equal(terminal.flag("cursor_flag"), "1", f"the cursor after {what}")
    expect_equal(terminal.flag("keypad_flag"), "0", f"keypad mode after {what}")
    terminal.run(_stty(folder / "after"))
    wait_for((folder / "after").exists, what="stty")
    expect_equal((folder / "after").read_text(), (folder / "before").read_text(),
                 f"stty -a after {what}")
    for name in ("before", "after"):
        (folder / name).unlink()


def gives_the_terminal_back_however_it_ends():
    ends = {"q": lambda terminal: terminal.keys("q"),
            "Ctrl-C": lambda terminal: terminal.keys("C-c"),
            "Ctrl-\\": lambda terminal: terminal.keys("C-\\")}
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS,
                   signal.SIGUSR1):
        ends[number.name] = lambda terminal, number=number: os.kill(terminal.child(), number)
    with _measuring() as agent, scratch() as folder, Terminal() as terminal:
        terminal.run("ulimit -c 0")
        for what, end in ends.items():
            _ends(terminal, agent, folder, end, what)


def gives_the_terminal_back_while_it_is_stopped():
    with _measuring() as agent, scratch() as folder, Terminal() as terminal:
        def stop(terminal):
            terminal.keys("C-z")
            terminal.wait_text("Stopped")
        _ends(terminal, agent, folder, stop, "Ctrl-Z")
        terminal.run("fg")
        terminal.wait_text("? help")
        expect_equal(terminal.flag("alternate_on"), "1", "alternate screen after fg")
        terminal.keys("2")
        terminal.wait_text("▼P99")
        # Who stops it without asking leaves it the screen, on which others may write.
        pid = terminal.child()
        os.kill(pid, signal.SIGSTOP)
        terminal.wait_text("Stopped")
        terminal.run("fg")
        lines = terminal.wait(lambda lines: "? help" in lines[-1] and "loris top" in lines[0] and
                              not any("fg" in line for line in lines), "a whole screen")
        expect(_row(lines, "slow"), f"rows: {lines}")
        terminal.keys("q")
        terminal.wait(lambda lines: "? help" not in lines[-1], "the end")


def survives_the_agents_restart():
    with _top("--sort", "p99", "--filter", "slow") as (terminal, agent):
        terminal.keys("Enter")
        terminal.wait(lambda lines: "› user:" in lines[2] and _selected(lines), "units")
        agent.process.kill()
        agent.process.wait()
        lines = terminal.wait_text("agent gone, trying again")
        expect("› user:" in lines[2] and _selected(lines), f"the last figures are gone: {lines}")
        terminal.keys("s")  # it still listens
        terminal.wait_text("▼MAX")
        agent.process = subprocess.Popen(agent.process.args, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=agent.errors)
        agent.wait_ready()
        lines = terminal.wait(lambda lines: lines[0].startswith("loris top  ok") and
                              _selected(lines), "figures of the new agent", 30)
        expect("› user:" in lines[2] and "▼MAX" in lines[3], f"it lost its place: {lines}")
        terminal.keys("Escape")
        lines = terminal.wait_text("filter slow")
        expect_equal(_order(lines), ["slow"], "what the filter shows")


def takes_keys_while_the_agent_hangs():
    with _top("-i", "200ms") as (terminal, agent):
        os.kill(agent.pid, signal.SIGSTOP)
        try:
            terminal.wait_text("the agent has not answered for")
            terminal.keys("8")
            _wait_order(terminal, ["fails", "quick", "slow"], "sorted by name")
            terminal.keys("?")
            terminal.wait_text("Ctrl-L")
            terminal.keys("Escape")
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        terminal.wait(lambda lines: lines[0].startswith("loris top  ok"), "answers again")


def shows_hostile_names_without_harm():
    with scratch() as folder:
        path = str(folder / "名\033[2J\udcff\033]0;x\a")
        os.link(workload("steady"), path)
        with _top("--by", "process", executable=path) as (terminal, agent):
            lines = terminal.wait(lambda lines: any("名?[2J??" in line for line in lines),
                                  "the harmless rest of its name")
            for line in lines:
                expect(columns(line) <= 80, f"wider than the screen: {line!r}")
            expect(lines[0].startswith("loris top"), f"the screen was cleared: {lines}")
            heads = lines[3]
            for line in lines[4:4 + len(FUNCTIONS)]:
                end = heads.index("RATE") + 4
                cells = "".join(character * columns(character) for character in line)
                expect(cells[end - 2:end] == "/s", f"not aligned: {heads!r} {line!r}")
            expect(terminal.flag("pane_title") != "x", "it set the title")


def prints_one_table_without_a_terminal():
    with _measuring() as agent:
        def once(*arguments):
            done = loris("--socket", agent.socket_path, "top", "--once", *arguments)
            expect_equal(done.returncode, 0, f"exit status ({done.stderr})")
            return done.stdout
        table = once("--sort", "name").splitlines()
        expect(table[0].startswith("PROBE"), table[0])
        expect_equal(_order(table), ["fails", "quick", "slow"], "order by name")
        series = [json.loads(line) for line in once("--json", "--sort", "count").splitlines()]
        counts = [one["count"] for one in series]
        expect(len(counts) == 3 and counts == sorted(counts, reverse=True), f"counts: {counts}")
        series = [json.loads(line) for line in
                  once("--json", "--by", "process", "--filter", "SLOW").splitlines()]
        expect_equal([one["group"]["comm"] for one in series], ["steady"], "processes in slow")
        for misuse in (["--json"], ["--once", "-i", "1s"], ["--sort", "p98"], ["-i", "1ms"],
                       ["--filter", "x" * 200]):
            done = loris("--socket", agent.socket_path, "top", *misuse)
            expect_equal(done.returncode, 2, f"exit status of {misuse}")


def watch_shows_the_same_view_and_then_its_totals():
    with Running("steady") as steady, Terminal() as terminal:
        steady.go()
        terminal.run(shlex.join([LORIS, "watch", "--budget", "none", "--by", "none",
                                 *(user("steady", name) for name in FUNCTIONS)]))
        lines = terminal.wait(lambda lines: lines[0].startswith("loris watch  ok") and
                              len(_order(lines)) == 3, "the live view", 30)
        expect("TIME%" in lines[3], f"titles: {lines[3]!r}")
        terminal.keys("q")
        lines = terminal.wait_text("quantiles within", 30)
        totals = [line for line in lines if re.match(r"user:\S+:\S+ +[\d,]+ ", line)]
        expect_equal(sorted(_order(totals)), sorted(FUNCTIONS), "totals")

# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of the agent through log collectors, across rotations, full disks and hostile files."""

import collections
import json
import os
import re
import signal
import subprocess

from log_collectors import Journald, Rsyslog, SyslogNg
from small_disk import small_disk
from support import (LORISD, ROOT, Agent, Running, expect, expect_equal, limit, loris, need, scratch,
                     user, wait_for, workload)


def _config(file, target, more="", interval="1s"):
    return (f"interval: {interval}\nwindow: {{slices: 6, length: 1m}}\nmemory_budget: 256MiB\n"
            f"summaries: {{file: {file}, limit: 10000{more}}}\ntargets:\n  - {target}\n")


def _output(agent, to=None):
    """The figures of the summaries' output, in status."""
    found = [output for output in agent.status(probes=False)["outputs"]
             if output["name"] == "summaries" and to in (None, output["to"])]
    expect_equal(len(found), 1, f"outputs to {to}")
    return found[0]


def _reload(agent, config):
    agent.config_path.write_text(config)
    before = agent.stderr().count("configuration read again")
    agent.process.send_signal(signal.SIGHUP)
    wait_for(lambda: agent.stderr().count("configuration read again") > before,
             what="the configuration is read again")


def _hostile_link(folder):
    """A name for many_functions that its command name is taken from."""
    link = os.path.join(os.fsencode(folder), b'we"\xff\n{ird\\')
    os.symlink(workload("many_functions"), link)
    return link


def _expect_each_line_once(name, counts, written):
    runs = {run for run, _ in counts}
    doubled = [line for line, times in counts.items() if times > 1]
    missing = set(range(1, written + 1)) - {seq for _, seq in counts}
    expect(not doubled, f"{name} has lines twice: {doubled[:5]}")
    expect(not missing, f"{name} lacks lines: {sorted(missing)[:5]} of {written}")
    expect_equal((len(runs), sum(counts.values())), (1, written), f"runs and lines of {name}")


def _collect(layout, functions, rotations):
    """Both daemons follow one agent's file; returns how many lines each of them had."""
    with scratch() as folder:
        file = folder / "summaries.jsonl"
        file.touch()
        target = user("many_functions", functions)
        config = _config(file, target, f", layout: {layout}")
        with Rsyslog(folder, file, layout) as rsyslog, SyslogNg(folder, file, layout) as syslog_ng, \
                Running("many_functions", "rounds=1", executable=_hostile_link(folder)) as calls, \
                Agent(config) as agent:
            calls.go()
            calls.line("done")  # and stands, so that the series stay its own
            collectors = (rsyslog, syslog_ng)

            def all_have(seq):
                return all(max((line[1] for line in one.counts()), default=0) >= seq
                           for one in collectors)

            for rotation in range(rotations):
                seen = wait_for(lambda: _output(agent)["written"], what="a round is written")
                wait_for(lambda: _output(agent)["written"] > seen, what="another round")
                file.rename(folder / f"summaries.jsonl.{rotation}")
                if rotation % 2 == 0:  # the agent finds out by itself, too
                    agent.process.send_signal(signal.SIGHUP)
                at = _output(agent)["written"]
                wait_for(lambda: all_have(at + 1), 30, "both collectors follow the new file")
            _reload(agent, config.replace("interval: 1s", "interval: 1h"))
            output = _output(agent)
            expect_equal((output["failed"], output["pending"], output["layout"]), (0, 0, layout),
                         "what the agent could not write, and how it writes")
            expect(output["reopened"] > rotations, f"opened again {output['reopened']} times")
            for one in collectors:
                wait_for(lambda: sum(one.counts().values()) >= output["written"], 30,
                         f"{one.name} has all {output['written']} lines")
                _expect_each_line_once(one.name, one.counts(), output["written"])
                expect_equal(one.unparsed(), "", f"lines that {one.name} cannot read")
                probes = {line["probe"] for line in one.figures()}
                expect(probes <= set(agent.probes()), f"probes as {one.name} has them")
                expect(all(line["time"] and line["unit"] and (line["p99_ns"] or 0) >= 0
                           for line in one.figures()), f"figures as {one.name} has them")
            return f"{output['written']} lines, {rotations} rotations"


@limit(90)
def every_line_reaches_rsyslog_and_syslog_ng_across_rotations():
    return _collect("loris", "fn_*", 3)


@limit(60)
def every_line_in_the_layout_of_elastic_does_too():
    return _collect("ecs", "fn_00*", 1)


@limit(60)
def every_line_in_the_layout_of_opentelemetry_does_too():
    return _collect("otel", "fn_00*", 1)


def _longest_lines():
    """As the agent may write them: one of the most bytes, plain and with what JSON escapes."""
    header = (ROOT / "user/export/line_layout.h").read_text()
    most = int(re.search(r"LINE_LAYOUT_BYTES_MAX (\d+)", header)[1])
    for seq, filler in enumerate(("y", "\\\"", "\u20ac", "\\u0001"), 1):
        line = (f'{{"schema":"loris.series/1","time":"2026-11-20T07:00:00.123Z","probe":"p",'
                f'"group":{{"unit":"u"}},"p99_ns":1,"seq":{seq},"run":"r","pad":"')
        room = most - len(line) - len('"}\n')
        size = len(filler.encode())
        yield line + filler * (room // size) + "y" * (room % size) + '"}\n'


def the_longest_line_passes_rsyslog_and_syslog_ng():
    with scratch() as folder:
        file = folder / "summaries.jsonl"
        lines = list(_longest_lines())
        file.write_text("".join(lines))
        with Rsyslog(folder, file, "loris") as rsyslog, SyslogNg(folder, file, "loris") as syslog_ng:
            for one in (rsyslog, syslog_ng):
                wait_for(lambda: len(one.figures()) == len(lines) or one.unparsed(), 30,
                         f"{one.name} has the lines")
                _expect_each_line_once(one.name, one.counts(), len(lines))
                expect_equal(one.unparsed(), "", f"lines that {one.name} cannot read")


@limit(60)
def every_line_reaches_journald_with_its_figures_as_fields():
    need("/lib/systemd/systemd-journald", "journalctl", "unshare", "nsenter")
    with scratch() as folder:
        file = folder / "summaries.jsonl"
        config = _config(file, user("many_functions", "fn_*"), ", journal: true")
        with Journald(folder) as journald, \
                Running("many_functions", "rounds=1", executable=_hostile_link(folder)) as calls, \
                Agent(config, wrapper=journald.inside) as agent:
            calls.go()
            calls.line("done")
            wait_for(lambda: _output(agent, "journal")["written"] > 4000, 30, "some rounds")
            journald.process.send_signal(signal.SIGSTOP)
            wait_for(lambda: _output(agent, "journal")["pending"], what="journald is behind")
            expect(agent.stats(user("many_functions", "fn_0010")), "the agent still answers")
            journald.process.send_signal(signal.SIGCONT)
            wait_for(lambda: _output(agent, "journal")["written"] > 8000, 30, "more rounds")
            _reload(agent, config.replace("interval: 1s", "interval: 1h"))
            wait_for(lambda: _output(agent, "journal")["pending"] == 0, what="nothing waits")
            output = _output(agent, "journal")
            expect_equal(output["failed"], 0, "entries that the agent could not send")

            def entries():
                return journald.entries("SYSLOG_IDENTIFIER=lorisd")
            wait_for(lambda: len(entries()) >= output["written"], 30,
                     f"journald has all {output['written']} entries")
            found = entries()
            counts = collections.Counter((entry["LORIS_RUN"], int(entry["LORIS_SEQ"]))
                                         for entry in found)
            _expect_each_line_once("journald", counts, output["written"])
            lines = {line["seq"]: line for line in map(json.loads, file.read_text().splitlines())}
            for entry in found:
                line = lines[int(entry["LORIS_SEQ"])]
                for field, value in (("PROBE", line["probe"]), ("COUNT", line["count"]),
                                     ("P99_NS", line["p99_ns"]), ("COMM", line["group"]["comm"]),
                                     ("UNIT", line["group"]["unit"])):
                    expect_equal(entry[f"LORIS_{field}"], str(value), field)
                expect_equal(entry["PRIORITY"], "6", "PRIORITY")
                expect(line["probe"] in entry["MESSAGE"], f"MESSAGE {entry['MESSAGE']!r}")
            return f"{output['written']} entries"


@limit(60)
def a_reader_of_stdout_that_sleeps_costs_what_does_not_fit():
    """What the pipe does not take waits in the agent, bounded; more than that is counted."""
    with scratch() as folder:
        pipe = folder / "pipe"
        os.mkfifo(pipe)
        os.chown(pipe, 65534, 65534)  # as `sudo lorisd | reader`: another user's
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        config = _config('"-"', user("many_functions", "fn_*"))
        with open(reader, "rb", buffering=0) as reader, \
                Running("many_functions", "rounds=1") as calls, \
                Agent(config, wrapper=("sh", "-c", f'exec "$@" >{pipe}', "sh")) as agent:
            calls.go()
            calls.line("done")
            wait_for(lambda: _output(agent)["failed"], 40, "more waits than may")
            expect_equal(agent.status()["health"], "degraded", "health without a reader")
            _reload(agent, config.replace("interval: 1s", "interval: 1h"))
            got = []

            def read_all():
                while part := reader.read(1 << 20):
                    got.append(part)
                return _output(agent)["pending"] == 0
            wait_for(read_all, what="the reader has all that waited")
            read_all()
            seqs = [json.loads(line)["seq"] for line in b"".join(got).splitlines()]
            output = _output(agent)
            expect_equal(len(seqs), output["written"], "lines that the reader has")
            expect_equal(sorted(set(seqs)), seqs, "lines in order")
            expect("failing" not in output, "nothing fails any more")
            return f"{output['written']} read, {output['failed']} lost and counted"


@limit(60)
def a_full_disk_costs_lines_and_nothing_else():
    """Lines that do not fit are counted, no line is torn, collectors see each line once."""
    with scratch() as folder, small_disk(folder, "size=512k") as disk:
        file = disk / "summaries.jsonl"
        file.touch()
        config = _config(file, user("many_functions", "fn_00*"))
        with Rsyslog(folder, file, "loris") as rsyslog, SyslogNg(folder, file, "loris") as syslog_ng, \
                Running("many_functions", "rounds=1") as calls, Agent(config) as agent:
            calls.go()
            calls.line("done")
            ballast = disk / "ballast"
            wait_for(lambda: _output(agent)["written"], what="lines are written")
            ballast.write_bytes(bytes(380 * 1024))
            full = wait_for(lambda: _output(agent) if "failing" in _output(agent) else None,
                            what="the disk is full")
            expect_equal(full["failing"], "No space left on device", "why lines fail")
            wait_for(lambda: _output(agent)["failed"] > full["failed"], what="more lines fail")
            status = agent.status()
            expect_equal(status["health"], "degraded", "health on a full disk")
            expect(any("No space left on device" in why for why in status["reasons"]),
                   f"reasons {status['reasons']}")
            shown = loris("status", "--socket", agent.socket_path)
            expect("failing: No space left on device" in shown.stdout, shown.stdout)
            expect(agent.stats(user("many_functions", "fn_0010")), "the agent still answers")

            ballast.unlink()
            # Room again for a few rounds only.
            wait_for(lambda: "failing" not in _output(agent), what="lines are written again")
            _reload(agent, config.replace("interval: 1s", "interval: 1h"))
            output = _output(agent)
            lines = [json.loads(line) for line in file.read_text().splitlines()]
            seqs = [line["seq"] for line in lines]
            expect_equal(len(seqs), output["written"], "whole lines in the file")
            expect_equal(len(set(seqs)), len(seqs), "lines that are there once")
            expect_equal(max(seqs) - len(seqs), output["failed"], "the gap in seq")
            expect(output["failed"] > 0 and output["pending"] == 0, f"figures {output}")
            expect_equal(agent.stderr().count("No space left"), 1, "times that the log tells of it")
            expect("are written to" in agent.stderr(), "the log tells of the recovery")
            for one in (rsyslog, syslog_ng):
                wait_for(lambda: sum(one.counts().values()) >= len(seqs), 30,
                         f"{one.name} has all {len(seqs)} lines")
                expect_equal(sorted(seq for _, seq in one.counts().elements()), seqs,
                             f"lines of {one.name}")
                expect_equal(one.unparsed(), "", f"lines that {one.name} cannot read")
            return f"{output['written']} written, {output['failed']} lost and counted"


@limit(30)
def a_read_only_disk_does_not_keep_the_agent_from_starting():
    with scratch() as folder, small_disk(folder, "ro,size=256k") as disk:
        file = disk / "summaries.jsonl"
        with Agent(_config(file, "syscall:getppid")) as agent:
            os.getppid()
            wait_for(lambda: _output(agent)["failed"], what="lines fail")
            expect_equal(_output(agent)["failing"], "Read-only file system", "why lines fail")
            subprocess.run(["mount", "-o", "remount,rw", disk], check=True)
            wait_for(lambda: _output(agent)["written"], what="lines are written")
            expect("failing" not in _output(agent), "nothing fails any more")
            expect(json.loads(file.read_text().splitlines()[0])["seq"] > 1, "the first line's seq")


def _seqs(*files):
    """Of all lines, which are whole."""
    found = []
    for file in files:
        expect(file.read_text().endswith("\n"), f"{file} ends with a whole line")
        found += [json.loads(line)["seq"] for line in file.read_text().splitlines()]
    return found


def _wait_for_lines(file, what):
    """In a file that is not there yet, or empty; series without a call have no line."""
    wait_for(lambda: os.getppid() and file.exists() and file.read_text(), what=what)


@limit(30)
def follows_its_name_when_the_file_is_moved_deleted_or_truncated():
    with scratch() as folder:
        file, moved = folder / "summaries.jsonl", folder / "moved"
        with Agent(_config(file, "syscall:getppid")) as agent:
            _wait_for_lines(file, "a first line")
            file.rename(moved)
            _wait_for_lines(file, "lines in a new file after a move")
            seqs = _seqs(moved, file)
            file.unlink()
            _wait_for_lines(file, "lines in a new file after a deletion")
            seqs += _seqs(file)
            os.truncate(file, 0)
            _wait_for_lines(file, "lines in the file after a truncation")
            seqs += _seqs(file)
            expect_equal(seqs, list(range(1, len(seqs) + 1)), "seq over all files")
            expect_equal(_output(agent)["reopened"], 2, "times that the file was opened again")


@limit(30)
def a_link_that_takes_the_place_of_the_file_leads_nowhere():
    with scratch() as folder:
        file, moved, precious = folder / "summaries.jsonl", folder / "moved", folder / "precious"
        precious.write_text("as it was\n")
        with Agent(_config(file, "syscall:getppid")) as agent:
            _wait_for_lines(file, "a first line")
            file.rename(moved)
            file.symlink_to(precious)
            wait_for(lambda: os.getppid() and "failing" in _output(agent), what="status tells it")
            expect_equal(_output(agent)["failing"], "Too many levels of symbolic links", "why")
            file.unlink()
            _wait_for_lines(file, "lines in a new file")
            wait_for(lambda: "failing" not in _output(agent), what="nothing fails any more")
            seqs = _seqs(moved, file)
            expect_equal(seqs, list(range(1, len(seqs) + 1)), "seq over both files")
            expect_equal(_output(agent)["failed"], 0, "lines that failed")
        expect_equal(precious.read_text(), "as it was\n", "the file behind the link")


def refuses_a_file_that_leads_elsewhere():
    with scratch() as folder:
        precious = folder / "precious"
        precious.write_text("as it was\n")
        file = folder / "summaries.jsonl"
        config = folder / "loris.yaml"
        config.write_text(_config(file, "syscall:getppid"))
        for make, why in ((lambda: file.symlink_to(precious), "symbolic links"),
                          (lambda: os.link(precious, file), "Too many links"),
                          (lambda: os.mkfifo(file), "Invalid argument"),
                          (file.mkdir, "Is a directory")):
            make()
            done = subprocess.run([LORISD, "-c", config, "-s", folder / "s"], timeout=20,
                                  capture_output=True, text=True, stdin=subprocess.DEVNULL)
            expect_equal(done.returncode, 6, f"exit status of lorisd ({done.stderr})")
            expect(why in done.stderr and str(file) in done.stderr, done.stderr)
            file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
        expect_equal(precious.read_text(), "as it was\n", "the file behind the links")

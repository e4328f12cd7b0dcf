# SPDX-License-Identifier: GPL-2.0-or-later
"""Real servers and libraries of Debian, counted by bpftrace on the same run."""

import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess

from support import (Agent, check_ledger, expect, expect_equal, limit, need, scratch, wait_for)


class _Bpftrace:
    """A counting uprobe on one function, and the count it prints when it is interrupted."""

    def __init__(self, path, function):
        need("bpftrace")
        program = (f'BEGIN {{ printf("up\\n"); }} '
                   f'uprobe:{os.path.realpath(path)}:{function} {{ @calls = count(); }}')
        self.process = subprocess.Popen(["bpftrace", "-e", program], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.said = b""
        os.set_blocking(self.process.stdout.fileno(), False)
        try:
            wait_for(lambda: b"up" in self._read() or self.process.poll() is not None, 30,
                     "bpftrace has attached")
            expect(self.process.poll() is None, f"bpftrace ended: {self.said.decode()}")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _read(self):
        self.said += self.process.stdout.read() or b""
        return self.said

    def count(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(90)  # perf-based uprobes detach slowly
        found = re.search(rb"@calls: (\d+)", self._read())
        return int(found.group(1)) if found else 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _compare(target, path, function, run):
    """run() under the agent and bpftrace at once; counts must be equal. Returns a note."""
    with Agent() as agent, _Bpftrace(path, function) as trace:
        agent.attach(target)
        run()
        theirs_later = agent.settled(target)
        ledger = theirs_later["ledger"]
        theirs = trace.count()
        probe = agent.settled(target)
        check_ledger(probe["ledger"], abandoned=0)
        ours = agent.total(target)
        expect_equal(probe["ledger"]["entered"], ledger["entered"], "calls after the run")
        expect(ours > 0, f"nothing was counted: {ledger}")
        expect_equal(ours, theirs, f"calls of {function}, ours against bpftrace's")
        line = agent.stats(target)[0]
        return (f"{ours} calls by both; p50 {line['p50_ns']} ns, p99 {line['p99_ns']} ns "
                f"({probe.get('attach')})")


@limit(120)
def redis_server_under_redis_benchmark():
    need("redis-server", "redis-benchmark", "redis-cli")
    with scratch() as folder:
        path = folder / "redis.sock"
        server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", str(path),
                                   "--save", "", "--dir", str(folder), "--daemonize", "no"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            def up():
                ping = subprocess.run(["redis-cli", "-s", str(path), "ping"],
                                      capture_output=True, text=True)
                return "PONG" in ping.stdout
            wait_for(up, 20, "redis answers")

            def run():
                done = subprocess.run(["redis-benchmark", "-s", str(path), "-n", "30000", "-q",
                                       "-c", "20", "-t", "set,get"], capture_output=True,
                                      text=True, timeout=90)
                expect_equal(done.returncode, 0, "exit status of redis-benchmark")
            return _compare("user:/usr/bin/redis-server:processCommand", "/usr/bin/redis-server",
                            "processCommand", run)
        finally:
            server.terminate()
            server.wait(20)


@limit(120)
def sqlite_on_a_real_database():
    need("sqlite3")
    library = _library("sqlite3", "libsqlite3.so.0")
    with scratch() as folder:
        script = folder / "script.sql"
        script.write_text("create table t(a integer primary key, b text);\nbegin;\n"
                          "with recursive n(i) as (select 1 union all select i+1 from n "
                          "where i < 20000) insert into t select i, 'row ' || i from n;\ncommit;\n"
                          "select count(*), max(b) from t;\nselect * from t limit 5000;\n"
                          "create index x on t(b);\nselect * from t where b = 'row 77';\n")

        def run():
            for number in range(3):
                with open(script) as commands:
                    done = subprocess.run(["sqlite3", str(folder / f"db{number}")], stdin=commands,
                                          stdout=subprocess.DEVNULL, timeout=60)
                expect_equal(done.returncode, 0, "exit status of sqlite3")
        return _compare("user:libsqlite3.so.0:sqlite3_step", library, "sqlite3_step", run)


@limit(150)
def postgresql_queries_by_libpq():
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    binaries = folders[-1] if folders else pathlib.Path("/nowhere")
    need(str(binaries / "postgres"), "psql", "setpriv")
    postgres = pwd.getpwnam("postgres")
    as_postgres = ["setpriv", f"--reuid={postgres.pw_uid}", f"--regid={postgres.pw_gid}",
                   "--clear-groups"]
    psql_binary = next(path for path in (binaries / "psql", pathlib.Path("/usr/bin/psql"))
                       if path.exists())
    library = _library(str(psql_binary), "libpq.so.5")
    with scratch() as folder:
        os.chown(folder, postgres.pw_uid, postgres.pw_gid)
        subprocess.run([*as_postgres, str(binaries / "initdb"), "-D", str(folder / "data"), "-A",
                        "trust", "-N", "--no-instructions"], check=True, capture_output=True,
                       cwd=folder)
        server = subprocess.Popen([*as_postgres, str(binaries / "postgres"), "-D",
                                   str(folder / "data"), "-k", str(folder), "-c",
                                   "listen_addresses=", "-c", "fsync=off"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, cwd=folder)
        try:
            connect = [str(psql_binary), "-X", "-h", str(folder), "-U", "postgres", "-d",
                       "postgres"]
            wait_for(lambda: subprocess.run([*connect, "-c", "select 1"],
                                            capture_output=True).returncode == 0, 30,
                     "PostgreSQL answers")
            # psql sends what the user types asynchronously; its descriptions go by PQexec.
            queries = "\\d pg_class\n" * 200

            def run():
                done = subprocess.run([*connect, "-q", "-o", "/dev/null"], input=queries,
                                      text=True, capture_output=True, timeout=60)
                expect_equal(done.returncode, 0, f"exit status of psql ({done.stderr[:200]})")
            return _compare("user:libpq.so.5:PQexec", library, "PQexec", run)
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _library(program, name):
    """The file the dynamic linker loads for a program under this soname."""
    listed = subprocess.run(["ldd", shutil.which(program) or program], capture_output=True,
                            text=True)
    found = re.search(re.escape(name) + r" => (\S+)", listed.stdout)
    expect(found, f"{program} does not use {name}")
    return found.group(1)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Each preset on the real programs that it is for: counts that their work implies, and failures."""

import contextlib
import http.server
import json
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

from kernel_state import ROOT
from support import (LORIS, LORISD, Agent, VarlinkError, expect, expect_equal, limit, loris, need,
                     scratch, wait_for, watch)

PRESETS = sorted(path.stem for path in (ROOT / "packaging/presets").glob("*.yaml"))
PYTHON = "/usr/bin/python3"  # Debian's, on Debian's libraries
_run = set()


def _of(*presets):
    """Marks the test that runs these presets."""
    def mark(function):
        _run.update(presets)
        return function
    return mark


class _Counts:
    """Calls and errors of a watch's probes, by the name of the function."""

    def __init__(self, lines):
        self.lines = {line["probe"].rsplit(":", 1)[1]: line for line in lines
                      if line.get("final") and line["count"]}

    def count(self, name):
        return self.lines.get(name, {}).get("count", 0)

    def check(self, **expected):
        """name=count or name=(count, errors)."""
        for name, wanted in expected.items():
            line = self.lines.get(name, {"count": 0, "errors": 0})
            wanted = wanted if isinstance(wanted, tuple) else (wanted, 0)
            expect_equal((line["count"], line["errors"]), wanted, f"calls and errors of {name}")


def _watch(presets, command, **options):
    """The command and its children under the presets, every call timed."""
    targets = [f"preset:{name}" for name in presets.split()]
    return _Counts(watch("--by", "none", "--sample", "1/1", *targets, command=command,
                         **options).final)


class _Server:
    """A server as the command of a watch, which ends with it."""

    def __init__(self, presets, folder, *command):
        self.data = folder / "series"
        targets = [f"preset:{name}" for name in presets.split()]
        self.watch = subprocess.Popen(
            [LORIS, "watch", "--json", "-o", str(self.data), "--by", "none", "--budget", "none",
             "--sample", "1/1", *targets, "--", *map(str, command)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def wait_up(self, is_up, what):
        wait_for(lambda: is_up() or self.watch.poll() is not None, 30, what)
        expect(self.watch.poll() is None, f"the watch ended before {what}")

    def end(self, pid, how=signal.SIGTERM):
        """Ends the server; returns what was counted."""
        os.kill(pid, how)
        expect_equal(self.watch.wait(30), 0, "exit status of the watch")
        return _Counts(map(json.loads, self.data.read_text().splitlines()))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.watch.poll() is None:
            self.watch.terminate()  # the watch ends its command
            try:
                self.watch.wait(20)
            except subprocess.TimeoutExpired:
                self.watch.kill()
                self.watch.wait()


def _python(source):
    return [PYTHON, "-c", source]


def _quietly(command, status=0, **options):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=30, **options)
    expect_equal(done.returncode, status, f"exit status of {command[0]} ({done.stderr[-300:]})")


# --- system calls and what lies below ------------------------------------------------------------


@_of("syscalls")
def syscalls():
    found = _watch("syscalls", _python("""
import os
for _ in range(1000): os.getppid()
for _ in range(3):
    try: os.rmdir("/nowhere/at/all")
    except OSError: pass
"""))
    found.check(getppid=1000, rmdir=(3, 3), execve=1)


@_of("storage")
def storage():
    with scratch() as folder:
        found = _watch("storage", _python(f"""
import os
file = os.open({str(folder / "data")!r}, os.O_RDWR | os.O_CREAT)
for _ in range(5):
    os.write(file, bytes(4096))
    os.fsync(file)
os.fdatasync(file)
pipe = os.pipe()[1]
for _ in range(2):
    try: os.fsync(pipe)
    except OSError: pass
"""))
    found.check(fsync=(7, 2), fdatasync=1)
    return f"{found.count('block-io')} requests to the disk"


@_of("scheduler")
def scheduler():
    found = _watch("scheduler", _python("""
import os, time
for _ in range(50): os.sched_yield()
for _ in range(20): time.sleep(0.001)
"""))
    found.check(sched_yield=50)
    expect(found.count("run-queue") >= 20, f"20 sleeps, {found.count('run-queue')} times runnable")


@_of("sockets")
def sockets():
    found = _watch("sockets", _python("""
import socket, threading
def answer(server, times):
    for _ in range(times):
        one = server.accept()[0]
        one.sendall(one.recv(100))
        one.close()
with socket.create_server(("127.0.0.1", 0)) as server:
    port = server.getsockname()[1]
    thread = threading.Thread(target=answer, args=(server, 5))
    thread.start()
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port)) as one:
            one.sendall(b"hello")
            assert one.recv(100) == b"hello"
            one.shutdown(socket.SHUT_RDWR)
    thread.join()
for _ in range(2):
    try: socket.create_connection(("127.0.0.1", port))
    except OSError: pass
"""))
    found.check(connect=(7, 2), accept4=5, sendto=10, recvfrom=10)
    expect_equal(found.count("shutdown"), 5, "calls of shutdown")


@_of("processes")
def processes():
    need("true", "false")
    found = _watch("processes", _python("""
import ctypes, os
for _ in range(4): os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
for _ in range(2):
    try: os.posix_spawn("/nowhere/at/all", ["nothing"], {})
    except OSError: pass
for command in ("true", "true", "false"): os.system(command)
for _ in range(3):
    child = os.fork()
    if child == 0:
        try: os.execv("/nowhere/at/all", ["nothing"])
        except OSError: os._exit(0)
    os.waitpid(child, 0)
for _ in range(2):
    try: ctypes.CDLL("libwibble.so.9")
    except OSError: pass
try: os.waitpid(-1, 0)
except OSError: pass
"""))
    # system() spawns its shell. Started are Python itself, 4 of /bin/true and 3 shells; 5 are not.
    found.check(posix_spawn=(6 + 3, 2), system=(3, 1), execve=(1 + 4 + 3 + 5, 5))
    expect_equal(found.lines["wait4"]["errors"], 1, "waits for nobody")
    expect_equal(found.lines["dlopen"]["errors"], 2, "libraries that are not there")


@_of("vfs", "tcp")
def kernel_functions_are_watched_or_refused_in_words():
    """Where the kernel takes kprobes, the kernel matrix (tests/kernels) counts, too."""
    done = watch("--by", "none", "preset:vfs", "preset:tcp", command=["/bin/true"],
                 expect_status=None)
    if done.status == 0:
        expect(done.total("kernel:vfs_read") > 0, f"no reads to start a program: {done.lines}")
        return "this kernel lets us attach to kernel functions"
    expect_equal(done.status, 1, "exit status")
    expect(re.search("nothing of preset:(vfs|tcp) could be attached", done.stderr), done.stderr)
    expect("this kernel takes neither fentry nor kprobes" in done.stderr, done.stderr)
    expect(len(done.stderr.splitlines()) <= 6, f"one reason, many lines: {done.stderr}")
    return "refused here; counted in the kernel matrix"


# --- the C library -------------------------------------------------------------------------------


@_of("files")
def files():
    with scratch() as folder:
        found = _watch("files", _python(f"""
import os
os.chdir({str(folder)!r})
for i in range(5): os.close(os.open(f"f{{i}}", os.O_CREAT | os.O_RDWR))
for i in range(4): os.rename(f"f{{i}}", f"g{{i}}")
for i in range(3): os.unlink(f"g{{i}}")
for i in range(2): os.mkdir(f"d{{i}}")
for name, call in (("f0", os.unlink), ("d0", os.mkdir)):
    try: call(name)
    except OSError: pass
file = os.open("g3", os.O_RDWR)
for _ in range(6): os.fsync(file)
os.fdatasync(file)
try: os.fsync(os.pipe()[1])
except OSError: pass
"""))
        found.check(rename=4, unlink=(4, 1), mkdir=(3, 1), fsync=(7, 1), fdatasync=1)
        expect(found.count("open64") >= 6, "opened files")
        found = _watch("files", ["dd", "if=/dev/zero", f"of={folder / 'copy'}", "bs=4k", "count=4",
                                 "conv=fsync", "status=none"])
        found.check(fsync=1, rename=0)


@_of("libc-heap")
def heap_of_the_c_library():
    program = _python("""
import ctypes
c = ctypes.CDLL(None)
c.malloc.restype = c.calloc.restype = c.aligned_alloc.restype = ctypes.c_void_p
c.malloc.argtypes = c.free.argtypes = [ctypes.c_void_p]
c.calloc.argtypes = [ctypes.c_size_t] * 2
at = ctypes.c_void_p()
for _ in range(2000): c.free(c.malloc(64))
for _ in range(7): c.malloc(1 << 62)
for _ in range(3): c.calloc(1 << 40, 1 << 40)
for _ in range(11): c.posix_memalign(ctypes.byref(at), 64, 100); c.free(at)
for _ in range(2): c.posix_memalign(ctypes.byref(at), 3, 100)
for _ in range(5): c.free(c.aligned_alloc(64, 128))
""")
    found = _watch("libc-heap", program)
    found.check(posix_memalign=(13, 2), aligned_alloc=5)
    for name, failed in (("malloc", 7), ("calloc", 3), ("realloc", 0), ("free", 0)):
        expect_equal(found.lines[name]["errors"], failed, f"failures of {name}")
    expect(found.count("malloc") > 2000 and found.count("free") > 2000, f"{found.lines}")
    # As the preset has it, one call of 128 is timed; all are counted or wait for the next one.
    sampled = watch("--by", "none", "preset:libc-heap", command=program).final
    malloc = next(line for line in sampled if line["probe"].endswith(":malloc"))
    expect(malloc["rank_error"] > 0, f"every call was timed: {malloc}")
    expect(abs(malloc["count"] + malloc.get("waiting", 0) - found.count("malloc")) < 200,
           f"{malloc} of {found.count('malloc')}")


@_of("pthread-locks")
def locks_of_threads():
    with scratch() as folder:
        lines = folder / "lines"
        lines.write_text("".join(f"{number}\n" for number in range(400000)))
        found = _watch("pthread-locks", ["sort", "--parallel=4", "-S", "200M", "-o", "/dev/null",
                                         str(lines)])
    # The main thread is one of four; the three others are joined.
    found.check(pthread_join=3)
    expect(found.count("futex") >= 3, f"{found.lines}")
    found = _watch("pthread-locks", _python("""
import ctypes
c = ctypes.CDLL(None)
c.pthread_self.restype = ctypes.c_ulong
c.pthread_join.argtypes = [ctypes.c_ulong, ctypes.c_void_p]
for _ in range(2): assert c.pthread_join(c.pthread_self(), None)  # EDEADLK
"""))
    found.check(pthread_join=(2, 2))


@_of("dns")
def names():
    long_name = "x" * 300  # longer than any name, refused without a question to a server
    found = _watch("dns", ["getent", "ahosts", "localhost", "127.0.0.1", "::1", long_name])
    found.check(getaddrinfo=(4, 1), gethostbyname=0)
    found = _watch("dns", ["getent", "hosts", "127.0.0.1"])
    found.check(gethostbyaddr=1, getaddrinfo=0)
    found = _watch("dns", _python("""
import socket
for _ in range(6): socket.getnameinfo(("127.0.0.1", 80), 0)
for _ in range(5): socket.gethostbyname_ex("localhost")
"""))
    found.check(getnameinfo=6, gethostbyname_r=5)


@_of("logins")
def logins():
    need("su", "setpriv", "getent")
    found = _watch("logins", ["getent", "passwd", "root", "daemon", "nosuchuser"])
    found.check(getpwnam_r=3, pam_authenticate=0)
    with scratch() as folder:
        script = folder / "both"
        script.write_text("#!/bin/sh\nsu -s /bin/true nobody\n"
                          "setpriv --reuid=65534 --clear-groups su root -c true\n"
                          "exit 0\n")
        script.chmod(0o755)
        # Root is let through; nobody gives no password.
        found = _watch("logins", [str(script)])
    found.check(pam_authenticate=(2, 1), pam_acct_mgmt=1, pam_open_session=1,
                pam_close_session=1)


# --- libraries -----------------------------------------------------------------------------------


@_of("sqlite", "goal-database")
def sqlite():
    need("sqlite3")
    with scratch() as folder:
        script = folder / "script.sql"
        script.write_text("create table t(a integer primary key, b text);\n" +
                          "".join(f"insert into t values ({i}, 'row');\n" for i in range(20)) +
                          "insert into t values (7, 'there already');\n" * 3 +
                          "select * from t;\nnonsense;\n")
        runner = folder / "run"
        runner.write_text(f"#!/bin/sh\nsqlite3 {folder}/db <{script} >/dev/null 2>&1\nexit 0\n")
        runner.chmod(0o755)
        found = _watch("sqlite goal-database", [str(runner)])
    # 25 statements and the one that does not parse; sqlite3 asks for two things of its own.
    statements = 1 + 20 + 3 + 1
    prepared = found.lines["sqlite3_prepare_v2"]
    own = prepared["count"] - statements - 1
    expect(0 <= own <= 4, f"{prepared['count']} statements were prepared")
    expect_equal(prepared["errors"], 1, "statements that do not parse")
    found.check(sqlite3_finalize=(prepared["count"], 3), sqlite3_open_v2=1)
    steps = found.lines["sqlite3_step"]
    # A step for each statement, and one more for each row.
    expect(statements + 20 <= steps["count"] <= statements + 20 + 2 * own, f"{steps}")
    expect_equal(steps["errors"], 0, "errors of steps, which have no rule")


@_of("compression")
def zlib_and_zstandard():
    found = _watch("compression", _python("""
import ctypes, zlib
for _ in range(10): zlib.decompress(zlib.compress(b"x" * 1000))
try: zlib.decompress(b"nonsense")
except zlib.error: pass
z = ctypes.CDLL("libzstd.so.1")
z.ZSTD_compressCCtx.restype = z.ZSTD_decompress.restype = ctypes.c_size_t
z.ZSTD_createCCtx.restype = ctypes.c_void_p
context, packed, plain = z.ZSTD_createCCtx(), bytes(200), bytes(1000)
for _ in range(4):
    size = z.ZSTD_compressCCtx(ctypes.c_void_p(context), packed, ctypes.c_size_t(200), plain,
                               ctypes.c_size_t(1000), 3)
for _ in range(6): z.ZSTD_decompress(plain, ctypes.c_size_t(1000), packed, ctypes.c_size_t(size))
for _ in range(2): z.ZSTD_decompress(plain, ctypes.c_size_t(1000), b"nonsense",
                                     ctypes.c_size_t(8))
z.ZSTD_compressCCtx(ctypes.c_void_p(context), packed, ctypes.c_size_t(1), plain,
                    ctypes.c_size_t(1000), 3)
"""))
    found.check(deflate=10, inflate=(11, 1), ZSTD_compressCCtx=(5, 1), ZSTD_decompress=(8, 2))


@_of("python")
def python_collections_and_imports():
    with scratch() as folder:
        for name in ("one", "two", "three"):
            (folder / f"{name}.py").write_text("")

        def work(collections, imports):
            return _watch("python", _python(f"import gc, sys\nsys.path.insert(0, {str(folder)!r})\n"
                                            f"gc.disable()\nimport {imports}\n"
                                            f"for _ in range({collections}): gc.collect()\n"))
        few, many = work(10, "one"), work(30, "one, two, three")
    # Starting and ending is the same in both.
    for mark, more in (("gc__start..gc__done", 20),
                       ("import__find__load__start..import__find__load__done", 2)):
        expect_equal(many.count(mark) - few.count(mark), more, f"{mark} more")


@_of("tls")
def openssl_and_gnutls():
    need("openssl", "gnutls-cli")
    with scratch() as folder:
        key, certificate = folder / "key.pem", folder / "certificate.pem"
        _quietly(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                  "-days", "2", "-subj", "/CN=localhost", "-addext",
                  "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        server = subprocess.Popen(["openssl", "s_server", "-accept", "127.0.0.1:0", "-key",
                                   str(key), "-cert", str(certificate), "-www"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.DEVNULL)
        try:
            line = ""
            while not line.startswith("ACCEPT"):
                line = server.stdout.readline()
                expect(line, "openssl s_server ended")
            port = line.rsplit(":", 1)[1].strip()
            found = _watch("tls", _python(f"""
import socket, ssl
def ask(cafile):
    context = ssl.create_default_context(cafile=cafile)
    with socket.create_connection(("127.0.0.1", {port})) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secure:
            secure.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            while secure.recv(65536): pass
for _ in range(5): ask({str(certificate)!r})
for _ in range(2):
    try: ask(None)
    except ssl.SSLError: pass
"""))
            # The two that do not trust the certificate fail in the handshake.
            found.check(SSL_do_handshake=(7, 2), SSL_write_ex=5)
            expect(found.count("SSL_read_ex") >= 10, "an answer and its end, five times")

            def gnutls(trust):
                return _watch("tls", ["sh", "-c", "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | gnutls-cli "
                                      f"{trust} -p {port} localhost >/dev/null 2>&1; true"])
            trusting = gnutls(f"--x509cafile={certificate}")
            trusting.check(gnutls_handshake=1, gnutls_record_send=1, gnutls_bye=1)
            gnutls("").check(gnutls_handshake=(1, 1), gnutls_record_send=0)
        finally:
            server.terminate()
            server.wait(20)
            server.stdout.close()


# --- servers and their clients -------------------------------------------------------------------


@_of("nginx", "http-client")
def nginx_and_curl():
    need("nginx", "curl")
    with scratch() as folder:
        (folder / "index.html").write_text("fine\n")
        os.chmod(folder, 0o755)
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error;\n"
            f"events {{}}\nhttp {{ access_log off; {temporary}\n"
            f"server {{ listen unix:{folder}/socket; root {folder}; }} }}\n")
        with _Server("nginx", folder, "nginx", "-p", folder, "-c", folder / "nginx.conf", "-e",
                     folder / "error") as server:
            server.wait_up(lambda: (folder / "pid").exists() and
                           (folder / "pid").read_text().strip(), "nginx wrote its pid")
            page, nothing = "http://localhost/index.html", "http://localhost/nothing"
            curl = ["curl", "-s", "--unix-socket", str(folder / "socket")]

            def transfers(*urls):
                return [word for url in urls for word in ("-o", "/dev/null", url)]
            found = _watch("http-client", [*curl, *transfers(page, page, page, nothing)])
            found.check(curl_easy_perform=4)
            found = _watch("http-client", [*curl, "--fail", *transfers(page, nothing)])
            found.check(curl_easy_perform=(2, 1))
            found = _watch("http-client", [*curl[:2], "--unix-socket", str(folder / "closed"),
                                           *transfers(page)])
            found.check(curl_easy_perform=(1, 1))
            counts = server.end(int((folder / "pid").read_text()))
    counts.check(ngx_http_process_request=6, ngx_http_special_response_handler=2,
                 ngx_event_accept=2)
    expect_equal(counts.lines["ngx_open_cached_file"]["errors"], 2, "files that are not there")


@_of("goal-api")
def apache_answers_and_curl_asks():
    need("apache2", "curl")
    modules = pathlib.Path("/usr/lib/apache2/modules")
    with scratch() as folder:
        os.chmod(folder, 0o755)
        (folder / "index.html").write_text("fine\n")
        (folder / "conf").write_text(
            f"ServerRoot {folder}\nServerName localhost\nPidFile {folder}/pid\n"
            f"ErrorLog {folder}/error\nDefaultRuntimeDir {folder}\nDocumentRoot {folder}\n"
            f"LoadModule mpm_event_module {modules}/mod_mpm_event.so\n"
            f"LoadModule authz_core_module {modules}/mod_authz_core.so\n"
            f"Listen 127.0.0.1:{_free_port()}\nUser nobody\nGroup nogroup\nStartServers 1\n")
        port = re.search(r"Listen 127.0.0.1:(\d+)", (folder / "conf").read_text()).group(1)
        with _Server("goal-api", folder, "apache2", "-f", folder / "conf",
                     "-DFOREGROUND") as server:
            server.wait_up(lambda: "resuming normal operations" in _read(folder / "error"),
                           "Apache is up")
            page = ["-o", "/dev/null", f"http://127.0.0.1:{port}/index.html"]
            found = _watch("goal-api", ["curl", "-s", *page * 7])
            found.check(curl_easy_perform=7)
            counts = server.end(int((folder / "pid").read_text()))
    counts.check(ap_process_async_request=7)


@_of("redis-server", "redis-client")
def redis_and_hiredis():
    need("redis-server")
    with scratch() as folder:
        path = folder / "socket"
        with _Server("redis-server", folder, "redis-server", "--port", "0", "--unixsocket", path,
                     "--save", "", "--dir", folder, "--pidfile", folder / "pid") as server:
            server.wait_up(lambda: path.exists() and _read(folder / "pid").strip(),
                           "Redis listens")
            # SHUTDOWN has no reply: the connection ends, as it would under a crash.
            found = _watch("redis-client", _python(f"""
import ctypes
r = ctypes.CDLL("libhiredis.so")
r.redisConnectUnix.restype = r.redisCommand.restype = ctypes.c_void_p
at = ctypes.c_void_p(r.redisConnectUnix({str(path)!r}.encode()))
for i in range(100): assert r.redisCommand(at, b"SET key:%d %d", i, i)
for _ in range(3): assert r.redisCommand(at, b"WIBBLE")
assert not r.redisCommand(at, b"SHUTDOWN NOSAVE")
"""))
            counts = _Counts(map(json.loads, _ended(server)))
    # What the server refuses is a reply, the lost connection is none. SHUTDOWN never returns.
    found.check(redisConnectUnix=1, redisCommand=(104, 1), redisGetReply=(104, 1))
    counts.check(processCommand=103, call=100, rejectCommandSds=3)


@_of("mysql-client", "goal-availability")
@limit(90)
def mariadb_and_perl():
    need("mariadbd", "perl")
    with scratch() as folder:
        server = subprocess.Popen(
            ["mariadbd", "--no-defaults", "--user=root", f"--datadir={folder}",
             "--skip-grant-tables", "--skip-networking", f"--socket={folder}/socket",
             "--skip-log-bin", "--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M",
             "--innodb-flush-log-at-trx-commit=0"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(lambda: (folder / "socket").exists() or server.poll() is not None, 30,
                     "MariaDB listens")
            script = folder / "script.pl"
            script.write_text(f"""
use DBI;
my $quiet = {{PrintError => 0, RaiseError => 0}};
my $d = DBI->connect("DBI:mysql:mysql_socket={folder}/socket", "root", "", $quiet) or die;
$d->do("do 1") for 1..20;
$d->selectall_arrayref("select 1") for 1..7;
$d->do("nonsense") for 1..3;
my $s = $d->prepare("select ?", {{mysql_server_prepare => 1}});
for (1..5) {{ $s->execute($_); $s->fetchall_arrayref; }}
$d->ping for 1..4;
DBI->connect("DBI:mysql:mysql_socket=/nowhere/at/all", "root", "", $quiet) for 1..2;
""")
            found = _watch("mysql-client goal-availability", ["perl", str(script)])
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    found.check(mysql_real_connect=(3, 2), mysql_real_query=(30, 3), mysql_stmt_prepare=1,
                mysql_stmt_execute=5, mysql_ping=4)


@_of("postgres-server", "postgres-client")
@limit(90)
def postgresql_and_its_clients():
    binaries = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    binaries = binaries[-1] if binaries else pathlib.Path("/nowhere")
    need(str(binaries / "postgres"), "setpriv")
    postgres = pwd.getpwnam("postgres")
    as_postgres = ["setpriv", f"--reuid={postgres.pw_uid}", f"--regid={postgres.pw_gid}",
                   "--clear-groups"]
    with scratch() as folder:
        os.chown(folder, postgres.pw_uid, postgres.pw_gid)
        data = folder / "data"
        _quietly([*as_postgres, binaries / "initdb", "-D", data, "-A", "trust", "-N",
                  "--no-instructions"], cwd=folder)
        with _Server("postgres-server", folder, *as_postgres, binaries / "postgres", "-D", data,
                     "-k", folder, "-c", "listen_addresses=", "-c", "autovacuum=off") as server:
            connect = ["-h", str(folder), "-U", "postgres"]
            # Asks whether it is there, with no query.
            server.wait_up(lambda: subprocess.run([binaries / "pg_isready", "-q", *connect],
                                                  check=False).returncode == 0, "PostgreSQL is up")
            described = _postgres_clients(folder, binaries, connect)
            pid = int((data / "postmaster.pid").read_text().split()[0])
            counts = server.end(pid, signal.SIGINT)  # fast shutdown
    # pgbench 40 times and 20 (parsed once), psql 2 and one that fails when it is planned, 3 by
    # libpq; what cannot be parsed never returns from there.
    counts.check(pg_parse_query=40 + 1 + 3 + 3 + described,
                 PortalRun=40 + 20 + 2 + 3 + described, CreateCheckPoint=1)
    expect(counts.count("XLogFlush") >= 2, "two statements change something")
    expect(counts.count("EmitErrorReport") >= 3, "two statements and a connect are refused")


def _postgres_clients(folder, binaries, connect):
    """Returns how many queries psql's \\d made."""
    script = folder / "script"
    script.write_text("select 1;\n")
    pgbench = [str(binaries / "pgbench"), *connect, "-n", "-f", str(script), "postgres"]
    found = _watch("postgres-client", [*pgbench, "-t", "40"])
    found.check(PQsendQuery=40)
    expect(found.count("PQgetResult") >= 80, "a result and its end for each")
    found = _watch("postgres-client", [*pgbench, "-t", "20", "-M", "prepared"])
    found.check(PQsendQueryPrepared=20, PQsendQuery=0)
    psql = [str(binaries / "psql"), "-X", "-q", *connect]
    found = _watch("postgres-client", [*psql, "-d", "postgres", "-c", "create table t(a int)",
                                       "-c", "insert into t values (1)", "-c", "\\d t", "-c",
                                       "select 1/0"])
    described = found.count("PQexec")
    expect(described >= 1, "\\d asks by PQexec")
    expect_equal(found.lines["PQconnectPoll"]["errors"], 0, "connects that failed")
    found = _watch("postgres-client", [*psql, "-d", "nowhere", "-c", "select 1"])
    expect_equal(found.lines["PQconnectPoll"]["errors"], 1, "connects that failed")
    found.check(PQconnectdbParams=1)
    found = _watch("postgres-client", _python(f"""
import ctypes
pq = ctypes.CDLL("libpq.so.5")
pq.PQconnectdb.restype = pq.PQexec.restype = ctypes.c_void_p
def connect(where):
    return ctypes.c_void_p(pq.PQconnectdb(f"host={{where}} user=postgres dbname=postgres".encode()))
good, bad = connect({str(folder)!r}), connect("/nowhere/at/all")
for _ in range(3): pq.PQexec(good, b"select 1")
pq.PQexec(good, b"nonsense")
for _ in range(2): pq.PQexec(bad, b"select 1")
"""))
    # The server's refusal is a result; without a connection there is none.
    found.check(PQconnectdb=2, PQexec=(6, 2))
    return described


def _ended(server):
    expect_equal(server.watch.wait(30), 0, "exit status of the watch")
    return server.data.read_text().splitlines()


def _read(path):
    return path.read_text() if path.exists() else ""


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# --- goals ---------------------------------------------------------------------------------------


@limit(90)
def goals_that_are_missed_are_alerts():
    need("redis-server", "curl")
    config = ("alerting: {interval: 200ms, journal: false, self: false, state: none}\n"
              "presets: [goal-database, goal-api, goal-availability]\n")
    with scratch() as folder, Agent(config) as agent:
        # Fifty replies of Redis after 0.3 s, 25 transfers of 0.6 s, 120 names that are none.
        _with_redis(folder, _python(f"""
import ctypes, os
r = ctypes.CDLL("libhiredis.so")
r.redisConnectUnix.restype = r.redisCommand.restype = ctypes.c_void_p
for i in range(50):
    if os.fork() == 0:
        at = ctypes.c_void_p(r.redisConnectUnix({str(folder / "socket")!r}.encode()))
        assert r.redisCommand(at, b"BLPOP nothing 0.3")
        os._exit(0)
for i in range(50): os.wait()
"""))
        with _slow_web_server() as port:
            askers = [subprocess.Popen(["curl", "-s", "-o", "/dev/null",
                                        f"http://127.0.0.1:{port}/"]) for _ in range(25)]
            for asker in askers:
                expect_equal(asker.wait(30), 0, "exit status of curl")
        _quietly(_python("""
import socket
for _ in range(120):
    try: socket.getaddrinfo(b"x" * 300, 80)
    except OSError: pass
"""))
        wanted = {(rule, label, severity) for severity in ("warning", "critical")
                  for rule, label in (("slow-database-calls", "redis"), ("slow-api-calls", "made"),
                                      ("calls-fail", "names"))}

        def pending():
            return {(alert["alert"], label, alert["severity"])
                    for alert in agent.call("Alerts")["alerts"] if alert["state"] == "pending"
                    for label in alert["labels"].values()}
        wait_for(lambda: wanted <= pending(), 20, "all six rules are pending")
        # Nobody misses what nobody does.
        expect(not {label for _, label, _ in pending()} & {"php", "mysql"}, f"{pending()}")


def _with_redis(folder, command):
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket",
                               str(folder / "socket"), "--save", "", "--dir", str(folder)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: (folder / "socket").exists() or server.poll() is not None, 20,
                 "Redis listens")
        _quietly(command)
    finally:
        server.terminate()
        server.wait(20)


@contextlib.contextmanager
def _slow_web_server():
    """Answers after 0.6 s; gives its port."""
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            time.sleep(0.6)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


# --- the files themselves ------------------------------------------------------------------------


def every_preset_is_described_and_has_a_run():
    listed = loris("list", "preset:*", "--json")
    entries = {line["target"]: line for line in map(json.loads, listed.stdout.splitlines())}
    for name in PRESETS:
        entry = entries.get(f"preset:{name}")
        expect(entry and entry["kind"] == "preset", f"{name} is not listed: {listed.stdout}")
        description = entry.get("note", "")
        expect(10 < len(description) <= 90 and "yaml" not in description,
               f"{name} is described as {description!r}")
        text = (ROOT / f"packaging/presets/{name}.yaml").read_text()
        expect(text.startswith("# SPDX-License-Identifier"), f"{name} names no licence")
        comments = [line for line in text.split("description:")[0].splitlines()[2:]
                    if line.startswith("# ")]
        expect(comments, f"{name} does not say what to know about it")
        content = loris("list", f"preset:{name}", "--json")
        expect_equal(content.returncode, 0, f"exit status of list preset:{name}")
        kinds = {json.loads(line)["kind"] for line in content.stdout.splitlines()}
        expect("target" in kinds, f"{name} has no targets")
        expect_equal("alert" in kinds, name.startswith("goal-"), f"{name} has alert rules")
    expect_equal(sorted(_run), PRESETS, "presets that a test runs")
    return f"{len(PRESETS)} presets"


# --- how they are asked for ----------------------------------------------------------------------

OWN = """
presets: [mine, missing-library]
targets:
  - {target: syscall:getppid, errors: negative}
"""


def _write_presets(folder):
    (folder / "presets").mkdir(exist_ok=True)
    (folder / "presets/mine.yaml").write_text(
        "description: what I look at\ntargets:\n- {target: syscall:getppid, errors: zero}\n"
        "- syscall:getpgrp\n- syscall:sync\n")
    (folder / "presets/missing-library.yaml").write_text(
        "targets:\n" + "".join(f"- user:libwibble.so.9:call_{i}\n" for i in range(6)))


def _reload(agent, answer="configuration read again"):
    before = agent.stderr().count(answer)
    agent.process.send_signal(signal.SIGHUP)
    wait_for(lambda: agent.stderr().count(answer) > before, 20, f"the agent says: {answer}")


def _attached(agent):
    return {name for name, probe in agent.probes().items() if probe["state"] == "attached"}


def presets_are_followed_by_a_reload_and_keep_what_did_not_change():
    with Agent() as agent:
        _write_presets(agent.folder)
        agent.config_path.write_text(OWN)
        _reload(agent)
        expect_equal(_attached(agent), {"syscall:getppid", "syscall:getpgrp", "syscall:sync"},
                     "what is watched")
        expect_equal(agent.status()["health"], "ok", "health without the library")
        lines = [line for line in agent.stderr().splitlines() if "not watched" in line]
        expect(len(lines) == 2 and "libwibble.so.9" in lines[0] and "5 more" in lines[1],
               f"one reason is said once, and counted: {lines}")
        subprocess.run(_python("import os\nfor _ in range(500): os.getpgrp()"), check=True)
        before = agent.settled("syscall:getpgrp", 500)["ledger"]["entered"]
        (agent.folder / "presets/mine.yaml").write_text(
            "targets: [syscall:getppid, syscall:getpgrp, syscall:syncfs]\n")
        _reload(agent)
        expect_equal(_attached(agent), {"syscall:getppid", "syscall:getpgrp", "syscall:syncfs"},
                     "what is watched after the change")
        expect(agent.probe("syscall:getpgrp")["ledger"]["entered"] >= before, "it began anew")
        (agent.folder / "presets/mine.yaml").write_text("targets: [bogus]\n")
        _reload(agent, "changes nothing")
        expect("presets/mine.yaml:1:11: " in agent.stderr() and
               f"preset mine is asked for in {agent.config_path}:2:11" in agent.stderr(),
               agent.stderr())
        expect("syscall:syncfs" in _attached(agent), "a wrong preset changed something")


def the_operators_own_line_wins_over_a_preset():
    program = _python("import os\nfor _ in range(50): os.getppid(), os.getpgrp()")
    with Agent() as agent:
        _write_presets(agent.folder)
        agent.config_path.write_text(OWN)
        _reload(agent)
        subprocess.run(program, check=True)
        agent.settled("syscall:getppid", 50)
        expect_equal(agent.total("syscall:getppid", key="errors"), 0, "errors by the own line")
        agent.config_path.write_text("presets: [mine]\n")
        (agent.folder / "presets/mine.yaml").write_text(
            "targets: [{target: syscall:getppid, errors: nonzero}]\n")
        _reload(agent)
        subprocess.run(program, check=True)
        agent.settled("syscall:getppid", 50)
        expect(agent.total("syscall:getppid", key="errors") >= 50, "errors by the preset's line")


def a_preset_is_attached_and_detached_at_run_time():
    with Agent("targets: [syscall:getpgrp]\n") as agent:
        _write_presets(agent.folder)
        reply = agent.call("Attach", targets=[
            {"target": "preset:mine"}, {"target": "syscall:getppid", "errors": "negative"},
            {"target": "preset:missing-library"}])
        results = {result["target"]: result for result in reply["results"]}
        expect_equal([result["attached"] for result in (results["syscall:getppid"],
                                                        results["preset:mine"],
                                                        results["preset:missing-library"])],
                     [1, 1, 0], "probes of each")
        expect_equal(results["preset:missing-library"]["messages"][0],
                     "nothing of preset:missing-library could be attached", "what is said")
        expect_equal(_attached(agent), {"syscall:getppid", "syscall:getpgrp", "syscall:sync"},
                     "what is watched")
        try:
            agent.call("Attach", targets=[{"target": "preset:mine"}])
            raise AssertionError("attached twice")
        except VarlinkError as error:
            expect("everything in preset:mine is watched already" in str(error), str(error))
        # What the configuration asks for stays.
        expect_equal(agent.call("Detach", targets=["preset:mine"])["detached"], 2, "detached")
        expect_equal(_attached(agent), {"syscall:getpgrp"}, "what is watched at the end")
        for name in ("../loris", "", "x" * 64, "/etc/passwd"):
            try:
                agent.call("Attach", targets=[{"target": f"preset:{name}"}])
                raise AssertionError(f"preset:{name} was taken")
            except VarlinkError as error:
                expect("is not the name of a preset" in str(error), str(error))


def the_command_line_names_the_nearest_preset():
    name = "preset:postgre-client"
    for command in (["watch", "-d", "1s", name], ["list", name]):
        done = loris(*command)
        expect_equal(done.returncode, 1, "exit status")
        expect("there is no preset postgre-client" in done.stderr and
               "postgres-client" in done.stderr.splitlines()[1], done.stderr)


def check_config_reads_the_presets():
    with scratch() as folder:
        config = folder / "loris.yaml"
        _write_presets(folder)
        config.write_text(OWN)
        done = loris("check-config", config)
        expect_equal((done.returncode, done.stdout), (0, f"{config}: fine, 9 targets\n"), "fine")
        (folder / "presets/mine.yaml").write_text("alerts: [{alert: a}]\n")
        done = loris("check-config", config)
        expect_equal(done.returncode, 1, "exit status")
        expect(f"{folder}/presets/mine.yaml:1:10: " in done.stderr, done.stderr)
        expect(f"preset mine is asked for in {config}:2:11" in done.stderr, done.stderr)
        config.write_text(f"presets: [{', '.join(PRESETS)}]\n")
        done = loris("check-config", config)
        expect_equal(done.returncode, 0, f"all shipped presets at once ({done.stderr})")


def an_installed_program_finds_its_presets():
    with scratch() as folder:
        for path, program in (("sbin/lorisd", LORISD), ("bin/loris", LORIS)):
            (folder / path).parent.mkdir()
            shutil.copy(program, folder / path)
        shared = folder / "share/loris/presets"
        shared.mkdir(parents=True)
        (shared / "only-here.yaml").write_text("description: d\ntargets: [syscall:sync]\n")
        done = subprocess.run([str(folder / "bin/loris"), "list", "preset:only-*"],
                              capture_output=True, text=True, timeout=30)
        expect("preset:only-here" in done.stdout, f"{done.stdout} {done.stderr}")

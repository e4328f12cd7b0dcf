# SPDX-License-Identifier: GPL-2.0-or-later
"""Alert rules on real calls: states, notices, restarts, reloads, and what the command line says."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
from datetime import datetime

from log_collectors import Journald
from own_library import own_library, through
from small_disk import small_disk
from support import (Agent, LORIS, ROOT, expect, expect_equal, limit, loris, need, run_workload,
                     scratch, user, wait_for, workload)

SLOW_US = 20000
FAST_US = 50


class Tides:
    """The workload: calls that take as long as is said."""

    def __init__(self, us=FAST_US):
        self.process = subprocess.Popen([workload("tides")], stdin=subprocess.PIPE, text=True,
                                        bufsize=1)
        self.take(us)

    def take(self, us):
        self.process.stdin.write(f"{us}\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            self.process.stdin.close()


def _config(folder, rules, interval="100ms", alerting="", slices=2, targets=None):
    targets = [user("tides", "tide")] if targets is None else targets
    lines = [f"window: {{slices: {slices}, length: 1s}}", "alerting:", f"  interval: {interval}",
             f"  file: {folder}/alerts.jsonl", f"  state: {folder}/alerts.state",
             "  journal: false", "  self: false", alerting, "targets:"]
    lines += [f"  - {target}" for target in targets]
    lines += ["alerts:"] + [f"  - {json.dumps(rule)}" for rule in rules]
    return "\n".join(line for line in lines if line) + "\n"


def _slow(**more):
    return {"alert": "slow-tide", "probe": user("tides", "tide"), "metric": "p50", "above": "10ms",
            **more}


def _notices(folder):
    path = pathlib.Path(folder) / "alerts.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def _kinds(folder, rule="slow-tide"):
    return [notice["kind"] for notice in _notices(folder) if notice["alert"] == rule]


def _alert(agent, name="slow-tide", state=None):
    found = [alert for alert in agent.call("Alerts", name=name)["alerts"]
             if state in (None, alert["state"])]
    return found[0] if found else None


def _rule(agent, name="slow-tide"):
    return agent.call("Alerts", name=name)["rules"][0]


def _seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def a_rule_is_pending_then_fires_then_resolves():
    rule = _slow(**{"for": "1s", "severity": "critical", "labels": {"team": "sea"}, "by": "process",
                    "annotations": {"summary": "{comm}: {value} above {threshold}, {labels.team}"}})
    with scratch() as folder, Tides() as tides, Agent(_config(folder, [rule])) as agent:
        wait_for(lambda: _rule(agent)["state"] == "inactive", what="calls are fast")
        expect_equal(agent.call("Alerts")["alerts"], [], "alerts while all is well")
        tides.take(SLOW_US)
        pending = wait_for(lambda: _alert(agent, state="pending"), what="it is pending")
        expect_equal(_kinds(folder), [], "notices while it is pending")
        expect(pending["value"] > 10e6, f"it is pending at {pending['value']} ns")
        firing = wait_for(lambda: _alert(agent, state="firing"), what="it fires")
        waited = _seconds(firing["fired_at"]) - _seconds(firing["active_since"])
        expect(0.999 <= waited < 3, f"it fired {waited} s after it was pending, for 1 s")
        expect_equal(firing["active_since"][:19], pending["active_since"][:19], "pending since")
        tides.take(FAST_US)
        wait_for(lambda: _alert(agent) is None, what="it resolves")
        told = _notices(folder)
        expect_equal([notice["kind"] for notice in told], ["firing", "resolved"], "notices")
        expect_equal(told[0]["labels"], {"team": "sea"}, "labels")
        expect_equal(told[0]["group"]["pid"], tides.process.pid, "whose calls")
        summary = told[0]["annotations"]["summary"]
        expect(summary.startswith("tides: 2") and summary.endswith(" ms above 10.0 ms, sea"),
               f"the annotation: {summary}")
        expect(all(list(notice)[:2] == ["schema", "time"] for notice in told), "schema and time")
        changes = agent.call("Alerts", history=True)["alerts"]
        expect_equal([change["state"] for change in changes], ["resolved", "firing"], "history")
        return f"fired {waited:.2f} s after it was pending: {summary}"


def hysteresis_and_keep_firing_for_hold_an_alert():
    rules = [_slow(clear="1ms"), _slow(alert="kept", keep_firing_for="3s"),
             _slow(alert="plain")]
    with scratch() as folder, Tides(SLOW_US) as tides, Agent(_config(folder, rules)) as agent:
        for rule in rules:
            wait_for(lambda: _alert(agent, rule["alert"], "firing"), what=f"{rule['alert']} fires")
        tides.take(5000)  # below `above`, above `clear`
        wait_for(lambda: _alert(agent, "plain") is None, what="the plain one resolves")
        expect(_alert(agent, "slow-tide", "firing"), "clear holds it")
        expect(_alert(agent, "kept", "firing"), "keep_firing_for holds it")
        wait_for(lambda: _alert(agent, "kept") is None, what="the kept one resolves")
        expect(_alert(agent, "slow-tide", "firing"), "clear still holds it")
        tides.take(FAST_US)
        wait_for(lambda: _alert(agent) is None, what="it resolves below clear")


def silence_makes_a_firing_alert_unknown_and_a_rule_without_data_too():
    rules = [_slow(min_count=5), _slow(alert="nobody", probe="user:nothing:at_all")]
    with scratch() as folder, Tides(SLOW_US) as tides, Agent(_config(folder, rules)) as agent:
        wait_for(lambda: _alert(agent, state="firing"), what="it fires")
        expect_equal(_rule(agent, "nobody")["state"], "unknown", "a rule that matches nothing")
        tides.take(-1)
        wait_for(lambda: _alert(agent, state="unknown"), what="it is unknown")
        tides.take(SLOW_US)
        wait_for(lambda: _alert(agent, state="firing"), what="it fires again")
        expect_equal(_kinds(folder), ["firing", "unknown", "firing"], "notices")


def an_alert_of_a_process_that_ended_resolves():
    with scratch() as folder, Agent(_config(folder, [_slow(by="process")])) as agent:
        with Tides(SLOW_US):
            wait_for(lambda: _alert(agent, state="firing"), what="it fires")
        wait_for(lambda: "resolved" in _kinds(folder), what="it resolves with its process")
        resolved = [notice for notice in _notices(folder) if notice["kind"] == "resolved"][0]
        expect("the process has ended" in resolved["message"], f"it says why: {resolved}")


def the_oldest_open_call_is_seen_while_it_is_open():
    rule = {"alert": "stuck", "probe": user("tides", "tide"), "metric": "oldest", "above": "500ms"}
    with scratch() as folder, Tides(-1) as tides, Agent(_config(folder, [rule])) as agent:
        wait_for(lambda: _rule(agent, "stuck")["state"] == "inactive", what="nothing is open")
        tides.take(30000000)
        firing = wait_for(lambda: _alert(agent, "stuck", "firing"), what="it fires")
        expect_equal(firing["count"], 0, "calls that returned")


def what_a_process_holds_fires_and_ends_with_it():
    def rule(name, metric, above, **more):
        return {"alert": name, "probe": "heap:*", "metric": metric, "above": above, **more}
    rules = [rule("big", "live_bytes", "3MB", by="process"), rule("many", "live_count", "1500"),
             rule("bigger", "live_bytes", "1GB", by="unit")]
    with scratch() as folder, own_library("libc.so.6") as library:
        config = _config(folder, rules, targets=[f"heap:{library}"])
        with Agent(config) as agent, through(library, "heap", "n=4000") as running:
            running.go()
            running.line("done")
            big = wait_for(lambda: _alert(agent, "big", "firing"), what="what it holds fires")
            expect_equal(big["group"]["pid"], running.pid, "who holds it")
            [row] = agent.call("Heap", pid=running.pid)["rows"]
            expect(row["live_bytes"] > 3000000, f"as many as loris heap says: {row}")
            wait_for(lambda: _alert(agent, "big")["value"] == row["live_bytes"],
                     what="the alert says what loris heap says")
            wait_for(lambda: _alert(agent, "many", "firing"), what="the number of blocks fires")
            expect(_rule(agent, "bigger")["state"] == "inactive", "by unit it is not 1 GB")
            running.finish()
            wait_for(lambda: _alert(agent, "big") is None, what="it ends with its process")
            told = [notice for notice in _notices(folder) if notice["alert"] == "big"]
            expect_equal(told[-1]["kind"], "resolved", "the last notice")
            wait_for(lambda: _rule(agent, "many")["value"] == 0, what="nobody holds anything")
            return told[0]["message"]


def a_leak_fires_while_it_grows():
    leak = ("import sys, time\nkept = []\nfor _ in sys.stdin:\n    while len(kept) < 600:\n"
            "        kept.append(bytearray(100000)); time.sleep(0.05)\n")
    rule = {"alert": "leak", "probe": "heap:*", "metric": "growth", "above": "500kB/s",
            "by": "process"}
    with scratch() as folder, own_library("libc.so.6") as library:
        with Agent(_config(folder, [rule], targets=[f"heap:{library}"])) as agent:
            process = subprocess.Popen([sys.executable, "-c", leak], stdin=subprocess.PIPE,
                                       text=True, bufsize=1,
                                       env={**os.environ, "LD_LIBRARY_PATH": str(library.parent)})
            try:
                process.stdin.write("\n")
                alert = wait_for(lambda: _alert(agent, "leak", "firing"), what="it fires")
            finally:
                process.kill()
                process.wait()
                process.stdin.close()
            expect(alert["value"] < 20e6, f"at most 2 MB/s: {alert}")
            wait_for(lambda: _alert(agent, "leak") is None, what="it ends with its process")
            return alert["message"]


def a_notice_that_a_full_disk_cut_is_finished_without_another_one():
    """Nothing but the next notice wrote the rest of it, and that may be days away."""
    with scratch() as folder, small_disk(folder, "size=256k") as disk, Tides(SLOW_US):
        file, ballast = disk / "alerts.jsonl", disk / "ballast"
        room = 100  # in the page that the file has already
        file.write_text(json.dumps({"ballast": "x" * (4096 - room - 15)}) + "\n")
        with open(ballast, "wb", buffering=0) as full, contextlib.suppress(OSError):
            while full.write(bytes(4096)):
                pass
        with Agent(_config(disk, [_slow()])) as agent:
            def output():
                return agent.status(probes=False)["outputs"][0]
            wait_for(lambda: output().get("failing"), what="the notice does not fit")
            expect_equal(output()["pending"], 1, "lines that are begun")
            expect_equal(file.stat().st_size, 4096, "what is out ends within it")
            ballast.unlink()
            wait_for(lambda: output()["written"] == 1, what="the rest follows")
            expect("failing" not in output(), f"it is over: {output()}")
            expect_equal(_notices(disk)[-1]["kind"], "firing", "the notice")


# --- restart and reload ----------------------------------------------------------------------


def pending_goes_on_across_a_restart():
    with scratch() as folder, Tides(SLOW_US):
        config = _config(folder, [_slow(**{"for": "4s"})])
        with Agent(config) as agent:
            pending = wait_for(lambda: _alert(agent, state="pending"), what="it is pending")
            wait_for(lambda: _seconds(_alert(agent)["time"]) - _seconds(pending["active_since"]) > 2,
                     what="it is pending for 2 s")
        with Agent(config) as agent:
            again = _alert(agent)
            expect(again and again["state"] == "pending", f"it is pending after the start: {again}")
            age = _seconds(again["time"]) - _seconds(again["active_since"])
            expect(2 <= age < 4, f"it is {age} s old, not new")
            firing = wait_for(lambda: _alert(agent, state="firing"), 10, what="it fires")
            waited = _seconds(firing["fired_at"]) - _seconds(again["time"])
            expect(waited < 3.5, f"it took {waited} s more, not 4")
            return f"pending for {age:.1f} s at the restart, fired {waited:.1f} s later"


@limit(90)
def what_fires_is_told_once_however_often_the_agent_starts():
    with scratch() as folder, Tides(SLOW_US) as tides:
        config = _config(folder, [_slow()])
        for how in [signal.SIGTERM, signal.SIGKILL, signal.SIGTERM]:
            with Agent(config, check_clean=False) as agent:
                # the state is saved before the answer tells of it
                alert = wait_for(lambda: _alert(agent, state="firing"), what="it fires")
                agent.stop(how)
        since = alert["active_since"]
        with Agent(config) as agent:
            expect_equal(_kinds(folder), ["firing"], "notices over three starts")
            kept = _alert(agent, state="firing")
            expect(kept, "it fires from the start")
            drift = abs(_seconds(kept["active_since"]) - _seconds(since))
            expect(drift < 0.1, f"since when it fires moved by {drift} s")
            tides.take(FAST_US)
            wait_for(lambda: _alert(agent) is None, what="it resolves")
            expect_equal(_kinds(folder), ["firing", "resolved"], "notices")
            states = [change["state"] for change in agent.call("Alerts", history=True)["alerts"]]
            expect_equal(states, ["resolved", "firing"], "history over four starts")


def a_damaged_state_file_is_a_fresh_start():
    with scratch() as folder, Tides() as tides:
        path = folder / "alerts.state"
        for garbage in [b"\0" * 100, b"{", b"[1]", b'{"version":99}', os.urandom(5000),
                        b'{"version":1,"saved_ns":-5,"alerts":[{"rule":"x"},7],"history":[{}]}']:
            path.write_bytes(garbage)
            with Agent(_config(folder, [_slow()])) as agent:
                expect_equal(_alert(agent), None, "an alert out of nothing")
                expect("anew" in agent.stderr() or "could not be restored" in agent.stderr(),
                       f"it says so: {agent.stderr()}")
        tides.take(SLOW_US)
        with Agent(_config(folder, [_slow()])) as agent:
            wait_for(lambda: _alert(agent, state="firing"), what="it fires")
        saved = json.loads(path.read_text())
        expect_equal([alert["state"] for alert in saved["alerts"]], ["firing"], "what is saved")
        expect_equal(path.stat().st_mode & 0o777, 0o600, "the file's mode")


def a_reload_keeps_the_state_of_rules_that_did_not_change():
    other = _slow(alert="other", above="11ms")
    with scratch() as folder, Tides(SLOW_US) as tides:
        with Agent(_config(folder, [_slow(), other])) as agent:
            since = wait_for(lambda: _alert(agent, state="firing"), what="it fires")["active_since"]
            wait_for(lambda: _alert(agent, "other", "firing"), what="the other fires")

            def reload(config):
                agent.config_path.write_text(config)
                said = agent.stderr().count("configuration")
                agent.process.send_signal(signal.SIGHUP)
                wait_for(lambda: agent.stderr().count("configuration") > said, what="a reload")

            # a rule that is wrong changes nothing, of the others neither
            reload(_config(folder, [_slow(clear="20ms")]))
            expect("changes nothing: " in agent.stderr(), "it says that nothing changed")
            expect("is on the wrong side" in agent.stderr(), "it says what is wrong")
            expect_equal(len(agent.call("Alerts")["rules"]), 2, "rules after a wrong file")
            # another annotation is no other rule; another threshold is
            reload(_config(folder, [_slow(annotations={"a": "{value}"}),
                                    _slow(alert="other", above="12ms", **{"for": "1m"})]))
            kept = _alert(agent, state="firing")
            expect_equal(abs(_seconds(kept["active_since"]) - _seconds(since)) < 0.1, True,
                         "it fires since then")
            expect("a" in kept["annotations"], "the new annotation is said")
            wait_for(lambda: _alert(agent, "other", "pending"), what="the other begins anew")
            expect_equal(_kinds(folder), ["firing"], "notices of what did not change")
            expect_equal(_kinds(folder, "other"), ["firing", "resolved"], "notices of the changed")
            ended = [notice for notice in _notices(folder) if notice["kind"] == "resolved"][-1]
            expect("asks for something else now" in ended["message"], f"why it ended: {ended}")
            tides.take(FAST_US)
            wait_for(lambda: "resolved" in _kinds(folder), what="it resolves")
            expect_equal(_kinds(folder), ["firing", "resolved"], "notices in the end")


def a_reload_takes_no_rule_that_looks_back_longer_than_the_tables():
    """They keep the window that they were made with until a restart."""
    with scratch() as folder, Agent(_config(folder, [_slow()])) as agent:
        agent.config_path.write_text(_config(folder, [_slow(window="20s")], slices=20))
        agent.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "changes nothing: " in agent.stderr(), what="it is refused")
        expect("looks back longer than the agent remembers" in agent.stderr(), agent.stderr())
        expect("after a restart" in agent.stderr(), "what to do about it")
        rule, = agent.call("Alerts")["rules"]
        expect_equal(rule["window_s"], 2, "the window of the rule that stays")


def _rule_of(agent, name):
    found = agent.call("Alerts", name=name)["rules"]
    return found[0] if found else {}


def own_rules_that_a_reload_switches_on_begin_then():
    with scratch() as folder, Tides(SLOW_US):
        # What is never saved is tried again at each look, and these rules are about the last few.
        wrong = _config("/nowhere/at/all", [_slow()]).replace("/nowhere/at/all/alerts.jsonl", "none")
        with Agent(wrong) as agent:
            fired = wait_for(lambda: _alert(agent, state="firing"), what="something is to be saved")
            wait_for(lambda: _seconds(_alert(agent)["time"]) - _seconds(fired["fired_at"]) > 2,
                     what="twenty looks, each of which tried")
            latest = agent.call("Alerts")["latest"]
            agent.config_path.write_text(_config(folder, [_slow()]).replace("self: false", ""))
            agent.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "value" in _rule_of(agent, "loris-retries"), what="it was looked at")
            expect_equal(_rule_of(agent, "loris-retries")["state"], "inactive", "of the past")
            expect_equal(agent.call("Alerts")["latest"], latest, "changes since the reload")


def the_alert_file_is_opened_again_after_a_rotation():
    with scratch() as folder, Tides(SLOW_US) as tides, Agent(_config(folder, [_slow()])) as agent:
        wait_for(lambda: "firing" in _kinds(folder), what="it is told")
        (folder / "alerts.jsonl").rename(folder / "alerts.jsonl.1")
        agent.process.send_signal(signal.SIGHUP)
        wait_for((folder / "alerts.jsonl").exists, what="a new file")
        tides.take(FAST_US)
        wait_for(lambda: _kinds(folder) == ["resolved"], what="the next is in the new file")


# --- notices ---------------------------------------------------------------------------------


def flapping_is_held_back_and_counted():
    # an open call gets old and returns, again and again
    rule = {"alert": "flap", "probe": user("tides", "tide"), "metric": "oldest", "above": "200ms"}
    with scratch() as folder, Tides(400000):
        config = _config(folder, [rule], interval="100ms", alerting="  notice_interval: 4s")
        with Agent(config) as agent:
            def held():
                return [notice for notice in _notices(folder) if notice["held_back"]]
            wait_for(held, 20, what="a notice that tells of those held back")
            told = _notices(folder)
            changes = agent.call("Alerts", history=True)["alerts"]
            total = agent.call("Alerts")["held_back"]
            first = held()[0]
            before = told.index(first)
            expect_equal(before, 4, "notices before some were held back")
            expect(first["held_back"] >= 3, f"{first['held_back']} held back in 4 s")
            expect("held back" in first["message"], f"it says so: {first['message']}")
            # every change was told, or is counted as held back
            told_changes = sum(notice["alerts"] for notice in told)
            expect(abs(len(changes) - told_changes - total) <= 1,
                   f"{len(changes)} changes, {told_changes} told, {total} held back")
            return f"{len(changes)} changes, {len(told)} notices, {total} held back"


def alike_alerts_are_one_notice():
    rule = _slow(alert="many", probe="user:*", by="process", above="1ms", **{"for": "1s"})
    with scratch() as folder, contextlib.ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(Tides(SLOW_US))
        with Agent(_config(folder, [rule])) as agent:
            wait_for(lambda: len(agent.call("Alerts")["alerts"]) == 6 and
                     all(alert["state"] == "firing" for alert in agent.call("Alerts")["alerts"]),
                     what="six alerts fire")
            told = _notices(folder)
            expect(len(told) <= 2, f"{len(told)} notices for six alerts that came together")
            expect_equal(sum(notice["alerts"] for notice in told), 6, "alerts in them")
            expect_equal(sum(len(notice.get("more", [])) + 1 for notice in told), 6, "named")


def journald_has_every_notice_with_its_fields_and_its_catalogue():
    need("/lib/systemd/systemd-journald", "journalctl", "unshare", "nsenter")
    rule = _slow(labels={"team": "sea"}, severity="critical", min_count=1)
    catalogue = ROOT / "packaging/systemd/loris.catalog"
    with scratch() as folder, Tides() as tides, Journald(folder) as journald:
        config = _config(folder, [rule]).replace("journal: false", "journal: true")
        with Agent(config, wrapper=journald.inside) as agent:
            tides.take(SLOW_US)
            wait_for(lambda: _alert(agent, state="firing"), what="it fires")
            tides.take(-1)
            wait_for(lambda: _alert(agent, state="unknown"), what="it is unknown")
            tides.take(FAST_US)
            wait_for(lambda: _alert(agent) is None, what="it resolves")
            wait_for(lambda: len(journald.entries("LORIS_ALERT=slow-tide")) == 3,
                     what="three entries")
            entries = journald.entries("LORIS_ALERT=slow-tide")
            expect_equal([entry["LORIS_KIND"] for entry in entries],
                         ["firing", "unknown", "resolved"], "kinds")
            expect_equal(entries[0]["PRIORITY"], "2", "priority of a critical alert")
            expect_equal(entries[0]["LORIS_LABELS_TEAM"], "sea", "a label")
            expect(float(entries[0]["LORIS_VALUE"]) > 10e6, f"the value: {entries[0]}")
            expect("slow-tide is firing: p50 of " in entries[0]["MESSAGE"], f"{entries[0]}")
            ids = [entry["MESSAGE_ID"] for entry in entries]
            root = folder / "root"
            (root / "usr/lib/systemd/catalog").mkdir(parents=True)
            shutil.copy(catalogue, root / "usr/lib/systemd/catalog")
            subprocess.run(["journalctl", "--update-catalog", f"--root={root}"], check=True)
            known = subprocess.run(["journalctl", "--list-catalog", f"--root={root}"], check=True,
                                   capture_output=True, text=True).stdout
            expect_equal([one for one in ids if one not in known], [], "ids not in the catalogue")
            expect_equal(known.count("\n"), 4, f"what the catalogue explains: {known}")
            expect_equal(len(set(ids)), 3, "each kind has an id")


# --- the agent's own rules -------------------------------------------------------------------


def lost_calls_fire_the_agents_own_rule():
    config = "alerting: {interval: 200ms, state: none, journal: false}\n"
    with Agent(config) as agent:
        agent.attach(user("recursion", "descend"))
        names = {rule["alert"]: rule["state"] for rule in agent.call("Alerts")["rules"]}
        expect_equal(sorted(names), ["loris-cache-hit-ratio", "loris-drain", "loris-losses",
                                     "loris-memory", "loris-memory-budget", "loris-retries"],
                     "the agent's own rules")
        wait_for(lambda: _rule(agent, "loris-losses")["state"] == "inactive", what="it is looked at")
        run_workload("recursion", "depth=200", "rounds=500")
        alert = wait_for(lambda: _alert(agent, "loris-losses", "firing"), what="it fires")
        ledger = agent.probe(user("recursion", "descend"))["ledger"]
        lost = ledger["too_deep"] + ledger["no_storage"]
        expect(0 < alert["value"] <= lost, f"{alert['value']} told, {lost} in the ledger")
        expect_equal(alert["probe"], "calls", "what was lost")
        wait_for(lambda: "alert loris-losses is firing" in agent.stderr(),
                 what="without a sink it is in the log")
        done = loris("check", "loris-losses", "--socket", agent.socket_path)
        expect_equal(done.returncode, 1, f"loris check ({done.stdout})")
        return alert["message"]


def process_events_lost_in_a_storm_fire_it_too():
    config = ("alerting: {interval: 200ms, state: none, journal: false}\n"
              "rings: {rare: 4KiB}\ntargets:\n  - span:run-queue\n")
    with Agent(config) as agent:
        os.kill(agent.pid, signal.SIGSTOP)
        try:
            for _ in range(3):
                subprocess.run(["sh", "-c", "i=0; while [ $i -lt 300 ]; do /bin/true; "
                                            "i=$((i+1)); done"], check=True)
        finally:
            os.kill(agent.pid, signal.SIGCONT)
        alert = wait_for(lambda: _alert(agent, "loris-losses", "firing"), what="it fires")
        expect_equal(alert["probe"], "process events", f"what was lost in {alert}")
        return alert["message"]


def without_own_rules_and_rules_nothing_is_looked_at():
    with Agent("alerting: {self: false}\ntargets:\n  - span:run-queue\n") as agent:
        reply = agent.call("Alerts")
        expect_equal((reply["rules"], reply["alerts"]), ([], []), "rules and alerts")


# --- the command line ------------------------------------------------------------------------


def check_answers_as_monitoring_plugins_do():
    rules = [_slow(alert="warn"), _slow(alert="crit", severity="critical"),
             _slow(alert="note", severity="info"), _slow(alert="fine", above="10s"),
             _slow(alert="later", **{"for": "1h"}),
             _slow(alert="nobody", probe="user:nothing:at_all")]
    with scratch() as folder, Tides(SLOW_US), Agent(_config(folder, rules)) as agent:
        for name in ["warn", "crit", "note"]:
            wait_for(lambda: _alert(agent, name, "firing"), what=f"{name} fires")
        wait_for(lambda: _alert(agent, "later", "pending"), what="later is pending")

        def check(rule, status, word):
            done = loris("check", rule, "--socket", agent.socket_path)
            expect_equal(done.returncode, status, f"loris check {rule}: {done.stdout}")
            expect(done.stdout.startswith(f"LORIS {word} - "), f"{rule}: {done.stdout}")
            expect_equal(done.stdout.count("\n"), 1, f"lines of loris check {rule}")
            return done.stdout

        check("fine", 0, "OK")
        check("later", 0, "OK")
        check("note", 0, "OK")
        line = check("warn", 1, "WARNING")
        check("crit", 2, "CRITICAL")
        check("nobody", 3, "UNKNOWN")
        check("[nf]*", 0, "OK")  # fine and note have something to look at
        check("*", 2, "CRITICAL")
        check("nosuch", 3, "UNKNOWN")
        check("*" * 600, 3, "UNKNOWN")
        words, perfdata = line.rstrip("\n").split(" | ")
        expect("above 10.0 ms" in words, words)
        label, numbers = perfdata.split("=")
        value, warning, critical, least = numbers.split(";")
        expect_equal((label, warning, critical, least), ("'warn'", "0.01", "", "0"), perfdata)
        expect(0.01 < float(value.removesuffix("s")) < 0.2, perfdata)
    gone = loris("check", "warn", "--socket", "/nonexistent/socket")
    expect_equal(gone.returncode, 3, "loris check without an agent")
    expect(gone.stdout.startswith("LORIS UNKNOWN - "), gone.stdout)
    expect_equal(loris("check").returncode, 3, "loris check without a rule")
    return line.strip()


def alerts_prints_what_fires_and_follows():
    with scratch() as folder, Tides() as tides:
        config = _config(folder, [_slow(by="process", labels={"a": "b"})])
        with Agent(config) as agent:
            wait_for(lambda: _rule(agent)["state"] == "inactive", what="calls are fast")
            socket = ["--socket", str(agent.socket_path)]
            expect_equal(loris("alerts", *socket).stdout, "1 rule: 1 ok\n", "when nothing fires")
            following = subprocess.Popen([LORIS, "alerts", "--watch", *socket],
                                         stdout=subprocess.PIPE, text=True)
            try:
                expect_equal(following.stdout.readline(), "1 rule: 1 ok\n", "the beginning")
                tides.take(SLOW_US)
                expect(" firing    warning   slow-tide: p50 of " in following.stdout.readline(),
                       "it follows")
                table = loris("alerts", *socket).stdout
                expect(table.startswith("STATE   SEVERITY  ALERT") and
                       f"tides[{tides.process.pid}]" in table, table)
                line = json.loads(loris("alerts", "--json", *socket).stdout)
                expect_equal(line["schema"], "loris.alert/1", "an alert as JSON")
                tides.take(FAST_US)
                expect(" resolved  warning   slow-tide: " in following.stdout.readline(), "again")
                following.send_signal(signal.SIGINT)
                expect_equal(following.wait(10), 0, "exit status after Ctrl-C")
            finally:
                following.kill()
                following.wait()
                following.stdout.close()
            history = loris("alerts", "--history", *socket).stdout.splitlines()
            expect_equal([line.split()[1] for line in history[:3]],
                         ["STATE", "resolved", "firing"], "history")
            rules = loris("alerts", "--rules", "slow-*", *socket).stdout
            expect(rules.startswith("ALERT") and "slow-tide  ok" in rules, rules)
            expect_equal(loris("alerts", "--rules", "--history", *socket).returncode, 2, "usage")

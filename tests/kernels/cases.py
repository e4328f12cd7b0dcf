# SPDX-License-Identifier: GPL-2.0-or-later
"""What is shown on real kernels: a shell script for the guest and a check of what it printed.

Each case is a function that returns (script, check); its name is the sentence that is reported.
`check` gets a Report. Counts and ratios of counts mean something in the emulator,
times do not.
"""

import json
import re

CASES = []


def case(seconds=60, **parameters):
    """Registers a case; a parameter list makes one case for each value."""
    def register(function):
        name, values = next(iter(parameters.items()), (None, [None]))
        for value in values:
            label = function.__name__ + (f"_by_{value}" if value else "")
            script, check = function(**({name: value} if name else {}))
            CASES.append((re.sub("[ -]+", "_", label), seconds, script, check))
        return function
    return register


class Failed(Exception):
    pass


class Skipped(Exception):
    """What the case is about is not in this kernel."""


def expect_equal(got, wanted, what):
    if got != wanted:
        raise Failed(f"{what}: got {got!r}, wanted {wanted!r}")


class Report:
    """What a case printed: `truth JSON`, `status N`, lines of `loris watch`, answers, others."""

    def __init__(self, output, series):
        self.output, self.kernel = output, series
        self.truth, self.answers, self.series, self.values = None, [], [], {}
        for line in output.stdout:
            word, _, rest = line.partition(" ")
            if word == "truth":
                self.truth = json.loads(rest)
            elif word == "answer":
                if not rest.startswith("{"):
                    raise Failed("the agent did not answer")
                self.answers.append(json.loads(rest))
            elif line.startswith("{"):
                self.series.append(json.loads(line))
            else:
                self.values.setdefault(word, rest)

    def final(self, probe=None):
        return [line for line in self.series
                if line.get("final") and probe in (None, line["probe"])]

    def count(self, probe=None):
        return sum(line["count"] for line in self.final(probe))

    def probe(self, name):
        probes = self.answers[-1]["parameters"]["probes"]
        found = [probe for probe in probes if probe["probe"] == name]
        expect_equal(len(found), 1, f"probes named {name} among {[p['probe'] for p in probes]}")
        return found[0]


def check_ledger(probe, **wanted):
    ledger = probe["ledger"]
    left_right = {
        "entered": ("entered", ["returned", "abandoned", "in_flight"]),
        "returned": ("returned", ["submitted", "ring_full", "counted"]),
        "submitted": ("submitted", ["decoded", "malformed"]),
        "in_series": ("in_series", ["decoded", "counted", "ring_full", "unobserved"]),
    }
    for name, (left, right) in left_right.items():
        expect_equal(ledger[left], sum(ledger[part] for part in right), f"{name} in {ledger}")
    expect_equal(ledger["closes"], True, "ledger.closes")
    expect_equal(ledger["malformed"], 0, "malformed records")
    for name, number in wanted.items():
        expect_equal(ledger[name], number, f"{name} of {probe['probe']} in {ledger}")


def check_all_measured(report, probe, calls):
    """The ledger closes over so many calls, all of them timed."""
    missed = report.answers[-1]["parameters"]["kernel_missed"]
    if may_miss(report, probe["attach"]):
        check_ledger(probe, in_flight=0, no_storage=0)
        # Calls whose end was missed fill the thread's stack of open calls.
        expect_calls(probe["ledger"]["returned"], calls, missed + probe["ledger"]["too_deep"],
                     f"calls of {probe['probe']}")
    else:
        check_ledger(probe, entered=calls, returned=calls, abandoned=0, in_flight=0, no_storage=0)


def watched(arguments, command):
    """`loris watch` of a command, then its exit status and the truth."""
    return (f"loris watch --budget none --json --by none {arguments} -- /opt/{command} "
            "truth=/tmp/truth\n"
            'echo "status $?"\necho "truth $(cat /tmp/truth)"\n')


def agent(steps, targets, budget="none", **knobs):
    """An agent with targets attached through its socket, around steps, then its status.

    targets: {target: name of the processes that count}; the shell that runs the case would
    otherwise never let a ledger come to rest."""
    call = "/opt/socket_call socket=/tmp/s wait_s=10 request="
    attach = ""
    for target, comm in targets.items():
        request = json.dumps({"method": "org.loris.Agent.Attach", "parameters": {
            "targets": [{"target": target, **knobs}], "filter": {"comm": comm}}})
        attach += f"echo \"answer $({call}'{request}')\"\n"
    status = '{"method":"org.loris.Agent.Status","parameters":{"probes":true}}'
    # Without a word of single probes the agent gives up the privilege for them.
    config = ""
    if knobs.get("attach") in ("kprobe", "uprobe"):
        config = f"targets: [{{target: kernel:none, attach: {knobs['attach']}, optional: true}}]"
    return f"""
echo '{config}' > /tmp/loris.yaml
lorisd --budget {budget} --config /tmp/loris.yaml --socket /tmp/s &
agent=$!
{attach}{steps}
echo "status $?"
# Drained and closed, not slept for.
tries=0
until {call}'{status}' > /tmp/answer && ! grep -q '"closes":false' /tmp/answer; do
    tries=$((tries + 1)); [ $tries -gt 200 ] && break
    kill -0 $agent || break
    usleep 50000
done
echo "answer $(cat /tmp/answer)"
[ -f /tmp/truth ] && echo "truth $(cat /tmp/truth)"
kill $agent; wait $agent; echo "agent $?"
"""


# Where the kernel preempts programs on tracepoints and trampolines, it leaves out, and counts as
# missed, what they would have seen of others on that CPU meanwhile.
PREEMPTED_KERNELS = ["sid"]
PREEMPTED_KINDS = ["fentry", "raw-tracepoint"]


def may_miss(report, attach):
    return report.kernel in PREEMPTED_KERNELS and attach in PREEMPTED_KINDS


def expect_calls(got, calls, missed, what):
    """All calls but what the kernel missed; it counts both edges of whatever it left out."""
    expect_equal(got <= calls <= got + missed, True,
                 f"{what}: {got}, of {calls} with {missed} runs missed")


def check_count(probe, attach=None):
    def check(report):
        expect_equal(report.values.get("status"), "0", "exit status")
        count, calls = report.count(probe), report.truth["calls"]
        if may_miss(report, attach):
            expect_equal(0 < count <= calls, True, f"{count} counted of {calls}")
        else:
            expect_equal(count, calls, "calls counted")
    return check


KERNEL_KINDS = ["fentry", "kprobe"]


@case(attach=KERNEL_KINDS)
def counts_reads_of_four_threads_exactly(attach):
    return (watched(f"--attach {attach} kernel:vfs_read", "file_reads calls=20000 threads=4"),
            check_count("kernel:vfs_read", attach))


@case(attach=KERNEL_KINDS)
def counts_a_function_that_is_two_deep(attach):
    return (watched(f"--attach {attach} kernel:netlink_unicast", "netlink_acks requests=5000"),
            check_count("kernel:netlink_unicast", attach))


@case(attach=KERNEL_KINDS)
def counts_a_function_that_nests_five_deep_with_interrupts_off(attach):
    def check(report):
        expect_equal(report.values.get("status"), "0", "exit status")
        # Its start and its end wake those who wait for it, in its own context.
        more = report.count("kernel:ep_poll_callback") - report.truth["calls"]
        expect_equal(0 <= more <= 8, True, f"{more} calls more than its own {report.truth}")
    return watched(f"--attach {attach} kernel:ep_poll_callback", "nested_epoll writes=5000"), check


@case(attach=KERNEL_KINDS)
def closes_the_ledger_of_nested_kernel_functions(attach):
    def check(report):
        for name, calls in (("kernel:vfs_read", 5000), ("kernel:netlink_unicast", 4000)):
            probe = report.probe(name)
            check_all_measured(report, probe, calls)
            expect_equal(probe["attach"], attach, f"attach kind of {name}")
        probe = report.probe("kernel:ep_poll_callback")
        check_ledger(probe, abandoned=0, in_flight=0)  # interrupts are off in it
        expect_equal(probe["ledger"]["entered"] >= report.truth["calls"], True, "all wake-ups")
        expect_equal(report.values.get("agent"), "0", "exit status of lorisd")
    steps = ("/opt/file_reads calls=5000 threads=2 truth=/tmp/truth && "
             "/opt/netlink_acks requests=2000 truth=/tmp/truth && "
             "/opt/nested_epoll writes=3000 truth=/tmp/truth")
    return agent(steps, {"kernel:vfs_read": "file_reads", "kernel:netlink_unicast": "netlink_acks",
                         "kernel:ep_poll_callback": "nested_epoll"}, attach=attach), check


@case(attach=KERNEL_KINDS)
def takes_the_bias_off_kernel_functions(attach):
    def check(report):
        probe = report.probe("kernel:vfs_read")
        check_all_measured(report, probe, report.truth["calls"])
        expect_equal(probe["bias_ns"] > 0, True, f"a bias in {probe}")
    return agent("/opt/file_reads calls=100 threads=1 truth=/tmp/truth",
                 {"kernel:vfs_read": "file_reads"}, attach=attach), check


@case(attach=KERNEL_KINDS)
def accounts_for_more_sleepers_than_return_probes_were_prepared(attach):
    def check(report):
        probe = report.probe("kernel:vfs_read")
        check_ledger(probe)
        ledger = probe["ledger"]
        missed = report.answers[-1]["parameters"]["kernel_missed"]
        if ledger["returned"] + ledger["abandoned"] + missed < report.truth["calls"]:
            raise Failed(f"calls went missing without a word: {report.truth} {probe}")
        if attach == "fentry" and not may_miss(report, attach):
            check_ledger(probe, abandoned=0)
            expect_equal(missed, 0, "kernel_missed")
            expect_equal(ledger["returned"] >= report.truth["calls"], True, "all returned")
    return (agent("/opt/pipe_sleepers threads=100 rounds=3 truth=/tmp/truth",
                  {"kernel:vfs_read": "pipe_sleepers"}, attach=attach), check)


@case(seconds=120)
def counts_many_kernel_functions_by_a_glob():
    def check(report):
        expect_equal(report.values.get("status"), "0", "exit status")
        expect_equal(report.count("kernel:vfs_read"), report.truth["calls"], "calls of vfs_read")
    return (watched("'kernel:vfs_*'", "file_reads calls=5000 threads=2"), check)


@case()
def counts_syscalls_of_four_threads_exactly():
    return (watched("syscall:getppid", "many_calls kind=syscall calls=20000 threads=4"),
            check_count("syscall:getppid", "raw-tracepoint"))


# Static programs hold an unwinder, so that return probes are spared where nobody insists.
@case(attach=["auto", "uprobe --force", "uprobe-exits"])
def counts_user_functions_exactly(attach):
    return (watched(f"--attach {attach} user:/opt/many_calls:work",
                    "many_calls calls=20000 threads=4"), check_count(None))


@case(attach=["auto", "auto --force", "uprobe --force"])
def counts_user_recursion_exactly(attach):
    return (watched(f"--attach {attach} user:/opt/recursion:descend",
                    "recursion depth=30 rounds=200"), check_count(None))


@case()
def closes_the_ledger_of_user_functions():
    def check(report):
        calls = report.truth["calls"]
        check_ledger(report.probe("user:/opt/many_calls:work"), entered=calls, returned=calls,
                     abandoned=0, in_flight=0)
    return (agent("/opt/many_calls calls=20000 threads=4 truth=/tmp/truth",
                  {"user:/opt/many_calls:work": "many_calls"}), check)


@case(slots=["own", "shared"])
def counts_syscalls_and_waits_for_a_cpu_exactly_in_slots(slots):
    def check(report):
        truth = report.truth
        if slots == "shared":
            expect_equal(truth["alike"] > 1, True, f"threads that share a slot {truth}")
        check_all_measured(report, report.probe("syscall:read"), truth["reads"])
        waits = report.probe("span:run-queue")
        check_ledger(waits, abandoned=0, in_flight=0, no_storage=0)
        # Before main() and after it has counted: the program starts and its threads end.
        more = waits["ledger"]["returned"] - truth["waits"]
        expect_equal(0 <= more <= 30, True, f"{more} waits more than {truth}")
    steps = f"/opt/hand_over pairs=3 rounds=2000 clash={int(slots == 'shared')} truth=/tmp/truth"
    return agent(steps, {"syscall:read": "hand_over", "span:run-queue": "hand_over"}), check


# Target, process, and which of the kernels that are tested have it.
SESSIONS = {"kprobe-session": ("kernel:vfs_read", "file_reads", ["6.12", "sid"]),
            "uprobe-session": ("user:/opt/many_calls:work", "many_calls", ["sid"])}


def need_session(report, attach):
    if attach in SESSIONS and report.kernel not in SESSIONS[attach][2]:
        raise Skipped(f"{report.kernel} has no {attach}")


@case(session=list(SESSIONS))
def counts_every_call_of_a_thinned_probe(session):
    target, program, _ = SESSIONS[session]

    def check(report):
        need_session(report, session)
        probe = report.probe(target)
        ledger = probe["ledger"]
        check_ledger(probe, abandoned=0, in_flight=0)
        expect_equal(probe["attach"], session, "attach kind")
        expect_equal(probe["thin_shift"], 4, "thin_shift")
        expect_equal(ledger["entered"] + ledger["waiting"], report.truth["calls"],
                     f"calls accounted for in {ledger}")
        # The gaps are 1 to 31 calls on each of two CPUs, and a timed call takes all that wait.
        expect_equal(ledger["waiting"] <= 2 * 64, True, f"few calls wait in {ledger}")
        records = report.answers[-1]["parameters"]["drain"]["records"]
        expect_equal(records < report.truth["calls"] / 8, True, f"{records} records are few")
    return (agent(f"/opt/{program} calls=20000 threads=4 truth=/tmp/truth", {target: program},
                  attach=session, sample="1/16", force=True), check)


@case(session=list(SESSIONS))
def closes_the_ledger_of_sessions(session):
    target, program, _ = SESSIONS[session]

    def check(report):
        need_session(report, session)
        probe = report.probe(target)
        check_all_measured(report, probe, report.truth["calls"])
        expect_equal(probe["attach"], session, "attach kind")
    return (agent(f"/opt/{program} calls=20000 threads=4 truth=/tmp/truth", {target: program},
                  attach=session, force=True), check)


@case(seconds=180, attach=[*KERNEL_KINDS, "kprobe-session"])
def pauses_and_resumes_kernel_functions_for_a_budget(attach):
    def check(report):
        need_session(report, attach)
        last = report.answers[-1]["parameters"]
        probe, before = report.probe("kernel:vfs_read"), report.answers[-2]["parameters"]
        steps = [step["after"] for step in reversed(last["overhead"]["steps"])]
        expect_equal(report.values.get("paused"), "0", f"calls went by unseen; steps: {steps}")
        expect_equal(probe["cost"]["setting"], "every call timed", f"setting; steps: {steps}")
        check_ledger(probe, in_flight=0)
        # All detail is back, so every call is measured, exactly as at first.
        entered = [part["probes"][0]["ledger"]["entered"] for part in (before, last)]
        expect_calls(entered[1] - entered[0], report.truth["calls"],
                     last["kernel_missed"] if may_miss(report, attach) else 0,
                     "calls once it is back")
    status = ("/opt/socket_call socket=/tmp/s wait_s=10 request="
              """'{"method":"org.loris.Agent.Status","parameters":{"probes":true}}'""")
    steps = f"""
reads() {{ /opt/file_reads calls=100000 threads=2 truth=/dev/null; }}
has() {{ {status} > /tmp/status; grep -q "$1" /tmp/status; }}
tries=0
until has '"unobserved":[1-9]'; do
    reads; tries=$((tries + 1)); [ $tries -gt 60 ] && break
    has '"state":"attached"' || break
done
has '"unobserved":[1-9]'; echo "paused $?"
for more in 1 2 3 4 5; do reads; done
tries=0
until has '"setting":"every call timed"'; do
    has '"state":"attached"' || break
    usleep 500000; tries=$((tries + 1)); [ $tries -gt 160 ] && break
done
echo "answer $(cat /tmp/status)"
/opt/file_reads calls=100 threads=1 truth=/tmp/truth"""
    return (agent(steps, {"kernel:vfs_read": "file_reads"}, budget="1%", attach=attach), check)


@case()
def measures_the_wait_for_a_cpu():
    def check(report):
        expect_equal(report.values.get("status"), "0", "exit status")
        expect_equal(report.count("span:run-queue") > 0, True, "waits were counted")
    return (watched("span:run-queue", "file_reads calls=20000 threads=8"), check)


@case(attach=KERNEL_KINDS)
def leaves_nothing_in_the_kernel_after_kill_9(attach):
    def check(report):
        for name in ("programs", "kprobes", "functions"):
            expect_equal(report.values.get(name), "0", f"{name} that are left")
    steps = "kill -9 $agent"
    after = """
tries=0
left() { bpftool -j prog show | grep -o '"name":"on_[^"]*"' | wc -l; }
until [ "$(left)" = 0 ]; do
    tries=$((tries + 1)); [ $tries -gt 100 ] && break; usleep 50000
done
echo "programs $(left)"
echo "kprobes $(cat /sys/kernel/tracing/kprobe_events /sys/kernel/tracing/uprobe_events | wc -l)"
echo "functions $(cat /sys/kernel/tracing/enabled_functions | wc -l)"
"""
    script = agent(steps, {"kernel:vfs_read": "sh"}, attach=attach).split("# Drained")[0]
    return script + "wait $agent\n" + after, check


@case()
def refuses_a_function_that_does_not_exist_and_names_the_nearest():
    def check(report):
        expect_equal(report.values.get("status"), "1", "exit status")
        said = "\n".join(report.output.stderr)
        if "vfs_read" not in said:
            raise Failed(f"the nearest name is not mentioned: {said}")
    return 'loris watch --json -d 1s kernel:vfs_raed; echo "status $?"\n', check

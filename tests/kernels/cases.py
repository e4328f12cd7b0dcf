# SPDX-License-Identifier: GPL-2.0-or-later
"""What is shown on real kernels: a shell script for the guest and a check of what it printed.

Each case is a function that returns (script, check); its name is the sentence that is reported.
`check` gets a Report. Counts and ratios of counts mean something in the emulator,
times do not.
"""

import json

CASES = []


def case(seconds=60, **parameters):
    """Registers a case; a parameter list makes one case for each value."""
    def register(function):
        name, values = next(iter(parameters.items()), (None, [None]))
        for value in values:
            label = function.__name__ + (f"_by_{value}" if value else "")
            script, check = function(**({name: value} if name else {}))
            CASES.append((label.replace("-", "_"), seconds, script, check))
        return function
    return register


class Failed(Exception):
    pass


def expect_equal(got, wanted, what):
    if got != wanted:
        raise Failed(f"{what}: got {got!r}, wanted {wanted!r}")


class Report:
    """What a case printed: `truth JSON`, `status N`, lines of `loris watch`, answers, others."""

    def __init__(self, output):
        self.output = output
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
        "in_series": ("in_series", ["decoded", "counted", "ring_full"]),
    }
    for name, (left, right) in left_right.items():
        expect_equal(ledger[left], sum(ledger[part] for part in right), f"{name} in {ledger}")
    expect_equal(ledger["closes"], True, "ledger.closes")
    for name, number in wanted.items():
        expect_equal(ledger[name], number, f"{name} of {probe['probe']} in {ledger}")


def watched(arguments, command):
    """`loris watch` of a command, then its exit status and the truth."""
    return (f"loris watch --budget none --json --by none {arguments} -- /opt/{command} truth=/tmp/truth\n"
            'echo "status $?"\necho "truth $(cat /tmp/truth)"\n')


def agent(steps, targets, **knobs):
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
    return f"""
: > /tmp/loris.yaml
lorisd --budget none --config /tmp/loris.yaml --socket /tmp/s &
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


def check_count(probe):
    def check(report):
        expect_equal(report.values.get("status"), "0", "exit status")
        expect_equal(report.count(probe), report.truth["calls"], "calls counted")
    return check


KERNEL_KINDS = ["fentry", "kprobe"]


@case(attach=KERNEL_KINDS)
def counts_reads_of_four_threads_exactly(attach):
    return (watched(f"--attach {attach} kernel:vfs_read", "file_reads calls=20000 threads=4"),
            check_count("kernel:vfs_read"))


@case(attach=KERNEL_KINDS)
def counts_a_function_that_is_two_deep(attach):
    return (watched(f"--attach {attach} kernel:netlink_unicast", "netlink_acks requests=5000"),
            check_count("kernel:netlink_unicast"))


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
            check_ledger(probe, entered=calls, returned=calls, abandoned=0, in_flight=0)
            expect_equal(probe["attach"], attach, f"attach kind of {name}")
        probe = report.probe("kernel:ep_poll_callback")
        check_ledger(probe, abandoned=0, in_flight=0)
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
        check_ledger(probe, entered=100, returned=100)
        expect_equal(probe["bias_ns"] > 0, True, f"a bias in {probe}")
    return agent("/opt/file_reads calls=100 threads=1 truth=/tmp/truth",
                 {"kernel:vfs_read": "file_reads"}, attach=attach), check


@case(attach=KERNEL_KINDS)
def accounts_for_more_sleepers_than_return_probes_were_prepared(attach):
    def check(report):
        probe = report.probe("kernel:pipe_read")
        check_ledger(probe)
        ledger = probe["ledger"]
        missed = report.answers[-1]["parameters"]["kernel_missed"]
        if ledger["returned"] + ledger["abandoned"] + missed < report.truth["calls"]:
            raise Failed(f"calls went missing without a word: {report.truth} {probe}")
        if attach == "fentry":
            check_ledger(probe, abandoned=0)
            expect_equal(missed, 0, "kernel_missed")
            expect_equal(ledger["returned"] >= report.truth["calls"], True, "all returned")
    return (agent("/opt/pipe_sleepers threads=100 rounds=3 truth=/tmp/truth",
                  {"kernel:pipe_read": "pipe_sleepers"}, attach=attach), check)


@case(seconds=120)
def counts_many_kernel_functions_by_a_glob():
    def check(report):
        expect_equal(report.values.get("status"), "0", "exit status")
        expect_equal(report.count("kernel:vfs_read"), report.truth["calls"], "calls of vfs_read")
    return (watched("'kernel:vfs_*'", "file_reads calls=5000 threads=2"), check)


@case()
def counts_syscalls_of_four_threads_exactly():
    return (watched("syscall:getppid", "many_calls kind=syscall calls=20000 threads=4"),
            check_count("syscall:getppid"))


@case(attach=["auto", "uprobe", "uprobe-exits"])
def counts_user_functions_exactly(attach):
    return (watched(f"--attach {attach} user:/opt/many_calls:work",
                    "many_calls calls=20000 threads=4"), check_count(None))


@case(attach=["auto", "uprobe"])
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

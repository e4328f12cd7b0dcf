# SPDX-License-Identifier: GPL-2.0-or-later
"""Files that change under a probe, and links that the kernel is slow to let go."""

import os
import shutil
import subprocess
import time

from support import (Agent, check_ledger, expect, expect_equal, need, run_workload, scratch, user,
                     wait_for, workload)

PROGRAM = """
#include <stdio.h>
__attribute__((noinline)) int work(int x) { PAD return x + 1; }
int main(void)
{
    int sum = 0;
    for (int i = 0; i < 5; i++)
        sum += work(i);
    printf("%d\\n", sum);
    return 0;
}
"""
# So that the probe of one build lies in the middle of an instruction of the other.
PAD = '__asm__ volatile("movabs $0x1122334455667788, %%rax" ::: "rax"); puts("padded");'


def _build(folder, name, pad=""):
    source = folder / f"{name}.c"
    source.write_text(PROGRAM.replace("PAD", pad))
    subprocess.run(["gcc", "-O1", "-fno-omit-frame-pointer", str(source), "-o",
                    str(folder / name)], check=True)
    return folder / name


def lets_go_of_a_program_that_is_rewritten_in_place():
    need("gcc")
    with scratch() as folder:
        program, other = _build(folder, "program"), _build(folder, "other", PAD)
        target = f"user:{program}:work"
        with Agent() as agent:
            agent.attach(target)
            subprocess.run([str(program)], check=True, capture_output=True)
            agent.settled(target, entered=5)
            with open(other, "rb") as fresh, open(program, "r+b") as old:
                shutil.copyfileobj(fresh, old)
                old.truncate()
            # Wherever the agent is with it: the program must not come to harm.
            wait_for(lambda: _run_twice_counts(agent, program, target), 10,
                     "the rewritten program is watched")


def _run_twice_counts(agent, program, target):
    before = agent.probe(target)["ledger"]["entered"]
    done = subprocess.run([str(program)], capture_output=True, text=True)
    expect_equal(done.returncode, 0, f"exit status of the target ({done.stderr})")
    return agent.probe(target)["ledger"]["entered"] == before + 5


def counts_once_after_a_roll_back():
    need("gcc")
    with scratch() as folder:
        program, other = _build(folder, "program"), _build(folder, "other", PAD)
        kept = folder / "kept"
        target = f"user:{program}:work"
        with Agent() as agent:
            agent.attach(target)
            inode = program.stat().st_ino
            os.link(program, kept)
            os.rename(other, program)
            wait_for(lambda: _run_twice_counts(agent, program, target), 10, "the new file")
            os.rename(kept, program)
            expect_equal(program.stat().st_ino, inode, "the first file is back")
            wait_for(lambda: _run_twice_counts(agent, program, target), 15, "the old file, once")


def serves_others_while_single_links_are_detached():
    target = f"user:{workload('many_functions')}:*1"
    config = f"targets:\n  - {{target: '{target}', attach: uprobe}}\n"
    with Agent(config, check_clean=False) as agent:
        expect_equal(agent.probe(user("many_functions", "fn_0001"))["attach"], "uprobe", "the kind")
        begin = time.monotonic()
        agent.call("Detach", targets=[target])
        agent.status(probes=False)
        took = time.monotonic() - begin
        # The kernel takes 0.05 to 0.5 s for each of the 200 pairs.
        expect(took < 5, f"detaching held up the agent for {took:.1f} s")
        agent.attach(user("many_calls", "work"))
        run_workload("many_calls", "calls=20")
        check_ledger(agent.settled(user("many_calls", "work"), entered=20)["ledger"], returned=20)
    return f"answered after {took * 1000:.0f} ms"


UNPROBEABLE = """
#include <stdio.h>
__attribute__((naked, noinline)) void fn_bad(void) { __asm__("lock addl $0, (%rsp)\\n\\tret"); }
__attribute__((noinline)) int fn_good(int x) { __asm__ volatile(""); return x; }
int main(void)
{
    fn_bad();
    puts("ready");
    fflush(stdout);
    getchar();
    for (int i = 0; i < 5; i++)
        fn_good(i);
    return 0;
}
"""


def forgets_a_function_that_the_kernel_cannot_probe():
    """Its id is another's soon: whoever still meant it by that would detach, or crash."""
    need("gcc")
    with scratch() as folder:
        source, program = folder / "program.c", folder / "program"
        source.write_text(UNPROBEABLE)
        subprocess.run(["gcc", "-O1", "-fno-omit-frame-pointer", str(source), "-o", str(program)],
                       check=True)
        with subprocess.Popen([str(program)], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as running, Agent() as agent:
            running.stdout.readline()  # mapped: the kernel looks at the instructions
            reply = agent.call("Attach", targets=[{"target": f"user:{program}:fn_*"}])
            expect_equal((reply["attached"], reply["results"][0]["refused"]), (1, 1), "probes")
            expect("cannot probe" in reply["results"][0]["messages"][0], f"the reason: {reply}")
            agent.attach("syscall:acct")
            names = {probe["probe"]: probe["state"] for probe in agent.status()["probes"]}
            expect_equal(names, {f"user:{program}:fn_good": "attached",
                                 "syscall:acct": "attached"}, "what is listed")
            running.communicate(b"\n")
            agent.call("Detach", targets=[f"user:{program}:fn_*"])
            expect_equal([probe["probe"] for probe in agent.status()["probes"]], ["syscall:acct"],
                         "what is left")


def marks_without_an_end_do_not_blind_functions():
    """Begins that never end, in 51 frames, must not fill the stack that functions are timed with."""
    marks = f"usdt:{workload('sdt_marks')}:loris_test:op_begin..op_never"
    with Agent() as agent:
        agent.attach(marks, user("sdt_marks", "operation"), attach="uprobe-multi")
        truth = run_workload("sdt_marks", "calls=300", "nested=50")
        ledger = agent.settled(user("sdt_marks", "operation"))["ledger"]
        check_ledger(ledger, entered=truth["calls"], returned=truth["calls"], too_deep=0,
                     abandoned=0, in_flight=0)
        check_ledger(agent.settled(marks)["ledger"], entered=truth["calls"], returned=0,
                     abandoned=truth["calls"], in_flight=0)

# SPDX-License-Identifier: GPL-2.0-or-later
"""Entry probes go to the cheapest instruction, and see every call there once."""

import json

from support import (Agent, check_ledger, expect, expect_equal, limit, loris, run_workload, user,
                     workload)

CALLS = 2000

# Where the probe goes, and what is there.
PLACES = {
    "p_endbr64": (4, "push rbx"),
    "p_early_exit": (3, "jle +"),
    "p_writes_argument": (6, "push rbx"),
    "p_loop_at_start": (0, "mov"),
    "p_loop_to_place": (0, "mov"),
    "p_loop_behind": (5, "push rbx"),
    "p_shared": (0, "mov"),
    "p_jumps_near": (5, "jmp -"),
    "p_jumped_into": (0, "mov"),
    "p_recurses": (8, "jle +"),
    "p_tail": (4, "jmp +"),
    "p_only_returns": (0, "ret"),
    "p_moves_stack": (0, "sub"),
    "p_nop5": (0, "nop"),
    "p_nop5_behind": (0, "mov"),
}


def _places():
    done = loris("list", "--json", "--placement", user("prologues", "p_*"))
    expect_equal(done.returncode, 0, f"exit status of loris list ({done.stderr.strip()})")
    return [json.loads(line) for line in done.stdout.splitlines()]


def tells_where_probes_would_go_and_why():
    lines = _places()
    found = {line["target"].rsplit(":", 1)[1]: line["placement"] for line in lines[:-1]}
    for name, (offset, instruction) in PLACES.items():
        place = found[name]
        if name == "p_nop5" and not place["emulated"]:
            continue  # kernels before 6.18 step over it
        expect_equal(place["offset"], offset, f"offset in {name} ({place})")
        expect(place["instruction"].startswith(instruction), f"instruction in {name}: {place}")
        stepped = not instruction.startswith(("push", "j", "nop"))
        expect_equal(place["emulated"], not stepped, f"{name} is emulated")
        expect_equal("reason" in place, stepped, f"{name} gives a reason")
    expect("leads to +5" in found["p_shared"]["reason"], f"why p_shared: {found['p_shared']}")
    expect("stack pointer" in found["p_moves_stack"]["reason"], "why p_moves_stack")
    totals = lines[-1]
    expect_equal(totals["placed"], len(found), "functions placed")
    expect_equal(totals["cheap"], sum(place["emulated"] for place in found.values()), "cheap ones")
    expect(totals["cheap_at_entry"] <= 1, f"cheap at the entry: {totals}")


def prints_a_table_that_ends_with_totals():
    done = loris("list", "--placement", f"user:{workload('prologues')}:p_*")
    lines = done.stdout.splitlines()
    expect_equal(lines[0].split(),
                 ["TARGET", "PLACE", "INSTRUCTION", "COST", "NS/CALL", "NOTE"], "titles")
    expect(lines[-1].startswith("cheap at the entry "), f"the last line: {lines[-1]}")
    expect(lines[-1].endswith(f" of {len(lines) - 2} functions"), f"the last line: {lines[-1]}")


def _count(kind):
    with Agent() as agent:
        agent.attach(user("prologues", "p_*"), attach=kind)
        truth = run_workload("prologues", f"calls={CALLS}")
        expect_equal(truth["wrong"], 0, "wrong results of probed functions")
        for name in PLACES:
            calls = truth["recursive_calls"] if name == "p_recurses" else CALLS
            probe = agent.settled(user("prologues", name), entered=calls)
            check_ledger(probe["ledger"], entered=calls, returned=calls, abandoned=0, in_flight=0)


@limit(90)
def counts_every_call_once_wherever_the_probe_goes():
    _count("uprobe-session")


@limit(90)
def counts_the_same_through_pairs_of_links():
    _count("uprobe-multi")

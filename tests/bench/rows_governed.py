# SPDX-License-Identifier: GPL-2.0-or-later
"""Row of what a program loses to an agent that holds its default budget."""

import agents
import entries
from children import Failed
from rows_calls import BARE, OURS_COPY, spec
from target import Target

LOST = "lost to the probe"

FUNCTION, UNPROBED = f"push_{OURS_COPY}", f"push_{BARE}"
SETTLE_MS = 3000  # so long may it take to find its level
WATCHED_MS, BARE_MS = 4000, 1000
ROUNDS_MAX = 7
FIRST_MS = 1000


def governed(bench):
    """A function called at full speed with the default budget: what the program loses."""
    bench.say("governed")
    told = []
    with Target() as target, agents.start(budget=agents.DEFAULT_BUDGET) as agent:
        agent.attach(spec(FUNCTION))
        first = _Watched(target, agent, FIRST_MS)
        rounds = []
        for number in range(min(bench.rounds, ROUNDS_MAX)):
            target.steady(FUNCTION, SETTLE_MS, 1)
            rounds.append(_Watched(target, agent, WATCHED_MS))
            told.append(100 * agent.status(probes=False)["overhead"]["probes"])
            bench.progress(f"round {number + 1}")
        notes = _notes(agent, target)
    case = f"{FUNCTION.split('_')[0]}, budget {agents.DEFAULT_BUDGET}"
    return [
        entries.of("governed", case, LOST, "%", [one.lost for one in rounds], note=notes[0]),
        entries.of("governed", case, "the same of a function that nobody probes", "%",
                   [one.lost_bare for one in rounds], note="what others take; taken off above"),
        entries.of("governed", case, "lost in the first second", "%", [first.lost]),
        entries.of("governed", case, "the agent's own estimate", "%", told, note=notes[1]),
        entries.of("governed", case, "CPU of lorisd", "%", [one.agent for one in rounds]),
    ]


class _Watched:
    """A stretch of calls, and one of a function that nobody probes. Shares in per cent."""

    def __init__(self, target, agent, ms):
        usual_ns = target.measure(f"call {UNPROBED}")
        cpu_s = agents.run_seconds(agent.pid)
        lost = target.steady(FUNCTION, ms, usual_ns)
        self.agent = 100 * (agents.run_seconds(agent.pid) - cpu_s) / (ms / 1000)
        self.lost_bare = 100 * target.steady(UNPROBED, BARE_MS, usual_ns)
        self.lost = 100 * lost - self.lost_bare


def _notes(agent, target):
    probe = agent.probe(spec(FUNCTION))
    series = agent.stats(spec(FUNCTION), by="none")
    if not series:
        raise Failed("the agent tells nothing of the function")
    counted, made = series[0]["count"], target.calls[FUNCTION]
    off = f"counted {counted / made - 1:+.1%} of {made:.3g} calls"
    if series[0].get("count_error"):
        off += f", says it may be {series[0]['count_error']:.1%} off"
    return off, probe["cost"]["setting"]

# SPDX-License-Identifier: GPL-2.0-or-later
"""Interleaved rounds: in each, every contender is measured once, between two bare loops."""

import random
import time

import spread

DRIFT_MAX = 0.10
ATTEMPTS = 20  # times the wanted rounds, at most
PATIENCE_S = 300  # and no new one after so long


class Unsteady(Exception):
    """The machine never held still for long enough: nothing can be said."""


class Outcome:
    def __init__(self, names):
        self.samples = {name: [] for name in names}
        self.bare = []
        self.discarded = 0

    def added(self, name):
        """What a contender adds to the bare loop, per round."""
        return [value - bare for value, bare in zip(self.samples[name], self.bare)]


class _BareLoop:
    def __init__(self, measure):
        self.measure = measure
        self.steady = []  # of all rounds in which it did not drift, kept or not

    def judge(self, before, after):
        """Whether it stayed what it was within the round, and what it was in the rounds so far."""
        if abs(after - before) > DRIFT_MAX * before:
            return False
        ns = (before + after) / 2
        usual = spread.median(self.steady) if self.steady else ns
        self.steady.append(ns)
        return abs(ns / usual - 1) <= DRIFT_MAX


def interleave(bare, contenders, wanted, progress=lambda text: None, guards=(), seed=1):
    """contenders: {name: a function that measures once}. Returns an Outcome of `wanted` rounds.

    A round whose bare loop drifts, or one of the guards, which are further loops that nothing of
    ours should slow down, is thrown away and repeated. The usual is the median of all steady
    rounds, not of those kept: a machine that turns slow for good is the new normal, and ratios are
    taken within rounds.
    """
    outcome = Outcome(contenders)
    loops = [_BareLoop(measure) for measure in (bare, *guards)]
    order = list(contenders)
    shuffle = random.Random(seed).shuffle
    end = time.monotonic() + PATIENCE_S
    attempts = 0
    while attempts < wanted * ATTEMPTS and time.monotonic() < end:
        attempts += 1
        shuffle(order)
        before = [loop.measure() for loop in loops]
        values = {name: contenders[name]() for name in order}
        after = [loop.measure() for loop in loops]
        verdicts = [loop.judge(*pair) for loop, *pair in zip(loops, before, after)]
        if not all(verdicts):
            outcome.discarded += 1
            continue
        outcome.bare.append((before[0] + after[0]) / 2)
        for name, value in values.items():
            outcome.samples[name].append(value)
        progress(f"round {len(outcome.bare)}/{wanted}")
        if len(outcome.bare) == wanted:
            return outcome
    raise Unsteady(f"{outcome.discarded} of {attempts} rounds drifted by more than "
                   f"{DRIFT_MAX:.0%}; the machine is too busy")

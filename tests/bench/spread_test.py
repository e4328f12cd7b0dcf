# SPDX-License-Identifier: GPL-2.0-or-later
"""The statistics of the benchmarks, on made-up samples."""

import unittest

import goals
import report
import rounds
import spread


class Spread(unittest.TestCase):
    def test_the_median_of_an_even_number_lies_between_the_middle_two(self):
        self.assertEqual(spread.median([4, 1, 3, 2]), 2.5)

    def test_one_wild_sample_moves_neither_median_nor_spread_far(self):
        calm = spread.figure([100.0] * 20)
        wild = spread.figure([100.0] * 20 + [1e9])
        self.assertEqual(calm["median"], wild["median"])
        self.assertEqual(calm["high"], wild["high"])

    def test_the_spread_covers_the_middle_eighty_percent(self):
        figure = spread.figure(list(range(101)))
        self.assertEqual((figure["low"], figure["median"], figure["high"]), (10, 50, 90))

    def test_no_samples_are_an_error_not_a_zero(self):
        with self.assertRaises(ValueError):
            spread.median([])

    def test_ratios_are_taken_within_a_round_so_a_slow_phase_cancels(self):
        floor = [100, 100, 135, 135]
        ratios = spread.paired_ratios([110, 110, 148.5, 148.5], floor)
        for ratio in ratios:
            self.assertAlmostEqual(ratio, 1.1)

    def test_a_round_without_cost_in_the_divisor_has_no_ratio(self):
        self.assertEqual(spread.paired_ratios([5, 6], [0, 3]), [2])

    def test_unequal_rounds_cannot_be_paired(self):
        with self.assertRaises(ValueError):
            spread.paired_ratios([1, 2], [1])

    def test_figures_agree_when_their_spreads_touch(self):
        one = {"low": 0.9, "median": 1.0, "high": 1.1}
        self.assertTrue(spread.overlap(one, {"low": 1.1, "median": 1.2, "high": 1.3}))
        self.assertFalse(spread.overlap(one, {"low": 1.2, "median": 1.3, "high": 1.4}))
        self.assertEqual(spread.apart(one, {"low": 1.0, "median": 1.2, "high": 1.3}), 0)
        self.assertAlmostEqual(spread.apart(one, {"low": 1.2, "median": 1.3, "high": 1.4}), 0.1)


class Rounds(unittest.TestCase):
    @staticmethod
    def sequence(values):
        values = iter(values)
        return lambda: next(values)

    def test_a_round_whose_bare_loop_drifts_is_repeated(self):
        bare = self.sequence([10, 10, 10, 15, 10, 10, 10, 10])
        cost = self.sequence([20, 999, 21, 22])
        outcome = rounds.interleave(bare, {"it": cost}, 3)
        self.assertEqual(outcome.samples["it"], [20, 21, 22])
        self.assertEqual(outcome.discarded, 1)

    def test_a_round_far_from_the_rounds_so_far_is_repeated(self):
        bare = self.sequence([10, 10, 10, 10, 12, 12, 10, 10])
        outcome = rounds.interleave(bare, {"it": lambda: 1}, 3)
        self.assertEqual((outcome.discarded, outcome.bare), (1, [10, 10, 10]))

    def test_a_machine_that_turns_slow_for_good_is_measured_all_the_same(self):
        bare = self.sequence([10] * 6 + [13] * 100)
        outcome = rounds.interleave(bare, {"it": lambda: 1}, 6)
        self.assertEqual(len(outcome.bare), 6)
        self.assertGreater(outcome.discarded, 0)

    def test_a_machine_that_never_holds_still_is_an_error(self):
        bare = self.sequence([10, 20] * 3 * rounds.ATTEMPTS)
        with self.assertRaises(rounds.Unsteady):
            rounds.interleave(bare, {"it": lambda: 1}, 3)

    def test_a_round_in_which_a_guard_drifts_is_repeated(self):
        guard = self.sequence([100, 100, 100, 200, 100, 100])
        outcome = rounds.interleave(lambda: 10, {"it": self.sequence([1, 999, 2])}, 2,
                                    guards=[guard])
        self.assertEqual((outcome.samples["it"], outcome.discarded), ([1, 2], 1))

    def test_every_contender_is_measured_in_every_round(self):
        names = []
        contenders = {name: lambda name=name: names.append(name) or 1 for name in "abc"}
        outcome = rounds.interleave(lambda: 1, contenders, 4)
        self.assertEqual({name: len(outcome.samples[name]) for name in "abc"},
                         {"a": 4, "b": 4, "c": 4})
        for number in range(4):
            self.assertEqual(sorted(names[number * 3:number * 3 + 3]), ["a", "b", "c"])

    def test_what_is_added_is_above_the_bare_loop_of_the_same_round(self):
        outcome = rounds.interleave(self.sequence([10, 10, 10.5, 10.5]),
                                    {"it": self.sequence([30, 31])}, 2)
        self.assertEqual(outcome.added("it"), [20, 20.5])


def entry(contender, median, low=None, high=None, **more):
    ratio = {"median": median, "low": low or median, "high": high or median, "samples": 11}
    return {"row": "user", "case": "push", "contender": contender, "unit": "ns", "ratio": ratio,
            "value": ratio, **more}


class Goals(unittest.TestCase):
    def test_a_goal_says_by_how_much_it_is_missed(self):
        judged = goals.judge([entry("floor: empty session", 1.38)])
        first = next(goal for goal in judged if goal["name"].startswith("user function, push"))
        self.assertEqual(first["state"], "missed")
        self.assertAlmostEqual(first["beyond"], 0.2)

    def test_a_goal_whose_rows_are_absent_is_not_judged(self):
        states = {goal["state"] for goal in goals.judge([])}
        self.assertEqual(states, {"not measured"})


class Compare(unittest.TestCase):
    def test_names_the_ratios_that_do_not_agree(self):
        first = {"entries": [entry("a", 1.0, 0.9, 1.1), entry("b", 1.0, 0.99, 1.01)]}
        second = {"entries": [entry("a", 1.05, 1.0, 1.2), entry("b", 1.5, 1.4, 1.6)]}
        lines, apart = report.compare(first, second)
        self.assertEqual(apart, 1)
        self.assertTrue(any("b" in line and "apart" in line for line in lines))

    def test_ratios_without_a_spread_are_not_compared(self):
        single = entry("a", 1.0)
        single["ratio"] = {**single["ratio"], "samples": 1}
        self.assertEqual(report.compare({"entries": [single]}, {"entries": [entry("a", 2.0)]})[1],
                         0)

    def test_what_only_one_run_has_is_said_and_is_no_disagreement(self):
        lines, apart = report.compare({"entries": [entry("a", 1.0)]}, {"entries": []})
        self.assertEqual(apart, 0)
        self.assertTrue(any("only" in line for line in lines))


if __name__ == "__main__":
    unittest.main()

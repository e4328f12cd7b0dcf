# SPDX-License-Identifier: GPL-2.0-or-later
"""Samples to figures: a median with the spread that is printed beside it."""

LOW, HIGH = 0.1, 0.9


def quantile(samples, share):
    """Between the two nearest samples; share is 0 to 1."""
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("no samples")
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(samples):
    return quantile(samples, 0.5)


def figure(samples):
    """What is reported of samples: the median and how far 80 % of them lie around it."""
    return {"median": median(samples), "low": quantile(samples, LOW),
            "high": quantile(samples, HIGH), "samples": len(samples)}


def paired_ratios(ours, theirs):
    """One ratio a round: what slows the machine for a while slows both. Rounds without cost in the
    divisor have none."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} rounds against {len(theirs)}")
    return [one / other for one, other in zip(ours, theirs) if other > 0]


def overlap(one, other):
    """Whether two figures agree within their spreads."""
    return one["low"] <= other["high"] and other["low"] <= one["high"]


def apart(one, other):
    """How far two figures are apart beyond their spreads, as a share of the first's median."""
    if overlap(one, other):
        return 0.0
    gap = max(one["low"] - other["high"], other["low"] - one["high"])
    return gap / one["median"] if one["median"] else float("inf")

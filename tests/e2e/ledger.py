# SPDX-License-Identifier: GPL-2.0-or-later
"""The equations of include/loris/ledger.h."""

from expectations import expect, expect_equal


def ledger_errors(ledger):
    """Every equation of include/loris/ledger.h that does not hold, as text."""
    wrong = []

    def equation(text, left, right):
        if left != right:
            wrong.append(f"{text} ({left} != {right})")

    value = ledger.__getitem__
    equation("entered = returned + abandoned + in_flight", value("entered"),
             value("returned") + value("abandoned") + value("in_flight"))
    equation("returned = submitted + ring_full + counted", value("returned"),
             value("submitted") + value("ring_full") + value("counted"))
    equation("sampled = submitted + ring_full", value("sampled"),
             value("submitted") + value("ring_full"))
    equation("submitted = decoded + malformed", value("submitted"),
             value("decoded") + value("malformed"))
    equation("decoded + counted + ring_full + unobserved = in_series",
             value("decoded") + value("counted") + value("ring_full") + value("unobserved"),
             value("in_series"))
    if value("too_deep") + value("no_storage") > value("abandoned"):
        wrong.append("too_deep + no_storage are part of abandoned")
    if not value("closes"):
        wrong.append("the agent says that it does not close")
    return wrong


def check_ledger(ledger, **wanted):
    """Closes, is free of malformed records, and holds the wanted values."""
    wrong = ledger_errors(ledger)
    expect(not wrong, f"the ledger does not close: {wrong} in {ledger}")
    expect_equal(ledger["malformed"], 0, "malformed records")
    for name, number in wanted.items():
        expect_equal(ledger[name], number, f"ledger.{name} in {ledger}")

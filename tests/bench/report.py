# SPDX-License-Identifier: GPL-2.0-or-later
"""The table and the files; the comparison of two runs."""

import json

import goals
import spread


def number(value):
    """Three figures that count; large ones whole."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value else "0"


def ratio_text(line):
    if "ratio" not in line:
        return "", ""
    ratio = line["ratio"]
    return f"{ratio['median']:.3f}", f"{ratio['low']:.3f} to {ratio['high']:.3f}"


def _cells(line):
    if "reason" in line:
        return [line["contender"], "", "", "not run", "", line["reason"]]
    value = line["value"]
    spread_text = ""
    if value["samples"] > 1:
        spread_text = f"{number(value['low'])} to {number(value['high'])}"
    return [line["contender"], *ratio_text(line), f"{number(value['median'])} {line['unit']}",
            spread_text, line.get("note", "")]


HEAD = ["what", "loris / it", "p10 to p90", "absolute", "p10 to p90", "note"]


def _table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in rows:
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |")
    return lines


def markdown(run):
    machine = dict(run["machine"])
    lines = ["# loris beside others", "", f"Taken {run['begin']} to {run['end']}, "
             f"{run['rounds']} rounds. Ratios are taken within a round; a round whose bare loop "
             "drifted by more than 10 % was repeated. Added: above the bare loop of the same "
             "round.", ""]
    lines += _table(["machine", ""], [[key, str(value)] for key, value in machine.items()])
    lines += [""] + _table(["tool", "version"], run["tools"].items()) + [""]
    cases = []
    for line in run["entries"]:
        if (line["row"], line["case"]) not in cases:
            cases.append((line["row"], line["case"]))
    for row, case in cases:
        chosen = [line for line in run["entries"] if (line["row"], line["case"]) == (row, case)]
        thrown = max((line.get("discarded", 0) for line in chosen), default=0)
        suffix = f" ({thrown} rounds thrown away)" if thrown else ""
        lines += [f"## {row}: {case}{suffix}", ""] + _table(HEAD, map(_cells, chosen)) + [""]
    if run["warnings"]:
        lines += ["## To be read with care", ""]
        lines += [f"- {warning}" for warning in run["warnings"]] + [""]
    if run["failures"]:
        lines += ["## Not measured, for something broke", ""]
        lines += [f"- {failure}" for failure in run["failures"]] + [""]
    return "\n".join(lines + ["## Goals", ""] + goals_table(run["goals"])) + "\n"


def goals_table(verdicts):
    rows = []
    for verdict in verdicts:
        limit = f"{number(verdict['limit'])} {verdict['unit']}"
        if verdict["state"] == "not measured":
            rows.append([verdict["name"], limit, "", "not measured"])
            continue
        by = f", {abs(verdict['beyond']):.0%} " + (
            "over" if verdict["state"] == "missed" else "to spare") if "beyond" in verdict else ""
        places = f"{verdict['value']:.3f}" if verdict["unit"] == "x" else number(verdict["value"])
        rows.append([verdict["name"], limit, f"{places} {verdict['unit']}",
                     f"{verdict['state']}{by}"])
    return _table(["goal", "at most", "measured", ""], rows)


def write(run, path):
    run["goals"] = goals.judge(run["entries"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(run))


ONLY = "only one run has"


def _keyed(run):
    """Those with a spread: a single sample has none to agree within."""
    return {(line["row"], line["case"], line["contender"]): line for line in run["entries"]
            if line.get("ratio", {}).get("samples", 0) > 1}


def compare(first, second):
    """Lines for people, and how many ratios that both have are further apart than their spreads."""
    one, other = _keyed(first), _keyed(second)
    lines, disagreeing = [], 0
    for key in sorted(one.keys() | other.keys()):
        label = ": ".join(key)
        if key not in one or key not in other:
            lines.append(f"{ONLY}  {label}")
            continue
        ratios = one[key]["ratio"], other[key]["ratio"]
        shown = " and ".join(f"{ratio['median']:.3f} ({ratio['low']:.3f} to {ratio['high']:.3f})"
                             for ratio in ratios)
        beyond = spread.apart(*ratios)
        disagreeing += beyond > 0
        lines.append(f"{f'{beyond:.1%} apart' if beyond else 'agrees':<16}  {label}: {shown}")
    return lines, disagreeing

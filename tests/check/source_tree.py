# SPDX-License-Identifier: GPL-2.0-or-later
"""What the checks share: the files of the tree, and how a check ends."""

import os
import re
import sys

LEFT_OUT = {"build", ".git", "__pycache__"}

# The pipeline: a stage sees itself and what comes before it.
STAGES = ["base", "probe", "ingest", "aggregate", "identity", "alert", "history", "export", "query"]


def files(*folders):
    """Paths of all files below the folders (everything when none is given), sorted."""
    found = []
    for top in folders or ["."]:
        for folder, subfolders, names in os.walk(top):
            subfolders[:] = sorted(name for name in subfolders if name not in LEFT_OUT)
            found += [os.path.normpath(os.path.join(folder, name)) for name in names]
    return sorted(path for path in found if not os.path.islink(path))


def c_files(*folders):
    return [path for path in files(*folders) if path.endswith((".c", ".h", ".cc"))]


def text_of(path):
    """The content, or None for what is no text."""
    with open(path, "rb") as file:
        content = file.read()
    try:
        return None if b"\0" in content else content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def interpreter_of(text):
    """bash, sh, python3, ... of a script; empty for other files."""
    first = re.match(r"#!\s*\S*?([^/\s]+)(?:\s+([^\s-]\S*))?\s*$", text.split("\n", 1)[0])
    if not first:
        return ""
    return first.group(2) or first.group(1) if first.group(1) == "env" else first.group(1)


def without_comments(text):
    """C text whose comments are blanked; line numbers stay."""
    return re.sub(r'//[^\n]*|/\*.*?\*/|("(?:\\.|[^"\\\n])*")',
                  lambda found: found.group(1) or re.sub(r"[^\n]", " ", found.group(0)),
                  text, flags=re.DOTALL)


def grep(pattern, paths, comments=True):
    """`path:line: text` of each line that matches; comments=False looks at code only."""
    found = []
    for path in paths:
        text = text_of(path)
        if text is None:
            continue
        searched = text if comments else without_comments(text)
        for number, (line, shown) in enumerate(zip(searched.split("\n"), text.split("\n")), 1):
            if re.search(pattern, line):
                found.append(f"{path}:{number}: {shown.strip()}")
    return found


def finish(violations):
    for violation in violations:
        print(violation)
    sys.exit(1 if violations else 0)


def skip(reason):
    print(reason)
    sys.exit(77)

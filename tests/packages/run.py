#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the packages, lets them live and die in a Debian of their own, and tries what comes with
them: manual pages, completion, the installation without a package. As root.

    tests/packages/run.py [PATTERN...]    only tests whose file or name contains a pattern
    tests/packages/run.py --list          what there is

Written as the end-to-end tests are, and run by the same runner.
"""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[0:1] = [str(HERE.parent / "e2e"), str(HERE.parent), str(HERE)]

import run as runner  # noqa: E402  (found through the path above)


def main(arguments):
    tests = runner.discover([word for word in arguments if not word.startswith("--")], HERE)
    if "--list" in arguments:
        print("\n".join(label for label, _ in tests))
        return 0
    if os.geteuid() != 0:
        print("packages are installed into a root of their own, which needs root", file=sys.stderr)
        return 2
    return runner.run_all(tests)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

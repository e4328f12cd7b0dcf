# SPDX-License-Identifier: GPL-2.0-or-later
"""lorisd as the rows need it: private socket, default settings but no budget, what it costs."""

import contextlib
import os
import pathlib
import re
import sys

from target import ROOT

sys.path.insert(0, str(ROOT / "tests/e2e"))
import support  # noqa: E402  (found through the path above)
from kernel_state import bpf_objects, context_switches, resident_bytes  # noqa: E402, F401

LORIS = support.LORIS
LORISD = support.LORISD


# Ctrl-C is for the bench, which then ends the agent; and the agent ends with the bench, always.
OWN_SESSION = ("setsid", "setpriv", "--pdeathsig", "TERM")


DEFAULT_BUDGET = "1%"


def start(config="", budget="none"):
    """An agent, for `with`; nothing may thin what is to be measured in full. What it leaves behind
    is the end-to-end tests' affair."""
    return support.Agent(config, wrapper=OWN_SESSION, check_clean=False, budget=budget)


def placed(probe):
    """Bytes past the function's entry at which the probe stands."""
    return probe.get("placement", {}).get("offset", 0)


def _schedstat(pid, field):
    total = 0
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        total += int(path.read_text().split()[field])
    return total / 1e9


def run_seconds(pid):
    """CPU time of all threads, to the ns."""
    return _schedstat(pid, 0)


def wait_seconds(pid):
    """How long it was ready to run and somebody else had the CPU."""
    return _schedstat(pid, 1)


def prefer(pid):
    """Before all else that runs here, whatever session that is in."""
    os.setpriority(os.PRIO_PROCESS, pid, -20)
    group = pathlib.Path(f"/proc/{pid}/autogroup")
    if group.exists():  # its own: it is in a session of its own
        group.write_text("-20")


def syscall_tracers():
    """How many programs hang on all system calls: a row that runs beside them measures them too."""
    return sum(link.get("tp_name") in ("sys_enter", "sys_exit") for link in bpf_objects("link"))


def map_ids(agent):
    """{name: id} of its maps. bpftool cannot tell everywhere who holds a map; its fds can."""
    held = set()
    for path in pathlib.Path(f"/proc/{agent.pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            held |= set(re.findall(r"^map_id:\s*(\d+)", path.read_text(), re.M))
    return {item["name"]: item["id"] for item in bpf_objects("map") if str(item["id"]) in held}

"""What a reader needs to judge the figures or to repeat them: machine, commit, command."""

import datetime
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CPU_FLAGS = ("avx2", "fma", "avx512f", "asimd")


def about():
    """Asked before anything runs: the load is that of the others."""
    return {
        "date": datetime.date.today().isoformat(),
        "CPU": _cpu(),
        "load at the start": f"{os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores",
        "commit": _commit(),
        "command": shlex.join(["python", *sys.argv]),
    }


def stem(facts):
    """The record's file name: <date>-<cpu>-<commit>."""
    cpu = re.sub(r"[^a-z0-9]+", "-", facts["CPU"].partition(",")[0].lower()).strip("-")
    return f"{facts['date']}-{cpu}-{facts['commit']}"


def _cpu():
    info = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        info.setdefault(key.strip(), value.strip())
    flags = [f for f in CPU_FLAGS if f in info.get("flags", info.get("Features", "")).split()]
    model = info.get("model name", platform.machine())
    return f"{model}, family {info.get('cpu family', '?')} model {info.get('model', '?')}, {' '.join(flags)}"


def _commit():
    def git(*arguments):
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short=10", "HEAD")
    changed = commit and git("status", "--porcelain", "--untracked-files=no")
    return (commit or "uncommitted") + ("-changed" if changed else "")

"""Starts a process for each setting, one after the other, and joins what they found. No engine is imported
here: what a library has set up once in a process (threads, masks, allocators) it keeps."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import results, where
from .setting import DEFAULT, ONE, TWO

SCRIPT = Path(__file__).parents[1] / "peers.py"
ONE_THREAD = ("forward", "training", "step", "lstm", "variants", "f64", "ragged", "footprint")
SECTIONS = (*ONE_THREAD, "threads", "busy")


def measure(options):
    found = results.Results(about=where.about())
    print(f"{found.about['CPU']}; load {found.about['load at the start']}\n", flush=True)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for number, (setting, sections, engines) in enumerate(_plan(options)):
            rows = Path(folder) / f"{number}.csv"
            print(f"--- setting {setting.name}: {', '.join(sections)}; {', '.join(engines)}", flush=True)
            status = subprocess.run(_command(options, setting, sections, engines, rows)).returncode
            if rows.exists():
                found.add(results.load(rows))
            if status:
                found.failures.append(f"{','.join(sections)} of {','.join(engines)}: exit status {status}")
    found.about["minutes"] = f"{(time.perf_counter() - began) / 60:.1f}"
    return found


def _plan(options):
    """(setting, sections, engines) of each process that is needed. Default settings get a process an
    engine: one engine's idle threads must not be another's load."""
    wanted = (
        (ONE, [name for name in ONE_THREAD if name in options.only], [options.engines]),
        (TWO, [name for name in ("threads",) if name in options.only], [options.engines]),
        (DEFAULT, [name for name in ("busy",) if name in options.only], [(e,) for e in options.engines]),
    )
    return [(setting, names, engines) for setting, names, groups in wanted if names for engines in groups]


def _command(options, setting, sections, engines, rows):
    """This program again, with `--setting`: the same options, less what the others do."""
    command = [sys.executable, str(SCRIPT), "--setting", setting.name, "--rows", str(rows)]
    command += ["--only", ",".join(sections), "--engines", ",".join(engines)]
    command += ["--budget", str(options.budget), "--rounds", str(options.rounds)]
    command += ["--seconds", str(options.seconds)]
    if options.points:
        command += ["--points", *options.points]
    for name in ("core", "wheel"):
        if getattr(options, name) is not None:
            command += [f"--{name}", str(getattr(options, name))]
    return command + ["--quick"] * options.quick

"""Engines in processes of their own: what they answer, refuse, and where they end or never do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

from . import graphs, protocol
from .cases import Case
from .diagnose import verdict
from .engines import Engine

# One thread: neither speed nor the order of sums is asked for here.
QUIET = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def put_cases(folder: Path, cases: list[Case]) -> None:
    for case in cases:
        model = graphs.model_of(case).SerializeToString()
        place = folder / place_of(case)
        protocol.put_case(place, model, graphs.feeds_of(case), graphs.outputs_of(case))


def place_of(case: Case) -> str:
    """A folder's name: no engine learns from it what the case is, nor stumbles over it."""
    return f"{zlib.crc32(case.name.encode()):08x}"


def outcomes(engine: Engine, folder: Path, cases: list[Case]) -> tuple[str, dict[str, tuple[str, str]]]:
    """The engine's version, and by each case's name (right, wrong, refused, aborted or hung; how)."""
    command = engine.command()
    asked = [*command, "--version"]
    lines = subprocess.run(asked, check=True, capture_output=True, text=True, env=environment()).stdout
    found = {}
    with tempfile.TemporaryDirectory() as answers:
        ends = run_all(command, folder, Path(answers), [place_of(case) for case in cases], engine.seconds)
        for case in cases:
            place = place_of(case)
            found[case.name] = ends.get(place) or outcome(case, Path(answers), place)
    return lines.splitlines()[-1].strip(), found


def outcome(case: Case, answers: Path, name: str) -> tuple[str, str]:
    error = answers / f"{name}.error"
    if error.exists():
        return "refused", error.read_text()
    return verdict(case, protocol.get_answer(answers, name))


def run_all(
    command, cases: Path, answers: Path, names: list[str], seconds: int
) -> dict[str, tuple[str, str]]:
    """Run them all; of those at which a process ended or stayed, which of the two. The next process goes on
    behind."""
    ends = {}
    while names:
        asked = [*command, str(cases), str(answers), *names]
        with Path(os.devnull).open("w") as silent:
            process = subprocess.Popen(
                asked, stdout=silent, stderr=silent, env=environment(), cwd=answers, start_new_session=True
            )
            hung = not watched(process, answers, seconds)
        left = [name for name in names if not done(answers, name)]
        if left:
            if not (answers / f"{left[0]}.begun").exists():
                msg = f"{command[0]}: the runner ended before its first case"
                raise RuntimeError(msg)
            ends[left[0]] = ("hung", "") if hung else ("aborted", "")
        names = left[1:]
    return ends


def done(answers: Path, name: str) -> bool:
    return any((answers / f"{name}.{kind}").exists() for kind in ("txt", "error"))


def watched(process, answers: Path, seconds: int) -> bool:
    """Whether a process ended by itself; one that is at a case for longer than allowed is stopped."""
    began, count = time.monotonic(), 0
    try:
        while process.poll() is None:
            time.sleep(0.05)
            files = len(list(answers.iterdir()))
            if files != count:
                count, began = files, time.monotonic()
            if time.monotonic() - began > seconds:
                return False
        return True
    finally:
        # Also where we are interrupted, and whatever it has started.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def environment() -> dict[str, str]:
    return os.environ | QUIET

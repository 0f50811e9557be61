"""The instruction sets of this machine beside each other, and beside an older build, on one thread.

    make bench-isas                      # four minutes, into benches/record
    make bench-isas BASE=/tmp/before     # the widest set of an older checkout, with its extension, as well

Each has a process of its own, for a process chooses once. They take turns over one shape after another and
must give the same bits.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
SHAPES = [  # T, B, I, H
    (1000, 1, 16, 16),
    (200, 1, 64, 64),
    (60, 32, 64, 64),
    (200, 1, 128, 128),
    (50, 32, 128, 128),
    (100, 3, 128, 256),
    (60, 5, 100, 100),
    (100, 8, 40, 100),
    (60, 20, 48, 96),
    (100, 64, 128, 128),
    (100, 1, 256, 256),
    (50, 32, 256, 256),
    (60, 64, 256, 256),
    (50, 1, 512, 512),
    (25, 64, 512, 512),
    (8, 64, 1024, 1024),
]
DTYPES = ("float32", "float64")


def measured(kind: str, dtype: str, shape: list[int]) -> dict:
    """Seconds of a forward pass and of one with its backward, and a digest of their numbers."""
    import gru_rs
    import numpy as np

    steps, batch, inputs, hidden = shape
    layer = getattr(gru_rs, kind)(inputs, hidden, dtype=dtype, seed=0)
    x = np.random.default_rng(0).normal(size=(steps, batch, inputs)).astype(dtype)

    def both():
        y, _, tape = layer.forward(x)
        return tape.backward(y)

    numbers = layer(x)[0].tobytes() + both().flat.tobytes()
    return {
        "forward": best(lambda: layer(x)),
        "training": best(both),
        "digest": hashlib.sha256(numbers).hexdigest(),
    }


def best(call: Callable[[], object]) -> float:
    """The least of some times."""
    times = []
    while len(times) < 7 or (len(times) < 30 and sum(times) < 0.02):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def worker() -> None:
    import gru_rs

    gru_rs.set_num_threads(1)
    for line in sys.stdin:
        print(json.dumps(measured(*json.loads(line))), flush=True)


class Worker:
    """A process with one instruction set of one build."""

    def __init__(self, isa: str, checkout: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker"],
            env=os.environ | {"GRU_RS_ISA": isa, "PYTHONPATH": str(checkout / "python")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *question) -> dict:
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--record", type=Path, help="write the table into this folder")
    parser.add_argument("--base", type=Path, help="an older checkout, with its extension")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker()
        return
    import gru_rs

    about = gru_rs.show_config(mode="dicts")
    vectors = about["isa_available"][1:] or about["isa_available"]
    builds = {isa: (isa, HERE) for isa in vectors}
    if given.base:
        builds = {f"{vectors[-1]} before": (vectors[-1], given.base)} | builds
    workers = {name: Worker(*build) for name, build in builds.items()}
    names = [f"{what}, {name}, µs" for what in ("forward", "training") for name in builds]
    lines = [
        "| layer | dtype | T | B | I | H | " + " | ".join(names) + " |",
        "|---|---|" + "---:|" * (4 + len(names)),
    ]
    print("\n".join(lines))
    for kind, dtype, shape in itertools.product(("GRU", "LSTM"), DTYPES, SHAPES):
        rounds = []
        for _ in range(3):
            rounds.append({name: worker.ask(kind, dtype, shape) for name, worker in workers.items()})
        assert len({got["digest"] for found in rounds for got in found.values()}) == 1
        cells = [kind, dtype, *map(str, shape)]
        for what in ("forward", "training"):
            seconds = [min(found[name][what] for found in rounds) for name in builds]
            cells += [f"{s * 1e6:.1f} ({seconds[0] / s:.2f} ×)" for s in seconds]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    if given.record:
        commit, today = about["commit"][:7], datetime.datetime.now(datetime.timezone.utc).date()
        before = f", before: {described(given.base)}" if given.base else ""
        head = f"# Instruction sets\n\n{today}, commit {commit}, {cpu()}, one thread: `make bench-isas`"
        head += f"{before}\n\n"
        (given.record / f"{today}-isas-{commit}.md").write_text(head + "\n".join(lines) + "\n")


def described(checkout: Path) -> str:
    """The commit of a checkout."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short=7", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def cpu() -> str:
    """What Linux says of the CPU."""
    said = Path("/proc/cpuinfo").read_text() if sys.platform == "linux" else ""
    fields = dict(line.split(":", 1) for line in said.split("\n\n")[0].splitlines() if ":" in line)
    return ", ".join(
        f"{name} {value.strip()}"
        for key, value in fields.items()
        if (name := key.strip()) in ("model name", "cpu family", "model")
    )


if __name__ == "__main__":
    main()

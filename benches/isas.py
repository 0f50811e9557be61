"""The instruction sets of this machine beside each other, on one thread.

    make bench-isas              # two minutes, into benches/record

Each set has a process of its own, for a process chooses once. They take turns over one shape after another
and must give the same bits.
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

SHAPES = [  # T, B, I, H
    (1000, 1, 16, 16),
    (200, 1, 64, 64),
    (60, 32, 64, 64),
    (200, 1, 128, 128),
    (50, 32, 128, 128),
    (100, 8, 40, 100),
    (100, 1, 256, 256),
    (50, 32, 256, 256),
    (50, 1, 512, 512),
    (25, 64, 512, 512),
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
    """A process with one instruction set."""

    def __init__(self, isa: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker"],
            env=os.environ | {"GRU_RS_ISA": isa},
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
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker()
        return
    import gru_rs

    about = gru_rs.show_config(mode="dicts")
    vectors = about["isa_available"][1:] or about["isa_available"]
    workers = {isa: Worker(isa) for isa in vectors}
    names = [f"{what}, {isa}, µs" for what in ("forward", "training") for isa in vectors]
    lines = [
        "| layer | dtype | T | B | I | H | " + " | ".join(names) + " |",
        "|---|---|" + "---:|" * (4 + len(names)),
    ]
    print("\n".join(lines))
    for kind, dtype, shape in itertools.product(("GRU", "LSTM"), DTYPES, SHAPES):
        rounds = [{isa: worker.ask(kind, dtype, shape) for isa, worker in workers.items()} for _ in range(3)]
        assert len({got["digest"] for found in rounds for got in found.values()}) == 1
        cells = [kind, dtype, *map(str, shape)]
        for what in ("forward", "training"):
            seconds = [min(found[isa][what] for found in rounds) for isa in vectors]
            cells += [f"{s * 1e6:.1f} ({seconds[0] / s:.2f} ×)" for s in seconds]
        lines.append("| " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    if given.record:
        commit, today = about["commit"][:7], datetime.datetime.now(datetime.timezone.utc).date()
        head = f"# Instruction sets\n\n{today}, commit {commit}, {cpu()}, one thread: `make bench-isas`\n\n"
        (given.record / f"{today}-isas-{commit}.md").write_text(head + "\n".join(lines) + "\n")


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

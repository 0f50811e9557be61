"""What a stream holds after very many steps."""

import time
from itertools import repeat
from pathlib import Path

import gru_rs
import numpy as np

from .process import ask
from .tables import Table

INPUT, HIDDEN, SEQ = 4, 8, 1000
STEPS = 100_000_000


def resident():
    """Bytes of this process in memory (VmRSS)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


def endured(width, steps):
    """Bytes before and after, seconds. A tenth of the steps are calls of their own, half of them into new
    arrays, the others come in chunks."""
    gru = gru_rs.GRU(INPUT, HIDDEN, seed=0)
    stream = (gru if width == "float32" else gru.quantize(width)).stream()
    x = np.random.default_rng(0).standard_normal((SEQ, INPUT), np.float32)
    ys, step, y = np.empty((SEQ, HIDDEN), np.float32), x[0], np.empty(HIDDEN, np.float32)

    def go(count):
        for _ in repeat(None, count // 20):
            stream(step)
        for _ in repeat(None, count // 20):
            stream(step, out=y)
        for _ in repeat(None, count * 9 // 10 // SEQ):
            stream(x, out=ys)

    go(100 * SEQ)
    before, began = resident(), time.perf_counter()
    go(steps)
    after, seconds = resident(), time.perf_counter() - began
    assert np.isfinite(ys).all()
    return before, after, seconds


def endurance(quick):
    """## Memory after many steps

    VmRSS of a process whose stream of I = 4, H = 8 has gone a hundred thousand steps, and so many more: a
    tenth of them single ones, half of those into new arrays, the rest in chunks of 1000.
    """
    steps = STEPS // 50 if quick else STEPS
    table = Table("weights", "steps", "before, KiB", "after, KiB", "difference, KiB", "seconds")
    for width in ("float32", "int8"):
        before, after, seconds = ask(endured, width, steps)
        sizes = (f"{size // 1024:,}" for size in (before, after, after - before))
        table.row(width, f"{steps:,}", *sizes, f"{seconds:.0f}")
    return str(table)

"""What all examples do around their model: arguments, three seeds of a GRU and an LSTM, one table.

It must not know data.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

OUTPUT = Path(__file__).parent / "output"


def arguments(description: str) -> argparse.Namespace:
    """`--quick`, `--data` and `--seeds`."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="little data and few epochs, as CI runs it")
    parser.add_argument("--data", metavar="DIR", help="a folder with your own copy of the data")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each cell (default: 3)")
    found = parser.parse_args()
    found.seeds = 1 if found.quick else found.seeds
    return found


def compare(
    name: str, seeds: int, run: Callable[[str, int], dict[str, float]]
) -> dict[str, list[dict[str, float]]]:
    """Trains a GRU and an LSTM for each seed and prints each score, mean ± deviation, with the time in
    seconds.

    `run` is given the cell and the seed; its scores come back, cell by cell.
    """
    print(f"\n{name}")
    found: dict[str, list[dict[str, float]]] = {}
    for cell in ("gru", "lstm"):
        runs, seconds = [], []
        for seed in range(seeds):
            begin = time.perf_counter()
            runs.append(run(cell, seed))
            seconds.append(time.perf_counter() - begin)
        found[cell] = runs
        shown = [f"{key} {spread([one[key] for one in runs])}" for key in runs[0]]
        print(f"  {cell.upper():4}  {'  '.join(shown)}  {np.mean(seconds):.1f} s")
    return found


def spread(values: list[float]) -> str:
    """Mean ± deviation, with as many digits as are worth it."""
    digits = 3 if np.max(np.abs(values)) < 10 else 0
    return f"{np.mean(values):.{digits}f} ± {np.std(values):.{digits}f}"


def split(count: int, train: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and to test on: the same on every machine."""
    order = np.random.default_rng(0).permutation(count)
    return order[:train], order[train:]


def pick(rows: Any, *lists: list[Any]) -> list[list[Any]]:
    """Some rows of each list."""
    return [[values[row] for row in rows] for values in lists]

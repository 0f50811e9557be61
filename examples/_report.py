"""What all examples do around their model: arguments, three seeds of a GRU and an LSTM, whole and in 8 bits,
one table.

It must not know data.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gru_rs.estimators  # noqa: F401  now: scikit-learn's import is none of the first training's time
import numpy as np

OUTPUT = Path(__file__).parent / "output"
Model = TypeVar("Model")


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
    name: str, seeds: int, fit: Callable[[str, int], Model], score: Callable[[Model], dict[str, float]]
) -> dict[str, Model]:
    """Trains GRUs and LSTMs and prints each score, what 8-bit weights change in it, and the seconds of
    training alone, mean ± deviation.

    `fit` is given the cell and the seed. The last model of each cell comes back, with its whole weights.
    """
    print(f"\n{name}")
    models: dict[str, Model] = {}
    scores: dict[str, list[dict[str, float]]] = {"gru": [], "lstm": []}
    narrow: dict[str, list[dict[str, float]]] = {"gru": [], "lstm": []}
    seconds: dict[str, list[float]] = {"gru": [], "lstm": []}
    for seed in range(seeds):
        for cell in scores:  # in turns: what else the machine does slows both
            begin = time.perf_counter()
            models[cell] = fit(cell, seed)
            seconds[cell].append(time.perf_counter() - begin)
            scores[cell].append(score(models[cell]))
            narrow[cell].append(score(models[cell].quantize("int8")))  # a copy, which `score` may change
    for cell, found in scores.items():
        shown = []
        for key in found[0]:
            change = [other[key] - one[key] for one, other in zip(found, narrow[cell], strict=True)]
            shown.append(f"{key} {spread([one[key] for one in found])} (int8 {spread(change, sign='+')})")
        shown.append(f"training {np.mean(seconds[cell]):.1f} ± {np.std(seconds[cell]):.1f} s")
        print(f"  {cell.upper():4}  {'  '.join(shown)}")
    return models


def spread(values: list[float], sign: str = "") -> str:
    """Mean ± deviation, with as many digits as are worth it; `sign` "+" shows that it is a difference."""
    digits = 3 if np.max(np.abs(values)) < 10 else 0
    return f"{np.mean(values):{sign}.{digits}f} ± {np.std(values):.{digits}f}"


def split(count: int, train: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and to test on: the same on every machine."""
    order = np.random.default_rng(0).permutation(count)
    return order[:train], order[train:]


def pick(rows: Any, *lists: list[Any]) -> list[list[Any]]:
    """Some rows of each list."""
    return [[values[row] for row in rows] for values in lists]

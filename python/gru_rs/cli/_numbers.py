"""What two engines are given, and how far apart their numbers are: of `--check`."""

from __future__ import annotations

from typing import Any

import numpy as np

STEPS, ROWS = 20, 3


def inputs_of(layer: Any) -> Any:
    return np.random.default_rng(0).normal(size=(ROWS, STEPS, layer.input_size)).astype(layer.dtype)


def largest(ours: Any, theirs: Any) -> float:
    pairs = zip(leaves(ours), leaves(theirs), strict=True)
    return max(float(np.abs(a - b).max(initial=0)) for a, b in pairs)


def leaves(tree: Any) -> list[Any]:
    return [leaf for branch in tree for leaf in leaves(branch)] if isinstance(tree, (tuple, list)) else [tree]

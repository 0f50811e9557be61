"""What targets have in common: one for each sequence, labels among those that are known. It must not know
sequences.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._batches import Array


def expect_rows(name: str, values: Any, lengths: Array) -> None:
    """One value for each sequence."""
    if isinstance(values, str) or not hasattr(values, "__len__") or getattr(values, "ndim", 1) == 0:
        msg = f"{name}: expected a value for each sequence of X, got {values!r} ({type(values).__name__})"
        raise TypeError(msg)
    if len(values) != len(lengths):
        msg = f"{name}: expected {len(lengths)} values, one for each sequence of X, got {len(values)}"
        raise ValueError(msg)


def places_of(what: str, labels: Array, classes: Array) -> Array:
    """The places of labels among sorted classes."""
    places = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    unknown = classes[places] != labels
    if unknown.any():
        msg = f"y: expected {what} {classes.tolist()}, got {labels[unknown][0]!r}"
        raise ValueError(msg)
    found: Array = places.astype(np.uint32)
    return found

"""A series of numbers, and the columns beside it, from what a container holds. It must not know windows or
what is forecast.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._batches import Array
from ._columns import Frame, Ragged
from ._containers import opened
from ._numbers import row_array


def as_series(name: str, given: Any) -> Array:
    """A series of numbers, ``(n,)`` in float64; also a table of one column."""
    found = opened(name, given)
    if isinstance(found, Frame) and len(found.columns) == 1:
        found = found.columns[0]
    array = found.matrix(name) if isinstance(found, Frame) else _as_numbers(name, found, given)
    if array.ndim != 1:
        msg = f"{name}: expected numbers of shape (n,), got shape {array.shape} of dtype {array.dtype}"
        raise ValueError(msg)
    return _finite(name, array)


def as_columns(name: str, given: Any, beside: Array) -> tuple[Array, list[str] | None]:
    """Columns ``(n, k)`` in float64, of which there may be none, and their names if a table has them."""
    if given is None:
        return np.empty((len(beside), 0)), None
    found = opened(name, given)
    if isinstance(found, Frame):
        names = [str(own) for own in found.names]
        array = found.matrix(name)
    else:
        names, array = None, _as_numbers(name, found, given)
        array = array[:, np.newaxis] if array.ndim == 1 else array
    if array.ndim != 2 or len(array) != len(beside):
        shape = f"({len(beside)}, k)"
        msg = f"{name}: expected numbers of shape {shape}, got shape {array.shape} of dtype {array.dtype}"
        raise ValueError(msg)
    return _finite(name, array), names


def _as_numbers(name: str, found: Any, given: Any) -> Array:
    """Numbers of what was opened."""
    if isinstance(found, Ragged):
        msg = f"{name}: expected numbers, got a sequence in each row ({type(given).__name__})"
        raise ValueError(msg)
    array = row_array(name, found, "row")[0] if isinstance(found, list) else found
    if array.dtype.kind not in "fiub":
        msg = f"{name}: expected numbers, got {type(given).__name__} of dtype {array.dtype}"
        raise ValueError(msg)
    return array


def _finite(name: str, array: Array) -> Array:
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        msg = f"{name}: expected finite numbers, got NaN or infinity in row {wrong[0][0]}"
        raise ValueError(msg)
    return array.astype(np.float64)

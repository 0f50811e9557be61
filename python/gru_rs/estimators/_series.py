"""A series of numbers, and the columns beside it, from what a container holds. It must not know windows or
what is forecast.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._batches import Array
from ._columns import Frame, Ragged, is_missing
from ._containers import opened
from ._numbers import row_array


def columns_of(
    name: str, given: Any, rows: int, *, gaps: bool = False, why: str = "", way: str = ""
) -> tuple[Array, list[str] | None]:
    """Columns ``(rows, k)`` in float64, of which there may be none, and their names if a table has them.

    Messages say `why` there are so many rows. With `gaps` a value may be missing, and is NaN; else an error
    names the `way` to take it, if there is one.
    """
    if given is None:
        return np.empty((rows, 0)), None
    array, names = as_table(name, given, gaps=gaps, checked=False)
    array = array[:, np.newaxis] if array.ndim == 1 else array
    if array.ndim != 2 or len(array) != rows:
        got = f"shape {array.shape} of dtype {array.dtype}"
        msg = f"{name}: expected numbers of shape ({rows}, k){why}, got {got}"
        raise ValueError(msg)
    return _finite(name, array, gaps=gaps, way=way), names


def as_table(
    name: str, given: Any, *, gaps: bool = False, way: str = "", checked: bool = True
) -> tuple[Array, list[str] | None]:
    """Numbers of one or more axes in float64, and the names of columns if it is a table of pandas, polars or
    pyarrow. With `gaps` a value may be missing, as in `columns_of`.
    """
    missing = None
    if gaps:
        given, missing = _without_holes(given)
    found = opened(name, given)
    names = [str(own) for own in found.names] if isinstance(found, Frame) else None
    array = found.matrix(name) if isinstance(found, Frame) else _as_numbers(name, found, given)
    if missing is not None and missing.any():
        array = np.where(missing.reshape(array.shape), np.nan, array.astype(np.float64))
    return (_finite(name, array, gaps=gaps, way=way) if checked else array), names


def _without_holes(given: Any) -> tuple[Any, Array | None]:
    """A container with 0 where a value is missing, and where that is; NaN stays as it is."""
    if isinstance(given, np.ma.MaskedArray):
        return given.filled(0), np.ma.getmaskarray(given)
    if isinstance(given, (list, tuple)):
        if any(isinstance(item, (list, tuple)) for item in given):
            rows = [_without_holes(row) if isinstance(row, (list, tuple)) else (row, None) for row in given]
            masks = [mask for _, mask in rows if mask is not None]
            whole = len(masks) == len(rows) and len({len(mask) for mask in masks}) == 1
            return [row for row, _ in rows], np.stack(masks) if whole else None
        holes = [is_missing(item) for item in given]
        return [0.0 if hole else item for item, hole in zip(given, holes, strict=True)], np.array(holes, bool)
    package = type(given).__module__.partition(".")[0]
    if package == "pandas" and hasattr(given, "isna"):
        holes = given.isna()
        return given.mask(holes, 0), np.asarray(holes)
    if package == "polars" and hasattr(given, "null_count"):
        if hasattr(given, "columns"):
            holes = given.select([given.get_column(own).is_null() for own in given.columns])
        else:
            holes = given.is_null()
        return given.fill_null(strategy="zero"), holes.to_numpy()
    if package == "pyarrow" and hasattr(given, "is_null") and hasattr(given, "fill_null"):
        return given.fill_null(0), given.is_null().to_numpy(zero_copy_only=False)
    return given, None


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


def _finite(name: str, array: Array, *, gaps: bool, way: str) -> Array:
    wrong = np.argwhere(np.isinf(array) if gaps else ~np.isfinite(array))
    if len(wrong):
        got = "infinity" if gaps else "NaN or infinity"
        more = "" if gaps or not way else f"; {way}"
        msg = f"{name}: expected finite numbers, got {got} in row {wrong[0][0]}{more}"
        raise ValueError(msg)
    return array.astype(np.float64)

"""Sequences of numbers from what a container holds: one array, or rows end to end. It must not know tokens or
what is learnt of numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
from sklearn.utils import check_array

from ._batches import Array, Numeric, Scale
from ._columns import Frame, Ragged, is_missing, is_number, no_dates, refuse_missing
from ._containers import opened


def numbers_of(name: str, given: Any, lengths: Any, *, features: int | None, least: int) -> Ragged:
    """The numbers of a container that was opened, of `least` rows or more; rows of nothing have `features`.
    What lies behind the lengths of padded rows is not looked at.
    """
    table = None
    if isinstance(given, Frame):
        given, table = given.matrix(name), given.table
    if isinstance(given, list):
        found = _of_list(name, given, features)
    elif isinstance(given, Ragged):
        found = given
    else:
        found = _of_array(name, given, table, least)
    if found.width is None and features is not None and not len(found.flat):
        # Nothing has as many features as it may have.
        found = replace(found, flat=found.flat.reshape(0, features))
    if lengths is not None:
        if found.width is None:
            msg = f"lengths: expected None for {_unpadded(given)}, which has its own, got {lengths!r:.60}"
            raise ValueError(msg)
        found = replace(found, lengths=as_lengths(lengths, len(found.lengths), found.width))
    _expect_some(name, found, least)
    return found


def _unpadded(given: Any) -> str:
    return "a list of sequences" if isinstance(given, list) else "a column of lists"


def _expect_some(name: str, found: Ragged, least: int) -> None:
    if len(found.lengths) < least:
        msg = f"{name}: expected at least one sequence, got none"
        raise ValueError(msg)
    if least and not found.lengths.any():
        msg = f"{name}: expected at least one step, got {len(found.lengths)} sequences without any"
        raise ValueError(msg)


def _of_array(name: str, array: Array, table: Any, least: int) -> Ragged:
    if array.dtype.kind not in "fiub":
        msg = f"{name}: expected numbers, got an array of dtype {array.dtype}"
        raise TypeError(msg)
    # What scikit-learn asks of tables, in its words.
    check_array(
        array,
        dtype=None,
        allow_nd=True,
        ensure_all_finite=False,
        ensure_min_samples=least,
        input_name=name,
    )
    if array.ndim == 2:
        table, array = array if table is None else table, array[:, :, np.newaxis]
    if array.ndim > 3:
        msg = f"{name}: expected (n, T), (n, T, F) or a list of sequences, got shape {array.shape}"
        raise ValueError(msg)
    rows, steps, features = array.shape
    lengths = np.full(rows, steps, np.intp)
    return Ragged(array.reshape(rows * steps, features), np.arange(rows) * steps, lengths, steps, table)


def _of_list(name: str, given: list[Any], features: int | None) -> Ragged:
    plain = all(type(row) is np.ndarray and row.ndim in (1, 2) and row.dtype.kind in "fiub" for row in given)
    arrays, table = (given, None) if plain else _row_arrays(name, given)
    counts = list(map(_features, arrays))
    size = next((count for count in counts if count is not None), features or 1)
    other = next((row for row, count in enumerate(counts) if count not in (None, size)), None)
    if other is not None:
        msg = f"{name}: expected a sequence (T, {size}) in row {other}, got shape {arrays[other].shape}"
        raise ValueError(msg)
    lengths = np.fromiter(map(len, arrays), np.intp, len(arrays))
    flat = [array.reshape(-1, size) for array in arrays] or [np.empty((0, size))]
    return Ragged(
        flat[0] if len(flat) == 1 else np.concatenate(flat),
        np.cumsum(lengths) - lengths,
        lengths,
        None,
        table,
    )


def _features(array: Array) -> int | None:
    """Numbers a step; None of a row of nothing, which may be one of any."""
    if array.ndim == 2:
        return int(array.shape[1])
    return 1 if array.size else None


def _row_arrays(name: str, given: list[Any]) -> tuple[list[Array], Any]:
    """Each row as an array, and the table that the first is, if all are tables of the same names."""
    arrays, names, table = [], None, None
    for row, sequence in enumerate(given):
        array, frame = row_array(f"{name}, row {row}", sequence)
        own = None if frame is None else frame.names
        if row == 0:
            names, table = own, None if frame is None else frame.table
        elif own != names:
            msg = f"{name}: expected columns {names} in row {row} as in row 0, got {own}"
            raise ValueError(msg)
        arrays.append(array)
    return arrays, table


_WITHIN = {"row": "step", "step": "number", "number": "number"}
"""What the items of an item are called."""

_PLAIN = frozenset({int, float, bool, np.bool_, *(np.dtype(letter).type for letter in "bBhHiIlLqQefd")})
"""Types of numbers of which NumPy makes an array as they are."""


def row_array(place: str, given: Any, unit: str = "step") -> tuple[Array, Frame | None]:
    """One sequence of numbers, ``(T,)`` or ``(T, F)``, and the table that it was, if it was one.

    `unit` is what its items are called.
    """
    found = opened(place, given)
    if isinstance(found, Frame):
        return found.matrix(place), found
    if isinstance(found, Ragged):
        steps = set(found.lengths.tolist())
        if len(steps) > 1 or found.flat.shape[1] != 1:
            msg = f"{place}: expected as many numbers in each {unit}, got from {min(steps)} to {max(steps)}"
            raise ValueError(msg)
        if not steps and found.width is None:
            return np.empty(0), None
        size = found.width if found.width is not None else max(steps)
        places = (found.starts[:, np.newaxis] + np.arange(size)).astype(np.intp)
        return found.flat[places, 0], None
    array = _of_nested(place, found, unit) if isinstance(found, list) else found
    if array.dtype.kind not in "fiub":
        msg = f"{place}: expected numbers, got {type(given).__name__} of dtype {array.dtype}"
        raise TypeError(msg)
    if array.ndim not in (1, 2):
        msg = f"{place}: expected a sequence (T, F), got shape {array.shape}"
        raise ValueError(msg)
    return array, None


def _of_nested(place: str, items: list[Any], unit: str) -> Array:
    """Items that are numbers, or lists or arrays of them."""
    if not items:
        return np.empty(0)
    kinds = set(map(type, items))
    if kinds <= {list, tuple}:
        kinds = set().union(*(map(type, item) for item in items))
    if kinds <= _PLAIN:
        try:
            array = np.asarray(items)
        except ValueError:  # lists of several lengths
            array = np.empty(0, object)
        if array.dtype.kind in "fiub":
            return array
    parts = [_item(f"{place}, {unit} {at}", item, _WITHIN[unit]) for at, item in enumerate(items)]
    shapes = [part.shape for part in parts]
    other = next((at for at, shape in enumerate(shapes) if shape != shapes[0]), None)
    if other is not None:
        got = f"{shapes[0]} in {unit} 0 and {shapes[other]} in {unit} {other}"
        msg = f"{place}: expected as many numbers in each {unit}, got shapes {got}"
        raise ValueError(msg)
    return np.stack(parts)


def _item(place: str, value: Any, unit: str) -> Array:
    """A number, or several."""
    if is_missing(value):
        refuse_missing(*place.split(", ", 1))
    if is_number(value):
        try:
            return np.asarray(value, np.float64)
        except OverflowError as error:
            msg = f"{place}: expected a number that float64 can hold, got {value!r:.40}"
            raise ValueError(msg) from error
    if (
        hasattr(value, "isoformat")
        or hasattr(value, "total_seconds")
        or isinstance(value, (np.datetime64, np.timedelta64))
    ):
        no_dates(place, f"{value!r} ({type(value).__name__})")
    if isinstance(value, (str, bytes, np.generic)) or not (
        isinstance(value, Sequence) or hasattr(value, "__array__") or hasattr(value, "__dlpack__")
    ):
        msg = f"{place}: expected numbers, got {value!r:.60} ({type(value).__name__})"
        raise TypeError(msg)
    found = opened(place, value)
    if isinstance(found, np.ndarray) and found.ndim == 0 and found.dtype.kind in "fiub":
        return found  # a tensor of one number
    return row_array(place, found, unit)[0]


def as_lengths(given: Any, rows: int, steps: int) -> Array:
    """How many steps of each padded row there are."""
    lengths = np.asarray(opened("lengths", given))
    if lengths.size == 0:
        lengths = lengths.astype(np.intp)
    if lengths.dtype.kind not in "iu":
        msg = f"lengths: expected integers, got dtype {lengths.dtype}"
        raise TypeError(msg)
    if lengths.shape != (rows,):
        msg = f"lengths: expected shape ({rows},), got {lengths.shape}"
        raise ValueError(msg)
    if rows and not (lengths.min() >= 0 and lengths.max() <= steps):
        msg = f"lengths: expected integers from 0 to {steps}, got {lengths.min()} to {lengths.max()}"
        raise ValueError(msg)
    return lengths.astype(np.intp)


def moments_of(name: str, found: Numeric) -> Scale:
    """Mean and deviation of each feature, which one number must not make infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        scale = found.moments()
    if not scale.deviation.all():
        scale = _of_tiny(found, scale)
    if not (np.isfinite(scale.mean).all() and np.isfinite(scale.deviation).all()):
        peaks = []
        for rows, steps in found.blocks():
            if not np.isfinite(steps).all():
                _refuse_infinite(name, found, rows, steps)
            peaks.append((np.abs(steps.astype(np.float64)).max(initial=0), rows, steps))
        peak, rows, steps = max(peaks, key=lambda one: float(one[0]))
        row, step, value = _first(found, rows, np.abs(steps) == peak)
        msg = f"{name}: expected numbers whose deviation is finite, got {value} in row {row}, step {step}"
        raise ValueError(msg)
    return scale


_TINY, _ENLARGED = 2.0**-500, 2.0**700
"""Numbers whose squares float64 may not hold, and by how much they are enlarged, which is exact."""


def _of_tiny(found: Numeric, scale: Scale) -> Scale:
    """With the moments of features whose squares are lost, by which they would be constants."""
    peaks = np.zeros(found.features)
    for _, steps in found.blocks():
        peaks = np.maximum(peaks, np.abs(steps.astype(np.float64)).max(axis=0, initial=0))
    tiny = (scale.deviation == 0) & (peaks > 0) & (peaks < _TINY)
    if not tiny.any():
        return scale
    with np.errstate(over="ignore", invalid="ignore"):
        larger = replace(found, flat=found.flat * np.where(tiny, _ENLARGED, 1.0)).moments()
    deviation = np.where(tiny, larger.deviation / _ENLARGED, scale.deviation)
    # What is left of numbers that have lost digits is noise.
    deviation[deviation < np.finfo(np.float64).tiny] = 0
    return Scale(np.where(tiny, larger.mean / _ENLARGED, scale.mean), deviation)


def moments_of_rows(name: str, rows: Array) -> tuple[Array, Array]:
    """Mean and deviation of each column of an array ``(n, F)``."""
    scale = moments_of(name, Numeric(rows, np.array([0]), np.array([len(rows)]), dtype=rows.dtype))
    return scale.mean, scale.deviation


def expect_usable(name: str, found: Numeric) -> None:
    """Finite numbers, which the model's dtype can hold in the units of training."""
    if found.flat.dtype.kind != "f":
        return
    most = float(np.finfo(found.dtype).max) / 2
    mean, factor = (0.0, 1.0) if found.scale is None else found.scale.largest
    for rows, steps in found.blocks():
        if not steps.size:
            continue
        # Both are NaN if one of the numbers is.
        low, high = float(steps.min()), float(steps.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            _refuse_infinite(name, found, rows, steps)
        # Only what may be too large is looked at number by number.
        if (max(-low, high) + mean) * factor > most:
            _expect_range(name, found, rows, steps)


def _refuse_infinite(name: str, found: Numeric, rows: Array, steps: Array) -> NoReturn:
    row, step, _ = _first(found, rows, ~np.isfinite(steps))
    msg = f"{name}: expected finite numbers, got NaN or infinity in row {row}, step {step}"
    raise ValueError(msg)


def _expect_range(name: str, found: Numeric, rows: Array, steps: Array) -> None:
    with np.errstate(over="ignore"):
        held = found.scaled(steps)
    if not np.isfinite(held).all():
        row, step, value = _first(found, rows, ~np.isfinite(held))
        unit = "" if found.scale is None else " in the units of training"
        msg = f"{name}: expected numbers that {found.dtype.name} can hold{unit}, got {value}"
        msg += f" in row {row}, step {step}"
        raise ValueError(msg)


def _first(found: Numeric, rows: Array, wrong: Array) -> tuple[int, int, Any]:
    """Row, step and value of the first of a block's numbers that are wrong."""
    ends = np.cumsum(found.lengths[rows])
    place, feature = (int(at) for at in np.argwhere(wrong)[0])
    at = int(np.searchsorted(ends, place, side="right"))
    step = place - int(ends[at] - found.lengths[rows[at]])
    return int(rows[at]), step, found.flat[found.starts[rows[at]] + step, feature]

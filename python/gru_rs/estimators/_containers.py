"""What a container holds, whatever it is: an array of numbers, a list, rows of a column, a table. Nothing is
guessed from its first element, and what cannot be known (a mask, a missing value, a date) is refused by
its place.

It must not know tokens, targets or models.
"""

from __future__ import annotations

import numbers
from array import array
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from gru_rs._arrays import as_ndarray

from . import _arrow
from ._batches import Array
from ._columns import Frame, is_missing, is_number, no_dates, refuse_missing


def opened(name: str, given: Any) -> Any:
    """An ndarray, a list, `Ragged` or a `Frame`: what a container holds.

    ====================================================  ==============================================
    arrays, tensors, columns of numbers                   ndarray of numbers, or ``(n, T)`` of strings
    lists, tuples, columns of objects or strings          list
    Arrow columns of lists of numbers                     Ragged
    tables of pandas, polars, pyarrow, or a Frame         Frame
    ====================================================  ==============================================
    """
    if type(given) is list or isinstance(given, Frame):
        return given
    if isinstance(given, np.ndarray):
        return _array(name, given)
    if isinstance(given, (str, bytes)) or given is None or isinstance(given, numbers.Number):
        return _refuse(name, given)
    if hasattr(given, "iloc") and hasattr(given, "columns"):
        names = list(given.columns)
        columns = [_series(f"{name}, column {own!r}", given.iloc[:, at]) for at, own in enumerate(names)]
        return Frame(names, columns, given)
    if hasattr(given, "isna") and hasattr(given, "dtype"):
        return _series(name, given)
    if _arrow.is_arrow(given):
        return _arrow.column_of(name, given)
    if hasattr(given, "__dlpack__") or hasattr(given, "__array__") or hasattr(given, "__array_interface__"):
        return _array(name, as_ndarray(name, given, "an array or a list"))
    if isinstance(given, (memoryview, array)):
        return _array(name, np.asarray(given))
    if isinstance(given, Sequence):
        return list(given)
    return _refuse(name, given)


def _refuse(name: str, given: Any) -> NoReturn:
    sparse = "a sparse matrix, " if hasattr(given, "toarray") else ""
    msg = f"{name}: expected a list, an array or a column, got {sparse}{given!r:.60} ({type(given).__name__})"
    raise TypeError(msg)


def _array(name: str, found: Array) -> Any:
    if isinstance(found, np.ma.MaskedArray):
        msg = f"{name}: expected an array, got a masked array, whose mask would be lost"
        raise TypeError(msg)
    found = np.asarray(found)
    kind = found.dtype.kind
    if kind in "fiub" and found.dtype.itemsize <= 8:
        return found
    if kind in "mM":
        no_dates(name, str(found.dtype))
    if kind in "OT" or kind in "US":
        return found.tolist() if found.ndim == 1 else _objects(name, found)
    if kind == "c":
        msg = f"{name}: Complex data not supported: expected real numbers, got {found.dtype}"
        raise ValueError(msg)
    way = (
        "; numpy.lib.recfunctions.structured_to_unstructured makes numbers of it" if found.dtype.names else ""
    )
    msg = f"{name}: expected numbers of at most 64 bits, or strings, got dtype {found.dtype}{way}"
    raise TypeError(msg)


def _objects(name: str, found: Array) -> Any:
    """Cells of a table of objects: numbers, of which NaN says that one is missing, as it may be behind a row;
    strings as they are; or sequences in each.
    """
    if found.dtype.kind in "US":
        return found
    cells = found.ravel().tolist()
    if all(is_number(cell) or is_missing(cell) for cell in cells):
        whole = np.asarray([np.nan if is_missing(cell) else cell for cell in cells])
        return (whole if whole.dtype.kind in "iub" else whole.astype(np.float64)).reshape(found.shape)
    if any(isinstance(cell, (np.ndarray, list, tuple)) for cell in cells):
        return found.tolist()
    for place, cell in enumerate(cells):
        if not (is_number(cell) or isinstance(cell, str) or is_missing(cell)):
            row = np.unravel_index(place, found.shape)[0]
            msg = f"{name}: each argument must be a string or a number, got {cell!r:.60} in row {row}"
            raise TypeError(msg)
    return found


def _series(name: str, column: Any) -> Any:
    """A column of pandas."""
    dtype = column.dtype
    if hasattr(dtype, "pyarrow_dtype"):
        return _arrow.column_of(name, getattr(column, "array", column))
    kind = getattr(dtype, "kind", "O")
    if kind in "mM":
        no_dates(name, str(dtype))
    if kind in "fiub" and not hasattr(dtype, "categories"):
        missing = np.asarray(column.isna())
        # Of a float NaN is said to be NaN; a nullable integer has no such number.
        if missing.any() and hasattr(dtype, "numpy_dtype"):
            refuse_missing(name, f"row {missing.argmax()}")
        return _array(name, np.asarray(column, getattr(dtype, "numpy_dtype", None)))
    if kind == "c":
        return _array(name, np.asarray(column))
    return column.astype(object).tolist()

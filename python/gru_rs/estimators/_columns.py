"""What containers hold, in the few forms in which all of them are read, and how what cannot be read is
refused. It must not know containers.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ._batches import Array, Sequences


@dataclass
class Ragged(Sequences):
    """A sequence of numbers in each row."""

    table: Any = None
    """Something with the names of a step's numbers as its columns, if they have names."""


@dataclass(frozen=True)
class Frame:
    """Columns side by side."""

    names: list[Any]
    columns: list[Any]
    """Each a container that was opened."""
    table: Any
    """As it came."""

    @classmethod
    def of_matrix(cls, names: Sequence[str], matrix: Array) -> Frame:
        """Columns of an array ``(n, k)`` by their names, without a library for tables."""
        return cls(list(names), list(matrix.T), Named(list(names)))

    def matrix(self, name: str) -> Array:
        """Columns of numbers, ``(n, k)``."""
        twice = next((own for at, own in enumerate(self.names) if own in self.names[:at]), None)
        if twice is not None:
            msg = f"{name}: expected columns of different names, got {twice!r} twice"
            raise ValueError(msg)
        columns = [_numbers(column) for column in self.columns]
        for own, column in zip(self.names, columns, strict=True):
            if not (isinstance(column, np.ndarray) and column.ndim == 1 and column.dtype.kind in "fiub"):
                what = f"{column.dtype}" if isinstance(column, np.ndarray) else _kind_of_column(column)
                msg = f"{name}: expected columns of numbers, got {what} in column {own!r}"
                raise TypeError(msg)
        if not self.columns:
            msg = f"{name}: expected a table with at least one column, got 0 feature(s) (shape=(0, 0))"
            raise ValueError(msg)
        return np.column_stack(columns)


@dataclass(frozen=True)
class Named:
    """In place of a table, where there is none: names of columns, which scikit-learn does not know."""

    names: list[str]

    @property
    def shape(self) -> tuple[int, int]:
        """Of one row."""
        return 1, len(self.names)


def _numbers(column: Any) -> Any:
    """Objects that are all numbers as an array of them."""
    if isinstance(column, list) and all(map(is_number, column)):
        return np.asarray(column, np.float64)
    return column


def _kind_of_column(column: Any) -> str:
    if isinstance(column, Ragged):
        return "a sequence in each row"
    wrong = [value for value in column if not is_number(value)] if isinstance(column, list) else []
    return f"{wrong[0]!r:.40} ({type(wrong[0]).__name__})" if wrong else type(column).__name__


def no_dates(place: str, what: str) -> NoReturn:
    """Dates and durations have a unit and a beginning, which only their owner knows."""
    msg = (
        f"{place}: expected numbers, got {what}; make numbers of them, such as seconds since the first step:"
        " (x - x[0]) / numpy.timedelta64(1, 's')"
    )
    raise TypeError(msg)


def refuse_missing(name: str, *places: str) -> NoReturn:
    """A value that is not there; the places as "row 3"."""
    msg = f"{name}: expected a value in {', '.join(places)}, got a null"
    raise ValueError(msg)


def is_missing(value: Any) -> bool:
    """Whether a value says that there is none."""
    return (
        value is None
        or type(value).__name__ in ("NAType", "NaTType", "MaskedConstant")
        or (isinstance(value, (float, np.floating, np.datetime64, np.timedelta64)) and bool(value != value))
    )


def is_number(value: Any) -> bool:
    """A real number that is one by itself."""
    return isinstance(value, (numbers.Real, np.bool_)) and not isinstance(value, np.timedelta64)


def is_integral(kind: type) -> bool:
    """Whether values of a type are integers, or booleans; durations are to NumPy, and not here."""
    return issubclass(kind, numbers.Integral) and not issubclass(kind, np.timedelta64)

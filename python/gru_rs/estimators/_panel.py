"""One or several series with what is known beside them, from what `Forecaster` is given. It must not know
windows or networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ._batches import Array
from ._calendars import Calendar
from ._columns import Ragged, is_missing, is_number
from ._containers import opened
from ._dates import Dates, take_dates
from ._series import as_table, columns_of
from ._windows import Series

_WAY = "gaps='fill' or gaps='mask' of a Forecaster takes what is missing"


@dataclass(frozen=True)
class Names:
    """What columns are called; None of arrays."""

    targets: list[str] | None
    known: list[str] | None
    observed: list[str] | None


@dataclass(frozen=True)
class Read:
    """A series as it was read."""

    series: Series
    calendar: Calendar | None
    names: Names
    flat: bool
    """Whether it was one series ``(n,)``."""
    begin: int
    """Rows before the first that has all values."""

    @property
    def actual(self) -> Array:
        """Values, NaN where they were missing."""
        targets = self.series.values.shape[1]
        return np.where(self.series.gaps[:, :targets], np.nan, self.series.values)


@dataclass(frozen=True)
class Panel:
    """Series, by keys if there are several."""

    keys: list[Any] | None
    each: list[Read]
    by_name: bool
    """Whether the keys are names."""

    def items(self) -> list[tuple[Any, Read]]:
        """Each with its name, if it has one."""
        names = self.keys if self.by_name and self.keys is not None else [None] * len(self.each)
        return list(zip(names, self.each, strict=True))

    def labels(self, name: str) -> list[str]:
        """What each is called in messages, behind the name of an argument."""
        if self.keys is None:
            return [name]
        return [f"{name}, series {key!r}" for key in self.keys]

    def until(self, end: int) -> Panel:
        """With the first rows of each alone, without dates."""
        each = [
            Read(read.series.until(end - read.begin), None, read.names, read.flat, read.begin)
            for read in self.each
        ]
        return Panel(self.keys, each, self.by_name)

    def shaped(self, found: list[Any]) -> Any:
        """What belongs to each, in the form in which they came."""
        return in_form(self.keys, found, by_name=self.by_name)


def in_form(keys: list[Any] | None, found: list[Any], *, by_name: bool) -> Any:
    """One, a list, or a dict by names."""
    if keys is None:
        return found[0]
    return dict(zip(keys, found, strict=True)) if by_name else found


def read_panel(
    y: Any, exog: Any, observed: Any, gaps: str, names: tuple[str, str, str] = ("y", "exog", "observed")
) -> Panel:
    """Reads series and, for each, the columns beside it."""
    keys, parts, by_name = split(names[0], y)
    beside = [parts_for(name, keys, given) for name, given in zip(names[1:], (exog, observed), strict=True)]
    each = []
    for place, part in enumerate(parts):
        own = names if keys is None else tuple(f"{name}, series {keys[place]!r}" for name in names)
        each.append(_read(own, part, beside[0][place], beside[1][place], gaps))
    first = each[0]
    for place, read in enumerate(each):
        pairs = [(read.series.known, first.series.known), (read.series.observed, first.series.observed)]
        for name, (beside_it, wanted) in zip(names[1:], pairs, strict=True):
            if beside_it.shape[1] != wanted.shape[1]:
                where = f"in each series, got {beside_it.shape[1]} in series {(keys or [0])[place]!r}"
                msg = f"{name}: expected {wanted.shape[1]} columns {where}"
                raise ValueError(msg)
        count, expected = read.series.values.shape[1], first.series.values.shape[1]
        if count != expected or read.flat != first.flat:
            msg = f"{names[0]}: expected {expected} values a time in each series, got {count}"
            raise ValueError(f"{msg} in series {(keys or [0])[place]!r}")
        if read.names != first.names:
            msg = f"{names[0]}: expected the columns of series {(keys or [0])[0]!r}, {first.names}, in each,"
            raise ValueError(f"{msg} got {read.names} in series {(keys or [0])[place]!r}")
    return Panel(keys, each, by_name)


def one_series(names: tuple[str, str], y: Any, exog: Any = None) -> tuple[Array, Array]:
    """One series ``(n,)`` that has a value at each time, and the columns beside it ``(n, k)``: with dates or
    without, as a Forecaster takes them.
    """
    panel = read_panel(y, exog, None, "fill", (*names, "observed"))
    if panel.keys is not None:
        msg = f"{names[0]}: expected one series, got {len(panel.keys)}"
        raise ValueError(msg)
    (read,) = panel.each
    values, missing = read.series.values, read.series.gaps.any(axis=1)
    if values.shape[1] != 1:
        msg = f"{names[0]}: expected one number at each time, got {values.shape[1]}"
        raise ValueError(msg)
    if read.begin or missing.any():
        row = 0 if read.begin else int(missing.argmax())
        msg = (
            f"{names[0]}: expected a number at each time, as gaps are not filled here, got none in row {row}"
        )
        raise ValueError(msg)
    return values[:, 0], read.series.known


def split(name: str, given: Any) -> tuple[list[Any] | None, list[Any], bool]:
    """The keys and the series of several, or None and the one; whether the keys are names."""
    if not isinstance(given, Mapping):
        parts = _items(name, given)
        return (None, [given], False) if parts is None else (list(range(len(parts))), parts, False)
    keys = [key.item() if isinstance(key, np.generic) else key for key in given]
    for key in keys:
        if type(key) not in (str, int):
            msg = f"{name}: expected texts or integers as the names of series, got {key!r}"
            raise TypeError(msg)
    if not keys:
        msg = f"{name}: expected at least one series, got none"
        raise ValueError(msg)
    return keys, list(given.values()), True


def _items(name: str, given: Any) -> list[Any] | None:
    """The series of a list or of a column of sequences; None of one series."""
    found = given
    if not isinstance(given, (list, tuple)):
        dated = hasattr(given, "columns") or (isinstance(given, np.ndarray) and given.dtype != object)
        if dated or take_dates(name, given)[1] is not None or isinstance(given, np.ma.MaskedArray):
            return None
        try:
            found = opened(name, given)
        except (TypeError, ValueError):  # what is wrong is told where its numbers are read
            return None
    if isinstance(found, Ragged):
        return found.each() if found.flat.shape[1] > 1 else [steps[:, 0] for steps in found.each()]
    if not isinstance(found, (list, tuple)) or not found:
        return None
    several = [_is_sequence(item) for item in found]
    return list(found) if all(several) else None


def _is_sequence(item: Any) -> bool:
    if is_missing(item) or is_number(item) or isinstance(item, (str, bytes)):
        return False
    return bool(getattr(item, "shape", (1,))) and (hasattr(item, "__len__") or isinstance(item, Sequence))


def parts_for(name: str, keys: list[Any] | None, given: Any) -> list[Any]:
    """What belongs to each series."""
    if keys is None:
        return [given]
    if given is None:
        return [None] * len(keys)
    if isinstance(given, Mapping):
        if set(given) != set(keys):
            msg = f"{name}: expected the series {keys}, as y has, got {list(given)}"
            raise ValueError(msg)
        return [given[key] for key in keys]
    if not isinstance(given, (list, tuple)) or len(given) != len(keys):
        count = f"{len(given)}" if isinstance(given, (list, tuple)) else type(given).__name__
        msg = f"{name}: expected a list of {len(keys)} or a dict, one for each series, got {count}"
        raise ValueError(msg)
    return list(given)


def _read(names: tuple[str, ...], y: Any, exog: Any, observed: Any, gaps: str) -> Read:
    taken = gaps != "refuse"
    rest, dates = take_dates(names[0], y)
    values, targets = as_table(names[0], rest, gaps=taken, way=_WAY)
    one_column = targets is not None and values.shape[1] == 1
    flat = values.ndim == 1 or one_column
    if values.ndim not in (1, 2) or 0 in values.shape:
        msg = f"{names[0]}: expected numbers of shape (n,) or (n, K), got shape {values.shape}"
        raise ValueError(msg)
    if targets is None and values.ndim == 1 and dates is not None:
        own = getattr(y, "name", None)
        targets = None if own is None else [str(own)]
    values = values.reshape(len(values), -1)
    calendar, places, grid, rows = None, np.arange(len(values)), None, len(values)
    if dates is not None:
        calendar, places, grid = dates.regular(names[0], gaps=taken)
        rows = len(grid.times)
    count = values.shape[1]
    known, known_names = _beside(names[1], exog, np.arange(rows), grid, gaps=False)
    seen, seen_names = _beside(names[2], observed, places, grid, gaps=taken, way=_WAY)
    whole = np.full((rows, count + seen.shape[1]), np.nan)
    whole[places, :count] = values
    whole[:, count:] = seen
    missing = np.isnan(whole)
    names_of = Names(targets, known_names, seen_names)
    if not missing.any():
        series = Series(whole[:, :count], known, whole[:, count:], missing)
        return Read(series, calendar, names_of, flat, 0)
    last = np.maximum.accumulate(np.where(missing, -1, np.arange(rows)[:, np.newaxis]), axis=0)
    begin = int((last < 0).any(axis=1).sum())
    if begin == rows:
        msg = f"{names[0]}: expected a value in each column, got none in one of them"
        raise ValueError(msg)
    filled = np.take_along_axis(whole, np.maximum(last, 0), axis=0)[begin:]
    series = Series(filled[:, :count], known[begin:], filled[:, count:], missing[begin:])
    return Read(series, calendar, names_of, flat, begin)


def _beside(
    name: str, given: Any, places: Array, grid: Dates | None, *, gaps: bool, way: str = ""
) -> tuple[Array, list[str] | None]:
    """Columns beside a series, NaN where there are none: in the places of its rows, or, if both have dates,
    in those of their own.
    """
    rows = len(places) if grid is None else len(grid.times)
    if given is None:
        return np.empty((rows, 0)), None
    rest, dates = take_dates(name, given)
    if dates is not None and grid is not None:
        places = dates.places(name, grid, gaps=gaps)
    why = "" if grid is None or gaps else ", a row for each date of y and each that is missing between them"
    found, names = columns_of(name, rest, len(places), gaps=gaps, why=why, way=way)
    whole = np.full((rows, found.shape[1]), np.nan)
    whole[places] = found
    return whole, names


def future_of(name: str, given: Any, horizon: int, calendar: Calendar | None) -> tuple[Array, Any]:
    """Columns of the times to come, whose dates, if there are any, are those."""
    rest, dates = (given, None) if given is None else take_dates(name, given)
    found, names = columns_of(name, rest, horizon)
    if dates is not None and calendar is not None:
        dates.expect_next(name, calendar)
    return found, names


def dated(found: Array, calendar: Calendar, names: list[str] | None, marks: list[Any], *, flat: bool) -> Any:
    """A forecast ``(horizon, K, Q)`` with the dates that come next, as a series or a table: a column for each
    target and mark.
    """
    horizon, targets, _ = found.shape
    called: list[Any] = list(range(targets)) if names is None else list(names)
    single = flat and marks == [None]
    columns: dict[Any, Array] = {}
    for target, own in enumerate(called):
        for place, mark in enumerate(marks):
            key = own if mark is None else mark if flat else (own, mark)
            key = None if single and names is None else key
            columns[key] = found[:, target, place]
    return calendar.table(calendar.next(horizon), columns, single=single)


def expect_alike(each: list[Read], first: Read) -> None:
    """Series with the columns of another."""
    names = (first.names.targets, first.names.known, first.names.observed)
    for read in each:
        pairs = (
            ("y", read.series.values, first.series.values, read.names.targets, names[0]),
            ("exog", read.series.known, first.series.known, read.names.known, names[1]),
            ("observed", read.series.observed, first.series.observed, read.names.observed, names[2]),
        )
        for name, own, wanted, called, known in pairs:
            expect_column_names(name, own.shape[1], wanted.shape[1], called, known)


def expect_long(names: list[str], series: list[Series], least: int) -> None:
    """Each has at least so many values."""
    for name, one in zip(names, series, strict=True):
        if len(one) < least:
            msg = f"{name}: expected at least {least} values, got {len(one)}"
            raise ValueError(msg)


def expect_column_names(
    name: str, count: int, wanted: int, names: list[str] | None, known: list[str] | None
) -> None:
    """As many columns as in training, and by the same names if both have names."""
    if count != wanted:
        msg = f"{name}: expected {wanted} columns as in training, got {count}"
        raise ValueError(msg)
    if known is not None and names is not None and names != known:
        msg = f"{name}: expected the columns {known} in this order, as in training, got {names}"
        raise ValueError(msg)

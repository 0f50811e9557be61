"""Dates of a series: taken off what a container holds, and whether they are regular. It must not know
forecasts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from ._batches import Array
from ._calendars import LIBRARIES, Calendar, as_index, library_of, shown_date


@dataclass(frozen=True)
class Dates:
    """Dates as they came: an index of pandas, or a column of polars."""

    times: Any
    library: str
    name: str | None
    column: bool

    def regular(self, name: str, *, gaps: bool) -> tuple[Calendar, Array, Dates]:
        """The calendar they keep to, the place of each date on it, and all dates of it up to the last.

        With `gaps` some may be missing; else irregular dates are refused with the row where they are.
        """
        library = library_of(self.library)
        _expect_rising(name, self, library.numbers(self.times))
        step, grid = self._grid(name, library, gaps=gaps)
        zone, unit = library.kind(self.times)
        calendar = Calendar(
            self.library, library.written(grid, step), step, zone, unit, self.name, self.column
        )
        _expect_going_on(name, calendar, grid)
        places = np.searchsorted(library.numbers(grid), library.numbers(self.times))
        return calendar, places, replace(self, times=grid)

    def places(self, name: str, grid: Dates, *, gaps: bool) -> Array:
        """The place of each date among all of y, whatever library either comes from. With `gaps` some between
        the first and the last may be missing; what else differs is refused.
        """
        _expect_rising(name, self, library_of(self.library).numbers(self.times))
        own, wanted = _side_by_side(name, self, grid)
        places = np.minimum(np.searchsorted(wanted, own), len(wanted) - 1)
        span = f"from {shown_date(grid.times, 0)} to {shown_date(grid.times, -1)}"
        wrong = np.flatnonzero(wanted[places] != own)
        if len(wrong):
            date = shown_date(self.times, int(wrong[0]))
            msg = f"{name}: expected the dates of y, {span}, got {date} in row {wrong[0]}"
            raise ValueError(msg)
        missing = np.setdiff1d([0, len(wanted) - 1] if gaps else np.arange(len(wanted)), places)
        if len(missing):
            date = shown_date(grid.times, int(missing[0]))
            msg = f"{name}: expected a row of each date of y, {span}, got none of {date}"
            raise ValueError(msg if gaps else f"{msg}; only y and what is observed may have gaps")
        return places

    def expect_next(self, name: str, calendar: Calendar) -> None:
        """They are those that come next."""
        expected = replace(self, times=calendar.next(len(self.times)), library=calendar.library)
        wrong = np.flatnonzero(np.not_equal(*_side_by_side(name, self, expected)))
        if len(wrong):
            row = int(wrong[0])
            date = f"{shown_date(expected.times, row)} in row {row}, the dates that come after y"
            msg = f"{name}: expected {date}, got {shown_date(self.times, row)}"
            raise ValueError(msg)

    def _grid(self, name: str, library: Any, *, gaps: bool) -> tuple[str, Any]:
        """The step, and all dates from the first to the last by it."""
        numbers = library.numbers(self.times)
        if len(numbers) < 3 and library.own_step(self.times) is None:
            msg = f"{name}: expected at least 3 dates, to see how far apart they are, got {len(numbers)}"
            raise ValueError(msg)
        grids = []
        for step in library.candidates(self.times):
            grid = library.grid(self.times, step)
            found = library.numbers(grid)
            if len(found) == len(numbers) and (found == numbers).all():
                return step, grid
            if len(found) and np.isin(numbers, found).all():
                grids.append((len(found), step, grid))
        if not grids:
            _refuse_irregular(name, self, numbers)
        count, step, grid = min(grids, key=lambda one: one[0])
        if not gaps:
            found = library.numbers(grid)
            row = int(np.argmin(found[: len(numbers)] == numbers))
            msg = (
                f"{name}: expected {shown_date(grid, row)} in row {row}, as every {step!r}, got"
                f" {shown_date(self.times, row)}: {count - len(numbers)} rows are missing; gaps='fill' or"
                " gaps='mask' takes them as gaps"
            )
            raise ValueError(msg)
        return step, grid


def take_dates(name: str, given: Any) -> tuple[Any, Dates | None]:
    """What a container holds without its dates, and these: its index of dates or periods, or its one column
    of dates.
    """
    package = type(given).__module__.partition(".")[0]
    if package == "pandas" and hasattr(given, "index"):
        return _take_pandas(name, given)
    if package == "polars" and hasattr(given, "columns"):
        dated = [own for own, kind in given.schema.items() if str(kind).startswith("Date")]
        times = _one_column(name, dated, given)
        if times is not None:
            return given.drop(times), Dates(given.get_column(times), "polars", times, True)
    return given, None


def _take_pandas(name: str, given: Any) -> tuple[Any, Dates | None]:
    index = given.index
    kind = getattr(index.dtype, "kind", "O")
    own = None if index.name is None else str(index.name)
    if kind == "M":
        return given, Dates(as_index(index), "pandas", own, False)
    if hasattr(index, "asfreq") and hasattr(index, "to_timestamp"):
        return given, Dates(index, "pandas.Period", own, False)
    if kind == "O" and len(index) and hasattr(index[0], "isoformat"):
        expected = "an index of dates such as pandas.to_datetime makes"
        msg = f"{name}: expected {expected}, got objects: {index[0]!r}"
        raise TypeError(msg)
    if hasattr(given, "columns"):
        kinds = [getattr(kind, "kind", "O") for kind in given.dtypes]
        dated = [own for own, kind in zip(given.columns, kinds, strict=True) if kind == "M"]
        times = _one_column(name, dated, given)
        if times is not None:
            dates = Dates(as_index(given[times]), "pandas", str(times), True)
            return given.drop(columns=times), dates
    return given, None


def _one_column(name: str, dated: list[Any], given: Any) -> Any:
    """The column of dates, of which there may be none."""
    if len(dated) > 1:
        msg = f"{name}: expected one column of dates at most, got {len(dated)}: {dated}"
        raise ValueError(msg)
    if dated and len(given.columns) == 1:
        msg = f"{name}: expected a column of numbers beside the dates {dated[0]!r}, got none"
        raise ValueError(msg)
    return dated[0] if dated else None


def _side_by_side(name: str, own: Dates, other: Dates) -> tuple[Array, Array]:
    """Numbers of dates of any two libraries that are equal where the dates are; a period is its beginning."""
    first, second = library_of(own.library), library_of(other.library)
    if own.library == other.library and own.times.dtype == other.times.dtype:
        return first.numbers(own.times), second.numbers(other.times)
    zone, wanted = first.kind(own.times)[0], second.kind(other.times)[0]
    if (zone is None) != (wanted is None):
        expected = "no zone" if wanted is None else f"a zone such as {wanted}"
        msg = f"{name}: expected dates with {expected}, as y has, got {zone or 'dates without one'}"
        raise ValueError(msg)
    return first.instants(own.times), second.instants(other.times)


def _expect_rising(name: str, dates: Dates, numbers: Array) -> None:
    """Dates, each later than the one before."""
    missing = np.flatnonzero(numbers == np.iinfo(np.int64).min)
    if len(missing):
        msg = f"{name}: expected a date in row {missing[0]}, got none"
        raise ValueError(msg)
    wrong = np.flatnonzero(np.diff(numbers) <= 0)
    if len(wrong):
        row = int(wrong[0]) + 1
        before, own = shown_date(dates.times, row - 1), shown_date(dates.times, row)
        msg = f"{name}: expected dates that rise, got {own} in row {row} after {before}"
        raise ValueError(msg)


def _expect_going_on(name: str, calendar: Calendar, grid: Any) -> None:
    """What is kept as texts makes dates again, in the same zone."""
    try:
        after = calendar.next(1)
        same = after.dtype == grid.dtype
    except Exception as error:  # of either library
        msg = f"{name}: expected dates whose zone has a name, got {calendar.zone!r} ({calendar.step!r})"
        raise ValueError(msg) from error
    if not same:
        msg = f"{name}: expected dates that go on as {grid.dtype}, got {after.dtype}"
        raise ValueError(msg)


def _refuse_irregular(name: str, dates: Dates, numbers: Array) -> NoReturn:
    """Says where the first distance is that most are not."""
    distances = np.diff(numbers)
    usual = Counter(distances.tolist()).most_common(1)[0][0]
    row = int(np.argmax(distances != usual)) + 1
    before, own = shown_date(dates.times, row - 1), shown_date(dates.times, row)
    msg = (
        f"{name}: expected dates at equal distances (a fixed time, days, business days, months, their ends,"
        f" quarters or years), got {own} in row {row} after {before}"
    )
    raise ValueError(msg)


# The libraries ----------------------------------------------------------------------------------------------


def expect_calendar(name: str, found: Any, horizon: int) -> Calendar:
    """What a file says of dates; a ValueError unless they go on."""
    fields = {"library", "last", "step", "zone", "unit", "name", "column"}
    whole = isinstance(found, dict) and set(found) == fields and type(found["column"]) is bool
    whole = whole and all(type(found[one]) is str for one in ("library", "last", "step", "unit"))
    whole = whole and all(found[one] is None or type(found[one]) is str for one in ("zone", "name"))
    if not whole or found["library"] not in LIBRARIES or (found["column"] and found["name"] is None):
        msg = f"learnt.{name}: expected a calendar of {', '.join(LIBRARIES)}, got {found!r:.200}"
        raise ValueError(msg)
    calendar = Calendar(**found)
    try:
        times = calendar.next(max(horizon, 2))
        _expect_rising(
            name, Dates(times, calendar.library, None, False), library_of(calendar.library).numbers(times)
        )
        calendar.table(times, {"x": np.zeros(len(times))}, single=False)
    except ImportError:  # told when it is asked to go on
        return calendar
    except Exception as error:  # of either library, whatever a text has made of it
        msg = f"learnt.{name}: expected dates that go on, got {found!r:.200}"
        raise ValueError(msg) from error
    return calendar

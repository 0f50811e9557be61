"""Dates of a series: taken off what a container holds, whether they are regular, and those that come next.
The only file that knows pandas and polars by name; it asks for neither unless the data came from it. It must
not know forecasts.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from ._batches import Array

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAY = 86_400_000_000_000
_UNITS = {"date": _DAY, "ms": 10**6, "us": 10**3, "ns": 1}
"""Nanoseconds of what polars counts dates in."""
LIBRARIES = ("pandas", "pandas.Period", "polars")


@dataclass(frozen=True)
class Calendar:
    """Regular dates, by their last one and the step from one to the next: all that a file keeps of them."""

    library: str
    last: str
    """As ISO 8601 writes it, or as pandas writes a period."""
    step: str
    """A frequency as pandas writes it; of polars a duration, ``"1b"`` for business days, ``"1mo 15"`` for a
    day of the month, 31 of its end."""
    zone: str | None
    unit: str
    """What time is counted in; ``"date"`` of dates without a time."""
    name: str | None
    """Of the column of dates, or of the index."""
    column: bool
    """Whether they were a column."""

    def next(self, count: int) -> Any:
        """The next dates, in the container of the library that they came from."""
        return _of(self.library).ahead(self, count)

    def moved(self, times: Any) -> Calendar:
        """The same, up to the last of other dates."""
        return replace(self, last=_of(self.library).written(times))

    def table(self, times: Any, columns: dict[Any, Array], *, single: bool) -> Any:
        """A table of columns beside dates; with `single` of pandas a column by itself."""
        return _of(self.library).table(self, times, columns, single)


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
        library = _of(self.library)
        _expect_rising(name, self, library.numbers(self.times))
        step, grid = self._grid(name, library, gaps=gaps)
        zone, unit = library.kind(self.times)
        calendar = Calendar(self.library, library.written(grid), step, zone, unit, self.name, self.column)
        _expect_going_on(name, calendar, grid)
        places = np.searchsorted(library.numbers(grid), library.numbers(self.times))
        return calendar, places, replace(self, times=grid)

    def places(self, name: str, grid: Dates, *, gaps: bool) -> Array:
        """The place of each date among all of y, whatever library either comes from. With `gaps` some between
        the first and the last may be missing; what else differs is refused.
        """
        _expect_rising(name, self, _of(self.library).numbers(self.times))
        own, wanted = _side_by_side(name, self, grid)
        places = np.minimum(np.searchsorted(wanted, own), len(wanted) - 1)
        span = f"from {_shown(grid.times, 0)} to {_shown(grid.times, -1)}"
        wrong = np.flatnonzero(wanted[places] != own)
        if len(wrong):
            date = _shown(self.times, int(wrong[0]))
            msg = f"{name}: expected the dates of y, {span}, got {date} in row {wrong[0]}"
            raise ValueError(msg)
        missing = np.setdiff1d([0, len(wanted) - 1] if gaps else np.arange(len(wanted)), places)
        if len(missing):
            date = _shown(grid.times, int(missing[0]))
            msg = f"{name}: expected a row of each date of y, {span}, got none of {date}"
            raise ValueError(msg if gaps else f"{msg}; only y and what is observed may have gaps")
        return places

    def expect_next(self, name: str, calendar: Calendar) -> None:
        """They are those that come next."""
        expected = replace(self, times=calendar.next(len(self.times)), library=calendar.library)
        wrong = np.flatnonzero(np.not_equal(*_side_by_side(name, self, expected)))
        if len(wrong):
            row = int(wrong[0])
            date = f"{_shown(expected.times, row)} in row {row}, the dates that come after y"
            msg = f"{name}: expected {date}, got {_shown(self.times, row)}"
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
                f"{name}: expected {_shown(grid, row)} in row {row}, as every {step!r}, got"
                f" {_shown(self.times, row)}: {count - len(numbers)} rows are missing; gaps='fill' or"
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
        import pandas as pd

        return given, Dates(pd.DatetimeIndex(index), "pandas", own, False)
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
            import pandas as pd

            dates = Dates(pd.DatetimeIndex(given[times]), "pandas", str(times), True)
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
    first, second = _of(own.library), _of(other.library)
    if own.library == other.library and own.times.dtype == other.times.dtype:
        return first.numbers(own.times), second.numbers(other.times)
    zone, wanted = first.kind(own.times)[0], second.kind(other.times)[0]
    if (zone is None) != (wanted is None):
        expected = "no zone" if wanted is None else f"a zone such as {wanted}"
        msg = f"{name}: expected dates with {expected}, as y has, got {zone or 'dates without one'}"
        raise ValueError(msg)
    return first.instants(own.times), second.instants(other.times)


def _shown(times: Any, row: int) -> str:
    value = times[row]
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _expect_rising(name: str, dates: Dates, numbers: Array) -> None:
    """Dates, each later than the one before."""
    missing = np.flatnonzero(numbers == np.iinfo(np.int64).min)
    if len(missing):
        msg = f"{name}: expected a date in row {missing[0]}, got none"
        raise ValueError(msg)
    wrong = np.flatnonzero(np.diff(numbers) <= 0)
    if len(wrong):
        row = int(wrong[0]) + 1
        before, own = _shown(dates.times, row - 1), _shown(dates.times, row)
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
    before, own = _shown(dates.times, row - 1), _shown(dates.times, row)
    msg = (
        f"{name}: expected dates at equal distances (a fixed time, days, business days, months, their ends,"
        f" quarters or years), got {own} in row {row} after {before}"
    )
    raise ValueError(msg)


# The libraries ----------------------------------------------------------------------------------------------


class _Pandas:
    """An index of dates."""

    def numbers(self, times: Any) -> Array:
        found: Array = np.asarray(times.as_unit("ns").asi8)
        return found

    def instants(self, times: Any) -> Array:
        """Nanoseconds since 1970."""
        return self.numbers(times)

    def kind(self, times: Any) -> tuple[str | None, str]:
        return (None if times.tz is None else str(times.tz)), times.unit

    def written(self, times: Any) -> str:
        return str(times[-1].isoformat())

    def own_step(self, times: Any) -> str | None:
        from pandas.tseries.frequencies import to_offset

        if times.freq is None:
            return None
        step = str(times.freq.freqstr)
        try:
            known = to_offset(step) == times.freq
        except ValueError:
            known = False
        if not known:
            msg = f"y: expected a frequency that pandas can write as text, got {times.freq!r}"
            raise ValueError(msg)
        return step

    def candidates(self, times: Any) -> list[str]:
        """Steps that these dates may have, those with a meaning in the calendar first."""
        own = self.own_step(times)
        if own is not None:
            return [own]
        local = times.tz_localize(None)
        months = np.asarray(local.year * 12 + local.month)
        apart = _usual(months)
        found = []
        if apart > 0:
            month = _MONTHS[int(local.month[0]) - 1]
            names = [f"{apart}{kind}" for kind in ("MS", "ME", "BMS", "BME")]
            if apart % 12 == 0:
                kinds = ("YS", "YE", "BYS", "BYE")
                names = [f"{apart // 12}{kind}-{month}" for kind in kinds] + names
            elif apart % 3 == 0:
                kinds = ("QS", "QE", "BQS", "BQE")
                names = [f"{apart // 3}{kind}-{month}" for kind in kinds] + names
            found += names
        distance = _usual(np.asarray(local.as_unit("ns").asi8))
        if distance > 0 and distance % _DAY == 0:
            days = distance // _DAY
            found += [f"{days // 7}W-{local[0].strftime('%a').upper()}"] if days % 7 == 0 else []
            found += [f"{days}D"]
        found += ["B"]
        exact = _usual(self.numbers(times))
        return found + ([f"{exact}ns"] if exact > 0 else [])

    def grid(self, times: Any, step: str) -> Any:
        import pandas as pd
        from pandas.tseries.frequencies import to_offset

        offset = to_offset(step)
        if step.endswith("ns"):  # as pandas writes it: h, min, s …
            offset = to_offset(pd.Timedelta(int(step[:-2]), "ns"))
        return self._range(times[0], times[-1], None, offset).as_unit(times.unit)

    def _range(self, first: Any, last: Any, count: int | None, offset: Any) -> Any:
        """Dates by an offset; one that a change of clocks leaves out is an hour later."""
        import pandas as pd

        try:
            return pd.date_range(first, last, periods=count, freq=offset)
        except ValueError:
            if first.tz is None:
                raise
        bare = None if last is None else last.tz_localize(None)
        found = pd.date_range(first.tz_localize(None), bare, periods=count, freq=offset)
        first_of_two = np.zeros(len(found), bool)
        return found.tz_localize(first.tz, ambiguous=first_of_two, nonexistent="shift_forward")

    def ahead(self, calendar: Calendar, count: int) -> Any:
        import pandas as pd
        from pandas.tseries.frequencies import to_offset

        last = pd.Timestamp(calendar.last)
        if calendar.zone is not None:
            last = last.tz_convert(calendar.zone)
        offset: Any = to_offset(calendar.step)
        if calendar.step.endswith("ns"):
            offset = to_offset(pd.Timedelta(int(calendar.step[:-2]), "ns"))
        found = self._range(last, None, count + 1, offset)[1:].as_unit(calendar.unit)
        return found.rename(calendar.name)

    def table(self, calendar: Calendar, times: Any, columns: dict[Any, Array], single: bool) -> Any:
        import pandas as pd

        if calendar.column:
            return pd.DataFrame({calendar.name: times} | columns)
        if single:
            ((name, values),) = columns.items()
            return pd.Series(values, times, name=name)
        made = pd.DataFrame(columns, index=times)
        if all(isinstance(name, tuple) for name in columns):
            made.columns = pd.MultiIndex.from_tuples(list(columns))
        return made


class _Periods(_Pandas):
    """An index of periods, which says its frequency itself."""

    def numbers(self, times: Any) -> Array:
        found: Array = np.asarray(times.asi8)
        return found

    def instants(self, times: Any) -> Array:
        return super().numbers(times.to_timestamp())

    def kind(self, times: Any) -> tuple[str | None, str]:  # noqa: ARG002
        return None, "period"

    def written(self, times: Any) -> str:
        return str(times[-1])

    def own_step(self, times: Any) -> str | None:
        return str(times.freqstr)

    def grid(self, times: Any, step: str) -> Any:
        import pandas as pd

        return pd.period_range(times[0], times[-1], freq=step)

    def ahead(self, calendar: Calendar, count: int) -> Any:
        import pandas as pd

        last = pd.Period(calendar.last, freq=calendar.step)
        return pd.period_range(last, periods=count + 1, freq=calendar.step)[1:].rename(calendar.name)


class _Polars:
    """A column of dates."""

    def numbers(self, times: Any) -> Array:
        whole = times.to_physical()
        if whole.null_count():
            row = int(whole.is_null().arg_max())
            return np.where(np.arange(len(whole)) == row, np.iinfo(np.int64).min, np.arange(len(whole)))
        found: Array = whole.to_numpy().astype(np.int64)
        return found

    def instants(self, times: Any) -> Array:
        numbers, unit = self.numbers(times), _UNITS[self.kind(times)[1]]
        if np.abs(numbers.astype(np.float64)).max(initial=0) * unit >= 2.0**63:
            msg = f"expected dates that nanoseconds can count, 1678 to 2262, got {_shown(times, 0)}"
            raise ValueError(msg)
        return numbers * unit

    def kind(self, times: Any) -> tuple[str | None, str]:
        return getattr(times.dtype, "time_zone", None), getattr(times.dtype, "time_unit", None) or "date"

    def written(self, times: Any) -> str:
        return str(times[-1].isoformat())

    def own_step(self, times: Any) -> str | None:  # noqa: ARG002
        return None

    def candidates(self, times: Any) -> list[str]:
        zone, unit = self.kind(times)
        local = times if zone is None else times.dt.replace_time_zone(None)
        months = (local.dt.year().cast(int) * 12 + local.dt.month().cast(int)).to_numpy()
        apart = _usual(months)
        # The day of the month that the last one may be too short for; 31 of ends of months.
        days = local.dt.day()
        ends = bool((days == local.dt.month_end().dt.day()).all())
        found = [f"{apart}mo {31 if ends else days.max()}"] if apart > 0 else []
        day = _DAY // _UNITS[unit]
        distance = _usual(local.to_physical().to_numpy().astype(np.int64))
        found += [f"{distance // day}d"] if distance > 0 and distance % day == 0 else []
        found += ["1b"]
        if unit == "date":
            return found
        exact = _usual(self.numbers(times))
        scale, word = (1000, "us") if unit == "ms" else (1, unit)
        return found + ([f"{exact * scale}{word}"] if exact > 0 else [])

    def grid(self, times: Any, step: str) -> Any:
        numbers, guess = self.numbers(times), len(times)
        if self._moved(times[:1], step, 1)[0] is None:
            return times[:0]
        while True:
            found = self._moved(times[:1], step, guess - 1)
            whole = self.numbers(found)
            if whole[-1] >= numbers[-1] or guess > _MOST * len(times):
                return found.filter(found <= times[-1])
            guess *= 2

    def _moved(self, first: Any, step: str, most: int) -> Any:
        """The first date, and those after it by 1 to `most` steps."""
        import polars as pl

        word, _, anchor = step.partition(" ")
        count = int(word.rstrip("abcdefghijklmnopqrstuvwxyz"))
        unit = word[len(str(count)) :]
        frame = pl.select(pl.int_range(most + 1).alias("n") * count).with_columns(
            pl.repeat(first[0], most + 1, dtype=first.dtype).alias("t")
        )
        when: Any = pl.col("t")
        if unit == "b":
            if int(first.dt.weekday()[0]) > 5:
                return first.clear().extend_constant(None, 2)
            moved = when.dt.add_business_days(pl.col("n"))
        elif anchor:
            begin = when.dt.month_start().dt.offset_by(pl.format("{}mo", pl.col("n")))
            day = pl.min_horizontal(begin.dt.month_end().dt.day().cast(pl.Int64), pl.lit(int(anchor)))
            moved = begin.dt.offset_by(pl.format("{}d", day - 1))
        else:
            moved = when.dt.offset_by(pl.format("{}" + unit, pl.col("n")))
        return frame.select(moved).to_series()

    def ahead(self, calendar: Calendar, count: int) -> Any:
        import datetime

        import polars as pl

        if calendar.unit == "date":
            last = pl.Series([datetime.date.fromisoformat(calendar.last)])
        else:
            kind = pl.Datetime(calendar.unit, calendar.zone)  # type: ignore[arg-type]
            last = pl.Series([datetime.datetime.fromisoformat(calendar.last)]).cast(kind)
        return self._moved(last, calendar.step, count)[1:].alias(calendar.name or "")

    def table(self, calendar: Calendar, times: Any, columns: dict[Any, Array], single: bool) -> Any:  # noqa: ARG002
        import polars as pl

        named = {" ".join(map(str, n)) if isinstance(n, tuple) else str(n): v for n, v in columns.items()}
        return pl.DataFrame({calendar.name or "": times} | named)


_MOST = 100
"""Places of a calendar for each date that is there: what is sparser is no series with gaps."""


def _usual(numbers: Array) -> int:
    """The most frequent distance of dates; 0 if there is none, or one that makes them few among many."""
    if len(numbers) < 2:
        return 0
    values, counts = np.unique(np.diff(numbers), return_counts=True)
    usual = int(values[counts.argmax()])
    return usual if usual > 0 and int(numbers[-1] - numbers[0]) // usual <= _MOST * len(numbers) else 0


def _of(library: str) -> Any:
    return {"pandas": _Pandas, "pandas.Period": _Periods, "polars": _Polars}[library]()


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
            name, Dates(times, calendar.library, None, False), _of(calendar.library).numbers(times)
        )
        calendar.table(times, {"x": np.zeros(len(times))}, single=False)
    except ImportError:  # told when it is asked to go on
        return calendar
    except Exception as error:  # of either library, whatever a text has made of it
        msg = f"learnt.{name}: expected dates that go on, got {found!r:.200}"
        raise ValueError(msg) from error
    return calendar

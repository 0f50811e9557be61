"""What libraries know of dates: which step they have, and which come next. Only the library of the data is
imported, and here alone. It must not know series.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

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
    """As ISO 8601 writes it, or as pandas writes a period; without an offset from UTC, though there is a
    zone, where a change of clocks has left out the time that it stands for."""
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
        return library_of(self.library).ahead(self, count)

    def moved(self, times: Any) -> Calendar:
        """The same, up to the last of other dates."""
        return replace(self, last=library_of(self.library).written(times, self.step))

    def table(self, times: Any, columns: dict[Any, Array], *, single: bool) -> Any:
        """A table of columns beside dates; with `single` of pandas a column by itself."""
        return library_of(self.library).table(self, times, columns, single)


def as_index(dates: Any) -> Any:
    """Dates of pandas as an index of them."""
    import pandas as pd

    return pd.DatetimeIndex(dates)


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

    def written(self, times: Any, step: str) -> str:
        return str(self._meant(times, -1, step).isoformat())

    def _meant(self, times: Any, at: int, step: str) -> Any:
        """A date; by a step of days the time without a zone that it stands for, where a change of clocks has
        left that out.
        """
        own = times[at]
        if own.tz is None or not _by_the_clock(self._offset(step)):
            return own
        bare = times.tz_localize(None).as_unit("ns")
        meant = bare[at].normalize() + _time_of_day(bare.asi8, _DAY) * np.timedelta64(1, "ns")
        if meant == bare[at]:
            return own
        moved = meant.tz_localize(own.tz, ambiguous=True, nonexistent="shift_forward") == own
        return meant if moved else own

    def _offset(self, step: str) -> Any:
        import pandas as pd
        from pandas.tseries.frequencies import to_offset

        # As pandas writes it: h, min, s …
        return to_offset(pd.Timedelta(int(step[:-2]), "ns") if step.endswith("ns") else step)

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
        first = self._meant(times, 0, step)
        offset = self._offset(step)
        found = self._range(first, times[-1], None, offset, times.tz).as_unit(times.unit)
        if times.tz is None or not _by_the_clock(offset):
            return found
        # A time that the clock shows twice may be the second one in the data.
        second = found.tz_localize(None).tz_localize(times.tz, ambiguous=np.zeros(len(found), bool))
        chosen = second.isin(times) & ~found.isin(times)
        return found.where(~chosen, second) if chosen.any() else found

    def _range(self, first: Any, last: Any, count: int | None, offset: Any, zone: Any) -> Any:
        """Dates by an offset; one that a change of clocks leaves out is an hour later."""
        import pandas as pd

        try:
            if first.tz is not None or zone is None:
                return pd.date_range(first, last, periods=count, freq=offset)
        except ValueError:
            if first.tz is None:
                raise
        bare = None if last is None else last.tz_localize(None)
        found = pd.date_range(first.tz_localize(None), bare, periods=count, freq=offset)
        first_of_two = np.ones(len(found), bool)  # which pandas takes for the one of summer
        return found.tz_localize(zone, ambiguous=first_of_two, nonexistent="shift_forward")

    def ahead(self, calendar: Calendar, count: int) -> Any:
        import pandas as pd

        last, offset = pd.Timestamp(calendar.last), self._offset(calendar.step)
        if calendar.zone is not None and (last.tz is not None or not _by_the_clock(offset)):
            last = last.tz_convert(calendar.zone)
        found = self._range(last, None, count + 1, offset, calendar.zone)[1:].as_unit(calendar.unit)
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

    def written(self, times: Any, step: str) -> str:  # noqa: ARG002
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
            msg = f"expected dates that nanoseconds can count, 1678 to 2262, got {shown_date(times, 0)}"
            raise ValueError(msg)
        return numbers * unit

    def kind(self, times: Any) -> tuple[str | None, str]:
        return getattr(times.dtype, "time_zone", None), getattr(times.dtype, "time_unit", None) or "date"

    def written(self, times: Any, step: str) -> str:
        meant = self._meant(times, len(times) - 1, step)[0]
        last = times[-1]
        bare = getattr(last, "tzinfo", None) is not None and meant != last.replace(tzinfo=None, fold=0)
        return str((meant if bare and meant.tzinfo is None else last).isoformat())

    def _meant(self, times: Any, at: int, step: str) -> Any:
        """A date as a series of one; by a step of days in a zone as the clock shows it, or would if a change
        had not left that time out.
        """
        zone, unit = self.kind(times)
        if zone is None or step.endswith(("us", "ns")):
            return times[at : at + 1]
        local = times.dt.replace_time_zone(None)
        numbers, day = local.to_physical(), _DAY // _UNITS[unit]
        meant = numbers[at : at + 1] // day * day + _time_of_day(numbers.to_numpy(), day)
        meant = meant.cast(local.dtype)
        return meant if self._placed(meant, zone)[0] == times[at] else local[at : at + 1]

    def _placed(self, local: Any, zone: str | None) -> Any:
        """Times of a clock in its zone: of two the first, and the next one there is of what is left out."""
        import polars as pl

        def placed(one: Any) -> Any:
            return one.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")

        if zone is None:
            return local
        found = placed(local)
        for minutes in range(1, 24 * 60):
            if found.null_count() == local.null_count():
                break
            later = placed(local.dt.truncate("1m").dt.offset_by(f"{minutes}m"))
            found = pl.select(pl.coalesce(found, later)).to_series()
        return found

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
        first, zone = self._meant(times, 0, step), self.kind(times)[0]
        if self._moved(first, step, 1, zone)[0] is None:
            return times[:0]
        while True:
            found = self._moved(first, step, guess - 1, zone)
            whole = self.numbers(found)
            if whole[-1] >= numbers[-1] or guess > _MOST * len(times):
                return self._as_given(found.filter(found <= times[-1]), times, step)
            guess *= 2

    def _as_given(self, found: Any, times: Any, step: str) -> Any:
        """Of days at a time that the clock shows twice the second, where that is what the data have."""
        import polars as pl

        zone = self.kind(times)[0]
        if zone is None or step.endswith(("us", "ns")):
            return found
        second = found.dt.replace_time_zone(None).dt.replace_time_zone(zone, ambiguous="latest")
        own, other = self.numbers(found), self.numbers(second)
        chosen = ~np.isin(own, self.numbers(times)) & np.isin(other, self.numbers(times))
        return second.zip_with(pl.Series(chosen), found)

    def _moved(self, first: Any, step: str, most: int, zone: str | None) -> Any:
        """The first date, and those after it by 1 to `most` steps, in a zone."""
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
        found = frame.select(moved).to_series()
        return found if self.kind(found)[0] == zone else self._placed(found, zone)

    def ahead(self, calendar: Calendar, count: int) -> Any:
        import datetime

        import polars as pl

        if calendar.unit == "date":
            last = pl.Series([datetime.date.fromisoformat(calendar.last)])
        else:
            when = datetime.datetime.fromisoformat(calendar.last)
            last = pl.Series([when]).cast(pl.Datetime(calendar.unit, when.tzinfo and calendar.zone))  # type: ignore[arg-type]
            if when.tzinfo is not None and calendar.zone is not None:
                last = self._meant(last, 0, calendar.step)
        return self._moved(last, calendar.step, count, calendar.zone)[1:].alias(calendar.name or "")

    def table(self, calendar: Calendar, times: Any, columns: dict[Any, Array], single: bool) -> Any:  # noqa: ARG002
        import polars as pl

        named = {" ".join(map(str, n)) if isinstance(n, tuple) else str(n): v for n, v in columns.items()}
        return pl.DataFrame({calendar.name or "": times} | named)


def _by_the_clock(offset: Any) -> bool:
    """Whether an offset of pandas goes by days and what is made of them, whatever clocks do."""
    return type(offset).__name__ not in ("Hour", "Minute", "Second", "Milli", "Micro", "Nano")


def _time_of_day(numbers: Array, day: int) -> int:
    """The most frequent one of times that are so many to a day."""
    values, counts = np.unique(numbers % day, return_counts=True)
    return int(values[counts.argmax()])


_MOST = 100
"""Places of a calendar for each date that is there: what is sparser is no series with gaps."""


def _usual(numbers: Array) -> int:
    """The most frequent distance of dates; 0 if there is none, or one that makes them few among many."""
    if len(numbers) < 2:
        return 0
    values, counts = np.unique(np.diff(numbers), return_counts=True)
    usual = int(values[counts.argmax()])
    return usual if usual > 0 and int(numbers[-1] - numbers[0]) // usual <= _MOST * len(numbers) else 0


def library_of(library: str) -> Any:
    return {"pandas": _Pandas, "pandas.Period": _Periods, "polars": _Polars}[library]()


def shown_date(times: Any, row: int) -> str:
    value = times[row]
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)

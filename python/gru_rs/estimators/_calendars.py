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
        return library_of(self.library).ahead(self, count)

    def moved(self, times: Any) -> Calendar:
        """The same, up to the last of other dates."""
        return replace(self, last=library_of(self.library).written(times))

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
            msg = f"expected dates that nanoseconds can count, 1678 to 2262, got {shown_date(times, 0)}"
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


def library_of(library: str) -> Any:
    return {"pandas": _Pandas, "pandas.Period": _Periods, "polars": _Polars}[library]()


def shown_date(times: Any, row: int) -> str:
    value = times[row]
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)

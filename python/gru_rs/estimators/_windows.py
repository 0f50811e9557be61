"""What of a series a forecast reads and what it begins with: plain functions of arrays, forward in time only.
It must not know networks, containers or training.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ._batches import Array

GAPS = ("refuse", "fill", "mask")
"""What may be done with missing values."""

LAST, SEASON, BOTH = range(3)
"""What the forecast of a step ahead begins with: the last value; what was a season before; the last value and
how that season went on from the same time."""


@dataclass(frozen=True)
class Series:
    """A series with what is known beside it; nothing is missing any more."""

    values: Array
    """``(n, K)``"""
    known: Array
    """``(n, E)``, or of a forecast to be made ``(n + horizon, E)``"""
    observed: Array
    """``(n, P)``"""
    gaps: Array
    """``(n, K + P)``: where something was missing."""

    def __len__(self) -> int:
        return len(self.values)

    def until(self, end: int) -> Series:
        """The first of it; columns that are known ahead as well."""
        parts = (self.values, self.known, self.observed, self.gaps)
        return Series(*(part[:end] for part in parts))

    def last(self, count: int) -> Series:
        """The end of it."""
        begin = len(self) - count
        return Series(self.values[begin:], self.known[begin:], self.observed[begin:], self.gaps[begin:])

    def with_future(self, known: Array) -> Series:
        """With what is known of the times to come."""
        whole = np.concatenate([self.known, known])
        return Series(self.values, whole, self.observed, self.gaps)


def in_units(series: Series, scale: tuple[Array, Array] | None) -> Series:
    """In units of a mean and a deviation."""
    if scale is None:
        return series
    mean, deviation = scale
    return Series((series.values - mean) / deviation, series.known, series.observed, series.gaps)


def out_of_units(found: Array, scale: tuple[Array, Array] | None) -> Array:
    """Forecasts ``(…, K, Q)`` in values."""
    if scale is None:
        return found
    mean, deviation = scale
    return found * deviation[:, np.newaxis] + mean[:, np.newaxis]


@dataclass(frozen=True)
class Reach:
    """How far back is read and how far ahead is forecast."""

    window: int
    horizon: int
    season: int | None
    masked: bool
    """Whether the network is told where values were missing."""

    @property
    def lag(self) -> int:
        """How far back the difference goes that the network reads beside the value."""
        return self.season or 1

    @property
    def ahead(self) -> Array:
        """The steps, from 1."""
        return np.arange(1, self.horizon + 1)

    @property
    def before(self) -> Array:
        """How far back the same time of a season lies that is known when forecasting so far ahead."""
        if self.season is None:
            return self.ahead
        return self.season * -(-self.ahead // self.season)

    @property
    def first(self) -> int:
        """Values known to the first forecast."""
        season_before = 0 if self.season is None else int(self.before[-1]) + 1
        return max(self.window + self.lag, season_before)

    def origins(self, count: int) -> Array:
        """From where a series of so many values can be forecast and what came is known."""
        return np.arange(self.first, count - self.horizon + 1)

    def whole(self, series: Series) -> Array:
        """Origins whose horizon has no gap."""
        origins = self.origins(len(series))
        missing = series.gaps[:, : series.values.shape[1]].any(axis=1)
        if not missing.any():
            return origins
        before = np.concatenate([[0], np.cumsum(missing)])
        found: Array = origins[before[origins + self.horizon] == before[origins]]
        return found

    def actual(self, values: Array, origins: Array) -> Array:
        """What came, ``(origins, horizon, K)``."""
        found: Array = values[origins[:, np.newaxis] - 1 + self.ahead]
        return found

    def last(self, values: Array, origins: Array) -> Array:
        """The last value, for each step ahead."""
        return np.repeat(values[origins - 1][:, np.newaxis], self.horizon, axis=1)

    def season_before(self, values: Array, origins: Array) -> Array:
        """What was a season before; without a season the last value."""
        if self.season is None:
            return self.last(values, origins)
        found: Array = values[origins[:, np.newaxis] - 1 + self.ahead - self.before]
        return found

    def both(self, values: Array, origins: Array) -> Array:
        """The last value, and how the series went on from there a season before."""
        change = self.season_before(values, origins) - values[origins[:, np.newaxis] - 1 - self.before]
        found: Array = self.last(values, origins) + change
        return found

    def base(self, values: Array, origins: Array, chosen: Array) -> Array:
        """What forecasts begin with, by what was chosen for each step ahead and target."""
        found = self.last(values, origins)
        for kind, begin in ((SEASON, self.season_before), (BOTH, self.both)):
            where = chosen == kind
            if where.any():
                found = np.where(where, begin(values, origins), found)
        return found

    def choose(self, series: list[tuple[Array, Array]]) -> Array:
        """For each step ahead and target the beginning that was nearest in training, ``(horizon, K)``: of
        values and origins of each series.
        """
        if self.season is None:
            return np.full((self.horizon, series[0][0].shape[1]), LAST)
        errors: Array = np.zeros(())
        begins = (self.last, self.season_before, self.both)
        for values, origins in series:
            actual = self.actual(values, origins)
            errors = errors + np.stack([((kind(values, origins) - actual) ** 2).sum(0) for kind in begins])
        found: Array = np.argmin(errors, axis=0)
        return found

    def features(self, series: Series) -> Array:
        """What the network reads at each time, ``(n', F)``: the values, how they differ from a season before,
        the columns of the horizon ahead, what was observed, and what was missing. Times without all of it are
        left out at the beginning, and those whose horizon is not known at the end.
        """
        values, lag = series.values, self.lag
        columns = [values[lag:], values[lag:] - values[:-lag]]
        if series.known.shape[1]:
            ahead = np.lib.stride_tricks.sliding_window_view(series.known, self.horizon, axis=0)
            columns.append(ahead[1:].reshape(len(ahead) - 1, -1)[lag:])
        if series.observed.shape[1]:
            columns.append(series.observed[lag:])
        if self.masked:
            columns.append(series.gaps[lag:].astype(np.float64))
        length = min(map(len, columns))
        return np.concatenate([column[:length] for column in columns], axis=1)

    def starts(self, origins: Array) -> Array:
        """Where among features the window of an origin begins."""
        found: Array = origins - self.window - self.lag
        return found


def held_apart(
    counts: list[int], horizon: int, share: float, *, few: bool = False
) -> tuple[Array, Array] | None:
    """Of the windows of series, by their counts, those to learn from and those to be held out, between which
    no target is shared: of each series the last ones, or whole series if they are short. None if neither can
    be; with `few` one window is enough to learn from, if need be one whose targets are shared.
    """
    total, begins = sum(counts), np.cumsum([0, *counts])
    train, held = _last_apart(counts, horizon, share, 1 / 3)
    if 2 * len(held) >= total * share and len(held):
        return train, held
    wanted = max(round(total * share), 1)
    first = int(begins[begins <= total - wanted].max(initial=0))
    if 3 * first >= 2 * total:
        return np.arange(first), np.arange(first, total)
    train, held = _last_apart(counts, horizon, share, 0)
    return (train, held) if few and len(held) and len(train) else None


def _last_apart(counts: list[int], horizon: int, share: float, least: float) -> tuple[Array, Array]:
    """The last windows of each series of which more than the least share is left to be learnt from."""
    train, held, begin = [], [], 0
    for count in counts:
        # Fewer than a horizon of them are about the same few values.
        out = max(1, min(horizon, count // 5), round(count * share))
        kept = max(count - out - (horizon - 1), 0 if least else min(1, count - out))
        if kept > least * count:
            held.append(np.arange(begin + count - out, begin + count))
        else:
            kept = count
        train.append(np.arange(begin, begin + kept))
        begin += count
    return np.concatenate(train), np.concatenate([np.arange(0), *held])


def parts_apart(counts: list[int], horizon: int, parts: int) -> list[tuple[Array, Array]]:
    """Windows to learn from and the others to be measured, once for each part of them: a stretch of time of
    each series, or whole series if too little would be left of them.
    """
    begins, total = np.cumsum([0, *counts]), sum(counts)
    times = []
    for part in range(parts):
        rest, unseen = [], []
        for begin, count in zip(begins, counts, strict=False):
            first, last = (count * (part + at) // parts for at in (0, 1))
            own = np.arange(count)
            apart = (own <= first - horizon) | (own >= last + horizon - 1)
            rest.append(begin + own[apart])
            unseen.append(begin + own[first:last])
        times.append((np.concatenate(rest), np.concatenate(unseen).astype(np.intp)))
    of = np.repeat(np.arange(len(counts)) % parts, counts)
    whole = [(np.flatnonzero(of != part), np.flatnonzero(of == part)) for part in range(parts)]
    times, whole = ([one for one in found if len(one[1])] for found in (times, whole))
    left = [min(len(rest) for rest, _ in found) for found in (times, whole)]
    return whole if 4 * left[0] < total and left[1] > left[0] else times

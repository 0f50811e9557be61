"""What a forecaster is compared with: the last value, a season before, a ridge over lags; and how well any of
them forecasts a stretch of a series. It must not know folds' scores or advice.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.linear_model import Ridge

from ._backtest import middle
from ._numbers import moments_of_rows
from ._season import find_season

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._batches import Array
    from ._folds import Split
    from .forecaster import Forecaster

_ALPHAS = (0.01, 1.0, 100.0)
_HELD = 0.2
"""Share of the windows, the last ones, by which alpha is chosen."""


def stretches(count: int, horizon: int, folds: int) -> list[tuple[int, int]]:
    """The first and the end of the origins of each fold, in the last half of a series."""
    bounds = np.linspace(count // 2, count - horizon + 1, folds + 1).astype(int)
    if (np.diff(bounds) < 1).any():
        msg = f"X: expected at least {2 * (folds + horizon)} values for {folds} folds, got {count}"
        raise ValueError(msg)
    return [(int(start), int(end)) for start, end in pairwise(bounds)]


def expected_starts(splits: list[Split], count: int, horizon: int) -> list[tuple[int, int]]:
    """The same of a splitter's folds, each of which must train on a series' beginning and test on what comes
    next.
    """
    found = []
    for fold, (train, test) in enumerate(splits):
        start, end = len(train), len(train) + len(test)
        if not np.array_equal(train, np.arange(start)) or not np.array_equal(test, np.arange(start, end)):
            got = f"rows {train.min()} to {train.max()} and {test.min()} to {test.max()}"
            expected = "folds that train on the first values of a series and test on those that come next"
            msg = f"cv: expected {expected}, got {got} in fold {fold}"
            raise ValueError(msg)
        found.append((start, min(end, count - horizon + 1)))
        if found[-1][1] <= start:
            msg = f"cv: expected values for {horizon} steps ahead in fold {fold}, got {len(test)}"
            raise ValueError(msg)
    return found


def forecasters(values: Array, network: Forecaster) -> dict[str, Any]:
    """Simple ones by name, for what the networks are to forecast; the season is that of these values."""
    _middle_of(network)
    lags, horizon = network.window, network.horizon
    found: dict[str, Any] = {"last value": Before(horizon, None)}
    seasons = [one for one in (network.season, find_season([values])) if isinstance(one, int) and one > 1]
    for season in dict.fromkeys(seasons):
        found[f"{season} values before"] = Before(horizon, season)
    found["ridge over lags"] = Lags(horizon, lags, seasons[0] if seasons else None)
    return found


def _middle_of(network: Forecaster) -> int:
    """The column of its forecasts that is compared."""
    place = middle(1 + 2 * len(network.levels or ()), network.quantiles)
    if place is None:
        msg = f"options: expected quantiles with .5, whose errors are compared, got {network.quantiles}"
        raise ValueError(msg)
    return place


class Before:
    """What was so many seasons before that it is known; without a season the last value."""

    def __init__(self, horizon: int, season: int | None) -> None:
        self.horizon, self.season = horizon, season

    @property
    def least(self) -> int:
        """Values that must be known."""
        return 1 if self.season is None else self.season * -(-self.horizon // self.season)

    def fresh(self) -> Any:
        """One like it that has learnt nothing."""
        return type(self)(self.horizon, self.season)

    def fit(self, values: Array, columns: Array | None) -> Any:  # noqa: ARG002
        return self

    def forecast(self, values: Array, columns: Array, origins: Array) -> Array:  # noqa: ARG002
        """``(origins, horizon)``, each of the values before it."""
        ahead = np.arange(1, self.horizon + 1)
        back = ahead if self.season is None else self.season * -(-ahead // self.season)
        found: Array = values[np.maximum(origins[:, np.newaxis] - 1 + ahead - back, 0)]
        return found


class Lags(Before):
    """A ridge of how what comes differs from the last value, over the last values, what was a season before,
    and the columns ahead.
    """

    def __init__(self, horizon: int, lags: int, season: int | None) -> None:
        super().__init__(horizon, season)
        self.lags = lags

    @property
    def least(self) -> int:
        return max(self.lags, super().least)

    def fresh(self) -> Lags:
        return Lags(self.horizon, self.lags, self.season)

    def _looks(self, values: Array, columns: Array, origins: Array) -> Array:
        parts = [values[origins[:, np.newaxis] - np.arange(1, self.lags + 1)]]
        if self.season is not None:
            parts.append(super().forecast(values, columns, origins))
        if columns.shape[1]:
            ahead = origins[:, np.newaxis] + np.arange(self.horizon)
            parts.append(columns[ahead].reshape(len(origins), -1))
        return np.concatenate(parts, axis=1)

    def fit(self, values: Array, columns: Array | None) -> Any:
        columns = np.empty((len(values), 0)) if columns is None else columns
        origins = np.arange(min(self.least, len(values) - self.horizon), len(values) - self.horizon + 1)
        origins = origins[origins >= self.least]
        if not len(origins):
            msg = f"X: expected at least {self.least + self.horizon} values before a fold, got {len(values)}"
            raise ValueError(msg)
        x = self._looks(values, columns, origins)
        self.mean_, deviation = moments_of_rows("X", x)
        self.deviation_ = np.where(deviation > 0, deviation, 1.0)
        x = (x - self.mean_) / self.deviation_
        ahead = origins[:, np.newaxis] + np.arange(self.horizon)
        targets = values[ahead] - values[origins - 1][:, np.newaxis]
        known = len(x) - max(round(len(x) * _HELD), 1)
        errors = [_error(alpha, x, targets, known) for alpha in _ALPHAS]
        alpha = _ALPHAS[int(np.argmin(errors))]
        self.ridge_ = Ridge(alpha=alpha).fit(x, targets)
        return self

    def forecast(self, values: Array, columns: Array, origins: Array) -> Array:
        x = (self._looks(values, columns, origins) - self.mean_) / self.deviation_
        found: Array = values[origins - 1][:, np.newaxis] + self.ridge_.predict(x).reshape(-1, self.horizon)
        return found


def _error(alpha: float, x: Array, targets: Array, known: int) -> float:
    """Of a ridge of the first windows, on the others; of all if there is one alone."""
    ridge = Ridge(alpha=alpha).fit(x[: known or None], targets[: known or None])
    return float(np.mean((ridge.predict(x[known:]).reshape(-1, targets.shape[1]) - targets[known:]) ** 2))


def _read_by(network: Any) -> int:
    """Values that a network must know to forecast: its window, and all seasons that it may look back."""
    season = getattr(network, "season_", network.season) or 1
    return int(network.window + season * -(-network.horizon // season))


@contextmanager
def _without_verdict() -> Iterator[None]:
    """Without a Forecaster's own word that a naive forecast is better, which the comparison is about."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* the RMSE of the forecasts is ", UserWarning)
        yield


class Direct:
    """Any forecaster, asked for what lies ahead of some origins."""

    def __init__(self, model: Any, columns: bool) -> None:
        self.model, self._columns = model, columns

    def fit(self, values: Array, columns: Array) -> None:
        with _without_verdict():
            self.model.fit(values, columns if self._columns else None)

    def trained(self, start: int) -> Array:
        """Origins of the values of training."""
        least = self.model.least if isinstance(self.model, Before) else _read_by(self.model)
        return np.arange(least, start - self.model.horizon + 1)

    def forecast(self, values: Array, columns: Array, origins: Array) -> Array:
        """``(origins, horizon)``; of quantiles that of .5."""
        if isinstance(self.model, Before):
            return self.model.forecast(values, columns, origins)
        reach = slice(None, int(origins[-1]) + self.model.horizon)
        own = columns[reach] if self._columns else None
        with _without_verdict():
            found: Array = self.model.backtest(values[reach], own, start=int(origins[0])).forecasts
        return found if found.ndim == 2 else found[..., _middle_of(self.model)]

    def next(self, values: Array, columns: Array, start: int) -> Array:
        """What comes after the values of training."""
        if isinstance(self.model, Before):
            return self.model.forecast(values, columns, np.array([start]))
        found: Array = self.model.predict(
            columns[start : start + self.model.horizon] if self._columns else None
        )
        return found

    def skill(self, values: Array, columns: Array, origins: Array) -> float:
        """How much better than the last value: see `compare`."""
        if not len(origins):
            return float("nan")
        ahead = origins[:, np.newaxis] + np.arange(self.model.horizon)
        error = _rmse(self.forecast(values, columns, origins), values[ahead])
        return skill(error, _rmse(values[origins - 1][:, np.newaxis], values[ahead]))


def _rmse(found: Array, truth: Array) -> float:
    return float(np.sqrt(np.mean((found - truth) ** 2)))


def skill(error: float, reference: float) -> float:
    """1 − error / reference, and where that is below 0 its mirror image: from −1 to 1, 0 of equals.

    Examples
    --------
    >>> skill(1.0, 2.0), skill(2.0, 1.0), skill(0.1, 0.0), skill(0.0, 0.0)
    (0.5, -0.5, -1.0, 0.0)
    """
    if error <= reference:
        return 1 - error / reference if reference > 0 else 0.0
    return reference / error - 1

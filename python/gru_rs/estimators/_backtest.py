"""Forecasts from one origin after the other, beside what came and both naive forecasts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ._batches import Array


@dataclass(frozen=True)
class Backtest:
    """Forecasts from one origin after the other. Of several targets each array has an axis more behind the
    horizon.

    Attributes
    ----------
    origins : ndarray of int, (n,)
        How many values were known to each forecast.
    forecasts : ndarray, (n, horizon) or (n, horizon, n_quantiles)
        With `levels` the lower ends, the forecast and the upper ends, as `Forecaster.predict` gives them.
    actual : ndarray, (n, horizon)
        What came; NaN where it is a gap, which is left out of all errors.
    naive : ndarray, (n, horizon)
        What was a season before; without a season the last value.
    last : ndarray, (n, horizon)
        The last value.
    season : int or None
        Values of a season.
    levels : tuple of float
        Of the intervals of `forecasts`, rising.
    unit : ndarray, (n_targets,)
        What errors are counted in: 1 of one target, of several the deviation of each in training.
    """

    origins: Array
    forecasts: Array
    actual: Array
    naive: Array
    last: Array
    season: int | None = None
    levels: tuple[float, ...] = ()
    unit: Array = field(default_factory=lambda: np.ones(1))

    def _errors(self, forecasts: Array) -> Array:
        found = forecasts - self.actual
        return found / self.unit if len(self.unit) > 1 else found

    @property
    def _columns(self) -> Array:
        """The columns of forecasts, ``(…, Q)``."""
        deeper = self.forecasts.ndim > self.actual.ndim
        return self.forecasts if deeper else self.forecasts[..., np.newaxis]

    @property
    def _middle(self) -> Array:
        found: Array = self._columns[..., self._columns.shape[-1] // 2]
        return found

    @property
    def rmse(self) -> float:
        """Root of the mean square error of the forecasts, of their middle quantile if there are several."""
        return root_mean_square(self._errors(self._middle))

    @property
    def mae(self) -> float:
        """Their mean absolute error."""
        return float(np.nanmean(np.abs(self._errors(self._middle))))

    @property
    def naive_rmse(self) -> float:
        """Root of the mean square error of what was a season before; without a season of the last value."""
        return root_mean_square(self._errors(self.naive))

    @property
    def last_rmse(self) -> float:
        """The same of the last value."""
        return root_mean_square(self._errors(self.last))

    @property
    def coverage(self) -> float:
        """Share of what came that lies between the lowest and the highest quantile, or within the widest
        level; NaN without them.
        """
        return self._share(0)

    @property
    def coverages(self) -> dict[float, float]:
        """The share of what came that lies within each level."""
        return {level: self._share(-1 - place) for place, level in enumerate(self.levels)}

    def _share(self, place: int) -> float:
        """Of an interval: 0 is the widest, or -1 the narrowest."""
        columns = self._columns
        half = columns.shape[-1] // 2
        if not half:
            return float("nan")
        low = place if place >= 0 else half + place
        inside = (columns[..., low] <= self.actual) & (self.actual <= columns[..., -1 - low])
        return float(inside[np.isfinite(self.actual)].mean())

    def __str__(self) -> str:
        return f"{len(self.origins):,} forecasts: {compared(self.rmse, self.last_rmse, self._season_rmse)}"

    @property
    def _season_rmse(self) -> float | None:
        return None if self.season is None else self.naive_rmse

    def worse(self) -> str | None:
        """What there is to be said if a naive forecast was better."""
        return worse(self.rmse, self.last_rmse, self._season_rmse, self.season)


def root_mean_square(errors: Array) -> float:
    """Of those that are known."""
    return float(np.sqrt(np.nanmean(errors**2)))


def compared(rmse: float, last: float, season: float | None) -> str:
    """An error beside those of both naive forecasts."""
    before = "no season" if season is None else f"{season:.4g} of a season before"
    return f"RMSE {rmse:.4g}, {last:.4g} of the last value, {before}"


def worse(rmse: float, last: float, season: float | None, length: int | None) -> str | None:
    """What there is to be said of an error that is larger than that of a naive forecast."""
    least = last if season is None else min(last, season)
    if not rmse > least:
        return None
    name = "the last value" if least == last else f"what was a season ({length} values) before"
    more = f", {rmse / least - 1:.1%} more" if least > 0 else ", more"
    return f"the RMSE of the forecasts is {rmse:.4g}{more} than that of {name}, {least:.4g}"

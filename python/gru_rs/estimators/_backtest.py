"""Forecasts from one origin after the other, beside what came and both naive forecasts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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
    quantiles : tuple of float
        Levels of the columns of `forecasts`, rising. Without .5 among them there is no forecast of which
        there could be an error: `rmse` and `mae` are NaN, and nothing is said of naive forecasts.
    """

    origins: Array
    forecasts: Array
    actual: Array
    naive: Array
    last: Array
    season: int | None = None
    levels: tuple[float, ...] = ()
    unit: Array = field(default_factory=lambda: np.ones(1))
    quantiles: tuple[float, ...] = ()

    def _errors(self, forecasts: Array) -> Array:
        found = forecasts - self.actual
        return found / self.unit if len(self.unit) > 1 else found

    @property
    def _columns(self) -> Array:
        """The columns of forecasts, ``(…, Q)``."""
        deeper = self.forecasts.ndim > self.actual.ndim
        return self.forecasts if deeper else self.forecasts[..., np.newaxis]

    def _of_middle(self, measure: Callable[[Array], float]) -> float:
        place = middle(self._columns.shape[-1], self.quantiles)
        return math.nan if place is None else measure(self._errors(self._columns[..., place]))

    @property
    def rmse(self) -> float:
        """Root of the mean square error of the forecasts, of quantiles of that of .5."""
        return self._of_middle(root_mean_square)

    @property
    def mae(self) -> float:
        """Their mean absolute error."""
        return self._of_middle(lambda errors: float(np.nanmean(np.abs(errors))))

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


def middle(columns: int, quantiles: Sequence[float] | None) -> int | None:
    """Which of so many columns of a forecast is the forecast, not a bound of it: among quantiles that of .5,
    which may not be there.
    """
    if quantiles is None or not len(quantiles):
        return columns // 2
    places = np.flatnonzero(np.isclose(quantiles, 0.5, rtol=0, atol=1e-9))
    return int(places[0]) if len(places) else None


def root_mean_square(errors: Array) -> float:
    """Of those that are known."""
    return float(np.sqrt(np.nanmean(errors**2)))


def compared(rmse: float, last: float, season: float | None) -> str:
    """An error beside those of both naive forecasts."""
    before = "no season" if season is None else f"{season:.4g} of a season before"
    own = "no RMSE without a quantile of .5" if math.isnan(rmse) else f"RMSE {rmse:.4g}"
    return f"{own}, {last:.4g} of the last value, {before}"


def worse(rmse: float, last: float, season: float | None, length: int | None) -> str | None:
    """What there is to be said of an error that is larger than that of a naive forecast; NaN is not."""
    least = last if season is None else min(last, season)
    if not rmse > least:
        return None
    name = "the last value" if least == last else f"what was a season ({length} values) before"
    more = f", {rmse / least - 1:.1%} more" if least > 0 else ", more"
    return f"the RMSE of the forecasts is {rmse:.4g}{more} than that of {name}, {least:.4g}"

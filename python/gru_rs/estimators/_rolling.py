"""A forecaster's forecasts from one origin after the other, in values, beside what came. It must not know how
a forecaster is trained, nor dates or files.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from gru_rs._checks import as_int, as_size

from ._backtest import Backtest
from ._direct import DirectForecaster
from ._history import NAMES, Kept, scale_of
from ._panel import Panel, Read, expect_column_names, read_panel
from ._windows import in_units, out_of_units

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._batches import Array
    from ._windows import Series


class RollingForecaster(Kept, DirectForecaster):
    """What a fitted `Forecaster` says of series with columns as training had them; no dataclass, as it has no
    parameters of its own.
    """

    @abstractmethod
    def _fit_panel(self, panel: Panel, later: Panel | None = None) -> Self:
        """Trains on series that were read."""

    def backtest(
        self,
        y: Any,
        exog: Any = None,
        *,
        observed: Any = None,
        start: int,
        step: int = 1,
        refit_every: int | None = None,
    ) -> Any:
        """Forecast from one origin after the other, each time with what was known then.

        Parameters
        ----------
        y : array_like
            A whole series: that of training with what came after it, or another; or several, in the forms of
            `fit`. One with a name of training is in its units, another in those of its values before `start`.
        exog, observed : array_like, optional
            Its columns.
        start : int
            Values known to the first forecast; of each series.
        step : int, default 1
            From an origin to the next.
        refit_every : int, optional
            Train anew after so many origins, with all that is known by then; never when missing.

        Returns
        -------
        Backtest, or a list or dict of them
            With both naive forecasts: the last value, and what was a season before.

        Raises
        ------
        ValueError, TypeError
            A start that is too early, or too late for one forecast; other columns than in training.

        Warns
        -----
        UserWarning
            The forecasts are worse than a naive one, and by how much.
        """
        check_is_fitted(self, "model_")
        panel = read_panel(y, exog, observed, self.gaps)
        self._expect_panel(panel, ("y", "exog", "observed"))
        start, reach, step = as_int("start", start, "an integer"), self._reach(), as_size("step", step)
        lasts = [len(read.series) + read.begin - self.horizon for read in panel.each]
        for name, read, last in zip(panel.labels(""), panel.each, lasts, strict=True):
            if not reach.first + read.begin <= start <= last:
                span = f"from {reach.first + read.begin} to {last}{name.replace(', ', ' of ')}"
                msg = f"start: expected an integer {span}, got {start}"
                raise ValueError(msg)
        origins = np.arange(start, max(lasts) + 1, step)
        every = len(origins) if refit_every is None else as_size("refit_every", refit_every)
        found: list[list[Array]] = []
        for first in range(0, len(origins), every):
            part, forecaster = origins[first : first + every], self
            if refit_every is not None:
                forecaster = clone(self)._fit_panel(panel.until(int(part[0])))
            found.append(forecaster._tested(panel, part, start))
        tested = [
            self._backtest(read, origins[origins <= last], np.concatenate(parts))
            for read, last, parts in zip(panel.each, lasts, zip(*found, strict=True), strict=True)
        ]
        self._warn(panel, tested)
        return panel.shaped(tested)

    def _tested(self, panel: Panel, origins: Array, start: int) -> list[Array]:
        """Forecasts of each series from those origins that it has."""
        scales = [scale_of(self, key, read, start - read.begin) for key, read in panel.items()]
        series = [in_units(read.series, scale) for read, scale in zip(panel.each, scales, strict=True)]
        own = [origins - read.begin for read in panel.each]
        own = [at[at <= len(one) - self.horizon] for at, one in zip(own, series, strict=True)]
        return self._in_values(series, own, scales)

    def _backtest(self, read: Read, origins: Array, forecasts: Array) -> Backtest:
        reach, at, values = self._reach(), origins - read.begin, read.series.values

        def flat(found: Array) -> Array:
            return found[..., 0] if self._flat else found

        return Backtest(
            origins,
            self._squeezed(forecasts),
            flat(reach.actual(read.actual, at)),
            flat(reach.season_before(values, at)),
            flat(reach.last(values, at)),
            reach.season,
            () if self.levels is None else tuple(map(float, self.levels)),
            self._unit(),
            () if self.quantiles is None else tuple(map(float, self.quantiles)),
        )

    def _warn(self, panel: Panel, tested: list[Backtest]) -> None:
        """Says what naive forecasts would do better."""
        said = {name: one.worse() for name, one in zip(panel.labels(""), tested, strict=True)}
        said = {name.removeprefix(", "): text for name, text in said.items() if text is not None}
        if said:
            name, text = next(iter(said.items()))
            where = "in the backtest" if panel.keys is None else f"in the backtest of {name}"
            more = f"; and so in {len(said) - 1} of {len(tested)} series besides" if len(said) > 1 else ""
            warnings.warn(f"{where} {text}{more}", stacklevel=3)

    def _expect_columns(self, names: tuple[str, ...], read: Read) -> None:
        """Columns as training had them."""
        counts = (read.series.values.shape[1], read.series.known.shape[1], read.series.observed.shape[1])
        wanted = (self.n_targets_, self.n_exog_, self.n_observed_)
        called = (read.names.targets, read.names.known, read.names.observed)
        for name, count, want, own, known in zip(names, counts, wanted, called, NAMES, strict=True):
            expect_column_names(name, count, want, own, getattr(self, known))
        if read.flat != self._flat:
            form = "(n,)" if self._flat else f"(n, {self.n_targets_})"
            msg = f"{names[0]}: expected a series of shape {form} as in training, got another"
            raise ValueError(msg)

    def _expect_panel(self, panel: Panel, names: tuple[str, ...]) -> None:
        for read in panel.each:
            self._expect_columns(names, read)

    def _in_values(
        self, series: list[Series], origins: list[Array], scales: list[tuple[Array, Array] | None]
    ) -> list[Array]:
        """Forecasts ``(origins, horizon, K, Q)`` of series in their units, in values."""
        parts = self._forecast(series, origins)
        return [out_of_units(part, scale) for part, scale in zip(parts, scales, strict=True)]

    def _squeezed(self, found: Array) -> Array:
        """Forecasts ``(…, horizon, K, Q)`` without the axes that nobody asked for."""
        if self.quantiles is None and self.levels is None:
            found = found[..., 0]
            return found[..., 0] if self._flat else found
        return found[..., 0, :] if self._flat else found

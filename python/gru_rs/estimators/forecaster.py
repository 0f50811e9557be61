"""Forecaster: a series' next values from its last ones, with columns known ahead and with quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from gru_rs._arrays import as_float_dtype
from gru_rs._checks import as_choice, as_flag, as_int, as_size
from gru_rs._losses import PLAIN_LOSSES, Loss, QuantileError, loss_of_numbers

from ._batches import Numeric, Scale, by_length
from ._doc import document
from ._files import readable
from ._learnt import Sizes, expect_deviation, refuse
from ._numbers import moments_of
from ._series import as_columns, as_series
from ._supervised import SupervisedEstimator
from ._validation import Validation, arguments_of, of_validation_data

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._batches import Array
    from ._learnt import Learnt


@dataclass(frozen=True)
class Backtest:
    """Forecasts from one origin after the other.

    Attributes
    ----------
    origins : ndarray of int, (n,)
        How many values were known to each forecast.
    forecasts : ndarray, (n, horizon) or (n, horizon, n_quantiles)
    actual : ndarray, (n, horizon)
        What came.
    naive : ndarray, (n, horizon)
        What was a season before; without a season the last value.
    """

    origins: Array
    forecasts: Array
    actual: Array
    naive: Array

    @property
    def _middle(self) -> Array:
        return (
            self.forecasts[..., self.forecasts.shape[-1] // 2] if self.forecasts.ndim == 3 else self.forecasts
        )

    @property
    def rmse(self) -> float:
        """Root of the mean square error of the forecasts, of their middle quantile if there are several."""
        return float(np.sqrt(np.mean((self._middle - self.actual) ** 2)))

    @property
    def mae(self) -> float:
        """Their mean absolute error."""
        return float(np.mean(np.abs(self._middle - self.actual)))

    @property
    def naive_rmse(self) -> float:
        """The same of what was a season before."""
        return float(np.sqrt(np.mean((self.naive - self.actual) ** 2)))

    @property
    def coverage(self) -> float:
        """Share of what came that lies between the lowest and the highest quantile; NaN without quantiles."""
        if self.forecasts.ndim < 3:
            return float("nan")
        inside = (self.forecasts[..., 0] <= self.actual) & (self.actual <= self.forecasts[..., -1])
        return float(inside.mean())


@readable
@document
@dataclass(kw_only=True, eq=False, repr=False)
class Forecaster(SupervisedEstimator):
    """The next values of a series, by a GRU or LSTM over its last ones.

    Parameters
    ----------
    horizon : int, default 1
        Values ahead, all forecast at once.
    window : int, default 48
        Values that the network reads.
    season : int, optional
        Values of a season, such as 24 for hours of a day: what is learnt is the difference from a season
        before.
    scale : bool, default True
        Learn values and columns with mean 0 and variance 1, measured in training.
    loss : {"squared", "absolute"}, default "squared"
        Without quantiles.
    quantiles : sequence of float, optional
        Levels of (0, 1), rising; a forecast has a column for each.
    {network}
    {training}

    Attributes
    ----------
    n_exog_ : int
        Columns that are known ahead.
    exog_names_ : list of str, or None
        What they are called, if they were a table: others must have the same in this order.
    {fitted}

    Examples
    --------
    >>> import numpy as np
    >>> from gru_rs import Forecaster
    >>> wave = np.sin(np.arange(400) / 5)
    >>> forecaster = Forecaster(horizon=3, window=20, hidden_size=16, max_iter=30, random_state=1)
    >>> forecaster = forecaster.fit(wave[:300])
    >>> forecaster.predict().shape
    (3,)
    >>> forecaster.backtest(wave, start=300).rmse < 0.1
    True
    """

    horizon: int = 1
    window: int = 48
    season: int | None = None
    scale: bool = True
    loss: str = "squared"
    quantiles: Sequence[float] | None = None

    def _check(self) -> None:
        super()._check()
        as_size("horizon", self.horizon)
        as_size("window", self.window)
        if self.season is not None:
            as_size("season", self.season)
        as_flag("scale", self.scale)
        as_choice("loss", self.loss, PLAIN_LOSSES)
        if self.quantiles is not None:
            QuantileError(self.quantiles)
            if list(self.quantiles) != sorted(set(self.quantiles)):
                msg = f"quantiles: expected rising levels, got {list(self.quantiles)}"
                raise ValueError(msg)

    def _levels(self) -> int:
        return 1 if self.quantiles is None else len(self.quantiles)

    def _outputs(self) -> int:
        return self.horizon * self._levels()

    def _expect_learnt(self, learnt: Learnt) -> Sizes:
        columns = learnt.count("n_exog_")
        # Files did not always have it.
        names = learnt.value("exog_names_") if learnt.has("exog_names_") else None
        if names is not None and not (
            isinstance(names, list) and len(names) == columns and all(type(name) is str for name in names)
        ):
            refuse("exog_names_", f"None, or the names of {columns} columns", names)
        features = 2 + columns * self.horizon
        learnt.moments("scale_", features, there=self.scale)
        expect_deviation(learnt, "target_scale_")
        kept = self._first_origin() + self.horizon
        learnt.numbers("history_", (kept,))
        learnt.numbers("history_exog_", (kept, columns))
        return Sizes(features, None, self._outputs())

    def _loss(self, targets: Array) -> Loss:  # noqa: ARG002
        if self.quantiles is not None:
            return QuantileError(self.quantiles)
        return loss_of_numbers(self.loss)

    def _split(self, targets: Array, count: int, seed: int) -> tuple[Array, Array]:  # noqa: ARG002
        """The last windows are held out: the future is not to be learnt from."""
        held = max(1, round(count * self.validation_fraction))
        return np.arange(count - held), np.arange(count - held, count)

    def _validation_score(
        self,
        sequences: Any,
        targets: Array,
        rows: Array,
        weights: Array | None,  # noqa: ARG002
    ) -> float:
        losses = [
            self.model_.loss(x, targets[part], loss=self._loss(targets), lengths=lengths) * len(part)
            for part in by_length(sequences.lengths, rows, 256)
            for x, lengths in [sequences.batch(part)]
        ]
        return -sum(losses) / len(rows)

    # From a series to windows

    def _season_before(self, ahead: int) -> int:
        """How far back the same time of a season lies that is known when forecasting so far ahead."""
        if self.season is None:
            return ahead
        return self.season * -(-ahead // self.season)

    def _base(self, values: Array, origins: Array) -> Array:
        """What forecasts begin with, ``(origins, horizon)``: a season before, else the last value."""
        ahead = np.arange(1, self.horizon + 1)
        back = np.array([self._season_before(int(step)) for step in ahead])
        found: Array = values[origins[:, np.newaxis] - 1 + ahead - back]
        return found

    def _features(self, values: Array, exog: Array) -> Array:
        """What the network reads at each time, ``(n, F)``: the value, how it differs from a season before,
        and the columns up to the horizon. Times without all of it are left out at the beginning.
        """
        lag = self.season or 1
        columns = [values[lag:, np.newaxis], (values[lag:] - values[:-lag])[:, np.newaxis]]
        if exog.shape[1]:
            ahead = np.lib.stride_tricks.sliding_window_view(exog, self.horizon, axis=0)
            known = ahead[1:].reshape(len(ahead) - 1, -1)
            columns.append(known[lag:])
            columns = [column[: len(known) - lag] for column in columns]
        return np.concatenate(columns, axis=1)

    def _windows(self, features: Array) -> Numeric:
        """A window for each origin; the first origin is the window's length and a season."""
        origins = np.arange(len(features) - self.window + 1)
        lengths = np.full(len(origins), self.window, np.intp)
        scale = None if self.scale_ is None else Scale(*self.scale_)
        return Numeric(features, origins, lengths, self.window, dtype=as_float_dtype(self.dtype), scale=scale)

    def _first_origin(self) -> int:
        return max(self.window + (self.season or 1), self._season_before(self.horizon))

    def fit(self, y: Any, exog: Any = None, *, validation_data: Any = None) -> Self:
        """Train on a series.

        Parameters
        ----------
        y : array_like, (n,)
            Values at equal distances of time, the oldest first.
        exog : array_like, (n, k), optional
            Columns that are known up to the horizon ahead, such as the day of the week or a set price.
        validation_data : tuple or dict, optional
            ``(y,)``, ``(y, exog)`` or a dict of these names: another series, or a later part of this one with
            what its first window reads, whose forecasts each epoch is scored by, in ``validation_scores_``.
            With `early_stopping` it is in place of the last windows.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            A parameter or an argument that cannot be used; a series too short for one window and its target.
        """
        self._check()
        values, columns, names = self._series(y, exog)
        first = not (self.warm_start and hasattr(self, "model_"))
        if not first:
            self._expect_columns("exog", columns, names)
        features, targets = self._examples(values, columns)
        later = None
        if validation_data is not None:
            given = arguments_of(validation_data, ("y", "exog"), 1)
            with of_validation_data():
                other, beside, others = self._series(given["y"], given.get("exog"))
                expect_same_columns("exog", beside, others, columns.shape[1], names)
                later = self._examples(other, beside)
        if first:
            deviation = targets.std() if self.scale else 0.0
            learnt = {
                "n_exog_": columns.shape[1],
                "exog_names_": names,
                "scale_": _moments("y", features) if self.scale else None,
                "target_scale_": float(deviation) if deviation > 0 else 1.0,
            }
            self._begin(features.shape[1], None, self._outputs(), learnt)
        keep = self._first_origin() + self.horizon
        self.history_, self.history_exog_ = values[-keep:], columns[-keep:]
        validation = None if later is None else Validation(*self._scaled(*later), None)
        how: dict[str, Any] = {"epochs": self.max_iter, "stop": True, "validation": validation}
        self._train(*self._scaled(features, targets), None, **how)
        return self

    def _series(self, y: Any, exog: Any) -> tuple[Array, Array, list[str] | None]:
        """A series that is long enough, its columns and their names."""
        values = as_series("y", y)
        columns, names = as_columns("exog", exog, values)
        least = self._first_origin() + self.horizon
        if len(values) < least:
            parts = "the window, the season and the horizon"
            msg = f"y: expected at least {least} values for {parts}, got {len(values)}"
            raise ValueError(msg)
        return values, columns, names

    def _examples(self, values: Array, columns: Array) -> tuple[Array, Array]:
        """What the windows read that end before the last horizon, and so have targets; and these."""
        origins = np.arange(self._first_origin(), len(values) - self.horizon + 1)
        # Columns reach as far.
        features = self._features(values, columns)[: origins[-1] - (self.season or 1)]
        ahead = np.lib.stride_tricks.sliding_window_view(values, self.horizon)[origins]
        return features, ahead - self._base(values, origins)

    def _scaled(self, features: Array, targets: Array) -> tuple[Numeric, Array]:
        """The windows and their targets in the units of training."""
        skipped = self._first_origin() - self.window - (self.season or 1)
        scaled = (targets / self.target_scale_).astype(as_float_dtype(self.dtype))
        return self._windows(features[skipped:]), scaled

    def predict(self, exog: Any = None, *, y: Any = None, past_exog: Any = None) -> Array:
        """The values after a series.

        Parameters
        ----------
        exog : array_like, (horizon, k)
            The columns of the times to come; needed if there were columns in training.
        y : array_like, (n,), optional
            The series to go on with; that of training when missing.
        past_exog : array_like, (n, k), optional
            Its columns.

        Returns
        -------
        ndarray, (horizon,) or (horizon, n_quantiles)
            Quantiles rise from column to column.

        Raises
        ------
        ValueError, TypeError
            A series that is too short, or other columns than in training.
        """
        check_is_fitted(self, "model_")
        values, past = self.history_, self.history_exog_
        if y is not None:
            values = as_series("y", y)
            past = self._columns("past_exog", past_exog, values)
        elif past_exog is not None:
            msg = "past_exog: expected with y, whose columns they are, got them alone"
            raise ValueError(msg)
        future = self._columns("exog", exog, np.empty(self.horizon))
        if len(values) < self._first_origin():
            msg = f"y: expected at least {self._first_origin()} values, got {len(values)}"
            raise ValueError(msg)
        found: Array = self._forecast(values, np.concatenate([past, future]), np.array([len(values)]))[0]
        return found

    def _network_outputs(self, X: Any, lengths: Any) -> list[Array]:
        """Forecasts from every origin of a series, or of a pair of one and its columns."""
        if lengths is not None:
            msg = "lengths: expected None for a series, which has its own"
            raise ValueError(msg)
        y, exog = X if isinstance(X, tuple) else (X, None)
        values = as_series("validate", y)
        columns = self._columns("validate", exog, values)
        last = len(values) - self.horizon
        if last < self._first_origin():
            least = self._first_origin() + self.horizon
            msg = f"validate: expected at least {least} values, got {len(values)}"
            raise ValueError(msg)
        return [self._forecast(values, columns, np.arange(self._first_origin(), last + 1))]

    def _forecast(self, values: Array, exog: Array, origins: Array) -> Array:
        """Forecasts from each origin; the columns reach a horizon further than the last one."""
        padded = np.concatenate([values, np.full(max(len(exog) - len(values), 0), np.nan)])
        features = self._features(padded, exog)
        windows = self._windows(features)
        rows = origins - self.window - (self.season or 1)
        scores = self._scores(windows, rows).astype(np.float64)
        scores = scores.reshape(len(origins), self.horizon, self._levels())
        base = self._base(padded, origins)[..., np.newaxis]
        found: Array = base + np.sort(scores, axis=2) * self.target_scale_
        return found if self.quantiles is not None else found[..., 0]

    def backtest(
        self, y: Any, exog: Any = None, *, start: int, step: int = 1, refit_every: int | None = None
    ) -> Backtest:
        """Forecast from one origin after the other, each time with what was known then.

        Parameters
        ----------
        y : array_like, (n,)
            A whole series: that of training with what came after it, or another.
        exog : array_like, (n, k), optional
            Its columns.
        start : int
            Values known to the first forecast.
        step : int, default 1
            From an origin to the next.
        refit_every : int, optional
            Train anew after so many origins, with all that is known by then; never when missing.

        Returns
        -------
        Backtest

        Raises
        ------
        ValueError, TypeError
            A start that is too early, or too late for one forecast; other columns than in training.
        """
        check_is_fitted(self, "model_")
        values = as_series("y", y)
        columns = self._columns("exog", exog, values)
        last = len(values) - self.horizon
        if not self._first_origin() <= as_int("start", start, "an integer") <= last:
            msg = f"start: expected an integer from {self._first_origin()} to {last}, got {start}"
            raise ValueError(msg)
        origins = np.arange(start, last + 1, as_size("step", step))
        every = len(origins) if refit_every is None else as_size("refit_every", refit_every)
        forecasts = []
        for begin in range(0, len(origins), every):
            part, forecaster = origins[begin : begin + every], self
            if refit_every is not None:
                known = int(part[0])
                forecaster = clone(self).fit(values[:known], columns[:known] if self.n_exog_ else None)
            forecasts.append(forecaster._forecast(values, columns, part))
        actual = np.lib.stride_tricks.sliding_window_view(values, self.horizon)[origins]
        return Backtest(origins, np.concatenate(forecasts), actual, self._base(values, origins))

    def _columns(self, name: str, given: Any, beside: Array) -> Array:
        """Columns as training had them."""
        columns, names = as_columns(name, given, beside)
        self._expect_columns(name, columns, names)
        return columns

    def _expect_columns(self, name: str, columns: Array, names: list[str] | None) -> None:
        expect_same_columns(name, columns, names, self.n_exog_, getattr(self, "exog_names_", None))


def expect_same_columns(
    name: str, columns: Array, names: list[str] | None, count: int, known: list[str] | None
) -> None:
    """As many columns as training had, with their names if both have them."""
    if columns.shape[1] != count:
        msg = f"{name}: expected {count} columns as in training, got {columns.shape[1]}"
        raise ValueError(msg)
    if known is not None and names is not None and names != known:
        msg = f"{name}: expected the columns {known} in this order, as in training, got {names}"
        raise ValueError(msg)


def _moments(name: str, features: Array) -> tuple[Array, Array]:
    whole = Numeric(features, np.array([0]), np.array([len(features)]), dtype=features.dtype)
    scale = moments_of(name, whole)
    return scale.mean, scale.deviation

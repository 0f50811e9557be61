"""A network that forecasts all steps ahead at once: its windows, its training, and how good it is on what was
held out. It knows series as arrays, and must not know containers, dates or files.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from gru_rs._arrays import as_float_dtype
from gru_rs._checks import as_choice, as_flag, as_real, as_size
from gru_rs._losses import (
    PLAIN_LOSSES,
    Loss,
    LossFunction,
    QuantileError,
    called,
    expect_of_loss,
    loss_of_numbers,
)

from ._backtest import middle, root_mean_square, worse
from ._batches import Numeric, Scale, by_length
from ._numbers import moments_of_rows
from ._season import find_season
from ._supervised import SupervisedEstimator
from ._validation import Validation, of_validation_data
from ._windows import GAPS, Reach, Series, held_apart, parts_apart

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._batches import Array

_FEW, _MANY = 20, 10_000
"""Between so many windows "auto" holds the last ones out: fewer say nothing, and of more none is learnt by
heart."""

_PARTS = 4
"""Of the windows, whose errors are those of networks that have not seen them."""


class Fitted:
    """What a fit learns; no dataclass, as these are no parameters."""

    season_: int | None
    base_: Array
    n_targets_: int
    n_exog_: int
    n_observed_: int
    scale_: tuple[Array, Array] | None
    target_scale_: Array
    early_stopping_: bool
    held_out_: dict[str, Any] | None
    margins_: Array | None
    _parted: tuple[Array, Array]


@dataclass(kw_only=True, eq=False, repr=False)
class DirectForecaster(Fitted, SupervisedEstimator):
    """What a `Forecaster` is without its reading and its files."""

    horizon: int = 1
    window: int = 48
    season: int | str | None = "auto"
    scale: bool = True
    loss: str | LossFunction = "squared"
    huber_delta: float = 1.0
    quantiles: Sequence[float] | None = None
    levels: Sequence[float] | None = None
    gaps: str = "refuse"
    input_dropout: float = 0.0
    output_dropout: float = 0.0
    batch_size: int = 32
    max_iter: int = 50
    early_stopping: bool | str = "auto"  # type: ignore[assignment]

    def _check(self) -> None:
        super()._check()
        as_size("horizon", self.horizon)
        as_size("window", self.window)
        if isinstance(self.season, str):
            as_choice("season", self.season, ("auto",))
        elif self.season is not None:
            as_size("season", self.season)
        as_flag("scale", self.scale)
        self._check_loss()
        as_choice("gaps", self.gaps, GAPS)
        if isinstance(self.early_stopping, str):
            as_choice("early_stopping", self.early_stopping, ("auto",))
        else:
            as_flag("early_stopping", self.early_stopping)
        if self.quantiles is not None:
            QuantileError(self.quantiles)
            _expect_rising("quantiles", self.quantiles)
        if self.levels is not None:
            self._check_levels(self.levels)

    def _check_loss(self) -> None:
        if not callable(self.loss):
            as_choice("loss", self.loss, PLAIN_LOSSES)
        elif self.quantiles is not None:
            msg = f"quantiles: expected None with a function as loss, got {self.quantiles!r}"
            raise ValueError(msg)
        if self.quantiles is not None and self.loss != "squared":
            msg = f"loss: expected the default with quantiles, which have their own, got {self.loss!r}"
            raise ValueError(msg)
        if not 0 < as_real("huber_delta", self.huber_delta) < np.inf:
            msg = f"huber_delta: expected a positive finite number, got {self.huber_delta}"
            raise ValueError(msg)
        expect_of_loss("huber_delta", self.huber_delta, 1.0, self.loss, "huber")

    def _check_levels(self, levels: Sequence[float]) -> None:
        if self.quantiles is not None:
            msg = f"levels: expected None with quantiles, got {levels!r}"
            raise ValueError(msg)
        if not isinstance(levels, (list, tuple, np.ndarray)) or not len(levels):
            msg = f"levels: expected a list of numbers of (0, 1), got {levels!r}"
            raise TypeError(msg)
        if not all(0 < as_real("levels", level) < 1 for level in levels):
            msg = f"levels: expected numbers of (0, 1), got {list(levels)}"
            raise ValueError(msg)
        _expect_rising("levels", levels)

    def _quantiles(self) -> int:
        """Numbers that the network says of a step ahead and a target."""
        return 1 if self.quantiles is None else len(self.quantiles)

    def _reach(self) -> Reach:
        return Reach(self.window, self.horizon, self.season_, self.gaps == "mask")

    def _loss(self, targets: Array) -> Loss | LossFunction:  # noqa: ARG002
        if self.quantiles is not None:
            return QuantileError(self.quantiles)
        return self.loss if callable(self.loss) else loss_of_numbers(self.loss, delta=self.huber_delta)

    # Training

    def _stops_early(self) -> bool:
        return self.early_stopping_

    def _split(self, targets: Array, count: int, seed: int) -> tuple[Array, Array]:  # noqa: ARG002
        """The last windows are held out: the future is not to be learnt from."""
        return self._parted

    def _validation_score(
        self,
        sequences: Any,
        targets: Array,
        rows: Array,
        weights: Array | None,  # noqa: ARG002
    ) -> float:
        if callable(self.loss):
            return -called(self.loss, self._scores(sequences, rows), targets[rows])[0]
        losses = [
            self.model_.loss(x, targets[part], loss=self._loss(targets), lengths=lengths) * len(part)
            for part in by_length(sequences.lengths, rows, 256)
            for x, lengths in [sequences.batch(part)]
        ]
        return -sum(losses) / len(rows)

    def _fit_series(
        self,
        series: list[Series],
        names: list[str],
        keep: Callable[[Reach], dict[str, Any]],
        later: tuple[list[Series], list[str]] | None,
        *,
        first: bool,
    ) -> None:
        """Training on windows of series, which are in their own units and have names for messages, validated
        on later ones if there are any. What is learnt besides is asked of `keep`.
        """
        season = self._season_of(series) if first else self.season_
        reach = Reach(self.window, self.horizon, season, self.gaps == "mask")
        origins = _origins(reach, series, names)
        validated = None
        if later is not None:
            with of_validation_data():
                validated = _origins(reach, *later)
        counts = [len(own) for own in origins]
        stops = self._holds_out(sum(counts))
        parted = self._part(counts) if stops and later is None else None
        stops = parted is not None or (stops and later is not None)
        if self.levels is not None:
            self._expect_enough(sum(counts), self.levels[-1])
        pairs = [(one.values, own) for one, own in zip(series, origins, strict=True)]
        actual = np.concatenate([reach.actual(*one) for one in pairs])
        chosen = reach.choose(pairs) if first else self.base_
        base = np.concatenate([reach.base(*one, chosen) for one in pairs])
        features = [reach.features(one)[: len(one) - self.horizon - reach.lag] for one in series]
        learnt: dict[str, Any] = {"early_stopping_": stops, "held_out_": None, "margins_": None}
        if first:
            learnt |= self._learnt(reach, series[0], chosen, features, actual - base)
        known = vars(self) | learnt
        scaled = ((actual - base) / known["target_scale_"]).astype(as_float_dtype(self.dtype))
        targets = scaled.reshape(len(scaled), -1)
        windows = self._windows(reach, features, origins, known["scale_"])
        learnt |= keep(reach)
        if first:
            self._begin(windows.features, None, targets.shape[1] * self._quantiles(), learnt)
        else:
            self.__dict__.update(learnt)
        validation = None
        if later is not None and validated is not None:
            validation = self._validation(reach, later[0], validated)
        self._train_parted(windows, targets, parted, validation)
        if self.levels is not None:
            self.margins_ = self._measured(windows, targets, base, actual, counts, parted)
        if parted is not None:
            naive = [np.concatenate([of(*one) for one in pairs]) for of in (reach.last, reach.season_before)]
            self._judge(windows, base, actual, (naive[0], naive[1]), parted[1])

    def _validation(self, reach: Reach, series: list[Series], origins: list[Array]) -> Validation:
        """Windows of series that are not learnt from, and their targets."""
        features = [reach.features(one) for one in series]
        pairs = [(one.values, own) for one, own in zip(series, origins, strict=True)]
        changes = np.concatenate([reach.actual(*one) - reach.base(*one, self.base_) for one in pairs])
        scaled = (changes / self.target_scale_).astype(as_float_dtype(self.dtype))
        windows = self._windows(reach, features, origins, self.scale_)
        return Validation(windows, scaled.reshape(len(scaled), -1), None)

    def _learnt(
        self, reach: Reach, series: Series, chosen: Array, features: list[Array], changes: Array
    ) -> dict[str, Any]:
        """What is learnt before training."""
        targets = changes.shape[2]
        rows = changes.reshape(-1, targets)
        deviation = moments_of_rows("y", rows)[1] if self.scale else np.zeros(targets)
        if ((deviation > 0) & (np.square(deviation) < np.finfo(np.float64).tiny)).any():
            # Errors in their units would be 0.
            msg = f"y: expected numbers whose squares float64 can hold, got changes of {deviation.min():g}"
            raise ValueError(msg)
        return {
            "season_": reach.season,
            "base_": chosen,
            "n_targets_": targets,
            "n_exog_": series.known.shape[1],
            "n_observed_": series.observed.shape[1],
            "scale_": moments_of_rows("y", np.concatenate(features)) if self.scale else None,
            "target_scale_": np.where(deviation > 0, deviation, 1.0),
        }

    def _expect_enough(self, count: int, level: float) -> None:
        """Windows of which each of four parts can be left out, and of whose errors the largest is enough."""
        least = max(int(np.ceil(level / (1 - level) - 1e-9)), 2 * _PARTS, 2 * self.horizon)
        if count < least:
            msg = f"levels: expected at least {least} windows for a level of {level}, got {count}"
            raise ValueError(msg)

    def _measured(
        self,
        windows: Numeric,
        targets: Array,
        base: Array,
        actual: Array,
        counts: list[int],
        parted: tuple[Array, Array] | None,
    ) -> Array:
        """How far intervals reach, ``(L, horizon, K)``: by the errors on what no training saw."""
        held = 0 if parted is None or sum(counts) < _MANY else len(parted[1])
        if parted is not None and _rank(held, max(self.levels or (0,))) <= held:
            found = self._of_scores(self._scores(windows, parted[1]), base[parted[1]])[..., 0]
            errors = np.abs(found - actual[parted[1]])
        else:
            errors = self._unseen_errors(windows, targets, base, actual, counts)
        ranks = [_rank(len(errors), level) - 1 for level in self.levels or ()]
        margins: Array = np.sort(errors, axis=0)[ranks]
        return margins

    def _season_of(self, series: list[Series]) -> int | None:
        """The season that was given, or one that is found and leaves at least half of the windows."""
        if not isinstance(self.season, str):
            return self.season
        found = [
            find_season([one.values[:, at] for one in series]) for at in range(series[0].values.shape[1])
        ]
        seasons = [season for season in found if season is not None]
        if not seasons:
            return None
        with_it, without = (
            Reach(self.window, self.horizon, season, False)
            for season in (max(seasons, key=seasons.count), None)
        )
        some = all(len(with_it.origins(len(one))) for one in series)
        windows = [sum(len(reach.origins(len(one))) for one in series) for reach in (with_it, without)]
        return with_it.season if some and 2 * windows[0] >= windows[1] else None

    def _holds_out(self, count: int) -> bool:
        """Whether training ends by what is held out."""
        if isinstance(self.early_stopping, str):
            return count >= _FEW and (count < _MANY or self.levels is not None)
        return bool(self.early_stopping)

    def _part(self, counts: list[int]) -> tuple[Array, Array] | None:
        """Windows to learn from and others to be held out; None if "auto" finds none that could be."""
        by_itself = isinstance(self.early_stopping, str)
        parted = held_apart(counts, self.horizon, self.validation_fraction, few=not by_itself)
        if parted is None and not by_itself:
            msg = f"early_stopping: expected at least 2 windows, of which one is held out, got {sum(counts)}"
            raise ValueError(msg)
        return parted

    def _windows(
        self, reach: Reach, features: list[Array], origins: list[Array], scale: tuple[Array, Array] | None
    ) -> Numeric:
        """A window for each origin; those of a series lie on each other."""
        begins = np.cumsum([0, *map(len, features)])
        parts = zip(begins, origins, strict=False)
        starts = np.concatenate([begin + reach.starts(own) for begin, own in parts]).astype(np.intp)
        return Numeric(
            features[0] if len(features) == 1 else np.concatenate(features),
            starts,
            np.full(len(starts), self.window, np.intp),
            self.window,
            dtype=as_float_dtype(self.dtype),
            scale=None if scale is None else Scale(*scale),
        )

    def _train_parted(
        self,
        windows: Numeric,
        targets: Array,
        parted: tuple[Array, Array] | None,
        validation: Validation | None = None,
    ) -> None:
        """Training, on the windows that are not held out if some are."""
        if parted is not None:
            self._parted = parted
        try:
            self._train(windows, targets, None, stop=True, validation=validation)
        finally:
            self.__dict__.pop("_parted", None)

    def _judge(
        self, windows: Numeric, base: Array, actual: Array, naive: tuple[Array, Array], held: Array
    ) -> None:
        """Errors on what was held out, and a warning if a naive forecast was better."""

        def error(forecasts: Array) -> float:
            return root_mean_square((forecasts - actual[held]) / self._unit())

        of_last = error(naive[0][held])
        before = None if self.season_ is None else error(naive[1][held])
        self.held_out_ = {"windows": len(held), "rmse": None, "last_rmse": of_last, "season_rmse": before}
        place = middle(self._quantiles(), self.quantiles)
        if place is None:
            return
        rmse = error(self._of_scores(self._scores(windows, held), base[held])[..., place])
        self.held_out_["rmse"] = rmse
        said = worse(rmse, of_last, before, self.season_)
        if said is not None:
            warnings.warn(f"on the {len(held)} windows that were held out {said}", stacklevel=5)

    def _unseen_errors(
        self, windows: Numeric, targets: Array, base: Array, actual: Array, counts: list[int]
    ) -> Array:
        """Absolute errors ``(n, horizon, K)`` of windows by networks that have not seen them: of each of four
        parts by one that learns from the others.
        """
        errors = []
        for rest, rows in parts_apart(counts, self.horizon, _PARTS):
            left = np.diff(np.searchsorted(rest, np.cumsum([0, *counts]))).tolist()
            other = self._without(windows, targets, rest, left)
            found = other._of_scores(other._scores(windows, rows), base[rows])[..., 0]
            errors.append(np.abs(found - actual[rows]))
        return np.concatenate(errors)

    def _without(self, windows: Numeric, targets: Array, rows: Array, counts: list[int]) -> Self:
        """A network like this one that has learnt from some windows, so many of each series."""
        other: Self = clone(self).set_params(callbacks=(), verbose=False)
        learnt = {name: vars(self)[name] for name in ("season_", "base_", "n_targets_", "target_scale_")}
        parted = other._part(counts) if self.early_stopping_ and sum(counts) > 1 else None
        stops = {"early_stopping_": parted is not None}
        other._begin(windows.features, None, targets.shape[1], learnt | stops)
        some = replace(windows, starts=windows.starts[rows], lengths=windows.lengths[rows])
        other._train_parted(some, targets[rows], parted)
        return other

    def _unit(self) -> Array:
        """What errors of several targets are counted in."""
        return np.ones(1) if self.n_targets_ == 1 else self.target_scale_

    # Forecasts

    def _of_scores(self, scores: Array, base: Array) -> Array:
        """Forecasts ``(origins, horizon, K, Q)`` from what the network says and what they begin with."""
        spread = np.sort(scores.astype(np.float64).reshape(*base.shape, self._quantiles()), axis=3)
        found: Array = base[..., np.newaxis] + spread * self.target_scale_[:, np.newaxis]
        return found

    def _forecast(self, series: list[Series], origins: list[Array]) -> list[Array]:
        """Forecasts ``(origins, horizon, K, Q)`` of each series, in its own units, from each of its origins;
        columns that are known ahead reach a horizon further than the last one.
        """
        reach = self._reach()
        features = [reach.features(one) for one in series]
        windows = self._windows(reach, features, origins, self.scale_)
        pairs = zip(series, origins, strict=True)
        base = np.concatenate([reach.base(one.values, own, self.base_) for one, own in pairs])
        found = self._of_scores(self._scores(windows, windows.rows), base)
        if self.levels is not None:
            margins = np.moveaxis(self._margins(len(self.levels)), 0, -1)
            found = np.concatenate([found - margins[..., ::-1], found, found + margins], axis=3)
        return np.split(found, np.cumsum([len(own) for own in origins])[:-1])

    def _margins(self, count: int) -> Array:
        if self.margins_ is None or len(self.margins_) != count:
            have = "none" if self.margins_ is None else f"{len(self.margins_)}"
            msg = f"levels: expected those of a fit that has ended, got {count} where the fit has {have}"
            raise ValueError(msg)
        return self.margins_


def _origins(reach: Reach, series: list[Series], names: list[str]) -> list[Array]:
    """From where each series can be forecast, and what came is known; of all together there must be one."""
    least = reach.first + reach.horizon
    for name, one in zip(names, series, strict=True):
        if len(one) < least:
            parts = "the window, the season and the horizon"
            msg = f"{name}: expected at least {least} values for {parts}, got {len(one)}"
            raise ValueError(msg)
    found = [reach.whole(one) for one in series]
    if not sum(map(len, found)):
        msg = "y: expected a window whose horizon has no gap, got none"
        raise ValueError(msg)
    return found


def _rank(count: int, level: float) -> int:
    """Which of so many errors, from 1, bounds a share of those to come (split conformal prediction)."""
    return max(int(np.ceil((count + 1) * level - 1e-9)), 1)


def _expect_rising(name: str, levels: Sequence[float]) -> None:
    if list(levels) != sorted(set(levels)):
        msg = f"{name}: expected rising levels, got {list(levels)}"
        raise ValueError(msg)

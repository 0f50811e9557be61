"""What a fitted estimator says of itself to what writes it in another form. It must not know those forms."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from gru_rs._exported import Exported, Forecast

from ._reader import NumberReader, TokenReader
from ._tokens import is_function
from ._windows import BOTH, SEASON

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gru_rs._exported import Answer

    from ._batches import Token


def of_sequences(
    estimator: Any, answer: Answer, learnt: Mapping[str, Any], *, most: int | None, **more: Any
) -> Exported:
    """An estimator of sequences, with what it learnt of its targets; it reads at most so many steps."""
    reader, about, scale, per_step = estimator._reader, dict(learnt), None, 1
    if isinstance(reader, NumberReader):
        names = reader.columns.get("feature_names_in_")
        about |= {} if names is None else {"feature_names": names.tolist()}
        scale = None if reader.scale is None else (reader.scale.mean, reader.scale.factor)
    elif isinstance(reader, TokenReader):
        read = reader.tokenizer
        per_step = read.per_step
        about |= {"vocabulary": listed(reader.vocabulary), "lowercase": read.lowercase, "per_step": per_step}
        told: dict[str, Any] = {"token_features": read.token_features}
        if read.of_text is not False:
            told["analyzer"] = read.analyzer
        about |= said(estimator, told, stacklevel=7)
    if most is not None:
        about["max_length"] = most
    return Exported(type(estimator).__name__, estimator.model_, answer, about, scale, per_step, most, **more)


def said(estimator: Any, given: Mapping[str, Any], *, stacklevel: int = 6) -> dict[str, Any]:
    """How texts are read, as far as it has a name; a warning of what has none, of the line that asked for all
    this.
    """
    for name, value in given.items():
        if is_function(value):
            msg = f"{name}: {type(estimator).__name__} has a function of your own, which is not part of the "
            warnings.warn(
                f"{msg}model: apply it before, and look its tokens up in the vocabulary",
                stacklevel=stacklevel,
            )
    return {name: value for name, value in given.items() if not is_function(value)}


def listed(vocabulary: Mapping[Token, int]) -> list[Any]:
    """Tokens by their numbers; None has those of what is no token."""
    found: list[Any] = [None] * (max(vocabulary.values(), default=0) + 1)
    for token, number in vocabulary.items():
        found[number] = token
    return found


def of_forecaster(estimator: Any) -> Exported:
    """A forecaster: how windows are made of a series, and what its columns and series are called."""
    reach, base, levels = estimator._reach(), estimator.base_, estimator.levels
    margins = None if levels is None else estimator._margins(len(levels))
    forecast = Forecast(
        reach.window,
        reach.horizon,
        reach.lag,
        reach.first,
        reach.before,
        base == SEASON,
        base == BOTH,
        estimator.target_scale_,
        estimator.n_exog_,
        estimator.n_observed_,
        reach.masked,
        estimator.series_scale_ is not None,
        estimator._quantiles(),
        margins,
        estimator._flat,
        estimator.quantiles is None and levels is None,
    )
    about: dict[str, Any] = {"horizon": reach.horizon, "length": reach.first, "season": reach.season}
    about |= {"gaps": estimator.gaps}
    columns = ("target_names_", "exog_names_", "observed_names_", "quantiles", "levels")
    for name in columns:
        value = getattr(estimator, name)
        if value is not None:
            about[name.rstrip("_")] = np.asarray(value).tolist()
    if estimator.series_ is not None:
        about["series"] = [one if isinstance(one, (str, int)) else str(one) for one in estimator.series_]
    if estimator.series_scale_ is not None:
        about["mean"], about["deviation"] = (part.tolist() for part in estimator.series_scale_)
    scale = estimator.scale_
    if scale is not None:
        scale = scale[0], 1 / np.where(scale[1] > 0, scale[1], 1.0)
    return Exported("Forecaster", estimator.model_, "numbers", about, scale, forecast=forecast)

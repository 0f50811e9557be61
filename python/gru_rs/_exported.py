"""What an estimator is without its manners: a network, with plain descriptions of what goes in and comes out,
for the files that write it in another form. It must not know estimators or those forms.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from ._arrays import Array

Answer: TypeAlias = Literal["scores", "softmax", "sigmoid", "log_softmax", "numbers"]
"""What becomes of scores: nothing, a probability, its logarithm, or numbers in the units of the targets."""


@dataclass(frozen=True)
class Exported:
    """A fitted estimator.

    Attributes
    ----------
    kind : str
        Its class.
    model : Model or EncoderDecoder
        The network.
    answer : str
        What becomes of its scores.
    about : dict of str to JSON's types
        What was learnt beside the network: classes, vocabulary, names of columns.
    scale : pair of ndarray (F,), or None
        Of inputs that are numbers the mean, and 1 over the deviation, in float64.
    per_step : int
        Numbers of a token.
    most : int or None
        Steps of a sequence that are read, from the first; None: all.
    moments : pair of ndarray (outputs,), or None
        Of numbers that come out the mean and the deviation.
    flat : bool
        Whether numbers that come out have no axis of outputs.
    carries : bool
        Whether states come in and go out: sequences come in parts.
    forecast : Forecast or None
        How windows are made of a series, if it is one.
    """

    kind: str
    model: Any
    answer: Answer
    about: dict[str, Any] = field(default_factory=dict)
    scale: tuple[Array, Array] | None = None
    per_step: int = 1
    most: int | None = None
    moments: tuple[Array, Array] | None = None
    flat: bool = False
    carries: bool = False
    forecast: Forecast | None = None


@dataclass(frozen=True)
class Forecast:
    """How a forecaster makes a window of the end of a series, and a forecast of scores.

    Attributes
    ----------
    window, horizon, lag, length : int
        Values that are read, and that are forecast; how far back the difference beside a value goes; values
        of a series that are needed.
    before : ndarray of int, (horizon,)
        How far back a season before lies, for each step ahead.
    season, both : ndarray of bool, (horizon, K)
        Where a forecast begins with what was a season before, or with the last value and how it went on a
        season before; elsewhere with the last value.
    unit : ndarray, (K,)
        What the network's differences are counted in.
    known, observed : int
        Columns that are known ahead, and that are not.
    masked : bool
        Whether the network is told where values were missing.
    own_units : bool
        Whether each series has a mean and a deviation of its own.
    quantiles : int
        Numbers that the network says of a step ahead and a target.
    margins : ndarray, (levels, horizon, K), or None
        Half of the intervals' widths.
    flat, alone : bool
        Whether a series has one target without an axis, a forecast one number without an axis.
    """

    window: int
    horizon: int
    lag: int
    length: int
    before: Array
    season: Array
    both: Array
    unit: Array
    known: int
    observed: int
    masked: bool
    own_units: bool
    quantiles: int
    margins: Array | None
    flat: bool
    alone: bool

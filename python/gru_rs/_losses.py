"""What a model loses by scores that are not the targets. The formulas are in src/nn/loss.rs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from . import _core
from ._arrays import Array, as_array, as_float_dtype, as_lengths, as_spelling, as_weights, expect_shape
from ._checks import as_count, as_real, shown
from ._words import WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


class Loss:
    """A mean over rows, each weighted by how much it counts."""

    _core: _core.Loss
    _repr: str
    _word: ClassVar[str]
    """Its word in the table."""
    _of_classes = False

    def __repr__(self) -> str:
        return self._repr


class CrossEntropy(Loss):
    """Softmax cross-entropy of classes, as PyTorch's CrossEntropyLoss.

    Parameters
    ----------
    class_weights : array_like, (n_classes,), optional
        How much each class counts, finite and not negative; all alike when missing.
    label_smoothing : float, default 0.0
        Share of the target, of [0, 1), that goes to all classes alike (Szegedy et al., 2016).

    Raises
    ------
    ValueError
        A number outside its range.

    Examples
    --------
    >>> CrossEntropy(label_smoothing=0.1)
    CrossEntropy(label_smoothing=0.1)
    """

    _word = "cross_entropy"
    _of_classes = True

    def __init__(self, class_weights: ArrayLike | None = None, *, label_smoothing: float = 0.0) -> None:
        smoothing = as_real("label_smoothing", label_smoothing)
        weights: list[float] = []
        shown = []
        if class_weights is not None:
            array = as_array("class_weights", class_weights, np.dtype(np.float64))
            expect_shape("class_weights", array, ("n_classes",))
            weights = array.tolist()
            shown.append(repr(weights))
        self._core = _core.Loss.cross_entropy(smoothing, weights)
        shown += [f"label_smoothing={smoothing}"] if smoothing else []
        self._repr = f"CrossEntropy({', '.join(shown)})"


class _OfNumbers(Loss, ABC):
    """Of one number for each score."""

    @abstractmethod
    def of_differences(self, differences: Array) -> Array:
        """What is lost by each score − target, before any mean."""


class SquaredError(_OfNumbers):
    """(score − target)², as PyTorch's MSELoss.

    Examples
    --------
    >>> SquaredError()
    SquaredError()
    """

    _word = "squared"

    def __init__(self) -> None:
        self._core, self._repr = _core.Loss.squared(), "SquaredError()"

    def of_differences(self, differences: Array) -> Array:
        found: Array = differences**2
        return found


class AbsoluteError(_OfNumbers):
    """|score − target|, as PyTorch's L1Loss.

    Examples
    --------
    >>> AbsoluteError()
    AbsoluteError()
    """

    _word = "absolute"

    def __init__(self) -> None:
        self._core, self._repr = _core.Loss.absolute(), "AbsoluteError()"

    def of_differences(self, differences: Array) -> Array:
        return np.abs(differences)


class QuantileError(_OfNumbers):
    """The pinball loss (Koenker and Bassett, 1978), whose minimum is a quantile of the target.

    Parameters
    ----------
    levels : sequence of float
        Levels of (0, 1), at least one. A model has a score for each level of each target, side by side.

    Raises
    ------
    ValueError
        No level, or one outside (0, 1).

    Examples
    --------
    >>> QuantileError([0.1, 0.5, 0.9])
    QuantileError([0.1, 0.5, 0.9])
    """

    _word = "quantile"

    def __init__(self, levels: Sequence[float]) -> None:
        array = as_array("levels", levels, np.dtype(np.float64))
        expect_shape("levels", array, ("n_levels",))
        self.levels: tuple[float, ...] = tuple(array.tolist())
        self._core, self._repr = _core.Loss.quantile(list(self.levels)), f"QuantileError({list(self.levels)})"

    def of_differences(self, differences: Array) -> Array:
        """Of one level."""
        (level,) = self.levels
        return np.where(differences > 0, (1 - level) * differences, -level * differences)


class HuberError(_OfNumbers):
    """Half the square near the target, straight beyond, as PyTorch's HuberLoss (Huber, 1964).

    Outliers pull no more than others.

    With d = score − target: d² / 2 up to abs(d) = delta, delta · (abs(d) − delta / 2) beyond.

    Parameters
    ----------
    delta : float, default 1.0
        Positive and finite, in units of the targets.

    Raises
    ------
    ValueError
        A `delta` outside its range.

    Examples
    --------
    >>> HuberError(0.5)
    HuberError(0.5)
    """

    _word = "huber"

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = as_real("delta", delta)
        self._core, self._repr = _core.Loss.huber(self.delta), f"HuberError({self.delta})"

    def of_differences(self, differences: Array) -> Array:
        off = np.abs(differences)
        return np.where(off > self.delta, self.delta * (off - 0.5 * self.delta), 0.5 * off * off)


class BinaryCrossEntropy(Loss):
    """Of labels that do not exclude each other, as PyTorch's BCEWithLogitsLoss.

    Each score x by itself is ln p / (1 − p) of its label: ln(1 + eˣ) − x · target. Targets are numbers from 0
    to 1, one for each score.

    Examples
    --------
    >>> BinaryCrossEntropy()
    BinaryCrossEntropy()
    """

    _word = "binary_cross_entropy"

    def __init__(self) -> None:
        self._core, self._repr = _core.Loss.binary_cross_entropy(), "BinaryCrossEntropy()"


class CTC(Loss):
    """Of a shorter sequence of labels under the scores of all steps, as PyTorch's CTCLoss (Graves et al.,
    2006).

    A row's loss is −ln p of its labels by their number; p sums over all ways to spread the labels over the
    steps with blanks between. For a `Model` with pooling "each".

    Parameters
    ----------
    blank : int, default 0
        The class that is no label.

    Raises
    ------
    ValueError, TypeError
        No integer from 0.

    Examples
    --------
    >>> import gru_rs
    >>> model = gru_rs.Model(2, 8, 4, pooling="each", seed=1)
    >>> model.loss(np.ones((1, 5, 2), np.float32), [[3, 3]], loss=CTC()) > 0
    True
    """

    _word = "ctc"
    _of_classes = True

    def __init__(self, *, blank: int = 0) -> None:
        self.blank = as_count("blank", blank, 2**32)
        self._core, self._repr = _core.Loss.ctc(self.blank), "CTC()" if blank == 0 else f"CTC(blank={blank})"


_OF_NUMBERS: dict[str, Callable[[float, float], _OfNumbers]] = {
    SquaredError._word: lambda _level, _delta: SquaredError(),
    AbsoluteError._word: lambda _level, _delta: AbsoluteError(),
    QuantileError._word: lambda level, _: QuantileError([level]),
    HuberError._word: lambda _, delta: HuberError(delta),
}
"""The losses of one number, by word, of the level and the delta that one of them has."""

LOSSES_OF_NUMBERS = tuple(word for word in WORDS["loss"] if word in _OF_NUMBERS)
PLAIN_LOSSES = tuple(word for word in LOSSES_OF_NUMBERS if word != QuantileError._word)
"""Those that need no level."""


def loss_of_numbers(word: str, level: float = 0.5, delta: float = 1.0) -> _OfNumbers:
    """The loss of a word."""
    return _OF_NUMBERS[word](level, delta)


def expect_of_loss(name: str, value: float, default: float, loss: Any, word: str) -> None:
    """What belongs to one loss is not set for another, which would not look at it."""
    if value != default and loss != word:
        msg = f"{name}: expected {default} without loss={word!r}, which it belongs to, got {value!r}"
        raise ValueError(msg)


LossFunction: TypeAlias = Callable[[Array, Any], tuple[float, Array]]
"""A loss of one's own: of scores, (rows, n), and targets the loss and its gradient at the scores."""


def expect_own(loss: Any, sample_weight: Any, *, chain: bool) -> None:
    """What is no loss of ours is a function, and nothing is asked for that it cannot see to."""
    if not callable(loss) or isinstance(loss, type):
        msg = f"loss: expected CrossEntropy() or another loss, or a function, got {shown(loss)}"
        raise TypeError(msg)
    if sample_weight is not None:
        msg = f"sample_weight: expected None for a function as loss, got {shown(sample_weight)}"
        raise ValueError(msg)
    if chain:
        msg = f"loss: expected CrossEntropy for a chain over the labels, got {shown(loss)}"
        raise ValueError(msg)


def called(loss: LossFunction, scores: Array, targets: Any) -> tuple[float, Array]:
    """What a loss of one's own says of scores, (rows, n): the loss, and its gradient in their dtype."""
    found = loss(scores, targets)
    if not isinstance(found, tuple) or len(found) != 2:
        msg = f"loss: expected a function that returns (loss, gradient), got {shown(found)} back"
        raise TypeError(msg)
    gradient = np.asarray(found[1])
    if gradient.dtype.kind not in "iuf" or gradient.shape != scores.shape:
        got = f"shape {gradient.shape} of dtype {gradient.dtype}"
        msg = f"loss: expected a gradient of numbers, shape {scores.shape} as the scores, got {got}"
        raise ValueError(msg)
    return as_real("loss", found[0]), gradient.astype(scores.dtype)


def ctc_loss(
    scores: Array,
    targets: Any,
    *,
    lengths: ArrayLike | None = None,
    blank: int = 0,
    sample_weight: ArrayLike | None = None,
) -> tuple[float, Array]:
    """`CTC` of scores that you have, and its gradient: for a model of your own.

    Parameters
    ----------
    scores : ndarray, (B, T, C)
        float32 or float64, before any softmax. A class whose ln p at a step is below −10¹² counts as one of
        −10¹²: the loss stays finite.
    targets : sequence of sequences of int
        Each row's labels, without blanks.
    lengths : array_like of int, (B,), optional
        Each row's steps; what lies behind is not read.
    blank : int, default 0
        The class that is no label.
    sample_weight : array_like, (B,), optional
        How much each row counts.

    Returns
    -------
    loss : float
        The weighted mean over rows of −ln p by the number of labels.
    gradient : ndarray, (B, T, C)
        At the scores; 0 past a row's length.

    Raises
    ------
    ValueError, TypeError
        An argument of another shape or kind; a row with fewer steps than its labels need.

    Examples
    --------
    >>> loss, gradient = ctc_loss(np.zeros((1, 4, 3)), [[1, 2]])
    >>> round(loss, 4), gradient.shape
    (0.8432, (1, 4, 3))
    """
    if not isinstance(scores, np.ndarray):
        msg = f"scores: expected an array, got {type(scores).__name__}"
        raise TypeError(msg)
    dtype = as_float_dtype(scores.dtype.newbyteorder("="), "scores")
    array = as_array("scores", scores, dtype)
    expect_shape("scores", array, ("B", "T", "C"))
    batch, seq, classes = array.shape
    steps = [seq] * batch if lengths is None else as_lengths(lengths, batch, seq)
    wanted = (*as_spelling(targets, classes), as_weights(sample_weight, dtype))
    counts = np.arange(seq) < np.array(steps, np.intp)[:, np.newaxis]
    flat = np.ascontiguousarray(array[counts]).reshape(-1)
    loss, found = _core.ctc_loss(flat, classes, steps, wanted, as_count("blank", blank, 2**32))
    gradient = np.zeros_like(array)
    gradient[counts] = found.reshape(-1, classes)
    return loss, gradient

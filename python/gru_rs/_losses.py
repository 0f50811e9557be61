"""What a model loses by scores that are not the targets. The formulas are in src/nn/loss.rs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _core
from ._arrays import as_array, expect_shape
from ._checks import as_real

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

import numpy as np


class Loss:
    """A mean over rows, each weighted by how much it counts."""

    _core: _core.Loss
    _repr: str
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


class SquaredError(Loss):
    """(score − target)², as PyTorch's MSELoss.

    Examples
    --------
    >>> SquaredError()
    SquaredError()
    """

    def __init__(self) -> None:
        self._core, self._repr = _core.Loss.squared(), "SquaredError()"


class AbsoluteError(Loss):
    """|score − target|, as PyTorch's L1Loss.

    Examples
    --------
    >>> AbsoluteError()
    AbsoluteError()
    """

    def __init__(self) -> None:
        self._core, self._repr = _core.Loss.absolute(), "AbsoluteError()"


class QuantileError(Loss):
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

    def __init__(self, levels: Sequence[float]) -> None:
        array = as_array("levels", levels, np.dtype(np.float64))
        expect_shape("levels", array, ("n_levels",))
        self.levels: tuple[float, ...] = tuple(array.tolist())
        self._core, self._repr = _core.Loss.quantile(list(self.levels)), f"QuantileError({list(self.levels)})"

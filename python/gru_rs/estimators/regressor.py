"""SequenceRegressor: remaining life, scores, doses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array, column_or_1d

from gru_rs._arrays import as_float_dtype
from gru_rs._checks import as_choice, as_real
from gru_rs._losses import LOSSES_OF_NUMBERS, Loss, loss_of_numbers
from gru_rs._words import POOLINGS

from ._doc import document
from ._files import readable
from ._learnt import refuse
from ._supervised import StreamedEstimator
from ._targets import expect_rows, opened_targets, opened_weights

if TYPE_CHECKING:
    from ._batches import Array, Sequences
    from ._learnt import Learnt


@readable
@document
@dataclass(kw_only=True, eq=False, repr=False)
class SequenceRegressor(RegressorMixin, StreamedEstimator):  # type: ignore[misc]
    """One or several numbers for each sequence, by a GRU or LSTM.

    Parameters
    ----------
    {network}
    {pooling}
    {tokens}
    loss : {"squared", "absolute", "quantile"}, default "squared"
        What is made small; the predictions tend to the mean, the median or a quantile.
    quantile : float, default 0.5
        Level, of (0, 1), for "quantile".
    scale_target : bool, default True
        Learn each target with mean 0 and variance 1, measured in training. Losses are in these units.
    {training}

    Attributes
    ----------
    n_outputs_ : int
        Numbers for each sequence.
    target_scale_ : pair of ndarray (n_outputs,), or None
        Mean and standard deviation of the targets.
    {attributes}

    Examples
    --------
    >>> import numpy as np
    >>> from gru_rs import SequenceRegressor
    >>> rng = np.random.default_rng(1)
    >>> X = [rng.normal(size=(length, 2)) for length in rng.integers(3, 9, 64)]
    >>> y = [sequence[:, 0].sum() for sequence in X]
    >>> regressor = SequenceRegressor(hidden_size=16, max_iter=30, random_state=1).fit(X, y)
    >>> regressor.predict(X[:3]).shape
    (3,)
    """

    pooling: str = "last"
    loss: str = "squared"
    quantile: float = 0.5
    scale_target: bool = True

    def _check(self) -> None:
        super()._check()
        as_choice("loss", self.loss, LOSSES_OF_NUMBERS)
        if not 0 < as_real("quantile", self.quantile) < 1:
            msg = f"quantile: expected a number of (0, 1), got {self.quantile}"
            raise ValueError(msg)

    def _pooled(self) -> str:
        return as_choice("pooling", self.pooling, POOLINGS)

    _of_targets = ("_flat", "n_outputs_", "target_scale_")

    def _read_targets(
        self, y: Any, sequences: Sequences, known: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], Array]:
        targets = check_array(opened_targets(y), ensure_2d=False, dtype=np.float64, input_name="y")
        expect_rows("y", targets, sequences.lengths)
        if targets.ndim > 2:
            msg = f"y: expected (n,) or (n, n_outputs), got shape {targets.shape}"
            raise ValueError(msg)
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = column_or_1d(targets, warn=True)
        rows = targets.reshape(len(targets), -1)
        learnt = self._measured(targets, rows) if known is None else dict(known)
        if rows.shape[1] != learnt["n_outputs_"]:
            expected = f"{learnt['n_outputs_']} numbers a sequence as before"
            msg = f"y: expected {expected}, got {rows.shape[1]}"
            raise ValueError(msg)
        if learnt["target_scale_"] is not None:
            mean, deviation = learnt["target_scale_"]
            rows = (rows - mean) / deviation
        found: Array = rows.astype(as_float_dtype(self.dtype))
        return learnt, found

    def _measured(self, targets: Array, rows: Array) -> dict[str, Any]:
        """What is learnt of the first targets."""
        scale = None
        if self.scale_target:
            deviation = rows.std(axis=0)
            scale = rows.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
        return {"_flat": targets.ndim == 1, "n_outputs_": rows.shape[1], "target_scale_": scale}

    def _expect_targets(self, learnt: Learnt) -> None:
        outputs = learnt.size("n_outputs_")
        if learnt.flag("_flat") != (outputs == 1):
            refuse("_flat", f"{outputs == 1}, as n_outputs_ is {outputs}", learnt.value("_flat"))
        learnt.moments("target_scale_", outputs, there=self.scale_target)

    def _outputs(self, learnt: Mapping[str, Any]) -> int:
        outputs: int = learnt["n_outputs_"]
        return outputs

    def _loss(self, targets: Array) -> Loss:  # noqa: ARG002
        return loss_of_numbers(self.loss, self.quantile)

    def _validation_score(self, sequences: Any, targets: Array, rows: Array, weights: Array | None) -> float:
        weight = None if weights is None else weights[rows]
        off = self._scores(sequences, rows).astype(np.float64) - targets[rows]
        lost = loss_of_numbers(self.loss, self.quantile).of_differences(off)
        return -float(np.average(lost.mean(axis=1), weights=weight))

    def predict(self, X: Any, lengths: Any = None) -> Array:
        """The numbers.

        {given}

        Returns
        -------
        ndarray, (n,) or (n, n_outputs)
            As the targets were.

        {refused}
        """
        sequences = self._read_fitted(X, lengths)
        return self._of_scores(self._scores(sequences, sequences.rows))

    def _of_scores(self, scores: Array) -> Array:
        found = scores.astype(np.float64)
        if self.target_scale_ is not None:
            mean, deviation = self.target_scale_
            found = found * deviation + mean
        return found[..., 0] if self._flat else found

    def score(self, X: Any, y: Any, sample_weight: Any = None, lengths: Any = None) -> float:
        """The coefficient of determination, R².

        {scored}
        """
        return float(
            r2_score(opened_targets(y), self.predict(X, lengths), sample_weight=opened_weights(sample_weight))
        )

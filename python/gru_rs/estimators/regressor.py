"""SequenceRegressor: remaining life, scores, doses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array, column_or_1d

from gru_rs import _core
from gru_rs._arrays import as_float_dtype
from gru_rs._checks import as_choice, as_real
from gru_rs._losses import LOSSES_OF_NUMBERS, Loss, LossFunction, called, expect_of_loss, loss_of_numbers
from gru_rs._words import WORDS

from ._batches import end_to_end
from ._doc import document
from ._exported import of_sequences
from ._files import readable
from ._learnt import refuse
from ._numbers import row_array
from ._sequence_estimator import StreamedEstimator
from ._states import StateFeatures
from ._targets import (
    cut_as_steps,
    expect_numbers_of_steps,
    expect_rows,
    opened_targets,
    opened_weights,
    rows_of,
)

if TYPE_CHECKING:
    from gru_rs._exported import Exported

    from ._batches import Array, Sequences
    from ._learnt import Learnt


@readable
@document
@dataclass(kw_only=True, eq=False, repr=False)
class SequenceRegressor(RegressorMixin, StateFeatures, StreamedEstimator):  # type: ignore[misc]
    """One or several numbers for each sequence, or for each of its steps, by a GRU or LSTM.

    Parameters
    ----------
    {network}
    {convolution}
    pooling : {"last", "mean", "max", "concat", "attention", "each"}, default "max"
        What of a sequence is judged: its final state, the mean or maximum of the outputs, or each step by
        itself. With "each" targets are those of steps: for each sequence ``(T_i,)`` or ``(T_i, n_outputs)``,
        or padded as the sequences are; predictions are a list of such arrays.
    {tokens}
    loss : {"squared", "absolute", "quantile", "huber"} or callable, default "squared"
        What is made small; the predictions tend to the mean, the median, a quantile, or of "huber" to the
        mean without the pull of outliers. Or a function ``(scores, targets) -> (loss, gradient)`` of two
        arrays ``(rows, n_outputs)``, both in the units of training, whose gradient is shaped as the scores;
        it takes no `sample_weight`, and `gru_rs.load` asks for it again.
    quantile : float, default 0.5
        Level, of (0, 1), for "quantile".
    huber_delta : float, default 1.0
        For "huber", in the units of training: beyond it errors count by their size, no more by its square.
    scale_target : bool, default True
        Learn each target with mean 0 and variance 1, measured in training. Losses are in these units.
    {scoring}
    {training}

    Attributes
    ----------
    n_outputs_ : int
        Numbers for each sequence, or step.
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

    pooling: str = "max"
    loss: str | LossFunction = "squared"
    quantile: float = 0.5
    huber_delta: float = 1.0
    scale_target: bool = True

    def _check(self) -> None:
        super()._check()
        if not callable(self.loss):
            as_choice("loss", self.loss, LOSSES_OF_NUMBERS)
        if not 0 < as_real("quantile", self.quantile) < 1:
            msg = f"quantile: expected a number of (0, 1), got {self.quantile}"
            raise ValueError(msg)
        if not 0 < as_real("huber_delta", self.huber_delta) < np.inf:
            msg = f"huber_delta: expected a positive finite number, got {self.huber_delta}"
            raise ValueError(msg)
        expect_of_loss("quantile", self.quantile, 0.5, self.loss, "quantile")
        expect_of_loss("huber_delta", self.huber_delta, 1.0, self.loss, "huber")

    def _pooled(self) -> str:
        return as_choice("pooling", self.pooling, WORDS["pooling"])

    _of_targets = ("_flat", "n_outputs_", "target_scale_")

    def _read_fitted(self, X: Any, lengths: Any) -> Sequences:
        # Training may be cut, but each step gets its number.
        return self._read_whole(X, lengths, None if self._of_each() else self.max_length)

    def _of_each(self) -> bool:
        """Whether the network that there is has numbers for steps."""
        return self._fitted_pooling() == "each"

    def _read_targets(
        self, y: Any, sequences: Sequences, known: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], Any]:
        if self.pooling != "each":
            return self._scaled(*self._numbers(y, sequences), known)
        learnt, rows = self._scaled(*_numbers_of_steps(y, sequences, self.max_length), known)
        return learnt, end_to_end(rows, sequences.lengths)

    def _numbers(self, y: Any, sequences: Sequences) -> tuple[Array, Array]:
        """Those of each sequence, as they came and as rows."""
        numbers, _ = row_array("y", opened_targets(y), "row")
        targets = check_array(numbers, ensure_2d=False, dtype=np.float64, input_name="y")
        expect_rows("y", targets, sequences.lengths)
        if targets.ndim > 2:
            msg = f"y: expected (n,) or (n, n_outputs), got shape {targets.shape}"
            raise ValueError(msg)
        return _of_one_column(targets)

    def _scaled(
        self, targets: Array, rows: Array, known: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], Array]:
        """In the units of training, which the first targets say."""
        learnt = self._measured(targets, rows) if known is None else dict(known)
        if rows.shape[1] != learnt["n_outputs_"]:
            expected = f"{learnt['n_outputs_']} numbers as before"
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
            with np.errstate(over="ignore"):
                deviation = rows.std(axis=0)
            # Squares of numbers that are too large or too small.
            lost = ~np.isfinite(deviation) | ((deviation == 0) & (np.ptp(rows, axis=0) > 0))
            if lost.any():
                got = f"{rows[:, lost].flat[np.abs(rows[:, lost]).argmax()]:g}"
                msg = f"y: expected numbers whose squares float64 can hold, got {got}"
                raise ValueError(msg)
            scale = rows.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
        return {"_flat": targets.ndim == 1, "n_outputs_": rows.shape[1], "target_scale_": scale}

    def _answers(self) -> Literal["one", "steps", "sequences"]:
        return "steps" if self.pooling == "each" else "one"

    def _truth(self, targets: Any, rows: Array) -> Any:
        if not self._of_each():
            return self._of_scores(targets[rows])
        return [self._of_scores(targets.of(rows[i : i + 1])) for i in range(len(rows))]

    def _expect_targets(self, learnt: Learnt) -> None:
        outputs = learnt.size("n_outputs_")
        if learnt.flag("_flat") != (outputs == 1):
            refuse("_flat", f"{outputs == 1}, as n_outputs_ is {outputs}", learnt.value("_flat"))
        learnt.moments("target_scale_", outputs, there=self.scale_target)

    def _outputs(self, learnt: Mapping[str, Any]) -> int:
        outputs: int = learnt["n_outputs_"]
        return outputs

    def _read_weights(self, sample_weight: Any, sequences: Sequences) -> Array | None:
        if sample_weight is not None and callable(self.loss):
            msg = "sample_weight: expected None for a function as loss, got weights"
            raise ValueError(msg)
        return super()._read_weights(sample_weight, sequences)

    def _loss(self, targets: Any) -> Loss | LossFunction:  # noqa: ARG002
        if callable(self.loss):
            return self.loss
        return loss_of_numbers(self.loss, self.quantile, self.huber_delta)

    def _batch_targets(self, targets: Any, rows: Array) -> Array:
        return targets.of(rows) if self._of_each() else super()._batch_targets(targets, rows)

    def _units(self, sequences: Any, targets: Any) -> Array | None:  # noqa: ARG002
        lengths: Array = sequences.lengths
        return lengths if self._of_each() else None

    def _found(self, sequences: Any, rows: Array) -> Array:
        """The scores of sequences, or of all their steps, a row each."""
        if not self._of_each():
            return self._scores(sequences, rows)
        return np.concatenate(
            [*self._of_steps(sequences, rows), np.empty((0, self.model_.output_size), self.model_.dtype)]
        )

    def _of_steps(self, sequences: Any, rows: Array) -> list[Array]:
        return self._predict_rows(sequences, rows, lambda x, lengths: self.model_.scores(x, lengths=lengths))

    def _validation_score(self, sequences: Any, targets: Any, rows: Array, weights: Array | None) -> float:
        found, wanted = self._found(sequences, rows), self._batch_targets(targets, rows)
        if callable(self.loss):
            return -called(self.loss, found, wanted)[0]
        weight = None if weights is None else weights[rows]
        if weight is not None and self._of_each():
            weight = np.repeat(weight, sequences.lengths[rows])
        off = found.astype(np.float64) - wanted
        lost = loss_of_numbers(self.loss, self.quantile, self.huber_delta).of_differences(off)
        return -float(np.average(lost.mean(axis=1), weights=weight))

    def predict(self, X: Any, lengths: Any = None) -> Any:
        """The numbers.

        {given}

        Returns
        -------
        ndarray, (n,) or (n, n_outputs), or list of ndarray
            As the targets were; of steps a list, ``(T_i,)`` or ``(T_i, n_outputs)`` for each sequence, also
            beyond ``max_length``.

        {refused}
        """
        if not self._of_each():
            return self._of_scores(self._scores_of(X, lengths))
        sequences = self._read_fitted(X, lengths)
        return [self._of_scores(scores) for scores in self._of_steps(sequences, sequences.rows)]

    def _of_scores(self, scores: Array) -> Array:
        found = scores.astype(np.float64)
        if self.target_scale_ is not None:
            mean, deviation = self.target_scale_
            found = found * deviation + mean
        return found[..., 0] if self._flat else found

    def _described(self) -> Exported:
        most = None if self._of_each() else self.max_length
        more = {"moments": self.target_scale_, "flat": self._flat}
        return of_sequences(self, "numbers", {}, most=most, **more)

    def _answer(self) -> _core.Answer:
        units = self.target_scale_
        moments = None if units is None else (units[0].tolist(), units[1].tolist())
        return _core.Answer.numbers(moments, self._flat)

    def score(self, X: Any, y: Any, sample_weight: Any = None, lengths: Any = None) -> float:
        """The coefficient of determination, R²; over the steps of all sequences with pooling "each".

        {scored}
        """
        weights = opened_weights(sample_weight)
        if not self._of_each():
            return float(r2_score(opened_targets(y), self.predict(X, lengths), sample_weight=weights))
        sequences = self._read_fitted(X, lengths)
        truth, _ = _numbers_of_steps(y, sequences, None)
        found = self._of_scores(self._found(sequences, sequences.rows))
        per_step = None if weights is None else np.repeat(weights, sequences.lengths)
        return float(r2_score(truth, found, sample_weight=per_step))


def _numbers_of_steps(y: Any, sequences: Sequences, most: int | None) -> tuple[Array, Array]:
    """Those of the steps of all rows, one behind the other, as they came and as rows."""
    given = opened_targets(y)
    expect_rows("y", given, sequences.lengths)
    rows = [
        cut_as_steps("numbers", row_array(f"y, row {row}", one)[0], sequences, row, most)
        for row, one in enumerate(rows_of(given))
    ]
    expect_numbers_of_steps(rows)
    parts = [one.astype(np.float64) for one in rows if len(one)]
    if not parts:
        msg = "y: expected at least one number, got none"
        raise ValueError(msg)
    return _of_one_column(np.concatenate(parts))


def _of_one_column(targets: Array) -> tuple[Array, Array]:
    """A single column is as good as no axis, which is said."""
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = column_or_1d(targets, warn=True)
    return targets, targets.reshape(len(targets), -1)

"""Estimators with targets: how rows are learnt from, held out and predicted for. It must not know what
sequences hold, nor what the targets are.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import train_test_split

from ._base import NetworkEstimator
from ._batches import Sequences, by_length, checksum
from ._training import Labelled
from ._validation import (
    Validation,
    split_groups,
)

if TYPE_CHECKING:
    from gru_rs._losses import Loss, LossFunction

    from ._batches import Array

_PREDICTED_AT_ONCE = 256


class SupervisedEstimator(NetworkEstimator):
    """Sequences with targets."""

    # What subclasses say

    @abstractmethod
    def _loss(self, targets: Any) -> Loss | LossFunction:
        """What is lost."""

    def _batch_targets(self, targets: Any, rows: Array) -> Array:
        """Those of some rows."""
        found: Array = targets[rows]
        return found

    def _split(self, targets: Any, count: int, seed: int) -> tuple[Array, Array]:  # noqa: ARG002
        """Rows to train on and rows to validate on; of two at least."""
        held = min(math.ceil(count * self.validation_fraction), count - 1)
        train, validation = train_test_split(np.arange(count), test_size=held, random_state=seed)
        return train, validation

    def _units(self, sequences: Sequences, targets: Any) -> Array | None:  # noqa: ARG002
        """Over how many numbers of each row the loss is a mean; None: over one."""
        return None

    def _altered(self, sequences: Sequences, rows: Array) -> Callable[[Array, int], Array] | None:  # noqa: ARG002
        """What training makes of a batch of these rows; None: what it is."""
        return None

    @abstractmethod
    def _validation_score(
        self, sequences: Sequences, targets: Any, rows: Array, weights: Array | None
    ) -> float:
        """How good the model is on rows that it does not learn from: higher is better."""

    # Training

    def _scored(self, sequences: Sequences, targets: Any, rows: Array, weights: Array | None) -> float:
        """How good the model is, by what the user wants to know."""
        return self._validation_score(sequences, targets, rows, weights)

    def _train(
        self,
        sequences: Sequences,
        targets: Any,
        weights: Array | None,
        *,
        stop: bool,
        validation: Validation | None = None,
        groups: Any = None,
    ) -> None:
        """Epochs by the parameters, which may end early, or without `stop` a single one."""
        count = len(sequences.lengths)
        train, held, seed, data = np.arange(count), None, None, None
        if stop:
            data = checksum(sequences, targets, weights, *(validation or ()), groups, *self._cut(count))
        before = self._goes_on(data)
        if stop and self._stops_early() and validation is None:
            if count < 2:
                msg = "early_stopping: expected at least 2 sequences, of which one is held out, got 1"
                raise ValueError(msg)
            seed = int(self._rng.integers(2**31)) if before is None else before
            train, held = (
                self._split(targets, count, seed)
                if groups is None
                else split_groups(groups, self.validation_fraction, seed)
            )
        units = self._units(sequences, targets)
        counts = weights if units is None else units if weights is None else units * weights
        examples = Labelled(
            sequences, lambda rows: self._batch_targets(targets, rows), weights, train, counts
        )
        if stop:  # of a part of the data nobody knows what is rare in all
            examples.altered = self._altered(sequences, train)
        validate = None
        if held is not None:
            validate = partial(self._scored, sequences, targets, held, weights)
        elif validation is not None:
            others, wanted, their_weights = validation
            validate = partial(self._scored, others, wanted, others.rows, their_weights)
        self._learn(examples, self._loss(targets), validate, rows=count, stop=stop, data=data, held=seed)

    # Prediction

    def _by_rows(
        self, sequences: Sequences, rows: Array, of: Callable[[Array, Array], Sequence[Any]]
    ) -> list[Any]:
        """What a function of a batch gives for each row, the rows batched by length."""
        found: list[Any] = [None] * len(rows)
        lengths = sequences.lengths[rows]
        for places in by_length(lengths, np.arange(len(rows)), _PREDICTED_AT_ONCE):
            for place, result in zip(places.tolist(), of(*sequences.batch(rows[places])), strict=True):
                found[place] = result
        return found

    def _predict_rows(
        self, sequences: Sequences, rows: Array, of: Callable[[Array, Array], Array]
    ) -> list[Array]:
        def split(x: Array, lengths: Array) -> list[Array]:
            each = self._fitted_pooling() == "each"
            ends = np.cumsum(self.model_._frames(lengths))[:-1] if each else np.arange(1, len(lengths))
            return np.split(of(x, lengths), ends)

        return self._by_rows(sequences, rows, split)

    def _scores(self, sequences: Sequences, rows: Array) -> Array:
        """The scores of some sequences, one row each."""
        found = np.empty((len(rows), self.model_.output_size), self.model_.dtype)
        for places in by_length(sequences.lengths[rows], np.arange(len(rows)), _PREDICTED_AT_ONCE):
            x, lengths = sequences.batch(rows[places])
            found[places] = self.model_.scores(x, lengths=lengths)
        return found

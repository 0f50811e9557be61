"""What all estimators share: the network's parameters and its training, with targets or without.
Subclasses say what sequences and targets are; this must not know text, classes or time.

The estimators are dataclasses only for their constructors, which scikit-learn reads: a parameter is written
once.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from gru_rs._checks import as_choice, as_flag, as_real, as_size
from gru_rs._model import Model, Network
from gru_rs._narrow import as_width, compared, expect_validate
from gru_rs._optim import AdamW

from . import _files
from ._training import Examples, Labelled, Plan, Progress, Rates, Trainer

if TYPE_CHECKING:
    import os

    from typing_extensions import Self

    from gru_rs._losses import Loss

    from ._sequences import Array, Sequences

_PREDICTED_AT_ONCE = 256


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkEstimator(ABC, BaseEstimator):  # type: ignore[misc]
    """An embedding, a stack and a head, and how they are trained."""

    cell: str = "gru"
    hidden_size: int = 64
    num_layers: int = 1
    bidirectional: bool = False
    reset_after: bool = True
    dropout: float = 0.0
    input_dropout: float = 0.0
    output_dropout: float = 0.0
    variational: bool = False
    learning_rate_init: float = 3e-3
    learning_rate: str = "constant"
    warmup_fraction: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float | None = 1.0
    batch_size: int = 32
    max_iter: int = 50
    shuffle: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    tol: float = 1e-4
    warm_start: bool = False
    callbacks: Sequence[Callable[..., object]] = ()
    verbose: bool = False
    dtype: Any = "float32"
    random_state: Any = None

    # What subclasses say

    _network: ClassVar[type[Network]] = Model

    def _pooled(self) -> str:
        """What of a sequence the head sees."""
        return "last"

    @abstractmethod
    def _outputs(self) -> int:
        """Scores of the model."""

    # Training

    def _check(self) -> None:
        """The parameters, as far as the model does not check them."""
        as_choice("cell", self.cell, ("gru", "lstm"))
        as_choice("learning_rate", self.learning_rate, ("constant", "cosine", "plateau"))
        for name in ("batch_size", "max_iter", "n_iter_no_change"):
            as_size(name, getattr(self, name))
        for name in ("shuffle", "early_stopping", "warm_start", "verbose"):
            as_flag(name, getattr(self, name))
        as_real("tol", self.tol)
        _expect_share("warmup_fraction", self.warmup_fraction, least=0.0)
        _expect_share("validation_fraction", self.validation_fraction, least=np.nextafter(0, 1))
        if self.clip_norm is not None and not as_real("clip_norm", self.clip_norm) > 0:
            msg = f"clip_norm: expected a positive number or None, got {self.clip_norm}"
            raise ValueError(msg)
        for callback in self.callbacks:
            if not callable(callback):
                msg = f"callbacks: expected functions, got {callback!r}"
                raise TypeError(msg)

    def _build(self, inputs: int, vocabulary_size: int | None, seed: int) -> Model:
        return Model(
            inputs,
            self.hidden_size,
            self._outputs(),
            vocabulary_size=vocabulary_size,
            cell=self.cell,  # type: ignore[arg-type]
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            reset_after=self.reset_after,
            dropout=self.dropout,
            input_dropout=self.input_dropout,
            variational=self.variational,
            pooling=self._pooled(),  # type: ignore[arg-type]
            output_dropout=self.output_dropout,
            crf=getattr(self, "crf", False),
            dtype=self.dtype,
            seed=seed,
        )

    def _begin(self, inputs: int, vocabulary_size: int | None) -> None:
        """A fresh network."""
        if hasattr(self, "quantization_"):
            del self.quantization_
        draws = check_random_state(self.random_state)
        seed, shuffling = (int(draws.randint(2**31)) for _ in range(2))
        self._rng = np.random.default_rng(shuffling)
        self.model_ = self._build(inputs, vocabulary_size, seed)
        self._optimizer = self._fresh_optimizer()
        self._progress = Progress()

    def _fresh_optimizer(self) -> AdamW:
        return AdamW(self.learning_rate_init, weight_decay=self.weight_decay)

    def _learn(
        self, examples: Examples, loss: Loss, validate: Callable[[], float] | None, *, epochs: int, stop: bool
    ) -> None:
        """Some epochs over examples of any kind."""
        steps = epochs * len(examples.batches(self.batch_size, None))
        rates = Rates(self.learning_rate_init, self.learning_rate, steps, self.warmup_fraction)
        trainer = Trainer(self.model_, self._optimizer, rates, loss, self._rng)
        plan = Plan(
            epochs=epochs,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
            clip_norm=self.clip_norm,
            tolerance=self.tol if stop else -np.inf,
            patience=self.n_iter_no_change,
            verbose=self.verbose,
            callbacks=self.callbacks,
            validate=validate,
        )
        try:
            trainer.run(examples, plan, self._progress, self)
        finally:
            self.loss_curve_ = self._progress.loss_curve
            self.validation_scores_ = self._progress.validation_scores or None
            self.best_validation_score_ = self._progress.best_score
            self.n_iter_ = len(self.loss_curve_)

    # Narrow weights

    def quantize(
        self, dtype: Literal["int8", "f16"] = "int8", *, validate: Any = None, lengths: Any = None
    ) -> Self:
        """A copy for prediction whose network has narrow weights, a quarter or half as large.

        Parameters
        ----------
        dtype : {"int8", "f16"}
            See `gru_rs.Model.quantize`.
        validate : sequences, optional
            As `predict` takes them: the outputs of both networks are compared in ``quantization_``. They are
            the scores of classes before softmax, predictions in units of the training targets' deviation, the
            probabilities of what a `Seq2Seq` writes, and of a `LanguageModel` ln p of each text.
        lengths : array_like of int, optional
            Theirs.

        Returns
        -------
        estimator
            Of the same class, with ``quantization_``. It predicts and is saved as before; to train it further
            is a RuntimeError, to fit it anew gives whole weights again.

        Raises
        ------
        ValueError
            A weight that is not finite, or beyond ±65504 for ``"f16"``.
        RuntimeError
            The weights are narrow already.
        """
        check_is_fitted(self, "model_")
        expect_validate(validate, lengths)
        other = copy(self)
        # What training goes on with is not shared.
        other._rng, other._progress = deepcopy(self._rng), deepcopy(self._progress)
        other.loss_curve_, other._optimizer = other._progress.loss_curve, other._fresh_optimizer()
        other.model_ = self.model_.quantize(dtype)
        other.quantization_ = other.model_.quantization
        if validate is not None:
            both = [estimator._network_outputs(validate, lengths) for estimator in (self, other)]
            sizes = (other.model_.nbytes, self.model_.nbytes)
            other.quantization_ = compared(as_width(dtype), sizes, *both)
        return other

    @abstractmethod
    def _network_outputs(self, X: Any, lengths: Any) -> list[Array]:
        """What the network says of data as they are predicted for, to be compared."""

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator to one safetensors file: complete, or not at all.

        Parameters
        ----------
        path : path-like
            Usually ``….safetensors``; a file there is replaced.

        Raises
        ------
        OSError
            The file cannot be written.
        TypeError
            A parameter that a file cannot hold, such as a generator as ``random_state``.
        """
        _files.save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **functions: Callable[..., Any]) -> Self:
        """Read an estimator of this class; see `gru_rs.load`.

        Parameters
        ----------
        path, functions
            As for `gru_rs.load`.

        Returns
        -------
        estimator

        Raises
        ------
        OSError, ValueError
            As for `gru_rs.load`; a file of another class.
        """
        estimator = _files.load(path, **functions)
        if not isinstance(estimator, cls):
            msg = f"{path}: expected a {cls.__name__}, got a {type(estimator).__name__}"
            raise ValueError(msg)
        return estimator

    def _resume(self, model: Network, shuffling: dict[str, Any]) -> None:
        """Takes a model that was saved, and where its training stood."""
        self.model_ = model  # type: ignore[assignment]
        self._rng = np.random.default_rng(0)
        self._rng.bit_generator.state = shuffling
        self._optimizer = self._fresh_optimizer()
        self._progress = Progress(
            list(self.loss_curve_), list(self.validation_scores_ or []), self.best_validation_score_
        )

    def __getstate__(self) -> dict[str, Any]:
        """Without the optimizer's moments, which training would begin anew."""
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_optimizer", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "model_" in state:
            self._optimizer = self._fresh_optimizer()


class SupervisedEstimator(NetworkEstimator):
    """Sequences with targets."""

    # What subclasses say

    @abstractmethod
    def _loss(self, targets: Any) -> Loss:
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

    @abstractmethod
    def _validation_score(
        self, sequences: Sequences, targets: Any, rows: Array, weights: Array | None
    ) -> float:
        """How good the model is on rows that it does not learn from: higher is better."""

    # Training

    def _train(
        self, sequences: Sequences, targets: Any, weights: Array | None, *, epochs: int, stop: bool
    ) -> None:
        """Some epochs; with `stop` they may end early, by the parameters."""
        count = len(sequences.lengths)
        train, held = np.arange(count), None
        if stop and self.early_stopping:
            if count < 2:
                msg = "early_stopping: expected at least 2 sequences, of which one is held out, got 1"
                raise ValueError(msg)
            train, held = self._split(targets, count, int(self._rng.integers(2**31)))
        units = self._units(sequences, targets)
        counts = weights if units is None else units if weights is None else units * weights
        examples = Labelled(
            sequences, lambda rows: self._batch_targets(targets, rows), weights, train, counts
        )
        validate = None
        if held is not None:
            validate = partial(self._validation_score, sequences, targets, held, weights)
        self._learn(examples, self._loss(targets), validate, epochs=epochs, stop=stop)

    # Prediction

    def _by_rows(
        self, sequences: Sequences, rows: Array, of: Callable[[Array, Array], Sequence[Any]]
    ) -> list[Any]:
        """What a function of a batch gives for each row, the rows batched by length."""
        found: list[Any] = [None] * len(rows)
        order = np.argsort(sequences.lengths[rows], kind="stable")
        for start in range(0, len(rows), _PREDICTED_AT_ONCE):
            places = order[start : start + _PREDICTED_AT_ONCE]
            for place, result in zip(places, of(*sequences.batch(rows[places])), strict=True):
                found[place] = result
        return found

    def _predict_rows(
        self, sequences: Sequences, rows: Array, of: Callable[[Array, Array], Array]
    ) -> list[Array]:
        def split(x: Array, lengths: Array) -> list[Array]:
            ends = np.cumsum(lengths)[:-1] if self._pooled() == "each" else np.arange(1, len(lengths))
            return np.split(of(x, lengths), ends)

        return self._by_rows(sequences, rows, split)

    def _scores(self, sequences: Sequences, rows: Array) -> Array:
        """The scores of some sequences, one row each."""
        found = self._predict_rows(sequences, rows, lambda x, lengths: self.model_.scores(x, lengths=lengths))
        return np.concatenate(found) if found else np.empty((0, self._outputs()), self.model_.dtype)


def _expect_share(name: str, value: Any, *, least: float) -> None:
    if not least <= as_real(name, value) < 1:
        msg = f"{name}: expected a number from 0 to below 1, got {value}"
        raise ValueError(msg)

"""What all estimators share: the network's parameters and its training, with targets or without.
Subclasses say what sequences and targets are; this must not know text, classes or time.

`fit` alone writes on an estimator; whatever else it is asked only reads, so that threads may share it.

The estimators are dataclasses only for their constructors, which scikit-learn reads: a parameter is written
once.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from gru_rs._files import MAX_BYTES
from gru_rs._model import Model
from gru_rs._optim import AdamW
from gru_rs._quantize import Quantization, as_width, compared, expect_validate
from gru_rs._sequence_network import SequenceNetwork

from . import _files
from ._defaults import dropouts_of, run_of, told
from ._frozen import Frozen
from ._progress import Progress
from ._settings import callbacks_of, expect_settings
from ._training import Examples, Plan, Rates, Trainer, identity

if TYPE_CHECKING:
    import os

    from typing_extensions import Self

    from gru_rs._exported import Exported
    from gru_rs._losses import Loss, LossFunction

    from ._batches import Array
    from ._learnt import Learnt, Sizes

_COUNTED = (
    "loss",
    "quantile",
    "quantiles",
    "huber_delta",
    "class_weight",
    "label_smoothing",
    "scoring",
)
"""Parameters that say what a loss or a score is: those of one are no better than those of another."""

_MADE = {"_optimizer", "_progress", "_reader", "_rng"}
"""Attributes that a file holds in another form."""


class Fitted(BaseEstimator):  # type: ignore[misc]
    """The attributes that all of them have once they are fitted; no dataclass, as these are no parameters."""

    model_: Model
    quantization_: Quantization | None
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    n_iter_: int
    stop_reason_: str | None
    _rng: np.random.Generator
    _optimizer: AdamW
    _progress: Progress
    _reader: Any


@dataclass(kw_only=True, eq=False, repr=False)
class NetworkEstimator(ABC, Fitted):
    """An embedding, a stack and a head, and how they are trained."""

    cell: str = "gru"
    hidden_size: int = 64
    num_layers: int = 1
    bidirectional: bool = False
    reset_after: bool = True
    dropout: float = 0.0
    input_dropout: float | None = None
    output_dropout: float | None = None
    variational: bool = False
    learning_rate_init: float = 3e-3
    learning_rate: str | None = None
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float | None = 1.0
    batch_size: int | None = None
    max_iter: int | None = None
    shuffle: bool = True
    early_stopping: bool = False
    validation_fraction: float = 0.1
    n_iter_no_change: int | None = None
    tol: float = 1e-4
    warm_start: bool = False
    frozen: Sequence[str] = ()
    callbacks: Callable[..., object] | Sequence[Callable[..., object]] = ()
    verbose: bool = False
    dtype: Any = "float32"
    random_state: Any = None

    # What subclasses say

    _network: ClassVar[type[SequenceNetwork]] = Model
    _carries: ClassVar[bool] = False
    """Whether a batch goes on from the state in which the one before it ended."""
    _once_learnt: ClassVar[tuple[str, ...]] = ()
    """Attributes of a fit that the next one may not have."""

    def _pooled(self) -> str:
        """What of a sequence the head sees."""
        return "last"

    def _fitted_pooling(self) -> str:
        """The same of the network that there is: the parameter may have been set since."""
        if "model_" not in vars(self):
            check_is_fitted(self, "model_")
        found: str = getattr(self.model_, "pooling", "last")
        return found

    # Training

    def _check(self) -> None:
        """The parameters, as far as the model does not check them."""
        expect_settings(self)

    def _fits_anew(self) -> bool:
        """Whether `fit` begins with a fresh network, as there is none to go on with."""
        return not (self.warm_start and hasattr(self, "model_"))

    def _stops_early(self) -> bool:
        """Whether rows are held out, by which training may end."""
        return self.early_stopping

    def _patience(self, *, stop: bool) -> int | None:
        """Epochs without improvement that end training: what is set, else 10 of validation, else none."""
        if not stop:
            return None
        if self.n_iter_no_change is None:
            return 10 if self._stops_early() else None
        return self.n_iter_no_change

    def _own_options(self) -> dict[str, Any]:
        """What a network of this class alone is given."""
        crf = getattr(self, "crf", False)
        return {"variational": self.variational, "pooling": self._pooled(), "crf": crf}

    def _network_options(self, inputs: int, vocabulary_size: int | None, outputs: int) -> dict[str, Any]:
        """All that a network is given, but for its seed."""
        names = (
            "hidden_size",
            "cell",
            "num_layers",
            "bidirectional",
            "reset_after",
            "dropout",
            "dtype",
        )
        own = {name: getattr(self, name) for name in names} | self._own_options()
        own |= dropouts_of(self, tokens=vocabulary_size is not None)
        return own | {"input_size": inputs, "output_size": outputs, "vocabulary_size": vocabulary_size}

    def _begin(
        self,
        inputs: int,
        vocabulary_size: int | None,
        outputs: int,
        learnt: Mapping[str, Any],
        prepare: Callable[[SequenceNetwork], None] | None = None,
    ) -> None:
        """A fresh network, prepared, and what was learnt of the data for it; nothing changes if it cannot be
        made.
        """
        draws = check_random_state(self.random_state)
        seed, shuffling = (int(draws.randint(2**31)) for _ in range(2))
        make: Callable[..., SequenceNetwork] = self._network
        model = make(**self._network_options(inputs, vocabulary_size, outputs), seed=seed)
        Frozen(self.frozen, model)  # or an error, while nothing has changed
        if prepare is not None:
            prepare(model)
        optimizer, state = self._fresh_optimizer(), self.__dict__
        for name in (*self._once_learnt, "quantization_"):
            state.pop(name, None)
        state.update(
            learnt,
            model_=model,
            _optimizer=optimizer,
            _progress=Progress(),
            _rng=np.random.default_rng(shuffling),
        )

    def _fresh_optimizer(self) -> AdamW:
        return AdamW(self.learning_rate_init, weight_decay=self.weight_decay)

    def _cut(self, rows: int) -> tuple[Any, ...]:
        """By what data become batches and are held out, and in what losses and scores are counted: a run does
        not go on with others.
        """
        held = self.validation_fraction if self._stops_early() else None
        counted = [identity(getattr(self, name, None)) for name in _COUNTED]
        return run_of(self, rows, whole=True).batch_size, self.shuffle, held, *counted

    def _as_fitted(self) -> dict[str, Any]:
        """Parameters besides the network's that `fit` has made use of, as they were then."""
        return {}

    def _expect_as_fitted(self) -> None:
        """No parameter was set since that would make another estimator of what was learnt."""
        model = self.model_
        sizes = model.input_size, model.vocabulary_size, model.output_size
        asked = self._network._as_options(self._network_options(*sizes)) | self._as_fitted_now()
        found = model._options | self._as_fitted()
        for name, value in asked.items():
            if name != "dtype" and found[name] != value:
                msg = f"{name}: expected {found[name]!r} as in the fit before, got {value!r}"
                raise ValueError(msg)
        if np.dtype(self.dtype) != model.dtype:
            msg = f"dtype: expected {model.dtype.name} as in the fit before, got {np.dtype(self.dtype).name}"
            raise ValueError(msg)

    def _as_fitted_now(self) -> dict[str, Any]:
        """The same as they are now."""
        return {name: getattr(self, name) for name in self._as_fitted()}

    def _goes_on(self, data: int | None) -> int | None:
        """Goes back to where the last run stood; the seed by which it held rows out, if this is its data."""
        progress = self._progress
        if progress.drawn is not None:
            self._rng.bit_generator.state = progress.drawn
        same = data is not None and data == progress.data
        if not (same or progress.ended or data is None or progress.data is None):
            run = f"the run that was stopped after {progress.place.epochs} epochs"
            msg = f"X: expected the data, the batches and the validation of {run}, got others; another begins"
            warnings.warn(msg, stacklevel=2)
        return progress.held if same else None

    def _learn(
        self,
        examples: Examples,
        loss: Loss | LossFunction,
        validate: Callable[[], float] | None,
        *,
        rows: int,
        stop: bool,
        data: int | None,
        held: int | None,
    ) -> None:
        """A run over examples of any kind, made of so many rows, or the rest of one. `data`: a checksum of
        all of them; None if nobody goes on with the run. `held`: the seed of those that are held out.
        """
        progress, run = self._progress, run_of(self, rows, whole=stop)
        if self.verbose and stop and (chosen := told(self, rows, run, self.model_._options)):
            print(chosen)
        steps = run.max_iter * len(examples.batches(run.batch_size, None))
        self._decay_as_asked()
        progress.begin(data, held, self._patience(stop=stop))
        schedule = self.learning_rate_init, run.learning_rate, steps, self.warmup_fraction
        trainer = Trainer(self.model_, self._optimizer, Rates(*schedule, progress.plateau), loss, self._rng)
        plan = Plan(
            epochs=run.max_iter,
            batch_size=run.batch_size,
            shuffle=self.shuffle,
            clip_norm=self.clip_norm,
            weight_decay=self.weight_decay,
            frozen=Frozen(self.frozen, self.model_),
            tolerance=self.tol,
            patience=self._patience(stop=stop),
            verbose=self.verbose,
            callbacks=callbacks_of(self.callbacks),
            validate=validate,
            keep_best=stop and self._stops_early(),
        )
        try:
            trainer.run(examples, plan, progress, self)
        finally:
            self.__dict__.update(progress.shown())

    def _decay_as_asked(self) -> None:
        """The weight decay may be another than in the run before, whose moments stay."""
        fresh, last = self._fresh_optimizer(), self._optimizer
        if fresh._numbers != last._numbers:
            moments, self._optimizer = last._remembered(self.model_), fresh
            if moments is not None:
                fresh._remember(self.model_, moments)

    # Quantized weights

    def quantize(
        self,
        dtype: Literal["int8", "f16", "bf16"] = "int8",
        *,
        validate: Any = None,
        lengths: Any = None,
    ) -> Self:
        """A copy for prediction whose network has quantized weights, a quarter or half as large.

        Parameters
        ----------
        dtype : {"int8", "f16", "bf16"}
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
            A weight that is not finite, or beyond ±65504 for ``"f16"``, ±3.39e38 for ``"bf16"``.
        RuntimeError
            The weights are quantized already.
        """
        check_is_fitted(self, "model_")
        expect_validate(validate, lengths)
        other = copy(self)
        # It is not trained: what has come of training is its own, and what goes on from there is not there.
        other._rng, other._optimizer = deepcopy(self._rng), other._fresh_optimizer()
        other._progress = self._progress.without_run()
        other.loss_curve_ = other._progress.loss_curve
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

    def _exported(self) -> Exported:
        """What this is without its manners, once it is fitted."""
        check_is_fitted(self, "model_")
        return self._described()

    @abstractmethod
    def _described(self) -> Exported:
        """The same, of one that is fitted."""

    def save(self, path: str | os.PathLike[str], *, training: bool = True) -> None:
        """Write the fitted estimator to one safetensors file: complete, or not at all.

        Parameters
        ----------
        path : path-like
            Usually ``….safetensors``. A file there is replaced, and gives its mode to the new one; of a
            symbolic link the target is.
        training : bool, default True
            Whether the file has what training goes on from: the optimizer's moments, and of `early_stopping`
            the last weights beside the best, which is three or four times the size of the weights. What is
            quantized is not trained, and has none.

        Raises
        ------
        OSError
            The file cannot be written, or what is there is no regular file.
        TypeError
            A parameter that a file cannot hold, such as a generator as ``random_state``.
        ValueError
            Parameters that were set after `fit` and would make another network.
        """
        _files.save(self, path, training=training)

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES, **functions: Callable[..., Any]
    ) -> Self:
        """Read an estimator of this class; see `gru_rs.load`.

        Parameters
        ----------
        path, max_bytes, functions
            As for `gru_rs.load`.

        Returns
        -------
        estimator

        Raises
        ------
        OSError, ValueError
            As for `gru_rs.load`; a file of another class.
        """
        estimator = _files.load(path, max_bytes, functions)
        if not isinstance(estimator, cls):
            msg = f"{path}: expected a {cls.__name__}, got a {type(estimator).__name__}"
            raise ValueError(msg)
        return estimator

    def _saved(self) -> dict[str, Any]:
        """What a file holds of what was learnt, besides the network."""
        apart = {"model_", "quantization_", *_MADE, *self.get_params(deep=False)}
        return {
            name: value for name, value in vars(self).items() if name not in apart
        } | self._progress.shown()

    @abstractmethod
    def _expect_learnt(self, learnt: Learnt) -> Sizes:
        """What a file holds of what was learnt, value by value, fits together; the network that goes with
        it.
        """

    def _recall(self) -> None:
        """Makes what reads from the attributes of a file, or of a pickle that has none."""

    def _resume(self, learnt: dict[str, Any], model: SequenceNetwork, shuffling: dict[str, Any]) -> None:
        """Takes what was learnt and a model that was saved, and where its training stood."""
        self.__dict__.update(learnt)
        self.model_ = model  # type: ignore[assignment]
        self._rng = np.random.default_rng(0)
        self._rng.bit_generator.state = shuffling
        # NumPy cuts off what is too large, and takes any number for a truth.
        taken = self._rng.bit_generator.state == shuffling and shuffling["has_uint32"] in (0, 1)
        if not taken or shuffling["state"]["inc"] % 2 == 0:
            msg = f"generators.shuffling: expected a state of PCG64, got {shuffling}"
            raise ValueError(msg)
        self._optimizer = self._fresh_optimizer()
        self._progress = Progress(
            list(self.loss_curve_),
            list(self.validation_scores_ or []),
            self.best_validation_score_,
            learnt.get("stop_reason_"),
        )
        self._recall()

    def __getstate__(self) -> dict[str, Any]:
        """A dict of its own."""
        return dict(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "model_" in state:
            # Pickles did not always have the optimizer.
            self.__dict__.setdefault("_optimizer", self._fresh_optimizer())
            if "_reader" not in state:
                self._recall()

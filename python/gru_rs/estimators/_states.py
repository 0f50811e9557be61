"""What a network makes of sequences before it says anything, as features for other models. It must not know
what is predicted.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from gru_rs._model import Model

from ._batches import by_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from gru_rs._sequence_network import SequenceNetwork

    from ._batches import Array, Sequences

_AT_ONCE = 256
_DEFAULTS = {name: one.default for name, one in inspect.signature(Model).parameters.items()}
_MOST = 127
"""Of int8, both ways."""


class StateFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin):  # type: ignore[misc]
    """A state of each sequence, as features."""

    _fitted_pooling: Callable[[], str]
    _read_fitted: Callable[[Any, Any], Sequences]

    @property
    def _n_features_out(self) -> int:
        fitted: Any = self
        return _width(fitted.model_)

    def transform(self, X: Any, lengths: Any = None) -> Any:
        """The state of each sequence, or of each step, as the head sees it: features for other models.

        Parameters
        ----------
        X, lengths
            As for `fit`.

        Returns
        -------
        ndarray, (n, hidden_size) or (n, 2 * hidden_size) with two directions
            Of the model's dtype, pooled over the steps, three times as wide with pooling "concat"; of a
            `Seq2Seq` the final state of its encoder. With pooling "each" a list of arrays ``(T_i, …)``, a row
            for each step.

        Raises
        ------
        ValueError, TypeError
            Sequences that `fit` would not take, or of another kind; with pooling "each" an output of
            `set_output` that is no list.
        """
        if self._fitted_pooling() == "each":
            config = getattr(self, "_sklearn_output_config", {}).get("transform", "default")
            if config != "default":
                msg = f"set_output: expected 'default', as steps have lists of arrays, got {config!r}"
                raise ValueError(msg)
            return states_of_steps(self, X, lengths)
        fitted: Any = self
        return final_states(fitted.model_, self._read_fitted(X, lengths))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


class StepFeatures:
    """A state of each step, as features: no transformer to scikit-learn, whose have a row a sequence."""

    def transform(self, X: Any, lengths: Any = None) -> list[Array]:
        """The states of each step as the head sees them: features for other models.

        Parameters
        ----------
        X, lengths
            As for `fit`.

        Returns
        -------
        list of ndarray, (T_i, hidden_size) or (T_i, 2 * hidden_size) with two directions
            Of the model's dtype; for each step, also beyond ``max_length`` where that holds for `predict`.

        Raises
        ------
        ValueError, TypeError
            Sequences that `fit` would not take, or of another kind.
        """
        return states_of_steps(self, X, lengths)


def states_of_steps(estimator: Any, X: Any, lengths: Any) -> list[Array]:
    """Of each sequence those of its steps."""
    check_is_fitted(estimator, "model_")
    sequences = estimator._read_fitted(X, lengths)
    model = headless(estimator.model_)
    found: list[Array] = estimator._predict_rows(sequences, sequences.rows, model._outputs_for)
    return found


def final_states(network: SequenceNetwork, sequences: Sequences) -> Array:
    """A state of each sequence, ``(n, width)``."""
    steps = getattr(network, "pooling", "last") == "each"
    model = headless(network, "last" if steps else None)
    found = np.empty((len(sequences.lengths), model.output_size), model.dtype)
    for rows in by_length(sequences.lengths, sequences.rows, _AT_ONCE):
        x, lengths = sequences.batch(rows)
        found[rows] = model.scores(x, lengths=lengths)
    return found


def _width(network: SequenceNetwork) -> int:
    """Numbers of a state: of a model's that its head sees, else of an encoder's."""
    if isinstance(network, Model):
        return next(shape[1] for name, *_, shape in network._names if name == "head.weight")
    width: int = network.hidden_size * (2 if network.bidirectional else 1)
    return width


_MADE: WeakKeyDictionary[SequenceNetwork, Model] = WeakKeyDictionary()
"""Of each network that was asked for its states the one that gives them. Nothing is written on networks or
estimators; threads that make one at once make the same.
"""


def headless(network: SequenceNetwork, pooling: str | None = None) -> Model:
    """One with the same weights whose scores are what the head sees, or with a `pooling` of its own. It is
    made once of the same weights.

    It gives them exactly, as 1 times a number and 0 times others add up to it; with weights of int8 rounded
    as a head of int8 rounds what it sees.
    """
    pooling = str(pooling or getattr(network, "pooling", "last"))
    made = _MADE.get(network)
    if made is None or made.pooling != pooling or not _is_of(made, network):
        made = _made_of(network, pooling)
        _MADE[network] = made
    return made


def _is_of(made: Model, network: SequenceNetwork) -> bool:
    """Whether it was made of the weights as they are: those of quantized networks do not change."""
    if network.quantization is not None:
        return True
    own, theirs = made._flat_view, network._flat_view
    places = {_shared(name): (begin, end) for name, begin, end, _ in network._names}
    for name, begin, end, _ in made._names:
        if not name.startswith("head."):
            first, last = places[name]
            if not np.array_equal(own[begin:end], theirs[first:last]):
                return False
    return True


def _shared(name: str) -> str:
    """What a part of an encoder with a decoder is called in a model."""
    for theirs, own in (("encoder.", "rnn."), ("source.", "embedding.")):
        if name.startswith(theirs):
            return own + name.removeprefix(theirs)
    return name


def _made_of(network: SequenceNetwork, pooling: str) -> Model:
    width, dtype = _width(network), network.dtype
    pairs = zip(network._names, network._tensors(), strict=True)
    kept = {_shared(name): tensor for (name, *_), tensor in pairs}
    options = {name: network._options.get(name, default) for name, default in _DEFAULTS.items()}
    options |= {"output_size": width, "dtype": dtype, "seed": 0, "crf": False, "pooling": pooling}
    kept["head.weight"] = _identity(kept["head.weight"][0], width, dtype)
    kept["head.bias"] = (dtype.name, [np.zeros(width, dtype)])
    return Model._from_tensors(options, [kept[name] for name, *_ in Model._names_of(options)])


def _identity(word: str, width: int, dtype: np.dtype[Any]) -> tuple[str, list[Array]]:
    """A matrix of this width of weights."""
    eye = np.eye(width).reshape(-1)
    if word == "int8":
        return word, [(_MOST * eye).astype(np.int8), np.full(width, 1 / _MOST, dtype)]
    if word == "float16":
        return word, [eye.astype(np.float16).view(np.uint16)]
    if word == "bfloat16":
        return word, [(eye.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)]
    return word, [eye.astype(dtype)]

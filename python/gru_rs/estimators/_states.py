"""What the head of a network sees of a sequence, as features for other models. It must not know what is
predicted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ._batches import by_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from gru_rs._model import Model

    from ._batches import Array, Sequences

_AT_ONCE = 256
_MOST = 127
"""Of int8, both ways."""


class StateFeatures(ClassNamePrefixFeaturesOutMixin, TransformerMixin):  # type: ignore[misc]
    """States of sequences as features."""

    model_: Model
    _pooled: Callable[[], str]
    _read_fitted: Callable[[Any, Any], Sequences]

    @property
    def _n_features_out(self) -> int:
        return _width(self.model_)

    def transform(self, X: Any, lengths: Any = None) -> Array:
        """The state of each sequence as the head sees it, pooled over the steps: features for other models.

        Parameters
        ----------
        X, lengths
            As for `fit`.

        Returns
        -------
        ndarray, (n, hidden_size), or (n, 2 * hidden_size) with two directions
            Of the model's dtype; three times as wide with pooling "concat".

        Raises
        ------
        ValueError, TypeError
            Sequences that `fit` would not take, or of another kind; a model whose pooling is "each".
        """
        check_is_fitted(self, "model_")
        if self._pooled() == "each":
            msg = "pooling: expected one by which a sequence has one state, got 'each'"
            raise ValueError(msg)
        sequences = self._read_fitted(X, lengths)
        model = headless(self.model_)
        found = np.empty((len(sequences.lengths), model.output_size), model.dtype)
        for rows in by_length(sequences.lengths, sequences.rows, _AT_ONCE):
            x, steps = sequences.batch(rows)
            found[rows] = model.scores(x, lengths=steps)
        return found

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


def _width(model: Model) -> int:
    """Numbers that the head sees."""
    return next(shape[1] for name, *_, shape in model._names if name == "head.weight")


def headless(model: Model) -> Model:
    """One with the same weights whose scores are what the head sees: exactly, as 1 times a number and 0 times
    others add up to it; with weights of int8 rounded as a head of int8 rounds what it sees.
    """
    width, dtype = _width(model), model.dtype
    options = model._options | {"output_size": width, "crf": False, "dtype": dtype, "seed": 0}
    own = {name: kept for (name, *_), kept in zip(model._names, model._tensors(), strict=True)}
    own["head.weight"] = _identity(own["head.weight"][0], width, dtype)
    own["head.bias"] = (dtype.name, [np.zeros(width, dtype)])
    return type(model)._from_tensors(options, [own[name] for name, *_ in type(model)._names_of(options)])


def _identity(word: str, width: int, dtype: np.dtype[Any]) -> tuple[str, list[Array]]:
    """A matrix of this width of weights."""
    eye = np.eye(width).reshape(-1)
    if word == "int8":
        return word, [(_MOST * eye).astype(np.int8), np.full(width, 1 / _MOST, dtype)]
    if word == "float16":
        return word, [eye.astype(np.float16).view(np.uint16)]
    return word, [eye.astype(dtype)]

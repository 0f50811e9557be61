"""Estimators of sequences that may be numbers, tokens or text: reading them, and `fit`. It must not know
what the targets are.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from gru_rs._arrays import as_float_dtype
from gru_rs._checks import as_choice, as_size

from ._network import SupervisedEstimator
from ._reading import analyzer_of, as_list, as_numeric, as_tokens, is_text, is_tokens
from ._sequences import UNKNOWN, Numeric, Token, Tokens, encode, spelling, vocabulary_of
from ._streams import EstimatorStream

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._sequences import Array


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceEstimator(SupervisedEstimator):
    """How sequences are read."""

    scale: bool = True
    tokens: bool | None = None
    analyzer: str | Callable[[str], list[str]] = "word"
    lowercase: bool = True
    min_frequency: int = 1
    max_vocabulary: int | None = None
    embedding_size: int = 64
    max_length: int | None = None
    token_features: str | Callable[[Any], Sequence[Token]] | None = None

    @abstractmethod
    def _read_targets(self, y: Any, lengths: Array, *, first: bool) -> Any:
        """The targets as training takes them; `first` when they say what there is to predict."""

    def _check(self) -> None:
        super()._check()
        as_size("min_frequency", self.min_frequency)
        as_size("embedding_size", self.embedding_size)
        for name in ("max_vocabulary", "max_length"):
            if getattr(self, name) is not None:
                as_size(name, getattr(self, name))
        if not callable(self.analyzer):
            as_choice("analyzer", self.analyzer, ("word", "char"))
        if self.token_features is not None and not callable(self.token_features):
            as_choice("token_features", self.token_features, ("spelling",))

    def _read(self, X: Any, lengths: Any, *, first: bool, most: int | None) -> Numeric | Tokens:
        """The sequences, of at most `most` steps; `first` when they say what vocabulary or scale are."""
        given = as_list(X)
        if first:
            wanted = self.tokens if self.tokens is not None else is_text(given) or is_tokens(given)
            self._reads_tokens = bool(wanted)
        if self._reads_tokens:
            return self._read_tokens(given, lengths, first=first, most=most)
        found = as_numeric(self, given, lengths, as_float_dtype(self.dtype), reset=first)
        if most is not None:
            found.lengths = np.minimum(found.lengths, most)
        if first:
            self.scale_ = found.moments() if self.scale else None
        if self.scale_ is not None:
            found.scale(*self.scale_)
        return found

    def _read_tokens(self, given: Any, lengths: Any, *, first: bool, most: int | None) -> Tokens:
        if lengths is not None:
            msg = "lengths: expected None for token sequences, which have their own"
            raise ValueError(msg)
        analyze = analyzer_of(self.analyzer, self.lowercase)
        sequences = as_tokens("X", given, analyze, lowercase=self.lowercase)
        if not sequences:
            msg = "X: expected at least one sequence, got none"
            raise ValueError(msg)
        features = self._features_of(sequences)
        if features is not None:
            sequences = [[feature for token in row for feature in features(token)] for row in sequences]
        if first:
            self.vocabulary_ = vocabulary_of(sequences, self.min_frequency, self.max_vocabulary)
        return encode(sequences, self.vocabulary_, most, self._per_step)

    def _features_of(self, sequences: list[Sequence[Token]]) -> Callable[[Any], Sequence[Token]] | None:
        """The function that gives a token's features, if there is one; how many they are is noted."""
        example = next((token for row in sequences for token in row), None)
        features = self.token_features
        if features == "spelling":
            features = spelling if isinstance(example, str) else None
        if not callable(features):
            self._per_step = 1
            return None
        per_step = 1 if example is None else len(features(example))

        def counted(token: Any) -> Sequence[Token]:
            found = features(token)
            if len(found) != per_step:
                expected = f"{per_step} features of each token"
                msg = f"token_features: expected {expected}, got {len(found)} of {token!r}"
                raise ValueError(msg)
            return found

        self._per_step = per_step
        return counted

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, lengths: Any, *, first: bool, epochs: int, stop: bool
    ) -> Self:
        """Training from the beginning, or on from where it was."""
        self._check()
        sequences = self._read(X, lengths, first=first, most=self.max_length)
        targets = self._read_targets(y, sequences.lengths, first=first)
        weights = None
        if sample_weight is not None:
            rows = np.empty((len(sequences.lengths), 1))
            checked = _check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
            weights = checked.astype(as_float_dtype(self.dtype))
        if first and isinstance(sequences, Tokens):
            self._begin(self.embedding_size, len(self.vocabulary_) + 1)
            # What is unknown says nothing until training says otherwise.
            flat = self.model_.flat.copy()
            flat[UNKNOWN * self.embedding_size : (UNKNOWN + 1) * self.embedding_size] = 0
            self.model_.set_flat(flat)
        elif first:
            self._begin(sequences.features, None)  # type: ignore[union-attr]
        self._train(sequences, targets, weights, epochs=epochs, stop=stop)
        return self

    def fit(self, X: Any, y: Any, sample_weight: Any = None, lengths: Any = None) -> Self:
        """Train on sequences and their targets.

        Parameters
        ----------
        X : sequences
            A list of ``(T_i, F)`` or ``(T_i,)`` arrays, an array ``(n, T, F)`` or ``(n, T)``, a list of
            lists of tokens (integers or strings), or a list of strings.
        y : array_like, (n,)
            A target for each sequence.
        sample_weight : array_like, (n,), optional
            How much each sequence counts.
        lengths : array_like of int, (n,), optional
            Steps of each row of an array ``(n, T, F)``; what lies behind is not read.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            A parameter or an argument that cannot be used.
        """
        first = not (self.warm_start and hasattr(self, "model_"))
        return self._fit(X, y, sample_weight, lengths, first=first, epochs=self.max_iter, stop=True)

    def _read_fitted(self, X: Any, lengths: Any) -> Numeric | Tokens:
        check_is_fitted(self, "model_")
        return self._read(X, lengths, first=False, most=self.max_length)

    def _network_outputs(self, X: Any, lengths: Any) -> list[Array]:
        sequences = self._read_fitted(X, lengths)
        every = np.arange(len(sequences.lengths))
        return self._predict_rows(sequences, every, self.model_._outputs_for)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


@dataclass(kw_only=True, eq=False, repr=False)
class StreamedEstimator(SequenceEstimator):
    """Those that say something after each step."""

    _stream_kind: ClassVar[type[EstimatorStream]] = EstimatorStream

    def stream(self, batch_size: int | None = None) -> EstimatorStream:
        """Predictions for the sequence so far, while it comes.

        Parameters
        ----------
        batch_size : int, optional
            Sequences side by side, strangers to each other; None for one, without an axis of rows.

        Returns
        -------
        EstimatorStream
            Call it with a step or a chunk. After each step it gives what the estimator predicts for the
            sequence so far: the probabilities of ``classes_`` (a tagger those of the step's label), a
            regressor's numbers; a `Transcriber` the labels that are new. It has ``state``, ``reset(mask)``,
            ``clone()``, ``join(state)`` and ``leave(row)``, and can be pickled. `max_length` does not end it.

        Raises
        ------
        ValueError
            The network is bidirectional, or has a chain over its labels: both need the end of the sequence.
        """
        check_is_fitted(self, "model_")
        return self._stream_kind(self, batch_size)

    @abstractmethod
    def _of_scores(self, scores: Array) -> Array:
        """Predictions from the scores, (…, outputs)."""

"""Estimators that read sequences of numbers, tokens or text, as the first `fit` has learnt to. It must not
know what the targets are.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from gru_rs import _core
from gru_rs._arrays import as_float_dtype
from gru_rs._checks import as_choice, as_flag, as_size
from gru_rs._words import WORDS

from ._batches import UNKNOWN, Sequences, Token, Unknowing
from ._learnt import Sizes, expect_reader
from ._reader import FITTED, SAVED, NumberReader, Reader, TokenReader, holds_tokens, opened_sequences
from ._settings import expect_share
from ._stream import EstimatorStream
from ._targets import opened_weights
from ._tokens import ANALYZERS, Analyzer, Tokenizer, expect_analyzer
from ._undo import all_or_nothing
from ._validation import (
    Validation,
    arguments_of,
    expect_scoring,
    groups_to_hold_out,
    of_validation_data,
    part,
    scored,
)
from ._vectors import vectors_of
from ._vocabulary import Choice

if TYPE_CHECKING:
    from typing_extensions import Self

    from gru_rs._sequence_network import SequenceNetwork

    from ._batches import Array
    from ._learnt import Learnt
    from ._served import Served

from ._supervised import SupervisedEstimator


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceEstimator(SupervisedEstimator):
    """Sequences that are numbers, tokens or text, read by what the first `fit` has learnt of them."""

    scale: bool = True
    tokens: bool | None = None
    analyzer: Analyzer = "auto"
    lowercase: bool = True
    vocabulary: Any = None
    min_frequency: int | None = None
    max_vocabulary: int | None = None
    embedding_size: int | None = None
    embedding_init: Any = None
    max_length: int | None = None
    token_features: str | Callable[[Any], Sequence[Token]] | None = None
    token_dropout: float = 0.5
    scoring: str | Callable[..., float] | None = None

    _once_learnt: ClassVar[tuple[str, ...]] = FITTED
    _of_targets: ClassVar[tuple[str, ...]] = ()
    """The attributes that are learnt of targets."""

    @abstractmethod
    def _read_targets(
        self, y: Any, sequences: Sequences, known: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], Any]:
        """What is known of targets with these, by attributes, and the targets as training takes them. Without
        `known` they say what there is to predict. Nothing is written on the estimator.
        """

    @abstractmethod
    def _outputs(self, learnt: Mapping[str, Any]) -> int:
        """Scores of a model for targets of which this was learnt."""

    @abstractmethod
    def _expect_targets(self, learnt: Learnt) -> None:
        """What was learnt of targets, value by value, fits together."""

    @abstractmethod
    def _truth(self, targets: Any, rows: Array) -> Any:
        """The targets of some rows as `predict` should give them."""

    def _answers(self) -> Literal["one", "steps", "sequences"]:
        """What `predict` gives for a sequence."""
        return "one"

    _own_scores: ClassVar[tuple[str, ...]] = ()
    """Names for `scoring` that scikit-learn does not have."""

    def _scored(self, sequences: Sequences, targets: Any, rows: Array, weights: Array | None) -> float:
        if self.scoring is None:
            return self._validation_score(sequences, targets, rows, weights)
        chosen = None if weights is None else weights[rows]
        return scored(self.scoring, self, part(sequences, rows), self._truth(targets, rows), chosen)

    def _expect_learnt(self, learnt: Learnt) -> Sizes:
        inputs, vocabulary_size = expect_reader(self, learnt)
        self._expect_targets(learnt)
        return Sizes(inputs, vocabulary_size, self._outputs(learnt.values))

    def _check(self) -> None:
        super()._check()
        self._choice().check()
        for name in ("embedding_size", "max_length"):
            if getattr(self, name) is not None:
                as_size(name, getattr(self, name))
        expect_analyzer("analyzer", self.analyzer, ANALYZERS)
        expect_share("token_dropout", self.token_dropout)
        if self.tokens is not None:
            as_flag("tokens", self.tokens)
        if self.token_features is not None and not callable(self.token_features):
            as_choice("token_features", self.token_features, ("spelling",))
        expect_scoring(self.scoring, self._own_scores)

    def _tokenizer(self) -> Tokenizer:
        return Tokenizer(self.analyzer, self.lowercase, self.token_features)

    def _choice(self) -> Choice:
        vectors = None if self.embedding_init is None else vectors_of(self.embedding_init)
        return Choice(self.min_frequency, self.max_vocabulary, self.vocabulary, vectors)

    def _learn_to_read(self, X: Any, lengths: Any, choice: Choice) -> tuple[Reader, Sequences]:
        """A reader of such sequences, and these, read by it."""
        given, most = opened_sequences("X", X), self.max_length
        if holds_tokens("X", given) if self.tokens is None else self.tokens:
            return TokenReader.learn(self._tokenizer(), given, lengths, most, choice, self.embedding_size)
        for name in ("vocabulary", "embedding_init"):
            if getattr(self, name) is not None:
                msg = f"{name}: expected None for sequences of numbers, got one"
                raise ValueError(msg)
        return NumberReader.learn(self, given, lengths, most, scale=bool(self.scale))

    def _altered(self, sequences: Sequences, rows: Array) -> Callable[[Array, int], Array] | None:
        if self.model_.vocabulary_size is None or self.token_dropout == 0:
            return None
        return Unknowing.of(sequences, rows, float(self.token_dropout), self.model_.vocabulary_size)

    def _cut(self, rows: int) -> tuple[Any, ...]:
        return *super()._cut(rows), self.token_dropout

    def _recall(self) -> None:
        state = self.__dict__
        if state["_reads_tokens"]:
            self._reader = TokenReader.of_saved(self._tokenizer(), state, self.model_.input_size)
        else:
            self._reader = NumberReader.of_saved(state, self.model_.dtype)
        for name in SAVED:
            state.pop(name, None)

    def _saved(self) -> dict[str, Any]:
        reader: Reader = self._reader
        return super()._saved() | reader.saved()

    def _as_fitted(self) -> dict[str, Any]:
        reader = self._reader
        return {"lowercase": reader.tokenizer.lowercase} if isinstance(reader, TokenReader) else {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        reader = vars(self).get("_reader")
        if isinstance(reader, TokenReader) and "embedding_size" not in vars(reader):  # pickles of before
            self._reader = replace(reader, embedding_size=self.model_.input_size)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        lengths: Any,
        *,
        first: bool,
        stop: bool,
        known: Mapping[str, Any] | None = None,
        validation_data: Any = None,
        groups: Any = None,
    ) -> Self:
        """Training from the beginning, perhaps with targets that are known, or on from where it was."""
        self._check()
        choice = self._choice()
        if first:
            reader, sequences = self._learn_to_read(X, lengths, choice)
        else:
            self._expect_as_fitted()
            reader = self._reader
            sequences = reader.read(self, opened_sequences("X", X), lengths, self.max_length)
            known = {name: getattr(self, name) for name in self._of_targets}
        learnt, targets = self._read_targets(y, sequences, known)
        weights = self._read_weights(sample_weight, sequences)
        validation = self._read_validation(validation_data, reader, learnt)
        used = self.early_stopping and validation is None
        numbers = groups_to_hold_out(groups, len(sequences.lengths), used=used)
        how: dict[str, Any] = {"stop": stop, "validation": validation, "groups": numbers}
        with all_or_nothing(self):
            if first:
                found = {"_reader": reader, **reader.fitted(), **learnt}
                prepare = partial(self._embed, choice, reader)
                self._begin(*reader.inputs(), self._outputs(learnt), found, prepare)
            else:
                self.__dict__.update(learnt)
            self._train(sequences, targets, weights, **how)
        return self

    def _read_weights(self, sample_weight: Any, sequences: Sequences) -> Array | None:
        """How much each row counts, if they do not count alike."""
        if sample_weight is None:
            return None
        rows = np.empty((len(sequences.lengths), 1))
        checked = _check_sample_weight(
            opened_weights(sample_weight), rows, dtype=np.float64, ensure_non_negative=True
        )
        found: Array = checked.astype(as_float_dtype(self.dtype))
        return found

    def _read_validation(
        self, validation_data: Any, reader: Reader, learnt: Mapping[str, Any]
    ) -> Validation | None:
        """Data of their own to validate on, read as those that are learnt from; nothing is learnt of them."""
        if validation_data is None:
            return None
        given = arguments_of(validation_data, ("X", "y", "sample_weight", "lengths"), 2)
        as_fitted: Any = copy(self)
        for name in self._once_learnt:
            as_fitted.__dict__.pop(name, None)
        as_fitted.__dict__.update(reader.fitted())
        with of_validation_data():
            X = opened_sequences("X", given["X"])
            sequences = reader.read(as_fitted, X, given.get("lengths"), self.max_length)
            if len(sequences.lengths) == 0:
                msg = "X: expected at least one sequence, got none"
                raise ValueError(msg)
            _, targets = self._read_targets(given["y"], sequences, learnt)
            return Validation(sequences, targets, self._read_weights(given.get("sample_weight"), sequences))

    def _embed(self, choice: Choice, reader: Reader, model: SequenceNetwork) -> None:
        """An embedding begins as vectors that were given; what is unknown says nothing before training."""
        if isinstance(reader, TokenReader):
            flat = model._flat_view.copy()
            _, first, last, shape = model._names[0]
            rows = flat[first:last].reshape(shape)
            if choice.vectors is not None:
                rows[:] = choice.vectors.rows(reader.vocabulary, rows)
                if self.verbose:
                    print(choice.vectors.told())
            rows[UNKNOWN] = 0
            model.set_flat(flat)

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        lengths: Any = None,
        *,
        validation_data: Any = None,
        groups: Any = None,
    ) -> Self:
        """Train on sequences and their targets.

        Parameters
        ----------
        X : sequences
            Numbers: a list of ``(T_i, F)`` or ``(T_i,)`` arrays, tables or nested lists; an array or tensor
            ``(n, T, F)`` or ``(n, T)``; a table ``(n, T)``; a column of lists of pandas, polars, pyarrow or
            of whatever else gives out Arrow's memory, which is read where it is. Tokens: lists of integers or
            strings, columns of lists of strings; with ``tokens=True`` integers of any form. Texts: a list, an
            array or a column of strings.
        y : array_like, (n,)
            A target for each sequence, in any of these containers.
        sample_weight : array_like, (n,), optional
            How much each sequence counts.
        lengths : array_like of int, (n,), optional
            Steps of each row of a padded form: an array, a tensor, a column of lists of fixed size. What lies
            behind is not read; labels of steps that are padded alike are cut alike.
        validation_data : tuple or dict, optional
            ``(X, y)``, ``(X, y, sample_weight)`` or ``(X, y, sample_weight, lengths)``, or a dict of these
            names: what each epoch is scored on, in ``validation_scores_``. With `early_stopping` it is in
            place of a part that is held out.
        groups : array_like, (n,), optional
            With `early_stopping`: rows of one group, such as those of one person, are held out together or
            not at all; `validation_fraction` is a share of the groups.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            A parameter or an argument that cannot be used: a value that is missing or masked, a date, NaN or
            infinity, rows of several kinds or sizes, named by row, step or column.

        Warns
        -----
        UserWarning
            Integers in an array, read as numbers, that may have been meant as tokens.

        Notes
        -----
        A loss, a gradient, a weight or a score that is no longer finite is a FloatingPointError, with the
        weights as before the step; with `early_stopping` a warning, with the best weights so far.
        """
        first = self._fits_anew()
        how: dict[str, Any] = {"first": first, "stop": True}
        how |= {"validation_data": validation_data, "groups": groups}
        return self._fit(X, y, sample_weight, lengths, **how)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, lengths: Any = None) -> Self:
        """One epoch over these sequences. The first call fixes vocabulary and scales, and what targets are.
        As nobody knows which call is the last, `learning_rate` "cosine" is "constant" here, and
        `early_stopping` and its kin are for `fit` alone.

        Parameters
        ----------
        X, y, sample_weight, lengths
            As for `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As for `fit`; a label that the first call did not have.
        """
        first = not hasattr(self, "model_")
        return self._fit(X, y, sample_weight, lengths, first=first, stop=False)

    def _read_fitted(self, X: Any, lengths: Any) -> Sequences:
        return self._read_whole(X, lengths, self.max_length)

    def _scores_of(self, X: Any, lengths: Any) -> Array:
        """A row of scores for each sequence, as the methods that predict take them."""
        served: Served | None = self._reader.served if "model_" in vars(self) else None
        found = None if served is None else served.scores(self.model_, X, lengths, self.max_length)
        if found is not None:
            return found
        sequences = self._read_fitted(X, lengths)
        return self._scores(sequences, sequences.rows)

    def _read_whole(self, X: Any, lengths: Any, most: int | None = None) -> Sequences:
        check_is_fitted(self, "model_")
        if isinstance(X, Sequences):  # that were read to be validated on
            return X
        reader: Reader = self._reader
        return reader.read(self, opened_sequences("X", X), lengths, most)

    def _network_outputs(self, X: Any, lengths: Any) -> list[Array]:
        sequences = self._read_fitted(X, lengths)
        return self._predict_rows(sequences, sequences.rows, self.model_._outputs_for)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags


@dataclass(kw_only=True, eq=False, repr=False)
class StreamedEstimator(SequenceEstimator):
    """Those that say something after each step."""

    bidirectional: bool = True
    conv_channels: int | None = None
    conv_kernel_size: int = 5
    conv_stride: int = 1
    conv_activation: str = "relu"

    _stream_kind: ClassVar[type[EstimatorStream]] = EstimatorStream

    def _check(self) -> None:
        super()._check()
        if self.conv_channels is not None:
            as_size("conv_channels", self.conv_channels)
        for name in ("conv_kernel_size", "conv_stride"):
            as_size(name, getattr(self, name))
        as_choice("conv_activation", self.conv_activation, WORDS["conv_activation"])
        if self._answers() == "steps" and self.conv_channels is not None and self.conv_stride != 1:
            msg = f"conv_stride: expected 1 where each step has an answer of its own, got {self.conv_stride}"
            raise ValueError(msg)

    def _learn_to_read(self, X: Any, lengths: Any, choice: Choice) -> tuple[Reader, Sequences]:
        reader, sequences = super()._learn_to_read(X, lengths, choice)
        if self.conv_channels is not None:
            short = int(((sequences.lengths > 1) & (sequences.lengths <= self.conv_stride)).sum())
            if short:
                of = f"{short} of {len(sequences.lengths)} sequences, which are no longer than that"
                msg = f"conv_stride={self.conv_stride}: of {of}, the first step alone is seen"
                warnings.warn(msg, stacklevel=6)
        return reader, sequences

    def _own_options(self) -> dict[str, Any]:
        names = ("conv_channels", "conv_kernel_size", "conv_stride", "conv_activation")
        return super()._own_options() | {name: getattr(self, name) for name in names}

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
            The network is bidirectional, or has a chain over its labels: both need the end of the sequence;
            or texts are read by pairs of letters, which the end of a chunk would part.
        """
        check_is_fitted(self, "model_")
        self._reader.expect_stepwise()
        if self.model_.bidirectional:
            msg = "bidirectional: expected False for a stream, as the second direction begins at the end of"
            msg += f" a sequence, got True: fit a {type(self).__name__}(bidirectional=False)"
            raise ValueError(msg)
        return self._stream_kind(self, batch_size)

    @abstractmethod
    def _of_scores(self, scores: Array) -> Array:
        """Predictions from the scores, (…, outputs)."""

    @abstractmethod
    def _answer(self) -> _core.Answer | None:
        """How Rust makes them, with the same bits; None of scores as they are."""

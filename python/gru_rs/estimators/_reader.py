"""Reading what users pass as X: which of the kinds of sequences it is, whether it can be used, and what `fit`
learns of it. It must not know targets or models.

An ndarray is numbers; a list of lists of integers, or of strings, is tokens; a list of strings is text; any
other list holds an array ``(T_i, F)`` or ``(T_i,)`` for each sequence.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils.validation import check_array, validate_data

from gru_rs._arrays import as_float_dtype
from gru_rs._checks import as_flag, as_size

from ._batches import Array, Numeric, Token, Tokens, encode, factors, spelling, vocabulary_of
from ._targets import plain_vocabulary

# Words, and each mark by itself: in short texts an exclamation mark says much.
_WORDS = r"(?u)\w+|[^\w\s]"


def analyzer_of(analyzer: str | Callable[[str], list[str]], lowercase: bool) -> Callable[[str], list[str]]:
    """What makes tokens of a text: words and marks, characters, or a function as it is."""
    if callable(analyzer):
        return analyzer
    if analyzer == "char":
        return (lambda text: list(text.lower())) if lowercase else list
    vectorizer = CountVectorizer(lowercase=lowercase, token_pattern=_WORDS)
    words: Callable[[str], list[str]] = vectorizer.build_analyzer()
    return words


def is_text(given: Any) -> bool:
    """Whether these are strings."""
    return isinstance(given, list) and len(given) > 0 and isinstance(given[0], str)


def is_tokens(given: Any) -> bool:
    """Whether these are sequences of strings or of integers, and no arrays of floats."""
    for sequence in given if isinstance(given, list) else []:
        if isinstance(sequence, np.ndarray):
            return sequence.ndim == 1 and sequence.dtype.kind in "iuU"
        if not isinstance(sequence, (list, tuple)):
            return False
        if len(sequence) > 0:
            return isinstance(sequence[0], (str, numbers.Integral))
    return False


def as_list(given: Any) -> Any:
    """Series, object arrays and arrays of strings as lists; what is a table of numbers stays."""
    if (
        isinstance(given, np.ndarray)
        and (given.dtype == object or given.dtype.kind in "US")
        and given.ndim == 1
    ):
        return given.tolist()
    if hasattr(given, "tolist") and getattr(given, "ndim", 0) == 1 and not isinstance(given, np.ndarray):
        return given.tolist()
    return list(given) if isinstance(given, tuple) else given


def as_tokens(
    name: str, given: Any, analyze: Callable[[str], Sequence[Token]], *, lowercase: bool = False
) -> list[Sequence[Token]]:
    """Sequences of tokens: `analyze` makes those of texts, others may be put in small letters."""
    if isinstance(given, np.ndarray) and given.ndim != 2:
        msg = f"{name}: expected token sequences, (n, T) or a list, got an array of shape {given.shape}"
        raise ValueError(msg)
    if not isinstance(given, (np.ndarray, list)):
        msg = f"{name}: expected a list of texts or of sequences, got {given!r} ({type(given).__name__})"
        raise TypeError(msg)
    if is_text(given):
        return [analyze(_expect_text(name, row, text)) for row, text in enumerate(given)]
    sequences = [as_sequence(name, row, sequence) for row, sequence in enumerate(given)]
    if lowercase:
        return [[token.lower() if isinstance(token, str) else token for token in row] for row in sequences]
    return sequences


def _expect_text(name: str, row: int, text: Any) -> str:
    if not isinstance(text, str):
        msg = f"{name}: expected a string in row {row} as in row 0, got {text!r} ({type(text).__name__})"
        raise TypeError(msg)
    return text


def as_sequence(name: str, row: int, sequence: Any) -> Sequence[Token]:
    """The tokens or labels of a row: strings or integers."""
    if hasattr(sequence, "tolist"):
        sequence = sequence.tolist()
    if not isinstance(sequence, (list, tuple)):
        msg = f"{name}: expected a list of tokens in row {row}, got {sequence!r} ({type(sequence).__name__})"
        raise TypeError(msg)
    for token in sequence:
        if not isinstance(token, (str, numbers.Integral)):
            msg = f"{name}: expected tokens that are strings or integers, got {token!r} in row {row}"
            raise TypeError(msg)
    return sequence


def as_numeric(estimator: Any, given: Any, lengths: Any, dtype: np.dtype[Any]) -> tuple[Numeric, Any]:
    """Sequences of numbers; and what scikit-learn is to see, if they are a table."""
    if isinstance(given, list) and not given:
        msg = "X: expected at least one sequence, got none"
        raise ValueError(msg)
    if isinstance(given, list) and not _is_table(given):
        return _ragged(given, lengths, dtype), None
    array = check_array(
        given,
        dtype=[np.float64, np.float32],
        allow_nd=True,
        # What lies past a row's length may be anything.
        ensure_all_finite=lengths is None,
        estimator=estimator,
        input_name="X",
    )
    table = None
    if array.ndim == 2:
        table = given if hasattr(given, "columns") else array
        array = array[:, :, np.newaxis]
    if array.ndim > 3:
        msg = f"X: expected (n, T), (n, T, F) or a list of sequences, got shape {array.shape}"
        raise ValueError(msg)
    rows, steps, features = array.shape
    valid = _lengths(lengths, rows, steps)
    if lengths is not None:
        for row, length in enumerate(valid):
            _expect_finite(row, array[row, :length])
    return Numeric(array, valid, features, dtype), table


def _is_table(given: list[Any]) -> bool:
    """Whether these are lists of numbers, all of one length, or no sequences at all."""
    if not all(isinstance(row, (list, tuple)) for row in given):
        return not any(hasattr(row, "__len__") for row in given)
    return len({len(row) for row in given}) == 1 and all(np.isscalar(x) for row in given for x in row)


def _ragged(given: list[Any], lengths: Any, dtype: np.dtype[Any]) -> Numeric:
    if lengths is not None:
        msg = "lengths: expected None for a list of sequences, which have their own"
        raise ValueError(msg)
    values: list[Array] = []
    for row, sequence in enumerate(given):
        array = np.asarray(sequence)
        if array.dtype.kind not in "fiub":
            msg = f"X: expected numbers in row {row}, got {type(sequence).__name__} of dtype {array.dtype}"
            raise TypeError(msg)
        array = array[:, np.newaxis] if array.ndim == 1 else array
        if array.ndim != 2 or array.shape[1] != (values[0].shape[1] if values else array.shape[1]):
            wanted = f"(T, {values[0].shape[1]})" if values else "(T, F)"
            msg = f"X: expected a sequence {wanted} in row {row}, got shape {np.shape(sequence)}"
            raise ValueError(msg)
        _expect_finite(row, array)
        values.append(array)
    lengths = np.array([len(array) for array in values], np.intp)
    return Numeric(values, lengths, values[0].shape[1], dtype)


def _expect_finite(row: int, array: Array) -> None:
    if not np.isfinite(array).all():
        msg = f"X: expected finite numbers, got NaN or infinity in row {row}"
        raise ValueError(msg)


def _lengths(given: Any, rows: int, steps: int) -> Array:
    if given is None:
        return np.full(rows, steps, np.intp)
    lengths = np.asarray(given)
    if lengths.dtype.kind not in "iu":
        msg = f"lengths: expected integers, got dtype {lengths.dtype}"
        raise TypeError(msg)
    if lengths.shape != (rows,):
        msg = f"lengths: expected shape ({rows},), got {lengths.shape}"
        raise ValueError(msg)
    if rows and not (lengths.min() >= 0 and lengths.max() <= steps):
        msg = f"lengths: expected integers from 0 to {steps}, got {lengths.min()} to {lengths.max()}"
        raise ValueError(msg)
    return lengths.astype(np.intp)


@dataclass(frozen=True)
class Tokenizer:
    """Texts, or sequences of tokens, as tokens, and of each token what can be told of it."""

    analyzer: str | Callable[[str], list[str]]
    lowercase: bool
    token_features: str | Callable[[Any], Sequence[Token]] | None = None
    per_step: int = 1
    """Numbers of a token: those of its features, or its own."""

    def tokens(self, name: str, given: Any) -> list[Sequence[Token]]:
        """Those of each sequence."""
        return as_tokens(name, given, analyzer_of(self.analyzer, self.lowercase), lowercase=self.lowercase)

    def fitted_to(self, sequences: list[Sequence[Token]]) -> Tokenizer:
        """With features that such tokens have, and as many as the first one has."""
        example = next((token for row in sequences for token in row), None)
        features = self.token_features
        if features == "spelling" and not isinstance(example, str):
            features = None
        if features is None or example is None:
            return replace(self, token_features=features, per_step=1)
        return replace(self, token_features=features, per_step=len(_function(features)(example)))

    def features(self, sequences: list[Sequence[Token]]) -> list[Sequence[Token]]:
        """The features of each token, one behind the other; without any the tokens themselves."""
        if self.token_features is None:
            return sequences
        function = _function(self.token_features)
        return [[feature for token in row for feature in self._counted(function, token)] for row in sequences]

    def _counted(self, function: Callable[[Any], Sequence[Token]], token: Token) -> Sequence[Token]:
        found = function(token)
        if len(found) != self.per_step:
            expected = f"{self.per_step} features of each token"
            msg = f"token_features: expected {expected}, got {len(found)} of {token!r}"
            raise ValueError(msg)
        return found


def _function(features: str | Callable[[Any], Sequence[Token]]) -> Callable[[Any], Sequence[Token]]:
    """What gives a token's features; by name, as a pickle should not know where functions stand."""
    return features if callable(features) else spelling


class Reader(Protocol):
    """How sequences are read. `fit` makes one when it has seen what there is to learn; afterwards it is only
    read, by any number of threads.
    """

    def read(self, estimator: Any, given: Any, lengths: Any, most: int | None) -> Numeric | Tokens:
        """Sequences for a fitted estimator, of at most `most` steps."""
        ...

    def step(self, x_t: Any, batch_size: int | None) -> Array:
        """What a stream of so many sequences is given, as its model takes it."""
        ...

    def inputs(self, embedding_size: int) -> tuple[int, int | None]:
        """Numbers a step, and tokens if there are any, of a model for such sequences."""
        ...

    def fitted(self) -> dict[str, Any]:
        """The attributes by which an estimator shows what was learnt."""
        ...

    def saved(self) -> dict[str, Any]:
        """What a file holds besides those."""
        ...


FITTED = ("vocabulary_", "scale_", "n_features_in_", "feature_names_in_")
"""All that readers show."""


@dataclass(frozen=True)
class TokenReader:
    """Tokens as their numbers in a vocabulary."""

    tokenizer: Tokenizer
    vocabulary: dict[Token, int]

    @classmethod
    def learn(
        cls,
        tokenizer: Tokenizer,
        given: Any,
        lengths: Any,
        most: int | None,
        frequencies: tuple[int, int | None],
    ) -> tuple[TokenReader, Tokens]:
        """From the first sequences, which are given back read; `frequencies`: what `vocabulary_of` takes."""
        sequences = _token_sequences(tokenizer, given, lengths)
        tokenizer = tokenizer.fitted_to(sequences)
        features = tokenizer.features(sequences)
        reader = cls(tokenizer, plain_vocabulary("X", vocabulary_of(features, *frequencies)))
        return reader, encode(features, reader.vocabulary, most, tokenizer.per_step)

    @classmethod
    def of_saved(cls, tokenizer: Tokenizer, state: Mapping[str, Any]) -> TokenReader:
        """From what a file holds. One of a tagger that had read an empty sentence says one feature a step."""
        vocabulary, per_step = state["vocabulary_"], as_size("_per_step", state.get("_per_step", 1))
        features = tokenizer.token_features
        if features == "spelling":
            spelt = any(isinstance(token, tuple) and token[:1] == ("small",) for token in vocabulary)
            features, per_step = ("spelling", len(spelling(""))) if spelt or per_step > 1 else (None, 1)
        return cls(replace(tokenizer, token_features=features, per_step=per_step), vocabulary)

    def read(self, estimator: Any, given: Any, lengths: Any, most: int | None) -> Tokens:  # noqa: ARG002
        """Sequences, of at most `most` steps."""
        sequences = self.tokenizer.features(_token_sequences(self.tokenizer, given, lengths))
        return encode(sequences, self.vocabulary, most, self.tokenizer.per_step)

    def step(self, x_t: Any, batch_size: int | None) -> Array:
        """A text or a list of tokens; with a batch a list of them, all of as many tokens."""
        given = [x_t] if batch_size is None else x_t
        sequences = self.tokenizer.features(self.tokenizer.tokens("x_t", given))
        per_step, counts = self.tokenizer.per_step, {len(row) for row in sequences}
        if len(sequences) != (batch_size or 1) or len(counts) > 1:
            msg = f"x_t: expected {batch_size} sequences of as many tokens, got {len(sequences)}"
            msg += f" of {sorted(count // per_step for count in counts)}"
            raise ValueError(msg)
        numbers = encode(sequences, self.vocabulary, None, per_step).flat
        steps = max(counts) // per_step
        return numbers.reshape((*_axis(batch_size), steps, *([per_step] if per_step > 1 else [])))

    def inputs(self, embedding_size: int) -> tuple[int, int | None]:
        """Numbers of an embedding; the known tokens and the unknown one."""
        return embedding_size, len(self.vocabulary) + 1

    def fitted(self) -> dict[str, Any]:
        """The vocabulary."""
        return {"vocabulary_": self.vocabulary}

    def saved(self) -> dict[str, Any]:
        """Names that src/io/vocabulary.rs knows."""
        return {"_reads_tokens": True, "_per_step": self.tokenizer.per_step}


def _token_sequences(tokenizer: Tokenizer, given: Any, lengths: Any) -> list[Sequence[Token]]:
    if lengths is not None:
        msg = "lengths: expected None for token sequences, which have their own"
        raise ValueError(msg)
    sequences = tokenizer.tokens("X", given)
    if not sequences:
        msg = "X: expected at least one sequence, got none"
        raise ValueError(msg)
    return sequences


def _axis(batch_size: int | None) -> tuple[int, ...]:
    """A stream's axis of rows, if it has one."""
    return () if batch_size is None else (batch_size,)


@dataclass(frozen=True)
class NumberReader:
    """Numbers, scaled."""

    features: int
    is_table: bool
    scale: tuple[Array, Array] | None
    dtype: np.dtype[Any]
    columns: dict[str, Any]
    """What scikit-learn learns of them: ``n_features_in_``, and ``feature_names_in_`` of a table that has
    names.
    """
    _factors: tuple[Array, Array] | None = field(init=False, default=None)
    """The scale as steps take it: made once, as a step is over in microseconds."""

    def __post_init__(self) -> None:
        if self.scale is not None:
            object.__setattr__(self, "_factors", factors(*self.scale, self.dtype))

    @classmethod
    def learn(
        cls, estimator: Any, given: Any, lengths: Any, most: int | None, *, scale: bool
    ) -> tuple[NumberReader, Numeric]:
        """From the first sequences, which are given back read."""
        dtype = as_float_dtype(estimator.dtype)
        found, table = as_numeric(estimator, given, lengths, dtype)
        columns: dict[str, Any] = {"n_features_in_": found.features}
        if table is not None:
            # To scikit-learn the steps of a table are its features, with names. It notes them on a copy: a
            # fit that fails shall have written nothing.
            noted = copy(estimator)
            validate_data(noted, table, reset=True, skip_check_array=True)
            columns = {name: value for name, value in vars(noted).items() if name in _COLUMNS}
        _cut(found, most)
        moments = found.moments() if scale else None
        reader = cls(found.features, table is not None, moments, dtype, columns)
        return reader, reader._scaled(found)

    @classmethod
    def of_saved(cls, state: Mapping[str, Any], dtype: np.dtype[Any]) -> NumberReader:
        """From what a file holds."""
        columns = {name: state[name] for name in _COLUMNS if name in state}
        features, is_table = (
            as_size("_features", state["_features"]),
            as_flag("_is_table", state["_is_table"]),
        )
        return cls(features, is_table, state["scale_"], dtype, columns)

    def read(self, estimator: Any, given: Any, lengths: Any, most: int | None) -> Numeric:
        """Sequences, of at most `most` steps."""
        found, table = as_numeric(estimator, given, lengths, self.dtype)
        if found.features != self.features:
            expected = f"{self.features} features a step as in training"
            msg = f"X: expected {expected}, got {found.features}"
            raise ValueError(msg)
        if table is not None and self.is_table:
            validate_data(estimator, table, reset=False, skip_check_array=True)
        _cut(found, most)
        return self._scaled(found)

    def _scaled(self, found: Numeric) -> Numeric:
        if self.scale is not None:
            found.scale(*self.scale)
        return found

    def step(self, x_t: Any, batch_size: int | None) -> Array:
        """A step or a chunk of steps."""
        array, rows = np.asarray(x_t), _axis(batch_size)
        if array.dtype.kind not in "fiub":
            msg = f"x_t: expected numbers, got {type(x_t).__name__} of dtype {array.dtype}"
            raise TypeError(msg)
        if array.shape[-1:] != (self.features,) or array.shape[: len(rows)] != rows:
            axes, features = [*map(str, rows)], str(self.features)
            step, chunk = (f"({', '.join([*axes, *more])})" for more in ([features], ["T", features]))
            msg = f"x_t: expected shape {step} or {chunk}, got {array.shape}"
            raise ValueError(msg)
        if not np.isfinite(array).all():
            msg = "x_t: expected finite numbers, got NaN or infinity"
            raise ValueError(msg)
        array = array.astype(self.dtype)
        if self._factors is not None:
            mean, factor = self._factors
            array -= mean
            array *= factor
        return array

    def inputs(self, embedding_size: int) -> tuple[int, int | None]:  # noqa: ARG002
        """Features; no tokens."""
        return self.features, None

    def fitted(self) -> dict[str, Any]:
        """The scale, and what scikit-learn asks for."""
        return {"scale_": self.scale, **self.columns}

    def saved(self) -> dict[str, Any]:
        """Names that files have had from the first."""
        return {"_reads_tokens": False, "_features": self.features, "_is_table": self.is_table}


_COLUMNS = ("n_features_in_", "feature_names_in_")


def _cut(found: Numeric, most: int | None) -> None:
    if most is not None:
        found.lengths = np.minimum(found.lengths, most)


SAVED = ("_reads_tokens", "_per_step", "_features", "_is_table")
"""The names of files, which no attribute has any more."""

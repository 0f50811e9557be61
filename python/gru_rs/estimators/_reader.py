"""What users pass as X: which of the kinds of sequences it is, and whether it can be used.

An ndarray is numbers; a list of lists of integers, or of strings, is tokens; a list of strings is text; any
other list holds an array ``(T_i, F)`` or ``(T_i,)`` for each sequence.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.utils.validation import check_array, validate_data

from ._sequences import Array, Numeric, Token

if TYPE_CHECKING:
    from collections.abc import Callable


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


def as_numeric(estimator: Any, given: Any, lengths: Any, dtype: np.dtype[Any], *, reset: bool) -> Numeric:
    """Sequences of numbers; `reset` when they say how many features there are."""
    if isinstance(given, list) and not given:
        msg = "X: expected at least one sequence, got none"
        raise ValueError(msg)
    if isinstance(given, list) and not _is_table(given):
        return _ragged(estimator, given, lengths, dtype, reset=reset)
    array = check_array(
        given,
        dtype=[np.float64, np.float32],
        allow_nd=True,
        # What lies past a row's length may be anything.
        ensure_all_finite=lengths is None,
        estimator=estimator,
        input_name="X",
    )
    table = array.ndim == 2
    if array.ndim > 3:
        msg = f"X: expected (n, T), (n, T, F) or a list of sequences, got shape {array.shape}"
        raise ValueError(msg)
    array = array[:, :, np.newaxis] if table else array
    rows, steps, features = array.shape
    _expect_features(estimator, features, reset=reset)
    if table and (reset or estimator._is_table):
        # To scikit-learn the steps of a table are its features, with names.
        validate_data(
            estimator,
            given if hasattr(given, "columns") else array[:, :, 0],
            reset=reset,
            skip_check_array=True,
        )
    if reset:
        estimator._is_table = table
    valid = _lengths(lengths, rows, steps)
    if lengths is not None:
        for row, length in enumerate(valid):
            _expect_finite(row, array[row, :length])
    return Numeric(array, valid, features, dtype)


def _is_table(given: list[Any]) -> bool:
    """Whether these are lists of numbers, all of one length, or no sequences at all."""
    if not all(isinstance(row, (list, tuple)) for row in given):
        return not any(hasattr(row, "__len__") for row in given)
    return len({len(row) for row in given}) == 1 and all(np.isscalar(x) for row in given for x in row)


def _ragged(estimator: Any, given: list[Any], lengths: Any, dtype: np.dtype[Any], *, reset: bool) -> Numeric:
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
    _expect_features(estimator, values[0].shape[1], reset=reset)
    if reset:
        estimator._is_table = False
    lengths = np.array([len(array) for array in values], np.intp)
    return Numeric(values, lengths, values[0].shape[1], dtype)


def expect_rows(name: str, values: Any, lengths: Array) -> None:
    """One value for each sequence."""
    if isinstance(values, str) or not hasattr(values, "__len__") or getattr(values, "ndim", 1) == 0:
        msg = f"{name}: expected a value for each sequence of X, got {values!r} ({type(values).__name__})"
        raise TypeError(msg)
    if len(values) != len(lengths):
        msg = f"{name}: expected {len(lengths)} values, one for each sequence of X, got {len(values)}"
        raise ValueError(msg)


def _expect_finite(row: int, array: Array) -> None:
    if not np.isfinite(array).all():
        msg = f"X: expected finite numbers, got NaN or infinity in row {row}"
        raise ValueError(msg)


def _expect_features(estimator: Any, features: int, *, reset: bool) -> None:
    if reset:
        estimator.n_features_in_ = estimator._features = features
    elif estimator._features != features:
        msg = f"X: expected {estimator._features} features a step as in training, got {features}"
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

"""Tokens from what a container holds: texts cut into words or characters, sequences of strings or integers
as they are. It must not know numbers or what is learnt of tokens.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from gru_rs._checks import as_choice

from ._batches import Sequences, Token, spelling
from ._columns import Frame, Ragged, is_integral, is_missing, refuse_missing
from ._containers import opened
from ._numbers import as_lengths
from ._scripts import LEAST_SHARE, unspaced_share, unspaced_tokens

# Words, and each mark by itself: in short texts an exclamation mark says much.
_WORDS = r"(?u)\w+|[^\w\s]"

ANALYZERS = ("auto", "word", "char", "unspaced")
"""How texts may be read, by name; "auto" is "word" or "unspaced", as `fit` has decided."""


@runtime_checkable
class TextTokenizer(Protocol):
    """A tokenizer of the package `tokenizers` (Hugging Face), by what is asked of it."""

    def encode(self, sequence: str, *, add_special_tokens: bool) -> Any:
        """A text as what has its `tokens`."""
        ...

    def decode(self, ids: Sequence[int], skip_special_tokens: bool) -> str:
        """The text of tokens by their own numbers."""
        ...

    def token_to_id(self, token: str) -> int | None:
        """A token's own number."""
        ...


Analyzer: TypeAlias = str | Callable[[str], list[str]] | TextTokenizer


def is_function(value: Any) -> bool:
    """Whether a parameter is one that files do not hold."""
    return callable(value) or isinstance(value, TextTokenizer)


def expect_analyzer(name: str, analyzer: Any, known: tuple[str, ...] = ("word", "char")) -> None:
    """A word, a function or a tokenizer."""
    if not is_function(analyzer):
        as_choice(name, analyzer, known)


def analyzer_of(analyzer: Analyzer, lowercase: bool) -> Callable[[str], list[str]]:
    """What makes tokens of a text: words and marks, characters, letters of scripts without spaces, a function
    as it is, or a tokenizer.
    """
    if isinstance(analyzer, TextTokenizer):
        tokenizer = analyzer
        return lambda text: list(tokenizer.encode(text, add_special_tokens=False).tokens)
    if callable(analyzer):
        return analyzer
    if analyzer in ("char", "unspaced"):
        cut: Callable[[str], list[str]] = list if analyzer == "char" else unspaced_tokens
        return (lambda text: cut(text.lower())) if lowercase else cut
    vectorizer = CountVectorizer(lowercase=lowercase, token_pattern=_WORDS)
    words: Callable[[str], list[str]] = vectorizer.build_analyzer()
    return words


def is_text(given: Any) -> bool:
    """Whether what was opened are texts."""
    return isinstance(given, list) and any(isinstance(row, str) for row in given)


def token_rows(
    name: str,
    given: Any,
    analyze: Callable[[str], Sequence[Token]],
    *,
    lengths: Any = None,
    lowercase: bool = False,
) -> list[Sequence[Token]]:
    """Sequences of tokens: `analyze` makes those of texts, others may be put in small letters. With
    lengths those of padded rows, of which the rest is not looked at.
    """
    if isinstance(given, Frame):
        msg = f"{name}: expected texts or sequences of tokens, got a table of {len(given.columns)} columns"
        raise TypeError(msg)
    if isinstance(given, list):
        if lengths is not None:
            msg = "lengths: expected None for a list of texts or token sequences, which have their own"
            raise ValueError(msg)
        if is_text(given):
            return [analyze(_expect_text(name, row, text)) for row, text in enumerate(given)]
        rows = [as_tokens(name, row, sequence) for row, sequence in enumerate(given)]
    else:
        rows = _of_numbers(name, given, lengths)
    if lowercase:
        return [[token.lower() if isinstance(token, str) else token for token in row] for row in rows]
    return rows


def _expect_text(name: str, row: int, text: Any) -> str:
    if not isinstance(text, str):
        if is_missing(text):
            refuse_missing(name, f"row {row}")
        msg = f"{name}: expected a string in row {row} as in others, got {text!r:.60} ({type(text).__name__})"
        raise TypeError(msg)
    return text


def as_tokens(name: str, row: int, sequence: Any) -> Sequence[Token]:
    """The tokens or labels of a row: strings or integers."""
    if not isinstance(sequence, (list, tuple)):
        if isinstance(sequence, str):
            msg = f"{name}: expected a list of tokens in row {row}, got {sequence!r:.60} (str)"
            raise TypeError(msg)
        sequence = opened(f"{name}, row {row}", sequence)
        if isinstance(sequence, np.ndarray) and sequence.ndim == 1:
            sequence = sequence.tolist()
        if not isinstance(sequence, list):
            got = f"{sequence!r:.60} ({type(sequence).__name__})"
            msg = f"{name}: expected a list of tokens in row {row}, got {got}"
            raise TypeError(msg)
    for kind in set(map(type, sequence)):
        if not (issubclass(kind, str) or is_integral(kind)):
            step = next(step for step, token in enumerate(sequence) if type(token) is kind)
            if is_missing(sequence[step]):
                refuse_missing(name, f"row {row}", f"step {step}")
            got = f"{sequence[step]!r:.60} in row {row}, step {step}"
            msg = f"{name}: expected tokens that are strings or integers, got {got}"
            raise TypeError(msg)
    found: Sequence[Token] = sequence
    return found


def kinds_of(vocabulary: Mapping[Token, int]) -> frozenset[str]:
    """Of which kinds its tokens are, as `expect_kinds` takes them."""
    return frozenset(_kind(kind) for kind in set(map(type, vocabulary)) if not issubclass(kind, tuple))


def expect_same_form(name: str, given: Any, of_text: bool | None) -> None:
    """Texts where texts were learnt, and lists of tokens where those were; None: nobody knows what was."""
    if of_text is not None and is_text(given) != of_text:
        expected, got = ("text", "lists of tokens") if of_text else ("lists of tokens", "text")
        msg = f"{name}: expected {expected}, as in training, got {got}"
        raise TypeError(msg)


def expect_kinds(name: str, sequences: list[Sequence[Token]], known: frozenset[str]) -> None:
    """Rows have tokens of a kind that is known: texts of digits are no integers, and True is not 1."""
    for row, sequence in enumerate(sequences):
        kinds = set(map(_kind, set(map(type, sequence))))
        if kinds and known and not kinds & known:
            expected = f"tokens that are {' or '.join(sorted(known))} as in training"
            msg = f"{name}: expected {expected}, got {sequence[0]!r:.60} in row {row}"
            raise TypeError(msg)


def expect_apart(name: str, sequences: list[Sequence[Token]]) -> None:
    """Integers and booleans do not go together: 1 and True would be one token."""
    if {"integers", "booleans"} <= {_kind(kind) for row in sequences for kind in set(map(type, row))}:
        msg = f"{name}: expected tokens that are integers or booleans, got both, of which True is 1"
        raise TypeError(msg)


def _kind(kind: type) -> str:
    return "strings" if issubclass(kind, str) else "booleans" if issubclass(kind, bool) else "integers"


def _of_numbers(name: str, given: Any, lengths: Any) -> list[Sequence[Token]]:
    """Ids, or strings, of an array ``(n, T)`` or of a column of lists."""
    if isinstance(given, Ragged):
        flat, starts, valid, width = given.flat, given.starts, given.lengths, given.width
        if flat.shape[1] != 1:
            msg = f"{name}: expected token sequences, one token a step, got {flat.shape[1]} numbers a step"
            raise ValueError(msg)
    else:
        if given.ndim != 2:
            msg = f"{name}: expected token sequences, (n, T) or a list, got an array of shape {given.shape}"
            raise ValueError(msg)
        rows, width = given.shape
        flat, starts, valid = given.reshape(-1), np.arange(rows) * width, np.full(rows, width)
    if flat.dtype.kind == "f":
        msg = f"{name}: expected tokens that are strings or integers, got numbers of dtype {flat.dtype}"
        raise TypeError(msg)
    if lengths is not None:
        if width is None:
            msg = "lengths: expected None for a column of lists, which has its own"
            raise ValueError(msg)
        valid = as_lengths(lengths, len(starts), width)
    return [
        as_tokens(name, row, ids.tolist())
        for row, ids in enumerate(Sequences(flat.reshape(-1), starts, valid).each())
    ]


def width_of(given: Any) -> int | None:
    """Tokens of each row of a container, with its padding, if all have as many by its own making."""
    if isinstance(given, np.ndarray) and given.ndim == 2:
        return int(given.shape[1])
    return given.width if isinstance(given, Ragged) else None


@dataclass(frozen=True)
class Tokenizer:
    """Texts, or sequences of tokens, as tokens, and of each token what can be told of it."""

    analyzer: Analyzer
    lowercase: bool
    token_features: str | Callable[[Any], Sequence[Token]] | None = None
    per_step: int = 1
    """Numbers of a token: its own, that of the pair with the one before, those of its features."""
    own: bool = False
    """Whether a function's features stand beside the token; before, they replaced it."""
    of_text: bool | None = None
    """Whether what was learnt from were texts; None: nothing was learnt yet, or a file does not say it."""

    @property
    def pairs(self) -> bool:
        """Whether it is told which token was before: two letters of Chinese say what one alone does not."""
        return self.analyzer == "unspaced"

    @property
    def alone(self) -> bool:
        """Whether nothing is told of a token but itself."""
        return self.token_features is None and not self.pairs

    def decided_for(self, given: Any, *, stacklevel: int) -> Tokenizer:
        """For texts alone or for lists alone, as these are, and with "auto" decided, by the letters of all
        texts together. A warning says so, of the line that called so many functions above.
        """
        of_text = is_text(given)
        if self.analyzer != "auto":
            return replace(self, of_text=of_text)
        share = unspaced_share(text for text in given if isinstance(text, str)) if of_text else 0.0
        if share < LEAST_SHARE:
            return replace(self, analyzer="word", of_text=of_text)
        msg = f"X: {share:.0%} of the letters are of scripts without spaces, so texts are read by letters and"
        msg += " pairs of them, as analyzer='unspaced' says; 'word' and 'char' say otherwise"
        warnings.warn(msg, UserWarning, stacklevel=stacklevel)
        return replace(self, analyzer="unspaced", of_text=of_text)

    def tokens(self, name: str, given: Any, lengths: Any = None) -> list[Sequence[Token]]:
        """Those of each sequence of a container that was opened, of which it learnt the same."""
        analyze = analyzer_of(self.analyzer, self.lowercase)
        rows = token_rows(name, given, analyze, lengths=lengths, lowercase=self.lowercase)
        if rows:
            expect_same_form(name, given, self.of_text)
        return rows

    def fitted_to(self, sequences: list[Sequence[Token]]) -> Tokenizer:
        """With features that such tokens have, and as many as the first one has."""
        example = next((token for row in sequences for token in row), None)
        features = self.token_features
        if features == "spelling" and not isinstance(example, str):
            features = None
        counted = 0 if example is None else len(_function(features)(example))
        return replace(self, token_features=features, per_step=1 + self.pairs + counted, own=True)

    def features(self, sequences: list[Sequence[Token]]) -> list[Sequence[Token]]:
        """Of each token itself and what can be told of it, one behind the other."""
        if self.alone:
            return sequences
        tell = _function(self.token_features)
        return [
            [part for before, token in _with_before(row) for part in self._parts(before, token, tell(token))]
            for row in sequences
        ]

    def _parts(self, before: Token, token: Token, told: Sequence[Token]) -> list[Token]:
        function = callable(self.token_features)
        own = [token] if self.own or not function else []
        if self.pairs:
            own.append(("pair", before, token))
        if len(own) + len(told) != self.per_step:
            expected = f"{self.per_step - len(own)} features of each token"
            msg = f"token_features: expected {expected}, got {len(told)} of {token!r}"
            raise ValueError(msg)
        # By its place, so that it is no token, nor another feature of the same value.
        return [*own, *(enumerate(told) if function and self.own else told)]


def _with_before(row: Sequence[Token]) -> Iterable[tuple[Token, Token]]:
    """Each token with the one before it; before the first there is an empty text."""
    return zip(("", *row), row, strict=False)


def _function(features: str | Callable[[Any], Sequence[Token]] | None) -> Callable[[Any], Sequence[Token]]:
    """What tells of a token; by name, as a pickle should not know where functions stand."""
    return features if callable(features) else _nothing if features is None else spelling


def _nothing(token: Token) -> tuple[Token, ...]:  # noqa: ARG001
    """What is told of a token that has no features."""
    return ()

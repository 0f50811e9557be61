"""Word vectors that people bring along: in memory, or in a text file of word2vec or GloVe. It must not know
models, nor how tokens are read.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ._batches import Array, Token

_NAME = "embedding_init"
"""The parameter that they come by."""


class Vectors(ABC):
    """Vectors of tokens, read when the tokens that are wanted are known."""

    def __init__(self) -> None:
        self.width = 0
        """Numbers of each; 0 until they were read."""
        self.found: dict[Token, Array] = {}
        """Those of tokens that were wanted, and of others that there was room for."""
        self.wanted = self.of_wanted = 0
        """Tokens that were, and those of them that have a vector."""

    @abstractmethod
    def _each(self, keep: Callable[[Token], bool]) -> Iterator[tuple[Token, Any, str]]:
        """The tokens that are kept, with their vectors and where these stand."""

    def read(self, wanted: Mapping[Token, int], room: int) -> list[Token]:
        """Finds the vectors of wanted tokens: of a word as it is, or else of the same in small letters. Gives
        back others, the first that come, as far as there is room for them.
        """
        words = [token for token in wanted if not isinstance(token, tuple)]
        small = {word.lower() for word in words if isinstance(word, str)}
        more: list[Token] = []

        def keep(token: Token) -> bool:
            if token in wanted or token in small:
                return True
            if len(more) < room:
                more.append(token)
                return True
            return False

        found: dict[Token, Array] = {}
        for token, values, where in self._each(keep):
            if token in found:
                msg = f"{_NAME}: expected each token once, got {token!r:.60} again in {where}"
                raise ValueError(msg)
            found[token] = self._vector(values, where)
        for word in words:
            vector = found.get(word, found.get(word.lower()) if isinstance(word, str) else None)
            if vector is not None:
                self.found[word] = vector
        self.wanted, self.of_wanted = len(words), len(self.found)
        if not self.found:
            expected = f"vectors of tokens that training has, such as {words[:3]!r:.60}"
            msg = f"{_NAME}: expected {expected}, got none of {len(words)}"
            raise ValueError(msg)
        self.found |= {token: found[token] for token in more}
        return more

    def _vector(self, values: Any, where: str) -> Array:
        try:
            vector = np.asarray(values, np.float64)
        except (TypeError, ValueError) as error:
            msg = f"{_NAME}: expected numbers in {where}, got {values!r:.60}"
            raise ValueError(msg) from error
        if vector.ndim != 1 or len(vector) == 0 or len(vector) != (self.width or len(vector)):
            expected = f"{self.width} numbers as in others" if self.width else "numbers, (n,),"
            msg = f"{_NAME}: expected {expected} in {where}, got shape {vector.shape}"
            raise ValueError(msg)
        if not np.isfinite(vector).all():
            bad = vector[~np.isfinite(vector)][0]
            msg = f"{_NAME}: expected finite numbers in {where}, got {bad}"
            raise ValueError(msg)
        self.width = len(vector)
        return vector

    def told(self) -> str:
        """How many of the tokens have one."""
        more = len(self.found) - self.of_wanted
        also = f", and {more} of other tokens" if more else ""
        return f"{_NAME}: vectors of {self.of_wanted} of {self.wanted} tokens{also}"

    def expect_size(self, size: int | None) -> int:
        """The size of an embedding that begins as these."""
        if size is not None and size != self.width:
            msg = f"embedding_size: expected {self.width}, as the vectors of {_NAME}, or None, got {size}"
            raise ValueError(msg)
        return self.width

    def rows(self, vocabulary: Mapping[Token, int], fresh: Array) -> Array:
        """An embedding ``(tokens, width)``: the vectors by their tokens' numbers; of other tokens what was
        drawn, as far from each other as vectors are.
        """
        rows = fresh.astype(np.float64)
        numbers = [vocabulary[token] for token in self.found]
        vectors = np.stack(list(self.found.values()))
        rows *= vectors.std() / max(rows.std(), np.finfo(np.float64).tiny)
        rows[numbers] = vectors
        with np.errstate(over="ignore"):
            found: Array = rows.astype(fresh.dtype)
        if not np.isfinite(found).all():
            msg = f"{_NAME}: expected numbers that {fresh.dtype} can hold, got {np.abs(vectors).max()}"
            raise ValueError(msg)
        return found


class _OfMapping(Vectors):
    """Of a mapping."""

    def __init__(self, given: Mapping[Token, Any]) -> None:
        super().__init__()
        self._given = given

    def _each(self, keep: Callable[[Token], bool]) -> Iterator[tuple[Token, Any, str]]:
        for token in self._given:
            if keep(token):
                yield token, self._given[token], repr(token)


class _OfArray(Vectors):
    """Rows of an array, and their tokens."""

    def __init__(self, tokens: Any, array: Any) -> None:
        super().__init__()
        self._tokens = tokens.tolist() if isinstance(tokens, np.ndarray) else list(tokens)
        self._array = np.asarray(array)
        if self._array.ndim != 2 or self._array.dtype.kind not in "fiu":
            got = f"{self._array.dtype} of shape {self._array.shape}"
            msg = f"{_NAME}: expected numbers, (tokens, width), beside the tokens, got {got}"
            raise ValueError(msg)
        if len(self._tokens) != len(self._array):
            msg = f"{_NAME}: expected a row for each of {len(self._tokens)} tokens, got {len(self._array)}"
            raise ValueError(msg)

    def _each(self, keep: Callable[[Token], bool]) -> Iterator[tuple[Token, Any, str]]:
        for row, token in enumerate(self._tokens):
            if keep(token):
                yield token, self._array[row], f"row {row}"


class _OfFile(Vectors):
    """Lines of a text file: a token, which may have spaces in it, and numbers. word2vec and fastText say in
    the first line how many vectors there are and how long they are, GloVe does not.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__()
        self._path = Path(path)

    def _each(self, keep: Callable[[Token], bool]) -> Iterator[tuple[Token, Any, str]]:
        with self._path.open("rb") as file:
            first = next((line for line in file), b"")
            counted = _counted(first.split())
            lines = file if counted else chain([first], file)
            width = counted[1] if counted else _width(first.split())
            if width < 1:
                msg = f"{self._path}, line 1: expected a token and numbers, got {first!r:.60}"
                raise ValueError(msg)
            count = 0
            for number, line in enumerate(lines, 2 if counted else 1):
                token, *values = line.rsplit(None, width) or [b""]
                if not token:
                    continue
                count += 1
                where = f"{self._path}, line {number}"
                if len(values) != width:
                    got = f"{len(line.split())} words: {line!r:.60}"
                    msg = f"{where}: expected a token and {width} numbers, got {got}"
                    raise ValueError(msg)
                text = token.decode(errors="replace")
                # What is no UTF-8, as corpora of the web leave it behind, is no token that a text has.
                if text.encode() == token and keep(text):
                    yield text, self._numbers(values, where), where
            if counted and count != counted[0]:
                msg = f"{self._path}: expected {counted[0]} vectors, as its first line says, got {count}"
                raise ValueError(msg)

    def _numbers(self, values: list[bytes], where: str) -> list[float]:
        try:
            return [float(value) for value in values]
        except ValueError as error:
            msg = f"{where}: expected {len(values)} numbers behind the token, got {error}"
            raise ValueError(msg) from error


def _counted(words: list[bytes]) -> tuple[int, int] | None:
    """How many vectors there are and how long they are, if a line says nothing else."""
    if len(words) != 2 or not all(word.isdigit() for word in words):
        return None
    return int(words[0]), int(words[1])


def _width(words: list[bytes]) -> int:
    """The numbers at the end of a line, before which a token stands."""
    width = 0
    for word in reversed(words[1:]):
        try:
            float(word)
        except ValueError:
            break
        width += 1
    return width


def vectors_of(given: Any) -> Vectors:
    """From what an estimator is given; a file is opened when it is read."""
    if isinstance(given, (str, os.PathLike)):
        return _OfFile(given)
    if isinstance(given, Mapping):
        return _OfMapping(given)
    if isinstance(given, (tuple, list)) and len(given) == 2:
        return _OfArray(*given)
    expected = "a mapping of tokens to vectors, a pair (tokens, array) or the path of a text file"
    msg = f"{_NAME}: expected {expected}, got {type(given).__name__}"
    raise TypeError(msg)

"""Sequences as users have them, and batches as models take them. It must not know models or labels.

Nothing is padded before its batch is asked for, so that memory is the data's own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Token: TypeAlias = Hashable

UNKNOWN = 0
"""The number of a token that the vocabulary does not have."""


class Sequences(Protocol):
    """Sequences of which batches can be made."""

    lengths: Array

    @property
    def rows(self) -> Array:
        """The numbers of all."""
        ...

    def batch(self, rows: Array) -> tuple[Array, Array]:
        """Some rows side by side, padded to the longest, and their lengths."""
        ...


def factors(mean: Array, deviation: Array, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """What numbers are scaled by: x − the first, · the second."""
    return mean.astype(dtype), (1 / np.where(deviation > 0, deviation, 1)).astype(dtype)


class Numeric:
    """Sequences of numbers: ``(T_i, F)`` each, or one array ``(n, T, F)`` with lengths."""

    def __init__(
        self, values: Array | list[Array], lengths: Array, features: int, dtype: np.dtype[Any]
    ) -> None:
        self.values, self.lengths, self.features, self._dtype = values, lengths, features, dtype
        self._mean: Array | None = None
        self._factor: Array | None = None

    @property
    def rows(self) -> Array:
        """The numbers of all sequences."""
        return np.arange(len(self.lengths))

    def scale(self, mean: Array, deviation: Array) -> None:
        """From now on batches are ``(x − mean) / deviation``."""
        self._mean, self._factor = factors(mean, deviation, self._dtype)

    def moments(self) -> tuple[Array, Array]:
        """Mean and standard deviation of each feature over all steps, ``(F,)`` each."""
        count = max(int(self.lengths.sum()), 1)
        rows = range(len(self.lengths))
        mean = (
            sum((self._row(row).sum(axis=0, dtype=np.float64) for row in rows), np.zeros(self.features))
            / count
        )
        square = (
            sum((((self._row(row) - mean) ** 2).sum(axis=0) for row in rows), np.zeros(self.features)) / count
        )
        return mean, np.sqrt(square)

    def _row(self, row: int) -> Array:
        found: Array = self.values[row][: self.lengths[row]]
        return found

    def batch(self, rows: Array) -> tuple[Array, Array]:
        """Some rows side by side, padded with zeros, and their lengths."""
        lengths = self.lengths[rows]
        longest = int(lengths.max(initial=0))
        if isinstance(self.values, np.ndarray):
            batch = self.values[rows, :longest].astype(self._dtype, copy=False)
        else:
            batch = np.zeros((len(rows), longest, self.features), self._dtype)
            for row, (index, length) in enumerate(zip(rows, lengths, strict=True)):
                batch[row, :length] = self.values[index][:length]
        if self._mean is not None:
            batch -= self._mean
            batch *= self._factor
        return batch, lengths


class Tokens:
    """Sequences of token numbers, one behind the other, ``(steps, k)``: k for each step."""

    def __init__(self, flat: Array, lengths: Array) -> None:
        self.flat, self.lengths = flat, lengths
        self._starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
        self._steps = np.arange(lengths.max(initial=0))

    @property
    def rows(self) -> Array:
        """The numbers of all sequences."""
        return np.arange(len(self.lengths))

    def batch(self, rows: Array) -> tuple[Array, Array]:
        """Some rows side by side, padded with any tokens, and their lengths."""
        lengths = self.lengths[rows]
        places = self._starts[rows, np.newaxis] + self._steps[: lengths.max(initial=0)]
        # Few calls: behind a training step each meets cold caches.
        return self.flat.take(places, axis=0, mode="clip"), lengths


def vocabulary_of(
    sequences: Iterable[Sequence[Token]], min_frequency: int, max_vocabulary: int | None
) -> dict[Token, int]:
    """Numbers from 1 for the tokens that are frequent enough, the most frequent first.

    Tokens of one frequency are in the order in which they first come.
    """
    counts: Counter[Token] = Counter()
    for sequence in sequences:
        counts.update(sequence)
    most = None if max_vocabulary is None else max(max_vocabulary - 1, 0)
    kept = [token for token, count in counts.most_common(most) if count >= min_frequency]
    return {token: number for number, token in enumerate(kept, UNKNOWN + 1)}


def encode(
    sequences: Iterable[Sequence[Token]], vocabulary: dict[Token, int], max_length: int | None, per_step: int
) -> Tokens:
    """The tokens' numbers, of which each step has `per_step` in its sequence."""
    most = None if max_length is None else max_length * per_step
    rows = [[vocabulary.get(token, UNKNOWN) for token in sequence[:most]] for sequence in sequences]
    lengths = np.array([len(row) // per_step for row in rows], np.intp)
    count = sum(map(len, rows))
    flat = np.fromiter((number for row in rows for number in row), np.uint32, count)
    return Tokens(flat.reshape(-1, per_step), lengths)


def spelling(token: Token) -> tuple[Token, ...]:
    """What can be told of a word that was never seen: in small letters, its end, its beginning, its shape.
    Among words a number is one of digits.

    Examples
    --------
    >>> spelling("Bob's")
    ("Bob's", ('small', "bob's"), ('end', "b's"), ('begin', 'bob'), ('shape', "Xx'x"))
    """
    word = str(token)
    small, shape = word.lower(), ""
    for letter in word:
        kind = "X" if letter.isupper() else "x" if letter.isalpha() else "0" if letter.isdigit() else letter
        shape += "" if shape.endswith(kind) else kind
    return token, ("small", small), ("end", small[-3:]), ("begin", small[:3]), ("shape", shape[:8])


def batches(lengths: Array, size: int, rng: np.random.Generator | None) -> list[Array]:
    """Rows by batches of about the same length, in random order; without a generator in order of length.

    Rows are shuffled, sorted within pools of some batches, cut, and the batches are shuffled: steps are
    hardly wasted on padding, and yet the company of a row changes from epoch to epoch.
    """
    if rng is None:
        order = np.argsort(-lengths, kind="stable")
        return [order[start : start + size] for start in range(0, len(order), size)]
    order = rng.permutation(len(lengths))
    pool = size * _POOL
    found = []
    for start in range(0, len(order), pool):
        rows = order[start : start + pool]
        rows = rows[np.argsort(lengths[rows], kind="stable")]
        found += [rows[first : first + size] for first in range(0, len(rows), size)]
    return [found[index] for index in rng.permutation(len(found))]


_POOL = 50
"""Batches whose rows are sorted together."""

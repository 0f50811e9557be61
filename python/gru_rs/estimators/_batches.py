"""Sequences as users have them, and batches as models take them. It must not know models or labels.

Nothing is padded before its batch is asked for, so that memory is the data's own.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from typing_extensions import Self

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Token: TypeAlias = Hashable

UNKNOWN = 0
"""The number of a token that the vocabulary does not have."""

EMBEDDING_SIZE = 64
"""Numbers of a token, if nobody says how many."""


@dataclass
class Sequences:
    """Sequences end to end: row i is ``flat[starts[i] : starts[i] + lengths[i]]``, of k values a step.

    Rows may lie apart, behind padding, or on each other, as windows of a series do: a padded array, a column
    of a table and a list of arrays are the same here, and the first two are not copied.
    """

    flat: Array
    """``(N, k)``, or of targets ``(N,)``"""
    starts: Array
    lengths: Array
    width: int | None = None
    """Steps of each row with its padding, if all have as many by the container's own making."""

    @property
    def rows(self) -> Array:
        """The numbers of all sequences."""
        return np.arange(len(self.lengths))

    def cut(self, most: int | None) -> Self:
        """With at most `most` steps of each row."""
        if most is None:
            return self
        return replace(self, lengths=np.minimum(self.lengths, most))

    def each(self) -> list[Array]:
        """The steps of each row."""
        ends = self.starts + self.lengths
        return [self.flat[a:b] for a, b in zip(self.starts.tolist(), ends.tolist(), strict=True)]

    def of(self, rows: Array) -> Array:
        """The steps of some rows, one behind the other."""
        found: Array = self.flat[self._places(rows)]
        return found

    def blocks(self) -> Iterator[tuple[Array, Array]]:
        """All steps in order, some rows at a time: the rows, and their steps one behind the other."""
        if len(self.lengths) == 1:  # a prediction of one sequence is over in microseconds
            yield np.arange(1), self.flat[self.starts[0] : self.starts[0] + self.lengths[0]]
            return
        for rows in _blocks(self.lengths):
            ends = self.starts[rows] + self.lengths[rows]
            if (ends[:-1] == self.starts[rows][1:]).all():
                yield rows, self.flat[self.starts[rows[0]] : ends[-1]]
            else:
                yield rows, self.of(rows)

    def _places(self, rows: Array) -> Array:
        """Where the steps of some rows are, row by row."""
        lengths = self.lengths[rows]
        before = np.cumsum(lengths) - lengths
        found: Array = np.arange(lengths.sum()) + np.repeat(self.starts[rows] - before, lengths)
        return found

    def checksum(self, found: int) -> int:
        """Of all steps, whatever numbers hold them, on from another."""
        found = zlib.crc32(self.lengths.astype(np.int64).data, found)
        kind = np.float64 if self.flat.dtype.kind in "fiub" else self.flat.dtype
        on_each_other = (self.starts[1:] < self.starts[:-1] + self.lengths[:-1]).any()
        if on_each_other:
            found = zlib.crc32(self.starts.astype(np.int64).data, found)
        for _, steps in [(None, self.flat)] if on_each_other else self.blocks():
            found = zlib.crc32(np.ascontiguousarray(steps, kind).data, found)
        return found

    def batch(self, rows: Array) -> tuple[Array, Array]:
        """Some rows side by side ``(B, T, k)``, padded with what lies behind them, and their lengths."""
        lengths = self.lengths[rows]
        places = self.starts[rows, np.newaxis] + np.arange(lengths.max(initial=0))
        # Few calls: behind a training step each meets cold caches.
        return self._finished(self.flat.take(places, axis=0, mode="clip")), lengths

    def _finished(self, steps: Array) -> Array:
        """Steps as a model takes them."""
        return steps


_BLOCK = 1 << 18
"""Steps that are looked at together."""


def _blocks(lengths: Array) -> Iterator[Array]:
    ends = np.cumsum(lengths)
    begin = 0
    while begin < len(lengths):
        before = ends[begin] - lengths[begin]
        end = max(int(np.searchsorted(ends, before + _BLOCK, side="right")), begin + 1)
        yield np.arange(begin, end)
        begin = end


@dataclass(frozen=True)
class Scale:
    """What numbers are put into units of: mean and standard deviation of each feature, ``(F,)`` in float64.

    A deviation of 0 is that of a constant, which is only centred.
    """

    mean: Array
    deviation: Array
    factor: Array = field(init=False)
    """1 over the deviation: made once, as a step of a stream is over in microseconds."""
    largest: tuple[float, float] = field(init=False)
    """Of the absolute means, and of the factors."""

    def __post_init__(self) -> None:
        factor = 1 / np.where(self.deviation > 0, self.deviation, 1.0)
        object.__setattr__(self, "factor", factor)
        largest = float(np.abs(self.mean).max(initial=0)), float(factor.max(initial=0))
        object.__setattr__(self, "largest", largest)

    def apply(self, steps: Array, dtype: np.dtype[Any]) -> Array:
        """``(x − mean) / deviation`` in float64, rounded to `dtype` once: a high level costs no digits."""
        centred = np.subtract(steps, self.mean, dtype=np.float64)
        scaled = np.empty(centred.shape, dtype)
        np.multiply(centred, self.factor, out=scaled, casting="same_kind")
        return scaled


@dataclass
class Numeric(Sequences):
    """Sequences of numbers, put into units and rounded to the model's dtype when a batch is asked for."""

    dtype: np.dtype[Any] = field(default=np.dtype(np.float32), kw_only=True)
    scale: Scale | None = field(default=None, kw_only=True)

    @property
    def features(self) -> int:
        """Numbers a step."""
        found: int = self.flat.shape[1]
        return found

    def moments(self) -> Scale:
        """Mean and standard deviation of each feature over all steps.

        A deviation that is rounding noise of the level counts as 0: no more than an ulp of the numbers' own
        type.
        """
        count, zero = max(int(self.lengths.sum()), 1), np.zeros(self.features)
        mean = sum((steps.sum(axis=0, dtype=np.float64) for _, steps in self.blocks()), zero) / count
        # Once more, as the sum of many numbers of one level is off by their number.
        mean = mean + sum(((steps - mean).sum(axis=0) for _, steps in self.blocks()), zero) / count
        with np.errstate(over="ignore"):
            square = sum((np.square(steps - mean).sum(axis=0) for _, steps in self.blocks()), zero) / count
        deviation = np.sqrt(square)
        kind = self.flat.dtype if self.flat.dtype.kind == "f" else np.dtype(np.float64)
        noise = np.maximum(np.finfo(kind).eps * np.abs(mean), np.finfo(np.float64).tiny)
        return Scale(mean, np.where(deviation <= noise, 0.0, deviation))

    def scaled(self, steps: Array) -> Array:
        """Steps in the units and the dtype of the model."""
        return (
            steps.astype(self.dtype, copy=False)
            if self.scale is None
            else self.scale.apply(steps, self.dtype)
        )

    def _finished(self, steps: Array) -> Array:
        # What lies behind a row may be anything.
        with np.errstate(over="ignore", invalid="ignore"):
            return self.scaled(steps)


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


_MOST_OFTEN = 1 - 2.0**-53
"""In place of always, of tokens that do not come."""


@dataclass(frozen=True)
class Unknowing:
    """Batches for training, of whose rare tokens some are read as unknown: so that the unknown one, which
    predictions will meet, learns what tokens are like that seldom come.

    All that is told of a token goes by one number drawn for its step: a word that is dropped may leave its
    end behind, which is more frequent, and never the other way round.
    """

    bounds: Array
    """Of each token's number: below which share of 2⁶⁴ a number that is drawn drops it."""

    @classmethod
    def of(cls, sequences: Sequences, rows: Array, share: float, size: int) -> Unknowing | None:
        """A token that comes c times in these rows is dropped with probability share to the power of c: one
        that comes often hardly ever, as predictions do not lack it. None if as many are unknown already, or
        less than one of an epoch would be.
        """
        counts = np.bincount(sequences.of(rows).reshape(-1), minlength=size)
        shares = np.power(share, counts, dtype=np.float64)
        dropped = (counts * shares)[UNKNOWN + 1 :].sum()
        return (
            None
            if dropped < 1 or dropped <= counts[UNKNOWN]
            else cls((np.minimum(shares, _MOST_OFTEN) * 2.0**64).astype(np.uint64))
        )

    def __call__(self, x: Array, seed: int) -> Array:
        """A batch ``(B, T, k)``, some of it unknown; the seed alone says which, so that training that was
        stopped within an epoch goes on as it would have.
        """
        rows, steps = x.shape[:2]
        drawn = _hashed(seed, rows * steps).reshape(rows, steps, 1)
        return np.where(drawn < self.bounds.take(x), x.dtype.type(UNKNOWN), x)


def _hashed(seed: int, count: int) -> Array:
    """So many numbers of 64 bits from a seed (SplitMix64; Steele, Lea and Flood, 2014): a generator of NumPy,
    made for each batch, takes a tenth of a small model's training.
    """
    mixed = np.arange(1, count + 1, dtype=np.uint64)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    # Seeds that follow each other by that very step would have the same numbers, one place on.
    apart = (seed ^ seed >> 32) * 0xD6E8FEB86659FD93 % 2**64
    mixed += np.uint64(apart ^ apart >> 32)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def encode(
    sequences: Iterable[Sequence[Token]], vocabulary: dict[Token, int], max_length: int | None, per_step: int
) -> Sequences:
    """The tokens' numbers, of which each step has `per_step` in its sequence."""
    most = None if max_length is None else max_length * per_step
    rows = [[vocabulary.get(token, UNKNOWN) for token in sequence[:most]] for sequence in sequences]
    lengths = np.array([len(row) // per_step for row in rows], np.intp)
    count = sum(map(len, rows))
    flat = np.fromiter((number for row in rows for number in row), np.uint32, count)
    return end_to_end(flat.reshape(-1, per_step), lengths)


def spelling(token: Token) -> tuple[Token, ...]:
    """What can be told of a word that was never seen: in small letters, its end, its beginning, its shape.
    Among words a number is one of digits.

    Examples
    --------
    >>> spelling("Bob's")
    (('small', "bob's"), ('end', "b's"), ('begin', 'bob'), ('shape', "Xx'x"))
    """
    word = str(token)
    small, shape = word.lower(), ""
    for letter in word:
        kind = "X" if letter.isupper() else "x" if letter.isalpha() else "0" if letter.isdigit() else letter
        shape += "" if shape.endswith(kind) else kind
    return ("small", small), ("end", small[-3:]), ("begin", small[:3]), ("shape", shape[:8])


def checksum(*values: Any) -> int:
    """CRC-32 of sequences, arrays of numbers, lists of them, and whatever is written as it is."""
    found = 0
    for value in values:
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Sequences):
                found = one.checksum(found)
            elif isinstance(one, np.ndarray):
                found = zlib.crc32(np.ascontiguousarray(one).data, zlib.crc32(str(one.shape).encode(), found))
            else:
                found = zlib.crc32(repr(one).encode(), found)
    return found


def end_to_end(flat: Array, lengths: Array) -> Sequences:
    """Rows that begin where those before them end."""
    return Sequences(flat, np.cumsum(lengths) - lengths, lengths)


@dataclass(frozen=True)
class Padding:
    """How much of a batch may be padding: nothing is said of batches of a few steps."""

    few: int
    waste: float
    """Steps with padding over steps without."""
    many: float = np.inf
    """Steps with padding; more only of one row."""

    def allows(self, count: int, longest: int, used: int) -> bool:
        """A batch of so many rows, with so many steps without padding."""
        padded = count * longest
        return padded <= self.many and (padded <= self.few or padded <= self.waste * used)


PREDICTION = Padding(few=1 << 12, waste=1.25, many=1 << 16)
TRAINING = Padding(few=1 << 16, waste=4.0)
"""A batch is what the user said; it is learnt from in parts only if it would be padding for the most part."""


def by_length(lengths: Array, rows: Array, most: int, padding: Padding = PREDICTION) -> list[Array]:
    """Rows of about the same length together, at most `most`, and so few that little of a batch is padding:
    memory follows the steps that there are, not rows × the longest.
    """
    own = lengths[rows]
    if 0 < len(rows) <= most and padding.allows(len(rows), int(own.max()), int(own.sum())):
        return [rows]
    order = rows[np.argsort(own, kind="stable")]
    found, begin, used = [], 0, 0
    for place, length in enumerate(lengths[order].tolist()):
        count = place - begin
        if count and (count == most or not padding.allows(count + 1, length, used + length)):
            found.append(order[begin:place])
            begin, used = place, 0
        used += length
    return [*found, order[begin:]] if len(order) else found


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

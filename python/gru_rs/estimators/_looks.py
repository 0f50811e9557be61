"""How simple models look at sequences: as bags of words, as summaries, step by step with its neighbours. Each
is a transformer of scikit-learn; it must not know models.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from ._batches import spelling

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._batches import Array
    from ._tokens import Tokenizer

_MOST = 200_000
"""Words, pairs or pieces of words that are counted."""


class _Look(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """One that learns nothing."""

    def fit(self, X: Any, y: Any = None) -> _Look:  # noqa: ARG002
        return self


class Nothing(_Look):
    """For models that do not look at the sequences."""

    def transform(self, X: Any) -> Array:
        return np.zeros((len(X), 1))


class _Counted(ABC, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Counts of what rows hold, weighted by how rare it is; of rows that hold nothing a column of zeros."""

    def _vectorizer(self) -> Any:
        return TfidfVectorizer(analyzer=_as_is, sublinear_tf=True, max_features=_MOST)

    @abstractmethod
    def _rows(self, X: Any) -> list[Any]:
        """What is counted, row by row."""

    def fit(self, X: Any, y: Any = None) -> Any:  # noqa: ARG002
        self.fit_transform(X)
        return self

    def fit_transform(self, X: Any, y: Any = None) -> Any:  # noqa: ARG002
        rows, self.counted_ = self._rows(X), None
        if not any(map(len, rows)):
            return csr_matrix((len(rows), 1))
        self.counted_ = self._vectorizer()
        return self.counted_.fit_transform(rows)

    def transform(self, X: Any) -> Any:
        rows = self._rows(X)
        return csr_matrix((len(rows), 1)) if self.counted_ is None else self.counted_.transform(rows)

    def __getstate__(self) -> Any:
        # A pickle tells how large what was learnt is; an analyzer of the user's own may be no part of one.
        return super().__getstate__() | {"tokenizer": None}


def _as_is(row: Any) -> Any:
    return row


class Words(_Counted):
    """Tokens as the user's analyzer makes them, and pairs of neighbours; of characters up to four."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def _rows(self, X: Any) -> list[Any]:
        longest = 4 if self.tokenizer.analyzer == "char" else 2
        rows = [[str(token) for token in tokens] for tokens in self.tokenizer.tokens("X", list(X))]
        return [_grams(row, longest) for row in rows]


def _grams(row: list[str], longest: int) -> list[str]:
    """Its tokens, and so many of them that follow each other."""
    sizes = range(1, longest + 1)
    return [" ".join(row[at : at + size]) for size in sizes for at in range(len(row) - size + 1)]


class Characters(_Counted):
    """Pieces of the words of a text, of one to five letters."""

    def __init__(self, lowercase: bool) -> None:
        self.lowercase = lowercase

    def _rows(self, X: Any) -> list[Any]:
        return list(X)

    def _vectorizer(self) -> Any:
        return TfidfVectorizer(
            analyzer="char_wb",
            ngram_range=(1, 5),
            lowercase=self.lowercase,
            sublinear_tf=True,
            max_features=_MOST,
        )

    def __getstate__(self) -> Any:
        return BaseEstimator.__getstate__(self)


class StepWords(_Counted):
    """A row for each token: itself, its neighbours and theirs, and how it and they are spelt."""

    def __init__(self, tokenizer: Tokenizer | None = None) -> None:
        self.tokenizer = tokenizer

    def _vectorizer(self) -> Any:
        return CountVectorizer(analyzer=_as_is, binary=True)

    def _rows(self, X: Any) -> list[Any]:
        rows = X if self.tokenizer is None else self.tokenizer.tokens("X", list(X))
        return list(chain.from_iterable(map(_of_tokens, rows)))


def _of_tokens(tokens: Any) -> Iterator[list[str]]:
    known = {token: _told(token) for token in tokens}
    for step in range(len(tokens)):
        found = ["1"]
        for off in (-2, -1, 0, 1, 2):
            at = step + off
            told = known[tokens[at]] if 0 <= at < len(tokens) else ["edge"]
            found += [f"{off} {one}" for one in (told if abs(off) < 2 else told[:1])]
        yield found


def _told(token: Any) -> list[str]:
    return [str(one) for one in spelling(token)] if isinstance(token, str) else [str(token)]


class Summary(_Look):
    """Of each feature its level, spread, quartiles, ends, changes, trend and crossings of its mean; and the
    length. Of a row of no steps zeros.
    """

    def transform(self, X: Any) -> Array:
        return np.array([_summary(np.asarray(sequence, float)) for sequence in X])


def _summary(steps: Array) -> Array:
    if not len(steps):
        steps = np.zeros((1, steps.shape[1]))
        length = 0
    else:
        length = len(steps)
    mean = steps.mean(0)
    away = steps - mean
    moves = np.diff(steps, axis=0) if len(steps) > 1 else np.zeros_like(steps)
    time = np.arange(len(steps)) - (len(steps) - 1) / 2
    crossings = np.diff(np.sign(away), axis=0) != 0
    parts = [
        mean,
        steps.std(0),
        *np.quantile(steps, [0, 0.25, 0.5, 0.75, 1], axis=0),
        steps[0],
        steps[-1],
        np.abs(moves).mean(0),
        moves.std(0),
        time @ away / max(float(time @ time), 1.0),
        crossings.mean(0) if len(crossings) else np.zeros_like(mean),
        [length],
    ]
    return np.concatenate(parts)


class Resampled(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Each sequence at as many points of its course, on lines between its steps, features in units of their
    deviation: distances between them are those of sequences brought to one length.
    """

    def __init__(self, points: int = 32) -> None:
        self.points = points

    def fit(self, X: Any, y: Any = None) -> Resampled:  # noqa: ARG002
        steps = np.concatenate([np.asarray(sequence, float) for sequence in X])
        deviation = steps.std(0) if len(steps) else np.ones(steps.shape[1])
        self.deviation_ = np.where(deviation > 0, deviation, 1.0)
        return self

    def transform(self, X: Any) -> Array:
        return np.array([self._resampled(np.asarray(one, float)) for one in X]).reshape(len(X), -1)

    def _resampled(self, steps: Array) -> Array:
        if not len(steps):
            return np.zeros((self.points, steps.shape[1]))
        at = np.linspace(0, len(steps) - 1, self.points)
        before = np.floor(at).astype(int)
        after, share = np.minimum(before + 1, len(steps) - 1), (at - before)[:, np.newaxis]
        found: Array = (steps[before] * (1 - share) + steps[after] * share) / self.deviation_
        return found


class Window(_Look):
    """A row for each step: it and so many before and behind it; beyond the ends zeros."""

    def __init__(self, reach: int = 2) -> None:
        self.reach = reach

    def transform(self, X: Any) -> Array:
        parts = []
        for sequence in X:
            steps = np.asarray(sequence, float)
            padded = np.pad(steps, ((self.reach, self.reach), (0, 0)))
            parts.append(
                np.concatenate([padded[at : at + len(steps)] for at in range(2 * self.reach + 1)], axis=1)
            )
        return np.concatenate(parts)

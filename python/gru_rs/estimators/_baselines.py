"""What a network is compared with: simple models of sequences, by scikit-learn. It must not know networks."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin, clone
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ._tokens import analyzer_of, token_rows
from .tagger import labels_score

if TYPE_CHECKING:
    from ._batches import Array

_ANALYZE = analyzer_of("word", lowercase=True)


def baselines(task: str, X: Any) -> dict[str, Any]:
    if task == "tag":
        return {"each token's most frequent label": _Lookup()}
    words = not isinstance(X[0], np.ndarray)
    features = TfidfVectorizer(analyzer=_words, min_df=1) if words else _Summary()
    scaler = [] if words else [StandardScaler()]
    name = "bag of words" if words else "summary"
    if task == "classify":
        linear = make_pipeline(features, *scaler, LogisticRegression(max_iter=1000))
        return {"most frequent class": _Plain(DummyClassifier()), f"{name} + logistic regression": linear}
    return {
        "mean": _PlainRegressor(DummyRegressor()),
        f"{name} + ridge": make_pipeline(features, *scaler, Ridge()),
    }


def _words(sequence: Any) -> list[str]:
    """Words and pairs of them; or tokens and theirs."""
    (tokens,) = token_rows("X", [sequence], _ANALYZE)
    words = [str(token) for token in tokens]
    return words + [" ".join(pair) for pair in pairwise(words)]


class _Summary(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Mean, deviation, least, largest, first and last of each feature, and the length; of nothing zeros."""

    def fit(self, X: Any, y: Any = None) -> _Summary:  # noqa: ARG002
        return self

    def transform(self, X: Any) -> Array:
        rows = []
        for sequence in X:
            array = np.asarray(sequence, float)
            if not len(array):
                rows.append(np.zeros(6 * array.shape[1] + 1))
                continue
            parts = [
                array.mean(0),
                array.std(0),
                array.min(0),
                array.max(0),
                array[0],
                array[-1],
                [len(array)],
            ]
            rows.append(np.concatenate(parts))
        return np.array(rows)


class _Plain(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A model that does not look at the sequences."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def fit(self, X: Any, y: Any) -> _Plain:
        self.fitted_ = clone(self.model).fit(np.zeros((len(X), 1)), y)
        return self

    def predict(self, X: Any) -> Array:
        found: Array = self.fitted_.predict(np.zeros((len(X), 1)))
        return found


class _PlainRegressor(RegressorMixin, _Plain):  # type: ignore[misc]
    """The same for numbers."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        return float(RegressorMixin.score(self, X, y, sample_weight))


class _Lookup(BaseEstimator):  # type: ignore[misc]
    """Each token's most frequent label, and for others the most frequent of all."""

    def fit(self, X: Any, y: Any) -> _Lookup:
        counts: dict[Any, Counter[Any]] = defaultdict(Counter)
        for tokens, labels in zip(X, y, strict=True):
            for token, label in zip(tokens, labels, strict=True):
                counts[_hashable(token)][label] += 1
        self.best_ = {token: labels.most_common(1)[0][0] for token, labels in counts.items()}
        total: Counter[Any] = Counter()
        for labels in counts.values():
            total.update(labels)
        self.other_ = total.most_common(1)[0][0]
        return self

    def predict(self, X: Any) -> list[Array]:
        return [np.array([self.best_.get(_hashable(token), self.other_) for token in tokens]) for tokens in X]

    def score(self, X: Any, y: Any) -> float:
        return labels_score([np.asarray(labels) for labels in y], self.predict(X))


def _hashable(token: Any) -> Any:
    return token.tobytes() if isinstance(token, np.ndarray) else token

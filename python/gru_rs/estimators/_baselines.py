"""What a network is compared with: simple models of sequences, by scikit-learn, each tuned on the rows that
it is fitted to and on no others. It must not know networks.
"""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ._folds import folds_of
from ._looks import Characters, Nothing, Resampled, StepWords, Summary, Window, Words
from ._tokens import is_text
from .tagger import labels_score

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._batches import Array
    from ._tokens import Tokenizer

_GRID = (0.1, 1.0, 10.0, 100.0)
"""Of C, and of 1 over a ridge's alpha."""
_TREES = 100
_PARTS = 3
"""Of the rows of training, by which the grid is searched."""
_MANY = 2000
"""Rows of which one part tells as much as it needs."""


def baselines(task: str, X: Any, tokenizer: Tokenizer, seed: int, *, each: bool = False) -> dict[str, Any]:
    """Models by name, from the simplest on: of sequences, or with `each` of their steps."""
    numbers = len(X) > 0 and isinstance(X[0], np.ndarray)
    if task == "tag":
        return _taggers(numbers, seed)
    if each:
        plain = Window(0) if numbers else StepWords(tokenizer)
        look = make_pipeline(Window(), StandardScaler()) if numbers else plain
        return {
            "mean": Tuned(plain, [DummyRegressor()], seed, each=True),
            "a step and its neighbours + ridge": Tuned(look, _ridges(), seed, each=True),
        }
    return (_of_numbers if numbers else _of_tokens)(task == "classify", X, tokenizer, seed)


def _of_tokens(classify: bool, X: Any, tokenizer: Tokenizer, seed: int) -> dict[str, Any]:
    models, name, found = _linear(classify, seed)
    found[f"bag of words + {name}"] = Tuned(Words(tokenizer), models, seed)
    if is_text(X):
        found[f"characters + {name}"] = Tuned(Characters(tokenizer.lowercase), models, seed)
    return found


def _of_numbers(classify: bool, X: Any, tokenizer: Tokenizer, seed: int) -> dict[str, Any]:  # noqa: ARG001
    models, name, found = _linear(classify, seed)
    forest = RandomForestClassifier if classify else RandomForestRegressor
    found[f"summary + {name}"] = Tuned(make_pipeline(Summary(), StandardScaler()), models, seed)
    found["summary + forest"] = Tuned(Summary(), [forest(_TREES, random_state=seed)], seed)
    if classify:
        found["nearest neighbour"] = Tuned(Resampled(), [KNeighborsClassifier(1)], seed)
    return found


def _linear(classify: bool, seed: int) -> tuple[list[Any], str, dict[str, Any]]:
    """Linear models from the stiffest on, what they are called, and the model that looks at nothing."""
    if classify:
        models = [LogisticRegression(C=C, max_iter=1000) for C in _GRID]
        return (
            models,
            "logistic regression",
            {"most frequent class": Tuned(Nothing(), [DummyClassifier()], seed)},
        )
    return _ridges(), "ridge", {"mean": Tuned(Nothing(), [DummyRegressor()], seed)}


def _ridges() -> list[Any]:
    return [Ridge(alpha=1 / C) for C in _GRID]


def _taggers(numbers: bool, seed: int) -> dict[str, Any]:
    if numbers:
        look = make_pipeline(Window(), StandardScaler())
        models: list[Any] = [LogisticRegression(C=C, max_iter=1000) for C in _GRID]
        plain = Tuned(Window(0), [DummyClassifier()], seed, each=True)
        return {
            "most frequent label": plain,
            "a step and its neighbours + logistic regression": Tuned(look, models, seed, each=True),
        }
    models = [
        SGDClassifier(loss="log_loss", alpha=alpha, max_iter=30, random_state=seed)
        for alpha in (1e-4, 1e-5, 1e-6)
    ]
    return {
        "each token's most frequent label": Lookup(),
        "a token, its spelling and neighbours + logistic regression": Tuned(
            StepWords(), models, seed, each=True
        ),
    }


class Tuned(BaseEstimator):  # type: ignore[misc]
    """A look at sequences, and of several models over it the one that is best on parts of the rows that it is
    fitted to: the first of those that are as good.

    With `each` the look gives rows of steps, and what is predicted are those of the steps of each sequence.
    """

    def __init__(self, look: Any, models: Sequence[Any], seed: int = 0, *, each: bool = False) -> None:
        self.look, self.models, self.seed, self.each = look, models, seed, each

    def fit(self, X: Any, y: Any, groups: Array | None = None) -> Tuned:
        self.look_ = clone(self.look)
        rows, lengths = self.look_.fit_transform(X), _lengths(X) if self.each else np.ones(len(X), int)
        targets = _flat(y) if self.each else np.asarray(y)
        models = self.models
        if is_classifier(models[0]) and len(np.unique(targets)) < 2:
            models = [DummyClassifier()]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            best = models[len(models) // 2]
            if len(models) > 1:
                best = self._searched(models, rows, targets, lengths, groups) or best
            self.fitted_ = clone(best).fit(rows, targets)
        return self

    def _searched(
        self, models: Sequence[Any], rows: Any, targets: Array, lengths: Array, groups: Array | None
    ) -> Any:
        """The best one; None of too few rows."""
        count, labels = len(lengths), None
        if groups is not None:
            groups = np.unique(groups, return_inverse=True)[1]
        if count < 2 * _PARTS or (groups is not None and groups.max() + 1 < _PARTS):
            return None
        if not self.each and is_classifier(models[0]):
            labels = targets
        parts = folds_of(labels, count, _PARTS, self.seed, groups)[: 1 if count >= _MANY else None]
        owner = np.repeat(np.arange(count), lengths)
        scores = np.zeros(len(models))
        for train, test in parts:
            own, other = np.isin(owner, train), np.isin(owner, test)
            # Of one class nothing is learnt, and of one number there is no R².
            fewest = np.unique(targets[own]) if is_classifier(models[0]) else np.flatnonzero(other)
            if len(fewest) < 2:
                return None
            for place, model in enumerate(models):
                fitted = clone(model).fit(rows[own], targets[own])
                found = fitted.predict(rows[other])
                scores[place] += self._scored(targets[other], found, lengths[np.sort(test)])
        return models[int(np.argmax(scores))]

    def _scored(self, truth: Array, found: Array, lengths: Array) -> float:
        if not is_classifier(self.models[0]):
            return float(r2_score(truth, found))
        ends = np.cumsum(lengths)[:-1]
        return (
            labels_score(np.split(truth, ends), np.split(found, ends))
            if self.each
            else float(np.mean(truth == found))
        )

    def predict(self, X: Any) -> Any:
        rows = self.look_.transform(X)
        if not self.each:
            return self.fitted_.predict(rows)
        lengths = _lengths(X)
        found = self.fitted_.predict(rows) if lengths.sum() else np.empty(0)
        return np.split(found, np.cumsum(lengths)[:-1])

    def score(self, X: Any, y: Any) -> float:
        found = self.predict(X)
        if not self.each:
            return self._scored(np.asarray(y), found, np.ones(len(X), int))
        return self._scored(_flat(y), np.concatenate(found), _lengths(X))


def _lengths(X: Any) -> Array:
    return np.fromiter(map(len, X), np.intp, len(X))


def _flat(y: Any) -> Array:
    """The targets of all steps."""
    return np.concatenate([np.asarray(row) for row in y])


class Lookup(BaseEstimator):  # type: ignore[misc]
    """Each token's most frequent label, and for others the most frequent of all."""

    def fit(self, X: Any, y: Any, groups: Any = None) -> Lookup:  # noqa: ARG002
        counts: Mapping[Any, Counter[Any]] = defaultdict(Counter)
        for tokens, labels in zip(X, y, strict=True):
            for token, label in zip(tokens, labels, strict=True):
                counts[token][label] += 1
        self.best_ = {token: labels.most_common(1)[0][0] for token, labels in counts.items()}
        total: Counter[Any] = Counter()
        for labels in counts.values():
            total.update(labels)
        self.other_ = total.most_common(1)[0][0]
        return self

    def predict(self, X: Any) -> list[Array]:
        return [np.array([self.best_.get(token, self.other_) for token in tokens]) for tokens in X]

    def score(self, X: Any, y: Any) -> float:
        return labels_score([np.asarray(labels) for labels in y], self.predict(X))

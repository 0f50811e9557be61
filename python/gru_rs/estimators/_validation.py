"""What training is validated on, and by what it is scored: data of its own or a part that is held out, whole
groups if there are any, by an estimator's own score or one of scikit-learn's. It must not know models.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import GroupShuffleSplit

from ._folds import opened_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ._batches import Array, Sequences


class Validation(NamedTuple):
    """Sequences that are not learnt from, read as those that are."""

    sequences: Sequences
    targets: Any
    weights: Array | None


def arguments_of(validation_data: Any, names: Sequence[str], least: int) -> dict[str, Any]:
    """`fit`'s arguments of these names: a tuple of the first, at least so many, or a dict."""
    whole = f"a tuple of {least} to {len(names)} of {', '.join(names)}, or a dict of them"
    if isinstance(validation_data, Mapping):
        found = dict(validation_data)
        if not set(names[:least]) <= set(found) <= set(names):
            msg = f"validation_data: expected {whole}, got a dict of {', '.join(map(str, found))}"
            raise ValueError(msg)
        return found
    if not isinstance(validation_data, (tuple, list)):
        msg = f"validation_data: expected {whole}, got {type(validation_data).__name__}"
        raise TypeError(msg)
    if not least <= len(validation_data) <= len(names):
        msg = f"validation_data: expected {whole}, got {len(validation_data)} values"
        raise ValueError(msg)
    return dict(zip(names, validation_data, strict=False))


@contextmanager
def of_validation_data() -> Iterator[None]:
    """Says of an error that it is of these data, not of those that are learnt from."""
    try:
        yield
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        msg = f"validation_data: {error}"
        raise kind(msg) from error


def groups_to_hold_out(groups: Any, count: int, *, used: bool) -> Array | None:
    """The number of each row's group, of which some are held out whole."""
    if groups is not None and not used:
        msg = "groups: expected None unless early_stopping holds rows out and no validation_data are given"
        raise ValueError(msg)
    return opened_groups(groups, count, 2, "of which one is held out")


def split_groups(groups: Array, share: float, seed: int) -> tuple[Array, Array]:
    """Rows to train on and rows that are held out: whole groups, about that share of them."""
    splits = GroupShuffleSplit(n_splits=1, test_size=share, random_state=seed)
    train, held = next(splits.split(groups, groups=groups))
    return train, held


def expect_scoring(scoring: Any, own: Sequence[str]) -> None:
    """None, a function, or a name of scikit-learn's or of the estimator's own."""
    if scoring is None or callable(scoring):
        return
    names = [*own, *get_scorer_names()]
    if not isinstance(scoring, str) or scoring not in names:
        msg = f"scoring: expected None, a function or one of {', '.join(names)}, got {scoring!r}"
        raise ValueError(msg)


def part(sequences: Sequences, rows: Array) -> Sequences:
    """Some rows, not copied."""
    return replace(sequences, starts=sequences.starts[rows], lengths=sequences.lengths[rows])


def scored(scoring: Any, estimator: Any, X: Sequences, truth: Any, weights: Array | None) -> float:
    """By a function, of what the estimator predicts, or by name, of the same as scikit-learn takes it."""
    scorer: Callable[..., Any] = scoring
    kind = estimator._answers()
    if isinstance(scoring, str):
        scorer = get_scorer(scoring)
        if kind != "one":
            estimator, truth = _Plain(estimator), _plain(kind, truth)
        if kind == "steps" and weights is not None:
            weights = np.repeat(weights, X.lengths)
    given = {} if weights is None else {"sample_weight": weights}
    found = scorer(estimator, X, truth, **given)
    if not isinstance(found, numbers.Real):
        msg = f"scoring: expected a function that gives a number, got {found!r} ({type(found).__name__})"
        raise TypeError(msg)
    return float(found)


def _plain(kind: str, answers: Any) -> Array:
    """Those of all steps one behind the other, or sequences as texts, of which only equal ones are equal."""
    if kind == "steps":
        return np.concatenate(answers)
    return np.array([one if isinstance(one, str) else repr(one) for one in answers])


class _Plain(BaseEstimator):  # type: ignore[misc]
    """An estimator whose answers are as scikit-learn's scores take them."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    @property
    def classes_(self) -> Array:
        found: Array = self.estimator.classes_
        return found

    def predict(self, X: Any) -> Array:
        return _plain(self.estimator._answers(), self.estimator.predict(X))

    def predict_proba(self, X: Any) -> Array:
        return np.concatenate(self.estimator.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.estimator._answers() == "steps":
            tags.estimator_type = "regressor" if is_regressor(self.estimator) else "classifier"
        return tags

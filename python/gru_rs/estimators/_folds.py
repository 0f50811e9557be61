"""Which rows a model is tried on: parts of the data, each once, or as a splitter of scikit-learn has them. It
must not know models.
"""

from __future__ import annotations

import warnings
from collections import Counter
from numbers import Number
from typing import Any, TypeAlias

import numpy as np
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from ._batches import Array
from ._columns import is_missing
from ._containers import opened
from ._targets import expect_rows

Split: TypeAlias = tuple[Array, Array]


def folds_of(labels: Any, count: int, folds: int, seed: int, groups: Array | None) -> list[Split]:
    """Rows to train on and to be tried on. Every class is shared out alike where there are `labels`; rows of
    one group are never on both sides.
    """
    places = np.empty(count)
    kind: Any
    given: tuple[Any, ...]
    shared = labels is not None and max(Counter(labels.tolist()).values()) >= folds
    if groups is not None:
        kind = StratifiedGroupKFold if shared else GroupKFold
        given = (places, labels if shared else None, groups)
    else:
        kind, given = (StratifiedKFold, (places, labels)) if shared else (KFold, (places,))
    with warnings.catch_warnings():
        # A class of fewer rows than folds is not in each: that cannot be helped.
        warnings.filterwarnings("ignore", "The least populated class in y", UserWarning)
        return list(kind(folds, shuffle=True, random_state=seed).split(*given))


def opened_groups(groups: Any, count: int, least: int, why: str) -> Array | None:
    """A group for each row, numbered; of at least so many groups."""
    if groups is None:
        return None
    found = _dates(groups) or opened("groups", groups)
    expect_rows("groups", found, np.empty(count))
    for row, label in enumerate(found):
        if is_missing(label):
            msg = f"groups: expected a group for each row, got {label!r} in row {row}"
            raise ValueError(msg)
        if _kind(label) != _kind(found[0]):
            # As an array they would be one kind, and the text "1" the number.
            got = f"{found[0]!r:.60} in row 0 and {label!r:.60} in row {row}"
            msg = f"groups: expected values of one kind, by which rows can be told apart, got {got}"
            raise TypeError(msg)
    labels = np.asarray(found)
    if labels.ndim != 1:
        msg = f"groups: expected a group for each row, shape (n,), got shape {labels.shape}"
        raise ValueError(msg)
    names, numbers = np.unique(labels, return_inverse=True)
    if len(names) < least:
        msg = f"groups: expected at least {least} groups, {why}, got {len(names)}"
        raise ValueError(msg)
    place: Array = numbers.reshape(-1)
    return place


def _dates(groups: Any) -> list[Any] | None:
    """Dates, which are no numbers but tell rows apart, of an array or a column; None of anything else."""
    kind = getattr(groups, "dtype", None)
    if getattr(kind, "kind", "") == "M":
        return list(np.asarray(groups))
    of_polars = type(groups).__module__.startswith("polars") and str(kind).startswith("Date")
    return list(groups) if of_polars else None


def _kind(label: Any) -> type:
    """Texts, truths and numbers are one kind each, whatever their width."""
    if isinstance(label, (bool, np.bool_)):
        return bool
    return next((own for own in (str, Number) if isinstance(label, own)), type(label))


def given_folds(cv: Any, labels: Any, count: int, groups: Array | None) -> list[Split]:
    """The splits of a splitter of scikit-learn, or of an iterable of pairs of rows."""
    places = np.zeros((count, 1))
    found = list(cv.split(places, labels, groups) if hasattr(cv, "split") else cv)
    splits = []
    for fold, pair in enumerate(found):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            msg = f"cv: expected pairs of rows to train on and to test on, got {pair!r:.60} in fold {fold}"
            raise TypeError(msg)
        splits.append((_rows(pair[0], count, fold), _rows(pair[1], count, fold)))
        if np.intersect1d(*splits[-1]).size:
            msg = f"cv: expected rows to test on that are not trained on, got both in fold {fold}"
            raise ValueError(msg)
    if len(splits) < 2:
        msg = f"cv: expected at least 2 folds, got {len(splits)}"
        raise ValueError(msg)
    return splits


def _rows(given: Any, count: int, fold: int) -> Array:
    rows = np.asarray(given)
    if rows.dtype == bool and rows.shape == (count,):
        rows = np.flatnonzero(rows)
    if rows.ndim != 1 or not len(rows) or rows.dtype.kind not in "iu":
        got = f"shape {rows.shape} of dtype {rows.dtype}"
        msg = f"cv: expected the numbers of some rows in fold {fold}, got {got}"
        raise ValueError(msg)
    if rows.min() < 0 or rows.max() >= count:
        msg = f"cv: expected rows from 0 to {count - 1} in fold {fold}, got {rows.min()} to {rows.max()}"
        raise ValueError(msg)
    return rows.astype(np.intp)


def share_of(splits: list[Split]) -> float:
    """Rows that a model is tried on over those that it is trained on, on average."""
    return float(np.mean([len(test) / len(train) for train, test in splits]))

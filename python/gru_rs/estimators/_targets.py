"""What targets have in common: a container of one for each sequence. It must not know models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from ._batches import Array, Sequences
from ._columns import Frame, Ragged, is_missing, is_number, refuse_missing
from ._containers import opened


def opened_targets(y: Any) -> Any:
    """An ndarray or a list of the targets in a container; a table of one column is that column, of several
    an array of its numbers.
    """
    if y is None or isinstance(y, (str, bytes)) or is_number(y):
        # The last words are those that scikit-learn looks for.
        more = "; this estimator requires y to be passed, but the target y is None" if y is None else ""
        msg = f"y: expected a value for each sequence of X, got {y!r} ({type(y).__name__}){more}"
        raise (ValueError if y is None else TypeError)(msg)
    found = opened("y", y)
    if isinstance(found, Frame):
        found = found.columns[0] if len(found.columns) == 1 else found.matrix("y")
    if isinstance(found, Ragged):
        found = rows_of(found)
    if isinstance(found, list):
        for row, value in enumerate(found):
            if is_missing(value):
                refuse_missing("y", f"row {row}")
    return found


def opened_weights(sample_weight: Any) -> Any:
    """How much each sequence counts, from any container; none for all alike."""
    return None if sample_weight is None else opened("sample_weight", sample_weight)


def rows_of(given: Any) -> list[Any]:
    """What was opened, row by row; of one number a step without an axis for it."""
    if not isinstance(given, Ragged):
        return list(given)
    return (replace(given, flat=given.flat[:, 0]) if given.flat.shape[1] == 1 else given).each()


def cut_as_steps(what: str, targets: Array, sequences: Sequences, row: int, most: int | None) -> Array:
    """One for each step of a row; more where training was cut, or where the row was padded as they are."""
    length, given = int(sequences.lengths[row]), len(targets)
    if given != length and given != sequences.width and not (length == most and given > length):
        expected = f"{length} {what} in row {row}, one for each step"
        msg = f"y: expected {expected}, got shape {targets.shape}"
        raise ValueError(msg)
    return targets[:length]


def expect_finite(targets: Array, row: int | None = None) -> None:
    """No NaN and no infinity among numbers: of a row its steps, else of rows."""
    if targets.dtype.kind == "f" and not np.isfinite(targets).all():
        at = int(np.argmin(np.isfinite(targets).reshape(len(targets), -1).all(axis=1)))
        place = f"row {at}" if row is None else f"row {row}, step {at}"
        msg = f"y: expected finite numbers, got NaN or infinity in {place}"
        raise ValueError(msg)


def expect_numbers_of_steps(rows: list[Array]) -> None:
    """Finite ones, as many for each step."""
    first: Array | None = None
    for row, numbers in enumerate(rows):
        if first is not None and len(numbers) and numbers.shape[1:] != first.shape[1:]:
            expected = f"a number for each step, shape (T, *{first.shape[1:]})"
            msg = f"y: expected {expected}, got shape {numbers.shape} in row {row}"
            raise ValueError(msg)
        expect_finite(numbers, row)
        first = numbers if first is None and len(numbers) else first


def class_weights(given: Any, classes: Array, places: Array) -> Array | None:
    """How much each class counts, if they do not count alike; `places`: of the targets among the classes."""
    if given is None:
        return None
    present = np.unique(places)
    found = np.ones(len(classes))
    found[present] = compute_class_weight(given, classes=classes[present], y=classes[places])
    return found


def expect_rows(name: str, values: Any, lengths: Array) -> None:
    """One value for each sequence."""
    if getattr(values, "ndim", 1) == 0:
        msg = f"{name}: expected a value for each sequence of X, got {values!r} ({type(values).__name__})"
        raise TypeError(msg)
    if len(values) != len(lengths):
        msg = f"{name}: expected {len(lengths)} values, one for each sequence of X, got {len(values)}"
        raise ValueError(msg)

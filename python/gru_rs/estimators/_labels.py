"""Labels and tokens that a file can keep, of one kind, and their places among those that are known. It must
not know sequences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ._batches import Array, Token

KINDS = {"b": "bools", "i": "integers", "u": "integers", "f": "floats", "U": "texts"}
"""Of the labels that a file can keep, by the letters of NumPy's kinds."""

_MOST_BYTES = 8
"""Of a number: what Python's floats and the integers of files have."""


def as_labels(name: str, given: Any, where: str = "") -> Array:
    """Labels as an array of bools, integers, floats or texts: what a file can keep, and all of one kind;
    `where` says of what they are.

    A list is not left to NumPy, which makes texts of ``[1, "a"]`` and integers of ``[1, True]``.
    """
    array = _object_array(given) if isinstance(given, (list, tuple)) else np.asarray(given)
    if array.dtype == object or array.dtype.kind == "T":  # texts of any length
        return _of_objects(name, array.astype(object, copy=False), where)
    return _expect_kept(name, array, where)


def _object_array(given: Sequence[Any]) -> Array:
    """A list, or a list of lists, as it is."""
    if any(isinstance(row, (list, tuple, np.ndarray)) for row in given):
        return np.asarray(given, object)
    array = np.empty(len(given), object)
    array[:] = given
    return array


def _of_objects(name: str, objects: Array, where: str) -> Array:
    """Labels that say for themselves what they are."""
    labels = objects.reshape(-1).tolist()
    if not set(map(type, labels)) <= set(_WORDS):
        labels = [_plain(label) for label in labels]
    kinds = _expect_known_kind(name, labels, where)
    array = np.array(labels, str) if kinds == {"texts"} else np.array(labels)
    # NumPy takes a zero at the end of a text for padding, and floats where an integer has more than 64 bits.
    changed = kinds <= {"texts", "integers"} and array.tolist() != labels
    if changed or (kinds == {"integers"} and array.dtype.kind == "f"):
        expected = f"integers of 64 bits, or texts that do not end with \\0{where}"
        msg = f"{name}: expected {expected}, got {labels[:20]}"
        raise ValueError(msg)
    return _expect_kept(name, array.reshape(objects.shape), where)


def _expect_known_kind(name: str, labels: list[Any], where: str) -> set[str]:
    """All labels are of one kind, which a file can keep; integers among floats count as floats."""
    kinds = {_kind(kind) for kind in set(map(type, labels))}
    strange = kinds - set(KINDS.values())
    if strange or (len(kinds) > 1 and kinds != {"integers", "floats"}):
        others = strange or kinds - {_kind(type(labels[0]))}
        odd = next(label for label in labels if _kind(type(label)) in others)
        beside = "" if strange else f" beside {labels[0]!r}"
        expected = f"labels of one kind, texts, integers, floats or bools{where}"
        msg = f"{name}: expected {expected}, got {odd!r} ({type(odd).__name__}){beside}"
        raise TypeError(msg)
    return kinds


def _plain(label: Any) -> Any:
    """NumPy's own scalars as Python's."""
    return (
        label.item()
        if isinstance(label, (np.bool_, np.integer, np.floating, np.str_))
        and not isinstance(label, np.timedelta64)
        else label
    )


_WORDS: dict[type, str] = {bool: "bools", int: "integers", float: "floats", str: "texts"}


def _kind(kind: type) -> str:
    """A word of `KINDS`, or the name of what is none of them: a text of a class of its own would come back as
    another.
    """
    return _WORDS.get(kind, kind.__name__)


def _expect_kept(name: str, array: Array, where: str) -> Array:
    kind = array.dtype.kind
    if kind not in KINDS or (kind in "iuf" and array.dtype.itemsize > _MOST_BYTES):
        expected = f"labels{where} that a file can keep: texts, integers, floats or bools"
        msg = f"{name}: expected {expected}, got dtype {array.dtype}"
        raise TypeError(msg)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def expect_one_kind(name: str, rows: Iterable[Array]) -> None:
    """The labels of all rows are texts, or integers, and so on."""
    dtypes = {row.dtype for row in rows if row.size}
    kinds = {KINDS[dtype.kind] for dtype in dtypes}
    if kinds == {"integers"} and np.result_type(*dtypes).kind == "f":
        msg = f"{name}: expected integers that fit together into 64 bits, got {sorted(map(str, dtypes))}"
        raise ValueError(msg)
    if len(kinds) > 1 and kinds != {"integers", "floats"}:
        msg = f"{name}: expected labels of one kind in all rows, got {' and '.join(sorted(kinds))}"
        raise TypeError(msg)


def plain_vocabulary(name: str, vocabulary: Mapping[Token, int]) -> dict[Token, int]:
    """The same with tokens that a file can keep: NumPy's own scalars become Python's."""
    plain = {_plain_token(token): number for token, number in vocabulary.items()}
    for token in plain:
        expect_savable_token(name, token)
    return plain


def _plain_token(token: Any) -> Any:
    return tuple(map(_plain_token, token)) if type(token) is tuple else _plain(token)


def expect_savable_token(name: str, token: Any) -> None:
    """A text, a number, None, or a tuple of such: what comes back from a file equal, and of its type."""
    if type(token) is tuple:
        for part in token:
            expect_savable_token(name, part)
    elif not (token is None or type(token) in (str, int, bool, float)) or token != token:  # NaN
        expected = "tokens that a file can keep: texts, numbers, or tuples of them"
        msg = f"{name}: expected {expected}, got {token!r} ({type(token).__name__})"
        raise TypeError(msg)


def expect_kind_of(what: str, labels: Array, classes: Array) -> None:
    """Labels are of the kind of those that are known."""
    kinds = {KINDS[labels.dtype.kind], KINDS[classes.dtype.kind]}
    if labels.size and len(kinds) > 1 and kinds != {"integers", "floats"}:
        msg = f"y: expected {what} {classes.tolist()[:20]}, got {labels.reshape(-1)[0].item()!r}"
        raise ValueError(msg)


def places_of(what: str, labels: Array, classes: Array) -> Array:
    """The places of labels among sorted classes."""
    expect_kind_of(what, labels, classes)
    places = np.searchsorted(classes, labels).clip(max=len(classes) - 1)
    unknown = classes[places] != labels
    if unknown.any():
        msg = f"y: expected {what} {classes.tolist()}, got {labels[unknown][0].item()!r}"
        raise ValueError(msg)
    found: Array = places.astype(np.uint32)
    return found

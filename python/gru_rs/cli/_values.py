"""Sequences and labels from the values of rows: each checked as it comes, and what a column holds decided
when all of it is known. It must not know formats or models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal, TypeAlias

import numpy as np

from ._source import Row, Source, UsageError, shown

Reads: TypeAlias = Literal["tokens", "text", "lists of strings", "strings", "integers", "numbers"] | None
"""What sequences are to be: tokens, of one kind or of either, or numbers; None: what they look like."""

_INT64 = 2**63
_EXACT = 2**53
"""Up to here float64 has each integer."""


# Numbers ----------------------------------------------------------------------------------------------------


def number(source: Source, place: int, row: Row, name: str) -> float:
    """A finite number."""
    value = source.value(place, row, name, "a number")
    found = _parsed(value) if isinstance(value, str) and not source.typed else value
    if not isinstance(found, Real) or isinstance(found, bool):
        raise source.fault(place, f"expected a number in {name!r}, got {shown(value)}")
    wrong = _unusable(found)
    if wrong:
        raise source.fault(place, f"expected {wrong} in {name!r}, got {shown(value)}")
    return float(found)


def _parsed(text: str) -> Any:
    """The number that a cell of CSV is, or the cell. Underscores are among digits in Python alone."""
    if "_" in text:
        return text
    try:
        found = float(text)
    except ValueError:
        return text
    # From there on a float no longer says which integer was written.
    if _EXACT <= abs(found) < math.inf and text.strip().lstrip("+-").isdecimal():
        return int(text)
    return found


def _unusable(value: Any) -> str | None:
    """What was expected instead of a number that is not finite, or that float64 does not have."""
    if isinstance(value, int):
        if abs(value) > _EXACT and (value.bit_length() > 1023 or int(float(value)) != value):
            return "a number that float64 has exactly"
    elif not math.isfinite(value):
        return "a finite number"
    return None


# Labels -----------------------------------------------------------------------------------------------------

Shape: TypeAlias = Literal["number", "class", "steps", "spelling"]
"""Of a label: a number; a string, an integer or a boolean; a list of strings or integers, one for each step;
a list or a text of as many as there are.
"""


@dataclass
class Labels:
    """The labels of a column, all of one kind."""

    source: Source
    name: str
    shape: Shape
    what: str = "a label"
    _first: tuple[int, str] | None = field(init=False, default=None)
    """Where the kind was first seen, and which it is."""

    def take(self, place: int, row: Row) -> Any:
        """The label of a row."""
        if self.shape == "number":
            return number(self.source, place, row, self.name)
        # To spell nothing is an answer where a file can say so.
        empty = self.shape == "spelling" and self.source.typed
        value = self.source.value(place, row, self.name, self.what)
        if isinstance(value, str) and not value.strip() and not empty:
            raise self._expected(place, self.what, value)
        kind = self._kind(place, value)
        first, wanted = self._first or (place, kind)
        # "a list", of nothing, goes with a list of anything.
        if not (kind.startswith(wanted) or wanted.startswith(kind)):
            raise self._expected(place, f"{wanted} as in {self.source.at(first)}", value)
        if self._first is None or len(kind) > len(wanted):
            self._first = place, kind
        return value

    def _kind(self, place: int, value: Any) -> str:
        if isinstance(value, list) and self.shape in ("steps", "spelling"):
            return self._list_kind(place, value)
        if isinstance(value, str) and self.shape in ("class", "spelling"):
            return "a string"
        if isinstance(value, bool) and self.shape == "class":
            return "a boolean"
        if isinstance(value, int) and not isinstance(value, bool) and self.shape == "class":
            return self._integer(place, value)
        expected = {
            "class": "a string, an integer or a boolean",
            "steps": "a list of labels, one for each step,",
            "spelling": "a text or a list of strings or integers",
        }[self.shape]
        hint = "; --task regress learns numbers" if isinstance(value, float) and self.shape == "class" else ""
        raise self._expected(place, expected, value, hint)

    def _list_kind(self, place: int, value: list[Any]) -> str:
        kinds = set(map(type, value))
        if kinds <= {str}:
            empty = next((at for at, one in enumerate(value) if not one), None)
            if empty is not None:
                raise self._expected(place, "labels", value, f" at index {empty}")
            return "a list of strings" if value else "a list"
        if kinds == {int}:
            for one in value:
                self._integer(place, one)
            return "a list of integers"
        first = str if isinstance(value[0], str) else int
        at = next(at for at, one in enumerate(value) if type(one) is not first)
        wanted = "strings" if first is str else "strings or integers alone"
        raise self._expected(place, f"a list of {wanted}", value[at], f" at index {at}")

    def _integer(self, place: int, value: int) -> str:
        if not -_INT64 <= value < _INT64:
            raise self._expected(place, "an integer of 64 bits", value)
        return "an integer"

    def _expected(self, place: int, expected: str, value: Any, more: str = "") -> Exception:
        return self.source.fault(place, f"expected {expected} in {self.name!r}, got {shown(value)}{more}")


# Sequences --------------------------------------------------------------------------------------------------

_TEXT, _STRINGS, _INTEGERS, _FLOATS, _STEPS = "text", "strings", "integers", "numbers", "steps of numbers"
_KINDS = {
    _TEXT: "text",
    _STRINGS: "a list of strings",
    _INTEGERS: "a list of integers",
    _FLOATS: "a list of numbers",
    _STEPS: "a list of steps",
}
_FAMILIES: dict[str, tuple[str, ...]] = {
    "tokens": (_TEXT, _STRINGS, _INTEGERS),
    "text": (_TEXT,),
    "lists of strings": (_STRINGS,),
    "strings": (_TEXT, _STRINGS),
    "integers": (_INTEGERS,),
    "numbers": (_FLOATS, _INTEGERS, _STEPS),
}


@dataclass
class Sequences:
    """The sequences of a column: texts, lists of tokens, or arrays of numbers ``(T_i,)`` or ``(T_i, F)``."""

    source: Source
    name: str
    found: list[Any] = field(init=False, default_factory=list)
    _kinds: list[str] = field(init=False, default_factory=list)
    _places: list[int] = field(init=False, default_factory=list)
    _width: tuple[int, int] | None = field(init=False, default=None)
    """Of steps of several numbers: how many, and where that was first seen."""

    def take(self, place: int, row: Row) -> None:
        """The sequence of a row."""
        value = self.source.value(place, row, self.name, "a sequence")
        if isinstance(value, str):
            if not value.strip():
                raise self._expected(place, "text", f"{value!r}")
            kind = _TEXT
        elif isinstance(value, list):
            if not value:
                raise self._expected(place, "at least one step", "an empty list")
            kind = self._kind(place, value)
        else:
            raise self._expected(place, "text or a list", shown(value))
        self.found.append(value)
        self._kinds.append(kind)
        self._places.append(place)

    def _kind(self, place: int, value: list[Any]) -> str:
        kinds = set(map(type, value))
        if kinds == {str}:
            return _STRINGS
        if kinds == {list}:
            for step, numbers in enumerate(value):
                self._step(place, step, numbers)
            return _STEPS
        self._expect_numbers(place, value, "strings, of integers or of numbers")
        return _INTEGERS if kinds == {int} else _FLOATS

    def _step(self, place: int, step: int, numbers: list[Any]) -> None:
        self._expect_numbers(place, numbers, "numbers", f"[{step}]")
        if self._width is None:
            self._width = len(numbers), place
        width, first = self._width
        if not numbers or len(numbers) != width:
            expected = f"{width or 'some'} numbers a step as in {self.source.at(first)}"
            raise self._expected(place, expected, f"{len(numbers)} at index [{step}]")

    def _expect_numbers(self, place: int, values: list[Any], of: str, within: str = "") -> None:
        if set(map(type, values)) == {float} and all(map(math.isfinite, values)):
            return
        for at, one in enumerate(values):
            where = f"{shown(one)} at index {within}[{at}]"
            if not isinstance(one, Real) or isinstance(one, bool):
                raise self._expected(place, f"a list of {of}", where)
            if not isinstance(one, int) and not math.isfinite(one):
                raise self._expected(place, "finite numbers", where)

    def done(self, reads: Reads) -> list[Any]:
        """All of them, when the last was taken."""
        seen = set(self._kinds)
        if reads is None and seen == {_INTEGERS} and self.source.integers is None:
            expected = f"--set tokens=true or --set tokens=false for the lists of integers in {self.name!r}"
            msg = f"{self.source.path}: expected {expected}, got neither"
            raise UsageError(msg)
        if reads is None:
            reads = "numbers" if seen & {_FLOATS, _STEPS} else "tokens"
        wanted, why = self._wanted(_FAMILIES[reads])
        for kind, place, value in zip(self._kinds, self._places, self.found, strict=True):
            if kind not in wanted:
                expected = f"{' or '.join(_KINDS[one] for one in wanted)}{why}"
                raise self._expected(place, expected, f"{_KINDS[kind]}, {shown(value)}")
        if reads == "numbers":
            return [self._array(*one) for one in zip(self._places, self.found, strict=True)]
        return self.found

    def _wanted(self, family: Sequence[str]) -> tuple[Sequence[str], str]:
        """The kinds that all sequences may have, by the first one that is right, and why."""
        first = next((at for at, kind in enumerate(self._kinds) if kind in family), None)
        if first is None:
            return family, ", which is what the model reads,"
        kind = self._kinds[first]
        together = (_FLOATS, _INTEGERS) if _FLOATS in family and kind != _STEPS else (kind,)
        return together, f" as in {self.source.at(self._places[first])}"

    def _array(self, place: int, value: list[Any]) -> np.ndarray[Any, Any]:
        for at, numbers in enumerate(value if isinstance(value[0], list) else [value]):
            # Integers that float64 does not have are rare: it is the whole list that is asked first.
            if any(_unusable(one) for one in numbers if isinstance(one, int)):
                index = next(i for i, one in enumerate(numbers) if _unusable(one))
                within = f"[{at}]" if isinstance(value[0], list) else ""
                where = f"{shown(numbers[index])} at index {within}[{index}]"
                raise self._expected(place, "numbers that float64 has exactly", where)
        return np.asarray(value, np.float64)

    def _expected(self, place: int, expected: str, came: str) -> Exception:
        return self.source.fault(place, f"expected {expected} in {self.name!r}, got {came}")

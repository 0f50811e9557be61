"""Plain arguments: sizes, seeds, flags and rates, each named when it is wrong."""

from __future__ import annotations

import numbers
import operator
from typing import Any


def shown(value: Any) -> str:
    """A value for a message. Python writes no integers of more than some thousand digits."""
    try:
        return repr(value)
    except ValueError:
        return f"a huge {type(value).__name__}"


def as_size(name: str, value: Any) -> int:
    """A positive integer."""
    size = as_int(name, value, "a positive integer")
    if size <= 0:
        msg = f"{name}: expected a positive integer, got {shown(size)}"
        raise ValueError(msg)
    if size > 2**63 - 1:
        msg = f"{name}: expected a size that fits the machine, got {shown(size)}, which is too large"
        raise ValueError(msg)
    return size


def as_count(name: str, value: Any, end: int = 2**63) -> int:
    """An integer from 0 to below `end`."""
    count = as_int(name, value, "an integer from 0")
    if not 0 <= count < end:
        msg = f"{name}: expected an integer from 0, got {shown(count)}"
        raise ValueError(msg)
    return count


def as_int(name: str, value: Any, expected: str) -> int:
    """An integer, by Python's own idea of one, but no bool."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        msg = f"{name}: expected {expected} (int), got {shown(value)} ({type(value).__name__})"
        raise TypeError(msg) from None


def as_seed(value: Any) -> int:
    """An integer of [0, 2**64)."""
    seed = as_int("seed", value, "an integer from 0 to 2**64 - 1")
    if not 0 <= seed < 2**64:
        msg = f"seed: expected an integer from 0 to 2**64 - 1, not negative and of 64 bits, got {shown(seed)}"
        raise ValueError(msg)
    return seed


def as_flag(name: str, value: Any) -> bool:
    """A bool, Python's or NumPy's."""
    if isinstance(value, bool) or type(value).__name__ in {"bool", "bool_"}:
        return bool(value)
    msg = f"{name}: expected a bool, got {shown(value)} ({type(value).__name__})"
    raise TypeError(msg)


def as_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """One of some words."""
    if isinstance(value, str) and value in choices:
        return value
    msg = f"{name}: expected {' or '.join(map(repr, choices))}, got {shown(value)}"
    raise ValueError(msg)


def as_real(name: str, value: Any) -> float:
    """A number, as a float."""
    if isinstance(value, numbers.Real):
        try:
            return float(value)
        except OverflowError:
            msg = f"{name}: expected a number that a float can hold, got {shown(value)}"
            raise ValueError(msg) from None
    msg = f"{name}: expected a number (float), got {shown(value)} ({type(value).__name__})"
    raise TypeError(msg)

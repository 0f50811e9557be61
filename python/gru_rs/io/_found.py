"""What a source holds: a conversion for each name, of which some may refuse.

Each converter finds all names first and converts each by itself, so that a bad layer does not hide good ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import NoReturn, TypeAlias, TypeVar

T = TypeVar("T")

Found: TypeAlias = Mapping[str, Callable[[], T]]
"""Of each name how to convert what it names; a ValueError out of it says why it is refused."""

_SHOWN = 20
"""Names that a message tells before it counts the others: a file may hold any number."""
_LETTERS = 100
"""Of a name that a message tells."""


def shown(name: str) -> str:
    """A name in a message, cut if it is long."""
    return name if len(name) <= _LETTERS else f"{name[:_LETTERS]}…"


def refusal(message: str) -> Callable[[], NoReturn]:
    """The conversion of what is refused already where it is found."""

    def refuse() -> NoReturn:
        raise ValueError(message)

    return refuse


def sorted_out(found: Found[T]) -> tuple[dict[str, T], dict[str, str]]:
    """Everything that can be converted, and of everything else why not, by name."""
    taken, refused = {}, {}
    for name, convert in found.items():
        try:
            taken[name] = convert()
        except ValueError as error:
            refused[name] = str(error)
    return taken, refused


def _tried(convert: Callable[[], object]) -> None:
    """Whether it can be converted: what comes is not kept, as many may share one part of a file."""
    convert()


def chosen(found: Found[T], name: str | None, nothing: str = "") -> T:
    """What is called `name`, or all there is; `nothing` is the message where there is nothing at all."""
    if not found:
        raise ValueError(nothing)
    if name is None and len(found) == 1:
        (name,) = found
    if name is not None and name in found:
        return found[name]()
    tries = {own: partial(_tried, convert) for own, convert in found.items()}
    taken, refused = sorted_out(tries) if name is None else (dict.fromkeys(found), {})
    got = f"None, with {len(found)} to choose from" if name is None else repr(shown(name))
    msg = f"name: expected one of {_listed(taken)}, got {got}{_reasons(refused)}"
    raise ValueError(msg)


def everything(found: Found[T], name: str | None, nothing: str) -> dict[str, T]:
    """All by name, or what is called `name` alone; an error if one of them is refused."""
    if not found or name is not None:
        return {name or "": chosen(found, name, nothing)}
    taken, refused = sorted_out(found)
    if not refused:
        return taken
    if len(found) == 1:
        raise ValueError(*refused.values())
    words = (
        f"name: expected one of {_listed(taken)}, got None" if taken else "source: expected layers, got none"
    )
    raise ValueError(words + _reasons(refused))


def _listed(names: Mapping[str, object]) -> str:
    some = ", ".join(repr(shown(name)) for name in sorted(names)[:_SHOWN])
    more = len(names) - _SHOWN
    return (some or "none") + (f" and {more} more" if more > 0 else "")


def _reasons(refused: Mapping[str, str]) -> str:
    if not refused:
        return ""
    told = [(shown(own), reason.removeprefix(f"{own}: ")) for own, reason in sorted(refused.items())[:_SHOWN]]
    reasons = [f"{own!r} ({reason.removeprefix(f'{own}: ')})" for own, reason in told]
    more = len(refused) - _SHOWN
    return f"; refused: {', '.join(reasons)}" + (f" and {more} more" if more > 0 else "")

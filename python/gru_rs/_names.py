"""The parameters of a network by name: where each lies end to end, and its shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ._arrays import Array

Names: TypeAlias = list[tuple[str, int, int, tuple[int, ...]]]
"""(name, first, last, shape) of each in order."""


def as_names(names: list[tuple[str, int, int, list[int]]]) -> Names:
    """Names as the extension gives them."""
    return [(name, first, last, tuple(shape)) for name, first, last, shape in names]


def split(flat: Array, names: Names) -> dict[str, Array]:
    """Views of the parameters in a flat buffer."""
    return {name: flat[first:last].reshape(shape) for name, first, last, shape in names}

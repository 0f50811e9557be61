"""The words of choices: the extension's one table, which arguments and messages are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import _core

if TYPE_CHECKING:
    from collections.abc import Iterable


class Cell(NamedTuple):
    """What a cell is made of.

    Attributes
    ----------
    states : list of str
        The letters of the states it carries from step to step, h first.
    gates : list of str
        The letters of its gates, in the order of their rows in the weights, which is PyTorch's.
    """

    states: list[str]
    gates: list[str]


WORDS: dict[str, tuple[str, ...]] = {name: tuple(words) for name, words in _core.words().items()}
"""For each argument that is a choice, its words."""

CELLS: dict[str, Cell] = {name: Cell(*letters) for name, letters in _core.cells().items()}
"""Each cell by its word."""


POOLINGS = tuple(word for word in WORDS["pooling"] if word != "each")
"""Those that make one row of numbers of a sequence."""


def cell_of_rows(rows: int, hidden_size: int, among: Iterable[str]) -> str | None:
    """The cell, of those that a framework has, whose recurrent weights have so many rows, if there is one."""
    gates, rest = divmod(rows, hidden_size) if hidden_size else (0, 0)
    return next((word for word in among if not rest and len(CELLS[word].gates) == gates), None)

"""Texts predicted for in one call into Rust, while other threads go on. It must not know how texts are read
otherwise, nor what scores mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gru_rs import _core

from ._tokens import analyzer_of

if TYPE_CHECKING:
    from gru_rs._model import Model

    from ._batches import Array, Token

CUTS = ("word", "char")
"""The analyzers that Rust has, too."""


class Served:
    """A vocabulary in Rust. Texts that are not ASCII are cut here, as Python's Unicode says."""

    def __init__(self, vocabulary: Mapping[Token, int], analyzer: str, lowercase: bool) -> None:
        # Rust's strings have no halves of surrogates, and neither have texts that it is given.
        numbers: Any = [(token, number) for token, number in vocabulary.items() if _is_whole(str(token))]
        self._words = _core.Words(numbers, analyzer == "char", lowercase)
        self._cut = analyzer_of(analyzer, lowercase)

    def scores(self, model: Model, given: Any, most: int | None) -> Array | None:
        """A row of scores for each text, of its first `most` tokens; None if not all are texts."""
        if type(given) is not list or set(map(type, given)) != {str} or not all(map(_is_whole, given)):
            return None
        rows = [text if text.isascii() else self._cut(text) for text in given]
        return self._words.scores(model._core, rows, most).reshape(-1, model.output_size)


def _is_whole(text: str) -> bool:
    """Whether it can be written in UTF-8."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False

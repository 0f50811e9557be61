"""Texts and arrays of numbers predicted for in one call into Rust, while other threads go on. It must not
know how others are read, nor what scores mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gru_rs import _core

from ._numbers import as_lengths
from ._tokens import analyzer_of

if TYPE_CHECKING:
    from gru_rs._model import Model

    from ._batches import Array, Scale, Token

CUTS = ("word", "char")
"""The analyzers that Rust has, too."""


class Served(Protocol):
    """What was learnt of sequences, in Rust."""

    @property
    def core(self) -> _core.Words | _core.Units:
        """As a stream of a model takes it."""
        ...

    def scores(self, model: Model, given: Any, lengths: Any, most: int | None) -> Array | None:
        """A row of scores for each sequence, of its first `most` steps; None of what is not plain."""
        ...


class ServedTexts:
    """A vocabulary, learnt of texts or of lists of tokens, or of nobody knows which. Texts that are not ASCII
    are cut here, as Python's Unicode says.
    """

    def __init__(
        self, vocabulary: Mapping[Token, int], analyzer: str, *, lowercase: bool, of_text: bool | None
    ) -> None:
        # Rust's strings have no halves of surrogates, and neither have texts that it is given.
        numbers: Any = [(token, number) for token, number in vocabulary.items() if _is_whole(str(token))]
        self.core = _core.Words(numbers, analyzer == "char", lowercase, of_text)
        self._of_text = of_text
        self._cut = analyzer_of(analyzer, lowercase)

    def scores(self, model: Model, given: Any, lengths: Any, most: int | None) -> Array | None:
        """Of a list of texts."""
        if type(given) is not list or set(map(type, given)) != {str} or not all(map(_is_whole, given)):
            return None
        if lengths is not None or self._of_text is False:
            return None
        rows = [text if text.isascii() else self._cut(text) for text in given]
        return self.core.scores(model._core, rows, most).reshape(-1, model.output_size)


class ServedNumbers:
    """The units of numbers."""

    def __init__(self, scale: Scale | None, *, named: bool, padded: bool) -> None:
        self.core = _core.Units(None if scale is None else (scale.mean.tolist(), scale.factor.tolist()))
        self._named, self._padded = named, padded

    def scores(self, model: Model, given: Any, lengths: Any, most: int | None) -> Array | None:
        """Of a list of arrays of floats, or of an array ``(n, T, F)``, which may be padded. None if something
        is to be said of them: that names are lacking, or lengths.
        """
        if self._named:
            return None
        known: list[int] | None = None
        if type(given) is np.ndarray and given.ndim == 3 and given.dtype.kind == "f":
            if lengths is not None:
                known = as_lengths(lengths, *given.shape[:2]).tolist()
            elif self._padded:
                return None
        elif type(given) is not list or lengths is not None:
            return None
        found = self.core.scores(model._core, given, known, most)
        return None if found is None else found.reshape(-1, model.output_size)


def _is_whole(text: str) -> bool:
    """Whether it can be written in UTF-8."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False

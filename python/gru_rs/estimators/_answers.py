"""What a decoder has written, as answers: in the form of targets, each once. It must not know the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ._reader import TokenReader

if TYPE_CHECKING:
    from gru_rs._encoder_decoder import Hypothesis

    from ._batches import Array, Token
    from ._reader import Reader
    from ._writing import Writer


class Guess(NamedTuple):
    """One answer to a sequence.

    Attributes
    ----------
    target : str or list of tokens
        As the targets of training were. Where the unknown token was written it has what was copied from the
        source, or else None, in a text U+FFFD.
    log_p : float
        The logarithm of its probability: of all the ways to write it that were found.
    tokens : list
        What was written, token by token, in the most probable of these ways; None where it was the unknown
        one.
    attention : ndarray, (tokens, steps), or None
        For each token, and then for the end if that was written, how much each step of the source counted:
        to be plotted.
    """

    target: Any
    log_p: float
    tokens: list[Any]
    attention: Array | None


@dataclass(frozen=True)
class Source:
    """The tokens that an unknown one may be copied from, read when one was written."""

    reader: TokenReader
    given: Any
    lengths: Any
    lowercase: bool
    """Whether targets are in small letters."""

    @cached_property
    def rows(self) -> list[Sequence[Token]]:
        """Those of each sequence, in large letters if targets have them."""
        read = self.reader.tokenizer.tokens("X", self.given, self.lengths)
        as_given = replace(self.reader.tokenizer, lowercase=self.lowercase)
        written = as_given.tokens("X", self.given, self.lengths)
        # Small letters may be more than large ones, and so may be the words of them.
        return [b if len(a) == len(b) else a for a, b in zip(read, written, strict=True)]


def source_of(reader: Reader, writer: Writer, given: Any, lengths: Any) -> Source | None:
    """Where words of targets may be copied from: tokens of their kind."""
    if not writer.copies or not isinstance(reader, TokenReader) or not reader.kinds & writer.kinds:
        return None
    return Source(reader, given, lengths, writer.lowercase)


class Answers:
    """What hypotheses say."""

    def __init__(self, writer: Writer, source: Source | None) -> None:
        self._writer, self._source = writer, source
        self._tokens = {number: token for token, number in writer.vocabulary.items()}

    def distinct(self, row: int, hypotheses: Sequence[Hypothesis], length_penalty: float) -> list[Guess]:
        """Answers that differ as they are written, the best first."""
        ways: dict[Any, list[tuple[Hypothesis, Guess]]] = {}
        for one in hypotheses:
            guess = self.guess(row, one)
            key = guess.target if isinstance(guess.target, str) else tuple(guess.target)
            ways.setdefault(key, []).append((one, guess))
        found = []
        for (best, guess), *others in ways.values():
            log_p = float(np.logaddexp.reduce([best.log_p, *(other.log_p for other, _ in others)]))
            length = len(best.labels) + best.ended
            found.append((log_p / ((5 + length) / 6) ** length_penalty, guess._replace(log_p=log_p)))
        return [guess for _, guess in sorted(found, key=lambda pair: -pair[0])]

    def guess(self, row: int, one: Hypothesis) -> Guess:
        """A hypothesis about the target of a sequence."""
        tokens = [self._tokens.get(label) for label in one.labels]
        said = tokens
        if None in tokens and self._source is not None and one.attention is not None:
            source, seen = self._source.rows[row], one.attention
            # A source of no steps has nothing to look at.
            said = [
                source[seen[place].argmax()] if token is None and source else token
                for place, token in enumerate(tokens)
            ]
        return Guess(self._writer.written(said), one.log_p, tokens, one.attention)


def widened(
    search: Callable[[Array, int], Sequence[Sequence[Hypothesis]]],
    answers: Callable[[int, Sequence[Hypothesis]], list[Guess]],
    count: int,
    width: int,
) -> list[list[Guess]]:
    """The answers to so many sequences, at most `width` each. Where several ways to write one took the places
    of others in a beam of that width, a wider one is asked.
    """
    found: list[list[Guess]] = [[] for _ in range(count)]
    rows, beam = np.arange(count), width
    while len(rows) and beam <= _WIDEST * width:
        more = []
        for row, hypotheses in zip(rows.tolist(), search(rows, beam), strict=True):
            found[row] = answers(row, hypotheses)[:width]
            if len(found[row]) < width and len(hypotheses) == beam:
                more.append(row)
        rows, beam = np.array(more, np.intp), 2 * beam
    return found


_WIDEST = 8

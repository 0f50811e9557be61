"""Texts that are written: how they become tokens, and tokens texts again. It must not know networks.

Reading and spelling are inverse to each other: a piece of a text keeps the space before it, so that pieces
one behind the other are the text, and a piece that is not known is written by its characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from ._batches import Token, vocabulary_of
from ._labels import plain_vocabulary
from ._learnt import refuse
from ._scripts import UNSPACED
from ._tokens import TextTokenizer, analyzer_of, expect_same_form, is_text, kinds_of, token_rows

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._learnt import Learnt
    from ._tokens import Analyzer

UNWRITTEN = "\N{REPLACEMENT CHARACTER}"
"""What stands in a text for the unknown token."""

# The last space of several stands alone, so that a text which ends with it has the pieces of a longer one.
_WHITE = r"\s+(?= )|\s+"

_PLAIN_PIECES = re.compile(rf" ?\w+| ?[^\w\s]|{_WHITE}")
"""Of texts in ASCII: words, single marks and white space, the first two with the space before them."""


@cache
def _all_pieces() -> re.Pattern[str]:
    """The same of texts in any script: marks that combine belong to the letter before them, and where words
    have no spaces between them a letter is a piece.
    """
    marks = "".join(chr(code) for code in range(0x300, 0x1F000) if unicodedata.category(chr(code))[0] == "M")
    letters = rf"[^\W{UNSPACED}]|[{re.sub(f'[{UNSPACED}]', '', marks)}]"
    return re.compile(rf" ?[{UNSPACED}][{marks}]*| ?(?:{letters})+| ?[^\w\s{marks}]|{_WHITE}")


def pieces(text: str) -> list[str]:
    """A text in pieces, which one behind the other are the text.

    Examples
    --------
    >>> pieces("It's fine,  thanks.")
    ['It', "'", 's', ' fine', ',', ' ', ' thanks', '.']
    """
    return (_PLAIN_PIECES if text.isascii() else _all_pieces()).findall(text)


@dataclass(frozen=True)
class Writer:
    """Texts, or sequences of tokens, as tokens that are known, and such tokens as texts."""

    analyzer: Analyzer
    lowercase: bool
    joiner: str | None
    of_text: bool
    """Whether what was learnt from were texts."""
    keeps_spaces: bool
    """Whether the tokens of a text are `pieces` of it; in files of earlier versions they never are."""
    vocabulary: dict[Token, int] = field(default_factory=dict)
    skips_unknown: bool = False
    """Whether targets are without the unknown token, as those of earlier versions were."""
    kinds: frozenset[str] = field(init=False)
    """Of the vocabulary's tokens."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", kinds_of(self.vocabulary))

    @classmethod
    def of(cls, given: Any, analyzer: Analyzer, joiner: str | None, *, lowercase: bool) -> Self:
        """One that nothing was learnt by yet, for what was opened."""
        of_text = is_text(given)
        return cls(analyzer, lowercase, joiner, of_text, of_text and analyzer == "word" and joiner is None)

    # Reading

    def tokens(self, name: str, given: Any) -> list[Sequence[Token]]:
        """Those of each text or sequence of a container that was opened, of which it learnt the same."""
        analyze = self._pieces if self.keeps_spaces else analyzer_of(self.analyzer, self.lowercase)
        rows = token_rows(name, given, analyze, lowercase=self.lowercase)
        if rows:
            expect_same_form(name, given, self.of_text)
        return rows

    def _pieces(self, text: str) -> list[str]:
        return pieces(text.lower() if self.lowercase else text)

    def learn(
        self,
        name: str,
        rows: Sequence[Sequence[Token]],
        min_frequency: int,
        most: int | None,
        *,
        first: int,
    ) -> Self:
        """With a vocabulary of at most so many tokens of these rows, numbered from `first` on: those that are
        frequent enough, and of pieces all characters, which come before them.
        """
        if self.keeps_spaces:
            counts: Counter[Any] = Counter(chain.from_iterable(rows))
            characters: Counter[Any] = Counter()
            for piece, count in counts.items():
                for character in piece:
                    characters[character] += count
            kept = [character for character, _ in characters.most_common()]
            kept += [
                piece
                for piece, count in counts.most_common()
                if count >= min_frequency and piece not in characters
            ]
            found: Iterable[Token] = kept[:most]
        else:
            found = vocabulary_of(rows, min_frequency, None if most is None else most + 1)
        numbers = {token: number for number, token in enumerate(found, first)}
        return replace(self, vocabulary=plain_vocabulary(name, numbers))

    def numbers(self, row: Sequence[Token], unknown: int) -> list[int]:
        """The numbers of a row's tokens; a piece that has none is written by its characters."""
        known = self.vocabulary
        if not self.keeps_spaces:
            return [known.get(token, unknown) for token in row]
        found: list[int] = []
        for piece in row:
            if piece in known or not isinstance(piece, str) or not piece:
                found.append(known.get(piece, unknown))
            else:
                found += [known.get(character, unknown) for character in piece]
        return found

    # Spelling

    @property
    def between(self) -> str:
        """What stands between tokens."""
        if self.joiner is not None:
            return self.joiner
        return "" if self.keeps_spaces or (self.of_text and self.analyzer == "char") else " "

    @property
    def _decoder(self) -> TextTokenizer | None:
        """What writes the tokens that it has made of texts itself."""
        own = self.of_text and self.joiner is None
        return self.analyzer if own and isinstance(self.analyzer, TextTokenizer) else None

    @property
    def rereads(self) -> bool:
        """Whether what it has written has all tokens again when it is read."""
        whole = self.between == "" and (self.keeps_spaces or self.analyzer == "char")
        return self.of_text and (whole or self._decoder is not None)

    @property
    def copies(self) -> bool:
        """Whether the unknown token is a word, which may stand in the source."""
        by_itself = self.keeps_spaces or self.analyzer == "char" or isinstance(self.analyzer, TextTokenizer)
        return not (self.skips_unknown or (self.of_text and by_itself))

    def text(self, tokens: Sequence[Token]) -> str:
        """Tokens as a text; None is the unknown one."""
        if self._decoder is not None:
            return _decoded(self._decoder, tokens)
        return self.between.join(UNWRITTEN if token is None else str(token) for token in tokens)

    def written(self, tokens: Sequence[Token]) -> Any:
        """A target as those that were learnt from: a text, or a list."""
        if self.skips_unknown:
            tokens = [token for token in tokens if token is not None]
        return self.text(tokens) if self.of_text else list(tokens)

    def as_drawn(self, tokens: Iterable[Token], before: Sequence[Token], begun: str) -> Iterator[str]:
        """The text of tokens one by one, behind a text that was begun by other tokens."""
        if self._decoder is not None:
            yield from _decoded_one_by_one(self._decoder, tokens, before)
            return
        between = "" if not begun or begun.endswith(self.between) else self.between
        for token in tokens:
            yield f"{between}{token}"
            between = self.between

    def unfinished(self, row: Sequence[Token]) -> tuple[str, list[int]]:
        """What a text ends with that is no word by itself but what words begin with, such as a space; and the
        tokens that begin with it.
        """
        last = row[-1] if self.keeps_spaces and row else None
        if not isinstance(last, str) or not last or (last != " " and last in self.vocabulary):
            return "", []
        begun = [number for token, number in self.vocabulary.items() if str(token).startswith(last)]
        return (last, begun) if begun else ("", [])


def _decoded(tokenizer: TextTokenizer, tokens: Iterable[Token]) -> str:
    """By a tokenizer's own decoder, which does not know the unknown token."""
    parts: list[list[int]] = [[]]
    for token in tokens:
        if token is None:
            parts.append([])
        else:
            parts[-1].append(_number_of(tokenizer, token))
    return UNWRITTEN.join(tokenizer.decode(part, skip_special_tokens=False) if part else "" for part in parts)


def _number_of(tokenizer: TextTokenizer, token: Token) -> int:
    number = tokenizer.token_to_id(token) if isinstance(token, str) else None
    if number is None:
        msg = f"tokens: expected those that the tokenizer of training had, got {token!r} beside them"
        raise ValueError(msg)
    return number


def _decoded_one_by_one(
    tokenizer: TextTokenizer, tokens: Iterable[Token], before: Sequence[Token]
) -> Iterator[str]:
    """What each token adds to the text. Bytes that are no character yet wait for those behind them."""
    # A few tokens before say what stands between them and the next.
    held, shown = list(before)[-_CONTEXT:], len(before[-_CONTEXT:])
    for token in tokens:
        held.append(token)
        old, new = _decoded(tokenizer, held[:shown]), _decoded(tokenizer, held)
        if len(new) > len(old) and not new.endswith(UNWRITTEN):
            yield new[len(old) :]
            held = held[max(shown - _CONTEXT, 0) :]
            shown = len(held)
    rest = _decoded(tokenizer, held)[len(_decoded(tokenizer, held[:shown])) :]
    if rest:
        yield rest


_CONTEXT = 4


def expect_vocabulary(
    learnt: Learnt, name: str, first: int, *, of_text: bool, analyzer: Any, keeps_spaces: str
) -> dict[Any, int]:
    """What a file says of a `Writer`: a vocabulary, and whether it keeps spaces, which files did not always
    say.
    """
    keeps = learnt.flag(keeps_spaces) if learnt.has(keeps_spaces) else False
    if keeps and not (of_text and analyzer == "word"):
        refuse(keeps_spaces, "False, as only pieces of texts keep spaces", keeps)
    return learnt.vocabulary(name, first, of_text=of_text, analyzer=analyzer, keeps_spaces=keeps)

"""Text while it is drawn: pieces of it, and where it ends. It must not know texts of training."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, takewhile
from typing import TYPE_CHECKING

from gru_rs._checks import as_count, as_real, as_seed, as_size
from gru_rs._parameters import fresh_seed

from ._batches import UNKNOWN
from ._corpus import END

if TYPE_CHECKING:
    from gru_rs._core import Generator
    from gru_rs._model import Model


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn, as `LanguageModel.stream` says it."""

    max_length: int | None
    temperature: float
    top_k: int | None
    top_p: float
    repetition_penalty: float
    seed: int | None

    def numbers(self, model: Model, prompt: list[int], first: Collection[int] = ()) -> Iterator[int]:
        """The numbers of tokens after those of a prompt, up to the end of the text; the first of them is
        drawn from `first` alone, if that has any.
        """
        most = None if self.max_length is None else as_count("max_length", self.max_length)
        sampling = (
            as_real("temperature", self.temperature),
            0 if self.top_k is None else as_size("top_k", self.top_k),
            as_real("top_p", self.top_p),
            as_real("repetition_penalty", self.repetition_penalty),
        )
        drawn = fresh_seed(None if self.seed is None else as_seed(self.seed))

        def begun(seed: int, forbidden: Iterable[int], read: list[int]) -> Generator:
            generator = model._core.generator(sampling, seed)
            for number in forbidden:
                generator.forbid(number)
            generator.begin(END)
            generator.read(read)
            return generator

        numbers: list[int] = []
        if first and most != 0:
            others = set(range(model.output_size)) - set(first)
            # Of a seed of its own, or the token behind it would be drawn by the same numbers.
            numbers = [begun(drawn ^ _FIRST, others, prompt).next()]
        generator = begun(drawn, [UNKNOWN], prompt + numbers)
        rest = iter(generator.next, END)
        if most is not None:
            rest = (generator.next() for _ in range(most - len(numbers)))
        return chain(numbers, takewhile(lambda number: number != END, rest))


_FIRST = 1 << 32


def behind(begun: str, pieces: Iterator[str]) -> Iterator[str]:
    """The pieces without what they begin with, which is there already."""
    for piece in pieces:
        if len(piece) > len(begun):
            yield piece[len(begun) :]
        begun = ""


def until(pieces: Iterator[str], endings: tuple[str, ...]) -> Iterator[str]:
    """The pieces before the first ending. What may become one is held back until it is known."""
    held = ""
    for piece in pieces:
        held += piece
        places = [place for ending in endings if (place := held.find(ending)) >= 0]
        if places:
            if min(places):
                yield held[: min(places)]
            return
        # The longest tail that an ending begins with.
        keep = max(
            (n for ending in endings for n in range(1, len(ending)) if held.endswith(ending[:n])), default=0
        )
        if len(held) > keep:
            yield held[: len(held) - keep]
            held = held[len(held) - keep :]
    if held:
        yield held

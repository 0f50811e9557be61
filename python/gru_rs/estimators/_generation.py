"""Text while it is drawn: pieces of it, and where it ends. It must not know texts of training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from gru_rs._checks import as_count, as_real, as_seed, as_size
from gru_rs._parameters import fresh_seed

from ._batches import UNKNOWN
from ._corpus import END

if TYPE_CHECKING:
    from gru_rs._model import Model

    from ._batches import Token


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn, as `LanguageModel.stream` says it."""

    max_length: int | None
    temperature: float
    top_k: int | None
    top_p: float
    repetition_penalty: float
    seed: int | None

    def numbers(self, model: Model, prompt: list[int]) -> Iterator[int]:
        """The numbers of tokens after those of a prompt, up to the end of the text."""
        most = None if self.max_length is None else as_count("max_length", self.max_length)
        sampling = (
            as_real("temperature", self.temperature),
            0 if self.top_k is None else as_size("top_k", self.top_k),
            as_real("top_p", self.top_p),
            as_real("repetition_penalty", self.repetition_penalty),
        )
        drawn = fresh_seed(None if self.seed is None else as_seed(self.seed))
        generator = model._core.generator(sampling, drawn)
        generator.forbid(UNKNOWN)
        generator.begin(END)
        generator.read(prompt)
        numbers = iter(generator.next, END) if most is None else (generator.next() for _ in range(most))
        return takewhile(lambda number: number != END, numbers)


def written(numbers: Iterator[int], tokens: dict[int, Token], before: str, between: str) -> Iterator[str]:
    """Tokens as text: what stands before the first, and what between them."""
    for number in numbers:
        yield f"{before}{tokens[number]}"
        before = between


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

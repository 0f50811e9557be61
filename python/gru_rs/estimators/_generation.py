"""Text while it is drawn: how tokens follow a prompt, what pieces of text they make, and where it ends. It
must not know texts of training.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, takewhile
from typing import TYPE_CHECKING, Any

from sklearn.utils.validation import check_is_fitted

from gru_rs._checks import as_count, as_real, as_seed, as_size
from gru_rs._parameters import fresh_seed

from ._batches import UNKNOWN
from ._corpus import END
from ._tokens import expect_kinds

if TYPE_CHECKING:
    from gru_rs._core import Generator
    from gru_rs._model import Model

    from ._writing import Writer


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


class TextGeneration:
    """What a fitted model of texts can write. No dataclass, as what it reads is the estimator's."""

    joiner: str | None
    model_: Model
    of_text_: bool
    _reader: Writer

    def stream(
        self,
        prompt: Any = "",
        *,
        max_length: int | None = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
    ) -> Iterator[str]:
        """What may follow a prompt, piece by piece as it is drawn.

        Parameters
        ----------
        prompt : str or list of tokens
            How the text begins; empty for a text from its beginning. A list of tokens if, and only if, the
            texts of training were lists. With "word" a text may end in the middle: with a space, or with a
            word that is not known but that words begin with, it goes on with one of these words.
        max_length : int or None, default 200
            Most tokens that are drawn; None draws until the text ends.
        temperature : float, default 1.0
            Below 1 the probable becomes more so, above 1 less; 0 always takes the most probable.
        top_k : int, optional
            Draw among so many of the most probable alone.
        top_p : float, default 1.0
            Draw among the fewest most probable whose probabilities sum to this (Holtzman et al., 2020).
        repetition_penalty : float, default 1.0
            Divides the positive scores of tokens that were there, and multiplies the negative ones (Keskar et
            al., 2019).
        stop : str or sequence of str, default ()
            The text ends before the first of these that comes.
        seed : int, optional
            The same gives the same text on every machine; from the system when missing.

        Yields
        ------
        str
            A token, with what stands before it; the prompt is not repeated, nor what of it a token is the
            rest of.

        Raises
        ------
        ValueError, TypeError
            An argument outside its range or of another kind.

        Examples
        --------
        >>> from gru_rs import LanguageModel
        >>> model = LanguageModel(hidden_size=8, max_iter=1, random_state=1).fit(["abab", "abba"])
        >>> text = "".join(model.stream("ab", max_length=5, seed=1))
        >>> len(text) <= 5 and set(text) <= {"a", "b"}
        True
        """
        sampling = Sampling(max_length, temperature, top_k, top_p, repetition_penalty, seed)
        return self._begun(prompt, sampling, stop)[1]

    def _begun(self, prompt: Any, sampling: Sampling, stop: str | Sequence[str]) -> tuple[str, Iterator[str]]:
        """A prompt as a text, and what follows it piece by piece."""
        check_is_fitted(self, "model_")
        writer = replace(self._reader, joiner=self.joiner)
        begins = isinstance(prompt, str) and not prompt and not self.of_text_
        (given,) = writer.tokens("prompt", [[] if begins else prompt])
        expect_kinds("prompt", [given], writer.kinds)
        endings = (stop,) if isinstance(stop, str) else stop
        if not isinstance(endings, (list, tuple)) or not all(isinstance(one, str) and one for one in endings):
            msg = f"stop: expected a string or strings, none of them empty, got {stop!r}"
            raise TypeError(msg)
        begun, following = writer.unfinished(given)
        read = writer.numbers(given[:-1] if begun else given, UNKNOWN)
        tokens = {number: token for token, number in writer.vocabulary.items()}
        drawn = (tokens[number] for number in sampling.numbers(self.model_, read, following))
        written = prompt if isinstance(prompt, str) else writer.text(prompt)
        pieces = behind(begun, writer.as_drawn(drawn, given, written))
        return written, until(pieces, tuple(endings)) if endings else pieces

    def generate(
        self,
        prompt: Any = "",
        *,
        max_length: int | None = 200,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
    ) -> str:
        """A text that begins with a prompt.

        Parameters
        ----------
        prompt, max_length, temperature, top_k, top_p, repetition_penalty, stop, seed
            As for `stream`.

        Returns
        -------
        str
            The prompt and what follows.

        Raises
        ------
        ValueError, TypeError
            As for `stream`.
        """
        sampling = Sampling(max_length, temperature, top_k, top_p, repetition_penalty, seed)
        written, pieces = self._begun(prompt, sampling, stop)
        return written + "".join(pieces)

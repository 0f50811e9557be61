"""Seq2Seq: a sequence for a sequence: pronunciation, transliteration, replies, short translations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from gru_rs._checks import as_choice, as_real, as_size
from gru_rs._encoder_decoder import EncoderDecoder
from gru_rs._losses import CrossEntropy
from gru_rs._words import WORDS

from ._batches import EMBEDDING_SIZE, Token, vocabulary_of
from ._doc import document
from ._files import readable
from ._labels import plain_vocabulary
from ._learnt import LONGEST_TARGET
from ._supervised import SequenceEstimator
from ._targets import expect_rows, opened_targets
from ._tokens import Tokenizer, expect_apart, expect_kinds, is_text, kinds_of
from .transcriber import error_rate

if TYPE_CHECKING:
    from gru_rs._encoder_decoder import Hypothesis
    from gru_rs._model import SequenceNetwork

    from ._batches import Array, Sequences
    from ._learnt import Learnt

BEGIN, END, UNKNOWN_TARGET = 0, 1, 2
"""The numbers before those of a target's own tokens."""


class Guess(NamedTuple):
    """One answer to a sequence.

    Attributes
    ----------
    target : str or list of tokens
        As the targets of training were.
    log_p : float
        The logarithm of its probability.
    tokens : list
        What was written, token by token; None where it was the unknown one.
    attention : ndarray, (tokens, steps), or None
        For each token, and then for the end if that was written, how much each step of the source counted:
        to be plotted.
    """

    target: Any
    log_p: float
    tokens: list[Any]
    attention: Array | None


@readable
@document
@dataclass(kw_only=True, eq=False, repr=False)
class Seq2Seq(SequenceEstimator):
    """A sequence for each sequence, by an encoder, attention and a decoder, both GRUs or LSTMs.

    Trained by teacher forcing: the decoder reads the true tokens and learns which comes next.

    Parameters
    ----------
    {network}
    attention : {"dot", "additive"} or None, default "dot"
        How the decoder looks back at the source; see `gru_rs.EncoderDecoder`.
    {tokens}
    target_analyzer : {"word", "char"} or callable, default "word"
        How a target that is a string becomes tokens.
    target_lowercase : bool, default False
        Take all letters of targets as small ones; not before an analyzer of your own.
    joiner : str, optional
        What stands between the tokens of a target that is a string. None: nothing between characters, a space
        between others.
    target_min_frequency : int, default 1
        Tokens of targets that come less often count as unknown; what is unknown is left out of predictions.
    label_smoothing : float, default 0.0
        Share of each target that goes to all tokens alike.
    beam_width : int, default 1
        Hypotheses that `predict` keeps; 1 takes the best token each time.
    length_penalty : float, default 0.0
        Above 0 favours longer targets in a beam; see `gru_rs.EncoderDecoder.decode`.
    max_target_length : int, optional
        Most tokens of a prediction; twice those of the longest target of training when missing.
    {scoring}
    {training}

    Attributes
    ----------
    target_vocabulary_ : dict of token to int
        0 and 1 are begin and end, 2 the unknown token.
    {attributes}

    Examples
    --------
    >>> from gru_rs import Seq2Seq
    >>> words = ["abc", "cab", "bca", "aabb", "ccab", "bac"] * 30
    >>> speller = Seq2Seq(analyzer="char", target_analyzer="char", hidden_size=32, max_iter=20,
    ...                   learning_rate_init=0.01, random_state=1)
    >>> speller.fit(words, [word[::-1] for word in words]).predict(["cab", "ccab"])
    ['bac', 'bacc']
    """

    attention: str | None = "dot"
    target_analyzer: str | Callable[[str], list[str]] = "word"
    target_lowercase: bool = False
    joiner: str | None = None
    target_min_frequency: int = 1
    label_smoothing: float = 0.0
    beam_width: int = 1
    length_penalty: float = 0.0
    max_target_length: int | None = None

    _network: ClassVar[type[SequenceNetwork]] = EncoderDecoder

    def _check(self) -> None:
        super()._check()
        if self.attention is not None:
            as_choice("attention", self.attention, WORDS["attention"])
        if not callable(self.target_analyzer):
            as_choice("target_analyzer", self.target_analyzer, ("word", "char"))
        as_size("target_min_frequency", self.target_min_frequency)
        as_size("beam_width", self.beam_width)
        if self.max_target_length is not None:
            as_size("max_target_length", self.max_target_length)
        if not 0 <= as_real("length_penalty", self.length_penalty) < np.inf:
            msg = f"length_penalty: expected a finite number from 0, got {self.length_penalty}"
            raise ValueError(msg)
        if self.joiner is not None and not isinstance(self.joiner, str):
            msg = f"joiner: expected a string or None, got {self.joiner!r}"
            raise TypeError(msg)
        if self.variational:
            msg = "variational: expected False for an encoder with a decoder, got True"
            raise ValueError(msg)

    def _own_options(self) -> dict[str, Any]:
        return {
            "embedding_size": self.embedding_size or EMBEDDING_SIZE,
            "attention": self.attention,
            "begin": BEGIN,
            "end": END,
        }

    _of_targets = ("target_vocabulary_", "_of_text", "_longest")

    def _read_targets(
        self, y: Any, sequences: Sequences, known: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], list[Array]]:
        given = opened_targets(y)
        targets = self._target_tokens(given, sequences.lengths)
        if known is not None:
            expect_kinds("y", targets, kinds_of(known["target_vocabulary_"]))
        else:
            expect_apart("y", targets)
            found = vocabulary_of(targets, self.target_min_frequency, None)
            found = plain_vocabulary("y", found)
            vocabulary = {token: number + UNKNOWN_TARGET for token, number in found.items()}
            known = {"target_vocabulary_": vocabulary, "_of_text": is_text(given), "_longest": 0}
        numbers = known["target_vocabulary_"]
        longest = max(known["_longest"], *map(len, targets))
        return {**known, "_longest": longest}, [
            np.array([numbers.get(token, UNKNOWN_TARGET) for token in target], np.uint32)
            for target in targets
        ]

    def _answers(self) -> Literal["one", "steps", "sequences"]:
        return "sequences"

    def _truth(self, targets: list[Array], rows: Array) -> list[Any]:
        tokens = self._tokens()
        return [self._written(targets[row].tolist(), tokens) for row in rows]

    def _expect_targets(self, learnt: Learnt) -> None:
        first, of_text = UNKNOWN_TARGET + 1, learnt.flag("_of_text")
        learnt.vocabulary("target_vocabulary_", first, of_text=of_text, analyzer=self.target_analyzer)
        learnt.count("_longest", LONGEST_TARGET)

    def _target_tokens(self, given: Any, lengths: Array) -> list[Sequence[Token]]:
        expect_rows("y", given, lengths)
        return Tokenizer(self.target_analyzer, self.target_lowercase).tokens("y", given)

    def _outputs(self, learnt: Mapping[str, Any]) -> int:
        return len(learnt["target_vocabulary_"]) + 3

    def _units(self, sequences: Any, targets: list[Array]) -> Array:  # noqa: ARG002
        # Each token, and the end.
        return np.array([len(target) + 1 for target in targets])

    def _loss(self, targets: list[Array]) -> CrossEntropy:  # noqa: ARG002
        return CrossEntropy(label_smoothing=self.label_smoothing)

    def _batch_targets(self, targets: list[Array], rows: Array) -> Any:
        return [targets[row] for row in rows]

    def _validation_score(
        self, sequences: Any, targets: list[Array], rows: Array, weights: Array | None
    ) -> float:
        found = [one[0].labels for one in self._hypotheses(sequences, rows, 1)]
        counted = None if weights is None else weights[rows]
        return 1 - error_rate([targets[row].tolist() for row in rows], found, counted)

    def _hypotheses(self, sequences: Any, rows: Array, width: int) -> list[list[Hypothesis]]:
        most = self.max_target_length or 2 * self._longest + 1

        def decode(x: Array, lengths: Array) -> list[list[Hypothesis]]:
            model: EncoderDecoder = self.model_  # type: ignore[assignment]
            return model.decode(
                x, lengths=lengths, beam_width=width, max_length=most, length_penalty=self.length_penalty
            )

        return self._by_rows(sequences, rows, decode)

    def _written(self, numbers: Sequence[int], tokens: dict[int, Token]) -> Any:
        """A target as those of training were: a string, or a list."""
        found = [tokens[number] for number in numbers if number in tokens]
        if not self._of_text:
            return found
        between = self.joiner
        if between is None:
            between = "" if self.target_analyzer == "char" else " "
        return between.join(map(str, found))

    def _tokens(self) -> dict[int, Token]:
        return {number: token for token, number in self.target_vocabulary_.items()}

    def predict(self, X: Any, lengths: Any = None) -> list[Any]:
        """The target of each sequence.

        {given}

        Returns
        -------
        list of str, or of lists of tokens
            As the targets of `fit` were.

        {refused}
        """
        sequences = self._read_fitted(X, lengths)
        tokens = self._tokens()
        found = self._hypotheses(sequences, sequences.rows, self.beam_width)
        return [self._written(guesses[0].labels, tokens) for guesses in found]

    def predict_beam(self, X: Any, lengths: Any = None, *, beam_width: int = 5) -> list[list[Guess]]:
        """The best answers to each sequence, with their probabilities and with what was attended to.

        Parameters
        ----------
        X, lengths
            As for `fit`.
        beam_width : int, default 5
            Hypotheses that are kept at each step.

        Returns
        -------
        list of list of Guess
            At most `beam_width` for each sequence, the best first.

        Raises
        ------
        ValueError, TypeError
            As for `predict`.
        """
        sequences = self._read_fitted(X, lengths)
        tokens = self._tokens()
        return [
            [
                Guess(
                    self._written(one.labels, tokens),
                    one.log_p,
                    [tokens.get(label) for label in one.labels],
                    one.attention,
                )
                for one in guesses
            ]
            for guesses in self._hypotheses(sequences, sequences.rows, as_size("beam_width", beam_width))
        ]

    def score(self, X: Any, y: Any, lengths: Any = None) -> float:
        """1 − the token error rate.

        That is the tokens that must be put in, taken out or changed, by those there should be.

        Parameters
        ----------
        X, y, lengths
            As for `fit`.

        Returns
        -------
        float
            At most 1; below 0 if more is wrong than there are tokens.
        """
        sequences = self._read_fitted(X, lengths)
        truth, tokens = self._target_tokens(opened_targets(y), sequences.lengths), self._tokens()
        expect_kinds("y", truth, kinds_of(self.target_vocabulary_))
        found = self._hypotheses(sequences, sequences.rows, self.beam_width)
        guesses = [[tokens[label] for label in one[0].labels if label in tokens] for one in found]
        return 1 - error_rate(truth, guesses)

"""Seq2Seq: a sequence for a sequence: pronunciation, transliteration, replies, short translations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.utils.validation import check_is_fitted

from gru_rs._checks import as_choice, as_real, as_size
from gru_rs._encoder_decoder import EncoderDecoder
from gru_rs._losses import CrossEntropy
from gru_rs._words import WORDS

from ._answers import Answers, Guess, source_of, widened
from ._batches import EMBEDDING_SIZE, Sequences
from ._doc import document
from ._exported import listed, of_sequences, said
from ._files import readable
from ._learnt import LONGEST_TARGET
from ._reader import opened_sequences
from ._sequence_estimator import SequenceEstimator
from ._states import StateFeatures
from ._targets import expect_rows, opened_targets
from ._tokens import expect_analyzer, expect_apart, expect_kinds
from ._writing import Writer, expect_vocabulary
from .transcriber import error_rate

if TYPE_CHECKING:
    from gru_rs._encoder_decoder import Hypothesis
    from gru_rs._exported import Exported
    from gru_rs._sequence_network import SequenceNetwork

    from ._batches import Array
    from ._learnt import Learnt
    from ._tokens import Analyzer

BEGIN, END, UNKNOWN_TARGET = 0, 1, 2
"""The numbers before those of a target's own tokens."""


@readable
@document
@dataclass(kw_only=True, eq=False, repr=False)
class Seq2Seq(StateFeatures, SequenceEstimator):
    """A sequence for each sequence, by an encoder, attention and a decoder, both GRUs or LSTMs.

    Trained by teacher forcing: the decoder reads the true tokens and learns which comes next.

    Parameters
    ----------
    {network}
    attention : {"dot", "additive"} or None, default "dot"
        How the decoder looks back at the source; see `gru_rs.EncoderDecoder`.
    {tokens}
    target_analyzer : {"word", "char"}, callable or tokenizer, default "word"
        How a target that is a string becomes tokens, and these a string again. "word": words and single
        marks, each with the space before it, and other white space; a letter of Chinese, Japanese, Thai,
        Lao, Burmese or Khmer is a word; words that are not known are written by their characters, so that
        each text of characters that were in training is written exactly as it is. "char": characters. A
        function from str to a list. A tokenizer of the package ``tokenizers``, by its ``encode`` and
        ``decode``.
    target_lowercase : bool, default False
        Take all letters of targets as small ones; not before an analyzer of your own.
    joiner : str, optional
        What stands between the tokens of a target that is a string, for an analyzer of your own: a space when
        missing. With "word" and a joiner a target is words and marks without what was between them, and is
        written with the joiner in its place. A tokenizer's ``decode`` is used when missing.
    target_min_frequency : int, default 1
        Tokens of targets that come less often are not known: words of "word" are written by their characters,
        others are the unknown token. With 2 a model learns to spell words that it has not seen, and makes
        words up. Where the unknown token is written, a prediction has the token of the source that was most
        attended to, if both are strings or both are integers and tokens are whole words or those of lists;
        else None, and in a text U+FFFD.
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

    bidirectional: bool = True
    input_dropout: float = 0.1
    output_dropout: float = 0.2
    attention: str | None = "dot"
    target_analyzer: Analyzer = "word"
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
        expect_analyzer("target_analyzer", self.target_analyzer)
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

    _of_targets = ("target_vocabulary_", "_of_text", "_keeps_spaces", "_longest")
    # None in files that do not say it: they leave the unknown token out.
    _keeps_spaces = None

    def _read_targets(
        self, y: Any, sequences: Sequences, known: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], list[Array]]:
        given = opened_targets(y)
        expect_rows("y", given, sequences.lengths)
        if known is None:
            first = Writer.of(given, self.target_analyzer, self.joiner, lowercase=self.target_lowercase)
            targets = first.tokens("y", given)
            expect_apart("y", targets)
            writer = first.learn("y", targets, self.target_min_frequency, None, first=UNKNOWN_TARGET + 1)
            known = {
                "target_vocabulary_": writer.vocabulary,
                "_of_text": writer.of_text,
                "_keeps_spaces": writer.keeps_spaces,
                "_longest": 0,
            }
        else:
            writer = self._writer(known)
            # Files of before do not say all of it, and what they do not say is not learnt now.
            known = {name: value for name, value in known.items() if value is not None}
            targets = writer.tokens("y", given)
            expect_kinds("y", targets, writer.kinds)
        numbers = [np.array(writer.numbers(target, UNKNOWN_TARGET), np.uint32) for target in targets]
        return {**known, "_longest": max([known["_longest"], *map(len, numbers)])}, numbers

    def _known(self) -> dict[str, Any]:
        """What was learnt of targets."""
        return {name: getattr(self, name) for name in self._of_targets}

    def _writer(self, known: Mapping[str, Any] | None = None) -> Writer:
        """How targets are read and written."""
        learnt = self._known() if known is None else known
        return Writer(
            self.target_analyzer,
            self.target_lowercase,
            self.joiner,
            learnt["_of_text"],
            bool(learnt["_keeps_spaces"]),
            learnt["target_vocabulary_"],
            skips_unknown=learnt["_keeps_spaces"] is None,
        )

    def _answers(self) -> Literal["one", "steps", "sequences"]:
        return "sequences"

    def _truth(self, targets: list[Array], rows: Array) -> list[Any]:
        writer = self._writer()
        tokens = {number: token for token, number in writer.vocabulary.items()}
        return [writer.written([tokens.get(number) for number in targets[row].tolist()]) for row in rows]

    def _expect_targets(self, learnt: Learnt) -> None:
        expect_vocabulary(
            learnt,
            "target_vocabulary_",
            UNKNOWN_TARGET + 1,
            of_text=learnt.flag("_of_text"),
            analyzer=self.target_analyzer,
            keeps_spaces="_keeps_spaces",
        )
        learnt.count("_longest", LONGEST_TARGET)

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

    def _described(self) -> Exported:
        writer = self._writer()
        learnt = {"target_vocabulary": listed(writer.vocabulary), "target_lowercase": writer.lowercase}
        learnt |= {"of_text": writer.of_text, "keeps_spaces": writer.keeps_spaces}
        learnt |= said(self, {"target_analyzer": writer.analyzer}) | {"joiner": writer.joiner}
        return of_sequences(self, "log_softmax", learnt, most=self.max_length)

    def _guesses(self, X: Any, lengths: Any, width: int, writer: Writer | None = None) -> list[list[Guess]]:
        """The best answers to each sequence, which differ as they are written."""
        check_is_fitted(self, "model_")
        writer, source = self._writer() if writer is None else writer, None
        if isinstance(X, Sequences):  # that were read to be validated on, and have no tokens any more
            sequences = X
        else:
            given, reader = opened_sequences("X", X), self._reader
            sequences = reader.read(self, given, lengths, self.max_length)
            network: EncoderDecoder = self.model_  # type: ignore[assignment]
            if network.attention is not None:
                source = source_of(reader, writer, given, lengths)
        answers = Answers(writer, source)
        return widened(
            lambda rows, beam: self._hypotheses(sequences, rows, beam),
            lambda row, hypotheses: answers.distinct(row, hypotheses, self.length_penalty),
            len(sequences.lengths),
            width,
        )

    def predict(self, X: Any, lengths: Any = None) -> list[Any]:
        """The target of each sequence.

        {given}

        Returns
        -------
        list of str, or of lists of tokens
            As the targets of `fit` were.

        {refused}
        """
        return [guesses[0].target for guesses in self._guesses(X, lengths, self.beam_width)]

    def predict_beam(self, X: Any, lengths: Any = None, *, beam_width: int = 5) -> list[list[Guess]]:
        """The best answers to each sequence, with their probabilities and with what was attended to.

        Answers differ as they are written. The probabilities of hypotheses that are written alike are added,
        and if these took the places of others the beam is made wider, up to eight times.

        Parameters
        ----------
        X, lengths
            As for `fit`.
        beam_width : int, default 5
            Hypotheses that are kept at each step.

        Returns
        -------
        list of list of Guess
            At most `beam_width` for each sequence, the best first: by `log_p`, divided as `length_penalty`
            says.

        Raises
        ------
        ValueError, TypeError
            As for `predict`.
        """
        return self._guesses(X, lengths, as_size("beam_width", beam_width))

    def log_likelihood(self, X: Any, y: Any, lengths: Any = None) -> Array:
        """The natural logarithm of the probability of each given target, its end included.

        It is that of its tokens as the analyzer makes them; a token that is not known counts as the unknown
        one. To rank answers to one question, give the question as often as there are answers. To favour
        those that are said to few questions, take away some of what they have after none, as in
        ``log_likelihood(X, y) - 0.5 * log_likelihood([""] * len(y), y)`` (Li et al., 2016).

        Parameters
        ----------
        X, lengths
            As for `fit`.
        y : array_like, (n,)
            A target for each sequence, as for `fit`.

        Returns
        -------
        ndarray, (n,)

        Raises
        ------
        ValueError, TypeError
            Sequences or targets that `fit` would not take, or of another kind.

        Examples
        --------
        >>> from gru_rs import Seq2Seq
        >>> asked, said = ["Is it so?", "Was it?"] * 9, ["Yes, it is.", "No."] * 9
        >>> model = Seq2Seq(hidden_size=16, max_iter=60, random_state=1).fit(asked, said)
        >>> bool(model.log_likelihood(asked[:1], ["Yes, it is."]) > model.log_likelihood(asked[:1], ["No."]))
        True
        """
        sequences, loss = self._read_fitted(X, lengths), CrossEntropy()
        _, targets = self._read_targets(y, sequences, self._known())
        found, model = np.empty(len(targets)), self.model_
        for row, target in enumerate(targets):
            # A loss is a mean over all tokens of a batch: of a row alone it is this row's.
            x, steps = sequences.batch(np.array([row]))
            found[row] = -(len(target) + 1) * model.loss(x, [target], lengths=steps, loss=loss)
        return found

    def score(self, X: Any, y: Any, lengths: Any = None) -> float:
        """1 − the token error rate, which is lenient: a target that is right in part counts in part.

        The error rate is the tokens that must be put in, taken out or changed, by those there should be, all
        targets together. Texts of "word", "char" and tokenizers are compared as they are written, by what the
        analyzer makes of both, spaces among it (and small letters with `target_lowercase`): one that comes
        back character by character counts fully. With an analyzer of your own or a joiner the tokens are
        compared that are joined. ``np.mean([a == b for a, b in zip(model.predict(X), y)])`` is strict.

        Parameters
        ----------
        X, y, lengths
            As for `fit`.

        Returns
        -------
        float
            At most 1; below 0 if more is wrong than there are tokens.
        """
        check_is_fitted(self, "model_")
        writer, given = self._writer(), opened_targets(y)
        # What a text would not give again is compared before it becomes one.
        asked = writer if writer.rereads else replace(writer, of_text=False)
        found = [guesses[0].target for guesses in self._guesses(X, lengths, self.beam_width, asked)]
        expect_rows("y", given, np.empty(len(found)))
        truth = writer.tokens("y", given)
        expect_kinds("y", truth, writer.kinds)
        return 1 - error_rate(truth, writer.tokens("y", found) if asked.of_text else found)

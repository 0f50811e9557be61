"""LanguageModel: what comes next in text, music, molecules, or any other sequence of tokens. Here is how it
is learnt, and how probable a text is; it must not know how text is drawn, which `_generation` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from gru_rs._checks import as_size
from gru_rs._exported import Exported
from gru_rs._losses import CrossEntropy

from ._base import NetworkEstimator
from ._batches import UNKNOWN, Token, checksum, end_to_end
from ._corpus import END, Corpus, hold_out
from ._doc import document
from ._exported import listed, said
from ._files import readable
from ._generation import TextGeneration
from ._learnt import Sizes
from ._likelihoods import log_likelihoods
from ._reader import opened_sequences
from ._states import StateFeatures, final_states
from ._tokens import expect_analyzer, expect_apart, expect_kinds, is_text
from ._undo import all_or_nothing
from ._validation import groups_to_hold_out, of_validation_data
from ._writing import Writer, expect_vocabulary

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._batches import Array
    from ._learnt import Learnt
    from ._tokens import Analyzer


@readable
@document
@dataclass(kw_only=True, eq=False, repr=False)
class LanguageModel(TextGeneration, StateFeatures, NetworkEstimator):
    """The next token of a text, by a GRU or LSTM: to generate texts, and to tell how probable a text is.

    It is trained on all texts as one long text, in chunks whose gradients end where they begin but whose
    state goes on from the chunk before (truncated back-propagation through time), so that memory does not
    grow with the texts.

    Parameters
    ----------
    {network}
    analyzer : {"char", "word"}, callable or tokenizer, default "char"
        How a text becomes tokens, and these a text again. "char": characters. "word": words and single marks,
        each with the space before it, and other white space; a letter of Chinese, Japanese, Thai, Lao,
        Burmese or Khmer is a word; words that are not known are read and written by their characters. A
        function from str to a list. A tokenizer of the package ``tokenizers``, by its ``encode`` and
        ``decode``. Texts that are lists of tokens already are taken as they are.
    lowercase : bool, default False
        Take all letters as small ones; not before an analyzer of your own.
    joiner : str, optional
        What stands between the tokens of generated text, for an analyzer of your own and for lists: a space
        when missing. With "word" and a joiner texts are words and marks without what was between them, and
        are written with the joiner in its place. A tokenizer's ``decode`` is used when missing.
    min_frequency : int, optional
        Tokens that come less often in training are not known: words of "word" are read by their characters,
        others are the unknown token, which is never generated. None: 2 of words that are read by their
        characters, 1 of others.
    max_vocabulary : int, optional
        Most tokens that are known, the unknown one and the end of a text among them; of "word" the
        characters come first.
    embedding_size : int, default 64
        Numbers for a token.
    chunk_length : int, default 100
        Steps through which a gradient goes back.
    {training}

    Attributes
    ----------
    vocabulary_ : dict of token to int
        0 is the unknown token, 1 the end of a text.
    of_text_ : bool
        Whether the texts of training were strings, and no lists of tokens.
    {fitted}

    Examples
    --------
    >>> from gru_rs import LanguageModel
    >>> texts = ["the cat sat", "the dog sat", "the cat ran"] * 20
    >>> model = LanguageModel(hidden_size=32, max_iter=30, learning_rate_init=0.01, batch_size=4,
    ...                       random_state=1)
    >>> model.fit(texts).generate("the d", temperature=0)
    'the dog sat'
    """

    input_dropout: float = 0.0
    output_dropout: float = 0.0
    learning_rate: str = "constant"
    weight_decay: float = 0.0
    batch_size: int = 32
    max_iter: int = 50
    analyzer: Analyzer = "char"
    lowercase: bool = False
    joiner: str | None = None
    min_frequency: int | None = None
    max_vocabulary: int | None = None
    embedding_size: int = 64
    chunk_length: int = 100

    _carries: ClassVar[bool] = True

    def _check(self) -> None:
        super()._check()
        for name in ("embedding_size", "chunk_length"):
            as_size(name, getattr(self, name))
        if self.min_frequency is not None:
            as_size("min_frequency", self.min_frequency)
        if self.max_vocabulary is not None and as_size("max_vocabulary", self.max_vocabulary) < 3:
            msg = f"max_vocabulary: expected at least 3, got {self.max_vocabulary}"
            raise ValueError(msg)
        expect_analyzer("analyzer", self.analyzer)
        if self.joiner is not None and not isinstance(self.joiner, str):
            msg = f"joiner: expected a string or None, got {self.joiner!r}"
            raise TypeError(msg)
        if self.bidirectional:
            msg = "bidirectional: expected False, as a language model must not see what comes, got True"
            raise ValueError(msg)

    def _pooled(self) -> str:
        return "each"

    def _texts(self, writer: Writer, name: str, given: Any) -> list[Sequence[Token]]:
        """The tokens of each text."""
        texts = writer.tokens(name, given)
        if not texts:
            msg = f"{name}: expected at least one text, got none"
            raise ValueError(msg)
        return texts

    def _encode(self, texts: list[Sequence[Token]], writer: Writer) -> list[Array]:
        """Their numbers, each with the end behind it."""
        kind = np.uint16 if len(writer.vocabulary) + 2 <= 2**16 else np.uint32
        return [np.array([*writer.numbers(text, UNKNOWN), END], kind) for text in texts]

    def _expect_learnt(self, learnt: Learnt) -> Sizes:
        of_text = learnt.flag("of_text_")
        known = expect_vocabulary(
            learnt,
            "vocabulary_",
            END + 1,
            of_text=of_text,
            analyzer=self.analyzer,
            keeps_spaces="_keeps_spaces",
        )
        outputs = len(known) + 2
        return Sizes(self.embedding_size, outputs, outputs)

    _keeps_spaces = False  # of files that do not say it

    def _as_fitted(self) -> dict[str, Any]:
        return {"lowercase": self._reader.lowercase, "joiner": self._reader.joiner}

    def _recall(self) -> None:
        self._reader = Writer(
            self.analyzer, self.lowercase, self.joiner, self.of_text_, self._keeps_spaces, self.vocabulary_
        )

    def fit(
        self,
        X: Any,
        y: Any = None,  # noqa: ARG002 - scikit-learn's signature
        *,
        validation_data: Any = None,
        groups: Any = None,
    ) -> Self:
        """Train on texts.

        Parameters
        ----------
        X : str, list of str, or list of lists of tokens
            One text or several.
        y : None
            Not used.
        validation_data : str, list of str, or list of lists of tokens, optional
            Texts on which each epoch is scored, in ``validation_scores_``. With `early_stopping` they are in
            place of a part that is held out.
        groups : array_like, (n,), optional
            With `early_stopping`: texts of one group, such as those of one author, are held out together or
            not at all; `validation_fraction` is a share of the groups.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            A parameter or an argument that cannot be used.
        """
        first = self._fits_anew()
        how: dict[str, Any] = {"validation_data": validation_data, "groups": groups}
        with all_or_nothing(self):
            return self._fit(X, first=first, stop=True, **how)

    def partial_fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        """One epoch over these texts. The first call fixes the vocabulary, and whether texts are strings or
        lists.
        As nobody knows which call is the last, `learning_rate` "cosine" is "constant" here, and
        `early_stopping` and its kin are for `fit` alone.

        Parameters
        ----------
        X, y
            As for `fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As for `fit`.
        """
        with all_or_nothing(self):
            return self._fit(X, first=not hasattr(self, "model_"), stop=False)

    def _fit(
        self,
        X: Any,
        *,
        first: bool,
        stop: bool,
        validation_data: Any = None,
        groups: Any = None,
    ) -> Self:
        self._check()
        if not first:
            self._expect_as_fitted()
        given = _as_texts(X)
        writer: Writer = (
            Writer.of(given, self.analyzer, self.joiner, lowercase=self.lowercase) if first else self._reader
        )
        texts = self._texts(writer, "X", given)
        if first:
            expect_apart("X", texts)
            most = None if self.max_vocabulary is None else self.max_vocabulary - 2
            # Words that come once teach how words are spelled.
            least = self.min_frequency or (2 if writer.keeps_spaces else 1)
            writer = writer.learn("X", texts, least, most, first=END + 1)
        else:
            expect_kinds("X", texts, writer.kinds)
        held = None
        if validation_data is not None:
            with of_validation_data():
                held = self._numbers(validation_data, writer)
        apart = stop and self.early_stopping and held is None
        together = groups_to_hold_out(groups, len(texts), used=apart)
        if first:
            outputs = len(writer.vocabulary) + 2
            learnt = {
                "of_text_": writer.of_text,
                "vocabulary_": writer.vocabulary,
                "_keeps_spaces": writer.keeps_spaces,
                "_reader": writer,
            }
            self._begin(self.embedding_size, outputs, outputs, learnt)
        numbers, seed, data = self._encode(texts, writer), None, None
        if stop:
            data = checksum(numbers, held, together, self.chunk_length, *self._cut(len(texts)))
        before = self._goes_on(data)
        if apart:
            seed = int(self._rng.integers(2**31)) if before is None else before
            numbers, held = hold_out(numbers, self.validation_fraction, seed, together)
        validate = None if held is None else lambda: -self._loss_of(held)
        corpus = Corpus(numbers, self.chunk_length)
        self._learn(corpus, CrossEntropy(), validate, rows=len(texts), stop=stop, data=data, held=seed)
        return self

    def _described(self) -> Exported:
        reader = self._reader
        learnt = {
            "vocabulary": listed(reader.vocabulary),
            "lowercase": reader.lowercase,
            "joiner": reader.joiner,
        }
        learnt |= {"of_text": reader.of_text, "keeps_spaces": reader.keeps_spaces}
        learnt |= said(self, {"analyzer": reader.analyzer})
        return Exported("LanguageModel", self.model_, "log_softmax", learnt, carries=True)

    # How probable texts are

    def _loss_of(self, texts: list[Array]) -> float:
        """−ln p a token."""
        return float(-log_likelihoods(self.model_, texts).sum() / sum(map(len, texts)))

    def _network_outputs(self, X: Any, lengths: Any) -> list[Array]:
        if lengths is not None:
            msg = "lengths: expected None for texts, which have their own"
            raise ValueError(msg)
        return [self.log_likelihood(X)]

    def _fitted_numbers(self, X: Any) -> list[Array]:
        check_is_fitted(self, "model_")
        return self._numbers(X, self._reader)

    def _numbers(self, X: Any, writer: Writer) -> list[Array]:
        texts = self._texts(writer, "X", _as_texts(X))
        expect_kinds("X", texts, writer.kinds)
        return self._encode(texts, writer)

    def log_likelihood(self, X: Any) -> Array:
        """The natural logarithm of each text's probability, its end included: the sum over its tokens as the
        analyzer makes them, of which one that is not known counts as the unknown token.

        Parameters
        ----------
        X
            As for `fit`.

        Returns
        -------
        ndarray, (n_texts,)

        Raises
        ------
        ValueError, TypeError
            Texts that `fit` would not take.
        """
        return log_likelihoods(self.model_, self._fitted_numbers(X))

    def score(self, X: Any, y: Any = None) -> float:  # noqa: ARG002
        """The mean of ln p over all tokens, the ends of the texts among them: higher is better.

        It is per token as the model reads texts: a word of "word" that is not known is as many tokens as it
        has characters. Models with other tokens are compared by `bits_per_character`.

        Parameters
        ----------
        X, y
            As for `fit`.

        Returns
        -------
        float
        """
        return -self._loss_of(self._fitted_numbers(X))

    def perplexity(self, X: Any) -> float:
        """e to the power of the mean of −ln p over all tokens, the ends of the texts among them.

        It is per token, as `score`: no measure for models with other tokens.

        Parameters
        ----------
        X
            As for `fit`.

        Returns
        -------
        float
        """
        return float(np.exp(-self.score(X)))

    def bits_per_character(self, X: Any) -> float:
        """−log₂ p of all texts by their characters, of which the end of a text is one.

        Parameters
        ----------
        X : str or list of str
            Texts; lists of tokens have no characters.

        Returns
        -------
        float

        Raises
        ------
        TypeError
            Lists of tokens.
        """
        given = _as_texts(X)
        if not is_text(given):
            msg = f"X: expected strings, whose characters can be counted, got {type(X).__name__}"
            raise TypeError(msg)
        return float(-self.log_likelihood(given).sum() / np.log(2) / sum(len(text) + 1 for text in given))

    def transform(self, X: Any) -> Array:  # type: ignore[override] # texts have no lengths beside them
        """The state of the last layer behind each text: features for other models.

        Parameters
        ----------
        X
            As for `fit`.

        Returns
        -------
        ndarray, (n_texts, hidden_size)
            Of the model's dtype; of what comes behind a text nothing is in it, nor that it ends.

        Raises
        ------
        ValueError, TypeError
            Texts that `fit` would not take.
        """
        # Texts are read behind an end, as in training.
        texts = [np.roll(numbers, 1) for numbers in self._fitted_numbers(X)]
        lengths = np.fromiter(map(len, texts), np.intp, len(texts))
        return final_states(self.model_, end_to_end(np.concatenate(texts)[:, np.newaxis], lengths))


def _as_texts(X: Any) -> Any:
    """A text as a list of one."""
    return [X] if isinstance(X, str) else opened_sequences("X", X)

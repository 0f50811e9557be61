"""EncoderDecoder: a stack reads, another writes, with attention between them. The numbers are `_core`'s.

It must not know epochs, text or scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from . import _core
from ._arrays import as_lengths, as_spelling, as_weights
from ._checks import as_choice, as_real, as_seed, as_size, shown
from ._losses import CrossEntropy, Loss
from ._parameters import Argument
from ._saved import readable
from ._sequence_network import SequenceNetwork
from ._words import WORDS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Array
    from ._core import Loss as CoreLoss


class Hypothesis(NamedTuple):
    """What a decoder has written.

    Attributes
    ----------
    labels : list of int
        The tokens without begin and end.
    log_p : float
        The logarithm of their probability and, if it was written, the end's.
    ended : bool
        Whether the end was written before there were too many tokens.
    attention : ndarray, (tokens, steps), or None
        For each token, and the end, how much each step of the source counted.
    """

    labels: list[int]
    log_p: float
    ended: bool
    attention: Array | None


@readable
class EncoderDecoder(SequenceNetwork):
    """Sequence to sequence with one flat buffer of parameters, and one of gradients.

    A stack reads the source; another begins with its final states, through a tanh layer where the first has
    two directions, and writes the target token by token. With attention a tanh layer of what was seen and of
    the decoder's output stands before the head (Luong et al., 2015).

    Parameters
    ----------
    input_size : int
        Numbers a step of the source; with a vocabulary, numbers of a token's embedding.
    hidden_size : int
        Units of a layer's direction, of both stacks.
    output_size : int
        Tokens of the target, begin and end among them.
    vocabulary_size : int, optional
        Tokens of the source, which an embedding turns into `input_size` numbers each.
    embedding_size : int, optional
        Numbers for a token of the target; `input_size` when missing.
    attention : {"dot", "additive"} or None, default "dot"
        How states of the decoder and steps of the source are compared; None: the decoder sees the final
        states alone.
    begin, end : int, default 0 and 1
        The tokens before the first and behind the last of a target.
    cell : {"gru", "lstm"}, default "gru"
        Kind of layer.
    num_layers : int, default 1
        Layers of either stack.
    bias, reset_after
        As of `GRU`.
    bidirectional : bool, default False
        Whether the encoder has a second direction.
    dropout, input_dropout, output_dropout : float, default 0.0
        Shares that training drops: between layers, of the embeddings, of what the head sees.
    dtype : {float32, float64}, default float32
        Of inputs, parameters and scores.
    seed : int, optional
        Of the first weights and of dropout; from the system when missing.

    Raises
    ------
    ValueError, TypeError
        An argument outside its range or of another kind.

    Examples
    --------
    Three digits backwards:

    >>> import numpy as np, gru_rs
    >>> source = np.random.default_rng(1).integers(2, 6, (256, 3))
    >>> model, adam = gru_rs.EncoderDecoder(8, 32, 6, vocabulary_size=6, seed=1), gru_rs.Adam(0.01)
    >>> for _ in range(120):
    ...     loss, gradients = model.loss_and_grad(source, source[:, ::-1])
    ...     adam.step(model, gradients)
    >>> model.decode([[2, 5, 3]])[0][0].labels
    [3, 5, 2]
    """

    _kind = _core.EncoderDecoder
    _core: _core.EncoderDecoder

    embedding_size: Argument[int] = Argument("Numbers for a token of the target.")
    attention: Argument[str | None] = Argument("How states and steps are compared.")
    begin: Argument[int] = Argument("The token before the first of a target.")
    end: Argument[int] = Argument("The token behind the last.")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        vocabulary_size: int | None = None,
        embedding_size: int | None = None,
        attention: Literal["dot", "additive"] | None = "dot",
        begin: int = 0,
        end: int = 1,
        cell: Literal["gru", "lstm"] = "gru",
        num_layers: int = 1,
        bias: bool = True,
        bidirectional: bool = False,
        reset_after: bool = True,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        output_dropout: float = 0.0,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        if embedding_size is None:
            embedding_size = input_size
        self._make(locals())

    def loss(
        self,
        x: ArrayLike,
        targets: Any,
        *,
        loss: Loss | None = None,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """The loss without dropout.

        Parameters
        ----------
        x : array_like, (B, T, input_size), or of integers (B, T) or (B, T, k) with a vocabulary
            The sources. What lies past a row's length is not read.
        targets : sequence of sequences of int
            Each row's tokens, without begin and end.
        loss : CrossEntropy, optional
            Of each token; the mean over all tokens, the ends among them.
        lengths : array_like of int, (B,), optional
            Each source's steps.
        sample_weight : array_like, (B,), optional
            How much each row counts.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            An argument of another shape or kind, a token beyond the vocabulary.
        """
        found = self._asked(x, targets, loss, lengths, sample_weight)
        return self._core.loss(*found)

    def loss_and_grad(
        self,
        x: ArrayLike,
        targets: Any,
        *,
        loss: Loss | None = None,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        seed: int | None = None,
        memory: Literal["full", "low"] = "full",
    ) -> tuple[float, Array]:
        """The loss while training, and its gradient.

        Parameters
        ----------
        x, targets, loss, lengths, sample_weight
            As for `loss`.
        seed : int, optional
            Of what is dropped; drawn from the model's own generator when missing.
        memory : {"full", "low"}, default "full"
            As of `GRU.forward`.

        Returns
        -------
        loss : float
        gradients : ndarray, (n,)
            Of all parameters, lined up with `flat`.

        Raises
        ------
        ValueError, TypeError
            As for `loss`.
        """
        drawn = None if seed is None else as_seed(seed)
        low = as_choice("memory", memory, WORDS["memory"]) == "low"
        found = self._asked(x, targets, loss, lengths, sample_weight)
        return self._core.loss_and_grad(*found, drawn, low)

    def decode(
        self,
        x: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        beam_width: int = 1,
        max_length: int = 100,
        length_penalty: float = 0.0,
    ) -> list[list[Hypothesis]]:
        """The most probable targets.

        Parameters
        ----------
        x, lengths
            As for `loss`.
        beam_width : int, default 1
            Hypotheses that are kept at each step; 1 takes the best token each time.
        max_length : int, default 100
            Most tokens, the end among them.
        length_penalty : float, default 0.0
            α: hypotheses are compared by log p / ((5 + tokens) / 6)^α (Wu et al., 2016), so that more favours
            longer ones.

        Returns
        -------
        list of list of Hypothesis
            For each row at most `beam_width`, the best first.

        Raises
        ------
        ValueError, TypeError
            An argument outside its range or of another kind.
        """
        given = self._asked_for(x, lengths)
        width, most = as_size("beam_width", beam_width), as_size("max_length", max_length)
        found = self._core.decode(given, width, most, as_real("length_penalty", length_penalty))
        steps = given[2] or [given[1][1]] * len(found)
        return [
            [
                Hypothesis(
                    labels,
                    log_p,
                    ended,
                    None if self.attention is None else attention.reshape(len(labels) + ended, count),
                )
                for labels, log_p, ended, attention in row
            ]
            for row, count in zip(found, steps, strict=True)
        ]

    def _outputs_for(self, x: Any, lengths: Any) -> Array:
        """The probabilities of what is written."""
        return np.exp([found.log_p for found, *_ in self.decode(x, lengths=lengths)])

    def _asked_for(
        self, x: ArrayLike, lengths: ArrayLike | None
    ) -> tuple[Array, tuple[int, int], list[int] | None, list[Array]]:
        array = self._source(x)
        batch, seq = array.shape[:2]
        return array, (batch, seq), None if lengths is None else as_lengths(lengths, batch, seq), []

    def _asked(
        self,
        x: ArrayLike,
        targets: Any,
        loss: Loss | None,
        lengths: ArrayLike | None,
        sample_weight: ArrayLike | None,
    ) -> tuple[Any, Any, CoreLoss]:
        loss = CrossEntropy() if loss is None else loss
        if not isinstance(loss, CrossEntropy):
            msg = f"loss: expected CrossEntropy, got {shown(loss)}"
            raise TypeError(msg)
        weights = as_weights(sample_weight, self._dtype)
        wanted = (*as_spelling(targets, self.output_size), weights)
        return self._asked_for(x, lengths), wanted, loss._core

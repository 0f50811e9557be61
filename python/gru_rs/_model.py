"""Model: an embedding, a stack of layers and a head, trained as one. The numbers are `_core`'s, and what
goes in is checked in `_model_inputs`.

It must not know epochs, text or scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import _core
from ._arrays import zeros
from ._checks import as_choice, as_count, as_seed, as_size
from ._losses import Loss, called, expect_own
from ._model_inputs import CheckedNetwork
from ._model_stream import ModelStream
from ._parameters import Argument
from ._saved import readable
from ._words import CELLS, WORDS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Array
    from ._losses import LossFunction
    from ._model_inputs import _State


@readable
class Model(CheckedNetwork):
    """Embedding, stack and head with one flat buffer of parameters, and one of gradients.

    Parameters
    ----------
    input_size : int
        Numbers a step; with a vocabulary, numbers of a token's embedding.
    hidden_size : int
        Units of a layer's direction.
    output_size : int
        Scores.
    vocabulary_size : int, optional
        Tokens, which an embedding turns into `input_size` numbers each; without it inputs are numbers.
    cell : {"gru", "lstm"}, default "gru"
        Kind of layer.
    num_layers : int, default 1
        Layers, one on the other.
    bias, bidirectional, reset_after
        As of `GRU`.
    dropout : float, default 0.0
        Share of the outputs between layers that training drops.
    input_dropout : float, default 0.0
        Share of the stack's inputs that training drops.
    variational : bool, default False
        Drop the same inputs of a row at every step (Gal and Ghahramani, 2016).
    pooling : {"last", "mean", "max", "concat", "attention", "each"}, default "last"
        What the head sees: the final states of each direction, the mean or the maximum of the outputs over
        the steps, these three one behind the other (Howard and Ruder, 2018), a mean in which each step counts
        by the softmax over the sequence of ``pool.weight · output``, or each step by itself.
    output_dropout : float, default 0.0
        Share of what the head sees that training drops.
    crf : bool, default False
        A linear chain over the labels of the steps (Lafferty et al., 2001); needs pooling "each".
    conv_channels : int, optional
        Put a causal convolution over time before the stack, which then reads frames of so many numbers in
        place of steps. Its ``conv.weight`` is ``(conv_channels, conv_kernel_size * input_size)``, step by
        step, the oldest first.
    conv_kernel_size : int, default 5
        Steps that a frame is made of: the one that completes it and those before, zeros before the first.
    conv_stride : int, default 1
        Steps from frame to frame: of T steps there are ``ceil(T / conv_stride)`` frames, of which the first
        stands at the first step. With pooling "each" they are what is scored, and targets are of them.
    conv_activation : {"relu", "tanh", "linear"}, default "relu"
        What becomes of the convolution's sums. These three are for `conv_channels` alone.
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
    Is the sum of three numbers positive?

    >>> import numpy as np, gru_rs
    >>> x = np.random.default_rng(1).normal(size=(64, 3, 1)).astype(np.float32)
    >>> positive = (x.sum(axis=(1, 2)) > 0).astype(int)
    >>> model, adam = gru_rs.Model(1, 8, 2, seed=1), gru_rs.Adam(0.05)
    >>> for _ in range(50):
    ...     loss, gradients = model.loss_and_grad(x, positive, loss=gru_rs.CrossEntropy())
    ...     adam.step(model, gradients)
    >>> bool(np.mean(model.labels(x) == positive) > 0.95)
    True
    """

    _kind = _core.Model
    _core: _core.Model

    variational: Argument[bool] = Argument("Whether the same inputs are dropped at every step.")
    crf: Argument[bool] = Argument("Whether there is a chain over the labels.")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        output_size: int,
        *,
        vocabulary_size: int | None = None,
        cell: Literal["gru", "lstm"] = "gru",
        num_layers: int = 1,
        bias: bool = True,
        bidirectional: bool = False,
        reset_after: bool = True,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        variational: bool = False,
        pooling: Literal["last", "mean", "max", "concat", "attention", "each"] = "last",
        output_dropout: float = 0.0,
        crf: bool = False,
        conv_channels: int | None = None,
        conv_kernel_size: int = 5,
        conv_stride: int = 1,
        conv_activation: Literal["relu", "tanh", "linear"] = "relu",
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self._make(locals())
        if "_given" not in vars(self):  # of a file or a pickle
            self._expect_convolution()

    def state(self, batch_size: int) -> _State:
        """The stack's state before a sequence, all zeros, to be carried from chunk to chunk.

        Parameters
        ----------
        batch_size : int
            Rows.

        Returns
        -------
        ndarray, (num_layers * directions, batch_size, hidden_size)
            Of an LSTM a pair of them.

        Examples
        --------
        >>> Model(3, 8, 2).state(4).shape
        (1, 4, 8)
        """
        shape = self._state_shape(as_size("batch_size", batch_size))
        states = tuple(zeros("batch_size", shape, self._dtype) for _ in CELLS[self.cell].states)
        return states if len(states) > 1 else states[0]  # type: ignore[return-value]

    def scores(self, x: ArrayLike, *, lengths: ArrayLike | None = None, state: _State | None = None) -> Array:
        """The scores, without dropout.

        Parameters
        ----------
        x : array_like, (B, T, input_size), or of integers (B, T) or (B, T, k) with a vocabulary
            What lies past a row's length is not read, but tokens must be below the vocabulary's size. The
            embeddings of a step's k tokens are added.
        lengths : array_like of int, (B,), optional
            Each row's steps, in any order, zeros allowed.
        state : ndarray or pair, optional
            As `state` gives it: where the rows begin, zeros when missing. It is written in place: then it is
            the state after each row's last step, from which the next chunk goes on.

        Returns
        -------
        ndarray, (B, output_size)
            With pooling "each" ``(sum of lengths, output_size)``: the steps that count, or the frames of a
            convolution, row after row.

        Raises
        ------
        ValueError, TypeError
            Another shape, a token outside the vocabulary, a wider dtype.

        Examples
        --------
        >>> Model(3, 8, 2).scores([[[0.1, 0.2, 0.3]]]).shape
        (1, 2)
        """
        return self._core.scores(self._asked_for(x, lengths, state)).reshape(-1, self.output_size)

    def _outputs_for(self, x: Any, lengths: Any) -> Array:
        return self.scores(x, lengths=lengths)

    def stream(self, batch_size: int | None = None) -> ModelStream:
        """The scores step by step or chunk by chunk, while the sequence comes.

        Parameters
        ----------
        batch_size : int, optional
            Sequences side by side; None for one, without an axis of rows.

        Returns
        -------
        ModelStream
            Call it with a step or a chunk: it gives the scores of the sequence so far after each step. It
            takes the newest weights at each call, and has ``state``, ``reset(mask)``, ``clone()``,
            ``join(state)`` and ``leave(row)``.

        Raises
        ------
        ValueError
            The model is bidirectional, or has a chain over its labels: both need the end of the sequence.

        Examples
        --------
        >>> model = Model(3, 8, 2, pooling="mean", seed=1)
        >>> x = np.random.default_rng(1).normal(size=(1, 20, 3)).astype(np.float32)
        >>> bool((model.stream()(x[0])[-1] == model.scores(x)[0]).all())
        True
        """
        return ModelStream(self, batch_size)

    def labels(self, x: ArrayLike, *, lengths: ArrayLike | None = None) -> Array:
        """The label of each row, or with pooling "each" of each step: the best score's, or the best path's.

        Parameters
        ----------
        x, lengths
            As for `scores`.

        Returns
        -------
        ndarray of int, (B,) or (sum of lengths,)

        Raises
        ------
        ValueError, TypeError
            As for `scores`.
        """
        return self._core.labels(self._asked_for(x, lengths)).astype(np.intp)

    def marginals(self, x: ArrayLike, *, lengths: ArrayLike | None = None) -> Array:
        """The probability of each label: with a chain its marginals, over all paths (Rabiner, 1989), without
        one the softmax of the scores.

        Parameters
        ----------
        x, lengths
            As for `scores`.

        Returns
        -------
        ndarray of float64, (B, n) or (sum of lengths, n)
            The rows of `scores`; each sums to 1.

        Raises
        ------
        ValueError, TypeError
            As for `scores`.

        Examples
        --------
        >>> import gru_rs
        >>> model = gru_rs.Model(2, 8, 4, pooling="each", crf=True, seed=1)
        >>> model.marginals(np.ones((1, 5, 2), np.float32)).sum(axis=1).round(9).tolist()
        [1.0, 1.0, 1.0, 1.0, 1.0]
        """
        return self._core.marginals(self._asked_for(x, lengths)).reshape(-1, self.output_size)

    def spell(
        self,
        x: ArrayLike,
        *,
        lengths: ArrayLike | None = None,
        blank: int = 0,
        beam_width: int | None = None,
    ) -> list[list[tuple[list[int], float]]]:
        """What the steps of each row spell, by a model trained with `CTC`.

        Parameters
        ----------
        x, lengths
            As for `scores`.
        blank : int, default 0
            The class that is no label.
        beam_width : int, optional
            Prefixes that are kept at each step (Hannun et al., 2014); without it each step's best label
            counts.

        Returns
        -------
        list of list of (labels, log p)
            For each row guesses, the best first, at most `beam_width`, with the logarithm of the probability
            of the paths that were kept; without a beam one guess and NaN.

        Raises
        ------
        ValueError, TypeError
            As for `scores`; a model whose pooling is not "each".

        Examples
        --------
        >>> import gru_rs
        >>> model = gru_rs.Model(2, 8, 4, pooling="each", seed=1)
        >>> [[(labels, log_p)]] = model.spell(np.ones((1, 5, 2), np.float32), beam_width=1)
        >>> len(labels) <= 5 and log_p < 0
        True
        """
        width = None if beam_width is None else as_size("beam_width", beam_width)
        return self._core.spell(self._asked_for(x, lengths), as_count("blank", blank, 2**32), width)

    def loss(
        self,
        x: ArrayLike,
        targets: ArrayLike,
        *,
        loss: Loss | LossFunction,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        state: _State | None = None,
    ) -> float:
        """The loss without dropout.

        Parameters
        ----------
        x, lengths, state
            As for `scores`.
        targets : array_like
            Classes ``(B,)``; for CTC a sequence of labels for each row; for the other losses numbers,
            ``(B, targets)``, or ``(B,)`` for one. With pooling "each" those of steps: padded as `x` is,
            ``(B, T)`` or ``(B, T, targets)``, of which what lies behind a row's length is not read, or those
            of all rows one behind the other, ``(sum of lengths,)`` or ``(sum of lengths, targets)``.
        loss : Loss or callable
            `CrossEntropy`, `CTC`, `BinaryCrossEntropy`, `SquaredError`, `AbsoluteError`, `QuantileError` or
            `HuberError`; a chain has a loss of its own, and takes labels for cross-entropy. Or a function
            ``(scores, targets) -> (loss, gradient)`` of the scores, as `scores` gives them, and of the
            targets as they came, those of steps without what lies behind the rows: the gradient is shaped as
            the scores, and rounded to their dtype.
        sample_weight : array_like, (B,), optional
            How much each row counts; a function of your own sees to that itself.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            An argument of another shape or kind, a class beyond the scores.

        Examples
        --------
        >>> model, x = Model(1, 8, 1, seed=1), np.ones((2, 3, 1), np.float32)
        >>> def cubic(scores, targets):
        ...     off = scores[:, 0] - targets
        ...     return np.mean(abs(off) ** 3), (3 * off * abs(off) / len(off))[:, np.newaxis]
        >>> loss, gradients = model.loss_and_grad(x, np.array([0.0, 1.0]), loss=cubic)
        >>> loss == model.loss(x, np.array([0.0, 1.0]), loss=cubic)
        True
        """
        asked = self._asked_for(x, lengths, state)
        if not isinstance(loss, Loss):
            expect_own(loss, sample_weight, chain=self.crf)
            array, sizes, steps, states = asked
            after = [one.copy() for one in states]
            scores = self._core.scores((array, sizes, steps, after)).reshape(-1, self.output_size)
            lost, _ = called(loss, scores, self._unpadded(targets, asked, 2, 3))
            for one, new in zip(states, after, strict=True):
                one[...] = new
            return lost
        return self._core.loss(asked, self._wanted(targets, loss, sample_weight, asked), loss._core)

    def loss_and_grad(
        self,
        x: ArrayLike,
        targets: ArrayLike,
        *,
        loss: Loss | LossFunction,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        state: _State | None = None,
        seed: int | None = None,
        memory: Literal["full", "low"] = "full",
    ) -> tuple[float, Array]:
        """The loss while training, and its gradient.

        Parameters
        ----------
        x, targets, loss, lengths, sample_weight, state
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
        asked = self._asked_for(x, lengths, state)
        if not isinstance(loss, Loss):
            expect_own(loss, sample_weight, chain=self.crf)
            own, wished = loss, self._unpadded(targets, asked, 2, 3)

            def of_scores(flat: Array) -> tuple[float, Array]:
                lost, gradient = called(own, flat.reshape(-1, self.output_size), wished)
                return lost, gradient.reshape(-1)

            return self._core.loss_and_grad_by(asked, of_scores, drawn, low)
        wanted = self._wanted(targets, loss, sample_weight, asked)
        return self._core.loss_and_grad(asked, wanted, loss._core, drawn, low)

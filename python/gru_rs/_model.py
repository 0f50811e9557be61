"""Model: an embedding, a stack of layers and a head, trained as one. The numbers are `_core`'s.

It must not know epochs, text or scikit-learn.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, overload

import numpy as np

from . import _core
from ._arrays import (
    as_array,
    as_float_dtype,
    as_integers,
    as_lengths,
    as_pair,
    as_spelling,
    as_weights,
    check_out,
    expect_shape,
)
from ._checks import as_choice, as_count, as_flag, as_real, as_seed, as_size
from ._losses import CTC, Loss, QuantileError
from ._streams import ModelStream
from ._weights import Weighted, as_names, fresh_seed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Self

    from ._arrays import Array
    from ._narrow import Parts

    _Given = tuple[Array, tuple[int, int], list[int] | None, list[Array]]
    _State: TypeAlias = Array | tuple[Array, Array]

T = TypeVar("T")


class _Argument(Generic[T]):
    """One of the constructor's, to be read."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, model: None, owner: type) -> Self: ...
    @overload
    def __get__(self, model: Network, owner: type) -> T: ...
    def __get__(self, model: Network | None, owner: type) -> Self | T:
        if model is None:
            return self
        value: T = model._options[self._name]
        return value

    def __set__(self, model: Network, value: T) -> None:
        msg = f"{self._name}: expected to be given to the constructor, got a new value {value!r}"
        raise AttributeError(msg)


class Network(Weighted):
    """What a `Model` and an `EncoderDecoder` share: options, copies, a source that is tokens or numbers."""

    _kind: ClassVar[Any]
    _options: dict[str, Any]
    _model: Any

    input_size: _Argument[int] = _Argument("Numbers a step, or of a token's embedding.")
    hidden_size: _Argument[int] = _Argument("Units of a layer's direction.")
    output_size: _Argument[int] = _Argument("Scores.")
    vocabulary_size: _Argument[int | None] = _Argument("Tokens, if the inputs are tokens.")
    cell: _Argument[str] = _Argument("'gru' or 'lstm'.")
    num_layers: _Argument[int] = _Argument("Layers, one on the other.")
    bias: _Argument[bool] = _Argument("Whether the layers have biases.")
    bidirectional: _Argument[bool] = _Argument("Whether there is a second direction.")
    reset_after: _Argument[bool] = _Argument("Of a GRU: which of the two reset variants it is.")
    dropout: _Argument[float] = _Argument("Share dropped between layers.")
    input_dropout: _Argument[float] = _Argument("Share of the stack's inputs that is dropped.")
    output_dropout: _Argument[float] = _Argument("Share of what the head sees that is dropped.")

    def _make(self, dtype: Any, seed: int | None) -> None:
        """The core's object, from the options."""
        self._dtype = as_float_dtype(dtype)
        self._seed = None if seed is None else as_seed(seed)
        drawn = fresh_seed(self._seed)
        self._adopt(self._kind({**self._options, "dtype": self._dtype.name, "seed": drawn}, self._given))

    def _adopt(self, model: Any) -> None:
        self._model, self._core = model, model.weights()
        self._names = as_names(model.names())

    def _narrow(self, other: Any, width: str) -> None:
        other._adopt(self._model.narrowed(width))

    def _parts(self) -> Parts:
        found: Parts = self._model.parts()
        return found

    def _source(self, x: ArrayLike) -> Array:
        """Tokens or numbers, shaped as they should be."""
        if self.vocabulary_size is None:
            array = as_array("x", x, self._dtype)
            expect_shape("x", array, ("B", "T", self.input_size))
        else:
            array = as_integers("x", x, self.vocabulary_size)
            expect_shape("x", array, ("B", "T"), ("B", "T", "tokens of a step"))
        return array

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        other.__dict__.update(self.__dict__)
        other._adopt(self._model.duplicate())
        return other

    def _arguments(self) -> list[str]:
        return [*self._options, "dtype", "seed"]

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self)).parameters
        shown = []
        for name in self._arguments():
            value, default = getattr(self, name), parameters[name].default
            if default is inspect.Parameter.empty:
                shown.append(repr(value))
            elif name == "dtype":
                shown += [] if value == np.dtype(default) else [f"dtype={value.name!r}"]
            elif value != default:
                shown.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})" + self._shown_width()


class Model(Network):
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
    pooling : {"last", "mean", "max", "each"}, default "last"
        What the head sees: the final states of each direction, the mean or the maximum of the outputs over
        the steps, or each step by itself.
    output_dropout : float, default 0.0
        Share of what the head sees that training drops.
    crf : bool, default False
        A linear chain over the labels of the steps (Lafferty et al., 2001); needs pooling "each".
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
    _model: _core.Model

    variational: _Argument[bool] = _Argument("Whether the same inputs are dropped at every step.")
    pooling: _Argument[str] = _Argument("What the head sees.")
    crf: _Argument[bool] = _Argument("Whether there is a chain over the labels.")

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
        pooling: Literal["last", "mean", "max", "each"] = "last",
        output_dropout: float = 0.0,
        crf: bool = False,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self._options = {
            "input_size": as_size("input_size", input_size),
            "hidden_size": as_size("hidden_size", hidden_size),
            "output_size": as_size("output_size", output_size),
            "vocabulary_size": None
            if vocabulary_size is None
            else as_size("vocabulary_size", vocabulary_size),
            "cell": as_choice("cell", cell, ("gru", "lstm")),
            "num_layers": as_size("num_layers", num_layers),
            "bias": as_flag("bias", bias),
            "bidirectional": as_flag("bidirectional", bidirectional),
            "reset_after": as_flag("reset_after", reset_after),
            "dropout": as_real("dropout", dropout),
            "input_dropout": as_real("input_dropout", input_dropout),
            "variational": as_flag("variational", variational),
            "pooling": as_choice("pooling", pooling, ("last", "mean", "max", "each")),
            "output_dropout": as_real("output_dropout", output_dropout),
            "crf": as_flag("crf", crf),
        }
        self._make(dtype, seed)

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
        if self.cell == "lstm":
            return np.zeros(shape, self._dtype), np.zeros(shape, self._dtype)
        return np.zeros(shape, self._dtype)

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
            With pooling "each" ``(sum of lengths, output_size)``: the steps that count, row after row.

        Raises
        ------
        ValueError, TypeError
            Another shape, a token outside the vocabulary, a wider dtype.

        Examples
        --------
        >>> Model(3, 8, 2).scores([[[0.1, 0.2, 0.3]]]).shape
        (1, 2)
        """
        return self._model.scores(self._asked_for(x, lengths, state)).reshape(-1, self.output_size)

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
        return self._model.labels(self._asked_for(x, lengths)).astype(np.intp)

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
        return self._model.spell(self._asked_for(x, lengths), as_count("blank", blank, 2**32), width)

    def loss(
        self,
        x: ArrayLike,
        targets: ArrayLike,
        *,
        loss: Loss,
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
            Classes ``(B,)``, or ``(sum of lengths,)`` with pooling "each"; for CTC a sequence of labels for
            each row; for the other losses numbers, ``(B, targets)``, or ``(B,)`` for one.
        loss : CrossEntropy, CTC, SquaredError, AbsoluteError or QuantileError
            A chain has a loss of its own, and takes labels.
        sample_weight : array_like, (B,), optional
            How much each row counts.

        Returns
        -------
        float

        Raises
        ------
        ValueError, TypeError
            An argument of another shape or kind, a class beyond the scores.
        """
        wanted = self._wanted(targets, loss, sample_weight)
        return self._model.loss(self._asked_for(x, lengths, state), wanted, loss._core)

    def loss_and_grad(
        self,
        x: ArrayLike,
        targets: ArrayLike,
        *,
        loss: Loss,
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
        low = as_choice("memory", memory, ("full", "low")) == "low"
        wanted = self._wanted(targets, loss, sample_weight)
        return self._model.loss_and_grad(self._asked_for(x, lengths, state), wanted, loss._core, drawn, low)

    def _state_shape(self, batch: int) -> tuple[int, int, int]:
        return self.num_layers * (2 if self.bidirectional else 1), batch, self.hidden_size

    def _asked_for(self, x: ArrayLike, lengths: ArrayLike | None, state: _State | None = None) -> _Given:
        array = self._source(x)
        batch, seq = array.shape[:2]
        states: list[Array] = []
        if state is not None:
            states = [*as_pair("state", state)] if self.cell == "lstm" else [state]  # type: ignore[list-item]
            for one in states:
                check_out("state", one, self._state_shape(batch), self._dtype.name)
        return array, (batch, seq), None if lengths is None else as_lengths(lengths, batch, seq), states

    def _wanted(
        self, targets: ArrayLike, loss: Loss, sample_weight: ArrayLike | None
    ) -> tuple[Array, list[int] | None, Array | None]:
        if not isinstance(loss, Loss):
            kinds = "CrossEntropy, CTC, SquaredError, AbsoluteError or QuantileError"
            msg = f"loss: expected {kinds}, got {loss!r}"
            raise TypeError(msg)
        weights = as_weights(sample_weight, self._dtype)
        if isinstance(loss, CTC):
            return *as_spelling(targets, self.output_size), weights
        if loss._of_classes:
            array = as_integers("targets", targets, self.output_size)
            expect_shape("targets", array, ("rows",))
        else:
            array = as_array("targets", targets, self._dtype)
            levels = len(loss.levels) if isinstance(loss, QuantileError) else 1
            width = self.output_size // levels
            expect_shape("targets", array, ("rows", width), *([("rows",)] if width == 1 else []))
        return array, None, weights

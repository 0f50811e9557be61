"""Model: an embedding, a stack of layers and a head, trained as one. The numbers are `_core`'s.

It must not know epochs, text or scikit-learn.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

import numpy as np

from . import _core
from ._arrays import as_array, as_float_dtype, as_integers, as_lengths, expect_shape
from ._checks import as_choice, as_flag, as_real, as_seed, as_size
from ._losses import Loss, QuantileError
from ._weights import Weighted, as_names, fresh_seed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from typing_extensions import Self

    from ._arrays import Array

    _Given = tuple[Array, tuple[int, int], list[int] | None]

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
    def __get__(self, model: Model, owner: type) -> T: ...
    def __get__(self, model: Model | None, owner: type) -> Self | T:
        if model is None:
            return self
        value: T = model._options[self._name]
        return value

    def __set__(self, model: Model, value: T) -> None:
        msg = f"{self._name}: expected to be given to the constructor, got a new value {value!r}"
        raise AttributeError(msg)


class Model(Weighted):
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
    variational: _Argument[bool] = _Argument("Whether the same inputs are dropped at every step.")
    pooling: _Argument[str] = _Argument("What the head sees.")
    output_dropout: _Argument[float] = _Argument("Share of what the head sees that is dropped.")
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
        self._options: dict[str, Any] = {
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
        self._dtype = as_float_dtype(dtype)
        self._seed = None if seed is None else as_seed(seed)
        drawn = fresh_seed(self._seed)
        self._adopt(_core.Model({**self._options, "dtype": self._dtype.name, "seed": drawn}))

    def _adopt(self, model: _core.Model) -> None:
        self._model, self._core = model, model.weights()
        self._names = as_names(model.names())

    def scores(self, x: ArrayLike, *, lengths: ArrayLike | None = None) -> Array:
        """The scores, without dropout.

        Parameters
        ----------
        x : array_like, (B, T, input_size), or of integers (B, T) or (B, T, k) with a vocabulary
            What lies past a row's length is not read, but tokens must be below the vocabulary's size. The
            embeddings of a step's k tokens are added.
        lengths : array_like of int, (B,), optional
            Each row's steps, in any order, zeros allowed.

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
        return self._model.scores(self._given(x, lengths)).reshape(-1, self.output_size)

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
        return self._model.labels(self._given(x, lengths)).astype(np.intp)

    def loss(
        self,
        x: ArrayLike,
        targets: ArrayLike,
        *,
        loss: Loss,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """The loss without dropout.

        Parameters
        ----------
        x, lengths
            As for `scores`.
        targets : array_like
            Classes ``(B,)``, or ``(sum of lengths,)`` with pooling "each"; for the other losses numbers,
            ``(B, targets)``, or ``(B,)`` for one.
        loss : CrossEntropy, SquaredError, AbsoluteError or QuantileError
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
        return self._model.loss(
            self._given(x, lengths), self._wanted(targets, loss, sample_weight), loss._core
        )

    def loss_and_grad(
        self,
        x: ArrayLike,
        targets: ArrayLike,
        *,
        loss: Loss,
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
        low = as_choice("memory", memory, ("full", "low")) == "low"
        wanted = self._wanted(targets, loss, sample_weight)
        return self._model.loss_and_grad(self._given(x, lengths), wanted, loss._core, drawn, low)

    def _given(self, x: ArrayLike, lengths: ArrayLike | None) -> _Given:
        if self.vocabulary_size is None:
            array = as_array("x", x, self._dtype)
            expect_shape("x", array, ("B", "T", self.input_size))
        else:
            array = as_integers("x", x, self.vocabulary_size)
            expect_shape("x", array, ("B", "T"), ("B", "T", "tokens of a step"))
        batch, seq = array.shape[:2]
        return array, (batch, seq), None if lengths is None else as_lengths(lengths, batch, seq)

    def _wanted(
        self, targets: ArrayLike, loss: Loss, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array | None]:
        if not isinstance(loss, Loss):
            msg = f"loss: expected CrossEntropy, SquaredError, AbsoluteError or QuantileError, got {loss!r}"
            raise TypeError(msg)
        if loss._of_classes:
            array = as_integers("targets", targets, self.output_size)
            expect_shape("targets", array, ("rows",))
        else:
            array = as_array("targets", targets, self._dtype)
            levels = len(loss.levels) if isinstance(loss, QuantileError) else 1
            width = self.output_size // levels
            expect_shape("targets", array, ("rows", width), *([("rows",)] if width == 1 else []))
        weights = None if sample_weight is None else as_array("sample_weight", sample_weight, self._dtype)
        return array, weights

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
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
        return f"{type(self).__name__}({', '.join(shown)})"

"""What layers, cells and models share: their weights by name and end to end, their sizes, copies.

It must not know how they are called.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np

from . import _core
from ._arrays import as_array, as_float_dtype, expect_shape
from ._checks import as_choice, as_flag, as_real, as_seed, as_size
from ._narrow import Quantization, as_width, compared, expect_validate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Array
    from ._narrow import Parts

Self = TypeVar("Self", bound="Weighted")
Names = list[tuple[str, int, int, tuple[int, ...]]]

FUNCTIONS = ("sigmoid", "tanh", "relu", "hard_sigmoid", "hard_sigmoid_0.2")
"""What a gate or a candidate may be."""


class Weighted(ABC):
    """Parameters by name and end to end, in the hands of the extension."""

    _core: _core.Rnn
    _names: Names
    _dtype: np.dtype[Any]
    _seed: int | None
    # What a file or pickle holds, for the constructor to take in place of fresh weights.
    _given: Parts | None = None
    _quantization: Quantization | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64: of inputs, outputs and, unless they are narrow, of the weights."""
        return self._dtype

    @property
    def weight_dtype(self) -> np.dtype[Any]:
        """What the weights are kept in: `dtype`, or int8 or float16 after `quantize`."""
        return np.dtype(self._core.narrow() or self._dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters."""
        return self._core.nbytes

    @property
    def quantization(self) -> Quantization | None:
        """What `quantize` has done; None for weights that can be trained."""
        return self._quantization

    @property
    def seed(self) -> int | None:
        """What the first weights and dropout were drawn from; None: from the system."""
        return self._seed

    @property
    def flat(self) -> Array:
        """All parameters end to end in state-dict order, (n,), a read-only view.

        The view keeps the values it had when it was taken; after a write, take it again. Of narrow weights
        these are the numbers that they stand for, made anew each time.
        """
        return np.asarray(self._core.flat())

    @property
    def params(self) -> dict[str, Array]:
        """The parameters by name, read-only views as `flat` is."""
        return split(self.flat, self._names)

    def state_dict(self) -> dict[str, Array]:
        """Copies of the parameters, with PyTorch's names and shapes.

        Returns
        -------
        dict of str to ndarray
            ``weight_ih_l0`` (gates·hidden_size, input_size), ``weight_hh_l0`` (gates·hidden_size,
            hidden_size), ``bias_ih_l0`` and ``bias_hh_l0`` (gates·hidden_size,), and so on for
            ``_reverse`` and ``_l1``; gates in PyTorch's order, r, z, n or i, f, g, o. A cell's names
            have no ``_l0``.
        """
        return {name: value.copy() for name, value in self.params.items()}

    def load_state_dict(self, state_dict: Mapping[str, ArrayLike]) -> None:
        """Take all parameters from a dict as `state_dict` gives it; on an error none is changed.

        Parameters
        ----------
        state_dict : mapping of str to array_like
            Each name once, each array of its parameter's shape.

        Raises
        ------
        ValueError
            A name is missing or unknown, or a shape is another.
        TypeError
            Not a mapping, or an array of a wider dtype than the layer's.
        """
        if not isinstance(state_dict, Mapping):
            msg = f"state_dict: expected a mapping (dict) of names to arrays, got {type(state_dict).__name__}"
            raise TypeError(msg)
        known = [name for name, *_ in self._names]
        missing = [name for name in known if name not in state_dict]
        unknown = [name for name in state_dict if name not in known]
        if missing or unknown:
            msg = f"state_dict: expected the names {known}, got it with missing {missing}, unknown {unknown}"
            raise ValueError(msg)
        flat = np.empty(self._names[-1][2], self._dtype)
        for name, first, last, shape in self._names:
            value = as_array(name, state_dict[name], self._dtype)
            expect_shape(name, value, shape)
            flat[first:last] = value.reshape(-1)
        self._core.set_flat(flat)

    def set_flat(self, flat: ArrayLike) -> None:
        """Take all parameters end to end, lined up as `flat`.

        Parameters
        ----------
        flat : array_like, (n,)
            All parameters in state-dict order.

        Raises
        ------
        ValueError, TypeError
            Another shape, or a wider dtype.
        """
        value = as_array("flat", flat, self._dtype)
        expect_shape("flat", value, (self._names[-1][2],))
        self._core.set_flat(value)

    def quantize(
        self: Self, dtype: Literal["int8", "f16"] = "int8", *, validate: Any = None, lengths: Any = None
    ) -> Self:
        """A copy for inference with narrow matrices, a quarter or half as large; biases stay as they are.

        ``"int8"``: 8 bits a weight and a scale for each row, max |w| / 127. What they multiply, inputs and
        states, is rounded to 8 bits as well, each step of each row by a scale of its own, max |x| / 127, and
        the products are added exactly: equal bits on every machine. ``"f16"``: weights of 16 bits, as near as
        they come; the arithmetic is that of `dtype`.

        Parameters
        ----------
        dtype : {"int8", "f16"}
            Of the weights.
        validate : array_like, optional
            Inputs, as of a call: the outputs for them, of both, are compared in ``quantization``.
        lengths : array_like of int, optional
            Theirs, as of a call.

        Returns
        -------
        layer or model
            Of the same class. It is called, streamed, copied and pickled as before; what would write or train
            it is a RuntimeError.

        Raises
        ------
        ValueError
            A weight that is not finite, or beyond ±65504 for ``"f16"``.
        RuntimeError
            The weights are narrow already.

        Examples
        --------
        >>> import gru_rs
        >>> gru = gru_rs.GRU(16, 32, seed=1).quantize("int8")
        >>> gru.weight_dtype, gru.nbytes, gru(np.ones((5, 2, 16), np.float32))[0].shape
        (dtype('int8'), 6144, (5, 2, 32))
        """
        width = as_width(dtype)
        expect_validate(validate, lengths)
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        self._narrow(other, width)
        sizes = (other.nbytes, self.nbytes)
        if validate is None:
            other._quantization = Quantization(width, *sizes)
        else:
            both = [[layer._outputs_for(validate, lengths)] for layer in (self, other)]
            other._quantization = compared(width, sizes, *both)
        return other

    @classmethod
    def _of_parts(cls: type[Self], options: dict[str, Any], parts: Parts) -> Self:
        """One with the weights of a file, and no others before them."""
        made = cls.__new__(cls)
        made._given = parts
        made.__init__(**options)  # type: ignore[misc]
        made._given = None
        if made.weight_dtype != made.dtype:
            whole = made._names[-1][2] * made.dtype.itemsize
            made._quantization = Quantization(made.weight_dtype.name, made.nbytes, whole)
        return made

    def _narrow(self, other: Weighted, width: str) -> None:
        """Gives another its narrow weights."""
        other._core = self._core.narrowed(width)

    @abstractmethod
    def _outputs_for(self, x: Any, lengths: Any) -> Array:
        """What comes of a call."""

    def _parts(self) -> Parts:
        """The parameters as they are kept."""
        return self._core.parts()

    def __copy__(self: Self) -> Self:
        return self.__deepcopy__({})

    def __deepcopy__(self: Self, memo: dict[int, Any]) -> Self:
        """A layer of its own: weights cannot be shared between two that are both written to."""
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        other.__dict__.update(self.__dict__)
        other._core = self._core.duplicate()
        return other

    def __getstate__(self) -> dict[str, Any]:
        arguments = {name: getattr(self, name) for name in self._arguments()}
        state = {"arguments": arguments, "rng": self._core.rng_state}
        if self._quantization is None:
            return state | {"flat": self.flat.copy()}
        return state | {"parts": self._parts(), "quantization": self._quantization}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._given = state.get("parts")
        self.__init__(**state["arguments"])  # type: ignore[misc]
        if self._given is None:
            self.set_flat(state["flat"])
        self._given, self._quantization = None, state.get("quantization")
        self._core.set_rng_state(state["rng"])

    def _shown_width(self) -> str:
        return "" if self._quantization is None else f".quantize({self.weight_dtype.name!r})"

    @abstractmethod
    def _arguments(self) -> list[str]:
        """The constructor's arguments, each also an attribute."""


class Recurrent(Weighted):
    """The sizes and weights of a layer or cell."""

    _cell = "gru"
    _own: tuple[str, ...] = ("bias",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        reset_after: bool = True,
        recurrent_activation: str = "sigmoid",
        activation: str = "tanh",
        clip: float | None = None,
        dtype: Any = np.float32,
        seed: int | None = None,
    ) -> None:
        self._input_size = as_size("input_size", input_size)
        self._hidden_size = as_size("hidden_size", hidden_size)
        self._bias = as_flag("bias", bias)
        self._reset_after = as_flag("reset_after", reset_after)
        self._recurrent_activation = as_choice("recurrent_activation", recurrent_activation, FUNCTIONS)
        self._activation = as_choice("activation", activation, FUNCTIONS)
        self._clip = None if clip is None else as_real("clip", clip)
        self._dtype = as_float_dtype(dtype)
        self._seed = None if seed is None else as_seed(seed)
        self._core = _core.Rnn(
            self._cell if self._reset_after else "gru_reset_before",
            self._dtype.name,
            self._input_size,
            self._hidden_size,
            num_layers,
            self._bias,
            batch_first,
            dropout,
            bidirectional,
            fresh_seed(self._seed),
            self._recurrent_activation,
            self._activation,
            self._clip,
            self._given,
        )
        self._names = self._named()

    def _named(self) -> Names:
        return as_names(self._core.names())

    @property
    def input_size(self) -> int:
        """Numbers a step of the input."""
        return self._input_size

    @property
    def hidden_size(self) -> int:
        """Units."""
        return self._hidden_size

    @property
    def bias(self) -> bool:
        """Whether there are biases."""
        return self._bias

    @property
    def recurrent_activation(self) -> str:
        """The function of the gates."""
        return self._recurrent_activation

    @property
    def activation(self) -> str:
        """The function of the candidate."""
        return self._activation

    @property
    def clip(self) -> float | None:
        """The bound of the functions' arguments."""
        return self._clip

    def _arguments(self) -> list[str]:
        """The constructor's arguments, each also an attribute."""
        functions = ["recurrent_activation", "activation", "clip"]
        return ["input_size", "hidden_size", *self._own, *functions, "dtype", "seed"]

    def __repr__(self) -> str:
        sizes = f"{self.input_size}, {self.hidden_size}"
        defaults: dict[str, Any] = {
            "num_layers": 1,
            "dropout": 0.0,
            "recurrent_activation": "sigmoid",
            "activation": "tanh",
            "clip": None,
            "seed": None,
            "dtype": np.dtype(np.float32),
        }
        defaults |= {"bias": True, "reset_after": True, "batch_first": False, "bidirectional": False}
        given = {name: getattr(self, name) for name in self._arguments()[2:]}
        changed = {name: value for name, value in given.items() if value != defaults[name]}
        if "dtype" in changed:
            changed["dtype"] = np.dtype(changed["dtype"]).name
        shown = f"{type(self).__name__}({', '.join([sizes, *(f'{k}={v!r}' for k, v in changed.items())])})"
        return shown + self._shown_width()


def as_names(names: list[tuple[str, int, int, list[int]]]) -> Names:
    """Names, places and shapes of parameters as the extension gives them."""
    return [(name, first, last, tuple(shape)) for name, first, last, shape in names]


def fresh_seed(seed: int | None) -> int:
    """The seed, or one from the system."""
    return int.from_bytes(os.urandom(8), "little") if seed is None else seed


def split(flat: Array, names: Names) -> dict[str, Array]:
    """Views of the parameters in a flat buffer."""
    return {name: flat[first:last].reshape(shape) for name, first, last, shape in names}


class Grads:
    """The gradients that a tape's backward gives.

    Attributes
    ----------
    x : ndarray
        Of the inputs, shaped as they; zero past a row's length.
    h0 : ndarray, or a pair of them for an LSTM
        Of the initial states, shaped as they, also when none were given.
    params : dict of str to ndarray
        Of the parameters, with the names and shapes of ``state_dict()``; views of `flat`.
    flat : ndarray, (n,)
        Of the parameters end to end, lined up with the layer's ``flat``.
    """

    __slots__ = ("_flat", "_h0", "_names", "_x")

    def __init__(self, x: Array, h0: Array | tuple[Array, Array], flat: Array, names: Names) -> None:
        self._x, self._h0, self._flat, self._names = x, h0, flat, names

    @property
    def x(self) -> Array:
        """Of the inputs."""
        return self._x

    @property
    def h0(self) -> Any:
        """Of the initial states; a pair for an LSTM."""
        return self._h0

    @property
    def flat(self) -> Array:
        """Of the parameters end to end."""
        return self._flat

    @property
    def params(self) -> dict[str, Array]:
        """Of the parameters by name."""
        return split(self._flat, self._names)

    def __reduce__(self) -> Any:
        msg = "Grads cannot be pickled: pickle its arrays"
        raise TypeError(msg)

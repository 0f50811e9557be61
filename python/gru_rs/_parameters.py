"""What layers, cells, models and pairs share: their constructor's arguments, their weights by name and end to
end, copies, pickles and files.

It must not know how they are called.
"""

from __future__ import annotations

import inspect
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, overload

import numpy as np

from . import _core, _saved
from ._arrays import as_array, as_float_dtype, expect_shape
from ._checks import as_choice, as_count, as_flag, as_real, as_seed, as_size
from ._names import Names, as_names, split
from ._quantize import Quantization, as_width, compared, expect_validate
from ._words import WORDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike
    from typing_extensions import Self

    from ._arrays import Array
    from ._quantize import Tensors

T = TypeVar("T")


def _word(argument: str) -> Callable[[str, Any], str]:
    """A check for one of an argument's words."""
    return lambda name, value: as_choice(name, value, WORDS[argument])


def _maybe(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    """The same check, or None."""
    return lambda name, value: None if value is None else check(name, value)


def _token(name: str, value: Any) -> int:
    return as_count(name, value, 2**32)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "input_size": as_size,
    "hidden_size": as_size,
    "output_size": as_size,
    "vocabulary_size": _maybe(as_size),
    "embedding_size": as_size,
    "num_layers": as_size,
    "cell": _word("cell"),
    "bias": as_flag,
    "batch_first": as_flag,
    "bidirectional": as_flag,
    "reset_after": as_flag,
    "variational": as_flag,
    "crf": as_flag,
    "pooling": _word("pooling"),
    "attention": _maybe(_word("attention")),
    "begin": _token,
    "end": _token,
    "dropout": as_real,
    "input_dropout": as_real,
    "output_dropout": as_real,
    "recurrent_activation": _word("activation"),
    "activation": _word("activation"),
    "clip": _maybe(as_real),
    "conv_channels": _maybe(as_size),
    "conv_kernel_size": as_size,
    "conv_stride": as_size,
    "conv_activation": _word("conv_activation"),
}
"""How each argument of a constructor is checked, whoever has it."""


class Argument(Generic[T]):
    """One of a constructor's arguments, to be read."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, network: None, owner: type) -> Self: ...
    @overload
    def __get__(self, network: Network, owner: type) -> T: ...
    def __get__(self, network: Network | None, owner: type) -> Self | T:
        if network is None:
            return self
        value: T = network._options[self._name]
        return value

    def __set__(self, network: Network, value: T) -> None:
        msg = f"{self._name}: expected to be given to the constructor, got a new value {value!r}"
        raise AttributeError(msg)

    def __delete__(self, network: Network) -> None:
        msg = f"{self._name}: expected to be kept, got del"
        raise AttributeError(msg)


class Network(ABC):
    """Parameters by name and end to end, in the hands of the extension."""

    _kind: ClassVar[Any]
    """The extension's class."""
    _core: Any
    _options: dict[str, Any]
    """The constructor's arguments, but for dtype and seed."""
    _names: Names
    _dtype: np.dtype[Any]
    _seed: int | None
    # What a file or pickle holds, for the constructor to take in place of fresh weights.
    _given: Tensors | None = None
    _quantization: Quantization | None = None

    input_size: Argument[int] = Argument("Numbers a step of the input.")
    hidden_size: Argument[int] = Argument("Units of a layer and direction.")
    bias: Argument[bool] = Argument("Whether there are biases.")

    def _make(self, arguments: dict[str, Any]) -> None:
        """What a constructor does with its arguments, which are its `locals()`."""
        self._options = _checked(arguments)
        self._dtype = as_float_dtype(arguments["dtype"])
        self._seed = None if arguments["seed"] is None else as_seed(arguments["seed"])
        drawn = {"dtype": self._dtype.name, "seed": fresh_seed(self._seed)}
        self._take(self._kind(self._core_options(self._options) | drawn, self._given))

    def _take(self, core: _core.Parameters) -> None:
        self._core, self._names = core, self._named(core.names())

    @classmethod
    def _core_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        """The options as the extension takes them."""
        return options

    @classmethod
    def _named(cls, names: list[tuple[str, int, int, list[int]]]) -> Names:
        """The names as a user sees them."""
        return as_names(names)

    def _around(self, core: _core.Parameters) -> Self:
        """One like this with other parameters."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._take(core)
        return other

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64: of inputs, outputs and, unless they are quantized, of the weights."""
        return self._dtype

    @property
    def weight_dtype(self) -> np.dtype[Any] | str:
        """What the weights are kept in: `dtype`, or after `quantize` int8, float16 or the word "bfloat16".

        NumPy has no type of that name.
        """
        width = self._core.width
        return "bfloat16" if width == "bfloat16" else np.dtype(width or self._dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters."""
        found: int = self._core.nbytes
        return found

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
        """All parameters end to end in state-dict order, (n,), a read-only copy.

        It keeps the values it had when it was taken; after a write, take it again. Of quantized weights these
        are the numbers that they stand for. It is a copy because not all heed that an array is read-only:
        ``torch.from_dlpack`` and ``torch.from_numpy`` make writable tensors of one.
        """
        flat: Array = self._flat_view.copy()
        flat.flags.writeable = False
        return flat

    @property
    def _flat_view(self) -> Array:
        """`flat` without a copy, for whoever does not hand it on."""
        view: Array = np.asarray(self._core.flat())
        return view

    @property
    def params(self) -> dict[str, Array]:
        """The parameters by name, read-only copies as `flat` is."""
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
        return {name: value.copy() for name, value in split(self._flat_view, self._names).items()}

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
        self,
        dtype: Literal["int8", "f16", "bf16"] = "int8",
        *,
        validate: Any = None,
        lengths: Any = None,
    ) -> Self:
        """A copy for inference with quantized matrices, a quarter or half as large; biases stay as they are.

        ``"int8"``: 8 bits a weight and a scale for each row, max |w| / 127. What they multiply, inputs and
        states, is rounded to 8 bits as well, each step of each row by a scale of its own, max |x| / 127, and
        the products are added exactly: equal bits on every machine. ``"f16"``: weights of 16 bits, as near as
        they come; the arithmetic is that of `dtype`. ``"bf16"``: weights of bfloat16, 16 bits with float32's
        exponents, and what they multiply is rounded to it as well, to the nearest, and to 0 below 2⁻⁵⁶ in
        magnitude; sums, gates and states are those of `dtype`. The sums have the order of matrix units: of
        each 32 products the even and the odd ones in a chain of fused multiply-adds each, the two added,
        then added to the sum so far. Again equal bits on every machine.

        Parameters
        ----------
        dtype : {"int8", "f16", "bf16"}
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
            A weight that is not finite, or beyond ±65504 for ``"f16"``, ±3.39e38 for ``"bf16"``.
        RuntimeError
            The weights are quantized already.

        Examples
        --------
        >>> import gru_rs
        >>> gru = gru_rs.GRU(16, 32, seed=1).quantize("int8")
        >>> gru.weight_dtype, gru.nbytes, gru(np.ones((5, 2, 16), np.float32))[0].shape
        (dtype('int8'), 6144, (5, 2, 32))
        """
        width = as_width(dtype)
        expect_validate(validate, lengths)
        # Both of one moment, whoever writes meanwhile.
        whole = copy(self)
        other = whole._around(whole._core.quantized(width))
        sizes = (other.nbytes, whole.nbytes)
        if validate is None:
            other._quantization = Quantization(width, *sizes)
        else:
            both = [[network._outputs_for(validate, lengths)] for network in (whole, other)]
            other._quantization = compared(width, sizes, *both)
        return other

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file: complete, or not at all.

        The weights are there as they are kept, under the names of `state_dict`; beside them the constructor's
        arguments and the place of dropout's generator. `gru_rs.load` reads it.

        Parameters
        ----------
        path : path-like
            Usually ``….safetensors``. A file there is replaced, and gives its mode to the new one; of a
            symbolic link the target is.

        Raises
        ------
        OSError
            The file cannot be written, or what is there is no regular file.
        TypeError
            A class of your own, which `gru_rs.load` would not know.

        Examples
        --------
        >>> import gru_rs, os, tempfile
        >>> model = gru_rs.Model(3, 8, 2, seed=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(os.path.join(folder, "model.safetensors"))
        ...     again = gru_rs.load(os.path.join(folder, "model.safetensors"))
        >>> again
        Model(3, 8, 2, seed=1)
        """
        _saved.save(self, path)

    @classmethod
    def _names_of(cls, arguments: dict[str, Any]) -> Names:
        """The names and shapes that these arguments would give, before anything is allocated."""
        return cls._named(cls._kind.names_of(cls._core_options(arguments) | {"seed": 0}))

    @classmethod
    def _as_options(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """What a network that was made with these arguments, and defaults for the others, says of itself; but
        for its seed.
        """
        parameters = inspect.signature(cls).parameters.values()
        defaults = {one.name: one.default for one in parameters if one.default is not one.empty}
        return _checked(defaults | arguments) | {"dtype": as_float_dtype(arguments["dtype"]).name}

    @classmethod
    def _from_tensors(cls, arguments: dict[str, Any], tensors: Tensors) -> Self:
        """One with the weights of a file, and no others before them."""
        made = cls.__new__(cls)
        made._given = tensors
        made.__init__(**arguments)  # type: ignore[misc]
        made._given = None
        if made.weight_dtype != made.dtype:
            whole = made._names[-1][2] * made.dtype.itemsize
            made._quantization = Quantization(made._core.width, made.nbytes, whole)
        return made

    @abstractmethod
    def _outputs_for(self, x: Any, lengths: Any) -> Array:
        """What comes of a call."""

    def _tensors(self) -> Tensors:
        """The parameters as they are kept."""
        found: Tensors = self._core.tensors()
        return found

    def __copy__(self) -> Self:
        return self.__deepcopy__({})

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """One of its own: weights cannot be shared between two that are both written to."""
        memo[id(self)] = other = self._around(self._core.duplicate())
        return other

    def __getstate__(self) -> dict[str, Any]:
        arguments = {name: getattr(self, name) for name in self._arguments()}
        state = {"arguments": arguments, "rng": self._core.rng_state}
        if self._quantization is None:
            return state | {"flat": self.flat}
        return state | {"parts": self._tensors(), "quantization": self._quantization}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._given = state.get("parts")
        self.__init__(**state["arguments"])  # type: ignore[misc]
        if self._given is None:
            self.set_flat(state["flat"])
        self._given, self._quantization = None, state.get("quantization")
        self._core.set_rng_state(state["rng"])

    def _arguments(self) -> list[str]:
        """The constructor's arguments, each also an attribute."""
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
        width = "" if self._quantization is None else f".quantize({self._core.width!r})"
        return f"{type(self).__name__}({', '.join(shown)}){width}"


class Recurrent(Network):
    """A layer or a cell."""

    _kind = _core.Rnn
    _core: _core.Rnn
    _cell: ClassVar[str]
    """The word of its cell."""

    recurrent_activation: Argument[str] = Argument("The function of the gates.")
    activation: Argument[str] = Argument("The function of the candidate.")
    clip: Argument[float | None] = Argument("The bound of the functions' arguments.")

    @classmethod
    def _core_options(cls, options: dict[str, Any]) -> dict[str, Any]:
        # What a cell or an LSTM has no argument for.
        fixed = {"num_layers": 1, "batch_first": False, "bidirectional": False, "reset_after": True}
        return {"cell": cls._cell, "dropout": 0.0} | fixed | options

    def _wrap(self, states: list[Array]) -> Any:
        """The states as the user sees them: one, or a tuple."""
        return states[0] if len(states) == 1 else tuple(states)


def _checked(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments that say what a network is, each as it is kept."""
    return {name: _CHECKS[name](name, value) for name, value in arguments.items() if name in _CHECKS}


def fresh_seed(seed: int | None) -> int:
    """The seed, or one from the system."""
    return int.from_bytes(os.urandom(8), "little") if seed is None else seed

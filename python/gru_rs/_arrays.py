"""Arrays at the border: what a caller passes becomes a C-contiguous array of the layer's dtype, or an error.

The only file that decides which conversions are silent: those that lose nothing the caller could want, and
none else. Nothing is copied that need not be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ._checks import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Shape: TypeAlias = tuple[int | str, ...]

_FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}


def as_float_dtype(dtype: Any, name: str = "dtype") -> np.dtype[Any]:
    """float32 or float64 in this machine's byte order; `name` is the argument it came by."""
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if found is None or dtype is None or found not in _FLOATS:
        msg = f"{name}: expected float32 or float64, got {shown(dtype)}"
        raise TypeError(msg)
    native: np.dtype[Any] = found.newbyteorder("=")
    return native


def as_array(name: str, value: ArrayLike, dtype: np.dtype[Any]) -> Array:
    """`value` as a C-contiguous array of `dtype`.

    Lists, integers, bools and narrower floats are converted; an array of a wider float is refused, as are
    complex numbers, objects and text.
    """
    if type(value) is np.ndarray and value.dtype == dtype:
        flags = value.flags
        if flags.c_contiguous and flags.aligned:
            return value
    array = as_ndarray(name, value, f"an array of {dtype.name}")
    if array.dtype.kind == "f" and array.dtype.itemsize > dtype.itemsize and _is_array(value):
        msg = (
            f"{name}: expected {dtype.name}, got an array of {array.dtype.name}, which would lose precision;"
            f" convert it with {name}.astype(np.{dtype.name})"
        )
        raise TypeError(msg)
    if array.dtype.kind not in "fiub":
        msg = f"{name}: expected an array of {dtype.name}, got {_describe(value)} of dtype {array.dtype}"
        raise TypeError(msg)
    return np.require(array, dtype, ["C", "A"])


def widened(array: Array) -> Array:
    """Numbers of 16 bits as float32, which has all of them; others as they are."""
    return array.astype(np.float32) if array.dtype.name in ("float16", "bfloat16") else array


BFLOAT16 = np.dtype([("bfloat16", np.uint16)])
"""The bits of bfloat16, which NumPy has no type for, so that they are told from integers."""


def of_bfloat16(bits: Array) -> Array:
    """The numbers of bfloat16, given as unsigned integers of 16 bits, as float32: its first two bytes."""
    numbers: Array = (bits.astype(np.uint32) << 16).view(np.float32)
    return numbers


def _is_array(value: Any) -> bool:
    """Something whose dtype is a decision, not a default of NumPy's for Python's floats."""
    return hasattr(value, "dtype") or hasattr(value, "__dlpack__") or hasattr(value, "__array_interface__")


def as_ndarray(name: str, value: Any, expected: str) -> Array:
    """Whatever is an array, as NumPy's, of the dtype that it has; `expected` is what a message says."""
    if isinstance(value, np.ma.MaskedArray):
        msg = f"{name}: expected {expected}, got a masked array, whose mask would be lost"
        raise TypeError(msg)
    if isinstance(value, np.ndarray):
        return np.asarray(value)
    if value is None:
        msg = f"{name}: expected {expected}, got None"
        raise TypeError(msg)
    if hasattr(value, "__dlpack__") and not isinstance(value, np.generic):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            device = getattr(value, "__dlpack_device__", lambda: "unknown")()
            got = f"{_describe(value)} on device {device}: {error}"
            msg = f"{name}: expected {expected} in CPU memory, got {got}"
            raise TypeError(msg) from error
    try:
        return np.asarray(value)
    except ValueError as error:
        msg = f"{name}: expected {expected}, got a ragged {_describe(value)}: {error}"
        raise ValueError(msg) from error
    except RuntimeError as error:  # of a tensor that cannot be an array as it is
        msg = f"{name}: expected {expected}, got {_describe(value)} that is none: {error}"
        raise TypeError(msg) from error


def _describe(value: Any) -> str:
    return "array" if isinstance(value, np.ndarray) else type(value).__name__


def expect_shape(name: str, array: Array, *shapes: Shape) -> None:
    """The array's shape is one of `shapes`, where a str is any size, named."""
    for shape in shapes:
        if len(shape) == array.ndim and all(
            isinstance(want, str) or want == have for want, have in zip(shape, array.shape, strict=True)
        ):
            return
    expected = " or ".join(_write(shape) for shape in shapes)
    msg = f"{name}: expected shape {expected}, got {array.shape}"
    raise ValueError(msg)


def _write(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"


def zeros(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Zeros of a shape that `name` is the cause of."""
    try:
        return np.zeros(shape, dtype)
    except ValueError as error:
        msg = f"{name}: expected a size that fits the machine, got shape {shape}: {error}"
        raise ValueError(msg) from None


def as_states(name: str, value: Any, letters: Sequence[str]) -> list[Any]:
    """The states of a cell: one by itself, of several a pair."""
    if len(letters) == 1:
        return [value]
    if not isinstance(value, (tuple, list)):
        msg = f"{name}: expected a pair (tuple) of arrays, got {_describe(value)}"
        raise TypeError(msg)
    if len(value) != len(letters):
        msg = f"{name}: expected a pair of {len(letters)} arrays, got {len(value)}"
        raise ValueError(msg)
    return list(value)


def as_lengths(value: ArrayLike, batch: int, seq: int) -> list[int]:
    """One integer of [0, seq] for each row."""
    array = as_ndarray("lengths", value, "an array of integers")
    if array.ndim == 1 and array.size == 0 and isinstance(value, (list, tuple)):
        array = array.astype(np.intp)
    if array.dtype.kind not in "iu":
        msg = f"lengths: expected integers, got {_describe(value)} of dtype {array.dtype}: {shown(value)}"
        raise TypeError(msg)
    expect_shape("lengths", array, (batch,))
    lengths: list[int] = array.tolist()
    for row, length in enumerate(lengths):
        if not 0 <= length <= seq:
            msg = f"lengths: expected integers from 0 to {seq}, got {length} in row {row}"
            raise ValueError(msg)
    return lengths


def as_integers(name: str, value: ArrayLike, end: int) -> Array:
    """Integers of [0, end), C-contiguous, as uint32.

    They are a copy: as places in tables they must still be what they were when they were checked, whatever
    other threads write into `value` during the call.
    """
    given = as_ndarray(name, value, "an array of integers")
    if given.size == 0 and isinstance(value, (list, tuple)):
        given = given.astype(np.uint32)
    if given.dtype.kind not in "iu":
        msg = f"{name}: expected integers, got {_describe(value)} of dtype {given.dtype}"
        raise TypeError(msg)
    own: Array = np.array(given, order="C")
    least = own.min() if own.size and own.dtype.kind == "i" else 0
    if own.size and not (least >= 0 and own.max() < end):
        found = least if least < 0 else own.max()
        msg = f"{name}: expected integers from 0 to {end - 1}, got {found}"
        raise ValueError(msg)
    return own.astype(np.uint32, copy=False)


def as_weights(value: ArrayLike | None, dtype: np.dtype[Any]) -> Array | None:
    """How much each row counts, if it is told."""
    if value is None:
        return None
    array = as_array("sample_weight", value, dtype)
    expect_shape("sample_weight", array, ("B",))
    return array


def as_spelling(targets: Any, end: int) -> tuple[Array, list[int]]:
    """The labels below `end` of all rows, one behind the other, and how many each row has."""
    if isinstance(targets, str) or not hasattr(targets, "__iter__"):
        msg = f"targets: expected a sequence of labels for each row, got {shown(targets)}"
        raise TypeError(msg)
    rows = []
    for row, labels in enumerate(targets):
        array = as_integers("targets", labels, end)
        if array.ndim != 1:
            msg = f"targets: expected a sequence of labels for row {row}, got shape {array.shape}"
            raise ValueError(msg)
        rows.append(array)
    flat: Array = np.concatenate(rows) if rows else np.empty(0, np.uint32)
    return flat, [len(array) for array in rows]


def as_steps(name: str, value: ArrayLike, step: Shape, chunk: Shape, dtype: str) -> Array:
    """A stream's x, when it is not yet as it should be."""
    array = as_array(name, value, np.dtype(dtype))
    expect_shape(name, array, step, chunk)
    return array


def as_flags(name: str, value: ArrayLike, shape: Shape) -> NDArray[np.bool_]:
    """Booleans, and nothing that could be meant as indices."""
    array = as_ndarray(name, value, "an array of bool")
    if array.dtype != np.bool_:
        msg = f"{name}: expected an array of bool, got {array.dtype}"
        raise TypeError(msg)
    expect_shape(name, array, shape)
    # An array of bool may be a view of other bytes than 0 and 1, which are no bool elsewhere.
    return np.not_equal(np.ascontiguousarray(array).view(np.uint8), 0)


def expect_apart(name: str, arrays: Sequence[Array]) -> None:
    """Arrays that are written share no memory: what goes into one would come out of another."""
    # Of empty ones that are one NumPy says no.
    if len(arrays) == 2 and (arrays[0] is arrays[1] or np.shares_memory(arrays[0], arrays[1])):
        msg = f"{name}: expected two arrays of their own, got two that share memory"
        raise ValueError(msg)


def check_out(name: str, value: Any, shape: tuple[int, ...], dtype: str) -> None:
    """An array that can be written as it stands: nothing is converted on the way out."""
    if not isinstance(value, np.ndarray) or isinstance(value, np.ma.MaskedArray):
        msg = f"{name}: expected an array of {dtype}, got {type(value).__name__}"
        raise TypeError(msg)
    if value.dtype != np.dtype(dtype):
        msg = f"{name}: expected {dtype} in native byte order, got {value.dtype} ({value.dtype.str})"
        raise TypeError(msg)
    expect_shape(name, value, shape)
    if not value.flags.writeable:
        msg = f"{name}: expected a writeable array, got a read-only one"
        raise ValueError(msg)
    if not (value.flags.c_contiguous and value.flags.aligned):
        msg = f"{name}: expected a C-contiguous array, got one with strides {value.strides}"
        raise ValueError(msg)

"""Files of PyTorch (zip, legacy, TorchScript, exported programs), .npz and pickled arrays, without PyTorch.

They become dicts of tensors by name. Nothing in them is run: `_pickles` reads what is pickled as data, and
the bytes of a tensor are read when its numbers are asked for.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _pickles
from ._pickles import Opaque
from ._source import Source, read_zip

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from .._arrays import Array

KINDS = ("torch", "torch_legacy", "torchscript", "pt2", "pickle")
"""Of `Source`, those that `read` reads."""

_LEGACY = 0x1950A86A20F9469CFC6C
"""What PyTorch's files begin with until version 1.6."""

_DTYPES = {
    "Float": "f4",
    "Double": "f8",
    "Half": "f2",
    "BFloat16": "u2",
    "Long": "i8",
    "Int": "i4",
    "Short": "i2",
    "Char": "i1",
    "QInt8": "i1",
    "Byte": "u1",
    "Bool": "?",
}
_OWN_NAMES = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "int32": "Int",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
}
_NUMBERS = {1: "Byte", 2: "Char", 4: "Int", 5: "Long", 6: "Half", 7: "Float", 8: "Double", 13: "BFloat16"}
"""What an exported program calls them."""

UNREAD = "numbers that were not read"
"""What stands for arrays that nobody wants."""

_MOST_AXES = 8


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: which of some bytes it is, and of int8 what its numbers stand for."""

    data: Callable[[], bytes]
    word: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    order: str
    scale: Any = None
    zero: Any = 0

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        """Its numbers; bfloat16 as float32, exactly."""
        if self.word not in _DTYPES:
            msg = f"expected numbers of one of the types {', '.join(_DTYPES)}, got {self.word}"
            raise ValueError(msg)
        kind = np.dtype(_DTYPES[self.word]).newbyteorder(self.order)  # type: ignore[arg-type]
        data = self.data()
        numbers = np.frombuffer(data, kind, len(data) // kind.itemsize)
        sizes = [*self.shape, *self.strides, self.offset]
        whole = all(type(size) is int and size >= 0 for size in sizes) and len(self.shape) <= _MOST_AXES
        count, last = 1, self.offset
        for length, step in zip(self.shape, self.strides, strict=True) if whole else ():
            count, last = count * length, last + (length - 1) * step
        # A number that stands for many, or for one that is not there, would take memory that no file gave.
        if not whole or count > numbers.size or (count and last >= numbers.size):
            msg = f"expected a tensor within its {numbers.size} numbers, got one of shape {self.shape}"
            raise ValueError(msg)
        steps = [step * kind.itemsize for step in self.strides]
        array = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, steps)
        array = array.astype(kind.newbyteorder("="), order="C")
        if self.word == "BFloat16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        if self.scale is None:
            return array
        rows = [-1] + [1] * (array.ndim - 1)  # of one number, or of one for each row
        scale, zero = (np.asarray(n, np.float32).reshape(rows) for n in (self.scale, self.zero))
        numbers = (array.astype(np.float32) - zero) * scale
        return numbers.reshape(self.shape)


def read(source: Source) -> Any:
    """What a file holds: dicts, lists, tensors, `Opaque` objects. A ValueError says what is wrong with it."""
    if source.kind == "pt2":
        return _program(source)
    if source.kind == "pickle":
        return _Tensors(_nowhere, "<").read(io.BytesIO(source.read()))
    if source.kind == "torch_legacy":
        return _legacy(io.BytesIO(source.read()))
    (name,) = _ending(source, "data.pkl")
    root = name.removesuffix("data.pkl")
    # One storage may be that of many tensors.
    data = lru_cache(4)(lambda key: _member(source, f"{root}data/{key}"))
    is_big = read_zip(source, [f"{root}byteorder"]).get(f"{root}byteorder") == b"big"
    return _Tensors(data, ">" if is_big else "<").read(io.BytesIO(_member(source, name)))


def _nowhere(key: str) -> bytes:
    msg = f"numbers within the pickle itself, got {key}, which lies beside it"
    raise ValueError(msg)


def _member(source: Source, name: str) -> bytes:
    found = read_zip(source, [name])
    if name not in found:
        msg = f"a file {name} within, got none"
        raise ValueError(msg)
    return found[name]


def _ending(source: Source, *ends: str) -> list[str]:
    """The files of an archive that have these names in its one folder, or in none."""
    with source.opened() as (file, _), zipfile.ZipFile(file) as archive:
        return [name for name in archive.namelist() if name in ends or name.partition("/")[2] in ends]


# What is pickled --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Storage:
    word: str
    data: Callable[[], bytes]
    skipped: int = 0


_DICTS = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict")
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")


class _Tensors:
    """The tensors of a pickle, whose bytes are somewhere else by a key."""

    def __init__(self, data: Callable[[str], bytes], order: str) -> None:
        self._data, self.order = data, order
        self.words: dict[str, str] = {}

    def read(self, file: BinaryIO) -> Any:
        return _pickles.read(file, self._storage, self._made)

    def _storage(self, identity: Any) -> Any:
        kind, of, *more = identity
        if kind != "storage":  # a class of before 1.0, with the text that defines it
            return of
        key, view = str(more[0]), more[3] if len(more) > 3 else None
        word = of.name.rpartition(".")[2].removesuffix("Storage")
        self.words[key] = word
        return _Storage(word, partial(self._data, key), view[1] if view else 0)

    def _made(self, opaque: Opaque) -> Any:
        name, given = opaque.name, opaque.arguments
        if name in _DICTS:
            return dict(given[0]) if given and isinstance(given[0], list) else {}
        if name in _PARAMETERS or name.startswith("torch.jit._pickle."):
            return given[0]
        if name == "torch._tensor._rebuild_from_type_v2":
            return self._made(Opaque(given[0].name, given[2]))
        if name not in {
            f"torch._utils._rebuild_{own}" for own in ("tensor", "tensor_v2", "tensor_v3", "qtensor")
        }:
            return opaque
        storage, offset, shape, strides = given[:4]
        word, scale, zero = storage.word, None, 0
        if name.endswith("v3"):
            own = given[6].name.removeprefix("torch.")
            word = _OWN_NAMES.get(own, own)
        elif name.endswith("qtensor"):
            scheme, scale, zero = given[4][:3]
            if scheme.name != "torch.per_tensor_affine" and given[4][3] != 0:
                return opaque
        if not isinstance(shape, tuple) or not isinstance(strides, tuple) or not isinstance(offset, int):
            msg = f"a tensor's shape, strides and offset, got {shape}, {strides} and {offset}"[:200]
            raise ValueError(msg)
        return Stored(storage.data, word, shape, strides, offset + storage.skipped, self.order, scale, zero)


def _legacy(file: BinaryIO) -> Any:
    """A file of before PyTorch 1.6: pickles, and after them the bytes of each storage."""
    places: dict[str, bytes] = {}
    tensors = _Tensors(lambda key: places.get(key, b""), "<")
    if tensors.read(file) != _LEGACY:
        msg = "the number that such files begin with, got another"
        raise ValueError(msg)
    tensors.read(file)  # the version of the format
    system = tensors.read(file)
    tensors.order = "<" if not isinstance(system, dict) or system.get("little_endian", True) else ">"
    tree, keys = tensors.read(file), tensors.read(file)
    for key in keys if isinstance(keys, list) else []:
        kind = _DTYPES.get(tensors.words.get(str(key), ""))
        if kind is None:
            msg = f"storages of the types {', '.join(_DTYPES)}, got {tensors.words.get(str(key))}"
            raise ValueError(msg)
        count = int.from_bytes(file.read(8), "little")
        places[str(key)] = file.read(min(count, 2**48) * np.dtype(kind).itemsize)
    return tree


# What is not ------------------------------------------------------------------------------------------------


def _program(source: Source) -> Any:
    """The parameters and buffers of an exported program."""
    for name in _ending(source, "serialized_state_dict.pt", "data/weights/model.pt"):
        return read(_inner(source, name))
    (name,) = _ending(source, "data/weights/model_weights_config.json") or [""]
    if not name:
        msg = "weights of torch.export, got an archive without"
        raise ValueError(msg)
    folder = name.rpartition("/")[0]
    try:
        config = json.loads(_member(source, name))["config"]
        return {own: _exported(source, folder, one) for own, one in config.items()}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        msg = f"a table of weights as torch.export writes it, got another: {error}"
        raise ValueError(msg) from error


def _exported(source: Source, folder: str, one: dict[str, Any]) -> Any:
    path = f"{folder}/{one['path_name']}"
    if one["use_pickle"]:
        return read(_inner(source, path))
    meta = one["tensor_meta"]
    shape, strides = (tuple(axis["as_int"] for axis in meta[key]) for key in ("sizes", "strides"))
    word = _NUMBERS.get(meta["dtype"], f"number {meta['dtype']}")
    return Stored(partial(_member, source, path), word, shape, strides, meta["storage_offset"]["as_int"], "<")


def _inner(source: Source, name: str) -> Source:
    data = _member(source, name)
    return Source(f"{source.name}!{name}", "torch", len(data), None, source.max_bytes, data)


def npz(source: Source, is_wanted: Callable[[str], bool]) -> dict[str, Any]:
    """Arrays by their names, those that are wanted; what is pickled among them is none."""
    with source.opened() as (file, _), zipfile.ZipFile(file) as archive:
        names = {member.removesuffix(".npy"): member for member in archive.namelist()}
    data = read_zip(source, {member for name, member in names.items() if is_wanted(name)})
    return {name: _npy(data[member]) if member in data else Opaque(UNREAD) for name, member in names.items()}


def _npy(data: bytes) -> Any:
    """An array of NumPy's own format, its bytes not looked at."""
    words = {
        np.dtype(kind).str[1:]: word for word, kind in _DTYPES.items() if word not in ("BFloat16", "QInt8")
    }
    file = io.BytesIO(data)
    try:
        reads = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}
        shape, is_fortran, dtype = reads[np.lib.format.read_magic(file)[0]](file)
    except (ValueError, KeyError, TypeError, SyntaxError, RecursionError):
        return Opaque("an array that cannot be read")
    strides, step = [], 1
    for length in shape if is_fortran else shape[::-1]:
        strides.append(step)
        step *= length
    strides = strides if is_fortran else strides[::-1]
    word, order = words.get(dtype.str[1:], str(dtype)), ">" if dtype.byteorder == ">" else "<"
    return Stored(lambda: data[file.tell() :], word, shape, tuple(strides), 0, order)


def array_of(opaque: Opaque) -> Array | None:
    """A pickled array of NumPy; None of anything else, and of one that is damaged."""
    try:
        if opaque.name.endswith("multiarray._reconstruct"):
            _, shape, dtype, is_fortran, data = opaque.state
        elif opaque.name.endswith("numeric._frombuffer"):  # of protocol 5
            data, dtype, shape, order = opaque.arguments
            is_fortran = order == "F"
        else:
            return None
        if isinstance(data, Opaque) and data.name == "_codecs.encode":  # bytes in protocol 2
            data = data.arguments[0].encode("latin1")
        kind = np.dtype(dtype.arguments[0]).newbyteorder(dtype.state[1])
        array: Array = np.frombuffer(data, kind).reshape(shape, order="F" if is_fortran else "C")
    except (TypeError, ValueError, IndexError, AttributeError):
        return None
    return array

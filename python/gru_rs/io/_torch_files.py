"""Files of PyTorch (zip, legacy, TorchScript, exported programs), .npz and pickled arrays, without PyTorch.

They become dicts of tensors by name. Nothing in them is run: `_pickles` reads what is pickled as data, and
the bytes of a tensor are read when its numbers are asked for.
"""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import of_bfloat16
from . import _pickles
from ._found import shown
from ._pickles import Opaque
from ._source import Budget, Source, names_in_zip, read_zip

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from .._arrays import Array

FORMATS = ("torch", "torch_legacy", "torchscript", "pt2", "pickle")
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

_MOST_AXES, _MOST_PAIRS = 8, 10**6


@dataclass(frozen=True, eq=False, repr=False)  # a text or hash of it might have no end
class Stored:
    """A tensor in a file: which of some bytes it is, and of int8 what its numbers stand for.

    Whoever asks for its numbers has looked at `nbytes`: one number in the file may stand for many.
    """

    data: Callable[[], bytes]
    word: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    order: str
    scale: Any = None
    zero: Any = 0
    is_negative: bool = False

    def __post_init__(self) -> None:
        sizes = (*self.shape, *self.strides, self.offset)
        if not all(type(size) is int for size in sizes) or len(self.shape) != len(self.strides):
            msg = "a tensor whose shape, strides and offset are whole numbers, got one with others"
            raise ValueError(msg)

    @property
    def nbytes(self) -> int:
        """What its numbers will take; a ValueError where there are none."""
        if self.word not in _DTYPES:
            msg = f"expected numbers of one of the types {', '.join(_DTYPES)}, got {shown(self.word)}"
            raise ValueError(msg)
        sizes = (*self.shape, *self.strides, self.offset)
        if not all(0 <= size < 2**48 for size in sizes) or len(self.shape) > _MOST_AXES:
            msg = f"expected a tensor of at most {_MOST_AXES} axes within its numbers, got another"
            raise ValueError(msg)
        wide = (
            4 if self.scale is not None or self.word == "BFloat16" else np.dtype(_DTYPES[self.word]).itemsize
        )
        return math.prod(self.shape) * wide

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        """Its numbers; bfloat16 as float32, exactly."""
        count = self.nbytes
        kind = np.dtype(_DTYPES[self.word]).newbyteorder(self.order)  # type: ignore[arg-type]
        data = self.data()
        numbers = np.frombuffer(data, kind, len(data) // kind.itemsize)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))
        if self.offset > numbers.size or (count and last >= numbers.size):
            msg = f"expected a tensor within its {numbers.size} numbers, got one of shape {self.shape}"
            raise ValueError(msg)
        steps = [step * kind.itemsize if count else 0 for step in self.strides]
        array = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, steps)
        array = array.astype(kind.newbyteorder("="), order="C")
        if self.word == "BFloat16":
            array = of_bfloat16(array)
        if self.scale is not None:
            array = self._dequantized(array)
        return -array if self.is_negative else array

    def _dequantized(self, array: Array) -> Array:
        """By one scale and zero, or by one of them for each row."""
        if not array.size:
            return array.astype(np.float32)
        rows = [-1] + [1] * (array.ndim - 1)
        scale, zero = (_of_rows(each, self.shape).reshape(rows) for each in (self.scale, self.zero))
        with np.errstate(all="ignore"):  # a scale may be infinite
            numbers: Array = (array.astype(np.float32) - zero) * scale
        return numbers.reshape(self.shape)


def _of_rows(value: Any, shape: tuple[int, ...]) -> Array:
    """A scale or a zero, or one of them for each row."""
    is_number = type(value) is float or (type(value) is int and abs(value) < 2**31)
    if not is_number and not (isinstance(value, Stored) and value.shape == shape[:1]):
        msg = "expected a scale and a zero of int8 that are numbers, or one for each row, got others"
        raise ValueError(msg)
    return np.asarray(value, np.float64).astype(np.float32)


def read(source: Source) -> Any:
    """What a file holds: dicts, lists, tensors, `Opaque` objects. A ValueError says what is wrong with it."""
    if source.kind == "pt2":
        return _program(_Archive(source, Budget(source.name, source.size, source.max_bytes)))
    if source.kind == "pickle":
        return _Tensors(_nowhere, "<").read(io.BytesIO(source.read()))
    if source.kind == "torch_legacy":
        return _legacy(io.BytesIO(source.read()))
    return _saved(_Archive(source, Budget(source.name, source.size, source.max_bytes)))


def _nowhere(key: str) -> bytes:
    msg = f"numbers within the pickle itself, got {shown(key)}, which lies beside it"
    raise ValueError(msg)


class _Archive:
    """A zip file, of which no more is read than may be: each part counts, and parts within parts too."""

    def __init__(self, source: Source, budget: Budget) -> None:
        self._source, self._budget = source, budget

    def names(self, *ends: str) -> list[str]:
        """The files that have these names in its one folder, or in none."""
        return [name for name in names_in_zip(self._source) if name in ends or name.partition("/")[2] in ends]

    def only(self, end: str) -> str:
        """The one file of that name."""
        names = self.names(end)
        if len(names) != 1:
            msg = f"one file {end} within, got {len(names)}"
            raise ValueError(msg)
        return names[0]

    def member(self, name: str, missing: bytes | None = None) -> bytes:
        """The bytes of a file."""
        data = read_zip(self._source, [name]).get(name, missing)
        if data is None:
            msg = f"a file {shown(name)} within, got none"
            raise ValueError(msg)
        self._budget.spend(self._source.name, len(data))
        return data

    def inner(self, name: str) -> _Archive:
        """A file that is itself what torch.save wrote."""
        data, own = self.member(name), self._source
        inner = Source(f"{own.name}!{shown(name)}", "torch", len(data), None, own.max_bytes, data)
        return _Archive(inner, self._budget)


def _saved(archive: _Archive) -> Any:
    """What torch.save wrote."""
    name = archive.only("data.pkl")
    root = name.removesuffix("data.pkl")
    # One storage may be that of many tensors.
    data = lru_cache(4)(lambda key: archive.member(f"{root}data/{key}"))
    is_big = archive.member(f"{root}byteorder", b"little") == b"big"
    return _Tensors(data, ">" if is_big else "<").read(io.BytesIO(archive.member(name)))


# What is pickled --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)  # a text or hash of it might have no end
class _Storage:
    word: str
    data: Callable[[], bytes]
    skipped: int = 0


_DICTS = ("collections.OrderedDict", "collections.defaultdict", "builtins.dict")
_FLOATS = ("Float", "Double", "Half", "BFloat16")
_PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")


class _Tensors:
    """The tensors of a pickle, whose bytes are somewhere else by a key."""

    def __init__(self, data: Callable[[str], bytes], order: str) -> None:
        self._data, self.order = data, order
        self.words: dict[str, str] = {}
        self._pairs = 0

    def read(self, file: BinaryIO) -> Any:
        return _pickles.read(file, self._storage, self._made)

    def _storage(self, identity: Any) -> Any:
        kind, of, *more = identity
        if kind != "storage":  # a class of before 1.0, with the text that defines it
            return of
        key, view = _key(more[0]), more[3] if len(more) > 3 else None
        word = of.name.rpartition(".")[2].removesuffix("Storage")
        self.words[key] = word
        return _Storage(word, partial(self._data, key), view[1] if view else 0)

    def _made(self, opaque: Opaque) -> Any:
        name, given = opaque.name, opaque.arguments
        if name in _DICTS:
            return self._dict(given[0]) if given and isinstance(given[0], list) else {}
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
        metadata: Any = given[6 + name.endswith("v3") :] if name.endswith(("v2", "v3")) else ()
        if name.endswith("v3"):
            own = given[6].name.removeprefix("torch.")
            word = _OWN_NAMES.get(own, own)
        elif name.endswith("qtensor"):
            scheme, scale, zero = given[4][:3]
            if scheme.name != "torch.per_tensor_affine" and given[4][3] != 0:
                return opaque
        is_negative = any(metadata)  # its numbers are those of the file, negated
        if is_negative and (metadata[0] != {"neg": True} or word not in _FLOATS):
            return Opaque("torch.Tensor with marks that are not known")
        if not isinstance(shape, tuple) or not isinstance(strides, tuple):
            msg = "a tensor whose shape and strides are tuples, got others"
            raise ValueError(msg)
        begin = offset + storage.skipped
        return Stored(storage.data, word, shape, strides, begin, self.order, scale, zero, is_negative)

    def _dict(self, pairs: list[Any]) -> dict[Any, Any]:
        """What a list of pairs makes; a few bytes may ask for the same again."""
        self._pairs += len(pairs)
        if self._pairs > _MOST_PAIRS:
            msg = f"at most {_MOST_PAIRS} pairs in lists that become dicts, got more"
            raise ValueError(msg)
        _pickles.expect_keys(key for key, _ in pairs)
        return dict(pairs)


def _key(value: Any) -> str:
    if not isinstance(value, (str, int)):
        msg = f"storages whose keys are texts, got {type(value).__name__}"
        raise ValueError(msg)
    return f"{value}"


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
        word = tensors.words.get(_key(key), "one that no tensor has")
        kind = _DTYPES.get(word)
        if kind is None:
            msg = f"storages of the types {', '.join(_DTYPES)}, got {shown(word)}"
            raise ValueError(msg)
        count = int.from_bytes(file.read(8), "little")
        places[_key(key)] = file.read(min(count, 2**48) * np.dtype(kind).itemsize)
    return tree


# What is not ------------------------------------------------------------------------------------------------


def _program(archive: _Archive) -> Any:
    """The parameters and buffers of an exported program."""
    for name in archive.names("serialized_state_dict.pt", "data/weights/model.pt"):
        return _saved(archive.inner(name))
    name = archive.only("data/weights/model_weights_config.json")
    folder = name.rpartition("/")[0]
    pickled = lru_cache(None)(lambda path: _saved(archive.inner(path)))  # one may have many names
    try:
        config = json.loads(archive.member(name))["config"]
        return {own: _exported(archive, folder, one, pickled) for own, one in config.items()}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        msg = f"a table of weights as torch.export writes it, got another ({type(error).__name__})"
        raise ValueError(msg) from error


def classes(source: Source) -> dict[str, str]:
    """The classes of an exported program's modules, by the modules' names, as its graph tells them."""
    archive = _Archive(source, Budget(source.name, source.size, source.max_bytes))
    found: dict[str, str] = {}
    for name in archive.names("models/model.json", "serialized_exported_program.json"):
        try:
            nodes = json.loads(archive.member(name))["graph_module"]["graph"]["nodes"]
            stacks = {node["metadata"].get("nn_module_stack", "") for node in nodes}
            entries = {entry for stack in stacks for entry in stack.split(";") if entry.count(",") > 1}
        except (KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
            msg = f"a graph as torch.export writes it, got another ({type(error).__name__})"
            raise ValueError(msg) from error
        # Its key, its name, of a second call with the number of that, and its class.
        found |= {path.partition("@")[0]: of for _, path, of in (one.rsplit(",", 2) for one in entries)}
    return found


def _exported(archive: _Archive, folder: str, one: dict[str, Any], pickled: Callable[[str], Any]) -> Any:
    path = f"{folder}/{one['path_name']}"
    if one["use_pickle"]:
        return pickled(path)
    meta = one["tensor_meta"]
    shape, strides = (tuple(axis["as_int"] for axis in meta[key]) for key in ("sizes", "strides"))
    word = _NUMBERS.get(meta["dtype"], "another")
    return Stored(partial(archive.member, path), word, shape, strides, meta["storage_offset"]["as_int"], "<")


def npz(source: Source, is_wanted: Callable[[str], bool]) -> dict[str, Any]:
    """Arrays by their names, those that are wanted; what is pickled among them is none."""
    names = {member.removesuffix(".npy"): member for member in names_in_zip(source)}
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
    except Exception:  # NumPy has Python read the text: what that raises is not one kind
        return Opaque("an array that cannot be read")
    strides, step = [], 1
    for length in shape if is_fortran else shape[::-1]:
        strides.append(step)
        step *= length
    strides = strides if is_fortran else strides[::-1]
    word, order = words.get(dtype.str[1:], str(dtype)), ">" if dtype.byteorder == ">" else "<"
    return Stored(lambda: data[file.tell() :], word, shape, tuple(strides), 0, order)


def is_array(opaque: Opaque) -> bool:
    """Whether a pickle has an array of NumPy there."""
    return opaque.name.endswith(("multiarray._reconstruct", "numeric._frombuffer"))


def array_of(opaque: Opaque) -> Array | None:
    """A pickled array of NumPy; None of anything else, and of one that is damaged."""
    try:
        if opaque.name.endswith("multiarray._reconstruct"):
            _, shape, dtype, is_fortran, data = opaque.state
        elif opaque.name.endswith("numeric._frombuffer"):  # of protocol 5
            data, dtype, shape, order = opaque.arguments
            is_fortran = isinstance(order, str) and order == "F"
        else:
            return None
        if isinstance(data, Opaque) and data.name == "_codecs.encode":  # bytes in protocol 2
            data = data.arguments[0].encode("latin1")
        word, order = dtype.arguments[0], dtype.state[1]
        if not isinstance(word, str) or not isinstance(order, str):  # a list in a list, and so on, has no end
            return None
        kind = np.dtype(word).newbyteorder(order)  # type: ignore[arg-type]
        array: Array = np.frombuffer(data, kind).reshape(shape, order="F" if is_fortran else "C")
    except Exception:  # NumPy reads a dtype's text as Python: what that raises is not one kind
        return None
    return array

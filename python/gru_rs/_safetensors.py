"""The safetensors format: the length of a header (8 bytes), the header as JSON, the tensors' bytes. It must
not know what the tensors are for.

A file is read into memory and never mapped: a map of a file that somebody else makes shorter kills the
process. The header is compared with the file's size before anything is read of what it declares.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeAlias

import numpy as np

from ._arrays import BFLOAT16, of_bfloat16
from ._files import MAX_BYTES, opened, read_exactly

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from ._arrays import Array

LONGEST_HEADER = 100_000_000
"""Bytes, as everybody else's readers take them."""

_LENGTH = 8
"""Bytes of the header's length."""

_MOST_AXES = 32
"""Of a tensor: as many as all NumPys take."""

_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
    "C64": "<c8",
}
"""Of the format's types those that NumPy has or that become one of its own."""


class Tensor(NamedTuple):
    """What a header says of a tensor."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def array(self, name: str, data: bytes, *, bits: bool = False) -> Array:
        """Its numbers; bfloat16 as float32, exactly, or its `bits` as `BFLOAT16`."""
        if self.dtype not in _DTYPES:
            msg = f"{name}: expected one of the types {', '.join(_DTYPES)}, got {self.dtype}"
            raise ValueError(msg)
        dtype = np.dtype(_DTYPES[self.dtype])
        numbers = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(self.shape)
        if self.dtype == "BF16":
            return numbers.view(BFLOAT16) if bits else of_bfloat16(numbers)
        return numbers


class Contents(NamedTuple):
    """A file in memory."""

    metadata: dict[str, str]
    tensors: dict[str, Tensor]
    data: dict[str, bytes]

    def arrays(self, *, bits: bool = False) -> dict[str, Array]:
        """The tensors' numbers, which lie in the file's memory and cannot be written; see `Tensor.array`."""
        return {name: self.tensors[name].array(name, data, bits=bits) for name, data in self.data.items()}


Wanted: TypeAlias = Callable[[str, dict[str, str]], bool]
"""Whether a tensor is read, by its name and the file's metadata."""


def read(
    path: str | os.PathLike[str],
    max_bytes: int = MAX_BYTES,
    wanted: Wanted = lambda name, metadata: True,  # noqa: ARG005
) -> Contents:
    """A file, or of its tensors those that are wanted.

    A ValueError says what is wrong with it, without the path.
    """
    with opened(path) as (file, size):
        return read_from(file, size, max_bytes, wanted)


def read_from(file: BinaryIO, size: int, max_bytes: int, wanted: Wanted) -> Contents:
    """The same of a file that is open, at its beginning."""
    metadata, tensors = _header(file, size, max_bytes)
    kept = {name: tensor for name, tensor in tensors.items() if wanted(name, metadata)}
    data, begin = {}, file.tell()
    needed = begin + sum(tensor.end - tensor.begin for tensor in kept.values())
    if needed > max_bytes:
        msg = f"at most {max_bytes} bytes to read (max_bytes), got {needed}"
        raise ValueError(msg)
    for name, tensor in sorted(kept.items(), key=lambda item: item[1].begin):
        file.seek(begin + tensor.begin)
        data[name] = read_exactly(file, tensor.end - tensor.begin)
        if len(data[name]) != tensor.end - tensor.begin:
            msg = f"{size} bytes as there were, got a file that became shorter as it was read"
            raise ValueError(msg)
    return Contents(metadata, tensors, data)


def _header(file: Any, size: int, max_bytes: int) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The header of a file whose tensors fill it to its last byte, without gaps."""
    length = int.from_bytes(read_exactly(file, _LENGTH), "little") if size >= _LENGTH else size
    if size < _LENGTH or length > size - _LENGTH:
        msg = f"a header within the file, got one of {length} bytes in {size}"
        raise ValueError(msg)
    if length > min(LONGEST_HEADER, max_bytes):
        most = (
            f"{LONGEST_HEADER} bytes, as all readers take"
            if max_bytes > LONGEST_HEADER
            else f"{max_bytes} (max_bytes)"
        )
        msg = f"a header of at most {most}, got {length}"
        raise ValueError(msg)
    try:
        found = parsed(read_exactly(file, length).decode(), constants=False)
    except RecursionError:
        msg = "a header of few levels, got one nested too deeply"
        raise ValueError(msg) from None
    if not isinstance(found, dict):
        msg = f"a header that is an object, got {type(found).__name__}"
        raise ValueError(msg)
    metadata = found.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        msg = "__metadata__ of texts, got other values"
        raise ValueError(msg)
    tensors = {name: _tensor(name, value) for name, value in found.items()}
    _expect_full(tensors, size - _LENGTH - length)
    return metadata, tensors


def parsed(text: str, *, constants: bool) -> Any:
    """JSON in which no object has two values of a name; `constants`: NaN and infinities may be there."""
    refused = {} if constants else {"parse_constant": _refuse_constant}
    return json.loads(text, object_pairs_hook=_unique, **refused)  # type: ignore[arg-type]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        msg = f"each name once, got {twice!r} twice"
        raise ValueError(msg)
    return found


def _refuse_constant(word: str) -> Any:
    msg = f"numbers as JSON has them, got {word}"
    raise ValueError(msg)


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, dict) and set(value) == {"dtype", "shape", "data_offsets"}:
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if isinstance(dtype, str) and _are_counts(shape) and _are_counts(offsets) and len(offsets) == 2:
            return Tensor(dtype, tuple(shape), *offsets)
    msg = f"{name}: a dtype, a shape of at most {_MOST_AXES} axes and two data_offsets, got others"
    raise ValueError(msg)


def _are_counts(value: Any) -> bool:
    if not isinstance(value, list) or len(value) > _MOST_AXES:
        return False
    return all(type(number) is int and 0 <= number < 2**63 for number in value)


def _expect_full(tensors: dict[str, Tensor], size: int) -> None:
    """Each tensor's bytes are those of its shape, and begin where those before it end."""
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1][2:]):
        if tensor.begin != end or tensor.end < tensor.begin:
            msg = f"{name}: bytes from {end} on, got data_offsets {[tensor.begin, tensor.end]}"
            raise ValueError(msg)
        end = tensor.end
        if tensor.dtype in _DTYPES:
            expected = _product(tensor.shape) * np.dtype(_DTYPES[tensor.dtype]).itemsize
            if (count := tensor.end - tensor.begin) != expected:
                msg = f"{name}: {expected} bytes for shape {list(tensor.shape)}, got {count}"
                raise ValueError(msg)
    if end != size:
        msg = f"{end} bytes of tensors, got {size}"
        raise ValueError(msg)


def _product(shape: tuple[int, ...]) -> int:
    """As many numbers as a shape has: Python's integers have no end."""
    count = 1
    for axis in shape:
        count *= axis
    return count


# Writing ----------------------------------------------------------------------------------------------------


def part(array: Array) -> tuple[str, list[int], bytes]:
    """An array as a file has it: its type, its shape, its bytes."""
    words = {np.dtype(kind).newbyteorder("="): word for word, kind in _DTYPES.items() if word != "BF16"}
    words[BFLOAT16] = "BF16"
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return words[array.dtype.newbyteorder("=")], list(array.shape), little.tobytes()


def written(parts: Mapping[str, tuple[str, list[int], bytes]], metadata: dict[str, str]) -> bytes:
    """A file: the same bytes for the same contents, which safetensors' own writer does not promise.

    As there the wider types come first, and spaces fill up the header, so that all numbers are aligned.
    """
    header: dict[str, Any] = {"__metadata__": metadata}
    data, end = [], 0
    for name in sorted(parts, key=lambda name: (-np.dtype(_DTYPES[parts[name][0]]).itemsize, name)):
        dtype, shape, numbers = parts[name]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [end, end + len(numbers)]}
        end += len(numbers)
        data.append(numbers)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LONGEST_HEADER:
        msg = f"header: expected at most {LONGEST_HEADER} bytes, as all readers take, got {len(text)}"
        raise ValueError(msg)
    return b"".join([len(text).to_bytes(_LENGTH, "little"), text, *data])

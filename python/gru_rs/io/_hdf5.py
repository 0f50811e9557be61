"""HDF5 files as trees of numbers and texts, where nothing leads out of the file.

It alone knows h5py, and is loaded when there is such a file.

An HDF5 file may name other files whose bytes become its numbers, filters that are loaded as code, and sizes
that it does not have. Here links lead to what is in the tree, numbers stand in the file's own bytes, are
counted before there is memory for them, and are unpacked here. What is damaged is a ValueError.
"""

from __future__ import annotations

import io
import itertools
import math
import struct
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from .._arrays import of_bfloat16
from ._source import Budget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._arrays import Array

_HEAP = b"GCOL\x01\0\0\0"
_DEFLATE, _SHUFFLE = 1, 2
_FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset", 32000: "lzf"}
_LAYOUTS = (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS, h5py.h5d.CHUNKED)
_LIBRARYS = (
    *(OSError, LookupError, RuntimeError, TypeError, ValueError),
    *(AttributeError, ArithmeticError, MemoryError),
)
"""What h5py raises for files that are damaged."""


class Folder:
    """A group of a file: its attributes, and what is in it.

    Attributes
    ----------
    place : str
        For messages: the file's name, and the path in it.
    """

    def __init__(self, group: Any, place: str, budget: Budget) -> None:
        self._group, self.place, self._budget = group, place, budget

    def names(self) -> list[str]:
        """Of all that is in it."""
        with _door(self.place):
            return [
                one if isinstance(one, str) else one.decode(errors="backslashreplace") for one in self._group
            ]

    def address(self) -> int:
        """Where it is in the file: the same of what is in the tree twice."""
        with _door(self.place):
            return int(h5py.h5o.get_info(self._group.id).addr)

    def folder(self, path: str) -> Folder | None:
        """The group at that path, if there is one."""
        group: Any = self._group
        for part in path.split("/") if path else ():
            group = self._child(group, part) if self._is_group(group) else None
            if group is None:
                return None
        return Folder(group, f"{self.place}/{path}", self._budget) if self._is_group(group) else None

    def shape(self, path: str) -> tuple[int, ...] | None:
        """Of the numbers at that path, if there are any."""
        dataset = self._dataset(path)
        with _door(f"{self.place}/{path}"):
            return None if dataset is None else tuple(int(size) for size in dataset.shape)

    def array(self, path: str) -> Array:
        """The numbers at that path, in the machine's own order of bytes."""
        place = f"{self.place}/{path}"
        dataset = self._dataset(path)
        if dataset is None:
            msg = f"{place}: expected numbers, got none there"
            raise ValueError(msg)
        with _door(place):
            return _numbers(dataset, place, self._budget)

    def text(self, name: str) -> str | None:
        """An attribute that is a text; None if there is none."""
        texts = self._attribute(name)
        if texts is None:
            return None
        if len(texts) != 1:
            msg = f"{self.place}: expected attribute {name} to be one text, got {len(texts)}"
            raise ValueError(msg)
        return texts[0]

    def texts(self, name: str) -> list[str] | None:
        """An attribute that is a list of texts, also where it was cut into NAME0, NAME1, …"""
        whole = self._attribute(name)
        if whole is not None:
            return whole
        parts = itertools.takewhile(
            lambda part: part is not None, (self._attribute(f"{name}{k}") for k in itertools.count())
        )
        cut = [text for part in parts for text in part or ()]
        return cut or None

    def _is_group(self, node: Any) -> bool:
        return isinstance(node, h5py.Group)

    def _child(self, group: Any, name: str) -> Any:
        place = f"{self.place}/{name}"
        with _door(place):
            key = name.encode(errors="backslashreplace")
            if not name or name == "." or not group.id.links.exists(key):
                return None
            if group.id.links.get_info(key).type != h5py.h5l.TYPE_HARD:
                msg = f"{place}: expected what is in the tree itself, got a link to elsewhere"
                raise ValueError(msg)
            return group[name]

    def _dataset(self, path: str) -> Any:
        above, _, name = path.rpartition("/")
        folder = self.folder(above)
        node = None if folder is None else self._child(folder._group, name)
        return node if isinstance(node, h5py.Dataset) else None

    def _attribute(self, name: str) -> list[str] | None:
        return _texts(self._group, name, f"{self.place}: attribute {name}", self._budget)


@contextmanager
def opened(data: bytes, name: str, max_bytes: int) -> Iterator[Folder]:
    """The root of a file that is held in memory; at most `max_bytes` of numbers and texts come out of it."""
    _expect_plain(data, name)
    with _door(name):
        file = h5py.File(io.BytesIO(data), "r")
    try:
        yield Folder(file["/"], name, Budget(name, len(data), max_bytes))
    finally:
        file.close()


def _expect_plain(data: bytes, name: str) -> None:
    """Sizes of 8 bytes, and heaps of texts that have an end: the library walks one without for ever."""
    sizes = {0: data[13:15], 1: data[13:15], 2: data[9:11], 3: data[9:11]}.get(data[8] if data[8:] else -1)
    if sizes != b"\x08\x08":
        msg = f"{name}: expected HDF5 of version 0 to 3 with addresses of 8 bytes, got another"
        raise ValueError(msg)
    # Heaps lie beside each other, so all of them have no more texts than there is room for. One that seems to
    # lie within another has to be walked as well: nothing tells here which of both the library will read.
    at, left = data.find(_HEAP), len(data) // 16
    while at >= 0:
        (size,) = struct.unpack_from("<Q", data, at + 8) if at + 16 <= len(data) else (0,)
        end, place = at + size, at + 16
        while place + 16 <= end <= len(data):
            index, length = struct.unpack_from("<H6xQ", data, place)
            step = length if index == 0 else 16 + length + -length % 8
            if step < 16 or place + step > end:
                msg = f"{name}: expected a heap of texts, got one with {length} bytes for one at {place}"
                raise ValueError(msg)
            place, left = place + step, left - 1
            if left < 0:
                msg = f"{name}: expected heaps of texts beside each other, got some within each other"
                raise ValueError(msg)
        at = data.find(_HEAP, at + 4)


@contextmanager
def _door(place: str) -> Iterator[None]:
    """All that h5py raises is a ValueError that names the place."""
    try:
        yield
    except _LIBRARYS as error:
        if isinstance(error, ValueError) and str(error).startswith(place):
            raise
        told = str(error).splitlines()
        got = told[0][:200] if told else type(error).__name__
        msg = f"{place}: expected a whole HDF5 file, got one that cannot be read: {got}"
        raise ValueError(msg) from error


def _texts(node: Any, name: str, place: str, budget: Budget) -> list[str] | None:
    """The texts of an attribute; None if there is none."""
    with _door(place):
        if name not in node.attrs:
            return None
        found = h5py.h5a.open(node.id, name.encode())
        kind, count = found.get_type(), math.prod(found.shape)
        if count == 0 and found.get_space().get_simple_extent_type() != h5py.h5s.NULL:
            return []
        if not isinstance(kind, h5py.h5t.TypeStringID):
            msg = f"{place}: expected texts, got another type"
            raise ValueError(msg)
        # Texts of free length lie in heaps: each may be as long as the file, and many be the same one.
        free = kind.is_variable_str()
        if free:
            budget.expect(place, count * budget.size)
        else:
            budget.spend(place, count * kind.get_size())
        value = node.attrs[name]
        texts = [value] if found.shape == () else list(np.ravel(value))
        return [one.decode() if isinstance(one, bytes) else str(one) for one in texts]


def _numbers(dataset: Any, place: str, budget: Budget) -> Array:
    """A dataset's numbers, from bytes of the file alone."""
    plist, shape = dataset.id.get_create_plist(), tuple(int(size) for size in dataset.shape)
    dtype = _dtype(dataset, place, budget)
    size = math.prod(shape) * dtype.itemsize
    layout = plist.get_layout()
    if dataset.is_virtual or plist.get_external_count() or layout not in _LAYOUTS:
        msg = f"{place}: expected numbers that are in the file, got a reference out of it"
        raise ValueError(msg)
    budget.spend(place, size)
    if layout == h5py.h5d.CHUNKED:
        return _of_chunks(dataset, shape, dtype, place, budget)
    if size != dataset.id.get_storage_size():
        msg = f"{place}: expected {size} bytes of numbers, got {dataset.id.get_storage_size()}"
        raise ValueError(msg)
    array: Array = np.empty(shape, dtype)
    if size:
        dataset.read_direct(array)
    return _native(array)


def _dtype(dataset: Any, place: str, budget: Budget) -> Any:
    """Numbers as they are in memory and in the file alike: so chunks can be taken as they stand."""
    kind, dtype = dataset.id.get_type(), dataset.dtype
    if dtype == "V2" and _texts(dataset, "dtype", place, budget) == ["bfloat16"]:  # so Keras says what it is
        return dtype
    if dtype.kind in "fiu" and dtype.itemsize <= 8 and kind == h5py.h5t.py_create(dtype):
        return dtype
    msg = f"{place}: expected plain numbers, got {dtype}"
    raise ValueError(msg)


def _of_chunks(dataset: Any, shape: tuple[int, ...], dtype: Any, place: str, budget: Budget) -> Array:
    """The same of a dataset in pieces, each of which may be packed."""
    plist, chunk = dataset.id.get_create_plist(), tuple(int(size) for size in dataset.chunks)
    filters = [plist.get_filter(k)[0] for k in range(plist.get_nfilters())]
    if not set(filters) <= {_DEFLATE, _SHUFFLE} or len(set(filters)) != len(filters):
        got = ", ".join(_FILTERS.get(one, f"filter {one}") for one in filters)
        msg = f"{place}: expected numbers that are packed by gzip at most, got {got}"
        raise ValueError(msg)
    size = math.prod(chunk) * dtype.itemsize
    budget.spend(place, size)
    steps = [range(0, n, step) for n, step in zip(shape, chunk, strict=True)]
    pieces, found = math.prod(map(len, steps)), dataset.id.get_num_chunks()
    if found != pieces or pieces > budget.size:
        msg = f"{place}: expected {pieces} pieces, got {found} in {budget.size} bytes"
        raise ValueError(msg)
    array: Array = np.empty(shape, dtype)
    for offset in itertools.product(*steps):
        packed = dataset.id.get_chunk_info_by_coord(offset).size
        if packed > budget.size:
            msg = f"{place}: expected a piece of at most the file's {budget.size} bytes, got {packed}"
            raise ValueError(msg)
        mask, data = dataset.id.read_direct_chunk(offset)
        used = [one for k, one in enumerate(filters) if not mask >> k & 1]
        piece = _unpacked(bytes(data), used[::-1], size, dtype, place).reshape(chunk)
        target = array[tuple(slice(begin, begin + step) for begin, step in zip(offset, chunk, strict=True))]
        target[...] = piece[tuple(slice(0, n) for n in target.shape)]
    return _native(array)


def _native(array: Array) -> Array:
    """In the machine's own order of bytes; bfloat16, of two bytes, as float32."""
    if array.dtype.kind == "V":
        return of_bfloat16(array.view("<u2"))
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _unpacked(data: bytes, filters: list[int], size: int, dtype: Any, place: str) -> Array:
    """A piece's numbers; never more bytes than it has."""
    for one in filters:
        if one == _SHUFFLE:
            data = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1).T.tobytes()
            continue
        stream = zlib.decompressobj()
        try:
            data = stream.decompress(data, size + 1)
        except zlib.error as error:
            msg = f"{place}: expected numbers that are packed by gzip, got {error}"
            raise ValueError(msg) from error
    if len(data) != size:
        msg = f"{place}: expected a piece of {size} bytes, got {len(data)}{' or more' * (len(data) > size)}"
        raise ValueError(msg)
    return np.frombuffer(data, dtype)

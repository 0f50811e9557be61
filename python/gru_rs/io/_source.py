"""The one door by which files come in: what a file is by its first bytes, and the one model of an archive.

Nothing is mapped, and nothing is taken out of an archive before its size is known. What a kind of file means
is the converters' to say.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .._files import MAX_BYTES, opened, read_exactly

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

KINDS = {
    "safetensors": "safetensors",
    "torch": "a file of torch.save",
    "torch_legacy": "a file of torch.save of before PyTorch 1.6",
    "torchscript": "a TorchScript archive",
    "pt2": "an archive of torch.export",
    "pickle": "a pickle",
    "npz": "arrays of numpy.savez",
    "npy": "one array of numpy.save",
    "keras": "a file of Keras 3",
    "hdf5": "HDF5",
    "protobuf": "a protocol buffer, as ONNX models are",
    "archive": "an archive",
    "tflite": "a TensorFlow Lite model",
    "ort": "a model in ONNX Runtime's own format",
    "gguf": "GGUF",
    "ncnn": "a text of ncnn",
    "lfs": "a pointer of Git LFS to a file that was not fetched",
    "html": "a web page",
    "empty": "an empty file",
    "unknown": "something else",
}
"""What a file can be, and what messages call it."""

_COMPRESSED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_HEAD = 512
_RATIO, _SMALL = 100, 64 * 2**20
"""What is packed may grow to so many times its size; anything may to so many bytes. Weights hardly shrink."""

_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    KeyError,
    RuntimeError,  # a password, or a compression that zipfile does not have
    UnicodeDecodeError,
    IndexError,
)
"""What Python's readers raise for archives that are damaged."""


@contextmanager
def damage_told(expected: str, name: str) -> Iterator[None]:
    """Makes what Python's readers of archives raise for a damaged one a ValueError that says so."""
    try:
        yield
    except (*_DAMAGED, OSError) as error:
        # Readers raise OSErrors of their own, which have no number, and go to places before a file's begin.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        msg = f"source: expected {expected}, got {name}, which cannot be read: {error}"
        raise ValueError(msg) from error


@dataclass(frozen=True)
class Source:
    """A file, or a member of an archive that is held in memory.

    Attributes
    ----------
    name : str
        For messages: the file's name, ``archive!member`` of a member.
    kind : str
        Of `KINDS`.
    size : int
        Bytes.
    path : Path or None
        Where it is; None of a member.
    max_bytes : int
        The most that may be read of it, and made of it.
    """

    name: str
    kind: str
    size: int
    path: Path | None
    max_bytes: int
    _held: bytes | None = None

    @contextmanager
    def opened(self) -> Iterator[tuple[BinaryIO, int]]:
        """The file from its beginning, and its size."""
        if self.path is None:
            yield io.BytesIO(self._held or b""), self.size
            return
        with opened(self.path) as (file, size):
            yield file, size

    def read(self) -> bytes:
        """All of it."""
        if self._held is not None:
            return self._held
        with self.opened() as (file, size):
            expect_bytes(self.name, size, size, self.max_bytes)
            return read_exactly(file, size)


def expect_bytes(name: str, declared: int, packed: int, max_bytes: int) -> None:
    """Whether that many bytes may come of so many in a file; a ValueError before there is memory for them."""
    if declared > max_bytes:
        msg = f"{name}: expected at most {max_bytes} bytes (max_bytes), got {declared}"
        raise ValueError(msg)
    if declared > max(_SMALL, _RATIO * packed):
        msg = (
            f"{name}: expected at most {_RATIO} times the {packed} bytes that it has, got {declared} from it"
        )
        raise ValueError(msg)


class Budget:
    """How many bytes came of a source so far, and whether more may.

    Attributes
    ----------
    name : str
        What messages call it.
    size : int
        Bytes that were read of it.
    max_bytes : int
        The most that may come of it, however many they are.
    """

    def __init__(self, name: str, size: int, max_bytes: int) -> None:
        self.name, self.size, self.max_bytes, self._spent = name, size, max_bytes, 0

    def expect(self, place: str, count: int) -> None:
        """Whether so many bytes more may come; a ValueError that names the place before there is memory."""
        expect_bytes(place, self._spent + count, self.size, self.max_bytes)

    def spend(self, place: str, count: int) -> None:
        """The same, and they count; of what is refused none."""
        self.expect(place, count)
        self._spent += count


def source_of(path: str | os.PathLike[str], wanted: Collection[str], max_bytes: int = MAX_BYTES) -> Source:
    """A file of one of the wanted kinds, or the one such in an archive; ``archive!member`` names it.

    An OSError if it cannot be read; a ValueError that says what it is instead.
    """
    most = as_max_bytes(max_bytes)
    given = Path(path)
    member = None
    if not given.exists() and "!" in os.fspath(path):
        before, _, after = os.fspath(path).partition("!")
        if Path(before).is_file():
            given, member = Path(before), after
    with opened(given) as (file, size):
        head = read_exactly(file, _HEAD)
        kind = _kind(head, size, file)
        if member is None and kind in wanted:
            return Source(given.name, kind, size, given, most)
        if kind == "archive" or (member is not None and head[:4] in _ZIP):
            file.seek(0)
            return _member(file, head, size, given.name, member, frozenset(wanted), most)
    if member is not None:
        msg = f"source: expected an archive before the '!', got {given.name}, {KINDS[kind]}"
        raise ValueError(msg)
    raise ValueError(_unwanted(wanted, f"{given.name}, {KINDS[kind]}"))


def as_max_bytes(max_bytes: int) -> int:
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int):
        msg = f"max_bytes: expected an int, got {type(max_bytes).__name__}"
        raise TypeError(msg)
    if max_bytes < 1:
        msg = f"max_bytes: expected a positive int, got {max_bytes}"
        raise ValueError(msg)
    return max_bytes


def _unwanted(wanted: Collection[str], got: str) -> str:
    return f"source: expected {', '.join(KINDS[kind] for kind in KINDS if kind in wanted)}, got {got}"


# Kinds ------------------------------------------------------------------------------------------------------


def _kind(head: bytes, size: int, file: BinaryIO) -> str:
    """Of `KINDS`; compressed files and tars are archives."""
    if not head:
        return "empty"
    if head[:4] in _ZIP:
        return _kind_of_zip(file)
    if any(head.startswith(magic) for magic in _COMPRESSED) or head[257:262] == b"ustar":
        return "archive"
    starts = {
        b"\x89HDF\r\n\x1a\n": "hdf5",
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19": "torch_legacy",
        b"\x93NUMPY": "npy",
        b"GGUF": "gguf",
        b"7767517": "ncnn",
        b"version https://git-lfs": "lfs",
    }
    for magic, kind in starts.items():
        if head.startswith(magic):
            return kind
    if head[4:8] in (b"TFL3", b"ORTM"):
        return "tflite" if head[4:8] == b"TFL3" else "ort"
    if head[0] == 0x80 and len(head) > 1 and head[1] in range(1, 6):
        return "pickle"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return "safetensors"
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return "html"
    # Field 1 is a version, as of ONNX, whose reader has the last word.
    return "protobuf" if head[0] == 0x08 and len(head) > 1 and 0 < head[1] < 0x80 else "unknown"


def _kind_of_zip(file: BinaryIO) -> str:
    """A zip file's by the names in it."""
    try:
        names = zipfile.ZipFile(file).namelist()
    except (*_DAMAGED, OSError, ValueError):
        return "archive"
    inner = {name.partition("/")[2] for name in names}
    if {"config.json", "model.weights.h5"} <= set(names):
        return "keras"
    if "data.pkl" in inner:
        return "torchscript" if "constants.pkl" in inner else "torch"
    if "archive_format" in inner or "serialized_exported_program.json" in names:
        return "pt2"
    return "npz" if names and all(name.endswith(".npy") for name in names) else "archive"


# Archives ---------------------------------------------------------------------------------------------------


def _member(
    file: BinaryIO, head: bytes, size: int, name: str, member: str | None, wanted: frozenset[str], most: int
) -> Source:
    """The member of that name, or the only one of a wanted kind."""
    limit = min(most, max(_SMALL, _RATIO * size))
    found, seen = [], []
    with damage_told("an archive", name):
        for own, data in _members(file, head, name, member, limit):
            kind = _kind(data[:_HEAD], len(data), io.BytesIO(data))
            seen.append(f"{own} ({KINDS[kind]})")
            if kind in wanted:
                found.append(Source(f"{name}!{own}" if own else name, kind, len(data), None, most, data))
            elif own == member or not own:
                raise ValueError(_unwanted(wanted, seen[-1]))
    if len(found) == 1:
        return found[0]
    names = ", ".join(one.name for one in found) if found else ", ".join(seen[:20]) or "nothing"
    expected = "one of them" if found else "a member that is " + _unwanted(wanted, "").split("expected ")[1]
    msg = f"source: expected {expected.removesuffix(', got ')} in {name}, got {names}"
    raise ValueError(msg)


def _members(
    file: BinaryIO, head: bytes, name: str, wanted: str | None, limit: int
) -> Iterator[tuple[str, bytes]]:
    """The files of an archive, or that of a name; of a compressed file that is no tar its contents."""
    left = limit
    sizes = _zipped(file) if head[:4] in _ZIP else _tarred(file, head, name, limit)
    there = []
    for own, size, read in sizes:
        there.append(own or "one file without a name")
        if wanted is not None and own != wanted:
            continue
        if size > left:
            msg = (
                f"{name}!{own}: expected at most {limit} bytes in such an archive, got {limit - left + size}"
            )
            raise ValueError(msg)
        data = read()
        left -= len(data)
        yield own, data
        if wanted is not None:
            return
    if wanted is not None:
        msg = f"source: expected one of {', '.join(there[:20]) or 'no members'} in {name}, got {wanted!r}"
        raise ValueError(msg)


def _zipped(file: BinaryIO) -> Iterator[tuple[str, int, Any]]:
    """Names and sizes of the files in a zip, and how to read each."""
    with zipfile.ZipFile(file) as archive:
        names = archive.namelist()
        if len(set(names)) != len(names):
            msg = "source: expected an archive with each name once, got one that has some twice"
            raise ValueError(msg)
        for info in archive.infolist():
            if not info.is_dir() and not info.filename.startswith("__MACOSX/"):
                yield info.filename, info.file_size, partial(_unzipped, archive, info)


def _unzipped(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """What a member has, never more than it declares."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # Of others Python makes whatever comes of a block before it looks at the size.
        got = f"compression {info.compress_type}"
        msg = f"{info.filename}: expected a member that is stored or deflated, got {got}"
        raise ValueError(msg)
    with archive.open(info) as member:
        data = member.read(info.file_size + 1)
    if len(data) != info.file_size:
        msg = f"{info.filename}: expected the {info.file_size} bytes that are declared, got {len(data)}"
        raise ValueError(msg)
    return data


def _tarred(file: BinaryIO, head: bytes, name: str, limit: int) -> Iterator[tuple[str, int, Any]]:
    """The same of a tar, or of one file that is compressed, which has no name."""
    stream: Any = file
    for magic, open_it in _COMPRESSED.items():
        if head.startswith(magic):
            stream = open_it(file)
    stream = _Bounded(stream, name, limit)
    first = stream.read(_HEAD)
    stream.begin = first
    if first[257:262] != b"ustar":
        yield "", 0, lambda: stream.read(-1)
        return
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for info in archive:
            if archive.offset > limit:  # where the next one begins, up to which all would be read
                msg = f"{name}: expected at most {limit} bytes in such an archive, got {archive.offset}"
                raise ValueError(msg)
            if info.isfile():
                yield info.name.removeprefix("./"), info.size, partial(_extracted, archive, info)


def _extracted(archive: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(info)
    return b"" if file is None else file.read()


class _Bounded:
    """A stream that ends with an error rather than give more than a number of bytes."""

    def __init__(self, stream: BinaryIO, name: str, limit: int) -> None:
        self._stream, self._name, self._limit, self._given = stream, name, limit, 0
        self.begin = b""

    def read(self, count: int = -1) -> bytes:
        """So many bytes, from what was looked at before on."""
        begin, self.begin = (self.begin, b"") if count < 0 else (self.begin[:count], self.begin[count:])
        most = self._limit - self._given + 1
        rest = read_exactly(self._stream, most if count < 0 else min(most, count - len(begin)))
        self._given += len(rest)
        if self._given > self._limit:
            msg = f"{self._name}: expected at most {self._limit} bytes in such an archive, got more"
            raise ValueError(msg)
        return begin + rest


def names_in_zip(source: Source) -> list[str]:
    """The files in a zip; a ValueError for one that is damaged."""
    with source.opened() as (file, _), damage_told(KINDS[source.kind], source.name):
        return zipfile.ZipFile(file).namelist()


def read_zip(source: Source, names: Collection[str]) -> dict[str, bytes]:
    """The files of these names in a zip, those that are there; a ValueError for one that is damaged."""
    total, found = 0, {}
    with source.opened() as (file, size), damage_told(KINDS[source.kind], source.name):
        for own, declared, read in _zipped(file):
            if own in names:
                total += declared
                expect_bytes(f"{source.name}!{own}", total, size, source.max_bytes)
                found[own] = read()
    return found

"""Files that are read whole, and files that are whole or not there. It must not know what is in them.

A file is written to a sibling of a name that is always the same, `.NAME.part`, which then takes its place:
what a killed process leaves is one file, and the next save to that path removes it. A lock on the sibling
tells one that was left from one that is being written; the system lets it go with the process.
"""

from __future__ import annotations

import errno
import os
import stat
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where nobody removes a file that is open
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 4 * 2**30
"""Of a file that is read, unless its reader is told otherwise."""

_LONGEST_NAME = 255
"""Bytes of a file's name, on all usual file systems."""

_PATIENCE = 60.0
"""Seconds that a save waits for another one to the same path."""

_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def _expect_regular(path: str, found: os.stat_result) -> None:
    """Neither a directory nor what has no end, or waits for somebody to write."""
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if kind != stat.S_IFREG:
        msg = f"expected a regular file, got {_KINDS.get(kind, 'another kind')}"
        raise OSError(errno.EINVAL, msg, path)


# Reading ----------------------------------------------------------------------------------------------------


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, int]]:
    """A regular file to be read from its beginning, never mapped, and its size."""
    name = os.fspath(path)
    # Before it is opened, for that alone may do something to a device; and again, as it may be another by
    # now.
    _expect_regular(name, os.stat(name))  # noqa: PTH116
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(name, flags), "rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        _expect_regular(name, found)
        yield file, found.st_size


def read_exactly(file: BinaryIO, count: int) -> bytes:
    """The next bytes; fewer only where the file ends."""
    parts = []
    while count > 0 and (part := file.read(count)):
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


# Writing ----------------------------------------------------------------------------------------------------


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write to a sibling that takes the file's place only when it is complete.

    A symbolic link stays, and what it points to is replaced. A file that was there gives its mode, and where
    the system lets us its owner, to the one in its place; a new one has the mode that the process gives to
    all.
    """
    given = os.fspath(Path(path))
    before, target = _target(given)
    try:
        with _part(target) as (file, part):
            if before is not None:
                _become_like(file.fileno(), before)
            left = memoryview(data)
            while len(left) > 0:
                left = left[file.write(left) :]
            os.fsync(file.fileno())
            if fcntl is None:  # where an open file cannot be renamed
                file.close()
            os.replace(part, target)  # noqa: PTH105
    except OSError as error:
        if error.errno is None or error.filename not in (_part_name(target), None):
            raise
        # The user did not name the sibling.
        part = Path(_part_name(target)).name
        msg = f"{error.strerror} (a file is written beside its place, as {part}, first)"
        raise OSError(error.errno, msg, given) from error
    _sync_folder(target)


def _target(given: str) -> tuple[os.stat_result | None, str]:
    """What is there, and the path without links where another may take its place."""
    target = os.path.realpath(given)
    try:
        before = os.stat(given)  # noqa: PTH116
    except FileNotFoundError:
        return None, target
    _expect_regular(given, before)
    try:
        before = os.stat(target)  # noqa: PTH116
    except FileNotFoundError:  # such as /proc/self/fd/3 of a file that has no name any more
        msg = "expected a file that can be replaced, got one without a name"
        raise OSError(errno.EINVAL, msg, given) from None
    if not os.access(given, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), given)
    return before, target


def _part_name(target: str) -> str:
    folder, name = os.path.split(target)
    part = f".{name}.part"
    if len(os.fsencode(part)) > _LONGEST_NAME:
        part = f".{zlib.crc32(os.fsencode(name)):08x}.part"
    return os.path.join(folder, part)  # noqa: PTH118


@contextmanager
def _part(target: str) -> Iterator[tuple[BinaryIO, str]]:
    """A sibling that nobody else has, to be written; gone at the end unless it took the target's place."""
    part = _part_name(target)
    with os.fdopen(_claim(part), "wb", buffering=0) as file:
        try:
            yield file, part
        finally:
            if fcntl is None:
                file.close()
            # While the lock is still ours, and unless it has its place, or somebody else's file has the name.
            if fcntl is None or _is_at(file.fileno(), part):
                with suppress(OSError):
                    os.unlink(part)  # noqa: PTH108
            if fcntl is not None:
                # Said aloud: a process forked meanwhile would hold the lock for as long as it lives.
                with suppress(OSError):
                    fcntl.flock(file.fileno(), fcntl.LOCK_UN)


def _claim(part: str) -> int:
    """A new file of that name, locked. One that was left is removed, one that is being written waited for."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    while True:
        try:
            # The kernel takes from this mode what the process's umask says, which no thread has to change.
            handle = os.open(part, flags, 0o666)
        except FileExistsError:
            _remove_left(part)
            continue
        # Between the two calls somebody may have taken it for one that was left.
        if _lock(handle, part) and _is_at(handle, part):
            return handle
        os.close(handle)


def _remove_left(part: str) -> None:
    """Remove a sibling that a process has left."""
    if fcntl is None:
        os.unlink(part)  # noqa: PTH108 - a PermissionError while it is open
        return
    try:
        handle = os.open(part, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENXIO):
            raise
        # Of somebody else, or no file at all: the folder says whether we may remove it.
        os.unlink(part)  # noqa: PTH108
        return
    try:
        if _lock(handle, part) and _is_at(handle, part):
            os.unlink(part)  # noqa: PTH108
    finally:
        os.close(handle)


def _lock(handle: int, part: str) -> bool:
    """Waits for whoever has it; an OSError if that takes too long."""
    if fcntl is None:
        return True
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                msg = f"expected to be written by nobody else, but was for {_PATIENCE:.0f} seconds"
                raise OSError(errno.EBUSY, msg, part) from None
            time.sleep(0.005)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
                raise
            return True  # a file system without locks: new names are still given to one alone
        else:
            return True


def _is_at(handle: int, part: str) -> bool:
    """Whether the file that was opened still has that name."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(part, follow_symlinks=False))  # noqa: PTH116
    except FileNotFoundError:
        return False


def _become_like(handle: int, before: os.stat_result) -> None:
    """The owner, group and mode of the file that is replaced; before anything is written, as it may be
    secret.
    """
    if not hasattr(os, "fchown"):
        return
    now = os.fstat(handle)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        try:
            os.fchown(handle, before.st_uid, before.st_gid)
        except OSError:
            with suppress(OSError):  # of a group that we are in
                os.fchown(handle, -1, before.st_gid)
    os.fchmod(handle, stat.S_IMODE(before.st_mode) & 0o777)


def _sync_folder(target: str) -> None:
    """So that the new name outlives a loss of power, where a folder can be told so."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            handle = os.open(Path(target).parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

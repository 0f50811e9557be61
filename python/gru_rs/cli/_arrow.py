"""Rows of Parquet, Feather and Arrow files, by pyarrow, which only this file may import. It must not know
what the columns hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ._source import DataError, Row, Source

_ROWS_AT_ONCE = 1024


def read_arrow(path: Path, wanted: Sequence[str]) -> Source:
    """The rows of a table, of which only some columns are read."""
    path.open("rb").close()  # of a file that is not there the system's own words
    with _told(path):
        table = _Parquet(path) if path.suffix.lower() == ".parquet" else _Ipc(path)
        names: list[str] = table.schema.names
    source = Source(path, iter(()), unit="row", integers=None, names=names)
    source.expect(wanted)
    twice = [name for name, count in Counter(names).items() if count > 1 and name in wanted]
    if twice:
        msg = f"{path}: expected columns of different names, got {twice[0]!r} more than once"
        raise DataError(msg)
    source.rows = _rows(path, table, list(dict.fromkeys(wanted)))
    return source


def _rows(path: Path, table: _Parquet | _Ipc, wanted: list[str]) -> Iterator[tuple[int, Row]]:
    row = 0
    with _told(path):
        for batch in table.batches(wanted):
            # What a file says of itself need not be so: offsets, characters.
            batch.validate(full=True)
            columns = [batch.column(name).to_pylist() for name in wanted]
            for values in zip(*columns, strict=True):
                yield row, dict(zip(wanted, values, strict=True))
                row += 1


class _Parquet:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        from pyarrow import parquet

        self._file = parquet.ParquetFile(path)
        self.schema: Any = self._file.schema_arrow

    def batches(self, wanted: list[str]) -> Iterator[Any]:
        """Some columns."""
        yield from self._file.iter_batches(_ROWS_AT_ONCE, columns=wanted)


class _Ipc:
    """Arrow's own format, as a file (Feather version 2) or as a stream."""

    def __init__(self, path: Path) -> None:
        from pyarrow import OSFile, ipc

        with path.open("rb") as file:
            begin = file.read(8)
        if begin.startswith(b"FEA1"):
            msg = f"{path}: expected Feather of version 2, got version 1"
            raise DataError(msg)
        self._ipc, self._file = ipc, OSFile(str(path))
        self._open = ipc.open_file if begin.startswith(b"ARROW1") else ipc.open_stream
        self.schema: Any = self._open(self._file).schema

    def batches(self, wanted: list[str]) -> Iterator[Any]:
        """Some columns."""
        places = sorted(self.schema.get_field_index(name) for name in wanted)
        self._file.seek(0)
        options = self._ipc.IpcReadOptions(included_fields=places)
        reader = self._open(self._file, options=options)
        if hasattr(reader, "num_record_batches"):
            yield from (reader.get_batch(number) for number in range(reader.num_record_batches))
        else:
            yield from reader


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """pyarrow's errors, with the file."""
    try:
        import pyarrow as pa
    except ModuleNotFoundError as error:
        msg = f"{path}: expected pyarrow for a {path.suffix.lower()} file: pip install 'gru-rs[arrow]'"
        raise DataError(msg) from error
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, OverflowError) as error:
        told = " ".join(str(error).split())
        msg = f"{path}: expected {path.suffix.lower()} that can be read, got: {told:.200}"
        raise DataError(msg) from error

"""Rows of JSON Lines files: an object a line. It must not know what the fields hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from ._lines import lines
from ._source import Row, Source, fault, shown


def read_json_lines(path: Path) -> Source:
    """The object of each line; blank lines hold none."""
    return Source(path, _rows(path))


def _rows(path: Path) -> Iterator[tuple[int, Row]]:
    for line, text in lines(path):
        if not text.strip(" \t"):
            continue
        try:
            row = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
        except RecursionError as error:
            raise fault(path, line, "expected JSON, got lists or objects nested too deep") from error
        except ValueError as error:
            hint = " (one object a line, no array over lines)" if text.strip(" \t") == "[" else ""
            raise fault(path, line, f"expected JSON{hint}, got: {error}") from error
        if not isinstance(row, dict):
            raise fault(path, line, f"expected an object, got {shown(row)} ({type(row).__name__})")
        if r"\ud" in text.lower():
            _expect_characters(path, line, row)
        yield line, row


def _object(pairs: list[tuple[str, Any]]) -> Row:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        msg = f"the key {next(name for name in names if names.count(name) > 1)!r} more than once"
        raise ValueError(msg)
    return found


def _no_number(literal: str) -> NoReturn:
    msg = f"{literal}, which is no number of JSON"
    raise ValueError(msg)


def _expect_characters(path: Path, line: int, row: Row) -> None:
    """No half of a surrogate pair: no file, and no terminal, could take it."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = f"half a surrogate pair, U+{ord(error.object[error.start]):04X}"
        raise fault(path, line, f"expected characters, got {half}") from error

"""Rows of CSV and TSV files, by Python's `csv`, each with the line it begins at. It must not know what the
columns hold.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ._lines import carriage_return, raw_lines
from ._source import DataError, Row, Source, UsageError, fault

_LONGEST_FIELD = 2**31 - 1
"""What `csv` can be told on every system."""
_QUOTING: dict[str, Literal[0, 3]] = {"minimal": csv.QUOTE_MINIMAL, "none": csv.QUOTE_NONE}
_AS_THEY_ARE = "--quoting none takes quotes as part of the text"


def read_csv(path: Path, delimiter: str | None, quoting: str | None) -> Source:
    """The rows below a heading; `quoting` None: minimal, but an error where lines may have been swallowed."""
    records = _Records(path, _delimiter(path, delimiter), quoting)
    begin, heading = next(((begin, cells) for begin, cells in records if cells), (1, []))
    if not heading:
        msg = f"{path}: expected a heading and rows, got an empty file"
        raise DataError(msg)
    twice = [name for name, count in Counter(heading).items() if count > 1 and name]
    if twice:
        raise fault(path, begin, f"expected columns of different names, got {twice[0]!r} more than once")
    # What is one column to us and holds what stands between columns elsewhere.
    other = next((mark for mark in ";\t,|" if len(heading) == 1 and mark in heading[0]), None)
    hint = "" if other is None else f": --delimiter {other!r} if that is between the columns"
    rows = _rows(path, records, heading)
    return Source(path, rows, typed=False, names=heading, heading=begin, hint=hint)


def _delimiter(path: Path, given: str | None) -> str:
    if given is None:
        return "\t" if path.suffix.lower() == ".tsv" else ","
    found = "\t" if given == r"\t" else given
    if len(found) != 1 or found in '"\r\n\0':
        msg = rf"--delimiter: expected one character, such as ';' or '\t', got {given!r}"
        raise UsageError(msg)
    return found


def _rows(path: Path, records: _Records, heading: list[str]) -> Iterator[tuple[int, Row]]:
    blank = None
    for begin, cells in records:
        if not cells:
            blank = begin if blank is None else blank
            continue
        if blank is not None and len(heading) == 1:
            # Between rows of one column a blank line would be a value that is missing.
            raise fault(path, blank, f"expected a value in {heading[0]!r}, got a blank line")
        if len(cells) != len(heading):
            expected = f"{len(heading)} field{'s' * (len(heading) > 1)} as in the heading"
            raise fault(path, begin, f"expected {expected}, got {len(cells)}")
        yield begin, dict(zip(heading, cells, strict=True))


class _Records:
    """Records and the lines they begin at, blank lines as records of nothing."""

    def __init__(self, path: Path, delimiter: str, quoting: str | None) -> None:
        self._path, self._delimiter, self._quoting = path, delimiter, quoting
        self._taken: list[str] = []
        self._fields: int | None = None
        self._reader = csv.reader(
            self._feed(), delimiter=delimiter, quoting=_QUOTING[quoting or "minimal"], strict=True
        )

    def _feed(self) -> Iterator[str]:
        for _, line in raw_lines(self._path):
            self._taken.append(line)
            yield line

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        return self

    def __next__(self) -> tuple[int, list[str]]:
        begin = self._reader.line_num + 1
        self._taken.clear()
        # The limit is the process's: a program that imports us keeps its own.
        before = csv.field_size_limit(_LONGEST_FIELD)
        try:
            cells = next(self._reader)
        except csv.Error as error:
            raise self._wrong(begin, str(error)) from error
        finally:
            csv.field_size_limit(before)
        self._fields = self._fields or len(cells)
        if self._looks_swallowed():
            end = begin + len(self._taken) - 1
            message = f"expected a row on one line, got quotes around lines {begin} to {end}, each like a row"
            raise fault(self._path, begin, f"{message}: {_AS_THEY_ARE}, --quoting minimal around it")
        return begin, cells

    def _looks_swallowed(self) -> bool:
        """Whether a record of several lines would be as many records, were quotes part of the text.

        In TSV only: there quotes are often text, and tabs within text are rare; with commas it says nothing.
        """
        if self._quoting is not None or self._delimiter != "\t" or len(self._taken) < 2:
            return False
        return {line.count("\t") + 1 for line in self._taken} == {self._fields}

    def _wrong(self, begin: int, told: str) -> DataError:
        if "new-line character" in told:
            return fault(self._path, self._reader.line_num, carriage_return())
        line = begin + self._open_quote()
        if told == "unexpected end of data":
            message = (
                f"expected a quote that ends the field begun here, got the end of the file: {_AS_THEY_ARE}"
            )
            return fault(self._path, line, message)
        if "expected after" in told:
            end = self._reader.line_num
            where = "" if end == line else f" (in line {end})"
            expected = f"{self._delimiter!r} after the field in quotes begun here"
            return fault(self._path, line, f"expected {expected}, got more text{where}: {_AS_THEY_ARE}")
        return fault(self._path, line, f"expected CSV, got: {told}")

    def _open_quote(self) -> int:
        """How many lines below its first one the record has the field whose quotes are wrong."""
        text, mark = "".join(self._taken), re.escape(self._delimiter)
        for field in re.finditer(rf'(?:^|(?<={mark}))"[^"]*(?:""[^"]*)*("?)', text):
            follows = text[field.end() : field.end() + 1]
            if not field[1] or follows not in ("", self._delimiter, "\r", "\n"):
                return text.count("\n", 0, field.start())
        return 0

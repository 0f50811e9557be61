"""What every reader of files gives: rows with the places they begin at, and errors that name those places. It
must not know formats, tasks or models.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = dict[str, Any]


class DataError(Exception):
    """A file that cannot be used, and where."""


class UsageError(DataError):
    """Options that do not go together, or not with the file."""


def fault(path: Path, place: int, message: str, unit: str = "line") -> DataError:
    """An error at a place of a file."""
    return DataError(f"{path}, {unit} {place}: {message}")


def shown(value: Any) -> str:
    """What came, short enough for a sentence; JSON's null by its name."""
    return "null" if value is None else f"{value!r:.60}"


@dataclass
class Source:
    """The rows of a file, by the names of their columns."""

    path: Path
    rows: Iterator[tuple[int, Row]]
    unit: str = "line"
    """What rows are counted by: lines of a text, from 1; rows of a table in Arrow, from 0 as frames do."""
    typed: bool = True
    """Whether values say what they are. In CSV all is text, and an empty cell is a missing value."""
    integers: str | None = "tokens"
    """What lists of integers are where nothing else says it; None: that has to be said."""
    names: Sequence[str] | None = None
    """The columns, where all rows have the same."""
    heading: int | None = None
    """The line that names them."""
    hint: str = ""
    """What may be wrong if a column is not there."""

    def at(self, place: int) -> str:
        """A place as sentences name it."""
        return f"{self.unit} {place}"

    def fault(self, place: int, message: str) -> DataError:
        """An error at a place."""
        return fault(self.path, place, message, self.unit)

    def expect(self, names: Sequence[str]) -> None:
        """These columns, where all rows have the same."""
        for name in names if self.names is not None else ():
            if name not in (self.names or ()):
                where = "" if self.heading is None else f", line {self.heading}"
                msg = f"{self.path}{where}: expected a column {name!r}, got {list(self.names or ())}"
                raise DataError(msg + self.hint)

    def value(self, place: int, row: Row, name: str, what: str) -> Any:
        """What a row has in a column, which is to be there."""
        if name not in row:
            raise self.fault(place, f"expected a column {name!r}, got {sorted(row)}")
        value = row[name]
        if self.is_missing(row, name):
            came = "null" if value is None else "an empty cell"
            raise self.fault(place, f"expected {what} in {name!r}, got {came}")
        return value

    def is_missing(self, row: Row, name: str) -> bool:
        """Whether a row has a column and nothing in it."""
        value = row.get(name, "none")
        return value is None or (not self.typed and not value.strip())

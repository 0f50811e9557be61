"""Sentences of CoNLL files: a token a line, its columns parted by tabs or by spaces, a blank line behind each
sentence; CoNLL-U and CoNLL-U Plus among them. It must not know tasks or models.

A line that begins with ``#`` is a comment or a token, and neither may be taken for the other. It is a
comment before the first token of a sentence if its columns are not those of tokens. With as many columns it
is a token where tabs part them; where spaces do, its label decides, or a ``key=value``, and else it is an
error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ._lines import lines
from ._source import DataError, Row, Source, UsageError, fault

TOKEN, LABEL = "token", "label"
"""The columns of the rows that are given: a list each."""

_UNIVERSAL = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_UNSPECIFIED = ("upos", "xpos", "head", "deprel")
"""Columns of CoNLL-U in which an underscore says that the label is not there; elsewhere it may be one."""
_PLUS = re.compile(r"#\s*global\.columns\s*=(.*)", re.IGNORECASE)
_DOCUMENT = "-DOCSTART-"


def read_conll(path: Path, columns: str | None, *, labelled: bool) -> Source:
    """A row for each sentence: its tokens and, if `labelled`, their labels. `columns`: where both stand."""
    table = _Table(path, list(lines(path)))
    if table.first is None:
        return Source(path, iter(()))
    table.token, table.labels = table.chosen(columns, labelled=labelled)
    return Source(path, _rows(table, labelled=labelled))


def _rows(table: _Table, *, labelled: bool) -> Iterator[tuple[int, Row]]:
    for sentence in table.sentences():
        row: Row = {TOKEN: [], LABEL: []}
        for line, cells in table.words(sentence):
            row[TOKEN].append(table.cell(line, cells, table.token, "a token"))
            if labelled:
                row[LABEL].append(table.label(line, cells))
        yield sentence[0][0], row


@dataclass
class _Table:
    """The lines of a file, and how they are to be read, which the first token says."""

    path: Path
    lines: list[tuple[int, str]]
    names: tuple[str, ...] = field(init=False, default=())
    """Of the columns, in CoNLL-U and CoNLL-U Plus."""
    first: tuple[int, list[str]] | None = field(init=False, default=None)
    """The first line of a token, which says how many columns there are."""
    tabs: bool = field(init=False, default=True)
    """Whether tabs part them, so that spaces are part of tokens."""
    token: int = field(init=False, default=0)
    labels: int = field(init=False, default=-1)
    """The places of tokens and of labels."""

    def __post_init__(self) -> None:
        texts = [(line, text) for line, text in self.lines if text.strip(" \t")]
        tokens = [one for one in texts if not one[1].startswith(("#", _DOCUMENT))]
        # Where all lines begin with a number sign, those with tabs are tokens.
        tokens = tokens or [one for one in texts if one[1].startswith("#") and "\t" in one[1]]
        if not tokens:
            return
        line, text = tokens[0]
        plus = _PLUS.match(texts[0][1])
        self.tabs = "\t" in text
        cells = self.split(text)
        self.first = line, cells
        if plus:
            self.names = tuple(plus[1].lower().split())
        elif self.path.suffix.lower() == ".conllu" or (
            len(text.split("\t")) == len(_UNIVERSAL) and re.fullmatch(r"1(-\d+)?|0\.1", cells[0])
        ):
            self.names = _UNIVERSAL
        if self.names and len(cells) != len(self.names):
            expected = f"the {len(self.names)} columns {' '.join(self.names)} with tabs between them"
            raise self.fault(line, f"expected {expected}, got {len(cells)}")

    def split(self, text: str) -> list[str]:
        """The cells of a line."""
        return text.split("\t") if self.tabs else re.split("[ \t]+", text.strip(" \t"))

    def fault(self, line: int, message: str) -> DataError:
        """An error at a line."""
        return fault(self.path, line, message)

    @cached_property
    def width(self) -> int:
        """How many columns there are."""
        return 0 if self.first is None else len(self.first[1])

    def chosen(self, given: str | None, *, labelled: bool) -> tuple[int, int]:
        """Where tokens and labels stand: as given; or form and upos in CoNLL-U; or the first and the last."""
        if given is not None:
            parts = [part.strip() for part in given.split(",")]
            if len(parts) not in ((2,) if labelled else (1, 2)):
                wanted = (
                    "the columns of tokens and labels, as 1,4" if labelled else "the column of tokens, as 1"
                )
                msg = f"--columns: expected {wanted}, got {given!r}"
                raise UsageError(msg)
            places = [self._place(part) for part in parts]
            if len(set(places)) < len(parts):
                msg = f"--columns: expected different columns of tokens and labels, got {given!r}"
                raise UsageError(msg)
            return places[0], places[-1]
        if self.names:
            if not {"form", "upos"} <= set(self.names):
                msg = f"{self.path}: expected --columns to name those of tokens and labels of {self.names}"
                raise UsageError(msg)
            return self.names.index("form"), self.names.index("upos")
        if labelled and self.width < 2:
            raise self.fault(
                self.first[0] if self.first else 1, "expected a token and a label, got one column"
            )
        return 0, self.width - 1

    def _place(self, column: str) -> int:
        if column.isdecimal() and 1 <= int(column) <= self.width:
            return int(column) - 1
        if column.lower() in self.names:
            return self.names.index(column.lower())
        names = f" or one of {', '.join(self.names)}" if self.names else ""
        msg = f"--columns: expected a number from 1 to {self.width}{names} for {self.path}, got {column!r}"
        raise UsageError(msg)

    # Sentences

    def sentences(self) -> Iterator[list[tuple[int, list[str]]]]:
        """The lines of each, cut into cells."""
        found: list[tuple[int, list[str]]] = []
        for line, text in self.lines:
            cells = self.split(text)
            if not text.strip(" \t"):
                if found:
                    yield found
                found = []
            elif cells[0] == _DOCUMENT:
                if found:
                    raise self.fault(line, f"expected a blank line before {_DOCUMENT}, got it in a sentence")
            elif not self._is_comment(line, text, begins=not found):
                if len(cells) != self.width:
                    first = self.first[0] if self.first else 1
                    expected = f"{self.width} column{'s' * (self.width > 1)} as in line {first}"
                    raise self.fault(line, f"expected {expected}, got {len(cells)}")
                found.append((line, cells))
        if found:
            yield found

    def _is_comment(self, line: int, text: str, *, begins: bool) -> bool:
        if not text.startswith("#"):
            return False
        if self.names:
            if not begins:
                raise self.fault(line, "expected comments before the first token, got one within a sentence")
            return True
        cells = self.split(text)
        if len(cells) != self.width:
            return begins and text.startswith("# ")
        if self.tabs or not begins or cells[0] != "#" or self.width == 1 or cells[self.labels] in self._known:
            return False
        if any("=" in cell for cell in cells[1:]):
            return True
        came = f"{text!r}, which may be either: tabs between the columns would tell"
        raise self.fault(line, f"expected a comment or a token with a label of other tokens, got {came}")

    @cached_property
    def _known(self) -> set[str]:
        """The labels of lines that are no comments."""
        rows = (self.split(text) for _, text in self.lines if not text.startswith("#"))
        return {cells[self.labels] for cells in rows if len(cells) == self.width}

    def words(self, sentence: list[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
        """The lines of tokens: in CoNLL-U not those of ranges as 1-2 and of empty nodes as 1.1."""
        if "id" not in self.names:
            yield from sentence
            return
        place, word = self.names.index("id"), 0
        for line, cells in sentence:
            if re.fullmatch(r"\d+-\d+|\d+\.\d+", cells[place]):
                continue
            word += 1
            if cells[place] != str(word):
                expected = f"the id {word}, a range as 1-2 or an empty node as 1.1"
                raise self.fault(line, f"expected {expected}, got {cells[place]!r}")
            yield line, cells
        if not word:
            raise self.fault(sentence[0][0], "expected a sentence with a word, got one without")

    # Cells

    def cell(self, line: int, cells: list[str], place: int, what: str) -> str:
        """One that is not empty."""
        if not cells[place]:
            raise self.fault(line, f"expected {what} in column {place + 1}, got nothing")
        return cells[place]

    def label(self, line: int, cells: list[str]) -> str:
        """One that is there."""
        place = self.labels
        found = self.cell(line, cells, place, "a label")
        if found != found.strip(" "):
            raise self.fault(line, f"expected a label without spaces around it, got {found!r}")
        if found == "_" and self.names and self.names[place] in _UNSPECIFIED:
            raise self.fault(line, f"expected a label in {self.names[place]}, got _, which stands for none")
        return found

"""Sequences and labels from CSV, JSON Lines and CoNLL files; what is wrong is named with file and line.

It must not know models.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


class DataError(Exception):
    """A file that cannot be used, and where."""


@dataclass
class Columns:
    """Which columns or fields of a file are what."""

    text: str | None = None
    label: str | None = None
    sequence: str | None = None
    features: list[str] = field(default_factory=list)


@dataclass
class Data:
    """Sequences with their labels, if there are any, and the line each begins at."""

    sequences: list[Any]
    labels: list[Any] | None
    lines: list[int]


def read(path: Path, columns: Columns, *, task: str, labelled: bool) -> Data:
    """The sequences of a file; its ending says which kind it is."""
    kind = path.suffix.lower()
    if task == "lm" and columns.label is not None:
        msg = f"{path}: expected no --label for a language model, got {columns.label!r}"
        raise DataError(msg)
    try:
        if kind in (".conll", ".iob", ".tags") or (task == "tag" and kind in (".txt", ".tsv")):
            return _conll(path, labelled=labelled)
        if task == "lm" and kind == ".txt":
            if columns != Columns():
                msg = f"{path}: expected no --text, --sequence or --features for a file of lines"
                raise DataError(msg)
            return _lines(path)
        if kind in (".jsonl", ".ndjson"):
            return _texts(path, _json_lines(path), columns, task=task, labelled=labelled)
        if kind in (".csv", ".tsv"):
            rows = _csv(path, "\t" if kind == ".tsv" else ",")
            if columns.sequence is not None:
                return _long(path, rows, columns, task=task, labelled=labelled)
            return _texts(path, rows, columns, task=task, labelled=labelled)
    except UnicodeDecodeError as error:
        msg = (
            f"{path}: expected text in UTF-8, got byte {error.object[error.start]:#x} at place {error.start}"
        )
        raise DataError(msg) from error
    endings = ".txt, .csv, .tsv or .jsonl" if task == "lm" else ".csv, .tsv, .jsonl or .conll"
    msg = f"{path}: expected a file that ends with {endings}, got {kind or 'no ending'}"
    raise DataError(msg)


def read_series(
    path: Path, value: str, exog: list[str]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
    """A column of numbers, and others beside it."""
    values, beside = [], []
    rows = _json_lines(path) if path.suffix.lower() in (".jsonl", ".ndjson") else _csv(path, ",")
    for line, row in rows:
        values.append(_number(path, line, row, value))
        beside.append([_number(path, line, row, name) for name in exog])
    if not values:
        msg = f"{path}: expected at least one row, got none"
        raise DataError(msg)
    return np.array(values), np.array(beside) if exog else None


Rows = Iterator[tuple[int, dict[str, Any]]]


def _csv(path: Path, delimiter: str) -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                if None in row or None in row.values():
                    count = len(reader.fieldnames or ())
                    msg = f"{path}, line {reader.line_num}: expected {count} fields as in the heading"
                    raise DataError(msg)
                yield reader.line_num, row
        except csv.Error as error:
            msg = f"{path}, line {reader.line_num}: expected CSV, got: {error}"
            raise DataError(msg) from error


def _json_lines(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except ValueError as error:
                msg = f"{path}, line {line}: expected JSON, got: {error}"
                raise DataError(msg) from error
            if not isinstance(row, dict):
                msg = f"{path}, line {line}: expected an object, got {type(row).__name__}"
                raise DataError(msg)
            yield line, row


def _field(path: Path, line: int, row: dict[str, Any], name: str) -> Any:
    if name not in row:
        msg = f"{path}, line {line}: expected a column {name!r}, got {sorted(row)}"
        raise DataError(msg)
    return row[name]


def _number(path: Path, line: int, row: dict[str, Any], name: str) -> float:
    value = _field(path, line, row, name)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not np.isfinite(number):
        msg = f"{path}, line {line}: expected a number in column {name!r}, got {value!r}"
        raise DataError(msg)
    return number


def _label(path: Path, line: int, row: dict[str, Any], name: str, task: str) -> Any:
    if task == "regress":
        return _number(path, line, row, name)
    return _field(path, line, row, name)


def _texts(path: Path, rows: Rows, columns: Columns, *, task: str, labelled: bool) -> Data:
    """A sequence a row: a text, or in JSON also a list of tokens or of numbers."""
    if columns.text is None:
        msg = f"{path}: expected --text to name the column of sequences, or --sequence with --features"
        raise DataError(msg)
    data = Data([], [] if labelled else None, [])
    for line, row in rows:
        given = _field(path, line, row, columns.text)
        if isinstance(given, list) and given and not isinstance(given[0], (str, int)):
            try:
                given = np.asarray(given, float)
            except (TypeError, ValueError):
                msg = (
                    f"{path}, line {line}: expected a list of numbers in {columns.text!r}, got {given!r:.60}"
                )
                raise DataError(msg) from None
        elif not isinstance(given, (str, list)):
            msg = f"{path}, line {line}: expected text or a list in {columns.text!r}, got {given!r:.60}"
            raise DataError(msg)
        data.sequences.append(given)
        data.lines.append(line)
        if data.labels is not None:
            data.labels.append(_label(path, line, row, columns.label or "label", task))
    return _not_empty(path, data)


def _lines(path: Path) -> Data:
    """A text a line."""
    with path.open(encoding="utf-8-sig") as file:
        lines = [(line, text.rstrip("\n")) for line, text in enumerate(file, 1) if text.strip()]
    return _not_empty(path, Data([text for _, text in lines], None, [line for line, _ in lines]))


def _long(path: Path, rows: Rows, columns: Columns, *, task: str, labelled: bool) -> Data:
    """A step a row: rows that follow each other with the same `sequence` are one sequence."""
    if not columns.features or columns.sequence is None:
        msg = f"{path}: expected --features to name the columns of numbers beside --sequence"
        raise DataError(msg)
    data = Data([], [] if labelled else None, [])
    steps: list[list[float]] = []
    last = None
    for line, row in rows:
        key = _field(path, line, row, columns.sequence)
        if key != last or not steps:
            steps, last = [], key
            data.sequences.append(steps)
            data.lines.append(line)
            if data.labels is not None:
                data.labels.append(_label(path, line, row, columns.label or "label", task))
        steps.append([_number(path, line, row, name) for name in columns.features])
    data.sequences = [np.array(steps) for steps in data.sequences]
    return _not_empty(path, data)


def _conll(path: Path, *, labelled: bool) -> Data:
    """A token a line, its label in the last column, an empty line between sentences."""
    data = Data([], [] if labelled else None, [])
    tokens: list[str] = []
    labels: list[str] = []

    def close(line: int) -> None:
        if tokens:
            data.sequences.append(tokens.copy())
            data.lines.append(line - len(tokens))
            if data.labels is not None:
                data.labels.append(labels.copy())
        tokens.clear()
        labels.clear()

    line = 0
    with path.open(encoding="utf-8-sig") as file:
        for line, text in enumerate(file, 1):
            if not text.strip():
                close(line)
                continue
            cells = text.rstrip("\n").split("\t") if "\t" in text else text.split()
            if labelled and len(cells) < 2:
                msg = f"{path}, line {line}: expected a token and a label, got {text.strip()!r}"
                raise DataError(msg)
            tokens.append(cells[0])
            labels.append(cells[-1].strip())
    close(line + 1)
    return _not_empty(path, data)


def _not_empty(path: Path, data: Data) -> Data:
    if not data.sequences:
        msg = f"{path}: expected at least one sequence, got none"
        raise DataError(msg)
    return data

"""Sequences and labels from files of tables; what cannot be used is named with file and line.

A reader for each format gives rows; here they become sequences, a row each or in long form a step each. It
must not know models.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from gru_rs.estimators._columns import Frame

from . import _conll
from ._arrow import read_arrow
from ._csv import read_csv
from ._json_lines import read_json_lines
from ._lines import lines
from ._source import DataError, Source, UsageError
from ._values import Labels, Reads, Sequences, Shape, number

__all__ = ["Data", "DataError", "Layout", "UsageError", "expect_another", "read", "read_series"]


@dataclass(frozen=True)
class Layout:
    """Which columns of a file are what, and how it is written; None: not said."""

    text: str | None = None
    label: str | None = None
    sequence: str | None = None
    features: tuple[str, ...] | None = None
    columns: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    value: str | None = None
    exog: tuple[str, ...] | None = None


@dataclass
class Data:
    """Sequences with their labels, if there are any, and the places where they begin."""

    source: Source
    labelled: bool
    sequences: list[Any] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    features: tuple[str, ...] = ()
    """What the numbers of a step are called, in long form."""

    @property
    def named(self) -> list[Any]:
        """Sequences as estimators take them: steps of numbers with their names, which a model holds to."""
        if not self.features:
            return self.sequences
        return [Frame.of_matrix(self.features, steps) for steps in self.sequences]

    def targets(self, task: str) -> Any:
        """Labels as the estimators of a task take them; None where there are none."""
        if task in ("classify", "regress"):
            return np.array(self.labels)
        return self.labels if self.labelled else None


# Which options go with which files --------------------------------------------------------------------------

_SERIES = ("value", "exog")
_TABLE = ("text", "label", "sequence", "features")
_CSV = ("delimiter", "quoting")
_FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "json",
    ".ndjson": "json",
    ".parquet": "arrow",
    ".feather": "arrow",
    ".arrow": "arrow",
    ".conll": "conll",
    ".conllu": "conll",
    ".conllup": "conll",
    ".iob": "conll",
    ".tags": "conll",
}
_OPTIONS: dict[str, tuple[str, ...]] = {
    "csv": (*_TABLE, *_SERIES, *_CSV),
    "json": (*_TABLE, *_SERIES),
    "arrow": (*_TABLE, *_SERIES),
    "conll": ("columns",),
    "lines": (),
}
_SPOKEN = {
    "csv": "a table",
    "json": "a file of JSON",
    "arrow": "a table in Arrow",
    "conll": "a file of CoNLL",
    "lines": "a file of lines",
}
_SHAPES: dict[str, Shape] = {
    "classify": "class",
    "regress": "number",
    "tag": "steps",
    "seq2seq": "spelling",
    "ctc": "spelling",
}
_ARRAYS = (
    "JSON Lines, an object a line; of an array, jq -c '.[]' FILE.json > FILE.jsonl makes it, "
    "and what has an object a line already can be called .jsonl"
)


def _format(path: Path, layout: Layout, task: str) -> str:
    """Which reader is for a file: by its ending, and for the task that sentences or lines are for."""
    kind = path.suffix.lower()
    table = layout.text is not None or layout.sequence is not None
    if task == "tag" and (kind == ".txt" or (kind == ".tsv" and not table)):
        return "conll"
    if task == "lm" and kind == ".txt":
        return "lines"
    found = _FORMATS.get(kind)
    if found is None or (task == "forecast" and found == "conll"):
        endings = [".csv", ".tsv", ".jsonl", ".parquet", ".feather", ".arrow"]
        endings += [] if task == "forecast" else [".conll", ".conllu"]
        endings += [".txt"] if task in ("lm", "tag") else []
        expected = _ARRAYS if kind == ".json" else f"a file that ends with {', '.join(endings)}"
        msg = f"{path}: expected {expected}, got {kind or 'no ending'}"
        raise DataError(msg)
    return found


def _refuse(layout: Layout, names: Iterable[str], what: str) -> None:
    """No option that would not be looked at."""
    for name in names:
        given = getattr(layout, name)
        if given is not None:
            came = ",".join(given) if isinstance(given, tuple) else given
            msg = f"--{name}: expected none for {what}, got {came!r}"
            raise UsageError(msg)


def _expect_fitting(path: Path, kind: str, layout: Layout, task: str, *, labelled: bool) -> None:
    """Options that go together, and with the file and the task."""
    refused = (*_TABLE, "columns") if task == "forecast" else _SERIES
    _refuse(layout, (*refused, *(() if labelled else ("label",))), f"the task {task}")
    options = [option.name for option in fields(layout)]
    _refuse(layout, [name for name in options if name not in _OPTIONS[kind]], f"{path}, {_SPOKEN[kind]}")
    for name in ("features", "exog"):
        given = getattr(layout, name) or ()
        twice = next((one for at, one in enumerate(given) if one in given[:at]), None)
        if twice is not None or "" in given:
            came = "an empty name" if twice is None else f"{twice!r} twice"
            msg = f"--{name}: expected different columns with commas between them, got {came}"
            raise UsageError(msg)
    _expect_apart(layout, task, labelled=labelled)
    if task == "forecast" or kind in ("conll", "lines"):
        return
    if layout.sequence is not None:
        _refuse(layout, ("text",), "steps with --sequence")
        if not layout.features:
            msg = "--features: expected the columns of numbers beside --sequence, got none"
            raise UsageError(msg)
        return
    _refuse(layout, ("features",), "sequences without --sequence")
    if layout.text is None:
        msg = "--text: expected the column of sequences, or --sequence with --features, got neither"
        raise UsageError(msg)


def _expect_apart(layout: Layout, task: str, *, labelled: bool) -> None:
    """No column is what is learnt and what it is learnt from."""
    if task == "forecast":
        name, own, others = "value", layout.value or "value", layout.exog or ()
    elif labelled:
        name, own = "label", layout.label or "label"
        others = (layout.text or "", layout.sequence or "", *(layout.features or ()))
    else:
        return
    if own in others:
        msg = f"--{name}: expected another column than those that it is learnt from, got {own!r}"
        raise UsageError(msg)


def expect_another(file: Path, output: Path) -> None:
    """What is written is not what was read."""
    if output.exists() and file.exists() and output.samefile(file):
        msg = f"--output: expected another file than the one to learn from, got {output}"
        raise UsageError(msg)


# Reading ----------------------------------------------------------------------------------------------------


def read(path: Path, layout: Layout, *, task: str, labelled: bool, reads: Reads = None) -> Data:
    """The sequences of a file; its ending says which kind it is. `reads`: what a model or an option says they
    are.
    """
    kind = _format(path, layout, task)
    _expect_fitting(path, kind, layout, task, labelled=labelled)
    with _unreadable(path):
        if kind == "conll":
            source = _conll.read_conll(path, layout.columns, labelled=labelled)
            layout = Layout(text=_conll.TOKEN, label=_conll.LABEL)
        elif kind == "lines":
            rows = ((line, {"text": text}) for line, text in lines(path) if text.strip())
            source, layout = Source(path, rows), Layout(text="text")
        else:
            if labelled and layout.label is None:
                layout = replace(layout, label="label")
            named = (layout.text, layout.sequence, layout.label, *(layout.features or ()))
            source = _table(path, kind, layout, [name for name in named if name is not None])
        data = Data(source, labelled, features=layout.features or ())
        if layout.sequence is None:
            _fill(data, layout, task, reads)
        else:
            _fill_from_steps(data, layout, task, reads)
    if not data.sequences:
        msg = f"{path}: expected at least one sequence, got none"
        raise DataError(msg)
    return data


def read_series(
    path: Path, layout: Layout, *, ahead: int = 0
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any] | None]:
    """A column of numbers, and others beside it. In the last rows, `ahead` of them, the number may be missing
    where the others are known: it is NaN.
    """
    kind = _format(path, layout, "forecast")
    _expect_fitting(path, kind, layout, "forecast", labelled=False)
    value, exog = "value" if layout.value is None else layout.value, list(layout.exog or ())
    with _unreadable(path):
        source = _table(path, kind, layout, [value, *exog])
        rows = list(source.rows)
        values, beside = [], []
        for at, (place, row) in enumerate(rows):
            unknown = at >= len(rows) - ahead and source.is_missing(row, value)
            values.append(float("nan") if unknown else number(source, place, row, value))
            beside.append([number(source, place, row, name) for name in exog])
    if not values:
        msg = f"{path}: expected at least one row, got none"
        raise DataError(msg)
    return np.array(values), np.array(beside) if exog else None


@contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    """What the system says of a file that it does not give."""
    try:
        yield
    except OSError as error:
        msg = f"{path}: expected a file that can be read, got: {error.strerror or error}"
        raise DataError(msg) from error


def _table(path: Path, kind: str, layout: Layout, wanted: list[str]) -> Source:
    if kind == "arrow":
        return read_arrow(path, wanted)
    source = read_json_lines(path) if kind == "json" else read_csv(path, layout.delimiter, layout.quoting)
    source.expect(wanted)
    return source


def _fill(data: Data, layout: Layout, task: str, reads: Reads) -> None:
    """A sequence a row: a text, or where values have types also a list of tokens or of numbers."""
    source = data.source
    sequences = Sequences(source, layout.text or "")
    labels = Labels(source, layout.label or "", _SHAPES[task]) if data.labelled else None
    for place, row in source.rows:
        sequences.take(place, row)
        data.places.append(place)
        if labels is not None:
            label = labels.take(place, row)
            data.labels.append(label)
            found = sequences.found[-1]
            if task == "tag" and isinstance(found, list) and len(found) != len(label):
                expected = f"{len(found)} labels in {labels.name!r}, one for each step"
                raise source.fault(place, f"expected {expected}, got {len(label)}")
    data.sequences = sequences.done(reads)


@dataclass
class _Sequence:
    """The steps of one, and where it begins."""

    place: int
    steps: list[list[float]] = field(default_factory=list)
    labels: list[Any] = field(default_factory=list)


def _fill_from_steps(data: Data, layout: Layout, task: str, reads: Reads) -> None:
    """A step a row: rows with the same `sequence` are one, wherever they stand, in the order they come in."""
    source, name = data.source, layout.sequence or ""
    if reads not in (None, "numbers"):
        msg = f"--sequence: expected --text, as the model reads tokens, got steps of numbers in {source.path}"
        raise UsageError(msg)
    keys = Labels(source, name, "class", "the sequence of a step")
    shape: Shape = "class" if task == "tag" else _SHAPES.get(task, "class")
    labels = Labels(source, layout.label or "", shape) if data.labelled else None
    found: dict[Any, _Sequence] = {}
    for place, row in source.rows:
        key = keys.take(place, row)
        sequence = found.setdefault(key, _Sequence(place))
        sequence.steps.append([number(source, place, row, one) for one in layout.features or ()])
        if labels is None:
            continue
        label = labels.take(place, row)
        if task != "tag" and sequence.labels and label != sequence.labels[0]:
            first = f"{sequence.labels[0]!r} as in {source.at(sequence.place)}"
            expected = f"one label for all steps of sequence {key!r}, {first}"
            raise source.fault(place, f"expected {expected}, got {label!r}")
        sequence.labels.append(label)
    for sequence in found.values():
        data.places.append(sequence.place)
        data.sequences.append(np.array(sequence.steps))
        if data.labelled:
            data.labels.append(sequence.labels if task == "tag" else sequence.labels[0])

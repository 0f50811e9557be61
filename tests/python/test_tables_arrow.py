"""Parquet, Feather and Arrow files of the command line: what is read, and what each mistake is told as."""

# ruff: noqa: E501 - a row is a line

import random
import sys

import numpy as np
import pytest
from command_line import MUTANTS, ask, mutant, plain, run, written
from gru_rs.cli._tables import Layout, read, read_series

TEXT, LONG = {"text": "text"}, {"sequence": "id", "features": ("x",)}
T, FORECAST = ["--text", "text"], ["--task", "forecast"]

pa = pytest.importorskip("pyarrow")


def arrow(folder, name, table):
    from pyarrow import feather, ipc, parquet

    path = folder / name
    if name.endswith(".parquet"):
        parquet.write_table(table, path, row_group_size=2)
    elif name.endswith(".feather"):
        feather.write_feather(table, path, chunksize=2)
    else:
        opened = ipc.new_stream if name.startswith("stream") else ipc.new_file
        with opened(str(path), table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return path


ARROWS = ["a.parquet", "a.feather", "file.arrow", "stream.arrow"]


@pytest.mark.parametrize("name", ARROWS)
@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["a b", "c", "d"], ["a b", "c", "d"]),
        (pa.array(["a b", "c", "d"], pa.large_string()), ["a b", "c", "d"]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        ([["a", "b"], ["c"], ["d"]], [["a", "b"], ["c"], ["d"]]),
        ([[1.5, 2], [3], [4]], [[1.5, 2.0], [3.0], [4.0]]),
        (pa.array([[1.5, 2], [3], [4]], pa.large_list(pa.float16())), [[1.5, 2.0], [3.0], [4.0]]),
        (pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.float32(), 2)), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]),
        ([[[1, 2], [3, 4]], [[5, 6]], [[7, 8]]], [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]], [[7.0, 8.0]]]),
    ],
)
def test_arrow(tmp_path, name, column, expected):
    # What is not asked for is not read: it could not be used.
    table = pa.table({"a.b": [[None]] * 3, "label": [1, 2, 1], "text": column, "other": [b"\xff"] * 3})
    found = read(arrow(tmp_path, name, table), Layout(**TEXT), task="classify", labelled=True)
    assert plain(found.sequences) == expected
    assert found.labels == [1, 2, 1]
    assert found.places == [0, 1, 2]


@pytest.mark.parametrize("name", ARROWS)
def test_arrow_in_long_form_and_series(tmp_path, name):
    columns = {"id": ["a", "b", "a"], "x": [1, 2, 3], "day": [0, 1, 2], "label": ["p", "q", "p"]}
    path = arrow(tmp_path, name, pa.table(columns))
    found = read(path, Layout(**LONG), task="classify", labelled=True)
    assert (plain(found.sequences), found.labels) == ([[[1.0], [3.0]], [[2.0]]], ["p", "q"])
    values, beside = read_series(path, Layout(value="x", exog=("day",)))
    assert (values.tolist(), beside.tolist()) == ([1, 2, 3], [[0], [1], [2]])


@pytest.mark.parametrize("name", ARROWS)
@pytest.mark.parametrize(
    ("columns", "options", "told"),
    [
        ({"text": ["a", None], "label": ["x", "y"]}, T, ", row 1: expected a sequence in 'text', got null"),
        ({"text": ["a", "b", "c"], "label": ["x", "y", None]}, T, ", row 2: expected a label in 'label', got null"),
        ({"text": [[0.5, None]], "label": ["x"]}, T, ", row 0: expected a list of strings, of integers or of numbers in 'text', got null at index [1]"),
        ({"text": [[0.5, np.nan]], "label": ["x"]}, T, ", row 0: expected finite numbers in 'text', got nan at index [1]"),
        ({"text": [[1, 2]], "label": ["x"]}, T, ": expected --set tokens=true or --set tokens=false for the lists of integers in 'text', got neither"),
        ({"text": [b"a"], "label": ["x"]}, T, ", row 0: expected text or a list in 'text', got b'a'"),
        ({"text": ["a"], "label": [0.5]}, T, ", row 0: expected a string, an integer or a boolean in 'label', got 0.5; --task"),
        ({"text": ["a"]}, T, ": expected a column 'label', got ['text']"),
        ({"value": [1.0, np.nan]}, FORECAST, ", row 1: expected a finite number in 'value', got nan"),
        ({"value": [True]}, FORECAST, ", row 0: expected a number in 'value', got True"),
        ({"value": []}, FORECAST, ": expected at least one row, got none"),
        ({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}, T, ": expected at least one sequence, got none"),
    ],
)  # fmt: skip
def test_wrong_in_arrow(tmp_path, name, columns, options, told):
    path = arrow(tmp_path, name, pa.table(columns))
    code, _, said = run("train", path, "-o", tmp_path / "never", *options)
    assert code == (2 if "--set" in told else 1)
    assert f"{path}{told}" in said


def test_wrong_arrow_files(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a"])] * 2 + [pa.array(["x"])], ["text", "text", "label"])
    for name in ARROWS[2:]:
        path = arrow(tmp_path, name, table)
        code, _, said = run("train", path, "-o", tmp_path / "never", *T)
        assert (code, f"{path}: expected columns of different names, got 'text' more" in said) == (1, True), (
            said
        )
    for name in ["a.parquet", "a.feather", "a.arrow"]:
        for content in ["", "text,label\n", b"FEA1" + bytes(40), b"PAR1" + bytes(40)]:
            path = written(tmp_path, name, content)
            code, _, said = run("train", path, "-o", tmp_path / "never", *T)
            assert (code, f"{path}: expected" in said) == (1, True), said
        code, _, said = run("train", tmp_path / f"no{name}", "-o", tmp_path / "never", *T)
        assert (code, "expected a file that can be read, got: No such file" in said) == (1, True), said


def test_without_pyarrow(tmp_path, monkeypatch):
    path = arrow(tmp_path, "a.parquet", pa.table({"text": ["a"]}))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, _, said = run("train", path, "-o", tmp_path / "never", *T)
    assert code == 1
    assert f"{path}: expected pyarrow for a .parquet file: pip install 'gru-rs[arrow]'" in said


@pytest.mark.parametrize("name", ARROWS)
def test_mutants_of_arrow(tmp_path, name):
    table = pa.table({"text": [[1.5, 2.5], [3.5]], "label": ["x", "y"]})
    content = arrow(tmp_path, name, table).read_bytes()
    rng = random.Random(5)
    for _ in range(MUTANTS):
        ask(written(tmp_path, name, mutant(rng, content)), Layout(**TEXT), "classify")

"""Whatever users bring, the answer is that of the same rows as plain arrays or lists; or an error that says
where.

The ways are tried as container × kind of data × estimator; none has a row of its own in the code.
"""

import array
import collections
import datetime
import decimal
import pickle
import warnings

import datasets
import gru_rs
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from gru_rs import (
    Forecaster,
    LanguageModel,
    Seq2Seq,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    Transcriber,
)
from gru_rs.estimators import _batches, _training
from gru_rs.estimators._batches import Padding, by_length
from gru_rs.estimators._containers import opened
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, LeaveOneOut, cross_val_score
from test_mutants import joined, parts

RNG = np.random.default_rng(0)
LENGTHS = [3, 5, 2, 4, 5, 1, 3, 2]
ROWS = [RNG.normal(size=(length, 2)) for length in LENGTHS]
LABELS = [0, 1] * 4
OPTIONS = {"hidden_size": 4, "max_iter": 2, "random_state": 0}
STREAMED = OPTIONS | {"bidirectional": False}
COUNTS = collections.Counter()
"""Ways that were tried, by kind of data."""


def targets(kind, lengths):
    """Something that an estimator of a kind learns from sequences of these lengths."""
    if kind is SequenceTagger:
        return [[step % 2 for step in range(length)] for length in lengths]
    if kind in (Transcriber, Seq2Seq):
        return ["a" if row % 2 else "b" for row in range(len(lengths))]
    return [row % 2 for row in range(len(lengths))]


ESTIMATORS = [SequenceClassifier, SequenceRegressor, SequenceTagger, Transcriber, Seq2Seq]


def answers(kind, X, lengths=None, *, learn_from=None, **options):
    """What an estimator that was trained on these says of them."""
    model = kind(**(OPTIONS | options))
    count = LENGTHS if lengths is None else lengths
    model.fit(X if learn_from is None else learn_from, targets(kind, count), lengths=lengths)
    found = model.predict_proba(X, lengths) if hasattr(model, "predict_proba") else model.predict(X, lengths)
    return found, model.model_.flat.copy()


def expect_equal(one, other):
    for a, b in zip(one, other, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


def objects(items):
    """An array of objects, one each."""
    found = np.empty(len(items), object)
    found[:] = items
    return found


def arrow(rows, kind):
    return pa.array([row.tolist() for row in rows], kind)


class Stream:
    """A column of an engine that nobody here has heard of."""

    def __init__(self, column):
        self._column = column

    def __arrow_c_stream__(self, requested_schema=None):
        return self._column.__arrow_c_stream__(requested_schema)


class Array:
    """The same, in one piece."""

    def __init__(self, column):
        self._column = column

    def __arrow_c_array__(self, requested_schema=None):
        return self._column.__arrow_c_array__(requested_schema)


class Tensor:
    """An array of a framework."""

    def __init__(self, values):
        self._values = values

    def __dlpack__(self, **options):
        return self._values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._values.__dlpack_device__()


DOUBLES, PAIRS = pa.float64(), pa.list_(pa.float64(), 2)
STRUCT = pa.struct([("a", DOUBLES), ("b", DOUBLES)])


def sliced(rows):
    """With rows before and behind that have a null in them, of which nothing is read."""
    none = pa.array([[None], None, [[1.0, 2.0]]], pa.list_(PAIRS))
    return pa.concat_arrays([none, arrow(rows, pa.list_(PAIRS)), none]).slice(3, len(rows))


def views(rows, kind=pa.ListViewArray, offsets="int32"):
    """Rows that lie in another order, with a null between that none of them has."""
    flat = pa.array([pair for row in rows[::-1] for pair in [*row.tolist(), None]], PAIRS)
    lengths = np.array([len(row) for row in rows])
    starts = np.cumsum([0, *(lengths[::-1] + 1)])[:-1][::-1]
    return kind.from_arrays(pa.array(starts, offsets), pa.array(lengths, offsets), flat)


def struct_rows(rows):
    return pa.array([[{"a": a, "b": b} for a, b in row.tolist()] for row in rows], pa.list_(STRUCT))


def frames(rows):
    return [pd.DataFrame(row, columns=["a", "b"]) for row in rows]


NUMBERS = {
    "tuple of arrays": tuple,
    "lists of lists": lambda rows: [row.tolist() for row in rows],
    "lists of tuples": lambda rows: [[tuple(step) for step in row.tolist()] for row in rows],
    "numbers as arrays without axes": lambda rows: [
        [[np.array(x) for x in step] for step in row] for row in rows
    ],
    "lists of arrays a step": lambda rows: [list(row) for row in rows],
    "object array": objects,
    "object array of object arrays": lambda rows: objects([objects(list(row)) for row in rows]),
    "object table": lambda rows: [row.astype(object) for row in rows],
    "other byte order": lambda rows: [row.astype(">f8") for row in rows],
    "columns first": lambda rows: [np.asfortranarray(row) for row in rows],
    "not contiguous": lambda rows: [np.repeat(row, 2, axis=0)[::2] for row in rows],
    "read-only": lambda rows: [np.frombuffer(row.tobytes()).reshape(row.shape) for row in rows],
    "arrays of Python": lambda rows: [[array.array("d", step) for step in row] for row in rows],
    "memoryviews": lambda rows: [memoryview(np.ascontiguousarray(row)) for row in rows],
    "tensors": lambda rows: [Tensor(row.copy()) for row in rows],
    "deque": collections.deque,
    "pandas Series of arrays": lambda rows: pd.Series(objects(rows)),
    "pandas Series of nested arrays": lambda rows: pd.Series(objects([objects(list(row)) for row in rows])),
    "pandas Series of Arrow": lambda rows: pd.Series(
        pd.arrays.ArrowExtensionArray(arrow(rows, pa.list_(PAIRS)))
    ),
    "pandas table of one column": lambda rows: pd.DataFrame({"x": objects(rows)}),
    "pandas frames": frames,
    "polars frames": lambda rows: [pl.from_pandas(frame) for frame in frames(rows)],
    "Arrow tables": lambda rows: [pa.Table.from_pandas(frame) for frame in frames(rows)],
    "polars List(Array)": lambda rows: pl.Series(
        [row.tolist() for row in rows], dtype=pl.List(pl.Array(pl.Float64, 2))
    ),
    "polars List(List)": lambda rows: pl.Series([row.tolist() for row in rows]),
    "polars List(Struct)": lambda rows: pl.Series(
        [[{"a": a, "b": b} for a, b in row.tolist()] for row in rows]
    ),
    "polars table of one column": lambda rows: pl.DataFrame({"x": [row.tolist() for row in rows]}),
    "Arrow list<fixed_size_list>": lambda rows: arrow(rows, pa.list_(PAIRS)),
    "Arrow large_list<list>": lambda rows: arrow(rows, pa.large_list(pa.list_(DOUBLES))),
    "Arrow list_view": views,
    "Arrow large_list_view": lambda rows: views(rows, pa.LargeListViewArray, "int64"),
    "Arrow list<struct>": struct_rows,
    "Arrow slice": sliced,
    "Arrow chunks": lambda rows: pa.chunked_array(
        [arrow(rows[:3], pa.list_(PAIRS)), arrow(rows[3:], pa.list_(PAIRS))]
    ),
    "Arrow empty chunk": lambda rows: pa.chunked_array(
        [arrow([], pa.list_(PAIRS)), arrow(rows, pa.list_(PAIRS))]
    ),
    "Arrow table of one column": lambda rows: pa.table({"x": arrow(rows, pa.list_(PAIRS))}),
    "stream of another engine": lambda rows: Stream(pa.chunked_array([arrow(rows, pa.list_(PAIRS))])),
    "array of another engine": lambda rows: Array(arrow(rows, pa.list_(PAIRS))),
    "rows as Arrow columns": lambda rows: [pa.array(row.tolist(), PAIRS) for row in rows],
    "rows as polars columns": lambda rows: [
        pl.Series(row.tolist(), dtype=pl.Array(pl.Float64, 2)) for row in rows
    ],
    "Hugging Face column": lambda rows: datasets.Dataset.from_dict({"x": [row.tolist() for row in rows]})[
        "x"
    ],
    "Hugging Face column of Arrow": lambda rows: datasets.Dataset.from_dict(
        {"x": [row.tolist() for row in rows]}
    ).with_format("arrow")["x"],
}


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_numbers_are_the_same_in_each_container(kind):
    expected = answers(kind, ROWS)
    for name, make in NUMBERS.items():
        COUNTS["numbers"] += 1
        expect_equal(answers(kind, make(ROWS)), expected), name


# One number a step, of any kind: of 16-bit sound to flags.
ONE_EACH = {
    "list of arrays": list,
    "list of memoryviews": lambda rows: [memoryview(row) for row in rows],
    "Arrow list": lambda rows: pa.array(
        [row.tolist() for row in rows], pa.list_(pa.from_numpy_dtype(rows[0].dtype))
    ),
    "polars List": lambda rows: pl.Series(
        [row.tolist() for row in rows], dtype=pl.List(pl.Series(rows[0]).dtype)
    ),
    "object array": objects,
    "pandas Series": lambda rows: pd.Series(objects(rows)),
    "list of pandas Series": lambda rows: [pd.Series(row) for row in rows],
    "list of polars Series": lambda rows: [pl.Series(row) for row in rows],
    "list of Arrow columns": lambda rows: [pa.array(row) for row in rows],
    "list of nullable pandas Series": lambda rows: [pd.Series(row).convert_dtypes() for row in rows],
}


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.int64, np.uint64, np.float16, np.float32, np.bool_])
def test_arrays_are_numbers_whatever_their_dtype(dtype):
    rows = [RNG.integers(0, 2 if dtype is np.bool_ else 99, length).astype(dtype) for length in LENGTHS]
    expected = answers(SequenceClassifier, [row.astype(np.float64)[:, np.newaxis] for row in rows])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X: integers in an array are numbers")
        for make in ONE_EACH.values():
            COUNTS["one number a step"] += 1
            found = answers(SequenceClassifier, make(rows))
            if dtype is np.float16:  # its own rounding says what is noise
                continue
            expect_equal(found, expected)


TOKENS = [["a", "b", "a"], ["c"], ["b", "b"], ["a", "c", "c", "a"]] * 2
TOKEN_LENGTHS = [len(row) for row in TOKENS]
TOKEN_FORMS = {
    "list of tuples": lambda rows: [tuple(row) for row in rows],
    "list of arrays": lambda rows: [np.array(row) for row in rows],
    "list of object arrays": lambda rows: [np.array(row, object) for row in rows],
    "list of StringDType arrays": lambda rows: [np.array(row, np.dtypes.StringDType()) for row in rows],
    "object array of lists": objects,
    "pandas Series of lists": pd.Series,
    "list of pandas Series": lambda rows: [pd.Series(row) for row in rows],
    "list of categories": lambda rows: [pd.Series(row, dtype="category") for row in rows],
    "polars List(String)": pl.Series,
    "polars List(Categorical)": lambda rows: pl.Series(rows, dtype=pl.List(pl.Categorical)),
    "Arrow list<string>": pa.array,
    "Arrow list<dictionary>": lambda rows: pa.array(rows, pa.list_(pa.dictionary(pa.int8(), pa.string()))),
    "Arrow large_list<string_view>": lambda rows: pa.array(rows, pa.large_list(pa.string_view())),
    "Arrow chunks": lambda rows: pa.chunked_array([pa.array(rows[:3]), pa.array(rows[3:])]),
    "Hugging Face column": lambda rows: datasets.Dataset.from_dict({"x": rows})["x"],
    "table of one column": lambda rows: pd.DataFrame({"x": rows}),
}


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_tokens_are_the_same_in_each_container(kind):
    def said(X):
        model = kind(**OPTIONS).fit(X, targets(kind, TOKEN_LENGTHS))
        return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)

    expected = said(TOKENS)
    for make in TOKEN_FORMS.values():
        COUNTS["tokens"] += 1
        expect_equal([said(make(TOKENS))], [expected])


TEXTS = ["a fine day", "a bad day", "fine", "bad, bad"] * 2
TEXT_FORMS = {
    "tuple": tuple,
    "array": np.array,
    "object array": lambda texts: np.array(texts, object),
    "StringDType": lambda texts: np.array(texts, np.dtypes.StringDType()),
    "pandas Series": pd.Series,
    "pandas object Series": lambda texts: pd.Series(texts, dtype=object),
    "pandas category": lambda texts: pd.Series(texts, dtype="category"),
    "pandas Arrow strings": lambda texts: pd.Series(texts, dtype="string[pyarrow]"),
    "pandas Index": pd.Index,
    "pandas table": lambda texts: pd.DataFrame({"text": texts}),
    "polars Series": pl.Series,
    "polars category": lambda texts: pl.Series(texts, dtype=pl.Categorical),
    "polars table": lambda texts: pl.DataFrame({"text": texts}),
    "Arrow": pa.array,
    "Arrow large": lambda texts: pa.array(texts, pa.large_string()),
    "Arrow view": lambda texts: pa.array(texts, pa.string_view()),
    "Arrow dictionary": lambda texts: pa.array(texts).dictionary_encode(),
    "Arrow chunks": lambda texts: pa.chunked_array([texts[:3], texts[3:]]),
    "Arrow table": lambda texts: pa.table({"text": texts}),
    "Arrow runs": lambda texts: pa.RunEndEncodedArray.from_arrays(list(range(1, len(texts) + 1)), texts),
    "Hugging Face column": lambda texts: datasets.Dataset.from_dict({"x": texts})["x"],
}


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor, Seq2Seq, LanguageModel])
def test_texts_are_the_same_in_each_container(kind):
    def said(X):
        if kind is LanguageModel:
            return [kind(**OPTIONS).fit(X).log_likelihood(X)]
        model = kind(**OPTIONS).fit(X, targets(kind, TEXTS))
        return [model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)]

    expected = said(TEXTS)
    for make in TEXT_FORMS.values():
        COUNTS["texts"] += 1
        expect_equal(said(make(TEXTS)), expected)


TARGET_FORMS = [
    list, tuple, np.array, pd.Series, pl.Series, pa.array, pd.Index,
    lambda y: pd.Series(y, dtype="category") if isinstance(y[0], str) else pd.Series(y).convert_dtypes(),
    lambda y: pd.DataFrame({"y": y}), lambda y: pl.DataFrame({"y": y}), lambda y: pa.table({"y": y}),
    lambda y: datasets.Dataset.from_dict({"y": y})["y"], lambda y: np.array(y, object), collections.deque,
]  # fmt: skip


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor, Transcriber, Seq2Seq])
def test_targets_are_the_same_in_each_container(kind):
    y = [0.5, 1.5] * 4 if kind is SequenceRegressor else ["a", "b"] * 4
    expected = kind(**OPTIONS).fit(ROWS, y)
    for make in TARGET_FORMS:
        COUNTS["targets"] += 1
        model = kind(**OPTIONS).fit(ROWS, make(y))
        np.testing.assert_array_equal(model.model_.flat, expected.model_.flat)
        assert model.score(ROWS, make(y)) == expected.score(ROWS, y)


def test_labels_of_steps_are_the_same_in_each_container():
    y = targets(SequenceTagger, LENGTHS)
    words = [["ab"[label] for label in row] for row in y]
    expected = [SequenceTagger(**OPTIONS).fit(ROWS, given) for given in (y, words)]
    for make in (
        lambda y: [np.array(row) for row in y],
        lambda y: objects([np.array(row, object) for row in y]),
        lambda y: datasets.Dataset.from_dict({"y": y})["y"],
        lambda y: pd.DataFrame({"y": y}),
        lambda y: [pd.Series(row) for row in y],
        lambda y: [pl.Series(row) for row in y],
        lambda y: [tuple(row) for row in y],
        pd.Series,
        pl.Series,
        pa.array,
    ):
        for own, wanted in zip((y, words), expected, strict=True):
            COUNTS["targets"] += 1
            model = SequenceTagger(**OPTIONS).fit(ROWS, make(own))
            assert model.classes_.tolist() == wanted.classes_.tolist()
            np.testing.assert_array_equal(model.model_.flat, wanted.model_.flat)
            assert model.score(ROWS, make(own)) == wanted.score(ROWS, own)


@given(
    lengths=st.lists(st.integers(0, 6), min_size=1, max_size=6),
    seed=st.integers(0, 2**32 - 1),
    name=st.sampled_from(sorted(NUMBERS)),
)
def test_random_rows_are_the_same_in_each_container(lengths, seed, name):
    """Rows of nothing among them, which do not say how many numbers a step has."""
    rng = np.random.default_rng(seed)
    rows = [rng.normal(size=(length, 2)) for length in lengths]
    model = READ_BY_ALL
    expected = model.predict_proba(rows)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X has feature names")
        if not any(lengths) and name in UNKNOWN_IF_EMPTY:
            return
        np.testing.assert_array_equal(model.predict_proba(NUMBERS[name](rows)), expected)


READ_BY_ALL = SequenceClassifier(**OPTIONS).fit(ROWS, LABELS)
UNKNOWN_IF_EMPTY = {
    "Hugging Face column",
    "Hugging Face column of Arrow",
    "polars List(List)",
    "polars List(Struct)",
    "polars table of one column",
}
"""Whose type comes of the values: of no values it is a column of nothing."""


# What is what


def test_what_a_container_holds_is_said_by_all_of_it():
    """Numbers written without a point, in the first row or place, are numbers like the others."""
    for X in (
        [[0.1, 0.5], [1, 2.5]],
        [[0, 0.5], [1, 2.5]],
        [[0, 1], [1.5, 2.5]],
        [[], [0, 1], [1, 0.25]],
        [[1], [np.float32(2)]],
    ):
        model = SequenceClassifier(**OPTIONS).fit(X, range(len(X)))
        assert not hasattr(model, "vocabulary_")
        floats = SequenceClassifier(**OPTIONS).fit([np.array(row, float) for row in X], range(len(X)))
        np.testing.assert_array_equal(model.predict_proba(X), floats.predict_proba(X))
        assert len(model.predict([[1, 2]])) == 1, "integers are numbers to a model of numbers"
    for X in ([[0, 1], [2]], [["a"], ["b", 1]], [[], ["a"]], [(1, 2), [3]], [[True, False], [True]]):
        assert hasattr(SequenceClassifier(**OPTIONS).fit(X, range(len(X))), "vocabulary_")
    assert not hasattr(SequenceClassifier(tokens=False, **OPTIONS).fit([[0, 1], [2]], [0, 1]), "vocabulary_")


def test_a_rows_company_does_not_matter():
    model = SequenceClassifier(**OPTIONS).fit([[1.0] * 5, [2.0] * 5] * 4, LABELS)
    both = model.predict_proba([[1.0] * 7, [2.0] * 3])
    np.testing.assert_array_equal(model.predict_proba([[1.0] * 7]), both[:1])
    np.testing.assert_array_equal(model.predict_proba([[1.0] * 7, [1.0] * 7]), both[[0, 0]])
    np.testing.assert_array_equal(model.predict_proba(np.ones((3, 7))), both[[0, 0, 0]])
    X = [[1.0] * 5, [2.0] * 5] * 4 + [[1.0] * 6]
    assert (
        len(
            cross_val_score(
                SequenceClassifier(**OPTIONS), X, [*LABELS, 0], cv=LeaveOneOut(), error_score="raise"
            )
        )
        == 9
    )


def test_ids_in_an_array_are_said():
    ids = np.array([[1, 2], [3, 4]] * 4)
    for X in (ids, pl.Series(ids.tolist(), dtype=pl.List(pl.Int64)), pa.array(ids.tolist()), list(ids)):
        with pytest.warns(UserWarning, match="say tokens=True"):
            model = SequenceClassifier(**OPTIONS).fit(X, LABELS)
        assert not hasattr(model, "vocabulary_")
        tokens = SequenceClassifier(tokens=True, **OPTIONS).fit(X, LABELS)
        assert tokens.vocabulary_.keys() == {1, 2, 3, 4}
        lists = SequenceClassifier(**OPTIONS).fit(ids.tolist(), LABELS)
        np.testing.assert_array_equal(tokens.predict_proba(X), lists.predict_proba(ids.tolist()))
        np.testing.assert_array_equal(lists.predict_proba(X), lists.predict_proba(ids.tolist()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(ids)
        SequenceClassifier(tokens=False, **OPTIONS).fit(ids, LABELS)
        SequenceClassifier(**OPTIONS).fit([row - 5 for row in ids], LABELS)  # no ids are negative
        SequenceClassifier(**OPTIONS).fit(ids.astype(float), LABELS)


# Padding


def padded(rows, width=6, fill=np.nan):
    found = np.full((len(rows), width, rows[0].shape[1]), fill)
    for to, row in zip(found, rows, strict=True):
        to[: len(row)] = row
    return found


@pytest.mark.parametrize("kind", ESTIMATORS)
@pytest.mark.parametrize("fill", [0.0, np.nan, 1e308])
def test_lengths_go_with_padded_numbers(kind, fill):
    expected, X = answers(kind, ROWS), padded(ROWS, fill=fill)
    forms = [X, np.asfortranarray(X), X.astype(object), Tensor(X)]
    if not np.isnan(fill):
        forms.append(X.tolist())
    for form in forms:
        COUNTS["padded"] += 1
        if isinstance(form, list):
            with pytest.raises(ValueError, match="lengths: expected None for a list of sequences"):
                answers(kind, form, LENGTHS)
            continue
        expect_equal(answers(kind, form, LENGTHS), expected)


def test_lengths_go_with_padded_columns_and_tables():
    rows = [row[:, :1] for row in ROWS]
    expected, X = answers(SequenceClassifier, rows), padded(rows, fill=7.0)[:, :, 0]
    for form in (
        X,
        pl.Series(X.tolist(), dtype=pl.Array(pl.Float64, 6)),
        pa.array(X.tolist(), pa.list_(DOUBLES, 6)),
        pd.DataFrame(X),
    ):
        for own in (
            LENGTHS,
            np.array(LENGTHS),
            pl.Series(LENGTHS),
            pd.Series(LENGTHS).convert_dtypes(),
            pa.array(LENGTHS),
        ):
            COUNTS["padded"] += 1
            expect_equal(answers(SequenceClassifier, form, own), expected)
    tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(padded(ROWS, fill=7.0)))
    expect_equal(answers(SequenceClassifier, tensor, LENGTHS), answers(SequenceClassifier, ROWS))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_lengths_go_with_padded_tokens(kind):
    ids = [[{"a": 5, "b": 9, "c": 2}[token] for token in row] for row in TOKENS]
    for rows, fill in ((ids, 0), (TOKENS, "")):
        table = np.array([[*row, *[fill] * (4 - len(row))] for row in rows])
        forms = [table, table.astype(object)] + (
            [pl.Series(table.tolist(), dtype=pl.Array(pl.Int64, 4))] if rows is ids else []
        )
        plain = kind(tokens=True, **OPTIONS).fit(rows, targets(kind, TOKEN_LENGTHS))
        for form in forms:
            COUNTS["padded"] += 1
            model = kind(tokens=True, **OPTIONS).fit(
                form, targets(kind, TOKEN_LENGTHS), lengths=TOKEN_LENGTHS
            )
            assert fill not in model.vocabulary_
            np.testing.assert_array_equal(model.model_.flat, plain.model_.flat)
            expect_equal([model.predict(form, TOKEN_LENGTHS)], [plain.predict(rows)])


@pytest.mark.parametrize("form", [np.array, lambda ids: pl.Series(ids, dtype=pl.Array(pl.Int64, 4))])
def test_labels_are_padded_as_tokens_are(form):
    ids, lengths = [[5, 6, 0, 0], [7, 0, 0, 0], [5, 5, 7, 6]] * 3, [2, 1, 4] * 3
    labels = [[["a", "b"][token % 2] for token in row] for row in ids]
    cut = [row[:length] for row, length in zip(ids, lengths, strict=True)]
    of_cut = [row[:length] for row, length in zip(labels, lengths, strict=True)]
    expected = SequenceTagger(**OPTIONS).fit(cut, of_cut)
    model = SequenceTagger(tokens=True, **OPTIONS).fit(form(ids), np.array(labels), lengths=lengths)
    np.testing.assert_array_equal(model.model_.flat, expected.model_.flat)
    assert model.score(form(ids), labels, lengths) == expected.score(cut, of_cut)


def test_labels_padded_as_their_rows_are():
    X, y = padded(ROWS), np.full((len(ROWS), 6), 9)
    for to, row in zip(y, targets(SequenceTagger, LENGTHS), strict=True):
        to[: len(row)] = row
    expected = SequenceTagger(**OPTIONS).fit(ROWS, targets(SequenceTagger, LENGTHS))
    for form in (
        y,
        y.tolist(),
        list(y),
        pl.Series(y.tolist()),
        pa.array(y.tolist()),
        y.astype(object),
        pd.DataFrame(y),
    ):
        COUNTS["padded"] += 1
        model = SequenceTagger(**OPTIONS).fit(X, form, lengths=LENGTHS)
        assert model.classes_.tolist() == [0, 1]
        np.testing.assert_array_equal(model.model_.flat, expected.model_.flat)
        assert model.score(X, form, LENGTHS) == expected.score(ROWS, targets(SequenceTagger, LENGTHS))
    with pytest.raises(ValueError, match="y: expected 3 labels in row 0"):
        SequenceTagger(**OPTIONS).fit(X, y[:, :5], lengths=LENGTHS)
    with pytest.raises(ValueError, match="y: expected 3 labels in row 0"):
        expected.score(ROWS, y)


def test_lengths_reach_score_by_metadata_or_it_is_said():
    X, y, grid = padded(ROWS, fill=0.0), LABELS, {"hidden_size": [3, 4]}
    with pytest.warns(UserWarning, match="set_score_request"):
        GridSearchCV(SequenceClassifier(max_iter=1, random_state=0), grid, cv=2).fit(X, y, lengths=LENGTHS)
    ragged = GridSearchCV(SequenceClassifier(max_iter=1, random_state=0), grid, cv=2).fit(objects(ROWS), y)
    with sklearn.config_context(enable_metadata_routing=True), warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SequenceClassifier(max_iter=1, random_state=0)
        model.set_fit_request(lengths=True).set_score_request(lengths=True).set_predict_request(lengths=True)
        search = GridSearchCV(model, grid, cv=2).fit(X, y, lengths=LENGTHS)
        np.testing.assert_array_equal(
            search.best_estimator_.predict(X, lengths=LENGTHS), ragged.predict(ROWS)
        )
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], ragged.cv_results_["mean_test_score"]
    )


# Names


def test_names_of_columns_are_kept_and_held_to():
    made = {
        "pandas": frames,
        "polars": NUMBERS["polars frames"],
        "Arrow": NUMBERS["Arrow tables"],
        "structs": struct_rows,
    }
    for make in made.values():
        model = SequenceClassifier(**OPTIONS).fit(make(ROWS), LABELS)
        assert model.feature_names_in_.tolist() == ["a", "b"]
        assert model.n_features_in_ == 2
        with pytest.raises(ValueError, match="Feature names must be in the same order"):
            model.predict([frame[["b", "a"]] for frame in frames(ROWS)])
        with pytest.raises(ValueError, match="Feature names unseen at fit time"):
            model.predict([frame.rename(columns={"a": "c"}) for frame in frames(ROWS)])
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            model.predict(ROWS)
    with pytest.warns(UserWarning, match="has feature names"):
        SequenceClassifier(**OPTIONS).fit(ROWS, LABELS).predict(frames(ROWS))
    mixed = [*frames(ROWS)[:-1], frames(ROWS)[-1][["b", "a"]]]
    with pytest.raises(ValueError, match=r"X: expected columns \['a', 'b'\] in row 7 as in row 0"):
        SequenceClassifier(**OPTIONS).fit(mixed, LABELS)
    table = pd.DataFrame(np.arange(16.0).reshape(8, 2), columns=["t0", "t1"])
    model = SequenceClassifier(**OPTIONS).fit(table, LABELS)
    assert model.feature_names_in_.tolist() == ["t0", "t1"]
    for other in (pl.from_pandas(table), pa.Table.from_pandas(table)):
        np.testing.assert_array_equal(model.predict_proba(other), model.predict_proba(table))


def test_tables_of_flags_and_nullable_numbers():
    t = 100 + np.sin(np.arange(80) / 8)
    exog = pd.DataFrame({"price": np.arange(80) / 7, "holiday": np.arange(80) % 7 == 0})
    model = Forecaster(horizon=2, window=5, max_iter=1, random_state=0).fit(t, exog.astype(float))
    expected = model.predict(exog.astype(float)[:2])
    for make in (
        lambda x: x,
        lambda x: x.convert_dtypes(),
        pl.from_pandas,
        pa.Table.from_pandas,
        lambda x: x.astype(object),
    ):
        COUNTS["tables"] += 1
        np.testing.assert_array_equal(
            Forecaster(horizon=2, window=5, max_iter=1, random_state=0)
            .fit(t, make(exog))
            .predict(make(exog[:2])),
            expected,
        )
    for y in (
        pd.Series(t),
        pl.Series(t),
        pa.array(t),
        pd.DataFrame({"v": t}),
        pl.DataFrame({"v": t}),
        t.tolist(),
        array.array("d", t),
    ):
        COUNTS["tables"] += 1
        np.testing.assert_array_equal(model.predict(exog[:2], y=y, past_exog=exog), model.predict(exog[:2]))
    with pytest.raises(ValueError, match=r"exog: expected the columns \['price', 'holiday'\]"):
        model.predict(exog[["holiday", "price"]][:2])
    with pytest.raises(ValueError, match="past_exog: expected with y"):
        model.predict(exog[:2], past_exog=exog)


# Refusals


class NoArray:
    """A tensor that has to be asked otherwise."""

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("needs no grad")


def nan_frame():
    return pd.DataFrame({"a": pd.array([1, None], "Int64")})


DATES = np.array(["2026-01-01", "2026-01-02"], "M8[D]")
MASKED = np.ma.array(np.ones((4, 2)), mask=np.eye(4, 2))
REFUSED = {
    "a mask": (MASKED, "X: expected an array, got a masked array"),
    "masks in a list": ([np.ones((2, 2)), MASKED], "X, row 1: expected an array, got a masked array"),
    "a masked step": ([[1.0, 2.0], [1.0, np.ma.masked]], "X: expected a value in row 1, step 1, got a null"),
    "a mask within a row": (
        [[np.ma.array([1.0], mask=[True])], [np.ones(1)]],
        "X, row 0, step 0: expected an array, got a masked array",
    ),
    "masked rows in an object array": (
        objects([MASKED, MASKED]),
        "X, row 0: expected an array, got a masked",
    ),
    "durations among integers": (
        [[np.timedelta64(3, "ns"), 1], [2, 3]],
        "X, row 0, step 0: expected numbers, got np.timedelta64",
    ),
    "NaT": ([[np.timedelta64("NaT", "ns"), 1], [2, 3]], "X: expected a value in row 0, step 0, got a null"),
    "NA of pandas": (pd.Series(["a", None], dtype="string"), "X: expected a value in row 1, got a null"),
    "None in objects": (
        np.array([[1.0, None], [2.0, 1.0]], object),
        "X: expected finite numbers, got NaN.* in row 0, step 1",
    ),
    "None in objects of words": (
        np.array([["a", "b"], ["a", None]], object),
        "X: expected a value in row 1, step 1",
    ),
    "a column of None": (
        pd.DataFrame({"a": [1, 2], "b": pd.Series([1, None], dtype=object)}),
        "X: expected columns of numbers, got None .NoneType. in column 'b'",
    ),
    "a column of lists beside": (
        pl.DataFrame({"a": [[1.0], [2.0]], "b": [1.0, 2.0]}),
        "got a sequence in each row in column 'a'",
    ),
    "fields of fields": (pl.Series([[{"a": {"b": 1.0}}]] * 2), "X: expected fields that are numbers"),
    "columns of one name": (
        [pd.DataFrame(np.ones((2, 2)), columns=["a", "a"])] * 2,
        "X, row 0: expected columns of different names, got 'a' twice",
    ),
    "fields that are lists": (
        pl.Series([[{"a": 1.0, "b": [2.0]}]] * 2),
        "X: expected fields that are numbers",
    ),
    "numbers beyond float64": (
        [[10**400, 0.5], [2.0]],
        "X, row 0, step 0: expected a number that float64 can hold",
    ),
    "a tensor that is none": (
        [NoArray(), NoArray()],
        "X, row 0: expected .*, got NoArray that is none: needs",
    ),
    "booleans among integers": (
        [[1, True], [0, 1]],
        "X: expected tokens that are integers or booleans, got both",
    ),
    "dates": (np.array([DATES, DATES]), r"X: expected numbers, got datetime64.*timedelta64\(1"),
    "durations": ([np.diff(DATES), np.diff(DATES)], "X, row 0: expected numbers, got timedelta64"),
    "dates in lists": ([[1.0], [datetime.datetime(2026, 1, 1)]], r"X.*row 1.*expected numbers, got datetime"),
    "a column of dates": (
        pd.DataFrame({"a": DATES, "b": [1, 2]}),
        "X, column 'a': expected numbers, got datetime64",
    ),
    "an Arrow column of dates": (pa.array([[datetime.date(2026, 1, 1)]]), "X: expected numbers, got date32"),
    "polars durations": (pl.Series([[datetime.timedelta(1)]]), "X: expected numbers, got duration"),
    "a null row": (pa.array([[1.0], None]), "X: expected a value in row 1, got a null"),
    "a null number": (pa.array([[1.0], [2.0, None]]), "X: expected a value in row 1, step 1, got a null"),
    "a null step": (pa.array([[[1.0]], [[2.0], None]]), "X: expected a value in row 1, step 1, got a null"),
    "a null within a step": (
        pa.array([[[1.0, 2.0]], [[2.0, 1.0], [2.0, None]]]),
        "X: expected a value in row 1, step 1",
    ),
    "a null in chunks": (
        pa.chunked_array([[[1.0]], [[1.0], [None]]]),
        "X: expected a value in row 2, step 0",
    ),
    "a null field": (pa.array([[{"a": 1.0}, {"a": None}]]), "X: expected a value in row 0, step 1"),
    "a null text": (pa.array(["a", None]), "X: expected a value in row 1, got a null"),
    "a null text in pandas": (pd.Series(["a", None]), "X: expected a value in row 1, got a null"),
    "a null text in a list": (["a", None], "X: expected a value in row 1, got a null"),
    "a missing string": (
        np.array(["a", None], np.dtypes.StringDType(na_object=None)),
        "X: expected a value in row 1",
    ),
    "a null token": (pl.Series([["a"], ["b", None]]), "X: expected a value in row 1, step 1"),
    "a null token in a list": ([["a"], ["b", None]], "X: expected a value in row 1, step 1"),
    "None in numbers": ([[1.0], [0.5, None]], "X: expected a value in row 1, step 1, got a null"),
    "NA in a frame": (
        [nan_frame(), nan_frame()],
        "X, row 0, column 'a': expected a value in row 1, got a null",
    ),
    "NaN in a table": (
        pd.DataFrame({"a": [1.0, np.nan]}),
        "X: expected finite numbers, got NaN or infinity in row 1",
    ),
    "infinity": (
        [np.ones(3), np.array([1, np.inf])],
        "X: expected finite numbers, got NaN or infinity in row 1, step 1",
    ),
    "records": (np.zeros((2, 3), [("a", float)]), "X: expected numbers.*structured_to_unstructured"),
    "complex": (np.ones((2, 2), complex), "X: Complex data not supported"),
    "long doubles": (np.ones((2, 2), np.longdouble), "X: expected numbers of at most 64 bits"),
    "bytes": ([[b"a"], [b"b"]], "X, row 0, step 0: expected numbers, got b'a'"),
    "decimals": (
        [[decimal.Decimal("1.5")], [decimal.Decimal(2)]],
        r"X.*row 0.*expected numbers, got Decimal",
    ),
    "decimals of Arrow": (pa.array([[decimal.Decimal("1.5")]]), "X: expected a column of numbers"),
    "dictionaries": ([{"a": 1}, {"a": 2}], "X, row 0: expected a list, an array or a column, got {'a': 1}"),
    "a set": ({1, 2}, "X: expected a list, an array or a column, got {1, 2}"),
    "a generator": ((x for x in [[1.0]]), "X: expected a list, an array or a column, got <generator"),
    "one text": ("a b", "X: expected a list, an array or a column, got 'a b'"),
    "one number": (3.5, "X: expected a list, an array or a column, got 3.5"),
    "numbers alone": ([1.0, 2.0], "X: expected a text or a sequence in row 0, got 1.0"),
    "a column of numbers": (pl.Series([1.0, 2.0]), "Expected 2D array, got 1D"),
    "steps of several sizes": ([[[1.0], [1.0, 2.0]]] * 2, "X.*expected as many numbers in each step"),
    "steps of several sizes in Arrow": (
        pa.array([[[1.0], [1.0, 2.0]]]),
        "X: expected 1 numbers in each step, got 2 in row 0, step 1",
    ),
    "rows of several sizes": (
        [np.ones((2, 2)), np.ones((2, 3))],
        r"X: expected a sequence \(T, 2\) in row 1, got shape \(2, 3\)",
    ),
    "texts among tokens": (
        [["a"], "b"],
        "X: expected sequences of one kind, got texts in row 1 and strings in row 0",
    ),
    "tokens among numbers": (
        [["a"], [0.5]],
        "X: expected sequences of one kind, got strings in row 0 and numbers in row 1",
    ),
    "a float among words": (
        [["a", 0.5]],
        "X: expected tokens that are strings or integers, got 0.5 in row 0, step 1",
    ),
    "a table with words": (
        pd.DataFrame({"a": [1.0, 2], "b": ["x", "y"]}),
        "X: expected columns of numbers, got 'x' .str. in column 'b'",
    ),
    "a table without columns": (pd.DataFrame(index=[0, 1]), "X: expected a table with at least one column"),
    "no steps": ([[], []], "X: expected at least one step"),
    "lists of lists of lists": (pa.array([[[[1.0]]]]), "X: expected rows of numbers or of lists of numbers"),
    "four axes": (np.ones((2, 2, 2, 2)), r"X: expected \(n, T\), \(n, T, F\)"),
    "an outlier beyond squares": (
        [np.ones(3), np.array([1, 1e200])],
        r"X: expected numbers whose deviation is finite, got 1e\+200 in row 1, step 1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceTagger])
def test_refused_by_place(case, kind):
    X, message = REFUSED[case]
    COUNTS["refused"] += 1
    model = kind(**OPTIONS)
    with pytest.raises((TypeError, ValueError), match=message):
        model.fit(X, [0, 1] if kind is SequenceClassifier else [[0], [1]])
    assert not hasattr(model, "model_")


def test_beyond_the_models_dtype():
    plain = SequenceClassifier(scale=False, **OPTIONS)
    with pytest.raises(
        ValueError, match=r"X: expected numbers that float32 can hold, got 1e\+39 in row 1, step 0"
    ):
        plain.fit([np.ones(2), np.array([1e39])], [0, 1])
    scaled = SequenceClassifier(**STREAMED).fit(ROWS, LABELS)
    far = [*ROWS[:-1], np.full((1, 2), 1e200)]
    with pytest.raises(
        ValueError, match=r"float32 can hold in the units of training, got 1e\+200 in row 7, step 0"
    ):
        scaled.predict(far)
    with pytest.raises(ValueError, match="x_t: expected numbers that float32 can hold"):
        scaled.stream()([1e200, 0.0])
    wide = SequenceClassifier(dtype="float64", **OPTIONS).fit(ROWS, LABELS)
    assert np.isfinite(wide.predict_proba(far)).all()


@pytest.mark.parametrize(("y", "message"), [
    ([0, None] * 4, "y: expected a value in row 1"),
    (pd.Series([0, None] * 4, dtype="Int64"), "y: expected a value in row 1"),
    (pa.array([0, None] * 4), "y: expected a value in row 1"),
    (["a", np.nan] * 4, "y: expected a value in row 1"),
    (np.ma.array([0, 1] * 4, mask=[0, 1] * 4), "y: expected an array, got a masked array"),
    (np.array([DATES] * 4).ravel(), "y: expected numbers, got datetime64"),
])  # fmt: skip
@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor])
def test_targets_refused_by_row(kind, y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        kind(**OPTIONS).fit(ROWS, y)


DURATIONS = [np.timedelta64(60, "s"), np.timedelta64(1, "m")] * 4


@pytest.mark.parametrize(
    ("kind", "y", "message"),
    [
        (SequenceClassifier, DURATIONS, "y: expected labels"),
        (SequenceRegressor, DURATIONS, r"y, row 0: expected numbers, got np.timedelta64"),
        (SequenceRegressor, [np.datetime64("2000")] * 8, r"y, row 0: expected numbers, got np.datetime64"),
        (
            SequenceRegressor,
            [datetime.date(2000, 1, 1)] * 8,
            r"y, row 0: expected numbers, got datetime.date",
        ),
        (SequenceRegressor, ["10"] * 8, "y, row 0: expected numbers, got '10'"),
        (SequenceRegressor, [[1.0], [1.0, 2.0]] * 4, "y: expected as many numbers in each row, got shapes"),
        (
            SequenceRegressor,
            [np.ma.array([1.0], mask=[True])] * 8,
            "y, row 0: expected an array, got a masked",
        ),
        (SequenceClassifier, pd.Series(["a", None] * 4, dtype="string"), "y: expected a value in row 1"),
        (Seq2Seq, [[np.timedelta64(3, "s")]] * 8, "y: expected tokens that are strings or integers"),
    ],
)
def test_targets_are_numbers_or_labels(kind, y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        kind(**OPTIONS).fit(ROWS, y)


def test_columns_known_ahead_are_numbers():
    series = np.arange(20.0)
    for exog, message in [
        ([np.ma.array([1.0, 2.0], mask=[1, 0])] * 20, "exog, row 0: expected an array, got a masked array"),
        ([[1.0, None]] * 20, "exog: expected a value in row 0, step 1"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            Forecaster(window=3, max_iter=1).fit(series, exog)


def test_tokens_are_of_the_kind_of_training():
    """Texts of digits are no integers: all would be unknown, and the answer that to nothing."""
    of_integers = SequenceClassifier(**STREAMED).fit([[5, 7], [3]] * 4, LABELS)
    of_strings = SequenceClassifier(**OPTIONS).fit([["5", "7"], ["3"]] * 4, LABELS)
    writer = Seq2Seq(**OPTIONS).fit([[5], [3]] * 4, [[5], [3]] * 4)
    speaker = LanguageModel(**OPTIONS).fit([[1, 2]])
    tagger = SequenceTagger(**OPTIONS).fit([["a"], ["b"]], [["x"], ["y"]])
    plain = SequenceTagger(token_features=None, **OPTIONS).fit([["a"], ["b"]], [["x"], ["y"]])
    speller = Transcriber(**OPTIONS).fit(ROWS, ["a", "b"] * 4)
    integers, strings = "expected tokens that are integers as in", "expected tokens that are strings as in"
    for call, expected in [
        (lambda: of_integers.predict([["5"], [7]]), f"X: {integers} training, got '5' in row 0"),
        (lambda: of_integers.predict(["5 7"]), "X: expected lists of tokens, as in training, got text"),
        (lambda: of_integers.predict([[True]]), f"X: {integers} training, got True"),
        (lambda: of_integers.stream()(["5"]), f"x_t: {integers}"),
        (lambda: of_integers.partial_fit([["5"]], [0]), f"X: {integers}"),
        (lambda: of_strings.predict([[5, 7]]), f"X: {strings} training, got 5"),
        (lambda: writer.score([[5]], ["5"]), "y: expected lists of tokens, as in training, got text"),
        (lambda: writer.score([[5]], [["5"]]), f"y: {integers}"),
        (lambda: speaker.score(["1 2"]), "X: expected lists of tokens, as in training, got text"),
        (lambda: speaker.score([["1", "2"]]), f"X: {integers}"),
        (lambda: speaker.partial_fit([["1", "2"]]), f"X: {integers}"),
        (lambda: plain.predict([[1]]), f"X: {strings}"),
        (lambda: tagger.score([["a"]], [[1]]), "y: expected labels"),
        (lambda: speller.score(ROWS, [[1]] * 8), "y: expected labels"),
    ]:
        with pytest.raises((TypeError, ValueError), match=expected):
            call()
    assert len(of_integers.predict([[99], [], [5]])) == 3, "of their kind tokens may be unknown"
    mixed = SequenceClassifier(**OPTIONS).fit([["a", 1], [2]] * 4, LABELS)
    assert len(mixed.predict([["a"], [2], ["zebra", 7]])) == 3


@pytest.mark.parametrize("analyzer", ["auto", "char", "word", "unspaced", str.split])
@pytest.mark.parametrize("of_text", [True, False])
def test_texts_and_lists_are_not_taken_for_each_other(of_text, analyzer, tmp_path):
    """A text is not cut in silence where lists were learnt, nor a list looked up among tokens of texts."""
    texts, lists = ["ab cd", "cd ab"] * 4, [["ab", "cd"], ["cd", "ab"]] * 4
    own, other = (texts, lists) if of_text else (lists, texts)
    message = "expected text, as in training, got lists" if of_text else "expected lists of tokens, as in tr"
    steps = [["x"] * (5 if of_text and analyzer == "char" else 2)] * 8
    if analyzer == "unspaced" and of_text:
        own, steps = ["差好", "好差"] * 4, [["x"] * 2] * 8
    options = OPTIONS | {"analyzer": analyzer, "bidirectional": False}
    functions = {"analyzer": analyzer} if callable(analyzer) else {}
    for kind, y, more in (
        (SequenceClassifier, LABELS, {}),
        (SequenceRegressor, np.arange(8.0), {}),
        (SequenceTagger, steps, {"crf": False}),
        (Seq2Seq, ["a"] * 8, {}),
    ):
        fitted = kind(**options | more).fit(own, y)
        fitted.save(tmp_path / "model")
        for found in (
            fitted,
            gru_rs.load(tmp_path / "model", **functions),
            pickle.loads(pickle.dumps(fitted)),
        ):
            weights, expected = found.model_.flat.copy(), found.predict(own)
            for call in (
                lambda found=found: found.predict(other),
                lambda found=found: found.predict(np.array(other, object) if not of_text else other),
                lambda found=found, y=y: found.score(other, y),
                lambda found=found, y=y: found.partial_fit(other, y),
                lambda found=found, y=y: clone(found).fit(own, y, validation_data=(other, y)),
                lambda found=found, y=y: found.set_params(warm_start=True).fit(other, y),
            ):
                with pytest.raises(TypeError, match=f"X: {message}"):
                    call()
            if kind is not Seq2Seq and analyzer != "unspaced":
                stream = found.stream()
                with pytest.raises(TypeError, match=f"x_t: {message}"):
                    stream(other[0])
                with pytest.raises(TypeError, match=f"x_t: {message}"):
                    found.stream(2)(other[:2])
                assert len(stream(own[0])) > 0
            np.testing.assert_array_equal(found.model_.flat, weights)
            for one, two in zip(found.predict(own), expected, strict=True):
                np.testing.assert_array_equal(one, two)
            assert len(found.predict([])) == 0, "nothing is of either form"


def test_files_that_do_not_say_it_take_texts_and_lists(tmp_path):
    """Those of earlier versions, whose reader had not learnt which of the two it was."""
    texts, lists = ["ab cd", "cd ab"] * 4, [["ab", "cd"], ["cd", "ab"]] * 4
    path = tmp_path / "model"
    SequenceClassifier(**OPTIONS | {"bidirectional": False}).fit(texts, LABELS).save(path)
    header, tensors = parts(path.read_bytes())
    del header["learnt"]["_reads_text"]
    path.write_bytes(joined(header, tensors))
    found = gru_rs.load(path)
    np.testing.assert_array_equal(found.predict_proba(lists), found.predict_proba(texts))
    np.testing.assert_array_equal(found.stream()(lists[0]), found.stream()(texts[0]))
    found.save(path)
    assert "_reads_text" not in parts(path.read_bytes())[0]["learnt"]
    old = pickle.loads(pickle.dumps(found))
    assert old.partial_fit(lists, LABELS).predict(texts).shape == (8,)


def test_objects_are_missing_behind_their_rows():
    lengths = [2, 1] * 4
    numbers = np.array([[1.0, 2.0], [3.0, None]] * 4, object)
    found = SequenceClassifier(**OPTIONS).fit(numbers, LABELS, lengths=lengths)
    expected = SequenceClassifier(**OPTIONS).fit([[1.0, 2.0], [3.0]] * 4, LABELS)
    np.testing.assert_array_equal(found.model_.flat, expected.model_.flat)
    words = np.array([["a", "b"], ["c", None]] * 4, object)
    found = SequenceClassifier(**OPTIONS).fit(words, LABELS, lengths=lengths)
    assert found.vocabulary_.keys() == {"a", "b", "c"}
    column = pd.DataFrame({"a": pd.Series([1, 2] * 4, dtype=object)})
    found = SequenceClassifier(**OPTIONS).fit(column, LABELS)
    assert found.n_features_in_ == 1


def test_streams_hold_to_names():
    model = SequenceClassifier(**STREAMED).fit(frames(ROWS), LABELS)
    frame = frames(ROWS)[0]
    expected = model.stream()(frame)
    np.testing.assert_array_equal(model.stream()(pl.from_pandas(frame)), expected)
    for swapped in (frame[["b", "a"]], pl.from_pandas(frame[["b", "a"]])):
        with pytest.raises(ValueError, match=r"x_t: expected the columns \['a', 'b'\] in this order"):
            model.stream()(swapped)
    batch = np.stack([ROWS[0], ROWS[6]])
    np.testing.assert_array_equal(model.stream(2)(batch.tolist()), model.stream(2)(batch))
    with pytest.raises(TypeError, match="x_t, step 0: expected an array, got a masked array"):
        model.stream()([np.ma.array(ROWS[0][0], mask=True)])


def test_lengths_refused():
    X = padded(ROWS, fill=0.0)
    for lengths, message in [
        ([1.5] * 8, "lengths: expected integers, got dtype float64"),
        ([7] * 8, "lengths: expected integers from 0 to 6"),
        ([-1] * 8, "lengths: expected integers from 0 to 6"),
        ([1] * 7, "lengths: expected shape"),
        (np.ma.array(LENGTHS, mask=[1] + [0] * 7), "lengths: expected an array, got a masked array"),
        (pa.array([None, *LENGTHS[1:]]), "lengths: expected a value in row 0"),
        (3, "lengths: expected a list"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            SequenceClassifier(**OPTIONS).fit(X, LABELS, lengths=lengths)
    for rows in (
        ROWS,
        NUMBERS["Arrow list<fixed_size_list>"](ROWS),
        [["a"]] * 8,
        pa.array([["a"]] * 8),
        TEXTS,
    ):
        with pytest.raises(ValueError, match="lengths: expected None for a"):
            SequenceClassifier(**OPTIONS).fit(rows, LABELS, lengths=LENGTHS)


def test_arrow_needs_pyarrow(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(
        ImportError, match=r"X: pyarrow is needed to read Series.*pip install 'gru-rs\[arrow\]'"
    ):
        SequenceClassifier(**OPTIONS).fit(pl.Series([[1.0]]), [0])


# Nothing


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_no_rows_give_no_answers(kind):
    for X, none in (
        (ROWS, [[], np.empty((0, 3, 2)), pa.array([], pa.list_(PAIRS)), pd.Series([], dtype=object)]),
        (TOKENS, [[], np.empty((0, 3), str), pa.array([], pa.list_(pa.string()))]),
    ):
        model = kind(**OPTIONS).fit(X, targets(kind, [len(row) for row in X]))
        for empty in none:
            found = model.predict(empty)
            assert len(found) == 0
            if kind in (SequenceClassifier, SequenceRegressor):
                assert found.shape == (0,)
            if kind is SequenceClassifier:
                assert model.predict_proba(empty).shape == (0, 2)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_rows_of_no_steps_have_length_0(kind):
    model = kind(**OPTIONS).fit(ROWS, targets(kind, LENGTHS))
    alone = model.predict([np.empty((0, 2))])
    for empty in ([], np.empty(0), np.empty((0, 2)), pd.DataFrame({"a": [], "b": []}), ()):
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X has feature names")
            expect_equal([model.predict([empty])], [alone])
            if not isinstance(empty, pd.DataFrame):
                expect_equal([model.predict([ROWS[0], empty])[1:]], [alone])
    expect_equal([model.predict(np.empty((1, 0, 2)))], [alone])
    expect_equal([model.predict(np.ones((1, 3, 2)), lengths=[0])], [alone])
    if kind is not Transcriber:
        again = kind(**OPTIONS).fit([*ROWS[:-1], []], targets(kind, [*LENGTHS[:-1], 0]))
        assert len(again.predict([[], ROWS[0]])) == 2


# Units


@pytest.mark.parametrize("level", [0.0, 1e6, 1.7e9, 1.7e12])
def test_a_high_level_costs_no_digits(level):
    rows = [level + np.arange(8.0)[:, np.newaxis] + i % 3 for i in range(12)]
    whole = np.concatenate(rows)
    by_hand = [(row - whole.mean()) / whole.std() for row in rows]
    y = [float(i % 3) for i in range(12)]
    one = SequenceRegressor(**STREAMED).fit(rows, y)
    other = SequenceRegressor(scale=False, **STREAMED).fit(by_hand, y)
    np.testing.assert_allclose(one.predict(rows), other.predict(by_hand), rtol=1e-4)
    streamed = one.stream()(rows[0])[-1]
    np.testing.assert_array_equal(streamed, one.predict(rows[:1])[0])


def test_noise_of_a_level_is_a_constant():
    rng = np.random.default_rng(1)
    noise = np.nextafter(1e6, 2e6) - 1e6
    for values, constant in [
        (1e6 + noise * rng.integers(0, 2, 50), True),
        (np.full(50, 0.1), True),
        (np.float32(0.1) * np.ones(50, np.float32), True),
        (1e6 + 1e-3 * rng.normal(size=50), False),
        (1e-150 * rng.normal(size=50), False),
        (1e-310 * rng.normal(size=50), True),
    ]:
        rows = [np.stack([values, rng.normal(size=50).astype(values.dtype)], axis=1)] * 2
        mean, deviation = SequenceClassifier(**OPTIONS).fit(rows, [0, 1]).scale_
        assert (deviation[0] == 0) == constant
        assert np.isfinite(mean).all()
        assert deviation[1] > 0


# Memory


@given(st.lists(st.integers(0, 3000), max_size=60), st.integers(1, 40))
def test_batches_are_of_rows_of_about_one_length(lengths, most):
    lengths = np.array(lengths, np.intp)
    rows = np.arange(len(lengths))[::-1]
    padding = Padding(few=500, waste=1.5, many=4000)
    parts = by_length(lengths, rows, most, padding)
    assert sorted(np.concatenate([[], *parts]).tolist()) == sorted(rows.tolist())
    for part in parts:
        steps, used = len(part) * lengths[part].max(), lengths[part].sum()
        assert 1 <= len(part) <= most
        assert len(part) == 1 or (steps <= 4000 and (steps <= 500 or steps <= 1.5 * used))


def test_answers_do_not_depend_on_how_rows_are_batched():
    rows = [RNG.normal(size=(length, 2)) for length in [*RNG.integers(0, 30, 50), 900]]
    model = SequenceClassifier(**OPTIONS).fit(rows, np.arange(51) % 3)
    expected = np.concatenate([model.predict_proba([row]) for row in rows])
    np.testing.assert_array_equal(model.predict_proba(rows), expected)


@pytest.mark.parametrize("kind", [*ESTIMATORS, "weighted"])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(kind, monkeypatch):
    lengths = [2, 3, 40, 2, 1, 3, 2, 30]
    rows = [np.random.default_rng(row).normal(size=(length, 2)) for row, length in enumerate(lengths)]
    weight = np.linspace(0.5, 2, 8)
    options = OPTIONS | {"dtype": "float64", "batch_size": 8, "input_dropout": 0.0, "output_dropout": 0.0}
    if kind == "weighted":
        kind, options = SequenceClassifier, options | {"class_weight": {0: 3.0, 1: 0.5}}
    y = ["a"] * 8 if kind is Transcriber else targets(kind, lengths)
    whole = kind(**options).fit(rows, y, sample_weight=weight)
    calls = []
    monkeypatch.setattr(_training, "TRAINING", Padding(few=10, waste=1.5))
    learn = _training.Labelled._learn
    monkeypatch.setattr(_training.Labelled, "_learn", lambda *given: calls.append(given) or learn(*given))
    parts = kind(**options).fit(rows, y, sample_weight=weight)
    assert len(calls) >= 2 * options["max_iter"]
    np.testing.assert_allclose(parts.model_.flat, whole.model_.flat, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-9)


def test_columns_are_not_copied():
    column = NUMBERS["Arrow list<fixed_size_list>"](ROWS)
    values = np.frombuffer(column.values.values.buffers()[1])
    assert np.shares_memory(opened("X", column).flat, values)
    assert (
        np.shares_memory(
            opened("X", pl.Series([[1.0, 2.0], [3.0]])).flat, opened("X", pl.Series([[1.0, 2.0], [3.0]])).flat
        )
        is False
    )
    X = padded(ROWS)
    model = SequenceClassifier(**OPTIONS).fit(X, LABELS, lengths=LENGTHS)
    assert np.shares_memory(model._read_fitted(X, LENGTHS).flat, X)
    y = np.sin(np.arange(300.0))
    forecaster = Forecaster(window=50, max_iter=1).fit(y)
    features = np.ones((250, 2))
    windows = forecaster._windows(forecaster._reach(), [features], [np.arange(251, 300)], None)
    assert windows.flat is features, "windows lie on each other"


def test_blocks_hold_all_steps(monkeypatch):
    monkeypatch.setattr(_batches, "_BLOCK", 4)
    for found in (opened("X", sliced(ROWS)), opened("X", views(ROWS))):
        sequences = _batches.Sequences(found.flat, found.starts, found.lengths)
        np.testing.assert_array_equal(
            np.concatenate([steps for _, steps in sequences.blocks()]), np.concatenate(ROWS)
        )
        rows = np.concatenate([rows for rows, _ in sequences.blocks()])
        np.testing.assert_array_equal(rows, np.arange(len(ROWS)))


# Everything else that reads


def test_streams_read_as_predict_does():
    model = SequenceClassifier(**STREAMED).fit(ROWS, LABELS)
    expected = model.stream()(ROWS[0])
    for chunk in (
        ROWS[0].tolist(),
        frames(ROWS)[0],
        pl.from_pandas(frames(ROWS)[0]),
        Tensor(ROWS[0].copy()),
        ROWS[0].astype(object),
    ):
        np.testing.assert_array_equal(model.stream()(chunk), expected)
    for chunk, message in [
        (np.ma.array(ROWS[0], mask=True), "x_t: expected an array, got a masked array"),
        (np.array([DATES]), "x_t: expected numbers, got datetime64"),
        ([[1.0, None]], "x_t"),
    ]:
        with pytest.raises((TypeError, ValueError), match=message):
            model.stream()(chunk)


def test_comparisons_read_as_estimators_do():
    def scores(X, y, task="classify"):
        result = gru_rs.compare(task, X, y, folds=2, options={"max_iter": 1, "hidden_size": 4})
        return [entry.scores for entry in result.entries]

    rows = ROWS * 3
    expected = scores(rows, LABELS * 3)
    for name in (
        "lists of lists",
        "Arrow list<fixed_size_list>",
        "polars List(List)",
        "pandas frames",
        "pandas Series of arrays",
    ):
        COUNTS["compare"] += 1
        assert scores(NUMBERS[name](rows), pd.Series(LABELS * 3)) == expected
    words = scores(TEXTS * 3, LABELS * 3)
    assert (
        scores(pl.Series(TEXTS * 3), LABELS * 3)
        == scores(pd.Series(TEXTS * 3), pa.array(LABELS * 3))
        == words
    )
    tagged = scores(TOKENS * 2, targets(SequenceTagger, TOKEN_LENGTHS * 2), "tag")
    assert (
        scores(pa.array(TOKENS * 2), pl.Series(targets(SequenceTagger, TOKEN_LENGTHS * 2)), "tag") == tagged
    )
    with pytest.raises(TypeError, match="X: expected an array, got a masked array"):
        gru_rs.compare("classify", MASKED, [0, 1] * 2)


def test_weights_come_in_any_container():
    weight = np.linspace(0.5, 2, 8)
    for kind, y in ((SequenceClassifier, LABELS), (SequenceRegressor, [0.5, 1.5] * 4)):
        expected = kind(**OPTIONS).fit(ROWS, y, sample_weight=weight)
        for make in (list, pd.Series, pl.Series, pa.array, lambda w: w.astype(object)):
            model = kind(**OPTIONS).fit(ROWS, y, sample_weight=make(weight))
            np.testing.assert_array_equal(model.model_.flat, expected.model_.flat)
            assert model.score(ROWS, y, sample_weight=make(weight)) == expected.score(ROWS, y, weight)
        for wrong in (np.ma.array(weight, mask=True), pa.array([None, *weight[1:]])):
            for call in (expected.fit, expected.score):
                with pytest.raises((TypeError, ValueError), match="sample_weight: expected"):
                    call(ROWS, y, sample_weight=wrong)


def test_language_models_of_ids():
    ids = [[1, 2, 3], [2, 1]] * 3
    expected = LanguageModel(**OPTIONS).fit(ids).log_likelihood(ids)
    for make in (pa.array, pl.Series, lambda rows: [np.array(row) for row in rows], pd.Series, objects):
        COUNTS["tokens"] += 1
        np.testing.assert_array_equal(
            LanguageModel(**OPTIONS).fit(make(ids)).log_likelihood(make(ids)), expected
        )


def test_many_ways_were_tried():
    """Runs last in this file: how many there are, to be reported; few of them are run alone."""
    print("ways tried:", dict(COUNTS), sum(COUNTS.values()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("level", [1e-120, 1e-155, 1e-165, 1e-200, 1e-300])
def test_numbers_whose_squares_are_lost(level, dtype):
    """A feature of tiny numbers is no constant: it is learnt from as the same feature in other units."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(24, 4, 2))
    y = (X[:, -1, 0] > 0).astype(int)
    tiny = X.copy()
    tiny[:, :, 0] *= level
    options = STREAMED | {"dtype": dtype, "max_iter": 5}
    plain, found = SequenceClassifier(**options).fit(X, y), SequenceClassifier(**options).fit(tiny, y)
    np.testing.assert_allclose(found.predict_proba(tiny), plain.predict_proba(X), rtol=1e-3)
    np.testing.assert_allclose(found.scale_[1] / [level, 1], plain.scale_[1], rtol=1e-3)
    np.testing.assert_allclose(found.stream()(tiny[0])[-1], found.predict_proba(tiny[:1])[0], rtol=1e-5)
    # Beside zeros, and where all are one number, as it was.
    tiny[:, :, 0] = level
    assert SequenceClassifier(**options).fit(tiny, y).scale_[1][0] == 0
    tiny[:, :, 0] = 0
    assert SequenceClassifier(**options).fit(tiny, y).scale_[1][0] == 0


def test_changes_whose_squares_are_lost_are_named():
    rng = np.random.default_rng(0)
    series = np.cumsum(rng.normal(size=60)) * 1e-165
    options = OPTIONS | {"horizon": 1, "window": 4, "season": None, "early_stopping": False}
    with pytest.raises(
        ValueError, match="y: expected numbers whose squares float64 can hold, got changes of"
    ):
        Forecaster(**options).fit(series)
    # Several are in units of their own before.
    assert np.isfinite(Forecaster(**options).fit({"a": series}).predict()["a"]).all()


@pytest.mark.parametrize(
    "made",
    [
        list,
        lambda days: np.array(days, "M8[D]"),
        lambda days: pd.Series(pd.to_datetime(days)),
        lambda days: pd.DatetimeIndex(days, tz="Europe/Berlin"),
        lambda days: pl.Series(days),
    ],
)
def test_groups_may_be_dates(made):
    days = [datetime.date(2024, 1, 1 + row % 4) for row in range(24)]
    X = np.random.default_rng(0).normal(size=(24, 4, 1))
    y, options = np.arange(24) % 2, OPTIONS | {"early_stopping": True}
    found = SequenceClassifier(**options).fit(X, y, groups=made(days))
    plain = SequenceClassifier(**options).fit(X, y, groups=np.arange(24) % 4)
    np.testing.assert_array_equal(found.model_.flat, plain.model_.flat)
    missing = [*days[:-1], None]
    with pytest.raises(ValueError, match=r"groups: expected a group for each row, got .* in row 23"):
        SequenceClassifier(**options).fit(X, y, groups=made(missing))

"""Labels and tokens that a file can keep, and those that `fit` refuses: what is predicted after a file is of
the value and of the type that it was before.
"""

import datetime
import decimal
import enum

import gru_rs
import numpy as np
import pytest
from gru_rs import LanguageModel, Seq2Seq, SequenceClassifier, SequenceTagger, Transcriber

X = [np.ones((3, 2)) * i for i in range(4)]
OPTIONS = {"hidden_size": 4, "max_iter": 1, "random_state": 1}


class Word(str):
    __slots__ = ()


class Colour(enum.IntEnum):
    RED = 1
    BLUE = 2


def in_a_row(labels):
    return labels


def at_each_step(labels):
    """Of three steps each, in the container that they came in."""
    return [
        type(labels)([label] * 3) if isinstance(labels, list) else labels[[i] * 3]
        for i, label in enumerate(labels)
    ]


# A fit and a shape of targets, for estimators with labels.
WITH_LABELS = {
    "classifier": lambda labels: SequenceClassifier(**OPTIONS).fit(X, labels),
    "tagger": lambda labels: SequenceTagger(**OPTIONS).fit(X, at_each_step(labels)),
    "transcriber": lambda labels: Transcriber(**OPTIONS).fit(X, [[label] for label in labels]),
}
KEPT = {
    "texts": (["a", "b", "a", "é"], str),
    "NumPy's texts": ([np.str_("a"), np.str_("b")] * 2, str),
    "integers": ([3, -1, 3, 2**62], int),
    "NumPy's integers": ([np.int8(3), np.int64(-1)] * 2, int),
    "bools": ([True, False] * 2, bool),
    "NumPy's bools": ([np.True_, np.False_] * 2, bool),
}
KEPT_AS_ARRAYS = {
    "objects": np.array(["a", "bb"] * 2, object),
    "wide texts": np.array(["a", "bb"] * 2, "U30"),
    "big-endian": np.array([1, 300] * 2, ">i2"),
    "unsigned": np.array([1, 2**64 - 1] * 2, np.uint64),
    "floats": np.array([1.0, -2.0] * 2, np.float32),
    "negative zero": np.array([-0.0, 1.0] * 2),
    "bools": np.array([True, False] * 2),
    "objects that are bools": np.array([True, False] * 2, object),
}
REFUSED = {
    "bytes": [b"x", b"y", b"x", b"y"],
    "an array of bytes": np.array([b"x", b"y", b"x", b"y"]),
    "dates": np.array(["2020-01-01", "2020-01-02"] * 2, "M8[D]"),
    "dates in a list": [datetime.date(2020, 1, 1), datetime.date(2020, 1, 2)] * 2,
    "decimals": [decimal.Decimal(1), decimal.Decimal(2)] * 2,
    "nothing": ["a", None, "a", "b"],
    "two kinds": [1, "a", 1, "a"],
    "two kinds of objects": np.array([1, "a", 1, "a"], object),
    "bools and integers": [True, 2, True, 2],
    "complex numbers": [1j, 2j, 1j, 2j],
    "texts of a class": [Word("a"), Word("b")] * 2,
    "members of an enumeration": [Colour.RED, Colour.BLUE] * 2,
    "more than 64 bits": [2**70, 1, 2**70, 1],
    "one below and one above": [2**63, -1, 2**63, -1],
    "zeros at the end": ["a\0", "a", "a\0", "a"],
}


def same_types(one, other):
    """Two answers, to the type of each label."""
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        one, other = one.tolist(), other.tolist()
    if isinstance(one, list):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same_types(a, b)
    else:
        assert repr(one) == repr(other)


def types_of(answer):
    found = answer.tolist() if isinstance(answer, np.ndarray) else answer
    return {kind for part in found for kind in types_of(part)} if isinstance(found, list) else {type(found)}


def there_and_back(estimator, given, folder):
    path = folder / "model.safetensors"
    estimator.save(path)
    again = gru_rs.load(path)
    same_types(estimator.predict(given), again.predict(given))
    return again


# Of NumPy's bools no row of a transcriber can be: they are no tokens.
NO_TOKENS = ("transcriber", "NumPy's bools")


@pytest.mark.parametrize(
    ("name", "labels"),
    [(name, labels) for name in WITH_LABELS for labels in KEPT if (name, labels) != NO_TOKENS],
)
def test_labels_come_back_as_they_were(name, labels, tmp_path):
    given, kind = KEPT[labels]
    again = there_and_back(WITH_LABELS[name](given), X, tmp_path)
    assert again.classes_.tolist() == sorted(set(given))
    assert set(map(type, again.classes_.tolist())) == {kind}
    assert types_of(again.predict(X)) <= {kind}


def test_what_no_row_is_of_is_refused():
    name, labels = NO_TOKENS
    with pytest.raises(TypeError, match="y: expected tokens that are strings or integers"):
        WITH_LABELS[name](KEPT[labels][0])


@pytest.mark.parametrize("labels", KEPT_AS_ARRAYS)
@pytest.mark.parametrize("name", ["classifier", "tagger"])
def test_arrays_of_labels_come_back_as_they_were(name, labels, tmp_path):
    given = KEPT_AS_ARRAYS[labels]
    again = there_and_back(WITH_LABELS[name](given), X, tmp_path)
    assert list(map(repr, again.classes_.tolist())) == list(map(repr, np.unique(given).tolist()))


@pytest.mark.parametrize("labels", REFUSED)
@pytest.mark.parametrize("name", WITH_LABELS)
def test_what_a_file_could_not_keep_is_refused_in_fit(name, labels):
    with pytest.raises(
        (TypeError, ValueError), match=r"y(, row 0)?: expected (labels|integers|tokens|numbers|a value)"
    ) as caught:
        WITH_LABELS[name](REFUSED[labels])
    assert "got" in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "got"),
    [
        (
            [[1, 2, 3], ["a"] * 3, [1, 2, 3], [1, 2, 3]],
            "expected labels of one kind in all rows, got integers and texts",
        ),
        ([[1, 2, 3], [1, "a", 2]] * 2, "of one kind, .* in row 1, got 'a' .str. beside 1"),
        ([[True] * 3, [1, 2, 3]] * 2, "expected labels of one kind in all rows, got bools and integers"),
        ([np.array([b"x"] * 3)] * 4, "labels of one kind, .* in row 0, got b'x'"),
        (["abc"] * 4, "y, row 0: expected a list, an array or a column, got 'abc'"),
    ],
)
def test_rows_of_different_kinds(rows, got):
    with pytest.raises((TypeError, ValueError), match=got):
        SequenceTagger(**OPTIONS).fit(X, rows)


def test_later_labels_are_of_the_kind_of_the_first():
    classifier = SequenceClassifier(**OPTIONS).fit(X, ["1", "2"] * 2)
    with pytest.raises(ValueError, match=r"y: expected classes \['1', '2'\], got 1"):
        classifier.partial_fit(X, [1, 2] * 2)
    with pytest.raises(ValueError, match=r"y: expected classes \[False, True\], got 1"):
        SequenceClassifier(**OPTIONS).fit(X, [True, False] * 2).partial_fit(X, [1, 0] * 2)
    with pytest.raises(ValueError, match="y: expected labels"):
        Transcriber(**OPTIONS).fit(X, [[1], [2]] * 2).partial_fit(X, [["1"], ["2"]] * 2)
    with pytest.raises(TypeError, match="classes: expected labels of one kind"):
        SequenceClassifier(**OPTIONS).partial_fit(X, [1, 2] * 2, classes=[1, "a"])


def test_nan_is_no_label():
    for labels in ([1.0, float("nan")] * 2, np.array([1.0, np.nan] * 2)):
        with pytest.raises(ValueError, match=r"NaN|y: expected a value in row 1"):
            SequenceClassifier(**OPTIONS).fit(X, labels)
        with pytest.raises(ValueError, match=r"got nan|NaN"):
            SequenceTagger(**OPTIONS).fit(X, at_each_step(labels))


TOKENS = [["a", 1, "b"], [np.int64(2), np.str_("c")]] * 2


def test_tokens_come_back_as_they_were(tmp_path):
    seq2seq = Seq2Seq(**OPTIONS).fit(TOKENS, TOKENS)
    assert set(map(type, seq2seq.target_vocabulary_)) == {int, str}
    again = there_and_back(seq2seq, TOKENS, tmp_path)
    assert list(again.target_vocabulary_.items()) == list(seq2seq.target_vocabulary_.items())
    model = LanguageModel(**OPTIONS).fit(TOKENS)
    model.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model")
    assert again.vocabulary_ == model.vocabulary_
    assert set(map(type, again.vocabulary_)) == {int, str}
    np.testing.assert_array_equal(again.log_likelihood(TOKENS), model.log_likelihood(TOKENS))


@pytest.mark.parametrize("token", [1.5, (1.5, "x"), (np.float64(2.5), np.str_("x")), None])
def test_features_that_a_file_can_keep(token, tmp_path):
    def features(word):
        return [word, token]

    tagger = SequenceTagger(**OPTIONS, token_features=features).fit([["a", "b"]] * 4, [["x", "y"]] * 4)
    tagger.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model", token_features=features)
    assert again.vocabulary_ == tagger.vocabulary_
    same_types(again.predict([["a", "c"]]), tagger.predict([["a", "c"]]))


@pytest.mark.parametrize(
    "token", [b"x", float("nan"), decimal.Decimal(1), frozenset("ab"), (1, b"x"), Word("z")]
)
def test_features_that_a_file_could_not_keep(token):
    def features(word):
        return [word, token]

    tagger = SequenceTagger(**OPTIONS, token_features=features)
    with pytest.raises(
        TypeError, match="X: expected tokens that a file can keep: texts, numbers, or tuples of them"
    ):
        tagger.fit([["a", "b"]] * 4, [["x", "y"]] * 4)


@pytest.mark.parametrize("kind", [Seq2Seq, LanguageModel])
def test_tokens_that_a_file_could_not_keep(kind):
    def analyzer(text):
        return [Word(word) for word in text.split()]

    name = {Seq2Seq: "target_analyzer", LanguageModel: "analyzer"}[kind]
    with pytest.raises(TypeError, match=r"expected tokens that a file can keep"):
        kind(**OPTIONS, **{name: analyzer}).fit(["a b"] * 4, ["b a"] * 4)

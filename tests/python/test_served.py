"""Texts and rows of numbers predicted for in one call into Rust beside the same read step by step: the same
bits.
"""

import copy
import pickle
import threading
import warnings

import gru_rs
import numpy as np
import pytest
from gru_rs import SequenceClassifier, SequenceRegressor
from hypothesis import example, given
from hypothesis import strategies as st

TEXTS = [
    "A good day!",
    "what a fine_film",
    "ein schöner Tag",
    "bad, bad day",
    "x\x1cy\tz",
    "ÄRGER im 2. Akt",
] * 4
LABELS = [0, 1, 2, 0, 1, 2] * 4
OPTIONS = {"hidden_size": 6, "embedding_size": 4, "max_iter": 2, "random_state": 1}
KINDS = {
    "words": {},
    "characters": {"analyzer": "char"},
    "large letters": {"lowercase": False},
    "cut": {"max_length": 3, "cell": "lstm", "pooling": "mean"},
    "two directions": {"bidirectional": True, "pooling": "max", "dtype": "float64", "min_frequency": 5},
}
FITTED = {name: SequenceClassifier(**OPTIONS, **more).fit(TEXTS, LABELS) for name, more in KINDS.items()}


def step_by_step(estimator, texts):
    """As all other containers are read."""
    sequences = estimator._read_fitted(texts, None)
    return estimator._scores(sequences, sequences.rows)


@given(
    st.sampled_from(sorted(KINDS)),
    st.lists(st.one_of(st.text(max_size=40), st.sampled_from(TEXTS)), max_size=9),
)
@example("words", ["", " ", "\x00 \x7f", "İ", "a" * 1000])
@example("words", ["\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0a_b9"])
def test_scores_have_the_same_bits(name, texts):
    estimator = FITTED[name]
    found = estimator._scores_of(texts, None)
    np.testing.assert_array_equal(found, step_by_step(estimator, texts))
    assert found.dtype == estimator.model_.dtype


def test_many_texts_of_all_lengths_are_batched_alike():
    rng = np.random.default_rng(0)
    words = [word for text in TEXTS for word in text.split()]
    texts = [" ".join(rng.choice(words, size)) for size in (*rng.integers(0, 9, 600), 5000, 0)]
    for estimator in FITTED.values():
        np.testing.assert_array_equal(estimator._scores_of(texts, None), step_by_step(estimator, texts))


@pytest.mark.parametrize("width", ["int8", "f16", "bf16"])
def test_quantized_weights(width):
    estimator = FITTED["words"].quantize(width)
    np.testing.assert_array_equal(estimator._scores_of(TEXTS, None), step_by_step(estimator, TEXTS))


def test_containers_and_subclasses_are_read_as_before():
    estimator = FITTED["words"]
    expected = estimator.predict_proba(TEXTS)

    class Title(str):
        __slots__ = ()

    for texts in (tuple(TEXTS), np.array(TEXTS), [*map(Title, TEXTS)], [*map(np.str_, TEXTS)]):
        np.testing.assert_array_equal(estimator.predict_proba(texts), expected)
    assert estimator.predict_proba([]).shape == (0, 3)
    with pytest.raises(TypeError, match="X: expected a string in row 1 as in others, got 3"):
        estimator.predict(["a", 3])
    with pytest.raises(ValueError, match="lengths: expected None for a list of texts"):
        estimator.predict(["a"], lengths=[1])


def test_regressors_and_copies(tmp_path):
    regressor = SequenceRegressor(**OPTIONS).fit(TEXTS, np.arange(24.0))
    expected = regressor.predict(TEXTS)
    np.testing.assert_array_equal(expected, regressor._of_scores(step_by_step(regressor, TEXTS)))
    regressor.save(tmp_path / "model")
    for other in (
        copy.copy(regressor),
        copy.deepcopy(regressor),
        pickle.loads(pickle.dumps(regressor)),
        gru_rs.load(tmp_path / "model"),
    ):
        assert other._reader.served is not None
        np.testing.assert_array_equal(other.predict(TEXTS), expected)


def test_a_pickle_holds_the_vocabulary_once():
    words = [f"word{number}" for number in range(5000)]
    estimator = SequenceClassifier(**OPTIONS).fit([" ".join(words), "word1"], [0, 1])
    assert pickle.dumps(estimator).count(b"word4321") == 1


@pytest.mark.parametrize(
    ("options", "X"),
    [
        ({"token_features": "spelling"}, TEXTS),
        ({"analyzer": str.split}, TEXTS),
        ({}, [[1, 2], [3], [2, 3]] * 8),
        ({}, ["手机很好", "不好看", "很好看"] * 8),
    ],
)
def test_what_rust_does_not_cut_is_read_in_python(options, X):
    estimator = SequenceClassifier(**OPTIONS, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it is read by letters
        estimator.fit(X, LABELS)
    assert estimator._reader.served is None
    np.testing.assert_array_equal(estimator._scores_of(X, None), step_by_step(estimator, X))


def test_threads_share_one_estimator():
    estimator, wrong = FITTED["words"], []
    expected = estimator.predict_proba(TEXTS)

    def ask():
        for _ in range(200):
            if not np.array_equal(estimator.predict_proba(TEXTS), expected):
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_the_border_refuses_what_is_no_text():
    estimator = FITTED["words"]
    words, core = estimator._reader.served.core, estimator.model_._core
    with pytest.raises(ValueError, match="text: expected ASCII"):
        words.scores(core, ["ä"], None)
    with pytest.raises(TypeError, match="expected texts, or lists of tokens"):
        words.scores(core, [3], None)
    with pytest.raises(TypeError):
        words.scores(core, [["a", 3]], None)
    with pytest.raises(ValueError, match="x: expected numbers for a model without vocabulary, got tokens"):
        words.scores(gru_rs.Model(3, 4, 2)._core, ["a"], None)


def test_halves_of_surrogates_are_read_in_python():
    odd = ["a fine \udc80 day", "bad \ud83d"]
    estimator = SequenceClassifier(**OPTIONS).fit([*TEXTS, *odd], [*LABELS, 0, 1])
    assert estimator._reader.served is not None
    for texts in (odd, [*TEXTS, *odd], TEXTS):
        np.testing.assert_array_equal(estimator._scores_of(texts, None), step_by_step(estimator, texts))


# Numbers --------------------------------------------------------------------------------------------------


def heard(dtype, scale, **more):
    rng = np.random.default_rng(2)
    X = [rng.normal(size=(length, 2)) * 4 + 3 for length in (3, 5, 8, 2)] * 3
    options = {"hidden_size": 5, "max_iter": 1, "random_state": 1, "dtype": dtype, "scale": scale}
    return SequenceClassifier(**options, **more).fit(X, [0, 1, 2, 1] * 3)


HEARD = {
    "in units": heard("float32", True, max_length=4),
    "as they are": heard("float32", False, cell="lstm", bidirectional=True, pooling="max"),
    "float64": heard("float64", True, pooling="mean"),
}


def is_served(estimator, X, lengths=None):
    return estimator._reader.served.scores(estimator.model_, X, lengths, estimator.max_length) is not None


@given(
    st.sampled_from(sorted(HEARD)),
    st.sampled_from([None, "int8", "f16", "bf16"]),
    st.lists(st.integers(0, 9), min_size=1, max_size=40),
    st.sampled_from([np.float32, np.float64, None]),
    st.integers(0, 99),
)
def test_rows_of_numbers_have_the_same_bits(name, width, lengths, dtype, seed):
    estimator = HEARD[name] if width is None else HEARD[name].quantize(width)
    rng = np.random.default_rng(seed)
    kinds = [dtype or (np.float32, np.float64)[row % 2] for row in range(len(lengths))]
    X = [rng.normal(size=(length, 2)).astype(kind) * 9 for length, kind in zip(lengths, kinds, strict=True)]
    assert is_served(estimator, X)
    found = estimator._scores_of(X, None)
    assert found.dtype == estimator.model_.dtype
    np.testing.assert_array_equal(found, step_by_step(estimator, X))
    padded = rng.normal(size=(len(lengths), 9, 2)).astype(kinds[0])
    for row, length in enumerate(lengths):
        padded[row, length:] = np.nan  # not looked at
        padded[row, :length] = X[row]
    rows = [padded[row, :length] for row, length in enumerate(lengths)]
    assert is_served(estimator, padded, np.array(lengths))
    np.testing.assert_array_equal(estimator._scores_of(padded, lengths), step_by_step(estimator, rows))
    whole = np.nan_to_num(padded)
    assert is_served(estimator, whole)
    np.testing.assert_array_equal(estimator._scores_of(whole, None), step_by_step(estimator, whole))


def test_one_number_a_step_needs_no_axis():
    X = [np.arange(4.0), np.arange(6.0), np.arange(2.0)] * 2
    regressor = SequenceRegressor(hidden_size=5, max_iter=1, random_state=1).fit(X, np.arange(6.0))
    for rows in (X, [row[:, np.newaxis] for row in X], [*X[:2], X[2][:, np.newaxis]]):
        assert is_served(regressor, rows)
        np.testing.assert_array_equal(
            regressor.predict(rows), regressor._of_scores(step_by_step(regressor, rows))
        )


def test_many_numbers_go_batch_by_batch():
    estimator = HEARD["in units"]
    X = np.zeros((1, 1 << 19, 2), np.float32)
    assert is_served(estimator, X)
    whole = heard("float32", True)
    assert not is_served(whole, np.zeros((1, (1 << 19) + 1, 2), np.float32))


@pytest.mark.parametrize(
    ("kind", "message", "X", "lengths"),
    [
        (ValueError, "X: expected finite numbers, got NaN or infinity in row 1, step 2", "nan", None),
        (ValueError, "X: expected numbers that float32 can hold in the units of training", "large", None),
        (ValueError, "X: expected 2 features a step as in training, got 3", [np.zeros((4, 3))], None),
        (ValueError, "X: expected 2 features a step as in training, got 3", np.zeros((2, 4, 3)), None),
        (ValueError, r"X: expected a sequence \(T, 2\) in row 1", [np.zeros((4, 2)), np.zeros((4, 3))], None),
        (ValueError, "lengths: expected None for a list of sequences", [np.zeros((4, 2))], [4]),
        (ValueError, "lengths: expected integers from 0 to 4, got 5 to 5", np.zeros((1, 4, 2)), [5]),
        (ValueError, r"lengths: expected shape \(1,\), got \(2,\)", np.zeros((1, 4, 2)), [4, 4]),
        (TypeError, "lengths: expected integers", np.zeros((1, 4, 2)), [1.5]),
    ],
)
def test_what_is_refused_is_told_as_before(kind, message, X, lengths):
    if isinstance(X, str):
        wrong = np.zeros((4, 2))
        wrong[2] = np.nan if X == "nan" else 1e300
        X = [np.zeros((4, 2)), wrong]
    with pytest.raises(kind, match=message):
        HEARD["in units"].predict(X, lengths)


def test_what_is_to_be_told_is_told():
    pandas = pytest.importorskip("pandas")
    frames = [pandas.DataFrame({"a": [1.0, 2.0], "b": [0.5, float(row)]}) for row in range(4)]
    named = SequenceClassifier(**OPTIONS).fit(frames, [0, 1, 0, 1])
    arrays = [frame.to_numpy() for frame in frames]
    assert not is_served(named, arrays)
    np.testing.assert_array_equal(named._scores_of(frames, None), step_by_step(named, frames))
    X = np.random.default_rng(0).normal(size=(6, 5, 2))
    padded = SequenceClassifier(**OPTIONS).fit(X, [0, 1] * 3, lengths=[5, 3, 5, 2, 5, 5])
    with pytest.warns(UserWarning, match="training had lengths"):
        padded.predict(X)
    for other in (X.astype(int), np.asfortranarray(X), X[::2], X.tolist(), [np.ma.masked_array(X[0])]):
        assert not is_served(HEARD["in units"], other)


def test_copies_of_estimators_of_numbers(tmp_path):
    estimator, X = HEARD["in units"], np.random.default_rng(0).normal(size=(3, 4, 2))
    estimator.save(tmp_path / "model")
    for other in (
        copy.deepcopy(estimator),
        pickle.loads(pickle.dumps(estimator)),
        gru_rs.load(tmp_path / "model"),
    ):
        assert is_served(other, X)
        np.testing.assert_array_equal(other._scores_of(X, None), estimator._scores_of(X, None))


def test_units_fit_the_network():
    units = gru_rs._core.Units(([0.0], [1.0]))
    with pytest.raises(ValueError, match="scale"):
        units.scores(gru_rs.Model(2, 3, 1)._core, np.zeros((1, 2, 2), np.float32), None, None)
    with pytest.raises(ValueError, match="x: expected tokens for a model with a vocabulary"):
        gru_rs._core.Units(None).scores(
            gru_rs.Model(2, 3, 1, vocabulary_size=4)._core, np.zeros((1, 2, 2), np.float32), None, None
        )

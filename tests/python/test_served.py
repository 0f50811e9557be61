"""Texts predicted for in one call into Rust beside the same texts read step by step: the same bits."""

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


@pytest.mark.parametrize("width", ["int8", "f16"])
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
    words, core = estimator._reader.served._words, estimator.model_._core
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

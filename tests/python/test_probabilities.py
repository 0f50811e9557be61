"""Softmax and its logarithm as estimators have them: the kernel's, in both floats, of any rows."""

import itertools

import gru_rs
import numpy as np
import pytest
from gru_rs import _core
from gru_rs.estimators._probabilities import log_sums, softmax
from scipy.special import log_softmax, logsumexp
from scipy.special import softmax as reference

CHAIN = ("start", "end", "transitions")
UNITS = 8  # in the last place, of a sum of up to 33 terms and a quotient


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (5, 2), (4, 33), (2, 3, 17), (7,)])
def test_they_are_those_of_the_definition(shape, dtype):
    scores = np.random.default_rng(1).normal(0, 5, shape).astype(dtype)
    wide = scores.astype(np.float64)
    found = softmax(scores)
    assert found.dtype == dtype
    assert found.shape == shape
    tolerance = UNITS * np.finfo(dtype).eps
    np.testing.assert_allclose(found, reference(wide, axis=-1), rtol=5 * tolerance, atol=0)
    np.testing.assert_allclose(found.sum(axis=-1), np.ones(shape[:-1]), rtol=tolerance)
    sums = log_sums(scores)
    assert sums.dtype == np.float64
    np.testing.assert_allclose(sums, logsumexp(wide, axis=-1), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(wide - sums[..., np.newaxis], log_softmax(wide, axis=-1), atol=25 * tolerance)


def test_rows_are_strangers():
    scores = np.random.default_rng(2).normal(size=(9, 5)).astype(np.float32)
    each = np.stack([softmax(row) for row in scores])
    np.testing.assert_array_equal(softmax(scores), each)
    np.testing.assert_array_equal(softmax(np.asfortranarray(scores)), each)
    np.testing.assert_array_equal(softmax(scores[:, ::-1]), np.stack([softmax(row[::-1]) for row in scores]))


def test_what_is_no_number_stays_so_and_the_scores_are_left_alone():
    scores = np.array([[0.0, np.nan], [1e30, -1e30]], np.float32)
    kept = scores.copy()
    found = softmax(scores)
    assert np.isnan(found[0]).all()
    assert found[1].tolist() == [1.0, 0.0]
    np.testing.assert_array_equal(scores, kept)


def test_what_is_refused():
    scores = np.ones((2, 3), np.float32)
    with pytest.raises(ValueError, match="columns: expected a positive integer, got 0"):
        _core.softmax(scores, 0)
    with pytest.raises(ValueError, match="scores: expected 4 numbers"):
        _core.softmax(scores, 4)
    with pytest.raises(TypeError, match="expected a C-contiguous float64 array"):
        _core.softmax(np.ones(3, np.int32), 3)


def every_path(chain, scores):
    """The share of the paths through each label, by trying all of them."""
    start, end, moves = chain
    steps, labels = scores.shape
    through = np.zeros((steps, labels))
    for path in itertools.product(range(labels), repeat=steps):
        total = start[path[0]] + end[path[-1]] + sum(scores[step, label] for step, label in enumerate(path))
        total += sum(moves[a, b] for a, b in itertools.pairwise(path))
        through[np.arange(steps), path] += np.exp(total)
    return through / through[0].sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_marginals_are_over_all_paths(dtype):
    rng = np.random.default_rng(3)
    model = gru_rs.Model(2, 4, 3, pooling="each", crf=True, dtype=dtype, seed=1)
    model.set_flat(rng.normal(size=model.flat.size).astype(dtype))
    x, lengths = rng.normal(size=(4, 5, 2)).astype(dtype), [5, 1, 0, 3]
    found = model.marginals(x, lengths=lengths)
    scores = model.scores(x, lengths=lengths).astype(np.float64)
    chain = [model.params[f"crf.{name}"].astype(np.float64) for name in CHAIN]
    for begin, length in ((0, 5), (5, 1), (6, 3)):
        part = slice(begin, begin + length)
        np.testing.assert_allclose(found[part], every_path(chain, scores[part]), rtol=1e-9)
    plain = gru_rs.Model(2, 4, 3, pooling="each", dtype=dtype, seed=1)
    wide = plain.scores(x, lengths=lengths).astype(np.float64)
    np.testing.assert_allclose(plain.marginals(x, lengths=lengths), reference(wide, axis=1), rtol=1e-12)
    pooled = gru_rs.Model(2, 4, 3, dtype=dtype, seed=1)
    assert pooled.marginals(x, lengths=lengths).shape == (4, 3)


SENTENCES = [["Ann", "met", "Bob"], ["Bob", "slept"], ["they", "met", "Ann"]] * 8
LABELS = [["B-PER", "O", "B-PER"], ["B-PER", "O"], ["O", "O", "B-PER"]] * 8


@pytest.mark.parametrize("crf", [True, False])
def test_taggers_say_how_sure_they_are(crf, tmp_path):
    options = {"hidden_size": 8, "max_iter": 30, "random_state": 1, "max_length": 2, "crf": crf}
    options["bidirectional"] = crf  # streams have one direction
    tagger = gru_rs.SequenceTagger(**options).fit(SENTENCES, LABELS)
    found, logarithms = tagger.predict_proba(SENTENCES[:3]), tagger.predict_log_proba(SENTENCES[:3])
    for probabilities, logarithm, path in zip(found, logarithms, tagger.predict(SENTENCES[:3]), strict=True):
        assert probabilities.shape == (len(path), 2), "also beyond max_length"
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        np.testing.assert_allclose(np.exp(logarithm), probabilities, rtol=1e-5)
        assert tagger.classes_[probabilities.argmax(axis=1)].tolist() == path.tolist()
    alone = tagger.predict_proba(SENTENCES[1:2])[0]
    np.testing.assert_array_equal(alone, found[1])
    if not crf:
        np.testing.assert_array_equal(tagger.stream()(SENTENCES[0]), found[0])
    tagger.save(tmp_path / "m")
    np.testing.assert_array_equal(gru_rs.load(tmp_path / "m").predict_proba(SENTENCES[:1])[0], found[0])
    assert tagger.predict_proba([]) == tagger.predict_log_proba([]) == []


def test_classifiers_have_logarithms():
    texts = ["a fine day", "a bad day"] * 6
    classifier = gru_rs.SequenceClassifier(hidden_size=8, max_iter=3, random_state=1).fit(texts, [0, 1] * 6)
    found = classifier.predict_log_proba(texts)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.exp(found), classifier.predict_proba(texts), rtol=1e-5)

"""Softmax and its logarithm as estimators have them: the kernel's, in both floats, of any rows."""

import numpy as np
import pytest
from gru_rs import _core
from gru_rs.estimators._probabilities import log_sums, softmax
from scipy.special import log_softmax, logsumexp
from scipy.special import softmax as reference

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

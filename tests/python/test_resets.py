"""`resets`: new sequences within a row. In Rust over random stacks in tests/resets.rs."""

import gru_rs
import numpy as np
import pytest
from conftest import KINDS, new_layer
from numpy_reference import as_tuple

every_kind = pytest.mark.parametrize("kind", KINDS)


def noise(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def same(a, b):
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


@every_kind
@pytest.mark.parametrize("batch_first", [False, True])
def test_as_a_stream_with_resets(kind, batch_first):
    """At each step the rows that the mask names begin again, as an environment of episodes does."""
    layer = new_layer(kind, 3, 9, num_layers=2, batch_first=batch_first)
    x, resets = noise(30, 5, 3), np.random.default_rng(1).random((30, 5)) < 0.2
    stream, steps = layer.stream(5), []
    for x_t, mask in zip(x, resets, strict=True):
        stream.reset(mask)
        steps.append(stream(x_t))
    axes = (1, 0, 2) if batch_first else (0, 1, 2)
    given = np.ascontiguousarray(x.transpose(axes))
    flags = resets.T if batch_first else resets
    y, last = layer(given, resets=flags)
    assert same(y.transpose(axes), steps)
    assert all(same(a, b) for a, b in zip(as_tuple(last), as_tuple(stream.state), strict=True))
    assert same(layer.forward(given, resets=flags)[0], y)
    assert same(layer.quantize("f16")(given, resets=flags)[0].shape, y.shape)


@every_kind
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_by_finite_differences(kind, bidirectional):
    layer = new_layer(kind, 2, 3, num_layers=2, bidirectional=bidirectional, dtype=np.float64)
    x, dy = noise(7, 2, 2, dtype=np.float64), None
    resets = np.zeros((7, 2), bool)
    resets[[0, 3, 4, 6], [1, 0, 0, 1]] = True
    y, h_n, tape = layer.forward(x, resets=resets, lengths=[7, 6])
    dy = noise(*y.shape, seed=1, dtype=np.float64)
    grads = tape.backward(dy)

    def loss(x=x, h0=None):
        return float((layer(x, h0, resets=resets, lengths=[7, 6])[0] * dy).sum())

    def slope(array, call, step=1e-6):
        found = np.empty_like(array)
        for place in np.ndindex(array.shape):
            pair = []
            for sign in (1, -1):
                moved = array.copy()
                moved[place] += sign * step
                pair.append(call(moved))
            found[place] = (pair[0] - pair[1]) / (2 * step)
        return found

    np.testing.assert_allclose(grads.x, slope(x, loss), rtol=1e-5, atol=1e-8)
    shape = as_tuple(h_n)[0].shape
    first = [np.zeros(shape) for _ in as_tuple(h_n)]

    def of_first(moved):
        return loss(h0=(moved, first[1]) if len(first) == 2 else moved)

    dh0 = as_tuple(grads.h0)[0]
    np.testing.assert_allclose(dh0, slope(first[0], of_first), rtol=1e-5, atol=1e-8)
    forth = dh0[:: 2 if bidirectional else 1]
    assert not forth[:, 1].any()
    assert forth[:, 0].all()
    flat = layer.flat.copy()

    def of_flat(moved):
        layer.set_flat(moved)
        return loss()

    np.testing.assert_allclose(grads.flat, slope(flat, of_flat), rtol=1e-5, atol=1e-8)


def test_unbatched_and_none():
    gru, x = gru_rs.GRU(3, 4, seed=1), noise(6, 3)
    resets = [False, False, True, False, False, False]
    y, h_n = gru(x, resets=resets)
    assert same(y, np.concatenate([gru(x[:2])[0], gru(x[2:])[0]]))
    assert same(h_n, gru(x[2:])[1])
    assert same(gru(x, resets=np.zeros(6, bool))[0], gru(x)[0])
    _, _, tape = gru.forward(x, resets=resets)
    grads = tape.backward(dh_n=np.ones_like(h_n))
    assert not grads.x[:2].any()
    assert grads.x[2:].all()


def test_other_bytes_of_bool():
    gru, x = gru_rs.GRU(3, 4, seed=1), noise(3, 3)
    odd = np.array([0, 2, 0], np.uint8).view(bool)
    assert same(gru(x, resets=odd)[0], gru(x, resets=[False, True, False])[0])


@pytest.mark.parametrize(
    ("resets", "kind", "message"),
    [
        (np.zeros((6, 2), np.int8), TypeError, "resets: expected an array of bool, got int8"),
        (np.zeros((2, 6), bool), ValueError, r"resets: expected shape \(6, 2\), got \(2, 6\)"),
        ([True], ValueError, r"resets: expected shape \(6, 2\), got \(1,\)"),
    ],
)
def test_what_cannot_be(resets, kind, message):
    gru, x = gru_rs.GRU(3, 4), noise(6, 2, 3)
    for call in (gru, gru.forward):
        with pytest.raises(kind, match=message):
            call(x, resets=resets)

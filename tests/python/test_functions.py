"""Other functions for the gates and the candidate, and bounds on their arguments."""

import copy
import pickle

import gru_rs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

PLAIN = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_sigmoid_0.2": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
}

functions = st.sampled_from(sorted(PLAIN))
clips = st.none() | st.floats(0.05, 2)


def plain(layer, x, h, c):
    """The textbook, step by step."""
    w = {name.removesuffix("_l0"): value for name, value in layer.state_dict().items()}
    gates = 4 if c is not None else 3

    def bound(x):
        return x if layer.clip is None else np.clip(x, -layer.clip, layer.clip)

    def gate(x):
        return PLAIN[layer.recurrent_activation](bound(x))

    def candidate(x):
        return PLAIN[layer.activation](bound(x))

    ys = []
    for step in x:
        of_x = np.split(step @ w["weight_ih"].T + w["bias_ih"], gates, axis=-1)
        of_h = np.split(h @ w["weight_hh"].T + w["bias_hh"], gates, axis=-1)
        if c is not None:
            i, f, o = (gate(of_x[k] + of_h[k]) for k in (0, 1, 3))
            c = f * c + i * candidate(of_x[2] + of_h[2])
            h = o * PLAIN[layer.activation](c)  # which no gate's bound concerns
        else:
            r, z = (gate(of_x[k] + of_h[k]) for k in (0, 1))
            if layer.reset_after:
                n = candidate(of_x[2] + r * of_h[2])
            else:
                rows = layer.hidden_size
                n = candidate(of_x[2] + (r * h) @ w["weight_hh"][2 * rows :].T + w["bias_hh"][2 * rows :])
            h = (1 - z) * n + z * h
        ys.append(h)
    return np.stack(ys)


def make(kind, units=5, **options):
    if kind == "lstm":
        return gru_rs.LSTM(3, units, dtype=np.float64, seed=1, **options)
    return gru_rs.GRU(3, units, reset_after=kind == "after", dtype=np.float64, seed=1, **options)


@given(st.sampled_from(["after", "before", "lstm"]), functions, functions, clips, st.integers(1, 19))
def test_equals_the_textbook(kind, gate, candidate, clip, units):
    layer = make(kind, units, recurrent_activation=gate, activation=candidate, clip=clip)
    rng = np.random.default_rng(units)
    x, h, c = rng.normal(size=(4, 2, 3)), rng.normal(size=(2, units)), rng.normal(size=(2, units))
    y, _ = layer(x, (h[None], c[None]) if kind == "lstm" else h[None])
    expected = plain(layer, x, h, c if kind == "lstm" else None)
    assert np.abs(y - expected).max() <= 1e-13 * max(1, np.abs(expected).max())


@pytest.mark.parametrize("kind", ["after", "before", "lstm"])
@pytest.mark.parametrize("gate", sorted(PLAIN))
@pytest.mark.parametrize("candidate", ["tanh", "relu", "hard_sigmoid"])
@pytest.mark.parametrize("clip", [None, 0.3])
def test_gradients_are_those_of_finite_differences(kind, gate, candidate, clip):
    layer = make(kind, recurrent_activation=gate, activation=candidate, clip=clip)
    rng = np.random.default_rng(7)
    x, d_y = rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 2, 5))
    grads = layer.forward(x)[-1].backward(d_y)
    flat, step = layer.flat.copy(), 1e-6
    for k in rng.choice(len(flat), 30, replace=False):
        sides = []
        for sign in (1, -1):
            changed = flat.copy()
            changed[k] += sign * step
            layer.set_flat(changed)
            sides.append((layer(x)[0] * d_y).sum())
        assert grads.flat[k] == pytest.approx((sides[0] - sides[1]) / (2 * step), abs=2e-7)


def test_the_default_is_sigmoid_and_tanh_without_a_bound():
    layer = gru_rs.GRU(3, 8)
    assert (layer.recurrent_activation, layer.activation, layer.clip) == ("sigmoid", "tanh", None)
    assert "activation" not in repr(layer)


@pytest.mark.parametrize("make", [gru_rs.GRU, gru_rs.LSTM, gru_rs.GRUCell, gru_rs.LSTMCell])
def test_functions_survive_copies(make):
    layer = make(3, 4, recurrent_activation="hard_sigmoid", activation="relu", clip=2.0, seed=1)
    assert "recurrent_activation='hard_sigmoid', activation='relu', clip=2.0" in repr(layer)
    x = np.ones((2, 3), np.float32)
    for other in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
        assert repr(other) == repr(layer)
        for a, b in zip(np.atleast_1d(layer(x)[0]), np.atleast_1d(other(x)[0]), strict=True):
            assert np.array_equal(a, b)


def test_a_stream_has_them_too():
    layer = make("after", recurrent_activation="hard_sigmoid_0.2", activation="relu", clip=1.0)
    x = np.random.default_rng(0).normal(size=(6, 3))
    stream = layer.stream()
    assert np.array_equal(np.stack([stream(step) for step in x]), layer(x)[0])


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"activation": "selu"}, ValueError, "activation: expected 'sigmoid' or .* got 'selu'"),
        ({"recurrent_activation": None}, ValueError, "recurrent_activation: expected"),
        ({"clip": 0}, ValueError, "clip: expected a positive number, got 0"),
        ({"clip": -1.0}, ValueError, "clip: expected a positive number"),
        ({"clip": float("nan")}, ValueError, "clip: expected a positive number"),
        ({"clip": "1"}, TypeError, "clip: expected a number"),
    ],
)
def test_mistakes(options, error, words):
    with pytest.raises(error, match=words):
        gru_rs.GRU(3, 4, **options)

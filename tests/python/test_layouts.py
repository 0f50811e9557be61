"""Layouts of frameworks: there and back, Paddle's and Haiku's formulas, and the table in the documents."""

from pathlib import Path

import gru_rs
import numpy as np
import pytest
from gru_rs.io import _layouts

rng = np.random.default_rng(0)
DOCUMENT = Path(__file__).parents[2] / "docs" / "layouts.md"


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


GIVEN = [layout for layout in _layouts.ALL if not layout.swapped and not layout.forget]  # others: only taken


@pytest.mark.parametrize("layout", GIVEN, ids=lambda layout: f"{layout.framework} {layout.cell}")
def test_what_is_given_is_what_was_taken(layout):
    rows = len(layout.gates) * 4
    w_ih, w_hh = rng.normal(size=(rows, 3)), rng.normal(size=(rows, 4))
    if layout.transposed:
        w_ih, w_hh = w_ih.T, w_hh.T
    biases = [rng.normal(size=rows) for _ in range(layout.biases)]
    given = layout.give(layout.take(w_ih, w_hh, *biases))
    for a, b in zip(given, [w_ih, w_hh, *biases], strict=True):
        assert np.array_equal(a, b)
    assert len(layout.give(layout.take(w_ih, w_hh))) == 2


@pytest.mark.skipif(not DOCUMENT.exists(), reason="an sdist has no documents")
def test_the_document_has_this_table():
    assert _layouts.table() in DOCUMENT.read_text()


@pytest.mark.parametrize("origin_mode", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_paddle(origin_mode, bias):
    units, inputs = 5, 3
    fc, fc_bias = rng.normal(size=(inputs, 15)), rng.normal(size=15) if bias else None
    own_bias = rng.normal(size=(1, 15)) if bias else None
    gates, candidate = rng.normal(size=(units, 2 * units)), rng.normal(size=(units, units))
    weight = np.concatenate([gates.ravel(), candidate.ravel()]).reshape(units, 3 * units)
    x, h = rng.normal(size=(6, inputs)), np.zeros(units)
    expected = []
    for step in x:
        u_x, r_x, c_x = np.split(step @ fc + (fc_bias + own_bias[0] if bias else 0), 3)
        u_h, r_h = np.split(h @ gates, 2)
        u, r = sigmoid(u_x + u_h), sigmoid(r_x + r_h)
        c = np.tanh(c_x + (r * h) @ candidate)
        h = u * h + (1 - u) * c if origin_mode else (1 - u) * h + u * c
        expected.append(h)
    gru = gru_rs.GRU(inputs, units, reset_after=False, dtype=np.float64)
    gru.load_state_dict(gru_rs.from_paddle(fc, weight, fc_bias, own_bias, origin_mode=origin_mode))
    assert np.abs(gru(x)[0] - expected).max() < 1e-14


def test_haiku_gru():
    """haiku/_src/recurrent.py: GRU."""
    units, inputs = 5, 3
    w_i, w_h, b = rng.normal(size=(inputs, 15)), rng.normal(size=(units, 15)), rng.normal(size=15)
    x, h = rng.normal(size=(6, inputs)), np.zeros(units)
    expected = []
    for step in x:
        z_x, r_x, a_x = np.split(step @ w_i + b, 3)
        z_h, r_h = np.split(h @ w_h[:, : 2 * units], 2)
        z, r = sigmoid(z_x + z_h), sigmoid(r_x + r_h)
        a = np.tanh(a_x + (r * h) @ w_h[:, 2 * units :])
        h = (1 - z) * h + z * a
        expected.append(h)
    gru = gru_rs.GRU(inputs, units, reset_after=False, dtype=np.float64)
    gru.load_state_dict(gru_rs.from_haiku({"w_i": w_i, "w_h": w_h, "b": b}))
    assert np.abs(gru(x)[0] - expected).max() < 1e-14


def test_haiku_lstm():
    """haiku/_src/recurrent.py: LSTM."""
    units, inputs = 5, 3
    w, b = rng.normal(size=(inputs + units, 20)), rng.normal(size=20)
    x, h, c = rng.normal(size=(6, inputs)), np.zeros(units), np.zeros(units)
    expected = []
    for step in x:
        i, g, f, o = np.split(np.concatenate([step, h]) @ w + b, 4)
        c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        expected.append(h)
    lstm = gru_rs.LSTM(inputs, units, dtype=np.float64)
    lstm.load_state_dict(gru_rs.from_haiku({"w": w, "b": b}))
    assert np.abs(lstm(x)[0] - expected).max() < 1e-14


def test_both_directions_of_paddle():
    fc, weight = rng.normal(size=(3, 15)), rng.normal(size=(5, 15))
    parts = gru_rs.from_paddle(fc, weight) | gru_rs.from_paddle(fc, weight, suffix="_l0_reverse")
    gru = gru_rs.GRU(3, 5, bidirectional=True, reset_after=False, dtype=np.float64)
    gru.load_state_dict(parts)
    x = rng.normal(size=(6, 3))
    y, _ = gru(x)
    turned, _ = gru(x[::-1])
    assert np.array_equal(y[:, :5], turned[::-1, 5:])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gru_rs.from_paddle(np.ones((3, 15)), np.ones((5, 14))), r"weight: expected shape \(5, 15\)"),
        (lambda: gru_rs.from_paddle(np.ones((3, 14)), np.ones((5, 15))), "w_ih: expected shape"),
        (lambda: gru_rs.from_paddle(np.ones((3, 15)), np.ones((5, 15)), np.ones(5)), "b_ih: expected shape"),
        (lambda: gru_rs.from_haiku({"w": np.ones((8, 20))}), r"params: expected .* got \['w'\]"),
        (lambda: gru_rs.from_haiku({"w": np.ones((8, 19)), "b": np.ones(19)}), "b: expected shape"),
        (lambda: gru_rs.from_haiku({"w": np.ones((5, 20)), "b": np.ones(20)}), "w: expected shape"),
        (
            lambda: gru_rs.from_haiku({"w_i": np.ones((3, 15)), "w_h": np.ones((5, 15)), "b": np.ones(14)}),
            "b: expected shape",
        ),
    ],
)
def test_shapes_that_do_not_fit(call, words):
    with pytest.raises(ValueError, match=words):
        call()

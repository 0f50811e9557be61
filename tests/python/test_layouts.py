"""Layouts of frameworks: there and back, Paddle's and Haiku's formulas, and the table in the documents."""

import re
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


def gru_steps(x, w_ih, w_hh, b_ih, b_hh, reset_after):
    """A GRU's states from its gates r, z, n, each (H, ·)."""
    h, states = np.zeros(len(w_hh[0])), []
    for step in x:
        r, z = (sigmoid(w_ih[k] @ step + w_hh[k] @ h + b_ih[k] + b_hh[k]) for k in (0, 1))
        inner = r * (w_hh[2] @ h + b_hh[2]) if reset_after else w_hh[2] @ (r * h) + b_hh[2]
        h = (1 - z) * np.tanh(w_ih[2] @ step + b_ih[2] + inner) + z * h
        states.append(h)
    return states


def lstm_steps(x, w_ih, w_hh, b_ih, b_hh):
    """An LSTM's states from its gates i, f, g, o."""
    h, states = np.zeros(len(w_hh[0])), []
    c = h
    for step in x:
        i, f, g, o = (w_ih[k] @ step + w_hh[k] @ h + b_ih[k] + b_hh[k] for k in range(4))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return states


def gates(count, units=5, inputs=3):
    return [rng.normal(size=(count, units, *axes)) for axes in ((inputs,), (units,), (), ())]


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("framework", ["mxnet", "flux"])
def test_mxnet_and_flux(framework, count):
    """mxnet/gluon/rnn/rnn_cell.py; Flux.jl/src/layers/recurrent.jl."""
    w_ih, w_hh, b_ih, b_hh = gates(count)
    if framework == "mxnet":
        names = {"i2h_weight": w_ih, "h2h_weight": w_hh, "i2h_bias": b_ih, "h2h_bias": b_hh}
    else:
        b_hh = b_hh * 0
        names = {"Wi": w_ih, "Wh": w_hh, "b": b_ih}
    x = rng.normal(size=(6, 3))
    parts = (x, w_ih, w_hh, b_ih, b_hh)
    expected = gru_steps(*parts, reset_after=True) if count == 3 else lstm_steps(*parts)
    flat = {name: np.concatenate(list(array)) for name, array in names.items()}
    assert np.abs(gru_rs.from_arrays(framework, flat)(x)[0] - expected).max() < 1e-14


NAMED = [(framework, layout) for framework, layouts in _layouts.NAMED.items() for layout in layouts]


def named_arrays(layout, dtype=np.float64, bias=True, inputs=3, units=5):
    """Arrays as a framework names them."""
    found = {}
    for slot, columns in zip(layout.parts[: 4 if bias else 2], (inputs, units, 0, 0), strict=False):
        for name in slot.split():
            rows = len(layout.gates) * units // len(slot.split())
            shape = (columns, rows) if layout.transposed else (rows, columns)
            found[name] = rng.normal(size=shape if columns else rows).astype(dtype)
    return {name: array for name, array in found.items() if name != "-"}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("framework", "layout"), NAMED, ids=lambda value: getattr(value, "framework", value))
def test_arrays_by_their_names(framework, layout, dtype, bias):
    """Of all layouts: nested or joined, layers and directions, and nothing left over or missing."""
    if layout.forget and not bias:  # a framework that adds to a bias has one
        with pytest.raises(ValueError, match="expected exactly the arrays"):
            gru_rs.from_arrays(framework, named_arrays(layout, dtype, bias))
        return
    first, second = (named_arrays(layout, dtype, bias) for _ in range(2))
    wide = [named_arrays(layout, dtype, bias, inputs=10) for _ in range(2)]
    layer = gru_rs.from_arrays(framework, [(first, second), wide], batch_first=True)
    assert (layer.num_layers, layer.bidirectional, layer.bias) == (2, True, bias)
    assert (layer.dtype, layer.batch_first) == (dtype, True)
    if layout.cell == "gru":
        assert layer.reset_after == (layout.reset == _layouts.AFTER)
    nested = {}
    for name, array in second.items():
        *folders, own = name.split(".")
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
        place[own] = array
    one = gru_rs.from_arrays(framework, nested)
    for name, array in one.params.items():
        np.testing.assert_array_equal(array, layer.params[f"{name}_reverse"])
    for name in first:
        missing = {own: array for own, array in first.items() if own != name}
        if missing.keys() != named_arrays(layout, bias=False).keys():  # that is a layer without biases
            with pytest.raises(ValueError, match=r"params\[0\]: expected exactly the arrays"):
                gru_rs.from_arrays(framework, missing)
        with pytest.raises(ValueError, match=r"expected shape|expected exactly the arrays"):
            gru_rs.from_arrays(framework, first | {name: np.ones((2, 2), dtype)})
    with pytest.raises(ValueError, match=r"got .*more"):
        gru_rs.from_arrays(framework, first | {"more": np.ones(3)})


def test_mistakes_with_arrays():
    gru, lstm = (named_arrays(layout) for layout in _layouts.NAMED["mlx"])
    with pytest.raises(ValueError, match="framework: expected"):
        gru_rs.from_arrays("theano", gru)
    with pytest.raises(
        ValueError, match=r"params: expected one kind of layer, got \['MLX gru', 'MLX lstm'\]"
    ):
        gru_rs.from_arrays("mlx", [(gru, lstm)])
    for wrong in ([], [(gru, gru, gru)], [gru, (gru, gru)]):
        with pytest.raises(ValueError, match="params: expected a mapping, or a list of them or of pairs"):
            gru_rs.from_arrays("mlx", wrong)
    with pytest.raises(TypeError, match=r"params\[0\]: expected a mapping"):
        gru_rs.from_arrays("mlx", [[3]])
    with pytest.raises(TypeError, match="params: expected a mapping"):
        gru_rs.from_arrays("mlx", 3)


def recipe(word, **names):
    """Run what docs/layouts.md has for it."""
    (text,) = (
        text for text in re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL) if word in text
    )
    names |= {"gru_rs": gru_rs, "np": np}
    exec(text, names)
    return names["layer"]


@pytest.mark.skipif(not DOCUMENT.exists(), reason="an sdist has no documents")
def test_recipes():
    assert recipe('from_arrays("mlx"').num_layers == 2
    layer = gru_rs.LSTM(3, 5, 2, bidirectional=True, seed=1)
    state = {
        re.sub(r"_l(\d)", lambda f: f"_l{int(f[1]) + 1}", name): a for name, a in layer.state_dict().items()
    }
    assert np.array_equal(recipe("import re", state=state).flat, layer.flat)
    for reset_after in (True, False):
        parts = gates(3)
        record = {
            gate: {
                part: {"weight": weight[k].T, "bias": bias[k]}
                for part, weight, bias in zip(
                    ("input_transform", "hidden_transform"), parts, parts[2:], strict=False
                )
            }
            for k, gate in enumerate(("reset_gate", "update_gate", "new_gate"))
        }
        x = rng.normal(size=(6, 3))
        ours = recipe("update_gate", record=record, reset_after=reset_after)(x)[0]
        assert np.abs(ours - gru_steps(x, *parts, reset_after)).max() < 1e-14


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

"""What a layer is to its caller: shapes, lengths, default arguments, dropout, attributes, repr.

The numbers are judged elsewhere (numpy_reference.py, golden vectors), the weights and their views in
test_weights.py; here it is the contract of a call.
"""

import importlib.metadata

import gru_rs
import numpy as np
import pytest
from conftest import DTYPES, KINDS, constructor, new_problem

T, B, F, H = 5, 3, 2, 4  # F features
LAYERS = [gru_rs.GRU, gru_rs.LSTM]
CLASSES = [*LAYERS, gru_rs.GRUCell, gru_rs.LSTMCell]
DEEP = {"num_layers": 2, "bidirectional": True}


def parts(state):
    """The arrays of a state: (h,) or (h, c)."""
    return state if isinstance(state, tuple) else (state,)


def join(kind, *arrays):
    """The state of a kind from its arrays."""
    return arrays[:2] if kind in {"lstm", gru_rs.LSTM} else arrays[0]


def noise(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def bits(*arrays):
    return [a.tobytes() for a in arrays]


# Shapes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("layout", ["time", "batch", "unbatched"])
@pytest.mark.parametrize("kind", KINDS)
def test_shapes(kind, layout, layers, bidirectional, dtype):
    p = new_problem(
        kind,
        T,
        None if layout == "unbatched" else B,
        F,
        H,
        dtype=dtype,
        num_layers=layers,
        bidirectional=bidirectional,
        batch_first=layout == "batch",
    )
    width = 2 * H if bidirectional else H
    axes = {"time": (T, B), "batch": (B, T), "unbatched": (T,)}[layout]
    stack = layers * (2 if bidirectional else 1)
    state = (stack, H) if layout == "unbatched" else (stack, B, H)

    answers = [p.layer(p.x, p.state), p.layer.forward(p.x, p.state)[:2]]
    for y, last in answers:
        assert y.shape == (*axes, width)
        assert [s.shape for s in parts(last)] == [state] * len(parts(p.state))
        assert {y.dtype, *(s.dtype for s in parts(last))} == {np.dtype(dtype)}
        assert y.flags.c_contiguous
    grads = p.layer.forward(p.x, p.state)[-1].backward(p.dy, p.d_state)
    assert grads.x.shape == p.x.shape
    assert type(grads.h0) is type(p.state)
    assert [s.shape for s in parts(grads.h0)] == [state] * len(parts(p.state))
    assert [(k, g.shape) for k, g in grads.params.items()] == [
        (k, w.shape) for k, w in p.layer.params.items()
    ]
    assert grads.flat.shape == p.layer.flat.shape
    gradients = [grads.x, grads.flat, *parts(grads.h0), *grads.params.values()]
    assert {g.dtype for g in gradients} == {np.dtype(dtype)}


@pytest.mark.parametrize("options", [{}, DEEP, {"batch_first": True}])
@pytest.mark.parametrize("kind", KINDS)
def test_no_steps(kind, options):
    """T = 0: y is empty and the state passes through, and so does its gradient."""
    p = new_problem(kind, 0, B, F, H, **options)
    y, last, tape = p.layer.forward(p.x, p.state)
    assert y.size == 0
    assert y.shape == p.dy.shape
    assert bits(*parts(last)) == bits(*parts(p.state))
    called = p.layer(p.x, p.state)
    assert called[0].shape == y.shape
    assert bits(*parts(called[1])) == bits(*parts(p.state))
    grads = tape.backward(p.dy, p.d_state)
    assert grads.x.shape == p.x.shape
    assert bits(*parts(grads.h0)) == bits(*parts(p.d_state))
    assert not grads.flat.any()
    zeros = parts(p.layer(p.x)[1])
    assert not any(s.any() for s in zeros)


@pytest.mark.parametrize("kind", KINDS)
def test_no_steps_unbatched(kind):
    p = new_problem(kind, 0, None, F, H)
    y, last = p.layer(p.x, p.state)
    assert y.shape == (0, H)
    assert bits(*parts(last)) == bits(*parts(p.state))


@pytest.mark.parametrize("options", [{}, DEEP, {"batch_first": True}])
@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(kind, options):
    p = new_problem(kind, T, 0, F, H, **options)
    y, last, tape = p.layer.forward(p.x, p.state, lengths=np.zeros(0, np.int64))
    assert y.shape == p.dy.shape
    assert [s.shape for s in parts(last)] == [s.shape for s in parts(p.state)]
    grads = tape.backward(p.dy, p.d_state)
    assert grads.x.shape == p.x.shape
    assert not grads.flat.any()


# Lengths and default arguments --------------------------------------------------------------------

LENGTHS = [0, T, 2, 3, 0, 1]  # in no order, with zeros


@pytest.mark.parametrize("kind", KINDS)
def test_lengths(kind):
    """y is zero past a row's length, h_n is the state at its last valid step, the reverse starts there."""
    p = new_problem(kind, T, len(LENGTHS), F, H, bidirectional=True)
    y, last = p.layer(p.x, p.state, lengths=LENGTHS)
    h_n, h0 = parts(last)[0], parts(p.state)[0]
    for row, n in enumerate(LENGTHS):
        assert not y[n:, row].any()
        forward, reverse = (y[n - 1, row, :H], y[0, row, H:]) if n else h0[:, row]
        assert bits(forward, reverse) == bits(*h_n[:, row])
        alone = p.layer(p.x[:n, row], join(kind, *(s[:, row] for s in parts(p.state))))
        assert bits(y[:n, row], *(s[:, row] for s in parts(last))) == bits(alone[0], *parts(alone[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_past_a_length(kind):
    """dy past a length is ignored, grads.x there is zero, and a row without steps passes dh_n on to h0."""
    p = new_problem(kind, T, len(LENGTHS), F, H)
    answers = []
    for padding in [0.0, 1e30, np.nan]:
        dy = p.dy.copy()
        for row, n in enumerate(LENGTHS):
            dy[n:, row] = padding
        grads = p.layer.forward(p.x, p.state, lengths=LENGTHS)[-1].backward(dy, p.d_state)
        for row, n in enumerate(LENGTHS):
            assert not grads.x[n:, row].any()
            if n == 0:
                pairs = zip(parts(grads.h0), parts(p.d_state), strict=True)
                assert all(g[0, row].tobytes() == d[0, row].tobytes() for g, d in pairs)
        answers.append(bits(grads.x, grads.flat, *parts(grads.h0)))
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lengths", [[T] * B, (T,) * B, np.full(B, T, np.uint8), np.full(B, T, ">i4")])
def test_full_lengths_are_no_lengths(kind, lengths):
    p = new_problem(kind, T, B, F, H, **DEEP)
    whole, ragged = p.layer(p.x, p.state), p.layer(p.x, p.state, lengths=lengths)
    assert bits(whole[0], *parts(whole[1])) == bits(ragged[0], *parts(ragged[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_lengths_batch_first(kind):
    p = new_problem(kind, T, len(LENGTHS), F, H, batch_first=True)
    turned = new_problem(kind, T, len(LENGTHS), F, H)
    turned.layer.load_state_dict(p.layer.state_dict())
    y, last = p.layer(p.x, p.state, lengths=LENGTHS)
    other, last_other = turned.layer(p.x.swapaxes(0, 1), p.state, lengths=LENGTHS)
    assert bits(y, *parts(last)) == bits(other.swapaxes(0, 1).copy(), *parts(last_other))


@pytest.mark.parametrize("kind", KINDS)
def test_missing_h0_is_zero(kind):
    p = new_problem(kind, T, B, F, H, **DEEP)
    zeros = join(kind, *(np.zeros_like(parts(p.state)[0]) for _ in range(2)))
    for missing, given in [
        (p.layer(p.x), p.layer(p.x, zeros)),
        (p.layer(p.x, None), p.layer(p.x, zeros)),
        (p.layer.forward(p.x)[:2], p.layer.forward(p.x, zeros)[:2]),
    ]:
        assert bits(missing[0], *parts(missing[1])) == bits(given[0], *parts(given[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_missing_dy_or_dh_n_is_zero(kind):
    p = new_problem(kind, T, B, F, H, **DEEP)
    zero_dy, zero_state = np.zeros_like(p.dy), join(kind, *(np.zeros_like(s) for s in parts(p.d_state)))

    def grads(*args, **named):
        g = p.layer.forward(p.x, p.state)[-1].backward(*args, **named)
        return [g.x, g.flat, *parts(g.h0)]

    for missing, given in [
        (grads(), grads(zero_dy, zero_state)),
        (grads(p.dy), grads(p.dy, zero_state)),
        (grads(dy=p.dy), grads(p.dy, zero_state)),
        (grads(None, p.d_state), grads(zero_dy, p.d_state)),
        (grads(dh_n=p.d_state), grads(zero_dy, p.d_state)),
    ]:
        for a, b in zip(missing, given, strict=True):
            np.testing.assert_array_equal(a, b)
    assert not any(g.any() for g in grads())


# Dropout ------------------------------------------------------------------------------------------


def dropping(kind, p=0.5, seed=1, **options):
    make, more = constructor(kind)
    return make(F, H, 3, dropout=p, seed=seed, **more, **options)


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_is_for_training(kind):
    """`__call__` knows no dropout; `forward` drops by its seed."""
    layer, plain = dropping(kind), dropping(kind, 0.0)
    x = noise(T, B, F)
    assert bits(layer(x)[0]) == bits(layer(x)[0]) == bits(plain(x)[0]) == bits(plain.forward(x, seed=1)[0])
    one, again, two = (layer.forward(x, seed=s)[0] for s in (1, 1, 2))
    assert bits(one) == bits(again)
    assert bits(one) != bits(two)
    assert bits(one) != bits(layer(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_draws_from_the_layer(kind):
    """seed=None draws and advances: equal layers draw equal seeds, whatever else is called between."""
    layer, twin, other = dropping(kind), dropping(kind), dropping(kind, seed=2)
    other.load_state_dict(layer.state_dict())
    x = noise(T, B, F)
    drawn = [layer.forward(x)[0].tobytes() for _ in range(4)]
    assert len(set(drawn)) == 4
    again = []
    for seed in range(4):
        twin(x)
        twin.forward(x, seed=seed)
        again.append(twin.forward(x)[0].tobytes())
    assert drawn == again
    assert drawn[0] != other.forward(x)[0].tobytes()


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("kind", KINDS)
def test_what_dropout_drops(kind, p):
    """Each output between layers is dropped with probability p or divided by 1 - p.

    The second layer is made a plain wire: gates held open or shut by their bias, and a small weight of the
    candidate on its own input, where tanh is the identity to 1e-4 at worst. So its outputs show the mask.
    """
    hidden, small, shut = 16, 1e-3, 40.0
    make, more = constructor(kind)
    layer = make(F, hidden, 2, dropout=p, dtype=np.float64, seed=1, **more)
    state = layer.state_dict()
    for name in state:
        if name.endswith("_l1"):
            state[name][...] = 0
    candidate = slice(2 * hidden, 3 * hidden)  # third for both: r, z, n and i, f, g, o
    state["weight_ih_l1"][candidate] = small * np.eye(hidden)
    gates = [0, -shut, 0] if make is gru_rs.GRU else [shut, -shut, 0, shut]  # z, or f, shut; i and o open
    state["bias_ih_l1"][:] = np.repeat(gates, hidden)
    layer.load_state_dict(state)

    x = noise(40, 25, F, dtype=np.float64)
    kept = layer.forward(x, seed=7)[0] / layer(x)[0]
    dropped = abs(kept) < 1e-6  # not quite zero: a gate is shut to 4e-18
    np.testing.assert_allclose(kept[~dropped], 1 / (1 - p), rtol=1e-3)
    # Five standard errors; and every step, row and unit takes part.
    assert abs(dropped.mean() - p) < 5 * np.sqrt(p * (1 - p) / dropped.size)
    for axis in [(0, 1), (0, 2), (1, 2)]:
        assert dropped.mean(axis).min() > 0
        assert dropped.mean(axis).max() < 1
    assert abs(kept.mean() - 1) < 5 * np.sqrt(p / (1 - p) / dropped.size) + 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_backward_goes_through_the_same_mask(kind):
    """The slope of the loss along a random direction, against float64 central differences at one seed."""
    p = new_problem(kind, T, B, F, H, dtype=np.float64, num_layers=3, bidirectional=True, dropout=0.4)
    weights = p.layer.flat.copy()
    direction = noise(weights.size, dtype=np.float64)
    direction /= np.linalg.norm(direction)
    grads = p.layer.forward(p.x, p.state, seed=5)[-1].backward(p.dy)

    def loss(step):
        p.layer.set_flat(weights + step * direction)
        return float((p.layer.forward(p.x, p.state, seed=5)[0] * p.dy).sum())

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    # The difference is off by step^2 / 6 times a third derivative, which is far below 100: 1e-8 at most.
    assert slope == pytest.approx(float(grads.flat @ direction), rel=1e-6, abs=1e-8)


# What a layer says of itself ----------------------------------------------------------------------


def attributes(layer):
    names = ["input_size", "hidden_size", "bias", "dtype", "seed"]
    names += ["num_layers", "batch_first", "dropout", "bidirectional"] if type(layer) in LAYERS else []
    names += ["reset_after"] if type(layer) in {gru_rs.GRU, gru_rs.GRUCell} else []
    return {name: getattr(layer, name) for name in names}


def test_constructor_arguments_are_attributes():
    given = {
        "bias": False,
        "batch_first": True,
        "dropout": 0.25,
        "bidirectional": True,
        "dtype": np.dtype(np.float64),
        "seed": 9,
    }
    for kind, more in [(gru_rs.GRU, {"reset_after": False}), (gru_rs.LSTM, {})]:
        layer = kind(F, H, 2, **given, **more)
        expected = {"input_size": F, "hidden_size": H, "num_layers": 2, **given, **more}
        assert attributes(layer) == expected
    for kind, more in [(gru_rs.GRUCell, {"reset_after": False}), (gru_rs.LSTMCell, {})]:
        cell = kind(input_size=F, hidden_size=H, bias=False, dtype=np.float64, seed=9, **more)
        expected = {"input_size": F, "hidden_size": H, **more}
        expected |= {k: given[k] for k in ("bias", "dtype", "seed")}
        assert attributes(cell) == expected


def test_defaults():
    layer = gru_rs.GRU(F, H)
    expected = {"input_size": F, "hidden_size": H, "num_layers": 1, "bias": True, "batch_first": False}
    expected |= {"dropout": 0.0, "bidirectional": False, "reset_after": True, "seed": None}
    expected |= {"dtype": np.dtype(np.float32)}
    assert attributes(layer) == expected
    assert not hasattr(gru_rs.LSTM(F, H), "reset_after")


@pytest.mark.parametrize("dtype", [np.float64, "float64", np.dtype("float64"), np.dtype("f8")])
def test_dtype_as_numpy_spells_it(dtype):
    layer = gru_rs.GRU(F, H, dtype=dtype)
    assert layer.dtype == np.float64
    assert layer.flat.dtype == np.float64


@pytest.mark.parametrize("kind", CLASSES)
def test_sizes_may_be_numpy_integers(kind):
    layer = kind(np.int64(F), np.uint8(H))
    assert (layer.input_size, layer.hidden_size) == (F, H)


@pytest.mark.parametrize("kind", CLASSES)
def test_repr(kind):
    """The class, its sizes and what is not a default."""
    text = repr(kind(16, 20))
    assert text.startswith(kind.__name__ + "(")
    assert text.endswith(")")
    words = ["16", "20"]
    options = {"bias": False, "dtype": np.float64}
    words += ["bias=False", "float64"]
    if kind in LAYERS:
        options |= {"num_layers": 7, "batch_first": True, "dropout": 0.25, "bidirectional": True}
        words += ["7", "batch_first=True", "dropout=0.25", "bidirectional=True"]
    if kind in {gru_rs.GRU, gru_rs.GRUCell}:
        options |= {"reset_after": False}
        words += ["reset_after=False"]
    shown = repr(kind(16, 20, **options))
    assert [w for w in words if w not in shown] == []
    assert [w for w in words[4:] if w in text] == []


def test_show_config_prints(capfd):
    assert gru_rs.show_config() is None
    shown = capfd.readouterr().out
    for key, value in gru_rs.show_config(mode="dicts").items():
        assert key in shown
        for each in value if isinstance(value, list | tuple) else [value]:
            assert str(each) in shown


def test_show_config_as_a_dict(capfd):
    config = gru_rs.show_config(mode="dicts")
    assert capfd.readouterr().out == ""
    assert {"version", "commit", "isa", "isa_available", "threads"} <= set(config)
    assert config["version"] == importlib.metadata.version("gru-rs")
    assert config["isa"] in config["isa_available"]
    assert "scalar" in config["isa_available"]
    assert isinstance(config["commit"], str)
    assert isinstance(config["threads"], int)
    assert config["threads"] >= 1

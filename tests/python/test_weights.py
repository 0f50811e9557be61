"""The weights of a layer: names and order, copies of them, first values, copies and pickles."""

import copy
import pickle

import gru_rs
import numpy as np
import pytest
from conftest import DTYPES, KINDS, new_problem, run

T, B, F, H = 5, 3, 2, 4  # F features
LAYERS = [gru_rs.GRU, gru_rs.LSTM]
CLASSES = [*LAYERS, gru_rs.GRUCell, gru_rs.LSTMCell]
DEEP = {"num_layers": 2, "bidirectional": True}


def noise(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# Weights ------------------------------------------------------------------------------------------


def expected_shapes(gates, layers, bidirectional, bias):
    """PyTorch's names, order and shapes."""
    shapes = {}
    for layer in range(layers):
        width = F if layer == 0 else (2 * H if bidirectional else H)
        for end in [f"_l{layer}", f"_l{layer}_reverse"][: 2 if bidirectional else 1]:
            shapes["weight_ih" + end] = (gates * H, width)
            shapes["weight_hh" + end] = (gates * H, H)
            if bias:
                shapes["bias_ih" + end] = shapes["bias_hh" + end] = (gates * H,)
    return shapes


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 11])
@pytest.mark.parametrize("kind", LAYERS)
def test_state_dict_is_as_pytorch_names_it(kind, layers, bidirectional, bias):
    layer = kind(F, H, layers, bidirectional=bidirectional, bias=bias)
    shapes = expected_shapes(4 if kind is gru_rs.LSTM else 3, layers, bidirectional, bias)
    grads = layer.forward(noise(T, B, F))[-1].backward()
    for weights in [layer.state_dict(), layer.params, grads.params]:
        assert [(k, v.shape) for k, v in weights.items()] == list(shapes.items())


@pytest.mark.parametrize("options", [{}, DEEP, {"bias": False}, {"dtype": np.float64}])
@pytest.mark.parametrize("kind", LAYERS)
def test_flat_lines_up_with_params(kind, options):
    layer = kind(F, H, seed=1, **options)
    grads = layer.forward(noise(T, B, F).astype(layer.dtype))[-1].backward(None, None)
    for flat, named in [
        (layer.flat, layer.params),
        (grads.flat, grads.params),
        (layer.flat, layer.state_dict()),
    ]:
        assert flat.ndim == 1
        assert flat.flags.c_contiguous
        assert flat.tobytes() == b"".join(v.tobytes() for v in named.values())


@pytest.mark.parametrize("kind", CLASSES)
def test_weights_go_in_and_out(kind):
    """Each weight lands where its name says, by set_flat as by load_state_dict."""
    layer, other = kind(F, H, seed=1), kind(F, H, seed=2)
    layer.set_flat(np.arange(layer.flat.size, dtype=np.float32))
    assert layer.flat.tobytes() == np.arange(layer.flat.size, dtype=np.float32).tobytes()
    start = 0
    for view in layer.params.values():
        np.testing.assert_array_equal(view.ravel(), np.arange(start, start + view.size))
        start += view.size
    other.load_state_dict(dict(reversed(layer.state_dict().items())))  # by name, in any order
    assert other.flat.tobytes() == layer.flat.tobytes()


@pytest.mark.parametrize("kind", CLASSES)
def test_state_dict_copies(kind):
    layer = kind(F, H, seed=1)
    before = layer.flat.tobytes()
    state = layer.state_dict()
    for value in state.values():
        assert value.flags.writeable
        assert not np.shares_memory(value, layer.flat)
        value[...] = 7
    assert layer.flat.tobytes() == before
    layer.load_state_dict(state)
    assert not (layer.flat != 7).any()
    for value in state.values():
        value[...] = 8
    assert not (layer.flat != 7).any()


NETWORKS = [
    *(lambda kind=kind: kind(F, H, seed=1) for kind in CLASSES),
    lambda: gru_rs.Model(F, H, 2, seed=1),
    lambda: gru_rs.EncoderDecoder(F, H, 4, seed=1),
    lambda: gru_rs.GRU(F, H, seed=1).quantize(),
    lambda: gru_rs.Model(F, H, 2, seed=1).quantize("f16"),
    lambda: gru_rs.Model(F, H, 2, seed=1).quantize("bf16"),
]


@pytest.mark.parametrize("make", NETWORKS)
def test_nobody_writes_behind_the_packs(make):
    """Not all heed that an array is read-only: torch.from_dlpack and torch.from_numpy do not."""
    network = make()
    before = network.flat.tobytes()
    for array in [network.flat, *network.params.values(), *network.state_dict().values()]:
        address, _ = array.__array_interface__["data"]
        heedless = dict(array.__array_interface__) | {"data": (address, False)}
        np.asarray(type("Heedless", (), {"__array_interface__": heedless})())[...] = 7
        assert (array == 7).all()
    assert network.flat.tobytes() == before
    for array in [network.flat, *network.params.values()]:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 7
        with pytest.raises(ValueError, match="read-only"):
            np.from_dlpack(array)[...] = 7


@pytest.mark.parametrize("kind", CLASSES)
def test_what_is_handed_out_keeps_its_values(kind):
    """Through every kind of write and the layer's own end."""
    layer = kind(F, H, seed=1)
    values = layer.flat.copy()
    views = [layer.flat, np.concatenate([v.ravel() for v in layer.params.values()])]
    named = layer.params
    for write in [
        lambda: layer.set_flat(values + 1),
        lambda: layer.load_state_dict({k: v + 2 for k, v in layer.state_dict().items()}),
        lambda: gru_rs.SGD(1.0).step(layer, np.full_like(values, 3)),
    ]:
        before = layer.flat
        old = before.copy()
        write()
        assert before.tobytes() == old.tobytes()
        assert layer.flat.tobytes() != old.tobytes()
        assert b"".join(v.tobytes() for v in layer.params.values()) == layer.flat.tobytes()
    layer = before = None
    views.append(np.concatenate([v.ravel() for v in named.values()]))
    assert all(v.tobytes() == values.tobytes() for v in views)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_and_backward_do_not_write(kind):
    problem = new_problem(kind, T, B, F, H)
    before = problem.layer.flat.tobytes()
    run(problem)
    assert problem.layer.flat.tobytes() == before


# Seeds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", CLASSES)
def test_initial_weights(kind, dtype):
    """Uniform in +-1/sqrt(H), the same for the same seed."""
    hidden = 64
    first, again, other = (kind(F, hidden, dtype=dtype, seed=s).flat for s in (3, 3, 4))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()
    bound = hidden**-0.5
    assert abs(first).max() <= bound
    n = first.size
    assert n > 12_000
    # A uniform variable has mean 0 and variance bound^2/3; five standard errors of each.
    assert abs(first.mean()) < 5 * bound / np.sqrt(3 * n)
    assert abs(first.var() / (bound**2 / 3) - 1) < 5 * np.sqrt(0.8 / n)
    assert len(np.unique(first)) > 0.9 * n


@pytest.mark.parametrize("kind", CLASSES)
def test_without_a_seed_layers_differ(kind):
    """And NumPy's global generator has no say."""
    np.random.seed(0)  # noqa: NPY002
    first = kind(F, H).flat
    np.random.seed(0)  # noqa: NPY002
    assert first.tobytes() != kind(F, H).flat.tobytes()
    assert kind(F, H).seed is None


@pytest.mark.parametrize("seed", [0, 1, 2**63, 2**64 - 1, np.int64(5), np.uint8(5)])
def test_seeds(seed):
    assert gru_rs.GRU(F, H, seed=seed).seed == seed


# Copies -------------------------------------------------------------------------------------------

ROUNDS = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle{n}": lambda v, n=n: pickle.loads(pickle.dumps(v, n))
        for n in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}
OPTIONS = {
    "plain": {},
    "double": {"dtype": np.float64, "bias": False},
    "deep": {**DEEP, "dropout": 0.25, "batch_first": True},
}


def build(kind, name):
    options = OPTIONS[name] if kind in LAYERS or name != "deep" else {"bias": False}
    reset = {"reset_after": False} if kind in {gru_rs.GRU, gru_rs.GRUCell} else {}
    layer = kind(F, H, seed=11, **options, **reset)
    layer.set_flat(noise(layer.flat.size, dtype=layer.dtype))  # not what the seed would give
    return layer


ATTRIBUTES = ["input_size", "hidden_size", "bias", "dtype", "seed", "reset_after"]
ATTRIBUTES += ["num_layers", "batch_first", "dropout", "bidirectional"]


def answers(layer, x):
    """What a call and three draws of `forward` give: y of a layer, h of a cell."""
    given = [layer(x), *(layer.forward(x)[0] for _ in range(3))]
    while any(isinstance(v, tuple) for v in given):
        given = [v[0] if isinstance(v, tuple) else v for v in given]
    return [v.tobytes() for v in given]


@pytest.mark.parametrize("around", ROUNDS.values(), ids=ROUNDS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", CLASSES)
def test_round_trip(kind, options, around):
    """The same class, attributes, weights, answers, and the same draws to come."""
    layer = build(kind, options)
    x = noise(*([B, T, F] if kind in LAYERS else [B, F]), dtype=layer.dtype)
    layer.forward(x)  # the generator has moved on from its seed
    twin = around(layer)
    assert type(twin) is kind
    assert twin is not layer
    assert [getattr(twin, n, "none") for n in ATTRIBUTES] == [getattr(layer, n, "none") for n in ATTRIBUTES]
    assert list(twin.params) == list(layer.params)
    assert twin.flat.tobytes() == layer.flat.tobytes()
    assert answers(twin, x) == answers(layer, x)


@pytest.mark.parametrize("around", [v for k, v in ROUNDS.items() if k != "copy"])
@pytest.mark.parametrize("kind", CLASSES)
def test_copies_are_independent(kind, around):
    layer = build(kind, "plain")
    before = layer.flat.tobytes()
    twin = around(layer)
    twin.set_flat(np.zeros(twin.flat.size, np.float32))
    assert layer.flat.tobytes() == before
    layer.set_flat(np.ones(layer.flat.size, np.float32))
    assert not twin.flat.any()

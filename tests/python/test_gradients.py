"""Gradients against finite differences in float64: of x, of the first state and of every parameter.

The loss is sum(y * dy) + sum(h_n * dh_n) with random dy and dh_n, and forward is all this needs to believe
in. Each element is moved in turn, the parameters through `set_flat`, so `grads.flat` is checked to line up
with `layer.flat`.
"""

from dataclasses import replace

import numpy as np
import pytest
from conftest import KINDS, new_layer, new_problem
from numpy_reference import as_tuple

# The five-point rule (f(-2s) - 8 f(-s) + 8 f(s) - f(2s)) / 12 s is off by s^4 f^(5) / 30: at s = 5e-4 about
# 2e-11 for the sharpest f here. Rounding adds 2^-53 |f| / s, also about 2e-11 for |f| < 100. The tolerance
# is relative to the largest derivative, or absolute below 1; a wrong term shows at 1e-3.
STEP = 5e-4
TOLERANCE = 1e-9

CONFIGURATIONS = {
    "plain": {},
    "no_bias": {"bias": False},
    "one_step": {"seq": 1},
    "one_row": {"batch": 1, "seq": 7},
    "unbatched": {"batch": None},
    "vector_and_tail": {"hidden_size": 9, "input_size": 2, "seq": 3, "batch": 2},
    "ragged": {"ragged": True, "seq": 6, "batch": 5},
    "bidirectional": {"bidirectional": True},
    "two_layers": {"num_layers": 2},
    "everything": {
        "num_layers": 2,
        "bidirectional": True,
        "ragged": True,
        "batch_first": True,
        "dropout": 0.4,
        "seq": 6,
        "batch": 5,
    },
    "dropout": {"num_layers": 3, "dropout": 0.3},
    "dy_only": {"with_d_state": False},
    "last_state_only": {"with_dy": False, "num_layers": 2, "bidirectional": True, "ragged": True},
}
SEED = 11  # of dropout: the same mask in every call


def loss(problem):
    y, last, _ = problem.layer.forward(problem.x, problem.state, lengths=problem.lengths, seed=SEED)
    total = 0.0 if problem.dy is None else (y * problem.dy).sum()
    if problem.d_state is not None:
        total += sum((s * d).sum() for s, d in zip(as_tuple(last), as_tuple(problem.d_state), strict=True))
    return total


def differences(function, v):
    """The derivative of function(v) in each element of v, by the five-point rule."""
    v = v.copy()
    out = np.empty_like(v)
    for i in np.ndindex(v.shape):
        kept = v[i]
        f = []
        for steps in (-2, -1, 1, 2):
            v[i] = kept + steps * STEP
            f.append(function(v))
        v[i] = kept
        out[i] = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * STEP)
    return out


def assert_close(actual, expected, what):
    error = np.abs(actual - expected).max(initial=0)
    assert error <= TOLERANCE * max(1, np.abs(expected).max(initial=0)), f"{what}: {error:.2e}"


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_layer_gradients(kind, configuration):
    sizes = {"seq": 4, "batch": 3, "input_size": 3, "hidden_size": 4}
    problem = new_problem(kind, **(sizes | CONFIGURATIONS[configuration]), dtype=np.float64)
    layer = problem.layer
    _, _, tape = layer.forward(problem.x, problem.state, lengths=problem.lengths, seed=SEED)
    grads = tape.backward(problem.dy, problem.d_state)

    assert_close(grads.x, differences(lambda v: loss(replace(problem, x=v)), problem.x), "x")
    for i, name in enumerate(("h0", "c0")[: len(as_tuple(problem.state))]):

        def with_part(v, i=i):
            parts = list(as_tuple(problem.state))
            parts[i] = v
            return loss(replace(problem, state=tuple(parts) if kind == "lstm" else v))

        assert_close(as_tuple(grads.h0)[i], differences(with_part, as_tuple(problem.state)[i]), name)

    def with_weights(v):
        layer.set_flat(v)
        return loss(problem)

    assert_close(grads.flat, differences(with_weights, layer.flat), "flat")


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_name_are_the_flat_gradient(kind):
    problem = new_problem(kind, 4, 3, 3, 4, dtype=np.float64, num_layers=2, bidirectional=True)
    _, _, tape = problem.layer.forward(problem.x, problem.state)
    grads = tape.backward(problem.dy, problem.d_state)
    state = problem.layer.state_dict()
    assert list(grads.params) == list(state)
    assert [v.shape for v in grads.params.values()] == [v.shape for v in state.values()]
    np.testing.assert_array_equal(grads.flat, np.concatenate([v.ravel() for v in grads.params.values()]))
    np.testing.assert_array_equal(problem.layer.flat, np.concatenate([v.ravel() for v in state.values()]))


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_cell_gradients(kind, bias, batch):
    rng = np.random.default_rng(3)
    cell = new_layer(kind, 3, 5, cell=True, dtype=np.float64, bias=bias)
    rows = [] if batch is None else [batch]
    x = rng.standard_normal((*rows, 3))
    parts = 2 if kind == "lstm" else 1
    state, d_state = rng.standard_normal((2, parts, *rows, 5))

    def pack(v):
        return tuple(v) if kind == "lstm" else v[0]

    def loss_of(x, state):
        return sum((s * d).sum() for s, d in zip(as_tuple(cell(x, pack(state))), d_state, strict=True))

    _, tape = cell.forward(x, pack(state))
    grads = tape.backward(pack(d_state))
    assert_close(grads.x, differences(lambda v: loss_of(v, state), x), "x")
    assert_close(np.stack(as_tuple(grads.h0)), differences(lambda v: loss_of(x, v), state), "state")

    def with_weights(v):
        cell.set_flat(v)
        return loss_of(x, state)

    assert_close(grads.flat, differences(with_weights, cell.flat), "flat")


@pytest.mark.parametrize("kind", KINDS)
def test_missing_output_gradients_are_zero(kind):
    """No dy is a dy of zeros, and so for the state; with neither, every gradient is zero."""
    problem = new_problem(kind, 5, 4, 3, 9, dtype=np.float64, num_layers=2)
    zeros = problem.map(np.zeros_like)

    def gradients(dy, d_state):
        _, _, tape = problem.layer.forward(problem.x, problem.state)
        grads = tape.backward(dy, d_state)
        return [grads.x, *as_tuple(grads.h0), grads.flat]

    for missing, zero in (
        ((None, problem.d_state), (zeros.dy, problem.d_state)),
        ((problem.dy, None), (problem.dy, zeros.d_state)),
        ((None, None), (zeros.dy, zeros.d_state)),
    ):
        for actual, expected in zip(gradients(*missing), gradients(*zero), strict=True):
            np.testing.assert_array_equal(actual, expected)
    assert all((v == 0).all() for v in gradients(None, None))


def transparent_upper_layer(kind, hidden, scale):
    """Weights of a second layer that puts out tanh(scale * its input), whatever its state."""
    gates, candidate = (4, 2) if kind == "lstm" else (3, 2)
    bias = np.zeros((gates, hidden))
    if kind == "lstm":  # i and o open, f shut: c' = g, h' = tanh(g)
        bias[0], bias[1], bias[3] = 60, -60, 60
    else:  # z shut: h' = n
        bias[1] = -60
    weight = np.zeros((gates, hidden, hidden))
    weight[candidate] = scale * np.eye(hidden)
    zero = np.zeros_like
    return {
        "weight_ih_l1": weight.reshape(-1, hidden),
        "weight_hh_l1": zero(weight).reshape(-1, hidden),
        "bias_ih_l1": bias.ravel(),
        "bias_hh_l1": zero(bias).ravel(),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_drops_and_scales_between_layers(kind):
    """What reaches an upper layer is 0 or 1 / (1 - p) of what left the lower one, drawn at every step."""
    share, hidden, scale = 0.25, 8, 2**-20
    problem = new_problem(
        kind, 40, 30, 3, hidden, dtype=np.float64, num_layers=2, dropout=share, with_state=False
    )
    layer, x = problem.layer, problem.x
    weights = layer.state_dict() | transparent_upper_layer(kind, hidden, scale)
    layer.load_state_dict(weights)
    left, _ = layer(x)  # without dropout
    reached, _, _ = layer.forward(x, seed=SEED)
    ratio = reached / left
    kept = ratio > 0.5
    np.testing.assert_allclose(ratio, np.where(kept, 1 / (1 - share), 0), rtol=1e-9, atol=1e-9)
    assert abs((1 - kept.mean()) - share) < 0.03  # 9,600 draws: six standard deviations
    for axis in range(3):
        assert (kept.take(0, axis) != kept.take(1, axis)).any()
    again, _, _ = layer.forward(x, seed=SEED)
    other, _, _ = layer.forward(x, seed=SEED + 1)
    np.testing.assert_array_equal(again, reached)
    assert (other != reached).any()

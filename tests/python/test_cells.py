"""Cells: one step with the caller holding the state, in the very bits of the layer of one step.

The layer is judged by the reference and the golden vectors; a cell is judged by the layer.
"""

import gru_rs
import numpy as np
import pytest
from conftest import DTYPES, KINDS, constructor, new_layer
from gru_rs._words import CELLS
from numpy_reference import as_tuple

B, F, H = 5, 3, 11  # F features

every_kind = pytest.mark.parametrize("kind", KINDS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_batch = pytest.mark.parametrize("batch", [None, 1, B])
every_bias = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])


def noise(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def inputs(kind, batch, dtype=np.float32, seed=0):
    """x, a state and a gradient of the new state; without a batch axis for None."""
    rows = () if batch is None else (batch,)
    x = noise(*rows, F, dtype=dtype, seed=seed)
    h, c, d_h, d_c = (noise(*rows, H, dtype=dtype, seed=seed + n) for n in range(1, 5))
    return x, *(((h, c), (d_h, d_c)) if kind == "lstm" else (h, d_h))


def map_state(change, state):
    """The change made to each array of a state."""
    return tuple(map(change, state)) if isinstance(state, tuple) else change(state)


def bits(*states):
    return [v.tobytes() for state in states for v in as_tuple(state)]


def layer_of(cell, kind):
    """The one-layer network with the cell's weights."""
    make, options = constructor(kind)
    layer = make(cell.input_size, cell.hidden_size, bias=cell.bias, dtype=cell.dtype, **options)
    layer.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    return layer


# Against the layer --------------------------------------------------------------------------------


@every_bias
@every_batch
@every_dtype
@every_kind
def test_forward_is_the_layers(kind, dtype, batch, bias):
    cell = new_layer(kind, F, H, cell=True, dtype=dtype, bias=bias)
    x, state, _ = inputs(kind, batch, dtype)
    y, last = layer_of(cell, kind)(x[None], map_state(lambda v: v[None], state))
    expected = map_state(lambda v: v[0], last)
    new, tape = cell.forward(x, state)
    assert bits(cell(x, state)) == bits(new) == bits(expected)
    assert bits(as_tuple(new)[0]) == bits(y[0])
    assert [v.shape for v in as_tuple(new)] == [v.shape for v in as_tuple(state)]
    assert [v.dtype for v in as_tuple(new)] == [np.dtype(dtype)] * len(as_tuple(state))
    assert isinstance(new, tuple) == (kind == "lstm")
    del tape


@every_bias
@every_batch
@every_dtype
@every_kind
def test_backward_is_the_layers(kind, dtype, batch, bias):
    cell = new_layer(kind, F, H, cell=True, dtype=dtype, bias=bias)
    layer = layer_of(cell, kind)
    x, state, d_new = inputs(kind, batch, dtype)
    grads = cell.forward(x, state)[-1].backward(d_new)
    tape = layer.forward(x[None], map_state(lambda v: v[None], state))[-1]
    expected = tape.backward(None, map_state(lambda v: v[None], d_new))
    assert grads.x.shape == x.shape
    assert bits(grads.x) == bits(expected.x[0])
    assert bits(grads.h0) == bits(map_state(lambda v: v[0], expected.h0))
    assert bits(grads.flat) == bits(expected.flat)
    assert {f"{k}_l0": v.tobytes() for k, v in grads.params.items()} == {
        k: v.tobytes() for k, v in expected.params.items()
    }


@every_kind
def test_a_loop_of_cells_is_a_layer(kind):
    """Forward and backward through five steps, the caller carrying the state and its gradient."""
    cell = new_layer(kind, F, H, cell=True, dtype=np.float64)
    layer = layer_of(cell, kind)
    x, dy = noise(5, B, F, dtype=np.float64), noise(5, B, H, dtype=np.float64, seed=1)
    _, state, d_state = inputs(kind, B, np.float64)
    y, last, tape = layer.forward(x, map_state(lambda v: v[None], state))
    expected = tape.backward(dy, map_state(lambda v: v[None], d_state))

    tapes = []
    for t in range(5):
        state, tape = cell.forward(x[t], state)
        assert bits(as_tuple(state)[0]) == bits(y[t])
        tapes.append(tape)
    assert bits(state) == bits(map_state(lambda v: v[0], last))
    total = 0
    for t in reversed(range(5)):
        d_h, *d_c = as_tuple(d_state)
        d_state = (d_h + dy[t], *d_c) if kind == "lstm" else d_h + dy[t]
        grads = tapes[t].backward(d_state)
        np.testing.assert_allclose(grads.x, expected.x[t], rtol=0, atol=1e-13)
        d_state, total = grads.h0, total + grads.flat
    for a, b in zip(as_tuple(d_state), as_tuple(expected.h0), strict=True):
        np.testing.assert_allclose(a, b[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(total, expected.flat, rtol=0, atol=1e-12)


@every_kind
def test_rows_do_not_meet(kind):
    cell = new_layer(kind, F, H, cell=True)
    x, state, d_new = inputs(kind, B)
    new, tape = cell.forward(x, state)
    grads = tape.backward(d_new)
    for row in range(B):

        def one(v, row=row):
            return v[row]

        new_one, tape = cell.forward(x[row], map_state(one, state))
        grads_one = tape.backward(map_state(one, d_new))
        assert bits(map_state(one, new)) == bits(new_one)
        assert bits(grads.x[row], map_state(one, grads.h0)) == bits(grads_one.x, grads_one.h0)


# The cell itself ----------------------------------------------------------------------------------


@every_bias
@every_kind
def test_names_and_shapes(kind, bias):
    """PyTorch's, without `_l0`."""
    cell = new_layer(kind, F, H, cell=True, bias=bias)
    gates = len(CELLS[kind.removesuffix("_reset_before")].gates)
    shapes = {"weight_ih": (gates * H, F), "weight_hh": (gates * H, H)}
    shapes |= {"bias_ih": (gates * H,), "bias_hh": (gates * H,)} if bias else {}
    grads = cell.forward(noise(B, F))[-1].backward(inputs(kind, B)[2])
    for weights in [cell.state_dict(), cell.params, grads.params]:
        assert [(k, v.shape) for k, v in weights.items()] == list(shapes.items())
    for flat, named in [(cell.flat, cell.params), (grads.flat, grads.params)]:
        assert flat.tobytes() == b"".join(v.tobytes() for v in named.values())


@every_batch
@every_kind
def test_missing_state_is_zero(kind, batch):
    cell = new_layer(kind, F, H, cell=True)
    x, state, d_new = inputs(kind, batch)
    zeros = map_state(np.zeros_like, state)
    assert bits(cell(x)) == bits(cell(x, None)) == bits(cell(x, zeros)) == bits(cell.forward(x)[0])
    missing, given = (cell.forward(x, s)[-1].backward(d_new) for s in (None, zeros))
    assert bits(missing.x, missing.h0, missing.flat) == bits(given.x, given.h0, given.flat)


@pytest.mark.parametrize("batch", [None, B])
@every_kind
def test_out(kind, batch):
    """The new state is written to `out` (a pair for the LSTM), and `out` itself comes back."""
    cell = new_layer(kind, F, H, cell=True)
    x, state, _ = inputs(kind, batch)
    expected = cell(x, state)
    out = map_state(lambda v: np.full_like(v, np.nan), state)
    given = cell(x, state, out=out)
    assert all(a is b for a, b in zip(as_tuple(given), as_tuple(out), strict=True))
    assert bits(out) == bits(expected)
    assert bits(cell(x, state, out=None)) == bits(expected)


@every_kind
def test_out_that_is_the_state(kind):
    """`h = cell(x, h, out=h)`: either right or refused, never wrong."""
    cell = new_layer(kind, F, H, cell=True)
    x, state, _ = inputs(kind, B)
    expected, kept = cell(x, state), bits(state)
    try:
        cell(x, state, out=state)
    except ValueError:
        assert bits(state) == kept
    else:
        assert bits(state) == bits(expected)


@every_kind
def test_results_are_the_callers_own(kind):
    cell = new_layer(kind, F, H, cell=True)
    x, state, d_new = inputs(kind, B)
    new, tape = cell.forward(x, state)
    called = cell(x, state)
    expected = cell.forward(x, state)[-1].backward(d_new)
    results = [*as_tuple(new), *as_tuple(called)]
    for result in results:
        assert result.flags.writeable
        assert not any(np.shares_memory(result, v) for v in [x, *as_tuple(state), cell.flat])
    for array in [x, *as_tuple(state), *results]:
        array[...] = np.nan
    grads = tape.backward(d_new)
    assert bits(grads.x, grads.h0, grads.flat) == bits(expected.x, expected.h0, expected.flat)


@every_batch
@every_kind
def test_no_rows(kind, batch):
    """A batch of none is a batch; beside it, those with rows."""
    cell = new_layer(kind, F, H, cell=True)
    new, tape = cell.forward(noise(0, F))
    assert [v.shape for v in as_tuple(new)] == [(0, H)] * len(as_tuple(new))
    grads = tape.backward(new)
    assert grads.x.shape == (0, F)
    assert not grads.flat.any()
    x, state, _ = inputs(kind, batch)
    assert np.isfinite(as_tuple(cell(x, state))[0]).all()


@every_kind
def test_training_with_a_cell(kind):
    """A step against the gradient lowers the loss."""
    cell = new_layer(kind, F, H, cell=True, dtype=np.float64)
    x, state, _ = inputs(kind, B, np.float64)
    losses, optimizer = [], gru_rs.SGD(0.05)
    for _ in range(5):
        new, tape = cell.forward(x, state)
        losses.append(sum(float((v**2).sum()) for v in as_tuple(new)))
        optimizer.step(cell, tape.backward(map_state(lambda v: 2 * v, new)))
    assert losses == sorted(losses, reverse=True)

"""gru_rs against the NumPy reference: outputs and gradients over random problems and over chosen sizes.

The reference computes in float64 from the very weights and inputs that gru_rs gets, so an error here is
gru_rs's own.
"""

import numpy as np
import numpy_reference
import pytest
from conftest import DTYPES, KINDS, LAYOUTS, new_layer, new_problem, run
from hypothesis import event, given
from hypothesis import strategies as st
from numpy_reference import results

# Largest error allowed, relative to the largest value of the array (for a parameter: of all parameters, since
# one that is a sum of terms that cancel has no scale of its own). One unit is 2^-23 (float32) or 2^-52
# (float64).
OUTPUT_TOLERANCE = {
    np.float32: 2e-6,  # 17 units: a sum is one chain of up to 600 terms, 1.0e-6 was seen
    np.float64: 3e-15,  # 14 units: the reference rounds as coarsely, 1.9e-15 was seen
}
GRADIENT_TOLERANCE = {
    np.float32: 2e-6,  # 17 units: sums over up to 5,000 rows in blocks of 128, 1.6e-6 was seen
    np.float64: 5e-15,  # 23 units, 4.4e-15 was seen
}
SMALL = 0.25  # below this an array of random gradients has few entries and is small by cancellation
TERM = 0.125  # what a row adds to the gradient of a weight, about: √rows of it is small by cancellation, too


def preactivation(input_size, hidden_size):
    """Root mean square of what a gate's function is given, at least 1: of I inputs and H states of order 1
    with weights drawn from ±1/√H. The sum rounds in proportion to it, while the states stay below 1. It is
    above 1 where a layer has more than twice as many inputs as states.
    """
    return max(1, np.sqrt((input_size + hidden_size) / (3 * hidden_size)))


def reference(problem):
    """The answer of the NumPy reference to a problem."""
    p = problem
    options = {k: getattr(p.layer, k) for k in ("num_layers", "bidirectional", "batch_first")}
    y, last, cache = numpy_reference.forward(
        p.kind.removesuffix("_reset_before"),
        p.layer.state_dict(),
        p.x,
        p.state,
        p.lengths,
        reset_after=p.kind == "gru",
        **options,
    )
    return results(y, last, *numpy_reference.backward(cache, p.dy, p.d_state))


def assert_agree(actual, expected, dtype, factor=1):
    """Every array of `actual` has the dtype and, within `factor` tolerances, the values of `expected`."""
    assert set(actual) == set(expected)
    largest = {k: np.abs(v).max(initial=0) for k, v in expected.items()}
    params = [k for k in expected if "weight" in k or "bias" in k]
    d_x = expected.get("grad/x")
    rows = 1 if d_x is None else d_x.size // d_x.shape[-1]
    scale = max((largest[k] for k in params), default=0)
    scale = max(scale, TERM * np.sqrt(rows))
    wrong = {}
    for name, value in expected.items():
        got = actual[name]
        assert isinstance(got, np.ndarray)
        assert got.dtype == dtype
        assert got.shape == value.shape, name
        tolerance = (GRADIENT_TOLERANCE if name.startswith("grad/") else OUTPUT_TOLERANCE)[dtype]
        bound = tolerance * factor * max(scale if name in params else largest[name], SMALL)
        error = np.abs(got - value).max(initial=0)
        if not error <= bound:
            wrong[name] = f"{error:.2e} > {bound:.2e}"
    assert not wrong, wrong


@st.composite
def problems(draw):
    """Problems of every option, with each array in a memory layout of its own."""
    batch = draw(st.one_of(st.none(), st.integers(1, 70)))
    problem = new_problem(
        draw(st.sampled_from(KINDS)),
        draw(st.integers(0, 40)),
        batch,
        draw(st.integers(1, 40)),
        draw(st.integers(1, 70)),
        dtype=draw(st.sampled_from(DTYPES)),
        seed=draw(st.integers(0, 2**32 - 1)),
        ragged=draw(st.booleans()),
        with_state=draw(st.booleans()),
        with_dy=draw(st.booleans()),
        with_d_state=draw(st.booleans()),
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.booleans()),
        bias=draw(st.booleans()),
        batch_first=draw(st.booleans()),
    )
    plain = [name for name in LAYOUTS if name != "dlpack"]
    lengths = LAYOUTS[draw(st.sampled_from(plain))]
    changed = problem.map(lambda v: LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](v), lengths)
    return problem, changed


@given(problems())
def test_layer_agrees_with_reference(pair):
    problem, changed = pair
    event(problem.kind)
    layer = problem.layer
    factor = preactivation(layer.input_size, layer.hidden_size)
    assert_agree(run(changed), reference(problem), layer.dtype.type, factor)


@given(
    st.sampled_from(KINDS),
    st.one_of(st.none(), st.integers(1, 70)),
    st.integers(1, 40),
    st.integers(1, 70),
    st.sampled_from(DTYPES),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_cell_agrees_with_reference(kind, batch, input_size, hidden_size, dtype, bias, with_state, seed):
    rng = np.random.default_rng(seed)
    cell = new_layer(kind, input_size, hidden_size, cell=True, rng=rng, dtype=dtype, bias=bias)
    rows = [] if batch is None else [batch]
    x = rng.standard_normal((*rows, input_size)).astype(dtype)
    start, d_last = (
        tuple(
            rng.standard_normal((*rows, hidden_size)).astype(dtype) for _ in range(2 if kind == "lstm" else 1)
        )
        for _ in range(2)
    )
    if kind != "lstm":
        (start,), (d_last,) = start, d_last
    zero = np.zeros((*rows, hidden_size))
    first = start if with_state else (zero, zero) if kind == "lstm" else zero

    last, tape = cell.forward(x, start if with_state else None)
    grads = tape.backward(d_last)
    actual = results(None, last, grads.x, grads.h0, grads.params)
    last, cache = numpy_reference.cell_forward(
        kind.removesuffix("_reset_before"), cell.state_dict(), x, first, reset_after=kind == "gru"
    )
    expected = results(None, last, *numpy_reference.cell_backward(cache, d_last))
    assert_agree(actual, expected, dtype, preactivation(input_size, hidden_size))


# hidden, seq, batch, input: hidden sizes on both sides of every vector width, panel and block of 128 terms;
# numbers of rows (seq * batch) on both sides of blocks of 4, 64, 128 and 256 rows, up to 5,000.
SIZES = [
    (1, 100, 50, 1),
    (7, 129, 3, 9),
    (8, 16, 16, 8),
    (9, 5, 65, 31),
    (16, 2, 257, 5),
    (23, 33, 4, 130),
    (24, 3, 63, 24),
    (24, 1500, 1, 12),
    (25, 64, 2, 25),
    (31, 10, 100, 2),
    (32, 8, 64, 32),
    (32, 1, 5000, 7),
    (33, 1, 300, 127),
    (64, 50, 100, 64),
    (95, 7, 13, 129),
    (127, 4, 66, 3),
    (128, 2, 128, 128),
    (129, 3, 43, 257),
    (130, 128, 1, 16),
    (200, 5, 17, 100),
    (256, 2, 64, 256),
    (300, 100, 50, 20),
    (300, 10, 26, 300),
]


@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "ragged"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("hidden", "seq", "batch", "input_size"), SIZES)
def test_sizes_across_blocks(hidden, seq, batch, input_size, kind, dtype, ragged):
    problem = new_problem(kind, seq, batch, input_size, hidden, dtype=dtype, ragged=ragged)
    assert_agree(run(problem), reference(problem), dtype)

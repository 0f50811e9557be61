"""The promise of equal bits: what must not change a result does not change one bit of it.

A row's y, h_n, grads.x and grads.h0 do not depend on the other rows of its batch; step by step, in chunks
or at once is the same; `forward` without dropout is `__call__`; neither the memory layout of an input nor
the instruction set changes anything; a NaN stays in its row, and what padding holds is never read. Run as a
program, this file prints the digests of a fixed set of results, which the test of instruction sets compares
between processes.
"""

import hashlib
import os
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import DTYPES, KINDS, LAYOUTS, new_layer, new_problem, run
from numpy_reference import as_tuple

ROWS = {"y", "h_n", "c_n", "grad/x", "grad/h0", "grad/c0"}  # results with a row for each row of the batch

# hidden and input sizes: each below, at and above a vector of 4, 8 or 16, a panel, and a block of 128 terms
SIZES = [(1, 1), (7, 3), (8, 8), (9, 31), (16, 16), (24, 5), (31, 129), (40, 64), (64, 64), (130, 20)]
OPTIONS = [{}, {"num_layers": 2, "bidirectional": True}]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_size = pytest.mark.parametrize(("hidden", "input_size"), SIZES)


def bits(v):
    """The bits as integers: tells -0 from 0, and a NaN equals itself."""
    return np.ascontiguousarray(v).view(f"u{v.dtype.itemsize}")


def assert_same(actual, expected, what=""):
    assert actual.dtype == expected.dtype, what
    assert actual.shape == expected.shape, what
    differ = bits(actual) != bits(expected)
    assert not differ.any(), (
        f"{what}: {differ.sum()} of {differ.size} values differ, first at {np.argwhere(differ)[0]}"
    )


def assert_same_results(actual, expected, names=None):
    for name in names or expected:
        assert_same(actual[name], expected[name], name)


def row_results(problem):
    """The results that have a row for each row of the batch."""
    return {k: v for k, v in run(problem).items() if k in ROWS}


# The other rows ---------------------------------------------------------------------------------------------


@every_kind
@every_dtype
@every_size
@pytest.mark.parametrize("ragged", [False, True], ids=["dense", "ragged"])
def test_one_row_alone(kind, dtype, hidden, input_size, ragged):
    """Each row of a batch of 64, alone: over all steps, and over its own length only."""
    problem = new_problem(kind, 9, 64, input_size, hidden, dtype=dtype, ragged=ragged)
    whole = row_results(problem)
    for row in range(64):
        one = slice(row, row + 1)
        expected = {k: v[:, one] for k, v in whole.items()}
        assert_same_results(row_results(problem.rows(one)), expected)
        if ragged:
            length = problem.lengths[row]
            alone = replace(problem.rows(one, length), lengths=None)
            expected |= {k: expected[k][:length] for k in ("y", "grad/x")}
            assert_same_results(row_results(alone), expected)


@every_kind
@every_dtype
@pytest.mark.parametrize("options", OPTIONS, ids=["one_layer", "deep_both_ways"])
@pytest.mark.parametrize("cuts", [(32,), (1,), (63,), (5, 12, 13, 37)], ids=str)
def test_parts_of_a_batch(kind, dtype, options, cuts):
    problem = new_problem(kind, 11, 64, 13, 37, dtype=dtype, ragged=True, **options)
    whole = row_results(problem)
    for start, end in zip((0, *cuts), (*cuts, 64), strict=True):
        part = slice(start, end)
        assert_same_results(row_results(problem.rows(part)), {k: v[:, part] for k, v in whole.items()})


@every_kind
@every_dtype
def test_rows_in_another_order(kind, dtype):
    problem = new_problem(kind, 10, 21, 6, 29, dtype=dtype, ragged=True, num_layers=2, bidirectional=True)
    order = np.random.default_rng(0).permutation(21)
    whole = row_results(problem)
    assert_same_results(row_results(problem.rows(order)), {k: v[:, order] for k, v in whole.items()})


@every_kind
@every_dtype
def test_large_batch_and_long_sequence(kind, dtype):
    """Sizes at which a kernel works in blocks of rows and of steps."""
    problem = new_problem(kind, 150, 19, 30, 130, dtype=dtype)
    whole = row_results(problem)
    for part in (slice(0, 1), slice(7, 8), slice(10, 19)):
        assert_same_results(row_results(problem.rows(part)), {k: v[:, part] for k, v in whole.items()})


@every_kind
@every_dtype
def test_unbatched_is_a_batch_of_one(kind, dtype):
    problem = new_problem(kind, 12, 1, 5, 18, dtype=dtype, num_layers=2, bidirectional=True)
    whole = run(problem)
    bare = run(problem.map(lambda v: v[:, 0]))
    assert_same_results(bare, {k: v[:, 0] if k in ROWS else v for k, v in whole.items()})


@every_kind
@every_dtype
def test_batch_first_is_time_major_transposed(kind, dtype):
    problem = new_problem(kind, 12, 7, 5, 18, dtype=dtype, ragged=True, num_layers=2, bidirectional=True)
    rows = new_layer(kind, 5, 18, dtype=dtype, num_layers=2, bidirectional=True, batch_first=True)
    rows.load_state_dict(problem.layer.state_dict())
    turned = replace(problem, layer=rows, x=problem.x.swapaxes(0, 1), dy=problem.dy.swapaxes(0, 1))
    whole = run(problem)
    expected = {k: v.swapaxes(0, 1) if k in ("y", "grad/x") else v for k, v in whole.items()}
    assert_same_results(run(turned), expected)


# Steps, chunks and the whole --------------------------------------------------------------------------------


@every_kind
@every_dtype
@every_size
@pytest.mark.parametrize("batch", [None, 1, 6])
def test_stream_step_by_step(kind, dtype, hidden, input_size, batch):
    problem = new_problem(kind, 13, batch, input_size, hidden, dtype=dtype, with_state=False, num_layers=2)
    y, _ = problem.layer(problem.x)
    stream = problem.layer.stream(batch)
    for t, x_t in enumerate(problem.x):
        assert_same(stream(x_t), y[t], f"step {t}")


@every_kind
@every_dtype
@every_size
@pytest.mark.parametrize(
    "lengths", [(1,) * 40, (7, 33), (39, 1), (16, 16, 8)], ids=["steps", "7", "39", "16"]
)
def test_chunks(kind, dtype, hidden, input_size, lengths):
    """Forward in chunks, each starting from the state the last one left."""
    problem = new_problem(kind, 40, 5, input_size, hidden, dtype=dtype, num_layers=2)
    y, last = problem.layer(problem.x, problem.state)
    state, ends = problem.state, np.cumsum(lengths)
    for start, end in zip(ends - lengths, ends, strict=True):
        y_part, state = problem.layer(problem.x[start:end], state)
        assert_same(y_part, y[start:end], f"steps {start} to {end}")
    for actual, expected in zip(as_tuple(state), as_tuple(last), strict=True):
        assert_same(actual, expected, "last state")


@every_kind
@every_dtype
@pytest.mark.parametrize("cut", [1, 7, 39])
def test_gradients_in_chunks(kind, dtype, cut):
    """Backward in chunks, each starting from the gradient of the state the later one gave."""
    problem = new_problem(kind, 40, 5, 12, 37, dtype=dtype)
    whole = run(problem)
    layer, x, dy = problem.layer, problem.x, problem.dy
    _, middle, early = layer.forward(x[:cut], problem.state)
    _, _, late = layer.forward(x[cut:], middle)
    late = late.backward(dy[cut:], problem.d_state)
    early = early.backward(dy[:cut], late.h0)
    assert_same(np.concatenate([early.x, late.x]), whole["grad/x"], "grads.x")
    for actual, name in zip(as_tuple(early.h0), ("grad/h0", "grad/c0"), strict=False):
        assert_same(actual, whole[name], name)


@every_kind
@every_dtype
@every_size
@pytest.mark.parametrize("batch", [1, 6])
def test_cell_steps(kind, dtype, hidden, input_size, batch):
    """A loop over the cell is the layer."""
    problem = new_problem(kind, 8, batch, input_size, hidden, dtype=dtype)
    cell = new_layer(kind, input_size, hidden, cell=True, dtype=dtype)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in problem.layer.state_dict().items()})
    y, _ = problem.layer(problem.x, problem.state)
    state = tuple(s[0] for s in as_tuple(problem.state))
    state = state if kind == "lstm" else state[0]
    for t, x_t in enumerate(problem.x):
        trained, _ = cell.forward(x_t, state)
        state = cell(x_t, state)
        assert_same(as_tuple(state)[0], y[t], f"step {t}")
        assert_same(as_tuple(trained)[0], y[t], f"step {t} of forward")


@every_kind
@every_dtype
@every_size
@pytest.mark.parametrize(("seq", "batch"), [(1, 1), (30, 1), (7, 3), (70, 65)])
def test_forward_is_call(kind, dtype, hidden, input_size, seq, batch):
    problem = new_problem(kind, seq, batch, input_size, hidden, dtype=dtype)
    y, last = problem.layer(problem.x, problem.state)
    y_trained, last_trained, _ = problem.layer.forward(problem.x, problem.state)
    assert_same(y_trained, y)
    for actual, expected in zip(as_tuple(last_trained), as_tuple(last), strict=True):
        assert_same(actual, expected)


@every_kind
@every_dtype
def test_forward_is_call_with_every_option(kind, dtype):
    options = {"num_layers": 3, "bidirectional": True, "bias": False, "batch_first": True}
    problem = new_problem(kind, 9, 14, 4, 21, dtype=dtype, ragged=True, **options)
    y, last = problem.layer(problem.x, problem.state, lengths=problem.lengths)
    trained = run(problem)
    assert_same(trained["y"], y)
    for name, expected in zip(("h_n", "c_n"), as_tuple(last), strict=False):
        assert_same(trained[name], expected)


@every_kind
@every_dtype
def test_running_twice(kind, dtype):
    options = {"num_layers": 2, "bidirectional": True, "dropout": 0.4}
    problem = new_problem(kind, 9, 14, 4, 21, dtype=dtype, ragged=True, **options)
    assert_same_results(run(problem, seed=5), run(problem, seed=5))


# NaN, infinity and padding ----------------------------------------------------------------------------------


@every_kind
@every_dtype
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["x", "state", "dy", "d_state"])
@pytest.mark.parametrize(("hidden", "batch"), [(5, 3), (32, 9), (45, 66)])
def test_poisoned_row(kind, dtype, poison, where, hidden, batch):
    """One row with a NaN or an infinity: it shows there, and every other row keeps its bits."""
    problem = new_problem(kind, 6, batch, 7, hidden, dtype=dtype, num_layers=2, bidirectional=True)
    clean = row_results(problem)
    row = batch // 2
    value = getattr(problem, where)
    poisoned = tuple(v.copy() for v in as_tuple(value))
    for v in poisoned:
        v[2, row, 1] = poison
    dirty = row_results(replace(problem, **{where: poisoned if isinstance(value, tuple) else poisoned[0]}))
    for name, expected in clean.items():
        others = np.arange(batch) != row
        assert_same(dirty[name][:, others], expected[:, others], name)
    if np.isnan(poison):
        shows = {"x": ["y", "grad/x"], "state": ["y", "grad/x"], "dy": ["grad/x"], "d_state": ["grad/x"]}
        for name in shows[where]:
            assert np.isnan(dirty[name][:, row]).any(), name


@every_kind
@every_dtype
@pytest.mark.parametrize("poison", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("options", OPTIONS, ids=["one_layer", "deep_both_ways"])
def test_padding_is_never_read(kind, dtype, poison, options):
    """All results, those of the parameters too, are the same whatever x and dy hold past a row's length."""
    problem = new_problem(kind, 12, 17, 6, 26, dtype=dtype, ragged=True, **options)
    assert problem.lengths.min() == 0
    padding = np.arange(12)[:, None] >= problem.lengths
    x, dy = problem.x.copy(), problem.dy.copy()
    x[padding] = dy[padding] = poison
    clean, dirty = run(problem), run(replace(problem, x=x, dy=dy))
    assert_same_results(dirty, clean)
    for name in ("y", "grad/x"):
        assert (dirty[name][padding] == 0).all(), f"{name} is not zero past the length"


# Memory -----------------------------------------------------------------------------------------------------


@every_kind
@every_dtype
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_major", "batch_first"])
def test_layout_of_inputs(kind, dtype, layout, batch_first):
    options = {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}
    problem = new_problem(kind, 10, 7, 9, 22, dtype=dtype, ragged=True, **options)
    lengths = LAYOUTS[layout] if layout != "dlpack" else np.ascontiguousarray
    assert_same_results(run(problem.map(LAYOUTS[layout], lengths)), run(problem))


# Instruction sets -------------------------------------------------------------------------------------------


def cpu_flags():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {
        flag
        for line in lines
        if line.startswith(("flags", "Features"))
        for flag in line.split(":")[1].split()
    }


def instruction_sets():
    """The GRU_RS_ISA names that this CPU can run beside scalar, read from the system, not from gru_rs."""
    flags = cpu_flags()
    names = []
    if platform.machine().lower() in ("x86_64", "amd64"):
        names += ["avx2"] if {"avx2", "fma"} <= flags else []
        names += ["avx512"] if "avx512f" in flags else []
    if platform.machine().lower() in ("aarch64", "arm64"):
        names += ["neon"]  # part of the architecture
    return names


def digests():
    """A line for each problem of a fixed set: its name and the digest of all its results."""
    shapes = [
        (1, 1, 1, 1),
        (5, 3, 7, 8),
        (12, 1, 16, 31),
        (9, 6, 40, 24),
        (20, 13, 11, 45),
        (3, 66, 130, 64),
        (130, 2, 5, 33),
        (4, 9, 20, 129),
    ]
    for kind in KINDS:
        for dtype in DTYPES:
            for shape in shapes:
                for ragged, options in ((False, OPTIONS[0]), (True, OPTIONS[1])):
                    problem = new_problem(kind, *shape, dtype=dtype, ragged=ragged, **options)
                    digest = hashlib.sha256()
                    for name, v in run(problem).items():
                        digest.update(name.encode())
                        digest.update(np.ascontiguousarray(v).tobytes())
                    rows = "ragged" if ragged else "dense"
                    yield f"{kind} {dtype.__name__} {shape} {rows} {digest.hexdigest()}"


def digests_with(isa):
    environment = dict(os.environ, GRU_RS_ISA=isa)
    done = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def scalar_digests():
    lines = digests_with("scalar")
    assert len(lines) == len(set(lines)) == 96
    return lines


@pytest.mark.parametrize("isa", instruction_sets())
def test_instruction_set(scalar_digests, isa):
    """Outputs and gradients of the instruction set have the bits of the scalar ones."""
    assert digests_with(isa) == scalar_digests


def test_instruction_set_chosen_here(scalar_digests):
    """So has whatever this process runs with."""
    assert list(digests()) == scalar_digests


if __name__ == "__main__":
    print("\n".join(digests()))

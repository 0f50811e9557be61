"""What counts as an array: every door of a layer takes the same, and keeps nothing the caller can change.

test_equal_bits.py runs all memory layouts through a forward and a backward pass. Here they go through the
other doors, and here are the conversions (lists, integers, bools, narrower floats) and who owns the memory.
"""

from dataclasses import replace

import gru_rs
import numpy as np
import pytest
from conftest import DTYPES, KINDS, LAYOUTS, new_layer, new_problem, run
from numpy_reference import as_tuple

T, B, F, H = 6, 4, 4, 4  # F features

every_kind = pytest.mark.parametrize("kind", KINDS)


def noise(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def same_results(a, b):
    """Equal names, dtypes, shapes and bits."""
    assert list(a) == list(b)
    for name in a:
        assert a[name].dtype == b[name].dtype, name
        assert a[name].shape == b[name].shape, name
        assert a[name].tobytes() == b[name].tobytes(), name


def memory_mapped(v, folder):
    np.save(folder / "v.npy", v)
    return np.load(folder / "v.npy", mmap_mode="r")


class OldDlpack:
    """A producer from before DLPack 1.0: `__dlpack__` takes `stream` alone."""

    def __init__(self, v):
        self.v = v

    def __dlpack_device__(self):
        return self.v.__dlpack_device__()

    def __dlpack__(self, stream=None):
        return self.v.__dlpack__()


class Subclass(np.ndarray):
    """An ndarray with another name."""


MORE_LAYOUTS = {
    **LAYOUTS,
    "old_dlpack": OldDlpack,
    "strided_dlpack": lambda v: OldDlpack(LAYOUTS["every_second"](v)),
    "subclass": lambda v: v.view(Subclass),
    "transposed": lambda v: np.ascontiguousarray(v.T).T,
    "list": lambda v: v.tolist(),
    "list_of_arrays": list,
}


# Layouts, by door ---------------------------------------------------------------------------------


def through_set_flat(layer, change):
    layer.set_flat(change(noise(layer.flat.size, dtype=layer.dtype)))
    return layer.flat


def through_load(layer, change):
    state = {k: noise(*v.shape, dtype=v.dtype, seed=i) for i, (k, v) in enumerate(layer.params.items())}
    layer.load_state_dict({k: change(v) for k, v in state.items()})
    return layer.flat


def through_stream(layer, change):
    stream = layer.stream(B)
    return np.stack([stream(change(noise(B, F, dtype=layer.dtype, seed=t))) for t in range(T)])


def through_stream_of_one(layer, change):
    stream = layer.stream()
    return np.stack([stream(change(noise(F, dtype=layer.dtype, seed=t))) for t in range(T)])


def through_optimizer(layer, change):
    optimizer = gru_rs.Adam(0.1)
    for seed in range(3):
        optimizer.step(layer, change(noise(layer.flat.size, dtype=layer.dtype, seed=seed)))
    return layer.flat


def through_lengths(layer, change):
    return layer(noise(T, B, F, dtype=layer.dtype), lengths=change(np.array([0, T, 3, 1])))[0]


DOORS = [
    through_set_flat,
    through_load,
    through_stream,
    through_stream_of_one,
    through_optimizer,
    through_lengths,
]


@pytest.mark.parametrize("layout", MORE_LAYOUTS)
@pytest.mark.parametrize("door", DOORS, ids=lambda d: d.__name__.removeprefix("through_"))
@every_kind
def test_layout_by_door(kind, door, layout):
    plain = door(new_layer(kind, F, H), lambda v: v)
    assert door(new_layer(kind, F, H), MORE_LAYOUTS[layout]).tobytes() == plain.tobytes()


@pytest.mark.parametrize("layout", [name for name in MORE_LAYOUTS if name not in LAYOUTS])
@pytest.mark.parametrize("dtype", DTYPES)
@every_kind
def test_layout_of_a_pass(kind, dtype, layout):
    p = new_problem(kind, T, B, F, H, dtype=dtype, ragged=True)
    same_results(run(p.map(MORE_LAYOUTS[layout])), run(p))


@pytest.mark.parametrize("layout", MORE_LAYOUTS)
@every_kind
def test_layout_of_a_cell(kind, layout):
    cell, change = new_layer(kind, F, H, cell=True), MORE_LAYOUTS[layout]
    x, h, dh = noise(B, F), noise(B, H, seed=1), noise(B, H, seed=2)

    def answers(change):
        state, grad = (change(h), change(dh)) if kind != "lstm" else ((change(h),) * 2, (change(dh),) * 2)
        new, tape = cell.forward(change(x), state)
        grads = tape.backward(grad)
        arrays = [*as_tuple(cell(change(x), state)), *as_tuple(new), grads.x, *as_tuple(grads.h0), grads.flat]
        return [v.tobytes() for v in arrays]

    assert answers(change) == answers(lambda v: v)


@every_kind
def test_memory_mapped(kind, tmp_path):
    p = new_problem(kind, T, B, F, H)
    same_results(run(replace(p, x=memory_mapped(p.x, tmp_path))), run(p))
    before = p.x.tobytes()
    assert np.load(tmp_path / "v.npy").tobytes() == before


@every_kind
def test_zero_strides(kind):
    """One step, seen T times, is T equal steps."""
    p = new_problem(kind, T, B, F, H)
    step = p.x[:1]
    many = replace(p, x=np.broadcast_to(step, p.x.shape))
    same_results(run(many), run(replace(p, x=np.repeat(step, T, axis=0))))


@every_kind
def test_lists_of_numbers(kind):
    """Nested lists and tuples all the way down."""
    p = new_problem(kind, T, B, F, H, ragged=True)
    lists = replace(p.map(lambda v: v.tolist(), lambda v: v.tolist()), x=tuple(map(tuple, p.x.tolist())))
    same_results(run(lists), run(p))


# Conversions --------------------------------------------------------------------------------------

INTEGERS = ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">u8"]
NARROW = ["?", *INTEGERS, "f2", ">f2"]


@pytest.mark.parametrize("narrow", NARROW)
@pytest.mark.parametrize("dtype", DTYPES)
@every_kind
def test_integers_bools_and_float16(kind, dtype, narrow):
    """Converted to the layer's dtype, which holds these values exactly."""
    p = new_problem(kind, T, B, F, H, dtype=dtype)
    small = p.map(lambda v: np.abs(np.round(v * 2)).astype(narrow))
    same_results(run(small), run(small.map(lambda v: v.astype(dtype))))


@every_kind
def test_float32_into_a_float64_layer(kind):
    """A narrower float is converted exactly, wherever it comes in."""
    p = new_problem(kind, T, B, F, H, dtype=np.float64)
    narrow = p.map(lambda v: v.astype(np.float32))
    same_results(run(narrow), run(narrow.map(lambda v: v.astype(np.float64))))
    size = p.layer.flat.size
    p.layer.set_flat(noise(size))
    np.testing.assert_array_equal(p.layer.flat, noise(size))
    state = {k: v.astype(np.float32) for k, v in p.layer.state_dict().items()}
    p.layer.load_state_dict(state)
    np.testing.assert_array_equal(p.layer.flat, noise(size))
    gru_rs.SGD(1.0).step(p.layer, noise(size))
    assert not p.layer.flat.any()
    stream, twin = p.layer.stream(), p.layer.stream()
    assert stream(noise(F)).tobytes() == twin(noise(F).astype(np.float64)).tobytes()


def test_large_integers_are_rounded_as_numpy_rounds_them():
    layer = new_layer("gru", F, H)
    x = np.full((T, B, F), 2**24 + 1)
    assert layer(x)[0].tobytes() == layer(x.astype(np.float32))[0].tobytes()


@pytest.mark.parametrize("dtype", INTEGERS)
def test_lengths_of_every_integer(dtype):
    layer, x, lengths = new_layer("gru", F, H), noise(T, B, F), [T, 0, 1, 3]
    given = layer(x, lengths=np.array(lengths, dtype))
    assert given[0].tobytes() == layer(x, lengths=lengths)[0].tobytes()


# Who owns the memory ------------------------------------------------------------------------------


def arrays_of(problem):
    return [problem.x, problem.dy, *as_tuple(problem.state), *as_tuple(problem.d_state)]


@pytest.mark.parametrize("seq", [0, 1, T])
@every_kind
def test_results_are_the_callers_own(kind, seq):
    """Writable, and no alias of an argument or of the weights: not even where a value only passes through."""
    p = new_problem(kind, seq, B, F, H)
    answers = run(p)
    y, last = p.layer(p.x, p.state)
    results = [*answers.values(), y, *as_tuple(last)]
    for result in results:
        assert result.flags.writeable
        for array in [*arrays_of(p), p.layer.flat]:
            assert not np.shares_memory(result, array)
    weights = p.layer.flat.tobytes()
    for result in results:
        result[...] = 7
    assert p.layer.flat.tobytes() == weights
    same_results(run(p), run(new_problem(kind, seq, B, F, H)))


def thaw_and_spoil(array):
    """What the owner of read-only memory may do at any time."""
    array.flags.writeable = True
    array[...] = np.nan


def spoil(array):
    array[...] = np.nan


@pytest.mark.parametrize("frozen", [False, True], ids=["writable", "frozen"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}])
@every_kind
def test_what_happens_to_the_inputs_later(kind, options, frozen):
    """Neither x, h0 and lengths nor the results may be a way into the tape; frozen arrays can be thawed."""
    p, clean = (new_problem(kind, T, B, F, H, ragged=True, **options) for _ in range(2))
    inputs = [p.x, *as_tuple(p.state)]
    if frozen:
        for array in inputs:
            array.flags.writeable = False
    y, last, tape = p.layer.forward(p.x, p.state, lengths=p.lengths)
    for array in inputs:
        (thaw_and_spoil if frozen else spoil)(array)
    p.lengths[...] = T
    for array in [y, *as_tuple(last)]:
        spoil(array)
    grads = tape.backward(p.dy, p.d_state)
    _, _, twin = clean.layer.forward(clean.x, clean.state, lengths=clean.lengths)
    expected = twin.backward(clean.dy, clean.d_state)
    for a, b in [(grads.x, expected.x), (grads.flat, expected.flat)]:
        assert a.tobytes() == b.tobytes()
    for a, b in zip(as_tuple(grads.h0), as_tuple(expected.h0), strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_read_only_view_of_writable_memory():
    """Read-only is the view, not the memory: its base can still write."""
    layer, base, dy = new_layer("gru", F, H), noise(T, B, F), noise(T, B, H)
    expected = layer.forward(base.copy())[-1].backward(dy).flat.tobytes()
    view = base[:]
    view.flags.writeable = False
    tape = layer.forward(view)[-1]
    base[...] = np.nan
    assert tape.backward(dy).flat.tobytes() == expected


def test_a_buffer_under_an_array():
    """A bytearray under a read-only array is writable through the bytearray."""
    layer, x, dy = new_layer("gru", F, H), noise(T, B, F), noise(T, B, H)
    expected = layer.forward(x)[-1].backward(dy).flat.tobytes()
    memory = bytearray(x.tobytes())
    array = np.frombuffer(memory, np.float32).reshape(T, B, F)
    array.flags.writeable = False
    tape = layer.forward(array)[-1]
    memory[:] = b"\xff" * len(memory)
    assert tape.backward(dy).flat.tobytes() == expected


@pytest.mark.parametrize("cell", [False, True], ids=["layer", "cell"])
@every_kind
def test_what_is_written_is_copied(kind, cell):
    """set_flat, load_state_dict and optimizers keep nothing of what they were given."""
    layer, twin = (new_layer(kind, F, H, cell=cell) for _ in range(2))
    optimizer, plain = gru_rs.SGD(0.1, momentum=0.9), gru_rs.SGD(0.1, momentum=0.9)
    flat = noise(layer.flat.size)
    layer.set_flat(flat)
    spoil(flat)
    twin.set_flat(noise(flat.size))
    assert layer.flat.tobytes() == twin.flat.tobytes()
    state = twin.state_dict()
    layer.load_state_dict(state)
    for value in state.values():
        spoil(value)
    for seed in range(3):
        grads = noise(flat.size, seed=seed)
        optimizer.step(layer, grads)
        spoil(grads)
        plain.step(twin, noise(flat.size, seed=seed))
    assert layer.flat.tobytes() == twin.flat.tobytes()


@every_kind
def test_inputs_are_not_written(kind):
    p, clean = (new_problem(kind, T, B, F, H, ragged=True) for _ in range(2))
    run(p)
    for a, b in zip(arrays_of(p), arrays_of(clean), strict=True):
        assert a.tobytes() == b.tobytes()

"""Streams: one step at a time, the same bits as the whole, on a state of their own.

Sizes of every kind against the whole are in test_equal_bits.py; here it is what a stream is to its caller:
batch sizes, `out`, new weights at the next step, many streams on one layer, one stream in several threads.
"""

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import gru_rs
import numpy as np
import pytest
from conftest import DTYPES, KINDS, new_layer

T, B, F, H = 9, 3, 5, 7  # F features
OPTIONS = {
    "plain": {},
    "no_bias": {"bias": False},
    "deep": {"num_layers": 3},
    "dropout": {"num_layers": 2, "dropout": 0.5},  # streams infer: nothing is dropped
    "batch_first": {"batch_first": True},  # a step has no time axis to be before
}

every_kind = pytest.mark.parametrize("kind", KINDS)
every_option = pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
every_batch = pytest.mark.parametrize("batch", [None, 1, B])


def noise(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def inputs(batch, dtype=np.float32):
    """x for T steps, time first; without a batch axis for None."""
    return noise(T, F, dtype=dtype) if batch is None else noise(T, batch, F, dtype=dtype)


def whole(layer, x):
    """What the layer says of all steps at once, time first."""
    if x.ndim == 3 and layer.batch_first:
        return layer(x.swapaxes(0, 1))[0].swapaxes(0, 1)
    return layer(x)[0]


@pytest.mark.parametrize("dtype", DTYPES)
@every_batch
@every_option
@every_kind
def test_steps_are_the_whole(kind, options, batch, dtype):
    layer = new_layer(kind, F, H, dtype=dtype, **options)
    x = inputs(batch, dtype)
    stream = layer.stream() if batch is None else layer.stream(batch)
    y = [stream(x_t) for x_t in x]
    assert {v.shape for v in y} == {(H,) if batch is None else (batch, H)}
    assert {(type(v), v.dtype) for v in y} == {(np.ndarray, np.dtype(dtype))}
    assert np.stack(y).tobytes() == whole(layer, x).tobytes()


@every_kind
def test_batch_size_by_name(kind):
    layer, x = new_layer(kind, F, H), inputs(B)
    by_name, by_place = layer.stream(batch_size=B), layer.stream(B)
    assert by_name(x[0]).tobytes() == by_place(x[0]).tobytes()
    assert layer.stream(batch_size=None)(x[0, 0]).tobytes() == layer.stream()(x[0, 0]).tobytes()


@every_batch
@every_kind
def test_returned_arrays_are_the_callers_own(kind, batch):
    """Later steps do not touch them, and writing to them does not touch the state."""
    layer, x = new_layer(kind, F, H, num_layers=2), inputs(batch)
    stream, twin = layer.stream(batch), layer.stream(batch)
    kept = [stream(x_t) for x_t in x]
    expected = [twin(x_t) for x_t in x]
    for mine, other in zip(kept, expected, strict=True):
        assert mine.flags.writeable
        assert mine.flags.c_contiguous
        assert mine.tobytes() == other.tobytes()
        assert not any(np.shares_memory(mine, v) for v in kept if v is not mine)
    for mine in kept:
        mine[...] = np.nan
    assert stream(x[0]).tobytes() == twin(x[0]).tobytes()


@every_batch
@every_kind
def test_out(kind, batch):
    """The answer is written to `out`, which is also returned: one array over and over, or two in turn."""
    layer, x = new_layer(kind, F, H), inputs(batch)
    expected = whole(layer, x)
    stream = layer.stream(batch)
    buffers = [np.full_like(expected[0], np.nan) for _ in range(2)]
    for t in range(T):
        out = buffers[t % 2 if t > 3 else 0]
        assert stream(x[t], out=out) is out
        assert out.tobytes() == expected[t].tobytes()
        out[...] = np.nan  # it is the caller's: what it holds is not the state
    assert stream(x[0], out=None) is not None


@every_batch
@every_kind
def test_out_may_be_a_row_of_the_result(kind, batch):
    layer, x = new_layer(kind, F, H), inputs(batch)
    expected = whole(layer, x)
    stream, y = layer.stream(batch), np.zeros_like(expected)
    for t in range(T):
        stream(x[t], out=y[t])
    assert y.tobytes() == expected.tobytes()


@every_kind
def test_out_that_is_the_input(kind):
    """Feeding the answer back through one buffer: either right or refused, never wrong."""
    layer = new_layer(kind, H, H, num_layers=2)
    buffer, plain = noise(H), noise(H)
    stream, twin = layer.stream(), layer.stream()
    for _ in range(T):
        plain = twin(plain)
        try:
            stream(buffer, out=buffer)
        except ValueError:
            break
        assert buffer.tobytes() == plain.tobytes()


WRITES = {
    "set_flat": lambda layer: layer.set_flat(noise(layer.flat.size, seed=5)),
    "load_state_dict": lambda layer: layer.load_state_dict({k: v / 2 for k, v in layer.state_dict().items()}),
    "step": lambda layer: gru_rs.Adam(0.1).step(layer, noise(layer.flat.size, seed=6)),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@every_batch
@every_option
@every_kind
def test_new_weights_at_the_next_step(kind, options, batch, write):
    """The state goes on; only the weights are new, in the very next step."""
    layer, x = new_layer(kind, F, H, **(options | {"batch_first": False})), inputs(batch)
    stream = layer.stream(batch)
    before = [stream(x_t) for x_t in x[:4]]
    y, last = layer(x[:4])
    assert np.stack(before).tobytes() == y.tobytes()
    write(layer)
    after = [stream(x_t) for x_t in x[4:]]
    assert np.stack(after).tobytes() == layer(x[4:], last)[0].tobytes()


@every_kind
def test_streams_do_not_share_a_state(kind):
    """Streams of one layer, interleaved; and calls of the layer between."""
    layer, x = new_layer(kind, F, H), inputs(None)
    expected = layer(x)[0]
    first, late = layer.stream(), None
    for t in range(T):
        assert first(x[t]).tobytes() == expected[t].tobytes()
        layer(x)
        if t == 3:
            late = layer.stream()
        elif late is not None:
            assert late(x[t - 4]).tobytes() == expected[t - 4].tobytes()


@every_kind
def test_rows_of_a_stream_do_not_meet(kind):
    layer, x = new_layer(kind, F, H), inputs(B)
    stream, alone = layer.stream(B), [layer.stream() for _ in range(B)]
    for x_t in x:
        y = stream(x_t)
        assert [r.tobytes() for r in y] == [one(r).tobytes() for one, r in zip(alone, x_t, strict=True)]


@every_kind
def test_nan_in_one_row_stays_there(kind):
    layer, x = new_layer(kind, F, H), inputs(B)
    dirty = x.copy()
    dirty[2, 1, 0] = np.nan
    stream, twin = layer.stream(B), layer.stream(B)
    for t in range(T):
        y, clean = stream(dirty[t]), twin(x[t])
        assert y[0].tobytes() == clean[0].tobytes()
        assert y[2].tobytes() == clean[2].tobytes()
        assert np.isnan(y[1]).any() == (t >= 2)


@every_kind
def test_a_stream_outlives_its_layer(kind):
    layer, x = new_layer(kind, F, H), inputs(None)
    expected = layer(x)[0]
    stream = layer.stream()
    y = [stream(x[0])]
    del layer
    gc.collect()
    noise(1000, 1000)  # memory that something else now uses
    y += [stream(x_t) for x_t in x[1:]]
    assert np.stack(y).tobytes() == expected.tobytes()


# Threads ------------------------------------------------------------------------------------------


@every_kind
def test_a_stream_goes_from_thread_to_thread(kind):
    """One at a time is all that is asked: each step in another thread."""
    layer, x = new_layer(kind, F, H), inputs(None)
    stream, y = layer.stream(), []
    for x_t in x:
        thread = threading.Thread(target=lambda x_t=x_t: y.append(stream(x_t)))
        thread.start()
        thread.join()
    assert np.stack(y).tobytes() == layer(x)[0].tobytes()


@every_kind
def test_streams_of_one_layer_in_many_threads(kind):
    layer = new_layer(kind, F, 64)
    rows = [noise(200, F, seed=s) for s in range(8)]
    barrier = threading.Barrier(len(rows))

    def play(x):
        stream = layer.stream()
        barrier.wait()
        return np.stack([stream(x_t) for x_t in x])

    with ThreadPoolExecutor(len(rows)) as pool:
        played = list(pool.map(play, rows))
    for x, y in zip(rows, played, strict=True):
        assert y.tobytes() == layer(x)[0].tobytes()


@every_kind
def test_a_step_while_the_weights_are_written(kind):
    """Each step runs on the old weights or on the new, never on a mixture."""
    layer = new_layer(kind, F, H)
    old, x = layer.flat.copy(), noise(F)
    new = -old
    steps = {}
    for name, weights in [("old", old), ("new", new)]:
        layer.set_flat(weights)
        steps[name] = layer.stream()(x).tobytes()
    assert steps["old"] != steps["new"]
    done = threading.Event()

    def write():
        while not done.is_set():
            layer.set_flat(old)
            layer.set_flat(new)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        seen = {layer.stream()(x).tobytes() for _ in range(2000)}
    finally:
        done.set()
        writer.join()
    assert seen <= set(steps.values())

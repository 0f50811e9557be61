"""Streams: chunks, states, rows that come and go. All must be the bits of whole sequences in one call."""

import copy
import pickle
from functools import partial

import gru_rs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

LAYERS = {
    "gru": gru_rs.GRU,
    "gru-before": partial(gru_rs.GRU, reset_after=False),
    "lstm": gru_rs.LSTM,
}
kinds = pytest.mark.parametrize("kind", LAYERS)


def layer(kind, layers=2, dtype=np.float32, hidden=9, **options):
    return LAYERS[kind](4, hidden, layers, dtype=dtype, seed=1, **options)


def noise(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def same(ours, theirs):
    return np.asarray(ours).tobytes() == np.asarray(theirs).tobytes()


@given(
    kind=st.sampled_from(sorted(LAYERS)),
    layers=st.integers(1, 3),
    batch=st.sampled_from([None, 1, 2, 5, 13, 30, 70, 130]),
    batch_first=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
    cuts=st.lists(st.integers(0, 90), min_size=1, max_size=6),
    turns=st.lists(
        st.sampled_from(["pickle", "clone", "copy", "state", "out", "steps", ""]), min_size=7, max_size=7
    ),
)
def test_any_chunks_are_one_call(kind, layers, batch, batch_first, dtype, cuts, turns):
    net = layer(kind, layers, dtype, batch_first=batch_first)
    axis = 1 if batch_first and batch is not None else 0
    shape = [*([] if batch is None else [batch]), 4]
    shape.insert(axis, 100)
    x = noise(*shape, dtype=dtype)
    expected, last = net(x)
    stream, parts = net.stream(batch), []
    borders = sorted({min(cut, 100) for cut in cuts})
    for chunk, turn in zip(np.split(x, borders, axis), turns, strict=False):
        if turn == "pickle":
            stream = pickle.loads(pickle.dumps(stream))
        elif turn == "clone":
            stream = stream.clone()
        elif turn == "copy":
            stream = copy.deepcopy(copy.copy(stream))
        elif turn == "state":
            state = stream.state
            stream.reset()
            stream.state = state
        if turn == "steps":
            steps = [stream(step) for step in np.moveaxis(chunk, axis, 0)]
            parts.append(np.stack(steps, axis) if steps else stream(chunk))
        else:
            out = np.empty((*chunk.shape[:-1], 9), dtype) if turn == "out" else None
            part = stream(chunk, out=out)
            assert out is None or part is out
            parts.append(part)
    assert same(np.concatenate(parts, axis), expected)
    assert same(stream.state, last)
    assert stream.batch_size == batch


@kinds
def test_clones_go_their_own_ways(kind):
    net, x = layer(kind), noise(30, 4)
    stream = net.stream()
    stream(x[:10])
    other = stream.clone()
    stream(noise(7, 4, seed=1))
    assert same(other(x[10:]), net(x)[0][10:])


@kinds
def test_a_mask_begins_some_rows_again(kind):
    net, x = layer(kind), noise(20, 5, 4)
    stream = net.stream(5)
    stream(x[:8])
    stream.reset(np.array([True, False, False, True, False]))
    found = stream(x[8:])
    whole, fresh = net(x)[0][8:], net(x[8:])[0]
    for row in range(5):
        assert same(found[:, row], (fresh if row in (0, 3) else whole)[:, row])
    stream.reset()
    assert not np.asarray(stream.state).any()


@kinds
@pytest.mark.parametrize("batch", [2, 12, 66])
def test_rows_join_and_leave(kind, batch):
    """Each sequence ends with the bits that it has alone, whoever came and went beside it."""
    net, rng = layer(kind), np.random.default_rng(0)
    stream, here = net.stream(batch), [[] for _ in range(batch)]
    away = []
    for _ in range(12):
        x = noise(int(rng.integers(1, 6)), len(here), 4, seed=rng.integers(1 << 30))
        y = stream(x)
        for row, past in enumerate(here):
            past.append(x[:, row])
            whole = net(np.concatenate(past))[0]
            assert same(y[:, row], whole[-len(x) :])
        if rng.random() < 0.5 and len(here) > 1:
            row = int(rng.integers(len(here)))
            away.append((stream.leave(row), here.pop(row)))
        elif away and rng.random() < 0.7:
            state, past = away.pop()
            assert stream.join(state) == len(here)
            here.append(past)
        else:
            assert stream.join() == len(here)
            here.append([])
        assert stream.batch_size == len(here)


@kinds
def test_a_chunk_takes_the_newest_weights(kind):
    net, x = layer(kind), noise(6, 4)
    stream = net.stream()
    net.set_flat(np.zeros_like(net.flat))
    assert same(stream(x), net(x)[0])


def test_none_is_a_state_of_zeros():
    stream = layer("lstm").stream(3)
    stream(noise(5, 3, 4))
    stream.state = None
    assert not np.asarray(stream.state).any()


def test_a_state_is_a_copy():
    stream = layer("gru").stream()
    stream(noise(3, 4))
    stream.state[:] = 7
    assert abs(stream.state).max() < 1


MISTAKES = {
    "integers as mask": (lambda s: s.reset([1, 0, 1]), TypeError, "mask: expected an array of bool, got int"),
    "a short mask": (lambda s: s.reset([True]), ValueError, r"mask: expected shape \(3,\), got \(1,\)"),
    "one array of two": (lambda s: setattr(s, "state", np.zeros(3)), TypeError, "state: expected a pair"),
    "a state of another shape": (
        lambda s: setattr(s, "state", (np.zeros((2, 9), np.float32),) * 2),
        ValueError,
        r"state: expected shape \(2, 3, 9\), got \(2, 9\)",
    ),
    "float64": (
        lambda s: setattr(s, "state", (np.zeros((2, 3, 9)),) * 2),
        TypeError,
        "state: expected float32",
    ),
    "no such row": (lambda s: s.leave(3), ValueError, "row: expected an integer from 0 to 2, got 3"),
    "a negative row": (lambda s: s.leave(-1), ValueError, "row: expected an integer from 0, got -1"),
    "half a row": (lambda s: s.leave(1.5), TypeError, "row: expected an integer"),
    "inputs of another width": (
        lambda s: s(noise(5, 3, 3)),
        ValueError,
        r"x_t: expected shape \(3, 4\) or \(T, 3, 4\), got \(5, 3, 3\)",
    ),
    "an out of a step": (
        lambda s: s(noise(5, 3, 4), out=np.zeros((3, 9), np.float32)),
        ValueError,
        r"out: expected shape \(5, 3, 9\), got \(3, 9\)",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_changes_nothing(mistake):
    call, error, message = MISTAKES[mistake]
    net, x = layer("lstm"), noise(10, 3, 4)
    stream = net.stream(3)
    stream(x[:4])
    with pytest.raises(error, match=message):
        call(stream)
    assert same(stream(x[4:]), net(x)[0][4:])


def test_single_sequences_have_no_rows():
    stream = layer("gru").stream()
    for call in (stream.join, partial(stream.leave, 0), partial(stream.reset, [True])):
        with pytest.raises(
            ValueError, match="expected a stream with a batch_size, got one of a single sequence"
        ):
            call()


def test_somebody_has_to_stay():
    with pytest.raises(RuntimeError, match="the last sequence of a stream cannot leave"):
        layer("gru").stream(1).leave(0)

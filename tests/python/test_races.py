"""Arrays that another thread writes during a call: any answer will do, or an error that the contract has, but
never a panic and never a crash.

Tokens, classes, labels and lengths are checked and then used as places in tables; floats are checked for
signs and ends of range. A thread writes wrong values and good ones in turns, while calls run that lend the
arrays to Rust without Python's lock. GRU_RS_LONG=1 makes ten times as many calls.
"""

import os
import sys
import threading
import time
from itertools import count

import gru_rs
import numpy as np
import pytest

LONG = os.environ.get("GRU_RS_LONG") == "1"
CALLS = 3_000 * (10 if LONG else 1)
"""Of each of the trials, of which there are enough for 20,000."""
SECONDS = 20 * (10 if LONG else 1)
"""What all trials together may take: on a busy machine they make fewer calls."""

B, T, F, H, V, K = 4, 24, 3, 8, 11, 5  # F features, V tokens of a vocabulary, K classes
NEXT = 4_000_000_000  # where no table reaches; as int32, below 0

rng = np.random.default_rng(1)
CROSS, CTC = gru_rs.CrossEntropy(), gru_rs.CTC()


def tokens(*shape, dtype=np.uint32, end=V):
    """Tokens that are not 0, and a value that is no token."""
    good = rng.integers(2, end, shape).astype(dtype)
    return good, (good + np.asarray(NEXT, np.uint32).astype(dtype)).astype(dtype)


def floats(*shape, wrong=np.nan):
    good = rng.random(shape, np.float32)
    return good, np.full_like(good, wrong)


def flags(*shape):
    """Bytes under a view of bool: one that is neither 0 nor 1 is no bool in Rust."""
    return np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)


def model(**options):
    return gru_rs.Model(F, H, K, seed=1, **options)


def reader(**options):
    """A model of tokens."""
    return model(vocabulary_size=V, **options)


def pair(**options):
    return gru_rs.EncoderDecoder(F, H, V, vocabulary_size=V, seed=1, **options)


def streamed(stream, x):
    stream.reset()
    return stream(x)


def masked(stream, x, mask):
    stream.reset(mask.view(bool))
    return stream(x)


def forth_and_back(layer, x, **options):
    y, _, tape = layer.forward(x, **options)
    return tape.backward(y)


def prompted(generator, prompt):
    generator.read(prompt.tolist())
    return generator.next()


def loss_of(scores, targets, lengths):
    return gru_rs.ctc_loss(scores, list(targets), lengths=lengths)


def labels(*shape, dtype=np.uint32):
    """Labels that are no blank and no neighbour's equal, and some that are more than there are."""
    good = (1 + np.arange(np.prod(shape)).reshape(shape) % (K - 1)).astype(dtype)
    return good, np.full_like(good, K)


def lengths(dtype=np.int64):
    return np.full(B, T, dtype), np.array([T, T + 1, T, -1]).astype(dtype)


X = rng.normal(size=(T, B, F)).astype(np.float32)
ROWS = np.ascontiguousarray(X.swapaxes(0, 1))
IDS, CLASSES, EACH = tokens(B, T)[0], tokens(B, end=K)[0], tokens(B * T, end=K)[0]
SCORES = rng.normal(size=(B, T, K)).astype(np.float32)

# What is called with arrays, and pairs of what is right and what is wrong in them.
TRIALS = {
    "Model.scores": (reader(), lambda n, x: n.scores(x), tokens(B, T)),
    "Model.scores, int32": (reader(), lambda n, x: n.scores(x), tokens(B, T, dtype=np.int32)),
    "Model.scores, int64": (reader(), lambda n, x: n.scores(x), tokens(B, T, dtype=np.int64)),
    "Model.scores, state": (model(), lambda n, x, s: n.scores(x, state=s), floats(B, T, F), floats(1, B, H)),
    "Model.labels": (reader(pooling="each", crf=True), lambda n, x: n.labels(x), tokens(B, T, 2)),
    "Model.spell": (
        reader(pooling="each"),
        lambda n, x, t: n.spell(x, lengths=t, beam_width=2),
        tokens(B, T),
        lengths(),
    ),
    "Model.loss": (reader(), lambda n, x, y: n.loss(x, y, loss=CROSS), tokens(B, T), tokens(B, end=K)),
    "Model.loss, weights": (
        model(),
        lambda n, x, w: n.loss(x, CLASSES, loss=CROSS, sample_weight=w),
        floats(B, T, F),
        floats(B, wrong=-1),
    ),
    "Model.loss, a chain": (
        model(pooling="each", crf=True),
        lambda n, y, t: n.loss(ROWS, y, loss=CROSS, lengths=t),
        tokens(B * T, end=K),
        lengths(),
    ),
    "Model.loss, CTC": (
        model(pooling="each"),
        lambda n, y, t: n.loss(ROWS, list(y), loss=CTC, lengths=t),
        labels(B, 4),
        lengths(),
    ),
    "Model.loss_and_grad": (
        reader(pooling="max"),
        lambda n, x, y: n.loss_and_grad(x, y, loss=CROSS),
        tokens(B, T),
        tokens(B, end=K),
    ),
    "Model.loss_and_grad, steps": (
        reader(pooling="each"),
        lambda n, x, y: n.loss_and_grad(x, y, loss=CROSS, memory="low"),
        tokens(B, T),
        tokens(B * T, end=K),
    ),
    "Model.stream": (reader(pooling="mean").stream(B), streamed, tokens(B, T)),
    "Model.stream, mask": (reader().stream(B), masked, tokens(B, T), flags(B)),
    "Model, a generator": (
        gru_rs.Model(F, H, V, vocabulary_size=V, pooling="each", seed=1)._core.generator(
            (1.0, 0, 1.0, 1.0), 1
        ),
        prompted,
        tokens(9),
    ),
    "EncoderDecoder.loss": (pair(), lambda n, x, y: n.loss(x, list(y)), tokens(B, T), tokens(B, 5)),
    "EncoderDecoder.loss_and_grad": (
        pair(bidirectional=True, attention="additive"),
        lambda n, x, y: n.loss_and_grad(x, list(y)),
        tokens(B, 9),
        tokens(B, 5),
    ),
    "EncoderDecoder.decode": (
        pair(),
        lambda n, x, t: n.decode(x, lengths=t, max_length=3, beam_width=2),
        tokens(B, T),
        lengths(),
    ),
    "ctc_loss": (SCORES, loss_of, labels(B, 4), lengths()),
    "ctc_loss, scores": (CTC, lambda _, x, y: loss_of(x, y, None), floats(B, T, K), labels(B, 4)),
    "GRU": (
        gru_rs.GRU(F, H, 2, bidirectional=True, seed=1),
        lambda n, x, t, r: n(x, lengths=t, resets=r.view(bool)),
        floats(T, B, F),
        lengths(),
        flags(T, B),
    ),
    "GRU.forward": (
        gru_rs.GRU(F, H, seed=1),
        lambda n, x, t, r: forth_and_back(n, x, lengths=t, resets=r.view(bool)),
        floats(T, B, F),
        lengths(np.uint8),
        flags(T, B),
    ),
    "GRU.stream": (gru_rs.GRU(F, H, seed=1).stream(B), masked, floats(T, B, F), flags(B)),
    "LSTM, quantized": (
        gru_rs.LSTM(F, H, seed=1).quantize("int8"),
        lambda n, x: n(x),
        floats(T, B, F, wrong=1e38),
    ),
    "clip_grad_norm": (gru_rs, lambda _, g: gru_rs.clip_grad_norm(g, 0.1), floats(4_000, wrong=1e30)),
    "Adam": (
        (gru_rs.Adam(0.1), gru_rs.GRU(F, H, seed=1)),
        lambda both, g: both[0].step(both[1], g),
        floats(3 * H * (F + H + 2)),
    ),
}


@pytest.fixture
def eager():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def flip(arrays, values, stop):
    """Write what is wrong and what is right in turns."""
    for turn in count():
        if stop.is_set():
            return
        for array, both in zip(arrays, values, strict=True):
            array[...] = both[turn % 2]


@pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
@pytest.mark.usefixtures("eager")
def test_arrays_that_are_written_meanwhile(trial):
    used, call, *values = trial
    arrays, stop = [good.copy() for good, _ in values], threading.Event()
    call(used, *arrays)
    writer = threading.Thread(target=flip, args=(arrays, values, stop))
    end = time.monotonic() + SECONDS / len(TRIALS)
    writer.start()
    try:
        for _ in range(CALLS):
            if time.monotonic() > end:
                break
            try:
                call(used, *arrays)
            except (ValueError, RuntimeError):
                time.sleep(1e-5)  # the writer's turn: it gets none while checks refuse what it has left
    finally:
        stop.set()
        writer.join()
    for array, (good, _) in zip(arrays, values, strict=True):
        array[...] = good
    call(used, *arrays)  # and all is as it was

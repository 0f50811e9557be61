"""A call uses one set of weights to its end, whoever writes others meanwhile: its answer is that of one set
or of the other, never of both. GRU_RS_LONG=1 makes at least 100,000 calls of it.
"""

import copy
import os
import pickle
import sys
import threading

import gru_rs
import numpy as np
import pytest

LONG = os.environ.get("GRU_RS_LONG") == "1"
CALLS = 4_000 if LONG else 150

rng = np.random.default_rng(1)
X = rng.normal(size=(12, 4, 6)).astype(np.float32)  # (T, B, F) for layers; (B, T, F) for models: 12 rows of 4
LONGER = rng.normal(size=(4, 30, 6)).astype(np.float32)
TOKENS = rng.integers(0, 20, (4, 30))
CLASSES = rng.integers(0, 3, 4)
TARGETS = [[2, 3, 4]] * 4


def joined(*arrays):
    return np.concatenate([np.ravel(array) for array in arrays]).tobytes()


def of_tape(network, x):
    y, h, _tape = network.forward(x)
    return joined(y, h if isinstance(h, np.ndarray) else np.concatenate(h))


def streamed(stream, chunk):
    stream.reset()
    return stream(chunk).tobytes()


def lost(loss, gradients):
    return np.float64(loss).tobytes() + gradients.tobytes()


def written(core):
    """What a generator draws after some tokens that one call reads."""
    generator = core.generator((0.0, 0, 1.0, 1.0), 1)
    generator.read([3, 1, 4, 1, 5, 9, 2, 6])
    return generator.next()


def gru(**options):
    return gru_rs.GRU(6, 16, 2, seed=1, **options)


def model(**options):
    return gru_rs.Model(6, 16, 3, seed=1, **options)


def pair(**options):
    return gru_rs.EncoderDecoder(6, 16, 8, vocabulary_size=20, seed=1, **options)


CROSS = gru_rs.CrossEntropy()
STREAM = {}


def stream_of(network, batch):
    """One stream for all the calls of a network."""
    if STREAM.get("of") is not network:
        STREAM.update(of=network, stream=network.stream(batch))
    return STREAM["stream"]


# What makes a network, and a call of it as bytes.
TRIALS = {
    "GRU": (gru, lambda n: joined(*n(X))),
    "GRU, two directions": (lambda: gru(bidirectional=True), lambda n: joined(*n(X))),
    "GRU.forward": (gru, lambda n: of_tape(n, X)),
    "GRU.stream": (gru, lambda n: streamed(stream_of(n, 4), X)),
    "GRU.state_dict": (gru, lambda n: joined(*n.state_dict().values())),
    "GRU, a copy": (gru, lambda n: copy.deepcopy(n).flat.tobytes()),
    "GRU, a pickle": (gru, lambda n: pickle.loads(pickle.dumps(n)).flat.tobytes()),
    "GRU.quantize": (gru, lambda n: repr(n.quantize("int8", validate=X).quantization).encode()),
    "LSTM": (lambda: gru_rs.LSTM(6, 16, 2, seed=1), lambda n: joined(n(X)[0], *n(X[:0])[1])),
    "LSTM.forward": (lambda: gru_rs.LSTM(6, 16, 2, seed=1), lambda n: of_tape(n, X)),
    "GRUCell": (lambda: gru_rs.GRUCell(6, 16, seed=1), lambda n: n(X[0]).tobytes()),
    "LSTMCell": (lambda: gru_rs.LSTMCell(6, 16, seed=1), lambda n: joined(*n(X[0]))),
    "Model.scores": (model, lambda n: n.scores(LONGER).tobytes()),
    "Model.scores, tokens": (lambda: model(vocabulary_size=20), lambda n: n.scores(TOKENS).tobytes()),
    "Model.labels": (model, lambda n: n.labels(LONGER).tobytes()),
    "Model.labels, a chain": (lambda: model(pooling="each", crf=True), lambda n: n.labels(LONGER).tobytes()),
    "Model.marginals": (
        lambda: model(pooling="each", crf=True),
        lambda n: n.marginals(LONGER).tobytes(),
    ),
    "Model.spell": (lambda: model(pooling="each"), lambda n: repr(n.spell(LONGER, beam_width=2)).encode()),
    "Model.loss": (model, lambda n: repr(n.loss(LONGER, CLASSES, loss=CROSS)).encode()),
    "Model.loss, a chain": (
        lambda: model(pooling="each", crf=True),
        lambda n: repr(n.loss(LONGER, np.repeat(CLASSES, 30), loss=CROSS)).encode(),
    ),
    "Model.loss_and_grad": (
        lambda: model(vocabulary_size=20, output_dropout=0.2),
        lambda n: lost(*n.loss_and_grad(TOKENS, CLASSES, loss=CROSS, seed=5)),
    ),
    "Model.stream": (lambda: model(vocabulary_size=20), lambda n: streamed(stream_of(n, 4), TOKENS)),
    "Model, a generator": (
        lambda: gru_rs.Model(6, 16, 20, vocabulary_size=20, pooling="each", seed=1),
        lambda n: written(n._core).to_bytes(4, "little"),
    ),
    "EncoderDecoder.loss": (pair, lambda n: repr(n.loss(TOKENS, TARGETS)).encode()),
    "EncoderDecoder.loss_and_grad": (
        lambda: pair(bidirectional=True, attention="additive"),
        lambda n: lost(*n.loss_and_grad(TOKENS, TARGETS, seed=5)),
    ),
    "EncoderDecoder.decode": (pair, lambda n: repr(n.decode(TOKENS, max_length=8)).encode()),
    "EncoderDecoder.decode, a beam": (
        lambda: pair(bidirectional=True),
        lambda n: repr([row[0].log_p for row in n.decode(TOKENS, beam_width=3, max_length=8)]).encode(),
    ),
}


@pytest.fixture
def eager():
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize(("make", "ask"), TRIALS.values(), ids=TRIALS)
@pytest.mark.usefixtures("eager")
def test_one_set_of_weights_a_call(make, ask):
    network = make()
    sets = [network.flat.copy(), -1.5 * network.flat]
    answers = set()
    for flat in sets:
        network.set_flat(flat)
        answers.add(ask(network))
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for flat in sets:
                network.set_flat(flat)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        mixed = sum(ask(network) not in answers for _ in range(CALLS))
    finally:
        stop.set()
        writer.join()
    assert mixed == 0, f"{mixed} of {CALLS} answers are of neither set"

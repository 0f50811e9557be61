"""One layer in many threads: the same bits, new weights whole or not at all, the interpreter free meanwhile.

One stream or one tape in two threads is a mistake, and in test_misuse.py.
"""

import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import gru_rs
import numpy as np
import pytest
from conftest import KINDS, new_layer, new_problem, run
from numpy_reference import as_tuple

THREADS = 8

every_kind = pytest.mark.parametrize("kind", KINDS)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def together(*calls):
    """Run the calls at once, each in its own thread, all through one gate; their results in order."""
    gate = threading.Barrier(len(calls))

    def enter(call):
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(enter, calls))


@every_kind
def test_one_layer_from_many_threads(kind):
    """Each thread with inputs of its own, calling and differentiating again and again."""
    problem = new_problem(kind, 30, 9, 20, 40, ragged=True, num_layers=2, bidirectional=True)
    rows = [
        new_problem(kind, 30, 9, 20, 40, ragged=True, num_layers=2, bidirectional=True, seed=s)
        for s in range(THREADS)
    ]
    for p in rows:
        p.layer = problem.layer

    def digest(p):
        y, last = p.layer(p.x, p.state, lengths=p.lengths)
        answers = [y, *as_tuple(last), *run(p).values()]
        return [v.tobytes() for v in answers]

    expected = [digest(p) for p in rows]
    for _ in range(3):
        calls = [lambda p=p: [digest(p) for _ in range(3)] for p in rows]
        for got, one in zip(together(*calls), expected, strict=True):
            assert got == [one] * 3


@every_kind
def test_drawn_seeds_are_drawn_once(kind):
    """Threads that draw from one generator get the same set of draws as one thread does, each draw once."""
    options = {"num_layers": 2, "dropout": 0.5, "seed": 3}
    layer, twin = (new_layer(kind, 4, 6, **options) for _ in range(2))
    x = noise(5, 3, 4)
    drawn = together(*([lambda: [layer.forward(x)[0].tobytes() for _ in range(20)]] * THREADS))
    expected = [twin.forward(x)[0].tobytes() for _ in range(20 * THREADS)]
    assert sorted(y for several in drawn for y in several) == sorted(expected)


WRITERS = {
    "set_flat": lambda layer, weights: layer.set_flat(weights),
    "load_state_dict": lambda layer, weights: layer.load_state_dict(named(layer, weights)),
}


def named(layer, weights):
    """The flat weights as a state dict."""
    ends = np.cumsum([v.size for v in layer.params.values()])[:-1]
    pieces = np.split(weights, ends)
    return {k: w.reshape(v.shape) for (k, v), w in zip(layer.params.items(), pieces, strict=True)}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@every_kind
def test_writes_while_others_call(kind, write):
    """A call in flight finishes on the weights it began with: every result is of the old or of the new."""
    layer = new_layer(kind, 16, 48, num_layers=2)
    x = noise(20, 8, 16)
    weights = [layer.flat.copy(), -layer.flat]
    allowed = set()
    for w in weights:
        layer.set_flat(w)
        allowed.add(layer(x)[0].tobytes())
    assert len(allowed) == 2
    finished = threading.Event()

    def rewrite():
        count = 0
        while not finished.is_set():
            write(layer, weights[count % 2])
            count += 1
        return count

    def call():
        return {layer(x)[0].tobytes() for _ in range(100)}

    def look():
        """Views taken meanwhile are whole too, and stay what they were."""
        views = [layer.flat for _ in range(100)]
        return {v.tobytes() for v in views}

    with ThreadPoolExecutor(1) as writer:
        count = writer.submit(rewrite)
        try:
            *called, looked = together(*[call] * 4, look)
        finally:
            finished.set()
        assert count.result() > 10
    assert set().union(*called) <= allowed
    assert looked <= {w.tobytes() for w in weights}


@every_kind
def test_tapes_while_others_write(kind):
    """Either the gradients of the weights the tape was made with, or a RuntimeError: never a mixture."""
    layer = new_layer(kind, 16, 32)
    x, dy = noise(20, 8, 16), noise(20, 8, 32, seed=1)
    weights = [layer.flat.copy(), -layer.flat]
    allowed = set()
    for w in weights:
        layer.set_flat(w)
        allowed.add(layer.forward(x)[-1].backward(dy).flat.tobytes())
    finished = threading.Event()

    def rewrite():
        count = 0
        while not finished.is_set():
            layer.set_flat(weights[count % 2])
            count += 1
            time.sleep(0.0005)

    def train():
        seen, refused = set(), 0
        for _ in range(100):
            tape = layer.forward(x)[-1]
            try:
                seen.add(tape.backward(dy).flat.tobytes())
            except RuntimeError:
                refused += 1
        return seen, refused

    with ThreadPoolExecutor(1) as writer:
        writing = writer.submit(rewrite)
        try:
            results = together(*[train] * 3)
        finally:
            finished.set()
        writing.result()
    assert set().union(*(seen for seen, _ in results)) <= allowed


@pytest.mark.parametrize("optimizer", [gru_rs.SGD, gru_rs.Adam])
def test_steps_from_many_threads(optimizer):
    """Steps do not get lost: with equal gradients, their order does not matter."""
    layer, twin = (new_layer("gru", 4, 6) for _ in range(2))
    shared, own = optimizer(0.01), optimizer(0.01)
    g = noise(layer.flat.size)
    together(*([lambda: [shared.step(layer, g) for _ in range(250)]] * THREADS))
    for _ in range(250 * THREADS):
        own.step(twin, g)
    assert layer.flat.tobytes() == twin.flat.tobytes()


@pytest.mark.parametrize("method", ["__call__", "forward", "backward"])
def test_the_interpreter_is_free_meanwhile(method):
    """While one thread is inside a long call, another runs Python."""
    layer, x = new_layer("gru", 128, 384), noise(30, 64, 128)

    def ticks():
        """How often this thread runs while another is in a call."""
        tape = layer.forward(x)[-1]
        call = {
            "__call__": lambda: layer(x),
            "forward": lambda: layer.forward(x),
            "backward": lambda: tape.backward(np.ones((30, 64, 384), np.float32)),
        }[method]
        go, times, seen = threading.Event(), [], []

        def work():
            # By the clock: who wakes another shares a processor with him for a while, perhaps for the call.
            while not go.is_set():
                time.sleep(0.001)
            times.append(time.perf_counter())
            call()
            times.append(time.perf_counter())

        worker = threading.Thread(target=work)
        worker.start()
        go.set()
        while worker.is_alive():
            seen.append(time.perf_counter())
            time.sleep(0.0005)
        worker.join()
        start, end = times
        # Of the call's middle half: what runs there runs beside it, not before or after.
        quarter = (end - start) / 4
        return sum(start + quarter < t < end - quarter for t in seen)

    # A busy system may leave this thread asleep for a whole call, but not for each.
    assert any(ticks() >= 2 for _ in range(20))


FORK = """
    import os, sys
    import numpy as np
    import gru_rs

    layer = gru_rs.GRU(64, 128, seed=1)
    x = np.random.default_rng(0).standard_normal((20, 32, 64), np.float32)
    expected = layer(x)[0].tobytes()
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            y, _, tape = layer.forward(x)
            tape.backward(y)
            os._exit(0 if y.tobytes() == expected else 3)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children]
    assert layer(x)[0].tobytes() == expected
    sys.exit(0 if codes == [0, 0, 0] else str(codes))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_after_a_fork():
    """Children forked after a first call compute as their parent does."""
    code = textwrap.dedent(FORK)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr

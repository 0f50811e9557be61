"""Misuse that takes more than one call, and calls that no machine can answer.

Tapes and streams used twice or by two threads, writes to read-only views and attributes, sizes whose product
overflows, memory that the system refuses, and settings of the environment. One call with one wrong argument
is a row of test_errors.py.
"""

import contextlib
import os
import pickle
import re
import subprocess
import sys
import textwrap
import threading
from functools import partial

import gru_rs
import numpy as np
import pytest

T, B, F, H = 5, 2, 3, 4  # F features
LAYERS = [gru_rs.GRU, gru_rs.LSTM]
KINDS = [*LAYERS, gru_rs.GRUCell, gru_rs.LSTMCell]


def ones(*shape):
    return np.ones(shape, np.float32)


gru = partial(gru_rs.GRU, F, H, seed=1)
lstm = partial(gru_rs.LSTM, F, H, seed=1)
gru_cell = partial(gru_rs.GRUCell, F, H, seed=1)
lstm_cell = partial(gru_rs.LSTMCell, F, H, seed=1)


def pair(array):
    """The (h, c) of an LSTM, of two arrays alike."""
    return array, array.copy()


# Misuse of state ----------------------------------------------------------------------------------


def take_step(layer):
    gru_rs.SGD(0.1).step(layer, np.zeros_like(layer.flat))


WRITES = {
    "set_flat": lambda layer: layer.set_flat(layer.flat),
    "load_state_dict": lambda layer: layer.load_state_dict(layer.state_dict()),
    "step": take_step,
}
TAPES = {
    "gru": lambda: (gru(), ones(T, B, F), ones(T, B, H)),
    "lstm": lambda: (lstm(), ones(T, B, F), ones(T, B, H)),
    "gru_cell": lambda: (gru_cell(), ones(B, F), ones(B, H)),
    "lstm_cell": lambda: (lstm_cell(), ones(B, F), pair(ones(B, H))),
}


@pytest.mark.parametrize("make", TAPES.values(), ids=TAPES)
def test_tape_used_twice(make):
    layer, x, grad = make()
    tape = layer.forward(x)[-1]
    tape.backward(grad)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"(?i)tape.*(used|once|twice|second)"):
            tape.backward(grad)


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("make", TAPES.values(), ids=TAPES)
def test_tape_after_the_weights_changed(make, write):
    """Even when the new weights equal the old: what counts is that they were written."""
    layer, x, grad = make()
    tape = layer.forward(x)[-1]
    write(layer)
    with pytest.raises(RuntimeError, match=r"(?i)(weights|parameters).*(changed|written|version)"):
        tape.backward(grad)
    layer.forward(x)[-1].backward(grad)  # a new tape is welcome


def race(call, rounds=20):
    """Call from two threads at once until one of the two is refused; what the calls of that round gave."""
    for _ in range(rounds):
        barrier = threading.Barrier(2)
        results = []

        def enter(barrier=barrier, results=results):
            barrier.wait()
            try:
                results.append(call())
            except Exception as error:
                results.append(error)

        threads = [threading.Thread(target=enter) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 2
        yield results
        if any(isinstance(r, Exception) for r in results):
            return
    pytest.fail(f"no call was refused in {rounds} rounds")


@pytest.mark.parametrize("kind", LAYERS)
def test_one_stream_from_two_threads(kind):
    """A step of some milliseconds, so that the second caller comes while the first is inside."""
    size, batch = 512, 192
    layer = kind(size, size, seed=1)
    stream, twin = layer.stream(batch), layer.stream(batch)
    x_t = np.random.default_rng(0).standard_normal((batch, size), np.float32)
    for results in race(lambda: stream(x_t)):
        refused = [r for r in results if isinstance(r, Exception)]
        taken = [r for r in results if not isinstance(r, Exception)]
        assert taken, f"both were refused: {refused}"
        expected = sorted(twin(x_t).tobytes() for _ in taken)
        assert sorted(r.tobytes() for r in taken) == expected
    (error,) = refused
    assert type(error) is RuntimeError
    assert re.search(r"(?i)stream", str(error)), str(error)
    assert re.search(r"(?i)thread|in use|another call|at a time", str(error)), str(error)
    assert stream(x_t).tobytes() == twin(x_t).tobytes()  # the refused call did not count


@pytest.mark.parametrize("kind", LAYERS)
def test_one_tape_from_two_threads(kind):
    """Whoever comes second finds the tape in use or used: exactly one gets the gradients."""
    layer = kind(64, 256, seed=1)
    x = np.random.default_rng(0).standard_normal((20, 32, 64), np.float32)
    y, _, tape = layer.forward(x)
    expected = layer.forward(x)[-1].backward(y).flat.tobytes()
    (results,) = race(lambda: tape.backward(y))
    refused = [r for r in results if isinstance(r, Exception)]
    taken = [r for r in results if not isinstance(r, Exception)]
    assert len(refused) == len(taken) == 1
    assert type(refused[0]) is RuntimeError
    assert re.search(r"(?i)tape", str(refused[0])), str(refused[0])
    assert taken[0].flat.tobytes() == expected


# Views and attributes -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_views_of_the_weights_cannot_be_written(kind):
    layer = kind(F, H, seed=1)
    before = layer.flat.tobytes()
    for view in [layer.flat, *layer.params.values()]:
        assert not view.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 0
        with pytest.raises(ValueError, match="read-only"):
            view += 1
        # They are copies: whoever insists writes in what is his own.
        for own in (view, view.reshape(-1)[:1]):
            with contextlib.suppress(ValueError):
                own.setflags(write=True)
                own[...] = 0
    assert layer.flat.tobytes() == before
    assert not (layer.params[next(iter(layer.params))] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_params_is_not_a_way_in(kind):
    """Whatever is done to the dict itself stays in the dict."""
    layer = kind(F, H, seed=1)
    before, names = layer.flat.tobytes(), list(layer.params)
    params = layer.params
    with contextlib.suppress(TypeError, AttributeError):
        params[names[0]] = np.zeros_like(params[names[0]])
    with contextlib.suppress(TypeError, AttributeError):
        del params[names[1]]
    assert list(layer.params) == names
    assert layer.flat.tobytes() == before
    assert b"".join(p.tobytes() for p in layer.params.values()) == before


OPTIONS = ["input_size", "hidden_size", "bias", "dtype", "seed"]
LAYER_OPTIONS = [*OPTIONS, "num_layers", "batch_first", "dropout", "bidirectional"]
ATTRIBUTES = [
    (maker, name)
    for maker, names in [
        (gru, [*LAYER_OPTIONS, "reset_after"]),
        (lstm, LAYER_OPTIONS),
        (gru_cell, [*OPTIONS, "reset_after"]),
        (lstm_cell, OPTIONS),
    ]
    for name in [*names, "params", "flat"]
]


@pytest.mark.parametrize(("maker", "name"), ATTRIBUTES, ids=lambda v: getattr(v, "__name__", v))
def test_attributes_are_read_only(maker, name):
    layer = maker()
    value = getattr(layer, name)
    with pytest.raises(AttributeError, match=name):
        setattr(layer, name, value)
    with pytest.raises(AttributeError, match=name):
        delattr(layer, name)


@pytest.mark.parametrize("name", ["x", "h0", "params", "flat"])
def test_grads_attributes_are_read_only(name):
    grads = gru().forward(ones(T, B, F))[-1].backward()
    with pytest.raises(AttributeError, match=name):
        setattr(grads, name, None)


# Sizes that no machine has ------------------------------------------------------------------------

FAR = 2**50  # steps or rows of zero stride: NumPy makes such an array, but no machine can hold its answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("input_size", "hidden_size"),
    [(2**62, 2**62), (2**32, 2**32), (1, 2**40), (2**60, 1), (2**63, 1), (1, 2**70)],
)
def test_sizes_whose_product_overflows(kind, input_size, hidden_size):
    with pytest.raises((ValueError, MemoryError), match=r"(?i)size|large|overflow|alloc|memory"):
        kind(input_size, hidden_size)


@pytest.mark.parametrize("layers", [2**62, 2**63 - 1, 2**70])
@pytest.mark.parametrize("kind", LAYERS)
def test_layers_whose_product_overflows(kind, layers):
    with pytest.raises((ValueError, MemoryError), match=r"(?i)size|num_layers|large|overflow|alloc|memory"):
        kind(F, H, layers, bidirectional=True)


@pytest.mark.parametrize("dims", [(FAR, B, F), (1, FAR, F), (2**29, 2**30, F)])
@pytest.mark.parametrize("method", ["__call__", "forward"])
def test_sequences_whose_product_overflows(method, dims):
    x = np.broadcast_to(np.float32(0), dims)
    with pytest.raises((ValueError, MemoryError)):
        getattr(gru(), method)(x)


@pytest.mark.parametrize("size", [2**60, 2**62, 2**63, 2**70])
def test_stream_whose_product_overflows(size):
    with pytest.raises((ValueError, MemoryError)):
        gru().stream(size)


# In a process of their own ------------------------------------------------------------------------


def run(code, **environment):
    """Run Python code in a fresh interpreter; never with a variable of gru-rs left over from here."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("GRU_RS_")} | environment
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def answer(code, **environment):
    done = run(code, **environment)
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


LIMIT = """
    import copy, pickle, resource
    import numpy as np
    import gru_rs

    HARD = resource.getrlimit(resource.RLIMIT_AS)[1]

    def limit(extra):
        "Allow `extra` bytes over what this process has."
        pages = int(open("/proc/self/statm").read().split()[0])
        size = pages * resource.getpagesize() + extra
        resource.setrlimit(resource.RLIMIT_AS, (size, HARD))

    def refused(name, call):
        try:
            call()
        except MemoryError as error:
            print(name, "MemoryError", str(error) or "-", sep="|")
        else:
            print(name, "no error", "-", sep="|")

    MB = 1 << 20
    small = gru_rs.GRU(3, 4, seed=1)
    tiny = np.ones((5, 2, 3), np.float32)
    answer = small(tiny)[0].tobytes()
"""

# Each allocates far more than it is allowed and far less than would harm the machine were it to succeed.
REFUSED = {
    "call": """
        layer, x = gru_rs.GRU(8, 512), np.zeros((4000, 64, 8), np.float32)     # y: 500 MB
        limit(100 * MB)
        refused("call", lambda: layer(x))
        refused("forward", lambda: layer.forward(x))
    """,
    "convert": """
        layer, x = gru_rs.GRU(512, 8), np.zeros((512, 64, 2000), np.int8).T    # as float32: 250 MB
        limit(100 * MB)
        refused("convert", lambda: layer(x))
    """,
    "backward": """
        layer, x = gru_rs.GRU(512, 8), np.zeros((2000, 64, 512), np.float32)   # d_x: 250 MB
        tape = layer.forward(x)[-1]
        limit(100 * MB)
        refused("backward", lambda: tape.backward(np.ones((2000, 64, 8), np.float32)))
    """,
    "constructor": """
        limit(100 * MB)
        for kind in [gru_rs.GRU, gru_rs.LSTM, gru_rs.GRUCell, gru_rs.LSTMCell]:  # 400 to 530 MB
            refused(kind.__name__, lambda: kind(4096, 4096))
        refused("layers", lambda: gru_rs.GRU(3, 4, 2**40))                     # 500 TB
    """,
    "lists": """
        tagger = gru_rs.Model(3, 4, 5, pooling="each", seed=1)
        pair = gru_rs.EncoderDecoder(3, 4, 5, seed=1)
        none = np.empty((3_000_000, 0, 3), np.float32)                          # rows of no steps
        limit(600 * MB)
        refused("names", lambda: gru_rs.GRU(1, 1, 2_000_000))                  # weights: 96 MB
        refused("labels", lambda: tagger.labels(none))
        refused("spell", lambda: tagger.spell(none, beam_width=2))
        refused("decode", lambda: pair.decode(none))
    """,
    "stream": """
        layer = gru_rs.GRU(8, 512)
        limit(100 * MB)
        refused("stream", lambda: layer.stream(1_000_000))                     # state: 2 GB
    """,
    "weights": """
        layer = gru_rs.GRU(2048, 2048, seed=1)                                 # 100 MB
        sample = layer.flat[::65537].copy()
        grads = np.ones_like(layer.flat)
        limit(50 * MB)
        refused("state_dict", layer.state_dict)
        other = copy.deepcopy(layer)                       # the memory is shared until a write
        refused("write to a copy", lambda: other.set_flat(grads))
        refused("flat", lambda: other.flat)
        limit(200 * MB)
        assert np.array_equal(other.flat[::65537], sample), "a refused write wrote"
        limit(50 * MB)
        del other
        refused("pickle", lambda: pickle.dumps(layer))
        refused("step", lambda: gru_rs.Adam(0.1).step(layer, grads))
        limit(200 * MB)
        assert np.array_equal(layer.flat[::65537], sample), "a refused step wrote"
    """,
}


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS and /proc are Linux's")
@pytest.mark.parametrize("code", REFUSED.values(), ids=REFUSED)
def test_refused_allocation(code):
    """A MemoryError, not an abort; and the process lives on to give the same answer as before."""
    after = """
    resource.setrlimit(resource.RLIMIT_AS, (HARD, HARD))
    assert small(tiny)[0].tobytes() == answer
    print("survived")
    """
    parts = (textwrap.dedent(part) for part in (LIMIT, code, after))
    *rows, last = answer("\n".join(parts)).splitlines()
    assert last == "survived"
    assert rows
    for row in rows:
        name, what, _ = row.split("|", 2)
        assert what == "MemoryError", f"{name}: {row}"


ISA = """
    import sys
    try:
        import gru_rs, numpy as np
        gru_rs.GRU(3, 4)(np.ones((5, 2, 3), np.float32))
    except Exception as error:
        print(type(error).__name__, error, sep="|")
    else:
        print("no error", gru_rs.show_config(mode="dicts")["isa"], sep="|")
"""


@pytest.mark.parametrize("name", ["nonsense", "AVX 2", "sse9"])
def test_unknown_isa(name):
    kind, _, message = answer(ISA, GRU_RS_ISA=name).strip().partition("|")
    assert kind in {"ValueError", "RuntimeError", "ImportError"}, f"{kind}: {message}"
    for word in ["GRU_RS_ISA", name, "scalar", "avx2"]:
        assert word in message, f"{word!r} not in {message!r}"


def test_isa_of_another_machine():
    """One that exists but not here: refused as well, with what is here."""
    available = gru_rs.show_config(mode="dicts")["isa_available"]
    other = next(name for name in ("neon", "avx2") if name not in available)
    kind, _, message = answer(ISA, GRU_RS_ISA=other).strip().partition("|")
    assert kind in {"ValueError", "RuntimeError", "ImportError"}, f"{kind}: {message}"
    for word in ["GRU_RS_ISA", other, "scalar"]:
        assert word in message, f"{word!r} not in {message!r}"


def test_named_isa_is_taken():
    assert answer(ISA, GRU_RS_ISA="scalar").strip() == "no error|scalar"


# The rest -----------------------------------------------------------------------------------------


def test_show_config_mode():
    with pytest.raises(ValueError, match=r"mode.*dicts|dicts.*mode") as caught:
        gru_rs.show_config(mode="xml")
    assert "xml" in str(caught.value)


MADE = {
    "Tape": lambda: gru().forward(ones(T, B, F))[-1],
    "Grads": lambda: gru().forward(ones(T, B, F))[-1].backward(),
    "Stream": lambda: gru().stream(),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_what_only_a_layer_makes(make):
    """Calling the class of a tape, a gradient or a stream is a TypeError, not an object without a layer."""
    with pytest.raises(TypeError):
        type(make())()


@pytest.mark.parametrize("made", ["Tape", "Grads"])
def test_what_cannot_be_pickled_says_so(made):
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(MADE[made]())

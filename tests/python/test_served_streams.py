"""Steps of streams that go through in one call beside the same steps read and answered in Python: the same
bits, and nothing written by what is refused.
"""

import copy
import pickle
import threading

import gru_rs
import numpy as np
import pytest
from gru_rs import SequenceClassifier, SequenceRegressor, SequenceTagger, Transcriber
from hypothesis import given
from hypothesis import strategies as st

RNG = np.random.default_rng(0)
OPTIONS = {"hidden_size": 6, "max_iter": 2, "random_state": 1, "bidirectional": False}
ROWS = [RNG.normal(size=(length, 3)) * 5 + 2 for length in (4, 7, 3, 9)] * 4
TEXTS = ["a fine day", "What a FINE film!", "a bad day", "what a bad film"] * 4
STEPS = [[label % 3 for label in range(len(row))] for row in ROWS]
LABELS = [0, 1, 2, 1] * 4
WIDTHS = [None, "int8", "f16", "bf16"]


def of_numbers(dtype, scale):
    options = OPTIONS | {"dtype": dtype, "scale": scale}
    several = np.array([[0, 1], [1, 1], [1, 0], [0, 0]] * 4)
    numbers = RNG.normal(size=16) * 9 + 4
    pairs = np.stack([numbers, -numbers], axis=1)
    return {
        "classifier": SequenceClassifier(**options).fit(ROWS, LABELS),
        "labels": SequenceClassifier(**options, cell="lstm", pooling="mean").fit(ROWS, several),
        "regressor": SequenceRegressor(**options, pooling="max").fit(ROWS, numbers),
        "pairs": SequenceRegressor(**options, scale_target=False).fit(ROWS, pairs),
        "steps": SequenceRegressor(**options, pooling="each").fit(ROWS, [row[:, 0] for row in ROWS]),
        "tagger": SequenceTagger(**options, crf=False).fit(ROWS, STEPS),
        "transcriber": Transcriber(**options).fit(ROWS, [["a"], ["b", "a"]] * 8),
    }


NUMBERS = {
    (dtype, scale): of_numbers(dtype, scale) for dtype in ("float32", "float64") for scale in (True, False)
}
WORDS = {
    "words": SequenceClassifier(**OPTIONS).fit(TEXTS, LABELS),
    "letters": SequenceClassifier(**OPTIONS, analyzer="char", lowercase=False).fit(TEXTS, LABELS),
    "lists": SequenceClassifier(**OPTIONS).fit([text.split() for text in TEXTS], LABELS),
    "numbers of texts": SequenceRegressor(**OPTIONS, dtype="float64").fit(TEXTS, np.arange(16.0)),
    "tags": SequenceTagger(**OPTIONS, crf=False, token_features=None).fit(
        [text.split() for text in TEXTS], [[0] * len(text.split()) for text in TEXTS]
    ),
}


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def same_states(one, other):
    mine, theirs = one.state, other.state
    return all(same(np.asarray(mine[name]), np.asarray(theirs[name])) for name in theirs)


def is_plain(stream, x):
    """Whether it goes through in one call."""
    return stream.clone()._stream._core.plain(x, None, stream._reading, stream._answer) is not None


@given(
    st.sampled_from(sorted(NUMBERS)),
    st.sampled_from(sorted(set(NUMBERS["float32", True]) - {"transcriber"})),
    st.sampled_from(WIDTHS),
    st.sampled_from([None, 1, 3, 17]),
    st.sampled_from([None, 0, 1, 2, 70]),
    st.sampled_from([np.float32, np.float64]),
    st.booleans(),
    st.integers(0, 99),
)
def test_numbers(kind, name, width, batch, steps, dtype, given_out, seed):
    estimator = NUMBERS[kind][name]
    estimator = estimator if width is None else estimator.quantize(width)
    stream = estimator.stream(batch)
    twin, rng = stream.clone(), np.random.default_rng(seed)
    axes = tuple(size for size in (batch, steps) if size is not None)
    for _ in range(3):
        x = (rng.normal(size=(*axes, 3)) * 9).astype(dtype)
        assert is_plain(stream, x)
        expected = twin._read(x, None)
        out = np.full_like(expected, 7) if given_out else None
        found = stream(x, out=out)
        assert out is None or found is out
        assert same(found, expected)
        if out is not None:  # of the way through Python
            assert same(twin.clone()._read(x, out), twin.clone()._read(x, None))
    assert same_states(stream, twin)


@given(st.sampled_from(sorted(NUMBERS)), st.integers(0, 99))
def test_containers_of_numbers(kind, seed):
    stream = NUMBERS[kind]["classifier"].stream()
    x = np.random.default_rng(seed).normal(size=(5, 3))
    expected = stream.clone()._read(x, None)
    for plain, given_x in [
        (True, x),
        (False, np.asfortranarray(x)),
        (False, x.tolist()),
        (False, [tuple(step) for step in x.tolist()]),
        (False, x.astype(">f8")),
        (False, np.repeat(x, 2, axis=0)[::2]),
    ]:
        assert is_plain(stream, given_x) == plain
        assert same(stream.clone()(given_x), expected)
    step = x[0].tolist()
    assert is_plain(stream, step)
    assert same(stream.clone()(step), expected[0])
    assert same(stream.clone()(tuple(step)), expected[0])
    whole = [3, True, 2.0]
    assert not is_plain(stream, whole)
    assert same(stream.clone()(whole), stream.clone()(np.array([3.0, 1.0, 2.0])))


TOKENS = st.one_of(
    st.sampled_from(["A", "fine", "day", "what", "bad", "FILM", "!", "ä", "手", "x\x1cy"]),
    st.text(max_size=5),
)


@given(
    st.sampled_from(sorted(WORDS)),
    st.sampled_from([None, 1, 3]),
    st.lists(TOKENS, min_size=1, max_size=6),
)
def test_words(name, batch, tokens):
    stream = WORDS[name].stream(batch)
    twin = stream.clone()
    own, other = (tokens, " ".join(tokens)) if name in ("lists", "tags") else (" ".join(tokens), tokens)
    given_x, refused = (own, other) if batch is None else ([own] * batch, [other] * batch)
    with pytest.raises(TypeError, match=r"x_t: expected .* as in training, got"):
        stream(refused)
    expected = twin._read(given_x, None)
    if all(token.isascii() for token in tokens):
        assert is_plain(stream, given_x)
    out = np.empty_like(expected)
    assert same(stream.clone()(given_x, out=out), expected)
    assert same(stream(given_x), expected)
    assert same_states(stream, twin)


def test_halves_of_surrogates_and_texts_of_nothing():
    for name, x in [("words", "bad \ud83d"), ("lists", ["bad", "\ud83d"]), ("words", ""), ("words", "  ")]:
        stream = WORDS[name].stream()
        assert same(stream.clone()(x), stream.clone()._read(x, None))


@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_transcribers_say_what_is_new(dtype, batch):
    stream = NUMBERS[dtype, True]["transcriber"].stream(batch)
    twin = stream.clone()
    twin._reading = None  # through Python
    for row in ROWS[:4]:
        x = row if batch is None else np.stack([row, -row])
        assert is_plain(stream, x)
        assert stream(x) == twin(x)
    assert same_states(stream, twin)
    with pytest.raises(TypeError, match="out"):
        stream(ROWS[0], out=np.empty(3))


def test_ways_of_copying():
    for estimator, x in ((NUMBERS["float32", True]["regressor"], ROWS[0]), (WORDS["words"], "a fine day")):
        stream = estimator.stream()
        stream(x)
        expected = stream.clone()._read(x, None)
        for other in (
            stream.clone(),
            copy.copy(stream),
            copy.deepcopy(stream),
            pickle.loads(pickle.dumps(stream)),
        ):
            assert is_plain(other, x)
            assert same(other(x), expected)


REFUSED = [
    (ValueError, r"x_t: expected shape \(3,\) or \(T, 3\), got \(4,\)", np.ones(4)),
    (ValueError, r"x_t: expected shape \(3,\) or \(T, 3\), got \(1, 1, 3\)", np.ones((1, 1, 3))),
    (ValueError, r"x_t: expected shape \(3,\) or \(T, 3\), got \(2,\)", [1.0, 2.0]),
    (ValueError, "x_t: expected finite numbers, got NaN or infinity", np.array([1, np.nan, 2])),
    (
        ValueError,
        "x_t: expected finite numbers, got NaN or infinity",
        [[1.0, 2.0, 3.0], [1.0, 2.0, float("inf")]],
    ),
    (
        ValueError,
        "x_t: expected numbers that float32 can hold in the units of training",
        np.array([1e300, 0, 0]),
    ),
    (TypeError, "x_t", np.ma.masked_array([1.0, 2.0, 3.0], [True, False, False])),
    (TypeError, "x_t: expected a list, an array or a column, got 'abc'", "abc"),
]


@pytest.mark.parametrize(("kind", "message", "x"), REFUSED)
def test_a_refused_step_leaves_all_as_it_was(kind, message, x):
    stream = NUMBERS["float32", True]["classifier"].stream()
    stream(ROWS[0])
    before, out = stream.clone(), np.full(3, 7, np.float32)
    with pytest.raises(kind, match=message):
        stream(x, out=out)
    with pytest.raises(kind, match=message):
        stream(x)
    assert same_states(stream, before)
    assert (out == 7).all()


READ_ONLY = np.empty(3, np.float32)
READ_ONLY.flags.writeable = False
OUTS = [
    (ValueError, r"out: expected shape \(3,\), got \(4,\)", np.full(4, 7, np.float32)),
    (ValueError, r"out: expected shape \(3,\), got \(1, 3\)", np.full((1, 3), 7, np.float32)),
    (TypeError, "out: expected float32 in native byte order, got float64", np.full(3, 7.0)),
    (ValueError, "out: expected a C-contiguous array", np.full(6, 7, np.float32)[::2]),
    (ValueError, "out: expected a writeable array", READ_ONLY),
    (
        TypeError,
        "out: expected an array of float32, got MaskedArray",
        np.ma.masked_array(np.zeros(3, np.float32)),
    ),
    (TypeError, "out: expected an array of float32, got list", [1.0, 2.0, 3.0]),
]


@pytest.mark.parametrize(("kind", "message", "out"), OUTS)
@pytest.mark.parametrize("of", ["model", "classifier", "words"])
def test_an_out_that_cannot_be_written(of, kind, message, out):
    estimator, x = (
        (WORDS["words"], "a") if of == "words" else (NUMBERS["float32", True]["classifier"], np.ones(3))
    )
    stream = estimator.model_.stream() if of == "model" else estimator.stream()
    x = x.astype(np.float32) if of == "model" else x
    if of == "words":
        message = message.replace(r"(3,\)", r"(1, 3\)") if "shape" in message else message
        if isinstance(out, np.ndarray) and out.shape == (1, 3):
            return
        if isinstance(out, np.ndarray) and out.shape == (3,) and type(out) is np.ndarray:
            flags = out.flags
            out = out[np.newaxis] if flags.c_contiguous else np.full((1, 6), 7, np.float32)[:, ::2]
    before = np.array(out)
    twin = stream.clone()
    with pytest.raises(kind, match=message):
        stream(x, out=out)
    assert same_states(stream, twin)
    np.testing.assert_array_equal(np.array(out), before)


def test_a_single_number_is_written_into_an_array_without_axes():
    stream = NUMBERS["float32", True]["regressor"].stream()
    out, expected = np.empty(()), stream.clone()(ROWS[0][0])
    assert expected.shape == ()
    assert stream(ROWS[0][0], out=out) is out
    assert same(out, expected)
    with pytest.raises(ValueError, match=r"out: expected shape \(\), got \(1,\)"):
        stream(ROWS[0][0], out=np.empty(1))
    with pytest.raises(TypeError, match="out: expected float64 in native byte order, got float32"):
        stream(ROWS[0][0], out=np.empty((), np.float32))


def test_an_array_is_not_read_and_written_at_once():
    stream = gru_rs.Model(3, 4, 3, seed=1).stream()
    x = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="out: expected an array of its own, got x_t"):
        stream(x, out=x)
    # An estimator reads a copy in its units.
    stream = NUMBERS["float32", True]["classifier"].stream()
    expected = stream.clone()(x)
    assert same(stream(x, out=x), expected)


@given(
    st.sampled_from(["last", "mean", "max", "each"]),
    st.sampled_from(["float32", "float64"]),
    st.sampled_from(WIDTHS),
    st.sampled_from([None, 1, 3, 17]),
    st.sampled_from([None, 0, 1, 2, 70]),
    st.integers(0, 99),
)
def test_models(pooling, dtype, width, batch, steps, seed):
    model = gru_rs.Model(3, 5, 2, pooling=pooling, dtype=dtype, num_layers=2, seed=seed)
    model = model if width is None else model.quantize(width)
    stream = model.stream(batch)
    twin, rng = stream.clone(), np.random.default_rng(seed)
    axes = tuple(size for size in (batch, steps) if size is not None)
    for _ in range(3):
        x = rng.normal(size=(*axes, 3)).astype(dtype)
        expected = twin._sorted_out(x, None)
        assert stream.clone()._core.plain(x, None) is not None
        out = np.empty_like(expected)
        assert stream.clone()(x, out=out) is out
        assert same(out, expected)
        assert same(stream(x), expected)
    assert same_states(stream, twin)


@given(
    st.sampled_from([None, 1, 3]),
    st.sampled_from([None, 0, 1, 5]),
    st.sampled_from([None, 1, 2]),
    st.booleans(),
    st.integers(0, 99),
)
def test_models_of_tokens(batch, steps, per_step, given_out, seed):
    model = gru_rs.Model(3, 5, 2, vocabulary_size=7, seed=seed)
    stream, rng = model.stream(batch), np.random.default_rng(seed)
    twin = stream.clone()
    if steps is None:
        per_step = None
    x = rng.integers(0, 7, tuple(size for size in (batch, steps, per_step) if size is not None))
    x = int(x) if np.ndim(x) == 0 and seed % 2 else np.array(x)
    expected = twin._sorted_out(x, None)
    assert stream.clone()._core.plain(x, None) is not None
    out = np.empty_like(expected) if given_out else None
    assert same(stream(x, out=out), expected)
    assert same_states(stream, twin)


@pytest.mark.parametrize(
    "x", [7, -1, True, 2**40, np.array([1, 7]), np.array([-1]), np.zeros((1, 1, 1), int), 1.0]
)
def test_tokens_that_there_are_not(x):
    stream = gru_rs.Model(3, 5, 2, vocabulary_size=7, seed=1).stream()
    before = stream.clone()
    with pytest.raises((ValueError, TypeError), match="x_t: expected"):
        stream(x)
    assert same_states(stream, before)


def test_two_threads():
    estimator, x, met = NUMBERS["float32", True]["classifier"], ROWS[3].astype(np.float32), []
    expected = estimator.stream()(x)

    def alone():
        for _ in range(200):
            met.append(same(np.stack([*map(stream := estimator.stream(), x)]), expected) or stream)

    threads = [threading.Thread(target=alone) for _ in range(2)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert met == [True] * 400


@pytest.mark.parametrize("make", [lambda: gru_rs.Model(2, 4, 2, seed=1), lambda: gru_rs.GRU(2, 2, seed=1)])
def test_an_out_that_lies_in_the_step_by_another_way(make):
    network = make()
    big = RNG.normal(size=(41, 2)).astype(np.float32)
    before = big.copy()
    for other in (np.from_dlpack(big), np.asarray(memoryview(big))):
        for steps, out in ((big[:-1], other[1:]), (big[1:], other[:-1]), (big, other)):
            stream = network.stream()
            with pytest.raises(ValueError, match="out: expected"):
                stream(steps, out=out)
            np.testing.assert_array_equal(big, before)
            np.testing.assert_array_equal(stream(before[:3]), network.stream()(before[:3]))
    beside = np.from_dlpack(big)[20:]
    np.testing.assert_array_equal(network.stream()(big[:20], out=beside[:20]), network.stream()(before[:20]))

"""Streams of models and estimators: the bits of calls for the sequence so far, rows that come and go, errors.

The same in Rust, over random models, in tests/streams.rs.
"""

import copy
import gc
import pickle
import threading
import weakref

import gru_rs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

POOLINGS = ["last", "mean", "max", "each"]


def noise(*shape, seed=0, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def tokens(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 7, shape)


def same(a, b):
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


def so_far(model, x):
    """The scores after each step of a row, each by a call of its own."""
    prefixes = (x[np.newaxis, : step + 1] for step in range(len(x)))
    return np.array([model.scores(prefix)[-1] for prefix in prefixes])


@given(
    cell=st.sampled_from(["gru", "lstm"]),
    pooling=st.sampled_from(POOLINGS),
    vocabulary=st.sampled_from([None, 7]),
    width=st.sampled_from([None, "int8", "f16", "bf16"]),
    dtype=st.sampled_from([np.float32, np.float64]),
    batch=st.sampled_from([None, 1, 3, 17]),
    turn=st.sampled_from(["pickle", "clone", "copy", "deepcopy", "state", "steps", "out", ""]),
    cut=st.integers(0, 6),
)
def test_scores_so_far(cell, pooling, vocabulary, width, dtype, batch, turn, cut):
    model = gru_rs.Model(
        3, 5, 2, vocabulary_size=vocabulary, cell=cell, pooling=pooling, num_layers=2, dtype=dtype, seed=1
    )
    model = model if width is None else model.quantize(width)
    x = tokens(batch or 1, 6) if vocabulary else noise(batch or 1, 6, 3, dtype=dtype)
    stream, given_x = model.stream(batch), x if batch else x[0]
    axis = 1 if batch else 0
    first, rest = np.split(given_x, [cut], axis)
    parts = [stream(first)]
    if turn == "state":
        state = stream.state
        stream.state = None
        stream.state = state
    turns = {"pickle": lambda s: pickle.loads(pickle.dumps(s)), "clone": lambda s: s.clone()}
    stream = (turns | {"copy": copy.copy, "deepcopy": copy.deepcopy}).get(turn, lambda s: s)(stream)
    if turn == "steps":
        parts += [np.expand_dims(stream(step), axis) for step in np.moveaxis(rest, axis, 0)]
    elif turn == "out":
        out = np.empty((*rest.shape[: axis + 1], 2), dtype)
        assert stream(rest, out=out) is out
        parts.append(out)
    else:
        parts.append(stream(rest))
    found = np.concatenate(parts, axis).reshape(batch or 1, 6, 2)
    assert same(found, [so_far(model, row) for row in x])
    assert (stream.batch_size, found.dtype) == (batch, dtype)


def test_tokens_with_features_come_in_chunks():
    model = gru_rs.Model(3, 5, 2, vocabulary_size=7, seed=1)
    x = tokens(2, 4, 3)
    assert same(model.stream(2)(x)[:, -1], model.scores(x))
    assert model.stream()(x[0]).shape == (4, 2)


def test_rows_join_leave_and_reset():
    model = gru_rs.Model(3, 5, 2, pooling="mean", seed=1)
    x = noise(3, 8, 3)
    stream = model.stream(3)
    stream(x[:, :4])
    left = stream.leave(1)
    assert (left["h"].shape, left["pooled"].shape, left["steps"].shape) == ((1, 5), (5,), ())
    assert stream.batch_size == 2
    assert stream.join(left) == 2
    assert stream.join() == 3
    stream.reset([True, False, False, False])
    found = stream(x[[0, 2, 1, 0], 4:])
    assert same(found[1:3, -1], model.scores(x)[[2, 1]])
    assert same(found[[0, 3], -1], np.repeat(model.scores(x[:1, 4:]), 2, axis=0))


def test_takes_the_newest_weights():
    model = gru_rs.Model(3, 5, 2, seed=1)
    stream, x = model.stream(), noise(3)
    before = stream(x)
    stream.reset()
    model.set_flat(2 * model.flat)
    assert not same(stream(x), before)
    stream.reset()
    assert same(stream(x), model.scores(x.reshape(1, 1, 3))[0])


def test_what_cannot_be():
    model = gru_rs.Model(3, 5, 2, seed=1)
    one, two = model.stream(), model.stream(2)
    state = two.state
    lstm = gru_rs.Model(3, 5, 2, cell="lstm").stream()
    refused = [
        (
            ValueError,
            r"x_t: expected shape \(3,\) or \(T, 3\), got \(4,\)",
            lambda: one(np.ones(4, np.float32)),
        ),
        (ValueError, r"x_t: expected shape \(2, 3\) or \(2, T, 3\)", lambda: two(np.ones(3, np.float32))),
        (TypeError, "x_t: expected float32.*float64", lambda: one(np.ones(3))),
        (
            ValueError,
            r"out: expected shape \(2,\)",
            lambda: one(np.ones(3, np.float32), out=np.empty(3, np.float32)),
        ),
        (ValueError, "mask: expected a stream with a batch_size", lambda: one.reset([True])),
        (TypeError, "mask: expected an array of bool", lambda: two.reset([0, 1])),
        (ValueError, "join: expected a stream with a batch_size", one.join),
        (ValueError, "leave: expected a stream with a batch_size", lambda: one.leave(0)),
        (ValueError, "row: expected an integer from 0 to 1, got 2", lambda: two.leave(2)),
        (ValueError, r"state: expected a dict of .*'c'", lambda: setattr(lstm, "state", one.state)),
        (TypeError, "state: expected a dict", lambda: setattr(one, "state", 3)),
        (ValueError, r"h: expected shape \(1, 5\), got \(1, 2, 5\)", lambda: two.join(state)),
        (TypeError, "steps: expected an integer", lambda: two.join({**one.state, "steps": 0.5})),
        (ValueError, "bidirectional", gru_rs.Model(3, 5, 2, bidirectional=True).stream),
        (ValueError, "crf", gru_rs.Model(3, 5, 2, pooling="each", crf=True).stream),
        (ValueError, "batch_size: expected a positive integer", lambda: model.stream(0)),
        (
            ValueError,
            "x_t: expected integers from 0 to 6",
            lambda: gru_rs.Model(3, 5, 2, vocabulary_size=7).stream()(7),
        ),
    ]
    for kind, message, call in refused:
        with pytest.raises(kind, match=message):
            call()
    assert all(same(state[name], two.state[name]) for name in state)


def test_the_last_one_stays():
    stream = gru_rs.Model(3, 5, 2).stream(1)
    with pytest.raises(RuntimeError, match="last sequence"):
        stream.leave(0)
    assert stream.batch_size == 1


def fitted(**options):
    X = list(noise(8, 5, 64))
    return gru_rs.SequenceClassifier(**options, max_iter=1, random_state=1, bidirectional=False).fit(
        X, [0, 1] * 4
    )


@pytest.mark.parametrize("make", [lambda: gru_rs.Model(64, 256, 2), lambda: fitted(hidden_size=256)])
def test_one_thread_at_a_time(make):
    stream = make().stream(8)
    x, met = noise(8, 400, 64), []

    def run():
        for _ in range(20):
            try:
                stream(x)
            except RuntimeError as error:
                met.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert met
    assert all("in use by another thread" in message for message in met)


def test_one_set_of_weights_a_call():
    """Written by another thread meanwhile: the stack and the head of a call are of one moment."""
    model = gru_rs.Model(3, 4, 1, seed=1)
    at, other = {name: slice(first, last) for name, first, last, _ in model._names}, model.flat.copy()
    # Both score 0, by a head of zeros or by a stack of zeros.
    one = other.copy()
    one[at["head.weight"].start :] = 0
    other[: at["head.weight"].start] = 0
    other[at["head.bias"]] = 0
    done = threading.Event()

    def write():
        while not done.is_set():
            model.set_flat(one)
            model.set_flat(other)

    model.set_flat(one)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(300):
            assert not model.stream()(noise(50, 3)).any()
    finally:
        done.set()
        writer.join()


def test_rows_are_counted_by_whoever_joins():
    for _ in range(20):
        stream, met = gru_rs.Model(3, 4, 2).stream(1), []

        def join(stream=stream, met=met):
            for _ in range(5):
                try:
                    stream.join()
                except RuntimeError:
                    met.append(1)

        threads = [threading.Thread(target=join) for _ in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert stream.batch_size == 21 - len(met)
        assert stream.state["h"].shape[1] == stream.batch_size


@pytest.mark.parametrize("make", [gru_rs.GRU(3, 8).stream, gru_rs.Model(3, 8, 2).stream])
def test_sizes_beyond_memory(make):
    with pytest.raises((MemoryError, ValueError)):
        make(2**40)
    with pytest.raises(TypeError, match="batch_size: expected a positive integer"):
        make(True)


def test_a_layer_that_holds_its_stream_is_collected():
    gru = gru_rs.GRU(3, 4)
    gru.held, gone = gru.stream(), weakref.ref(gru)
    del gru
    gc.collect()
    assert gone() is None


# Estimators ---------------------------------------------------------------------------------------

TEXTS = ["a fine day", "what a fine film", "a bad day", "what a bad film"] * 4
OPTIONS = {"hidden_size": 8, "max_iter": 3, "random_state": 1, "bidirectional": False}


def sequences(features=3):
    return [noise(n, features, seed=n).astype(np.float64) * 3 + 1 for n in range(3, 15)]


@pytest.mark.parametrize("pooling", POOLINGS[:3])
def test_classifier_of_numbers(pooling):
    X = sequences()
    classifier = gru_rs.SequenceClassifier(pooling=pooling, **OPTIONS).fit(X, [0, 1, 2] * 4)
    for x in X:
        expected = classifier.predict_proba([x[: step + 1] for step in range(len(x))])
        assert same(classifier.stream()(x), expected)
        stream = classifier.stream()
        assert same([stream(step) for step in x], expected)
    pair = np.stack([X[-1][:5], X[-2][:5]])
    found = classifier.stream(2)(pair)
    assert same(found[:, -1], classifier.predict_proba(list(pair)))


@pytest.mark.parametrize("outputs", [1, 2])
def test_regressor(outputs):
    X, y = sequences(), noise(12, outputs).squeeze()
    regressor = gru_rs.SequenceRegressor(**OPTIONS).fit(X, y)
    expected = regressor.predict([X[4][: step + 1] for step in range(len(X[4]))])
    found = regressor.stream()(X[4])
    assert found.shape == expected.shape
    assert same(found, expected)


def test_classifier_of_words():
    classifier = gru_rs.SequenceClassifier(**OPTIONS).fit(TEXTS, [1, 1, 0, 0] * 4)
    stream = classifier.stream()
    found = np.concatenate([stream("What a"), stream("bad"), stream("film")])
    prefixes = ["what", "what a", "what a bad", "what a bad film"]
    assert same(found, classifier.predict_proba(prefixes))
    pairs = classifier.stream(2)(["a fine", "what a"])
    assert same(pairs[:, -1], classifier.predict_proba(["a fine", "what a"]))
    for stream, chunk in ((classifier.stream(2), ["a", "what a"]), (classifier.stream(2), ["a"])):
        with pytest.raises(ValueError, match="x_t: expected 2 sequences of as many tokens"):
            stream(chunk)


def test_tagger_without_a_chain():
    words = [text.split() for text in TEXTS]
    labels = [["O"] * (len(row) - 1) + ["N"] for row in words]
    tagger = gru_rs.SequenceTagger(crf=False, **OPTIONS).fit(words, labels)
    for row in words[:4]:
        found = tagger.stream()(row)
        assert tagger.classes_[found.argmax(axis=1)].tolist() == tagger.predict([row])[0].tolist()
    with pytest.raises(ValueError, match="crf"):
        gru_rs.SequenceTagger(**OPTIONS).fit(words, labels).stream()


def test_transcriber_gives_labels_as_they_come():
    rng = np.random.default_rng(1)
    words = ["".join(rng.choice(list("ab"), 3)) for _ in range(200)]
    heard = {"a": [1.0, 0, 0], "b": [0, 1.0, 0], " ": [0, 0, 1.0]}
    X = [np.array([heard[letter] for letter in " ".join(word) for _ in range(2)]) for word in words]
    options = OPTIONS | {"max_iter": 20, "learning_rate_init": 0.02, "hidden_size": 16}
    transcriber = gru_rs.Transcriber(**options).fit(X, words)
    assert transcriber.predict(X[:9]) == words[:9]
    for x, word in zip(X[:9], words[:9], strict=True):
        stream = transcriber.stream()
        parts = [stream(x[:3])]
        state = stream.state
        stream(x[3:])
        stream.state = state
        parts.append(pickle.loads(pickle.dumps(stream)).clone()(x[3:4]))
        parts += [stream(x[3:4]) and "", *(stream(step) for step in x[4:])]
        assert "".join(parts) == word
    both = transcriber.stream(2)
    found = both(np.stack(X[:2])[:, :4])
    left = both.leave(0)
    assert both.join(left) == 1
    rest = both(np.stack([X[1], X[0]])[:, 4:])
    assert [found[0] + rest[1], found[1] + rest[0]] == words[:2]
    both.reset([False, True])
    assert both.state["label"][1] == 0
    wrong = left | {"label": 9}
    with pytest.raises(ValueError, match="state: expected with 'label', an integer of 0 to 2"):
        both.join(wrong)


def test_estimators_refuse_what_predict_refuses():
    classifier = gru_rs.SequenceClassifier(**OPTIONS).fit(sequences(), [0, 1, 2] * 4)
    stream = classifier.stream()
    before = stream.state
    for kind, message, x in [
        (ValueError, r"x_t: expected shape \(3,\) or \(T, 3\), got \(2,\)", [1.0, 2.0]),
        (ValueError, "x_t: expected finite numbers", [1.0, np.nan, 2.0]),
        (TypeError, "x_t: expected a list, an array or a column, got 'abc'", "abc"),
    ]:
        with pytest.raises(kind, match=message):
            stream(x)
    assert all(same(before[name], stream.state[name]) for name in before)
    both = gru_rs.SequenceClassifier(**OPTIONS | {"bidirectional": True}).fit(sequences(), [0, 1, 2] * 4)
    with pytest.raises(ValueError, match="bidirectional"):
        both.stream()


def test_a_stream_reads_as_when_it_was_made():
    X = sequences()
    classifier = gru_rs.SequenceClassifier(**OPTIONS).fit(X, [0, 1, 2] * 4)
    stream, expected = classifier.stream(), classifier.predict_proba([X[0]])[0]
    classifier.fit([5 * x for x in X], [0, 1, 2] * 4)
    assert same(stream(X[0])[-1], expected)

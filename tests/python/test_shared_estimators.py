"""What a fitted estimator is asked only reads: threads may share one, and nothing on it is written.

GRU_RS_LONG=1 makes at least 100,000 calls of all estimators together.
"""

import os
import pickle
import random
import sys
import threading
import time
from functools import cache

import gru_rs
import numpy as np
import pytest
from gru_rs import (
    Forecaster,
    LanguageModel,
    Seq2Seq,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    Transcriber,
)

LONG = os.environ.get("GRU_RS_LONG") == "1"
THREADS = 4
BURST = 25
CALLS = 12_000 if LONG else 2_000  # of each of the nine
RNG = np.random.default_rng(7)
NUMBERS = [RNG.normal(size=(length, 3)).astype(np.float32) for length in (4, 1, 7, 3, 5, 2, 6, 4)]
TABLE = RNG.normal(size=(12, 5))
SENTENCES = [["Ann", "met", "Bob"], ["Bob", "slept"], ["they", "met", "Ann"]] * 4
TAGS = [["P", "O", "P"], ["P", "O"], ["O", "O", "P"]] * 4
TEXTS = ["a fine day", "what a fine film", "a bad day", "what a bad film"] * 3
KINDS = ["good", "good", "bad", "bad"] * 3
WAVE = np.sin(np.arange(90) / 5)
COLUMN = np.cos(np.arange(90) / 5)


def small(kind, **more):
    return kind(**{"hidden_size": 6, "max_iter": 2, "batch_size": 4, "random_state": 1} | more)


def features(token):
    """Two of each token, but three of a long one: not as in training. Other threads may have a turn."""
    time.sleep(0)
    return (token, len(token)) if len(token) < 9 else (token, len(token), token[-1])


def streamed(batch_size, *chunks):
    """Calls of a stream of its own."""

    def call(estimator):
        stream = estimator.stream(batch_size)
        return [stream(chunk) for chunk in chunks], stream.state

    return call


def asked(method, *arguments, **more):
    return lambda estimator: getattr(estimator, method)(*arguments, **more)


def quantized(width, method, *arguments, **more):
    """What a copy of narrow weights answers, and how far it is from this one."""

    def call(estimator):
        other = estimator.quantize(width, validate=arguments[0])
        return other.quantization_, getattr(other, method)(*arguments, **more)

    return call


def pickled(method, *arguments):
    return lambda estimator: getattr(pickle.loads(pickle.dumps(estimator)), method)(*arguments)


def drawn(estimator):
    """The beginning of a text whose rest nobody asks for."""
    pieces = estimator.stream("the", max_length=None, seed=3)
    return [next(pieces, None) for _ in range(4)]


SEQUENCES = {
    "predict": asked("predict", NUMBERS),
    "predict others": asked("predict", NUMBERS[::-1][:3]),
    "no steps": asked("predict", [np.empty((0, 3))]),
    "other features": asked("predict", [np.ones((2, 4))]),
    "lengths": asked("predict", np.ones((2, 6, 3)), [2, 6]),
    "tokens": asked("predict", SENTENCES),
    "quantize": quantized("int8", "predict", NUMBERS),
    "pickle": pickled("predict", NUMBERS[:2]),
}
WORDS = {
    "predict": asked("predict", SENTENCES * 3),
    "predict_proba": asked("predict_proba", SENTENCES),
    "predict_log_proba": asked("predict_log_proba", SENTENCES[:3]),
    "an empty sentence": asked("predict", [[]]),
    "empty and not": asked("predict", [[], ["Bob", "Bob"]]),
    "unknown words": asked("predict", [["nobody", "knows"]]),
    "numbers for words": asked("predict", [[3, 4]]),
    "no sentence": asked("predict", []),
    "score": asked("score", SENTENCES[:2], TAGS[:2]),
    "quantize": quantized("f16", "predict", SENTENCES[:4]),
    "pickle": pickled("predict", SENTENCES[:2]),
}
ESTIMATORS = {
    "classifier": (
        lambda: small(SequenceClassifier).fit(TEXTS, KINDS),
        {
            "predict": asked("predict", TEXTS),
            "predict_proba": asked("predict_proba", TEXTS[:5]),
            "predict_log_proba": asked("predict_log_proba", TEXTS[:3]),
            "predict_top_k": asked("predict_top_k", TEXTS[:5], k=2),
            "transform": asked("transform", TEXTS),
            "lists": asked("predict_proba", [text.split() for text in TEXTS[:3]]),
            "an empty text": asked("predict_proba", [""]),
            "unknown words": asked("predict_proba", ["nobody knows"]),
            "no text": asked("predict", []),
            "numbers": asked("predict", NUMBERS),
            "score": asked("score", TEXTS, KINDS),
            "stream": streamed(None, "what a", "fine", "film"),
            "streams": streamed(2, ["a fine", "a bad"], ["day", "day"]),
            "an empty chunk": streamed(None, "", "day"),
            "a wrong chunk": streamed(2, ["a fine", "day"]),
            "quantize": quantized("int8", "predict_proba", TEXTS[:4]),
            "pickle": pickled("predict_proba", TEXTS[:2]),
        },
    ),
    "classifier of a table": (
        lambda: small(SequenceClassifier, dtype="float64").fit(TABLE, np.arange(12) % 3),
        {
            "predict_proba": asked("predict_proba", TABLE),
            "other steps": asked("predict_proba", TABLE[:, :4]),
            "three axes": asked("predict_proba", TABLE[:3, :4, np.newaxis]),
            "score": asked("score", TABLE, np.arange(12) % 3),
            "stream": streamed(None, TABLE[0, :, np.newaxis]),
        },
    ),
    "regressor": (
        lambda: small(SequenceRegressor).fit(NUMBERS, np.cumsum(TABLE[:8, :2], axis=0)),
        SEQUENCES
        | {
            "score": asked("score", NUMBERS, np.arange(16.0).reshape(8, 2)),
            "stream": streamed(None, NUMBERS[0], NUMBERS[1][0]),
            "streams": streamed(2, np.stack([NUMBERS[0], NUMBERS[3][[0, 1, 2, 0]]])),
            "a wrong step": streamed(None, NUMBERS[0][0], np.ones(4)),
        },
    ),
    "tagger": (lambda: small(SequenceTagger).fit(SENTENCES, TAGS), WORDS),
    "tagger of features": (
        lambda: small(SequenceTagger, crf=False, token_features=features).fit(SENTENCES, TAGS),
        WORDS
        | {
            "more features": asked("predict", [["Ann", "disappeared"]]),
            "numbers for words": asked("predict", [["Ann", 3]]),
            "stream": streamed(None, ["Ann"], [], ["met", "Bob"]),
            "streams": streamed(2, [["Ann"], ["Bob"]]),
            "a stream of more features": streamed(None, ["disappeared"]),
        },
    ),
    "forecaster": (
        lambda: small(Forecaster, horizon=3, window=8, quantiles=(0.1, 0.9)).fit(WAVE[:70], COLUMN[:70]),
        {
            "predict": asked("predict", COLUMN[70:73]),
            "of another series": asked("predict", COLUMN[3:6], y=WAVE[20:50], past_exog=COLUMN[20:50]),
            "without columns": asked("predict"),
            "a short series": asked("predict", COLUMN[:3], y=WAVE[:4], past_exog=COLUMN[:4]),
            "backtest": asked("backtest", WAVE, COLUMN, start=72, step=4),
            "quantize": lambda estimator: estimator.quantize("int8", validate=(WAVE, COLUMN)).quantization_,
            "pickle": pickled("predict", COLUMN[70:73]),
        },
    ),
    "forecaster of series": (
        lambda: small(Forecaster, horizon=2, window=8, levels=(0.5, 0.8), gaps="mask", season=5).fit(
            {"a": WAVE[:70], "b": 5 * COLUMN[:50]}, observed={"a": COLUMN[:70], "b": WAVE[:50]}
        ),
        {
            "predict": asked("predict"),
            "of a new series": asked("predict", y=[WAVE[20:60]], observed=[COLUMN[20:60]]),
            "backtest": asked("backtest", {"a": WAVE}, observed={"a": COLUMN}, start=72, step=4),
            "str": str,
            "pickle": pickled("predict"),
        },
    ),
    "language model": (
        lambda: small(LanguageModel, chunk_length=8).fit(["the cat sat", "the dog ran"] * 4),
        {
            "log_likelihood": asked("log_likelihood", ["the cat", "a dog", ""]),
            "score": asked("score", ["the dog sat"]),
            "perplexity": asked("perplexity", "the cat ran"),
            "bits": asked("bits_per_character", ["the cat"]),
            "lists": asked("log_likelihood", [["t", "h"], []]),
            "generate": asked("generate", "the", max_length=12, seed=1),
            "generate others": asked("generate", max_length=20, temperature=2.0, top_k=3, seed=2, stop="a"),
            "draw": drawn,
            "no text": asked("score", []),
            "quantize": lambda estimator: estimator.quantize("f16", validate=["the cat"]).quantization_,
            "pickle": pickled("log_likelihood", ["the cat"]),
        },
    ),
    "pairs": (
        lambda: small(Seq2Seq, analyzer="char", target_analyzer="char").fit(["abc", "cab"] * 4, ["cba"] * 8),
        {
            "predict": asked("predict", ["abc", "bca", "c"]),
            "predict_beam": asked("predict_beam", ["cab"], beam_width=2),
            "an empty text": asked("predict", ["", "a"]),
            "numbers": asked("predict", NUMBERS),
            "score": asked("score", ["abc", "cab"], ["cba", "bac"]),
            "given answers": asked("log_likelihood", ["abc", "cab"], ["cba", "xyz"]),
            "quantize": quantized("int8", "predict", ["abc"]),
            "pickle": pickled("predict", ["cab"]),
        },
    ),
    "pairs of words": (
        lambda: small(Seq2Seq, target_min_frequency=2).fit(
            ["ab c", "c, ab", "b"] * 3, ["It's so.", "No!", "b"] * 3
        ),
        {
            "predict": asked("predict", ["ab c", "zebra", ""]),
            "predict_beam": asked("predict_beam", ["c ab"], beam_width=3),
            "score": asked("score", ["ab c"], ["It's no."]),
            "given answers": asked("log_likelihood", ["ab c", "c"], ["It's no.", "xyz"]),
        },
    ),
    "pairs of lists": (
        lambda: small(Seq2Seq, target_min_frequency=4).fit(
            [["a", "b"], ["b", "c"]] * 4, [["a"], ["b", "x"]] * 3 + [["y", "a"]] * 2
        ),
        {
            "predict": asked("predict", [["a", "z"], ["y"], []]),
            "predict_beam": asked("predict_beam", [["a", "z"]], beam_width=3),
        },
    ),
    "language model of words": (
        lambda: small(LanguageModel, analyzer="word", chunk_length=8).fit(["the cat sat", "the dog ran"] * 4),
        {
            "generate": asked("generate", "the ", max_length=12, seed=1),
            "generate others": asked("generate", "the d", max_length=20, seed=2, stop="a"),
            "score": asked("score", ["the dog sat"]),
        },
    ),
    "transcriber": (
        lambda: small(Transcriber).fit([*NUMBERS[::2]] * 2, ["ab", "a", "b", "ba"] * 2),
        SEQUENCES
        | {
            "predict_beam": asked("predict_beam", NUMBERS[:2], beam_width=3),
            "score": asked("score", NUMBERS[:2], ["ab", "a"]),
            "given labels": asked("log_likelihood", NUMBERS[:2], ["ab", "a"]),
            "stream": streamed(None, NUMBERS[0], NUMBERS[2]),
            "streams": streamed(2, np.stack([NUMBERS[0], NUMBERS[7]])),
        },
    ),
}
each_estimator = pytest.mark.parametrize("name", ESTIMATORS)


@cache
def fitted(name):
    make, calls = ESTIMATORS[name]
    return make(), calls


def plain(value):
    """An answer as values that can be compared bit by bit."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tolist() if value.dtype == object else value.tobytes()
    if isinstance(value, dict):
        return [(key, plain(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "__dict__"):
        return type(value).__name__, plain(vars(value))
    return repr(value)


def answer(call, estimator):
    """What a call gives, or what it says against its arguments."""
    try:
        return plain(call(estimator))
    except (TypeError, ValueError) as error:
        return type(error).__name__, str(error)


@pytest.fixture
def hasty():
    """Threads that take turns as often as the interpreter lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@each_estimator
@pytest.mark.usefixtures("hasty")
@pytest.mark.timeout(3600)
def test_threads_share_an_estimator(name):
    estimator, calls = fitted(name)
    wanted = {asks: answer(call, estimator) for asks, call in calls.items()}
    wrong, begin, made = [], time.perf_counter(), [0] * THREADS

    def work(thread):
        order = random.Random(thread)
        while made[thread] * THREADS < CALLS and not wrong:
            # Again and again the same, so that each call meets each of the others at all of its places.
            asks = order.choice(list(calls))
            for _ in range(BURST):
                found = answer(calls[asks], estimator)
                made[thread] += 1
                if found != wanted[asks]:
                    wrong.append((asks, found, wanted[asks]))

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if LONG:
        print(f"{name}: {sum(made)} calls, {len(wrong)} wrong, {time.perf_counter() - begin:.1f} s")
    assert not wrong
    assert sum(made) >= CALLS


def snapshot(value, seen=None):
    """All that an object holds, by identity and by value."""
    seen = set() if seen is None else seen
    if id(value) in seen:
        return id(value)
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        return id(value), plain(value)
    if isinstance(value, gru_rs.Model | gru_rs.EncoderDecoder):
        return id(value), pickle.dumps(value)
    if isinstance(value, dict):
        return id(value), [(key, snapshot(item, seen)) for key, item in value.items()]
    if isinstance(value, (list, tuple, set)):
        return id(value), [snapshot(item, seen) for item in value]
    if isinstance(value, np.random.Generator):
        return id(value), repr(value.bit_generator.state)
    if hasattr(value, "__dict__") and not callable(value):
        return id(value), snapshot(vars(value), seen)
    return id(value), repr(value)


@each_estimator
def test_to_ask_writes_nothing(name, monkeypatch):
    """Not even what was there before: another thread could read between."""
    estimator, calls = fitted(name)
    kind = type(estimator)

    def refuse(at, attribute, *value):
        if at is estimator:
            msg = f"{attribute} was written"
            raise AssertionError(msg)
        (object.__setattr__ if value else object.__delattr__)(at, attribute, *value)

    before = snapshot(vars(estimator)), pickle.dumps(estimator)
    monkeypatch.setattr(kind, "__setattr__", refuse)
    monkeypatch.setattr(kind, "__delattr__", refuse)
    for asks, call in calls.items():
        answer(call, estimator)
        assert (snapshot(vars(estimator)), pickle.dumps(estimator)) == before, asks


@each_estimator
def test_to_save_writes_nothing(name, tmp_path):
    estimator, calls = fitted(name)
    before = snapshot(vars(estimator))
    estimator.save(tmp_path / "model.safetensors")
    assert snapshot(vars(estimator)) == before
    functions = {"token_features": features} if name == "tagger of features" else {}
    again = gru_rs.load(tmp_path / "model.safetensors", **functions)
    for asks, call in calls.items():
        assert answer(call, again) == answer(call, estimator), asks


@each_estimator
def test_older_pickles_have_no_reader(name):
    """What was pickled when an estimator itself knew how it reads."""
    estimator, calls = fitted(name)
    state = estimator.__getstate__()
    if "forecaster" not in name:
        reader = state.pop("_reader")
        state |= reader.saved() if "language model" not in name else {}
    again = type(estimator)()
    again.__setstate__(state)
    assert vars(again).keys() == vars(estimator).keys()
    for asks, call in calls.items():
        assert answer(call, again) == answer(call, estimator), asks


def test_a_tagger_that_had_read_an_empty_sentence_can_be_loaded():
    """`_per_step` was what the last call had seen: a file may say 1 of tokens that have features."""
    estimator, calls = fitted("tagger")
    state = estimator.__getstate__()
    del state["_reader"]
    again = type(estimator)()
    again.__setstate__(state | {"_reads_tokens": True, "_per_step": 1})
    assert answer(calls["predict"], again) == answer(calls["predict"], estimator)


@pytest.mark.parametrize(
    ("name", "X", "y", "error"),
    [
        ("classifier", NUMBERS, [0.5] * 8, "Unknown label type"),
        ("classifier of a table", TEXTS, KINDS[:3], "y: expected 12 values"),
        ("regressor", TABLE, np.full(12, np.nan), "Input y contains NaN"),
        ("tagger", NUMBERS, [["a"]] * 8, "y: expected 4 labels in row 0"),
        ("pairs", NUMBERS, [0] * 8, "y, row 0: expected a list, an array"),
        ("transcriber", TEXTS, ["ab ab ab"] * 12, "y: expected labels that fit into the 3 steps of row 0"),
        ("language model", 3, None, "X: expected a list, an array or a column"),
    ],
)
def test_a_fit_that_fails_leaves_what_was_fitted(name, X, y, error):
    make, calls = ESTIMATORS[name]
    estimator = make()
    before = snapshot(vars(estimator)), pickle.dumps(estimator)
    with pytest.raises((TypeError, ValueError), match=error):
        estimator.fit(X, y)
    assert (snapshot(vars(estimator)), pickle.dumps(estimator)) == before
    # Of data that could be read no network can be made.
    targets = {"regressor": np.arange(12.0), "tagger": [text.split() for text in TEXTS]}.get(name, KINDS)
    texts = [text + " and a very long night" for text in TEXTS] if name == "transcriber" else TEXTS
    dropout = estimator.dropout
    with pytest.raises(ValueError, match="dropout"):
        estimator.set_params(dropout=2.0).fit(texts, targets)
    estimator.set_params(dropout=dropout)
    assert (snapshot(vars(estimator)), pickle.dumps(estimator)) == before
    again, _ = fitted(name)
    for asks, call in calls.items():
        assert answer(call, again) == answer(call, estimator), asks


def test_another_fit_forgets_what_the_first_had_learnt():
    estimator = small(SequenceClassifier).fit(TEXTS, KINDS)
    assert estimator.vocabulary_["fine"] > 0
    estimator.fit(TABLE, np.arange(12) % 3)
    assert not hasattr(estimator, "vocabulary_")
    assert estimator.n_features_in_ == 5
    estimator.fit(TEXTS, KINDS)
    assert not hasattr(estimator, "scale_")
    assert not hasattr(estimator, "n_features_in_")


def test_tokens_are_read_as_in_training():
    """What was learnt counts, whatever the parameters say by now."""
    tagger = small(SequenceTagger).fit(SENTENCES, TAGS)
    wanted = [row.tolist() for row in tagger.predict(SENTENCES)]
    tagger.set_params(lowercase=True, token_features=None)
    assert [row.tolist() for row in tagger.predict(SENTENCES)] == wanted
    # What tokens are is learnt, too: among words a number is one.
    numbers = tagger.predict([["Ann", 3], [3]])
    assert [len(row) for row in numbers] == [2, 1]
    assert numbers[0][0] == "P"
    mixed = small(SequenceTagger).fit([["in", 1984], ["in", 5]], [["O", "D"], ["O", "D"]])
    assert {1984, 5, ("shape", "0")} < mixed.vocabulary_.keys()
    message = "token_features: expected 2 features of each token, got 3 of 'disappeared'"
    counted = small(SequenceTagger, token_features=features).fit(SENTENCES, TAGS)
    with pytest.raises(ValueError, match=message):
        counted.predict([["disappeared"]])

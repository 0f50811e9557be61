"""States as features for other models, and the most probable classes."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import gru_rs
import numpy as np
import pandas as pd
import pytest
from gru_rs import LanguageModel, Seq2Seq, SequenceClassifier, SequenceRegressor, SequenceTagger, Transcriber
from gru_rs.estimators import _states
from gru_rs.estimators._corpus import END
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from test_training import LEARNT, ROWS, TEXTS, made

KINDS = [SequenceClassifier, SequenceRegressor]
Y = np.arange(len(ROWS)) % 3
LAYERS = {"gru": gru_rs.GRU, "lstm": gru_rs.LSTM}
POOLED = {
    "last": None,
    "mean": lambda row: row.mean(axis=0),
    "max": lambda row: row.max(axis=0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", POOLED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_are_what_the_head_sees(kind, cell, bidirectional, pooling, dtype):
    options = {"cell": cell, "bidirectional": bidirectional, "pooling": pooling, "dtype": dtype}
    model = kind(hidden_size=5, num_layers=2, max_iter=2, random_state=0, **options).fit(ROWS, Y)
    found = model.transform(ROWS)
    assert found.shape == (len(ROWS), 10 if bidirectional else 5)
    assert found.dtype == dtype
    state = model.model_.state_dict()
    layer = LAYERS[cell](2, 5, 2, bidirectional=bidirectional, batch_first=True, dtype=dtype)
    layer.load_state_dict({name[4:]: one for name, one in state.items() if name.startswith("rnn.")})
    mean, deviation = model.scale_
    for row, features in zip(ROWS, found, strict=True):
        outputs, ends = layer(((row - mean) / deviation)[None].astype(dtype))
        if pooling == "last":
            ends = ends[0] if cell == "lstm" else ends
            expected = np.concatenate([ends[-2, 0], ends[-1, 0]]) if bidirectional else ends[-1, 0]
        else:
            expected = POOLED[pooling](outputs[0])
        np.testing.assert_allclose(features, expected, rtol=1e-5, atol=1e-6)
    scores = found @ state["head.weight"].T + state["head.bias"]
    x, lengths = np.zeros((1, 1, 2), dtype), [1]
    assert model.model_.scores(x, lengths=lengths).shape == (1, scores.shape[1])
    if kind is SequenceClassifier:
        assert (scores.argmax(axis=1) == model.predict(ROWS)).all()


def test_features_of_quantized_weights():
    model = SequenceClassifier(hidden_size=20, max_iter=2, random_state=0, pooling="mean").fit(ROWS, Y)
    whole = model.transform(ROWS)
    for width, far in (("int8", 0.02), ("f16", 2e-3), ("bf16", 0.02)):
        np.testing.assert_allclose(model.quantize(width).transform(ROWS), whole, atol=far)


@pytest.mark.parametrize("kind", KINDS)
def test_features_in_pipelines(kind):
    texts, labels = TEXTS, [0, 1, 0, 1] * 4
    states = kind(hidden_size=6, max_iter=3, random_state=0)
    pipeline = make_pipeline(states, LogisticRegression()).fit(texts, labels)
    assert pipeline.score(texts, labels) > 0.9
    names = [f"{kind.__name__.lower()}{number}" for number in range(2 * 6)]
    assert states.get_feature_names_out().tolist() == names
    frame = states.set_output(transform="pandas").transform(texts)
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns.tolist() == names
    again = kind(hidden_size=6, max_iter=3, random_state=0).fit_transform(texts, labels)
    np.testing.assert_array_equal(again, frame.to_numpy())
    assert states.transform([]).shape == (0, 12)


STEPS = [[step % 2 for step in range(len(row))] for row in ROWS]


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["tagger", "chain", "regressor", "transcriber"])
def test_features_of_steps(kind, cell, bidirectional):
    options = {
        "cell": cell,
        "bidirectional": bidirectional,
        "hidden_size": 5,
        "max_iter": 1,
        "random_state": 0,
    }
    model, y = {
        "tagger": (SequenceTagger(crf=False, **options), STEPS),
        "chain": (SequenceTagger(**options), STEPS),
        "regressor": (SequenceRegressor(pooling="each", **options), ROWS),
        "transcriber": (Transcriber(**options), ["a"] * len(ROWS)),
    }[kind]
    found = model.fit(ROWS, y).transform(ROWS)
    state = model.model_.state_dict()
    layer = LAYERS[cell](2, 5, bidirectional=bidirectional, batch_first=True)
    layer.load_state_dict({name[4:]: one for name, one in state.items() if name.startswith("rnn.")})
    mean, deviation = model.scale_
    for row, states in zip(ROWS, found, strict=True):
        assert states.shape == (len(row), 10 if bidirectional else 5)
        outputs, _ = layer(((row - mean) / deviation)[None].astype(np.float32))
        np.testing.assert_allclose(states, outputs[0], rtol=1e-5, atol=1e-6)
    if kind != "chain":
        one = states @ state["head.weight"].T + state["head.bias"]
        x = ((ROWS[-1] - mean) / deviation)[None].astype(np.float32)
        np.testing.assert_allclose(model.model_.scores(x), one, rtol=1e-5, atol=1e-5)
    assert model.transform([]) == []
    if kind == "regressor":
        with pytest.raises(
            ValueError, match="set_output: expected 'default', as steps have lists of arrays, got"
        ):
            model.set_output(transform="pandas").transform(ROWS)


@pytest.mark.parametrize("cell", LAYERS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("quantized", [None, "f16", "bf16", "int8"])
def test_features_of_sources(cell, bidirectional, quantized):
    options = {
        "cell": cell,
        "bidirectional": bidirectional,
        "hidden_size": 6,
        "max_iter": 1,
        "random_state": 0,
    }
    for X, more in ((TEXTS, {"num_layers": 2}), (ROWS, {})):
        model = Seq2Seq(**options, **more).fit(X, ["x y", "y"] * (len(X) // 2) + ["x"] * (len(X) % 2))
        state, layers = model.model_.state_dict(), more.get("num_layers", 1)
        size = model.model_.input_size
        layer = LAYERS[cell](size, 6, layers, bidirectional=bidirectional, batch_first=True)
        layer.load_state_dict({name[8:]: one for name, one in state.items() if name.startswith("encoder.")})
        found = (model if quantized is None else model.quantize(quantized)).transform(X)
        assert found.shape == (len(X), 12 if bidirectional else 6)
        sequences = model._read_fitted(X, None)
        for row in range(len(X)):
            x, _ = sequences.batch(np.array([row]))
            x = state["source.weight"][x].sum(axis=2) if x.dtype.kind in "iu" else x
            ends = layer(x)[1]
            ends = ends[0] if cell == "lstm" else ends
            expected = np.concatenate([ends[-2, 0], ends[-1, 0]]) if bidirectional else ends[-1, 0]
            np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=2e-2 if quantized else 1e-6)
    assert model.get_feature_names_out()[0] == "seq2seq0"
    assert model.set_output(transform="pandas").transform(ROWS).shape == found.shape


@pytest.mark.parametrize("cell", LAYERS)
def test_features_of_texts(cell):
    model = LanguageModel(hidden_size=6, cell=cell, num_layers=2, max_iter=1, random_state=0).fit(TEXTS)
    found, texts = model.transform([*TEXTS, ""]), [*TEXTS, ""]
    assert found.shape == (len(texts), 6)
    for text, features in zip(texts, found, strict=True):
        state = model.model_.state(1)
        x = np.array([[END, *(model.vocabulary_[letter] for letter in text)]])
        model.model_.scores(x, state=state)
        np.testing.assert_allclose(features, (state[0] if cell == "lstm" else state)[-1, 0], atol=1e-6)
    names = [f"languagemodel{number}" for number in range(6)]
    frame = model.set_output(transform="pandas").transform(TEXTS)
    assert frame.columns.tolist() == names
    pipeline = make_pipeline(model.set_output(transform="default"), LogisticRegression()).fit(
        TEXTS, [0, 1] * 8
    )
    assert pipeline.predict(TEXTS).shape == (16,)
    with pytest.raises(TypeError, match="X: expected text, as in training, got lists"):
        model.transform([["a"]])


def test_one_network_gives_states_until_weights_change():
    model = SequenceClassifier(hidden_size=4, bidirectional=False, max_iter=1, random_state=0).fit(
        TEXTS, [0, 1] * 8
    )
    before, names = model.transform(TEXTS), set(vars(model))
    made = _states.headless(model.model_)
    model.transform(TEXTS)
    assert _states.headless(model.model_) is made
    assert set(vars(model)) == names, "nothing is written on the estimator"
    for place in range(model.model_.flat.size - model.model_._names[-2][3][0] * 5):
        flat = model.model_.flat.copy()
        flat[place] += 1
        model.model_.set_flat(flat)
        assert _states.headless(model.model_) is not made, place
        flat[place] -= 1
        model.model_.set_flat(flat)
        made = _states.headless(model.model_)
    model.partial_fit(TEXTS, [1, 0] * 8)
    after = model.transform(TEXTS)
    assert not np.array_equal(after, before)
    fresh = _states._made_of(model.model_, "max")
    np.testing.assert_array_equal(_states.headless(model.model_).flat, fresh.flat)
    # The head is not what states are made by.
    flat = model.model_.flat.copy()
    flat[-1] += 1
    model.model_.set_flat(flat)
    made = _states.headless(model.model_)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(model.transform, [TEXTS] * 40):
            np.testing.assert_array_equal(found, after)
    held = weakref.ref(made)
    del model, made
    gc.collect()
    assert held() is None, "it goes with the network"


@pytest.mark.parametrize("pooling", ["last", "max", "concat", "each"])
def test_what_was_fitted_decides_whatever_is_set_since(pooling):
    y = [np.arange(len(row)) for row in ROWS] if pooling == "each" else np.arange(len(ROWS))
    model = SequenceRegressor(pooling=pooling, hidden_size=3, max_iter=1, max_length=2, bidirectional=False)
    model.fit(ROWS, y)

    def said():
        steps = model.stream()(ROWS[0])
        return [*model.transform(ROWS[:3]), *model.predict(ROWS[:3]), model.score(ROWS, y), steps]

    before = said()
    for other in ("last", "each", "attention"):
        model.set_params(pooling=other)
        for one, own in zip(said(), before, strict=True):
            np.testing.assert_array_equal(one, own)
        if other != pooling:
            with pytest.raises(ValueError, match=f"pooling: expected '{pooling}' as in the fit before"):
                model.partial_fit(ROWS, y)
    model.set_params(pooling="each").fit(ROWS, [np.arange(len(row)) for row in ROWS])
    assert [len(row) for row in model.predict(ROWS)] == [len(row) for row in ROWS]


def test_one_network_gives_states_of_sequences_and_of_steps_in_turn():
    y = [np.arange(len(row)) for row in ROWS]
    model = SequenceRegressor(pooling="each", hidden_size=3, max_iter=1, bidirectional=False).fit(ROWS, y)
    sequences = model._read_fitted(ROWS, None)
    for _ in range(2):
        last = _states.final_states(model.model_, sequences)
        steps = model.transform(ROWS)
        assert [len(row) for row in steps] == [len(row) for row in ROWS]
        np.testing.assert_array_equal(last, [row[-1] for row in steps])


def test_what_has_no_features():
    for kind in KINDS:
        with pytest.raises(NotFittedError):
            kind().transform(ROWS)
        with pytest.raises(NotFittedError):
            kind().get_feature_names_out()
    fitted = SequenceClassifier(hidden_size=3, max_iter=1).fit(ROWS, Y)
    with pytest.raises(ValueError, match="X: expected 2 features a step"):
        fitted.transform([[[1.0]]])


def test_the_most_probable_classes():
    model = SequenceClassifier(hidden_size=3, max_iter=2, random_state=0).fit(ROWS, Y)
    probabilities = model.predict_proba(ROWS)
    for k in (1, 2, 3):
        labels, found = model.predict_top_k(ROWS, k=k)
        assert labels.shape == found.shape == (len(ROWS), k)
        np.testing.assert_array_equal(found, -np.sort(-probabilities)[:, :k])
        np.testing.assert_array_equal(labels[:, 0], model.predict(ROWS))
        np.testing.assert_array_equal(np.take_along_axis(probabilities, labels, axis=1), found)
    assert model.predict_top_k([], k=2)[0].shape == (0, 2)
    with pytest.raises(ValueError, match="k: expected at most 3, the number of classes, got 5"):
        model.predict_top_k(ROWS)
    with pytest.raises(ValueError, match="k: expected a positive integer"):
        model.predict_top_k(ROWS, k=0)
    # Those that are equally probable are in their order.
    flat = np.zeros_like(model.model_.flat)
    model.model_.set_flat(flat)
    assert model.predict_top_k(ROWS[:1], k=3)[0].tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("crf", [False, True])
def test_the_most_probable_labels(crf):
    model, data = made("tagger", crf=crf)
    model.fit(*data)
    X = LEARNT["tagger"][1][0]
    found = model.predict_top_k(X, k=2)
    for probabilities, (labels, best) in zip(model.predict_proba(X), found, strict=True):
        assert labels.shape == best.shape == (len(probabilities), 2)
        np.testing.assert_array_equal(best, -np.sort(-probabilities))
        np.testing.assert_array_equal(labels[:, 0], probabilities.argmax(axis=1))
    if not crf:
        assert all(
            (labels[:, 0] == one).all() for (labels, _), one in zip(found, model.predict(X), strict=True)
        )
    with pytest.raises(ValueError, match="k: expected at most 2"):
        model.predict_top_k(X)

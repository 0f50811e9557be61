"""States as features for other models, and the most probable classes."""

import gru_rs
import numpy as np
import pandas as pd
import pytest
from gru_rs import SequenceClassifier, SequenceRegressor, SequenceTagger
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
    for width, far in (("int8", 0.02), ("f16", 2e-3)):
        np.testing.assert_allclose(model.quantize(width).transform(ROWS), whole, atol=far)


@pytest.mark.parametrize("kind", KINDS)
def test_features_in_pipelines(kind):
    texts, labels = TEXTS, [0, 1, 0, 1] * 4
    states = kind(hidden_size=6, max_iter=3, random_state=0)
    pipeline = make_pipeline(states, LogisticRegression()).fit(texts, labels)
    assert pipeline.score(texts, labels) > 0.9
    names = [f"{kind.__name__.lower()}{number}" for number in range(6)]
    assert states.get_feature_names_out().tolist() == names
    frame = states.set_output(transform="pandas").transform(texts)
    assert isinstance(frame, pd.DataFrame)
    assert frame.columns.tolist() == names
    again = kind(hidden_size=6, max_iter=3, random_state=0).fit_transform(texts, labels)
    np.testing.assert_array_equal(again, frame.to_numpy())
    assert states.transform([]).shape == (0, 6)


def test_what_has_no_features():
    steps = SequenceRegressor(pooling="each", max_iter=1, hidden_size=3).fit(ROWS, ROWS)
    with pytest.raises(ValueError, match="pooling: expected one by which a sequence has one state"):
        steps.transform(ROWS)
    assert not hasattr(SequenceTagger(), "transform")
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

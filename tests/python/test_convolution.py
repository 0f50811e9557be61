"""A convolution before the stack, and poolings with more to them than a mean, beside plain NumPy; with the
estimators that have them, their streams and files.
"""

import inspect
import pickle
import time

import gru_rs
import numpy as np
import pytest
from gru_rs import CTC, GRU, LSTM, Model, SequenceClassifier, SequenceRegressor, SequenceTagger, Transcriber
from gru_rs._words import POOLINGS, WORDS
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

RNG = np.random.default_rng(5)
ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "linear": lambda x: x}


def convolved(model, x):
    """The frames of one row, window by window."""
    if model.conv_channels is None:
        return x
    kernel, weight = model.conv_kernel_size, model.params["conv.weight"]
    early = np.concatenate([np.zeros((kernel - 1, x.shape[1])), x])
    frames = [
        weight @ early[step : step + kernel].reshape(-1) + model.params["conv.bias"]
        for step in range(0, len(x), model.conv_stride)
    ]
    return ACTIVATIONS[model.conv_activation](np.array(frames).reshape(-1, model.conv_channels))


def pooled(model, y, last):
    """What the head sees of one row's outputs."""
    if len(y) == 0:
        return np.zeros((1, model.params["head.weight"].shape[1]))
    if model.pooling == "each":
        return y
    scores = y @ model.params.get("pool.weight", np.zeros(y.shape[1]))
    shares = np.exp(scores - scores.max())
    found = {
        "last": last,
        "mean": y.mean(axis=0),
        "max": y.max(axis=0),
        "concat": np.concatenate([last, y.mean(axis=0), y.max(axis=0)]),
        "attention": shares @ y / shares.sum(),
    }
    return found[model.pooling][np.newaxis]


def twin(model, rows):
    """The scores of rows, one after another, by a layer and NumPy."""
    layer = {"gru": GRU, "lstm": LSTM}[model.cell](
        model.conv_channels or model.input_size,
        model.hidden_size,
        bidirectional=model.bidirectional,
        batch_first=True,
        dtype=np.float64,
    )
    layer.load_state_dict(
        {k.removeprefix("rnn."): v for k, v in model.params.items() if k.startswith("rnn.")}
    )
    found = []
    for x in rows:
        if "embedding.weight" in model.params:
            x = model.params["embedding.weight"][x]
        frames = convolved(model, x)
        if len(frames) == 0 and model.pooling == "each":
            continue
        y, states = layer(frames[np.newaxis]) if len(frames) else (np.zeros((1, 0, 1)), None)
        h = None if states is None else (states if model.cell == "gru" else states[0])[:, 0].reshape(-1)
        found.append(pooled(model, y[0], h) @ model.params["head.weight"].T + model.params["head.bias"])
    return np.concatenate(found) if found else np.zeros((0, model.output_size))


@given(
    cell=st.sampled_from(["gru", "lstm"]),
    bidirectional=st.booleans(),
    pooling=st.sampled_from(WORDS["pooling"]),
    tokens=st.booleans(),
    convolution=st.none()
    | st.tuples(st.integers(1, 7), st.integers(1, 5), st.sampled_from(list(ACTIVATIONS))),
    lengths=st.lists(st.integers(0, 13), min_size=1, max_size=5),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None)
def test_models_are_their_twins(cell, bidirectional, pooling, tokens, convolution, lengths, seed):
    rng = np.random.default_rng(seed)
    options = {}
    if convolution is not None:
        kernel, stride, activation = convolution
        options = {"conv_channels": 3, "conv_kernel_size": kernel, "conv_stride": stride}
        options["conv_activation"] = activation
    model = Model(
        2,
        4,
        3,
        vocabulary_size=6 if tokens else None,
        cell=cell,
        bidirectional=bidirectional,
        pooling=pooling,
        dtype=np.float64,
        seed=1,
        **options,
    )
    shape = (len(lengths), max(lengths))
    x = rng.integers(0, 6, shape) if tokens else rng.normal(size=(*shape, 2))
    rows = [row[:length] for row, length in zip(x, lengths, strict=True)]
    if not tokens:
        for row, length in zip(x, lengths, strict=True):
            row[length:] = np.nan
    np.testing.assert_allclose(model.scores(x, lengths=lengths), twin(model, rows), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("far", [200.0, -200.0, 1e4])
def test_attention_bears_scores_that_are_far_apart(far):
    model = Model(1, 4, 2, pooling="attention", dtype=np.float64, seed=1)
    model.load_state_dict(model.state_dict() | {"pool.weight": np.full(4, far)})
    x = RNG.normal(size=(3, 50, 1))
    np.testing.assert_allclose(model.scores(x), twin(model, x), rtol=1e-9)
    _, gradients = model.loss_and_grad(x, np.array([0, 1, 1]), loss=gru_rs.CrossEntropy())
    assert np.isfinite(gradients).all()


def test_targets_of_frames_are_padded_as_frames():
    model = Model(2, 4, 3, pooling="each", conv_channels=3, conv_stride=4, dtype=np.float64, seed=1)
    x, lengths = RNG.normal(size=(2, 10, 2)), [10, 5]
    targets = np.array([[0, 1, 2], [1, 0, 9]])  # of 3 and 2 frames
    flat = np.array([0, 1, 2, 1, 0])
    loss = gru_rs.CrossEntropy()
    assert model.loss(x, targets, loss=loss, lengths=lengths) == model.loss(
        x, flat, loss=loss, lengths=lengths
    )
    with pytest.raises(ValueError, match="targets"):
        model.loss(x, np.zeros((2, 10), int), loss=loss, lengths=lengths)
    assert model.labels(x, lengths=lengths).shape == (5,)
    assert model.marginals(x, lengths=lengths).shape == (5, 3)


def test_frames_spell():
    model = Model(2, 4, 3, pooling="each", conv_channels=3, conv_stride=2, seed=1)
    x = np.zeros((1, 6, 2), np.float32)
    model.loss(x, [[1, 2, 1]], loss=CTC())  # fits into three frames
    with pytest.raises(ValueError, match="expected at least 4 steps for the labels of row 0, got 3"):
        model.loss(x, [[1, 2, 1, 2]], loss=CTC())
    assert len(model.spell(x)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conv_channels": 0}, "conv_channels: expected"),
        ({"conv_channels": 4, "conv_kernel_size": 0}, "conv_kernel_size: expected"),
        ({"conv_channels": 4, "conv_stride": 1.5}, "conv_stride: expected"),
        ({"conv_channels": 4, "conv_activation": "gelu"}, "conv_activation: expected 'relu' or 'tanh'"),
        ({"conv_channels": 2**40, "conv_kernel_size": 2**40}, "conv_kernel_size: expected"),
    ],
)
def test_what_is_no_convolution_says_so(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Model(3, 4, 2, **options)
    with pytest.raises((ValueError, TypeError), match=message):
        SequenceClassifier(**options).fit(RNG.normal(size=(8, 5, 3)), [0, 1] * 4)


PARTS = [("conv_kernel_size", 3, 5), ("conv_stride", 2, 1), ("conv_activation", "tanh", "relu")]


@pytest.mark.parametrize(("name", "value", "default"), PARTS)
def test_no_part_of_a_convolution_that_is_not_there(name, value, default):
    message = f"{name}: expected {default!r}, or another with conv_channels, got {value!r}"
    X, y = RNG.normal(size=(8, 5, 3)), [0, 1] * 4
    with pytest.raises(ValueError, match=message):
        Model(3, 4, 2, **{name: value})
    for kind in (SequenceClassifier, SequenceRegressor, Transcriber):
        estimator = clone(kind(max_iter=1).set_params(**{name: value}))
        assert estimator.get_params()[name] == value
        with pytest.raises(ValueError, match=message):
            estimator.fit(X, ["a"] * 8 if kind is Transcriber else y)
        assert not hasattr(estimator, "model_")
    assert getattr(Model(3, 4, 2, **{name: default}), name) == default
    assert inspect.signature(Model).parameters[name].default == default


@pytest.mark.parametrize(("name", "value", "default"), PARTS)
def test_files_with_such_a_part_are_read(name, value, default, tmp_path):
    """They were written before it was refused, and say the same as without."""
    X, y = RNG.normal(size=(8, 5, 3)), [0, 1] * 4
    estimator = SequenceClassifier(max_iter=1, hidden_size=3).fit(X, y)
    expected = estimator.predict_proba(X)
    estimator.set_params(**{name: value})
    estimator.model_._options[name] = value
    estimator.save(tmp_path / "estimator")
    estimator.model_.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "estimator")
    for one in (again, pickle.loads(pickle.dumps(estimator)), again.quantize("f16"), again.quantize("bf16")):
        assert getattr(one.model_, name) == value != default
        np.testing.assert_allclose(one.predict_proba(X), expected, atol=1e-2)
    assert getattr(gru_rs.load(tmp_path / "model"), name) == value
    again.partial_fit(X, y)


def test_a_state_cannot_be_carried_over_a_convolution():
    model = Model(3, 4, 2, conv_channels=2)
    with pytest.raises(ValueError, match="state: expected None for a model with a convolution"):
        model.scores(np.zeros((1, 5, 3), np.float32), state=model.state(1))


def waves(n=120):
    """Which of two frequencies is it? Of a long noisy signal."""
    labels = np.arange(n) % 2
    signals = []
    for label in labels:
        steps = np.arange(RNG.integers(300, 500))
        wave = np.sin(2 * np.pi * ([0.05, 0.06][label] * steps + RNG.random()))
        signals.append((wave + 0.5 * RNG.normal(size=len(steps)))[:, np.newaxis])
    return signals, labels


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_long_signals_are_learnt_in_frames(cell, tmp_path):
    X, y = waves()
    classifier = SequenceClassifier(
        cell=cell,
        hidden_size=16,
        bidirectional=False,
        conv_channels=16,
        conv_kernel_size=80,
        conv_stride=40,
        max_iter=25,
        random_state=1,
    ).fit(X[:80], y[:80])
    assert classifier.score(X[80:], y[80:]) > 0.9
    classifier.save(tmp_path / "waves.safetensors")
    again = gru_rs.load(tmp_path / "waves.safetensors")
    proba = classifier.predict_proba(X[:9])
    np.testing.assert_array_equal(again.predict_proba(X[:9]), proba)
    stream = again.stream()
    parts = [stream(part) for part in np.array_split(X[3], 7)]
    np.testing.assert_array_equal(parts[-1][-1], proba[3])
    assert np.abs(classifier.quantize("int8").predict_proba(X[:9]) - proba).max() < 0.1


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_pooling_learns_and_comes_back(pooling, bidirectional, tmp_path):
    X = [RNG.normal(size=(RNG.integers(3, 9), 2)) for _ in range(80)]
    y = np.array([x[:, 0].max() > 1 for x in X]).astype(int)
    options = {"hidden_size": 8, "random_state": 1, "pooling": pooling, "bidirectional": bidirectional}
    classifier = SequenceClassifier(**options, max_iter=60, learning_rate_init=0.02).fit(X, y)
    assert classifier.score(X, y) > 0.9
    classifier.save(tmp_path / "x.safetensors")
    np.testing.assert_array_equal(
        gru_rs.load(tmp_path / "x.safetensors").predict_proba(X), classifier.predict_proba(X)
    )
    if not bidirectional:
        last = [classifier.stream()(x)[-1] for x in X]
        np.testing.assert_array_equal(last, classifier.predict_proba(X))


def test_streams_whose_frames_are_completed_at_different_steps():
    model = Model(2, 5, 3, cell="lstm", pooling="attention", conv_channels=4, conv_stride=3, seed=1)
    x = RNG.normal(size=(3, 8, 2)).astype(np.float32)
    stream = model.stream(batch_size=2)
    stream(x[:2, :4])
    row = stream.join()
    found = stream(np.stack([x[0, 4:8], x[1, 4:8], x[2, :4]]))
    np.testing.assert_array_equal(found[row, -1], model.scores(x[2:, :4])[0])
    np.testing.assert_array_equal(found[0, -1], model.scores(x[:1])[0])
    left = stream.leave(0)
    assert left["window"].shape == (5, 2)
    other = model.stream(batch_size=1)
    other.join(left)
    more = RNG.normal(size=(2, 5, 2)).astype(np.float32)
    expected = model.scores(np.concatenate([x[:1], more[1:]], axis=1))
    np.testing.assert_array_equal(other(more)[1, -1], expected[0])


def test_a_spelling_in_frames():
    heard = {"a": [1.0, 0, 0], "b": [0, 1.0, 0]}
    words = ["".join(RNG.choice(list("ab"), 3)) for _ in range(150)]
    X = [np.array([heard[letter] for letter in word for _ in range(6)]) for word in words]
    X = [x + 0.05 * RNG.normal(size=x.shape) for x in X]
    transcriber = Transcriber(
        hidden_size=16,
        bidirectional=False,
        conv_channels=8,
        conv_kernel_size=4,
        conv_stride=3,
        max_iter=60,
        learning_rate_init=0.02,
        random_state=1,
    ).fit(X, words)
    # Equal letters side by side need a blank, for which two frames a letter leave no room.
    assert transcriber.score(X, words) > 0.8
    assert transcriber.predict(X[:5]) == [transcriber.stream()(x) for x in X[:5]]
    assert transcriber.log_likelihood(X[:2], words[:2]).shape == (2,)
    with pytest.raises(
        ValueError, match="y: expected labels that fit into the 1 frames of 3 steps of row 0, got 2"
    ):
        transcriber.fit([np.zeros((3, 3))] * 4, ["ab"] * 4)


@pytest.mark.parametrize("make", [SequenceTagger, lambda **kw: SequenceRegressor(pooling="each", **kw)])
def test_each_step_needs_a_frame(make):
    X = [RNG.normal(size=(6, 2)) for _ in range(8)]
    y = [np.arange(6) % 2 for _ in X]
    with pytest.raises(ValueError, match="conv_stride: expected 1 where each step has an answer"):
        make(conv_channels=4, conv_stride=2).fit(X, y)
    assert [len(row) for row in make(conv_channels=4, max_iter=2).fit(X, y).predict(X)] == [6] * 8


def test_transform_is_as_wide_as_what_the_head_sees():
    X, y = RNG.normal(size=(12, 5, 2)), [0, 1] * 6
    for pooling, width in [("concat", 24), ("attention", 8), ("max", 8)]:
        classifier = SequenceClassifier(hidden_size=4, bidirectional=True, pooling=pooling, max_iter=1)
        features = classifier.fit(X, y).transform(X)
        assert features.shape == (12, width) == (12, len(classifier.get_feature_names_out()))
        weight, bias = (classifier.model_.params[f"head.{name}"] for name in ("weight", "bias"))
        np.testing.assert_allclose(
            features @ weight.T + bias,
            classifier.model_.scores(classifier._read_fitted(X, None).batch(np.arange(12))[0]),
            atol=1e-5,
        )


def test_many_rows_of_long_strides_cost_as_many_steps():
    """Each row is looked at once: the work is of rows times steps, not of their square."""
    rows = 3000
    model = Model(1, 2, 2, conv_channels=2, conv_kernel_size=2, conv_stride=10, seed=1)
    x = RNG.normal(size=(rows, 10, 1)).astype(np.float32)

    def seconds(stream):
        begin = time.process_time()
        stream(x)
        return time.process_time() - begin

    few = Model(1, 2, 2, conv_channels=2, conv_kernel_size=2, conv_stride=1, seed=1)
    best = [min(seconds(one.stream(rows)) for _ in range(5)) for one in (model, few)]
    assert best[0] < 10 * best[1]


def test_a_stride_that_leaves_a_step_alone_is_said():
    X = [RNG.normal(size=(n, 1)) for n in (4, 9, 1, 30)] * 4
    with pytest.warns(
        UserWarning, match="conv_stride=10: of 8 of 16 sequences, which are no longer than that, the"
    ):
        SequenceClassifier(conv_channels=2, conv_stride=10, max_iter=1).fit(X, [0, 1] * 8)

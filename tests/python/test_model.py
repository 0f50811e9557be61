"""Models, losses, clipping and schedules as Python sees them: against NumPy and PyTorch, mistakes by name.

Gradients are held against finite differences in tests/models.rs.
"""

import copy
import json
import pickle
from pathlib import Path

import gru_rs
import numpy as np
import pytest
from gru_rs import CTC, AbsoluteError, CrossEntropy, Model, QuantileError, SquaredError

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "training.json").read_text())
LENGTHS = [4, 0, 5, 2]


def batch(dtype, vocabulary=None):
    rng = np.random.default_rng(2)
    if vocabulary:
        return rng.integers(0, vocabulary, (4, 5))
    return rng.normal(size=(4, 5, 3)).astype(dtype)


def plain_scores(model, x):
    """By the layer alone, and NumPy."""
    params = model.params
    if model.vocabulary_size:
        x = params["embedding.weight"][x]
    kind = gru_rs.LSTM if model.cell == "lstm" else gru_rs.GRU
    options = {"num_layers": model.num_layers, "bidirectional": model.bidirectional, "batch_first": True}
    layer = kind(model.input_size, model.hidden_size, dtype=model.dtype, **options)
    layer.load_state_dict({name[4:]: value for name, value in params.items() if name.startswith("rnn.")})
    y, states = layer(x, lengths=LENGTHS)
    h = states[0] if model.cell == "lstm" else states
    rows = [y[row, :length] for row, length in enumerate(LENGTHS)]
    if model.pooling == "last":
        features = np.concatenate(list(h[-(1 + model.bidirectional) :]), axis=1)
    elif model.pooling == "each":
        features = np.concatenate(rows)
    else:
        pool = np.mean if model.pooling == "mean" else np.max
        zero = np.zeros(y.shape[2], model.dtype)
        features = np.stack([pool(row, axis=0) if len(row) else zero for row in rows])
    return features @ params["head.weight"].T + params["head.bias"]


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "each"])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("vocabulary", [None, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores(pooling, cell, vocabulary, dtype):
    options = {
        "num_layers": 2,
        "bidirectional": True,
        "vocabulary_size": vocabulary,
        "dtype": dtype,
        "seed": 1,
    }
    model = Model(3, 6, 4, cell=cell, pooling=pooling, **options)
    x = batch(dtype, vocabulary)
    scores = model.scores(x, lengths=LENGTHS)
    np.testing.assert_allclose(
        scores, plain_scores(model, x), rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13
    )
    np.testing.assert_array_equal(model.labels(x, lengths=LENGTHS), scores.argmax(axis=1))


def entropy(scores, targets, weights, classes, smoothing):
    """torch.nn.CrossEntropyLoss, times a weight for each row."""
    log = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    count = scores.shape[1]
    wanted = np.eye(count)[targets] * (1 - smoothing) + smoothing / count
    lost = -(wanted * log * classes).sum(axis=1)
    return (weights * lost).sum() / (weights * classes[targets]).sum()


def test_losses_are_their_formulas():
    x, weights = batch(np.float64), np.array([1.0, 2.0, 0.0, 0.5])
    model = Model(3, 6, 4, dtype=np.float64, seed=1)
    scores, labels = model.scores(x, lengths=LENGTHS), np.array([0, 3, 1, 1])
    classes = np.array([1.0, 0.5, 2.0, 3.0])
    loss = CrossEntropy(classes, label_smoothing=0.1)
    got = model.loss(x, labels, loss=loss, lengths=LENGTHS, sample_weight=weights)
    assert got == pytest.approx(entropy(scores, labels, weights, classes, 0.1), rel=1e-13)
    numbers = np.random.default_rng(3).normal(size=(4, 4))
    off = scores - numbers
    rows = weights / weights.sum()
    for loss, lost in [(SquaredError(), off**2), (AbsoluteError(), abs(off))]:
        got = model.loss(x, numbers, loss=loss, lengths=LENGTHS, sample_weight=weights)
        assert got == pytest.approx((rows * lost.mean(axis=1)).sum(), rel=1e-13)
    levels = np.array([0.1, 0.9])
    off = scores.reshape(4, 2, 2) - numbers[:, :2, np.newaxis]
    pinball = np.where(off > 0, (1 - levels) * off, -levels * off)
    got = model.loss(x, numbers[:, :2], loss=QuantileError(levels), lengths=LENGTHS)
    assert got == pytest.approx(pinball.mean(), rel=1e-13)


def test_training_descends_and_low_memory_keeps_the_bits():
    model = Model(
        3, 6, 4, vocabulary_size=7, num_layers=2, dropout=0.3, input_dropout=0.2, variational=True, seed=1
    )
    x, labels, adam = batch(None, 7), np.array([0, 3, 1, 1]), gru_rs.AdamW(0.02)
    losses = []
    for step in range(60):
        loss, gradients = model.loss_and_grad(x, labels, loss=CrossEntropy(), lengths=LENGTHS, seed=step)
        low = model.loss_and_grad(x, labels, loss=CrossEntropy(), lengths=LENGTHS, seed=step, memory="low")
        assert loss == low[0]
        np.testing.assert_array_equal(gradients, low[1])
        gru_rs.clip_grad_norm(gradients, 1.0)
        adam.step(model, gradients)
        losses.append(loss)
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def test_copies_and_pickles():
    model = Model(3, 6, 4, pooling="each", crf=True, num_layers=2, dropout=0.1, seed=1)
    for other in (copy.deepcopy(model), copy.copy(model), pickle.loads(pickle.dumps(model))):
        assert (
            repr(other)
            == repr(model)
            == "Model(3, 6, 4, num_layers=2, dropout=0.1, pooling='each', crf=True, seed=1)"
        )
        np.testing.assert_array_equal(other.flat, model.flat)
        other.set_flat(np.zeros_like(other.flat))
        assert model.flat.any()
    again = Model(3, 6, 4, pooling="each", crf=True, num_layers=2, dropout=0.1, seed=2)
    again.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(again.flat, model.flat)
    with pytest.raises(AttributeError, match="hidden_size"):
        model.hidden_size = 3


@pytest.mark.parametrize("name", GOLDEN["optimizers"])
def test_steps_as_pytorchs(name):
    case = GOLDEN["optimizers"][name]
    dtype = np.dtype(case["dtype"])
    model = Model(1, 1, 1, dtype=dtype, seed=0)
    first = np.zeros_like(model.flat)
    first[: len(case["first"])] = case["first"]
    model.set_flat(first)
    optimizer = getattr(gru_rs, case["optimizer"])(**case["options"])
    allowed = GOLDEN["tolerance"][case["dtype"]] * np.abs(case["weights"]).max()
    rates = case.get("rates", [optimizer.lr] * len(case["weights"]))
    steps = zip(rates, case["gradients"], case["norms"], case["weights"], strict=True)
    for rate, gradient, norm, expected in steps:
        optimizer.lr = rate
        padded = np.zeros_like(first)
        padded[: len(gradient)] = gradient
        assert gru_rs.clip_grad_norm(padded, case["max_norm"]) == pytest.approx(norm, rel=1e-6)
        optimizer.step(model, padded)
        assert np.abs(model.flat[: len(expected)] - expected).max() <= allowed


@pytest.mark.parametrize("name", [name for name in GOLDEN["schedules"] if name.startswith("plateau")])
def test_plateaus_as_pytorchs(name):
    case = GOLDEN["schedules"][name]
    options = {option: case[option] for option in ("lr", "factor", "patience", "min_lr")}
    plateau = gru_rs.PlateauSchedule(**options)
    assert [plateau.step(loss) for loss in case["losses"]] == case["rates"]


def test_a_plateau_of_losses_below_0():
    """Not as PyTorch's, for which -0.99995 is better than -1: what is larger is never better."""
    plateau = gru_rs.PlateauSchedule(0.1, factor=0.5, patience=0)
    assert [plateau.step(loss) for loss in (-1.0, -0.99995, -1.00005, -1.0002)] == [0.1, 0.05, 0.025, 0.025]


@pytest.mark.parametrize("name", ["cosine", "cosine after a rise"])
def test_cosines_as_pytorchs(name):
    case = GOLDEN["schedules"][name]
    options = {option: case[option] for option in ("lr", "total_steps", "warmup_steps", "min_lr")}
    cosine = gru_rs.CosineSchedule(**options)
    assert [cosine(step) for step in range(21)] == pytest.approx(case["rates"], rel=1e-13, abs=0)


def test_the_ends_of_a_cosine():
    rising = gru_rs.CosineSchedule(1.0, 10, warmup_steps=4)
    assert [rising(step) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert [rising(step) for step in (10, 11, 1000)] == [0, 0, 0]


@pytest.mark.parametrize("name", GOLDEN["ctc"])
def test_ctc_as_pytorchs(name):
    case = GOLDEN["ctc"][name]
    scores = np.array(case["scores"], case["dtype"])
    loss, gradient = gru_rs.ctc_loss(scores, case["targets"], lengths=case["lengths"], blank=case["blank"])
    expected, allowed = np.array(case["gradient"]), 10 * GOLDEN["tolerance"][case["dtype"]]
    assert loss == pytest.approx(case["loss"], rel=allowed)
    assert gradient.dtype == scores.dtype
    assert np.abs(gradient - expected).max() <= allowed * np.abs(expected).max()


def test_ctc_of_a_model():
    """A model's loss is that of its scores; what lies past a row's length says nothing."""
    model = Model(3, 6, 5, pooling="each", seed=1)
    x, targets = batch("float32"), [[1, 2], [], [4, 4], [3]]
    lengths = [5, 0, 4, 2]
    scores = np.zeros((4, 5, 5), np.float32)
    scores[np.arange(5) < np.array(lengths)[:, np.newaxis]] = model.scores(x, lengths=lengths)
    expected, _ = gru_rs.ctc_loss(scores, targets, lengths=lengths)
    assert model.loss(x, targets, loss=CTC(), lengths=lengths) == expected
    loss, gradients = model.loss_and_grad(x, targets, loss=CTC(), lengths=lengths)
    assert loss == expected
    assert np.isfinite(gradients).all()
    guesses = model.spell(x, lengths=lengths, beam_width=50)
    assert [len(row) <= 50 for row in guesses] == [True] * 4
    assert guesses[1] == [([], 0.0)]
    assert all(labels == [] for labels, _ in model.spell(x, lengths=[0, 0, 0, 0])[0])


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_state_that_is_carried(cell):
    model = Model(3, 6, 4, cell=cell, num_layers=2, pooling="each", seed=1)
    x = batch("float32")
    state = model.state(4)
    parts = [model.scores(x[:, begin : begin + 2], state=state).reshape(4, -1, 4) for begin in (0, 2, 4)]
    np.testing.assert_array_equal(np.concatenate(parts, axis=1).reshape(-1, 4), model.scores(x))
    with pytest.raises(ValueError, match="state: expected shape"):
        model.scores(x, state=model.state(3))
    with pytest.raises((TypeError, ValueError), match="state: expected"):
        model.scores(x, state=[[0.0]])


def test_a_norm_that_is_not_finite_changes_nothing():
    for bad in (np.nan, np.inf):
        gradients = np.array([1.0, bad, 3.0])
        before = gradients.copy()
        assert not np.isfinite(gru_rs.clip_grad_norm(gradients, 1.0))
        np.testing.assert_array_equal(gradients, before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clipping_of_what_backward_gives(dtype):
    """In place: the views by name see it, and the gradients of inputs and states are left as they are."""
    layer = gru_rs.GRU(3, 4, dtype=dtype, seed=1)
    x = batch(dtype)
    grads, twin = (layer.forward(x)[-1].backward(np.ones((4, 5, 4), dtype)) for _ in range(2))
    assert gru_rs.clip_grad_norm(grads, 0.5) == gru_rs.clip_grad_norm(twin.flat, 0.5) > 0.5
    assert grads.flat.tobytes() == twin.flat.tobytes()
    assert np.linalg.norm(grads.flat) == pytest.approx(0.5, rel=1e-5)
    assert grads.params["weight_ih_l0"].tobytes() == twin.params["weight_ih_l0"].tobytes()
    np.testing.assert_array_equal(grads.x, layer.forward(x)[-1].backward(np.ones((4, 5, 4), dtype)).x)


def score(*arguments, lengths=None, **options):
    return lambda: Model(3, 6, 4, seed=1, **options).scores(*arguments, lengths=lengths)


def lose(targets, loss=None, x=None, **options):
    given = batch(np.float32) if x is None else x
    return lambda: Model(3, 6, 4, seed=1).loss_and_grad(
        given, targets, loss=loss or CrossEntropy(), **options
    )


MISTAKES = [
    (lambda: Model(0, 6, 4), ValueError, "input_size: expected a positive integer"),
    (lambda: Model(3, 6, 0), ValueError, "output_size: expected a positive integer"),
    (lambda: Model(3, 6.5, 4), TypeError, "hidden_size: expected a positive integer"),
    (lambda: Model(3, 6, 4, vocabulary_size=0), ValueError, "vocabulary_size: expected a positive integer"),
    (lambda: Model(3, 6, 4, cell="rnn"), ValueError, "cell: expected 'gru' or 'lstm'"),
    (lambda: Model(3, 6, 4, pooling="sum"), ValueError, "pooling: expected 'last' or"),
    (lambda: Model(3, 6, 4, crf=True), ValueError, "crf: expected"),
    (lambda: Model(3, 6, 4, input_dropout=1.0), ValueError, "input_dropout: expected"),
    (lambda: Model(3, 6, 4, output_dropout=-0.1), ValueError, "output_dropout: expected"),
    (lambda: Model(3, 6, 4, dropout="a"), TypeError, "dropout: expected a number"),
    (lambda: Model(3, 6, 4, dtype="int32"), TypeError, "dtype: expected"),
    (lambda: Model(2**40, 2**40, 4), ValueError, "expected"),
    (score(np.ones((2, 3, 4), np.float32)), ValueError, r"x: expected shape (B, T, 3), got (2, 3, 4)"),
    (score(np.ones((2, 3, 3))), TypeError, "astype"),
    (score([[1, 2]], vocabulary_size=2), ValueError, "x: expected integers from 0 to 1, got 2"),
    (score([[1.5]], vocabulary_size=2), TypeError, "x: expected integers"),
    (score([1, 2], vocabulary_size=3), ValueError, r"x: expected shape (B, T)"),
    (
        score(np.ones((2, 3, 3), np.float32), lengths=[1, 4]),
        ValueError,
        "lengths: expected integers from 0 to 3",
    ),
    (lose([0, 1, 2, 4]), ValueError, "targets: expected integers from 0 to 3, got 4"),
    (lose([0, 1, 2]), ValueError, "targets: expected"),
    (lose([0.5, 1, 2, 3]), TypeError, "targets: expected integers"),
    (lose([0, 1, 2, 3], sample_weight=[1.0]), ValueError, "sample_weight: expected"),
    (lose([0, 1, 2, 3], seed=-1), ValueError, "seed: expected"),
    (lose([0, 1, 2, 3], memory="some"), ValueError, "memory: expected 'full' or 'low'"),
    (lose([0, 1, 2, 3], "entropy"), TypeError, "loss: expected CrossEntropy"),
    (lose(np.ones((4, 3), np.float32), SquaredError()), ValueError, r"targets: expected shape (rows, 4)"),
    (lose([0, 1, 2, 3], CrossEntropy([1.0, 2.0])), ValueError, "class_weights: expected"),
    (
        lose(np.ones(4, np.float32), QuantileError([0.1, 0.5, 0.9])),
        ValueError,
        "output_size: expected a multiple",
    ),
    (lambda: CrossEntropy([1.0, -2.0]), ValueError, "class_weights: expected"),
    (lambda: CrossEntropy(label_smoothing=1.0), ValueError, "label_smoothing: expected"),
    (lambda: QuantileError([]), ValueError, "levels: expected at least one"),
    (lambda: QuantileError([0.5, 1.0]), ValueError, "levels: expected"),
    (lambda: gru_rs.clip_grad_norm([1.0], 1.0), TypeError, "gradients: expected Grads or an array"),
    (lambda: gru_rs.clip_grad_norm(None, 1.0), TypeError, "got NoneType"),
    (
        lambda: gru_rs.clip_grad_norm(np.ones(3, int), 1.0),
        TypeError,
        "gradients: expected float32 or float64",
    ),
    (
        lambda: gru_rs.clip_grad_norm(np.ones(3, ">f4"), 1.0),
        TypeError,
        "gradients: expected float32 or float64, got dtype('>f4')",
    ),
    (lambda: gru_rs.clip_grad_norm(np.ones((2, 2)), 1.0), ValueError, "gradients: expected shape (4,)"),
    (lambda: gru_rs.clip_grad_norm(np.ones(6)[::2], 1.0), ValueError, "gradients: expected a C-contiguous"),
    (lambda: gru_rs.clip_grad_norm(np.broadcast_to(1.0, 3), 1.0), ValueError, "gradients: expected"),
    (lambda: gru_rs.clip_grad_norm(np.ones(3), 0.0), ValueError, "max_norm: expected a number > 0, got 0"),
    (lambda: gru_rs.clip_grad_norm(np.ones(3), np.nan), ValueError, "max_norm: expected a number > 0"),
    (lambda: gru_rs.CosineSchedule(-0.1, 10), ValueError, "lr: expected"),
    (lambda: gru_rs.CosineSchedule(0.1, 10, warmup_steps=11), ValueError, "warmup_steps: expected"),
    (lambda: gru_rs.CosineSchedule(0.1, 10)(-1), ValueError, "step: expected an integer from 0"),
    (lambda: gru_rs.PlateauSchedule(0.1, factor=1.0), ValueError, "factor: expected"),
    (lambda: gru_rs.PlateauSchedule(0.1, patience=1.5), TypeError, "patience: expected"),
    (lambda: setattr(gru_rs.Adam(), "lr", -1.0), ValueError, "lr: expected"),
    (lambda: setattr(gru_rs.Adam(), "lr", "fast"), TypeError, "lr: expected a number"),
]


@pytest.mark.parametrize("case", range(len(MISTAKES)))
def test_mistakes_are_named(case):
    call, kind, message = MISTAKES[case]
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)

"""How training goes on and ends: why, with what weights, and what callbacks see of it."""

import signal
import threading
from itertools import pairwise

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

RNG = np.random.default_rng(0)
ROWS = [RNG.normal(size=(length, 2)) for length in (3, 5, 2, 4, 6, 3) * 3]
TEXTS = ["a fine day", "a bad day", "fine", "bad, bad"] * 4
SERIES = np.sin(np.arange(120) / 5)
LEARNT = {
    "classifier": (SequenceClassifier, (ROWS, [0, 1] * 9)),
    "regressor": (SequenceRegressor, (ROWS, [row.sum() for row in ROWS])),
    "tagger": (SequenceTagger, (ROWS, [[0, 1, 0, 1, 0, 1][: len(row)] for row in ROWS])),
    "transcriber": (Transcriber, (ROWS, ["a", "b"] * 9)),
    "seq2seq": (Seq2Seq, (ROWS, ["a", "b"] * 9)),
    "language model": (LanguageModel, (TEXTS,)),
    "forecaster": (Forecaster, (SERIES,)),
}


def made(name, **options):
    kind, data = LEARNT[name]
    more = {"window": 8, "early_stopping": False} if kind is Forecaster else {}
    return kind(**({"hidden_size": 4, "random_state": 0, "max_iter": 3} | more | options)), data


@pytest.mark.parametrize("name", LEARNT)
def test_training_does_not_end_by_itself(name):
    """However little a loss improves: nobody asked for an end."""
    still = {"learning_rate_init": 1e-12, "input_dropout": 0.0, "output_dropout": 0.0}
    model, data = made(name, max_iter=14, **still)
    model.fit(*data)
    assert (model.n_iter_, model.stop_reason_) == (14, "max_iter: 14 epochs")
    model.set_params(n_iter_no_change=3).fit(*data)
    assert (model.n_iter_, model.stop_reason_) == (4, "the loss has not improved in 3 epochs")
    model.set_params(n_iter_no_change=None, early_stopping=True).fit(*data)
    assert (model.n_iter_, model.stop_reason_) == (11, "the validation score has not improved in 10 epochs")


@pytest.mark.usefixtures("hears_ctrl_c")
def test_other_ends(tmp_path):
    model, data = made("classifier", callbacks=lambda info: info.epoch == 1)
    assert model.fit(*data).stop_reason_ == "a callback returned True"
    assert model.n_iter_ == 2
    model.save(tmp_path / "m")
    assert gru_rs.load(tmp_path / "m").stop_reason_ == model.stop_reason_
    model.set_params(callbacks=lambda _: signal.raise_signal(signal.SIGINT))
    assert threading.current_thread() is threading.main_thread()
    with pytest.warns(UserWarning, match="ended by Ctrl-C"):
        model.fit(*data)
    assert model.stop_reason_ == "Ctrl-C"


@pytest.mark.parametrize("name", LEARNT)
@pytest.mark.parametrize("clip_norm", [None, 1.0])
@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_divergence_is_an_error(name, clip_norm, weight_decay):
    options = {
        "learning_rate_init": 1e30,
        "max_iter": 30,
        "clip_norm": clip_norm,
        "weight_decay": weight_decay,
    }
    model, data = made(name, dtype="float32", **options)
    if name == "seq2seq" and weight_decay == 0:
        model.fit(*data)  # to the end: what is that large saturates, and the loss stays finite
    else:
        message = r"training diverged in epoch \d+: expected .* to be finite, got"
        with pytest.raises(FloatingPointError, match=message):
            model.fit(*data)
        assert model.stop_reason_.startswith("diverged: training diverged in epoch")
    assert np.isfinite(model.model_.flat).all()
    assert np.isfinite(model.loss_curve_).all()


def test_divergence_keeps_the_best_of_early_stopping():
    def rise(info):
        if info.event == "epoch" and info.epoch == 2:
            flat = info.estimator.model_.flat.copy()
            flat[:] = np.nan
            info.estimator.model_.set_flat(flat)

    model, data = made("classifier", early_stopping=True, callbacks=[rise], max_iter=9)
    with pytest.warns(
        UserWarning, match=r"training diverged in epoch 4: .*; the weights are of the best epoch"
    ):
        model.fit(*data)
    assert np.isfinite(model.model_.flat).all()
    assert len(model.loss_curve_) == 3
    assert model.stop_reason_.startswith("diverged")


def test_a_score_that_is_not_finite():
    class Odd(SequenceClassifier):
        def _validation_score(self, *_):
            return np.nan

    with pytest.raises(FloatingPointError, match="expected the validation score to be finite, got nan"):
        Odd(hidden_size=4, early_stopping=True, random_state=0).fit(ROWS, [0, 1] * 9)


@pytest.mark.parametrize("clip_norm", [None, 1e-3])
def test_what_callbacks_see(clip_norm):
    seen = []
    model, data = made(
        "classifier", callbacks=seen.append, clip_norm=clip_norm, batch_size=6, learning_rate="cosine"
    )
    model.fit(*data)
    assert [info.event for info in seen] == (["batch"] * 3 + ["epoch"]) * 3
    assert all(a.seconds < b.seconds for a, b in pairwise(seen))
    rates = [info.learning_rate for info in seen if info.event == "batch"]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == model.learning_rate_init
    # Before it is clipped.
    assert all(info.gradient_norm > 1e-2 for info in seen)
    with pytest.raises(TypeError, match="callbacks: expected a function or a list of functions, got 5"):
        model.set_params(callbacks=5).fit(*data)
    with pytest.raises(TypeError, match="callbacks: expected functions, got 5"):
        model.set_params(callbacks=[5]).fit(*data)


def test_verbose_says_how_long_and_why(capsys):
    model, data = made("classifier", verbose=True, max_iter=2)
    model.fit(*data)
    lines = capsys.readouterr().out.splitlines()
    begins = ["for 18 sequences", "epoch 1", "epoch 2", "training ended"]
    assert [line.split(":")[0] for line in lines] == begins
    assert lines[1].endswith(" s")
    assert lines[-1] == "training ended: max_iter: 2 epochs"


# A number for each step


def sums(row):
    """What was seen so far, which only a memory knows."""
    return np.cumsum(row[:, 0])


STEPS = [sums(row) for row in ROWS]


def padded(rows, fill=np.nan):
    width = max(map(len, rows)) + 1
    found = np.full((len(rows), width, *rows[0].shape[1:]), fill)
    for to, row in zip(found, rows, strict=True):
        to[: len(row)] = row
    return found


def test_a_number_for_each_step_is_learnt():
    options = {"hidden_size": 16, "max_iter": 150, "learning_rate_init": 0.01, "random_state": 0}
    model = SequenceRegressor(pooling="each", **options).fit(ROWS, STEPS)
    assert model.score(ROWS, STEPS) > 0.95
    found = model.predict(ROWS)
    assert [len(row) for row in found] == [len(row) for row in ROWS]
    apart = np.concatenate(found) - np.concatenate(STEPS)
    expected = 1 - (apart**2).sum() / (len(apart) * np.concatenate(STEPS).var())
    np.testing.assert_allclose(model.score(ROWS, STEPS), expected)


@pytest.mark.parametrize("loss", ["squared", "absolute", "quantile"])
@pytest.mark.parametrize("targets", [1, 2])
def test_numbers_of_steps_in_any_form(loss, targets, tmp_path):
    y = STEPS if targets == 1 else [np.stack([row, -row], axis=1) for row in STEPS]
    lengths = [len(row) for row in ROWS]
    options = {
        "pooling": "each",
        "loss": loss,
        "hidden_size": 4,
        "max_iter": 2,
        "random_state": 0,
        "max_length": 4,
        "bidirectional": False,
    }
    model = SequenceRegressor(**options).fit(ROWS, y)
    found = model.predict(ROWS)
    assert all(one.shape == row.shape for one, row in zip(found, y, strict=True)), "also beyond max_length"
    for form in (y, [row.tolist() for row in y], padded(y)):
        given = {"lengths": lengths} if isinstance(form, np.ndarray) else {}
        X = padded(ROWS) if given else ROWS
        again = SequenceRegressor(**options).fit(X, form, **given)
        np.testing.assert_array_equal(again.model_.flat, model.model_.flat)
        assert again.score(X, form, **given) == model.score(ROWS, y)
    weight = np.arange(len(ROWS)) % 3
    weighted = model.score(ROWS, y, sample_weight=weight)
    kept = [row for row, count in enumerate(weight) for _ in range(count)]
    np.testing.assert_allclose(weighted, model.score([ROWS[row] for row in kept], [y[row] for row in kept]))
    stream = model.stream()
    np.testing.assert_array_equal(stream(ROWS[0]), found[0])
    model.save(tmp_path / "m")
    for one, other in zip(gru_rs.load(tmp_path / "m").predict(ROWS), found, strict=True):
        np.testing.assert_array_equal(one, other)
    early = SequenceRegressor(early_stopping=True, **options).fit(ROWS, y, sample_weight=weight + 1)
    assert len(early.validation_scores_) == 2


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (STEPS[:-1], "y: expected 18 values"),
        ([*STEPS[:-1], STEPS[-1][:-1]], "y: expected 3 numbers in row 17, one for each step"),
        ([*STEPS[:-1], np.ones((3, 2))], "y: expected a number for each step"),
        ([*STEPS[:-1], [1.0, None, 2.0]], "y: expected a value in row 17, step 1"),
        (
            [*STEPS[:-1], [1.0, np.nan, 2.0]],
            "y: expected finite numbers, got NaN or infinity in row 17, step 1",
        ),
        ([*STEPS[:-1], ["a"] * 3], "y, row 17, step 0: expected numbers"),
        (np.ones(18), "y, row 0: expected a list"),
        (None, "requires y to be passed"),
    ],
)
def test_numbers_of_steps_refused(y, message):
    with pytest.raises((TypeError, ValueError), match=message):
        SequenceRegressor(pooling="each", max_iter=1).fit(ROWS, y)


def test_models_take_targets_that_are_padded():
    rng = np.random.default_rng(0)
    x, lengths = rng.normal(size=(3, 5, 2)).astype(np.float32), [5, 2, 0]
    valid = np.arange(5) < np.array(lengths)[:, np.newaxis]
    for outputs, loss, targets in [
        (1, gru_rs.SquaredError(), rng.normal(size=(3, 5))),
        (1, gru_rs.AbsoluteError(), rng.normal(size=(3, 5, 1))),
        (2, gru_rs.SquaredError(), rng.normal(size=(3, 5, 2))),
        (4, gru_rs.QuantileError([0.1, 0.9]), rng.normal(size=(3, 5, 2))),
        (4, gru_rs.CrossEntropy(), rng.integers(0, 4, (3, 5))),
    ]:
        model = gru_rs.Model(2, 3, outputs, pooling="each", seed=1)
        flat = targets[valid].astype(np.float32) if targets.dtype.kind == "f" else targets[valid]
        expected = model.loss_and_grad(x, flat, lengths=lengths, loss=loss, seed=1)
        padding = targets.astype(np.float32) if targets.dtype.kind == "f" else targets
        padding[~valid] = np.nan if padding.dtype.kind == "f" else -100
        for form in (padding, padding.tolist(), np.asfortranarray(padding)):
            lost, gradient = model.loss_and_grad(x, form, lengths=lengths, loss=loss, seed=1)
            assert lost == expected[0] == model.loss(x, form, lengths=lengths, loss=loss)
            np.testing.assert_array_equal(gradient, expected[1])
    with pytest.raises(ValueError, match="targets: expected"):
        gru_rs.Model(2, 3, 1, seed=1).loss(x, np.ones((3, 5), np.float32), loss=gru_rs.SquaredError())


CHANGED = {
    "hidden_size": ("classifier", {"hidden_size": 9}),
    "input_dropout": ("tagger", {"input_dropout": 0.5}),
    "cell": ("seq2seq", {"cell": "lstm"}),
    "dtype": ("regressor", {"dtype": "float64"}),
    "bidirectional": ("transcriber", {"bidirectional": False}),
    "output_dropout": ("language model", {"output_dropout": 0.5}),
}


@pytest.mark.parametrize(("name", "options"), CHANGED.values(), ids=CHANGED)
def test_another_network_is_no_warm_start(name, options, tmp_path):
    model, data = made(name)
    model.fit(*data).set_params(**options)
    ((option, _),) = options.items()
    with pytest.raises(ValueError, match=f"{option}: expected .* as in the fit before, got"):
        model.set_params(warm_start=True).fit(*data)
    with pytest.raises(ValueError, match=f"{option}: expected .* as in the fit before, got"):
        model.save(tmp_path / "model")
    model.set_params(warm_start=False).fit(*data).save(tmp_path / "model")


@pytest.mark.parametrize("kind", [SequenceClassifier, LanguageModel])
def test_letters_are_read_as_they_were_learnt(kind, tmp_path):
    texts = ["A good DAY", "a BAD day"] * 4
    data = (texts,) if kind is LanguageModel else (texts, [0, 1] * 4)
    model = kind(hidden_size=4, max_iter=1, random_state=0, lowercase=True).fit(*data)
    with pytest.raises(ValueError, match="lowercase: expected True as in the fit before, got False"):
        model.set_params(lowercase=False).save(tmp_path / "model")


def test_a_vocabulary_that_nothing_is_of():
    with pytest.raises(ValueError, match="vocabulary: expected tokens of X, got none of 2 that is there"):
        SequenceClassifier(vocabulary=["Good", "Bad"]).fit(["Good day", "Bad day"] * 4, [0, 1] * 4)

"""A run that was stopped goes on bit for bit: by itself, from a file, from pickles and copies; and what files
of training may hold.
"""

import copy
import json
import pickle
import random
import re
import signal
import sys
import tempfile
import warnings
from functools import partial
from pathlib import Path

import gru_rs
import numpy as np
import pytest
from gru_rs.estimators._training import identity
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import make_scorer, max_error, mean_squared_error
from test_mutants import edit, edit_tensors, joined, parts
from test_training import LEARNT
from test_training import made as made_by

EPOCHS = 6
OPTIONS = {"hidden_size": 4, "batch_size": 4, "max_iter": EPOCHS, "learning_rate_init": 0.01}
SCHEDULES = {
    "constant": {"learning_rate": "constant"},
    "cosine": {"learning_rate": "cosine", "warmup_fraction": 0.2},
    "plateau": {"learning_rate": "plateau"},
}


def made(name, **options):
    more = {"chunk_length": 5} if name == "language model" else {}
    return made_by(name, **(more | options))


class Stop:
    """Ends training where it says; by the hard way if it shall."""

    def __init__(self, event, epoch, batch=None, *, by_signal=False):
        self.place, self.by_signal = (event, epoch, batch), by_signal

    def __call__(self, info):
        event, epoch, batch = self.place
        if info.event == event and info.epoch == epoch and batch in (None, info.batch):
            if self.by_signal:
                signal.raise_signal(signal.SIGINT)
            return True
        return None


class After:
    """Ends training after so many events."""

    def __init__(self, events):
        self.left = events

    def __call__(self, _):
        self.left -= 1
        return self.left == 0


def through_file(estimator, path):
    estimator.save(path)
    return gru_rs.load(path)


WAYS = {
    "itself": lambda estimator, _: estimator,
    "file": through_file,
    "pickle": lambda estimator, _: pickle.loads(pickle.dumps(estimator)),
    "deepcopy": lambda estimator, _: copy.deepcopy(estimator),
    "copy": lambda estimator, _: copy.copy(estimator),
}


def outcome(estimator):
    """All that has come of training."""
    progress = estimator._progress
    weights = [None if one is None else one.tobytes() for one in (progress.best, progress.last)]
    moments = estimator._optimizer._remembered(estimator.model_)
    return (
        estimator.model_.flat.tobytes(),
        estimator.loss_curve_,
        estimator.validation_scores_,
        estimator.best_validation_score_,
        estimator.n_iter_,
        estimator.stop_reason_,
        weights,
        [one.tobytes() for one in moments[1]],
        moments[2:],
        estimator._rng.bit_generator.state,
        estimator.model_._core.rng_state,
        progress.place,
        progress.waiting,
        progress.plateau,
    )


def whole(name, **options):
    model, data = made(name, **(OPTIONS | options))
    return model.fit(*data)


def again(name, way, tmp_path, stops, **options):
    """The same with an end at each of some places."""
    model, data = made(name, **(OPTIONS | options))
    for stop in stops:
        model.set_params(callbacks=stop)
        if stop.by_signal:
            with pytest.warns(UserWarning, match="ended by Ctrl-C"):
                model.fit(*data)
        else:
            model.fit(*data)
        model = WAYS[way](model, tmp_path / "model").set_params(warm_start=True)
    return model.set_params(callbacks=()).fit(*data)


@pytest.mark.parametrize("name", LEARNT)
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_run_through_a_file_is_the_run_that_was_not_stopped(tmp_path, name, schedule, early_stopping):
    options = {"dropout": 0.2, "num_layers": 2, "input_dropout": 0.1, "early_stopping": early_stopping}
    options |= {"n_iter_no_change": 4} | SCHEDULES[schedule]
    expected = whole(name, **options)
    stops = [Stop("epoch", 2), Stop("batch", 4, 1)]
    found = again(name, "file", tmp_path, stops, **options)
    assert outcome(found) == outcome(expected)


@pytest.mark.parametrize("name", LEARNT)
@pytest.mark.parametrize("way", WAYS)
def test_every_way(tmp_path, name, way):
    options = {"output_dropout": 0.3, "early_stopping": True, "learning_rate": "cosine", "cell": "lstm"}
    found = again(name, way, tmp_path, [Stop("batch", 1, 2), Stop("epoch", 3)], **options)
    assert outcome(found) == outcome(whole(name, **options))


@given(
    name=st.sampled_from(sorted(LEARNT)),
    ways=st.lists(st.tuples(st.sampled_from(sorted(WAYS)), st.integers(1, 6)), min_size=1, max_size=3),
    options=st.fixed_dictionaries(
        {
            "cell": st.sampled_from(["gru", "lstm"]),
            "learning_rate": st.sampled_from(["constant", "cosine", "plateau"]),
            "early_stopping": st.booleans(),
            "shuffle": st.booleans(),
            "output_dropout": st.sampled_from([0.0, 0.4]),
            "batch_size": st.integers(3, 9),
            "n_iter_no_change": st.sampled_from([None, 3]),
            "weight_decay": st.sampled_from([0.0, 0.1]),
            "dtype": st.sampled_from(["float32", "float64"]),
        }
    ),
)
def test_wherever_it_is_stopped(name, ways, options):
    """After any number of batches and epochs, by any way, and again."""
    expected = whole(name, **options)
    model, data = made(name, **(OPTIONS | options))
    for way, events in ways:
        stop = After(events)
        model.set_params(callbacks=stop).fit(*data)
        if stop.left > 0:  # it came to its end
            break
        with tempfile.TemporaryDirectory() as folder:
            model = WAYS[way](model, Path(folder) / "model").set_params(warm_start=True)
    else:
        model.set_params(callbacks=()).fit(*data)
    assert outcome(model) == outcome(expected)


@pytest.mark.parametrize("name", LEARNT)
def test_half_and_half(tmp_path, name):
    """5 + 5 epochs of runs that came to their end are 10, but for a cosine, which begins anew."""
    still = {"learning_rate": "constant"}
    plateau = {"learning_rate": "plateau", "input_dropout": 0.5}
    for options in (still, still | {"early_stopping": True}, plateau):
        half, data = made(name, **(OPTIONS | options | {"max_iter": EPOCHS // 2}))
        half = through_file(half.fit(*data), tmp_path / "half").set_params(warm_start=True).fit(*data)
        expected = whole(name, **options)
        assert half.loss_curve_ == expected.loss_curve_
        assert half.validation_scores_ == expected.validation_scores_
        assert half.model_.flat.tobytes() == expected.model_.flat.tobytes()


@pytest.mark.parametrize("stop", [Stop("batch", 2, 1), Stop("batch", 0, 0, by_signal=True), Stop("epoch", 3)])
@pytest.mark.usefixtures("hears_ctrl_c")
def test_rare_tokens_are_dropped_and_parts_are_frozen_as_they_would_have_been(tmp_path, stop):
    words = np.random.default_rng(0).integers(40, size=(30, 3))
    texts, labels = [" ".join(f"w{word}" for word in row) for row in words], words[:, 0] % 2
    options = OPTIONS | {"token_dropout": 0.9, "frozen": ["head"], "weight_decay": 0.1, "random_state": 1}
    expected = gru_rs.SequenceClassifier(**options).fit(texts, labels)
    sequences = expected._read_fitted(texts, None)
    assert expected._altered(sequences, sequences.rows) is not None
    found = gru_rs.SequenceClassifier(**options, callbacks=stop, warm_start=True).fit(texts, labels)
    assert outcome(found) != outcome(expected)
    found = through_file(found, tmp_path / "model").fit(texts, labels)
    assert outcome(found) == outcome(expected)


@pytest.mark.parametrize("name", ["classifier", "language model", "forecaster"])
@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c(tmp_path, name):
    options = {"dropout": 0.2, "num_layers": 2, "learning_rate": "cosine"}
    stops = [Stop("batch", 0, 1, by_signal=True), Stop("epoch", 2, by_signal=True)]
    assert outcome(again(name, "file", tmp_path, stops, **options)) == outcome(whole(name, **options))


@pytest.mark.parametrize("name", ["classifier", "language model"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_an_interrupt_between_any_two_instructions(name, early_stopping):
    """Whatever line of the package was next: the step was made or it was not, and so with the epoch."""
    options = {"dropout": 0.2, "num_layers": 2, "max_iter": 2, "learning_rate": "plateau"}
    options |= {"batch_size": 9, "early_stopping": early_stopping}
    expected = outcome(whole(name, **options))
    rng = np.random.default_rng(0)
    files = ("_training.py", "_progress.py", "_corpus.py", "_model.py", "_optim.py")

    def run(after):
        """Lines that were run, and the estimator; an interrupt after so many of them."""
        model, data = made(name, **(OPTIONS | options))
        lines = [0]

        def trace(frame, event, _):
            if not frame.f_code.co_filename.endswith(files) or frame.f_code.co_name in ("_info", "shown"):
                return None
            if event == "line" and begun[0]:
                lines[0] += 1
                if lines[0] == after:
                    sys.settrace(None)
                    raise KeyboardInterrupt
            begun[0] = begun[0] or frame.f_code.co_name == "_epoch"
            return trace

        begun = [False]
        sys.settrace(trace)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model.fit(*data)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        return lines[0], model, data

    count, model, _ = run(-1)
    assert outcome(model) == expected
    for after in sorted(set(rng.integers(1, count, 60).tolist())):
        _, model, data = run(after)
        if not model._progress.ended:
            model.set_params(warm_start=True).fit(*data)
        assert outcome(model) == expected, after


def test_a_run_of_other_data_begins_anew(tmp_path):
    model, (X, y) = made("classifier", **OPTIONS, early_stopping=True)
    model.set_params(callbacks=Stop("epoch", 1)).fit(X, y).set_params(callbacks=(), warm_start=True)
    model = through_file(model, tmp_path / "model")
    message = (
        "X: expected the data, the batches and the validation of the run that was stopped after 2 epochs"
    )
    weights = model.model_.flat.tobytes()
    assert model._progress.last.tobytes() != weights
    # It begins with the best weights, as anybody would expect who has loaded them for it.
    model.set_params(learning_rate_init=1e-30)
    with pytest.warns(UserWarning, match=message):
        model.fit(X[:-1], y[:-1])
    assert model.model_.flat.tobytes() == weights
    assert model.n_iter_ == 2 + EPOCHS
    assert model.best_validation_score_ == max(model.validation_scores_[2:])


@pytest.mark.parametrize(
    "option",
    [{"batch_size": 5}, {"shuffle": False}, {"validation_fraction": 0.4}, {"token_dropout": 0.1}],
)
def test_other_batches_are_another_run(option):
    model, data = made("classifier", **OPTIONS, early_stopping=True, callbacks=Stop("batch", 1, 1))
    model.fit(*data).set_params(callbacks=(), warm_start=True, **option)
    with pytest.warns(UserWarning, match="the run that was stopped after 1 epochs, got others"):
        assert model.fit(*data).n_iter_ == 1 + EPOCHS


def test_partial_fit_through_a_file(tmp_path):
    options = {"output_dropout": 0.3, "learning_rate": "plateau"}
    for name in ("classifier", "regressor", "tagger", "transcriber", "seq2seq", "language model"):
        expected, data = made(name, **(OPTIONS | options))
        found, _ = made(name, **(OPTIONS | options))
        for _ in range(3):
            expected.partial_fit(*data)
            found = through_file(found.partial_fit(*data), tmp_path / "model")
        assert outcome(found) == outcome(expected)


def test_a_larger_max_iter_is_a_longer_run(tmp_path):
    """Of a run that was stopped `max_iter` is its end, also if it was set later."""
    still = {"learning_rate": "constant"}  # a cosine is told its end
    model, data = made("regressor", **OPTIONS, **still, callbacks=Stop("epoch", 1))
    model = through_file(model.fit(*data), tmp_path / "model").set_params(max_iter=9, warm_start=True)
    assert model.fit(*data).n_iter_ == 9
    assert outcome(model) == outcome(whole("regressor", max_iter=9, **still))
    assert model.fit(*data).n_iter_ == 18  # another


def test_a_checkpoint_of_the_last_epoch_has_come_to_its_end(tmp_path):
    files = []

    def keep(info):
        if info.event == "epoch":
            files.append(tmp_path / str(info.epoch))
            info.estimator.save(files[-1])

    options = {"early_stopping": True, "n_iter_no_change": 2}
    expected = whole("classifier", **options, callbacks=keep)
    assert expected.n_iter_ < EPOCHS
    for path in files:
        found = gru_rs.load(path).set_params(warm_start=True).fit(*LEARNT["classifier"][1])
        assert outcome(found) == outcome(expected)


@pytest.mark.parametrize("name", LEARNT)
def test_sizes_of_files(tmp_path, name):
    """Moments are twice the weights; without them a file is as small as before."""
    model = whole(name, hidden_size=64)
    weights = model.model_.flat.nbytes
    model.save(tmp_path / "all")
    model.save(tmp_path / "weights", training=False)
    model.quantize().save(tmp_path / "quantized")
    sizes = {path.name: path.stat().st_size for path in tmp_path.iterdir()}
    assert 2 * weights < sizes["all"] - sizes["weights"] < 2 * weights + 1200
    assert sizes["quantized"] < sizes["weights"]
    found = gru_rs.load(tmp_path / "weights")
    assert found.model_.flat.tobytes() == model.model_.flat.tobytes()
    # With fresh moments, as of files of before.
    assert found.set_params(warm_start=True).fit(*LEARNT[name][1]).n_iter_ == 2 * EPOCHS
    with pytest.raises(TypeError, match="training: expected a bool"):
        model.save(tmp_path / "no", training="yes")


# Files that somebody has changed ----------------------------------------------------------------------------


def stopped(tmp_path, name="classifier"):
    """A file with all that one can have."""
    stop = Stop("batch", 2, 1)
    options = {"early_stopping": True, "learning_rate": "plateau", "callbacks": stop, "cell": "lstm"}
    path = tmp_path / "model"
    whole(name, **options).save(path)
    return path, parts(path.read_bytes())


def header(name, value):
    *way, last = name.split("/")

    def change(header, _):
        inside = header["training"]
        for key in way:
            inside = inside[int(key) if isinstance(inside, list) else key]
        inside[int(last) if isinstance(inside, list) else last] = value

    return change


def tensor(name, change):
    def changed(_, tensors):
        _, shape, data = tensors["training." + name]
        numbers = np.frombuffer(data, np.float32).reshape(shape).copy()
        numbers = change(numbers)
        word = {"float32": "F32", "float64": "F64"}[numbers.dtype.name]
        tensors["training." + name] = (word, list(numbers.shape), numbers.tobytes())

    return changed


def with_first(value):
    def change(numbers):
        numbers.flat[0] = value
        return numbers

    return change


CLASSIFIER, LANGUAGE = "classifier", "language model"
EDITS = [
    (CLASSIFIER, header("optimizer", None), "place: expected at most the optimizer's 0 steps, got"),
    (CLASSIFIER, header("optimizer/steps", 0), "optimizer: expected steps from 1, and two powers"),
    (CLASSIFIER, header("optimizer/steps", 5), "optimizer.powers: expected .*, that of 5 steps"),
    (CLASSIFIER, header("optimizer/powers", [0.5]), "optimizer: expected steps from 1, and two powers"),
    (
        CLASSIFIER,
        header("optimizer/powers/1", 0.5),
        "optimizer.powers: expected .*, that of .* steps, got 0.5",
    ),
    (CLASSIFIER, header("optimizer/powers/0", 2.0), "optimizer.powers"),
    (CLASSIFIER, header("place/0", 3), "place: expected at most 2 epochs, as of loss_curve_, got 3"),
    (CLASSIFIER, header("place/0", -1), "training.place: expected an integer from 0"),
    (CLASSIFIER, header("place/1", 10**6), "place: expected at most the optimizer's .* steps, got 1000000"),
    (CLASSIFIER, header("place/1", 1), "place: expected at least 4 steps, one a batch"),
    (CLASSIFIER, header("place/3", 1), "place: expected floats that are finite for loss and weight, got 1"),
    (CLASSIFIER, header("place/4", float("inf")), "expected floats that are finite for loss and weight"),
    (CLASSIFIER, header("place/4", -1.0), "place: expected a weight from 0, got -1.0"),
    (CLASSIFIER, header("place/2", 0), "place: expected no loss, got"),
    (CLASSIFIER, header("place", [0]), "place: expected a list of 5 numbers"),
    (CLASSIFIER, header("ended", 1), "training.ended: expected a bool"),
    (CLASSIFIER, header("partial", None), "training.partial: expected a bool"),
    (CLASSIFIER, header("waiting", 99), "training.waiting: expected an integer from 0"),
    (CLASSIFIER, header("plateau", [0.1]), "plateau: expected None, or a list of 3 numbers"),
    (CLASSIFIER, header("plateau/0", float("nan")), "plateau: expected a finite rate from 0"),
    (CLASSIFIER, header("plateau/1", float("inf")), "plateau: expected a finite loss"),
    (CLASSIFIER, header("plateau/2", 0.5), "training.plateau: expected an integer from 0"),
    (CLASSIFIER, header("data", 2**32), "training.data: expected an integer from 0"),
    (CLASSIFIER, header("data", None), "held: expected None without data"),
    (CLASSIFIER, header("held", True), "training.held: expected an integer from 0"),
    (CLASSIFIER, header("best", "mine"), "best: expected None, 'model' or 'own', got mine"),
    (CLASSIFIER, header("best", "own"), "best: expected a tensor of float32, .*, got none"),
    (CLASSIFIER, header("last", None), "training.last: expected no tensor that training does not go on from"),
    (CLASSIFIER, header("more", 1), "training: expected .*, got another: more"),
    (CLASSIFIER, lambda header, _: header.pop("training"), "weights: expected those of the model's sizes"),
    (CLASSIFIER, tensor("mean", with_first(np.nan)), "training.mean: expected finite numbers"),
    (CLASSIFIER, tensor("square", with_first(-1)), "training.square: expected numbers from 0"),
    (CLASSIFIER, tensor("last", with_first(np.inf)), "training.last: expected finite numbers"),
    (CLASSIFIER, tensor("last", lambda one: one[1:]), "training.last: expected a tensor of float32, shape"),
    (CLASSIFIER, tensor("mean", lambda one: one.astype(float)), "training.mean: .*, got float64 of shape"),
    (CLASSIFIER, tensor("mean", lambda one: one[None]), r"training.mean: .*, got float32 of shape \(1,"),
    (LANGUAGE, tensor("carried.0", lambda one: one[:, :0]), "training.carried.0: expected a tensor"),
    (LANGUAGE, tensor("carried.1", lambda one: one[:, :1]), "training.carried: expected rows of a batch"),
    (
        LANGUAGE,
        lambda _, tensors: tensors.pop("training.carried.1"),
        "training.carried.1: expected a tensor of float32, .*, got none",
    ),
]


@pytest.mark.parametrize("case", range(len(EDITS)))
def test_what_does_not_fit_is_named(tmp_path, case):
    name, change, message = EDITS[case]
    path, (text, tensors) = stopped(tmp_path, name)
    text = json.loads(json.dumps(text))
    change(text, tensors)
    path.write_bytes(joined(text, tensors))
    with pytest.raises(ValueError, match=message) as caught:
        gru_rs.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", [CLASSIFIER, LANGUAGE])
def test_what_was_edited_is_refused_or_trains(tmp_path, name):
    """Any change of any value: an error, or a run like others."""
    path, (text, tensors) = stopped(tmp_path, name)
    counts = {True: 0, False: 0}
    for number in range(150):
        draw = random.Random(f"{name} {number}")
        whole_text, some = json.loads(json.dumps(text)), dict(tensors)
        inside = {"training": whole_text["training"]}
        edit(draw, inside)
        whole_text.pop("training")
        some_of = {key: some.pop(key) for key in list(some) if key.startswith("training.")}
        if draw.random() < 0.3:
            edit_tensors(draw, some_of)
        path.write_bytes(joined(whole_text | inside, some | some_of))
        try:
            found = gru_rs.load(path).set_params(warm_start=True, max_iter=3)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
            counts[False] += 1
            continue
        counts[True] += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                found.fit(*LEARNT[name][1])
            except (ValueError, FloatingPointError) as error:
                assert re.match("training|state", str(error))  # noqa: PT017
        assert np.isfinite(found.model_.flat).all()
    assert counts[True] > 5 < counts[False]


def test_weights_that_were_set_meanwhile_count():
    model = whole("classifier", early_stopping=True).set_params(warm_start=True, learning_rate_init=1e-30)
    mine = np.ones_like(model.model_.flat)
    model.model_.set_flat(mine)
    model.fit(*LEARNT["classifier"][1])
    assert model._progress.last.tobytes() == mine.tobytes()


def test_a_plateau_is_of_its_data():
    """What was the best loss of others does not count, nor for an end without improvement."""
    options = {"learning_rate": "plateau", "n_iter_no_change": 3, "warm_start": True}
    model, (X, y) = made("regressor", **(OPTIONS | options | {"scale_target": False}))
    model.fit(X, np.zeros(len(X)))
    model.fit(X, 1e3 + np.array(y))
    assert model.n_iter_ == 2 * EPOCHS
    assert model._progress.plateau[1] == min(model.loss_curve_[EPOCHS:])


def test_training_that_diverged_is_not_gone_on_with(tmp_path):
    """Its file is as good as any: with the best weights and fresh moments."""

    def rise(info):
        if info.event == "epoch" and info.epoch == 2:
            info.estimator.model_.set_flat(np.full_like(info.estimator.model_.flat, np.nan))

    model, data = made("classifier", **OPTIONS, early_stopping=True, callbacks=rise, learning_rate="plateau")
    with pytest.warns(UserWarning, match="training diverged in epoch 4"):
        model.fit(*data)
    found = through_file(model, tmp_path / "model").set_params(warm_start=True)
    model.set_params(callbacks=(), warm_start=True)
    assert model._optimizer._steps(model.model_) == found._optimizer._steps(found.model_) == 0
    assert outcome(found.fit(*data)) == outcome(model.fit(*data))
    assert model.n_iter_ == 3 + EPOCHS


def test_squares_beyond_floats(tmp_path):
    """Of large gradients that nobody clips: training goes on, and so does its file."""
    options = {"clip_norm": None, "scale_target": False, "learning_rate_init": 1e-3}
    X, y = LEARNT["regressor"][1]
    data = X, np.array(y) * 1e21
    stop = Stop("epoch", 2)
    model, _ = made("regressor", **(OPTIONS | options), callbacks=stop)
    with np.errstate(all="ignore"):
        again = through_file(model.fit(*data), tmp_path / "model").set_params(warm_start=True).fit(*data)
        expected, _ = made("regressor", **(OPTIONS | options))
        assert outcome(again) == outcome(expected.fit(*data))
    assert np.isinf(again._optimizer._remembered(again.model_)[1][1]).any()


def test_streams_are_without_it():
    model = whole("classifier", hidden_size=64, bidirectional=False)
    assert len(pickle.dumps(model.stream())) < 1.5 * model.model_.flat.nbytes
    stream = pickle.loads(pickle.dumps(model.stream()))
    assert stream(np.ones(2)).tobytes() == model.stream()(np.ones(2)).tobytes()


@pytest.mark.parametrize("name", LEARNT)
def test_files_and_pickles_of_before(tmp_path, name):
    """They had nothing of it, and train with fresh moments."""
    model = whole(name)
    path = tmp_path / "model"
    model.save(path)
    text, tensors = parts(path.read_bytes())
    del text["training"]
    text["parameters"].pop("scoring", None)
    kept = {key: one for key, one in tensors.items() if not key.startswith("training.")}
    path.write_bytes(joined(text, kept))
    state = model.__getstate__()
    del state["_optimizer"]
    progress = state["_progress"]
    old = type(progress).__new__(type(progress))
    names = ("loss_curve", "validation_scores", "best_score", "stop_reason")
    vars(old).update({key: getattr(progress, key) for key in names})
    pickled = type(model)()
    pickled.__setstate__(state | {"_progress": old})
    assert gru_rs.estimators._training.Progress is type(progress)
    for found in (gru_rs.load(path), pickled):
        assert found._optimizer._remembered(found.model_) is None
        found.set_params(warm_start=True).fit(*LEARNT[name][1])
        assert found.n_iter_ == 2 * EPOCHS


LOSSES = {
    "loss": ({"loss": "squared"}, {"loss": "quantile", "quantile": 0.9}),
    "level": ({"loss": "quantile", "quantile": 0.1}, {"loss": "quantile", "quantile": 0.9}),
    "delta": ({"loss": "huber"}, {"loss": "huber", "huber_delta": 0.1}),
    "own": ({"loss": lambda x, y: ((x - y).sum(), np.ones_like(x))}, {"loss": lambda x, y: (1.0, x - y)}),
    "scoring": ({"scoring": make_scorer(max_error)}, {"scoring": make_scorer(mean_squared_error)}),
}


@pytest.mark.parametrize("options", LOSSES.values(), ids=LOSSES)
def test_losses_of_another_kind_are_another_run(options):
    """Those of one kind are neither better nor worse than those of the other."""
    before, after = options
    model, data = made("regressor", **OPTIONS, early_stopping=True, n_iter_no_change=2, **before)
    model.fit(*data).set_params(warm_start=True, **after)
    flat = model.model_.flat.copy()
    count = model.n_iter_
    model.fit(*data)
    assert model.n_iter_ > count
    assert model.best_validation_score_ == max(model.validation_scores_[count:])
    assert not np.array_equal(model.model_.flat, flat)


def test_functions_are_told_by_what_they_do():
    def scaled(factor):
        return lambda x: x * factor

    assert identity(scaled(1)) == identity(scaled(1))
    assert identity(lambda x: x + 1) != identity(lambda x: x + 2)
    assert identity(partial(max, 1)) == identity(partial(max, 1)) != identity(partial(max, 2))
    assert identity(make_scorer(max_error)) == identity(make_scorer(max_error))
    assert "0x" not in str(identity(object()))


WRONG = {
    "label_smoothing": ("classifier", {"label_smoothing": 1.5}),
    "class_weight": ("classifier", {"class_weight": "foo"}),
    "frozen": ("regressor", {"frozen": ("nope",)}),
    "rate": ("regressor", {"learning_rate_init": -1.0}),
    "own loss": ("regressor", {"loss": lambda *_: None}),
    "language": ("language model", {"frozen": ("nope",)}),
}


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_what_goes_wrong_before_the_first_step_changes_nothing(case, warm_start):
    name, options = case
    model, data = made(name, **OPTIONS, early_stopping=True)
    fresh, _ = made(name, **(OPTIONS | options))
    with pytest.raises((ValueError, TypeError)):
        fresh.fit(*data)
    assert not hasattr(fresh, "model_")
    model.fit(*data)
    before, others = outcome(model), [one[::-1] for one in data]
    model.set_params(warm_start=warm_start, **options)
    for arguments in (data, others):
        with pytest.raises((ValueError, TypeError)):
            model.fit(*arguments)
        assert outcome(model) == before


def test_a_run_takes_the_weight_decay_that_is_asked_for():
    flats = []
    for decay in (0.0, 0.9):
        model, data = made("regressor", **OPTIONS, weight_decay=0.1)
        model.fit(*data).set_params(warm_start=True, weight_decay=decay).fit(*data)
        assert model._optimizer._steps(model.model_) > EPOCHS
        flats.append(model.model_.flat.copy())
    assert np.linalg.norm(flats[1]) < np.linalg.norm(flats[0])


def test_an_error_of_a_callback_is_no_divergence():
    def fail(info):
        if info.epoch == 2:
            raise FloatingPointError("mine")

    model, data = made("regressor", **OPTIONS, early_stopping=True, callbacks=fail)
    with pytest.raises(FloatingPointError, match="mine"):
        model.fit(*data)


def test_a_truth_of_numpy_ends_training():
    model, data = made("regressor", **OPTIONS, callbacks=lambda info: np.bool_(info.epoch == 1))
    assert model.fit(*data).n_iter_ == 2


def test_rare_tokens_of_rows_that_are_held_out():
    texts = ["a a b b", "a b", "b a", "a"] * 4 + [f"rare{number}" for number in range(8)]
    for seed in range(30):
        gru_rs.SequenceClassifier(
            hidden_size=2, max_iter=1, early_stopping=True, random_state=seed, token_dropout=0.9, batch_size=2
        ).fit(texts, [0, 1] * 12)

"""Callbacks that come with the package: files of estimators, tables and curves, in the first fit and of runs
that go on.
"""

import copy
import csv
import gc
import pickle
import sys

import gru_rs
import numpy as np
import pytest
from gru_rs import Checkpoint, CSVLog, Forecaster, TensorBoardLog
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from test_resume import EPOCHS, OPTIONS, Stop, made, outcome, whole
from test_training import LEARNT

COLUMNS = ["epoch", "loss", "validation_score", "learning_rate", "gradient_norm", "seconds"]


@pytest.mark.parametrize("name", LEARNT)
def test_training_goes_on_from_each_checkpoint(tmp_path, name):
    options = {"early_stopping": True, "learning_rate": "cosine", "output_dropout": 0.2}
    keep = Checkpoint(tmp_path / "{epoch:02d}.safetensors", every=2)
    expected = whole(name, **options, callbacks=keep)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["02.safetensors", "04.safetensors", "06.safetensors"]
    for path in tmp_path.iterdir():
        found = gru_rs.load(path)
        assert found.n_iter_ == int(path.stem)
        assert found.stop_reason_ is None
        found.set_params(warm_start=True).fit(*LEARNT[name][1])
        assert outcome(found) == outcome(expected)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_best_is_kept(tmp_path, early_stopping):
    seen = []

    def look(info):
        if info.event == "epoch":
            seen.append((info.best, info.estimator.model_.flat.tobytes()))

    path = tmp_path / "best"
    options = {"early_stopping": early_stopping, "learning_rate_init": 0.3, "n_iter_no_change": 99}
    stop = Stop("epoch", 5)
    callbacks = [Checkpoint(path, best=True, training=False), look, stop]
    model, data = made("classifier", **(OPTIONS | options | {"max_iter": 12, "callbacks": callbacks}))
    model.fit(*data)
    # Of a run that goes on the best before counts.
    model.set_params(warm_start=True, callbacks=[Checkpoint(path, best=True), look]).fit(*data)
    figures = model.validation_scores_ if early_stopping else [-loss for loss in model.loss_curve_]
    leads = [figure > max(figures[:at], default=-np.inf) for at, figure in enumerate(figures)]
    assert [best for best, _ in seen] == leads
    assert False in leads
    best = int(np.argmax(figures))
    found = gru_rs.load(path)
    assert found.n_iter_ == best + 1
    assert found.model_.flat.tobytes() == seen[best][1]
    if early_stopping:
        assert found.model_.flat.tobytes() == model.model_.flat.tobytes()


def test_checkpoints_are_small_on_request(tmp_path):
    for training in (True, False):
        whole("regressor", callbacks=Checkpoint(tmp_path / str(training), training=training), hidden_size=64)
    assert (tmp_path / "True").stat().st_size > 2.5 * (tmp_path / "False").stat().st_size


@pytest.mark.parametrize(
    ("path", "options", "kind", "message"),
    [
        ("{step}", {}, ValueError, "path: expected the name of a file, with no braces but of {epoch}, got"),
        ("{", {}, ValueError, "path: expected the name of a file"),
        ("{0}", {}, ValueError, "path: expected the name of a file"),
        ("{epoch:x.3q}", {}, ValueError, "path: expected the name of a file"),
        ("", {}, ValueError, "path: expected the name of a file"),
        ("no/model", {}, FileNotFoundError, "path: expected a folder that is there, got 'no/model'"),
        ("model", {"every": 0}, ValueError, "every: expected a positive integer"),
        ("model", {"every": 2, "best": True}, ValueError, "every: expected 1 beside best=True"),
        ("model", {"best": 1}, TypeError, "best: expected a bool"),
        ("model", {"training": None}, TypeError, "training: expected a bool"),
    ],
)
def test_checkpoints_refused(path, options, kind, message):
    with pytest.raises(kind, match=message):
        Checkpoint(path, **options)


def table(path):
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == COLUMNS
    return [[float(value) if value else None for value in row] for row in rows]


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_table_of_epochs(tmp_path, early_stopping):
    seen, path = [], tmp_path / "log.csv"
    model = whole("tagger", early_stopping=early_stopping, callbacks=[CSVLog(path), seen.append])
    rows = table(path)
    infos = [info for info in seen if info.event == "epoch"]
    assert [row[0] for row in rows] == list(range(1, EPOCHS + 1))
    assert [row[1] for row in rows] == model.loss_curve_
    assert [row[2] for row in rows] == (model.validation_scores_ or [None] * EPOCHS)
    assert [row[3:] for row in rows] == [
        [info.learning_rate, info.gradient_norm, info.seconds] for info in infos
    ]


def test_a_table_goes_on_with_its_run(tmp_path):
    """Also from a file of before its end: what was logged beyond that is taken out, with half a row."""
    path, log = tmp_path / "model", tmp_path / "log.csv"
    keep = Checkpoint(path, every=2)
    callbacks = [keep, CSVLog(log), Stop("batch", 3, 2)]
    expected, data = made("regressor", **OPTIONS, callbacks=callbacks)
    expected.fit(*data)
    assert [row[0] for row in table(log)] == [1, 2, 3]
    log.write_text(log.read_text() + "4,0.1")
    again = gru_rs.load(path).set_params(warm_start=True, callbacks=pickle.loads(pickle.dumps(CSVLog(log))))
    again.fit(*data)
    rows = table(log)
    assert [row[0] for row in rows] == list(range(1, EPOCHS + 1))
    assert [row[1] for row in rows] == again.loss_curve_
    again.fit(*data)
    assert [row[0] for row in table(log)] == list(range(1, 2 * EPOCHS + 1))
    again.set_params(warm_start=False).fit(*data)
    assert [row[1] for row in table(log)] == again.loss_curve_
    for _ in range(3):
        again.partial_fit(*data)
    assert len(table(log)) == EPOCHS + 3


def test_another_file_is_not_written_over(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("a,b\n1,2\n")
    model, data = made("regressor", **OPTIONS, callbacks=CSVLog(path))
    with pytest.raises(
        ValueError, match=r"path: expected a log with the columns epoch, .*, got \['a', 'b'\]"
    ):
        model.fit(*data)
    assert path.read_text() == "a,b\n1,2\n"
    with pytest.raises(FileNotFoundError, match="path: expected a folder that is there"):
        CSVLog(tmp_path / "no" / "log.csv")


def test_what_tensorboard_needs(monkeypatch, tmp_path):
    for name in ("tensorboard", "tensorboard.summary", "tensorboardX"):
        monkeypatch.setitem(sys.modules, name, None)
    message = "TensorBoardLog needs tensorboard or tensorboardX: pip install tensorboard"
    with pytest.raises(ImportError, match=message):
        TensorBoardLog(tmp_path)


@pytest.mark.parametrize("package", ["tensorboard", "tensorboardX"])
def test_curves_of_tensorboard(monkeypatch, tmp_path, package):
    """What a reader of TensorBoard's own finds."""
    if package == "tensorboardX":
        monkeypatch.setitem(sys.modules, "tensorboard.summary", None)
    folder = tmp_path / "runs" / "first"
    log = TensorBoardLog(folder)
    options = {"early_stopping": True, "window": 8} | OPTIONS
    model = Forecaster(**options, random_state=0, callbacks=[log, Stop("epoch", 2)])
    (series,) = LEARNT["forecaster"][1]
    model.fit(series)
    model.set_params(callbacks=copy.deepcopy(log), warm_start=True).fit(series)
    losses = model.loss_curve_
    del log, model
    gc.collect()
    found = EventAccumulator(str(folder)).Reload()
    tags = found.Tags()
    name = "tensors" if "loss" in tags["tensors"] else "scalars"
    assert set(tags[name]) == {"loss", "validation_score", "learning_rate", "gradient_norm"}
    events = found.Tensors("loss") if name == "tensors" else found.Scalars("loss")
    assert [event.step for event in events] == list(range(1, EPOCHS + 1))
    values = [event.tensor_proto.float_val[0] if name == "tensors" else event.value for event in events]
    np.testing.assert_allclose(values, losses, rtol=1e-6)

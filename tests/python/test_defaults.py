"""What parameters come to that are left open: by the kind of sequences and by how many there are, in each fit
anew, also on a run that goes on; files keep them open.
"""

import itertools
from dataclasses import fields
from pathlib import Path

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
from gru_rs.estimators._defaults import batch_size_for, max_iter_for, run_of
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

OPEN = ("input_dropout", "output_dropout", "learning_rate", "batch_size", "max_iter")
TINY = {"hidden_size": 3, "random_state": 1}
WORDS = [["a", "b"], ["b", "c", "a"], ["c"], ["a", "a", "c"]]
NUMBERS = [np.random.default_rng(row).normal(size=(2 + row % 3, 2)) for row in range(8)]

# A class, and what it takes as numbers and as tokens; None if it does not.
KINDS = [
    (SequenceClassifier, (NUMBERS, [0, 1] * 4), (WORDS, [0, 1] * 2)),
    (SequenceRegressor, (NUMBERS, np.arange(8.0)), (WORDS, np.arange(4.0))),
    (SequenceTagger, (NUMBERS, [[0] * len(x) for x in NUMBERS]), (WORDS, WORDS)),
    (Transcriber, (NUMBERS, ["a"] * 8), (WORDS, ["a"] * 4)),
    (Seq2Seq, (NUMBERS, ["a", "b"] * 4), (WORDS, WORDS)),
]
FITS = [
    pytest.param(kind, tokens, data, id=f"{kind.__name__}-{'tokens' if tokens else 'numbers'}")
    for kind, *both in KINDS
    for tokens, data in enumerate(both)
]


def batches_of(estimator, *data, fit="fit"):
    """Batches of each epoch, and the rate of each."""
    found, rates = {}, []

    def note(info):
        if info.event == "batch":
            found[info.epoch] = info.batch + 1
            rates.append(info.learning_rate)

    getattr(clone(estimator).set_params(callbacks=note), fit)(*data)
    return list(found.values()), rates


@given(st.integers(1, 10**7))
def test_rules(rows):
    assert batch_size_for(rows) == (8 if rows < 300 else 16 if rows < 3000 else 32)
    assert 8 <= max_iter_for(rows) <= 150
    assert max_iter_for(rows + 1) <= max_iter_for(rows)
    assert batch_size_for(rows + 1) >= batch_size_for(rows)
    if 8 < max_iter_for(rows) < 150:
        assert abs(max_iter_for(rows) * rows - 50_000) <= rows / 2


@given(
    st.integers(1, 5000),
    st.booleans(),
    st.none() | st.integers(1, 99),
    st.none() | st.integers(1, 99),
    st.none() | st.sampled_from(["constant", "cosine", "plateau"]),
)
def test_what_is_set_counts(rows, whole, max_iter, batch_size, learning_rate):
    estimator = SequenceClassifier(max_iter=max_iter, batch_size=batch_size, learning_rate=learning_rate)
    run = run_of(estimator, rows, whole=whole)
    assert run.max_iter == (1 if not whole else max_iter or max_iter_for(rows))
    assert run.batch_size == (batch_size or (batch_size_for(rows) if whole else 32))
    assert run.learning_rate == (learning_rate or ("cosine" if whole else "constant"))


@pytest.mark.parametrize(("kind", "tokens", "data"), FITS)
def test_dropout_follows_from_the_kind_of_sequences(kind, tokens, data, tmp_path):
    fitted = kind(max_iter=1, **TINY).fit(*data)
    own = {field.name: field.default for field in fields(kind)}
    for name, shares in (("input_dropout", (0.0, 0.3)), ("output_dropout", (0.3, 0.5))):
        assert getattr(fitted, name) == own[name]  # the parameter stays what it was
        assert fitted.model_._options[name] == (shares[tokens] if own[name] is None else own[name])
    assert fitted.model_.bidirectional
    fitted.save(tmp_path / "model.safetensors")
    loaded = gru_rs.load(tmp_path / "model.safetensors")
    assert loaded.get_params() == fitted.get_params()
    loaded.partial_fit(*data)
    np.testing.assert_array_equal(loaded.model_.flat, fitted.partial_fit(*data).model_.flat)
    with pytest.raises(ValueError, match=r"output_dropout: expected .* as in the fit before, got 0.25"):
        loaded.set_params(output_dropout=0.25, warm_start=True).fit(*data)


@pytest.mark.parametrize(("kind", "_tokens", "data"), FITS)
def test_left_open_is_as_if_it_were_written(kind, _tokens, data):
    callback = lambda info: info.epoch == 3  # noqa: E731
    left = kind(callbacks=callback, **TINY).fit(*data)
    written = {"batch_size": 8, "max_iter": 150, "learning_rate": "cosine"}
    written |= {name: left.model_._options[name] for name in OPEN[:2]}
    same = kind(**written, callbacks=callback, **TINY).fit(*data)
    np.testing.assert_array_equal(left.model_.flat, same.model_.flat)
    # And a run goes on as one that is written out.
    goes_on = left.set_params(warm_start=True, callbacks=lambda info: info.epoch == 5)
    with_names = same.set_params(warm_start=True, callbacks=goes_on.callbacks)
    np.testing.assert_array_equal(goes_on.fit(*data).model_.flat, with_names.fit(*data).model_.flat)
    assert left.n_iter_ == same.n_iter_


@pytest.mark.parametrize(("rows", "size", "epochs"), [(40, 8, 150), (400, 16, 125), (3000, 32, 17)])
def test_rows_say_batches_and_epochs(rows, size, epochs):
    X, y = [[row % 3, 1.0 * row] for row in range(rows)], np.arange(rows) % 2
    found, rates = batches_of(SequenceClassifier(hidden_size=1), X, y)
    assert found == [-(-rows // size)] * epochs
    assert len(rates) == sum(found)
    top = int(np.argmax(rates))
    assert top == pytest.approx(0.1 * len(rates), abs=2)  # the warm-up
    assert rates == sorted(rates[:top]) + sorted(rates[top:], reverse=True)
    assert rates[-1] < 1e-3 * rates[top]


def test_partial_fit_takes_a_constant_rate_and_batches_of_32():
    X, y = [[row % 3, 1.0 * row] for row in range(70)], np.arange(70) % 2
    found, rates = batches_of(SequenceClassifier(hidden_size=1), X, y, fit="partial_fit")
    assert found == [3]
    assert set(rates) == {3e-3}


def test_a_run_of_other_data_is_as_long_as_they_say():
    X, y = [[row % 3, 1.0 * row] for row in range(400)], np.arange(400) % 2
    estimator = SequenceClassifier(hidden_size=1, warm_start=True, random_state=0)
    assert estimator.fit(X[:40], y[:40]).n_iter_ == 150
    assert estimator.fit(X, y).n_iter_ == 150 + 125
    assert estimator.max_iter is None


def test_a_run_goes_on_from_a_file_with_what_was_left_open(tmp_path):
    X, y = NUMBERS, [0, 1] * 4
    whole = SequenceClassifier(**TINY).fit(X, y)
    path = tmp_path / "stopped.safetensors"
    SequenceClassifier(callbacks=lambda info: info.epoch == 60, **TINY).fit(X, y).save(path)
    again = gru_rs.load(path).set_params(warm_start=True).fit(X, y)
    np.testing.assert_array_equal(again.model_.flat, whole.model_.flat)
    assert again.loss_curve_ == whole.loss_curve_
    assert again.n_iter_ == 150


def test_verbose_says_what_was_chosen(capsys):
    SequenceClassifier(verbose=True, callbacks=lambda _: True, **TINY).fit(WORDS, [0, 1] * 2)
    first = capsys.readouterr().out.splitlines()[0]
    expected = "max_iter=150, batch_size=8, learning_rate='cosine', input_dropout=0.3, output_dropout=0.5"
    assert first == f"for 4 sequences: {expected}"
    SequenceRegressor(verbose=True, batch_size=2, max_iter=1, **TINY).fit(NUMBERS, np.arange(8.0))
    first = capsys.readouterr().out.splitlines()[0]
    assert first == "for 8 sequences: learning_rate='cosine', input_dropout=0.0, output_dropout=0.3"
    written = dict(zip(OPEN, (0.0, 0.0, "constant", 2, 1), strict=True))
    SequenceClassifier(verbose=True, **written, **TINY).fit(NUMBERS, [0, 1] * 4)
    assert capsys.readouterr().out.startswith("epoch 1: ")


@pytest.mark.parametrize("kind", [kind for kind, *_ in KINDS] + [Forecaster, LanguageModel])
def test_documentation_says_the_defaults(kind):
    text = " ".join(kind.__doc__.split())
    for field in fields(kind):
        if field.name in (*OPEN, "bidirectional", "learning_rate_init", "weight_decay", "warmup_fraction"):
            _, found = text.split(f" {field.name} : ", 1)
            said = "optional" if field.default is None else "default "
            assert f"{said}{'' if field.default is None else field.default}" in found[:80].replace('"', ""), (
                field.name
            )
            following = found.split(" : ", 1)[0]
            assert ("None: " in following) == (field.default is None), field.name
    assert "{" not in text.replace("{0", "").split("Examples")[0].replace('{"', "")


@pytest.mark.parametrize(
    ("kind", "name"), [*itertools.product([Forecaster, LanguageModel], ["batch_size", "max_iter"])]
)
def test_what_has_a_default_of_its_own_is_not_left_open(kind, name):
    with pytest.raises((ValueError, TypeError), match=f"{name}: expected"):
        kind(**{name: None}).fit(["abc"] if kind is LanguageModel else np.arange(200.0))


@pytest.mark.parametrize(("kind", "_tokens", "data"), FITS)
def test_streams_name_what_to_set(kind, _tokens, data):
    if not hasattr(kind, "stream"):
        return
    with pytest.raises(
        ValueError, match=rf"bidirectional: expected False .*{kind.__name__}\(bidirectional=False\)"
    ):
        kind(max_iter=1, **TINY).fit(*data).stream()
    options = {"crf": False} if kind is SequenceTagger else {}
    kind(max_iter=1, bidirectional=False, **TINY, **options).fit(*data).stream()


def test_each_step_by_default():
    """Numbers of steps, with all that is left open."""
    y = [x.cumsum(axis=0) for x in NUMBERS]
    regressor = SequenceRegressor(pooling="each", random_state=1).fit(NUMBERS, y)
    assert [found.shape for found in regressor.predict(NUMBERS)] == [one.shape for one in y]
    assert regressor.n_iter_ == 150
    assert regressor.score(NUMBERS, y) > 0.9


def test_files_of_before_keep_what_they_were_saved_with():
    path = Path(__file__).parents[1] / "files" / "turns.safetensors"
    loaded = gru_rs.load(path)
    before = {"bidirectional": False, "pooling": "last", "learning_rate": "constant", "warmup_fraction": 0.0}
    before |= {
        "weight_decay": 0.0,
        "input_dropout": 0.0,
        "output_dropout": 0.0,
        "batch_size": 32,
        "max_iter": 20,
    }
    assert {name: loaded.get_params()[name] for name in before} == before
    X = [np.linspace([0, 1], [end, 1], 4) for end in [-1, 1] * 20]
    found, rates = batches_of(loaded, X, ["left", "right"] * 20)
    assert found == [2] * 20
    assert set(rates) == {0.05}
    epochs = loaded.n_iter_
    assert loaded.set_params(warm_start=True).fit(X, ["left", "right"] * 20).n_iter_ > epochs
    loaded.stream()


@pytest.mark.parametrize("name", ["input_dropout", "output_dropout"])
@pytest.mark.parametrize(
    ("make", "data"),
    [
        (LanguageModel, (["a text", "another"] * 4,)),
        (Forecaster, (np.arange(60.0),)),
    ],
)
def test_what_is_not_left_open_is_a_number(make, data, name):
    with pytest.raises(TypeError, match=f"{name}: expected a"):
        make(**{name: None}, max_iter=1).fit(*data)

"""What training is validated on, and by what it is scored: data of its own, groups, scikit-learn's scores."""

import gru_rs
import numpy as np
import pandas as pd
import pytest
from gru_rs import Forecaster, LanguageModel, SequenceClassifier, SequenceTagger
from sklearn import config_context
from sklearn.metrics import accuracy_score, f1_score, make_scorer
from sklearn.model_selection import GridSearchCV, GroupKFold
from test_training import LEARNT, ROWS, SERIES, TEXTS, made

OPTIONS = {"max_iter": 4, "learning_rate_init": 0.02, "learning_rate": "constant", "batch_size": 6}
SUPERVISED = ["classifier", "regressor", "tagger", "transcriber", "seq2seq"]


def others(name):
    """Data that are not learnt from."""
    if name == "forecaster":
        return (np.cos(np.arange(40) / 5),)
    if name == "language model":
        return ["a bad, bad day", "fine"]
    X, y = LEARNT[name][1]
    return X[:5], y[:5]


@pytest.mark.parametrize("name", LEARNT)
def test_each_epoch_is_scored(name, capsys):
    """Nothing else becomes of it, without early stopping; with it nothing is held out."""
    alone, data = made(name, **OPTIONS)
    alone.fit(*data)
    model, _ = made(name, **OPTIONS, verbose=True)
    model.fit(*data, validation_data=others(name))
    assert model.loss_curve_ == alone.loss_curve_
    assert model.model_.flat.tobytes() == alone.model_.flat.tobytes()
    assert len(model.validation_scores_) == OPTIONS["max_iter"]
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert "validation score" in capsys.readouterr().out
    early, _ = made(name, **OPTIONS, early_stopping=True)
    early.fit(*data, validation_data=others(name))
    assert early.loss_curve_ == alone.loss_curve_
    assert early.validation_scores_ == model.validation_scores_
    best = int(np.argmax(early.validation_scores_)) + 1
    up_to, _ = made(name, **(OPTIONS | {"max_iter": best}))
    assert early.model_.flat.tobytes() == up_to.fit(*data).model_.flat.tobytes()


@pytest.mark.parametrize("name", SUPERVISED)
def test_the_score_is_the_estimators_own(name):
    model, data = made(name, **OPTIONS)
    X, y = others(name)
    model.fit(*data, validation_data=(X, y))
    if name != "regressor":  # whose score is R², and its loss what it is validated by
        np.testing.assert_allclose(model.validation_scores_[-1], model.score(X, y), rtol=1e-6)
    weights = np.arange(5.0)
    weighted, _ = made(name, **OPTIONS)
    weighted.fit(*data, validation_data={"y": y, "X": X, "sample_weight": weights})
    kept = [row for row, count in enumerate(weights) for _ in range(int(count))]
    repeated, _ = made(name, **OPTIONS)
    repeated.fit(*data, validation_data=([X[row] for row in kept], [y[row] for row in kept]))
    np.testing.assert_allclose(weighted.validation_scores_, repeated.validation_scores_, rtol=1e-6)


def test_the_score_of_texts_and_series():
    model = LanguageModel(hidden_size=4, max_iter=2, random_state=0)
    model.fit(TEXTS, validation_data="a day")
    np.testing.assert_allclose(model.validation_scores_[-1], model.score("a day"), rtol=1e-6)
    columns = np.arange(120.0)[:, None] % 7
    forecaster = Forecaster(window=8, horizon=2, hidden_size=4, max_iter=2, random_state=0)
    forecaster.fit(SERIES[:80], columns[:80], validation_data=(SERIES[71:], columns[71:]))
    forecasts = forecaster.backtest(SERIES[71:], columns[71:], start=9)
    lost = ((forecasts.forecasts - forecasts.actual) / forecaster.target_scale_) ** 2
    np.testing.assert_allclose(forecaster.validation_scores_[-1], -lost.mean(), rtol=1e-4)


def test_lengths_and_names_of_other_data():
    padded = np.full((18, 7, 2), np.nan)
    for to, row in zip(padded, ROWS, strict=True):
        to[: len(row)] = row
    lengths, y = [len(row) for row in ROWS], np.arange(18) % 2
    options = {"hidden_size": 4, "max_iter": 2, "random_state": 0}
    one = SequenceClassifier(**options).fit(ROWS, y, validation_data=(ROWS[:5], y[:5]))
    for given in (
        (padded[:5], y[:5], None, lengths[:5]),
        {"X": padded[:5], "y": y[:5], "lengths": lengths[:5]},
    ):
        other = SequenceClassifier(**options).fit(padded, y, lengths=lengths, validation_data=given)
        assert other.validation_scores_ == one.validation_scores_
    table = pd.DataFrame(np.arange(24.0).reshape(8, 3), columns=list("abc"))
    model = SequenceClassifier(**options).fit(np.eye(4), [0, 1] * 2)
    # The names are those of this fit, not of the one before.
    model.fit(table, [0, 1] * 4, validation_data=(table[:2], [0, 1]))
    with pytest.raises(ValueError, match="validation_data: The feature names should match"):
        model.fit(table, [0, 1] * 4, validation_data=(table[["c", "b", "a"]], [0, 1] * 4))


@pytest.mark.parametrize(
    ("name", "given", "kind", "message"),
    [
        ("classifier", 5, TypeError, "validation_data: expected a tuple of 2 to 4 of X, y, sample_weight, l"),
        (
            "classifier",
            (ROWS,),
            ValueError,
            "validation_data: expected a tuple of 2 to 4 of .*, got 1 values",
        ),
        ("classifier", {"X": ROWS}, ValueError, "validation_data: expected .*, got a dict of X"),
        ("classifier", {"X": ROWS, "y": 1, "z": 2}, ValueError, "got a dict of X, y, z"),
        ("classifier", (ROWS, [7] * 18), ValueError, "validation_data: y: expected classes"),
        ("classifier", (ROWS, [0]), ValueError, "validation_data: y: expected 18 values"),
        ("classifier", ([[[1.0]]], [0]), ValueError, "validation_data: X: expected 2 features a step"),
        ("classifier", ([], []), ValueError, "validation_data: X: expected at least one sequence, got none"),
        ("classifier", (ROWS, [0] * 18, [-1] * 18), ValueError, "validation_data: Negative values"),
        ("classifier", (ROWS, [0] * 18, None, [1]), ValueError, "validation_data: lengths: expected"),
        ("language model", 5, TypeError, "validation_data: X: expected a list"),
        ("language model", [], ValueError, "validation_data: X: expected at least one text"),
        (
            "forecaster",
            SERIES,
            TypeError,
            "validation_data: expected a tuple of 1 to 3 of y, exog, observed, or a dict",
        ),
        ("forecaster", (SERIES[:5],), ValueError, "validation_data: y: expected at least 40 values"),
        ("forecaster", (SERIES, SERIES), ValueError, "validation_data: exog: expected 0 columns"),
    ],
)
def test_other_data_refused(name, given, kind, message):
    model, data = made(name, **OPTIONS)
    model.fit(*data)
    before = model.model_.flat.tobytes()
    with pytest.raises(kind, match=message):
        model.fit(*data, validation_data=given)
    assert model.model_.flat.tobytes() == before


# Groups -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SUPERVISED, "language model"])
def test_groups_are_held_out_whole(name, monkeypatch):
    model, data = made(name, **OPTIONS, early_stopping=True, validation_fraction=0.3)
    groups = np.array(list("aabbccddee" * 2))[: len(data[0])]
    seen = []
    module = "_corpus" if name == "language model" else "_supervised"
    target = getattr(gru_rs.estimators, module)
    split = target.split_groups
    monkeypatch.setattr(target, "split_groups", lambda *given: seen.append(split(*given)) or seen[-1])
    for form in (groups, groups.tolist(), pd.Series(groups)):
        model.fit(*data, groups=form)
        train, held = seen[-1]
        assert sorted([*train, *held]) == list(range(len(groups)))
        assert set(groups[train]).isdisjoint(groups[held])
        assert len(set(groups[held])) == 2
        assert all(one.tolist() == other.tolist() for one, other in zip(seen[-1], seen[0], strict=True))


@pytest.mark.parametrize(
    ("groups", "options", "message"),
    [
        (["a"] * 18, {}, "groups: expected at least 2 groups, of which one is held out, got 1"),
        (["a", "b"], {}, "groups: expected 18 values"),
        (np.ones((18, 2)), {}, r"groups: expected a group for each row, shape \(n,\)"),
        (["a", "b"] * 9, {"early_stopping": False}, "groups: expected None unless early_stopping holds rows"),
    ],
)
def test_groups_refused(groups, options, message):
    model, data = made("classifier", **(OPTIONS | {"early_stopping": True} | options))
    with pytest.raises(ValueError, match=message):
        model.fit(*data, groups=groups)
    assert not hasattr(model, "model_")
    if options == {}:
        with pytest.raises(ValueError, match="groups: expected None unless"):
            model.fit(*data, groups=["a", "b"] * 9, validation_data=others("classifier"))


def test_groups_are_routed():
    model, (X, y) = made("classifier", **(OPTIONS | {"max_iter": 1}), early_stopping=True)
    groups = np.arange(18) % 6
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(groups=True)
        search = GridSearchCV(model, {"hidden_size": [3, 4]}, cv=GroupKFold(3), error_score="raise")
        search.fit(X, y, groups=groups)
    assert search.best_estimator_.validation_scores_ is not None


# Scores -----------------------------------------------------------------------------------------------------

LABELS = [["B-X", "I-X", "O", "B-X", "O", "O"][: len(row)] for row in ROWS]


def flat(rows):
    return np.concatenate([np.asarray(row) for row in rows])


@pytest.mark.parametrize(
    ("name", "scoring", "expected"),
    [
        ("classifier", "f1_macro", lambda y, p: f1_score(y, p, average="macro")),
        ("classifier", "accuracy", accuracy_score),
        ("regressor", "neg_mean_absolute_error", lambda y, p: -np.abs(np.subtract(y, p)).mean()),
        ("tagger", "accuracy", lambda y, p: accuracy_score(flat(y), flat(p))),
        ("tagger", "f1_macro", lambda y, p: f1_score(flat(y), flat(p), average="macro")),
        ("transcriber", "accuracy", lambda y, p: np.mean([a == b for a, b in zip(y, p, strict=True)])),
        ("seq2seq", "accuracy", lambda y, p: np.mean([a == b for a, b in zip(y, p, strict=True)])),
    ],
)
def test_scores_of_scikit_learn(name, scoring, expected):
    model, data = made(name, **OPTIONS, scoring=scoring)
    X, y = others(name)
    model.fit(*data, validation_data=(X, y))
    np.testing.assert_allclose(model.validation_scores_[-1], expected(y, model.predict(X)), rtol=1e-6)

    def by_hand(estimator, X, truth):
        assert estimator is model
        return expected(truth, estimator.predict(X))

    again = model.validation_scores_
    model.set_params(scoring=by_hand).fit(*data, validation_data=(X, y))
    np.testing.assert_allclose(model.validation_scores_, again, rtol=1e-6)


def test_scores_of_probabilities_and_weights():
    X, y = others("classifier")
    weights = np.arange(1.0, 6)
    model, data = made("classifier", **OPTIONS, scoring="neg_log_loss")
    model.fit(*data, validation_data=(X, y, weights))
    found = -np.log(model.predict_proba(X)[np.arange(5), y])
    np.testing.assert_allclose(model.validation_scores_[-1], -np.average(found, weights=weights), rtol=1e-5)
    weighed = make_scorer(accuracy_score)
    model.set_params(scoring=weighed).fit(*data, validation_data=(X, y, weights))
    assert model.validation_scores_[-1] == model.score(X, y, sample_weight=weights)
    tagger, data = made("tagger", **OPTIONS, scoring="accuracy")
    X, y = others("tagger")
    tagger.fit(*data, validation_data=(X, y, weights))
    lengths = [len(row) for row in X]
    expected = accuracy_score(flat(y), flat(tagger.predict(X)), sample_weight=np.repeat(weights, lengths))
    np.testing.assert_allclose(tagger.validation_scores_[-1], expected)
    tagger.set_params(scoring="neg_log_loss").fit(*data, validation_data=(X, y))
    probabilities = flat(tagger.predict_proba(X))
    found = np.log(probabilities[np.arange(len(probabilities)), flat(y)]).mean()
    np.testing.assert_allclose(tagger.validation_scores_[-1], found, rtol=1e-5)


def test_scores_of_steps_and_entities():
    scores = {}
    for scoring in (None, "entities", "steps", "accuracy"):
        tagger = SequenceTagger(hidden_size=4, random_state=0, **OPTIONS, scoring=scoring)
        scores[scoring] = tagger.fit(ROWS, LABELS, validation_data=(ROWS, LABELS)).validation_scores_
    assert scores[None] == scores["entities"] != scores["steps"]
    np.testing.assert_allclose(scores["steps"], scores["accuracy"])
    assert scores["entities"][-1] == tagger.score(ROWS, LABELS)
    with pytest.raises(
        ValueError, match="scoring: expected 'entities' of labels of IOB, IOBES or BILOU, got"
    ):
        tagger.set_params(scoring="entities").fit(ROWS, LEARNT["tagger"][1][1])


def test_numbers_of_steps_are_scored():
    y = [np.cumsum(row[:, 0]) for row in ROWS]
    options = {"pooling": "each", "scoring": "r2", "hidden_size": 4, "random_state": 0}
    model = gru_rs.SequenceRegressor(**options, **OPTIONS).fit(ROWS, y, validation_data=(ROWS[:5], y[:5]))
    np.testing.assert_allclose(model.validation_scores_[-1], model.score(ROWS[:5], y[:5]), rtol=1e-6)


@pytest.mark.parametrize(
    ("scoring", "kind", "message"),
    [
        ("beauty", ValueError, "scoring: expected None, a function or one of accuracy, .*, got 'beauty'"),
        (5, ValueError, "scoring: expected None, a function or one of"),
        ("steps", ValueError, "scoring: expected None, a function or one of"),
        (lambda *_: "good", TypeError, "scoring: expected a function that gives a number, got 'good'"),
        (lambda *_: np.nan, FloatingPointError, "expected the validation score to be finite, got nan"),
    ],
)
def test_scores_refused(scoring, kind, message):
    model, data = made("classifier", **OPTIONS, scoring=scoring)
    with pytest.raises(kind, match=message):
        model.fit(*data, validation_data=others("classifier"))


def test_files_keep_the_score(tmp_path):
    path = tmp_path / "model"
    for scoring, functions in (("f1_macro", {}), (accuracy, {"scoring": accuracy})):
        model, data = made("classifier", **OPTIONS, scoring=scoring, early_stopping=True)
        model.fit(*data).save(path)
        again = gru_rs.load(path, **functions)
        assert again.scoring == scoring
        assert again.set_params(warm_start=True).fit(*data).validation_scores_[:4] == model.validation_scores_


def accuracy(estimator, X, y):
    return float(np.mean(estimator.predict(X) == y))


def test_a_run_with_other_data_goes_on_by_itself():
    """Other data to validate on are another run, as its best score would be of others."""
    stop = [lambda info: info.event == "epoch" and info.epoch == 1]
    model, data = made("regressor", **OPTIONS, callbacks=stop)
    expected, _ = made("regressor", **OPTIONS)
    X, y = others("regressor")
    expected.fit(*data, validation_data=(X, y))
    model.fit(*data, validation_data=(X, y)).set_params(callbacks=(), warm_start=True)
    model.fit(*data, validation_data=(X, y))
    assert model.validation_scores_ == expected.validation_scores_
    model.set_params(callbacks=stop, warm_start=False).fit(*data, validation_data=(X, y))
    model.set_params(callbacks=(), warm_start=True)
    with pytest.warns(UserWarning, match="the run that was stopped after 2 epochs"):
        model.fit(*data, validation_data=(X[1:], y[1:]))

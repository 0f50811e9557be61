"""`gru_rs.compare`: what is measured, and the advice that follows from it."""

import json

import gru_rs
import numpy as np
import pytest
from gru_rs.estimators import Entry
from gru_rs.estimators._compare import advise

FAST = {"hidden_size": 8, "max_iter": 15}


def entry(kind, *scores):
    return Entry(kind, kind, list(scores), 2.0, 0.001, 10, 40)


@pytest.mark.parametrize(
    ("baseline", "gru", "lstm", "advice"),
    [
        ((0.6, 0.61, 0.62), (0.9, 0.91, 0.9), (0.9, 0.9, 0.91), "A GRU is enough"),
        ((0.6, 0.61, 0.62), (0.9, 0.91, 0.9), (0.95, 0.96, 0.95), "An LSTM is worth it"),
        ((0.9, 0.91, 0.92), (0.9, 0.9, 0.91), (0.9, 0.92, 0.91), "The simple baseline wins"),
        ((0.9, 0.91, 0.92), (0.7, 0.7, 0.71), (0.8, 0.8, 0.81), "The simple baseline wins"),
        ((0.2, 0.9, 0.5), (0.9, 0.2, 0.6), (0.5, 0.5, 0.5), "There is too little data to tell"),
        ((0.5, 0.5), (0.9, 0.9), (0.9, 0.9), "There is too little data to tell"),
    ],
)
def test_advice_follows_from_the_figures(baseline, gru, lstm, advice):
    given = [entry("baseline", *baseline), entry("gru", *gru), entry("lstm", *lstm)]
    assert advise(given, "accuracy").startswith(advice)


def check(result, baselines):
    assert [one.kind for one in result.entries] == ["baseline"] * baselines + ["gru", "lstm"]
    gru, lstm = result.entries[-2:]
    assert gru.parameters < lstm.parameters
    assert gru.bytes == 4 * gru.parameters
    assert all(one.fit_seconds >= 0 and np.isfinite(one.scores).all() for one in result.entries)
    assert json.loads(json.dumps(result.to_dict()))["advice"] == result.advice
    assert result.advice in str(result)
    assert all(one.name in str(result) for one in result.entries)


def test_classify_text(tmp_path):
    rng = np.random.default_rng(0)
    words = ["good", "bad", "film", "day", "a", "the"]
    texts = [" ".join(rng.choice(words[2:], 4)) + " " + words[label] for label in rng.integers(0, 2, 90)]
    labels = [text.rsplit(" ", 1)[1] for text in texts]
    result = gru_rs.compare("classify", texts, labels, folds=3, options=FAST)
    check(result, 2)
    assert result.entries[1].mean > 0.9
    assert result.advice.startswith("The simple baseline wins")
    result.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
    from rich.console import Console

    console = Console(width=120)
    with console.capture() as captured:
        console.print(result)
    shown = captured.get()
    assert f"classify, {len(texts)} sequences" in shown
    assert all(one.name in shown and f"{one.mean:.3f}" in shown for one in result.entries)
    assert result.advice in shown.replace("\n", " ")


def test_order_is_what_a_bag_cannot_see():
    rng = np.random.default_rng(0)
    X = [np.sign(rng.normal(size=(12, 1))) for _ in range(240)]
    y = [int(x[0, 0] == x[1, 0]) for x in X]
    result = gru_rs.compare("classify", X, y, folds=3, options={"hidden_size": 16, "max_iter": 60})
    check(result, 2)
    assert "is enough" in result.advice or "worth it" in result.advice


def test_regress_tag_and_forecast():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(rng.integers(3, 8), 2)) for _ in range(60)]
    check(gru_rs.compare("regress", X, [x.sum() for x in X], folds=3, options=FAST), 2)
    sentences = [["Ann", "met", "Bob"], ["they", "slept"], ["Bob", "met", "Ann"]] * 6
    tags = [["B-PER", "O", "B-PER"], ["O", "O"], ["B-PER", "O", "B-PER"]] * 6
    check(gru_rs.compare("tag", sentences, tags, folds=3, options=FAST), 1)
    y = np.sin(np.arange(200) / 3)
    result = gru_rs.compare("forecast", y, folds=3, options={"window": 12, "horizon": 2, **FAST})
    check(result, 1)
    assert result.entries[1].mean > 0.5
    check(gru_rs.compare("forecast", y, np.arange(200) % 7, folds=2, options={"window": 12, **FAST}), 1)


def test_the_same_seed_gives_the_same_scores():
    X, y = np.random.default_rng(0).normal(size=(40, 5)), [0, 1] * 20
    runs = [gru_rs.compare("classify", X, y, folds=2, options=FAST) for _ in range(2)]
    assert [one.scores for one in runs[0].entries] == [one.scores for one in runs[1].entries]


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="task: expected 'classify' or"):
        gru_rs.compare("guess", ["a"], [0])
    with pytest.raises(ValueError, match="folds: expected an integer from 2, got 1"):
        gru_rs.compare("classify", ["a"], [0], folds=1)
    with pytest.raises(TypeError, match="colour"):
        gru_rs.compare("classify", ["a", "b"], [0, 1], options={"colour": 1})


def test_rows_of_no_steps_are_compared():
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(length % 4, 2)) for length in range(20)]
    options = {"max_iter": 1, "hidden_size": 4}
    for task, y in (("regress", rng.normal(size=20)), ("classify", [0, 1] * 10)):
        result = gru_rs.compare(task, rows, y, folds=2, options=options)
        assert np.isfinite([entry.mean for entry in result.entries]).all()

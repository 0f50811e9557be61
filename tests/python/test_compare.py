"""`gru_rs.compare`: what is measured, on which rows, and the advice that follows from it."""

import builtins
import importlib
import json
import warnings

import gru_rs
import numpy as np
import pytest
from gru_rs.estimators import Entry
from gru_rs.estimators._advice import advise, difference
from gru_rs.estimators._baselines import Tuned, baselines
from gru_rs.estimators._folds import folds_of
from gru_rs.estimators._season import find_season
from gru_rs.estimators._series_baselines import skill
from gru_rs.estimators._tokens import Tokenizer
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, LeaveOneGroupOut, LeaveOneOut, RepeatedKFold, TimeSeriesSplit

FAST = {"hidden_size": 8, "max_iter": 15}
WORDS = Tokenizer("word", True)


def entry(kind, *scores):
    return Entry(kind, kind, list(scores), 2.0, 0.001, 10, 40)


# What follows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("baseline", "gru", "lstm", "advice"),
    [
        ((0.6, 0.61, 0.62), (0.9, 0.91, 0.9), (0.9, 0.9, 0.91), "A GRU is enough"),
        ((0.6, 0.61, 0.62), (0.9, 0.91, 0.9), (0.95, 0.96, 0.95), "An LSTM is worth it"),
        ((0.9, 0.91, 0.92), (0.9, 0.9, 0.91), (0.9, 0.9, 0.91), "The simple baseline wins"),
        ((0.9, 0.91, 0.92), (0.7, 0.7, 0.71), (0.8, 0.8, 0.81), "The simple baseline wins"),
        ((0.9, 0.91, 0.92), (0.7, 0.7, 0.71), (0.95, 0.8, 0.99), "There is too little data to tell"),
        ((0.2, 0.9, 0.5), (0.9, 0.2, 0.6), (0.5, 0.5, 0.5), "There is too little data to tell"),
        ((0.5, 0.5), (0.9, 0.9), (0.9, 0.9), "There is too little data to tell"),
        # One is as good as all: nobody can be better than that, whatever the folds' spread.
        ((1.0, 1.0, 1.0), (1.0, 0.8, 1.0), (1.0, 1.0, 0.9), "The simple baseline wins"),
        ((0.0, 0.0, 0.0), (-1.0, -1.0, -1.0), (-1.0, -1.0, -1.0), "The simple baseline wins"),
        ((0.5, np.nan, 0.5), (0.9, np.nan, 0.9), (0.9, 0.9, 0.9), "There is too little data to tell"),
        # A small gain that is there in each fold is one, and a large one that is not is none.
        ((0.900, 0.910, 0.920), (0.911, 0.920, 0.931), (0.9, 0.9, 0.9), "A GRU is enough"),
        ((0.5, 0.6, 0.7), (0.5, 0.9, 0.8), (0.5, 0.6, 0.7), "There is too little data to tell"),
    ],
)
def test_advice_follows_from_the_figures(baseline, gru, lstm, advice):
    given = [entry("baseline", *baseline), entry("gru", *gru), entry("lstm", *lstm)]
    assert advise(given, "accuracy").startswith(advice)


def test_a_difference_is_that_of_the_corrected_resampled_t_test():
    # By hand: gains .1, .2, .3 have mean .2 and deviation .1; t of 2 degrees of freedom at .975 is 4.302653.
    found = difference([0.6, 0.8, 0.9], [0.5, 0.6, 0.6], share=0.5)
    width = 4.302653 * 0.1 * np.sqrt(1 / 3 + 0.5)
    np.testing.assert_allclose(
        [found.mean, found.low, found.high], [0.2, 0.2 - width, 0.2 + width], rtol=1e-6
    )
    # More folds of the same rows do not make it certain: the share of rows stays.
    many = difference([0.6, 0.8, 0.9] * 20, [0.5, 0.6, 0.6] * 20, share=0.5)
    assert many.high - many.low > 2 * 2 * 0.08 * np.sqrt(0.5)


def test_advice_is_seldom_wrong_where_there_is_nothing():
    """Of models that are equally good the network is advised in less than 5 % of the draws."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        rows = rng.uniform(size=(2, 100)) < 0.7
        folds = np.split(rows, 5, axis=1)
        base, gru = ([float(fold[which].mean()) for fold in folds] for which in (0, 1))
        wrong += advise([entry("baseline", *base), entry("gru", *gru)], "accuracy").startswith("A GRU")
    assert wrong < 20


# Folds ------------------------------------------------------------------------------------------------------


def test_folds_keep_groups_apart_and_share_out_classes():
    labels, groups = np.arange(60) % 3, np.arange(60) // 6
    for kind in (labels, None):
        for train, test in folds_of(kind, 60, 5, 0, groups):
            assert not set(groups[train]) & set(groups[test])
            assert sorted([*train, *test]) == list(range(60))
    for _, test in folds_of(labels, 60, 5, 0, None):
        assert np.bincount(labels[test]).tolist() == [4, 4, 4]
    rare = np.array([0] * 30 + [1] * 2)
    assert len(folds_of(rare, 32, 4, 0, None)) == 4  # and nothing is said of the two


def test_folds_of_the_users_own():
    X, y = np.random.default_rng(0).normal(size=(24, 5)), [0, 1] * 12
    groups = np.repeat(["a", "b", "c"], 8)
    seen = []
    kinds = [(RepeatedKFold(n_splits=2, n_repeats=2, random_state=0), 4), (LeaveOneGroupOut(), 3), (4, 4)]
    kinds.append(([(np.arange(12), np.arange(12, 24)), (np.arange(12, 24), np.arange(12))], 2))
    for cv, folds in kinds:
        result = gru_rs.compare(
            "classify",
            X,
            y,
            cv=cv,
            groups=groups if folds == 3 else None,
            options=FAST | {"max_iter": 1},
            callback=seen.append,
            repeats=1,
        )
        assert {len(one.scores) for one in result.entries} == {folds}
        assert {info.folds for info in seen[-folds:]} == {folds}
    with pytest.raises(ValueError, match="groups: expected at least 4 groups, as there are folds, got 3"):
        gru_rs.compare("classify", X, y, folds=4, groups=groups)
    result = gru_rs.compare("classify", X, y, cv=GroupKFold(3), groups=groups, options=FAST | {"max_iter": 1})
    assert result.test_share == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([(np.arange(5), np.arange(4, 9))] * 2, "expected rows to test on that are not trained on"),
        ([(np.arange(5), np.arange(5, 90))] * 2, "expected rows from 0 to 23 in fold 0, got 5 to 89"),
        ([(np.arange(5), np.arange(5, 9))], "expected at least 2 folds, got 1"),
        ([np.arange(5)] * 2, "expected pairs of rows"),
        ([(np.arange(5), [0.5])] * 2, "expected the numbers of some rows"),
        (1, "expected an integer from 2, got 1"),
    ],
)
def test_folds_that_cannot_be(cv, message):
    with pytest.raises((ValueError, TypeError), match=f"cv: {message}"):
        gru_rs.compare("classify", np.zeros((24, 3)), [0, 1] * 12, cv=cv)


@pytest.mark.parametrize("pooling", ["last", "each"])
def test_folds_without_a_score_are_refused(pooling):
    """One number has no R²; of several steps of one sequence there is one."""
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(4, 1)) for _ in range(6)]
    y = [x[:, 0] for x in X] if pooling == "each" else rng.normal(size=6)
    given = {"X": X, "y": y, "repeats": 1, "options": {"max_iter": 1, "pooling": pooling}}
    for by in ({"folds": 6}, {"cv": 6}, {"cv": LeaveOneOut()}):
        if pooling == "each":
            result = gru_rs.compare("regress", **given, **by)
            assert all(np.isfinite(one.scores).all() for one in result.entries)
            continue
        message = f"{next(iter(by))}: expected at least 2 targets to test on in each fold, .* got 1 in fold 0"
        with pytest.raises(ValueError, match=message):
            gru_rs.compare("regress", **given, **by)
    empty = [[1]] * 4 + [[]] * 2
    with pytest.raises(ValueError, match="folds: expected at least 1 targets"):
        gru_rs.compare("tag", empty, [["a"]] * 4 + [[]] * 2, folds=6, repeats=1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "groups: expected a group for each row, got None in row 3"),
        (float("nan"), "groups: expected a group for each row, got nan in row 3"),
        (1, "groups: expected values of one kind, .* got 'a' in row 0 and 1 in row 3"),
    ],
)
def test_groups_name_the_row_that_has_none(wrong, message):
    """In compare, the probe and each fit alike: as an array, None would be one group and 1 the text '1'."""
    X, y = np.random.default_rng(0).normal(size=(24, 3)), [0, 1] * 12
    groups = ["a", "b", "1", wrong] + ["1"] * 20
    stopping = {"early_stopping": True, "max_iter": 1}
    asks = [
        lambda: gru_rs.compare("classify", X, y, folds=2, groups=groups),
        lambda: gru_rs.memory_probe("classify", X, y, groups=groups),
        lambda: gru_rs.SequenceClassifier(**stopping).fit(X, y, groups=groups),
        lambda: gru_rs.LanguageModel(**stopping).fit(["ab"] * 24, groups=groups),
    ]
    for ask in asks:
        with pytest.raises((ValueError, TypeError), match=message):
            ask()


@pytest.mark.filterwarnings("error")
def test_parts_of_one_row_are_not_tuned_by():
    """Groups may leave one row in a part, of which there is no R²."""
    X = [np.array([[float(row)]]) for row in range(8)]
    tuned = baselines("regress", X, WORDS, 0)["summary + ridge"]
    fitted = tuned.fit(X, np.arange(8.0), groups=np.array([0, 0, 0, 1, 1, 1, 1, 2]))
    assert fitted.fitted_.alpha == fitted.models[len(fitted.models) // 2].alpha


def test_groups_are_kept_apart_in_tuning_too(monkeypatch):
    rng = np.random.default_rng(0)
    seen = []

    def watched(labels, count, folds, seed, groups):
        found = folds_of(labels, count, folds, seed, groups)
        assert len(groups) == count
        seen.append([set(groups[train]) & set(groups[test]) for train, test in found])
        return found

    monkeypatch.setattr("gru_rs.estimators._baselines.folds_of", watched)
    X, y, groups = rng.normal(size=(36, 3, 1)), [0, 1] * 18, np.repeat(np.arange(9), 4)
    gru_rs.compare("classify", X, y, groups=groups, folds=3, repeats=1, options=FAST | {"max_iter": 1})
    assert seen == [[set()] * 3] * 3  # one model of those has a grid, on each fold


# Baselines --------------------------------------------------------------------------------------------------


def test_texts_are_read_by_the_users_analyzer():
    texts = ["ab-cd ef", "ab cd-ef"] * 30
    labels = [0, 1] * 30

    def dashes(text):
        return text.split(" ")

    def of_words(**options):
        tokenizer = gru_rs.SequenceClassifier(**options)._tokenizer()
        model = baselines("classify", texts, tokenizer, 0)["bag of words + logistic regression"]
        return sorted(model.fit(texts, labels).look_.counted_.vocabulary_)

    assert of_words(analyzer=dashes) == ["ab", "ab cd-ef", "ab-cd", "ab-cd ef", "cd-ef", "ef"]
    assert "ab -" in of_words()
    assert "a b - c" in of_words(analyzer="char")
    # An analyzer that cannot be pickled is no obstacle to telling a size.
    result = gru_rs.compare("classify", texts, labels, folds=2, options=FAST | {"analyzer": dashes})
    assert result.entries[1].bytes > 100
    assert result.lengths == (2, 2)


def test_texts_without_spaces_are_read_by_characters():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 120)
    texts = [
        "".join(rng.choice(list("天地人日月"), 6)) + ("好吃" if one else "难吃") + "了" for one in labels
    ]
    found = baselines("classify", texts, WORDS, 0)
    scores = {
        name: model.fit(texts[:80], labels[:80]).score(texts[80:], labels[80:])
        for name, model in found.items()
    }
    assert scores["characters + logistic regression"] > 0.95 > scores["bag of words + logistic regression"]


def test_texts_are_read_alike_by_all_that_are_compared():
    """What "auto" decides of all texts goes for baselines, networks and lengths, in each fold."""
    texts = [f"这个手机很{'差好'[row % 2]}{'甲乙丙'[row % 3]}" for row in range(18)]
    given = {"y": np.arange(18) % 2, "folds": 3, "repeats": 1}
    with pytest.warns(UserWarning, match="read by letters") as caught:
        found = gru_rs.compare("classify", texts, **given, options={"max_iter": 1})
    assert [warning.filename for warning in caught] == [__file__]
    assert found.lengths == (7, 7)
    words = next(one for one in found.entries if one.name.startswith("bag of words"))
    assert words.mean == 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gru_rs.compare("classify", texts, **given, options={"max_iter": 1, "analyzer": "word"})
    assert found.lengths == (1, 1)


def test_tuning_finds_what_the_rows_ask_for():
    rng = np.random.default_rng(0)
    X = [np.full((3, 1), value) for value in rng.normal(size=400)]
    sharp = np.array([int(x[0, 0] > 0.7) for x in X])
    noise = rng.integers(0, 2, 400)
    model = baselines("classify", X, WORDS, 0)["summary + logistic regression"]
    assert model.fit(X, sharp).fitted_.get_params()["C"] >= 10
    assert model.fit(X, noise).fitted_.get_params()["C"] <= 1
    # Of two rows nothing can be held out, of one class nothing learnt.
    assert isinstance(model.fit(X[:2], [0, 1]).fitted_, LogisticRegression)
    assert isinstance(model.fit(X[:9], [1] * 9).fitted_, DummyClassifier)


def test_sequences_of_a_shape_are_told_by_forest_and_neighbour():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 80)
    X = [np.sin(np.linspace(0, 6.28 * (1 + one), 20 + rng.integers(0, 20)))[:, np.newaxis] for one in y]
    found = baselines("classify", X, WORDS, 0)
    assert list(found)[1:] == ["summary + logistic regression", "summary + forest", "nearest neighbour"]
    for name, model in list(found.items())[1:]:
        assert model.fit(X[:50], y[:50]).score(X[50:], y[50:]) > 0.95, name
    target = np.array([len(x) for x in X], float)
    for name, model in list(baselines("regress", X, WORDS, 0).items())[1:]:
        assert model.fit(X[:50], target[:50]).score(X[50:], target[50:]) > 0.9, name


def test_taggers_have_neighbours_to_beat():
    rng = np.random.default_rng(0)
    rows = [[str(word) for word in rng.choice(["a", "b", "c"], 8)] for _ in range(60)]
    # A label is told by the token before: no look at the token alone sees it.
    labels = [["x", *("y" if before == "a" else "x" for before in row[:-1])] for row in rows]
    alone, beside = baselines("tag", rows, WORDS, 0).values()
    assert alone.fit(rows[:40], labels[:40]).score(rows[40:], labels[40:]) < 0.8
    assert beside.fit(rows[:40], labels[:40]).score(rows[40:], labels[40:]) > 0.99
    assert [len(path) for path in beside.predict([[], ["a", "b"]])] == [0, 2]
    numbers = [rng.normal(size=(8, 2)) for _ in range(60)]
    moved = [np.where(np.roll(row[:, 0], 1) > 0, "y", "x") for row in numbers]
    alone, beside = baselines("tag", numbers, WORDS, 0).values()
    assert beside.fit(numbers[:40], moved[:40]).score(numbers[40:], moved[40:]) > 0.8
    assert alone.fit(numbers[:40], moved[:40]).score(numbers[40:], moved[40:]) < 0.7


@pytest.mark.parametrize("season", [7, 24, 48])
def test_the_season_is_found_in_the_data(season):
    rng = np.random.default_rng(season)
    time = np.arange(12 * season)
    pattern = rng.normal(size=season) * 3
    assert find_season([pattern[time % season] + rng.normal(size=len(time)) / 2]) == season
    assert find_season([0.3 * time + pattern[time % season]]) == season
    assert find_season([np.cumsum(rng.normal(size=300))]) is None
    assert find_season([np.ones(300)]) is None
    assert find_season([np.arange(5.0)]) is None


def test_a_skill_is_never_out_of_bounds():
    assert skill(0.25, 1.0) == 0.75
    assert skill(4.0, 1.0) == -0.75
    assert skill(1e-3, 0.0) == -1.0
    assert skill(0.0, 0.0) == 0.0


# The whole --------------------------------------------------------------------------------------------------


def check(result, count, quality):
    assert [one.kind for one in result.entries] == ["baseline"] * count + ["gru", "lstm"]
    assert result.quality == result.rows()[0][1] == quality
    gru, lstm = result.entries[-2:]
    assert gru.parameters < lstm.parameters
    assert gru.bytes == 4 * gru.parameters
    assert all(one.fit_seconds >= 0 and np.isfinite(one.scores).all() for one in result.entries)
    assert all(len(one.train_scores) == len(one.scores) and one.cpu_seconds >= 0 for one in result.entries)
    assert gru.cpu_seconds > 0
    assert json.loads(json.dumps(result.to_dict()))["advice"] == result.advice
    assert result.advice in str(result)
    assert all(one.name in str(result) for one in result.entries)


def test_classify_text(tmp_path):
    rng = np.random.default_rng(0)
    words = ["good", "bad", "film", "day", "a", "the"]
    texts = [" ".join(rng.choice(words[2:], 4)) + " " + words[label] for label in rng.integers(0, 2, 90)]
    labels = [text.rsplit(" ", 1)[1] for text in texts]
    result = gru_rs.compare("classify", texts, labels, folds=3, options=FAST)
    check(result, 3, "accuracy")
    assert len(result.entries[0].scores) == 9  # of so few the folds are drawn three times
    assert result.lengths == (5, 5)
    assert "length 5 (median) to 5 (longest), 9 folds" in str(result)
    assert result.entries[1].mean > 0.9
    assert result.advice.startswith("The simple baseline wins")
    result.plot(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000
    from rich.console import Console

    console = Console(width=160)
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
    options = {"hidden_size": 16, "max_iter": 60, "learning_rate_init": 0.01}
    result = gru_rs.compare("classify", X, y, folds=3, repeats=1, options=options)
    check(result, 4, "accuracy")
    assert "is enough" in result.advice or "worth it" in result.advice


def test_what_is_learnt_by_heart_is_seen():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 6, 2)), rng.integers(0, 2, 60)
    options = {"hidden_size": 32, "max_iter": 60, "learning_rate_init": 0.02}
    gru = gru_rs.compare("classify", list(X), y, folds=2, repeats=1, options=options).entries[-2]
    assert gru.train_mean > 0.9
    assert gru.mean < 0.75


def test_regress_tag_and_forecast():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(rng.integers(3, 8), 2)) for _ in range(60)]
    check(gru_rs.compare("regress", X, [x.sum() for x in X], folds=2, repeats=1, options=FAST), 3, "R²")
    several = [[x.sum(), x[0, 0]] for x in X]
    check(gru_rs.compare("regress", X, several, folds=2, repeats=1, options=FAST | {"max_iter": 1}), 3, "R²")
    steps = gru_rs.compare(
        "regress", X, [x.cumsum(0)[:, 0] for x in X], folds=2, repeats=1, options=FAST | {"pooling": "each"}
    )
    check(steps, 2, "R²")
    sentences = [["Ann", "met", "Bob"], ["they", "slept"], ["Bob", "met", "Ann"]] * 6
    tags = [["B-PER", "O", "B-PER"], ["O", "O"], ["B-PER", "O", "B-PER"]] * 6
    check(gru_rs.compare("tag", sentences, tags, folds=2, repeats=1, options=FAST), 2, "F1 of entities")
    plain = [[label[0] for label in row] for row in tags]
    assert (
        gru_rs.compare(
            "tag",
            sentences,
            [["N" if one == "B" else "V" for one in row] for row in plain],
            folds=3,
            options=FAST | {"max_iter": 1},
        ).quality
        == "accuracy of labels"
    )
    y = np.sin(np.arange(200) / 3)
    result = gru_rs.compare("forecast", y, folds=3, options={"window": 12, "horizon": 2, **FAST})
    check(result, 3, "skill over the last value")
    assert [one.name for one in result.entries][:3] == ["last value", "19 values before", "ridge over lags"]
    assert result.entries[0].scores == [0.0] * 3
    assert result.entries[2].mean > 0.9
    assert result.entries[-2].mean > 0.5
    beside = gru_rs.compare("forecast", y, np.arange(200) % 7, folds=2, options={"window": 12, **FAST})
    check(beside, 3, "skill over the last value")


def test_a_ridge_uses_the_columns_that_are_known():
    rng = np.random.default_rng(0)
    known = rng.normal(size=300)
    options = {"window": 5, "horizon": 2, "max_iter": 1, "hidden_size": 4}
    result = gru_rs.compare("forecast", 5 * known, known, folds=3, options=options)
    assert next(one for one in result.entries if one.name == "ridge over lags").mean > 0.99


def test_series_whose_last_value_is_never_wrong():
    result = gru_rs.compare("forecast", np.ones(200), folds=3, options={"window": 10, "max_iter": 1})
    scores = {one.name: one.mean for one in result.entries}
    assert scores["last value"] == scores["ridge over lags"] == 0
    assert all(-1 <= score <= 0 for score in scores.values())
    assert result.advice.startswith("The simple baseline wins: last value")
    json.dumps(result.to_dict(), allow_nan=False)


def test_series_in_the_users_folds():
    y = np.sin(np.arange(120) / 3)
    options = {"window": 8, "max_iter": 1, "hidden_size": 4}
    result = gru_rs.compare("forecast", y, cv=TimeSeriesSplit(3), options=options)
    assert {len(one.scores) for one in result.entries} == {3}
    with pytest.raises(ValueError, match="cv: expected folds that train on the first values"):
        gru_rs.compare("forecast", y, cv=RepeatedKFold(n_splits=2), options=options)
    for name, value in (("groups", [0] * 120), ("lengths", [1] * 120), ("repeats", 2)):
        with pytest.raises(ValueError, match=f"{name}: expected None for the task 'forecast'"):
            gru_rs.compare("forecast", y, options=options, **{name: value})


def test_the_table_alone_says_that_a_naive_forecast_is_better():
    """Not the Forecaster in each fold, whose other warnings are heard."""
    y = np.cumsum(np.random.default_rng(0).normal(size=120))
    options = {"window": 4, "hidden_size": 2, "max_iter": 1, "learning_rate_init": 1.0}
    with pytest.warns(UserWarning, match="the RMSE of the forecasts is"):
        gru_rs.Forecaster(**options, random_state=0).fit(y[:60]).backtest(y, start=60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = gru_rs.compare("forecast", y, folds=2, options=options)
    assert result.entries[-2].mean < 0

    def other(info):
        warnings.warn(f"another of {type(info).__name__}", stacklevel=1)

    with pytest.warns(UserWarning, match="another") as caught:
        gru_rs.compare("forecast", y, folds=2, options=options | {"callbacks": other})
    assert {str(warning.message) for warning in caught} == {"another of TrainingInfo"}


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_series_with_dates_are_those_without(library):
    y, day = np.cumsum(np.random.default_rng(0).normal(size=60)), np.arange(60) % 7.0
    dates = np.datetime64("2024-01-01") + np.arange(60)
    frame = importlib.import_module(library).DataFrame
    tables = (frame({"date": dates, "value": y}), frame({"date": dates, "day": day}))
    options = {"window": 4, "hidden_size": 2, "max_iter": 1}
    plain = gru_rs.compare("forecast", y, day, folds=2, options=options)
    dated = gru_rs.compare("forecast", *tables, folds=2, options=options)
    assert [one.scores for one in dated.entries] == [one.scores for one in plain.entries]
    probe = {"longest": 2, "options": {"max_iter": 1}}
    found = [gru_rs.memory_probe("forecast", X, **probe).scores["gru"].tolist() for X in (y, tables[0])]
    assert found[0] == found[1]
    hole = frame({"date": np.delete(dates, 20), "value": np.delete(y, 20)})
    for ask in (gru_rs.compare, gru_rs.memory_probe):
        with pytest.raises(ValueError, match=r"X: expected a number at each time, .* got none in row 20$"):
            ask("forecast", hole)


def test_gaps_of_a_series_are_refused():
    """As baselines take none; nobody is told to give what was given."""
    y = np.arange(60.0)
    for row in (0, 30):
        holed = np.where(np.arange(60) == row, np.nan, y)
        with pytest.raises(ValueError, match=f"X: expected a number at each time, .* got none in row {row}$"):
            gru_rs.compare("forecast", holed, options={"gaps": "fill"})
    with pytest.raises(ValueError, match=r"y: expected finite numbers, got NaN or infinity in row 2$"):
        gru_rs.compare("forecast", y, np.where(np.arange(60) == 2, np.nan, y))
    with pytest.raises(ValueError, match=r"X: expected one series, got 2$"):
        gru_rs.compare("forecast", {"a": y, "b": y})
    with pytest.raises(ValueError, match=r"X: expected one number at each time, got 2$"):
        gru_rs.compare("forecast", np.stack([y, y], axis=1))


def test_padded_rows_are_cut():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 6, 40)
    X = rng.normal(size=(40, 6, 2))
    cut = [x[:length] for x, length in zip(X, lengths, strict=True)]
    X[np.arange(6) >= lengths[:, np.newaxis]] = np.nan
    options = {"max_iter": 1, "hidden_size": 4}
    tags = rng.integers(0, 2, (40, 6))
    for task, y, own in (
        ("classify", tags[:, 0], tags[:, 0]),
        ("tag", tags, [row[:length] for row, length in zip(tags, lengths, strict=True)]),
    ):
        padded = gru_rs.compare(task, X, y, lengths=lengths, folds=2, repeats=1, options=options)
        ragged = gru_rs.compare(task, cut, own, folds=2, repeats=1, options=options)
        assert [one.scores for one in padded.entries] == [one.scores for one in ragged.entries]
        assert padded.lengths == (int(np.median(lengths)), 5)


def test_the_same_seed_gives_the_same_scores():
    X, y = np.random.default_rng(0).normal(size=(40, 5)), [0, 1] * 20
    runs = [gru_rs.compare("classify", X, y, folds=2, repeats=1, options=FAST) for _ in range(2)]
    assert [one.scores for one in runs[0].entries] == [one.scores for one in runs[1].entries]


def test_progress_is_told(capsys):
    X, y, seen = np.random.default_rng(0).normal(size=(20, 5)), [0, 1] * 10, []
    options = {"max_iter": 1, "hidden_size": 4}
    result = gru_rs.compare("classify", X, y, folds=2, options=options, verbose=True, callback=seen.append)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(seen) == 6 * len(result.entries)
    assert lines == list(map(str, seen))
    assert lines[0].startswith("most frequent class, fold 1 of 6: 0.500, on training rows 0.500, ")
    assert [info.score for info in seen if info.model == "GRU"] == result.entries[-2].scores


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="task: expected 'classify' or"):
        gru_rs.compare("guess", ["a"], [0])
    with pytest.raises(ValueError, match="folds: expected an integer from 2, got 1"):
        gru_rs.compare("classify", ["a"], [0], folds=1)
    with pytest.raises(ValueError, match="folds: expected at most 2, as there are sequences, got 5"):
        gru_rs.compare("classify", ["a", "b"], [0, 1])
    with pytest.raises(ValueError, match=r"y: expected one label for each sequence, shape \(n,\), got"):
        gru_rs.compare("classify", ["a", "b"], np.eye(2, dtype=int), folds=2)
    with pytest.raises(TypeError, match="colour"):
        gru_rs.compare("classify", ["a", "b"], [0, 1], options={"colour": 1})
    with pytest.raises(TypeError, match=r"options: expected names of .*crf.*, got 'loss'$"):
        gru_rs.compare("tag", ["a", "b"], [["x"], ["y"]], options={"loss": "squared"})
    for task, y in (("classify", np.array([0, np.nan, 1])), ("regress", [1.0, np.inf, 2.0])):
        with pytest.raises(ValueError, match=r"y: expected finite numbers, got NaN or infinity in row 1$"):
            gru_rs.compare(task, ["a", "b", "c"], y, folds=2)
    each = {"folds": 2, "options": {"pooling": "each"}}
    with pytest.raises(ValueError, match=r"y: expected finite numbers, .* in row 1, step 0$"):
        gru_rs.compare("regress", [[1], [2]], [[1.0], [np.inf]], **each)
    with pytest.raises(
        ValueError, match=r"y: expected a number for each step, .* got shape \(1, 2\) in row 1$"
    ):
        gru_rs.compare("regress", [[1], [2]], [[1.0], [[1.0, 2.0]]], **each)
    with pytest.raises(ValueError, match="options: expected no cell, as both are compared, got 'lstm'"):
        gru_rs.compare("classify", ["a", "b"], [0, 1], options={"cell": "lstm"})
    with pytest.raises(TypeError, match="callback: expected a function or None, got 3"):
        gru_rs.compare("classify", ["a", "b"], [0, 1], callback=3)
    with pytest.raises(ValueError, match="groups: expected 2 values"):
        gru_rs.compare("classify", ["a", "b"], [0, 1], groups=[1])
    with pytest.raises(ValueError, match="groups: expected a group for each row, got None in row 0"):
        gru_rs.compare("classify", ["a", "b"], [0, 1], groups=[None, "a"], folds=2)
    with pytest.raises(ValueError, match="repeats: expected"):
        gru_rs.compare("classify", ["a", "b"], [0, 1], repeats=0)
    with pytest.raises(ValueError, match="X: expected at least 12 values for 5 folds, got 8"):
        gru_rs.compare("forecast", np.arange(8.0), options={"window": 2})


def test_a_picture_without_matplotlib_names_the_extra(monkeypatch):
    plain = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    result = gru_rs.estimators.Comparison("classify", "accuracy", 9, [entry("baseline", 1), entry("gru", 1)])
    with pytest.raises(ImportError, match=r"pip install 'gru-rs\[plot\]'"):
        result.plot("plot.png")


def test_rows_of_no_steps_are_compared():
    rng = np.random.default_rng(0)
    rows = [rng.normal(size=(length % 4, 2)) for length in range(20)]
    options = {"max_iter": 1, "hidden_size": 4}
    for task, y in (("regress", rng.normal(size=20)), ("classify", [0, 1] * 10)):
        result = gru_rs.compare(task, rows, y, folds=2, repeats=1, options=options)
        assert np.isfinite([entry.mean for entry in result.entries]).all()
    nothing = [[], ["a"]] * 10
    for task, y in (("classify", [0, 1] * 10), ("tag", [[], ["x"]] * 10)):
        result = gru_rs.compare(task, nothing, y, folds=2, repeats=1, options=options)
        assert np.isfinite([entry.mean for entry in result.entries]).all()


def test_a_look_of_nothing_is_no_error():
    model = baselines("classify", [["a"], []], WORDS, 0)["bag of words + logistic regression"]
    assert isinstance(model, Tuned)
    assert model.fit([[], []] * 4, [0, 1] * 4).predict([[], ["new"]]).shape == (2,)

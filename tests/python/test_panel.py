"""Several series at once: what they may be, their scales, forecasts of all and of new ones, mistakes."""

import gru_rs
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from gru_rs import Forecaster
from gru_rs.estimators._windows import held_apart, parts_apart
from hypothesis import assume, given
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore:.*the RMSE of the forecasts is")
RNG = np.random.default_rng(0)


def wave(count, level=0.0, size=1.0):
    return level + size * (np.sin(np.arange(count) * 2 * np.pi / 12) + 0.1 * RNG.normal(size=count))


SERIES = {"small": wave(90), "large": wave(140, 1e4, 1e3), "short": wave(40, -5, 2)}
OPTIONS = {"window": 8, "hidden_size": 6, "max_iter": 3, "horizon": 2, "random_state": 0}


def made(**options):
    return Forecaster(**OPTIONS | options)


def test_all_forms_of_a_panel():
    values = list(SERIES.values())
    expected = made().fit(values).predict()
    assert [one.shape for one in expected] == [(2,)] * 3
    lists = [one.tolist() for one in values]
    forms = {
        "lists": lists,
        "tuple": tuple(values),
        "objects": np.array([*values, None], object)[:3],
        "series of pandas": [pd.Series(one) for one in values],
        "column of pandas": pd.Series(values),
        "column of polars": pl.Series(lists),
        "column of arrow": pa.array(lists),
        "columns (n, 1)": [one[:, np.newaxis] for one in values],
    }
    for name, form in forms.items():
        found = made().fit(form).predict()
        assert isinstance(found, list), name
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one.ravel(), other, err_msg=name)
    named = made().fit(SERIES)
    assert named.series_ == list(SERIES)
    found = named.predict()
    assert list(found) == list(SERIES)
    for one, other in zip(found.values(), expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_has_its_own_scale():
    """Series of other units are the same to the network, bit by bit where the units are powers of two."""
    doubled = SERIES | {"small": SERIES["small"] * 2**20}
    a, b = made(season=12).fit(SERIES), made(season=12).fit(doubled)
    np.testing.assert_array_equal(a.model_.flat, b.model_.flat)
    np.testing.assert_array_equal(a.predict()["small"] * 2**20, b.predict()["small"])
    means, deviations = a.series_scale_
    np.testing.assert_allclose(means[:, 0], [one.mean() for one in SERIES.values()])
    np.testing.assert_allclose(deviations[:, 0], [one.std() for one in SERIES.values()])
    assert made(scale=False).fit(SERIES).series_scale_ is None


@pytest.mark.parametrize("level", [0.1, 1.257302210933933, -1e5 / 3])
@pytest.mark.parametrize("count", [30, 1000])
def test_constants_are_only_centred(level, count):
    """The mean of many equal numbers is off by rounding, which is no unit to measure in."""
    wavy = np.sin(np.arange(100) / 3)
    forecaster = made(season=None).fit({"a": wavy, "b": np.full(count, level)})
    assert forecaster.series_scale_[1][1] == 1.0
    moved = level + np.sin(np.arange(60) / 3)
    assert forecaster.backtest({"b": moved}, start=30)["b"].rmse < 5
    holed = np.where(np.arange(count) % 3 == 1, np.nan, level)
    filled = made(season=None, gaps="fill", window=4, horizon=1).fit({"a": wavy, "b": holed})
    assert filled.series_scale_[1][1] == 1.0


def test_training_goes_on_with_one_or_with_several():
    wavy = 1000 + 50 * SERIES["small"]
    for first, then, expected in ((wavy, {"a": wavy}, "one"), ({"a": wavy}, wavy, "several")):
        forecaster = made(season=None, warm_start=True).fit(first)
        before = forecaster.model_.flat.copy()
        with pytest.raises(ValueError, match=f"y: expected {expected} series, as training with warm_start"):
            forecaster.fit(then)
        np.testing.assert_array_equal(forecaster.model_.flat, before)
        forecaster.fit(first)


SHORT = [
    ([1] * 30, 1, 3),
    ([1] * 20 + [3], 1, 3),
    ([12] * 30, 12, 36),
    ([1] * 20 + [40], 1, 4),
    ([100, 1], 1, 10),
]


@pytest.mark.parametrize(("counts", "horizon", "held"), SHORT)
def test_short_series_are_held_out_whole(counts, horizon, held):
    """A share of all windows, and all but few of the others are learnt from."""
    parted = held_apart(counts, horizon, 0.1)
    assert [len(part) for part in parted] == [sum(counts) - held, held]
    series = [RNG.normal(size=4 + horizon + count) for count in counts]
    options = {"window": 4, "season": None, "horizon": horizon, "max_iter": 1}
    fitted = made(**options).fit(series)
    assert fitted.early_stopping_
    assert fitted.held_out_["windows"] == held
    assert made(**options, levels=[0.5]).fit(series).margins_.shape == (1, horizon, 1)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(1, 14), st.booleans())
def test_what_is_measured_has_not_been_seen(counts, horizon, few):
    assume(sum(counts) > 0)
    begins = np.cumsum([0, *counts])
    series = np.repeat(np.arange(len(counts)), counts)

    def shared(rest, rows):
        """Whether targets of windows to learn from are those of windows to measure."""
        near = np.abs(np.subtract.outer(rest, rows)) < horizon
        return (near & np.equal.outer(series[rest], series[rows])).any()

    parted = held_apart(counts, horizon, 0.1, few=few)
    if parted is not None:
        assert not len(np.intersect1d(*parted))
        assert len(parted[0])
        assert len(parted[1])
        if not few:
            assert not shared(*parted)
            assert 3 * len(parted[0]) > sum(counts)
    assume(sum(counts) >= max(8, 2 * horizon))
    parts = parts_apart(counts, horizon, 4)
    np.testing.assert_array_equal(np.sort(np.concatenate([rows for _, rows in parts])), np.arange(begins[-1]))
    for rest, rows in parts:
        assert len(rest)
        assert len(rows)
        assert not shared(rest, rows)


def test_new_series_and_known_ones():
    forecaster = made(season=12).fit(SERIES)
    again = forecaster.predict(y={"large": SERIES["large"], "other": SERIES["large"]})
    np.testing.assert_array_equal(again["large"], forecaster.predict()["large"])
    # A new one is in units of its own: here those of training, as it is the same.
    np.testing.assert_allclose(again["other"], again["large"], rtol=1e-6)
    alone = forecaster.predict(y=SERIES["large"])
    np.testing.assert_array_equal(alone, again["other"])
    far = forecaster.predict(y=SERIES["large"] * 2**10)
    np.testing.assert_array_equal(far, alone * 2**10)
    one = made(season=12).fit(SERIES["small"])
    assert [found.shape for found in one.predict(y=[SERIES["small"], SERIES["short"]])] == [(2,), (2,)]


@pytest.mark.parametrize("refit", [None, 2])
def test_backtests(refit):
    forecaster = made(season=12, levels=[0.5, 0.9]).fit({name: one[:36] for name, one in SERIES.items()})
    tested = forecaster.backtest(SERIES, start=36, step=4, refit_every=refit)
    for name, one in tested.items():
        np.testing.assert_array_equal(one.origins, np.arange(36, len(SERIES[name]) - 1, 4))
        np.testing.assert_array_equal(one.actual[0], SERIES[name][36:38])
        assert one.forecasts.shape == (len(one.origins), 2, 5)
        assert 0 <= one.coverages[0.5] <= one.coverages[0.9] <= 1
    if refit is None:
        known = {name: one[:36] for name, one in SERIES.items()}
        np.testing.assert_array_equal(forecaster.predict(y=known)["large"], tested["large"].forecasts[0])
    # What comes after the beginning does not make a new series' units.
    new = SERIES["large"].copy()
    new[38:] = 0
    a, b = (forecaster.backtest([one], start=36)[0].forecasts[0] for one in (new, SERIES["large"]))
    np.testing.assert_array_equal(a, b)


def test_columns_targets_and_gaps(tmp_path):
    counts = [60, 45]
    y = [RNG.normal(size=(count, 2)).cumsum(axis=0) for count in counts]
    y[1][[20, 30], 1] = np.nan
    exog = [RNG.normal(size=(count, 1)) for count in counts]
    observed = [RNG.normal(size=(count, 3)) for count in counts]
    forecaster = made(gaps="mask", quantiles=[0.2, 0.5, 0.9]).fit(y, exog, observed=observed)
    future = [np.ones((2, 1)), np.zeros((2, 1))]
    found = forecaster.predict(future)
    assert [one.shape for one in found] == [(2, 2, 3)] * 2
    forecaster.save(tmp_path / "m")
    again = gru_rs.load(tmp_path / "m")
    for one, other in zip(again.predict(future), found, strict=True):
        np.testing.assert_array_equal(one, other)
    tested = forecaster.backtest(y, exog, observed=observed, start=25)
    assert tested[1].forecasts.shape == (45 - 25 - 1, 2, 2, 3)
    assert np.isfinite(tested[1].rmse)
    assert np.isnan(tested[1].actual).sum() == 2
    named = made().fit({"a": y[0]}, {"a": exog[0]}, observed={"a": observed[0]})
    assert named.predict({"a": future[0]})["a"].shape == (2, 2)


def test_a_panel_teaches_what_one_series_does_not():
    """Forty short series of one kind: the network that saw all of them forecasts a new one better."""
    rng = np.random.default_rng(3)

    def draw():
        y = np.zeros(45)
        y[:2] = rng.normal(size=2)
        for step in range(2, 45):
            y[step] = 1.6 * y[step - 1] - 0.8 * y[step - 2] + 0.3 * rng.normal()
        return 100 * rng.random() + y

    options = {"season": None, "max_iter": 60, "horizon": 3, "hidden_size": 8, "window": 8}
    many, new = [draw() for _ in range(40)], [draw() for _ in range(8)]
    panel = made(**options).fit(many)
    together = np.mean([one.rmse for one in panel.backtest(new, start=30)])
    apart = np.mean([made(**options).fit(one[:30]).backtest(one, start=30).rmse for one in new])
    assert together < 0.9 * apart


def test_validation_of_several_series():
    """By names the units of training; the score is the backtest's, in these."""
    known = {name: one[:36] for name, one in SERIES.items()}
    later = {"large": SERIES["large"][36:]}
    forecaster = made(season=12).fit(known, validation_data=(later,))
    assert forecaster.held_out_ is None, "nothing of training is held out"
    tested = forecaster.backtest(later, start=forecaster._reach().first)["large"]
    unit = forecaster.series_scale_[1][1, 0] * forecaster.target_scale_[0]
    np.testing.assert_allclose(forecaster.best_validation_score_, -((tested.rmse / unit) ** 2), rtol=1e-4)
    with pytest.raises(ValueError, match="validation_data: exog: expected 0 columns as in training, got 1"):
        made().fit(known, validation_data=(later, {"large": later["large"]}))


SMALL = made(max_iter=1)
MISTAKES = [
    (lambda: SMALL.fit({}), "y: expected at least one series, got none"),
    (lambda: SMALL.fit({1.5: wave(50)}), "y: expected texts or integers as the names of series, got 1.5"),
    (lambda: SMALL.fit({"a": wave(50), "b": wave(5)}), "y, series 'b': expected at least"),
    (lambda: SMALL.fit([wave(50), [1.0, np.nan] * 30]), "y, series 1: expected finite numbers"),
    (lambda: SMALL.fit([wave(50), np.ones((50, 2))]), "y: expected 1 values a time in each series, got 2"),
    (lambda: SMALL.fit([wave(50), 3.0]), "y"),
    (lambda: SMALL.fit([wave(50)], wave(50)), "exog: expected a list of 1 or a dict"),
    (lambda: SMALL.fit([wave(50)] * 2, [wave(50)]), "exog: expected a list of 2 or a dict"),
    (
        lambda: SMALL.fit({"a": wave(50)}, {"b": wave(50)}),
        "exog: expected the series ['a'], as y has, got ['b']",
    ),
    (lambda: SMALL.fit([wave(50)], [wave(49)]), "exog, series 0: expected numbers of shape (50, k)"),
    (
        lambda: SMALL.fit([wave(50)] * 2, [wave(50), None]),
        "exog: expected 1 columns in each series, got 0 in series 1",
    ),
    (
        lambda: SMALL.fit([wave(50)]).backtest([wave(50), wave(30)], start=40),
        "start: expected an integer from 20 to 28 of series 1, got 40",
    ),
    (lambda: SMALL.fit(SERIES).predict(y={"new": wave(5)}), "y, series 'new': expected at least"),
]


@pytest.mark.parametrize("case", range(len(MISTAKES)))
def test_mistakes_are_named(case):
    call, message = MISTAKES[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert message in str(caught.value)

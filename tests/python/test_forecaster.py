"""Forecasts: what is known when, columns, quantiles, intervals, seasons, rolling origins, gaps, early
stopping, what is said of it, files, mistakes.
"""

import json
import pickle
import struct
import warnings

import gru_rs
import numpy as np
import pytest
from gru_rs import Forecaster
from gru_rs.estimators._season import find_season
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone

pytestmark = pytest.mark.filterwarnings("ignore:.*the RMSE of the forecasts is")


def wave(count=400, period=24):
    """A season of random shape, and on it something that returns to its mean."""
    rng = np.random.default_rng(1)
    drift = np.zeros(count)
    for step in range(1, count):
        drift[step] = 0.8 * drift[step - 1] + rng.normal()
    return 100 + np.resize(10 * rng.normal(size=period), count) + drift


def small(**options):
    return Forecaster(**{"window": 24, "hidden_size": 8, "max_iter": 20, "random_state": 2} | options)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("season", [None, 24])
@pytest.mark.parametrize("horizon", [1, 5])
def test_better_than_naive(cell, season, horizon):
    y, start = wave(900), 800
    tested = small(cell=cell, season=season, horizon=horizon).fit(y[:start]).backtest(y, start=start)
    assert tested.rmse < tested.naive_rmse


@pytest.mark.parametrize("season", [None, 24])
@pytest.mark.parametrize("horizon", [1, 30])
def test_what_is_compared(season, horizon):
    y, start = wave(), 300
    tested = small(season=season, horizon=horizon, max_iter=1).fit(y[:start]).backtest(y, start=start)
    assert tested.forecasts.shape == tested.actual.shape == (len(y) - start - horizon + 1, horizon)
    np.testing.assert_array_equal(tested.actual[0], y[start : start + horizon])
    before = 24 * -(-np.arange(1, horizon + 1) // 24) if season else np.arange(1, horizon + 1)
    np.testing.assert_array_equal(tested.naive[0], y[start + np.arange(horizon) - before])
    np.testing.assert_array_equal(tested.last[0], np.full(horizon, y[start - 1]))
    assert tested.season == season
    assert tested.last_rmse == np.sqrt(np.mean((tested.last - tested.actual) ** 2))
    assert f"{tested.last_rmse:.4g} of the last value" in str(tested)


@pytest.mark.parametrize("columns", [0, 2])
def test_the_future_is_not_known(columns):
    """What comes after the origin, but for the columns of the horizon, changes no bit of a forecast."""
    y = wave()
    exog = np.random.default_rng(0).normal(size=(len(y), columns)) if columns else None
    forecaster = small(horizon=3, season=24).fit(y[:300], None if exog is None else exog[:300])
    whole = forecaster.backtest(y, exog, start=310).forecasts[0]
    changed, other = y.copy(), exog
    changed[310:] = -7
    if exog is not None:
        other = exog.copy()
        other[313:] = 99
    np.testing.assert_array_equal(forecaster.backtest(changed, other, start=310).forecasts[0], whole)
    past = {} if exog is None else {"exog": exog[310:313], "past_exog": exog[:310]}
    np.testing.assert_array_equal(forecaster.predict(y=y[:310], **past), whole)


def test_training_knows_its_part_alone():
    y = wave()
    a = small(horizon=3).fit(y[:300])
    b = small(horizon=3).fit(np.concatenate([y[:300], np.zeros(0)]))
    np.testing.assert_array_equal(a.model_.flat, b.model_.flat)
    np.testing.assert_array_equal(a.predict(), a.predict(y=y[:300]))


def test_columns_help():
    rng = np.random.default_rng(3)
    set_price = rng.normal(size=400)
    y = 5 * set_price + 0.1 * rng.normal(size=400)
    with_it = small(max_iter=60).fit(y[:300], set_price[:300])
    assert with_it.backtest(y, set_price, start=300).rmse < 2
    assert small(max_iter=60).fit(y[:300]).backtest(y, start=300).rmse > 4


def test_quantiles():
    y = wave(800)
    forecaster = small(horizon=4, quantiles=(0.1, 0.5, 0.9), season=24).fit(y[:600])
    assert forecaster.predict().shape == (4, 3)
    tested = forecaster.backtest(y, start=600)
    assert (np.diff(tested.forecasts, axis=2) >= 0).all()
    assert 0.6 < tested.coverage < 0.95
    assert np.isnan(small().fit(y[:600]).backtest(y, start=600).coverage)


@pytest.mark.parametrize("quantiles", [[0.1, 0.9], [0.9], (0.2, 0.4, 0.9)])
def test_quantiles_without_a_median_are_not_judged(quantiles, tmp_path):
    """No bound is measured as if it were the forecast; of others .5 is, wherever it is."""
    y = wave(400)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        forecaster = small(quantiles=quantiles, max_iter=1).fit(y[:300])
        tested = forecaster.backtest(y, start=300)
    assert forecaster.held_out_["rmse"] is None
    assert forecaster.held_out_["last_rmse"] > 0
    assert np.isnan([tested.rmse, tested.mae]).all()
    assert tested.quantiles == tuple(quantiles)
    for said in (str(forecaster), str(tested)):
        assert "no RMSE without a quantile of .5" in said
    forecaster.save(tmp_path / "m")
    assert str(gru_rs.load(tmp_path / "m")) == str(forecaster)
    with pytest.raises(ValueError, match=r"options: expected quantiles with \.5"):
        gru_rs.compare("forecast", y, options={"quantiles": quantiles, "window": 8, "max_iter": 1})


def test_the_median_is_judged_wherever_it_is():
    y = wave(400)
    forecaster = small(quantiles=[0.5, 0.8, 0.9], season=24, max_iter=5).fit(y[:300])
    tested = forecaster.backtest(y, start=300)
    errors = tested.forecasts[..., 0] - tested.actual
    assert tested.rmse == pytest.approx(np.sqrt(np.mean(errors**2)))
    assert tested.mae == pytest.approx(np.mean(np.abs(errors)))


def test_refits_see_what_is_known_by_then():
    y = wave()
    forecaster = small(max_iter=2).fit(y[:300])
    tested = forecaster.backtest(y, start=300, step=20, refit_every=2)
    again = small(max_iter=2).fit(y[:340]).backtest(y[:361], start=340, step=20)
    assert tested.origins.tolist() == [300, 320, 340, 360, 380]
    np.testing.assert_array_equal(tested.forecasts[2:4], again.forecasts)


def test_early_stopping_holds_out_the_end():
    y = wave()
    forecaster = small(early_stopping=True, max_iter=5).fit(y)
    assert len(forecaster.validation_scores_) == forecaster.n_iter_
    changed = y.copy()
    changed[-forecaster.held_out_["windows"] :] *= 2
    options = {"scale": False, "season": None, "early_stopping": True, "max_iter": 1, "horizon": 4}
    a, b = (small(**options).fit(values) for values in (y, changed))
    np.testing.assert_array_equal(a.model_.flat, b.model_.flat)


@pytest.mark.parametrize(("horizon", "held"), [(1, 6), (9, 9), (11, 11), (20, 12)])
def test_a_horizon_of_windows_is_held_out(horizon, held):
    """Of 60 windows a tenth, but a horizon of them up to a fifth."""
    y = np.random.default_rng(0).normal(size=24 + horizon + 60)
    made = small(season=None, horizon=horizon, max_iter=1).fit(y)
    assert made.held_out_["windows"] == held


@pytest.mark.parametrize(("count", "stops"), [(25 + 19, False), (25 + 20, True), (400, True)])
def test_early_stopping_by_itself(count, stops):
    """From 20 windows on; reproducible, and it says why it ended."""
    y = np.random.default_rng(0).normal(size=count)
    a, b = (small(season=None, max_iter=30, horizon=1).fit(y) for _ in range(2))
    assert a.early_stopping_ is stops
    assert (a.held_out_ is not None) is stops
    assert a.loss_curve_ == b.loss_curve_
    assert a.stop_reason_ == b.stop_reason_ is not None
    if stops:
        assert a.held_out_["windows"] == max(1, round((count - 25) * 0.1))


def test_early_stopping_of_many_windows():
    """Of 10,000 windows no network of some epochs learns any by heart."""
    y = np.sin(np.arange(10_026) / 3)
    assert not small(window=2, horizon=1, season=None, max_iter=1, hidden_size=2).fit(y).early_stopping_
    assert small(window=2, season=None, max_iter=1, hidden_size=2).fit(y[:10_001]).early_stopping_


def test_it_says_when_a_naive_forecast_is_better():
    rng = np.random.default_rng(5)
    y = np.resize(10 * rng.normal(size=12), 200) + 0.01 * rng.normal(size=200)
    # A network that only learnt to disturb.
    loud = small(season=12, horizon=2, learning_rate_init=0.5, early_stopping=False, max_iter=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loud.fit(y[:150])
    with pytest.warns(
        UserWarning, match="in the backtest the RMSE of the forecasts is .*% more than that of what"
    ):
        tested = loud.backtest(y, start=150)
    assert tested.rmse > tested.naive_rmse
    with pytest.warns(UserWarning, match=r"on the \d+ windows that were held out the RMSE"):
        held = clone(loud).set_params(early_stopping=True, max_iter=1).fit(y).held_out_
    assert held["rmse"] > held["season_rmse"]


def test_what_a_fitted_one_says():
    y = wave()
    forecaster = small(horizon=3, max_iter=4)
    assert str(forecaster) == repr(forecaster)
    first, second, third = str(forecaster.fit(y)).split("\n")
    assert first == "Forecaster: 400 times, a season of 24 (found); 3 ahead from the last 24 by GRU 8"
    held = forecaster.held_out_
    errors = f"RMSE {held['rmse']:.4g}, {held['last_rmse']:.4g} of the last value"
    assert second == f"held out, the last 35 windows: {errors}, {held['season_rmse']:.4g} of a season before"
    assert third == "training ended after 4 epochs: max_iter: 4 epochs"
    assert eval(repr(forecaster), {"Forecaster": Forecaster}).get_params() == forecaster.get_params()
    untested = str(small(early_stopping=False, max_iter=1, season=None, cell="lstm").fit(y)).split("\n")
    assert untested[1:] == [
        "held out: nothing; backtest() says how good it is",
        "training ended after 1 epoch: max_iter: 1 epochs",
    ]
    assert "no season; 1 ahead from the last 24 by LSTM 8" in untested[0]


# Seasons


@pytest.mark.parametrize("period", [4, 7, 12, 24])
def test_a_season_is_found(period):
    rng = np.random.default_rng(period)
    shape = rng.normal(size=period)
    y = np.resize(10 * shape, 240) + rng.normal(size=240).cumsum()
    assert find_season([y]) == period
    assert find_season([1e6 + 1e3 * y]) == period
    assert find_season([y[:100], -3 * y[100:]]) == period
    assert small(window=12, max_iter=1).fit(y).season_ == period
    assert small(window=12, max_iter=1, season=None).fit(y).season_ is None
    wave = np.sin(np.arange(150) * 2 * np.pi / period) + 0.1 * rng.normal(size=150)
    assert find_season([wave]) == period


@pytest.mark.parametrize(("period", "noise"), [(96, 0.1), (96, 0.3), (48, 0.3), (48, 0.1)])
def test_a_slow_wave_has_no_short_season(period, noise):
    """Its correlations are high at all short lags, where noise makes peaks: 3 was found in 20 of 20."""
    rng = np.random.default_rng(period)
    times = np.arange(20 * period)
    waves = [np.sin(2 * np.pi * times / period) + noise * rng.normal(size=len(times)) for _ in range(10)]
    found = [find_season([wave]) for wave in waves]
    assert all(season is None or abs(season - period) < period / 4 for season in found), found
    assert sum(season is not None for season in found) >= 9


def test_no_season_is_made_up():
    rng = np.random.default_rng(0)
    found = [find_season([rng.normal(size=200).cumsum()]) for _ in range(40)]
    found += [find_season([rng.normal(size=200)]) for _ in range(40)]
    assert sum(season is not None for season in found) <= 3
    for none in (np.arange(50.0), np.ones(50), np.zeros(3), np.array([1.0]), np.array([])):
        assert find_season([none]) is None
    assert find_season([]) is None


def test_a_season_that_costs_most_windows_is_not_taken():
    y = wave(110)
    assert find_season([y]) == 24
    assert small(window=70, max_iter=1).fit(y).season_ is None
    assert small(window=20, max_iter=1).fit(y).season_ == 24


def test_what_forecasts_begin_with():
    """The nearest in training, for each step ahead."""
    rng = np.random.default_rng(2)
    season = np.resize(10 * rng.normal(size=12), 600)
    options = {"season": 12, "horizon": 13, "window": 6, "max_iter": 1}
    noise = small(**options).fit(season + rng.normal(size=600))
    assert (noise.base_[:11] == 1).all(), "noise about a season"
    assert noise.base_[11] == 0, "which is the last value there"
    walk = small(**options).fit(season + rng.normal(size=600).cumsum())
    assert (walk.base_[:4] == 2).all(), "a walk with a season"
    none = small(**options).fit(rng.normal(size=600).cumsum())
    assert (none.base_[:6] == 0).all(), "a walk without one"


# What is known when

COUNT = 70


def drawn(draw, shape):
    return np.random.default_rng(draw(st.integers(0, 99))).normal(size=shape).cumsum(axis=0)


@st.composite
def tables(draw):
    options = {
        "horizon": draw(st.integers(1, 4)),
        "window": draw(st.integers(1, 8)),
        "season": draw(st.sampled_from([None, 1, 3, 5, "auto"])),
        "gaps": draw(st.sampled_from(["refuse", "fill", "mask"])),
        "scale": draw(st.booleans()),
        "cell": draw(st.sampled_from(["gru", "lstm"])),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "hidden_size": 3,
        "max_iter": 1,
        "random_state": 0,
    }
    options |= draw(st.sampled_from([{}, {"levels": [0.5, 0.8]}, {"quantiles": [0.1, 0.7, 0.8]}]))
    targets = draw(st.integers(1, 3))
    y = drawn(draw, COUNT if targets == 1 and draw(st.booleans()) else (COUNT, targets))
    exog = drawn(draw, (COUNT, 2)) if draw(st.booleans()) else None
    observed = drawn(draw, (COUNT, 2)) if draw(st.booleans()) else None
    if options["gaps"] != "refuse":
        y[draw(st.lists(st.integers(1, COUNT - 1), max_size=4))] = np.nan
        if observed is not None:
            observed[draw(st.lists(st.integers(1, COUNT - 1), max_size=3)), 0] = np.nan
    return options, y, exog, observed


def head(array, count):
    return None if array is None else array[:count]


@given(tables())
def test_forecasts_know_what_is_known(table):
    """With all options: later values, but for columns of the horizon, change no bit; `predict` of the past is
    the backtest; a file, a pickle and a copy for prediction say the same.
    """
    options, y, exog, observed = table
    forecaster = Forecaster(**options).fit(y, exog, observed=observed)
    start, horizon = 50, options["horizon"]
    whole = forecaster.backtest(y, exog, observed=observed, start=start)
    shape = (*y.shape[1:], *((5,) if "levels" in options else (3,) if "quantiles" in options else ()))
    assert whole.forecasts.shape == (COUNT - horizon - start + 1, horizon, *shape)
    assert whole.actual.shape == whole.naive.shape == whole.last.shape
    np.testing.assert_array_equal(whole.actual[-1], y[-horizon:])
    changed, later, seen = y.copy(), exog, observed
    changed[start:] = 7
    if exog is not None:
        later = exog.copy()
        later[start + horizon :] = 9
    if observed is not None:
        seen = observed.copy()
        seen[start:] = -5
    other = forecaster.backtest(changed, later, observed=seen, start=start)
    np.testing.assert_array_equal(other.forecasts[0], whole.forecasts[0])
    np.testing.assert_array_equal(other.last[0], whole.last[0])
    np.testing.assert_array_equal(other.naive[0], whole.naive[0])
    future = None if exog is None else exog[start : start + horizon]
    given = {"y": y[:start], "past_exog": head(exog, start), "observed": head(observed, start)}
    np.testing.assert_array_equal(forecaster.predict(future, **given), whole.forecasts[0])
    again = pickle.loads(pickle.dumps(forecaster))
    np.testing.assert_array_equal(again.predict(future), forecaster.predict(future))
    whole_past = {"y": y, "past_exog": exog, "observed": observed}
    np.testing.assert_array_equal(forecaster.predict(future, **whole_past), forecaster.predict(future))
    assert clone(forecaster).get_params() == forecaster.get_params()


@given(tables())
def test_files_of_all_options(tmp_path_factory, table):
    options, y, exog, observed = table
    forecaster = Forecaster(**options).fit(y, exog, observed=observed)
    path = tmp_path_factory.mktemp("files") / "m"
    forecaster.save(path)
    again = gru_rs.load(path)
    future = None if exog is None else exog[: options["horizon"]]
    np.testing.assert_array_equal(again.predict(future), forecaster.predict(future))
    assert str(again) == str(forecaster)
    validate = (y, exog, observed)
    small = forecaster.quantize("f16", validate=validate)
    assert small.quantization_.max_difference >= 0
    assert small.predict(future).shape == forecaster.predict(future).shape
    again.set_params(warm_start=True).fit(y, exog, observed=observed)
    assert again.n_iter_ == forecaster.n_iter_ + 1


@pytest.mark.parametrize("options", [{"season": None}, {"season": 5}, {"season": 5, "quantiles": [0.2, 0.8]}])
def test_files_and_pickles_of_before(tmp_path, options):
    """Of one series, with the difference from the last value or from a season before."""
    y = wave(120)
    base = 0 if options["season"] is None else 1
    made = small(horizon=9, window=3, early_stopping=False, max_iter=2, **options)
    exog = np.arange(120.0) % 7
    made.fit(y, exog)
    made.base_ = np.full((9, 1), base)
    expected = made.predict(np.arange(9.0))
    made.save(tmp_path / "new")
    data = (tmp_path / "new").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    text = json.loads(header["__metadata__"]["gru_rs"])
    learnt, kept = text["learnt"], ("n_exog_", "exog_names_", "scale_", "loss_curve_", "validation_scores_")
    old = {name: learnt[name] for name in (*kept, "best_validation_score_", "n_iter_", "stop_reason_")}
    old["target_scale_"] = float(made.target_scale_[0])
    length = max(3 + (options["season"] or 1), 10 if base else 9) + 9  # as it was
    old["history_"] = {"array": {"list": y[-length:].tolist()}, "dtype": "<f8"}
    columns = [{"list": [one]} for one in exog[-length:].tolist()]
    old["history_exog_"] = {"array": {"list": columns}, "dtype": "<f8"}
    text["learnt"] = old
    del text["checksum"]
    for name in ("levels", "gaps"):
        del text["parameters"][name]
    header["__metadata__"] = {"gru_rs": json.dumps(text)}
    head = json.dumps(header).encode()
    (tmp_path / "old").write_bytes(struct.pack("<Q", len(head)) + head + data[8 + size :])
    again = gru_rs.load(tmp_path / "old")
    np.testing.assert_array_equal(again.predict(np.arange(9.0)), expected)
    np.testing.assert_array_equal(
        again.backtest(y, exog, start=90).forecasts, made.backtest(y, exog, start=90).forecasts
    )
    again.save(tmp_path / "again")
    np.testing.assert_array_equal(gru_rs.load(tmp_path / "again").predict(np.arange(9.0)), expected)


# Gaps


@pytest.mark.parametrize("gaps", ["fill", "mask"])
def test_gaps_are_never_targets(gaps):
    y = wave(300)
    broken = y.copy()
    broken[[100, 101, 200]] = np.nan
    forecaster = small(gaps=gaps, horizon=2, early_stopping=False, season=24).fit(broken)
    reach = forecaster._reach()
    whole, without = small(horizon=2, season=24).fit(y), forecaster
    assert without.n_values_ == whole.n_values_ == 300
    assert reach.masked is (gaps == "mask")
    tested = forecaster.backtest(broken, start=190)
    assert np.isnan(tested.actual).sum() == 2
    assert np.isfinite([tested.rmse, tested.mae, tested.naive_rmse, tested.last_rmse]).all()
    leading = np.concatenate([[np.nan, np.nan], broken])
    np.testing.assert_array_equal(forecaster.predict(y=leading), forecaster.predict(y=broken))
    later = forecaster.backtest(leading, start=192)
    np.testing.assert_array_equal(later.forecasts, tested.forecasts)
    np.testing.assert_array_equal(later.origins, tested.origins + 2)


def test_what_is_read_in_a_gap():
    """The last value that was known; with a mask the network is told so."""
    y = wave(200)
    broken, carried = y.copy(), y.copy()
    broken[190:195], carried[190:195] = np.nan, y[189]
    for gaps, same in (("fill", True), ("mask", False)):
        trained = small(gaps=gaps, max_iter=3).fit(np.where(np.arange(200) % 31 == 30, np.nan, y))
        found = [trained.predict(y=one)[0] for one in (broken, carried)]
        assert bool(found[0] == found[1]) is same


@pytest.mark.parametrize("missing", [[1.0, None, 3.0], [1.0, float("nan"), 3.0]])
def test_gaps_of_lists_and_masked_arrays(missing):
    y = list(wave(60)) + missing
    masked = np.ma.masked_invalid(np.array(y, float))
    options = {"gaps": "mask", "window": 6, "season": None, "max_iter": 1, "random_state": 0}
    found = [Forecaster(**options).fit(one).predict() for one in (y, masked, np.array(y, float))]
    assert found[0] == found[1] == found[2]


# Intervals


def test_intervals_hold_what_they_say():
    """Of noise the right share lies within, for each step ahead; wider ones hold narrower ones."""
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(4):
        y = np.zeros(900)
        for step in range(1, 900):
            y[step] = 0.7 * y[step - 1] + rng.normal()
        made = small(horizon=3, levels=[0.5, 0.8, 0.95], max_iter=5, season=None).fit(y[:500])
        tested = made.backtest(y, start=500)
        assert (np.diff(tested.forecasts, axis=2) >= 0).all()
        shares.append(list(tested.coverages.values()))
        assert tested.coverage == tested.coverages[0.95]
    np.testing.assert_allclose(np.mean(shares, axis=0), [0.5, 0.8, 0.95], atol=0.05)


def test_wide_intervals_of_few_held_out_windows():
    """Those of early stopping are too few for a level of .995; all together are not."""
    y = np.random.default_rng(0).normal(size=10_100)
    options = {"levels": [0.995], "validation_fraction": 0.01, "batch_size": 2000, "max_iter": 1}
    fitted = small(window=4, season=None, **options).fit(y)
    assert fitted.held_out_["windows"] == 101
    assert 2 < float(fitted.margins_[0, 0, 0]) < 4


def test_a_longer_window_than_is_kept():
    y = wave(300)
    forecaster = small(window=8, season=None, max_iter=1).fit(y).set_params(window=9)
    np.testing.assert_array_equal(forecaster.predict(), forecaster.predict(y=y))
    forecaster.set_params(window=50)
    assert forecaster.predict(y=y).shape == (1,)
    with pytest.raises(
        ValueError, match=r"y, of which the end .* is kept: expected at least 51 values, got 10"
    ):
        forecaster.predict()
    with pytest.raises(ValueError, match=r"y: expected at least 51 values, got 50"):
        forecaster.predict(y=y[:50])


def test_intervals_are_measured_once():
    y = wave(300)
    calls = []
    made = small(levels=[0.9], max_iter=2, callbacks=[calls.append]).fit(y)
    assert sum(info.event == "epoch" for info in calls) == 2, "of the network that was asked for alone"
    assert made.margins_.shape == (1, 1, 1)
    again = small(levels=[0.9], max_iter=2).fit(y)
    np.testing.assert_array_equal(again.margins_, made.margins_)
    plain = small(max_iter=2).fit(y)
    np.testing.assert_array_equal(plain.predict(), made.predict()[:, 1])
    with pytest.raises(
        ValueError, match="levels: expected those of a fit that has ended, got 2 where the fit has 1"
    ):
        made.set_params(levels=[0.5, 0.9]).predict()


def test_files(tmp_path):
    y = wave()
    forecaster = small(horizon=2, max_iter=2, quantiles=[0.2, 0.8]).fit(y, np.arange(len(y)) % 7)
    forecaster.save(tmp_path / "m")
    again = gru_rs.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict([[1], [2]]), forecaster.predict([[1], [2]]))


MISTAKES = [
    (lambda: small(horizon=0).fit(wave()), "horizon: expected a positive integer"),
    (lambda: small(window=0).fit(wave()), "window: expected a positive integer"),
    (lambda: small(season=0).fit(wave()), "season: expected a positive integer"),
    (lambda: small(loss="cubic").fit(wave()), "loss: expected"),
    (lambda: small(quantiles=[0.9, 0.1]).fit(wave()), "quantiles: expected rising levels"),
    (lambda: small(quantiles=[0.0]).fit(wave()), "levels: expected"),
    (lambda: small(horizon=3, season=24).fit(wave(50)), "y: expected at least 51 values"),
    (lambda: small().fit([1.0, np.nan] * 50), "y: expected finite numbers"),
    (lambda: small().fit(np.ones((50, 2, 1))), "y: expected numbers of shape (n,) or (n, K)"),
    (lambda: small(season="yearly").fit(wave()), "season: expected 'auto'"),
    (lambda: small(gaps="drop").fit(wave()), "gaps: expected 'refuse' or 'fill' or 'mask'"),
    (lambda: small(early_stopping="no").fit(wave()), "early_stopping: expected 'auto'"),
    (lambda: small(early_stopping=1).fit(wave()), "early_stopping: expected a bool"),
    (lambda: small(levels=[0.5], quantiles=[0.5]).fit(wave()), "levels: expected None with quantiles"),
    (lambda: small(levels=0.9).fit(wave()), "levels: expected a list of numbers"),
    (lambda: small(levels=[]).fit(wave()), "levels: expected a list of numbers"),
    (lambda: small(levels=[1.0]).fit(wave()), "levels: expected numbers of (0, 1)"),
    (lambda: small(levels=[0.9, 0.5]).fit(wave()), "levels: expected rising levels"),
    (
        lambda: small(levels=[0.99], season=None).fit(wave(60)),
        "levels: expected at least 99 windows for a level",
    ),
    (lambda: small(gaps="fill").fit([1.0, np.inf] * 50), "y: expected finite numbers, got infinity in row 1"),
    (lambda: small().fit([1.0, np.nan] * 50), "gaps='fill' or gaps='mask'"),
    (lambda: small(gaps="fill").fit([np.nan] * 50), "y: expected a value in each column, got none"),
    (
        lambda: small(gaps="fill", horizon=2).fit([1.0, np.nan] * 50),
        "y: expected a window whose horizon has no gap",
    ),
    (lambda: small(gaps="fill").fit(wave(), [np.nan] * 400), "exog: expected finite numbers"),
    (
        lambda: small(max_iter=1).fit(wave(), observed=wave()).predict(y=wave()),
        "observed: expected 1 columns as in training, got 0",
    ),
    (
        lambda: small(max_iter=1).fit(wave(), observed=wave()).predict(observed=wave()),
        "observed: expected with y",
    ),
    (lambda: small().fit(wave(), observed=wave(9)), "observed: expected numbers of shape (400, k)"),
    (
        lambda: small(max_iter=1).fit(np.ones((60, 2))).predict(y=wave()),
        "y: expected 2 columns as in training, got 1",
    ),
    (
        lambda: small(max_iter=1).fit(wave()).quantize(validate=(wave(),) * 4),
        "validate: expected y, or a tuple of y, exog and observed, got one of 4",
    ),
    (
        lambda: small(early_stopping=True, season=None).fit(wave(26)),
        "early_stopping: expected at least 2 windows",
    ),
    (lambda: small().fit(wave(), np.ones(3)), "exog: expected numbers of shape (400, k)"),
    (
        lambda: (
            small(max_iter=1).fit(wave(), wave()).predict([1.0], y=wave(), past_exog=[[np.nan]] * len(wave()))
        ),
        "past_exog: expected finite numbers, got NaN",
    ),
    (lambda: small(max_iter=1).fit(wave()).predict([1.0]), "exog: expected 0 columns as in training, got 1"),
    (
        lambda: small(max_iter=1).fit(wave(), np.ones(400)).predict(),
        "exog: expected 1 columns as in training",
    ),
    (lambda: small(max_iter=1).fit(wave()).predict(y=wave(9)), "y: expected at least 48 values, got 9"),
    (
        lambda: small(max_iter=1).fit(wave()).backtest(wave(), start=3),
        "start: expected an integer from 48 to 399",
    ),
    (lambda: small(max_iter=1).fit(wave()).backtest(wave(), start=400), "start: expected an integer from"),
]


@pytest.mark.parametrize("case", range(len(MISTAKES)))
def test_mistakes_are_named(case):
    call, message = MISTAKES[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert message in str(caught.value)


def squares(scores, targets):
    off = scores - targets
    return float((off**2).mean()), (2 * off / off.size).astype(scores.dtype)


@pytest.mark.parametrize("how", [{}, {"early_stopping": True}, {"levels": [0.5]}, {"horizon": 3}])
def test_a_loss_of_ones_own(how, tmp_path):
    """Squares as a function are the squares that come with it."""
    y = np.stack([wave(), wave()[::-1]], axis=1) if how.get("horizon") == 3 else wave()
    options = {"early_stopping": False, "dtype": "float64", "max_iter": 3} | how
    own, plain = (small(loss=loss, **options).fit(y) for loss in (squares, "squared"))
    np.testing.assert_allclose(own.predict(), plain.predict(), rtol=1e-9)
    np.testing.assert_allclose(own.loss_curve_, plain.loss_curve_, rtol=1e-9)
    if own.validation_scores_ is not None:
        np.testing.assert_allclose(own.validation_scores_, plain.validation_scores_, rtol=1e-9)
    own.save(tmp_path / "model")
    with pytest.raises(ValueError, match="loss: expected the function squares, got None"):
        gru_rs.load(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model", loss=squares)
    np.testing.assert_array_equal(again.predict(), own.predict())
    assert again.backtest(y, start=len(y) - 9).rmse == own.backtest(y, start=len(y) - 9).rmse


def test_outliers_pull_less_with_huber(tmp_path):
    rng = np.random.default_rng(0)
    y = rng.normal(size=400)
    y[rng.choice(400, 20, replace=False)] += 30
    options = {"season": None, "early_stopping": False, "max_iter": 20, "learning_rate_init": 0.02}
    squared, huber, wide = (
        small(loss=loss, huber_delta=delta, **options).fit(y)
        for loss, delta in (("squared", 1.0), ("huber", 0.05), ("huber", 1e6))
    )
    around = [abs(np.median(model.backtest(y, start=300).forecasts)) for model in (squared, huber)]
    assert around[1] < around[0]
    half = small(loss="squared", dtype="float64", max_iter=2, **SHORT).fit(y)
    same = small(loss="huber", huber_delta=1e6, dtype="float64", max_iter=2, **SHORT).fit(y)
    np.testing.assert_allclose(np.array(same.loss_curve_) * 2, half.loss_curve_, rtol=0.05)
    assert wide.huber_delta == 1e6
    huber.save(tmp_path / "model")
    assert gru_rs.load(tmp_path / "model").huber_delta == 0.05


SHORT = {"season": None, "early_stopping": False}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss": squares, "quantiles": [0.5]}, "quantiles: expected None with a function as loss"),
        ({"huber_delta": 0}, "huber_delta: expected a positive finite number, got 0"),
        ({"huber_delta": np.inf}, "huber_delta: expected a positive finite number, got inf"),
        ({"loss": "quantile"}, "loss: expected 'squared' or 'absolute' or 'huber', got 'quantile'"),
        ({"loss": lambda *_: 1.0}, r"loss: expected a function that returns \(loss, gradient\)"),
        (
            {"loss": lambda scores, _: (1.0, scores[:, :0])},
            "loss: expected a gradient of numbers, shape",
        ),
    ],
)
def test_losses_that_cannot_be(given, message):
    with pytest.raises((ValueError, TypeError), match=message):
        small(**given).fit(wave())


def test_a_fit_that_fails_leaves_the_forecaster_as_it_was():
    calls = []

    def fails(*_):
        calls.append(1)
        raise RuntimeError("no loss today")

    y = wave()
    model = small(early_stopping=False).fit(y)
    before, said = dict(vars(model)), model.predict()
    for warm in (False, True):
        model.set_params(loss=fails, warm_start=warm)
        with pytest.raises(RuntimeError, match="no loss today"):
            model.fit(y)
        model.set_params(loss="squared", warm_start=False)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[name] is value for name, value in before.items() if name.endswith("_"))
        np.testing.assert_array_equal(model.predict(), said)
    assert len(calls) == 2
    fresh = small(loss=fails)
    with pytest.raises(RuntimeError, match="no loss today"):
        fresh.fit(y)
    assert not hasattr(fresh, "model_")
    assert not hasattr(fresh, "season_")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"horizon": 3}, "horizon: expected 2 as in the fit before, got 3"),
        ({"scale": False}, "scale: expected True as in the fit before, got False"),
        ({"season": 4}, "season: expected None as in the fit before, got 4"),
        ({"quantiles": [0.1, 0.5]}, "quantiles: expected 1 numbers a step as in the fit before"),
        ({"window": 9}, "window: expected as in the fit before, which kept"),
        ({"gaps": "mask"}, "gaps: expected 'refuse' or 'fill' as in the fit before, got 'mask'"),
        ({"hidden_size": 9}, "hidden_size: expected"),
        ({"dtype": "float64"}, "dtype: expected float32 as in the fit before, got float64"),
    ],
)
def test_what_is_set_between_fits_is_not_taken_in_silence(changed, message, tmp_path):
    options = {"horizon": 2, "season": None, "early_stopping": False, "window": 8, "max_iter": 1}
    model = small(**options).fit(wave())
    model.set_params(warm_start=True, **changed)
    with pytest.raises(ValueError, match=message):
        model.fit(wave())
    with pytest.raises(ValueError, match=message):
        model.save(tmp_path / "model")
    model.set_params(**{name: small(**options).get_params()[name] for name in changed})
    assert model.fit(wave()).n_iter_ == 2


@pytest.mark.parametrize(("period", "off"), [(40, 0), (60, 0), (100, 1), (150, 1), (250, 2)])
def test_slow_seasons_are_not_found_short(period, off):
    """The highest of correlations that are nearly flat is short of the season: by 14 of 250 steps."""
    rng = np.random.default_rng(5)
    for _ in range(8):
        time = np.arange(int(period * rng.uniform(5, 10)))
        wave = np.sin(2 * np.pi * time / period + rng.uniform(0, 6)) + 0.4 * np.sin(4 * np.pi * time / period)
        found = find_season([wave + 0.1 * rng.normal(size=len(time))])
        assert found is None or abs(found - period) <= off
    assert find_season([wave]) == period


@pytest.mark.parametrize("season", [7, 12, 24, 48, 52, 168])
def test_sharp_seasons_are_where_their_peak_is(season):
    rng = np.random.default_rng(season)
    for times in (4, 9):
        pattern = rng.normal(size=season)
        assert (
            find_season([np.resize(pattern, season * times) + rng.normal(size=season * times) / 10]) == season
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "huber", "quantiles": [0.1, 0.5]}, "loss: expected the default with quantiles"),
        (
            {"huber_delta": 2.0},
            "huber_delta: expected 1.0 without loss='huber', which it belongs to, got 2.0",
        ),
    ],
)
def test_no_part_of_another_loss_is_taken(options, message):
    with pytest.raises(ValueError, match=message):
        Forecaster(max_iter=1, **options).fit(np.arange(60.0))

"""Forecasts: what is known when, columns, quantiles, seasons, rolling origins, files, mistakes."""

import gru_rs
import numpy as np
import pytest
from gru_rs import Forecaster


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
    (lambda: small().fit(np.ones((50, 2))), "y: expected numbers of shape (n,)"),
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
    (lambda: small(max_iter=1).fit(wave()).predict(y=wave(9)), "y: expected at least 25 values, got 9"),
    (
        lambda: small(max_iter=1).fit(wave()).backtest(wave(), start=3),
        "start: expected an integer from 25 to 399",
    ),
    (lambda: small(max_iter=1).fit(wave()).backtest(wave(), start=400), "start: expected an integer from"),
]


@pytest.mark.parametrize("case", range(len(MISTAKES)))
def test_mistakes_are_named(case):
    call, message = MISTAKES[case]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    assert message in str(caught.value)

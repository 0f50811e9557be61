"""Dates in, dates out: indexes and columns of pandas and polars, frequencies, changes of clocks, gaps."""

import subprocess
import sys

import gru_rs
import numpy as np
import pandas as pd
import polars as pl
import pytest
from gru_rs import Forecaster
from gru_rs.estimators._dates import expect_calendar

pytestmark = pytest.mark.filterwarnings("ignore:.*the RMSE of the forecasts is")
OPTIONS = {"window": 6, "hidden_size": 4, "max_iter": 1, "horizon": 3, "season": None, "random_state": 0}
COUNT = 45
VALUES = np.random.default_rng(0).normal(size=COUNT).cumsum()
PLAIN = [
    "h",
    "15min",
    "7h",
    "D",
    "2D",
    "B",
    "W-TUE",
    "2W-MON",
    "MS",
    "ME",
    "3MS",
    "QS-FEB",
    "QE",
    "YS",
    "YE-JUN",
]
PANDAS_ALONE = ["BME", "BQE"]
ZONES = [None, "UTC", "Europe/Berlin", "America/New_York"]


def made(**options):
    return Forecaster(**OPTIONS | options)


def dates(frequency, zone, begin):
    """Dates, and those that come after them."""
    whole = pd.date_range(begin, periods=COUNT + 3, freq=frequency, tz=zone)
    return whole[:COUNT], whole[COUNT:]


@pytest.mark.parametrize("begin", ["2020-03-20", "2020-10-20"])  # the clocks change within
@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("frequency", PLAIN + PANDAS_ALONE)
def test_the_dates_that_come_next(frequency, zone, begin):
    index, after = dates(frequency, zone, begin)
    expected = made().fit(VALUES).predict()
    silent = pd.DatetimeIndex(list(index), name="when")  # says no frequency
    for given in (index, silent):
        found = made().fit(pd.Series(VALUES, given, name="sales")).predict()
        assert isinstance(found, pd.Series)
        assert list(found.index) == list(after)
        assert found.name == "sales"
        assert found.index.tz == index.tz
        assert found.index.name == given.name
        np.testing.assert_array_equal(found.to_numpy(), expected)
    assert made().fit(pd.Series(VALUES, index)).predict().index.freq == index.freq
    if frequency in PANDAS_ALONE:
        return
    frame = pl.from_pandas(pd.DataFrame({"when": silent, "sales": VALUES}))
    found = made().fit(frame).predict()
    assert found.columns == ["when", "sales"]
    assert found.schema == frame.schema
    assert found["when"].to_list() == [one.to_pydatetime() for one in after]


@pytest.mark.parametrize("frequency", ["D", "B", "W-TUE", "ME", "MS", "QE"])
def test_dates_of_polars_without_a_time(frequency):
    index, after = dates(frequency, None, "2019-01-01")
    frame = pl.DataFrame({"day": [one.date() for one in index], "x": VALUES})
    found = made().fit(frame).predict()
    assert found.schema == frame.schema
    assert found["day"].to_list() == [one.date() for one in after]


@pytest.mark.parametrize("day", [15, 29, 30, 31])
def test_days_that_a_month_does_not_have(day):
    """They come back as soon as a month has them."""
    begin = pd.date_range("2021-01-01", periods=COUNT + 3, freq="MS")
    days = [one + pd.Timedelta(days=min(day, one.days_in_month) - 1) for one in begin]
    for last in range(COUNT - 12, COUNT):
        frame = pl.DataFrame({"t": days[:last], "x": VALUES[:last]})
        assert made().fit(frame).predict()["t"].to_list() == days[last : last + 3]


@pytest.mark.parametrize("frequency", ["M", "Q", "Q-NOV", "D", "W", "Y", "h", "2D"])
def test_periods(frequency):
    whole = pd.period_range("2020-01", periods=COUNT + 3, freq=frequency)
    found = made().fit(pd.Series(VALUES, whole[:COUNT])).predict()
    assert isinstance(found.index, pd.PeriodIndex)
    assert list(found.index) == list(whole[COUNT:])


def test_tables():
    """Several targets, quantiles, levels, and a column of dates."""
    index, after = dates("D", None, "2020-01-01")
    both = pd.DataFrame({"a": VALUES, "b": VALUES[::-1]}, index)
    plain = made().fit(both.to_numpy()).predict()
    found = made().fit(both).predict()
    assert list(found.columns) == ["a", "b"]
    assert list(found.index) == list(after)
    np.testing.assert_array_equal(found.to_numpy(), plain)
    wide = made(quantiles=[0.1, 0.9]).fit(both).predict()
    assert list(wide.columns) == [("a", 0.1), ("a", 0.9), ("b", 0.1), ("b", 0.9)]
    levels = made(levels=[0.5, 0.8]).fit(both["a"]).predict()
    assert list(levels.columns) == ["lower 0.8", "lower 0.5", "forecast", "upper 0.5", "upper 0.8"]
    column = both.reset_index(names="when")
    found = made().fit(column).predict()
    assert list(found.columns) == ["when", "a", "b"]
    assert list(found["when"]) == list(after)
    found = made(levels=[0.8]).fit(pl.from_pandas(column)).predict()
    assert found.columns[:4] == ["when", "a lower 0.8", "a forecast", "a upper 0.8"]
    array = made().fit(VALUES).predict(y=both["a"])
    assert list(array.index) == list(after), "a series with dates to go on with"
    assert isinstance(made().fit(both["a"]).predict(y=VALUES), np.ndarray)


def test_files_keep_dates(tmp_path):
    index, after = dates("ME", "Europe/Berlin", "2020-01-01")
    panel = {"p": pd.Series(VALUES, index), "q": pl.DataFrame({"t": list(index), "v": VALUES}), "r": VALUES}
    with pytest.raises(ValueError, match="y: expected the columns of series 'p'"):
        made().fit(panel)
    del panel["q"]
    forecaster = made().fit(panel)
    forecaster.save(tmp_path / "m")
    found = gru_rs.load(tmp_path / "m").predict()
    pd.testing.assert_series_equal(found["p"], forecaster.predict()["p"])
    assert list(found["p"].index) == list(after)
    assert isinstance(found["r"], np.ndarray)


@pytest.mark.parametrize("frequency", ["h", "D", "B", "ME", "W-TUE"])
def test_missing_rows(frequency):
    index, after = dates(frequency, "Europe/Berlin", "2020-03-20")
    series = pd.Series(VALUES, index)
    holed = series.drop(series.index[[7, 8, 20]])
    frame = pl.from_pandas(holed.rename("x").rename_axis("t").reset_index())
    for given in (holed, frame):
        with pytest.raises(ValueError, match=r"in row 7, as every .* 3 rows are missing; gaps='fill'"):
            made().fit(given)
        found = made(gaps="mask").fit(given)
        broken = np.where(np.isin(np.arange(COUNT), [7, 8, 20]), np.nan, VALUES)
        np.testing.assert_array_equal(found.history_, made(gaps="mask").fit(broken).history_)
        assert found.n_values_ == COUNT
        dates_found = found.predict()
        dates_found = dates_found.index if given is holed else dates_found["t"]
        assert [one.timestamp() for one in dates_found] == [one.timestamp() for one in after]


def test_columns_have_the_dates_of_the_series():
    index, after = dates("D", None, "2020-01-01")
    y, exog = pd.Series(VALUES, index), pd.DataFrame({"x": VALUES}, index)
    forecaster = made().fit(y, exog)
    future = pd.DataFrame({"x": [1.0, 2.0, 3.0]}, after)
    np.testing.assert_array_equal(forecaster.predict(future), forecaster.predict([[1.0], [2.0], [3.0]]))
    with pytest.raises(
        ValueError, match=r"exog: expected 2020-02-15.* in row 0, the dates that come after y"
    ):
        forecaster.predict(future.shift(1, freq="D"))
    with pytest.raises(ValueError, match=r"exog: expected the dates of y, .* to 2020-02-14"):
        made().fit(y, exog.shift(1, freq="D"))
    with pytest.raises(ValueError, match=r"observed: expected the dates of y, .* to 2020-02-14"):
        made().fit(y, observed=exog.shift(1, freq="D"))


WRONG = [
    (["2020-01-01", "2020-01-02", "2020-01-02"], "expected dates that rise, got 2020-01-02.* in row 2 after"),
    (["2020-01-03", "2020-01-02", "2020-01-01"], "expected dates that rise, got 2020-01-02.* in row 1 after"),
    (["2020-01-01", "2020-01-02"], "expected at least 3 dates"),
    (["2020-01-01", None, "2020-01-03"], "expected a date in row 1, got none"),
    (["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04 05:00"], "got 2020-01-04T05.* in row 3 after"),
    (["2000-01-01", "2000-01-01 00:00:01", "2000-01-01 00:00:02", "2020-01-04"], "in row 3 after"),
]


@pytest.mark.parametrize("case", range(len(WRONG)))
@pytest.mark.parametrize("gaps", ["refuse", "fill"])
def test_irregular_dates_are_named(case, gaps):
    texts, message = WRONG[case]
    index = pd.DatetimeIndex(pd.to_datetime(pd.Series(texts), format="mixed"))
    frame = pd.DataFrame({"t": index, "v": 1.0})
    for given in (pd.Series(1.0, index), frame, pl.from_pandas(frame)):
        with pytest.raises(ValueError, match=f"^y: .*{message}"):
            made(gaps=gaps).fit(given)


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize(
    ("library", "step"),
    [("pandas", step) for step in ("-1D", "-1h", "-2ME", "-1B", "0D")]
    + [("polars", step) for step in ("-1d", "-1h", "-1b", "-1mo 15", "0d")],
)
def test_dates_of_a_file_go_forward(library, step, horizon):
    calendar = {"library": library, "last": "2024-01-15T00:00:00", "zone": None, "unit": "ns"}
    calendar |= {"name": "t", "column": True}
    assert expect_calendar("dates_", calendar | {"step": "2D" if library == "pandas" else "2d"}, horizon)
    with pytest.raises(ValueError, match=r"learnt.dates_: expected dates that go on"):
        expect_calendar("dates_", calendar | {"step": step}, horizon)


def test_what_has_no_frequency_as_text():
    index = pd.date_range(
        "2020-01-01", periods=COUNT, freq=pd.offsets.CustomBusinessDay(holidays=["2020-01-02"])
    )
    with pytest.raises(ValueError, match="y: expected a frequency that pandas can write as text"):
        made().fit(pd.Series(VALUES, index))
    two = pl.DataFrame({"a": index[:9].to_numpy(), "b": index[:9].to_numpy(), "v": VALUES[:9]})
    with pytest.raises(ValueError, match="y: expected one column of dates at most, got 2"):
        made().fit(two)
    with pytest.raises(ValueError, match="y: expected a column of numbers beside the dates 'a'"):
        made().fit(two[["a"]])


def test_zones_by_whatever_makes_them():
    import datetime
    import zoneinfo

    from dateutil import tz

    plain = pd.date_range("2020-03-20", periods=COUNT, freq="h")
    for zone in (datetime.timezone.utc, zoneinfo.ZoneInfo("Asia/Tokyo"), "UTC+02:00"):
        index = plain.tz_localize(zone)
        found = made().fit(pd.Series(VALUES, index)).predict()
        assert found.index[0] == index[-1] + pd.Timedelta(hours=1)
        assert found.index.dtype == index.dtype
    for zone in (datetime.timezone(datetime.timedelta(hours=1)), tz.gettz("Europe/Berlin")):
        series = pd.Series(VALUES, plain.tz_localize(zone))
        try:
            found = made().fit(series).predict()
        except ValueError as error:
            told = str(error)
            assert told.startswith("y: expected dates ")
        else:
            assert found.index.dtype == series.index.dtype


def test_dates_of_other_types():
    index = pd.date_range("2020-03-20", periods=COUNT, freq="D")
    arrow = pd.Series(VALUES, index.astype("timestamp[ns][pyarrow]"))
    assert made().fit(arrow).predict().index[0] == index[-1] + pd.Timedelta(days=1)
    with pytest.raises(TypeError, match=r"y: expected an index of dates such as pandas\.to_datetime makes"):
        made().fit(pd.Series(VALUES, [one.date() for one in index]))
    with pytest.raises(TypeError, match=r"y.*expected numbers"):
        made().fit(pl.DataFrame({"t": index.to_numpy() - index.to_numpy()[0], "v": VALUES}))
    long = pd.DataFrame({"shop": np.repeat([3, 7], COUNT), "sold": np.tile(VALUES, 2)}, list(index) * 2)
    found = made().fit(dict(list(long.groupby("shop")["sold"]))).predict()
    assert list(found) == [3, 7]
    pd.testing.assert_series_equal(found[3], found[7])


def test_a_time_that_the_clocks_leave_out():
    index = pd.date_range("2020-02-01 02:30", periods=57, freq="D").tz_localize("Europe/Berlin")
    found = made().fit(pd.Series(np.arange(57.0), index)).predict()
    assert [str(one) for one in found.index] == [
        "2020-03-29 03:00:00+02:00",
        "2020-03-30 02:30:00+02:00",
        "2020-03-31 02:30:00+02:00",
    ]


def test_pandas_and_polars_are_not_asked_for():
    code = """
import sys, numpy as np
from gru_rs import Forecaster
from gru_rs.estimators._dates import expect_calendar
before = set(sys.modules)
f = Forecaster(window=5, max_iter=1, hidden_size=3).fit({"a": np.arange(40.0)}, observed=[np.ones(40)])
f.backtest(np.arange(60.0), observed=np.ones(60), start=40), f.predict(), str(f)
assert not {"pandas", "polars", "pyarrow"} & (set(sys.modules) - before)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def day_numbers(missing):
    """Numbers of 60 days by their dates, of which one is missing."""
    days = pd.date_range("2024-01-01", periods=60)
    return pd.Series(np.arange(60.0), days, name="x").drop(days[missing])


@pytest.mark.parametrize("way", ["pandas", "periods", "polars", "polars dates"])
def test_columns_stand_beside_their_own_dates(way):
    seen = day_numbers(40)
    if way == "periods":
        seen = seen.to_period("D")
    elif way != "pandas":
        days = seen.index.to_pydatetime().tolist()
        days = [day.date() for day in days] if way == "polars dates" else days
        seen = pl.DataFrame({"d": days, "x": seen.to_numpy()})
    fitted = made(window=50, gaps="fill").fit(day_numbers(20), observed=seen)
    begin = 60 - fitted.history_.shape[1]
    days = np.arange(begin, 60.0)
    np.testing.assert_array_equal(fitted.history_[0, :, 0], np.where(days == 20, 19, days))
    np.testing.assert_array_equal(fitted.history_observed_[0, :, 0], np.where(days == 40, 39, days))
    np.testing.assert_array_equal(fitted.history_gaps_[0], np.stack([days == 20, days == 40], axis=1))


@pytest.mark.parametrize("gaps", ["refuse", "fill", "mask"])
@pytest.mark.parametrize("name", ["exog", "observed"])
@pytest.mark.parametrize(
    "change",
    [
        {"freq": "W-THU", "end": "2024-02-29"},
        {"freq": "h", "end": "2024-02-29"},
        {"freq": "D", "end": "2024-02-28"},
        {"freq": "D", "start": "2024-01-02"},
        {"freq": "D", "start": "2024-01-01", "tz": "Europe/Berlin"},
    ],
    ids=str,
)
def test_columns_of_other_dates(change, name, gaps):
    days = pd.date_range("2024-01-01", periods=60)
    y, other = pd.Series(np.arange(60.0), days), pd.date_range(periods=60, **change)
    columns = pd.DataFrame({"x": np.arange(60.0)}, other)
    with pytest.raises(ValueError, match=f"{name}: expected (the dates of y|dates with no zone)"):
        made(gaps=gaps).fit(y, **{name: columns})
    with pytest.raises(ValueError, match=f"{name}: expected a row of each date of y.* 2024-02-29"):
        made(gaps=gaps).fit(y, **{name: pd.DataFrame({"x": np.arange(59.0)}, days[:-1])})


@pytest.mark.parametrize("form", ["dates", "array"])
def test_columns_known_ahead_have_no_gaps(form):
    y = day_numbers(20)
    given = y.to_frame() if form == "dates" else y.to_numpy()[:, np.newaxis]
    with pytest.raises(ValueError, match=r"exog: expected .* each date of y"):
        made(gaps="fill").fit(y, given)


def test_the_future_has_dates_of_any_library():
    days = pd.date_range("2024-01-01", periods=63)
    numbers = np.arange(63.0)
    fitted = made().fit(pd.Series(numbers[:60], days[:60]), numbers[:60, np.newaxis])
    expected = fitted.predict(numbers[60:, np.newaxis])
    after = days[60:]
    others = [
        pd.DataFrame({"x": numbers[60:]}, after.as_unit("s")),
        pd.DataFrame({"x": numbers[60:]}, after.to_period("D")),
        pl.DataFrame({"d": after.to_pydatetime().tolist(), "x": numbers[60:]}),
        pl.DataFrame({"d": [day.date() for day in after], "x": numbers[60:]}),
    ]
    for given in others:
        pd.testing.assert_series_equal(fitted.predict(given), expected)
    for given in (
        pl.DataFrame({"d": pd.date_range("1999-01-01", periods=3).to_pydatetime().tolist(), "x": [1.0] * 3}),
        pd.DataFrame({"x": [1.0] * 3}, pd.period_range("2024-02", periods=3, freq="M")),
    ):
        with pytest.raises(ValueError, match=r"exog: expected 2024-03-01.* the dates that come after y"):
            fitted.predict(given)


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize(
    ("zone", "changes"),
    [
        ("Asia/Beirut", "2024-03-31"),
        ("Africa/Cairo", "2024-04-26"),
        ("America/Havana", "2024-03-10"),
        ("America/Santiago", "2024-09-08"),
        ("America/Asuncion", "2023-10-01"),
        ("Europe/Berlin", "2024-03-31"),
        ("Asia/Beirut", "2023-10-29"),
        ("Africa/Cairo", "2023-10-27"),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 5, 20, 21, 22, 26])
def test_days_of_zones_whose_clocks_change_at_midnight(zone, changes, before, library, tmp_path):
    """Wherever the day stands that has no midnight, in or behind a series, others go on at midnight."""
    bare = pd.date_range(pd.Timestamp(changes) - pd.Timedelta(before, "D"), periods=28, freq="D")
    dates = bare.tz_localize(zone, nonexistent="shift_forward", ambiguous=np.zeros(28, bool))
    column = pl.from_pandas(pd.DataFrame({"t": dates}))["t"]
    y = np.sin(np.arange(22) / 2)
    given = pd.Series(y, dates[:22]) if library == "pandas" else pl.DataFrame({"t": column[:22], "y": y})
    model = Forecaster(horizon=6, window=4, season=None, max_iter=1, hidden_size=2, random_state=0).fit(given)
    model.save(tmp_path / "model")
    for one in (model, gru_rs.load(tmp_path / "model")):
        found = one.predict()
        assert (found.index.tolist() if library == "pandas" else found["t"].to_list()) == (
            dates[22:].tolist() if library == "pandas" else column[22:].to_list()
        )
    # Rows that are missing are found, and a longer series goes on from its own end.
    longer = pd.Series(np.append(y, 0.5), dates[:23])
    if library == "polars":
        longer = pl.DataFrame({"t": column[:23], "y": np.append(y, 0.5)})
    found = model.predict(y=longer)
    first = found.index[0] if library == "pandas" else found["t"][0]
    assert first == (dates[23] if library == "pandas" else column[23])
    with_gaps = given.drop(dates[9]) if library == "pandas" else pl.concat([given[:9], given[10:]])
    filled = Forecaster(horizon=6, window=4, season=None, max_iter=1, hidden_size=2, gaps="fill").fit(
        with_gaps
    )
    last = filled.predict().index[-1] if library == "pandas" else filled.predict()["t"][-1]
    assert last == (dates[27] if library == "pandas" else column[27])


@pytest.mark.parametrize("library", ["pandas", "polars"])
@pytest.mark.parametrize(
    ("zone", "twice"),
    [
        ("America/Havana", "2018-11-04 00:00"),
        ("Asia/Beirut", "2023-10-28 23:30"),
        ("Europe/Berlin", "2023-10-29 02:00"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("before", [3, 21, 22, 24])
def test_days_at_a_time_that_the_clock_shows_twice(zone, twice, first, before, library, tmp_path):
    """Either is taken in a series; those that come are the first of the two."""
    bare = pd.date_range(pd.Timestamp(twice) - pd.Timedelta(before, "D"), periods=28, freq="D")
    given, expected = (bare.tz_localize(zone, ambiguous=np.full(28, one)) for one in (first, True))
    assert (given != expected).sum() == (not first)
    assert (expected[before] - expected[before - 1]) == pd.Timedelta(1, "D")
    y = np.sin(np.arange(22) / 2)
    column = pl.from_pandas(pd.DataFrame({"t": given[:22]}))["t"]
    series = pd.Series(y, given[:22]) if library == "pandas" else pl.DataFrame({"t": column, "y": y})
    model = Forecaster(horizon=6, window=4, season=None, max_iter=1, hidden_size=2).fit(series)
    model.save(tmp_path / "model")
    holed = series.drop(given[9]) if library == "pandas" else pl.concat([series[:9], series[10:]])
    filled = Forecaster(horizon=6, window=4, season=None, max_iter=1, hidden_size=2, gaps="fill").fit(holed)
    for one in (model, gru_rs.load(tmp_path / "model"), filled):
        found = one.predict()
        times = found.index if library == "pandas" else pd.DatetimeIndex(found["t"].to_pandas())
        assert times.tolist() == expected[22:].tolist()


def test_hours_of_a_day_without_midnight_are_hours():
    """Steps of a fixed time go on through a change of clocks, whatever the clock shows."""
    dates = pd.date_range("2024-03-29", periods=60, freq="h", tz="Asia/Beirut")
    column = pl.from_pandas(pd.DataFrame({"t": dates}))["t"]
    for count in (47, 48, 49, 50):
        y = np.sin(np.arange(count))
        for given in (pd.Series(y, dates[:count]), pl.DataFrame({"t": column[:count], "y": y})):
            model = Forecaster(horizon=5, window=4, season=None, max_iter=1, hidden_size=2).fit(given)
            found = model.predict()
            if isinstance(found, pd.Series):
                assert found.index.tolist() == dates[count : count + 5].tolist()
            else:
                assert found["t"].to_list() == column[count : count + 5].to_list()

"""What a fitted forecaster keeps of its series, and whether what a file says of them fits together. It must
not know windows' training or containers.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ._backtest import compared, middle
from ._calendars import Calendar
from ._dates import expect_calendar
from ._learnt import Sizes, expect_deviation, refuse
from ._numbers import moments_of_rows
from ._panel import Panel, Read
from ._windows import LAST, SEASON, Reach, Series

if TYPE_CHECKING:
    from ._batches import Array
    from ._learnt import Learnt

NAMES = ("target_names_", "exog_names_", "observed_names_")


class Kept:
    """What a fit keeps of its series; no dataclass, as these are no parameters."""

    n_values_: int
    series_: list[Any] | None
    series_scale_: tuple[Array, Array] | None
    target_names_: list[str] | None
    exog_names_: list[str] | None
    observed_names_: list[str] | None
    history_: Array
    dates_: list[dict[str, Any] | None] | None
    _flat: bool
    _by_name: bool


def kept_of(panel: Panel, reach: Reach, scales: tuple[Array, Array] | None) -> dict[str, Any]:
    """The end of each series, and what is known of all of it."""
    ends = [read.series.last(reach.first + reach.horizon) for read in panel.each]
    calendars = [read.calendar for read in panel.each]
    dated = any(one is not None for one in calendars)
    names = panel.each[0].names
    return {
        "series_": panel.keys,
        "_by_name": panel.by_name,
        "_flat": panel.each[0].flat,
        "n_values_": sum(len(read.series) for read in panel.each),
        "target_names_": names.targets,
        "exog_names_": names.known,
        "observed_names_": names.observed,
        "series_scale_": scales,
        "history_": np.stack([end.values for end in ends]),
        "history_exog_": np.stack([end.known for end in ends]),
        "history_observed_": np.stack([end.observed for end in ends]),
        "history_gaps_": np.stack([end.gaps for end in ends]).astype(np.float64),
        "dates_": [None if one is None else asdict(one) for one in calendars] if dated else None,
    }


def older(state: dict[str, Any], window: int, horizon: int, season: Any) -> dict[str, Any]:
    """What files and pickles of a single series did not say."""
    given = None if isinstance(season, str) else season
    kept = Reach(window, horizon, given, False).first + horizon
    history, columns = (_as_long(state[name], kept) for name in ("history_", "history_exog_"))
    return {
        "season_": given,
        "base_": np.full((horizon, 1), LAST if given is None else SEASON),
        "n_targets_": 1,
        "n_observed_": 0,
        "series_": None,
        "_by_name": False,
        "_flat": True,
        "n_values_": len(history),
        "target_names_": None,
        "exog_names_": state.get("exog_names_"),
        "observed_names_": None,
        "target_scale_": np.array([state["target_scale_"]]),
        "series_scale_": None,
        "history_": history[np.newaxis, :, np.newaxis],
        "history_exog_": columns[np.newaxis],
        "history_observed_": np.zeros((1, len(history), 0)),
        "history_gaps_": np.zeros((1, len(history), 1)),
        "dates_": None,
        "held_out_": None,
        "margins_": None,
    }


def _as_long(values: Array, count: int) -> Array:
    """The end of a history; of one that is shorter by a value, which nothing reads, the first comes twice."""
    missing = max(count - len(values), 0)
    return np.concatenate([np.repeat(values[:1], missing, axis=0), values[-count:]])


def histories(estimator: Any) -> list[Series]:
    """The end of each series of training."""
    parts = (
        estimator.history_,
        estimator.history_exog_,
        estimator.history_observed_,
        estimator.history_gaps_ > 0,
    )
    return [Series(*of_one) for of_one in zip(*parts, strict=True)]


def calendars_of(estimator: Any) -> list[Calendar | None]:
    """The dates of each series of training."""
    if estimator.dates_ is None:
        return [None] * len(estimator.history_)
    return [None if one is None else Calendar(**one) for one in estimator.dates_]


def told(estimator: Any) -> str:
    """What was learnt from, how good it was on what was held out, and how training ended."""
    count, many = len(estimator.history_), estimator.series_ is not None
    values = f"{estimator.n_values_:,} times of {count} series" if many else f"{estimator.n_values_:,} times"
    targets = "" if estimator.n_targets_ == 1 else f", {estimator.n_targets_} targets"
    season, cell = estimator.season_, estimator.cell.upper()
    found = " (found)" if isinstance(estimator.season, str) else ""
    of_season = "no season" + found if season is None else f"a season of {season}{found}"
    reach = f"{estimator.horizon} ahead from the last {estimator.window}"
    kind = type(estimator).__name__
    first = f"{kind}: {values}{targets}, {of_season}; {reach} by {cell} {estimator.hidden_size}"
    held = estimator.held_out_
    second = "held out: nothing; backtest() says how good it is"
    if held is not None:
        errors = compared(
            math.nan if held["rmse"] is None else held["rmse"], held["last_rmse"], held["season_rmse"]
        )
        unit = " (in units of each)" if many or estimator.n_targets_ > 1 else ""
        second = f"held out, the last {held['windows']:,} windows: {errors}{unit}"
    reason = "a file that does not say it" if estimator.stop_reason_ is None else estimator.stop_reason_
    epochs = f"{estimator.n_iter_} epoch{'' if estimator.n_iter_ == 1 else 's'}"
    return f"{first}\n{second}\ntraining ended after {epochs}: {reason}"


def own_scale(read: Read, end: int | None = None) -> tuple[Array, Array]:
    """Mean and deviation of what is there of a series; a constant is only centred."""
    columns = [column[~np.isnan(column), np.newaxis] for column in read.actual[:end].T]
    found = [moments_of_rows("y", column) for column in columns]
    mean, deviation = (np.concatenate(part) for part in zip(*found, strict=True))
    return mean, np.where(deviation > 0, deviation, 1.0)


def scale_of(estimator: Any, key: Any, read: Read, end: int | None = None) -> tuple[Array, Array] | None:
    """Of a series by its name in training, else of its own values; None where series have none."""
    if estimator.series_scale_ is None:
        return None
    if key is not None and key in estimator.series_:
        place = estimator.series_.index(key)
        means, deviations = estimator.series_scale_
        return means[place], deviations[place]
    return own_scale(read, end)


# Files ------------------------------------------------------------------------------------------------------


def expect_history(estimator: Any, learnt: Learnt) -> Sizes:
    """What was learnt of series, value by value, fits together; the network that goes with it."""
    if not learnt.has("base_"):
        return _expect_older(estimator, learnt)
    known, seen, targets = learnt.count("n_exog_"), learnt.count("n_observed_"), learnt.size("n_targets_")
    for name, count in zip(NAMES, (targets, known, seen), strict=True):
        _expect_names(learnt, name, count)
    reach = _expect_reach(estimator, learnt, targets)
    masked = targets + seen if estimator.gaps == "mask" else 0
    features = 2 * targets + known * reach.horizon + seen + masked
    learnt.moments("scale_", features, there=bool(estimator.scale))
    _expect_positive("target_scale_", learnt.numbers("target_scale_", (targets,)))
    count = _expect_series(estimator, learnt, targets)
    kept = reach.first + reach.horizon
    learnt.numbers("history_", (count, kept, targets))
    learnt.numbers("history_exog_", (count, kept, known))
    learnt.numbers("history_observed_", (count, kept, seen))
    gaps = learnt.numbers("history_gaps_", (count, kept, targets + seen))
    if not np.isin(gaps, (0.0, 1.0)).all() or (estimator.gaps == "refuse" and gaps.any()):
        refuse("history_gaps_", "0 or 1, and with gaps='refuse' 0", gaps)
    if learnt.size("n_values_") < count * kept:
        refuse("n_values_", f"at least the {count * kept} values of history_", learnt.value("n_values_"))
    _expect_held_out(estimator, learnt, reach, targets)
    return Sizes(features, None, reach.horizon * targets * estimator._quantiles())


def _expect_older(estimator: Any, learnt: Learnt) -> Sizes:
    """Of one series, as files had it before there were several."""
    columns = learnt.count("n_exog_")
    if isinstance(estimator.season, str) or estimator.gaps != "refuse" or estimator.levels is not None:
        refuse("base_", "what forecasts begin with", None)
    if learnt.has("exog_names_"):
        _expect_names(learnt, "exog_names_", columns)
    features = 2 + columns * estimator.horizon
    learnt.moments("scale_", features, there=bool(estimator.scale))
    expect_deviation(learnt, "target_scale_")
    season = estimator.season or 1
    back = season * -(-estimator.horizon // season)
    kept = max(estimator.window + season, back) + estimator.horizon
    learnt.numbers("history_", (kept,))
    learnt.numbers("history_exog_", (kept, columns))
    return Sizes(features, None, estimator.horizon * estimator._quantiles())


def _expect_names(learnt: Learnt, name: str, count: int) -> None:
    names = learnt.value(name)
    texts = isinstance(names, list) and len(names) == count and all(type(one) is str for one in names)
    texts = texts and len(set(names)) == count
    if names is not None and not texts:
        refuse(name, f"None, or the names of {count} columns", names)


def _expect_apart(name: Any, targets: list[str] | None) -> None:
    if name in (targets or []):
        refuse("dates_", f"another name of the column of dates than those of {targets}", name)


def _expect_positive(name: str, numbers: Array) -> None:
    if not (numbers > 0).all():
        refuse(name, "deviations above 0", numbers)


def _expect_reach(estimator: Any, learnt: Learnt, targets: int) -> Reach:
    """The season, and what forecasts begin with."""
    season = learnt.value("season_")
    if season is not None:
        learnt.size("season_")
    if not isinstance(estimator.season, str) and season != estimator.season:
        refuse("season_", f"{estimator.season}, as the parameter says", season)
    base, shape = learnt.value("base_"), (estimator.horizon, targets)
    if not isinstance(base, np.ndarray) or base.dtype != np.int64 or base.shape != shape:
        refuse("base_", f"an array of int64, shape {shape}", base)
    if not np.isin(base, (0,) if season is None else (0, 1, 2)).all():
        refuse("base_", "0, or with a season 0 to 2", base)
    return Reach(estimator.window, estimator.horizon, season, estimator.gaps == "mask")


def _expect_series(estimator: Any, learnt: Learnt, targets: int) -> int:
    """The keys, scales and dates of series; how many there are."""
    keys, by_name = learnt.value("series_"), learnt.flag("_by_name")
    if learnt.flag("_flat") and targets != 1:
        refuse("_flat", f"False, as n_targets_ is {targets}", True)
    if keys is None:
        count = 1
        if by_name:
            refuse("_by_name", "False, as there is one series", True)
    else:
        plain = isinstance(keys, list) and keys and all(type(key) in (str, int) for key in keys)
        if not plain or len(set(keys)) != len(keys) or not (by_name or keys == list(range(len(keys)))):
            refuse("series_", "None, names of which each is another, or numbers from 0", keys)
        count = len(keys)
    scales = learnt.value("series_scale_")
    if keys is None or not estimator.scale:
        if scales is not None:
            refuse("series_scale_", "None, as there is one series, or nothing is scaled", scales)
    else:
        pair = isinstance(scales, tuple) and len(scales) == 2
        if not pair or not all(
            isinstance(one, np.ndarray) and one.dtype == np.float64 and one.shape == (count, targets)
            for one in scales
        ):
            refuse("series_scale_", f"a pair of arrays of float64, shape {(count, targets)}", scales)
        if not np.isfinite(scales).all():
            refuse("series_scale_", "finite numbers", scales[0])
        _expect_positive("series_scale_", scales[1])
    dates = learnt.value("dates_")
    if dates is not None:
        if not isinstance(dates, list) or len(dates) != count:
            refuse("dates_", f"None, or the dates of {count} series", dates)
        for one in dates:
            if one is not None:
                if one.get("column") if isinstance(one, dict) else False:
                    _expect_apart(one["name"], learnt.value("target_names_"))
                expect_calendar("dates_", one, estimator.horizon)
    return count


def _expect_held_out(estimator: Any, learnt: Learnt, reach: Reach, targets: int) -> None:
    """What was found on the windows that were held out."""
    stops = learnt.flag("early_stopping_")
    if not isinstance(estimator.early_stopping, str) and stops != bool(estimator.early_stopping):
        refuse("early_stopping_", f"{estimator.early_stopping}, as the parameter says", stops)
    found, margins = learnt.value("held_out_"), learnt.value("margins_")
    if found is not None:
        fields = {"windows", "rmse", "last_rmse", "season_rmse"}
        whole = isinstance(found, dict) and set(found) == fields and type(found["windows"]) is int
        none = {name for name in ("rmse", "season_rmse") if whole and found[name] is None}
        numbers = [found[name] for name in fields - {"windows"} - none] if whole else []
        if not whole or found["windows"] < 1 or not all(type(one) is float and one >= 0 for one in numbers):
            refuse("held_out_", f"None, or a number for each of {sorted(fields)}", found)
        if found["rmse"] is None and middle(estimator._quantiles(), estimator.quantiles) is not None:
            refuse("held_out_", "an error of the forecasts", found)
        if (found["season_rmse"] is None) != (reach.season is None):
            refuse("held_out_", "an error of a season before where there is a season", found)
    if margins is None:
        return
    if estimator.levels is None:
        refuse("margins_", "None, as without levels", margins)
    learnt.numbers("margins_", (len(estimator.levels), reach.horizon, targets))
    if not (margins >= 0).all() or not (np.diff(margins, axis=0) >= 0).all():
        refuse("margins_", "numbers from 0, larger for larger levels", margins)

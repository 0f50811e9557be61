"""Should it be a GRU? A simple baseline, a GRU and an LSTM on the user's own data, and advice."""

from __future__ import annotations

import pickle
import time
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import KFold, StratifiedKFold

from gru_rs._checks import as_choice, as_int

from ._baselines import baselines
from ._numbers import numbers_of
from ._reader import holds_tokens, opened_sequences
from ._series import as_columns, as_series
from ._targets import expect_rows, opened_targets, rows_of
from ._tokens import is_text, token_rows
from .classifier import SequenceClassifier
from .forecaster import Forecaster
from .regressor import SequenceRegressor
from .tagger import SequenceTagger

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping

    from ._batches import Array

TASKS = ("classify", "regress", "tag", "forecast")
_QUALITY = {
    "classify": "accuracy",
    "regress": "R²",
    "tag": "F1 or accuracy",
    "forecast": "1 - RMSE / naive RMSE",
}
_NETWORKS = {
    "classify": SequenceClassifier,
    "regress": SequenceRegressor,
    "tag": SequenceTagger,
    "forecast": Forecaster,
}
_FEWEST = 3
"""Folds with which a deviation means something."""
_COARSE = 0.05
"""A standard error above which nothing can be told."""
"""How the networks read a text. To make it takes longer than to read one."""


@dataclass(frozen=True)
class Entry:
    """What one model came to.

    Attributes
    ----------
    name : str
        What it is.
    kind : {"baseline", "gru", "lstm"}
    scores : list of float
        Quality of each fold; more is better.
    fit_seconds, latency_seconds : float
        Training on a fold, mean; one prediction of one sequence, median.
    parameters, bytes : int
        Numbers that were learnt, and their size; of a baseline the size of its pickle.
    """

    name: str
    kind: str
    scores: list[float]
    fit_seconds: float
    latency_seconds: float
    parameters: int
    bytes: int

    @property
    def mean(self) -> float:
        """Of the scores."""
        return float(np.mean(self.scores))

    @property
    def spread(self) -> float:
        """Standard deviation of the scores."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else float("nan")


@dataclass(frozen=True)
class Comparison:
    """Baselines, a GRU and an LSTM side by side.

    Attributes
    ----------
    task, quality : str
        What was asked for, and what the scores are.
    sequences : int
        How many there were; of a series its values.
    entries : list of Entry
    """

    task: str
    quality: str
    sequences: int
    entries: list[Entry]

    @property
    def advice(self) -> str:
        """A sentence that follows from the figures."""
        return advise(self.entries, self.quality)

    def rows(self) -> list[list[str]]:
        """The table, with its heading."""
        heading = ["model", self.quality, "training", "one prediction", "parameters", "size"]
        return [heading] + [
            [
                entry.name,
                f"{entry.mean:.3f} ± {entry.spread:.3f}",
                f"{entry.fit_seconds:.2f} s",
                f"{entry.latency_seconds * 1e3:.2f} ms",
                f"{entry.parameters:,}" if entry.parameters else "",
                f"{entry.bytes / 1e3:,.0f} kB",
            ]
            for entry in self.entries
        ]

    def __str__(self) -> str:
        rows = self.rows()
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
        ]
        return "\n".join([*(line.rstrip() for line in lines), "", self.advice])

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table

        heading, *rows = self.rows()
        table = Table(
            title=f"{self.task}, {self.sequences:,} {'values' if self.task == 'forecast' else 'sequences'}"
        )
        for name in heading:
            table.add_column(name, justify="left" if name == "model" else "right")
        for row in rows:
            table.add_row(*row)
        return Group(table, self.advice)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        entries = [vars(entry) | {"mean": entry.mean, "spread": entry.spread} for entry in self.entries]
        shown = {"task": self.task, "quality": self.quality, "sequences": self.sequences}
        return shown | {"entries": entries, "advice": self.advice}

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Write a picture of quality over training time; needs matplotlib.

        Parameters
        ----------
        path : path-like
            Its ending says which format.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        for entry in self.entries:
            axes.errorbar(
                max(entry.fit_seconds, 1e-4),
                entry.mean,
                yerr=entry.spread,
                fmt="o",
                capsize=4,
                label=entry.name,
            )
        axes.set(xscale="log", xlabel="seconds of training", ylabel=self.quality)
        axes.legend()
        figure.savefig(path, dpi=120)


def advise(entries: list[Entry], quality: str) -> str:
    """What follows: a difference counts if it is twice its standard error over the folds.

    Examples
    --------
    >>> def entry(kind, *scores):
    ...     return Entry(kind, kind, list(scores), 1.0, 0.001, 1, 4)
    >>> advise([entry("baseline", 0.6, 0.61, 0.62), entry("gru", 0.9, 0.91, 0.9)], "accuracy")
    'A GRU is enough: accuracy 0.903, 0.293 better than baseline.'
    """
    baseline = max((entry for entry in entries if entry.kind == "baseline"), key=lambda entry: entry.mean)
    networks = {entry.kind: entry for entry in entries if entry.kind != "baseline"}
    gru = networks.get("gru", next(iter(networks.values())))
    lstm = networks.get("lstm")
    gain, error = _difference(gru, baseline)
    if len(gru.scores) < _FEWEST or error > _COARSE or np.isnan(error):
        return (
            f"There is too little data to tell: {quality} of {gru.name} over {baseline.name} is {gain:+.3f},"
            f" with a standard error of {error:.3f}."
        )
    if lstm is not None and lstm is not gru:
        more, doubt = _difference(lstm, gru)
        better, lead = _difference(lstm, baseline)
        if more > 2 * doubt and more > 0 and better > 2 * lead:
            factor = lstm.fit_seconds / max(gru.fit_seconds, 1e-9)
            return (
                f"An LSTM is worth it: {quality} {lstm.mean:.3f}, {more:.3f} better than the GRU,"
                f" for {factor:.1f} times its training time."
            )
    if gain <= 2 * error or gain <= 0:
        return (
            f"The simple baseline wins: {baseline.name} has {quality} {baseline.mean:.3f}, and a GRU is no"
            f" better ({gain:+.3f})."
        )
    return f"A GRU is enough: {quality} {gru.mean:.3f}, {gain:.3f} better than {baseline.name}."


def _difference(one: Entry, other: Entry) -> tuple[float, float]:
    """Mean difference over the folds, and its standard error."""
    differences = np.subtract(one.scores, other.scores)
    if len(differences) < 2:
        return float(differences.mean()), float("nan")
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(len(differences)))


def compare(
    task: str,
    X: Any,
    y: Any = None,
    *,
    folds: int = 5,
    random_state: int = 0,
    options: Mapping[str, Any] | None = None,
) -> Comparison:
    """Cross-validate simple baselines, a GRU and an LSTM.

    Parameters
    ----------
    task : {"classify", "regress", "tag", "forecast"}
        What is to be learnt.
    X : sequences
        As for the estimators; for "forecast" the series.
    y : array_like or list
        As for the estimators; for "forecast" columns that are known ahead, or nothing.
    folds : int, default 5
        At least 2. A series has that many origins, one after the other, in its last half.
    random_state : int, default 0
        Of folds and networks.
    options : mapping, optional
        Parameters of the networks, such as ``{"hidden_size": 32}``.

    Returns
    -------
    Comparison
        Its text is a table and an advice; with rich installed, `rich.print` shows it better.

    Raises
    ------
    ValueError, TypeError
        A task that is not known, or data that the estimators do not take.

    Examples
    --------
    >>> import gru_rs
    >>> texts = ["good one", "a good film", "bad one", "a bad film"] * 6
    >>> result = gru_rs.compare("classify", texts, [1, 1, 0, 0] * 6, folds=3, options={"max_iter": 20})
    >>> [entry.kind for entry in result.entries]
    ['baseline', 'baseline', 'gru', 'lstm']
    """
    as_choice("task", task, TASKS)
    if as_int("folds", folds, "an integer from 2") < 2:
        msg = f"folds: expected an integer from 2, got {folds}"
        raise ValueError(msg)
    given: dict[str, Any] = {"random_state": random_state} | dict(options or {})
    networks = {cell: _NETWORKS[task](**{"cell": cell} | given) for cell in ("gru", "lstm")}
    if task == "forecast":
        values = as_series("X", X)
        entries = _forecasts(networks, values, None if y is None else as_columns("y", y, values)[0], folds)
        return Comparison(task, _QUALITY[task], len(values), entries)
    data, targets = _rows(X, given.get("tokens")), opened_targets(y)
    expect_rows("y", targets, np.empty(len(data)))
    entries = [
        _measure(name, "baseline", model, task, data, targets, folds, random_state)
        for name, model in baselines(task, data).items()
    ]
    entries += [
        _measure(cell.upper(), cell, model, task, data, targets, folds, random_state)
        for cell, model in networks.items()
    ]
    return Comparison(task, _QUALITY[task], len(data), entries)


def _rows(X: Any, tokens: bool | None) -> list[Any]:
    """The sequences as all models take them: texts, lists of tokens, or arrays ``(T, F)``."""
    given = opened_sequences("X", X)
    if holds_tokens("X", given) if tokens is None else tokens:
        return given if is_text(given) else token_rows("X", given, list)
    return numbers_of("X", given, None, features=None, least=1).each()


def _folds(task: str, y: Any, count: int, folds: int, seed: int) -> Iterator[tuple[Array, Array]]:
    """Rows to train on and to test on: the same for every model."""
    if task == "classify" and min(Counter(np.asarray(y).tolist()).values()) >= folds:
        yield from StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.empty(count), y)
    else:
        yield from KFold(folds, shuffle=True, random_state=seed).split(np.empty(count))


def _pick(values: Any, rows: Array) -> Any:
    return [values[row] for row in rows] if isinstance(values, list) else np.asarray(values)[rows]


def _measure(name: str, kind: str, model: Any, task: str, X: Any, y: Any, folds: int, seed: int) -> Entry:
    targets = rows_of(y) if task == "tag" else np.asarray(y)
    scores, seconds, latency = [], [], []
    for train, test in _folds(task, y, len(X), folds, seed):
        fresh = clone(model)
        begin = time.perf_counter()
        fresh.fit(_pick(X, train), _pick(targets, train))
        seconds.append(time.perf_counter() - begin)
        scores.append(float(fresh.score(_pick(X, test), _pick(targets, test))))
        latency += [_timed(fresh.predict, _pick(X, test[i : i + 1])) for i in range(min(len(test), 20))]
    parameters, size = _size(fresh)
    return Entry(name, kind, scores, float(np.mean(seconds)), float(np.median(latency)), parameters, size)


def _timed(call: Callable[[Any], Any], given: Any) -> float:
    begin = time.perf_counter()
    call(given)
    return time.perf_counter() - begin


def _size(model: Any) -> tuple[int, int]:
    if hasattr(model, "model_"):
        return int(model.model_.flat.size), int(model.model_.flat.nbytes)
    return 0, len(pickle.dumps(model))


def _forecasts(
    networks: Mapping[str, Forecaster], values: Array, columns: Array | None, folds: int
) -> list[Entry]:
    """Each fold is a stretch of the last half, forecast by a model of all that was before it."""
    gru = networks["gru"]
    bounds = np.linspace(len(values) // 2, len(values) - gru.horizon + 1, folds + 1).astype(int)
    entries = []
    naive: list[float] = []
    for cell, network in networks.items():
        scores, seconds, latency = [], [], []
        for start, end in pairwise(bounds):
            known = None if columns is None else columns[:start]
            begin = time.perf_counter()
            fresh = clone(network).fit(values[:start], known)
            seconds.append(time.perf_counter() - begin)
            reach = slice(None, end + gru.horizon - 1)
            tested = fresh.backtest(
                values[reach], None if columns is None else columns[reach], start=int(start)
            )
            scores.append(1 - tested.rmse / max(tested.naive_rmse, 1e-300))
            future = None if columns is None else columns[start : start + gru.horizon]
            latency += [_timed(fresh.predict, future) for _ in range(5)]
        parameters, size = _size(fresh)
        entries.append(
            Entry(
                cell.upper(),
                cell,
                scores,
                float(np.mean(seconds)),
                float(np.median(latency)),
                parameters,
                size,
            )
        )
        naive = [0.0] * len(scores)
    season = fresh.season_
    name = "last value" if season is None else f"{season} values before"
    return [Entry(name, "baseline", naive, 0.0, 0.0, 0, 0), *entries]

"""Should it be a GRU? Simple baselines, a GRU and an LSTM on the user's own data, on the same folds."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from gru_rs._checks import as_choice, as_int, as_size

from ._baselines import baselines
from ._callbacks import Told
from ._comparison import Comparison, Entry
from ._folds import folds_of, given_folds, opened_groups, share_of
from ._labels import as_labels
from ._numbers import numbers_of, row_array
from ._panel import one_series
from ._reader import holds_tokens, opened_sequences
from ._series_baselines import Direct, expected_starts, forecasters, stretches
from ._targets import expect_finite, expect_numbers_of_steps, expect_rows, opened_targets, rows_of
from ._tokens import is_text, token_rows
from .classifier import SequenceClassifier
from .forecaster import Forecaster
from .regressor import SequenceRegressor
from .tagger import SequenceTagger, of_entities

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ._batches import Array
    from ._folds import Split
    from ._tokens import Tokenizer

TASKS = ("classify", "regress", "tag", "forecast")
CELLS = ("gru", "lstm")
_QUALITY = {"classify": "accuracy", "regress": "R²", "forecast": "skill over the last value"}
_NETWORKS = {
    "classify": SequenceClassifier,
    "regress": SequenceRegressor,
    "tag": SequenceTagger,
    "forecast": Forecaster,
}
_FOLDS = 5
_REPEATS = 3
_FEW = 500
"""Sequences below which the folds are drawn several times: the differences say more, and cost little."""
_TIMED = 5
"""Predictions of a fold whose time is taken."""


@dataclass(frozen=True)
class ComparisonInfo:
    """How far a comparison is, for its callback: a model has been trained on a fold and tried.

    Attributes
    ----------
    model : str
        Its name in the table.
    fold, folds : int
        Which, counted from 1, of how many.
    score, train_score : float
        On the rows that were held out, and on those of training.
    seconds : float
        Training took.
    """

    model: str
    fold: int
    folds: int
    score: float
    train_score: float
    seconds: float

    def __str__(self) -> str:
        scores = f"{self.score:.3f}, on training rows {self.train_score:.3f}"
        return f"{self.model}, fold {self.fold} of {self.folds}: {scores}, {self.seconds:.1f} s"


def compare(
    task: str,
    X: Any,
    y: Any = None,
    *,
    folds: int = _FOLDS,
    random_state: int = 0,
    options: Mapping[str, Any] | None = None,
    repeats: int | None = None,
    cv: Any = None,
    groups: Any = None,
    lengths: Any = None,
    verbose: bool = False,
    callback: Callable[[ComparisonInfo], object] | None = None,
) -> Comparison:
    """Cross-validate simple baselines, a GRU and an LSTM.

    Parameters
    ----------
    task : {"classify", "regress", "tag", "forecast"}
        What is to be learnt.
    X : sequences
        As for the estimators; for "forecast" one series without gaps, with dates or without.
    y : array_like or list
        As for the estimators; for "forecast" columns that are known ahead, or nothing.
    folds : int, default 5
        At least 2. A series has that many stretches, one after the other, in its last half.
    random_state : int, default 0
        Of folds and models.
    options : mapping, optional
        Parameters of both networks, such as ``{"hidden_size": 32}``. The baselines read texts and tokens by
        them, too (`analyzer`, `lowercase`, `tokens`). `cell` is none of them: both are compared.
    repeats : int, optional
        How often the folds are drawn. None: 3 times below 500 sequences, else once; a series once.
    cv : int, splitter of scikit-learn or iterable of pairs of rows, optional
        In place of `folds` and `repeats`: a number is that of folds. For "forecast" one that trains on a
        series' beginning and tests on what follows, such as ``TimeSeriesSplit``.
    groups : array_like, (n,), optional
        Of each sequence whose it is, such as its speaker: nobody is in training and test at once, nor in the
        parts by which baselines are tuned.
    lengths : array_like of int, (n,), optional
        Steps of each row of a padded form.
    verbose : bool, default False
        A line for each model and fold.
    callback : callable, optional
        Is given a `ComparisonInfo` for each model and fold.

    Returns
    -------
    Comparison
        Its text is a table and an advice; with rich installed, `rich.print` shows it better.

    Raises
    ------
    ValueError, TypeError
        A task that is not known, data that the estimators do not take, or an option that they do not have.

    Notes
    -----
    The baselines, each with C or alpha chosen by cross-validation within the rows of training:

    * texts and tokens: logistic regression or ridge over words and pairs of them as the analyzer makes them,
      and over pieces of words of one to five letters, both weighted by rarity;
    * numbers: the same over a summary of each feature (level, spread, quartiles, ends, changes, trend), a
      random forest over that, and for classes the nearest neighbour among sequences brought to 32 steps;
    * labels and numbers of steps: each token's most frequent label; a linear model of a step, its spelling
      and two neighbours on both sides;
    * series: the last value; the value a season before, for the season that the first half shows; a ridge
      over as many last values as the networks read, a season before, and the columns.

    The score of a forecast is 1 − RMSE / RMSE of the last value, and where that is below 0 the other way
    round, RMSE of the last value / RMSE − 1: from −1 to 1, also where the last value is never wrong.

    The advice rests on paired differences over the folds and their error, by the corrected resampled t-test
    (Nadeau and Bengio, 2003), at 95 %.

    Examples
    --------
    >>> import gru_rs
    >>> texts = ["good one", "a good film", "bad one", "a bad film"] * 6
    >>> result = gru_rs.compare("classify", texts, [1, 1, 0, 0] * 6, folds=3, options={"max_iter": 20})
    >>> [entry.kind for entry in result.entries]
    ['baseline', 'baseline', 'baseline', 'gru', 'lstm']
    """
    as_choice("task", task, TASKS)
    by = "folds" if cv is None else "cv"
    if isinstance(cv, (int, np.integer)) and not isinstance(cv, bool):
        cv, folds = None, cv
    folds = _expect_folds(by if cv is None else "folds", folds)
    if repeats is not None:
        as_size("repeats", repeats)
    told = Told(verbose, callback)
    kind: Any = _NETWORKS[task]
    given = _expect_options(options)
    expect_known(given, ("cell",), kind)
    networks = {cell: kind(**{"random_state": random_state, "cell": cell} | given) for cell in CELLS}
    if task == "forecast":
        for name, value in (("groups", groups), ("lengths", lengths), ("repeats", repeats)):
            if value is not None:
                msg = f"{name}: expected None for the task 'forecast', got {value!r:.60}"
                raise ValueError(msg)
        return _of_series(networks, *one_series(("X", "y"), X, y), folds, cv, told)
    each = task == "tag" or given.get("pooling") == "each"
    data, targets = rows_to_learn(task, X, y, given.get("tokens"), lengths, each=each)
    if task == "classify":
        expect_labels(targets)
    group = opened_groups(groups, len(data), 1 if cv is not None else folds, "as there are folds")
    labels = np.asarray(targets) if task == "classify" else None
    if cv is None:
        _expect_enough(len(data), folds)
        times = repeats or (_REPEATS if len(data) < _FEW else 1)
        draws = (folds_of(labels, len(data), folds, random_state + draw, group) for draw in range(times))
        splits = [split for draw in draws for split in draw]
    else:
        splits = given_folds(cv, labels, len(data), group)
    _expect_scored(by, 2 if task == "regress" else 1, splits, targets, each=each)
    tokenizer = _read_alike(networks, data)
    simple = baselines(task, data, tokenizer, random_state, each=each)
    entries = [_measure(*one, data, targets, splits, group, told) for one in _named(simple, networks)]
    return Comparison(
        task, _quality(task, targets), len(data), entries, share_of(splits), _lengths(data, tokenizer)
    )


def _expect_folds(name: str, folds: Any) -> int:
    if as_int(name, folds, "an integer from 2") < 2:
        msg = f"{name}: expected an integer from 2, got {folds}"
        raise ValueError(msg)
    return int(folds)


def _expect_enough(count: int, folds: int) -> None:
    if count < folds:
        msg = f"folds: expected at most {count}, as there are sequences, got {folds}"
        raise ValueError(msg)


def _expect_scored(name: str, least: int, splits: list[Split], targets: Any, *, each: bool) -> None:
    """Each fold has as many targets to test on as its score needs."""
    for fold, (_, test) in enumerate(splits):
        count = sum(len(targets[row]) for row in test) if each else len(test)
        if count < least:
            expected = f"at least {least} targets to test on in each fold, as its score needs"
            msg = f"{name}: expected {expected}, got {count} in fold {fold}"
            raise ValueError(msg)


def _expect_options(options: Mapping[str, Any] | None) -> dict[str, Any]:
    given = dict(options or {})
    if "cell" in given:
        msg = f"options: expected no cell, as both are compared, got {given['cell']!r}"
        raise ValueError(msg)
    return given


def expect_known(options: Iterable[str], own: Iterable[str], *kinds: Any) -> None:
    """They are parameters of all of these estimators, whose names the caller has not written; but for those
    that are set here.
    """
    known = set.intersection(*(set(kind._get_param_names()) for kind in kinds)) - set(own)
    for name in options:
        if name not in known:
            msg = f"options: expected names of {', '.join(sorted(known))}, got {name!r}"
            raise TypeError(msg)


def rows_to_learn(
    task: str, X: Any, y: Any, tokens: bool | None, lengths: Any, *, each: bool
) -> tuple[list[Any], Any]:
    """The sequences as all models take them, texts, lists of tokens, or arrays ``(T, F)``, and the targets:
    an array, or of steps a list.
    """
    given = opened_sequences("X", X)
    if holds_tokens("X", given) if tokens is None else tokens:
        plain = is_text(given) and lengths is None
        data = given if plain else [list(row) for row in token_rows("X", given, list, lengths=lengths)]
    else:
        data = numbers_of("X", given, lengths, features=None, least=1).each()
    targets = opened_targets(y)
    expect_rows("y", targets, np.empty(len(data)))
    if not each:
        found = as_labels("y", targets) if task == "classify" else row_array("y", targets, "row")[0]
        expect_finite(found)
        return data, found
    rows = rows_of(targets)
    if lengths is not None:
        rows = [row[: len(one)] for row, one in zip(rows, data, strict=True)]
    if task != "tag":
        rows = [row_array(f"y, row {row}", one)[0] for row, one in enumerate(rows)]
        expect_numbers_of_steps(rows)
    return data, rows


def expect_labels(targets: Array) -> None:
    """One for each sequence: what is right of several is another question."""
    if targets.ndim != 1:
        msg = f"y: expected one label for each sequence, shape (n,), got shape {targets.shape}"
        raise ValueError(msg)


def _read_alike(networks: Mapping[str, Any], data: list[Any]) -> Tokenizer:
    """How texts are read, decided by all of them: so by baselines and networks alike, in each fold."""
    tokenizer: Tokenizer = networks["gru"]._tokenizer().decided_for(data, stacklevel=4)
    for network in networks.values():
        network.set_params(analyzer=tokenizer.analyzer)
    return tokenizer


def _quality(task: str, targets: Any) -> str:
    """What the score is called."""
    if task != "tag":
        return _QUALITY[task]
    labels = {str(label) for row in targets for label in row}
    return "F1 of entities" if of_entities(labels) else "accuracy of labels"


def _lengths(data: list[Any], tokenizer: Tokenizer) -> tuple[int, int]:
    rows = tokenizer.tokens("X", data) if is_text(data) else data
    counts = np.fromiter(map(len, rows), np.intp, len(rows))
    return int(np.median(counts)), int(counts.max())


def _named(simple: Mapping[str, Any], networks: Mapping[str, Any]) -> Iterable[tuple[str, str, Any]]:
    """Name, kind and model of each that is compared."""
    yield from ((name, "baseline", model) for name, model in simple.items())
    yield from ((cell.upper(), cell, model) for cell, model in networks.items())


def _pick(values: Any, rows: Array) -> Any:
    return [values[row] for row in rows] if isinstance(values, list) else values[rows]


def _measure(
    name: str,
    kind: str,
    model: Any,
    X: list[Any],
    y: Any,
    splits: list[Split],
    groups: Array | None,
    told: Told,
) -> Entry:
    """A model on each fold."""
    found = _Measured(name, kind, told, len(splits))
    for train, test in splits:
        fresh, rows, targets = clone(model), _pick(X, train), _pick(y, train)
        # Baselines are tuned within these rows, with as much care for groups.
        more = {"groups": groups[train]} if groups is not None and kind == "baseline" else {}
        found.fit(fresh, rows, targets, **more)
        found.add(float(fresh.score(_pick(X, test), _pick(y, test))), float(fresh.score(rows, targets)))
        found.time(fresh.predict, [(_pick(X, test[at : at + 1]),) for at in range(min(len(test), _TIMED))])
    return found.entry(fresh)


class _Measured:
    """Figures of a model, fold by fold."""

    def __init__(self, name: str, kind: str, told: Told, folds: int) -> None:
        self.name, self.kind, self._told, self._folds = name, kind, told, folds
        self._scores: list[float] = []
        self._train_scores: list[float] = []
        self._seconds: list[float] = []
        self._cpu: list[float] = []
        self._latency: list[float] = []

    def fit(self, model: Any, *given: Any, **more: Any) -> None:
        begin, cpu = time.perf_counter(), time.process_time()
        model.fit(*given, **more)
        self._seconds.append(time.perf_counter() - begin)
        self._cpu.append(time.process_time() - cpu)

    def add(self, score: float, train_score: float) -> None:
        self._scores.append(score)
        self._train_scores.append(train_score)
        fold = len(self._scores)
        self._told(ComparisonInfo(self.name, fold, self._folds, score, train_score, self._seconds[-1]))

    def time(self, predict: Callable[..., Any], given: Iterable[tuple[Any, ...]]) -> None:
        for one in given:
            begin = time.perf_counter()
            predict(*one)
            self._latency.append(time.perf_counter() - begin)

    def entry(self, model: Any) -> Entry:
        seconds, cpu = float(np.mean(self._seconds)), float(np.mean(self._cpu))
        latency = float(np.median(self._latency))
        sizes = _size(model)
        return Entry(self.name, self.kind, self._scores, seconds, latency, *sizes, self._train_scores, cpu)


def _size(model: Any) -> tuple[int, int]:
    if hasattr(model, "model_"):
        return int(model.model_.flat.size), int(model.model_.flat.nbytes)
    return 0, len(pickle.dumps(model))


def _of_series(
    networks: Mapping[str, Forecaster], values: Array, columns: Array, folds: int, cv: Any, told: Told
) -> Comparison:
    """Each fold is a stretch, forecast from one origin after the other by a model of all before it."""
    gru = networks["gru"]
    bounds = (
        stretches(len(values), gru.horizon, folds)
        if cv is None
        else expected_starts(given_folds(cv, None, len(values), None), len(values), gru.horizon)
    )
    simple = forecasters(values[: bounds[0][0]], gru)
    entries = []
    for name, kind, model in _named(simple, networks):
        found = _Measured(name, kind, told, len(bounds))
        for start, end in bounds:
            fresh = Direct(clone(model) if kind != "baseline" else model.fresh(), columns.shape[1] > 0)
            found.fit(fresh, values[:start], columns[:start])
            score = fresh.skill(values, columns, np.arange(start, end))
            found.add(score, fresh.skill(values, columns, fresh.trained(start)))
            found.time(fresh.next, [(values, columns, start)] * 5)
        entries.append(found.entry(fresh.model))
    share = float(np.mean([(end - start) / start for start, end in bounds]))
    return Comparison("forecast", _QUALITY["forecast"], len(values), entries, share)

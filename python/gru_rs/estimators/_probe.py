"""The probe of memory: networks trained on the last steps alone, and asked what they make of the others."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from gru_rs._checks import as_choice, as_size

from ._callbacks import Told
from ._compare import expect_labels, rows_to_learn
from ._folds import opened_groups
from ._memory import READERS, MemoryProbe
from ._panel import one_series
from ._sensitivity import norms_by_distance
from .classifier import SequenceClassifier
from .regressor import SequenceRegressor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._batches import Array
    from ._training import TrainingInfo

TASKS = ("classify", "regress", "forecast")
_QUALITY = {"classify": "accuracy", "regress": "R²", "forecast": "R² of the change"}
_HELD = 0.3
_UPDATES = 500
"""Steps of training of each network, about."""
_BATCH = 32
_LEARNT = 0.01
"""Share of the first epoch's loss at which training ends."""
_FEWEST = 20
"""Sequences without which nothing can be said."""
_LONGEST = 512
"""Steps of the windows of a series, if nobody says how many."""
_BLOCKS = 20
"""Of windows side by side, which overlap."""
_SHOWN = 200
"""Sequences over which gradients are averaged."""


@dataclass(frozen=True)
class ProbeInfo:
    """How far a probe is, for its callback: a network has been trained on a view and tried.

    Attributes
    ----------
    reader : {"gru", "lstm", "wide"}
    view : int
        The last steps that it saw.
    done, total : int
        Networks so far, and in all.
    score : float
    seconds : float
        Since the probe began.
    """

    reader: str
    view: int
    done: int
    total: int
    score: float
    seconds: float

    def __str__(self) -> str:
        place = f"{self.done} of {self.total}: {self.reader}, last {self.view:,} steps"
        return f"{place}, score {self.score:.3f}, {self.seconds:.1f} s"


def memory_probe(
    task: str,
    X: Any,
    y: Any = None,
    *,
    rows: int = 1000,
    longest: int | None = None,
    max_steps: int = 10**8,
    options: Mapping[str, Any] | None = None,
    groups: Any = None,
    lengths: Any = None,
    random_state: int = 0,
    verbose: bool = False,
    callback: Callable[[ProbeInfo], object] | None = None,
) -> MemoryProbe:
    """How far back the target depends on the sequence: the question of long dependencies, on your own data.

    Three networks are trained again and again on the last 1, 2, 4, … steps alone: a GRU and an LSTM that read
    forwards and are judged by their last state, and a GRU of two directions with max pooling, which need not
    remember. Then those of whole sequences are asked what they use: the steps before the last k come in
    another order, or are another sequence's; and their scores' gradients are taken by the inputs.

    Parameters
    ----------
    task : {"classify", "regress", "forecast"}
        What is to be learnt.
    X : sequences
        As for the estimators; for "forecast" one series without gaps, with dates or without, whose change is
        learnt from windows of it.
    y : array_like
        As for the estimators; for "forecast" nothing.
    rows : int, default 1000
        Most sequences that are used, drawn at random; 3 of 10 are held out. Of a series windows, the last of
        which are held out.
    longest : int, optional
        Most steps that are looked at, back from the end. None: all; of a series an eighth of it, 512 at most.
    max_steps : int, default 100,000,000
        Most steps of sequences that all trainings together go over, about: networks of long sequences are
        trained less. It is some minutes of one core.
    options : mapping, optional
        Parameters of the networks, such as ``{"hidden_size": 64}``; for "forecast" also `horizon`. By default
        32 units, batches of 32, a learning rate of .005 and about 500 steps of training, fewer where the
        loss has come down to a hundredth; with `max_iter` so many epochs, and no other bound.
    groups : array_like, (n,), optional
        Of each sequence whose it is: nobody is in training and held out at once.
    lengths : array_like of int, (n,), optional
        Steps of each row of a padded form.
    random_state : int, default 0
        Of rows and networks: the same number gives the same figures.
    verbose : bool, default False
        A line for each network.
    callback : callable, optional
        Is given a `ProbeInfo` after each network.

    Returns
    -------
    MemoryProbe
        Its text is a table and an advice, ``plot()`` a picture, ``options`` the parameters that are advised.

    Raises
    ------
    ValueError, TypeError
        A task that is not known, data that the estimators do not take, fewer than 20 sequences, an option
        that the probe sets itself (cell, bidirectional, pooling, max_length).

    Notes
    -----
    It trains 3 networks for each of log2(longest) + 2 views, whose steps sum to some 6 times those of one
    training on whole sequences.

    Examples
    --------
    >>> import numpy as np, gru_rs
    >>> X = np.random.default_rng(0).normal(size=(200, 8, 1))
    >>> probe = gru_rs.memory_probe("classify", X, (X[:, -2, 0] > 0).astype(int))
    >>> probe.reach
    2
    """
    as_choice("task", task, TASKS)
    told = Told(verbose, callback)
    given = dict(options or {})
    for name in ("cell", "bidirectional", "pooling", "max_length"):
        if name in given:
            msg = f"options: expected no {name}, which the probe sets itself, got {given[name]!r}"
            raise ValueError(msg)
    most, rng = None if longest is None else as_size("longest", longest), np.random.default_rng(random_state)
    if task == "forecast":
        for name, value in (("y", y), ("groups", groups), ("lengths", lengths)):
            if value is not None:
                msg = f"{name}: expected None for the task 'forecast', got {value!r:.60}"
                raise ValueError(msg)
        data = _windows(one_series(("X", "y"), X)[0], most, as_size("horizon", given.pop("horizon", 1)))
    else:
        data = _sequences(task, X, y, lengths, given, groups, most)
    drawn = data.drawn(as_size("rows", rows), rng)
    updates = _updates(drawn.X, as_size("max_steps", max_steps))
    return _Probe(task, drawn, given, updates, random_state, told).run()


@dataclass(frozen=True)
class _Data:
    """Sequences with their targets, and groups if there are any; in order of time if they are windows."""

    X: list[Any]
    y: Array
    groups: Array | None = None
    in_time: bool = False

    def drawn(self, count: int, rng: np.random.Generator) -> _Data:
        """Some of them."""
        if len(self.X) < _FEWEST:
            msg = f"X: expected at least {_FEWEST} sequences, got {len(self.X)}"
            raise ValueError(msg)
        own = np.arange(len(self.X))
        if count < len(own):
            own = np.sort(rng.choice(own, count, replace=False))
        groups = None if self.groups is None else self.groups[own]
        return _Data([self.X[row] for row in own], self.y[own], groups, self.in_time)

    def split(self, stratify: bool, gap: int, seed: int) -> tuple[Array, Array]:
        """Rows to train on, and those that are held out."""
        rows = np.arange(len(self.X))
        held = round(len(rows) * _HELD)
        if self.in_time:
            return rows[: -held - min(gap, held)], rows[-held:]
        if self.groups is not None:
            train, test = next(
                GroupShuffleSplit(1, test_size=_HELD, random_state=seed).split(rows, groups=self.groups)
            )
            return train, test
        counts = np.unique(self.y, return_counts=True)[1] if stratify else np.zeros(1)
        enough = counts.min() > 1 and held >= len(counts)
        train, test = train_test_split(
            rows, test_size=held, random_state=seed, stratify=self.y if enough else None
        )
        return train, test


def _sequences(
    task: str, X: Any, y: Any, lengths: Any, options: dict[str, Any], groups: Any, longest: int | None
) -> _Data:
    """Rows as tokens or numbers, which can be cut anywhere, from their ends on."""
    data, targets = rows_to_learn(X, y, options.pop("tokens", None), lengths, each=False)
    group = opened_groups(groups, len(data), 2, "of which some are held out")
    if data and isinstance(data[0], str):
        reader = SequenceClassifier(**{name: options.pop(name) for name in _OF_TEXTS if name in options})
        reader._check()
        tokenizer = reader._tokenizer().decided_for(data, stacklevel=4)
        # Networks are given tokens, of which they are told pairs where these are letters.
        options["analyzer"] = tokenizer.analyzer
        data = [list(row) for row in tokenizer.tokens("X", data)]
    if longest is not None:
        data = [row[max(len(row) - longest, 0) :] for row in data]
    if not any(map(len, data)):
        msg = "X: expected sequences of some steps, got none of any"
        raise ValueError(msg)
    if task == "classify":
        expect_labels(targets)
    if task == "classify" and len(np.unique(targets)) < 2:
        msg = f"y: expected at least 2 classes, got {np.unique(targets).tolist()}"
        raise ValueError(msg)
    return _Data(data, targets, group)


_OF_TEXTS = ("analyzer", "lowercase")


def _windows(values: Array, longest: int | None, horizon: int) -> _Data:
    """Each time's last values as a sequence: how they differ from the last one, and from each to the next;
    and what the value ahead differs by.
    """
    size = min(len(values) // 8, _LONGEST) if longest is None else longest
    origins = np.arange(size + 1, len(values) - horizon + 1)
    if len(origins) < _FEWEST or size < 1:
        msg = f"X: expected at least {max(size, 1) + horizon + _FEWEST} values, got {len(values)}"
        raise ValueError(msg)
    last = values[origins - 1]
    rows = [
        np.stack([values[at - size : at] - values[at - 1], np.diff(values[at - size - 1 : at])], axis=1)
        for at in origins.tolist()
    ]
    return _Data(rows, values[origins - 1 + horizon] - last, in_time=True)


def _updates(X: list[Any], most: int) -> int:
    """Steps of training of each network, with which all together keep to so many steps of sequences."""
    mean = max(float(np.mean([len(row) for row in X])), 1.0)
    # The views of a sequence sum to two of it, and one of the networks reads twice.
    each = 2 * (len(READERS) + 1) * mean * _BATCH
    return min(max(int(most / each), 1), _UPDATES)


class _UntilLearnt:
    """Ends training where there is little left to learn."""

    def __init__(self) -> None:
        self._first = 0.0

    def __call__(self, info: TrainingInfo) -> bool:
        if info.event == "epoch" and info.epoch == 0:
            self._first = info.loss
        return info.event == "epoch" and info.loss < _LEARNT * self._first


class _Probe:
    """One probe's networks and figures."""

    def __init__(
        self, task: str, data: _Data, options: dict[str, Any], updates: int, seed: int, told: Told
    ) -> None:
        self.task, self.data, self.told, self.seed = task, data, told, seed
        self.classify = task == "classify"
        longest = max(map(len, data.X))
        self.views = np.array([0, *(2**power for power in range(longest.bit_length()) if 2**power < longest)])
        self.views = np.append(self.views, longest)
        self.train, self.test = data.split(self.classify, longest, seed)
        epochs = math.ceil(updates / math.ceil(len(self.train) / _BATCH))
        tokens = not isinstance(data.X[0], np.ndarray)
        self.options = {
            "hidden_size": 32,
            "learning_rate_init": 5e-3,
            "learning_rate": "constant",
            "batch_size": _BATCH,
            "max_iter": epochs,
            "dropout": 0.0,
            "input_dropout": 0.0,
            "output_dropout": 0.0,
            "callbacks": _UntilLearnt(),
            "random_state": seed,
            "tokens": tokens,
            **({"embedding_size": 32} if tokens else {}),
            **options,
        }
        self.truth = data.y[self.test]

    def run(self) -> MemoryProbe:
        begin = time.perf_counter()
        chance = self._answers(self._constant())
        seen: dict[str, Array] = {}
        within, between, gradients = {}, {}, {}
        total = len(READERS) * (len(self.views) - 1)
        for place, reader in enumerate(READERS):
            found, network = [chance], None
            for at, view in enumerate(self.views[1:].tolist()):
                network = self._network(reader).fit(self._cut(self.train, view), self.data.y[self.train])
                found.append(self._answers(network.predict(self._cut(self.test, view))))
                done, seconds = place * (len(self.views) - 1) + at + 1, time.perf_counter() - begin
                self.told(ProbeInfo(reader, view, done, total, float(found[-1].mean()), seconds))
            seen[reader] = np.array(found)
            within[reader], between[reader] = self._shuffled(network)
            rows = [self.data.X[row] for row in self.test[:_SHOWN]]
            gradients[reader] = norms_by_distance(network, rows, int(self.views[-1]))
        return MemoryProbe(
            self.task,
            _QUALITY[self.task],
            len(self.train),
            len(self.test),
            self.views,
            seen,
            within,
            between,
            gradients,
            time.perf_counter() - begin,
            self._blocks(),
        )

    def _blocks(self) -> Array | None:
        """Which sequences held out are no strangers to each other."""
        if self.data.in_time:
            return np.arange(len(self.test)) * min(_BLOCKS, len(self.test)) // len(self.test)
        if self.data.groups is None:
            return None
        blocks: Array = np.unique(self.data.groups[self.test], return_inverse=True)[1].reshape(-1)
        return blocks

    def _network(self, reader: str) -> Any:
        kind = SequenceClassifier if self.classify else SequenceRegressor
        return kind(**READERS[reader] | self.options)

    def _cut(self, rows: Array, view: int) -> list[Any]:
        return [self.data.X[row][max(len(self.data.X[row]) - view, 0) :] for row in rows]

    def _constant(self) -> Any:
        """What training says of a target of whose sequence nothing is known."""
        known = self.data.y[self.train]
        if self.classify:
            classes, counts = np.unique(known, return_counts=True)
            return np.full(len(self.test), classes[np.argmax(counts)])
        return np.broadcast_to(known.mean(axis=0), self.truth.shape)

    def _answers(self, found: Any) -> Array:
        """What each sequence that is held out adds to the score: of classes whether it is right, of numbers
        1 − its square error over the variance.
        """
        if self.classify:
            right: Array = (found == self.truth).astype(np.float64)
            return right
        truth = self.truth.reshape(len(self.truth), -1).astype(np.float64)
        variance = truth.var(axis=0)
        off = (np.asarray(found, np.float64).reshape(truth.shape) - truth) ** 2
        answers: Array = (1 - off / np.where(variance > 0, variance, 1.0)).mean(axis=1)
        return answers

    def _shuffled(self, network: Any) -> tuple[Array, Array]:
        """What the network of whole sequences makes of them when all but the last steps come in another
        order, or are another's, view by view.
        """
        rng = np.random.default_rng(self.seed)
        rows = [self.data.X[row] for row in self.test]
        places = [rng.permutation(len(row)) for row in rows]
        donors = [_donor(rows, at, rng) for at in range(len(rows))]
        within, between = [], []
        for view in self.views.tolist():
            mixed, lent = [], []
            for row, order, other in zip(rows, places, donors, strict=True):
                kept = max(len(row) - view, 0)
                mixed.append(_taken(row, [*order[order < kept], *range(kept, len(row))]))
                lent.append(_joined(_taken(other, range(kept)), row[kept:]))
            within.append(self._answers(network.predict(mixed)))
            between.append(self._answers(network.predict(lent)))
        return np.array(within), np.array(between)


def _taken(row: Any, places: Any) -> Any:
    """Some steps of a sequence."""
    return row[np.asarray(places, np.intp)] if isinstance(row, np.ndarray) else [row[at] for at in places]


def _joined(one: Any, other: Any) -> Any:
    return np.concatenate([one, other]) if isinstance(one, np.ndarray) else [*one, *other]


def _donor(rows: list[Any], at: int, rng: np.random.Generator) -> Any:
    """Another sequence, of which the last steps are taken, as many as here; a shorter one comes again."""
    own = len(rows[at])
    others = [row for row in range(len(rows)) if row != at and len(rows[row]) > 0]
    long = [row for row in others if len(rows[row]) >= own]
    if not others:
        return rows[at]
    other = rows[int(rng.choice(long or others))]
    return _taken(other, (np.arange(own) - own) % len(other))

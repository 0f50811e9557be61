"""The networks of a probe of memory: trained on the last steps alone, and asked what they make of the others.
It must not know where sequences come from.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from ._memory import READERS, MemoryProbe
from ._sensitivity import norms_by_distance
from .classifier import SequenceClassifier
from .regressor import SequenceRegressor

if TYPE_CHECKING:
    from ._batches import Array
    from ._callbacks import Told
    from ._training import TrainingInfo

QUALITY = {
    "classify": "accuracy",
    "regress": "R²",
    "forecast": "R² of the change",
    "tag": "accuracy of labels",
}
_HELD = 0.3
_UPDATES = 500
"""Steps of training of each network, about."""
BATCH = 32
_LEARNT = 0.01
"""Share of the first epoch's loss at which training ends."""
FEWEST = 20
"""Sequences without which nothing can be said."""
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


@dataclass(frozen=True)
class Rows:
    """Sequences with their targets, and groups if there are any; in order of time if they are windows."""

    X: list[Any]
    y: Array
    groups: Array | None = None
    in_time: bool = False

    def drawn(self, count: int, rng: np.random.Generator) -> Rows:
        """Some of them."""
        if len(self.X) < FEWEST:
            msg = f"X: expected at least {FEWEST} sequences, got {len(self.X)}"
            raise ValueError(msg)
        own = np.arange(len(self.X))
        if count < len(own):
            own = np.sort(rng.choice(own, count, replace=False))
        groups = None if self.groups is None else self.groups[own]
        return Rows([self.X[row] for row in own], self.y[own], groups, self.in_time)

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


def updates_of(X: list[Any], most: int) -> int:
    """Steps of training of each network, with which all together keep to so many steps of sequences."""
    mean = max(float(np.mean([len(row) for row in X])), 1.0)
    # The views of a sequence sum to two of it, and one of the networks reads twice.
    each = 2 * (len(READERS) + 1) * mean * BATCH
    return min(max(int(most / each), 1), _UPDATES)


def epochs_of(updates: int, rows: int) -> int:
    """Over so many rows, of which there are so many steps of training."""
    return math.ceil(updates / math.ceil(rows / BATCH))


class _UntilLearnt:
    """Ends training where there is little left to learn."""

    def __init__(self) -> None:
        self._first = 0.0

    def __call__(self, info: TrainingInfo) -> bool:
        if info.event == "epoch" and info.epoch == 0:
            self._first = info.loss
        return info.event == "epoch" and info.loss < _LEARNT * self._first


class Probing:
    """One probe's networks and figures."""

    def __init__(
        self, task: str, data: Rows, options: dict[str, Any], updates: int, seed: int, told: Told
    ) -> None:
        self.task, self.data, self.told, self.seed = task, data, told, seed
        self.classify = task in ("classify", "tag")
        longest = max(map(len, data.X))
        self.views = np.array([0, *(2**power for power in range(longest.bit_length()) if 2**power < longest)])
        self.views = np.append(self.views, longest)
        self.train, self.test = data.split(self.classify, longest, seed)
        tokens = not isinstance(data.X[0], np.ndarray)
        self.options = {
            "hidden_size": 32,
            "learning_rate_init": 5e-3,
            "learning_rate": "constant",
            "weight_decay": 0.0,
            "batch_size": BATCH,
            "max_iter": epochs_of(updates, len(self.train)),
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
        chance = self.answers(self._constant())
        seen: dict[str, Array] = {}
        within, between, gradients = {}, {}, {}
        total = len(READERS) * (len(self.views) - 1)
        for place, reader in enumerate(READERS):
            found, network = [chance], None
            for at, view in enumerate(self.views[1:].tolist()):
                network = self._network(reader).fit(self._cut(self.train, view), self.data.y[self.train])
                found.append(self.answers(network.predict(self._cut(self.test, view))))
                done, seconds = place * (len(self.views) - 1) + at + 1, time.perf_counter() - begin
                self.told(ProbeInfo(reader, view, done, total, float(found[-1].mean()), seconds))
            seen[reader] = np.array(found)
            within[reader], between[reader] = self._shuffled(network)
            rows = [self.data.X[row] for row in self.test[:_SHOWN]]
            gradients[reader] = norms_by_distance(network, rows, int(self.views[-1]))
        return MemoryProbe(
            self.task,
            QUALITY[self.task],
            len(self.train),
            len(self.test),
            self.views,
            seen,
            within,
            between,
            gradients,
            time.perf_counter() - begin,
            self.blocks(),
        )

    def blocks(self) -> Array | None:
        """Which sequences held out are no strangers to each other."""
        if self.data.in_time:
            return np.arange(len(self.test)) * min(_BLOCKS, len(self.test)) // len(self.test)
        if self.data.groups is None:
            return None
        found: Array = np.unique(self.data.groups[self.test], return_inverse=True)[1].reshape(-1)
        return found

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

    def answers(self, found: Any) -> Array:
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
            within.append(self.answers(network.predict(mixed)))
            between.append(self.answers(network.predict(lent)))
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

"""The probe of memory of targets of steps: what each side of a step tells of its target, and what networks of
whole sequences make of both. It must not know where sequences come from.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ._containers import opened
from ._labels import as_labels, expect_one_kind
from ._probing import FEWEST, QUALITY, ProbeInfo, Probing, Rows, epochs_of, updates_of
from ._step_memory import READERS, StepProbe
from ._targets import expect_finite
from .regressor import SequenceRegressor
from .tagger import SequenceTagger

if TYPE_CHECKING:
    from ._batches import Array
    from ._callbacks import Told


@dataclass(frozen=True)
class Steps:
    """Sequences with a target for each step, and groups."""

    X: list[Any]
    y: list[Array]
    groups: Array
    at: Array
    """Steps that are asked about, ``(n, 2)``: row and place."""
    longest: int = 1
    """Steps that one may see on either side, with itself."""

    @classmethod
    def of(cls, task: str, X: list[Any], targets: list[Any], groups: Array | None) -> Steps:
        """From rows that were opened; every sequence is a group unless there are others."""
        rows = [_labels(*one) for one in enumerate(targets)] if task == "tag" else targets
        for number, (row, one) in enumerate(zip(X, rows, strict=True)):
            if one.ndim == 0 or len(one) != len(row):
                got = "one value" if one.ndim == 0 else f"{len(one)}"
                msg = f"y: expected {len(row)} targets in row {number}, one for each step of X, got {got}"
                raise ValueError(msg)
            expect_finite(one, number)
            if task == "tag" and one.ndim != 1:
                msg = f"y: expected a label for each step in row {number}, got shape {one.shape}"
                raise ValueError(msg)
        if task == "tag":
            expect_one_kind("y", rows)
            known = np.concatenate([row for row in rows if len(row)] or [np.empty(0, str)])
            if len(np.unique(known)) < 2:
                msg = f"y: expected at least 2 labels, got {np.unique(known).tolist()}"
                raise ValueError(msg)
            rows = np.split(known, np.cumsum([len(row) for row in rows])[:-1])
        at = [(row, step) for row, one in enumerate(X) for step in range(len(one))]
        own = np.arange(len(X)) if groups is None else groups
        return cls(X, rows, own, np.array(at, np.intp).reshape(-1, 2))

    def drawn(self, count: int, longest: int | None, rng: np.random.Generator) -> Steps:
        """So many of the sequences, and of their steps; one may see so many on either side, with itself."""
        if len(self.X) < FEWEST:
            msg = f"X: expected at least {FEWEST} sequences, got {len(self.X)}"
            raise ValueError(msg)
        at, some = self.at, len(self.X)
        if count < some:
            at = at[np.isin(at[:, 0], rng.choice(some, count, replace=False))]
        if count < len(at):
            at = at[np.sort(rng.choice(len(at), count, replace=False))]
        return replace(self, at=at, longest=longest or max(map(len, self.X)))

    def before(self) -> Rows:
        """Each step behind those before it."""
        most = self.longest
        return self._rows([self.X[row][max(step + 1 - most, 0) : step + 1] for row, step in self.at])

    def after(self) -> Rows:
        """Each step behind those after it, the nearest of which stands next to it."""
        return self._rows([self.X[row][step : step + self.longest][::-1] for row, step in self.at])

    def _rows(self, views: list[Any]) -> Rows:
        return Rows(views, np.array([self.y[row][step] for row, step in self.at]), self.groups[self.at[:, 0]])


def _labels(row: int, given: Any) -> Array:
    """Those of a row, or one that stands where a row should."""
    return np.asarray(given) if np.isscalar(given) else as_labels("y", opened("y", given), f" in row {row}")


def probed_steps(
    task: str, steps: Steps, options: dict[str, Any], most: int, seed: int, told: Told
) -> StepProbe:
    """Both sides, and whole sequences, which share the steps of training between them."""
    begin = time.perf_counter()
    sides, updates = [], 0
    for rows in (steps.before(), steps.after()):
        updates = updates_of(rows.X, most // 3)
        sides.append(Probing(task, rows, options, updates, seed, told))
    back, ahead = (side.run() for side in sides)
    whole = _of_whole(task, steps, sides[0], updates, options, told)
    return StepProbe(task, QUALITY[task], back, ahead, whole, time.perf_counter() - begin)


def _of_whole(
    task: str, steps: Steps, side: Probing, updates: int, options: dict[str, Any], told: Told
) -> dict[str, Array]:
    """What the steps that are held out add to the scores of networks that read whole sequences, and learn
    from all steps of those that are not.
    """
    at = steps.at[side.test]
    learnt, tried = np.unique(steps.at[side.train][:, 0]), np.unique(at[:, 0])
    own = {"max_iter": epochs_of(updates, len(learnt))} | options
    begin, found = time.perf_counter(), {}
    for done, (reader, chosen) in enumerate(READERS.items(), 1):
        kind: Any = SequenceTagger if task == "tag" else SequenceRegressor
        fixed: dict[str, Any] = {"crf": False} if task == "tag" else {"pooling": "each"}
        network = kind(**side.options | own | chosen | fixed)
        network.fit([steps.X[row] for row in learnt], [steps.y[row] for row in learnt])
        said = dict(zip(tried.tolist(), network.predict([steps.X[row] for row in tried]), strict=True))
        found[reader] = side.answers(np.array([said[row][step] for row, step in at.tolist()]))
        seconds = time.perf_counter() - begin
        longest = max(map(len, steps.X))
        told(ProbeInfo(reader, longest, done, len(READERS), float(found[reader].mean()), seconds))
    return found

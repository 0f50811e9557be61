"""What training has come to, and all that its next step depends on besides the weights, the data and the
parameters: so that a run that was stopped goes on bit for bit. It must not know models, batches or files.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ._batches import Array


class Place(NamedTuple):
    """Where a run stands: its epochs, and of the epoch that is not at its end the batches."""

    epochs: int = 0
    steps: int = 0
    """The schedule's place."""
    batches: int = 0
    loss: float = 0.0
    """The sum of their losses, each by its weight."""
    weight: float = 0.0

    def after_batch(self, loss: float, weight: float) -> Place:
        """A step on."""
        lost, all_weight = self.loss + loss * weight, self.weight + weight
        return Place(self.epochs, self.steps + 1, self.batches + 1, lost, all_weight)

    def after_epoch(self) -> Place:
        """At the end of an epoch."""
        return Place(self.epochs + 1, self.steps)


_BEGIN = Place()


@dataclass
class Progress:
    """What training has come to. Defaults are values, which pickles of before have, too.

    It is written by `set` alone, many values in one step, which Ctrl-C cannot come between.
    """

    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best_score: float | None = None
    stop_reason: str | None = None
    """Why training ended; None while it has not."""
    place: Place = _BEGIN
    moved: bool = False
    """Whether this `fit` has made a step."""
    ended: bool = True
    """Whether the run came to its end by itself; else it can go on."""
    first: int = 0
    """Losses and scores before are of other data."""
    partial: bool = False
    """Whether the last loss is that of an epoch which a callback has cut short."""
    waiting: int = 0
    """Epochs without improvement."""
    plateau: tuple[float, float, int] | None = None
    """Where that schedule stands."""
    data: int | None = None
    """A checksum of what the run learns from and is validated on."""
    held: int | None = None
    """The seed by which rows are held out."""
    drawn: dict[str, Any] | None = None
    """The generator of shuffling as it was before the epoch that is not at its end."""
    carried: tuple[Array, ...] = ()
    """What that epoch's next batch goes on from."""
    best: Array | None = None
    """The weights with the best score, if they are kept."""
    last: Array | None = None
    """The weights that training goes on from, where the model has the best."""

    def set(self, **values: Any) -> None:
        """All of these at once."""
        vars(self).update(values)

    def improves(self, loss: float, score: float | None, tolerance: float) -> bool:
        """Whether an epoch is better than all before it: by its score, or else by its loss."""
        if score is not None:
            return self.best_score is None or score > self.best_score + tolerance
        return loss < min(self.loss_curve[self.first :], default=math.inf) - tolerance

    def begin(self, data: int | None, held: int | None, patience: int | None) -> None:
        """A run, or the rest of one on the same data that was stopped.

        What follows a run that came to its end is another one. On the same data it differs from the rest of
        the one before in the schedule alone; on others it begins with the weights that the model has.
        """
        whole = len(self.loss_curve) - self.partial
        self.set(loss_curve=self.loss_curve[:whole], partial=False, stop_reason=None)
        if data is None or data != self.data:
            self.set(best=None, best_score=None, last=None, waiting=0, ended=True)
            if not (data is self.data is None):
                self.set(plateau=None, first=whole)
        if self.ended:
            over = patience is not None and self.waiting >= patience
            self.set(place=_BEGIN, carried=(), drawn=None, waiting=0 if over else self.waiting)
        self.set(data=data, held=held, ended=False)

    def end_epoch(
        self, loss: float, score: float | None, tolerance: float, weights: Array | None, plateau: Any
    ) -> bool:
        """An epoch more; whether it is the best. `weights`: those of its end, to be kept if its score is."""
        waiting = 0 if self.improves(loss, score, tolerance) else self.waiting + 1
        leads = self.improves(loss, score, 0.0)
        best = score is not None and leads
        self.set(
            loss_curve=[*self.loss_curve, loss],
            validation_scores=self.validation_scores if score is None else [*self.validation_scores, score],
            best_score=score if best else self.best_score,
            best=weights if best else self.best,
            waiting=waiting,
            plateau=plateau,
            place=self.place.after_epoch(),
            carried=(),
            drawn=None,
        )
        return leads

    def give_up(self, reason: str) -> None:
        """Nobody goes on with the run."""
        self.set(stop_reason=reason, data=None, held=None, place=_BEGIN, carried=(), drawn=None, plateau=None)

    def without_run(self) -> Progress:
        """What has come of training, without what it would go on from."""
        curve, scores = list(self.loss_curve), list(self.validation_scores)
        return Progress(curve, scores, self.best_score, self.stop_reason)

    def shown(self) -> dict[str, Any]:
        """The attributes by which an estimator shows it."""
        return {
            "loss_curve_": self.loss_curve,
            "validation_scores_": self.validation_scores or None,
            "best_validation_score_": self.best_score,
            "n_iter_": len(self.loss_curve),
            "stop_reason_": self.stop_reason,
        }

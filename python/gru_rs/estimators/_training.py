"""Epochs over batches: the loop, early stopping, callbacks, progress, and an end by Ctrl-C. Everything that
touches numbers is two or three calls into the extension a batch.

It must not know what sequences or labels are.
"""

from __future__ import annotations

import time
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from gru_rs._optim import AdamW, clip_grad_norm
from gru_rs._schedules import CosineSchedule, PlateauSchedule

from ._batches import TRAINING, batches, by_length

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gru_rs._losses import Loss, LossFunction
    from gru_rs._model import Model

    from ._batches import Array, Sequences
    from ._frozen import Frozen


@dataclass(frozen=True)
class TrainingInfo:
    """Where training stands, for callbacks; one that returns True ends it.

    Attributes
    ----------
    event : {"batch", "epoch"}
        What has ended.
    epoch, batch : int
        Counted from 0; at the end of an epoch `batch` is its number of batches.
    loss : float
        Of the batch, or the mean of the epoch.
    validation_score : float or None
        With early stopping, at the end of an epoch.
    seconds : float
        Since training began.
    learning_rate : float
        Of the last step.
    gradient_norm : float
        Of all parameters together in the last step, before it was clipped.
    estimator : estimator
        The one in training, with its newest weights in ``model_``.
    """

    event: Literal["batch", "epoch"]
    epoch: int
    batch: int
    loss: float
    validation_score: float | None
    seconds: float
    learning_rate: float
    gradient_norm: float
    estimator: Any


class Examples(Protocol):
    """What is learnt from, batch by batch; what a batch is is their own affair."""

    def batches(self, size: int, rng: np.random.Generator | None) -> Sequence[Any]:
        """Those of an epoch; without a generator always the same."""
        ...

    def learn(self, model: Any, loss: Loss | LossFunction, batch: Any) -> tuple[float, Array, float]:
        """A batch's loss, its gradients, and how much it counts."""
        ...


@dataclass
class Labelled:
    """Sequences, what they should give, how much each counts."""

    sequences: Sequences
    targets: Callable[[Array], Array]
    weights: Array | None
    rows: Array
    """Those that are learnt from."""
    counts: Array | None = None
    """How much each row counts in a mean over all; all alike when there are none."""
    altered: Callable[[Array], Array] | None = None
    """What training makes of a batch's inputs; None: what they are."""

    def batches(self, size: int, rng: np.random.Generator | None) -> list[Array]:
        """Rows of about the same length."""
        found = batches(self.sequences.lengths[self.rows], size, rng)
        return [self.rows[places] for places in found]

    def learn(self, model: Model, loss: Loss | LossFunction, batch: Array) -> tuple[float, Array, float]:
        """The rows' loss, gradients, and weight; in parts if a long row would make padding of others."""
        parts = by_length(self.sequences.lengths, batch, len(batch), TRAINING)
        if len(parts) == 1:
            return self._learn(model, loss, batch)
        lost, gradients, total = 0.0, np.zeros_like(model.flat), 0.0
        for part in parts:
            one, slope, weight = self._learn(model, loss, part)
            lost, total = lost + one * weight, total + weight
            gradients += slope * np.asarray(weight, slope.dtype)
        share = 1 / total if total > 0 else 0.0
        return lost * share, gradients * np.asarray(share, gradients.dtype), total

    def _learn(self, model: Model, loss: Loss | LossFunction, batch: Array) -> tuple[float, Array, float]:
        weights = None if self.weights is None else self.weights[batch]
        x, lengths = self.sequences.batch(batch)
        x = x if self.altered is None else self.altered(x)
        lost, gradients = model.loss_and_grad(
            x, self.targets(batch), lengths=lengths, loss=loss, sample_weight=weights
        )
        return lost, gradients, len(batch) if self.counts is None else float(self.counts[batch].sum())


@dataclass
class Plan:
    """How to learn."""

    epochs: int
    batch_size: int
    shuffle: bool
    clip_norm: float | None
    weight_decay: float
    frozen: Frozen
    tolerance: float
    patience: int | None
    """Epochs without improvement that end training; None for no end."""
    verbose: bool
    callbacks: Sequence[Callable[[TrainingInfo], object]]
    validate: Callable[[], float] | None


@dataclass
class Progress:
    """What training has come to."""

    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best_score: float | None = None
    stop_reason: str | None = None
    """Why training ended; None while it has not."""

    def improves(self, loss: float, score: float | None, tolerance: float) -> bool:
        """Whether an epoch is better than all before it: by its score, or else by its loss."""
        if score is not None:
            return self.best_score is None or score > self.best_score + tolerance
        return not self.loss_curve or loss < min(self.loss_curve) - tolerance

    def add(self, loss: float, score: float | None) -> bool:
        """An epoch more; whether its score is the best."""
        self.loss_curve.append(loss)
        if score is None:
            return False
        self.validation_scores.append(score)
        best = self.best_score is None or score > self.best_score
        self.best_score = score if best else self.best_score
        return best

    def shown(self) -> dict[str, Any]:
        """The attributes by which an estimator shows it."""
        return {
            "loss_curve_": self.loss_curve,
            "validation_scores_": self.validation_scores or None,
            "best_validation_score_": self.best_score,
            "n_iter_": len(self.loss_curve),
            "stop_reason_": self.stop_reason,
        }


class Rates:
    """The learning rate of each step."""

    def __init__(self, first: float, schedule: str, steps: int, warmup_fraction: float) -> None:
        self._steps = 0
        warmup = round(steps * warmup_fraction)
        self._cosine = CosineSchedule(first, steps, warmup_steps=warmup) if schedule == "cosine" else None
        self._plateau = PlateauSchedule(first) if schedule == "plateau" else None
        self._rate = first

    def next(self) -> float:
        """Of the step that comes."""
        if self._cosine is not None:
            self._rate = self._cosine(self._steps)
        self._steps += 1
        return self._rate

    def end_of_epoch(self, loss: float) -> None:
        """Tells what is to become smaller."""
        if self._plateau is not None:
            self._rate = self._plateau.step(loss)


_LEAST = np.finfo(np.float64).tiny
"""In place of a sum of weights that is 0."""

_BOLD = 1.0
"""A learning rate above which a step of AdamW, about as long as the rate, may leave what floats can hold."""


class Trainer:
    """One model's training; a second run goes on where the first ended."""

    def __init__(
        self,
        model: Model,
        optimizer: AdamW,
        rates: Rates,
        loss: Loss | LossFunction,
        rng: np.random.Generator,
    ) -> None:
        self.model, self.optimizer, self.rates, self.loss, self.rng = model, optimizer, rates, loss, rng
        self._norm = 0.0
        self._begin = time.perf_counter()

    def run(self, examples: Examples, plan: Plan, progress: Progress, estimator: Any) -> None:
        """Some epochs. Whatever ends them, the best weights that validation has seen are kept, and
        ``progress.stop_reason`` says what it was.
        """
        best: Array | None = None
        waiting = 0
        progress.best_score = None  # a score before was of other held-out rows
        progress.stop_reason = None
        try:
            for _ in range(plan.epochs):
                epoch = len(progress.loss_curve)
                loss, count, ended = self._epoch(epoch, examples, plan, estimator)
                score = None if plan.validate is None else plan.validate()
                _expect_finite("the validation score", 0.0 if score is None else score, epoch)
                waiting = 0 if progress.improves(loss, score, plan.tolerance) else waiting + 1
                if progress.add(loss, score):
                    best = self.model.flat.copy()
                self.rates.end_of_epoch(loss if score is None else -score)
                if plan.verbose:
                    shown = "" if score is None else f", validation score {score:.4f}"
                    print(f"epoch {epoch + 1}: loss {loss:.6f}{shown}, {self._seconds():.1f} s")
                info = self._info("epoch", epoch, count, loss, score, estimator)
                if ended or _ends(plan.callbacks, info):
                    progress.stop_reason = "a callback returned True"
                elif plan.patience is not None and waiting >= plan.patience:
                    what = "loss" if score is None else "validation score"
                    progress.stop_reason = f"the {what} has not improved in {waiting} epochs"
                if progress.stop_reason is not None:
                    break
            else:
                progress.stop_reason = f"max_iter: {plan.epochs} epochs"
        except KeyboardInterrupt:
            progress.stop_reason = "Ctrl-C"
            kept = "as they are" if best is None else "of the best epoch so far"
            warnings.warn(f"training was ended by Ctrl-C; the weights are {kept}", stacklevel=2)
        except FloatingPointError as error:
            progress.stop_reason = f"diverged: {error}"
            if best is None:
                raise
            warnings.warn(f"{error}; the weights are of the best epoch so far", stacklevel=2)
        finally:
            if best is not None:
                self.model.set_flat(best)
            if plan.verbose:
                print(f"training ended: {progress.stop_reason or 'an error'}")

    def _seconds(self) -> float:
        return time.perf_counter() - self._begin

    def _info(
        self, event: Any, epoch: int, batch: int, loss: float, score: float | None, estimator: Any
    ) -> TrainingInfo:
        return TrainingInfo(
            event, epoch, batch, loss, score, self._seconds(), self.optimizer.lr, self._norm, estimator
        )

    def _epoch(self, epoch: int, examples: Examples, plan: Plan, estimator: Any) -> tuple[float, int, bool]:
        """The mean loss of an epoch, its batches, and whether a callback ended it."""
        found = examples.batches(plan.batch_size, self.rng if plan.shuffle else None)
        total = counted = 0.0
        for number, batch in enumerate(progress_bar(found, f"epoch {epoch + 1}", plan.verbose)):
            loss, count = self._step(examples, batch, plan, epoch)
            total, counted = total + loss * count, counted + count
            if plan.callbacks and _ends(
                plan.callbacks, self._info("batch", epoch, number, loss, None, estimator)
            ):
                return total / max(counted, _LEAST), number + 1, True
        return total / max(counted, _LEAST), len(found), False

    def _step(self, examples: Examples, batch: Any, plan: Plan, epoch: int) -> tuple[float, float]:
        """A step; a FloatingPointError if it cannot be made, with the weights as before it."""
        loss, gradients, count = examples.learn(self.model, self.loss, batch)
        _expect_finite("the loss", loss, epoch)
        plan.frozen.still(gradients)
        self._norm = clip_grad_norm(gradients, np.inf if plan.clip_norm is None else plan.clip_norm)
        _expect_finite("the norm of the gradients", self._norm, epoch)
        self.optimizer.lr = rate = self.rates.next()
        bold = rate > _BOLD or rate * plan.weight_decay > _BOLD
        before = self.model.flat.copy() if bold or plan.frozen else None
        self.optimizer.step(self.model, gradients)
        if before is not None and plan.frozen:
            self.model.set_flat(plan.frozen.restored(self.model.flat, before))
        if before is not None and not np.isfinite(self.model.flat).all():
            self.model.set_flat(before)
            _expect_finite("a weight", np.inf, epoch)
        return loss, count


def _expect_finite(what: str, value: float, epoch: int) -> None:
    """Training has not diverged."""
    if not np.isfinite(value):
        advice = "try a smaller learning_rate_init, or clip_norm"
        msg = f"training diverged in epoch {epoch + 1}: expected {what} to be finite, got {value}; {advice}"
        raise FloatingPointError(msg)


def _ends(callbacks: Sequence[Callable[[TrainingInfo], object]], info: TrainingInfo) -> bool:
    """Whether one of them says so; all are called."""
    return any([callback(info) is True for callback in callbacks])  # noqa: C419


def progress_bar(batches: Sequence[Any], name: str, shown: bool) -> Iterable[Any]:
    """The batches, with a bar on the terminal if tqdm is installed and it is wanted."""
    if shown:
        with suppress(ImportError):
            from tqdm.auto import tqdm

            bar: Iterable[Any] = tqdm(batches, desc=name, leave=False)
            return bar
    return batches

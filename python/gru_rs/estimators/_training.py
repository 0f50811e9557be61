"""Epochs over batches: the loop, early stopping, callbacks, progress, and an end by Ctrl-C. Everything that
touches numbers is two or three calls into the extension a batch.

It must not know what sequences or labels are.
"""

from __future__ import annotations

import re
import time
import warnings
import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from gru_rs._optim import AdamW, clip_grad_norm
from gru_rs._schedules import CosineSchedule, PlateauSchedule

from ._batches import TRAINING, batches, by_length
from ._progress import Progress  # pickles of before look for it here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from gru_rs._losses import Loss, LossFunction
    from gru_rs._model import Model

    from ._batches import Array, Sequences
    from ._frozen import Frozen
    from ._progress import Place


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
    best : bool
        At the end of an epoch: whether it is better than all before it, by the validation score if there is
        one, else by the loss.
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
    best: bool
    estimator: Any


class Examples(Protocol):
    """What is learnt from, batch by batch; what a batch is is their own affair."""

    carried: tuple[Array, ...]
    """What the next batch of an epoch goes on from."""

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
    carried: tuple[Array, ...] = ()
    """Nothing: each batch is by itself."""
    altered: Callable[[Array, int], Array] | None = None
    """What training makes of a batch's inputs by a seed; None: what they are."""

    def batches(self, size: int, rng: np.random.Generator | None) -> list[Array]:
        """Rows of about the same length."""
        found = batches(self.sequences.lengths[self.rows], size, rng)
        return [self.rows[places] for places in found]

    def learn(self, model: Model, loss: Loss | LossFunction, batch: Array) -> tuple[float, Array, float]:
        """The rows' loss, gradients, and weight; in parts if a long row would make padding of others."""
        parts = by_length(self.sequences.lengths, batch, len(batch), TRAINING)
        if len(parts) == 1:
            return self._learn(model, loss, batch)
        lost, gradients, total = 0.0, np.zeros_like(model._flat_view), 0.0
        for part in parts:
            one, slope, weight = self._learn(model, loss, part)
            lost, total = lost + one * weight, total + weight
            gradients += slope * np.asarray(weight, slope.dtype)
        share = 1 / total if total > 0 else 0.0
        return lost * share, gradients * np.asarray(share, gradients.dtype), total

    def _learn(self, model: Model, loss: Loss | LossFunction, batch: Array) -> tuple[float, Array, float]:
        weights = None if self.weights is None else self.weights[batch]
        x, lengths = self.sequences.batch(batch)
        x = x if self.altered is None else self.altered(x, model._core.rng_state)
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
    keep_best: bool
    """Whether the weights with the best score are kept."""


class Rates:
    """The learning rate of each step of a run, from where it stands."""

    def __init__(
        self,
        first: float,
        schedule: str,
        steps: int,
        warmup_fraction: float,
        plateau: tuple[float, float, int] | None,
    ) -> None:
        warmup = round(steps * warmup_fraction)
        self._cosine = CosineSchedule(first, steps, warmup_steps=warmup) if schedule == "cosine" else None
        self._plateau = PlateauSchedule(first) if schedule == "plateau" else None
        self._rate = first
        if self._plateau is not None and plateau is not None:
            # A first rate that was set lower meanwhile counts.
            self._rate = min(first, plateau[0])
            self._plateau._core.resume(self._rate, *plateau[1:])

    def at(self, step: int) -> float:
        """Of a step of the run."""
        return self._rate if self._cosine is None else self._cosine(step)

    def end_of_epoch(self, loss: float) -> tuple[float, float, int] | None:
        """Tells what is to become smaller; where the schedule stands then, if it goes by that."""
        if self._plateau is None:
            return None
        self._rate = self._plateau.step(loss)
        return self._plateau._core.state()


_LEAST = np.finfo(np.float64).tiny
"""In place of a sum of weights that is 0."""

_BOLD = 1.0
"""A learning rate above which a step of AdamW, about as long as the rate, may leave what floats can hold."""


class DivergenceError(FloatingPointError):
    """A loss, a gradient, a weight or a score that is not finite."""


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
        self._before, self._moves = 0, True
        self._begin = time.perf_counter()

    def run(self, examples: Examples, plan: Plan, progress: Progress, estimator: Any) -> None:
        """The rest of a run. Whatever ends it, the best weights that validation has seen are kept, and
        ``progress.stop_reason`` says what it was.
        """
        if progress.last is not None:
            # Unless somebody has given the model others than the best.
            if progress.best is not None and np.array_equal(self.model._flat_view, progress.best):
                self.model.set_flat(progress.last)
            progress.set(last=None)
        # Of the optimizer, besides those of the run.
        self._before = self.optimizer._steps(self.model) - progress.place.steps
        # What has no gradient is moved by weight decay and by older moments alone.
        self._moves = plan.weight_decay > 0 or self._before + progress.place.steps > 0
        ended = False
        try:
            reason = self._run(examples, plan, progress, estimator)
            progress.set(stop_reason=reason)
            ended = reason != _BY_CALLBACK
        except KeyboardInterrupt:
            progress.set(stop_reason="Ctrl-C")
            kept = "as they are" if progress.best is None else "of the best epoch so far"
            warnings.warn(f"training was ended by Ctrl-C; the weights are {kept}", stacklevel=2)
        except DivergenceError as error:
            # Nobody goes on from there, or with such moments.
            progress.give_up(f"diverged: {error}")
            self.optimizer._forget(self.model)
            ended = True
            if progress.best is None:
                raise
            warnings.warn(f"{error}; the weights are of the best epoch so far", stacklevel=2)
        finally:
            if progress.best is not None:
                progress.set(last=None if progress.data is None else self.model.flat)
                self.model.set_flat(progress.best)
            progress.set(ended=ended)
            if plan.verbose:
                print(f"training ended: {progress.stop_reason or 'an error'}")

    def _run(self, examples: Examples, plan: Plan, progress: Progress, estimator: Any) -> str:
        """Epochs until the run ends or a callback ends it; which of them it was."""
        while (reason := _end(plan, progress)) is None:
            epoch = len(progress.loss_curve)
            if self._epoch(epoch, examples, plan, progress, estimator):
                return _BY_CALLBACK
            place = progress.place
            loss, count = place.loss / max(place.weight, _LEAST), place.batches
            score = None if plan.validate is None else plan.validate()
            _expect_finite("the validation score", 0.0 if score is None else score, epoch)
            weights = self.model.flat if plan.keep_best else None
            plateau = self.rates.end_of_epoch(loss if score is None else -score)
            best = progress.end_epoch(loss, score, plan.tolerance, weights, plateau)
            if plan.verbose:
                shown = "" if score is None else f", validation score {score:.4f}"
                print(f"epoch {epoch + 1}: loss {loss:.6f}{shown}, {self._seconds():.1f} s")
            if _ends(plan.callbacks, self._info("epoch", epoch, count, loss, estimator, score, best=best)):
                return _BY_CALLBACK
        return reason

    def _seconds(self) -> float:
        return time.perf_counter() - self._begin

    def _info(
        self,
        event: Any,
        epoch: int,
        batch: int,
        loss: float,
        estimator: Any,
        score: float | None = None,
        *,
        best: bool = False,
    ) -> TrainingInfo:
        last = self._seconds(), self.optimizer.lr, self._norm
        return TrainingInfo(event, epoch, batch, loss, score, *last, best, estimator)

    def _epoch(self, epoch: int, examples: Examples, plan: Plan, progress: Progress, estimator: Any) -> bool:
        """The batches of an epoch that are left; whether a callback ended it."""
        progress.set(drawn=self.rng.bit_generator.state)
        found = examples.batches(plan.batch_size, self.rng if plan.shuffle else None)
        examples.carried = progress.carried
        begun = progress.place.batches
        if begun > len(found):  # of a file that somebody has edited
            msg = f"training.place: expected at most the {len(found)} batches of an epoch, got {begun}"
            raise ValueError(msg)
        bar = progress_bar(found[begun:], f"epoch {epoch + 1}", plan.verbose)
        for number, batch in enumerate(bar, begun):
            loss = self._step(examples, batch, plan, progress, epoch)
            if plan.callbacks and _ends(plan.callbacks, self._info("batch", epoch, number, loss, estimator)):
                mean = progress.place.loss / max(progress.place.weight, _LEAST)
                progress.set(loss_curve=[*progress.loss_curve, mean], partial=True)
                return True
        return False

    def _step(self, examples: Examples, batch: Any, plan: Plan, progress: Progress, epoch: int) -> float:
        """A step, all of it or, with a FloatingPointError if it cannot be made, nothing."""
        drawn, carried, place = self.model._core.rng_state, examples.carried, progress.place
        made, before, kept = self._before + place.steps, None, None
        try:
            loss, gradients, count = examples.learn(self.model, self.loss, batch)
            _expect_finite("the loss", loss, epoch)
            plan.frozen.still(gradients)
            self._norm = clip_grad_norm(gradients, np.inf if plan.clip_norm is None else plan.clip_norm)
            _expect_finite("the norm of the gradients", self._norm, epoch)
            self.optimizer.lr = rate = self.rates.at(place.steps)
            bold = rate > _BOLD or rate * plan.weight_decay > _BOLD
            before = self.model.flat if bold else None
            kept = plan.frozen.kept(self.model._flat_view) if self._moves else None
            place = place.after_batch(loss, count)
            self.optimizer.step(self.model, gradients)
            self._stepped(plan.frozen, kept, progress, place, examples)
        except BaseException:
            # Ctrl-C comes between any two instructions: either the step was made or it was not.
            if self.optimizer._steps(self.model) > made:
                self._stepped(plan.frozen, kept, progress, place, examples)
            else:
                self.model._core.set_rng_state(drawn)
                examples.carried = carried
            raise
        if before is not None and not np.isfinite(self.model._flat_view).all():
            self.model.set_flat(before)
            _expect_finite("a weight", np.inf, epoch)
        return loss

    def _stepped(
        self, frozen: Frozen, kept: list[Array] | None, progress: Progress, place: Place, examples: Examples
    ) -> None:
        """What belongs to a step that was made; to do it twice does no harm."""
        if kept:
            self.model.set_flat(frozen.restored(self.model._flat_view, kept))
        progress.set(place=place, carried=examples.carried, moved=True)


_BY_CALLBACK = "a callback returned True"


def _end(plan: Plan, progress: Progress) -> str | None:
    """Why a run has come to its end, if it has."""
    if plan.patience is not None and progress.waiting >= plan.patience:
        what = "loss" if plan.validate is None else "validation score"
        return f"the {what} has not improved in {progress.waiting} epochs"
    return f"max_iter: {plan.epochs} epochs" if progress.place.epochs >= plan.epochs else None


def _expect_finite(what: str, value: float, epoch: int) -> None:
    """Training has not diverged."""
    if not np.isfinite(value):
        advice = "try a smaller learning_rate_init, or clip_norm"
        msg = f"training diverged in epoch {epoch + 1}: expected {what} to be finite, got {value}; {advice}"
        raise DivergenceError(msg)


def _ends(callbacks: Sequence[Callable[[TrainingInfo], object]], info: TrainingInfo) -> bool:
    """Whether one of them says so; all are called."""
    found = [callback(info) for callback in callbacks]
    return any(isinstance(one, (bool, np.bool_)) and bool(one) for one in found)


def identity(value: Any) -> Any:
    """What tells a parameter from another, in this process and the next: a function by its name and code."""
    if isinstance(value, partial):
        return identity(value.func), value.args, sorted(value.keywords.items())
    code = getattr(value, "__code__", None)
    if code is not None:
        constants = [one for one in code.co_consts if not hasattr(one, "co_code")]
        return value.__qualname__, zlib.crc32(code.co_code), code.co_names, constants
    # Of an object that does not say what it holds the place in memory says nothing.
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def progress_bar(batches: Sequence[Any], name: str, shown: bool) -> Iterable[Any]:
    """The batches, with a bar on the terminal if tqdm is installed and it is wanted."""
    if shown:
        with suppress(ImportError):
            from tqdm.auto import tqdm

            bar: Iterable[Any] = tqdm(batches, desc=name, leave=False)
            return bar
    return batches

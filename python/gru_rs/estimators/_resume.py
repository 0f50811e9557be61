"""What training goes on from, in a file: moments and weights as tensors beside those of the network, the rest
as numbers of the header. Each is compared with the network and with what has come of training. It must not
know how a file is written, or how training goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from gru_rs._checks import as_count, as_flag, as_real
from gru_rs._saved import TRAINING, expect_names
from gru_rs._words import CELLS

from ._progress import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._batches import Array

_MOMENTS = ("mean", "square")
_BETAS = (0.9, 0.999)
"""Of the optimizer of all estimators."""

_ROUNDED = 1e-9
"""How far the product of many factors may be off, each step by half an ulp."""

_LEAST = 1e-290
"""Below, such a product is no longer exact."""

_MODEL, _OWN = "model", "own"
"""Where weights are: they are the network's, or they are tensors."""


def kept(estimator: Any) -> tuple[dict[str, Any], dict[str, Array]]:
    """What the header says of training, and the tensors."""
    progress, flat = estimator._progress, estimator.model_._flat_view
    tensors: dict[str, Array] = {}
    remembered = estimator._optimizer._remembered(estimator.model_)
    optimizer = None
    if remembered is not None:
        _, moments, steps, powers = remembered
        tensors |= dict(zip(_MOMENTS, moments, strict=True))
        optimizer = {"steps": steps, "powers": list(powers)}
    where = {}
    for name in ("best", "last"):
        weights = getattr(progress, name)
        where[name] = None if weights is None else _MODEL if np.array_equal(weights, flat) else _OWN
        if where[name] == _OWN:
            tensors[name] = weights
    tensors |= {f"carried.{number}": array for number, array in enumerate(progress.carried)}
    header = {
        "optimizer": optimizer,
        "place": list(progress.place),
        "ended": progress.ended,
        "first": progress.first,
        "partial": progress.partial,
        "waiting": progress.waiting,
        "plateau": None if progress.plateau is None else list(progress.plateau),
        "data": progress.data,
        "held": progress.held,
        **where,
    }
    return header, {TRAINING + name: array for name, array in tensors.items()}


def resume(estimator: Any, header: Any, tensors: Mapping[str, Array]) -> None:
    """Goes on from what a file holds, if all of it fits together; the estimator has its model and what has
    come of training.
    """
    names = (
        "optimizer",
        "place",
        "ended",
        "first",
        "partial",
        "waiting",
        "plateau",
        "data",
        "held",
        "best",
        "last",
    )
    expect_names("training", header, names)
    asked = _Tensors(estimator.model_, tensors)
    progress = estimator._progress
    place, partial = _place(header["place"]), as_flag("training.partial", header["partial"])
    whole = len(progress.loss_curve) - partial
    _expect("place", place.epochs <= whole, f"at most {whole} epochs, as of loss_curve_", place.epochs)
    # A loss is added to a curve at an epoch's end, or when a batch of it was learnt from.
    _expect("partial", not partial or place.batches > 0, "False at the end of an epoch", partial)
    steps = _optimizer(estimator, header["optimizer"], asked)
    _expect("place", place.steps <= steps, f"at most the optimizer's {steps} steps", place.steps)
    held, data = header["held"], header["data"]
    _expect("held", held is None or data is not None, "None without data", held)
    scored = progress.best_score is not None
    _expect("best", header["best"] is None or scored, "None without a score", header["best"])
    _expect("last", header["last"] is None or header["best"] is not None, "None without the best", "weights")
    progress.set(
        place=place,
        first=as_count("training.first", header["first"], whole - place.epochs + 1),
        partial=partial,
        ended=as_flag("training.ended", header["ended"]),
        waiting=as_count("training.waiting", header["waiting"], len(progress.loss_curve) + 1),
        plateau=_plateau(header["plateau"]),
        data=None if data is None else as_count("training.data", data, 2**32),
        held=None if held is None else as_count("training.held", held, 2**31),
        best=asked.weights("best", header["best"]),
        last=asked.weights("last", header["last"]),
        carried=_carried(estimator, place, asked),
    )
    asked.expect_all_asked()


class _Tensors:
    """Tensors of training, each of which somebody has to ask for."""

    def __init__(self, model: Any, tensors: Mapping[str, Array]) -> None:
        self.model, self._tensors, self._unasked = model, tensors, set(tensors)

    def array(self, name: str, shape: tuple[int | None, ...], *, finite: bool = True) -> Array:
        """Numbers of the network's dtype; None: any axis but an empty one."""
        array = self._tensors.get(TRAINING + name)
        expected = f"a tensor of {self.model.dtype}, shape {shape}"
        if array is None:
            _refuse(name, expected, "none")
        self._unasked.discard(TRAINING + name)
        fits = len(shape) == array.ndim and all(
            got == wanted or (wanted is None and got > 0)
            for got, wanted in zip(array.shape, shape, strict=True)
        )
        if array.dtype != self.model.dtype or not fits:
            _refuse(name, expected, f"{array.dtype} of shape {array.shape}")
        _expect(name, not finite or bool(np.isfinite(array).all()), "finite numbers", "others")
        found: Array = array.copy()
        return found

    def flat(self, name: str) -> Array:
        """A number for each parameter."""
        return self.array(name, self.model._flat_view.shape)

    def weights(self, name: str, where: Any) -> Array | None:
        """Weights, by where they are."""
        if where is None:
            return None
        _expect(name, where in (_MODEL, _OWN), f"None, {_MODEL!r} or {_OWN!r}", where)
        return self.model.flat if where == _MODEL else self.flat(name)

    def expect_all_asked(self) -> None:
        """There are no others."""
        for name in sorted(self._unasked):
            _refuse(name.removeprefix(TRAINING), "no tensor that training does not go on from", "one")


def _refuse(name: str, expected: str, got: Any) -> NoReturn:
    msg = f"training.{name}: expected {expected}, got {str(got)[:200]}"
    raise ValueError(msg)


def _expect(name: str, good: bool, expected: str, got: Any) -> None:
    if not good:
        _refuse(name, expected, got)


def _place(found: Any) -> Place:
    """A place in a run."""
    count = len(Place._fields)
    if not isinstance(found, list) or len(found) != count:
        _refuse("place", f"a list of {count} numbers", found)
    place = Place(*(as_count("training.place", one) for one in found[:3]), *found[3:])
    for number in place[3:]:
        finite = type(number) is float and np.isfinite(number)
        _expect("place", finite, "floats that are finite for loss and weight", number)
    _expect("place", place.weight >= 0, "a weight from 0", place.weight)
    least = place.epochs + place.batches
    _expect("place", place.steps >= least, f"at least {least} steps, one a batch", place.steps)
    if place.batches == 0:
        _expect("place", place == place.after_epoch()._replace(epochs=place.epochs), "no loss", place.loss)
    return place


def _optimizer(estimator: Any, found: Any, asked: _Tensors) -> int:
    """Gives the optimizer its moments; the steps it has taken."""
    if found is None:
        # Of training that diverged; with no steps there can be no place in a run.
        return 0
    expect_names("training.optimizer", found, ("steps", "powers"))
    steps, powers = as_count("training.optimizer.steps", found["steps"]), found["powers"]
    if steps == 0 or not isinstance(powers, list) or len(powers) != len(_BETAS):
        _refuse("optimizer", "steps from 1, and two powers", found)
    for power, beta in zip(powers, _BETAS, strict=True):
        expected = beta**steps
        good = type(power) is float and 0 <= power < 1
        good = good and (
            abs(power - expected) <= _ROUNDED * expected if expected > _LEAST else power < 10 * _LEAST
        )
        _expect("optimizer.powers", good, f"{expected}, that of {steps} steps", power)
    mean = asked.flat("mean")
    # Of gradients that were not clipped a square may be beyond what floats hold.
    square = asked.array("square", mean.shape, finite=False)
    _expect("square", bool((square >= 0).all()), "numbers from 0", "others")
    state = estimator.model_.dtype.name, [mean, square], steps, tuple(powers)
    estimator._optimizer._remember(estimator.model_, state)
    return steps


def _plateau(found: Any) -> tuple[float, float, int] | None:
    """Where that schedule stands: the rate, the best loss, and the epochs since."""
    if found is None:
        return None
    if not isinstance(found, list) or len(found) != 3:
        _refuse("plateau", "None, or a list of 3 numbers", found)
    rate, best = (as_real("training.plateau", one) for one in found[:2])
    _expect("plateau", np.isfinite(rate) and rate >= 0, "a finite rate from 0", rate)
    _expect("plateau", np.isfinite(best), "a finite loss", best)
    return rate, best, as_count("training.plateau", found[2])


def _carried(estimator: Any, place: Place, asked: _Tensors) -> tuple[Array, ...]:
    """The state in which a batch has ended that others go on from."""
    if not estimator._carries or place.batches == 0:
        return ()
    model = estimator.model_
    layers, _, units = model._state_shape(1)
    found = tuple(
        asked.array(f"carried.{number}", (layers, None, units))
        for number in range(len(CELLS[model.cell].states))
    )
    rows = {array.shape[1] for array in found}
    _expect("carried", len(rows) == 1 and max(rows) <= estimator.batch_size, "rows of a batch", rows)
    return found

"""Learning rates over time. The formulas are in src/optim/schedule.rs."""

from __future__ import annotations

from typing import Any

from . import _core
from ._checks import as_count, as_real


class CosineSchedule:
    """Down along half a cosine (Loshchilov and Hutter, 2017, without restarts), after a straight rise.

    Parameters
    ----------
    lr : float
        The highest rate.
    total_steps : int
        Steps until the lowest.
    warmup_steps : int, default 0
        Steps of the rise.
    min_lr : float, default 0.0
        The lowest rate.

    Raises
    ------
    ValueError, TypeError
        A rate that is negative, or more steps of rise than there are.

    Examples
    --------
    >>> import gru_rs
    >>> schedule, adam = gru_rs.CosineSchedule(0.1, 100, warmup_steps=10), gru_rs.Adam()
    >>> for step in range(100):
    ...     adam.lr = schedule(step)
    >>> schedule(55)
    0.05
    """

    def __init__(self, lr: float, total_steps: int, *, warmup_steps: int = 0, min_lr: float = 0.0) -> None:
        steps, warmup = as_count("total_steps", total_steps), as_count("warmup_steps", warmup_steps)
        self._arguments = as_real("lr", lr), steps, warmup, as_real("min_lr", min_lr)
        self._core = _core.Cosine(*self._arguments)
        self._repr = f"CosineSchedule({lr}, {total_steps}, warmup_steps={warmup_steps}, min_lr={min_lr})"

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_core"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._core = _core.Cosine(*self._arguments)

    def __call__(self, step: int) -> float:
        """The rate of a step.

        Parameters
        ----------
        step : int
            Counted from 0; from ``total_steps`` on it is ``min_lr``.

        Returns
        -------
        float
            Finite, at least 0; the same bits on every machine.

        Raises
        ------
        ValueError, TypeError
            No integer from 0.
        """
        return self._core.rate(as_count("step", step))

    def __repr__(self) -> str:
        return self._repr


class PlateauSchedule:
    """A smaller rate whenever a loss has not become smaller for some epochs, as PyTorch's ReduceLROnPlateau.

    What differs: a loss below 0 must become smaller to count, too, where PyTorch lets it become one part in
    10,000 larger.

    Parameters
    ----------
    lr : float
        The first rate.
    factor : float, default 0.1
        Of (0, 1).
    patience : int, default 10
        Epochs without improvement, of one part in 10,000, that are allowed.
    min_lr : float, default 0.0
        The lowest rate.

    Raises
    ------
    ValueError, TypeError
        A number outside its range.

    Examples
    --------
    >>> import gru_rs
    >>> schedule = gru_rs.PlateauSchedule(0.1, factor=0.5, patience=1)
    >>> [schedule.step(loss) for loss in (1.0, 0.9, 0.9, 0.9)]
    [0.1, 0.1, 0.1, 0.05]
    """

    def __init__(self, lr: float, *, factor: float = 0.1, patience: int = 10, min_lr: float = 0.0) -> None:
        rate, least = as_real("lr", lr), as_real("min_lr", min_lr)
        self._arguments = rate, as_real("factor", factor), as_count("patience", patience), least
        self._core = _core.Plateau(*self._arguments)
        self._repr = f"PlateauSchedule({lr}, factor={factor}, patience={patience}, min_lr={min_lr})"

    def __getstate__(self) -> dict[str, Any]:
        own = {name: value for name, value in vars(self).items() if name != "_core"}
        return own | {"state": self._core.state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update({name: value for name, value in state.items() if name != "state"})
        self._core = _core.Plateau(*self._arguments)
        self._core.resume(*state["state"])

    def step(self, loss: float) -> float:
        """The rate from now on, after an epoch.

        Parameters
        ----------
        loss : float
            Of the epoch; NaN counts as no improvement.

        Returns
        -------
        float
            The rate, never above the one before.

        Raises
        ------
        TypeError
            No number.
        """
        return self._core.end_of_epoch(as_real("loss", loss))

    def __repr__(self) -> str:
        return self._repr

"""Steps in another order: each row's own turned round, and those that a mask leaves brought to the front."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._arrays import Array


def reversed_steps(x: Array, lengths: Sequence[int] | None, *, batch_first: bool) -> Array:
    """The first steps of each row, as many as it has, from last to first; the others stay where they are."""
    axis = 1 if batch_first else 0
    if lengths is None:
        return np.flip(x, axis)
    steps = np.arange(x.shape[axis])
    length = np.asarray(lengths)[:, None]
    order = np.where(steps < length, length - 1 - steps, steps)  # (B, T)
    order = order if batch_first else order.T
    return np.take_along_axis(x, order[..., None], axis)


def packed_steps(x: Array, mask: Array) -> tuple[Array, Array]:
    """The steps (B, T, …) where the mask (B, T) is true, at the front of their rows, and their counts."""
    order = np.argsort(~mask, axis=1, kind="stable")
    return np.take_along_axis(x, order[..., None], 1), mask.sum(1)


def spread_steps(y: Array, mask: Array, *, hold: bool) -> Array:
    """The inverse: steps from the front to where the mask is; between them the last, or zeros."""
    count = np.cumsum(mask, axis=1)
    spread = np.take_along_axis(y, np.maximum(count - 1, 0)[..., None], 1)
    given = count > 0 if hold else mask
    return np.where(given[..., None], spread, np.zeros((), y.dtype))

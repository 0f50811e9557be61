"""The parameters that all estimators have in common: what each may be, whatever the others are and whatever
the data. It must not know networks, nor what training makes of them; what they come to is of `_defaults`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from gru_rs._checks import as_choice, as_flag, as_real, as_size
from gru_rs._words import WORDS

from ._frozen import expect_frozen

if TYPE_CHECKING:
    from ._base import NetworkEstimator


def expect_settings(estimator: NetworkEstimator) -> None:
    """All of them, as far as the network does not check them."""
    as_choice("cell", estimator.cell, WORDS["cell"])
    may_be_open = {field.name for field in fields(estimator) if field.default is None}
    left_open = {name for name in may_be_open if getattr(estimator, name) is None}
    if "learning_rate" not in left_open:
        as_choice("learning_rate", estimator.learning_rate, ("constant", "cosine", "plateau"))
    for name in ("batch_size", "max_iter", "n_iter_no_change"):
        if name not in left_open:
            as_size(name, getattr(estimator, name))
    for field in fields(estimator):
        if isinstance(field.default, bool):
            as_flag(field.name, getattr(estimator, field.name))
    as_real("tol", estimator.tol)
    expect_frozen(estimator.frozen)
    expect_share("warmup_fraction", estimator.warmup_fraction)
    expect_share("validation_fraction", estimator.validation_fraction, least=np.nextafter(0, 1))
    if estimator.clip_norm is not None and not as_real("clip_norm", estimator.clip_norm) > 0:
        msg = f"clip_norm: expected a positive number or None, got {estimator.clip_norm}"
        raise ValueError(msg)
    for callback in callbacks_of(estimator.callbacks):
        if not callable(callback):
            msg = f"callbacks: expected functions, got {callback!r}"
            raise TypeError(msg)


def callbacks_of(given: Any) -> list[Callable[..., object]]:
    """A function by itself is as good as a list of it."""
    if not callable(given) and not isinstance(given, (list, tuple)):
        msg = f"callbacks: expected a function or a list of functions, got {given!r}"
        raise TypeError(msg)
    return [given] if callable(given) else list(given)


def expect_share(name: str, value: Any, *, least: float = 0.0) -> None:
    """A share that is not all."""
    if not least <= as_real(name, value) < 1:
        msg = f"{name}: expected a number from 0 to below 1, got {value}"
        raise ValueError(msg)

"""A fit that goes wrong before it has begun, undone. It must not know what is learnt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ._training import DivergenceError


@contextmanager
def all_or_nothing(estimator: Any) -> Iterator[None]:
    """What goes wrong before a step was made leaves all as it was, but for a loss that is not finite."""
    state, before = dict(vars(estimator)), vars(estimator).get("_progress")
    if before is not None:
        known, drawn = dict(vars(before)), estimator._rng.bit_generator.state
        before.set(moved=False)
    try:
        yield
    except BaseException as error:
        now = vars(estimator).get("_progress")
        if isinstance(error, DivergenceError) or (now is not None and now.moved):
            raise
        estimator.__dict__.clear()
        estimator.__dict__.update(state)
        if before is not None:
            before.set(**known)
            estimator._rng.bit_generator.state = drawn
        raise

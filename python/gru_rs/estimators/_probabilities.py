"""Probabilities of scores, by the kernel that makes them in Rust (`Saved::probabilities`): the same bits."""

from __future__ import annotations

import numpy as np

from gru_rs import _core

from ._batches import Array


def softmax(scores: Array) -> Array:
    """eˣ / Σ eˣ along the last axis."""
    flat, _ = _core.softmax(np.ascontiguousarray(scores), scores.shape[-1])
    found: Array = flat.reshape(scores.shape)
    return found


def log_softmax(scores: Array) -> Array:
    """ln of the softmax along the last axis: x − ln Σ eˣ, which stays finite where the softmax is 0."""
    found: Array = (scores - log_sums(scores)[..., np.newaxis]).astype(scores.dtype)
    return found


def log_sums(scores: Array) -> Array:
    """ln Σ eˣ along the last axis, as float64."""
    _, flat = _core.softmax(np.ascontiguousarray(scores), scores.shape[-1])
    found: Array = flat.reshape(scores.shape[:-1])
    return found

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


def sigmoid(scores: Array) -> Array:
    """1 / (1 + e⁻ˣ) of each score: the softmax beside a score of 0."""
    found: Array = softmax(_beside_zero(scores))[..., 0]
    return found


def log_sigmoid(scores: Array) -> Array:
    """ln of the sigmoid, which stays finite where that is 0."""
    found: Array = log_softmax(_beside_zero(scores))[..., 0]
    return found


def _beside_zero(scores: Array) -> Array:
    return np.stack([scores, np.zeros_like(scores)], axis=-1)


def log_sums(scores: Array) -> Array:
    """ln Σ eˣ along the last axis, as float64."""
    _, flat = _core.softmax(np.ascontiguousarray(scores), scores.shape[-1])
    found: Array = flat.reshape(scores.shape[:-1])
    return found


def top(probabilities: Array, classes: Array, k: int) -> tuple[Array, Array]:
    """Of each row the k most probable classes and their probabilities, those of equal ones in their order."""
    if k > len(classes):
        msg = f"k: expected at most {len(classes)}, the number of classes, got {k}"
        raise ValueError(msg)
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return classes[best], np.take_along_axis(probabilities, best, axis=1)

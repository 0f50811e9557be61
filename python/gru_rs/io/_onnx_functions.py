"""What activations are called in ONNX, and those of a node as a layer's. It must not know weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._words import CELLS

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}
SLOPES = {"hard_sigmoid": 1 / 6, "hard_sigmoid_0.2": 0.2}
"""Those that a HardSigmoid is, by its slope."""


def functions_of(name: str, cell: str, attributes: dict[str, Any], directions: int) -> dict[str, Any]:
    """The node's activations and clip as a layer's."""
    count = 1 + len(CELLS[cell].states)
    default = ["Sigmoid", "Tanh", "Tanh"][:count] * directions
    given = [
        word.decode() if isinstance(word, bytes) else word for word in attributes.get("activations", default)
    ]
    if len(given) != len(default):
        msg = f"{name}: expected {len(default)} activations, got {given}"
        raise ValueError(msg)
    # Each function that has an α takes the next of the list.
    alphas = iter(attributes.get("activation_alpha", ()))
    betas = iter(attributes.get("activation_beta", ()))
    functions = [_function(name, word, alphas, betas) for word in given]
    gates, candidates = {functions[k] for k in range(0, len(functions), count)}, set()
    for k in range(0, len(functions), count):
        candidates |= set(functions[k + 1 : k + count])
    if len(gates) > 1 or len(candidates) > 1:
        msg = (
            f"{name}: expected one activation for the gates and one for the candidate, in all directions (of "
            f"an LSTM also for the cell that goes out), got {given}"
        )
        raise ValueError(msg)
    clip = attributes.get("clip", 0.0)
    if clip < 0:
        msg = f"{name}: expected a clip that is not negative, got {clip}"
        raise ValueError(msg)
    return {"recurrent_activation": gates.pop(), "activation": candidates.pop(), "clip": clip or None}


def _function(name: str, word: str, alphas: Iterator[float], betas: Iterator[float]) -> str:
    lower = word.lower()
    if lower in FUNCTIONS:
        return lower
    if lower == "hardsigmoid":
        alpha, beta = next(alphas, 0.2), next(betas, 0.5)
        for function, slope in SLOPES.items():
            if np.isclose(alpha, slope, rtol=1e-6) and beta == 0.5:
                return function
        got = f"HardSigmoid with alpha {alpha} and beta {beta}"
    else:
        got = word
    msg = (
        f"{name}: expected the activations Sigmoid, Tanh, Relu, or HardSigmoid with alpha 0.2 or 1/6 and "
        f"beta 0.5, got {got}"
    )
    raise ValueError(msg)

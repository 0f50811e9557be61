"""Layers that were read from a file beside those of their own framework: `--check` of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import gru_rs

from ._beside_keras import beside_keras
from ._engines import ROWS, STEPS, engine, inputs_of, largest, leaves, run_onnx

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 5e-5
"""Of --check: two engines in float32, over as many steps as it runs."""


@dataclass(frozen=True)
class Taken:
    """A layer of a file: with the manners of its framework around it, and without."""

    layer: Any
    whole: Any


def differences(kind: str, path: Path, found: dict[str, Taken]) -> dict[str, float]:
    """The largest difference of each layer's numbers from its framework's."""
    return {"torch": _beside_torch, "keras": beside_keras, "onnx": _beside_onnx}[kind](path, found)


def _beside_torch(_: Path, found: dict[str, Taken]) -> dict[str, float]:
    return {
        name: beside_torch(one.layer, gru_rs.to_torch_state_dict(one.layer)) for name, one in found.items()
    }


def beside_torch(layer: Any, state: dict[str, Any]) -> float:
    """The largest difference of a layer's numbers from those of PyTorch's with that state."""
    torch = engine("torch", "--check")
    x, options = inputs_of(layer), {}
    if isinstance(layer, (gru_rs.GRU, gru_rs.LSTM)):
        options = {
            "num_layers": layer.num_layers,
            "bidirectional": layer.bidirectional,
            "batch_first": layer.batch_first,
        }
        x = x if layer.batch_first else x.swapaxes(0, 1)
    else:
        x = x[:, 0]
    made = getattr(torch.nn, type(layer).__name__)
    dtype = torch.float64 if layer.dtype == np.float64 else torch.float32
    module = made(layer.input_size, layer.hidden_size, bias=layer.bias, dtype=dtype, **options)
    module.load_state_dict(state)
    with torch.no_grad():
        theirs = module(torch.from_numpy(x.copy()))
    return largest(layer(x), [tensor.numpy() for tensor in leaves(theirs)])


def _beside_onnx(path: Path, found: dict[str, Taken]) -> dict[str, float]:
    from gru_rs.io._onnx_alone import node_alone

    differences = {}
    for name in found:
        alone = node_alone(path, name, steps=STEPS, rows=ROWS)
        theirs = run_onnx(name, alone.model.SerializeToString(), alone.feeds)
        differences[name] = largest(alone.ours, theirs)
    return differences

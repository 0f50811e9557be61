"""Layers that were read from a file beside those of their own framework: `--check` of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import gru_rs

from ._beside_keras import beside_keras
from ._numbers import ROWS, STEPS, inputs_of, largest, leaves

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 5e-5
"""Of --check: two engines in float32, over as many steps as it runs."""


@dataclass(frozen=True)
class Found:
    """A layer of a file: with the manners of its framework around it, and without."""

    layer: Any
    whole: Any


def differences(kind: str, path: Path, found: dict[str, Found]) -> dict[str, float]:
    """The largest difference of each layer's numbers from its framework's."""
    return {"torch": _beside_torch, "keras": beside_keras, "onnx": _beside_onnx}[kind](path, found)


def _beside_torch(_: Path, found: dict[str, Found]) -> dict[str, float]:
    import torch

    differences = {}
    for name, one in found.items():
        layer, options = one.layer, {}
        x = inputs_of(layer).swapaxes(0, 1)
        if isinstance(layer, (gru_rs.GRU, gru_rs.LSTM)):
            options = {"num_layers": layer.num_layers, "bidirectional": layer.bidirectional}
        else:
            x = x[0]
        made = getattr(torch.nn, type(layer).__name__)
        dtype = torch.float64 if layer.dtype == np.float64 else torch.float32
        module = made(layer.input_size, layer.hidden_size, bias=layer.bias, dtype=dtype, **options)
        module.load_state_dict(gru_rs.to_torch_state_dict(layer))
        with torch.no_grad():
            theirs = module(torch.from_numpy(x.copy()))
        numbers = [tensor.numpy() for tensor in leaves(theirs)]
        differences[name] = largest(layer(x), numbers)
    return differences


def _beside_onnx(path: Path, found: dict[str, Found]) -> dict[str, float]:
    import onnxruntime

    from gru_rs.io._onnx_alone import node_alone

    differences = {}
    for name in found:
        alone = node_alone(path, name, steps=STEPS, rows=ROWS)
        session = onnxruntime.InferenceSession(
            alone.model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        differences[name] = largest(alone.ours, session.run(None, alone.feeds))
    return differences

"""Layers that were read from a file beside those of their own framework: `--check` of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

import gru_rs

if TYPE_CHECKING:
    from pathlib import Path

TOLERANCE = 5e-5
"""Of --check: two engines in float32, over as many steps as it runs."""
_STEPS, _ROWS = 20, 3


@dataclass(frozen=True)
class Found:
    """A layer of a file: with the manners of its framework around it, and without."""

    layer: Any
    whole: Any


def differences(kind: str, path: Path, found: dict[str, Found]) -> dict[str, float]:
    """The largest difference of each layer's numbers from its framework's."""
    return {"torch": _beside_torch, "keras": _beside_keras, "onnx": _beside_onnx}[kind](path, found)


def _inputs(layer: Any) -> Any:
    return np.random.default_rng(0).normal(size=(_ROWS, _STEPS, layer.input_size)).astype(layer.dtype)


def _largest(ours: Any, theirs: Any) -> float:
    pairs = zip(_arrays(ours), _arrays(theirs), strict=True)
    return max(float(np.abs(a - b).max(initial=0)) for a, b in pairs)


def _arrays(tree: Any) -> list[Any]:
    return (
        [leaf for branch in tree for leaf in _arrays(branch)] if isinstance(tree, (tuple, list)) else [tree]
    )


def _beside_torch(_: Path, found: dict[str, Found]) -> dict[str, float]:
    import torch

    differences = {}
    for name, one in found.items():
        layer, options = one.layer, {}
        x = _inputs(layer).swapaxes(0, 1)
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
        numbers = [tensor.numpy() for tensor in _arrays(theirs)]
        differences[name] = _largest(layer(x), numbers)
    return differences


def _beside_keras(path: Path, found: dict[str, Found]) -> dict[str, float]:
    try:
        import keras
    except ModuleNotFoundError as error:
        msg = (
            f"--check needs Keras with a backend; {error.name} is not installed (KERAS_BACKEND names another)"
        )
        raise ImportError(msg) from error
    if path.name.endswith(".weights.h5"):
        msg = f"{path.name}: expected a file of a whole model for --check, got one of weights alone"
        raise ValueError(msg)
    model = keras.models.load_model(path, compile=False)
    differences = {}
    for name, one in found.items():
        theirs = model
        for part in name.split("/"):
            theirs = theirs.get_layer(part)
        x = _inputs(one.layer)
        mask = np.random.default_rng(1).random(x.shape[:2]) < 0.7
        outputs = [keras.ops.convert_to_numpy(y) for y in _arrays(theirs(x, mask=mask))]
        differences[name] = _largest(one.whole(x, mask=mask), outputs)
    return differences


def _beside_onnx(path: Path, found: dict[str, Found]) -> dict[str, float]:
    import onnxruntime

    from gru_rs.io._onnx_alone import node_alone

    differences = {}
    for name in found:
        alone = node_alone(path, name, steps=_STEPS, rows=_ROWS)
        session = onnxruntime.InferenceSession(
            alone.model.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        differences[name] = _largest(alone.ours, session.run(None, alone.feeds))
    return differences

"""What engines are known not to compute right of the models that `to_onnx` writes, as it was measured:
``docs/engines.md``. It must not write anything.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from .._checks import as_choice

if TYPE_CHECKING:
    import onnx

_KNOWN: dict[str, tuple[str, dict[str, str]]] = {
    "onnxruntime": ("1.32.0", {"float64": "is refused"}),
    "openvino": ("2026.4.1", {"float64": "is computed in float32", "hard": "is refused"}),
    "reference": (
        "1.23.2",
        {"clip": "is dropped", "functions": "is dropped", "bytes": "is refused below opset 19"},
    ),
    "rten": (
        "0.27.0",
        {"reset": "is refused", "clip": "is refused", "functions": "is refused", "float64": "is refused"},
    ),
    "mnn": (
        "3.6.1",
        {
            "reset": "is computed in a form of its own",
            "clip": "is dropped",
            "functions": "is dropped or refused",
            "float64": "is refused",
            "free": "is refused of many models",
            "bytes": "is wrong",
        },
    ),
    "opencv": ("5.0.0", {"clip": "is dropped", "functions": "is refused", "float64": "is refused or wrong"}),
    "tract": (
        "0.23.9",
        {
            "clip": "is dropped",
            "functions": "is dropped",
            "float64": "is refused",
            "lone": "is refused",
            "kept": "drifts by some 1e-7 a step",
        },
    ),
    "iree": (
        "3.13.0",
        {
            "hard": "is computed as Relu",
            "clip": "is refused",
            "float64": "is refused",
            "free": "is refused",
        },
    ),
    "onnx2tf": (
        "2.6.9",
        {
            "clip": "is refused or wrong",
            "functions": "is refused or wrong",
            "float64": "is refused or wrong",
            "free": "becomes 1",
            "ends": "is wrong",
            "back": "is refused",
        },
    ),
    "candle": (
        "0.11.1",
        {
            "gru": "is refused",
            "rows": "is wrong",
            "integers": "are refused",
            "clip": "is refused",
            "functions": "is refused",
            "float64": "is refused",
            "bytes": "is refused",
        },
    ),
    "tvm": ("0.27.0", {}),
    "onnx2torch": ("1.5.15", {}),
    "jaxonnxruntime": ("0.3.0", {}),
    "tinygrad": ("0.14.0", {}),
}
"""Of each engine the version that was measured, and what becomes of what; nothing: it has no such nodes."""

_CALLED = {
    "back": "lengths with a second direction",
    "bytes": "a weight of 8 bits",
    "clip": "a clip",
    "ends": "the final state of an LSTM",
    "float64": "float64",
    "free": "a size that is free (batch=, steps=)",
    "functions": "an activation other than sigmoid and tanh",
    "gru": "a GRU",
    "hard": "HardSigmoid",
    "integers": "lengths or tokens of 32 bits",
    "kept": "the c of an LSTM behind a row's end",
    "lone": "a single LSTM node without first states",
    "reset": "a GRU with reset_after=False",
    "rows": "an LSTM of more than one row",
}


def expect_target(target: str | None, model: onnx.ModelProto) -> None:
    """A warning for each thing that an engine is known not to compute right; an error if it has no nodes."""
    if target is None:
        return
    version, known = _KNOWN[as_choice("target", target, tuple(_KNOWN))]
    if not known:
        msg = f"target: expected an engine that has recurrent nodes, got {target!r}, which has none"
        raise ValueError(msg)
    there = _there(model)
    for what, becomes in known.items():
        if what in there:
            said = f"target {target} {version}: {_CALLED[what]} {becomes}"
            warnings.warn(said, UserWarning, stacklevel=3)


def _there(model: onnx.ModelProto) -> set[str]:
    """Which of these things there are in a model."""
    inputs = {value.name: value.type.tensor_type.shape.dim for value in model.graph.input}
    nodes = [node for node in model.graph.node if node.op_type in ("GRU", "LSTM")]
    kinds = {node.op_type for node in nodes}
    options: list[dict[str, Any]] = [{one.name: one for one in node.attribute} for node in nodes]
    functions = {name for given in options if "activations" in given for name in given["activations"].strings}
    rows = next(iter(inputs.values()))[:2]
    weights = {name for node in nodes for name in node.input[1:3]}
    wide = any(one.name in weights and one.data_type == _FLOAT64 for one in model.graph.initializer)
    found = {
        "back": "lengths" in inputs and any(node.op_type == "GatherND" for node in model.graph.node),
        "bytes": any(node.op_type == "DequantizeLinear" for node in model.graph.node),
        "clip": any("clip" in given for given in options),
        "ends": "LSTM" in kinds and any(value.name == "c_n" for value in model.graph.output),
        "float64": wide,
        "free": any(not axis.HasField("dim_value") for axes in inputs.values() for axis in axes),
        "functions": bool(functions - {b"Sigmoid", b"Tanh"}),
        "gru": "GRU" in kinds,
        "hard": b"HardSigmoid" in functions,
        "integers": any(value.type.tensor_type.elem_type == _INT32 for value in model.graph.input),
        "kept": "lengths" in inputs and any(value.name == "c_n" for value in model.graph.output),
        "lone": kinds == {"LSTM"} and len(nodes) == 1 and "h0" not in inputs,
        "reset": any(
            "linear_before_reset" in given and not given["linear_before_reset"].i for given in options
        ),
        "rows": "LSTM" in kinds and all(axis.dim_value != 1 for axis in rows),
    }
    return {name for name, there in found.items() if there}


_INT32, _FLOAT64 = 6, 11
"""ONNX's numbers of them."""

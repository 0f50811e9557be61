"""What engines are known to compute wrong of the models that `to_onnx` writes: ``docs/engines.md`` has the
measurements. It must not write anything.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from .._checks import as_choice

if TYPE_CHECKING:
    import onnx

_RECURRENT = ("GRU", "LSTM")


class _Known(NamedTuple):
    """Of an engine, by the version that was asked."""

    version: str
    fixed: bool = False
    """Whether it needs sizes that are numbers."""
    absent: bool = False
    """Whether it has no recurrent operator at all."""
    wrong: tuple[str, ...] = ()
    """What it computes wrong, by the names of `_WHERE`."""


_KNOWN = {
    "onnxruntime": _Known("1.32.0", wrong=("float64",)),
    "openvino": _Known("2026.4.1"),
    "reference": _Known("1.23"),
    "rten": _Known("0.27"),
    "mnn": _Known("3.6.1", fixed=True, wrong=("reset",)),
    "iree": _Known("3.13", fixed=True, wrong=("hard",)),
    "onnx2tf": _Known("2.6.9", fixed=True),
    "tract": _Known("0.23.9", wrong=("back",)),
    "opencv": _Known("5.0", wrong=("lengths",)),
    "candle": _Known("", wrong=("rows", "lengths")),
    "tvm": _Known("", absent=True),
    "onnx2torch": _Known("", absent=True),
    "jaxonnxruntime": _Known("", absent=True),
    "tinygrad": _Known("", absent=True),
}

_SAID = {
    "float64": "it refuses GRU and LSTM of float64 when they run",
    "reset": "its GRU with reset_after=False is a form of its own",
    "hard": "it computes HardSigmoid as Relu",
    "back": "of lengths with a second direction nothing is known to be right there",
    "lengths": "lengths are not known to be right there",
    "rows": "its LSTM is wrong for more than one row",
}


def expect_target(target: str | None, model: onnx.ModelProto) -> None:
    """A warning for each thing that an engine is known to compute wrong, an error if it can nothing of it."""
    if target is None:
        return
    known = _KNOWN[as_choice("target", target, tuple(_KNOWN))]
    engine = f"{target} {known.version}".strip()
    if known.absent:
        msg = f"target: expected an engine that has recurrent operators, got {target!r}, which has none"
        raise ValueError(msg)
    said = [_SAID[word] for word in known.wrong if _WHERE[word](model)]
    free = [value.name for value in model.graph.input if not _is_fixed(value)]
    if known.fixed and free:
        said.append(f"it needs sizes that are numbers (batch=, steps=), of {', '.join(free)}")
    for text in said:
        warnings.warn(f"target {engine}: {text}", UserWarning, stacklevel=3)


def _is_fixed(value: Any) -> bool:
    return all(axis.HasField("dim_value") for axis in value.type.tensor_type.shape.dim)


def _nodes(model: onnx.ModelProto, *kinds: str) -> list[Any]:
    return [node for node in model.graph.node if node.op_type in kinds]


def _attribute(node: Any, name: str) -> Any:
    return next((one for one in node.attribute if one.name == name), None)


def _lengths(model: onnx.ModelProto) -> bool:
    return any(value.name == "lengths" for value in model.graph.input)


def _rows(model: onnx.ModelProto) -> bool:
    first = model.graph.input[0].type.tensor_type.shape.dim
    alone = any(axis.dim_value == 1 for axis in first[:2])
    return bool(_nodes(model, "LSTM")) and not alone


_WHERE = {
    "float64": lambda model: any(value.data_type == 11 for value in _weights(model)),
    "reset": lambda model: any(
        _attribute(node, "linear_before_reset").i == 0 for node in _nodes(model, "GRU")
    ),
    "hard": lambda model: any(
        b"HardSigmoid" in (_attribute(node, "activations") or _Nothing).strings
        for node in _nodes(model, *_RECURRENT)
    ),
    "back": lambda model: bool(_nodes(model, "ReverseSequence")),
    "lengths": _lengths,
    "rows": _rows,
}


class _Nothing:
    strings: tuple[bytes, ...] = ()


def _weights(model: onnx.ModelProto) -> list[Any]:
    """Those of recurrent nodes."""
    names = {name for node in _nodes(model, *_RECURRENT) for name in node.input[1:3]}
    return [value for value in model.graph.initializer if value.name in names]

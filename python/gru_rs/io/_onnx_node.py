"""What a recurrent node of an ONNX model says, as a layer.

What a node does is said in its operator's text, https://onnx.ai/onnx/operators/onnx__GRU.html and
https://onnx.ai/onnx/operators/onnx__LSTM.html. Whatever those name is taken, or is an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper

from .._arrays import expect_shape
from ._layouts import ONNX, Weights, new_layer
from ._onnx_functions import functions_of
from ._onnx_layer import DIRECTIONS, OnnxLayer

if TYPE_CHECKING:
    import onnx

    from .._arrays import Array
    from ._onnx_constants import Constants

_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
_OUTPUTS = ("Y", "Y_h", "Y_c")
OUTPUTS_OF = {"GRU": _OUTPUTS[:2], "LSTM": _OUTPUTS}
"""The outputs of each kind of node that is a layer."""


def layer_of(node: onnx.NodeProto, name: str, constants: Constants, believed: int | None) -> OnnxLayer:
    """The node as a layer; a ValueError that says what layers do not have."""
    cell = node.op_type.lower()
    attributes = _attributes(node, name)
    inputs = {role: given for role, given in zip(_INPUTS, node.input, strict=False) if given}
    w, r = (_weights(name, role, inputs, constants) for role in "WR")
    b = _weights(name, "B", inputs, constants) if "B" in inputs else None
    if "P" in inputs and (p := constants.get(inputs["P"])) is not None and not p.any():
        del inputs["P"]
    if "P" in inputs:
        msg = f"{name}: expected an LSTM without peepholes, got the input P"
        raise ValueError(msg)
    parts = _parts(name, cell, attributes, w, r, b)
    direction = attributes.get("direction", "forward")
    options: dict[str, Any] = functions_of(name, cell, attributes, DIRECTIONS[direction])
    if cell == "gru":
        said = attributes.get("linear_before_reset", 0) if believed is None else believed
        options["reset_after"] = bool(said)
    layout = attributes.get("layout", 0)
    fixed = {role: constants.get(inputs[role]) for role in _INPUTS[4:7] if role in inputs}
    return OnnxLayer(
        name,
        new_layer(cell, parts, directions=DIRECTIONS[direction], batch_first=layout == 1, **options),
        direction,
        layout,
        {role: given for role, given in inputs.items() if role not in "WRB"},
        {role: given for role, given in zip(_OUTPUTS, node.output, strict=False) if given},
        {role: value for role, value in fixed.items() if value is not None},
    )


def _attributes(node: onnx.NodeProto, name: str) -> dict[str, Any]:
    """The node's attributes, every one known and possible."""
    known = {
        "activation_alpha",
        "activation_beta",
        "activations",
        "clip",
        "direction",
        "hidden_size",
        "layout",
    }
    known |= {"linear_before_reset"} if node.op_type == "GRU" else {"input_forget"}
    attributes = {}
    for attribute in node.attribute:
        if attribute.name not in known:
            msg = f"{name}: expected attributes of {sorted(known)}, got {attribute.name!r}"
            raise ValueError(msg)
        value = helper.get_attribute_value(attribute)
        attributes[attribute.name] = value.decode() if isinstance(value, bytes) else value
    for key, allowed in (
        ("direction", tuple(DIRECTIONS)),
        ("layout", (0, 1)),
        ("linear_before_reset", (0, 1)),
        ("input_forget", (0,)),
    ):
        if attributes.get(key, allowed[0]) not in allowed:
            msg = f"{name}: expected {key} {' or '.join(map(repr, allowed))}, got {attributes[key]!r}"
            raise ValueError(msg)
    return attributes


def _weights(name: str, role: str, inputs: dict[str, str], constants: Constants) -> Array:
    value = constants.get(inputs[role]) if role in inputs else None
    if value is None:
        got = inputs.get(role, "none")
        msg = f"{name}: expected a constant {role}, got {got!r}, which is known only at run time"
        raise ValueError(msg)
    if value.dtype == np.float16:
        return value.astype(np.float32)
    if value.dtype not in (np.float32, np.float64):
        msg = f"{name}: expected {role} in float16, float32 or float64, got {value.dtype}"
        raise ValueError(msg)
    return value


def _parts(
    name: str, cell: str, attributes: dict[str, Any], w: Array, r: Array, b: Array | None
) -> list[Weights]:
    """The directions' weights, of shapes that fit together."""
    directions = DIRECTIONS[attributes.get("direction", "forward")]
    gates = len(ONNX[cell].gates)
    units = r.shape[-1] if r.ndim == 3 else 0
    for role, array, shape in (
        ("W", w, (directions, gates * units, "input_size")),
        ("R", r, (directions, gates * units, units)),
        ("B", b, (directions, 2 * gates * units)),
    ):
        if array is not None:
            expect_shape(f"{name}: {role}", array, shape)
    if attributes.get("hidden_size", units) != units:
        msg = f"{name}: expected hidden_size {units} as of R, got {attributes['hidden_size']}"
        raise ValueError(msg)
    biases = [(None, None)] * directions if b is None else [np.split(row, 2) for row in b]
    return [ONNX[cell].take(w[d], r[d], *biases[d]) for d in range(directions)]

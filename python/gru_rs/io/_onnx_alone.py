"""One recurrent node of an ONNX model as a model, with what to feed it, to ask an engine for its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from .._layers import LSTM
from ._onnx import nodes_of
from ._onnx_cells import Cell
from ._onnx_layer import DIRECTIONS, OnnxLayer
from ._onnx_node import OUTPUTS
from ._onnx_read import OnnxFile

if TYPE_CHECKING:
    import onnx

    from .._arrays import Array
    from ._onnx_node import Node

_OPSET = 14
"""The operators' texts have not changed since, but for layout; every engine has it."""


@dataclass(frozen=True)
class Alone:
    """A node as a model, what to feed it, and what its layer gives for that; in layout 0.

    Attributes
    ----------
    model : onnx.ModelProto
        Of float32 weights if the node's are of 16 bits, which is exact, or of 64, which few engines have.
    feeds : dict of str to ndarray
        Inputs, lengths and states, whatever the node does not have fixed, at random.
    ours : tuple of ndarray
        By the layer.
    """

    model: onnx.ModelProto
    feeds: dict[str, Array]
    ours: tuple[Array, ...]


def node_alone(source: Any, name: str, *, whole: bool = True, steps: int = 20, rows: int = 3) -> Alone:
    """One recurrent node as a model from ``X`` to its outputs, with what the model fixes.

    Of a quantized node `whole` gives an LSTM of the floats that its bytes stand for, as engines quantize what
    they multiply by them as well, each in its own way; otherwise it stays as it is.
    """
    found = [one for one in nodes_of(OnnxFile(source)) if one.name == name]
    if not found:
        msg = f"name: expected that of a recurrent node, got {name!r}"
        raise ValueError(msg)
    (node,) = found
    if isinstance(node, Cell):
        return _cell_alone(node, rows)
    layer = node.layer()
    fixed = layer.constants
    batches = [value.shape[0 if layer.layout or value.ndim == 1 else 1] for value in fixed.values()]
    rows = next((batch for batch in batches if batch != 1), rows)
    steps = max(steps, int(fixed["sequence_lens"].max(initial=0)) if "sequence_lens" in fixed else 0)
    feeds = _feeds(layer, rows, steps)
    given = {role: value for role, value in feeds.items() if role not in fixed}
    return Alone(_model(node, feeds, set(given), whole), given, _ours(layer, feeds, whole))


def _cell_alone(cell: Cell, rows: int) -> Alone:
    """The operators of a cell's first use, and one step of its layer."""
    layer, use = cell.layer(), cell.uses[0]
    scope, tensors = use.scope, use.tensors
    letters = [letter for letter in "hc" if letter in tensors]
    rng, dtype = np.random.default_rng(0), layer.layer.dtype
    sizes = {"x": layer.layer.input_size} | dict.fromkeys(letters, layer.layer.hidden_size)
    feeds = {tensors[role]: rng.normal(size=(rows, size)).astype(dtype) for role, size in sizes.items()}
    ends = [tensors[f"{letter}_n"] for letter in letters]
    todo, needed, held = list(ends), set(), {}
    while todo:
        name = todo.pop()
        if not name or name in needed or name in held or name in feeds:
            continue
        made = scope.maker(name)
        if made is not None:
            needed.add(name)
            todo += made.input
        elif (value := scope.value(name)) is not None:
            held[name] = value
    nodes = [node for node in scope.graph.node if needed & set(node.output)]
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    inputs = [helper.make_tensor_value_info(name, kind, array.shape) for name, array in feeds.items()]
    outputs = [helper.make_tensor_value_info(name, kind, None) for name in ends]
    initializers = [
        numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in held.items()
    ]
    graph = helper.make_graph(nodes, "cell", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", scope.version)], ir_version=8)
    x, *states = (feeds[tensors[role]][None] for role in sizes)
    last = layer.layer(x, states[0] if len(states) == 1 else tuple(states))[1]
    return Alone(model, feeds, tuple(state[0] for state in (last if isinstance(last, tuple) else (last,))))


def _feeds(layer: OnnxLayer, rows: int, steps: int) -> dict[str, Array]:
    """All that the node takes, what it has fixed as it is."""
    rng, directions = np.random.default_rng(0), DIRECTIONS[layer.direction]
    units = layer.layer.hidden_size
    feeds = {"X": rng.normal(size=(steps, rows, layer.layer.input_size)).astype(np.float32)}
    for role in ("sequence_lens", "initial_h", "initial_c"):
        if role in layer.constants:
            value = layer.constants[role]
            value = value.swapaxes(0, 1) if layer.layout and value.ndim == 3 else value
            shape = (rows,) if value.ndim == 1 else (directions, rows, units)
            feeds[role] = np.broadcast_to(value, shape).astype(np.int32 if value.ndim == 1 else np.float32)
        elif role == "sequence_lens" and role in layer.inputs:
            feeds[role] = rng.integers(1, steps + 1, rows).astype(np.int32)
        elif role in layer.inputs:
            feeds[role] = rng.normal(size=(directions, rows, units)).astype(np.float32)
    return feeds


def _model(node: Node, feeds: dict[str, Array], given: set[str], whole: bool) -> onnx.ModelProto:
    """The node's own attributes and weights, in its operator's layout."""
    weights: dict[str, Array] = {}
    op, domain = node.node.op_type, node.node.domain
    for role in ("W", "R"):
        if node.kind.quantized and whole:
            numbers, scale = node.dequantized(role)
            weights[role] = numbers * scale[..., None]
            op, domain = "LSTM", ""
        else:
            weights[role] = node.fixed(role)
    for role in node.inputs.keys() - weights.keys() - {"X", "sequence_lens", "initial_h", "initial_c"}:
        if not (node.kind.quantized and whole and role[1:] in ("_scale", "_zero_point")):
            weights[role] = node.fixed(role)
    weights = {
        own: one.astype(np.float32) if one.dtype == np.float64 else one for own, one in weights.items()
    }
    constants = weights | {role: value for role, value in feeds.items() if role not in given}
    roles = [role if role in constants or role in given else "" for role in node.kind.inputs]
    roles = roles[: max(k for k, role in enumerate(roles) if role) + 1]
    outputs = OUTPUTS[: 3 if node.kind.cell == "lstm" else 2]
    one = helper.make_node(op, roles, outputs, domain=domain)
    one.attribute.extend(a for a in node.node.attribute if a.name not in ("layout", "output_sequence"))
    inputs = [
        helper.make_tensor_value_info(
            role, helper.np_dtype_to_tensor_dtype(feeds[role].dtype), [None] * feeds[role].ndim
        )
        for role in roles
        if role in given
    ]
    ends = [helper.make_tensor_value_info(own, TensorProto.FLOAT, None) for own in outputs]
    held = [numpy_helper.from_array(np.ascontiguousarray(value), role) for role, value in constants.items()]
    graph = helper.make_graph([one], "node", inputs, ends, held)
    imports = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def _ours(layer: OnnxLayer, feeds: dict[str, Array], whole: bool) -> tuple[Array, ...]:
    """What the layer gives; with whole weights if it has bytes."""
    inner: Any = layer.layer
    if whole and inner.weight_dtype == np.int8:
        inner = LSTM(**{own: getattr(inner, own) for own in inner._arguments()})
        inner.load_state_dict(layer.layer.state_dict())
    one = OnnxLayer(
        *(layer.name, inner, layer.direction, layer.layout, layer.inputs, layer.outputs, layer.constants)
    )
    given = {
        role: value.swapaxes(0, 1) if layer.layout and value.ndim == 3 else value
        for role, value in feeds.items()
    }
    y, *states = one(given.pop("X"), **given)
    if not layer.layout:
        return (y, *states)
    return (y.transpose(1, 2, 0, 3), *(state.swapaxes(0, 1) for state in states))

"""Recurrent nodes of ONNX models as layers (extra ``onnx``). `_onnx_write` is the way back."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import onnx
import onnx.inliner
from onnx import helper, numpy_helper

from ._onnx_constants import Constants, graphs
from ._onnx_layer import OnnxLayer
from ._onnx_node import OUTPUTS_OF, layer_of
from ._onnx_read import read

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator


def from_onnx(
    source: str | os.PathLike[str] | bytes | onnx.ModelProto, *, linear_before_reset: int | None = None
) -> dict[str, OnnxLayer]:
    """Take every GRU and LSTM node of an ONNX model; the rest of the graph stays with your own engine.

    Parameters
    ----------
    source : path-like, bytes or onnx.ModelProto
        The model; weights in files beside it are read.
    linear_before_reset : {0, 1}, optional
        What to believe in place of the GRU nodes' own attribute, for models whose exporter forgot it.

    Returns
    -------
    dict of str to OnnxLayer
        By the nodes' names (that of its first output for a node without one), subgraphs included.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is no ONNX model, or a node has weights that are not constant, peepholes, coupled gates, an
        activation that layers do not have, or attributes that contradict its weights.

    Warns
    -----
    UserWarning
        A GRU of PyTorch's exporter says that the reset comes before the product, which PyTorch's own never
        does: the dynamo exporter forgot the attribute (https://github.com/microsoft/onnxscript/issues/2852).

    Examples
    --------
    >>> import gru_rs
    >>> model = gru_rs.to_onnx(gru_rs.GRU(3, 8, seed=1))
    >>> node = gru_rs.from_onnx(model)["gru"]
    >>> node.layer
    GRU(3, 8, seed=0)
    >>> [array.shape for array in node(np.ones((5, 2, 3), np.float32))]
    [(5, 1, 2, 8), (1, 2, 8)]
    """
    if linear_before_reset not in (None, 0, 1):
        msg = f"linear_before_reset: expected 0, 1 or None, got {linear_before_reset!r}"
        raise ValueError(msg)
    model = read(source)
    layers = {}
    for name, node, constants in _nodes(model):
        if node.op_type == "GRU":
            _suspect(model, node, name, linear_before_reset)
        layers[name] = layer_of(node, name, constants, linear_before_reset)
    return layers


def node_alone(source: Any, name: str) -> onnx.ModelProto:
    """One recurrent node as a model from ``X`` to its outputs, with what the model fixes."""
    model = read(source)
    for own, node, constants in _nodes(model):
        if own == name:
            return _alone(model, node, constants)
    msg = f"name: expected that of a recurrent node, got {name!r}"
    raise ValueError(msg)


def _nodes(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.NodeProto, Constants]]:
    """The recurrent nodes by their names, and what their graph fixes."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    taken: set[str] = set()
    for graph in graphs(model.graph):
        constants = Constants(graph)
        for node in graph.node:
            if node.op_type in OUTPUTS_OF and node.domain in ("", "ai.onnx"):
                name = node.name or next(filter(None, node.output), "node")
                names = (name if k == 1 else f"{name}#{k}" for k in range(1, len(taken) + 2))
                free = next(own for own in names if own not in taken)
                taken.add(free)
                yield free, node, constants


def _alone(model: onnx.ModelProto, node: onnx.NodeProto, constants: Constants) -> onnx.ModelProto:
    fixed = {given: constants.get(given) for given in node.input[1:] if given}
    known = {given: value for given, value in fixed.items() if value is not None}
    one = onnx.NodeProto()
    one.CopyFrom(node)
    del one.input[:], one.output[:]
    one.input.extend(["X", *(given if given in known else "" for given in node.input[1:])])
    one.output.extend(OUTPUTS_OF[node.op_type])
    weights = [numpy_helper.from_array(value, given) for given, value in known.items()]
    kind = weights[0].data_type
    inputs = [helper.make_tensor_value_info("X", kind, [None, None, None])]
    outputs = [helper.make_tensor_value_info(output, kind, None) for output in one.output]
    graph = helper.make_graph([one], "node", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _suspect(model: onnx.ModelProto, node: onnx.NodeProto, name: str, believed: int | None) -> None:
    """Warn of a GRU that PyTorch cannot have had."""
    said = {attribute.name: attribute.i for attribute in node.attribute}.get("linear_before_reset", 0)
    if believed is None and model.producer_name == "pytorch" and said == 0:
        warnings.warn(
            f"{name}: this model came from PyTorch, whose GRU applies the reset gate after the product, and "
            "its node has no linear_before_reset=1: PyTorch's dynamo exporter forgot it "
            "(https://github.com/microsoft/onnxscript/issues/2852). Every ONNX engine computes "
            "something else with this file than PyTorch did; from_onnx(..., "
            "linear_before_reset=1) takes what PyTorch had",
            UserWarning,
            stacklevel=3,
        )

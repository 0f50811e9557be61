"""Recurrent nodes of ONNX models as layers (extra ``onnx``). `_onnx_write` is the way back."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from .._files import MAX_BYTES
from ._found import everything, sorted_out
from ._onnx_cells import cells_of
from ._onnx_constants import Scope
from ._onnx_node import Node, kind_of
from ._onnx_read import OnnxFile, all_nodes

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    import onnx

    from ._found import Found
    from ._onnx_cells import Cell
    from ._onnx_layer import OnnxLayer

_SHOWN = 12
"""Operators that a message tells, the most frequent first."""


def from_onnx(
    source: str | os.PathLike[str] | bytes | onnx.ModelProto,
    name: str | None = None,
    *,
    linear_before_reset: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> dict[str, OnnxLayer]:
    """Take every GRU and LSTM node of an ONNX model; the rest of the graph stays with your own engine.

    Parameters
    ----------
    source : path-like, bytes or onnx.ModelProto
        The model, also as the only one in an archive or as ``archive!member``; weights in files of its own
        folder are read.
    name : str, optional
        Take this node alone, whatever is to be said of the others.
    linear_before_reset : {0, 1}, optional
        What to believe in place of the GRU nodes' own attribute, for models whose exporter forgot it.
    max_bytes : int, default 2**32
        The most to read of the model and its files, and to make of them.

    Returns
    -------
    dict of str to OnnxLayer
        By the nodes' names (that of its first output for a node without one), subgraphs included. A node of
        ONNX Runtime's DynamicQuantizeLSTM has a layer of the same bytes where layers can have them, and of
        the floats that they stand for where not; its ``note`` says which. A cell that PyTorch's exporters
        wrote as plain operators, by the name of its weights, is a layer for one step at each of its places.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is no ONNX model, or one without such nodes: what it has instead is told. Or a node, which is named
        with the reason, has weights that are not constant, peepholes, an activation that layers do not have,
        or attributes that contradict its weights; `name` takes the others.

    Warns
    -----
    UserWarning
        A GRU of PyTorch's exporter says that the reset comes before the product, which PyTorch's own never
        does: the dynamo exporter forgot the attribute (https://github.com/microsoft/onnxscript/issues/2852).

    Examples
    --------
    >>> import gru_rs, numpy as np
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
    file = OnnxFile(source, max_bytes)
    nodes = {one.name: one for one in nodes_of(file)}
    found = found_in(nodes, linear_before_reset)
    layers = everything(found, name, "" if found else _instead(file.model))
    _suspect(file.model, [nodes[own] for own in layers], linear_before_reset)
    return layers


def all_from_onnx(source: Any, max_bytes: int = MAX_BYTES) -> tuple[dict[str, OnnxLayer], dict[str, str]]:
    """What `from_onnx` can take, and of all others why it refuses them; by name."""
    file = OnnxFile(source, max_bytes)
    nodes = {one.name: one for one in nodes_of(file)}
    if not nodes:
        raise ValueError(_instead(file.model))
    taken, refused = sorted_out(found_in(nodes))
    _suspect(file.model, [nodes[own] for own in taken], None)
    return taken, refused


def found_in(nodes: dict[str, Node | Cell], believed: int | None = None) -> Found[OnnxLayer]:
    """How to convert each node, by its name."""
    return {name: partial(node.layer, believed) for name, node in nodes.items()}


def nodes_of(file: OnnxFile) -> Iterator[Node | Cell]:
    """The recurrent nodes of a model and its cells of plain operators, each under a name of its own."""
    taken: set[str] = set()
    counts: Counter[str] = Counter()
    for scope in Scope(file, file.model.graph).inner():
        nodes = ((node, kind_of(node)) for node in scope.graph.node)
        called = (
            Node(node.name or next(filter(None, node.output), "node"), node, scope, kind)
            for node, kind in nodes
            if kind is not None
        )
        found: list[Node | Cell] = [*called, *cells_of(scope)]
        for one in found:
            own = one.name
            while own in taken:
                counts[one.name] += 1
                own = f"{one.name}#{counts[one.name] + 1}"
            taken.add(own)
            yield replace(one, name=own)


def _suspect(model: onnx.ModelProto, nodes: Iterable[Node | Cell], believed: int | None) -> None:
    """Warn of GRUs that PyTorch cannot have had."""
    for node in nodes:
        if not isinstance(node, Node) or node.kind.cell != "gru":
            continue
        said = node.attributes().get("linear_before_reset", 0)
        if believed is None and model.producer_name == "pytorch" and said == 0:
            warnings.warn(
                f"{node.name}: this model came from PyTorch, whose GRU applies the reset gate after the "
                "product, and its node has no linear_before_reset=1: PyTorch's dynamo exporter forgot it "
                "(https://github.com/microsoft/onnxscript/issues/2852). Every ONNX engine computes "
                "something else with this file than PyTorch did; from_onnx(..., "
                "linear_before_reset=1) takes what PyTorch had",
                UserWarning,
                stacklevel=3,
            )


def _instead(model: onnx.ModelProto) -> str:
    """What a model without recurrent nodes that layers can be has in their place."""
    nodes = list(all_nodes(model.graph.node))
    counts = Counter(f"{node.domain}.{node.op_type}".removeprefix("ai.onnx").lstrip(".") for node in nodes)
    told = [f"{count} {op}" for op, count in counts.most_common(_SHOWN)]
    more = sum(counts.values()) - sum(count for _, count in counts.most_common(_SHOWN))
    hints = []
    if counts["RNN"]:
        hints.append("RNN nodes are plain ones, without gates, which layers are not")
    others = [
        op for op in counts if any(word in op.upper() for word in ("GRU", "LSTM", "RNN")) and op != "RNN"
    ]
    if others:
        hints.append(f"{', '.join(others[:_SHOWN])} are of another operator set, and unknown here")
    products = [op for op in ("MatMul", "Gemm", "MatMulInteger", "QLinearMatMul", "Conv") if counts[op]]
    if counts["Sigmoid"] > 1 and counts["Tanh"] and products:
        loops = " and ".join(op for op in ("Loop", "Scan") if counts[op])
        hints.append(
            "Sigmoid, Tanh and products are what cells become that are unrolled into plain operators"
            f"{' or run by ' * bool(loops)}{loops}; take their weights from the model's initializers, for "
            "load_state_dict in PyTorch's order (docs/layouts.md), or export layers, not cells"
        )
    got = ", ".join(told) + (f" and {more} others" if more else "") if told else "no nodes at all"
    hint = f": {'; '.join(hints)}" if hints else ""
    return f"source: expected a model with GRU, LSTM or DynamicQuantizeLSTM nodes, got {got}{hint}"

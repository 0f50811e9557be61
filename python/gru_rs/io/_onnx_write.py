"""Layers as ONNX models (extra ``onnx``): a graph of one recurrent node for each of a layer's layers.

It must not know models that others made: those are `_onnx`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .._files import write_whole
from .._layers import GRU, LSTM
from .._words import CELLS
from ._layouts import ONNX, Weights, cell_of, parts_of
from ._onnx_functions import FUNCTIONS, SLOPES

if TYPE_CHECKING:
    import os

    from .._arrays import Array


def to_onnx(
    layer: GRU | LSTM,
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int | None = None,
    lengths: bool = False,
    states: bool = False,
) -> onnx.ModelProto:
    """Give a layer as an ONNX model of one recurrent node for each of its layers.

    Parameters
    ----------
    layer : GRU or LSTM
        Any, with any options; dropout between layers is for training, and so not part of the model.
    path : path-like, optional
        Also write it there; the file is complete or not there.
    opset : int, optional
        ONNX's version of operators, at least 14; that of the installed package when missing.
    lengths : bool, default False
        Whether the model takes ``lengths`` (B,), int32.
    states : bool, default False
        Whether it takes the initial states ``h0`` (and ``c0``), as the layer does.

    Returns
    -------
    onnx.ModelProto
        From ``x`` to ``y`` and ``h_n`` (and ``c_n``), shaped as the layer's. Nodes have ``layout=0``, the
        only one that ONNX Runtime has, between transpositions if the layer is batch_first.

    Raises
    ------
    TypeError
        Not a layer.
    ValueError
        An opset that has no such operators.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import gru_rs
    >>> model = gru_rs.to_onnx(gru_rs.GRU(3, 8, 2, bidirectional=True))
    >>> [node.op_type for node in model.graph.node if node.op_type == "GRU"]
    ['GRU', 'GRU']
    """
    cell = cell_of(layer)
    if not isinstance(layer, (GRU, LSTM)):
        msg = f"layer: expected a GRU or LSTM, got {type(layer).__name__}: a cell is a layer of one step"
        raise TypeError(msg)
    newest = onnx.defs.onnx_opset_version()
    version = newest if opset is None else opset
    if not (isinstance(version, int) and 14 <= version <= newest):
        msg = f"opset: expected an int from 14 to {newest}, that of onnx {onnx.__version__}, got {opset!r}"
        raise ValueError(msg)
    graph = _Graph(layer, cell, lengths, states).build()
    imports = [helper.make_opsetid("", version)]
    model = helper.make_model(graph, opset_imports=imports, producer_name="gru-rs")
    model.ir_version = helper.find_min_ir_version_for(imports)
    onnx.checker.check_model(model, full_check=True)
    if path is not None:
        write_whole(path, model.SerializeToString())
    return model


class _Graph:
    """A layer's graph as it is put together."""

    def __init__(self, layer: GRU | LSTM, cell: str, lengths: bool, states: bool) -> None:
        self._layer, self._cell, self._lengths, self._states = layer, cell, lengths, states
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._letters = "".join(CELLS[cell].states)
        self._directions = 2 if layer.bidirectional else 1

    def build(self) -> onnx.GraphProto:
        """All of it."""
        layer, directions = self._layer, self._directions
        kind = TensorProto.DOUBLE if layer.dtype == np.float64 else TensorProto.FLOAT
        axes: list[str | int | None] = ["batch", "seq"] if layer.batch_first else ["seq", "batch"]
        state: list[str | int | None] = [layer.num_layers * directions, "batch", layer.hidden_size]
        inputs = [helper.make_tensor_value_info("x", kind, [*axes, layer.input_size])]
        if self._lengths:
            inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["batch"]))
        if self._states:
            inputs += [helper.make_tensor_value_info(f"{letter}0", kind, state) for letter in self._letters]
        outputs = [helper.make_tensor_value_info("y", kind, [*axes, directions * layer.hidden_size])]
        outputs += [helper.make_tensor_value_info(f"{letter}_n", kind, state) for letter in self._letters]
        self._layers()
        return helper.make_graph(self._nodes, self._cell, inputs, outputs, self._constants)

    def _layers(self) -> None:
        layer, directions = self._layer, self._directions
        current = "x"
        if layer.batch_first:
            current = self._node("Transpose", [current], "x_steps", perm=[1, 0, 2])
        first = {letter: self._split(f"{letter}0") for letter in self._letters} if self._states else {}
        last: dict[str, list[str]] = {letter: [] for letter in self._letters}
        parts = parts_of(layer)
        for index in range(layer.num_layers):
            name = self._cell if layer.num_layers == 1 else f"{self._cell}_{index}"
            given = [current, *self._weights(name, parts[index * directions : (index + 1) * directions])]
            given += ["lengths" if self._lengths else ""] if self._lengths or first else []
            given += [first[letter][index] for letter in self._letters] if first else []
            finals = [
                f"{letter}_n" if layer.num_layers == 1 else f"{name}_{letter}_n" for letter in self._letters
            ]
            outputs = [f"{name}_y", *finals]
            self._nodes.append(
                helper.make_node(self._cell.upper(), given, outputs, name, **self._attributes())
            )
            for letter, final in zip(self._letters, finals, strict=True):
                last[letter].append(final)
            steps = self._node("Transpose", [f"{name}_y"], f"{name}_steps", perm=[0, 2, 1, 3])
            end = index == layer.num_layers - 1 and not layer.batch_first
            shape = self._constant(f"{name}_shape", np.array([0, 0, directions * layer.hidden_size]))
            current = self._node("Reshape", [steps, shape], "y" if end else f"{name}_out")
        if layer.batch_first:
            self._node("Transpose", [current], "y", perm=[1, 0, 2])
        if layer.num_layers > 1:
            for letter, finals in last.items():
                self._node("Concat", finals, f"{letter}_n", axis=0)

    def _weights(self, name: str, parts: list[Weights]) -> list[str]:
        arrays = [ONNX[self._cell].give(part) for part in parts]
        names = [
            self._constant(f"{name}_{role}", np.stack([given[k] for given in arrays]))
            for k, role in enumerate("WR")
        ]
        biases = [np.concatenate(given[2:]) for given in arrays if given[2:]]
        return [*names, self._constant(f"{name}_B", np.stack(biases)) if biases else ""]

    def _attributes(self) -> dict[str, Any]:
        layer = self._layer
        attributes: dict[str, Any] = {"hidden_size": layer.hidden_size}
        if self._directions == 2:
            attributes["direction"] = "bidirectional"
        if isinstance(layer, GRU):
            attributes["linear_before_reset"] = int(layer.reset_after)
        if layer.clip is not None:
            attributes["clip"] = layer.clip
        functions = [layer.recurrent_activation, *[layer.activation] * len(self._letters)]
        if functions[:2] != ["sigmoid", "tanh"]:
            functions *= self._directions
            slopes = [SLOPES[function] for function in functions if function in SLOPES]
            attributes["activations"] = [FUNCTIONS.get(function, "HardSigmoid") for function in functions]
            if slopes:
                attributes |= {"activation_alpha": slopes, "activation_beta": [0.5] * len(slopes)}
        return attributes

    def _split(self, name: str) -> list[str]:
        """The initial states of each layer."""
        if self._layer.num_layers == 1:
            return [name]
        sizes = self._constant(f"{name}_sizes", np.full(self._layer.num_layers, self._directions))
        names = [f"{name}_{index}" for index in range(self._layer.num_layers)]
        self._nodes.append(helper.make_node("Split", [name, sizes], names, f"{name}_split", axis=0))
        return names

    def _node(self, op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(op, inputs, [output], f"{output}_{op.lower()}", **attributes))
        return output

    def _constant(self, name: str, value: Array) -> str:
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

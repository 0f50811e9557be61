"""Recurrent nodes of ONNX models as layers (extra ``onnx``).

What a node does is said in its operator's text, https://onnx.ai/onnx/operators/onnx__GRU.html and
https://onnx.ai/onnx/operators/onnx__LSTM.html. Whatever those name is taken, or is an error.
`_onnx_write` is the way back.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.inliner
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from .._arrays import as_array, as_lengths, expect_shape
from .._layers import GRU, LSTM
from ._layouts import ONNX, Weights, new_layer
from ._onnx_functions import functions_of
from ._steps import reversed_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

    from .._arrays import Array

_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
_OUTPUTS = ("Y", "Y_h", "Y_c")
_OUTPUTS_OF = {"GRU": _OUTPUTS[:2], "LSTM": _OUTPUTS}
_DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}


@dataclass(frozen=True)
class OnnxLayer:
    """One recurrent node of an ONNX model; call it for what the node gives.

    Attributes
    ----------
    name : str
        The node's name.
    layer : GRU or LSTM
        What it computes, as a layer; a "reverse" node runs it on its steps turned round.
    direction : {"forward", "reverse", "bidirectional"}
        The node's.
    layout : {0, 1}
        0: arrays are ``(T, B, …)``; 1: ``(B, T, …)``, and states ``(B, D, H)``.
    inputs, outputs : dict of str to str
        The names of the tensors that enter and leave the node, by the operator's own names: ``X``,
        ``sequence_lens``, ``initial_h``, ``initial_c``; ``Y``, ``Y_h``, ``Y_c``.
    constants : dict of str to ndarray
        Those of ``sequence_lens``, ``initial_h`` and ``initial_c`` that the model fixes.
    """

    name: str
    layer: GRU | LSTM
    direction: str
    layout: int
    inputs: dict[str, str]
    outputs: dict[str, str]
    constants: dict[str, Array] = field(repr=False)

    def __call__(
        self,
        x: ArrayLike,
        sequence_lens: ArrayLike | None = None,
        initial_h: ArrayLike | None = None,
        initial_c: ArrayLike | None = None,
    ) -> tuple[Array, ...]:
        """What the node gives, in the operator's own shapes.

        Parameters
        ----------
        x : array_like
            ``(T, B, I)``, or ``(B, T, I)`` of layout 1.
        sequence_lens : array_like of int, (B,), optional
            Each row's steps; else the model's constant, else all.
        initial_h, initial_c : array_like, optional
            ``(D, B, H)``, or ``(B, D, H)`` of layout 1; else the model's constants, else zeros.
            What the node takes from its graph, `inputs` but not `constants`, must be given.

        Returns
        -------
        Y : ndarray
            ``(T, D, B, H)``, or ``(B, T, D, H)`` of layout 1.
        Y_h : ndarray
            As `initial_h`. An LSTM's Y_c follows.

        Raises
        ------
        ValueError
            A shape or a length cannot be, or something is missing that the node takes from its graph.
        """
        layer, batch_first = self.layer, self.layout == 1
        given_here = {"sequence_lens": sequence_lens, "initial_h": initial_h, "initial_c": initial_c}
        for role, value in given_here.items():
            if value is None and role in self.inputs and role not in self.constants:
                source = self.inputs[role]
                msg = f"{role}: expected an array, for the node takes {source!r} of its graph, got None"
                raise ValueError(msg)
        given = as_array("x", x, layer.dtype)
        expect_shape("x", given, (*(("B", "T") if batch_first else ("T", "B")), layer.input_size))
        batch, steps = given.shape[:2] if batch_first else given.shape[1::-1]
        lengths = self.constants.get("sequence_lens") if sequence_lens is None else sequence_lens
        rows = None if lengths is None else as_lengths(lengths, batch, steps)
        first = self._first({"initial_h": initial_h, "initial_c": initial_c}, batch)
        turned = self.direction == "reverse"
        y, last = layer(
            reversed_steps(given, rows, batch_first=batch_first) if turned else given, first, lengths=rows
        )
        y = reversed_steps(y, rows, batch_first=batch_first) if turned else y
        y = y.reshape(*y.shape[:2], _DIRECTIONS[self.direction], layer.hidden_size)
        states = last if isinstance(last, tuple) else (last,)
        if batch_first:
            return (y, *(state.transpose(1, 0, 2) for state in states))
        return (y.transpose(0, 2, 1, 3), *states)

    def _first(self, given: dict[str, ArrayLike | None], batch: int) -> Any:
        """The initial states as the layer takes them."""
        directions, layer = _DIRECTIONS[self.direction], self.layer
        states = []
        for name in ("initial_h", "initial_c") if isinstance(layer, LSTM) else ("initial_h",):
            value = self.constants.get(name) if given[name] is None else given[name]
            if value is None:
                states.append(np.zeros((directions, batch, layer.hidden_size), layer.dtype))
                continue
            state = as_array(name, value, layer.dtype)
            leading = (batch, directions) if self.layout else (directions, batch)
            expect_shape(name, state, (*leading, layer.hidden_size))
            states.append(state.transpose(1, 0, 2) if self.layout else state)
        if given["initial_c"] is not None and not isinstance(layer, LSTM):
            msg = "initial_c: expected nothing for a GRU, whose only state is h"
            raise ValueError(msg)
        return tuple(states) if isinstance(layer, LSTM) else states[0]


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
    model = _read(source)
    layers = {}
    for name, node, constants in _nodes(model):
        if node.op_type == "GRU":
            _suspect(model, node, name, linear_before_reset)
        layers[name] = _layer(node, name, constants, linear_before_reset)
    return layers


def node_alone(source: Any, name: str) -> onnx.ModelProto:
    """One recurrent node as a model from ``X`` to its outputs, with what the model fixes."""
    model = _read(source)
    for own, node, constants in _nodes(model):
        if own == name:
            return _alone(model, node, constants)
    msg = f"name: expected that of a recurrent node, got {name!r}"
    raise ValueError(msg)


def _nodes(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.NodeProto, _Constants]]:
    """The recurrent nodes by their names, and what their graph fixes."""
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    taken: set[str] = set()
    for graph in _graphs(model.graph):
        constants = _Constants(graph)
        for node in graph.node:
            if node.op_type in _OUTPUTS_OF and node.domain in ("", "ai.onnx"):
                name = node.name or next(filter(None, node.output), "node")
                names = (name if k == 1 else f"{name}#{k}" for k in range(1, len(taken) + 2))
                free = next(own for own in names if own not in taken)
                taken.add(free)
                yield free, node, constants


def _alone(model: onnx.ModelProto, node: onnx.NodeProto, constants: _Constants) -> onnx.ModelProto:
    fixed = {given: constants.get(given) for given in node.input[1:] if given}
    known = {given: value for given, value in fixed.items() if value is not None}
    one = onnx.NodeProto()
    one.CopyFrom(node)
    del one.input[:], one.output[:]
    one.input.extend(["X", *(given if given in known else "" for given in node.input[1:])])
    one.output.extend(_OUTPUTS_OF[node.op_type])
    weights = [numpy_helper.from_array(value, given) for given, value in known.items()]
    kind = weights[0].data_type
    inputs = [helper.make_tensor_value_info("X", kind, [None, None, None])]
    outputs = [helper.make_tensor_value_info(output, kind, None) for output in one.output]
    graph = helper.make_graph([one], "node", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)


def _read(source: Any) -> onnx.ModelProto:
    if isinstance(source, onnx.ModelProto):
        return source
    if not isinstance(source, (str, os.PathLike, bytes)):
        msg = f"source: expected a path, bytes or an onnx.ModelProto, got {type(source).__name__}"
        raise TypeError(msg)
    try:
        model = onnx.load_from_string(source) if isinstance(source, bytes) else onnx.load(source)
    except OSError:
        raise
    except Exception as error:  # protobuf's own errors, of either of its implementations
        name = "bytes" if isinstance(source, bytes) else os.fspath(source)
        msg = f"source: expected an ONNX model, got {name}, which does not parse: {error}"
        raise ValueError(msg) from error
    if not model.ir_version:
        msg = "source: expected an ONNX model, got one without an IR version"
        raise ValueError(msg)
    return model


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                yield from _graphs(inner)


class _Constants:
    """What a graph fixes: initializers, Constant nodes, and what nodes make of constants alone."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._initializers = {tensor.name: tensor for tensor in graph.initializer}
        self._producers = {output: node for node in graph.node for output in node.output if output}
        self._known: dict[str, Array | None] = {}

    def get(self, name: str) -> Array | None:
        """The tensor's value; None if it is known only as the model runs."""
        if name not in self._known:
            self._known[name] = self._value(name)
        return self._known[name]

    def _value(self, name: str) -> Array | None:
        if name in self._initializers:
            return numpy_helper.to_array(self._initializers[name])
        node = self._producers.get(name)
        if node is None or any(attribute.HasField("g") for attribute in node.attribute):
            return None
        feeds = {given: self.get(given) for given in node.input if given}
        if any(value is None for value in feeds.values()):
            return None
        try:
            values: Any = ReferenceEvaluator(node).run(None, feeds)
        except Exception:  # an operator that the evaluator does not have: the caller says what is missing
            return None
        return np.asarray(values[list(node.output).index(name)])


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


def _layer(node: onnx.NodeProto, name: str, constants: _Constants, believed: int | None) -> OnnxLayer:
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
    options: dict[str, Any] = functions_of(name, cell, attributes, _DIRECTIONS[direction])
    if cell == "gru":
        said = attributes.get("linear_before_reset", 0) if believed is None else believed
        options["reset_after"] = bool(said)
    layout = attributes.get("layout", 0)
    fixed = {role: constants.get(inputs[role]) for role in _INPUTS[4:7] if role in inputs}
    return OnnxLayer(
        name,
        new_layer(cell, parts, directions=_DIRECTIONS[direction], batch_first=layout == 1, **options),
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
        ("direction", tuple(_DIRECTIONS)),
        ("layout", (0, 1)),
        ("linear_before_reset", (0, 1)),
        ("input_forget", (0,)),
    ):
        if attributes.get(key, allowed[0]) not in allowed:
            msg = f"{name}: expected {key} {' or '.join(map(repr, allowed))}, got {attributes[key]!r}"
            raise ValueError(msg)
    return attributes


def _weights(name: str, role: str, inputs: dict[str, str], constants: _Constants) -> Array:
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
    directions = _DIRECTIONS[attributes.get("direction", "forward")]
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

"""What a recurrent node of an ONNX model says, as a layer.

What a node does is said in its operator's text, https://onnx.ai/onnx/operators/onnx__GRU.html and
https://onnx.ai/onnx/operators/onnx__LSTM.html, and of ONNX Runtime's own in its ContribOperators.md.
Whatever those name is taken, or is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from onnx import helper

from .._arrays import expect_shape, widened
from .._layers import GRU, LSTM
from .._quantize import SCALE, from_tensors
from ._layouts import ONNX, Weights, names_of, new_layer
from ._onnx_functions import functions_of
from ._onnx_layer import DIRECTIONS, OnnxLayer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

    from .._arrays import Array
    from ._onnx_constants import Known, Scope

_INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
_QUANTIZED = ("W_scale", "W_zero_point", "R_scale", "R_zero_point")
OUTPUTS = ("Y", "Y_h", "Y_c")
_BYTES = "its bytes, as they are"
_FLOATS = "the floats that its bytes stand for, as those are not within 127 of their zero points"


class Kind(NamedTuple):
    """What a kind of node is: its cell, the operator's names of its inputs, whether its weights are bytes."""

    cell: str
    inputs: tuple[str, ...]
    quantized: bool = False


OPERATORS = {
    ("", "GRU"): Kind("gru", _INPUTS[:6]),
    ("", "LSTM"): Kind("lstm", _INPUTS),
    ("com.microsoft", "DynamicQuantizeLSTM"): Kind("lstm", (*_INPUTS, *_QUANTIZED), quantized=True),
}
"""The nodes that are layers, by the domains and names of their operators."""


def kind_of(node: onnx.NodeProto) -> Kind | None:
    """The kind of a node; None if it is no layer."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    return OPERATORS.get((domain, node.op_type))


class Numbers(NamedTuple):
    """One direction's weights of inputs or of states, a row for each gate; with scales if they are bytes."""

    rows: Array
    scales: Array | None = None


@dataclass(frozen=True)
class Node:
    """A node with its name, and the graph that it stands in."""

    name: str
    node: onnx.NodeProto
    scope: Scope
    kind: Kind

    @property
    def inputs(self) -> dict[str, str]:
        """The names of what it takes, by the operator's own."""
        return {role: given for role, given in zip(self.kind.inputs, self.node.input, strict=False) if given}

    def fixed(self, role: str) -> Array:
        """One of its inputs, which the model has to fix; float16 and bfloat16 as float32, exactly."""
        given = self.inputs.get(role)
        value = None if given is None else self.scope.value(given)
        if value is None:
            got = "none" if given is None else f"{given!r}, {self.scope.origin(given)}"
            msg = f"{self.name}: expected a constant {role}, got {got}"
            raise ValueError(msg)
        return widened(value)

    def floats(self, role: str) -> Array:
        """The same of floats."""
        value = self.fixed(role)
        if value.dtype not in (np.float32, np.float64):
            msg = f"{self.name}: expected {role} in float16, bfloat16, float32 or float64, got {value.dtype}"
            raise ValueError(msg)
        return value

    def layer(self, believed: int | None = None) -> OnnxLayer:
        """The node as a layer; a ValueError that says what layers do not have."""
        name, cell, inputs = self.name, self.kind.cell, self.inputs
        self._expect_no_more()
        attributes = self.attributes()
        direction = attributes.get("direction", "forward")
        directions = DIRECTIONS[direction]
        options: dict[str, Any] = functions_of(name, cell, attributes, directions)
        w, r, note = self._gates()
        b = self.floats("B") if "B" in inputs else None
        if "P" in inputs and self.floats("P").any():
            msg = f"{name}: expected an LSTM without peepholes, got the input P, which is not zeros"
            raise ValueError(msg)
        units = self._expect_shapes(attributes, w, r, b)
        dtypes = {one[0].rows.dtype for one in (w, r) if one[0].scales is None}
        dtypes |= {b.dtype} if b is not None else set()
        if len(dtypes) > 1 or (self.kind.quantized and dtypes - {np.dtype(np.float32)}):
            got = ", ".join(sorted(dtype.name for dtype in dtypes))
            msg = f"{name}: expected weights in one dtype, of bytes float32, got {got}"
            raise ValueError(msg)
        kept = [array for one in (*w, *r) for array in one if array is not None]
        self.scope.spend(name, sum(array.nbytes for array in kept) + (0 if b is None else b.nbytes))
        parts = _parts(cell, directions, w, r, b)
        if attributes.get("input_forget", 0):
            parts = [_coupled(name, part, units, options) for part in parts]
        if cell == "gru":
            said = attributes.get("linear_before_reset", 0) if believed is None else believed
            options["reset_after"] = bool(said)
        layout = attributes.get("layout", 0)
        options["batch_first"] = layout == 1
        make = new_layer if w[0].scales is None else _quantized_layer
        layer = make(cell, parts, directions=directions, **options)
        return OnnxLayer(
            name,
            layer,
            direction,
            layout,
            {role: given for role, given in inputs.items() if role not in ("W", "R", "B", "P", *_QUANTIZED)},
            {role: given for role, given in zip(OUTPUTS, self.node.output, strict=False) if given},
            self._constants(layer, directions, layout),
            note,
        )

    def attributes(self) -> dict[str, Any]:
        """The node's attributes, every one known and possible."""
        known = {
            "activation_alpha",
            "activation_beta",
            "activations",
            "clip",
            "direction",
            "hidden_size",
        }
        known |= {"input_forget"} if self.kind.cell == "lstm" else {"linear_before_reset"}
        known |= set() if self.kind.quantized else {"layout"}
        if self.scope.version < 7 and not self.kind.quantized:
            known.add("output_sequence")  # whether Y is given at all, which its name says already
        attributes = {}
        for attribute in self.node.attribute:
            if attribute.name not in known:
                msg = f"{self.name}: expected attributes of {sorted(known)}, got {attribute.name!r}"
                raise ValueError(msg)
            try:
                value = helper.get_attribute_value(attribute)
                attributes[attribute.name] = value.decode() if isinstance(value, bytes) else value
            except ValueError as error:
                msg = f"{self.name}: expected an attribute {attribute.name} that can be read, got {error}"
                raise ValueError(msg) from error
        for key, allowed in (
            ("direction", tuple(DIRECTIONS)),
            ("layout", (0, 1)),
            ("linear_before_reset", (0, 1)),
            ("input_forget", (0, 1)),
        ):
            if attributes.get(key, allowed[0]) not in allowed:
                msg = (
                    f"{self.name}: expected {key} {' or '.join(map(repr, allowed))}, got {attributes[key]!r}"
                )
                raise ValueError(msg)
        _expect_types(self.name, attributes)
        return attributes

    def dequantized(self, role: str) -> tuple[Array, Array]:
        """Bytes without their zero point, (D, gates, …), and the scales of their rows, (D, gates)."""
        name, numbers, scale = self.name, self.fixed(role), self.floats(f"{role}_scale")
        zero = (
            self.fixed(f"{role}_zero_point") if f"{role}_zero_point" in self.inputs else np.zeros_like(scale)
        )
        if numbers.ndim != 3 or numbers.dtype not in (np.int8, np.uint8):
            msg = (
                f"{name}: expected {role} of three axes in int8 or uint8, got {numbers.dtype}{numbers.shape}"
            )
            raise ValueError(msg)
        shape = (numbers.shape[0], numbers.shape[2])
        for what, array in ((f"{role}_scale", scale), (f"{role}_zero_point", zero)):
            expect_shape(f"{name}: {what}", array, shape[:1], shape)
        scale, zero = (
            np.broadcast_to(array.reshape(shape[0], -1), shape) for array in (scale, zero.astype(np.int16))
        )
        rows = numbers.transpose(0, 2, 1)
        return (rows - zero[..., None] if zero.any() else rows), scale.astype(np.float32)

    def _gates(self) -> tuple[list[Numbers], list[Numbers], str]:
        """The weights of inputs and of states, a direction each, and what is to be said of them."""
        if not self.kind.quantized:
            w, r = (self.floats(role) for role in "WR")
            return _numbers(w), _numbers(r), ""
        (w, w_scales), (r, r_scales) = (self.dequantized(role) for role in "WR")
        if all(rows.size and rows.min() >= -127 and rows.max() <= 127 for rows in (w, r)):
            bytes_ = (_numbers(w.astype(np.int8), w_scales), _numbers(r.astype(np.int8), r_scales))
            return *bytes_, _BYTES
        return _numbers(w * w_scales[..., None]), _numbers(r * r_scales[..., None]), _FLOATS

    def _expect_no_more(self) -> None:
        most, got = len(self.kind.inputs), len(self.node.input)
        if got > most and any(self.node.input[most:]):
            msg = f"{self.name}: expected at most {most} inputs, got {got}"
            raise ValueError(msg)

    def _expect_shapes(
        self, attributes: dict[str, Any], w: list[Numbers], r: list[Numbers], b: Array | None
    ) -> int:
        """Weights of shapes that fit together; the number of units."""
        directions = DIRECTIONS[attributes.get("direction", "forward")]
        gates = len(ONNX[self.kind.cell].gates)
        units = r[0].rows.shape[-1] if r and r[0].rows.ndim == 2 else 0
        for role, shape, wanted in (
            ("W", (len(w), *(w[0].rows.shape if w else ())), (directions, gates * units, "input_size")),
            ("R", (len(r), *(r[0].rows.shape if r else ())), (directions, gates * units, units)),
            ("B", None if b is None else b.shape, (directions, 2 * gates * units)),
        ):
            if shape is not None:
                expect_shape(f"{self.name}: {role}", np.broadcast_to(0, shape), wanted)
        if attributes.get("hidden_size", units) != units:
            msg = f"{self.name}: expected hidden_size {units} as of R, got {attributes['hidden_size']}"
            raise ValueError(msg)
        return units

    def _constants(self, layer: GRU | LSTM, directions: int, layout: int) -> dict[str, Array]:
        """What the model fixes of lengths and initial states; one row of them is every row's."""
        found = {}
        for role in ("sequence_lens", "initial_h", "initial_c"):
            known = self.scope.known(self.inputs[role]) if role in self.inputs else None
            if known is None or known.unknown is not None:
                continue
            sizes = {} if role == "sequence_lens" else {0: directions, 2: layer.hidden_size}
            if layout:
                sizes = {1 if axis == 0 else axis: size for axis, size in sizes.items()}
            value = _filled(f"{self.name}: {role}", known, 3 if sizes else 1, sizes)
            self.scope.spend(self.name, value.size * layer.dtype.itemsize)
            value = widened(value)
            if value.dtype != layer.dtype if sizes else value.dtype.kind not in "iu":
                wanted = layer.dtype if sizes else "integers"
                msg = f"{self.name}: expected {role} of {wanted}, got {value.dtype}"
                raise ValueError(msg)
            found[role] = value
        return found


def _numbers(rows: Array, scales: Array | None = None) -> list[Numbers]:
    if scales is None:
        return [Numbers(one) for one in rows]
    return [Numbers(one, scale) for one, scale in zip(rows, scales, strict=True)]


def _filled(name: str, known: Known, axes: int, sizes: dict[int, int]) -> Array:
    """What is known, of the sizes that it must have; along an axis of unknown length all is the same."""
    if known.values.ndim != axes or any(
        axis not in known.open and known.values.shape[axis] != size for axis, size in sizes.items()
    ):
        wanted = [sizes.get(axis, "B") for axis in range(axes)]
        msg = f"{name}: expected shape {wanted}, got {list(known.values.shape)}"
        raise ValueError(msg)
    shape = [sizes.get(axis, size) for axis, size in enumerate(known.values.shape)]
    return np.broadcast_to(known.values, shape)


def _parts(cell: str, directions: int, w: list[Numbers], r: list[Numbers], b: Array | None) -> list[Any]:
    """The directions' weights in PyTorch's order; of bytes their scales beside them."""
    parts: list[Any] = []
    for d in range(directions):
        biases: Any = (None, None) if b is None else np.split(b[d], 2)
        part = ONNX[cell].take(w[d].rows, r[d].rows, *biases)
        scales = w[d].scales, r[d].scales
        if scales[0] is None or scales[1] is None:
            parts.append(part)
        else:
            parts.append((part, ONNX[cell].take(scales[0][:, None], scales[1][:, None])))
    return parts


def _coupled(name: str, part: Any, units: int, options: dict[str, Any]) -> Any:
    """The forget gate as 1 − i: of σ, and of what is as symmetric, the gate of the opposite weights."""
    if options["recurrent_activation"] not in ("sigmoid", "hard_sigmoid", "hard_sigmoid_0.2"):
        msg = (
            f"{name}: expected input_forget=1 with Sigmoid or HardSigmoid, whose 1 − f(x) is f(−x), got "
            f"{options['recurrent_activation']}"
        )
        raise ValueError(msg)
    if not isinstance(part, Weights):
        return _coupled(name, part[0], units, options), Weights(*(_copied(a, units, 1) for a in part[1]))
    return Weights(*(_copied(array, units, -1) for array in part))


def _copied(array: Array | None, units: int, sign: int) -> Any:
    if array is None:
        return None
    other = array.copy()
    other[units : 2 * units] = sign * array[:units]
    return other


def _quantized_layer(_: str, parts: Any, *, directions: int, **options: Any) -> LSTM:
    """A layer of bytes, without float weights on the way."""
    first = parts[0][0]
    arrays = names_of([part for part, _ in parts], directions)
    scales = names_of([scale for _, scale in parts], directions)
    arrays |= {own + SCALE: scale[:, 0] for own, scale in scales.items()}
    sizes = (first.w_ih.shape[1], first.w_hh.shape[1])
    options |= dict(zip(("input_size", "hidden_size"), sizes, strict=True)) | {"dtype": np.float32, "seed": 0}
    options |= {"bias": first.b_ih is not None, "bidirectional": directions == 2}
    defaults = {"num_layers": 1, "dropout": 0.0}
    names = LSTM._names_of(LSTM._as_options(defaults | options) | {"dtype": "float32"})
    arrays = {
        own: array if array.dtype == np.int8 else array.astype(np.float32) for own, array in arrays.items()
    }
    return LSTM._from_tensors(options, from_tensors(names, arrays, np.dtype(np.float32)))


def _expect_types(name: str, attributes: Mapping[str, Any]) -> None:
    """Of the kinds that the operators' texts say."""
    numbers = ("activation_alpha", "activation_beta")
    wanted: dict[str, type] = {"clip": float, "hidden_size": int, "direction": str, "activations": list}
    wanted |= dict.fromkeys(numbers, list)
    for key, value in attributes.items():
        inner: Any = value if isinstance(value, list) else []
        right = isinstance(value, wanted.get(key, int))
        right = right and all(isinstance(one, float if key in numbers else bytes) for one in inner)
        if not right:
            msg = f"{name}: expected an attribute {key} as in the operator's text, got {value!r}"
            raise ValueError(msg)

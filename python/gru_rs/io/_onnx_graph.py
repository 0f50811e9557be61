"""An ONNX graph as it is put together: nodes, constants, inputs and outputs, whichever sizes are fixed. It
must not know layers or models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .._arrays import BFLOAT16

if TYPE_CHECKING:
    from .._arrays import Array

Axis: TypeAlias = str | int
"""A size, or the name of one that is free."""

TYPES = {
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}
"""ONNX's numbers for NumPy's names."""

_AXES_ARE_INPUTS = {"ReduceSum": 13, "ReduceMax": 18, "Squeeze": 13, "Unsqueeze": 13}
"""Since which version of operators the axes are an input, and no attribute."""


@dataclass(frozen=True)
class Kept:
    """A parameter as it is kept: floats, halves, or bytes with a scale for each row."""

    numbers: Array
    scale: Array | None = None

    def rows(self, change: Callable[[Array], Array]) -> Kept:
        """With its rows in another order."""
        return Kept(change(self.numbers), None if self.scale is None else change(self.scale))

    def shaped(self, change: Callable[[Array], Array]) -> Kept:
        """With whatever is behind the first axis in another form."""
        return Kept(change(self.numbers), self.scale)


def _proto(array: Array, name: str) -> onnx.TensorProto:
    if array.dtype == BFLOAT16:
        bits = array.view(np.uint16).astype("<u2").tobytes()
        return helper.make_tensor(name, TensorProto.BFLOAT16, array.shape, bits, raw=True)
    return numpy_helper.from_array(array, name)


class Graph:
    """Nodes in order, each named by what it gives."""

    def __init__(
        self, dtype: np.dtype[Any], opset: int, batch: int | None = None, steps: int | None = None
    ) -> None:
        self.dtype, self.opset = dtype, opset
        self.batch: Axis = "batch" if batch is None else batch
        self.steps: Axis = "steps" if steps is None else steps
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    # What it is made of

    def node(self, op: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """A node of one output, which is its name."""
        return self.nodes(op, inputs, [name or f"{op.lower()}_{len(self._nodes)}"], **attributes)[0]

    def nodes(
        self,
        op: str,
        inputs: Sequence[str],
        outputs: list[str],
        *,
        name: str | None = None,
        **attributes: Any,
    ) -> list[str]:
        """A node of several outputs."""
        self._nodes.append(helper.make_node(op, inputs, outputs, name or outputs[0], **attributes))
        return outputs

    def constant(self, value: Any, dtype: Any = np.int64, name: str | None = None) -> str:
        """A constant; small ones that are alike are one."""
        array = np.ascontiguousarray(np.asarray(value, dtype)).reshape(np.shape(value))
        if name is None:
            text = "_".join(map(str, array.reshape(-1).tolist())) or "none"
            name = f"{array.dtype.name}{list(array.shape)}_{text}"
            if len(name) > _LONGEST_NAME:
                name = f"constant_{len(self._constants)}"
        self._constants.setdefault(name, _proto(array, name))
        return name

    def number(self, value: float, dtype: Any = None) -> str:
        """One of the graph's floats."""
        return self.constant(value, self.dtype if dtype is None else dtype)

    def kept(self, name: str, parameter: Kept, axis: int = 0) -> str:
        """A parameter as it is kept, and what makes floats of it; `axis` is that of its rows."""
        numbers, scale = parameter.numbers, parameter.scale
        if scale is None and numbers.dtype == self.dtype:
            return self.constant(numbers, self.dtype, name)
        word = "bfloat16" if numbers.dtype == BFLOAT16 else numbers.dtype.name
        given = self.constant(numbers, numbers.dtype, f"{name}_{word}")
        if scale is None:
            return self.cast(given, self.dtype, name)
        if self.dtype == np.float32:
            scales = self.constant(scale, scale.dtype, f"{name}_scale")
            zeros = self.constant(np.zeros(len(scale)), np.int8, f"{name}_zero_point")
            return self.node("DequantizeLinear", given, scales, zeros, name=name, axis=axis)
        # DequantizeLinear has no float64.
        shape = [1] * numbers.ndim
        shape[axis] = -1
        scales = self.constant(scale.reshape(shape), self.dtype, f"{name}_scale")
        return self.node("Mul", self.cast(given, self.dtype), scales, name=name)

    def input(self, name: str, dtype: Any, shape: Sequence[Axis]) -> str:
        """What comes in."""
        kind = TYPES[np.dtype(dtype).name]
        self._inputs.append(helper.make_tensor_value_info(name, kind, list(shape)))
        return name

    def output(self, name: str, value: str, shape: Sequence[Axis], dtype: Any = None) -> None:
        """What goes out."""
        self.node("Identity", value, name=name)
        kind = TYPES[np.dtype(self.dtype if dtype is None else dtype).name]
        self._outputs.append(helper.make_tensor_value_info(name, kind, list(shape)))

    def model(self, name: str, about: dict[str, str]) -> onnx.ModelProto:
        """All of it, checked. Constants that no node takes are left out: ONNX Runtime warns of them."""
        taken = {given for node in self._nodes for given in node.input}
        constants = [one for own, one in self._constants.items() if own in taken]
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, constants)
        imports = [helper.make_opsetid("", self.opset)]
        model = helper.make_model(graph, opset_imports=imports, producer_name="gru-rs")
        model.ir_version = helper.find_min_ir_version_for(imports)
        if about:
            helper.set_model_props(model, about)
        onnx.checker.check_model(model, full_check=True)
        return model

    # Operators that are used again and again

    def cast(self, value: str, dtype: Any, name: str | None = None) -> str:
        """In another type."""
        return self.node("Cast", value, name=name, to=TYPES[np.dtype(dtype).name])

    def along(self, op: str, value: str, axis: int, *, keepdims: bool | None = None) -> str:
        """An operator over an axis, wherever this version has it."""
        more: dict[str, Any] = {} if keepdims is None else {"keepdims": int(keepdims)}
        if self.opset >= _AXES_ARE_INPUTS[op]:
            return self.node(op, value, self.constant([axis]), **more)
        return self.node(op, value, axes=[axis], **more)

    def unsqueeze(self, value: str, axis: int) -> str:
        """With an axis of one more."""
        return self.along("Unsqueeze", value, axis)

    def squeeze(self, value: str, axis: int) -> str:
        """Without an axis of one."""
        return self.along("Squeeze", value, axis)

    def transpose(self, value: str, *order: int) -> str:
        """With its axes in another order."""
        return self.node("Transpose", value, perm=order)

    def part(self, value: str, axis: int, first: int, last: int) -> str:
        """Some of an axis, which may be counted from its end."""
        return self.node("Slice", value, *(self.constant([at]) for at in (first, last, axis)))

    def size(self, value: str, axis: int, known: Axis) -> str:
        """How long an axis is, ``(1,)``."""
        if isinstance(known, int):
            return self.constant([known])
        return self.part(self.node("Shape", value), 0, axis, axis + 1)

    def linear(self, value: str, name: str, weight: Kept, bias: Kept | None = None) -> str:
        """``x W^T + b`` over the last axis."""
        transposed = weight.shaped(lambda array: np.ascontiguousarray(array.T))
        found = self.node("MatMul", value, self.kept(name, transposed, axis=1))
        return found if bias is None else self.node("Add", found, self.kept(f"{name}_bias", bias))


_LONGEST_NAME = 48
END = 2**63 - 1
"""Beyond the end of any axis."""

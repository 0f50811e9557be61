"""What a graph of an ONNX model fixes: by ONNX's own scoping, and where only lengths of axes are not known.

A tensor is fixed if it is an initializer or a Constant, of the graph or of one around it, or if nodes make it
of such; then also if what they take besides are sizes of what the model is fed, as long as those decide on
nothing but lengths of axes along which all is the same: the zeros that exporters make for a state. Whatever
else depends on what the model is fed is not fixed. Operators are evaluated by ONNX's own reference, those of
`_OPERATORS` alone, each after its size is known to be small. It must not know recurrent nodes.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper
from onnx.reference import ReferenceEvaluator

from ._onnx_read import TooLargeError, graphs_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._arrays import Array
    from ._onnx_read import OnnxFile

_MOVING = "Concat Flatten Gather Identity Reshape Slice Split Squeeze Transpose Unsqueeze"
_SHAPING = {"ConstantOfShape": 0, "Expand": 1, "Reshape": 1, "Tile": 1}
"""Operators that take a shape, and where."""
_EACH = (
    "Abs Add And Cast Clip Div Equal Greater Less Max Min Mod Mul Neg Not Or Pow Reciprocal Sqrt Sub Where"
)
_OTHER = "DequantizeLinear MatMul ReduceL2 ReduceMax ReduceMean ReduceSum Size"
_OPERATORS = frozenset([*f"{_MOVING} {_EACH} {_OTHER}".split(), *_SHAPING])
"""Cheap ones without effects: what exporters make weights and states with."""
_WORK = 2**32
"""Multiplications of a MatMul."""
_RANK = 8
"""Sizes that the shape of something may have, if nothing says how many it has."""


@dataclass(frozen=True)
class Known:
    """What is known of a tensor.

    Attributes
    ----------
    values : ndarray
        Its numbers, of each axis of unknown length only the first, as all are the same along it.
    open : frozenset of int
        Those axes.
    unknown : ndarray of bool or None
        Which of the numbers are not known, but are the sizes of something; None: all are known.
    guessed : bool
        Whether nothing says how many sizes there are, so that but single ones can be taken.
    """

    values: Array
    open: frozenset[int] = frozenset()
    unknown: Array | None = None
    guessed: bool = False

    def at(self, length: int) -> Array:
        """The tensor if all that is unknown were so long."""
        values = self.values if self.unknown is None else np.where(self.unknown, length, self.values)
        for axis in self.open:
            values = np.repeat(values, length, axis)
        return values


class Scope:
    """The tensors of a graph by their names, and behind them those of the graphs around it."""

    def __init__(self, file: OnnxFile, graph: onnx.GraphProto, outer: Scope | None = None) -> None:
        self.graph, self._file, self._outer = graph, file, outer
        self._depth: int = 0 if outer is None else outer._depth + 1
        self._known: dict[str, Known | None] = {}
        self._nodes = {output: node for node in graph.node for output in node.output if output}
        self._given: dict[str, Any] = {one.name: one for one in graph.initializer}
        self._given |= {one.values.name: one for one in graph.sparse_initializer}
        inputs = {one.name for one in graph.input}
        # Of the model's own graph an initializer that is an input too is its default; within, inputs are fed.
        self._fed = inputs - self._given.keys() if outer is None else inputs
        self._twice = _twice(graph)

    def inner(self) -> Iterator[Scope]:
        """This scope, and those of the graphs within its nodes."""
        yield self
        for node in self.graph.node:
            for graph in graphs_of(node, self._depth):
                yield from Scope(self._file, graph, self).inner()

    @property
    def version(self) -> int:
        """Of ONNX's own operators in the model."""
        imports: dict[str, int] = {one.domain: one.version for one in self._file.model.opset_import}
        return imports.get("", imports.get("ai.onnx", int(onnx.defs.onnx_opset_version())))

    def spend(self, name: str, count: int) -> None:
        """Before so many bytes are made of what is fixed; an error beyond what the file may become."""
        self._file.spend(name, count)

    def origin(self, name: str) -> str:
        """What gives a tensor that is not fixed, in words."""
        found = self._find(name)
        node = None if found is None else found[0]._nodes.get(name)
        if node is not None:
            return f"an output of {node.op_type}, known only at run time"
        return (
            "which is not in the model" if found is None else "an input of its graph, known only at run time"
        )

    def maker(self, name: str) -> onnx.NodeProto | None:
        """ONNX's own operator that makes a tensor in this graph."""
        node = None if name in self._fed or name in self._given else self._nodes.get(name)
        return node if node is not None and node.domain in ("", "ai.onnx") else None

    def value(self, name: str) -> Array | None:
        """The tensor's numbers; None if they are not fixed, or lengths of axes are not."""
        known = self.known(name)
        return None if known is None or known.open or known.unknown is not None else known.values

    def known(self, name: str) -> Known | None:
        """What is fixed of a tensor; None if nothing is, or there is none of that name."""
        todo = [self._find(name)]
        waiting: set[tuple[int, str]] = set()
        while todo:
            found = todo[-1]
            if found is None or found[1] in found[0]._known:
                todo.pop()
                continue
            scope, own = found
            node = scope._node(own)
            needed = [] if node is None else [scope._find(given) for given in _needed(node)]
            needed = [one for one in needed if one is not None and one[1] not in one[0]._known]
            if not needed:
                scope._make(own, node)
            elif (id(scope), own) in waiting:
                msg = f"{own}: expected a graph without circles, got one that is made of itself"
                raise ValueError(msg)
            else:
                waiting.add((id(scope), own))
                todo += needed
        return self._seen(name)

    def _find(self, name: str) -> tuple[Scope, str] | None:
        """The innermost graph that has the name."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope._fed or name in scope._given or name in scope._nodes:
                return scope, name
            scope = scope._outer
        return None

    def _seen(self, name: str) -> Known | None:
        found = self._find(name)
        return None if found is None else found[0]._known[name]

    def _node(self, name: str) -> onnx.NodeProto | None:
        """What makes it, if that may be evaluated."""
        if name in self._twice:
            msg = f"{name}: expected one tensor of that name in a graph, got several"
            raise ValueError(msg)
        node = self.maker(name)
        return node if node is not None and node.op_type in (*_OPERATORS, "Shape") else None

    def _make(self, name: str, node: onnx.NodeProto | None) -> None:
        """Keep what is known of it, and of what its node gives besides."""
        if node is None:
            values = self._own(name)
            self._known[name] = None if values is None or values.dtype == object else Known(values)
            return
        given = {one: self._seen(one) for one in _needed(node)}
        if node.op_type == "Shape":
            made: list[Known | None] = [self._shape(node, given)]
        elif any(one is None for one in given.values()):
            made = [None] * len(_outputs(node))
        else:
            made = self._evaluated(node, {own: one for own, one in given.items() if one is not None})
        self._known |= dict(zip(_outputs(node), made, strict=True))

    def _own(self, name: str) -> Array | None:
        """Of an initializer or a Constant."""
        if name in self._fed:
            return None
        one = self._given.get(name)
        if one is None:
            node = self._nodes[name]
            if node.op_type != "Constant" or node.domain not in ("", "ai.onnx") or len(node.attribute) != 1:
                return None
            attribute = node.attribute[0]
            one = helper.get_attribute_value(attribute)
            if attribute.name in ("value_int", "value_ints"):
                return np.asarray(one, np.int64)
            if attribute.name in ("value_float", "value_floats"):
                return np.asarray(one, np.float32)
        if isinstance(one, onnx.SparseTensorProto):
            return self._file.dense(one)
        return self._file.array(one) if isinstance(one, onnx.TensorProto) else None

    def _shape(self, node: onnx.NodeProto, given: dict[str, Known | None]) -> Known | None:
        """The sizes of something, of which only how many there are need be known."""
        (one,) = given.values() if len(given) == 1 else (None,)
        rank = self._rank(node.input[0]) if node.input else None
        if one is not None and one.guessed:
            return None
        if one is not None:
            shape = np.array(one.values.shape, np.int64)
            unknown = np.isin(np.arange(shape.size), list(one.open))
        else:
            shape = np.ones(_RANK if rank is None else rank, np.int64)
            unknown = np.ones(shape.size, bool)
        said = {attribute.name: attribute.i for attribute in node.attribute}
        if one is None and rank is None:
            return None if said else Known(shape, unknown=unknown, guessed=True)
        part = slice(said.get("start", 0), said.get("end"))
        return Known(shape[part], unknown=unknown[part] if unknown[part].any() else None)

    def _rank(self, name: str) -> int | None:
        """As the model says."""
        found = self._find(name)
        graph = self.graph if found is None else found[0].graph
        for one in (*graph.input, *graph.value_info, *graph.output):
            if one.name == name and one.type.tensor_type.HasField("shape"):
                return len(one.type.tensor_type.shape.dim)
        return None

    def _evaluated(self, node: onnx.NodeProto, given: dict[str, Known]) -> list[Known | None]:
        """The node's outputs."""
        nothing: list[Known | None] = [None] * len(_outputs(node))
        if any(one.guessed for one in given.values()) and node.op_type != "Gather":
            return nothing
        try:
            with np.errstate(all="ignore"):
                if any(one.unknown is not None for one in given.values()) and not _takes_shape(node, given):
                    return self._of_sizes(node, given)
                if any(one.open or one.unknown is not None for one in given.values()):
                    return nothing if node.op_type in _OTHER.split() else self._of_lengths(node, given)
                arrays = self._run(node, {own: one.values for own, one in given.items()})
        except TooLargeError:
            raise
        except Exception:  # what is wrong for the operator, or what the evaluator does not have of it
            return nothing
        return [Known(array) if array.dtype != object else None for array in arrays]

    def _of_lengths(self, node: onnx.NodeProto, given: dict[str, Known]) -> list[Known | None]:
        """Of what has axes of unknown length: tried at two, which axes follow, and whether all is alike along
        them.
        """
        two, three = (self._run(node, {own: one.at(n) for own, one in given.items()}) for n in (2, 3))
        if node.op_type in ("Reshape", "Flatten") and not _moves_ones(given[node.input[0]].at(2), two[0]):
            return [None]
        return [_opened(a, b) for a, b in zip(two, three, strict=True)]

    def _of_sizes(self, node: onnx.NodeProto, given: dict[str, Known]) -> list[Known | None]:
        """Sizes of sizes: which of them are not known goes the way that they go."""
        if any(one.open for one in given.values()):
            return [None] * len(_outputs(node))
        values = self._run(node, {own: one.values for own, one in given.items()})
        if node.op_type in _EACH.split():
            masks = [one.unknown for one in given.values() if one.unknown is not None]
            unknown = np.broadcast_to(np.logical_or.reduce(np.broadcast_arrays(*masks)), values[0].shape)
            return [Known(values[0], unknown=unknown)]
        moved = list(node.input) if node.op_type == "Concat" else [node.input[0]]
        fixed = all(one.unknown is None for own, one in given.items() if own not in moved)
        if node.op_type not in _MOVING.split() or not fixed:
            return [None] * len(_outputs(node))
        marks = {
            own: one.values if own not in moved else _marks(one).astype(one.values.dtype)
            for own, one in given.items()
        }
        unknown_of = [array.astype(bool) for array in self._run(node, marks)]
        return [
            Known(value, unknown=unknown if unknown.any() else None)
            for value, unknown in zip(values, unknown_of, strict=True)
        ]

    def _run(self, node: onnx.NodeProto, feeds: dict[str, Array]) -> list[Array]:
        """By ONNX's own evaluator, in the version of operators that the model has."""
        self._file.expect(node.output[0], _most_bytes(node, feeds))
        names = [onnx.ValueInfoProto(name=own) for own in feeds]
        outputs = [onnx.ValueInfoProto(name=own) for own in _outputs(node)]
        graph = helper.make_graph([node], "one", names, outputs)
        # The evaluator has none of before 19, which said less and nothing else.
        version = max(self.version, 19) if node.op_type == "DequantizeLinear" else self.version
        found: Any = ReferenceEvaluator(graph, opsets={"": version}).run(None, feeds)
        arrays = [np.asarray(array) for array in found]
        self._file.spend(node.output[0], sum(array.nbytes for array in arrays))
        return arrays


def _outputs(node: onnx.NodeProto) -> list[str]:
    return [output for output in node.output if output]


def _needed(node: onnx.NodeProto) -> list[str]:
    return list(dict.fromkeys(given for given in node.input if given))


def _twice(graph: onnx.GraphProto) -> set[str]:
    """The names that a graph gives to several tensors."""
    names = Counter(output for node in graph.node for output in node.output if output)
    names.update(one.name for one in graph.initializer)
    names.update(one.values.name for one in graph.sparse_initializer)
    return {name for name, count in names.items() if count > 1}


def _takes_shape(node: onnx.NodeProto, given: dict[str, Known]) -> bool:
    """Whether the sizes are the shape that an operator takes, and nothing else."""
    at = _SHAPING.get(node.op_type, len(node.input))
    unknown = [own for own, one in given.items() if one.unknown is not None]
    return at < len(node.input) and unknown == [node.input[at]] and list(node.input).count(unknown[0]) == 1


def _moves_ones(before: Array, after: Array) -> bool:
    """Whether an array was reshaped by axes of length 1 alone, or is the same number everywhere."""
    same = [[size for size in array.shape if size != 1] for array in (before, after)]
    return same[0] == same[1] or before.size == 0 or bool((before == before.flat[0]).all())


def _opened(two: Array, three: Array) -> Known | None:
    """What is known of an array that was made with axes of length 2, and with 3."""
    if two.ndim != three.ndim or two.dtype != three.dtype or two.dtype == object:
        return None
    sizes = list(zip(two.shape, three.shape, strict=True))
    if any(pair != (2, 3) and pair[0] != pair[1] for pair in sizes):
        return None
    axes = [axis for axis, pair in enumerate(sizes) if pair == (2, 3)]
    first = tuple(slice(1) if axis in axes else slice(None) for axis in range(two.ndim))
    for array in (two, three):
        if not (np.broadcast_to(two[first], array.shape) == array).all():
            return None
    return Known(np.array(two[first]), frozenset(axes))


def _marks(one: Known) -> Array:
    return np.zeros(one.values.shape, bool) if one.unknown is None else one.unknown


def _most_bytes(node: onnx.NodeProto, feeds: dict[str, Array]) -> int:
    """What the operator's outputs may take."""
    arrays = [feeds[given] for given in node.input if given]
    op, shapes = node.op_type, [array.shape for array in arrays]
    if op == "ConstantOfShape":
        count = math.prod(arrays[0].ravel().tolist())
    elif op == "Expand":
        count = _broadcast(shapes[0], arrays[1].ravel().tolist())
    elif op == "Tile":
        count = arrays[0].size * math.prod(arrays[1].ravel().tolist())
    elif op == "Gather":
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        count = arrays[0].size // max(shapes[0][axis], 1) * arrays[1].size
    elif op == "MatMul":
        rows = arrays[0].size // max(shapes[0][-1], 1)
        columns = arrays[1].size // max(shapes[1][-2], 1)
        count = rows * columns
        if count * shapes[0][-1] > _WORK:
            msg = f"{node.output[0]}: expected at most {_WORK} multiplications in a product of constants"
            raise TooLargeError(msg)
    elif op in _EACH.split():
        count = _broadcast(*shapes)
    else:
        count = sum(array.size for array in arrays)
    return 8 * int(count)


def _broadcast(*shapes: Any) -> int:
    """The numbers of an array that others are broadcast to."""
    deepest = max(map(len, shapes))
    padded: list[tuple[int, ...]] = [(1,) * (deepest - len(shape)) + tuple(shape) for shape in shapes]
    return math.prod(max(sizes) for sizes in zip(*padded, strict=True))

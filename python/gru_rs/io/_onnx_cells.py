"""Cells that became plain operators, each use of one as PyTorch's exporters write it, as layers.

What is found computes a cell's formula by its operators, whatever their order; a cell that is used in several
places, as unrolled ones are, is one layer. Anything else stays for the engine.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from .._arrays import widened
from .._words import CELLS
from ._layouts import PYTORCH_GATES, Weights, new_layer
from ._onnx_layer import OnnxLayer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

    from .._arrays import Array
    from ._onnx_constants import Scope


@dataclass
class Use:
    """A place where a cell is used.

    Attributes
    ----------
    cell : str
        Its word.
    scope : Scope
        Where it stands.
    order : str
        The gates in their order, in our letters.
    tensors : dict of str to str
        The names of what it takes, ``x``, ``h`` and ``c``, of what it gives, ``h_n`` and ``c_n``, and of its
        weights.
    """

    cell: str
    scope: Scope
    order: str
    tensors: dict[str, str] = field(default_factory=dict)

    @property
    def weights(self) -> tuple[str, ...]:
        """The names of its weights, which tell one cell from another."""
        return tuple(self.tensors.get(role, "") for role in ("w_ih", "w_hh", "b_ih", "b_hh"))


@dataclass(frozen=True)
class Cell:
    """A cell under a name of its own, with its uses in the order of the graph."""

    name: str
    uses: list[Use]

    def layer(self, _: int | None = None) -> OnnxLayer:
        """The cell as a layer; a ValueError that says what layers do not have."""
        use = self.uses[0]
        tensors, scope = use.tensors, use.scope
        w_ih, w_hh = (self._weights(role) for role in ("w_ih", "w_hh"))
        units = w_hh.shape[1]
        given = [role for role in ("b_ih", "b_hh") if role in tensors]
        zeros = np.zeros(len(w_ih), w_ih.dtype)
        biases = [self._weights(role) if role in given else zeros for role in ("b_ih", "b_hh")]
        ordered = [self._ordered(array) for array in (w_ih, w_hh, *(biases if given else ()))]
        if len({array.dtype for array in ordered}) > 1:
            got = ", ".join(sorted({array.dtype.name for array in ordered}))
            msg = f"{self.name}: expected weights in one dtype, got {got}"
            raise ValueError(msg)
        scope.spend(self.name, sum(array.nbytes for array in ordered))
        part = Weights(ordered[0], ordered[1], *(ordered[2:] if given else (None, None)))
        states, constants = CELLS[use.cell].states, {}
        for letter in states:
            known = scope.known(tensors[letter])
            if known is not None and known.unknown is None and known.values.ndim == 2:
                value = np.broadcast_to(known.values, (known.values.shape[0], units))
                constants[f"initial_{letter}"] = value[None].astype(w_ih.dtype)
        last = self.uses[-1].tensors
        places = f"{len(self.uses)} places" if len(self.uses) > 1 else "one place"
        return OnnxLayer(
            self.name,
            new_layer(use.cell, [part]),
            "forward",
            0,
            {"X": tensors["x"]} | {f"initial_{letter}": tensors[letter] for letter in states},
            {f"Y_{letter}": last[f"{letter}_n"] for letter in states},
            constants,
            f"a cell of plain operators in {places}, each a step of X",
        )

    def _weights(self, role: str) -> Array:
        use = self.uses[0]
        value, axes = use.scope.value(use.tensors[role]), 2 if role.startswith("w") else 1
        value = None if value is None else widened(value)
        if (
            value is None
            or value.dtype not in (np.float32, np.float64)
            or value.ndim != axes
            or len(value) % len(use.order)
        ):
            msg = f"{self.name}: expected constant weights of floats in rows, got {use.tensors[role]!r}"
            raise ValueError(msg)
        return value

    def _ordered(self, rows: Array) -> Array:
        order = self.uses[0].order
        blocks = dict(zip(order, np.split(rows, len(order)), strict=True))
        return np.concatenate([blocks[gate] for gate in PYTORCH_GATES[self.uses[0].cell]])


def cells_of(scope: Scope) -> Iterator[Cell]:
    """The cells of a graph by itself, and nothing of those within it."""
    found: dict[tuple[str, ...], list[Use]] = {}
    for node in scope.graph.node:
        if node.op_type not in ("Mul", "Add") or len(node.output) != 1:
            continue
        for swaps in product((False, True), repeat=4):
            with suppress(_NoCellError):
                use = (_lstm if node.op_type == "Mul" else _gru)(_Graph(scope, swaps), node)
                found.setdefault((use.cell, use.order, *use.weights), []).append(use)
                break
    for uses in found.values():
        owners = {name.rpartition(".")[0] for name in uses[0].weights if name}
        yield Cell((owners.pop() if len(owners) == 1 else "") or uses[0].tensors["h_n"], uses)


class _NoCellError(Exception):
    """Something is not as it is in a cell."""


class _Graph:
    """A graph to be followed from what is made to what it is made of, operands in one order of all."""

    def __init__(self, scope: Scope, swaps: tuple[bool, ...]) -> None:
        self.scope = scope
        self._swaps = iter(swaps)

    def made(self, op: str, name: str) -> onnx.NodeProto:
        """The operator that makes a tensor."""
        node = self.scope.maker(name)
        if node is None or node.op_type != op:
            raise _NoCellError
        return node

    def before(self, op: str, name: str) -> str:
        """What that operator makes the tensor of."""
        given = self.made(op, name).input
        if not given:
            raise _NoCellError
        return str(given[0])

    def both(self, node: onnx.NodeProto) -> tuple[str, str]:
        """What an operator takes, either first."""
        one, other = _two(node)
        return (other, one) if next(self._swaps) else (one, other)


def _lstm(graph: _Graph, last: onnx.NodeProto) -> Use:
    """h' = σ(o) ⊙ tanh(c'), c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g), the gates of one sum of x's product and h's."""
    o, new = graph.both(last)
    c_n = graph.before("Tanh", new)
    kept, added = graph.both(graph.made("Add", c_n))
    f, c = graph.both(graph.made("Mul", kept))
    i, g = graph.both(graph.made("Mul", added))
    gates = {letter: graph.before("Sigmoid", name) for letter, name in (("i", i), ("f", f), ("o", o))}
    gates["g"] = graph.before("Tanh", g)
    split = graph.made("Split", gates["i"])
    use = Use("lstm", graph.scope, _order(graph.scope, split, gates))
    use.tensors |= {"c": c, "c_n": c_n, "h_n": last.output[0]}
    _take_products(
        use, [graph.made("Gemm", name) for name in _two(graph.made("Add", graph.before("Split", gates["i"])))]
    )
    return use


def _gru(graph: _Graph, last: onnx.NodeProto) -> Use:
    """h' = (h − n) ⊙ z + n, n = tanh(x's + r ⊙ h's): the gates of x's product and of h's, each by itself."""
    less, n = graph.both(last)
    difference, z = graph.both(graph.made("Mul", less))
    h, same = _two(graph.made("Sub", difference))
    if same != n:
        raise _NoCellError
    xn, reset = graph.both(graph.made("Add", graph.before("Tanh", n)))
    hn, r = graph.both(graph.made("Mul", reset))
    sums = [_two(graph.made("Add", graph.before("Sigmoid", name))) for name in (r, z)]
    splits = [graph.made("Split", name) for name in (xn, hn)]
    gates = [[name for pair in sums for name in pair if name in split.output] for split in splits]
    if any(len(own) != 2 for own in gates):
        raise _NoCellError
    orders = {
        _order(graph.scope, split, dict(zip("rzn", (*own, candidate), strict=True)))
        for split, own, candidate in zip(splits, gates, (xn, hn), strict=True)
    }
    if len(orders) != 1:
        raise _NoCellError
    use = Use("gru", graph.scope, orders.pop(), {"h": h, "h_n": last.output[0]})
    _take_products(use, [graph.made("Gemm", graph.before("Split", name)) for name in (xn, hn)])
    return use


def _two(node: onnx.NodeProto) -> tuple[str, str]:
    if len(node.input) != 2:
        raise _NoCellError
    return node.input[0], node.input[1]


def _order(scope: Scope, split: onnx.NodeProto, gates: dict[str, str]) -> str:
    """The letters of the gates as a Split gives them, all of one size."""
    said = {one.name: one for one in split.attribute}
    sizes = list(said["split"].ints) if "split" in said else [0]
    if len(split.input) > 1 and split.input[1]:
        value = scope.value(split.input[1])
        sizes = [] if value is None else value.ravel().tolist()
    axis = said["axis"].i if "axis" in said else 0
    if axis not in (1, -1) or len(set(sizes)) != 1 or sorted(split.output) != sorted(gates.values()):
        raise _NoCellError
    letters = {name: letter for letter, name in gates.items()}
    return "".join(letters[name] for name in split.output)


def _take_products(use: Use, products: list[onnx.NodeProto]) -> None:
    """Which of both is of x and which of h: by the cell's formula, by the shapes, or else by the names."""
    if any(len(node.input) < 2 for node in products):
        raise _NoCellError
    values = [use.scope.value(node.input[1]) for node in products]
    square = [w is not None and w.ndim == 2 and w.shape[0] == len(use.order) * w.shape[1] for w in values]
    if "h" in use.tensors:
        own = [node.input[0] == use.tensors["h"] for node in products]
    else:
        own = ["hh" in node.input[1].rpartition(".")[2] for node in products] if all(square) else square
    if sum(own) != 1 or not square[own.index(True)] or not all(map(_is_linear, products)):
        raise _NoCellError
    for node, of_h in zip(products, own, strict=True):
        use.tensors["h" if of_h else "x"] = node.input[0]
        use.tensors["w_hh" if of_h else "w_ih"] = node.input[1]
        if len(node.input) > 2 and node.input[2]:
            use.tensors["b_hh" if of_h else "b_ih"] = node.input[2]


def _is_linear(node: onnx.NodeProto) -> bool:
    """Whether a Gemm is x Wᵀ + b."""
    said = {one.name: one.f if one.name in ("alpha", "beta") else one.i for one in node.attribute}
    defaults = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
    return defaults | said == defaults | {"transB": 1}

"""A stack of recurrent layers as ONNX nodes that most engines compute right: each direction is a forward node
without `sequence_lens`, which many drop without a word, and lengths are plain operators around it.

    y = Y where t < length, else 0      h_n = [h0; Y] at the length      reverse: a forward node of x reversed

ONNX's LSTM gives c of the last step alone. So that it is that of the row's own end, x has a column more, 1
behind the end, whose weights close the input gate and open the forget gate: both saturate, and c stays as it
is. It must not know models.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._layers import GRU, LSTM
from .._quantize import SCALE, to_tensors
from .._words import CELLS
from ._layouts import ONNX
from ._onnx_functions import FUNCTIONS, SLOPES
from ._onnx_graph import END, Kept

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._arrays import Array
    from .._parameters import Network
    from ._onnx_graph import Axis, Graph

_BEYOND = 64.0
"""σ(−64) is below 2⁻⁹²: beside any c it is nothing, and 1 − σ(64) is not even a rounding error."""

_LARGEST = 100.0
"""What no h is beyond; those of an LSTM itself are within [−1, 1]."""


def kept_of(network: Network) -> dict[str, Kept]:
    """The parameters of a network as they are kept, by name."""
    tensors = to_tensors(network._names, network._tensors())
    return {name: Kept(tensors[name], tensors.get(name + SCALE)) for name, *_ in network._names}


def word_of(network: Any) -> str:
    """The word of its cell."""
    word: str = network._cell if isinstance(network, (GRU, LSTM)) else network.cell
    return word


class Direction(NamedTuple):
    """One direction of one layer, PyTorch's order of gates."""

    w_ih: Kept
    w_hh: Kept
    b_ih: Kept | None
    b_hh: Kept | None


@dataclass(frozen=True)
class Stack:
    """Recurrent layers, one on the other, with their weights."""

    cell: str
    directions: int
    hidden: int
    parts: list[list[Direction]]
    """Of each layer its directions."""
    reset_after: bool
    recurrent_activation: str = "sigmoid"
    activation: str = "tanh"
    clip: float | None = None

    @classmethod
    def of(cls, network: Any, prefix: str = "", directions: int | None = None) -> Stack:
        """The one of a network whose parameters' names have this before them."""
        kept = kept_of(network)
        count = (2 if network.bidirectional else 1) if directions is None else directions

        def direction(layer: int, way: int) -> Direction:
            tail = f"_l{layer}{'_reverse' if way else ''}"
            names = (f"{prefix}{kind}{tail}" for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
            return Direction(*(kept.get(name) for name in names))  # type: ignore[arg-type]

        parts = [[direction(layer, way) for way in range(count)] for layer in range(network.num_layers)]
        reset = getattr(network, "reset_after", True)
        own: tuple[Any, ...] = ()
        if isinstance(network, (GRU, LSTM)):
            own = (network.recurrent_activation, network.activation, network.clip)
        return cls(word_of(network), count, network.hidden_size, parts, reset, *own)

    @property
    def letters(self) -> list[str]:
        """Those of the states."""
        return CELLS[self.cell].states

    def expect_ends(self) -> None:
        """That the state of a row's own end can be told; an error that says why it cannot."""
        plain = self.recurrent_activation == "sigmoid" or self.recurrent_activation in SLOPES
        if self.cell == "lstm" and not (plain and self.activation == "tanh" and self.clip is None):
            got = f"recurrent_activation={self.recurrent_activation!r}, activation={self.activation!r}, "
            msg = (
                "lengths: expected False for an LSTM whose c cannot be kept behind a row's end by gates that "
            )
            msg += f"saturate (a sigmoid, tanh, no clip), got True with {got}clip={self.clip}"
            raise ValueError(msg)


class Lengths:
    """Each row's steps, and where they are, time first."""

    def __init__(self, graph: Graph, given: str, steps: str, known: Axis) -> None:
        """Of lengths (B,), integers of 32 bits, and of how many steps there are, (1,), if need be."""
        self._graph, self.given, self._steps, self._known = graph, given, steps, known

    def _counted(self, known: Axis, size: str, axis: int, more: int = 0) -> str:
        """0, 1, … along an axis of two."""
        graph = self._graph
        if isinstance(known, int):
            return graph.constant(np.expand_dims(np.arange(known + more), 1 - axis), np.int32)
        count = graph.cast(graph.squeeze(size, 0), np.int32)
        if more:
            count = graph.node("Add", count, graph.constant(more, np.int32))
        first, step = (graph.constant(number, np.int32) for number in (0, 1))
        return graph.unsqueeze(graph.node("Range", first, count, step), 1 - axis)

    @cached_property
    def _times(self) -> str:
        return self._counted(self._known, self._steps, 0)

    @cached_property
    def _rows(self) -> str:
        return self._graph.unsqueeze(self.given, 0)

    @cached_property
    def _inside(self) -> str:
        """(T, B)"""
        return self._graph.node("Less", self._times, self._rows)

    @cached_property
    def within(self) -> str:
        """(T, B, 1): whether a step is one of its row."""
        return self._graph.unsqueeze(self._inside, 2)

    @cached_property
    def end(self) -> str:
        """(T + 1, B, 1): whether a row has so many steps."""
        times = self._counted(self._known, self._steps, 0, 1)
        return self._graph.unsqueeze(self._graph.node("Equal", times, self._rows), 2)

    @cached_property
    def back(self) -> str:
        """(T, B, 2): of each place the time and the row that are there when rows are read backwards. More
        engines have GatherND than ReverseSequence.
        """
        graph = self._graph
        last = graph.node("Sub", self._rows, graph.constant(1, np.int32))
        times = graph.node("Where", self._inside, graph.node("Sub", last, self._times), self._times)
        own = self._counted(graph.batch, graph.size(self.given, 0, graph.batch), 1)
        rows = graph.node("Expand", own, graph.node("Shape", times))
        pair = [graph.unsqueeze(graph.cast(one, np.int64), 2) for one in (times, rows)]
        return graph.node("Concat", *pair, axis=2)

    @cached_property
    def behind(self) -> str:
        """(T, B, 1): 1 where a step is none of its row."""
        graph = self._graph
        return graph.cast(graph.node("Not", self.within), graph.dtype)

    def only(self, value: str) -> str:
        """Zeros behind each row's end, whatever was there."""
        return self._graph.node("Where", self.within, value, self._graph.number(0.0))


class Ran(NamedTuple):
    """What comes of a stack: its outputs (T, B, D·H), anything behind a row's end, and of each state those of
    each layer and direction, (1, B, H).
    """

    y: str
    ends: list[list[str]]


def run(
    graph: Graph,
    stack: Stack,
    x: str,
    lengths: Lengths | None,
    first: list[str] | None,
    *,
    ends: str = "hc",
) -> Ran:
    """A stack over x (T, B, I), from first states (L·D, B, H), zeros when missing. Of the states those whose
    letters are in `ends` are found at each row's own end.
    """
    frozen = lengths is not None and stack.cell == "lstm" and "c" in ends
    if frozen:
        stack.expect_ends()
    initial = _initial(graph, stack, x, first)
    found: list[list[str]] = [[] for _ in stack.letters]
    for index, parts in enumerate(stack.parts):
        outputs = []
        for way, part in enumerate(parts):
            name = stack.cell if len(stack.parts) == 1 else f"{stack.cell}_{index}"
            name += "_reverse" if way else ""
            states = [of_state[index * stack.directions + way] for of_state in initial]
            given = _reversed(graph, x, lengths) if way else x
            y, own = _scan(graph, stack, name, part, given, lengths, states, ends=ends, frozen=frozen)
            outputs.append(_reversed(graph, y, lengths) if way else y)
            for ending, state in zip(found, own, strict=True):
                ending.append(state)
        x = outputs[0] if len(outputs) == 1 else graph.node("Concat", *outputs, axis=2)
    return Ran(x, found)


def _scan(
    graph: Graph,
    stack: Stack,
    name: str,
    part: Direction,
    x: str,
    lengths: Lengths | None,
    first: list[str],
    *,
    ends: str,
    frozen: bool,
) -> tuple[str, list[str]]:
    """One layer in one direction: its outputs (T, B, H), and its states at each row's end."""
    if frozen and lengths is not None:
        x = graph.node("Concat", lengths.only(x), lengths.behind, axis=2)
    weights = _weights(graph, stack, name, part, frozen=frozen)
    outputs = [f"{name}_y", *(f"{name}_{letter}" for letter in stack.letters)]
    y, *own = graph.nodes(
        stack.cell.upper(), [x, *weights, "", *first], outputs, name=name, **_attributes(stack)
    )
    y = graph.squeeze(y, 1)
    if lengths is not None and "h" in ends:
        all_steps = graph.node("Concat", first[0], y, axis=0)
        at_end = graph.node("Where", lengths.end, all_steps, graph.number(0.0))
        own[0] = graph.along("ReduceSum", at_end, 0, keepdims=True)
    return y, own


def _weights(graph: Graph, stack: Stack, name: str, part: Direction, *, frozen: bool) -> list[str]:
    """W, R and B of a node."""
    layout = ONNX[stack.cell]
    w, r = (kept.rows(layout._give) for kept in part[:2])
    more = _closing(stack, part)[:, np.newaxis].astype(graph.dtype) if frozen else None
    given = [_of_one(graph, f"{name}_W", w, more), _of_one(graph, f"{name}_R", r)]
    none = np.zeros(len(w.numbers), graph.dtype)  # written, as OpenCV refuses an LSTM without
    biases = [none if bias is None else layout._give(bias.numbers) for bias in part[2:]]
    return [*given, _of_one(graph, f"{name}_B", Kept(np.concatenate(biases)))]


def _of_one(graph: Graph, name: str, kept: Kept, more: Array | None = None) -> str:
    """With ONNX's axis of directions, of which there is one, and perhaps with more columns."""
    if kept.scale is None and kept.numbers.dtype == graph.dtype:
        whole = kept.numbers if more is None else np.concatenate([kept.numbers, more], axis=1)
        return graph.constant(whole[np.newaxis], graph.dtype, name)
    found = graph.kept(name, kept)
    if more is not None:
        found = graph.node("Concat", found, graph.constant(more, graph.dtype, f"{name}_more"), axis=1)
    return graph.unsqueeze(found, 0)


def _closing(stack: Stack, part: Direction) -> Array:
    """The weights of a column that is 1 behind a row's end: no state outweighs them, given ones neither."""
    most = _LARGEST * _most(part.w_hh) + sum(
        np.abs(bias.numbers).max() for bias in part[2:] if bias is not None
    )
    column = dict.fromkeys("iofg", 0.0) | {"i": -(_BEYOND + most), "f": _BEYOND + most}
    return np.repeat([column[gate] for gate in ONNX[stack.cell].gates], stack.hidden)


def _most(kept: Kept) -> float:
    """The largest sum of a row's absolute values."""
    sums = np.abs(kept.numbers.astype(np.float64)).sum(axis=1)
    return float((sums if kept.scale is None else sums * kept.scale).max())


def _attributes(stack: Stack) -> dict[str, Any]:
    attributes: dict[str, Any] = {"hidden_size": stack.hidden}
    if stack.cell == "gru":
        attributes["linear_before_reset"] = int(stack.reset_after)
    if stack.clip is not None:
        attributes["clip"] = stack.clip
    functions = [stack.recurrent_activation, *[stack.activation] * len(stack.letters)]
    if functions[:2] != ["sigmoid", "tanh"]:
        slopes = [SLOPES[function] for function in functions if function in SLOPES]
        attributes["activations"] = [FUNCTIONS.get(function, "HardSigmoid") for function in functions]
        if slopes:
            attributes |= {"activation_alpha": slopes, "activation_beta": [0.5] * len(slopes)}
    return attributes


def _initial(graph: Graph, stack: Stack, x: str, first: list[str] | None) -> list[list[str]]:
    """Of each state those of each layer and direction; zeros are written, as some engines lack a default."""
    count = len(stack.parts) * stack.directions
    if first is None:
        sizes = [graph.constant([1]), graph.size(x, 1, graph.batch), graph.constant([stack.hidden])]
        if isinstance(graph.batch, int):
            zeros = graph.constant(np.zeros((1, graph.batch, stack.hidden)), graph.dtype, "zeros")
        else:
            zeros = graph.node("Expand", graph.number(0.0), graph.node("Concat", *sizes, axis=0))
        return [[zeros] * count for _ in stack.letters]
    if count == 1:
        return [[name] for name in first]
    ones = graph.constant(np.ones(count))
    return [
        graph.nodes("Split", [name, ones], [f"{name}_{index}" for index in range(count)], axis=0)
        for name in first
    ]


def _reversed(graph: Graph, value: str, lengths: Lengths | None) -> str:
    """(T, B, …) from each row's end to its beginning; what lies behind the end stays there."""
    if lengths is not None:
        return graph.node("GatherND", value, lengths.back)
    ends = ([-1], [-END], [0], [-1])
    return graph.node("Slice", value, *(graph.constant(at) for at in ends))


def joined(graph: Graph, ends: Iterable[str]) -> str:
    """States of layers and directions as one, (L·D, B, H)."""
    names = list(ends)
    return names[0] if len(names) == 1 else graph.node("Concat", *names, axis=0)

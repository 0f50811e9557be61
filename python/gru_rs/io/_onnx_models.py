"""Models, and encoders with their decoders, as ONNX graphs: embedding, convolution, stack, pooling,
attention, head. It must not know estimators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._words import CELLS
from ._onnx_graph import Axis, Graph, Kept
from ._onnx_stack import Lengths, Stack, joined, kept_of, run, word_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._encoder_decoder import EncoderDecoder
    from .._model import Model

_LOWEST = -1e30
"""Less than whatever is compared with it: outputs, and scores of attention."""


def read(graph: Graph, network: Any, per_step: int) -> str:
    """What a network reads, as it comes: numbers (B, T, F), tokens (B, T) or (B, T, k)."""
    if network.vocabulary_size is None:
        return graph.input("x", graph.dtype, [graph.batch, graph.steps, network.input_size])
    more: list[Axis] = [per_step] if per_step > 1 else []
    return graph.input("tokens", np.int32, [graph.batch, graph.steps, *more])


def read_lengths(graph: Graph) -> str:
    """Each row's steps."""
    return graph.input("lengths", np.int32, [graph.batch])


def read_states(graph: Graph, network: Any) -> list[str]:
    """The states before the first step."""
    return [graph.input(f"{letter}0", graph.dtype, shape) for letter, shape in _states(graph, network)]


def write_states(graph: Graph, network: Any, ends: list[list[str]]) -> None:
    """The states behind the last."""
    for (letter, shape), own in zip(_states(graph, network), ends, strict=True):
        graph.output(f"{letter}_n", joined(graph, own), shape)


def _states(graph: Graph, network: Any) -> list[tuple[str, list[Axis]]]:
    scans = network.num_layers * (2 if network.bidirectional else 1)
    shape: list[Axis] = [scans, graph.batch, network.hidden_size]
    return [(letter, shape) for letter in CELLS[word_of(network)].states]


def embedded(graph: Graph, name: str, table: Kept, tokens: str, per_step: int = 1) -> str:
    """(…, E) of tokens (…), those of a step added. Only the rows that are asked for are made floats."""
    numbers, scale = table.numbers, table.scale
    found = graph.node("Gather", graph.constant(numbers, numbers.dtype, name), tokens)
    if numbers.dtype != graph.dtype:
        found = graph.cast(found, graph.dtype)
    if scale is not None:
        scales = graph.constant(scale[:, np.newaxis], graph.dtype, f"{name}_scale")
        found = graph.node("Mul", found, graph.node("Gather", scales, tokens))
    return graph.along("ReduceSum", found, -2, keepdims=False) if per_step > 1 else found


class Scored:
    """A model's scores, and what its frames are."""

    def __init__(
        self,
        graph: Graph,
        model: Model,
        given: str,
        lengths: str | None,
        first: list[str] | None = None,
        per_step: int = 1,
    ) -> None:
        self._graph, self._model, self._kept = graph, model, kept_of(model)
        if model.vocabulary_size is not None:
            given = embedded(graph, "embedding", self._kept["embedding.weight"], given, per_step)
        frames, lengths = self._frames(given, lengths)
        self.steps = graph.size(frames, 0, self.count)
        self.lengths = None if lengths is None else Lengths(graph, lengths, self.steps, self.count)
        stack = Stack.of(model, "rnn.")
        wanted = stack.letters if first is not None else ["h"] if model.pooling in ("last", "concat") else []
        self.ran = run(graph, stack, frames, self.lengths, first, ends="".join(wanted))
        pooled = self._pooled()
        self.scores = graph.linear(pooled, "head", self._kept["head.weight"], self._kept["head.bias"])

    def _frames(self, x: str, lengths: str | None) -> tuple[str, str | None]:
        """What the stack reads, time first, and how many frames each row has."""
        graph, model = self._graph, self._model
        self.count: Axis = graph.steps
        if model.conv_channels is None:
            return graph.transpose(x, 1, 0, 2), lengths
        size, stride = model.conv_kernel_size, model.conv_stride
        self.count = -(-graph.steps // stride) if isinstance(graph.steps, int) else "frames"
        shape = (model.conv_channels, size, -1)
        w = self._kept["conv.weight"].shaped(
            lambda array: np.ascontiguousarray(array.reshape(shape).transpose(0, 2, 1))
        )
        given = [
            graph.transpose(x, 0, 2, 1),
            graph.kept("conv", w),
            graph.kept("conv_bias", self._kept["conv.bias"]),
        ]
        found = graph.node("Conv", *given, kernel_shape=[size], strides=[stride], pads=[size - 1, 0])
        if model.conv_activation != "linear":
            found = graph.node(model.conv_activation.capitalize(), found)
        if lengths is not None and stride > 1:
            more = graph.node("Add", lengths, graph.constant(stride - 1, np.int32))
            lengths = graph.node("Div", more, graph.constant(stride, np.int32))
        return graph.transpose(found, 2, 0, 1), lengths

    def only(self, value: str, dtype: Any) -> str:
        """(B, T, …) with zeros behind each row's end."""
        if self.lengths is None:
            return value
        within = self._graph.transpose(self.lengths.within, 1, 0, 2)
        return self._graph.node("Where", within, value, self._graph.number(0.0, dtype))

    def _pooled(self) -> str:
        graph, pooling = self._graph, self._model.pooling
        y = self.ran.y if self.lengths is None else self.lengths.only(self.ran.y)
        if pooling == "each":
            return graph.transpose(y, 1, 0, 2)
        ways: dict[str, Callable[[str], str]] = {
            "last": self._last,
            "mean": self._mean,
            "max": self._max,
            "attention": self._attention,
        }
        parts = ("last", "mean", "max") if pooling == "concat" else (pooling,)
        found = [ways[part](y) for part in parts]
        return found[0] if len(found) == 1 else graph.node("Concat", *found, axis=1)

    def _last(self, y: str) -> str:  # noqa: ARG002
        directions = 2 if self._model.bidirectional else 1
        own = [self._graph.squeeze(end, 0) for end in self.ran.ends[0][-directions:]]
        return own[0] if len(own) == 1 else self._graph.node("Concat", *own, axis=1)

    def _mean(self, y: str) -> str:
        graph = self._graph
        total = graph.along("ReduceSum", y, 0, keepdims=False)
        if self.lengths is None:
            return graph.node("Div", total, graph.cast(self.steps, graph.dtype))
        counts = graph.node("Max", graph.cast(self.lengths.given, graph.dtype), graph.number(1.0))
        return graph.node("Div", total, graph.unsqueeze(counts, 1))

    def _max(self, y: str) -> str:
        graph = self._graph
        if self.lengths is None:
            return graph.along("ReduceMax", y, 0, keepdims=False)
        low = graph.node("Where", self.lengths.within, y, graph.number(_LOWEST))
        most = graph.along("ReduceMax", low, 0, keepdims=False)
        some = graph.node("Less", graph.constant(0, np.int32), self.lengths.given)
        return graph.node("Where", graph.unsqueeze(some, 1), most, graph.number(0.0))

    def _attention(self, y: str) -> str:
        graph = self._graph
        weight = self._kept["pool.weight"]
        scores = graph.linear(y, "pool", Kept(weight.numbers[np.newaxis]))
        if self.lengths is not None:
            scores = graph.node("Where", self.lengths.within, scores, graph.number(_LOWEST))
        shares = graph.node("Softmax", scores, axis=0)
        return graph.along("ReduceSum", graph.node("Mul", shares, y), 0, keepdims=False)


def write_model(graph: Graph, model: Model, *, lengths: bool, states: bool) -> None:
    """From ``x`` or ``tokens`` to ``scores``, and from state to state."""
    if states and model.conv_channels is not None:
        msg = (
            "states: expected False for a model with a convolution, which cannot go on from a state, got True"
        )
        raise ValueError(msg)
    given = read(graph, model, 1)
    own = read_lengths(graph) if lengths else None
    found = Scored(graph, model, given, own, read_states(graph, model) if states else None)
    write_scores(graph, model, found, "scores", found.scores)
    if states:
        write_states(graph, model, found.ran.ends)


def write_scores(
    graph: Graph,
    model: Model,
    found: Scored,
    name: str,
    value: str,
    dtype: Any = None,
    *,
    flat: bool = False,
) -> None:
    """What was made of a model's scores: of rows, or of steps, with zeros behind a row's end."""
    shape: list[Axis] = [graph.batch, model.output_size]
    if model.pooling == "each":
        shape.insert(1, found.count)
        value = found.only(value, dtype)
    if flat:
        value, shape = graph.squeeze(value, -1), shape[:-1]
    graph.output(name, value, shape, dtype)


# Pairs ------------------------------------------------------------------------------------------------------


def write_encoder(
    graph: Graph, pair: EncoderDecoder, given: str, lengths: str | None, per_step: int = 1
) -> None:
    """From ``x`` or ``tokens`` to the decoder's first states, and what attention looks at."""
    kept = kept_of(pair)
    if pair.vocabulary_size is not None:
        given = embedded(graph, "source", kept["source.weight"], given, per_step)
    x = graph.transpose(given, 1, 0, 2)
    steps = graph.size(x, 0, graph.steps)
    rows = None if lengths is None else Lengths(graph, lengths, steps, graph.steps)
    stack = Stack.of(pair, "encoder.")
    y, ends = run(graph, stack, x, rows, None)
    shape: list[Axis] = [pair.num_layers, graph.batch, pair.hidden_size]
    for letter, own in zip(stack.letters, ends, strict=True):
        graph.output(f"{letter}0", joined(graph, _crossed(graph, kept, letter, own, stack.directions)), shape)
    if pair.attention is not None:
        values = graph.transpose(y if rows is None else rows.only(y), 1, 0, 2)
        keys = graph.linear(values, "attention_keys", kept["attention.keys"])
        sizes: list[Axis] = [graph.batch, graph.steps]
        graph.output("keys", keys, [*sizes, pair.hidden_size])
        graph.output("values", values, [*sizes, pair.hidden_size * stack.directions])


def _crossed(graph: Graph, kept: dict[str, Kept], letter: str, ends: list[str], directions: int) -> list[str]:
    """The states of a stack of one direction from those of one that may have two."""
    if directions == 1:
        return ends
    found = []
    for layer in range(len(ends) // 2):
        name = f"bridge.{letter}_l{layer}"
        both = graph.node("Concat", *ends[2 * layer : 2 * layer + 2], axis=2)
        found.append(
            graph.node("Tanh", graph.linear(both, name, kept[f"{name}.weight"], kept[f"{name}.bias"]))
        )
    return found


def write_decoder(graph: Graph, pair: EncoderDecoder, *, lengths: bool) -> None:
    """A step: from a token and the states to the logarithms of probabilities and the next states."""
    kept, axes = kept_of(pair), [graph.batch, graph.steps]
    token = graph.input("token", np.int32, [graph.batch])
    stack = Stack.of(pair, "decoder.", directions=1)
    shape: list[Axis] = [pair.num_layers, graph.batch, pair.hidden_size]
    first = [graph.input(f"{letter}0", graph.dtype, shape) for letter in stack.letters]
    x = graph.unsqueeze(embedded(graph, "target", kept["target.weight"], token), 0)
    y, ends = run(graph, stack, x, None, first)
    seen = graph.transpose(y, 1, 0, 2)
    shares = None
    if pair.attention is not None:
        keys = graph.input("keys", graph.dtype, [*axes, pair.hidden_size])
        values = graph.input("values", graph.dtype, [*axes, pair.hidden_size * (1 + pair.bidirectional)])
        shares = _attention(graph, pair, kept, seen, keys, read_lengths(graph) if lengths else None)
        both = graph.node("Concat", graph.node("MatMul", shares, values), seen, axis=2)
        seen = graph.node("Tanh", graph.linear(both, "combine", kept["combine.weight"], kept["combine.bias"]))
    scores = graph.squeeze(graph.linear(seen, "head", kept["head.weight"], kept["head.bias"]), 1)
    graph.output(
        "log_probabilities", graph.node("LogSoftmax", scores, axis=1), [graph.batch, pair.output_size]
    )
    for letter, own in zip(stack.letters, ends, strict=True):
        graph.output(f"{letter}_n", joined(graph, own), shape)
    if shares is not None:
        graph.output("attention", graph.squeeze(shares, 1), axes)


def _attention(
    graph: Graph, pair: EncoderDecoder, kept: dict[str, Kept], h: str, keys: str, lengths: str | None
) -> str:
    """How much each step of the source counts, (B, 1, T); zeros for a source of no steps."""
    if pair.attention == "dot":
        products = graph.node("MatMul", h, graph.transpose(keys, 0, 2, 1))
        scores = graph.node("Mul", products, graph.number(1 / np.sqrt(pair.hidden_size)))
    else:
        queries = graph.linear(h, "attention_queries", kept["attention.queries"])
        layer = graph.node("Tanh", graph.node("Add", queries, keys))
        v = Kept(kept["attention.v"].numbers[np.newaxis])
        scores = graph.transpose(graph.linear(layer, "attention_v", v), 0, 2, 1)
    if lengths is None:
        return graph.node("Softmax", scores, axis=2)
    steps = graph.size(keys, 1, graph.steps)
    rows = Lengths(graph, lengths, steps, graph.steps)
    within = graph.transpose(rows.within, 1, 2, 0)
    low = graph.node("Where", within, scores, graph.number(_LOWEST))
    return graph.node("Where", within, graph.node("Softmax", low, axis=2), graph.number(0.0))

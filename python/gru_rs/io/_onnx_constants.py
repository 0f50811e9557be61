"""What a graph of an ONNX model fixes. It must not know recurrent nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

    from .._arrays import Array


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and those inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs) if attribute.HasField("g") else attribute.graphs:
                yield from graphs(inner)


class Constants:
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

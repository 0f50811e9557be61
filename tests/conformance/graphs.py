"""The ONNX model of a case. Needs onnx; what it means is `reference`'s to say."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import ours
from .cases import Case

# A gate that is closed for what is past a row's length: its sigmoid is 0 or 1 in every dtype.
SHUT = 1e4


def model_of(case: Case) -> onnx.ModelProto:
    return ours.model_of(case) if case.form == "to_onnx" else Writer(case).model()


def feeds_of(case: Case) -> dict[str, np.ndarray]:
    """What the model is given, by name."""
    if case.form == "to_onnx":
        return ours.feeds_of(case)
    first = case.nodes[0]
    feeds = {"X": case.x}
    if first.lengths is not None:
        feeds["lengths"] = first.lengths
    for k, node in enumerate(case.nodes):
        if node.h0 is not None:
            feeds[f"h0_{k}"] = node.h0
        if node.c0 is not None:
            feeds[f"c0_{k}"] = node.c0
    return feeds


def outputs_of(case: Case) -> list[str]:
    """What the model calls its outputs."""
    return [ours.OUTPUTS[name] for name in case.outputs] if case.form == "to_onnx" else list(case.outputs)


class Writer:
    """A case's graph as it is put together."""

    def __init__(self, case: Case) -> None:
        self.case, self.nodes, self.constants, self.count = case, [], [], 0
        self.shape = case.x.shape

    def model(self) -> onnx.ModelProto:
        case = self.case
        feeds, expected = feeds_of(case), case.expected()
        inputs = [helper.make_tensor_value_info(n, self.kind(v), self.sizes(n, v)) for n, v in feeds.items()]
        outputs = [
            helper.make_tensor_value_info(n, self.kind(case.x), self.sizes(n, v)) for n, v in expected.items()
        ]
        getattr(self, f"write_{case.form}")()
        graph = helper.make_graph(self.nodes, "case", inputs, outputs, self.constants)
        imports = [helper.make_opsetid("", case.opset)]
        model = helper.make_model(graph, opset_imports=imports, producer_name="conformance")
        model.ir_version = max(7, helper.find_min_ir_version_for(imports))
        onnx.checker.check_model(model, full_check=True)
        return model

    def kind(self, value):
        return helper.np_dtype_to_tensor_dtype(value.dtype)

    def sizes(self, name, value):
        """A shape, in which steps and rows have names where they are free."""
        if not self.case.free:
            return value.shape
        batch_first = self.case.nodes[0].layout
        if name == "lengths":
            return ["batch"]
        if name == "X" or name == "Y":
            names = ["batch", "steps"] if batch_first else ["steps", "batch"]
            flat = name == "X" or self.case.flat
            return [*names, value.shape[2]] if flat else ["steps", value.shape[1], "batch", value.shape[3]]
        return [value.shape[0], "batch", value.shape[2]]

    def constant(self, value, name=None):
        self.count += 1
        name = name or f"k{self.count}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, op, *inputs, output=None, **attributes):
        self.count += 1
        output = output or f"t{self.count}"
        self.nodes.append(helper.make_node(op, inputs, [output], f"{op}_{self.count}", **attributes))
        return output

    def attributes(self, node, direction=None):
        attributes = {"hidden_size": node.units, **self.case.attributes}
        direction = direction or self.case.direction
        if direction != "forward":
            attributes["direction"] = direction
        if node.op == "GRU":
            attributes["linear_before_reset"] = node.linear_before_reset
        if node.clip is not None:
            attributes["clip"] = node.clip
        if node.input_forget:
            attributes["input_forget"] = 1
        if node.layout:
            attributes["layout"] = 1
        return attributes

    def weights(self, k, node):
        return [
            "" if value is None else self.constant(value, f"{role}_{k}")
            for role, value in (("W", node.W), ("R", node.R), ("B", node.B))
        ]

    # Forms -------------------------------------------------------------------------------------------------

    def write_node(self):
        """Nodes one on top of the other."""
        current = "X"
        for k, node in enumerate(self.case.nodes):
            end = k == len(self.case.nodes) - 1
            self.nodes.append(self.recurrent(k, node, current, end))
            if len(self.case.nodes) > 1:
                current = self.flatten(f"y{k}", node, "Y" if end else None)

    def recurrent(self, k, node, current, end):
        inputs = [current, *self.weights(k, node), "lengths" if node.lengths is not None else ""]
        inputs += [f"h0_{k}" if node.h0 is not None else ""]
        if node.op == "LSTM":
            inputs += [f"c0_{k}" if node.c0 is not None else ""]
            inputs += [self.constant(node.P, f"P_{k}")] if node.P is not None else []
        while not inputs[-1]:
            inputs.pop()
        every = ["Y", "Y_h", "Y_c"] if node.op == "LSTM" else ["Y", "Y_h"]
        outputs = [name if end and name in self.case.outputs else "" for name in every]
        if len(self.case.nodes) > 1:
            outputs[0] = f"y{k}"
        while not outputs[-1]:
            outputs.pop()
        return helper.make_node(node.op, inputs, outputs, f"node_{k}", **self.attributes(node))

    def flatten(self, name, node, output):
        steps = self.node("Transpose", name, perm=[0, 2, 1, 3])
        shape = self.constant(np.array([0, 0, len(node.ways) * node.units]))
        return self.node("Reshape", steps, shape, output=output)

    def write_outer(self):
        """The node within both branches of an If, its weights and X of the graph around it."""
        (node,) = self.case.nodes
        inner = self.recurrent(0, node, "X", True)
        info = [helper.make_tensor_value_info(name, self.kind(self.case.x), None) for name in inner.output]
        branches = {f"{way}_branch": helper.make_graph([inner], way, [], info) for way in ("then", "else")}
        condition = self.constant(np.array(True))
        self.nodes.append(helper.make_node("If", [condition], list(self.case.outputs), "if", **branches))

    def write_gated(self):
        """A GRU's lengths as one more input, which is 1 past a row's length and shuts the update: the state
        stays."""
        kept, past, current = *self.masks(), "X"
        for k, node in enumerate(self.case.nodes):
            end = k == len(self.case.nodes) - 1
            wide = self.node("Concat", current, past, axis=2)
            given = [
                wide,
                *(self.constant(v) for v in (self.shut(node), node.R, node.B)),
                "",
                *self.zeros(k, node),
            ]
            outputs = [f"y{k}", *["Y_h"] * end]
            self.nodes.append(helper.make_node(node.op, given, outputs, f"node_{k}", **self.attributes(node)))
            current = self.node("Mul", self.flatten(f"y{k}", node, None), kept, output="Y" if end else None)

    def write_picked(self):
        """Y zero past the lengths, the state picked at the length, reverse between two ReverseSequence.

        An LSTM's Y does not hold the cell: that stays by a gate that is shut, as above.
        """
        kept, past, current = *self.masks(), "X"
        long = self.node("Cast", "lengths", to=TensorProto.INT64)
        for k, node in enumerate(self.case.nodes):
            end = k == len(self.case.nodes) - 1
            parts, states = [], self.zeros(k, node)
            finals = [[] for _ in states]
            for way, name in enumerate(node.ways):
                x = current if name == "forward" else self.turned(current, long)
                if node.op == "LSTM":
                    x = self.node("Concat", x, past, axis=2)
                y, *last = self.one_way(node, way, x, states, long)
                parts.append(y if name == "forward" else self.turned(y, long))
                for final, one in zip(finals, last, strict=True):
                    final.append(one)
            y = parts[0] if len(parts) == 1 else self.node("Concat", *parts, axis=2)
            current = self.node("Mul", y, kept, output="Y" if end else None)
            if end:
                for final, name in zip(finals, ("Y_h", "Y_c"), strict=False):
                    self.node("Concat", *final, axis=0, output=name)

    def one_way(self, node, way, x, states, long):
        """One direction as a forward node: Y (T, B, H), and the states (1, B, H) at the length."""
        if len(node.ways) > 1:
            ends = [self.constant(np.array([at])) for at in (way, way + 1, 0)]
            states = [self.node("Slice", state, *ends) for state in states]
        W = self.shut(node) if node.op == "LSTM" else node.W
        weights = [self.constant(value[way : way + 1]) for value in (W, node.R, node.B)]
        self.count += 1
        outputs = [f"y{self.count}", *(["", f"c{self.count}"] if node.op == "LSTM" else [])]
        attributes = self.attributes(node, "forward")
        given = [x, *weights, "", *states]
        self.nodes.append(helper.make_node(node.op, given, outputs, f"node_{self.count}", **attributes))
        y = self.node("Squeeze", outputs[0], self.constant(np.array([1])))
        every = self.node("Concat", states[0], y, axis=0)
        at = self.node("Unsqueeze", long, self.constant(np.array([0, 2])))
        shape = self.constant(np.array([1, self.shape[1], node.units]))
        if self.case.free:
            shape = self.node("Shape", states[0])
        h = self.node("GatherElements", every, self.node("Expand", at, shape), axis=0)
        return y, h, *outputs[2:]

    def shut(self, node):
        """W with one more input, which shuts the gates by which the state changes."""
        n, shut = node.units, np.zeros((*node.W.shape[:2], 1), node.W.dtype)
        # ONNX's orders: z r h, and i o f c.
        shut[:, :n] = SHUT if node.op == "GRU" else -SHUT
        if node.op == "LSTM":
            shut[:, 2 * n : 3 * n] = SHUT
        return np.concatenate([node.W, shut], axis=2)

    def turned(self, name, long):
        return self.node("ReverseSequence", name, long, batch_axis=1, time_axis=0)

    def masks(self):
        """(T, B, 1): 1 within a row's length and 0 past it, and the other way round."""
        steps = self.constant(np.arange(self.shape[0], dtype=np.int32)[:, None])
        if self.case.free:
            count = self.node("Gather", self.node("Shape", "X"), self.constant(np.array(0)))
            count = self.node("Cast", count, to=TensorProto.INT32)
            zero, one = (self.constant(np.array(n, np.int32)) for n in (0, 1))
            steps = self.node("Unsqueeze", self.node("Range", zero, count, one), self.constant(np.array([1])))
        rows = self.node("Unsqueeze", "lengths", self.constant(np.array([0])))
        kept = self.node("Cast", self.node("Less", steps, rows), to=self.kind(self.case.x))
        kept = self.node("Unsqueeze", kept, self.constant(np.array([2])))
        return kept, self.node("Sub", self.constant(np.ones((), self.case.dtype)), kept)

    def zeros(self, k, node):
        """The initial states, zeros where there are none."""
        given = [(f"h0_{k}", node.h0)] + ([(f"c0_{k}", node.c0)] if node.op == "LSTM" else [])
        size = (len(node.ways), self.shape[1], node.units)
        return [
            name if value is not None else self.constant(np.zeros(size, self.case.dtype))
            for name, value in given
        ]

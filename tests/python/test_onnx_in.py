"""What from_onnx finds: constants by ONNX's scoping, states of any batch, bytes; and what it says else."""

import json
from itertools import product

import gru_rs
import numpy as np
import onnx
import pytest
from gru_rs.io._onnx_alone import node_alone
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from test_cli import gru_rs as call
from test_onnx import TOLERANCE, model_of, random_node, run

F, I64 = TensorProto.FLOAT, TensorProto.INT64
RNG = np.random.default_rng(5)
UNITS, INPUTS = 8, 3


def normal(*shape):
    return (RNG.normal(size=shape) / 2).astype(np.float32)


def weights(op="GRU", directions=1):
    rows = (3 if op == "GRU" else 4) * UNITS
    return {
        "W": normal(directions, rows, INPUTS),
        "R": normal(directions, rows, UNITS),
        "B": normal(directions, 2 * rows),
    }


WEIGHTS, X = weights(), normal(5, 2, INPUTS)
WIDE = np.array(True)


def value(name, kind=F, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def gru(name="gru", inputs=("X", "W", "R", "B"), outputs=("Y",), **options):
    options = {"hidden_size": UNITS, "linear_before_reset": 1} | options
    return helper.make_node("GRU", list(inputs), list(outputs), name, **options)


def graph_of(nodes, constants=None, inputs=None, outputs=None, name="g"):
    held = [numpy_helper.from_array(np.asarray(array), own) for own, array in (constants or {}).items()]
    inputs = [value("X", shape=[None, None, INPUTS])] if inputs is None else inputs
    return helper.make_graph(list(nodes), name, inputs, outputs or [value("Y")], held)


def model(nodes, constants=None, inputs=None, outputs=None, opset=17, ir=8, **options):
    graph = graph_of(nodes, constants, inputs, outputs)
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir, **options)


def same(one, theirs, *arguments, tolerance=TOLERANCE, **given):
    for ours, other in zip(one(*arguments, **given), theirs, strict=False):
        assert ours.shape == other.shape
        assert np.abs(ours - other).max() <= tolerance * max(1, np.abs(other).max())


# Scoping ----------------------------------------------------------------------------------------------------


def branches(inner=None, **held):
    """An If with a GRU in both branches; `inner` are nodes before it, `held` a branch's own initializers."""
    made = []
    for k in ("a", "b"):
        own = inner(k) if inner else []
        node = gru(f"gru_{k}", ["X", *(f"{r}_{k}" if own else r for r in "WRB")], [f"y_{k}"])
        made.append(graph_of([*own, node], held, [], [value(f"y_{k}")], k))
    return helper.make_node("If", ["wide"], ["Y"], then_branch=made[0], else_branch=made[1])


FED = [value("X", shape=[None, None, INPUTS]), value("wide", TensorProto.BOOL, [])]


def test_weights_of_the_graph_around_an_if():
    whole = model([branches()], WEIGHTS, FED)
    (expected,) = run(whole, {"X": X, "wide": WIDE})
    found = gru_rs.from_onnx(whole)
    assert sorted(found) == ["gru_a", "gru_b"]
    for one in found.values():
        same(one, [expected], X)


def test_weights_made_within_of_constants_around():
    """Slices of an outer tensor put together within, as PyTorch's exporter writes its cells."""

    def inner(k):
        nodes = [helper.make_node("Identity", [f"{role}_out"], [f"{role}_{k}"]) for role in "RB"]
        nodes.append(helper.make_node("Split", ["W_out", "sizes"], [f"u_{k}", f"v_{k}"], axis=1))
        return [*nodes, helper.make_node("Concat", [f"u_{k}", f"v_{k}"], [f"W_{k}"], axis=1)]

    constant = helper.make_node(
        "Constant", [], ["W_out"], value=numpy_helper.from_array(WEIGHTS["W"], "anything")
    )
    held = {"R_out": WEIGHTS["R"], "B_out": WEIGHTS["B"], "sizes": np.array([UNITS, 2 * UNITS])}
    whole = model([constant, branches(inner)], held, FED)
    (expected,) = run(whole, {"X": X, "wide": WIDE})
    for one in gru_rs.from_onnx(whole).values():
        same(one, [expected], X)


def test_a_graphs_own_weights_hide_those_around():
    other = weights()
    whole = model([branches(**other)], WEIGHTS, FED)
    for one in gru_rs.from_onnx(whole).values():
        assert np.array_equal(one.layer.flat, gru_rs.from_onnx(model([gru()], other))["gru"].layer.flat)


def loop(*, fed):
    """A Loop whose body takes W from outside, or as what it carries from turn to turn under the same name."""
    inputs = [value("i", I64, []), value("c", TensorProto.BOOL, []), value("W" if fed else "s")]
    nodes = [gru("gru", outputs=["y"]), helper.make_node("Identity", ["c"], ["c_out"])]
    nodes.append(helper.make_node("Identity", ["W" if fed else "s"], ["s_out"]))
    body = graph_of(nodes, {}, inputs, [value("c_out", TensorProto.BOOL), value("s_out"), value("y")], "body")
    node = helper.make_node("Loop", ["turns", "", "W" if fed else "B"], ["last", "Y"], body=body)
    return model([node], WEIGHTS | {"turns": np.array(2)})


def test_what_a_body_is_fed_is_no_constant():
    found = gru_rs.from_onnx(loop(fed=False))["gru"]
    (expected,) = run(loop(fed=False), {"X": X})
    same(found, [expected[0]], X)
    with pytest.raises(ValueError, match="expected a constant W, got 'W', an input of its graph"):
        gru_rs.from_onnx(loop(fed=True))


def test_a_scan_body_sees_outside():
    body = graph_of([gru(outputs=["y"])], {}, [value("X", shape=[None, None, INPUTS])], [value("y")], "body")
    node = helper.make_node("Scan", ["parts"], ["Y"], body=body, num_scan_inputs=1)
    whole = model([node], WEIGHTS, [value("parts", shape=[None, None, None, INPUTS])])
    (expected,) = run(whole, {"parts": X[None]})
    same(gru_rs.from_onnx(whole)["gru"], [expected[0]], X)


def test_a_local_function():
    body = [gru(inputs=["x", "w", "R", "B"], outputs=["y"])]
    once = helper.make_function(
        "my", "Cell", ["x", "w", "R", "B"], ["y"], body, [helper.make_opsetid("", 17)]
    )
    node = helper.make_node("Cell", ["X", "W", "R", "B"], ["Y"], domain="my")
    whole = model([node], WEIGHTS, functions=[once])
    whole.opset_import.append(helper.make_opsetid("my", 1))
    (one,) = gru_rs.from_onnx(whole).values()
    same(one, run(whole, {"X": X}), X)


@pytest.mark.parametrize("nested", [False, True])
def test_a_local_function_sees_nothing_outside(nested):
    """In its place it would find the graph's weights, which no engine gives it."""
    node = gru(inputs=["x", "w", "R", "B"], outputs=["y"])
    inputs = ["x", "w"]
    if nested:
        branch = graph_of([node], {}, [], [value("y")], "branch")
        node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
        inputs.append("c")
    once = helper.make_function("my", "Cell", inputs, ["y"], [node], [helper.make_opsetid("", 17)])
    call = helper.make_node("Cell", ["X", "W", "c"][: len(inputs)], ["Y"], domain="my")
    whole = model([call], WEIGHTS | {"c": np.array(True)}, functions=[once])
    whole.opset_import.append(helper.make_opsetid("my", 1))
    with pytest.raises(ValueError, match="got 'R', which Cell reads and does not have"):
        gru_rs.from_onnx(whole)


def test_an_initializer_that_is_an_input_is_its_default():
    for ir in (3, 8):
        inputs = [
            value("X", shape=[None, None, INPUTS]),
            *(value(k, shape=w.shape) for k, w in WEIGHTS.items()),
        ]
        whole = model([gru()], WEIGHTS, inputs, opset=8, ir=ir)
        same(gru_rs.from_onnx(whole)["gru"], run(whole, {"X": X}), X)


def test_a_sparse_initializer():
    sparse = np.where(RNG.random(WEIGHTS["R"].shape) < 0.3, WEIGHTS["R"], 0).astype(np.float32)
    places = np.flatnonzero(sparse)
    for indices in (places, np.stack(np.unravel_index(places, sparse.shape), 1)):
        whole = model([gru()], {name: array for name, array in WEIGHTS.items() if name != "R"})
        parts = [
            numpy_helper.from_array(np.asarray(a), n) for n, a in (("R", sparse.flat[places]), ("", indices))
        ]
        whole.graph.sparse_initializer.append(helper.make_sparse_tensor(*parts, sparse.shape))
        assert np.array_equal(
            gru_rs.from_onnx(whole)["gru"].layer.flat,
            gru_rs.from_onnx(model([gru()], WEIGHTS | {"R": sparse}))["gru"].layer.flat,
        )
    whole.graph.sparse_initializer[0].dims[0] = 2**40
    with pytest.raises(ValueError, match="expected at most"):
        gru_rs.from_onnx(whole)


def test_two_of_one_name_are_refused():
    whole = model([gru()], WEIGHTS)
    whole.graph.initializer.append(numpy_helper.from_array(WEIGHTS["W"] + 1, "W"))
    with pytest.raises(ValueError, match="W: expected one tensor of that name"):
        gru_rs.from_onnx(whole)


# States -----------------------------------------------------------------------------------------------------


def const(name, array):
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.asarray(array), name))


def sizes(*parts):
    """Nodes that put a shape together: of numbers, and of names of one size each."""
    names = [part if isinstance(part, str) else f"n{k}" for k, part in enumerate(parts)]
    held = [const(f"n{k}", np.array([part])) for k, part in enumerate(parts) if not isinstance(part, str)]
    return [*held, helper.make_node("Concat", names, ["shape"], axis=0)]


BATCH = [helper.make_node("Shape", ["X"], ["rows"], start=1, end=2)]
OLD_BATCH = [
    helper.make_node("Shape", ["X"], ["all"]),
    const("one", np.array(1)),
    helper.make_node("Gather", ["all", "one"], ["row"], axis=0),
    const("front", np.array([0])),
    helper.make_node("Unsqueeze", ["row", "front"], ["rows"]),
]
LEARNT = normal(1, 1, UNITS)
ZERO = numpy_helper.from_array(np.zeros(1, np.float32))
STATES = {
    "expand of zero, as torch 2.15 writes it": [
        *BATCH,
        *sizes(1, "rows", UNITS),
        const("zero", np.float32(0)),
        helper.make_node("Expand", ["zero", "shape"], ["h"]),
    ],
    "constant of shape": [
        *OLD_BATCH,
        *sizes(1, "rows", UNITS),
        helper.make_node("ConstantOfShape", ["shape"], ["h"], value=ZERO),
    ],
    "a slice of all layers' zeros": [
        *OLD_BATCH,
        *sizes(4, "rows", UNITS),
        helper.make_node("ConstantOfShape", ["shape"], ["all_h"], value=ZERO),
        const("from", np.array([2])),
        const("to", np.array([3])),
        helper.make_node("Slice", ["all_h", "from", "to", "front"], ["h"]),
    ],
    "a learnt row, with the Where that expand of PyTorch is": [
        *BATCH,
        *sizes(1, "rows", UNITS),
        const("minus", np.array(-1)),
        helper.make_node("Equal", ["shape", "minus"], ["is_free"]),
        const("ones", np.array([1, 1, 1])),
        helper.make_node("Where", ["is_free", "ones", "shape"], ["target"]),
        const("row", LEARNT),
        helper.make_node("Expand", ["row", "target"], ["h"]),
    ],
    "a learnt row, tiled": [
        *BATCH,
        *sizes(1, "rows", 1),
        const("row", LEARNT),
        helper.make_node("Tile", ["row", "shape"], ["h"]),
    ],
    "turned, cast, squeezed and back": [
        *BATCH,
        *sizes("rows", 1, UNITS),
        const("row", LEARNT.astype(np.float64)),
        helper.make_node("Expand", ["row", "shape"], ["turned"]),
        helper.make_node("Transpose", ["turned"], ["wide_h"], perm=[1, 0, 2]),
        helper.make_node("Cast", ["wide_h"], ["cast"], to=F),
        const("ax", np.array([0])),
        helper.make_node("Squeeze", ["cast", "ax"], ["flat"]),
        helper.make_node("Identity", ["flat"], ["again"]),
        helper.make_node("Unsqueeze", ["again", "ax"], ["h"]),
    ],
    "reshaped to one layer's": [
        *BATCH,
        *sizes("rows", UNITS),
        const("row", LEARNT[0]),
        helper.make_node("Expand", ["row", "shape"], ["flat"]),
        const("target", np.array([1, -1, UNITS])),
        helper.make_node("Reshape", ["flat", "target"], ["h"]),
    ],
    "of X's zeros by arithmetic of sizes": [
        *BATCH,
        const("two", np.array([2])),
        helper.make_node("Mul", ["rows", "two"], ["double"]),
        helper.make_node("Div", ["double", "two"], ["half"]),
        *sizes(1, "half", UNITS),
        helper.make_node("ConstantOfShape", ["shape"], ["h"], value=ZERO),
    ],
}


@pytest.mark.parametrize("name", STATES)
def test_states_that_are_the_same_in_each_row(name):
    node = gru(inputs=["X", "W", "R", "B", "", "h"], outputs=["Y", "Y_h"])
    whole = model([*STATES[name], node], WEIGHTS, outputs=[value("Y"), value("Y_h")])
    one = gru_rs.from_onnx(whole)["gru"]
    assert one.constants["initial_h"].shape == (1, 1, UNITS)
    for rows in (1, 2, 7):
        x = normal(4, rows, INPUTS)
        same(one, run(whole, {"X": x}), x)
    assert bool(one.beyond()) == ("learnt" in name or "reshaped" in name or "turned" in name)


NOT_FIXED = {
    "made of the numbers of X": [
        helper.make_node("ReduceMax", ["X"], ["most"], keepdims=0),
        *BATCH,
        *sizes(1, "rows", UNITS),
        helper.make_node("Expand", ["most", "shape"], ["h"]),
    ],
    "X times zero": [
        const("nought", np.float32(0)),
        helper.make_node("Mul", ["X", "nought"], ["zeros"]),
        helper.make_node("MatMul", ["zeros", "P"], ["all_h"]),
        const("at", np.array([0])),
        helper.make_node("Gather", ["all_h", "at"], ["h"]),
    ],
    "another row for each": [
        *BATCH,
        const("table", normal(1, 9, UNITS)),
        const("from", np.array([0])),
        const("ax", np.array([1])),
        helper.make_node("Slice", ["table", "from", "rows", "ax"], ["h"]),
    ],
    "a number that is a size": [
        *BATCH,
        helper.make_node("Cast", ["rows"], ["count"], to=F),
        *sizes(1, "rows", UNITS),
        helper.make_node("Expand", ["count", "shape"], ["h"]),
    ],
    "chosen by a size": [
        *BATCH,
        const("three", np.array([3])),
        helper.make_node("Greater", ["rows", "three"], ["many"]),
        const("row", LEARNT),
        const("zero", np.float32(0)),
        helper.make_node("Where", ["many", "row", "zero"], ["own"]),
        *sizes(1, "rows", UNITS),
        helper.make_node("Expand", ["own", "shape"], ["h"]),
    ],
    "rows by turns, in blocks that look alike for few rows": [
        *BATCH,
        const("turns", np.repeat(np.tile([[0.0], [1.0]], (6, 1)).astype(np.float32)[:, None], UNITS, 2)),
        *sizes(1, "rows", 1),
        helper.make_node("Expand", ["turns", "shape"], ["blocks"]),
        const("target", np.array([-1, 12, UNITS])),
        helper.make_node("Reshape", ["blocks", "target"], ["rows_of_turns"]),
        helper.make_node("Transpose", ["rows_of_turns"], ["turned"], perm=[1, 0, 2]),
        const("at", np.array([0])),
        helper.make_node("Gather", ["turned", "at"], ["h"]),
    ],
}


@pytest.mark.parametrize("name", NOT_FIXED)
def test_states_that_depend_on_more_must_be_given(name):
    node = gru(inputs=["X", "W", "R", "B", "", "h"])
    whole = model([*NOT_FIXED[name], node], WEIGHTS | {"P": normal(INPUTS, UNITS)})
    run(whole, {"X": X})
    one = gru_rs.from_onnx(whole)["gru"]
    assert not one.constants
    with pytest.raises(ValueError, match="initial_h: expected an array"):
        one(X)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_state_by_any_way_is_right_or_must_be_given(data):
    """Operators at random on zeros, a row, a table and X's sizes: what is taken is what onnxruntime takes."""
    nodes = [
        *BATCH,
        *sizes(1, "rows", UNITS),
        const("row", LEARNT),
        const("zero", np.float32(0)),
        const("ax", np.array([1])),
    ]
    nodes += [
        const("from", np.array([0])),
        const("table", normal(1, 5, UNITS)),
        const("perm_shape", np.array([0, -1, UNITS])),
    ]
    tensors = ["row", "zero", "table"]
    for k in range(data.draw(st.integers(1, 4))):
        op = data.draw(
            st.sampled_from(
                ["Expand", "Add", "Mul", "Slice", "Identity", "Where", "Reshape", "Neg", "Concat"]
            )
        )
        a, b = (data.draw(st.sampled_from(tensors[-4:])) for _ in range(2))
        given_ = {
            "Expand": [a, "shape"], "Add": [a, b], "Mul": [a, b], "Slice": [a, "from", "rows", "ax"],
            "Identity": [a], "Where": ["flag", a, b], "Reshape": [a, "perm_shape"], "Neg": [a],
            "Concat": [a, b],
        }[op]  # fmt: skip
        options = {"axis": data.draw(st.integers(0, 2))} if op == "Concat" else {}
        nodes.append(helper.make_node(op, given_, [f"t{k}"], **options))
        tensors.append(f"t{k}")
    node = gru(inputs=["X", "W", "R", "B", "", tensors[-1]])
    whole = model([*nodes, const("flag", np.array([True, False] * (UNITS // 2))), node], WEIGHTS)
    try:
        one = gru_rs.from_onnx(whole)["gru"]
    except ValueError:
        with pytest.raises(ValueError, match="initial_h: expected shape"):
            gru_rs.from_onnx(whole)
        with pytest.raises(Exception, match=r"initial_h|Invalid|INVALID|FAIL"):
            run(whole, {"X": X})
        return
    for rows in (1, 2, 5):
        x = normal(3, rows, INPUTS)
        try:
            expected = run(whole, {"X": x})
        except Exception:  # shapes that do not fit, of which it has several classes
            continue
        if one.constants:
            same(one, expected, x)


def test_lengths_of_each_row():
    nodes = [
        *BATCH,
        const("three", np.array([3], np.int32)),
        helper.make_node("Expand", ["three", "rows"], ["n"]),
    ]
    whole = model([*nodes, gru(inputs=["X", "W", "R", "B", "n"])], WEIGHTS)
    one = gru_rs.from_onnx(whole)["gru"]
    assert one.beyond() == ["constant sequence_lens"]
    same(one, run(whole, {"X": X}), X)


# Nodes ------------------------------------------------------------------------------------------------------


def quantized(direction="forward", *, dtype=np.int8, zero=0, per_channel=False, bias=True, **options):
    """A DynamicQuantizeLSTM, and its weights as floats in ONNX's order."""
    directions = 2 if direction == "bidirectional" else 1
    held, floats, rows = {}, {}, 4 * UNITS
    for role, inputs in (("W", INPUTS), ("R", UNITS)):
        low, high = (-127, 128) if dtype == np.int8 else (0, 256)
        low, high = max(low, zero - 127), min(high, zero + 128)
        numbers = RNG.integers(low, high, (directions, inputs, rows)).astype(dtype)
        scale = RNG.uniform(0.001, 0.01, (directions, rows) if per_channel else directions).astype(np.float32)
        held |= {role: numbers, f"{role}_scale": scale, f"{role}_zero": np.full(scale.shape, zero, dtype)}
        wide = scale.reshape(directions, -1, 1)
        floats[role] = (numbers.transpose(0, 2, 1).astype(np.float32) - zero) * wide
    if bias:
        held["B"] = floats["B"] = normal(directions, 2 * rows)
    names = ["X", "W", "R", "B" if bias else "", "", "", "", "", "W_scale", "W_zero", "R_scale", "R_zero"]
    node = helper.make_node(
        *("DynamicQuantizeLSTM", names, ["Y", "Y_h", "Y_c"], "lstm"),
        domain="com.microsoft",
        hidden_size=UNITS,
        direction=direction,
        **options,
    )
    return model([node], held, outputs=[value("Y"), value("Y_h"), value("Y_c")]), floats


@pytest.mark.parametrize(
    ("direction", "dtype", "zero", "per_channel"),
    [
        *product(["forward", "reverse", "bidirectional"], [np.int8], [0], [False, True]),
        ("forward", np.uint8, 128, False),
        ("bidirectional", np.uint8, 128, True),
    ],
)
def test_bytes_become_our_rows(direction, dtype, zero, per_channel):
    whole, floats = quantized(direction, dtype=dtype, zero=zero, per_channel=per_channel)
    one = gru_rs.from_onnx(whole)["lstm"]
    assert one.layer.weight_dtype == np.int8
    assert one.note == "its bytes, as they are"
    inputs = [name if name in floats else "" for name in ("X", "W", "R", "B")]
    plain = helper.make_node(
        "LSTM", ["X", *inputs[1:]], ["Y"], "lstm", hidden_size=UNITS, direction=direction
    )
    other = gru_rs.from_onnx(model([plain], floats))["lstm"].layer
    for name, array in one.layer.state_dict().items():
        assert np.array_equal(array, other.state_dict()[name])
    # Both engines quantize what comes in, each in its own way: to steps of 1/127 of the largest.
    same(one, run(whole, {"X": X}), X, tolerance=0.02)


@pytest.mark.parametrize(("dtype", "zero"), [(np.uint8, 3), (np.int8, 5)])
def test_bytes_that_are_not_about_zero_become_floats(dtype, zero):
    whole, floats = quantized(dtype=dtype, zero=zero)
    for tensor in whole.graph.initializer:
        if tensor.name == "W":  # farther from the zero point than our bytes go
            numbers = numpy_helper.to_array(tensor).copy()
            numbers[0, 0, 0] = np.iinfo(dtype).max if dtype == np.uint8 else -128
            tensor.CopyFrom(numpy_helper.from_array(numbers, "W"))
            scale = numpy_helper.to_array(next(t for t in whole.graph.initializer if t.name == "W_scale"))
            floats["W"][0, 0, 0] = (float(numbers[0, 0, 0]) - zero) * scale[0]
    one = gru_rs.from_onnx(whole)["lstm"]
    assert one.layer.weight_dtype == np.float32
    assert one.note.startswith("the floats that its bytes stand for")
    plain = helper.make_node("LSTM", ["X", "W", "R", "B"], ["Y", "Y_h", "Y_c"], "lstm", hidden_size=UNITS)
    same(one, run(model([plain], floats, outputs=[value(n) for n in ("Y", "Y_h", "Y_c")]), {"X": X}), X)


def test_quantized_nodes_with_more():
    for options in (
        {"bias": False},
        {"clip": 0.5},
        {"activations": ["HardSigmoid", "Tanh", "Tanh"]},
        {"input_forget": 1},
    ):
        whole, _ = quantized(**options)
        same(gru_rs.from_onnx(whole)["lstm"], run(whole, {"X": X}), X, tolerance=0.02)
    whole, _ = quantized()
    whole.graph.node[0].input[7] = "P"
    whole.graph.initializer.append(numpy_helper.from_array(normal(1, 3 * UNITS), "P"))
    with pytest.raises(ValueError, match="expected an LSTM without peepholes"):
        gru_rs.from_onnx(whole)
    whole.graph.initializer[-1].CopyFrom(numpy_helper.from_array(np.zeros((1, 3 * UNITS), np.float32), "P"))
    same(gru_rs.from_onnx(whole)["lstm"], run(whole, {"X": X}), X, tolerance=0.02)


def test_weights_by_dequantize_linear():
    for opset, per_axis in product((10, 13, 19, 21), (False, True)):
        if opset < 13 and per_axis:
            continue
        held, nodes = {"B": WEIGHTS["B"]}, []
        for role in "WR":
            most = np.abs(WEIGHTS[role]).max((0, 2) if per_axis else None) / 127
            scale = most.astype(np.float32)
            wide = scale[None, :, None] if per_axis else scale
            held |= {f"{role}q": np.round(WEIGHTS[role] / wide).astype(np.int8), f"{role}s": scale}
            held[f"{role}z"] = np.zeros(scale.shape, np.int8)
            options = {"axis": 1} if per_axis else {}
            nodes.append(
                helper.make_node("DequantizeLinear", [f"{role}{k}" for k in "qsz"], [role], **options)
            )
        whole = model([*nodes, gru()], held, opset=opset)
        same(gru_rs.from_onnx(whole)["gru"], run(whole, {"X": X}), X)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.BFLOAT16])
@pytest.mark.parametrize("cast", [True, False])
def test_weights_of_16_bits_are_exact(kind, cast):
    held = {name: helper.make_tensor(f"{name}_", kind, a.shape, a.ravel()) for name, a in WEIGHTS.items()}
    nodes = [
        helper.make_node("Cast" if cast else "Identity", [f"{n}_"], [n], **({"to": F} if cast else {}))
        for n in held
    ]
    whole = model([*nodes, gru()])
    whole.graph.initializer.extend(held.values())
    one = gru_rs.from_onnx(whole)["gru"]
    assert one.layer.dtype == np.float32
    exact = {name: numpy_helper.to_array(tensor).astype(np.float32) for name, tensor in held.items()}
    assert np.array_equal(one.layer.flat, gru_rs.from_onnx(model([gru()], exact))["gru"].layer.flat)
    if cast:
        same(one, run(whole, {"X": X}), X)


@pytest.mark.parametrize("options", [{}, {"clip": 0.3}, {"activations": ["HardSigmoid", "Tanh", "Tanh"]}])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_coupled_gates(options, direction):
    directions = 2 if direction == "bidirectional" else 1
    options = {name: word * directions if name == "activations" else word for name, word in options.items()}
    names = ["Y", "Y_h", "Y_c"]
    node = helper.make_node(
        *("LSTM", ["X", "W", "R", "B"], names, "lstm"),
        hidden_size=UNITS,
        input_forget=1,
        direction=direction,
        **options,
    )
    whole = model([node], weights("LSTM", directions), outputs=[value(name) for name in names])
    same(gru_rs.from_onnx(whole)["lstm"], run(whole, {"X": X}), X)
    refused = helper.make_node(
        *("LSTM", ["X", "W", "R"], names, "lstm"),
        hidden_size=UNITS,
        input_forget=1,
        activations=["Relu", "Tanh", "Tanh"],
    )
    with pytest.raises(ValueError, match="input_forget=1 with Sigmoid or HardSigmoid"):
        gru_rs.from_onnx(model([refused], weights("LSTM")))


def test_every_version_of_the_operators():
    expected = gru_rs.from_onnx(model([gru()], WEIGHTS))["gru"](X)
    for opset in (1, 3, 7, 11, 14, 22):
        options = {"output_sequence": 1} if opset < 7 else {}
        node = gru(**options, **({"layout": 0} if opset >= 14 else {}))
        whole = model([node], WEIGHTS, opset=opset)
        for ours, other in zip(gru_rs.from_onnx(whole)["gru"](X), expected, strict=True):
            assert np.array_equal(ours, other)


# What is said -----------------------------------------------------------------------------------------------


def test_one_bad_node_does_not_hide_the_good_one():
    inputs = [value("X", shape=[None, None, INPUTS]), value("V", shape=WEIGHTS["W"].shape)]
    whole = model([gru("good"), gru("bad", ["X", "V", "R"], ["Z"])], WEIGHTS, inputs)
    with pytest.raises(ValueError, match=r"one of 'good', got None; refused: 'bad' .expected a constant W"):
        gru_rs.from_onnx(whole)
    assert list(gru_rs.from_onnx(whole, "good")) == ["good"]
    with pytest.raises(ValueError, match=r"^bad: expected a constant W, got 'V', an input of its graph"):
        gru_rs.from_onnx(whole, name="bad")
    with pytest.raises(ValueError, match="name: expected one of 'bad', 'good', got 'other'"):
        gru_rs.from_onnx(whole, name="other")


def test_names_are_of_one_node_each():
    whole = model(
        [gru("a"), gru("a", outputs=["Z"]), gru("", outputs=["V"]), gru("a#2", outputs=["U"])], WEIGHTS
    )
    assert list(gru_rs.from_onnx(whole)) == ["a", "a#2", "V", "a#2#2"]


INSTEAD = {
    "RNN nodes are plain ones": [helper.make_node("RNN", ["X", "W", "R"], ["Y"], hidden_size=2)],
    "AttnLSTM are of another": [helper.make_node("AttnLSTM", ["X"], ["Y"], domain="com.microsoft")],
    "unrolled into plain operators": [
        *(helper.make_node("Gemm", ["X", "W"], [f"a{k}"]) for k in range(2)),
        *(helper.make_node("Sigmoid", ["a0"], [f"b{k}"]) for k in range(3)),
        helper.make_node("Tanh", ["a0"], ["Y"]),
    ],
    "got no nodes at all$": [],
    "got 2 Relu, 1 my.Other": [
        helper.make_node("Relu", ["X"], ["a"]),
        helper.make_node("Relu", ["X"], ["b"]),
        helper.make_node("Other", ["X"], ["Y"], domain="my"),
    ],
}


@pytest.mark.parametrize("words", INSTEAD)
def test_a_model_without_layers_says_what_it_has(words):
    with pytest.raises(ValueError, match=f"source: expected a model with GRU.*{words}"):
        gru_rs.from_onnx(model(INSTEAD[words]))


@pytest.mark.parametrize(
    ("node", "words"),
    [
        (
            gru(inputs=["X", "W", "R", "B", "", "h"]),
            r"initial_h: expected shape \[1, 'B', 8\], got \[1, 1, 7\]",
        ),
        (gru(inputs=["X", "W", "R", "B", "", "", "", "h"]), "expected at most 6 inputs, got 8"),
        (gru(inputs=["X", "W", "missing"]), "got 'missing', which is not in the model"),
        (gru(hidden_size=7), "expected hidden_size 8 as of R, got 7"),
        (gru(clip=1), "expected an attribute clip as in the operator's text, got 1"),
        (gru(activation_alpha=[1, 2]), "expected an attribute activation_alpha"),
        (gru(inputs=["X", "W", "R", "i"]), "expected B in float16, .* got int64"),
        (
            gru(inputs=["X", "W", "R64"]),
            "expected weights in one dtype, of bytes float32, got float32, float64",
        ),
    ],
)
def test_what_is_wrong_with_a_node_is_told(node, words):
    held = WEIGHTS | {"h": np.zeros((1, 1, 7), np.float32), "i": np.zeros((1, 48), np.int64)}
    with pytest.raises(ValueError, match=words):
        gru_rs.from_onnx(model([node], held | {"R64": WEIGHTS["R"].astype(float)}), "gru")


# The command line -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(24))
def test_check_sets_any_node_beside_onnxruntime(seed, tmp_path):
    """With the lengths and states that its graph gives it, and those that are fixed; of any layout."""
    rng = np.random.default_rng(seed)
    node, feeds, constants = random_node(rng, "GRU" if seed % 2 else "LSTM")
    fixed = {name for name in feeds if name != "X" and rng.random() < 0.5}
    constants |= {name: feeds.pop(name) for name in fixed}
    if seed % 4 == 2:
        node.attribute.append(helper.make_attribute("layout", 1))
        for name in fixed & {"initial_h", "initial_c"}:
            constants[name] = constants[name].swapaxes(0, 1)
    whole = model_of(node, feeds, constants)
    onnx.save(whole, tmp_path / "model.onnx")
    alone = node_alone(tmp_path / "model.onnx", "node")
    assert set(alone.feeds) == {"X"} | (feeds.keys() & set(node.input))
    for ours, theirs in zip(alone.ours, run(alone.model, alone.feeds), strict=True):
        assert np.abs(ours - theirs).max() <= 4 * TOLERANCE * max(1, np.abs(theirs).max())


def test_check_of_quantized_nodes_and_what_is_not_converted(tmp_path):
    onnx.save(quantized()[0], tmp_path / "int8.onnx")
    (row,) = json.loads(call("inspect", tmp_path / "int8.onnx", "--check", "--json"))
    assert row["largest difference"] <= TOLERANCE
    assert row["note"] == "its bytes, as they are"
    for extra, held, words in (
        (["", "h"], {"h": LEARNT}, "a constant initial_h that is not zeros"),
        (["n"], {"n": np.array([2], np.int32)}, "constant sequence_lens"),
    ):
        onnx.save(model([gru(inputs=["X", "W", "R", "B", *extra])], WEIGHTS | held), tmp_path / "fixed.onnx")
        assert words in " ".join(
            call("convert", tmp_path / "fixed.onnx", tmp_path / "x.onnx", code=1).split()
        )
        assert "largest difference" in call("inspect", tmp_path / "fixed.onnx", "--check")
    onnx.save(
        model([gru(inputs=["X", "W", "R", "B", "", "h"])], WEIGHTS | {"h": 0 * LEARNT}),
        tmp_path / "zeros.onnx",
    )
    call("convert", tmp_path / "zeros.onnx", tmp_path / "x.onnx")


# Cells of plain operators -----------------------------------------------------------------------------------


def cell_nodes(kind, rng, order, step=""):
    """One use of a cell, its operands in any order, its gates in that order; names end with the step."""

    def node(op, inputs, output, **options):
        inputs = list(inputs)
        if op in ("Add", "Mul") and rng.random() < 0.5:
            inputs.reverse()
        return helper.make_node(op, inputs, [output + step], **options)

    x, h, c = f"x{step}", f"h{step}", f"c{step}"
    products = [
        helper.make_node("Gemm", [x, "cell.weight_ih", "cell.bias_ih"], [f"px{step}"], transB=1),
        helper.make_node("Gemm", [h, "cell.weight_hh", "cell.bias_hh"], [f"ph{step}"], transB=1),
    ]

    def split(source, begin):
        return helper.make_node(
            "Split", [source, "sizes"], [f"{begin}{gate}{step}" for gate in order], axis=1
        )

    s = step
    if kind == "gru":
        return [
            *products,
            *(split(f"p{one}{s}", one) for one in "xh"),
            *(node("Add", [f"x{gate}{s}", f"h{gate}{s}"], f"sum_{gate}") for gate in "rz"),
            *(node("Sigmoid", [f"sum_{gate}{s}"], gate) for gate in "rz"),
            node("Mul", [f"r{s}", f"hn{s}"], "reset"),
            node("Add", [f"xn{s}", f"reset{s}"], "sum_n"),
            node("Tanh", [f"sum_n{s}"], "n"),
            helper.make_node("Sub", [h, f"n{s}"], [f"less{s}"]),
            node("Mul", [f"less{s}", f"z{s}"], "kept"),
            node("Add", [f"kept{s}", f"n{s}"], "h_n"),
        ]
    return [
        *products,
        node("Add", [f"px{s}", f"ph{s}"], "total"),
        split(f"total{s}", "pre_"),
        *(node("Sigmoid", [f"pre_{gate}{s}"], gate) for gate in "ifo"),
        node("Tanh", [f"pre_g{s}"], "g"),
        node("Mul", [f"f{s}", c], "kept"),
        node("Mul", [f"i{s}", f"g{s}"], "added"),
        node("Add", [f"kept{s}", f"added{s}"], "c_n"),
        node("Tanh", [f"c_n{s}"], "out"),
        node("Mul", [f"o{s}", f"out{s}"], "h_n"),
    ]


def cell_model(kind, rng, order, inputs=INPUTS, opset=17):
    gates, letters = len(order), "hc"[: 2 if kind == "lstm" else 1]
    held = {"cell.weight_ih": normal(gates * UNITS, inputs), "cell.weight_hh": normal(gates * UNITS, UNITS)}
    held |= {f"cell.bias_{side}": normal(gates * UNITS) for side in ("ih", "hh")}
    held["sizes"] = np.full(gates, UNITS)
    fed = [value("x", shape=[None, inputs]), *(value(letter, shape=[None, UNITS]) for letter in letters)]
    made = [value(f"{letter}_n") for letter in letters]
    return model(cell_nodes(kind, rng, order), held, fed, made, opset)


@pytest.mark.parametrize("seed", range(40))
def test_a_cell_of_plain_operators(seed):
    rng = np.random.default_rng(seed)
    kind = "gru" if seed % 2 else "lstm"
    order = rng.permutation(list("rzn" if kind == "gru" else "ifgo"))
    whole = cell_model(kind, rng, order, INPUTS if seed % 3 else UNITS)
    ((name, one),) = gru_rs.from_onnx(whole).items()
    assert name == "cell"
    assert one.outputs["Y_h"] == "h_n"
    alone = node_alone(whole, name)
    for ours, theirs in zip(alone.ours, run(alone.model, alone.feeds), strict=True):
        assert np.abs(ours - theirs).max() <= TOLERANCE
    feeds = {"x": normal(2, one.layer.input_size)} | {k: normal(2, UNITS) for k in ("h", "c")[: 2 - seed % 2]}
    states = {f"initial_{letter}": feeds[letter][None] for letter in feeds if letter != "x"}
    for ours, theirs in zip(one(feeds["x"][None], **states)[1:], run(whole, feeds), strict=True):
        assert np.abs(ours[0] - theirs).max() <= TOLERANCE


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_what_is_nearly_a_cell_is_none(kind):
    rng = np.random.default_rng(0)
    order = "rzn" if kind == "gru" else "ifgo"

    def changed(change):
        whole = cell_model(kind, rng, order)
        for node in whole.graph.node:
            change(node)
        with pytest.raises(ValueError, match="expected a model with GRU"):
            gru_rs.from_onnx(whole)

    def other(op, word):
        def change(node):
            if node.op_type == op:
                node.op_type = word

        return change

    def scaled(node):
        if node.op_type == "Gemm":
            node.attribute.add(name="alpha", type=onnx.AttributeProto.FLOAT, f=2.0)

    def along_rows(node):
        if node.op_type == "Split":
            node.attribute[0].i = 0

    words = {"Tanh": "Relu", "Sigmoid": "HardSigmoid", "Gemm": "MatMul"}
    for change in (*(other(*pair) for pair in words.items()), scaled, along_rows):
        changed(change)
    if kind == "gru":  # n − h in place of h − n

        def turned(node):
            if node.op_type == "Sub":
                node.input[:] = list(node.input)[::-1]

        changed(turned)


def test_unrolled_steps_are_one_cell():
    rng = np.random.default_rng(0)
    whole = cell_model("gru", rng, "rzn")
    held = {t.name: numpy_helper.to_array(t) for t in whole.graph.initializer}
    nodes = [helper.make_node("Identity", ["h_nA"], ["hB"])]
    nodes = [*cell_nodes("gru", rng, "rzn", "A"), *nodes, *cell_nodes("gru", rng, "rzn", "B")]
    fed = [value(name, shape=[None, INPUTS]) for name in ("xA", "xB")] + [value("hA", shape=[None, UNITS])]
    two = model(nodes, held, fed, [value("h_nB")])
    (one,) = gru_rs.from_onnx(two).values()
    assert "2 places" in one.note
    x, h = normal(2, 4, INPUTS), normal(1, 4, UNITS)
    (expected,) = run(two, {"xA": x[0], "xB": x[1], "hA": h[0]})
    assert np.abs(one(x, initial_h=h)[1][0] - expected).max() <= TOLERANCE

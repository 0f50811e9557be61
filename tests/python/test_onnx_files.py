"""ONNX files that are damaged, or say more than they have: an error, and no memory for what is only promised.

As in `test_mutants.py` the same few hundred changes every time; `GRU_RS_LONG=1` makes many more,
`GRU_RS_SEED` repeats one.
"""

import os
import random
import time
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path

import gru_rs
import numpy as np
import onnx
import pytest
from conftest import largest
from onnx import TensorProto, helper
from test_mutants import DAMAGES, LONG, SEED
from test_onnx_in import (
    FED,
    INPUTS,
    STATES,
    UNITS,
    WEIGHTS,
    X,
    branches,
    cell_model,
    gru,
    model,
    normal,
    quantized,
    value,
)

COUNT = 3000 if LONG else 150
SLOWEST = 5.0  # seconds that one file may take on a busy machine
LARGEST = 128 * 2**20  # bytes by which the process may grow over all
COUNTS = Counter()

pytestmark = pytest.mark.usefixtures("memory_before")


# Data beside a model ----------------------------------------------------------------------------------------


def beside(path, location="w.bin", **said):
    """A model whose W lies in a file beside it."""
    whole = model([gru()], WEIGHTS)
    (tensor,) = (one for one in whole.graph.initializer if one.name == "W")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, word in ({"location": location} | said).items():
        tensor.external_data.add(key=key, value=str(word))
    path.write_bytes(whole.SerializeToString())


@pytest.fixture
def folder(tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    data = b"12345678" + WEIGHTS["W"].tobytes()
    for path in (inner / "w.bin", tmp_path / "outside.bin"):
        path.write_bytes(data)
    return inner


def test_weights_beside_the_model(folder):
    path = folder / "model.onnx"
    size = WEIGHTS["W"].nbytes
    for said in ({"offset": 8, "length": size}, {"offset": 8}, {"offset": 8, "checksum": "any"}):
        beside(path, **said)
        assert np.array_equal(
            gru_rs.from_onnx(path)["gru"](X)[0], gru_rs.from_onnx(model([gru()], WEIGHTS))["gru"](X)[0]
        )
    with pytest.raises(ValueError, match=r"source: expected at most 100 bytes .max_bytes., got"):
        gru_rs.from_onnx(model([gru()], WEIGHTS).SerializeToString(), max_bytes=100)
    beside(path, offset=8)
    with pytest.raises(ValueError, match="max_bytes"):
        gru_rs.from_onnx(path, max_bytes=path.stat().st_size + 10)
    for source in (path.read_bytes(), onnx.load(path, load_external_data=False)):
        with pytest.raises(ValueError, match="expected a model that is whole, or its path, got weights in"):
            gru_rs.from_onnx(source)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"offset": 9}, "bytes from 9 on"),
        ({"offset": 10**18}, "which has 296"),
        ({"offset": -8}, "expected a whole number as offset, got '-8'"),
        ({"offset": "1e1"}, "expected a whole number as offset"),
        ({"offset": 8, "length": 10**15}, "got a length of 1000000000000000"),
        ({"offset": 8, "length": 4}, "got a length of 4"),
    ],
)
def test_more_than_there_is_beside_the_model(folder, said, words):
    beside(folder / "model.onnx", **said)
    with pytest.raises(ValueError, match=words):
        gru_rs.from_onnx(folder / "model.onnx")


def test_data_outside_the_models_folder(folder):
    path = folder / "model.onnx"
    (folder / "link.bin").symlink_to(folder.parent / "outside.bin")
    (folder / "up").symlink_to(folder.parent)
    outside = [str(folder.parent / "outside.bin"), "../outside.bin", "link.bin", "up/outside.bin", "", "."]
    for location in (*outside, "inner/../../outside.bin", "..\\outside.bin", "C:w.bin"):
        beside(path, location, offset=8)
        with pytest.raises(ValueError, match="expected data in a file of the model's own folder"):
            gru_rs.from_onnx(path)
    beside(path, "none.bin", offset=8)
    with pytest.raises(FileNotFoundError):
        gru_rs.from_onnx(path)
    (folder / "sub").mkdir()
    beside(path, "sub", offset=8)
    with pytest.raises(IsADirectoryError):
        gru_rs.from_onnx(path)


def test_links_to_a_model_and_its_data_in_one_place(folder, tmp_path):
    """As in caches of downloads."""
    beside(folder / "blob", offset=8)
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / "model.onnx").symlink_to(folder / "blob")
    (snapshot / "w.bin").symlink_to(folder / "w.bin")
    assert list(gru_rs.from_onnx(snapshot / "model.onnx")) == ["gru"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_data_that_never_ends(folder):
    os.mkfifo(folder / "pipe")
    beside(folder / "model.onnx", "pipe", offset=8)
    with pytest.raises(OSError, match="expected a regular file"):
        gru_rs.from_onnx(folder / "model.onnx")


# More than there is -----------------------------------------------------------------------------------------


def made(*nodes, **constants):
    return model([*nodes, gru()], {"R": WEIGHTS["R"], "B": WEIGHTS["B"]} | constants)


LARGE = {
    "a shape": made(helper.make_node("ConstantOfShape", ["s"], ["W"]), s=np.array([2**20, 2**20])),
    "a row": made(helper.make_node("Expand", ["r", "s"], ["W"]), r=np.float32(0), s=np.array([2**40])),
    "tiles": made(
        helper.make_node("Tile", ["r", "s"], ["W"]), r=np.zeros(9, np.float32), s=np.array([2**40])
    ),
    "a place": made(
        helper.make_node("Expand", ["zero", "s"], ["i"]),
        helper.make_node("Gather", ["r", "i"], ["W"]),
        zero=np.array(0),
        s=np.array([2**18]),
        r=np.zeros((1, 2**10), np.float32),
    ),
    "two sums": made(
        helper.make_node("Add", ["r", "c"], ["W"]),
        r=np.zeros((2**17, 1), np.float32),
        c=np.zeros(2**17, np.float32),
    ),
    "a product": made(
        helper.make_node("MatMul", ["r", "c"], ["W"]),
        r=np.zeros((2**17, 1), np.float32),
        c=np.zeros((1, 2**17), np.float32),
    ),
    "twice, and twice": made(
        *(helper.make_node("Concat", [f"w{k}", f"w{k}"], [f"w{k + 1}"], axis=0) for k in range(40)),
        helper.make_node("Identity", ["w40"], ["W"]),
        w0=WEIGHTS["W"],
    ),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_constants_would_become_is_bounded(name):
    start = time.monotonic()
    with pytest.raises(ValueError, match="expected at most"):
        gru_rs.from_onnx(LARGE[name].SerializeToString())
    assert time.monotonic() - start < SLOWEST


def nodes_of_one_weight(count):
    held = {"W": normal(1, 768, 300), "R": normal(1, 768, 256), "B": normal(1, 1536)}
    fed = [value("X", shape=[None, None, 300])]
    nodes = [gru(f"gru_{k}", outputs=[f"Y_{k}"], hidden_size=256) for k in range(count)]
    return model(nodes, held, fed, [value("Y_0")])


def states_of_one_row(count):
    """Each of one small initializer in 16 bits, which only a layer makes 32 of."""
    nodes = [gru(f"gru_{k}", ["X", "W", "R", "B", "", "h"], [f"Y_{k}"]) for k in range(count)]
    held = WEIGHTS | {"h": np.ones((1, 50_000, UNITS), np.float16)}
    return model(nodes, held, outputs=[value("Y_0")])


def cells_of_one_weight(count):
    """Each with a bias of its own, as cells with one are one."""
    whole = cell_model("lstm", random.Random(0), "ifgo", inputs=30_000)
    held = {one.name for one in whole.graph.initializer}
    nodes = list(whole.graph.node)
    given = held | {one.name for one in whole.graph.input}
    del whole.graph.node[:]
    for k in range(count):
        bias = whole.graph.initializer.add()
        bias.CopyFrom(next(one for one in whole.graph.initializer if one.name == "cell.bias_ih"))
        bias.name = f"cell{k}.bias_ih"
        names = {"cell.bias_ih": bias.name}
        for node in nodes:
            one = whole.graph.node.add()
            one.CopyFrom(node)
            one.name = f"{node.name}_{k}"
            one.input[:] = [names.get(own, own if own in given else f"{own}_{k}") for own in node.input]
            one.output[:] = [f"{own}_{k}" for own in node.output]
    for one in whole.graph.output:
        one.name += "_0"
    return whole


@pytest.mark.parametrize("many", [nodes_of_one_weight, states_of_one_row, cells_of_one_weight])
def test_layers_of_one_weight_are_bounded_together(many):
    """The bound is of all that is made of a file, however small it is itself."""
    few, whole = many(2).SerializeToString(), many(60).SerializeToString()
    most = 2 * len(few) + 2**21
    assert len(gru_rs.from_onnx(few, max_bytes=most)) == 2
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"expected at most {most} bytes .max_bytes., got"):
            gru_rs.from_onnx(whole, max_bytes=most)
        assert tracemalloc.get_traced_memory()[1] < 5 * most
    finally:
        tracemalloc.stop()
    assert len(gru_rs.from_onnx(whole, name=next(iter(gru_rs.from_onnx(few))), max_bytes=most)) == 1


@pytest.mark.parametrize("dims", [[1, 24, 2**40], [2**31, 2**31, 2**31], [1, 24, -3], [0, 24, 3], [1, 24, 4]])
def test_a_tensor_with_fewer_numbers_than_it_declares(dims):
    whole = model([gru()], WEIGHTS)
    whole.graph.initializer[0].dims[:] = dims
    with pytest.raises(ValueError, match="W: expected"):
        gru_rs.from_onnx(whole.SerializeToString())


def test_circles_and_depth():
    one, two = (helper.make_node("Identity", [a], [b]) for a, b in (("W", "v"), ("v", "W")))
    with pytest.raises(ValueError, match="expected a graph without circles"):
        gru_rs.from_onnx(made(one, two))
    chain = [helper.make_node("Identity", [f"w{k}"], [f"w{k + 1}"]) for k in range(5000)]
    chain.append(helper.make_node("Identity", ["w5000"], ["W"]))
    assert list(gru_rs.from_onnx(made(*reversed(chain), w0=WEIGHTS["W"]))) == ["gru"]
    deep = model([gru("outer")], WEIGHTS, FED)
    graph = deep.graph
    for _ in range(60):
        node = graph.node.add(op_type="If", input=["wide"], output=["Y"])
        attribute = node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH)
        graph = attribute.g
        graph.name = "inner"
    graph.node.append(gru())
    for source in (deep, deep.SerializeToString()):
        with pytest.raises(ValueError, match=r"graphs within graphs|does not parse"):
            gru_rs.from_onnx(source)


def function(name, *nodes):
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]
    return helper.make_function("my", name, ["X"], ["Y"], list(nodes), imports)


def test_local_functions_that_have_no_end():
    call = [helper.make_node("F0", ["X"], ["Y"], domain="my")]

    def whole(*functions):
        made = model([*call, gru(outputs=["Z"])], WEIGHTS, functions=list(functions))
        made.opset_import.append(helper.make_opsetid("my", 1))
        return made

    for functions in (
        [function("F0", *call)],
        [function(f"F{k}", helper.make_node(f"F{1 - k}", ["X"], ["Y"], domain="my")) for k in (0, 1)],
    ):
        with pytest.raises(ValueError, match="whose local functions can be put in their places"):
            gru_rs.from_onnx(whole(*functions))
    many = [
        function(
            f"F{k}",
            helper.make_node(f"F{k + 1}", ["X"], ["a"], domain="my"),
            helper.make_node(f"F{k + 1}", ["a"], ["Y"], domain="my"),
        )
        for k in range(40)
    ]
    with pytest.raises(ValueError, match=r"expected at most .* in their places, got"):
        gru_rs.from_onnx(
            whole(*many, function("F40", helper.make_node("Relu", ["X"], ["Y"]))).SerializeToString()
        )


# Changes ----------------------------------------------------------------------------------------------------

SOURCES = {
    "one GRU": model([gru()], WEIGHTS),
    "in an If": model([branches()], WEIGHTS, FED),
    "a cell": cell_model("lstm", random.Random(0), "ifgo"),
    "bytes": quantized("bidirectional", per_channel=True)[0],
    "a state of any batch": model(
        [
            *STATES["a learnt row, with the Where that expand of PyTorch is"],
            gru(inputs=["X", "W", "R", "B", "", "h"]),
        ],
        WEIGHTS,
    ),
    "a layer of ours": gru_rs.to_onnx(
        gru_rs.LSTM(INPUTS, UNITS, 2, bidirectional=True), lengths=True, states=True
    ),
}


def messages(draw, message, found):
    """Every field of a message and of those within it."""
    for field, inside in message.ListFields():
        found.append((message, field))
        if field.message_type is not None:
            several = not isinstance(inside, type(message)) and hasattr(inside, "__len__")
            for one in inside if several else [inside]:
                messages(draw, one, found)
    return found


def edited(draw, whole):
    """A field that is another value, is not there, or is there twice."""
    other = onnx.ModelProto()
    other.CopyFrom(whole)
    message, field = draw.choice(messages(draw, other, []))
    inside = getattr(message, field.name)
    many = hasattr(inside, "append") or hasattr(inside, "add")
    change = draw.randrange(4)
    if change == 0:
        message.ClearField(field.name)
    elif many and change == 1 and len(inside):
        inside.append(inside[draw.randrange(len(inside))])
    elif many and change == 2 and len(inside):
        del inside[draw.randrange(len(inside))]
    elif field.message_type is None:
        numbers = [0, 1, -1, 2, 3, 7, 16, 127, 2**31 - 1, -(2**31)]
        numbers += [2**63 - 1, -(2**63), 2**40] if "64" in str(field.cpp_type) or field.cpp_type == 2 else []
        words = {
            "str": ["", "X", "W", "h", "my", "GRU", "Expand", "bidirectional"],
            "bytes": [b"", b"Relu", b"\xff" * 9],
        }
        old = inside[0] if many else inside
        kind = type(old).__name__
        new = draw.choice(words.get(kind, [float(n) for n in numbers] if kind == "float" else numbers))
        try:
            if many:
                inside[draw.randrange(len(inside))] = new
            else:
                setattr(message, field.name, new)
        except (ValueError, TypeError):  # no value of that field
            return None
    return other.SerializeToString()


def taken(path):
    """What is in a file; None for a ValueError or an OSError, anything else is a failure."""
    start = time.monotonic()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = gru_rs.from_onnx(path)
            for one in found.values():
                given = {
                    role: np.zeros((1 + one.layer.bidirectional, 2, one.layer.hidden_size), one.layer.dtype)
                    for role in one.inputs
                    if role.startswith("initial") and one.layout == 0
                }
                if "sequence_lens" in one.inputs:
                    given["sequence_lens"] = [1, 1]
                one(np.ones((2, 2, one.layer.input_size), one.layer.dtype), **given)
        return found
    except (ValueError, OSError) as error:
        COUNTS[type(error).__name__] += 1
        return None
    finally:
        assert time.monotonic() - start < SLOWEST


@pytest.mark.timeout(600 + 6000 * LONG)
@pytest.mark.parametrize("name", SOURCES)
def test_mutants(tmp_path, name):
    path = tmp_path / "model.onnx"
    file = SOURCES[name].SerializeToString()
    path.write_bytes(file)
    assert taken(path)
    for number in range(COUNT):
        draw = random.Random(f"{SEED} {name} {number}")
        other = edited(draw, SOURCES[name]) if number % 2 else draw.choice(DAMAGES)(draw, file)
        if other is None:
            continue
        path.write_bytes(other)
        try:
            COUNTS["taken"] += taken(path) is not None
        except BaseException as error:
            Path(tmp_path / "failed.onnx").write_bytes(other)
            error.args = (f"{name}, change {number} of GRU_RS_SEED={SEED}: {error}", *error.args[1:])
            raise


def test_memory_did_not_grow(memory_before):
    """Behind all the others."""
    print(f"seed {SEED}: {dict(COUNTS)}, {(largest() - memory_before) / 2**20:.0f} MiB more")
    assert largest() - memory_before < LARGEST
    if len(COUNTS) > 1:
        assert COUNTS["ValueError"] > 100

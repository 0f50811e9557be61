"""ONNX: random nodes and layers against onnxruntime, ONNX's own cases, and what must be refused."""

import warnings

import gru_rs
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

# Two engines in float32, whose sums run in other orders, over up to a dozen steps of values around 1.
TOLERANCE = 2e-6
FUNCTIONS = {"Sigmoid": {}, "Tanh": {}, "Relu": {}, "HardSigmoid": {"alpha": 0.2, "beta": 0.5}}


def run(model, feeds):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, feeds)


def model_of(node, feeds, constants, opset=17, producer="test"):
    """A model of one node; feeds come from outside, constants are initializers."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in feeds.items()
    ]
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in node.output if name]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph([node], "one", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name=producer)
    model.ir_version = 8
    return model


def random_node(rng, op):
    """A node with random options, its weights, and what to feed it."""
    gates = 3 if op == "GRU" else 4
    steps, batch, inputs, units = rng.integers(1, [13, 6, 20, 40])
    direction = rng.choice(["forward", "reverse", "bidirectional"])
    directions = 2 if direction == "bidirectional" else 1
    bound = 1 / np.sqrt(units)

    def uniform(*shape):
        return rng.uniform(-bound, bound, shape).astype(np.float32) * 2

    def normal(*shape):
        return rng.normal(size=shape).astype(np.float32)

    constants = {
        "W": uniform(directions, gates * units, inputs),
        "R": uniform(directions, gates * units, units),
    }
    given = ["X", "W", "R", "", "", ""]
    feeds = {"X": normal(steps, batch, inputs)}
    if rng.random() < 0.8:
        constants["B"], given[3] = uniform(directions, 2 * gates * units), "B"
    if rng.random() < 0.5:
        feeds["sequence_lens"], given[4] = rng.integers(1, steps + 1, batch).astype(np.int32), "sequence_lens"
    if rng.random() < 0.5:
        feeds["initial_h"], given[5] = normal(directions, batch, units), "initial_h"
        if op == "LSTM":
            feeds["initial_c"] = normal(directions, batch, units)
            given.append("initial_c")
    attributes = {"hidden_size": int(units), "direction": str(direction)}
    if op == "GRU" and rng.random() < 0.6:
        attributes["linear_before_reset"] = int(rng.integers(2))
    if rng.random() < 0.3:
        attributes["clip"] = float(rng.uniform(0.2, 3))
    if rng.random() < 0.4:
        gate, candidate = (str(name) for name in rng.choice(list(FUNCTIONS), 2))
        if gate in ("Relu", "Tanh"):  # no real gates: with large weights the state grows without bound
            constants = {name: value / 4 for name, value in constants.items()}
        attributes["activations"] = [gate, *[candidate] * (gates - 2)] * directions
        hard = attributes["activations"].count("HardSigmoid")
        if hard and rng.random() < 0.7:
            attributes["activation_alpha"] = [float(rng.choice([0.2, 1 / 6]))] * hard
            attributes["activation_beta"] = [0.5] * hard
    outputs = ["Y", "Y_h", "Y_c"][: gates - 1]
    return helper.make_node(op, given, outputs, name="node", **attributes), feeds, constants


@pytest.mark.parametrize("seed", range(300))
def test_random_nodes_equal_onnxruntime(seed):
    rng = np.random.default_rng(seed)
    node, feeds, constants = random_node(rng, "GRU" if seed % 3 else "LSTM")
    model = model_of(node, feeds, constants)
    expected = run(model, feeds)
    layer = gru_rs.from_onnx(model)["node"]
    got = layer(feeds.pop("X"), **feeds)
    assert len(got) == len(expected)
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max(initial=0) <= TOLERANCE * max(1, np.abs(theirs).max(initial=0))


PREFIXES = ("test_gru_", "test_lstm_")


def cases():
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other operators' cases overflow as they are made
        found = [
            case for case in collect_testcases(None) if case.name.startswith(("test_gru_", "test_lstm_"))
        ]
    assert len(found) >= 10
    return found


def run_case(case):
    """A case's weights arrive as inputs: made constants here."""
    from onnx import ModelProto

    inputs, expected = case.data_sets[0]
    feeds = dict(zip([value.name for value in case.model.graph.input], inputs, strict=True))
    model = ModelProto()
    model.CopyFrom(case.model)
    for name in ("W", "R", "B", "P"):
        if name in feeds:
            model.graph.initializer.append(numpy_helper.from_array(feeds.pop(name), name))
    (node,) = gru_rs.from_onnx(model).values()
    given = {role: feeds[name] for role, name in node.inputs.items() if name in feeds}
    outputs = dict(zip(("Y", "Y_h", "Y_c"), node(given.pop("X"), **given), strict=False))
    for name, value in zip([value.name for value in case.model.graph.output], expected, strict=True):
        role = next(role for role, output in node.outputs.items() if output == name)
        assert np.allclose(outputs[role], value, rtol=0, atol=1e-6), (case.name, name)


def test_the_cases_of_onnx():
    passed = []
    for case in cases():
        if "peepholes" in case.name:
            with pytest.raises(ValueError, match="peepholes"):
                run_case(case)
        else:
            run_case(case)
            passed.append(case.name)
    assert len([name for name in passed if name.startswith("test_gru_")]) >= 6


@pytest.mark.parametrize("seed", range(60))
def test_layers_as_models_equal_onnxruntime(seed, tmp_path):
    """Lengths of 0 among them, and NaN behind the ends, with sizes free or fixed."""
    rng = np.random.default_rng(seed)
    inputs, units, layers, batch, steps = (int(n) for n in rng.integers(1, [9, 30, 4, 5, 9]))
    lengths, states, lstm = bool(rng.random() < 0.7), bool(rng.integers(2)), bool(seed % 2)
    options = {
        "bias": bool(rng.random() < 0.8),
        "bidirectional": bool(rng.integers(2)),
        "batch_first": bool(rng.integers(2)),
    }
    names = ["sigmoid", "hard_sigmoid", "hard_sigmoid_0.2", "tanh", "relu"]
    if lstm and lengths:  # what can be told of its c
        options["recurrent_activation"] = str(rng.choice(names[:3]))
    elif rng.random() < 0.5:
        options["recurrent_activation"], options["activation"] = (str(name) for name in rng.choice(names, 2))
        options["clip"] = None if rng.random() < 0.5 else 0.7
    if not lstm:
        options["reset_after"] = bool(rng.integers(2))
    layer = (gru_rs.LSTM if lstm else gru_rs.GRU)(inputs, units, layers, seed=seed, **options)
    fixed = {name: size for name, size in (("batch", batch), ("steps", steps)) if rng.random() < 0.4}
    path = tmp_path / "model.onnx"
    model = gru_rs.to_onnx(layer, path, lengths=lengths, states=states, **fixed)
    assert path.read_bytes() == model.SerializeToString()
    x = rng.normal(size=(steps, batch, inputs)).astype(np.float32)
    rows = rng.integers(0, steps + 1, batch).astype(np.int32) if lengths else None
    if lengths:
        x[np.arange(steps)[:, np.newaxis] >= rows] = np.nan
    feeds = {"x": np.ascontiguousarray(x.swapaxes(0, 1)) if layer.batch_first else x}
    if lengths:
        feeds["lengths"] = rows
    letters = "hc"[: 1 + lstm]
    shape = (layers * (1 + layer.bidirectional), batch, units)
    first = [rng.normal(size=shape).astype(np.float32) for _ in letters]
    if states:
        feeds |= {f"{letter}0": state for letter, state in zip(letters, first, strict=True)}
    y, last = layer(feeds["x"], (tuple(first) if lstm else first[0]) if states else None, lengths=rows)
    got = [y, *(last if lstm else [last])]
    for ours, theirs in zip(got, run(model, feeds), strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= 1e-6 * max(1, np.abs(theirs).max())
    # And back: a node for each direction.
    again = gru_rs.from_onnx(path)
    assert len(again) == layers * (1 + layer.bidirectional)
    if layer.bias and not (lstm and lengths):  # biases are written as zeros; those nodes read a column more
        values = np.concatenate([node.layer.flat for node in again.values()])
        assert np.array_equal(values, layer.flat)


def test_float64_is_kept():
    layer = gru_rs.GRU(3, 5, dtype=np.float64, seed=1)
    (node,) = gru_rs.from_onnx(gru_rs.to_onnx(layer)).values()
    assert node.layer.dtype == np.float64
    assert np.array_equal(node.layer.flat, layer.flat)


def gru_node(**attributes):
    return helper.make_node("GRU", ["X", "W", "R"], ["Y"], name="node", hidden_size=4, **attributes)


WEIGHTS = {"W": np.ones((1, 12, 3), np.float32), "R": np.ones((1, 12, 4), np.float32)}
X = {"X": np.ones((5, 2, 3), np.float32)}


def test_layout_1_has_rows_first():
    """Which onnxruntime does not have."""
    node = gru_rs.from_onnx(model_of(gru_node(layout=1), {}, WEIGHTS))["node"]
    other = gru_rs.from_onnx(model_of(gru_node(), {}, WEIGHTS))["node"]
    x, h = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32), np.ones((2, 1, 4), np.float32)
    y, last = node(x, initial_h=h)
    y_other, last_other = other(x.transpose(1, 0, 2), initial_h=h.transpose(1, 0, 2))
    assert np.array_equal(y, y_other.transpose(2, 0, 1, 3))
    assert np.array_equal(last, last_other.transpose(1, 0, 2))


def test_constants_of_the_model_count():
    """A length and a state that the model fixes."""
    node = helper.make_node("GRU", ["X", "W", "R", "", "lens", "h"], ["Y", "Y_h"], name="node", hidden_size=4)
    fixed = {"lens": np.array([3, 1], np.int32), "h": np.full((1, 2, 4), 0.5, np.float32)}
    model = model_of(node, X, WEIGHTS | fixed)
    layer = gru_rs.from_onnx(model)["node"]
    assert sorted(layer.constants) == ["initial_h", "sequence_lens"]
    for ours, theirs in zip(layer(X["X"]), run(model, X), strict=True):
        assert np.abs(ours - theirs).max() <= TOLERANCE


def test_what_the_graph_gives_must_be_given():
    node = helper.make_node("GRU", ["X", "W", "R", "", "lens", "h"], ["Y"], name="node", hidden_size=4)
    feeds = X | {"lens": np.array([3, 1], np.int32), "h": np.full((1, 2, 4), 0.5, np.float32)}
    layer = gru_rs.from_onnx(model_of(node, feeds, WEIGHTS))["node"]
    with pytest.raises(ValueError, match="sequence_lens: expected an array, for the node takes 'lens'"):
        layer(X["X"])
    with pytest.raises(ValueError, match="initial_h: expected an array, for the node takes 'h'"):
        layer(X["X"], sequence_lens=[3, 1])
    layer(X["X"], sequence_lens=[3, 1], initial_h=feeds["h"])


def test_weights_made_of_constants_are_constants():
    nodes = [helper.make_node("Transpose", ["W_turned"], ["W"], perm=[0, 2, 1]), gru_node()]
    model = model_of(nodes[1], {}, {"W_turned": WEIGHTS["W"].transpose(0, 2, 1).copy(), "R": WEIGHTS["R"]})
    model.graph.node.insert(0, nodes[0])
    assert gru_rs.from_onnx(model)["node"].layer.input_size == 3


def test_the_exporter_that_forgot_is_named():
    model = model_of(gru_node(), X, WEIGHTS, producer="pytorch")
    with pytest.warns(UserWarning, match="onnxscript/issues/2852"):
        assert not gru_rs.from_onnx(model)["node"].layer.reset_after
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gru_rs.from_onnx(model, linear_before_reset=1)["node"].layer.reset_after
        right = model_of(gru_node(linear_before_reset=1), X, WEIGHTS, producer="pytorch")
        assert gru_rs.from_onnx(right)["node"].layer.reset_after


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"activations": ["Softsign", "Tanh"]}, "expected the activations Sigmoid.* got Softsign"),
        (
            {"activations": ["HardSigmoid", "Tanh"], "activation_alpha": [0.3]},
            "got HardSigmoid with alpha 0.3",
        ),
        ({"activations": ["Sigmoid"]}, "expected 2 activations"),
        ({"direction": "sideways"}, "expected direction 'forward' or .* got 'sideways'"),
        ({"direction": "bidirectional"}, "W: expected shape"),
        ({"layout": 2}, "expected layout 0 or 1, got 2"),
        ({"clip": -1.0}, "expected a clip that is not negative"),
        ({"output_sequence": 1}, "got 'output_sequence'"),
    ],
)
def test_what_layers_cannot_do_is_refused(attributes, words):
    with pytest.raises(ValueError, match=words):
        gru_rs.from_onnx(model_of(gru_node(**attributes), X, WEIGHTS))


def test_weights_of_run_time_are_refused():
    with pytest.raises(ValueError, match="node: expected a constant R, got 'R'"):
        gru_rs.from_onnx(model_of(gru_node(), X, {"W": WEIGHTS["W"]}))


def test_unlike_directions_are_refused():
    doubled = {name: np.concatenate([value, value]) for name, value in WEIGHTS.items()}
    node = gru_node(direction="bidirectional", activations=["Sigmoid", "Tanh", "Sigmoid", "Relu"])
    with pytest.raises(ValueError, match="in all directions"):
        gru_rs.from_onnx(model_of(node, X, doubled))


def test_bad_files(tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(FileNotFoundError):
        gru_rs.from_onnx(path)
    for content, words in (
        (b"", "as ONNX models are, got model.onnx, an empty file"),
        (b"no model", "as ONNX models are, got model.onnx, something else"),
        (
            gru_rs.to_onnx(gru_rs.GRU(3, 4)).SerializeToString()[:-50],
            "expected an ONNX model, got model.onnx",
        ),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=words):
            gru_rs.from_onnx(path)
    with pytest.raises(ValueError, match="expected an ONNX model, got bytes"):
        gru_rs.from_onnx(b"no model")
    with pytest.raises(TypeError, match="source: expected a path"):
        gru_rs.from_onnx(3)


def test_to_onnx_refuses():
    with pytest.raises(TypeError, match="got GRUCell"):
        gru_rs.to_onnx(gru_rs.GRUCell(3, 4))
    with pytest.raises(TypeError, match="layer: expected"):
        gru_rs.to_onnx("gru")
    for opset in (13, 10_000, "17"):
        with pytest.raises(ValueError, match="opset: expected an int from 14"):
            gru_rs.to_onnx(gru_rs.GRU(3, 4), opset=opset)


def test_every_opset():
    layer = gru_rs.GRU(3, 4, 2, bidirectional=True, seed=1)
    x = np.ones((5, 2, 3), np.float32)
    for opset in range(14, onnx.defs.onnx_opset_version() + 1):
        model = gru_rs.to_onnx(layer, opset=opset)
        assert model.opset_import[0].version == opset
        if opset <= 21:  # what the oldest onnxruntime that we test with has
            assert np.abs(run(model, {"x": x})[0] - layer(x)[0]).max() <= 1e-6

"""ONNX Runtime: one GRU node built here, weights as initializers so that it may pack them. Inference only."""

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from . import Job

NAME = "onnxruntime"
OPSET, IR_VERSION = 17, 9


def version():
    return ort.__version__


def forward(work):
    session = _session(work)
    feed = {"X": work.x, "initial_h": work.state[0]}

    def read(answer):
        y, h_n = answer
        return {"y": y[:, 0], "h_n": h_n}

    return {NAME: Job(lambda: session.run(None, feed), read)}


def steps(work):
    return {f"{NAME}, run": _run_step(work), f"{NAME}, binding": _bound_step(work)}


def _run_step(work):
    session = _session(work)
    x, h = work.x, np.zeros((1, 1, work.point.hidden), np.float32)

    def run():
        nonlocal h
        (h,) = session.run(["Y_h"], {"X": x, "initial_h": h})
        return h

    return Job(run, lambda y: {"y": y})


def _bound_step(work):
    """Input written in place, state passed to and fro between two bound buffers, output copied out."""
    session = _session(work)
    x = ort.OrtValue.ortvalue_from_numpy(work.x)
    states = [ort.OrtValue.ortvalue_from_numpy(np.zeros((1, 1, work.point.hidden), np.float32)) for _ in "ab"]
    bindings = []
    for before, after in (states, states[::-1]):
        binding = session.io_binding()
        binding.bind_ortvalue_input("X", x)
        binding.bind_ortvalue_input("initial_h", before)
        binding.bind_ortvalue_output("Y_h", after)
        bindings.append((binding, after))
    turn = 0

    def run():
        nonlocal turn
        binding, after = bindings[turn]
        turn = 1 - turn
        x.update_inplace(work.x)
        session.run_with_iobinding(binding)
        return after.numpy()

    return Job(run, lambda y: {"y": y})


def _session(work):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(_model(work).SerializeToString(), options, ["CPUExecutionProvider"])


def _model(work):
    seq, batch, inputs, hidden = work.point.seq, work.point.batch, work.point.input, work.point.hidden
    w_ih, w_hh, b_ih, b_hh = (_gates_zrn(w) for w in work.weights.values())
    initializers = {"W": w_ih[None], "R": w_hh[None], "B": np.concatenate([b_ih, b_hh])[None]}
    node = helper.make_node(
        "GRU",
        ["X", "W", "R", "B", "", "initial_h"],
        ["Y", "Y_h"],
        hidden_size=hidden,
        linear_before_reset=1,
    )
    shapes = {
        "X": [seq, batch, inputs],
        "initial_h": [1, batch, hidden],
        "Y": [seq, 1, batch, hidden],
        "Y_h": [1, batch, hidden],
    }
    info = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in shapes.items()}
    graph = helper.make_graph(
        [node],
        "gru",
        [info["X"], info["initial_h"]],
        [info["Y"], info["Y_h"]],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def _gates_zrn(weight):
    """ONNX has the update gate first."""
    r, z, n = np.split(weight, 3)
    return np.concatenate([z, r, n])

"""One GRU or LSTM node as an ONNX model, weights as initializers so that an engine may pack them. ONNX
Runtime and OpenVINO read the same bytes; nothing here knows either."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 9
STATES = {"gru": ("h",), "lstm": ("h", "c")}


def expressible(work):
    """The runtimes' kernels are float32 alone."""
    return work.dtype == np.float32


def build(work):
    """Returns the bytes of a model with the inputs of `feed` and the outputs of `outputs`."""
    inputs = {name: _info(name, array) for name, array in feed(work).items()}
    ragged = "sequence_lens" if work.lengths is not None else ""
    node = helper.make_node(
        work.kind.upper(),
        ["X", "W", "R", "B", ragged, *(f"initial_{s}" for s in STATES[work.kind])],
        outputs(work),
        hidden_size=work.point.hidden,
        **({"linear_before_reset": int(work.reset_after)} if work.kind == "gru" else {}),
    )
    graph = helper.make_graph(
        [node],
        work.kind,
        list(inputs.values()),
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, _shape(work, n)) for n in outputs(work)],
        [numpy_helper.from_array(array, name) for name, array in _parameters(work).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return model.SerializeToString()


def feed(work):
    """The model's inputs by name."""
    arrays = {"X": work.x, **{f"initial_{s}": a for s, a in zip(STATES[work.kind], work.state, strict=True)}}
    if work.lengths is not None:
        arrays["sequence_lens"] = work.lengths.astype(np.int32)
    return arrays


def outputs(work):
    return ["Y", *(f"Y_{s}" for s in STATES[work.kind])]


def read(answer):
    """(Y, Y_h[, Y_c]) as `reference` names them; Y has an axis for directions that h_n has too."""
    y, *last = answer
    return {"y": y[:, 0], **dict(zip(("h_n", "c_n"), last, strict=False))}


def _info(name, array):
    kind = TensorProto.INT32 if array.dtype == np.int32 else TensorProto.FLOAT
    return helper.make_tensor_value_info(name, kind, array.shape)


def _shape(work, output):
    seq, batch, hidden = work.point.seq, work.point.batch, work.point.hidden
    return [seq, 1, batch, hidden] if output == "Y" else [1, batch, hidden]


def _parameters(work):
    w_ih, w_hh, b_ih, b_hh = (_onnx_gates(work.kind, w) for w in work.weights.values())
    return {"W": w_ih[None], "R": w_hh[None], "B": np.concatenate([b_ih, b_hh])[None]}


def _onnx_gates(kind, weight):
    """ONNX has the update gate first in a GRU, and the output gate second in an LSTM."""
    if kind == "gru":
        r, z, n = np.split(weight, 3)
        return np.concatenate([z, r, n])
    i, f, g, o = np.split(weight, 4)
    return np.concatenate([i, o, f, g])

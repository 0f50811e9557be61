#!/usr/bin/env bash
# OpenCV 5.0.0.93, dnn: a forward GRU node of ONNX whose only output is Y, and a reverse LSTM whose outputs are Y and Y_h.
# Guess: forward(["Y"]) gives every step, (T, 1, B, H); Y_h of the reverse LSTM is the state behind all steps, Y[0].
# Seen: the GRU's Y is its last step, (1, B, H), unless Y_h is asked for beside it; the LSTM's Y is right, but Y_h is Y[-1],
# the state behind one step. Nothing is raised.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" opencv-python-headless==5.0.0.93 onnx==1.23.2 numpy==2.4.6
PYTHONPATH=$folder python3 - <<'PY'
import cv2, numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
rng = np.random.default_rng(0)
x = rng.normal(size=(5, 2, 3)).astype("f")
def both(op, gates, outputs, **attributes):
    weights = {name: rng.normal(size=size).astype("f") for name, size in
               [("W", (1, 4 * gates, 3)), ("R", (1, 4 * gates, 4)), ("B", (1, 8 * gates)), ("h", (1, 2, 4)), ("c", (1, 2, 4))]}
    given = ["X", "W", "R", "B", "", "h", *["c"] * (op == "LSTM")]
    node = helper.make_node(op, given, outputs, hidden_size=4, **attributes)
    sizes = {"Y": [5, 1, 2, 4], "Y_h": [1, 2, 4]}
    value = helper.make_tensor_value_info
    graph = helper.make_graph([node], "g", [value("X", TensorProto.FLOAT, x.shape)],
                              [value(name, TensorProto.FLOAT, sizes[name]) for name in outputs],
                              [numpy_helper.from_array(weights[name], name) for name in given[1:] if name])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    net = cv2.dnn.readNetFromONNX(np.frombuffer(made.SerializeToString(), np.uint8))
    net.setInput(x, "X")
    return net.forward(outputs), ReferenceEvaluator(made).run(None, {"X": x})
def same(a, b):
    return a.shape == b.shape and np.allclose(a, b, atol=1e-5)
(y, h), (right, last) = both("GRU", 3, ["Y", "Y_h"])
assert same(y, right) and same(h, last)
(y,), (right,) = both("GRU", 3, ["Y"])
print("GRU, Y alone:", y.shape, "for", right.shape)
assert same(y, right[-1])
(y, h), (right, last) = both("LSTM", 4, ["Y", "Y_h"], direction="reverse")
print("reverse LSTM: Y", same(y, right), "Y_h", same(h, last), "Y_h is Y[-1]", same(h, right[-1]))
assert same(y, right) and not same(h, last) and same(h, right[-1])
PY

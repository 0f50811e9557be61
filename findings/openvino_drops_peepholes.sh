#!/usr/bin/env bash
# OpenVINO 2026.4.1, an ONNX LSTM with peepholes (input P), and one with input_forget=1, on the CPU in float32.
# Guess: each is computed, or read_model says that it has no such option, as it does for other activations.
# Seen: both are dropped without a word: the answers are to the bit those of the same node without them.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" openvino==2026.4.1 onnx==1.23.2 numpy==2.4.6
PYTHONPATH=$folder python3 - <<'PY'
import numpy as np, openvino, onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
rng = np.random.default_rng(0)
x, W, R, B, P = (rng.normal(size=s).astype("f") for s in [(5, 2, 3), (1, 16, 3), (1, 16, 4), (1, 32), (1, 12)])
def model(inputs, weights, **attributes):
    node = helper.make_node("LSTM", inputs, ["Y"], hidden_size=4, **attributes)
    value = helper.make_tensor_value_info
    graph = helper.make_graph([node], "g", [value("X", TensorProto.FLOAT, x.shape)],
                              [value("Y", TensorProto.FLOAT, [5, 1, 2, 4])],
                              [numpy_helper.from_array(array, name) for name, array in weights.items()])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    return made
def by_openvino(made):
    core = openvino.Core()
    compiled = core.compile_model(core.read_model(made.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled({"X": x})["Y"]
weights = {"W": W, "R": R, "B": B}
plain = model(["X", "W", "R", "B"], weights)
peepholes = model(["X", "W", "R", "B", "", "", "", "P"], weights | {"P": P})
coupled = model(["X", "W", "R", "B"], weights, input_forget=1)
right = [ReferenceEvaluator(made).run(None, {"X": x})[0] for made in (plain, peepholes)]
print("plain: off by", abs(by_openvino(plain) - right[0]).max())
assert abs(by_openvino(plain) - right[0]).max() < 1e-5
print("peepholes: off by", abs(by_openvino(peepholes) - right[1]).max())
assert abs(by_openvino(peepholes) - right[1]).max() > 0.01
for made in (peepholes, coupled):
    assert (by_openvino(made) == by_openvino(plain)).all()
print("with peepholes, with input_forget: to the bit as without")
PY

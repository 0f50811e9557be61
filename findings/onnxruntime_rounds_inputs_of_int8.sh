#!/usr/bin/env bash
# onnxruntime 1.32.0, onnx 1.23.2: x times a matrix of bytes behind a DequantizeLinear, one scale a column; nothing
# quantizes x, and ONNX says that the product is of floats.
# Guess: the answer is that of floats, within rounding, whatever is optimized.
# Seen: so it is without extended optimizations. With them, which is the default, the two nodes become a MatMulNBits
# that rounds x to 8 bits: off by a hundredth where float32 is off by millionths. The session option
# session.qdq_matmulnbits_accuracy_level=1 keeps floats.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" onnx==1.23.2 onnxruntime==1.32.0
PYTHONPATH=$folder python3 - <<'PY'
import numpy as np, onnx, onnxruntime
from onnx import TensorProto, helper, numpy_helper
rng = np.random.default_rng(0)
w, scale = rng.integers(-127, 128, (64, 32)).astype(np.int8), rng.uniform(0.001, 0.002, 32).astype(np.float32)
x = rng.normal(size=(4, 64)).astype(np.float32)
graph = helper.make_graph(
    [helper.make_node("DequantizeLinear", ["w", "s", "z"], ["f"], axis=1), helper.make_node("MatMul", ["x", "f"], ["y"])],
    "g",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", 64])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["B", 32])],
    [numpy_helper.from_array(a, n) for a, n in ((w, "w"), (scale, "s"), (np.zeros(32, np.int8), "z"))],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
expected = x.astype(np.float64) @ (w * scale.astype(np.float64))
off = {}
for name in ("default", "basic", "accuracy_level=1"):
    options = onnxruntime.SessionOptions()
    if name == "basic":
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if name == "accuracy_level=1":
        options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    off[name] = float(np.abs(session.run(None, {"x": x})[0] - expected).max())
    print(f"{name}: off by {off[name]:.1e}, numbers up to {np.abs(expected).max():.1f}")
assert off["basic"] < 1e-5 and off["accuracy_level=1"] < 1e-5
assert off["default"] > 1e-3, "the default keeps floats now"
PY

#!/usr/bin/env bash
# onnx 1.23.2: a GRU within the branches of an If, whose weights are initializers of the graph around it, as speech
# detectors are published; the model is valid, and onnxruntime runs it.
# Guess: onnx.compose.add_prefix renames what the branches take from outside as it renames what is outside, and
# onnx.utils.extract_model keeps the weights that only the branches use.
# Seen: add_prefix renames of a branch's outer names those that nodes give, not those of initializers, so that the result
# is invalid; extract_model leaves all weights out.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" onnx==1.23.2
cd "$folder"
PYTHONPATH=$folder python3 - <<'PY'
import numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
def branch(k):
    node = helper.make_node("GRU", ["x", "W", "R"], [f"y{k}"], f"gru{k}", hidden_size=8)
    return helper.make_graph([node], f"b{k}", [], [helper.make_tensor_value_info(f"y{k}", TensorProto.FLOAT, ["T", 1, "B", 8])])
graph = helper.make_graph(
    [helper.make_node("Relu", ["x0"], ["x"]), helper.make_node("If", ["wide"], ["y"], then_branch=branch(0), else_branch=branch(1))],
    "g",
    [helper.make_tensor_value_info("x0", TensorProto.FLOAT, ["T", "B", 3]), helper.make_tensor_value_info("wide", TensorProto.BOOL, [])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["T", 1, "B", 8])],
    [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in (("W", (1, 24, 3)), ("R", (1, 24, 8)))],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
renamed = onnx.compose.add_prefix(model, "p_")
(inner,) = next(a.g for a in renamed.graph.node[1].attribute if a.name == "then_branch").node
print("outside:", [i.name for i in renamed.graph.initializer], "within:", list(inner.input))
assert list(inner.input) == ["p_x", "W", "R"]
try:
    onnx.checker.check_model(renamed)
    raise SystemExit("add_prefix gives a valid model now")
except onnx.checker.ValidationError as error:
    print("ValidationError:", str(error).splitlines()[0])
onnx.save(model, "model.onnx")
onnx.utils.extract_model("model.onnx", "part.onnx", ["x", "wide"], ["y"], check_model=False)
print("weights extracted:", [i.name for i in onnx.load("part.onnx").graph.initializer])
assert not onnx.load("part.onnx").graph.initializer
PY

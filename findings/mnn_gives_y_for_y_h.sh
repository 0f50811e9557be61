#!/usr/bin/env bash
# MNN 3.6.1, its converter and its modules, of ONNX GRU nodes with linear_before_reset=1: one whose only output is Y_h, and
# one with both, asked for Y_h. (By the extension modules alone: importing MNN.tools has pip install another package.)
# Guess: each gives the final state, (1, B, H).
# Seen: the second does; the first gives Y, every step, (T, 1, B, H), under the name Y_h, and nothing is raised.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" MNN==3.6.1 onnx==1.23.2 numpy==2.4.6
PYTHONPATH=$folder python3 - "$folder" <<'PY'
import sys, numpy as np, onnx
from pathlib import Path
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
import _tools, MNN
rng = np.random.default_rng(0)
x, W, R, B, h = (rng.normal(size=s).astype("f") for s in [(5, 2, 3), (1, 12, 3), (1, 12, 4), (1, 24), (1, 2, 4)])
def answers(*outputs):
    names = [name for name in outputs if name]
    node = helper.make_node("GRU", ["X", "W", "R", "B", "", "h"], outputs, hidden_size=4, linear_before_reset=1)
    value, sizes = helper.make_tensor_value_info, {"Y": [5, 1, 2, 4], "Y_h": [1, 2, 4]}
    graph = helper.make_graph([node], "g", [value("X", TensorProto.FLOAT, x.shape)],
                              [value(name, TensorProto.FLOAT, sizes[name]) for name in names],
                              [numpy_helper.from_array(a, n) for n, a in [("W", W), ("R", R), ("B", B), ("h", h)]])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    source, path = (str(Path(sys.argv[1]) / f"model.{end}") for end in ("onnx", "mnn"))
    onnx.save(made, source)
    _tools.mnnconvert(["mnnconvert", "-f", "ONNX", "--modelFile", source, "--MNNModel", path, "--bizCode", "x"])
    given = MNN.expr.placeholder(list(x.shape), MNN.expr.NCHW, MNN.numpy.float32)
    given.write(x.ravel().tolist())
    found = MNN.nn.load_module_from_file(path, ["X"], ["Y_h"]).forward([given])[0]
    return np.array(MNN.expr.convert(found, MNN.expr.NCHW).read()), ReferenceEvaluator(made).run(["Y_h"], {"X": x})[0]
both, last = answers("Y", "Y_h")
alone, _ = answers("", "Y_h")
print("Y_h of a node with both:", both.shape, "of a node with Y_h alone:", alone.shape)
assert both.shape == last.shape and np.allclose(both, last, atol=1e-4)
assert alone.shape == (5, 1, 2, 4) and np.allclose(alone[-1], last, atol=1e-4)
PY

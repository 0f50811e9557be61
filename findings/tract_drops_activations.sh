#!/usr/bin/env bash
# tract 0.23.9, ONNX GRU nodes with activations=["HardSigmoid", "Relu"], and with clip=0.3.
# Guess: what it does not have it refuses, as it does for sequence_lens that are not constant.
# Seen: both are dropped without a word: the answers are those of σ and tanh without a bound.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" tract==0.23.9 onnx==1.23.2 numpy==2.4.6
PYTHONPATH=$folder python3 - "$folder/model.onnx" <<'PY'
import sys, numpy as np, onnx, tract
from onnx import TensorProto, helper, numpy_helper
rng = np.random.default_rng(0)
x, W, R, B = (rng.normal(size=size).astype("f") for size in [(5, 2, 3), (1, 12, 3), (1, 12, 4), (1, 24)])
def answer(**attributes):
    node = helper.make_node("GRU", ["X", "W", "R", "B"], ["Y"], hidden_size=4, linear_before_reset=1, **attributes)
    value = helper.make_tensor_value_info
    graph = helper.make_graph([node], "g", [value("X", TensorProto.FLOAT, x.shape)],
                              [value("Y", TensorProto.FLOAT, [5, 1, 2, 4])],
                              [numpy_helper.from_array(a, n) for n, a in [("W", W), ("R", R), ("B", B)]])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    onnx.save(made, sys.argv[1])
    return tract.onnx().load(sys.argv[1]).into_model().into_runnable().run([x])[0].to_numpy()
def right(gate, candidate, clip=np.inf):
    h, steps = np.zeros((2, 4)), []
    def cut(a):
        return np.clip(a, -clip, clip)
    for t in x.astype(float):
        i, k = t @ W[0].T + B[0, :12], h @ R[0].T + B[0, 12:]
        z, r = gate(cut(i[:, :4] + k[:, :4])), gate(cut(i[:, 4:8] + k[:, 4:8]))
        h = (1 - z) * candidate(cut(i[:, 8:] + r * k[:, 8:])) + z * h
        steps.append(h)
    return np.array(steps)[:, None]
def sigmoid(a):
    return 1 / (1 + np.exp(-a))
def hard(a):
    return np.clip(0.2 * a + 0.5, 0, 1)
plain, others, bound = answer(), answer(activations=["HardSigmoid", "Relu"]), answer(clip=0.3)
assert np.allclose(plain, right(sigmoid, np.tanh), atol=1e-4)
print("activations: off by", abs(others - right(hard, lambda a: np.maximum(a, 0))).max())
print("clip: off by", abs(bound - right(sigmoid, np.tanh, 0.3)).max())
assert abs(others - right(hard, lambda a: np.maximum(a, 0))).max() > 0.1
assert abs(bound - right(sigmoid, np.tanh, 0.3)).max() > 0.1
assert (others == plain).all() and (bound == plain).all()
print("both: to the bit as without")
PY

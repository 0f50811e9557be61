#!/usr/bin/env bash
# dyNET38 2.2 (DyNet for Python 3.11): its GRUBuilder with the nine arrays that it saves.
# Guess: z keeps: h' = z * h + (1 - z) * c, as in PyTorch, Keras and ONNX.
# Seen: z replaces: h' = (1 - z) * h + z * c, with the reset gate before the product; read the first way, another answer.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" dyNET38==2.2 numpy==2.4.6
cd "$folder"
PYTHONPATH=$folder python3 - 2> /dev/null <<'PY'
import dynet, numpy as np
parameters = dynet.ParameterCollection()
made = dynet.GRUBuilder(1, 3, 4, parameters)
x = np.random.default_rng(0).normal(size=(5, 3))
dynet.renew_cg()
state, theirs = made.initial_state(), []
for step in x:
    state = state.add_input(dynet.inputVector(step)); theirs.append(state.output().npvalue())
arrays = [one.as_array() for one in parameters.parameters_list()]
gates = [arrays[at : at + 3] for at in (0, 3, 6)]
sigmoid = lambda a: 1 / (1 + np.exp(-a))
def difference(keeps):
    h, worst = np.zeros(4), 0.0
    (wz, uz, bz), (wr, ur, br), (w, u, b) = gates
    for step, expected in zip(x, theirs):
        z, r = sigmoid(wz @ step + uz @ h + bz), sigmoid(wr @ step + ur @ h + br)
        c = np.tanh(w @ step + u @ (r * h) + b)
        h = z * h + (1 - z) * c if keeps else (1 - z) * h + z * c
        worst = max(worst, abs(h - expected).max())
    return worst
print("z keeps", difference(True), "z replaces", difference(False))
assert difference(True) > 0.05 and difference(False) < 1e-5
PY

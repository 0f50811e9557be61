#!/usr/bin/env bash
# Keras 3.15.1 on PyTorch 2.15.0 (5 GB): model.export(format="onnx") of a GRU or an LSTM with a free number of steps.
# Guess: the ONNX model gives what the model gives, at any number of steps: its input says that the axis is free.
# Seen: the loop over steps was written out for one step. The file takes any number and answers as if the first were
# all: no error, no warning, another answer. With a fixed number of steps it is right.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" keras==3.15.1 torch==2.15.0 onnxscript==0.7.2 onnx==1.23.2 onnxruntime==1.32.0
cd "$folder"
KERAS_BACKEND=torch PYTHONPATH=$folder python3 - <<'PY'
import logging, warnings
warnings.simplefilter("ignore"); logging.disable(logging.WARNING)
import keras, numpy as np, onnxruntime
x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
for kind in (keras.layers.GRU, keras.layers.LSTM):
    for steps in (None, 5):
        model = keras.Sequential([keras.Input((steps, 3)), kind(4)])
        whole, first = model.predict(x, verbose=0), None if steps else model.predict(x[:, :1], verbose=0)
        model.export("model.onnx", format="onnx", verbose=False)
        session = onnxruntime.InferenceSession("model.onnx")
        (given,) = session.get_inputs()
        (y,) = session.run(None, {given.name: x})
        print(kind.__name__, given.shape, "from the model", abs(y - whole).max(), *([] if steps else ["from its first step", abs(y - first).max()]))
        if steps:
            assert np.allclose(y, whole, atol=1e-5)
        else:
            assert not np.allclose(y, whole, atol=1e-2) and np.allclose(y, first, atol=1e-5)
PY

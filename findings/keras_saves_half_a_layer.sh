#!/usr/bin/env bash
# Keras 3.15.1 on PyTorch 2.15.0 (5 GB, CPU): a Sequential with a GRU or an LSTM of dtype float16 or bfloat16.
# Guess: where a kind of weights cannot be drawn, building the model says so, or the model works.
# Seen: the model says that it is built; its layer has a kernel and nothing else (PyTorch draws no orthogonal matrices of 16
# bits on a CPU, and Sequential keeps the error to itself). It is saved and loaded without a word; the first call fails, for
# want of an attribute. With recurrent_initializer="glorot_uniform" all weights are there.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" keras==3.15.1 torch==2.15.0
cd "$folder"
KERAS_BACKEND=torch PYTHONPATH=$folder python3 - <<'PY'
import warnings
warnings.simplefilter("ignore")
import keras, numpy as np

for kind in (keras.layers.GRU, keras.layers.LSTM):
    for dtype in ("float16", "bfloat16"):
        model = keras.Sequential([keras.Input((None, 3)), kind(4, dtype=dtype)])
        model.save("model.keras")
        again = keras.saving.load_model("model.keras")
        shapes = [tuple(w.shape) for one in (model, again) for w in one.weights]
        try:
            error = f"none: {model(np.zeros((1, 2, 3), np.float32)).shape}"
        except Exception as found:
            error = type(found).__name__
        print(kind.__name__, dtype, "built", model.built, "weights", shapes, "error", error)
        assert model.built and len(shapes) == 2 and error == "AttributeError"
        other = keras.Sequential([keras.Input((None, 3)), kind(4, dtype=dtype, recurrent_initializer="glorot_uniform")])
        assert len(other.weights) == 3
PY

#!/usr/bin/env bash
# hls4ml 1.3.0 (GRUs on FPGAs) with Keras 3.15.1 on PyTorch 2.15.0 (5 GB), its emulation compiled by g++, 40 bits a number.
# Guess: a GRU of Keras is computed up to what a table of tanh costs, .01, or is refused, whatever its options.
# Seen: reset_after=False and go_backwards=True are taken without a word, and the answers are others by .1 and more.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m pip install --quiet --target "$folder" keras==3.15.1 torch==2.15.0
python3 -m pip install --quiet --target "$folder" --no-deps hls4ml==1.3.0 quantizers==1.2.2 pyyaml==6.0.3
cd "$folder"
KERAS_BACKEND=torch PYTHONPATH=$folder python3 - 2> /dev/null <<'PY'
import keras, numpy as np, hls4ml
x = np.random.default_rng(0).normal(size=(8, 5, 3)).astype(np.float32)
def difference(**options):
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.GRU(4, return_sequences=True, **options)])
    random = np.random.default_rng(1)
    model.set_weights([random.normal(size=w.shape) / 2 for w in model.get_weights()])
    config = hls4ml.utils.config_from_keras_model(model, granularity="name", default_precision="ap_fixed<40,12>", backend="Vitis")
    made = hls4ml.converters.convert_from_keras_model(model, hls_config=config, backend="Vitis", output_dir=f"project{len(options)}{min(options, default='')}", io_type="io_parallel")
    made.compile()
    return abs(made.predict(x).reshape(8, 5, 4) - model.predict(x, verbose=0)).max()
plain, before, backwards = difference(), difference(reset_after=False), difference(go_backwards=True)
print("plain", plain, "reset_after=False", before, "go_backwards=True", backwards)
assert plain < 0.03 and before > 0.1 and backwards > 0.1
PY

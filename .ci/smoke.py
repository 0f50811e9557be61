"""Is this installation whole? Import, train a step, stream, and leave; run by .ci/clean_install.

python smoke.py            the package with NumPy beside it and nothing else
"""

import importlib.metadata
import sys

import numpy as np

before = set(sys.modules)
gil = getattr(sys, "_is_gil_enabled", lambda: True)
held = gil()
import gru_rs  # noqa: E402

assert gil() == held, "import gru_rs turned the GIL on again"

installed = {d.metadata["Name"].lower().replace("_", "-") for d in importlib.metadata.distributions()}
assert installed <= {"gru-rs", "numpy", "pip", "setuptools", "wheel"}, installed
foreign = {name.split(".")[0] for name in set(sys.modules) - before} - {"gru_rs", "numpy"}
foreign -= set(sys.stdlib_module_names)
assert not foreign, f"import gru_rs also imports {foreign}"

rng = np.random.default_rng(0)
x = rng.standard_normal((20, 8, 3), np.float32)
for kind in (gru_rs.GRU, gru_rs.LSTM):
    layer = kind(3, 16, num_layers=2, seed=0)
    optimizer, losses = gru_rs.Adam(0.01), []
    for _ in range(30):
        y, _, tape = layer.forward(x)
        error = y - 0.5
        losses.append(float((error**2).mean()))
        optimizer.step(layer, tape.backward(2 * error / error.size))
    assert losses[-1] < losses[0] / 2, losses
    stream = layer.stream(8)
    assert np.stack([stream(x_t) for x_t in x]).tobytes() == layer(x)[0].tobytes()

config = gru_rs.show_config(mode="dicts")
assert config["version"] == importlib.metadata.version("gru-rs"), config
versions = f"Python {sys.version.split()[0]}, NumPy {np.__version__}, gru-rs {config['version']}"
print(f"{versions} on {config['isa']}, {'with' if held else 'without'} GIL: works")

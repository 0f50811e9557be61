"""Write chainer.json: layers of Chainer 7.8.1 with their arrays, inputs and outputs.

Chainer needs NumPy below 1.24, and so Python 3.9 and an environment of its own:
pip install 'numpy<1.24' 'setuptools<60' wheel && pip install --no-build-isolation chainer==7.8.1
"""

import json
from pathlib import Path

import chainer
import numpy as np
from chainer import links

rng = np.random.default_rng(0)
N, H, T = 2, 3, 4
chainer.global_config.dtype = np.float64


def arrays(link):
    """By the names within the link, joined by dots."""
    found = {}
    for path, parameter in link.namedparams():
        parameter.array[...] = rng.normal(size=parameter.shape).round(3)
        found[path[1:].replace("/", ".")] = parameter.array.tolist()
    return found


def stacks():
    for kind in ("GRU", "LSTM"):
        for bidirectional in (False, True):
            made = getattr(links, "NStep" + "Bi" * bidirectional + kind)(2, N, H, 0.0)
            named, x = arrays(made), rng.normal(size=(T, N)).round(3)
            parts = [{} for _ in range(2 * (1 + bidirectional))]
            for name, value in named.items():
                index, _, own = name.partition(".")
                parts[int(index)][own] = value
            params = [parts[k : k + 2] for k in (0, 2)] if bidirectional else parts
            states = [None] * (1 if kind == "GRU" else 2)
            y = made(*states, [x])[-1][0].array
            yield type(made).__name__, {"params": params, "x": x.tolist(), "y": y.tolist()}


def stateful():
    made = links.StatefulGRU(N, H)
    named, x = arrays(made), rng.normal(size=(T, N)).round(3)
    # Without a state its first step leaves out the biases of U, as no state of zeros would.
    made.set_state(chainer.Variable(np.zeros((1, H))))
    y = [made(step[None]).array[0].tolist() for step in x]
    yield "StatefulGRU", {"params": named, "x": x.tolist(), "y": y}


cases = dict(stacks()) | dict(stateful())
path = Path(__file__).parent / "chainer.json"
path.write_text(json.dumps(cases, indent=None, separators=(",", ":")) + "\n")

"""Models as `gru_rs.to_onnx` writes them, of layers with cases' weights. Nothing else here knows gru-rs."""

from __future__ import annotations

import gru_rs
import numpy as np

from .cases import Case
from .reference import Node

OUTPUTS = {"Y": "y", "Y_h": "h_n", "Y_c": "c_n"}
# Where each of PyTorch's gates, r z n and i f g o, is among ONNX's, z r h and i o f c.
GATES = {"GRU": [1, 0, 2], "LSTM": [0, 2, 3, 1]}


def model_of(case: Case, **more):
    first = case.nodes[0]
    sizes = {} if case.free else {"batch": case.x.shape[1], "steps": case.x.shape[0]}
    given = {"lengths": first.lengths is not None, "states": first.h0 is not None}
    return gru_rs.to_onnx(layer_of(case), **given, **sizes, **more)


def layer_of(case: Case):
    """The layer of a case's nodes."""
    first = case.nodes[0]
    options = {"bidirectional": len(first.ways) > 1, "bias": first.B is not None, "clip": first.clip}
    if any(name == "HardSigmoid" for name, _, _ in first.functions):
        options["recurrent_activation"] = "hard_sigmoid_0.2"
    if first.op == "GRU":
        options["reset_after"] = bool(first.linear_before_reset)
    sizes = case.x.shape[2], first.units, len(case.nodes)
    made = getattr(gru_rs, first.op)(*sizes, dtype=case.x.dtype, **options)
    weights = {}
    for k, node in enumerate(case.nodes):
        weights |= weights_of(node, k)
    made.load_state_dict(weights)
    return made


def weights_of(node: Node, k: int) -> dict[str, np.ndarray]:
    """A node's weights by PyTorch's names, in its order."""
    rows = np.concatenate([np.arange(g * node.units, (g + 1) * node.units) for g in GATES[node.op]])
    found = {}
    for way in range(len(node.ways)):
        tail = f"_l{k}" + "_reverse" * way
        found |= {f"weight_ih{tail}": node.W[way][rows], f"weight_hh{tail}": node.R[way][rows]}
        if node.B is not None:
            found |= {f"bias_ih{tail}": node.B[way][rows], f"bias_hh{tail}": node.B[way][len(rows) + rows]}
    return found


def feeds_of(case: Case) -> dict[str, np.ndarray]:
    first = case.nodes[0]
    feeds = {"x": case.x}
    if first.lengths is not None:
        feeds["lengths"] = first.lengths
    for letter in ("h0", "c0"):
        if getattr(first, letter) is not None:
            feeds[letter] = np.concatenate([getattr(node, letter) for node in case.nodes])
    return feeds

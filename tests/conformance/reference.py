"""GRU, LSTM and RNN as ONNX's text of the operators says, in plain NumPy and float64.

It must not know gru_rs, onnx or an engine: it judges them. Where the text is silent, it says here what is
taken: past a row's length Y is zero, the final states are those of the row's last step, the reverse direction
begins there, and a row of length 0 keeps its initial state. Clip bounds what the gates' activations are
given, not the cell that an LSTM's h is of: the text can be read either way, and no engine does that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}
DEFAULTS = {"GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"], "RNN": ["Tanh"]}
WAYS = {"forward": ["forward"], "reverse": ["reverse"], "bidirectional": ["forward", "reverse"]}


@dataclass(frozen=True)
class Node:
    """A node with its weights and inputs; arrays as ONNX has them with layout 0, directions first.

    `ways` is what `direction` stands for; `functions` holds a (name, alpha, beta) for each activation of each
    direction.
    """

    op: str
    W: Any
    R: Any
    B: Any = None
    lengths: Any = None
    h0: Any = None
    c0: Any = None
    P: Any = None
    ways: tuple[str, ...] = ("forward",)
    functions: tuple[tuple[str, float | None, float | None], ...] = ()
    clip: float | None = None
    clips_cell: bool = False
    linear_before_reset: int = 0
    input_forget: int = 0
    layout: int = 0

    @property
    def units(self) -> int:
        return self.R.shape[2]


def sigmoid(x):
    return 0.5 * (1 + np.tanh(0.5 * x))


# The numbers are alpha and beta where the node gives none.
FUNCTIONS = {
    "Sigmoid": (lambda x, _a, _b: sigmoid(x), None, None),
    "Tanh": (lambda x, _a, _b: np.tanh(x), None, None),
    "Relu": (lambda x, _a, _b: np.maximum(x, 0), None, None),
    "Affine": (lambda x, a, b: a * x + b, 1.0, 0.0),
    "LeakyRelu": (lambda x, a, _b: np.where(x >= 0, x, a * x), 0.01, None),
    "ThresholdedRelu": (lambda x, a, _b: np.where(x >= a, x, 0), 1.0, None),
    "ScaledTanh": (lambda x, a, b: a * np.tanh(b * x), 1.0, 1.0),
    "HardSigmoid": (lambda x, a, b: np.clip(a * x + b, 0, 1), 0.2, 0.5),
    "Elu": (lambda x, a, _b: np.where(x >= 0, x, a * (np.exp(np.minimum(x, 0)) - 1)), 1.0, None),
    "Softsign": (lambda x, _a, _b: x / (1 + np.abs(x)), None, None),
    "Softplus": (lambda x, _a, _b: np.log1p(np.exp(x)), None, None),
}


def functions_of(node: Node, way: int):
    """A direction's activations, which clip what they are given; an LSTM's last is given the cell."""
    count = len(DEFAULTS[node.op])
    own = node.functions[way * count : (way + 1) * count] or [(n, None, None) for n in DEFAULTS[node.op]]

    def bound(name, alpha, beta, clip):
        function, first, second = FUNCTIONS[name]
        a, b = first if alpha is None else alpha, second if beta is None else beta
        limit = np.inf if clip is None else clip
        return lambda x: function(np.clip(x, -limit, limit), a, b)

    clips = [node.clip] * count
    if node.op == "LSTM" and not node.clips_cell:
        clips[2] = None
    return [bound(*one, clip) for one, clip in zip(own, clips, strict=True)]


def step(node: Node, way: int, functions, x, h, c):
    """One step of one row: the new h and c."""
    n = node.units
    W, R = node.W[way].astype(float), node.R[way].astype(float)
    B = np.zeros(2 * len(W)) if node.B is None else node.B[way].astype(float)
    Wb, Rb = B[: len(W)], B[len(W) :]
    if node.op == "RNN":
        (f,) = functions
        return f(W @ x + R @ h + Wb + Rb), c
    part = [slice(k * n, (k + 1) * n) for k in range(GATES[node.op])]
    if node.op == "GRU":
        f, g = functions
        z, r = (f(W[k] @ x + R[k] @ h + Wb[k] + Rb[k]) for k in part[:2])
        k = part[2]
        if node.linear_before_reset:
            candidate = g(W[k] @ x + r * (R[k] @ h + Rb[k]) + Wb[k])
        else:
            candidate = g(W[k] @ x + R[k] @ (r * h) + Rb[k] + Wb[k])
        return (1 - z) * candidate + z * h, c
    f, g, last = functions
    P = np.zeros(3 * n) if node.P is None else node.P[way].astype(float)
    Pi, Po, Pf = P[:n], P[n : 2 * n], P[2 * n :]
    i, o, forget, cell = (W[k] @ x + R[k] @ h + Wb[k] + Rb[k] for k in part)
    i = f(i + Pi * c)
    forget = 1 - i if node.input_forget else f(forget + Pf * c)
    c = forget * c + i * g(cell)
    return f(o + Po * c) * last(c), c


def run(node: Node, x):
    """Y (T, D, B, H), Y_h and Y_c (D, B, H) of x (T, B, I); with layout 1 all have the batch first."""
    x = np.asarray(x, float)
    if node.layout:
        x = x.swapaxes(0, 1)
    steps, batch = x.shape[:2]
    ways = len(node.ways)
    Y = np.zeros((steps, ways, batch, node.units))
    states = [np.zeros((ways, batch, node.units)) for _ in "hc"]
    for state, first in zip(states, (node.h0, node.c0), strict=True):
        if first is not None:
            state += first.swapaxes(0, 1) if node.layout else first
    for way, name in enumerate(node.ways):
        functions = functions_of(node, way)
        for row in range(batch):
            length = steps if node.lengths is None else int(node.lengths[row])
            h, c = (state[way, row] for state in states)
            for t in range(length) if name == "forward" else reversed(range(length)):
                h, c = step(node, way, functions, x[t, row], h, c)
                Y[t, way, row] = h
            states[0][way, row], states[1][way, row] = h, c
    if node.layout:
        return Y.transpose(2, 0, 1, 3), *(state.swapaxes(0, 1) for state in states)
    return Y, *states


def joined(Y):
    """Y (T, D, B, H) as the next layer reads it, (T, B, D·H)."""
    return Y.transpose(0, 2, 1, 3).reshape(*Y.shape[:1], Y.shape[2], -1)


def answers(nodes: list[Node], x, flat: bool, every: bool = False):
    """The outputs of nodes one on top of the other: Y of the last, flat if asked, and its final states, or
    every node's."""
    states = []
    for node in nodes:
        Y, *last = run(node, x)
        states.append(last)
        x = joined(Y)
    h, c = (np.concatenate(parts) for parts in zip(*(states if every else states[-1:]), strict=True))
    return {"Y": x if flat else Y, "Y_h": h} | ({"Y_c": c} if nodes[-1].op == "LSTM" else {})


def changed(nodes: list[Node], **how) -> list[Node]:
    """The same nodes with other fields."""
    return [replace(node, **how) for node in nodes]

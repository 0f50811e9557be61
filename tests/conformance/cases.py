"""The cases: nodes with every option of the operators, alone and together, and their inputs.

A case is described here once; `graphs` makes its model, `reference` its answers. Sizes are small and unlike
each other, so that nothing fits by chance, and weights are large, so that what is computed wrongly is far
off.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .reference import GATES, WAYS, Node, answers

STEPS, BATCH, INPUTS, UNITS = 6, 3, 4, 5
OPS = {"GRU, reset before": "GRU", "GRU, reset after": "GRU", "LSTM": "LSTM", "RNN": "RNN"}
LENGTHS, SOME_ZERO = np.array([4, 6, 2], np.int32), np.array([4, 0, 6], np.int32)


@dataclass(frozen=True)
class Case:
    """A model as it is to be made, and what it is fed.

    `form` is how the model is written: to_onnx (by gru-rs), node (as ONNX has it), outer (within an If,
    weights outside), gated or picked (lengths as plain operators, as `to_onnx` writes them).
    """

    name: str
    kind: str
    direction: str
    option: str
    nodes: list[Node]
    x: Any
    form: str = "node"
    opset: int = 17
    free: bool = False
    outputs: tuple[str, ...] = ()
    dtype: Any = np.float32
    attributes: dict[str, Any] = field(default_factory=dict)

    def answers(self, nodes=None, x=None):
        """All that these nodes give, in float64, by name."""
        x = self.x if x is None else x
        return answers(self.nodes if nodes is None else nodes, x, self.flat, self.form == "to_onnx")

    def expected(self):
        """What has to come out."""
        found = self.answers()
        return {name: found[name] for name in self.outputs}

    @property
    def flat(self) -> bool:
        return len(self.nodes) > 1 or self.form in ("gated", "picked", "to_onnx")


# What a node is given beyond X, W, R and B. All but the first few have initial states, without which some
# engines take a way of their own.
GIVEN = {
    "plain": {},
    "lengths": {"lengths": LENGTHS},
    "a length of 0": {"lengths": SOME_ZERO},
    "initial states": {"states": True},
    "lengths, initial states": {"lengths": LENGTHS, "states": True},
    "a length of 0, initial states": {"lengths": SOME_ZERO, "states": True},
    "no bias": {"bias": False, "states": True},
    "free sizes": {"free": True, "states": True},
    "free sizes, lengths": {"free": True, "lengths": LENGTHS},
    "free sizes, lengths, initial states": {"free": True, "lengths": LENGTHS, "states": True},
}
# Those of forward and bidirectional nodes only.
OPTIONS = {
    "clip": {"clip": 0.3, "states": True},
    "HardSigmoid": {"functions": ["HardSigmoid"], "states": True},
    "HardSigmoid with alpha and beta": {
        "functions": ["HardSigmoid"],
        "alpha": 0.3,
        "beta": 0.4,
        "states": True,
    },
    "Relu": {"last": "Relu", "states": True},
    "Affine with alpha and beta": {"last": "Affine", "alpha": 0.5, "beta": 0.1, "states": True},
    "one row": {"batch": 1},
    "one row, initial states": {"batch": 1, "states": True},
    "one step": {"steps": 1, "states": True},
    "16 rows of 20 steps, 33 units": {"batch": 16, "steps": 20, "units": 33, "states": True},
    "Y alone": {"outputs": ("Y",), "states": True},
    "Y_h alone": {"outputs": ("Y_h",), "states": True},
    "opset 7": {"opset": 7, "states": True},
    "opset 14": {"opset": 14, "states": True},
    "opset 22": {"opset": 22, "states": True},
    "layout 1": {"layout": 1, "states": True},
    "layout 1, lengths, initial states": {"layout": 1, "lengths": LENGTHS, "states": True},
    "float64": {"dtype": np.float64, "states": True},
    "float16": {"dtype": np.float16, "states": True},
    "weights outside of an If": {"form": "outer", "states": True},
    "two layers": {"layers": 2, "states": True},
    "two layers, lengths": {"layers": 2, "lengths": LENGTHS, "states": True},
}
LSTMS = {
    "peepholes": {"peepholes": True, "states": True},
    "peepholes, lengths, initial states": {"peepholes": True, "lengths": LENGTHS, "states": True},
    "input_forget": {"input_forget": 1, "states": True},
}
FURTHER = {  # of RNN alone, where nothing else is in the way
    "LeakyRelu with alpha": {"last": "LeakyRelu", "alpha": 0.1},
    "ThresholdedRelu with alpha": {"last": "ThresholdedRelu", "alpha": 0.2},
    "ScaledTanh with alpha and beta": {"last": "ScaledTanh", "alpha": 0.7, "beta": 0.8},
    "Elu with alpha": {"last": "Elu", "alpha": 0.6},
    "Softsign": {"last": "Softsign"},
    "Softplus": {"last": "Softplus"},
}
FORMS = {
    "lengths": {"lengths": LENGTHS},
    "a length of 0": {"lengths": SOME_ZERO},
    "lengths, initial states": {"lengths": LENGTHS, "states": True},
    "a length of 0, initial states": {"lengths": SOME_ZERO, "states": True},
    "free sizes, lengths, initial states": {"free": True, "lengths": LENGTHS, "states": True},
    "two layers, lengths": {"layers": 2, "lengths": LENGTHS},
}
# Of layers, written by gru-rs.
LAYERS = {
    "plain": {},
    "initial states": {"states": True},
    "lengths": {"lengths": LENGTHS},
    "a length of 0, initial states": {"lengths": SOME_ZERO, "states": True},
    "two layers, lengths, initial states": {"layers": 2, "lengths": LENGTHS, "states": True},
    "free sizes": {"free": True},
    "free sizes, lengths, initial states": {"free": True, "lengths": LENGTHS, "states": True},
    "no bias": {"bias": False},
    "clip": {"clip": 0.3},
    "HardSigmoid": {"functions": ["HardSigmoid"]},
    "float64": {"dtype": np.float64},
}
SLOPES = {"Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu"}
BOTH = {"Affine", "ScaledTanh", "HardSigmoid"}


def all_cases() -> list[Case]:
    """Every case, in the order of the table."""
    found = []
    for kind, op in OPS.items():
        for direction in WAYS:
            options = dict(GIVEN)
            if direction != "reverse":
                options |= OPTIONS
            if op == "LSTM":
                options |= LSTMS
            if op == "RNN" and direction == "forward":
                options |= FURTHER
            found += [case_of(kind, direction, option, **given) for option, given in options.items()]
            for form in {"GRU": ["picked", "gated"], "LSTM": ["picked"]}.get(op, []):
                found += [
                    case_of(kind, direction, f"{form}: {option}", form=form, **given)
                    for option, given in FORMS.items()
                ]
            if op != "RNN" and direction != "reverse":
                found += [
                    case_of(kind, direction, f"to_onnx: {option}", form="to_onnx", **given)
                    for option, given in LAYERS.items()
                ]
    assert len({case.name for case in found}) == len(found)
    return found


def case_of(
    kind,
    direction,
    option,
    *,
    form="node",
    opset=17,
    free=False,
    outputs=None,
    dtype=np.float32,
    layers=1,
    batch=BATCH,
    steps=STEPS,
    units=UNITS,
    layout=0,
    **given,
) -> Case:
    """A case with weights and inputs that its name alone decides."""
    name = f"{kind}, {direction}: {option}"
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    op, ways = OPS[kind], tuple(WAYS[direction])
    sizes = [INPUTS] + [units * len(ways)] * (layers - 1)
    functions, attributes = activations(op, len(ways), given)
    after = int(kind.endswith("after"))
    nodes = [
        node_of(
            rng,
            op,
            size,
            units,
            batch,
            dtype,
            given,
            ways=ways,
            layout=layout,
            functions=functions,
            clip=given.get("clip"),
            linear_before_reset=after,
            input_forget=given.get("input_forget", 0),
        )
        for size in sizes
    ]
    shape = (batch, steps, INPUTS) if layout else (steps, batch, INPUTS)
    x = rng.normal(size=shape).astype(dtype)
    every = ("Y", "Y_h", "Y_c") if op == "LSTM" else ("Y", "Y_h")
    return Case(
        name, kind, direction, option, nodes, x, form, opset, free, outputs or every, dtype, attributes
    )


def node_of(rng, op, inputs, units, batch, dtype, given, *, ways, layout, **fields) -> Node:
    """A node with weights and states."""
    rows, count = GATES[op] * units, len(ways)

    def uniform(*shape):
        return rng.uniform(-1, 1, shape).astype(dtype) * dtype(1.5 / np.sqrt(max(inputs, units) / 5))

    state = (batch, count, units) if layout else (count, batch, units)
    if given.get("states"):
        fields["h0"] = rng.normal(size=state).astype(dtype)
        if op == "LSTM":
            fields["c0"] = rng.normal(size=state).astype(dtype)
    if given.get("bias", True):
        fields["B"] = uniform(count, 2 * rows)
    if given.get("peepholes"):
        fields["P"] = uniform(count, 3 * units)
    lengths = given.get("lengths")
    return Node(
        op,
        uniform(count, rows, inputs),
        uniform(count, rows, units),
        ways=ways,
        layout=layout,
        lengths=lengths,
        **fields,
    )


def activations(op, ways, given):
    """For the reference, and as attributes: a number for each function that takes one, in their order."""
    gates = [] if op == "RNN" else ["Sigmoid"]
    rest = {"GRU": 1, "LSTM": 2, "RNN": 1}[op]
    if "functions" in given:
        names = [*given["functions"] * bool(gates), *(["Tanh"] * rest if gates else given["functions"])]
    elif "last" in given:
        names = [*gates, *[given["last"]] * rest]
    else:
        return (), {}
    alpha, beta = given.get("alpha"), given.get("beta")
    taken = [(name, alpha if name in SLOPES else None, beta if name in BOTH else None) for name in names]
    found = tuple(taken * ways)
    attributes: dict[str, Any] = {"activations": [name for name, _, _ in found]}
    for key, place in (("activation_alpha", 1), ("activation_beta", 2)):
        numbers = [one[place] for one in found if one[place] is not None]
        if numbers:
            attributes[key] = numbers
    return found, attributes

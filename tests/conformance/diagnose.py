"""What an answer is: right, or wrong and how. A wrong one is compared with what the reference gives for nodes
with something left out or turned round, so that a row of the table says what an engine did and not only that
it erred."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from .cases import Case
from .reference import Node

# Absolute, and relative above 1: engines round each product and sum, and some have sigmoid and tanh by
# polynomials.
TOLERANCE = {"float64": 1e-9, "float32": 2e-5, "float16": 4e-3}
# Far below any mistake that the cases are made to show, far above the best of rounding: functions that are
# approximated.
COARSE = 2e-3
# What is written of an engine that raises nothing and gives no outputs, or whose process ends.
NOTHING = "no answer"


def near(found, expected, tolerance) -> bool:
    return found.shape == expected.shape and bool(
        (np.abs(found - expected) <= tolerance * np.maximum(1, np.abs(expected))).all()
    )


def verdict(case: Case, found: list[np.ndarray]) -> tuple[str, str]:
    """("right", ""), ("wrong", how), or ("refused", …) of an engine that gives nothing without raising."""
    expected = case.expected()
    tolerance = TOLERANCE[np.dtype(case.dtype).name]
    if not found:
        return "refused", NOTHING
    if len(found) != len(expected):
        return "wrong", f"gives {len(found)} outputs of {len(expected)}"
    named = {name: np.asarray(value) for name, value in zip(expected, found, strict=True)}
    if all(near(value, expected[name], tolerance) for name, value in named.items()):
        return "right", ""
    wrong_shapes = [name for name, value in named.items() if value.shape != expected[name].shape]
    if wrong_shapes:
        every = case.answers()
        for name in wrong_shapes:
            for other, value in every.items():
                if near(named[name], value, COARSE):
                    return "wrong", f"{name} is {other}"
        fits = all(named[name].size == expected[name].size for name in wrong_shapes)
        return "wrong", "gives another shape" + ("" if fits else " and another size")
    if not all(np.isfinite(value).all() for value in named.values()):
        return "wrong", "gives what is not finite"
    if all(near(value, expected[name], TOLERANCE["float32"]) for name, value in named.items()):
        return "wrong", f"computes {np.dtype(case.dtype).name} in float32"
    if all(near(value, expected[name], COARSE) for name, value in named.items()):
        return "wrong", "computes coarsely, off by more than rounding explains"
    return "wrong", explained(case, named, tolerance)


def explained(case: Case, named, tolerance) -> str:
    """By the first guess that gives all outputs; else by one for each."""
    own: dict[str, str] = {}
    for text, guess in guesses(case):
        matches = [name for name, value in named.items() if near(value, guess[name], COARSE)]
        if len(matches) == len(named):
            return text
        for name in matches:
            own.setdefault(name, text)
    expected = case.expected()
    for name, value in named.items():
        if near(value, expected[name], tolerance):
            own[name] = ""
    texts = [f"{name}: {own.get(name, 'unexplained')}" for name in named if own.get(name, "?")]
    return "; ".join(texts)


def guesses(case: Case) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Wrong answers that an engine could give, the simple ones first."""
    changes = [(text, change) for text, change in CHANGES.items() if applies(case.nodes, change)]
    for count in (0, 1, 2, 3):
        for chosen in combinations(changes, count):
            nodes = case.nodes
            for _, change in chosen:
                nodes = [change(node) for node in nodes]
            texts = [text for text, _ in chosen]
            found = case.answers(nodes)
            if count:
                yield ", ".join(texts), found
            if count == 3:
                continue
            for text, swap in SWAPS.items():
                other = swap(nodes, case, dict(found))
                if other is not None:
                    yield ", ".join([*texts, text]), other


def applies(nodes: list[Node], change) -> bool:
    return any(change(node) is not node for node in nodes)


# Nodes with something else ----------------------------------------------------------------------------------


def without(**fields):
    """What leaves fields out; the node itself where none of them is there."""

    def change(node):
        return replace(node, **fields) if any(there(getattr(node, name)) for name in fields) else node

    return change


def there(value) -> bool:
    return isinstance(value, np.ndarray) or (value is not None and value not in ((), 0))


def run_forward(node):
    return replace(node, ways=("forward",) * len(node.ways)) if "reverse" in node.ways else node


def other_reset(node):
    return replace(node, linear_before_reset=1 - node.linear_before_reset) if node.op == "GRU" else node


def outer_bias(node):
    """Reset behind the product, but not over its bias."""
    if node.op != "GRU" or node.linear_before_reset or node.B is None:
        return node
    B, n = node.B.copy(), node.units
    B[:, 2 * n : 3 * n] += B[:, 5 * n :]
    B[:, 5 * n :] = 0
    return replace(node, linear_before_reset=1, B=B)


def no_recurrent_bias(node):
    if node.B is None:
        return node
    B = node.B.copy()
    B[:, B.shape[1] // 2 :] = 0
    return replace(node, B=B)


def no_slopes(node):
    if not any(alpha is not None for _, alpha, _ in node.functions):
        return node
    return replace(node, functions=tuple((name, None, None) for name, _, _ in node.functions))


def as_relu(node):
    if not any(name == "HardSigmoid" for name, _, _ in node.functions):
        return node
    return replace(
        node,
        functions=tuple(("Relu", None, None) if one[0] == "HardSigmoid" else one for one in node.functions),
    )


def clips_cell(node):
    return replace(node, clips_cell=True) if node.op == "LSTM" and node.clip is not None else node


def same_weights(node):
    if len(node.ways) < 2:
        return node
    both = {name: np.stack([value[0]] * 2) for name in "WRB" if (value := getattr(node, name)) is not None}
    return replace(node, **both)


def gates_in(order):
    """The gates' blocks in another order."""

    def change(node):
        if {"GRU": 3, "LSTM": 4, "RNN": 1}[node.op] != len(order):
            return node
        n = node.units
        rows = np.concatenate([np.arange(k * n, (k + 1) * n) for k in order])
        fields = {"W": node.W[:, rows], "R": node.R[:, rows]}
        if node.B is not None:
            fields["B"] = node.B[:, np.concatenate([rows, rows + len(rows)])]
        return replace(node, **fields)

    return change


CHANGES = {
    "lengths dropped": without(lengths=None),
    "reverse run forward": run_forward,
    "initial states dropped": without(h0=None, c0=None),
    "reset on the other side": other_reset,
    "reset behind the product but not over its bias": outer_bias,
    "clip dropped": without(clip=None),
    "clip also of the cell": clips_cell,
    "activations dropped": without(functions=()),
    "alpha and beta dropped": no_slopes,
    "HardSigmoid computed as Relu": as_relu,
    "bias dropped": without(B=None),
    "recurrent bias dropped": no_recurrent_bias,
    "peepholes dropped": without(P=None),
    "input_forget dropped": without(input_forget=0),
    "one direction's weights in both": same_weights,
    "initial c dropped": without(c0=None),
    "update and reset gate swapped": gates_in([1, 0, 2]),
}


# Outputs that are others ------------------------------------------------------------------------------------


def states_of(nodes, found):
    return {"Y_h": nodes[-1].h0, **({"Y_c": nodes[-1].c0} if "Y_c" in found else {})}


def initial_given_back(nodes, _case, found):
    first = states_of(nodes, found)
    return None if any(value is None for value in first.values()) else found | first


def zero_where_empty(nodes, _case, found):
    last = nodes[-1]
    if last.lengths is None or last.h0 is None or last.layout or (last.lengths > 0).all():
        return None
    gone = {name: found[name].copy() for name in states_of(nodes, found)}
    for value in gone.values():
        value[:, last.lengths == 0] = 0
    return found | gone


def last_of_padding(nodes, case, found):
    """The state at the last step, whether a row has it or not."""
    last = nodes[-1]
    if last.lengths is None or last.layout or case.flat:
        return None
    Y = found["Y"]
    picked = [Y[-1 if way == "forward" else 0, k] for k, way in enumerate(last.ways)]
    return found | {"Y_h": np.stack(picked)}


def last_step_of_reverse(nodes, case, found):
    """The final states of the reverse direction are those behind its first step, which is the last in
    time."""
    last = nodes[-1]
    if last.layout or len(nodes) > 1 or "reverse" not in last.ways:
        return None
    begun = case.answers([replace(last, lengths=None)], case.x[-1:])
    back = np.array([way == "reverse" for way in last.ways])[:, None, None]
    return found | {name: np.where(back, begun[name], found[name]) for name in states_of(nodes, found)}


def unpadded(nodes, case, found):
    """Steps past a row's length are not zero, all else is right."""
    if all(node.lengths is None for node in nodes):
        return None
    return found | {"Y": case.answers([replace(node, lengths=None) for node in nodes])["Y"]}


def one_state_twice(_nodes, _case, found):
    return found | {"Y_c": found["Y_h"]} if "Y_c" in found else None


def mixed(_nodes, case, found):
    """Steps and rows of Y in the other order, under a shape that says they are not."""
    Y = found["Y"]
    order = (1, 0, 2) if case.flat else (2, 0, 1, 3)
    return found | {"Y": Y.transpose(order).reshape(Y.shape)}


SWAPS = {
    "initial states given back as the final ones": initial_given_back,
    "state 0 of a row of length 0": zero_where_empty,
    "state of the last step, past the length": last_of_padding,
    "final state of reverse taken at the last step": last_step_of_reverse,
    "Y not zero past the length": unpadded,
    "Y_c is Y_h": one_state_twice,
    "steps and rows of Y mixed up": mixed,
}

"""How each framework lays out the weights of a GRU and an LSTM: every permutation of gates and biases.

The converters take and give weights through these layouts, and `table` writes `docs/layouts.md` from them, so
that what is documented is what runs. It must not know files or frameworks' own objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .._arrays import expect_shape
from .._cells import GRUCell, LSTMCell
from .._layers import GRU, LSTM
from .._words import CELLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .._arrays import Array

PYTORCH_GATES = {word: "".join(cell.gates) for word, cell in CELLS.items()}
"""The order of the gates here and in PyTorch."""


class Weights(NamedTuple):
    """One direction of one layer in PyTorch's shapes and order; without biases both are None."""

    w_ih: Array
    w_hh: Array
    b_ih: Array | None
    b_hh: Array | None


@dataclass(frozen=True)
class Layout:
    """How one framework lays out one direction of one layer.

    Attributes
    ----------
    framework, cell : str
        Whose it is, and the word of the cell.
    gates : str
        The gates in their order, in PyTorch's letters.
    transposed : bool
        Whether inputs are rows, (I, G·H), rather than gates, (G·H, I).
    biases : int
        2 for one of inputs and one of states, 1 for their sum.
    swapped : bool
        h' = (1 − z) ⊙ h + z ⊙ n, in place of z ⊙ h + (1 − z) ⊙ n.
    reset : str
        Where the reset gate acts, in words.
    forget : float
        What the framework adds to the argument of the forget gate by itself.
    names : str
        The arrays, with their shapes.
    letters : str
        The gates in the framework's own letters.
    parts : tuple of str
        Where each array has a name: those of both kernels, of the bias of inputs and of that of states, each
        of one name or of one for each gate in the order of `gates`, ``-`` for zeros.
    """

    framework: str
    cell: str
    gates: str
    letters: str
    names: str
    transposed: bool = False
    biases: int = 2
    swapped: bool = False
    reset: str = ""
    forget: float = 0.0
    parts: tuple[str, ...] = ()

    def fits(self, given: Mapping[str, Array]) -> bool:
        """Whether arrays have exactly these names, and as many rows as there are gates."""
        slots = [part.split() for part in self.parts]
        bare = {name for slot in slots[:2] for name in slot}
        whole = {name for slot in slots for name in slot} - {"-"}
        if set(given) not in ([whole] if self.forget else [bare, whole]):
            return False
        shape = given[slots[1][0]].shape[:: -1 if self.transposed else 1]
        return len(shape) == 2 and shape[0] * len(slots[1]) == len(self.gates) * shape[1]

    def read(self, given: Mapping[str, Array]) -> Weights:
        """The weights of arrays by the names of `parts`."""
        slots = [part.split() for part in self.parts]
        axis, side = (1, 0) if self.transposed else (0, 1)
        rows = len(self.gates) * given[slots[1][0]].shape[side]
        arrays = []
        for slot in slots[:2]:
            expect_shape(slot[0], given[slot[0]], ("rows", "columns"))
            inputs = given[slot[0]].shape[side]
            for name in slot:
                expect_shape(name, given[name], (rows // len(slot), inputs)[:: 1 - 2 * axis])
            arrays.append(np.concatenate([given[name] for name in slot], axis=axis))
        has_biases = any(name in given for slot in slots[2:] for name in slot)
        for slot in slots[2:] if has_biases else ():
            for name in set(slot) - {"-"}:
                expect_shape(name, given[name], (rows // len(slot),))
            zeros = np.zeros(rows // len(slot), arrays[0].dtype)
            arrays.append(np.concatenate([zeros if name == "-" else given[name] for name in slot]))
        return self.take(*arrays)

    def take(self, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None) -> Weights:
        """Weights of the framework as PyTorch's; of one bias `b_hh` becomes zeros."""
        biases: list[Array | None] = [None, None]
        if b_ih is not None:
            first = self._take(b_ih, is_input_bias=True)
            biases = [first, np.zeros_like(first) if b_hh is None else self._take(b_hh)]
        kernels = [self._take(w.T if self.transposed else w) for w in (w_ih, w_hh)]
        return Weights(kernels[0], kernels[1], *biases)

    def _take(self, array: Array, is_input_bias: bool = False) -> Array:
        blocks = dict(zip(self.gates, np.split(array, len(self.gates)), strict=True))
        if self.swapped:  # 1 − σ(x) = σ(−x)
            blocks["z"] = -blocks["z"]
        if self.forget and is_input_bias:
            blocks["f"] = blocks["f"] + np.asarray(self.forget, array.dtype)
        return np.concatenate([blocks[gate] for gate in PYTORCH_GATES[self.cell]])

    def give(self, weights: Weights) -> list[Array]:
        """PyTorch's weights as the framework's: kernels of inputs and states, then its biases, if any."""
        arrays = [self._give(w) for w in weights[:2]]
        if self.transposed:
            arrays = [np.ascontiguousarray(w.T) for w in arrays]
        b_ih, b_hh = weights.b_ih, weights.b_hh
        if b_ih is None or b_hh is None:
            return arrays
        biases = [b_ih, b_hh] if self.biases == 2 else [b_ih + b_hh]
        return arrays + [self._give(b) for b in biases]

    def _give(self, array: Array) -> Array:
        blocks = dict(zip(PYTORCH_GATES[self.cell], np.split(array, len(self.gates)), strict=True))
        return np.concatenate([blocks[gate] for gate in self.gates])


AFTER = "after the product: n = tanh(… + r ⊙ (W h + b))"
BEFORE = "before it: n = tanh(… + W (r ⊙ h) + b)"
CHOICE = "linear_before_reset: 1 after, 0 (default) before"

PYTORCH = {
    "gru": Layout(
        *("PyTorch", "gru", "rzn", "r, z, n", "weight_ih (3H, I), weight_hh (3H, H), bias_ih, bias_hh (3H)"),
        reset=AFTER,
    ),
    "lstm": Layout(
        *(
            "PyTorch",
            "lstm",
            "ifgo",
            "i, f, g, o",
            "weight_ih (4H, I), weight_hh (4H, H), bias_ih, bias_hh (4H)",
        )
    ),
}
ONNX = {
    "gru": Layout(*("ONNX", "gru", "zrn", "z, r, h", "W (D, 3H, I), R (D, 3H, H), B (D, 6H)"), reset=CHOICE),
    "lstm": Layout(*("ONNX", "lstm", "iofg", "i, o, f, c", "W (D, 4H, I), R (D, 4H, H), B (D, 8H)")),
}
KERAS = {
    "gru": Layout(
        *("Keras, reset_after=True", "gru", "zrn", "z, r, h"),
        "kernel (I, 3H), recurrent_kernel (H, 3H), bias (2, 3H)",
        transposed=True,
        reset=AFTER,
    ),
    "gru_reset_before": Layout(
        *("Keras, reset_after=False", "gru", "zrn", "z, r, h"),
        "kernel (I, 3H), recurrent_kernel (H, 3H), bias (3H)",
        transposed=True,
        biases=1,
        reset=BEFORE,
    ),
    "lstm": Layout(
        *("Keras", "lstm", "ifgo", "i, f, c, o", "kernel (I, 4H), recurrent_kernel (H, 4H), bias (4H)"),
        transposed=True,
        biases=1,
    ),
}
PADDLE = {
    swapped: Layout(
        f"Paddle dynamic_gru, origin_mode={not swapped}",
        *("gru", "zrn", "u, r, c", "fc (I, 3H), weight (H, 2H) then (H, H) in one (H, 3H), bias (3H)"),
        transposed=True,
        biases=1,
        swapped=swapped,
        reset=BEFORE,
    )
    for swapped in (True, False)
}
HAIKU = {
    "gru": Layout(
        *("Haiku", "gru", "zrn", "z, r, a", "w_i (I, 3H), w_h (H, 3H), b (3H)"),
        transposed=True,
        biases=1,
        swapped=True,
        reset=BEFORE,
    ),
    "lstm": Layout(
        *("Haiku", "lstm", "igfo", "i, g, f, o", "linear: w (I + H, 4H), b (4H)"),
        transposed=True,
        biases=1,
        forget=1.0,
    ),
}

NAMED = {
    "equinox": [
        Layout(
            *("Equinox", "gru", "rzn", "r, z, n"),
            "weight_ih (3H, I), weight_hh (3H, H), bias (3H), bias_n (H)",
            reset=AFTER,
            parts=("weight_ih", "weight_hh", "bias", "- - bias_n"),
        ),
        Layout(
            *("Equinox", "lstm", "ifgo", "i, f, g, o", "weight_ih (4H, I), weight_hh (4H, H), bias (4H)"),
            biases=1,
            parts=("weight_ih", "weight_hh", "bias", "-"),
        ),
    ],
    "flax": [
        Layout(
            *("Flax linen", "gru", "rzn", "r, z, n"),
            "ir, iz, in: kernel (I, H), bias (H); hr, hz: kernel (H, H); hn: kernel, bias",
            transposed=True,
            reset=AFTER,
            parts=(
                "ir.kernel iz.kernel in.kernel",
                "hr.kernel hz.kernel hn.kernel",
                "ir.bias iz.bias in.bias",
                "- - hn.bias",
            ),
        ),
        Layout(
            *("Flax linen", "lstm", "ifgo", "i, f, g, o"),
            "ii, if, ig, io: kernel (I, H); hi, hf, hg, ho: kernel (H, H), bias (H)",
            transposed=True,
            biases=1,
            parts=(
                "ii.kernel if.kernel ig.kernel io.kernel",
                "hi.kernel hf.kernel hg.kernel ho.kernel",
                "-",
                "hi.bias hf.bias hg.bias ho.bias",
            ),
        ),
        Layout(
            *("Flax nnx", "gru", "rzn", "r, z, n"),
            "dense_i: kernel (I, 3H), bias (3H); dense_h: kernel (H, 3H)",
            transposed=True,
            biases=1,
            reset=AFTER,
            parts=("dense_i.kernel", "dense_h.kernel", "dense_i.bias", "-"),
        ),
        Layout(
            *("Flax nnx", "lstm", "ifgo", "i, f, g, o"),
            "ii, if_, ig, io: kernel (I, H); hi, hf, hg, ho: kernel (H, H), bias (H)",
            transposed=True,
            biases=1,
            parts=(
                "ii.kernel if_.kernel ig.kernel io.kernel",
                "hi.kernel hf.kernel hg.kernel ho.kernel",
                "-",
                "hi.bias hf.bias hg.bias ho.bias",
            ),
        ),
        Layout(
            *("Flax nnx, optimized", "lstm", "ifgo", "i, f, g, o"),
            "dense_i: kernel (I, 4H); dense_h: kernel (H, 4H), bias (4H)",
            transposed=True,
            biases=1,
            parts=("dense_i.kernel", "dense_h.kernel", "-", "dense_h.bias"),
        ),
    ],
    "mlx": [
        Layout(
            *("MLX", "gru", "rzn", "r, z, n", "Wx (3H, I), Wh (3H, H), b (3H), bhn (H)"),
            reset=AFTER,
            parts=("Wx", "Wh", "b", "- - bhn"),
        ),
        Layout(
            *("MLX", "lstm", "ifgo", "i, f, g, o", "Wx (4H, I), Wh (4H, H), bias (4H)"),
            biases=1,
            parts=("Wx", "Wh", "bias", "-"),
        ),
    ],
    "chainer": [
        Layout(
            *("Chainer NStepGRU", "gru", "rzn", "r, z, h′", "w0–w2 (H, I), w3–w5 (H, H), b0–b5 (H)"),
            reset=AFTER,
            parts=("w0 w1 w2", "w3 w4 w5", "b0 b1 b2", "b3 b4 b5"),
        ),
        Layout(
            *("Chainer NStepLSTM", "lstm", "ifgo", "i, f, a, o", "w0–w3 (H, I), w4–w7 (H, H), b0–b7 (H)"),
            parts=("w0 w1 w2 w3", "w4 w5 w6 w7", "b0 b1 b2 b3", "b4 b5 b6 b7"),
        ),
        Layout(
            *("Chainer StatefulGRU", "gru", "rzn", "r, z, h̄"),
            "W_r, W_z, W: W (H, I), b (H); U_r, U_z, U: W (H, H), b (H)",
            swapped=True,
            reset=BEFORE,
            parts=("W_r.W W_z.W W.W", "U_r.W U_z.W U.W", "W_r.b W_z.b W.b", "U_r.b U_z.b U.b"),
        ),
    ],
    "mxnet": [
        Layout(
            *("MXNet", "gru", "rzn", "r, z, o"),
            "i2h_weight (3H, I), h2h_weight (3H, H), i2h_bias, h2h_bias (3H)",
            reset=AFTER,
            parts=("i2h_weight", "h2h_weight", "i2h_bias", "h2h_bias"),
        ),
        Layout(
            *("MXNet", "lstm", "ifgo", "i, f, c, o"),
            "i2h_weight (4H, I), h2h_weight (4H, H), i2h_bias, h2h_bias (4H)",
            parts=("i2h_weight", "h2h_weight", "i2h_bias", "h2h_bias"),
        ),
    ],
    "dynet": [
        Layout(
            *("DyNet", "gru", "zrn", "z, r, h", "_0, _3, _6 (H, I), _1, _4, _7 (H, H), _2, _5, _8 (H)"),
            biases=1,
            swapped=True,
            reset=BEFORE,
            parts=("_0 _3 _6", "_1 _4 _7", "_2 _5 _8", "-"),
        ),
        Layout(
            *("DyNet VanillaLSTM", "lstm", "ifog", "i, f, o, g", "_0 (4H, I), _1 (4H, H), _2 (4H)"),
            biases=1,
            forget=1.0,
            parts=("_0", "_1", "_2", "-"),
        ),
    ],
    "flux": [
        Layout(
            *("Flux GRU", "gru", "rzn", "r, z, h̃", "Wi (3H, I), Wh (3H, H), b (3H)"),
            biases=1,
            reset=AFTER,
            parts=("Wi", "Wh", "b", "-"),
        ),
        Layout(
            *("Flux", "lstm", "ifgo", "i, f, c, o", "Wi (4H, I), Wh (4H, H), b (4H)"),
            biases=1,
            parts=("Wi", "Wh", "b", "-"),
        ),
    ],
}
"""Of frameworks whose arrays all have names, what `from_arrays` takes."""

ALL = [*PYTORCH.values(), *KERAS.values(), *ONNX.values(), *PADDLE.values(), *HAIKU.values()]
ALL += [layout for layouts in NAMED.values() for layout in layouts]


def table() -> str:
    """The layouts as a table in Markdown."""
    head = ["framework", "cell", "gates", "arrays", "biases", "reset gate", "new state"]
    lines = [head, ["---"] * len(head)]
    for layout in ALL:
        new = "σ(f + 1) by itself" if layout.forget else ""
        if "z" in layout.gates:
            new = "(1 − z) ⊙ h + z ⊙ n" if layout.swapped else "z ⊙ h + (1 − z) ⊙ n"
        is_sum = layout.biases == 1 and layout.reset != AFTER
        biases = "one, the sum" if is_sum else "one, outside r" if layout.biases == 1 else "two"
        cells = [
            layout.framework,
            layout.cell.upper(),
            layout.letters,
            layout.names,
            biases,
            layout.reset,
            new,
        ]
        lines.append(cells)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


_LAYERS: dict[str, Any] = {kind._cell: kind for kind in (GRU, LSTM)}


def new_layer(cell: str, parts: list[Weights], *, directions: int = 1, **options: Any) -> GRU | LSTM:
    """A layer with those weights, layer after layer, its directions one after the other."""
    first = parts[0]
    layer: GRU | LSTM = _LAYERS[cell](
        first.w_ih.shape[1],
        first.w_hh.shape[1],
        len(parts) // directions,
        bias=first.b_ih is not None,
        bidirectional=directions == 2,
        dtype=first.w_ih.dtype,
        seed=0,
        **options,
    )
    layer.load_state_dict(names_of(parts, directions))
    return layer


def names_of(parts: Iterable[Weights], directions: int) -> dict[str, Array]:
    """Weights by PyTorch's names."""
    named: dict[str, Array] = {}
    for index, part in enumerate(parts):
        tail = f"_l{index // directions}{'_reverse' if index % directions else ''}"
        named |= by_name(part, tail)
    return named


def by_name(part: Weights, tail: str) -> dict[str, Array]:
    """One direction's weights by PyTorch's names, each ending in `tail`."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return {name + tail: array for name, array in zip(names, part, strict=True) if array is not None}


def parts_of(layer: GRU | LSTM | GRUCell | LSTMCell) -> list[Weights]:
    """The weights of a layer or cell, layer after layer, its directions one after the other."""
    arrays = list(layer.state_dict().values())
    if not layer.bias:
        return [Weights(arrays[k], arrays[k + 1], None, None) for k in range(0, len(arrays), 2)]
    return [Weights(*arrays[k : k + 4]) for k in range(0, len(arrays), 4)]


def cell_of(layer: Any) -> str:
    """The word of a layer's or a cell's cell, or an error if it is none."""
    if isinstance(layer, (GRU, LSTM, GRUCell, LSTMCell)):
        return layer._cell
    msg = f"layer: expected a GRU, LSTM, GRUCell or LSTMCell of gru_rs, got {type(layer).__name__}"
    raise TypeError(msg)

"""One recurrent node of an ONNX model as what can be called. It must not know models or files."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import as_array, as_lengths, expect_shape
from .._layers import GRU, LSTM
from ._steps import reversed_steps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .._arrays import Array

DIRECTIONS = {"forward": 1, "reverse": 1, "bidirectional": 2}
"""How many a node of each word has."""


@dataclass(frozen=True)
class OnnxLayer:
    """One recurrent node of an ONNX model; call it for what the node gives.

    Attributes
    ----------
    name : str
        The node's name.
    layer : GRU or LSTM
        What it computes, as a layer; a "reverse" node runs it on its steps turned round.
    direction : {"forward", "reverse", "bidirectional"}
        The node's.
    layout : {0, 1}
        0: arrays are ``(T, B, …)``; 1: ``(B, T, …)``, and states ``(B, D, H)``.
    inputs, outputs : dict of str to str
        The names of the tensors that enter and leave the node, by the operator's own names: ``X``,
        ``sequence_lens``, ``initial_h``, ``initial_c``; ``Y``, ``Y_h``, ``Y_c``.
    constants : dict of str to ndarray
        Those of ``sequence_lens``, ``initial_h`` and ``initial_c`` that the model fixes, or gives as
        defaults; of one row if that is every row's, whatever the batch, as the zeros that exporters make.
    note : str
        Of a quantized node what the layer's weights are: its bytes, or the floats that they stand for; of a
        cell of plain operators in how many places it is.
    """

    name: str
    layer: GRU | LSTM
    direction: str
    layout: int
    inputs: dict[str, str]
    outputs: dict[str, str]
    constants: dict[str, Array] = field(repr=False)
    note: str = ""

    def __call__(
        self,
        x: ArrayLike,
        sequence_lens: ArrayLike | None = None,
        initial_h: ArrayLike | None = None,
        initial_c: ArrayLike | None = None,
    ) -> tuple[Array, ...]:
        """What the node gives, in the operator's own shapes.

        Parameters
        ----------
        x : array_like
            ``(T, B, I)``, or ``(B, T, I)`` of layout 1.
        sequence_lens : array_like of int, (B,), optional
            Each row's steps; else the model's constant, else all.
        initial_h, initial_c : array_like, optional
            ``(D, B, H)``, or ``(B, D, H)`` of layout 1; else the model's constants, else zeros.
            What the node takes from its graph, `inputs` but not `constants`, must be given.

        Returns
        -------
        Y : ndarray
            ``(T, D, B, H)``, or ``(B, T, D, H)`` of layout 1.
        Y_h : ndarray
            As `initial_h`. An LSTM's Y_c follows.

        Raises
        ------
        ValueError
            A shape or a length cannot be, or something is missing that the node takes from its graph.
        """
        layer, batch_first = self.layer, self.layout == 1
        given_here = {"sequence_lens": sequence_lens, "initial_h": initial_h, "initial_c": initial_c}
        for role, value in given_here.items():
            if value is None and role in self.inputs and role not in self.constants:
                source = self.inputs[role]
                msg = f"{role}: expected an array, for the node takes {source!r} of its graph, got None"
                raise ValueError(msg)
        given = as_array("x", x, layer.dtype)
        expect_shape("x", given, (*(("B", "T") if batch_first else ("T", "B")), layer.input_size))
        batch, steps = given.shape[:2] if batch_first else given.shape[1::-1]
        lengths = sequence_lens
        if lengths is None and "sequence_lens" in self.constants:
            lengths = _every(self.constants["sequence_lens"], 0, batch)
        rows = None if lengths is None else as_lengths(lengths, batch, steps)
        first = self._first({"initial_h": initial_h, "initial_c": initial_c}, batch)
        turned = self.direction == "reverse"
        y, last = layer(
            reversed_steps(given, rows, batch_first=batch_first) if turned else given, first, lengths=rows
        )
        y = reversed_steps(y, rows, batch_first=batch_first) if turned else y
        y = y.reshape(*y.shape[:2], DIRECTIONS[self.direction], layer.hidden_size)
        states = last if isinstance(last, tuple) else (last,)
        if batch_first:
            return (y, *(state.transpose(1, 0, 2) for state in states))
        return (y.transpose(0, 2, 1, 3), *states)

    def beyond(self) -> list[str]:
        """What the node does and its layer alone would not."""
        lost = ["direction='reverse'"] if self.direction == "reverse" else []
        states = [name for name in ("initial_h", "initial_c") if name in self.constants]
        lost += [f"a constant {name} that is not zeros" for name in states if self.constants[name].any()]
        return lost + ["constant sequence_lens"] * ("sequence_lens" in self.constants)

    def _first(self, given: dict[str, ArrayLike | None], batch: int) -> Any:
        """The initial states as the layer takes them."""
        directions, layer = DIRECTIONS[self.direction], self.layer
        states = []
        for name in ("initial_h", "initial_c") if isinstance(layer, LSTM) else ("initial_h",):
            value = given[name]
            if value is None and name in self.constants:
                value = _every(self.constants[name], 0 if self.layout else 1, batch)
            if value is None:
                states.append(np.zeros((directions, batch, layer.hidden_size), layer.dtype))
                continue
            state = as_array(name, value, layer.dtype)
            leading = (batch, directions) if self.layout else (directions, batch)
            expect_shape(name, state, (*leading, layer.hidden_size))
            states.append(state.transpose(1, 0, 2) if self.layout else state)
        if given["initial_c"] is not None and not isinstance(layer, LSTM):
            msg = "initial_c: expected nothing for a GRU, whose only state is h"
            raise ValueError(msg)
        return tuple(states) if isinstance(layer, LSTM) else states[0]


def _every(constant: Array, axis: int, batch: int) -> Array:
    """One row as every row's."""
    if constant.shape[axis] != 1:
        return constant
    return np.broadcast_to(constant, (*constant.shape[:axis], batch, *constant.shape[axis + 1 :]))

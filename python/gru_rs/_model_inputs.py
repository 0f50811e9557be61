"""What goes into a `Model`: sequences, states and targets, checked and as the core takes them. It must not
know what the core makes of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ._arrays import (
    as_array,
    as_integers,
    as_lengths,
    as_ndarray,
    as_spelling,
    as_states,
    as_weights,
    check_out,
    expect_apart,
    expect_shape,
)
from ._losses import CTC, Loss, QuantileError
from ._parameters import Argument
from ._sequence_network import SequenceNetwork
from ._words import CELLS

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ._arrays import Array

    _Given = tuple[Array, tuple[int, int], list[int] | None, list[Array]]
    _State: TypeAlias = Array | tuple[Array, Array]


class CheckedNetwork(SequenceNetwork):
    """A network that knows what fits into it."""

    pooling: Argument[str] = Argument("What the head sees.")
    conv_channels: Argument[int | None] = Argument("Numbers of a frame, if there is a convolution.")
    conv_kernel_size: Argument[int] = Argument("Steps that a frame is made of.")
    conv_stride: Argument[int] = Argument("Steps from frame to frame.")
    conv_activation: Argument[str] = Argument("What becomes of the convolution's sums.")

    def _expect_convolution(self) -> None:
        """No part of a convolution is asked for where there is none."""
        plain = {"conv_kernel_size": 5, "conv_stride": 1, "conv_activation": "relu"}
        for name, default in plain.items():
            value = self._options[name]
            if self.conv_channels is None and value != default:
                msg = f"{name}: expected {default!r}, or another with conv_channels, got {value!r}"
                raise ValueError(msg)

    def _frames(self, steps: Any) -> Any:
        """Steps of the stack for so many that a row has."""
        return steps if self.conv_channels is None else -(-steps // self.conv_stride)

    def _state_shape(self, batch: int) -> tuple[int, int, int]:
        return self.num_layers * (2 if self.bidirectional else 1), batch, self.hidden_size

    def _asked_for(self, x: ArrayLike, lengths: ArrayLike | None, state: _State | None = None) -> _Given:
        array = self._source(x)
        batch, seq = array.shape[:2]
        states: list[Array] = []
        if state is not None:
            if self.conv_channels is not None:
                msg = "state: expected None for a model with a convolution, got one"
                raise ValueError(msg)
            states = as_states("state", state, CELLS[self.cell].states)
            for one in states:
                check_out("state", one, self._state_shape(batch), self._dtype.name)
            expect_apart("state", states)
        return array, (batch, seq), None if lengths is None else as_lengths(lengths, batch, seq), states

    def _wanted(
        self, targets: ArrayLike, loss: Loss, sample_weight: ArrayLike | None, asked: _Given
    ) -> tuple[Array, list[int] | None, Array | None]:
        weights = as_weights(sample_weight, self._dtype)
        if isinstance(loss, CTC):
            return *as_spelling(targets, self.output_size), weights
        if loss._of_classes:
            array = as_integers("targets", self._unpadded(targets, asked, 2), self.output_size)
            expect_shape("targets", array, ("rows",))
        else:
            levels = len(loss.levels) if isinstance(loss, QuantileError) else 1
            width = self.output_size // levels
            axes = (2, 3) if width == 1 else (3,)
            array = self._unpadded(as_array("targets", targets, self._dtype), asked, *axes)
            expect_shape("targets", array, ("rows", width), *([("rows",)] if width == 1 else []))
        return array, None, weights

    def _unpadded(self, targets: Any, asked: _Given, *axes: int) -> Any:
        """Targets of steps without what lies behind the rows, if they have these axes, padded as x is."""
        if self.pooling != "each":
            return targets
        if isinstance(targets, (list, tuple)) and len(targets) > 0:
            targets = as_ndarray("targets", targets, "an array")
        _, (batch, steps), lengths, _ = asked
        seq = self._frames(steps)
        if getattr(targets, "ndim", 0) not in axes or tuple(targets.shape[:2]) != (batch, seq):
            return targets
        valid = np.full(batch, seq) if lengths is None else self._frames(np.array(lengths, np.intp))
        return as_ndarray("targets", targets, "an array")[np.arange(seq) < valid[:, np.newaxis]]

"""One call of a recurrent module on the extension: tensors in, tensors and a tape out, no graph.

It must not know modules, nor how autograd or a compiler reaches it.
"""

from __future__ import annotations

import contextlib
import ctypes
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .. import _core

GATES = {cell: len(gates) for cell, (_, gates) in _core.cells().items()}
STATES = {cell: len(states) for cell, (states, _) in _core.cells().items()}
_layers: dict[int, tuple[weakref.ref[Any], Any, _core.Rnn]] = {}  # by where a module's first weights lie


class Options(NamedTuple):
    """What a layer is beside its weights."""

    cell: str
    num_layers: int
    batch_first: bool
    dropout: float
    bidirectional: bool

    @property
    def directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def states(self) -> int:
        return STATES[self.cell]


class Call(NamedTuple):
    """The operators' arguments but for the options. Of a cell x and states have no axis of time or layers."""

    x: Tensor
    states: list[Tensor]
    weights: list[Tensor]
    batch_sizes: Tensor | None
    resets: Tensor | None
    seed: Tensor | None

    @property
    def tensors(self) -> list[Tensor]:
        """What can have gradients."""
        return [self.x, *self.states, *self.weights]

    def of(self, tensors: list[Tensor]) -> Call:
        """The same call of other `tensors`."""
        behind = 1 + len(self.states)
        return self._replace(x=tensors[0], states=tensors[1:behind], weights=tensors[behind:])

    def arrays(self, options: Options) -> tuple[Any, int, int, list[Any], list[int] | None]:
        """What the extension's layer takes, but for resets, without a copy where it can be."""
        x, states = _array(self.x), [_array(state) for state in self.states]
        if self.is_step:
            return x, x.shape[0] if x.ndim > 1 else 1, 1, states, None
        if self.batch_sizes is None:
            batch, seq = x.shape[:2] if options.batch_first else x.shape[1::-1]
            return x, batch, seq, states, None
        mask = self.mask()
        return _padded(x, mask), mask.shape[1], mask.shape[0], states, mask.sum(0).tolist()

    @property
    def is_step(self) -> bool:
        """Whether it is a cell's."""
        return self.x.dim() < 3 and self.batch_sizes is None

    def state_shape(self, options: Options, batch: Any) -> tuple[Any, ...]:
        """That of each state."""
        hidden_size = self.weights[1].shape[1]
        if self.is_step:
            return (*self.x.shape[:-1], hidden_size)
        return (options.num_layers * options.directions, batch, hidden_size)

    def mask(self) -> Any:
        """Which rows of a packed sequence take which steps, (T, B)."""
        sizes = _array(self.batch_sizes)
        return np.arange(sizes[0]) < sizes[:, None]

    def work(self) -> int:
        """Floating-point operations, roughly."""
        steps = self.x.numel() // max(self.x.shape[-1], 1)
        return int(2 * steps * sum(weight.numel() for weight in self.weights))

    def layer(self, options: Options) -> _core.Rnn:
        """The extension's with these weights: that of the call before if they have not changed."""
        first = self.weights[0]
        bias = len(self.weights) == 4 * options.num_layers * options.directions
        key, kind = first.data_ptr(), (options, first.dtype, bias, first.shape)
        reference, known, layer = _layers.get(key, (None, None, None))
        if layer is None or reference is None or known != kind:
            layer = _new_layer(options, first, bias)
            # Not of the tensor itself: torch.utils.swap_tensors refuses one that is referred to.
            reference = weakref.ref(first.untyped_storage(), lambda _: _layers.pop(key, None))
        layer = layer.with_weights([_array(weight) for weight in self.weights])
        _layers[key] = (reference, kind, layer)
        return layer

    def shaped(self, flat: Any, width: int) -> Tensor:
        """Numbers of all steps as x has its steps: packed, or of both axes."""
        if self.batch_sizes is None:
            return torch.from_numpy(flat.reshape(*self.x.shape[:-1], width))
        mask = self.mask()
        return torch.from_numpy(flat.reshape(*mask.shape, width)[mask])


def _new_layer(options: Options, w_ih: Tensor, bias: bool) -> _core.Rnn:
    rows, input_size = w_ih.shape
    functions = {"recurrent_activation": "sigmoid", "activation": "tanh", "clip": None}
    sizes = {"input_size": input_size, "hidden_size": rows // GATES[options.cell]}
    others = {"reset_after": True, "bias": bias, "dtype": str(w_ih.dtype).removeprefix("torch."), "seed": 0}
    return _core.Rnn(options._asdict() | functions | sizes | others)


def _array(tensor: Tensor) -> Any:
    array = tensor.numpy(force=True)  # the tensor's own memory, if it is in order
    return array if array.flags.c_contiguous else np.ascontiguousarray(array)


def _padded(data: Any, mask: Any) -> Any:
    padded = np.zeros((*mask.shape, data.shape[-1]), data.dtype)
    padded[mask] = data
    return padded


def _find_pause() -> Any:
    """OpenMP's omp_pause_resource_all, of the library that PyTorch brings along; None if there is none.

    PyTorch's threads go on spinning for some milliseconds after each of its own parallel loops, on the cores
    that a call of ours then wants: a training step of H = 256 took 1.4 times as long. This call of OpenMP 5.0
    lets them rest until PyTorch needs them again.
    """
    for name in ("libgomp*", "libomp*", "libiomp5*"):
        for path in sorted(Path(torch.__file__).parent.joinpath("lib").glob(name)):
            with contextlib.suppress(OSError, AttributeError):
                return ctypes.CDLL(str(path)).omp_pause_resource_all
    return None


_pause = _find_pause()
_SOFT = 1  # omp_pause_soft
_LONG = 1 << 27  # operations, two milliseconds or more: to rest and to come back costs a twentieth of one


def _let_openmp_rest(call: Call) -> None:
    if _pause is not None and _core.num_threads() > 1 and call.work() > _LONG:
        _pause(_SOFT)


def forward_call(call: Call, options: Options, training: bool) -> tuple[Tensor | None, list[Tensor], Any]:
    """y, which a cell has not, the final states, and a tape, which is None without training.

    They own their memory and are no views, so that they can be written in place like PyTorch's.
    """
    _let_openmp_rest(call)
    layer, tape, given = call.layer(options), None, call.arrays(options)
    resets = None if call.resets is None else _array(call.resets)
    if training:
        seed = None if call.seed is None else int(call.seed)
        y, last, tape = layer.forward(*given, seed, False, resets)
    else:
        y, last = layer.run(*given, resets)
    shape = call.state_shape(options, -1)
    finals = [torch.from_numpy(state.reshape(shape)) for state in last]
    return None if call.is_step else call.shaped(y, options.directions * shape[-1]), finals, tape


def backward_call(
    tape: _core.Tape | None, call: Call, options: Options, d_y: Tensor | None, d_last: list[Tensor]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The gradients of x, of the initial states and of the weights.

    A tape is good for one backward; for another, of a graph that was retained, forward runs again.
    """
    if tape is None:
        _, _, tape = forward_call(call, options, True)
    _let_openmp_rest(call)
    grad = None if d_y is None else _array(d_y)
    if grad is not None and call.batch_sizes is not None:
        grad = _padded(grad, call.mask())
    d_x, d_first, flat = tape.backward(grad, [_array(d) for d in d_last])
    states = [torch.from_numpy(d.reshape(like.shape)) for d, like in zip(d_first, d_last, strict=True)]
    weights, begin = [], 0
    for weight in call.weights:
        end = begin + weight.numel()
        weights.append(torch.from_numpy(flat[begin:end].reshape(weight.shape)))
        begin = end
    return call.shaped(d_x, call.x.shape[-1]), states, weights

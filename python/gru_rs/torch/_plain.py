"""The same call by PyTorch's own operators, which it differentiates as often and as it likes.

Slower, and for what the kernels have no answer to: derivatives of derivatives, forward-mode, `torch.func`. It
must not know modules, nor the extension.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._call import Call, Options

_CELLS = {"gru": torch.gru_cell, "lstm": torch.lstm_cell}
_LAYERS = {"gru": torch.gru, "lstm": torch.lstm}
_STEP = np.uint64(0x9E37_79B9_7F4A_7C15)
_FACTORS = (
    (np.uint64(30), np.uint64(0xBF58_476D_1CE4_E5B9)),
    (np.uint64(27), np.uint64(0x94D0_49BB_1331_11EB)),
)


def run_plain(call: Call, options: Options) -> tuple[Tensor | None, list[Tensor]]:
    """y, which a cell has not, and the final states, with the kernels' masks and resets."""
    if call.is_step:
        return None, _one_step(call, options)
    x, scans, finals = call.x, options.directions, []
    each = len(call.weights) // options.num_layers
    states = call.states or _zeros(call, options)
    for layer in range(options.num_layers):
        if layer and options.dropout > 0:
            x = x * _mask(call, options, x, layer - 1)
        first = [state[layer * scans : (layer + 1) * scans] for state in states]
        x, last = _layer(call, options, x, first, call.weights[layer * each : (layer + 1) * each])
        finals.append(last)
    return x, [torch.cat(parts) for parts in zip(*finals, strict=True)]


def _zeros(call: Call, options: Options) -> list[Tensor]:
    batch = call.x.shape[0 if options.batch_first else 1] if call.batch_sizes is None else call.batch_sizes[0]
    shape = (options.num_layers * options.directions, int(batch), call.weights[1].shape[1])
    return [call.x.new_zeros(shape)] * options.states


def _layer(
    call: Call, options: Options, x: Tensor, first: list[Tensor], weights: list[Tensor]
) -> tuple[Tensor, Sequence[Tensor]]:
    """One layer in all its directions."""
    bias = len(weights) == 4 * options.directions
    given: Any = first if options.states > 1 else first[0]
    if call.resets is not None:
        return _by_steps(options, x, call.resets, first, weights)
    rest = (weights, bias, 1, 0.0, False, options.bidirectional)
    if call.batch_sizes is None:
        y, *last = _LAYERS[options.cell](x, given, *rest, options.batch_first)
    else:
        y, *last = _LAYERS[options.cell](x, call.batch_sizes, given, *rest)
    return y, last


def _by_steps(
    options: Options, x: Tensor, resets: Tensor, first: list[Tensor], weights: list[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """The same with resets, which PyTorch's layers have not: it goes step by step."""
    time = 1 if options.batch_first else 0
    steps, begins = x.unbind(time), [flags.unsqueeze(1) for flags in resets.unbind(time)]
    each, ys, lasts = len(weights) // options.directions, [], []
    for direction in range(options.directions):
        own, state, y = weights[direction * each : (direction + 1) * each], [s[direction] for s in first], []
        # Backward in time a sequence ends where the step after begins another.
        order, ends = (steps, begins) if direction == 0 else (steps[::-1], [None, *begins[:0:-1]])
        for x_t, begin in zip(order, ends, strict=True):
            if begin is not None:
                state = [part.masked_fill(begin, 0.0) for part in state]
            state = _step(options, x_t, state, own)
            y.append(state[0])
        ys.append(torch.stack(y if direction == 0 else y[::-1], time))
        lasts.append(state)
    return torch.cat(ys, -1), [torch.stack(parts) for parts in zip(*lasts, strict=True)]


def _step(options: Options, x_t: Tensor, state: list[Tensor], weights: list[Tensor]) -> list[Tensor]:
    found = _CELLS[options.cell](x_t, state if options.states > 1 else state[0], *weights)
    return list(found) if options.states > 1 else [found]


def _one_step(call: Call, options: Options) -> list[Tensor]:
    """A cell's states."""
    shape = call.state_shape(options, None)
    x = call.x.reshape(-1, call.x.shape[-1])
    states = call.states or [x.new_zeros(shape)] * options.states
    found = _step(options, x, [state.reshape(-1, shape[-1]) for state in states], call.weights)
    return [state.reshape(shape) for state in found]


def _mask(call: Call, options: Options, x: Tensor, layer: int) -> Tensor:
    """What dropout multiplies the outputs of a layer by: the kernels', number by number of the seed."""
    steps = None if call.batch_sizes is None else call.mask()
    shape = x.shape if steps is None else (*steps.shape, x.shape[-1])
    count = int(np.prod(shape))
    seed: Any = call.seed
    numbers = np.arange(layer * count, (layer + 1) * count, dtype=np.uint64) + np.uint64(1)
    bits = numbers * _STEP + np.uint64(int(seed))
    for shift, factor in _FACTORS:
        bits = (bits ^ (bits >> shift)) * factor
    fates = (bits ^ (bits >> np.uint64(31))) >> np.uint64(11)
    kept = (fates / 2.0**53 >= options.dropout).reshape(shape)
    if steps is not None:
        kept = kept[steps]
    return torch.from_numpy(kept).to(x) * (1.0 / (1.0 - options.dropout))


def slopes(
    call: Call, options: Options, d_y: Tensor | None, d_last: Sequence[Tensor | None], again: bool
) -> tuple[Tensor | None, ...]:
    """The gradients of x, of the initial states and of the weights, to be differentiated `again` or not."""
    with torch.enable_grad():
        inputs = [_followed(tensor) for tensor in call.tensors]
        y, finals = run_plain(call.of(inputs), options)
        pairs = [(out, d) for out, d in zip([y, *finals], [d_y, *d_last], strict=True) if d is not None]
        outputs, gradients = zip(*pairs, strict=True)
        found: tuple[Tensor | None, ...] = torch.autograd.grad(
            outputs, inputs, gradients, create_graph=again, allow_unused=True
        )
        return found


def second_slopes(
    call: Call,
    options: Options,
    d_y: Tensor | None,
    d_last: Sequence[Tensor],
    asked: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Those of d_y, of d_last and of the call's tensors, where `slopes` has the gradients `asked`."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        given = [None if d is None else _followed(d) for d in (d_y, *d_last)]
        inputs = [_followed(tensor) for tensor in call.tensors]
        found = slopes(call.of(inputs), options, given[0], given[1:], True)
        pairs: list[tuple[Any, Any]] = list(zip(found, asked, strict=True))
        pairs = [(slope, d) for slope, d in pairs if slope is not None and d is not None]
        pairs = [(slope, d) for slope, d in pairs if slope.requires_grad]
        wanted = [tensor for tensor in (*given, *inputs) if tensor is not None]
        if not pairs:
            return [None] * len([*given, *inputs])
        outputs, gradients = zip(*pairs, strict=True)
        seconds = iter(torch.autograd.grad(outputs, wanted, gradients, create_graph=again, allow_unused=True))
    return [None if tensor is None else next(seconds) for tensor in (*given, *inputs)]


def _followed(tensor: Tensor) -> Tensor:
    """The tensor as one that gradients can be asked of, and behind which its own graph goes on."""
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach().requires_grad_()

"""A call as PyTorch differentiates it: as it is met, or as two operators in a compiled graph.

It must not know modules, nor what the kernels do.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import _core
from ._call import Call, Options, backward_call, forward_call


def _zeros_for_none(d_last: tuple[Tensor | None, ...], x: Tensor, shape: torch.Size) -> list[Tensor]:
    return [x.new_zeros(shape) if d is None else d for d in d_last]


class _Taped(torch.autograd.Function):
    """The way of a call that is run as it is met."""

    @staticmethod
    def forward(ctx: Any, options: Options, states: int, call: Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        del tensors  # x, the states and the weights of the call, for autograd to see
        y, finals, ctx.tape = forward_call(call, options, True)
        ctx.save_for_backward(call.x, *call[3:], *call.states, *call.weights)
        ctx.states, ctx.options, ctx.shape = states, options, finals[0].shape
        ctx.set_materialize_grads(False)
        return y, *finals

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_y: Tensor | None, *d_last: Tensor | None) -> tuple[Any, ...]:
        x, batch_sizes, resets, seed, *rest = ctx.saved_tensors
        call = Call(x, rest[: ctx.states], rest[ctx.states :], batch_sizes, resets, seed)
        tape, ctx.tape = ctx.tape, None
        d_finals = _zeros_for_none(d_last, x, ctx.shape)
        d_x, d_first, d_weights = backward_call(tape, call, ctx.options, d_y, d_finals)
        return None, None, None, d_x, *d_first[: ctx.states], *d_weights


# For torch.compile, which need not look inside, the same are two operators. Between them travels a tensor of
# one number, whose memory owns the tape: it goes when the graph goes.


class _Kept(np.ndarray[Any, Any]):
    """A number's memory, and the tape it stands for."""

    tape: _core.Tape | None


_kept: weakref.WeakValueDictionary[int, _Kept] = weakref.WeakValueDictionary()
_numbers = itertools.count()
_CALL = "Tensor x, Tensor[] states, Tensor[] weights, Tensor? batch_sizes, Tensor? resets, Tensor? seed"
_OPTIONS = "str cell, int num_layers, bool batch_first, float dropout, bool bidirectional"


@torch.library.custom_op(
    "gru_rs::rnn",
    mutates_args=(),
    schema=f"({_CALL}, {_OPTIONS}, bool training) -> (Tensor y, Tensor h_n, Tensor c_n, Tensor number)",
)
def _rnn(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of a GRU c_n is empty; without training the tape's number is."""
    call, options = Call(*arguments[:6]), Options(*arguments[6:-1])
    y, finals, tape = forward_call(call, options, arguments[-1])
    finals += [call.x.new_empty(0)] if options.states == 1 else []
    return y, finals[0], finals[1], _number_of(tape)


def _number_of(tape: _core.Tape | None) -> Tensor:
    """A tensor that owns the tape."""
    if tape is None:
        return torch.empty(0, dtype=torch.int64)
    number = next(_numbers)
    kept = np.array([number], np.int64).view(_Kept)
    kept.tape = tape
    _kept[number] = kept
    return torch.from_numpy(kept)


@_rnn.register_fake
def _(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    call, options, training = Call(*arguments[:6]), Options(*arguments[6:-1]), arguments[-1]
    hidden_size = call.weights[1].shape[1]
    batch = call.x.shape[0 if options.batch_first else 1]
    if call.batch_sizes is not None:
        batch = torch.library.get_ctx().new_dynamic_size()
    shape = (options.num_layers * options.directions, batch, hidden_size)
    y = call.x.new_empty((*call.x.shape[:-1], options.directions * hidden_size))
    cells = call.x.new_empty(shape if options.states == 2 else 0)
    return y, call.x.new_empty(shape), cells, call.x.new_empty(int(training), dtype=torch.int64)


@torch.library.custom_op(
    "gru_rs::rnn_backward",
    mutates_args=(),
    schema=f"(Tensor number, Tensor? d_y, Tensor[] d_last, {_CALL}, {_OPTIONS}) -> Tensor[]",
)
def _rnn_backward(number: Tensor, d_y: Tensor | None, d_last: list[Tensor], *arguments: Any) -> list[Tensor]:
    call, options = Call(*arguments[:6]), Options(*arguments[6:])
    kept, tape = _kept.get(int(number)), None
    if kept is not None:
        tape, kept.tape = kept.tape, None
    d_x, d_first, d_weights = backward_call(tape, call, options, d_y, d_last)
    return [d_x, *d_first, *(d.clone() for d in d_weights)]  # an operator's results may not share memory


@_rnn_backward.register_fake
def _(_number: Tensor, _d_y: Tensor | None, d_last: list[Tensor], *arguments: Any) -> list[Tensor]:
    call = Call(*arguments[:6])
    return [like.new_empty(like.shape) for like in (call.x, *d_last, *call.weights)]


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    call, options = Call(*inputs[:6]), Options(*inputs[6:-1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[-1], call.x, *call[3:], *call.states, *call.weights)
    ctx.states, ctx.options, ctx.shape = len(call.states), options, output[1].shape


def _in_graph(ctx: Any, d_y: Tensor | None, *d_finals: Tensor | None) -> tuple[Any, ...]:
    number, x, batch_sizes, resets, seed, *rest = ctx.saved_tensors
    call = Call(x, rest[: ctx.states], rest[ctx.states :], batch_sizes, resets, seed)
    states = ctx.options.states
    d_last = _zeros_for_none(d_finals[:states], x, ctx.shape)
    gradients = torch.ops.gru_rs.rnn_backward(number, d_y, d_last, *call, *ctx.options)
    d_x, d_first, d_weights = gradients[0], gradients[1 : 1 + states], gradients[1 + states :]
    return d_x, d_first if call.states else [], d_weights, None, None, None, *[None] * len(ctx.options), None


_rnn.register_autograd(_in_graph, setup_context=_setup_context)


def run_call(call: Call, options: Options) -> tuple[Tensor, list[Tensor]]:
    """y and the final states."""
    tensors = (call.x, *call.states, *call.weights)
    needed = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    if options.dropout > 0:  # masks are drawn from PyTorch's generator
        call = call._replace(seed=torch.randint(2**62, (), dtype=torch.int64))
    if torch.compiler.is_compiling():
        y, *finals, _ = torch.ops.gru_rs.rnn(*call, *options, needed or options.dropout > 0)
        return y, finals[: options.states]
    if needed:
        y, *finals = _Taped.apply(options, len(call.states), call, *tensors)
    else:
        with torch.no_grad():
            y, finals, _ = forward_call(call, options, options.dropout > 0)
    return y, finals

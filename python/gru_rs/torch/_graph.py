"""A call as PyTorch differentiates it: as it is met, or as two operators in a compiled graph.

It must not know modules, nor what the kernels do.
"""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad

from .. import _core
from ._call import Call, Options, backward_call, forward_call
from ._plain import second_slopes, slopes

if TYPE_CHECKING:
    from collections.abc import Sequence


def _zeros_for_none(d_last: Sequence[Tensor | None], x: Tensor, shape: Sequence[int]) -> list[Tensor]:
    return [x.new_zeros(shape) if d is None else d for d in d_last]


def is_transformed() -> bool:
    """Whether numbers may have more to them than the kernels see: torch.func's, or forward-mode's."""
    return bool(torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0)


def _save(ctx: Any, call: Call, *others: Tensor | None) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(*others, *call[3:], *call.tensors)
    ctx.states = len(call.states)


def _saved(ctx: Any, others: int) -> tuple[Call, list[Any]]:
    """The call, and as many tensors as were saved before it."""
    tensors = list(ctx.saved_tensors)
    behind = others + 3
    call = Call(tensors[behind], [], [], *tensors[others:behind])
    return call._replace(states=[call.x] * ctx.states).of(tensors[behind:]), tensors[:others]


class _Taped(torch.autograd.Function):
    """The way of a call that is run as it is met."""

    @staticmethod
    def forward(ctx: Any, options: Options, call: Call, *tensors: Tensor) -> tuple[Tensor | None, ...]:
        del tensors  # x, the states and the weights of the call, for autograd to see
        y, finals, ctx.tape = forward_call(call, options, True)
        _save(ctx, call)
        ctx.options, ctx.shape = options, finals[0].shape
        return y, *finals

    @staticmethod
    def backward(ctx: Any, d_y: Tensor | None, *d_last: Tensor | None) -> tuple[Any, ...]:
        call, _ = _saved(ctx, 0)
        d_finals, again = _zeros_for_none(d_last, call.x, ctx.shape), torch.is_grad_enabled()  # create_graph
        if is_transformed() or any(is_legacy_batchedtensor(d) for d in (d_y, *d_last) if d is not None):
            return None, None, *slopes(call, ctx.options, d_y, d_finals, again)
        tape, ctx.tape = ctx.tape, None
        if again:
            return None, None, *_Slopes.apply(ctx.options, tape, call, d_y, *d_finals, *call.tensors)
        d_x, d_first, d_weights = backward_call(tape, call, ctx.options, d_y, d_finals)
        return None, None, d_x, *d_first[: ctx.states], *d_weights


class _Slopes(torch.autograd.Function):
    """Backward where it may be differentiated itself: the kernels' numbers, PyTorch's derivatives of them."""

    @staticmethod
    def forward(
        ctx: Any, options: Options, tape: Any, call: Call, *tensors: Tensor | None
    ) -> tuple[Any, ...]:
        d_y, *d_last = tensors[: 1 + options.states]
        d_x, d_first, d_weights = backward_call(tape, call, options, d_y, d_last)
        _save(ctx, call, d_y, *d_last)
        ctx.options = options
        return d_x, *d_first[: len(call.states)], *d_weights

    @staticmethod
    def backward(ctx: Any, *asked: Tensor | None) -> tuple[Any, ...]:
        call, (d_y, *d_last) = _saved(ctx, 1 + ctx.options.states)
        return None, None, None, *second_slopes(call, ctx.options, d_y, d_last, asked)


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
    """Of a GRU c_n is empty, and y of a cell; without training the tape's number is."""
    call, options = Call(*arguments[:6]), Options(*arguments[6:-1])
    y, finals, tape = forward_call(call, options, arguments[-1])
    empty = call.x.new_empty(0)
    finals += [empty] if options.states == 1 else []
    return empty.clone() if y is None else y, finals[0], finals[1], _number_of(tape)


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
    batch = None if call.is_step else call.x.shape[0 if options.batch_first else 1]
    if call.batch_sizes is not None:
        batch = torch.library.get_ctx().new_dynamic_size()
    shape = call.state_shape(options, batch)
    y = call.x.new_empty(0 if call.is_step else (*call.x.shape[:-1], options.directions * shape[-1]))
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
    return [d_x, *d_first, *d_weights]


@_rnn_backward.register_fake
def _(_number: Tensor, _d_y: Tensor | None, d_last: list[Tensor], *arguments: Any) -> list[Tensor]:
    call = Call(*arguments[:6])
    return [like.new_empty(like.shape) for like in (call.x, *d_last, *call.weights)]


def _setup_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    del output
    _, d_y, d_last, *arguments = inputs
    _save(ctx, Call(*arguments[:6]), d_y, *d_last)
    ctx.options = Options(*arguments[6:])


def _second_in_graph(ctx: Any, asked: list[Tensor | None]) -> tuple[Any, ...]:
    states, own = ctx.options.states, ctx.states
    call, (d_y, *d_last) = _saved(ctx, 1 + states)
    asked = [*asked[: 1 + own], *asked[1 + states :]]  # those of states that were not given lead nowhere
    d_d_y, *rest = second_slopes(call, ctx.options, d_y, d_last, asked)
    d_d_last, d_x, rest = rest[:states], rest[states], rest[states + 1 :]
    return None, d_d_y, d_d_last, d_x, rest[:own], rest[own:], *[None] * (3 + len(ctx.options))


_rnn_backward.register_autograd(_second_in_graph, setup_context=_setup_backward)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    _save(ctx, Call(*inputs[:6]), output[-1])
    ctx.options, ctx.shape = Options(*inputs[6:-1]), output[1].shape


def _in_graph(ctx: Any, d_y: Tensor | None, *d_finals: Tensor | None) -> tuple[Any, ...]:
    call, (number,) = _saved(ctx, 1)
    states = ctx.options.states
    d_last = _zeros_for_none(d_finals[:states], call.x, ctx.shape)
    gradients = torch.ops.gru_rs.rnn_backward(number, d_y, d_last, *call, *ctx.options)
    d_x, d_first, d_weights = gradients[0], gradients[1 : 1 + states], gradients[1 + states :]
    return d_x, d_first if call.states else [], d_weights, None, None, None, *[None] * len(ctx.options), None


_rnn.register_autograd(_in_graph, setup_context=_setup_context)


def run_call(call: Call, options: Options) -> tuple[Any, list[Tensor]]:
    """y, which a cell has not, and the final states."""
    call = seeded(call, options)
    needed = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in call.tensors)
    if torch.compiler.is_compiling():
        y, *finals, _ = torch.ops.gru_rs.rnn(*call, *options, needed or options.dropout > 0)
        return y, finals[: options.states]
    if needed:
        y, *finals = _Taped.apply(options, call, *call.tensors)
    else:
        y, finals, _ = forward_call(call, options, options.dropout > 0)
    return y, finals


def seeded(call: Call, options: Options) -> Call:
    """With the seed of dropout's masks, which are drawn from PyTorch's generator."""
    if options.dropout > 0:
        return call._replace(seed=torch.randint(2**62, (), dtype=torch.int64))
    return call

"""PyTorch's recurrent modules on gru_rs's kernels (extra ``torch``).

`GRU`, `LSTM`, `GRUCell` and `LSTMCell` are `torch.nn`'s own classes with another forward: constructor,
parameters, state dict, checks and manners are inherited. `accelerate` turns the modules of a model into them,
in place. What they do not do, they leave to PyTorch: other devices and dtypes, autocast, projections,
tracing, export to ONNX and the transformations of ``torch.func``. A second derivative is an error.

Threads are gru_rs's own: `gru_rs.set_num_threads`. ``torch.compile`` breaks its graph at every GRU and LSTM,
unless ``torch._dynamo.config.allow_rnn`` is true: then these are one operator in it.

Examples
--------
>>> import torch
>>> import gru_rs.torch
>>> gru = gru_rs.torch.GRU(3, 8, batch_first=True)
>>> y, h_n = gru(torch.ones(2, 5, 3))
>>> y.sum().backward()
>>> y.shape, h_n.shape, gru.weight_ih_l0.grad.shape
(torch.Size([2, 5, 8]), torch.Size([1, 2, 8]), torch.Size([24, 3]))
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import weakref
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from . import _core

__all__ = ["GRU", "LSTM", "GRUCell", "LSTMCell", "accelerate", "restore"]

# One call ---------------------------------------------------------------------------------------------------

_layers: dict[int, tuple[weakref.ref[Tensor], Any, _core.Rnn]] = {}  # by a module's first parameter


class _Options(NamedTuple):
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
        return 2 if self.cell == "lstm" else 1


class _Call(NamedTuple):
    """The operators' arguments but for the options."""

    x: Tensor
    states: list[Tensor]
    weights: list[Tensor]
    batch_sizes: Tensor | None
    resets: Tensor | None
    seed: Tensor | None

    def arrays(self, options: _Options) -> tuple[Any, int, int, list[Any], list[int] | None]:
        """What the extension's layer takes, but for resets, without a copy where it can be."""
        x, states = _array(self.x), [_array(state) for state in self.states]
        if self.batch_sizes is None:
            batch, seq = x.shape[:2] if options.batch_first else x.shape[1::-1]
            return x, batch, seq, states, None
        mask = self.mask()
        return _padded(x, mask), mask.shape[1], mask.shape[0], states, mask.sum(0).tolist()

    def mask(self) -> Any:
        """Which rows of a packed sequence take which steps, (T, B)."""
        sizes = _array(self.batch_sizes)
        return np.arange(sizes[0]) < sizes[:, None]

    def work(self) -> int:
        """Floating-point operations, roughly."""
        steps = self.x.numel() // max(self.x.shape[-1], 1)
        return int(2 * steps * sum(weight.numel() for weight in self.weights))

    def layer(self, options: _Options) -> _core.Rnn:
        """The extension's with these weights: that of the call before if they have not changed."""
        first = self.weights[0]
        bias = len(self.weights) == 4 * options.num_layers * options.directions
        kind = (options, first.dtype, bias, first.shape)
        reference, known, layer = _layers.get(id(first), (None, None, None))
        if layer is None or reference is None or reference() is not first or known != kind:
            layer = _new_layer(options, first, bias)
            key = id(first)
            reference = weakref.ref(first, lambda _: _layers.pop(key, None))
        layer = layer.with_weights([_array(weight) for weight in self.weights])
        _layers[id(first)] = (reference, kind, layer)
        return layer

    def shaped(self, flat: Any, width: int) -> Tensor:
        """Numbers of all steps as x has its steps: packed, or of both axes."""
        if self.batch_sizes is None:
            return torch.from_numpy(flat).view(*self.x.shape[:2], width)
        mask = self.mask()
        return torch.from_numpy(flat.reshape(*mask.shape, width)[mask])


def _new_layer(options: _Options, w_ih: Tensor, bias: bool) -> _core.Rnn:
    rows, input_size = w_ih.shape
    functions = ("sigmoid", "tanh", None)
    return _core.Rnn(
        options.cell,
        str(w_ih.dtype).removeprefix("torch."),
        input_size,
        rows // (4 if options.cell == "lstm" else 3),
        options.num_layers,
        bias,
        options.batch_first,
        options.dropout,
        options.bidirectional,
        0,
        *functions,
    )


def _array(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


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


def _let_openmp_rest(call: _Call) -> None:
    if _pause is not None and call.work() > _LONG and _core.num_threads() > 1:
        _pause(_SOFT)


def _forward(call: _Call, options: _Options, training: bool) -> tuple[Tensor, list[Tensor], Any]:
    """y, the final states, and a tape, which is None without training."""
    _let_openmp_rest(call)
    layer, tape, given = call.layer(options), None, call.arrays(options)
    resets = None if call.resets is None else _array(call.resets)
    if training:
        seed = None if call.seed is None else int(call.seed)
        y, last, tape = layer.forward(*given, seed, False, resets)
    else:
        y, last = layer.run(*given, resets)
    scans, hidden_size = options.num_layers * options.directions, call.weights[1].shape[1]
    finals = [torch.from_numpy(state).view(scans, -1, hidden_size) for state in last]
    return call.shaped(y, options.directions * hidden_size), finals, tape


def _backward(
    tape: _core.Tape | None, call: _Call, options: _Options, d_y: Tensor | None, d_last: list[Tensor]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The gradients of x, of the initial states and of the weights, which lie in one buffer.

    A tape is good for one backward; for another, of a graph that was retained, forward runs again.
    """
    if tape is None:
        _, _, tape = _forward(call, options, True)
    _let_openmp_rest(call)
    grad = None if d_y is None else _array(d_y)
    if grad is not None and call.batch_sizes is not None:
        grad = _padded(grad, call.mask())
    d_x, d_first, flat = tape.backward(grad, [_array(d) for d in d_last])
    states = [torch.from_numpy(d).view(like.shape) for d, like in zip(d_first, d_last, strict=True)]
    parts = torch.from_numpy(flat).split([weight.numel() for weight in call.weights])
    weights = [part.view(weight.shape) for part, weight in zip(parts, call.weights, strict=True)]
    return call.shaped(d_x, call.x.shape[-1]), states, weights


def _zeros_for_none(d_last: tuple[Tensor | None, ...], x: Tensor, shape: torch.Size) -> list[Tensor]:
    return [x.new_zeros(shape) if d is None else d for d in d_last]


# In a graph -------------------------------------------------------------------------------------------------


class _Taped(torch.autograd.Function):
    """The way of a call that is run as it is met."""

    @staticmethod
    def forward(
        ctx: Any, options: _Options, states: int, call: _Call, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        del tensors  # x, the states and the weights of the call, for autograd to see
        y, finals, ctx.tape = _forward(call, options, True)
        ctx.save_for_backward(call.x, *call[3:], *call.states, *call.weights)
        ctx.states, ctx.options, ctx.shape = states, options, finals[0].shape
        ctx.set_materialize_grads(False)
        return y, *finals

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, d_y: Tensor | None, *d_last: Tensor | None) -> tuple[Any, ...]:
        x, batch_sizes, resets, seed, *rest = ctx.saved_tensors
        call = _Call(x, rest[: ctx.states], rest[ctx.states :], batch_sizes, resets, seed)
        tape, ctx.tape = ctx.tape, None
        d_finals = _zeros_for_none(d_last, x, ctx.shape)
        d_x, d_first, d_weights = _backward(tape, call, ctx.options, d_y, d_finals)
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
    call, options = _Call(*arguments[:6]), _Options(*arguments[6:-1])
    y, finals, tape = _forward(call, options, arguments[-1])
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
    call, options, training = _Call(*arguments[:6]), _Options(*arguments[6:-1]), arguments[-1]
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
    call, options = _Call(*arguments[:6]), _Options(*arguments[6:])
    kept, tape = _kept.get(int(number)), None
    if kept is not None:
        tape, kept.tape = kept.tape, None
    d_x, d_first, d_weights = _backward(tape, call, options, d_y, d_last)
    return [d_x, *d_first, *(d.clone() for d in d_weights)]  # an operator's results may not share memory


@_rnn_backward.register_fake
def _(_number: Tensor, _d_y: Tensor | None, d_last: list[Tensor], *arguments: Any) -> list[Tensor]:
    call = _Call(*arguments[:6])
    return [like.new_empty(like.shape) for like in (call.x, *d_last, *call.weights)]


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    call, options = _Call(*inputs[:6]), _Options(*inputs[6:-1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[-1], call.x, *call[3:], *call.states, *call.weights)
    ctx.states, ctx.options, ctx.shape = len(call.states), options, output[1].shape


def _in_graph(ctx: Any, d_y: Tensor | None, *d_finals: Tensor | None) -> tuple[Any, ...]:
    number, x, batch_sizes, resets, seed, *rest = ctx.saved_tensors
    call = _Call(x, rest[: ctx.states], rest[ctx.states :], batch_sizes, resets, seed)
    states = ctx.options.states
    d_last = _zeros_for_none(d_finals[:states], x, ctx.shape)
    gradients = torch.ops.gru_rs.rnn_backward(number, d_y, d_last, *call, *ctx.options)
    d_x, d_first, d_weights = gradients[0], gradients[1 : 1 + states], gradients[1 + states :]
    return d_x, d_first if call.states else [], d_weights, None, None, None, *[None] * len(ctx.options), None


_rnn.register_autograd(_in_graph, setup_context=_setup_context)


def _run(call: _Call, options: _Options) -> tuple[Tensor, list[Tensor]]:
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
            y, finals, _ = _forward(call, options, options.dropout > 0)
    return y, finals


# The modules ------------------------------------------------------------------------------------------------


def _is_here(x: Tensor, weight: Tensor) -> bool:
    """Whether the kernels can do it."""
    return (
        x.device.type == "cpu"
        and weight.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()
        and not torch.jit.is_tracing()
        and not torch.onnx.is_in_onnx_export()
    )


class _Layer(nn.RNNBase):
    """A stack of layers."""

    _cell: str

    def forward(self, input: Any, hx: Any = None, *, resets: Tensor | None = None) -> Any:  # noqa: A002 - PyTorch's name
        """As PyTorch's.

        And with `resets`, a tensor of bool shaped as the input without its last axis: True where a step
        begins a new sequence. The states before it are zeros, and gradients do not go beyond it.
        """
        packed = isinstance(input, PackedSequence)
        x = input.data if packed else input
        weights = [getattr(self, name) for name in self._flat_weights_names]
        here = not self.proj_size and x.dim() in (2, 3) and _is_here(x, weights[0])
        if resets is not None:
            self._check_resets(resets, x, here and not packed)
        if not here:
            return super().forward(input, hx)
        states = [] if hx is None else [hx] if self._cell == "gru" else list(hx)
        dropout = self.dropout if self.training and self.num_layers > 1 else 0.0
        options = _Options(self._cell, self.num_layers, self.batch_first, dropout, self.bidirectional)
        if packed:
            return self._packed(input, states, weights, options._replace(batch_first=False))
        axes = x.dim()
        if any(state.dim() != axes for state in states):
            got = [state.dim() for state in states]
            message = f"expected a hidden state of {axes} dimensions, as many as the input has, got {got}"
            raise RuntimeError(message)
        batch_axis = 0 if self.batch_first else 1
        if axes == 2:
            x, states = x.unsqueeze(batch_axis), [state.unsqueeze(1) for state in states]
            resets = None if resets is None else resets.unsqueeze(batch_axis)
        self._check(x, states, None)
        y, finals = _run(_Call(x, states, weights, None, resets, None), options)
        if axes == 2:
            y, finals = y.squeeze(batch_axis), [state.squeeze(1) for state in finals]
        return y, self._joined(finals)

    def _packed(
        self, given: PackedSequence, states: list[Tensor], weights: list[Tensor], options: _Options
    ) -> Any:
        data, sizes, order, back = given
        if order is not None:
            states = [state.index_select(1, order) for state in states]
        self._check(data, states, sizes)
        y, finals = _run(_Call(data, states, weights, sizes, None, None), options)
        if back is not None:
            finals = [state.index_select(1, back) for state in finals]
        return PackedSequence(y, sizes, order, back), self._joined(finals)

    @staticmethod
    def _check_resets(resets: Any, x: Tensor, possible: bool) -> None:
        if not possible:
            message = (
                "resets: expected an input in float32 or float64 on the CPU, not packed, of a layer without "
            )
            message += "projection: PyTorch has no resets of its own"
            raise RuntimeError(message)
        if not isinstance(resets, Tensor) or resets.dtype != torch.bool or resets.device.type != "cpu":
            is_tensor = isinstance(resets, Tensor)
            got = f"{resets.dtype} on {resets.device}" if is_tensor else type(resets).__name__
            message = f"resets: expected a tensor of bool on the CPU, got {got}"
            raise TypeError(message)
        if resets.shape != x.shape[:-1]:
            message = f"resets: expected shape {tuple(x.shape[:-1])}, got {tuple(resets.shape)}"
            raise ValueError(message)

    def _check(self, x: Tensor, states: list[Tensor], sizes: Tensor | None) -> None:
        self.check_input(x, sizes)
        for state in states:
            self.check_hidden_size(state, self.get_expected_hidden_size(x, sizes))

    def _joined(self, states: list[Tensor]) -> Any:
        return states[0] if self._cell == "gru" else tuple(states)


class GRU(_Layer, nn.GRU):
    """``torch.nn.GRU`` on gru_rs's kernels: the same arguments, parameters, inputs and results.

    Examples
    --------
    >>> gru = GRU(3, 8, num_layers=2, bidirectional=True)
    >>> gru.load_state_dict(torch.nn.GRU(3, 8, num_layers=2, bidirectional=True).state_dict())
    <All keys matched successfully>
    >>> y, h_n = gru(torch.ones(5, 2, 3))
    >>> y.shape, h_n.shape
    (torch.Size([5, 2, 16]), torch.Size([4, 2, 8]))
    """

    _cell = "gru"


class LSTM(_Layer, nn.LSTM):
    """``torch.nn.LSTM`` on gru_rs's kernels: the same arguments, parameters, inputs and results.

    Examples
    --------
    >>> y, (h_n, c_n) = LSTM(3, 8)(torch.ones(5, 2, 3))
    >>> y.shape, h_n.shape, c_n.shape
    (torch.Size([5, 2, 8]), torch.Size([1, 2, 8]), torch.Size([1, 2, 8]))
    """

    _cell = "lstm"


class _Cell(nn.RNNCellBase):
    """One step."""

    _cell: str

    def forward(self, input: Tensor, hx: Any = None) -> Any:  # noqa: A002 - PyTorch's name
        """As PyTorch's."""
        states = [] if hx is None else [hx] if self._cell == "gru" else list(hx)
        rows = input.shape[:-1]
        fits = input.dim() in (1, 2) and input.shape[-1] == self.input_size
        fits = fits and all(state.shape == (*rows, self.hidden_size) for state in states)
        if not fits or not _is_here(input, self.weight_ih):
            return super().forward(input, hx)  # which says what is wrong
        names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if self.bias else [])]
        weights = [getattr(self, name) for name in names]
        batch = (1, -1, self.hidden_size)
        states = [state.reshape(batch) for state in states]
        x = input.reshape(1, -1, self.input_size)
        options = _Options(self._cell, 1, False, 0.0, False)
        _, finals = _run(_Call(x, states, weights, None, None, None), options)
        shaped = [state.reshape(*rows, self.hidden_size) for state in finals]
        return shaped[0] if self._cell == "gru" else tuple(shaped)


class GRUCell(_Cell, nn.GRUCell):
    """``torch.nn.GRUCell`` on gru_rs's kernels.

    Examples
    --------
    >>> GRUCell(3, 8)(torch.ones(2, 3)).shape
    torch.Size([2, 8])
    """

    _cell = "gru"


class LSTMCell(_Cell, nn.LSTMCell):
    """``torch.nn.LSTMCell`` on gru_rs's kernels.

    Examples
    --------
    >>> h, c = LSTMCell(3, 8)(torch.ones(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 8]), torch.Size([2, 8]))
    """

    _cell = "lstm"


_ACCELERATED = {nn.GRU: GRU, nn.LSTM: LSTM, nn.GRUCell: GRUCell, nn.LSTMCell: LSTMCell}


def accelerate(model: nn.Module) -> nn.Module:
    """Run every GRU, LSTM, GRUCell and LSTMCell of a model on gru_rs's kernels, in place.

    Parameters stay the very same objects, so optimizers, hooks and references to the modules stay good; only
    the modules' class changes. Classes of your own that inherit from PyTorch's are left as they are.

    Parameters
    ----------
    model : torch.nn.Module
        It may be such a module itself.

    Returns
    -------
    torch.nn.Module
        The model.

    Raises
    ------
    ValueError
        It has no such module with its parameters on the CPU.
    TypeError
        It is no module.

    Examples
    --------
    >>> model = torch.nn.ModuleDict({"encoder": torch.nn.GRU(3, 8), "head": torch.nn.Linear(8, 2)})
    >>> type(accelerate(model)["encoder"])
    <class 'gru_rs.torch.GRU'>
    >>> type(restore(model)["encoder"])
    <class 'torch.nn.modules.rnn.GRU'>
    """
    return _changed(model, _ACCELERATED)


def restore(model: nn.Module) -> nn.Module:
    """Undo `accelerate`: PyTorch's own classes again, in place.

    Parameters
    ----------
    model : torch.nn.Module
        As given to `accelerate`.

    Returns
    -------
    torch.nn.Module
        The model.

    Raises
    ------
    ValueError
        There is nothing to undo.
    TypeError
        It is no module.

    Examples
    --------
    >>> type(restore(accelerate(torch.nn.GRU(3, 8))))
    <class 'torch.nn.modules.rnn.GRU'>
    """
    return _changed(model, {ours: theirs for theirs, ours in _ACCELERATED.items()})


def _changed(model: nn.Module, classes: dict[Any, Any]) -> nn.Module:
    if not isinstance(model, nn.Module):
        message = f"model: expected a torch.nn.Module, got {type(model).__name__}"
        raise TypeError(message)
    found = [module for module in model.modules() if type(module) in classes]
    found = [module for module in found if all(p.device.type == "cpu" for p in module.parameters())]
    if not found:
        names = ", ".join(f"{one.__module__.partition('.')[0]}'s {one.__name__}" for one in classes)
        message = (
            f"model: expected a module with one of {names} on the CPU, got a {type(model).__name__} without"
        )
        raise ValueError(message)
    for module in found:
        module.__class__ = classes[type(module)]
    return model

"""PyTorch's recurrent modules on gru_rs's kernels (extra ``torch``).

`GRU`, `LSTM`, `GRUCell` and `LSTMCell` are `torch.nn`'s own classes with another forward: constructor,
parameters, state dict, checks and manners are inherited. `accelerate` turns the modules of a model into them,
in place. What they do not do, they leave to PyTorch: other devices and dtypes, autocast, projections, tracing
and export to ONNX. A second derivative is an error, and so is ``torch.func.vmap``.

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

import itertools
import weakref
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils.weak import WeakIdKeyDictionary

from . import _core

__all__ = ["GRU", "LSTM", "GRUCell", "LSTMCell", "accelerate", "restore"]

# The operator -----------------------------------------------------------------------------------------------
#
# PyTorch sees two opaque operators, so that torch.compile need not look inside. Between them travels a tensor
# of one number, whose memory owns the tape: it goes when the graph goes. A tape is good for one backward;
# another, of a graph that was retained, runs forward again.


class _Kept(np.ndarray[Any, Any]):
    """A number's memory, and the tape it stands for."""

    tape: _core.Tape | None


_kept: weakref.WeakValueDictionary[int, _Kept] = weakref.WeakValueDictionary()
_numbers = itertools.count()
_cores: Any = WeakIdKeyDictionary()  # by a module's first parameter


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

    def state_shape(self, x: Tensor, weights: list[Tensor]) -> tuple[int, int, int]:
        """Of all layers and directions."""
        return self.num_layers * self.directions, x.shape[0 if self.batch_first else 1], weights[1].shape[1]


class _Call(NamedTuple):
    """The operators' arguments but for the options."""

    x: Tensor
    states: list[Tensor]
    weights: list[Tensor]
    lengths: Tensor | None
    seed: Tensor | None

    def arrays(self, options: _Options) -> tuple[Any, ...]:
        """What the extension's layer takes, without a copy where it can be."""
        batch, seq = self.x.shape[:2] if options.batch_first else self.x.shape[1::-1]
        lengths = None if self.lengths is None else self.lengths.tolist()
        return _array(self.x), batch, seq, [_array(state) for state in self.states], lengths

    def layer(self, options: _Options) -> _core.Rnn:
        """The extension's with these weights: that of the call before if they have not changed."""
        first, known = self.weights[0], None
        bias = len(self.weights) == 4 * options.num_layers * options.directions
        kind = (options, self.x.dtype, self.x.shape[-1], bias)
        if first in _cores:
            known = _cores[first]
        layer = known[1] if known is not None and known[0] == kind else None
        if layer is None:
            layer = _core.Rnn(
                options.cell,
                str(self.x.dtype).removeprefix("torch."),
                self.x.shape[-1],
                self.weights[1].shape[1],
                options.num_layers,
                bias,
                options.batch_first,
                options.dropout,
                options.bidirectional,
                0,
                "sigmoid",
                "tanh",
                None,
            )
        layer = layer.with_weights([_array(weight).ravel() for weight in self.weights])
        _cores[first] = (kind, layer)
        return layer

    def forward(self, options: _Options) -> tuple[Any, list[Any], _core.Tape]:
        """y, the final states and a tape."""
        x, batch, seq, states, lengths = self.arrays(options)
        seed = None if self.seed is None else int(self.seed)
        return self.layer(options).forward(x, batch, seq, states, lengths, seed, False)


def _array(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


_CALL = "Tensor x, Tensor[] states, Tensor[] weights, Tensor? lengths, Tensor? seed"
_OPTIONS = "str cell, int num_layers, bool batch_first, float dropout, bool bidirectional"


@torch.library.custom_op(
    "gru_rs::rnn",
    mutates_args=(),
    schema=f"({_CALL}, {_OPTIONS}, bool training) -> (Tensor y, Tensor h_n, Tensor c_n, Tensor number)",
)
def _rnn(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of a GRU c_n is empty; without training the tape's number is."""
    call, options, training = _Call(*arguments[:5]), _Options(*arguments[5:-1]), arguments[-1]
    tape = None
    if training:
        y, last, tape = call.forward(options)
    else:
        y, last = call.layer(options).run(*call.arrays(options))
    shape = options.state_shape(call.x, call.weights)
    finals = [torch.from_numpy(state).view(shape) for state in last]
    finals += [call.x.new_empty(0)] if options.states == 1 else []
    y_shape = (*call.x.shape[:2], options.directions * shape[-1])
    return torch.from_numpy(y).view(y_shape), finals[0], finals[1], _number_of(tape)


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
    call, options, training = _Call(*arguments[:5]), _Options(*arguments[5:-1]), arguments[-1]
    shape = options.state_shape(call.x, call.weights)
    y = call.x.new_empty((*call.x.shape[:2], options.directions * shape[-1]))
    cells = call.x.new_empty(shape if options.states == 2 else 0)
    return y, call.x.new_empty(shape), cells, call.x.new_empty(int(training), dtype=torch.int64)


@torch.library.custom_op(
    "gru_rs::rnn_backward",
    mutates_args=(),
    schema=f"(Tensor number, Tensor? d_y, Tensor[] d_states, {_CALL}, {_OPTIONS}) -> Tensor[]",
)
def _rnn_backward(number: Tensor, d_y: Tensor | None, d_last: list[Tensor], *arguments: Any) -> list[Tensor]:
    """The gradients of x, of the initial states (also when none were given), and of the weights."""
    call, options = _Call(*arguments[:5]), _Options(*arguments[5:])
    kept, tape = _kept.get(int(number)), None
    if kept is not None:
        tape, kept.tape = kept.tape, None
    if tape is None:
        _, _, tape = call.forward(options)
    d_x, d_first, flat = tape.backward(None if d_y is None else _array(d_y), [_array(d) for d in d_last])
    shape = options.state_shape(call.x, call.weights)
    states = [torch.from_numpy(d).view(shape) for d in d_first]
    parts = torch.from_numpy(flat).split([weight.numel() for weight in call.weights])
    # An operator's results may not share memory.
    weights = [part.clone().view(weight.shape) for part, weight in zip(parts, call.weights, strict=True)]
    return [torch.from_numpy(d_x).view(call.x.shape), *states, *weights]


@_rnn_backward.register_fake
def _(_number: Tensor, _d_y: Tensor | None, _d_last: list[Tensor], *arguments: Any) -> list[Tensor]:
    call, options = _Call(*arguments[:5]), _Options(*arguments[5:])
    shape = options.state_shape(call.x, call.weights)
    states = [call.x.new_empty(shape) for _ in range(options.states)]
    return [
        call.x.new_empty(call.x.shape),
        *states,
        *(weight.new_empty(weight.shape) for weight in call.weights),
    ]


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    call, options = _Call(*inputs[:5]), _Options(*inputs[5:-1])
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[-1], call.x, call.lengths, call.seed, *call.states, *call.weights)
    ctx.states, ctx.options = len(call.states), options


def _backward(
    ctx: Any, d_y: Tensor | None, d_h: Tensor | None, d_c: Tensor | None, _: Any
) -> tuple[Any, ...]:
    number, x, lengths, seed, *rest = ctx.saved_tensors
    call = _Call(x, rest[: ctx.states], rest[ctx.states :], lengths, seed)
    options = ctx.options
    shape = options.state_shape(x, call.weights)
    d_last = [x.new_zeros(shape) if d is None else d for d in (d_h, d_c)[: options.states]]
    gradients = torch.ops.gru_rs.rnn_backward(number, d_y, d_last, *call, *options)
    d_x, d_first, d_weights = gradients[0], gradients[1 : 1 + options.states], gradients[1 + options.states :]
    return d_x, d_first if call.states else [], d_weights, None, None, *[None] * len(options), None


_rnn.register_autograd(_backward, setup_context=_setup_context)


def _run(call: _Call, options: _Options) -> tuple[Tensor, list[Tensor]]:
    """y and the final states."""
    needed = torch.is_grad_enabled() and any(t.requires_grad for t in (call.x, *call.states, *call.weights))
    if options.dropout > 0:  # masks are drawn from PyTorch's generator
        call = call._replace(seed=torch.randint(2**62, (), dtype=torch.int64))
    y, *finals, _ = torch.ops.gru_rs.rnn(*call, *options, needed or options.dropout > 0)
    return y, finals[: options.states]


# The modules ------------------------------------------------------------------------------------------------


def _is_here(x: Tensor, weight: Tensor) -> bool:
    """Whether the kernels can do it."""
    return (
        x.device.type == "cpu"
        and weight.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and not torch.is_autocast_enabled("cpu")
        and not torch.jit.is_tracing()
        and not torch.onnx.is_in_onnx_export()
    )


class _Layer(nn.RNNBase):
    """A stack of layers."""

    _cell: str

    def forward(self, input: Any, hx: Any = None) -> Any:  # noqa: A002 - PyTorch's name
        """As PyTorch's."""
        packed = isinstance(input, PackedSequence)
        x = input.data if packed else input
        weights = [getattr(self, name) for name in self._flat_weights_names]
        if self.proj_size or x.dim() not in (2, 3) or not _is_here(x, weights[0]):
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
        self._check(x, states, None)
        y, finals = _run(_Call(x, states, weights, None, None), options)
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
        x, lengths = pad_packed_sequence(PackedSequence(data, sizes, None, None))
        y, finals = _run(_Call(x, states, weights, lengths, None), options)
        if back is not None:
            finals = [state.index_select(1, back) for state in finals]
        data = pack_padded_sequence(y, lengths).data
        return PackedSequence(data, sizes, order, back), self._joined(finals)

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
        _, finals = _run(_Call(x, states, weights, None, None), options)
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

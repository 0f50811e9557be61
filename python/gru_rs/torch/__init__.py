"""PyTorch's recurrent modules on gru_rs's kernels (extra ``torch``).

`GRU`, `LSTM`, `GRUCell` and `LSTMCell` are `torch.nn`'s own classes with another forward: constructor,
parameters, state dict, checks and manners are inherited. `accelerate` turns the modules of a model into them,
in place. What they do not do, they leave to PyTorch's own operators: other devices and dtypes, autocast,
projections, tracing, export, forward-mode, the transformations of ``torch.func``, and derivatives from the
second on, which ``torch.compile`` alone has of nothing: it says so.

``torch.jit.script`` makes PyTorch's own class of a module, and puts it into the model that it scripts: call
`accelerate` again. ``torch.ao.quantization`` goes by exact classes and would leave these in floats, with a
warning: call `restore` before.

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

import warnings
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.rnn import PackedSequence

from ._call import STATES, Call, Options
from ._graph import is_transformed, run_call, seeded
from ._plain import run_plain

__all__ = ["GRU", "LSTM", "GRUCell", "LSTMCell", "accelerate", "restore"]


_FLOATS = (torch.float32, torch.float64)
_is_exporting = getattr(torch.compiler, "is_exporting", torch.onnx.is_in_onnx_export)  # since PyTorch 2.7


def _is_here(x: Tensor, weight: Tensor) -> bool:
    """Whether the kernels can do it."""
    return (
        x.is_cpu
        and weight.is_cpu
        and x.dtype in _FLOATS
        and x.dtype == weight.dtype
        and not torch.is_autocast_enabled("cpu")
        and not is_transformed()
        and not torch.jit.is_tracing()
        and not _is_exporting()
    )


def _in_a_symbolic_trace(module: nn.Module, x: fx.Proxy, hx: Any, **more: Any) -> Any:
    """A node of a graph of torch.fx, which takes modules outside torch.nn apart unless they say this."""
    given = {name: value for name, value in more.items() if value is not None}
    return x.tracer.create_proxy("call_module", x.tracer.path_of_module(module), (x, hx), given)


class _Accelerated(nn.Module):
    """What layers and cells share."""

    _cell: str
    _theirs: Any

    def __prepare_scriptable__(self) -> nn.Module:  # torch.jit.script asks for it
        """PyTorch's own with the same parameters."""
        plain: nn.Module = self._theirs.__new__(self._theirs)
        plain.__dict__ = self.__dict__.copy()
        return plain

    @property
    def qconfig(self) -> Any:
        """As torch.ao.quantization sets it."""
        return self.__dict__.get("qconfig")

    @qconfig.setter
    def qconfig(self, value: Any) -> None:
        warnings.warn(
            f"torch.ao.quantization goes by PyTorch's exact classes and leaves a gru_rs.torch."
            f"{type(self).__name__} in floats; to quantize it, call gru_rs.torch.restore(model) before",
            stacklevel=2,
        )
        self.__dict__["qconfig"] = value

    @qconfig.deleter
    def qconfig(self) -> None:
        self.__dict__.pop("qconfig", None)

    def _weights(self, names: list[str]) -> list[Tensor]:
        own = self._parameters
        try:
            found: list[Any] = [own[name] for name in names]
        except KeyError:  # they are computed: weight_norm, pruning, parametrizations
            found = [getattr(self, name) for name in names]
        return found

    def _listed(self, hx: Any) -> list[Tensor]:
        return [] if hx is None else list(hx) if STATES[self._cell] > 1 else [hx]

    def _joined(self, states: list[Tensor]) -> Any:
        return tuple(states) if STATES[self._cell] > 1 else states[0]


class _Layer(_Accelerated, nn.RNNBase):
    """A stack of layers."""

    def forward(self, input: Any, hx: Any = None, resets: Tensor | None = None) -> Any:  # noqa: A002 - PyTorch's name
        """As PyTorch's.

        And with `resets`, a tensor of bool shaped as the input without its last axis: True where a step
        begins a new sequence. The states before it are zeros, and gradients do not go beyond it.
        """
        if isinstance(input, fx.Proxy):
            return _in_a_symbolic_trace(self, input, hx, resets=resets)
        packed = isinstance(input, PackedSequence)
        x = input.data if packed else input
        weights = self._weights(self._flat_weights_names)
        possible = not self.proj_size and x.dim() in (2, 3)
        here = possible and _is_here(x, weights[0])
        if resets is not None:
            self._check_resets(resets, x, possible and not packed)
        elif not here:
            return super().forward(input, hx)
        states = self._listed(hx)
        dropout = self.dropout if self.training and self.num_layers > 1 else 0.0
        options = Options(self._cell, self.num_layers, self.batch_first, dropout, self.bidirectional)
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
        call = Call(x, states, weights, None, resets, None)
        y: Any
        y, finals = run_call(call, options) if here else run_plain(seeded(call, options), options)
        if axes == 2:
            y, finals = y.squeeze(batch_axis), [state.squeeze(1) for state in finals]
        return y, self._joined(finals)

    def _packed(
        self, given: PackedSequence, states: list[Tensor], weights: list[Tensor], options: Options
    ) -> Any:
        data, sizes, order, back = given
        if order is not None:
            states = [state.index_select(1, order) for state in states]
        self._check(data, states, sizes)
        y, finals = run_call(Call(data, states, weights, sizes, None, None), options)
        if back is not None:
            finals = [state.index_select(1, back) for state in finals]
        return PackedSequence(y, sizes, order, back), self._joined(finals)

    @staticmethod
    def _check_resets(resets: Any, x: Tensor, possible: bool) -> None:
        if not possible:
            message = "resets: expected an input of 2 or 3 axes, not packed, of a layer without projection"
            raise RuntimeError(message)
        if not isinstance(resets, Tensor) or resets.dtype != torch.bool or resets.device != x.device:
            is_tensor = isinstance(resets, Tensor)
            got = f"{resets.dtype} on {resets.device}" if is_tensor else type(resets).__name__
            message = f"resets: expected a tensor of bool on the {x.device} as the input is, got {got}"
            raise TypeError(message)
        if resets.shape != x.shape[:-1]:
            message = f"resets: expected shape {tuple(x.shape[:-1])}, got {tuple(resets.shape)}"
            raise ValueError(message)

    def _check(self, x: Tensor, states: list[Tensor], sizes: Tensor | None) -> None:
        self.check_input(x, sizes)
        for state in states:
            self.check_hidden_size(state, self.get_expected_hidden_size(x, sizes))


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
    _theirs = nn.GRU


class LSTM(_Layer, nn.LSTM):
    """``torch.nn.LSTM`` on gru_rs's kernels: the same arguments, parameters, inputs and results.

    Examples
    --------
    >>> y, (h_n, c_n) = LSTM(3, 8)(torch.ones(5, 2, 3))
    >>> y.shape, h_n.shape, c_n.shape
    (torch.Size([5, 2, 8]), torch.Size([1, 2, 8]), torch.Size([1, 2, 8]))
    """

    _cell = "lstm"
    _theirs = nn.LSTM


class _Cell(_Accelerated, nn.RNNCellBase):
    """One step."""

    def forward(self, input: Tensor, hx: Any = None) -> Any:  # noqa: A002 - PyTorch's name
        """As PyTorch's."""
        if isinstance(input, fx.Proxy):
            return _in_a_symbolic_trace(self, input, hx)
        states, shape = self._listed(hx), input.shape
        state_shape = (*shape[:-1], self.hidden_size)
        fits = len(shape) in (1, 2) and shape[-1] == self.input_size
        fits = fits and all(state.shape == state_shape for state in states)
        weights = self._weights(_NAMES[bool(self.bias)])
        if not fits or not _is_here(input, weights[0]):
            return super().forward(input, hx)  # which says what is wrong
        _, finals = run_call(Call(input, states, weights, None, None, None), _STEP[self._cell])
        return self._joined(finals)


_NAMES = {True: ["weight_ih", "weight_hh", "bias_ih", "bias_hh"], False: ["weight_ih", "weight_hh"]}
_STEP = {cell: Options(cell, 1, False, 0.0, False) for cell in STATES}


class GRUCell(_Cell, nn.GRUCell):
    """``torch.nn.GRUCell`` on gru_rs's kernels.

    Examples
    --------
    >>> GRUCell(3, 8)(torch.ones(2, 3)).shape
    torch.Size([2, 8])
    """

    _cell = "gru"
    _theirs = nn.GRUCell


class LSTMCell(_Cell, nn.LSTMCell):
    """``torch.nn.LSTMCell`` on gru_rs's kernels.

    Examples
    --------
    >>> h, c = LSTMCell(3, 8)(torch.ones(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 8]), torch.Size([2, 8]))
    """

    _cell = "lstm"
    _theirs = nn.LSTMCell


_ACCELERATED = {one._theirs: one for one in (GRU, LSTM, GRUCell, LSTMCell)}


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
        kinds = {type(module): type(module).__name__ for module in model.modules()}
        already = sorted(kinds[kind] for kind in kinds if kind in classes.values())
        others = sorted(
            word for kind, word in kinds.items() if issubclass(kind, tuple(classes)) and kind not in classes
        )
        got = f"a {type(model).__name__} without"
        if already:
            got = f"a {type(model).__name__} where that was done already, of {', '.join(already)}"
        elif others:
            got = f"a {type(model).__name__} with classes of their own, {', '.join(others)}"
        message = f"model: expected a module with one of {names} on the CPU, got {got}"
        raise ValueError(message)
    for module in found:
        module.__class__ = classes[type(module)]
    return model

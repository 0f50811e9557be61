"""PyTorch: nn.GRU, nn.LSTM (oneDNN) and nn.GRUCell; ragged batches as packed sequences."""

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from . import Job

NAME = "pytorch"


def version():
    return torch.__version__


def use_threads(count):
    torch.set_num_threads(count)


def forward(work):
    net, x, state = _caller(work, _net(work)), torch.from_numpy(work.x), _state(work)

    def run():
        with torch.inference_mode():
            return net(x, state)

    def read(answer):
        y, last = answer
        last = last if isinstance(last, tuple) else (last,)
        return {"y": y.numpy(), **{n: s.numpy() for n, s in zip(("h_n", "c_n"), last, strict=False)}}

    return {NAME: Job(run, read)}


def training(work):
    net = _net(work)
    x, state = torch.from_numpy(work.x).requires_grad_(), _state(work, grad=True)
    dy = torch.from_numpy(work.dy)
    params = list(net.parameters())
    weights = [p.detach().clone() for p in params]
    states = [state] if work.kind == "gru" else list(state)
    call = _caller(work, net)
    names = ["d_x", *("d_h0", "d_c0")[: len(states)], *(f"d_{name}" for name in work.weights)]

    def run():
        with torch.no_grad():
            for param, value in zip(params, weights, strict=True):
                param.copy_(value)
        y, _ = call(x, state)
        return y, torch.autograd.grad(y, [x, *states, *params], dy)

    def read(answer):
        y, grads = answer
        return {"y": y.detach().numpy(), **{n: g.numpy() for n, g in zip(names, grads, strict=True)}}

    return {NAME: Job(run, read)}


def steps(work):
    return {f"{NAME}, GRU": _layer_step(work), f"{NAME}, GRUCell": _cell_step(work)}


def _layer_step(work):
    net, x = _net(work), work.x[0]
    h = torch.zeros(1, work.point.hidden)

    def run():
        nonlocal h
        with torch.inference_mode():
            y, h = net(torch.from_numpy(x), h)
            return y.numpy()

    return Job(run, lambda y: {"y": y})


def _cell_step(work):
    cell, x = torch.nn.GRUCell(work.point.input, work.point.hidden), work.x[0]
    cell.load_state_dict({name.removesuffix("_l0"): torch.from_numpy(w) for name, w in work.weights.items()})
    h = torch.zeros(1, work.point.hidden)

    def run():
        nonlocal h
        with torch.inference_mode():
            h = cell(torch.from_numpy(x), h)
            return h.numpy()

    return Job(run, lambda y: {"y": y})


def _net(work):
    kind = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[work.kind]
    dtype = torch.from_numpy(work.x).dtype
    net = kind(work.point.input, work.point.hidden, dtype=dtype)
    net.load_state_dict({name: torch.from_numpy(w) for name, w in work.weights.items()})
    return net


def _caller(work, net):
    """A ragged batch is packed and padded anew in each call: its lengths are the call's."""
    if work.lengths is None:
        return net
    lengths, seq = torch.from_numpy(work.lengths), work.point.seq

    def call(x, state):
        y, last = net(pack_padded_sequence(x, lengths, enforce_sorted=False), state)
        return pad_packed_sequence(y, total_length=seq)[0], last

    return call


def _state(work, grad=False):
    state = tuple(torch.from_numpy(s).clone().requires_grad_(grad) for s in work.state)
    return state[0] if work.kind == "gru" else state

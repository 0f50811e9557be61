"""What every answer must be: PyTorch in float64, and for reset-before, which it lacks, the equations over its
autograd. Slow, and no engine under test shares its code path in float32."""

import torch

from .workload import valid


def forward(work):
    """Returns {"y", "h_n"} and for an LSTM "c_n"."""
    with torch.inference_mode():
        y, last = _run(work, *_tensors(work))
    if work.lengths is not None:
        return {
            "y": _masked(work, y.numpy()),
            "h_n": y.numpy()[work.lengths - 1, range(work.point.batch)][None],
        }
    return {"y": y.numpy(), **{name: s.numpy() for name, s in zip(("h_n", "c_n"), last, strict=False)}}


def training(work):
    """Returns y and the gradients of x, the initial state and every parameter by dy, as "d_" + name."""
    x, state, weights = _tensors(work)
    leaves = {"x": x, **dict(zip(("h0", "c0"), state, strict=False)), **weights}
    for leaf in leaves.values():
        leaf.requires_grad_()
    y, _ = _run(work, x, state, weights)
    grads = torch.autograd.grad(y, list(leaves.values()), torch.from_numpy(work.dy).double())
    answer = {f"d_{name}": grad.numpy() for name, grad in zip(leaves, grads, strict=True)}
    return {"y": _masked(work, y.detach().numpy()), **answer}


def steps(work, count):
    """Returns {"y"}: the state after `count` steps from zero, each with the first x."""
    x, state, weights = _tensors(work)
    state = tuple(torch.zeros_like(s) for s in state)
    with torch.inference_mode():
        y, _ = _run(work, x[:1].expand(count, -1, -1), state, weights)
    return {"y": y[-1].numpy()}


def _masked(work, y):
    return y if work.lengths is None else y * valid(work.lengths, work.point.seq)[..., None]


def _tensors(work):
    def double(array):
        return torch.from_numpy(array).double()

    return double(work.x), tuple(map(double, work.state)), {k: double(v) for k, v in work.weights.items()}


def _run(work, x, state, weights):
    if work.kind == "gru" and not work.reset_after:
        return _gru_reset_before(x, state[0], *weights.values())
    layer, state = (torch.gru, state[0]) if work.kind == "gru" else (torch.lstm, state)
    y, *last = layer(x, state, list(weights.values()), True, 1, 0.0, False, False, False)
    return y, last


def _gru_reset_before(x, h0, w_ih, w_hh, b_ih, b_hh):
    hidden = h0.shape[-1]
    gates_x = x @ w_ih.T + b_ih
    h, outputs = h0[0], []
    for gate_x in gates_x:
        rz = torch.sigmoid(gate_x[:, : 2 * hidden] + h @ w_hh[: 2 * hidden].T + b_hh[: 2 * hidden])
        r, z = rz.split(hidden, dim=1)
        n = torch.tanh(gate_x[:, 2 * hidden :] + (r * h) @ w_hh[2 * hidden :].T + b_hh[2 * hidden :])
        h = (1 - z) * n + z * h
        outputs.append(h)
    return torch.stack(outputs), (h[None],)

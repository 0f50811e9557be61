"""Rounding errors of gru_rs and of PyTorch side by side, against the NumPy reference in float64.

    python benches/accuracy.py [--shape T,B,I,H] [--draws N]

Both get the same weights, inputs and output gradients, forward and backward. An error is max |value -
reference| / max |reference| of an array. The largest of many roundings scatters by a factor of two from one
draw of random numbers to the next, on both sides, so the columns hold the mean over the draws, and the last
one the worst single draw. The bars: in float32 at most twice PyTorch's own error, in float64 at most 1e-12;
the exit status is 1 when a mean misses one. PyTorch has no GRU that resets before the product: there it is a
loop over torch operations with autograd. Needs gru_rs, numpy and torch.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import gru_rs
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "python"))
import numpy_reference

LARGEST_RATIO = 2.0  # gru_rs's float32 error over PyTorch's
LARGEST_F64 = 1e-12
KINDS = ("gru", "gru_reset_before", "lstm")


def inputs(kind, shape, dtype, seed):
    """x, first states, dy and gradients of the last states (one each for a GRU, two for an LSTM)."""
    seq, batch, input_size, hidden = shape
    rng = np.random.default_rng(seed)
    parts = 2 if kind == "lstm" else 1
    arrays = (
        rng.standard_normal((seq, batch, input_size)),
        rng.standard_normal((parts, 1, batch, hidden)),
        rng.standard_normal((seq, batch, hidden)),
        rng.standard_normal((parts, 1, batch, hidden)),
    )
    return [v.astype(dtype) for v in arrays]


def pack(parts):
    """A state as a layer takes it: an array, or the pair of an LSTM."""
    return parts[0] if len(parts) == 1 else tuple(parts)


def run_reference(kind, weights, x, first, dy, d_last):
    cell = "lstm" if kind == "lstm" else "gru"
    y, last, cache = numpy_reference.forward(cell, weights, x, pack(first), reset_after=kind == "gru")
    return numpy_reference.results(y, last, *numpy_reference.backward(cache, dy, pack(d_last)))


def run_gru_rs(layer, x, first, dy, d_last):
    y, last, tape = layer.forward(x, pack(first))
    grads = tape.backward(dy, pack(d_last))
    return numpy_reference.results(y, last, grads.x, grads.h0, grads.params)


def run_torch(kind, weights, x, first, dy, d_last):
    x, first = torch.tensor(x, requires_grad=True), torch.tensor(first, requires_grad=True)
    if kind == "gru_reset_before":
        params = {k: torch.tensor(v, requires_grad=True) for k, v in weights.items()}
        y = torch_reset_before(params, x, first[0, 0])
        last = y[-1:]
    else:
        module = torch.nn.GRU if kind == "gru" else torch.nn.LSTM
        module = module(x.shape[2], first.shape[3], dtype=x.dtype)
        module.load_state_dict({k: torch.tensor(v) for k, v in weights.items()})
        params = dict(module.named_parameters())
        y, last = module(x, pack(first.unbind()))
    last = torch.stack(numpy_reference.as_tuple(last))
    ((y * torch.tensor(dy)).sum() + (last * torch.tensor(d_last)).sum()).backward()
    gradients = {k: v.grad.numpy() for k, v in params.items()}
    y, last = y.detach().numpy(), pack(last.detach().numpy())
    return numpy_reference.results(y, last, x.grad.numpy(), pack(first.grad.numpy()), gradients)


def torch_reset_before(params, x, h):
    """y of the GRU with n = tanh(W_in x + b_in + W_hn (r * h) + b_hn)."""
    w_rz, w_n = params["weight_hh_l0"].split([2 * h.shape[1], h.shape[1]])
    b_rz, b_n = params["bias_hh_l0"].split([2 * h.shape[1], h.shape[1]])
    projected = x @ params["weight_ih_l0"].T + params["bias_ih_l0"]
    y = []
    for x_rz, x_n in zip(*projected.split([2 * h.shape[1], h.shape[1]], dim=2), strict=True):
        r, z = torch.sigmoid(x_rz + h @ w_rz.T + b_rz).chunk(2, dim=1)
        n = torch.tanh(x_n + (r * h) @ w_n.T + b_n)
        h = (1 - z) * n + z * h
        y.append(h)
    return torch.stack(y)


def errors(kind, shape, dtype, seed):
    """For each result of a kind gru_rs's error and PyTorch's."""
    if kind == "lstm":
        layer = gru_rs.LSTM(*shape[2:], dtype=dtype, seed=seed)
    else:
        layer = gru_rs.GRU(*shape[2:], reset_after=kind == "gru", dtype=dtype, seed=seed)
    weights, arrays = layer.state_dict(), inputs(kind, shape, dtype, seed)
    expected = run_reference(kind, weights, *arrays)
    answers = run_gru_rs(layer, *arrays), run_torch(kind, weights, *arrays)
    return {k: [numpy_reference.relative_error(a[k], v) for a in answers] for k, v in expected.items()}


def ratio(ours, theirs):
    return ours / theirs if theirs else float("inf") if ours else 1.0


def table(shape, draws):
    """Print a row for each result and return how many miss their bar."""
    print(f"{'kind':<17} {'dtype':<8} {'result':<18} {'gru_rs':>9} {'torch':>9} {'ratio':>6} {'worst':>6}")
    missed = 0
    for dtype in (np.float32, np.float64):
        for kind in KINDS:
            drawn = [errors(kind, shape, dtype, seed) for seed in range(1, draws + 1)]
            for name in drawn[0]:
                ours, theirs = np.mean([d[name] for d in drawn], axis=0)
                good = ours <= LARGEST_F64 if dtype is np.float64 else ratio(ours, theirs) <= LARGEST_RATIO
                missed += not good
                worst = max(ratio(*d[name]) for d in drawn)
                row = f"{kind:<17} {dtype.__name__:<8} {name:<18} {ours:9.2e} {theirs:9.2e}"
                print(f"{row} {ratio(ours, theirs):6.2f} {worst:6.2f}" + ("" if good else "  above the bar"))
    return missed


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shape", default="100,64,256,256", help="T,B,I,H (default %(default)s)")
    parser.add_argument("--draws", type=int, default=5, help="random problems a row (default %(default)s)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    versions = f"torch {torch.__version__}, numpy {np.__version__}"
    print(f"T,B,I,H = {arguments.shape}; {arguments.draws} draws; {versions}")
    missed = table([int(n) for n in arguments.shape.split(",")], arguments.draws)
    print(f"{missed} of the results above their bar" if missed else "every result within its bar")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

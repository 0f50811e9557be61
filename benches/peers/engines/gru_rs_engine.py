"""gru_rs, through its public Python interface."""

from functools import partial

import gru_rs
import numpy as np

from . import Job

NAME = "gru_rs"


def version():
    return gru_rs.__version__


def use_threads(count):
    gru_rs.set_num_threads(count)


def fma_peak():
    """GFLOP/s of fused multiply-adds in registers, float32, this core; None where the core cannot tell."""
    measure = getattr(gru_rs._core, "fma_peak", None)
    return measure() if measure else None


def forward(work):
    layer, state = _layer(work), _state(work)

    def read(answer):
        y, last = answer
        return {"y": y, **_named("h_n c_n", last)}

    return {NAME: Job(partial(layer, work.x, state, lengths=work.lengths), read)}


def training(work):
    layer, state = _layer(work), _state(work)
    weights = layer.flat.copy()

    def run():
        layer.set_flat(weights)
        y, _, tape = layer.forward(work.x, state, lengths=work.lengths)
        return y, tape.backward(work.dy)

    def read(answer):
        y, grads = answer
        params = {f"d_{name}": grad for name, grad in grads.params.items()}
        return {"y": y, "d_x": grads.x, **_named("d_h0 d_c0", grads.h0), **params}

    return {NAME: Job(run, read)}


def with_threads(job, count):
    """The same job on so many threads, so that two numbers of threads can take turns in one process."""

    def run():
        gru_rs.set_num_threads(count)
        return job.run()

    return Job(run, job.read)


def steps(work):
    layer = _layer(work)
    x = np.ascontiguousarray(work.x[0, 0])
    buffer = np.empty(work.point.hidden, work.dtype)
    return {
        NAME: Job(partial(layer.stream(), x), _read_step),
        f"{NAME}, out=": Job(partial(layer.stream(), x, out=buffer), _read_step),
    }


def _read_step(y):
    return {"y": y}


def _layer(work):
    sizes = work.point.input, work.point.hidden
    if work.kind == "gru":
        layer = gru_rs.GRU(*sizes, reset_after=work.reset_after, dtype=work.dtype)
    else:
        layer = gru_rs.LSTM(*sizes, dtype=work.dtype)
    layer.load_state_dict(work.weights)
    return layer


def _state(work):
    return work.state[0] if work.kind == "gru" else work.state


def _named(names, arrays):
    return dict(zip(names.split(), arrays if isinstance(arrays, tuple) else (arrays,), strict=False))

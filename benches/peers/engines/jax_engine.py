"""JAX: one jitted scan, the inputs projected for all steps at once, weights transposed as XLA likes them.
A ragged batch is masked: behind a row's end the state stays and the output is zero."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from . import Job

NAME = "jax"


def version():
    return jax.__version__


def use_threads(_):
    """XLA takes as many as the process has cores when it starts, and can be told nothing else."""


def forward(work):
    if not _written_here(work):
        return {}
    params, x, h0, lengths = *_device(work), _lengths(work)

    def read(answer):
        y, h_n = answer
        return {"y": y, "h_n": h_n}

    run = jax.jit(_gru)
    return {NAME: Job(lambda: jax.block_until_ready(run(params, x, h0, lengths)), read)}


def training(work):
    if not _written_here(work):
        return {}
    _, x, h0 = _device(work)
    lengths = _lengths(work)
    dy = jax.device_put(work.dy)
    weights = _transposed(work)

    @jax.jit
    def gradients(params, x, h0, dy, lengths):
        y, pull = jax.vjp(lambda *leaves: _gru(*leaves, lengths)[0], params, x, h0)
        return y, *pull(dy)

    def run():
        params = [jnp.array(w) for w in weights]  # written anew, like the other engines' weights
        return jax.block_until_ready(gradients(params, x, h0, dy, lengths))

    def read(answer):
        y, params, d_x, d_h0 = answer
        named = {f"d_{name}": np.asarray(p).T for name, p in zip(work.weights, params, strict=True)}
        return {"y": y, "d_x": d_x, "d_h0": d_h0, **named}

    return {NAME: Job(run, read)}


def steps(work):
    params, _, _ = _device(work)
    step = jax.jit(lambda params, x, h: _cell(params, x @ params[0] + params[2], h))
    h = jnp.zeros((1, work.point.hidden))

    def run():
        nonlocal h
        h = step(params, work.x[0], h)
        return np.asarray(h)

    return {NAME: Job(run, lambda y: {"y": y})}


def _gru(params, x, h0, lengths):
    def step(h, gates_x):
        h = _cell(params, gates_x, h)
        return h, h

    def masked_step(h, inputs):
        gates_x, t = inputs
        inside = (t < lengths)[:, None]
        after = _cell(params, gates_x, h)
        return jnp.where(inside, after, h), jnp.where(inside, after, 0)

    gates = x @ params[0] + params[2]
    if lengths is None:
        h_n, y = jax.lax.scan(step, h0[0], gates)
    else:
        h_n, y = jax.lax.scan(masked_step, h0[0], (gates, jnp.arange(x.shape[0])))
    return y, h_n


def _cell(params, gates_x, h):
    _, w_hh, _, b_hh = params
    split = partial(jnp.split, indices_or_sections=3, axis=1)
    (x_r, x_z, x_n), (h_r, h_z, h_n) = split(gates_x), split(h @ w_hh + b_hh)
    r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
    n = jnp.tanh(x_n + r * h_n)
    return (1 - z) * n + z * h


def _written_here(work):
    """Float64 would have to be turned on for the whole process, and slow the rest."""
    return work.kind == "gru" and work.dtype == np.float32


def _lengths(work):
    return None if work.lengths is None else jnp.asarray(work.lengths)


def _transposed(work):
    return [np.ascontiguousarray(w.T) for w in work.weights.values()]


def _device(work):
    return jax.device_put((_transposed(work), work.x, work.state[0]))

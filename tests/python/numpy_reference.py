"""The GRU and the LSTM in plain NumPy, forward and backward, straight from the equations.

This is the judge of the Python tests. It shares no code with the crate, knows nothing of `gru_rs`, and is
written to be read: one function for a step, one for its derivative, one for a direction, and layers on top.
It works in float64 unless told otherwise, whatever the dtype of its arguments.

Weights are a dict with PyTorch's names and shapes (`weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`,
`bias_hh_l0`, `*_reverse`, `*_l1` ...). A state is one array for the GRU and the pair `(h, c)` for the LSTM.
Inside this file it is always a tuple, so that both kinds share everything but their step.
"""

import numpy as np


def as_tuple(state):
    return tuple(state) if isinstance(state, (tuple, list)) else (state,)


def name_parts(h, c, state):
    """{h: state} for a GRU's state, {h: ..., c: ...} for an LSTM's pair."""
    return dict(zip((h, c), as_tuple(state), strict=False))


def results(y, last, d_x, d_first, d_params):
    """What a forward and a backward pass give as one dict of arrays; a cell has no y (None)."""
    out = ({} if y is None else {"y": y}) | name_parts("h_n", "c_n", last) | {"grad/x": d_x}
    return out | name_parts("grad/h0", "grad/c0", d_first) | {f"grad/{k}": v for k, v in d_params.items()}


def relative_error(actual, expected):
    """max |actual - expected| / max |expected|, in float64; NaN if a NaN stands anywhere, 0 for empty."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    if actual.shape != expected.shape:
        raise AssertionError(f"shape {actual.shape}, expected {expected.shape}")
    error = np.abs(actual - expected).max(initial=0)
    return 0.0 if error == 0 else error / np.abs(expected).max()


def sigmoid(v):
    """1 / (1 + exp(-v)), written so that exp never overflows."""
    e = np.exp(-np.abs(v))
    return np.where(v >= 0, 1 / (1 + e), e / (1 + e))


# One step ---------------------------------------------------------------------------------------------------
#
# `w` is (w_ih, w_hh, b_ih, b_hh) of one direction of one layer; a layer without bias has zeros. A forward
# step takes x (B, I) and the state and returns the new state with what its derivative needs. A backward step
# takes the gradient of the new state and returns those of x, of the state and of the four weights.


def gru_step(w, x, state, reset_after):
    """One GRU step.

    r  = sigmoid(W_ir x + b_ir + W_hr h + b_hr)
    z  = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
    n  = tanh(W_in x + b_in + r * (W_hn h + b_hn))      reset_after
    n  = tanh(W_in x + b_in + W_hn (r * h) + b_hn)      not reset_after
    h' = (1 - z) * n + z * h
    """
    w_ih, w_hh, b_ih, b_hh = w
    (h,) = state
    w_hr, w_hz, w_hn = np.split(w_hh, 3)
    b_hr, b_hz, b_hn = np.split(b_hh, 3)
    x_r, x_z, x_n = np.split(x @ w_ih.T + b_ih, 3, axis=1)

    r = sigmoid(x_r + h @ w_hr.T + b_hr)
    z = sigmoid(x_z + h @ w_hz.T + b_hz)
    if reset_after:
        recurrent = h @ w_hn.T + b_hn
        n = np.tanh(x_n + r * recurrent)
    else:
        recurrent = (r * h) @ w_hn.T + b_hn
        n = np.tanh(x_n + recurrent)
    return ((1 - z) * n + z * h,), (x, h, r, z, n, recurrent)


def gru_step_backward(w, saved, d_state, reset_after):
    """The derivative of `gru_step`; `d_` + a name is the gradient of the loss in it.

    With a_r, a_z, a_n for what the three activations are applied to:
    dz = dh' * (h - n)         da_z = dz * z (1 - z)
    dn = dh' * (1 - z)         da_n = dn * (1 - n^2)
    dr = da_n * (W_hn h + b_hn)    or    h * (W_hn' da_n)    da_r = dr * r (1 - r)
    """
    w_ih, w_hh, _, _ = w
    (d_new,) = d_state
    x, h, r, z, n, recurrent = saved
    w_hr, w_hz, w_hn = np.split(w_hh, 3)

    d_a_z = d_new * (h - n) * z * (1 - z)
    d_a_n = d_new * (1 - z) * (1 - n * n)
    d_h = d_new * z
    if reset_after:
        d_r = d_a_n * recurrent
        d_recurrent = d_a_n * r
        d_h = d_h + d_recurrent @ w_hn
        d_w_hn = d_recurrent.T @ h
    else:
        d_recurrent = d_a_n
        d_reset_h = d_recurrent @ w_hn
        d_r = d_reset_h * h
        d_h = d_h + d_reset_h * r
        d_w_hn = d_recurrent.T @ (r * h)
    d_a_r = d_r * r * (1 - r)
    d_h = d_h + d_a_r @ w_hr + d_a_z @ w_hz

    d_gates = np.concatenate([d_a_r, d_a_z, d_a_n], axis=1)
    d_w_hh = np.concatenate([d_a_r.T @ h, d_a_z.T @ h, d_w_hn])
    d_b_hh = np.concatenate([d_a_r, d_a_z, d_recurrent], axis=1).sum(axis=0)
    return d_gates @ w_ih, (d_h,), (d_gates.T @ x, d_w_hh, d_gates.sum(axis=0), d_b_hh)


def lstm_step(w, x, state, _reset_after):
    """One LSTM step.

    i, f, o = sigmoid(W_i. x + b_i. + W_h. h + b_h.)        g = tanh(the same with its own rows)
    c' = f * c + i * g
    h' = o * tanh(c')
    """
    w_ih, w_hh, b_ih, b_hh = w
    h, c = state
    a_i, a_f, a_g, a_o = np.split(x @ w_ih.T + b_ih + h @ w_hh.T + b_hh, 4, axis=1)
    i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
    c_new = f * c + i * g
    tanh_c = np.tanh(c_new)
    return (o * tanh_c, c_new), (x, h, c, i, f, g, o, tanh_c)


def lstm_step_backward(w, saved, d_state, _reset_after):
    """The derivative of `lstm_step`.

    dc = dc' + dh' * o * (1 - tanh(c')^2)
    da_i = dc * g * i (1 - i)    da_f = dc * c * f (1 - f)    da_g = dc * i * (1 - g^2)
    da_o = dh' * tanh(c') * o (1 - o)
    """
    w_ih, w_hh, _, _ = w
    d_h, d_c = d_state
    x, h, c, i, f, g, o, tanh_c = saved
    d_c = d_c + d_h * o * (1 - tanh_c * tanh_c)
    d_a_i = d_c * g * i * (1 - i)
    d_a_f = d_c * c * f * (1 - f)
    d_a_g = d_c * i * (1 - g * g)
    d_a_o = d_h * tanh_c * o * (1 - o)
    d_gates = np.concatenate([d_a_i, d_a_f, d_a_g, d_a_o], axis=1)
    d_bias = d_gates.sum(axis=0)
    return d_gates @ w_ih, (d_gates @ w_hh, d_c * f), (d_gates.T @ x, d_gates.T @ h, d_bias, d_bias)


# For each cell the number of its states, its step and that step's gradient.
CELLS = {"gru": (1, gru_step, gru_step_backward), "lstm": (2, lstm_step, lstm_step_backward)}


def step(kind, w, x, state, reset_after):
    return CELLS[kind][1](w, x, state, reset_after)


def step_backward(kind, w, saved, d_state, reset_after):
    return CELLS[kind][2](w, saved, d_state, reset_after)


# One direction of one layer ---------------------------------------------------------------------------------


def scan(kind, w, x, state, lengths, reverse, reset_after):
    """Run over x (T, B, I). Past its length a row's output is zero and its state stands still.

    So h_n is the state at the last valid step. The reverse direction meets padding first and starts there.
    """
    seq, batch, _ = x.shape
    y = np.zeros((seq, batch, w[1].shape[1]), x.dtype)
    saved = [None] * seq
    for t in reversed(range(seq)) if reverse else range(seq):
        valid = (t < lengths)[:, None]
        new, saved[t] = step(kind, w, x[t], state, reset_after)
        state = tuple(np.where(valid, a, b) for a, b in zip(new, state, strict=True))
        y[t] = np.where(valid, new[0], 0)
    return y, state, saved


def scan_backward(kind, w, saved, d_y, d_state, lengths, reverse, reset_after):
    """Undo `scan`, last step first. A step past a row's length passes that row's gradient on."""
    seq, batch, _ = d_y.shape
    d_x = np.zeros((seq, batch, w[0].shape[1]), d_y.dtype)
    d_w = [np.zeros_like(v) for v in w]
    for t in range(seq) if reverse else reversed(range(seq)):
        valid = (t < lengths)[:, None]
        d_new = [np.where(valid, d, 0) for d in d_state]
        d_new[0] = d_new[0] + d_y[t]
        d_x[t], d_before, d_w_t = step_backward(kind, w, saved[t], d_new, reset_after)
        for total, term in zip(d_w, d_w_t, strict=True):
            total += term
        d_state = tuple(np.where(valid, a, b) for a, b in zip(d_before, d_state, strict=True))
    return d_x, d_state, d_w


# Layers, directions and shapes ------------------------------------------------------------------------------


def names(layer, reverse):
    """The state-dict names of one direction of one layer."""
    end = f"_l{layer}" + ("_reverse" if reverse else "")
    return [p + end for p in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]


def weights(params, keys, dtype):
    """The four weights named by `keys`; a missing bias is zero."""
    rows = params[keys[0]].shape[0]
    return tuple(np.asarray(params[k], dtype) if k in params else np.zeros(rows, dtype) for k in keys)


def time_major(v, unbatched, batch_first, dtype):
    """An x, y or dy of the caller as (T, B, .)."""
    v = np.asarray(v, dtype)
    if unbatched:
        return v[:, None]
    return v.swapaxes(0, 1) if batch_first else v


def as_given(v, unbatched, batch_first):
    """The way back from `time_major`."""
    if unbatched:
        return v[:, 0]
    return v.swapaxes(0, 1) if batch_first else v


def forward(
    kind,
    params,
    x,
    state=None,
    lengths=None,
    *,
    num_layers=1,
    bidirectional=False,
    batch_first=False,
    reset_after=True,
    dtype=np.float64,
):
    """Run a layer of one of `CELLS` and return y, the last state and the cache for `backward`.

    x is (T, B, I), (B, T, I) with batch_first, or (T, I). What x holds past a row's length plays no part.
    """
    unbatched = np.ndim(x) == 2
    x = time_major(x, unbatched, batch_first, dtype)
    seq, batch, _ = x.shape
    lengths = np.full(batch, seq) if lengths is None else np.asarray(lengths)
    directions = 2 if bidirectional else 1
    hidden = params["weight_hh_l0"].shape[1]
    parts = CELLS[kind][0]
    if state is None:
        state = [np.zeros((num_layers * directions, batch, hidden), dtype)] * parts
    else:
        state = [
            np.asarray(s, dtype).reshape(num_layers * directions, batch, hidden) for s in as_tuple(state)
        ]

    padding = np.arange(seq)[:, None] >= lengths
    below = np.where(padding[:, :, None], 0, x)
    last = [np.empty_like(s) for s in state]
    scans = {}
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            row = layer * directions + direction
            w = weights(params, names(layer, direction == 1), dtype)
            start = tuple(s[row] for s in state)
            y, end, saved = scan(kind, w, below, start, lengths, direction == 1, reset_after)
            for s, e in zip(last, end, strict=True):
                s[row] = e
            scans[row] = w, saved
            outputs.append(y)
        below = np.concatenate(outputs, axis=2)

    shape = (kind, reset_after, num_layers, directions, unbatched, batch_first, dtype)
    cache = shape, lengths, padding, scans, set(params), below.shape, last[0].shape
    if unbatched:
        last = [s[:, 0] for s in last]
    return as_given(below, unbatched, batch_first), last[0] if parts == 1 else tuple(last), cache


def backward(cache, dy=None, d_state=None):
    """Gradients of sum(y * dy) + sum(state_n * d_state) in x, in the first state and in each named parameter.

    dy and d_state may be None (zero). Past a row's length dy plays no part and the gradient of x is zero.
    """
    (kind, reset_after, num_layers, directions, unbatched, batch_first, dtype), *rest = cache
    lengths, padding, scans, present, y_shape, state_shape = rest
    parts = CELLS[kind][0]
    above = np.zeros(y_shape, dtype) if dy is None else time_major(dy, unbatched, batch_first, dtype)
    above = np.where(padding[:, :, None], 0, above)
    if d_state is None:
        d_state = [np.zeros(state_shape, dtype)] * parts
    else:
        d_state = [np.asarray(s, dtype).reshape(state_shape) for s in as_tuple(d_state)]

    d_first = [np.empty(state_shape, dtype) for _ in range(parts)]
    d_params = {}
    for layer in reversed(range(num_layers)):
        d_below = 0
        for direction, d_y in enumerate(np.split(above, directions, axis=2)):
            row = layer * directions + direction
            w, saved = scans[row]
            end = tuple(s[row] for s in d_state)
            d_x, start, d_w = scan_backward(kind, w, saved, d_y, end, lengths, direction == 1, reset_after)
            for d, s in zip(d_first, start, strict=True):
                d[row] = s
            d_params.update(zip(names(layer, direction == 1), d_w, strict=True))
            d_below = d_below + d_x
        above = d_below

    d_params = {k: v for k, v in d_params.items() if k in present}
    if unbatched:
        d_first = [s[:, 0] for s in d_first]
    return as_given(above, unbatched, batch_first), d_first[0] if parts == 1 else tuple(d_first), d_params


# Cells ------------------------------------------------------------------------------------------------------


def cell_forward(kind, params, x, state, *, reset_after=True, dtype=np.float64):
    """One step on x (B, I) or (I,) with a cell's names (`weight_ih` ...): the new state and the cache."""
    w = weights(params, ["weight_ih", "weight_hh", "bias_ih", "bias_hh"], dtype)
    unbatched = np.ndim(x) == 1
    start = tuple(np.atleast_2d(np.asarray(s, dtype)) for s in as_tuple(state))
    new, saved = step(kind, w, np.atleast_2d(np.asarray(x, dtype)), start, reset_after)
    cache = kind, w, saved, reset_after, unbatched, set(params), dtype
    new = tuple(s[0] for s in new) if unbatched else new
    return new[0] if CELLS[kind][0] == 1 else new, cache


def cell_backward(cache, d_state):
    """Gradients of `cell_forward`: of x, of the state before, and of the parameters by name."""
    kind, w, saved, reset_after, unbatched, present, dtype = cache
    d_new = tuple(np.atleast_2d(np.asarray(s, dtype)) for s in as_tuple(d_state))
    d_x, d_old, d_w = step_backward(kind, w, saved, d_new, reset_after)
    if unbatched:
        d_x, d_old = d_x[0], tuple(s[0] for s in d_old)
    named = zip(["weight_ih", "weight_hh", "bias_ih", "bias_hh"], d_w, strict=True)
    return d_x, d_old[0] if CELLS[kind][0] == 1 else d_old, {k: v for k, v in named if k in present}

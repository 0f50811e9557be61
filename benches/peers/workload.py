"""Random inputs, weights and output gradients of one size, the same for every engine."""

from dataclasses import dataclass, replace

import numpy as np

from .grid import Point

GATES = {"gru": 3, "lstm": 4}


@dataclass(frozen=True)
class Workload:
    """Arrays named as in PyTorch; `state` is (h0,) for a GRU and (h0, c0) for an LSTM."""

    point: Point
    kind: str
    reset_after: bool
    x: np.ndarray
    state: tuple
    dy: np.ndarray
    weights: dict
    lengths: np.ndarray | None = None

    @property
    def dtype(self):
        return self.x.dtype


def make(point, kind="gru", *, reset_after=True, dtype=np.float32, seed=0):
    """h0 and dy are random too: zeros would let an engine skip work that a real call has."""
    rng = np.random.default_rng(seed)
    seq, batch, inputs, hidden = point.seq, point.batch, point.input, point.hidden

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def uniform(*shape):
        return rng.uniform(-(hidden**-0.5), hidden**-0.5, shape).astype(dtype)

    rows = GATES[kind] * hidden
    return Workload(
        point,
        kind,
        reset_after,
        x=normal(seq, batch, inputs),
        state=tuple(np.tanh(normal(1, batch, hidden)) for _ in range(GATES[kind] - 2)),
        dy=normal(seq, batch, hidden),
        weights={
            "weight_ih_l0": uniform(rows, inputs),
            "weight_hh_l0": uniform(rows, hidden),
            "bias_ih_l0": uniform(rows),
            "bias_hh_l0": uniform(rows),
        },
    )


def ragged(work, seed=1):
    """The same with random lengths from 1 to seq. dy is zero in the padding, so that the dense gradients and
    the masked dense outputs are the answers: nothing before a row's end depends on the padding behind it."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, work.point.seq + 1, work.point.batch)
    return replace(work, lengths=lengths, dy=work.dy * valid(lengths, work.point.seq)[..., None])


def valid(lengths, seq):
    """(seq, batch): whether a step is within its row's length."""
    return np.arange(seq)[:, None] < lengths

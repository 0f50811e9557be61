"""What the numeric tests share: Hypothesis profiles, layers with known weights, problems, and one way to
run them.

`HYPOTHESIS_PROFILE=slow` (CI) draws many fresh examples; the default `fast` draws the same few every time.
"""

import os
import signal
import sys
from dataclasses import dataclass, replace

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the reference's threads spin: a crawl on a busy machine

import gru_rs
import hypothesis
import numpy as np
import pytest
from numpy_reference import as_tuple, results

hypothesis.settings.register_profile("fast", max_examples=150, deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("slow", max_examples=1500, deadline=None, print_blob=True, database=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))

KINDS = ["gru", "gru_reset_before", "lstm"]
DTYPES = [np.float32, np.float64]


@pytest.fixture
def hears_ctrl_c():
    """A shell's background job is born deaf to SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def largest():
    """Bytes that the process had at most so far."""
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.fixture(scope="module")
def memory_before():
    """What other modules' tests had, for one whose tests all use this."""
    return largest() if os.name == "posix" else 0


def constructor(kind, cell=False):
    """The class of a kind and the options that make it that kind."""
    word = kind.removesuffix("_reset_before")
    name = word.upper() + ("Cell" if cell else "")
    return getattr(gru_rs, name), {} if word == kind else {"reset_after": False}


def new_layer(kind, input_size, hidden_size, *, cell=False, rng=None, **options):
    """A layer of the kind with weights of PyTorch's range, +-1/sqrt(H), drawn here and not by gru_rs."""
    make, more = constructor(kind, cell)
    layer = make(input_size, hidden_size, **more, **options)
    rng = rng or np.random.default_rng(0)
    bound = hidden_size**-0.5
    state = {k: rng.uniform(-bound, bound, v.shape).astype(v.dtype) for k, v in layer.state_dict().items()}
    layer.load_state_dict(state)
    return layer


@dataclass
class Problem:
    """A layer and the inputs of both passes. A state is None, an array (GRU) or a pair (LSTM)."""

    kind: str
    layer: object
    x: np.ndarray
    state: object
    lengths: object
    dy: object
    d_state: object

    def map(self, change, lengths=lambda v: v):
        """The same problem with `change` applied to each array of floats, `lengths` to the lengths."""

        def each(v):
            if v is None:
                return None
            return tuple(change(s) for s in v) if isinstance(v, tuple) else change(v)

        return replace(
            self,
            x=each(self.x),
            state=each(self.state),
            dy=each(self.dy),
            d_state=each(self.d_state),
            lengths=None if self.lengths is None else lengths(self.lengths),
        )

    def rows(self, part, seq=None):
        """The rows `part` (a slice) of a time-major batch, cut to the first `seq` steps."""
        cut = replace(self, lengths=None if self.lengths is None else self.lengths[part])
        cut.x, cut.dy = self.x[:seq, part], self.dy[:seq, part]
        for name in ("state", "d_state"):
            value = getattr(self, name)
            rows = tuple(s[:, part] for s in as_tuple(value))
            setattr(cut, name, rows if isinstance(value, tuple) else rows[0])
        return cut


def new_problem(
    kind,
    seq,
    batch,
    input_size,
    hidden_size,
    *,
    dtype=np.float32,
    seed=0,
    ragged=False,
    with_state=True,
    with_dy=True,
    with_d_state=True,
    **options,
):
    """Random weights, inputs and output gradients. `batch` None: unbatched; `ragged`: lengths, zeros too."""
    rng = np.random.default_rng([seed, seq, batch or 0, input_size, hidden_size])
    layer = new_layer(kind, input_size, hidden_size, rng=rng, dtype=dtype, **options)
    directions = 2 if options.get("bidirectional") else 1
    rows = [] if batch is None else [batch]
    axes = [*rows, seq] if options.get("batch_first") else [seq, *rows]
    stack = [options.get("num_layers", 1) * directions, *rows, hidden_size]

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def states():
        return (normal(*stack), normal(*stack)) if kind == "lstm" else normal(*stack)

    return Problem(
        kind,
        layer,
        x=normal(*axes, input_size),
        state=states() if with_state else None,
        lengths=rng.integers(0, seq + 1, batch) if ragged and batch is not None else None,
        dy=normal(*axes, directions * hidden_size) if with_dy else None,
        d_state=states() if with_d_state else None,
    )


def run(problem, seed=None, memory="full"):
    """The answer of gru_rs to a problem."""
    p = problem
    y, last, tape = p.layer.forward(p.x, p.state, lengths=p.lengths, seed=seed, memory=memory)
    grads = tape.backward(p.dy, p.d_state)
    return results(y, last, grads.x, grads.h0, grads.params)


# The same values in other memory ----------------------------------------------------------------------------


class DlpackOnly:
    """An array of another library: nothing but the DLPack protocol."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def every_second(v):
    wide = np.zeros([2 * n for n in v.shape], v.dtype)
    part = wide[tuple(slice(1, None, 2) for _ in v.shape)]
    part[...] = v
    return part


def backwards(v):
    turn = tuple(slice(None, None, -1) for _ in v.shape)
    return v[turn].copy()[turn]


def first_axes_swapped(v):
    return np.ascontiguousarray(v.swapaxes(0, -2)).swapaxes(0, -2) if v.ndim > 1 else v.copy()


def wider_rows(v):
    wide = np.full((*v.shape[:-1], v.shape[-1] + 3), -999, v.dtype)
    wide[..., 2:-1] = v
    return wide[..., 2:-1]


def other_byte_order(v):
    return v.astype(v.dtype.newbyteorder())


def read_only(v):
    v = v.copy()
    v.flags.writeable = False
    return v


def unaligned(v):
    memory = np.zeros(v.nbytes + 1, np.uint8)[1:]
    memory[:] = np.frombuffer(v.tobytes(), np.uint8)
    return memory.view(v.dtype).reshape(v.shape)


LAYOUTS = {
    "contiguous": np.ascontiguousarray,
    "fortran": np.asfortranarray,
    "every_second": every_second,
    "backwards": backwards,
    "first_axes_swapped": first_axes_swapped,
    "wider_rows": wider_rows,
    "other_byte_order": other_byte_order,
    "read_only": read_only,
    "unaligned": unaligned,
    "dlpack": DlpackOnly,
}

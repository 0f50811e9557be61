"""Every mistake a caller can make, and what the core says to it.

The table has one row for each mistake that a single call can make. The message must name the argument, what
was expected and what came; the three patterns of a row are looked for one by one, so that the wording stays
free. Below it: calls that no signature has, and what a refused call leaves behind. Mistakes that take more
than one call are in test_misuse.py.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import gru_rs
import numpy as np
import pytest

T, B, F, H = 5, 2, 3, 4  # F features
LAYERS = [gru_rs.GRU, gru_rs.LSTM]
KINDS = [*LAYERS, gru_rs.GRUCell, gru_rs.LSTMCell]
OPTIMIZERS = [gru_rs.SGD, gru_rs.Adam, gru_rs.AdamW]
PARAMETERS = 3 * H * (F + H + 2)  # of the GRU(F, H) that most rows use

EITHER = (TypeError, ValueError)  # where the contract leaves open which
ANY = ""  # a pattern that asks for nothing: the call has one argument, or another pattern of the row names it
BOTH = "float32.*float64|float64.*float32"
ARRAY = "array|float32"
PAIR = "pair|tuple|two"
STRIDES = "strid|not .*contiguous|non-contiguous"


# What the rows are made of ------------------------------------------------------------------------


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


gru = partial(gru_rs.GRU, F, H, seed=1)
lstm = partial(gru_rs.LSTM, F, H, seed=1)
gru_cell = partial(gru_rs.GRUCell, F, H, seed=1)
lstm_cell = partial(gru_rs.LSTMCell, F, H, seed=1)


def pair(array):
    """The (h, c) of an LSTM, of two arrays alike."""
    return array, array.copy()


def call(make, *args, options=None, **named):
    """Call a new layer or cell."""
    return make(**(options or {}))(*args, **named)


def gru_tape(x=None, **options):
    return gru(**options).forward(ones(T, B, F) if x is None else x)[-1]


def lstm_tape():
    return lstm().forward(ones(T, B, F))[-1]


def back(*args, make=gru_tape, **options):
    """Call backward on a new tape."""
    return make(**options).backward(*args)


def back_cell(make, grad):
    return make().forward(ones(B, F))[-1].backward(grad)


def forward(make, **named):
    return make().forward(ones(T, B, F), **named)


def load_as(value):
    gru().load_state_dict(value)


def set_flat(value):
    gru().set_flat(value)


def stream(make, *size, **options):
    return make(**options).stream(*size)


def step(make, size, x_t, **named):
    """Call a new stream."""
    return make().stream(size)(x_t, **named)


def load(change, **options):
    """Load a layer's own state dict after a change."""
    layer = gru(**options)
    state = layer.state_dict()
    change(state)
    layer.load_state_dict(state)


def optimize(kind, grads, make=gru):
    kind(0.1).step(make(), grads)


def optimize_with_another(kind):
    """A step with the gradients of a layer of another size."""
    kind(0.1).step(gru(), lstm_tape().backward())


def read_only(array):
    array.flags.writeable = False
    return array


class OnAnotherDevice:
    """A DLPack producer whose memory is not the CPU's."""

    def __dlpack_device__(self):
        return (2, 0)  # kDLCUDA

    def __dlpack__(self, **_):
        raise BufferError("this memory is on a GPU")


class WideDLPack:
    """A DLPack producer of float64 that is not an ndarray."""

    def __init__(self):
        self.array = ones(T, B, F, dtype=np.float64)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)


def shape(*dims):
    """A pattern for a shape as Python or Rust writes it: (5, 2, 3), (5,) or [5]."""
    return r"[(\[]" + ", ".join(map(str, dims)) + r",?[)\]]"


def number(value):
    """A pattern for a number that stands alone, as Python or Rust writes it: 1.0 or 1, nan or NaN."""
    text = re.escape(str(value)) + ("|1|NaN" if isinstance(value, float) else "")
    return rf"(?<![\w.])({text})(?!\w)"


def count(*dims):
    """A pattern for a shape or its number of dimensions."""
    return f"{shape(*dims)}|{number(len(dims))}"


@dataclass
class Row:
    """One mistake: the call, the exception, and patterns for what its message names."""

    name: str
    call: Callable
    error: type | tuple
    argument: str
    expected: str
    got: str

    def check(self, message):
        for part in [rf"(?<!\w){self.argument}(?!\w)" if self.argument else ANY, self.expected, self.got]:
            assert re.search(part, message, re.IGNORECASE), f"{part!r} is not in {message!r}"


# The table ----------------------------------------------------------------------------------------


def constructor_rows(kind):
    """Sizes, dropout, dtype, seed and flags."""
    whole = "positive|integer|int"
    for size in ["input_size", "hidden_size", "num_layers"][: 3 if kind in LAYERS else 2]:
        for value, error, expected, got in [
            (0, ValueError, "positive", number(0)),
            (-3, ValueError, "positive", number(-3)),
            (2.5, TypeError, whole, r"2\.5|float"),
            (2.0, TypeError, whole, r"2\.0|float"),
            ("4", TypeError, whole, "str|4"),
            (None, TypeError, whole, "None"),
        ]:
            make = partial(kind, **({"input_size": F, "hidden_size": H} | {size: value}))
            yield Row(f"{size}={value}", make, error, size, expected, got)

    for dtype, got in [
        (np.float16, "float16"),
        (np.int32, "int32"),
        (np.complex64, "complex64"),
        (np.longdouble, rf"{np.dtype(np.longdouble).name}|longdouble"),
        (bool, "bool"),
        ("nonsense", "nonsense"),
        (32, "32|int"),
    ]:
        yield Row(f"dtype={dtype}", partial(kind, F, H, dtype=dtype), EITHER, "dtype", BOTH, got)
    for seed, error, expected, got in [
        (-1, ValueError, "0|negative|unsigned", "-1"),
        (2**64, ValueError, "64|1844", f"{2**64}|large"),
        (0.5, TypeError, "int", r"0\.5|float"),
        ("one", TypeError, "int", "str|one"),
    ]:
        yield Row(f"seed={seed}", partial(kind, F, H, seed=seed), error, "seed", expected, got)
    flags = ["bias"]
    flags += ["batch_first", "bidirectional"] if kind in LAYERS else []
    flags += ["reset_after"] if kind in {gru_rs.GRU, gru_rs.GRUCell} else []
    for flag in flags:
        yield Row(f"{flag}=yes", partial(kind, F, H, **{flag: "yes"}), TypeError, flag, "bool", "str|yes")

    if kind in LAYERS:
        for value in [-0.1, 1.0, 1.5, float("nan"), float("inf"), float("-inf")]:
            make = partial(kind, F, H, 2, dropout=value)
            yield Row(f"dropout={value}", make, ValueError, "dropout", r"\b0.*\b1", number(value))
        for value, got in [("half", "str|half"), (None, "None")]:
            make = partial(kind, F, H, 2, dropout=value)
            yield Row(f"dropout={value}", make, TypeError, "dropout", "float|number", got)
        # No option is ignored: one layer has nothing between layers to drop.
        make = partial(kind, F, H, dropout=0.5)
        yield Row("dropout-of-one-layer", make, ValueError, "dropout", "layers", r"0\.5|\b1\b")


def input_rows(make):
    """x, lengths and the seed of `forward`."""
    for x, expected in [
        (ones(F), "T, B, 3|dimension"),
        (np.float32(1), "T, B, 3|dimension"),
        (ones(T, B, F, 1), "T, B, 3|dimension"),
        (ones(T, B, 0), number(F)),
        (ones(T, B, 2), number(F)),
        (ones(T, B, 4), number(F)),
        (ones(T, 7), number(F)),
    ]:
        yield Row(f"x={x.shape}", partial(call, make, x), ValueError, "x", expected, count(*x.shape))
    turned = partial(call, make, ones(B, T, 7), options={"batch_first": True})
    yield Row("x-batch-first", turned, ValueError, "x", number(F), shape(B, T, 7))
    for name, x, error, expected, got in [
        ("none", None, TypeError, ARRAY, "None"),
        ("text", "text", TypeError, ARRAY, "str|<U4"),
        ("texts", [["a", "b", "c"]], TypeError, ARRAY, "str|<U1"),
        ("dict", {"a": 1}, TypeError, ARRAY, "dict|object"),
        ("ragged", [[1, 2, 3], [4]], EITHER, ARRAY, "list|ragged|object|inhomogeneous"),
        ("bytes", np.full((T, B, F), b"a"), TypeError, "float32", "S1|bytes"),
        ("object", ones(T, B, F).astype(object), TypeError, "float32", "object"),
        ("complex", ones(T, B, F).astype(np.complex64), TypeError, "float32", "complex64"),
        ("complex-list", [[1j, 0, 0]], TypeError, "float32", "complex"),
        ("huge-ints", [[2**70, 0, 0]], TypeError, "float32", "object|int"),
        ("datetime", np.zeros((T, B, F), "M8[s]"), TypeError, "float32", "datetime64"),
        ("timedelta", np.zeros((T, B, F), "m8[s]"), TypeError, "float32", "timedelta64"),
        ("struct", np.zeros((T, B, F), "f4,f4"), TypeError, "float32", "f0|void"),
        ("gpu", OnAnotherDevice(), EITHER, "cpu", "device|cuda|gpu"),
    ]:
        yield Row(f"x-{name}", partial(call, make, x), error, "x", expected, got)

    smallest = np.iinfo(np.int64).min
    rows, top = f"{shape(B)}|{number(B)}", number(T)
    for name, lengths, error, expected, got in [
        ("negative", [T, -1], ValueError, top, number(-1)),
        ("long", [T + 1, 0], ValueError, top, number(T + 1)),
        ("int64-min", np.array([smallest, 0]), ValueError, top, number(smallest)),
        ("uint64", np.array([2**63, 0], np.uint64), ValueError, top, number(2**63)),
        ("nan", [float(T), float("nan")], EITHER, "int", "nan|float"),
        ("inf", [float(T), float("inf")], EITHER, "int", "inf|float"),
        ("fraction", [2.5, 1.0], EITHER, "int", r"2\.5|float"),
        ("str", ["5", "5"], TypeError, "int", "str|<U1"),
        ("complex", [5j, 5], TypeError, "int", "complex"),
        ("object", np.array([5, None]), TypeError, "int", "object"),
        ("short", [T], ValueError, rows, f"{shape(1)}|{number(1)}"),
        ("many", [T] * 3, ValueError, rows, f"{shape(3)}|{number(3)}"),
        ("2d", [[T], [T]], ValueError, rows, shape(2, 1)),
    ]:
        wrong = partial(call, make, ones(T, B, F), lengths=lengths)
        yield Row(f"lengths-{name}", wrong, error, "lengths", expected, got)

    for seed, error, expected, got in [
        (-1, ValueError, "0|negative|unsigned", "-1"),
        (2**64, ValueError, "64|1844", f"{2**64}|large"),
        (0.5, TypeError, "int", r"0\.5|float"),
    ]:
        wrong = partial(forward, make, seed=seed)
        yield Row(f"forward-seed={seed}", wrong, error, "seed", expected, got)


def state_rows(make, state):
    """h0; `state` makes what the layer takes of one array."""
    for dims in [(2, B, H), (1, B + 1, H), (1, B, H + 1), (B, H), (H,), (1, 1, B, H), (0, B, H)]:
        wrong = partial(call, make, ones(T, B, F), state(ones(*dims)))
        yield Row(f"h0={dims}", wrong, ValueError, "h0", shape(1, B, H), shape(*dims))
    deep = {"num_layers": 2, "bidirectional": True}
    wrong = partial(call, make, ones(T, B, F), state(ones(2, B, H)), options=deep)
    yield Row("h0-deep", wrong, ValueError, "h0", shape(4, B, H), shape(2, B, H))
    wrong = partial(call, make, ones(T, F), state(ones(1, 1, H)))
    yield Row("h0-unbatched", wrong, ValueError, "h0", shape(1, H), shape(1, 1, H))
    for dtype in [np.complex64, object]:
        wrong = partial(call, make, ones(T, B, F), state(ones(1, B, H).astype(dtype)))
        yield Row(f"h0-{dtype.__name__}", wrong, TypeError, "h0", "float32", dtype.__name__)


def pair_rows():
    """What is wrong with the pair of an LSTM, or wrong of a GRU."""
    one, wide = ones(1, B, H), ones(1, B, 9)
    right, wrong = shape(1, B, H), shape(1, B, 9)
    for name, h0, error, argument, expected, got in [
        ("array", one, TypeError, "h0", PAIR, "array"),
        ("triple", (one, one, one), EITHER, "h0", f"{PAIR}|2", "3"),
        ("single", (one,), EITHER, "h0", f"{PAIR}|2", "1"),
        ("number", 0, TypeError, "h0", PAIR, "int"),
        ("c0", (one, wide), ValueError, "c0", right, wrong),
    ]:
        yield Row(f"lstm-h0-{name}", partial(call, lstm, ones(T, B, F), h0), error, argument, expected, got)
    taken = partial(call, gru, ones(T, B, F), (one, one))
    yield Row("gru-h0-pair", taken, EITHER, "h0", right, rf"tuple|{shape(2, 1, B, H)}")
    for name, dh_n, error, argument, expected, got in [
        ("array", one, TypeError, "dh_n", PAIR, "array"),
        ("triple", (one, one, one), EITHER, "dh_n", f"{PAIR}|2", "3"),
        ("dh_n", (wide, one), ValueError, "dh_n", right, wrong),
        ("dc_n", (one, wide), ValueError, "dc_n", right, wrong),
    ]:
        wrong_pair = partial(back, None, dh_n, make=lstm_tape)
        yield Row(f"lstm-dh_n-{name}", wrong_pair, error, argument, expected, got)
    one, wide = ones(B, H), ones(B, 9)
    for name, h, error, argument, expected, got in [
        ("array", one, TypeError, "h", PAIR, "array"),
        ("c", (one, wide), ValueError, "c", shape(B, H), shape(B, 9)),
    ]:
        yield Row(f"cell-h-{name}", partial(call, lstm_cell, ones(B, F), h), error, argument, expected, got)
    for name, dh, error, argument, expected, got in [
        ("array", one, TypeError, "dh", PAIR, "array"),
        ("dc", (one, wide), ValueError, "dc", shape(B, H), shape(B, 9)),
    ]:
        yield Row(f"cell-dh-{name}", partial(back_cell, lstm_cell, dh), error, argument, expected, got)


def backward_rows():
    """dy and dh_n, for each layout."""
    for dims in [(T + 1, B, H), (T, B + 1, H), (T, B, H + 1), (B, H), (T, B, H, 1), (H,)]:
        yield Row(f"dy={dims}", partial(back, ones(*dims)), ValueError, "dy", shape(T, B, H), shape(*dims))
    for name, dims, right, options in [
        ("bidirectional", (T, B, H), (T, B, 2 * H), {"bidirectional": True}),
        ("batch-first", (T, B, H), (B, T, H), {"x": ones(B, T, F), "batch_first": True}),
        ("unbatched", (T, 1, H), (T, H), {"x": ones(T, F)}),
    ]:
        wrong = partial(back, ones(*dims), **options)
        yield Row(f"dy-{name}", wrong, ValueError, "dy", shape(*right), shape(*dims))
    for dims in [(2, B, H), (1, B + 1, H), (1, B, H + 1), (B, H), (1, 1, B, H)]:
        wrong = partial(back, None, ones(*dims))
        yield Row(f"dh_n={dims}", wrong, ValueError, "dh_n", shape(1, B, H), shape(*dims))
    for dtype in [np.complex64, object]:
        name = dtype.__name__
        yield Row(f"dy-{name}", partial(back, ones(T, B, H).astype(dtype)), TypeError, "dy", "float32", name)
        wrong = partial(back, None, ones(1, B, H).astype(dtype))
        yield Row(f"dh_n-{name}", wrong, TypeError, "dh_n", "float32", name)
    yield Row("dy-text", partial(back, "ones"), TypeError, "dy", ARRAY, "str|<U4")


def weight_rows():
    """load_state_dict and set_flat. That they changed nothing is checked further down."""
    key, strange = "weight_hh_l0", "expected|unexpected|unknown"
    for name, change, expected, got in [
        ("missing", lambda s: s.pop(key), key, "missing|without|got"),
        ("empty", dict.clear, "weight_ih_l0", "missing|without|got|empty"),
        ("layer", lambda s: s.update(weight_ih_l1=s["weight_ih_l0"]), strange, "weight_ih_l1"),
        ("reverse", lambda s: s.update(bias_ih_l0_reverse=s["bias_ih_l0"]), strange, "bias_ih_l0_reverse"),
        ("renamed", lambda s: s.update(weight_hh=s.pop(key)), strange, "weight_hh"),
        ("int-key", lambda s: s.update({3: ones(1)}), f"str|{strange}", "3|int"),
    ]:
        yield Row(f"state-{name}", partial(load, change), EITHER, ANY, expected, got)
    extra = partial(load, lambda s: s.update(bias_ih_l0=ones(3 * H)), bias=False)
    yield Row("state-bias", extra, ValueError, ANY, strange, "bias_ih_l0")
    for dims in [(3 * H, F), (4 * H, H), (3 * H * H,), (3 * H, H, 1), (0,), (H, 3 * H)]:
        wrong = partial(load, lambda s, dims=dims: s.update({key: ones(*dims)}))
        yield Row(f"state={dims}", wrong, ValueError, key, shape(3 * H, H), shape(*dims))
    for name, value, got in [
        ("complex", ones(3 * H, H).astype(np.complex64), "complex64"),
        ("object", ones(3 * H, H).astype(object), "object"),
        ("text", ones(3 * H, H).astype("U1"), "str|<U1"),
        ("none", None, "None|object"),
    ]:
        wrong = partial(load, lambda s, value=value: s.update({key: value}))
        yield Row(f"state-{name}", wrong, TypeError, key, ARRAY, got)
    for value in [[ones(3)], None, "path.npz", ones(PARAMETERS)]:
        name = type(value).__name__
        wrong = partial(load_as, value)
        yield Row(f"state-of-{name}", wrong, TypeError, ANY, "dict|mapping", name)

    for size in [PARAMETERS - 1, PARAMETERS + 1, 0, 1]:
        wrong = partial(set_flat, ones(size))
        yield Row(f"set_flat={size}", wrong, ValueError, ANY, number(PARAMETERS), number(size))
    for name, value, error, expected, got in [
        ("2d", ones(1, PARAMETERS), ValueError, f"{PARAMETERS}|1-D", shape(1, PARAMETERS)),
        ("number", 1.0, EITHER, f"{PARAMETERS}|1-D|array", r"\(\)|\[\]|float|0"),
        ("none", None, TypeError, ARRAY, "None"),
        ("complex", ones(PARAMETERS).astype(np.complex64), TypeError, "float32", "complex64"),
        ("object", ones(PARAMETERS).astype(object), TypeError, "float32", "object"),
        ("text", ones(PARAMETERS).astype("U1"), TypeError, "float32", "str|<U1"),
    ]:
        yield Row(f"set_flat-{name}", partial(set_flat, value), error, ANY, expected, got)


def stream_rows(make):
    """Making a stream, its x_t and its `out`."""
    why = "revers|backward|future|whole|last step|end of"
    two = partial(stream, make, bidirectional=True)
    yield Row("stream-bidirectional", two, ValueError, "bidirectional", "stream", why)
    for value, error, expected, got in [
        (0, ValueError, "positive", number(0)),
        (-1, ValueError, "positive", number(-1)),
        (1.5, TypeError, "int", r"1\.5|float"),
        ("2", TypeError, "int", "str|2"),
    ]:
        yield Row(f"batch_size={value}", partial(stream, make, value), error, "batch_size", expected, got)
    for dims in [(F + 1,), (0,), (1, F + 1), (1, 1, F), ()]:
        wrong = partial(step, make, None, ones(*dims))
        yield Row(f"x_t={dims}", wrong, ValueError, "x_t", shape(F), shape(*dims))
    for dims in [(F,), (B + 1, F), (B, F + 1), (B, 1, F), (1, B, F + 1), (1, 1, B, F), (F, B)]:
        wrong = partial(step, make, B, ones(*dims))
        yield Row(f"batch-x_t={dims}", wrong, ValueError, "x_t", shape(B, F), shape(*dims))
    for name, x_t, expected, got in [
        ("complex", ones(F).astype(np.complex64), "float32", "complex64"),
        ("object", ones(F).astype(object), "float32", "object"),
        ("text", "abc", ARRAY, "str|<U3"),
        ("none", None, ARRAY, "None"),
    ]:
        yield Row(f"x_t-{name}", partial(step, make, None, x_t), TypeError, "x_t", expected, got)
    yield from out_rows("stream", partial(step, make, None, ones(F)), (H,))
    yield from out_rows("stream-batch", partial(step, make, B, ones(B, F)), (B, H))


def out_rows(label, taker, right):
    """What is wrong with an `out` that should be a float32 array of the shape `right`."""
    for dims in [(*right[:-1], H + 1), (1, *right), (H * 2,)]:
        wrong = partial(taker, out=ones(*dims))
        yield Row(f"{label}-out={dims}", wrong, ValueError, "out", shape(*right), shape(*dims))
    for dtype in [np.float64, np.float16, np.int32, np.complex64, object]:
        wrong, name = partial(taker, out=ones(*right).astype(dtype)), dtype.__name__
        yield Row(f"{label}-out-{name}", wrong, EITHER, "out", "float32", name)
    swapped = np.dtype(np.float32).newbyteorder()
    for name, out, error, expected, got in [
        ("byte-order", ones(*right).astype(swapped), EITHER, "float32|native", "[<>]f4|byte|endian|swapped"),
        ("read-only", read_only(ones(*right)), ValueError, "writ", "read-only|readonly|not writ"),
        ("strided", ones(*right[:-1], 2 * H)[..., ::2], ValueError, "contiguous", STRIDES),
        ("backwards", ones(*right)[..., ::-1], ValueError, "contiguous", STRIDES),
        ("list", [0.0] * H, TypeError, "array", "list"),
        ("bytearray", bytearray(4 * H), TypeError, "array", "bytearray"),
    ]:
        yield Row(f"{label}-out-{name}", partial(taker, out=out), error, "out", expected, got)
    if len(right) == 2:
        fortran = partial(taker, out=np.asfortranarray(ones(*right)))
        yield Row(f"{label}-out-fortran", fortran, ValueError, "out", "contiguous", STRIDES)


def cell_rows(make, state):
    """x, h and dh of a cell."""
    for dims in [(B, F + 1), (F + 1,), (T, B, F), ()]:
        wrong = partial(call, make, ones(*dims))
        yield Row(f"cell-x={dims}", wrong, ValueError, "x", f"{number(F)}|dimension", count(*dims))
    for name, x, got in [("complex", ones(B, F).astype(np.complex64), "complex64"), ("none", None, "None")]:
        yield Row(f"cell-x-{name}", partial(call, make, x), TypeError, "x", ARRAY, got)
    for dims in [(B + 1, H), (B, H + 1), (H,), (1, B, H)]:
        wrong = partial(call, make, ones(B, F), state(ones(*dims)))
        yield Row(f"cell-h={dims}", wrong, ValueError, "h", shape(B, H), shape(*dims))
        wrong = partial(back_cell, make, state(ones(*dims)))
        yield Row(f"cell-dh={dims}", wrong, ValueError, "dh", shape(B, H), shape(*dims))
    wrong = partial(call, make, ones(F), state(ones(1, H)))
    yield Row("cell-h-unbatched", wrong, ValueError, "h", shape(H), shape(1, H))
    bad = state(ones(B, H).astype(np.complex64))
    yield Row("cell-h-complex", partial(call, make, ones(B, F), bad), TypeError, "h", "float32", "complex64")
    yield Row("cell-dh-complex", partial(back_cell, make, bad), TypeError, "dh", "float32", "complex64")
    if make is gru_cell:
        yield from out_rows("cell", partial(call, make, ones(B, F)), (B, H))
        yield from out_rows("cell-one", partial(call, make, ones(F)), (H,))


def optimizer_rows(kind):
    """Settings of the optimizers and what `step` takes."""
    settings = ["lr", "weight_decay"]
    settings += ["momentum"] if kind is gru_rs.SGD else ["eps"]
    for name in settings:
        for value in [-0.1, float("nan"), float("inf")]:
            make = partial(kind, **{"lr": 0.1, name: value})
            yield Row(f"{name}={value}", make, ValueError, name, "0|finite|negative|positive", number(value))
        for value, got in [("fast", "str|fast"), (None, "None")]:
            make = partial(kind, **{"lr": 0.1, name: value})
            yield Row(f"{name}={value}", make, TypeError, name, "float|number", got)
    if kind is gru_rs.SGD:
        alone = partial(kind, 0.1, nesterov=True)
        yield Row("nesterov-alone", alone, ValueError, "nesterov", "momentum", "0|true|none|without")
    else:
        nan = float("nan")
        for betas in [(1.0, 0.9), (-0.1, 0.9), (0.9, 1.0), (0.9, -0.1), (nan, 0.9), (0.9, 1.5)]:
            got = "|".join(number(b) for b in betas if not 0 <= b < 1)
            yield Row(f"betas={betas}", partial(kind, betas=betas), ValueError, "betas", r"\b0.*\b1", got)
        for betas, error, got in [((0.9, 0.9, 0.9), EITHER, "3|three"), (0.9, TypeError, r"float|0\.9")]:
            yield Row(f"betas={betas}", partial(kind, betas=betas), error, "betas", f"{PAIR}|2", got)

    for size in [PARAMETERS - 1, PARAMETERS + 1, 0]:
        wrong = partial(optimize, kind, ones(size))
        yield Row(f"grads={size}", wrong, ValueError, "grads", number(PARAMETERS), number(size))
    for name, grads, error, expected, got in [
        ("2d", ones(PARAMETERS, 1), ValueError, f"1-D|{PARAMETERS}", shape(PARAMETERS, 1)),
        ("complex", ones(PARAMETERS).astype(np.complex64), TypeError, "float32", "complex64"),
        ("object", ones(PARAMETERS).astype(object), TypeError, "float32", "object"),
        ("text", ones(PARAMETERS).astype("U1"), TypeError, "float32", "str|<U1"),
        ("none", None, TypeError, f"{ARRAY}|Grads", "None"),
    ]:
        yield Row(f"grads-{name}", partial(optimize, kind, grads), error, "grads", expected, got)
    other = partial(optimize_with_another, kind)
    yield Row("grads-of-another", other, ValueError, "grads", number(PARAMETERS), number(4 * H * (F + H + 2)))
    for layer in [ones(PARAMETERS), None]:
        wrong = partial(optimize, kind, ones(PARAMETERS), lambda layer=layer: layer)
        yield Row(f"layer-{layer is None}", wrong, TypeError, "layer", "GRU|layer", "array|None")


def wider_rows():
    """A wider float dtype is never narrowed, wherever an array is taken; the message names `astype`."""

    def wide(*dims):
        return ones(*dims, dtype=np.float64)

    x, x_t, one, h = ones(T, B, F), ones(B, F), ones(1, B, H), ones(B, H)
    for argument, wrong in [
        ("x", partial(call, gru, wide(T, B, F))),
        ("x", partial(call, lstm, wide(T, B, F))),
        ("x", lambda: gru().forward(wide(T, B, F))),
        ("x", partial(call, gru, WideDLPack())),
        ("x", partial(call, gru_cell, wide(B, F))),
        ("x", partial(call, lstm_cell, wide(B, F))),
        ("x_t", partial(step, gru, None, wide(F))),
        ("x_t", partial(step, lstm, B, wide(B, F))),
        ("h0", partial(call, gru, x, wide(1, B, H))),
        ("h0", partial(call, lstm, x, (wide(1, B, H), one))),
        ("c0", partial(call, lstm, x, (one, wide(1, B, H)))),
        ("h", partial(call, gru_cell, x_t, wide(B, H))),
        ("c", partial(call, lstm_cell, x_t, (h, wide(B, H)))),
        ("dy", partial(back, wide(T, B, H))),
        ("dh_n", partial(back, None, wide(1, B, H))),
        ("dc_n", partial(back, None, (one, wide(1, B, H)), make=lstm_tape)),
        ("dh", partial(back_cell, gru_cell, wide(B, H))),
        ("dc", partial(back_cell, lstm_cell, (h, wide(B, H)))),
        ("bias_hh_l0", partial(load, lambda s: s.update(bias_hh_l0=wide(3 * H)))),
        (ANY, partial(set_flat, wide(PARAMETERS))),
        ("grads", partial(optimize, gru_rs.SGD, wide(PARAMETERS))),
        ("grads", partial(optimize, gru_rs.Adam, wide(PARAMETERS))),
    ]:
        yield Row(
            f"wider-{argument}",
            wrong,
            TypeError,
            argument,
            "float32",
            "float64(.|\n)*astype|astype(.|\n)*float64",
        )
    if np.dtype(np.longdouble).itemsize > 8:
        wrong = partial(call, gru, ones(T, B, F, dtype=np.longdouble), options={"dtype": np.float64})
        yield Row("wider-longdouble", wrong, TypeError, "x", "float64", "astype")


def model(**options):
    return gru_rs.Model(F, H, 2, seed=1, **options)


def number_rows():
    """Numbers that no float holds or no message shows, and arrays that are one or have a mask."""
    huge, same = 10**5000, ones(1, B, H)
    masked = np.ma.masked_array(ones(H), [True, False, False, False])
    weights = {"w_i": ones(2, 9), "w_h": ones(3, 9), "b": [[1], [2, 3]]}
    for name, wrong, error, expected, got in [
        ("hidden_size", partial(gru_rs.GRU, F, huge), ValueError, "fits the machine", "huge int"),
        ("hidden_size", partial(gru_rs.GRU, F, -huge), ValueError, "positive", "huge int"),
        ("seed", partial(gru_rs.GRU, F, H, seed=huge), ValueError, "64 bits", "huge int"),
        ("bias", partial(gru_rs.GRU, F, H, bias=huge), TypeError, "bool", "huge int"),
        ("lr", partial(gru_rs.SGD, 10**400), ValueError, "float can hold", "1000"),
        ("batch_size", partial(model().state, 2**62), ValueError, "fits the machine", str(2**62)),
        (
            "embedding_size",
            partial(gru_rs.EncoderDecoder, F, H, 3, embedding_size=2**61),
            ValueError,
            "most",
            "230584300921369395[0-9]",
        ),
        (
            "state",
            partial(model(cell="lstm").scores, ones(B, T, F), state=(same, same)),
            ValueError,
            "own",
            "share",
        ),
        ("x_t", partial(gru().stream(), masked[:F]), TypeError, ARRAY, "mask"),
        ("out", partial(gru().stream(), ones(F), out=masked), TypeError, ARRAY, "MaskedArray"),
        ("params", partial(gru_rs.from_haiku, None), TypeError, "mapping", "NoneType"),
        ("b", partial(gru_rs.from_haiku, weights), ValueError, ARRAY, "ragged"),
        ("w_ih", partial(gru_rs.from_paddle, None, ones(H, 3 * H)), TypeError, ARRAY, "None"),
        (
            "origin_mode",
            partial(gru_rs.from_paddle, ones(F, 3 * H), ones(H, 3 * H), origin_mode="yes"),
            TypeError,
            "bool",
            "yes",
        ),
    ]:
        yield Row(f"{name}-{got}", wrong, error, name, expected, got)


def table():
    """All rows, each under its group."""
    groups = {f"{kind.__name__}": partial(constructor_rows, kind) for kind in KINDS}
    groups |= {
        "gru": partial(input_rows, gru),
        "lstm": partial(input_rows, lstm),
        "gru-state": partial(state_rows, gru, lambda h: h),
        "lstm-state": partial(state_rows, lstm, pair),
        "pair": pair_rows,
        "backward": backward_rows,
        "weights": weight_rows,
        "gru-stream": partial(stream_rows, gru),
        "lstm-stream": partial(stream_rows, lstm),
        "gru_cell": partial(cell_rows, gru_cell, lambda h: h),
        "lstm_cell": partial(cell_rows, lstm_cell, pair),
    }
    groups |= {kind.__name__: partial(optimizer_rows, kind) for kind in OPTIMIZERS}
    groups |= {"wider": wider_rows, "numbers": number_rows}
    for group, rows in groups.items():
        for row in rows():
            yield pytest.param(row, id=f"{group}-{row.name}".replace(" ", ""))


@pytest.mark.parametrize("row", list(table()))
def test_mistake(row):
    with pytest.raises(row.error) as caught:
        row.call()
    row.check(str(caught.value))


# Calls that no signature has ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: gru(proj_size=2), "proj_size"),
        (lambda: lstm(proj_size=2), "proj_size"),
        (lambda: lstm(reset_after=False), "reset_after"),
        (lambda: gru_cell(num_layers=2), "num_layers"),
        (lambda: lstm_cell(bidirectional=True), "bidirectional"),
        (lambda: lstm_cell(reset_after=False), "reset_after"),
        (lambda: gru()(ones(T, B, F), mask=ones(T, B)), "mask"),
        (lambda: gru()(ones(T, B, F), seed=1), "seed"),
        (lambda: gru()(ones(T, B, F), None, [T] * B), "positional"),
        (lambda: gru().forward(ones(T, B, F), training=True), "training"),
        (lambda: gru_tape().backward(dx=ones(T, B, F)), "dx"),
        (lambda: gru().stream(hidden=ones(H)), "hidden"),
        (lambda: gru().load_state_dict({}, strict=False), "strict"),
        (lambda: gru_cell()(ones(B, F), None, ones(B, H)), "positional"),
        (lambda: gru_rs.SGD(0.1, dampening=0.5), "dampening"),
        (lambda: gru_rs.SGD(0.1, 0.9), "positional"),
        (lambda: gru_rs.SGD(), "lr"),
        (lambda: gru_rs.Adam(0.1, amsgrad=True), "amsgrad"),
        (lambda: gru_rs.AdamW(0.1, maximize=True), "maximize"),
        (lambda: gru_rs.Adam(0.1, (0.9, 0.99)), "positional"),
        (lambda: gru_rs.GRU(F), "hidden_size"),
        (lambda: gru_rs.GRU(F, H, 1, True), "positional"),
        (lambda: gru_rs.GRUCell(F, H, True), "positional"),
        (lambda: gru()(), r"\bx\b"),
        (lambda: gru_rs.SGD(0.1).step(gru()), "grads"),
    ],
)
def test_call_that_no_signature_has(call, names):
    with pytest.raises(TypeError, match=names):
        call()


# What a refused call leaves behind ----------------------------------------------------------------

STATES = {
    "missing": lambda s: s.pop("bias_hh_l0"),
    "extra": lambda s: s.update(extra=ones(1)),
    "shape": lambda s: s.update(bias_hh_l0=ones(3 * H + 1)),
    "wider": lambda s: s.update(bias_hh_l0=ones(3 * H, dtype=np.float64)),
    "complex": lambda s: s.update(bias_hh_l0=ones(3 * H, dtype=np.complex64)),
}


@pytest.mark.parametrize("change", STATES.values(), ids=STATES)
def test_refused_state_dict_changes_nothing(change):
    layer = gru()
    before = layer.flat.tobytes()
    tape = layer.forward(ones(T, B, F))[-1]
    state = {k: v + 1 for k, v in layer.state_dict().items()}  # all the others are new, and right
    change(state)
    with pytest.raises(EITHER):
        layer.load_state_dict(state)
    assert layer.flat.tobytes() == before
    tape.backward(ones(T, B, H))  # the version was not raised either


@pytest.mark.parametrize("value", [ones(3), ones(PARAMETERS, dtype=np.float64), ones(PARAMETERS, 1), None])
def test_refused_set_flat_changes_nothing(value):
    layer = gru()
    before = layer.flat.tobytes()
    tape = layer.forward(ones(T, B, F))[-1]
    with pytest.raises(EITHER):
        layer.set_flat(value)
    assert layer.flat.tobytes() == before
    tape.backward(ones(T, B, H))


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("grads", [ones(3), ones(PARAMETERS, dtype=np.float64), None])
def test_refused_step_changes_nothing(kind, grads):
    layer, twin = gru(), gru()
    optimizer = kind(0.1)
    before = layer.flat.tobytes()
    tape = layer.forward(ones(T, B, F))[-1]
    with pytest.raises(EITHER):
        optimizer.step(layer, grads)
    assert layer.flat.tobytes() == before
    tape.backward(ones(T, B, H))
    # Nor is it counted as a step of the optimizer's own.
    optimizer.step(layer, ones(PARAMETERS))
    kind(0.1).step(twin, ones(PARAMETERS))
    assert layer.flat.tobytes() == twin.flat.tobytes()


def test_refused_backward_leaves_the_tape_unused():
    tape = gru_tape()
    with pytest.raises(ValueError, match="dy"):
        tape.backward(ones(T, B, H + 1))
    with pytest.raises(TypeError, match="dh_n"):
        tape.backward(ones(T, B, H), ones(1, B, H, dtype=np.float64))
    expected = gru_tape().backward(ones(T, B, H))
    assert tape.backward(ones(T, B, H)).flat.tobytes() == expected.flat.tobytes()


def test_refused_step_of_a_stream_does_not_count():
    layer = gru()
    stream, twin = layer.stream(), layer.stream()
    stream(ones(F)), twin(ones(F))
    for bad in [ones(F + 1), ones(F, dtype=np.float64)]:
        with pytest.raises(EITHER):
            stream(bad)
    with pytest.raises(ValueError, match="out"):
        stream(ones(F), out=ones(H + 1))
    assert stream(ones(F)).tobytes() == twin(ones(F)).tobytes()


def test_refused_out_is_not_written():
    out = ones(2 * H)
    with pytest.raises(ValueError, match="out"):
        gru().stream()(ones(F), out=out[::2])
    np.testing.assert_array_equal(out, 1)


def test_refused_forward_draws_no_seed():
    layer, twin = (gru_rs.GRU(F, H, 2, dropout=0.5, seed=1) for _ in range(2))
    with pytest.raises(ValueError, match="x"):
        layer.forward(ones(T, B, F + 1))
    assert layer.forward(ones(T, B, F))[0].tobytes() == twin.forward(ones(T, B, F))[0].tobytes()


@pytest.mark.parametrize("targets", [[0, 1, 1], [0, 2], [0.5, 1.0]], ids=["one-more", "no-class", "numbers"])
def test_refused_loss_draws_no_seed(targets):
    """Nor is the state of the stack written."""
    one, twin = (model(cell="lstm", input_dropout=0.5) for _ in range(2))
    state, loss = one.state(B), gru_rs.CrossEntropy()
    with pytest.raises(EITHER, match="targets"):
        one.loss_and_grad(ones(B, T, F), targets, loss=loss, state=state)
    assert not any(part.any() for part in state)
    answers = [network.loss_and_grad(ones(B, T, F), [0, 1], loss=loss)[0] for network in (one, twin)]
    assert answers[0] == answers[1]

"""Values for the arguments of random calls: right ones as they may also come, and wrong ones.

Each kind of argument has a function of a generator and a right value. What comes of it may be right as well:
a call with it has to succeed or to be refused in the manner that the contract says.
"""

import decimal
import fractions

import numpy as np


class Int(int):
    """A subclass."""


class Str(str):
    """A subclass."""

    __slots__ = ()


class Sub(np.ndarray):
    """A subclass."""


class Index:
    """What counts as an integer."""

    def __index__(self):
        return 2


class Dlpack:
    """An array of another library."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


NOTHING = [
    None,
    "",
    "abc",
    b"x",
    object(),
    {},
    [],
    (),
    [[]],
    [None],
    set(),
    range(3),
    ...,
    NotImplemented,
    len,
]
SIZES = [
    0,
    -1,
    1,
    2,
    3,
    2**31,
    2**32,
    2**40,
    2**61,
    2**62,
    2**63 - 1,
    2**63,
    2**64,
    10**30,
    -(2**63),
    10**5000,
]
INTEGERS = [
    *[True, False, np.True_, Int(2), Index(), np.int8(2), np.uint64(3), np.int64(-1), np.uint64(2**64 - 1)],
    *[np.array(2), np.array([2]), 2.0, 1.5, np.float32(2), float("nan"), float("inf"), 2j, "2", b"2", [2]],
    *[decimal.Decimal(2), fractions.Fraction(2)],
]
NUMBERS = [
    *[float("nan"), float("inf"), float("-inf"), -1.0, 0.0, 1.0, 1.5, 2.0, 1e-320, 1e308, -0.0, 0, 1, 2, -1],
    *[True, np.False_, Int(1), np.float16(0.5), np.float32(0.25), np.longdouble(0.5), np.int8(1)],
    *[
        10**400,
        -(10**5000),
        fractions.Fraction(1, 2),
        fractions.Fraction(10**400),
        decimal.Decimal("0.5"),
        1j,
    ],
    *[np.array(0.5), np.array([0.5]), [0.5], "0.5"],
]
FLAGS = [0, 1, 2, "yes", "True", np.True_, np.array(True), np.array([True]), 1.0, Int(1)]
WORDS = [
    Str("gru"),
    np.str_("tanh"),
    "GRU",
    "gru ",
    "gru\0",
    "each",
    "max",
    "sigmoid",
    "low",
    b"gru",
    3,
    ["gru"],
]
WORDS += ["\ud800", "é" * 1000]
DTYPES = [
    *[
        "float32",
        "f4",
        "f8",
        ">f4",
        "<f8",
        "float16",
        "int64",
        "f4,f8",
        "(((",
        "\0",
        b"f4",
        float,
        int,
        object,
    ],
    *[np.float64, np.longdouble, np.complex64, np.dtype(">f8"), np.dtype([("a", "f4")]), np.dtype("f4"), 7],
    *[[("a", int)], {"names": ["a"], "formats": ["f4"]}, {"names": 3}, np.zeros(3, np.float32), ("f4", (2,))],
]
OTHER_DTYPES = [
    "f4",
    "f8",
    "f2",
    "g",
    "c8",
    "c16",
    "O",
    "i1",
    "u1",
    "i8",
    "u8",
    ">i4",
    ">f4",
    ">f8",
    "?",
    "U3",
]
OTHER_DTYPES += ["S4", "M8[s]", "m8[s]", "V4"]


def pick(rng, values):
    """One of a list, as it is."""
    return values[rng.integers(len(values))]


def integer(rng, right):
    found = pick(rng, [NOTHING, SIZES, INTEGERS, [Int(3) if right is None else Int(right), 6, np.int16(5)]])
    return pick(rng, found)


def number(rng, right):
    return pick(rng, pick(rng, [NOTHING, NUMBERS, NUMBERS, [np.float64(right)]]))


def flag(rng, right):
    return pick(rng, pick(rng, [NOTHING, FLAGS, [np.bool_(right)]]))


def word(rng, right):
    return pick(rng, pick(rng, [NOTHING, WORDS, [Str(right)]]))


def dtype(rng, _right):
    return pick(rng, pick(rng, [NOTHING, DTYPES]))


def in_other_memory(rng, v):
    """The same numbers somewhere else."""
    every = (..., *(slice(None, None, 2) for _ in v.shape))
    wide = np.zeros([2 * n for n in v.shape], v.dtype)[every]
    wide[...] = v
    odd = np.zeros(v.nbytes + 1, np.uint8)[1:].view(v.dtype).reshape(v.shape)
    odd[...] = v
    turn = tuple(slice(None, None, -1) for _ in v.shape)
    fixed = v.copy()
    fixed.flags.writeable = False
    made = [wide, odd, v[turn].copy()[turn], fixed, np.asfortranarray(v), v.astype(v.dtype.newbyteorder())]
    made += [v.view(Sub), v.tolist(), list(v) if v.ndim else v, Dlpack(v.copy()), np.ma.masked_array(v)]
    made += [memoryview(np.ascontiguousarray(v)) if v.ndim else v, v.astype(object)]
    if v.size:
        made.append(np.ma.masked_array(v, np.arange(v.size).reshape(v.shape) == 0))
        made.append(v.tobytes())
    return pick(rng, made)


def of_other_shape(rng, v):
    """The same numbers, or fewer, or none."""
    made = [v[np.newaxis], v[..., np.newaxis], v.reshape(-1), v.T, np.array(3, v.dtype)]
    made += [
        np.broadcast_to(v.reshape(-1)[:1], (3, 3)) if v.size else v,
        np.concatenate([v, v]) if v.ndim else v,
    ]
    if v.ndim:
        made += [v[:0], v[:-1], v[..., :0]]
        huge = list(v.shape)
        place = rng.integers(v.ndim)
        huge[place] = 0
        others = [at for at in range(v.ndim) if at != place]
        if others:
            huge[pick(rng, others)] = int(pick(rng, np.array([2**20, 2**28, 2**40, 2**55])))
        made += [np.empty(huge, v.dtype)] * 3
    return pick(rng, made)


def of_other_values(rng, v):
    """Some of its numbers are others."""
    v = v.copy()
    if v.dtype.kind == "f":
        wrong = [np.nan, np.inf, -np.inf, -1.0, 0.0, 1e38, -1e38, 1e-42]
    elif v.dtype.kind in "iu":
        info = np.iinfo(v.dtype)
        wrong = [info.max, info.min, 0, 1, min(2**31, info.max), min(2**32 + 1, info.max)]
    else:
        wrong = [True, False]
    if v.size:
        some = rng.random(v.shape) < pick(rng, [0.1, 0.5, 1.0])
        v[some] = pick(rng, wrong)
    return v


def of_other_dtype(rng, v):
    with np.errstate(all="ignore"):
        kind = np.dtype(pick(rng, OTHER_DTYPES))
        try:
            return v.astype(kind)
        except (TypeError, ValueError):
            return np.zeros(v.shape, kind)


def array(rng, right):
    way = pick(rng, [in_other_memory, in_other_memory, of_other_shape, of_other_values, of_other_dtype, None])
    if way is None:
        return pick(
            rng, pick(rng, [NOTHING, NUMBERS, [[[1], [2, 3]], [["a"]], [[1, None]], iter([1]), [10**400]]])
        )
    return way(rng, np.asarray(right))


def out(rng, right):
    """An array to be written: those that cannot be are as likely as for one that is read."""
    return array(rng, right)


def states(rng, right):
    """The state of a cell: an array, or a pair."""
    if not isinstance(right, tuple):
        return pick(rng, [array(rng, right), (right,), [right], (right, right)])
    h, c = right
    made = [(array(rng, h), c), (h, array(rng, c)), [h, c], h, (h,), (h, c, c), (h, h), None, (None, None)]
    made += [{"h": h, "c": c}, np.stack([h, c]), pick(rng, NOTHING)]
    return made[rng.integers(len(made))]


def numbers(rng, right):
    """A pair of numbers."""
    one, two = right
    made = [(number(rng, one), two), (one, number(rng, two)), [one, two], one, (one,), (one, two, two)]
    return pick(rng, [*made, pick(rng, NOTHING), np.array(right), {one: two}])


def spelling(rng, right):
    """A sequence of labels for each row."""
    rows = [list(row) for row in right]
    made = [[*rows, [2]], rows[:-1], [*rows[:-1], [2] * 50], [*rows[:-1], [-1]], [*rows[:-1], [2**40]]]
    made += [[*rows[:-1], [0]], [*rows[:-1], 3], [*rows[:-1], [[2]]], [*rows[:-1], [1.5]], [*rows[:-1], "ab"]]
    made += [
        [*rows[:-1], None],
        [np.array(row, np.uint32) for row in rows],
        tuple(map(tuple, rows)),
        iter(rows),
    ]
    made += [
        [np.array(row, ">i2") for row in rows],
        [[] for _ in rows],
        [np.array([True])] * len(rows),
        "abc",
    ]
    made += [pick(rng, NOTHING), np.array([[2, 3]] * len(rows)), [[2**64]] * len(rows), dict(enumerate(rows))]
    return made[rng.integers(len(made))]


def table(rng, right):
    """A dict of arrays."""
    name = pick(rng, list(right))
    made = [right | {name: array(rng, right[name])}] * 4
    made += [{k: v for k, v in right.items() if k != name}, right | {"other": 1}, right | {3: right[name]}]
    made += [list(right.items()), pick(rng, NOTHING)]
    return made[rng.integers(len(made))]


KINDS = {
    "integer": integer,
    "number": number,
    "flag": flag,
    "word": word,
    "dtype": dtype,
    "array": array,
    "out": out,
    "numbers": numbers,
    "states": states,
    "spelling": spelling,
    "table": table,
}
"""How a right value of each kind becomes another."""

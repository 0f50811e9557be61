"""Files that were changed: by damage, which is an error or makes no difference, and by hand with a checksum
that is right, which is an error or gives a network or an estimator that answers.

The same few hundred changes of each file every time. `GRU_RS_LONG=1` makes many more, with a seed of the
clock's, for `GRU_RS_FUZZ` seconds a test if that is set; `GRU_RS_SEED` repeats one. The seed stands in every
failure.
"""

import json
import os
import pickle
import random
import re
import struct
import time
import zlib
from collections import Counter
from contextlib import contextmanager
from copy import deepcopy

import gru_rs
import numpy as np
import pandas as pd
import polars as pl
import pytest
from conftest import largest
from gru_rs import (
    Forecaster,
    LanguageModel,
    Seq2Seq,
    SequenceClassifier,
    SequenceRegressor,
    SequenceTagger,
    Transcriber,
)

LONG = os.environ.get("GRU_RS_LONG") == "1"
SECONDS = float(os.environ.get("GRU_RS_FUZZ", "0"))
SEED = int(os.environ.get("GRU_RS_SEED", time.time_ns() % 2**32 if LONG else 0))
if LONG:
    print(f"\nGRU_RS_SEED={SEED}", flush=True)
DAMAGED, EDITED = (2000, 4000) if LONG else (40, 80)
SLOWEST = 20.0  # seconds that one file may take on a busy machine
LARGEST = 256 * 2**20  # bytes by which the process may grow over all

RNG = np.random.default_rng(1)
NUMBERS = [RNG.normal(3, 2, (length, 2)) for length in range(3, 11)]
TEXTS = ["a good day", "what a good film", "a bad day", "what a bad film"] * 2
WORDS = [text.split() for text in TEXTS]
SERIES = np.sin(np.arange(60) / 4)
OPTIONS = {"hidden_size": 4, "max_iter": 1, "random_state": 1}


def answers(*methods):
    """What an estimator says, as bytes."""

    def ask(estimator):
        if isinstance(estimator, Seq2Seq):
            # How far it may go on is free, and a file may well say for hours.
            estimator.max_target_length = 6
        try:
            return pickle.dumps([getattr(estimator, method)(*arguments) for method, arguments in methods])
        except ValueError as error:
            # A file may say that its tables had other columns: nothing else depends on how many there were.
            # Or that its numbers were of another level, in whose units ours are beyond the dtype.
            if re.match(
                "X has 6 features, but|The feature names should match|X: expected numbers that", str(error)
            ):
                return None
            raise

    return ask


def forecaster(**more):
    return Forecaster(horizon=2, window=6, **OPTIONS, **more).fit(SERIES, np.arange(60.0) % 7)


ESTIMATORS = {
    "classifier of numbers": (
        lambda **o: SequenceClassifier(**OPTIONS, early_stopping=True, **o).fit(NUMBERS, np.arange(8) % 3),
        answers(("predict", [NUMBERS]), ("predict_proba", [NUMBERS])),
    ),
    "classifier of a table": (
        lambda **o: SequenceClassifier(**OPTIONS, pooling="mean", **o).fit(np.eye(6), ["a", "b"] * 3),
        answers(("predict_proba", [np.eye(6)])),
    ),
    "classifier of texts": (
        lambda **o: SequenceClassifier(**OPTIONS, embedding_size=3, cell="lstm", **o).fit(
            TEXTS, [True, False] * 4
        ),
        answers(("predict", [TEXTS]), ("predict_proba", [TEXTS])),
    ),
    "regressor": (
        lambda **o: SequenceRegressor(**OPTIONS, reset_after=False, **o).fit(
            NUMBERS, NUMBERS[0][:1].repeat(8, 0)
        ),
        answers(("predict", [NUMBERS])),
    ),
    "tagger": (
        lambda **o: SequenceTagger(**OPTIONS, embedding_size=3, bidirectional=True, **o).fit(WORDS, WORDS),
        answers(("predict", [WORDS])),
    ),
    "tagger of numbers": (
        lambda **o: SequenceTagger(**OPTIONS, crf=False, num_layers=2, **o).fit(
            NUMBERS, [np.arange(len(row)) % 3 for row in NUMBERS]
        ),
        answers(("predict", [NUMBERS])),
    ),
    "transcriber": (
        lambda **o: Transcriber(**OPTIONS, **o).fit(NUMBERS, ["a", "ab", "b", "ba"] * 2),
        answers(("predict", [NUMBERS]), ("predict_beam", [NUMBERS])),
    ),
    "seq2seq": (
        lambda **o: Seq2Seq(**OPTIONS, embedding_size=3, max_target_length=6, **o).fit(TEXTS, TEXTS[::-1]),
        answers(("predict", [TEXTS])),
    ),
    "forecaster": (forecaster, answers(("predict", [np.arange(2.0)]))),
    "forecaster of quantiles": (
        lambda **o: Forecaster(window=5, season=7, quantiles=[0.1, 0.9], **OPTIONS, **o).fit(SERIES),
        answers(("predict", [])),
    ),
    "forecaster of series": (
        lambda **o: Forecaster(
            window=5, horizon=2, gaps="mask", levels=[0.5, 0.8], cell="lstm", **OPTIONS, **o
        ).fit({"a": SERIES, "b": 9 - SERIES[:40]}, observed=[SERIES, SERIES[:40]]),
        answers(("predict", [])),
    ),
    "forecaster of dates": (
        lambda **o: Forecaster(window=5, horizon=2, season=7, early_stopping=True, **OPTIONS, **o).fit(
            [
                pd.DataFrame(
                    {"x": SERIES, "y": -SERIES}, pd.date_range("2020-01-31", periods=60, freq="ME", tz="UTC")
                ),
                pd.DataFrame({"x": SERIES, "y": SERIES}, pd.period_range("2020-01", periods=60, freq="W")),
                pl.DataFrame(
                    {"t": pd.date_range("2020-01-30", periods=60).to_numpy(), "x": SERIES, "y": SERIES}
                ),
            ]
        ),
        answers(("predict", [])),
    ),
    "language model": (
        lambda **o: LanguageModel(**OPTIONS, embedding_size=3, **o).fit(TEXTS),
        lambda model: pickle.dumps(
            [model.log_likelihood(TEXTS), model.generate("a", max_length=5, temperature=0)]
            if model.of_text_
            else [model.log_likelihood(WORDS), model.generate(["a"], max_length=5, temperature=0)]
        ),
    ),
}
X = RNG.normal(size=(3, 2, 3)).astype(np.float32)


def called(*arguments):
    return lambda network: pickle.dumps(network(*(array.astype(network.dtype) for array in arguments)))


H = np.ones((2, 4), np.float32)
NETWORKS = {
    "GRU": (lambda dtype: gru_rs.GRU(3, 4, 2, bidirectional=True, clip=2.0, dtype=dtype, seed=7), called(X)),
    "LSTM": (lambda dtype: gru_rs.LSTM(3, 4, activation="relu", dtype=dtype, seed=7), called(X)),
    "GRUCell": (lambda dtype: gru_rs.GRUCell(3, 4, bias=False, dtype=dtype, seed=7), called(X[0])),
    "LSTMCell": (lambda dtype: gru_rs.LSTMCell(3, 4, dtype=dtype, seed=7), called(X[0])),
    "Model": (
        lambda dtype: gru_rs.Model(3, 4, 2, vocabulary_size=5, pooling="each", crf=True, dtype=dtype, seed=7),
        lambda model: pickle.dumps(model.labels([[1, 2, 3], [4, 0, 1]])),
    ),
    "EncoderDecoder": (
        lambda dtype: gru_rs.EncoderDecoder(3, 4, 6, attention="additive", dtype=dtype, seed=7),
        lambda pair: pickle.dumps([one[0].labels for one in pair.decode(X.swapaxes(0, 1), max_length=4)]),
    ),
}
WIDTHS = ["float32", "float64", "int8", "f16", "bf16"]
CASES = [(name, width) for name in (*ESTIMATORS, *NETWORKS) for width in WIDTHS]
COUNTS = Counter()

pytestmark = pytest.mark.usefixtures("memory_before")


def made(name, width):
    """What is saved, and what asks it."""
    whole = "float32" if width in ("int8", "f16", "bf16") else width
    make, ask = ESTIMATORS.get(name) or NETWORKS[name]
    saved = make(dtype=whole)
    return saved if whole == width else saved.quantize(width), ask


# Changes ----------------------------------------------------------------------------------------------------


def flipped(draw, file):
    """A bit, or a byte."""
    other, at = bytearray(file), draw.randrange(len(file))
    other[at] ^= draw.choice([1 << draw.randrange(8), draw.randrange(1, 256)])
    return bytes(other)


def cut(draw, file):
    return file[: draw.randrange(len(file))]


def inserted(draw, file):
    at = draw.randrange(len(file) + 1)
    return file[:at] + draw.randbytes(draw.choice([1, 1, 2, 8, 100])) + file[at:]


def removed(draw, file):
    at = draw.randrange(len(file))
    return file[:at] + file[at + draw.choice([1, 1, 2, 8, 100]) :]


def of_another_length(draw, file):
    """The header's length."""
    (length,) = struct.unpack("<Q", file[:8])
    other = draw.choice(
        [0, length + 1, length - 1, length + 8, 2**31, 2**63, 2**64 - 1, draw.randrange(2**64)]
    )
    return struct.pack("<Q", other) + file[8:]


def exchanged(draw, file):
    """Two bytes that differ."""
    other = bytearray(file)
    while True:
        one, two = draw.randrange(len(file)), draw.randrange(len(file))
        if other[one] != other[two]:
            other[one], other[two] = other[two], other[one]
            return bytes(other)


DAMAGES = [flipped, flipped, flipped, cut, inserted, removed, of_another_length, exchanged]


class Twice:
    """A value that stands in an object twice."""

    def __init__(self, value):
        self.value = value


def dumped(value):
    """JSON in which a name may come twice."""
    if isinstance(value, Twice):
        return dumped(value.value)
    if isinstance(value, dict):
        pairs = []
        for name, inner in value.items():
            pairs += [f"{json.dumps(name)}: {dumped(inner)}"] * (1 + isinstance(inner, Twice))
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dumped, value)) + "]"
    return json.dumps(value)


def parts(file):
    """The inner header, the tensors' headers, and their bytes."""
    (length,) = struct.unpack("<Q", file[:8])
    outer, data = json.loads(file[8 : 8 + length]), file[8 + length :]
    text = outer.pop("__metadata__")["gru_rs"]
    tensors = {
        name: (one["dtype"], one["shape"], data[slice(*one["data_offsets"])]) for name, one in outer.items()
    }
    return json.loads(text), tensors


def joined(header, tensors):
    """A file with a checksum that is right."""
    text = dumped(header)
    found, outer, data = zlib.crc32(text.encode()), {}, b""
    for name, (dtype, shape, numbers) in sorted(tensors.items()):
        found = zlib.crc32(numbers, zlib.crc32(f"\n{name} {dtype} {shape}\n".encode(), found))
        outer[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(numbers)]}
        data += numbers
    outer["__metadata__"] = {"gru_rs": text, "gru_rs_checksum": f"crc32:{found:08x}"}
    whole = json.dumps(outer).encode()
    return struct.pack("<Q", len(whole)) + whole + data


def places(value, inside=None, key=None):
    """Every value of a header, as what holds it and its key there."""
    if inside is not None:
        yield inside, key
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in items:
        yield from places(inner, value, name)


def another(draw, value):
    """A value of the same type if there is one, or of another."""
    others = [
        None,
        True,
        False,
        0,
        1,
        -1,
        2,
        3,
        0.5,
        -0.5,
        "",
        "x",
        [],
        {},
        [1],
        float("nan"),
        float("inf"),
        2**40,
    ]
    others += [
        2**64,
        1e300,
        "é\0",
        "\ud800",
        {"list": [1, 2]},
        {"tuple": []},
        {"dict": []},
        {"dict": [["x", 1]]},
    ]
    others += [{"array": {"list": [1.0]}, "dtype": "<f8"}, {"array": {"list": ["x"]}, "dtype": "<U9999999"}]
    others += [{"array": {"list": ["b", "a"]}, "dtype": "<U1"}, {"array": {"list": [[1]]}, "dtype": "|O"}]
    if type(value) is int and draw.random() < 0.5:
        return value + draw.choice([-1, 1, 2, 1000])
    if type(value) is float and draw.random() < 0.5:
        return draw.choice(
            [-value, value * 2, value + 1e-3, int(value) if abs(value) < 1e9 else 0, value * 1e200]
        )
    if type(value) is str and draw.random() < 0.5:
        words = [
            "gru",
            "lstm",
            "last",
            "mean",
            "each",
            "float32",
            "float64",
            "char",
            "word",
            "dot",
            value + "x",
        ]
        return draw.choice(words)
    return deepcopy(draw.choice(others))


def edit(draw, header):
    """One change of one value."""
    inside, key = draw.choice(list(places(header)))
    change = draw.randrange(6)
    if change == 0:
        del inside[key]
    elif change == 1:
        other, there = draw.choice(list(places(header)))
        inside[key], other[there] = deepcopy(other[there]), deepcopy(inside[key])
    elif change == 2:
        if isinstance(inside, dict):
            inside[key] = Twice(inside[key])
        else:
            inside.insert(key, inside[key])
    elif change == 3 and isinstance(inside, dict):
        inside[draw.choice([str(key) + "x", "predict", "model_", "__class__"])] = inside.pop(key)
    else:
        inside[key] = another(draw, inside[key])


def edit_tensors(draw, tensors):
    """One change of one tensor."""
    name = draw.choice(sorted(tensors))
    dtype, shape, data = tensors[name]
    change = draw.randrange(6)
    if change == 0:
        del tensors[name]
    elif change == 1:
        tensors[name + draw.choice(["x", ".scale"])] = tensors[name]
    elif change == 2:
        tensors[name] = (
            draw.choice(["F64", "F32", "F16", "I8", "BF16", "U8", "BOOL", "F8_E4M3", "no"]),
            shape,
            data,
        )
    elif change == 3:
        tensors[name] = dtype, shape[::-1] if len(shape) > 1 else [*shape, 1], data
    elif change == 4:
        other = draw.choice(sorted(tensors))
        tensors[name], tensors[other] = tensors[other], tensors[name]
    else:
        tensors[name] = dtype, shape, flipped(draw, data)


def edited(draw, file):
    header, tensors = parts(file)
    for _ in range(draw.choice([1, 1, 1, 2])):
        if draw.random() < 0.1 and tensors:
            edit_tensors(draw, tensors)
        else:
            edit(draw, header)
    return joined(header, tensors)


# Tests ------------------------------------------------------------------------------------------------------


@contextmanager
def told(name, width, number, file, folder):
    """A failure says how to have it again, and keeps the file."""
    try:
        yield
    except BaseException as error:
        kept = folder / "failed.safetensors"
        kept.write_bytes(file)
        error.args = (
            f"{name}, {width}, change {number} of GRU_RS_SEED={SEED}, {kept}: {error}",
            *error.args[1:],
        )
        raise


def changes(draw, count, kinds):
    """So many, or for as long as is wanted."""
    end, number = time.monotonic() + SECONDS, 0
    while number < count if not SECONDS else time.monotonic() < end:
        yield number, draw.choice(kinds)
        number += 1


def loaded(path):
    """What is in a file; None for a ValueError or an OSError, anything else is a failure."""
    start = time.monotonic()
    try:
        return gru_rs.load(path)
    except (ValueError, OSError) as error:
        assert str(path) in str(error)  # noqa: PT017
        return None
    finally:
        assert time.monotonic() - start < SLOWEST


@pytest.mark.timeout(60 + 3 * SECONDS + 600 * LONG)
@pytest.mark.parametrize(("name", "width"), CASES)
def test_mutants(tmp_path, name, width):
    saved, ask = made(name, width)
    path = tmp_path / "model.safetensors"
    saved.save(path)
    file, expected = path.read_bytes(), ask(saved)
    assert joined(*parts(file))[8:] != b""
    path.write_bytes(joined(*parts(file)))
    assert ask(gru_rs.load(path)) == expected
    for number, change in changes(random.Random(f"{SEED} {name} {width}"), DAMAGED, DAMAGES):
        draw = random.Random(f"{SEED} {name} {width} {number}")
        other = change(draw, file)
        with told(name, width, number, other, tmp_path):
            path.write_bytes(other)
            found = loaded(path)
            COUNTS["damaged", "refused" if found is None else "the same"] += 1
            assert found is None or ask(found) == expected
    for number, change in changes(random.Random(SEED), EDITED, [edited]):
        draw = random.Random(f"{SEED} {name} {width} edited {number}")
        other = change(draw, file)
        with told(name, width, f"edited {number}", other, tmp_path), np.errstate(all="ignore"):
            path.write_bytes(other)
            found = loaded(path)
            if found is None:
                COUNTS["edited", "refused"] += 1
            else:
                COUNTS["edited", "the same" if ask(found) == expected else "another answer"] += 1


@pytest.mark.parametrize("name", ["GRUCell", "transcriber"])
def test_each_byte_counts(tmp_path, name):
    """What differs in one place, wherever that is, is an error or makes no difference."""
    saved, ask = made(name, "int8")
    path = tmp_path / "model.safetensors"
    saved.save(path)
    file, expected = bytearray(path.read_bytes()), ask(saved)
    for at in range(len(file)):
        for change in (1, 0x20) if name == "GRUCell" else (1 << at % 8,):
            file[at] ^= change
            path.write_bytes(file)
            found = loaded(path)
            assert found is None or ask(found) == expected, f"byte {at} ^ {change}"
            file[at] ^= change


def test_memory_did_not_grow(memory_before):
    """Behind all the others: nothing was allocated that a file only promised."""
    shown = [f"{kind} {what} {count}" for (kind, what), count in sorted(COUNTS.items())]
    print(f"seed {SEED}: {', '.join(shown)}")
    assert largest() - memory_before < LARGEST
    if len(COUNTS) > 3:  # all were run, and not one of them by its name
        assert sum(COUNTS.values()) >= 2000

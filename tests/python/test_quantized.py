"""`quantize`: what the weights become, equal bits, files and pickles, and what narrow weights refuse.

The arithmetic is held against plain loops in tests/quantized.rs.
"""

import copy
import io
import json
import pickle

import gru_rs
import numpy as np
import pytest
import safetensors.numpy
from conftest import KINDS, new_layer
from gru_rs._arrays import of_bfloat16
from hypothesis import given
from hypothesis import strategies as st
from numpy_reference import as_tuple

WIDTHS = ["int8", "f16", "bf16"]
every_width = pytest.mark.parametrize("width", WIDTHS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def to_bfloat16(x):
    """The bits of the nearest, of two the even one; what is too small for a product is 0."""
    bits = x.view(np.uint32)
    nearest = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)
    return np.where(np.abs(x) < 2.0**-56, np.uint16(0), nearest)


def narrowed(w, width):
    """The numbers that a matrix stands for, in the words of the docstring."""
    if width == "f16":
        return w.astype(np.float16).astype(w.dtype)
    if width == "bf16":
        return of_bfloat16(to_bfloat16(w.astype(np.float32))).astype(w.dtype)
    scale = (np.abs(w).max(axis=1, keepdims=True).astype(np.float64) / 127).astype(w.dtype)
    return (np.round(w.astype(np.float64) / scale).astype(w.dtype)) * scale


@every_width
@every_kind
def test_weights_are_the_nearest(kind, width):
    layer = new_layer(kind, 7, 21, num_layers=2, bidirectional=True)
    narrow = layer.quantize(width)
    assert narrow.weight_dtype == {"int8": np.int8, "f16": np.float16, "bf16": "bfloat16"}[width]
    assert layer.weight_dtype == layer.dtype
    assert layer.quantization is None
    for name, w in layer.params.items():
        expected = narrowed(w, width) if w.ndim == 2 else w
        np.testing.assert_array_equal(narrow.params[name], expected, err_msg=name)
    assert narrow.quantization.nbytes == narrow.nbytes < layer.nbytes == layer.flat.nbytes


@every_width
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zeros_and_ties(width, dtype):
    """A row of zeros has no scale; 0.5 and 1.5 of a step round to even."""
    layer = gru_rs.GRU(3, 1, dtype=dtype)
    w = np.zeros(layer.flat.size, dtype)
    w[:3] = [127, 0.5, 1.5]
    layer.set_flat(w)
    expected = [127, 0, 2] if width == "int8" else [127, 0.5, 1.5]
    np.testing.assert_array_equal(layer.quantize(width).flat[:3], expected)
    y, _ = layer.quantize(width)(np.zeros((4, 3), dtype))
    assert y.dtype == dtype
    assert not y.any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_quarter_of_the_bytes(kind):
    layer = new_layer(kind, 256, 256)
    assert layer.quantize("int8").nbytes <= 0.27 * layer.nbytes
    assert layer.quantize("f16").nbytes <= 0.505 * layer.nbytes


@given(
    kind=st.sampled_from(KINDS),
    width=st.sampled_from(WIDTHS),
    hidden=st.integers(1, 40),
    batch=st.integers(1, 70),
    steps=st.integers(1, 12),
    layers=st.integers(1, 2),
    cut=st.integers(0, 12),
)
def test_equal_bits(kind, width, hidden, batch, steps, layers, cut):
    """Whatever the number of threads, the chunks, the rows beside, and after a pickle."""
    options = {"num_layers": layers, "seed": 3}
    layer = new_layer(kind, 5, hidden, **options).quantize(width)
    x = noise(steps, batch, 5)
    y, last = layer(x)
    with gru_rs.num_threads(2):
        assert layer(x)[0].tobytes() == y.tobytes()
    stream = layer.stream(batch)
    chunks = [stream(x[:cut]), stream(x[cut:])]
    assert np.concatenate(chunks).tobytes() == y.tobytes()
    assert [s.tobytes() for s in as_tuple(stream.state)] == [s.tobytes() for s in as_tuple(last)]
    assert layer(np.ascontiguousarray(x[:, -1:]))[0].tobytes() == y[:, -1:].tobytes()
    lengths = np.random.default_rng(1).integers(0, steps + 1, batch)
    ragged, _ = layer(x, lengths=lengths)
    for row, length in enumerate(lengths):
        assert ragged[:length, row].tobytes() == y[:length, row].tobytes()
    for twin in (pickle.loads(pickle.dumps(layer)), copy.copy(layer), copy.deepcopy(layer)):
        assert twin(x)[0].tobytes() == y.tobytes()
        assert (twin.weight_dtype, twin.quantization) == (layer.weight_dtype, layer.quantization)
        assert repr(twin) == repr(layer)


@every_width
@pytest.mark.parametrize("make", [gru_rs.GRUCell, gru_rs.LSTMCell])
def test_cells(make, width):
    cell = make(4, 6, seed=1)
    x = noise(5, 4)
    narrow = cell.quantize(width, validate=x)
    assert 0 < narrow.quantization.max_difference < 0.05
    assert as_tuple(narrow(x))[0].shape == (5, 6)


def test_validate_reports_differences():
    gru, x = gru_rs.GRU(16, 32, batch_first=True, seed=1), noise(4, 20, 16)
    narrow = gru.quantize("int8", validate=x, lengths=[20, 3, 0, 7])
    y, other = (layer(x, lengths=[20, 3, 0, 7])[0].astype(np.float64) for layer in (gru, narrow))
    report = narrow.quantization
    assert report.max_difference == np.abs(y - other).max()
    assert report.mean_difference == pytest.approx(np.abs(y - other).mean())
    assert report.mean_output == pytest.approx(np.abs(y).mean())
    assert report.max_difference < 0.02
    wrong = noise(4, 20, 15)
    with pytest.raises(ValueError, match=r"x: expected .*16"):
        gru.quantize("int8", validate=wrong)


@every_width
def test_quantized_weights_do_not_learn(width):
    gru = gru_rs.GRU(3, 4, seed=1)
    narrow, x = gru.quantize(width), noise(5, 2, 3)
    model = gru_rs.Model(3, 4, 2, seed=1).quantize(width)
    batch = np.zeros((2, 5, 3), np.float32)
    for call in [
        lambda: narrow.set_flat(gru.flat),
        lambda: narrow.load_state_dict(gru.state_dict()),
        lambda: narrow.forward(x),
        lambda: narrow.quantize(),
        lambda: gru_rs.Adam().step(narrow, gru.flat),
        lambda: model.set_flat(model.flat),
        lambda: model.loss_and_grad(batch, [0, 1], loss=gru_rs.CrossEntropy()),
        lambda: gru_rs.Adam().step(model, model.flat),
    ]:
        with pytest.raises(RuntimeError, match=rf"{narrow.weight_dtype} weights do not learn"):
            call()
    assert model.loss(batch, [0, 1], loss=gru_rs.CrossEntropy()) > 0


@pytest.mark.parametrize(
    ("value", "width", "message"),
    [(np.nan, "int8", "finite"), (np.inf, "f16", "finite"), (-7e4, "f16", "65504.*-70000")],
)
def test_weights_that_cannot_be_narrow(value, width, message):
    gru = gru_rs.GRU(3, 4)
    flat = gru.flat.copy()
    flat[3 * 4 * 3 + 1] = value
    gru.set_flat(flat)
    with pytest.raises(ValueError, match=rf"weight_hh_l0: expected .*{message}"):
        gru.quantize(width)


def test_unknown_width():
    with pytest.raises(ValueError, match=r"dtype: expected 'int8' or 'f16'.*got 'int4'"):
        gru_rs.GRU(3, 4).quantize("int4")


# Estimators ---------------------------------------------------------------------------------------

TEXTS = ["a fine day", "what a fine film", "a bad day", "what a bad film"] * 4
NUMBERS = [noise(n, 3, seed=n) for n in range(3, 11)]
OPTIONS = {"hidden_size": 8, "max_iter": 3, "random_state": 1}


def classifier():
    return gru_rs.SequenceClassifier(**OPTIONS).fit(TEXTS, [1, 1, 0, 0] * 4), TEXTS


def regressor():
    return gru_rs.SequenceRegressor(**OPTIONS).fit(NUMBERS, np.arange(8.0)), NUMBERS


def tagger():
    labels = [["O"] * (len(text.split()) - 1) + ["N"] for text in TEXTS]
    words = [text.split() for text in TEXTS]
    return gru_rs.SequenceTagger(**OPTIONS, crf=True).fit(words, labels), words


def forecaster():
    series = np.sin(np.arange(80.0))
    return gru_rs.Forecaster(window=10, horizon=2, **OPTIONS).fit(series), series


def language_model():
    return gru_rs.LanguageModel(**OPTIONS).fit(TEXTS), TEXTS


def transcriber():
    return gru_rs.Transcriber(**OPTIONS).fit(NUMBERS, ["a", "b"] * 4), NUMBERS


def seq2seq():
    words = ["abc", "cab", "bca", "aab"] * 3
    return gru_rs.Seq2Seq(**OPTIONS, bidirectional=True, attention="dot").fit(words, words), words


MAKERS = [classifier, regressor, tagger, forecaster, language_model, transcriber, seq2seq]


@every_width
@pytest.mark.parametrize("make", MAKERS)
def test_estimators(make, width, tmp_path):
    """Quantized, validated, saved, loaded: the same outputs, on a file of that many bytes less."""
    whole, data = make()
    before = pickle.dumps(whole.model_.flat)
    narrow = whole.quantize(width, validate=data)
    assert pickle.dumps(whole.model_.flat) == before
    assert not hasattr(whole, "quantization_")
    report = narrow.quantization_
    assert report.weight_dtype == str(narrow.model_.weight_dtype)
    assert 0 < report.mean_difference < 0.2 * report.mean_output + 1e-3
    narrow.save(tmp_path / "narrow.safetensors")
    whole.save(tmp_path / "whole.safetensors")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("narrow", "whole")]
    assert sizes[1] - sizes[0] > 0.8 * (report.whole_nbytes - report.nbytes) - 600
    ask = {gru_rs.Forecaster: lambda e: e.predict(), gru_rs.LanguageModel: lambda e: e.log_likelihood(data)}
    asked = ask.get(type(whole), lambda e: e.predict(data))
    for again in (gru_rs.load(tmp_path / "narrow.safetensors"), pickle.loads(pickle.dumps(narrow))):
        assert again.quantization_ == report
        assert str(asked(again)) == str(asked(narrow))
        assert repr(again.model_) == repr(narrow.model_)
        pairs = zip(*(one._network_outputs(data, None) for one in (again, narrow)), strict=True)
        assert all(a.tobytes() == b.tobytes() for a, b in pairs)


@every_width
def test_a_chain_stays_whole(width):
    """What a chain adds is not rounded: with the same scores the same paths."""
    model = gru_rs.Model(3, 8, 4, pooling="each", crf=True, seed=1)
    narrow, x = model.quantize(width), noise(5, 6, 3)
    chain = [name for name in model.params if name.startswith("crf.")]
    assert len(chain) == 3
    assert all(model.params[name].tobytes() == narrow.params[name].tobytes() for name in chain)
    assert narrow.labels(x).shape == model.labels(x).shape
    targets = np.zeros(30, np.int64)
    rounded = copy.copy(model)
    rounded.set_flat(narrow.flat)
    losses = [one.loss(x, targets, loss=gru_rs.CrossEntropy()) for one in (narrow, rounded)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6 if width == "f16" else 0.05)


def test_a_copy_trains_nobody_else():
    whole, data = classifier()
    labels, before = [1, 1, 0, 0] * 4, classifier()[0]
    narrow = whole.quantize("int8")
    with pytest.raises(RuntimeError, match="do not learn"):
        narrow.partial_fit(data, labels)
    assert narrow.loss_curve_ is not whole.loss_curve_
    for one in (whole, before):
        one.partial_fit(data, labels)
    assert whole.model_.flat.tobytes() == before.model_.flat.tobytes()


def test_lengths_are_of_something():
    with pytest.raises(ValueError, match="lengths: expected with validate"):
        gru_rs.GRU(3, 4).quantize("int8", lengths=[1, 2])
    with pytest.raises(ValueError, match="lengths: expected with validate"):
        classifier()[0].quantize("int8", lengths=[1, 2])


def test_large_and_small_numbers():
    """A product of scales beyond the range is bounded; what is small counts down to the smallest normal."""
    gru = gru_rs.GRU(2, 1, bias=False)
    flat = np.zeros(gru.flat.size, np.float32)
    flat[1:6:2] = 1e15  # the second column of W_ih
    gru.set_flat(flat)
    x = np.array([[1e30, 0]], np.float32)
    assert gru.quantize("int8")(x)[0] == gru(x)[0]
    flat[1:6:2] = 1e31
    gru.set_flat(flat)
    x = np.array([[1e-33, 1e-32]], np.float32)
    np.testing.assert_allclose(gru.quantize("int8")(x)[0], gru(x)[0], rtol=1e-2)


def test_float16_is_the_nearest_of_float64():
    gru = gru_rs.GRU(1, 1, dtype=np.float64)
    flat = gru.flat.copy()
    flat[0] = 1 + 2.0**-11 + 2.0**-40
    gru.set_flat(flat)
    assert gru.quantize("f16").flat[0] == np.float16(flat[0]) == 1 + 2.0**-10


def test_rows_that_are_too_long_for_bytes():
    with pytest.raises(ValueError, match="weight_ih_l0: expected rows of at most 66311 bytes, got 70000"):
        gru_rs.GRU(70_000, 1).quantize("int8")


def test_fit_gives_whole_weights_again():
    whole, data = classifier()
    narrow = whole.quantize("int8")
    with pytest.raises(RuntimeError, match="int8 weights do not learn"):
        narrow.partial_fit(data, [1, 1, 0, 0] * 4)
    narrow.fit(data, [1, 1, 0, 0] * 4)
    assert narrow.model_.weight_dtype == np.float32
    assert not hasattr(narrow, "quantization_")


def test_generated_text_is_the_same_after_a_file(tmp_path):
    narrow = language_model()[0].quantize("int8")
    narrow.save(tmp_path / "model.safetensors")
    again = gru_rs.load(tmp_path / "model.safetensors")
    assert again.generate("a ", seed=1) == narrow.generate("a ", seed=1)


CHANGES = {
    "missing scale": lambda tensors, _: tensors.pop("head.weight.scale"),
    "-128": lambda tensors, _: tensors["head.weight"].fill(-128),
    "short scale": lambda tensors, _: tensors.update({"head.weight.scale": np.ones(5, np.float32)}),
    "no report": lambda _, header: header.pop("quantization"),
    "a scale that is no number": lambda tensors, _: tensors["head.weight.scale"].fill(np.nan),
    "a negative scale": lambda tensors, _: tensors["head.weight.scale"].fill(-1),
    "two widths": lambda tensors, _: tensors.update(
        {"head.weight": tensors.pop("head.weight.scale")[:, None] + np.zeros((1, 8), np.float16)}
    ),
    "integers": lambda tensors, _: tensors.update({"head.bias": np.ones(2, np.int32)}),
    "a report of words": lambda _, header: header["quantization"].update(max_difference="much"),
    "another tensor": lambda tensors, _: tensors.update(more=np.ones(5, np.float32)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_files_that_are_not_whole(change, tmp_path):
    path = tmp_path / "model.safetensors"
    classifier()[0].quantize("int8").save(path)
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        header = json.loads(file.metadata()["gru_rs"])
    del header["checksum"]  # of what it was
    change(tensors, header)
    safetensors.numpy.save_file(tensors, path, {"gru_rs": json.dumps(header)})
    with pytest.raises(ValueError, match=r"model.safetensors: expected a model of gru_rs"):
        gru_rs.load(path)


def test_pickle_is_small():
    layer = gru_rs.GRU(256, 256)
    whole, narrow = io.BytesIO(), io.BytesIO()
    pickle.dump(layer, whole)
    pickle.dump(layer.quantize("int8"), narrow)
    assert narrow.tell() < 0.27 * whole.tell()

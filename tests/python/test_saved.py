"""Networks in files of their own: what `save` writes, `gru_rs.load` gives back, whatever it was."""

import json
import pickle

import gru_rs
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file


def layer(cls, dtype, **options):
    return cls(3, 5, bias=False, dtype=dtype, seed=7, **options)


NETWORKS = {
    "GRU": lambda dtype: layer(gru_rs.GRU, dtype, num_layers=2, bidirectional=True, dropout=0.5, clip=2.0),
    "GRU, reset before": lambda dtype: layer(gru_rs.GRU, dtype, reset_after=False, activation="relu"),
    "LSTM": lambda dtype: layer(gru_rs.LSTM, dtype, batch_first=True),
    "GRUCell": lambda dtype: layer(gru_rs.GRUCell, dtype, recurrent_activation="hard_sigmoid"),
    "LSTMCell": lambda dtype: layer(gru_rs.LSTMCell, dtype),
    "Model": lambda dtype: gru_rs.Model(
        3, 5, 4, vocabulary_size=6, cell="lstm", pooling="each", crf=True, dtype=dtype, seed=7
    ),
    "EncoderDecoder": lambda dtype: gru_rs.EncoderDecoder(
        3, 5, 6, vocabulary_size=6, attention="additive", bidirectional=True, dtype=dtype
    ),
}


def same(one, other):
    assert type(one) is type(other)
    assert repr(one) == repr(other)
    assert one.quantization == other.quantization
    assert one._core.rng_state == other._core.rng_state
    assert one.flat.tobytes() == other.flat.tobytes()
    assert one.flat.dtype == other.flat.dtype


@pytest.mark.parametrize("width", [None, "int8", "f16", "bf16"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
def test_there_and_back(make, dtype, width, tmp_path):
    network = make(dtype)
    if width is not None:
        network = network.quantize(width)
    path = tmp_path / "network.safetensors"
    network.save(path)
    again = gru_rs.load(path)
    same(network, again)
    same(again, pickle.loads(pickle.dumps(again)))
    # Under the names of the state dict, for other readers of the format.
    with safe_open(path, "np") as file:
        assert {name for name in file.keys() if not name.endswith(".scale")} == set(network.params)  # noqa: SIM118


def test_what_quantize_found_is_kept(tmp_path):
    x = np.random.default_rng(1).normal(size=(4, 2, 3)).astype(np.float32)
    network = gru_rs.GRU(3, 5, seed=1).quantize("int8", validate=x)
    network.save(tmp_path / "a.safetensors")
    same(network, gru_rs.load(tmp_path / "a.safetensors"))


def test_dropout_goes_on_where_it_was(tmp_path):
    gru = gru_rs.GRU(3, 5, num_layers=2, dropout=0.5, seed=3)
    x = np.ones((4, 2, 3), np.float32)
    gru.forward(x)
    gru.save(tmp_path / "a.safetensors")
    again = gru_rs.load(tmp_path / "a.safetensors")
    assert np.array_equal(gru.forward(x)[0], again.forward(x)[0])


@pytest.fixture
def changed(tmp_path):
    """A file whose header was changed by hand."""

    def change(edit):
        path = tmp_path / "model.safetensors"
        gru_rs.Model(3, 5, 2, seed=1).save(path)
        header = json.loads(safe_header(path)["gru_rs"])
        del header["checksum"]  # of what it was
        edit(header)
        save_file(load_file(path), path, {"gru_rs": json.dumps(header)})
        return path

    return change


def safe_header(path):
    from safetensors import safe_open

    with safe_open(path, "numpy") as file:
        return file.metadata()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda h: h.update(network="Modell"), r"network: expected one of .*'EncoderDecoder'.*got 'Modell'"),
        (lambda h: h.update(network=["Model"]), "cannot be used"),
        (lambda h: h.update(format_version=2), "expected format version 1, got 2"),
        (lambda h: h.pop("model"), "expected format_version, generators, model, network, got no model"),
        (lambda h: h["model"].update(cell="rnn"), "cell: expected .*got .*rnn"),
        (lambda h: h["model"].update(pooling="median"), "pooling: expected .*median"),
        (lambda h: h["model"].update(hidden_size=6), "weights: expected those of the model's sizes"),
        (lambda h: h["model"].update(hidden_size=2**60), "cannot be used"),
        (
            lambda h: h["model"].update(num_layers=2**40),
            "num_layers: expected no more than the file's 6",
        ),
        (lambda h: h["model"].update(dtype="float64"), "expected float64, got float32"),
        (lambda h: h["model"].update(dtype="int8"), "dtype"),
        (lambda h: h["model"].pop("bias"), "bias"),
        (lambda h: h["model"].update(bias="yes"), "bias: expected a bool"),
        (lambda h: h["model"].update(speed=1), "speed"),
        (lambda h: h.update(quantization={}), "expected quantized ones"),
        (lambda h: h["generators"].update(model=-1), "cannot be used"),
    ],
)
def test_headers_that_do_not_fit(changed, edit, message):
    path = changed(edit)
    with pytest.raises(ValueError, match=message) as caught:
        gru_rs.load(path)
    assert str(path) in str(caught.value)


def test_functions_are_an_estimators(tmp_path):
    gru_rs.GRU(3, 5).save(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match="analyzer: expected none, as a network has no functions"):
        gru_rs.load(tmp_path / "a.safetensors", analyzer=str.split)
    with pytest.raises(ValueError, match="SequenceClassifier"):
        gru_rs.SequenceClassifier.load(tmp_path / "a.safetensors")


def test_a_class_of_ones_own_is_refused(tmp_path):
    class Mine(gru_rs.GRU):
        pass

    with pytest.raises(TypeError, match="got Mine, which would come back as another"):
        Mine(3, 5).save(tmp_path / "a.safetensors")
    assert not (tmp_path / "a.safetensors").exists()


def test_from_torch_says_who_reads_it(tmp_path):
    gru_rs.GRU(3, 5).save(tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"a network: gru_rs\.load takes it"):
        gru_rs.from_torch(tmp_path / "a.safetensors")

"""`gru-rs convert` and `inspect` as a shell sees them; beside PyTorch and Keras: tests/peers."""

import json

import gru_rs
import numpy as np
import pytest
from test_cli import gru_rs as call


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bridge")
    gru = gru_rs.GRU(3, 8, 2, bidirectional=True, seed=1)
    gru_rs.to_safetensors({"encoder.": gru, "decoder.": gru_rs.LSTM(3, 4)}, folder / "two.safetensors")
    gru_rs.to_onnx(gru, folder / "gru.onnx")
    gru_rs.to_onnx(gru_rs.GRU(3, 4, reset_after=False, clip=1.0, activation="relu"), folder / "before.onnx")
    return folder


def test_inspect(folder):
    text = call("inspect", folder / "two.safetensors")
    assert "encoder" in text
    assert "after the product" in text
    first, second = json.loads(call("inspect", folder / "two.safetensors", "--json"))
    assert first["layer"] == "LSTM(3, 4, seed=0)"
    assert second["layer"] == "GRU(3, 8, num_layers=2, bidirectional=True, seed=0)"
    (row,) = json.loads(call("inspect", folder / "before.onnx", "--json"))
    assert row["reset gate"] == "before the product"
    assert row["functions"] == "sigmoid, relu, clip 1"


@pytest.mark.parametrize("name", ["gru.onnx", "before.onnx"])
def test_inspect_beside_onnxruntime(folder, name):
    rows = json.loads(call("inspect", folder / name, "--check", "--json"))
    assert all(row["largest difference"] <= 2e-6 for row in rows)
    assert "largest difference" in call("inspect", folder / name, "--check")


def test_convert(folder, tmp_path):
    call("convert", folder / "two.safetensors", tmp_path / "gru.onnx", "--name", "encoder")
    nodes = gru_rs.from_onnx(tmp_path / "gru.onnx")
    flat = np.concatenate([node.layer.flat for node in nodes.values()])
    assert np.array_equal(flat, gru_rs.from_torch(folder / "two.safetensors", "encoder").flat)
    call("convert", tmp_path / "gru.onnx", tmp_path / "back.safetensors")
    assert len(json.loads(call("inspect", tmp_path / "back.safetensors", "--json"))) == 4  # a direction each


def test_what_is_refused_is_told_beside_the_others(tmp_path):
    """A layer with a name left over hides no other, and is not left out of what is written without a word."""
    state = {f"good.{name}": array for name, array in gru_rs.GRU(3, 8, seed=1).state_dict().items()}
    state |= {f"bad.{name}": array for name, array in gru_rs.LSTM(3, 4).state_dict().items()}
    np.savez(tmp_path / "model.npz", **state, **{"bad.weight_ci": np.ones(4, np.float32)})
    good, bad = json.loads(call("inspect", tmp_path / "model.npz", "--json"))
    assert good["layer"] == "GRU(3, 8, seed=0)"
    assert "got weight_ci beside them" in bad["refused"]
    assert "weight_ci" in call("inspect", tmp_path / "model.npz")
    target = tmp_path / "x.safetensors"
    text = " ".join(call("convert", tmp_path / "model.npz", target, code=1).split())
    assert (
        "expected one of 'good', got none where some are refused: 'bad': bad: expected PyTorch's names"
        in text
    )
    text = " ".join(call("convert", tmp_path / "model.npz", target, "--name", "bad", code=1).split())
    assert "expected one of 'good', got bad: expected PyTorch's names" in text
    assert not target.exists()
    call("convert", tmp_path / "model.npz", target, "--name", "good")
    assert np.array_equal(gru_rs.from_torch(target).flat, gru_rs.GRU(3, 8, seed=1).flat)


def test_mistakes(folder, tmp_path):
    def refused(*arguments):
        return " ".join(call(*arguments, code=1).split())

    assert "No such file" in refused("inspect", folder / "none.onnx")
    assert "expected one of 'decoder', 'encoder' for an ONNX model" in refused(
        "convert", folder / "two.safetensors", tmp_path / "x.onnx"
    )
    assert "got 'other'" in refused(
        "convert", folder / "two.safetensors", tmp_path / "x.onnx", "--name", "other"
    )
    assert "target: expected a file that ends in" in refused(
        "convert", folder / "gru.onnx", tmp_path / "x.txt"
    )
    assert "expected reset_after=True" in refused(
        "convert", folder / "before.onnx", tmp_path / "x.safetensors"
    )
    assert not list(tmp_path.iterdir())
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    assert "as ONNX models are" in refused("inspect", tmp_path / "bad.onnx")
    call("convert", folder / "gru.onnx", code=2)


def test_a_reverse_node_is_not_converted(tmp_path):
    import onnx

    model = gru_rs.to_onnx(gru_rs.GRU(3, 4))
    node = next(node for node in model.graph.node if node.op_type == "GRU")
    node.attribute.append(onnx.helper.make_attribute("direction", "reverse"))
    onnx.save(model, tmp_path / "reverse.onnx")
    assert "reverse" in call("inspect", tmp_path / "reverse.onnx")
    assert "got direction='reverse'" in call(
        "convert", tmp_path / "reverse.onnx", tmp_path / "x.safetensors", code=1
    )


def test_an_estimators_file_is_named(tmp_path):
    classifier = gru_rs.SequenceClassifier(hidden_size=4, max_iter=1, early_stopping=False)
    classifier.fit([np.ones((4, 2)), np.zeros((3, 2))] * 4, [1, 0] * 4)
    classifier.save(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"an estimator: gru_rs\.load takes it"):
        gru_rs.from_torch(tmp_path / "model.safetensors")

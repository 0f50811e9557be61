"""`gru-rs convert` and `inspect` as a shell sees them; beside PyTorch and Keras: tests/peers."""

import importlib.util
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


def test_files_are_told_by_what_they_are(folder, tmp_path):
    import tarfile

    model = tmp_path / "weights.bin"
    model.write_bytes((folder / "gru.onnx").read_bytes())
    assert len(json.loads(call("inspect", model, "--json"))) == 4
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz") as archive:
        archive.add(folder / "gru.onnx", "a/gru.onnx")
        archive.add(folder / "two.safetensors", "two.safetensors")
    text = " ".join(call("inspect", tmp_path / "all.tar.gz", code=1).split())
    assert "all.tar.gz!a/gru.onnx, all.tar.gz!two.safetensors" in text
    assert len(json.loads(call("inspect", f"{tmp_path / 'all.tar.gz'}!two.safetensors", "--json"))) == 2
    (tmp_path / "page.onnx").write_text("<!DOCTYPE html><title>404</title>")
    assert "got page.onnx, a web page" in " ".join(call("inspect", tmp_path / "page.onnx", code=1).split())


def test_what_is_refused_is_shown_beside_the_rest(tmp_path):
    state = {f"good.{name}": value for name, value in gru_rs.GRU(3, 4, seed=1).state_dict().items()}
    state |= {f"bad.{name}": value for name, value in gru_rs.GRU(3, 4).state_dict().items()}
    state["bad.peephole"] = np.ones(4, np.float32)
    np.savez(tmp_path / "both.npz", **state)
    bad, good = sorted(
        json.loads(call("inspect", tmp_path / "both.npz", "--json")), key=lambda row: row["name"]
    )
    assert "peephole" in bad["refused"]
    assert good["layer"] == "GRU(3, 4, seed=0)"
    target = tmp_path / "gru.safetensors"
    for name in ((), ("--name", "bad")):
        text = " ".join(call("convert", tmp_path / "both.npz", target, *name, code=1).split())
        assert "expected one of 'good'" in text
        assert "peephole" in text
    assert not target.exists()
    call("convert", tmp_path / "both.npz", target, "--name", "good")
    assert gru_rs.from_torch(target).input_size == 3


@pytest.mark.parametrize("name", ["encoder", "decoder"])
def test_what_was_converted_is_checked(folder, tmp_path, name):
    call("convert", folder / "two.safetensors", tmp_path / "x.onnx", "--name", name, "--check")
    assert list(gru_rs.from_onnx(tmp_path / "x.onnx"))


@pytest.fixture(scope="module")
def random():
    return np.random.default_rng(0)


SAVED = {
    "numbers": lambda x: gru_rs.SequenceClassifier(hidden_size=4, max_iter=2).fit(x, np.arange(len(x)) % 3),
    "several": lambda x: gru_rs.SequenceClassifier(hidden_size=4, max_iter=2, pooling="attention").fit(
        x, np.arange(len(x) * 2).reshape(-1, 2) % 3 == 1
    ),
    "regressor": lambda x: gru_rs.SequenceRegressor(hidden_size=4, max_iter=2).fit(
        x, 1000 + 50 * np.arange(len(x))
    ),
    "tagger": lambda _: gru_rs.SequenceTagger(hidden_size=4, max_iter=2).fit(
        [list("some text")] * 20, [list("012012012")] * 20
    ),
    "words": lambda _: gru_rs.SequenceClassifier(hidden_size=4, max_iter=2).fit(
        [f"word {k} of {k % 2}" for k in range(24)], np.arange(24) % 2
    ),
}


@pytest.mark.parametrize("kind", SAVED)
def test_saved_estimators_become_onnx(tmp_path, random, kind):
    SAVED[kind](random.normal(size=(24, 6, 2))).save(tmp_path / "model.safetensors")
    call("convert", tmp_path / "model.safetensors", tmp_path / "model.onnx", "--check")
    assert (tmp_path / "model.onnx").exists()
    assert "ends in .onnx" in call("convert", tmp_path / "model.safetensors", tmp_path / "x.pt", code=1)


def test_what_cannot_be_checked_is_not_written(tmp_path):
    model = gru_rs.LanguageModel(hidden_size=4, max_iter=1).fit(["some text", "another text"] * 8)
    model.save(tmp_path / "model.safetensors")
    target = tmp_path / "model.onnx"
    assert "got LanguageModel" in call("convert", tmp_path / "model.safetensors", target, "--check", code=1)
    assert not target.exists()
    call("convert", tmp_path / "model.safetensors", target)
    assert target.exists()


def test_layers_of_one_name_are_not_written_over_each_other(tmp_path):
    import onnx

    first, second = (gru_rs.to_onnx(gru_rs.GRU(3, 4, seed=seed)) for seed in (1, 2))
    both = onnx.compose.merge_models(first, second, io_map=[], prefix1="1", prefix2="2")
    names = iter(["a/b", "a.b"])
    for node in both.graph.node:
        if node.op_type == "GRU":
            node.name = next(names)
    onnx.save(both, tmp_path / "both.onnx")
    text = call("convert", tmp_path / "both.onnx", tmp_path / "x.safetensors", code=1)
    assert "expected one of 'a/b', 'a.b', of which some would have the same name" in " ".join(text.split())
    assert not (tmp_path / "x.safetensors").exists()


def test_what_an_engine_cannot_run_is_said(tmp_path):
    gru_rs.to_safetensors(gru_rs.GRU(3, 4, dtype=np.float64), tmp_path / "wide.safetensors")
    text = call("convert", tmp_path / "wide.safetensors", tmp_path / "wide.onnx", "--check", code=1)
    assert "expected a model that ONNX Runtime runs" in " ".join(text.split())
    assert "Traceback" not in text


def test_a_file_of_refused_layers_alone_is_an_error(tmp_path):
    state = gru_rs.GRU(3, 4).state_dict() | {"weight_ci": np.ones(4, np.float32)}
    np.savez(tmp_path / "refused.npz", **state)
    for command in (["inspect"], ["convert", tmp_path / "x.safetensors"]):
        text = " ".join(call(command[0], tmp_path / "refused.npz", *command[1:], code=1).split())
        assert "expected layers that can be converted" in text
        assert "expected one of none" not in text


def test_engines_that_are_missing_are_named(folder, tmp_path):
    if importlib.util.find_spec("torch") is None:
        text = call("convert", folder / "gru.onnx", tmp_path / "x.pt", "--name", "gru_0", code=1)
        assert "a .pt file needs torch, and torch is not installed: pip install torch" in " ".join(
            text.split()
        )
        target = tmp_path / "x.safetensors"
        text = call("convert", folder / "gru.onnx", target, "--name", "gru_0", "--check", code=1)
        assert "--check needs torch" in text
        assert not target.exists()

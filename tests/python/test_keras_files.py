"""Files of Keras without Keras: every form, and what none of them may do.

They may not lead elsewhere, nor promise more than there is.
"""

import io
import json
import os
import struct
import time
import tracemalloc
import zipfile

import gru_rs
import h5py
import numpy as np
import pytest
from keras_written import FORMS, LAYERS, archive, config_of, legacy, same, serialized, weights

SMALL = 64 * 2**20
"""Bytes: what a small file may take, of a few kilobytes and of h5py's own buffers."""


@pytest.mark.parametrize("form", FORMS)
def test_every_form(tmp_path, form):
    path = tmp_path / form
    path.write_bytes(FORMS[form]())
    config = config_of() if form == "model.weights.h5" else None
    assert same(gru_rs.from_keras(path, config=config))
    for name in LAYERS:
        assert list(gru_rs.from_keras(path, config=config, name=name)) == [name]
    with pytest.raises(ValueError, match="name: expected one of 'before', 'both', 'gru', got 'other'"):
        gru_rs.from_keras(path, config=config, name="other")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as file:
        file.write(path, form)
    assert same(gru_rs.from_keras(tmp_path / "model.zip", config=config))


def test_packed_and_other_numbers(tmp_path):
    path = tmp_path / "model.weights.h5"
    for storage in (
        {"compression": "gzip"},
        {"compression": "gzip", "shuffle": True, "chunks": (2, 3)},
        {"chunks": (1, 5)},
        {"shuffle": True, "chunks": (2, 7)},
        {"dtype": ">f4"},
    ):
        layers = {"gru": gru_rs.GRU(3, 4, batch_first=True, seed=5)}
        path.write_bytes(weights(layers, **storage))
        assert same(gru_rs.from_keras(path, config=config_of(layers)), layers)
    layers = {"gru": gru_rs.GRU(3, 4, batch_first=True, dtype="float64", seed=5)}
    path.write_bytes(weights(layers))
    assert same(gru_rs.from_keras(path, config=config_of(layers)), layers)
    path.write_bytes(weights(layers, dtype="<f2"))
    assert gru_rs.from_keras(path, config=config_of(layers))["gru"].layer.dtype == np.float32


def test_bfloat16(tmp_path):
    """Two bytes without a type, beside which Keras writes what they are."""
    layer, path = gru_rs.GRU(3, 4, batch_first=True, seed=5), tmp_path / "model.weights.h5"
    path.write_bytes(weights({"gru": layer}))
    with h5py.File(path, "r+") as file:
        cell = file["layers/gru/cell/vars"]
        for index in "012":
            bits = (cell[index][()].view(np.uint32) >> 16).astype(np.uint16)
            del cell[index]
            cell[index] = bits.view("V2")
            cell[index].attrs["dtype"] = "bfloat16"
    found = gru_rs.from_keras(path, config=config_of({"gru": layer}))["gru"].layer.flat
    expected = (layer.flat.view(np.uint32) >> 16 << 16).view(np.float32)
    assert np.array_equal(found, expected)
    with h5py.File(path, "r+") as file:
        del file["layers/gru/cell/vars/0"].attrs["dtype"]
    with pytest.raises(ValueError, match="expected plain numbers"):
        gru_rs.from_keras(path, config=config_of({"gru": layer}))


# Out of the file --------------------------------------------------------------------------------------------


def edited(tmp_path, change):
    """A file of weights in which something else stands for a kernel."""
    path = tmp_path / "model.weights.h5"
    path.write_bytes(weights())
    with h5py.File(path, "r+") as file:
        cell = file["layers/gru/cell/vars"]
        kernel = cell["0"][()]
        del cell["0"]
        change(cell, kernel)
    return path


def refused(path, words, **options):
    """A ValueError, and memory that it took."""
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=words):
            gru_rs.from_keras(path, **({"config": config_of()} | options))
        assert tracemalloc.get_traced_memory()[1] < SMALL
    finally:
        tracemalloc.stop()


def test_references_out_of_the_file(tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["0"] = np.ones((3, 12), np.float32)
    raw = tmp_path / "secret.bin"
    raw.write_bytes(bytes(144))

    def external_link(cell, _):
        cell["0"] = h5py.ExternalLink(os.fspath(secret), "/0")

    def soft_link(cell, _):
        cell["0"] = h5py.SoftLink("/layers/gru_1/cell/vars/0")

    def external_storage(cell, kernel):
        cell.create_dataset("0", kernel.shape, "f4", external=[(os.fspath(raw), 0, 144)])

    def virtual(cell, kernel):
        layout = h5py.VirtualLayout(kernel.shape, "f4")
        layout[:] = h5py.VirtualSource(os.fspath(secret), "0", kernel.shape)
        cell.create_virtual_dataset("0", layout)

    def reference(cell, _):
        cell.create_dataset("0", (3, 12), h5py.ref_dtype)

    words = "link to elsewhere"
    refused(edited(tmp_path, external_link), words)
    refused(edited(tmp_path, soft_link), words)
    refused(edited(tmp_path, external_storage), "reference out of it")
    refused(edited(tmp_path, virtual), "reference out of it")
    refused(edited(tmp_path, reference), "expected plain numbers")

    path = edited(tmp_path, lambda cell, kernel: cell.create_dataset("0", data=kernel))
    with h5py.File(path, "r+") as file:
        del file["layers/gru"]
        file["layers/gru"] = h5py.ExternalLink(os.fspath(secret), "/")
    refused(path, words)
    with h5py.File(path, "r+") as file:  # a tree that has itself in it
        del file["layers/gru"]
        file["layers/gru"] = file["layers"]
        file["layers/again"] = file["layers"]
    with pytest.warns(UserWarning, match="no config tells its options"):
        assert sorted(gru_rs.from_keras(path)) == ["before", "both"]


def test_filters(tmp_path):
    for name, storage in {
        "lzf": {"compression": "lzf"},
        "fletcher32": {"fletcher32": True},
        "scaleoffset": {"scaleoffset": 3},
    }.items():
        refused(
            edited(tmp_path, lambda cell, kernel, s=storage: cell.create_dataset("0", data=kernel, **s)),
            f"packed by gzip at most, got .*{name}",
        )


def test_more_than_there_is(tmp_path):
    """Sizes that a file only declares."""

    def vast(**storage):
        return lambda cell, _: cell.create_dataset("0", (100_000, 9_000), "f4", **storage)

    for storage in ({}, {"chunks": (1000, 1000)}, {"chunks": (1000, 1000), "compression": "gzip"}):
        refused(edited(tmp_path, vast(**storage)), "expected at most")
    refused(
        edited(tmp_path, lambda cell, _: cell.create_dataset("0", (3, 12), "f4")),
        "expected 144 bytes of numbers, got 0",
    )
    refused(
        edited(tmp_path, lambda cell, _: cell.create_dataset("0", (3, 12), "f4", chunks=(2, 2))),
        "expected 12 pieces, got 0",
    )

    def zeros(cell, _):
        cell.create_dataset(
            "0", data=np.zeros((3000, 12_000), np.float32), compression="gzip", chunks=(3000, 12_000)
        )

    refused(edited(tmp_path, zeros), "expected at most")

    def longer_inside(cell, _):
        """A piece that unpacks to more than it is."""
        import zlib

        made = cell.create_dataset("0", (3, 12), "f4", chunks=(3, 12), compression="gzip")
        made.id.write_direct_chunk((0, 0), zlib.compress(bytes(200 * 2**20)))

    refused(edited(tmp_path, longer_inside), "expected a piece of 144 bytes, got 145 or more")
    path = tmp_path / "model.weights.h5"
    path.write_bytes(weights())
    refused(path, "expected at most 100 bytes .max_bytes., got", max_bytes=100)
    refused(path, "max_bytes", max_bytes=path.stat().st_size - 1)
    # Of the file itself there is enough, and not of all that is made of it.
    numbers = sum(layer.flat.nbytes for layer in LAYERS.values())
    big = tmp_path / "packed.weights.h5"
    layers = {f"gru{k}": gru_rs.GRU(64, 64, batch_first=True, seed=5) for k in range(6)}
    for layer in layers.values():
        layer.load_state_dict({name: 0 * array for name, array in layer.state_dict().items()})
    big.write_bytes(weights(layers, compression="gzip"))
    assert big.stat().st_size + numbers < 6 * layer.flat.nbytes
    assert (
        len(gru_rs.from_keras(big, config=config_of(layers), name="gru0", max_bytes=2 * layer.flat.nbytes))
        == 1
    )
    refused(big, "max_bytes", config=config_of(layers), max_bytes=2 * layer.flat.nbytes)
    with pytest.raises(TypeError, match="max_bytes: expected an int"):
        gru_rs.from_keras(big, max_bytes="1 GB")


def test_attributes(tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(legacy())
    with h5py.File(path, "r+") as file:
        groups = file["model_weights"]
        names = groups.attrs["layer_names"]
        del groups.attrs["layer_names"]  # cut, as Keras does where there are too many names for one
        groups.attrs["layer_names0"], groups.attrs["layer_names1"] = names[:1], names[1:]
    assert same(gru_rs.from_keras(path))
    for value in (3.0, np.ones(3), h5py.Empty("f4"), ["", "x"], b"\xff\xfe"):
        path.write_bytes(legacy())
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = value
        with pytest.raises(ValueError, match=r"model_config|JSON"):
            gru_rs.from_keras(path)
    path.write_bytes(legacy())
    with h5py.File(path, "r+") as file:  # many names, each of which may be as long as the file
        file["more"] = np.ones(2**18, np.float32)
        file["model_weights"].attrs["layer_names"] = np.array(["x"] * 200, h5py.string_dtype())
    with pytest.raises(ValueError, match="expected at most"):
        gru_rs.from_keras(path)


def test_heaps_within_each_other(tmp_path):
    """A text of a heap may look like a heap that ends where this one does: none makes the walk longer."""
    path, count = tmp_path / "model.h5", 6000
    head, size = b"GCOL\x01\0\0\0", 16 + 32 * count
    texts = (struct.pack("<H6xQ8sQ", 1, 16, head, size - at) for at in range(32, size, 32))
    path.write_bytes(legacy() + head + struct.pack("<Q", size) + b"".join(texts))
    began = time.perf_counter()
    refused(path, "expected heaps of texts beside each other, got some within each other", config=None)
    assert time.perf_counter() - began < 3
    path.write_bytes(legacy() + head + struct.pack("<Q", 48) + struct.pack("<H6xQ8sQ", 1, 16, head, 16))
    assert same(gru_rs.from_keras(path))


# Archives and configs ---------------------------------------------------------------------------------------


def test_archives(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(archive(h5=b"nothing"))
    with pytest.raises(ValueError, match="expected HDF5 of version 0 to 3"):
        gru_rs.from_keras(path)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", json.dumps(config_of()))
        file.writestr("metadata.json", "{}")
        file.writestr("model.weights.h5", bytes(500 * 2**20))
    path.write_bytes(data.getvalue())
    refused(path, "expected at most", config=None)
    path.write_bytes(archive(config="[" * 20_000_000))
    with pytest.raises(ValueError, match="expected at most 16777216 characters of JSON"):
        gru_rs.from_keras(path)
    path.write_bytes(archive(config="[" * 100_000 + "]" * 100_000))
    with pytest.raises(ValueError, match="expected JSON"):
        gru_rs.from_keras(path)
    path.write_bytes(archive())
    with pytest.raises(ValueError, match="config: expected None, or layers by their names"):
        gru_rs.from_keras(path, config=config_of())
    with pytest.raises(ValueError, match="config: expected names of layers without a config, got 'gru'"):
        gru_rs.from_keras(path, config={"gru": serialized(LAYERS["gru"], "gru")})


def changed(**options):
    """The config with other options of its GRU."""
    config = config_of()
    config["config"]["layers"][0]["config"] |= options
    return config


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"units": 5}, "expected units=4 as of its weights, got 5"),
        ({"units": float("nan")}, "expected units=4 as of its weights, got nan"),
        ({"units": True}, "expected units=4"),
        ({"use_bias": False}, "expected use_bias=True as of its weights, got False"),
        ({"use_bias": "yes"}, "expected use_bias to be true or false, got 'yes'"),
        ({"reset_after": False}, "bias"),
        ({"reset_after": 1}, "expected reset_after to be true or false, got 1"),
        ({"go_backwards": None}, "expected go_backwards to be true or false, got None"),
        ({"activation": "gelu"}, "expected an activation of sigmoid, tanh, relu or hard_sigmoid, got 'gelu'"),
        ({"activation": ["tanh"]}, "expected an activation"),
        ({"activation": {"class_name": "function", "config": "tanh", "module": "my"}}, "got 'tanh of my'"),
        (
            {"activation": {"class_name": "LeakyReLU", "config": {}, "module": "keras.layers"}},
            "got 'LeakyReLU'",
        ),
        ({"time_major": True}, "time_major=True"),
        ({"peephole": True}, "expected options that Keras's layers have, got peephole"),
    ],
)
def test_options_that_are_not_taken(tmp_path, options, words):
    for form, make in (("model.keras", archive), ("model.h5", legacy)):
        path = tmp_path / form
        path.write_bytes(make(config=changed(**options)))
        with pytest.raises(ValueError, match=words) as caught:
            gru_rs.from_keras(path)
        assert "expected one of 'before', 'both', got None; refused: 'gru'" in str(caught.value)
        assert list(gru_rs.from_keras(path, name="both")) == ["both"]
        with pytest.raises(ValueError, match=words):
            gru_rs.from_keras(path, name="gru")


@pytest.mark.parametrize(
    "config",
    [
        [],
        {},
        3,
        {"class_name": "Sequential"},
        {"class_name": "Sequential", "config": {"layers": {}}},
        {"class_name": "Sequential", "config": {"layers": [3]}},
        {"class_name": "Sequential", "config": {"layers": [{"class_name": 3}]}},
        {"class_name": "Sequential", "config": {"layers": [{"class_name": "Bidirectional", "config": []}]}},
        {"class_name": "Sequential", "config": {"layers": [{"class_name": "TimeDistributed", "config": 3}]}},
        {"class_name": "Sequential", "config": {"layers": [{"class_name": "RNN", "config": {"cell": 3}}]}},
    ],
)
def test_configs_that_are_none(tmp_path, config):
    for form, make in (("model.keras", archive), ("model.h5", legacy)):
        path = tmp_path / form
        path.write_bytes(make(config=json.dumps(config)))
        with pytest.raises(ValueError, match="expected"):
            gru_rs.from_keras(path)


def test_what_is_there_is_told(tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(archive({}))
    with pytest.raises(ValueError, match="expected a model with a GRU or an LSTM, got one of Dense"):
        gru_rs.from_keras(path)


def test_users_classes(tmp_path):
    """A class of the user's own that has the name of one of Keras's, or its config in it, or nothing."""
    path = tmp_path / "model.keras"
    config = config_of()
    config["config"]["layers"][0] |= {"module": "mine", "registered_name": "Custom>GRU"}
    path.write_bytes(archive(config=config))
    with pytest.raises(
        ValueError, match=r"'gru' .expected its config in the file, got weights alone, within GRU"
    ):
        gru_rs.from_keras(path)
    one = gru_rs.from_keras(path, name="gru", config={"gru": serialized(LAYERS["gru"], "gru")})["gru"]
    assert np.array_equal(one.layer.flat, LAYERS["gru"].flat)
    with pytest.raises(ValueError, match=r"expected a config of GRU, LSTM, .*, got one of Dense"):
        gru_rs.from_keras(path, config={"gru": {"class_name": "Dense", "config": {}}})

"""Files of PyTorch, made here instruction by instruction: read without PyTorch, and never run.

Beside PyTorch's own: tests/peers/test_torch.py.
"""

import contextlib
import json
import pickle
import struct
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import gru_rs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

GRU = gru_rs.GRU(3, 4, 2, bidirectional=True, seed=1)
STORAGES = {"f4": "Float", "f8": "Double", "f2": "Half", "i4": "Int", "u2": "BFloat16"}


def text(word):
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def number(value):
    return b"J" + struct.pack("<i", value)


def tensor(key, array, storage=None, offset=0, shape=None, strides=None, marks=b""):
    """PyTorch's instructions for a tensor whose numbers lie under a key, and what is marked at it."""
    word = storage or STORAGES[array.dtype.str[1:]]
    shape = array.shape if shape is None else shape
    strides = [step // array.itemsize for step in array.strides] if strides is None else strides
    place = b"(" + text("storage") + f"ctorch\n{word}Storage\n".encode() + text(key) + text("cpu")
    place += number(array.size) + b"tQ"
    sizes = b"".join(b"(" + b"".join(map(number, one)) + b"t" for one in (shape, strides))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + place + number(offset) + sizes + b"\x89}" + marks + b"tR"


def state_pickle(arrays, **more):
    items = (text(name) + tensor(str(key), array, **more) for key, (name, array) in enumerate(arrays.items()))
    return b"\x80\x02}(" + b"".join(items) + b"u."


def archive(path, arrays, data=None, members=(), **more):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("model/data.pkl", state_pickle(arrays, **more) if data is None else data)
        for key, array in enumerate(arrays.values()):
            file.writestr(f"model/data/{key}", array.tobytes())
        for name, contents in dict(members).items():
            file.writestr(name, contents)
    return path


def prefixed(layer, prefix="gru."):
    return {prefix + name: array for name, array in layer.state_dict().items()}


@pytest.mark.parametrize("dtype", ["<f4", "<f8", ">f4", ">f8"])
@pytest.mark.parametrize("layer", [GRU, gru_rs.LSTM(3, 4, bias=False, seed=1), gru_rs.GRUCell(3, 4, seed=1)])
def test_a_zip_file(layer, dtype, tmp_path):
    arrays = {name: array.astype(dtype) for name, array in prefixed(layer).items()}
    order = {"model/byteorder": "big" if dtype[0] == ">" else "little"}
    again = gru_rs.from_torch(archive(tmp_path / "model.pt", arrays, members=order))
    np.testing.assert_array_equal(again.flat, layer.flat)
    assert again.dtype == np.dtype(dtype[1:])


def test_halves_and_bfloat16(tmp_path):
    wide = {name: np.float16(array).astype("f4") for name, array in prefixed(GRU).items()}
    halves = {name: array.astype("f2") for name, array in wide.items()}
    again = gru_rs.from_torch(archive(tmp_path / "half.pt", halves))
    np.testing.assert_array_equal(again.flat, np.concatenate([array.ravel() for array in wide.values()]))
    brain = {name: (array.view("u4") >> 16).astype("u2") for name, array in prefixed(GRU).items()}
    again = gru_rs.from_torch(archive(tmp_path / "brain.pt", brain))
    for name, array in again.params.items():
        np.testing.assert_array_equal(array.view("u4") >> 16, brain[f"gru.{name}"])


def test_views_of_one_storage(tmp_path):
    """A transposed matrix, and rows out of the middle."""
    cell = gru_rs.GRUCell(3, 4, seed=1)
    state = cell.state_dict()
    parts = [state["weight_ih"].T.copy(), *(state[name] for name in ("weight_hh", "bias_ih", "bias_hh"))]
    whole, offset, items = np.concatenate([part.ravel() for part in parts]), 0, b""
    for (name, array), strides in zip(state.items(), [(1, 12), (4, 1), (1,), (1,)], strict=True):
        items += text(name) + tensor("0", whole, offset=offset, shape=array.shape, strides=strides)
        offset += array.size
    path = archive(tmp_path / "views.pt", {"": whole}, b"\x80\x02}(" + items + b"u.")
    np.testing.assert_array_equal(gru_rs.from_torch(path).flat, cell.flat)


def test_a_legacy_file(tmp_path):
    arrays = prefixed(GRU)
    magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
    data = magic + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2) + state_pickle(arrays)
    data += pickle.dumps([str(key) for key in range(len(arrays))], 2)
    data += b"".join(struct.pack("<q", array.size) + array.tobytes() for array in arrays.values())
    path = tmp_path / "old.pt"
    path.write_bytes(data)
    np.testing.assert_array_equal(gru_rs.from_torch(path).flat, GRU.flat)
    path.write_bytes(data[:-40])
    with pytest.raises(ValueError, match=r"expected a tensor within its 2 numbers, got one of shape \(12,\)"):
        gru_rs.from_torch(path)


def test_torchscript_by_its_state(tmp_path):
    def module(of, items):
        return f"c__torch__.{of[0]}\n{of[1]}\n".encode() + b")\x81}(" + items + b"ub"

    def script(path, of):
        items = (
            text(name) + tensor(str(key), array) for key, (name, array) in enumerate(GRU.state_dict().items())
        )
        inner = module(of, b"".join(items) + text("training") + b"\x89")
        data = b"\x80\x02" + module(("", "Model"), text("rnn") + inner) + b"."
        return archive(path, GRU.state_dict(), data, {"model/constants.pkl": b"\x80\x02)."})

    path = script(tmp_path / "script.pt", ("torch.nn.modules.rnn", "GRU"))
    np.testing.assert_array_equal(gru_rs.from_torch(path, "rnn", batch_first=True).flat, GRU.flat)
    path = script(tmp_path / "own.pt", ("mine", "GRU"))
    with pytest.raises(ValueError, match="rnn: expected PyTorch's names alone, got class GRU beside"):
        gru_rs.from_torch(path)


def test_an_exported_program(tmp_path):
    path, config = tmp_path / "program.pt2", {}
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("program/archive_format", "pt2")
        for key, (name, array) in enumerate(prefixed(GRU).items()):
            steps = [step // 4 for step in array.strides]
            sizes, strides = ([{"as_int": n} for n in axes] for axes in (array.shape, steps))
            meta = {"dtype": 7, "sizes": sizes, "strides": strides, "storage_offset": {"as_int": 0}}
            config[name] = {"path_name": f"weight_{key}", "use_pickle": False, "tensor_meta": meta}
            file.writestr(f"program/data/weights/weight_{key}", array.tobytes())
        file.writestr("program/data/weights/model_weights_config.json", json.dumps({"config": config}))
    np.testing.assert_array_equal(gru_rs.from_torch(path).flat, GRU.flat)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(save, tmp_path):
    arrays = {name: np.asfortranarray(array.astype(">f4")) for name, array in prefixed(GRU).items()}
    save(tmp_path / "model.npz", **arrays, names=np.array(["a", "b"]))
    np.testing.assert_array_equal(gru_rs.from_torch(tmp_path / "model.npz").flat, GRU.flat)
    save(tmp_path / "model.npz", **{**arrays, "gru.weight_hh_l0": np.array([{}, None])})
    with pytest.raises(ValueError, match=r"of the types .* got object"):
        gru_rs.from_torch(tmp_path / "model.npz")


def test_names_of_another_kind_are_told(tmp_path):
    np.savez(tmp_path / "model.npz", enc_w_ih=np.ones((12, 3)), enc_w_hh=np.ones((12, 4)))
    with pytest.raises(ValueError, match="got none in 2 arrays, the first of them 'enc_w_ih', 'enc_w_hh'"):
        gru_rs.from_torch(tmp_path / "model.npz")


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_pickle_of_arrays(protocol, tmp_path):
    (tmp_path / "model.pkl").write_bytes(pickle.dumps([{"net": prefixed(GRU), "words": {"a": 1}}], protocol))
    np.testing.assert_array_equal(gru_rs.from_torch(tmp_path / "model.pkl", "0.net.gru").flat, GRU.flat)


class Fires:
    """What a hostile pickle would do, in a harmless form: it would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", range(2, 6))
def test_nothing_is_run(protocol, tmp_path):
    fired = tmp_path / "fired"
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({**prefixed(GRU), "more": Fires(fired)}, protocol))
    np.testing.assert_array_equal(gru_rs.from_torch(path).flat, GRU.flat)
    path.write_bytes(pickle.dumps(Fires(fired), protocol))
    with pytest.raises(ValueError, match="got none in objects of") as caught:
        gru_rs.from_torch(path)
    assert "weights_only" not in str(caught.value)
    archive(tmp_path / "model.pt", {}, path.read_bytes())
    with pytest.raises(ValueError, match="got none in objects of"):
        gru_rs.from_torch(tmp_path / "model.pt")
    assert not fired.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"shape": (10**9, 10**9), "strides": (0, 0)},
            "model.pt: expected at most .* got 4000000000000000000",
        ),
        ({"offset": 1}, "within its 12 numbers"),
        ({"offset": -1}, "of at most 8 axes within its numbers"),
        ({"strides": (-1,), "shape": (12,)}, "of at most 8 axes within its numbers"),
        ({"shape": (1,) * 9, "strides": (0,) * 9}, "of at most 8 axes within its numbers"),
        ({"storage": "Other"}, "of the types .* got Other"),
        ({"storage": "Int"}, "expected weights in float16, float32 or float64, got int32"),
    ],
)
def test_tensors_that_are_not_there(change, words, tmp_path):
    arrays = {"bias_ih": np.ones(12, "f4")} | {
        name: array for name, array in gru_rs.GRUCell(3, 4).state_dict().items() if name != "bias_ih"
    }
    items = text("bias_ih") + tensor("0", arrays["bias_ih"], **change)
    for key, (name, array) in list(enumerate(arrays.items()))[1:]:
        items += text(name) + tensor(str(key), array)
    path = archive(tmp_path / "model.pt", arrays, b"\x80\x02}(" + items + b"u.")
    with pytest.raises(ValueError, match=words):
        gru_rs.from_torch(path)


@pytest.mark.parametrize("form", ["zip", "legacy", "npz", "pickle", "safetensors"])
def test_no_more_bytes_than_are_allowed(form, tmp_path):
    path = tmp_path / "model"
    if form == "zip":
        archive(path, prefixed(GRU))
    elif form == "npz":
        with path.open("wb") as file:
            np.savez(file, **prefixed(GRU))
    elif form == "safetensors":
        gru_rs.to_safetensors(GRU, path)
    else:
        magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." if form == "legacy" else b""
        path.write_bytes(magic + pickle.dumps(prefixed(GRU)))
    with pytest.raises(ValueError, match=r"max_bytes|in such an archive"):
        gru_rs.from_torch(path, max_bytes=1000)
    with pytest.raises(TypeError, match="max_bytes: expected an int"):
        gru_rs.from_torch(path, max_bytes="1")


def test_in_an_archive(tmp_path):
    inner = archive(tmp_path / "model.pt", prefixed(GRU))
    with zipfile.ZipFile(tmp_path / "models.zip", "w") as file:
        file.write(inner, "models/model.pt")
        file.writestr("README", "what it is")
    np.testing.assert_array_equal(gru_rs.from_torch(tmp_path / "models.zip").flat, GRU.flat)
    np.testing.assert_array_equal(gru_rs.from_torch(f"{tmp_path}/models.zip!models/model.pt").flat, GRU.flat)


def test_dicts_without_an_end(tmp_path):
    """A dict that holds itself, and one that holds another twice, forty times over."""
    path = tmp_path / "model.pkl"
    cycle = {}
    cycle["again"] = cycle
    path.write_bytes(pickle.dumps(cycle))
    with pytest.raises(ValueError, match="at most 64 dicts within each other"):
        gru_rs.from_torch(path)
    deep = {"weight_ih": np.ones(3)}
    for _ in range(40):
        deep = {"a": deep, "b": deep}
    path.write_bytes(pickle.dumps(deep))
    with pytest.raises(ValueError, match="at most 1000000 names"):
        gru_rs.from_torch(path)


@given(data=st.data())
@pytest.mark.parametrize("form", ["pickle of a zip", "zip", "pickle", "npz"])
def test_damaged_files_are_value_errors(form, data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.bin"
        if form == "zip":
            archive(path, prefixed(GRU))
        elif form == "pickle of a zip":
            path.write_bytes(state_pickle(prefixed(GRU)))
        elif form == "pickle":
            path.write_bytes(pickle.dumps(prefixed(GRU), data.draw(st.sampled_from([2, 4, 5]))))
        else:
            with path.open("wb") as file:
                np.savez(file, **prefixed(GRU))
        whole = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(0, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        whole = whole[: data.draw(st.sampled_from([len(whole), len(whole) - 100, len(whole) // 2]))]
        if form == "pickle of a zip":  # whose own sums would tell
            archive(path, prefixed(GRU), bytes(whole))
        else:
            path.write_bytes(whole)
        with contextlib.suppress(ValueError):
            assert gru_rs.from_torch(path).flat.size


def doubled(levels, begin, pair):
    """A pickle in which each level holds the one below twice."""
    return b"\x80\x02" + begin + b"q\x00" + (pair + b"q\x00") * levels


def marked(mark):
    return b"}" + text(mark) + b"\x88s"


def test_tensors_that_are_marked_as_negated(tmp_path):
    """Those of torch.imag and such: their numbers in the file have the other sign."""
    cell = gru_rs.GRUCell(3, 4, seed=1)
    path = archive(tmp_path / "model.pt", cell.state_dict(), marks=marked("neg"))
    np.testing.assert_array_equal(gru_rs.from_torch(path).flat, -cell.flat)
    archive(path, cell.state_dict(), marks=b"}")
    np.testing.assert_array_equal(gru_rs.from_torch(path).flat, cell.flat)
    for mark in (marked("conj"), marked("other"), b"K\x01"):
        archive(path, cell.state_dict(), marks=mark)
        with pytest.raises(ValueError, match=r"weight_ih: .*got torch.Tensor with marks that are not known"):
            gru_rs.from_torch(path)


def test_a_number_that_stands_for_many(tmp_path):
    arrays, path = prefixed(GRU), tmp_path / "model.pt"
    items = b"".join(
        text(name)
        + (
            tensor(str(key), array)
            if "bias" not in name
            else tensor("0", arrays["gru.weight_ih_l0"], shape=array.shape, strides=(0,))
        )
        for key, (name, array) in enumerate(arrays.items())
    )
    again = gru_rs.from_torch(archive(path, arrays, b"\x80\x02}(" + items + b"u."))
    for name, array in again.params.items():
        first = GRU.params["weight_ih_l0"][0, 0]
        np.testing.assert_array_equal(
            array, np.broadcast_to(first, array.shape) if "bias" in name else GRU.params[name]
        )


@pytest.mark.parametrize("form", ["zip", "pickle"])
def test_layers_that_share_their_numbers_count_each(form, tmp_path):
    """A small file may ask for many large layers: none is kept to tell its name, all together are bounded."""
    weight, path = np.ones((768, 256), np.float32), tmp_path / "model"
    if form == "pickle":
        layer = {"weight_ih_l0": weight, "weight_hh_l0": weight}
        path.write_bytes(pickle.dumps({f"l{k}": dict(layer) for k in range(60)}))
    else:
        both = (
            text(f"l{k}.weight_{own}_l0") + tensor("0", weight) for k in range(60) for own in ("ih", "hh")
        )
        archive(path, {"": weight}, b"\x80\x02}(" + b"".join(both) + b"u.")
    assert gru_rs.from_torch(path, "l7", max_bytes=2_000_000).hidden_size == 256
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"one of 'l0', 'l1', got None.*l10\.weight_.h_l0: .* \(max_bytes\)"):
        gru_rs.from_torch(path, max_bytes=4_000_000)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()
    with pytest.raises(ValueError, match=r"'l1'.*refused: 'l\d+' .*model: expected at most 100 times the"):
        gru_rs.from_torch(path)


def program(path, inner, config, model=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("m/archive_format", "pt2")
        file.writestr("m/data/weights/model_weights_config.json", json.dumps({"config": config}))
        file.writestr("m/data/weights/w", inner)
        if model is not None:
            file.writestr("m/models/model.json", model)
    return path


def test_pickled_weights_of_a_program_are_read_once(tmp_path):
    inner = archive(tmp_path / "w.pt", {"": np.ones(3, "f4")}, members={"model/more": bytes(3_000_000)})
    config = {f"w{k}": {"path_name": "w", "use_pickle": True} for k in range(60)}
    path = program(tmp_path / "model.pt2", inner.read_bytes(), config)
    tracemalloc.start()
    with pytest.raises(ValueError, match="got none in 60 arrays"):
        gru_rs.from_torch(path, max_bytes=4_000_000)
    assert tracemalloc.get_traced_memory()[1] < 16_000_000
    tracemalloc.stop()


def test_programs_tell_whose_classes_their_modules_are(tmp_path):
    """Of a class of one's own with a GRUCell's parameters nobody knows what it computes."""
    state = gru_rs.GRUCell(3, 4, seed=1).state_dict()
    config = {f"{own}.{name}": {"path_name": "w", "use_pickle": True} for own in "ab" for name in state}
    inner = archive(
        tmp_path / "w.pt",
        {"": np.ones((12, 4), "f4")},
        b"\x80\x02" + tensor("0", np.ones((12, 4), "f4")) + b".",
    )
    stacks = [f"L,,mine.M;L__a,a,{of}" for of in ("torch.nn.modules.rnn.GRUCell", "mine.Own")]
    stacks += ["L,,mine.M;L__b@1,b@1,mine.Own", ""]
    for stack, words in (
        (stacks[0], "expected the parameters of one GRUCell"),
        (stacks[1], "got class Own beside"),
    ):
        model = {
            "graph_module": {
                "graph": {
                    "nodes": [{"metadata": {"nn_module_stack": one}} for one in (stack, *stacks[2:])]
                    + [{"metadata": {}}]
                }
            }
        }
        path = program(tmp_path / "model.pt2", inner.read_bytes(), config, json.dumps(model))
        with pytest.raises(ValueError, match=f"^a: .*{words}"):
            gru_rs.from_torch(path, "a")
        with pytest.raises(ValueError, match=r"^b: .*got class Own beside"):
            gru_rs.from_torch(path, "b")
    for model in ("{}", "junk", '{"graph_module": {"graph": {"nodes": [1]}}}', "[" * 100_000):
        with pytest.raises(ValueError, match=r"expected a graph as torch\.export writes it"):
            gru_rs.from_torch(program(tmp_path / "model.pt2", inner.read_bytes(), config, model))


def test_programs_with_other_files_in_them(tmp_path):
    path = tmp_path / "model.pt2"
    for members, words in (
        (
            {"serialized_state_dict.pt": b"junk"},
            "expected a file of torch.save, got model.pt2!serialized_state_dict.pt, which cannot be read",
        ),
        ({}, "expected one file data/weights/model_weights_config.json within, got 0"),
        (
            {f"{own}/data/weights/model_weights_config.json": b"{}" for own in "ab"},
            "config.json within, got 2",
        ),
    ):
        with zipfile.ZipFile(path, "w") as file:
            for name, data in {"serialized_exported_program.json": b"{}", **members}.items():
                file.writestr(name, data)
        with pytest.raises(ValueError, match=words):
            gru_rs.from_torch(path)


LISTS = b"]" + b"q\x00" + b"0]h\x00ah\x00aq\x00" * 40
"""Lists, each of which has the one before twice."""
LITTLE, PAIR = text("<"), number(2) + b"\x85"
STORAGE = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + number(12) + b"tQ"
TENSOR = b"ctorch._utils\n_rebuild_tensor\n(" + STORAGE


def array_pickle(dtype, order=LITTLE, shape=PAIR):
    """An array of NumPy with whatever for a dtype."""
    kind = b"cnumpy\ndtype\n(" + dtype + b"tR(K\x03" + order + b"NNNI-1\nI-1\nK\x00tb"
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01" + shape + kind + b"\x89" + text("abcdefgh") + b"tb"
    )


@pytest.mark.parametrize(
    "value",
    [
        TENSOR + number(0) + LISTS + b"tR",
        TENSOR + number(0) + LISTS + b"\x85K\x01\x85tR",
        TENSOR + LISTS + b"K\x01\x85K\x01\x85tR",
        b"ctorch._utils\n_rebuild_tensor\n("
        + STORAGE[: -len(b"tQ") - len(text("cpu") + number(12) + text("0"))]
        + LISTS
        + text("cpu")
        + number(12)
        + b"tQtR",
        LISTS + b"q\x01h\x01\x93",
        b"}ca\nb\n(" + LISTS + b"tRK\x01s",
        b"}ca\nb\n(" + LISTS + b"tR\x85" + text("a") + b"s",
        b"ccollections\nOrderedDict\n(](" + b"(K\x01K\x01tq\x05" + b"0h\x05h\x05\x86q\x05" * 40 + b"N\x86etR",
        TENSOR + number(0) + b"]q\x000" + b"]h\x00aq\x000" * 5000 + b"h\x00tR",
        b"]q\x00(ctorch._tensor\n_rebuild_from_type_v2\nNh\x00e0ctorch._tensor\n_rebuild_from_type_v2\nh\x00R",
        array_pickle(text("(,)f4")),
        array_pickle(LISTS),
        array_pickle(text("f4"), LISTS),
        array_pickle(text("f4"), shape=b"\x8a\x0a" + (2**70).to_bytes(10, "little") + b"\x85"),
        array_pickle(text("f4"), shape=LISTS),
        b"ctorch._utils\n_rebuild_qtensor\n("
        + STORAGE
        + number(0)
        + b"K\x01\x85K\x01\x85(ctorch\nper_tensor_affine\n"
        + LISTS
        + b"K\x00ttR",
        b"ctorch._utils\n_rebuild_qtensor\n("
        + STORAGE
        + number(0)
        + b"K\x01\x85K\x01\x85(ctorch\nper_tensor_affine\nca\nb\nK\x00ttR",
        b"ctorch._utils\n_rebuild_qtensor\n("
        + STORAGE
        + number(0)
        + b"K\x01\x85K\x01\x85(ctorch\nper_tensor_affine\nG\x7f\xf0\0\0\0\0\0\0K\x00ttR",
    ],
)
def test_hostile_objects_in_pickles_are_value_errors_at_once(value, tmp_path):
    """Texts of them would have no end, and what NumPy makes of them has any error."""
    path = tmp_path / "model.pt"
    for name in ("weight_ih_l0", "_all_weight_values.0.param"):
        data = b"\x80\x02]q\x00}(" + text(name) + value + text("weight_hh_l0") + b"Nu."
        archive(path, {"": np.ones(12, "f4")}, data)
        with pytest.raises(ValueError, match="expected") as caught:
            gru_rs.from_torch(path)
        assert len(str(caught.value)) < 1000


def test_packed_layers_of_anything_else(tmp_path):
    state = b"ca\nb\n)R(NN" + b"NN" + b"(" + b"(" + LISTS + b"Nt" * 1 + b"(" + LISTS + b"Nt" + b"t" + b"tb"
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02}" + text("_all_weight_values.0.param") + state + b"s.")
    with pytest.raises(ValueError, match="expected what quantize_dynamic packs, got something else"):
        gru_rs.from_torch(path)


def test_long_names_are_cut_in_messages():
    long = {f"{'a' * 900}{k}": {"weight_ih_l0": np.ones(3)} for k in "xy"}
    with pytest.raises(ValueError, match="name: expected one of none") as caught:
        gru_rs.from_torch(long)
    assert len(str(caught.value)) < 1000
    with pytest.raises(ValueError, match="names of at most 1000 letters"):
        gru_rs.from_torch({"a" * 600: long})
    with pytest.raises(ValueError, match="one of 'tuple 0', 'tuple 1'"):
        gru_rs.from_torch({(1, 2): prefixed(GRU, ""), (3, 4): prefixed(GRU, "")})


@pytest.mark.parametrize(
    "header",
    ["{'descr': '<f4', (", '"' * 3, "  a\n b", "{'descr': '(,)f4', 'fortran_order': False, 'shape': (2,)}"],
)
def test_headers_of_arrays_that_are_no_python(header, tmp_path):
    with zipfile.ZipFile(tmp_path / "model.npz", "w") as file:
        text_ = header.encode() + b"\n"
        file.writestr(
            "weight_ih_l0.npy", b"\x93NUMPY\x01\0" + struct.pack("<H", len(text_)) + text_ + bytes(8)
        )
    with pytest.raises(ValueError, match="got an array that cannot be read"):
        gru_rs.from_torch(tmp_path / "model.npz")


def test_what_stands_in_a_file_many_times_ends(tmp_path, monkeypatch):
    path = tmp_path / "doubled.pkl"
    monkeypatch.setattr("gru_rs.io._torch_names._MOST_VALUES", 10**5)
    path.write_bytes(doubled(40, b"}", b"0}(U\x01ah\x00U\x01bh\x00u") + b".")
    with pytest.raises(ValueError, match="expected at most 1000000 names and 100000 values, got more"):
        gru_rs.from_torch(path)
    path.write_bytes(doubled(40, b")", b"0h\x00h\x00\x86") + b"0}(h\x00K\x01u.")
    with pytest.raises(ValueError, match="keys that are no tuples of tuples"):
        gru_rs.from_torch(path)

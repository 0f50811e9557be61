"""Weights of PyTorch without PyTorch: state dicts of arrays and safetensors files. With it: tests/peers."""

import json
import pickle
import struct

import gru_rs
import numpy as np
import pytest
from safetensors.numpy import save_file

LAYERS = [
    gru_rs.GRU(3, 8, seed=1),
    gru_rs.GRU(3, 8, 3, bidirectional=True, bias=False, seed=1),
    gru_rs.LSTM(3, 8, 2, bidirectional=True, dtype=np.float64, seed=1),
    gru_rs.GRUCell(3, 8, seed=1),
    gru_rs.LSTMCell(3, 8, bias=False, seed=1),
]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_state_dicts_give_layers(layer):
    again = gru_rs.from_torch(layer.state_dict())
    assert repr(again) == repr(layer).replace("seed=1", "seed=0")
    assert np.array_equal(again.flat, layer.flat)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_safetensors_there_and_back(layer, tmp_path):
    path = tmp_path / "layer.safetensors"
    gru_rs.to_safetensors(layer, path, prefix="encoder.gru.")
    assert np.array_equal(gru_rs.from_torch(path).flat, layer.flat)
    assert np.array_equal(gru_rs.from_torch(str(path), "encoder.gru").flat, layer.flat)


def test_one_of_several_by_name():
    gru, lstm = LAYERS[0], LAYERS[2]
    model = {"embedding.weight": np.ones((5, 3)), "head.bias": np.ones(2)}
    model |= {f"model.encoder.{k}": v for k, v in gru.state_dict().items()}
    nested = {"epoch": 3, "state": model | {"decoder": lstm.state_dict()}}
    assert np.array_equal(gru_rs.from_torch(nested, "state.model.encoder").flat, gru.flat)
    assert np.array_equal(gru_rs.from_torch(nested, "state.decoder").flat, lstm.flat)
    with pytest.raises(
        ValueError, match=r"name: expected one of 'state\.decoder', 'state\.model\.encoder', got None"
    ):
        gru_rs.from_torch(nested)
    with pytest.raises(ValueError, match="got 'encoder'"):
        gru_rs.from_torch(nested, "encoder")


def test_options_that_a_state_dict_does_not_know():
    layer = gru_rs.from_torch(LAYERS[1].state_dict(), batch_first=True, dropout=0.25)
    assert layer.batch_first
    assert layer.dropout == 0.25


def test_halves_become_float32():
    halves = {name: value.astype(np.float16) for name, value in LAYERS[0].state_dict().items()}
    layer = gru_rs.from_torch(halves)
    assert layer.dtype == np.float32
    assert np.array_equal(layer.flat, np.concatenate([value.ravel() for value in halves.values()]))


def changed(**changes):
    state = LAYERS[0].state_dict() | changes
    return {name: value for name, value in state.items() if value is not None}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({}, "source: expected a GRU.*got none"),
        ({"weight": np.ones(3)}, "got none"),
        (changed(weight_hh_l0=None), "expected weight_ih_l0 and weight_hh_l0"),
        (changed(bias_hh_l0=None), r"missing \['bias_hh_l0'\]"),
        (changed(bias_ih_l0=None, bias_hh_l0=None, bias_hh_l1=np.ones(24)), "missing"),
        (
            changed(weight_hh_l0=np.ones((8, 8), np.float32)),
            "expected weight_hh_l0 of shape .* got \\(8, 8\\)",
        ),
        (changed(weight_hh_l0=np.ones((25, 8), np.float32)), "got \\(25, 8\\)"),
        (changed(weight_ih_l0=np.ones((23, 3), np.float32)), "weight_ih_l0: expected shape"),
        (changed(weight_ih_l0=np.ones(3, np.float32)), "two axes"),
        (changed(weight_hr_l0=np.ones((2, 8), np.float32)), "projection"),
        (
            changed(bias_ih_l0=np.ones(24, np.int32)),
            "bias_ih_l0: expected weights in float16, float32 or float64",
        ),
    ],
)
def test_what_is_no_layer_is_refused(source, words):
    with pytest.raises(ValueError, match=words):
        gru_rs.from_torch(source)


@pytest.mark.parametrize(
    "more",
    [
        ["weight_ci", "weight_cf", "weight_co"],
        ["bias"],
        ["bias_n"],
        ["ln_ih.weight", "ln_ih.bias"],
        ["weight_hh_l0_u"],
        ["weight_hh_l0_g"],
        ["weight_hh_l0_orig", "weight_hh_l0_u", "weight_hh_l0_v"],
        ["parametrizations.weight_hh_l0.original"],
        ["parametrizations.weight_hh_l0.original0", "parametrizations.weight_hh_l0.0._u"],
        ["h0"],
        ["fc.weight"],
        ["weight_ih"],
        ["weight_hh_l0.scales"],
    ],
)
@pytest.mark.parametrize("prefix", ["", "model.rnn."])
def test_names_left_over_beside_a_layers_own_are_refused(more, prefix):
    arrays = LAYERS[0].state_dict() | {name: np.ones((24, 8), np.float32) for name in more}
    named = {prefix + name: array for name, array in arrays.items()}
    with pytest.raises(
        ValueError, match=r"expected PyTorch's names alone|expected the parameters of one GRU"
    ):
        gru_rs.from_torch(named)
    good = {f"good.{name}": array for name, array in LAYERS[0].state_dict().items()}
    assert np.array_equal(gru_rs.from_torch({"bad": named} | good, "good").flat, LAYERS[0].flat)
    with pytest.raises(ValueError, match=rf"name: expected one of 'good', got None.*refused: .*{more[-1]}"):
        gru_rs.from_torch({"bad": named} | good)


@pytest.mark.parametrize(
    ("layer", "gone", "missing"),
    [
        (0, ["bias_hh_l0"], "bias_hh_l0"),
        (0, ["bias_ih_l0"], "bias_ih_l0"),
        (1, ["weight_hh_l1"], "weight_hh_l1"),
        (1, ["weight_ih_l2_reverse", "weight_hh_l2_reverse"], "weight_ih_l2_reverse"),
        (
            1,
            [f"{own}_l1{end}" for own in ("weight_ih", "weight_hh") for end in ("", "_reverse")],
            "weight_ih_l1",
        ),
        (2, ["bias_ih_l1_reverse", "bias_hh_l1_reverse"], "bias_ih_l1_reverse"),
    ],
)
def test_what_is_missing_is_named(layer, gone, missing):
    state = {name: array for name, array in LAYERS[layer].state_dict().items() if name not in gone}
    with pytest.raises(ValueError, match=rf"missing \['{missing}'"):
        gru_rs.from_torch(state)


def test_layers_counted_from_1_are_refused():
    state = {name.replace("_l0", "_l1"): array for name, array in LAYERS[0].state_dict().items()}
    with pytest.raises(ValueError, match="R's torch counts layers from 1, PyTorch from 0"):
        gru_rs.from_torch(state)


def normed(weight, axis):
    """What weight norm keeps of a weight: lengths, and another length of the directions."""
    length = np.sqrt((weight.astype(np.float64) ** 2).sum(axis, keepdims=axis is not None))
    return np.asarray(length, weight.dtype), weight * 3


@pytest.mark.parametrize("axis", [1, 0, None])
@pytest.mark.parametrize(
    "names", ["{}_g {}_v", "parametrizations.{}.original0 parametrizations.{}.original1"]
)
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_weight_norm(layer, names, axis):
    state = layer.state_dict()
    for own in [own for own in state if own.startswith("weight")]:
        parts = zip(names.format(own, own).split(), normed(state.pop(own), axis), strict=True)
        state |= dict(parts)
    again = gru_rs.from_torch({f"gru.{name}": array for name, array in state.items()})
    np.testing.assert_allclose(again.flat, layer.flat, rtol=4 * np.finfo(layer.dtype).eps)


@pytest.mark.parametrize(
    "names", ["{}_g {}_v", "parametrizations.{}.original0 parametrizations.{}.original1"]
)
@pytest.mark.parametrize("shape", [(24, 8), (24,), (8,), (1,), (24, 1, 1), (8, 1), (1, 24)])
def test_pairs_that_are_no_weight_norm_are_refused(names, shape):
    """Lengths of the weight's own shape are another parametrization's: a state dict has no word of it."""
    state = LAYERS[0].state_dict()
    length, direction = names.format(*["weight_hh_l0"] * 2).split()
    state |= {length: np.ones(shape, np.float32), direction: state.pop("weight_hh_l0")}
    with pytest.raises(
        ValueError, match=r"expected lengths for a weight|two tensors of one shape: give the module"
    ):
        gru_rs.from_torch(state)


def test_weight_norm_of_one_input():
    """By its old names it is known; by the new ones it might be any pair of tensors of that shape."""
    cell = gru_rs.GRUCell(1, 4, seed=1)
    state = cell.state_dict()
    length, direction = normed(state.pop("weight_ih"), 1)
    again = gru_rs.from_torch(state | {"weight_ih_g": length, "weight_ih_v": direction})
    np.testing.assert_allclose(again.flat, cell.flat, rtol=1e-6)
    begin = "parametrizations.weight_ih.original"
    with pytest.raises(ValueError, match="two tensors of one shape: give the module"):
        gru_rs.from_torch(state | {f"{begin}0": length, f"{begin}1": direction})


@pytest.mark.parametrize("mask", [np.ones((1, 8)), np.ones(8), np.full((24, 8), "a"), None])
def test_masks_that_do_not_fit_are_refused(mask):
    state = LAYERS[0].state_dict()
    state |= {"weight_hh_l0_orig": state.pop("weight_hh_l0"), "weight_hh_l0_mask": mask}
    with pytest.raises(ValueError, match=r"weight_hh_l0: expected a mask|got weight_hh_l0_orig"):
        gru_rs.from_torch({name: value for name, value in state.items() if value is not None})


def test_pruned_weights():
    state = LAYERS[0].state_dict()
    mask = np.random.default_rng(0).random((24, 8)) < 0.5
    state |= {"weight_hh_l0_orig": state.pop("weight_hh_l0"), "weight_hh_l0_mask": mask.astype(np.float32)}
    again = gru_rs.from_torch(state)
    np.testing.assert_array_equal(again.params["weight_hh_l0"], LAYERS[0].params["weight_hh_l0"] * mask)


@pytest.mark.parametrize("form", ["old norm", "new norm", "pruned"])
@pytest.mark.parametrize("layer", [LAYERS[0], LAYERS[2]], ids=repr)
def test_a_weight_beside_what_it_is_made_of(form, layer):
    """As a program may keep both: they are one weight, or nobody knows which of them is meant."""
    state, name = layer.state_dict(), "weight_hh_l0"
    v = state[name]
    norm = np.linalg.norm(v, axis=1, keepdims=True)
    mask = np.ones_like(v)
    mask[0] = 0
    parts = {
        "old norm": {f"{name}_g": norm, f"{name}_v": 3 * v},
        "new norm": {
            f"parametrizations.{name}.original0": norm,
            f"parametrizations.{name}.original1": 3 * v,
        },
        "pruned": {f"{name}_orig": v, f"{name}_mask": mask},
    }[form]
    right = v * mask if form == "pruned" else v
    again = gru_rs.from_torch(state | parts | {name: right})
    np.testing.assert_allclose(again.params[name], right, rtol=1e-6)
    for wrong in (1.1 * right, right[:-1], np.full_like(right, np.nan)):
        with pytest.raises(ValueError, match=f"{name}: expected a weight or what it is made of, got both"):
            gru_rs.from_torch(state | parts | {name: wrong})


@pytest.mark.parametrize("form", ["fastai", "fastai without", "AWD-LSTM"])
def test_weights_before_dropout(form):
    """What the layer has when it is not trained, whatever dropout made of it last."""
    state = LAYERS[2].state_dict()
    raw = {f"{own}_raw": state[own] for own in state if own.startswith("weight_hh")}
    dropped = {own: value * 0 for own, value in state.items() if f"{own}_raw" in raw}
    others = {own: value for own, value in state.items() if own not in dropped}
    inner = others if form != "fastai" else others | dropped
    source = {"rnns": [{"module": inner} | raw] if form != "AWD-LSTM" else [{"module": inner | raw}]}
    again = gru_rs.from_torch(source, "rnns.0.module")
    np.testing.assert_array_equal(again.flat, LAYERS[2].flat)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equinox(dtype):
    rng = np.random.default_rng(0)
    w_ih, w_hh, bias, inner = (rng.normal(size=n).astype(dtype) for n in ((24, 3), (24, 8), 24, 8))
    gru = gru_rs.from_torch({"cell": {"weight_ih": w_ih, "weight_hh": w_hh, "bias": bias, "bias_n": inner}})
    assert isinstance(gru, gru_rs.GRUCell)
    np.testing.assert_array_equal(gru.params["bias_ih"], bias)
    np.testing.assert_array_equal(gru.params["bias_hh"], [0] * 16 + list(inner))
    for wrong in ({"bias": bias}, {"bias_n": inner}, {"bias": bias, "bias_n": bias}):
        with pytest.raises(ValueError, match="bias"):
            gru_rs.from_torch({"weight_ih": w_ih, "weight_hh": w_hh} | wrong)
    four = {"weight_ih": rng.normal(size=(32, 3)), "weight_hh": rng.normal(size=(32, 8))}
    lstm = gru_rs.from_torch(four | {"bias": rng.normal(size=32)})
    assert isinstance(lstm, gru_rs.LSTMCell)
    assert not lstm.params["bias_hh"].any()
    with pytest.raises(ValueError, match="bias_n beside"):
        gru_rs.from_torch(four | {"bias": np.ones(32), "bias_n": inner})


@pytest.mark.parametrize("layer", LAYERS[:3], ids=repr)
def test_paddle_has_each_array_twice(layer):
    state = layer.state_dict()
    for own in list(state):
        side = ("_bw" if own.endswith("_reverse") else "_fw") if layer.bidirectional else ""
        parameter, _, number = own.removesuffix("_reverse").rpartition("_l")
        state[f"{number}.cell{side}.{parameter}"] = state[own]
    named = {f"encoder.{name}": array for name, array in state.items()}
    np.testing.assert_array_equal(gru_rs.from_torch(named).flat, layer.flat)
    last = list(named)[-1]
    with pytest.raises(ValueError, match=f"got {last.removeprefix('encoder.')} beside"):
        gru_rs.from_torch(named | {last: named[last] * 2})


def test_lists_of_state_dicts():
    state = {f"gru.{name}": array for name, array in LAYERS[0].state_dict().items()}
    for source in ([state], (state, {"lr": 0.1}), [3, {"model": state}], {"models": [state]}):
        np.testing.assert_array_equal(gru_rs.from_torch(source).flat, LAYERS[0].flat)
    with pytest.raises(ValueError, match=r"one of '0\.gru', '1\.gru'"):
        gru_rs.from_torch([state, state])


def test_what_is_there_instead():
    with pytest.raises(ValueError, match=r"got none in 2 arrays, the first of them 'a', 'b\.c'"):
        gru_rs.from_torch({"a": np.ones(3), "b": {"c": np.ones(3)}})


def test_a_cell_has_no_rows_first():
    with pytest.raises(ValueError, match="neither batch_first nor dropout for a GRUCell"):
        gru_rs.from_torch(LAYERS[3].state_dict(), batch_first=True)


def test_bad_files(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(FileNotFoundError):
        gru_rs.from_torch(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(
        ValueError, match=r"source: expected safetensors, .*got model\.safetensors, something"
    ):
        gru_rs.from_torch(path)
    save_file({"gru.weight_ih_l0": np.ones((24, 3), np.float32)}, path)
    with pytest.raises(ValueError, match="gru: expected weight_ih_l0 and weight_hh_l0"):
        gru_rs.from_torch(path)
    with pytest.raises(TypeError, match=r"source: expected a torch.nn.Module"):
        gru_rs.from_torch(3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"reset_after": False}, "expected reset_after=True"),
        ({"recurrent_activation": "hard_sigmoid"}, "expected recurrent_activation='sigmoid'"),
        ({"activation": "relu"}, "expected activation='tanh'"),
        ({"clip": 1.0}, "expected clip=None"),
    ],
)
def test_what_pytorch_does_not_have_is_not_given(options, words, tmp_path):
    path = tmp_path / "gru.safetensors"
    with pytest.raises(ValueError, match=words):
        gru_rs.to_safetensors(gru_rs.GRU(3, 4, **options), path)
    assert not path.exists()
    with pytest.raises(TypeError, match="layer: expected a GRU"):
        gru_rs.to_safetensors(3, path)


@pytest.mark.parametrize("width", ["int8", "f16", "bf16"])
@pytest.mark.parametrize(
    "layer",
    [
        gru_rs.GRU(30, 40, 2, bidirectional=True, seed=1),
        gru_rs.LSTM(30, 40, bias=False, seed=1, dtype=np.float64),
        gru_rs.GRUCell(30, 40, seed=1),
    ],
    ids=repr,
)
def test_quantized_weights_in_a_file(layer, width, tmp_path):
    """Small there, and small again: of float16 PyTorch's own files tell nobody that they were narrow."""
    narrow, path = layer.quantize(width), tmp_path / "layer.safetensors"
    gru_rs.to_safetensors({"encoder.": narrow}, path)
    assert path.stat().st_size < narrow.nbytes + 2500
    again = gru_rs.from_torch(path)
    if width == "int8":
        assert (again.weight_dtype, again.quantization) == (np.int8, narrow.quantization)
        assert repr(again) == repr(narrow).replace("seed=1", "seed=0")
    np.testing.assert_array_equal(again.flat, narrow.flat)
    x = np.random.default_rng(0).standard_normal((5, 30)).astype(layer.dtype)
    if width == "int8":
        assert pickle.dumps(again(x)) == pickle.dumps(narrow(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("weight_hh_l1"), "weight_hh_l1|two scans"),
        (
            lambda state: state.update(weight_ih_l2=state["weight_ih_l1"]),
            "weight_ih_l2: expected weights",
        ),
        (lambda state: state["weight_hh_l0"].fill(-128), "bytes of -127 to 127"),
        (
            lambda state: state.update(weight_ih_l1000000000=state["weight_ih_l1"] * 1.0),
            "got weight_ih_l1000000000 beside",
        ),
        (
            lambda state: state.update(weight_hh_l0=np.ones((12, 4), np.int16)),
            "others at .*weight_hh_l0.scale",
        ),
        (
            lambda state: state.update({"weight_ih_l0.scale": np.ones(3, np.float32)}),
            "others at .*weight_ih_l0.scale",
        ),
        (lambda state: state.pop("weight_ih_l0.scale"), "weight_ih_l0: expected weights in float16"),
    ],
)
def test_quantized_files_that_are_not_whole(change, message):
    state = {}
    for name, (_, arrays) in zip(
        [name + tail for tail in ("_l0", "_l1") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")],
        gru_rs.GRU(3, 4, 2).quantize("int8")._tensors(),
        strict=True,
    ):
        columns = 3 if name == "weight_ih_l0" else 4
        state[name] = arrays[0].reshape(-1, columns) if len(arrays) == 2 else arrays[0]
        state |= {name + ".scale": arrays[1]} if len(arrays) == 2 else {}
    assert gru_rs.from_torch(dict(state)).weight_dtype == np.int8
    change(state)
    with pytest.raises(ValueError, match=message):
        gru_rs.from_torch(state)


def test_bfloat16_in_a_file_becomes_float32_exactly(tmp_path):
    gru = gru_rs.GRU(3, 4, seed=1)
    state, data, header = gru.state_dict(), b"", {}
    for name, value in state.items():
        halves = (value.view(np.uint32) >> 16).astype("<u2")
        state[name] = (halves.astype(np.uint32) << 16).view(np.float32)
        header[name] = {
            "dtype": "BF16",
            "shape": list(value.shape),
            "data_offsets": [len(data), len(data) + halves.nbytes],
        }
        data += halves.tobytes()
    text = json.dumps(header).encode()
    path = tmp_path / "gru.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    again = gru_rs.from_torch(path)
    assert again.dtype == np.float32
    for name, value in again.params.items():
        np.testing.assert_array_equal(value, state[name])


def test_of_a_large_file_only_what_is_wanted_is_read(tmp_path):
    """Five gigabytes of another layer, which nobody has written: a file with a hole."""
    gru = gru_rs.GRU(3, 4, seed=1)
    gru_rs.to_safetensors(gru, tmp_path / "gru.safetensors", prefix="gru.")
    whole = (tmp_path / "gru.safetensors").read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header, data = json.loads(whole[8 : 8 + length]), whole[8 + length :]
    header["large"] = {
        "dtype": "U8",
        "shape": [5 * 2**30],
        "data_offsets": [len(data), len(data) + 5 * 2**30],
    }
    text = json.dumps(header).encode()
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
        file.truncate(8 + len(text) + len(data) + 5 * 2**30)
    np.testing.assert_array_equal(gru_rs.from_torch(path).flat, gru.flat)

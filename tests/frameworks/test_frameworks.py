"""Layers of other frameworks beside their own engines: `make test-frameworks`.

Those that do not install together with the others: `chainer.json`, which `chainer_values.py` wrote.
"""

import json
import re
from pathlib import Path

import equinox
import flax.linen
import flax.nnx
import gru_rs
import jax
import mlx.core
import mlx.nn
import ncnn
import numpy as np
import paddle
import pytest

jax.config.update("jax_enable_x64", True)
DOCUMENT = Path(__file__).parents[2] / "docs" / "layouts.md"
rng = np.random.default_rng(0)
N, H, T, B = 3, 5, 7, 4


def close(ours, theirs, tolerance=1e-6):
    assert np.shape(ours) == np.shape(theirs)
    assert np.abs(ours - np.asarray(theirs)).max() <= tolerance


def steps(cell, x, *states):
    """The states of a cell, called step by step with (x, states)."""
    outputs = []
    for step in x:
        states = cell(step, states)
        outputs.append(np.asarray(states[0]))
    return np.stack(outputs)


def shaken(tree):
    """Other numbers in place of zeros, so that no bias can be lost."""
    return jax.tree.map(lambda leaf: leaf + rng.normal(size=leaf.shape).astype(leaf.dtype) / 4, tree)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", [equinox.nn.GRUCell, equinox.nn.LSTMCell])
def test_equinox(kind, dtype, bias):
    cell = kind(N, H, use_bias=bias, dtype=dtype, key=jax.random.key(0))
    arrays = {name: value for name, value in vars(cell).items() if equinox.is_array(value)}
    x, zeros = rng.normal(size=(T, N)).astype(dtype), np.zeros(H, dtype)
    if kind is equinox.nn.GRUCell:
        expected = steps(lambda step, states: (cell(step, states[0]),), x, zeros)
    else:
        expected = steps(cell, x, zeros, zeros)
    layer = gru_rs.from_arrays("equinox", arrays)
    assert (layer.bias, layer.dtype) == (bias, dtype)
    close(layer(x)[0], expected)
    ours = gru_rs.from_torch({"net": arrays})
    close(ours(x[0], zeros) if kind is equinox.nn.GRUCell else ours(x[0], (zeros, zeros))[0], expected[0])


LINEN = [flax.linen.GRUCell, flax.linen.LSTMCell, flax.linen.OptimizedLSTMCell]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", LINEN)
def test_flax_linen(kind, dtype):
    cell = kind(H, param_dtype=dtype)
    x = rng.normal(size=(T, B, N)).astype(dtype)
    carry = cell.initialize_carry(jax.random.key(0), x[0].shape)
    carry = jax.tree.map(lambda state: state.astype(dtype), carry)
    params = shaken(cell.init(jax.random.key(1), carry, x[0]))
    expected = []
    for step in x:
        carry, y = cell.apply(params, carry, step)
        expected.append(np.asarray(y))
    close(gru_rs.from_arrays("flax", params["params"])(x)[0], np.stack(expected))


NNX = [flax.nnx.GRUCell, flax.nnx.LSTMCell, flax.nnx.OptimizedLSTMCell]


@pytest.mark.parametrize("kind", NNX)
def test_flax_nnx(kind):
    cell = kind(N, H, rngs=flax.nnx.Rngs(0))
    flax.nnx.update(cell, shaken(flax.nnx.state(cell, flax.nnx.Param)))
    x = rng.normal(size=(T, B, N)).astype(np.float32)
    carry, expected = cell.initialize_carry(x[0].shape, flax.nnx.Rngs(1)), []
    carry = jax.tree.map(lambda state: state * 0, carry)
    for step in x:
        carry, y = cell(carry, step)
        expected.append(np.asarray(y))
    params = flax.nnx.to_pure_dict(flax.nnx.state(cell, flax.nnx.Param))
    close(gru_rs.from_arrays("flax", params)(x)[0], np.stack(expected))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", [mlx.nn.GRU, mlx.nn.LSTM])
def test_mlx(kind, bias):
    layers = [kind(N, H, bias=bias), kind(H, H, bias=bias)]
    x = rng.normal(size=(B, T, N)).astype(np.float32)
    y = mlx.core.array(x)
    for layer in layers:
        y = layer(y) if kind is mlx.nn.GRU else layer(y)[0]
    params = [dict(layer.parameters()) for layer in layers]
    ours = gru_rs.from_arrays("mlx", params, batch_first=True)
    assert ours.num_layers == 2
    close(ours(x)[0], np.array(y), 2e-6)


@pytest.mark.parametrize("direction", ["forward", "bidirect"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", [paddle.nn.GRU, paddle.nn.LSTM])
def test_paddle(kind, layers, direction, tmp_path):
    """Each array twice in the state dict, and as PyTorch's."""
    layer = kind(N, H, layers, direction)
    x = rng.normal(size=(B, T, N)).astype(np.float32)
    expected = layer(paddle.to_tensor(x))[0].numpy()
    for source in (layer.state_dict(), {k: v.numpy() for k, v in layer.state_dict().items()}):
        ours = gru_rs.from_torch(source, batch_first=True)
        assert (ours.num_layers, ours.bidirectional) == (layers, direction == "bidirect")
        close(ours(x)[0], expected)
    net = paddle.nn.Sequential(paddle.nn.Linear(2, N), layer)
    paddle.save(net.state_dict(), str(tmp_path / "net.pdparams"))
    close(gru_rs.from_torch(tmp_path / "net.pdparams", "1", batch_first=True)(x)[0], expected)


@pytest.mark.parametrize("kind", [paddle.nn.GRUCell, paddle.nn.LSTMCell])
def test_paddle_cells(kind):
    cell, x = kind(N, H), rng.normal(size=(B, N)).astype(np.float32)
    y = cell(paddle.to_tensor(x))[0].numpy()
    ours = gru_rs.from_torch({f"cell.{name}": value for name, value in cell.state_dict().items()})(x)
    close(ours if kind is paddle.nn.GRUCell else ours[0], y)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", ["GRU", "LSTM"])
def test_ncnn(kind, bidirectional, tmp_path):
    """The recipe of docs/layouts.md."""
    gates, sides = (3 if kind == "GRU" else 4), 1 + bidirectional
    w_ih, w_hh = (rng.normal(size=(sides, gates * H, n)).astype("<f4") for n in (N, H))
    bias = rng.normal(size=(sides, 4, H)).astype("<f4")
    flag = b"\0\0\0\0"
    (tmp_path / "net.bin").write_bytes(flag + w_ih.tobytes() + flag + bias.tobytes() + flag + w_hh.tobytes())
    line = f"{kind} rnn 1 1 x y 0={H} 1={w_ih.size} 2={2 * bidirectional}"
    (tmp_path / "net.param").write_text(f"7767517\n2 2\nInput x 0 1 x\n{line}\n")
    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    assert net.load_param(str(tmp_path / "net.param")) == 0
    assert net.load_model(str(tmp_path / "net.bin")) == 0
    x = rng.normal(size=(T, N)).astype(np.float32)
    extractor = net.create_extractor()
    extractor.input("x", ncnn.Mat(x))
    _, y = extractor.extract("y")
    (recipe,) = re.findall(r"```python\n(def from_ncnn.*?)```", DOCUMENT.read_text(), re.DOTALL)
    names = {"gru_rs": gru_rs, "np": np}
    exec(recipe, names)
    ours = names["from_ncnn"](tmp_path / "net.param", tmp_path / "net.bin")
    close(ours(x)[0], np.array(y), 2e-6)


CHAINER = json.loads((Path(__file__).parent / "chainer.json").read_text())


@pytest.mark.parametrize("name", CHAINER)
def test_chainer(name):
    case = CHAINER[name]
    layer = gru_rs.from_arrays("chainer", case["params"])
    close(layer(np.array(case["x"]))[0], case["y"])

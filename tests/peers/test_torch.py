"""Weights of PyTorch's own modules and files, beside PyTorch, and on to ONNX Runtime."""

import gru_rs
import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

TOLERANCE = 1e-6


def close(ours, theirs, tolerance=TOLERANCE):
    theirs = theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max(initial=0) <= tolerance


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_modules(kind, layers, bidirectional, bias, batch_first, dtype):
    torch.manual_seed(0)
    options = {"bidirectional": bidirectional, "bias": bias, "batch_first": batch_first, "dtype": dtype}
    module = kind(5, 9, layers, **options, dropout=0.3 if layers > 1 else 0.0)
    layer = gru_rs.from_torch(module)
    assert (layer.batch_first, layer.dropout) == (batch_first, module.dropout)
    module.eval()
    x = torch.randn(7, 4, 5, dtype=dtype)
    y, last = module(x)
    ours, ours_last = layer(x.numpy())
    close(ours, y)
    for a, b in zip(*((ours_last, last) if kind is nn.LSTM else ([ours_last], [last])), strict=True):
        close(a, b)
    # From its state dict, and back.
    again = gru_rs.from_torch(module.state_dict(), batch_first=batch_first)
    assert np.array_equal(again.flat, layer.flat)
    other = kind(5, 9, layers, **options)
    other.load_state_dict(gru_rs.to_torch_state_dict(layer))
    assert torch.equal(other(x)[0] if layers == 1 else other.eval()(x)[0], y)


@pytest.mark.parametrize("kind", [nn.GRUCell, nn.LSTMCell])
@pytest.mark.parametrize("bias", [False, True])
def test_cells(kind, bias):
    module = kind(5, 9, bias=bias)
    cell = gru_rs.from_torch(module)
    x = torch.randn(4, 5)
    state, ours = module(x), cell(x.numpy())
    for a, b in zip(*((ours, state) if kind is nn.LSTMCell else ([ours], [state])), strict=True):
        close(a, b)
    kind(5, 9, bias=bias).load_state_dict(gru_rs.to_torch_state_dict(cell))


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.encoder = nn.ModuleList([nn.GRU(6, 8, batch_first=True), nn.LSTM(8, 4, bidirectional=True)])
        self.cell = nn.GRUCell(8, 8)
        self.head = nn.Linear(8, 3)


def test_modules_in_a_module_by_name():
    model = Tagger()
    gru = gru_rs.from_torch(model, "encoder.0")
    assert isinstance(gru, gru_rs.GRU)
    assert gru.batch_first
    assert isinstance(gru_rs.from_torch(model, "encoder.1"), gru_rs.LSTM)
    assert isinstance(gru_rs.from_torch(model.state_dict(), "cell"), gru_rs.GRUCell)
    with pytest.raises(ValueError, match=r"one of 'cell', 'encoder\.0', 'encoder\.1'"):
        gru_rs.from_torch(model)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_files_of_pytorch(tmp_path, suffix):
    model, path = Tagger(), tmp_path / f"model{suffix}"
    torch.save({"epoch": 3, "model": model.state_dict()}, path)
    layer = gru_rs.from_torch(path, "model.encoder.0", batch_first=True)
    assert np.array_equal(layer.flat, gru_rs.from_torch(model, "encoder.0").flat)


def test_a_file_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(Tagger(), path)
    with pytest.raises(ValueError, match=r"holds tensors alone, got model\.pt"):
        gru_rs.from_torch(path)
    path.write_bytes(b"no file of PyTorch")
    with pytest.raises(ValueError, match=r"got model\.pt"):
        gru_rs.from_torch(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="with a list"):
        gru_rs.from_torch(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_become_float32(dtype):
    module = nn.GRU(5, 9).to(dtype)
    layer = gru_rs.from_torch(module)
    assert layer.dtype == np.float32
    close(layer.params["weight_hh_l0"], module.weight_hh_l0.float(), 0)


def test_parametrized_weights_are_what_they_come_to():
    module = nn.utils.parametrizations.weight_norm(nn.GRU(5, 9), "weight_hh_l0")
    close(gru_rs.from_torch(module).params["weight_hh_l0"], module.weight_hh_l0, 0)


def test_what_layers_do_not_have_is_refused():
    with pytest.raises(ValueError, match="projection"):
        gru_rs.from_torch(nn.LSTM(5, 9, proj_size=4))
    with pytest.raises(ValueError, match="expected a GRU, LSTM, GRUCell or LSTMCell"):
        gru_rs.from_torch(nn.RNN(5, 9))
    with pytest.raises(ValueError, match="weight_hh_l0 of shape"):
        gru_rs.from_torch(nn.RNN(5, 9).state_dict())


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_from_pytorch_over_onnx_to_onnxruntime(kind):
    torch.manual_seed(1)
    module = kind(5, 9, 2, bidirectional=True)
    x = torch.randn(7, 4, 5)
    model = gru_rs.to_onnx(gru_rs.from_torch(module))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, last, *_ = session.run(None, {"x": x.numpy()})
    expected = module(x)
    close(y, expected[0])
    close(last, expected[1] if kind is nn.GRU else expected[1][0])

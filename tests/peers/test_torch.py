"""Weights of PyTorch's own modules and files, beside PyTorch, and on to ONNX Runtime."""

import warnings

import gru_rs
import gru_rs.torch
import numpy as np
import onnxruntime
import pytest
import torch
import torch.ao.quantization
import torch.nn.utils.prune
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


@pytest.mark.parametrize(
    "form", ["zip", "legacy", "list", "tuple", "TorchScript", "traced", "exported", "npz"]
)
def test_each_kind_of_file(tmp_path, form):
    """Read without PyTorch, the bits that it wrote."""
    model, path = (
        nn.Sequential(nn.LSTM(3, 8, 2, bidirectional=True), Last()).double().eval(),
        tmp_path / "model",
    )
    state, x = model.state_dict(), torch.zeros(5, 2, 3, dtype=torch.float64)
    if form == "TorchScript":
        torch.jit.script(model).save(path)
    elif form == "traced":
        torch.jit.trace(model, x).save(path)
    elif form == "exported":
        path = tmp_path / "model.pt2"
        torch.export.save(torch.export.export(model, (x,)), path)
    elif form == "npz":
        with path.open("wb") as file:
            np.savez(file, **state)
    else:
        tree = {"list": [state], "tuple": (state, {"lr": 0.1})}.get(form, state)
        torch.save(tree, path, _use_new_zipfile_serialization=form != "legacy")
    layer = gru_rs.from_torch(path)
    assert np.array_equal(layer.flat, gru_rs.from_torch(model).flat)
    assert np.array_equal(layer.flat, gru_rs.from_torch(state).flat)


class Last(nn.Module):
    def forward(self, found: tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]):
        return found[0]


def test_views_parameters_and_what_stands_beside_them(tmp_path):
    """Flattened parameters share one storage; checkpoints hold objects of all kinds."""
    gru = nn.GRU(5, 9, 2)
    flat = torch.cat([p.detach().flatten() for p in gru.parameters()])
    state, at = {}, 0
    for name, parameter in gru.named_parameters():
        state[f"gru.{name}"] = flat[at : at + parameter.numel()].view(parameter.shape)
        at += parameter.numel()
    state["gru.weight_ih_l0"] = nn.Parameter(state["gru.weight_ih_l0"].t().contiguous()).t()
    state["gru.bias_hh_l1"] = nn.Parameter(state["gru.bias_hh_l1"])
    optimizer = torch.optim.Adam(gru.parameters())
    more = {"optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "module": nn.Linear(2, 3)}
    more |= {"dtype": torch.float32, "path": tmp_path, "numpy": np.float64(3), "args": [slice(2), {1, 2}, 1j]}
    for is_zip in (True, False):
        torch.save({"model": state, **more}, tmp_path / "model.pt", _use_new_zipfile_serialization=is_zip)
        layer = gru_rs.from_torch(tmp_path / "model.pt")
        assert np.array_equal(layer.flat, gru_rs.from_torch(gru).flat)


def test_a_pickled_module_is_refused_without_a_word_of_running_it(tmp_path):
    path = tmp_path / "model.pt"
    for is_zip in (True, False):
        torch.save({"model": Tagger()}, path, _use_new_zipfile_serialization=is_zip)
        with pytest.raises(
            ValueError, match=r"got none in objects of .*Tagger: save what their state_dict"
        ) as error:
            gru_rs.from_torch(path)
        assert "weights_only" not in str(error.value)
    path.write_bytes(b"no file of PyTorch")
    with pytest.raises(ValueError, match=r"got model\.pt, something else"):
        gru_rs.from_torch(path)
    torch.save([1, 2], path)
    with pytest.raises(ValueError, match="got none in 0 arrays"):
        gru_rs.from_torch(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_become_float32(dtype):
    module = nn.GRU(5, 9).to(dtype)
    layer = gru_rs.from_torch(module)
    assert layer.dtype == np.float32
    close(layer.params["weight_hh_l0"], module.weight_hh_l0.float(), 0)


def normed(kind, names, dim):
    for name in names:
        kind = nn.utils.parametrizations.weight_norm(kind, name, dim)
    return kind


def normed_before(kind, names, dim):
    for name in names:
        with warnings.catch_warnings(action="ignore"):
            kind = nn.utils.weight_norm(kind, name, dim)
    return kind


@pytest.mark.parametrize("norm", [normed, normed_before])
@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm(norm, dim, tmp_path):
    """By what it computes, also after its parameters were changed."""
    module = norm(nn.GRU(5, 9, batch_first=True), ["weight_hh_l0", "weight_ih_l0"], dim)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(1.5)
    x = torch.randn(2, 6, 5)
    torch.save(module.state_dict(), tmp_path / "model.pt")
    for source in (module, module.state_dict(), tmp_path / "model.pt"):
        close(gru_rs.from_torch(source, batch_first=True)(x.numpy())[0], module(x)[0])


class Sum(nn.Module):
    def forward(self, a, b):
        return a + b

    def right_inverse(self, whole):
        return whole / 4, whole * 3 / 4


def test_another_parametrization_of_two_tensors():
    module = nn.GRU(5, 9)
    nn.utils.parametrize.register_parametrization(module, "weight_hh_l0", Sum())
    close(gru_rs.from_torch(module).params["weight_hh_l0"], module.weight_hh_l0, 0)
    with pytest.raises(
        ValueError, match="expected weight norm of weight_hh_l0, got two tensors of one shape"
    ):
        gru_rs.from_torch(module.state_dict())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("is_zip", [True, False])
def test_views_of_other_signs_and_of_one_number(dtype, is_zip, tmp_path):
    state = nn.GRU(5, 9).to(dtype).state_dict()
    state["weight_ih_l0"] = torch._neg_view(state["weight_ih_l0"])
    state["weight_hh_l0"] = torch._neg_view(torch.nn.Parameter(state["weight_hh_l0"])).t().contiguous().t()
    state["bias_ih_l0"] = torch.ones(1, dtype=dtype).expand(27)
    torch.save(state, tmp_path / "model.pt", _use_new_zipfile_serialization=is_zip)
    for layer in (gru_rs.from_torch(state), gru_rs.from_torch(tmp_path / "model.pt")):
        for name, value in state.items():
            value = value.resolve_neg().detach()
            close(layer.params[name], value if dtype.itemsize > 2 else value.float(), 0)


@pytest.mark.parametrize("form", ["meta", "sparse"])
def test_tensors_without_numbers_are_value_errors(form):
    module = nn.GRU(5, 9)
    state = module.to("meta").state_dict() if form == "meta" else module.state_dict()
    if form == "sparse":
        state["weight_ih_l0"] = state["weight_ih_l0"].to_sparse()
    words = f"weight_ih_l0: expected a tensor whose numbers are there, got .*{form}"
    for source in (module, state) if form == "meta" else (state,):
        with pytest.raises(ValueError, match=words):
            gru_rs.from_torch(source)


class Steps(nn.Module):
    """A cell of PyTorch, and one of somebody else's with its names."""

    def __init__(self):
        super().__init__()
        self.good, self.bad = nn.GRUCell(5, 9), GRU()

    def forward(self, x):
        return self.good(x), self.bad(x), self.good(x + 1)


def test_exported_programs_tell_classes(tmp_path):
    model = Steps()
    program = torch.export.export(model, (torch.zeros(2, 5),))
    torch.export.save(program, tmp_path / "model.pt2")
    for source in (program, tmp_path / "model.pt2", torch.export.load(tmp_path / "model.pt2")):
        assert np.array_equal(gru_rs.from_torch(source, "good").flat, gru_rs.from_torch(model.good).flat)
        with pytest.raises(ValueError, match="bad: expected PyTorch's names alone, got class GRU beside"):
            gru_rs.from_torch(source, "bad")


def test_pruned_weights():
    module = nn.LSTM(5, 9)
    nn.utils.prune.random_unstructured(module, "weight_hh_l0", 0.5)
    nn.utils.prune.l1_unstructured(module, "weight_hh_l0", 0.2)
    x = torch.randn(6, 2, 5)
    for source in (module, module.state_dict()):
        close(gru_rs.from_torch(source)(x.numpy())[0], module(x)[0])


class Doubled(nn.GRU):
    def forward(self, x):
        return super().forward(x)[0] * 2


class Named(nn.GRU):
    """A subclass that computes what its base does."""


class GRU(nn.Module):
    """A cell of somebody else's, with PyTorch's names."""

    def __init__(self):
        super().__init__()
        self.weight_ih, self.weight_hh = (nn.Parameter(torch.ones(27, n)) for n in (5, 9))

    def forward(self, x):
        return x @ self.weight_ih.T


def hooked(register):
    module = nn.GRU(5, 9)
    getattr(module, register)(lambda *_: None)
    return module


def changed():
    module = nn.GRU(5, 9)
    module.forward = lambda x: x
    return module


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Doubled(5, 9), "Doubled with a forward of its own"),
        (changed(), "GRU with a forward of its own"),
        (GRU(), "GRU, a class of its own"),
        (hooked("register_forward_hook"), "GRU with hooks"),
        (hooked("register_forward_pre_hook"), "GRU with hooks"),
        (nn.utils.spectral_norm(nn.GRU(5, 9), "weight_hh_l0"), "GRU with hooks"),
        (nn.RNN(5, 9), "a plain RNN"),
        (nn.RNNCell(5, 9), "a plain RNNCell"),
        (nn.LSTM(5, 9, proj_size=3), "projection"),
    ],
)
def test_what_computes_another_thing_is_refused_and_hides_nothing(module, words):
    with pytest.raises(ValueError, match=words):
        gru_rs.from_torch(module)
    model = nn.ModuleDict({"good": nn.GRU(5, 9), "bad": module})
    assert np.array_equal(gru_rs.from_torch(model, "good").flat, gru_rs.from_torch(model["good"]).flat)
    with pytest.raises(ValueError, match=f"one of 'good', got None.*refused: 'bad' .*{words}"):
        gru_rs.from_torch(model)
    with pytest.raises(ValueError, match=f"^bad: .*{words}"):
        gru_rs.from_torch(model, "bad")


def test_what_computes_the_same_is_taken():
    orthogonal = nn.utils.parametrizations.orthogonal(nn.GRU(5, 9), "weight_hh_l0")
    for module in (Named(5, 9), orthogonal, gru_rs.torch.GRU(5, 9), torch.compile(nn.GRU(5, 9))):
        close(gru_rs.from_torch(module).params["weight_hh_l0"], module.weight_hh_l0, 0)


def test_a_module_with_two_names():
    model = Tagger()
    model.again = model.cell
    assert np.array_equal(gru_rs.from_torch(model, "again").flat, gru_rs.from_torch(model, "cell").flat)


def test_torchscript_knows_its_options():
    model = nn.Sequential(nn.GRU(3, 8, 2, batch_first=True, dropout=0.25), First()).eval()
    layer = gru_rs.from_torch(torch.jit.script(model))
    assert (layer.batch_first, layer.dropout) == (True, 0.25)
    traced = torch.jit.trace(model, torch.zeros(2, 5, 3))
    with pytest.raises(ValueError, match="batch_first: expected True or False for a module that was traced"):
        gru_rs.from_torch(traced)
    assert gru_rs.from_torch(traced, batch_first=True).batch_first
    with pytest.raises(ValueError, match="Scripted, a class of its own"):
        gru_rs.from_torch(torch.jit.script(nn.Sequential(Scripted(3, 8))))


class First(nn.Module):
    def forward(self, found: tuple[torch.Tensor, torch.Tensor]):
        return found[0]


class Scripted(nn.GRU):
    def forward(self, x):
        return x * 2


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, False), (1, True), (3, True)])
@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
def test_quantize_dynamic(kind, layers, bidirectional, dtype, tmp_path):
    """The numbers that the packed ones stand for, exactly; PyTorch rounds its inputs to 8 bits besides."""
    torch.manual_seed(0)
    options = {"bidirectional": bidirectional, "batch_first": True}
    whole = nn.Sequential(kind(5, 9, layers, **options))
    model = torch.ao.quantization.quantize_dynamic(whole, {kind}, dtype)
    layer = gru_rs.from_torch(model)
    assert layer.batch_first
    for name, weight in model[0].get_weight().items():
        close(layer.params[name], weight.dequantize() if weight.is_quantized else weight, 0)
    x = torch.randn(4, 7, 5)
    close(layer(x.numpy())[0], model(x)[0], 0.02 if dtype == torch.qint8 else TOLERANCE)
    torch.save(model.state_dict(), tmp_path / "model.pt")
    torch.jit.script(model).save(tmp_path / "script.pt")
    for source in (model.state_dict(), tmp_path / "model.pt", tmp_path / "script.pt"):
        assert np.array_equal(gru_rs.from_torch(source).flat, layer.flat)


def test_quantized_cells_and_what_a_state_dict_cannot_tell():
    for kind in (nn.GRUCell, nn.LSTMCell):
        model = torch.ao.quantization.quantize_dynamic(nn.Sequential(kind(5, 9)), {kind})
        cell = gru_rs.from_torch(model)
        close(cell.params["weight_ih"], model[0].get_weight()["weight_ih"].dequantize(), 0)
        assert np.array_equal(gru_rs.from_torch(model.state_dict()).flat, cell.flat)
    for layers in (3, 4, 6):
        for bidirectional in (False, True):
            whole = nn.Sequential(nn.LSTM(4, 4, layers, bidirectional=bidirectional))
            many = torch.ao.quantization.quantize_dynamic(whole, {nn.LSTM})
            assert np.array_equal(gru_rs.from_torch(many.state_dict()).flat, gru_rs.from_torch(many).flat)
    two = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.GRU(9, 9, 2)), {nn.GRU})
    assert gru_rs.from_torch(two).num_layers == 2
    with pytest.raises(ValueError, match="0: expected to know whether it is bidirectional"):
        gru_rs.from_torch(two.state_dict())


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

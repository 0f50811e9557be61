"""Modules of gru_rs.torch where PyTorch's own would stand: written on, scripted, traced, exported, quantized.

And weights however they are written, on either side.
"""

import copy
import io
import warnings

import gru_rs
import gru_rs.torch
import numpy as np
import onnxruntime
import pytest
import torch
from conftest import CELLS, LAYERS, tensors_of
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import pack_sequence

ALL = LAYERS | CELLS


def pair(kind, *arguments, **options):
    torch.manual_seed(0)
    theirs = kind(*arguments, **options)
    return theirs, gru_rs.torch.accelerate(copy.deepcopy(theirs))


# What a module gives is written on ----------------------------------------------------------------


def dropped(y):
    torch.manual_seed(1)
    return nn.functional.dropout(y, 0.5, True, inplace=True)


def items(y):
    y[0] = 0.0
    y[..., 1] *= 2.0
    return y


WRITES = {
    "+=": lambda y: y.add_(0.5),
    "relu_": torch.relu_,
    "dropout": dropped,
    "mul_": lambda y: y.mul_(0.5),
    "items": items,
    "a view": lambda y: (y.unsqueeze(0).tanh_(), y)[1],
    "zero_": lambda y: y.zero_(),
}
FORMS = {
    "batch": lambda x: x,
    "unbatched": lambda x: x.select(-2, 0),
    "packed": lambda x: pack_sequence([x[:, 0], x[:3, 1]]),
}


def written(module, x, form, write, place):
    """A loss of all outputs, one of which is written in place."""
    outputs = tensors_of(module(FORMS[form](x)))
    before = 2 * outputs[place]
    outputs[place] = write(outputs[place])
    weights = [torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape) for y in [*outputs, before]]
    return sum((y * weight).sum() for y, weight in zip([*outputs, before], weights, strict=True))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("kind", ALL)
def test_what_is_given_may_be_written(kind, write, form):
    """In float64, for PyTorch's own LSTM of float32 refuses it."""
    if kind in CELLS and form == "packed":
        form = "batch"
    x = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    if kind in CELLS:
        x = x[0].detach().requires_grad_()
    modules = pair(kind, 3, 4, dtype=torch.float64)
    for place in range({nn.GRU: 2, nn.LSTM: 3, nn.GRUCell: 1, nn.LSTMCell: 2}[kind]):
        results = []
        for module in modules:
            loss = written(module, x, form, write, place)
            results.append([loss, *torch.autograd.grad(loss, [x, *module.parameters()])])
            for mode in (torch.no_grad, torch.inference_mode):
                with mode():
                    results[-1].append(written(module, x, form, write, place))
        for a, b in zip(*results, strict=True):
            assert (a - b).abs().max() <= 1e-12


@pytest.mark.parametrize("kind", ALL)
def test_what_a_compiled_module_gives_may_be_written(kind):
    shape = (5, 2, 3) if kind in LAYERS else (5, 3)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    theirs, ours = pair(kind, 3, 4, dtype=torch.float64)

    def loss_of(module, x):
        outputs = [
            write(y) for write, y in zip((torch.relu_, items, items), tensors_of(module(x)), strict=False)
        ]
        return sum(y.sin().sum() for y in outputs)

    expected = torch.autograd.grad(loss_of(theirs, x), [x, *theirs.parameters()])
    with torch._dynamo.config.patch(allow_rnn=True):
        torch._dynamo.reset()
        for fullgraph in (True, False):
            compiled = torch.compile(loss_of, fullgraph=fullgraph, backend="aot_eager")
            found = torch.autograd.grad(compiled(ours, x), [x, *ours.parameters()])
            for a, b in zip(expected, found, strict=True):
                assert (a - b).abs().max() <= 2e-5
            with torch.no_grad():
                assert torch.allclose(compiled(ours, x), loss_of(theirs, x), atol=1e-5)


def test_states_are_masked_between_steps():
    """As reinforcement learning does it, in place, with gradients through time."""
    theirs, ours = pair(nn.LSTMCell, 3, 4)
    x, keep = torch.randn(6, 2, 3), (torch.rand(6, 2, 1) < 0.7).float()
    results = []
    for module in (theirs, ours):
        h, c, total = torch.zeros(2, 4), torch.zeros(2, 4), 0.0
        for x_t, keep_t in zip(x, keep, strict=True):
            h, c = module(x_t, (h, c))
            h *= keep_t
            c *= keep_t
            total = total + h.square().sum()
        results.append(torch.autograd.grad(total, list(module.parameters())))
    for a, b in zip(*results, strict=True):
        assert (a - b).abs().max() <= 1e-6


# Other ways to run a module -----------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(3, 4, 2, bidirectional=True)
        self.decoder = nn.LSTM(8, 5)
        self.first, self.second = nn.GRUCell(5, 6), nn.LSTMCell(6, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x):
        y, _ = self.encoder(x)
        y, _ = self.decoder(y)
        h, _ = self.second(self.first(y[-1]))
        return self.head(h)


TOPS = [*ALL, Net]


def top(kind):
    """PyTorch's, ours, and an input."""
    arguments = () if kind is Net else (3, 4)
    x = torch.randn(2, 3) if kind in CELLS else torch.randn(5, 2, 3)
    return *(module.eval() for module in pair(kind, *arguments)), x


def close(a, b):
    a, b = tensors_of(a), tensors_of(b)
    assert len(a) == len(b)
    return all(torch.allclose(p, q, atol=1e-6) for p, q in zip(a, b, strict=True))


@pytest.mark.parametrize("kind", TOPS)
def test_scripts(kind):
    """Scripted is PyTorch's own class with the same parameters; a module by itself stays as it is."""
    theirs, ours, x = top(kind)
    expected, scripted = theirs(x), torch.jit.script(ours)
    if kind in LAYERS:  # of a scripted GRU PyTorch itself has no forward, but one for each form of input
        scripted = torch.jit.script(nn.Sequential(ours))
    assert close(scripted(x), expected)
    kept = io.BytesIO()
    torch.jit.save(scripted, kept)
    kept.seek(0)
    assert close(torch.jit.load(kept)(x), expected)
    assert close(ours(x), expected)
    if kind is not Net:
        assert type(ours) is ALL[kind]
    with torch.no_grad():
        for p in ours.parameters():
            p.mul_(0.5)
    assert close(scripted(x), ours(x))
    assert not close(scripted(x), expected)


def test_a_scripted_model_is_accelerated_again():
    """PyTorch puts what it scripts into the model as well."""
    _, ours, x = top(Net)
    expected = ours(x)
    scripted = torch.jit.script(ours)
    assert type(ours.encoder) is nn.GRU
    assert type(gru_rs.torch.accelerate(ours).encoder) is gru_rs.torch.GRU
    assert close(ours(x), expected)
    assert close(scripted(x), expected)


@pytest.mark.parametrize("kind", TOPS)
def test_traces(kind):
    theirs, ours, x = top(kind)
    other = torch.randn_like(x)
    assert close(torch.jit.trace(ours, x)(other), theirs(other))
    traced = torch.fx.symbolic_trace(nn.Sequential(ours))
    assert close(traced(other), theirs(other))
    if kind in ALL:
        assert type(traced.get_submodule("0")) is ALL[kind]
    state = tensors_of(ours(x))[-1].detach()
    if kind in (nn.GRU, nn.GRUCell):

        class With(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = ours

            def forward(self, x, hx):
                return self.inner(x, hx=hx)

        assert close(torch.fx.symbolic_trace(With())(other, state), theirs(other, state))


def test_traces_with_resets():
    ours = gru_rs.torch.GRU(3, 4)

    class With(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = ours

        def forward(self, x, resets):
            return self.inner(x, None, resets)

    x, resets = torch.randn(6, 2, 3), torch.rand(6, 2) < 0.4
    expected = ours(x, resets=resets)
    assert not close(ours(x), expected)
    assert close(torch.fx.symbolic_trace(With())(x, resets), expected)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("kind", TOPS)
def test_exports(kind, strict):
    """PyTorch's operators, which need no gru_rs where the program runs."""
    theirs, ours, x = top(kind)
    program = torch.export.export(ours, (x,), strict=strict)
    assert close(program.module()(x), theirs(x))
    assert not any("gru_rs" in str(node.target) for node in program.graph.nodes)


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("kind", TOPS)
def test_exports_to_onnx(kind, dynamo):
    theirs, ours, x = top(kind)
    kept = io.BytesIO()
    if dynamo:
        torch.onnx.export(ours, (x,), dynamo=True).save(kept)
    else:
        torch.onnx.export(ours, (x,), kept, dynamo=False)
    session = onnxruntime.InferenceSession(kept.getvalue())
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    assert close([torch.from_numpy(y) for y in found], theirs(x))


def test_quantize_dynamic():
    """It goes by exact classes: restored before, modules are quantized; passed over, they say so."""
    theirs, ours, x = top(Net)
    quantize = torch.ao.quantization.quantize_dynamic
    expected = quantize(theirs)(x)
    with pytest.warns(UserWarning, match=r"leaves a gru_rs.torch.GRU in floats.*restore"):
        passed = quantize(ours)
    assert type(passed.encoder) is gru_rs.torch.GRU
    assert type(passed.head) is torch.ao.nn.quantized.dynamic.Linear
    assert torch.allclose(passed(x), ours(x), atol=0.1)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*in floats.*")
        small = quantize(gru_rs.torch.restore(ours))
    assert type(small.encoder) is torch.ao.nn.quantized.dynamic.GRU
    assert torch.equal(small(x), expected)


# Weights, written in any way ----------------------------------------------------------------------


def by_numpy(module):
    module.weight_hh.detach().numpy()[...] *= 0.5


def by_optimizer(module):
    for p in module.parameters():
        p.grad = torch.ones_like(p)
    for fused in (False, True):
        torch.optim.Adam(module.parameters(), 0.1, fused=fused).step()


def by_swap(module):
    for p in module.parameters():
        torch.utils.swap_tensors(p, nn.Parameter(torch.randn_like(p)))


def by_copy(module):
    with torch.no_grad():
        module.weight_hh.copy_(torch.randn_like(module.weight_hh))


def by_data(module):
    module.weight_ih.data = torch.randn_like(module.weight_ih)
    module.weight_hh.data = module.weight_hh.data.t().contiguous().t()[: len(module.weight_hh)]


def by_order(module):
    """The same memory in another order."""
    module.weight_hh.data = module.weight_hh.data.view(module.weight_hh.shape[::-1]).t()


def by_bits(module):
    """One bit of one number."""
    module.bias_hh.detach().numpy().view(np.int32)[-1] ^= 1 << 22


def by_storage(module):
    module.weight_hh.untyped_storage().copy_(torch.randn_like(module.weight_hh).untyped_storage())


def by_norm(module):
    parametrizations.weight_norm(module, "weight_hh")
    with torch.no_grad():
        module.parametrizations.weight_hh.original0.mul_(0.5)


WAYS = {
    "an optimizer": by_optimizer,
    "copy_": by_copy,
    "data": by_data,
    "another order": by_order,
    "NumPy": by_numpy,
    "one bit": by_bits,
    "storage": by_storage,
    "swap_tensors": by_swap,
    "load_state_dict": lambda module: module.load_state_dict(nn.GRUCell(3, 4).state_dict()),
    "assign": lambda module: module.load_state_dict(nn.GRUCell(3, 4).state_dict(), assign=True),
    "another parameter": lambda module: setattr(module, "bias_ih", nn.Parameter(torch.randn(12))),
    "share_memory": lambda module: (module.share_memory(), module.weight_ih.data.mul_(2)),
    "vector_to_parameters": lambda module: nn.utils.vector_to_parameters(
        torch.randn(108), module.parameters()
    ),
    "weight_norm": by_norm,
    "pruning": lambda module: prune.l1_unstructured(module, "weight_hh", 0.5),
    "old weight_norm": lambda module: nn.utils.weight_norm(module, "weight_ih"),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_weights_written_are_seen_by_the_next_call(way):
    module = gru_rs.torch.GRUCell(3, 4)
    x, h = torch.randn(2, 3), torch.randn(2, 4)
    before = module(x, h).detach()
    way(module)
    weights = [getattr(module, name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    found, expected = module(x, h), torch.gru_cell(x, h, *weights)
    assert torch.allclose(found, expected, atol=1e-6)
    with torch.no_grad():
        assert torch.equal(module(x, h), found)
    if way is not WAYS["old weight_norm"]:
        assert not torch.equal(found, before)
    found.sum().backward()
    assert all(p.grad is not None for p in module.parameters())


@pytest.mark.parametrize("take", [torch.from_dlpack, torch.from_numpy, torch.as_tensor])
def test_tensors_of_our_weights_are_not_our_weights(take):
    network = gru_rs.GRU(3, 4, seed=0)
    before = network.flat.tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PyTorch, that the array is not writable
        for array in (network.flat, *network.params.values()):
            take(array).fill_(7.0)
        for tensor in gru_rs.to_torch_state_dict(network).values():
            tensor.fill_(7.0)
    assert network.flat.tobytes() == before

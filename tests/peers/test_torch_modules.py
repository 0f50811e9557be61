"""gru_rs.torch beside torch.nn: outputs, gradients, packed sequences, compilation, manners of modules."""

import copy
import gc
import pickle
import resource
import threading
from pathlib import Path

import gru_rs.torch
import pytest
import torch
from conftest import CELLS, LAYERS, tensors_of
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence
from torch.testing._internal.common_modules import module_db


def compare(theirs, ours, inputs, tolerance=5e-6):
    """Outputs and all gradients of two modules with the same weights."""
    ours.load_state_dict(theirs.state_dict())
    results = []
    for module in (theirs, ours):
        given = [leaf for leaf in tensors_of(inputs) if leaf.requires_grad]
        outputs = tensors_of(module(*inputs))
        weights = [torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape) for y in outputs]
        loss = sum((w * y).sum() for w, y in zip(weights, outputs, strict=True))
        gradients = torch.autograd.grad(loss, [*given, *module.parameters()])
        results.append([y.detach() for y in outputs] + list(gradients))
    for a, b in zip(*results, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= tolerance * max(1.0, a.abs().max().item())


def state_of(kind, *shape, **options):
    states = [torch.randn(*shape, requires_grad=True, **options) for _ in range(2)]
    return tuple(states) if kind in (nn.LSTM, nn.LSTMCell) else states[0]


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_layers(kind, layers, bidirectional, bias, batch_first, dtype):
    torch.manual_seed(0)
    options = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional, "dtype": dtype}
    theirs, ours = kind(5, 9, layers, **options), LAYERS[kind](5, 9, layers, **options)
    assert repr(ours) == repr(theirs)
    scans = layers * (1 + bidirectional)
    x = torch.randn(7, 4, 5, dtype=dtype, requires_grad=True)
    batch = 7 if batch_first else 4
    tolerance = 5e-6 if dtype == torch.float32 else 1e-13
    compare(theirs, ours, (x,), tolerance)
    compare(theirs, ours, (x, state_of(kind, scans, batch, 9, dtype=dtype)), tolerance)
    x = torch.randn(7, 5, dtype=dtype, requires_grad=True)
    compare(theirs, ours, (x, state_of(kind, scans, 9, dtype=dtype)), tolerance)
    for enforce in (True, False):
        rows = [torch.randn(length, 5, dtype=dtype) for length in ((7, 4, 4, 1) if enforce else (2, 7, 1, 4))]
        packed = pack_sequence(rows, enforce_sorted=enforce)
        packed = PackedSequence(packed.data.requires_grad_(), *packed[1:])
        compare(theirs, ours, (packed,), tolerance)
        compare(theirs, ours, (packed, state_of(kind, scans, 4, 9, dtype=dtype)), tolerance)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [(), (4,)])
def test_cells(kind, bias, rows):
    theirs, ours = kind(5, 9, bias=bias), CELLS[kind](5, 9, bias=bias)
    x = torch.randn(*rows, 5, requires_grad=True)
    compare(theirs, ours, (x,))
    compare(theirs, ours, (x, state_of(kind, *rows, 9)))


@pytest.mark.parametrize("name", ["nn.GRU", "nn.LSTM", "nn.GRUCell", "nn.LSTMCell"])
def test_the_samples_of_pytorch(name):
    """Those of torch.testing._internal.common_modules, packed and unpacked, and its cases of errors."""
    (info,) = [info for info in module_db if info.name == name]
    compared = 0
    for training in (False, True):
        samples = info.module_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=True, training=training
        )
        for sample in samples:
            made, given = sample.constructor_input, sample.forward_input
            theirs = info.module_cls(*made.args, **made.kwargs).double()
            if getattr(theirs, "proj_size", 0) or getattr(theirs, "dropout", 0):
                continue
            ours = copy.deepcopy(theirs)
            gru_rs.torch.accelerate(ours)
            results = []
            for module in (theirs, ours):
                outputs = tensors_of(module(*given.args, **given.kwargs))
                sum((y * y).sum() for y in outputs).backward()
                results.append([*outputs, *(p.grad for p in module.parameters())])
            for a, b in zip(*results, strict=True):
                assert (a - b).abs().max() <= 1e-12
            compared += 1
    assert compared >= {"nn.GRU": 32, "nn.LSTM": 32}.get(name, 4)
    errors = 0
    for case in (
        info.module_error_inputs_func(
            info, device="cpu", dtype=torch.float64, requires_grad=False, training=True
        )
        if info.module_error_inputs_func
        else []
    ):
        made, given = case.module_error_input.constructor_input, case.module_error_input.forward_input
        if str(case.error_on).endswith("CONSTRUCTION_ERROR"):
            continue
        module = gru_rs.torch.accelerate(info.module_cls(*made.args, **made.kwargs))
        with pytest.raises(case.error_type, match=case.error_regex):
            module(*given.args, **given.kwargs)
        errors += 1
    assert errors or info.module_error_inputs_func is None


@pytest.mark.parametrize("kind", LAYERS)
def test_gradients_are_those_of_finite_differences(kind):
    torch.manual_seed(0)
    module = LAYERS[kind](3, 4, 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(4, 3, 3, dtype=torch.float64, requires_grad=True)
    states = tensors_of([state_of(kind, 4, 3, 4, dtype=torch.float64)])
    parameters = {name: p.detach().clone().requires_grad_() for name, p in module.named_parameters()}

    def run(x, *rest):
        states, weights = rest[: len(rest) - len(parameters)], rest[len(rest) - len(parameters) :]
        hx = tuple(states) if len(states) == 2 else states[0]
        named = dict(zip(parameters, weights, strict=True))
        return tuple(tensors_of(torch.func.functional_call(module, named, (x, hx))))

    assert torch.autograd.gradcheck(run, (x, *states, *parameters.values()))


def test_gradients_of_a_packed_sequence():
    module = gru_rs.torch.GRU(3, 4, bidirectional=True, dtype=torch.float64)
    x = torch.randn(6, 3, 3, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([2, 6, 3])

    def run(x):
        y, h_n = module(pack_padded_sequence(x, lengths, enforce_sorted=False))
        return pad_packed_sequence(y)[0], h_n

    assert torch.autograd.gradcheck(run, (x,))


@pytest.mark.parametrize("make", CELLS.values())
def test_gradients_of_cells(make):
    cell = make(3, 4, dtype=torch.float64)
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)

    def run(x):
        state = cell(x)
        return tuple(tensors_of(cell(2 * x, state)))

    assert torch.autograd.gradcheck(run, (x,))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("fullgraph", [False, True])
def test_compiled(kind, fullgraph):
    """PyTorch breaks the graph at its own GRU and LSTM, and so at ours, unless it is told not to."""
    torch.manual_seed(0)
    module = LAYERS[kind](5, 9, 2, bidirectional=True)
    head = nn.Linear(18, 3)

    def run(x):
        y, _ = module(torch.sin(x))
        return head(y).square().sum()

    x = torch.randn(7, 4, 5, requires_grad=True)
    with torch._dynamo.config.patch(allow_rnn=fullgraph):
        torch._dynamo.reset()
        results = []
        for function in (run, torch.compile(run, fullgraph=fullgraph, backend="aot_eager")):
            loss = function(x)
            results.append([loss, *torch.autograd.grad(loss, [x, *module.parameters(), *head.parameters()])])
        for a, b in zip(*results, strict=True):
            assert torch.allclose(a, b, atol=1e-6)
        with torch.no_grad():
            compiled = torch.compile(lambda x: module(x)[0], fullgraph=fullgraph, backend="aot_eager")
            assert torch.equal(compiled(x), module(x)[0])


def test_compiled_by_inductor():
    module = gru_rs.torch.GRU(5, 9)
    x = torch.randn(7, 4, 5, requires_grad=True)
    with torch._dynamo.config.patch(allow_rnn=True):
        compiled = torch.compile(lambda x: module(x.sin())[0].cos().sum(), fullgraph=True)
        loss = compiled(x)
        (d_x,) = torch.autograd.grad(loss, x)
    expected = module(x.sin())[0].cos().sum()
    (d_expected,) = torch.autograd.grad(expected, x)
    assert torch.allclose(loss, expected)
    assert torch.allclose(d_x, d_expected, atol=1e-6)


@pytest.mark.parametrize("resets", [None, torch.tensor([[False, True, False]] * 4)])
def test_the_operators_keep_the_rules_of_pytorch(resets):
    x = torch.randn(4, 3, 5, requires_grad=True)
    weights = [p.detach().requires_grad_() for p in nn.GRU(5, 6).parameters()]
    state = torch.randn(1, 3, 6, requires_grad=True)
    arguments = (x, [state], weights, None, resets, None, "gru", 1, False, 0.0, False, True)
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(torch.ops.gru_rs.rnn, arguments, test_utils=checks)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(mode):
    theirs = nn.GRU(5, 9)
    ours = gru_rs.torch.accelerate(copy.deepcopy(theirs))
    x = torch.randn(7, 4, 5)
    with mode():
        y, _ = ours(x)
        assert torch.allclose(y, theirs(x)[0], atol=1e-6)
    assert not y.requires_grad


def test_a_tape_goes_with_its_graph():
    """Forward passes without a backward leave nothing behind."""
    module, x = gru_rs.torch.GRU(16, 64), torch.randn(100, 64, 16)
    held = []
    for _ in range(60):
        module(x)
        held.append(resident())
    assert held[-1] - held[10] < 20e6  # one tape has 8 MB


def test_a_tape_goes_with_a_compiled_graph():
    module = gru_rs.torch.GRU(5, 9)
    with torch._dynamo.config.patch(allow_rnn=True):
        compiled = torch.compile(lambda x: module(x), fullgraph=True, backend="aot_eager")
        results = compiled(torch.randn(7, 4, 5))
    assert len(gru_rs.torch._graph._kept) == 1
    del results
    gc.collect()
    assert not gru_rs.torch._graph._kept


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_layers_go_with_their_parameters():
    before = len(gru_rs.torch._call._layers)
    module = gru_rs.torch.GRU(5, 9)
    module(torch.randn(7, 4, 5))
    assert len(gru_rs.torch._call._layers) == before + 1
    del module
    gc.collect()
    assert len(gru_rs.torch._call._layers) == before


def test_functional_gradients():
    """torch.func, whose transformations are left to PyTorch."""
    module, x = gru_rs.torch.GRU(5, 9), torch.randn(7, 4, 5)
    parameters = {name: p.detach() for name, p in module.named_parameters()}

    def loss(parameters):
        return torch.func.functional_call(module, parameters, (x,))[0].square().sum()

    found = torch.func.grad(loss)(parameters)
    module(x)[0].square().sum().backward()
    for name, p in module.named_parameters():
        assert torch.allclose(found[name], p.grad, atol=1e-4)


def test_a_retained_graph_serves_again():
    torch.manual_seed(0)
    module = gru_rs.torch.GRU(5, 9, 2, dropout=0.5)
    x = torch.randn(7, 4, 5, requires_grad=True)
    loss = module(x)[0].square().sum()
    first = torch.autograd.grad(loss, [x, *module.parameters()], retain_graph=True)
    second = torch.autograd.grad(loss, [x, *module.parameters()])
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


def test_two_graphs_of_other_weights():
    """Backward of the first uses the weights that its forward had."""
    module = gru_rs.torch.GRU(5, 9)
    x = torch.randn(7, 4, 5)
    other = {name: torch.randn_like(p, requires_grad=True) for name, p in module.named_parameters()}
    first = module(x)[0].sum()
    second = torch.func.functional_call(module, other, (x,))[0].sum()
    plain = nn.GRU(5, 9)
    plain.load_state_dict(module.state_dict())
    expected = torch.autograd.grad(plain(x)[0].sum(), plain.parameters())
    for a, b in zip(torch.autograd.grad(first, module.parameters()), expected, strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    expected = torch.func.functional_call(plain, other, (x,))[0].sum()
    pairs = zip(
        torch.autograd.grad(second, other.values()),
        torch.autograd.grad(expected, other.values()),
        strict=True,
    )
    for a, b in pairs:
        assert torch.allclose(a, b, atol=1e-4)


def test_weights_written_in_any_way_count():
    """Also past autograd's count of versions."""
    module, x = gru_rs.torch.GRU(5, 9), torch.randn(7, 4, 5)
    plain = nn.GRU(5, 9)

    def check():
        plain.load_state_dict(module.state_dict())
        with torch.no_grad():
            assert torch.allclose(module(x)[0], plain(x)[0], atol=1e-6)

    check()
    module.weight_hh_l0.data.mul_(0.5)
    check()
    module.weight_ih_l0.data = torch.randn(27, 5)
    check()
    with torch.no_grad():
        module.bias_hh_l0.add_(1)
    check()


def test_weights_written_before_backward_are_an_error():
    module = gru_rs.torch.GRU(5, 9)
    loss = module(torch.randn(7, 4, 5))[0].sum()
    with torch.no_grad():
        module.weight_hh_l0.mul_(0.5)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_dropout_follows_pytorchs_generator():
    module, x = gru_rs.torch.GRU(5, 9, 3, dropout=0.5), torch.randn(7, 4, 5)

    def run(seed):
        torch.manual_seed(seed)
        return module(x)[0]

    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    with torch.no_grad():
        assert torch.equal(run(1), run(1))
    module.eval()
    assert torch.equal(run(1), run(2))


def test_what_is_left_to_pytorch():
    x = torch.randn(7, 4, 5)
    projected = gru_rs.torch.LSTM(5, 9, proj_size=3)
    assert projected(x)[0].shape == (7, 4, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert gru_rs.torch.GRU(5, 9)(x)[0].dtype == nn.GRU(5, 9)(x)[0].dtype
    half = gru_rs.torch.GRU(5, 9).to(torch.bfloat16)
    assert half(x.to(torch.bfloat16))[0].dtype == torch.bfloat16
    meta = gru_rs.torch.GRU(5, 9, device="meta")
    assert meta(x.to("meta"))[0].shape == (7, 4, 9)
    assert torch.jit.trace(gru_rs.torch.GRU(5, 9), x)(x)[0].shape == (7, 4, 9)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(5, 9)
        self.others = nn.ModuleList([nn.LSTM(9, 4), nn.GRUCell(4, 4), nn.LSTMCell(4, 4), nn.RNN(4, 4)])

    def forward(self, x):
        y, _ = self.encoder(x)
        y, _ = self.others[0](y)
        h, _ = self.others[2](self.others[1](y[-1]))
        return self.others[3](h[None])[0]


def test_accelerate_and_back():
    model, x = Model(), torch.randn(7, 4, 5)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    before, parameters = model(x), list(model.parameters())
    classes = [type(module) for module in model.modules()]
    assert gru_rs.torch.accelerate(model) is model
    assert type(model.encoder) is gru_rs.torch.GRU
    assert isinstance(model.encoder, nn.GRU)
    assert [type(other).__module__.split(".")[0] for other in model.others] == ["gru_rs"] * 3 + ["torch"]
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert torch.allclose(model(x), before, atol=1e-6)
    model(x).square().sum().backward()
    optimizer.step()
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(x), model(x))
    after = model(x)
    assert gru_rs.torch.restore(model) is model
    assert [type(module) for module in model.modules()] == classes
    assert torch.allclose(model(x), after, atol=1e-6)


def test_accelerate_says_what_it_cannot():
    with pytest.raises(ValueError, match=r"expected a module with one of torch's GRU.* got a Linear"):
        gru_rs.torch.accelerate(nn.Linear(3, 3))
    with pytest.raises(ValueError, match=r"on the CPU"):
        gru_rs.torch.accelerate(nn.GRU(3, 3, device="meta"))
    with pytest.raises(ValueError, match="one of gru_rs's GRU"):
        gru_rs.torch.restore(nn.GRU(3, 3))
    for function in (gru_rs.torch.accelerate, gru_rs.torch.restore):
        with pytest.raises(TypeError, match=r"expected a torch.nn.Module, got str"):
            function("model")


def test_one_module_from_many_threads():
    module = gru_rs.torch.GRU(5, 9)
    inputs = [torch.randn(7, 4, 5) for _ in range(8)]
    with torch.no_grad():
        expected = [module(x)[0] for x in inputs]
    wrong = []

    def work(x, y):
        with torch.no_grad():
            wrong.extend(1 for _ in range(50) if not torch.equal(module(x)[0], y))

    threads = [threading.Thread(target=work, args=pair) for pair in zip(inputs, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_resets_are_a_loop_over_episodes(kind, batch_first, compiled):
    """Beside PyTorch's own module called step by step, its states zeroed where an episode begins."""
    torch.manual_seed(0)
    theirs = kind(3, 5, 2)
    ours = LAYERS[kind](3, 5, 2, batch_first=batch_first)
    ours.load_state_dict(theirs.state_dict())
    x, resets = torch.randn(9, 4, 3, requires_grad=True), torch.rand(9, 4) < 0.3
    state, steps = state_of(kind, 2, 4, 5), []
    current = state
    for x_t, begins in zip(x, resets, strict=True):
        kept = [torch.where(begins[:, None], 0.0, part) for part in tensors_of(current)]
        y, current = theirs(x_t[None], tuple(kept) if kind is nn.LSTM else kept[0])
        steps.append(y)
    expected = torch.cat(steps)
    call = ours
    if compiled:
        torch._dynamo.config.allow_rnn = True
        call = torch.compile(ours, fullgraph=True)
    given = (x.transpose(0, 1), resets.T) if batch_first else (x, resets)
    found, last = call(given[0], state, resets=given[1])
    found = found.transpose(0, 1) if batch_first else found
    assert (found - expected).abs().max() <= 5e-6
    weights = torch.linspace(-1, 1, expected.numel()).view(expected.shape)
    inputs = [x, *tensors_of(state)]
    for a, b in zip(
        torch.autograd.grad((weights * expected).sum(), [*inputs, *theirs.parameters()]),
        torch.autograd.grad((weights * found).sum(), [*inputs, *ours.parameters()]),
        strict=True,
    ):
        assert (a - b).abs().max() <= 2e-5
    assert all(
        (a - b).abs().max() <= 5e-6 for a, b in zip(tensors_of(last), tensors_of(current), strict=True)
    )


def test_resets_that_cannot_be():
    gru, x = gru_rs.torch.GRU(3, 5), torch.randn(9, 4, 3)
    flags = torch.zeros(9, 4, dtype=torch.bool)
    assert torch.equal(gru(x, resets=flags)[0], gru(x)[0])
    assert torch.equal(gru(x[:, 0], resets=flags[:, 0])[0], gru(x[:, 0])[0])
    half = copy.deepcopy(gru).bfloat16()
    found, _ = half(x.bfloat16(), resets=~flags)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), gru(x, resets=~flags)[0], atol=0.03)
    for kind, message, call in [
        (TypeError, "resets: expected a tensor of bool.*int64", lambda: gru(x, resets=flags.long())),
        (ValueError, r"resets: expected shape \(9, 4\), got \(4, 9\)", lambda: gru(x, resets=flags.T)),
        (RuntimeError, "resets: expected .*not packed", lambda: gru(pack_sequence([x[:, 0]]), resets=flags)),
        (
            TypeError,
            "resets: expected a tensor of bool on the cpu.*meta",
            lambda: gru(x, resets=flags.to("meta")),
        ),
    ]:
        with pytest.raises(kind, match=message):
            call()


def test_what_cannot_be_changed_is_said():
    done = gru_rs.torch.accelerate(nn.Sequential(nn.GRU(3, 4)))
    with pytest.raises(ValueError, match="a Sequential where that was done already, of GRU"):
        gru_rs.torch.accelerate(done)
    normed = nn.utils.parametrizations.weight_norm(nn.GRU(3, 4), "weight_hh_l0")
    with pytest.raises(ValueError, match="classes of their own, ParametrizedGRU"):
        gru_rs.torch.accelerate(normed)

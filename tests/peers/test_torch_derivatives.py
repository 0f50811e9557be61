"""gru_rs.torch differentiated in every way that PyTorch knows: twice and more, batched, forward, torch.func.

PyTorch's finite differences and its own modules are the judges, in float64.
"""

import copy
import random

import gru_rs.torch
import pytest
import torch
from conftest import CELLS, LAYERS, tensors_of
from torch import nn
from torch.autograd import forward_ad, functional, gradcheck, gradgradcheck
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

DOUBLE = {"dtype": torch.float64}


def checked(module, x, states, as_input=lambda x: x, **options):
    """Whether first and second derivatives by all tensors and parameters are those of finite differences."""
    names = [name for name, _ in module.named_parameters()]
    given = [x, *states, *(p.detach() for p in module.parameters())]
    given = [tensor.detach().clone().requires_grad_() for tensor in given]

    def run(x, *rest):
        torch.manual_seed(7)  # of dropout's masks
        states, weights = rest[: len(rest) - len(names)], rest[len(rest) - len(names) :]
        hx = None if not states else tuple(states) if len(states) > 1 else states[0]
        named = dict(zip(names, weights, strict=True))
        return tuple(tensors_of(torch.func.functional_call(module, named, (as_input(x), hx), options)))

    return gradcheck(run, given) and gradgradcheck(run, given, fast_mode=True)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("form", ["whole", "unbatched", "packed", "resets"])
@pytest.mark.parametrize("kind", LAYERS.values())
def test_layers_twice(kind, form, seed):
    draw = random.Random(f"{form} {seed}")
    layers, dropout = draw.choice([1, 2, 2]), draw.choice([0.0, 0.4])
    bidirectional, bias, batch_first, with_states = (draw.random() < 0.5 for _ in range(4))
    torch.manual_seed(seed)
    options = {"bias": bias, "batch_first": batch_first, "bidirectional": bidirectional, "dropout": dropout}
    if layers == 1:
        del options["dropout"]
    module = kind(2, 2, layers, **options, **DOUBLE)
    steps, rows, scans = 3, 2, layers * (1 + bidirectional)
    x = torch.randn((steps, 2) if form == "unbatched" else (steps, rows, 2), **DOUBLE)
    if batch_first and form != "unbatched":
        x = x.transpose(0, 1)
    shape = (scans, 2) if form == "unbatched" else (scans, rows, 2)
    states = [torch.randn(shape, **DOUBLE) for _ in range(2 if kind is gru_rs.torch.LSTM else 1)]
    states = states if with_states else []
    if form == "packed":
        packed = pack_sequence([torch.randn(n, 2, **DOUBLE) for n in (2, 3)], enforce_sorted=False)
        assert checked(module, packed.data, states, lambda data: PackedSequence(data, *packed[1:]))
    else:
        assert checked(
            module, x, states, **({"resets": torch.rand(x.shape[:-1]) < 0.4} if form == "resets" else {})
        )


@pytest.mark.parametrize("make", CELLS.values())
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [(), (3,)])
def test_cells_twice(make, bias, rows):
    torch.manual_seed(0)
    cell = make(2, 3, bias=bias, **DOUBLE)
    states = [torch.randn(*rows, 3, **DOUBLE) for _ in range(2 if make is gru_rs.torch.LSTMCell else 1)]
    x = torch.randn(*rows, 2, **DOUBLE)
    assert checked(cell, x, [])
    assert checked(cell, x, states)


def output(module, x):
    return tensors_of(module(x))[0].sin()


def powers(module, x):
    """Four derivatives, each of the sum of squares of the one before."""
    x, found = x.clone().requires_grad_(), []
    value = output(module, x).sum()
    for _ in range(4):
        (slope,) = torch.autograd.grad(value, x, create_graph=True)
        found.append(slope.detach())
        value = slope.square().sum()
    return found


def penalty(module, x, packed=False):
    """The gradients of a loss with the norm of slopes in it, as critics and physics-informed models have."""
    x = x.clone().requires_grad_()
    y = module(pack_padded_sequence(x, [3, 2]))[0].data if packed else output(module, x)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    loss = y.square().mean() + (slope.square().sum(-1) - 1).square().mean()
    return [loss, *torch.autograd.grad(loss, [x, *module.parameters()])]


def again(module, x):
    """A graph that is kept: its tape is spent, and then asked for first and second derivatives."""
    x = x.clone().requires_grad_()
    value = output(module, x).sum()
    first = torch.autograd.grad(value, x, retain_graph=True)
    (slope,) = torch.autograd.grad(value, x, create_graph=True)
    assert torch.equal(first[0], slope)
    seconds = [torch.autograd.grad(slope.square().sum(), x, retain_graph=True)[0] for _ in range(2)]
    assert torch.equal(*seconds)
    return [slope, *seconds]


def batched(module, x):
    x = x.clone().requires_grad_()
    y = output(module, x)
    (slope,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    firsts = torch.autograd.grad(y, x, torch.stack([y, 2 * y]).detach(), True, is_grads_batched=True)
    assert not firsts[0].requires_grad
    return [*firsts, *torch.autograd.grad(slope, x, torch.stack([x, 2 * x]).detach(), is_grads_batched=True)]


def dual(module, x):
    """Forward-mode along x, along the weights, over reverse, and of a gradient alone."""
    with forward_ad.dual_level():
        leaf = x.clone().requires_grad_()
        y = output(module, forward_ad.make_dual(leaf, x.cos()))
        found = list(forward_ad.unpack_dual(y))
        found += forward_ad.unpack_dual(torch.autograd.grad(y.sum(), leaf)[0])
        weights = {
            name: forward_ad.make_dual(p.detach(), torch.ones_like(p))
            for name, p in module.named_parameters()
        }
        y = tensors_of(torch.func.functional_call(module, weights, (x,)))[0]
        found += forward_ad.unpack_dual(y)
    y = output(module, leaf)
    with forward_ad.dual_level():
        along = forward_ad.make_dual(torch.ones_like(y), y.detach())
        found += forward_ad.unpack_dual(torch.autograd.grad(y, leaf, along)[0])
    return found


def checkpointed(module, x):
    x = x.clone().requires_grad_()
    y = torch.utils.checkpoint.checkpoint(lambda x: output(module, x).sum(), x, use_reentrant=False)
    (slope,) = torch.autograd.grad(y, x, create_graph=True)
    return torch.autograd.grad(slope.square().sum(), x)


def through(transform, total=False):
    def run(module, x):
        return transform(lambda x: output(module, x).sum() if total else output(module, x), x)

    return run


def along(transform):
    return lambda f, x: transform(f, (x,), (x.cos(),))


WAYS = {
    "powers": powers,
    "penalty": penalty,
    "a graph again": again,
    "batched": batched,
    "dual": dual,
    "checkpointed": checkpointed,
    "hessian": through(functional.hessian, total=True),
    "hessian at once": through(lambda f, x: functional.hessian(f, x, vectorize=True), total=True),
    "jacobian": through(functional.jacobian),
    "jacobian at once": through(lambda f, x: functional.jacobian(f, x, vectorize=True)),
    "a graph of a jacobian": lambda module, x: torch.autograd.grad(
        functional.jacobian(lambda x: output(module, x), x, create_graph=True).square().sum(),
        list(module.parameters()),
    ),
    "jvp": through(along(functional.jvp)),
    "hvp": through(along(functional.hvp), total=True),
    "func.hessian": through(lambda f, x: torch.func.hessian(f)(x), total=True),
    "func.jacrev": through(lambda f, x: torch.func.jacrev(f)(x)),
    "func.jvp": through(along(torch.func.jvp)),
    "func.grad twice": through(
        lambda f, x: torch.func.grad(lambda x: torch.func.grad(f)(x).square().sum())(x), total=True
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [*LAYERS, *CELLS])
def test_every_way_is_as_pytorchs_own(kind, way):
    torch.manual_seed(0)
    theirs = kind(2, 3, **DOUBLE)
    ours = gru_rs.torch.accelerate(copy.deepcopy(theirs))
    x = torch.randn(
        *((3, 2, 2) if kind in LAYERS else (3, 2)), requires_grad=way == "a graph of a jacobian", **DOUBLE
    )
    expected, found = (tensors_of(WAYS[way](module, x)) for module in (theirs, ours))
    for a, b in zip(expected, found, strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() <= 1e-13
    assert max(a.abs().max() for a in expected) > 1e-3


@pytest.mark.parametrize("kind", LAYERS)
def test_penalty_of_a_packed_sequence(kind):
    torch.manual_seed(0)
    theirs = kind(2, 3, 2, bidirectional=True)
    ours = gru_rs.torch.accelerate(copy.deepcopy(theirs))
    x = torch.randn(3, 2, 2)
    for a, b in zip(penalty(theirs, x, packed=True), penalty(ours, x, packed=True), strict=True):
        assert (a - b).abs().max() <= 5e-6


@pytest.mark.parametrize("kind", LAYERS.values())
def test_first_derivatives_keep_their_bits(kind):
    """Whether or not there will be second ones."""
    torch.manual_seed(0)
    module, x = kind(5, 9, 2, bidirectional=True, dropout=0.5), torch.randn(7, 4, 5, requires_grad=True)

    def slopes(**options):
        torch.manual_seed(1)
        y = tensors_of(module(x))
        return torch.autograd.grad(sum(part.sin().sum() for part in y), [x, *module.parameters()], **options)

    for a, b in zip(slopes(), slopes(create_graph=True), strict=True):
        assert torch.equal(a, b)
        assert b.requires_grad


@pytest.mark.parametrize("kind", LAYERS.values())
def test_resets_under_transformations(kind):
    """PyTorch's own layers have none: the derivatives of a call that is run as it is met are the judge."""
    torch.manual_seed(0)
    module, x = kind(2, 3, 2, bidirectional=True, **DOUBLE), torch.randn(5, 2, 2, **DOUBLE)
    resets = torch.rand(5, 2) < 0.4

    def run(x):
        return module(x, resets=resets)[0].sin()

    (slope,) = functional.jvp(run, x, x.cos())[1:]
    with forward_ad.dual_level():
        forward = forward_ad.unpack_dual(run(forward_ad.make_dual(x, x.cos())))
        assert (forward.tangent - slope).abs().max() <= 1e-13
        assert (forward.primal - run(x)).abs().max() <= 1e-13
    found = torch.func.hessian(lambda x: run(x).sum())(x)
    assert (found - functional.hessian(lambda x: run(x).sum(), x)).abs().max() <= 1e-13


@pytest.mark.parametrize("kind", LAYERS.values())
def test_masks_are_the_kernels(kind):
    """Dropout's masks, made again by PyTorch's operators, are those of the call."""
    torch.manual_seed(0)
    for batch_first in (False, True):
        module = kind(3, 4, 3, dropout=0.5, bidirectional=True, batch_first=batch_first, **DOUBLE)
        for steps in (
            torch.randn(5, 3, 3, **DOUBLE),
            pack_sequence([torch.randn(n, 3, **DOUBLE) for n in (5, 2)]),
        ):
            torch.manual_seed(1)
            (ours, *_) = tensors_of(module(steps))
            packed = isinstance(steps, PackedSequence)
            x, sizes = (steps.data, steps.batch_sizes) if packed else (steps, None)
            cell = "lstm" if kind is gru_rs.torch.LSTM else "gru"
            options = gru_rs.torch.Options(cell, 3, batch_first and sizes is None, 0.5, True)
            torch.manual_seed(1)
            call = gru_rs.torch.Call(x, [], list(module.parameters()), sizes, None, None)
            plain, _ = gru_rs.torch.run_plain(gru_rs.torch.seeded(call, options), options)
            assert (plain - ours).abs().max() <= 1e-13


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("kind", [*LAYERS, *CELLS])
def test_a_compiled_graph_twice(kind, backend):
    """Right numbers, or the error that PyTorch's compiler has for all second derivatives."""
    torch.manual_seed(0)
    theirs = kind(2, 3, **DOUBLE)
    ours = gru_rs.torch.accelerate(copy.deepcopy(theirs))
    x = torch.randn(*((3, 2, 2) if kind in LAYERS else (3, 2)), requires_grad=True, **DOUBLE)
    states = (torch.randn(*((1, 2, 3) if kind in LAYERS else (3, 3)), requires_grad=True, **DOUBLE),)
    states = states * 2 if kind in (nn.LSTM, nn.LSTMCell) else states

    def seconds(run, module):
        y = run(x, *states)
        slopes = torch.autograd.grad(y, [x, *states], create_graph=True)
        value = sum(slope.square().sum() for slope in slopes)
        return torch.autograd.grad(value, [x, *states, *module.parameters()])

    def of(module):
        return lambda x, *states: (
            tensors_of(module(x, states if len(states) > 1 else states[0]))[0].sin().sum()
        )

    torch._dynamo.reset()
    with torch._dynamo.config.patch(allow_rnn=True):
        run = torch.compile(of(ours), backend=backend, fullgraph=True)
        if backend == "aot_eager":
            with pytest.raises(RuntimeError, match="does not currently support double backward"):
                seconds(run, ours)
            return
        for a, b in zip(seconds(of(theirs), theirs), seconds(run, ours), strict=True):
            assert (a - b).abs().max() <= 1e-13

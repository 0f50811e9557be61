"""The optimizers against plain NumPy twins of PyTorch's formulas, and what a step is to the layer.

The twins work in float64 on a sequence of gradients drawn beforehand, so a float32 optimizer is judged by its
own rounding and not by a training run that rounding has led elsewhere.
"""

import copy
import pickle

import gru_rs
import numpy as np
import pytest
from conftest import DTYPES, KINDS, new_layer, new_problem
from gru_rs._core import Memory, Rule

F, H = 3, 4  # F features
STEPS = 50
# Largest difference after 50 steps of 0.01 on weights that stay below 2: four units of 2^-52 or 2^-23 a step.
ABSOLUTE = {np.float64: 4 * STEPS * 2.0**-52, np.float32: 4 * STEPS * 2.0**-23}

every_kind = pytest.mark.parametrize("kind", KINDS)


# Twins --------------------------------------------------------------------------------------------


def sgd(w, gradients, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    """torch.optim.SGD: the first step takes the gradient itself for the buffer."""
    buffer = None
    for g in gradients:
        g = g + weight_decay * w
        if momentum:
            buffer = g if buffer is None else momentum * buffer + g
            g = g + momentum * buffer if nesterov else buffer
        w = w - lr * g
        yield w


def adam(w, gradients, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    """torch.optim.Adam, and AdamW with `decoupled`."""
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        if decoupled:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        unbiased_m, unbiased_v = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
        w = w - lr * unbiased_m / (np.sqrt(unbiased_v) + eps)
        yield w


def adamw(w, gradients, lr=1e-3, weight_decay=0.01, **options):
    return adam(w, gradients, lr, weight_decay=weight_decay, decoupled=True, **options)


TWINS = {gru_rs.SGD: sgd, gru_rs.Adam: adam, gru_rs.AdamW: adamw}
SETTINGS = [
    (gru_rs.SGD, {"lr": 0.01}),
    (gru_rs.SGD, {"lr": 0.01, "weight_decay": 0.1}),
    (gru_rs.SGD, {"lr": 0.01, "momentum": 0.9}),
    (gru_rs.SGD, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    (gru_rs.SGD, {"lr": 0.01, "momentum": 0.5, "nesterov": True, "weight_decay": 0.1}),
    (gru_rs.SGD, {"lr": 0.0}),
    (gru_rs.Adam, {}),
    (gru_rs.Adam, {"lr": 0.01}),
    (gru_rs.Adam, {"lr": 0.01, "betas": (0.5, 0.9)}),
    (gru_rs.Adam, {"lr": 0.01, "betas": (0.0, 0.0)}),
    (gru_rs.Adam, {"lr": 0.01, "eps": 0.1}),
    (gru_rs.Adam, {"lr": 0.01, "weight_decay": 0.1}),
    (gru_rs.AdamW, {}),
    (gru_rs.AdamW, {"lr": 0.01}),
    (gru_rs.AdamW, {"lr": 0.01, "weight_decay": 0.0}),
    (gru_rs.AdamW, {"lr": 0.01, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.2}),
]


def label(value):
    return value.__name__ if isinstance(value, type) else "-".join(f"{k}={v}" for k, v in value.items())


every_setting = pytest.mark.parametrize(("optimizer", "options"), SETTINGS, ids=label)


def gradients(size, seed=0, steps=STEPS, dtype=np.float32):
    """Gradients of very different sizes; some are exactly zero, some never anything else."""
    rng = np.random.default_rng(seed)
    g = rng.standard_normal((steps, size)) * 10.0 ** rng.integers(-4, 3, size)
    g[rng.random(g.shape) < 0.1] = 0
    g[:, 0] = 0
    return g.astype(dtype)


def new_optimizer(optimizer, options):
    """By position where lr may be, by name where it must be."""
    rest = {k: v for k, v in options.items() if k != "lr"}
    return optimizer(*([options["lr"]] if "lr" in options else []), **rest)


@pytest.mark.parametrize("dtype", DTYPES)
@every_setting
def test_against_the_twin(optimizer, options, dtype):
    layer = new_layer("gru", F, H, dtype=dtype)
    steps = gradients(layer.flat.size, dtype=dtype)
    if optimizer is gru_rs.SGD:
        steps = np.clip(steps, -0.5, 0.5)  # SGD has nothing of its own against large gradients
    start = layer.flat.astype(np.float64)
    mine = new_optimizer(optimizer, options)
    for g, expected in zip(steps, TWINS[optimizer](start, steps.astype(np.float64), **options), strict=True):
        mine.step(layer, g)
        np.testing.assert_allclose(layer.flat, expected, rtol=0, atol=ABSOLUTE[dtype])
    if options.get("lr") != 0:
        assert abs(layer.flat - start).max() > 1e-3


def test_lr_by_name():
    layer, twin = (new_layer("gru", F, H) for _ in range(2))
    g = gradients(layer.flat.size)[0]
    gru_rs.SGD(lr=0.1).step(layer, g)
    gru_rs.SGD(0.1).step(twin, g)
    assert layer.flat.tobytes() == twin.flat.tobytes()


# What a step is to a layer ------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [False, True], ids=["layer", "cell"])
@every_setting
@every_kind
def test_grads_or_their_flat(kind, optimizer, options, cell):
    """A step takes what `backward` gave or any 1-D array; for every kind of layer."""
    layer, twin = (new_layer(kind, F, H, cell=cell) for _ in range(2))
    mine, other = (new_optimizer(optimizer, options) for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(3):
        x = rng.standard_normal((5, F) if cell else (6, 5, F)).astype(np.float32)
        given, *_, tape = layer.forward(x)
        grads = tape.backward(given)
        mine.step(layer, grads)
        other.step(twin, grads.flat.copy())
        assert layer.flat.tobytes() == twin.flat.tobytes()


def test_gradients_clipped_in_place():
    """`grads.flat` is one array to be changed: the step takes it as it is then."""
    layer, twin = (new_layer("gru", F, H) for _ in range(2))
    x = np.random.default_rng(0).standard_normal((6, 5, F)).astype(np.float32)
    y, _, tape = layer.forward(x)
    grads = tape.backward(y)
    clipped = np.clip(grads.flat, -0.1, 0.1)
    assert (clipped != grads.flat).any()
    np.clip(grads.flat, -0.1, 0.1, out=grads.flat)
    gru_rs.SGD(0.1).step(layer, grads)
    gru_rs.SGD(0.1).step(twin, clipped)
    assert layer.flat.tobytes() == twin.flat.tobytes()


@every_setting
def test_two_layers_one_optimizer(optimizer, options):
    """The state of each layer is its own: as if each had an optimizer to itself."""
    shapes = [(F, H), (F, H), (F + 2, H)]
    layers, twins = ([new_layer("gru", *s) for s in shapes] for _ in range(2))
    shared, own = new_optimizer(optimizer, options), [new_optimizer(optimizer, options) for _ in shapes]
    # Not in turn: the counts of steps differ as well.
    for step, index in enumerate([0, 0, 1, 2, 1, 0, 2, 2, 1, 1, 0]):
        g = gradients(layers[index].flat.size, seed=step, steps=1)[0]
        shared.step(layers[index], g)
        own[index].step(twins[index], g)
    for layer, twin in zip(layers, twins, strict=True):
        assert layer.flat.tobytes() == twin.flat.tobytes()


@every_setting
def test_a_layer_in_the_place_of_another(optimizer, options):
    """A new layer does not inherit the state of one that is gone, even at the same address."""
    shared = new_optimizer(optimizer, options)
    for seed in range(20):
        layer, twin = new_layer("gru", F, H), new_layer("gru", F, H)
        for g in gradients(layer.flat.size, seed=seed, steps=3):
            shared.step(layer, g)
        own = new_optimizer(optimizer, options)
        for g in gradients(twin.flat.size, seed=seed, steps=3):
            own.step(twin, g)
        assert layer.flat.tobytes() == twin.flat.tobytes(), f"round {seed}"
        del layer


@pytest.mark.parametrize("optimizer", TWINS)
def test_a_step_raises_the_version(optimizer):
    """Even one that moves nothing: a tape from before it is refused, calls see the new weights."""
    layer = new_layer("gru", F, H)
    x = np.ones((2, 5, F), np.float32)
    y, _, tape = layer.forward(x)
    view = layer.flat
    gru_rs.SGD(0.0).step(layer, np.zeros_like(view))
    with pytest.raises(RuntimeError, match=r"(?i)weights"):
        tape.backward(y)
    assert view.tobytes() == layer.flat.tobytes()
    optimizer(0.1).step(layer, np.ones_like(view))
    assert view.tobytes() != layer.flat.tobytes()
    assert layer(x)[0].tobytes() != y.tobytes()
    again = new_layer("gru", F, H)
    again.set_flat(layer.flat)
    assert layer(x)[0].tobytes() == again(x)[0].tobytes()


@every_setting
def test_steps_are_seeded_by_nothing(optimizer, options):
    """The same steps twice give the same bits."""
    runs = []
    for _ in range(2):
        layer, mine = new_layer("lstm", F, 33), new_optimizer(optimizer, options)
        for g in gradients(layer.flat.size, steps=5):
            mine.step(layer, g)
        runs.append(layer.flat.tobytes())
    assert runs[0] == runs[1]


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 15, 16, 17, 31, 33])
@pytest.mark.parametrize("optimizer", TWINS)
def test_every_weight_is_reached(optimizer, size):
    """Sizes around vectors and their tails: each weight moves as if it were alone."""
    layer, twin = (gru_rs.GRU(1, size, bias=False, seed=1) for _ in range(2))
    mine, backwards = optimizer(0.1), optimizer(0.1)
    for g in gradients(layer.flat.size, steps=3):
        mine.step(layer, g)
        twin.set_flat(twin.flat[::-1])
        backwards.step(twin, g[::-1])
        twin.set_flat(twin.flat[::-1])
    assert layer.flat.tobytes() == twin.flat.tobytes()


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [(gru_rs.SGD, {"lr": 0.5, "momentum": 0.9}), (gru_rs.Adam, {"lr": 0.03}), (gru_rs.AdamW, {"lr": 0.03})],
    ids=label,
)
@pytest.mark.parametrize("dtype", DTYPES)
@every_kind
def test_training_reduces_the_loss(kind, dtype, optimizer, options):
    """Remember the sign of the first step to the last: a loss that starts near its worst falls to a tenth."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 32, 1)).astype(dtype)
    target = np.sign(x[0]) * 0.5  # (32, 1)
    layer, optimizer = new_layer(kind, 1, 8, dtype=dtype), new_optimizer(optimizer, options)
    losses = []
    for _ in range(150):
        _, last, tape = layer.forward(x)
        h_n = last[0] if kind == "lstm" else last
        error = h_n[0, :, :1] - target
        losses.append(float((error**2).mean()))
        d_h = np.zeros_like(h_n)
        d_h[0, :, :1] = 2 * error / error.size
        d_last = (d_h, np.zeros_like(d_h)) if kind == "lstm" else d_h
        optimizer.step(layer, tape.backward(None, d_last))
    assert losses[-1] < losses[0] / 10, losses[::10]


@every_kind
def test_users_may_write_their_own(kind):
    """Plain gradient descent over `flat`, next to SGD."""
    p, twin = (new_problem(kind, 6, 5, F, H, dtype=np.float64) for _ in range(2))
    for _ in range(5):
        grads = p.layer.forward(p.x, p.state)[-1].backward(p.dy)
        p.layer.set_flat(p.layer.flat - 0.01 * grads.flat)
        grads = twin.layer.forward(p.x, p.state)[-1].backward(p.dy)
        gru_rs.SGD(0.01).step(twin.layer, grads)
        np.testing.assert_allclose(p.layer.flat, twin.layer.flat, rtol=0, atol=ABSOLUTE[np.float64])


# Copies and pickles -------------------------------------------------------------------------------


def there_and_back(*values):
    return pickle.loads(pickle.dumps(values))


WAYS = {
    "pickle": there_and_back,
    "deepcopy": lambda *values: copy.deepcopy(values),
    "the optimizer first": lambda layer, optimizer: there_and_back(optimizer, layer)[::-1],
    "deepcopy, the optimizer first": lambda layer, optimizer: copy.deepcopy((optimizer, layer))[::-1],
    "apart": lambda layer, optimizer: (*there_and_back(layer), *there_and_back(optimizer)),
    "copies apart": lambda layer, optimizer: (copy.deepcopy(layer), copy.deepcopy(optimizer)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("dtype", DTYPES)
@every_setting
def test_copies_go_on_bit_for_bit(optimizer, options, dtype, way):
    layer = gru_rs.GRU(F, H, dtype=dtype, seed=1)
    steps = gradients(layer.flat.size, steps=6, dtype=dtype)
    one = new_optimizer(optimizer, options)
    for g in steps[:3]:
        one.step(layer, g)
    one.lr = one.lr / 2
    again, other = way(layer, one)
    assert again is not layer
    assert repr(other) == repr(one)
    for g in steps[3:]:
        one.step(layer, g)
        other.step(again, g)
    assert again.flat.tobytes() == layer.flat.tobytes()


def test_copies_of_an_optimizer_alone_go_on_with_the_same_layer():
    """Also when its weights have changed meanwhile; and what one of them remembers the other does not."""
    for made in (copy.copy, copy.deepcopy):
        layer, twin = gru_rs.GRU(F, H, seed=1), gru_rs.GRU(F, H, seed=1)
        one, plain = gru_rs.Adam(0.01), gru_rs.Adam(0.01)
        g = gradients(layer.flat.size, steps=3)
        one.step(layer, g[0])
        plain.step(twin, g[0])
        other = made(one)
        layer.set_flat(twin.flat * 2)
        twin.set_flat(twin.flat * 2)
        other.step(layer, g[1])
        plain.step(twin, g[1])
        assert layer.flat.tobytes() == twin.flat.tobytes()
        one.step(layer, g[1])
        plain.step(twin, g[1])
        assert layer.flat.tobytes() != twin.flat.tobytes()


def test_a_layer_that_a_pickle_did_not_know_begins_anew():
    layer, other = gru_rs.GRU(F, H, seed=1), gru_rs.GRU(F, H, seed=2)
    adam, fresh = gru_rs.Adam(0.01), gru_rs.Adam(0.01)
    g = gradients(layer.flat.size, steps=2)
    adam.step(layer, g[0])
    (adam,) = there_and_back(adam)
    twin = copy.deepcopy(other)
    adam.step(other, g[1])
    fresh.step(twin, g[1])
    assert other.flat.tobytes() == twin.flat.tobytes()


@pytest.mark.parametrize("way", [lambda s: there_and_back(s)[0], copy.copy, copy.deepcopy])
def test_schedules_go_on(way):
    cosine = way(gru_rs.CosineSchedule(0.1, 10, warmup_steps=2, min_lr=0.01))
    assert repr(cosine) == "CosineSchedule(0.1, 10, warmup_steps=2, min_lr=0.01)"
    assert cosine(7) == gru_rs.CosineSchedule(0.1, 10, warmup_steps=2, min_lr=0.01)(7)
    losses = [1.0, 0.9, 0.95, 0.9, 0.91, 0.5, 0.6, 0.7, 0.8, 0.9]
    for cut in range(len(losses)):
        plateau, whole = (gru_rs.PlateauSchedule(0.1, factor=0.5, patience=1) for _ in range(2))
        rates = [plateau.step(loss) for loss in losses[:cut]]
        other = way(plateau)
        rates += [other.step(loss) for loss in losses[cut:]]
        assert rates == [whole.step(loss) for loss in losses]


def test_moments_of_another_size_are_refused():
    memory = Memory(("float32", [np.zeros(3, np.float32)], 1, (0.0, 0.0)))
    layer, rule = gru_rs.GRU(F, H), Rule.sgd(0.1, 0.9, False, 0.0)
    with pytest.raises(
        ValueError, match=rf"memory: expected 1 moments of {layer.flat.size} numbers, got \[3\]"
    ):
        rule.step(layer._core, np.zeros(layer.flat.size, np.float32), memory)

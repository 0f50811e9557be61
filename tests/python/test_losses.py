"""Losses of a model beside their formulas, and losses of one's own."""

import threading

import gru_rs
import numpy as np
import pytest
from gru_rs import BinaryCrossEntropy, HuberError, Model, SequenceRegressor, SquaredError

RNG = np.random.default_rng(5)
X = RNG.normal(size=(6, 5, 3))
LENGTHS = [5, 2, 0, 4, 1, 5]
WEIGHTS = np.array([1.0, 0.5, 2.0, 0.0, 1.0, 3.0])
EXACT = 1e-12  # of float64
SLOPE = 1e-6  # central differences in float64


def model(**options):
    return Model(3, 4, 2, dtype="float64", seed=1, **options)


def huber(off, delta):
    return np.where(abs(off) > delta, delta * (abs(off) - delta / 2), off**2 / 2)


FORMULAS = {
    "huber": (HuberError(0.3), lambda x, y: huber(x - y, 0.3)),
    "binary": (BinaryCrossEntropy(), lambda x, y: np.log1p(np.exp(x)) - x * y),
}


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "each"])
@pytest.mark.parametrize(("loss", "formula"), FORMULAS.values(), ids=FORMULAS)
def test_losses_are_their_formulas(loss, formula, pooling):
    net = model(pooling=pooling)
    scores = net.scores(X, lengths=LENGTHS)
    targets = RNG.uniform(size=scores.shape)
    rows = np.repeat(WEIGHTS, LENGTHS) if pooling == "each" else WEIGHTS
    expected = np.average(formula(scores, targets).mean(axis=1), weights=rows)
    found = net.loss(X, targets, lengths=LENGTHS, loss=loss, sample_weight=WEIGHTS)
    assert found == pytest.approx(expected, rel=EXACT)


@pytest.mark.parametrize("loss", [HuberError(0.3), BinaryCrossEntropy()], ids=repr)
def test_gradients_are_slopes(loss):
    net, targets = model(), RNG.uniform(size=(6, 2))
    _, gradient = net.loss_and_grad(X, targets, loss=loss, sample_weight=WEIGHTS)
    flat = net.flat.copy()
    for place in range(0, len(flat), 7):
        both = []
        for step in (1e-5, -1e-5):
            moved = flat.copy()
            moved[place] += step
            net.set_flat(moved)
            both.append(net.loss(X, targets, loss=loss, sample_weight=WEIGHTS))
        assert (both[0] - both[1]) / 2e-5 == pytest.approx(gradient[place], abs=SLOPE)


def test_binary_losses_stay_finite_and_exact_far_out():
    net = Model(1, 1, 2, dtype="float64", seed=1)
    flat = np.zeros(len(net.flat))
    flat[-2:] = 800.0, -800.0  # the head's biases
    net.set_flat(flat)
    targets = np.array([[1.0, 1.0]])
    loss, gradient = net.loss_and_grad(np.ones((1, 1, 1)), targets, loss=BinaryCrossEntropy())
    assert loss == 400.0
    assert gradient[-2:].tolist() == [0.0, -0.5]


def squared(scores, targets):
    off = scores - targets
    return (off**2).mean(), 2 * off / off.size


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "each"])
@pytest.mark.parametrize("options", [{}, {"dropout": 0.3, "num_layers": 2, "output_dropout": 0.2}], ids=repr)
@pytest.mark.parametrize("memory", ["full", "low"])
def test_a_loss_of_ones_own_learns_as_one_of_ours(pooling, options, memory):
    net = model(pooling=pooling, **options)
    rows = sum(LENGTHS) if pooling == "each" else 6
    targets, more = RNG.normal(size=(rows, 2)), {"lengths": LENGTHS, "seed": 3, "memory": memory}
    loss, gradient = net.loss_and_grad(X, targets, loss=SquaredError(), **more)
    own, slopes = net.loss_and_grad(X, targets, loss=squared, **more)
    assert own == pytest.approx(loss, rel=EXACT)
    np.testing.assert_allclose(slopes, gradient, atol=EXACT)
    plain = net.loss(X, targets, loss=SquaredError(), lengths=LENGTHS)
    assert net.loss(X, targets, loss=squared, lengths=LENGTHS) == pytest.approx(plain, rel=EXACT)


def test_targets_of_a_function_are_as_they_came():
    net, seen = model(pooling="each"), []

    def look(scores, targets):
        seen.append(targets)
        return 0.0, np.zeros_like(scores)

    padded = RNG.normal(size=(6, 5, 7))
    net.loss_and_grad(X, padded, loss=look, lengths=LENGTHS)
    np.testing.assert_array_equal(seen.pop(), padded[np.arange(5) < np.array(LENGTHS)[:, None]])
    anything = {"any": "thing"}
    net.loss(X, anything, loss=look)
    assert seen.pop() is anything


def test_states_go_on_behind_a_function_and_stay_where_it_fails():
    net = model()
    state, own, targets = net.state(6), net.state(6), np.zeros((6, 2))
    for call in (net.loss, net.loss_and_grad):
        call(X, targets, loss=SquaredError(), state=state)
        call(X, targets, loss=squared, state=own)
        np.testing.assert_array_equal(own, state)

        def fail(_scores, _targets):
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            call(X, targets, loss=fail, state=own)
        np.testing.assert_array_equal(own, state)


def test_a_function_that_fails_leaves_the_generator():
    nets = [model(output_dropout=0.5) for _ in range(2)]
    with pytest.raises(ZeroDivisionError):
        nets[0].loss_and_grad(X, np.zeros((6, 2)), loss=lambda *_: 1 / 0)
    one, other = (net.loss_and_grad(X, np.zeros((6, 2)), loss=squared) for net in nets)
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])


def test_a_function_may_ask_the_model_and_threads_may_share_it():
    net, targets = model(), np.zeros((6, 2))
    expected = net.loss_and_grad(X, targets, loss=squared, seed=1)[1]
    wrong = []

    def nested(scores, targets):
        net.scores(X)
        net.set_flat(net.flat)
        return squared(scores, targets)

    def ask():
        for _ in range(50):
            if not np.array_equal(net.loss_and_grad(X, targets, loss=nested, seed=1)[1], expected):
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def answer(value):
    return lambda: model().loss_and_grad(X, np.zeros((6, 2)), loss=lambda *_: value)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (answer(1.0), TypeError, r"loss: expected a function that returns \(loss, gradient\), got 1.0"),
        (answer((1.0,)), TypeError, r"loss: expected a function that returns \(loss, gradient\)"),
        (answer(("no", np.zeros((6, 2)))), TypeError, "loss: expected a number"),
        (answer((1.0, np.zeros(12))), ValueError, r"loss: expected a gradient of numbers, shape \(6, 2\)"),
        (answer((1.0, np.zeros((6, 2), complex))), ValueError, "loss: expected a gradient of numbers"),
        (answer((1.0, None)), ValueError, "loss: expected a gradient of numbers"),
        (
            lambda: model().loss(X, np.zeros((6, 2)), loss=squared, sample_weight=WEIGHTS),
            ValueError,
            "sample_weight: expected None for a function as loss",
        ),
        (
            lambda: model(pooling="each", crf=True).loss_and_grad(X, np.zeros((30, 2)), loss=squared),
            ValueError,
            "loss: expected CrossEntropy for a chain",
        ),
        (lambda: model().loss(X, [0] * 6, loss="squared"), TypeError, "loss: expected CrossEntropy"),
        (lambda: model().loss(X, [0] * 6, loss=SquaredError), TypeError, "loss: expected CrossEntropy"),
        (lambda: HuberError(0.0), ValueError, "delta: expected a positive finite number, got 0"),
        (lambda: HuberError(np.inf), ValueError, "delta: expected a positive finite number"),
        (lambda: HuberError("1"), TypeError, "delta: expected a number"),
        (
            lambda: model().loss(X, np.full((6, 2), 1.5), loss=BinaryCrossEntropy()),
            ValueError,
            "targets: expected numbers from 0 to 1, got 1.5 in row 0",
        ),
        (
            lambda: model().loss(X, np.full((6, 2), np.nan), loss=BinaryCrossEntropy()),
            ValueError,
            "targets: expected numbers from 0 to 1, got NaN in row 0",
        ),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


SEQUENCES = [RNG.normal(size=(length, 2)) for length in RNG.integers(3, 9, 60)]
SUMS = np.array([sequence[:, 0].sum() for sequence in SEQUENCES])
OPTIONS = {"hidden_size": 16, "max_iter": 40, "random_state": 1, "learning_rate_init": 0.01}


def quartic(scores, targets):
    off = scores - targets
    return (off**4).mean(), 4 * off**3 / off.size


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("pooling", ["last", "each"])
def test_a_regressor_learns_by_a_function(tmp_path, pooling, early):
    y = SUMS if pooling == "last" else [sequence.cumsum(axis=0) for sequence in SEQUENCES]
    fitted = SequenceRegressor(loss=quartic, pooling=pooling, early_stopping=early, **OPTIONS).fit(
        SEQUENCES, y
    )
    assert fitted.score(SEQUENCES, y) > 0.8
    fitted.save(tmp_path / "own.safetensors")
    with pytest.raises(ValueError, match="loss: expected the function quartic, got None"):
        gru_rs.load(tmp_path / "own.safetensors")
    again = gru_rs.load(tmp_path / "own.safetensors", loss=quartic)
    np.testing.assert_array_equal(np.concatenate(again.predict(SEQUENCES[:3]), axis=None),
                                  np.concatenate(fitted.predict(SEQUENCES[:3]), axis=None))  # fmt: skip
    again.set_params(warm_start=True, max_iter=1).fit(SEQUENCES, y)


def test_outliers_pull_less_by_huber():
    y = SUMS.copy()
    y[::10] += 100
    kept = np.arange(60) % 10 > 0
    errors = [
        abs(SequenceRegressor(**loss, **OPTIONS).fit(SEQUENCES, y).predict(SEQUENCES) - SUMS)
        for loss in ({"loss": "huber", "huber_delta": 0.1}, {"loss": "squared"})
    ]
    assert np.median(errors[0][kept]) < 0.5 * np.median(errors[1][kept])


@pytest.mark.parametrize(
    ("options", "weights", "message"),
    [
        ({"loss": quartic}, np.ones(60), "sample_weight: expected None for a function as loss"),
        ({"loss": "hubert"}, None, "loss: expected 'squared'"),
        ({"huber_delta": 0.0}, None, "huber_delta: expected a positive finite number, got 0.0"),
    ],
)
def test_parameters_of_a_regressor_are_named(options, weights, message):
    regressor = SequenceRegressor(**OPTIONS, **options)
    with pytest.raises(ValueError, match=message):
        regressor.fit(SEQUENCES, SUMS, sample_weight=weights)
    assert not hasattr(regressor, "model_")


@pytest.mark.parametrize(
    "options", [{"huber_delta": 0.5}, {"quantile": 0.9}, {"quantile": 0.9, "loss": "huber"}]
)
def test_no_part_of_another_loss_is_taken(options):
    name = next(iter(options))
    with pytest.raises(ValueError, match=f"{name}: expected .* without loss="):
        SequenceRegressor(**options).fit(SEQUENCES, SUMS)

"""The estimators: scikit-learn's own checks, each kind of input, reproducibility, early ends, files."""

import json
import os
import pickle
import signal
import struct
import threading
import warnings
from contextlib import suppress

import gru_rs
import numpy as np
import pytest
from gru_rs import SequenceClassifier, SequenceRegressor, SequenceTagger
from gru_rs.estimators.tagger import entities, labels_score
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

# A batch's loss is the mean over its rows, so a weight of 2 is not two rows in two batches; no estimator that
# is trained by mini-batches can pass this (scikit-learn excepts its own SGDClassifier). The other one trains
# on lists that happen to be of one length and wants a table of another width refused: rows have lengths.
EXPECTED = {
    "check_sample_weight_equivalence_on_dense_data": "mini-batches: a weight of 2 is not the same row twice",
    "check_classifiers_train": "lists of one length are sequences, whose length is no number of features",
}


@parametrize_with_checks(
    [SequenceClassifier(random_state=0), SequenceRegressor(random_state=0)],
    expected_failed_checks=lambda _: EXPECTED,
)
def test_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


def ragged(count=60, features=2, seed=1):
    """Sequences of 3 to 8 steps; the class is the sign of the first feature's sum, the number is the sum."""
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(rng.integers(3, 9), features)) for _ in range(count)]
    sums = np.array([sequence[:, 0].sum() for sequence in sequences])
    return sequences, sums


def small(kind, **options):
    return kind(**{"hidden_size": 12, "max_iter": 40, "random_state": 3} | options)


TEXTS = ["a fine day", "what a fine film", "a bad day", "what a bad film"] * 6
OPINIONS = ["good", "good", "bad", "bad"] * 6
SENTENCES = [["Ann", "met", "Bob"], ["Bob", "slept"], ["they", "met", "Ann"]] * 6
TAGS = [["B-PER", "O", "B-PER"], ["B-PER", "O"], ["O", "O", "B-PER"]] * 6


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
def test_ragged_numbers(cell, pooling):
    X, sums = ragged()
    classifier = small(SequenceClassifier, cell=cell, pooling=pooling, bidirectional=pooling == "mean")
    assert classifier.fit(X, sums > 0).score(X, sums > 0) > 0.9
    assert classifier.predict_proba(X[:5]).sum(axis=1) == pytest.approx(1)
    regressor = small(SequenceRegressor, cell=cell, pooling=pooling).fit(X, sums)
    assert regressor.score(X, sums) > 0.6


def test_one_sequence_in_each_form_is_one_answer():
    X, sums = ragged(features=1)
    lengths = [len(sequence) for sequence in X]
    padded = np.full((len(X), 8, 1), np.nan)
    for row, sequence in enumerate(X):
        padded[row, : len(sequence)] = sequence
    answers = [
        small(SequenceClassifier).fit(X, sums > 0).predict_proba(X),
        small(SequenceClassifier).fit([x[:, 0] for x in X], sums > 0).predict_proba(X),
        small(SequenceClassifier).fit([x[:, 0].tolist() for x in X], sums > 0).predict_proba(X),
        small(SequenceClassifier)
        .fit(padded, sums > 0, lengths=lengths)
        .predict_proba(padded, lengths=lengths),
    ]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer, answers[0])


def test_tokens_are_tokens_in_each_form():
    vocabulary = {word: number for number, word in enumerate({w for t in TEXTS for w in t.split()}, 7)}
    forms = [
        TEXTS,
        np.array(TEXTS),
        np.array(TEXTS, object),
        [text.split() for text in TEXTS],
        [[vocabulary[word] for word in text.split()] for text in TEXTS],
        [np.array(text.split()) for text in TEXTS],
    ]
    fitted = [small(SequenceClassifier).fit(form, OPINIONS) for form in forms]
    expected = fitted[0].predict_proba(TEXTS)
    for classifier, form in zip(fitted, forms, strict=True):
        np.testing.assert_array_equal(classifier.predict_proba(form), expected)
    table = np.array([[1, 2], [3, 4]] * 5)
    assert hasattr(small(SequenceClassifier, tokens=True).fit(table, [0, 1] * 5), "vocabulary_")
    assert not hasattr(small(SequenceClassifier).fit(table, [0, 1] * 5), "vocabulary_")
    numbers = small(SequenceClassifier, tokens=False).fit(table.tolist(), [0, 1] * 5)
    assert not hasattr(numbers, "vocabulary_")


def test_vocabulary():
    classifier = SequenceClassifier(min_frequency=2, max_vocabulary=4, max_iter=1)
    classifier.fit(["A b c", "a b c", "a! b d"], [0, 1, 0])
    assert classifier.vocabulary_ == {"a": 1, "b": 2, "c": 3}
    assert np.isfinite(classifier.predict_proba(["never seen", ""])).all()
    characters = SequenceClassifier(analyzer="char", lowercase=False, max_iter=1).fit(["Ab", "b"], [0, 1])
    assert characters.vocabulary_ == {"b": 1, "A": 2}
    own = SequenceClassifier(analyzer=lambda text: text.split("-"), max_iter=1).fit(["x-y", "y"], [0, 1])
    assert own.vocabulary_ == {"y": 1, "x": 2}
    cut = SequenceClassifier(max_length=1, max_iter=1).fit(["x y", "y"], [0, 1])
    np.testing.assert_array_equal(cut.predict_proba(["x y z"]), cut.predict_proba(["x"]))


@pytest.mark.parametrize("crf", [True, False])
def test_tagger(crf):
    tagger = small(SequenceTagger, crf=crf).fit(SENTENCES, TAGS)
    assert tagger.score(SENTENCES, TAGS) == 1.0
    assert [len(path) for path in tagger.predict([["Ann"], [], ["Bob", "met", "nobody", "."]])] == [1, 0, 4]
    X, _ = ragged()
    steps = [np.where(sequence[:, 0] > 0, "up", "down") for sequence in X]
    assert small(SequenceTagger, crf=crf).fit(X, steps).score(X, steps) > 0.9


def test_a_tagger_labels_what_training_cuts():
    tagger = small(SequenceTagger, max_length=2).fit(SENTENCES, TAGS)
    assert [len(path) for path in tagger.predict(SENTENCES[:3])] == [3, 2, 3]
    assert 0 <= tagger.score(SENTENCES, TAGS) <= 1
    X, _ = ragged()
    steps = [np.where(sequence[:, 0] > 0, "up", "down") for sequence in X]
    assert [len(path) for path in small(SequenceTagger, max_length=2).fit(X, steps).predict(X)] == [
        *map(len, X)
    ]


def test_features_of_tokens():
    """A name that was never seen is known by its capital, and by its end."""
    unseen = [["Eve", "met", "Dan"], ["Dan", "slept"]]
    tagger = small(SequenceTagger).fit(SENTENCES, TAGS)
    assert [path.tolist() for path in tagger.predict(unseen)] == [["B-PER", "O", "B-PER"], ["B-PER", "O"]]
    assert ("shape", "Xx") in tagger.vocabulary_
    plain = small(SequenceTagger, token_features=None).fit(SENTENCES, TAGS)
    assert set(plain.vocabulary_) == {"Ann", "met", "Bob", "slept", "they"}
    small_letters = small(SequenceTagger, token_features=None, lowercase=True, max_iter=1).fit(
        SENTENCES, TAGS
    )
    assert set(small_letters.vocabulary_) == {"ann", "met", "bob", "slept", "they"}
    own = small(SequenceTagger, token_features=lambda token: (token, len(token))).fit(SENTENCES, TAGS)
    assert own.score(SENTENCES, TAGS) == 1
    with pytest.raises(ValueError, match="token_features: expected 1 features of each token, got 2 of 'bb'"):
        SequenceClassifier(token_features=tuple).fit([["a"], ["bb"]], [0, 1])


def test_entities():
    assert entities(["B-A", "I-A", "B-A", "I-B", "O", "I-B"]) == {
        ("A", 0, 2),
        ("A", 2, 3),
        ("B", 3, 4),
        ("B", 5, 6),
    }
    assert entities([]) == set()
    assert entities(["B-A", "I-A", "E-A", "E-A", "S-A", "I-A", "O"]) == {
        ("A", 0, 3),
        ("A", 3, 4),
        ("A", 4, 5),
        ("A", 5, 6),
    }
    assert entities(["U-A", "B-A", "L-A", "I-B", "L-A"]) == {
        ("A", 0, 1),
        ("A", 1, 3),
        ("B", 3, 4),
        ("A", 4, 5),
    }


SCHEMES = {
    "IOB": ("B-A", "I-A", "I-A", "B-A"),
    "IOBES": ("B-A", "I-A", "E-A", "S-A"),
    "BILOU": ("B-A", "I-A", "L-A", "U-A"),
}


@pytest.mark.parametrize("labels", SCHEMES.values(), ids=SCHEMES)
def test_all_schemes_are_scored_by_entities(labels):
    begin, inside, end, alone = labels
    truth = [np.array([begin, inside, end, "O", alone, "O"])]
    found = [np.array([begin, inside, "O", "O", alone, "O"])]
    assert labels_score(truth, truth) == 1
    assert labels_score(truth, found) == 0.5
    # Letters of no scheme are labels as any others.
    others = [np.array(["S-Bahn", "U-Bahn"])]
    assert labels_score(others, [np.array(["S-Bahn", "S-Bahn"])]) == 0.5


def test_labels_of_steps_count_by_their_class():
    rng = np.random.default_rng(1)
    X = [rng.normal(size=(9, 2)) for _ in range(40)]
    y = [np.where(x[:, 0] + rng.normal(size=9) > 1.5, "rare", "common") for x in X]
    options = {"crf": False, "max_iter": 15, "token_features": None, "output_dropout": 0.0}
    shares = [
        np.mean(
            np.concatenate(small(SequenceTagger, class_weight=weight, **options).fit(X, y).predict(X))
            == "rare"
        )
        for weight in (None, "balanced", {"rare": 50.0})
    ]
    assert shares[0] < shares[1] < shares[2]
    # The mean over an epoch is that over all steps, each as heavy as its label.
    still = options | {"max_iter": 1, "learning_rate_init": 1e-12, "batch_size": 7}
    tagger = small(SequenceTagger, class_weight={"rare": 50.0}, **still).fit(X, y)
    x = np.array(tagger._reader.read(tagger, X, None, None).batch(np.arange(40))[0])
    heavy = gru_rs.CrossEntropy([1.0, 50.0])
    expected = tagger.model_.loss(x, np.searchsorted(["common", "rare"], np.concatenate(y)), loss=heavy)
    assert tagger.loss_curve_[0] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(
        ValueError, match=r"class_weight: expected None with a chain \(crf=True\), got 'balanced'"
    ):
        small(SequenceTagger, class_weight="balanced").fit(X, y)
    with pytest.raises(ValueError, match="nonsense"):
        small(SequenceTagger, class_weight="nonsense", **options).fit(X, y)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_the_same_seed_gives_the_same_bits(early_stopping):
    X, sums = ragged()
    options = {
        "dropout": 0.2,
        "num_layers": 2,
        "input_dropout": 0.2,
        "early_stopping": early_stopping,
        "max_iter": 4,
    }
    flats = [
        small(SequenceClassifier, random_state=seed, **options).fit(X, sums > 0).model_.flat
        for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(flats[0], flats[1])
    assert not np.array_equal(flats[0], flats[2])


def test_early_stopping_keeps_the_best_weights():
    X, sums = ragged(200)
    y = (sums > 0) ^ (np.random.default_rng(0).random(200) < 0.2)
    how = {"early_stopping": True, "learning_rate": "constant"}  # whatever max_iter is
    classifier = small(SequenceClassifier, n_iter_no_change=3, max_iter=200, **how).fit(X, y)
    assert classifier.n_iter_ < 200
    assert classifier.best_validation_score_ == max(classifier.validation_scores_)
    assert len(classifier.validation_scores_) == classifier.n_iter_ == len(classifier.loss_curve_)
    best = int(np.argmax(classifier.validation_scores_))
    again = small(SequenceClassifier, n_iter_no_change=300, max_iter=best + 1, **how).fit(X, y)
    np.testing.assert_array_equal(classifier.model_.flat, again.model_.flat)


def test_partial_fit_and_warm_start_go_on():
    X, sums = ragged()
    y = np.where(sums > 0, "up", "down")
    classifier = small(SequenceClassifier)
    for _ in range(40):
        classifier.partial_fit(X, y, classes=["up", "down", "other"])
    assert classifier.classes_.tolist() == ["down", "other", "up"]
    assert classifier.score(X, y) > 0.9
    with pytest.raises(ValueError, match="classes: expected"):
        classifier.partial_fit(X, y, classes=["up"])
    with pytest.raises(ValueError, match="y: expected classes"):
        classifier.partial_fit(X[:1], ["sideways"])
    warm = small(SequenceRegressor, warm_start=True, max_iter=2)
    losses = [warm.fit(X, sums).loss_curve_[-1] for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert warm.n_iter_ == 10


def test_each_fit_keeps_its_own_best_weights():
    X, sums = ragged()
    warm = small(SequenceClassifier, warm_start=True, early_stopping=True, max_iter=5)
    for draw in range(3):  # on the same rows the best of all runs counts
        found = warm.fit(X[draw:], sums[draw:] > 0).validation_scores_
        assert warm.best_validation_score_ == max(found[-5:])
        assert len(found) == 5 * (draw + 1)


def test_weights_of_samples_and_classes():
    X, sums = ragged()
    y = sums > 0
    wrong = y.copy()
    wrong[::3] ^= True
    weights = np.ones(len(y))
    weights[::3] = 0
    assert small(SequenceClassifier).fit(X, wrong, sample_weight=weights).score(X, y) > 0.9
    rare = np.concatenate([np.flatnonzero(y), np.flatnonzero(~y)[:3]])
    options = {"max_iter": 10, "hidden_size": 4}
    some = [X[row] for row in rare]
    plain = small(SequenceClassifier, **options).fit(some, y[rare]).predict_proba(X)[:, 0]
    balanced = small(SequenceClassifier, class_weight="balanced", **options).fit(some, y[rare])
    assert balanced.predict_proba(X)[:, 0].mean() > plain.mean()
    small(SequenceClassifier, class_weight={False: 2.0, True: 1.0}, max_iter=1).fit(X, y)


def test_losses():
    X, sums = ragged(200)
    quantiles = [
        small(SequenceRegressor, loss="quantile", quantile=level, max_iter=60, output_dropout=0.0)
        .fit(X, sums)
        .predict(X)
        for level in (0.1, 0.9)
    ]
    inside = np.mean((quantiles[0] < sums) & (sums < quantiles[1]))
    assert 0.6 < inside < 0.98
    both = np.stack([sums, -sums], axis=1)
    regressor = small(SequenceRegressor, loss="absolute").fit(X, both)
    assert regressor.predict(X).shape == both.shape
    assert regressor.score(X, both) > 0.6


@pytest.mark.parametrize("learning_rate", ["constant", "cosine", "plateau"])
def test_schedules(learning_rate):
    X, sums = ragged()
    rates = []
    classifier = small(
        SequenceClassifier,
        learning_rate=learning_rate,
        warmup_fraction=0.1,
        max_iter=10,
        callbacks=[lambda info: rates.append(info.estimator._optimizer.lr)],
    ).fit(X, sums > 0)
    assert np.isfinite(classifier.loss_curve_).all()
    if learning_rate == "cosine":
        assert max(rates) == pytest.approx(3e-3)
        assert rates[-1] < 1e-4
    else:
        assert rates[0] == 3e-3


def test_callbacks_see_and_end_training():
    X, sums = ragged()
    seen = []

    def watch(info):
        seen.append((info.event, info.epoch, info.batch))
        return info.event == "epoch" and info.epoch == 1

    classifier = small(SequenceClassifier, batch_size=30, callbacks=[watch]).fit(X, sums > 0)
    assert seen == [
        ("batch", 0, 0),
        ("batch", 0, 1),
        ("epoch", 0, 2),
        ("batch", 1, 0),
        ("batch", 1, 1),
        ("epoch", 1, 2),
    ]
    assert classifier.n_iter_ == 2


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="Windows cannot send itself SIGINT")
@pytest.mark.usefixtures("hears_ctrl_c")
def test_interrupt_keeps_the_model():
    X, sums = ragged()
    timer = threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT))
    how = {"n_iter_no_change": 10**6, "early_stopping": True, "learning_rate": "constant"}
    classifier = small(SequenceClassifier, max_iter=10**6, **how)
    timer.start()
    with pytest.warns(UserWarning, match=r"Ctrl-C.*best epoch"):
        classifier.fit(X, sums > 0)
    assert 0 < classifier.n_iter_ < 10**6
    assert classifier.best_validation_score_ == max(classifier.validation_scores_)
    again = small(SequenceClassifier, **how)
    again.max_iter = int(np.argmax(classifier.validation_scores_)) + 1
    np.testing.assert_array_equal(classifier.model_.flat, again.fit(X, sums > 0).model_.flat)


def test_inside_scikit_learn():
    X, sums = ragged()
    y = sums > 0
    assert cross_val_score(small(SequenceClassifier), X, y, cv=3).mean() > 0.7
    search = GridSearchCV(small(SequenceClassifier, max_iter=5), {"hidden_size": [4, 8]}, cv=2).fit(X, y)
    assert search.best_params_["hidden_size"] in (4, 8)
    doubled = FunctionTransformer(lambda sequences: [2 * sequence for sequence in sequences])
    assert make_pipeline(doubled, small(SequenceClassifier)).fit(X, y).score(X, y) > 0.9
    assert clone(small(SequenceClassifier, hidden_size=7)).hidden_size == 7


FITTED = {
    "classifier of text": lambda: (small(SequenceClassifier, max_iter=3).fit(TEXTS, OPINIONS), TEXTS),
    "classifier of numbers": lambda: (small(SequenceClassifier, max_iter=3).fit(*_signs()), ragged()[0]),
    "regressor": lambda: (small(SequenceRegressor, max_iter=3, dtype="float64").fit(*ragged()), ragged()[0]),
    "tagger": lambda: (small(SequenceTagger, max_iter=3).fit(SENTENCES, TAGS), SENTENCES),
}


def _signs():
    X, sums = ragged()
    return X, np.sign(sums).astype(int)


@pytest.mark.parametrize("name", FITTED)
def test_files_and_pickles_keep_the_bits(name, tmp_path):
    estimator, X = FITTED[name]()
    path = tmp_path / "model.safetensors"
    estimator.save(path)
    for again in (gru_rs.load(path), type(estimator).load(path), pickle.loads(pickle.dumps(estimator))):
        assert type(again) is type(estimator)
        assert again.get_params() == estimator.get_params()
        np.testing.assert_array_equal(again.model_.flat, estimator.model_.flat)
        for a, b in zip(again.predict(X), estimator.predict(X), strict=True):
            np.testing.assert_array_equal(a, b)
        assert again.loss_curve_ == estimator.loss_curve_
        again.partial_fit(X, estimator.predict(X))
        assert again.n_iter_ == estimator.n_iter_ + 1
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_plain_safetensors(tmp_path):
    from safetensors.numpy import load_file

    estimator, _ = FITTED["tagger"]()
    estimator.save(tmp_path / "m")
    tensors = load_file(tmp_path / "m")
    assert {"embedding.weight", "rnn.weight_ih_l0", "head.weight", "crf.transitions"} <= set(tensors)
    np.testing.assert_array_equal(tensors["head.bias"], estimator.model_.params["head.bias"])


def test_what_a_file_cannot_hold(tmp_path):
    own = SequenceClassifier(analyzer=str.split, max_iter=1).fit(TEXTS, OPINIONS)
    own.save(tmp_path / "own")
    with pytest.raises(ValueError, match="analyzer: expected the function"):
        gru_rs.load(tmp_path / "own")
    with pytest.raises(ValueError, match="token_features: expected none, as it was no function"):
        gru_rs.load(tmp_path / "own", analyzer=str.split, token_features=str)
    again = gru_rs.load(tmp_path / "own", analyzer=str.split)
    np.testing.assert_array_equal(again.predict_proba(TEXTS), own.predict_proba(TEXTS))
    drawn = SequenceClassifier(random_state=np.random.RandomState(0), max_iter=1).fit(TEXTS, OPINIONS)
    with pytest.raises(TypeError, match="random_state: expected a value that can be saved"):
        drawn.save(tmp_path / "drawn")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]
    with pytest.raises(ValueError, match="expected a SequenceTagger, got a SequenceClassifier"):
        SequenceTagger.load(tmp_path / "own", analyzer=str.split)


def rewrite(path, change):
    """The file with another header."""
    data = path.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    outer = json.loads(data[8 : 8 + size])
    inner = json.loads(outer["__metadata__"]["gru_rs"])
    del inner["checksum"]  # of what it was
    change(inner)
    outer["__metadata__"] = {"gru_rs": json.dumps(inner)}
    text = json.dumps(outer).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size :])


def sized(header, **sizes):
    """Both say it, the parameters and the network."""
    header["model"].update(sizes)
    header["parameters"].update(sizes)


HOSTILE = {
    "a later version": (lambda h: h.update(format_version=2), "format version 1, got 2"),
    "another class": (lambda h: h.update(estimator="os.system"), "estimator: expected one of"),
    "no class": (lambda h: h.pop("estimator"), "got no estimator"),
    "large": (lambda h: sized(h, hidden_size=10**5), "weights: expected"),
    "huge": (lambda h: sized(h, hidden_size=10**9), "cannot be used"),
    "deep": (lambda h: sized(h, num_layers=10**9), "num_layers: expected no more"),
    "of another size than its parameters": (
        lambda h: h["model"].update(hidden_size=13),
        "hidden_size: expected a network with 12, as the parameters and what was learnt say, got one with 13",
    ),
    "overflowing": (lambda h: h["model"].update(hidden_size=2**62), "cannot be used"),
    "negative": (lambda h: h["model"].update(hidden_size=-1), "cannot be used"),
    "unknown option": (lambda h: h["parameters"].update(colour=1), "colour"),
    "wrong kind": (lambda h: h["model"].update(cell="rnn"), "cell: expected"),
    "a method": (
        lambda h: h["learnt"].update(predict=1),
        "expected no attribute that the class does not have",
    ),
    "objects": (lambda h: h["learnt"].update(classes_={"array": [], "dtype": "V8"}), "dtype"),
    "not a table": (lambda h: h.update(model=3), "cannot be used"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(name, tmp_path):
    path = tmp_path / "model"
    FITTED["classifier of text"]()[0].save(path)
    change, message = HOSTILE[name]
    rewrite(path, change)
    with pytest.raises(ValueError, match=message) as caught:
        gru_rs.load(path)
    assert str(path) in str(caught.value)


def test_broken_files(tmp_path):
    path = tmp_path / "model"
    FITTED["classifier of text"]()[0].save(path)
    whole = path.read_bytes()
    for size in (0, 4, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="expected a whole safetensors file"):
            gru_rs.load(path)
    rng = np.random.default_rng(0)
    for _ in range(200):
        broken = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            broken[place] = rng.integers(256)
        path.write_bytes(broken)
        with suppress(ValueError):  # and nothing else
            gru_rs.load(path)
    with pytest.raises(FileNotFoundError):
        gru_rs.load(tmp_path / "none")
    with pytest.raises(OSError, match=r"Is a directory|Permission denied"):
        gru_rs.load(tmp_path)
    from safetensors.numpy import save_file

    save_file({"w": np.ones(2)}, path)
    with pytest.raises(ValueError, match="without its metadata"):
        gru_rs.load(path)


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "model"
    estimator, _ = FITTED["classifier of text"]()
    estimator.save(path)
    before = path.read_bytes()
    estimator.random_state = np.random.RandomState(0)
    with pytest.raises(TypeError):
        estimator.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        FITTED["classifier of text"]()[0].save(tmp_path / "no" / "folder")


X3, Y3 = [[1.0, 2.0], [3.0], [4.0]], [0, 1, 0]
MISTAKES = [
    (lambda: SequenceClassifier(cell="rnn").fit(X3, Y3), "cell: expected 'gru' or 'lstm', got 'rnn'"),
    (lambda: SequenceClassifier(hidden_size=0).fit(X3, Y3), "hidden_size: expected a positive integer"),
    (lambda: SequenceClassifier(dropout=1.5).fit(X3, Y3), "dropout: expected"),
    (lambda: SequenceClassifier(pooling="sum").fit(X3, Y3), "pooling: expected"),
    (lambda: SequenceClassifier(batch_size=0).fit(X3, Y3), "batch_size: expected a positive integer"),
    (lambda: SequenceClassifier(clip_norm=0).fit(X3, Y3), "clip_norm: expected a positive number"),
    (lambda: SequenceClassifier(learning_rate="fast").fit(X3, Y3), "learning_rate: expected"),
    (lambda: SequenceClassifier(learning_rate_init=-1.0).fit(X3, Y3), "lr: expected"),
    (lambda: SequenceClassifier(validation_fraction=0.0).fit(X3, Y3), "validation_fraction: expected"),
    (lambda: SequenceClassifier(analyzer="syllable").fit(["a"], [0]), "analyzer: expected"),
    (
        lambda: SequenceTagger(token_features="stem").fit([["a"]], [["x"]]),
        "token_features: expected 'spelling'",
    ),
    (lambda: SequenceClassifier(min_frequency=0).fit(["a"], [0]), "min_frequency: expected"),
    (lambda: SequenceClassifier(label_smoothing=1.0).fit(X3, Y3), "label_smoothing: expected"),
    (lambda: SequenceClassifier().fit([], []), "X: expected at least one sequence, got none"),
    (lambda: SequenceClassifier().fit(X3, Y3[:2]), "y: expected 3 values"),
    (lambda: SequenceClassifier().fit([[1.0], [float("nan")]], [0, 1]), "NaN"),
    (lambda: SequenceClassifier().fit([np.ones((2, 2)), np.ones((2, 3))], [0, 1]), "row 1, got shape"),
    (lambda: SequenceClassifier().fit(np.ones((2, 2, 2, 2)), [0, 1]), "X: expected"),
    (lambda: SequenceClassifier().fit(np.ones((2, 3, 1)), [0, 1], lengths=[1, 4]), "lengths: expected"),
    (lambda: SequenceClassifier().fit(["a", 3], [0, 1]), "X: expected a text or a sequence in row 1"),
    (lambda: SequenceClassifier().fit([["a"], [2.5]], [0, 1]), "got strings in row 0 and numbers in row 1"),
    (lambda: SequenceClassifier().fit(X3, Y3).predict(["a"]), "X"),
    (lambda: SequenceClassifier().fit(["a", "b"], [0, 1]).predict(X3), "strings or integers"),
    (lambda: SequenceClassifier().fit(X3, Y3).predict([np.ones((2, 5))]), "expected 1 features a step"),
    (lambda: SequenceRegressor(loss="cubic").fit(X3, Y3), "loss: expected"),
    (lambda: SequenceRegressor(quantile=1.0).fit(X3, Y3), "quantile: expected"),
    (lambda: SequenceRegressor().fit(X3, np.arange(len(X3)) * 1e160), "y: expected numbers whose squares"),
    (lambda: SequenceRegressor().fit(X3, np.arange(len(X3)) * 1e-170), "y: expected numbers whose squares"),
    (lambda: SequenceRegressor().fit(X3, [1.0, np.inf, 2.0]), "y contains infinity"),
    (lambda: SequenceTagger().fit([["a", "b"]], [["x"]]), "y: expected 2 labels in row 0"),
    (lambda: SequenceTagger().fit([["a"]], [["x"], ["y"]]), "y: expected 1 values"),
]


@pytest.mark.parametrize("case", range(len(MISTAKES)))
def test_mistakes_are_named(case):
    call, message = MISTAKES[case]
    with pytest.raises((ValueError, TypeError), match=message.replace("(", r"\(")):
        call()


def test_without_scikit_learn(monkeypatch):
    import builtins
    import sys

    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.partition(".")[0] == "sklearn":
            raise ModuleNotFoundError("No module named 'sklearn'", name="sklearn")
        return real(name, *arguments, **options)

    for name in [name for name in sys.modules if name.startswith("gru_rs.estimators")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        ImportError, match=r"gru_rs.SequenceClassifier needs sklearn: pip install 'gru-rs\[sklearn\]'"
    ):
        _ = gru_rs.SequenceClassifier

"""Several labels for a sequence that do not exclude each other."""

import gru_rs
import numpy as np
import pytest
from gru_rs import SequenceClassifier

WORDS = np.array(["good", "cheap", "late", "film", "the", "a"])
RNG = np.random.default_rng(3)
TEXTS = [" ".join(RNG.permutation(WORDS)[: RNG.integers(1, 6)]) for _ in range(200)]
LABELS = np.array([[word in text.split() for word in WORDS[:3]] for text in TEXTS], int)
OPTIONS = {
    "hidden_size": 12,
    "bidirectional": False,
    "embedding_size": 8,
    "max_iter": 25,
    "random_state": 1,
    "learning_rate_init": 0.02,
}


@pytest.fixture(scope="module")
def fitted():
    return SequenceClassifier(**OPTIONS).fit(TEXTS[:150], LABELS[:150])


def test_labels_are_learnt_each_by_itself(fitted):
    assert fitted.multilabel_
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert fitted.score(TEXTS[150:], LABELS[150:]) > 0.9
    probable = fitted.predict_proba(TEXTS)
    assert probable.shape == (200, 3)
    assert ((probable > 0) & (probable < 1)).all()
    assert not np.allclose(probable.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted.predict(TEXTS), probable > 0.5)
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(TEXTS)), probable, rtol=1e-5)
    scores = fitted.model_.scores(*fitted._reader.read(fitted, TEXTS, None, None).batch(np.arange(3))[:1])
    assert scores.shape == (3, 3)
    assert fitted.predict([]).shape == (0, 3)


FORMS = {
    "bool": LABELS.astype(bool),
    "float": LABELS.astype(float),
    "lists": LABELS.tolist(),
    "rows": list(LABELS),
}


@pytest.mark.parametrize("y", FORMS.values(), ids=FORMS)
def test_containers_of_labels_say_the_same(fitted, y):
    other = SequenceClassifier(**OPTIONS).fit(TEXTS[:150], y[:150])
    np.testing.assert_array_equal(other.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    assert other.score(TEXTS, y) == fitted.score(TEXTS, LABELS)


def test_a_frame_has_a_column_for_each_label(fitted):
    frame = pytest.importorskip("pandas").DataFrame(LABELS, columns=list(WORDS[:3]))
    other = SequenceClassifier(**OPTIONS).fit(TEXTS[:150], frame[:150])
    np.testing.assert_array_equal(other.predict_proba(TEXTS), fitted.predict_proba(TEXTS))


def test_files_streams_and_quantized_weights_know(fitted, tmp_path):
    fitted.save(tmp_path / "several.safetensors")
    again = gru_rs.load(tmp_path / "several.safetensors")
    np.testing.assert_array_equal(again.predict_proba(TEXTS), fitted.predict_proba(TEXTS))
    assert again.multilabel_
    again.set_params(warm_start=True, max_iter=1).fit(TEXTS, LABELS)
    stream = fitted.stream()
    np.testing.assert_array_equal(stream(TEXTS[0])[-1], fitted.predict_proba(TEXTS[:1])[0])
    assert (fitted.quantize("int8").predict(TEXTS) == fitted.predict(TEXTS)).mean() > 0.95


def test_training_takes_weights_smoothing_parts_and_held_out_rows():
    options = OPTIONS | {"max_iter": 8}
    weighted = SequenceClassifier(**options).fit(TEXTS, LABELS, sample_weight=np.repeat([1.0, 0.0], 100))
    first = SequenceClassifier(**options).fit(TEXTS[:100], LABELS[:100])
    assert weighted.score(TEXTS, LABELS) > 0
    assert weighted.loss_curve_[0] != first.loss_curve_[0]
    smooth = SequenceClassifier(**options, label_smoothing=0.4).fit(TEXTS, LABELS)
    sharp = SequenceClassifier(**options).fit(TEXTS, LABELS)
    spread = [abs(one.predict_proba(TEXTS) - 0.5).mean() for one in (smooth, sharp)]
    assert spread[0] < 0.8 * spread[1]
    early = SequenceClassifier(**options, early_stopping=True).fit(TEXTS, LABELS)
    assert 0 <= early.best_validation_score_ <= 1
    parts = SequenceClassifier(**options)
    for _ in range(8):
        parts.partial_fit(TEXTS, LABELS, classes=[0, 1, 2])
    assert parts.score(TEXTS, LABELS) > 0.5


def fit(y, **options):
    return lambda: SequenceClassifier(**OPTIONS | {"max_iter": 1} | options).fit(TEXTS[: len(y)], y)


def refit(before, after):
    def call():
        warm = SequenceClassifier(**OPTIONS | {"max_iter": 1}, warm_start=True).fit(TEXTS, before)
        warm.fit(TEXTS, after)

    return call


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (fit(LABELS + 1), "y: expected 0 or 1 for each of 3 labels, got 2"),
        (fit(LABELS.astype(str)), "y: expected 0 or 1 for each of 3 labels, got '"),
        (fit(LABELS[:, :, np.newaxis].repeat(2, axis=2)), "y"),
        (fit(LABELS, class_weight="balanced"), "class_weight: expected None for several labels"),
        (refit(LABELS, LABELS[:, :2]), "y: expected the 3 labels"),
        (refit(LABELS, LABELS[:, 0]), r"y: expected several labels for each, \(n, n_labels\), as before"),
        (refit(LABELS[:, 0], LABELS), r"y: expected a class for each sequence, \(n,\), as before"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

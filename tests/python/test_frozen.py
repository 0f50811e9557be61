"""Parts of a network that training leaves as they are, to the bit, in every estimator."""

import gru_rs
import numpy as np
import pytest
from gru_rs import LanguageModel, Seq2Seq, SequenceClassifier, SequenceRegressor, SequenceTagger

OPTIONS = {"hidden_size": 4, "max_iter": 2, "random_state": 1}
SPACED = ["a good day", "what a good film", "a bad day", "what a bad film"] * 4
OPINIONS = ["good", "good", "bad", "bad"] * 4


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(
    "frozen", [["embedding"], ["rnn"], ("head.bias", "rnn.weight_hh_l0"), ["crf", "head"]]
)
def test_frozen_parts_keep_their_bits(cell, frozen):
    words = [text.split() for text in SPACED]
    options = OPTIONS | {"max_iter": 1, "weight_decay": 0.1, "cell": cell, "warm_start": True}
    tagger = SequenceTagger(**options).fit(words, words)
    before = tagger.model_.state_dict()
    # Its moments are not zero.
    tagger.set_params(frozen=frozen).fit(words, words)
    for name, value in tagger.model_.params.items():
        still = any(name == one or name.startswith(f"{one}.") for one in frozen)
        assert np.array_equal(value, before[name]) == still, name


@pytest.mark.parametrize(
    ("make", "X", "y", "frozen"),
    [
        (SequenceClassifier, np.ones((8, 3, 2)), [0, 1] * 4, "rnn"),
        (SequenceRegressor, SPACED, np.arange(16.0), "embedding"),
        (Seq2Seq, SPACED, SPACED, "encoder"),
        (Seq2Seq, SPACED, SPACED, "target"),
        (LanguageModel, SPACED, None, "embedding"),
        (gru_rs.Transcriber, np.ones((8, 6, 2)), ["ab", "b"] * 4, "head"),
        (gru_rs.Forecaster, np.sin(np.arange(60.0)), None, "rnn"),
    ],
)
def test_every_estimator_freezes(make, X, y, frozen):
    fit = {} if y is None else {"y": y}
    more = {"horizon": 2, "window": 6} if make is gru_rs.Forecaster else {}
    estimator = make(**OPTIONS, **more, frozen=[frozen], weight_decay=0.1, learning_rate_init=0.01)
    fresh = make(**OPTIONS, **more, frozen=[frozen], learning_rate_init=0.0).fit(X, **fit)
    estimator.fit(X, **fit)
    for name, value in estimator.model_.params.items():
        moved = not np.array_equal(value, fresh.model_.params[name])
        assert moved == (not name.startswith(f"{frozen}.")), name


def test_what_is_frozen_does_not_count_in_a_norm():
    norms = {}
    for frozen in ((), ("embedding", "rnn")):
        found = []
        SequenceClassifier(
            **OPTIONS,
            frozen=frozen,
            callbacks=lambda info, found=found: found.append(info.gradient_norm) and None,
        ).fit(SPACED, OPINIONS)
        norms[frozen] = found[0]
    assert 0 < norms["embedding", "rnn"] < norms[()]


@pytest.mark.parametrize(
    ("frozen", "kind", "message"),
    [
        ("embedding", TypeError, "frozen: expected a list of names, such as .'embedding',., got 'embedding'"),
        ([1], TypeError, "frozen: expected a list of names"),
        (["stem"], ValueError, "frozen: expected parts .'embedding', 'rnn', 'head'., or names of parameters"),
        (["embed"], ValueError, "got 'embed'"),
        (["embedding", "rnn", "head"], ValueError, "frozen: expected at least one parameter that is trained"),
    ],
)
def test_what_cannot_be_frozen(frozen, kind, message):
    classifier = SequenceClassifier(**OPTIONS, frozen=frozen)
    with pytest.raises(kind, match=message):
        classifier.fit(SPACED, OPINIONS)
    assert not hasattr(classifier, "model_")


def test_a_file_says_what_is_frozen(tmp_path):
    found = SequenceClassifier(**OPTIONS, frozen=("embedding",), warm_start=True).fit(SPACED, OPINIONS)
    found.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model")
    assert again.frozen == ("embedding",)
    before = again.model_.params["embedding.weight"].copy()
    again.fit(SPACED, OPINIONS)
    assert np.array_equal(again.model_.params["embedding.weight"], before)

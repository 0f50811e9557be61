"""Tokenizers of Hugging Face's package `tokenizers` in the place of an analyzer: what they encode is learnt,
and what they decode is the text.
"""

import pickle

import gru_rs
import numpy as np
import pytest
from gru_rs import LanguageModel, Seq2Seq, SequenceClassifier
from sklearn.base import clone
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

TEXTS = ["It's fine, thanks.", "No (it  isn't).", "Ann-Marie and Bob's dog!", "naïve — 日本語 👍"]
ASKED = ["how", "is it", "whose dog", "what"]
OPTIONS = {"hidden_size": 48, "learning_rate_init": 0.01, "random_state": 1}


def bytes_in_pairs(texts):
    """Loses nothing, and knows any text; a character may be several tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def marked_spaces(texts):
    """Its decoder takes the space before the first word away."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, unk_token="<unk>", special_tokens=["<unk>"], show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


MAKERS = [bytes_in_pairs, marked_spaces]


@pytest.mark.parametrize("make", MAKERS)
def test_targets_are_encoded_and_decoded(make, tmp_path):
    tokenizer = make(TEXTS)
    functions = {"analyzer": tokenizer, "target_analyzer": tokenizer}
    model = clone(Seq2Seq(max_iter=80, batch_size=4, **functions, **OPTIONS)).fit(ASKED * 4, TEXTS * 4)
    assert set(model.target_vocabulary_) <= set(tokenizer.get_vocab())
    expected = [tokenizer.decode(tokenizer.encode(text).ids) for text in TEXTS]
    assert model.predict(ASKED) == expected
    assert make is not bytes_in_pairs or expected == TEXTS
    assert model.score(ASKED, TEXTS) == 1
    assert all(len({guess.target for guess in row}) == len(row) for row in model.predict_beam(ASKED))
    model.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model", **functions)
    for other in (again, pickle.loads(pickle.dumps(model))):
        assert other.predict(ASKED) == expected
        np.testing.assert_array_equal(other.log_likelihood(ASKED, TEXTS), model.log_likelihood(ASKED, TEXTS))
    with pytest.raises(ValueError, match="target_analyzer: expected the function Tokenizer, got None"):
        gru_rs.load(tmp_path / "model", analyzer=tokenizer)
    with pytest.raises(ValueError, match="analyzer: expected the function Tokenizer, got 'word'"):
        gru_rs.load(tmp_path / "model", analyzer="word", target_analyzer=tokenizer)
    strange = gru_rs.load(tmp_path / "model", analyzer=tokenizer, target_analyzer=make(["xyz zyx"]))
    if make is marked_spaces:
        with pytest.raises(
            ValueError, match="tokens: expected those that the tokenizer of training had, got"
        ):
            strange.predict(ASKED)


@pytest.mark.parametrize("make", MAKERS)
def test_what_is_drawn_is_decoded(make, tmp_path):
    tokenizer = make(TEXTS)
    model = LanguageModel(analyzer=tokenizer, max_iter=120, batch_size=4, **OPTIONS).fit(TEXTS * 4)
    expected = [tokenizer.decode(tokenizer.encode(text).ids) for text in TEXTS]
    for text in expected:
        begin = text[: text.index(" ")]
        assert model.generate(begin, temperature=0) == text
        pieces = list(model.stream(begin, temperature=0))
        assert begin + "".join(pieces) == text
        assert "" not in pieces
        # A character whose bytes are several tokens comes in one piece.
        assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    assert model.generate("", temperature=0) in expected
    cut = model.generate("naïve —", temperature=0, max_length=2)
    assert cut.startswith("naïve —")
    model.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model", analyzer=tokenizer)
    assert again.generate("No", seed=1) == model.generate("No", seed=1)
    assert again.bits_per_character(TEXTS) == model.bits_per_character(TEXTS) < 1


def test_lists_are_no_tokens_of_a_tokenizer():
    tokenizer, lists = bytes_in_pairs(TEXTS), [["ab c", "d"], ["d", "ab c"]] * 4
    model = LanguageModel(analyzer=tokenizer, max_iter=1, **OPTIONS).fit(lists)
    assert model.generate(["ab c"], seed=1).startswith("ab c")
    pairs = Seq2Seq(target_analyzer=tokenizer, max_iter=40, **OPTIONS).fit(lists, lists)
    assert pairs.predict(lists[:2]) == lists[:2]
    joined = LanguageModel(analyzer=tokenizer, joiner="|", max_iter=1, **OPTIONS).fit(TEXTS)
    assert "".join(joined.stream("", max_length=4, seed=1)).count("|") == 3


def test_sequences_are_encoded(tmp_path):
    tokenizer = bytes_in_pairs(TEXTS)
    model = SequenceClassifier(analyzer=tokenizer, max_iter=20, **OPTIONS).fit(TEXTS * 4, ["a", "b"] * 8)
    assert model.score(TEXTS, ["a", "b"] * 2) == 1
    model.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model", analyzer=tokenizer)
    np.testing.assert_array_equal(again.predict_proba(TEXTS), model.predict_proba(TEXTS))
    with pytest.raises(ValueError, match="analyzer: expected"):
        SequenceClassifier(analyzer=5).fit(TEXTS, ["a", "b"] * 2)

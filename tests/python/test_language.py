"""LanguageModel, Transcriber and Seq2Seq: what they learn, write, score, save and refuse."""

import copy
import math
import pickle
from itertools import pairwise

import gru_rs
import numpy as np
import pytest
from gru_rs import LanguageModel, Seq2Seq, Transcriber
from gru_rs.estimators._corpus import Corpus
from gru_rs.estimators._generation import until
from gru_rs.estimators.transcriber import error_rate
from scipy.special import log_softmax
from sklearn.base import clone

TEXTS = ["the cat sat", "the dog sat", "the cat ran", "a dog ran"] * 15


def language_model(**options):
    defaults = {"hidden_size": 24, "embedding_size": 8, "max_iter": 25, "learning_rate_init": 0.01}
    return LanguageModel(**defaults | {"batch_size": 4, "chunk_length": 20, "random_state": 1} | options)


@pytest.fixture(scope="module")
def speaker():
    return language_model().fit(TEXTS)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("analyzer", ["char", "word", str.split])
def test_a_language_model_learns(cell, analyzer):
    model = language_model(cell=cell, analyzer=analyzer).fit(TEXTS)
    assert model.loss_curve_[-1] < 0.7 * model.loss_curve_[0]
    assert model.generate("the cat", temperature=0, max_length=20) in TEXTS
    likely, unlikely = model.log_likelihood(["the cat sat", "sat cat the"])
    assert likely > unlikely + 2


def test_likelihoods_are_those_of_the_scores(speaker):
    """By one pass over each text alone; chunks and company change nothing."""
    texts = ["the cat sat", "a", "", "zebra", *TEXTS[:70]]
    numbers = [[speaker.vocabulary_.get(letter, 0) for letter in text] for text in texts]
    expected = []
    for row in numbers:
        scores = log_softmax(speaker.model_.scores([[1, *row]]).astype(float), axis=1)
        expected.append(scores[np.arange(len(row) + 1), [*row, 1]].sum())
    np.testing.assert_allclose(speaker.log_likelihood(texts), expected, rtol=1e-5)
    tokens = sum(len(row) + 1 for row in numbers)
    assert speaker.score(texts) == pytest.approx(sum(expected) / tokens, rel=1e-5)
    assert speaker.perplexity(texts) == pytest.approx(math.exp(-sum(expected) / tokens), rel=1e-4)
    bits = -sum(expected) / math.log(2) / sum(len(text) + 1 for text in texts)
    assert speaker.bits_per_character(texts) == pytest.approx(bits, rel=1e-5)


def test_long_texts_are_scored_in_chunks(speaker, monkeypatch):
    text = " ".join(TEXTS)
    whole = speaker.log_likelihood([text, "a"])
    monkeypatch.setattr("gru_rs.estimators._likelihoods._SCORES_AT_ONCE", 500)
    np.testing.assert_allclose(speaker.log_likelihood([text, "a"]), whole, rtol=1e-6)


def test_a_stream_reads_each_token_once():
    texts = [np.arange(2, 2 + n, dtype=np.uint16) for n in (5, 1, 17, 30)]
    for size, chunk in [(1, 7), (3, 4), (64, 5), (4, 100)]:
        stream = Corpus(texts, chunk)
        read, wanted = [], []
        for begin in stream.batches(size, np.random.default_rng(0)):
            lengths = np.clip(stream._lengths - begin, 0, chunk)
            for row, length in enumerate(lengths):
                read.append((row, stream._cells[row, begin : begin + length]))
                wanted.append((row, stream._wanted[row, begin : begin + length]))
        lanes = range(len(stream._cells))
        flat = np.concatenate([part for lane in lanes for row, part in wanted if row == lane])
        before = np.concatenate([part for lane in lanes for row, part in read if row == lane])
        order = np.random.default_rng(0).permutation(4)
        np.testing.assert_array_equal(flat, np.concatenate([texts[row] for row in order]))
        np.testing.assert_array_equal(before, [1, *flat[:-1]])


def test_seeds_and_pieces(speaker):
    first = speaker.generate("the ", seed=1, max_length=40)
    assert speaker.generate("the ", seed=1, max_length=40) == first
    assert "".join(speaker.stream("the ", seed=1, max_length=40)) == first[4:]
    assert len({speaker.generate("", seed=seed, temperature=3.0) for seed in range(8)}) > 1
    assert speaker.generate("", max_length=3, seed=2, temperature=0) == "the"
    assert speaker.generate("the cat sat", temperature=0) == "the cat sat"
    words = language_model(analyzer="word").fit(TEXTS)
    assert words.generate("the cat", temperature=0).startswith("the cat ")
    assert (
        language_model(analyzer="word", joiner="_", max_iter=1)
        .fit(TEXTS)
        .generate("the", max_length=2, seed=1)
        .startswith("the_")
    )


def test_a_prompt_asks_once_of_which_kinds_all_tokens_are(monkeypatch):
    """It goes through the whole vocabulary, which may be large."""
    model = language_model(max_iter=1).fit([["ab", "cd"], ["cd", "ab"]]).set_params(joiner="-")
    asked = []
    monkeypatch.setattr(
        "gru_rs.estimators._writing.kinds_of",
        lambda known: asked.append(len(known)) or frozenset({"strings"}),
    )
    assert model.generate(["ab", "cd"], max_length=1, seed=1).startswith("ab-cd")
    assert asked == [2]


@pytest.mark.parametrize("of_text", [True, False])
@pytest.mark.parametrize("analyzer", ["char", "word", str.split])
def test_texts_and_lists_are_not_taken_for_each_other(analyzer, of_text):
    """A text is not cut in silence where lists were learnt, nor a list looked up among pieces of texts."""
    texts, lists = ["ab cd", "cd ab"] * 3, [["ab", "cd"], ["cd", "ab"]] * 3
    own, other = (texts, lists) if of_text else (lists, texts)
    model = language_model(analyzer=analyzer, max_iter=1).fit(own)
    weights, message = model.model_.flat.copy(), "expected text" if of_text else "expected lists of tokens"
    for method in (model.score, model.log_likelihood, model.perplexity, model.partial_fit):
        with pytest.raises(TypeError, match=f"X: {message}, as in training, got"):
            method(other)
    with pytest.raises(TypeError, match=f"X: {message}, as in training, got"):
        model.set_params(warm_start=True).fit(other)
    with pytest.raises(TypeError, match=f"validation_data: X: {message}, as in training, got"):
        model.set_params(warm_start=False).fit(own, validation_data=other)
    with pytest.raises(TypeError, match=f"prompt: {message}, as in training, got"):
        model.generate(other[0])
    np.testing.assert_array_equal(model.model_.flat, weights)
    assert np.isfinite(model.partial_fit(own).score(own))
    assert isinstance(model.generate("", max_length=2), str)


@pytest.mark.parametrize("stop", [" ", ["sat", "ran"], "at r", "never there"])
def test_stops(speaker, stop):
    whole = speaker.generate("the cat", temperature=0)[7:]
    endings = [stop] if isinstance(stop, str) else stop
    expected = whole[: min([whole.index(one) for one in endings if one in whole], default=len(whole))]
    assert "".join(speaker.stream("the cat", temperature=0, stop=stop)) == expected


def test_what_may_become_an_end_is_held_back():
    for size in (1, 2, 3):
        text = "aaab--ab-abc rest"
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        assert "".join(until(iter(pieces), ("abc",))) == "aaab--ab-"
        assert "".join(until(iter(pieces), ("zzz", "ab--ac"))) == text
        assert "".join(until(iter(pieces), ("t",))) == "aaab--ab-abc res"


def test_language_models_are_reproducible_saved_and_go_on(tmp_path):
    first, second = language_model(max_iter=3).fit(TEXTS), language_model(max_iter=3).fit(TEXTS)
    np.testing.assert_array_equal(first.model_.flat, second.model_.flat)
    first.save(tmp_path / "lm.safetensors")
    again = gru_rs.load(tmp_path / "lm.safetensors")
    assert again.generate("the", seed=3) == first.generate("the", seed=3)
    for model in (again, second):
        model.partial_fit(TEXTS[:8])
        assert len(model.loss_curve_) == 4
    stopped = language_model(early_stopping=True, validation_fraction=0.2, n_iter_no_change=3).fit(TEXTS)
    assert stopped.best_validation_score_ == max(stopped.validation_scores_)
    one = language_model(early_stopping=True, max_iter=3).fit(" ".join(TEXTS))
    assert len(one.validation_scores_) == 3
    rare = language_model(min_frequency=2, max_iter=8).fit([*TEXTS, "q"])
    assert "q" not in rare.vocabulary_
    assert "q" not in rare.generate("", max_length=300, temperature=5.0, seed=1)
    assert clone(rare).get_params() == rare.get_params()


def spoken(count=120, seed=1):
    """Each letter is two to four steps of its own feature, with pauses between equal ones."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for _ in range(count):
        word = "".join(rng.choice(list("abc"), rng.integers(0, 5)))
        steps = [[0, 0, 0, 1]]
        for letter in word:
            steps += [[letter == other for other in "abc"] + [0]] * rng.integers(2, 5) + [[0, 0, 0, 1]]
        X.append(np.array(steps, float) + rng.normal(0, 0.1, (len(steps), 4)))
        y.append(word)
    return X, y


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_transcriber_learns(cell, tmp_path):
    X, y = spoken()
    transcriber = Transcriber(
        cell=cell, hidden_size=16, max_iter=25, learning_rate_init=0.02, random_state=1, bidirectional=True
    ).fit(X, y)
    assert transcriber.score(X, y) > 0.98
    assert transcriber.predict(X[:5]) == y[:5]
    greedy = transcriber.predict(X)
    transcriber.set_params(beam_width=8)
    assert error_rate(y, transcriber.predict(X)) <= error_rate(y, greedy)
    guesses = transcriber.predict_beam(X[:9], beam_width=4)
    for row in guesses:
        assert len(row) <= 4
        assert all(a[1] >= b[1] for a, b in pairwise(row))
        assert sum(math.exp(log_p) for _, log_p in row) <= 1 + 1e-6
    transcriber.save(tmp_path / "t.safetensors")
    assert gru_rs.load(tmp_path / "t.safetensors").predict(X) == transcriber.predict(X)
    lists = Transcriber(hidden_size=4, max_iter=1, random_state=1, early_stopping=True).fit(
        X, [[ord(letter) for letter in word] for word in y]
    )
    assert all(isinstance(found, list) for found in lists.predict(X[:3]))
    weighted = Transcriber(hidden_size=4, max_iter=1, random_state=1).fit(X, y, sample_weight=np.ones(len(X)))
    assert np.isfinite(weighted.loss_curve_).all()


def words(count=150, seed=1):
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("abcd"), rng.integers(1, 6))) for _ in range(count)]


@pytest.mark.parametrize("attention", [None, "dot", "additive"])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_seq2seq_learns(cell, attention, tmp_path):
    X = words()
    options = {"hidden_size": 32, "embedding_size": 16, "learning_rate_init": 0.01, "random_state": 1}
    model = Seq2Seq(
        cell=cell, attention=attention, analyzer="char", target_analyzer="char", max_iter=80, batch_size=16,
        bidirectional=cell == "gru", **options,
    ).fit(X, [word[::-1] for word in X])  # fmt: skip
    assert model.score(X, [word[::-1] for word in X]) > 0.9
    word = next(word for word in X if len(word) == 3)
    (best, *others), *_ = model.predict_beam([word], beam_width=4)
    assert best.target == word[::-1]
    assert all(best.log_p >= other.log_p for other in others)
    assert best.tokens == [*word[::-1]]
    if attention is None:
        assert best.attention is None
    else:
        assert best.attention.shape == (4, 3)
        np.testing.assert_allclose(best.attention.sum(axis=1), 1, rtol=1e-5)
    model.save(tmp_path / "s.safetensors")
    assert gru_rs.load(tmp_path / "s.safetensors").predict(X[:9]) == model.predict(X[:9])


def test_widths_and_lengths_beyond_all():
    """What cannot be needed is not allocated."""
    model = gru_rs.EncoderDecoder(2, 3, 4, seed=1)
    x = np.ones((1, 2, 2), np.float32)
    every = [len(model.decode(x, beam_width=width, max_length=3)[0]) for width in (1000, 2**62)]
    assert every[0] == every[1] > 4
    best = model.decode(x, max_length=2)[0][0]
    assert len(best.labels) <= 2
    assert len(speller().spell(x, beam_width=2**62)[0]) == len(speller().spell(x, beam_width=1000)[0])


def test_any_byte_order():
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    for found, expected in zip(
        gru_rs.ctc_loss(x.astype(">f4"), [[1], [2]]), gru_rs.ctc_loss(x, [[1], [2]]), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_sequences_of_numbers_to_tokens():
    X, y = spoken(60)
    model = Seq2Seq(hidden_size=16, max_iter=2, random_state=1, early_stopping=True)
    model.fit(X, [list(word) for word in y])
    assert all(isinstance(found, list) for found in model.predict(X[:4]))
    model.partial_fit(X, [list(word) for word in y])
    assert len(model.loss_curve_) == 3


def test_copies(speaker):
    for again in (copy.deepcopy(speaker), pickle.loads(pickle.dumps(speaker))):
        assert again.generate("the", seed=3) == speaker.generate("the", seed=3)
        again.partial_fit(TEXTS[:8])
        assert len(again.loss_curve_) == len(speaker.loss_curve_) + 1


def test_texts_that_are_lists_of_tokens():
    texts = [text.split() for text in TEXTS]
    model = language_model().fit(texts)
    assert model.generate(["the", "cat"], temperature=0) in TEXTS
    assert model.generate("", temperature=0) in TEXTS
    with pytest.raises(TypeError, match="prompt: expected lists of tokens, as in training, got text"):
        model.generate("the")
    upper = [[token.upper() for token in text] for text in texts]
    assert set(language_model(lowercase=True, max_iter=1).fit(upper).vocabulary_) == {
        "the",
        "a",
        "cat",
        "dog",
        "sat",
        "ran",
    }
    assert (
        language_model(max_iter=1)
        .fit([[3, 5, 7]] * 9)
        .generate([3, 5], max_length=1, temperature=0)
        .startswith("3 5")
    )


def test_a_prompt_may_end_with_the_joiner():
    model = language_model(analyzer="word").fit(TEXTS)
    assert model.generate("the ", temperature=0) == model.generate("the", temperature=0)


def test_the_beginning_is_no_repetition(speaker):
    """The same token is the end, which a penalty on what was there must not put off."""
    model = copy.deepcopy(speaker)
    params = {name: np.zeros_like(value) for name, value in model.model_.params.items()}
    params["head.bias"] -= 1
    params["head.bias"][[model.vocabulary_["t"], 1]] = 2, 1
    model.model_.load_state_dict(params)
    assert model.generate("t", temperature=0, max_length=3) == "tttt"
    assert model.generate("t", temperature=0, max_length=3, repetition_penalty=10.0) == "t"


def test_weights_that_are_no_numbers(speaker):
    broken = copy.deepcopy(speaker)
    broken.model_.set_flat(np.full_like(broken.model_.flat, np.nan))
    with pytest.raises(ValueError, match="model: expected one that gives scores, got NaN"):
        broken.generate("the")


def test_targets_may_become_longer():
    short, long = ["ab", "ba"] * 6, ["abcdefgh", "hgfedcba"] * 6
    model = Seq2Seq(analyzer="char", target_analyzer="char", max_iter=1, random_state=1).fit(
        [*short, *long], short * 2
    )
    (untrained,) = model.predict(["ab"])
    assert len(untrained) <= 5
    model.partial_fit([*short, *long], [*short, *long])
    assert model._longest == 8
    model.partial_fit(short, short)
    assert model._longest == 8


def test_functions_are_given_again(tmp_path):
    model = Seq2Seq(target_analyzer=str.split, token_features=list, max_iter=1, random_state=1)
    model.fit(["ab cd"] * 4, ["x y"] * 4).save(tmp_path / "m")
    functions = {"target_analyzer": str.split, "token_features": list}
    assert gru_rs.load(tmp_path / "m", **functions).predict(["ab"]) == model.predict(["ab"])
    for name in functions:
        with pytest.raises(ValueError, match=rf"{name}: expected the function (str.split|list), got None"):
            Seq2Seq.load(tmp_path / "m", **{other: functions[other] for other in functions if other != name})


def test_small_letters_of_targets():
    model = Seq2Seq(target_lowercase=True, max_iter=1, random_state=1)
    assert set(model.fit(X, [list(y.upper()) for y in Y]).target_vocabulary_) == {"a", "b"}
    assert set(model.fit(X, [y.upper() for y in Y]).target_vocabulary_) == {"ab", "ba", "a", "b"}


def test_kinds_of_labels():
    x = [np.ones((4, 1))] * 4
    model = Transcriber(hidden_size=4, max_iter=1, random_state=1)
    model.fit(x, [np.array([1, 2], np.uint8), [1, 300], (), np.array([-1])])
    assert model.classes_.tolist() == [-1, 1, 2, 300]
    assert isinstance(model.predict(x)[0], list)
    assert model.score(x, [[1], [2], [300], [9]]) <= 1
    for labels, kind, got in [
        ([1, "a"], TypeError, "of one kind, .*got 'a' .str. beside 1"),
        ([None], ValueError, "y: expected a value in row 2, step 0, got a null"),
        ([1.5], TypeError, "got 1.5 in row 2"),
    ]:
        with pytest.raises(kind, match=got):
            model.fit(x, [[1], [1], labels, [1]])
    with pytest.raises(ValueError, match=r"y: expected labels .* got 7 in row 0"):
        model.partial_fit(x, [[7]] * 4)


def test_weights_count_where_losses_are_averaged():
    """A row that counts nothing may be anything; an epoch's loss is that over all tokens."""
    X, y = words(40), [word[::-1] for word in words(40)]
    options = {
        "analyzer": "char",
        "target_analyzer": "char",
        "hidden_size": 8,
        "random_state": 1,
        "shuffle": False,
        "input_dropout": 0.0,
        "output_dropout": 0.0,
    }
    whole = Seq2Seq(max_iter=1, batch_size=40, learning_rate_init=1e-30, **options).fit(X, y)
    parts = Seq2Seq(max_iter=1, batch_size=7, learning_rate_init=1e-30, **options).fit(X, y)
    assert parts.loss_curve_[0] == pytest.approx(whole.loss_curve_[0], rel=1e-5)
    assert error_rate(["ab", "cd"], ["ab", "xy"], np.array([1.0, 0.0])) == 0
    assert error_rate(["ab", "cd"], ["ab", "xy"], np.array([1.0, 3.0])) == 0.75


def speller():
    return gru_rs.Model(2, 3, 4, pooling="each", seed=1)


X, Y = ["ab", "ba"] * 4, ["ba", "ab"] * 4
x = [np.ones((2, 1))] * 2
MISTAKES = [
    (lambda: LanguageModel().fit(None), TypeError, "X: expected a list, an array or a column, got None"),
    (lambda: Seq2Seq().fit(X, None), ValueError, "y: expected a value for each sequence of X, got None"),
    (lambda: Seq2Seq().fit(X, 5), TypeError, "y: expected a value for each sequence of X, got 5"),
    (lambda: Seq2Seq().fit(X, ["a", 1] * 4), TypeError, "y: expected a string in row 1"),
    (lambda: Seq2Seq().fit(X, [["a"], 1] * 4), TypeError, "y, row 1: expected a list, an array"),
    (lambda: Seq2Seq().score(X, Y), Exception, "not fitted"),
    (lambda: Seq2Seq(max_iter=1).fit(X, Y).score(X, Y[:3]), ValueError, "y: expected 8 values"),
    (lambda: Seq2Seq(length_penalty=math.nan).fit(X, Y), ValueError, "length_penalty: expected a finite"),
    (lambda: Seq2Seq(length_penalty=math.inf).fit(X, Y), ValueError, "length_penalty: expected a finite"),
    (
        lambda: Seq2Seq(early_stopping=True).fit(X[:1], Y[:1]),
        ValueError,
        "early_stopping: expected at least 2",
    ),
    (lambda: Transcriber().fit(x, "ab"), TypeError, "y: expected a value for each sequence of X, got 'ab'"),
    (lambda: Transcriber().fit(x, 5), TypeError, "y: expected a value for each sequence of X, got 5"),
    (lambda: Transcriber(max_iter=1).fit(x, ["a"] * 2).score(x, ["a"]), ValueError, "y: expected 2 values"),
    (lambda: LanguageModel(bidirectional=True).fit(X), ValueError, "bidirectional: expected False"),
    (lambda: LanguageModel(chunk_length=0).fit(X), ValueError, "chunk_length: expected"),
    (lambda: LanguageModel(analyzer="words").fit(X), ValueError, "analyzer: expected"),
    (lambda: LanguageModel(max_vocabulary=2).fit(X), ValueError, "max_vocabulary: expected at least 3"),
    (lambda: LanguageModel(joiner=1).fit(X), TypeError, "joiner: expected"),
    (lambda: LanguageModel().fit([]), ValueError, "X: expected at least one text"),
    (lambda: LanguageModel(early_stopping=True).fit(""), ValueError, "X: expected texts of which some"),
    (lambda: LanguageModel().fit([1.5]), TypeError, "X, row 0: expected a list, an array"),
    (lambda: next(LanguageModel().stream()), Exception, "not fitted"),
    (lambda: Transcriber().fit([np.ones((2, 1))], ["aa"]), ValueError, "y: expected labels that fit"),
    (lambda: Transcriber().fit([np.ones((2, 1))], [[[1]]]), TypeError, "y: expected tokens that are strings"),
    (lambda: Transcriber().fit([np.ones((2, 1))], [""]), ValueError, "y: expected at least one label"),
    (lambda: Transcriber(beam_width=0).fit([np.ones((2, 1))], ["a"]), ValueError, "beam_width: expected"),
    (lambda: Seq2Seq(attention="cosine").fit(X, Y), ValueError, "attention: expected"),
    (lambda: Seq2Seq(length_penalty=-1.0).fit(X, Y), ValueError, "length_penalty"),
    (lambda: Seq2Seq().fit(X, Y[:3]), ValueError, "y: expected 8 values"),
    (lambda: Seq2Seq(variational=True).fit(X, Y), ValueError, "variational: expected False"),
    (lambda: gru_rs.EncoderDecoder(2, 3, 4, end=4), ValueError, "end: expected a token below 4"),
    (lambda: gru_rs.EncoderDecoder(2, 3, 4, begin=-1), ValueError, "begin: expected an integer from 0"),
    (
        lambda: gru_rs.EncoderDecoder(2, 3, 4).loss(np.ones((1, 2, 2), "f4"), [[5]]),
        ValueError,
        "targets: expected integers from 0 to 3",
    ),
    (
        lambda: gru_rs.EncoderDecoder(2, 3, 4).loss(np.ones((1, 2, 2), "f4"), [[3], [3]]),
        ValueError,
        "targets: expected a sequence for each of 1 rows, got 2",
    ),
    (
        lambda: gru_rs.EncoderDecoder(2, 3, 4).loss(np.ones((1, 2, 2), "f4"), [[1]], loss=gru_rs.CTC()),
        TypeError,
        "loss: expected CrossEntropy",
    ),
    (
        lambda: gru_rs.EncoderDecoder(2, 3, 4).loss(np.ones((1, 2, 2), "f4"), [[2, 1]]),
        ValueError,
        r"targets: expected tokens without begin \(0\) and end \(1\), which are added, got 1",
    ),
    (
        lambda: gru_rs.EncoderDecoder(2, 3, 4).loss(np.ones((1, 2, 2), "f4"), [[2]], sample_weight=[-1.0]),
        ValueError,
        "sample_weight: expected finite numbers ≥ 0, got -1",
    ),
    (
        lambda: gru_rs.ctc_loss(np.ones((1, 2, 2), "f4"), [[1]], sample_weight=[[1.0]]),
        ValueError,
        r"sample_weight: expected shape \(B,\), got \(1, 1\)",
    ),
    (
        lambda: gru_rs.ctc_loss(np.ones((1, 2, 2), "f4"), [[1]], sample_weight=[np.nan]),
        ValueError,
        "sample_weight: expected finite numbers ≥ 0, got NaN",
    ),
    (
        lambda: gru_rs.ctc_loss(np.ones((1, 2, 2), int), [[1]]),
        TypeError,
        "scores: expected float32 or float64",
    ),
    *(
        (
            lambda width=width: speller().spell(np.ones((1, 2, 2), "f4"), blank=4, beam_width=width),
            ValueError,
            "blank: expected a class below 4, got 4",
        )
        for width in (None, 3)
    ),
]


@pytest.mark.parametrize(("call", "kind", "message"), MISTAKES, ids=[row[2] for row in MISTAKES])
def test_mistakes(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_mistakes_of_generation(speaker):
    for options, message in [
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0.0}, "top_p"),
        ({"repetition_penalty": 0.0}, "repetition_penalty"),
        ({"max_length": -1}, "max_length"),
        ({"seed": -1}, "seed"),
    ]:
        with pytest.raises(ValueError, match=message):
            speaker.generate("the", **options)
    for stop in ("", None, 5, [""], [1]):
        with pytest.raises(TypeError, match="stop: expected"):
            speaker.generate("the", stop=stop)
    for prompt in (None, 5, [None]):
        with pytest.raises((TypeError, ValueError), match=r"prompt(, row 0)?: expected"):
            speaker.generate(prompt)
    with pytest.raises(TypeError, match="X: expected strings"):
        speaker.bits_per_character([["a"]])

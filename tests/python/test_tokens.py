"""Which tokens a model knows and what it makes of those that it does not: scripts without spaces, rare
tokens, vocabularies and word vectors that are given, features beside a token.
"""

import subprocess
import sys
from pathlib import Path

import gru_rs
import numpy as np
import pytest
from gru_rs import Seq2Seq, SequenceClassifier, SequenceRegressor, SequenceTagger
from gru_rs.estimators._batches import UNKNOWN, Unknowing, encode
from gru_rs.estimators._scripts import unspaced_share, unspaced_tokens
from gru_rs.estimators._vectors import vectors_of
from gru_rs.estimators._vocabulary import least_frequency
from hypothesis import assume, given, settings
from hypothesis import strategies as st

FILES = Path(__file__).parents[1] / "files"
OPTIONS = {"hidden_size": 4, "max_iter": 2, "random_state": 1}
SPACED = ["a good day", "what a good film", "a bad day", "what a bad film"] * 4
OPINIONS = ["good", "good", "bad", "bad"] * 4
UNSPACED = {
    "chinese": ["手机很好", "很不好用", "质量好", "不好"],
    "japanese": ["とても良い", "良くない", "スゴイです", "悪い本です"],
    "thai": ["ดีมากครับ", "ไม่ดีเลย", "อร่อยมาก", "แย่มาก"],
    "lao": ["ດີຫຼາຍ", "ບໍ່ດີ", "ແຊບຫຼາຍ", "ບໍ່ແຊບ"],
    "khmer": ["ល្អណាស់", "មិនល្អទេ", "ឆ្ងាញ់ណាស់", "អាក្រក់"],
    "burmese": ["အရမ်းကောင်းတယ်", "မကောင်းဘူး", "ကြိုက်တယ်", "မကြိုက်ဘူး"],
}


def same(one, other):
    """The same weights, to the bit."""
    return one.model_.flat.tobytes() == other.model_.flat.tobytes()


def embedding(estimator, token):
    return estimator.model_.params["embedding.weight"][estimator.vocabulary_[token]]


# Scripts without spaces -------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", UNSPACED)
def test_scripts_without_spaces_are_read_by_letters_and_pairs(script, tmp_path):
    texts = UNSPACED[script] * 4
    classifier = SequenceClassifier(**OPTIONS)
    with pytest.warns(UserWarning, match="X: 100% of the letters are of scripts without spaces") as caught:
        classifier.fit(texts, OPINIONS)
    assert len(caught) == 1
    first, second = texts[0][:2]
    assert {first, second, ("pair", "", first), ("pair", first, second)} <= set(classifier.vocabulary_)
    said = SequenceClassifier(**OPTIONS, analyzer="unspaced").fit(texts, OPINIONS)
    assert same(classifier, said)
    classifier.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(texts), classifier.predict_proba(texts))
    # What was decided holds for every row, whatever it is and whoever is beside it.
    for text in [*texts[:4], "english only", "手机 and more"]:
        both = classifier.predict_proba([*SPACED, text])[-1]
        assert np.array_equal(both, again.predict_proba([text])[0])


@pytest.mark.parametrize("script", UNSPACED)
def test_words_are_words_if_they_are_asked_for(script, recwarn):
    texts = UNSPACED[script] * 4
    words = SequenceClassifier(**OPTIONS, analyzer="word").fit(texts, OPINIONS)
    characters = SequenceClassifier(**OPTIONS, analyzer="char").fit(texts, OPINIONS)
    assert set(characters.vocabulary_) == set("".join(texts))
    assert not any(isinstance(token, tuple) for token in words.vocabulary_)
    assert not recwarn


def test_texts_with_spaces_are_words_without_a_word_said(recwarn):
    found = SequenceClassifier(**OPTIONS).fit(SPACED, OPINIONS)
    assert same(found, SequenceClassifier(**OPTIONS, analyzer="word").fit(SPACED, OPINIONS))
    quoting = [*SPACED[:-1], "what a bad film 好"]
    assert "day" in SequenceClassifier(**OPTIONS).fit(quoting, OPINIONS).vocabulary_
    korean = ["정말 좋아요", "별로 안 좋아요"] * 8
    assert "정말" in SequenceClassifier(**OPTIONS).fit(korean, OPINIONS).vocabulary_
    ids = SequenceClassifier(**OPTIONS).fit([[1, 2], [3]] * 8, OPINIONS)
    assert set(ids.vocabulary_) == {1, 2, 3}
    assert not recwarn


def test_words_among_letters_stay_words():
    texts = ["iPhone6很好用", "WiFi不好用"] * 8
    with pytest.warns(UserWarning, match="X: 38% of the letters"):
        found = SequenceClassifier(**OPTIONS).fit(texts, OPINIONS)
    assert {"iphone6", "wifi", ("pair", "iphone6", "很")} <= set(found.vocabulary_)


def test_pairs_and_spelling_go_together(tmp_path):
    texts = UNSPACED["chinese"] * 4
    labels = [list(text) for text in texts]
    with pytest.warns(UserWarning, match="scripts without spaces"):
        tagger = SequenceTagger(**OPTIONS, crf=False).fit(texts, labels)
    tagger.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model")
    for one, other in zip(tagger.predict_proba(texts), again.predict_proba(texts), strict=True):
        assert np.array_equal(one, other)
    with pytest.raises(ValueError, match="analyzer: expected tokens by themselves for a stream"):
        again.stream()
    of_lists = SequenceTagger(**OPTIONS, crf=False, analyzer="unspaced").fit(labels, labels)
    assert np.array_equal(of_lists.predict_proba(labels)[0], tagger.predict_proba(texts)[0])


def test_sources_of_pairs_are_translated(tmp_path):
    texts = UNSPACED["chinese"] * 4
    with pytest.warns(UserWarning, match="scripts without spaces"):
        found = Seq2Seq(**OPTIONS).fit(texts, OPINIONS)
    found.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model")
    assert again.predict(texts) == found.predict(texts)
    assert {"手", ("pair", "手", "机")} <= set(again.vocabulary_)


def test_a_decision_is_not_made_anew(tmp_path):
    classifier = SequenceClassifier(**OPTIONS, warm_start=True).fit(SPACED, OPINIONS)
    classifier.fit(UNSPACED["chinese"] * 4, OPINIONS)
    assert not any(isinstance(token, tuple) for token in classifier.vocabulary_)
    classifier.save(tmp_path / "model")
    assert np.array_equal(gru_rs.load(tmp_path / "model").predict(SPACED), classifier.predict(SPACED))


@given(st.text())
def test_nothing_but_space_is_lost(text):
    assert "".join(unspaced_tokens(text)) == "".join(text.split())
    assert 0 <= unspaced_share([text, "x"]) < 1


# Rare and unknown tokens ------------------------------------------------------------------------------------


def test_a_rule_says_how_often_a_token_must_come():
    steps = [0, 1, 49_999, 50_000, 4_999_999, 5_000_000, 499_999_999, 500_000_000]
    assert [least_frequency(count) for count in steps] == [1, 1, 1, 2, 2, 3, 3, 4]
    many = [["often"] * 49_997, ["once", "twice", "twice"]]
    found = SequenceClassifier(**OPTIONS).fit(many, [0, 1])
    assert set(found.vocabulary_) == {"often", "twice"}
    every = SequenceClassifier(**OPTIONS, min_frequency=1).fit(many, [0, 1])
    assert set(every.vocabulary_) == {"often", "twice", "once"}
    assert "once" in SequenceClassifier(**OPTIONS).fit([["often"] * 900, ["once"]], [0, 1]).vocabulary_


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor, SequenceTagger, Seq2Seq])
def test_the_unknown_token_is_trained(kind):
    X = [[f"w{row}", "a", "b"] for row in range(20)]
    y = {SequenceTagger: X, Seq2Seq: X, SequenceRegressor: np.arange(20.0)}.get(kind, [0, 1] * 10)
    trained, again = (kind(**OPTIONS).fit(X, y) for _ in range(2))
    without = kind(**OPTIONS, token_dropout=0.0).fit(X, y)
    unknown = next(iter(trained.model_.params.values()))[UNKNOWN]
    assert (unknown != 0).all()
    assert same(trained, again)
    assert (next(iter(without.model_.params.values()))[UNKNOWN] == 0).all()


def test_what_is_unknown_already_is_enough():
    X, y = [[f"w{row}", "a", "b", "a", "b"] for row in range(20)], [0, 1] * 10
    options = OPTIONS | {"min_frequency": 2}
    assert same(*(SequenceClassifier(**options, token_dropout=share).fit(X, y) for share in (0.0, 0.9)))
    one = [*X, ["twice", "once"], ["twice"]]
    few = OPTIONS | {"vocabulary": [f"w{row}" for row in range(20)] + ["a", "b", "twice"]}
    dropped, not_dropped = (
        SequenceClassifier(**few, token_dropout=share).fit(one, [*y, 0, 1]) for share in (0.9, 0.0)
    )
    assert not same(dropped, not_dropped)


def test_parts_of_the_data_do_not_say_what_is_rare():
    X = [[f"w{row}", "a", "b"] for row in range(20)]
    first = SequenceClassifier(**OPTIONS, input_dropout=0.0).partial_fit(X, [0, 1] * 10)
    again = SequenceClassifier(**OPTIONS, input_dropout=0.0, token_dropout=0.0).partial_fit(X, [0, 1] * 10)
    assert same(first, again)
    often = [["a", "b"]] * 20
    assert same(*(SequenceClassifier(**OPTIONS, token_dropout=s).fit(often, [0, 1] * 10) for s in (0.0, 0.5)))
    assert (first.model_.params["embedding.weight"][UNKNOWN] == 0).all()
    first.partial_fit([["new"]], [0])
    assert (first.model_.params["embedding.weight"][UNKNOWN] != 0).all()


def test_training_goes_on_by_the_same_draws(tmp_path):
    X, y = [[f"w{row}", "a", "b"] for row in range(20)], [0, 1] * 10
    whole = SequenceClassifier(**OPTIONS, warm_start=True).fit(X, y)
    whole.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model")
    # Moments are another matter: the draws are those of the shuffling's generator, which a file has.
    assert again._rng.bit_generator.state == whole._rng.bit_generator.state
    for one in (whole, again):
        one._optimizer = one._fresh_optimizer()
    assert same(whole.fit(X, y), again.fit(X, y))


@given(
    st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=9), min_size=1, max_size=9),
    st.integers(1, 3),
    st.floats(0.01, 0.99),
    st.integers(0, 2**32),
)
def test_what_is_rarer_is_dropped_first(rows, parts, share, seed):
    # Of a token ever coarser things are told.
    tokens = [[(part, token >> part) for token in row for part in range(parts)] for row in rows]
    vocabulary = {token: number for number, token in enumerate(sorted({t for row in tokens for t in row}), 1)}
    sequences = encode(tokens, vocabulary, None, parts)
    alter = Unknowing.of(sequences, sequences.rows, share, len(vocabulary) + 1)
    counts = np.bincount(sequences.of(sequences.rows).reshape(-1), minlength=len(vocabulary) + 1)
    expected = share**counts
    dropped = (counts * expected)[1:].sum()
    assume(not 1 - 1e-6 < dropped < 1)
    assert (alter is None) == (dropped < 1)
    assume(alter is not None)
    assert np.allclose(alter.bounds / 2.0**64, expected)
    x, lengths = sequences.batch(sequences.rows)
    altered = alter(x, seed)
    assert (alter(x, seed) == altered).all()
    assert altered.dtype == x.dtype
    assert ((altered == x) | (altered == UNKNOWN)).all()
    for row, length in enumerate(lengths):
        for step in range(length):
            dropped = altered[row, step] == UNKNOWN
            assert (dropped[:-1] >= dropped[1:]).all()


@given(st.integers(0, 2**64 - 1), st.sampled_from([0.05, 0.5, 0.9]))
def test_as_many_are_dropped_as_said(seed, share):
    alter = Unknowing((np.array([0, share, 0.0]) * 2.0**64).astype(np.uint64))
    x = np.tile(np.array([1, 2], np.uint32), (100, 40))[:, :, np.newaxis]
    kept = alter(x, seed)[:, :, 0]
    assert (kept[:, 1::2] == 2).all()
    dropped = kept[:, ::2] == UNKNOWN
    assert abs(dropped.mean() - share) < 6 * np.sqrt(share * (1 - share) / dropped.size)
    # Rows and steps are strangers to each other, and so are batches.
    pairs = [(dropped[:-1], dropped[1:]), (dropped[:, :-1], dropped[:, 1:])]
    for step in (1, 2 * 0x9E3779B97F4A7C15, 0x9E3779B97F4A7C15):
        again = alter(x, (seed + step) % 2**64)[:, ::2, 0] == UNKNOWN
        pairs += [(dropped, again), (dropped[:, 1:], again[:, :-1]), (dropped[:, :-1], again[:, 1:])]
    for one, other in pairs:
        assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.1


# A vocabulary that is given ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "vocabulary",
    [
        ["good", "bad", "zebra"],
        ("good", "bad", "zebra"),
        np.array(["good", "bad", "zebra"]),
        {"bad": 2, "zebra": np.int64(3), "good": 1},
    ],
)
def test_a_vocabulary_keeps_its_numbers(vocabulary, tmp_path):
    found = SequenceClassifier(**OPTIONS, vocabulary=vocabulary).fit(SPACED, OPINIONS)
    assert found.vocabulary_ == {"good": 1, "bad": 2, "zebra": 3}
    found.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model")
    assert np.array_equal(again.predict_proba(SPACED), found.predict_proba(SPACED))
    assert again.fit(SPACED, OPINIONS).vocabulary_ == found.vocabulary_


def test_what_is_told_of_given_tokens_comes_behind_them():
    first = SequenceTagger(**OPTIONS, vocabulary=["day", "film"]).fit(
        [text.split() for text in SPACED], [text.split() for text in SPACED]
    )
    assert [*first.vocabulary_][:2] == ["day", "film"]
    assert ("end", "ood") in first.vocabulary_
    assert all(isinstance(token, tuple) for token in [*first.vocabulary_][2:])
    second = SequenceTagger(**OPTIONS, vocabulary=first.vocabulary_).fit([["day", "good"]], [["a", "b"]])
    assert second.vocabulary_ == first.vocabulary_


# Word vectors -----------------------------------------------------------------------------------------------

VECTORS = {"good": [1.0, 2.0, -0.5], "zebra": [0.25, 0.0, 9.0], "bad": [-1.0, 1e-3, 3.0]}
LINES = "good 1.0 2.0 -0.5\nzebra 0.25 0 9\nbad -1 1e-3 3\n"


def written(tmp_path, text):
    path = tmp_path / "vectors.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_vectors_are_the_same_in_every_form(tmp_path, capsys):
    headed = tmp_path / "headed.txt"
    headed.write_text("3 3\n" + LINES.replace("\n", " \r\n"))
    forms = [
        VECTORS,
        (list(VECTORS), np.array(list(VECTORS.values()))),
        (np.array(list(VECTORS)), list(VECTORS.values())),
        written(tmp_path, LINES),
        str(headed),
    ]
    found = [
        SequenceClassifier(**OPTIONS, embedding_init=form, token_dropout=0.0, frozen=["embedding"]).fit(
            SPACED, OPINIONS
        )
        for form in forms
    ]
    assert found[0].model_.input_size == 3
    assert "zebra" not in found[0].vocabulary_
    for one in found:
        assert same(one, found[0])
        assert embedding(one, "good").tolist() == [1.0, 2.0, -0.5]
        assert (one.model_.params["embedding.weight"][UNKNOWN] == 0).all()
        assert (embedding(one, "day") != 0).all()
    SequenceClassifier(**OPTIONS, embedding_init=VECTORS, verbose=True).fit(SPACED, OPINIONS)
    assert "embedding_init: vectors of 2 of 6 tokens\n" in capsys.readouterr().out


def test_room_is_filled_with_tokens_that_training_does_not_have(tmp_path, capsys):
    vectors = VECTORS | {"fine": [1.0, 1.9, -0.4], "poor": [-1.0, 0.0, 2.9], "yak": [5.0, 5.0, 5.0]}
    options = OPTIONS | {"max_iter": 40, "learning_rate_init": 0.01}
    classifier = SequenceClassifier(
        **options, embedding_init=vectors, max_vocabulary=10, frozen=("embedding",), verbose=True
    )
    classifier.fit(SPACED, OPINIONS)
    assert "embedding_init: vectors of 2 of 6 tokens, and 3 of other tokens\n" in capsys.readouterr().out
    assert [*classifier.vocabulary_][6:] == ["zebra", "fine", "poor"]
    assert classifier.predict(["a fine day", "a poor day"]).tolist() == ["good", "bad"]
    classifier.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model")
    assert again.embedding_init is None
    assert np.array_equal(again.predict_proba(SPACED), classifier.predict_proba(SPACED))


def test_a_word_is_looked_for_in_small_letters():
    words = [["Good", "bad"], ["good", "Day"]] * 4
    tagger = SequenceTagger(
        **OPTIONS, embedding_init=VECTORS, token_features=None, frozen=["embedding"], token_dropout=0
    ).fit(words, words)
    assert embedding(tagger, "Good").tolist() == embedding(tagger, "good").tolist() == [1.0, 2.0, -0.5]


@pytest.mark.parametrize("kind", [SequenceTagger, SequenceRegressor, Seq2Seq])
def test_all_that_read_tokens_take_vectors(kind):
    X = [text.split() for text in SPACED]
    y = np.arange(16.0) if kind is SequenceRegressor else X
    part = "source" if kind is Seq2Seq else "embedding"
    found = kind(**OPTIONS, embedding_init=VECTORS, vocabulary=["bad", "good"], frozen=(part,)).fit(X, y)
    assert found.model_.params[f"{part}.weight"][1].tolist() == np.float32(VECTORS["bad"]).tolist()
    assert found.model_.input_size == 3
    ids = SequenceClassifier(**OPTIONS, embedding_init={7: [1.0], 8: [2.0]}, frozen=["embedding"])
    assert embedding(ids.fit([[7], [8]] * 8, OPINIONS), 8) == [2.0]


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"])).filter(
            lambda text: text and text == text.strip() and text != "first"
        ),
        st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=2),
        min_size=1,
    ),
    st.booleans(),
)
def test_files_give_back_what_was_written(tmp_path_factory, vectors, headed):
    path = tmp_path_factory.getbasetemp() / "vectors.vec"
    head = f"{len(vectors)} 2\n" if headed else "first 0.5 0.5\n"
    lines = [f"{token} {one!r} {other!r}\n" for token, (one, other) in vectors.items()]
    path.write_bytes("".join([head, *lines]).encode())
    found = vectors_of(path)
    assert found.read(dict.fromkeys(vectors, 0), 0) == []
    assert {token: vector.tolist() for token, vector in found.found.items()} == vectors
    assert found.width == 2


def test_tokens_may_have_spaces(tmp_path):
    path = written(tmp_path, b"good 1 2\n. . . 3 4\nat name 5 6\n\xff\x97 0 0\n1 7 8\n\n")
    found = SequenceClassifier(**OPTIONS, embedding_init=path, frozen=["embedding"], token_dropout=0)
    found.fit([["good", ". . .", "at name", "1"]] * 16, OPINIONS)
    for token, vector in (("good", [1, 2]), (". . .", [3, 4]), ("at name", [5, 6]), ("1", [7, 8])):
        assert embedding(found, token).tolist() == vector


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "vectors.txt, line 1: expected a token and numbers, got b''"),
        ("good\n", "vectors.txt, line 1: expected a token and numbers, got b'good"),
        ("good 1 2\nbad 1\n", r"vectors.txt, line 2: expected a token and 2 numbers, got 2 words: b'bad 1"),
        (
            "2 2\ngood 1 2 3\nbad x 2\n",
            "vectors.txt, line 3: expected 2 numbers behind the token, got could not",
        ),
        (
            "good 1 2\nbad nan 1\n",
            "embedding_init: expected finite numbers in .*vectors.txt, line 2, got nan",
        ),
        (
            "good 1 2\nbad 1 2\ngood 1 2\n",
            "expected each token once, got 'good' again in .*vectors.txt, line 3",
        ),
        ("9 2\ngood 1 2\n", "vectors.txt: expected 9 vectors, as its first line says, got 1"),
        (
            b"2 2\ngood \x00\x00\x80?\x00\x00\x00@\nbad 12345678",
            "line 2: expected a token and 2 numbers, got 2 words",
        ),
        (
            "x 1 2\ny 1 2\n",
            "embedding_init: expected vectors of tokens that training has, such as .*, got none of 6",
        ),
        ("good 1e99 2\n", "embedding_init: expected numbers that float32 can hold, got 1e"),
    ],
)
def test_a_file_of_vectors_that_is_wrong(tmp_path, text, message):
    classifier = SequenceClassifier(**OPTIONS, embedding_init=written(tmp_path, text))
    with pytest.raises(ValueError, match=message):
        classifier.fit(SPACED, OPINIONS)
    assert not hasattr(classifier, "model_")


WRONG = [
    ({"embedding_init": 7}, TypeError, "embedding_init: expected a mapping of tokens to vectors, a pair"),
    (
        {"embedding_init": {"good": [1, 2], "bad": [1]}},
        ValueError,
        "expected 2 numbers as in others in 'bad'",
    ),
    ({"embedding_init": {"good": "x"}}, ValueError, "embedding_init: expected numbers in 'good', got 'x'"),
    ({"embedding_init": {"good": [np.inf]}}, ValueError, "expected finite numbers in 'good', got inf"),
    ({"embedding_init": (["good"], [1.0])}, ValueError, "embedding_init: expected numbers, .tokens, width."),
    (
        {"embedding_init": (["good"], np.ones((2, 2)))},
        ValueError,
        "expected a row for each of 1 tokens, got 2",
    ),
    (
        {"embedding_init": (["good"] * 2, np.ones((2, 2)))},
        ValueError,
        "each token once, got 'good' again in row 1",
    ),
    (
        {"embedding_init": VECTORS, "embedding_size": 4},
        ValueError,
        "embedding_size: expected 3, as the vectors",
    ),
    ({"embedding_init": "/no/such/file"}, FileNotFoundError, "/no/such/file"),
    ({"embedding_size": 0}, ValueError, "embedding_size: expected a positive integer"),
    ({"vocabulary": "good"}, TypeError, "vocabulary: expected a list of tokens, or a dict"),
    ({"vocabulary": []}, ValueError, "vocabulary: expected at least one token"),
    ({"vocabulary": ["good", "good"]}, ValueError, "vocabulary: expected each token once, got 'good' again"),
    (
        {"vocabulary": {"good": 0, "bad": 1}},
        ValueError,
        "with the numbers 1 to 2, each once, as 0 is the unknown",
    ),
    ({"vocabulary": {"good": True}}, ValueError, "with the numbers 1 to 1, each once"),
    ({"vocabulary": [["good"]]}, TypeError, "vocabulary: expected tokens that are strings or integers"),
    ({"vocabulary": ["a"], "min_frequency": 2}, ValueError, "min_frequency: expected None with a vocabulary"),
    (
        {"vocabulary": ["a"], "max_vocabulary": 2},
        ValueError,
        "max_vocabulary: expected None with a vocabulary",
    ),
    ({"token_dropout": 1.0}, ValueError, "token_dropout: expected a number from 0 to below 1, got 1.0"),
    ({"token_dropout": "x"}, TypeError, "token_dropout: expected a number"),
]


@pytest.mark.parametrize(("options", "kind", "message"), WRONG)
def test_options_that_are_wrong(options, kind, message):
    classifier = SequenceClassifier(**OPTIONS | options)
    with pytest.raises(kind, match=message):
        classifier.fit(SPACED, OPINIONS)
    assert not hasattr(classifier, "model_")


@pytest.mark.parametrize("name", ["vocabulary", "embedding_init"])
def test_numbers_have_no_tokens(name):
    classifier = SequenceClassifier(**OPTIONS, **{name: {"a": 1} if name == "vocabulary" else VECTORS})
    with pytest.raises(ValueError, match=f"{name}: expected None for sequences of numbers, got one"):
        classifier.fit(np.zeros((16, 3, 2)), OPINIONS)


# What is told of a token ------------------------------------------------------------------------------------


def test_features_stand_beside_the_token():
    sentences = [["aa", "bb"], ["bb", "aa"], ["bb", "bb"], ["aa", "aa"]] * 8
    labels = [["X" if token == "aa" else "O" for token in row] for row in sentences]
    tagger = SequenceTagger(
        token_features=lambda token: [len(token)], hidden_size=8, max_iter=40, random_state=1
    ).fit(sentences, labels)
    assert set(tagger.vocabulary_) == {"aa", "bb", (0, 2)}
    assert tagger.score(sentences, labels) == 1.0
    numbers = SequenceTagger(**OPTIONS, token_features=lambda token: [token + 1]).fit([[1, 2]], [["a", "b"]])
    assert set(numbers.vocabulary_) == {1, 2, (0, 2), (0, 3)}
    nothing = SequenceTagger(**OPTIONS, token_features=lambda token: token[:0]).fit(sentences, labels)
    assert same(nothing, SequenceTagger(**OPTIONS, token_features=None).fit(sentences, labels))


def test_files_of_before_keep_their_meaning(tmp_path):
    """Written when a function's features stood in place of the token: its first letter, its length."""
    path = FILES / "tagger_of_features.safetensors"

    def features(token):
        return token[0], len(token)

    tagger = gru_rs.load(path, token_features=features)
    assert tagger.vocabulary_ == {2: 1, "a": 2, "b": 3, "c": 4, 1: 5}
    first, second = tagger.predict_proba([["aa", "bb", "c"], ["new"]])
    expected = [
        [0.51176467, 0.46425089, 0.02398444],
        [0.51530602, 0.45858002, 0.02611396],
        [0.27509699, 0.1688305, 0.55607251],
    ]
    assert np.allclose(first, expected, atol=1e-7)
    assert np.allclose(second, [[0.43122944, 0.45176968, 0.117001]])
    tagger.save(tmp_path / "again")
    again = gru_rs.load(tmp_path / "again", token_features=features)
    assert np.array_equal(again.predict_proba([["aa", "bb", "c"]])[0], first)
    # A pickle of then has nothing that came later.
    for later in ("own", "embedding_size"):
        vars(again._reader.tokenizer).pop(later, None)
        vars(again._reader).pop(later, None)
    assert np.array_equal(again.predict_proba([["aa", "bb", "c"]])[0], first)


# A star -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("installed", [True, False])
def test_a_star_gives_the_estimators_that_there_are(installed):
    code = f"""
import sys
if not {installed}:
    sys.modules["sklearn"] = None
import gru_rs
assert "sklearn.base" not in sys.modules
from gru_rs import *
assert ("SequenceClassifier" in globals(), "compare" in globals()) == ({installed}, {installed})
assert GRU(2, 3).hidden_size == 3 and "from_onnx" not in globals()
assert "SequenceClassifier" in dir(gru_rs)
"""
    subprocess.run([sys.executable, "-c", code], check=True)

"""Texts come back as texts: reading and spelling are inverse to each other, answers differ as they are
written, and given ones are as probable as all ways to write them say.
"""

import itertools
import json
import math
from collections import Counter

import gru_rs
import numpy as np
import pytest
from gru_rs import LanguageModel, Seq2Seq, Transcriber
from gru_rs._encoder_decoder import Hypothesis
from gru_rs.estimators._answers import Answers, widened
from gru_rs.estimators._writing import UNWRITTEN, Writer, pieces
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from test_mutants import joined, parts

QUESTIONS = ["how are you", "is it late", "who came", "what time", "in which order", "say it"]
ANSWERS = [
    "It's fine, thanks.",
    "No (it isn't).",
    "Ann-Marie  and Bob's dog!",
    "\tAt 10:45 - or so...\n",
    "one\r\ntwo\n\n three ",
    " naïve café 日本語を話す สวัสดี नमस्ते e\u0301 👍🏽",
]
SMALL = {"hidden_size": 32, "learning_rate_init": 0.01, "random_state": 1}


def writer(texts, *, least=1, most=None, lowercase=False):
    first = Writer.of(texts, "word", None, lowercase=lowercase)
    return first.learn("y", first.tokens("y", texts), least, most, first=3)


def there_and_back(texts, of):
    tokens = {number: token for token, number in of.vocabulary.items()}
    return [of.text([tokens.get(n) for n in of.numbers(row, 2)]) for row in of.tokens("y", texts)]


@given(st.text() | st.text(alphabet=" \t\n'’-.,aBé1١日本งानि\u0301\u200d_\u00a0\u3000"))
def test_pieces_are_the_text(text):
    assert "".join(pieces(text)) == text
    assert all(pieces(text))


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_texts_in_ascii_have_pieces_of_their_own(text):
    """The faster pattern gives what that of all scripts does."""
    assert pieces(text) == pieces("é." + text)[2:]


def test_pieces():
    for text, expected in {
        "It's  fine.": ["It", "'", "s", " ", " fine", "."],
        "\n\n    a   b  ": ["\n\n   ", " a", "  ", " b", " ", " "],
        " a\n\tb - c_d 10:45": [" a", "\n\t", "b", " -", " c_d", " 10", ":", "45"],
        "naïve e\u0301te\u0301": ["naïve", " e\u0301te\u0301"],
        "नमस्ते दुनिया": ["नमस्ते", " दुनिया"],
        "日本語 です。": ["日", "本", "語", " で", "す", "。"],
        "ที่นี่": ["ที่", "นี่"],
        "": [],
    }.items():
        assert pieces(text) == expected


@given(st.lists(st.text(), min_size=1), st.integers(1, 3), st.data())
def test_whatever_is_made_of_known_characters_is_written_as_it_is(texts, least, data):
    of = writer(texts, least=least)
    known = sorted({character for text in texts for character in text})
    others = data.draw(st.lists(st.text(alphabet=known))) if known else []
    for text in (texts, others):
        if text:
            assert there_and_back(text, of) == text
    assert {2} >= {number for row in of.tokens("y", texts) for number in of.numbers(row, 2) if number < 3}


def test_what_a_vocabulary_has():
    texts = ["the cat", "the dog", "the end"]
    assert set(writer(texts, least=2).vocabulary) == {"the", *"thecatdogend "}
    assert {" cat", " dog"} <= set(writer(texts).vocabulary)
    counts = Counter("".join(texts))
    few = writer(texts, most=4).vocabulary
    assert list(few) == [letter for letter, _ in counts.most_common(4)]
    assert list(few.values()) == [3, 4, 5, 6]
    more = writer(texts, most=len(counts) + 1).vocabulary
    assert set(more) == {*counts, "the"}
    unknown = writer(["ab cd"])
    assert there_and_back(["ab", "abxcd", "cd ab"], unknown) == ["ab", f"ab{UNWRITTEN}cd", "cd ab"]
    assert there_and_back(["AB CD"], writer(["Ab cD"], lowercase=True)) == ["ab cd"]


@pytest.mark.parametrize(
    "options", [{}, {"target_min_frequency": 2}, {"target_min_frequency": 99}, {"target_analyzer": "char"}]
)
def test_answers_come_back_as_they_were(options, tmp_path):
    X, y = QUESTIONS * 3, ANSWERS * 3
    model = Seq2Seq(**SMALL, max_iter=120, batch_size=6, **options)
    model.fit([*X, "once"], [*y, "once"])
    assert model.predict(QUESTIONS) == ANSWERS
    assert model.score(QUESTIONS, ANSWERS) == 1
    # A space that is not there is an error that the score sees.
    assert model.score(QUESTIONS[:1], ["It's fine,thanks."]) < 1
    assert model.score(QUESTIONS[:1], ["It 's fine, thanks."]) < 1
    model.save(tmp_path / "model")
    again = gru_rs.load(tmp_path / "model")
    assert again.predict(QUESTIONS) == ANSWERS
    np.testing.assert_array_equal(
        again.log_likelihood(QUESTIONS, ANSWERS), model.log_likelihood(QUESTIONS, ANSWERS)
    )


def test_what_is_unknown_in_a_text():
    model = Seq2Seq(**SMALL, max_iter=30).fit(["a", "b"] * 8, ["yes", "no"] * 8)
    for _ in range(60):
        model.partial_fit(["a", "b"] * 8, ["yes", "zoo"] * 8)
    assert model.predict(["a", "b"]) == ["yes", f"{UNWRITTEN}oo"]
    ((best, *_),) = model.predict_beam(["b"])
    assert best.tokens == [None, "o", "o"]


def translated(count, seed):
    """Word for word, but that names, each of which comes once, stay."""
    rng, words = np.random.default_rng(seed), {"un": "one", "deux": "two", "trois": "three", "et": "and"}
    X = [list(rng.choice(list(words), rng.integers(2, 5))) for _ in range(count)]
    for row in X:
        row.insert(rng.integers(0, len(row) + 1), "".join(rng.choice(list("ABCDE"), 7)))
    X = [list(map(str, row)) for row in X]
    return X, [[words.get(word, word) for word in row] for row in X]


@pytest.mark.parametrize("of_text", [False, True])
@pytest.mark.parametrize("attention", ["dot", None])
def test_unknown_words_are_copied_from_where_attention_looks(attention, of_text, tmp_path):
    X, y = translated(500, 1)
    new, wanted = translated(40, 2)
    functions = {"analyzer": str.split, "target_analyzer": str.split} if of_text else {}
    if of_text:
        X, y, new, wanted = ([" ".join(row) for row in rows] for rows in (X, y, new, wanted))
    options = {"target_min_frequency": 2, "min_frequency": 2, "lowercase": False, "max_iter": 30}
    model = Seq2Seq(attention=attention, bidirectional=True, **options, **SMALL, **functions).fit(X, y)
    found = model.predict(new)
    unknown = [None in guesses[0].tokens for guesses in model.predict_beam(new)]
    assert np.mean(unknown) > 0.9
    right = np.mean([a == b for a, b in zip(found, wanted, strict=True)])
    if attention is None:
        assert right == 0
        assert all((UNWRITTEN if of_text else None) in row for row in found)
    else:
        assert right > 0.8
        assert model.score(new, wanted) > 0.9
    model.save(tmp_path / "model")
    assert gru_rs.load(tmp_path / "model", **functions).predict(new) == found
    model.set_params(attention="dot" if attention is None else None)
    assert model.predict(new) == found, "what was fitted decides"


def test_what_is_copied_keeps_its_case():
    X = [f"i am {name}" for name in ("Bob", "Ann", "Eve", "Jim", "Sue", "Tom", "Kim", "Pat")] * 3
    y = [["hi", text[5:]] for text in X]
    model = Seq2Seq(target_min_frequency=4, max_iter=40, **SMALL).fit(X, y)
    copied = model.predict(["i am Zoe", "i am McX"])
    assert copied[0][0] == "hi"
    assert {token for row in copied for token in row[1:]} <= {"i", "am", "Zoe", "McX"}
    lower = Seq2Seq(target_min_frequency=4, target_lowercase=True, max_iter=40, **SMALL).fit(X, y)
    assert {token for row in lower.predict(["i am Zoe"]) for token in row[1:]} <= {"i", "am", "zoe"}
    # Numbers are not copied among words.
    numbers = [[1, 2, 3], [4, 5, 6]] * 12
    mixed = Seq2Seq(target_min_frequency=4, max_iter=20, **SMALL).fit(numbers, y)
    assert {type(token) for row in mixed.predict(numbers[:2]) for token in row} <= {str, type(None)}


# Distinct answers -------------------------------------------------------------------------------------------


def hypothesis(labels, p):
    return Hypothesis(labels, math.log(p), True, None)


def test_ways_to_write_an_answer_are_one_answer():
    of = writer(["yes", "no", "ye"])
    number = of.vocabulary
    spelled = [number[letter] for letter in "yes"]
    found = Answers(of, None).distinct(
        0,
        [
            hypothesis([number["no"]], 0.4),
            hypothesis([number["yes"]], 0.3),
            hypothesis(spelled, 0.15),
            hypothesis([number["ye"], number["s"]], 0.05),
            hypothesis([], 0.1),
        ],
        0.0,
    )
    assert [guess.target for guess in found] == ["yes", "no", ""]
    np.testing.assert_allclose(np.exp([guess.log_p for guess in found]), [0.5, 0.4, 0.1])
    assert found[0].tokens == ["yes"]
    # A penalty of length favours what is longer, by the tokens of the best way.
    long = [hypothesis([number["no"]], 0.3), hypothesis([number["no"]] * 30, 0.2)]
    for alpha, first in ((0.0, "no"), (1.0, "no" * 30)):
        assert Answers(of, None).distinct(0, long, alpha)[0].target == first


def test_a_beam_is_widened_where_places_were_taken():
    of = writer(["yes", "no", "ye"])
    number = of.vocabulary
    ways = [
        [number["yes"]],
        [number[letter] for letter in "yes"],
        [number["ye"], number["s"]],
        [number["no"]],
        [],
    ]
    every = [hypothesis(way, p) for way, p in zip(ways, (0.3, 0.25, 0.2, 0.15, 0.1), strict=True)]
    asked = []

    def search(rows, beam):
        asked.append((rows.tolist(), beam))
        return [every[:beam] if row else every[3 : 3 + beam] for row in rows]

    answers = Answers(of, None)
    found = widened(search, lambda row, ways: answers.distinct(row, ways, 0.0), 2, 2)
    assert [[guess.target for guess in row] for row in found] == [["no", ""], ["yes", "no"]]
    assert asked == [([0, 1], 2), ([1], 4)]
    assert widened(search, lambda row, ways: answers.distinct(row, ways, 0.0), 0, 2) == []


@pytest.mark.parametrize("width", [1, 2, 5, 20])
def test_a_beam_offers_answers_that_differ(width):
    said = ["Yes.", "Yes!", "Yes", "No.", "Perhaps."] * 6
    asked = [f"is it {n}" for n in range(30)]
    model = Seq2Seq(target_min_frequency=2, max_iter=15, **SMALL).fit(asked, said)
    for row in model.predict_beam(asked[:6], beam_width=width):
        assert 1 <= len(row) <= width
        assert len({guess.target for guess in row}) == len(row)
        assert all(a.log_p >= b.log_p for a, b in itertools.pairwise(row))
        assert sum(math.exp(guess.log_p) for guess in row) <= 1 + 1e-6
    best = [row[0].target for row in model.predict_beam(asked, beam_width=width)]
    assert model.set_params(beam_width=width).predict(asked) == best


# Given answers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attention", ["dot", None])
def test_given_answers_are_as_probable_as_the_decoder_says(attention):
    """All targets of up to three tokens, each by its own path through the decoder."""
    X, y = [["a", "b"], ["b"], ["b", "a", "a"], []] * 4, [["x"], ["z", "x"], [], ["z", "z", "x"]] * 4
    model = Seq2Seq(attention=attention, dtype="float64", max_iter=3, label_smoothing=0.1, **SMALL).fit(X, y)
    tokens = {number: token for token, number in model.target_vocabulary_.items()}
    every = model._hypotheses(model._read_fitted(X[:4], None), np.arange(4), 10_000)
    for row, hypotheses in enumerate(every):
        ended = [one for one in hypotheses if one.ended and len(one.labels) <= 3 and 2 not in one.labels]
        assert len(ended) == 1 + 2 + 4 + 8
        targets = [[tokens[label] for label in one.labels] for one in ended]
        found = model.log_likelihood([X[row]] * len(targets), targets)
        np.testing.assert_allclose(found, [one.log_p for one in ended], rtol=1e-9)
    assert model.log_likelihood([], []).shape == (0,)


def test_given_texts_in_any_company():
    X, y = QUESTIONS * 3, ANSWERS * 3
    model = Seq2Seq(**SMALL, max_iter=20).fit(X, y)
    whole = model.log_likelihood(QUESTIONS, ANSWERS)
    assert whole.tolist() == [
        float(model.log_likelihood([q], [a])[0]) for q, a in zip(QUESTIONS, ANSWERS, strict=True)
    ]
    guesses = model.predict_beam(QUESTIONS[:1], beam_width=4)[0]
    # Of one way to write it, which is among all that were found.
    found = model.log_likelihood(QUESTIONS[:1] * len(guesses), [guess.target for guess in guesses])
    assert all(
        one <= guess.log_p + 1e-4 for one, guess in zip(found, guesses, strict=True) if guess.log_p > -8
    )
    for y, kind, message in [
        (["a"] * 2, ValueError, "y: expected 1 values, one for each sequence of X, got 2"),
        ([[1]], TypeError, "y: expected text, as in training, got lists of tokens"),
        ("a", TypeError, "y: expected a value for each sequence of X, got 'a'"),
    ]:
        with pytest.raises(kind, match=message):
            model.log_likelihood(QUESTIONS[:1], y)


def collapsed(path):
    """What labels of all steps spell."""
    return tuple(label for label, _ in itertools.groupby(path) if label)


@pytest.mark.parametrize("kind", ["text", "numbers"])
def test_given_labels_are_as_probable_as_all_their_paths(kind):
    rng = np.random.default_rng(1)
    X = [rng.normal(size=(steps, 2)) for steps in (1, 2, 3, 4, 5, 5)]
    y = ["a", "ab", "b", "aab", "bab", ""] if kind == "text" else [[7], [7, 9], [9], [7, 7, 9], [9, 7, 9], []]
    model = Transcriber(dtype="float64", max_iter=3, **SMALL).fit(X, y)
    names = model.classes_.tolist()
    for x in X:
        steps = log_softmax(
            model.model_.scores(model._read_fitted([x], None).batch(np.array([0]))[0]), axis=1
        )
        sums = Counter()
        for path in itertools.product(range(3), repeat=len(x)):
            sums[collapsed(path)] += math.exp(sum(steps[t, label] for t, label in enumerate(path)))
        every = [labels for n in range(len(x) + 2) for labels in itertools.product((1, 2), repeat=n)]
        targets = [[names[label - 1] for label in labels] for labels in every]
        if kind == "text":
            targets = ["".join(labels) for labels in targets]
        found = model.log_likelihood([x] * len(every), targets)
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(found, np.log([sums[labels] for labels in every]), rtol=1e-9)
    with pytest.raises(ValueError, match=r"y: expected labels \['a', 'b'\], got 'c' in row 1|got 8 in row 1"):
        model.log_likelihood(X[:2], ["a", "c"] if kind == "text" else [[7], [8]])
    with pytest.raises(ValueError, match="y: expected 2 values"):
        model.log_likelihood(X[:2], y[:1])


# Language models of words -----------------------------------------------------------------------------------

LINES = ["It's a fine day, isn't it?", "Don't say so (please).", "Bob's dog  ran\n\taway!", "a zebra's day"]


@pytest.fixture(scope="module")
def speaker():
    return LanguageModel(analyzer="word", max_iter=60, batch_size=4, chunk_length=20, **SMALL).fit(LINES * 6)


def test_lines_are_generated_as_they_were(speaker):
    found = {speaker.generate("", seed=seed, temperature=0.3) for seed in range(20)}
    assert found <= set(LINES)
    assert len(found) > 2
    for line in LINES:
        for end in range(4, len(line)):
            # Wherever the prompt ends: after a word, a mark, a space, within a word.
            if line[end - 1] == " " or line[end] in " .,!?('\n" or line[end - 1] in "(',":
                assert speaker.generate(line[:end], temperature=0) == line, line[:end]
    assert speaker.generate("a zebr", temperature=0) == "a zebra's day"
    assert "".join(speaker.stream("It's a ", temperature=0)) == "fine day, isn't it?"
    assert speaker.generate("It's a ", max_length=0) == "It's a "
    assert speaker.generate("It's a ", max_length=1, temperature=0) == "It's a fine"
    assert speaker.generate("Don't", stop="so", temperature=0) == "Don't say "
    assert speaker.generate("It's", temperature=0) == LINES[0]


@given(prompt=st.text(max_size=12), seed=st.integers(0, 9))
def test_any_prompt_is_gone_on_with(speaker, prompt, seed):
    text = speaker.generate(prompt, max_length=4, seed=seed)
    assert text.startswith(prompt)
    assert UNWRITTEN not in text[len(prompt) :]
    assert text == prompt + "".join(speaker.stream(prompt, max_length=4, seed=seed))


def test_a_score_is_per_token_and_bits_are_per_character(speaker):
    texts = [*LINES, "a zebra ran", "Zsa", ""]
    numbers, known = [], speaker.vocabulary_
    for text in texts:
        row = []
        for piece in pieces(text):
            row += [known[piece]] if piece in known else [known.get(letter, 0) for letter in piece]
        numbers.append(row)
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


# Joiners, and files of before -------------------------------------------------------------------------------


@pytest.mark.parametrize(("least", "known"), [(None, False), (1, True), (2, False)])
def test_words_that_come_once_are_spelled(least, known):
    model = LanguageModel(analyzer="word", min_frequency=least, max_iter=1, **SMALL).fit(["an ox", "an emu"])
    assert ("an" in model.vocabulary_, " ox" in model.vocabulary_) == (True, known)
    assert set("an oxemu") <= set(model.vocabulary_)
    lists = LanguageModel(min_frequency=least, max_iter=1, **SMALL).fit([["an", "ox"], ["an", "emu"]])
    assert ("ox" in lists.vocabulary_) == (least != 2)


def test_a_joiner_stands_between_words():
    model = Seq2Seq(joiner="_", max_iter=40, **SMALL).fit(["q", "r"] * 9, ["It's so.", "No!"] * 9)
    assert set(model.target_vocabulary_) == {"It", "'", "s", "so", ".", "No", "!"}
    assert model.predict(["q", "r"]) == ["It_'_s_so_.", "No_!"]
    assert model.score(["q", "r"], ["It's so.", "No!"]) == 1
    glued = Seq2Seq(target_analyzer=str.split, joiner="", max_iter=40, **SMALL).fit(["q"] * 9, ["a b c"] * 9)
    assert glued.predict(["q"]) == ["abc"]
    assert glued.score(["q"], ["a b c"]) == 1
    assert glued.score(["q"], ["a b d"]) == pytest.approx(2 / 3)
    lines = LanguageModel(analyzer="word", joiner=" ", max_iter=40, batch_size=4, **SMALL).fit(LINES * 6)
    assert lines.generate("Don't", temperature=0) == "Don't say so ( please ) ."


def as_before(path, change):
    """The same file as an earlier version would have written it."""
    header, tensors = parts(path.read_bytes())
    header = json.loads(json.dumps(header))
    del header["learnt"]["_keeps_spaces"]
    change(header["parameters"])
    path.write_bytes(joined(header, tensors))


def test_files_of_before_answer_as_before(tmp_path):
    path, y = tmp_path / "model", ["It's so.", "No, Ann!"] * 9
    model = Seq2Seq(joiner=" ", target_min_frequency=2, max_iter=40, **SMALL).fit(
        ["q", "r"] * 9 + ["s"], [*y, "so rare"]
    )
    model.save(path)
    as_before(path, lambda parameters: parameters.update(joiner=None))
    again = gru_rs.load(path)
    assert again.joiner is None
    assert again.predict(["q", "r"]) == ["It ' s so .", "No , Ann !"]
    assert again.predict(["s"]) == ["so"]  # the unknown word was left out
    assert again.score(["q", "r"], y[:2]) == 1  # of words alone
    again.partial_fit(["q", "r"], y[:2]).save(path)
    assert gru_rs.load(path).predict(["q", "r"]) == again.predict(["q", "r"])
    lines = LanguageModel(analyzer="word", joiner=" ", max_iter=40, batch_size=4, **SMALL).fit(LINES * 6)
    expected, likely = lines.generate("Don't", temperature=0), lines.log_likelihood(LINES)
    lines.save(path)
    as_before(path, lambda parameters: parameters.update(joiner=None))
    again = gru_rs.load(path)
    assert again.generate("Don't", temperature=0) == expected
    np.testing.assert_array_equal(again.log_likelihood(LINES), likely)
    # Fitted anew it writes as people do.
    assert again.fit(LINES * 6).generate("Don't", temperature=0).startswith("Don't say so (")


def test_what_a_file_says_of_spaces_fits_its_words(tmp_path):
    path = tmp_path / "model"

    def edited(model, change):
        model.save(path)
        header, tensors = parts(path.read_bytes())
        header = json.loads(json.dumps(header))
        change(header["learnt"])
        path.write_bytes(joined(header, tensors))
        return path

    words = Seq2Seq(max_iter=1, **SMALL).fit(["q"] * 3, ["a b", "b a", "b, c"])
    letters = Seq2Seq(max_iter=1, target_analyzer="char", **SMALL).fit(["q"] * 3, ["a b", "b a", "b, c"])
    lists = LanguageModel(max_iter=1, analyzer="word", **SMALL).fit([["a", "b"]] * 3)
    plain = LanguageModel(max_iter=1, analyzer="word", joiner=" ", **SMALL).fit(["one two"] * 3)

    def rename(learnt):
        (place,) = (i for i, (token, _) in enumerate(learnt["target_vocabulary_"]["dict"]) if token == ",")
        learnt["target_vocabulary_"]["dict"][place][0] = "comma"

    for model, change, message in [
        (words, lambda learnt: learnt.update(_keeps_spaces=False), "expected words without spaces"),
        (words, lambda learnt: learnt.pop("_keeps_spaces"), "expected words without spaces"),
        (words, lambda learnt: learnt.update(_keeps_spaces=1), "_keeps_spaces: expected a bool"),
        (words, rename, "expected each character of a piece as a token, too, got 'comma'"),
        (
            letters,
            lambda learnt: learnt.update(_keeps_spaces=True),
            "_keeps_spaces: expected False, as only pieces",
        ),
        (
            lists,
            lambda learnt: learnt.update(_keeps_spaces=True),
            "_keeps_spaces: expected False, as only pieces",
        ),
        (
            plain,
            lambda learnt: learnt.update(_keeps_spaces=True),
            "expected each character of a piece as a token",
        ),
    ]:
        with pytest.raises(ValueError, match=message):
            gru_rs.load(edited(model, change))

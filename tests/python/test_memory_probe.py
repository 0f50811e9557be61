"""`gru_rs.memory_probe`: how far back it finds what counts, what it says of networks, and what it advises."""

import json

import gru_rs
import numpy as np
import pytest
from gru_rs.estimators import MemoryProbe, StepProbe
from gru_rs.estimators._sensitivity import input_gradients

SMALL = {"hidden_size": 12, "max_iter": 20, "learning_rate_init": 0.02}


def first_token(rows, steps, seed=0):
    """Of so many tokens the first is the class."""
    X = np.random.default_rng(seed).integers(0, 8, (rows, steps))
    return X.tolist(), X[:, 0]


def adding(rows, steps, seed=0):
    """The sum of two marked numbers (Hochreiter and Schmidhuber, 1997), one of each half."""
    rng = np.random.default_rng(seed)
    X = np.zeros((rows, steps, 2))
    X[:, :, 0] = rng.uniform(size=(rows, steps))
    at = np.stack([rng.integers(0, steps // 2, rows), rng.integers(steps // 2, steps, rows)], axis=1)
    X[np.arange(rows)[:, np.newaxis], at, 1] = 1
    return X, X[np.arange(rows)[:, np.newaxis], at, 0].sum(axis=1)


# What it finds ----------------------------------------------------------------------------------------------


def test_the_first_of_eight_tokens_is_remembered_by_all():
    probe = gru_rs.memory_probe("classify", *first_token(500, 8))
    assert probe.views.tolist() == [0, 1, 2, 4, 8]
    assert probe.reach == 8
    assert probe.options == {"cell": "gru", "bidirectional": False, "pooling": "last"}
    assert "as far back as the sequences go, 8" in probe.advice
    assert "remembers what counts" in probe.advice
    assert max(scores[3] for scores in probe.scores.values()) < 0.3
    # The network needs the first step, whatever comes behind it, and another's first step is wrong.
    assert probe.within["gru"][0].mean() < 0.5
    assert probe.between["gru"][3].mean() < 0.3
    assert probe.gradients["gru"].argmax() == 7


def test_the_first_of_sixty_tokens_needs_both_directions():
    X, y = first_token(500, 60)
    probe = gru_rs.memory_probe("classify", X, y, options={"max_iter": 12, "hidden_size": 24})
    assert probe.reach == 60
    assert probe.advised == "wide"
    assert probe.options == {"cell": "gru", "bidirectional": True, "pooling": "max"}
    assert "Take bidirectional=True, pooling='max'" in probe.advice
    # What it advises is what helps: on rows that it has not seen, trained by the same options.
    own = {"max_iter": 12, "hidden_size": 24, "learning_rate_init": 5e-3, "random_state": 1}
    fresh, truth = first_token(300, 60, seed=1)
    advised = gru_rs.SequenceClassifier(**own | probe.options).fit(X, y)
    plain = gru_rs.SequenceClassifier(**own | {"bidirectional": False, "pooling": "last"}).fit(X, y)
    assert advised.score(fresh, truth) > 0.9
    assert plain.score(fresh, truth) < 0.3


def test_the_adding_problem_reaches_as_far_as_there_are_steps():
    probe = gru_rs.memory_probe("regress", *adding(600, 24), options={"max_iter": 30, "hidden_size": 16})
    assert probe.reach == 24
    assert probe.quality == "R²"
    scores = probe.scores[probe.best]
    assert scores[-1] > 0.9
    assert scores[-2] < 0.85  # the last 16 steps do not hold the first number of most
    # The two numbers may stand anywhere: it is no order that counts.
    assert not probe.order_counts
    assert "order of the steps counts little" in probe.advice
    assert probe.between[probe.advised][0].mean() < 0


@pytest.mark.parametrize(("back", "reach"), [(0, 1), (1, 2), (5, 8)])
def test_the_last_steps_are_found(back, reach):
    rng = np.random.default_rng(back)
    X = [rng.normal(size=(length, 2)) for length in rng.integers(12, 20, 400)]
    probe = gru_rs.memory_probe("regress", X, [x[-1 - back, 1] for x in X])
    assert probe.reach == reach
    assert probe.advice.startswith("The last step tells" if reach == 1 else f"The last {reach} steps tell")
    advised = probe.advised
    assert advised == "gru" or back == 5  # of 500 steps of training, that is some way to remember
    assert probe.gradients[advised].argmax() == back
    assert probe.between[advised][0].mean() < 0 < probe.between[advised][int(np.log2(reach)) + 1].mean()


def test_where_there_is_nothing_nothing_is_found():
    rng = np.random.default_rng(0)
    for task, y in (("classify", rng.integers(0, 2, 300)), ("regress", rng.normal(size=300))):
        probe = gru_rs.memory_probe(task, rng.normal(size=(300, 12, 2)), y, options=SMALL)
        assert probe.reach is None
        assert probe.advised is None
        assert probe.options == {}
        assert probe.advice.startswith("Nothing of the sequences tells of the target")
        assert not probe.order_counts


def test_texts_and_series_are_probed():
    rng = np.random.default_rng(0)
    words = rng.choice(["red", "green", "blue"], (400, 6))
    probe = gru_rs.memory_probe("classify", [" ".join(row) for row in words], words[:, 3], options=SMALL)
    assert probe.reach == 4
    series = np.zeros(900)
    for step in range(6, 900):  # each value follows the one six before
        series[step] = -0.9 * series[step - 6] + rng.normal()
    probe = gru_rs.memory_probe("forecast", series, longest=16, options=SMALL | {"horizon": 1})
    assert probe.views.tolist() == [0, 1, 2, 4, 8, 16]
    assert probe.reach == 8
    assert "A window of 8 is enough" in probe.advice
    more = gru_rs.memory_probe("forecast", series, longest=6, options=SMALL)
    assert "More context may help: probe with longest above 6" in more.advice


def test_texts_without_spaces_are_read_by_letters_and_pairs():
    texts = [f"{'差好'[row % 2]}这个手机{'甲乙丙'[row % 3]}" for row in range(60)]
    with pytest.warns(UserWarning, match="read by letters") as caught:
        probe = gru_rs.memory_probe("classify", texts, np.arange(60) % 2, options={"max_iter": 30})
    assert [warning.filename for warning in caught] == [__file__]
    assert probe.views.tolist() == [0, 1, 2, 4, 6]
    assert probe.reach == 6
    # Letters that networks are given by hand, with their pairs, are the same.
    letters = {"max_iter": 30, "analyzer": "unspaced"}
    other = gru_rs.memory_probe("classify", list(map(list, texts)), np.arange(60) % 2, options=letters)
    for reader, scores in probe.seen.items():
        np.testing.assert_array_equal(scores, other.seen[reader])


def test_cutting_and_padding_are_seen():
    X, y = first_token(200, 8)
    probe = gru_rs.memory_probe("classify", X, y, longest=3, options=SMALL)
    assert probe.views.tolist() == [0, 1, 2, 3]
    assert probe.reach is None
    padded = np.zeros((200, 8, 1))
    lengths = np.random.default_rng(0).integers(1, 8, 200)
    padded[np.arange(200), lengths - 1, 0] = y
    padded[np.arange(8) >= lengths[:, np.newaxis]] = np.nan
    probe = gru_rs.memory_probe("regress", padded, y.astype(float), lengths=lengths, options=SMALL)
    assert probe.reach == 1


# Targets of steps -------------------------------------------------------------------------------------------


def labelled(back, ahead, rows=120, seed=0):
    """Of each step whether the tokens so far before it, and after it if that is said, are small."""
    rng = np.random.default_rng(seed)
    X = [rng.integers(0, 6, length).tolist() for length in rng.integers(9, 14, rows)]

    def small(x, at):
        return "yes" if 0 <= at < len(x) and x[at] < 3 else "no"

    def label(x, at):
        return small(x, at - back) + ("" if ahead is None else small(x, at + ahead))

    return X, [[label(x, at) for at in range(len(x))] for x in X]


TAGGED = {"rows": 500, "options": {"max_iter": 15, "learning_rate_init": 0.02}}


def test_labels_that_depend_on_steps_before():
    probe = gru_rs.memory_probe("tag", *labelled(2, None), **TAGGED)
    assert isinstance(probe, StepProbe)
    assert (probe.task, probe.quality) == ("tag", "accuracy of labels")
    assert probe.reach == (3, None)
    assert probe.back.scores["gru"][3] > 0.95
    assert probe.back.scores["gru"][2] < 0.75
    assert probe.options == {"cell": "gru", "bidirectional": False}
    assert "A step's target depends on 3 steps before it: accuracy of labels" in probe.advice
    assert "A step and those after it tell nothing of its target" in probe.advice
    assert probe.advice.endswith("It can be streamed.")
    assert probe.back.gradients["gru"].argmax() in (0, 1, 2)
    assert probe.back.between["gru"][2].mean() < 0.75
    assert probe.back.trained == probe.ahead.trained
    assert probe.back.trained + probe.back.held == 500


def test_labels_that_depend_on_steps_to_come_need_both_directions():
    X, y = labelled(0, 1)
    probe = gru_rs.memory_probe("tag", X, y, **TAGGED)
    assert probe.reach == (0, 1)
    assert probe.options == {"cell": "gru", "bidirectional": True}
    assert "With those before it nothing more is found than in a step by itself" in probe.advice
    assert "Take bidirectional=True, which comes to" in probe.advice
    assert probe.scores["both"] > 0.95
    # What it advises is what helps, on sequences that it has not seen.
    fresh, truth = labelled(0, 1, seed=1)
    own = {"hidden_size": 24, "max_iter": 15, "learning_rate_init": 0.02, "random_state": 1, "crf": False}
    own["scoring"] = "steps"
    found = [
        gru_rs.SequenceTagger(**own | options).fit(X, y)
        for options in (probe.options, {"bidirectional": False})
    ]
    right = [np.mean(np.concatenate(one.predict(fresh)) == np.concatenate(truth)) for one in found]
    assert right[0] > 0.95
    assert right[1] < 0.85


def test_numbers_of_steps():
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(length, 2)) for length in rng.integers(6, 12, 120)]
    y = [np.stack([np.append(0, x[:-1, 0]), x[:, 1]], axis=1) for x in X]
    options = TAGGED["options"] | {"pooling": "each"}
    probe = gru_rs.memory_probe("regress", X, y, rows=500, options=options)
    assert probe.reach == (1, 0)
    assert probe.quality == "R²"
    assert probe.options == {"cell": "gru", "bidirectional": False}
    one = gru_rs.memory_probe("regress", X, [row[:, 0] for row in y], rows=500, longest=1, options=options)
    assert one.back.views.tolist() == one.ahead.views.tolist() == [0, 1]
    assert one.reach == (None, None)
    assert "tell nothing of its target" in one.advice
    padded, wanted, lengths = np.zeros((120, 12, 2)), np.zeros((120, 12)), np.array(list(map(len, X)))
    for row, (x, target) in enumerate(zip(X, y, strict=True)):
        padded[row, : len(x)], wanted[row, : len(x)] = x, target[:, 0]
    again = gru_rs.memory_probe(
        "regress", padded, wanted, lengths=lengths, rows=500, longest=1, options=options
    )
    assert {**again.to_dict(), "seconds": 0} != {**probe.to_dict(), "seconds": 0}
    np.testing.assert_array_equal(again.whole["gru"], one.whole["gru"])


def test_words_and_texts_are_read_as_a_tagger_does():
    rng = np.random.default_rng(0)
    words = [rng.choice(["Ann", "ann", "Bob", "bob"], 5).tolist() for _ in range(100)]
    y = [["name" if word.istitle() else "none" for word in row] for row in words]
    options = {"max_iter": 8, "learning_rate_init": 0.02}
    probe = gru_rs.memory_probe("tag", words, y, rows=300, options=options)
    assert probe.reach == (0, 0), "capitals are seen"
    texts = gru_rs.memory_probe("tag", [" ".join(row) for row in words], y, rows=300, options=options)
    np.testing.assert_array_equal(texts.back.seen["gru"], probe.back.seen["gru"])


def test_groups_of_sequences_keep_their_steps_together():
    X, y = labelled(1, None)
    speakers = np.arange(120) % 30
    probe = gru_rs.memory_probe("tag", X, y, groups=speakers, **TAGGED)
    assert 5 < len(np.unique(probe.back.blocks)) <= 9  # three of ten of thirty
    np.testing.assert_array_equal(probe.back.blocks, probe.ahead.blocks)
    runs = [gru_rs.memory_probe("tag", X, y, random_state=seed, **TAGGED).to_dict() for seed in (3, 3, 4)]
    plain = [json.dumps(run).split('"seconds"')[0] for run in runs]
    assert plain[0] == plain[1] != plain[2]


def test_steps_in_numbers_and_in_a_picture(tmp_path, capsys):
    seen = []
    told = {"verbose": True, "callback": seen.append}
    probe = gru_rs.memory_probe("tag", *labelled(1, None, rows=40), rows=100, **told, options={"max_iter": 1})
    assert [(info.done, info.total) for info in seen[-3:]] == [(1, 3), (2, 3), (3, 3)]
    assert len(capsys.readouterr().out.splitlines()) == len(seen)
    plain = json.loads(json.dumps(probe.to_dict(), allow_nan=False))
    assert plain["back"]["views"] == probe.back.views.tolist()
    assert plain["reach"] == list(probe.reach)
    assert str(probe).endswith(probe.advice)
    axes = probe.plot(tmp_path / "probe.png")
    assert (tmp_path / "probe.png").stat().st_size > 1000
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), probe.back.scores["gru"][1:])
    np.testing.assert_array_equal(axes.lines[0].get_xdata(), 1 - probe.back.views[1:])
    assert probe.plot(ax=axes) is axes


STEPS = {"task": "regress", "options": {"pooling": "each"}}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"y": [["a", "b"]] * 29 + [["a"]]},
            "y: expected 2 targets in row 29, one for each step of X, got 1",
        ),
        ({"y": ["a", "b"] * 15}, "y: expected 2 targets in row 0, one for each step of X, got one value"),
        ({"y": [["a", "a"]] * 30}, r"y: expected at least 2 labels, got \['a'\]"),
        ({"y": [["a", 1]] * 30}, "y: expected labels"),
        ({"X": [[1, 2]] * 19, "y": [["a", "b"]] * 19}, "X: expected at least 20 sequences, got 19"),
        ({"task": "regress", "options": {"pooling": "each"}}, "y, row 0, step 0: expected"),
        ({"task": "regress"}, "y, row 0, step 0: expected"),
        ({"options": {"pooling": "last"}}, "options: expected no pooling, which the probe sets itself"),
        ({"options": {"crf": True}}, "options: expected names of analyzer, .*weight_decay, got 'crf'$"),
        ({"options": {"loss": "x"}}, "options: expected names of analyzer, .*weight_decay, got 'loss'$"),
        (
            {"y": [["a", "b"]] * 29 + [[["a"], ["b"]]]},
            r"y: expected a label .* in row 29, got shape \(2, 1\)",
        ),
        ({"y": [["a", "b"]] * 29 + [[1, 2]]}, "y: expected labels of one kind in all rows"),
        ({"y": [[0.0, 1.0]] * 9 + [[1.0, np.nan]] * 21}, "y: expected finite numbers, .* in row 9, step 1$"),
        (STEPS | {"y": [[1.0, 2.0]] * 29 + [[[1.0], [2.0]]]}, r"y: .* got shape \(2, 1\) in row 29"),
        (STEPS | {"y": [[1.0, 2.0]] * 29 + [[[1.0], [2.0, 3.0]]]}, "y, row 29: expected as many numbers"),
        (STEPS | {"y": [[1.0, 2.0]] * 9 + [[np.inf, 2.0]] * 21}, "y: expected finite .* in row 9, step 0$"),
        (STEPS | {"y": [[1.0, 2.0]] * 9 + [[1.0]] * 21}, "y: expected 2 targets in row 9, .* got 1$"),
    ],
)
def test_mistakes_in_targets_of_steps_are_named(given, message):
    plain = {"task": "tag", "X": [[1, 2], [2, 1]] * 15, "y": [["a", "b"]] * 30}
    with pytest.raises((ValueError, TypeError), match=message):
        gru_rs.memory_probe(**plain | given)


# How --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_are_those_of_finite_differences(cell, pooling, bidirectional):
    options = {"cell": cell, "pooling": pooling, "bidirectional": bidirectional}
    model = gru_rs.Model(2, 3, 3, num_layers=2, dtype="float64", seed=1, **options)
    x, lengths = np.random.default_rng(0).normal(size=(2, 4, 2)), np.array([4, 3])
    found = input_gradients(model, x, lengths)
    classes = model.scores(x, lengths=lengths).argmax(axis=1)

    def score(given, row):
        scores = model.scores(given, lengths=lengths)[row]
        return scores[classes[row]] - scores.mean()

    for row, step, feature in np.ndindex(2, 4, 2):
        moved = []
        for off in (1e-6, -1e-6):
            other = x.copy()
            other[row, step, feature] += off
            moved.append(score(other, row))
        np.testing.assert_allclose(found[row, step, feature], (moved[0] - moved[1]) / 2e-6, atol=1e-8)


def test_gradients_of_tokens_are_those_of_their_embeddings():
    model = gru_rs.Model(3, 4, 1, vocabulary_size=5, dtype="float64", seed=1)
    ids = np.array([[[1], [2], [3]]], np.uint32)
    found = input_gradients(model, ids, np.array([3]))
    flat, size = model.flat.copy(), 3
    for step, feature in np.ndindex(3, 3):
        moved = []
        for off in (1e-6, -1e-6):
            other = flat.copy()
            other[(step + 1) * size + feature] += off
            model.set_flat(other)
            moved.append(float(model.scores(ids)[0, 0]))
        np.testing.assert_allclose(found[0, step, feature], (moved[0] - moved[1]) / 2e-6, atol=1e-8)


def test_the_same_seed_gives_the_same_figures():
    X, y = first_token(120, 6)
    runs = [
        gru_rs.memory_probe("classify", X, y, rows=100, random_state=seed, options=SMALL)
        for seed in (3, 3, 4)
    ]
    plain = [{**run.to_dict(), "seconds": 0} for run in runs]
    assert plain[0] == plain[1] != plain[2]
    assert runs[0].trained + runs[0].held == 100


def test_groups_are_kept_apart():
    """A subject's own mark tells its label, to nobody else: with groups there is nothing to be found."""
    rng = np.random.default_rng(0)
    subject = np.repeat(np.arange(20), 15)
    label = rng.permutation(np.arange(20) % 2)[subject]
    X = np.eye(20)[subject][:, np.newaxis] + rng.normal(size=(300, 5, 20)) / 20
    assert gru_rs.memory_probe("classify", list(X), label, options=SMALL).reach == 1
    apart = gru_rs.memory_probe("classify", list(X), label, groups=subject, options=SMALL)
    assert apart.reach is None


def test_cost_is_bounded_and_told(capsys):
    X, y = first_token(100, 16)
    seen = []
    probe = gru_rs.memory_probe("classify", X, y, max_steps=40_000, verbose=True, callback=seen.append)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(seen) == seen[-1].total == 15
    assert [info.done for info in seen] == list(range(1, 16))
    assert lines[0].startswith("1 of 15: gru, last 1 steps, score 0.")
    assert seen[-1].score == pytest.approx(probe.scores["wide"][-1])
    # 40,000 steps are 9 batches of 32 sequences for each of the networks: of 70 sequences 3 epochs.
    epochs = []
    options = {"callbacks": lambda info: epochs.append(info.epoch) and None}
    gru_rs.memory_probe("classify", X, y, max_steps=40_000, options=options)
    assert max(epochs) + 1 == 3
    assert probe.seconds > 0


def test_shown_in_numbers_and_in_a_picture(tmp_path):
    X, y = first_token(80, 5)
    probe = gru_rs.memory_probe("classify", X, y, options=SMALL)
    assert isinstance(probe, MemoryProbe)
    plain = json.loads(json.dumps(probe.to_dict(), allow_nan=False))
    assert plain["views"] == [0, 1, 2, 4, 5]
    assert plain["advice"] == probe.advice
    assert str(probe).endswith(probe.advice)
    table = str(probe).splitlines()
    assert len(table) == 2 + 1 + 5 + 2
    assert f"{probe.scores['lstm'][-1]:.3f}" in table[7]
    axes = probe.plot()
    assert axes.get_ylabel() == "accuracy"
    assert sum(line.get_linestyle() == "-" for line in axes.lines) >= 3
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), probe.scores["gru"])
    axes.figure.savefig(tmp_path / "probe.png")
    assert probe.plot(ax=axes) is axes
    probe.plot(tmp_path / "written.png")
    assert (tmp_path / "written.png").stat().st_size > 1000
    with pytest.raises(TypeError, match="ax: expected axes of matplotlib, got 3"):
        probe.plot(ax=3)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "lm"}, "task: expected 'classify' or 'regress' or 'tag' or 'forecast', got 'lm'"),
        ({"X": [[1, 2]] * 19, "y": [0, 1] * 9 + [0]}, "X: expected at least 20 sequences, got 19"),
        ({"y": [0] * 30}, r"y: expected at least 2 classes, got \[0\]"),
        ({"y": [0]}, "y: expected 30 values"),
        ({"y": np.zeros((30, 2), int)}, r"y: expected one label for each sequence, shape \(n,\), got"),
        ({"X": [""] * 30}, "X: expected sequences of some steps, got none of any"),
        ({"options": {"cell": "gru"}}, "options: expected no cell, which the probe sets itself, got 'gru'"),
        ({"options": {"max_length": 3}}, "options: expected no max_length"),
        ({"options": {"colour": 3}}, "options: expected names of analyzer, .*weight_decay, got 'colour'$"),
        ({"options": {"conv_stride": 3}}, "options: expected no conv_stride, which the probe sets itself"),
        ({"options": {"crf": True}}, "options: expected names of .*, got 'crf'$"),
        ({"task": "regress", "options": {"class_weight": "balanced"}}, "options: .*, got 'class_weight'$"),
        ({"task": "regress", "y": np.array([0, 1, np.nan] * 10)}, "y: expected finite numbers, .* in row 2$"),
        ({"task": "regress", "y": [[0, 1]] * 29 + [[np.inf, 1]]}, "y: expected finite numbers, .* row 29$"),
        ({"task": "regress", "y": [[0, 1]] * 29 + [[1]]}, "y: expected as many numbers in each row"),
        ({"y": np.array([0, 1, np.nan] * 10)}, "y: expected finite numbers, .* in row 2$"),
        ({"X": ["a b", "b a"] * 15, "options": {"analyzer": "words"}}, "analyzer: expected"),
        ({"rows": 0}, "rows: expected"),
        ({"longest": 0}, "longest: expected"),
        ({"max_steps": 0.5}, "max_steps: expected"),
        ({"callback": 3}, "callback: expected a function or None, got 3"),
        ({"groups": [0] * 30}, "groups: expected at least 2 groups"),
        ({"task": "forecast", "X": np.arange(90.0)}, "y: expected None for the task 'forecast'"),
        ({"task": "forecast", "X": np.arange(9.0), "y": None}, "X: expected at least 22 values, got 9"),
    ],
)
def test_mistakes_are_named(given, message):
    plain = {"task": "classify", "X": [[1, 2], [2, 1]] * 15, "y": [0, 1] * 15}
    with pytest.raises((ValueError, TypeError), match=message):
        gru_rs.memory_probe(**plain | given)


def test_rare_labels_are_too_few_to_tell():
    rows = np.random.default_rng(0).permutation([0] * 54 + [1] * 6)
    X, y = ([[words[row]] for row in rows] for words in ("ab", "PN"))
    probes = [gru_rs.memory_probe("tag", X, y, random_state=seed) for seed in range(6)]
    unsure = [one for one in probes if one.advised is None and max(one.scores.values()) > one.chance]
    assert unsure  # with one or two rare labels held out
    for probe in unsure:
        assert probe.advice.startswith("There is too little data to tell what a step")
        assert "more data may tell" in probe.advice


def test_rows_that_cannot_be_parted_are_refused():
    with pytest.raises(ValueError, match="rows: expected at least 20, of which some are held out, got 10"):
        gru_rs.memory_probe("classify", [[1, 2]] * 40, [0, 1] * 20, rows=10)

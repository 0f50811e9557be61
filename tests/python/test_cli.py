"""The command line as a shell sees it: files in, models, predictions and figures out, exit codes."""

import json
import subprocess
import sys

import gru_rs as gru_rs_package
import numpy as np
import pytest

FAST = ["--set", "hidden_size=8", "--epochs", "15", "--no-early-stopping"]


def gru_rs(*arguments, code=0):
    call = [sys.executable, "-c", "from gru_rs.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(call, capture_output=True, text=True, timeout=240)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files of each kind, and a model trained on each."""
    folder = tmp_path_factory.mktemp("cli")
    rows = ['"good, very good",5', '"a ""fine"" one",5', "bad,1", "very bad,1"] * 6
    (folder / "reviews.csv").write_text("\n".join(["review,stars", *rows]) + "\n")
    tagged = "Ann\tB-PER\nmet\tO\nBob\tB-PER\n\nthey\tO\nslept\tO\n\n" * 8
    (folder / "people.conll").write_text(tagged)
    rng = np.random.default_rng(0)
    sums = rng.normal(size=(30, 4, 2))
    lines = [json.dumps({"x": x.tolist(), "sum": x.sum()}) for x in sums]
    (folder / "sums.jsonl").write_text("\n".join(lines))
    steps = [f"{i},{a},{b},{int(x.sum() > 0)}" for i, x in enumerate(sums) for a, b in x]
    (folder / "steps.csv").write_text("\n".join(["id,a,b,label", *steps]))
    wave = np.sin(np.arange(150) / 4)
    (folder / "wave.csv").write_text("\n".join(["value,day", *(f"{v},{i % 7}" for i, v in enumerate(wave))]))
    text = ["--text", "review", "--label", "stars"]
    gru_rs("train", folder / "reviews.csv", "-o", folder / "text", *text, *FAST)
    gru_rs("train", folder / "people.conll", "-o", folder / "tag", "--task", "tag", *FAST)
    regress = ["--task", "regress", "--text", "x", "--label", "sum"]
    gru_rs("train", folder / "sums.jsonl", "-o", folder / "sum", *regress, *FAST)
    long = ["--sequence", "id", "--features", "a,b"]
    gru_rs("train", folder / "steps.csv", "-o", folder / "steps", *long, *FAST)
    forecast = ["--task", "forecast", "--exog", "day", "--set", "window=12", "--set", "horizon=2"]
    gru_rs("train", folder / "wave.csv", "-o", folder / "wave", *forecast, *FAST)
    (folder / "lines.txt").write_text("the cat sat\nthe dog sat\n\na cat ran\n" * 8)
    learn = ["--set", "learning_rate_init=0.02", "--set", "batch_size=4", "--set", "chunk_length=30"]
    gru_rs("train", folder / "lines.txt", "-o", folder / "lm", "--task", "lm", *FAST, *learn)
    words = ["abc", "cab", "bca"] * 8
    (folder / "words.csv").write_text("\n".join(["word,label", *(f"{word},{word[::-1]}" for word in words)]))
    chars = ["--set", 'analyzer="char"', "--set", 'target_analyzer="char"']
    gru_rs(
        "train",
        folder / "words.csv",
        "-o",
        folder / "s2s",
        "--task",
        "seq2seq",
        "--text",
        "word",
        *FAST,
        *chars,
    )
    heard = [
        {"x": np.eye(3)[[0, 0, 2, 1, 1]].tolist(), "label": "ab"},
        {"x": np.eye(3)[[1, 1, 2]].tolist(), "label": "b"},
    ]
    (folder / "heard.jsonl").write_text("\n".join(json.dumps(row) for row in heard * 12))
    gru_rs("train", folder / "heard.jsonl", "-o", folder / "ctc", "--task", "ctc", "--text", "x", *FAST)
    return folder


def test_train_says_what_it_did(folder):
    done = gru_rs(
        "train",
        folder / "reviews.csv",
        "-o",
        folder / "again",
        "--text",
        "review",
        "--label",
        "stars",
        *FAST,
        "--json",
    )
    found = json.loads(done)
    assert found["trained on"] == 24
    assert found["epochs"] == 15
    assert (folder / "again").read_bytes() == (folder / "text").read_bytes()  # the same seed, the same bits


def test_what_is_left_open_is_the_estimators_own(folder, tmp_path):
    """Epochs follow from the rows; a second direction can be turned off, for streams."""
    source = [folder / "reviews.csv", "--text", "review", "--label", "stars"]
    options = ["--no-early-stopping", "--set", "hidden_size=2", "--set", "bidirectional=false", "--json"]
    found = json.loads(gru_rs("train", *source, "-o", tmp_path / "open", *options))
    assert found["epochs"] == 150
    model = gru_rs_package.load(tmp_path / "open")
    assert (model.max_iter, model.batch_size, model.learning_rate) == (None, None, None)
    model.stream()
    assert gru_rs_package.load(folder / "text").bidirectional


def test_predict(folder):
    found = gru_rs("predict", folder / "text", folder / "reviews.csv", "--text", "review").split()
    assert found == ["5", "5", "1", "1"] * 6
    tags = gru_rs("predict", folder / "tag", folder / "people.conll").splitlines()
    assert tags[:2] == ["B-PER O B-PER", "O O"]
    numbers = json.loads(gru_rs("predict", folder / "sum", folder / "sums.jsonl", "--text", "x", "--json"))
    assert len(numbers) == 30
    assert len(gru_rs("predict", folder / "wave", folder / "wave.csv", "--exog", "day").split()) == 2


def test_evaluate(folder):
    text = ["--text", "review", "--label", "stars", "--json"]
    assert json.loads(gru_rs("evaluate", folder / "text", folder / "reviews.csv", *text))["accuracy"] == 1
    tagged = json.loads(gru_rs("evaluate", folder / "tag", folder / "people.conll", "--json"))
    assert tagged == {"F1 or accuracy": 1.0, "sequences": 16}
    long = ["--sequence", "id", "--features", "a,b", "--json"]
    assert json.loads(gru_rs("evaluate", folder / "steps", folder / "steps.csv", *long))["sequences"] == 30
    wave = json.loads(gru_rs("evaluate", folder / "wave", folder / "wave.csv", "--exog", "day", "--json"))
    assert wave["RMSE"] < wave["naive RMSE"]
    assert wave["RMSE"] < wave["last value RMSE"]


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_columns_are_those_of_training_by_name(folder, command):
    steps = folder / "steps.csv", "--sequence", "id", "--features"
    told = gru_rs(command, folder / "steps", *steps, "b,a", code=1)
    assert "X: expected the columns ['a', 'b'] in this order, as in training, got ['b', 'a']" in told
    text = (folder / "wave.csv").read_text()
    (folder / "other.csv").write_text(text.replace("day", "hour", 1))
    told = gru_rs(command, folder / "wave", folder / "other.csv", "--exog", "hour", code=1)
    assert "exog: expected the columns ['day'] in this order, as in training, got ['hour']" in told


def test_sequences_by_name_are_read_as_others_are(folder):
    """In Python the columns of a table have names, and a list of arrays has none."""
    model = gru_rs_package.load(folder / "steps")
    assert model.feature_names_in_.tolist() == ["a", "b"]
    rows = np.loadtxt(folder / "steps.csv", delimiter=",", skiprows=1)
    arrays = [rows[rows[:, 0] == i, 1:3] for i in range(30)]
    said = gru_rs("predict", folder / "steps", folder / "steps.csv", "--sequence", "id", "--features", "a,b")
    with pytest.warns(UserWarning, match="feature names"):
        assert [str(label) for label in model.predict(arrays)] == said.split()


def test_language(folder):
    options = ["--prompt", "the ", "--max-length", "30", "--seed", "1", "--count", "2"]
    (folder / "plain.txt").write_text("the cat\n")
    texts = json.loads(gru_rs("generate", folder / "lm", *options, "--json"))
    assert len(texts) == 2
    assert all(text.startswith("the ") for text in texts)
    assert gru_rs("generate", folder / "lm", *options) == "\n".join(texts) + "\n"
    found = json.loads(gru_rs("evaluate", folder / "lm", folder / "lines.txt", "--json"))
    assert found["texts"] == 24
    assert found["bits a character"] < 4
    assert "see gru-rs generate" in gru_rs("predict", folder / "lm", folder / "lines.txt", code=1)
    for option in ("--label", "--text"):
        told = gru_rs("evaluate", folder / "lm", folder / "lines.txt", option, "x", code=2)
        assert f"{option}: expected none for" in told
    assert "--task" in gru_rs("compare", folder / "words.csv", "--task", "lm", code=2)
    # What a Windows editor puts before a text is none of it.
    (folder / "marked.txt").write_text("the cat\n", encoding="utf-8-sig")
    marked, plain = (
        json.loads(gru_rs("evaluate", folder / "lm", folder / name, "--json"))
        for name in ("marked.txt", "plain.txt")
    )
    assert marked == plain
    assert "expected a LanguageModel" in gru_rs("generate", folder / "text", code=1)
    assert "temperature" in gru_rs("generate", folder / "lm", "--temperature", "-1", code=1)


def test_sequences_of_labels(folder):
    for model, file, column in [("s2s", "words.csv", "word"), ("ctc", "heard.jsonl", "x")]:
        lines = gru_rs("predict", folder / model, folder / file, "--text", column).split("\n")
        assert len(lines) == 25
        found = json.loads(gru_rs("evaluate", folder / model, folder / file, "--text", column, "--json"))
        assert found["sequences"] == 24


def test_compare(folder):
    text = ["--text", "review", "--label", "stars", "--folds", "3"]
    options = ["--set", "hidden_size=8", "--set", "max_iter=5"]
    found = json.loads(gru_rs("compare", folder / "reviews.csv", *text, *options, "--json"))
    assert [entry["kind"] for entry in found["entries"]] == ["baseline"] * 3 + ["gru", "lstm"]
    assert {len(entry["scores"]) for entry in found["entries"]} == {9}
    assert found["quality"] == "accuracy"
    shown = gru_rs("compare", folder / "reviews.csv", *text, *options, "--repeats", "1")
    assert "3 folds" in shown
    assert "logistic regression" in shown
    assert "parameters" in shown


def test_probe(folder):
    few = ["--rows", "60", "--longest", "2", "--seed", "1", "--set", "max_iter=2"]
    text = ["--text", "review", "--label", "stars"]
    found = json.loads(gru_rs("probe", folder / "reviews.csv", *text, *few, "--json"))
    assert found["views"] == [0, 1, 2]
    assert found["quality"] == "accuracy"
    picture, more = folder / "memory.png", folder / "more.conll"
    more.write_text(2 * ((folder / "people.conll").read_text().rstrip("\n") + "\n\n"))
    shown = gru_rs("probe", more, "--task", "tag", *few, "--plot", picture)
    assert "steps after" in shown
    assert "whole sequences, accuracy of labels" in shown
    assert picture.stat().st_size > 1000
    tagged = json.loads(gru_rs("probe", more, "--task", "tag", *few, "--json"))
    assert set(tagged["whole"]) == {"gru", "lstm", "both"}
    wave = gru_rs("probe", folder / "wave.csv", "--task", "forecast", *few)
    assert "R² of the change" in wave
    error = gru_rs("probe", folder / "wave.csv", "--task", "forecast", "--exog", "day", code=2)
    assert "--exog: expected none" in error
    assert "rows: expected" in gru_rs("probe", folder / "reviews.csv", *text, "--rows", "0", code=1)


def test_info(folder):
    found = json.loads(gru_rs("info", folder / "tag", "--json"))
    assert found["estimator"] == "SequenceTagger"
    assert found["classes"] == ["B-PER", "O"]
    assert "version" in gru_rs("info")


def test_mistakes_name_file_and_line(folder):
    text = ["--text", "review", "--label", "stars"]

    def wrong(name, content, *arguments, code=1):
        (folder / name).write_text(content)
        return gru_rs("train", folder / name, "-o", folder / "never", *arguments, code=code).replace("\n", "")

    assert "few.csv, line 3: expected 2 fields" in wrong("few.csv", "review,stars\na,1\nb\n", *text)
    assert "no.csv, line 1: expected a column 'stars', got ['review']" in wrong(
        "no.csv", "review\na\n", *text
    )
    assert "bad.jsonl, line 2: expected JSON" in wrong(
        "bad.jsonl", '{"review": "a", "stars": 1}\n{"re', *text
    )
    assert "list.jsonl, line 1: expected an object" in wrong("list.jsonl", "[1]\n", *text)
    assert "one.conll, line 2: expected 2 columns as in line 1, got 1" in wrong(
        "one.conll", "a B\nb\n", "--task", "tag"
    )
    assert "empty.csv: expected at least one" in wrong("empty.csv", "review,stars\n", *text)
    assert "word.csv, line 2: expected a number in 'stars'" in wrong(
        "word.csv", "review,stars\na,many\n", *text, "--task", "regress"
    )
    assert "some.xls: expected a file that ends with" in wrong("some.xls", "", *text)
    (folder / "latin.csv").write_bytes(b"review,stars\nf\xfcr,1\n")
    assert "expected text in UTF-8" in gru_rs(
        "train", folder / "latin.csv", "-o", folder / "never", *text, code=1
    )
    assert "none.csv" in gru_rs("train", folder / "none.csv", "-o", folder / "never", *text, code=1)
    assert "hidden_size: expected a positive" in wrong(
        "a.csv", "review,stars\na,1\n", *text, "--set", "hidden_size=0"
    )
    wrong("a.csv", "review,stars\na,1\n", *text, "--set", "hidden_size", code=2)
    wrong("a.csv", "review,stars\na,1\n", *text, "--set", "colour=1", code=2)
    wrong("a.csv", "review,stars\na,1\n", *text, "--cell", "rnn", code=2)
    (folder / "broken").write_bytes((folder / "text").read_bytes()[:99])
    assert "expected a whole safetensors file" in gru_rs("info", folder / "broken", code=1).replace("\n", "")
    (folder / "new.csv").write_text("review,stars\nfine,7\n")
    told = gru_rs("evaluate", folder / "text", folder / "new.csv", *text, code=1).replace("\n", "")
    assert "new.csv, line 2: expected one of the model's labels ['1', '5'], got '7'" in told
    assert not (folder / "never").exists()


def test_options_that_would_lose_something(folder):
    """One of two that say the same would be ignored, and a file to learn from be gone."""
    text = ["--text", "review", "--label", "stars"]
    before = (folder / "reviews.csv").read_bytes()
    for more, expected in [
        (["--set", "max_iter=2"], "expected --epochs for max_iter"),
        (["--set", "cell=gru"], "expected --cell for cell"),
        (["--set", "hidden_size=4", "--set", "hidden_size=5"], "expected hidden_size once, got it twice"),
    ]:
        error = gru_rs("train", folder / "reviews.csv", "-o", folder / "never", *text, *more, code=2)
        assert expected in " ".join(error.replace("│", " ").split())
    error = gru_rs("train", folder / "reviews.csv", "-o", folder / "reviews.csv", *text, code=2)
    assert "--output: expected another file than the one to learn from" in error
    assert (folder / "reviews.csv").read_bytes() == before
    error = gru_rs(
        "train", folder / "reviews.csv", "-o", folder / "never", "--text", "stars", "--label", "stars", code=2
    )
    assert "--label: expected another column than those that it is learnt from" in error
    error = gru_rs(
        "train", folder / "wave.csv", "-o", folder / "never", "--task", "forecast", "--exog", "value", code=2
    )
    assert "--value: expected another column" in error
    error = gru_rs("compare", folder / "wave.csv", "--task", "forecast", "--repeats", "2", code=2)
    assert "--repeats: expected none for the task forecast, got 2" in error
    assert not (folder / "never").exists()


def test_training_ends_as_the_estimator_says_unless_told(folder, tmp_path):
    wave = ["--task", "forecast", "--set", "window=4"]
    cases = [
        ("wave.csv", [*wave], "auto"),
        ("wave.csv", [*wave, "--early-stopping"], True),
        ("wave.csv", [*wave, "--no-early-stopping"], False),
        ("reviews.csv", ["--text", "review", "--label", "stars"], True),
    ]
    for file, options, expected in cases:
        gru_rs("train", folder / file, "-o", tmp_path / "model", "--epochs", "1", *options)
        assert gru_rs_package.load(tmp_path / "model").early_stopping == expected


def test_networks_by_themselves_are_no_models(folder):
    gru_rs_package.GRU(3, 4).save(folder / "layer")
    for command in (["info", folder / "layer"], ["predict", folder / "layer", folder / "reviews.csv"]):
        error = " ".join(gru_rs(*command, code=1).split())
        assert "expected a model that train has written, got a GRU by itself" in error

"""Files of the command line: what is read of each format, and what each mistake in one is told as."""

# ruff: noqa: E501 - a row is a line

import csv
import io
import json
import random

import numpy as np
import pytest
from command_line import CONLL_U as U
from command_line import FAST, MUTANTS, ask, mutant, plain, run, written
from gru_rs.cli._tables import DataError, Layout, read, read_series

TEXT = {"text": "text"}
T, FORECAST = ["--text", "text"], ["--task", "forecast"]
LONG = {"sequence": "id", "features": ("x",)}


# What is read -----------------------------------------------------------------------------------------------

RANGE = "# text = du lac\n1-2\tdu\t_\t_\t_\t_\t_\t_\t_\t_\n1\tde\tde\tADP\t_\t_\t0\t_\t_\t_\n"
RANGE += "1.1\tx\tx\tX\t_\t_\t_\t_\t_\t_\n2\tle\tle\tDET\t_\t_\t0\t_\t_\t_\n\n"

READ = [
    # CSV and TSV
    ("a.csv", "text,label\na,x\nb,y\n", TEXT, "classify", ["a", "b"], ["x", "y"], [2, 3]),
    ("bom.csv", b"\xef\xbb\xbftext,label\r\na,x\r\n", TEXT, "classify", ["a"], ["x"], [2]),
    ("quoted.csv", 'text,label\n\n"a, ""b""\nc",x\nd,y', TEXT, "classify", ['a, "b"\nc', "d"], ["x", "y"], [3, 5]),
    ("blank.csv", "\n\ntext,label\n\na,x\n\n\nb,y\n\n", TEXT, "classify", ["a", "b"], ["x", "y"], [5, 8]),
    ("apart.csv", "text;label\na,b;x\n", TEXT | {"delimiter": ";"}, "classify", ["a,b"], ["x"], [2]),
    ("tab.csv", "text\tlabel\na,b\tx\n", TEXT | {"delimiter": r"\t"}, "classify", ["a,b"], ["x"], [2]),
    ("none.tsv", 'text\tlabel\n"a" b\tx\n"c\ty\n', TEXT | {"quoting": "none"}, "classify", ['"a" b', '"c'], ["x", "y"], [2, 3]),
    ("inner.tsv", 'text\tlabel\n5" wide\tx\n', TEXT, "classify", ['5" wide'], ["x"], [2]),
    ("long.csv", f"text,label\n{'w ' * 100_000},x\n", TEXT, "classify", ["w " * 100_000], ["x"], [2]),
    ("page.csv", "text,label\na\fb\u2028c\x85d,x\n", TEXT, "classify", ["a\fb\u2028c\x85d"], ["x"], [2]),
    ("number.csv", "text,label\na, 1.5 \nb,-2e3\n", TEXT, "regress", ["a", "b"], [1.5, -2000.0], [2, 3]),
    ("large.csv", "text,label\na,1e30\nb,-9007199254740994\nc,+1\n", TEXT, "regress", ["a", "b", "c"], [1e30, -9007199254740994.0, 1.0], [2, 3, 4]),
    ("extra.csv", "text,,,label\na,1,2,x\n", TEXT, "classify", ["a"], ["x"], [2]),
    ("spell.csv", "text,label\nabc,cba\n", TEXT, "seq2seq", ["abc"], ["cba"], [2]),
    # Long form
    ("mixed.csv", "id,x,label\na,1,p\nb,2,q\na,3,p\nb,4,q\n", LONG, "classify", [[[1.0], [3.0]], [[2.0], [4.0]]], ["p", "q"], [2, 3]),
    ("steps.csv", "id,x,label\na,1,p\nb,2,q\na,3,r\n", LONG, "tag", [[[1.0], [3.0]], [[2.0]]], [["p", "r"], ["q"]], [2, 3]),
    ("steps.tsv", "id\tx\tlabel\na\t1\tp\n", LONG, "tag", [[[1.0]]], [["p"]], [2]),
    ("steps.jsonl", '{"id": 1, "x": 2, "label": 0}\n{"id": 1, "x": 0.5, "label": 0}', LONG, "classify", [[[2.0], [0.5]]], [0], [1]),
    # JSON Lines: what a column is, all rows say
    ("ids.jsonl", '{"text": [1, 2], "label": true}\n\n{"text": [3], "label": false}', TEXT, "classify", [[1, 2], [3]], [True, False], [1, 3]),
    ("words.jsonl", '{"text": ["a", "b"], "label": ["x", "y"]}', TEXT, "tag", [["a", "b"]], [["x", "y"]], [1]),
    ("zero.jsonl", '{"text": [0, 1], "label": 1}\n{"text": [0.5], "label": 2}', TEXT, "classify", [[0.0, 1.0], [0.5]], [1, 2], [1, 2]),
    ("late.jsonl", '{"text": [0, 0.5], "label": 1}\n{"text": [1], "label": 2}', TEXT, "classify", [[0.0, 0.5], [1.0]], [1, 2], [1, 2]),
    ("pairs.jsonl", '{"text": [[0, 1], [2, 3]], "label": 1}\n{"text": [[4, 5]], "label": 2}', TEXT, "regress", [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0]]], [1.0, 2.0], [1, 2]),
    ("silent.jsonl", '{"text": [0.5], "label": ""}\n{"text": [0.5], "label": "a"}', TEXT, "ctc", [[0.5], [0.5]], ["", "a"], [1, 2]),
    ("lists.ndjson", '{"text": [0.5], "label": []}\n{"text": [0.5], "label": [1]}', TEXT, "ctc", [[0.5], [0.5]], [[], [1]], [1, 2]),
    ("page.jsonl", '{"text": "a\u2028b\x85c", "label": "x"}', TEXT, "classify", ["a\u2028b\x85c"], ["x"], [1]),
    # CoNLL
    ("spaces.conll", "Ann  B-PER\nmet O\n \nBob B-PER\n", {}, "tag", [["Ann", "met"], ["Bob"]], [["B-PER", "O"], ["B-PER"]], [1, 4]),
    ("tabs.txt", "New York\tB-LOC\r\na\u00a0b\tO\r\n", {}, "tag", [["New York", "a\u00a0b"]], [["B-LOC", "O"]], [1]),
    ("page.tsv", "a\fb\tO\nc\u2028d\tO\ne\x85f\tO\n", {}, "tag", [["a\fb", "c\u2028d", "e\x85f"]], [["O"] * 3], [1]),
    ("space.conll", "a\u00a0b O\n\u2028 O\n", {}, "tag", [["a\u00a0b", "\u2028"]], [["O", "O"]], [1]),
    ("comment.conll", "# id 1 domain=en\nAnn B-PER\n# O\n\n# id 2 domain=en\nBob B-PER\n", {}, "tag", [["Ann", "#"], ["Bob"]], [["B-PER", "O"], ["B-PER"]], [2, 6]),
    ("four.conll", "# id 5a-1\tdomain=en\nAnn _ _ B-PER\n", {}, "tag", [["Ann"]], [["B-PER"]], [2]),
    ("sign.conll", "#\tO\n1\tO\n\n# a comment\n#x\tO\n", {}, "tag", [["#", "1"], ["#x"]], [["O", "O"], ["O"]], [1, 5]),
    ("sign.iob", "# O\n1 O\n", {}, "tag", [["#", "1"]], [["O", "O"]], [1]),
    ("signs.conll", "#\tO\n#\tX\n", {}, "tag", [["#", "#"]], [["O", "X"]], [1]),
    ("start.conll", "-DOCSTART- -X- O\n\nEU NNP B-ORG\n\n-DOCSTART- -X- O\nhe PRP O\n", {}, "tag", [["EU"], ["he"]], [["B-ORG"], ["O"]], [3, 6]),
    ("chosen.conll", "1 Ann N B\n2 met V O\n", {"columns": "2,3"}, "tag", [["Ann", "met"]], [["N", "V"]], [1]),
    ("u.conllu", U, {}, "tag", [["Ann", "met"]], [["PROPN", "VERB"]], [1]),
    ("u.conll", "# text = Ann met\n" + U, {}, "tag", [["Ann", "met"]], [["PROPN", "VERB"]], [2]),
    ("x.conllu", U, {"columns": "form,XPOS"}, "tag", [["Ann", "met"]], [["NNP", "VBD"]], [1]),
    ("n.conllu", U, {"columns": "3, 8"}, "tag", [["ann", "meet"]], [["nsubj", "root"]], [1]),
    ("range.conllu", RANGE, {}, "tag", [["de", "le"]], [["ADP", "DET"]], [2]),
    ("plus.conllup", "# global.columns = ID FORM UPOS P:X\n1\tAnn\tPROPN\t*\n", {}, "tag", [["Ann"]], [["PROPN"]], [2]),
    ("plus.conll", "# global.columns = ID FORM UPOS P:X\n1\tAnn\tPROPN\t*\n", {"columns": "form,p:x"}, "tag", [["Ann"]], [["*"]], [2]),
    ("plus.conllu", "# global.columns = ID FORM UPOS P:X\n1\tAnn\tPROPN\t*\n", {}, "tag", [["Ann"]], [["PROPN"]], [2]),
    # Lines
    ("lines.txt", "a b\r\n\n c\u2028d \n", {}, "lm", ["a b", " c\u2028d "], None, [1, 3]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "layout", "task", "X", "y", "places"), READ, ids=[one[0] for one in READ]
)
def test_read(tmp_path, name, content, layout, task, X, y, places):
    path = written(tmp_path, name, content)
    found = read(path, Layout(**layout), task=task, labelled=task != "lm")
    assert plain(found.sequences) == X
    assert found.labels == (y or [])
    assert found.places == places


def test_series(tmp_path):
    path = written(tmp_path, "a.tsv", "day\tvalue\n1\t0.5\n2\t\n")
    values, beside = read_series(path, Layout(exog=("day",)), ahead=1)
    np.testing.assert_array_equal(values, [0.5, np.nan])
    assert beside.tolist() == [[1.0], [2.0]]
    path = written(tmp_path, "a.jsonl", '{"v": 1}\n\n{"v": 2.5}\n')
    values, beside = read_series(path, Layout(value="v"))
    assert values.tolist() == [1.0, 2.5]
    assert beside is None


@pytest.mark.parametrize(
    ("reads", "expected"),
    [("numbers", [[1.0, 2.0], [3.0]]), ("integers", [[1, 2], [3]]), (None, [[1, 2], [3]])],
)
def test_what_a_model_reads_decides(tmp_path, reads, expected):
    path = written(tmp_path, "a.jsonl", '{"text": [1, 2]}\n{"text": [3]}\n')
    found = read(path, Layout(**TEXT), task="classify", labelled=False, reads=reads).sequences
    assert plain(found) == expected
    assert all(isinstance(one, np.ndarray if reads == "numbers" else list) for one in found)


def test_the_limit_of_csv_stays(tmp_path):
    limit = csv.field_size_limit()
    path = written(tmp_path, "a.csv", f"text,label\n{'w' * 200_000},x\na,b,c\n")
    with pytest.raises(DataError, match="line 3"):
        read(path, Layout(**TEXT), task="classify", labelled=True)
    assert csv.field_size_limit() == limit


# A model takes a file as it took the one it was trained on ----------------------------------------------------


def lines_of(rows):
    return "\n".join(json.dumps(row) for row in rows)


@pytest.mark.parametrize(
    ("trained", "same", "other", "told"),
    [
        ([[1, 2], [3]], [[2], [1, 3]], ["a", "b"], "expected a list of integers, which is what the model reads, in"),
        ([[0.5, 2], [3]], [[2], [1, 3]], [["a"], ["b"]], "a list of integers or a list of steps, which is what"),
        ([[[0, 2], [1, 1]], [[3, 0.5]]], [[[1, 2]], [[3, 4]]], ["a", "b"], "a list of steps, which is what the model"),
        (["a b", "c"], ["c", "b"], [[1], [2]], "expected text, which is what the model reads, in"),
        ([["a", "b"], ["c"]], [["c"], ["b"]], ["c", "b"], "expected a list of strings, which is what the model reads, in"),
    ],
)  # fmt: skip
def test_predict_takes_what_was_trained_on(tmp_path, trained, same, other, told):
    rows = [{"text": one, "label": at % 2} for at, one in enumerate(trained)]
    path, model = written(tmp_path, "a.jsonl", lines_of(rows)), tmp_path / "model"
    code, _, said = run("train", path, "-o", model, *T, *FAST)
    assert code == 0, said
    path = written(tmp_path, "b.jsonl", lines_of({"text": one} for one in same))
    code, predicted, said = run("predict", model, path, *T)
    assert code == 0, said
    assert len(predicted.split()) == 2
    path = written(tmp_path, "c.jsonl", lines_of({"text": one} for one in other))
    code, _, said = run("predict", model, path, *T)
    assert code == 1
    assert f"{path}, line 1: expected" in said
    assert told in said


def test_predict_refuses_what_it_would_not_look_at(tmp_path):
    table = written(tmp_path, "a.csv", "text,label,x,value\na b,p,1,1\nb c,q,2,2\n")
    model, series = tmp_path / "model", tmp_path / "series"
    assert run("train", table, "-o", model, *T, *FAST)[0] == 0
    wave = written(tmp_path, "w.tsv", "value\tday\n" + "".join(f"{n % 5}\t{n % 7}\n" for n in range(40)))
    more = ["--exog", "day", "--set", "window=4", "--set", "horizon=2"]
    code, _, said = run("train", wave, "-o", series, *FORECAST, *more, *FAST)
    assert code == 0, said
    for model_of, file, options, told in [
        (model, table, [*T, "--value", "x"], "--value: expected none for the task classify, got 'x'"),
        (model, table, ["--sequence", "text", "--features", "x"], "--sequence: expected --text"),
        (series, wave, ["--exog", "day", "--text", "text"], "--text: expected none for the task forecast"),
        (series, wave, ["--exog", "day", "--columns", "1"], "--columns: expected none for the task forecast"),
    ]:
        code, _, said = run("predict", model_of, file, *options)
        assert (code, told in said) == (2, True), said
    code, _, said = run("evaluate", model, table, *T, "--start", "3")
    assert (code, "--start: expected none for the task classify, got 3" in said) == (2, True), said
    # What is to be forecast need not be there.
    ends = written(tmp_path, "e.tsv", wave.read_text().rsplit("\n", 3)[0] + "\n\t1\n\t2\n")
    code, found, said = run("predict", series, ends, "--exog", "day")
    assert (code, len(found.split())) == (0, 2), said
    short = written(tmp_path, "s.tsv", "value\tday\n1\t1\n2\t2\n")
    code, _, said = run("predict", series, short, "--exog", "day")
    assert (code, "expected rows of the past and 2 of the future, got 2" in said) == (1, True), said


# What was written is read ------------------------------------------------------------------------------------

LETTERS = [
    "a",
    "B",
    " ",
    ",",
    ";",
    '"',
    "'",
    "#",
    "\t",
    "\n",
    "\r\n",
    "\f",
    "\x85",
    "\u2028",
    "\u00a0",
    "\ufeff",
    "é",
    "😀",
]


def random_text(rng, without=""):
    letters = [letter for letter in LETTERS if not set(letter) & set(without)]
    return "x" + "".join(rng.choice(letters) for _ in range(rng.randint(0, 8)))


@pytest.mark.parametrize("seed", range(40))
def test_csv_as_it_was_written(tmp_path, seed):
    rng = random.Random(seed)
    suffix, delimiter = rng.choice([(".csv", ","), (".tsv", "\t"), (".csv", ";"), (".csv", "|")])
    end = rng.choice(["\n", "\r\n"])
    rows = [(random_text(rng), random_text(rng), random_text(rng)) for _ in range(20)]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=end, quoting=rng.choice([0, 1]))
    places = []
    for row in [("other", "text", "label"), *rows]:
        places.append(out.getvalue().count("\n") + 1)
        writer.writerow(row)
    path = written(tmp_path, f"a{suffix}", out.getvalue())
    layout = Layout(text="text", delimiter=delimiter, quoting="minimal")
    found = read(path, layout, task="classify", labelled=True)
    assert list(zip(found.places, found.sequences, found.labels, strict=True)) == [
        (place, text, label) for place, (_, text, label) in zip(places[1:], rows, strict=True)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_tsv_without_quoting(tmp_path, seed):
    rng = random.Random(seed)
    rows = [(random_text(rng, "\t\n\r"), random_text(rng, "\t\n\r")) for _ in range(20)]
    path = written(tmp_path, "a.tsv", "".join(f"{a}\t{b}\n" for a, b in [("text", "label"), *rows]))
    found = read(path, Layout(text="text", quoting="none"), task="classify", labelled=True)
    assert list(zip(found.sequences, found.labels, strict=True)) == rows


@pytest.mark.parametrize("seed", range(20))
def test_json_lines_as_they_were_written(tmp_path, seed):
    rng, ascii_alone = random.Random(seed), seed % 2 == 0
    rows = [{"text": random_text(rng), "label": random_text(rng)} for _ in range(20)]
    path = written(tmp_path, "a.jsonl", "\n".join(json.dumps(row, ensure_ascii=ascii_alone) for row in rows))
    found = read(path, Layout(text="text"), task="classify", labelled=True)
    assert [
        dict(zip(("text", "label"), one, strict=True))
        for one in zip(found.sequences, found.labels, strict=True)
    ] == rows


@pytest.mark.parametrize("seed", range(40))
def test_conll_as_it_was_written(tmp_path, seed):
    """Tokens of number signs and odd spaces among them, comments of as many words as there are columns."""
    rng = random.Random(seed)
    between, columns = rng.choice(["\t", " "]), rng.randint(2, 4)
    without = "\t\n\r" + ("" if between == "\t" else " ")
    sentences, lines, labels = [], [], ["O", "B", "B"]
    for _ in range(12):
        if rng.random() < 0.5:
            lines.append("# " + " ".join(["id"] * (columns - 2) + ["a=b"]))
        sentence = []
        for _ in range(rng.randint(1, 5)):
            token = rng.choice(["#", "#", "#x", random_text(rng, without)])
            sentence.append((token, rng.choice(labels), len(lines) + 1))
            lines.append(between.join([token, *["_"] * (columns - 2), sentence[-1][1]]))
        sentences.append(sentence)
        lines += [""] * rng.randint(1, 2)
    lines += [between.join(["x", *["_"] * (columns - 2), label]) for label in ("O", "B")]
    sentences.append([("x", "O", len(lines) - 1), ("x", "B", len(lines))])
    found = read(written(tmp_path, "a.conll", "\n".join(lines)), Layout(), task="tag", labelled=True)
    assert found.sequences == [[token for token, _, _ in sentence] for sentence in sentences]
    assert found.labels == [[label for _, label, _ in sentence] for sentence in sentences]
    assert found.places == [sentence[0][2] for sentence in sentences]


# Whatever a file holds, it is read or refused ----------------------------------------------------------------

SEEDS = [
    ("a.csv", b'\xef\xbb\xbftext,label\r\n"a, ""b""\nc",1\n\nd e,2\n', TEXT, "classify"),
    ("a.csv", b"id,x,label\na,1,2\nb,2e3,1\na,-0.5,2\n", LONG, "regress"),
    ("a.csv", b"value,x\n1,2\n3,4.5\n", {"exog": ("x",)}, "forecast"),
    ("a.tsv", b'text\tlabel\n"a\tb"\tx\n\xc3\xbc\xe2\x80\xa8\ty\n', TEXT, "classify"),
    ("a.tsv", b'text\tlabel\n"a b\tx\nc\ty\n', TEXT | {"quoting": "none"}, "seq2seq"),
    ("a.jsonl", b'{"text": [1, 2.5, -3e2], "label": "x"}\n{"text": [0], "label": "\\u00fc"}\n', TEXT, "ctc"),
    (
        "a.jsonl",
        b'{"text": [[1, 2], [3, 4]], "label": true}\n{"text": [[0, 1]], "label": false}',
        TEXT,
        "classify",
    ),
    ("a.jsonl", b'{"text": ["a", "b"], "label": ["x", "y"]}\n{"text": ["c"], "label": ["x"]}\n', TEXT, "tag"),
    ("a.jsonl", b'{"value": 1}\n{"value": 2.5}\n', {}, "forecast"),
    ("a.conll", b"# id 1 d=en\nAnn _ B-PER\nmet _ O\n# _ O\n\n-DOCSTART- _ O\n\nBob _ B-PER\n", {}, "tag"),
    ("a.conll", U.encode(), {}, "tag"),
    ("a.conllu", RANGE.encode(), {"columns": "form,feats"}, "tag"),
    ("a.conllup", b"# global.columns = ID FORM UPOS\n1\ta\tX\n\n1\tb\tY\n", {}, "tag"),
    ("a.txt", b"a b\r\n\nc \xe2\x80\xa8 d\n", {}, "lm"),
]


@pytest.mark.parametrize("number", range(len(SEEDS)), ids=[f"{name}-{task}" for name, _, _, task in SEEDS])
def test_mutants(tmp_path, number):
    name, content, layout, task = SEEDS[number]
    rng, layout, limit = random.Random(number), Layout(**layout), csv.field_size_limit()
    assert ask(written(tmp_path, name, content), layout, task)
    read_ones = sum(ask(written(tmp_path, name, mutant(rng, content)), layout, task) for _ in range(MUTANTS))
    assert 0 < read_ones < MUTANTS
    assert csv.field_size_limit() == limit

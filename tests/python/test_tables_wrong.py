"""What the command line says of files and options that it cannot use: a row for each mistake."""

# ruff: noqa: E501 - a row is a line

import pytest
from command_line import CONLL_U as U
from command_line import run, written

# What is wrong ----------------------------------------------------------------------------------------------


DEEP = '{"text": ' + "[" * 200_000
T, L = ["--text", "text"], ["--sequence", "id", "--features", "x"]
TAG, REGRESS, LM = ["--task", "tag"], [*T, "--task", "regress"], ["--task", "lm"]
FORECAST = ["--task", "forecast"]
TOKENS, NUMBERS = ["--set", "tokens=true"], ["--set", "tokens=false"]

WRONG = [
    # Missing
    ("a.csv", "text,label\na,x\nb,\n", T, "line 3: expected a label in 'label', got an empty cell"),
    ("a.csv", "text,label\na, \n", T, "line 2: expected a label in 'label', got an empty cell"),
    ("a.csv", "text,label\n,x\n", T, "line 2: expected a sequence in 'text', got an empty cell"),
    ("a.csv", "text,label\na,\n", REGRESS, "line 2: expected a number in 'label', got an empty cell"),
    ("a.csv", "text,label\na,\n", [*T, "--task", "ctc"], "line 2: expected a label in 'label', got an empty cell"),
    ("a.csv", "text,label\na,\n", [*T, "--task", "seq2seq"], "line 2: expected a label in 'label', got an empty"),
    ("a.csv", "id,x,label\na,1,p\na,,p\n", L, "line 3: expected a number in 'x', got an empty cell"),
    ("a.csv", "id,x,label\n,1,p\n", L, "line 2: expected the sequence of a step in 'id', got an empty cell"),
    ("a.csv", "id,x,label\na,1,p\na,1,\n", L, "line 3: expected a label in 'label', got an empty cell"),
    ("a.csv", "id,x,label\na,1,p\na,1,\n", [*L, *TAG], "line 3: expected a label in 'label', got an empty cell"),
    ("a.csv", "id,x,label\na,1,p\nb,1,q\na,1,r\n", L, "line 4: expected one label for all steps of sequence 'a', 'p' as in line 2, got 'r'"),
    ("a.csv", "value\n1\n\n2\n", FORECAST, "line 3: expected a value in 'value', got a blank line"),
    ("a.csv", "text,label\n", T, "a.csv: expected at least one sequence, got none"),
    ("a.csv", "value\n", FORECAST, "a.csv: expected at least one row, got none"),
    ("a.csv", "", T, "a.csv: expected a heading and rows, got an empty file"),
    ("a.csv", "\n\n", T, "a.csv: expected a heading and rows, got an empty file"),
    ("a.jsonl", "", T, "a.jsonl: expected at least one sequence, got none"),
    ("a.conll", "", TAG, "a.conll: expected at least one sequence, got none"),
    ("a.conll", "# a comment\n\n", TAG, "a.conll: expected at least one sequence, got none"),
    ("a.txt", "\n \n", LM, "a.txt: expected at least one sequence, got none"),
    # Numbers
    ("a.csv", "text,label\na,many\n", REGRESS, "line 2: expected a number in 'label', got 'many'"),
    ("a.csv", "text,label\na,nan\n", REGRESS, "line 2: expected a finite number in 'label', got 'nan'"),
    ("a.csv", "text,label\na,1e999\n", REGRESS, "line 2: expected a finite number in 'label', got '1e999'"),
    ("a.csv", "text,label\na,1_0\n", REGRESS, "line 2: expected a number in 'label', got '1_0'"),
    ("a.csv", "text,label\na,9007199254740993\n", REGRESS, "line 2: expected a number that float64 has exactly"),
    ("a.csv", f"text,label\na,{'9' * 5000}\n", REGRESS, "line 2: expected a finite number in 'label'"),
    ("a.csv", "value\n1\n\"2\n\"\n3x\n", FORECAST, "line 5: expected a number in 'value', got '3x'"),
    ("a.jsonl", '{"text": "a", "label": "1"}', REGRESS, "line 1: expected a number in 'label', got '1'"),
    ("a.jsonl", '{"text": "a", "label": true}', REGRESS, "line 1: expected a number in 'label', got True"),
    ("a.jsonl", '{"text": "a", "label": 1e999}', REGRESS, "line 1: expected a finite number in 'label', got inf"),
    ("a.jsonl", '{"text": "a", "label": 1%s}' % ("0" * 400), REGRESS, "line 1: expected a number that float64 has exactly"),
    ("a.jsonl", '{"text": "a", "label": 1%s}' % ("0" * 5000), REGRESS, "line 1: expected JSON, got: Exceeds the limit"),
    ("a.jsonl", '{"text": "a", "label": null}', REGRESS, "line 1: expected a number in 'label', got null"),
    ("a.jsonl", '{"value": 1}\n{"value": NaN}', FORECAST, "line 2: expected JSON, got: NaN, which is no number of JSON"),
    ("a.jsonl", '{"text": [-Infinity], "label": 1}', T, "line 1: expected JSON, got: -Infinity, which is no number"),
    # Tables
    ("a.csv", "text,label\na,x\nb\n", T, "line 3: expected 2 fields as in the heading, got 1"),
    ("a.csv", 'text,label\n"a\nb",x\nb,y,z\n', T, "line 4: expected 2 fields as in the heading, got 3"),
    ("a.csv", "text,text,label\na,b,x\n", T, "line 1: expected columns of different names, got 'text' more than once"),
    ("a.csv", "text;label\na;x\n", T, "line 1: expected a column 'text', got ['text;label']: --delimiter ';' if that is between"),
    ("a.csv", "review,label\na,x\n", T, "line 1: expected a column 'text', got ['review', 'label']"),
    ("a.csv", "text,label\na,x\n", [*T, "--label", ""], "line 1: expected a column '', got ['text', 'label']"),
    ("a.csv", "text,stars\na,x\n", T, "line 1: expected a column 'label', got ['text', 'stars']"),
    ("a.csv", "id,y,label\na,1,x\n", L, "line 1: expected a column 'x', got ['id', 'y', 'label']"),
    ("a.csv", "text,label\na,x\0y\n", T, "line 2: expected text, got a NUL at character 4"),
    ("a.csv", "text,label\ra,x\r", T, r"line 1: expected lines that end with \n or \r\n, got a carriage return"),
    ("a.csv", "text,label\na,x\rb,y\n", T, r"line 2: expected lines that end with \n or \r\n, got a carriage return"),
    ("a.csv", 'text,label\na,x\nb,"y\nc,z\n', T, "line 3: expected a quote that ends the field begun here, got the end of the file: --quoting none"),
    ("a.csv", 'text,label\n"a\nb","y\nc,z\n', T, "line 3: expected a quote that ends the field begun here"),
    ("a.csv", 'text,label\n"a" b,x\n', T, "line 2: expected ',' after the field in quotes begun here, got more text: --quoting none"),
    ("a.tsv", 'text\tlabel\na\tx\n"b\tx\nc\ty\n"d" e\tx\n', T, "line 3: expected '\\t' after the field in quotes begun here, got more text (in line 5): --quoting none"),
    ("a.tsv", 'text\tlabel\n"a\tx\nb"\ty\n', T, "line 2: expected a row on one line, got quotes around lines 2 to 3, each like a row: --quoting none"),
    ("a.csv", b"text,label\nf\xfcr,x\n", T, "line 2: expected text in UTF-8, got byte 0xfc at byte 2 of the line"),
    ("a.csv", "text,label\na,x\n".encode("utf-16"), T, "line 1: expected text in UTF-8, got UTF-16"),
    ("a.csv", "text,label\na,x\n".encode("utf-16-le"), T, "line 1: expected text, got a NUL at character 2"),
    ("a.tsv", "text,label\na,x\n", T, "line 1: expected a column 'text', got ['text,label']: --delimiter ','"),
    ("a.tsv", "value,x\n1,2\n", FORECAST, "line 1: expected a column 'value', got ['value,x']: --delimiter ','"),
    # JSON Lines
    ("a.jsonl", '{"text": null, "label": "x"}', T, "line 1: expected a sequence in 'text', got null"),
    ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": "a"}', T, "line 2: expected a column 'label', got ['text']"),
    ("a.jsonl", '{"text": "a", "label": null}', T, "line 1: expected a label in 'label', got null"),
    ("a.jsonl", '{"text": "a", "label": ""}', T, "line 1: expected a label in 'label', got ''"),
    ("a.jsonl", '{"text": " ", "label": "x"}', T, "line 1: expected text in 'text', got ' '"),
    ("a.jsonl", '{"text": [], "label": "x"}', T, "line 1: expected at least one step in 'text', got an empty list"),
    ("a.jsonl", '{"text": 5, "label": "x"}', T, "line 1: expected text or a list in 'text', got 5"),
    ("a.jsonl", '{"text": {}, "label": "x"}', T, "line 1: expected text or a list in 'text', got {}"),
    ("a.jsonl", '{"text": [1, true], "label": "x"}', T, "line 1: expected a list of strings, of integers or of numbers in 'text', got True at index [1]"),
    ("a.jsonl", '{"text": ["a", 1], "label": "x"}', T, "line 1: expected a list of strings, of integers or of numbers in 'text', got 'a' at index [0]"),
    ("a.jsonl", '{"text": [0.5, "b"], "label": "x"}', T, "line 1: expected a list of strings, of integers or of numbers in 'text', got 'b' at index [1]"),
    ("a.jsonl", '{"text": [0.5, 1e999], "label": "x"}', T, "line 1: expected finite numbers in 'text', got inf at index [1]"),
    ("a.jsonl", '{"text": [[1, 2], [3]], "label": "x"}', T, "line 1: expected 2 numbers a step as in line 1 in 'text', got 1 at index [1]"),
    ("a.jsonl", '{"text": [[1]], "label": "x"}\n{"text": [[1, 2]], "label": "x"}', T, "line 2: expected 1 numbers a step as in line 1"),
    ("a.jsonl", '{"text": [[1, "a"]], "label": "x"}', T, "line 1: expected a list of numbers in 'text', got 'a' at index [0][1]"),
    ("a.jsonl", '{"text": [[1], 2], "label": "x"}', T, "got [1] at index [0]"),
    ("a.jsonl", '{"text": [[[1]]], "label": "x"}', T, "got [1] at index [0][0]"),
    ("a.jsonl", '{"text": [[]], "label": "x"}', T, "line 1: expected some numbers a step as in line 1 in 'text', got 0"),
    ("a.jsonl", '{"text": [1], "label": "x"}\n{"text": ["a"], "label": "x"}', T, "line 2: expected a list of integers as in line 1 in 'text', got a list of strings, ['a']"),
    ("a.jsonl", '{"text": ["1"], "label": "x"}\n{"text": [0.5], "label": "x"}', T, "line 1: expected a list of numbers or a list of integers as in line 2 in 'text', got a list of strings"),
    ("a.jsonl", '{"text": "a", "label": "x"}\n{"text": ["a"], "label": "x"}', T, "line 2: expected text as in line 1 in 'text', got a list of strings"),
    ("a.jsonl", '{"text": [0.5], "label": "x"}\n{"text": [[0.5]], "label": "x"}', T, "line 2: expected a list of numbers or a list of integers as in line 1 in 'text', got a list of steps"),
    ("a.jsonl", '{"text": [0.5, 9007199254740993], "label": "x"}', T, "line 1: expected numbers that float64 has exactly in 'text', got 9007199254740993 at index [1]"),
    ("a.jsonl", '{"text": [[0.5, 9007199254740993]], "label": "x"}', T, "got 9007199254740993 at index [0][1]"),
    ("a.jsonl", '{"text": [0.5], "label": "x"}', [*T, *TOKENS], "line 1: expected text or a list of strings or a list of integers, which is what the model reads, in 'text', got a list of numbers"),
    ("a.jsonl", '{"text": "a", "label": "x"}', [*T, *NUMBERS], "which is what the model reads, in 'text', got text, 'a'"),
    ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": "1"}', T, "line 2: expected an integer as in line 1 in 'label', got '1'"),
    ("a.jsonl", '{"text": "a", "label": 1}\n{"text": "b", "label": true}', T, "line 2: expected an integer as in line 1 in 'label', got True"),
    ("a.jsonl", '{"text": "a", "label": 1.5}', T, "line 1: expected a string, an integer or a boolean in 'label', got 1.5; --task regress learns numbers"),
    ("a.jsonl", '{"text": "a", "label": [1]}', T, "line 1: expected a string, an integer or a boolean in 'label', got [1]"),
    ("a.jsonl", '{"text": "a", "label": 99999999999999999999}', T, "line 1: expected an integer of 64 bits in 'label'"),
    ("a.jsonl", '{"text": ["a"], "label": "x"}', [*T, *TAG], "line 1: expected a list of labels, one for each step, in 'label', got 'x'"),
    ("a.jsonl", '{"text": ["a"], "label": ["x", "y"]}', [*T, *TAG], "line 1: expected 1 labels in 'label', one for each step, got 2"),
    ("a.jsonl", '{"text": ["a"], "label": [null]}', [*T, *TAG], "line 1: expected a list of strings or integers alone in 'label', got null at index 0"),
    ("a.jsonl", '{"text": ["a", "b"], "label": ["x", 1]}', [*T, *TAG], "line 1: expected a list of strings in 'label', got 1 at index 1"),
    ("a.jsonl", '{"text": ["a", "b"], "label": ["x", ""]}', [*T, *TAG], "line 1: expected labels in 'label', got ['x', ''] at index 1"),
    ("a.jsonl", '{"text": ["a"], "label": ["x"]}\n{"text": ["a"], "label": [1]}', [*T, *TAG], "line 2: expected a list of strings as in line 1 in 'label', got [1]"),
    ("a.jsonl", '{"text": "a", "label": 1}', [*T, "--task", "seq2seq"], "line 1: expected a text or a list of strings or integers in 'label', got 1"),
    ("a.jsonl", '{"text": "a", "label": "b"}\n{"text": "a", "label": ["b"]}', [*T, "--task", "seq2seq"], "line 2: expected a string as in line 1 in 'label', got ['b']"),
    ("a.jsonl", '{"text": "a", "label": []}\n{"text": "a", "label": "b"}', [*T, "--task", "seq2seq"], "line 2: expected a list as in line 1 in 'label', got 'b'"),
    ("a.jsonl", '{"text": "a", "label": "b"}\n{"text": "a", "label": []}', [*T, "--task", "seq2seq"], "line 2: expected a string as in line 1 in 'label', got []"),
    ("a.jsonl", '{"text": [0.5], "label": [0.5]}', [*T, "--task", "ctc"], "line 1: expected a list of strings or integers alone in 'label', got 0.5 at index 0"),
    ("a.jsonl", '{"text": "a", "label": "x", "label": "y"}', T, "line 1: expected JSON, got: the key 'label' more than once"),
    ("a.jsonl", '{"text": "\\ud800", "label": "x"}', T, "line 1: expected characters, got half a surrogate pair, U+D800"),
    ("a.jsonl", DEEP, T, "line 1: expected JSON, got lists or objects nested too deep"),
    ("a.jsonl", '[{"text": "a"}]', T, "line 1: expected an object, got [{'text': 'a'}] (list)"),
    ("a.jsonl", '[\n{"text": "a"}\n]', T, "line 1: expected JSON (one object a line, no array over lines), got:"),
    ("a.jsonl", '{"text": "a", "label": "x"}\r{"text": "b", "label": "x"}', T, r"line 1: expected lines that end with \n or \r\n"),
    ("a.json", '[{"text": "a", "label": "x"}]', T, "a.json: expected JSON Lines, an object a line; of an array, jq -c '.[]'"),
    ("a.jsonl", '{"id": 1.5, "x": 1, "label": 1}', L, "line 1: expected a string, an integer or a boolean in 'id', got 1.5"),
    ("a.jsonl", '{"id": 1, "x": 1, "label": 1}\n{"id": "1", "x": 1, "label": 1}', L, "line 2: expected an integer as in line 1 in 'id', got '1'"),
    # CoNLL
    ("a.conll", "a B\nb\n", TAG, "line 2: expected 2 columns as in line 1, got 1"),
    ("a.conll", "a\tB\nb O\n", TAG, "line 2: expected 2 columns as in line 1, got 1"),
    ("a.conll", "a\tB\t\nb\tO\t\n", TAG, "line 1: expected a label in column 3, got nothing"),
    ("a.conll", "a\tB\n\tO\n", TAG, "line 2: expected a token in column 1, got nothing"),
    ("a.conll", "a\tB\nb\t\n", TAG, "line 2: expected a label in column 2, got nothing"),
    ("a.conll", "a\tB\nb\tO \n", TAG, "line 2: expected a label without spaces around it, got 'O '"),
    ("a.conll", "a\nb\n", TAG, "line 1: expected a token and a label, got one column"),
    ("a.conll", "a B\n# id 1\nb O\n", TAG, "line 2: expected 2 columns as in line 1, got 3"),
    ("a.conll", "# SYM\na B\n", TAG, "line 1: expected a comment or a token with a label of other tokens, got '# SYM', which may be either"),
    ("a.conll", "a B\n-DOCSTART- O\n", TAG, "line 2: expected a blank line before -DOCSTART-"),
    ("a.conll", "a B\rb O\r", TAG, r"line 1: expected lines that end with \n or \r\n, got a carriage return alone at character 4"),
    ("a.conllu", "a B\n", TAG, "line 1: expected the 10 columns id form lemma"),
    ("a.conllu", U + "# text\n", TAG, "line 3: expected comments before the first token"),
    ("a.conllu", U.replace("2\tmet", "3\tmet"), TAG, "line 2: expected the id 2, a range as 1-2 or an empty node"),
    ("a.conllu", U.replace("VERB", "_"), TAG, "line 2: expected a label in upos, got _, which stands for none"),
    ("a.conll", "a B\n", ["--columns", "1,3", *TAG], "--columns: expected a number from 1 to 2 for "),
    ("a.conll", "a B\n", ["--columns", "form,upos", *TAG], "--columns: expected a number from 1 to 2 for "),
    ("a.conllu", U, ["--columns", "form,pos", *TAG], "--columns: expected a number from 1 to 10 or one of id, form"),
    ("a.conll", "a B\n", ["--columns", "1", *TAG], "--columns: expected the columns of tokens and labels, as 1,4, got '1'"),
    ("a.conll", "a B\n", ["--columns", "1,1", *TAG], "--columns: expected different columns of tokens and labels"),
    ("a.conll", "a B\n", [], "line 1: expected a string, an integer or a boolean in 'label', got ['B']"),
    # Files
    ("a.xls", "", T, "a.xls: expected a file that ends with .csv"),
    ("a", "", T, "got no ending"),
    ("a.txt", "a", FORECAST, "a.txt: expected a file that ends with .csv"),
    ("a.conll", "a B", FORECAST, "a.conll: expected a file that ends with .csv"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "options", "told"), WRONG, ids=[f"{name}-{told}" for name, _, _, told in WRONG]
)
def test_wrong(tmp_path, name, content, options, told):
    path = written(tmp_path, name, content)
    code, _, said = run("train", path, "-o", tmp_path / "never", *options)
    assert code == (2 if told.startswith("--") else 1)
    assert told in said
    assert told.startswith("--") or str(path) in said
    assert not (tmp_path / "never").exists()


CSV, JSONL, CONLL = (
    ("a.csv", "text,label,id,x\na,b,1,2\n"),
    ("a.jsonl", '{"text": "a"}'),
    ("a.conll", "a B\n"),
)
MISUSED = [
    (CSV, [], "--text: expected the column of sequences, or --sequence with --features, got neither"),
    (CSV, [*T, "--features", "x"], "--features: expected none for sequences without --sequence, got 'x'"),
    (CSV, [*L, *T], "--text: expected none for steps with --sequence, got 'text'"),
    (CSV, ["--sequence", "id"], "--features: expected the columns of numbers beside --sequence, got none"),
    (CSV, ["--sequence", "id", "--features", ""], "--features: expected different columns with commas between them, got an empty"),
    (CSV, ["--sequence", "id", "--features", "x,x"], "--features: expected different columns with commas between them, got 'x' twice"),
    (CSV, [*L, *TOKENS], "--sequence: expected --text, as the model reads tokens"),
    (CSV, [*T, "--columns", "1,2"], "--columns: expected none for "),
    (CSV, [*T, "--value", "x"], "--value: expected none for the task classify, got 'x'"),
    (CSV, [*T, "--exog", "x"], "--exog: expected none for the task classify, got 'x'"),
    (CSV, [*FORECAST, *T], "--text: expected none for the task forecast, got 'text'"),
    (CSV, [*FORECAST, "--label", "x"], "--label: expected none for the task forecast, got 'x'"),
    (CSV, [*FORECAST, "--columns", "1"], "--columns: expected none for the task forecast, got '1'"),
    (CSV, [*FORECAST, "--exog", "x,x"], "--exog: expected different columns with commas between them, got 'x' twice"),
    (CSV, [*T, *LM, "--label", "x"], "--label: expected none for the task lm, got 'x'"),
    (CSV, [*T, "--delimiter", ";;"], "--delimiter: expected one character, such as ';'"),
    (CSV, [*T, "--set", "tokens=yes"], "--set tokens: expected true or false, got 'yes'"),
    (JSONL, [*T, "--quoting", "none"], "--quoting: expected none for "),
    (JSONL, [*T, "--delimiter", ";"], "--delimiter: expected none for "),
    (CONLL, [*TAG, *T], "--text: expected none for "),
    (CONLL, [*TAG, "--label", "x"], "--label: expected none for "),
    (CONLL, [*TAG, *L], "--sequence: expected none for "),
    (CONLL, [*TAG, "--quoting", "none"], "--quoting: expected none for "),
    (("a.txt", "a"), [*LM, *T], "--text: expected none for "),
    (("a.tsv", "a\tb"), [*TAG, "--quoting", "none"], "--quoting: expected none for "),
]  # fmt: skip


@pytest.mark.parametrize(("file", "options", "told"), MISUSED, ids=[told for _, _, told in MISUSED])
def test_no_option_is_ignored(tmp_path, file, options, told):
    code, _, said = run("train", written(tmp_path, *file), "-o", tmp_path / "never", *options)
    assert code == 2
    assert told in said


def test_no_file(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    for name, told in [("none.csv", "No such file"), ("folder.csv", "directory")]:
        for options in (T, FORECAST):
            code, _, said = run("train", tmp_path / name, "-o", tmp_path / "never", *options)
            assert code == 1
            assert f"{tmp_path / name}: expected a file that can be read, got: " in said
            assert told in said
    code, _, said = run("train", "/dev/stdin", "-o", tmp_path / "never", *T)
    assert code == 1
    assert "got no ending" in said

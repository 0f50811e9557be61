"""What tests of the command line share: files written, the program in this process, files made wrong."""

import contextlib
import io
import sys
from unittest import mock

import numpy as np
from gru_rs import cli
from gru_rs.cli._tables import DataError, read, read_series

FAST = ["--epochs", "1", "--no-early-stopping", "--set", "hidden_size=2"]
CONLL_U = (
    "1\tAnn\tann\tPROPN\tNNP\t_\t2\tnsubj\t_\t_\n2\tmet\tmeet\tVERB\tVBD\t_\t0\troot\t_\tSpaceAfter=No\n"
)
MUTANTS = 150
"""Of each file."""


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def plain(sequences):
    return [one.tolist() if isinstance(one, np.ndarray) else one for one in sequences]


def run(*arguments):
    """The program in this process: its exit code, its results, and what it says."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["gru-rs", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
            code = 0
        except SystemExit as done:
            code = done.code or 0
    assert "Traceback" not in err.getvalue()
    return code, out.getvalue(), err.getvalue()


PIECES = [
    b"\n",
    b"\r",
    b"\t",
    b'"',
    b"#",
    b"# ",
    b",",
    b"\0",
    b"\xff",
    b"\xfe",
    b"\x85",
    b"\xe2\x80\xa8",
    b"[",
    b"]",
    b"{",
    b"}",
]
PIECES += [
    b"null",
    b"NaN",
    b"1e999",
    b"-",
    b"_",
    b"9" * 400,
    b"-DOCSTART-",
    b"1-2",
    b"1.1",
    b"\\ud800",
    b"true",
    b'""',
    b" ",
]


def mutant(rng, content):
    """A file like another: bytes put in, taken out, changed, doubled or moved, some times."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(found) + 1)
        end = min(len(found), at + rng.randint(1, 6))
        way = rng.randrange(6)
        if way == 0:
            found[at:at] = rng.choice(PIECES)
        elif way == 1:
            del found[at:end]
        elif way == 2:
            found[at:end] = bytes(rng.randrange(256) for _ in range(end - at))
        elif way == 3:
            found[at:at] = found[at:end]
        elif way == 4:
            found[at:end] = rng.choice(PIECES)
        else:
            piece = found[at:end]
            del found[at:end]
            place = rng.randrange(len(found) + 1)
            found[place:place] = piece
    return bytes(found)


def ask(path, layout, task):
    """Whether a file is read; else it has to be a DataError that names the file or an option."""
    try:
        if task == "forecast":
            values, _ = read_series(path, layout)
            assert np.isfinite(values).all()
            return True
        found = read(path, layout, task=task, labelled=task != "lm")
    except DataError as error:
        told = f"{type(error).__name__}: {error}"
    else:
        assert len(found.sequences) == len(found.places) > 0
        assert len(found.labels) == (len(found.sequences) if found.labelled else 0)
        assert all(len(one) for one in found.sequences)
        assert None not in found.labels
        return True
    assert told.startswith((f"DataError: {path}", "UsageError: "))
    return False

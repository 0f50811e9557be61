"""Writes the small models that documentation and `tests/files.rs` read: `python tests/files/generate.py`.
They are as they were before there was a checksum, as such files have to be read for ever.
`tagger_of_features.safetensors` cannot be written again: its features stand in place of the token.
"""

import json
from pathlib import Path

import gru_rs
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

here = Path(__file__).parent


def save_without_checksum(estimator, path):
    """With the very bytes that `save` wrote then."""
    estimator.save(path)
    with safe_open(path, "numpy") as file:
        text = file.metadata()["gru_rs"].replace('"checksum": "crc32", ', "")
    assert "checksum" not in json.loads(text)
    save_file(load_file(path), path, {"gru_rs": text})


# Left or right: does the first of two numbers fall or rise?
rng = np.random.default_rng(1)
turns = [np.linspace([0, 1], [end, 1], 4) + rng.normal(0, 0.1, (4, 2)) for end in [-1, 1] * 16]
names = np.array(["left", "right"] * 16)
plain = {
    "max_iter": 20,
    "random_state": 1,
    "bidirectional": False,
    "pooling": "last",
    "learning_rate": "constant",
    "weight_decay": 0.0,
    "input_dropout": 0.0,
    "output_dropout": 0.0,
    "batch_size": 32,
}
classifier = gru_rs.SequenceClassifier(hidden_size=3, learning_rate_init=0.05, **plain)
save_without_checksum(classifier.fit(turns, names), here / "turns.safetensors")

texts = ["a good day", "what a good film", "a bad day", "what a bad film"] * 4
classifier = gru_rs.SequenceClassifier(hidden_size=2, embedding_size=2, **plain)
save_without_checksum(classifier.fit(texts, [1, 1, 0, 0] * 4), here / "words.safetensors")

"""Writes the small models that documentation and `tests/files.rs` read: `python tests/files/generate.py`."""

from pathlib import Path

import gru_rs
import numpy as np

here = Path(__file__).parent

# Left or right: does the first of two numbers fall or rise?
rng = np.random.default_rng(1)
turns = [np.linspace([0, 1], [end, 1], 4) + rng.normal(0, 0.1, (4, 2)) for end in [-1, 1] * 16]
names = np.array(["left", "right"] * 16)
classifier = gru_rs.SequenceClassifier(hidden_size=3, max_iter=20, learning_rate_init=0.05, random_state=1)
classifier.fit(turns, names).save(here / "turns.safetensors")

texts = ["a good day", "what a good film", "a bad day", "what a bad film"] * 4
classifier = gru_rs.SequenceClassifier(hidden_size=2, embedding_size=2, max_iter=20, random_state=1)
classifier.fit(texts, [1, 1, 0, 0] * 4).save(here / "words.safetensors")

"""Which digit was said? A GRU on cepstral coefficients of 3,000 recordings by six speakers.

    python examples/digits.py --data DIR     # the folder of fsdd.npz; GRU and LSTM, three seeds
    python examples/digits.py --quick        # what CI runs

Two tests: the official split (the first five recordings of each digit and speaker), and a speaker who was
never heard, `theo`. The coefficients come from python_speech_features. Training hears each recording also
slower and faster, and so lower and higher. All parameters are the defaults.
"""

from __future__ import annotations

import argparse

import gru_rs
import numpy as np
from _data import digits
from _report import arguments, compare
from python_speech_features import delta, mfcc

SPEEDS = (0.85, 1.15)
UNSEEN = "theo"


def features(samples: np.ndarray, speed: float = 1.0) -> np.ndarray:
    """13 coefficients each 10 ms, without their mean over the recording, and their slopes: (T, 26)."""
    samples = np.interp(np.arange(0, len(samples) - 1, speed), np.arange(len(samples)), samples)
    cepstrum = mfcc(samples, 8000, winlen=0.025, winstep=0.01, numcep=13, nfilt=26, nfft=256)
    cepstrum -= cepstrum.mean(axis=0)
    return np.concatenate([cepstrum, delta(cepstrum, 2)], axis=1).astype(np.float32)


def main() -> None:
    given = arguments(__doc__)
    data = digits(given.data)
    bounds = zip(data["offsets"][:-1], data["offsets"][1:], strict=True)
    recordings = [data["pcm"][first:last].astype(float) for first, last in bounds]
    use = np.arange(0, len(recordings), 10 if given.quick else 1)
    heard = {row: [features(recordings[row], speed) for speed in (1.0, *SPEEDS)] for row in use}
    tests = {"official split": data["index"] < 5, f"{UNSEEN} unseen": data["speaker"] == UNSEEN}
    for name, held in tests.items():
        train, test = use[~held[use]], use[held[use]]
        name = f"{name}: {len(train)} to train with, {len(test)} to test with"
        X = [version for row in train for version in heard[row]]
        y = np.repeat(data["digit"][train], 1 + len(SPEEDS))
        X_test, y_test = [heard[row][0] for row in test], data["digit"][test]
        measure(name, given, (X, y), (X_test, y_test))


def measure(name: str, given: argparse.Namespace, train: tuple, test: tuple) -> None:
    """Trains with the one and scores the other."""

    def fit(cell: str, seed: int) -> gru_rs.SequenceClassifier:
        epochs = 2 if given.quick else None  # None: what suits so many rows
        return gru_rs.SequenceClassifier(cell=cell, random_state=seed, max_iter=epochs).fit(*train)

    def score(classifier: gru_rs.SequenceClassifier) -> dict[str, float]:
        return {"accuracy": classifier.score(*test)}

    compare(name, given.seeds, fit, score)


if __name__ == "__main__":
    main()

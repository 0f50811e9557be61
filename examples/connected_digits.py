"""Which digits were said? Strings of three to seven digits, read by a GRU trained with CTC.

    python examples/connected_digits.py --data DIR     # the folder of fsdd.npz; GRU and LSTM, three seeds
    python examples/connected_digits.py --quick        # what CI runs

Strings of one speaker's recordings with gaps of noise between them, each recording in the training or in the
test set (the official split: the first five of each digit and speaker to test with). Nobody tells where a
digit begins or ends.
"""

from __future__ import annotations

import gru_rs
import numpy as np
from _data import digits
from _report import arguments, compare
from digits import features

OPTIONS = {
    "learning_rate_init": 5e-3,
}
STRINGS = {"train": 4000, "test": 500}


def strings(
    recordings: list[np.ndarray], data: dict[str, np.ndarray], rows: np.ndarray, count: int, seed: int
) -> tuple[list[np.ndarray], list[str]]:
    """Strings of digits and their coefficients. Training hears each also slower or faster."""
    rng = np.random.default_rng(seed)
    X, y = [], []
    for _ in range(count):
        speaker = rng.choice(np.unique(data["speaker"][rows]))
        of = rows[data["speaker"][rows] == speaker]
        chosen = rng.choice(of, rng.integers(3, 8))
        parts = []
        for row in chosen:
            loud = np.abs(recordings[row]).std()
            parts += [rng.normal(0, 0.02 * loud, rng.integers(400, 2400)), recordings[row]]
        parts.append(rng.normal(0, 0.02 * loud, rng.integers(400, 2400)))
        speed = rng.uniform(0.85, 1.15) if seed == 0 else 1.0
        X.append(features(np.concatenate(parts), speed))
        y.append("".join(str(digit) for digit in data["digit"][chosen]))
    return X, y


def main() -> None:
    given = arguments(__doc__)
    data = digits(given.data)
    bounds = zip(data["offsets"][:-1], data["offsets"][1:], strict=True)
    recordings = [data["pcm"][first:last].astype(float) for first, last in bounds]
    held = data["index"] < 5
    share = 40 if given.quick else 1
    train = strings(recordings, data, np.flatnonzero(~held), STRINGS["train"] // share, seed=0)
    test = strings(recordings, data, np.flatnonzero(held), STRINGS["test"] // share, seed=1)

    def fit(cell: str, seed: int) -> gru_rs.Transcriber:
        transcriber = gru_rs.Transcriber(
            cell=cell, random_state=seed, max_iter=2 if given.quick else 12, **OPTIONS
        )
        return transcriber.fit(*train)

    def score(transcriber: gru_rs.Transcriber) -> dict[str, float]:
        found = {}
        for name, width in (("greedy", None), ("beam of 10", 10)):
            found[f"{name}, % wrong"] = 100 * (1 - transcriber.set_params(beam_width=width).score(*test))
        return found

    name = f"strings: {len(train[0])} to train with, {len(test[0])} to test with"
    models = compare(name, given.seeds, fit, score)
    for said, heard in zip(test[1][:3], models["gru"].predict(test[0][:3]), strict=True):
        print(f"  said {said}, heard {heard}")


if __name__ == "__main__":
    main()

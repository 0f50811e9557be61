"""Which exercise is it? A GRU on a smart-watch's six sensors, on people that it has never seen.

    python examples/watch.py            # GRU and LSTM, three seeds
    python examples/watch.py --quick    # what CI runs

140 recordings of seven exercises by ten people at 50 Hz (Burns et al., 2018), in windows of four seconds;
people 8, 9 and 10 are the test. The windows were chosen on people 5, 6 and 7, and 2, 3 and 4; all parameters
of the model are the defaults.
"""

from __future__ import annotations

import gru_rs
import numpy as np
from _data import watch
from _report import arguments, compare

WINDOW, EVERY = 200, 2  # 4 s, of which each second sample is kept
TURNS, TILT = 3, 0.3  # each window is also seen as from a watch that sits a little otherwise
TEST = (8, 9, 10)


def windows(recordings: list[np.ndarray], rows: np.ndarray, step: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Windows of some recordings, and which recording each is of."""
    found, of = [], []
    for row in rows:
        for start in range(0, len(recordings[row]) - WINDOW + 1, step):
            found.append(recordings[row][start : start + WINDOW : EVERY])
            of.append(row)
    return found, np.array(of)


def turned(window: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same movement in axes turned by chance: those of the acceleration and those of the rotation."""
    turn, triangle = np.linalg.qr(np.eye(3) + TILT * rng.normal(size=(3, 3)))
    turn *= np.sign(np.diag(triangle))
    return np.concatenate([window[:, :3] @ turn, window[:, 3:] @ turn], axis=1).astype(np.float32)


def main() -> None:
    given = arguments(__doc__)
    recordings, exercises, people = watch(given.data)
    held = np.isin(people, TEST)
    X, of = windows(recordings, np.flatnonzero(~held), 200 if given.quick else 50)
    if not given.quick:
        rng = np.random.default_rng(0)
        X, of = [*X, *(turned(x, rng) for x in X for _ in range(TURNS))], np.append(of, np.repeat(of, TURNS))
    X_test, of_test = windows(recordings, np.flatnonzero(held), 100)

    def fit(cell: str, seed: int) -> gru_rs.SequenceClassifier:
        epochs = 2 if given.quick else None  # None: what suits so many rows
        classifier = gru_rs.SequenceClassifier(cell=cell, random_state=seed, max_iter=epochs)
        return classifier.fit(X, exercises[of])

    def score(classifier: gru_rs.SequenceClassifier) -> dict[str, float]:
        return {"accuracy": classifier.score(X_test, exercises[of_test])}

    name = f"smart-watch: {len(X)} windows to train with, {len(X_test)} to test with"
    compare(name, given.seeds, fit, score)


if __name__ == "__main__":
    main()

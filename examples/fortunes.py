"""Generate fortunes: a GRU that learns Debian's fortunes character by character, and makes up new ones.

    python examples/fortunes.py            # GRU, ten minutes on two cores
    python examples/fortunes.py --quick    # what CI runs

15,134 sayings, jokes and verses, 2.5 million characters; every twentieth is held out. What is printed as bits
per character counts the end of a text as a character.
"""

from __future__ import annotations

import time

import gru_rs
import numpy as np
from _data import fortunes
from _report import OUTPUT, arguments, pick, split

OPTIONS = {
    "hidden_size": 256,
    "embedding_size": 64,
    "batch_size": 64,
    "chunk_length": 100,
    "learning_rate_init": 4e-3,
    "learning_rate": "cosine",
    "warmup_fraction": 0.02,
}
EPOCHS = 11


def main() -> None:
    given = arguments(__doc__)
    texts = fortunes(given.data)
    rows, held = split(len(texts), len(texts) * 19 // 20)
    (train,), (test,) = pick(rows[:300] if given.quick else rows, texts), pick(held, texts)
    count = sum(len(text) + 1 for text in train)
    model = gru_rs.LanguageModel(
        max_iter=1 if given.quick else EPOCHS, random_state=0, callbacks=[Report(count)], **OPTIONS
    )
    begin = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - begin
    rate = count * model.n_iter_ / seconds
    print(f"\n{count} characters, {model.n_iter_} epochs: {seconds:.0f} s, {rate:.0f} a second")
    print(f"held out: {model.bits_per_character(test[:100] if given.quick else test):.3f} bits a character\n")
    OUTPUT.mkdir(exist_ok=True)
    model.save(OUTPUT / "fortunes.safetensors")
    for seed in range(3):
        print(model.generate("", temperature=0.7, max_length=300, seed=seed), end="\n%\n")
    times = []
    pieces = model.stream("The ", max_length=500, seed=0)
    for _ in range(3 if given.quick else 300):
        begin = time.perf_counter()
        if next(pieces, None) is None:
            pieces = model.stream("The ", max_length=500, seed=len(times))
        times.append(time.perf_counter() - begin)
    print(f"a character: {np.median(times) * 1e6:.0f} µs")


class Report:
    """A line for each epoch."""

    def __init__(self, count: int) -> None:
        self.count, self.begin = count, time.perf_counter()

    def __call__(self, info: gru_rs.TrainingInfo) -> None:
        if info.event == "epoch":
            bits, seconds = info.loss / np.log(2), time.perf_counter() - self.begin
            print(f"  epoch {info.epoch + 1}: {bits:.3f} bits a character, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()

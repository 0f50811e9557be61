"""How is it said? A GRU that writes the sounds of English words.

    python examples/pronunciation.py            # GRU, about twenty minutes on two cores
    python examples/pronunciation.py --quick    # what CI runs

126,052 words of the CMU dictionary, the first way to say each, sounds without stress; 90 % to train with, 5 %
to choose with, 5 % to test with, split by word.
"""

from __future__ import annotations

import time

import gru_rs
import numpy as np
from _data import pronunciations
from _report import OUTPUT, arguments, pick
from gru_rs.estimators.transcriber import error_rate

OPTIONS = {
    "analyzer": "char",
    "hidden_size": 256,
    "embedding_size": 128,
    "batch_size": 128,
    "warmup_fraction": 0.03,
    "weight_decay": 0.0,
}
EPOCHS = 10


def main() -> None:
    given = arguments(__doc__)
    words, sounds = pronunciations(given.data)
    order = np.random.default_rng(0).permutation(len(words))
    tenth, twentieth = len(order) * 90 // 100, len(order) * 95 // 100
    train, test = order[: 1500 if given.quick else tenth], order[twentieth:][: 200 if given.quick else None]
    (X, y), (X_test, y_test) = pick(train, words, sounds), pick(test, words, sounds)
    model = gru_rs.Seq2Seq(
        max_iter=2 if given.quick else EPOCHS, random_state=0, callbacks=[Report()], **OPTIONS
    )
    begin = time.perf_counter()
    model.fit(X, y)
    print(f"{len(X)} words, {model.n_iter_} epochs: {time.perf_counter() - begin:.0f} s")
    OUTPUT.mkdir(exist_ok=True)
    model.save(OUTPUT / "pronunciation.safetensors")
    for width in (1, 5):
        found = model.set_params(beam_width=width).predict(X_test)
        wrong = np.mean([a != b for a, b in zip(found, y_test, strict=True)])
        print(
            f"  beam {width}: {error_rate(y_test, found):.2%} of the sounds wrong, {wrong:.2%} of the words"
        )
    for word in ("rustacean", "grandiloquent", "gruesome"):
        (guess, *_), *_ = model.predict_beam([word], beam_width=5)
        print(f"  {word}: {' '.join(guess.target)}  (p = {np.exp(guess.log_p):.2f})")


class Report:
    """A line for each epoch."""

    def __init__(self) -> None:
        self.begin = time.perf_counter()

    def __call__(self, info: gru_rs.TrainingInfo) -> None:
        if info.event == "epoch":
            print(
                f"  epoch {info.epoch + 1}: loss {info.loss:.4f}, {time.perf_counter() - self.begin:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""Who and what is meant? A GRU with a CRF that finds people, places, firms and seven other kinds of names in
tweets.

    python examples/entities.py            # GRU and LSTM, three seeds
    python examples/entities.py --quick    # what CI runs

2,295 tweets (Ritter et al., 2011), 2,000 to train with; F1 counts whole entities. All parameters are the
defaults.
"""

from __future__ import annotations

import gru_rs
from _data import tweets
from _report import arguments, compare, pick, split


def main() -> None:
    given = arguments(__doc__)
    tokens, labels = tweets(given.data)
    rows, held = split(len(tokens), 2000)
    train, test = pick(rows[:300] if given.quick else rows, tokens, labels), pick(held, tokens, labels)

    def fit(cell: str, seed: int) -> gru_rs.SequenceTagger:
        epochs = 3 if given.quick else None  # None: what suits so many rows
        return gru_rs.SequenceTagger(cell=cell, random_state=seed, max_iter=epochs).fit(*train)

    def score(tagger: gru_rs.SequenceTagger) -> dict[str, float]:
        return {"F1": tagger.score(*test)}

    name = f"tweets: {len(train[0])} to train with, {len(test[0])} to test with"
    models = compare(name, given.seeds, fit, score)
    words = ["Lady", "Gaga", "will", "sing", "in", "New", "York", "on", "Friday"]
    (found,) = models["gru"].predict([words])
    print("  " + " ".join(f"{word}/{label}" for word, label in zip(words, found, strict=True)))


if __name__ == "__main__":
    main()

"""What is asked for? A GRU that tells six kinds of questions apart: a person, a place, a number, a thing …

    python examples/intent.py            # GRU and LSTM, three seeds
    python examples/intent.py --quick    # what CI runs

The questions are those of TREC (Li and Roth, 2002), 5,382 without repetitions; 4,800 are to train with. All
parameters are the defaults.
"""

from __future__ import annotations

import gru_rs
from _data import questions
from _report import arguments, compare, pick, split


def main() -> None:
    given = arguments(__doc__)
    texts, labels = questions(given.data)
    rows, held = split(len(texts), 4800)
    train, test = pick(rows[:800] if given.quick else rows, texts, labels), pick(held, texts, labels)

    def fit(cell: str, seed: int) -> gru_rs.SequenceClassifier:
        epochs = 3 if given.quick else None  # None: what suits so many rows
        return gru_rs.SequenceClassifier(cell=cell, random_state=seed, max_iter=epochs).fit(*train)

    def score(classifier: gru_rs.SequenceClassifier) -> dict[str, float]:
        return {"accuracy": classifier.score(*test)}

    name = f"TREC: {len(train[0])} to train with, {len(test[0])} to test with"
    models = compare(name, given.seeds, fit, score)
    asked = ["Who wrote Faust ?", "How many legs has a spider ?", "Where is Timbuktu ?"]
    for text, label in zip(asked, models["gru"].predict(asked), strict=True):
        print(f"  {label}: {text}")


if __name__ == "__main__":
    main()

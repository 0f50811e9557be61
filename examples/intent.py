"""What is asked for? A GRU that tells six kinds of questions apart: a person, a place, a number, a thing …

    python examples/intent.py            # GRU and LSTM, three seeds
    python examples/intent.py --quick    # what CI runs

The questions are those of TREC (Li and Roth, 2002), 5,382 without repetitions; 4,800 are to train with. The
parameters were chosen on the last 15 % of the training rows.
"""

from __future__ import annotations

import gru_rs
from _data import questions
from _report import arguments, compare, pick, split

OPTIONS = {
    "bidirectional": True,
    "pooling": "max",
    "min_frequency": 2,
    "input_dropout": 0.3,
    "output_dropout": 0.5,
    "learning_rate": "cosine",
    "warmup_fraction": 0.1,
    "weight_decay": 0.01,
}


def main() -> None:
    given = arguments(__doc__)
    texts, labels = questions(given.data)
    rows, held = split(len(texts), 4800)
    train, test = pick(rows[:800] if given.quick else rows, texts, labels), pick(held, texts, labels)

    def fit(cell: str, seed: int) -> gru_rs.SequenceClassifier:
        classifier = gru_rs.SequenceClassifier(
            cell=cell, random_state=seed, max_iter=3 if given.quick else 12, **OPTIONS
        )
        return classifier.fit(*train)

    def score(classifier: gru_rs.SequenceClassifier) -> dict[str, float]:
        return {"accuracy": classifier.score(*test)}

    name = f"TREC: {len(train[0])} to train with, {len(test[0])} to test with"
    models = compare(name, given.seeds, fit, score)
    asked = ["Who wrote Faust ?", "How many legs has a spider ?", "Where is Timbuktu ?"]
    for text, label in zip(asked, models["gru"].predict(asked), strict=True):
        print(f"  {label}: {text}")


if __name__ == "__main__":
    main()

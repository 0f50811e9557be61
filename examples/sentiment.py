"""Good or bad? A GRU that reads snippets of reviews: 2,943 of products, 10,043 of films.

    python examples/sentiment.py            # GRU and LSTM, three seeds, both sets; then saves, loads, plots
    python examples/sentiment.py --quick    # what CI runs

The data are those of Hutto and Gilbert (2014) without the undecided; 2,400 and 8,500 snippets are to train
with, the others to test with. All parameters are the defaults.
"""

from __future__ import annotations

import argparse

import gru_rs
import numpy as np
from _data import reviews
from _report import OUTPUT, arguments, compare, pick, split

TRAIN = {"amazon": 2400, "movie": 8500}
SENTENCES = [
    "I love it, best purchase this year!",
    "It broke after two days.",
    "Not bad at all.",
    "A dull, endless film",
]


def main() -> None:
    given = arguments(__doc__)
    models = {}
    for kind in ("amazon",) if given.quick else ("amazon", "movie"):
        texts, labels = reviews(kind, given.data)
        rows, held = split(len(texts), TRAIN[kind])
        train, test = pick(rows[:600] if given.quick else rows, texts, labels), pick(held, texts, labels)
        models[kind] = measure(kind, given, train, test)
        share = max(labels.count(label) for label in set(labels)) / len(labels)
        print(f"  the more frequent answer alone: {share:.3f}")
    show(models, test[0])


def measure(
    kind: str, given: argparse.Namespace, train: list[list[str]], test: list[list[str]]
) -> dict[str, gru_rs.SequenceClassifier]:
    """Trains with the one and scores the other."""

    def fit(cell: str, seed: int) -> gru_rs.SequenceClassifier:
        epochs = 3 if given.quick else None  # None: what suits so many rows
        return gru_rs.SequenceClassifier(cell=cell, random_state=seed, max_iter=epochs).fit(*train)

    def score(classifier: gru_rs.SequenceClassifier) -> dict[str, float]:
        return {"accuracy": classifier.score(*test)}

    name = f"{kind}: {len(train[0])} to train with, {len(test[0])} to test with"
    return compare(name, given.seeds, fit, score)


def show(models: dict[str, dict[str, gru_rs.SequenceClassifier]], texts: list[str]) -> None:
    """Some predictions; the model in a file and back; the loss as a plot."""
    model = models["amazon"]["gru"]
    print()
    for text, good in zip(SENTENCES, model.predict_proba(SENTENCES)[:, 1], strict=True):
        print(f"  {good:5.0%} good: {text}")
    OUTPUT.mkdir(exist_ok=True)
    path = OUTPUT / "sentiment.safetensors"
    model.save(path)
    same = np.array_equal(gru_rs.load(path).predict_proba(texts), model.predict_proba(texts))
    assert same, "the model that was loaded answers otherwise"
    print(f"\nsaved as {path} ({path.stat().st_size / 1e6:.1f} MB) and loaded again: the same answers")
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    for kind, cells in models.items():
        for cell, one in cells.items():
            axes.plot(range(1, one.n_iter_ + 1), one.loss_curve_, label=f"{kind}, {cell.upper()}")
    axes.set(xlabel="epoch", ylabel="loss in training", title="Sentiment of reviews")
    axes.legend()
    figure.savefig(OUTPUT / "sentiment.png", dpi=120, bbox_inches="tight")
    print(f"losses: {OUTPUT / 'sentiment.png'}")


if __name__ == "__main__":
    main()

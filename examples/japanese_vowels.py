"""Who is speaking? A GRU that tells nine speakers apart from half a second of a vowel.

The recordings are the JapaneseVowels set of Kudo, Toyama and Shimbo (1999): nine men say "ae"; a frame is 12
LPC cepstral coefficients, an utterance 7 to 29 frames; 270 utterances are to train with, 370 to test with.
The model is a bidirectional recurrent layer of gru_rs, the mean of its outputs over time, and a softmax
written in NumPy, so that every step of training a gru_rs layer can be seen.

    python examples/japanese_vowels.py               # GRU and LSTM, three seeds each
    python examples/japanese_vowels.py --quick       # what CI runs
    python examples/japanese_vowels.py --validate    # scores held-out *training* data: tune with this
    python examples/japanese_vowels.py --data DIR    # your own JapaneseVowels_{TRAIN,TEST}.ts
"""

import argparse
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import gru_rs
import numpy as np

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

PACKAGE = "aeon==1.6.0"  # carries the recordings; it is read as an archive and never imported
FOLDER = "aeon/datasets/data/JapaneseVowels"
CHANNELS, SPEAKERS = 12, 9

# Chosen with --validate, that is within the training data (scores: README.md): the test data chose nothing.
HIDDEN = 64  # per direction
BATCH, LEARNING_RATE = 32, 3e-3
NOISE = 0.7  # added to the training inputs, in standard deviations: 270 utterances are soon learnt by heart
EPOCHS, QUICK_EPOCHS = 40, 15
AVERAGED = 0.25  # the weights of the last quarter of the epochs are averaged: calmer than any one of them

ACCURACY_FLOOR, QUICK_FLOOR = 0.955, 0.90  # what the mean over the seeds must reach, in full and in brief


def load(folder):
    """Returns training and test data, each a pair (sequences, speakers); fetches them if folder is None."""
    names = ["JapaneseVowels_TRAIN.ts", "JapaneseVowels_TEST.ts"]
    if folder is not None:
        return [parse(Path(folder, name).read_text()) for name in names]
    with zipfile.ZipFile(fetch()) as archive:
        return [parse(archive.read(f"{FOLDER}/{name}").decode()) for name in names]


def fetch():
    """Downloads the package into the user's cache, once, and returns its path."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "gru-rs", "japanese-vowels")
    if not list(cache.glob("aeon-*.whl")):
        print(f"fetching {PACKAGE} into {cache}")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache)]
        if subprocess.run([*pip, PACKAGE]).returncode:
            sys.exit("could not download the recordings: name a folder with your own copy by --data")
    return next(cache.glob("aeon-*.whl"))


def parse(text):
    """Reads a .ts file: after @data a line an utterance, channels between colons, frames between commas."""
    sequences, speakers = [], []
    for line in text.partition("@data")[2].strip().splitlines():
        *channels, speaker = line.split(":")
        sequences.append(np.array([channel.split(",") for channel in channels], dtype=np.float32).T)
        speakers.append(int(speaker) - 1)
    return sequences, np.array(speakers)


def hold_out(data, fold):
    """Splits training data for --validate: every third utterance of each speaker is held out."""
    sequences, speakers = data
    rank = np.array([np.sum(speakers[:i] == speakers[i]) for i in range(len(speakers))])
    held = rank % 3 == fold % 3
    return [([sequences[i] for i in np.flatnonzero(rows)], speakers[rows]) for rows in (~held, held)]


def standardise(train, test):
    """Zero mean and unit variance per channel, by the statistics of the training frames alone."""
    frames = np.concatenate(train[0])
    mean, scale = frames.mean(axis=0), frames.std(axis=0)
    return [([(s - mean) / scale for s in sequences], speakers) for sequences, speakers in (train, test)]


def pad(sequences):
    """Stacks sequences of unequal length to (T, B, channels); gru_rs never reads past a row's length."""
    lengths = np.array([len(s) for s in sequences])
    x = np.zeros((lengths.max(), len(sequences), CHANNELS), np.float32)
    for row, sequence in enumerate(sequences):
        x[: len(sequence), row] = sequence
    return x, lengths


class SoftmaxHead:
    """Class scores W f + b with cross-entropy, its gradient, and Adam, written out in NumPy."""

    def __init__(self, features, classes, learning_rate, rng):
        weights = rng.uniform(-1, 1, (features + 1, classes)) / np.sqrt(features)
        self.weights = weights.astype(np.float32)  # the last row is b
        self.m, self.v = np.zeros_like(self.weights), np.zeros_like(self.weights)
        self.learning_rate, self.steps = learning_rate, 0

    def scores(self, f):
        return f @ self.weights[:-1] + self.weights[-1]

    def train_step(self, f, target):
        """Updates the head and returns the mean loss and its gradient with respect to the features f."""
        scores = self.scores(f)
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        rows = np.arange(len(f))
        loss = -np.log(p[rows, target] + 1e-12).mean()
        p[rows, target] -= 1  # d loss / d scores = p - one-hot
        p /= len(f)
        d_f = p @ self.weights[:-1].T
        self.update(np.vstack([f.T @ p, p.sum(axis=0)]))
        return loss, d_f

    def update(self, gradient, beta1=0.9, beta2=0.999):
        self.steps += 1
        self.m += (1 - beta1) * (gradient - self.m)
        self.v += (1 - beta2) * (gradient**2 - self.v)
        m, v = self.m / (1 - beta1**self.steps), self.v / (1 - beta2**self.steps)
        self.weights -= self.learning_rate * m / (np.sqrt(v) + 1e-8)


class SpeakerModel:
    """Recurrent layer → mean over time → softmax, for kind = gru_rs.GRU or gru_rs.LSTM alike."""

    def __init__(self, kind, seed):
        self.rng = np.random.default_rng(seed)
        self.layer = kind(CHANNELS, HIDDEN, bidirectional=True, seed=seed)
        self.head = SoftmaxHead(2 * HIDDEN, SPEAKERS, LEARNING_RATE, self.rng)
        self.optimizer = gru_rs.Adam(LEARNING_RATE)

    def train_epoch(self, sequences, speakers):
        """One pass in mini-batches of ragged sequences, in a new order; returns the mean loss."""
        order = self.rng.permutation(len(sequences))
        losses = []
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            x, lengths = pad([sequences[i] for i in rows])
            x += NOISE * self.rng.standard_normal(x.shape, dtype=np.float32)

            y, _, tape = self.layer.forward(x, lengths=lengths)  # the tape keeps what backward needs
            steps = lengths[:, None].astype(np.float32)
            pooled = y.sum(axis=0) / steps  # y is zero past a row's length, so the plain sum is the right one
            loss, d_pooled = self.head.train_step(pooled, speakers[rows])
            # Every step has an equal share in the mean; backward ignores those past a row's length.
            grads = tape.backward(np.broadcast_to(d_pooled / steps, y.shape))
            self.optimizer.step(self.layer, grads)
            losses.append(loss)
        return float(np.mean(losses))

    def accuracy(self, sequences, speakers):
        x, lengths = pad(sequences)
        y, _ = self.layer(x, lengths=lengths)  # a plain call keeps nothing for backward
        predicted = self.head.scores(y.sum(axis=0) / lengths[:, None]).argmax(axis=1)
        return float(np.mean(predicted == speakers))


def train(kind, seed, epochs, train_data, test_data):
    """Trains one model; returns its final accuracy, that with the layer's weights in 8 bits, the learning
    curves and the seconds each epoch took."""
    model = SpeakerModel(kind, seed)
    averaged = max(1, round(AVERAGED * epochs))
    sums, losses, accuracies, seconds = [0.0, 0.0], [], [], []
    bar = tqdm(total=epochs, ncols=100) if tqdm and sys.stderr.isatty() else None
    for epoch in range(epochs):
        began = time.perf_counter()
        losses.append(model.train_epoch(*train_data))
        seconds.append(time.perf_counter() - began)
        if epoch >= epochs - averaged:  # `flat` is every weight of the layer as one array
            sums = [sums[0] + model.layer.flat.astype(np.float64), sums[1] + model.head.weights]
        accuracies.append(model.accuracy(*test_data))  # for the curve only: no decision is taken from it
        status = f"{kind.__name__:4} seed {seed}  loss {losses[-1]:.3f}  accuracy {accuracies[-1]:.3f}"
        if bar:
            bar.set_description(status, refresh=False)
            bar.update()
        elif epoch % 10 == 9 or epoch == epochs - 1:
            print(f"{status}  epoch {epoch + 1}/{epochs}", flush=True)
    model.layer.set_flat((sums[0] / averaged).astype(np.float32))
    model.head.weights = sums[1] / averaged
    whole = model.accuracy(*test_data)
    model.layer = model.layer.quantize("int8")
    return whole, model.accuracy(*test_data), losses, accuracies, seconds


def plot(runs, path, scored):
    """Saves loss and accuracy by epoch, a line a seed, one colour for each kind of layer."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for colour, (name, results) in zip(("tab:blue", "tab:orange"), runs.items(), strict=True):
        for i, (_, _, losses, accuracies, _) in enumerate(results):
            style = {"color": colour, "alpha": 0.7, "label": name if i == 0 else None}
            epochs = range(1, len(losses) + 1)
            left.plot(epochs, losses, **style)
            right.plot(epochs, accuracies, **style)
    left.set(xlabel="epoch", ylabel="training loss (cross-entropy)", yscale="log")
    right.set(xlabel="epoch", ylabel=f"accuracy on {scored} data", ylim=(0.5, 1.005))
    right.legend(loc="lower right")
    figure.suptitle(f"JapaneseVowels: which of nine speakers? {HIDDEN} units a direction, one line a seed")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", help="folder with your own JapaneseVowels_{TRAIN,TEST}.ts")
    parser.add_argument("--seeds", type=int, help="default: 3; with --quick 1")
    parser.add_argument("--epochs", type=int, help=f"default: {EPOCHS}; with --quick {QUICK_EPOCHS}")
    parser.add_argument("--quick", action="store_true", help="one seed and few epochs: a test that it works")
    parser.add_argument("--validate", action="store_true", help="score a held-out third of the training data")
    options = parser.parse_args()
    epochs = options.epochs or (QUICK_EPOCHS if options.quick else EPOCHS)
    seeds = range(options.seeds or (1 if options.quick else 3))
    scored = "held_out" if options.validate else "test"

    data = load(options.data)
    print(
        f"{len(data[0][1])} utterances to train with, {len(data[1][1])} to test with; scored on {scored} data"
    )
    splits = [standardise(*(hold_out(data[0], seed) if options.validate else data)) for seed in seeds]
    runs = {}
    for kind in (gru_rs.GRU, gru_rs.LSTM):
        runs[kind.__name__] = [train(kind, seed, epochs, *splits[seed]) for seed in seeds]

    heads = (
        f"{'layer':6} {'mean accuracy':>13} {'int8':>7}   {'by seed':{7 * len(seeds)}} {'s per epoch':>11}"
    )
    print(f"\n{heads}")
    means = {}
    for name, results in runs.items():
        accuracies = [whole for whole, *_ in results]
        means[name] = np.mean(accuracies)
        change = np.mean([narrow - whole for whole, narrow, *_ in results])
        by_seed = "  ".join(f"{accuracy:.3f}" for accuracy in accuracies)
        epoch_seconds = np.median(np.concatenate([seconds for *_, seconds in results]))
        print(
            f"{name:6} {means[name]:13.3f} {change:+7.4f}   {by_seed:{7 * len(seeds)}} {epoch_seconds:11.3f}"
        )

    path = Path(__file__).parent / "output" / f"japanese_vowels_{scored}.png"
    plot(runs, path, scored)
    print(f"\nlearning curves: {path}")
    floor = ACCURACY_FLOOR if epochs >= EPOCHS and not options.validate else QUICK_FLOOR
    if epochs >= QUICK_EPOCHS and min(means.values()) < floor:
        sys.exit(f"accuracy below {floor}: something is wrong")


if __name__ == "__main__":
    main()

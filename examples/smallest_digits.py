"""How small can a net be that knows spoken digits? GRUs of 4 to 48 units, in 8 bits and whole, on columns
that a stream of sound can give.

    python examples/smallest_digits.py --data DIR     # the folder of fsdd.npz; eight minutes on two cores
    python examples/smallest_digits.py --quick        # what CI runs

The official split of 3,000 recordings: the first five of each digit and speaker are the test. Recordings 5 to
9 choose the size: the smallest whose nets in 8 bits know .96 of them, a little more than the .95 asked for,
as 300 recordings tell no better than ± .01. Then all sizes learn anew with these recordings too, and the test
scores them. The chosen net, of the seed that did best on recordings 5 to 9, is saved as
`output/digits.safetensors`: `edge.rs` hears digits with it. The other parameters were chosen on recordings 5
to 9 as well.

Training hears each recording as it is, and eight times as it might have been: slower, faster, louder, softer,
and with noise around it, since a stream is not cut where the word begins.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import gru_rs
import numpy as np
from _audio import altered, log_mel, surrounded
from _data import digits
from _report import OUTPUT, arguments, spread

COLUMNS = 12
SIZES = (4, 6, 7, 8, 10, 12, 16, 24, 48)
OPTIONS = {
    "pooling": "mean",
    "learning_rate": "cosine",
    "warmup_fraction": 0.1,
    "learning_rate_init": 2e-2,
    "weight_decay": 0.01,
}
EPOCHS, VERSIONS = 16, 8
WANTED, GOAL = 0.96, 0.95  # on recordings 5 to 9, and on the test
WIDTHS = ("f32", "f16", "int8")
Set = tuple[list[np.ndarray], np.ndarray]


@dataclass
class Trained:
    """The nets of one size and seed, by width, and how often they are right."""

    nets: dict[str, gru_rs.SequenceClassifier]
    validated: float
    tested: dict[str, float]
    within_noise: float


def main() -> None:
    given = arguments(__doc__)
    sets = prepare(given)
    sizes = SIZES[1:4] if given.quick else SIZES
    jobs = [(size, seed) for size in sizes for seed in range(given.seeds)]
    gru_rs.set_num_threads(1)  # nets this small keep no second one busy: two are trained at a time
    with ThreadPoolExecutor(2) as pool:
        every = list(pool.map(lambda job: measure(*job, sets, 2 if given.quick else EPOCHS), jobs))
    found = {size: [one for job, one in zip(jobs, every, strict=True) if job[0] == size] for size in sizes}
    print(
        f"{len(sets['all'][1])} to train with, {len(sets['test'][1])} to test with; mean ± deviation of seeds"
    )
    rows = table(found)
    chosen = next((size for size in sizes if mean_of(found[size], "validated") >= WANTED), sizes[-1])
    best = max(found[chosen], key=lambda one: one.validated)
    OUTPUT.mkdir(exist_ok=True)
    path = OUTPUT / "digits.safetensors"
    best.nets["int8"].save(path)
    print(f"\n{chosen} units, {best.tested['int8']:.3f} right: saved as {path}, {path.stat().st_size} bytes")
    print(
        f"  {best.nets['int8'].quantization_.nbytes} of them are the net's, the others say how it was trained"
    )
    plot(rows, list(sizes), chosen)
    if best.tested["int8"] < GOAL and not given.quick:
        raise SystemExit(f"accuracy below {GOAL}: something is wrong")


def prepare(given: argparse.Namespace) -> dict[str, Set]:
    """Recordings to train with, without recordings 5 to 9 and with them, and to score."""
    data = digits(given.data)
    bounds = zip(data["offsets"][:-1], data["offsets"][1:], strict=True)
    recordings = [data["pcm"][first:last].astype(float) for first, last in bounds]
    use = np.arange(0, len(recordings), 9 if given.quick else 1)
    index = data["index"][use]
    test, validation, train = use[index < 5], use[(index >= 5) & (index < 10)], use[index >= 10]
    count = 2 if given.quick else VERSIONS
    rng = np.random.default_rng(0)

    def plain(rows: np.ndarray) -> Set:
        return [log_mel(recordings[row], COLUMNS) for row in rows], data["digit"][rows]

    def several(rows: np.ndarray) -> Set:
        X, y = plain(rows)
        X += [log_mel(altered(recordings[row], rng), COLUMNS) for row in rows for _ in range(count)]
        return X, np.append(y, y.repeat(count))

    some, more = several(train), several(validation)
    noisy = [log_mel(surrounded(recordings[row], rng, 640, 1600), COLUMNS) for row in test]
    return {
        "some": some,
        "all": (some[0] + more[0], np.append(some[1], more[1])),
        "validation": plain(validation),
        "test": plain(test),
        "within noise": (noisy, data["digit"][test]),
    }


def measure(size: int, seed: int, sets: dict[str, Set], epochs: int) -> Trained:
    """Trains with a part of the recordings to be validated, with all to be tested."""

    def fit(name: str) -> gru_rs.SequenceClassifier:
        net = gru_rs.SequenceClassifier(hidden_size=size, max_iter=epochs, random_state=seed, **OPTIONS)
        return net.fit(*sets[name])

    validated = fit("some").quantize("int8").score(*sets["validation"])
    net = fit("all")
    nets = {"f32": net, "f16": net.quantize("f16"), "int8": net.quantize("int8")}
    tested = {width: one.score(*sets["test"]) for width, one in nets.items()}
    return Trained(nets, validated, tested, nets["int8"].score(*sets["within noise"]))


def mean_of(found: list[Trained], name: str) -> float:
    return float(np.mean([getattr(one, name) for one in found]))


def table(found: dict[int, list[Trained]]) -> list[dict[str, tuple[int, float, float]]]:
    """Prints a line a size, and gives bytes, accuracy and µs a frame of each width."""
    heads = (
        ("units", 5),
        ("parameters", 10),
        ("bytes f32", 9),
        ("f16", 6),
        ("int8", 6),
        ("validation int8", 15),
    )
    heads += (
        *((f"test {width}", 13) for width in WIDTHS),
        ("int8 in noise", 13),
        ("µs f32", 7),
        ("f16", 5),
        ("int8", 5),
    )
    print("  ".join(f"{head:>{width}}" for head, width in heads))
    rows = []
    for size, trained in found.items():
        tested = {width: [one.tested[width] for one in trained] for width in WIDTHS}
        row = {
            width: (file_bytes(net), float(np.mean(tested[width])), microseconds(size, width))
            for width, net in trained[0].nets.items()
        }
        cells = [size, trained[0].nets["f32"].model_.flat.size, *(row[width][0] for width in WIDTHS)]
        cells += [spread([one.validated for one in trained]), *(spread(tested[width]) for width in WIDTHS)]
        cells += [
            spread([one.within_noise for one in trained]),
            *(f"{row[width][2]:.2f}" for width in WIDTHS),
        ]
        print(
            "  ".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, heads, strict=True)), flush=True
        )
        rows.append(row)
    return rows


def file_bytes(net: gru_rs.SequenceClassifier) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.safetensors")
        net.save(path)
        return path.stat().st_size


def microseconds(size: int, width: str) -> float:
    """Of a frame of a stream of the layer, on one thread: the best of ten runs, as others use the machine."""
    layer = gru_rs.GRU(COLUMNS, size, seed=0)
    stream = (layer if width == "f32" else layer.quantize(width)).stream()
    frames = np.random.default_rng(0).normal(size=(2000, COLUMNS)).astype(np.float32)
    out, times = np.empty(size, np.float32), []
    for _ in range(10):
        begin = time.perf_counter()
        for frame in frames:
            stream(frame, out=out)
        times.append(time.perf_counter() - begin)
    return 1e6 * min(times) / len(frames)


def plot(rows: list[dict[str, tuple[int, float, float]]], sizes: list[int], chosen: int) -> None:
    """Accuracy against bytes, and against µs a frame, a line each width."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for which, (axis, label) in enumerate(zip(axes, ("bytes of the file", "µs a frame"), strict=True)):
        for width in WIDTHS:
            x = [row[width][2 * which] for row in rows]
            axis.plot(x, [row[width][1] for row in rows], "o-", label=width)
        narrow = [(row["int8"][2 * which], row["int8"][1]) for row in rows]
        for size, place in zip(sizes, narrow, strict=True):
            weight = "bold" if size == chosen else "normal"
            axis.annotate(str(size), place, (3, -11), textcoords="offset points", fontsize=8, weight=weight)
        axis.axhline(GOAL, color="grey", linewidth=0.8)
        axis.set(xlabel=label, xscale="log" if which == 0 else "linear")
    axes[0].set(ylabel="accuracy, official split")
    axes[0].legend()
    figure.suptitle(f"Spoken digits, GRUs of {sizes[0]} to {sizes[-1]} units; chosen: {chosen}")
    figure.savefig(OUTPUT / "smallest_digits.png", dpi=120)
    print(f"plot: {OUTPUT / 'smallest_digits.png'}")


if __name__ == "__main__":
    main()

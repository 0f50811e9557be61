"""How small can a net be that knows spoken digits? GRUs of 4 to 48 units, in 8 bits and whole, on columns
that a stream of sound can give.

    python examples/smallest_digits.py --data DIR     # the folder of fsdd.npz; five minutes on two cores
    python examples/smallest_digits.py --quick        # what CI runs

The official split of 3,000 recordings: the first five of each digit and speaker are the test. Recordings 5 to
9, as they are and with noise around them, choose the net among some that have not heard them: the smallest
that in 8 bits is right with .965. That is more than the .95 asked for, since 300 recordings and 300 others
differ by .017 by chance. It is saved as `output/digits.safetensors`, and `edge.rs` hears digits with it. For
the table all sizes then learn with these recordings too. The test chooses nothing; the other parameters were
chosen on recordings 5 to 9 as well.

Training hears each recording as it is, and eight times as it might have been: slower, faster, louder, softer,
and with noise around it, since a stream is not cut where the word begins.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gru_rs
import numpy as np
from _audio import altered, log_mel, surrounded
from _data import digits
from _report import OUTPUT, arguments, spread

COLUMNS = 12
SIZES = (4, 5, 6, 7, 8, 12, 16, 24, 48)
OPTIONS = {
    "bidirectional": False,
    "output_dropout": 0.0,
    "weight_decay": 0.0,
    "batch_size": 32,
    "learning_rate_init": 2e-2,
}
EPOCHS, VERSIONS = 16, 8
WANTED, GOAL = 0.965, 0.95  # on recordings 5 to 9, and on the test
LEAD, QUIET = 640, 1600  # samples around a word in a stream
WIDTHS = ("f32", "f16", "int8")
Net = gru_rs.SequenceClassifier
Set = tuple[list[np.ndarray], np.ndarray]


@dataclass
class Tested:
    """The nets of one size and seed, by width, and how often they are right."""

    nets: dict[str, Net]
    right: dict[str, float]
    in_noise: float


def main() -> None:
    given = arguments(__doc__)
    sets, sizes, seeds = prepare(given), SIZES[1:5] if given.quick else SIZES, range(given.seeds)
    epochs = 2 if given.quick else EPOCHS
    gru_rs.set_num_threads(1)  # nets this small keep no second one busy: two are trained at a time
    with ThreadPoolExecutor(2) as pool:
        chosen = choose(pool, sets, sizes, seeds, epochs)
        jobs = [(size, seed) for size in sizes for seed in seeds]
        found = dict(zip(jobs, pool.map(lambda job: test(*job, sets, epochs), jobs), strict=True))
    print(f"\n{len(sets['all'][1])} to train with, {len(sets['test'][1])} to test with, {len(seeds)} seeds:")
    print("  ".join(f"{head:>{width}}" for head, width in HEADS))
    rows = [table_row(size, [found[size, seed] for seed in seeds]) for size in sizes]
    right = chosen.score(*sets["test"])
    OUTPUT.mkdir(exist_ok=True)
    path = OUTPUT / "digits.safetensors"
    chosen.save(path)
    size = path.stat().st_size
    print(f"\n{chosen.hidden_size} units, right with {right:.3f} of the test: {path}, {size} bytes")
    print(f"  {chosen.quantization_.nbytes} of them are the net's, the others say how it was made")
    plot(rows, list(sizes), (size, right))
    if right < GOAL and not given.quick:
        sys.exit(f"accuracy below {GOAL}: something is wrong")


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

    def noisy(rows: np.ndarray) -> Set:
        cut = [surrounded(recordings[row], rng, LEAD, QUIET) for row in rows]
        return [log_mel(samples, COLUMNS) for samples in cut], data["digit"][rows]

    some, more = several(train), several(validation)
    return {
        "some": some,
        "all": joined(some, more),
        "test": plain(test),
        "test in noise": noisy(test),
        "validation": joined(plain(validation), noisy(validation)),
    }


def joined(one: Set, other: Set) -> Set:
    return one[0] + other[0], np.append(one[1], other[1])


def fit(size: int, seed: int, data: Set, epochs: int) -> Net:
    return Net(hidden_size=size, max_iter=epochs, random_state=seed, **OPTIONS).fit(*data)


def choose(
    pool: ThreadPoolExecutor, sets: dict[str, Set], sizes: Sequence[int], seeds: range, epochs: int
) -> Net:
    """The best of the smallest nets that are good enough in 8 bits on recordings 5 to 9."""
    print("recordings 5 to 9, int8:")
    for size in sizes:
        whole = pool.map(partial(fit, size, data=sets["some"], epochs=epochs), seeds)
        nets = [net.quantize("int8") for net in whole]
        right = [net.score(*sets["validation"]) for net in nets]
        print(f"{size:5} units  {'  '.join(f'{one:.3f}' for one in right)}", flush=True)
        if max(right) >= WANTED:
            break
    return nets[int(np.argmax(right))]


def test(size: int, seed: int, sets: dict[str, Set], epochs: int) -> Tested:
    """Trains with all but the test, and scores that."""
    net = fit(size, seed, sets["all"], epochs)
    nets = {"f32": net, "f16": net.quantize("f16"), "int8": net.quantize("int8")}
    right = {width: one.score(*sets["test"]) for width, one in nets.items()}
    return Tested(nets, right, nets["int8"].score(*sets["test in noise"]))


HEADS = ("units", 5), ("parameters", 10), ("bytes f32", 9), ("f16", 6), ("int8", 6), ("accuracy f32", 13)
HEADS += ("f16", 13), ("int8", 13), ("int8 in noise", 13), ("µs f32", 6), ("f16", 5), ("int8", 5)


def table_row(size: int, tested: list[Tested]) -> dict[str, tuple[int, float, float]]:
    """Prints a line, and gives bytes, accuracy and µs a frame of each width."""
    right = {width: [one.right[width] for one in tested] for width in WIDTHS}
    row = {
        width: (file_bytes(net), float(np.mean(right[width])), microseconds(size, width))
        for width, net in tested[0].nets.items()
    }
    cells = [size, tested[0].nets["f32"].model_.flat.size, *(row[width][0] for width in WIDTHS)]
    cells += [*(spread(right[width]) for width in WIDTHS), spread([one.in_noise for one in tested])]
    cells += [f"{row[width][2]:.2f}" for width in WIDTHS]
    print("  ".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, HEADS, strict=True)), flush=True)
    return row


def file_bytes(net: Net) -> int:
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


def plot(
    rows: list[dict[str, tuple[int, float, float]]], sizes: list[int], chosen: tuple[int, float]
) -> None:
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
            axis.annotate(str(size), place, (3, -11), textcoords="offset points", fontsize=8)
        axis.axhline(GOAL, color="grey", linewidth=0.8)
        axis.set(xlabel=label, xscale="log" if which == 0 else "linear")
    axes[0].set(ylabel="accuracy, official split")
    axes[0].plot(*chosen, "k*", markersize=11, label="the net saved")
    axes[0].legend()
    figure.suptitle(f"Spoken digits, GRUs of {sizes[0]} to {sizes[-1]} units")
    figure.savefig(OUTPUT / "smallest_digits.png", dpi=120)
    print(f"plot: {OUTPUT / 'smallest_digits.png'}")


if __name__ == "__main__":
    main()

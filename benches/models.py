"""Training of whole models beside the same nets in PyTorch; the share of Python's loop; memory.

    make bench-models        in the environment of the peers; prints a table and writes it to benches/record

The nets are those of examples/sentiment.py and examples/digits.py (the latter on random frames of the
recordings' lengths, so that no data are needed): the same sequences in the same batches, cross-entropy,
AdamW, clipping, epochs. PyTorch runs over packed sequences, which is its way to let the reverse direction
begin at a row's end. Each measurement is a process of its own, with one thread or two; the two engines take
turns, and the best of some rounds counts.
"""

from __future__ import annotations

import argparse
import datetime
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

EPOCHS, ROUNDS, BATCH = 1, 3, 32
NETS = {"sentiment": {"vocabulary": 4000, "pooling": "max"}, "digits": {"features": 26, "pooling": "mean"}}


def sequences(net: str, count: int):
    """Random sequences as long as the real ones: snippets of 5 to 40 words, recordings of 20 to 80 frames."""
    from gru_rs.estimators._sequences import Numeric, Tokens

    rng = np.random.default_rng(0)
    if net == "sentiment":
        lengths = rng.integers(5, 41, count)
        flat = rng.integers(0, NETS[net]["vocabulary"], (lengths.sum(), 1)).astype(np.uint32)
        return Tokens(flat, lengths), rng.integers(0, 2, count)
    lengths = rng.integers(20, 81, count)
    values = [rng.normal(size=(length, 26)).astype(np.float32) for length in lengths]
    return Numeric(values, lengths, 26, np.dtype(np.float32)), rng.integers(0, 10, count)


def ours(net: str, hidden: int, classes: int, cell: str = "gru"):
    """An epoch of gru_rs, by the estimators' own loop."""
    import gru_rs
    from gru_rs.estimators._training import Labelled, Plan, Progress, Rates, Trainer

    options = NETS[net]
    model = gru_rs.Model(
        64 if "vocabulary" in options else options["features"],
        hidden,
        classes,
        vocabulary_size=options.get("vocabulary"),
        cell=cell,
        bidirectional=True,
        pooling=options["pooling"],
        seed=0,
    )
    rates = Rates(1e-3, "constant", 1, 0.0)
    trainer = Trainer(model, gru_rs.AdamW(1e-3), rates, gru_rs.CrossEntropy(), np.random.default_rng(0))

    def run(data, targets):
        examples = Labelled(data, lambda rows: targets[rows], None, np.arange(len(targets)))
        plan = Plan(EPOCHS, BATCH, True, 1.0, -np.inf, 100, False, (), None)
        trainer.run(examples, plan, Progress(), None)

    return run, trainer


def torchs(net: str, hidden: int, classes: int):
    """The same epoch of PyTorch."""
    import torch
    from gru_rs.estimators._sequences import batches

    options = NETS[net]

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            tokens = "vocabulary" in options
            self.embedding = torch.nn.Embedding(options["vocabulary"], 64) if tokens else None
            self.gru = torch.nn.GRU(
                64 if tokens else options["features"], hidden, batch_first=True, bidirectional=True
            )
            self.head = torch.nn.Linear(2 * hidden, classes)

        def forward(self, x, lengths):
            x = x if self.embedding is None else self.embedding(x)
            packed = torch.nn.utils.rnn.pack_padded_sequence(
                x, lengths, batch_first=True, enforce_sorted=False
            )
            y, _ = torch.nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)
            valid = (torch.arange(y.shape[1]) < lengths[:, None])[:, :, None]
            if options["pooling"] == "max":
                return self.head(y.masked_fill(~valid, -torch.inf).amax(1))
            return self.head((y * valid).sum(1) / lengths[:, None])

    torch.manual_seed(0)
    module = Net()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.01)
    loss, rng = torch.nn.CrossEntropyLoss(), np.random.default_rng(0)

    def run(data, targets):
        for rows in batches(data.lengths, BATCH, rng):
            x, lengths = data.batch(rows)
            x = x[:, :, 0].astype(np.int64) if net == "sentiment" else x
            optimizer.zero_grad()
            lost = loss(
                module(torch.from_numpy(x), torch.from_numpy(lengths)), torch.from_numpy(targets[rows])
            )
            lost.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()

    return run


def measure(net: str, hidden: int, threads: int, count: int) -> dict[str, float]:
    """Seconds of an epoch of both, in turns; and the share of Python's loop in ours."""
    import gru_rs
    import torch

    gru_rs.set_num_threads(threads)
    torch.set_num_threads(threads)
    data, targets = sequences(net, count)
    classes = int(targets.max()) + 1
    mine, trainer = ours(net, hidden, classes)
    runs = {
        "gru_rs": mine,
        "pytorch": torchs(net, hidden, classes),
        "lstm": ours(net, hidden, classes, "lstm")[0],
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            begin = time.perf_counter()
            run(data, targets)
            seconds[name].append(time.perf_counter() - begin)
    inside = [0.0]
    watch(trainer, inside)
    begin = time.perf_counter()
    mine(data, targets)
    whole = time.perf_counter() - begin
    found = {name: min(all_rounds) for name, all_rounds in seconds.items()}
    return found | {"loop": 1 - inside[0] / whole}


def watch(trainer, inside):
    """Counts the time within the extension: loss and gradient, clipping, the optimizer's step."""
    from gru_rs.estimators import _training

    def timed(call):
        def run(*arguments, **options):
            begin = time.perf_counter()
            try:
                return call(*arguments, **options)
            finally:
                inside[0] += time.perf_counter() - begin

        return run

    core, rule = trainer.model._model, trainer.optimizer._rule
    trainer.model._model = SimpleNamespace(loss_and_grad=timed(core.loss_and_grad))
    trainer.optimizer._make = lambda _: SimpleNamespace(step=timed(rule.step))
    _training.clip_grad_norm = timed(_training.clip_grad_norm)


def memory(count: int = 100_000, steps: int = 100) -> float:
    """MB that training adds to the data of so many sequences."""
    import gru_rs

    rng = np.random.default_rng(0)
    X = rng.standard_normal((count, steps, 1), np.float32)
    y = rng.integers(0, 2, count)
    gru_rs.SequenceClassifier(hidden_size=16, max_iter=1).fit(X[:64], y[:64])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gru_rs.SequenceClassifier(hidden_size=16, max_iter=1, batch_size=256).fit(X, y)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3


def child(*arguments: object) -> dict[str, float]:
    """A measurement in a process of its own."""
    call = [sys.executable, __file__, "--child", *map(str, arguments)]
    return json.loads(subprocess.run(call, check=True, capture_output=True, text=True, env=os.environ).stdout)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="few sequences, to see that it runs")
    parser.add_argument("--record", type=Path, help="a folder for the table")
    given = parser.parse_args()
    if given.child is not None:
        net, *numbers = given.child
        print(json.dumps(memory() if net == "memory" else measure(net, *map(int, numbers))))
        return
    count = 96 if given.quick else 2400
    lines = [
        "| net | hidden | threads | gru_rs, s an epoch | PyTorch | × | own GRU / LSTM | Python's loop |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for net, hidden, threads in itertools.product(NETS, (32, 64, 256), (1, 2)):
        one = child(net, hidden, threads, count)
        seconds = f"{one['gru_rs']:.2f} | {one['pytorch']:.2f} | {one['pytorch'] / one['gru_rs']:.2f}"
        cells = one["gru_rs"] / one["lstm"]
        lines.append(f"| {net} | {hidden} | {threads} | {seconds} | {cells:.2f} | {one['loop']:.1%} |")
        print(lines[-1], flush=True)
    if not given.quick:
        lines += ["", f"100,000 sequences of 100 steps: training adds {child('memory'):.0f} MB to the data."]
        print(lines[-1])
    if given.record:
        git = ["git", "rev-parse", "--short", "HEAD"]
        commit = subprocess.run(git, check=True, capture_output=True, text=True).stdout.strip()
        path = given.record / f"{datetime.date.today()}-models-{commit}.md"
        path.write_text(
            "\n".join([f"# Training of models, {commit}", "", "`make bench-models`", "", *lines, ""])
        )


if __name__ == "__main__":
    main()

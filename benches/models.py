"""Training of whole models beside the same nets in PyTorch; the share of Python's loop; memory.

    make bench-models        in the environment of the peers; prints a table and writes it to benches/record

The nets and the data are those of examples/sentiment.py (2,400 reviews of products) and examples/digits.py
(2,700 recordings): the same sequences in the same batches, dropout, cross-entropy, AdamW, clipping, epochs.
PyTorch runs over packed sequences, which is its way to let the reverse direction begin at a row's end. Each
measurement is a process of its own, with one thread or two; the two engines take turns, and the best of some
rounds counts. `fsdd.npz` is looked for as by examples/digits.py.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from peers.where import about

EPOCHS, ROUNDS, BATCH = 1, 3, 32
NETS: dict[str, dict[str, Any]] = {
    "sentiment": {"pooling": "max", "min_frequency": 2, "input_dropout": 0.5, "output_dropout": 0.5},
    "digits": {"pooling": "mean", "input_dropout": 0.0, "output_dropout": 0.3},
}
sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))


@dataclass
class Net:
    """A net of the examples, and what it learns from."""

    sequences: Any
    targets: np.ndarray
    inputs: int
    vocabulary: int | None
    pooling: str
    input_dropout: float
    output_dropout: float


def net_of(name: str, quick: bool) -> Net:
    """The training rows of an example, as its classifier reads them."""
    import gru_rs

    if name == "sentiment":
        import sentiment as example

        texts, labels = example.reviews("amazon")
        rows = example.split(len(texts), example.TRAIN["amazon"])[0]
        X, labels = example.pick(rows, texts, labels)
    else:
        import digits as example

        data = example.digits()
        bounds = np.stack([data["offsets"][:-1], data["offsets"][1:]], axis=1)[data["index"] >= 5]
        labels = data["digit"][data["index"] >= 5]
        X = [
            example.features(data["pcm"][first:last].astype(float))
            for first, last in bounds[: 96 if quick else None]
        ]
    options = NETS[name]
    reader = gru_rs.SequenceClassifier(**options)
    count = 96 if quick else len(X)
    sequences = reader._read(X[:count], None, first=True, most=None)
    vocabulary = len(reader.vocabulary_) + 1 if name == "sentiment" else None
    return Net(
        sequences,
        np.unique(labels[:count], return_inverse=True)[1],
        reader.embedding_size if vocabulary else sequences.features,
        vocabulary,
        options["pooling"],
        options["input_dropout"],
        options["output_dropout"],
    )


def ours(net: Net, hidden: int, cell: str = "gru"):
    """An epoch of gru_rs, by the estimators' own loop."""
    import gru_rs
    from gru_rs.estimators._training import Labelled, Plan, Progress, Rates, Trainer

    model = gru_rs.Model(
        net.inputs,
        hidden,
        int(net.targets.max()) + 1,
        vocabulary_size=net.vocabulary,
        cell=cell,
        bidirectional=True,
        pooling=net.pooling,
        input_dropout=net.input_dropout,
        output_dropout=net.output_dropout,
        seed=0,
    )
    rates = Rates(1e-3, "constant", 1, 0.0)
    trainer = Trainer(model, gru_rs.AdamW(1e-3), rates, gru_rs.CrossEntropy(), np.random.default_rng(0))
    examples = Labelled(net.sequences, lambda rows: net.targets[rows], None, np.arange(len(net.targets)))

    def run():
        plan = Plan(EPOCHS, BATCH, True, 1.0, -np.inf, 100, False, (), None)
        trainer.run(examples, plan, Progress(), None)

    return run, trainer


def torchs(net: Net, hidden: int):
    """The same epoch of PyTorch."""
    import torch
    from gru_rs.estimators._batches import batches

    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(net.vocabulary, net.inputs) if net.vocabulary else None
            self.before, self.behind = (torch.nn.Dropout(p) for p in (net.input_dropout, net.output_dropout))
            self.gru = torch.nn.GRU(net.inputs, hidden, batch_first=True, bidirectional=True)
            self.head = torch.nn.Linear(2 * hidden, int(net.targets.max()) + 1)

        def forward(self, x, lengths):
            x = self.before(x if self.embedding is None else self.embedding(x))
            packed = torch.nn.utils.rnn.pack_padded_sequence(
                x, lengths, batch_first=True, enforce_sorted=False
            )
            y, _ = torch.nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True)
            valid = (torch.arange(y.shape[1]) < lengths[:, None])[:, :, None]
            if net.pooling == "max":
                return self.head(self.behind(y.masked_fill(~valid, -torch.inf).amax(1)))
            return self.head(self.behind((y * valid).sum(1) / lengths[:, None]))

    torch.manual_seed(0)
    module = Module()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.01)
    loss, rng = torch.nn.CrossEntropyLoss(), np.random.default_rng(0)

    def run():
        for rows in batches(net.sequences.lengths, BATCH, rng):
            x, lengths = net.sequences.batch(rows)
            x = x[:, :, 0].astype(np.int64) if net.vocabulary else x
            optimizer.zero_grad()
            scores = module(torch.from_numpy(x), torch.from_numpy(lengths))
            lost = loss(scores, torch.from_numpy(net.targets[rows]))
            lost.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()

    return run


def measure(name: str, hidden: int, threads: int, quick: int) -> dict[str, float]:
    """Seconds of an epoch of both, in turns; and the share of Python's loop in ours."""
    import gru_rs
    import torch

    gru_rs.set_num_threads(threads)
    torch.set_num_threads(threads)
    net = net_of(name, bool(quick))
    mine, trainer = ours(net, hidden)
    runs = {"gru_rs": mine, "pytorch": torchs(net, hidden), "lstm": ours(net, hidden, "lstm")[0]}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    inside = [0.0]
    watch(trainer, inside)
    begin = time.perf_counter()
    mine()
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
    options = {"hidden_size": 16, "max_iter": 1, "bidirectional": False, "pooling": "last"}
    gru_rs.SequenceClassifier(**options).fit(X[:64], y[:64])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gru_rs.SequenceClassifier(**options, batch_size=256).fit(X, y)
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
        name, *numbers = given.child
        print(json.dumps(memory() if name == "memory" else measure(name, *map(int, numbers))))
        return
    lines = [
        "| net | hidden | threads | gru_rs, s an epoch | PyTorch | × | own GRU / LSTM | Python's loop |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, hidden, threads in itertools.product(("sentiment", "digits"), (32, 64, 256), (1, 2)):
        one = child(name, hidden, threads, int(given.quick))
        seconds = f"{one['gru_rs']:.2f} | {one['pytorch']:.2f} | {one['pytorch'] / one['gru_rs']:.2f}"
        cells = one["gru_rs"] / one["lstm"]
        lines.append(f"| {name} | {hidden} | {threads} | {seconds} | {cells:.2f} | {one['loop']:.1%} |")
        print(lines[-1], flush=True)
    if not given.quick:
        lines += ["", f"100,000 sequences of 100 steps: training adds {child('memory'):.0f} MB to the data."]
        print(lines[-1])
    if given.record:
        facts = about()
        commit = facts["commit"]
        path = given.record / f"{facts['date']}-models-{commit}.md"
        path.write_text(
            "\n".join([f"# Training of models, {commit}", "", "`make bench-models`", "", *lines, ""])
        )


if __name__ == "__main__":
    main()

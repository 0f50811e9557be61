"""CTC, language models and generation beside PyTorch, and the memory of long texts.

    make bench-language          # about five minutes, into benches/record
    python benches/language.py --quick

Each measurement runs in a process of its own, both sides in turns; where there are answers they are compared
first.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from peers.where import about

ROUNDS = 7


def best(rounds: int, **calls) -> dict[str, float]:
    """The shortest time of each of some calls, in turns."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begin)
    return {name: min(times) for name, times in seconds.items()}


def set_threads(threads: int) -> None:
    import gru_rs
    import torch

    gru_rs.set_num_threads(threads)
    torch.set_num_threads(threads)


def ctc(threads: int, labels: int) -> dict[str, float]:
    """Loss and gradient at T = 200, B = 32, 30 classes."""
    import gru_rs
    import torch

    set_threads(threads)
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 3, (32, 200, 30)).astype(np.float32)
    targets = [rng.integers(1, 30, labels) for _ in range(32)]
    flat, counts = torch.from_numpy(np.concatenate(targets)), [labels] * 32

    def peer(dtype=torch.float32):
        x = torch.from_numpy(scores).to(dtype).requires_grad_()
        log_p = torch.log_softmax(x, 2).transpose(0, 1)
        lost = torch.nn.functional.ctc_loss(log_p, flat, [200] * 32, counts)
        lost.backward()
        return float(lost.detach()), x.grad.numpy()

    # In float32 PyTorch's own gradient is off by up to 1e-3 of its largest number.
    (a, da), (b, db) = gru_rs.ctc_loss(scores, targets), peer(torch.float64)
    error = max(abs(a - b) / abs(b), np.abs(da - db).max() / np.abs(db).max())
    assert error < 1e-6, error
    return best(ROUNDS, gru_rs=lambda: gru_rs.ctc_loss(scores, targets), pytorch=peer) | {
        "error": float(error)
    }


def training(threads: int, hidden: int, rounds: int) -> dict[str, float]:
    """Characters a second: 64 lanes, chunks of 100, 110 tokens, AdamW, clipped, the state carried."""
    import gru_rs
    import torch

    set_threads(threads)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 110, (64, 501))
    model = gru_rs.Model(64, hidden, 110, vocabulary_size=110, pooling="each", seed=0)
    adam, loss = gru_rs.AdamW(1e-3), gru_rs.CrossEntropy()

    def mine():
        state = model.state(64)
        for begin in range(0, 500, 100):
            x, y = tokens[:, begin : begin + 100], tokens[:, begin + 1 : begin + 101]
            _, gradients = model.loss_and_grad(x, y.reshape(-1), loss=loss, state=state)
            gru_rs.clip_grad_norm(gradients, 1.0)
            adam.step(model, gradients)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(110, 64)
            self.gru = torch.nn.GRU(64, hidden, batch_first=True)
            self.head = torch.nn.Linear(hidden, 110)

        def forward(self, x, state=None):
            y, state = self.gru(self.embedding(x), state)
            return self.head(y), state

    module = Net()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    data = torch.from_numpy(tokens)

    def peer():
        state = None
        for begin in range(0, 500, 100):
            x, y = data[:, begin : begin + 100], data[:, begin + 1 : begin + 101]
            optimizer.zero_grad()
            scores, state = module(x, state)
            state = state.detach()
            torch.nn.functional.cross_entropy(scores.reshape(-1, 110), y.reshape(-1)).backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimizer.step()

    return best(rounds, gru_rs=mine, pytorch=peer)


def generation(hidden: int) -> dict[str, float]:
    """A character drawn, from Python: 100 tokens in the vocabulary, one thread."""
    import gru_rs
    import torch

    set_threads(1)
    letters = [chr(33 + i) for i in range(97)]
    model = gru_rs.LanguageModel(hidden_size=hidden, max_iter=1, random_state=0).fit(["".join(letters)] * 2)
    pieces = model.stream("a", max_length=None, seed=0)
    outputs = model.model_.output_size
    embedding, head = torch.nn.Embedding(outputs, 64), torch.nn.Linear(hidden, outputs)
    gru = torch.nn.GRU(64, hidden, batch_first=True)
    token, state = torch.tensor([[5]]), None

    def peer():
        nonlocal token, state
        with torch.inference_mode():
            for _ in range(200):
                y, state = gru(embedding(token), state)
                token = torch.multinomial(torch.softmax(head(y[:, 0]), 1), 1)

    def mine():
        nonlocal pieces
        for _ in range(200):
            if next(pieces, None) is None:
                pieces = model.stream("a", max_length=None)

    return {name: seconds / 200 for name, seconds in best(ROUNDS, gru_rs=mine, pytorch=peer).items()}


def memory(characters: int) -> float:
    """MB at most while training on so many characters in chunks of 100."""
    import gru_rs

    text = "".join(np.random.default_rng(0).choice(list("abcdefgh "), characters))
    model = gru_rs.LanguageModel(hidden_size=256, max_iter=1, batch_size=8, chunk_length=100)
    model.fit(text)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def child(*arguments: object):
    """A measurement in a process of its own."""
    call = [sys.executable, __file__, "--child", *map(str, arguments)]
    return json.loads(subprocess.run(call, check=True, capture_output=True, text=True, env=os.environ).stdout)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--child", nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="once each, to see that it runs")
    parser.add_argument("--record", type=Path, help="a folder for the table")
    given = parser.parse_args()
    if given.child is not None:
        name, *numbers = given.child
        print(json.dumps(globals()[name](*map(int, numbers))))
        return
    lines = ["| what | threads | gru_rs | PyTorch | × |", "|---|---:|---:|---:|---:|"]

    def add(what: str, threads: int, one: dict[str, float], unit: str, factor: float) -> None:
        mine, peer = (f"{one[name] * factor:.2f} {unit}" for name in ("gru_rs", "pytorch"))
        lines.append(f"| {what} | {threads} | {mine} | {peer} | {one['pytorch'] / one['gru_rs']:.1f} |")
        print(lines[-1], flush=True)

    for threads in (1, 2):
        for labels in (20, 50):
            add(
                f"CTC, 200 steps, 32 rows, {labels} labels", threads, child("ctc", threads, labels), "ms", 1e3
            )
        for hidden in (128, 256, 512):
            rounds = 1 if given.quick else 4
            one = child("training", threads, hidden, rounds)
            add(f"training, H = {hidden}, 32,000 characters", threads, one, "s", 1)
    for hidden in (128, 256, 512):
        add(f"a character drawn, H = {hidden}", 1, child("generation", hidden), "µs", 1e6)
    short, long = child("memory", 1000), child("memory", 100_000)
    lines += ["", f"Memory of training: {short:.0f} MB for 1,000 characters, {long:.0f} MB for 100,000."]
    print(lines[-1])
    if given.record:
        facts = about()
        commit = facts["commit"]
        path = given.record / f"{facts['date']}-language-{commit}.md"
        text = [f"# CTC and language models, {commit}", "", "`make bench-language`", "", *lines, ""]
        path.write_text("\n".join(text))


if __name__ == "__main__":
    main()

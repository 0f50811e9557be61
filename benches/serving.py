"""Predictions as a server asks for them: short texts one by one and some at once, from several threads, rows
of numbers, and the steps of streams.

    make bench-serving BASE=/path/of/an/older/checkout     prints a table and writes it to benches/record

The network is small (64 units), so that what stands around it shows. Each build is a process of its own, and
so is each of the peers, which have the same weights and vocabulary (`serving_peers.py`); they take turns, and
the best of some rounds counts. Their answers are compared.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import serving_peers
from peers.where import about

ROUNDS, SECONDS, TURN, HIDDEN = 5, 0.5, 0.001, 64
NETWORK = {
    "hidden_size": HIDDEN,
    "bidirectional": False,
    "pooling": "last",
    "input_dropout": 0.0,
    "output_dropout": 0.0,
    "learning_rate": "constant",
    "weight_decay": 0.0,
    "batch_size": 32,
    "max_iter": 1,
    "random_state": 0,
}
"""The same network in older builds, whatever their defaults are."""
HERE = Path(__file__).parents[1]


def texts(count: int) -> list[str]:
    """Of 5 to 14 words."""
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in range(2000)]
    return [" ".join(rng.choice(words, size)) for size in rng.integers(5, 15, count)]


def calls_a_second(call, threads: int) -> float:
    """Of all threads together."""
    counts, end = [0] * threads, time.perf_counter() + SECONDS

    def ask(thread: int) -> None:
        while time.perf_counter() < end:
            call()
            counts[thread] += 1

    asking = [threading.Thread(target=ask, args=(thread,)) for thread in range(threads)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    return sum(counts) / SECONDS


def at_best(call) -> float:
    """Calls a second of one thread in the best of many short turns, in which nobody else runs."""
    end, count, best = time.perf_counter() + SECONDS, 1, 0.0
    while (begin := time.perf_counter()) < end:
        for _ in range(count):
            call()
        took = time.perf_counter() - begin
        best = max(best, count / took)
        count = max(1, round(TURN * best))
    return best


def of_texts():
    """A classifier of three classes, and what it was fitted to."""
    import gru_rs

    X, rng = texts(400), np.random.default_rng(1)
    # One way to read and train in all builds: nothing is dropped, all words are known.
    model = gru_rs.SequenceClassifier(**NETWORK, analyzer="word")
    if "token_dropout" in model.get_params():
        model.set_params(token_dropout=0.0)
    return model.fit(X, rng.integers(3, size=len(X))), X


def of_asking(ask, X: list[str]) -> dict[str, float]:
    """Calls a second, from some threads."""
    found = {}
    for name, batch, threads in (("1 text", X[:1], (1, 2, 16)), ("32 texts", X[:32], (1, 2))):
        for count in threads:
            rate = calls_a_second(lambda batch=batch: ask(batch), count)
            found[f"{name}, {count} threads: calls a second"] = rate
        found[f"{name} at best: calls a second"] = at_best(lambda batch=batch: ask(batch))
    return found


def measured() -> dict[str, float | list]:
    import gru_rs

    gru_rs.set_num_threads(1)
    model, X = of_texts()
    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(50, 20, 3)).astype(np.float32)
    heard = gru_rs.SequenceClassifier(**NETWORK)
    heard.fit(numbers, rng.integers(3, size=len(numbers)))
    answers = [model.predict_proba(X[:32]), heard.predict_proba(numbers), heard.stream()(numbers[0])]
    found: dict[str, float | list] = {"answers": [one.tolist() for one in answers]}
    found |= of_asking(model.predict_proba, X)
    rows, lengths = list(numbers[:32]), np.array([15])
    for name, call in (
        ("1 row of 5 steps", lambda: heard.predict_proba([numbers[0, :5]])),
        ("1 row of 20 steps", lambda: heard.predict_proba(rows[:1])),
        ("1 padded row of 15 steps", lambda: heard.predict_proba(numbers[:1], lengths=lengths)),
        ("32 rows of 20 steps", lambda: heard.predict_proba(rows)),
    ):
        found[f"{name} at best: calls a second"] = at_best(call)
    layer, step = gru_rs.GRU(3, HIDDEN, seed=1).stream(), numbers[0, 0]
    streams = {
        "layer": (layer, HIDDEN),
        "model": (heard.model_.stream(), 3),
        "classifier": (heard.stream(), 3),
    }
    for name, (stream, size) in streams.items():
        found[f"a step of a {name}'s stream: a second"] = at_best(lambda call=stream: call(step))
        out = np.empty(size, np.float32)
        try:
            stream(step, out=out)
        except TypeError:  # an older build, in which a classifier's has no out=
            continue
        rate = at_best(lambda call=stream, out=out: call(step, out=out))
        found[f"a step of a {name}'s stream with out=: a second"] = rate
    return found


def child(name: str, base: Path | None) -> dict[str, float | list]:
    environment = os.environ | {"PYTHONPATH": str((base or HERE) / "python"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, __file__, "--child", name], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def expect_same(found: dict[str, list]) -> None:
    """For texts the builds have the same bits; all else, as scales may differ, up to rounding."""
    own = found["now"]
    for name, answers in found.items():
        for theirs, ours in zip(answers, own, strict=False):
            np.testing.assert_allclose(theirs, ours, rtol=2e-5, err_msg=name)
    if found.get("before", own)[0] != own[0]:
        raise SystemExit("the builds do not give the same answers")


def table(best: dict[str, dict[str, float]]) -> list[str]:
    """Rates, those of others and the ratio to each; with streams the microseconds."""
    now, others = best["now"], [name for name in best if name != "now"]
    lines = ["| what | now | µs |" + "".join(f" {name} | ratio |" for name in others)]
    lines.append("|---|---:|---:|" + "---:|---:|" * len(others))
    for what, rate in now.items():
        theirs = (best[name].get(what) for name in others)
        cells = (" | |" if one is None else f" {one:,.0f} | {rate / one:.2f} |" for one in theirs)
        lines.append(f"| {what} | {rate:,.0f} | {1e6 / rate:,.2f} |" + "".join(cells))
    return lines


def ratios(now: dict[str, float]) -> dict[str, float]:
    of = {name: now[f"{name}, 1 threads: calls a second"] for name in ("1 text", "32 texts")}
    found = {
        "32 texts from two threads, by one": now["32 texts, 2 threads: calls a second"] / of["32 texts"],
        "1 text from two threads, by one": now["1 text, 2 threads: calls a second"] / of["1 text"],
        "1 text from 16 threads, by one": now["1 text, 16 threads: calls a second"] / of["1 text"],
    }
    for how in ("", " with out="):
        layer = now[f"a step of a layer's stream{how}: a second"]
        for name in ("model", "classifier"):
            rate = now[f"a step of a {name}'s stream{how}: a second"]
            found[f"a {name}'s step{how}, by a layer's: times as long"] = layer / rate
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child")
    parser.add_argument("--base", type=Path, help="an older checkout, with its extension")
    given = parser.parse_args()
    if given.child:
        of_peer = serving_peers.PEERS.get(given.child)
        if of_peer is None:
            print(json.dumps(measured()))
        else:
            model, X = of_texts()
            ask = of_peer(model)
            print(json.dumps({"answers": [ask(X[:32]).tolist()]} | of_asking(ask, X)))
        return
    bases = {"now": None} | ({"before": given.base} if given.base else {})
    facts = about()
    best: dict[str, dict[str, float]] = {name: {} for name in (*bases, *serving_peers.PEERS)}
    for _ in range(ROUNDS):
        found = {name: child(name, bases.get(name)) for name in best}
        expect_same({name: one.pop("answers") for name, one in found.items()})
        for name, numbers in found.items():
            for what, rate in numbers.items():
                best[name][what] = max(rate, best[name].get(what, 0.0))
    how = f"{HIDDEN} units, one thread a call; best of {ROUNDS} rounds; answers for texts of both builds the "
    how += "same to the bit, all others to 2e-5"
    heading = f"{facts['CPU']}; load {facts['load at the start']}; {how}; ratios above 1: faster"
    lines = [f"# Serving, {facts['commit']}", "", heading, "", *table(best), "", "| ratio | |", "|---|---:|"]
    lines += [f"| {what} | {ratio:.2f} |" for what, ratio in ratios(best["now"]).items()]
    text = "\n".join([*lines, ""])
    print(text)
    (HERE / "benches/record" / f"{facts['date']}-serving-{facts['commit']}.md").write_text(text)


if __name__ == "__main__":
    main()

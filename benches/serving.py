"""Predictions as a server asks for them: short texts one by one and some at once, from several threads, and
the steps of streams.

    make bench-serving BASE=/path/of/an/older/checkout     prints a table and writes it to benches/record

The network is small (64 units), so that what stands around it shows. Each build is a process of its own; the
two take turns, and the best of some rounds counts. Their answers are compared before anything is timed.
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
from peers.where import about

ROUNDS, SECONDS, HIDDEN = 5, 0.5, 64
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


def measured() -> dict[str, float | str]:
    import gru_rs

    gru_rs.set_num_threads(1)
    X, rng = texts(400), np.random.default_rng(1)
    # One way to read and train in all builds: nothing is dropped, all words are known.
    model = gru_rs.SequenceClassifier(hidden_size=HIDDEN, max_iter=1, random_state=0, analyzer="word")
    if "token_dropout" in model.get_params():
        model.set_params(token_dropout=0.0)
    model.fit(X, rng.integers(3, size=len(X)))
    numbers = rng.normal(size=(50, 20, 3)).astype(np.float32)
    heard = gru_rs.SequenceClassifier(hidden_size=HIDDEN, max_iter=1, random_state=0)
    heard.fit(numbers, rng.integers(3, size=len(numbers)))
    one, some, step = X[:1], X[:32], numbers[0, 0]
    found: dict[str, float | str] = {"answers": model.predict_proba(some).tobytes().hex()}
    for name, batch in (("1 text", one), ("32 texts", some)):
        for threads in (1, 2, 16) if batch is one else (1, 2):
            rate = calls_a_second(lambda batch=batch: model.predict_proba(batch), threads)
            found[f"{name}, {threads} threads: calls a second"] = rate
    layer, network, stream = gru_rs.GRU(3, HIDDEN, seed=1).stream(), heard.model_.stream(), heard.stream()
    for name, call in (("layer", layer), ("model", network), ("classifier", stream)):
        found[f"a step of a {name}'s stream: a second"] = calls_a_second(lambda call=call: call(step), 1)
    return found


def child(base: Path | None) -> dict[str, float | str]:
    environment = os.environ | {"PYTHONPATH": str((base or HERE) / "python")}
    done = subprocess.run(
        [sys.executable, __file__, "--child"], env=environment, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", action="store_true")
    parser.add_argument("--base", type=Path, help="an older checkout, with its extension")
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measured()))
        return
    builds: list[tuple[str, Path | None]] = [("now", None), *([("before", given.base)] if given.base else [])]
    facts = about()
    best: dict[str, dict[str, float]] = {name: {} for name, _ in builds}
    for _ in range(ROUNDS):
        found = {name: child(base) for name, base in builds}
        answers = {str(one.pop("answers")) for one in found.values()}
        if len(answers) > 1:
            raise SystemExit("the builds do not give the same answers")
        for name, numbers in found.items():
            for what, rate in numbers.items():
                best[name][what] = max(float(rate), best[name].get(what, 0.0))
    now, before = best["now"], best.get("before", {})
    lines = [
        f"| {what} | {rate:,.0f} | {before[what]:,.0f} | {rate / before[what]:.2f} |"
        if before
        else f"| {what} | {rate:,.0f} | | |"
        for what, rate in now.items()
    ]
    of = {name: f"{name}, 1 threads: calls a second" for name in ("1 text", "32 texts")}
    ratios = {
        "32 texts from two threads, by one": now["32 texts, 2 threads: calls a second"] / now[of["32 texts"]],
        "1 text from two threads, by one": now["1 text, 2 threads: calls a second"] / now[of["1 text"]],
        "1 text from 16 threads, by one": now["1 text, 16 threads: calls a second"] / now[of["1 text"]],
        "a layer's step by a classifier's": now["a step of a layer's stream: a second"]
        / now["a step of a classifier's stream: a second"],
    }
    lines += [f"| {what} | {ratio:.2f} | | |" for what, ratio in ratios.items()]
    how = f"{HIDDEN} units, one thread a call; best of {ROUNDS}; answers are the same to the bit"
    heading = f"{facts['CPU']}; {how}"
    table = ["| what | now | before | ratio |", "|---|---:|---:|---:|", *lines, ""]
    text = "\n".join([f"# Serving, {facts['commit']}", "", heading, "", *table])
    print(text)
    (HERE / "benches/record" / f"{facts['date']}-serving-{facts['commit']}.md").write_text(text)


if __name__ == "__main__":
    main()

"""Reading sequences before a network sees them: Arrow columns, lists, one long row among short ones.

    make bench-reading BASE=/path/of/an/older/checkout     prints a table and writes it to benches/record

An Arrow column of 100,000 rows of 5 to 30 steps of 3 numbers is read beside the usual way through pandas; the
same rows as a list of arrays beside an older build, which has its own extension in place. Each measurement is
a process of its own; the ways take turns, and the best of some rounds counts. Answers are compared before
anything is timed.
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

ROUNDS, ROWS, FEATURES, HIDDEN = 5, 100_000, 3, 32
PLAIN = {"max_iter": 1, "bidirectional": False, "pooling": "last"}  # whatever the defaults are
HERE = Path(__file__).parents[1]


def rows() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 31, ROWS)
    return np.split(rng.normal(size=(lengths.sum(), FEATURES)).astype(np.float32), np.cumsum(lengths)[:-1])


def column(X: list[np.ndarray]):
    import pyarrow as pa

    lengths = [len(x) for x in X]
    flat = pa.FixedSizeListArray.from_arrays(pa.array(np.concatenate(X).ravel()), FEATURES)
    return pa.ListArray.from_arrays(pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32()), flat)


def estimator(X):
    import gru_rs

    few = X[:64]
    made = gru_rs.SequenceClassifier(hidden_size=HIDDEN, random_state=0, **PLAIN)
    return made.fit(few, [i % 2 for i in range(len(few))])


def by_pandas(found) -> list[np.ndarray]:
    """Each cell is an array of arrays."""
    return [np.stack(cell) for cell in found.to_pandas()]


def measured(what: str) -> dict[str, float]:
    X = rows()
    model = estimator(X)

    def timed(call) -> float:
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin

    if what == "list":
        reading = timed(lambda: model._read_fitted(X, None))
        return {"list, reading": reading, "list, predict": timed(lambda: model.predict_proba(X))}
    found = column(X)
    np.testing.assert_array_equal(model.predict_proba(found[:500]), model.predict_proba(X[:500]))
    if what == "arrow":
        reading = min(timed(lambda: model._read_fitted(found, None)) for _ in range(3))
        return {"Arrow, reading": reading, "Arrow, predict": timed(lambda: model.predict_proba(found))}
    if what == "pandas":
        return {"Arrow by pandas and np.stack": timed(lambda: by_pandas(found))}
    raise ValueError(what)


def peak(which: str, long: int) -> dict[str, float]:
    """Peak memory that predict takes for one long row, alone or with 255 short ones."""
    import gru_rs

    rng = np.random.default_rng(0)
    X = [rng.normal(size=(10, 1)).astype("f") for _ in range(255)]
    model = gru_rs.SequenceClassifier(random_state=0, **PLAIN).fit(X, [i % 2 for i in range(len(X))])
    X = [rng.normal(size=(long, 1)).astype("f"), *X]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.perf_counter()
    if which == "apart":
        for x in X:
            model.predict([x])
    else:
        model.predict(X)
    seconds = time.perf_counter() - begin
    taken = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {f"{long:,} steps, {which}: MB": taken, f"{long:,} steps, {which}: s": seconds}


def child(*arguments: str, base: Path | None = None) -> dict[str, float]:
    path = (base or HERE) / "python"
    environment = os.environ | {"PYTHONPATH": str(path)}
    command = [sys.executable, __file__, "--child", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--child", nargs="+")
    parser.add_argument("--base", type=Path, help="an older checkout, with its extension")
    given = parser.parse_args()
    if given.child:
        what, *rest = given.child
        print(json.dumps(peak(what, int(rest[0])) if rest else measured(what)))
        return
    facts = about()
    best: dict[str, float] = {}

    def note(found: dict[str, float], suffix: str = "") -> None:
        for name, value in found.items():
            best[name + suffix] = min(value, best.get(name + suffix, np.inf))

    for _ in range(ROUNDS):
        note(child("arrow"))
        note(child("pandas"))
        note(child("list"))
        if given.base:
            note(child("list", base=given.base), ", before")
    for long in (2_000, 20_000, 1_000_000):
        for which in ("apart", "together"):
            note(child(which, str(long)))
            if given.base and long < 100_000:
                note(child(which, str(long), base=given.base), ", before")
    lines = [f"| {name} | {value:.4g} |" for name, value in best.items()]
    faster = best["Arrow by pandas and np.stack"] / best["Arrow, reading"]
    lines.append(f"| Arrow against pandas: times as fast | {faster:.1f} |")
    lines.append(f"| Arrow, reading in predict | {best['Arrow, reading'] / best['Arrow, predict']:.2%} |")
    heading = f"{facts['CPU']}; {ROWS:,} rows; seconds or MB, best of {ROUNDS}"
    text = "\n".join(
        [f"# Reading, {facts['commit']}", "", heading, "", "| what | |", "|---|---|", *lines, ""]
    )
    print(text)
    (HERE / "benches/record" / f"{facts['date']}-reading-{facts['commit']}.md").write_text(text)


if __name__ == "__main__":
    main()

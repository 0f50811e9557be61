"""The tables on the terminal, and the CSV and the Markdown file under benches/record/."""

import csv
import datetime
import os
import platform
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import bars
from .engines import OWN, PEERS

ROOT = Path(__file__).parents[2]
CPU_FLAGS = ("avx2", "fma", "avx512f", "asimd")
METHOD = """\
Each figure is the fastest of several rounds in which the engines take turns; the CSV has the medians. Answers
(outputs, and gradients of x, h0 and every parameter) were checked against float64 before anything was timed;
weights are written before every training call; h0 and dy are random. × is the best peer's time over gru_rs's;
training counts three times the operations of a forward pass; MB are 10⁶ bytes.
"""
TITLES = {
    "forward": "Forward",
    "training": "Forward + backward",
    "step": "One step from Python, state carried",
    "lstm": "Forward + backward of the own LSTM, and PyTorch's (oneDNN)",
    "variants forward": "Variants of gru_rs, forward",
    "variants training": "Variants of gru_rs, forward + backward",
}
COLUMNS = (
    *("section", "point", "seq", "batch", "input", "hidden", "job"),
    *("minimum_us", "median_us", "gflops", "fraction_of_peak", "rounds", "repeats"),
)


@dataclass(frozen=True)
class Setting:
    """What a reader needs to judge the figures or to repeat them."""

    date: str
    cpu: str
    commit: str
    command: str
    core: int
    versions: str
    load: str

    @property
    def stem(self):
        cpu = re.sub(r"[^a-z0-9]+", "-", self.cpu.partition(",")[0].lower()).strip("-")
        return f"{self.date}-{cpu}-{self.commit}"


def setting(engines, core):
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    versions.update({name: engine.version() for name, engine in engines.items()})
    return Setting(
        date=datetime.date.today().isoformat(),
        cpu=_cpu(),
        commit=_commit(),
        command=shlex.join(["python", *sys.argv]),
        core=core,
        versions=", ".join(f"{name} {version}" for name, version in versions.items()),
        load=f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the start",
    )


def _cpu():
    info = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        info.setdefault(key.strip(), value.strip())
    flags = [f for f in CPU_FLAGS if f in info.get("flags", info.get("Features", "")).split()]
    model = info.get("model name", platform.machine())
    return f"{model}, family {info.get('cpu family', '?')} model {info.get('model', '?')}, {' '.join(flags)}"


def _commit():
    def git(*arguments):
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    commit = git("rev-parse", "--short=10", "HEAD")
    changed = commit and git("status", "--porcelain", "--untracked-files=no")
    return (commit or "uncommitted") + ("-changed" if changed else "")


def document(results, where):
    """The whole report in Markdown, aligned so that a terminal shows it well too."""
    parts = [
        f"# gru_rs beside its peers, {where.date}\n",
        _table(["", ""], [[f"**{key}**", str(value)] for key, value in _facts(results, where)], left=2),
        METHOD,
    ]
    if results.failures:
        parts.append("## FAILURES\n\n" + "\n".join(f"* {failure}" for failure in results.failures) + "\n")
    parts.append("## Bars\n\n" + _bars(bars.compute(results)))
    for section in dict.fromkeys(row.section for row in results.rows):
        parts.append(f"## {TITLES[section]}\n\n" + _section(results, section))
    if results.footprint:
        parts.append("## Footprint\n\n" + _footprint(results.footprint))
    return "\n".join(parts)


def _facts(results, where):
    yield "CPU", where.cpu
    yield "core", f"{where.core}, pinned; one thread; load {where.load}"
    yield "commit", where.commit
    yield "command", f"`{where.command}`"
    yield "versions", where.versions
    if results.peak:
        yield "FMA peak", f"{results.peak:.1f} GFLOP/s (float32, registers only, largest seen in this run)"


def _bars(found):
    rows = []
    for bar in found:
        sign = "≤" if bar.at_most else "≥"
        figure = "–" if bar.figure is None else f"{bar.figure:.3g}"
        moonshot = "" if bar.moonshot is None else f"{sign} {bar.moonshot:.3g}"
        limit = "" if bar.bar is None else f"{sign} {bar.bar:.3g}"
        rows.append([bar.name, figure, limit, moonshot, bar.verdict, bar.where])
    return _table(["bar", "figure", "bar", "moonshot", "verdict", "where"], rows)


def _section(results, section):
    """A line a point, a column a job: µs for a step, else GFLOP/s."""
    rows = [row for row in results.rows if row.section == section]
    jobs = list(dict.fromkeys(row.job for row in rows))
    in_us = section == "step"
    compared, whole = section in ("forward", "training", "step"), section in ("forward", "training")
    header = ["T,B,I,H", *(f"{job} {'µs' if in_us else 'GFLOP/s'}" for job in jobs)]
    header += ["×"] * compared + ["gru_rs / peak"] * whole
    lines = []
    for point in dict.fromkeys(row.point for row in rows):
        here = {row.job: row for row in rows if row.point == point}
        line = [str(point), *(_figure(here.get(job), in_us) for job in jobs)]
        if compared:
            line.append(_ratio(list(here.values())))
        if whole:
            own = here.get("gru_rs")
            line.append(f"{own.gflops / results.peak:.2f}" if own and results.peak else "–")
        lines.append(line)
    return _table(header, lines)


def _figure(row, in_us):
    if row is None:
        return "–"
    return f"{row.timing.minimum * 1e6:.2f}" if in_us else f"{row.gflops:.1f}"


def _ratio(rows):
    own = [row.timing.minimum for row in rows if row.engine == OWN]
    peers = [row.timing.minimum for row in rows if row.engine in PEERS]
    return f"{min(peers) / min(own):.2f}" if own and peers else "–"


def _footprint(figures):
    per_engine = {name: values for name, values in figures.items() if isinstance(values, dict)}
    engines = list(dict.fromkeys(engine for values in per_engine.values() for engine in values))
    titles = {
        "import ms": "import over NumPy, ms",
        "resident MB": "resident memory over NumPy, MB",
        "training MB": "one training call at 100,64,256,256 over inputs and weights, MB",
    }
    rows = [
        [titles[name], *(f"{values[e]:.1f}" if e in values else "–" for e in engines)]
        for name, values in per_engine.items()
    ]
    wheel = figures["wheel MB"]
    return _table(["", *engines], rows) + f"\nWheel: {'not found' if wheel is None else f'{wheel:.2f} MB'}.\n"


def _table(header, rows, left=1):
    """Markdown with aligned columns; the first `left` columns, and columns of words, are flush left."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(3, *map(len, column)) for column in columns]
    words = [
        i < left or any(cell[:1].isalpha() or cell[:1] in "≥≤" for cell in column[1:])
        for i, column in enumerate(columns)
    ]

    def line(cells):
        padded = (c.ljust(w) if word else c.rjust(w) for c, w, word in zip(cells, widths, words, strict=True))
        return "| " + " | ".join(padded) + " |"

    rule = (
        "|"
        + "|".join("-" * (w + 1) + ("-" if word else ":") for w, word in zip(widths, words, strict=True))
        + "|"
    )
    return "\n".join([line(header), rule, *map(line, rows)]) + "\n"


def save(folder, results, where, text):
    """Writes <date>-<cpu>-<commit>.md and .csv; returns their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / f"{where.stem}.md", folder / f"{where.stem}.csv"
    paths[0].write_text(text)
    with paths[1].open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for r in results.rows:
            share = f"{r.gflops / results.peak:.4f}" if results.peak else ""
            sizes = [r.point.seq, r.point.batch, r.point.input, r.point.hidden]
            seconds = [f"{value * 1e6:.3f}" for value in (r.timing.minimum, r.timing.median)]
            counts = [r.timing.rounds, r.timing.repeats]
            writer.writerow(
                [r.section, r.point.name, *sizes, r.job, *seconds, f"{r.gflops:.3f}", share, *counts]
            )
    return paths

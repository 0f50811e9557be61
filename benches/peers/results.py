"""What was measured, and its CSV: the only form in which figures are kept and handed from process to process.
Nothing here measures or renders."""

import csv
from dataclasses import dataclass, field
from pathlib import Path

from .engines import engine_of
from .grid import Point
from .timing import Timing

COLUMNS = (
    *("section", "point", "seq", "batch", "input", "hidden", "job", "threads", "load"),
    *("minimum_us", "p50_us", "p99_us", "gflops", "fraction_of_peak", "samples", "repeats", "value"),
)
# Sections of the CSV that hold no times: the name is in `job`, what it measures in `point`, the rest in
# `value`.
ABOUT, FAILURE, FOOTPRINT = "about", "failure", "footprint"
PEAK = "FMA peak"


@dataclass(frozen=True)
class Row:
    """`threads` is a number or "default", `load` is "quiet" or "busy": see `setting` and `busy`."""

    section: str
    point: Point
    job: str
    flop: float
    timing: Timing
    threads: str = "1"
    load: str = "quiet"

    @property
    def engine(self):
        return engine_of(self.job)

    @property
    def gflops(self):
        return self.flop / self.timing.minimum / 1e9


@dataclass
class Results:
    """`about` says what a reader needs to judge the figures or to repeat them; `footprint` is {what: {engine:
    figure}}; `peak` is the largest rate of fused multiply-adds seen on one core in this run, in GFLOP/s."""

    rows: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    footprint: dict = field(default_factory=dict)
    about: dict = field(default_factory=dict)
    peak: float | None = None

    def add(self, other):
        """Takes in what another process measured; what it says about itself counts if it is said first."""
        self.rows += other.rows
        self.failures += other.failures
        self.footprint |= other.footprint
        self.about |= {name: text for name, text in other.about.items() if name not in self.about}
        self.peak = max(filter(None, (self.peak, other.peak)), default=None)

    def of(self, section):
        return [row for row in self.rows if row.section == section]


def save(results, path):
    with Path(path).open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for name, text in results.about.items():
            writer.writerow({"section": ABOUT, "job": name, "value": text})
        if results.peak:
            writer.writerow({"section": ABOUT, "job": PEAK, "value": f"{results.peak:.1f}"})
        for text in results.failures:
            writer.writerow({"section": FAILURE, "value": text})
        for row in results.rows:
            writer.writerow(_cells(row, results.peak))
        for what, figures in results.footprint.items():
            for engine, figure in figures.items():
                cells = {"section": FOOTPRINT, "point": what, "job": engine, "value": f"{figure:.6g}"}
                writer.writerow(cells)


def _cells(row, peak):
    """`value` stays empty: times have columns of their own."""
    point, timing = row.point, row.timing
    in_us = {
        f"{name}_us": f"{seconds * 1e6:.6g}"
        for name, seconds in (("minimum", timing.minimum), ("p50", timing.p50), ("p99", timing.p99))
    }
    cells = {
        "section": row.section,
        "point": point.name,
        "job": row.job,
        "seq": point.seq,
        "batch": point.batch,
        "input": point.input,
        "hidden": point.hidden,
        "threads": row.threads,
        "load": row.load,
        **in_us,
        "gflops": f"{row.gflops:.6g}",
        "samples": timing.samples,
        "repeats": timing.repeats,
    }
    if peak and row.threads == "1":
        cells["fraction_of_peak"] = f"{row.gflops / peak:.4f}"
    return cells


def load(path):
    results = Results()
    with Path(path).open(newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise SystemExit(f"{path}: not a record of this version: its columns are {reader.fieldnames}")
        for cells in reader:
            _take(results, cells)
    return results


def _take(results, cells):
    section, name, value = cells["section"], cells["job"], cells["value"]
    if section == ABOUT and name == PEAK:
        results.peak = float(value)
    elif section == ABOUT:
        results.about[name] = value
    elif section == FAILURE:
        results.failures.append(value)
    elif section == FOOTPRINT:
        results.footprint.setdefault(cells["point"], {})[name] = float(value)
    else:
        results.rows.append(_row(cells))


def _row(cells):
    sizes = (int(cells[name]) for name in ("seq", "batch", "input", "hidden"))
    seconds = (float(cells[f"{name}_us"]) / 1e6 for name in ("minimum", "p50", "p99"))
    timing = Timing(*seconds, int(cells["samples"]), int(cells["repeats"]))
    flop = float(cells["gflops"]) * 1e9 * timing.minimum
    point = Point(cells["point"], *sizes)
    return Row(cells["section"], point, cells["job"], flop, timing, cells["threads"], cells["load"])

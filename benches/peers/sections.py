"""Which engines meet at which sizes. Every answer is checked before anything is timed; a point with a wrong
answer is reported as a failure and has no figures."""

from dataclasses import dataclass, field

import numpy as np

from . import engines as engine_room
from . import reference, workload
from .checks import WrongAnswerError, check
from .engines import Job, engine_of
from .grid import Point
from .timing import Effort, Timing, measure

CHECKED_STEPS = 8
BELIEVABLE_PEAK = 500.0  # GFLOP/s of one core; two AVX-512 units at 6 GHz make 384
UNBELIEVABLE = f"the FMA peak was over {BELIEVABLE_PEAK:.0f} GFLOP/s: its loop was optimised away"
TRAINING_FLOP = 3  # times the forward pass: the products for dx and dW


@dataclass(frozen=True)
class Entry:
    """A job, what it must answer, and the floating-point operations of its products."""

    job: Job
    expected: dict
    flop: float
    dtype: str = "float32"


@dataclass(frozen=True)
class Row:
    section: str
    point: Point
    job: str
    flop: float
    timing: Timing

    @property
    def engine(self):
        return engine_of(self.job)

    @property
    def gflops(self):
        return self.flop / self.timing.minimum / 1e9


@dataclass
class Results:
    """What was measured; `peak` is the largest rate of fused multiply-adds seen in this run, in GFLOP/s."""

    engines: dict
    effort: Effort
    report: object = print
    rows: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    footprint: dict = field(default_factory=dict)
    peak: float | None = None

    def race(self, section, point, entries):
        """Checks, then times all entries of one point in turn."""
        self.measure_peak()
        try:
            for name, entry in entries.items():
                check(name, entry.job.read(entry.job.run()), entry.expected, entry.dtype)
        except WrongAnswerError as error:
            self.failures.append(f"{section} {point}: {error}")
            self.report(f"{section:17} {point!s:16} WRONG ANSWER: {error}")
            return
        timings = measure({name: entry.job.run for name, entry in entries.items()}, self.effort)
        rows = [Row(section, point, name, entries[name].flop, timing) for name, timing in timings.items()]
        self.rows += rows
        figures = "   ".join(f"{row.job} {_brief(row)}" for row in rows)
        self.report(f"{section:17} {point!s:16} {figures}")

    def measure_peak(self):
        """A register-only loop in gru_rs; the clock of a shared core moves, so it is asked at every point."""
        gru_rs = self.engines.get("gru_rs")
        rate = gru_rs.fma_peak() if gru_rs else None
        if rate is None:
            return
        if rate <= BELIEVABLE_PEAK:
            self.peak = max(self.peak or 0.0, rate)
        elif UNBELIEVABLE not in self.failures:
            self.failures.append(UNBELIEVABLE)


def _brief(row):
    return f"{row.timing.minimum * 1e6:.2f} µs" if row.section == "step" else f"{row.gflops:.1f}"


def forward(results, layers):
    _whole_sequences(results, "forward", layers, 1)


def training(results, layers):
    _whole_sequences(results, "training", layers, TRAINING_FLOP)


def _whole_sequences(results, mode, layers, factor):
    for point in layers:
        work = workload.make(point)
        expected = getattr(reference, mode)(work)
        jobs = engine_room.jobs(results.engines, mode, work)
        entries = {name: Entry(job, expected, factor * point.flop()) for name, job in jobs.items()}
        results.race(mode, point, entries)


def step(results, points):
    for point in points:
        work = workload.make(point)
        expected = reference.steps(work, CHECKED_STEPS)
        entries = {}
        for name, job in engine_room.jobs(results.engines, "steps", work).items():
            for _ in range(CHECKED_STEPS - 1):  # race() makes the last one and checks what it returned
                job.run()
            entries[name] = Entry(job, expected, point.flop())
        results.race("step", point, entries)


def lstm(results, layers):
    """Training of the own LSTM beside PyTorch's (oneDNN) and beside the own GRU."""
    gru_rs, torch = (results.engines.get(name) for name in ("gru_rs", "pytorch"))
    for point in layers:
        entries = {}
        for kind, engine in (("gru", gru_rs), ("lstm", gru_rs), ("lstm", torch)):
            if engine is None:
                continue
            work = workload.make(point, kind)
            flop = TRAINING_FLOP * point.flop(workload.GATES[kind])
            name = f"{engine.NAME}, {kind.upper()}"
            entries[name] = Entry(engine.training(work)[engine.NAME], reference.training(work), flop)
        results.race("lstm", point, entries)


def variants(results, layers):
    """float64, reset-before and ragged batches of gru_rs, beside its own float32, reset-after, dense."""
    if (engine := results.engines.get("gru_rs")) is None:
        return
    for mode, factor in (("forward", 1), ("training", TRAINING_FLOP)):
        for point in layers:
            base = workload.make(point)
            works = {
                "gru_rs, base": base,
                "gru_rs, reset-before": workload.make(point, reset_after=False),
                "gru_rs, f64": workload.make(point, dtype=np.float64),
            }
            if point.batch > 1:
                works["gru_rs, ragged"] = workload.ragged(base)
            entries = {name: _variant(engine, mode, work, factor) for name, work in works.items()}
            results.race(f"variants {mode}", point, entries)


def _variant(engine, mode, work, factor):
    dense = work.point.seq * work.point.batch
    share = 1.0 if work.lengths is None else work.lengths.sum() / dense
    job = getattr(engine, mode)(work)[engine.NAME]
    return Entry(job, getattr(reference, mode)(work), factor * share * work.point.flop(), work.dtype.name)


SECTIONS = {"forward": forward, "training": training, "step": step, "lstm": lstm, "variants": variants}

"""Jobs that meet at one point: every answer is checked before anything is timed, and a point with a wrong
answer is reported as a failure and has no figures."""

from dataclasses import dataclass, field

from .checks import WrongAnswerError, check
from .engines import OWN, Job
from .results import Results, Row
from .timing import Effort, measure

BELIEVABLE_PEAK = 500.0  # GFLOP/s of one core; two AVX-512 units at 6 GHz make 384
UNBELIEVABLE = f"the FMA peak was over {BELIEVABLE_PEAK:.0f} GFLOP/s: its loop was optimised away"


@dataclass(frozen=True)
class Entry:
    """A job, what it must answer, the floating-point operations of its products, and its threads if they
    are not those of the setting."""

    job: Job
    expected: dict
    flop: float
    dtype: str = "float32"
    threads: str | None = None


@dataclass
class Bench:
    """The engines of one process, how they are asked, and what was found."""

    engines: dict
    effort: Effort
    threads: str
    report: object = print
    results: Results = field(default_factory=Results)

    def race(self, section, point, entries):
        """Checks, then times all entries of one point in turn."""
        self.measure_peak()
        if not self.checked(section, point, entries):
            return
        timings = measure({name: entry.job.run for name, entry in entries.items()}, self.effort)
        rows = [self.row(section, point, name, entries[name], timings[name]) for name in entries]
        figures = "   ".join(f"{row.job} {_brief(row)}" for row in rows)
        self.report(f"{section:17} {point!s:16} {figures}")

    def checked(self, section, point, entries):
        try:
            for name, entry in entries.items():
                check(name, entry.job.read(entry.job.run()), entry.expected, entry.dtype)
        except WrongAnswerError as error:
            self.results.failures.append(f"{section} {point}: {error}")
            self.report(f"{section:17} {point!s:16} WRONG ANSWER: {error}")
            return False
        return True

    def row(self, section, point, job, entry, timing, load="quiet"):
        row = Row(section, point, job, entry.flop, timing, entry.threads or self.threads, load)
        self.results.rows.append(row)
        return row

    def measure_peak(self):
        """A register-only loop in gru_rs; the clock of a shared core moves, so it is asked at every point."""
        own = self.engines.get(OWN)
        rate = own.fma_peak() if own else None
        if rate is None:
            return
        if rate <= BELIEVABLE_PEAK:
            self.results.peak = max(self.results.peak or 0.0, rate)
        elif UNBELIEVABLE not in self.results.failures:
            self.results.failures.append(UNBELIEVABLE)


def _brief(row):
    return f"{row.timing.minimum * 1e6:.2f} µs" if row.section == "step" else f"{row.gflops:.1f}"

"""The machine as it is when others use it: every engine in its default settings, alone in its process,
quiet and with a busy process for each core, in turn. Single calls are timed: here it is the slow ones that
matter."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

from . import grid, workload
from .sections import entries, step_entries
from .timing import calls, summary

LOADS = ("quiet", "busy")
CASES = (
    ("forward", "t100_b64_i256_h256"),
    ("training", "t100_b64_i256_h256"),
    ("forward", "t1000_b1_i80_h256"),
    ("step", "t1_b1_i128_h256"),
)
MOST_CALLS = 20_000  # under each load
SETTLE = 0.05  # seconds after a change of load
# 1 is PR_SET_PDEATHSIG: it is killed with the process that started it, however that ends.
LOOP = """
import ctypes
ctypes.CDLL(None).prctl(1, 9)
while True:
    pass
"""


@dataclass
class BusyLoops:
    """A process for each core that does nothing but take its time, of the priority that we have; stopped at
    first."""

    processes: list = field(default_factory=list)

    def __enter__(self):
        for _ in os.sched_getaffinity(0):
            self.processes.append(subprocess.Popen([sys.executable, "-c", LOOP]))
        time.sleep(0.5)  # while Python starts
        self.let(False)
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def let(self, run):
        for process in self.processes:
            process.send_signal(signal.SIGCONT if run else signal.SIGSTOP)
        time.sleep(SETTLE)


def busy(bench, named, seconds, blocks):
    """`seconds` for each job under each load, in so many blocks that take turns."""
    with BusyLoops() as loops:
        for mode, name in CASES:
            point = grid.named(name)
            if named and not {point.name, str(point)} & set(named):
                continue
            work = workload.make(point)
            found = (
                step_entries(bench.engines, point) if mode == "step" else entries(bench.engines, mode, work)
            )
            section = f"busy {mode}"
            if bench.checked(section, point, found):
                for job, entry in found.items():
                    _measure(bench, loops, (section, point, job, entry), seconds, blocks)


def _measure(bench, loops, what, seconds, blocks):
    section, point, job, entry = what
    samples = _alternate(loops, entry.job.run, seconds, blocks)
    rows = [bench.row(section, point, job, entry, summary(samples[load]), load) for load in LOADS]
    figures = "; ".join(_brief(row) for row in rows)
    bench.report(f"{section:17} {point!s:16} {job}: {figures}")


def _brief(row):
    timing = row.timing
    return f"{row.load} p50 {timing.p50 * 1e3:.3f}, p99 {timing.p99 * 1e3:.3f} ms of {timing.samples}"


def _alternate(loops, run, seconds, blocks):
    """{load: seconds of single calls}. The first call of a block is left out where there are others: it
    meets the caches that the other load left. An engine whose calls take longer than a block gets fewer
    blocks."""
    samples, spent = {load: [] for load in LOADS}, dict.fromkeys(LOADS, 0.0)
    try:
        for _ in range(blocks):
            for load in LOADS:
                if spent[load] >= seconds:
                    continue
                loops.let(load == "busy")
                began = time.perf_counter()
                found = calls(run, seconds / blocks, MOST_CALLS // blocks)
                spent[load] += time.perf_counter() - began
                samples[load] += found[1:] or found
    finally:
        loops.let(False)
    return samples

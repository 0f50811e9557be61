"""The machine as it is when others use it: every engine in its default settings, alone in its process,
quiet and with a busy process for each core, in turn. Single calls are timed: here it is the slow ones that
matter."""

import time

from . import grid, workload
from .loops import BusyLoops
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

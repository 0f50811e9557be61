"""Timing on a machine that others use too: one core, engines in turn, minimum and median."""

import gc
import os
import time
from dataclasses import dataclass
from itertools import repeat
from statistics import median

SAMPLE_SECONDS = 0.02  # a sample repeats its job until it takes at least this long
MOST_ROUNDS = 200


@dataclass(frozen=True)
class Timing:
    """Seconds of one run of a job."""

    minimum: float
    median: float
    rounds: int
    repeats: int


@dataclass(frozen=True)
class Effort:
    """Seconds given to each job of a point, and the rounds that there are at least."""

    budget: float
    rounds: int


def pin(core=None):
    """Ties this process to one core. Call it before an engine is imported: its threads inherit the mask."""
    core = min(os.sched_getaffinity(0)) if core is None else core
    os.sched_setaffinity(0, {core})
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GRU_RS_NUM_THREADS"):
        os.environ[variable] = "1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    return core


def measure(jobs, effort):
    """Times the functions of `jobs` (by name) in turn, round by round: a disturbance hits all alike."""
    repeats = {name: _calibrate(run) for name, run in jobs.items()}
    samples = {name: [] for name in jobs}
    names = list(jobs)
    deadline = time.perf_counter() + effort.budget * len(jobs)
    gc.collect()
    gc.disable()
    try:
        for turn in range(MOST_ROUNDS):
            if turn >= effort.rounds and time.perf_counter() > deadline:
                break
            shift = turn % len(names)  # nobody always follows the same neighbour
            for name in names[shift:] + names[:shift]:
                samples[name].append(_sample(jobs[name], repeats[name]))
    finally:
        gc.enable()
    return {n: Timing(min(s), median(s), len(s), repeats[n]) for n, s in samples.items()}


def _sample(run, count):
    began = time.perf_counter()
    for _ in repeat(None, count):
        run()
    return (time.perf_counter() - began) / count


def _calibrate(run):
    """Warms the job up and returns how often it must be repeated for one sample."""
    run()
    count = 1
    while (seconds := _sample(run, count) * count) < SAMPLE_SECONDS:
        count = max(count + 1, int(count * min(10.0, 1.2 * SAMPLE_SECONDS / max(seconds, 1e-9))))
    return count

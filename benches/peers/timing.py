"""Timing on a machine that others use too: the jobs in turn, round by round, and what is kept of the
samples."""

import gc
import time
from dataclasses import dataclass
from itertools import repeat

SAMPLE_SECONDS = 0.02  # a sample repeats its job until it takes at least this long
MOST_ROUNDS = 200
# Where a call takes seconds, fewer rounds will do: it outlasts what disturbs a short one. After so many times
# the budget, so many rounds are enough.
PATIENCE, FEWEST_ROUNDS = 6, 3


@dataclass(frozen=True)
class Timing:
    """Seconds of one run of a job; p50 and p99 are of the samples, each the mean of `repeats` runs."""

    minimum: float
    p50: float
    p99: float
    samples: int
    repeats: int


@dataclass(frozen=True)
class Effort:
    """Seconds given to each job of a point, the rounds that there are at least, and seconds of rest before
    each sample: threads that a neighbour left spinning go to sleep meanwhile."""

    budget: float
    rounds: int
    rest: float = 0.0


def summary(samples, repeats=1):
    ordered = sorted(samples)
    return Timing(ordered[0], _percentile(ordered, 50), _percentile(ordered, 99), len(ordered), repeats)


def _percentile(ordered, percent):
    """Interpolated, as NumPy does it; `numpy` may be imported only after the process is tied to its cores."""
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def measure(jobs, effort):
    """Times the functions of `jobs` (by name) in turn, round by round: a disturbance hits all alike."""
    repeats = {name: _calibrate(run) for name, run in jobs.items()}
    samples = {name: [] for name in jobs}
    names = list(jobs)
    budget, began = effort.budget * len(jobs), time.perf_counter()
    gc.collect()
    gc.disable()
    try:
        for turn in range(MOST_ROUNDS):
            if _enough(turn, time.perf_counter() - began, effort.rounds, budget):
                break
            shift = turn % len(names)  # nobody always follows the same neighbour
            for name in names[shift:] + names[:shift]:
                time.sleep(effort.rest)
                samples[name].append(_sample(jobs[name], repeats[name]))
    finally:
        gc.enable()
    return {name: summary(samples[name], repeats[name]) for name in names}


def _enough(rounds, seconds, wanted, budget):
    if rounds >= wanted:
        return seconds > budget
    return rounds >= FEWEST_ROUNDS and seconds > PATIENCE * budget


def calls(run, seconds, most):
    """Times single calls until so many seconds have passed or so many calls were made: at least one."""
    found, deadline = [], time.perf_counter() + seconds
    while not found or (len(found) < most and time.perf_counter() < deadline):
        found.append(_sample(run, 1))
    return found


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

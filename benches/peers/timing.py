"""Timing on a machine that others use too: the jobs in turn, round by round, and what is kept of the
samples."""

import gc
import time
from dataclasses import dataclass
from itertools import repeat

SAMPLE_SECONDS = 0.02  # a sample repeats its job until it takes at least this long
MOST_ROUNDS = 200
# A job that has had so many times its budget sits out the remaining rounds. What takes seconds a call
# outlasts the disturbances that many rounds are for; and where threads wait for one that is not running,
# some engines take minutes.
PATIENCE = 6


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
    """Times the functions of `jobs` (by name) in turn, round by round: a disturbance hits all alike. Each
    must have run before."""
    lanes = [_Lane(run, *_calibrate(run), effort) for run in jobs.values()]
    budget, began = effort.budget * len(lanes), time.perf_counter()
    gc.collect()
    gc.disable()
    try:
        for turn in range(MOST_ROUNDS):
            if turn >= effort.rounds and time.perf_counter() - began > budget:
                break
            shift = turn % len(lanes)  # nobody always follows the same neighbour
            for lane in lanes[shift:] + lanes[:shift]:
                lane.sample()
    finally:
        gc.enable()
    return {name: summary(lane.samples, lane.repeats) for name, lane in zip(jobs, lanes, strict=True)}


class _Lane:
    """A job, its samples and the time it has had; a first sample that is long enough counts."""

    def __init__(self, run, repeats, seconds, effort):
        self.run, self.repeats, self.effort = run, repeats, effort
        self.samples = [seconds] if seconds > effort.budget else []
        self.spent = sum(self.samples)

    def sample(self):
        if self.spent > PATIENCE * self.effort.budget:
            return
        time.sleep(self.effort.rest)
        self.samples.append(_sample(self.run, self.repeats))
        self.spent += self.samples[-1] * self.repeats


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
    """Returns how often the job must be repeated for one sample, and the seconds of a run at the last try."""
    count = 1
    while (seconds := _sample(run, count)) * count < SAMPLE_SECONDS:
        count = max(count + 1, int(count * min(10.0, 1.2 * SAMPLE_SECONDS / max(seconds * count, 1e-9))))
    return count, seconds

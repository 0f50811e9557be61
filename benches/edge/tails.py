"""The slow ones among single steps, with the whole machine to choose from, quiet and busy."""

import numpy as np
from peers import grid, workload
from peers.engines import onnxruntime_engine
from peers.loops import BusyLoops
from peers.timing import calls

from . import layers
from .process import ask
from .tables import Table, micro

SIZES = ((32, 64), (128, 256))
ENGINES = {"float32": 1, "int8": 1, "ORT, one thread": 1, "ORT, default": 0}
"""And the threads that ONNX Runtime is told; 0: nothing."""
LOADS = ("quiet", "busy")
PERCENTS = (50, 99, 99.9, 100)
MOST_CALLS = 1_000_000
BLOCKS = 3


def agree(inputs, hidden):
    """Where nothing is timed: threads that an engine has begun would be the next one's load."""
    work = workload.make(grid.Point("", 1, 1, inputs, hidden))
    jobs = onnxruntime_engine.steps(work) | layers.step_jobs(work, "float32") | layers.step_jobs(work, "int8")
    return layers.differences(jobs, work, layers.CHECKED_STEPS)


def slow_ones(engine, inputs, hidden, seconds):
    """Percentiles of the seconds of a call, by load; the loads take turns."""
    work = workload.make(grid.Point("", 1, 1, inputs, hidden))
    if engine in layers.WIDTHS:
        run = layers.step_jobs(work, engine)[f"{engine}, out="].run
    else:
        onnxruntime_engine.use_threads(ENGINES[engine])
        run = onnxruntime_engine.steps(work)[layers.PEER_WAYS[1]].run
    samples = {load: [] for load in LOADS}
    with BusyLoops() as loops:
        for _ in range(BLOCKS):
            for load in LOADS:
                loops.let(load == "busy")
                # The first meets the caches that the other load left.
                samples[load] += calls(run, seconds / BLOCKS, MOST_CALLS)[1:]
    return {load: [len(found), *np.percentile(found, PERCENTS)] for load, found in samples.items()}


def tails(quick):
    """## The slow ones among single steps

    µs of single calls one after the other, on any core, alone and with a busy process for each core; into the
    same array each time, of ONNX Runtime bound buffers.
    """
    table = Table("I, H", "engine", "load", "p50", "p99", "p99.9", "longest", "calls", left=3)
    for inputs, hidden in SIZES:
        ask(agree, inputs, hidden, pinned=False)
        for engine in ENGINES:
            found = ask(slow_ones, engine, inputs, hidden, 0.3 if quick else 5.0, pinned=False)
            for load, (count, *percentiles) in found.items():
                table.row(f"{inputs}, {hidden}", engine, load, *map(micro, percentiles), f"{count:,}")
    return str(table)

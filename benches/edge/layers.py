"""One row on one core, beside ONNX Runtime: steps and chunks from Python, and the bytes of the weights."""

import math

import gru_rs
import numpy as np
from peers import grid, workload
from peers.engines import Job, onnxruntime_engine
from peers.timing import Effort, measure

from .process import ask
from .tables import Table, at_least, at_most, micro

WIDTHS = ("float32", "float16", "int8")
STEPS = ((32, 64), (64, 128), (128, 256), (512, 512))
CHUNKS = ((64, 64), (80, 256), (256, 256), (512, 512))
SEQ = 1000
CHECKED_STEPS = 50
PEER_WAYS = tuple(f"{onnxruntime_engine.NAME}, {way}" for way in ("run", "binding"))

# Largest differences from ONNX Runtime, of outputs within ±1. Float32 sums in another order part by 1e-6;
# quantized weights are rounded, by 2^-11 of each or 1/254 of the largest; a wrong gate or a dropped state is
# 0.1 and more.
TOLERANCE = {"float32": 1e-5, "float16": 2e-3, "int8": 0.05}

STEP_MICROSECONDS = {64: 1.8, 128: 4.0}
STEP_OF_PEER = {64: 1 / 12, 128: 1 / 6, 512: 0.65}
STEP_MEAN = 5.0
BYTE_STEP_OF_PEER = {512: 0.22}
BYTE_OVER_WHOLE = {256: 1.8}
BYTES = 0.27
"""The bars, by hidden size where they have one."""


def made(work, width="float32"):
    """A layer with the workload's weights."""
    gru = gru_rs.GRU(work.point.input, work.point.hidden)
    gru.load_state_dict(work.weights)
    return gru if width == "float32" else gru.quantize(width)


def step_jobs(work, width):
    """One step of `work.x`, which may change in between, into a new array and into the same."""
    gru, x, out = made(work, width), work.x[0, 0], np.empty(work.point.hidden, np.float32)
    new, same = gru.stream(), gru.stream()
    jobs = {width: lambda: new(x), f"{width}, out=": lambda: same(x, out=out)}
    return {name: Job(run, lambda y: {"y": y}) for name, run in jobs.items()}


def differences(jobs, work, calls):
    """By job, the largest difference from the first of them; x is drawn anew for each call."""
    rng, apart = np.random.default_rng(1), dict.fromkeys(jobs, 0.0)
    for _ in range(calls):
        work.x[...] = rng.standard_normal(work.x.shape)
        ys = [np.ravel(job.read(job.run())["y"]) for job in jobs.values()]
        for name, y in zip(jobs, ys, strict=True):
            apart[name] = max(apart[name], float(np.abs(y - ys[0]).max()))
    for name, difference in apart.items():
        allowed = TOLERANCE[width_of(name)]
        assert difference <= allowed, f"{work.point}: {name} is off by {difference:.1e}, allowed {allowed}"
    return apart


def width_of(name):
    """A job is called by its width, or by its engine."""
    return next((width for width in WIDTHS if name.startswith(width)), "float32")


def timed(jobs, work, calls, budget):
    """Seconds and differences by job."""
    apart = differences(jobs, work, calls)
    found = measure({name: job.run for name, job in jobs.items()}, Effort(budget, 3))
    return {name: timing.minimum for name, timing in found.items()}, apart


def step_times(inputs, hidden, budget):
    work = workload.make(grid.Point("", 1, 1, inputs, hidden))
    onnxruntime_engine.use_threads(1)
    jobs = onnxruntime_engine.steps(work) | step_jobs(work, "float32") | step_jobs(work, "int8")
    return timed(jobs, work, CHECKED_STEPS, budget)


def step(quick):
    """## One step from Python

    µs of a call on one core, input and output NumPy arrays, the state carried on. ONNX Runtime: one GRU node,
    one thread, `run` with h fed back, and behind the stroke bound buffers; `stream(x)`, and behind the stroke
    `stream(x, out=y)`. The better of the two counts.
    """
    table = Table(
        *("I, H", "ORT", "float32", "int8", "float32: µs", "float32 / ORT", "int8 / ORT"),
        *("float32 off ORT by", "int8 off ORT by"),
    )
    ratios = []
    for inputs, hidden in STEPS:
        seconds, apart = ask(step_times, inputs, hidden, 0.1 if quick else 1.5)
        ways = {name: (name, f"{name}, out=") for name in ("float32", "int8")} | {"ORT": PEER_WAYS}
        both = {name: [seconds[way] for way in pair] for name, pair in ways.items()}
        whole, byte, peer = map(min, both.values())
        ratios.append(peer / whole)
        table.row(
            f"{inputs}, {hidden}",
            *(" / ".join(map(micro, both[name])) for name in ("ORT", "float32", "int8")),
            barred(at_most, whole * 1e6, STEP_MICROSECONDS.get(hidden)),
            barred(at_most, whole / peer, STEP_OF_PEER.get(hidden), ".3f"),
            barred(at_most, byte / peer, BYTE_STEP_OF_PEER.get(hidden), ".3f"),
            *(f"{max(apart[way] for way in ways[name]):.1e}" for name in ("float32", "int8")),
        )
    mean = math.prod(ratios) ** (1 / len(ratios))
    return f"{table}\nORT / float32, geometric mean: {at_least(mean, STEP_MEAN)}\n"


def barred(judge, value, bar, form=".2f"):
    """A figure that has a bar at some sizes."""
    return f"{value:{form}}" if bar is None else judge(value, bar, form)


def chunk_jobs(work, width):
    """All steps in one call: of the layer from h0, and of a stream that is put back to h0 by `reset`."""
    gru, stream = (made(work, width) for _ in "ab")
    x, h0, stream = work.x, work.state[0], stream.stream()
    out = np.empty((SEQ, work.point.hidden), np.float32)

    def run_stream():
        stream.state = h0[:, 0]
        return stream(x[:, 0], out=out)

    return {
        width: Job(lambda: gru(x, h0), lambda answer: {"y": answer[0]}),
        f"{width}, stream": Job(run_stream, lambda y: {"y": y}),
    }


def chunk_times(inputs, hidden, budget):
    work = workload.make(grid.Point("", SEQ, 1, inputs, hidden))
    onnxruntime_engine.use_threads(1)
    jobs = onnxruntime_engine.forward(work)
    for width in WIDTHS:
        jobs |= chunk_jobs(work, width)
    return timed(jobs, work, 2, budget)


def chunk(quick):
    """## A step within one call

    µs a step of T = 1000, B = 1, on one core. `gru(x)`, and behind the stroke `stream(x, out=y)`. × is the
    time of the own float32 over this one's, in both ways, and the lesser of them has the bar.
    """
    table = Table(
        "I, H", "weights", "ORT, float32", "µs a step", "× own float32", "ORT / this", "off ORT by", left=2
    )
    for inputs, hidden in CHUNKS:
        seconds, apart = ask(chunk_times, inputs, hidden, 0.1 if quick else 1.5)
        peer = seconds[onnxruntime_engine.NAME] / SEQ
        own = {width: [seconds[width] / SEQ, seconds[f"{width}, stream"] / SEQ] for width in WIDTHS}
        for width, both in own.items():
            faster = [whole / this for whole, this in zip(own["float32"], both, strict=True)]
            bar = BYTE_OVER_WHOLE.get(hidden) if width == "int8" else None
            table.row(
                f"{inputs}, {hidden}",
                width,
                micro(peer),
                " / ".join(map(micro, both)),
                f"{max(faster):.2f}, {barred(at_least, min(faster), bar)}",
                f"{peer / min(both):.2f}",
                f"{max(apart[width], apart[f'{width}, stream']):.1e}",
            )
    return str(table)


def layer_bytes(inputs, hidden):
    gru = gru_rs.GRU(inputs, hidden, seed=0)
    return [gru.nbytes, *(gru.quantize(width).nbytes for width in WIDTHS[1:])]


def weights(quick):  # noqa: ARG001 - as quick as it gets
    """## Bytes of the weights

    `nbytes`: what a file holds.
    """
    table = Table("I, H", *WIDTHS, "float16 / float32, %", "int8 / float32, %")
    for inputs, hidden in sorted({*STEPS, *CHUNKS}, key=lambda size: size[::-1]):
        whole, half, byte = ask(layer_bytes, inputs, hidden)
        shares = f"{half / whole * 100:.1f}", at_most(byte / whole * 100, BYTES * 100, ".1f")
        table.row(f"{inputs}, {hidden}", whole, half, byte, *shares)
    return str(table)

"""Which engines meet at which sizes, on one thread."""

import numpy as np

from . import engines as engine_room
from . import reference, workload
from .engines import OWN
from .race import Entry

CHECKED_STEPS = 8
MODES = {"forward": 1, "training": 3}  # times the operations of a forward pass: the products for dx and dW


def forward(bench, layers):
    _race_layers(bench, "forward", layers)


def training(bench, layers):
    _race_layers(bench, "training", layers)


def _race_layers(bench, mode, layers):
    for point in layers:
        bench.race(mode, point, entries(bench.engines, mode, workload.make(point)))


def entries(engines, mode, work, suffix=""):
    """All engines' jobs for one piece of work, each called by its engine and what is special about the
    work."""
    expected, flop = getattr(reference, mode)(work), operations(mode, work)
    jobs = engine_room.jobs(engines, mode, work)
    return {f"{name}{suffix}": Entry(job, expected, flop, work.dtype.name) for name, job in jobs.items()}


def operations(mode, work):
    """Of the products; a ragged batch counts the steps it has, not the padding."""
    dense = work.point.seq * work.point.batch
    share = 1.0 if work.lengths is None else work.lengths.sum() / dense
    return MODES[mode] * share * work.point.flop(workload.GATES[work.kind])


def step(bench, points):
    for point in points:
        bench.race("step", point, step_entries(bench.engines, point))


def step_entries(engines, point):
    work = workload.make(point)
    expected = reference.steps(work, CHECKED_STEPS)
    found = {}
    for name, job in engine_room.jobs(engines, "steps", work).items():
        for _ in range(CHECKED_STEPS - 1):  # the check makes the last one and looks at what it returned
            job.run()
        found[name] = Entry(job, expected, point.flop())
    return found


def lstm(bench, layers):
    """The LSTM of each engine that has one, beside the own GRU of the same sizes."""
    for mode in MODES:
        for point in layers:
            bench.race(
                f"lstm {mode}",
                point,
                {
                    **_own(bench, mode, workload.make(point), ", GRU"),
                    **entries(bench.engines, mode, workload.make(point, "lstm"), ", LSTM"),
                },
            )


def variants(bench, layers):
    """Reset-before of gru_rs beside its own reset-after: no peer trains the one that its GRU is not."""
    for mode in MODES:
        for point in layers:
            bench.race(
                f"variants {mode}",
                point,
                {
                    **_own(bench, mode, workload.make(point), ", reset-after"),
                    **_own(bench, mode, workload.make(point, reset_after=False), ", reset-before"),
                },
            )


def f64(bench, layers):
    """Float64 of each engine that has it, beside the own float32."""
    for mode in MODES:
        for point in layers:
            bench.race(
                f"f64 {mode}",
                point,
                {
                    **_own(bench, mode, workload.make(point), ", f32"),
                    **entries(bench.engines, mode, workload.make(point, dtype=np.float64), ", f64"),
                },
            )


def ragged(bench, layers):
    """Random lengths, beside the own dense batch of the same sizes; rates count the steps within lengths."""
    for mode in MODES:
        for point in (point for point in layers if point.batch > 1):
            base = workload.make(point)
            bench.race(
                f"ragged {mode}",
                point,
                {
                    **_own(bench, mode, base, ", dense"),
                    **entries(bench.engines, mode, workload.ragged(base), ", ragged"),
                },
            )


def _own(bench, mode, work, suffix):
    own = {name: engine for name, engine in bench.engines.items() if name == OWN}
    return entries(own, mode, work, suffix) if own else {}


SECTIONS = {
    "forward": forward,
    "training": training,
    "step": step,
    "lstm": lstm,
    "variants": variants,
    "f64": f64,
    "ragged": ragged,
}

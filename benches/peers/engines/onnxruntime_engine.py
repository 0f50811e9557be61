"""ONNX Runtime: the one node of onnx_model. Inference only."""

import numpy as np
import onnxruntime as ort

from . import Job, onnx_model

NAME = "onnxruntime"

_threads = 0  # ONNX Runtime's own choice


def version():
    return ort.__version__


def use_threads(count):
    global _threads
    _threads = count


def forward(work):
    if not onnx_model.expressible(work):
        return {}
    session, feed = _session(work), onnx_model.feed(work)
    return {NAME: Job(lambda: session.run(None, feed), onnx_model.read)}


def steps(work):
    return {f"{NAME}, run": _run_step(work), f"{NAME}, binding": _bound_step(work)}


def _run_step(work):
    session = _session(work)
    x, h = work.x, np.zeros((1, 1, work.point.hidden), np.float32)

    def run():
        nonlocal h
        (h,) = session.run(["Y_h"], {"X": x, "initial_h": h})
        return h

    return Job(run, lambda y: {"y": y})


def _bound_step(work):
    """Input written in place, state passed to and fro between two bound buffers, output copied out."""
    session = _session(work)
    x = ort.OrtValue.ortvalue_from_numpy(work.x)
    states = [ort.OrtValue.ortvalue_from_numpy(np.zeros((1, 1, work.point.hidden), np.float32)) for _ in "ab"]
    bindings = []
    for before, after in (states, states[::-1]):
        binding = session.io_binding()
        binding.bind_ortvalue_input("X", x)
        binding.bind_ortvalue_input("initial_h", before)
        binding.bind_ortvalue_output("Y_h", after)
        bindings.append((binding, after))
    turn = 0

    def run():
        nonlocal turn
        binding, after = bindings[turn]
        turn = 1 - turn
        x.update_inplace(work.x)
        session.run_with_iobinding(binding)
        return after.numpy()

    return Job(run, lambda y: {"y": y})


def _session(work):
    options = ort.SessionOptions()
    options.intra_op_num_threads = _threads
    options.inter_op_num_threads = min(_threads, 1)  # there is one node: nothing to run beside it
    return ort.InferenceSession(onnx_model.build(work), options, ["CPUExecutionProvider"])

"""OpenVINO: the model that ONNX Runtime gets, compiled for latency. Inference only."""

import numpy as np
import openvino as ov

from . import Job, onnx_model

NAME = "openvino"
# bf16, its choice where the CPU has it, would not pass the check of the answers.
OPTIONS = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}

_core = ov.Core()
_threads = {}  # OpenVINO's own choice


def version():
    return ov.__version__.partition("-")[0]


def use_threads(count):
    global _threads
    _threads = {"INFERENCE_NUM_THREADS": count}


def forward(work):
    if not onnx_model.expressible(work):
        return {}
    request, names = _compile(work).create_infer_request(), onnx_model.outputs(work)
    for name, array in onnx_model.feed(work).items():
        request.set_tensor(name, ov.Tensor(array))

    def run():
        request.infer()
        return [request.get_tensor(name).data for name in names]

    return {NAME: Job(run, onnx_model.read)}


def steps(work):
    """Input written in place, state passed to and fro between two requests' buffers, output copied out."""
    model = _compile(work)
    x = ov.Tensor(work.x)
    states = [ov.Tensor(np.zeros((1, 1, work.point.hidden), np.float32)) for _ in "ab"]
    requests = []
    for before, after in (states, states[::-1]):
        request = model.create_infer_request()
        request.set_tensor("X", x)
        request.set_tensor("initial_h", before)
        request.set_tensor("Y_h", after)
        requests.append((request, after))
    turn = 0

    def run():
        nonlocal turn
        request, after = requests[turn]
        turn = 1 - turn
        x.data[:] = work.x
        request.infer()
        return after.data.copy()

    return {NAME: Job(run, lambda y: {"y": y})}


def _compile(work):
    return _core.compile_model(_core.read_model(onnx_model.build(work)), "CPU", {**OPTIONS, **_threads})

"""OpenVINO on the CPU, in the precision of the model."""

import openvino


def version():
    return f"openvino {openvino.__version__.split('-')[0]}"


def run(path, feeds, outputs):
    core = openvino.Core()
    model = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = model(feeds)
    return [found[name] for name in outputs]

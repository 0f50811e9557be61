"""ONNX Runtime on the CPU, as it is without options."""

import onnxruntime as engine

engine.set_default_logger_severity(4)


def version():
    return f"onnxruntime {engine.__version__}"


def run(path, feeds, outputs):
    options = engine.SessionOptions()
    options.intra_op_num_threads = 1
    return engine.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(outputs, feeds)

"""ONNX's own evaluator, onnx.reference."""

import onnx
from onnx.reference import ReferenceEvaluator


def version():
    return f"onnx {onnx.__version__}"


def run(path, feeds, outputs):
    return ReferenceEvaluator(str(path)).run(outputs, feeds)

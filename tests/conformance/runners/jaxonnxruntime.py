"""jaxonnxruntime: ONNX by JAX."""

import importlib.metadata

import numpy as np
import onnx


def version():
    return f"jaxonnxruntime {importlib.metadata.version('jaxonnxruntime')}"


def run(path, feeds, _outputs):
    from jaxonnxruntime import call_onnx

    model = onnx.load(path)
    function, params = call_onnx.call_onnx_model(model, feeds)
    found = function(params, feeds)
    return [np.asarray(value) for value in found]

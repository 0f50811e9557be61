"""MNN: its converter and its modules, by the extension alone. Its package `MNN.tools`, merely imported, has
pip install another package into the Python that is first in PATH, and reports what is converted: nothing here
imports it."""

import importlib.metadata
import tempfile
from pathlib import Path

import _tools
import MNN
import numpy as np


def version():
    return f"MNN {importlib.metadata.version('MNN')}"


def run(path, feeds, outputs):
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "model.mnn"
        _tools.mnnconvert(
            ["mnnconvert", "-f", "ONNX", "--modelFile", str(path), "--MNNModel", str(made), "--bizCode", "x"]
        )
        if not made.exists():
            msg = "the converter made nothing"
            raise ValueError(msg)
        module = MNN.nn.load_module_from_file(str(made), list(feeds), list(outputs))
        given = []
        for value in feeds.values():
            kind = MNN.numpy.int32 if value.dtype == np.int32 else MNN.numpy.float32
            if value.dtype not in (np.int32, np.float32):
                msg = f"no {value.dtype} among its numbers"
                raise TypeError(msg)
            one = MNN.expr.placeholder(list(value.shape), MNN.expr.NCHW, kind)
            one.write(value.ravel().tolist())
            given.append(one)
        found = module.forward(given)
        return [np.array(MNN.expr.convert(one, MNN.expr.NCHW).read()) for one in found]

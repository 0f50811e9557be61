"""tinygrad's reader of ONNX."""

import importlib.metadata
import os

os.environ["DEV"] = "PYTHON"  # its interpreter: its CPU asks for a compiler of C


def version():
    return f"tinygrad {importlib.metadata.version('tinygrad')}"


def run(path, feeds, outputs):
    from tinygrad import Tensor
    from tinygrad.nn.onnx import OnnxRunner

    found = OnnxRunner(path)({name: Tensor(value) for name, value in feeds.items()})
    return [found[name].numpy() for name in outputs]

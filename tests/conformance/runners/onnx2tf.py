"""onnx2tf: a model of TensorFlow Lite, run by LiteRT."""

import importlib.metadata
import tempfile
from pathlib import Path

import numpy as np


def version():
    return f"onnx2tf {importlib.metadata.version('onnx2tf')}"


def run(path, feeds, outputs):
    import onnx2tf
    from ai_edge_litert.interpreter import Interpreter

    with tempfile.TemporaryDirectory() as folder:
        onnx2tf.convert(
            input_onnx_file_path=str(path),
            output_folder_path=folder,
            non_verbose=True,
            keep_shape_absolutely_input_names=list(feeds),
        )
        (made,) = [one for one in Path(folder).glob("*.tflite") if "float32" in one.name]
        interpreter = Interpreter(str(made))
        signature = interpreter.get_signature_runner()
        found = signature(**feeds)
        return [np.array(found[name]) for name in outputs]

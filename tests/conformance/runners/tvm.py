"""TVM: relax's reader of ONNX, compiled for the CPU."""

import onnx
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx


def version():
    return f"TVM {tvm.__version__}"


def run(path, feeds, outputs):
    shapes = {name: list(value.shape) for name, value in feeds.items()}
    types = {name: value.dtype.name for name, value in feeds.items()}
    module = from_onnx(onnx.load(path), shape_dict=shapes, dtype_dict=types, keep_params_in_input=False)
    machine = relax.VirtualMachine(tvm.compile(module, target="llvm"), tvm.cpu())
    found = machine["main"](*[tvm.runtime.tensor(value) for value in feeds.values()])
    return [found[k].numpy() for k in range(len(outputs))] if len(outputs) > 1 else [found.numpy()]

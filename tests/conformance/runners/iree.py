"""IREE: imported, compiled for the CPU, run."""

import importlib.metadata

import numpy as np
import onnx
from iree import compiler, runtime
from iree.compiler.dialects import func
from iree.compiler.extras import onnx_importer
from iree.compiler.ir import Context


def version():
    return f"IREE {importlib.metadata.version('iree-base-compiler')}"


def run(path, feeds, _outputs):
    model = onnx.load(path)
    model = onnx.version_converter.convert_version(model, 17) if model.opset_import[0].version < 17 else model
    with Context() as context:
        info = onnx_importer.ModelInfo(onnx.shape_inference.infer_shapes(model))
        module = info.create_module(context=context).operation
        onnx_importer.NodeImporter.define_function(info.main_graph, module).import_all()
        name = next(op.name.value for op in module.regions[0].blocks[0] if isinstance(op, func.FuncOp))
        text = str(module)
    binary = compiler.compile_str(
        text,
        target_backends=["llvm-cpu"],
        input_type="onnx",
        extra_args=["--iree-llvmcpu-target-cpu=generic", "--mlir-disable-threading"],
    )
    loaded = runtime.load_vm_flatbuffer(binary, driver="local-sync")
    found = loaded[name](*[np.ascontiguousarray(value) for value in feeds.values()])
    return [value.to_host() for value in (found if isinstance(found, (list, tuple)) else [found])]

"""onnx2torch: a module of PyTorch, run as that."""

import importlib.metadata

import onnx2torch
import torch


def version():
    return f"onnx2torch {importlib.metadata.version('onnx2torch')}"


def run(path, feeds, _outputs):
    found = onnx2torch.convert(path)(*[torch.from_numpy(value) for value in feeds.values()])
    return [value.numpy() for value in (found if isinstance(found, (list, tuple)) else [found])]

"""Other frameworks' engines, if they are here: what they and ours are given, and how far apart they are."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

STEPS, ROWS = 20, 3


def inputs_of(layer: Any) -> Any:
    return np.random.default_rng(0).normal(size=(ROWS, STEPS, layer.input_size)).astype(layer.dtype)


def largest(ours: Any, theirs: Any) -> float:
    pairs = zip(leaves(ours), leaves(theirs), strict=True)
    return max(float(np.abs(a - b).max(initial=0)) for a, b in pairs)


def leaves(tree: Any) -> list[Any]:
    return [leaf for branch in tree for leaf in leaves(branch)] if isinstance(tree, (tuple, list)) else [tree]


_INSTALLED_AS = {"torch": "torch", "keras": "keras torch", "onnxruntime": "onnxruntime"}


def engine(name: str, purpose: str) -> Any:
    """The module of an engine; an ImportError that says what needs it if it is not there."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        msg = f"{purpose} needs {name}, and {error.name} is not installed: pip install {_INSTALLED_AS[name]}"
        raise ImportError(msg, name=error.name) from error


def run_onnx(name: str, model: Any, feeds: dict[str, Any]) -> list[Any]:
    """The outputs of a model, a path or bytes, in ONNX Runtime; a ValueError if that cannot run it."""
    runtime = engine("onnxruntime", "--check")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        given: list[Any] = session.run(None, {one.name: feeds[one.name] for one in session.get_inputs()})
    except Exception as error:  # of classes of its own
        told = str(error).strip().splitlines() or [type(error).__name__]
        msg = f"{name}: expected a model that ONNX Runtime runs, for --check, got: {told[0][:300]}"
        raise ValueError(msg) from error
    return given

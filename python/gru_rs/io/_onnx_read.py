"""ONNX models as they come in. It must not know what is in them."""

from __future__ import annotations

import os
from typing import Any

import onnx


def read(source: Any) -> onnx.ModelProto:
    """The model of a path, of bytes, or itself."""
    if isinstance(source, onnx.ModelProto):
        return source
    if not isinstance(source, (str, os.PathLike, bytes)):
        msg = f"source: expected a path, bytes or an onnx.ModelProto, got {type(source).__name__}"
        raise TypeError(msg)
    try:
        model = onnx.load_from_string(source) if isinstance(source, bytes) else onnx.load(source)
    except OSError:
        raise
    except Exception as error:  # protobuf's own errors, of either of its implementations
        name = "bytes" if isinstance(source, bytes) else os.fspath(source)
        msg = f"source: expected an ONNX model, got {name}, which does not parse: {error}"
        raise ValueError(msg) from error
    if not model.ir_version:
        msg = "source: expected an ONNX model, got one without an IR version"
        raise ValueError(msg)
    return model

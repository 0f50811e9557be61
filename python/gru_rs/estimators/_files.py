"""Fitted estimators in one safetensors file: the weights under PyTorch's names, and as metadata a JSON text
with the parameters, the vocabulary and what else was learnt. Nothing in a file is executed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import safetensors
from safetensors.numpy import save as to_bytes
from sklearn.utils.validation import check_is_fitted

from .._arrays import as_float_dtype
from .._quantize import from_tensors, to_tensors
from ..io._files import write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

C = TypeVar("C", bound=type)

FORMAT_VERSION = 1
_KEY = "gru_rs"

_KINDS: dict[str, Any] = {}
"""The classes whose files are read, by name. They come by themselves: this file is below them."""


def readable(kind: C) -> C:
    """Lets `load` make estimators of a class."""
    _KINDS[kind.__name__] = kind
    return kind


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator; the file is complete or not there."""
    check_is_fitted(estimator, "model_")
    model = estimator.model_
    parameters = estimator.get_params(deep=False)
    header = {
        "format_version": FORMAT_VERSION,
        "estimator": type(estimator).__name__,
        "parameters": {name: _parameter(name, value) for name, value in parameters.items()},
        "model": model._options | {"dtype": model.dtype.name, "seed": model.seed},
        "generators": {"model": model._core.rng_state, "shuffling": estimator._rng.bit_generator.state},
        "learnt": {name: _to_json(value) for name, value in estimator._saved().items()},
    }
    if model.quantization is not None:
        header["quantization"] = asdict(estimator.quantization_)
    tensors = to_tensors(model._names, model._tensors())
    data = to_bytes(tensors, {_KEY: json.dumps(header, allow_nan=True)})
    write_whole(path, data)


def load(path: str | os.PathLike[str], **functions: Callable[..., Any]) -> Any:
    """Read an estimator that `save` has written.

    Parameters
    ----------
    path : path-like
        A file of format version 1.
    **functions : callable
        The parameters that were functions, which are not saved, by name: ``analyzer=str.split``.

    Returns
    -------
    estimator
        Of the class that was saved. Callbacks and the optimizer's moments are not saved: training goes on
        without the former and with fresh ones of the latter.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is not a whole file of this kind, or of a later version; a function is missing, or was none.

    Examples
    --------
    >>> import gru_rs, os, tempfile
    >>> classifier = gru_rs.SequenceClassifier(max_iter=1).fit(["yes", "no"], [1, 0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     classifier.save(os.path.join(folder, "model.safetensors"))
    ...     again = gru_rs.load(os.path.join(folder, "model.safetensors"))
    >>> bool((again.predict_proba(["yes"]) == classifier.predict_proba(["yes"])).all())
    True
    """
    path = Path(path)
    tensors, header = _read(path)
    try:
        return _restore(tensors, header, functions)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        msg = f"{path}: expected a model of gru_rs, got one that cannot be used: {reason}"
        raise ValueError(msg) from error


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    with path.open("rb"):  # an OSError that names the file
        pass
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, TypeError) as error:
        msg = f"{path}: expected a whole safetensors file, got: {error}"
        raise ValueError(msg) from error
    if _KEY not in metadata:
        msg = f"{path}: expected a model saved by gru_rs, got a safetensors file without its metadata"
        raise ValueError(msg)
    try:
        header = json.loads(metadata[_KEY])
        version = header["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        msg = f"{path}: expected metadata of gru_rs as JSON, got: {error}"
        raise ValueError(msg) from error
    if version != FORMAT_VERSION:
        msg = (
            f"{path}: expected format version {FORMAT_VERSION}, got {version!r};"
            " a newer gru_rs may be needed (pip install --upgrade gru-rs)"
        )
        raise ValueError(msg)
    return tensors, header


def _restore(
    tensors: dict[str, Any], header: dict[str, Any], functions: dict[str, Callable[..., Any]]
) -> Any:
    if header["estimator"] not in _KINDS:
        msg = f"estimator: expected one of {sorted(_KINDS)}, got {header['estimator']!r}"
        raise ValueError(msg)
    saved = header["parameters"]
    missing = {name for name, value in saved.items() if isinstance(value, dict) and "function" in value}
    if missing != set(functions):
        other = min(missing ^ set(functions))
        of = f"the function {saved[other]['function']}" if other in missing else "none, as it was no function"
        msg = f"{other}: expected {of}, got {functions.get(other)!r}"
        raise ValueError(msg)
    parameters = {name: _from_json(value) for name, value in saved.items() if name not in functions}
    estimator = _KINDS[header["estimator"]](**parameters, **functions)
    estimator._check()
    options = header["model"]
    # Before anything is allocated: the sizes are those of the weights that the file really has.
    if options["num_layers"] > len(tensors):
        most, layers = len(tensors), options["num_layers"]
        msg = f"num_layers: expected no more than the file's {most} tensors, got {layers}"
        raise ValueError(msg)
    names = estimator._network._names_of(options)
    kept = from_tensors(names, tensors, as_float_dtype(options["dtype"]))
    report = header.get("quantization")
    model = estimator._network._from_tensors(options, kept)
    if (model.quantization is None) != (report is None):
        msg = f"weights: expected {'float' if report is None else 'quantized'} ones, got {model.weight_dtype}"
        raise ValueError(msg)
    model._core.set_rng_state(header["generators"]["model"])
    learnt = {name: _from_json(value) for name, value in header["learnt"].items()}
    estimator._resume(learnt, model, header["generators"]["shuffling"])
    if report is not None and model.quantization is not None:
        found = {name: report[name] for name in ("max_difference", "mean_difference", "mean_output")}
        differences: Any = {name: None if value is None else float(value) for name, value in found.items()}
        estimator.quantization_ = replace(model.quantization, **differences)
    return estimator


def _parameter(name: str, value: Any) -> Any:
    """A constructor's argument; functions are left to `load`'s caller."""
    if name == "callbacks":
        return _to_json(())
    if name == "dtype":
        return np.dtype(value).name
    if callable(value):
        return {"function": getattr(value, "__qualname__", type(value).__qualname__)}
    try:
        return _to_json(value)
    except TypeError as error:
        msg = f"{name}: expected a value that can be saved, got {value!r} ({type(value).__name__})"
        raise TypeError(msg) from error


def _to_json(value: Any) -> Any:
    """Values of JSON as they are, others as an object with one key that names the type."""
    if value is None or (isinstance(value, (bool, int, float, str)) and type(value).__module__ == "builtins"):
        return value
    if isinstance(value, np.generic):
        return _to_json(value.item())
    if isinstance(value, np.ndarray):
        return {"array": _to_json(value.tolist()), "dtype": value.dtype.str}
    if isinstance(value, list):
        return {"list": [_to_json(item) for item in value]}
    if isinstance(value, tuple):
        return {"tuple": [_to_json(item) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_to_json(key), _to_json(item)] for key, item in value.items()]}
    msg = f"expected a number, text, array, list or dict, got {value!r}"
    raise TypeError(msg)


def _from_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if "array" in value:
        dtype = np.dtype(value["dtype"])
        if dtype.kind not in "biufUO":
            msg = f"array: expected numbers, text or objects, got dtype {dtype}"
            raise ValueError(msg)
        return np.array(_from_json(value["array"]), dtype)
    if "list" in value:
        return [_from_json(item) for item in value["list"]]
    if "tuple" in value:
        return tuple(_from_json(item) for item in value["tuple"])
    return {_from_json(key): _from_json(item) for key, item in value["dict"]}

"""Fitted estimators in one safetensors file: the weights under PyTorch's names, and as metadata a JSON text
with the parameters, the vocabulary and what else was learnt. Nothing in a file is executed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .. import _saved

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

C = TypeVar("C", bound=type)

_KINDS: dict[str, Any] = {}
"""The classes whose files are read, by name. They come by themselves: this file is below them."""


def readable(kind: C) -> C:
    """Lets `load` make estimators of a class."""
    _KINDS[kind.__name__] = kind
    return kind


def save(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted estimator; the file is complete or not there."""
    check_is_fitted(estimator, "model_")
    parameters = estimator.get_params(deep=False)
    model = estimator.model_
    _saved.write(
        path,
        model,
        None if model.quantization is None else estimator.quantization_,
        estimator=type(estimator).__name__,
        parameters={name: _parameter(name, value) for name, value in parameters.items()},
        generators={"shuffling": estimator._rng.bit_generator.state},
        learnt={name: _to_json(value) for name, value in estimator._saved().items()},
    )


def load(path: str | os.PathLike[str], **functions: Callable[..., Any]) -> Any:
    """Read an estimator that `save` has written; see `gru_rs.load`."""
    path = Path(path)
    return restored(path, *_saved.read(path), functions)


def restored(
    path: Path, tensors: dict[str, Any], header: dict[str, Any], functions: dict[str, Callable[..., Any]]
) -> Any:
    """The estimator of a file that was read."""
    if "network" in header:
        msg = f"{path}: expected an estimator, such as a SequenceClassifier, got a network: use gru_rs.load"
        raise ValueError(msg)
    try:
        return _restore(tensors, header, functions)
    except _saved.UNUSABLE as error:
        raise _saved.unusable(path, error) from error


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
    model, quantization = _saved.network_of(estimator._network, tensors, header)
    learnt = {name: _from_json(value) for name, value in header["learnt"].items()}
    estimator._resume(learnt, model, header["generators"]["shuffling"])
    if quantization is not None:
        estimator.quantization_ = quantization
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

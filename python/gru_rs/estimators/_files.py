"""Fitted estimators in one safetensors file: the weights under PyTorch's names, and as metadata a JSON text
with the parameters, the vocabulary and what else was learnt. Nothing in a file is executed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .. import _saved
from .._checks import as_flag, as_size
from . import _resume
from ._learnt import Learnt, expect_progress
from ._tokens import is_function

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


def save(estimator: Any, path: str | os.PathLike[str], *, training: bool) -> None:
    """Write a fitted estimator, perhaps with what training goes on from: complete, or not at all."""
    check_is_fitted(estimator, "model_")
    estimator._expect_as_fitted()
    with_training = as_flag("training", training) and estimator.model_.quantization is None
    parameters = {name: _parameter(name, value) for name, value in estimator.get_params(deep=False).items()}
    model, learnt = estimator.model_, {name: _to_json(value) for name, value in estimator._saved().items()}
    # What could not be loaded is not saved: such as parameters that were set behind the back of the network.
    options = model._options | {"dtype": model.dtype.name, "seed": model.seed}
    _expect_together(estimator, {name: _from_json(value) for name, value in learnt.items()}, options)
    header, tensors = _resume.kept(estimator) if with_training else (None, {})
    _saved.write(
        path,
        model,
        None if model.quantization is None else estimator.quantization_,
        tensors,
        **({} if header is None else {"training": header}),
        estimator=type(estimator).__name__,
        parameters=parameters,
        # As it was before the epoch that is not at its end.
        generators={"shuffling": estimator._progress.drawn or estimator._rng.bit_generator.state},
        learnt=learnt,
    )


def load(path: str | os.PathLike[str], max_bytes: int, functions: dict[str, Callable[..., Any]]) -> Any:
    """Read an estimator that `save` has written; see `gru_rs.load`."""
    path = Path(path)
    return restored(path, *_saved.read(path, as_size("max_bytes", max_bytes)), functions)


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
    wanted = ("format_version", "estimator", "parameters", "generators", "learnt", "model")
    _saved.expect_names("metadata", header, wanted, ("quantization", "training"))
    _saved.expect_names("generators", header["generators"], ("model", "shuffling"))
    if header["estimator"] not in _KINDS:
        msg = f"estimator: expected one of {sorted(_KINDS)}, got {header['estimator']!r}"
        raise ValueError(msg)
    kind = _KINDS[header["estimator"]]
    estimator = kind(**_parameters(kind, header["parameters"], functions))
    estimator._check()
    learnt = {name: _from_json(value) for name, value in header["learnt"].items()}
    _expect_together(estimator, learnt, header["model"])
    of_training = {
        name: tensor
        for name, tensor in tensors.items()
        if "training" in header and name.startswith(_saved.TRAINING)
    }
    of_network = {name: tensor for name, tensor in tensors.items() if name not in of_training}
    model, quantization = _saved.network_of(estimator._network, of_network, header)
    estimator._resume(learnt, model, header["generators"]["shuffling"])
    if quantization is not None:
        estimator.quantization_ = quantization
    if "training" in header:
        if quantization is not None:
            msg = "training: expected none of quantized weights, which are not trained, got some"
            raise ValueError(msg)
        _resume.resume(estimator, header["training"], of_training)
    return estimator


def _parameters(kind: Any, saved: dict[str, Any], functions: dict[str, Callable[..., Any]]) -> dict[str, Any]:
    """The constructor's arguments: those that were saved, and the functions that were not."""
    names = set(kind._get_param_names())
    _saved.expect_names("parameters", saved, names - _saved.ADDED_LATER, _saved.ADDED_LATER & names)
    missing = {name for name, value in saved.items() if isinstance(value, dict) and "function" in value}
    if missing != set(functions):
        other = min(missing ^ set(functions))
        of = f"the function {saved[other]['function']}" if other in missing else "none, as it was no function"
        msg = f"{other}: expected {of}, got {functions.get(other)!r}"
        raise ValueError(msg)
    for name, function in functions.items():
        if not is_function(function):
            msg = f"{name}: expected the function {saved[name]['function']}, got {function!r}"
            raise ValueError(msg)
    parameters = {name: _from_json(value) for name, value in saved.items() if name not in functions}
    if parameters.get("callbacks", ()) != ():
        msg = f"callbacks: expected none, as they are not saved, got {parameters['callbacks']!r}"
        raise ValueError(msg)
    check_random_state(parameters.get("random_state"))
    return parameters | functions


def _expect_together(estimator: Any, learnt: dict[str, Any], options: dict[str, Any]) -> None:
    """The parameters, what was learnt, and the network's options belong together."""
    asked = Learnt(learnt)
    wanted = estimator._network_options(*estimator._expect_learnt(asked))
    expect_progress(asked)
    asked.expect_all_asked()
    wanted |= {"dtype": np.dtype(estimator.dtype).name}
    options = _saved.meant(estimator._network, options)
    for name, value in estimator._network._as_options(wanted).items():
        if type(options[name]) is not type(value) or options[name] != value:
            expected = f"a network with {value!r}, as the parameters and what was learnt say"
            msg = f"{name}: expected {expected}, got one with {options[name]!r}"
            raise ValueError(msg)


def _parameter(name: str, value: Any) -> Any:
    """A constructor's argument; functions are left to `load`'s caller."""
    if name == "callbacks":
        return _to_json(())
    if name == "embedding_init":  # the network has what was learnt from them
        return None
    if name == "dtype":
        return np.dtype(value).name
    if is_function(value):
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
        if isinstance(value, list):
            msg = f"metadata: expected lists by the name of their type, got {str(value)[:200]}"
            raise TypeError(msg)
        return value
    kind = next(iter(value), None)
    if set(value) == {"array", "dtype"}:
        return _array(value["array"], value["dtype"])
    items = value[kind] if len(value) == 1 and kind in ("list", "tuple", "dict") else None
    if not isinstance(items, list):
        msg = f"metadata: expected an array, a list, a tuple or a dict, got {str(value)[:200]}"
        raise TypeError(msg)
    if kind == "dict":
        found = {_from_json(key): _from_json(item) for key, item in items}
        if len(found) != len(items):
            msg = f"metadata: expected each key once, got {len(items)} of which {len(found)} differ"
            raise ValueError(msg)
        return found
    parts = [_from_json(item) for item in items]
    return parts if kind == "list" else tuple(parts)


_DTYPE = re.compile(r"[<>|=]?([biufU])(\d{1,9})|\|O")
"""Of arrays of numbers, texts and objects, which are again values of JSON."""

_MOST_TEXT = 2**26
"""Bytes of an array of texts, each of which takes as many as the longest may have."""


def _items(value: Any) -> Any:
    """What an array holds: lists in lists, down to values that are none."""
    if isinstance(value, dict) and isinstance(value.get("list"), list) and len(value) == 1:
        return [_items(item) for item in value["list"]]
    if isinstance(value, (dict, list)):
        msg = f"array: expected lists of numbers or texts, got {str(value)[:200]}"
        raise TypeError(msg)
    return value


def _array(value: Any, word: Any) -> Any:
    """An array that is said again as it was: nothing was rounded, cut or made another."""
    matched = _DTYPE.fullmatch(word) if isinstance(word, str) else None
    if matched is None:
        msg = f"array: expected numbers, text or objects, got dtype {word!r}"
        raise ValueError(msg)
    items = _items(value)
    if not isinstance(items, list):
        msg = f"array: expected a list, got {type(items).__name__}"
        raise TypeError(msg)
    if matched[1] == "U" and 4 * int(matched[2]) * max(len(items), 1) > _MOST_TEXT:
        msg = f"array: expected at most {_MOST_TEXT} bytes of text, got {len(items)} of dtype {word}"
        raise ValueError(msg)
    array = np.array(items, np.dtype(word))
    if array.dtype.str != word or json.dumps(_to_json(array)["array"]) != json.dumps(value):
        msg = f"array: expected values of dtype {word}, got {str(items)[:200]}"
        raise ValueError(msg)
    return array

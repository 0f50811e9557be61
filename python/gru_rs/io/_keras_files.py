"""Where the recurrent layers of Keras models are: in its objects and in its files, of every form they had.

What is found is given as it stands there; what it means as a layer is `_keras`'s to say.
"""

from __future__ import annotations

import io
import json
import re
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .._arrays import Array

RECURRENT = ("GRU", "LSTM", "Bidirectional")


@dataclass(frozen=True)
class Entry:
    """A recurrent layer as it was found; without a config only its weights are known."""

    name: str
    kind: str | None
    config: Mapping[str, Any] | None
    weights: list[Array]
    version: str


def of_object(source: Any, prefix: str) -> Iterator[Entry]:
    """From Keras's own objects."""
    kind = type(source).__name__
    if kind in RECURRENT:
        module = sys.modules[type(source).__module__.partition(".")[0]]
        version = getattr(module, "__version__", "3")
        yield Entry(prefix + source.name, kind, source.get_config(), source.get_weights(), version)
    inner = [source.layer] if kind == "TimeDistributed" else getattr(source, "layers", [])
    for layer in inner if kind not in RECURRENT else []:
        nested = bool(getattr(layer, "layers", None))
        yield from of_object(layer, f"{prefix}{layer.name}/" if nested else prefix)


def of_file(path: Path, config: Mapping[str, Any] | None) -> list[Entry]:
    """From a file; `config` is the model's, for those that hold weights alone."""
    import h5py

    with path.open("rb") as file:
        data = file.read()
    version = "3"
    if path.suffix == ".keras":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                config = json.loads(archive.read("config.json"))
                version = json.loads(archive.read("metadata.json"))["keras_version"]
                data = archive.read("model.weights.h5")
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            msg = f"source: expected a file of keras.Model.save, got {path.name}, which is none: {error}"
            raise ValueError(msg) from error
    try:
        with h5py.File(io.BytesIO(data), "r") as tree:
            if "layer_names" in tree.attrs or "model_weights" in tree:
                return list(_legacy(tree, config))
            return list(_modern(tree, config, version))
    except (OSError, KeyError) as error:  # h5py's, of damaged files
        msg = f"source: expected weights of Keras, got {path.name}, which cannot be read: {error}"
        raise ValueError(msg) from error


def _layers_of(
    config: Mapping[str, Any], path: str = "", name: str = ""
) -> Iterator[tuple[str, str, str, Any]]:
    """(path in a file of weights, name, kind, config) of the recurrent layers in a model's config."""
    layers = config.get("layers", ())
    used: dict[str, int] = {}
    for layer in layers:
        kind, inner = layer["class_name"], layer["config"]
        snake = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)).lower()
        count = used.get(snake, 0)
        used[snake] = count + 1
        here = f"{path}layers/{snake}{f'_{count}' if count else ''}"
        own = name + (layer.get("name") or inner.get("name", ""))
        while kind == "TimeDistributed":
            here, kind, inner = f"{here}/layer", inner["layer"]["class_name"], inner["layer"]["config"]
        if kind in RECURRENT:
            yield here, own, kind, inner
        elif isinstance(inner, Mapping) and "layers" in inner:
            yield from _layers_of(inner, f"{here}/", f"{own}/")


def _arrays(group: Any) -> list[Array]:
    return [np.asarray(group[str(index)]) for index in range(len(group))]


def _modern(tree: Any, config: Mapping[str, Any] | None, version: str) -> Iterator[Entry]:
    """From the weights of Keras 3, whose places follow from the model's config."""
    known = list(_layers_of(config.get("config", {}))) if config is not None else []
    if config is not None and config.get("class_name") in RECURRENT:
        known = [("", config["config"]["name"], config["class_name"], config["config"])]
    for path, name, kind, inner in known:
        group = tree[path] if path else tree
        sides = [group["forward_layer"], group["backward_layer"]] if kind == "Bidirectional" else [group]
        weights = [array for side in sides for array in _arrays(side["cell/vars"])]
        yield Entry(name, kind, inner, weights, version)
    if known:
        return
    for name, group in _groups(tree):  # weights alone, or a model whose class is the user's
        both = "forward_layer" in group
        sides = [group["forward_layer"], group["backward_layer"]] if both else [group]
        weights = [array for side in sides for array in _arrays(side["cell/vars"])]
        yield Entry(name, "Bidirectional" if both else None, None, weights, version)


def _groups(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The groups of recurrent layers in weights of Keras 3, by the names they have, or else their places."""
    for key in group:
        inner = group[key]
        if not hasattr(inner, "keys"):
            continue
        own = _text(inner["vars"].attrs.get("name", key)) if "vars" in inner else key
        name = prefix if key == "layers" else f"{prefix}/{own}".lstrip("/")
        if "cell" in inner or "forward_layer" in inner:
            yield name, inner
        elif key != "vars":
            yield from _groups(inner, name)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _legacy(tree: Any, config: Mapping[str, Any] | None) -> Iterator[Entry]:
    """From a file of Keras 2, or of Keras 3 in its manner."""
    version = _text(tree.attrs.get("keras_version", "2"))
    if config is None and "model_config" in tree.attrs:
        config = json.loads(_text(tree.attrs["model_config"]))
    groups = tree.get("model_weights", tree)
    version = _text(groups.attrs.get("keras_version", version))
    names = [_text(name) for name in groups.attrs["layer_names"]]
    if config is None:
        for name in names:
            arrays = [_text(own) for own in groups[name].attrs["weight_names"]]
            if any("recurrent_kernel" in own for own in arrays):
                kind = "Bidirectional" if any("/backward_" in own for own in arrays) else None
                yield Entry(name, kind, None, [np.asarray(groups[name][own]) for own in arrays], version)
        return
    inner = config["config"]
    layers = {"layers": inner} if isinstance(inner, list) else inner  # a Sequential of Keras 2.0
    for _, name, kind, options in _layers_of(layers):
        top, _, rest = name.partition("/")
        arrays = [_text(own) for own in groups[top].attrs["weight_names"]]
        own = [array for array in arrays if not rest or f"/{rest.rpartition('/')[2]}/" in f"/{array}"]
        yield Entry(name, kind, options, [np.asarray(groups[top][array]) for array in own], version)

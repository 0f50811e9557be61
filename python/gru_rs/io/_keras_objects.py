"""Where the recurrent layers are in Keras's own objects: models, and layers that hold others."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

from ._keras_configs import CELLS, FRAMEWORKS, LAYERS, OTHERS, RECURRENT, Entry, Seen

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._arrays import Array

_STACK = "StackedRNNCells"
_TOLD = (*RECURRENT, *OTHERS, *CELLS, _STACK)


def of_object(source: Any) -> Seen:
    """All recurrent layers of a model or a layer, each once, by the names that its files give them."""
    seen, visited = Seen(), set[int]()

    def walk(layer: Any, name: str) -> None:
        if id(layer) in visited:
            return
        visited.add(id(layer))
        kind = type(layer).__name__
        told = [base for base in type(layer).__mro__ if base.__name__ in _TOLD and _is_own(base)]
        if told:
            seen.add(name or layer.name, _of_layer(layer, name or layer.name, told[0]))
        elif kind == "TimeDistributed" and _is_own(type(layer)):
            walk(layer.layer, name or layer.name)
        else:
            inner = _within(layer)
            seen.kinds += [] if inner else [kind]
            for one in inner:
                walk(one, f"{name}/{one.name}".lstrip("/"))

    walk(source, "")
    return seen


def _is_own(kind: type) -> bool:
    return kind.__module__.partition(".")[0] in FRAMEWORKS


def _within(layer: Any) -> list[Any]:
    """The layers that a layer keeps."""
    if hasattr(layer, "_flatten_layers"):
        return list(layer._flatten_layers(include_self=False, recursive=False))
    return list(getattr(layer, "layers", []))


def _of_layer(layer: Any, name: str, told: type) -> Callable[[], Entry] | str:
    kind = told.__name__
    if told is not type(layer):
        return f"expected Keras's own {kind}, got {type(layer).__name__}, whose call may be another"
    if kind in OTHERS:
        return f"expected a GRU or an LSTM, got {kind}"
    if kind not in RECURRENT:
        return f"expected a layer around its cell, got a {kind} alone"
    return partial(_entry, layer, name)


def _entry(layer: Any, name: str) -> Entry:
    module = sys.modules[type(layer).__module__.partition(".")[0]]
    kind = type(layer).__name__
    sides = [layer.forward_layer, layer.backward_layer] if kind == "Bidirectional" else [layer]
    weights = [_cells(side, name) for side in sides]
    return Entry(name, kind, layer.get_config(), weights, str(getattr(module, "__version__", "3")))


def _cells(side: Any, name: str) -> list[list[Array]]:
    """The weights of each cell of a layer."""
    kind = type(side).__name__
    if not _is_own(type(side)) or kind not in (*LAYERS, "RNN"):
        msg = f"{name}: expected Bidirectional of a GRU or an LSTM, got one of {kind}"
        raise ValueError(msg)
    if kind.startswith("CuDNN"):
        return [side.get_weights()]
    stack = type(side.cell).__name__ == _STACK and _is_own(type(side.cell))
    cells = list(side.cell.cells) if stack else [side.cell]
    for cell in cells:
        if type(cell).__name__ not in CELLS or not _is_own(type(cell)):
            msg = f"{name}: expected an RNN of GRUCell or LSTMCell, got {type(cell).__name__}"
            raise ValueError(msg)
        for role in ("activation", "recurrent_activation"):
            function = getattr(cell, role)
            where = getattr(function, "__module__", None) or type(function).__module__
            if where.partition(".")[0] not in FRAMEWORKS:
                told = getattr(function, "__name__", type(function).__name__)
                msg = f"{name}: expected {role} to be a function of Keras, got {told} of {where}"
                raise ValueError(msg)
    return [cell.get_weights() for cell in cells]

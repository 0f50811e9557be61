"""What the config of a Keras model says of its layers, of every form that configs had.

It must not know files or Keras's objects; where layers' weights are is for those to say who do.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from ._found import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._arrays import Array

DEEPEST = 64
"""Models within models."""
LONGEST = 16 * 2**20
"""Characters of a config: in memory it becomes many times as large."""

CELLS = {"GRUCell": "gru", "LSTMCell": "lstm"}
LAYERS = {"GRU": "gru", "LSTM": "lstm", "CuDNNGRU": "gru", "CuDNNLSTM": "lstm"}
RECURRENT = (*LAYERS, "RNN", "Bidirectional")
OTHERS = ("SimpleRNN", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "ConvRNN2D")
"""Recurrent layers of Keras that are no GRU and no LSTM."""
MODELS = ("Sequential", "Functional", "Model")
FRAMEWORKS = ("keras", "tf_keras", "tensorflow")


@dataclass(frozen=True)
class Entry:
    """A recurrent layer as it was found: with one or two directions.

    Attributes
    ----------
    name : str
        The layer's, those of what it is in before it.
    kind : str or None
        The class; None where only weights are known.
    config : mapping or None
        The layer's own.
    sides : list of list of list of ndarray
        The weights of each cell of each direction.
    version : str
        Keras's.
    """

    name: str
    kind: str | None
    config: Mapping[str, Any] | None
    sides: list[list[list[Array]]]
    version: str


Places: TypeAlias = dict[str, Callable[[], Entry]]


@dataclass
class Seen:
    """What a walk has come by."""

    places: Places = field(default_factory=dict)
    kinds: list[str] = field(default_factory=list)

    def add(self, name: str, found: Callable[[], Entry] | str) -> None:
        """Under its name, or if that is taken under one with a number, as Keras counts; a text refuses."""
        own, count = name, 0
        while own in self.places:
            count += 1
            own = f"{name}_{count}"
        self.places[own] = refusal(f"{own}: {found}") if isinstance(found, str) else found

    def nothing(self) -> str:
        """The message where there is no recurrent layer."""
        kinds = list(dict.fromkeys(self.kinds))
        shown = ", ".join(kinds[:20]) + (f" and {len(kinds) - 20} more kinds" if len(kinds) > 20 else "")
        return f"source: expected a model with a GRU or an LSTM, got one of {shown or 'no layers'}"


@dataclass
class Told:
    """What is known of a file beside its weights.

    Attributes
    ----------
    config : any
        The model's, if there is one.
    given : dict of str to mapping
        Of some layers, by their names, as the caller gave them; what is used is taken out.
    version : str
        Keras's.
    """

    config: Any
    given: dict[str, Any]
    version: str

    def __post_init__(self) -> None:
        self.is_nothing = self.config is None and not self.given


Reader: TypeAlias = Callable[[str | None, Mapping[str, Any] | None], Entry]
"""Of a class and a config, or of neither."""


def add_unclaimed(
    seen: Seen, told: Told, name: str, read: Reader, *, both: bool, around: str = "", known: Any = None
) -> None:
    """Add weights that no model's config accounts for: as another config says, or as they are by default."""
    known = told.given.pop(name, known)
    if known is not None:
        kind, config = taken(known, "class_name", str, name), taken(known, "config", Mapping, name)
        if is_own(known, RECURRENT):
            seen.add(name, partial(read, kind, config))
        else:
            seen.add(name, f"expected a config of {', '.join(RECURRENT)}, got one of {kind}")
    elif told.is_nothing:
        seen.add(name, partial(_by_default, name, read, "Bidirectional" if both else None))
    else:
        told_how = "config={name: keras.saving.serialize_keras_object(layer)} or the model itself"
        seen.add(name, f"expected its config in the file, got weights alone{around}: give {told_how}")


def _by_default(name: str, read: Reader, kind: str | None) -> Entry:
    warnings.warn(
        f"{name}: no config tells its options: taken to be Keras's defaults; give config=model.to_json()",
        stacklevel=6,  # whoever called from_keras
    )
    return read(kind, None)


# Configs ----------------------------------------------------------------------------------------------------


def of_json(text: str | bytes, what: str) -> Any:
    """The value of a text in JSON."""
    if len(text) > LONGEST:
        msg = f"{what}: expected at most {LONGEST} characters of JSON, got {len(text)}"
        raise ValueError(msg)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"{what}: expected JSON, got what is none: {error}"
        raise ValueError(msg) from error


def taken(config: Any, key: str, kind: type, where: str) -> Any:
    """A value of a config that has to be there and of that type."""
    value = config.get(key) if isinstance(config, Mapping) else None
    if not isinstance(value, kind):
        what = "a text" if kind is str else "a list" if kind is list else "an object"
        msg = f"{where}: expected {key} to be {what}, got {type(value).__name__}"
        raise ValueError(msg)
    return value


def version_told(model: Any) -> str | None:
    """The version of Keras whose words a model's config has, if it says so."""
    if not isinstance(model, Mapping):
        return None
    if "keras_version" in model:
        return str(taken(model, "keras_version", str, "config"))
    return "3" if "module" in model else None  # which Keras 3 writes and no version


def is_own(node: Mapping[str, Any], names: tuple[str, ...] | Mapping[str, Any]) -> bool:
    """Whether what a config describes is of one of Keras's own classes, not a user's of such a name."""
    module, registered = node.get("module"), node.get("registered_name")
    root = module.partition(".")[0] if isinstance(module, str) else "keras"
    known = root in FRAMEWORKS and (registered is None or registered == node.get("class_name"))
    return known and node.get("class_name") in names


def cells_of(name: str, kind: str | None, config: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """Word and config of each cell of a layer in one direction; those of an RNN have their own."""
    if config is None or kind is None:
        return [("", None)]
    if kind != "RNN":
        return [(LAYERS[kind], config)]
    cell = taken(config, "cell", Mapping, name)
    inner = [cell]
    if is_own(cell, ("StackedRNNCells",)):
        inner = taken(taken(cell, "config", Mapping, name), "cells", list, name)
    elif isinstance(config.get("cell"), list):
        inner = config["cell"]
    for one in inner:
        if not isinstance(one, Mapping) or not is_own(one, CELLS):
            got = one.get("registered_name") or one.get("class_name") if isinstance(one, Mapping) else one
            msg = f"{name}: expected an RNN of GRUCell or LSTMCell, got {got}"
            raise ValueError(msg)
    return [(CELLS[one["class_name"]], taken(one, "config", Mapping, name)) for one in inner]


def sides_of(name: str, kind: str | None, config: Mapping[str, Any] | None) -> list[tuple[str | None, Any]]:
    """Class and config of each direction."""
    if kind != "Bidirectional":
        return [(kind, config)]
    if config is None:
        return [(None, None)] * 2
    forward = taken(config, "layer", Mapping, name)
    backward = config.get("backward_layer")
    sides = [forward, forward if backward is None else taken(config, "backward_layer", Mapping, name)]
    for side in sides:
        if not is_own(side, (*LAYERS, "RNN")):
            got = side.get("registered_name") or side.get("class_name")
            msg = f"{name}: expected Bidirectional of a GRU or an LSTM, got one of {got}"
            raise ValueError(msg)
    return [(side["class_name"], taken(side, "config", Mapping, name)) for side in sides]


@dataclass(frozen=True)
class Node:
    """A layer in a model's config.

    Attributes
    ----------
    path : str
        Of its weights in a file of Keras 3.
    names : tuple of str
        Its own, after those of the models that it is in.
    kind : str
        Its class, or that of the layer in a TimeDistributed.
    config : mapping
        Its own.
    is_known : bool
        Whether that class is Keras's.
    """

    path: str
    names: tuple[str, ...]
    kind: str
    config: Mapping[str, Any]
    is_known: bool

    @property
    def name(self) -> str:
        return "/".join(self.names)


def nodes_of(model: Any) -> list[Node]:
    """Every layer of a model's config, those of models within included, or the one layer that it is of."""
    inner = model.get("config") if isinstance(model, Mapping) else None
    inner = {"layers": inner} if isinstance(inner, list) else inner  # a Sequential of Keras 2.0
    if not isinstance(inner, Mapping):
        msg = f"config: expected that of a model, got {type(model).__name__} without one"
        raise ValueError(msg)
    if "layers" in inner:
        return list(_nodes(inner["layers"], "", ()))
    (node,) = _nodes([model], "", ())
    return [replace(node, path="/".join(node.path.split("/")[2:]))]


def _nodes(layers: Any, path: str, names: tuple[str, ...]) -> Iterator[Node]:
    where = "/".join(names) or "config"
    if not isinstance(layers, list) or len(names) > DEEPEST:
        msg = f"{where}: expected layers in a list, at most {DEEPEST} models deep"
        raise ValueError(msg)
    used: dict[str, int] = {}
    for layer in layers:
        kind, inner = _class_of(layer, where), layer.get("config")
        snake = _snake(kind)
        count = used[snake] = used.get(snake, -1) + 1
        here = f"{path}layers/{snake}{f'_{count}' if count else ''}"
        own = layer.get("name") or (inner.get("name") if isinstance(inner, Mapping) else None)
        full = (*names, own if isinstance(own, str) else kind)
        for _ in range(DEEPEST):
            if not is_own(layer, ("TimeDistributed",)):
                break
            layer, here = taken(inner, "layer", Mapping, where), f"{here}/layer"
            kind, inner = _class_of(layer, where), layer.get("config")
        inner = {"layers": inner} if isinstance(inner, list) else inner
        inner = inner if isinstance(inner, Mapping) else {}
        yield Node(here, full, kind, inner, is_own(layer, (kind,)))
        if "layers" in inner and is_own(layer, MODELS):
            yield from _nodes(inner["layers"], f"{here}/", full)


def _class_of(layer: Any, where: str) -> str:
    """Without the package that a user's class was registered in."""
    return str(taken(layer, "class_name", str, where)).rpartition(">")[2]


def _snake(kind: str) -> str:
    """A class's name as the names of groups in files have it."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", kind))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()

"""Where the recurrent layers of Keras models are in its files, of every form they had.

What is found is given as it stands there; what it means as a layer is `_keras_layers`'s to say, and what a
file of HDF5 may be `_hdf5`'s. Layers are found twice: by the model's config, and by weights that no config
accounts for, as those within layers of the user's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from ._keras_configs import (
    OTHERS,
    RECURRENT,
    Entry,
    Node,
    Seen,
    Told,
    add_unclaimed,
    nodes_of,
    of_json,
    taken,
    version_told,
)
from ._keras_legacy import legacy
from ._source import read_zip, source_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from .._arrays import Array
    from ._hdf5 import Folder

_MEMBERS = ("config.json", "metadata.json", "model.weights.h5")


@contextmanager
def of_file(path: str | os.PathLike[str], config: Any, max_bytes: int) -> Iterator[Seen]:
    """From a file, for as long as it is open; `config` is the model's, or some layers' by their names."""
    from ._hdf5 import opened

    given: dict[str, Any] = {}
    if config is not None and "layers" in config:
        config = {"class_name": "Model", "config": config}
    elif config is not None and not ("class_name" in config and "config" in config):
        given, config = dict(config), None
    source = source_of(path, ("keras", "hdf5"), max_bytes)
    version = version_told(config) or "3"
    if source.kind == "keras":
        if config is not None:
            msg = f"config: expected None, or layers by their names, for {source.name}, which has its own"
            raise ValueError(msg)
        members = read_zip(source, _MEMBERS)
        config = of_json(members["config.json"], f"{source.name}!config.json")
        metadata = of_json(members.get("metadata.json", b"{}"), f"{source.name}!metadata.json")
        if not isinstance(metadata, Mapping) or "keras_version" in metadata:
            version = taken(metadata, "keras_version", str, source.name)
        data = members["model.weights.h5"]
    else:
        data = source.read()
    seen, told = Seen(), Told(config, given, version)
    with opened(data, source.name, source.max_bytes) as tree:
        if tree.texts("layer_names") is not None or tree.folder("model_weights") is not None:
            legacy(tree, told, seen)
        else:
            modern(tree, told, seen)
        if given:
            msg = f"config: expected names of layers without a config, got {', '.join(map(repr, given))}"
            raise ValueError(msg)
        yield seen


def modern(tree: Folder, told: Told, seen: Seen) -> None:
    """From the weights of Keras 3, whose places follow from the model's config."""
    nodes = [] if told.config is None else nodes_of(told.config)
    seen.kinds += [node.kind for node in nodes]
    claimed: dict[str, Node] = {}
    for node in nodes:
        if not node.is_known or node.kind not in (*RECURRENT, *OTHERS):
            continue
        folder = tree.folder(node.path)
        if folder is None and any(one.config == node.config for one in claimed.values()):
            continue  # of a layer that is there twice the weights are where it was first
        claimed[node.path] = node
        if node.kind in OTHERS:
            seen.add(node.name, f"expected a GRU or an LSTM, got {node.kind}")
        elif folder is None:
            seen.add(node.name, "expected its weights in the file, got none")
        else:
            seen.add(node.name, partial(_entry, folder, node.name, told.version, node.kind, node.config))
    others = {node.path: node for node in nodes if node.path not in claimed}
    for path, folder in _unclaimed(tree, claimed):
        _add_unclaimed(tree, path, folder, others, told, seen)


def _add_unclaimed(
    tree: Folder, path: str, folder: Folder, others: Mapping[str, Node], told: Told, seen: Seen
) -> None:
    """Weights that no config accounts for: of a class of the user's own, or without any config."""
    above = max((own for own in others if f"{path}/".startswith(f"{own}/")), key=len, default=None)
    node = None if above is None else others[above]
    name = _name(tree, path, above or "", "" if node is None else node.name)
    both = folder.folder("forward_layer") is not None
    if folder.folder("cell") is None and not both:
        seen.add(name, "expected a layer around its cell, got what looks like a cell's weights alone")
        return
    known = None if node is None else _inner(node.config, path[len(above or "") :].lstrip("/"), name)
    around = "" if node is None else f", within {node.kind}"
    read = partial(_entry, folder, name, told.version)
    add_unclaimed(seen, told, name, read, both=both, around=around, known=known)


def _entry(
    folder: Folder, name: str, version: str, kind: str | None, config: Mapping[str, Any] | None
) -> Entry:
    sides = [folder]
    if kind == "Bidirectional":
        sides = [_within(folder, "forward_layer"), _within(folder, "backward_layer")]
    return Entry(name, kind, config, [_cells(side, name) for side in sides], version)


def _within(folder: Folder, name: str) -> Folder:
    found = folder.folder(name)
    if found is None:
        msg = f"{folder.place}: expected {name} in it, got {', '.join(folder.names()[:20])}"
        raise ValueError(msg)
    return found


def _cells(folder: Folder, name: str) -> list[list[Array]]:
    """The weights of each cell of a layer, in their order."""
    cell = _within(folder, "cell") if folder.folder("cell") is not None else folder
    stack = cell.folder("cells")
    cells = [cell]
    if stack is not None:
        kinds = {re.sub(r"_\d+$", "", key) for key in stack.names()}
        if len(kinds) != 1:
            msg = f"{name}: expected cells of one kind, got {', '.join(sorted(kinds))}"
            raise ValueError(msg)
        numbered = sorted(
            (int(key.rpartition("_")[2]) if key not in kinds else 0, key) for key in stack.names()
        )
        cells = [_within(stack, key) for _, key in numbered]
    return [_arrays(_within(one, "vars")) for one in cells]


def _arrays(folder: Folder) -> list[Array]:
    names = folder.names()
    if sorted(names) != sorted(map(str, range(len(names)))) or len(names) > 3:
        msg = f"{folder.place}: expected weights by the names 0, 1, 2, got {', '.join(names[:20])}"
        raise ValueError(msg)
    return [folder.array(str(index)) for index in range(len(names))]


def _unclaimed(tree: Folder, claimed: Mapping[str, Node]) -> list[tuple[str, Folder]]:
    """Groups of layers with a cell, and of cells without a layer, that no config accounts for."""
    found, left, visited = [], [("", tree)], set[int]()
    while left:
        path, folder = left.pop()
        if path in claimed or folder.address() in visited:
            continue
        visited.add(folder.address())
        names = folder.names()
        if (
            folder.folder("cell") is not None
            or folder.folder("forward_layer") is not None
            or _is_cell(folder)
        ):
            found.append((path, folder))
            continue
        inner = [(f"{path}/{key}".lstrip("/"), folder.folder(key)) for key in names if key != "vars"]
        left += [(own, one) for own, one in reversed(inner) if one is not None]
    return found


def _is_cell(folder: Folder) -> bool:
    """Whether weights have the shapes of a GRU's or an LSTM's cell."""
    shapes = [folder.shape(f"vars/{index}") for index in range(4)]
    kernel, recurrent, bias, more = shapes
    if kernel is None or recurrent is None or more is not None or len(kernel) != 2 or len(recurrent) != 2:
        return False
    units, columns = recurrent
    gates = columns in (3 * units, 4 * units) and kernel[1] == columns and units > 0
    return gates and bias in (None, (columns,), (2, columns))


def _name(tree: Folder, path: str, above: str, begin: str) -> str:
    """The name of a layer at a path: those of the layers on the way, as far as the file has them."""
    parts, name = path.split("/"), begin
    for k in range(above.count("/") + 1 if above else 0, len(parts)):
        vars_ = tree.folder("/".join([*parts[: k + 1], "vars"]))
        if vars_ is not None:
            name = f"{name}/{vars_.text('name') or parts[k]}".lstrip("/")
    return name or parts[-1]


def _inner(config: Mapping[str, Any], key: str, name: str) -> Any:
    """The config of a layer within one of the user's own, if that one's has it under the attribute's name
    and with the layer's.
    """
    value = config.get(key)
    inner = value.get("config") if isinstance(value, Mapping) else None
    is_it = isinstance(inner, Mapping) and inner.get("name") == name.rpartition("/")[2]
    return value if is_it else None

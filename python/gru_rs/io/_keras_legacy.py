"""Recurrent layers in the `.h5` files of Keras 1 and 2, and of Keras 3 in their manner.

A file has a group for each layer of the model itself, which lists its weights by their names; those of a
model within are told apart by names. What is found is given as it stands there, but for two layouts of their
own: Keras 1 has an array for each gate, and CuDNN's layers have them as that library does.
"""

from __future__ import annotations

import re
from collections import defaultdict
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ._keras_configs import (
    LAYERS,
    OTHERS,
    RECURRENT,
    Entry,
    Seen,
    Told,
    add_unclaimed,
    cells_of,
    nodes_of,
    of_json,
    sides_of,
    version_told,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._arrays import Array
    from ._hdf5 import Folder

_NO_WEIGHTS = ("rnn_state", "seed_generator_state", "states")
"""What files keep of a layer beside its weights."""


def legacy(tree: Folder, told: Told, seen: Seen) -> None:
    """All recurrent layers of a file."""
    text = tree.text("model_config")
    groups = tree.folder("model_weights") or tree
    version = groups.text("keras_version") or tree.text("keras_version") or "1"
    version = version_told(told.config) or version
    if told.config is None and text is not None:
        told = Told(of_json(text, f"{tree.place}: model_config"), told.given, version)
    names = groups.texts("layer_names") or []
    stored = {top: _weight_names(groups, top) for top in names}
    nodes = [] if told.config is None else nodes_of(told.config)
    seen.kinds += [node.kind for node in nodes] or names
    recurrent = [node for node in nodes if node.is_known and node.kind in (*RECURRENT, *OTHERS)]
    inner: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for node in recurrent:
        inner[node.names[0]].append(node.names)
    shares = {top: _shares(stored.get(top, []), paths) for top, paths in inner.items()}
    claimed: set[tuple[str, str]] = set()
    for node in recurrent:
        top = node.names[0]
        own = stored.get(top, []) if len(node.names) == 1 else shares[top][node.names]
        claimed.update((top, one) for one in own)
        if node.kind in OTHERS:
            seen.add(node.name, f"expected a GRU or an LSTM, got {node.kind}")
        elif not own:
            seen.add(node.name, "expected its weights in the file, got none")
        else:
            seen.add(node.name, partial(_entry, groups, top, own, node.name, version, node.kind, node.config))
    for top, all_names in stored.items():
        for owner, own in _owners([one for one in all_names if (top, one) not in claimed]).items():
            last = owner.rpartition("/")[2]
            name = top if last in ("", top) else f"{top}/{last}"
            read = partial(_entry, groups, top, own, name, version)
            add_unclaimed(seen, told, name, read, both=_halves(own) is not None)


def _weight_names(groups: Folder, top: str) -> list[str]:
    folder = groups.folder(top)
    names = [] if folder is None else folder.texts("weight_names") or []
    return [one for one in names if not re.sub(r":\d+$", "", one).endswith(_NO_WEIGHTS)]


def _shares(names: list[str], paths: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], list[str]]:
    """The weights of each of some layers within another: as it is called, or as TensorFlow counted that name.

    How much of a layer's path the names of its weights have is the file's to choose: each weight is of the
    layer of whose path it has the longest end.
    """
    ends = {path[k:] for path in paths for k in range(len(path))}
    found: dict[tuple[bool, tuple[str, ...]], list[str]] = defaultdict(list)
    for one in names:
        parts = one.split("/")[:-1]
        exact = _longest(parts, ends)
        end = exact or _longest([re.sub(r"_\d+$", "", part) for part in parts], ends)
        found[not exact, end].append(one)
    return {
        path: next(
            (
                found[key]
                for key in product((False, True), (path[k:] for k in range(len(path))))
                if key in found
            ),
            [],
        )
        for path in paths
    }


def _longest(parts: list[str], ends: set[tuple[str, ...]]) -> tuple[str, ...]:
    """The longest of these ends of paths in a path, of several the first: what is behind is within it."""
    best: tuple[str, ...] = ()
    for last in range(len(parts)):
        end: tuple[str, ...] = ()
        while len(end) <= last and (longer := (parts[last - len(end)], *end)) in ends:
            end = longer
        best = max(best, end, key=len)
    return best


def _owners(names: list[str]) -> dict[str, list[str]]:
    """Recurrent weights by the path of the layer that they are of."""
    cell = re.compile(r"(gru|lstm)_cell(_\d+)?")
    paths = {}
    for one in names:
        parts = one.split("/")[:-1]
        while parts and cell.fullmatch(parts[-1]):
            parts.pop()
        paths[one] = "/".join(parts)
    around: dict[str, set[str]] = defaultdict(set)
    for path in paths.values():
        above, _, last = path.rpartition("/")
        around[above].add(last.partition("_")[0])
    owners: dict[str, list[str]] = {}
    for one, path in paths.items():
        above, _, last = path.rpartition("/")
        is_side = last.startswith(("forward_", "backward_")) and {"forward", "backward"} <= around[above]
        owners.setdefault(above if is_side else path, []).append(one)
    return {path: own for path, own in owners.items() if any("recurrent_kernel" in one for one in own)}


def _halves(names: list[str]) -> list[list[str]] | None:
    """The weights of each direction, by the names that Bidirectional gave its layers; None without such.

    What is around them may begin with one of these words, and cells within with any: so it is the first part
    of the names that has both.
    """
    for parts in zip(*(one.split("/")[:-1] for one in names), strict=False):
        words = [part.partition("_")[0] for part in parts]
        if set(words) == {"forward", "backward"}:
            sides = ("forward", "backward")
            return [[one for one, word in zip(names, words, strict=True) if word == side] for side in sides]
    return None


def _entry(
    groups: Folder,
    top: str,
    names: list[str],
    name: str,
    version: str,
    kind: str | None,
    config: Mapping[str, Any] | None,
) -> Entry:
    sides = sides_of(name, kind, config)
    halves = [names]
    if len(sides) == 2:
        half = len(names) // 2
        halves = _halves(names) or [names[:half], names[half:]]
    weights = []
    for (own, inner), half_names in zip(sides, halves, strict=True):
        cells = cells_of(name, own, inner)
        chosen = [half_names]
        if len(cells) > 1:
            paths = [(str(cell.get("name")),) for _, cell in cells]
            shares = _shares(half_names, paths)
            chosen = [shares[path] for path in paths]
            if sorted(one for part in chosen for one in part) != sorted(half_names):
                msg = f"{name}: expected weights named by their cells, got {', '.join(half_names[:20])}"
                raise ValueError(msg)
        side = []
        for part in chosen:
            arrays = [groups.array(f"{top}/{one}") for one in part]
            side.append(_plain(own, arrays))
        weights.append(side)
    return Entry(name, kind, config, weights, version)


def _plain(kind: str | None, arrays: list[Array]) -> list[Array]:
    """Kernel, recurrent kernel and bias, whatever the layout."""
    cell = LAYERS.get(kind or "")
    if cell is not None and len(arrays) == {"gru": 9, "lstm": 12}[cell]:  # Keras 1: a LSTM's are i, c, f, o
        gates = [0, 1, 2] if cell == "gru" else [0, 2, 1, 3]
        return [np.concatenate([arrays[3 * gate + k] for gate in gates], axis=-1) for k in range(3)]
    if len(arrays) != 3 or any(array.ndim != 2 for array in arrays[:2]) or arrays[2].ndim != 1:
        return arrays
    kernel, recurrent, bias = arrays
    (inputs, columns), units = kernel.shape, recurrent.shape[0]
    if not units or recurrent.shape != (units, columns) or columns % units or bias.shape != (2 * columns,):
        return arrays
    # CuDNN's: each gate's matrices stand as (H, I) and (H, H) in their bytes, and it has two biases.
    kernels = [block.reshape(units, inputs).T for block in np.split(kernel, columns // units, axis=1)]
    recurrents = [block.T for block in np.split(recurrent, columns // units, axis=1)]
    both = bias.reshape(2, columns)
    summed = both if columns == 3 * units else both.sum(axis=0)
    return [np.concatenate(kernels, axis=1), np.concatenate(recurrents, axis=1), summed]

"""Keras's layers beside ours: each rebuilt alone in the Keras that is installed, from its config and weights.

A file's model is never made: it may be of a Keras of long ago, or of classes that are not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gru_rs.io._keras import entries_of
from gru_rs.io._keras_configs import cells_of, sides_of
from gru_rs.io._keras_layers import MANNERS, version_of

from ._engines import engine, inputs_of, largest, leaves

if TYPE_CHECKING:
    from pathlib import Path

    from gru_rs.io._keras_configs import Entry

_OLD = {"inner_activation": "recurrent_activation", "output_dim": "units"}
_CELL = ("units", "activation", "recurrent_activation", "use_bias", "reset_after")


def beside_keras(path: Path, found: Mapping[str, Any]) -> dict[str, float]:
    """The largest difference of each layer's outputs, with and without a mask, from its own framework's."""
    keras = engine("keras", "--check")
    if not keras.__version__.startswith("3."):
        msg = f"--check needs Keras 3, got {keras.__version__}"
        raise ImportError(msg)
    entries, differences = entries_of(path, found), {}
    for name, one in found.items():
        x = inputs_of(one.layer)
        theirs = rebuilt(entries[name], one.layer.dtype.name, x.shape)
        marks = np.random.default_rng(1).random(x.shape[:2]) < 0.7
        distances = []
        for mask in (None, marks):
            outputs = [keras.ops.convert_to_numpy(y) for y in leaves(theirs(x, mask=mask))]
            distances.append(largest(one.whole(x, mask=mask), outputs))
        one.whole.reset_state()
        differences[name] = max(distances)
    return differences


def rebuilt(entry: Entry, dtype: str, shape: tuple[int, ...]) -> Any:
    """The layer as Keras makes it, with the weights that were found."""
    import keras

    made = []
    sides = sides_of(entry.name, entry.kind, entry.config)
    for (kind, config), weights in zip(sides, entry.sides, strict=True):
        cells = [
            _cell(entry, kind, word, inner or {}, arrays, dtype)
            for (word, inner), arrays in zip(cells_of(entry.name, kind, config), weights, strict=True)
        ]
        options = {key: config[key] for key in MANNERS if config is not None and key in config}
        cell = cells[0] if len(cells) == 1 else cells
        made.append(keras.layers.RNN(cell, dtype=dtype, **options))
    layer = made[0]
    if len(made) == 2:
        made[1].go_backwards = True
        merge = "concat" if entry.config is None else entry.config.get("merge_mode", "concat")
        with keras.saving.custom_object_scope({_hard_sigmoid_of_keras_2.__name__: _hard_sigmoid_of_keras_2}):
            layer = keras.layers.Bidirectional(
                made[0], merge_mode=merge, backward_layer=made[1], dtype=dtype
            )  # a copy of the first is made
    layer.build(shape)
    layer.set_weights([array.astype(dtype) for side in entry.sides for cell in side for array in cell])
    return layer


def _cell(
    entry: Entry, kind: str | None, word: str, config: Mapping[str, Any], weights: list[Any], dtype: str
) -> Any:
    """One cell, of its config's own words; what Keras took for granted then is said."""
    import keras

    given = {_OLD.get(key, key): value for key, value in config.items()}
    options = {key: given[key] for key in _CELL if key in given}
    units, columns = weights[1].shape
    options.setdefault("units", units)
    options.setdefault("use_bias", len(weights) == 3)
    is_gru = word == "gru" or (not word and columns == 3 * units)
    if is_gru and len(weights) == 3:
        options["reset_after"] = weights[2].ndim == 2
    elif is_gru:
        options.setdefault("reset_after", version_of(entry) >= (3,))
    for key in ("activation", "recurrent_activation"):
        if options.get(key) == "hard_sigmoid" and version_of(entry) < (3,):
            options[key] = _hard_sigmoid_of_keras_2
    if kind is not None and kind.startswith("CuDNN"):
        options |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
    return getattr(keras.layers, "GRUCell" if is_gru else "LSTMCell")(dtype=dtype, **options)


def _hard_sigmoid_of_keras_2(x: Any) -> Any:
    import keras

    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

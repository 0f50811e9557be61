"""Recurrent layers of Keras models, read without Keras, and their weights back (extra ``keras``).

The files' forms are Keras's own: ``.keras`` and ``.weights.h5`` of Keras 3, ``.h5`` of Keras 2 and 3
(https://keras.io/guides/serialization_and_saving/). What a layer does is said at
https://keras.io/api/layers/recurrent_layers/; training's dropout is no part of it. Where layers are in them
`_keras_files` knows.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import as_array, expect_shape
from .._layers import GRU, LSTM
from .._words import cell_of_rows
from ._keras_files import Entry, of_file, of_object
from ._layouts import KERAS, Weights, cell_of, new_layer, parts_of
from ._steps import packed_steps, spread_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from .._arrays import Array

_MERGES = ("concat", "sum", "mul", "ave", None)
_FUNCTIONS = ("sigmoid", "tanh", "relu")


class KerasLayer:
    """One recurrent layer of a Keras model; call it for what the layer gives.

    Attributes
    ----------
    name : str
        The layer's, those of models around it before it: ``"encoder/gru"``.
    layer : GRU or LSTM
        What it computes, batch_first, as a layer.
    return_sequences, return_state, go_backwards, stateful, zero_output_for_mask : bool
        As in Keras.
    merge_mode : {"concat", "sum", "mul", "ave", None}
        Of Bidirectional's two outputs.
    """

    def __init__(self, name: str, layer: GRU | LSTM, options: Mapping[str, Any]) -> None:
        self.name, self.layer = name, layer
        self.return_sequences: bool = options["return_sequences"]
        self.return_state: bool = options["return_state"]
        self.go_backwards: bool = options["go_backwards"]
        self.stateful: bool = options["stateful"]
        self.zero_output_for_mask: bool = options["zero_output_for_mask"]
        self.merge_mode: str | None = options["merge_mode"]
        self._state: list[Array] | None = None

    def __repr__(self) -> str:
        return f"KerasLayer({self.name!r}, {self.layer!r})"

    def reset_state(self) -> None:
        """Begin the next call from zeros: for stateful layers."""
        self._state = None

    def __call__(
        self,
        x: ArrayLike,
        mask: ArrayLike | None = None,
        initial_state: ArrayLike | Sequence[ArrayLike] | None = None,
    ) -> Any:
        """What the layer gives, in Keras's order and shapes.

        Parameters
        ----------
        x : array_like
            ``(B, T, I)``.
        mask : array_like of bool, (B, T), optional
            Which steps count, anywhere in a row. At others the state stays, and the output is the last, or
            zeros with `zero_output_for_mask` (and from Bidirectional).
        initial_state : array_like or sequence of them, optional
            ``(B, H)`` each: h of a GRU, (h, c) of an LSTM; both directions' one after the other.

        Returns
        -------
        ndarray or tuple
            The outputs, ``(B, T, H)``, or the last one without `return_sequences`; with ``merge_mode=None``
            two of them; with `return_state` the states follow.
        """
        layer = self.layer
        given = as_array("x", x, layer.dtype)
        expect_shape("x", given, ("B", "T", layer.input_size))
        marks = None if mask is None else self._mask(mask, given.shape[:2])
        first = self._first(initial_state, given.shape[0])
        if self.go_backwards:
            given = given[:, ::-1]
            marks = None if marks is None else marks[:, ::-1]
        lengths = None
        if marks is not None:
            given, lengths = packed_steps(given, marks)
        y, last = layer(given, tuple(first) if isinstance(layer, LSTM) else first[0], lengths=lengths)
        finals = last if isinstance(last, tuple) else (last,)
        directions = 2 if layer.bidirectional else 1
        states = [final[d] for d in range(directions) for final in finals]
        if self.stateful:
            self._state = states
        halves = zip(np.split(y, directions, -1), finals[0], strict=True)
        ys = [self._outputs(half, final, marks) for half, final in halves]
        outputs = ys if directions == 2 and self.merge_mode is None else [self._merge(ys)]
        outputs += states if self.return_state else []
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _mask(self, mask: ArrayLike, shape: tuple[int, ...]) -> Array:
        marks = np.asarray(mask)
        if marks.dtype != np.bool_:
            msg = f"mask: expected an array of bool, got {marks.dtype}"
            raise TypeError(msg)
        expect_shape("mask", marks, shape)
        return marks

    def _first(self, given: Any, batch: int) -> list[Array]:
        """The initial states as the layer takes them: h, and c of an LSTM, of all directions."""
        layer = self.layer
        kinds, directions = (2 if isinstance(layer, LSTM) else 1), (2 if layer.bidirectional else 1)
        shape = (batch, layer.hidden_size)
        if given is None:
            zeros = [np.zeros(shape, layer.dtype)] * kinds * directions
            given = zeros if self._state is None else self._state
        elif not isinstance(given, (list, tuple)):
            given = [given]
        if len(given) != kinds * directions:
            msg = f"initial_state: expected {kinds * directions} states, got {len(given)}"
            raise ValueError(msg)
        states = [as_array("initial_state", state, layer.dtype) for state in given]
        for state in states:
            expect_shape("initial_state", state, shape)
        return [np.stack(states[kind::kinds]) for kind in range(kinds)]

    def _outputs(self, y: Array, final: Array, marks: Array | None) -> Array:
        """One direction's outputs at the places of their steps, or the last of them."""
        if self.layer.bidirectional:
            if not self.return_sequences:
                marks = np.ones(y.shape[:2], np.bool_) if marks is None else marks
                return np.where(marks.any(axis=1, keepdims=True), final, np.zeros((), y.dtype))
            return y if marks is None else spread_steps(y, marks, hold=False)
        if marks is not None:
            y = spread_steps(y, marks, hold=not self.zero_output_for_mask)
        return y if self.return_sequences else y[:, -1]

    def _merge(self, ys: list[Array]) -> Array:
        if len(ys) == 1:
            return ys[0]
        if self.merge_mode == "concat":
            return np.concatenate(ys, -1)
        merged: Array = ys[0] * ys[1] if self.merge_mode == "mul" else ys[0] + ys[1]
        return merged / np.asarray(2, merged.dtype) if self.merge_mode == "ave" else merged


def from_keras(source: Any, *, config: str | Mapping[str, Any] | None = None) -> dict[str, KerasLayer]:
    """Take every GRU, LSTM and Bidirectional of a Keras model; Keras is not needed for its files.

    Parameters
    ----------
    source : path-like, or a model or layer of Keras
        ``.keras``, ``.weights.h5``, a legacy ``.h5`` of a model or of weights, or the object itself.
    config : str or mapping, optional
        For files of weights alone: the model's, as ``model.to_json()`` gives it. Without it a layer is taken
        to be as Keras 3 makes it by default, and a GRU without biases is refused, since then nothing in the
        weights tells where its reset gate acts.

    Returns
    -------
    dict of str to KerasLayer
        By the layers' names.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is none of these, or a layer has an activation that layers do not have, directions that are not of
        one kind, or weights that are not its own.

    Examples
    --------
    >>> import gru_rs, keras
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(8, name="gru")])
    >>> node = gru_rs.from_keras(model)["gru"]
    >>> node(np.ones((2, 5, 3), np.float32)).shape
    (2, 8)
    """
    if config is not None and not isinstance(config, (str, Mapping)):
        msg = f"config: expected the text of model.to_json() or a mapping, got {type(config).__name__}"
        raise TypeError(msg)
    if hasattr(source, "get_config") and hasattr(source, "get_weights"):
        entries = list(of_object(source, ""))
    elif isinstance(source, (str, os.PathLike)):
        given = json.loads(config) if isinstance(config, str) else config
        entries = of_file(Path(source), given)
    else:
        msg = f"source: expected a path, or a model or layer of Keras, got {type(source).__name__}"
        raise TypeError(msg)
    return {entry.name: _layer(entry) for entry in entries}


def _layer(entry: Entry) -> KerasLayer:
    """A layer of what was found, or an error that says what it is that layers do not have."""
    kind, config = entry.kind, entry.config
    halves = [entry.weights]
    if kind == "Bidirectional":
        half = len(entry.weights) // 2
        halves = [entry.weights[:half], entry.weights[half:]]
    sides: list[tuple[str | None, Mapping[str, Any] | None]] = [(kind, config)]
    if kind == "Bidirectional":
        sides = [(None, None)] * 2 if config is None else _sides(entry.name, config)
    options = [
        _options(entry, own, given, weights) for (own, given), weights in zip(sides, halves, strict=True)
    ]
    first = options[0]
    if len(options) == 2:
        _same_kind(entry.name, *options)
        first["zero_output_for_mask"] = first["return_sequences"]
        first["merge_mode"] = "concat" if config is None else config.get("merge_mode", "concat")
        if first["merge_mode"] not in _MERGES:
            msg = f"{entry.name}: expected merge_mode of {_MERGES}, got {first['merge_mode']!r}"
            raise ValueError(msg)
    parts = [_part(entry.name, first, weights) for weights in halves]
    made: dict[str, Any] = {
        "recurrent_activation": first["recurrent_activation"],
        "activation": first["activation"],
    }
    if first["cell"] == "gru":
        made["reset_after"] = first["reset_after"]
    layer = new_layer(first["cell"], parts, directions=len(parts), batch_first=True, **made)
    return KerasLayer(entry.name, layer, first)


def _sides(name: str, config: Mapping[str, Any]) -> list[tuple[str | None, Mapping[str, Any] | None]]:
    """Kind and config of Bidirectional's directions."""
    forward = config["layer"]
    backward = config.get("backward_layer") or forward
    for side in (forward, backward):
        if side["class_name"] not in ("GRU", "LSTM"):
            msg = f"{name}: expected Bidirectional of a GRU or an LSTM, got one of {side['class_name']}"
            raise ValueError(msg)
    if forward["config"].get("go_backwards", False):
        msg = f"{name}: expected a Bidirectional whose first direction goes forward, got go_backwards=True"
        raise ValueError(msg)
    return [(side["class_name"], side["config"]) for side in (forward, backward)]


def _same_kind(name: str, forward: dict[str, Any], backward: dict[str, Any]) -> None:
    for key, value in forward.items():
        if key != "go_backwards" and backward[key] != value:
            msg = f"{name}: expected two directions of one kind, got {key} {value!r} and {backward[key]!r}"
            raise ValueError(msg)


def _options(
    entry: Entry, kind: str | None, config: Mapping[str, Any] | None, weights: list[Array]
) -> dict[str, Any]:
    """What a layer is, from its config, or from its weights alone."""
    if len(weights) not in (2, 3) or weights[0].ndim != 2 or weights[1].ndim != 2 or not weights[1].shape[0]:
        shapes = [array.shape for array in weights]
        msg = f"{entry.name}: expected kernel, recurrent_kernel and perhaps bias, got arrays of {shapes}"
        raise ValueError(msg)
    cell = kind.lower() if kind else _cell_of_weights(entry, weights)
    given = {} if config is None else dict(config)
    if given.get("time_major", False):
        msg = f"{entry.name}: expected inputs (B, T, I), got time_major=True"
        raise ValueError(msg)
    options = {
        "cell": cell,
        "recurrent_activation": _function(entry, given.get("recurrent_activation", "sigmoid")),
        "activation": _function(entry, given.get("activation", "tanh")),
        "use_bias": given.get("use_bias", len(weights) == 3),
        "reset_after": None,
        "merge_mode": None,
    }
    for key in ("return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask"):
        options[key] = bool(given.get(key, False))
    if cell == "gru":
        # Keras 2.0 had the one variant and no word for it.
        by_config = None if config is None else bool(given.get("reset_after", False))
        by_bias = None if len(weights) == 2 else weights[2].ndim == 2
        if by_config is None and by_bias is None:
            msg = (
                f"{entry.name}: expected a GRU with biases or a config, got neither: nothing in its weights "
                "tells reset_after; give config=model.to_json()"
            )
            raise ValueError(msg)
        options["reset_after"] = by_bias if by_config is None else by_config
    return options


def _cell_of_weights(entry: Entry, weights: list[Array]) -> str:
    if _version(entry) < (2, 3):
        msg = (
            f"{entry.name}: expected weights of Keras 2.3 or later, or a config, got those of Keras "
            f"{entry.version}, whose gates were hard_sigmoid by default; give config=model.to_json()"
        )
        raise ValueError(msg)
    units, columns = weights[1].shape
    cell = cell_of_rows(columns, units, (layout.cell for layout in KERAS.values()))
    if cell is None:
        msg = f"{entry.name}: expected a recurrent_kernel (H, 3H) or (H, 4H), got {weights[1].shape}"
        raise ValueError(msg)
    return cell


def _version(entry: Entry) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall(r"\d+", entry.version)[:2]]
    return tuple(numbers) if len(numbers) == 2 else (*numbers, 99)


def _function(entry: Entry, value: Any) -> str:
    """An activation's name here; what Keras called hard_sigmoid changed with Keras 3."""
    name = value.get("config", value.get("class_name")) if isinstance(value, Mapping) else value
    if name in _FUNCTIONS:
        return str(name)
    if name == "hard_sigmoid":
        return "hard_sigmoid" if _version(entry) >= (3,) else "hard_sigmoid_0.2"
    msg = f"{entry.name}: expected an activation of sigmoid, tanh, relu or hard_sigmoid, got {name!r}"
    raise ValueError(msg)


def _part(name: str, options: dict[str, Any], weights: list[Array]) -> Weights:
    """One direction's weights, of shapes that fit together."""
    cell = options["cell"]
    layout = KERAS["gru_reset_before" if cell == "gru" and not options["reset_after"] else cell]
    units = weights[1].shape[0]
    columns = len(layout.gates) * units
    expect_shape(f"{name}: kernel", weights[0], ("input_size", columns))
    expect_shape(f"{name}: recurrent_kernel", weights[1], (units, columns))
    if options["use_bias"] != (len(weights) == 3):
        msg = f"{name}: expected use_bias={len(weights) == 3} as of its weights, got {options['use_bias']}"
        raise ValueError(msg)
    arrays = [_wide(name, array) for array in weights]
    if len(arrays) == 3:
        expect_shape(f"{name}: bias", arrays[2], (2, columns) if layout.biases == 2 else (columns,))
        arrays[2:] = list(arrays[2]) if layout.biases == 2 else [arrays[2]]
    return layout.take(*arrays)


def _wide(name: str, array: Array) -> Array:
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype not in (np.float32, np.float64):
        msg = f"{name}: expected weights in float16, float32 or float64, got {array.dtype}"
        raise ValueError(msg)
    return array


def to_keras_weights(layer: GRU | LSTM) -> list[list[Array]]:
    """Give a layer's weights as those of Keras's layers, for their ``set_weights``.

    Parameters
    ----------
    layer : GRU or LSTM
        Its own `recurrent_activation` and `activation` are Keras's arguments of those names;
        ``hard_sigmoid_0.2`` is Keras 2's ``hard_sigmoid``. Keras has no clip.

    Returns
    -------
    list of list of ndarray
        For each of its layers kernel, recurrent_kernel and, if there are biases, bias: that of a GRU with
        the reset after the product is (2, 3H), of all others the sum of the two, rounded. Of a
        bidirectional layer those for Bidirectional follow: three more.

    Raises
    ------
    ValueError
        The layer has a clip.
    TypeError
        Not a layer.

    Examples
    --------
    >>> import gru_rs
    >>> [[array.shape for array in arrays] for arrays in gru_rs.to_keras_weights(gru_rs.GRU(3, 8))]
    [[(3, 24), (8, 24), (2, 24)]]
    """
    cell = cell_of(layer)
    if not isinstance(layer, (GRU, LSTM)):
        msg = f"layer: expected a GRU or LSTM, got {type(layer).__name__}: a cell is a layer of one step"
        raise TypeError(msg)
    if layer.clip is not None:
        msg = f"layer: expected clip=None, since Keras has none, got {layer.clip}"
        raise ValueError(msg)
    layout = KERAS["gru_reset_before" if isinstance(layer, GRU) and not layer.reset_after else cell]
    parts = []
    for part in parts_of(layer):
        arrays = layout.give(part)
        parts.append([*arrays[:2], np.stack(arrays[2:])] if len(arrays) == 4 else arrays)
    directions = 2 if layer.bidirectional else 1
    sides = range(0, len(parts), directions)
    return [[array for part in parts[k : k + directions] for array in part] for k in sides]

"""What a recurrent layer of Keras is as a layer here, from its config and weights, or why it is none.

What a layer does is said at https://keras.io/api/layers/recurrent_layers/; training's dropout is no part of
it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._arrays import expect_shape, widened
from .._words import cell_of_rows
from ._keras_configs import FRAMEWORKS, cells_of, sides_of
from ._layouts import KERAS, Weights, new_layer

if TYPE_CHECKING:
    from .._arrays import Array
    from .._layers import GRU, LSTM
    from ._keras_configs import Entry

MANNERS = ("return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask")
_MERGES = ("concat", "sum", "mul", "ave", None)
_FUNCTIONS = ("sigmoid", "tanh", "relu")
_OLD = {"inner_activation": "recurrent_activation", "output_dim": "units"}
"""What Keras 1 called them."""
_WITHOUT_EFFECT = re.compile(
    r".*_(initializer|regularizer|constraint|init)|[WUb]_regularizer|init|dropout(_[WU])?|recurrent_dropout|seed"
    r"|name|trainable|dtype|autocast|unit_forget_bias|unroll|implementation|consume_less|input_(dim|length|dtype)"
    r"|batch_input_shape|batch_size|input_shape|use_cudnn|cell|ragged|sparse"
)
"""Of an option these are what layers are like when they are made or trained, or how they are computed."""
_READ = (*MANNERS, "units", "recurrent_activation", "activation", "use_bias", "reset_after", "time_major")


def layer_of(entry: Entry) -> tuple[GRU | LSTM, dict[str, Any]]:
    """The layer that was found and its manners, or an error that says what it is that layers do not have."""
    sides = sides_of(entry.name, entry.kind, entry.config)
    if len(sides) != len(entry.sides):
        msg = f"{entry.name}: expected weights of {len(sides)} directions, got {len(entry.sides)}"
        raise ValueError(msg)
    made = [_side(entry, *side, weights) for side, weights in zip(sides, entry.sides, strict=True)]
    options, parts = made[0]
    merge = None
    if len(sides) == 2:
        _expect_directions(entry, [one for one, _ in made], len(parts))
        parts = parts + made[1][1]
        options["zero_output_for_mask"] = options["return_sequences"]
        merge = _merge(entry)
    if any(
        part.w_hh.shape != parts[0].w_hh.shape or part.w_ih.dtype != parts[0].w_ih.dtype for part in parts
    ):
        told = ", ".join(f"{part.w_hh.shape[1]} in {part.w_ih.dtype}" for part in parts)
        msg = f"{entry.name}: expected cells of one size and dtype, got units {told}"
        raise ValueError(msg)
    functions = {key: options[key] for key in ("recurrent_activation", "activation")}
    if options["cell"] == "gru":
        functions["reset_after"] = options["reset_after"]
    layer = new_layer(options["cell"], parts, directions=len(sides), batch_first=True, **functions)
    return layer, {key: options[key] for key in MANNERS} | {"merge_mode": merge}


def _side(
    entry: Entry, kind: str | None, config: Mapping[str, Any] | None, weights: list[list[Array]]
) -> tuple[dict[str, Any], list[Weights]]:
    """Options and weights of one direction, of one cell or several on each other."""
    cells = cells_of(entry.name, kind, config)
    if len(cells) != len(weights):
        msg = f"{entry.name}: expected weights of {len(cells)} cells, got {len(weights)}"
        raise ValueError(msg)
    for given in (config, *(inner for _, inner in cells)):
        _expect_known(entry, given or {})
    manners = _manners(entry, config or {})
    made, parts = [], []
    for (word, inner), arrays in zip(cells, weights, strict=True):
        arrays = [_wide(entry.name, array) for array in arrays]
        options = _options(entry, kind, word, inner, arrays)
        made.append(options)
        parts.append(_part(entry.name, options, arrays))
        if parts[1:] and parts[-1].w_ih.shape[1] != parts[-2].w_hh.shape[1]:
            msg = f"{entry.name}: expected cells that take what those before give, got others"
            raise ValueError(msg)
    if any(one != made[0] for one in made):
        msg = f"{entry.name}: expected cells of one kind on each other, got {made}"
        raise ValueError(msg)
    return made[0] | manners, parts


def _manners(entry: Entry, config: Mapping[str, Any]) -> dict[str, bool]:
    if config.get("time_major", False):
        msg = f"{entry.name}: expected inputs (B, T, I), got time_major=True"
        raise ValueError(msg)
    return {key: _flag(entry, config, key, False) for key in MANNERS}


def _expect_known(entry: Entry, config: Mapping[str, Any]) -> None:
    """An option of a Keras to come is not one to pass over."""
    unknown = [
        str(key)
        for key, value in config.items()
        if value and key not in (*_READ, *_OLD) and not _WITHOUT_EFFECT.fullmatch(str(key))
    ]
    if unknown:
        msg = f"{entry.name}: expected options that Keras's layers have, got {', '.join(unknown[:20])}"
        raise ValueError(msg)


def _flag(entry: Entry, config: Mapping[str, Any], key: str, default: bool) -> bool:
    value = config.get(key, default)
    if not isinstance(value, bool):
        msg = f"{entry.name}: expected {key} to be true or false, got {value!r}"
        raise ValueError(msg)
    return value


def _expect_directions(entry: Entry, sides: list[dict[str, Any]], cells: int) -> None:
    """Whether two directions are a bidirectional layer of ours."""
    forward, backward = sides
    if cells > 1:
        msg = f"{entry.name}: expected one cell in each direction, got {cells} on each other"
        raise ValueError(msg)
    config: Mapping[str, Any] = entry.config or {}
    is_given = config.get("backward_layer") is not None
    if forward["go_backwards"] or (is_given and not backward["go_backwards"]):
        got = "go_backwards=True" if forward["go_backwards"] else "go_backwards=False of the second"
        msg = f"{entry.name}: expected a Bidirectional whose first direction goes forward, got {got}"
        raise ValueError(msg)
    for key, value in forward.items():
        if key != "go_backwards" and key != "zero_output_for_mask" and backward[key] != value:
            told = f"{key} {value!r} and {backward[key]!r}"
            msg = f"{entry.name}: expected two directions of one kind, got {told}"
            raise ValueError(msg)


def _merge(entry: Entry) -> str | None:
    merge = "concat" if entry.config is None else entry.config.get("merge_mode", "concat")
    if merge not in _MERGES:
        msg = f"{entry.name}: expected merge_mode of {_MERGES}, got {merge!r}"
        raise ValueError(msg)
    return None if merge is None else str(merge)


def _options(
    entry: Entry, kind: str | None, word: str, config: Mapping[str, Any] | None, weights: list[Array]
) -> dict[str, Any]:
    """What a cell is, from its config, or from its weights alone."""
    if len(weights) not in (2, 3) or weights[0].ndim != 2 or weights[1].ndim != 2 or not weights[1].shape[0]:
        shapes = [array.shape for array in weights]
        msg = f"{entry.name}: expected kernel, recurrent_kernel and perhaps bias, got arrays of {shapes}"
        raise ValueError(msg)
    given = {_OLD.get(key, key): value for key, value in (config or {}).items()}
    units = given.get("units", weights[1].shape[0])
    if type(units) is not int or units != weights[1].shape[0]:
        msg = f"{entry.name}: expected units={weights[1].shape[0]} as of its weights, got {units!r}"
        raise ValueError(msg)
    cell = word or _cell_of_weights(entry, weights)
    by_weights = len(weights) == 3
    is_cudnn = kind is not None and kind.startswith("CuDNN")
    if (
        config is not None
        and not is_cudnn
        and version_of(entry) < (3,)
        and "recurrent_activation" not in given
    ):
        msg = f"{entry.name}: expected a config with recurrent_activation, got one without"
        raise ValueError(msg)
    return {
        "cell": cell,
        "recurrent_activation": _function(entry, given.get("recurrent_activation", "sigmoid")),
        "activation": _function(entry, given.get("activation", "tanh")),
        "use_bias": _flag(entry, given, "use_bias", by_weights),
        "reset_after": _reset_after(entry, is_cudnn, config, weights) if cell == "gru" else None,
    }


def _reset_after(
    entry: Entry, is_cudnn: bool, config: Mapping[str, Any] | None, weights: list[Array]
) -> bool:
    if is_cudnn:
        return True
    if config is not None:  # Keras 2.0 had the one variant and no word for it
        return _flag(entry, config, "reset_after", version_of(entry) >= (3,))
    if len(weights) == 2:
        msg = (
            f"{entry.name}: expected a GRU with biases or a config, got neither: nothing in its weights "
            "tells reset_after; give config=model.to_json()"
        )
        raise ValueError(msg)
    return weights[2].ndim == 2


def _cell_of_weights(entry: Entry, weights: list[Array]) -> str:
    if version_of(entry) < (2, 3):
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


def version_of(entry: Entry) -> tuple[int, ...]:
    numbers = [int(number) for number in re.findall(r"\d+", entry.version)[:2]]
    return tuple(numbers) if len(numbers) == 2 else (*numbers, 99)


def _function(entry: Entry, value: Any) -> str:
    """An activation's name here; what Keras called hard_sigmoid changed with Keras 3."""
    name = value
    if isinstance(value, Mapping):
        module = value.get("module")
        is_own = not isinstance(module, str) or module.partition(".")[0] in FRAMEWORKS
        name = value.get("config") if value.get("class_name") == "function" else value.get("class_name")
        name = name if is_own and isinstance(name, str) else f"{name} of {module}"
    if name in _FUNCTIONS:
        return str(name)
    if name == "hard_sigmoid":
        return "hard_sigmoid" if version_of(entry) >= (3,) else "hard_sigmoid_0.2"
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
    arrays = list(weights)
    if len(arrays) == 3:
        expect_shape(f"{name}: bias", arrays[2], (2, columns) if layout.biases == 2 else (columns,))
        arrays[2:] = list(arrays[2]) if layout.biases == 2 else [arrays[2]]
    return layout.take(*arrays)


def _wide(name: str, array: Array) -> Array:
    """In 32 or 64 bits, where those of 16 are the same numbers."""
    array = widened(array)
    if array.dtype not in (np.float32, np.float64):
        msg = f"{name}: expected weights in float16, bfloat16, float32 or float64, got {array.dtype}"
        raise ValueError(msg)
    return array

"""The recurrent layers among weights that have PyTorch's names, in whatever form somebody kept them.

Every name beside a layer's own is either a form that is converted exactly, or the layer is refused: what else
stands there is a part of something that is not PyTorch's layer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from itertools import islice, product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .._arrays import widened
from .._cells import GRUCell, LSTMCell
from .._layers import GRU, LSTM
from .._quantize import SCALE, from_tensors
from .._words import CELLS, cell_of_rows
from ._found import shown
from ._layouts import PYTORCH
from ._pickles import Opaque
from ._torch_files import array_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._arrays import Array
    from ._found import Found
    from ._source import Budget

Layer: TypeAlias = GRU | LSTM | GRUCell | LSTMCell
"""What weights of PyTorch make."""

PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
LAYERS: dict[str, Any] = {"GRU": GRU, "LSTM": LSTM, "GRUCell": GRUCell, "LSTMCell": LSTMCell}

_TAIL = r"(?:_l\d{1,6}(?:_reverse)?)?"
_OWN = re.compile(rf"(?:weight|bias)_(?:ih|hh|hr){_TAIL}")
_KEPT = re.compile(rf"({_OWN.pattern})(?:_raw|_g|_v|_orig|_mask|\.scale)?")
_INDIRECT = re.compile(rf"parametrizations\.({_OWN.pattern})\..*")
_PACKED = re.compile(r"_all_weight_values\.(\d{1,6})\.param|_packed_weight_(ih|hh)")
_TWICE = re.compile(rf"(\d{{1,6}})\.cell(|_fw|_bw)\.({'|'.join(PARAMETERS)})")
_PYTORCHS = re.compile(r"(__torch__\.)?(torch\.nn|gru_rs\.torch)\.")
_MOST_NAMES, _MOST_LEVELS, _SHOWN, _LONGEST = 10**6, 64, 8, 1000
_ROUNDED = 2.0**-8
"""How far a weight may be from what it is made of, as a share of the largest: both may be of 16 bits."""
_MOST_VALUES = 10**7
"""That are looked at: a small file may have one in two others, these in two others, and so on."""


def flat(tree: Any) -> dict[str, Any]:
    """The arrays of dicts within dicts, their names joined by dots; of lists the dicts in them by number.

    Objects that cannot be looked into are there, too, as `Opaque`.
    """
    named: dict[str, Any] = {}
    for count, (name, value) in enumerate(_leaves(tree, "", 0)):
        if value is not None:
            named[name] = value
        if len(named) > _MOST_NAMES or count > _MOST_VALUES:
            msg = f"source: expected at most {_MOST_NAMES} names and {_MOST_VALUES} values, got more"
            raise ValueError(msg)
    return named


def _leaves(tree: Any, prefix: str, level: int) -> Iterator[tuple[str, Any]]:
    """Names and arrays, and None for all else, so that whoever takes them can count."""
    yield prefix, None
    if isinstance(tree, Opaque) and tree.name.startswith("__torch__.") and isinstance(tree.state, dict):
        of, tree = tree.name, tree.state  # one of TorchScript's modules
        if not _PYTORCHS.match(of) and any(is_own(name) for name in tree if isinstance(name, str)):
            yield _class(prefix, of), Opaque(of)  # so that it is refused
    if level > _MOST_LEVELS:
        msg = f"source: expected at most {_MOST_LEVELS} dicts within each other, got more"
        raise ValueError(msg)
    if isinstance(tree, Mapping):
        for index, (name, value) in enumerate(tree.items()):
            yield from _leaves(value, _joined(prefix, name, index), level + 1)
    elif isinstance(tree, (list, tuple)):
        for index, value in enumerate(tree):
            yield prefix, None
            if isinstance(value, (Mapping, Opaque)):
                yield from _leaves(value, _joined(prefix, index, index), level + 1)
    elif isinstance(tree, Opaque) or hasattr(tree, "shape") or type(tree).__name__ == "ScriptObject":
        yield prefix, tree


def _joined(prefix: str, key: Any, index: int) -> str:
    """A name within a dict; of a key that is no text or number, whose text may have no end, what it is."""
    is_plain = isinstance(key, (str, int, float)) or key is None
    own = f"{key}" if is_plain else f"{type(key).__name__} {index}"
    if len(prefix) + len(own) > _LONGEST:
        msg = f"source: expected names of at most {_LONGEST} letters, got {shown(prefix or own)!r} and more"
        raise ValueError(msg)
    return f"{prefix}.{own}" if prefix else own


def _class(prefix: str, of: str) -> str:
    """A name for the class of a module among those of its parameters."""
    return f"{prefix}.class {shown(of.rpartition('.')[2])}".lstrip(".")


def with_classes(named: Any, classes: Mapping[str, str]) -> Any:
    """A program's weights and, so that they are refused, the classes of a user's own among the names.

    `classes` has the whole name of each module's class, by the module's own name.
    """
    if not isinstance(named, Mapping):
        return named
    parts = [name.rpartition(".") for name in named if isinstance(name, str)]
    own = {prefix: classes[prefix] for prefix, _, last in parts if is_own(last) and prefix in classes}
    others = {_class(prefix, of): Opaque(of) for prefix, of in own.items() if not _PYTORCHS.match(of)}
    return dict(named) | others


# Which names are whose --------------------------------------------------------------------------------------


def is_own(name: str) -> bool:
    """Whether a parameter of a module is one of a recurrent layer, by its own name."""
    return _OWN.fullmatch(name) is not None


def is_weight(name: str) -> bool:
    """Whether a layer may be made of it: of a large file nothing else is read."""
    return _whose(name) is not None or name.rpartition(".")[2] in ("bias", "bias_n")


def _whose(name: str) -> str | None:
    """What the names of a layer begin with, if this is one of them."""
    parts = name.split(".", _MOST_LEVELS)
    for count in range(1, min(4, len(parts)) + 1):
        own = ".".join(parts[-count:])
        if _KEPT.fullmatch(own) or _INDIRECT.fullmatch(own) or _PACKED.fullmatch(own):
            return ".".join(parts[: len(parts) - count])
    return None


def layers_in(
    named: Mapping[str, Any], options: Mapping[str, Any], budget: Budget | None = None
) -> Found[Layer]:
    """Each layer by what its names begin with."""
    whose = {name: _whose(name) for name in named}
    groups: dict[str, dict[str, Any]] = {prefix: {} for prefix in whose.values() if prefix is not None}
    for name, value in named.items():
        for prefix in _above(name):
            if prefix in groups:
                groups[prefix][name[len(prefix) + bool(prefix) :]] = value
    for prefix in list(groups):
        inner = f"{prefix}.module".removeprefix(".")  # fastai's WeightDropout around an LSTM
        if inner in groups and all(
            own.endswith("_raw") or own.startswith("module.") for own in groups[prefix]
        ):
            outer = groups.pop(prefix)
            groups[inner] |= {own: value for own, value in outer.items() if own.endswith("_raw")}
    for prefix in list(groups):
        begin, _, cell = prefix.rpartition(".")
        above, _, number = begin.rpartition(".")
        if cell in ("cell", "cell_fw", "cell_bw") and number.isdecimal() and above in groups:
            del groups[prefix]
    return {prefix: partial(layer, prefix, own, options, budget) for prefix, own in groups.items()}


def _above(name: str) -> Iterator[str]:
    """The prefixes that a name may be under."""
    parts = name.split(".", _MOST_LEVELS)
    return (".".join(parts[:count]) for count in range(len(parts)))


# Forms of a weight ------------------------------------------------------------------------------------------


def _resolved(where: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's own names, whatever form they were in."""
    own = dict(members)
    for name in list(own):
        if _TWICE.fullmatch(name):  # Paddle has each array under two names
            number, side, parameter = _TWICE.fullmatch(name).groups()  # type: ignore[union-attr]
            twin = f"{parameter}_l{number}{'_reverse' if side == '_bw' else ''}"
            if twin in own and np.array_equal(numbers(twin, own[twin]), numbers(name, own[name])):
                del own[name]
    for name in [kept[1] for kept in map(_KEPT.fullmatch, list(own)) if kept]:
        if f"{name}_raw" in own:  # before dropout: what the layer has when it is not trained
            own[name] = own.pop(f"{name}_raw")
        if {f"{name}_g", f"{name}_v"} <= set(own):
            made = _normed(where + name, own.pop(f"{name}_g"), own.pop(f"{name}_v"))
            own[name] = _as_beside(where + name, own.get(name), made)
        if {f"{name}_orig", f"{name}_mask"} <= set(own):
            made = _masked(name, own.pop(f"{name}_orig"), own.pop(f"{name}_mask"))
            own[name] = _as_beside(where + name, own.get(name), made)
    for name in {found[1] for found in map(_INDIRECT.fullmatch, list(own)) if found}:
        begin = f"parametrizations.{name}."
        if sorted(o.removeprefix(begin) for o in own if o.startswith(begin)) == ["original0", "original1"]:
            pair = own.pop(f"{begin}original0"), own.pop(f"{begin}original1")
            if getattr(pair[0], "shape", ()) == getattr(pair[1], "shape", None):
                msg = f"{where}expected weight norm of {name}, got two tensors of one shape: give the module"
                raise ValueError(msg)
            own[name] = _as_beside(where + name, own.get(name), _normed(where + name, *pair))
    if "bias" in own and "weight_hh" in own and not {"bias_ih", "bias_hh"} & set(own):
        _split_bias(own)
    left = sorted(name for name in own if not _OWN.fullmatch(name.removesuffix(SCALE)))
    if left:
        names = ", ".join(map(shown, left[:_SHOWN])) + (
            f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
        )
        msg = (
            f"{where}expected PyTorch's names alone, got {names} beside them; where these are no part of the "
            "layer, give from_torch a dict without them"
        )
        raise ValueError(msg)
    return own


def _as_beside(name: str, plain: Any, made: Array) -> Array:
    """A weight that is made of its parts; the weight itself, where it is kept as well, is nearly the same."""
    if plain is not None:
        given = numbers(name, plain)
        apart = np.abs(np.subtract(given, made, dtype=np.float64)) if given.shape == made.shape else np.inf
        if not np.max(apart, initial=0) <= _ROUNDED * np.max(np.abs(made), initial=0):
            msg = f"{name}: expected a weight or what it is made of, got both, and one is not the other"
            raise ValueError(msg)
    return made


def _masked(name: str, value: Any, mask: Any) -> Array:
    """What pruning leaves."""
    whole, kept = numbers(name, value), plain_array(name, mask)
    if kept.shape != whole.shape or kept.dtype.kind not in "biuf":
        msg = f"{name}: expected a mask of shape {whole.shape}, got shape {kept.shape} of {kept.dtype}"
        raise ValueError(msg)
    made: Array = whole * kept.astype(whole.dtype)
    return made


def _normed(name: str, length: Any, direction: Any) -> Array:
    """Weight norm: the direction at that length, one for all of it or for each place along one axis."""
    g, v = numbers(name, length), numbers(name, direction)
    axes = tuple(k for k in range(v.ndim) if not g.ndim or g.shape[k : k + 1] == (1,))
    along = [v.shape[k] if k not in axes else 1 for k in range(v.ndim)]
    if g.ndim and (list(g.shape) != along or len(axes) < v.ndim - 1 or not axes):
        msg = f"{name}: expected lengths for a weight of shape {v.shape}, got shape {g.shape}"
        raise ValueError(msg)
    wide = v.astype(np.float64)
    with np.errstate(all="ignore"):
        normed = wide * (g / np.sqrt(np.square(wide).sum(axes, keepdims=True)))
    made: Array = normed.astype(v.dtype)
    return made


def _split_bias(own: dict[str, Any]) -> None:
    """Equinox's biases: one of all gates, and for a GRU that which the reset gate multiplies."""
    hidden = numbers("weight_hh", own["weight_hh"]).shape[-1:]
    (hidden,) = hidden or (0,)
    bias = numbers("bias", own["bias"])
    second = np.zeros_like(bias)
    if "bias_n" in own and bias.shape == (3 * hidden,):
        inner = numbers("bias_n", own["bias_n"])
        if inner.shape != (hidden,):
            msg = f"bias_n: expected shape ({hidden},), got {inner.shape}"
            raise ValueError(msg)
        second[2 * hidden :] = inner
        del own["bias_n"]
    elif bias.shape != (4 * hidden,):
        return  # what else has one bias is not known: it stays among what is left over
    del own["bias"]
    own |= {"bias_ih": bias, "bias_hh": second}


def _unpacked(where: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """Its members, and of what `quantize_dynamic` has packed the tensors that it is made of."""
    own = {name: value for name, value in members.items() if not _PACKED.fullmatch(name)}
    packed = {found: members[name] for name in members if (found := _PACKED.fullmatch(name))}
    layers: list[list[Any]] = []
    parts: dict[str, Any] = {}
    try:
        for found in sorted(packed, key=lambda found: int(found[1] or 0)):
            state = _state(packed[found])
            if found[2]:
                parts[f"weight_{found[2]}"], parts[f"bias_{found[2]}"] = state
            else:
                (w_ih, b_ih), (w_hh, b_hh) = map(_state, state[4])
                layers.append([w_ih, w_hh, *(state[1] or [b_ih, b_hh])])
        sides = _sides([(w_hh.shape[1], w_ih.shape[1]) for w_ih, w_hh, *_ in layers])
        for index, arrays in enumerate(layers):
            tail = f"_l{index // (sides or 1)}{'_reverse' if index % (sides or 1) else ''}"
            parts |= {begin + tail: part for begin, part in zip(PARAMETERS, arrays, strict=True)}
        # A list may hold another twice, this one another, and so on: it must not be asked for its numbers.
        parts = {name: part for name, part in parts.items() if part is not None and len(part.shape) > 0}
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        msg = f"{where}expected what quantize_dynamic packs, got something else"
        raise ValueError(msg) from error
    if sides is None:
        msg = f"{where}expected to know whether it is bidirectional, got the same sizes: give the module"
        raise ValueError(msg)
    return own | parts


def _sides(sizes: list[tuple[int, int]]) -> int | None:
    """How many directions packed layers have, by their states and inputs; None where these do not tell."""
    if len(sizes) % 2:
        return 1
    # What the second layer is given are the states of the first, one or two of each.
    hidden, inputs = sizes[0] if sizes else (0, 1)
    if len(sizes) > 2:
        return 2 if sizes[2][1] == 2 * hidden else 1
    if inputs == hidden:
        return None
    return 2 if sizes and sizes[1][1] == inputs else 1


def _state(packed: Any) -> Any:
    """What such an object was made of."""
    state = packed.state if isinstance(packed, Opaque) else packed.__getstate__()
    named = isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], str)
    return state[0] if named else state


# Layers -----------------------------------------------------------------------------------------------------


def plain_array(name: str, value: Any) -> Array:
    """A tensor or an array as NumPy has it, its numbers as they are or, of narrow floats, as float32."""
    if isinstance(value, Opaque):
        msg = f"{name}: expected an array of numbers, got {shown(value.name)}"
        raise ValueError(msg)
    try:
        if hasattr(value, "is_quantized"):  # of PyTorch
            value = value.detach().cpu().resolve_neg()
            value = value.dequantize() if value.is_quantized else value
            is_narrow = value.dtype.is_floating_point and value.dtype.itemsize < 4
            value = (value.float() if is_narrow else value).numpy()
        array = np.asarray(value)
    except ValueError as error:
        msg = f"{name}: {error}"
        raise ValueError(msg) from error
    except (RuntimeError, TypeError) as error:  # what PyTorch raises where no numbers are, or other ones
        msg = f"{name}: expected a tensor whose numbers are there, {_place(value)}"
        raise ValueError(msg) from error
    return widened(array)


def _place(tensor: Any) -> str:
    return (
        f"got {getattr(tensor, 'layout', type(tensor).__name__)} on {getattr(tensor, 'device', 'no device')}"
    )


def numbers(name: str, value: Any) -> Array:
    """A tensor or an array as one of a layer's dtypes."""
    array = plain_array(name, value)
    if array.dtype not in (np.float32, np.float64):
        msg = f"{name}: expected weights in float16, float32 or float64, got {array.dtype}"
        raise ValueError(msg)
    return array


def _paid(name: str, members: Mapping[str, Any], budget: Budget | None) -> dict[str, Any]:
    """The same, pickled arrays as arrays, once all are told."""
    own = dict(members)
    if budget is None:
        return own
    for key, value in members.items():
        array = array_of(value) if isinstance(value, Opaque) else None
        own[key] = value if array is None else array
        place = f"{name}.{shown(key)}".lstrip(".")
        try:
            count = getattr(own[key], "nbytes", 0)
        except ValueError as error:
            msg = f"{place}: {error}"
            raise ValueError(msg) from error
        budget.spend(f"{place}: {budget.name}", count)
    return own


def layer(
    name: str, members: Mapping[str, Any], options: Mapping[str, Any], budget: Budget | None = None
) -> Layer:
    """The layer whose parameters these are; a ValueError says why there is none."""
    name = shown(name)
    where = f"{name}: " if name else ""
    parameters = _resolved(where, _paid(name, _unpacked(where, members), budget))
    bytes_ = {
        own: plain_array(f"{name}.{own}".lstrip("."), value)
        for own, value in parameters.items()
        if own + SCALE in parameters
    }
    floats = {own: value for own, value in parameters.items() if own not in bytes_}
    arrays = {own: numbers(f"{name}.{own}".lstrip("."), value) for own, value in floats.items()}
    dtype = np.result_type(*arrays.values()) if arrays else np.dtype(np.float32)
    arrays |= bytes_
    if any(own.startswith("weight_hr") for own in arrays):
        msg = f"{where}expected an LSTM without projection, got one with proj_size, which layers do not have"
        raise ValueError(msg)
    is_cell = "weight_ih" in arrays and "weight_ih_l0" not in arrays
    tail = "" if is_cell else "_l0"
    if f"weight_ih{tail}" not in arrays or f"weight_hh{tail}" not in arrays:
        hint = "; R's torch counts layers from 1, PyTorch from 0" if "weight_ih_l1" in arrays else ""
        got = f"{sorted(arrays)[:_SHOWN]}{hint}"
        msg = f"{where}expected weight_ih_l0 and weight_hh_l0, or those of a cell, got {got}"
        raise ValueError(msg)
    gates, sizes = _kind_and_sizes(where, tail, arrays)
    word = gates + "Cell" * is_cell
    if is_cell and options:
        msg = f"{where}expected neither batch_first nor dropout for a {word}, got {dict(options)}"
        raise ValueError(msg)
    shape: dict[str, Any] = sizes | {"bias": any("bias" in own for own in arrays), "dtype": dtype, "seed": 0}
    if not is_cell:
        shape |= _stack(arrays) | dict(options)
    _expect_whole(f"{where}expected the parameters of one {word}", shape, arrays)
    try:
        if bytes_:
            return _quantized_layer(LAYERS[word], shape, arrays)
        made: Layer = LAYERS[word](**shape)
        made.load_state_dict(arrays)
    except ValueError as error:
        msg = f"{where}expected the parameters of one {word}: {error}"
        raise ValueError(msg) from error
    return made


def _kind_and_sizes(where: str, tail: str, arrays: dict[str, Array]) -> tuple[str, dict[str, Any]]:
    w_ih, w_hh = arrays[f"weight_ih{tail}"], arrays[f"weight_hh{tail}"]
    if w_ih.ndim != 2 or w_hh.ndim != 2 or not w_hh.shape[1]:
        msg = f"{where}expected weights of two axes, got weight_ih {w_ih.shape} and weight_hh {w_hh.shape}"
        raise ValueError(msg)
    cell = cell_of_rows(w_hh.shape[0], w_hh.shape[1], PYTORCH)
    if cell is None:
        plain = ", that of a plain RNN" if w_hh.shape[0] == w_hh.shape[1] else ""
        msg = (
            f"{where}expected weight_hh{tail} of shape (3·hidden_size, hidden_size) for a GRU or "
            f"(4·hidden_size, hidden_size) for an LSTM, got {w_hh.shape}{plain}"
        )
        raise ValueError(msg)
    return cell.upper(), {"input_size": w_ih.shape[1], "hidden_size": w_hh.shape[1]}


def _stack(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """How many layers there are, by the names."""
    tails = [own.removesuffix(SCALE) for own in arrays]
    layers = [int(own.removesuffix("_reverse").rpartition("_l")[2]) for own in tails if "_l" in own]
    return {"num_layers": max(layers) + 1, "bidirectional": any(own.endswith("_reverse") for own in tails)}


def _tails(shape: Mapping[str, Any]) -> Iterator[str]:
    """The ends of the names, layer after layer."""
    if "num_layers" not in shape:
        return iter([""])
    ends = ("", "_reverse")[: 1 + shape["bidirectional"]]
    return (f"_l{number}{end}" for number, end in product(range(shape["num_layers"]), ends))


def _expect_whole(words: str, shape: Mapping[str, Any], arrays: Mapping[str, Array]) -> None:
    parameters = PARAMETERS[: 4 if shape["bias"] else 2]
    expected = (own + tail for tail in _tails(shape) for own in parameters)
    missing = list(islice((own for own in expected if own not in arrays), _SHOWN))
    if missing:
        msg = f"{words}, got it with missing {missing}"
        raise ValueError(msg)
    known = {own + tail for tail in _tails(shape) for own in parameters}
    if left := sorted({own.removesuffix(SCALE) for own in arrays} - known)[:_SHOWN]:
        msg = f"{words}, got {left} beside them"
        raise ValueError(msg)


def _quantized_layer(kind: Any, options: dict[str, Any], arrays: dict[str, Array]) -> Layer:
    """A layer of bytes, without float weights on the way."""
    hidden, sides = options["hidden_size"], 1 + options.get("bidirectional", False)
    rows = len(CELLS[kind._cell].gates) * hidden
    names = []
    for tail in _tails(options):
        inputs = options["input_size"] if tail in ("", "_l0", "_l0_reverse") else sides * hidden
        shapes = [(rows, inputs), (rows, hidden), (rows,), (rows,)][: 4 if options["bias"] else 2]
        names += [(own + tail, 0, 0, shape) for own, shape in zip(PARAMETERS, shapes, strict=False)]
    made: Layer = kind._from_tensors(options, from_tensors(names, arrays, np.dtype(options["dtype"])))
    return made

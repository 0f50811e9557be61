"""Weights of PyTorch, from its modules, state dicts and files, and back.

PyTorch itself is asked for only to read its own files; modules and tensors bring it along.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .. import _safetensors
from .._cells import GRUCell, LSTMCell
from .._files import opened, write_whole
from .._layers import GRU, LSTM
from .._quantize import SCALE, from_tensors, to_tensors
from .._words import CELLS, cell_of_rows
from ._found import Found, chosen
from ._layouts import PYTORCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._arrays import Array

Layer: TypeAlias = GRU | LSTM | GRUCell | LSTMCell
"""What weights of PyTorch make."""

_PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
_MODULES = {"GRU": GRU, "LSTM": LSTM, "GRUCell": GRUCell, "LSTMCell": LSTMCell}


def from_torch(
    source: Any, name: str | None = None, *, batch_first: bool | None = None, dropout: float | None = None
) -> Layer:
    """Take a GRU, LSTM, GRUCell or LSTMCell of PyTorch with its weights.

    Parameters
    ----------
    source : torch.nn.Module, mapping of str to tensor or array, or path-like
        A module (of that kind, or one that contains such); a state dict; a ``.safetensors`` file, which
        needs no PyTorch; any other file is read by ``torch.load(weights_only=True)``, which runs no code.
        Dicts within dicts, as of checkpoints, are joined by dots.
    name : str, optional
        Which one, as ``"encoder.gru"``; may be left out if there is but one.
    batch_first, dropout : optional
        For state dicts and files, which do not know; a module's own when missing, else False and 0.

    Returns
    -------
    GRU, LSTM, GRUCell or LSTMCell
        In the weights' dtype; float16 and bfloat16 become float32, exactly. A file of int8 weights that
        `to_safetensors` wrote becomes a layer of them again.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        There is none of them, or several and no `name`; parameters are missing or of shapes that do not fit;
        a plain RNN, or an LSTM with a projection.
    ImportError
        The file needs PyTorch, which is not installed.

    Examples
    --------
    >>> import gru_rs
    >>> gru = gru_rs.GRU(3, 8, 2, seed=1)
    >>> again = gru_rs.from_torch({f"encoder.{k}": v for k, v in gru.state_dict().items()})
    >>> again
    GRU(3, 8, num_layers=2, seed=0)
    >>> bool((again.flat == gru.flat).all())
    True
    """
    options = {"batch_first": batch_first, "dropout": dropout}
    given = {option: value for option, value in options.items() if value is not None}
    return chosen(found_in(source, given), name, NOTHING)


def found_in(source: Any, given: dict[str, Any] | None = None) -> Found[Layer]:
    """Every one of them by its name, with the options that are given for those that do not know them."""
    found = _modules(source) if hasattr(source, "named_modules") else _groups(_flat(_read(source)))
    return {
        name: partial(_layer, name, parameters, options | (given or {}))
        for name, (parameters, options) in found.items()
    }


NOTHING = "source: expected a GRU, LSTM, GRUCell or LSTMCell of PyTorch within, got none"


def to_torch_state_dict(layer: Layer, *, prefix: str = "") -> dict[str, Any]:
    """Give a layer's weights as a state dict of tensors for PyTorch's module of that kind.

    Parameters
    ----------
    layer : GRU, LSTM, GRUCell or LSTMCell
        With σ and tanh, without clip, and a GRU with the reset after the product: PyTorch has no other.
    prefix : str, default ""
        What the names begin with, as ``"encoder."``.

    Returns
    -------
    dict of str to torch.Tensor
        Copies, for ``module.load_state_dict``; of quantized weights the numbers that they stand for.

    Raises
    ------
    ValueError
        A layer that PyTorch does not have.
    ImportError
        PyTorch is not installed; ``layer.state_dict()`` gives the same as arrays.

    Examples
    --------
    >>> import gru_rs, torch
    >>> state = gru_rs.to_torch_state_dict(gru_rs.GRU(3, 8))
    >>> torch.nn.GRU(3, 8).load_state_dict(state)
    <All keys matched successfully>
    """
    import torch

    _expect_known(layer)
    return {prefix + name: torch.from_numpy(value) for name, value in layer.state_dict().items()}


def to_safetensors(
    layer: Layer | Mapping[str, Layer], path: str | os.PathLike[str], *, prefix: str = ""
) -> None:
    """Write weights with PyTorch's names into a ``.safetensors`` file.

    Quantized weights are written as they are kept: float16, or int8 beside a scale for each row,
    ``NAME.scale``.

    Parameters
    ----------
    layer : GRU, LSTM, GRUCell or LSTMCell, or mapping of str to them
        As for `to_torch_state_dict`; several by what their names begin with: ``{"encoder.": gru}``.
    path : path-like
        The file is complete or not there.
    prefix : str, default ""
        What all names begin with.

    Raises
    ------
    ValueError
        A layer that PyTorch does not have.
    OSError
        The file cannot be written.

    Examples
    --------
    >>> import gru_rs, os, tempfile
    >>> gru = gru_rs.GRU(3, 8, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "gru.safetensors")
    ...     gru_rs.to_safetensors(gru, path)
    ...     again = gru_rs.from_torch(path)
    >>> bool((again.flat == gru.flat).all())
    True
    """
    state: dict[str, Array] = {}
    for own, one in (layer if isinstance(layer, Mapping) else {"": layer}).items():
        _expect_known(one)
        tensors = to_tensors(one._names, one._tensors())
        state |= {prefix + own + name: tensor for name, tensor in tensors.items()}
    parts = {name: _safetensors.part(array) for name, array in state.items()}
    write_whole(path, _safetensors.written(parts, {}))


def _expect_known(layer: Layer) -> None:
    """One that PyTorch has."""
    if not isinstance(layer, tuple(_MODULES.values())):
        msg = f"layer: expected a GRU, LSTM, GRUCell or LSTMCell of gru_rs, got {type(layer).__name__}"
        raise TypeError(msg)
    for option, expected in {
        "reset_after": True,
        "recurrent_activation": "sigmoid",
        "activation": "tanh",
        "clip": None,
    }.items():
        value = getattr(layer, option, expected)
        if value != expected:
            msg = f"layer: expected {option}={expected!r}, the only one that PyTorch has, got {value!r}"
            raise ValueError(msg)


_Parameters: TypeAlias = dict[str, tuple[dict[str, Any], dict[str, Any]]]
"""Parameters and options of each, by its name."""


def _modules(source: Any) -> _Parameters:
    """The recurrent modules in a module."""
    found: _Parameters = {}
    for name, module in source.named_modules():
        kinds = {base.__name__ for base in type(module).__mro__ if base.__module__ == "torch.nn.modules.rnn"}
        if kinds & {*_MODULES, "RNNBase", "RNNCellBase"}:
            if not kinds & {*_MODULES}:
                continue
            names = list(getattr(module, "_flat_weights_names", None) or _PARAMETERS[:4])
            # By attribute: a parametrized weight has other names in the state dict.
            values = {own: getattr(module, own, None) for own in names}
            options = {}
            if hasattr(module, "batch_first"):
                dropout = float(module.dropout) if module.num_layers > 1 else 0.0
                options = {"batch_first": bool(module.batch_first), "dropout": dropout}
            found[name] = {own: value for own, value in values.items() if value is not None}, options
    return found


def _read(source: Any) -> Mapping[Any, Any]:
    if isinstance(source, Mapping):
        return source
    if not isinstance(source, (str, os.PathLike)):
        msg = f"source: expected a torch.nn.Module, a state dict or a path, got {type(source).__name__}"
        raise TypeError(msg)
    path = Path(source)
    read = _read_safetensors if path.suffix == ".safetensors" else _read_torch
    with opened(path):  # an OSError of its own
        loaded: Any = read(path)
    if not isinstance(loaded, Mapping):
        msg = f"source: expected a file with a state dict, got {path.name} with a {type(loaded).__name__}"
        raise ValueError(msg)
    return loaded


def _read_safetensors(path: Path) -> Any:
    try:
        # Of large files of other layers their header alone; and of our own, which are refused.
        contents = _safetensors.read(
            path, wanted=lambda name, metadata: "gru_rs" not in metadata and bool(_tail(name))
        )
        arrays = contents.arrays()
    except ValueError as error:
        msg = f"source: expected a .safetensors file, got {path.name}, which is none: expected {error}"
        raise ValueError(msg) from error
    if header := contents.metadata.get("gru_rs"):
        kind = "an estimator" if '"estimator"' in header else "a network"
        msg = f"source: expected PyTorch's weights, got {path.name}, {kind}: gru_rs.load takes it"
        raise ValueError(msg)
    return arrays


def _read_torch(path: Path) -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        msg = (
            f"{path.name} is PyTorch's own kind of file, which PyTorch reads: pip install torch, or convert "
            "it to .safetensors where it is installed"
        )
        raise ImportError(msg, name="torch") from error
    try:
        # In memory, whatever PyTorch is set to: a map of a file that becomes shorter kills the process.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except Exception as error:  # of many classes: unpickling, zip, runtime
        msg = (
            f"source: expected a file of PyTorch that holds tensors alone, got {path.name}, which "
            f"torch.load(weights_only=True) refuses: {error}"
        )
        raise ValueError(msg) from error


def _flat(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The arrays of a dict of dicts, their names joined by dots."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif hasattr(value, "shape"):
            yield f"{prefix}{name}", value


def _tail(name: str) -> str | None:
    """The parameter's own name, or that of its scale, if it is one of a recurrent module."""
    whole = name.removesuffix(SCALE)
    own = whole.rpartition(".")[2]
    return own + name[len(whole) :] if own.startswith(_PARAMETERS) else None


def _groups(arrays: Iterator[tuple[str, Any]]) -> _Parameters:
    """The parameters of each module in a state dict."""
    found: _Parameters = {}
    for name, value in arrays:
        own = _tail(name)
        if own is not None:
            found.setdefault(name[: -len(own)].removesuffix("."), ({}, {}))[0][own] = value
    return found


def _array(name: str, value: Any) -> Array:
    """A tensor or an array as one of a layer's dtypes."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if not value.dtype.is_floating_point:
            msg = f"{name}: expected weights in a float dtype, got {value.dtype}"
            raise ValueError(msg)
        value = (value.float() if value.dtype.itemsize < 4 else value).numpy()
    array = np.asarray(value)
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    if array.dtype not in (np.float32, np.float64):
        msg = f"{name}: expected weights in float16, float32 or float64, got {array.dtype}"
        raise ValueError(msg)
    return array


def _layer(name: str, parameters: dict[str, Any], options: dict[str, Any]) -> Layer:
    """The layer whose parameters these are."""
    where = f"{name}: " if name else ""
    bytes_ = {own: np.asarray(value) for own, value in parameters.items() if own + SCALE in parameters}
    floats = {own: value for own, value in parameters.items() if own not in bytes_}
    arrays = {own: _array(f"{name}.{own}".lstrip("."), value) for own, value in floats.items()}
    dtype = np.result_type(*arrays.values())
    arrays |= bytes_
    if any(own.startswith("weight_hr") for own in arrays):
        msg = f"{where}expected an LSTM without projection, got one with proj_size, which layers do not have"
        raise ValueError(msg)
    is_cell = "weight_ih" in arrays
    tail = "" if is_cell else "_l0"
    if f"weight_ih{tail}" not in arrays or f"weight_hh{tail}" not in arrays:
        msg = f"{where}expected weight_ih_l0 and weight_hh_l0, or those of a cell, got {sorted(arrays)}"
        raise ValueError(msg)
    w_ih, w_hh = arrays[f"weight_ih{tail}"], arrays[f"weight_hh{tail}"]
    if w_ih.ndim != 2 or w_hh.ndim != 2 or not w_hh.shape[1]:
        msg = f"{where}expected weights of two axes, got weight_ih {w_ih.shape} and weight_hh {w_hh.shape}"
        raise ValueError(msg)
    cell = cell_of_rows(w_hh.shape[0], w_hh.shape[1], PYTORCH)
    if cell is None:
        msg = (
            f"{where}expected weight_hh{tail} of shape (3·hidden_size, hidden_size) for a GRU or "
            f"(4·hidden_size, hidden_size) for an LSTM, got {w_hh.shape}"
        )
        raise ValueError(msg)
    gates = cell.upper()
    if is_cell and options:
        msg = f"{where}expected neither batch_first nor dropout for a {gates}Cell, got {options}"
        raise ValueError(msg)
    shape: dict[str, Any] = {"bias": f"bias_ih{tail}" in arrays, "dtype": dtype, "seed": 0}
    if not is_cell:
        tails = {own.removesuffix(SCALE).removesuffix("_reverse").rpartition("_l")[2] for own in arrays}
        reverse = "weight_ih_l0_reverse" in arrays
        options = {"num_layers": max(map(int, tails)) + 1, "bidirectional": reverse, **options}
    kind: Any = _MODULES[gates + "Cell" * is_cell]
    shape |= {"input_size": w_ih.shape[1], "hidden_size": w_hh.shape[1], **options}
    try:
        if bytes_:
            return _quantized_layer(kind, shape, arrays)
        layer: Layer = kind(**shape)
        layer.load_state_dict(arrays)
    except ValueError as error:
        msg = f"{where}expected the parameters of one {gates}{'Cell' * is_cell}: {error}"
        raise ValueError(msg) from error
    return layer


def _quantized_layer(kind: Any, options: dict[str, Any], arrays: dict[str, Array]) -> Layer:
    """A layer of bytes, without float weights on the way."""
    tails, sides = [""], 1
    if "num_layers" in options:
        sides = 1 + options["bidirectional"]
        ends = ("", "_reverse")[:sides]
        tails = [
            f"_l{layer}{end}" for layer in range(min(options["num_layers"], len(arrays))) for end in ends
        ]
    hidden = options["hidden_size"]
    rows = len(CELLS[kind._cell].gates) * hidden
    names = []
    for tail in tails:
        inputs = options["input_size"] if tail in ("", "_l0", "_l0_reverse") else sides * hidden
        shapes = [(rows, inputs), (rows, hidden), (rows,), (rows,)][: 4 if options["bias"] else 2]
        names += [(own + tail, 0, 0, shape) for own, shape in zip(_PARAMETERS, shapes, strict=False)]
    layer: Layer = kind._from_tensors(options, from_tensors(names, arrays, np.dtype(options["dtype"])))
    return layer

"""Weights of PyTorch, from its modules, state dicts and files, and back.

Files are read without PyTorch; modules and tensors bring it along.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import _safetensors
from .._cells import GRUCell, LSTMCell
from .._files import MAX_BYTES, write_whole
from .._layers import GRU, LSTM
from .._quantize import to_tensors
from . import _torch_files
from ._found import Found, chosen, shown, sorted_out
from ._pickles import Opaque
from ._source import KINDS, Budget, Source, source_of
from ._torch_modules import classes, modules_in
from ._torch_names import flat, is_weight, layers_in, with_classes

if TYPE_CHECKING:
    from .._arrays import Array
    from ._torch_names import Layer

FILES = ("safetensors", "npz", *_torch_files.FORMATS)
"""Of `Source`, the kinds that are read here."""


def from_torch(
    source: Any,
    name: str | None = None,
    *,
    batch_first: bool | None = None,
    dropout: float | None = None,
    max_bytes: int = MAX_BYTES,
) -> Layer:
    """Take a GRU, LSTM, GRUCell or LSTMCell of PyTorch with its weights.

    Parameters
    ----------
    source : torch.nn.Module, mapping of str to tensor or array, torch.export.ExportedProgram, or path-like
        A module (of that kind, or one that contains such, TorchScript's and those of ``quantize_dynamic``
        too); a state dict; a file: ``.safetensors``, of ``torch.save`` with a state dict, a TorchScript or
        ``torch.export`` archive, an ``.npz``, or a pickle of arrays, by its first bytes, also within an
        archive. Files are read without PyTorch, and nothing in them is run. Dicts within dicts, as of
        checkpoints, and lists of dicts are joined by dots: ``"0.encoder.gru"``.
    name : str, optional
        Which one, as ``"encoder.gru"``; may be left out if there is but one.
    batch_first, dropout : optional
        For state dicts, files and traced modules, which do not know; a module's own when missing, else False
        and 0.
    max_bytes : int, default 2**32
        The most to read of a file, and to make of it, of all its layers together.

    Returns
    -------
    GRU, LSTM, GRUCell or LSTMCell
        In the weights' dtype; float16 and bfloat16 become float32, exactly. A file of int8 weights that
        `to_safetensors` wrote becomes a layer of them again; what ``quantize_dynamic`` packed becomes the
        float32 that it stands for.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        There is none of them, or several and no `name`; names are left over beside a layer's own, or missing;
        shapes do not fit; a plain RNN, an LSTM with a projection, a module with a forward or hooks of its
        own. The error tells which layers can be had, and of the others why not.

    Notes
    -----
    Converted as they compute: weight norm (``weight_g`` and ``weight_v``, or parametrizations), pruning
    (``_orig`` and ``_mask``), fastai's ``_raw`` weights, Equinox's ``bias`` and ``bias_n``, Paddle's arrays
    under two names.

    Names are all that a state dict tells: weights of another class with PyTorch's names and shapes are taken
    for PyTorch's own. Modules are known by their class; so are TorchScript's, and those of exported programs
    as far as the graph says of which module a step is.

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
    return chosen(found_in(source, given, name, max_bytes), name)


def found_in(
    source: Any,
    given: Mapping[str, Any] | None = None,
    name: str | None = None,
    max_bytes: int = MAX_BYTES,
) -> Found[Layer]:
    """Every one of them by its name, with the options that are given for those that do not know them."""
    if hasattr(source, "named_modules"):
        found, there = modules_in(source, given or {}, name), type(source).__name__
    else:
        tree, budget = _read(source, max_bytes)
        named = flat(tree)
        found, there = layers_in(named, given or {}, budget), _told(named)
    if not found:
        msg = f"source: expected a GRU, LSTM, GRUCell or LSTMCell of PyTorch within, got none in {there}"
        raise ValueError(msg)
    return found


def all_from_torch(source: Any, max_bytes: int = MAX_BYTES) -> tuple[dict[str, Layer], dict[str, str]]:
    """What `from_torch` can take, and of all others why it refuses them; by name."""
    return sorted_out(found_in(source, max_bytes=max_bytes))


def _told(named: Mapping[str, Any]) -> str:
    """What a source without layers holds."""
    objects = [one for one in named.values() if isinstance(one, Opaque) and not _torch_files.is_array(one)]
    whole = {one.name for one in objects} - {_torch_files.UNREAD}
    if whole:
        some = ", ".join(map(shown, sorted(whole)[:3]))
        return f"objects of {some}: save what their state_dict() gives, which can be read without their code"
    names = ", ".join(repr(shown(name)) for name in list(named)[:3])
    return f"{len(named)} arrays" + (f", the first of them {names}" if named else "")


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
    if not isinstance(layer, (GRU, LSTM, GRUCell, LSTMCell)):
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


def _read(source: Any, max_bytes: int) -> tuple[Any, Budget | None]:
    """Dicts of arrays, of what is there or of a file, and of a file how much may be made of it."""
    if isinstance(getattr(source, "state_dict", None), Mapping):  # an exported program's
        return with_classes(source.state_dict, classes(source)), None
    if isinstance(source, (Mapping, list, tuple)):
        return source, None
    if not isinstance(source, (str, os.PathLike)):
        msg = f"source: expected a torch.nn.Module, a state dict or a path, got {type(source).__name__}"
        raise TypeError(msg)
    found = source_of(source, FILES, max_bytes)
    try:
        return _contents(found), Budget(found.name, found.size, found.max_bytes)
    except ValueError as error:
        if str(error).startswith("source: "):
            raise
        msg = (
            f"source: expected {KINDS[found.kind]}, got {found.name}, which cannot be read: expected {error}"
        )
        raise ValueError(msg) from error


def _contents(source: Source) -> Any:
    if source.kind == "npz":
        return _torch_files.npz(source, is_weight)
    if source.kind == "pt2":
        return with_classes(_torch_files.read(source), _torch_files.classes(source))
    return _safetensors_of(source) if source.kind == "safetensors" else _torch_files.read(source)


def _safetensors_of(source: Source) -> dict[str, Any]:
    """Of large files of other layers their header alone; and of our own, which are refused."""
    with source.opened() as opened:
        contents = _safetensors.read_from(
            *opened, source.max_bytes, lambda name, metadata: "gru_rs" not in metadata and is_weight(name)
        )
    if header := contents.metadata.get("gru_rs"):
        kind = "an estimator" if '"estimator"' in header else "a network"
        msg = f"source: expected PyTorch's weights, got {source.name}, {kind}: gru_rs.load takes it"
        raise ValueError(msg)
    others = {name: Opaque(_torch_files.UNREAD) for name in contents.tensors}
    return others | contents.arrays()

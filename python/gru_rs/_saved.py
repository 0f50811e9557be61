"""Networks in one safetensors file: the weights under PyTorch's names, and as metadata a JSON text with the
constructor's arguments, and a checksum. Nothing in a file is executed. It must not know estimators, whose
files are a network's with more in the metadata.
"""

from __future__ import annotations

import inspect
import json
import zlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, TypeVar

from . import _safetensors
from ._arrays import as_float_dtype
from ._checks import as_count
from ._files import MAX_BYTES, write_whole
from ._quantize import from_tensors, to_tensors

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ._parameters import Network
    from ._quantize import Quantization

FORMAT_VERSION = 1
_KEY = "gru_rs"
_CHECKSUM_KEY = "gru_rs_checksum"
_CHECKSUM = "crc32"

C = TypeVar("C", bound=type)

_NETWORKS: dict[str, Any] = {}
"""The classes whose files are read, by name. They come by themselves: this file is below them."""


def readable(kind: C) -> C:
    """Lets `gru_rs.load` make networks of a class."""
    _NETWORKS[kind.__name__] = kind
    return kind


TRAINING = "training."
"""What the names of tensors begin with that are no network's, but its training's."""


def write(
    path: str | os.PathLike[str],
    saved: Network,
    quantization: Quantization | None,
    tensors: Mapping[str, Any] | None = None,
    **header: Any,
) -> None:
    """Write a network, and what else a header says, with tensors of its training; the file is complete or not
    there.
    """
    options = saved._options | {"dtype": saved.dtype.name, "seed": saved.seed}
    generators = {"model": saved._core.rng_state} | header.pop("generators", {})
    # The text says that there is a checksum, whose own name in the file may be what is damaged.
    begin = {"format_version": FORMAT_VERSION, "checksum": _CHECKSUM}
    header = begin | header | {"model": options, "generators": generators}
    if quantization is not None:
        header["quantization"] = asdict(quantization)
    text = json.dumps(header, allow_nan=True)
    all_tensors = to_tensors(saved._names, saved._tensors()) | dict(tensors or {})
    parts = {name: _safetensors.part(tensor) for name, tensor in all_tensors.items()}
    data = _safetensors.written(parts, {_KEY: text, _CHECKSUM_KEY: checksum(text, parts)})
    write_whole(path, data)


def checksum(text: str, parts: Mapping[str, tuple[str, Iterable[int], bytes]]) -> str:
    """CRC-32 of the header's text and of each tensor in order of name: its name, type, shape and bytes.

    It is against damage, not against people: who changes a file on purpose can write another. Of all that
    differs in a single place, up to 32 bits long, it finds everything, and of other damage all but one in
    2³².
    """
    found = zlib.crc32(text.encode())
    for name, (dtype, shape, data) in sorted(parts.items()):
        found = zlib.crc32(f"\n{name} {dtype} {list(shape)}\n".encode(), found)
        found = zlib.crc32(data, found)
    return f"{_CHECKSUM}:{found:08x}"


def read(path: Path, max_bytes: int = MAX_BYTES) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and the header of a file of this kind."""
    try:
        contents = _safetensors.read(path, max_bytes)
        tensors = contents.arrays(bits=True)
    except ValueError as error:
        msg = f"{path}: expected a whole safetensors file: expected {error}"
        raise ValueError(msg) from error
    text = contents.metadata.get(_KEY)
    if text is None:
        msg = f"{path}: expected a model saved by gru_rs, got a safetensors file without its metadata"
        raise ValueError(msg)
    given = contents.metadata.get(_CHECKSUM_KEY)
    if given is not None:
        parts = {
            name: (dtype, shape, contents.data[name])
            for name, (dtype, shape, _, _) in contents.tensors.items()
        }
        found = checksum(text, parts)
        if found != given:
            expected = f"the checksum {given[:40]!r} that it was saved with"
            msg = f"{path}: expected {expected}, got {found!r}: it is damaged"
            raise ValueError(msg)
    try:
        header = _safetensors.parsed(text, constants=True)
        version, summed = header["format_version"], header.pop("checksum", None)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        msg = f"{path}: expected metadata of gru_rs as JSON, got: {error}"
        raise ValueError(msg) from error
    if version != FORMAT_VERSION or isinstance(version, bool):
        msg = (
            f"{path}: expected format version {FORMAT_VERSION}, got {version!r};"
            " a newer gru_rs may be needed (pip install --upgrade gru-rs)"
        )
        raise ValueError(msg)
    if summed != (None if given is None else _CHECKSUM):
        found = "none" if given is None else repr(given[:40])
        msg = f"{path}: expected a checksum as its header says ({summed!r}), got {found}: it is damaged"
        raise ValueError(msg)
    return tensors, header


def unusable(path: Path, error: Exception) -> ValueError:
    """What is said of a file whose header and tensors do not fit."""
    reason = f"no {error}" if isinstance(error, KeyError) else str(error)
    return ValueError(f"{path}: expected a model of gru_rs, got one that cannot be used: {reason}")


UNUSABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError, IndexError, RecursionError)
"""What comes of such a file."""

ADDED_LATER: frozenset[str] = frozenset(
    {
        "class_weight",
        "conv_activation",
        "conv_channels",
        "conv_kernel_size",
        "conv_stride",
        "embedding_init",
        "frozen",
        "gaps",
        "huber_delta",
        "levels",
        "scoring",
        "token_dropout",
        "vocabulary",
    }
)
"""Arguments of networks, and parameters of estimators, that files of earlier versions do not have: they meant
the default.
"""


def meant(kind: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """A network's options with what files of earlier versions meant without a word."""
    known = inspect.signature(kind).parameters
    later = ADDED_LATER & set(known)
    if "conv_channels" in options:  # and then all that belongs to it
        later -= {name for name in later if name.startswith("conv_")}
    return {name: known[name].default for name in later} | dict(options)


def expect_names(what: str, found: Any, wanted: Iterable[str], allowed: Iterable[str] = ()) -> None:
    """An object with these names, perhaps some that are allowed, and no others."""
    if not isinstance(found, dict):
        msg = f"{what}: expected an object, got {type(found).__name__}"
        raise TypeError(msg)
    missing, unknown = set(wanted) - set(found), set(found) - set(wanted) - set(allowed)
    if missing or unknown:
        kept = f"no {', '.join(sorted(missing))}" if missing else f"another: {', '.join(sorted(unknown))}"
        msg = f"{what}: expected {', '.join(sorted(wanted))}, got {kept}"
        raise ValueError(msg)


def network_of(
    kind: type[Network], tensors: dict[str, Any], header: dict[str, Any]
) -> tuple[Any, Quantization | None]:
    """The network of a class that a file holds, and how it was quantized."""
    options = header["model"]
    arguments = set(inspect.signature(kind).parameters)
    expect_names("model", options, arguments - ADDED_LATER, ADDED_LATER & arguments)
    options = meant(kind, options)
    # Before anything is allocated: the sizes are those of the weights that the file really has.
    if options.get("num_layers", 1) > len(tensors):
        most, layers = len(tensors), options["num_layers"]
        msg = f"num_layers: expected no more than the file's {most} tensors, got {layers}"
        raise ValueError(msg)
    kept = from_tensors(kind._names_of(options), tensors, as_float_dtype(options["dtype"]))
    network = kind._from_tensors(options, kept)
    network._core.set_rng_state(as_count("generators.model", header["generators"]["model"], 2**64))
    return network, _quantization(network, header.get("quantization"))


def _quantization(network: Network, report: Any) -> Quantization | None:
    """What a file says of quantization, which must be so."""
    made = network.quantization
    if (made is None) != (report is None):
        expected = "float" if report is None else "quantized"
        msg = f"weights: expected {expected} ones, got {network.weight_dtype}"
        raise ValueError(msg)
    if made is None:
        return None
    sure, differences = asdict(made), ("max_difference", "mean_difference", "mean_output")
    expect_names("quantization", report, sure)
    for name in set(sure) - set(differences):
        if report[name] != sure[name] or type(report[name]) is not type(sure[name]):
            msg = f"quantization.{name}: expected {sure[name]!r}, as the weights have, got {report[name]!r}"
            raise ValueError(msg)
    found = {name: report[name] for name in differences}
    none = [value is None for value in found.values()]
    if not all(none) and (any(none) or not all(type(x) is float and not x < 0 for x in found.values())):
        msg = f"quantization: expected three numbers from 0, or none of them, got {found}"
        raise ValueError(msg)
    return replace(made, **found)


def load_network(tensors: dict[str, Any], header: dict[str, Any]) -> Network:
    """A network that was saved by itself."""
    expect_names("metadata", header, ("format_version", "network", "model", "generators"), ("quantization",))
    expect_names("generators", header["generators"], ("model",))
    if header["network"] not in _NETWORKS:
        msg = f"network: expected one of {sorted(_NETWORKS)}, got {header['network']!r}"
        raise ValueError(msg)
    network: Network
    network, network._quantization = network_of(_NETWORKS[header["network"]], tensors, header)
    return network


def save(network: Network, path: str | os.PathLike[str]) -> None:
    """Write a network by itself."""
    kind = type(network)
    if _NETWORKS.get(kind.__name__) is not kind:
        known = ", ".join(sorted(_NETWORKS))
        msg = f"save: expected one of {known}, got {kind.__name__}, which would come back as another"
        raise TypeError(msg)
    write(path, network, network.quantization, network=kind.__name__)

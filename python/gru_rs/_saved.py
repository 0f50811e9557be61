"""Networks in one safetensors file: the weights under PyTorch's names, and as metadata a JSON text with the
constructor's arguments. Nothing in a file is executed. It must not know estimators, whose files are a
network's with more in the metadata.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ._arrays import as_float_dtype
from ._files import write_whole
from ._quantize import from_tensors, to_tensors

if TYPE_CHECKING:
    import os

    from ._parameters import Network
    from ._quantize import Quantization

FORMAT_VERSION = 1
_KEY = "gru_rs"

C = TypeVar("C", bound=type)

_NETWORKS: dict[str, Any] = {}
"""The classes whose files are read, by name. They come by themselves: this file is below them."""


def readable(kind: C) -> C:
    """Lets `gru_rs.load` make networks of a class."""
    _NETWORKS[kind.__name__] = kind
    return kind


def write(
    path: str | os.PathLike[str], saved: Network, quantization: Quantization | None, **header: Any
) -> None:
    """Write a network, and what else a header says; the file is complete or not there."""
    import safetensors.numpy

    options = saved._options | {"dtype": saved.dtype.name, "seed": saved.seed}
    generators = {"model": saved._core.rng_state} | header.pop("generators", {})
    header = {"format_version": FORMAT_VERSION} | header | {"model": options, "generators": generators}
    if quantization is not None:
        header["quantization"] = asdict(quantization)
    tensors = to_tensors(saved._names, saved._tensors())
    write_whole(path, safetensors.numpy.save(tensors, {_KEY: json.dumps(header, allow_nan=True)}))


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tensors and the header of a file of this kind."""
    import safetensors

    with path.open("rb"):  # an OSError that names the file
        pass
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, TypeError) as error:
        msg = f"{path}: expected a whole safetensors file, got: {error}"
        raise ValueError(msg) from error
    if _KEY not in metadata:
        msg = f"{path}: expected a model saved by gru_rs, got a safetensors file without its metadata"
        raise ValueError(msg)
    try:
        header = json.loads(metadata[_KEY])
        version = header["format_version"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        msg = f"{path}: expected metadata of gru_rs as JSON, got: {error}"
        raise ValueError(msg) from error
    if version != FORMAT_VERSION:
        msg = (
            f"{path}: expected format version {FORMAT_VERSION}, got {version!r};"
            " a newer gru_rs may be needed (pip install --upgrade gru-rs)"
        )
        raise ValueError(msg)
    return tensors, header


def unusable(path: Path, error: Exception) -> ValueError:
    """What is said of a file whose header and tensors do not fit."""
    reason = f"no {error}" if isinstance(error, KeyError) else str(error)
    return ValueError(f"{path}: expected a model of gru_rs, got one that cannot be used: {reason}")


UNUSABLE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What comes of such a file."""


def network_of(
    kind: type[Network], tensors: dict[str, Any], header: dict[str, Any]
) -> tuple[Any, Quantization | None]:
    """The network of a class that a file holds, and how it was quantized."""
    options = header["model"]
    # Before anything is allocated: the sizes are those of the weights that the file really has.
    if options.get("num_layers", 1) > len(tensors):
        most, layers = len(tensors), options["num_layers"]
        msg = f"num_layers: expected no more than the file's {most} tensors, got {layers}"
        raise ValueError(msg)
    kept = from_tensors(kind._names_of(options), tensors, as_float_dtype(options["dtype"]))
    report = header.get("quantization")
    network = kind._from_tensors(options, kept)
    if (network.quantization is None) != (report is None):
        expected = "float" if report is None else "quantized"
        msg = f"weights: expected {expected} ones, got {network.weight_dtype}"
        raise ValueError(msg)
    network._core.set_rng_state(header["generators"]["model"])
    if report is None or network.quantization is None:
        return network, None
    found = {name: report[name] for name in ("max_difference", "mean_difference", "mean_output")}
    differences: Any = {name: None if value is None else float(value) for name, value in found.items()}
    return network, replace(network.quantization, **differences)


def load_network(tensors: dict[str, Any], header: dict[str, Any]) -> Network:
    """A network that was saved by itself."""
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

"""Quantized weights: their names, as tensors of a file, and what they cost. The numbers are `_core`'s."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ._arrays import BFLOAT16
from ._checks import as_choice, shown
from ._words import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ._arrays import Array
    from ._names import Names

Tensors: TypeAlias = list[tuple[str, list[Any]]]
"""Of each parameter the word of what it is kept in, and its arrays: one, or bytes and their scales."""

WIDTHS = {{"float16": "f16", "bfloat16": "bf16"}.get(word, word): word for word in WORDS["weight_dtype"]}
"""What `quantize` takes, and the whole name of it, which it takes as well."""

_IN_FILES: dict[str, np.dtype[Any]] = {
    "int8": np.dtype(np.int8),
    "float16": np.dtype(np.float16),
    "bfloat16": BFLOAT16,
}
"""The type of each width's numbers in a file; one that is not here can be neither written nor read."""

SCALE = ".scale"
"""What the name of a matrix's scales ends with."""


@dataclass(frozen=True)
class Quantization:
    """What `quantize` has done.

    Attributes
    ----------
    weight_dtype : str
        ``"int8"``, ``"float16"`` or ``"bfloat16"``.
    nbytes, whole_nbytes : int
        Bytes of the parameters, and of those they were made of.
    max_difference, mean_difference : float or None
        Between the outputs of both for the data of ``validate``, the largest and the mean of absolute values;
        None without it.
    mean_output : float or None
        The mean absolute output of the whole weights, to compare them with.

    Examples
    --------
    >>> import gru_rs, numpy as np
    >>> x = np.random.default_rng(1).normal(size=(20, 4, 64)).astype(np.float32)
    >>> report = gru_rs.GRU(64, 128, seed=1).quantize("int8", validate=x).quantization
    >>> report.nbytes < 0.27 * report.whole_nbytes and report.max_difference < 0.05
    True
    """

    weight_dtype: str
    nbytes: int
    whole_nbytes: int
    max_difference: float | None = None
    mean_difference: float | None = None
    mean_output: float | None = None


def as_width(dtype: Any) -> str:
    """The whole name of what the weights shall be kept in."""
    chosen = as_choice("dtype", dtype, tuple(dict.fromkeys([*WIDTHS, *WIDTHS.values()])))
    return WIDTHS.get(chosen, chosen)


def expect_validate(validate: Any, lengths: Any) -> None:
    """Lengths are those of something."""
    if validate is None and lengths is not None:
        msg = f"lengths: expected with validate, whose they are, got {shown(lengths)} alone"
        raise ValueError(msg)


def compared(
    name: str, sizes: tuple[int, int], whole: Iterable[Array], quantized: Iterable[Array]
) -> Quantization:
    """The report over outputs of both, array by array."""
    total, largest, apart, size = 0, 0.0, 0.0, 0.0
    for one, other in zip(whole, quantized, strict=True):
        difference = np.abs(np.subtract(other, one, dtype=np.float64))
        if difference.size:
            largest = float(np.max([largest, difference.max()]))
            apart += float(difference.sum())
            size += float(np.abs(one, dtype=np.float64).sum())
            total += difference.size
    return Quantization(name, *sizes, largest, apart / max(total, 1), size / max(total, 1))


def to_tensors(names: Names, kept: Tensors) -> dict[str, Array]:
    """The parameters as a file holds them: bytes with their scales under another name, halves, floats."""
    tensors = {}
    for (name, _, _, shape), (word, arrays) in zip(names, kept, strict=True):
        numbers = arrays[0]
        tensors[name] = numbers.view(_IN_FILES.get(word, numbers.dtype)).reshape(shape)
        if len(arrays) == 2:
            tensors[name + SCALE] = arrays[1]
    return tensors


def from_tensors(names: Names, tensors: Mapping[str, Array], dtype: np.dtype[Any]) -> Tensors:
    """The same back; a ValueError or TypeError where they are not those of the names."""
    wanted = {name: shape for name, _, _, shape in names}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    words = {kind: word for word, kind in _IN_FILES.items()}
    widths = {
        name: words[tensors[name].dtype]
        for name, shape in wanted.items()
        if len(shape) == 2 and name in tensors and tensors[name].dtype in words
    }
    wanted |= {name + SCALE: wanted[name][:1] for name, word in widths.items() if word == "int8"}
    if wanted != found:
        differing = sorted(set(wanted.items()) ^ set(found.items()))[:4]
        msg = f"weights: expected those of the model's sizes, got others at {differing}"
        raise ValueError(msg)
    kept: Tensors = []
    for name, *_ in names:
        word = widths.get(name, dtype.name)
        if word == dtype.name:
            arrays = [_of_dtype(name, tensors[name], dtype)]
        else:
            numbers = np.ascontiguousarray(tensors[name]).reshape(-1)
            # Of 16 bits the bits: Rust has no type that NumPy's would be.
            arrays = [numbers if word == "int8" else numbers.view(np.uint16)]
        if name + SCALE in wanted:
            arrays.append(_of_dtype(name + SCALE, tensors[name + SCALE], dtype))
        kept.append((word, arrays))
    return kept


def _of_dtype(name: str, array: Array, dtype: np.dtype[Any]) -> Array:
    if array.dtype != dtype:
        msg = f"{name}: expected {dtype.name}, got {array.dtype}"
        raise ValueError(msg)
    return np.ascontiguousarray(array).reshape(-1)

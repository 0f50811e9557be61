"""Arrow columns, whoever has them: pyarrow, polars, pandas, anything with the PyCapsule interface. Numbers
are looked at where they are, by offsets and values. The only file of this room that knows pyarrow; it must
not know estimators.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ._batches import Array
from ._columns import Frame, Ragged, no_dates, refuse_missing


def is_arrow(given: Any) -> bool:
    """Whether it gives out Arrow's memory."""
    return hasattr(given, "__arrow_c_array__") or hasattr(given, "__arrow_c_stream__")


def column_of(name: str, given: Any) -> Array | list[Any] | Ragged | Frame:
    """A column, or a table, as what it holds: numbers, texts, a sequence in each row."""
    try:
        import pyarrow as pa
    except ImportError as error:
        msg = f"{name}: pyarrow is needed to read {type(given).__name__}, and is not installed:"
        msg += " pip install 'gru-rs[arrow]'"
        raise ImportError(msg) from error
    if hasattr(given, "__arrow_c_stream__"):
        whole = pa.chunked_array(given)
    else:
        array = pa.array(given)
        whole = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    return _opened(name, whole)


def _opened(name: str, whole: Any) -> Array | list[Any] | Ragged | Frame:
    import pyarrow as pa

    kind = whole.type
    if pa.types.is_struct(kind):
        _expect_whole(name, whole)
        names = [kind.field(place).name for place in range(kind.num_fields)]
        parts = [chunk.flatten() for chunk in whole.chunks]
        columns = [
            pa.chunked_array([part[at] for part in parts], kind.field(at).type) for at in range(len(names))
        ]
        opened = [
            _opened(f"{name}, column {own!r}", column) for own, column in zip(names, columns, strict=True)
        ]
        return Frame(names, opened, pa.schema(list(kind)).empty_table())
    if isinstance(kind, pa.FixedShapeTensorType):
        _expect_whole(name, whole)
        return np.concatenate(
            [chunk.to_numpy_ndarray() for chunk in whole.chunks] or [np.empty((0, *kind.shape))]
        )
    whole = _plain(whole)
    _expect_whole(name, whole)
    if _is_text(whole.type):
        texts: list[Any] = whole.to_pylist()
        return texts
    if not _is_list(whole.type):
        return _joined([_numbers(name, chunk) for chunk in whole.chunks], _empty(name, whole.type))
    if _is_text(_innermost(whole.type)):
        return _token_lists(name, whole)
    return _rows(name, whole)


def _plain(array: Any) -> Any:
    """Without what only says how values are stored."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array.type, pa.BaseExtensionType):
        return _plain(
            array.cast(array.type.storage_type) if isinstance(array, pa.ChunkedArray) else array.storage
        )
    if pa.types.is_dictionary(array.type):
        chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
        # Views of strings cannot be taken by number.
        plain = pa.large_string() if pa.types.is_string_view(array.type.value_type) else array.type.value_type
        decoded = [
            pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(plain)).dictionary_decode()
            for chunk in chunks
        ]
        return pa.chunked_array(decoded, plain) if isinstance(array, pa.ChunkedArray) else decoded[0]
    if pa.types.is_run_end_encoded(array.type):
        return pc.run_end_decode(array)
    return array


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    listed = (
        types.is_list,
        types.is_large_list,
        types.is_fixed_size_list,
        types.is_list_view,
        types.is_large_list_view,
    )
    return any(one(kind) for one in listed)


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return any(one(kind) for one in (types.is_string, types.is_large_string, types.is_string_view))


def _innermost(kind: Any) -> Any:
    from pyarrow import types

    kind = kind.value_type
    return kind.value_type if types.is_dictionary(kind) else kind


def _expect_whole(name: str, whole: Any) -> None:
    if whole.null_count:
        refuse_missing(name, f"row {np.flatnonzero(whole.is_null().to_numpy())[0]}")


def _token_lists(name: str, whole: Any) -> list[Any]:
    rows: list[Any] = whole.to_pylist()
    for row, tokens in enumerate(rows):
        if None in tokens:
            refuse_missing(name, f"row {row}", f"step {tokens.index(None)}")
    return rows


def _rows(name: str, whole: Any) -> Ragged:
    """A sequence of numbers in each row."""
    first, parts, width, table = 0, [], None, None
    for chunk in whole.chunks:
        values, starts, lengths, width = _split(chunk)
        flat, table = _steps(name, values, _Place(first, starts, lengths))
        parts.append((flat, starts, lengths))
        first += len(chunk)
    if not parts:
        return Ragged(np.empty((0, 1)), *np.empty((2, 0), np.intp))
    before = np.cumsum([0, *(len(flat) for flat, _, _ in parts)])
    begins = [begin + own for begin, (_, own, _) in zip(before, parts, strict=False)]
    return Ragged(
        _joined([flat for flat, _, _ in parts]),
        _joined(begins),
        _joined([own for _, _, own in parts]),
        width,
        table,
    )


def _joined(parts: list[Array], none: Array | None = None) -> Array:
    """One behind the other; one alone stays where it is."""
    if not parts and none is not None:
        return none
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


class _Place:
    """Where a value of a chunk is: for messages."""

    def __init__(self, first: int, starts: Array, lengths: Array) -> None:
        self._first, self._starts, self._lengths = first, starts, lengths

    @property
    def first(self) -> int:
        """The first value of the first row that has one."""
        return int(self._starts[self._lengths.argmax()]) if len(self._starts) else 0

    def of(self, values: Array) -> tuple[int, int, int] | None:
        """Row and step of the first of sorted places that a row has, and that place."""
        inside = np.searchsorted(values, self._starts + self._lengths) > np.searchsorted(values, self._starts)
        if not inside.any():
            return None
        row = int(inside.argmax())
        value = int(values[np.searchsorted(values, self._starts[row])])
        return self._first + row, value - int(self._starts[row]), value

    def deeper(self, size: int) -> _Place:
        """The same of values of which each step has some."""
        return _Place(self._first, self._starts * size, self._lengths * size)


def _split(chunk: Any) -> tuple[Any, Array, Array, int | None]:
    """Values, where each row begins among them, how many it has, and whether all have as many."""
    from pyarrow import types

    if types.is_fixed_size_list(chunk.type):
        width = chunk.type.list_size
        values = chunk.values.slice(chunk.offset * width, len(chunk) * width)
        return values, np.arange(len(chunk)) * width, np.full(len(chunk), width), width
    offsets = chunk.offsets.to_numpy().astype(np.intp)
    if types.is_list(chunk.type) or types.is_large_list(chunk.type):
        starts, lengths = offsets[:-1], np.diff(offsets)
    else:
        starts, lengths = offsets, chunk.sizes.to_numpy().astype(np.intp)
    # Of values before and behind, which a slice may have, nothing is read.
    used = lengths > 0
    low, high = (int(starts[used].min()), int((starts + lengths)[used].max())) if used.any() else (0, 0)
    return chunk.values.slice(low, high - low), np.where(used, starts - low, 0), lengths, None


def _steps(name: str, values: Any, place: _Place) -> tuple[Array, Any]:
    """Steps of numbers, ``(N, F)``, and a table without rows that has their names if they are fields."""
    import pyarrow as pa
    from pyarrow import types

    values = _plain(values)
    if found := place.of(_nulls(values)):
        refuse_missing(name, f"row {found[0]}", f"step {found[1]}")
    if types.is_struct(values.type):
        fields = [_plain(field) for field in values.flatten()]
        if any(types.is_nested(field.type) for field in fields):
            msg = f"{name}: expected fields that are numbers, got {values.type}"
            raise TypeError(msg)
        parts = [_steps(name, field, place)[0] for field in fields]
        return np.column_stack(parts), pa.schema(list(values.type)).empty_table()
    if not _is_list(values.type):
        return _numbers(name, values)[:, np.newaxis], None
    inner, starts, lengths, width = _split(values)
    size = int(lengths[place.first]) if width is None and len(lengths) else width or 1
    if found := place.of(np.flatnonzero(lengths != size)):
        row, step, other = found
        msg = f"{name}: expected {size} numbers in each step, got {lengths[other]} in row {row}, step {step}"
        raise ValueError(msg)
    flat = _plain(inner)
    if _is_list(flat.type):
        msg = f"{name}: expected rows of numbers or of lists of numbers, got {values.type} in each row"
        raise TypeError(msg)
    if found := place.deeper(size).of(_nulls(flat)):
        refuse_missing(name, f"row {found[0]}", f"step {found[1] // max(size, 1)}")
    found_numbers = _numbers(name, flat)
    if (np.diff(starts) != size).any() or len(found_numbers) != len(starts) * size:
        # Steps that no row has may be of any size.
        found_numbers = found_numbers.take(starts[:, np.newaxis] + np.arange(size), mode="clip")
    return found_numbers.reshape(len(starts), size), None


def _nulls(values: Any) -> Array:
    """Where there is nothing."""
    if not values.null_count:
        return np.empty(0, np.intp)
    return np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))


def _numbers(name: str, values: Any) -> Array:
    """Numbers as they lie in memory; bits as bytes."""
    from pyarrow import types

    kind = values.type
    if types.is_boolean(kind):
        flags: Array = values.fill_null(False).to_numpy(zero_copy_only=False)
        return flags
    dtype = _empty(name, kind).dtype
    buffer = values.buffers()[1]
    if buffer is None or len(values) == 0:
        return np.empty(len(values), dtype)
    found: Array = np.frombuffer(buffer, dtype, len(values), values.offset * dtype.itemsize)
    return found


def _empty(name: str, kind: Any) -> Array:
    """No numbers of a type, which must be one of numbers."""
    from pyarrow import types

    if types.is_temporal(kind):
        no_dates(name, str(kind))
    if types.is_boolean(kind):
        return np.empty(0, np.bool_)
    if not (types.is_integer(kind) or types.is_floating(kind)):
        msg = f"{name}: expected a column of numbers, texts, or lists of them, got one of {kind}"
        raise TypeError(msg)
    return np.empty(0, kind.to_pandas_dtype())

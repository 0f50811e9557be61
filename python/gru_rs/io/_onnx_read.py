"""ONNX models as they come in, and their tensors with the files beside them, all of it bounded.

It must not know nodes. Tensors are read when they are asked for, so that large layers of other kinds
cost nothing.
"""

from __future__ import annotations

import graphlib
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnx.inliner
from onnx import helper, numpy_helper

from .._files import MAX_BYTES, opened, read_exactly
from ._source import Budget, as_max_bytes, expect_bytes, source_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._arrays import Array

DEEPEST = 50
"""Graphs within graphs; protobuf itself has no more than 100 messages within messages."""
_BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}


class TooLargeError(ValueError):
    """More than may be made of a file."""


class OnnxFile:
    """A model, its local functions in place; `max_bytes` bounds what is read of it and what is made of it.

    Attributes
    ----------
    model : onnx.ModelProto
        Without what lies in other files.
    """

    def __init__(self, source: Any, max_bytes: int = MAX_BYTES) -> None:
        self._folders: list[str] = []
        self._budget = Budget("source", 0, as_max_bytes(max_bytes))
        functions = self._budget.max_bytes
        if isinstance(source, onnx.ModelProto):
            self._budget.size, found = self._budget.max_bytes, source  # how much it is says no file
        else:
            name, data = self._whole(source)
            self._budget.size = len(data)
            functions = min(functions, 16 * len(data) + 2**24)
            found = _parsed(name, data)
            _expect_text(name, found)
        self.model = _inlined(found, functions)

    def _whole(self, source: Any) -> tuple[str, bytes]:
        """What messages call it, and its bytes."""
        if isinstance(source, bytes):
            expect_bytes("source", len(source), len(source), self._budget.max_bytes)
            return "bytes", source
        if not isinstance(source, (str, os.PathLike)):
            msg = f"source: expected a path, bytes or an onnx.ModelProto, got {type(source).__name__}"
            raise TypeError(msg)
        file = source_of(source, {"protobuf"}, self._budget.max_bytes)
        if file.path is not None:
            # Links may lead to the model and to its data, as in caches of downloads: its folder is that, too.
            folders = (file.path.absolute().parent, Path(os.path.realpath(file.path)).parent)
            self._folders = list(dict.fromkeys(map(os.path.realpath, folders)))
        return file.name, file.read()

    def array(self, tensor: onnx.TensorProto) -> Array:
        """A tensor's numbers; a ValueError if they are not as many as it declares."""
        name = tensor.name or "a tensor"
        count = _count(name, tensor.dims)
        try:  # without room of its own: more numbers than there is data for are an error of the view
            if tensor.data_location != onnx.TensorProto.EXTERNAL:
                return numpy_helper.to_array(tensor)
            whole = onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
            kind = onnx.TensorProto.DataType.Name(tensor.data_type)
            bits = _BITS.get(kind) or 8 * helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
            whole.raw_data = self._beside(name, tensor, -(-count * bits // 8))
            return numpy_helper.to_array(whole)
        except OSError:
            raise
        except Exception as error:  # of several classes: unknown types, lengths, shapes
            msg = f"{name}: expected a tensor of ONNX, got one that cannot be read: {error}"
            raise ValueError(msg) from error

    def dense(self, sparse: onnx.SparseTensorProto) -> Array:
        """A sparse tensor's numbers, zeros included."""
        name = sparse.values.name or "a sparse tensor"
        shape, values, places = tuple(sparse.dims), self.array(sparse.values), self.array(sparse.indices)
        count = _count(name, shape)
        self.spend(name, count * values.dtype.itemsize)
        whole = np.zeros(count, values.dtype)
        if places.ndim == 2 and places.shape == (values.size, len(shape)):
            places = np.ravel_multi_index(tuple(places.T), shape) if values.size else places.reshape(0)
        if places.shape != values.shape or values.ndim != 1 or (places < 0).any() or (places >= count).any():
            msg = f"{name}: expected an index within {list(shape)} for each of {values.shape} values"
            raise ValueError(msg)
        whole[places] = values
        return whole.reshape(shape)

    def spend(self, name: str, count: int) -> None:
        """Before so many bytes are made of constants."""
        self.expect(name, count)
        self._budget.spend(name, count)

    def expect(self, name: str, count: int) -> None:
        """Whether so many bytes may still be made."""
        try:
            self._budget.expect(name, count)
        except ValueError as error:
            raise TooLargeError(*error.args) from None

    def _beside(self, name: str, tensor: onnx.TensorProto, count: int) -> bytes:
        """A tensor's bytes in a file of the model's folder, and of no other."""
        said = {entry.key: entry.value for entry in tensor.external_data}
        location = said.get("location", "")
        if not self._folders:
            msg = f"expected a model that is whole, or its path, got weights in another file, {location!r}"
            raise ValueError(msg)
        path = self._within(location)
        offset = _natural("offset", said.get("offset", "0"))
        length = _natural("length", said.get("length", str(count)))
        with opened(path) as (file, size):
            if length != count or offset + length > size:
                msg = (
                    f"expected {count} bytes from {offset} on in {location!r}, which has {size}, got "
                    f"a length of {length}"
                )
                raise ValueError(msg)
            whole = self._budget.size + count
            expect_bytes(name, whole, whole, self._budget.max_bytes)
            self._budget.size = whole
            file.seek(offset)
            return read_exactly(file, count)

    def _within(self, location: str) -> str:
        """The file's path without links, which leads out of none of the folders."""
        parts = location.replace("\\", "/").split("/")
        paths = [os.path.join(folder, location) for folder in self._folders]  # noqa: PTH118
        if location and not Path(location).is_absolute() and ":" not in parts[0] and ".." not in parts:
            path = next(filter(os.path.lexists, paths), paths[0])
            real = os.path.realpath(path)
            if any(real.startswith(os.path.join(folder, "")) for folder in self._folders):  # noqa: PTH118
                return real
        msg = f"expected data in a file of the model's own folder, got {location!r}"
        raise ValueError(msg)


def _natural(name: str, said: str) -> int:
    if not (said.isascii() and said.isdigit() and len(said) < 20):
        msg = f"expected a whole number as {name}, got {said[:40]!r}"
        raise ValueError(msg)
    return int(said)


def _count(name: str, dims: Any) -> int:
    if any(size < 0 for size in dims):
        msg = f"{name}: expected sizes that are not negative, got {list(dims)}"
        raise ValueError(msg)
    return math.prod(dims)


def _parsed(name: str, data: bytes) -> onnx.ModelProto:
    try:
        model = onnx.load_from_string(data)
    except Exception as error:  # protobuf's own errors, of either of its implementations
        msg = f"source: expected an ONNX model, got {name}, which does not parse: {error}"
        raise ValueError(msg) from error
    if not model.ir_version:
        msg = f"source: expected an ONNX model, got {name}, without an IR version"
        raise ValueError(msg)
    return model


def _expect_text(name: str, model: onnx.ModelProto) -> None:
    """All names are text: of what is no UTF-8 protobuf gives bytes."""
    said: list[Any] = [one.domain for one in model.opset_import]
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    graphs = [model.graph]
    for one in model.functions:
        said += [one.domain, one.name, *one.input, *one.output, *one.attribute]
    for node in (node for body in bodies for node in all_nodes(body)):
        said += [node.name, node.op_type, node.domain, *node.input, *node.output]
        for attribute in node.attribute:
            said.append(attribute.name)
            graphs += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
    for graph in graphs:
        tensors = [*graph.initializer, *(one.values for one in graph.sparse_initializer)]
        said += [one.name for one in (*tensors, *graph.input, *graph.output, *graph.value_info)]
        said += [word for one in tensors for entry in one.external_data for word in (entry.key, entry.value)]
    if bad := [word for word in said if not isinstance(word, str)]:
        msg = f"source: expected an ONNX model, got {name}, in which {bad[0]!r} is no text"
        raise ValueError(msg)


def _inlined(model: onnx.ModelProto, most: int) -> onnx.ModelProto:
    """The model with its local functions in the places where they are called."""
    if not model.functions:
        return model
    bodies = {(function.domain, function.name): list(function.node) for function in model.functions}
    calls = {key: {(one.domain, one.op_type) for one in all_nodes(nodes)} for key, nodes in bodies.items()}
    sizes: dict[tuple[str, str], int] = {}
    try:
        sorter = graphlib.TopologicalSorter({key: calls[key] & calls.keys() for key in calls})
        for key in sorter.static_order():
            sizes[key] = _bytes(bodies[key], sizes)
        if (size := _bytes(model.graph.node, sizes)) > most:
            msg = f"expected at most {most} bytes of them in their places, got {size}"
            raise ValueError(msg)
        for function in model.functions:
            _expect_closed(function)
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # a circle, the checker's, and C++'s
        msg = f"source: expected a model whose local functions can be put in their places, got {error}"
        raise ValueError(msg) from error


def _expect_closed(function: onnx.FunctionProto) -> None:
    """What a function reads is its own: in its place it would find names of the graph around it."""
    nodes, own = list(all_nodes(function.node)), set(function.input)
    for node in nodes:
        own.update(node.output)
        for graph in graphs_of(node, 0):
            own.update(one.name for one in graph.input)
            tensors = [*graph.initializer, *(one.values for one in graph.sparse_initializer)]
            own.update(one.name for one in tensors)
    for name in (name for node in nodes for name in node.input if name and name not in own):
        msg = f"{name!r}, which {function.name} reads and does not have"
        raise ValueError(msg)


def _bytes(nodes: Any, sizes: dict[tuple[str, str], int]) -> int:
    """What nodes take with their functions in place, at most."""
    return sum(one.ByteSize() + sizes.get((one.domain, one.op_type), 0) for one in all_nodes(nodes))


def all_nodes(nodes: Any) -> Iterator[onnx.NodeProto]:
    """Nodes, and those of the graphs within them."""
    todo = [(node, 0) for node in reversed(nodes)]
    while todo:
        node, depth = todo.pop()
        yield node
        for graph in graphs_of(node, depth):
            todo += [(inner, depth + 1) for inner in reversed(graph.node)]


def graphs_of(node: onnx.NodeProto, depth: int) -> list[onnx.GraphProto]:
    """The graphs within a node that is so deep itself."""
    found = []
    for attribute in node.attribute:
        found += [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]
    if found and depth >= DEEPEST:
        msg = f"source: expected at most {DEEPEST} graphs within graphs, got more"
        raise ValueError(msg)
    return found

"""Layers, models and estimators as ONNX models (extra ``onnx``): which graph is written for what. It must not
know models that others made, which are `_onnx`'s, nor how graphs compute.
"""

from __future__ import annotations

import os
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import onnx

from .._checks import as_choice, as_flag, as_size, shown
from .._encoder_decoder import EncoderDecoder
from .._exported import Exported
from .._files import write_whole
from .._layers import GRU, LSTM
from .._model import Model
from ._onnx_estimators import about, write_estimator, write_source
from ._onnx_graph import Axis, Graph
from ._onnx_models import (
    read,
    read_lengths,
    read_states,
    write_decoder,
    write_encoder,
    write_model,
    write_states,
)
from ._onnx_stack import Lengths, Stack, run
from ._onnx_targets import expect_target

if TYPE_CHECKING:
    from collections.abc import Callable


def to_onnx(
    layer: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int | None = None,
    lengths: bool = False,
    states: bool = False,
    batch: int | None = None,
    steps: int | None = None,
    io_dtype: Literal["float64", "float32"] | None = None,
    target: str | None = None,
) -> Any:
    """Give a layer, a model or a fitted estimator as an ONNX model.

    Each direction of a layer is a forward GRU or LSTM node with its first states written out. Lengths are
    plain operators around it, as most engines drop `sequence_lens` without a word: outputs behind a row's end
    are zeros, states are those of its own end, and a row of length 0 keeps its own. What lies behind the end
    is not read, NaN included.

    Parameters
    ----------
    layer : GRU, LSTM, Model, EncoderDecoder or a fitted estimator
        With any options; what is for training alone, such as dropout, is not part of the model. Quantized
        weights stay as small in the file: bytes with the scales of their rows (DequantizeLinear), halves.
    path : path-like, optional
        Also write it there; the file is complete or not there. Of a pair there are two:
        ``name.encoder.onnx`` and ``name.decoder.onnx``.
    opset : int, optional
        ONNX's version of operators, at least 14; 17 when missing, as of newer ones not all engines have all.
    lengths : bool, default False
        Whether the model takes ``lengths`` (B,), int32. Without them all steps of all rows are read.
    states : bool, default False
        Whether a layer or a `Model` takes the first states ``h0`` (and ``c0``), as the layer does; a `Model`
        then gives the last, ``h_n`` (and ``c_n``), which a layer always gives.
    batch, steps : int, optional
        Fix how many rows or steps there are, which some engines need; free when missing.
    io_dtype : {"float64", "float32"}, optional
        Of an estimator's numbers, ``x`` or ``y`` and ``prediction``. float64 when missing, as the estimator
        computes them: centred and scaled before they are rounded. For engines without it float32, where
        what rounding numbers of a high level costs is lost before they come in.
    target : str, optional
        The engine that shall run it: warns of what that is known not to compute right of this very model.
        "onnxruntime", "openvino", "reference", "rten", "mnn", "iree", "onnx2tf", "tract", "opencv", "candle",
        "tvm", "onnx2torch", "jaxonnxruntime", "tinygrad".

    Returns
    -------
    onnx.ModelProto, or of a pair a dict of two
        Of a layer from ``x`` to ``y`` and ``h_n`` (and ``c_n``), shaped as the layer's. Of a `Model` from
        ``x`` (B, T, F), or ``tokens`` (B, T), int32, to ``scores``: with pooling "each" ``(B, T, n)``, of
        steps, or of frames of a convolution. Of estimators:

        ================== ==========================================================================
        SequenceClassifier ``probabilities`` (B, classes), of several labels each by itself
        SequenceRegressor  ``prediction`` (B,) or (B, n); with pooling "each" (B, T) or (B, T, n)
        SequenceTagger     ``probabilities`` (B, T, labels); with a chain ``scores``, and the chain in the
                           metadata
        Transcriber        ``log_probabilities`` (B, T, 1 + labels), the blank first
        LanguageModel      from ``tokens`` and ``h0`` (``c0``) to ``log_probabilities`` (B, T, tokens) of
                           the next and ``h_n`` (``c_n``); a text begins with the token 1 and zeros
        Forecaster         from ``y`` (B, n) or (B, n, K), exactly the last n values that it needs, to
                           ``prediction``, shaped as `predict` gives it behind an axis of rows; as it was
                           fitted also ``past_exog`` (B, n, k), ``exog`` (B, horizon, k), ``observed`` (B, n,
                           p), ``missing`` (B, n, K + p), bool, and of several series ``mean``,
                           ``deviation`` (B, K), the units of each; where a value is missing stands the last
                           one known before it, as with ``gaps="fill"``
        ================== ==========================================================================

        What is given for steps behind a row's end is zeros. Of an `EncoderDecoder` or a `Seq2Seq`
        ``{"encoder": …, "decoder": …}``: the first gives the decoder's states ``h0`` (``c0``) and, with
        attention, ``keys`` and ``values``; the second is a step, from ``token`` (B,) and all of these (and
        ``lengths``, with attention) to ``log_probabilities`` (B, n), ``h_n`` (``c_n``) and ``attention``
        (B, T).

        Texts are made tokens, and tokens numbers, outside; there dates are read and gaps of series filled,
        too. The metadata of an estimator's model has, each as JSON under ``gru_rs.`` and its name: ``kind``,
        ``classes``, ``feature_names``, ``vocabulary`` (a list, of which the place of a token is its number; 0
        is the unknown one; with ``token_features`` "spelling" also pairs: each step has ``per_step`` numbers,
        those of the token, ``["small", …]``: in small letters, ``["end", …]``, ``["begin", …]``: their last
        and first three, and ``["shape", …]``), ``analyzer``, ``lowercase``, ``token_features``,
        ``max_length``, ``chain``, ``begin``, ``end``, of a forecaster ``length``, ``series`` and so on, where
        it has such.

    Raises
    ------
    TypeError
        None of these; an estimator that was not fitted is scikit-learn's NotFittedError.
    ValueError
        An opset that has no such operators; an option that this layer or estimator does not have; an LSTM
        with lengths and functions that do not saturate; a target that has no recurrent operators.
    OSError
        The file cannot be written.

    Warns
    -----
    UserWarning
        The `target` is known not to compute something of it right; or an analyzer or features of tokens that
        are functions of your own stay outside, and are not named in the metadata.

    Notes
    -----
    Of weights of 8 bits ONNX's nodes multiply floats, where gru_rs rounds inputs and states to 8 bits as
    well: the answers differ by that rounding, as `Quantization` measures it. ONNX Runtime rounds what a plain
    matrix of bytes multiplies, too, unless ``session.qdq_matmulnbits_accuracy_level`` is "1". float64 stays
    float64, of which ONNX Runtime has no recurrent nodes.

    Examples
    --------
    >>> import gru_rs
    >>> model = gru_rs.to_onnx(gru_rs.GRU(3, 8, 2, bidirectional=True))
    >>> [node.name for node in model.graph.node if node.op_type == "GRU"]
    ['gru_0', 'gru_0_reverse', 'gru_1', 'gru_1_reverse']
    >>> model = gru_rs.to_onnx(gru_rs.Model(3, 8, 2, pooling="mean"), lengths=True, batch=1)
    >>> [value.name for value in model.graph.input]
    ['x', 'lengths']
    """
    if path is not None and not isinstance(path, (str, os.PathLike)):
        msg = f"path: expected a path or None, got {type(path).__name__}"
        raise TypeError(msg)
    export = _Export(_opset(opset), as_flag("lengths", lengths), as_flag("states", states), batch, steps)
    written = export.of(layer, io_dtype)
    for model in written.values():
        expect_target(target, model)
    if path is not None:
        for name, model in written.items():
            write_whole(_path_of(path, name), model.SerializeToString())
    return written.get("", written)


_OPSET = 17


def _opset(opset: int | None) -> int:
    newest = onnx.defs.onnx_opset_version()
    version = _OPSET if opset is None else opset
    if not (isinstance(version, int) and 14 <= version <= newest):
        msg = f"opset: expected an int from 14 to {newest}, that of onnx {onnx.__version__}, got {opset!r}"
        raise ValueError(msg)
    return version


def _path_of(path: str | os.PathLike[str], name: str) -> str:
    if not name:
        return os.fspath(path)
    whole = Path(path)
    return str(whole.with_name(f"{whole.stem}.{name}{whole.suffix}"))


@dataclass
class _Export:
    """What was asked for."""

    opset: int
    lengths: bool
    states: bool
    batch: int | None
    steps: int | None

    def __post_init__(self) -> None:
        for name in ("batch", "steps"):
            if getattr(self, name) is not None:
                setattr(self, name, as_size(name, getattr(self, name)))

    def of(self, source: Any, io_dtype: str | None) -> dict[str, onnx.ModelProto]:
        """The models, by their names; of one set of weights, whoever writes meanwhile."""
        if hasattr(type(source), "_exported"):
            exported: Exported = source._exported()
            exported = replace(exported, model=copy(exported.model))
            return self._estimator(
                exported, as_choice("io_dtype", io_dtype or "float64", ("float64", "float32"))
            )
        if io_dtype is not None:
            msg = (
                f"io_dtype: expected None but for an estimator, as others have their dtype, got {io_dtype!r}"
            )
            raise ValueError(msg)
        if isinstance(source, (GRU, LSTM, Model, EncoderDecoder)):
            source = copy(source)
        if isinstance(source, (GRU, LSTM)):
            return {"": self._written(source._cell, {}, source, lambda graph: self._layer(graph, source))}
        if isinstance(source, Model):
            plain = Exported("Model", source, "scores")
            return {
                "": self._written("Model", about(plain), source, lambda graph: self._model(graph, source))
            }
        if isinstance(source, EncoderDecoder):
            return self._pair(Exported("EncoderDecoder", source, "log_softmax"), None)
        msg = "layer: expected a GRU, LSTM, Model, EncoderDecoder or a fitted estimator of gru_rs, got "
        msg += type(source).__name__
        if type(source).__name__ in ("GRUCell", "LSTMCell"):
            msg += ": a cell is a layer of one step"
        raise TypeError(msg)

    def _written(
        self, name: str, props: dict[str, str], network: Any, write: Callable[[Graph], None]
    ) -> onnx.ModelProto:
        graph = Graph(np.dtype(network.dtype), self.opset, self.batch, self.steps)
        write(graph)
        return graph.model(name, props)

    def _layer(self, graph: Graph, layer: GRU | LSTM) -> None:
        axes: list[Axis] = [graph.batch, graph.steps] if layer.batch_first else [graph.steps, graph.batch]
        x = graph.input("x", layer.dtype, [*axes, layer.input_size])
        rows = read_lengths(graph) if self.lengths else None
        first = read_states(graph, layer) if self.states else None
        if layer.batch_first:
            x = graph.transpose(x, 1, 0, 2)
        steps = graph.size(x, 0, graph.steps)
        own = None if rows is None else Lengths(graph, rows, steps, graph.steps)
        y, ends = run(graph, Stack.of(layer), x, own, first)
        if own is not None:
            y = own.only(y)
        if layer.batch_first:
            y = graph.transpose(y, 1, 0, 2)
        graph.output("y", y, [*axes, layer.hidden_size * (2 if layer.bidirectional else 1)])
        write_states(graph, layer, ends)

    def _model(self, graph: Graph, model: Model) -> None:
        write_model(graph, model, lengths=self.lengths, states=self.states)

    def _pair(self, exported: Exported, io_dtype: str | None) -> dict[str, onnx.ModelProto]:
        pair: Any = exported.model
        self._refuse("states", exported.kind)
        props = about(exported)

        def encoder(graph: Graph) -> None:
            if io_dtype is not None:
                return write_source(graph, exported, lengths=self.lengths, io_dtype=io_dtype)
            given = read(graph, pair, 1)
            return write_encoder(graph, pair, given, read_lengths(graph) if self.lengths else None)

        def decoder(graph: Graph) -> None:
            write_decoder(graph, pair, lengths=self.lengths)

        ways = {"encoder": encoder, "decoder": decoder}
        return {name: self._written(name, props, pair, write) for name, write in ways.items()}

    def _estimator(self, exported: Exported, io_dtype: str) -> dict[str, onnx.ModelProto]:
        if isinstance(exported.model, EncoderDecoder):
            return self._pair(exported, io_dtype)
        self._refuse("states", exported.kind)
        if exported.forecast is not None:
            self._refuse("lengths", exported.kind)
            self._refuse("steps", exported.kind)

        def write(graph: Graph) -> None:
            write_estimator(graph, exported, lengths=self.lengths, io_dtype=io_dtype)

        return {"": self._written(exported.kind, about(exported), exported.model, write)}

    def _refuse(self, name: str, kind: str) -> None:
        """An option that there is none of."""
        value = getattr(self, name)
        if value:
            msg = f"{name}: expected the default for {kind}, which itself says what it takes, got "
            msg += shown(value)
            raise ValueError(msg)

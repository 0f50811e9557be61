"""Estimators as ONNX graphs: what is around their models. Numbers are scaled as the estimator does it, in
float64, or without it where `io_dtype` says so. It must not know the estimators themselves.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from .._encoder_decoder import EncoderDecoder
from ._onnx_graph import END, Axis, Graph
from ._onnx_models import Scored, read, read_lengths, read_states, write_encoder, write_scores, write_states

if TYPE_CHECKING:
    from .._arrays import Array
    from .._exported import Exported, Forecast

OUTPUTS = {
    "scores": "scores",
    "softmax": "probabilities",
    "sigmoid": "probabilities",
    "log_softmax": "log_probabilities",
    "numbers": "prediction",
}
"""What is called how that comes out."""


def about(exported: Exported) -> dict[str, str]:
    """The model's metadata: what was learnt beside the network, in JSON."""
    model, found = exported.model, {"kind": exported.kind} | exported.about
    if isinstance(model, EncoderDecoder):
        found |= {"begin": model.begin, "end": model.end}
    elif model.crf:
        chain = ("start", "end", "transitions")
        found["chain"] = {name: model.params[f"crf.{name}"].tolist() for name in chain}
    return {f"gru_rs.{name}": json.dumps(value, ensure_ascii=False) for name, value in found.items()}


class Wide:
    """Numbers as they come and go, in float64 or not."""

    def __init__(self, graph: Graph, dtype: str) -> None:
        self._graph, self.dtype = graph, np.dtype(dtype)

    def constant(self, value: Array) -> str:
        """One of that type."""
        return self._graph.constant(value, self.dtype)

    def number(self, value: float) -> str:
        """One number."""
        return self._graph.number(value, self.dtype)

    def scaled(self, x: str, scale: tuple[Array, Array] | None) -> str:
        """``(x − mean) · factor`` in the model's type."""
        graph = self._graph
        if scale is not None:
            mean, factor = scale
            rounded = mean.astype(self.dtype)
            x = graph.node("Sub", x, self.constant(rounded))
            if self.dtype == np.float32:  # what the mean lost
                x = graph.node("Sub", x, self.constant(mean - rounded))
            x = graph.node("Mul", x, self.constant(factor))
        return graph.cast(x, graph.dtype) if self.dtype != graph.dtype else x

    def of(self, value: str) -> str:
        """The model's numbers in that type."""
        return self._graph.cast(value, self.dtype) if self.dtype != self._graph.dtype else value


def _read(graph: Graph, exported: Exported, wide: Wide, lengths: bool) -> tuple[str, str | None]:
    """Sequences as the model takes them, no longer than they are read, and their lengths."""
    model, most = exported.model, exported.most
    own = None
    if model.vocabulary_size is not None:
        x = read(graph, model, exported.per_step)
    else:
        x = graph.input("x", wide.dtype, [graph.batch, graph.steps, model.input_size])
    if lengths:
        own = read_lengths(graph)
    if most is not None and (isinstance(graph.steps, str) or graph.steps > most):
        x = graph.part(x, 1, 0, most)
        graph.steps = most if isinstance(graph.steps, int) else "steps_read"
        if own is not None:
            own = graph.node("Min", own, graph.constant(most, np.int32))
    return x if model.vocabulary_size is not None else wide.scaled(x, exported.scale), own


def write_estimator(graph: Graph, exported: Exported, *, lengths: bool, io_dtype: str) -> None:
    """From sequences to what is predicted for them."""
    wide, model = Wide(graph, io_dtype), exported.model
    if exported.forecast is not None:
        _write_forecast(graph, exported, exported.forecast, wide)
        return
    x, own = _read(graph, exported, wide, lengths)
    first = read_states(graph, model) if exported.carries else None
    found = Scored(graph, model, x, own, first, exported.per_step)
    value = found.scores
    if exported.answer == "numbers":
        value = wide.of(value)
        if exported.moments is not None:
            mean, deviation = exported.moments
            value = graph.node("Add", graph.node("Mul", value, wide.constant(deviation)), wide.constant(mean))
    elif exported.answer != "scores":
        operator = {"softmax": "Softmax", "sigmoid": "Sigmoid", "log_softmax": "LogSoftmax"}[exported.answer]
        more: dict[str, Any] = {} if operator == "Sigmoid" else {"axis": -1}
        value = graph.node(operator, value, **more)
    dtype = wide.dtype if exported.answer == "numbers" else graph.dtype
    write_scores(graph, model, found, OUTPUTS[exported.answer], value, dtype, flat=exported.flat)
    if exported.carries:
        write_states(graph, model, found.ran.ends)


def write_source(graph: Graph, exported: Exported, *, lengths: bool, io_dtype: str) -> None:
    """An encoder for sequences as an estimator reads them."""
    x, own = _read(graph, exported, Wide(graph, io_dtype), lengths)
    write_encoder(graph, exported.model, x, own, exported.per_step)


# Forecasts --------------------------------------------------------------------------------------------------


def _write_forecast(graph: Graph, exported: Exported, how: Forecast, wide: Wide) -> None:
    """From the end of a series to what comes."""
    targets = len(how.unit)
    axes: list[Axis] = [graph.batch, how.length]
    y = graph.input("y", wide.dtype, axes if how.flat else [*axes, targets])
    values = graph.unsqueeze(y, 2) if how.flat else y
    scale: list[str] = []
    if how.own_units:
        names = ("mean", "deviation")
        scale = [graph.input(name, wide.dtype, [graph.batch, targets]) for name in names]
        mean, deviation = (graph.unsqueeze(name, 1) for name in scale)
        values = graph.node("Div", graph.node("Sub", values, mean), deviation)
    features = wide.scaled(_features(graph, how, values, wide), exported.scale)
    graph.steps = how.window
    scores = wide.of(Scored(graph, exported.model, features, None).scores)
    shape = [0, how.horizon, targets, how.quantiles]
    spread = graph.node("Reshape", scores, graph.constant(shape))
    if how.quantiles > 1:
        count = graph.constant([how.quantiles])
        sorted_ = [f"spread_{part}" for part in ("sorted", "places")]
        spread = graph.nodes("TopK", [spread, count], sorted_, axis=3, largest=0, sorted=1)[0]
    begins = graph.unsqueeze(_begins(graph, how, values), 3)
    found = graph.node("Add", begins, graph.node("Mul", spread, wide.constant(how.unit[:, np.newaxis])))
    columns = how.quantiles
    if how.margins is not None:
        margins = np.moveaxis(how.margins, 0, -1)
        low = graph.node("Sub", found, wide.constant(margins[..., ::-1]))
        found = graph.node("Concat", low, found, graph.node("Add", found, wide.constant(margins)), axis=3)
        columns = 2 * len(how.margins) + 1
    if how.own_units:
        mean, deviation = (graph.unsqueeze(graph.unsqueeze(name, 1), 3) for name in scale)
        found = graph.node("Add", graph.node("Mul", found, deviation), mean)
    sizes: list[Axis] = [graph.batch, how.horizon, targets, columns]
    for axis, gone in ((3, how.alone), (2, how.flat)):
        if gone:
            found = graph.squeeze(found, axis)
            del sizes[axis]
    graph.output("prediction", found, sizes, wide.dtype)


def _features(graph: Graph, how: Forecast, values: str, wide: Wide) -> str:
    """What the network reads at the last times, (B, window, F)."""
    last = graph.part(values, 1, -how.window, END)
    columns = [last, graph.node("Sub", last, graph.part(values, 1, -how.window - how.lag, -how.lag))]
    if how.known:
        known = _known(graph, how, wide)
        times = np.arange(how.length - how.window, how.length)[:, np.newaxis] + np.arange(1, how.horizon + 1)
        ahead = graph.transpose(graph.node("Gather", known, graph.constant(times), axis=1), 0, 1, 3, 2)
        columns.append(graph.node("Reshape", ahead, graph.constant([0, 0, how.known * how.horizon])))
    axes: list[Axis] = [graph.batch, how.length]
    if how.observed:
        observed = graph.input("observed", wide.dtype, [*axes, how.observed])
        columns.append(graph.part(observed, 1, -how.window, END))
    if how.masked:
        missing = graph.input("missing", bool, [*axes, len(how.unit) + how.observed])
        columns.append(graph.cast(graph.part(missing, 1, -how.window, END), wide.dtype))
    return graph.node("Concat", *columns, axis=2)


def _known(graph: Graph, how: Forecast, wide: Wide) -> str:
    """What is known of the times before and after, in one."""
    before = graph.input("past_exog", wide.dtype, [graph.batch, how.length, how.known])
    ahead = graph.input("exog", wide.dtype, [graph.batch, how.horizon, how.known])
    return graph.node("Concat", before, ahead, axis=1)


def _begins(graph: Graph, how: Forecast, values: str) -> str:
    """What forecasts begin with, (B, horizon, K)."""
    ahead = np.arange(1, how.horizon + 1)

    def at(times: Array) -> str:
        return graph.node("Gather", values, graph.constant(times), axis=1)

    now = np.full(how.horizon, how.length - 1)
    found = last = at(now)
    if how.season.any() or how.both.any():
        before = at(now + ahead - how.before)
        found = graph.node("Where", graph.constant(how.season, bool), before, found)
        if how.both.any():
            change = graph.node("Sub", before, at(now - how.before))
            whole = graph.node("Add", last, change)
            found = graph.node("Where", graph.constant(how.both, bool), whole, found)
    return found

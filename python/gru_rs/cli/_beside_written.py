"""What `gru-rs convert` has written, run in its framework beside the layers or the network it was made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import gru_rs
from gru_rs import _safetensors
from gru_rs._exported import Exported
from gru_rs.estimators._probabilities import log_softmax, sigmoid, softmax
from gru_rs.io._source import KINDS, source_of

from ._beside import beside_torch
from ._engines import ROWS, STEPS, engine, inputs_of, largest, run_onnx

if TYPE_CHECKING:
    from pathlib import Path


def written(layers: dict[str, Any], target: Path) -> float:
    """The largest difference of a file's numbers from those of the layers that were written to it."""
    if target.suffix in (".onnx", ".keras"):
        (layer,) = layers.values()
        x = inputs_of(layer)
        x = x if layer.batch_first else np.ascontiguousarray(x.swapaxes(0, 1))
        y, last = layer(x)
        if target.suffix == ".onnx":
            return largest((y, last), run_onnx(target.name, target, {"x": x}))
        keras = engine("keras", "--check")
        steps_first = x if layer.batch_first else x.swapaxes(0, 1)
        theirs = keras.ops.convert_to_numpy(keras.models.load_model(target, compile=False)(steps_first))
        return largest(y if layer.batch_first else y.swapaxes(0, 1), theirs)
    state = _torch_state(target)
    differences = []
    for name, layer in layers.items():
        prefix = f"{name.replace('/', '.')}." if len(layers) > 1 else ""
        own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        differences.append(beside_torch(layer, own))
    return max(differences)


def _torch_state(target: Path) -> dict[str, Any]:
    """As PyTorch reads it; of .safetensors the numbers that bytes stand for."""
    if target.suffix != ".safetensors":
        state: dict[str, Any] = engine("torch", "--check").load(target, map_location="cpu", weights_only=True)
        return state
    from gru_rs.io._torch import all_from_torch

    found = all_from_torch(target)[0]
    return {
        f"{name}.{key}".lstrip("."): value
        for name, layer in found.items()
        for key, value in gru_rs.to_torch_state_dict(layer).items()
    }


def expect_engine(target: Path) -> None:
    """That what runs such a file is here, before one is written."""
    engine({".onnx": "onnxruntime", ".keras": "keras"}.get(target.suffix, "torch"), "--check")


def is_saved(source: Path) -> bool:
    """Whether a file is one of our own, which holds a network or an estimator."""
    found = source_of(source, KINDS)
    if found.kind != "safetensors":
        return False
    with found.opened() as (file, size):
        try:
            contents = _safetensors.read_from(file, size, found.max_bytes, lambda *_: False)
        except ValueError:  # whoever reads it says so
            return False
    return "gru_rs" in contents.metadata


def has_lengths(whole: Any) -> bool:
    """Whether its sequences may be of different lengths."""
    return not isinstance(whole, (gru_rs.LanguageModel, gru_rs.Forecaster))


def expect_known(whole: Any) -> None:
    """That `saved_as_onnx` can run it."""
    exported = _exported(whole)
    if not isinstance(exported.model, gru_rs.Model) or exported.forecast is not None or exported.carries:
        msg = "--check: expected layers, a Model, or a classifier, regressor, tagger or transcriber, got "
        msg += type(whole).__name__
        raise ValueError(msg)


def saved_as_onnx(whole: Any, target: Path) -> float:
    """The largest difference of an ONNX model's numbers from those of a network or of an estimator's."""
    exported = _exported(whole)
    model, random = exported.model, np.random.default_rng(0)
    steps = min(STEPS, exported.most or STEPS)
    lengths = np.full(ROWS, steps, np.int32)
    if model.vocabulary_size is not None:
        shape = (ROWS, steps, exported.per_step)[: 2 + (exported.per_step > 1)]
        given = random.integers(model.vocabulary_size, size=shape, dtype=np.int32)
        feeds: dict[str, Any] = {"tokens": given}
        x: Any = given
    else:
        x = random.normal(size=(ROWS, steps, model.input_size))
        mean, factor = exported.scale or (0.0, 1.0)
        feeds = {"x": x / factor + mean if exported.scale else x.astype(model.dtype)}
        x = ((feeds["x"] - mean) * factor).astype(model.dtype)
    (theirs,) = run_onnx(target.name, target, feeds | {"lengths": lengths})
    scores = model.scores(x, lengths=lengths).astype(np.float64)
    unit = 1.0
    if exported.moments is not None:
        mean, deviation = exported.moments
        scores, unit = scores * deviation + mean, max(1.0, np.abs(exported.moments).max())
    answers = {"softmax": softmax, "log_softmax": log_softmax, "sigmoid": sigmoid}
    if exported.answer in answers:
        scores = answers[exported.answer](scores)
    return largest(scores.reshape(theirs.shape) / unit, theirs / unit)


def _exported(whole: Any) -> Exported:
    """As it is written."""
    described: Exported = whole._exported() if hasattr(whole, "_exported") else Exported("", whole, "scores")
    return described
